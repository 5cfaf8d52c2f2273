//! Do these two shapes on the sky touch?
//!
//! Positions ([`LonLat`], [`UnitVector`]) and closed regions on the unit sphere: [`ConvexPolygon`], [`Circle`],
//! [`LonLatBox`], and [`Region`] for any of them. The relation of two convex polygons is exact, and [`PolygonColumns`] answers it for millions of pairs
//! without allocating. Regions are stored in the bytes that Rubin registries hold.
//!
//! Left out: pixels and projections (`wcs`), tracts and patches (`skymap`), and regions that are not convex.

mod circle;
mod convex_polygon;
mod error;
mod hull;
mod kernel;
mod lon_lat;
mod lon_lat_box;
mod orientation;
mod polygon_columns;
mod polygon_index;
mod polygon_join;
mod region;
mod region_bytes;
mod region_text;
mod relation;
mod unit_vector;

pub(crate) use kernel::Cap;
pub(crate) use lon_lat_box::wrap;
pub(crate) use polygon_join::stream;

pub use circle::Circle;
pub use convex_polygon::ConvexPolygon;
pub use error::SphereError;
pub use lon_lat::LonLat;
pub use lon_lat_box::LonLatBox;
pub use orientation::orientation;
pub use polygon_columns::{PolygonBuffer, PolygonColumns};
pub use polygon_index::PolygonIndex;
pub use polygon_join::{PolygonPairs, join_polygons, join_polygons_chunks};
pub use region::Region;
pub use relation::Relation;
pub use unit_vector::UnitVector;
