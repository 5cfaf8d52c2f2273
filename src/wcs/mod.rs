//! Which sky position is this pixel, and back?

mod header;
mod pixel_box;

pub use header::{Card, Header, HeaderError, HeaderValue};
pub use pixel_box::PixelBox;

use crate::sphere::LonLat;

/// From pixels to the sky and back (to be replaced whole by the room's real type of this name and these methods).
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Wcs {
    header: Header,
}

impl Wcs {
    /// Reads the WCS of a FITS header.
    pub fn from_header(header: &Header) -> Result<Self, HeaderError> {
        Ok(Self { header: header.clone() })
    }
    /// The header records of the WCS.
    pub fn to_header(&self) -> Header {
        self.header.clone()
    }
    /// Sky position of a zero-based pixel position.
    pub fn pixel_to_sky(&self, _x: f64, _y: f64) -> Option<LonLat> {
        None
    }
    /// Zero-based pixel position of a sky position.
    pub fn sky_to_pixel(&self, _sky: LonLat) -> Option<(f64, f64)> {
        None
    }
}
