//! Tables of a person's own, outside of any repository: read and written batch by batch, in bounded memory.
//!
//! [`TableReader`] and [`TableWriter`] know CSV, Parquet, HDF5 and FITS; the first bytes of a file say what it is, else the ending of its
//! name. Columns, types, nulls and metadata go from any of them to any other; what a format has no form for is kept beside, or refused by the name of
//! the column (`docs/tables.md`). Another format is one more [`TableFormat`] with a source of batches ([`BatchSource`]) and a place they go to
//! ([`BatchSink`]).
//!
//! Left out: tables inside of a repository (`hdf5`), and what the columns mean.

mod address;
mod convert;
mod csv;
mod fits_form;
mod fits_sink;
mod fits_source;
mod fits_sum;
mod format;
mod hdf5_raw;
mod hdf5_sink;
mod hdf5_source;
mod nested;
mod parquet;
mod reader;
mod writer;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use super::error::Result;

pub use format::TableFormat;
pub use reader::{TableOptions, TableReader};
pub use writer::{TableWriter, TableWriterOptions};

/// Rows of a piece, where the file has no pieces of its own.
const PIECE: u64 = 1 << 20;

/// Where batches of one schema come from.
trait BatchSource: Send {
    /// The schema of every batch.
    fn schema(&self) -> SchemaRef;

    /// Rows in the file, where the file says so.
    fn rows(&self) -> Option<u64>;

    /// How many rows there are in each of the parts that are best read on their own.
    fn pieces(&self) -> Vec<u64> {
        let rows = self.rows().unwrap_or(0);
        (0..rows.div_ceil(PIECE)).map(|n| PIECE.min(rows - n * PIECE)).collect()
    }

    /// The next batch; `None` at the end.
    fn next_batch(&mut self) -> Result<Option<RecordBatch>>;
}

/// Where batches of one schema go to.
trait BatchSink: Send {
    fn write(&mut self, batch: &RecordBatch) -> Result<()>;

    /// Writes what is held back; the file is complete then, though not synced.
    fn finish(self: Box<Self>) -> Result<std::fs::File>;
}
