//! Bunter: a data butler for survey astronomy on batch clusters.

pub mod dataset;
pub mod datastore;
pub mod dimension;
pub mod sphere;
pub mod wcs;

pub use dataset::{
    Coadd, DatasetRef, DatasetType, Exposure, FileRecord, FitsLayout, FitsMask, FitsPlane, FitsVariance, Format,
    MaskMeaning, MaskPlanes, StorageClass,
};
pub use dimension::{DataId, DimensionValue};
pub use sphere::{LonLat, UnitVector};
pub use wcs::{Card, Header, HeaderError, HeaderValue, PixelBox, Wcs};
