//! [`Exposure`]: pixels with mask, variance, WCS and zero point, as they live in memory.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::wcs::{Header, PixelBox, Wcs};

/// The names of the bits of a mask, LSST style (`MP_BAD = 0` in a header means: bit 0 is the plane `BAD`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskPlanes {
    planes: Vec<(String, u8)>,
}

impl MaskPlanes {
    /// The planes of an LSST exposure that concern a coadd, with their customary bits.
    pub const STANDARD: [(&'static str, u8); 9] = [
        ("BAD", 0),
        ("SAT", 1),
        ("INTRP", 2),
        ("CR", 3),
        ("EDGE", 4),
        ("DETECTED", 5),
        ("DETECTED_NEGATIVE", 6),
        ("SUSPECT", 7),
        ("NO_DATA", 8),
    ];

    /// Planes by name and bit. Bits above 30 (a mask is `i32`, and its sign stays out of it) are left out.
    pub fn new(planes: impl IntoIterator<Item = (String, u8)>) -> Self {
        Self { planes: planes.into_iter().filter(|(_, bit)| *bit < 31).collect() }
    }

    /// Name and bit of every plane.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u8)> {
        self.planes.iter().map(|(name, bit)| (name.as_str(), *bit))
    }

    /// The bit of a plane.
    pub fn bit(&self, name: &str) -> Option<u8> {
        self.planes.iter().find(|(n, _)| n == name).map(|(_, bit)| *bit)
    }

    /// The value with the bits of those of `names` that exist set.
    pub fn bits(&self, names: &[&str]) -> i32 {
        names.iter().filter_map(|n| self.bit(n)).fold(0, |all, bit| all | 1 << bit)
    }

    /// The bit of a plane, giving it the lowest free one when it is new; `None` when all 31 are taken.
    pub fn add(&mut self, name: &str) -> Option<u8> {
        if let Some(bit) = self.bit(name) {
            return Some(bit);
        }
        let bit = (0..31).find(|b| self.planes.iter().all(|(_, taken)| taken != b))?;
        self.planes.push((name.to_owned(), bit));
        Some(bit)
    }
}

impl Default for MaskPlanes {
    fn default() -> Self {
        Self::new(Self::STANDARD.map(|(name, bit)| (name.to_owned(), bit)))
    }
}

/// A calibrated image: pixels, mask, variance, where they lie on the sky, and what a count is worth.
///
/// All three arrays are `[y, x]` of the same shape. `bbox` says which pixels of the parent (detector or tract) plane they
/// are: array element `[0, 0]` is pixel `(bbox.x0, bbox.y0)`, in whose coordinates the WCS is given.
#[derive(Clone, Debug)]
pub struct Exposure {
    /// The pixels held, in the parent's coordinates.
    pub bbox: PixelBox,
    /// Counts in a pixel (not surface brightness), background subtracted. NaN: no data.
    pub image: Array2<f32>,
    /// Bits named by `mask_planes`.
    pub mask: Array2<i32>,
    /// Variance of `image`, counts squared. NaN or not positive: unknown.
    pub variance: Array2<f32>,
    /// Names of the mask's bits.
    pub mask_planes: MaskPlanes,
    /// From pixels of the parent plane to the sky.
    pub wcs: Wcs,
    /// Magnitude of one count: `mag = -2.5 log10(counts) + zero_point`.
    pub zero_point: f64,
    /// Further header records, as they came with the image.
    pub metadata: Header,
}
