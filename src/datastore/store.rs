//! [`Datastore`]: the files of a repository.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{DatastoreError, Result};
use super::fits::FitsExposure;
use super::hdf5::{Composite, StorageOptions, read_table, write_coadd, write_exposure, write_table};
use super::local::{self, Orphan, Transfer, checksum, parent, sync_folder, under, write_new};
use super::value::Dataset;
use crate::dataset::{Coadd, Exposure, FileRecord, FitsLayout, Format, StorageClass};
use crate::wcs::PixelBox;

/// The files of a repository on a local or parallel file system. It knows bytes and formats, and no registry: a
/// [`FileRecord`] goes in or comes out of every call.
///
/// A file is there whole or not at all: a put writes to a temporary name in the same folder, syncs, makes the file
/// read-only, and gives it its final name unless that is taken.
///
/// ```
/// use bunter::datastore::{Dataset, Datastore, StorageOptions};
/// use bunter::StorageClass;
///
/// let folder = tempfile::tempdir().unwrap();
/// let store = Datastore::new(folder.path());
/// let document = Dataset::Json(serde_json::json!({"seeing": 0.7}));
/// let record = store.put("run/summary/v1.json", &document, &StorageOptions::default())?;
/// store.verify(&record)?;
/// let Dataset::Json(read) = store.get(&record, StorageClass::Json, None, None)? else { unreachable!() };
/// assert_eq!(read["seeing"], 0.7);
/// # Ok::<(), bunter::datastore::DatastoreError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Datastore {
    root: PathBuf,
}

impl Datastore {
    /// The datastore of the repository at `root`. Nothing is opened or made.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The repository's root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a record's file is.
    ///
    /// # Errors
    /// [`DatastoreError::BadPath`].
    pub fn path(&self, record: &FileRecord) -> Result<PathBuf> {
        // Only files ingested `direct` are named by absolute paths.
        if record.path.starts_with('/') && !record.path.contains('\0') {
            return Ok(PathBuf::from(&record.path));
        }
        under(&self.root, &record.path)
    }

    /// Stores a dataset under a new path relative to the root: exposures, coadds and tables as HDF5, documents as JSON.
    ///
    /// # Errors
    /// [`DatastoreError::BadPath`], [`DatastoreError::AlreadyExists`], [`DatastoreError::Io`], [`DatastoreError::Hdf5`],
    /// [`DatastoreError::Inconsistent`]; [`DatastoreError::Unsupported`] for a single component.
    pub fn put(&self, path: &str, dataset: &Dataset, options: &StorageOptions) -> Result<FileRecord> {
        match dataset {
            Dataset::Exposure(exposure) => self.put_exposure(path, exposure, options),
            Dataset::Coadd(coadd) => self.put_coadd(path, coadd, options),
            Dataset::Table(table) => self.put_with(path, Format::Hdf5, |target| write_table(target, table)),
            Dataset::Json(document) => self.put_with(path, Format::Json, |target| write_json(target, document)),
            other => {
                let what = format!("{} is a component and not stored on its own", other.kind());
                Err(DatastoreError::unsupported(Path::new(path), what))
            }
        }
    }

