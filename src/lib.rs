//! Bunter: a data butler for survey astronomy on batch clusters.

pub mod butler;
pub mod camera;
#[doc(hidden)]
pub mod cli;
pub mod coadd;
pub mod dataset;
pub mod datastore;
pub mod dimension;
pub mod plot;
pub mod ranks;
pub mod registry;
pub mod simulate;
pub mod skymap;
pub mod snapshot;
pub mod sphere;
pub mod wcs;

pub use butler::{
    Butler, ButlerError, Damage, DataIdQuery, DiscreteSkyMapOptions, Found, ImageOnSky, Improved, IngestEvent,
    IngestFailure, IngestOptions, IngestReport, OverlapQuery, OverlapStream, Pruned, ReadButler, RegionSource,
    RepositoryConfig, Storage, UpdateRegionsOptions, VerifyReport, VisitOptions, VisitProgress, VisitReport, Watcher,
    packer_of,
};
pub use camera::{FocalPlane, Pointing, Pointings};
pub use dataset::{
    Coadd, Collection, CollectionNameError, CollectionSearch, CollectionSearchError, CollectionType, DatasetRef,
    DatasetType, Exposure, FileRecord, FitsLayout, FitsMask, FitsPlane, FitsVariance, Format, MaskMeaning, MaskPlanes,
    PathTemplate, SearchStep, StorageClass, TemplateError, Timespan, TimespanError, check_collection_name,
};
pub use dimension::{
    Alias, Aliases, BadRow, BadRows, BandCodes, Column, ColumnType, Comparison, DEFAULT_BANDS, DataId, DimensionError,
    DimensionGroup, DimensionValue, Element, ElementStorage, Expression, ExpressionError, FieldLayout, FieldOrder,
    IdentifierKind, IdentifierLayout, InItem, IntView, IntViewMut, LimitBy, Literal, NameCodes, OnError, Operand,
    PackColumn, PackError, PackLayout, Packed, PackedTable, Packer, RUBIN_CONTROLLERS, ResolvedColumn,
    RubinControllers, Scope, Universe, UniverseChanges, Unpacked, UnpackedColumn,
};
pub use registry::{
    ChainEdit, Change, ChangeKind, Changes, CollectionState, FoldSummary, Inserted, Migration, NewDataset, OrderBy,
    Ownership, ProvenanceRecord, PruneReport, QuantumRecord, QuantumStatus, Query, RecordBatchOf, RegionEvent,
    RegionEventKind, RegionMoment, RegionState, RegionUpdate, RegionUpdateReport, RegionUse, Registry, RegistryAddress,
    RegistryAsOf, RegistryError, RegistryReader, ServerAddress, VisitDetectorQuery,
};
pub use skymap::{
    CellInfo, FoundPatches, InnerRegion, Layout, OverlapColumns, PatchInfo, Projection, SkyMap, SkyMapConfig,
    SkyMapError, TractBuilder, TractInfo,
};
pub use snapshot::{RegistryView, Selection, Snapshot, SnapshotBuilder, SnapshotError};
pub use sphere::{
    Angle, Circle, ConvexPolygon, Healpix, Htm, LonLat, LonLatBox, Mq3c, Pixelization, PolygonBuffer, PolygonColumns,
    PolygonIndex, PolygonPairs, Q3c, RangeSet, Region, Relation, SphereError, UnitVector, join_polygons,
    join_polygons_chunks, orientation,
};
pub use wcs::{
    Card, CelestialFrame, DEFAULT_TOLERANCE_PX, GridMapping, Header, HeaderError, HeaderValue, PixelBox, Wcs, WcsError,
};
