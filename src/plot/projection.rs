//! [`SkyProjection`]: how the sky is laid on a page.

use std::f64::consts::{FRAC_PI_2, PI, SQRT_2};

use crate::sphere::{LonLat, UnitVector};

/// How the sky is laid on a page. Formulae: M. R. Calabretta and E. W. Greisen, "Representations of celestial coordinates
/// in FITS", A&A 395, 1077 (2002); `Hammer` is their Hammer-Aitoff `AIT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkyProjection {
    /// From the sphere's centre to a tangent plane (`TAN`): great circles are straight lines. For fields of up to some tens of
    /// degrees.
    Gnomonic,
    /// Lambert's azimuthal equal-area projection (`ZEA`). For a hemisphere.
    Azimuthal,
    /// The whole sky, equal areas, parallels straight (`MOL`).
    Mollweide,
    /// The whole sky, equal areas, after Hammer and Aitoff (`AIT`).
    Hammer,
}

impl SkyProjection {
    /// The projection that suits a field that reaches `radius` radians from its centre.
    pub fn for_radius(radius: f64) -> Self {
        match radius.to_degrees() {
            r if r <= 20.0 => Self::Gnomonic,
            r if r <= 75.0 => Self::Azimuthal,
            _ => Self::Mollweide,
        }
    }

    /// Whether it shows the whole sky, cut open along a meridian.
    pub fn is_all_sky(self) -> bool {
        matches!(self, Self::Mollweide | Self::Hammer)
    }
}

/// A projection around a centre. The plane's coordinates grow to the east and to the north; near the centre they are radians.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub(super) kind: SkyProjection,
    centre: UnitVector,
    east: UnitVector,
    north: UnitVector,
    /// How far from the centre is shown, as a cosine; -1 without a limit.
    pub(super) horizon: f64,
}

/// A position in the frame of a placed projection: towards its centre, its east, its north.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Local {
    pub(super) u: f64,
    pub(super) e: f64,
    pub(super) n: f64,
}

impl Placed {
    /// Around a centre; of a centre of the whole sky only the longitude is taken.
    pub(super) fn new(kind: SkyProjection, centre: LonLat) -> Self {
        let lat = if kind.is_all_sky() { 0.0 } else { centre.lat };
        let (sin_lon, cos_lon) = libm::sincos(centre.lon);
        let (sin_lat, cos_lat) = libm::sincos(lat);
        Self {
            kind,
            centre: UnitVector { x: cos_lat * cos_lon, y: cos_lat * sin_lon, z: sin_lat },
            east: UnitVector { x: -sin_lon, y: cos_lon, z: 0.0 },
            north: UnitVector { x: -sin_lat * cos_lon, y: -sin_lat * sin_lon, z: cos_lat },
            horizon: match kind {
                SkyProjection::Gnomonic => libm::cos(85.0_f64.to_radians()),
                SkyProjection::Azimuthal => libm::cos(178.0_f64.to_radians()),
                SkyProjection::Mollweide | SkyProjection::Hammer => -1.0,
            },
        }
    }

    pub(super) fn local(&self, v: UnitVector) -> Local {
        Local { u: v.dot(self.centre), e: v.dot(self.east), n: v.dot(self.north) }
    }

    pub(super) fn global(&self, l: Local) -> UnitVector {
        let sum = |c: f64, e: f64, n: f64| l.u * c + l.e * e + l.n * n;
        UnitVector {
            x: sum(self.centre.x, self.east.x, self.north.x),
            y: sum(self.centre.y, self.east.y, self.north.y),
            z: sum(self.centre.z, self.east.z, self.north.z),
        }
    }

    /// Where a position falls; `None` where the projection has none. On the seam of a map of the whole sky the sign of `e`,
    /// that of a zero too, says on which side.
    pub(super) fn forward(&self, l: Local) -> Option<(f64, f64)> {
        match self.kind {
            SkyProjection::Gnomonic => (l.u >= 0.5 * self.horizon).then(|| (l.e / l.u, l.n / l.u)),
            SkyProjection::Azimuthal => {
                let k = (2.0 / (1.0 + l.u)).sqrt();
                (l.u > -1.0 + 1e-9).then_some((k * l.e, k * l.n))
            }
            SkyProjection::Mollweide => {
                let theta = mollweide_angle(l.n.clamp(-1.0, 1.0));
                let x = 2.0 * SQRT_2 / PI * libm::atan2(l.e, l.u) * libm::cos(theta);
                Some((x, SQRT_2 * libm::sin(theta)))
            }
            SkyProjection::Hammer => {
                let cos_lat = libm::hypot(l.u, l.e);
                let (sin_half, cos_half) = libm::sincos(0.5 * libm::atan2(l.e, l.u));
                let d = (1.0 + cos_lat * cos_half).sqrt();
                Some((2.0 * SQRT_2 * cos_lat * sin_half / d, SQRT_2 * l.n / d))
            }
        }
    }

