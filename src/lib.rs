//! Bunter: a data butler for survey astronomy on batch clusters.

pub mod camera;
pub mod dataset;
pub mod datastore;
pub mod dimension;
pub mod simulate;
pub mod sphere;
pub mod wcs;

pub use dataset::{
    Coadd, DatasetRef, DatasetType, Exposure, FileRecord, FitsLayout, FitsMask, FitsPlane, FitsVariance, Format,
    MaskMeaning, MaskPlanes, StorageClass,
};
pub use dimension::{DataId, DimensionValue};
pub use sphere::{LonLat, UnitVector};
pub use wcs::{
    Card, CelestialFrame, DEFAULT_TOLERANCE_PX, GridMapping, Header, HeaderError, HeaderValue, PixelBox, Wcs, WcsError,
};
