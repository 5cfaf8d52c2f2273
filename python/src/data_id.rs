//! Data IDs: dictionaries and keyword arguments.

use bunter::dimension::ColumnType;
use bunter::{DataId, DimensionValue, Universe};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyString};

use crate::errors::{OrRaise, usage, wrong_type};

/// The data ID that a dictionary (or a `DatasetRef`) and keyword arguments say together; keywords win.
///
/// Integers are Python's and numpy's of any width; what is not one is refused, floats without a fraction too: they cannot
/// hold every identifier, and a visit that was rounded is another visit.
pub(crate) fn data_id(mapping: Option<&Bound<'_, PyAny>>, keywords: Option<&Bound<'_, PyDict>>) -> PyResult<DataId> {
    let mut id = DataId::new();
    if let Some(mapping) = mapping {
        if let Ok(reference) = mapping.cast::<crate::dataset_ref::PyDatasetRef>() {
            id = reference.get().inner.data_id.clone();
        } else {
            let items = mapping.call_method0("items").map_err(|_| {
                wrong_type(format!("a data ID is a dictionary such as {{'visit': 1228}}, not {}", kind_of(mapping)))
            })?;
            for item in items.try_iter()? {
                let (name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item?.extract()?;
                set(&mut id, &name, &value)?;
            }
        }
    }
    if let Some(keywords) = keywords {
        for (name, value) in keywords.iter() {
            set(&mut id, &name, &value)?;
        }
    }
    Ok(id)
}

fn set(id: &mut DataId, name: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let name: String =
        name.extract().map_err(|_| wrong_type(format!("a dimension is named by a text, not by {}", kind_of(name))))?;
    let (dimension, kind) = Universe::builtin().dimension(&name).or_raise()?;
    let value = match kind {
        ColumnType::Int => DimensionValue::Int(integer(value, &name)?),
        _ => DimensionValue::from(text(value, &name)?),
    };
    id.set(dimension.name, value);
    Ok(())
}

/// The integer of anything that is exactly one.
pub(crate) fn integer(value: &Bound<'_, PyAny>, name: &str) -> PyResult<i64> {
    let refuse = || wrong_type(format!("`{name}` is a whole number, not {}", kind_of(value)));
    let kind = value.get_type();
    if value.is_instance_of::<PyBool>() || value.is_instance_of::<PyFloat>() || kind.name()?.to_str()? == "bool" {
        return Err(refuse());
    }
    // What `operator.index` takes: int, numpy's integers, arrays of one integer without dimensions.
    let index = value.py().import("operator")?.call_method1("index", (value,)).map_err(|_| refuse())?;
    index.extract::<i64>().map_err(|_| usage(format!("`{name}` is {index}, which does not fit into 64 bits")))
}

fn text(value: &Bound<'_, PyAny>, name: &str) -> PyResult<String> {
    let text =
        value.cast::<PyString>().map_err(|_| wrong_type(format!("`{name}` is a text, not {}", kind_of(value))))?;
    Ok(text.to_str().map_err(|_| usage(format!("`{name}` holds characters that are no Unicode")))?.to_owned())
}

/// `1.5 (float)`, for messages.
pub(crate) fn kind_of(value: &Bound<'_, PyAny>) -> String {
    let kind = value.get_type().name().map_or_else(|_| "an object".to_owned(), |n| n.to_string());
    match value.repr() {
        Ok(repr) if repr.to_string_lossy().chars().count() <= 60 => format!("{repr} ({kind})"),
        _ => kind,
    }
}

/// The data ID as a dictionary, in the order of names.
pub(crate) fn to_dict<'py>(py: Python<'py>, id: &DataId) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in id.iter() {
        match value {
            DimensionValue::Int(v) => dict.set_item(name, v)?,
            DimensionValue::Str(v) => dict.set_item(name, &**v)?,
        }
    }
    Ok(dict)
}

/// A list of names: one text, or several.
pub(crate) fn names(value: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<String>> {
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(vec![text.to_str()?.to_owned()]);
    }
    let not = || wrong_type(format!("`{what}` are names, not {}", kind_of(value)));
    value.try_iter().map_err(|_| not())?.map(|n| n?.extract::<String>().map_err(|_| not())).collect()
}

/// Names and kinds of the dimensions: ``{"visit": "integer", "band": "text", …}``.
#[pyfunction]
pub(crate) fn dimensions(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let dict = PyDict::new(py);
    for element in Universe::builtin().dimensions() {
        let (_, kind) = Universe::builtin().dimension(element.name).or_raise()?;
        dict.set_item(element.name, kind.name())?;
    }
    Ok(dict)
}
