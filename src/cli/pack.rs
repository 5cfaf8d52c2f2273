//! `bunter pack` and `bunter unpack`.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use clap::{Args, ValueEnum};

use super::CliError;
use super::output::OutputFormat;
use super::table_output::{TableOutput, rows_bar};
use crate::butler::{Butler, packer_of};
use crate::datastore::{DatastoreError, TableOptions, TableReader};
use crate::dimension::{BadRows, DataId, OnError, PackError, PackedTable, Packer};

/// Batches that wait for the one who works on them.
const WAITING: usize = 2;

/// Where the packer comes from, and what happens to rows that do not fit.
#[derive(Debug, Args)]
struct Common {
    /// The packer: skymap:NAME (,bands=default or ,bands=u+g+r), observation:INSTRUMENT, exposure:INSTRUMENT, rubin:INSTRUMENT
    /// (,controllers=all), record: or catalog: before one of these (,releases=64), or a layout FILE.toml.
    #[arg(long, value_name = "PACKER", required_unless_present = "repository", conflicts_with = "repository")]
    packer: Option<String>,
    /// The repository that makes the packer, of --dimensions.
    #[arg(long, value_name = "REPOSITORY", requires = "dimensions")]
    repository: Option<PathBuf>,
    /// The dimensions that the repository packs: tract,patch or tract,patch,band or visit,detector.
    #[arg(long, value_name = "DIMENSIONS", requires = "repository")]
    dimensions: Option<String>,
    /// The sky map or instrument, where the repository has several: skymap=NAME or instrument=NAME.
    #[arg(long = "of", value_name = "KEY=VALUE", requires = "repository")]
    of: Option<String>,
    /// The packed integers are a catalog's record IDs: a counter below, one of so many releases above.
    #[arg(long, value_name = "RELEASES", requires = "repository")]
    records: Option<u64>,
    /// The file that is written: .csv, .parquet, .h5 (FILE.h5#/group names the group) or .fits (`FILE.fits[NAME]` the extension) [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What becomes of rows that do not fit.
    #[arg(long, value_enum, default_value_t)]
    on_error: RowError,
    /// How rows are written to standard output.
    #[arg(long, value_enum, default_value_t, conflicts_with = "output")]
    format: OutputFormat,
}

/// What becomes of rows that do not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum RowError {
    /// Stop, name the first of them, write nothing.
    #[default]
    Fail,
    /// What would be written is null.
    Mask,
}

impl From<RowError> for OnError {
    fn from(value: RowError) -> Self {
        match value {
            RowError::Fail => Self::Fail,
            RowError::Mask => Self::Mask,
        }
    }
}

/// Pack columns of a table into one integer a row.
///
/// The column of integers is added, or replaced where there is one of its name; all others are kept, with their types, units and metadata, in any format. Columns are found by the names of
/// the packer's fields. Rows stream: tables may be larger than memory.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bunter pack objects.csv --packer skymap:hsc_rings_v1 --id object --output packed.parquet\n  \
                  bunter pack 'sources.fits[SOURCES]' --packer observation:DECam --column detector=ccdnum --set visit=1234 --output packed.parquet\n  \
                  bunter pack objects.csv --repository REPO --dimensions tract,patch,band --format csv | head"
)]
pub(crate) struct Pack {
    /// CSV, Parquet, HDF5 or FITS with a column for each of the packer's fields; FILE.h5#/data/objects and `FILE.fits[2]` name a table within.
    table: PathBuf,
    /// The column that takes the integers.
    #[arg(long, value_name = "COLUMN", default_value = "packed")]
    id: String,
    /// A field whose column has another name.
    #[arg(long = "column", value_name = "FIELD=COLUMN")]
    columns: Vec<String>,
    /// A value for all rows, in place of a column.
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// Unpack one integer a row into columns of a table.
///
/// Columns are added, or replaced where there are some of their names; all others are kept. Rows stream: tables may be larger than memory.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bunter unpack objects.parquet --packer record:skymap:hsc_rings_v1 --id object_id --output unpacked.parquet\n  \
                  bunter unpack 'objects.h5#/data/objects' --packer skymap:hsc_rings_v1 --id id --on-error mask --output unpacked.fits\n  \
                  bunter unpack sources.csv --packer rubin:LSSTCam --id ccdVisitId --column visit --column detector=ccd --format csv | head\n  \
                  bunter unpack objects.csv --repository REPO --dimensions tract,patch --records 64 --id object_id"
)]
pub(crate) struct Unpack {
    /// CSV, Parquet, HDF5 or FITS with a column of integers; FILE.h5#/data/objects and `FILE.fits[2]` name a table within.
    table: PathBuf,
    /// The column of integers.
    #[arg(long, value_name = "COLUMN", default_value = "packed")]
    id: String,
    /// A field that is wanted, and the column's name when it is another [default: all of the packer's].
    #[arg(long = "column", value_name = "FIELD[=COLUMN]")]
    columns: Vec<String>,
    /// Leave the column of integers out.
    #[arg(long)]
    drop_id: bool,
    #[command(flatten)]
    common: Common,
}

