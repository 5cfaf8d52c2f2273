//! [`StarCheck`]: are the known stars on the coadd where they should be, and as bright?

use ndarray::{ArrayView2, s};

use super::{CoaddError, aperture_flux, windowed_centroid};

/// A star of known position and flux.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KnownStar {
    /// Position in columns and rows of the coadd's arrays.
    pub x: f64,
    /// See `x`.
    pub y: f64,
    /// Flux in the coadd's counts.
    pub flux: f64,
}

/// What a star's aperture must be like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StarAperture {
    /// Radius, pixels.
    pub radius: f64,
    /// Width of the centroid's window (FWHM), pixels.
    pub fwhm: f64,
    /// Variance of large sums over the sum of variances:
    /// [`Kernel::noise_correlation`](super::Kernel::noise_correlation).
    pub noise_correlation: f64,
    /// Mask bits that disqualify a star when any pixel of its aperture has one.
    pub bad: i32,
}

/// Sums over the stars that could be measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StarCheck {
    ratios: Vec<(f64, f64)>,
    pulls: Vec<f64>,
    offsets: Vec<f64>,
    /// Stars left out: no data or a bad pixel in the aperture.
    pub skipped: usize,
}

/// Stars fainter than this many times their error say nothing of a centroid.
const LEAST_FOR_CENTROID: f64 = 100.0;

impl StarCheck {
    /// Measures a star.
    ///
    /// # Errors
    /// [`CoaddError::Shape`] for planes of different shapes. A star that cannot be measured is counted as skipped.
    pub fn add(
        &mut self,
        image: ArrayView2<'_, f32>,
        variance: ArrayView2<'_, f32>,
        mask: ArrayView2<'_, i32>,
        star: KnownStar,
        aperture: StarAperture,
    ) -> Result<(), CoaddError> {
        let StarAperture { radius, fwhm, noise_correlation, bad } = aperture;
        let (rows, columns) = image.dim();
        let range = |centre: f64, n: usize| {
            let (low, high) = ((centre - radius - 1.0).floor(), (centre + radius + 1.0).ceil());
            (low >= 0.0 && high < n as f64).then(|| low as usize..high as usize + 1)
        };
        let (Some(ys), Some(xs)) = (range(star.y, rows), range(star.x, columns)) else {
            self.skipped += 1;
            return Ok(());
        };
        if mask.slice(s![ys, xs]).iter().any(|bits| bits & bad != 0) {
            self.skipped += 1;
            return Ok(());
        }
        let measured = match aperture_flux(image, variance, star.x, star.y, radius, noise_correlation) {
            Ok(measured) if measured.missing_area < 1e-6 * measured.area => measured,
            Ok(_) | Err(CoaddError::NoUsablePixels { .. }) => {
                self.skipped += 1;
                return Ok(());
            }
            Err(other) => return Err(other),
        };
        self.ratios.push((measured.flux / star.flux, star.flux / measured.flux_err));
        self.pulls.push((measured.flux - star.flux) / measured.flux_err);
        if star.flux > LEAST_FOR_CENTROID * measured.flux_err
            && let Ok(centroid) = windowed_centroid(image, star.x, star.y, fwhm)
        {
            self.offsets.push((centroid.x - star.x).hypot(centroid.y - star.y));
        }
        Ok(())
    }

    /// Stars that were measured.
    pub fn stars(&self) -> usize {
        self.ratios.len()
    }

    /// Mean of measured over true flux, weighted by the inverse variance of the ratio, and its error. NaN without stars.
    pub fn flux_ratio(&self) -> (f64, f64) {
        let weight = |signal_to_noise: f64| signal_to_noise * signal_to_noise;
        let total: f64 = self.ratios.iter().map(|(_, sn)| weight(*sn)).sum();
        let mean = self.ratios.iter().map(|(ratio, sn)| ratio * weight(*sn)).sum::<f64>() / total;
        (mean, 1.0 / total.sqrt())
    }

    /// Standard deviation of (flux - truth) / error: 1 when the errors are right. NaN without stars.
    pub fn scatter(&self) -> f64 {
        let n = self.pulls.len() as f64;
        let mean = self.pulls.iter().sum::<f64>() / n;
        (self.pulls.iter().map(|p| (p - mean) * (p - mean)).sum::<f64>() / n).sqrt()
    }

    /// Median distance of centroid and true position of the stars brighter than 100 sigma, pixels, and how many they are.
    pub fn centroid_offset(&self) -> (f64, usize) {
        let mut sorted = self.offsets.clone();
        sorted.sort_by(f64::total_cmp);
        (sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN), sorted.len())
    }

    /// Takes in what another one has measured.
    pub fn merge(&mut self, other: Self) {
        self.ratios.extend(other.ratios);
        self.pulls.extend(other.pulls);
        self.offsets.extend(other.offsets);
        self.skipped += other.skipped;
    }
}
