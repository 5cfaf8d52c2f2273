//! Bytes: `get`, `put`, and the two halves of `put` that ranks share.

use std::path::PathBuf;

use bunter::butler::store;
use bunter::{ButlerError, DatasetType, PathTemplate};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::PyButler;
use super::dataset::{from_python, to_python};
use crate::data_id::kind_of;
use crate::dataset_ref::{PyDatasetRef, PyStoredDataset};
use crate::errors::{OrRaise, wrong_type};
use crate::run::run;
use crate::wcs::pixel_box;

impl PyButler {
    /// The path template of a dataset type: the registry's, or the usual one.
    fn template(&self, dataset_type: &DatasetType) -> Result<PathTemplate, ButlerError> {
        match self.inner.registry() {
            Ok(registry) => Ok(registry.path_template(&dataset_type.name)?),
            Err(_) => Ok(PathTemplate::default_for(dataset_type)?),
        }
    }
}

#[pymethods]
impl PyButler {
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
}