    /// The position at a place of the plane; `None` beyond the border of the sky.
    pub(super) fn inverse(&self, x: f64, y: f64) -> Option<UnitVector> {
        let local = match self.kind {
            SkyProjection::Gnomonic => {
                let u = 1.0 / (1.0 + x * x + y * y).sqrt();
                Local { u, e: x * u, n: y * u }
            }
            SkyProjection::Azimuthal => {
                let rho2 = x * x + y * y;
                if rho2 > 4.0 {
                    return None;
                }
                let k = (1.0 - 0.25 * rho2).sqrt();
                Local { u: 1.0 - 0.5 * rho2, e: k * x, n: k * y }
            }
            SkyProjection::Mollweide => {
                let sin_theta = y / SQRT_2;
                if sin_theta.abs() > 1.0 {
                    return None;
                }
                let theta = libm::asin(sin_theta);
                let n = ((2.0 * theta + libm::sin(2.0 * theta)) / PI).clamp(-1.0, 1.0);
                let lon = PI * x / (2.0 * SQRT_2 * libm::cos(theta));
                if lon.is_nan() || lon.abs() > PI {
                    return None;
                }
                around(lon, n)
            }
            SkyProjection::Hammer => {
                let z2 = 1.0 - x * x / 16.0 - y * y / 4.0;
                if z2 < 0.5 {
                    return None;
                }
                let z = z2.sqrt();
                let lon = 2.0 * libm::atan2(z * x, 2.0 * (2.0 * z2 - 1.0));
                around(lon, (y * z).clamp(-1.0, 1.0))
            }
        };
        let v = self.global(local);
        UnitVector::normalized(v.x, v.y, v.z)
    }

    /// Half the width and half the height of the plane of a map of the whole sky.
    pub(super) const WHOLE: (f64, f64) = (2.0 * SQRT_2, SQRT_2);
}

fn around(lon: f64, n: f64) -> Local {
    let cos_lat = (1.0 - n * n).max(0.0).sqrt();
    let (s, c) = libm::sincos(lon);
    Local { u: cos_lat * c, e: cos_lat * s, n }
}

/// Solves `2 t + sin 2 t = pi sin(lat)`.
fn mollweide_angle(sin_lat: f64) -> f64 {
    let target = PI * sin_lat;
    if sin_lat.abs() >= 1.0 {
        return FRAC_PI_2.copysign(sin_lat);
    }
    // Newton, started where the function bends least; near the poles from the leading term, where the slope vanishes.
    let near_pole = PI - target.abs();
    let mut t = if near_pole < 0.2 {
        FRAC_PI_2 - 0.5 * libm::cbrt(6.0 * near_pole)
    } else {
        0.5 * libm::asin(sin_lat).abs() * (1.0 + 0.3 * sin_lat.abs())
    };
    for _ in 0..30 {
        let slope = 2.0 + 2.0 * libm::cos(2.0 * t);
        let step = (2.0 * t + libm::sin(2.0 * t) - target.abs()) / slope.max(1e-12);
        t = (t - step).clamp(0.0, FRAC_PI_2);
        if step.abs() < 1e-14 {
            break;
        }
    }
    t.copysign(sin_lat)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [SkyProjection; 4] =
        [SkyProjection::Gnomonic, SkyProjection::Azimuthal, SkyProjection::Mollweide, SkyProjection::Hammer];

    #[test]
    fn forward_and_inverse_meet() {
        for kind in ALL {
            for centre in [(0.0, 0.0), (150.0, 2.2), (33.0, -89.9), (10.0, 90.0), (359.9, 45.0)] {
                let placed = Placed::new(kind, LonLat::from_degrees(centre.0, centre.1));
                let mut shown = 0;
                for i in 0..72 {
                    for j in -17..=17 {
                        let p = LonLat::from_degrees(f64::from(i) * 5.0 + 0.1, f64::from(j) * 5.0 + 0.07).to_unit();
                        let local = placed.local(p);
                        if local.u < placed.horizon {
                            continue;
                        }
                        let (x, y) = placed.forward(local).unwrap();
                        let back = placed.inverse(x, y).unwrap();
                        assert!(back.separation(p) < 1e-7, "{kind:?} {centre:?} {p:?} {back:?}");
                        shown += 1;
                    }
                }
                assert!(shown > 800, "{kind:?} {shown}");
            }
        }
    }

    #[test]
    fn known_places() {
        let at = |kind, lon, lat| {
            let placed = Placed::new(kind, LonLat::from_degrees(0.0, 0.0));
            placed.forward(placed.local(LonLat::from_degrees(lon, lat).to_unit())).unwrap()
        };
        let near =
            |a: (f64, f64), b: (f64, f64)| assert!((a.0 - b.0).abs() < 1e-9 && (a.1 - b.1).abs() < 1e-9, "{a:?} {b:?}");
        near(at(SkyProjection::Gnomonic, 45.0, 0.0), (1.0, 0.0));
        near(at(SkyProjection::Azimuthal, 0.0, 90.0), (0.0, SQRT_2));
        near(at(SkyProjection::Mollweide, 90.0, 0.0), (SQRT_2, 0.0));
        near(at(SkyProjection::Hammer, 0.0, 90.0), (0.0, SQRT_2));
        // Snyder, "Map Projections: A Working Manual", table 43: latitude 30 deg is at 0.40397 of the way to the pole.
        let (_, y) = at(SkyProjection::Mollweide, 0.0, 30.0);
        assert!((y / SQRT_2 - 0.403_973).abs() < 1e-6, "{y}");
        near(at(SkyProjection::Mollweide, 77.0, 90.0), (0.0, SQRT_2));
    }

    #[test]
    fn beyond_the_border_is_nothing() {
        for kind in [SkyProjection::Azimuthal, SkyProjection::Mollweide, SkyProjection::Hammer] {
            let placed = Placed::new(kind, LonLat::from_degrees(20.0, 0.0));
            assert!(placed.inverse(2.9, 0.0).is_none() && placed.inverse(2.2, 1.3).is_none(), "{kind:?}");
            assert!(placed.inverse(f64::NAN, 0.0).is_none(), "{kind:?}");
        }
        let placed = Placed::new(SkyProjection::Gnomonic, LonLat::from_degrees(20.0, 0.0));
        assert!(placed.forward(placed.local(LonLat::from_degrees(115.0, 0.0).to_unit())).is_none());
    }
}
