//! Where a repository is.

use std::path::PathBuf;

use pyo3::prelude::*;

use crate::data_id::kind_of;
use crate::errors::{usage, wrong_type};

/// Schemes of registries that many machines share, which the library knows.
const SHARED: [&str; 6] = ["postgresql", "postgres", "mysql", "mariadb", "sqlite", "file"];

/// The repository's place: a path, a URL of a local folder, or the address of a shared registry, which goes on to the library.
pub(super) fn local_path(address: &Bound<'_, PyAny>) -> PyResult<PathBuf> {
    if let Ok(text) = address.extract::<String>() {
        if let Some(path) = text.strip_prefix("file://") {
            let path = path.strip_prefix("localhost").unwrap_or(path);
            let plain: String = address.py().import("urllib.parse")?.call_method1("unquote", (path,))?.extract()?;
            return Ok(PathBuf::from(plain));
        }
        if let Some((scheme, _)) = text.split_once("://").filter(|(scheme, _)| !SHARED.contains(scheme)) {
            return Err(usage(format!("{text}: repositories are opened by path or file:// URL, not over {scheme}")));
        }
    }
    address
        .extract::<PathBuf>()
        .map_err(|_| wrong_type(format!("a repository is named by a path, not by {}", kind_of(address))))
}
