//! What kind of thing is it?

mod coadd;
pub mod codec;
mod collection;
mod collection_search;
mod dataset_type;
mod exposure;
mod file_record;
mod template;
mod timespan;

pub use coadd::Coadd;
pub use codec::CodecError;
pub use collection::{Collection, CollectionNameError, CollectionType, check_collection_name};
pub use collection_search::{CollectionSearch, CollectionSearchError, SearchStep};
pub use dataset_type::{DatasetRef, DatasetType, StorageClass};
pub use exposure::{Exposure, MaskPlanes};
pub use file_record::{FileRecord, FitsLayout, FitsMask, FitsPlane, FitsVariance, Format, MaskMeaning};
pub use template::{PathTemplate, TemplateError};
pub use timespan::{Timespan, TimespanError};
