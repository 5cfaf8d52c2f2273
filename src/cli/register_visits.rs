//! `bunter register-visits`.

use std::path::{Path, PathBuf};

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use clap::Args;

use super::CliError;
use super::progress::bar;
use crate::butler::{Butler, VisitOptions};
use crate::datastore::{TableOptions, TableReader};

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
fn read_table(path: &Path) -> Result<RecordBatch, CliError> {
    let reader = TableReader::open(path, TableOptions::default())?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>()?;
    Ok(concat_batches(&schema, &batches)?)
}
