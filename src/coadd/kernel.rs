//! [`Kernel`]: the weights that carry pixels from one grid to another.
//!
//! Kernels are separable: a two-dimensional weight is the product of a weight in x and one in y. The file holds their
//! exact form in f64, and the table of f32 weights that the warp reads. It leaves out which pixels the weights meet
//! (`warp`).

#![expect(clippy::inline_always, reason = "what runs in SIMD must be compiled with the caller's instruction set")]

use std::f64::consts::PI;
use std::sync::LazyLock;

use crate::coadd::lanes::Lanes;

/// Bits of a pixel's fraction: positions are rounded to 2^-20 of a pixel before weights are looked up.
pub(super) const FRACTION_BITS: u32 = 20;
/// Fraction units in a pixel.
pub(super) const FRACTION_ONE: f64 = (1_u32 << FRACTION_BITS) as f64;
/// Bits of the fraction that choose the node of the table.
const NODE_BITS: u32 = 6;
const NODES: usize = 1 << NODE_BITS;
const STEP_BITS: u32 = FRACTION_BITS - NODE_BITS;

/// An interpolation kernel.
///
/// The weights for every position are divided by their sum, so that a constant image stays constant, as LSST
/// (`afw::math::LanczosWarpingKernel`) and `SWarp` do.
///
/// ```
/// use bunter::coadd::Kernel;
///
/// let weights = Kernel::Lanczos3.weights(0.25);
/// assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-15);
/// assert_eq!(Kernel::Bilinear.weights(0.25), [0.0, 0.0, 0.75, 0.25, 0.0, 0.0]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kernel {
    /// `sinc(x) sinc(x/3)` for `|x| < 3`: 6 by 6 taps. The default of LSST and `SWarp`.
    #[default]
    Lanczos3,
    /// `1 - |x|` for `|x| < 1`: 2 by 2 taps. Smooths, and correlates the noise of neighbours more.
    Bilinear,
}

impl Kernel {
    /// Pixels that the kernel reaches to either side of a position: 3 or 1.
    pub const fn half_width(self) -> u32 {
        match self {
            Self::Lanczos3 => 3,
            Self::Bilinear => 1,
        }
    }

    /// The normalized weights, in f64, of the pixels at `floor(x) - 2 ..= floor(x) + 3` for a position whose fraction
    /// `x - floor(x)` is `fraction`, in `[0, 1]`. Pixels that the kernel does not reach weigh nothing.
    pub fn weights(self, fraction: f64) -> [f64; 6] {
        self.weights_and_slopes(fraction).0
    }

    /// Weights, and their derivatives by the fraction.
    fn weights_and_slopes(self, fraction: f64) -> ([f64; 6], [f64; 6]) {
        match self {
            Self::Bilinear => ([0.0, 0.0, 1.0 - fraction, fraction, 0.0, 0.0], [0.0, 0.0, -1.0, 1.0, 0.0, 0.0]),
            Self::Lanczos3 => {
                let distance: [f64; 6] = std::array::from_fn(|k| fraction - (k as f64 - 2.0));
                let raw = distance.map(lanczos3);
                let slope = distance.map(lanczos3_slope);
                let (sum, sum_slope) = (raw.iter().sum::<f64>(), slope.iter().sum::<f64>());
                let weights = raw.map(|w| w / sum);
                let slopes = std::array::from_fn(|k| (slope[k] - weights[k] * sum_slope) / sum);
                (weights, slopes)
            }
        }
    }

    /// The mean, over all sub-pixel positions, of the sum of the squared two-dimensional weights: the variance of a
    /// warped pixel in units of the variance of the pixels it was made of.
    ///
    /// Lanczos3: 0.7981 (0.8934 in each direction); bilinear: 4/9.
    pub fn mean_square_weight(self) -> f64 {
        // The midpoint rule converges fast enough on a smooth function of one pixel's period.
        const STEPS: u32 = 1024;
        let square = |i: u32| {
            let fraction = (f64::from(i) + 0.5) / f64::from(STEPS);
            self.weights(fraction).iter().map(|w| w * w).sum::<f64>()
        };
        let one_dimension = (0..STEPS).map(square).sum::<f64>() / f64::from(STEPS);
        one_dimension * one_dimension
    }

