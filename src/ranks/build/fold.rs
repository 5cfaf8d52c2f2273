//! Journals into the registry: what ranks wrote down becomes rows.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use super::{BuildError, BuildRecord};
use crate::butler::Butler;
use crate::ranks::JournalReader;
use crate::registry::{FoldSummary, QuantumRecord};

/// Where the journals of a run are, and the lock that keeps a second build away.
pub(super) fn folder(root: &Path, run: &str) -> PathBuf {
    root.join(".bunter").join(run)
}

/// Name of one rank's journal.
pub(super) fn journal(root: &Path, run: &str, job: uuid::Uuid, rank: usize) -> PathBuf {
    folder(root, run).join(format!("{}-rank-{rank:05}.bnj", job.simple()))
}

/// Holds a run for one build, until dropped.
#[derive(Debug)]
pub(super) struct RunLock {
    /// The lock goes with the file handle: a killed job holds nothing.
    _file: File,
}

impl RunLock {
    pub(super) fn take(root: &Path, run: &str) -> Result<Self, BuildError> {
        let folder = folder(root, run);
        let io = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| BuildError::Io { doing, path, source }
        };
        fs::create_dir_all(&folder).map_err(io("create", &folder))?;
        let path = folder.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(io("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(BuildError::Busy { run: run.to_owned(), lock: path }),
            // A file system without locks: the job goes on, as every job did before there was a lock.
            Err(TryLockError::Error(error)) => {
                tracing::warn!("{}: cannot lock ({error}); do not build this run twice at once", path.display());
                Ok(Self { _file: file })
            }
        }
    }
}

/// Enters what the run's journals hold, with `failed` quanta beside, in one transaction, and removes the journals.
///
/// `checked` says that the files of the records must be looked at: after a crash a record may have reached the disk before
/// the bytes it speaks of. A record whose file is not whole is left out, and its work is done again.
pub(super) fn fold(
    butler: &Butler,
    run: &str,
    failed: &[QuantumRecord],
    checked: bool,
) -> Result<FoldSummary, BuildError> {
    let folder = folder(butler.root(), run);
    let io = |source| BuildError::Io { doing: "list", path: folder.clone(), source };
    let mut journals = Vec::new();
    for entry in fs::read_dir(&folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_some_and(|e| e == "bnj") {
            journals.push(path);
        }
    }
    journals.sort();
    let mut datasets = Vec::new();
    let mut quanta = failed.to_vec();
    for path in &journals {
        for record in read(path)? {
            if checked && let Err(error) = butler.datastore().verify(&record.dataset.file) {
                tracing::warn!("{}: {error}; it will be built again", record.dataset.dataset);
                continue;
            }
            quanta.push(record.quantum);
            datasets.push(record.dataset);
        }
    }
    let summary = butler.registry()?.fold(&datasets, &quanta)?;
    // The rows are there: a crash from here on finds the journals again, and folds them without effect.
    for path in &journals {
        fs::remove_file(path).map_err(|source| BuildError::Io { doing: "remove", path: path.clone(), source })?;
    }
    Ok(summary)
}

/// The whole records of a journal. Damage is reported and passed over: what it hid is built again.
fn read(path: &Path) -> Result<Vec<BuildRecord>, BuildError> {
    // A job that was killed while it made the journal leaves one without a whole header, and without records.
    let reader = match JournalReader::<BuildRecord>::open(path) {
        Ok(reader) => reader,
        Err(error) => {
            tracing::warn!("{error}; what it may have said is done again");
            return Ok(Vec::new());
        }
    };
    let salvage = reader.salvage()?;
    for damage in &salvage.damage {
        tracing::warn!(
            "{}: {} bytes at {} are damaged; what they said is done again",
            path.display(),
            damage.bytes,
            damage.offset
        );
    }
    Ok(salvage.records)
}
