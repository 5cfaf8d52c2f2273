//! [`DatastoreError`]: why bytes could not be stored, found or understood.

use std::path::{Path, PathBuf};

use crate::dataset::StorageClass;
use crate::wcs::{PixelBox, WcsError};

/// Why bytes could not be stored, found or understood. Each variant names the file, and the place in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatastoreError {
    /// The operating system refused.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried, `read`, `create`, `sync` …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no such file.
    #[error("no file `{}`; if the repository's registry names it, run `bunter verify`", path.display())]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// A file of that name is there already. Final files are never overwritten.
    #[error("`{}` exists already and is never overwritten; put the dataset into another run, or remove it first", path.display())]
    AlreadyExists {
        /// The file.
        path: PathBuf,
    },
    /// A path that may not be used in a repository.
    #[error("path `{path}` cannot be used: {reason}")]
    BadPath {
        /// The path as it was given.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The file is truncated, or its bytes contradict each other.
    #[error("`{}` is damaged at {place}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// HDU, object or byte range.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// The file has another size than its record says.
    #[error("`{}` has {found} bytes, its record says {expected}: it was truncated, or replaced behind the registry's back", path.display())]
    WrongSize {
        /// The file.
        path: PathBuf,
        /// Bytes by the record.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// The file has the right size and other bytes than its record says.
    #[error("`{}` has checksum {found:016x}, its record says {expected:016x}: some bytes were changed", path.display())]
    WrongChecksum {
        /// The file.
        path: PathBuf,
        /// xxh3-64 by the record.
        expected: u64,
        /// xxh3-64 of the bytes there are.
        found: u64,
    },
    /// The HDF5 library failed.
    #[error("`{}`, HDF5 object `{object}`: {message}", path.display())]
    Hdf5 {
        /// The file.
        path: PathBuf,
        /// The object's name in the file.
        object: String,
        /// What the library said.
        message: String,
    },
    /// An HDU that cannot be used as asked.
    #[error("`{}`, HDU {hdu}: {message}", path.display())]
    Fits {
        /// The file.
        path: PathBuf,
        /// Index of the HDU, 0 is the primary.
        hdu: usize,
        /// What is wrong, and what to do.
        message: String,
    },
    /// The file has fewer HDUs.
    #[error("`{}` has no HDU {hdu}: it has {count} (0 is the primary)", path.display())]
    NoSuchHdu {
        /// The file.
        path: PathBuf,
        /// The HDU asked for.
        hdu: usize,
        /// The number of HDUs there are.
        count: usize,
    },
    /// A subset that is not inside the image. Boxes are never clipped silently.
    #[error("`{}`, {place}: the box {wanted} is not inside the image, which holds {held}", path.display())]
    OutsideImage {
        /// The file.
        path: PathBuf,
        /// HDU or object.
        place: String,
        /// The box asked for.
        wanted: PixelBox,
        /// The box there is.
        held: PixelBox,
    },
    /// The storage class has no component of that name.
    #[error("{storage_class} has no component `{component}`{}; it has {}", near.map(|n| format!(" (did you mean `{n}`?)")).unwrap_or_default(), known.join(", "))]
    UnknownComponent {
        /// The component asked for.
        component: String,
        /// The storage class.
        storage_class: StorageClass,
        /// The component spelled nearly the same.
        near: Option<&'static str>,
        /// All there are.
        known: &'static [&'static str],
    },
    /// The file holds another thing than was asked for.
    #[error("`{}` holds {found}, asked for {wanted}", path.display())]
    WrongStorageClass {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        wanted: String,
        /// What it holds.
        found: String,
    },
    /// A value, format or option that this cannot be done with.
    #[error("`{}`: {what}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What cannot be done, and what can.
        what: String,
    },
    /// A dataset whose parts contradict each other was given to be stored.
    #[error("cannot store `{}`: {reason}", path.display())]
    Inconsistent {
        /// The file that was to be written.
        path: PathBuf,
        /// Which parts contradict each other.
        reason: String,
    },
    /// A header without a WCS that can be used.
    #[error("`{}`, {place}: {source}", path.display())]
    Wcs {
        /// The file.
        path: PathBuf,
        /// HDU or object.
        place: String,
        /// What is wrong with it.
        source: Box<WcsError>,
    },
    /// A cell of a table that cannot be used.
    #[error("`{}`, row {row}, column `{column}`: {problem}", path.display())]
    BadRow {
        /// The file.
        path: PathBuf,
        /// The row, counted from 1; a line of column names is not counted.
        row: u64,
        /// The column.
        column: String,
        /// What is wrong with the cell.
        problem: String,
    },
    /// A table has no column of that name.
    #[error("`{}` has no column `{column}`{}; it has {}", path.display(), near.as_ref().map(|n| format!(" (did you mean `{n}`?)")).unwrap_or_default(), known.join(", "))]
    NoSuchColumn {
        /// The file.
        path: PathBuf,
        /// The column asked for.
        column: String,
        /// The column spelled nearly the same.
        near: Option<String>,
        /// All there are.
        known: Vec<String>,
    },
    /// Text that is no JSON.
    #[error("`{}` is no JSON: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
}

