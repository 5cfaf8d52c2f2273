//! Warping: the pixels of one input, interpolated onto a strip of the output grid.
//!
//! # What a warped pixel is
//!
//! An output pixel whose centre falls at `(x, y)` of the input has
//!
//! ```text
//! value    = s Σ w I / Σ w          w = w(x - column) w(y - row), the weights of the kernel
//! variance = s² Σ w² V / (Σ w)²     s = flux scale * area ratio
//! ```
//!
//! over the usable pixels in the kernel's reach (6 by 6 for Lanczos3). The area ratio (input pixels in an output pixel)
//! keeps counts counts, not surface brightness, as LSST's `relativeArea` does.
//!
//! * A pixel is **unusable** when it has a bad mask bit, its image is not finite, or its variance is not finite and
//!   positive. The last two are treated as `BAD`.
//! * An output pixel is **`NO_DATA`** (image and variance NaN) when a pixel of its **bilinear footprint** is unusable or
//!   outside of the detector: the up to 2 by 2 pixels around `(x, y)`, those with a bilinear weight other than zero.
//! * Beyond the footprint an unusable pixel, or one outside of the detector, is **dropped** and the other weights are
//!   divided by their sum. That sum is never under 0.7 (the worst case is in the tests of `kernel`), so there is no
//!   threshold to choose.
//! * The **mask** is the union over the bilinear footprint, in the coadd's bits, and `EDGE` where the kernel's 6 by 6
//!   window is cut off by the edge of the detector. A position off the detector (or none) has `NO_DATA` alone.
//!
//! # Against LSST
//!
//! `WarperConfig` has `warpingKernelName = lanczos3`, `maskWarpingKernelName = bilinear`, `growFullMask = EDGE`: image and
//! variance by the wide kernel, mask bits by the narrow one "to avoid smearing mask bits too far", which is right since bad
//! pixels have been interpolated over beforehand. The footprint rule is the same here. The difference: LSST lets the
//! interpolated values of bad pixels into the side lobes, here they never enter, whatever they are (they need not have
//! been interpolated), and LSST has no data within 3 pixels of a detector's edge, here it is 0.
//!
//! # Numbers
//!
//! Positions are rounded to 2^-20 pixel. Weights and sums are f32 with fused multiply-add, always in the same order
//! (rows first, then lanes by a fixed tree) whatever the machine's vector length, so a warped pixel is the same to the last
//! bit on every machine, for every cut of the output into strips, and for every box of input pixels that holds what the
//! kernel needs. Machines without the instruction (older than 2013) compute the same slowly.

#![expect(clippy::needless_bitwise_bool, reason = "comparisons without branches become vectors")]
#![expect(clippy::inline_always, reason = "what runs in SIMD must be compiled with the caller's instruction set")]

use crate::coadd::kernel::{BilinearWeights, FRACTION_ONE, LanczosTable, Weigh};
use crate::coadd::lanes::{Arrays, Lanes};
use crate::coadd::source::{MARKED, UNUSABLE};
use crate::coadd::strip::{Place, RowScratch};
use crate::coadd::{CoaddError, Kernel, Strip, WarpInput};

/// Positions of output pixels in the input image.
///
/// The contract: the position of a pixel is a function of `(x, y)` alone, the same to the last bit whatever run of
/// pixels is asked for.
pub trait PixelMapping {
    /// Positions of the output pixels `(x0, y), (x0 + 1, y), …` in the zero-based pixel coordinates of the input's
    /// detector, integer = centre. NaN: no position. Both slices have the length of the run.
    fn row(&self, y: i32, x0: i32, xs: &mut [f64], ys: &mut [f64]);

    /// Area of each of these output pixels, in input pixels: `|∂(x_in, y_in) / ∂(x_out, y_out)|`.
    fn area_ratio_row(&self, y: i32, x0: i32, out: &mut [f64]);
}

/// What came of one warp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WarpCounts {
    /// Output pixels with a value.
    pub with_data: u64,
    /// Of these, pixels for which some input pixels in the kernel's reach were dropped.
    pub with_dropped: u64,
}

