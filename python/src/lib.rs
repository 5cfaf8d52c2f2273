//! The native half of the Python package `bunter`: thin classes over the library, numpy arrays in and out.
//!
//! Everything that takes time runs without the interpreter's lock ([`run`](run::run)), so that threads go on and a panic becomes an
//! exception. MPI is never initialised here: objects pickle, and `mpi4py` carries them.

use bunter::simulate::{SimulateOptions, simulate};
use pyo3::prelude::*;

mod arrays;
mod butler;
mod columns;
mod data_id;
mod dataset_ref;
mod errors;
mod images;
mod packer;
mod polygons;
mod run;
mod sky_map;
mod snapshot;
mod table;
mod wcs;

/// Simulates a small survey of known stars: FITS exposures of the camera ``SimCam``, the same bytes on every machine.
///
/// Parameters
/// ----------
/// out : path-like
///     The folder to write into.
/// visits, ccds : int
///     Number of visits, and of detectors a visit.
/// nx, ny : int
///     Columns and rows of a detector.
/// seed : int
///     All randomness depends on it.
/// bands : list of str
///     The bands, which take turns.
/// ra, dec : float
///     Centre of the field, degrees.
///
/// Returns
/// -------
/// list of pathlib.Path
///     The exposures' files.
#[pyfunction(name = "simulate")]
#[pyo3(signature = (out, *, visits=4, ccds=1, nx=64, ny=64, seed=20_261_122, bands=vec!["r".to_owned(), "i".to_owned()], ra=150.1, dec=2.2))]
#[expect(clippy::too_many_arguments, reason = "keyword arguments")]
fn simulate_survey(
    py: Python<'_>,
    out: std::path::PathBuf,
    visits: u32,
    ccds: u32,
    nx: u32,
    ny: u32,
    seed: u64,
    bands: Vec<String>,
    ra: f64,
    dec: f64,
) -> PyResult<Vec<std::path::PathBuf>> {
    let options = SimulateOptions { visits, ccds, nx, ny, seed, bands, ra, dec, ..SimulateOptions::new(out) };
    Ok(run::run(py, || simulate(&options, &|_| {}))?.files)
}

/// The native half of `bunter`.
#[pymodule]
fn _bunter(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<butler::PyButler>()?;
    module.add_class::<dataset_ref::PyDatasetRef>()?;
    module.add_class::<dataset_ref::PyStoredDataset>()?;
    module.add_class::<images::PyCoadd>()?;
    module.add_class::<images::PyExposure>()?;
    module.add_class::<packer::PyPacker>()?;
    module.add_class::<polygons::PyPolygons>()?;
    module.add_class::<sky_map::PyPatch>()?;
    module.add_class::<sky_map::PySkyMap>()?;
    module.add_class::<sky_map::PyTract>()?;
    module.add_class::<snapshot::PySnapshot>()?;
    module.add_class::<table::PyTable>()?;
    module.add_class::<wcs::PyWcs>()?;
    module.add_function(wrap_pyfunction!(data_id::dimensions, module)?)?;
    module.add_function(wrap_pyfunction!(images::picture, module)?)?;
    module.add_function(wrap_pyfunction!(simulate_survey, module)?)?;
    Ok(())
}
