//! `Butler`: how it is opened, what it is, how it pickles. What it does stands beside: reading and writing, queries, registration,
//! coadds.

mod address;
mod coadd;
mod dataset;
mod questions;
mod registration;
mod storage;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bunter::snapshot::property;
use bunter::{Butler, CollectionType, Snapshot};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use self::address::local_path;
use crate::data_id::names;
use crate::errors::{OrRaise, usage};
use crate::packer::PyPacker;
use crate::run::run;
use crate::snapshot::{PySnapshot, all_collections, all_types, build, selection};

/// How a butler pickles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PickleAs {
    /// As where the repository is.
    Address,
    /// As what is in it.
    Snapshot,
}

impl PickleAs {
    fn parse(name: &str) -> PyResult<Self> {
        match name {
            "address" => Ok(Self::Address),
            "snapshot" => Ok(Self::Snapshot),
            other => Err(usage(format!("pickle_as is \"address\" or \"snapshot\", not \"{other}\""))),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Snapshot => "snapshot",
        }
    }
}

/// A repository: what exists, where it is on the sky, and its bytes as arrays.
///
/// Parameters
/// ----------
/// root : str or path-like
///     The repository's folder, or its ``file://`` URL.
/// collections : str or list of str, optional
///     Where datasets are looked for, in this order, unless a call says otherwise. All runs, the youngest name first, unless
///     given.
/// run : str, optional
///     The run that `put` writes to unless a call says otherwise.
/// pickle_as : {"address", "snapshot"}
///     What is sent when the butler is pickled or broadcast: where the repository is, to be opened again; or its content, which
///     costs one message and spares the registry the ranks. A butler that came as a snapshot reads and does not write.
///
/// Notes
/// -----
/// Data IDs are dictionaries, keyword arguments, or both: ``butler.get("calexp", {"visit": 1228}, detector=42)``. Integers are
/// Python's and numpy's of any type. Booleans and reals are refused, also reals without a fraction: they do not hold every
/// identifier. A butler may be used by several threads; all its work is done without the interpreter's lock.
///
/// Examples
/// --------
/// >>> butler = bunter.Butler(repository)
/// >>> exposure = butler.get("calexp", instrument="SimCam", visit=900000, detector=0)
/// >>> exposure.image.shape, exposure.image.dtype
/// ((64, 64), dtype('float32'))
/// >>> butler.get("calexp.image", instrument="SimCam", visit=900000, detector=0, bbox=(10, 20, 8, 4)).shape
/// (4, 8)
#[pyclass(module = "bunter", name = "Butler", frozen)]
pub(crate) struct PyButler {
    pub(crate) inner: Arc<Butler>,
    collections: Option<Vec<String>>,
    run: Option<String>,
    pickle_as: PickleAs,
    /// What it was made of, when that is a snapshot.
    snapshot: Option<Snapshot>,
}

impl PyButler {
    /// The collections of a call, of the butler, or all runs.
    pub(super) fn search(&self, collections: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<String>> {
        if let Some(collections) = collections.filter(|c| !c.is_none()) {
            return names(collections, "collections");
        }
        if let Some(collections) = &self.collections {
            return Ok(collections.clone());
        }
        let all = self.inner.reader().collections().or_raise()?;
        let runs = all.into_iter().filter(|c| c.collection_type == CollectionType::Run);
        Ok(runs.map(|c| c.name.to_string()).rev().collect())
    }

    pub(super) fn run_of(&self, run: Option<String>) -> PyResult<String> {
        run.or_else(|| self.run.clone())
            .ok_or_else(|| usage("say which run the dataset goes to: `run=…` here, or when the butler is opened"))
    }

    fn of_snapshot(snapshot: Snapshot, root: PathBuf, pickle_as: PickleAs) -> PyResult<Self> {
        let reader = Arc::new(snapshot.registry().or_raise()?);
        Ok(Self {
            inner: Arc::new(Butler::with_reader(root, reader)),
            collections: None,
            run: None,
            pickle_as,
            snapshot: Some(snapshot),
        })
    }
}

#[pymethods]
impl PyButler {
    #[new]
    #[pyo3(signature = (root, *, collections=None, run=None, pickle_as="address"))]
    fn new(
        py: Python<'_>,
        root: &Bound<'_, PyAny>,
        collections: Option<&Bound<'_, PyAny>>,
        run: Option<String>,
        pickle_as: &str,
    ) -> PyResult<Self> {
        let root = local_path(root)?;
        let pickle_as = PickleAs::parse(pickle_as)?;
        let collections = collections.filter(|c| !c.is_none()).map(|c| names(c, "collections")).transpose()?;
        let inner = crate::run::run(py, || Butler::open(root))?;
        Ok(Self { inner: Arc::new(inner), collections, run, pickle_as, snapshot: None })
    }

