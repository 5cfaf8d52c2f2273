//! [`DatasetType`], [`StorageClass`] and [`DatasetRef`].

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::dimension::DataId;

/// What a dataset is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StorageClass {
    /// A calibrated image of one detector: [`Exposure`](super::Exposure).
    Exposure,
    /// A coadded image of one patch: [`Coadd`](super::Coadd).
    Coadd,
    /// A table: an Arrow record batch.
    Table,
    /// A JSON document.
    Json,
}

impl StorageClass {
    /// All storage classes with their names.
    pub const ALL: [Self; 4] = [Self::Exposure, Self::Coadd, Self::Table, Self::Json];

    /// The name, as in `register-dataset-type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exposure => "Exposure",
            Self::Coadd => "Coadd",
            Self::Table => "Table",
            Self::Json => "Json",
        }
    }

    /// The components that can be read on their own.
    pub const fn components(self) -> &'static [&'static str] {
        match self {
            Self::Exposure => &["image", "mask", "variance", "wcs", "bbox", "zero_point", "metadata"],
            Self::Coadd => {
                &["image", "mask", "variance", "n_image", "weight", "inputs", "wcs", "bbox", "zero_point", "metadata"]
            }
            Self::Table | Self::Json => &[],
        }
    }
}

impl fmt::Display for StorageClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What kind of thing a dataset is: its name, the dimensions that name one, and its storage class.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DatasetType {
    /// The name, `calexp`.
    pub name: Arc<str>,
    /// Names of the required dimensions, sorted.
    pub dimensions: Vec<Arc<str>>,
    /// What a dataset is in memory.
    pub storage_class: StorageClass,
}

/// One dataset: its identity, type, name, and the run that made it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DatasetRef {
    /// Identity: version 7 for new datasets, version 5 (of instrument, exposure and detector) for raw data, so that the
    /// same raw has the same identity everywhere.
    pub id: Uuid,
    /// The name of the dataset type.
    pub dataset_type: Arc<str>,
    /// What it is called.
    pub data_id: DataId,
    /// The RUN collection it belongs to.
    pub run: Arc<str>,
}

impl fmt::Display for DatasetRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} [{}]", self.dataset_type, self.data_id, self.run)
    }
}
