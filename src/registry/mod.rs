//! What exists?
//!
//! Left out: bytes of datasets (`datastore`), overlaps on the sky and what ranks read (`snapshot`).

mod contract;
mod error;

pub use contract::{OrderBy, Query, RegistryReader};
pub use error::RegistryError;
