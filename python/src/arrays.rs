//! numpy arrays in and out.

use ndarray::{Array1, ArrayD, IxDyn};
use numpy::{IntoPyArray, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::{usage, wrong_type};

/// The module numpy.
pub(crate) fn numpy(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import("numpy")
}

/// An array that numpy makes of any value, without masked entries, and the letter of its kind.
pub(crate) fn as_array<'py>(value: &Bound<'py, PyAny>, name: &str) -> PyResult<(Bound<'py, PyAny>, char)> {
    let numpy = numpy(value.py())?;
    let masked = numpy.getattr("ma")?;
    if masked.call_method1("is_masked", (value,))?.is_truthy()? {
        return Err(usage(format!("`{name}` has masked values: fill them, or leave these rows out")));
    }
    let array = numpy
        .call_method1("asarray", (value,))
        .map_err(|e| wrong_type(format!("`{name}` is no array: {}", e.value(value.py()))))?;
    let kind: char = array.getattr("dtype")?.getattr("kind")?.extract()?;
    Ok((array, kind))
}

/// An array in memory order with aligned values of one type: the array itself when it is so already.
pub(crate) fn require<'py>(array: &Bound<'py, PyAny>, dtype: &str) -> PyResult<Bound<'py, PyAny>> {
    numpy(array.py())?.call_method1("require", (array, dtype, ["C", "A", "E"].to_vec()))
}

/// Real numbers of any shape, contiguous; integers are converted, texts and booleans refused.
pub(crate) fn reals<'py>(value: &Bound<'py, PyAny>, name: &str) -> PyResult<Bound<'py, PyArrayDyn<f64>>> {
    let (array, kind) = as_array(value, name)?;
    if !matches!(kind, 'f' | 'i' | 'u') {
        let dtype = array.getattr("dtype")?;
        return Err(wrong_type(format!("`{name}` should be real numbers, but its values are of type {dtype}")));
    }
    Ok(require(&array, "f8")?.cast_into()?)
}

/// Degrees: plain numbers, or a quantity that says its unit (`astropy.units.Quantity`, `Angle`).
pub(crate) fn degrees<'py>(value: &Bound<'py, PyAny>, name: &str) -> PyResult<Bound<'py, PyArrayDyn<f64>>> {
    if value.hasattr("to_value")? && value.hasattr("unit")? {
        let plain = value
            .call_method1("to_value", ("deg",))
            .map_err(|e| usage(format!("`{name}` cannot be converted to degrees: {}", e.value(value.py()))))?;
        return reals(&plain, name);
    }
    reals(value, name)
}

/// Two arrays of one shape after broadcasting, as flat columns.
pub(crate) struct Pair<'py> {
    pub(crate) first: PyReadonlyArrayDyn<'py, f64>,
    pub(crate) second: PyReadonlyArrayDyn<'py, f64>,
    pub(crate) shape: Vec<usize>,
}

impl<'py> Pair<'py> {
    /// Broadcasts one against the other.
    pub(crate) fn new(
        first: Bound<'py, PyArrayDyn<f64>>,
        second: Bound<'py, PyArrayDyn<f64>>,
        names: [&str; 2],
    ) -> PyResult<Self> {
        let (first, second) = if first.shape() == second.shape() {
            (first, second)
        } else {
            let shapes = format!("{:?} and {:?}", first.shape(), second.shape());
            let pair = numpy(first.py())?.call_method1("broadcast_arrays", (first, second)).map_err(|_| {
                usage(format!("`{}` and `{}` do not fit together: their shapes are {shapes}", names[0], names[1]))
            })?;
            let (a, b): (Bound<'_, PyAny>, Bound<'_, PyAny>) = (pair.get_item(0)?, pair.get_item(1)?);
            (require(&a, "f8")?.cast_into()?, require(&b, "f8")?.cast_into()?)
        };
        let shape = first.shape().to_vec();
        Ok(Self { first: readonly(&first)?, second: readonly(&second)?, shape })
    }

    /// Sky positions in degrees.
    pub(crate) fn sky(ra: &Bound<'py, PyAny>, dec: &Bound<'py, PyAny>) -> PyResult<Self> {
        Self::new(degrees(ra, "ra")?, degrees(dec, "dec")?, ["ra", "dec"])
    }

    /// The flat columns.
    pub(crate) fn slices(&self) -> PyResult<(&[f64], &[f64])> {
        let contiguous = |_| usage("the arrays are not contiguous");
        Ok((self.first.as_slice().map_err(contiguous)?, self.second.as_slice().map_err(contiguous)?))
    }
}

/// Borrows an array to read, unless somebody is writing to it.
pub(crate) fn readonly<'py, T: numpy::Element>(
    array: &Bound<'py, PyArrayDyn<T>>,
) -> PyResult<PyReadonlyArrayDyn<'py, T>> {
    array.try_readonly().map_err(|_| usage("the array is being written to by another call"))
}

/// Values of a shape as an array; a Python number when the shape has no dimensions. The memory is moved, not copied.
pub(crate) fn shaped<'py, T: numpy::Element>(
    py: Python<'py>,
    values: Vec<T>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyAny>> {
    let array = ArrayD::from_shape_vec(IxDyn(shape), values).map_err(usage)?.into_pyarray(py);
    if shape.is_empty() { array.call_method0("item") } else { Ok(array.into_any()) }
}

/// A column that is moved into numpy.
pub(crate) fn column<T: numpy::Element>(py: Python<'_>, values: Vec<T>) -> Bound<'_, PyAny> {
    Array1::from_vec(values).into_pyarray(py).into_any()
}

/// A dictionary of arrays.
pub(crate) fn dict_of<'py, const N: usize>(
    py: Python<'py>,
    columns: [(&str, Bound<'py, PyAny>); N],
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, values) in columns {
        dict.set_item(name, values)?;
    }
    Ok(dict)
}
