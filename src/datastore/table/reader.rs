//! [`TableReader`]: the rows of a table, batch by batch.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use super::address::split;
use super::csv::CsvSource;
use super::fits_source::FitsSource;
use super::hdf5_source::Hdf5Source;
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
    /// The table, in a file that may hold several: an object's path in HDF5, the number or `EXTNAME` of an extension in FITS. `None`: what the
    /// address says (`file.h5#/data/objects`, `file.fits[2]`), else the only one there is (HDF5) or the first one (FITS).
    pub object: Option<String>,
    /// Only these rows, counted from 0; what is behind the last row is left out. All when `None`.
    pub rows: Option<Range<u64>>,
}

impl Default for TableOptions {
    fn default() -> Self {
        Self { batch_rows: 65_536, columns: None, format: None, infer_rows: None, object: None, rows: None }
    }
}

/// Reads a table, CSV, Parquet, HDF5 or FITS, as an iterator of batches in bounded memory.
///
/// **CSV** has a line of column names. The type of a column is that of all its values: `Boolean`, `Int64`, `UInt64`,
/// `Float64`, else text (numbers with leading zeros are text); an empty cell is null. Lines that begin with `#` above the names, a byte order mark, and gzip are
/// taken away.
///
/// **Parquet** columns have their own types, dictionaries and metadata included.
///
/// **HDF5**: a one-dimensional compound dataset (h5py, `PyTables`, astropy; pandas with `format="table"`), or a group of datasets with the same number of
/// rows, one a column. Integers, reals, logicals, texts of fixed and of variable length; arrays become fixed-size lists, sequences of variable length lists.
/// Attributes are metadata.
///
/// **FITS**: a binary table with columns of any form. Unsigned integers (`TZERO`) are such, `TNULL` is null, other scaled columns are `Float64`, arrays
/// are fixed-size lists in the shape of `TDIM`, cells in the heap lists; bits are logicals, complex numbers lists of 2.
/// `TUNIT`, `TCOMM` and `TUCD` are a field's metadata `unit`, `description`, `ucd`; the header's other cards are the schema's, `fits:header`.
///
/// `docs/tables.md` has the whole mapping.
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
    #[expect(clippy::needless_pass_by_value, reason = "options are written where they are needed")]
    pub fn open(path: impl AsRef<Path>, options: TableOptions) -> Result<Self> {
        let (path, object) = split(path.as_ref());
        let (path, object) = (path.as_path(), options.object.as_deref().or(object.as_deref()));
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
        if let (Some(object), TableFormat::Csv | TableFormat::Parquet) = (object, format) {
            return Err(DatastoreError::unsupported(
                path,
                format!("is {format}, which has no table `{object}` within"),
            ));
        }
        if !meta.is_file() && format != TableFormat::Csv {
            return Err(DatastoreError::unsupported(path, format!("is a pipe: {format} is read from files only")));
        }
        let source: Box<dyn BatchSource> = match format {
            TableFormat::Csv => Box::new(CsvSource::open(path, file, start, meta.is_file(), &options)?),
            TableFormat::Parquet => Box::new(ParquetSource::open(path, file, &options)?),
            TableFormat::Hdf5 => Box::new(Hdf5Source::open(path, object, &options)?),
            TableFormat::Fits => Box::new(FitsSource::open(path, object, start.starts_with(&[0x1f, 0x8b]), &options)?),
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

    /// The number of rows of the table, where it is known without reading them.
    pub fn num_rows(&self) -> Option<u64> {
        self.source.rows()
    }

    /// The table in pieces that are read on their own without loss, to be shared out: how many rows each has, in the order of the table. Parquet's are
    /// its row groups, others are cut every so many rows; a CSV file is one piece. Give them back as [`TableOptions::rows`].
    ///
    /// ```
    /// use bunter::datastore::{TableOptions, TableReader};
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("stars.csv");
    /// std::fs::write(&path, "id\n1\n2\n3\n")?;
    /// assert_eq!(TableReader::open(&path, TableOptions::default())?.pieces(), [3]);
    /// let mut second = TableOptions::default();
    /// second.rows = Some(1..2);
    /// assert_eq!(TableReader::open(&path, second)?.next().transpose()?.map(|b| b.num_rows()), Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pieces(&self) -> Vec<u64> {
        self.source.pieces()
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

/// The rows asked for among those there are.
pub(super) fn clamp(rows: Option<&Range<u64>>, total: u64) -> Range<u64> {
    rows.map_or(0..total, |r| r.start.min(total)..r.end.clamp(r.start.min(total), total))
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
