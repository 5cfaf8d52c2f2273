//! What is new: [`Watcher`], [`Butler::refresh`]; and [`Butler::prune_datasets`], which takes files with their rows.

use std::fs;
use std::sync::PoisonError;

use uuid::Uuid;

use super::{Butler, ButlerError};
use crate::registry::{Changes, PruneReport};

/// Remembers what was told of a repository's changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watcher {
    number: u64,
}

impl Watcher {
    /// One that tells of what comes after the change of a number; after the latest for `None`.
    ///
    /// # Errors
    /// [`ButlerError::ReadOnly`] for a butler of a snapshot; [`ButlerError::Registry`].
    pub fn new(butler: &Butler, since: Option<u64>) -> Result<Self, ButlerError> {
        let registry = butler.registry()?;
        let number = match since {
            Some(number) => number,
            None => registry.change_number()?,
        };
        Ok(Self { number })
    }

    /// The number of the last change that was told.
    pub const fn number(self) -> u64 {
        self.number
    }

    /// One look: what has changed since the last. Nothing is told twice, and nothing left out.
    ///
    /// # Errors
    /// [`ButlerError::Registry`], among them for a number of another registry.
    pub fn step(&mut self, butler: &Butler) -> Result<Changes, ButlerError> {
        let changes = butler.registry()?.changes_since(self.number)?;
        self.number = changes.number;
        Ok(changes)
    }
}

/// What pruning took.
#[derive(Debug, Default)]
pub struct Pruned {
    /// What the registry forgot.
    pub report: PruneReport,
    /// How many files were removed.
    pub files: usize,
    /// Files that could not be removed, and why.
    pub left: Vec<String>,
}

impl Butler {
    /// Forgets what was kept of the registry's answers, and tells what has changed since a number: after it, this butler answers
    /// as one that was opened now.
    ///
    /// # Errors
    /// [`ButlerError::ReadOnly`] for a butler of a snapshot, which does not change; [`ButlerError::Registry`].
    pub fn refresh(&self, since: u64) -> Result<Changes, ButlerError> {
        let changes = self.registry()?.changes_since(since)?;
        self.sky_maps().lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(changes)
    }

    /// Removes datasets: rows first, all or none, then the files in the repository. Files elsewhere, which were ingested in
    /// place, stay. See [`Registry::prune_datasets`](crate::registry::Registry::prune_datasets).
    ///
    /// # Errors
    /// [`ButlerError::Registry`] when a guard refuses: then nothing is removed.
    pub fn prune_datasets(&self, ids: &[Uuid], unlink: bool) -> Result<Pruned, ButlerError> {
        let registry = self.registry()?;
        let files = self.reader().file_records(ids)?;
        let report = registry.prune_datasets(ids, unlink)?;
        let gone: std::collections::HashSet<Uuid> = report.removed.iter().map(|d| d.id).collect();
        let mut pruned = Pruned { report, ..Pruned::default() };
        for (id, file) in ids.iter().zip(files) {
            let Some(file) = file.filter(|f| gone.contains(id) && !f.path.starts_with('/')) else { continue };
            match fs::remove_file(self.root().join(&file.path)) {
                Ok(()) => pruned.files += 1,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => pruned.left.push(format!("cannot remove {}: {error}", file.path)),
            }
        }
        Ok(pruned)
    }
}
