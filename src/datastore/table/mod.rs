//! Tables of a person's own, outside of any repository: read and written batch by batch, in bounded memory.
//!
//! [`TableReader`] and [`TableWriter`] know CSV and Parquet; the first bytes of a file say what it is, else the ending of its
//! name. Another format is one more [`TableFormat`] with a source of batches ([`BatchSource`]) and a place they go to
//! ([`BatchSink`]).
//!
//! Left out: tables inside of a repository (`hdf5`), and what the columns mean.

mod convert;
mod csv;
mod format;
mod parquet;
mod reader;
mod writer;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use super::error::Result;

pub use format::TableFormat;
pub use reader::{TableOptions, TableReader};
pub use writer::{TableWriter, TableWriterOptions};

/// Where batches of one schema come from.
trait BatchSource: Send {
    /// The schema of every batch.
    fn schema(&self) -> SchemaRef;

    /// Rows in the file, where the file says so.
    fn rows(&self) -> Option<u64>;

    /// The next batch; `None` at the end.
    fn next_batch(&mut self) -> Result<Option<RecordBatch>>;
}

/// Where batches of one schema go to.
trait BatchSink: Send {
    fn write(&mut self, batch: &RecordBatch) -> Result<()>;

    /// Writes what is held back; the file is complete then, though not synced.
    fn finish(self: Box<Self>) -> Result<std::fs::File>;
}
