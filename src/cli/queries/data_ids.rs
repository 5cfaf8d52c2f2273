//! `bunter query-data-ids`.

use std::path::PathBuf;

use clap::Args;

use crate::butler::{Butler, DataIdQuery};
use crate::cli::CliError;
use crate::cli::output::OutputFormat;
use crate::cli::select::{Collections, Rows, Selection, SkyRegion};

/// List all data IDs of some dimensions: patches of a tract, detectors of a visit, what of one overlaps what of the other.
///
/// Dimensions that a record has together are related by records (a visit and its filter and detectors), tracts and patches
/// with visits by the sky, and others not at all: every combination is listed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bunter query-data-ids REPO patch --where \"tract = 9813\"\n  \
                  bunter query-data-ids REPO detector --id visit=1228\n  \
                  bunter query-data-ids REPO band --where \"physical_filter = 'HSC-R2'\"\n  \
                  bunter query-data-ids REPO tract,patch --id visit=1228 --dataset-type calexp --collections HSC/runs/w30")]
pub(crate) struct QueryDataIds {
    /// The repository.
    repository: PathBuf,
    /// Names of dimensions, with commas or blanks between; what they need is added (patch brings its tract).
    #[arg(required = true, num_args = 1.., value_delimiter = ',')]
    dimensions: Vec<String>,
    /// Only data IDs for which there is a dataset of this type.
    #[arg(long, value_name = "TYPE")]
    dataset_type: Option<String>,
    #[command(flatten)]
    collections: Collections,
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

impl QueryDataIds {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let region = self.region.region()?;
        let query = self.rows.query(&self.selection)?;
        let butler = Butler::open(&self.repository)?.at_this_moment()?;
        let datasets = match &self.dataset_type {
            Some(name) => Some((name.clone(), self.collections.names(&butler)?)),
            None => None,
        };
        let dimensions: Vec<&str> = self.dimensions.iter().map(String::as_str).filter(|d| !d.is_empty()).collect();
        let query = DataIdQuery { datasets, region, ..DataIdQuery::from(query) };
        self.rows.write(&butler.query_data_ids(&dimensions, &query)?, self.format)
    }
}
