//! [`FileRecord`]: where the bytes of a dataset are, and [`FitsLayout`]: how a FITS file becomes an exposure.

use serde::{Deserialize, Serialize};

/// Where the bytes of a dataset are and how to know that they are whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Path relative to the repository's root, with `/`; absolute for files ingested `direct`.
    pub path: String,
    /// How the bytes are read.
    pub format: Format,
    /// Size in bytes.
    pub size: u64,
    /// xxh3-64 of the whole file; 0 when it was not computed (a `direct` ingest that was told not to).
    pub checksum: u64,
}

/// The formatter of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Bunter's HDF5 composite: components as HDF5 objects.
    Hdf5,
    /// A FITS exposure left as it is, read by its layout.
    FitsExposure(Box<FitsLayout>),
    /// A JSON document.
    Json,
}

/// How the planes of a FITS exposure are found and what they mean. Made by a camera translator at ingest, stored with
/// the file, so that reading needs no translator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitsLayout {
    /// The pixels; their header has the WCS.
    pub image: FitsPlane,
    /// The mask, if there is one.
    pub mask: Option<FitsMask>,
    /// The variance.
    pub variance: FitsVariance,
    /// Constant to subtract from the image (sky level), counts.
    pub background: f64,
    /// Magnitude of one count.
    pub zero_point: f64,
    /// Image pixels at or above this are flagged SAT; pixels below `low` BAD. Where the file has no mask of its own.
    pub saturation: Option<f64>,
    /// Pixels below this (after background subtraction) are flagged BAD.
    pub low: Option<f64>,
}

impl FitsLayout {
    /// The files beside the dataset's own that the layout needs, each once.
    pub fn siblings(&self) -> Vec<&str> {
        let mut siblings: Vec<&str> = [
            Some(&self.image),
            self.mask.as_ref().map(|mask| &mask.plane),
            match &self.variance {
                FitsVariance::Plane(plane) | FitsVariance::Inverse(plane) => Some(plane),
                FitsVariance::SkyAndGain { .. } => None,
            },
        ]
        .into_iter()
        .flatten()
        .filter_map(|plane| plane.file.as_deref())
        .collect();
        siblings.sort_unstable();
        siblings.dedup();
        siblings
    }
}

/// An image extension of a FITS file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FitsPlane {
    /// File, beside the dataset's own file; `None`: the dataset's own file.
    pub file: Option<String>,
    /// Index of the header-data unit, 0 is the primary.
    pub hdu: usize,
}

/// How mask pixels become mask planes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitsMask {
    /// Where the pixels are.
    pub plane: FitsPlane,
    /// What they mean.
    pub meaning: MaskMeaning,
}

/// What a mask pixel's integer means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaskMeaning {
    /// A bit mask whose planes the header names, `MP_BAD = 0` (LSST).
    Planes,
    /// One code a pixel: `(code, names of the planes it sets)`; codes not listed set nothing (`DECam` Community Pipeline).
    Codes(Vec<(i64, Vec<String>)>),
    /// A bit mask: `(bit, name of the plane)`.
    Bits(Vec<(u8, String)>),
}

/// Where the variance comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FitsVariance {
    /// A plane of variances, counts squared.
    Plane(FitsPlane),
    /// A plane of inverse variances; zero or less: the pixel is BAD.
    Inverse(FitsPlane),
    /// Sky noise and photon noise: `sky_variance + max(image - background, 0) / gain`.
    SkyAndGain {
        /// Variance of the empty sky, counts squared.
        sky_variance: f64,
        /// Electrons a count.
        gain: f64,
    },
}
