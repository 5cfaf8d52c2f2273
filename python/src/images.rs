//! `Exposure` and `Coadd`: pixels as numpy arrays.

use bunter::{Coadd, Exposure, Header, MaskPlanes, PixelBox};
use numpy::{Element, IntoPyArray, PyArray2, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::arrays::{as_array, numpy, require};
use crate::errors::{usage, wrong_type};
use crate::table::PyTable;
use crate::wcs::{PyWcs, box_to_python, header, header_to_dict, header_to_list, pixel_box};

/// A plane of pixels of one type, in memory order; integers may become reals, never the other way round.
fn plane<'py, T: Element>(value: &Bound<'py, PyAny>, name: &str, dtype: &str) -> PyResult<Bound<'py, PyArray2<T>>> {
    let (array, kind) = as_array(value, name)?;
    let fits = match dtype {
        "f4" => matches!(kind, 'f' | 'i' | 'u'),
        _ => matches!(kind, 'i' | 'u'),
    };
    let found = array.getattr("dtype")?;
    if !fits {
        return Err(wrong_type(format!("`{name}` should be {dtype}, but its values are of type {found}")));
    }
    let shape: Vec<usize> = array.getattr("shape")?.extract()?;
    if shape.len() != 2 || shape.contains(&0) {
        return Err(usage(format!("`{name}` should be an image [y, x], but its shape is {shape:?}")));
    }
    let cast = require(&array, dtype)?;
    if dtype != "f4" {
        let same = numpy(value.py())?.call_method1("array_equal", (&cast, &array))?;
        if !same.is_truthy()? {
            return Err(usage(format!("`{name}` has values that do not fit into {dtype}")));
        }
    }
    Ok(cast.cast_into()?)
}

fn full<'py, T: Element + Clone>(py: Python<'py>, shape: &[usize], value: T) -> PyResult<Bound<'py, PyArray2<T>>> {
    let [rows, columns] = *shape else { return Err(usage("an image has two dimensions")) };
    Ok(ndarray::Array2::from_elem((rows, columns), value).into_pyarray(py))
}

fn same_shape(name: &str, shape: &[usize], expected: &[usize]) -> PyResult<()> {
    if shape == expected {
        return Ok(());
    }
    Err(usage(format!("`{name}` has the shape {shape:?}, but `image` has {expected:?}")))
}

fn planes_of(value: Option<&Bound<'_, PyAny>>) -> PyResult<MaskPlanes> {
    let Some(value) = value.filter(|v| !v.is_none()) else { return Ok(MaskPlanes::default()) };
    let dict = value.cast::<PyDict>().map_err(|_| wrong_type("`mask_planes` is a dictionary of bits by name"))?;
    let mut planes: Vec<(String, u8)> = Vec::new();
    for (name, bit) in dict.iter() {
        let name: String = name.extract().map_err(|_| wrong_type("a mask plane is named by a text"))?;
        let bit = crate::data_id::integer(&bit, &name)?;
        let bit = u8::try_from(bit).ok().filter(|b| *b < 31);
        planes.push((name, bit.ok_or_else(|| usage("bits of mask planes are 0 to 30"))?));
    }
    Ok(MaskPlanes::new(planes))
}

fn planes_to_dict<'py>(py: Python<'py>, planes: &MaskPlanes) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, bit) in planes.iter() {
        dict.set_item(name, bit)?;
    }
    Ok(dict)
}

fn box_of(value: Option<&Bound<'_, PyAny>>, shape: &[usize]) -> PyResult<PixelBox> {
    let [rows, columns] = *shape else { return Err(usage("an image has two dimensions")) };
    let bbox = match value.filter(|v| !v.is_none()) {
        Some(value) => pixel_box(value)?,
        None => PixelBox::from_shape((rows, columns)),
    };
    if bbox.shape() == (rows, columns) {
        return Ok(bbox);
    }
    Err(usage(format!("the box {bbox} does not have the shape of `image`, [{rows}, {columns}]")))
}

fn copy<T: Element + Clone>(array: &Py<PyArray2<T>>, py: Python<'_>, name: &str) -> PyResult<ndarray::Array2<T>> {
    let array =
        array.bind(py).try_readonly().map_err(|_| usage(format!("`{name}` is being written to by another call")))?;
    Ok(array.as_array().to_owned())
}

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
    image: Py<PyArray2<f32>>,
    mask: Py<PyArray2<i32>>,
    variance: Py<PyArray2<f32>>,
    bbox: PixelBox,
    planes: MaskPlanes,
    wcs: PyWcs,
    zero_point: f64,
    metadata: Header,
}

