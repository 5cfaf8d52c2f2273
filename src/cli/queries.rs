//! `bunter query-datasets`, `query-dataset-types`, `query-collections`, `query-dimension-records`, `query-overlaps`.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::record_batch::RecordBatch;
use clap::Args;

use super::CliError;
use super::output::{OutputFormat, write_rows};
use super::select::{Collections, Rows, Selection};
use crate::butler::{Butler, OverlapQuery};

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
        write_rows(&butler.query_datasets(&self.dataset_type, &names, &query, self.find_first)?, self.format)
    }
}

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

/// List the records of a dimension: its keys and what is known of them.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bunter query-dimension-records REPO visit --order-by -visit.exposure_time --limit 5\n  \
                  bunter query-dimension-records REPO patch --where 'tract = 9813'"
)]
pub(crate) struct QueryDimensionRecords {
    /// The repository.
    repository: PathBuf,
    /// instrument, physical_filter, detector, visit, visit_detector, skymap, tract, patch, …
    element: String,
    #[command(flatten)]
    selection: Selection,
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
        write_rows(&butler.query_dimension_records(&self.element, &query)?, self.format)
    }
}

/// List which detectors' images touch which patches.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bunter query-overlaps REPO --skymap hsc_rings_v1 --where 'tract = 9813 AND patch = 40'\n  \
                  bunter query-overlaps REPO --skymap hsc_rings_v1 --id visit=1228 ccd=42"
)]
pub(crate) struct QueryOverlaps {
    /// The repository.
    repository: PathBuf,
    /// Name of the sky map.
    #[arg(long, value_name = "NAME")]
    skymap: String,
    /// Only images that have a dataset of this type.
    #[arg(long, value_name = "TYPE")]
    dataset_type: Option<String>,
    #[command(flatten)]
    collections: Collections,
    #[command(flatten)]
    selection: Selection,
    /// How rows are written.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

impl QueryOverlaps {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let butler = Butler::open(&self.repository)?;
        let datasets = match &self.dataset_type {
            Some(name) => Some((name.clone(), self.collections.names(&butler)?)),
            None => None,
        };
        let query = OverlapQuery {
            sky_map: Some(self.skymap.clone()),
            filter: self.selection.filter()?,
            datasets,
            ..OverlapQuery::default()
        };
        write_rows(&butler.query_overlaps(&query)?, self.format)
    }
}

fn text_columns<const N: usize>(columns: [(&str, Vec<String>); N]) -> Result<RecordBatch, CliError> {
    let columns = columns.map(|(name, texts)| (name, Arc::new(StringArray::from(texts)) as ArrayRef));
    Ok(RecordBatch::try_from_iter(columns)?)
}
