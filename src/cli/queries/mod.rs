//! The commands that ask: one file each, but for the small ones.

mod collections;
mod data_ids;
mod datasets;
mod overlaps;
mod records;

pub(super) use collections::{QueryCollections, QueryDatasetTypes};
pub(super) use data_ids::QueryDataIds;
pub(super) use datasets::QueryDatasets;
pub(super) use overlaps::QueryOverlaps;
pub(super) use records::QueryDimensionRecords;
