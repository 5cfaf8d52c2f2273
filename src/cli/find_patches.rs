//! `bunter find-patches`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use clap::{Args, ValueEnum};

use super::CliError;
use super::output::OutputFormat;
use super::table_output::{TableOutput, rows_bar};
use crate::butler::Butler;
use crate::datastore::{DatastoreError, TableOptions, TableReader};
use crate::skymap::SkyMap;

/// The columns that are added.
const ADDED: [&str; 4] = ["tract", "patch", "patch_x", "patch_y"];
/// Bad rows that a message names.
const NAMED: usize = 5;

/// Find the tract and the patch of each position of a table.
///
/// Adds the columns tract, patch, patch_x, patch_y. The tract is the one responsible for the position, the patch the one whose inner
/// box holds it; null where the tract's pixels do not reach the position (possible in maps that do not cover the sky). Every
/// other column is kept; one that has the name of an added column is renamed to input_NAME. Rows stream: tables may be larger than memory.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bunter find-patches hsc_rings_v1 --points stars.csv --output found.parquet\n  \
                  bunter find-patches skymap.toml --points stars.parquet --ra RA_ICRS --dec DE_ICRS --format csv | head\n  \
                  bunter find-patches mine --repository REPO --points stars.csv")]
pub(crate) struct FindPatches {
    /// A preset (hsc_rings_v1, lsst_cells_v1, DC2), a TOML file, or with --repository the name of a registered sky map.
    map: String,
    /// CSV or Parquet with right ascension and declination, degrees ICRS.
    #[arg(long, value_name = "FILE")]
    points: PathBuf,
    /// The file that is written, .csv or .parquet [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The repository in which the sky map is registered.
    #[arg(long, value_name = "REPOSITORY")]
    repository: Option<PathBuf>,
    /// Column of right ascensions [default: ra, in upper or lower case].
    #[arg(long, value_name = "COLUMN")]
    ra: Option<String>,
    /// Column of declinations [default: dec, in upper or lower case].
    #[arg(long, value_name = "COLUMN")]
    dec: Option<String>,
    /// What becomes of rows without a position: null, NaN, infinite, or a declination beyond a pole.
    #[arg(long, value_enum, default_value_t)]
    on_error: OnError,
    /// How rows are written to standard output.
    #[arg(long, value_enum, default_value_t, conflicts_with = "output")]
    format: OutputFormat,
}

/// What becomes of rows without a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnError {
    /// Stop, name the first of them, write nothing.
    #[default]
    Fail,
    /// Their added columns are null.
    Mask,
}

/// What the rows came to.
#[derive(Default)]
struct Tally {
    rows: u64,
    masked: u64,
    outside: u64,
}

