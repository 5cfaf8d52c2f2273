//! Robust statistics of planes of pixels: what an input is worth.

use ndarray::{ArrayView2, Axis};

use crate::coadd::CoaddError;

/// How [`clipped_mean`] samples and clips.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClippedMeanOptions {
    /// Values further than this many standard deviations from the centre are left out. Infinite: none.
    pub sigma: f64,
    /// Rounds of clipping at most; it ends early when a round leaves out nothing.
    pub rounds: u32,
    /// Every how many rows and columns a pixel is looked at; 0 counts as 1.
    pub stride: usize,
    /// Mask bits that disqualify a pixel.
    pub bad: i32,
}

impl Default for ClippedMeanOptions {
    /// 3 sigma and 3 rounds, LSST's `numSigmaClip` and `numIter`; every pixel; any mask bit counts as good.
    fn default() -> Self {
        Self { sigma: 3.0, rounds: 3, stride: 1, bad: 0 }
    }
}

/// Result of [`clipped_mean`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClippedMean {
    /// Mean of the values kept.
    pub mean: f64,
    /// Their standard deviation (division by n).
    pub deviation: f64,
    /// How many were kept.
    pub kept: usize,
    /// How many were finite and not bad.
    pub used: usize,
}

/// The mean of a plane without its outliers, as LSST's `MEANCLIP`: first about the median with a standard deviation of
/// 0.7413 times the interquartile range, then about the mean with the deviation of what was kept.
///
/// The inverse of the clipped mean of a variance plane is the weight of an input in a coadd: one number an image, since
/// weights by pixel would follow the flux of the objects and make the PSF depend on brightness.
///
/// `plane` and `mask` are `[y, x]`; values that are not finite are left out.
///
/// # Errors
/// [`CoaddError::NoUsablePixels`] when no value is left; [`CoaddError::Shape`] when the mask is of another shape.
///
/// ```
/// use bunter::coadd::{ClippedMeanOptions, clipped_mean};
/// use ndarray::Array2;
///
/// let mut variance = Array2::from_shape_fn((100, 100), |(y, x)| 49.0 + ((x + y) % 3) as f32);
/// variance[[3, 4]] = 1e9;
/// variance[[5, 5]] = f32::NAN;
/// let mask = Array2::zeros((100, 100));
/// let result = clipped_mean(variance.view(), mask.view(), &ClippedMeanOptions::default()).unwrap();
/// assert!((result.mean - 50.0).abs() < 0.01);
/// assert_eq!((result.used, result.kept), (9_999, 9_998));
/// ```
pub fn clipped_mean(
    plane: ArrayView2<'_, f32>,
    mask: ArrayView2<'_, i32>,
    options: &ClippedMeanOptions,
) -> Result<ClippedMean, CoaddError> {
    if plane.dim() != mask.dim() {
        let bbox = crate::wcs::PixelBox::from_shape(plane.dim());
        return Err(CoaddError::Shape { array: "mask", shape: mask.dim(), bbox });
    }
    let stride = options.stride.max(1);
    let mut values = Vec::with_capacity(plane.len() / (stride * stride) + 1);
    for (row, bits) in plane.axis_iter(Axis(0)).zip(mask.axis_iter(Axis(0))).step_by(stride) {
        let good = row.iter().zip(bits).step_by(stride).filter(|(v, m)| v.is_finite() && **m & options.bad == 0);
        values.extend(good.map(|(v, _)| *v));
    }
    let used = values.len();
    if used == 0 {
        let (height, width) = plane.dim();
        let what = format!("a plane of {width} by {height}: all are masked or not finite");
        return Err(CoaddError::NoUsablePixels { what });
    }
    let mut result = moments(&values, used);
    if options.rounds > 0 {
        let median = quantile(&mut values, 0.5);
        let quartiles = quantile(&mut values, 0.75) - quantile(&mut values, 0.25);
        // More than half of the values equal: the quartiles say nothing, the deviation does.
        let deviation = if quartiles > 0.0 { 0.741_301_1 * quartiles } else { result.deviation };
        let (mut centre, mut deviation) = (median, deviation);
        for _ in 0..options.rounds {
            let before = values.len();
            let reach = options.sigma * deviation;
            values.retain(|v| (f64::from(*v) - centre).abs() <= reach);
            result = moments(&values, used);
            if values.len() == before || values.is_empty() {
                break;
            }
            (centre, deviation) = (result.mean, result.deviation);
        }
        if values.is_empty() {
            // A sigma so small that nothing lies within: the median is what is left.
            result = ClippedMean { mean: median, deviation: 0.0, kept: 0, used };
        }
    }
    Ok(result)
}

