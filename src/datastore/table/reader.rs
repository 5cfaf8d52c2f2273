//! [`TableReader`]: the rows of a table, batch by batch.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use super::csv::CsvSource;
use super::parquet::ParquetSource;
use super::{BatchSource, TableFormat};
use crate::datastore::error::{DatastoreError, Result};

/// How a table is read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TableOptions {
    /// Rows of a batch, except the last one; at least 1.
    pub batch_rows: usize,
    /// Only these columns, in this order; all, in the file's order, when `None`.
    pub columns: Option<Vec<String>>,
    /// The format; found out when `None`.
    pub format: Option<TableFormat>,
    /// Rows of a CSV file that are looked at to find the types of its columns. `None`: all of them, or what the first 8 MiB hold
    /// of a pipe, which cannot be read twice.
    pub infer_rows: Option<usize>,
}

impl Default for TableOptions {
    fn default() -> Self {
        Self { batch_rows: 65_536, columns: None, format: None, infer_rows: None }
    }
}

/// Reads a table, CSV or Parquet, as an iterator of batches in bounded memory.
///
/// A CSV file has a line of column names. The type of a column is that of all its values: `Boolean`, `Int64`, `UInt64`,
/// `Float64`, else text (numbers with leading zeros are text); an empty cell is null. Lines that begin with `#` above the names, a byte order mark, and gzip are
/// taken away. Parquet columns have their own types, dictionaries and metadata included.
///
/// ```
/// use bunter::datastore::{TableOptions, TableReader};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("stars.csv");
/// std::fs::write(&path, "id,ra,dec\n1,150.1,2.2\n2,,-5\n")?;
/// let reader = TableReader::open(&path, TableOptions::default())?;
/// assert_eq!(reader.schema().field(1).data_type(), &arrow::datatypes::DataType::Float64);
/// let rows: usize = reader.map(|batch| batch.map(|b| b.num_rows())).sum::<Result<_, _>>()?;
/// assert_eq!(rows, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TableReader {
    path: PathBuf,
    format: TableFormat,
    source: Box<dyn BatchSource>,
    failed: bool,
}

impl std::fmt::Debug for TableReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableReader").field("path", &self.path).field("format", &self.format).finish_non_exhaustive()
    }
}

impl TableReader {
    /// Opens a table.
    ///
    /// # Errors
    /// [`DatastoreError::NotFound`], [`DatastoreError::Io`]; [`DatastoreError::Unsupported`] for another kind of file;
    /// [`DatastoreError::NoSuchColumn`] with the near miss; [`DatastoreError::Damaged`].
    pub fn open(path: impl AsRef<Path>, options: TableOptions) -> Result<Self> {
        let path = path.as_ref();
        let mut file = File::open(path).map_err(|e| DatastoreError::io("open", path, e))?;
        let meta = file.metadata().map_err(|e| DatastoreError::io("look at", path, e))?;
        if meta.is_dir() {
            return Err(DatastoreError::unsupported(path, "is a folder, not a table"));
        }
        let mut start = Vec::with_capacity(16);
        file.by_ref().take(16).read_to_end(&mut start).map_err(|e| DatastoreError::io("read", path, e))?;
        let format = match options.format {
            Some(format) => format,
            None => TableFormat::detect(path, &start)?,
        };
        let source: Box<dyn BatchSource> = match format {
            TableFormat::Csv => Box::new(CsvSource::open(path, file, start, meta.is_file(), options)?),
            TableFormat::Parquet if meta.is_file() => Box::new(ParquetSource::open(path, file, options)?),
            TableFormat::Parquet => {
                return Err(DatastoreError::unsupported(path, "is a pipe: Parquet is read from files only"));
            }
        };
        Ok(Self { path: path.to_owned(), format, source, failed: false })
    }

    /// The schema of every batch.
    pub fn schema(&self) -> SchemaRef {
        self.source.schema()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The format that was found.
    pub fn format(&self) -> TableFormat {
        self.format
    }

    /// The number of rows, where it is known without reading them.
    pub fn num_rows(&self) -> Option<u64> {
        self.source.rows()
    }
}

impl Iterator for TableReader {
    type Item = Result<RecordBatch>;

    /// The next batch. After an error there are no more.
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.source.next_batch();
        self.failed = next.is_err();
        next.transpose()
    }
}

/// Where the columns asked for are among those there are.
pub(super) fn projection(path: &Path, known: &[&str], wanted: Option<&[String]>) -> Result<Vec<usize>> {
    let Some(wanted) = wanted else { return Ok((0..known.len()).collect()) };
    wanted
        .iter()
        .map(|name| {
            let at = known.iter().position(|k| k == name);
            at.ok_or_else(|| DatastoreError::no_such_column(path, name, known))
        })
        .collect()
}
