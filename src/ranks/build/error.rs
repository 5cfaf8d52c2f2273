//! [`BuildError`]: why a build cannot be done at all.

use std::path::PathBuf;

use crate::butler::ButlerError;
use crate::coadd::CoaddError;
use crate::dataset::{CodecError, TemplateError};
use crate::datastore::DatastoreError;
use crate::ranks::RanksError;
use crate::registry::RegistryError;
use crate::skymap::SkyMapError;
use crate::snapshot::SnapshotError;

/// Why a build cannot be done at all. A patch that fails is no such error: it is in the report, and the others go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No image touches any patch that was asked for.
    #[error(
        "no `{dataset_type}` of {collections} touches a patch of sky map `{sky_map}`{filter}: compare with `bunter \
         query-datasets` and `bunter query-overlaps`"
    )]
    NothingToDo {
        /// The dataset type of the inputs.
        dataset_type: String,
        /// Where they were looked for.
        collections: String,
        /// The sky map.
        sky_map: String,
        /// The selection.
        filter: String,
    },
    /// Another build of the same run is going on.
    #[error("run `{run}` is being built by another job (it holds {}): wait for it, or choose another --output", lock.display())]
    Busy {
        /// The output run.
        run: String,
        /// The lock that it holds.
        lock: PathBuf,
    },
    /// A file of the job's own cannot be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The butler failed.
    #[error(transparent)]
    Butler(#[from] ButlerError),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The datastore failed.
    #[error(transparent)]
    Datastore(#[from] DatastoreError),
    /// The ranks lost each other, or a journal failed.
    #[error(transparent)]
    Ranks(#[from] RanksError),
    /// The job's snapshot cannot be made or read.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A part of the job cannot be encoded or decoded.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The sky map of the job cannot be made.
    #[error(transparent)]
    SkyMap(#[from] SkyMapError),
    /// The path template of the job cannot be read.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A coadd cannot be made.
    #[error(transparent)]
    Coadd(#[from] CoaddError),
    /// A table operation failed.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
}
