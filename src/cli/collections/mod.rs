//! The commands about collections, calibrations, and what runs are made with.

mod calibrations;
mod chain;
mod changes;
mod prune;
mod runs;

pub(super) use calibrations::{CertifyCalibrations, DecertifyCalibrations, QueryCalibrations};
pub(super) use chain::CollectionChain;
pub(super) use changes::Watch;
pub(super) use prune::{Associate, PruneDatasets, RemoveCollections};
pub(super) use runs::{GiveRun, Provenance, SealRun};

use arrow::array::AsArray;
use arrow::record_batch::RecordBatch;
use uuid::Uuid;

use crate::butler::Butler;
use crate::cli::CliError;
use crate::registry::Query;

/// The identities of an answer.
fn identities(batch: &RecordBatch) -> Vec<Uuid> {
    let ids = batch.column_by_name("id").and_then(|a| a.as_fixed_size_binary_opt());
    ids.into_iter().flat_map(|ids| ids.iter().flatten()).filter_map(|id| Uuid::from_slice(id).ok()).collect()
}

/// The datasets of types in collections, each once.
fn chosen(
    butler: &Butler,
    types: &[String],
    collections: &[String],
    query: &Query,
    find_first: bool,
) -> Result<Vec<Uuid>, CliError> {
    let names: Vec<&str> = collections.iter().map(String::as_str).collect();
    let mut ids = Vec::new();
    for kind in types {
        ids.extend(identities(&butler.query_datasets(kind, &names, query, find_first)?));
    }
    Ok(ids)
}
