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
    /// HDF5; `.h5`, `.hdf5`, `.hdf`, `.he5`: a compound dataset, or a group of columns.
    Hdf5,
    /// A FITS binary table; `.fits`, `.fit`, `.fts`. May be gzipped (`.fits.gz`) when read.
    Fits,
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
        Self::of_file(&super::address::split(path).0)
            .ok_or_else(|| DatastoreError::unsupported(path, "tables are `.csv`, `.tsv`, `.parquet`, `.h5` or `.fits`"))
    }

    /// Without looking for the name of a table within the file.
    pub(super) fn of_file(path: &Path) -> Option<Self> {
        let name = path.file_name().map(|n| n.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        let endings: [(Self, &[&str]); 4] = [
            (Self::Csv, &[".csv", ".tsv", ".csv.gz", ".tsv.gz"]),
            (Self::Parquet, &[".parquet", ".parq", ".pq"]),
            (Self::Hdf5, &[".h5", ".hdf5", ".hdf", ".he5"]),
            (Self::Fits, &[".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fts.gz"]),
        ];
        endings.into_iter().find(|(_, endings)| endings.iter().any(|e| name.ends_with(e))).map(|(format, _)| format)
    }

    /// The format of a file from its first bytes, else from its name.
    pub(super) fn detect(path: &Path, start: &[u8]) -> Result<Self> {
        if start.starts_with(b"PAR1") {
            return Ok(Self::Parquet);
        }
        if start.starts_with(b"\x89HDF\r\n\x1a\n") {
            return Ok(Self::Hdf5);
        }
        if start.starts_with(b"SIMPLE  =") {
            return Ok(Self::Fits);
        }
        if start.starts_with(b"<?xml") || start.starts_with(b"<VOTABLE") {
            return Err(DatastoreError::unsupported(
                path,
                "is a VOTable or other XML; tables are CSV, Parquet, HDF5 or FITS",
            ));
        }
        let zipped = start.starts_with(&[0x1f, 0x8b]);
        match Self::of_file(path) {
            Some(Self::Parquet) => Err(DatastoreError::damaged(path, "byte 0", "a Parquet file begins with `PAR1`")),
            Some(Self::Fits) if !zipped => {
                Err(DatastoreError::damaged(path, "byte 0", "a FITS file begins with `SIMPLE  =`"))
            }
            // The library looks for the signature behind a user block, too.
            Some(format) => Ok(format),
            // A pipe (`/dev/fd/63`) or a name without ending: text is CSV.
            None if !start.contains(&0) => Ok(Self::Csv),
            None => Self::of_name(path),
        }
    }

    /// Whether columns are parted by tabs.
    pub(super) fn delimiter(path: &Path) -> u8 {
        let name = path.file_name().map(|n| n.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        if [".tsv", ".tsv.gz"].iter().any(|e| name.ends_with(e)) { b'\t' } else { b',' }
    }
}

impl std::fmt::Display for TableFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Csv => "CSV",
            Self::Parquet => "Parquet",
            Self::Hdf5 => "HDF5",
            Self::Fits => "FITS",
        })
    }
}
