//! [`TableWriter`]: a table that is there whole or not at all.

use std::fs::{self, File, Permissions};
use std::io::BufWriter;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use tempfile::NamedTempFile;

use super::address::split;
use super::fits_sink::FitsSink;
use super::hdf5_sink::Hdf5Sink;
use super::parquet::ParquetSink;
use super::{BatchSink, TableFormat};
use crate::datastore::error::{DatastoreError, Result};
use crate::datastore::local::{parent, sync_folder};

/// How a table is written.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TableWriterOptions {
    /// The format; from the ending of the name when `None`.
    pub format: Option<TableFormat>,
    /// Refuse to replace a file.
    pub keep_existing: bool,
}

/// Writes a table, CSV, Parquet, HDF5 or FITS, batch by batch.
///
/// Rows go to a temporary file in the same folder, whose name begins with a dot. [`finish`](Self::finish) syncs it and gives it its name, in place of a file
/// that had it; dropped before, nothing is left. CSV holds every digit of a float; Parquet is compressed by zstd and keeps nulls,
/// dictionaries and the schema's metadata.
///
/// HDF5 files have one group of one-dimensional datasets, one a column, in chunks packed by gzip and shuffled, which any HDF5 tool reads; `file.h5#/data/objects` names the group (else
/// `table`). Nulls are in a dataset `<column>.valid` beside. FITS files have one binary table after an empty primary unit, with `DATASUM` and `CHECKSUM`; `file.fits[OBJECTS]` gives its
/// `EXTNAME`. Null integers become `TNULL`, null reals the NaN of ones alone, null texts begin with a NUL. What neither has a form for (dictionaries, dates) is
/// written as what it is made of, with a note of its type, so that it reads back as it was; what cannot be written is refused by the column's name. `docs/tables.md` has the whole mapping.
///
/// ```
/// use std::sync::Arc;
/// use arrow::array::{ArrayRef, Float64Array};
/// use arrow::record_batch::RecordBatch;
/// use bunter::datastore::TableWriter;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("stars.csv");
///
/// let batch = RecordBatch::try_from_iter([("ra", Arc::new(Float64Array::from(vec![0.1, 1.0 / 3.0])) as ArrayRef)])?;
/// let mut writer = TableWriter::create(&path, batch.schema())?;
/// writer.write(&batch)?;
/// assert_eq!(writer.finish()?, 2);
/// assert_eq!(std::fs::read_to_string(&path)?, "ra\n0.1\n0.3333333333333333\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "without `finish` nothing is left"]
pub struct TableWriter {
    path: PathBuf,
    temporary: NamedTempFile,
    sink: Box<dyn BatchSink>,
    schema: SchemaRef,
    keep_existing: bool,
    rows: u64,
}

