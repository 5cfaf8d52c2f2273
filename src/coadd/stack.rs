//! Stacking: the warped strips of all inputs into one.
//!
//! Inputs enter in the order in which the caller gives them, and sums are f64: the result is the same whatever ran in
//! parallel. What the bits of the result mean is told at [`CoaddPlanes`].

use ndarray::ArrayView2;

use crate::coadd::combine::{Sample, clip, median};
use crate::coadd::planes::StackBits;
use crate::coadd::strip::view;
use crate::coadd::{CoaddError, CoaddPlanes, Strip};
use crate::wcs::PixelBox;

/// How the inputs' values of a pixel become one.
///
/// ```
/// use bunter::coadd::Statistic;
///
/// assert_eq!(Statistic::default(), Statistic::WeightedMean);
/// assert!(!Statistic::Median.is_streaming());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Statistic {
    /// `Σ w I / Σ w`, variance `Σ w² V / (Σ w)²`. The only one whose PSF is the same for faint and bright objects, and
    /// the only one that needs no more memory for more inputs.
    #[default]
    WeightedMean,
    /// The weighted mean of the inputs that agree. Input `i` is left out when
    ///
    /// ```text
    /// |I_i - c| > sigma sqrt(V_i) + amplitude |c|
    /// ```
    ///
    /// with the centre `c` the median at first, then the weighted mean of what is left, `rounds` times or until nothing
    /// changes. After Gruen, Seitz & Bernstein 2014 (PASP 126, 158; `SWarp`'s `COMBINE_TYPE CLIPPED`). The spread is that of the
    /// variance plane, which holds for two inputs as for hundreds, where the scatter of a few values says little. The
    /// second term lets stellar profiles differ: without it the cores of stars would be clipped in good seeing. With
    /// fewer than three inputs nothing is clipped, for nothing tells which one is wrong.
    ClippedMean {
        /// Standard deviations of one input; 3 by default.
        sigma: f64,
        /// Rounds of clipping; 2 by default.
        rounds: u32,
        /// Relative difference allowed between profiles; 0.3 by default, `SWarp`'s `CLIP_AMPFRAC`.
        amplitude: f64,
    },
    /// The median, without weights. Its variance is the mean of the inputs' variances over n, times the exact factor for
    /// the median of n Gaussian values of one width (1 for n = 2, 1.346 for 3, π/2 for many); inputs of unlike variance
    /// make it an estimate.
    Median,
}

impl Statistic {
    /// The clipped mean with its default options: 3 sigma, 2 rounds, amplitude 0.3.
    pub const CLIPPED_MEAN: Self = Self::ClippedMean { sigma: 3.0, rounds: 2, amplitude: 0.3 };

    /// Whether inputs can be [added](Stack::add) one at a time, without keeping them.
    pub const fn is_streaming(self) -> bool {
        matches!(self, Self::WeightedMean)
    }
}

/// Share of the weight that must have been rejected with `SAT` for the coadd to be `SAT`: LSST's
/// `maskPropagationThresholds`.
const SATURATED_SHARE: f64 = 0.1;

/// Sums over the inputs of a box of the output grid: 40 bytes a pixel however many inputs come.
#[derive(Clone, Debug)]
pub struct Stack {
    bbox: PixelBox,
    bits: StackBits,
    value: Vec<f64>,
    square: Vec<f64>,
    weight: Vec<f64>,
    /// Weight of the inputs left out for `SAT`, and for whatever there is data for.
    saturated: Vec<f32>,
    rejected: Vec<f32>,
    count: Vec<u32>,
    mask: Vec<i32>,
}

/// The coadd of a strip.
#[derive(Clone, Debug, Default)]
pub struct StackedStrip {
    bbox: PixelBox,
    image: Vec<f32>,
    variance: Vec<f32>,
    mask: Vec<i32>,
    n_image: Vec<u32>,
    weight: Vec<f32>,
}

impl Stack {
    /// An empty stack over `bbox`.
    pub fn new(bbox: PixelBox, planes: &CoaddPlanes) -> Self {
        let mut stack = Self {
            bbox,
            bits: planes.bits(),
            value: Vec::new(),
            square: Vec::new(),
            weight: Vec::new(),
            saturated: Vec::new(),
            rejected: Vec::new(),
            count: Vec::new(),
            mask: Vec::new(),
        };
        stack.reset(bbox);
        stack
    }

    /// Empties the stack for another box, keeping its memory.
    pub fn reset(&mut self, bbox: PixelBox) {
        let (height, width) = bbox.shape();
        let length = height * width;
        self.bbox = bbox;
        for sums in [&mut self.value, &mut self.square, &mut self.weight] {
            sums.clear();
            sums.resize(length, 0.0);
        }
        for sums in [&mut self.saturated, &mut self.rejected] {
            sums.clear();
            sums.resize(length, 0.0);
        }
        self.count.clear();
        self.count.resize(length, 0);
        self.mask.clear();
        self.mask.resize(length, 0);
    }

