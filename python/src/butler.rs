//! `Butler`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bunter::butler::store;
use bunter::camera::Cameras;
use bunter::coadd::{CoaddConfig, CoaddTask};
use bunter::datastore::{Dataset, Transfer};
use bunter::ranks::{BuildError, coadd_quanta};
use bunter::snapshot::property;
use bunter::{
    Butler, ButlerError, CollectionType, Comparison, DataIdQuery, DatasetType, DimensionValue, Expression,
    IngestOptions, Literal, Operand, OrderBy, OverlapQuery, PathTemplate, Query, Region, Snapshot, Storage,
    StorageClass, Universe,
};
use numpy::IntoPyArray;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::data_id::{data_id, kind_of};
use crate::dataset_ref::{PyDatasetRef, PyStoredDataset};
use crate::errors::{Kind, OrRaise, raise, usage, wrong_type};
use crate::images::{PyCoadd, PyExposure};
use crate::packer::PyPacker;
use crate::run::run;
use crate::sky_map::{PySkyMap, number};
use crate::snapshot::{PySnapshot, all_collections, all_types, build, selection};
use crate::table::PyTable;
use crate::wcs::{PyWcs, box_to_python, header_to_dict, pixel_box};

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

/// A list of names: one text, or several.
pub(crate) fn names(value: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<String>> {
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(vec![text.to_str()?.to_owned()]);
    }
    let not = || wrong_type(format!("`{what}` are names, not {}", kind_of(value)));
    value.try_iter().map_err(|_| not())?.map(|n| n?.extract::<String>().map_err(|_| not())).collect()
}

/// The repository's folder: a path, or a URL of a local file.
fn local_path(address: &Bound<'_, PyAny>) -> PyResult<PathBuf> {
    if let Ok(text) = address.extract::<String>() {
        if let Some(path) = text.strip_prefix("file://") {
            let path = path.strip_prefix("localhost").unwrap_or(path);
            let plain: String = address.py().import("urllib.parse")?.call_method1("unquote", (path,))?.extract()?;
            return Ok(PathBuf::from(plain));
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(usage(format!("{text}: repositories are opened by path or file:// URL, not over {scheme}")));
        }
    }
    address
        .extract::<PathBuf>()
        .map_err(|_| wrong_type(format!("a repository is named by a path, not by {}", kind_of(address))))
}

/// An expression and a data ID, together.
fn filter(condition: Option<&str>, keywords: Option<&Bound<'_, PyDict>>) -> PyResult<Option<Expression>> {
    let mut terms = Vec::new();
    if let Some(text) = condition.filter(|t| !t.trim().is_empty()) {
        terms.push(Expression::parse(text).or_raise()?);
    }
    for (name, value) in data_id(None, keywords)?.iter() {
        let literal = match value {
            DimensionValue::Int(v) => Literal::Int(*v),
            DimensionValue::Str(v) => Literal::Str(v.to_string()),
        };
        let dimension = Operand::Identifier { element: name.to_owned(), field: None };
        terms.push(Expression::Compare(Comparison::Eq, dimension, Operand::Literal(literal)));
    }
    Ok(Expression::all_of(terms))
}

fn query(
    condition: Option<&str>,
    order_by: Option<&Bound<'_, PyAny>>,
    limit: Option<&Bound<'_, PyAny>>,
    keywords: Option<&Bound<'_, PyDict>>,
) -> PyResult<Query> {
    let order_by = order_by.map(|o| names(o, "order_by")).transpose()?.unwrap_or_default();
    let limit = match limit {
        Some(limit) => {
            let rows = crate::data_id::integer(limit, "limit")?;
            Some(
                usize::try_from(rows)
                    .map_err(|_| usage(format!("limit is {rows}, but a number of rows is not negative")))?,
            )
        }
        None => None,
    };
    Ok(Query {
        filter: filter(condition, keywords)?,
        order_by: order_by.iter().map(|key| OrderBy::parse(key)).collect(),
        limit,
    })
}