impl WarpInput<'_> {
    /// Interpolates the input onto the box of `strip`, replacing all its pixels.
    ///
    /// `flux_scale` multiplies the input's counts to bring them to the common zero point:
    /// `10^(0.4 (zero_point_out - zero_point_in))`. No memory is allocated.
    ///
    /// # Errors
    /// [`CoaddError::MissingPixels`] when the kernel needs a pixel that is on the detector but was not passed;
    /// [`CoaddError::NotPositive`] for a flux scale that is not finite and positive. The strip's pixels then have no
    /// meaning.
    pub fn warp(
        &self,
        mapping: &impl PixelMapping,
        flux_scale: f64,
        strip: &mut Strip,
    ) -> Result<WarpCounts, CoaddError> {
        if !(flux_scale > 0.0 && flux_scale.is_finite()) {
            return Err(CoaddError::NotPositive { what: "flux scale", value: flux_scale });
        }
        let Strip { bbox, image, variance, mask, rows } = strip;
        let width = bbox.width as usize;
        let mut counts = WarpCounts::default();
        if bbox.is_empty() {
            return Ok(counts);
        }
        let lines =
            image.chunks_exact_mut(width).zip(variance.chunks_exact_mut(width)).zip(mask.chunks_exact_mut(width));
        for (y, ((image, variance), mask)) in (bbox.y0..).zip(lines) {
            mapping.row(y, bbox.x0, &mut rows.x, &mut rows.y);
            mapping.area_ratio_row(y, bbox.x0, &mut rows.area_ratio);
            let out = Line { image, variance, mask };
            let done =
                WarpLine { arithmetic: Arrays, input: self, rows, out, flux_scale, counts: &mut counts }.dispatch();
            done.map_err(|MissingAt(i)| CoaddError::MissingPixels {
                x: bbox.x0.saturating_add(i as i32),
                y,
                input_x: rows.x[i],
                input_y: rows.y[i],
                bbox: self.bbox,
            })?;
        }
        Ok(counts)
    }

    /// Finds the reference pixel and fraction of each position of a row.
    #[inline(always)]
    fn place(&self, rows: &mut RowScratch, flux_scale: f64) {
        let (x0, y0) = (f64::from(self.bbox.x0), f64::from(self.bbox.y0));
        let (width, height) = (f64::from(self.bbox.width), f64::from(self.bbox.height));
        let n = rows.x.len();
        let (x, y, area_ratio) = (&rows.x[..n], &rows.y[..n], &rows.area_ratio[..n]);
        let (columns, lines) = (&mut rows.column[..n], &mut rows.row[..n]);
        let (fractions_x, fractions_y) = (&mut rows.fraction_x[..n], &mut rows.fraction_y[..n]);
        let scale = &mut rows.scale[..n];
        for i in 0..n {
            let (whole_x, fraction_x) = split(x[i]);
            let (whole_y, fraction_y) = split(y[i]);
            let (column, row) = (whole_x - x0, whole_y - y0);
            // All false for NaN.
            let held = (column >= 0.0) & (column < width) & (row >= 0.0) & (row < height) & (area_ratio[i] > 0.0);
            columns[i] = if held { column } else { -1.0 } as i32;
            lines[i] = if held { row } else { -1.0 } as i32;
            fractions_x[i] = fraction_x as i32;
            fractions_y[i] = fraction_y as i32;
            scale[i] = (flux_scale * area_ratio[i]) as f32;
        }
    }

    /// Warps one row onto `out`. `R` by `R` taps, loaded in vectors of `L` of which those after the `R`th weigh nothing.
    #[inline(always)]
    fn line<const R: usize, const L: usize, A: Lanes<L>>(
        &self,
        arithmetic: A,
        rows: &RowScratch,
        out: Line<'_>,
        counts: &mut WarpCounts,
        weigh: &impl Weigh<L>,
    ) -> Result<(), MissingAt> {
        let width = self.bbox.width as usize;
        let places = rows.column.iter().zip(&rows.row).zip(&rows.fraction_x).zip(&rows.fraction_y).zip(&rows.scale);
        let pixels = out.image.iter_mut().zip(out.variance.iter_mut()).zip(out.mask.iter_mut());
        for (i, (((((column, row), fraction_x), fraction_y), scale), ((image, variance), mask))) in
            places.zip(pixels).enumerate()
        {
            if *column < 0 {
                if self.on_detector(rows.x[i], rows.y[i], rows.area_ratio[i]) {
                    return Err(MissingAt(i));
                }
                (*image, *variance, *mask) = (f32::NAN, f32::NAN, self.planes.no_data);
                continue;
            }
            let (column, row) = (*column as usize, *row as usize);
            let place = Place { column, row, fraction_x: *fraction_x as u32, fraction_y: *fraction_y as u32 };
            let flags = self.flags[row * width + column];
            let wx = weigh.weights(arithmetic, place.fraction_x);
            let wy = arithmetic.store(weigh.weights(arithmetic, place.fraction_y));
            let (sums, bits) = if flags & UNUSABLE == 0 {
                let (column0, row0) = (column + 1 - R / 2, row + 1 - R / 2);
                let bits = if flags & MARKED == 0 { 0 } else { self.footprint(place).bits };
                let (image, variance) = (&self.image[row0..row0 + R], &self.variance[row0..row0 + R]);
                let sums = sums::<R, L, A>(arithmetic, image, variance, column0, wx, &wy);
                (Some(sums), bits)
            } else {
                let pixel = self.careful::<R, L, A>(arithmetic, place, wx, &wy).ok_or(MissingAt(i))?;
                counts.with_dropped += u64::from(pixel.sums.is_some() && pixel.dropped);
                (pixel.sums, pixel.bits)
            };
            if let Some((value, square)) = sums {
                // Adding zero makes -0 +0: the sign of a zero depends on lanes that weigh nothing.
                *image = scale * value + 0.0;
                *variance = scale * scale * square;
                *mask = bits;
                counts.with_data += 1;
            } else {
                (*image, *variance, *mask) = (f32::NAN, f32::NAN, bits | self.planes.no_data);
            }
        }
        Ok(())
    }

    /// Whether a position's reference pixel is a pixel of the detector.
    fn on_detector(&self, x: f64, y: f64, area_ratio: f64) -> bool {
        let (column, row) = (split(x).0, split(y).0);
        column >= f64::from(self.detector.x0)
            && column < self.detector.x_end() as f64
            && row >= f64::from(self.detector.y0)
            && row < self.detector.y_end() as f64
            && area_ratio > 0.0
    }

    /// The sums for a pixel with something unusable in its window, or a window that is cut off by the box passed.
    ///
    /// The same arithmetic as for a clean window, over a copy in which what is not usable is zero. `None` when a pixel of
    /// the detector was not passed.
    #[inline(always)]
    fn careful<const R: usize, const L: usize, A: Lanes<L>>(
        &self,
        arithmetic: A,
        place: Place,
        wx: A::Vector,
        wy: &[f32; L],
    ) -> Option<Pixel> {
        let before = R / 2 - 1;
        let mut image = [[0.0_f32; L]; R];
        let mut variance = [[0.0_f32; L]; R];
        let mut good = [[0.0_f32; L]; R];
        let Place { column, row, .. } = place;
        let cut = self.edges::<R>(column, row)?;
        let in_rows = row >= before && row + R - before <= self.image.len();
        let in_columns = column >= before && column + L - before <= self.bbox.width as usize;
        if in_rows && in_columns {
            let (column0, row0) = (column - before, row - before);
            for j in 0..R {
                let i: &[f32; L] = load(self.image[row0 + j], column0);
                let m: &[i32; L] = load(self.mask[row0 + j], column0);
                let v: &[f32; L] = load(self.variance[row0 + j], column0);
                for k in 0..L {
                    let usable = Self::usable(i[k], m[k], v[k], self.planes.bad) & (k < R);
                    image[j][k] = if usable { i[k] } else { 0.0 };
                    variance[j][k] = if usable { v[k] } else { 0.0 };
                    good[j][k] = f32::from(u8::from(usable));
                }
            }
        } else {
            for j in 0..R {
                for k in 0..R {
                    // Wraps to a huge row or column before the first: not held, like one after the last.
                    let (x, y) = ((column + k).wrapping_sub(before), (row + j).wrapping_sub(before));
                    if let Some((i, m, v)) = self.pixel(x, y)
                        && Self::usable(i, m, v, self.planes.bad)
                    {
                        (image[j][k], variance[j][k], good[j][k]) = (i, v, 1.0);
                    }
                }
            }
        }
        let footprint = self.footprint(place);
        let bits = footprint.bits | if cut { self.planes.edge } else { 0 };
        if !footprint.usable {
            return Some(Pixel { sums: None, bits, dropped: true });
        }
        let (mut value, mut square) = sums::<R, L, A>(arithmetic, &image, &variance, 0, wx, wy);
        let dropped = (0..R).any(|j| (0..R).any(|k| good[j][k] == 0.0));
        if dropped {
            let (kept, _) = sums::<R, L, A>(arithmetic, &good, &good, 0, wx, wy);
            value /= kept;
            square /= kept * kept;
        }
        Some(Pixel { sums: Some((value, square)), bits, dropped })
    }

    /// Whether the window of a reference pixel is cut off by the edge of the detector; `None` when it is cut off by the
    /// box passed, inside of the detector.
    fn edges<const R: usize>(&self, column: usize, row: usize) -> Option<bool> {
        let before = (R / 2 - 1) as i64;
        let first = (i64::from(self.bbox.x0) + column as i64 - before, i64::from(self.bbox.y0) + row as i64 - before);
        let end = (first.0 + R as i64, first.1 + R as i64);
        let (detector, held) = (self.detector, self.bbox);
        let (x0, x1) = (first.0.max(i64::from(detector.x0)), end.0.min(detector.x_end()));
        let (y0, y1) = (first.1.max(i64::from(detector.y0)), end.1.min(detector.y_end()));
        let whole = x0 >= i64::from(held.x0) && x1 <= held.x_end() && y0 >= i64::from(held.y0) && y1 <= held.y_end();
        whole.then_some((x0, y0) != first || (x1, y1) != end)
    }

    /// A pixel held, by column and row of the arrays.
    fn pixel(&self, x: usize, y: usize) -> Option<(f32, i32, f32)> {
        Some((*self.image.get(y)?.get(x)?, *self.mask.get(y)?.get(x)?, *self.variance.get(y)?.get(x)?))
    }

    /// The pixels with a bilinear weight: are all usable, and which bits do they have?
    fn footprint(&self, place: Place) -> Footprint {
        let Place { column, row, .. } = place;
        let (columns, rows) = (1 + usize::from(place.fraction_x > 0), 1 + usize::from(place.fraction_y > 0));
        let (mut usable, mut bits, mut unmarked) = (true, 0, false);
        for y in row..row + rows {
            for x in column..column + columns {
                let Some((i, m, v)) = self.pixel(x, y) else {
                    usable = false;
                    continue;
                };
                bits |= m;
                if !Self::usable(i, m, v, self.planes.bad) {
                    usable = false;
                    unmarked |= m & self.planes.bad == 0;
                }
            }
        }
        let bits = self.planes.translate(bits) | if unmarked { self.planes.unusable } else { 0 };
        Footprint { usable, bits }
    }
}