    /// Adds an input to the weighted mean. `weight` is usually the inverse of the
    /// [clipped mean](crate::coadd::clipped_mean) of its variance plane, in units of the common zero point. The strip may
    /// cover a part of the stack's box: the rest is left as if the strip had no data there.
    ///
    /// # Errors
    /// [`CoaddError::BoxMismatch`] for a strip that is not inside of the stack's box; [`CoaddError::NotPositive`] for the
    /// weight.
    pub fn add(&mut self, strip: &Strip, weight: f64) -> Result<(), CoaddError> {
        check_weight(weight)?;
        if !self.bbox.contains_box(strip.bbox) {
            return Err(CoaddError::BoxMismatch { expected: self.bbox, found: strip.bbox });
        }
        let (height, width) = strip.bbox.shape();
        if height * width == 0 {
            return Ok(());
        }
        let pitch = self.bbox.width as usize;
        let first = (strip.bbox.y0 - self.bbox.y0) as usize * pitch + (strip.bbox.x0 - self.bbox.x0) as usize;
        pulp::Arch::new().dispatch(|| self.add_values(strip, weight, first, pitch));
        for (row, bits) in strip.mask.chunks_exact(width).enumerate() {
            for (column, bits) in bits.iter().enumerate() {
                if *bits != 0 {
                    let left_out = strip.image[row * width + column].is_nan();
                    self.mark(first + row * pitch + column, left_out, *bits, weight);
                }
            }
        }
        Ok(())
    }

    /// The part of every pixel, by vectors; a pixel without a value adds zeros.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "must be compiled with the caller's instruction set")]
    fn add_values(&mut self, strip: &Strip, weight: f64, first: usize, pitch: usize) {
        let width = strip.bbox.width as usize;
        // The float of these bits if `good`: a select of f64 would become a store under a mask.
        let keep =
            |value: f32, good: bool| f64::from(f32::from_bits(value.to_bits() & 0_u32.wrapping_sub(good.into())));
        let rows = strip.image.chunks_exact(width).zip(strip.variance.chunks_exact(width));
        for (row, (image, variance)) in rows.enumerate() {
            let at = first + row * pitch..first + row * pitch + width;
            let sums = self.value[at.clone()].iter_mut().zip(&mut self.square[at.clone()]);
            let sums = sums.zip(&mut self.weight[at.clone()]).zip(&mut self.count[at]);
            for ((((value, square), total), count), (image, variance)) in sums.zip(image.iter().zip(variance)) {
                let good = !image.is_nan();
                *value += weight * keep(*image, good);
                *square += weight * weight * keep(*variance, good);
                *total += weight * keep(1.0, good);
                *count += u32::from(good);
            }
        }
    }

    /// Bits of an input's pixel, left out or not.
    fn mark(&mut self, pixel: usize, left_out: bool, input: i32, weight: f64) {
        let bits = self.bits;
        let mut set = if input & bits.edge != 0 { bits.sensor_edge } else { 0 };
        if left_out {
            // NO_DATA alone: the detector does not reach here.
            if input & bits.bad != 0 {
                set |= bits.rejected;
                self.rejected[pixel] += weight as f32;
                if input & bits.saturated != 0 {
                    self.saturated[pixel] += weight as f32;
                }
            }
        } else {
            set |= input & !bits.edge;
        }
        self.mask[pixel] |= set;
    }

    /// Writes the coadd of what was added.
    pub fn finish(&self, out: &mut StackedStrip) {
        out.reset(self.bbox);
        for pixel in 0..self.value.len() {
            let total = self.weight[pixel];
            out.image[pixel] = (self.value[pixel] / total) as f32;
            out.variance[pixel] = (self.square[pixel] / (total * total)) as f32;
            out.weight[pixel] = total as f32;
            out.n_image[pixel] = self.count[pixel];
            out.mask[pixel] = self.final_bits(pixel);
        }
    }

    /// A pixel's mask, once all inputs are in.
    fn final_bits(&self, pixel: usize) -> i32 {
        let bits = self.bits;
        let mut mask = self.mask[pixel];
        let possible = self.weight[pixel] + f64::from(self.rejected[pixel]);
        if f64::from(self.saturated[pixel]) > SATURATED_SHARE * possible {
            mask |= bits.saturated;
        }
        if self.count[pixel] == 0 {
            mask |= bits.no_data;
        }
        if mask & (bits.rejected | bits.clipped | bits.sensor_edge) != 0 {
            mask |= bits.inexact_psf;
        }
        mask
    }

