//! `Snapshot`.

use std::path::PathBuf;

use bunter::snapshot::property;
use bunter::{Butler, ButlerError, CollectionType, Expression, Selection, Snapshot, SnapshotBuilder};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};

use crate::butler::PyButler;
use crate::data_id::{kind_of, names};
use crate::errors::{OrRaise, wrong_type};
use crate::run::run;
use crate::table::PyTable;

/// A repository's registry as it was at one moment, or a part of it: one file, or bytes that are sent to other ranks.
///
/// Examples
/// --------
/// >>> snapshot = butler.snapshot(dataset_types=["calexp"])
/// >>> offline = bunter.Butler.from_snapshot(bunter.Snapshot.from_bytes(snapshot.to_bytes()))
/// >>> len(offline.query_datasets("calexp")) == len(butler.query_datasets("calexp"))
/// True
#[pyclass(module = "bunter", name = "Snapshot", frozen)]
#[derive(Clone)]
pub(crate) struct PySnapshot {
    pub(crate) inner: Snapshot,
}

/// What of a repository is wanted: dataset types, each perhaps with an expression.
pub(crate) fn selection(
    collections: Vec<String>,
    dataset_types: Vec<(String, Option<Expression>)>,
    files: bool,
) -> Selection {
    let mut selection = Selection::new(collections);
    for (name, filter) in dataset_types {
        selection = selection.with_datasets(name, filter);
    }
    // What overlaps and coadds need beside the datasets' own dimensions.
    for element in ["instrument", "physical_filter", "visit", "detector", "visit_detector", "skymap"] {
        selection = selection.with_records(element, None);
    }
    if files { selection } else { selection.without_files() }
}

/// Makes a snapshot of a butler's repository, which names the repository.
pub(crate) fn build(butler: &Butler, selection: &Selection) -> Result<Vec<u8>, ButlerError> {
    let mut builder: SnapshotBuilder = Snapshot::build(butler.reader(), selection)?;
    builder.set_property(property::REPOSITORY, butler.root().display().to_string());
    Ok(builder.to_bytes()?)
}

/// All dataset types.
pub(crate) fn all_types(butler: &Butler) -> Result<Vec<(String, Option<Expression>)>, ButlerError> {
    Ok(butler.reader().dataset_types()?.into_iter().map(|t| (t.name.to_string(), None)).collect())
}

/// All collections that hold datasets themselves.
pub(crate) fn all_collections(butler: &Butler) -> Result<Vec<String>, ButlerError> {
    let all = butler.reader().collections()?;
    let direct = all.into_iter().filter(|c| c.collection_type != CollectionType::Chained);
    Ok(direct.map(|c| c.name.to_string()).collect())
}