    /// How much larger the variance of a sum over many warped pixels is than the sum of their variances.
    ///
    /// Warping moves noise from the variance of pixels into the covariance of neighbours. A warped pixel is
    /// `y_p = r Σ_q w_pq x_q` with the area ratio `r` (input pixels in an output pixel) and has the variance
    /// `r² Σ w² V`, on the average `r² m V` with `m` = [`mean_square_weight`](Self::mean_square_weight). Summed over an
    /// aperture of area `A` much wider than the kernel, `Σ_p y_p = Σ_q (r Σ_p w_pq) x_q`, where the bracket is 1 inside
    /// the aperture, since an input pixel's weights in all output pixels add up to `1/r`. So the variance of the sum is
    /// that of the `r A` input pixels in the aperture, `r A V`, and its ratio to the sum `A r² m V` of the variance plane
    /// is `1 / (r m)`. Inputs of one area ratio, averaged with any weights, keep the factor.
    ///
    /// `area_ratio` is `r`; 1 when input and output pixels are of one size.
    pub fn noise_correlation(self, area_ratio: f64) -> f64 {
        1.0 / (area_ratio * self.mean_square_weight())
    }
}

/// `sin(πx) / (πx)`, exactly zero at whole numbers. By `libm`, so that tables are the same on every machine.
fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        1.0
    } else if x.fract() == 0.0 {
        0.0
    } else {
        libm::sin(PI * x) / (PI * x)
    }
}

fn sinc_slope(x: f64) -> f64 {
    if x.abs() < 1e-4 { -PI * PI * x / 3.0 } else { (libm::cos(PI * x) - sinc(x)) / x }
}

fn lanczos3(x: f64) -> f64 {
    if x.abs() < 3.0 { sinc(x) * sinc(x / 3.0) } else { 0.0 }
}

fn lanczos3_slope(x: f64) -> f64 {
    if x.abs() < 3.0 { sinc_slope(x) * sinc(x / 3.0) + sinc(x) * sinc_slope(x / 3.0) / 3.0 } else { 0.0 }
}

/// Coefficients of a cubic in each of eight lanes; the last two lanes are zero.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Node([[f32; 8]; 4]);

/// The weights of Lanczos3 in f32: a cubic through values and slopes at 64 nodes a pixel, 8 KiB in all.
///
/// Interpolation is good to 6e-9 of the kernel's peak, far below the rounding of f32: with it weights are within 2e-7 of
/// exact. (A table without interpolation would need 3 million entries for that.)
pub(super) struct LanczosTable([Node; NODES]);

impl LanczosTable {
    pub(super) fn get() -> &'static Self {
        static TABLE: LazyLock<LanczosTable> = LazyLock::new(LanczosTable::new);
        &TABLE
    }

    fn new() -> Self {
        let step = 1.0 / NODES as f64;
        let at = |node: usize| Kernel::Lanczos3.weights_and_slopes(node as f64 * step);
        Self(std::array::from_fn(|node| {
            let ((p, m), (q, n)) = (at(node), at(node + 1));
            let mut c = [[0.0_f32; 8]; 4];
            for k in 0..6 {
                let (p, q, m, n) = (p[k], q[k], m[k] * step, n[k] * step);
                c[0][k] = p as f32;
                c[1][k] = m as f32;
                c[2][k] = (3.0 * (q - p) - 2.0 * m - n) as f32;
                c[3][k] = (2.0 * (p - q) + m + n) as f32;
            }
            Node(c)
        }))
    }
}

/// The weights of `L` pixels for a fraction in units of 2^-20 pixel.
pub(super) trait Weigh<const L: usize> {
    fn weights<A: Lanes<L>>(&self, arithmetic: A, fraction: u32) -> A::Vector;
}

/// Of the pixels at `floor(x) - 2 ..= floor(x) + 3`, then two zeros.
impl Weigh<8> for LanczosTable {
    #[inline(always)]
    fn weights<A: Lanes<8>>(&self, a: A, fraction: u32) -> A::Vector {
        let Node([c0, c1, c2, c3]) = &self.0[(fraction >> STEP_BITS) as usize % NODES];
        let t = a.splat((fraction & ((1 << STEP_BITS) - 1)) as i32 as f32 * (1.0 / (1 << STEP_BITS) as f32));
        a.mul_add(a.mul_add(a.mul_add(a.load(c3), t, a.load(c2)), t, a.load(c1)), t, a.load(c0))
    }
}

