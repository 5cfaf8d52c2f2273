//! Parquet, by its own crate.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::reader::projection;
use super::{BatchSink, BatchSource, TableOptions};
use crate::datastore::error::{DatastoreError, Result};

/// Bytes of a row group in memory before it is written.
const ROW_GROUP_BYTES: usize = 128 << 20;

pub(super) struct ParquetSource {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    schema: SchemaRef,
    /// Where the columns of a batch go; `None` when they are in order.
    order: Option<Vec<usize>>,
    rows: u64,
    read: u64,
}

impl ParquetSource {
    pub(super) fn open(path: &Path, file: File, options: TableOptions) -> Result<Self> {
        let damaged = |e: ParquetError| DatastoreError::damaged(path, "the footer", message(&e));
        let builder = guarded(|| ParquetRecordBatchReaderBuilder::try_new(file)).map_err(damaged)?;
        let schema = builder.schema().clone();
        let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let known: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let wanted = projection(path, &known, options.columns.as_deref())?;
        let mask = ProjectionMask::roots(builder.parquet_schema(), wanted.iter().copied());
        let mut sorted = wanted.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let order =
            (sorted != wanted).then(|| wanted.iter().filter_map(|w| sorted.binary_search(w).ok()).collect::<Vec<_>>());
        let projected =
            schema.project(&wanted).map_err(|e| DatastoreError::damaged(path, "the schema", e.to_string()))?;
        let builder = builder.with_projection(mask).with_batch_size(options.batch_rows.max(1));
        let reader = guarded(|| builder.build()).map_err(damaged)?;
        Ok(Self { path: path.to_owned(), reader, schema: SchemaRef::new(projected), order, rows, read: 0 })
    }
}

impl BatchSource for ParquetSource {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn rows(&self) -> Option<u64> {
        Some(self.rows)
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let damaged =
            |reason: String| DatastoreError::damaged(&self.path, format!("row {} or after", self.read), reason);
        let reader = &mut self.reader;
        let next = guarded(|| reader.next().transpose().map_err(|e| ParquetError::General(e.to_string())));
        let Some(batch) = next.map_err(|e| damaged(message(&e)))? else { return Ok(None) };
        let columns = match &self.order {
            None => batch.columns().to_vec(),
            Some(order) => order.iter().map(|at| batch.column(*at).clone()).collect(),
        };
        let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(|e| damaged(e.to_string()))?;
        self.read += batch.num_rows() as u64;
        Ok(Some(batch))
    }
}

/// Damaged files can make the decoder panic; that is an error of the file.
fn guarded<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(ParquetError::General("its bytes contradict each other".to_owned())))
}

fn message(error: &ParquetError) -> String {
    let text = error.to_string();
    text.strip_prefix("Parquet error: ").map_or_else(|| text.clone(), str::to_owned)
}

pub(super) struct ParquetSink {
    path: PathBuf,
    writer: ArrowWriter<BufWriter<File>>,
}

impl ParquetSink {
    pub(super) fn new(path: &Path, file: File, schema: &SchemaRef) -> Result<Self> {
        let zstd = ZstdLevel::try_new(1).unwrap_or_default();
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(zstd))
            .set_created_by(concat!("bunter ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let file = BufWriter::with_capacity(1 << 20, file);
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties)).map_err(|e| failed(path, &e))?;
        Ok(Self { path: path.to_owned(), writer })
    }
}

impl BatchSink for ParquetSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(|e| failed(&self.path, &e))?;
        if self.writer.in_progress_size() > ROW_GROUP_BYTES {
            self.writer.flush().map_err(|e| failed(&self.path, &e))?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<File> {
        let buffered = self.writer.into_inner().map_err(|e| failed(&self.path, &e))?;
        buffered.into_inner().map_err(|e| DatastoreError::io("write", &self.path, e.into_error()))
    }
}

fn failed(path: &Path, error: &ParquetError) -> DatastoreError {
    DatastoreError::io("write", path, std::io::Error::other(message(error)))
}
