//! [`ObservationInfo`]: what a file's headers say about one exposure.

use ndarray::ArrayView2;

use super::CameraError;
use crate::dataset::{FitsLayout, FitsVariance};
use crate::dimension::DataId;
use crate::wcs::{Header, Wcs};

/// What the headers of a file say about one exposure in it: who it is, when and how it was taken, where it lies, and how its
/// pixels are read.
#[derive(Clone, Debug)]
pub struct ObservationInfo {
    /// Name of the instrument.
    pub instrument: String,
    /// The translator that made this.
    pub translator: String,
    /// Number of the visit.
    pub visit: i64,
    /// Number of the detector.
    pub detector: i64,
    /// The physical filter.
    pub physical_filter: String,
    /// Its band.
    pub band: String,
    /// Begin of the exposure, modified Julian date, TAI.
    pub mjd_begin: Option<f64>,
    /// Seconds.
    pub exposure_time: Option<f64>,
    /// Full width at half maximum of the point spread function, arcsec.
    pub seeing: Option<f64>,
    /// Magnitude of one count of the image as stored.
    pub zero_point: f64,
    /// From pixels to the sky.
    pub wcs: Wcs,
    /// `(rows, columns)` of the image.
    pub shape: (usize, usize),
    /// How the file's planes make an exposure. Not to be stored while [`needs_pixels`](Self::needs_pixels).
    pub layout: FitsLayout,
    /// What is still to be measured from the pixels.
    pub to_measure: ToMeasure,
    /// Further records that the translator was told to keep.
    pub metadata: Header,
    /// Defaults that were used where headers are silent; to be shown to whoever ingests.
    pub warnings: Vec<String>,
}

/// What a layout lacks until the pixels have been seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToMeasure {
    /// The background: the median of the finite pixels.
    pub background: bool,
    /// The variance of the empty sky: (1.4826 times the median absolute deviation from the median) squared.
    pub sky_variance: bool,
}

impl ObservationInfo {
    /// Instrument, visit and detector.
    pub fn data_id(&self) -> DataId {
        DataId::new()
            .with("instrument", self.instrument.as_str())
            .with("visit", self.visit)
            .with("detector", self.detector)
    }

    /// Whether [`measure`](Self::measure) must be called before the layout is whole.
    pub fn needs_pixels(&self) -> bool {
        self.to_measure != ToMeasure::default()
    }

    /// Measures what is to be measured from the pixels `[y, x]` of the image, in counts as stored, and completes the layout.
    ///
    /// # Errors
    /// [`CameraError::NoPixels`] when no pixel is finite.
    pub fn measure(&mut self, file: &str, pixels: &ArrayView2<'_, f32>) -> Result<(), CameraError> {
        if !self.needs_pixels() {
            return Ok(());
        }
        let mut values: Vec<f32> = pixels.iter().copied().filter(|v| v.is_finite()).collect();
        let Some(middle) = median(&mut values) else {
            return Err(CameraError::NoPixels { file: file.to_owned() });
        };
        if self.to_measure.background {
            self.layout.background = middle;
        }
        if self.to_measure.sky_variance
            && let FitsVariance::SkyAndGain { sky_variance, .. } = &mut self.layout.variance
        {
            for v in &mut values {
                *v = (f64::from(*v) - middle).abs() as f32;
            }
            let sigma = 1.4826 * median(&mut values).unwrap_or_default();
            *sky_variance = sigma * sigma;
            if sigma == 0.0 {
                self.warnings
                    .push("more than half of the pixels are equal: the sky variance was measured as 0".to_owned());
            }
        }
        self.to_measure = ToMeasure::default();
        Ok(())
    }
}

/// The median; of an even number the mean of the middle two. Reorders the values.
fn median(values: &mut [f32]) -> Option<f64> {
    let half = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let even = values.len().is_multiple_of(2);
    let (below, upper, _) = values.select_nth_unstable_by(half, f32::total_cmp);
    let upper = f64::from(*upper);
    match below.iter().copied().max_by(f32::total_cmp) {
        Some(lower) if even => Some(0.5 * (f64::from(lower) + upper)),
        _ => Some(upper),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [3.0]), Some(3.0));
        assert_eq!(median(&mut [4.0, 1.0]), Some(2.5));
        assert_eq!(median(&mut [9.0, -1.0, 5.0, 7.0, 5.5]), Some(5.5));
    }
}
