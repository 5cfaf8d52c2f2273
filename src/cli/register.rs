//! `bunter register-instrument`, `register-dataset-type`.

use std::path::PathBuf;

use clap::Args;

use super::CliError;
use super::query_camera::camera;
use crate::butler::Butler;
use crate::dataset::StorageClass;

/// Register an instrument: its detectors, its filters and their bands.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bunter register-instrument REPO DECam\n  bunter register-instrument REPO my-camera.toml"
)]
pub(crate) struct RegisterInstrument {
    /// The repository.
    repository: PathBuf,
    /// A built-in instrument, or a TOML file that describes one.
    instrument: String,
}

impl RegisterInstrument {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let butler = Butler::open(&self.repository)?;
        let instrument = camera(&self.instrument, butler.cameras()?)?;
        for warning in instrument.warnings() {
            eprintln!("warning: {warning}");
        }
        let inserted = butler.register_instrument(&instrument)?;
        eprintln!(
            "instrument {}: {}, {} ({} records new, {} there already)",
            instrument.name,
            counted(instrument.detectors.len(), "detectors"),
            counted(instrument.filters.len(), "filters"),
            inserted.new,
            inserted.existing
        );
        Ok(())
    }
}

/// A camera may leave detectors or filters open: they are taken as exposures bring them.
fn counted(count: usize, what: &str) -> String {
    if count == 0 { format!("{what} as they come") } else { format!("{count} {what}") }
}

/// Register a dataset type: a name, the dimensions that name one dataset of it, and what it is in memory.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bunter register-dataset-type REPO background Exposure visit,detector")]
pub(crate) struct RegisterDatasetType {
    /// The repository.
    repository: PathBuf,
    /// The name, such as calexp.
    name: String,
    /// Exposure, Coadd, Table or Json.
    storage_class: String,
    /// Dimensions; what they need is added (visit brings its instrument).
    #[arg(value_delimiter = ',', required = true)]
    dimensions: Vec<String>,
    /// Where its files go: "{run}/{dataset_type}/{visit}/{dataset_type}_{visit}_{detector}_{id}.h5".
    #[arg(long)]
    template: Option<String>,
}

impl RegisterDatasetType {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let class = StorageClass::ALL
            .into_iter()
            .find(|c| c.name().eq_ignore_ascii_case(&self.storage_class))
            .ok_or_else(|| {
                let known = StorageClass::ALL.map(StorageClass::name).join(", ");
                CliError::Usage(format!("no storage class `{}`; there are {known}", self.storage_class))
            })?;
        let butler = Butler::open(&self.repository)?;
        let dimensions: Vec<&str> = self.dimensions.iter().map(String::as_str).collect();
        let dataset_type = butler.dataset_type_of(&self.name, &dimensions, class)?;
        let new = butler.register_dataset_type(&dataset_type, self.template.as_deref())?;
        eprintln!(
            "dataset type {} ({}; {}) {}",
            dataset_type.name,
            class,
            dataset_type.dimensions.join(", "),
            if new { "registered" } else { "was registered already" }
        );
        Ok(())
    }
}
