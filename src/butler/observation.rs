//! What only the pixels of an arriving exposure can tell.

use std::path::Path;

use super::{ButlerError, region};
use crate::camera::ObservationInfo;
use crate::dataset::Exposure;
use crate::datastore::{FitsFile, read_fits_exposure};
use crate::sphere::{ConvexPolygon, SphereError};
use crate::wcs::{PixelBox, Wcs};

/// Points on each side of a detector whose hull is its region: a distorted side is a curve.
const POINTS_PER_SIDE: usize = 9;

/// What was worked out of an exposure.
pub(super) struct Measured {
    /// The convex hull of the pixels' area on the sky, encoded.
    pub(super) region: Vec<u8>,
    /// Mean variance of the pixels that have one.
    pub(super) mean_variance: Option<f64>,
}

/// Reads the exposure, completes its layout by what headers do not say, and refuses one that could never be used.
pub(super) fn measure(path: &Path, info: &mut ObservationInfo) -> Result<(Exposure, Measured), ButlerError> {
    let refuse = |message: String| ButlerError::Exposure { path: path.to_owned(), message };
    if info.needs_pixels() {
        let file = match &info.layout.image.file {
            Some(sibling) => path.with_file_name(sibling),
            None => path.to_owned(),
        };
        let pixels = FitsFile::open(&file)?.read_f32(info.layout.image.hdu, None)?;
        info.measure(&path.to_string_lossy(), &pixels.view())?;
    }
    let exposure = read_fits_exposure(path, &info.layout, None)?;
    if !exposure.image.iter().any(|v| v.is_finite()) {
        return Err(refuse(format!(
            "no pixel of the image (HDU {}) is a finite number: nothing to ingest",
            info.layout.image.hdu
        )));
    }
    let (sum, count) = exposure
        .variance
        .iter()
        .filter(|v| v.is_finite() && **v > 0.0)
        .fold((0.0, 0_u64), |(sum, count), v| (sum + f64::from(*v), count + 1));
    let region = region_of(&info.wcs, exposure.bbox)
        .map_err(|e| refuse(format!("the WCS puts the image on no region of the sky ({e}): check its keywords")))?;
    let mean_variance = (count > 0).then(|| sum / count as f64);
    Ok((exposure, Measured { region: region::encode(&region), mean_variance }))
}

/// The region of the sky that pixels lie on.
pub(super) fn region_of(wcs: &Wcs, pixels: PixelBox) -> Result<ConvexPolygon, SphereError> {
    ConvexPolygon::new(&wcs.boundary(pixels, POINTS_PER_SIDE))
}
