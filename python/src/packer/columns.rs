//! Columns of numpy borrowed for a packer, and a packer's columns as numpy arrays.

use std::collections::HashMap;
use std::sync::Arc;

use bunter::{DimensionValue, IntView, IntViewMut, OnError, PackColumn, PackError, Unpacked, UnpackedColumn};
use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray1, PyReadwriteArray1};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt, PyList, PyString};

use crate::arrays::{column, numpy};
use crate::data_id::{integer, kind_of};
use crate::errors::{usage, wrong_type};

/// Runs a macro over the integer types: variant, Rust type, numpy's code.
macro_rules! integer_types {
    ($then:ident) => {
        $then!(I8 i8 "i1", I16 i16 "i2", I32 i32 "i4", I64 i64 "i8", U8 u8 "u1", U16 u16 "u2", U32 u32 "u4", U64 u64 "u8");
    };
}

macro_rules! held {
    ($($variant:ident $t:ident $code:literal),*) => {
        /// A column while it is borrowed from Python.
        pub(super) enum Values<'py> {
            $($variant(PyReadonlyArray1<'py, $t>),)*
            Keys(Vec<i32>, Arc<[Option<Arc<str>>]>),
            Value(DimensionValue),
        }

        impl Values<'_> {
            fn column(&self) -> PackColumn<'_> {
                match self {
                    $(Self::$variant(array) => PackColumn::from(IntView::from(array.as_array())),)*
                    Self::Keys(keys, names) => PackColumn::keys(keys.as_slice(), Arc::clone(names)),
                    Self::Value(value) => PackColumn::value(value.clone()),
                }
            }
        }

        /// An array of integers, borrowed; strides are kept, other byte orders and unaligned values are copied.
        fn borrow<'py>(array: &Bound<'py, PyAny>, name: &str) -> PyResult<Option<Values<'py>>> {
            let dtype = array.getattr("dtype")?;
            let code = format!("{}{}", dtype.getattr("kind")?.extract::<char>()?, dtype.getattr("itemsize")?.extract::<usize>()?);
            let busy = |_| usage(format!("`{name}` is being written to by another call"));
            Ok(match code.as_str() {
                $($code => {
                    let native = numpy(array.py())?.call_method1("require", (array, $code, ["A", "E"].to_vec()))?;
                    let native: Bound<'py, PyArray1<$t>> = native.cast_into()?;
                    Some(Values::$variant(native.try_readonly().map_err(busy)?))
                })*
                _ => None,
            })
        }

        /// An array of integers to write to.
        pub(super) enum Output<'py> {
            $($variant(PyReadwriteArray1<'py, $t>)),*
        }

        impl Output<'_> {
            pub(super) fn view(&mut self) -> IntViewMut<'_> {
                match self {
                    $(Self::$variant(array) => IntViewMut::from(array.as_array_mut()),)*
                }
            }
        }

        pub(super) fn borrow_mut<'py>(array: &Bound<'py, PyAny>) -> PyResult<Output<'py>> {
            $(if let Ok(native) = array.cast::<PyArray1<$t>>() {
                let native = native.try_readwrite().map_err(|e| usage(format!("`out` cannot be written to: {e}")))?;
                return Ok(Output::$variant(native));
            })*
            Err(wrong_type(format!("`out` should be an array of integers of one dimension, not {}", kind_of(array))))
        }
    };
}
integer_types!(held);

/// A column and the rows that it lacks.
pub(super) struct Held<'py> {
    pub(super) name: String,
    pub(super) values: Values<'py>,
    missing: Option<Vec<bool>>,
}

impl Held<'_> {
    pub(super) fn column(&self) -> Result<PackColumn<'_>, PackError> {
        let column = self.values.column();
        match &self.missing {
            Some(missing) => column.with_missing(missing),
            None => Ok(column),
        }
    }
}

