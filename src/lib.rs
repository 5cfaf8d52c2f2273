//! Bunter: a data butler for survey astronomy on batch clusters.

pub mod dataset;
pub mod skymap;
pub mod sphere;
pub mod wcs;

pub use dataset::{Exposure, MaskPlanes};
pub use skymap::{
    CellInfo, InnerRegion, Layout, OverlapColumns, PatchInfo, Projection, SkyMap, SkyMapConfig, SkyMapError,
    TractBuilder, TractInfo,
};
pub use sphere::{
    Circle, ConvexPolygon, LonLat, LonLatBox, PolygonBuffer, PolygonColumns, Region, Relation, SphereError, UnitVector,
    orientation,
};
pub use wcs::{Card, Header, HeaderError, HeaderValue, PixelBox, Wcs};
