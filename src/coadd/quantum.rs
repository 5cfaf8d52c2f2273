//! [`CoaddQuantum`]: the work of one coadd, and [`CoaddInput`]: one image that goes into it.

use std::hash::Hasher;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use xxhash_rust::xxh3::Xxh3;

use super::CoaddConfig;
use crate::dataset::FileRecord;
use crate::dimension::DataId;
use crate::wcs::{PixelBox, Wcs};

/// One detector's image that may contribute to a coadd.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoaddInput {
    /// Identity of the dataset.
    pub id: Uuid,
    /// Which camera.
    pub instrument: Arc<str>,
    /// Which visit.
    pub visit: i64,
    /// Which detector.
    pub detector: i64,
    /// Where the bytes are.
    pub file: FileRecord,
    /// The WCS that the registry has for it, which may be better than the file's own.
    pub wcs: Wcs,
    /// All pixels of the detector's image.
    pub bbox: PixelBox,
}

impl CoaddInput {
    /// The dimension values that name the image.
    pub fn data_id(&self) -> DataId {
        DataId::new()
            .with("instrument", Arc::clone(&self.instrument))
            .with("visit", self.visit)
            .with("detector", self.detector)
    }

    /// What the image is, as one number: its identity, its bytes, how they are read, and where they lie.
    pub fn digest(&self) -> u64 {
        let mut hash = Xxh3::new();
        hash.write(self.id.as_bytes());
        hash.write_u64(self.file.size);
        hash.write_u64(self.file.checksum);
        // Debug of a float is its shortest exact decimal: two texts are the same only for the same numbers.
        text(&mut hash, &format!("{:?} {:?} {:?}", self.file.format, self.wcs, self.bbox));
        hash.digest()
    }
}

/// The work of one coadd: which patch, which band, and the images whose regions touch it.
#[derive(Clone, Debug, PartialEq)]
pub struct CoaddQuantum {
    /// Name of the sky map.
    pub sky_map: Arc<str>,
    /// The tract.
    pub tract: u32,
    /// The patch, by its sequential number.
    pub patch: u32,
    /// The band.
    pub band: Arc<str>,
    /// The images, in the order in which they are summed: by instrument, visit, detector.
    pub inputs: Vec<CoaddInput>,
}

impl CoaddQuantum {
    /// The dimension values that name the coadd.
    pub fn data_id(&self) -> DataId {
        DataId::new()
            .with("skymap", Arc::clone(&self.sky_map))
            .with("tract", self.tract)
            .with("patch", self.patch)
            .with("band", Arc::clone(&self.band))
    }

    /// What decides the pixels of the coadd, as one number: patch, inputs with their bytes and WCS, configuration, and the
    /// program's version. A coadd with the same fingerprint need not be built again.
    pub fn fingerprint(&self, config: &CoaddConfig, sky_map_sha1: &[u8; 20]) -> u64 {
        let patch = PatchName { tract: self.tract, patch: self.patch, band: &self.band };
        fingerprint(patch, self.inputs.iter().map(CoaddInput::digest), config, sky_map_sha1)
    }
}

/// Which coadd of a sky map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatchName<'a> {
    /// The tract.
    pub tract: u32,
    /// The patch, by its sequential number.
    pub patch: u32,
    /// The band.
    pub band: &'a str,
}

/// [`CoaddQuantum::fingerprint`] from the [digests](CoaddInput::digest) of the inputs, for whoever has many quanta that
/// share inputs.
pub fn fingerprint(
    patch: PatchName<'_>,
    inputs: impl IntoIterator<Item = u64>,
    config: &CoaddConfig,
    sky_map_sha1: &[u8; 20],
) -> u64 {
    let mut hash = Xxh3::new();
    text(&mut hash, concat!("coadd ", env!("CARGO_PKG_VERSION")));
    hash.write(sky_map_sha1);
    hash.write_u32(patch.tract);
    hash.write_u32(patch.patch);
    text(&mut hash, patch.band);
    text(&mut hash, &format!("{config:?}"));
    for input in inputs {
        hash.write_u64(input);
    }
    hash.digest()
}

/// The length goes in with a text, so that no two lists of texts look the same.
fn text(hash: &mut Xxh3, text: &str) {
    hash.write_u64(text.len() as u64);
    hash.write(text.as_bytes());
}
