//! Make one deep image of these.
//!
//! The room holds the way from calibrated images to a coadd: interpolation onto the common grid ([`WarpInput`], over a
//! [`Kernel`] and a [`PixelMapping`]), and the mask planes of the result ([`CoaddPlanes`]). All of it is pure array work
//! on boxes of pixels, and knows no file.
//!
//! It leaves out where pixels fall on the sky (`wcs`, behind the trait [`PixelMapping`]) and which images overlap which
//! patch (`skymap`, `ranks`).

mod error;
mod kernel;
mod planes;
mod source;
mod strip;
mod warp;

pub use error::CoaddError;
pub use kernel::Kernel;
pub use planes::{CoaddPlanes, InputPlanes};
pub use source::{InputPixels, WarpInput, WarpScratch};
pub use strip::Strip;
pub use warp::{PixelMapping, WarpCounts};