pub(super) struct BilinearWeights;

/// Of the pixels at `floor(x)` and `floor(x) + 1`.
impl Weigh<2> for BilinearWeights {
    #[inline(always)]
    fn weights<A: Lanes<2>>(&self, a: A, fraction: u32) -> A::Vector {
        let f = fraction as i32 as f32 * (1.0 / FRACTION_ONE as f32);
        a.load(&[1.0 - f, f])
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exact results are meant")]
mod tests {
    use super::*;
    use crate::coadd::lanes::Arrays;

    /// Straight from the definition, by another route than the table's.
    fn lanczos_by_definition(x: f64) -> f64 {
        if x == 0.0 {
            1.0
        } else if x.abs() >= 3.0 {
            0.0
        } else {
            3.0 * (PI * x).sin() * (PI * x / 3.0).sin() / (PI * PI * x * x)
        }
    }

    #[test]
    fn weights_are_the_normalized_lanczos_function() {
        for i in 0..=1000 {
            let f = f64::from(i) / 1000.0;
            let raw: [f64; 6] = std::array::from_fn(|k| lanczos_by_definition(f + 2.0 - k as f64));
            let sum: f64 = raw.iter().sum();
            for (w, r) in Kernel::Lanczos3.weights(f).iter().zip(raw) {
                assert!((w - r / sum).abs() < 1e-14, "fraction {f}: {w} against {}", r / sum);
            }
        }
    }

    #[test]
    fn table_is_exact_to_f32() {
        let table = LanczosTable::get();
        let (mut worst, mut worst_sum) = (0.0_f64, 0.0_f64);
        for fraction in (0..1 << FRACTION_BITS).step_by(97) {
            let exact = Kernel::Lanczos3.weights(f64::from(fraction) / FRACTION_ONE);
            let got = table.weights(Arrays, fraction);
            assert_eq!(got[6..], [0.0, 0.0]);
            for k in 0..6 {
                worst = worst.max((f64::from(got[k]) - exact[k]).abs());
            }
            worst_sum = worst_sum.max((got.iter().map(|w| f64::from(*w)).sum::<f64>() - 1.0).abs());
        }
        assert!(worst < 2e-7, "weights off by {worst:e}");
        assert!(worst_sum < 3e-7, "sum off by {worst_sum:e}");
    }

    #[test]
    fn a_whole_position_is_a_copy() {
        assert_eq!(LanczosTable::get().weights(Arrays, 0), [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(Kernel::Lanczos3.weights(1.0), [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
        assert_eq!(BilinearWeights.weights(Arrays, 0), [1.0, 0.0]);
    }

    #[test]
    fn mean_squares() {
        assert!((Kernel::Bilinear.mean_square_weight() - 4.0 / 9.0).abs() < 1e-6);
        let lanczos = Kernel::Lanczos3.mean_square_weight();
        assert!((lanczos - 0.798_110).abs() < 1e-6, "{lanczos}");
        assert!((Kernel::Bilinear.noise_correlation(2.0) - 9.0 / 8.0).abs() < 1e-5);
    }

    /// However bad pixels lie outside of the bilinear footprint, the weights left never sum to less than this: the
    /// worst case drops every pixel of positive weight outside of the footprint. So dividing by the sum is safe.
    #[test]
    fn dropped_taps_leave_a_large_sum() {
        let mut worst = f64::INFINITY;
        for i in 0..=100 {
            for j in 0..=100 {
                let (fx, fy) = (f64::from(i) / 100.0, f64::from(j) / 100.0);
                let (wx, wy) = (Kernel::Lanczos3.weights(fx), Kernel::Lanczos3.weights(fy));
                let mut sum = 0.0;
                for (row, wy) in wy.iter().enumerate() {
                    for (column, wx) in wx.iter().enumerate() {
                        let footprint = (2..4).contains(&row) && (2..4).contains(&column);
                        let w = wx * wy;
                        sum += if footprint { w } else { w.min(0.0) };
                    }
                }
                worst = worst.min(sum);
            }
        }
        assert!(worst > 0.7, "{worst}");
    }
}
