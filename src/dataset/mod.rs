//! What kind of thing is it?

mod coadd;
pub mod codec;
mod collection;
mod dataset_type;
mod exposure;
mod file_record;
mod template;

pub use coadd::Coadd;
pub use codec::CodecError;
pub use collection::{Collection, CollectionNameError, CollectionType, check_collection_name};
pub use dataset_type::{DatasetRef, DatasetType, StorageClass};
pub use exposure::{Exposure, MaskPlanes};
pub use file_record::{FileRecord, FitsLayout, FitsMask, FitsPlane, FitsVariance, Format, MaskMeaning};
pub use template::{PathTemplate, TemplateError};
