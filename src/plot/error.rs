//! [`PlotError`]: why a picture or a coverage map cannot be made.

use std::io;
use std::path::PathBuf;

use crate::butler::ButlerError;
use crate::datastore::DatastoreError;
use crate::dimension::did_you_mean;
use crate::registry::RegistryError;
use crate::skymap::SkyMapError;
use crate::sphere::SphereError;

/// Why a picture or a coverage map cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlotError {
    /// The selection is empty: there is nothing to draw or to cover.
    #[error("nothing to {doing}: {why}")]
    Empty {
        /// `draw` or `cover`.
        doing: &'static str,
        /// What was looked for, and where to look.
        why: String,
    },
    /// The ending of the output's name says no format.
    #[error("{}: a name that ends in `{ending}` says no format; it can be {known}", path.display())]
    UnknownFormat {
        /// The output.
        path: PathBuf,
        /// Its ending.
        ending: String,
        /// The endings that are known.
        known: &'static str,
    },
    /// The output, or a file that is read, fails.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// `read` or `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A number is not one, or out of its range.
    #[error("{what} is {value}, expected {expected}")]
    BadNumber {
        /// Which number.
        what: &'static str,
        /// What it is.
        value: String,
        /// What it can be.
        expected: &'static str,
    },
    /// A table lacks a column.
    #[error("no column `{name}` in the table{}; it has {}", did_you_mean(near.as_deref()), known.join(", "))]
    NoColumn {
        /// The column.
        name: String,
        /// The column that was perhaps meant.
        near: Option<String>,
        /// The columns there are.
        known: Vec<String>,
    },
    /// A row of a table cannot be read.
    #[error("row {row} of the table, column `{column}`: {problem}")]
    BadRow {
        /// The row, counted from 1.
        row: usize,
        /// The column.
        column: String,
        /// What is wrong.
        problem: String,
    },
    /// A coverage map cannot be read.
    #[error("{}: not a coverage map (MOC) of the sky: {problem}", path.display())]
    BadCoverage {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A picture or coverage map cannot be encoded.
    #[error("cannot encode {what}: {problem}")]
    Encode {
        /// `PNG`, `MOC`.
        what: &'static str,
        /// Why.
        problem: String,
    },
    /// The butler cannot answer.
    #[error(transparent)]
    Butler(#[from] ButlerError),
    /// A table cannot be read.
    #[error(transparent)]
    Datastore(#[from] DatastoreError),
    /// The registry cannot answer.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The sky map has no such tract or patch.
    #[error(transparent)]
    SkyMap(#[from] SkyMapError),
    /// A region is not one.
    #[error(transparent)]
    Sphere(#[from] SphereError),
    /// A table operation failed.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
}
