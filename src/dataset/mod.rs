//! What kind of thing is it?

mod coadd;
pub mod codec;
mod dataset_type;
mod exposure;
mod file_record;

pub use coadd::Coadd;
pub use dataset_type::{DatasetRef, DatasetType, StorageClass};
pub use exposure::{Exposure, MaskPlanes};
pub use file_record::{FileRecord, FitsLayout, FitsMask, FitsPlane, FitsVariance, Format, MaskMeaning};
