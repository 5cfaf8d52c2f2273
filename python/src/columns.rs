//! Columns between Arrow and numpy.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, LargeStringArray, PrimitiveArray, RecordBatch, RecordBatchOptions,
    StringArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Schema,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use ndarray::ArrayView1;
use numpy::{Element, PyArray1, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use crate::arrays::{column, numpy, require};
use crate::data_id::kind_of;
use crate::dataset_ref::uuid;
use crate::errors::{OrRaise, usage, wrong_type};

/// A column as a numpy array; `table` owns the memory.
pub(crate) fn to_numpy<'py>(table: &Bound<'py, PyAny>, name: &str, array: &ArrayRef) -> PyResult<Bound<'py, PyAny>> {
    let py = table.py();
    macro_rules! numbers {
        ($($variant:ident $arrow:ident),*) => {
            match array.data_type() {
                $(DataType::$variant => return integers(table, array.as_primitive::<$arrow>()),)*
                DataType::Float32 => return reals(table, array.as_primitive::<Float32Type>(), f32::NAN),
                DataType::Float64 => return reals(table, array.as_primitive::<Float64Type>(), f64::NAN),
                _ => {}
            }
        };
    }
    numbers!(
        Int8 Int8Type, Int16 Int16Type, Int32 Int32Type, Int64 Int64Type,
        UInt8 UInt8Type, UInt16 UInt16Type, UInt32 UInt32Type, UInt64 UInt64Type
    );
    if let DataType::Boolean = array.data_type() {
        let values: Vec<bool> = array.as_boolean().values().iter().collect();
        return masked(column(py, values), array.as_ref());
    }
    let objects = (0..array.len()).map(|row| value(py, name, array, row)).collect::<PyResult<Vec<_>>>()?;
    let empty = numpy(py)?.call_method1("empty", (array.len(), "O"))?;
    // Assigned as a whole: numpy would otherwise look for sequences inside.
    empty.set_item(pyo3::types::PySlice::full(py), PyList::new(py, objects)?)?;
    Ok(empty)
}

fn shared<'py, T: ArrowPrimitiveType>(
    table: &Bound<'py, PyAny>,
    array: &PrimitiveArray<T>,
) -> PyResult<Bound<'py, PyAny>>
where
    T::Native: Element,
{
    let view = ArrayView1::from(&**array.values());
    #[expect(
        unsafe_code,
        reason = "the table is frozen and holds the buffer: the memory stays while numpy's array refers to it"
    )]
    let shared = unsafe { PyArray1::borrow_from_array(&view, table.clone()) };
    // Arrow's buffers are shared by all tables that were made of them.
    shared.call_method1("setflags", (false,))?;
    Ok(shared.into_any())
}

fn integers<'py, T: ArrowPrimitiveType>(
    table: &Bound<'py, PyAny>,
    array: &PrimitiveArray<T>,
) -> PyResult<Bound<'py, PyAny>>
where
    T::Native: Element,
{
    masked(shared(table, array)?, array)
}

fn reals<'py, T: ArrowPrimitiveType>(
    table: &Bound<'py, PyAny>,
    array: &PrimitiveArray<T>,
    nan: T::Native,
) -> PyResult<Bound<'py, PyAny>>
where
    T::Native: Element,
{
    if array.null_count() == 0 {
        return shared(table, array);
    }
    Ok(column(table.py(), array.iter().map(|v| v.unwrap_or(nan)).collect()))
}

/// The values with a mask where there are nulls.
fn masked<'py>(values: Bound<'py, PyAny>, array: &dyn Array) -> PyResult<Bound<'py, PyAny>> {
    let Some(nulls) = array.nulls().filter(|n| n.null_count() > 0) else { return Ok(values) };
    let py = values.py();
    let mask: Vec<bool> = nulls.iter().map(|valid| !valid).collect();
    let keywords = PyDict::new(py);
    keywords.set_item("mask", column(py, mask))?;
    numpy(py)?.getattr("ma")?.call_method("MaskedArray", (values,), Some(&keywords))
}

/// One value as a Python object; `None` for a null.
fn value<'py>(py: Python<'py>, name: &str, array: &ArrayRef, row: usize) -> PyResult<Bound<'py, PyAny>> {
    if array.is_null(row) {
        return Ok(py.None().into_bound(py));
    }
    macro_rules! numbers {
        ($($variant:ident $arrow:ident),*) => {
            match array.data_type() {
                $(DataType::$variant => return Ok(array.as_primitive::<$arrow>().value(row).into_pyobject(py)?.into_any()),)*
                _ => {}
            }
        };
    }
    numbers!(
        Int8 Int8Type, Int16 Int16Type, Int32 Int32Type, Int64 Int64Type, UInt8 UInt8Type, UInt16 UInt16Type,
        UInt32 UInt32Type, UInt64 UInt64Type, Float32 Float32Type, Float64 Float64Type
    );
    let text = |text: &str| Ok(PyString::new(py, text).into_any());
    match array.data_type() {
        DataType::Boolean => Ok(array.as_boolean().value(row).into_pyobject(py)?.to_owned().into_any()),
        DataType::Utf8 => text(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => text(array.as_string::<i64>().value(row)),
        DataType::Utf8View => text(array.as_string_view().value(row)),
        DataType::Binary => Ok(PyBytes::new(py, array.as_binary::<i32>().value(row)).into_any()),
        DataType::LargeBinary => Ok(PyBytes::new(py, array.as_binary::<i64>().value(row)).into_any()),
        DataType::FixedSizeBinary(16) => uuid(py, array.as_fixed_size_binary().value(row)),
        DataType::FixedSizeBinary(_) => Ok(PyBytes::new(py, array.as_fixed_size_binary().value(row)).into_any()),
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            let keys = dictionary.normalized_keys();
            value(py, name, dictionary.values(), keys[row])
        }
        other => Err(usage(format!(
            "column `{name}` of type {other} has no equal in numpy: use `to_arrow()`, or leave it out"
        ))),
    }
}

