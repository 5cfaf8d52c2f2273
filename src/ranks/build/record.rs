//! What a rank writes down of each patch.

use serde::{Deserialize, Serialize};

use crate::ranks::JournalRecord;
use crate::registry::{NewDataset, QuantumRecord};

/// One journal record of a build: what was done, and the dataset that came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BuildRecord {
    /// The coadd, whose bytes were whole when this was written.
    pub dataset: NewDataset,
    /// The work.
    pub quantum: QuantumRecord,
}

impl JournalRecord for BuildRecord {
    const SCHEMA: u32 = 1;
}

/// What came of one patch, as it is told while the build goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PatchReport {
    /// The tract.
    pub tract: u32,
    /// The patch.
    pub patch: u32,
    /// The band.
    pub band: String,
    /// Images that contribute.
    pub inputs: u32,
    /// Pixels of images that were warped: each output pixel of each image.
    pub warped_pixels: u64,
    /// Path of the coadd's file, relative to the repository.
    pub path: String,
    /// Images that were left out although they touch the patch, and why.
    pub warnings: Vec<String>,
}
