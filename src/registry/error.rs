//! [`RegistryError`]: why the registry cannot answer or write.

use std::path::PathBuf;

use crate::dataset::CollectionNameError;
use crate::dimension::{DimensionError, did_you_mean};

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a registry (or a snapshot, which answers the same questions) cannot answer or write.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// No dataset type has this name.
    #[error("no dataset type `{name}`{}; list them with `bunter query-dataset-types`", did_you_mean(near.as_deref()))]
    UnknownDatasetType {
        /// The name asked for.
        name: String,
        /// The nearest known name.
        near: Option<String>,
    },
    /// No collection has this name.
    #[error("no collection `{name}`{}; list them with `bunter query-collections`", did_you_mean(near.as_deref()))]
    UnknownCollection {
        /// The name or pattern asked for.
        name: String,
        /// The nearest known name.
        near: Option<String>,
    },
    /// No sky map has this name.
    #[error(
        "no sky map `{name}`{}; list them with `bunter query-dimension-records … skymap`",
        did_you_mean(near.as_deref())
    )]
    UnknownSkyMap {
        /// The name asked for.
        name: String,
        /// The nearest known name.
        near: Option<String>,
    },
    /// A name, a data ID or a comparison that does not fit the dimensions.
    #[error(transparent)]
    Dimension(#[from] DimensionError),
    /// A name that no collection can have.
    #[error(transparent)]
    CollectionName(#[from] CollectionNameError),
    /// The element's records are computed, not stored.
    #[error("records of `{element}` are computed from the sky map, not stored: {hint}")]
    VirtualElement {
        /// The element.
        element: String,
        /// What to do instead.
        hint: &'static str,
    },
    /// A pattern has no search order.
    #[error("`{pattern}` is a pattern, and has no search order: name the collections, or a CHAINED collection of them")]
    PatternInSearch {
        /// The pattern.
        pattern: String,
    },
    /// The store itself failed.
    #[error("{doing}")]
    Store {
        /// What was being done, and where.
        doing: String,
        /// The cause.
        #[source]
        source: Source,
    },
    /// The store is damaged, or was not written by this program.
    #[error("{path}: {what}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}
