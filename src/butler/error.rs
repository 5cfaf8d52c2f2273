//! [`ButlerError`]: why the butler cannot serve.

use std::io;
use std::path::PathBuf;

use crate::camera::CameraError;
use crate::dataset::TemplateError;
use crate::datastore::DatastoreError;
use crate::dimension::{DataId, DimensionError, ExpressionError, PackError};
use crate::registry::RegistryError;
use crate::skymap::SkyMapError;
use crate::snapshot::SnapshotError;
use crate::sphere::SphereError;
use crate::wcs::WcsError;

/// Why the butler cannot serve. Each variant's text says what, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ButlerError {
    /// The folder is not a repository.
    #[error("{} is not a repository: it has no bunter.toml; make one with `bunter create {}`", root.display(), root.display())]
    NotARepository {
        /// The folder.
        root: PathBuf,
    },
    /// A new repository was asked for where there is one.
    #[error("{} is a repository already: open it, or choose another folder", root.display())]
    RepositoryExists {
        /// The folder.
        root: PathBuf,
    },
    /// The repository's configuration cannot be used.
    #[error("{}: {message}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A file or folder could not be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// No dataset of this type and name is in the collections.
    #[error("no `{dataset_type}` with data ID {data_id} in {}; what there is lists `bunter query-datasets REPO {dataset_type}`", collections.join(", "))]
    NotFound {
        /// The dataset type.
        dataset_type: String,
        /// The name.
        data_id: DataId,
        /// The collections that were searched.
        collections: Vec<String>,
    },
    /// This butler reads a snapshot: it has no registry to write to.
    #[error("cannot {doing}: this butler was opened from a snapshot, which is read-only")]
    ReadOnly {
        /// What was asked.
        doing: &'static str,
    },
    /// A table lacks a column, or has it with another type.
    #[error("column `{name}` should be {expected}, but is {found}")]
    Column {
        /// The column.
        name: String,
        /// The wanted type.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// A stored region or WCS cannot be read.
    #[error("the {what} stored for {data_id} is damaged ({cause}): ingest it again")]
    DamagedRecord {
        /// `region` or `wcs`.
        what: &'static str,
        /// Whose.
        data_id: String,
        /// Why it cannot be read.
        cause: String,
    },
    /// A question that has no meaning, such as a join without a sky map.
    #[error("{0}")]
    Question(String),
    /// Two exposures of one visit disagree about it.
    #[error("{path}: {message}", path = path.display())]
    Exposure {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        message: String,
    },
    /// An update of regions holds something that cannot be used.
    #[error("no region was updated, for {what} cannot be used: {source}")]
    RegionUpdate {
        /// Which rows, files or images.
        what: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file's headers cannot be translated.
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The datastore failed.
    #[error(transparent)]
    Datastore(#[from] DatastoreError),
    /// A dimension or data ID does not fit.
    #[error(transparent)]
    Dimension(#[from] DimensionError),
    /// An expression cannot be read.
    #[error(transparent)]
    Expression(#[from] ExpressionError),
    /// A sky map cannot be made, or has no such tract or patch.
    #[error(transparent)]
    SkyMap(#[from] SkyMapError),
    /// A packer cannot be made, or values do not fit it.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A path template cannot be used.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A snapshot cannot be made or read.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A region is not one.
    #[error(transparent)]
    Sphere(#[from] SphereError),
    /// A WCS cannot be used.
    #[error(transparent)]
    Wcs(#[from] WcsError),
    /// A table operation failed.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
}