fn region(text: Option<&str>) -> PyResult<Option<Region>> {
    text.map(str::parse::<Region>).transpose().or_raise()
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
    fn search(&self, collections: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<String>> {
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

    fn run_of(&self, run: Option<String>) -> PyResult<String> {
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

    /// The path template of a dataset type: the registry's, or the usual one.
    fn template(&self, dataset_type: &DatasetType) -> Result<PathTemplate, ButlerError> {
        match self.inner.registry() {
            Ok(registry) => Ok(registry.path_template(&dataset_type.name)?),
            Err(_) => Ok(PathTemplate::default_for(dataset_type)?),
        }
    }
}

/// A dataset as a Python object. Arrays are moved.
fn to_python(py: Python<'_>, dataset: Dataset) -> PyResult<Bound<'_, PyAny>> {
    Ok(match dataset {
        Dataset::Exposure(exposure) => PyExposure::of(py, *exposure).into_pyobject(py)?.into_any(),
        Dataset::Coadd(coadd) => PyCoadd::of(py, *coadd).into_pyobject(py)?.into_any(),
        Dataset::Table(batch) => PyTable::from(batch).into_pyobject(py)?.into_any(),
        Dataset::Json(document) => py.import("json")?.call_method1("loads", (document.to_string(),))?,
        Dataset::Image(pixels) => pixels.into_pyarray(py).into_any(),
        Dataset::Mask(pixels) => pixels.into_pyarray(py).into_any(),
        Dataset::NImage(pixels) => pixels.into_pyarray(py).into_any(),
        Dataset::Wcs(wcs) => PyWcs::from(wcs).into_pyobject(py)?.into_any(),
        Dataset::Box(bbox) => box_to_python(py, bbox)?,
        Dataset::Number(value) => value.into_pyobject(py)?.into_any(),
        Dataset::Metadata(header) => header_to_dict(py, &header)?.into_any(),
        other => return Err(raise(Kind::Error, format!("{} has no equal in Python", other.kind()))),
    })
}

/// A Python object as a dataset of a storage class.
fn from_python(value: &Bound<'_, PyAny>, storage_class: StorageClass) -> PyResult<Dataset> {
    let py = value.py();
    let wrong =
        || wrong_type(format!("a dataset of storage class {storage_class} is needed, this is {}", kind_of(value)));
    Ok(match storage_class {
        StorageClass::Exposure => value.cast::<PyExposure>().map_err(|_| wrong())?.get().to_rust(py)?.into(),
        StorageClass::Coadd => value.cast::<PyCoadd>().map_err(|_| wrong())?.get().to_rust(py)?.into(),
        StorageClass::Table => PyTable::of(value)?.batch.into(),
        StorageClass::Json => {
            let keywords = PyDict::new(py);
            // NaN is no JSON, and no other program would read it.
            keywords.set_item("allow_nan", false)?;
            let text = py
                .import("json")?
                .call_method("dumps", (value,), Some(&keywords))
                .map_err(|e| wrong_type(format!("this cannot be stored as JSON: {}", e.value(py))))?;
            let document: serde_json::Value = serde_json::from_str(&text.extract::<String>()?).or_raise()?;
            document.into()
        }
    })
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

    /// Reads a dataset, one component of it, or the pixels of one box.
    ///
    /// Parameters
    /// ----------
    /// dataset : str or DatasetRef
    ///     The dataset type, perhaps with a component (``"calexp.image"``, ``"deepCoadd.inputs"``), or a dataset that was found.
    /// data_id : dict, optional
    ///     Dimension values; keyword arguments add to it.
    /// collections : str or list of str, optional
    ///     Where it is looked for, in this order.
    /// bbox : Box or tuple, optional
    ///     ``(x0, y0, width, height)`` in pixels of the detector or tract: only these bytes are read.
    /// component : str, optional
    ///     The component of a `DatasetRef`.
    /// **keywords
    ///     Dimension values.
    ///
    /// Returns
    /// -------
    /// Exposure, Coadd, Table, dict, numpy.ndarray, Wcs, Box or float
    ///     As the storage class and the component say.
    ///
    /// Raises
    /// ------
    /// NotFoundError
    ///     There is no such dataset, type or collection; the text names the near one.
    /// UsageError
    ///     An unknown component, a box outside of the image, a data ID that does not fit.
    #[pyo3(signature = (dataset, data_id=None, /, *, collections=None, bbox=None, component=None, **keywords))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments")]
    fn get<'py>(
        &self,
        py: Python<'py>,
        dataset: &Bound<'py, PyAny>,
        data_id: Option<&Bound<'py, PyAny>>,
        collections: Option<&Bound<'py, PyAny>>,
        bbox: Option<&Bound<'py, PyAny>>,
        component: Option<String>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let bbox = bbox.filter(|b| !b.is_none()).map(pixel_box).transpose()?;
        let inner = &self.inner;
        let found = if let Ok(reference) = dataset.cast::<PyDatasetRef>() {
            let reference = reference.get().inner.clone();
            run(py, || {
                let kind = inner.reader().dataset_type(&reference.dataset_type)?;
                let file = inner.reader().file_record(reference.id)?.ok_or_else(|| ButlerError::NotFound {
                    dataset_type: reference.dataset_type.to_string(),
                    data_id: reference.data_id.clone(),
                    collections: vec![reference.run.to_string()],
                })?;
                let found = bunter::Found { dataset: reference, dataset_type: kind, file };
                inner.read(&found, component.as_deref(), bbox)
            })?
        } else {
            let mut name: String = dataset
                .extract()
                .map_err(|_| wrong_type(format!("a dataset is named by its type, not by {}", kind_of(dataset))))?;
            if let Some(component) = component {
                name = format!("{name}.{component}");
            }
            let id = crate::data_id::data_id(data_id, keywords)?;
            let collections = self.search(collections)?;
            run(py, || {
                let collections: Vec<&str> = collections.iter().map(String::as_str).collect();
                inner.get(&name, &id, &collections, bbox)
            })?
        };
        to_python(py, found)
    }

    /// Keeps a dataset: bytes first, then the row.
    ///
    /// Parameters
    /// ----------
    /// dataset : Exposure, Coadd, Table (or anything a table is made of), or what JSON can hold
    ///     The dataset, as the dataset type's storage class says.
    /// dataset_type : str
    ///     Its type.
    /// data_id : dict, optional
    ///     Dimension values; keyword arguments add to it.
    /// run : str, optional
    ///     The run it goes to.
    ///
    /// Returns
    /// -------
    /// DatasetRef
    ///
    /// Raises
    /// ------
    /// ConflictError
    ///     The run has a dataset of this name.
    /// ReadOnlyError
    ///     The butler was made of a snapshot.
    #[pyo3(signature = (dataset, dataset_type, data_id=None, /, *, run=None, **keywords))]
    fn put<'py>(
        &self,
        py: Python<'py>,
        dataset: &Bound<'py, PyAny>,
        dataset_type: &str,
        data_id: Option<&Bound<'py, PyAny>>,
        run: Option<String>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<PyDatasetRef> {
        self.inner.registry().or_raise()?;
        let id = crate::data_id::data_id(data_id, keywords)?;
        let kind = self.inner.reader().dataset_type(dataset_type).or_raise()?;
        let (dataset, target) = (from_python(dataset, kind.storage_class)?, self.run_of(run)?);
        let inner = &self.inner;
        let inner = crate::run::run(py, || inner.put(&dataset, dataset_type, &id, &target))?;
        Ok(PyDatasetRef { inner })
    }

    /// Writes the bytes of a dataset and leaves its row to be entered: a rank's half of `put`, for which no registry is needed.
    ///
    /// Parameters
    /// ----------
    /// dataset, dataset_type, data_id, run
    ///     As of `put`.
    ///
    /// Returns
    /// -------
    /// StoredDataset
    ///     To be sent to the rank that calls `enter`.
    #[pyo3(signature = (dataset, dataset_type, data_id=None, /, *, run=None, **keywords))]
    fn store<'py>(
        &self,
        py: Python<'py>,
        dataset: &Bound<'py, PyAny>,
        dataset_type: &str,
        data_id: Option<&Bound<'py, PyAny>>,
        run: Option<String>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<PyStoredDataset> {
        let id = crate::data_id::data_id(data_id, keywords)?;
        let kind = self.inner.reader().dataset_type(dataset_type).or_raise()?;
        let (dataset, target) = (from_python(dataset, kind.storage_class)?, self.run_of(run)?);
        let inner = crate::run::run(py, || {
            let template = self.template(&kind)?;
            store(self.inner.datastore(), &dataset, &kind, &template, &id, &target)
        })?;
        Ok(PyStoredDataset { inner })
    }

    /// Enters datasets whose bytes are written: all of them, or none.
    ///
    /// Parameters
    /// ----------
    /// stored : iterable of StoredDataset
    ///     What `store` gave, here or elsewhere.
    ///
    /// Returns
    /// -------
    /// int
    ///     How many are new.
    fn enter(&self, py: Python<'_>, stored: &Bound<'_, PyAny>) -> PyResult<usize> {
        let mut datasets = Vec::new();
        for item in stored.try_iter()? {
            let item = item?;
            let item = item
                .cast::<PyStoredDataset>()
                .map_err(|_| wrong_type(format!("stored datasets are needed, not {}", kind_of(&item))))?;
            datasets.push(item.get().inner.clone());
        }
        let inner = &self.inner;
        crate::run::run(py, || -> Result<usize, ButlerError> {
            let registry = inner.registry()?;
            for dataset in &datasets {
                registry.register_run(&dataset.dataset.run)?;
            }
            Ok(registry.insert_datasets(&datasets)?.new)
        })
    }

    /// Finds a dataset: the first in the order of collections.
    ///
    /// Returns
    /// -------
    /// DatasetRef or None
    #[pyo3(signature = (dataset_type, data_id=None, /, *, collections=None, **keywords))]
    fn find_dataset<'py>(
        &self,
        py: Python<'py>,
        dataset_type: &str,
        data_id: Option<&Bound<'py, PyAny>>,
        collections: Option<&Bound<'py, PyAny>>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Option<PyDatasetRef>> {
        let id = crate::data_id::data_id(data_id, keywords)?;
        let (inner, collections) = (&self.inner, self.search(collections)?);
        let found = run(py, || {
            let collections: Vec<&str> = collections.iter().map(String::as_str).collect();
            inner.reader().find_dataset(dataset_type, &id, &collections)
        })?;
        Ok(found.map(|inner| PyDatasetRef { inner }))
    }

    /// Whether there is such a dataset.
    #[pyo3(signature = (dataset_type, data_id=None, /, *, collections=None, **keywords))]
    fn exists<'py>(
        &self,
        py: Python<'py>,
        dataset_type: &str,
        data_id: Option<&Bound<'py, PyAny>>,
        collections: Option<&Bound<'py, PyAny>>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<bool> {
        Ok(self.find_dataset(py, dataset_type, data_id, collections, keywords)?.is_some())
    }

    /// The file that holds a dataset.
    ///
    /// Returns
    /// -------
    /// pathlib.Path
    #[pyo3(signature = (dataset_type, data_id=None, /, *, collections=None, **keywords))]
    fn file_path<'py>(
        &self,
        py: Python<'py>,
        dataset_type: &str,
        data_id: Option<&Bound<'py, PyAny>>,
        collections: Option<&Bound<'py, PyAny>>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<PathBuf> {
        let id = crate::data_id::data_id(data_id, keywords)?;
        let (inner, collections) = (&self.inner, self.search(collections)?);
        run(py, || -> Result<PathBuf, ButlerError> {
            let collections: Vec<&str> = collections.iter().map(String::as_str).collect();
            let found = inner.find(dataset_type, &id, &collections)?;
            Ok(inner.datastore().path(&found.file)?)
        })
    }

    /// Datasets of one type.
    ///
    /// Parameters
    /// ----------
    /// dataset_type : str
    ///     The type.
    /// collections : str or list of str, optional
    ///     Where they are looked for.
    /// where : str, optional
    ///     Only those for which this is true: ``"band = 'r' AND visit.exposure_time > 30"``.
    /// find_first : bool
    ///     Of datasets with the same data ID only the one that the search meets first.
    /// order_by : str or list of str, optional
    ///     Sort keys: ``"visit"``, ``"-visit.exposure_time"``.
    /// limit : int, optional
    ///     At most so many rows.
    /// **keywords
    ///     Dimension values that they have.
    ///
    /// Returns
    /// -------
    /// Table
    ///     ``id``, ``run`` and the dimensions.
    ///
    /// Examples
    /// --------
    /// >>> butler.query_datasets("calexp", where="band = 'r'", order_by="visit", limit=2).column_names[:2]
    /// ['id', 'run']
    #[pyo3(signature = (dataset_type, collections=None, *, r#where=None, find_first=true, order_by=None, limit=None, **keywords))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments")]
    fn query_datasets<'py>(
        &self,
        py: Python<'py>,
        dataset_type: &str,
        collections: Option<&Bound<'py, PyAny>>,
        r#where: Option<&str>,
        find_first: bool,
        order_by: Option<&Bound<'py, PyAny>>,
        limit: Option<&Bound<'py, PyAny>>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<PyTable> {
        let query = query(r#where, order_by, limit, keywords)?;
        let (inner, collections) = (&self.inner, self.search(collections)?);
        let batch = run(py, || {
            let collections: Vec<&str> = collections.iter().map(String::as_str).collect();
            inner.query_datasets(dataset_type, &collections, &query, find_first)
        })?;
        Ok(batch.into())
    }

    /// Records of a dimension, or of a combination such as ``visit_detector``; those of tracts and patches are computed.
    ///
    /// Returns
    /// -------
    /// Table
    #[pyo3(signature = (element, *, r#where=None, order_by=None, limit=None, **keywords))]
    fn query_dimension_records<'py>(
        &self,
        py: Python<'py>,
        element: &str,
        r#where: Option<&str>,
        order_by: Option<&Bound<'py, PyAny>>,
        limit: Option<&Bound<'py, PyAny>>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<PyTable> {
        let query = query(r#where, order_by, limit, keywords)?;
        let inner = &self.inner;
        Ok(run(py, || inner.query_dimension_records(element, &query))?.into())
    }

    /// All data IDs of some dimensions: patches of a tract, detectors of a visit, tracts that visits overlap.
    ///
    /// Parameters
    /// ----------
    /// dimensions : str or list of str
    ///     ``["visit", "detector"]``; what they need is added.
    /// where, order_by, limit, **keywords
    ///     As of `query_datasets`.
    /// dataset_type : str, optional
    ///     Only those for which there is a dataset of this type.
    /// collections : str or list of str, optional
    ///     Where it is looked for.
    /// region : str, optional
    ///     Only what shares a point with it: ``"CIRCLE ra dec radius"``, ``"RANGE …"``, ``"POLYGON …"``, degrees.
    ///
    /// Returns
    /// -------
    /// Table
    #[pyo3(signature = (dimensions, *, r#where=None, dataset_type=None, collections=None, region=None, order_by=None, limit=None, **keywords))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments")]
    fn query_data_ids<'py>(
        &self,
        py: Python<'py>,
        dimensions: &Bound<'py, PyAny>,
        r#where: Option<&str>,
        dataset_type: Option<String>,
        collections: Option<&Bound<'py, PyAny>>,
        region: Option<&str>,
        order_by: Option<&Bound<'py, PyAny>>,
        limit: Option<&Bound<'py, PyAny>>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<PyTable> {
        let dimensions = names(dimensions, "dimensions")?;
        let datasets = dataset_type.map(|name| Ok::<_, PyErr>((name, self.search(collections)?))).transpose()?;
        let query = DataIdQuery {
            datasets,
            region: self::region(region)?,
            ..DataIdQuery::from(query(r#where, order_by, limit, keywords)?)
        };
        let inner = &self.inner;
        let batch = run(py, || {
            let dimensions: Vec<&str> = dimensions.iter().map(String::as_str).collect();
            inner.query_data_ids(&dimensions, &query)
        })?;
        Ok(batch.into())
    }

    /// Which detectors' images touch which patches, exactly.
    ///
    /// Parameters
    /// ----------
    /// skymap : str, optional
    ///     Name of the sky map; the only one unless given.
    /// where, **keywords
    ///     As of `query_datasets`; may name tract and patch beside all that is known of images.
    /// dataset_type : str, optional
    ///     Only images that have a dataset of this type; adds the columns ``id`` and ``run``.
    /// collections : str or list of str, optional
    ///     Where it is looked for.
    /// region : str, optional
    ///     Only what shares a point with it.
    /// dimensions : list of str, optional
    ///     The columns wanted; ``skymap, tract, patch, band, instrument, visit, detector`` unless given.
    ///
    /// Returns
    /// -------
    /// Table
    ///     Sorted by its columns.
    #[pyo3(signature = (skymap=None, *, r#where=None, dataset_type=None, collections=None, region=None, dimensions=None, **keywords))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments")]
    fn query_overlaps<'py>(
        &self,
        py: Python<'py>,
        skymap: Option<String>,
        r#where: Option<&str>,
        dataset_type: Option<String>,
        collections: Option<&Bound<'py, PyAny>>,
        region: Option<&str>,
        dimensions: Option<&Bound<'py, PyAny>>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<PyTable> {
        let datasets = dataset_type.map(|name| Ok::<_, PyErr>((name, self.search(collections)?))).transpose()?;
        let query = OverlapQuery {
            sky_map: skymap,
            filter: filter(r#where, keywords)?,
            datasets,
            region: self::region(region)?,
            dimensions: dimensions.map(|d| names(d, "dimensions")).transpose()?,
            ..OverlapQuery::default()
        };
        let inner = &self.inner;
        Ok(run(py, || inner.query_overlaps(&query))?.into())
    }

    /// The dataset types: ``name``, ``storage_class``, ``dimensions``.
    fn query_dataset_types<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let types = self.inner.reader().dataset_types().or_raise()?;
        let rows = types.iter().map(|t| {
            let dict = PyDict::new(py);
            dict.set_item("name", &*t.name)?;
            dict.set_item("storage_class", t.storage_class.name())?;
            dict.set_item("dimensions", t.dimensions.iter().map(|d| &**d).collect::<Vec<_>>())?;
            Ok(dict)
        });
        PyList::new(py, rows.collect::<PyResult<Vec<_>>>()?)
    }

    /// The collections: ``name``, ``type``, ``children``.
    fn query_collections<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let collections = self.inner.reader().collections().or_raise()?;
        let rows = collections.iter().map(|c| {
            let dict = PyDict::new(py);
            dict.set_item("name", &*c.name)?;
            dict.set_item("type", c.collection_type.to_string())?;
            dict.set_item("children", c.children.iter().map(|d| &**d).collect::<Vec<_>>())?;
            Ok(dict)
        });
        PyList::new(py, rows.collect::<PyResult<Vec<_>>>()?)
    }

    /// A registered sky map.
    fn sky_map(&self, py: Python<'_>, name: &str) -> PyResult<PySkyMap> {
        let inner = &self.inner;
        Ok(PySkyMap { inner: run(py, || inner.sky_map(name))? })
    }

    /// Registers a sky map under a name. Doing it twice changes nothing.
    fn register_sky_map(&self, py: Python<'_>, name: &str, sky_map: &Bound<'_, PySkyMap>) -> PyResult<()> {
        let (inner, map) = (&self.inner, &sky_map.get().inner);
        run(py, || inner.register_sky_map(name, map).map(drop))
    }

    /// Registers an instrument that Bunter knows, with its detectors and filters. Doing it twice changes nothing.
    fn register_instrument(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        let inner = &self.inner;
        run(py, || -> Result<(), ButlerError> {
            let cameras = Cameras::built_in()?;
            inner.register_instrument(cameras.instrument(name)?).map(drop)
        })
    }

    /// Registers a dataset type. Doing it twice changes nothing.
    ///
    /// Parameters
    /// ----------
    /// name : str
    ///     Its name.
    /// dimensions : list of str
    ///     The dimensions that name one; what they need is added.
    /// storage_class : {"Exposure", "Coadd", "Table", "Json"}
    ///     What it is in memory.
    /// template : str, optional
    ///     The path of its files.
    #[pyo3(signature = (name, dimensions, storage_class, *, template=None))]
    fn register_dataset_type(
        &self,
        name: &str,
        dimensions: &Bound<'_, PyAny>,
        storage_class: &str,
        template: Option<&str>,
    ) -> PyResult<bool> {
        let class = StorageClass::ALL.into_iter().find(|c| c.name() == storage_class).ok_or_else(|| {
            let known = StorageClass::ALL.map(StorageClass::name).join(", ");
            usage(format!("there is no storage class `{storage_class}`; there are {known}"))
        })?;
        let dimensions = names(dimensions, "dimensions")?;
        let dimensions: Vec<&str> = dimensions.iter().map(String::as_str).collect();
        let kind = self.inner.dataset_type_of(name, &dimensions, class).or_raise()?;
        self.inner.register_dataset_type(&kind, template).or_raise()
    }

    /// Takes FITS exposures in: headers, regions, bytes. A file that cannot be ingested is reported, and the others go on.
    ///
    /// Parameters
    /// ----------
    /// paths : path-like or list of path-like
    ///     Files and folders.
    /// run : str, optional
    ///     The run they go to.
    /// dataset_type : str
    ///     Their type.
    /// transfer : {"copy", "move", "hardlink", "symlink", "direct"}
    ///     How the files come into the repository.
    /// storage : {"fits", "hdf5"}
    ///     As they come, or as page-aligned HDF5 whose pixels are read in place.
    ///
    /// Returns
    /// -------
    /// dict
    ///     ``files``, ``new``, ``existing`` and ``failures`` (a list of path and cause).
    #[pyo3(signature = (paths, *, run=None, dataset_type="calexp", transfer="copy", storage="fits"))]
    fn ingest<'py>(
        &self,
        py: Python<'py>,
        paths: &Bound<'py, PyAny>,
        run: Option<String>,
        dataset_type: &str,
        transfer: &str,
        storage: &str,
    ) -> PyResult<Bound<'py, PyDict>> {
        let paths: Vec<PathBuf> = match paths.extract::<PathBuf>() {
            Ok(path) => vec![path],
            Err(_) => paths.extract().map_err(|_| wrong_type(format!("`paths` are paths, not {}", kind_of(paths))))?,
        };
        let transfer = match transfer {
            "copy" => Transfer::Copy,
            "move" => Transfer::Move,
            "hardlink" => Transfer::Hardlink,
            "symlink" => Transfer::Symlink,
            "direct" => Transfer::Direct,
            other => {
                return Err(usage(format!("transfer is copy, move, hardlink, symlink or direct, not \"{other}\"")));
            }
        };
        let storage = match storage {
            "fits" => Storage::Fits,
            "hdf5" => Storage::Hdf5,
            other => return Err(usage(format!("storage is fits or hdf5, not \"{other}\""))),
        };
        let options = IngestOptions {
            run: self.run_of(run)?,
            dataset_type: dataset_type.to_owned(),
            transfer,
            storage,
            register_instruments: true,
            cameras: Cameras::built_in().or_raise()?,
        };
        let inner = &self.inner;
        let report = crate::run::run(py, || inner.ingest(&paths, &options, &mut |_| {}))?;
        let dict = PyDict::new(py);
        dict.set_item("files", report.files)?;
        dict.set_item("new", report.new)?;
        dict.set_item("existing", report.existing)?;
        let failures: Vec<(PathBuf, String)> =
            report.failures.into_iter().map(|f| (f.path, f.cause.to_string())).collect();
        dict.set_item("failures", failures)?;
        Ok(dict)
    }

    /// A packer of dimensions, with the numbers of this repository.
    ///
    /// Parameters
    /// ----------
    /// skymap : str
    ///     Name of the sky map.
    /// bands : None, True, list of str, or dict
    ///     As of `Packer.sky_map`.
    #[pyo3(signature = (skymap, bands=None))]
    fn packer(&self, py: Python<'_>, skymap: &str, bands: Option<&Bound<'_, PyAny>>) -> PyResult<PyPacker> {
        let map = self.sky_map(py, skymap)?.inner;
        let (nx, ny) = map.max_patches();
        PyPacker::of_sky_map(skymap, u64::from(map.len()), u64::from(nx) * u64::from(ny), bands)
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

    /// Makes the coadd of one patch and band from the images that overlap it, and puts it nowhere.
    ///
    /// Parameters
    /// ----------
    /// skymap : str
    ///     Name of the sky map.
    /// tract, patch : int
    ///     Which patch.
    /// band : str
    ///     Which band.
    /// dataset_type : str
    ///     The images.
    /// collections : str or list of str, optional
    ///     Where they are looked for.
    /// where : str, optional
    ///     Only images for which this is true.
    /// config : dict, optional
    ///     Fields of the configuration: ``kernel``, ``statistic``, ``zero_point``, ``bad_planes``, ``mapping_tolerance_px``.
    ///
    /// Returns
    /// -------
    /// Coadd
    ///
    /// Raises
    /// ------
    /// NotFoundError
    ///     No image touches the patch, or none has a usable pixel there.
    #[pyo3(signature = (skymap, tract, patch, band, *, dataset_type="calexp", collections=None, r#where=None, config=None))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments")]
    fn build_coadd<'py>(
        &self,
        py: Python<'py>,
        skymap: &str,
        tract: &Bound<'py, PyAny>,
        patch: &Bound<'py, PyAny>,
        band: &str,
        dataset_type: &str,
        collections: Option<&Bound<'py, PyAny>>,
        r#where: Option<&str>,
        config: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<PyCoadd> {
        let (tract, patch) = (number(tract, "tract")?, number(patch, "patch")?);
        let mut configuration = serde_json::to_value(CoaddConfig::default()).or_raise()?;
        if let Some(config) = config {
            let text: String = py.import("json")?.call_method1("dumps", (config,))?.extract()?;
            let given: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).or_raise()?;
            for (name, value) in given {
                match configuration.get_mut(&name) {
                    Some(field) => *field = value,
                    None => return Err(usage(format!("a coadd's configuration has no field `{name}`"))),
                }
            }
        }
        let task = CoaddTask { config: serde_json::from_value(configuration).or_raise()? };
        let keywords = PyDict::new(py);
        keywords.set_item("tract", tract)?;
        keywords.set_item("patch", patch)?;
        keywords.set_item("band", band)?;
        let filter = filter(r#where, Some(&keywords))?;
        let (inner, collections) = (&self.inner, self.search(collections)?);
        let coadd = run(py, || -> Result<_, BuildError> {
            let quanta = coadd_quanta(inner, skymap, filter.as_ref(), dataset_type, &collections)?;
            let sky_map = inner.sky_map(skymap)?;
            match quanta.first() {
                Some(quantum) => Ok(task.run(inner.datastore(), &sky_map, quantum)?.0),
                None => Err(BuildError::NothingToDo {
                    dataset_type: dataset_type.to_owned(),
                    collections: collections.join(", "),
                    sky_map: skymap.to_owned(),
                    filter: format!(" where tract = {tract} AND patch = {patch} AND band = '{band}'"),
                }),
            }
        })?;
        Ok(PyCoadd::of(py, coadd))
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

/// Names and kinds of the dimensions: ``{"visit": "integer", "band": "text", …}``.
#[pyfunction]
pub(crate) fn dimensions(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let dict = PyDict::new(py);
    for element in Universe::builtin().dimensions() {
        let (_, kind) = Universe::builtin().dimension(element.name).or_raise()?;
        dict.set_item(element.name, kind.name())?;
    }
    Ok(dict)
}
