//! [`Placement`]: where a detector lies in the focal plane.

/// From the pixels of one detector to millimetres in the focal plane, and back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Placement {
    /// Columns and rows.
    pub(super) size: (u32, u32),
    /// The pixel that lies at `offset`, zero-based.
    reference: (f64, f64),
    /// Millimetres.
    offset: (f64, f64),
    /// Millimetres a pixel; rows x and y.
    matrix: [[f64; 2]; 2],
    inverse: [[f64; 2]; 2],
}

impl Placement {
    /// `mm = Rot(yaw) (pixel - reference) pixel_mm + offset`; the yaw in degrees, counter-clockwise.
    pub(super) fn turned(
        size: (u32, u32),
        pixel_mm: (f64, f64),
        reference: (f64, f64),
        offset: (f64, f64),
        yaw: f64,
    ) -> Result<Self, String> {
        for (what, value) in [
            ("pixel_mm", pixel_mm.0),
            ("pixel_mm", pixel_mm.1),
            ("reference_pixel", reference.0),
            ("reference_pixel", reference.1),
            ("position x", offset.0),
            ("position y", offset.1),
            ("yaw", yaw),
        ] {
            if !value.is_finite() {
                return Err(format!("{what} is {value}"));
            }
        }
        if pixel_mm.0 <= 0.0 || pixel_mm.1 <= 0.0 {
            return Err(format!("pixel_mm is {} x {}, expected positive sizes in millimetres", pixel_mm.0, pixel_mm.1));
        }
        let (sin, cos) = sin_cos_degrees(yaw);
        let matrix = [[cos * pixel_mm.0, -sin * pixel_mm.1], [sin * pixel_mm.0, cos * pixel_mm.1]];
        Self::new(size, reference, offset, matrix)
    }

    /// From the corners of the pixels' area at pixels (-0.5, -0.5), (nx - 0.5, -0.5), (nx - 0.5, ny - 0.5), (-0.5, ny - 0.5).
    pub(super) fn from_corners(size: (u32, u32), corners: [[f64; 2]; 4]) -> Result<Self, String> {
        let [a, b, c, d] = corners;
        if let Some(value) = corners.as_flattened().iter().find(|v| !v.is_finite()) {
            return Err(format!("a corner is {value}"));
        }
        let across = [b[0] - a[0], b[1] - a[1]];
        let up = [d[0] - a[0], d[1] - a[1]];
        let far = (a[0] + across[0] + up[0] - c[0]).hypot(a[1] + across[1] + up[1] - c[1]);
        let side = across[0].hypot(across[1]).max(up[0].hypot(up[1]));
        if far > 1e-3 * side {
            return Err(format!("the corners are no parallelogram: the third is {far} mm from where the others say"));
        }
        let (nx, ny) = (f64::from(size.0), f64::from(size.1));
        let matrix = [[across[0] / nx, up[0] / ny], [across[1] / nx, up[1] / ny]];
        Self::new(size, (-0.5, -0.5), (a[0], a[1]), matrix)
    }

    fn new(size: (u32, u32), reference: (f64, f64), offset: (f64, f64), matrix: [[f64; 2]; 2]) -> Result<Self, String> {
        if size.0 == 0 || size.1 == 0 {
            return Err(format!("its size is {} x {} pixels", size.0, size.1));
        }
        let [[a, b], [c, d]] = matrix;
        let det = a * d - b * c;
        let regular = det.abs() > 1e-9 * ((a * d).abs() + (b * c).abs());
        let inverse = [[d / det, -b / det], [-c / det, a / det]];
        if !regular || inverse.as_flattened().iter().any(|v| !v.is_finite()) {
            return Err("it has no area in the focal plane".to_owned());
        }
        Ok(Self { size, reference, offset, matrix, inverse })
    }

    #[inline]
    pub(super) fn to_mm(self, x: f64, y: f64) -> (f64, f64) {
        let (x, y) = (x - self.reference.0, y - self.reference.1);
        let [[a, b], [c, d]] = self.matrix;
        (a * x + b * y + self.offset.0, c * x + d * y + self.offset.1)
    }

    #[inline]
    pub(super) fn to_pixel(self, x: f64, y: f64) -> (f64, f64) {
        let (x, y) = (x - self.offset.0, y - self.offset.1);
        let [[a, b], [c, d]] = self.inverse;
        (a * x + b * y + self.reference.0, c * x + d * y + self.reference.1)
    }

    /// Whether a pixel position is on the detector, border included.
    #[inline]
    pub(super) fn holds(self, x: f64, y: f64) -> bool {
        // Corners are rounded to the nanometre: those of the footprint are on the detector.
        const EPSILON: f64 = 1e-4;
        x >= -0.5 - EPSILON
            && y >= -0.5 - EPSILON
            && x <= f64::from(self.size.0) - 0.5 + EPSILON
            && y <= f64::from(self.size.1) - 0.5 + EPSILON
    }

