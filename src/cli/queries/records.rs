//! `bunter query-dimension-records`.

use std::path::PathBuf;

use clap::Args;

use crate::butler::Butler;
use crate::cli::CliError;
use crate::cli::output::OutputFormat;
use crate::cli::select::{Rows, Selection, SkyRegion};

/// List the records of a dimension: its keys and what is known of them.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bunter query-dimension-records REPO visit --order-by -visit.exposure_time --limit 5\n  \
                  bunter query-dimension-records REPO patch --where 'tract = 9813'\n  \
                  bunter query-dimension-records REPO tract --circle 150.1 2.2 3"
)]
pub(crate) struct QueryDimensionRecords {
    /// The repository.
    repository: PathBuf,
    /// instrument, physical_filter, detector, visit, visit_detector, skymap, tract, patch, …
    element: String,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    region: SkyRegion,
    #[command(flatten)]
    rows: Rows,
    /// How rows are written.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

impl QueryDimensionRecords {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let butler = Butler::open(&self.repository)?;
        let query = self.rows.query(&self.selection)?;
        let region = self.region.region()?;
        self.rows.write(&butler.query_dimension_records_in(&self.element, &query, region.as_ref())?, self.format)
    }
}