impl std::fmt::Debug for TableWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableWriter").field("path", &self.path).field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl TableWriter {
    /// Begins a table; the ending of the name says its format.
    ///
    /// # Errors
    /// [`DatastoreError::Unsupported`] for an ending or a type of column that cannot be written, and for a path that is a folder or a device;
    /// [`DatastoreError::Io`].
    pub fn create(path: impl AsRef<Path>, schema: SchemaRef) -> Result<Self> {
        Self::create_with(path, schema, &TableWriterOptions::default())
    }

    /// [`create`](Self::create) with options.
    ///
    /// # Errors
    /// Those of [`create`](Self::create), and [`DatastoreError::AlreadyExists`] where asked for.
    pub fn create_with(path: impl AsRef<Path>, schema: SchemaRef, options: &TableWriterOptions) -> Result<Self> {
        let (path, object) = split(path.as_ref());
        let path = path.as_path();
        let format = match options.format {
            Some(format) => format,
            None => TableFormat::of_name(path)?,
        };
        if let (Some(object), TableFormat::Csv | TableFormat::Parquet) = (&object, format) {
            return Err(DatastoreError::unsupported(path, format!("{format} files have no table `{object}` within")));
        }
        // A link stays one: the file that it leads to is replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if let Ok(meta) = fs::symlink_metadata(&path) {
            if !meta.is_file() {
                return Err(DatastoreError::unsupported(
                    &path,
                    "is no ordinary file and cannot be replaced by a table",
                ));
            }
            if options.keep_existing {
                return Err(DatastoreError::AlreadyExists { path });
            }
        }
        let gzip = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz"));
        if gzip {
            return Err(DatastoreError::unsupported(&path, "compressed files are read, not written; write `.parquet`"));
        }
        let folder = parent(&path);
        let mut prefix = std::ffi::OsString::from(".");
        prefix.push(path.file_name().unwrap_or_default());
        prefix.push(".");
        let temporary = tempfile::Builder::new()
            .prefix(&prefix)
            .suffix(".bunter-tmp")
            // As for any new file the person's umask takes away what it takes away.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(&folder)
            .map_err(|e| DatastoreError::io("create a file in", &folder, e))?;
        let file = temporary.reopen().map_err(|e| DatastoreError::io("open", temporary.path(), e))?;
        let sink: Box<dyn BatchSink> = match format {
            TableFormat::Csv => Box::new(CsvSink::new(&path, file, &schema)?),
            TableFormat::Parquet => Box::new(ParquetSink::new(&path, file, &schema)?),
            TableFormat::Hdf5 => Box::new(Hdf5Sink::new(&path, temporary.path(), file, object.as_deref(), &schema)?),
            TableFormat::Fits => Box::new(FitsSink::new(&path, file, &folder, object.as_deref(), &schema)?),
        };
        Ok(Self { path, temporary, sink, schema, keep_existing: options.keep_existing, rows: 0 })
    }

    /// Adds the rows of a batch.
    ///
    /// # Errors
    /// [`DatastoreError::Inconsistent`] for another schema, [`DatastoreError::Io`].
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let same = batch.num_columns() == self.schema.fields().len()
            && batch
                .schema_ref()
                .fields()
                .iter()
                .zip(self.schema.fields())
                .all(|(ours, theirs)| ours.name() == theirs.name() && ours.data_type() == theirs.data_type());
        if !same {
            let reason = "a batch has other columns than the table was begun with";
            return Err(DatastoreError::inconsistent(&self.path, reason));
        }
        self.sink.write(batch)?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes the table to disk and gives it its name. Returns the number of rows.
    ///
    /// # Errors
    /// [`DatastoreError::Io`], [`DatastoreError::AlreadyExists`] where asked for; nothing is left then.
    pub fn finish(self) -> Result<u64> {
        let Self { path, temporary, sink, keep_existing, rows, .. } = self;
        let file = sink.finish()?;
        file.sync_all().map_err(|e| DatastoreError::io("sync", &path, e))?;
        let named = if keep_existing { temporary.persist_noclobber(&path) } else { temporary.persist(&path) };
        named.map_err(|e| DatastoreError::io("name", &path, e.error))?;
        sync_folder(&parent(&path))?;
        Ok(rows)
    }
}

struct CsvSink {
    path: PathBuf,
    writer: arrow::csv::Writer<BufWriter<File>>,
    empty: Option<RecordBatch>,
}

impl CsvSink {
    fn new(path: &Path, file: File, schema: &SchemaRef) -> Result<Self> {
        if let Some(nested) = schema.fields().iter().find(|f| f.data_type().is_nested()) {
            let what = format!(
                "column `{}` is a {}, which CSV cannot hold; write `.parquet`, `.h5` or `.fits`",
                nested.name(),
                nested.data_type()
            );
            return Err(DatastoreError::unsupported(path, what));
        }
        let delimiter = TableFormat::delimiter(path);
        let writer = arrow::csv::WriterBuilder::new().with_header(true).with_delimiter(delimiter);
        let writer = writer.build(BufWriter::with_capacity(1 << 20, file));
        Ok(Self { path: path.to_owned(), writer, empty: Some(RecordBatch::new_empty(schema.clone())) })
    }
}

impl BatchSink for CsvSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.empty = None;
        self.writer.write(batch).map_err(|e| DatastoreError::io("write", &self.path, std::io::Error::other(e)))
    }

    fn finish(mut self: Box<Self>) -> Result<File> {
        // A table without rows has its names all the same.
        if let Some(empty) = self.empty.take() {
            self.write(&empty)?;
        }
        let path = self.path;
        self.writer.into_inner().into_inner().map_err(|e| DatastoreError::io("write", &path, e.into_error()))
    }
}
