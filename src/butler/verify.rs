//! [`VerifyReport`]: does every row have its bytes, and every file its row?

use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::Array;

use super::columns::ids;
use super::{Butler, ButlerError};
use crate::dataset::{CollectionType, FileRecord, Format};
use crate::registry::Query;
use uuid::Uuid;

/// A dataset whose bytes are not what the registry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The dataset, as text.
    pub dataset: String,
    /// Its file.
    pub path: String,
    /// What is wrong.
    pub problem: String,
}

/// What [`Butler::verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Datasets looked at.
    pub datasets: usize,
    /// Bytes read.
    pub bytes: u64,
    /// Rows whose bytes are absent, cut short or changed.
    pub damaged: Vec<Damage>,
    /// Files of runs that no row names, by their path in the repository: what a crash between bytes and row leaves.
    pub orphans: Vec<String>,
    /// Orphans that were removed.
    pub swept: usize,
    /// Journals of jobs that run, or were killed: files that seem orphans may be theirs, so nothing is removed beside them.
    pub journals: Vec<PathBuf>,
}

impl VerifyReport {
    /// Whether nothing is wrong (orphans that were swept are mended).
    pub fn is_clean(&self) -> bool {
        self.damaged.is_empty() && self.orphans.len() == self.swept
    }
}

impl Butler {
    /// Compares rows and bytes: sizes and checksums of all files of datasets, and files without a row.
    ///
    /// `repair` removes orphans; damaged datasets are reported, never removed. Where there are journals nothing is removed:
    /// what a running or killed job has made has no rows until its journals are folded in.
    ///
    /// # Errors
    /// [`ButlerError::Registry`], [`ButlerError::Datastore`] and [`ButlerError::Io`] when a folder cannot be listed.
    pub fn verify(&self, repair: bool, mut progress: impl FnMut(usize, usize)) -> Result<VerifyReport, ButlerError> {
        let mut report = VerifyReport::default();
        let mut known: Vec<FileRecord> = Vec::new();
        let types = self.reader().dataset_types()?;
        let mut all = Vec::new();
        for dataset_type in &types {
            let rows = self.reader().datasets(&dataset_type.name, &["*"], &Query::all(), false)?;
            let found = ids(&rows, "id")?;
            all.extend((0..found.len()).filter_map(|row| Uuid::from_slice(found.value(row)).ok()));
        }
        for (done, chunk) in all.chunks(256).enumerate() {
            for (id, file) in chunk.iter().zip(self.reader().file_records(chunk)?) {
                let dataset = self.reader().dataset(*id)?.map_or_else(|| id.to_string(), |d| d.to_string());
                let Some(file) = file else {
                    report.damaged.push(Damage { dataset, path: String::new(), problem: "has no file record".into() });
                    continue;
                };
                match self.datastore().verify(&file) {
                    Ok(()) => report.bytes += file.size,
                    Err(error) => {
                        report.damaged.push(Damage { dataset, path: file.path.clone(), problem: error.to_string() });
                    }
                }
                known.push(file);
            }
            report.datasets += chunk.len();
            progress((done * 256 + chunk.len()).min(all.len()), all.len());
        }
        let beside: Vec<FileRecord> = known.iter().flat_map(siblings).collect();
        for collection in self.reader().collections()? {
            if collection.collection_type == CollectionType::Run {
                let orphans = self.datastore().orphans(&collection.name, known.iter().chain(&beside))?;
                report.orphans.extend(orphans.into_iter().map(|orphan| orphan.path));
            }
        }
        // The folder of a run may lie in that of another.
        report.orphans.sort();
        report.orphans.dedup();
        journals(&self.root().join(".bunter"), &mut report.journals)?;
        if repair && report.journals.is_empty() {
            for orphan in &report.orphans {
                let path = self.root().join(orphan);
                fs::remove_file(&path).map_err(|source| ButlerError::Io { doing: "remove", path, source })?;
                report.swept += 1;
            }
        }
        Ok(report)
    }
}

/// The journals in a folder and in its folders (names of runs have slashes), in name order.
fn journals(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), ButlerError> {
    let io = |source| ButlerError::Io { doing: "list", path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(io)?,
    };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>().map_err(io)?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            journals(&path, found)?;
        } else if path.extension().is_some_and(|e| e == "bnj") {
            found.push(path);
        }
    }
    Ok(())
}

/// Records, by name alone, of the files that lie beside a FITS exposure and belong to it.
fn siblings(record: &FileRecord) -> Vec<FileRecord> {
    let Format::FitsExposure(layout) = &record.format else { return Vec::new() };
    let folder = record.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let named = |name: &str| FileRecord { path: format!("{folder}/{name}"), ..record.clone() };
    layout.siblings().into_iter().map(named).collect()
}
