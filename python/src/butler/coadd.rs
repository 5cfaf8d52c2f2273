//! Coadds, one patch at a time.

use bunter::coadd::{CoaddConfig, CoaddTask};
use bunter::ranks::{BuildError, coadd_quanta};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::PyButler;
use super::questions::filter;
use crate::errors::{OrRaise, usage};
use crate::images::PyCoadd;
use crate::run::run;
use crate::sky_map::number;

#[pymethods]
impl PyButler {
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
}
