//! [`Coadd`]: a deep image of one patch, as it lives in memory.

use arrow::record_batch::RecordBatch;
use ndarray::Array2;

use super::MaskPlanes;
use crate::wcs::{Header, PixelBox, Wcs};

/// A deep image of one patch and all that tells how it was made. Arrays are `[y, x]` of the shape of `bbox`.
#[derive(Clone, Debug)]
pub struct Coadd {
    /// The patch's outer box, in the tract's pixels.
    pub bbox: PixelBox,
    /// Counts in a pixel at `zero_point`. NaN where no input contributes.
    pub image: Array2<f32>,
    /// Bits named by `mask_planes`.
    pub mask: Array2<i32>,
    /// Variance of `image`, counts squared.
    pub variance: Array2<f32>,
    /// Number of inputs that contribute to a pixel.
    pub n_image: Array2<u16>,
    /// Sum of the weights of the inputs that contribute to a pixel, 1 / counts squared.
    pub weight: Array2<f32>,
    /// Names of the mask's bits.
    pub mask_planes: MaskPlanes,
    /// The tract's WCS.
    pub wcs: Wcs,
    /// Magnitude of one count.
    pub zero_point: f64,
    /// One row an input: `instrument, visit, detector, weight, good_pixels, zero_point, x0, y0, width, height, checksum,
    /// dataset_id`.
    pub inputs: RecordBatch,
    /// Kernel, statistic, software version, band, tract, patch …
    pub metadata: Header,
}