/// One row's work, to be compiled for each instruction set.
struct WarpLine<'r, 'a, A> {
    arithmetic: A,
    input: &'r WarpInput<'a>,
    rows: &'r mut RowScratch,
    out: Line<'r>,
    flux_scale: f64,
    counts: &'r mut WarpCounts,
}

impl<A: Lanes<8>> pulp::NullaryFnOnce for WarpLine<'_, '_, A> {
    type Output = Result<(), MissingAt>;

    #[inline(always)]
    fn call(self) -> Self::Output {
        let Self { arithmetic, input, rows, out, flux_scale, counts } = self;
        input.place(rows, flux_scale);
        match input.kernel {
            Kernel::Lanczos3 => input.line::<6, 8, _>(arithmetic, rows, out, counts, LanczosTable::get()),
            Kernel::Bilinear => input.line::<2, 2, _>(Arrays, rows, out, counts, &BilinearWeights),
        }
    }
}

impl WarpLine<'_, '_, Arrays> {
    /// Does the work with the best instructions that the machine has.
    fn dispatch(self) -> Result<(), MissingAt> {
        let arch = pulp::Arch::new();
        #[cfg(target_arch = "x86_64")]
        if let pulp::Arch::V3(simd) = arch {
            let Self { input, rows, out, flux_scale, counts, .. } = self;
            return simd.vectorize(WarpLine { arithmetic: simd, input, rows, out, flux_scale, counts });
        }
        arch.dispatch(self)
    }
}

