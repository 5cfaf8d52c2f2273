//! [`SnapshotError`]: why a snapshot could not be written, opened or read.

use std::io;

use crate::dimension::did_you_mean;

/// Why a snapshot could not be written, opened or read. Every variant names the snapshot (its path, or `received bytes`).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The operating system refused to read or write.
    #[error("cannot {action} snapshot `{snapshot}`: {source}")]
    Io {
        /// What was being done: `open`, `map`, `write`.
        action: &'static str,
        /// The snapshot.
        snapshot: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// The bytes do not begin with the magic of a snapshot.
    #[error("`{snapshot}` is not a Bunter snapshot (its first bytes are not the magic `BUNTER\\0\\n`)")]
    NotASnapshot {
        /// The snapshot.
        snapshot: String,
    },
    /// The format version is not one that this software reads.
    #[error(
        "snapshot `{snapshot}` has format version {found}, this software reads version {supported}: make the snapshot \
         again from the registry with this version of the software"
    )]
    Version {
        /// The snapshot.
        snapshot: String,
        /// The version in the file.
        found: u32,
        /// The version this software reads.
        supported: u32,
    },
    /// The bytes contradict the format: the snapshot was cut short, damaged, or made by something else.
    #[error("snapshot `{snapshot}` is damaged at {place}: {reason}; make it again from the registry")]
    Damaged {
        /// The snapshot.
        snapshot: String,
        /// Table, column and row, or the part of the header.
        place: String,
        /// What is wrong there.
        reason: String,
    },
    /// Bytes do not have the checksum that was computed when they were written.
    #[error("snapshot `{snapshot}` is damaged at {place}: its checksum is {found:016x}, recorded is {recorded:016x}")]
    Checksum {
        /// The snapshot.
        snapshot: String,
        /// The part that was checked.
        place: String,
        /// Checksum of the bytes as they are.
        found: u64,
        /// Checksum in the header.
        recorded: u64,
    },
    /// There is no such table.
    #[error("snapshot `{snapshot}` has no table `{table}`{}", did_you_mean(near.as_deref()))]
    NoTable {
        /// The snapshot.
        snapshot: String,
        /// The name asked for.
        table: String,
        /// A table with nearly the same name.
        near: Option<String>,
    },
    /// There is no such column.
    #[error("table `{table}` of snapshot `{snapshot}` has no column `{column}`{}", did_you_mean(near.as_deref()))]
    NoColumn {
        /// The snapshot.
        snapshot: String,
        /// The table.
        table: String,
        /// The name asked for.
        column: String,
        /// A column with nearly the same name.
        near: Option<String>,
    },
    /// There is no such blob.
    #[error("snapshot `{snapshot}` has no blob `{blob}`{}", did_you_mean(near.as_deref()))]
    NoBlob {
        /// The snapshot.
        snapshot: String,
        /// The name asked for.
        blob: String,
        /// A blob with nearly the same name.
        near: Option<String>,
    },
    /// The column has another type than the one asked for.
    #[error("column `{column}` of table `{table}` in snapshot `{snapshot}` is {found}, asked for was {expected}")]
    WrongType {
        /// The snapshot.
        snapshot: String,
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The type asked for.
        expected: String,
        /// The type it has.
        found: String,
    },
    /// A row beyond the end was asked for.
    #[error("row {row} of table `{table}` in snapshot `{snapshot}`: the table has {rows} rows")]
    NoRow {
        /// The snapshot.
        snapshot: String,
        /// The table.
        table: String,
        /// The row asked for.
        row: usize,
        /// Rows of the table.
        rows: usize,
    },
    /// A table to be written holds a type that the format has no column for.
    #[error("column `{column}` of table `{table}` has type {found}, which a snapshot cannot hold: cast it to {advice}")]
    Unsupported {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Its Arrow type.
        found: String,
        /// Types it could have.
        advice: &'static str,
    },
    /// Two tables, blobs, or columns of a table have one name.
    #[error("the snapshot to be written has two {what}s named `{name}`")]
    Duplicate {
        /// `table`, `blob` or `column`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The header could not be encoded or is larger than the format allows.
    #[error("the header of snapshot `{snapshot}` cannot be written: {reason}")]
    Header {
        /// The snapshot.
        snapshot: String,
        /// Why.
        reason: String,
    },
}
