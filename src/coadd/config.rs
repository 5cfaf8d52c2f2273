//! [`CoaddConfig`]: how a coadd is made.

use serde::{Deserialize, Serialize};

use super::{CoaddPlanes, Kernel, Statistic};
use crate::wcs::DEFAULT_TOLERANCE_PX;

/// How a coadd is made. Two coadds of the same inputs, patch, configuration and program version are the same to the bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoaddConfig {
    /// Interpolation.
    pub kernel: Kernel,
    /// How the inputs of a pixel become one value.
    pub statistic: Statistic,
    /// Magnitude of one count of the coadd.
    pub zero_point: f64,
    /// Planes whose pixels never enter.
    pub bad_planes: Vec<String>,
    /// Largest error of an interpolated position, pixels of the input.
    pub mapping_tolerance_px: f64,
}

impl std::fmt::Display for Statistic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::WeightedMean => f.write_str("weighted mean"),
            Self::ClippedMean { sigma, rounds, .. } => write!(f, "clipped mean, {sigma} sigma, {rounds} rounds"),
            Self::Median => f.write_str("median"),
        }
    }
}

impl Default for CoaddConfig {
    fn default() -> Self {
        Self {
            kernel: Kernel::default(),
            statistic: Statistic::default(),
            zero_point: 27.0,
            bad_planes: CoaddPlanes::BAD.map(str::to_owned).to_vec(),
            mapping_tolerance_px: DEFAULT_TOLERANCE_PX,
        }
    }
}
