//! Positions and detectors, the same in every run.

use bunter::{ConvexPolygon, LonLat, UnitVector};

/// The same numbers in every run.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn position(&mut self) -> LonLat {
        LonLat::new(std::f64::consts::TAU * self.next(), (2.0 * self.next() - 1.0).asin())
    }
}

/// A detector of 0.2 by 0.1 degrees, turned.
pub(crate) fn detector(at: LonLat, turn: f64) -> ConvexPolygon {
    let v = at.to_unit();
    let (sin, cos) = at.lon.sin_cos();
    let (east, north) = ([-sin, cos, 0.0], [-at.lat.sin() * cos, -at.lat.sin() * sin, at.lat.cos()]);
    let (s, c) = turn.sin_cos();
    let corners = [(-1.0, -0.5), (1.0, -0.5), (1.0, 0.5), (-1.0, 0.5)].map(|(x, y)| {
        let (e, n) = ((c * x - s * y) * 0.1_f64.to_radians(), (s * x + c * y) * 0.1_f64.to_radians());
        let sum = |r: f64, i: usize| r + e * east[i] + n * north[i];
        UnitVector::normalized(sum(v.x, 0), sum(v.y, 1), sum(v.z, 2)).unwrap_or(v)
    });
    ConvexPolygon::from_vertices(&corners).expect("a detector")
}
