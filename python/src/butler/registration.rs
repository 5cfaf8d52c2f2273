//! What a repository is told: sky maps, instruments, dataset types, exposures.

use std::path::PathBuf;

use bunter::camera::Cameras;
use bunter::datastore::Transfer;
use bunter::{ButlerError, IngestOptions, Storage, StorageClass};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::PyButler;
use crate::data_id::{kind_of, names};
use crate::errors::{OrRaise, usage, wrong_type};
use crate::run::run;
use crate::sky_map::PySkyMap;

#[pymethods]
impl PyButler {
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
}
