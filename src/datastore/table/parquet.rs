//! Parquet, by its own crate; columns are unpacked and packed side by side.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int32Type, Int64Type, SchemaRef, UInt32Type, UInt64Type};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use rayon::prelude::*;

use super::reader::{clamp, projection};
use super::{BatchSink, BatchSource, TableOptions};
use crate::datastore::error::{DatastoreError, Result};

/// Bytes and rows of a row group in memory before it is written.
const ROW_GROUP_BYTES: usize = 128 << 20;
const ROW_GROUP_ROWS: usize = 1 << 20;
/// Values of a column that are looked at to choose its encoding.
const SAMPLE: usize = 2048;

/// A file that several threads read at places of their own.
#[derive(Clone)]
struct Shared {
    file: Arc<File>,
    length: u64,
}

/// A place in such a file.
struct From {
    file: Arc<File>,
    at: u64,
}

impl Read for From {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Length for Shared {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Shared {
    type T = BufReader<From>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(BufReader::new(From { file: Arc::clone(&self.file), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.length) {
            return Err(ParquetError::EOF(format!("needs {length} bytes from byte {start} on, the file ends before")));
        }
        let mut buffer = vec![0; length];
        self.file.read_exact_at(&mut buffer, start)?;
        Ok(buffer.into())
    }
}

pub(super) struct ParquetSource {
    path: PathBuf,
    /// One for each column that is read, in the file's order; all give the same rows.
    readers: Vec<ParquetRecordBatchReader>,
    schema: SchemaRef,
    /// The reader of each wanted column.
    order: Vec<usize>,
    groups: Vec<u64>,
    read: u64,
}

impl ParquetSource {
    pub(super) fn open(path: &Path, file: File, options: &TableOptions) -> Result<Self> {
        let damaged = |e: ParquetError| DatastoreError::damaged(path, "the footer", message(&e));
        let length = file.metadata().map_err(|e| DatastoreError::io("look at", path, e))?.len();
        let shared = Shared { file: Arc::new(file), length };
        let metadata =
            guarded(|| ArrowReaderMetadata::load(&shared, ArrowReaderOptions::default())).map_err(damaged)?;
        let schema = metadata.schema().clone();
        let groups: Vec<u64> =
            metadata.metadata().row_groups().iter().map(|g| u64::try_from(g.num_rows()).unwrap_or(0)).collect();
        let known: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let wanted = projection(path, &known, options.columns.as_deref())?;
        let mut sorted = wanted.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let order = wanted.iter().filter_map(|w| sorted.binary_search(w).ok()).collect();
        let projected =
            schema.project(&wanted).map_err(|e| DatastoreError::damaged(path, "the schema", e.to_string()))?;
        // Row groups without a wanted row are not touched.
        let total = groups.iter().fold(0_u64, |a, b| a.saturating_add(*b));
        let rows = clamp(options.rows.as_ref(), total);
        let (mut before, mut skipped, mut touched) = (0_u64, 0, Vec::new());
        for (n, count) in groups.iter().enumerate() {
            let end = before.saturating_add(*count);
            if end <= rows.start {
                skipped = end;
            } else if before < rows.end {
                touched.push(n);
            }
            before = end;
        }
        let open = |columns: &[usize]| -> Result<ParquetRecordBatchReader, ParquetError> {
            guarded(|| {
                let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(shared.clone(), metadata.clone());
                let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
                builder = builder.with_projection(mask).with_batch_size(options.batch_rows.max(1));
                if options.rows.is_some() {
                    builder = builder
                        .with_row_groups(touched.clone())
                        .with_offset((rows.start - skipped) as usize)
                        .with_limit((rows.end - rows.start) as usize);
                }
                builder.build()
            })
        };
        // Rows are counted also where no column is wanted.
        let readers = if sorted.is_empty() { vec![open(&[])] } else { sorted.iter().map(|c| open(&[*c])).collect() };
        Ok(Self {
            path: path.to_owned(),
            readers: readers.into_iter().collect::<Result<_, _>>().map_err(damaged)?,
            schema: SchemaRef::new(projected),
            order,
            groups,
            read: 0,
        })
    }
}

impl BatchSource for ParquetSource {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn rows(&self) -> Option<u64> {
        Some(self.groups.iter().fold(0, |a, b| a.saturating_add(*b)))
    }