    /// Makes a repository in a folder, which is created when absent, with the dataset types ``calexp`` and ``deepCoadd``.
    ///
    /// Raises
    /// ------
    /// ConflictError
    ///     There is one.
    #[staticmethod]
    #[pyo3(signature = (root, *, run=None))]
    fn create(py: Python<'_>, root: &Bound<'_, PyAny>, run: Option<String>) -> PyResult<Self> {
        let root = local_path(root)?;
        let inner = crate::run::run(py, || Butler::create(root))?;
        Ok(Self { inner: Arc::new(inner), collections: None, run, pickle_as: PickleAs::Address, snapshot: None })
    }

    /// A butler that knows what a snapshot knows. It reads and does not write; it pickles as the snapshot.
    ///
    /// Parameters
    /// ----------
    /// snapshot : Snapshot
    ///     What exists.
    /// root : str or path-like, optional
    ///     Where the bytes are; the repository that the snapshot was made of unless given.
    #[staticmethod]
    #[pyo3(signature = (snapshot, root=None))]
    fn from_snapshot(snapshot: &Bound<'_, PySnapshot>, root: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let snapshot = snapshot.get().inner.clone();
        let root = match (root.filter(|r| !r.is_none()), snapshot.property(property::REPOSITORY)) {
            (Some(root), _) => local_path(root)?,
            (None, Some(root)) => PathBuf::from(root),
            (None, None) => return Err(usage("the snapshot does not say which repository it is of: give `root`")),
        };
        Self::of_snapshot(snapshot, root, PickleAs::Snapshot)
    }

    /// The repository's folder.
    #[getter]
    fn root(&self) -> &Path {
        self.inner.root()
    }

    /// How it pickles: ``"address"`` or ``"snapshot"``.
    #[getter]
    fn pickle_as(&self) -> &'static str {
        self.pickle_as.name()
    }

    /// Whether it can write.
    #[getter]
    fn writeable(&self) -> bool {
        self.inner.registry().is_ok()
    }

    /// Where datasets are looked for unless a call says otherwise.
    #[getter]
    fn default_collections(&self) -> PyResult<Vec<String>> {
        self.search(None)
    }

