//! x
use pyo3::prelude::*;

#[pymodule]
fn _bunter(_m: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}