impl Common {
    fn packer(&self) -> Result<Packer, CliError> {
        if let Some(specification) = &self.packer {
            return Ok(packer_of(specification)?);
        }
        let (Some(repository), Some(dimensions)) = (&self.repository, &self.dimensions) else {
            return Err(CliError::Usage("--packer or --repository says how integers are packed".to_owned()));
        };
        let mut of = DataId::new();
        if let Some(text) = &self.of {
            let (key, value) = pair(text, "--of")?;
            of.set(key, value);
        }
        let packer = Butler::open(repository)?.packer_for(dimensions, &of)?;
        Ok(match self.records {
            Some(releases) => packer.with_records(releases)?,
            None => packer,
        })
    }
}

fn pair<'a>(text: &'a str, option: &str) -> Result<(&'a str, &'a str), CliError> {
    text.split_once('=').ok_or_else(|| CliError::Usage(format!("{option} is `{text}`, expected NAME=VALUE")))
}

impl Pack {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let columns = self.columns.iter().map(|c| pair(c, "--column")).collect::<Result<Vec<_>, _>>()?;
        let mut constants = DataId::new();
        for text in &self.set {
            let (field, value) = pair(text, "--set")?;
            match value.parse::<i64>() {
                Ok(number) => constants.set(field, number),
                Err(_) => constants.set(field, value),
            }
        }
        let table = PackedTable::new(self.common.packer()?, &self.id).with_columns(&columns)?;
        let table = table.with_constants(constants).on_error(self.common.on_error.into());
        stream(&self.table, &self.common, "pack", |s| Ok(table.packed_schema(s)), |batch| table.pack(batch))
    }
}

impl Unpack {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let columns: Vec<_> = self.columns.iter().map(|c| c.split_once('=').unwrap_or((c, c))).collect();
        let mut table = PackedTable::new(self.common.packer()?, &self.id).with_columns(&columns)?;
        if self.drop_id {
            table = table.without_id();
        }
        let table = table.on_error(self.common.on_error.into());
        stream(&self.table, &self.common, "unpack", |s| table.unpacked_schema(s), |batch| table.unpack(batch))
    }
}

/// Reads, works and writes, each by its own thread, a few batches at a time.
fn stream(
    path: &Path,
    common: &Common,
    what: &str,
    schema: impl Fn(&SchemaRef) -> Result<SchemaRef, PackError>,
    work: impl Fn(&RecordBatch) -> Result<(RecordBatch, Option<BadRows>), PackError> + Sync,
) -> Result<(), CliError> {
    let start = Instant::now();
    let reader = TableReader::open(path, TableOptions::default())?;
    let mut out = TableOutput::new(common.output.as_deref(), common.format, schema(&reader.schema())?)?;
    let bar = rows_bar(reader.num_rows(), what);
    let (mut rows, mut masked, mut first) = (0_usize, 0_usize, Vec::new());
    thread::scope(|scope| -> Result<(), CliError> {
        let (send, batches) = mpsc::sync_channel::<Result<RecordBatch, DatastoreError>>(WAITING);
        let (give, done) = mpsc::sync_channel(WAITING);
        scope.spawn(move || {
            for batch in reader {
                // Nobody listens any more after an error further on.
                if send.send(batch).is_err() {
                    return;
                }
            }
        });
        let work = &work;
        scope.spawn(move || {
            for batch in batches {
                let worked = batch.map(|batch| work(&batch));
                if give.send(worked).is_err() {
                    return;
                }
            }
        });
        for worked in done {
            let (batch, faults) = worked?.map_err(|error| from_row(error, rows))?;
            out.write(&batch)?;
            if let Some(mut faults) = faults {
                faults.first.iter_mut().for_each(|bad| bad.row += rows);
                masked += faults.count;
                first.append(&mut faults.first);
                first.truncate(5);
            }
            rows += batch.num_rows();
            bar.inc(batch.num_rows() as u64);
        }
        Ok(())
    })?;
    out.finish()?;
    bar.finish_and_clear();
    let mut more = String::new();
    if masked > 0 {
        more = format!(", {masked} that do not fit");
        for bad in first {
            more = format!("{more}\n  row {}: {}", bad.row, bad.problem);
        }
        more.push('\n');
    }
    eprintln!("{what}: {rows} rows in {:.2} s{more}", start.elapsed().as_secs_f64());
    Ok(())
}

/// Rows of a batch counted from the table's first.
fn from_row(error: PackError, before: usize) -> CliError {
    match error {
        PackError::Rows(mut faults) => {
            faults.first.iter_mut().for_each(|bad| bad.row += before);
            let text = format!(
                "{faults}\nrows before {} fit; --on-error mask writes nulls for rows that do not",
                before.max(faults.first.first().map_or(0, |b| b.row))
            );
            CliError::Failed(text)
        }
        other => other.into(),
    }
}
