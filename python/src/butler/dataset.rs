//! Datasets of the library as Python objects, and back.

use bunter::StorageClass;
use bunter::datastore::Dataset;
use numpy::IntoPyArray;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::data_id::kind_of;
use crate::errors::{Kind, OrRaise, raise, wrong_type};
use crate::images::{PyCoadd, PyExposure};
use crate::table::PyTable;
use crate::wcs::{PyWcs, box_to_python, header_to_dict};

/// A dataset as a Python object. Arrays are moved.
pub(super) fn to_python(py: Python<'_>, dataset: Dataset) -> PyResult<Bound<'_, PyAny>> {
    Ok(match dataset {
        Dataset::Exposure(exposure) => PyExposure::of(py, *exposure).into_pyobject(py)?.into_any(),
        Dataset::Coadd(coadd) => PyCoadd::of(py, *coadd).into_pyobject(py)?.into_any(),
        Dataset::Table(batch) => PyTable::from(batch).into_pyobject(py)?.into_any(),
        Dataset::Json(document) => py.import("json")?.call_method1("loads", (document.to_string(),))?,
        Dataset::Image(pixels) => pixels.into_pyarray(py).into_any(),
        Dataset::Mask(pixels) => pixels.into_pyarray(py).into_any(),
        Dataset::NImage(pixels) => pixels.into_pyarray(py).into_any(),
        Dataset::Wcs(wcs) => PyWcs::from(wcs).into_pyobject(py)?.into_any(),
        Dataset::Box(bbox) => box_to_python(py, bbox)?,
        Dataset::Number(value) => value.into_pyobject(py)?.into_any(),
        Dataset::Metadata(header) => header_to_dict(py, &header)?.into_any(),
        other => return Err(raise(Kind::Error, format!("{} has no equal in Python", other.kind()))),
    })
}

/// A Python object as a dataset of a storage class.
pub(super) fn from_python(value: &Bound<'_, PyAny>, storage_class: StorageClass) -> PyResult<Dataset> {
    let py = value.py();
    let wrong =
        || wrong_type(format!("a dataset of storage class {storage_class} is needed, this is {}", kind_of(value)));
    Ok(match storage_class {
        StorageClass::Exposure => value.cast::<PyExposure>().map_err(|_| wrong())?.get().to_rust(py)?.into(),
        StorageClass::Coadd => value.cast::<PyCoadd>().map_err(|_| wrong())?.get().to_rust(py)?.into(),
        StorageClass::Table => PyTable::of(value)?.batch.into(),
        StorageClass::Json => {
            let keywords = PyDict::new(py);
            // NaN is no JSON, and no other program would read it.
            keywords.set_item("allow_nan", false)?;
            let text = py
                .import("json")?
                .call_method("dumps", (value,), Some(&keywords))
                .map_err(|e| wrong_type(format!("this cannot be stored as JSON: {}", e.value(py))))?;
            let document: serde_json::Value = serde_json::from_str(&text.extract::<String>()?).or_raise()?;
            document.into()
        }
    })
}
