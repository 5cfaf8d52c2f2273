//! Work without the interpreter's lock.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::prelude::*;

use crate::errors::{Classified, Kind, OrRaise, raise};

/// Runs `work` while other Python threads go on. A panic in it, which would be a defect of ours, becomes an
/// `InternalError`: a notebook survives it.
pub(crate) fn run<T, E, F>(py: Python<'_>, work: F) -> PyResult<T>
where
    F: Send + FnOnce() -> Result<T, E>,
    E: Classified + Send,
    T: Send,
{
    let outcome = py.detach(|| catch_unwind(AssertUnwindSafe(work)));
    match outcome {
        Ok(result) => result.or_raise(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message");
            Err(raise(Kind::Internal, format!("a defect in Bunter, please report it: {text}")))
        }
    }
}