impl PyExposure {
    pub(crate) fn of(py: Python<'_>, exposure: Exposure) -> Self {
        let Exposure { bbox, image, mask, variance, mask_planes, wcs, zero_point, metadata } = exposure;
        Self {
            image: image.into_pyarray(py).unbind(),
            mask: mask.into_pyarray(py).unbind(),
            variance: variance.into_pyarray(py).unbind(),
            bbox,
            planes: mask_planes,
            wcs: wcs.into(),
            zero_point,
            metadata,
        }
    }

    /// A copy for the library.
    pub(crate) fn to_rust(&self, py: Python<'_>) -> PyResult<Exposure> {
        Ok(Exposure {
            bbox: self.bbox,
            image: copy(&self.image, py, "image")?,
            mask: copy(&self.mask, py, "mask")?,
            variance: copy(&self.variance, py, "variance")?,
            mask_planes: self.planes.clone(),
            wcs: self.wcs.inner.clone(),
            zero_point: self.zero_point,
            metadata: self.metadata.clone(),
        })
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
        let image = plane::<f32>(image, "image", "f4")?;
        let shape = image.shape().to_vec();
        let mask = match mask {
            Some(mask) => plane::<i32>(mask, "mask", "i4")?,
            None => full(py, &shape, 0)?,
        };
        let variance = match variance {
            Some(variance) => plane::<f32>(variance, "variance", "f4")?,
            None => full(py, &shape, f32::NAN)?,
        };
        same_shape("mask", mask.shape(), &shape)?;
        same_shape("variance", variance.shape(), &shape)?;
        Ok(Self {
            image: image.unbind(),
            mask: mask.unbind(),
            variance: variance.unbind(),
            bbox: box_of(bbox, &shape)?,
            planes: planes_of(mask_planes)?,
            wcs: PyWcs::of(wcs)?,
            zero_point,
            metadata: metadata.map(header).transpose()?.unwrap_or_default(),
        })
    }

    /// Counts in a pixel ``[y, x]``, float32.
    #[getter]
    fn image<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray2<f32>> {
        self.image.bind(py).clone()
    }

    /// Mask bits ``[y, x]``, int32.
    #[getter]
    fn mask<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray2<i32>> {
        self.mask.bind(py).clone()
    }

    /// Variance ``[y, x]``, float32, counts squared.
    #[getter]
    fn variance<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray2<f32>> {
        self.variance.bind(py).clone()
    }

    /// Which pixels of the detector these are.
    #[getter]
    fn bbox<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        box_to_python(py, self.bbox)
    }

    /// Bits of the mask, by name.
    #[getter]
    fn mask_planes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        planes_to_dict(py, &self.planes)
    }

    /// From pixels of the detector to the sky.
    #[getter]
    fn wcs(&self) -> PyWcs {
        self.wcs.clone()
    }

    /// Magnitude of one count.
    #[getter]
    fn zero_point(&self) -> f64 {
        self.zero_point
    }

    /// Further header records, by keyword.
    #[getter]
    fn metadata<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        header_to_dict(py, &self.metadata)
    }

    fn __repr__(&self) -> String {
        format!("Exposure({}, zero point {})", self.bbox, self.zero_point)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let state = (
            &self.image,
            &self.mask,
            &self.variance,
            box_to_python(py, self.bbox)?,
            planes_to_dict(py, &self.planes)?,
            self.wcs.clone(),
            self.zero_point,
            header_to_list(py, &self.metadata)?,
        );
        Ok((py.get_type::<Self>().getattr("_of")?, state.into_pyobject(py)?))
    }

    #[staticmethod]
    #[expect(clippy::too_many_arguments, reason = "the parts, in order")]
    fn _of<'py>(
        py: Python<'py>,
        image: &Bound<'py, PyAny>,
        mask: &Bound<'py, PyAny>,
        variance: &Bound<'py, PyAny>,
        bbox: &Bound<'py, PyAny>,
        planes: &Bound<'py, PyAny>,
        wcs: &Bound<'py, PyAny>,
        zero_point: f64,
        metadata: &Bound<'py, PyAny>,
    ) -> PyResult<Self> {
        Self::new(py, image, wcs, zero_point, Some(mask), Some(variance), Some(bbox), Some(planes), Some(metadata))
    }
}

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
    image: Py<PyArray2<f32>>,
    mask: Py<PyArray2<i32>>,
    variance: Py<PyArray2<f32>>,
    n_image: Py<PyArray2<u16>>,
    weight: Py<PyArray2<f32>>,
    bbox: PixelBox,
    planes: MaskPlanes,
    wcs: PyWcs,
    zero_point: f64,
    inputs: PyTable,
    metadata: Header,
}