    /// Combines all inputs of a strip at once, by any statistic; the stack is emptied before.
    ///
    /// For [`Statistic::WeightedMean`] the same as adding them one by one and [finishing](Self::finish).
    ///
    /// # Errors
    /// [`CoaddError::WeightCount`], and for any input what [`add`](Self::add) gives.
    pub fn combine(
        &mut self,
        statistic: Statistic,
        strips: &[&Strip],
        weights: &[f64],
        out: &mut StackedStrip,
    ) -> Result<(), CoaddError> {
        if strips.len() != weights.len() {
            return Err(CoaddError::WeightCount { strips: strips.len(), weights: weights.len() });
        }
        for (strip, weight) in strips.iter().zip(weights) {
            check(self.bbox, strip, *weight)?;
        }
        self.reset(self.bbox);
        if statistic.is_streaming() {
            for (strip, weight) in strips.iter().zip(weights) {
                self.add(strip, *weight)?;
            }
            self.finish(out);
            return Ok(());
        }
        out.reset(self.bbox);
        let mut samples: Vec<Sample> = Vec::with_capacity(strips.len());
        let mut sorted = Vec::with_capacity(strips.len());
        for pixel in 0..self.value.len() {
            samples.clear();
            for (input, (strip, weight)) in strips.iter().zip(weights).enumerate() {
                let (value, variance) = (f64::from(strip.image[pixel]), f64::from(strip.variance[pixel]));
                if value.is_nan() {
                    self.mark(pixel, true, strip.mask[pixel], *weight);
                } else {
                    samples.push(Sample { value, variance, weight: *weight, input });
                }
            }
            let (value, variance) = match statistic {
                Statistic::ClippedMean { sigma, rounds, amplitude } => {
                    let before = samples.len();
                    let mean = clip(&mut samples, &mut sorted, sigma, rounds, amplitude);
                    if samples.len() < before {
                        self.mask[pixel] |= self.bits.clipped;
                    }
                    mean
                }
                Statistic::Median | Statistic::WeightedMean => median(&samples, &mut sorted),
            };
            for sample in &samples {
                self.mark(pixel, false, strips[sample.input].mask[pixel], sample.weight);
                self.weight[pixel] += sample.weight;
                self.count[pixel] += 1;
            }
            out.image[pixel] = value as f32;
            out.variance[pixel] = variance as f32;
            out.weight[pixel] = self.weight[pixel] as f32;
            out.n_image[pixel] = self.count[pixel];
            out.mask[pixel] = self.final_bits(pixel);
        }
        Ok(())
    }
}

fn check(bbox: PixelBox, strip: &Strip, weight: f64) -> Result<(), CoaddError> {
    if strip.bbox != bbox {
        return Err(CoaddError::BoxMismatch { expected: bbox, found: strip.bbox });
    }
    check_weight(weight)
}

fn check_weight(weight: f64) -> Result<(), CoaddError> {
    if !(weight > 0.0 && weight.is_finite()) {
        return Err(CoaddError::NotPositive { what: "weight of an input", value: weight });
    }
    Ok(())
}

impl StackedStrip {
    fn reset(&mut self, bbox: PixelBox) {
        let (height, width) = bbox.shape();
        let length = height * width;
        self.bbox = bbox;
        self.image.resize(length, f32::NAN);
        self.variance.resize(length, f32::NAN);
        self.mask.resize(length, 0);
        self.n_image.resize(length, 0);
        self.weight.resize(length, 0.0);
    }

    /// The output pixels covered.
    pub fn bbox(&self) -> PixelBox {
        self.bbox
    }

    /// The coadd `[y, x]`, counts; NaN where no input contributes.
    pub fn image(&self) -> ArrayView2<'_, f32> {
        view(self.bbox, &self.image)
    }

    /// Its variance `[y, x]`, without the covariance of neighbours; NaN where no input contributes.
    pub fn variance(&self) -> ArrayView2<'_, f32> {
        view(self.bbox, &self.variance)
    }

    /// Mask bits `[y, x]`, see [`CoaddPlanes`].
    pub fn mask(&self) -> ArrayView2<'_, i32> {
        view(self.bbox, &self.mask)
    }

    /// Number of inputs that contribute to each pixel `[y, x]`, LSST's `nImage`.
    pub fn n_image(&self) -> ArrayView2<'_, u32> {
        view(self.bbox, &self.n_image)
    }

    /// Sum of their weights `[y, x]`; 0 where there are none.
    pub fn weight(&self) -> ArrayView2<'_, f32> {
        view(self.bbox, &self.weight)
    }
}
