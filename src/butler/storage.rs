//! Get and put: between names and arrays.

use uuid::Uuid;

use super::{Butler, ButlerError};
use crate::dataset::{DatasetRef, DatasetType, FileRecord, PathTemplate};
use crate::datastore::{Dataset, Datastore, StorageOptions};
use crate::dimension::{DataId, Universe};
use crate::registry::NewDataset;
use crate::wcs::PixelBox;

/// A dataset that was found: what it is and where its bytes are.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Identity, name, run.
    pub dataset: DatasetRef,
    /// What kind of thing it is.
    pub dataset_type: DatasetType,
    /// Where its bytes are.
    pub file: FileRecord,
}

impl Butler {
    /// Finds a dataset: the first in the order of `collections`.
    ///
    /// # Errors
    /// [`ButlerError::NotFound`]; [`ButlerError::Registry`] for unknown names, with the near ones.
    pub fn find(&self, dataset_type: &str, data_id: &DataId, collections: &[&str]) -> Result<Found, ButlerError> {
        let kind = self.reader().dataset_type(dataset_type)?;
        let data_id = &self.standard_data_id(data_id)?;
        let not_found = || ButlerError::NotFound {
            dataset_type: dataset_type.to_owned(),
            data_id: data_id.clone(),
            collections: collections.iter().map(|c| (*c).to_owned()).collect(),
        };
        let dataset = self.reader().find_dataset(dataset_type, data_id, collections)?.ok_or_else(not_found)?;
        let file = self.reader().file_record(dataset.id)?.ok_or_else(not_found)?;
        Ok(Found { dataset, dataset_type: kind, file })
    }

    /// Reads a dataset, one component of it (`calexp.image`), or the pixels of one box.
    ///
    /// `bbox` is in the parent's pixels (the detector's for an exposure, the tract's for a coadd). Only the bytes asked for
    /// are read: through a memory map where the file allows it, by hyperslab or tile otherwise.
    ///
    /// # Errors
    /// [`ButlerError::NotFound`], [`ButlerError::Registry`] for unknown names, [`ButlerError::Datastore`] for an unknown
    /// component, a box outside of the image, or a file that is absent or damaged.
    pub fn get(
        &self,
        name: &str,
        data_id: &DataId,
        collections: &[&str],
        bbox: Option<PixelBox>,
    ) -> Result<Dataset, ButlerError> {
        let (dataset_type, component) = match name.split_once('.') {
            Some((dataset_type, component)) => (dataset_type, Some(component)),
            None => (name, None),
        };
        let found = self.find(dataset_type, data_id, collections)?;
        self.read(&found, component, bbox)
    }

    /// Reads a dataset that was found.
    ///
    /// # Errors
    /// [`ButlerError::Datastore`].
    pub fn read(&self, found: &Found, component: Option<&str>, bbox: Option<PixelBox>) -> Result<Dataset, ButlerError> {
        Ok(self.datastore().get(&found.file, found.dataset_type.storage_class, component, bbox)?)
    }

    /// Keeps a dataset: its bytes whole under their final name, then its row. A crash leaves at worst a file without a
    /// row, which `verify` finds.
    ///
    /// # Errors
    /// [`ButlerError::Registry`] when the run has a dataset of this name, or for unknown names;
    /// [`ButlerError::Datastore`] when the bytes cannot be written: nothing is left of them.
    pub fn put(
        &self,
        dataset: &Dataset,
        dataset_type: &str,
        data_id: &DataId,
        run: &str,
    ) -> Result<DatasetRef, ButlerError> {
        let registry = self.registry()?;
        let data_id = &self.standard_data_id(data_id)?;
        registry.register_run(run)?;
        let kind = self.reader().dataset_type(dataset_type)?;
        let template = registry.path_template(dataset_type)?;
        let stored = store(self.datastore(), dataset, &kind, &template, data_id, run)?;
        match registry.insert_datasets(std::slice::from_ref(&stored)) {
            Ok(_) => Ok(stored.dataset),
            Err(error) => {
                // The row was refused, so the bytes are nobody's.
                self.datastore().remove(&stored.file)?;
                Err(error.into())
            }
        }
    }
}

/// Writes the bytes of a dataset and says what to enter in the registry: a rank's half of a put, for which it needs no
/// registry. The other half is the journal's.
///
/// # Errors
/// [`ButlerError::Dimension`] for a data ID that does not fit, [`ButlerError::Datastore`].
pub fn store(
    datastore: &Datastore,
    dataset: &Dataset,
    dataset_type: &DatasetType,
    template: &PathTemplate,
    data_id: &DataId,
    run: &str,
) -> Result<NewDataset, ButlerError> {
    let group = Universe::builtin().group(dataset_type.dimensions.iter().map(|d| &**d))?;
    group.check_at_least(data_id)?;
    let dataset_ref = DatasetRef {
        id: Uuid::now_v7(),
        dataset_type: dataset_type.name.clone(),
        data_id: data_id.subset(group.required().iter().copied()),
        run: run.into(),
    };
    let file = datastore.put(&template.path(&dataset_ref)?, dataset, &StorageOptions::default())?;
    Ok(NewDataset { dataset: dataset_ref, file })
}
