//! `bunter query-dataset-types`, `query-collections`.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::record_batch::RecordBatch;
use clap::Args;

use crate::butler::Butler;
use crate::cli::CliError;
use crate::cli::output::{OutputFormat, write_rows};

/// List the dataset types.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bunter query-dataset-types REPO")]
pub(crate) struct QueryDatasetTypes {
    /// The repository.
    repository: PathBuf,
    /// How rows are written.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

impl QueryDatasetTypes {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let types = Butler::open(&self.repository)?.reader().dataset_types()?;
        let rows = text_columns([
            ("name", types.iter().map(|t| t.name.to_string()).collect()),
            ("storage_class", types.iter().map(|t| t.storage_class.to_string()).collect()),
            ("dimensions", types.iter().map(|t| t.dimensions.join(", ")).collect()),
        ])?;
        write_rows(&rows, self.format)
    }
}

/// List the collections.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bunter query-collections REPO")]
pub(crate) struct QueryCollections {
    /// The repository.
    repository: PathBuf,
    /// How rows are written.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

impl QueryCollections {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let collections = Butler::open(&self.repository)?.reader().collections()?;
        let rows = text_columns([
            ("name", collections.iter().map(|c| c.name.to_string()).collect()),
            ("type", collections.iter().map(|c| c.collection_type.to_string()).collect()),
            ("children", collections.iter().map(|c| c.children.join(", ")).collect()),
        ])?;
        write_rows(&rows, self.format)
    }
}

fn text_columns<const N: usize>(columns: [(&str, Vec<String>); N]) -> Result<RecordBatch, CliError> {
    let columns = columns.map(|(name, texts)| (name, Arc::new(StringArray::from(texts)) as ArrayRef));
    Ok(RecordBatch::try_from_iter(columns)?)
}
