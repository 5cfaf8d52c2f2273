//! Which process holds the lock that a writer waited for in vain.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A few words on who holds the write lock of an `SQLite` file, as far as this machine can tell.
///
/// The kernel's list of locks is read instead of asking by `fcntl`: opening and closing the file for that would drop the
/// locks that this process itself holds.
pub(super) fn lock_holder(path: &Path) -> String {
    let with_suffix = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        std::fs::metadata(PathBuf::from(name)).ok().map(|m| m.ino())
    };
    let inodes: Vec<u64> = ["-shm", ""].into_iter().filter_map(with_suffix).collect();
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    match holder_in(&locks, &inodes) {
        Some(pid) if pid == std::process::id() => "held by another connection of this very process".to_owned(),
        Some(pid) => {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!("held by process {pid} ({}) on this machine", name.trim())
        }
        None => "held by a process that cannot be seen from here, perhaps on another machine".to_owned(),
    }
}

/// The process that has a write lock on one of the files: `1: POSIX  ADVISORY  WRITE 2345 08:01:131 120 120`.
fn holder_in(locks: &str, inodes: &[u64]) -> Option<u32> {
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words.iter().position(|w| *w == "WRITE")?;
        let inode: u64 = words.get(at + 2)?.rsplit(':').next()?.parse().ok()?;
        let waiting = words.contains(&"->");
        if waiting || !inodes.contains(&inode) {
            return None;
        }
        words.get(at + 1)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writer_is_found_in_the_kernels_list() {
        let locks = "1: POSIX  ADVISORY  READ 11 08:01:131 124 124\n\
                     2: -> POSIX  ADVISORY  WRITE 12 08:01:131 120 120\n\
                     3: POSIX  ADVISORY  WRITE 13 08:01:131 120 120\n\
                     4: FLOCK  ADVISORY  WRITE 14 08:01:132 0 EOF\n";
        assert_eq!(holder_in(locks, &[131]), Some(13));
        assert_eq!(holder_in(locks, &[999]), None);
        assert_eq!(holder_in("nonsense WRITE", &[131]), None);
    }
}
