//! Which sky position is this pixel, and back?
//!
//! Holds the values every image carries: [`PixelBox`], [`Header`], and [`Wcs`], the celestial part of the FITS World
//! Coordinate System (Papers I and II; the SIP and TPV conventions), read from a header once and then a handful of
//! numbers that ride in snapshots. [`GridMapping`] carries pixels of one WCS to pixels of another, fast enough for every
//! pixel of a coadd, with a bound on its error.
//!
//! Left out on purpose: reading files (`datastore`), frames other than ICRS and FK5 J2000, spectral and time axes,
//! projections no survey camera or sky map uses, and tabulated distortions. A header that asks for one of these is
//! refused with the keyword that does.
//!
//! Sines, cosines and arc tangents come from the `libm` crate, never from the system: the libraries of two machines differ
//! in the last bit, and simulated surveys and coadds are compared byte by byte. The remaining arithmetic (sums, products,
//! quotients, square roots) is exact to the last bit everywhere by IEEE 754, for Rust never fuses operations unasked.

mod distortion;
mod error;
mod fits;
mod header;
mod mapping;
mod pixel_box;
mod pole;
mod polynomial;
mod projection;
#[expect(clippy::module_inception, reason = "the room is named after its main noun")]
mod wcs;

pub use error::WcsError;
pub use header::{Card, Header, HeaderError, HeaderValue};
pub use mapping::{DEFAULT_TOLERANCE_PX, GridMapping};
pub use pixel_box::PixelBox;
pub use wcs::{CelestialFrame, Wcs};