/// An output row.
struct Line<'a> {
    image: &'a mut [f32],
    variance: &'a mut [f32],
    mask: &'a mut [i32],
}

/// The output pixel of a row for which input pixels were missing.
struct MissingAt(usize);

struct Footprint {
    usable: bool,
    bits: i32,
}

struct Pixel {
    sums: Option<(f32, f32)>,
    bits: i32,
    dropped: bool,
}

/// The whole pixel at or before a position, and the fraction in units of 2^-20 pixel.
#[inline(always)]
fn split(position: f64) -> (f64, f64) {
    let units = (position * FRACTION_ONE).round_ties_even();
    let whole = (units * (1.0 / FRACTION_ONE)).floor();
    (whole, units - whole * FRACTION_ONE)
}

/// The `L` pixels of a row from `column` on.
#[inline(always)]
fn load<T, const L: usize>(row: &[T], column: usize) -> &[T; L] {
    match row[column..].first_chunk() {
        Some(pixels) => pixels,
        None => unreachable!("the flag of a cut-off window is set"),
    }
}

/// `Σ w I` and `Σ w² V`: down the columns first, then across the lanes.
#[inline(always)]
fn sums<const R: usize, const L: usize, A: Lanes<L>>(
    a: A,
    image: &[impl AsRef<[f32]>],
    variance: &[impl AsRef<[f32]>],
    column: usize,
    wx: A::Vector,
    wy: &[f32; L],
) -> (f32, f32) {
    let (mut value, mut square) = (a.splat(0.0), a.splat(0.0));
    for j in 0..R {
        let w = a.splat(wy[j]);
        value = a.mul_add(a.load(load(image[j].as_ref(), column)), w, value);
        square = a.mul_add(a.load(load(variance[j].as_ref(), column)), a.mul(w, w), square);
    }
    (a.across(a.mul(value, wx)), a.across(a.mul(square, a.mul(wx, wx))))
}
