//! `Coadd`.

use bunter::Coadd;
use numpy::{IntoPyArray, PyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::pixels::{Parts, Pixels, attributes_of_pixels, copy, plane, same_shape};
use crate::table::PyTable;

/// A coadded image of one patch and band.
///
/// The arrays are numpy arrays ``[y, x]`` that were moved out of the reader or the coadd task, not copied.
///
/// Attributes
/// ----------
/// image, variance, weight : numpy.ndarray of float32
///     Counts, counts squared, sum of the inputs' weights. NaN where no input contributes.
/// mask : numpy.ndarray of int32
///     Bits named by `mask_planes`.
/// n_image : numpy.ndarray of uint16
///     Number of inputs of each pixel.
/// inputs : Table
///     One row an input.
/// bbox : Box
///     The patch's outer box, in the tract's pixels.
/// wcs : Wcs
///     The tract's.
/// zero_point : float
///     Magnitude of one count.
/// metadata : dict
///     Kernel, statistic, band, tract, patch, …
#[pyclass(module = "bunter", name = "Coadd", frozen)]
pub(crate) struct PyCoadd {
    pixels: Pixels,
    n_image: Py<PyArray2<u16>>,
    weight: Py<PyArray2<f32>>,
    inputs: PyTable,
}
attributes_of_pixels!(PyCoadd);

impl PyCoadd {
    pub(crate) fn of(py: Python<'_>, coadd: Coadd) -> Self {
        let Coadd { bbox, image, mask, variance, n_image, weight, mask_planes, wcs, zero_point, inputs, metadata } =
            coadd;
        let parts = Parts { bbox, image, mask, variance, planes: mask_planes, wcs, zero_point, metadata };
        Self {
            pixels: Pixels::of(py, parts),
            n_image: n_image.into_pyarray(py).unbind(),
            weight: weight.into_pyarray(py).unbind(),
            inputs: inputs.into(),
        }
    }

    /// A copy for the library.
    pub(crate) fn to_rust(&self, py: Python<'_>) -> PyResult<Coadd> {
        let Parts { bbox, image, mask, variance, planes, wcs, zero_point, metadata } = self.pixels.to_rust(py)?;
        let (n_image, weight) = (copy(&self.n_image, py, "n_image")?, copy(&self.weight, py, "weight")?);
        let (mask_planes, inputs) = (planes, self.inputs.batch.clone());
        Ok(Coadd { bbox, image, mask, variance, n_image, weight, mask_planes, wcs, zero_point, inputs, metadata })
    }
}

#[pymethods]
impl PyCoadd {
    /// Number of inputs of each pixel ``[y, x]``, uint16.
    #[getter]
    fn n_image<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray2<u16>> {
        self.n_image.bind(py).clone()
    }

    /// Sum of the inputs' weights ``[y, x]``, float32.
    #[getter]
    fn weight<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray2<f32>> {
        self.weight.bind(py).clone()
    }

    /// The inputs, one a row.
    #[getter]
    fn inputs(&self) -> PyTable {
        self.inputs.clone()
    }

    fn __repr__(&self) -> String {
        let Pixels { bbox, zero_point, .. } = &self.pixels;
        format!("Coadd({bbox}, {} inputs, zero point {zero_point})", self.inputs.batch.num_rows())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let state = (self.pixels.state(py)?, &self.n_image, &self.weight, self.inputs.clone());
        Ok((py.get_type::<Self>().getattr("_of")?, state.into_pyobject(py)?))
    }

    #[staticmethod]
    fn _of<'py>(
        pixels: &Bound<'py, PyTuple>,
        n_image: &Bound<'py, PyAny>,
        weight: &Bound<'py, PyAny>,
        inputs: &Bound<'py, PyAny>,
    ) -> PyResult<Self> {
        let py = pixels.py();
        let pixels = Pixels::of_state(pixels)?;
        let (n_image, weight) = (plane::<u16>(n_image, "n_image", "u2")?, plane::<f32>(weight, "weight", "f4")?);
        let shape = pixels.image.bind(py).shape().to_vec();
        same_shape("n_image", n_image.shape(), &shape)?;
        same_shape("weight", weight.shape(), &shape)?;
        Ok(Self { pixels, n_image: n_image.unbind(), weight: weight.unbind(), inputs: PyTable::of(inputs)? })
    }
}
