//! Do these two shapes on the sky touch?
//!
//! Positions ([`LonLat`], [`UnitVector`]) and closed regions on the unit sphere: [`ConvexPolygon`], [`Circle`],
//! [`LonLatBox`], and [`Region`] for any of them. The relation of two convex polygons is exact, and [`PolygonColumns`] answers it for millions of pairs
//! without allocating. Regions are stored in the bytes that Rubin registries hold.
//!
//! Left out: pixels and projections (`wcs`), tracts and patches (`skymap`), and regions that are not convex.

mod circle;
mod convex_polygon;
mod cover;
mod error;
mod healpix;
mod healpix_cell;
mod htm;
mod hull;
mod kernel;
mod lon_lat;
mod lon_lat_box;
mod orientation;
mod pixelization;
mod polygon_columns;
mod polygon_index;
mod polygon_join;
mod range_set;
mod region;
mod region_bytes;
mod region_text;
mod relate;
mod relation;
mod sky_key;
mod unit_vector;

pub(crate) use kernel::Cap;
pub(crate) use lon_lat_box::wrap;
pub(crate) use sky_key::SkyKey;
pub(crate) use polygon_join::stream;

pub use circle::Circle;
pub use convex_polygon::ConvexPolygon;
pub use error::SphereError;
pub use healpix::Healpix;
pub use htm::Htm;
pub use lon_lat::LonLat;
pub use lon_lat_box::LonLatBox;
pub use orientation::orientation;
pub use pixelization::{Pixelization, pixelization};
pub use polygon_columns::{PolygonBuffer, PolygonColumns};
pub use polygon_index::PolygonIndex;
pub use polygon_join::{PolygonPairs, join_polygons, join_polygons_chunks};
pub use range_set::RangeSet;
pub use region::Region;
pub use relation::Relation;
pub use unit_vector::UnitVector;