#[pymethods]
impl PySnapshot {
    /// Makes a snapshot of a repository.
    ///
    /// Parameters
    /// ----------
    /// butler : Butler
    ///     The repository.
    /// dataset_types : list of str or dict, optional
    ///     The dataset types wanted, all unless given; a dictionary gives each an expression or ``None``.
    /// collections : str or list of str, optional
    ///     Where datasets are looked for; everywhere unless given.
    /// files : bool
    ///     With the places of the datasets' files, which `Butler.get` needs.
    ///
    /// Returns
    /// -------
    /// Snapshot
    #[staticmethod]
    #[pyo3(signature = (butler, dataset_types=None, collections=None, *, files=true))]
    pub(crate) fn create<'py>(
        py: Python<'py>,
        butler: &Bound<'py, PyButler>,
        dataset_types: Option<&Bound<'py, PyAny>>,
        collections: Option<&Bound<'py, PyAny>>,
        files: bool,
    ) -> PyResult<Self> {
        let inner = &butler.get().inner;
        let types = match dataset_types.filter(|t| !t.is_none()) {
            None => all_types(inner).or_raise()?,
            Some(dict) if dict.is_instance_of::<PyDict>() => {
                let mut types = Vec::new();
                for (name, filter) in dict.cast::<PyDict>()?.iter() {
                    let filter: Option<String> = filter
                        .extract()
                        .map_err(|_| wrong_type(format!("an expression is a text, not {}", kind_of(&filter))))?;
                    types.push((name.extract()?, filter.map(|f| Expression::parse(&f)).transpose().or_raise()?));
                }
                types
            }
            Some(list) => names(list, "dataset_types")?.into_iter().map(|n| (n, None)).collect(),
        };
        let collections = match collections.filter(|c| !c.is_none()) {
            None => all_collections(inner).or_raise()?,
            Some(collections) => names(collections, "collections")?,
        };
        let selection = selection(collections, types, files);
        let bytes = run(py, || build(inner, &selection))?;
        Ok(Self { inner: Snapshot::from_bytes(bytes).or_raise()? })
    }

    /// Opens a snapshot file through a memory map; the cost does not depend on the number of rows.
    ///
    /// Raises
    /// ------
    /// StorageError
    ///     The file cannot be read.
    /// DamagedError
    ///     It is no snapshot, or a damaged one.
    #[staticmethod]
    fn open(path: PathBuf) -> PyResult<Self> {
        Ok(Self { inner: Snapshot::open(path).or_raise()? })
    }

    /// A snapshot of bytes, which it keeps and does not copy.
    #[staticmethod]
    fn from_bytes(data: &Bound<'_, PyAny>) -> PyResult<Self> {
        let bytes: PyBackedBytes =
            data.extract().map_err(|_| wrong_type(format!("a snapshot is made of bytes, not of {}", kind_of(data))))?;
        Ok(Self { inner: Snapshot::from_bytes(bytes).or_raise()? })
    }

    /// The snapshot as bytes.
    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.inner.as_bytes())
    }

    /// Writes the snapshot to a file, which appears whole or not at all.
    fn write(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        let inner = &self.inner;
        run(py, || {
            let failed = |source| ButlerError::Io { doing: "write", path: path.clone(), source };
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).map_or(PathBuf::from("."), PathBuf::from);
            let temporary = folder.join(format!(
                ".snapshot-{}.tmp",
                uuid::Uuid::from_u64_pair(u64::from(std::process::id()), inner.as_bytes().len() as u64)
            ));
            let result = std::fs::write(&temporary, inner.as_bytes())
                .and_then(|()| std::fs::File::open(&temporary)?.sync_all())
                .and_then(|()| std::fs::rename(&temporary, &path));
            result.map_err(|e| {
                let _ = std::fs::remove_file(&temporary);
                failed(e)
            })
        })
    }

    /// Names of the tables.
    #[getter]
    fn table_names(&self) -> Vec<String> {
        self.inner.tables().map(|t| t.name().to_owned()).collect()
    }

    /// A table by its name, over the snapshot's own bytes.
    fn table(&self, name: &str) -> PyResult<PyTable> {
        Ok(self.inner.to_record_batch(name).or_raise()?.into())
    }

    /// What is said of the snapshot as a whole: ``repository``, ``software_version``, …
    #[getter]
    fn properties<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (name, value) in self.inner.properties() {
            dict.set_item(name, PyString::new(py, value))?;
        }
        Ok(dict)
    }

    /// Number of bytes.
    #[getter]
    fn nbytes(&self) -> usize {
        self.inner.as_bytes().len()
    }

    /// Checks everything: checksums, and every value.
    ///
    /// Raises
    /// ------
    /// DamagedError
    ///     Something is not as it was written.
    fn verify(&self, py: Python<'_>) -> PyResult<()> {
        run(py, || self.inner.verify())
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().inner.as_bytes() == self.inner.as_bytes())
    }

    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
        slf.py().import("bunter._display")?.call_method1("snapshot_html", (slf,))?.extract()
    }

    fn __repr__(&self) -> String {
        let repository = self.inner.property(property::REPOSITORY).unwrap_or("an unnamed repository");
        format!("Snapshot({repository}, {} tables, {} bytes)", self.inner.tables().len(), self.inner.as_bytes().len())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        Ok((py.get_type::<Self>().getattr("from_bytes")?, PyTuple::new(py, [self.to_bytes(py)])?))
    }
}
