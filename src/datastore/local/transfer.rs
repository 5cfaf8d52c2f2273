//! [`Transfer`]: how a file from outside becomes a dataset.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::atomic::{create_folders, parent, sync_folder, write_new};
use crate::datastore::error::{DatastoreError, Result};

/// How a file from outside becomes a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transfer {
    /// The bytes are copied; the source stays.
    Copy,
    /// The file is renamed; across file systems it is copied, and the source removed once the copy is on disk.
    Move,
    /// A second name for the same bytes, on the same file system.
    Hardlink,
    /// A symbolic link to the absolute path of the source.
    Symlink,
    /// The file stays where it is, and is named by its absolute path.
    Direct,
}

impl Transfer {
    /// All modes with their names, as in `--transfer`.
    pub const ALL: [(&'static str, Self); 5] = [
        ("copy", Self::Copy),
        ("move", Self::Move),
        ("hardlink", Self::Hardlink),
        ("symlink", Self::Symlink),
        ("direct", Self::Direct),
    ];
}

/// Brings `source` to the new name `target` (which [`Transfer::Direct`] does not look at).
pub(crate) fn transfer(source: &Path, target: &Path, mode: Transfer) -> Result<()> {
    let metadata = fs::metadata(source).map_err(|e| DatastoreError::io("open", source, e))?;
    if !metadata.is_file() {
        return Err(DatastoreError::unsupported(source, "not a regular file"));
    }
    if mode == Transfer::Direct {
        return Ok(());
    }
    let folder = parent(target);
    create_folders(&folder)?;
    // A missing source was found above: what is missing here is something else.
    let failed = |action| {
        move |e: std::io::Error| match e.kind() {
            ErrorKind::NotFound => DatastoreError::Io { action, path: target.to_owned(), source: e },
            _ => DatastoreError::io(action, target, e),
        }
    };
    match mode {
        Transfer::Copy => copy(source, target)?,
        Transfer::Move => match rename_new(source, target) {
            Ok(()) => sync_folder(&parent(source))?,
            Err(e) if e.kind() == ErrorKind::CrossesDevices => {
                copy(source, target)?;
                fs::remove_file(source).map_err(|e| DatastoreError::io("remove", source, e))?;
            }
            Err(e) => return Err(failed("move a file to")(e)),
        },
        Transfer::Hardlink => {
            let whole = source.canonicalize().map_err(|e| DatastoreError::io("resolve", source, e))?;
            match fs::hard_link(&whole, target) {
                Err(e) if e.kind() == ErrorKind::CrossesDevices => {
                    let what =
                        format!("on another file system than `{}`; use symlink, copy or direct", source.display());
                    return Err(DatastoreError::unsupported(target, what));
                }
                linked => linked.map_err(failed("link a file to"))?,
            }
        }
        Transfer::Symlink => {
            let whole = source.canonicalize().map_err(|e| DatastoreError::io("resolve", source, e))?;
            symlink(whole, target).map_err(failed("link a file to"))?;
        }
        Transfer::Direct => {}
    }
    sync_folder(&folder)
}

fn copy(source: &Path, target: &Path) -> Result<()> {
    write_new(target, |temporary| {
        // `io::copy` between files copies inside the kernel, and keeps the mode of the temporary file.
        let copy = || -> std::io::Result<u64> {
            let mut from = fs::File::open(source)?;
            let mut to = fs::File::options().write(true).open(temporary)?;
            std::io::copy(&mut from, &mut to)
        };
        copy().map(drop).map_err(|e| DatastoreError::io("copy a file to", target, e))
    })
}

fn rename_new(source: &Path, target: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, source, CWD, target, RenameFlags::NOREPLACE) {
        // Some parallel file systems have no such rename: a second name never replaces one either.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => {
            fs::hard_link(source, target)?;
            fs::remove_file(source)
        }
        renamed => Ok(renamed?),
    }
}
