//! `bunter query-datasets`.

use std::collections::HashSet;
use std::path::PathBuf;

use arrow::array::{Array, AsArray, UInt64Array};
use arrow::record_batch::RecordBatch;
use clap::Args;

use crate::butler::Butler;
use crate::cli::CliError;
use crate::cli::output::OutputFormat;
use crate::cli::select::{Collections, Rows, Selection};
use crate::registry::Query;

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
    /// Tell where each dataset that the search meets first was found, and what it shadowed.
    #[arg(long)]
    explain: bool,
    /// Only what came after the change of this number; the latest is told on standard error.
    #[arg(long, value_name = "NUMBER", conflicts_with = "explain")]
    since: Option<u64>,
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
        if self.explain {
            return self.rows.write(&butler.explain_datasets(&self.dataset_type, &names, &query)?, self.format);
        }
        let Some(since) = self.since else {
            let found = butler.query_datasets(&self.dataset_type, &names, &query, self.find_first)?;
            return self.rows.write(&found, self.format);
        };
        // Changes first: what comes between the two questions is told next time, and not lost.
        let changes = butler.registry()?.changes_since(since)?;
        let limit = query.limit;
        let all =
            butler.query_datasets(&self.dataset_type, &names, &Query { limit: None, ..query }, self.find_first)?;
        let ids = |batch: &RecordBatch| batch.column_by_name("id").and_then(|a| a.as_fixed_size_binary_opt().cloned());
        let (Some(new), Some(found)) = (ids(&changes.added), ids(&all)) else { return Ok(()) };
        let new: HashSet<&[u8]> = new.iter().flatten().collect();
        let rows = (0..found.len()).filter(|row| new.contains(found.value(*row))).map(|row| row as u64);
        let rows: UInt64Array = rows.take(limit.unwrap_or(usize::MAX)).collect();
        self.rows.write(&arrow::compute::take_record_batch(&all, &rows)?, self.format)?;
        eprintln!("the latest change is {}", changes.number);
        Ok(())
    }
}
