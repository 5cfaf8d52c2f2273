//! Bunter: a data butler for survey astronomy on batch clusters.

pub mod dataset;
pub mod ranks;
pub mod sphere;
pub mod wcs;

pub use dataset::{Exposure, MaskPlanes};
pub use sphere::{LonLat, UnitVector};
pub use wcs::{Card, Header, HeaderError, HeaderValue, PixelBox, Wcs};
