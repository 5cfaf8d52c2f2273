//! What lies under a run and belongs to nothing: orphans, and leftovers of puts that were killed.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::atomic::TEMPORARY;
use crate::datastore::error::{DatastoreError, Result};

/// A file under a run that no record names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// Path relative to the root, with `/`.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// Whether it is the temporary file of a put, under way or killed.
    pub temporary: bool,
    /// Time since it was last changed; zero when the clocks disagree.
    pub age: Duration,
}

/// The files under `folder` (relative to `root`) that are not in `known`, sorted by path. A folder that is not there
/// holds none. Symbolic links are files, and are not followed.
pub(crate) fn orphans(root: &Path, folder: &Path, known: &HashSet<&str>) -> Result<Vec<Orphan>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |e| DatastoreError::io("list", &folder, e);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(failed(e)),
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // Another rank's temporary file may get its final name while we look.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(failed(e)),
            };
            if metadata.is_dir() {
                folders.push(entry.path());
                continue;
            }
            let path = entry.path();
            let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            if known.contains(path.as_str()) {
                continue;
            }
            let name = entry.file_name();
            let name = name.as_encoded_bytes();
            let changed = metadata.modified().ok().and_then(|t| SystemTime::now().duration_since(t).ok());
            found.push(Orphan {
                path,
                size: metadata.len(),
                temporary: name.starts_with(b".") && name.ends_with(TEMPORARY.as_bytes()),
                age: changed.unwrap_or_default(),
            });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}