    /// Pixel positions of the corners, counter-clockwise in pixels.
    pub(super) fn pixel_corners(self) -> [(f64, f64); 4] {
        let (x, y) = (f64::from(self.size.0) - 0.5, f64::from(self.size.1) - 0.5);
        [(-0.5, -0.5), (x, -0.5), (x, y), (-0.5, y)]
    }

    /// The corners in millimetres, in the same order, to the nanometre: layouts are published so, and the last bits of a sine
    /// are then nobody's concern.
    pub(super) fn corners(self) -> [(f64, f64); 4] {
        let nanometre = |v: f64| (v * 1e6).round() / 1e6;
        self.pixel_corners().map(|(x, y)| {
            let (x, y) = self.to_mm(x, y);
            (nanometre(x), nanometre(y))
        })
    }

    /// Millimetres of the middle of the pixels' area.
    pub(super) fn centre(self) -> (f64, f64) {
        self.to_mm(0.5 * f64::from(self.size.0) - 0.5, 0.5 * f64::from(self.size.1) - 0.5)
    }

    /// Points along the border, `points` to a side, as pixel positions.
    pub(super) fn border(self, points: u32) -> impl Iterator<Item = (f64, f64)> {
        let corners = self.pixel_corners();
        (0..4_usize).flat_map(move |side| {
            let (from, to) = (corners[side], corners[(side + 1) % 4]);
            (0..points).map(move |i| {
                let t = f64::from(i) / f64::from(points);
                (from.0 + t * (to.0 - from.0), from.1 + t * (to.1 - from.1))
            })
        })
    }

    /// By how much two detectors overlap along the direction where they do least, mm; negative when they are apart.
    pub(super) fn overlap(self, other: Self) -> f64 {
        let (p, q) = (self.corners(), other.corners());
        let span = |corners: &[(f64, f64); 4], (nx, ny): (f64, f64)| {
            corners
                .iter()
                .map(|(x, y)| x * nx + y * ny)
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
        };
        let mut least = f64::INFINITY;
        for ring in [&p, &q] {
            for i in 0..2 {
                let (a, b) = (ring[i], ring[i + 1]);
                let length = (b.0 - a.0).hypot(b.1 - a.1);
                let normal = ((a.1 - b.1) / length, (b.0 - a.0) / length);
                let (s, t) = (span(&p, normal), span(&q, normal));
                least = least.min(s.1.min(t.1) - s.0.max(t.0));
            }
        }
        least
    }
}

/// Exact for multiples of 90 degrees.
fn sin_cos_degrees(angle: f64) -> (f64, f64) {
    let turned = angle.rem_euclid(360.0);
    let quarter = (turned / 90.0).round();
    let (sin, cos) = libm::sincos((turned - 90.0 * quarter).to_radians());
    match quarter as i32 % 4 {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarter_turns_are_exact() {
        for (angle, expected) in [(0.0, (0.0, 1.0)), (450.0, (1.0, 0.0)), (-180.0, (0.0, -1.0)), (270.0, (-1.0, 0.0))] {
            assert_eq!(sin_cos_degrees(angle), expected);
        }
        let (sin, cos) = sin_cos_degrees(-30.0);
        assert!((sin + 0.5).abs() < 1e-15 && (cos - 0.75_f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn corners_and_turns_say_the_same() {
        let turned = Placement::turned((2048, 4096), (0.015, 0.015), (1023.5, 2047.5), (-30.0, 12.0), 33.0).unwrap();
        let corners = turned.corners().map(|(x, y)| [x, y]);
        let cornered = Placement::from_corners((2048, 4096), corners).unwrap();
        for (x, y) in turned.border(5) {
            let (p, q) = (turned.to_mm(x, y), cornered.to_mm(x, y));
            assert!((p.0 - q.0).abs() < 2e-6 && (p.1 - q.1).abs() < 2e-6);
            let back = cornered.to_pixel(p.0, p.1);
            assert!((back.0 - x).abs() < 2e-4 && (back.1 - y).abs() < 2e-4);
            assert!(turned.holds(x, y));
        }
        assert!((turned.overlap(turned) - 31.0).abs() <= 0.5);
    }

    #[test]
    fn nonsense_is_refused() {
        let turned = |size, pixel: f64, yaw| {
            Placement::turned(size, (pixel, pixel), (0.0, 0.0), (0.0, 0.0), yaw).map(|_| ()).unwrap_err()
        };
        assert!(turned((0, 5), 0.01, 0.0).contains("0 x 5"));
        assert!(turned((5, 5), 0.0, 0.0).contains("positive"));
        assert!(turned((5, 5), 0.01, f64::NAN).contains("yaw is NaN"));
        let bent = Placement::from_corners((5, 5), [[0.0, 0.0], [1.0, 0.0], [1.5, 1.0], [0.0, 1.0]]);
        assert!(bent.unwrap_err().contains("parallelogram"));
        let flat = Placement::from_corners((5, 5), [[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [1.0, 0.0]]);
        assert!(flat.unwrap_err().contains("no area"));
    }
}
