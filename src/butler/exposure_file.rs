//! Reads what a camera translator wants to know of FITS files: their headers, and what lies beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{ButlerError, IngestFailure};
use crate::camera::{Cameras, ExposureFile, HduInfo, ObservationInfo, Sidecar};
use crate::datastore::FitsFile;

/// Endings of the files that are looked at in a folder.
const ENDINGS: [&str; 5] = [".fits", ".fits.fz", ".fit", ".fts", ".fits.gz"];
/// Folders within folders are followed so far.
const DEPTH: usize = 16;

/// The tables and names that files of one folder share.
#[derive(Debug, Default)]
pub(super) struct Folder {
    names: BTreeSet<String>,
    sidecars: Vec<Sidecar>,
}

/// The folders of the files of an ingest, each read once.
#[derive(Debug, Default)]
pub(super) struct Folders {
    known: BTreeMap<PathBuf, Arc<Folder>>,
}

impl Folders {
    /// What lies beside a file.
    ///
    /// # Errors
    /// [`ButlerError::Camera`] for a table that cannot be read: its files would be misunderstood without it.
    pub(super) fn beside(&mut self, file: &Path, cameras: &Cameras) -> Result<Arc<Folder>, ButlerError> {
        let path = file.parent().unwrap_or(Path::new(".")).to_owned();
        if let Some(folder) = self.known.get(&path) {
            return Ok(Arc::clone(folder));
        }
        let mut folder = Folder::default();
        let io = |source| ButlerError::Io { doing: "list", path: path.clone(), source };
        for entry in fs::read_dir(&path).map_err(io)? {
            folder.names.insert(entry.map_err(io)?.file_name().to_string_lossy().into_owned());
        }
        for name in cameras.sidecar_names() {
            // Two translators may want the same table.
            if folder.names.contains(name) && folder.sidecars.iter().all(|s| s.name() != name) {
                let table = path.join(name);
                let text = fs::read_to_string(&table).map_err(|source| ButlerError::Io {
                    doing: "read",
                    path: table,
                    source,
                })?;
                folder.sidecars.push(Sidecar::parse(name, &text)?);
            }
        }
        let folder = Arc::new(folder);
        self.known.insert(path, Arc::clone(&folder));
        Ok(folder)
    }
}

/// What the headers of a FITS file say of the exposures in it; none for the mask or weight of another file.
pub(super) fn translate(path: &Path, folder: &Folder, cameras: &Cameras) -> Result<Vec<ObservationInfo>, ButlerError> {
    let file = FitsFile::open(path)?;
    let mut hdus = Vec::new();
    // A file that was cut off may lack its mask: the rest of it could pass for an image of another camera.
    for hdu in file.whole_hdus()? {
        hdus.push(HduInfo::from_header(file.header(hdu.index)?));
    }
    let text = path.to_string_lossy();
    let exposure_file =
        ExposureFile { path: &text, hdus: &hdus, sidecars: &folder.sidecars, siblings: Some(&folder.names) };
    Ok(cameras.translate(exposure_file)?)
}

/// The files that are meant: files as named, folders by the FITS files in them and in their folders, in name order. What
/// cannot be found is among the failures; the rest goes on.
pub(super) fn expand(paths: &[PathBuf], failures: &mut Vec<IngestFailure>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in paths {
        if let Err(cause) = expand_one(path, &mut files) {
            failures.push(IngestFailure { path: path.clone(), cause });
        }
    }
    files
}

fn expand_one(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), ButlerError> {
    let io = |source| ButlerError::Io { doing: "find", path: path.to_owned(), source };
    if !fs::metadata(path).map_err(io)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let before = files.len();
    walk(path, DEPTH, files)?;
    if files.len() == before {
        let message = format!("no FITS file ({}) in folder {}", ENDINGS.join(", "), path.display());
        return Err(ButlerError::Question(message));
    }
    Ok(())
}

fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), ButlerError> {
    let io = |source| ButlerError::Io { doing: "list", path: folder.to_owned(), source };
    let mut entries = fs::read_dir(folder).map_err(io)?.collect::<Result<Vec<_>, _>>().map_err(io)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().to_ascii_lowercase();
        if path.is_dir() {
            if depth > 0 && !name.starts_with('.') {
                walk(&path, depth - 1, files)?;
            }
        } else if ENDINGS.iter().any(|ending| name.ends_with(ending)) {
            files.push(path);
        }
    }
    Ok(())
}
