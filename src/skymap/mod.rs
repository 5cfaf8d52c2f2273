//! How is the sky cut into tracts and patches?
//!
//! [`SkyMap`] lays tracts over the sky in rings, at given places, on `HEALPix` pixels, along the equator or on a dodecahedron; each
//! tract is one pixel grid ([`TractInfo`]), cut into patches ([`PatchInfo`]) and perhaps cells ([`CellInfo`]). The numbers
//! are those of the reference implementation, `lsst.skymap`. [`SkyMap::overlaps`] lists the patches a polygon touches,
//! exactly.
//!
//! Left out: names under which sky maps are registered (`registry`), packed tract-and-patch integers
//! (`dimension::pack`), images' own WCS (`wcs`).

mod builder;
mod config;
mod error;
mod find;
mod grid;
mod identity;
mod overlap;
mod patch;
mod presets;
mod projection;
mod reach;
mod rings;
mod sky_map;
mod solids;
mod tract;
mod tract_size;
mod zones;

pub use builder::TractBuilder;
pub use config::{Layout, SkyMapConfig};
pub use error::SkyMapError;
pub use find::FoundPatches;
pub use overlap::OverlapColumns;
pub use patch::{CellInfo, PatchInfo};
pub use projection::Projection;
pub use sky_map::SkyMap;
pub use tract::{InnerRegion, TractInfo};