impl DatastoreError {
    /// An error of the operating system; a missing or existing file gets its own variant.
    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            std::io::ErrorKind::NotFound => Self::NotFound { path },
            std::io::ErrorKind::AlreadyExists => Self::AlreadyExists { path },
            _ => Self::Io { action, path, source },
        }
    }

    pub(crate) fn damaged(path: &Path, place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), place: place.into(), reason: reason.into() }
    }

    pub(crate) fn fits(path: &Path, hdu: usize, message: impl Into<String>) -> Self {
        Self::Fits { path: path.to_owned(), hdu, message: message.into() }
    }

    pub(crate) fn hdf5(path: &Path, object: impl Into<String>, source: &hdf5::Error) -> Self {
        let message = source.to_string();
        // The library buries the one cause that has its own remedy in a paragraph.
        if message.contains("No space left on device") {
            return Self::Io { action: "write", path: path.to_owned(), source: no_space() };
        }
        Self::Hdf5 { path: path.to_owned(), object: object.into(), message }
    }

    pub(crate) fn inconsistent(path: &Path, reason: impl Into<String>) -> Self {
        Self::Inconsistent { path: path.to_owned(), reason: reason.into() }
    }

    pub(crate) fn unsupported(path: &Path, what: impl Into<String>) -> Self {
        Self::Unsupported { path: path.to_owned(), what: what.into() }
    }

    pub(crate) fn wcs(path: &Path, place: impl Into<String>, source: WcsError) -> Self {
        Self::Wcs { path: path.to_owned(), place: place.into(), source: Box::new(source) }
    }

    /// `column` is not one of a table's.
    pub(crate) fn no_such_column(path: &Path, column: &str, known: &[&str]) -> Self {
        let lower = column.to_lowercase();
        let near = known
            .iter()
            .map(|name| (strsim::osa_distance(&name.to_lowercase(), &lower), *name))
            .filter(|(distance, _)| *distance <= 1 + column.len() / 3)
            .min()
            .map(|(_, name)| name.to_owned());
        let known = known.iter().map(|k| (*k).to_owned()).collect();
        Self::NoSuchColumn { path: path.to_owned(), column: column.to_owned(), near, known }
    }

    /// `component` is not one of the storage class's.
    pub(crate) fn unknown_component(component: &str, storage_class: StorageClass) -> Self {
        let known = storage_class.components();
        let near = known
            .iter()
            .map(|name| (strsim::osa_distance(name, component), *name))
            .filter(|(distance, _)| *distance <= 1 + component.len() / 3)
            .min()
            .map(|(_, name)| name);
        Self::UnknownComponent { component: component.to_owned(), storage_class, near, known }
    }
}

/// The result of this room's functions.
pub(crate) type Result<T, E = DatastoreError> = std::result::Result<T, E>;

/// What the system says of a full disk, where a library has kept its words.
pub(super) fn no_space() -> std::io::Error {
    rustix::io::Errno::NOSPC.into()
}