impl PyCoadd {
    pub(crate) fn of(py: Python<'_>, coadd: Coadd) -> Self {
        let Coadd { bbox, image, mask, variance, n_image, weight, mask_planes, wcs, zero_point, inputs, metadata } =
            coadd;
        Self {
            image: image.into_pyarray(py).unbind(),
            mask: mask.into_pyarray(py).unbind(),
            variance: variance.into_pyarray(py).unbind(),
            n_image: n_image.into_pyarray(py).unbind(),
            weight: weight.into_pyarray(py).unbind(),
            bbox,
            planes: mask_planes,
            wcs: wcs.into(),
            zero_point,
            inputs: inputs.into(),
            metadata,
        }
    }

    /// A copy for the library.
    pub(crate) fn to_rust(&self, py: Python<'_>) -> PyResult<Coadd> {
        Ok(Coadd {
            bbox: self.bbox,
            image: copy(&self.image, py, "image")?,
            mask: copy(&self.mask, py, "mask")?,
            variance: copy(&self.variance, py, "variance")?,
            n_image: copy(&self.n_image, py, "n_image")?,
            weight: copy(&self.weight, py, "weight")?,
            mask_planes: self.planes.clone(),
            wcs: self.wcs.inner.clone(),
            zero_point: self.zero_point,
            inputs: self.inputs.batch.clone(),
            metadata: self.metadata.clone(),
        })
    }
}

#[pymethods]
impl PyCoadd {
    #[getter]
    fn image<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray2<f32>> {
        self.image.bind(py).clone()
    }

    #[getter]
    fn mask<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray2<i32>> {
        self.mask.bind(py).clone()
    }

    #[getter]
    fn variance<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray2<f32>> {
        self.variance.bind(py).clone()
    }

    #[getter]
    fn n_image<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray2<u16>> {
        self.n_image.bind(py).clone()
    }

    #[getter]
    fn weight<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray2<f32>> {
        self.weight.bind(py).clone()
    }

    #[getter]
    fn bbox<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        box_to_python(py, self.bbox)
    }

    #[getter]
    fn mask_planes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        planes_to_dict(py, &self.planes)
    }

    #[getter]
    fn wcs(&self) -> PyWcs {
        self.wcs.clone()
    }

    #[getter]
    fn zero_point(&self) -> f64 {
        self.zero_point
    }

    #[getter]
    fn inputs(&self) -> PyTable {
        self.inputs.clone()
    }

    #[getter]
    fn metadata<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        header_to_dict(py, &self.metadata)
    }

    fn __repr__(&self) -> String {
        format!("Coadd({}, {} inputs, zero point {})", self.bbox, self.inputs.batch.num_rows(), self.zero_point)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let arrays = (&self.image, &self.mask, &self.variance, &self.n_image, &self.weight);
        let state = (
            arrays,
            box_to_python(py, self.bbox)?,
            planes_to_dict(py, &self.planes)?,
            self.wcs.clone(),
            self.zero_point,
            self.inputs.clone(),
            header_to_list(py, &self.metadata)?,
        );
        Ok((py.get_type::<Self>().getattr("_of")?, state.into_pyobject(py)?))
    }

    #[staticmethod]
    fn _of<'py>(
        arrays: &Bound<'py, PyAny>,
        bbox: &Bound<'py, PyAny>,
        planes: &Bound<'py, PyAny>,
        wcs: &Bound<'py, PyAny>,
        zero_point: f64,
        inputs: &Bound<'py, PyAny>,
        metadata: &Bound<'py, PyAny>,
    ) -> PyResult<Self> {
        let image = plane::<f32>(&arrays.get_item(0)?, "image", "f4")?;
        let mask = plane::<i32>(&arrays.get_item(1)?, "mask", "i4")?;
        let variance = plane::<f32>(&arrays.get_item(2)?, "variance", "f4")?;
        let n_image = plane::<u16>(&arrays.get_item(3)?, "n_image", "u2")?;
        let weight = plane::<f32>(&arrays.get_item(4)?, "weight", "f4")?;
        let shape = image.shape().to_vec();
        for (name, other) in [("mask", mask.shape()), ("variance", variance.shape()), ("n_image", n_image.shape())] {
            same_shape(name, other, &shape)?;
        }
        same_shape("weight", weight.shape(), &shape)?;
        Ok(Self {
            bbox: box_of(Some(bbox), &shape)?,
            image: image.unbind(),
            mask: mask.unbind(),
            variance: variance.unbind(),
            n_image: n_image.unbind(),
            weight: weight.unbind(),
            planes: planes_of(Some(planes))?,
            wcs: PyWcs::of(wcs)?,
            zero_point,
            inputs: PyTable::of(inputs)?,
            metadata: header(metadata)?,
        })
    }
}
