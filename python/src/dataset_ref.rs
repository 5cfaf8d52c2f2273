//! `DatasetRef` and `StoredDataset`.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use bunter::{DatasetRef, NewDataset};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::data_id::to_dict;
use crate::errors::OrRaise;

/// One dataset: its identity, type, name, and the run that made it.
///
/// Attributes
/// ----------
/// id : uuid.UUID
///     Identity.
/// dataset_type : str
///     Name of the dataset type.
/// data_id : dict
///     Dimension values, by name.
/// run : str
///     The RUN collection it belongs to.
#[pyclass(module = "bunter", name = "DatasetRef", frozen)]
#[derive(Clone)]
pub(crate) struct PyDatasetRef {
    pub(crate) inner: DatasetRef,
}

/// `uuid.UUID` of sixteen bytes.
pub(crate) fn uuid<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let keywords = PyDict::new(py);
    keywords.set_item("bytes", PyBytes::new(py, bytes))?;
    py.import("uuid")?.getattr("UUID")?.call((), Some(&keywords))
}

#[pymethods]
impl PyDatasetRef {
    #[getter]
    fn id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        uuid(py, self.inner.id.as_bytes())
    }

    #[getter]
    fn dataset_type(&self) -> &str {
        &self.inner.dataset_type
    }

    #[getter]
    fn data_id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        to_dict(py, &self.inner.data_id)
    }

    #[getter]
    fn run(&self) -> &str {
        &self.inner.run
    }

    fn __repr__(&self) -> String {
        format!("DatasetRef({})", self.inner)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().inner == self.inner)
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.inner.hash(&mut hasher);
        hasher.finish()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let text = serde_json::to_string(&self.inner).or_raise()?;
        Ok((py.get_type::<Self>().getattr("_from_json")?, PyTuple::new(py, [text])?))
    }

    #[staticmethod]
    fn _from_json(text: &str) -> PyResult<Self> {
        Ok(Self { inner: serde_json::from_str(text).or_raise()? })
    }
}

/// A dataset whose bytes are written and whose row is not: what `Butler.store` gives and `Butler.enter` takes.
///
/// It pickles, so that ranks may send theirs to the one that holds the registry.
///
/// Attributes
/// ----------
/// ref : DatasetRef
///     What it is.
/// path : str
///     Where its bytes are: relative to the repository, or absolute.
/// size : int
///     How many.
#[pyclass(module = "bunter", name = "StoredDataset", frozen)]
#[derive(Clone)]
pub(crate) struct PyStoredDataset {
    pub(crate) inner: NewDataset,
}

#[pymethods]
impl PyStoredDataset {
    #[getter(r#ref)]
    fn reference(&self) -> PyDatasetRef {
        PyDatasetRef { inner: self.inner.dataset.clone() }
    }

    #[getter]
    fn path(&self) -> String {
        self.inner.file.path.clone()
    }

    #[getter]
    fn size(&self) -> u64 {
        self.inner.file.size
    }

    fn __repr__(&self) -> String {
        format!("StoredDataset({}, {:?})", self.inner.dataset, self.inner.file.path)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().inner == self.inner)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let text = serde_json::to_string(&self.inner).or_raise()?;
        Ok((py.get_type::<Self>().getattr("_from_json")?, PyTuple::new(py, [text])?))
    }

    #[staticmethod]
    fn _from_json(text: &str) -> PyResult<Self> {
        Ok(Self { inner: serde_json::from_str(text).or_raise()? })
    }
}