/// One row as a dictionary.
pub(crate) fn row<'py>(py: Python<'py>, batch: &RecordBatch, row: usize) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        // Dictionaries are sliced first: looking up one key must not cost as much as looking up all.
        dict.set_item(field.name(), value(py, field.name(), &array.slice(row, 1), 0)?)?;
    }
    Ok(dict)
}

/// A table of array-likes.
pub(crate) fn batch_of(columns: Vec<(String, Bound<'_, PyAny>)>) -> PyResult<RecordBatch> {
    let mut fields = Vec::with_capacity(columns.len());
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.len());
    for (name, values) in &columns {
        let array = from_numpy(name, values)?;
        if let Some(first) = arrays.first().filter(|a| a.len() != array.len()) {
            return Err(usage(format!(
                "column `{name}` has {} rows, `{}` has {}",
                array.len(),
                columns[0].0,
                first.len()
            )));
        }
        fields.push(Field::new(name, array.data_type().clone(), true));
        arrays.push(array);
    }
    let rows = arrays.first().map_or(0, Array::len);
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).or_raise()
}

fn from_numpy(name: &str, values: &Bound<'_, PyAny>) -> PyResult<ArrayRef> {
    let py = values.py();
    let numpy = numpy(py)?;
    let ma = numpy.getattr("ma")?;
    let nulls = if ma.call_method1("is_masked", (values,))?.is_truthy()? {
        let mask: Vec<bool> = ma.call_method1("getmaskarray", (values,))?.call_method0("tolist")?.extract()?;
        Some(mask.into_iter().map(|m| !m).collect::<NullBuffer>())
    } else {
        None
    };
    let array = ma
        .call_method1("getdata", (values,))
        .and_then(|data| numpy.call_method1("asarray", (data,)))
        .map_err(|e| wrong_type(format!("column `{name}` is no array: {}", e.value(py))))?;
    let dimensions: usize = array.getattr("ndim")?.extract()?;
    if dimensions != 1 {
        return Err(usage(format!("column `{name}` has {dimensions} dimensions; a column has one")));
    }
    let dtype = array.getattr("dtype")?;
    let (kind, size): (char, usize) = (dtype.getattr("kind")?.extract()?, dtype.getattr("itemsize")?.extract()?);
    macro_rules! primitive {
        ($code:literal, $arrow:ident) => {{
            let native: Bound<'_, PyArray1<<$arrow as ArrowPrimitiveType>::Native>> =
                require(&array, $code)?.cast_into()?;
            let values = native.to_vec().map_err(|e| usage(format!("column `{name}`: {e}")))?;
            Arc::new(PrimitiveArray::<$arrow>::try_new(values.into(), nulls).or_raise()?) as ArrayRef
        }};
    }
    Ok(match (kind, size) {
        ('i', 1) => primitive!("i1", Int8Type),
        ('i', 2) => primitive!("i2", Int16Type),
        ('i', 4) => primitive!("i4", Int32Type),
        ('i', 8) => primitive!("i8", Int64Type),
        ('u', 1) => primitive!("u1", UInt8Type),
        ('u', 2) => primitive!("u2", UInt16Type),
        ('u', 4) => primitive!("u4", UInt32Type),
        ('u', 8) => primitive!("u8", UInt64Type),
        ('f', 2 | 4) => primitive!("f4", Float32Type),
        ('f', _) => primitive!("f8", Float64Type),
        ('b', _) => {
            let values: Vec<bool> = array.call_method0("tolist")?.extract()?;
            Arc::new(BooleanArray::new(values.into(), nulls))
        }
        ('U' | 'O' | 'T' | 'S', _) => texts(name, &array, nulls.as_ref())?,
        _ => {
            return Err(wrong_type(format!(
                "column `{name}` is of type {dtype}; integers, reals, booleans and texts can be stored"
            )));
        }
    })
}

fn texts(name: &str, array: &Bound<'_, PyAny>, nulls: Option<&NullBuffer>) -> PyResult<ArrayRef> {
    let mut values: Vec<Option<String>> = Vec::new();
    for (row, item) in array.call_method0("tolist")?.try_iter()?.enumerate() {
        let item = item?;
        if item.is_none() || nulls.is_some_and(|n| n.is_null(row)) {
            values.push(None);
        } else if let Ok(text) = item.extract::<String>() {
            values.push(Some(text));
        } else if let Ok(bytes) = item.cast::<PyBytes>() {
            let text = std::str::from_utf8(bytes.as_bytes())
                .map_err(|_| usage(format!("column `{name}`, row {row}: no UTF-8")))?;
            values.push(Some(text.to_owned()));
        } else {
            return Err(wrong_type(format!(
                "column `{name}`, row {row} is {}; integers, reals, booleans and texts can be stored",
                kind_of(&item)
            )));
        }
    }
    let bytes: usize = values.iter().flatten().map(String::len).sum();
    Ok(if bytes < i32::MAX as usize {
        Arc::new(StringArray::from(values))
    } else {
        Arc::new(LargeStringArray::from(values))
    })
}
