//! [`TableFormat`]: how a table lies in its file.

use std::path::Path;

use crate::datastore::error::{DatastoreError, Result};

/// How a table lies in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TableFormat {
    /// Text with a line of column names; `.csv`, or `.tsv` with tabs. May be gzipped (`.csv.gz`) when read.
    Csv,
    /// Apache Parquet; `.parquet`, `.parq`, `.pq`.
    Parquet,
}

impl TableFormat {
    /// The format that the ending of a name stands for.
    ///
    /// ```
    /// use bunter::datastore::TableFormat;
    ///
    /// assert_eq!(TableFormat::of_name("objects.parquet".as_ref())?, TableFormat::Parquet);
    /// assert!(TableFormat::of_name("objects.xls".as_ref()).is_err());
    /// # Ok::<(), bunter::datastore::DatastoreError>(())
    /// ```
    ///
    /// # Errors
    /// [`DatastoreError::Unsupported`], naming the endings there are.
    pub fn of_name(path: &Path) -> Result<Self> {
        let name = path.file_name().map(|n| n.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        let ends = |endings: &[&str]| endings.iter().any(|e| name.ends_with(e));
        if ends(&[".csv", ".tsv", ".csv.gz", ".tsv.gz"]) {
            Ok(Self::Csv)
        } else if ends(&[".parquet", ".parq", ".pq"]) {
            Ok(Self::Parquet)
        } else {
            Err(DatastoreError::unsupported(path, "tables are `.csv`, `.tsv` or `.parquet`"))
        }
    }

    /// The format of a file from its first bytes, else from its name.
    pub(super) fn detect(path: &Path, start: &[u8]) -> Result<Self> {
        let other =
            |what: &str| Err(DatastoreError::unsupported(path, format!("is {what}; tables are CSV or Parquet")));
        if start.starts_with(b"PAR1") {
            return Ok(Self::Parquet);
        }
        if start.starts_with(b"\x89HDF\r\n\x1a\n") {
            return other("an HDF5 file");
        }
        if start.starts_with(b"SIMPLE  =") {
            return other("a FITS file");
        }
        if start.starts_with(b"<?xml") || start.starts_with(b"<VOTABLE") {
            return other("a VOTable or other XML");
        }
        match Self::of_name(path) {
            Ok(Self::Parquet) => Err(DatastoreError::damaged(path, "byte 0", "a Parquet file begins with `PAR1`")),
            Ok(format) => Ok(format),
            // A pipe (`/dev/fd/63`) or a name without ending: text is CSV.
            Err(_) if !start.contains(&0) => Ok(Self::Csv),
            Err(error) => Err(error),
        }
    }

    /// Whether columns are parted by tabs.
    pub(super) fn delimiter(path: &Path) -> u8 {
        let name = path.file_name().map(|n| n.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        if name.ends_with(".tsv") || name.ends_with(".tsv.gz") { b'\t' } else { b',' }
    }
}

impl std::fmt::Display for TableFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Csv => "CSV",
            Self::Parquet => "Parquet",
        })
    }
}
