//! [`Projection`]: between the projection plane and the native sphere.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// Degrees in a radian: the radius of the generating sphere when the plane is in degrees.
const R0: f64 = 180.0 / PI;

/// A projection of FITS WCS Paper II (Calabretta & Greisen 2002, A&A 395, 1077), section 5.
///
/// The plane is in degrees. The native sphere is met as unit vectors `[cos t cos p, cos t sin p, sin t]` (`p`, `t` native
/// longitude and latitude), so that TAN and STG need no trigonometric function at all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Projection {
    /// Gnomonic.
    Tan,
    /// Stereographic.
    Stg,
    /// Zenithal polynomial: radius = sum of `coefficients[m] zeta^m`, `zeta` the native colatitude in radians.
    Zpn(Vec<f64>),
    /// Cylindrical equal area with `lambda`, the squared cosine of the standard latitude.
    Cea(f64),
}

/// Number of ZPN coefficients, `PVi_0` to `PVi_29`.
pub(super) const ZPN_TERMS: usize = 30;

impl Projection {
    /// Native longitude and latitude of the reference point, degrees.
    pub(super) fn reference(&self) -> [f64; 2] {
        match self {
            Self::Tan | Self::Stg | Self::Zpn(_) => [0.0, 90.0],
            Self::Cea(_) => [0.0, 0.0],
        }
    }

    /// The colatitude up to which the radius of a ZPN grows, radians; pi for the others and where it always grows.
    pub(super) fn monotone_end(&self) -> f64 {
        let Self::Zpn(coefficients) = self else { return PI };
        let falls = |zeta: f64| radius(coefficients, zeta).1 < 0.0;
        // As the reference implementation does (wcslib `zpnset`): degree by degree, then bisection.
        let Some(degree) = (1..=180).find(|d| falls(f64::from(*d).to_radians())) else { return PI };
        let (mut low, mut high) = (f64::from(degree - 1).to_radians(), f64::from(degree).to_radians());
        while high - low > 1e-15 {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                break;
            }
            if falls(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        low
    }

    /// From the plane to the native sphere. `zeta_end` is [`Projection::monotone_end`].
    #[inline]
    pub(super) fn to_native(&self, x: f64, y: f64, zeta_end: f64) -> Option<[f64; 3]> {
        match self {
            Self::Tan => {
                let norm = (x * x + y * y + R0 * R0).sqrt();
                norm.is_finite().then(|| [-y / norm, x / norm, R0 / norm])
            }
            Self::Stg => {
                let (u, v) = (x / (2.0 * R0), y / (2.0 * R0));
                let q = u * u + v * v;
                q.is_finite().then(|| [-2.0 * v / (1.0 + q), 2.0 * u / (1.0 + q), (1.0 - q) / (1.0 + q)])
            }
            Self::Zpn(coefficients) => {
                let r = (x * x + y * y).sqrt();
                let zeta = colatitude(coefficients, r / R0, zeta_end)?;
                let (sin, cos) = libm::sincos(zeta);
                if r == 0.0 {
                    // With a constant term the centre is a circle of the sky; only colatitude zero is a position.
                    return (zeta == 0.0).then_some([0.0, 0.0, 1.0]);
                }
                Some([-sin * y / r, sin * x / r, cos])
            }
            Self::Cea(lambda) => {
                let z = lambda * y / R0;
                if !(x.abs() <= 180.0 && z.abs() <= 1.0) {
                    return None;
                }
                let cos_lat = ((1.0 - z) * (1.0 + z)).sqrt();
                let (sin, cos) = libm::sincos(x.to_radians());
                Some([cos_lat * cos, cos_lat * sin, z])
            }
        }
    }

    /// From the native sphere to the plane. `zeta_end` is [`Projection::monotone_end`].
    #[inline]
    pub(super) fn to_plane(&self, [l, m, s]: [f64; 3], zeta_end: f64) -> Option<(f64, f64)> {
        match self {
            Self::Tan => (s > 0.0).then(|| (R0 * m / s, -R0 * l / s)),
            Self::Stg => {
                // On the far half 1 + s = (l^2 + m^2) / (1 - s) keeps its digits.
                let d = if s >= 0.0 { 1.0 + s } else { (l * l + m * m) / (1.0 - s) };
                (d > 0.0).then(|| (2.0 * R0 * m / d, -2.0 * R0 * l / d))
            }
            Self::Zpn(coefficients) => {
                let sin = (l * l + m * m).sqrt();
                let zeta = libm::atan2(sin, s);
                let r = R0 * radius(coefficients, zeta).0;
                if !(zeta <= zeta_end && r >= 0.0) {
                    return None;
                }
                Some(if sin > 0.0 { (r * m / sin, -r * l / sin) } else { (0.0, -r) })
            }
            Self::Cea(lambda) => Some((libm::atan2(m, l).to_degrees(), R0 * s / lambda)),
        }
    }
}

/// Radius of colatitude `zeta`, both radians, and its derivative.
#[inline]
fn radius(coefficients: &[f64], zeta: f64) -> (f64, f64) {
    coefficients.iter().rev().fold((0.0, 0.0), |(r, slope), c| (r * zeta + c, slope * zeta + r))
}

/// The colatitude in `[0, end]` of radius `r`: Newton's method kept inside a bracket.
fn colatitude(coefficients: &[f64], r: f64, end: f64) -> Option<f64> {
    let (mut low, mut high) = (0.0, end);
    if !(r >= radius(coefficients, low).0 && r <= radius(coefficients, high).0) {
        return None;
    }
    let slope = coefficients.get(1).copied().unwrap_or_default();
    let mut zeta = if slope > 0.0 { (r / slope).min(end) } else { 0.5 * end };
    // Bisection alone would end after 60 halvings.
    for _ in 0..100 {
        let (value, slope) = radius(coefficients, zeta);
        if value < r {
            low = zeta;
        } else {
            high = zeta;
        }
        let newton = zeta - (value - r) / slope;
        let next = if newton >= low && newton <= high { newton } else { 0.5 * (low + high) };
        let step = (next - zeta).abs();
        zeta = next;
        if step <= 1e-14 * zeta {
            break;
        }
    }
    Some(zeta)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zpn_ends_at_its_first_extremum() {
        // r = z - z^3 grows up to 1 / sqrt 3.
        let zpn = Projection::Zpn(vec![0.0, 1.0, 0.0, -1.0]);
        let end = zpn.monotone_end();
        assert!((end - 1.0 / 3.0_f64.sqrt()).abs() < 1e-12);
        let limit = R0 * radius(&[0.0, 1.0, 0.0, -1.0], end).0;
        assert!(zpn.to_native(0.0, limit * (1.0 - 1e-9), end).is_some());
        assert_eq!(zpn.to_native(0.0, limit * (1.0 + 1e-9), end), None);
        let beyond = end + 1e-6;
        assert_eq!(zpn.to_plane([beyond.sin(), 0.0, beyond.cos()], end), None);
    }

    #[test]
    fn the_far_half_has_no_tangent_plane() {
        assert_eq!(Projection::Tan.to_plane([1.0, 0.0, 0.0], PI), None);
        assert_eq!(Projection::Tan.to_plane([0.6, 0.0, -0.8], PI), None);
        assert_eq!(Projection::Stg.to_plane([0.0, 0.0, -1.0], PI), None);
    }
}
