//! `bunter register-visits`.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::compute::concat_batches;
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::record_batch::RecordBatch;
use clap::Args;
use flate2::read::MultiGzDecoder;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::CliError;
use super::progress::bar;
use crate::butler::{Butler, VisitOptions};

/// Register visits without images: regions of all detectors from a table of pointings and the camera's model.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bunter register-visits REPO decam_visits.csv.gz --instrument DECam\n  \
                  bunter register-visits REPO opsim.parquet --instrument LSSTCam --rotation 30\n\n\
                  Columns: visit; band or physical_filter; ra_deg, dec_deg; rot_deg, mjd, exptime_s, night, target where there are.\n\
                  Doing it twice changes nothing; detectors that have a region keep it.")]
pub(crate) struct RegisterVisits {
    /// The repository.
    repository: PathBuf,
    /// CSV (also compressed by gzip) or Parquet, a row a visit.
    table: PathBuf,
    /// The camera: built in, registered in the repository, or a TOML file.
    #[arg(long, value_name = "NAME")]
    instrument: String,
    /// Detectors of these purposes: SCIENCE, GUIDER, WAVEFRONT, FOCUS.
    #[arg(long, value_name = "PURPOSES", value_delimiter = ',', default_value = "SCIENCE")]
    purpose: Vec<String>,
    /// Rotation of visits of which the table has none, degrees.
    #[arg(long, value_name = "DEGREES", default_value_t = 0.0, allow_negative_numbers = true)]
    rotation: f64,
}

impl RegisterVisits {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        if !self.rotation.is_finite() {
            return Err(CliError::Usage(format!("--rotation {}: not a finite number", self.rotation)));
        }
        let butler = Butler::open(&self.repository)?;
        let instrument = super::query_camera::camera(&self.instrument, butler.cameras()?)?;
        let table = read_table(&self.table)?;
        let options = VisitOptions { purposes: self.purpose.clone(), rotation: self.rotation };
        let bar = bar(table.num_rows() as u64, "registering {bar:40} {pos}/{len} visits, {eta} left");
        let report = butler.register_visits(&instrument, &table, &options, &mut |progress| {
            bar.set_position(progress.done as u64);
        })?;
        bar.finish_and_clear();
        for warning in instrument.warnings() {
            eprintln!("warning: {warning}");
        }
        if let Ok(plane) = instrument.focal_plane()
            && let Some(note) = plane.note()
        {
            eprintln!("note: {}: {note}", instrument.name);
        }
        if report.without_rotation > 0 {
            eprintln!(
                "warning: {} visits have no rotation: taken to be {} degrees (--rotation)",
                report.without_rotation, self.rotation
            );
        }
        if report.without_filter > 0 {
            eprintln!(
                "warning: {} visits have neither band nor filter: their filter is `unknown`",
                report.without_filter
            );
        }
        eprintln!(
            "{}: {} visits registered, {} there already; {} regions of {} detectors each, {} there already{}",
            instrument.name,
            report.visits.new,
            report.visits.existing,
            report.detectors.new,
            report.detectors_each,
            report.detectors.existing,
            if report.visits.new + report.detectors.new == 0 { ": nothing was changed" } else { "" }
        );
        Ok(())
    }
}

/// A whole table: CSV, CSV in gzip, or Parquet, by its first bytes.
pub(super) fn read_table(path: &Path) -> Result<RecordBatch, CliError> {
    let failed = |source| CliError::File { doing: "read", path: path.display().to_string(), source };
    let wrong = |e: &dyn std::fmt::Display| CliError::Failed(format!("{}: {e}", path.display()));
    let mut file = File::open(path).map_err(failed)?;
    let mut start = Vec::new();
    file.by_ref().take(4).read_to_end(&mut start).map_err(failed)?;
    file.rewind().map_err(failed)?;
    if start == b"PAR1" {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| wrong(&e))?;
        let schema = Arc::clone(builder.schema());
        let batches = builder.build().map_err(|e| wrong(&e))?.collect::<Result<Vec<_>, _>>().map_err(|e| wrong(&e))?;
        return concat_batches(&schema, &batches).map_err(|e| wrong(&e));
    }
    let mut text = Vec::new();
    if start.starts_with(&[0x1f, 0x8b]) {
        MultiGzDecoder::new(BufReader::new(file)).read_to_end(&mut text).map_err(failed)?;
    } else {
        file.read_to_end(&mut text).map_err(failed)?;
    }
    let (schema, _) = Format::default().with_header(true).infer_schema(text.as_slice(), None).map_err(|e| wrong(&e))?;
    let schema = Arc::new(schema);
    let reader =
        ReaderBuilder::new(Arc::clone(&schema)).with_header(true).build(text.as_slice()).map_err(|e| wrong(&e))?;
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(|e| wrong(&e))?;
    concat_batches(&schema, &batches).map_err(|e| wrong(&e))
}
