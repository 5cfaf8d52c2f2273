//! How large a tract is: the pixel box that holds its inner region and its overlap, cut into whole patches.

use std::f64::consts::PI;

use super::builder::Division;
use super::projection::{Frame, PixelScale};
use crate::sphere::UnitVector;

/// Number of patches in x and y, and the reference pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TractSize {
    pub(super) count: [u32; 2],
    pub(super) crpix: [f64; 2],
}

/// Pixels along a tract's side stay in `i32` with room for borders.
const MAX_SIDE: i64 = 1 << 30;

/// A box grown point by point. As in the reference, its upper ends are moved outward by 2^-51 of themselves.
#[derive(Clone, Copy)]
struct Grown {
    min: [f64; 2],
    max: [f64; 2],
}

impl Grown {
    const EMPTY: Self = Self { min: [f64::INFINITY; 2], max: [f64::NEG_INFINITY; 2] };

    fn add(&mut self, point: [f64; 2]) {
        if !point.iter().all(|v| v.is_finite()) {
            return;
        }
        for (axis, v) in point.into_iter().enumerate() {
            self.min[axis] = self.min[axis].min(v);
            if v >= self.max[axis] {
                const NUDGE: f64 = 2.0 * f64::EPSILON;
                self.max[axis] = match v {
                    0.0 => NUDGE,
                    v if v < 0.0 => v * (1.0 - NUDGE),
                    v => v * (1.0 + NUDGE),
                };
            }
        }
    }

    /// The smallest box of whole patches around it; `None` when it holds nothing or too much.
    fn divide(self, division: &Division) -> Option<TractSize> {
        let mut size = TractSize { count: [0; 2], crpix: [0.0; 2] };
        for axis in 0..2 {
            let (min, max) = ((self.min[axis] - 0.5).ceil(), (self.max[axis] + 0.5).floor());
            let length = max - min + 1.0;
            // Written so that NaN fails.
            if !(length >= 1.0 && length <= MAX_SIDE as f64 && min.abs() <= MAX_SIDE as f64) {
                return None;
            }
            let (start, length, patch) = (min as i64, length as i64, i64::from(division.inner[axis]));
            let count = (length + patch - 1) / patch;
            if count * patch > MAX_SIDE {
                return None;
            }
            let more = count * patch - length;
            size.count[axis] = count as u32;
            size.crpix[axis] = -((start - more.div_euclid(2)) as f64);
        }
        Some(size)
    }
}

/// The size of a tract that encloses a circle, `reach` being its radius and the whole overlap.
pub(super) fn around_circle(scale: &PixelScale, division: &Division, reach: f64) -> Option<TractSize> {
    let (e, n) = scale.reach(reach)?;
    let mut box_ = Grown::EMPTY;
    for (xi, eta) in [(e, 0.0), (0.0, n), (-e, 0.0), (0.0, -n)] {
        box_.add(scale.offset(xi, eta));
    }
    box_.divide(division)
}

/// The size of a tract that encloses vertices and half the overlap around each.
pub(super) fn around_vertices(
    scale: &PixelScale,
    division: &Division,
    frame: &Frame,
    vertices: &[UnitVector],
    overlap: f64,
) -> Option<TractSize> {
    let mut box_ = Grown::EMPTY;
    let mut add = |v: UnitVector| {
        if let Some((x, y)) = scale.sky_to_pixel(frame, [0.0; 2], v) {
            box_.add([x, y]);
        }
    };
    let (sin, cos) = libm::sincos(0.5 * overlap);
    for v in vertices {
        if overlap == 0.0 {
            add(*v);
            continue;
        }
        // The longitude of a pole counts as 0.
        let lon = if libm::hypot(v.x, v.y) < 1e-14 { 0.0 } else { v.to_lon_lat().lon };
        let (sin_lon, cos_lon) = libm::sincos(lon);
        let east = UnitVector { x: -sin_lon, y: cos_lon, z: 0.0 };
        let (nx, ny, nz) = v.cross(east);
        for j in 0..24 {
            let (s, c) = libm::sincos(f64::from(j) * PI / 12.0);
            let along = |r: f64, e: f64, n: f64| r * cos + (c * e + s * n) * sin;
            add(UnitVector { x: along(v.x, east.x, nx), y: along(v.y, east.y, ny), z: along(v.z, east.z, nz) });
        }
    }
    box_.divide(division)
}
