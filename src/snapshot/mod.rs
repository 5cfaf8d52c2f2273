//! What existed when the run began?
//!
//! A [`Snapshot`] is an immutable set of named tables (and named blobs) that is read in place: from a file through a
//! memory map, from a window of shared memory, or from bytes received from another rank. Opening reads only the header, so
//! it costs the same for a thousand rows and for a hundred million; columns are handed out as slices of the file's own
//! bytes, or as an Arrow record batch over them. [`SnapshotBuilder`] writes one.
//!
//! Nothing in a file is trusted: the header is checked as a whole when a snapshot is opened, offsets, texts and dictionary
//! codes before they are used, and the checksums of the columns when [`Snapshot::verify`] is called. The bytes are
//! described in `docs/snapshot-format.md`.
//!
//! [`Snapshot::build`] makes one of what a registry knows, and [`Snapshot::registry`] answers a registry's questions from it.
//!
//! Left out: how a snapshot travels between ranks (`ranks`), and what the caller's own tables mean.

mod builder;
mod bytes;
mod calibrations;
mod column;
mod error;
mod format;
mod keys;
mod kind;
mod mask;
mod names;
mod record_batch;
mod registry_view;
mod rows;
mod search_path;
mod select;
mod selection;
mod sky_rows;
#[expect(clippy::module_inception, reason = "the room's noun is a snapshot")]
mod snapshot;
mod table;

pub use builder::SnapshotBuilder;
pub use column::{BytesColumn, Column, Native, StrColumn};
pub use error::SnapshotError;
pub use format::property;
pub use kind::{ColumnKind, Primitive};
pub use registry_view::RegistryView;
pub use select::{filter_rows, select};
pub use selection::Selection;
pub use snapshot::Snapshot;
pub use table::Table;
