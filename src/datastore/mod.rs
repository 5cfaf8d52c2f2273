//! Where are the bytes and what do they mean?
//!
//! Holds the files of a repository on a local or parallel file system: how they come to be there whole or not at all
//! ([`Datastore`]), and the formats in which pixels, tables and documents are kept: Bunter's HDF5 composites, FITS
//! exposures left as they are, JSON; and tables of a person's own, CSV, Parquet, HDF5 and FITS tables ([`TableReader`], [`TableWriter`]). Boxes of pixels are read through a memory map wherever the format allows.
//!
//! Leaves out: which datasets exist and what they are called (the registry; no SQL is issued here), and what the
//! keywords of a camera's headers mean (translators make a [`FitsLayout`](crate::FitsLayout) once, at ingest).

mod error;
mod fits;
mod hdf5;
mod local;
mod mapped;
mod store;
mod table;
mod value;

pub use error::DatastoreError;
pub(crate) use fits::{is_wcs, parse_header};

pub use fits::{FitsFile, FitsWriter, Hdu, HduKind, read_fits_exposure, write_fits_coadd, write_fits_exposure};
pub use hdf5::{
    StorageOptions, read_coadd, read_component, read_exposure, read_table, write_coadd, write_exposure, write_table,
};
pub use local::{Orphan, Transfer, checksum};
pub use store::Datastore;
pub use table::{TableFormat, TableOptions, TableReader, TableWriter, TableWriterOptions};
pub use value::Dataset;