    fn pieces(&self) -> Vec<u64> {
        self.groups.clone()
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let (path, read) = (&self.path, self.read);
        let damaged = |reason: String| DatastoreError::damaged(path, format!("row {} or after", read + 1), reason);
        let next: Vec<_> = self
            .readers
            .par_iter_mut()
            .map(|reader| guarded(|| reader.next().transpose().map_err(|e| ParquetError::General(e.to_string()))))
            .collect();
        let next = next.into_iter().collect::<Result<Vec<_>, _>>().map_err(|e| damaged(message(&e)))?;
        let Some(batches) = next.iter().cloned().collect::<Option<Vec<RecordBatch>>>() else {
            return if next.iter().all(Option::is_none) {
                Ok(None)
            } else {
                Err(damaged("its columns have different numbers of rows".to_owned()))
            };
        };
        let rows = batches.first().map_or(0, RecordBatch::num_rows);
        let columns = self.order.iter().map(|at| batches[*at].column(0).clone()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(|e| damaged(e.to_string()))?;
        self.read += rows as u64;
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
    schema: SchemaRef,
    /// Until the first rows have shown how columns are best encoded.
    file: Option<BufWriter<File>>,
    writer: Option<(SerializedFileWriter<BufWriter<File>>, ArrowRowGroupWriterFactory)>,
    /// The row group that is being made: a writer a leaf, and the rows so far.
    columns: Vec<ArrowColumnWriter>,
    rows: usize,
    groups: usize,
}

impl ParquetSink {
    pub(super) fn new(path: &Path, file: File, schema: &SchemaRef) -> Result<Self> {
        // What cannot be written is found out before anything is.
        ArrowWriter::try_new(std::io::sink(), schema.clone(), None).map_err(|e| failed(path, &e))?;
        Ok(Self {
            path: path.to_owned(),
            schema: schema.clone(),
            file: Some(BufWriter::with_capacity(1 << 20, file)),
            writer: None,
            columns: Vec::new(),
            rows: 0,
            groups: 0,
        })
    }

    fn begin(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let zstd = ZstdLevel::try_new(1).unwrap_or_default();
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(zstd))
            .set_created_by(concat!("bunter ", env!("CARGO_PKG_VERSION")).to_owned());
        for (field, array) in self.schema.fields().iter().zip(batch.columns()) {
            if let Some(encoding) = encoding(array) {
                let path = ColumnPath::from(field.name().as_str());
                properties =
                    properties.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path, encoding);
            }
        }
        let writer = ArrowWriter::try_new(file, self.schema.clone(), Some(properties.build()))?;
        self.writer = Some(writer.into_serialized_writer()?);
        Ok(())
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        if self.columns.is_empty()
            && let Some((_, factory)) = &self.writer
        {
            self.columns = factory.create_column_writers(self.groups)?;
        }
        let leaves = self
            .schema
            .fields()
            .par_iter()
            .zip(batch.columns())
            .map(|(field, array)| compute_leaves(field, array))
            .collect::<Result<Vec<_>, _>>()?;
        let leaves: Vec<_> = leaves.into_iter().flatten().collect();
        self.columns.par_iter_mut().zip(&leaves).try_for_each(|(writer, leaf)| writer.write(leaf))?;
        self.rows += batch.num_rows();
        let bytes: usize = self.columns.iter().map(ArrowColumnWriter::get_estimated_total_bytes).sum();
        if self.rows >= ROW_GROUP_ROWS || bytes > ROW_GROUP_BYTES { self.end_group() } else { Ok(()) }
    }

    fn end_group(&mut self) -> Result<(), ParquetError> {
        let Some((writer, _)) = &mut self.writer else { return Ok(()) };
        if self.rows == 0 {
            return Ok(());
        }
        let columns = std::mem::take(&mut self.columns);
        let chunks = columns.into_par_iter().map(ArrowColumnWriter::close).collect::<Result<Vec<_>, _>>()?;
        let mut group = writer.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group)?;
        }
        group.close()?;
        (self.rows, self.groups) = (0, self.groups + 1);
        Ok(())
    }
}

/// The encoding of a column in which hardly a value comes twice, for which a dictionary is made in vain: integers as differences, reals as they are.
fn encoding(array: &ArrayRef) -> Option<Encoding> {
    macro_rules! distinct {
        ($type:ty, $bits:expr) => {{
            let array = array.as_primitive::<$type>();
            let step = (array.len() / SAMPLE).max(1);
            let sample: Vec<_> =
                (0..array.len()).step_by(step).filter(|i| array.is_valid(*i)).map(|i| $bits(array.value(i))).collect();
            let distinct = sample.iter().collect::<HashSet<_>>().len();
            sample.len() >= 64 && 2 * distinct > sample.len()
        }};
    }
    let same = |v: i64| v;
    match array.data_type() {
        DataType::Int32 => distinct!(Int32Type, |v: i32| v).then_some(Encoding::DELTA_BINARY_PACKED),
        DataType::UInt32 => distinct!(UInt32Type, |v: u32| v).then_some(Encoding::DELTA_BINARY_PACKED),
        DataType::Int64 => distinct!(Int64Type, same).then_some(Encoding::DELTA_BINARY_PACKED),
        DataType::UInt64 => distinct!(UInt64Type, |v: u64| v).then_some(Encoding::DELTA_BINARY_PACKED),
        DataType::Float32 => distinct!(Float32Type, f32::to_bits).then_some(Encoding::PLAIN),
        DataType::Float64 => distinct!(Float64Type, f64::to_bits).then_some(Encoding::PLAIN),
        _ => None,
    }
}

impl BatchSink for ParquetSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let write = |sink: &mut Self| -> Result<(), ParquetError> {
            sink.begin(batch)?;
            let mut at = 0;
            while at < batch.num_rows() {
                let count = (ROW_GROUP_ROWS - sink.rows).min(batch.num_rows() - at);
                sink.add(&batch.slice(at, count))?;
                at += count;
            }
            Ok(())
        };
        write(self).map_err(|e| failed(&self.path, &e))
    }

    fn finish(mut self: Box<Self>) -> Result<File> {
        let path = self.path.clone();
        self.begin(&RecordBatch::new_empty(self.schema.clone())).map_err(|e| failed(&path, &e))?;
        self.end_group().map_err(|e| failed(&path, &e))?;
        let Some((writer, _)) = self.writer.take() else {
            return Err(DatastoreError::inconsistent(&path, "a table is finished once"));
        };
        let buffered = writer.into_inner().map_err(|e| failed(&path, &e))?;
        buffered.into_inner().map_err(|e| DatastoreError::io("write", &path, e.into_error()))
    }
}

fn failed(path: &Path, error: &ParquetError) -> DatastoreError {
    DatastoreError::io("write", path, std::io::Error::other(message(error)))
}