impl FindPatches {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let start = Instant::now();
        let sky_map = sky_map(&self.map, self.repository.as_deref())?;
        let options = TableOptions::default();
        let reader = TableReader::open(&self.points, options)?;
        let schema = reader.schema();
        let ra = column(&self.points, &schema, self.ra.as_deref(), "ra")?;
        let dec = column(&self.points, &schema, self.dec.as_deref(), "dec")?;
        let out_schema = added(&schema);
        let mut out = TableOutput::new(self.output.as_deref(), self.format, out_schema.clone())?;
        let bar = rows_bar(reader.num_rows(), "find patches");
        let mut tally = Tally::default();
        for batch in reader {
            let batch = batch?;
            let found = self.find(&sky_map, &batch, [ra, dec], &mut tally)?;
            let columns = batch.columns().iter().cloned().chain(found).collect();
            out.write(&RecordBatch::try_new(out_schema.clone(), columns)?)?;
            bar.inc(batch.num_rows() as u64);
        }
        out.finish()?;
        bar.finish_and_clear();
        let mut more = String::new();
        if tally.masked > 0 {
            more = format!(", {} without a position", tally.masked);
        }
        if tally.outside > 0 {
            more = format!("{more}, {} outside of their tract's pixels", tally.outside);
        }
        eprintln!("find-patches: {} rows{more}, {:.2} s", tally.rows, start.elapsed().as_secs_f64());
        Ok(())
    }

    fn find(
        &self,
        sky_map: &SkyMap,
        batch: &RecordBatch,
        [ra, dec]: [usize; 2],
        tally: &mut Tally,
    ) -> Result<[ArrayRef; 4], CliError> {
        let (lon, lat) = (numbers(batch.column(ra))?, numbers(batch.column(dec))?);
        let (mut lon_rad, mut lat_rad) = (Vec::with_capacity(lon.len()), Vec::with_capacity(lon.len()));
        let mut bad = Vec::new();
        for row in 0..lon.len() {
            let good = lon.is_valid(row) && lat.is_valid(row);
            let (a, d) = (lon.value(row), lat.value(row));
            // Written so that NaN fails.
            if good && a.is_finite() && d.abs() <= 90.0 {
                lon_rad.push(a.to_radians());
                lat_rad.push(d.to_radians());
            } else {
                bad.push(row);
                lon_rad.push(0.0);
                lat_rad.push(0.0);
            }
        }
        if !bad.is_empty() && self.on_error == OnError::Fail {
            return Err(self.no_positions(batch, [ra, dec], &bad, tally.rows));
        }
        let mut found = sky_map.find_patch_columns(&lon_rad, &lat_rad)?;
        let mut known = vec![true; lon.len()];
        for row in &bad {
            (known[*row], found.inside[*row]) = (false, false);
        }
        tally.rows += lon.len() as u64;
        tally.masked += bad.len() as u64;
        tally.outside += (found.inside.iter().filter(|i| !**i).count() - bad.len()) as u64;
        let column = |values: Vec<u32>, valid: &[bool]| -> ArrayRef {
            let values = values.into_iter().map(|v| v as i32).collect::<Vec<_>>();
            let nulls = arrow::buffer::NullBuffer::from(valid.to_vec());
            Arc::new(Int32Array::new(values.into(), (nulls.null_count() > 0).then_some(nulls)))
        };
        let inside = &found.inside;
        Ok([
            column(found.tract, &known),
            column(found.patch, inside),
            column(found.patch_x, inside),
            column(found.patch_y, inside),
        ])
    }

    /// The first rows of a batch that have no position.
    fn no_positions(&self, batch: &RecordBatch, columns: [usize; 2], bad: &[usize], before: u64) -> CliError {
        let cell = |column: usize, row: usize| {
            let (name, values) = (batch.schema_ref().field(column).name().clone(), batch.column(column));
            let text = if values.is_null(row) {
                "null".to_owned()
            } else {
                arrow::util::display::array_value_to_string(values, row).unwrap_or_default()
            };
            format!("{name} = {text}")
        };
        let mut text = format!("{}: no position on the sky in", self.points.display());
        for row in bad.iter().take(NAMED) {
            text.push_str(&format!(
                "\n  row {}: {}, {}",
                before + *row as u64 + 1,
                cell(columns[0], *row),
                cell(columns[1], *row)
            ));
        }
        if bad.len() > NAMED {
            text.push_str(&format!("\n  and {} more of the next {} rows", bad.len() - NAMED, batch.num_rows()));
        }
        text.push_str(
            "\nexpected finite degrees, declinations from -90 to 90; --on-error mask writes nulls for such rows",
        );
        CliError::Failed(text)
    }
}

/// A sky map by the name of a preset, from a TOML file, or from a repository.
pub(crate) fn sky_map(name: &str, repository: Option<&Path>) -> Result<SkyMap, CliError> {
    if let Some(repository) = repository {
        return Ok(Arc::unwrap_or_clone(Butler::open(repository)?.sky_map(name)?));
    }
    let path = Path::new(name);
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("toml")) || path.is_file() {
        let text = std::fs::read_to_string(path).map_err(|source| CliError::File {
            doing: "read",
            path: name.to_owned(),
            source,
        })?;
        return Ok(SkyMap::from_toml(&text)?);
    }
    Ok(SkyMap::preset(name)?)
}

/// The place of a column: exactly as named, or by the usual name in any case.
pub(crate) fn column(
    path: &Path,
    schema: &SchemaRef,
    named: Option<&str>,
    usual: &str,
) -> Result<usize, DatastoreError> {
    let known: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let name = named.unwrap_or(usual);
    let exact = known.iter().position(|k| *k == name);
    let found = exact.or_else(|| known.iter().position(|k| named.is_none() && k.eq_ignore_ascii_case(usual)));
    found.ok_or_else(|| DatastoreError::no_such_column(path, name, &known))
}

/// The schema with the added columns; names they take are freed.
fn added(schema: &SchemaRef) -> SchemaRef {
    let mut taken: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
    let mut fields: Vec<Field> = Vec::with_capacity(taken.len() + ADDED.len());
    for (i, field) in schema.fields().iter().enumerate() {
        let mut name = field.name().clone();
        while ADDED.contains(&name.as_str()) || (name != taken[i] && taken.contains(&name)) {
            name = format!("input_{name}");
        }
        fields.push(field.as_ref().clone().with_name(&name));
        taken[i] = name;
    }
    fields.extend(ADDED.map(|name| Field::new(name, DataType::Int32, true)));
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// A column as doubles; what is no number becomes null, and is an error like one.
fn numbers(column: &ArrayRef) -> Result<Float64Array, CliError> {
    if column.data_type() == &DataType::Float64 {
        return Ok(column.as_primitive::<Float64Type>().clone());
    }
    Ok(cast(column, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}
