//! Bunter: a data butler for survey astronomy on batch clusters.

pub mod dataset;
pub mod dimension;
pub mod registry;
pub mod snapshot;
pub mod sphere;
pub mod wcs;

pub use dataset::{
    Coadd, Collection, CollectionNameError, CollectionType, DatasetRef, DatasetType, Exposure, FileRecord, FitsLayout,
    FitsMask, FitsPlane, FitsVariance, Format, MaskMeaning, MaskPlanes, PathTemplate, StorageClass, TemplateError,
    check_collection_name,
};
pub use dimension::{
    Column, ColumnType, Comparison, DataId, DimensionError, DimensionGroup, DimensionValue, Element, ElementStorage,
    Expression, ExpressionError, InItem, Literal, Operand, ResolvedColumn, Scope, Universe,
};
pub use registry::{
    FoldSummary, Inserted, NewDataset, OrderBy, QuantumRecord, QuantumStatus, Query, Registry, RegistryError,
    RegistryReader,
};
pub use snapshot::{RegistryView, Selection, Snapshot, SnapshotBuilder, SnapshotError};
pub use sphere::{LonLat, UnitVector};
pub use wcs::{Card, Header, HeaderError, HeaderValue, PixelBox, Wcs};
