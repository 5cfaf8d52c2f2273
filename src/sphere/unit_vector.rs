//! [`UnitVector`]: a position on the sky as a vector.

use serde::{Deserialize, Serialize};

use super::LonLat;

/// A position on the unit sphere: x towards (lon 0, lat 0), y towards (lon 90 deg, lat 0), z towards the north pole.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnitVector {
    /// Towards (0, 0).
    pub x: f64,
    /// Towards (90 deg, 0).
    pub y: f64,
    /// Towards the north pole.
    pub z: f64,
}

impl UnitVector {
    /// From longitude and latitude.
    pub fn from_lon_lat(p: LonLat) -> Self {
        // `libm`: the same last bit on every machine.
        let (sin_lon, cos_lon) = libm::sincos(p.lon);
        let (sin_lat, cos_lat) = libm::sincos(p.lat);
        Self { x: cos_lat * cos_lon, y: cos_lat * sin_lon, z: sin_lat }
    }

    /// The vector scaled to length one; `None` when it has no direction (zero or not finite).
    pub fn normalized(x: f64, y: f64, z: f64) -> Option<Self> {
        let norm = (x * x + y * y + z * z).sqrt();
        (norm > 0.0 && norm.is_finite()).then(|| Self { x: x / norm, y: y / norm, z: z / norm })
    }

    /// Longitude in `[0, 2 pi)` and latitude.
    pub fn to_lon_lat(self) -> LonLat {
        let mut lon = libm::atan2(self.y, self.x);
        if lon < 0.0 {
            lon += std::f64::consts::TAU;
            if lon >= std::f64::consts::TAU {
                lon = 0.0;
            }
        }
        LonLat::new(lon, libm::atan2(self.z, libm::hypot(self.x, self.y)))
    }

    /// Scalar product.
    pub fn dot(self, other: Self) -> f64 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    /// The angle to another position, radians; exact for small and for nearly opposite angles too.
    pub fn separation(self, other: Self) -> f64 {
        let (cx, cy, cz) = self.cross(other);
        libm::atan2((cx * cx + cy * cy + cz * cz).sqrt(), self.dot(other))
    }

    /// The opposite point of the sphere.
    #[must_use]
    pub fn opposite(self) -> Self {
        Self { x: -self.x, y: -self.y, z: -self.z }
    }

    /// The pole of the great circle from this position to another one, to its left; it keeps its digits for near
    /// positions. `None` when the two are the same or opposite.
    pub(super) fn normal(self, other: Self) -> Option<Self> {
        // (b - a) x (b + a) / -2 is a x b, and the difference of near vectors is exact.
        let (d, s) = (self.minus(other), Self { x: self.x + other.x, y: self.y + other.y, z: self.z + other.z });
        let (x, y, z) = d.cross(s);
        Self::normalized(x, y, z)
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self { x: self.x - other.x, y: self.y - other.y, z: self.z - other.z }
    }

    /// `(self x b) . c`, by rounding arithmetic.
    pub(super) fn cross_dot(self, b: Self, c: Self) -> f64 {
        let (x, y, z) = self.cross(b);
        x * c.x + y * c.y + z * c.z
    }

    /// Vector product, not normalized.
    pub fn cross(self, other: Self) -> (f64, f64, f64) {
        (self.y * other.z - self.z * other.y, self.z * other.x - self.x * other.z, self.x * other.y - self.y * other.x)
    }
}
