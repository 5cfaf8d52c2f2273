//! [`PixelBox`]: an integer box of pixels.

use serde::{Deserialize, Serialize};

/// A box of whole pixels: the pixel with the smallest coordinates and the size.
///
/// Pixels are zero-based and an integer coordinate is a pixel's centre, so the box covers
/// `[x0 - 0.5, x0 + width - 0.5]` by `[y0 - 0.5, y0 + height - 0.5]` of the pixel plane. A box with a side of zero is
/// empty: it holds no pixel and intersects nothing.
///
/// ```
/// use bunter::PixelBox;
///
/// let tract = PixelBox::new(0, 0, 36_000, 36_000);
/// let patch = PixelBox::new(-100, 3_900, 4_200, 4_200);
/// assert_eq!(patch.intersection(tract), Some(PixelBox::new(0, 3_900, 4_100, 4_200)));
/// assert_eq!(patch.shape(), (4_200, 4_200));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PixelBox {
    /// Smallest column.
    pub x0: i32,
    /// Smallest row.
    pub y0: i32,
    /// Number of columns.
    pub width: u32,
    /// Number of rows.
    pub height: u32,
}

impl PixelBox {
    /// The box of `width` by `height` pixels whose first pixel is `(x0, y0)`.
    pub const fn new(x0: i32, y0: i32, width: u32, height: u32) -> Self {
        Self { x0, y0, width, height }
    }

    /// The box from the origin with the size of an array of `shape` `(rows, columns)`.
    ///
    /// Sides beyond `u32::MAX` saturate; no array of pixels is that long.
    pub fn from_shape(shape: (usize, usize)) -> Self {
        let side = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self::new(0, 0, side(shape.1), side(shape.0))
    }

    /// The smallest box of whole pixels that covers the closed interval `[x_min, x_max]` by `[y_min, y_max]`.
    ///
    /// The reference's "expand" rule: `ceil(min - 0.5)` to `floor(max + 0.5)`, both ends included. `None` when a bound
    /// is not finite, lies outside the range of `i32`, or the interval is reversed.
    pub fn covering(x_min: f64, y_min: f64, x_max: f64, y_max: f64) -> Option<Self> {
        let low = |v: f64| integer((v - 0.5).ceil());
        let high = |v: f64| integer((v + 0.5).floor());
        let (x0, y0, x1, y1) = (low(x_min)?, low(y_min)?, high(x_max)?, high(y_max)?);
        let side = |a: i32, b: i32| u32::try_from(i64::from(b) - i64::from(a) + 1).ok();
        Some(Self::new(x0, y0, side(x0, x1)?, side(y0, y1)?))
    }

    /// One past the largest column.
    pub const fn x_end(self) -> i64 {
        self.x0 as i64 + self.width as i64
    }

    /// One past the largest row.
    pub const fn y_end(self) -> i64 {
        self.y0 as i64 + self.height as i64
    }

    /// `(rows, columns)`, the shape of an array that holds the box.
    pub const fn shape(self) -> (usize, usize) {
        (self.height as usize, self.width as usize)
    }

    /// Number of pixels.
    pub const fn area(self) -> u64 {
        self.width as u64 * self.height as u64
    }

    /// Whether the box holds no pixel.
    pub const fn is_empty(self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// Whether the pixel `(x, y)` is in the box.
    pub fn contains(self, x: i32, y: i32) -> bool {
        x >= self.x0 && i64::from(x) < self.x_end() && y >= self.y0 && i64::from(y) < self.y_end()
    }

    /// Whether every pixel of `other` is in this box. An empty box is in every box.
    pub fn contains_box(self, other: Self) -> bool {
        other.is_empty()
            || (other.x0 >= self.x0
                && other.y0 >= self.y0
                && other.x_end() <= self.x_end()
                && other.y_end() <= self.y_end())
    }

    /// The pixels in both boxes, or `None` when there are none.
    pub fn intersection(self, other: Self) -> Option<Self> {
        let (x0, y0) = (self.x0.max(other.x0), self.y0.max(other.y0));
        let side = |a: i32, end: i64| u32::try_from(end - i64::from(a)).ok().filter(|n| *n > 0);
        let width = side(x0, self.x_end().min(other.x_end()))?;
        let height = side(y0, self.y_end().min(other.y_end()))?;
        Some(Self::new(x0, y0, width, height))
    }

    /// The box grown by `border` pixels on each side (shrunk when negative; an over-shrunk side is zero).
    #[must_use]
    pub fn grown(self, border: i32) -> Self {
        let side = |n: u32| (i64::from(n) + 2 * i64::from(border)).clamp(0, i64::from(u32::MAX)) as u32;
        let start = |v: i32| v.saturating_sub(border);
        Self::new(start(self.x0), start(self.y0), side(self.width), side(self.height))
    }

    /// The box moved by `(dx, dy)` pixels.
    #[must_use]
    pub fn shifted(self, dx: i32, dy: i32) -> Self {
        Self { x0: self.x0.saturating_add(dx), y0: self.y0.saturating_add(dy), ..self }
    }

    /// The four corners of the pixel area, half a pixel outside the pixel centres, in the order lower left, lower
    /// right, upper right, upper left.
    pub fn corners(self) -> [(f64, f64); 4] {
        let (x0, y0) = (f64::from(self.x0) - 0.5, f64::from(self.y0) - 0.5);
        let (x1, y1) = (x0 + f64::from(self.width), y0 + f64::from(self.height));
        [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    }
}

impl std::fmt::Display for PixelBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{} at ({}, {})", self.width, self.height, self.x0, self.y0)
    }
}

fn integer(v: f64) -> Option<i32> {
    (v >= f64::from(i32::MIN) && v <= f64::from(i32::MAX)).then_some(v as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_that_touch_share_no_pixel() {
        let a = PixelBox::new(0, 0, 10, 10);
        assert_eq!(a.intersection(PixelBox::new(10, 0, 5, 5)), None);
        assert_eq!(a.intersection(PixelBox::new(9, 9, 5, 5)), Some(PixelBox::new(9, 9, 1, 1)));
        assert_eq!(a.intersection(PixelBox::new(3, 3, 0, 5)), None);
    }

    #[test]
    fn covering_takes_half_pixels_in() {
        assert_eq!(PixelBox::covering(-0.5, 0.0, 0.49, 1.2), Some(PixelBox::new(-1, 0, 2, 2)));
        assert_eq!(PixelBox::covering(0.0, 0.0, f64::NAN, 1.0), None);
        assert_eq!(PixelBox::covering(0.0, 0.0, 3e9, 1.0), None);
        assert_eq!(PixelBox::covering(5.0, 0.0, 1.0, 1.0), None);
    }

    #[test]
    fn extremes_do_not_overflow() {
        let whole = PixelBox::new(i32::MIN, i32::MIN, u32::MAX, u32::MAX);
        assert!(whole.contains(0, 0));
        assert_eq!(whole.intersection(whole), Some(whole));
        assert_eq!(PixelBox::new(0, 0, 3, 3).grown(-5).area(), 0);
        assert_eq!(whole.grown(7).x0, i32::MIN);
    }
}