pub(super) fn hold<'py>(name: &str, value: &Bound<'py, PyAny>) -> PyResult<Held<'py>> {
    let py = value.py();
    let scalar = |values| Ok(Held { name: name.to_owned(), values, missing: None });
    if let Ok(text) = value.cast::<PyString>() {
        return scalar(Values::Value(DimensionValue::from(text.to_str()?)));
    }
    let ma = numpy(py)?.getattr("ma")?;
    let mut missing: Option<Vec<bool>> = if ma.call_method1("is_masked", (value,))?.is_truthy()? {
        let mask = ma.call_method1("getmaskarray", (value,))?;
        Some(
            mask.cast::<PyArray1<bool>>()
                .map_err(|_| usage(format!("`{name}` should have one dimension")))?
                .to_vec()
                .map_err(usage)?,
        )
    } else {
        None
    };
    let array = ma
        .call_method1("getdata", (value,))
        .and_then(|data| numpy(py)?.call_method1("asarray", (data,)))
        .map_err(|e| wrong_type(format!("`{name}` is no column: {}", e.value(py))))?;
    let dimensions: usize = array.getattr("ndim")?.extract()?;
    if dimensions == 0 {
        if value.is_instance_of::<PyInt>() || array.getattr("dtype")?.getattr("kind")?.extract::<char>()? != 'U' {
            return scalar(Values::Value(DimensionValue::Int(integer(value, name)?)));
        }
        return scalar(Values::Value(DimensionValue::from(array.call_method0("item")?.extract::<String>()?)));
    }
    if dimensions != 1 {
        return Err(usage(format!("`{name}` has {dimensions} dimensions; a column has one")));
    }
    if let Some(values) = borrow(&array, name)? {
        return Ok(Held { name: name.to_owned(), values, missing });
    }
    let dtype = array.getattr("dtype")?;
    let kind: char = dtype.getattr("kind")?.extract()?;
    let rows: usize = array.len()?;
    if rows == 0 && matches!(kind, 'f' | 'O') {
        // What an empty list becomes.
        return Ok(Held { name: name.to_owned(), values: Values::Keys(Vec::new(), Arc::from([])), missing: None });
    }
    let values = match kind {
        'U' | 'S' | 'T' => {
            // Each different text once: bands are few.
            let keywords = PyDict::new(py);
            keywords.set_item("return_inverse", true)?;
            let unique = numpy(py)?.call_method("unique", (&array,), Some(&keywords))?;
            let names = unique.get_item(0)?.call_method0("tolist")?;
            let names =
                names.try_iter()?.map(|n| text(name, &n?).map(|t| Some(Arc::from(t)))).collect::<PyResult<Vec<_>>>()?;
            let keys = numpy(py)?.call_method1("require", (unique.get_item(1)?, "i4", ["C", "A", "E"].to_vec()))?;
            let keys = keys.cast::<PyArray1<i32>>().map_err(|_| usage(format!("`{name}` is no column")))?;
            Values::Keys(keys.to_vec().map_err(usage)?, names.into())
        }
        'O' => {
            let mut codes: HashMap<String, i32> = HashMap::new();
            let mut names: Vec<Option<Arc<str>>> = vec![None];
            let mut keys = Vec::with_capacity(rows);
            for item in array.call_method0("tolist")?.try_iter()? {
                let item = item?;
                if item.is_none() {
                    keys.push(0);
                    continue;
                }
                let text = text(name, &item)?;
                let next =
                    i32::try_from(names.len()).map_err(|_| usage(format!("`{name}` has too many different texts")))?;
                let code = *codes.entry(text).or_insert_with_key(|text| {
                    names.push(Some(Arc::from(text.as_str())));
                    next
                });
                keys.push(code);
            }
            let nulls = missing.get_or_insert_with(|| vec![false; keys.len()]);
            for (null, key) in nulls.iter_mut().zip(&keys) {
                *null |= *key == 0;
            }
            if !nulls.contains(&true) {
                missing = None;
            }
            Values::Keys(keys, names.into())
        }
        _ => {
            return Err(wrong_type(format!(
                "`{name}` should be integers or texts, but its values are of type {dtype}"
            )));
        }
    };
    Ok(Held { name: name.to_owned(), values, missing })
}

fn text(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(text) = value.extract::<String>() {
        return Ok(text);
    }
    let bytes = value.cast::<PyBytes>().ok().and_then(|b| String::from_utf8(b.as_bytes().to_vec()).ok());
    bytes.ok_or_else(|| wrong_type(format!("`{name}` should be integers or texts, but has {}", kind_of(value))))
}

/// Whether all that was given are single values.
pub(super) fn all_scalars(columns: &[Held<'_>]) -> bool {
    columns.iter().all(|c| matches!(c.values, Values::Value(_)))
}

pub(super) fn on_error(name: &str) -> PyResult<OnError> {
    match name {
        "raise" => Ok(OnError::Fail),
        "mask" => Ok(OnError::Mask),
        other => Err(usage(format!("on_error is \"raise\" or \"mask\", not \"{other}\""))),
    }
}

/// With a mask, when one was asked for.
pub(super) fn masked<'py>(values: Bound<'py, PyAny>, bad: Option<&Vec<bool>>) -> PyResult<Bound<'py, PyAny>> {
    let Some(bad) = bad else { return Ok(values) };
    let py = values.py();
    let keywords = PyDict::new(py);
    keywords.set_item("mask", column(py, bad.clone()))?;
    numpy(py)?.getattr("ma")?.call_method("MaskedArray", (values,), Some(&keywords))
}

/// The integer, when it is a single one.
pub(super) fn scalar(ids: &Bound<'_, PyAny>) -> PyResult<Option<i128>> {
    let dimensions = ids.getattr("ndim").and_then(|n| n.extract::<usize>()).ok();
    let is_number = ids.is_instance_of::<PyInt>() || dimensions == Some(0);
    if !is_number {
        return Ok(None);
    }
    let kind = ids.get_type();
    let index = ids.py().import("operator")?.call_method1("index", (ids,));
    match index {
        Ok(index) if !kind.name()?.to_str()?.starts_with("bool") => {
            let text = index.str()?.to_string();
            Ok(Some(text.parse().map_err(|_| usage(format!("{text} is not a 64-bit integer")))?))
        }
        _ => Err(wrong_type(format!("`ids` should be integers, not {}", kind_of(ids)))),
    }
}

pub(super) fn arrays_of(py: Python<'_>, unpacked: Unpacked) -> PyResult<Bound<'_, PyDict>> {
    let dict = PyDict::new(py);
    for (name, values) in unpacked.columns {
        let array = match values {
            UnpackedColumn::Integers(v) => column(py, v),
            UnpackedColumn::Unsigned(v) => column(py, v),
            UnpackedColumn::Names { keys, names } => {
                let objects = PyList::new(py, names.iter().map(Option::as_deref))?;
                let table = if names.iter().any(Option::is_none) {
                    numpy(py)?.call_method1("array", (objects, "O"))?
                } else {
                    numpy(py)?.call_method1("array", (objects,))?
                };
                table.call_method1("take", (column(py, keys),))?
            }
        };
        dict.set_item(&*name, masked(array, unpacked.bad.as_ref())?)?;
    }
    Ok(dict)
}
