//! Pixels, mask and variance of one box, and what is said of them: all that an exposure is, and the most of a coadd.

use bunter::coadd::{AsinhStretch, asinh_rgb};
use bunter::{Header, MaskPlanes, PixelBox};
use ndarray::Array2;
use numpy::{Element, IntoPyArray, PyArray2, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::arrays::{as_array, numpy, require};
use crate::errors::{usage, wrong_type};
use crate::run::run;
use crate::wcs::{PyWcs, box_to_python, header, header_to_list, pixel_box};

/// The library's half of [`Pixels`].
pub(super) struct Parts {
    pub(super) bbox: PixelBox,
    pub(super) image: Array2<f32>,
    pub(super) mask: Array2<i32>,
    pub(super) variance: Array2<f32>,
    pub(super) planes: MaskPlanes,
    pub(super) wcs: bunter::Wcs,
    pub(super) zero_point: f64,
    pub(super) metadata: Header,
}

/// An image in Python: arrays of numpy, and the values that go with them.
pub(super) struct Pixels {
    pub(super) image: Py<PyArray2<f32>>,
    pub(super) mask: Py<PyArray2<i32>>,
    pub(super) variance: Py<PyArray2<f32>>,
    pub(super) bbox: PixelBox,
    pub(super) planes: MaskPlanes,
    pub(super) wcs: PyWcs,
    pub(super) zero_point: f64,
    pub(super) metadata: Header,
}

impl Pixels {
    /// The arrays are moved.
    pub(super) fn of(py: Python<'_>, parts: Parts) -> Self {
        Self {
            image: parts.image.into_pyarray(py).unbind(),
            mask: parts.mask.into_pyarray(py).unbind(),
            variance: parts.variance.into_pyarray(py).unbind(),
            bbox: parts.bbox,
            planes: parts.planes,
            wcs: parts.wcs.into(),
            zero_point: parts.zero_point,
            metadata: parts.metadata,
        }
    }

    /// A copy for the library.
    pub(super) fn to_rust(&self, py: Python<'_>) -> PyResult<Parts> {
        Ok(Parts {
            bbox: self.bbox,
            image: copy(&self.image, py, "image")?,
            mask: copy(&self.mask, py, "mask")?,
            variance: copy(&self.variance, py, "variance")?,
            planes: self.planes.clone(),
            wcs: self.wcs.inner.clone(),
            zero_point: self.zero_point,
            metadata: self.metadata.clone(),
        })
    }

    /// Pixels that a user gives, in the order in which [`state`](Self::state) gives them.
    #[expect(clippy::too_many_arguments, reason = "the parts, in order")]
    pub(super) fn new<'py>(
        py: Python<'py>,
        image: &Bound<'py, PyAny>,
        mask: Option<&Bound<'py, PyAny>>,
        variance: Option<&Bound<'py, PyAny>>,
        bbox: Option<&Bound<'py, PyAny>>,
        planes: Option<&Bound<'py, PyAny>>,
        wcs: &Bound<'py, PyAny>,
        zero_point: f64,
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
            planes: planes_of(planes)?,
            wcs: PyWcs::of(wcs)?,
            zero_point,
            metadata: metadata.map(header).transpose()?.unwrap_or_default(),
        })
    }

    /// What a pickle holds.
    pub(super) fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
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
        state.into_pyobject(py)
    }

    /// The pixels of a [`state`](Self::state).
    pub(super) fn of_state(state: &Bound<'_, PyTuple>) -> PyResult<Self> {
        let parts: Vec<Bound<'_, PyAny>> = state.iter().collect();
        let [image, mask, variance, bbox, planes, wcs, zero_point, metadata] = parts.as_slice() else {
            return Err(usage(format!("the pickle of an image has 8 parts, not {}", parts.len())));
        };
        let (py, zero_point) = (state.py(), zero_point.extract()?);
        Self::new(py, image, Some(mask), Some(variance), Some(bbox), Some(planes), wcs, zero_point, Some(metadata))
    }
}

/// The attributes that a class has of its `pixels`.
macro_rules! attributes_of_pixels {
    ($class:ident) => {
        #[pymethods]
        impl $class {
            /// Counts in a pixel ``[y, x]``, float32, background subtracted; NaN where there is no data.
            #[getter]
            fn image<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray2<f32>> {
                self.pixels.image.bind(py).clone()
            }

            /// Mask bits ``[y, x]``, int32, which `mask_planes` names.
            #[getter]
            fn mask<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray2<i32>> {
                self.pixels.mask.bind(py).clone()
            }

            /// Variance ``[y, x]``, float32, counts squared.
            #[getter]
            fn variance<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray2<f32>> {
                self.pixels.variance.bind(py).clone()
            }

            /// Which pixels these are: of the detector, or of the tract.
            #[getter]
            fn bbox<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                crate::wcs::box_to_python(py, self.pixels.bbox)
            }

            /// Bits of the mask, by name.
            #[getter]
            fn mask_planes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
                crate::images::pixels::planes_to_dict(py, &self.pixels.planes)
            }

            /// From pixels, in the coordinates of `bbox`, to the sky.
            #[getter]
            fn wcs(&self) -> crate::wcs::PyWcs {
                self.pixels.wcs.clone()
            }

            /// Magnitude of one count.
            #[getter]
            fn zero_point(&self) -> f64 {
                self.pixels.zero_point
            }

            /// Further header records, by keyword.
            #[getter]
            fn metadata<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
                crate::wcs::header_to_dict(py, &self.pixels.metadata)
            }

            fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
                slf.py().import("bunter._display")?.call_method1("image_html", (slf,))?.extract()
            }
        }
    };
}
pub(super) use attributes_of_pixels;

/// A picture for a notebook: width, height, and red, green, blue of each pixel, the first row on top.
#[pyfunction(name = "_picture")]
pub(crate) fn picture<'py>(
    py: Python<'py>,
    image: &Bound<'py, PyArray2<f32>>,
    max_size: u32,
) -> PyResult<(u32, u32, Bound<'py, PyBytes>)> {
    let image = image.try_readonly().map_err(|_| usage("`image` is being written to by another call"))?;
    let view = image.as_array();
    let picture = run(py, || asinh_rgb(&[view.view()], AsinhStretch::for_image(view.view()), max_size))?;
    Ok((picture.width, picture.height, PyBytes::new(py, &picture.pixels)))
}

/// A plane of pixels of one type, in memory order; integers may become reals, never the other way round.
pub(super) fn plane<'py, T: Element>(
    value: &Bound<'py, PyAny>,
    name: &str,
    dtype: &str,
) -> PyResult<Bound<'py, PyArray2<T>>> {
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

pub(super) fn full<'py, T: Element + Clone>(
    py: Python<'py>,
    shape: &[usize],
    value: T,
) -> PyResult<Bound<'py, PyArray2<T>>> {
    let [rows, columns] = *shape else { return Err(usage("an image has two dimensions")) };
    Ok(ndarray::Array2::from_elem((rows, columns), value).into_pyarray(py))
}

pub(super) fn same_shape(name: &str, shape: &[usize], expected: &[usize]) -> PyResult<()> {
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

pub(super) fn planes_to_dict<'py>(py: Python<'py>, planes: &MaskPlanes) -> PyResult<Bound<'py, PyDict>> {
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

pub(super) fn copy<T: Element + Clone>(
    array: &Py<PyArray2<T>>,
    py: Python<'_>,
    name: &str,
) -> PyResult<ndarray::Array2<T>> {
    let array =
        array.bind(py).try_readonly().map_err(|_| usage(format!("`{name}` is being written to by another call")))?;
    Ok(array.as_array().to_owned())
}
