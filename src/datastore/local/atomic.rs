//! A new file that is there whole or not at all.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::datastore::error::{DatastoreError, Result};

/// How the name of a temporary file ends. It begins with a dot and the final name.
pub(crate) const TEMPORARY: &str = ".bunter-tmp";

/// Makes the new file `path`: `write` fills a temporary file in the same folder, which is then synced, made read-only
/// and given its final name, unless a file of that name is there by then. Missing folders are made.
///
/// When anything fails, nothing is left. A process killed on the way leaves at most the temporary file.
pub(crate) fn write_new(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if fs::symlink_metadata(path).is_ok() {
        return Err(DatastoreError::AlreadyExists { path: path.to_owned() });
    }
    let folder = parent(path);
    create_folders(&folder)?;
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    prefix.push(".");
    let temporary = tempfile::Builder::new()
        .prefix(&prefix)
        .suffix(TEMPORARY)
        .tempfile_in(&folder)
        .map_err(|e| DatastoreError::io("create a file in", &folder, e))?
        // Other programs write by name, so the handle is closed; the name is still removed on every way out.
        .into_temp_path();
    write(&temporary)?;
    let sync = || -> std::io::Result<()> {
        let file = File::open(&temporary)?;
        file.set_permissions(Permissions::from_mode(0o444))?;
        file.sync_all()
    };
    sync().map_err(|e| DatastoreError::io("sync", path, e))?;
    temporary.persist_noclobber(path).map_err(|e| DatastoreError::io("name", path, e.error))?;
    sync_folder(&folder).inspect_err(|_| {
        let _ = fs::remove_file(path);
    })
}

/// The folder a path is in.
pub(crate) fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Writes the names in a folder to disk.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(|e| DatastoreError::io("sync", folder, e))
}

/// Makes a folder and those above it, each name on disk before the next.
pub(crate) fn create_folders(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = parent(folder);
    if above != *folder {
        create_folders(&above)?;
    }
    match fs::create_dir(folder) {
        Ok(()) => sync_folder(&above),
        // Another rank may have made it in between.
        Err(_) if folder.is_dir() => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(DatastoreError::io("create the folder", folder, rustix::io::Errno::NOTDIR.into()))
        }
        Err(e) => Err(DatastoreError::io("create the folder", folder, e)),
    }
}