fn moments(values: &[f32], used: usize) -> ClippedMean {
    let n = values.len().max(1) as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let square = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n;
    ClippedMean { mean, deviation: square.sqrt(), kept: values.len(), used }
}

/// A quantile by linear interpolation between order statistics (numpy's default). Reorders; 0 for no values.
pub(super) fn quantile(values: &mut [f32], fraction: f64) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let place = fraction * (values.len() - 1) as f64;
    let (index, part) = (place.floor() as usize, place.fract());
    let (_, low, above) = values.select_nth_unstable_by(index, f32::total_cmp);
    let low = f64::from(*low);
    if part > 0.0 {
        let high = above.iter().copied().fold(f32::INFINITY, f32::min);
        low + part * (f64::from(high) - low)
    } else {
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    #[test]
    fn quantiles_as_numpy() {
        let mut values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0];
        // numpy.percentile([3, 1, 4, 1, 5, 9, 2, 6], [0, 25, 50, 75, 100])
        for (fraction, expected) in [(0.0, 1.0), (0.25, 1.75), (0.5, 3.5), (0.75, 5.25), (1.0, 9.0)] {
            assert!((quantile(&mut values, fraction) - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn stars_do_not_move_the_sky() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut uniform = move || f64::from(rng.next_u32()) / 4_294_967_296.0;
        let gauss = |u: f64, v: f64| (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        let mut plane = Array2::from_shape_simple_fn((200, 300), || (100.0 + gauss(uniform(), uniform())) as f32);
        let mut mask = Array2::zeros((200, 300));
        for i in 0..600 {
            plane[[(i * 7) % 200, (i * 13) % 300]] = 1e4 + i as f32;
        }
        plane.row_mut(17).fill(f32::NAN);
        plane.row_mut(19).fill(50.0);
        mask.row_mut(19).fill(2);
        for stride in [1, 3] {
            let options = ClippedMeanOptions { stride, bad: 2, ..ClippedMeanOptions::default() };
            let result = clipped_mean(plane.view(), mask.view(), &options).unwrap();
            assert!((result.mean - 100.0).abs() < 0.05, "{result:?}");
            assert!((result.deviation - 0.98).abs() < 0.02, "{result:?}");
        }
    }

    #[test]
    fn hostile_planes() {
        let mask = Array2::zeros((4, 4));
        let options = ClippedMeanOptions::default();
        let constant = Array2::from_elem((4, 4), 7.0);
        let result = clipped_mean(constant.view(), mask.view(), &options).unwrap();
        assert_eq!((result.mean, result.deviation, result.kept), (7.0, 0.0, 16));
        let none = Array2::from_elem((4, 4), f32::NAN);
        assert!(matches!(clipped_mean(none.view(), mask.view(), &options), Err(CoaddError::NoUsablePixels { .. })));
        let other = Array2::zeros((4, 5));
        assert!(matches!(clipped_mean(constant.view(), other.view(), &options), Err(CoaddError::Shape { .. })));
        let empty = Array2::zeros((0, 0));
        let empty_mask = Array2::zeros((0, 0));
        assert!(clipped_mean(empty.view(), empty_mask.view(), &options).is_err());
    }
}