    /// Stores an exposure as an HDF5 composite.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn put_exposure(&self, path: &str, exposure: &Exposure, options: &StorageOptions) -> Result<FileRecord> {
        self.put_with(path, Format::Hdf5, |target| write_exposure(target, exposure, options))
    }

    /// Stores a coadd as an HDF5 composite.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn put_coadd(&self, path: &str, coadd: &Coadd, options: &StorageOptions) -> Result<FileRecord> {
        self.put_with(path, Format::Hdf5, |target| write_coadd(target, coadd, options))
    }

    fn put_with(&self, path: &str, format: Format, write: impl FnOnce(&Path) -> Result<()>) -> Result<FileRecord> {
        let target = under(&self.root, path)?;
        write(&target)?;
        let (size, checksum) = checksum(&target)?;
        Ok(FileRecord { path: path.to_owned(), format, size, checksum })
    }

    /// Brings a file from outside in. `path` is its new path relative to the root, which [`Transfer::Direct`] does not
    /// use. `with_checksum = false` skips the reading of every byte, for a `direct` ingest of many files.
    ///
    /// Sibling files of a [`FitsLayout`] are brought in by further calls, each under its own name.
    ///
    /// # Errors
    /// [`DatastoreError::NotFound`], [`DatastoreError::BadPath`], [`DatastoreError::AlreadyExists`], [`DatastoreError::Io`];
    /// [`DatastoreError::Unsupported`] for a hard link to another file system.
    pub fn ingest(
        &self,
        source: &Path,
        path: &str,
        mode: Transfer,
        format: Format,
        with_checksum: bool,
    ) -> Result<FileRecord> {
        let (target, path) = if mode == Transfer::Direct {
            let whole = source.canonicalize().map_err(|e| DatastoreError::io("open", source, e))?;
            let Some(text) = whole.to_str().map(str::to_owned) else {
                let reason = "it is not UTF-8";
                return Err(DatastoreError::BadPath { path: whole.to_string_lossy().into_owned(), reason });
            };
            (whole, text)
        } else {
            (under(&self.root, path)?, path.to_owned())
        };
        local::transfer(source, &target, mode)?;
        let (size, checksum) = if with_checksum {
            checksum(&target)?
        } else {
            (fs::metadata(&target).map_err(|e| DatastoreError::io("inspect", &target, e))?.len(), 0)
        };
        Ok(FileRecord { path, format, size, checksum })
    }

    /// Reads a dataset, or the `component` of it, or the `subset` of either, in the parent's pixels.
    ///
    /// # Errors
    /// [`DatastoreError::NotFound`], [`DatastoreError::UnknownComponent`], [`DatastoreError::WrongStorageClass`],
    /// [`DatastoreError::OutsideImage`], [`DatastoreError::WrongSize`] for a file that has another length than its record says, and those
    /// of the file's format.
    pub fn get(
        &self,
        record: &FileRecord,
        storage_class: StorageClass,
        component: Option<&str>,
        subset: Option<PixelBox>,
    ) -> Result<Dataset> {
        if let Some(component) = component
            && !storage_class.components().contains(&component)
        {
            return Err(DatastoreError::unknown_component(component, storage_class));
        }
        let path = self.path(record)?;
        // Files are whole or absent when we wrote them; what was ingested `direct` may have changed since.
        let found = fs::metadata(&path).map_err(|e| DatastoreError::io("open", &path, e))?.len();
        if found != record.size {
            return Err(DatastoreError::WrongSize { path, expected: record.size, found });
        }
        match (&record.format, storage_class) {
            (Format::Hdf5, StorageClass::Exposure | StorageClass::Coadd) => {
                let composite = Composite::open(&path, storage_class)?;
                match component {
                    Some(component) => composite.component(component, subset),
                    None if storage_class == StorageClass::Coadd => Ok(composite.coadd(subset)?.into()),
                    None => Ok(composite.exposure(subset)?.into()),
                }
            }
            (Format::FitsExposure(layout), StorageClass::Exposure) => get_fits(&path, layout, component, subset),
            (Format::Hdf5, StorageClass::Table) => read_table(&path).map(Dataset::Table),
            (Format::Json, StorageClass::Json) => read_json(&path).map(Dataset::Json),
            (format, wanted) => {
                let found = match format {
                    Format::Hdf5 => "an HDF5 composite",
                    Format::FitsExposure(_) => "a FITS exposure",
                    Format::Json => "a JSON document",
                };
                Err(DatastoreError::WrongStorageClass { path, wanted: wanted.to_string(), found: found.to_owned() })
            }
        }
    }

    /// Reads an exposure, or the `subset` of it, in the detector's pixels.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_exposure(&self, record: &FileRecord, subset: Option<PixelBox>) -> Result<Exposure> {
        match self.get(record, StorageClass::Exposure, None, subset)? {
            Dataset::Exposure(exposure) => Ok(*exposure),
            other => Err(self.unexpected(record, StorageClass::Exposure, &other)),
        }
    }

    /// Reads a coadd, or the `subset` of it, in the tract's pixels.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_coadd(&self, record: &FileRecord, subset: Option<PixelBox>) -> Result<Coadd> {
        match self.get(record, StorageClass::Coadd, None, subset)? {
            Dataset::Coadd(coadd) => Ok(*coadd),
            other => Err(self.unexpected(record, StorageClass::Coadd, &other)),
        }
    }

    fn unexpected(&self, record: &FileRecord, wanted: StorageClass, found: &Dataset) -> DatastoreError {
        let path = self.root.join(&record.path);
        DatastoreError::WrongStorageClass { path, wanted: wanted.to_string(), found: found.kind().to_owned() }
    }

    /// Checks that the file is there with the size and the checksum of its record (a checksum of 0 is not checked).
    ///
    /// # Errors
    /// [`DatastoreError::NotFound`], [`DatastoreError::WrongSize`], [`DatastoreError::WrongChecksum`], [`DatastoreError::Io`].
    pub fn verify(&self, record: &FileRecord) -> Result<()> {
        let path = self.path(record)?;
        let found = fs::metadata(&path).map_err(|e| DatastoreError::io("inspect", &path, e))?.len();
        if found != record.size {
            return Err(DatastoreError::WrongSize { path, expected: record.size, found });
        }
        if record.checksum != 0 {
            let (_, found) = checksum(&path)?;
            if found != record.checksum {
                return Err(DatastoreError::WrongChecksum { path, expected: record.checksum, found });
            }
        }
        Ok(())
    }

    /// Removes a record's file. Files ingested `direct` belong to somebody else, and are left.
    ///
    /// # Errors
    /// [`DatastoreError::NotFound`], [`DatastoreError::Io`], [`DatastoreError::BadPath`].
    pub fn remove(&self, record: &FileRecord) -> Result<()> {
        if record.path.starts_with('/') {
            return Ok(());
        }
        let path = self.path(record)?;
        fs::remove_file(&path).map_err(|e| DatastoreError::io("remove", &path, e))?;
        sync_folder(&parent(&path))
    }

    /// The files under a run's folder that none of `records` names, sorted by path: what crashed puts left.
    ///
    /// # Errors
    /// [`DatastoreError::Io`], [`DatastoreError::BadPath`].
    pub fn orphans<'a>(&self, run: &str, records: impl IntoIterator<Item = &'a FileRecord>) -> Result<Vec<Orphan>> {
        let known: HashSet<&str> = records.into_iter().map(|record| record.path.as_str()).collect();
        local::orphans(&self.root, &under(&self.root, run)?, &known)
    }

    /// Removes the temporary files under a run's folder that were last changed at least `age` ago (younger ones may
    /// belong to a put that is under way), and gives their paths.
    ///
    /// # Errors
    /// As [`orphans`](Self::orphans).
    pub fn sweep_temporaries(&self, run: &str, age: Duration) -> Result<Vec<String>> {
        let mut swept = Vec::new();
        for orphan in self.orphans(run, [])?.into_iter().filter(|o| o.temporary && o.age >= age) {
            let path = self.root.join(&orphan.path);
            match fs::remove_file(&path) {
                Ok(()) => swept.push(orphan.path),
                // It got its final name, or another rank swept it.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(DatastoreError::io("remove", &path, e)),
            }
        }
        Ok(swept)
    }
}

