//! `Exposure`.

use bunter::Exposure;
use numpy::PyArray2;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::pixels::{Parts, Pixels, attributes_of_pixels};

/// A calibrated image: pixels, mask, variance, where they lie on the sky, and what a count is worth.
///
/// The arrays are numpy arrays ``[y, x]`` that were moved out of the reader, not copied; they may be written to. Element
/// ``[0, 0]`` is pixel ``(bbox.x0, bbox.y0)`` of the detector, in whose coordinates the WCS is given.
///
/// Parameters
/// ----------
/// image : array_like of float32
///     Counts in a pixel, background subtracted; NaN where there is no data.
/// wcs : Wcs, astropy.wcs.WCS, dict or astropy.io.fits.Header
///     From pixels of the detector to the sky.
/// zero_point : float
///     Magnitude of one count.
/// mask : array_like of int32, optional
///     Bits named by `mask_planes`; none set unless given.
/// variance : array_like of float32, optional
///     Variance of `image`, counts squared; NaN, which is unknown, unless given.
/// bbox : Box or tuple, optional
///     ``(x0, y0, width, height)``; from the origin unless given.
/// mask_planes : dict, optional
///     Bits by name; the customary ones unless given.
/// metadata : dict, astropy.io.fits.Header or list of tuple, optional
///     Further header records.
///
/// Examples
/// --------
/// >>> import numpy as np
/// >>> wcs = bunter.SkyMap.preset("hsc_rings_v1").tract(9813).wcs
/// >>> exposure = bunter.Exposure(np.zeros((4, 6), np.float32), wcs, 27.0)
/// >>> exposure.bbox
/// Box(x0=0, y0=0, width=6, height=4)
/// >>> exposure.mask_planes["SAT"]
/// 1
#[pyclass(module = "bunter", name = "Exposure", frozen)]
pub(crate) struct PyExposure {
    pixels: Pixels,
}
attributes_of_pixels!(PyExposure);

impl PyExposure {
    pub(crate) fn of(py: Python<'_>, exposure: Exposure) -> Self {
        let Exposure { bbox, image, mask, variance, mask_planes, wcs, zero_point, metadata } = exposure;
        let parts = Parts { bbox, image, mask, variance, planes: mask_planes, wcs, zero_point, metadata };
        Self { pixels: Pixels::of(py, parts) }
    }

    /// A copy for the library.
    pub(crate) fn to_rust(&self, py: Python<'_>) -> PyResult<Exposure> {
        let Parts { bbox, image, mask, variance, planes, wcs, zero_point, metadata } = self.pixels.to_rust(py)?;
        Ok(Exposure { bbox, image, mask, variance, mask_planes: planes, wcs, zero_point, metadata })
    }
}

#[pymethods]
impl PyExposure {
    #[new]
    #[pyo3(signature = (image, wcs, zero_point, *, mask=None, variance=None, bbox=None, mask_planes=None, metadata=None))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments")]
    fn new<'py>(
        py: Python<'py>,
        image: &Bound<'py, PyAny>,
        wcs: &Bound<'py, PyAny>,
        zero_point: f64,
        mask: Option<&Bound<'py, PyAny>>,
        variance: Option<&Bound<'py, PyAny>>,
        bbox: Option<&Bound<'py, PyAny>>,
        mask_planes: Option<&Bound<'py, PyAny>>,
        metadata: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Self> {
        let pixels = Pixels::new(py, image, mask, variance, bbox, mask_planes, wcs, zero_point, metadata)?;
        Ok(Self { pixels })
    }

    fn __repr__(&self) -> String {
        format!("Exposure({}, zero point {})", self.pixels.bbox, self.pixels.zero_point)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        Ok((py.get_type::<Self>().getattr("_of")?, PyTuple::new(py, [self.pixels.state(py)?])?))
    }

    #[staticmethod]
    fn _of(state: &Bound<'_, PyTuple>) -> PyResult<Self> {
        Ok(Self { pixels: Pixels::of_state(state)? })
    }
}
