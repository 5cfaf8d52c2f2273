//! HDF5: composites whose components are HDF5 objects, and tables.
//!
//! Any HDF5 tool reads the files. Bunter reads pixels without the library wherever the index at the head of the file
//! proves to be true, and falls back to the library elsewhere.

mod composite;
mod index;
mod library;
mod options;
mod table;
mod write;

use ::hdf5::types::FixedAscii;

use crate::dataset::StorageClass;

pub(crate) use composite::Composite;
pub(crate) use write::{attribute, create, write_format};

pub use composite::{read_coadd, read_component, read_exposure};
pub use options::StorageOptions;
pub use table::{read_table, write_table};
pub use write::{write_coadd, write_exposure};

/// What the attribute `format` says.
fn format_name(class: StorageClass) -> FixedAscii<32> {
    FixedAscii::from_ascii(&format!("bunter-{class}")).unwrap_or_default()
}