fn get_fits(path: &Path, layout: &FitsLayout, component: Option<&str>, subset: Option<PixelBox>) -> Result<Dataset> {
    let file = FitsExposure::open(path, layout)?;
    Ok(match component {
        None => file.exposure(subset)?.into(),
        Some("image") => Dataset::Image(file.image(subset)?),
        Some("variance") => Dataset::Image(file.variance(subset)?),
        Some("mask") => Dataset::Mask(file.mask(subset)?.0),
        Some("wcs") => Dataset::Wcs(file.wcs()?),
        Some("bbox") => Dataset::Box(file.box_of(subset)?),
        Some("zero_point") => Dataset::Number(layout.zero_point),
        Some("metadata") => Dataset::Metadata(file.metadata()?),
        Some(other) => return Err(DatastoreError::unknown_component(other, StorageClass::Exposure)),
    })
}

fn write_json(path: &Path, document: &serde_json::Value) -> Result<()> {
    write_new(path, |temporary| {
        let failed = |e: std::io::Error| DatastoreError::io("write", path, e);
        let mut out = BufWriter::new(File::options().write(true).open(temporary).map_err(failed)?);
        serde_json::to_writer_pretty(&mut out, document).map_err(|e| failed(e.into()))?;
        out.write_all(b"\n").and_then(|()| out.flush()).map_err(failed)
    })
}

fn read_json(path: &Path) -> Result<serde_json::Value> {
    let bytes = fs::read(path).map_err(|e| DatastoreError::io("read", path, e))?;
    serde_json::from_slice(&bytes).map_err(|source| DatastoreError::Json { path: path.to_owned(), source })
}
