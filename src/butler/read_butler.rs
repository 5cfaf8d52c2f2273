//! [`ReadButler`]: a butler that cannot write.

use std::path::Path;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;

use super::{Butler, ButlerError, Found};
use crate::datastore::Dataset;
use crate::dimension::DataId;
use crate::registry::{Query, Registry, RegistryReader};
use crate::wcs::PixelBox;

/// A repository, opened to read: the type has no put, no ingest and no registration, and what it is made of cannot write
/// either.
///
/// ```compile_fail
/// fn write(butler: &bunter::ReadButler, ids: &[uuid::Uuid]) {
///     butler.prune_datasets(ids, false);
/// }
/// ```
pub struct ReadButler {
    butler: Butler,
}

impl ReadButler {
    /// Opens a repository to read; its folder need not be writable.
    ///
    /// # Errors
    /// As [`Butler::open`].
    pub fn open(root: impl AsRef<Path>) -> Result<Self, ButlerError> {
        let root = root.as_ref();
        let config = super::RepositoryConfig::read(root)?;
        let registry = Registry::open_read_only_at(&config.registry_address(root)?)?;
        Ok(Self { butler: Butler::with_reader(root, Arc::new(registry)) })
    }

    /// What exists.
    pub fn reader(&self) -> &(dyn RegistryReader + Send + Sync) {
        self.butler.reader()
    }

    /// See [`Butler::find`].
    ///
    /// # Errors
    /// As there.
    pub fn find(&self, dataset_type: &str, data_id: &DataId, collections: &[&str]) -> Result<Found, ButlerError> {
        self.butler.find(dataset_type, data_id, collections)
    }

    /// See [`Butler::get`].
    ///
    /// # Errors
    /// As there.
    pub fn get(
        &self,
        name: &str,
        data_id: &DataId,
        collections: &[&str],
        bbox: Option<PixelBox>,
    ) -> Result<Dataset, ButlerError> {
        self.butler.get(name, data_id, collections, bbox)
    }

    /// See [`Butler::query_datasets`].
    ///
    /// # Errors
    /// As there.
    pub fn query_datasets(
        &self,
        dataset_type: &str,
        collections: &[&str],
        query: &Query,
        find_first: bool,
    ) -> Result<RecordBatch, ButlerError> {
        self.butler.query_datasets(dataset_type, collections, query, find_first)
    }
}
