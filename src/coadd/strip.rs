//! [`Strip`]: a box of warped pixels, the unit in which inputs meet.

use ndarray::{ArrayView2, ArrayViewMut2};

use crate::wcs::PixelBox;

/// Warped image, variance and mask of one input over a box of the output grid; buffers that can be used again.
///
/// A pixel without a value has a NaN image and variance and the `NO_DATA` bit. Mask bits are those of the
/// [`CoaddPlanes`](crate::coadd::CoaddPlanes).
///
/// ```
/// use bunter::PixelBox;
/// use bunter::coadd::Strip;
///
/// let mut strip = Strip::new(PixelBox::new(0, 0, 4200, 64));
/// strip.reset(PixelBox::new(0, 64, 4200, 64)); // no allocation
/// assert_eq!(strip.image().dim(), (64, 4200));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Strip {
    pub(super) bbox: PixelBox,
    pub(super) image: Vec<f32>,
    pub(super) variance: Vec<f32>,
    pub(super) mask: Vec<i32>,
    pub(super) rows: RowScratch,
}

/// Positions of one row of output pixels in the input, and what the warp makes of them.
#[derive(Clone, Debug, Default)]
pub(super) struct RowScratch {
    pub(super) x: Vec<f64>,
    pub(super) y: Vec<f64>,
    pub(super) area_ratio: Vec<f64>,
    /// The whole pixel at or before the position, counted from the first pixel passed; -1 when it is not among those
    /// passed.
    pub(super) column: Vec<i32>,
    pub(super) row: Vec<i32>,
    /// The rest of the position, in units of 2^-20 pixel.
    pub(super) fraction_x: Vec<i32>,
    pub(super) fraction_y: Vec<i32>,
    /// Factor for the value.
    pub(super) scale: Vec<f32>,
}

/// Where one output pixel falls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) column: usize,
    pub(super) row: usize,
    pub(super) fraction_x: u32,
    pub(super) fraction_y: u32,
}

impl Strip {
    /// A strip over `bbox` whose pixels have no meaning yet.
    pub fn new(bbox: PixelBox) -> Self {
        let mut strip = Self::default();
        strip.reset(bbox);
        strip
    }

    /// Moves the strip to another box, keeping its memory. Its pixels have no meaning until the next warp.
    pub fn reset(&mut self, bbox: PixelBox) {
        let (height, width) = bbox.shape();
        self.bbox = bbox;
        self.image.resize(height * width, f32::NAN);
        self.variance.resize(height * width, f32::NAN);
        self.mask.resize(height * width, 0);
        let rows = &mut self.rows;
        for positions in [&mut rows.x, &mut rows.y, &mut rows.area_ratio] {
            positions.resize(width, f64::NAN);
        }
        for parts in [&mut rows.column, &mut rows.row, &mut rows.fraction_x, &mut rows.fraction_y] {
            parts.resize(width, 0);
        }
        rows.scale.resize(width, 0.0);
    }

    /// The output pixels covered.
    pub fn bbox(&self) -> PixelBox {
        self.bbox
    }

    /// Pixel values `[y, x]`, in counts of the common zero point.
    pub fn image(&self) -> ArrayView2<'_, f32> {
        view(self.bbox, &self.image)
    }

    /// Variance of each pixel `[y, x]`; the covariance of neighbours is not in it, see
    /// [`Kernel::noise_correlation`](crate::coadd::Kernel::noise_correlation).
    pub fn variance(&self) -> ArrayView2<'_, f32> {
        view(self.bbox, &self.variance)
    }

    /// Mask bits `[y, x]`.
    pub fn mask(&self) -> ArrayView2<'_, i32> {
        view(self.bbox, &self.mask)
    }

    /// Image, variance and mask to be written, for warps made elsewhere.
    pub fn arrays_mut(&mut self) -> (ArrayViewMut2<'_, f32>, ArrayViewMut2<'_, f32>, ArrayViewMut2<'_, i32>) {
        let shape = self.bbox.shape();
        (view_mut(shape, &mut self.image), view_mut(shape, &mut self.variance), view_mut(shape, &mut self.mask))
    }
}

/// A box's pixels as an array; the vector always has the length of the box.
pub(super) fn view<T>(bbox: PixelBox, pixels: &[T]) -> ArrayView2<'_, T> {
    ArrayView2::from_shape(bbox.shape(), pixels).unwrap_or_else(|_| unreachable!("a buffer has the length of its box"))
}

pub(super) fn view_mut<T>(shape: (usize, usize), pixels: &mut [T]) -> ArrayViewMut2<'_, T> {
    ArrayViewMut2::from_shape(shape, pixels).unwrap_or_else(|_| unreachable!("a buffer has the length of its box"))
}
