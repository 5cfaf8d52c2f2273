//! [`WarpInput`]: the pixels of one input, looked over once and ready to be warped strip by strip.

#![expect(clippy::needless_bitwise_bool, reason = "comparisons without branches become vectors")]

use ndarray::{ArrayView2, Axis};

use crate::coadd::{CoaddError, InputPlanes, Kernel};
use crate::wcs::PixelBox;

/// A pixel in the kernel's reach is not usable, or not among the pixels passed.
pub(super) const UNUSABLE: u8 = 1;
/// A pixel of the bilinear footprint has a mask bit.
pub(super) const MARKED: u8 = 2;
/// Values from here on count as infinite: sums of products of them with weights would overflow f32.
const LIMIT: f32 = 1e30;

/// Memory that warping one input needs, to be used again for the next: one byte a pixel and six rows.
#[derive(Clone, Debug, Default)]
pub struct WarpScratch {
    flags: Vec<u8>,
    raw: Vec<u8>,
    ring: Vec<u8>,
}

/// The pixels of one input, checked and flagged, to be [warped](Self::warp) onto as many strips as wanted.
///
/// It may be shared by threads, each with a [`Strip`](crate::coadd::Strip) of its own.
#[derive(Debug)]
pub struct WarpInput<'a> {
    pub(super) kernel: Kernel,
    pub(super) planes: &'a InputPlanes,
    pub(super) bbox: PixelBox,
    pub(super) detector: PixelBox,
    pub(super) image: Vec<&'a [f32]>,
    pub(super) mask: Vec<&'a [i32]>,
    pub(super) variance: Vec<&'a [f32]>,
    /// For the kernel's window whose reference pixel is this one: [`UNUSABLE`] and [`MARKED`].
    pub(super) flags: &'a [u8],
}

/// Pixels of an input image as they were read: a box of a detector.
#[derive(Clone, Copy, Debug)]
pub struct InputPixels<'a> {
    /// The detector pixels held by the arrays.
    pub bbox: PixelBox,
    /// All pixels of the detector: what lies outside of this box exists nowhere.
    pub detector: PixelBox,
    /// Counts `[y, x]`. Not finite, or 10^30 and beyond: not usable.
    pub image: ArrayView2<'a, f32>,
    /// Mask bits `[y, x]`.
    pub mask: ArrayView2<'a, i32>,
    /// Variance `[y, x]`, counts squared. Not finite or not positive, or 10^30 and beyond: the pixel is not usable.
    pub variance: ArrayView2<'a, f32>,
}

impl<'a> WarpInput<'a> {
    /// Looks over the pixels of an input: one pass over the three arrays, which are then read in place.
    ///
    /// The arrays may be views into larger ones or into a memory map, as long as each row is contiguous.
    ///
    /// # Errors
    /// [`CoaddError::Shape`] or [`CoaddError::OutsideDetector`] when arrays and boxes do not fit together;
    /// [`CoaddError::Layout`] when the pixels of a row do not lie side by side.
    pub fn new<'p: 'a>(
        pixels: &InputPixels<'p>,
        kernel: Kernel,
        planes: &'a InputPlanes,
        scratch: &'a mut WarpScratch,
    ) -> Result<Self, CoaddError> {
        let InputPixels { bbox, detector, .. } = *pixels;
        if !detector.contains_box(bbox) {
            return Err(CoaddError::OutsideDetector { bbox, detector });
        }
        let image = rows("image", pixels.image, bbox)?;
        let mask = rows("mask", pixels.mask, bbox)?;
        let variance = rows("variance", pixels.variance, bbox)?;
        let reach = Reach::of(kernel);
        pulp::Arch::new().dispatch(|| reach.flag(&image, &mask, &variance, planes.bad, scratch));
        Ok(Self { kernel, planes, bbox, detector, image, mask, variance, flags: &scratch.flags })
    }

    /// Whether a pixel's numbers and mask let it be used.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "must be compiled with the caller's instruction set")]
    pub(super) fn usable(image: f32, mask: i32, variance: f32, bad: i32) -> bool {
        (mask & bad == 0) & (image.abs() < LIMIT) & (variance > 0.0) & (variance < LIMIT)
    }
}

fn rows<'a, T>(array: &'static str, view: ArrayView2<'a, T>, bbox: PixelBox) -> Result<Vec<&'a [T]>, CoaddError> {
    if view.dim() != bbox.shape() {
        return Err(CoaddError::Shape { array, shape: view.dim(), bbox });
    }
    let row = |y| view.index_axis_move(Axis(0), y).to_slice().ok_or(CoaddError::Layout { array });
    (0..view.nrows()).map(row).collect()
}

/// The pixels that are loaded for one output pixel, before and after its reference pixel in each direction.
#[derive(Clone, Copy)]
struct Reach {
    before: usize,
    after_x: usize,
    after_y: usize,
}

impl Reach {
    /// Loads are whole vectors: eight columns for the six taps of Lanczos3, the last two with zero weight.
    const fn of(kernel: Kernel) -> Self {
        match kernel {
            Kernel::Lanczos3 => Self { before: 2, after_x: 5, after_y: 3 },
            Kernel::Bilinear => Self { before: 0, after_x: 1, after_y: 1 },
        }
    }

    /// Fills the plane of flags: for each pixel, what is in the window of which it is the reference pixel.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "must be compiled with the caller's instruction set")]
    fn flag(self, image: &[&[f32]], mask: &[&[i32]], variance: &[&[f32]], bad: i32, scratch: &mut WarpScratch) {
        let (height, width) = (image.len(), image.first().map_or(0, |row| row.len()));
        let window = self.before + self.after_y + 1;
        let WarpScratch { flags, raw, ring } = scratch;
        flags.clear();
        flags.resize(height * width, UNUSABLE);
        if height < window || width == 0 {
            // Every window is cut off; marks are looked up pixel by pixel there.
            return;
        }
        raw.clear();
        raw.resize(width + self.before + self.after_x, UNUSABLE);
        ring.clear();
        ring.resize(width * window, 0);
        for y in 0..height {
            let pixels = image[y].iter().zip(mask[y]).zip(variance[y]);
            for (out, ((i, m), v)) in raw[self.before..].iter_mut().zip(pixels) {
                *out = if WarpInput::usable(*i, *m, *v, bad) { 0 } else { UNUSABLE } | if *m == 0 { 0 } else { MARKED };
            }
            // Along the row: unusable pixels anywhere in the window, marks in the footprint.
            let slot = y % window;
            let row = &mut ring[slot * width..(slot + 1) * width];
            let footprint = raw[self.before..].iter().zip(&raw[self.before + 1..]);
            for (out, (a, b)) in row.iter_mut().zip(footprint) {
                *out = (a | b) & MARKED;
            }
            for shift in 0..=self.before + self.after_x {
                for (out, r) in row.iter_mut().zip(&raw[shift..]) {
                    *out |= r & UNUSABLE;
                }
            }
            // Across rows, once the last row of a window is there; windows that are cut off stay unusable.
            if y + 1 >= window {
                let reference = y - self.after_y;
                let out = &mut flags[reference * width..(reference + 1) * width];
                out.fill(0);
                for r in 0..window {
                    let row = &ring[r * width..(r + 1) * width];
                    let age = (y + window - r) % window;
                    let kept =
                        if age == self.after_y || age + 1 == self.after_y { UNUSABLE | MARKED } else { UNUSABLE };
                    for (out, r) in out.iter_mut().zip(row) {
                        *out |= r & kept;
                    }
                }
            }
        }
    }
}
