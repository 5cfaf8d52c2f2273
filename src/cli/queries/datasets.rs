//! `bunter query-datasets`.

use std::path::PathBuf;

use clap::Args;

use crate::butler::Butler;
use crate::cli::CliError;
use crate::cli::output::OutputFormat;
use crate::cli::select::{Collections, Rows, Selection};

/// List datasets of one type.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  bunter query-datasets REPO calexp --where \"band = 'r' AND visit > 1000\" --format csv"
)]
pub(crate) struct QueryDatasets {
    /// The repository.
    repository: PathBuf,
    /// The dataset type.
    dataset_type: String,
    #[command(flatten)]
    collections: Collections,
    /// Of datasets with the same data ID only the one that the search meets first.
    #[arg(long)]
    find_first: bool,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    rows: Rows,
    /// How rows are written.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

impl QueryDatasets {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let butler = Butler::open(&self.repository)?;
        let names = self.collections.names(&butler)?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let query = self.rows.query(&self.selection)?;
        self.rows.write(&butler.query_datasets(&self.dataset_type, &names, &query, self.find_first)?, self.format)
    }
}
