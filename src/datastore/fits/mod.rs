//! FITS: headers and plain pixels by an own parser over a memory map, tile-compressed pixels by cfitsio, and an own
//! writer whose bytes are the same on every machine.

mod card;
mod exposure;
mod file;
mod image;
mod rice;
mod tiles;
mod write;
mod writer;

pub(crate) use card::{CARD, format_header, is_end, is_structural, is_wcs, parse_header};
pub(crate) use exposure::FitsExposure;
pub(crate) use write::check_shapes;

pub use exposure::read_fits_exposure;
pub use file::{FitsFile, Hdu, HduKind};
pub use write::{write_fits_coadd, write_fits_exposure};
pub use writer::FitsWriter;