    /// The packer of some dimensions, with the numbers of this repository.
    ///
    /// Parameters
    /// ----------
    /// dimensions : str or list of str
    ///     ``"tract,patch"``, ``"tract,patch,band"``, ``"visit,detector"`` or ``"exposure,detector"``.
    /// data_id : dict, optional
    ///     Which sky map (``skymap``) or camera (``instrument``); the only one of the repository unless given. Keyword arguments add
    ///     to it.
    /// bands : True, list of str, or dict, optional
    ///     The bands' codes, as of `Packer.sky_map`; the reference's own table unless given.
    /// **keywords
    ///     Dimension values.
    ///
    /// Returns
    /// -------
    /// Packer
    ///
    /// Raises
    /// ------
    /// UsageError
    ///     There is no packer of these dimensions, or it is not clear of which sky map or camera.
    ///
    /// Examples
    /// --------
    /// >>> packer = butler.packer("visit,detector")
    /// >>> packer.unpack(packer.pack(visit=900000, detector=0))
    /// {'detector': 0, 'instrument': 'SimCam', 'visit': 900000}
    /// >>> butler.packer("tract,patch,band", skymap="sim", bands=["r", "i"]).columns
    /// ['patch', 'tract', 'band']
    #[pyo3(signature = (dimensions, data_id=None, /, *, bands=None, **keywords))]
    fn packer<'py>(
        &self,
        py: Python<'py>,
        dimensions: &Bound<'py, PyAny>,
        data_id: Option<&Bound<'py, PyAny>>,
        bands: Option<&Bound<'py, PyAny>>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<PyPacker> {
        let dimensions = names(dimensions, "dimensions")?.join(",");
        let of = crate::data_id::data_id(data_id, keywords)?;
        let inner = &self.inner;
        let packer = run(py, || inner.packer_for(&dimensions, &of))?;
        let Some(bands) = bands.filter(|b| !b.is_none()) else { return Ok(packer.into()) };
        if !packer.columns().any(|c| c == "band") {
            return Err(usage(format!("`bands` are for packers with the dimension band, not of `{dimensions}`")));
        }
        // What the packer says of its sky map, whether it was given or the only one.
        let of = packer.unpack(0).or_raise()?;
        let name = of.str("skymap").unwrap_or_default();
        let (codes, map) = (crate::packer::band_codes(Some(bands), None)?, run(py, || inner.sky_map(name))?);
        Ok(map.packer(name, &codes).or_raise()?.into())
    }

    /// What exists, at this moment: `Snapshot.create` of this butler.
    #[pyo3(signature = (dataset_types=None, collections=None, *, files=true))]
    fn snapshot<'py>(
        slf: &Bound<'py, Self>,
        dataset_types: Option<&Bound<'py, PyAny>>,
        collections: Option<&Bound<'py, PyAny>>,
        files: bool,
    ) -> PyResult<PySnapshot> {
        PySnapshot::create(slf.py(), slf, dataset_types, collections, files)
    }

    fn __repr__(&self) -> String {
        let what = if self.snapshot.is_some() { ", of a snapshot" } else { "" };
        format!("Butler({}{what})", self.inner.root().display())
    }

    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
        slf.py().import("bunter._display")?.call_method1("butler_html", (slf,))?.extract()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let inner = &self.inner;
        let bytes = match (self.pickle_as, &self.snapshot) {
            (PickleAs::Address, _) => None,
            (PickleAs::Snapshot, Some(snapshot)) => Some(PyBytes::new(py, snapshot.as_bytes())),
            (PickleAs::Snapshot, None) => {
                let bytes = run(py, || build(inner, &selection(all_collections(inner)?, all_types(inner)?, true)))?;
                Some(PyBytes::new(py, &bytes))
            }
        };
        let state = (inner.root(), bytes, self.collections.clone(), self.run.clone());
        Ok((py.get_type::<Self>().getattr("_restore")?, state.into_pyobject(py)?))
    }

    #[staticmethod]
    fn _restore(
        py: Python<'_>,
        root: PathBuf,
        bytes: Option<pyo3::pybacked::PyBackedBytes>,
        collections: Option<Vec<String>>,
        run: Option<String>,
    ) -> PyResult<Self> {
        let mut butler = match bytes {
            Some(bytes) => Self::of_snapshot(Snapshot::from_bytes(bytes).or_raise()?, root, PickleAs::Snapshot)?,
            None => Self {
                inner: Arc::new(crate::run::run(py, || Butler::open(root))?),
                collections: None,
                run: None,
                pickle_as: PickleAs::Address,
                snapshot: None,
            },
        };
        butler.collections = collections;
        butler.run = run;
        Ok(butler)
    }
}
