//! Paths of datasets: relative to the root of the repository, with `/`.

use std::path::{Path, PathBuf};

use crate::datastore::error::{DatastoreError, Result};

/// The place of a relative path under `root`, when it is one that stays there.
pub(crate) fn under(root: &Path, path: &str) -> Result<PathBuf> {
    let bad = |reason| Err(DatastoreError::BadPath { path: path.to_owned(), reason });
    if path.starts_with('/') {
        return bad("it is absolute; paths in a repository are relative to its root");
    }
    if path.contains('\0') {
        return bad("it holds a NUL character");
    }
    for part in path.split('/') {
        match part {
            "" => return bad("it has an empty part"),
            "." | ".." => return bad("it has a part `.` or `..`"),
            part if part.len() > 200 => return bad("it has a part of more than 200 bytes, which file systems refuse"),
            _ => {}
        }
    }
    Ok(root.join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_under_the_root() {
        let root = Path::new("/repo");
        assert_eq!(under(root, "run/calexp/v1.h5").unwrap(), Path::new("/repo/run/calexp/v1.h5"));
        for path in ["", "/etc/passwd", "a/../b", "..", "a//b", "a/", "./a", "a\0b", &"x".repeat(201)] {
            assert!(matches!(under(root, path), Err(DatastoreError::BadPath { .. })), "{path}");
        }
    }
}
