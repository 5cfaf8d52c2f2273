//! [`Projection`] and the closed forms of the three that sky maps use.

use std::f64::consts::FRAC_PI_2;

use serde::{Deserialize, Serialize};

use crate::sphere::{LonLat, UnitVector};

/// How a tract's sky is laid flat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Projection {
    /// Gnomonic: great circles are straight lines. Every survey uses it.
    #[default]
    Tan,
    /// Stereographic.
    Stg,
    /// Cylindrical equal area, lambda = 1.
    Cea,
}

impl Projection {
    /// The three letters of the FITS standard.
    pub fn code(self) -> &'static str {
        match self {
            Self::Tan => "TAN",
            Self::Stg => "STG",
            Self::Cea => "CEA",
        }
    }
}

/// The tangent frame of a tract: its reference point, and east and north there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) centre: UnitVector,
    pub(super) east: UnitVector,
    pub(super) north: UnitVector,
}

/// Pixels to and from the tangent frame, the same for all tracts of a map.
#[derive(Clone, Copy, Debug)]
pub(super) struct PixelScale {
    pub(super) projection: Projection,
    /// Degrees a pixel.
    pub(super) cd_deg: [[f64; 2]; 2],
    /// Pixels a radian.
    pub(super) inverse: [[f64; 2]; 2],
    /// Radians a pixel.
    pub(super) scale: f64,
}

impl Frame {
    /// The frame at `crval`. At a declination of +90 deg exactly the FITS default of LONPOLE is 0 instead of 180 for a zenithal
    /// projection, which turns the pixel plane by half a turn.
    pub(super) fn new(crval: LonLat, projection: Projection) -> Self {
        let (sin_a, cos_a) = libm::sincos(crval.lon);
        let (sin_d, cos_d) = libm::sincos(crval.lat);
        let turned = crval.lat >= FRAC_PI_2 && projection != Projection::Cea;
        let s = if turned { -1.0 } else { 1.0 };
        Self {
            centre: UnitVector { x: cos_d * cos_a, y: cos_d * sin_a, z: sin_d },
            east: UnitVector { x: -s * sin_a, y: s * cos_a, z: 0.0 },
            north: UnitVector { x: -s * sin_d * cos_a, y: -s * sin_d * sin_a, z: s * cos_d },
        }
    }
}

impl PixelScale {
    pub(super) fn new(projection: Projection, pixel_scale_arcsec: f64, rotation_deg: f64) -> Self {
        let scale = pixel_scale_arcsec * (1.0_f64.to_radians() / 3600.0);
        let s = scale.to_degrees();
        let (sin, cos) = libm::sincos(rotation_deg.to_radians());
        let (c, t) = (s * cos, s * sin);
        // The matrix is a reflection times the scale: it is its own inverse, times the scale squared.
        let [i, j] = [cos / scale, sin / scale];
        Self { projection, cd_deg: [[-c, t], [t, c]], inverse: [[-i, j], [j, i]], scale }
    }

    /// Pixel offset from the reference pixel of intermediate world coordinates, radians.
    pub(super) fn offset(&self, xi: f64, eta: f64) -> [f64; 2] {
        let m = &self.inverse;
        [m[0][0] * xi + m[0][1] * eta, m[1][0] * xi + m[1][1] * eta]
    }

    /// Intermediate world coordinates, radians, of a position; `None` where the projection does not reach.
    pub(super) fn project(&self, frame: &Frame, v: UnitVector) -> Option<(f64, f64)> {
        let (x, y, z) = (v.dot(frame.east), v.dot(frame.north), v.dot(frame.centre));
        match self.projection {
            Projection::Tan => (z > 0.0).then(|| (x / z, y / z)),
            Projection::Stg => {
                let half = 0.5 * (1.0 + z);
                (half > 1e-15).then(|| (x / half, y / half))
            }
            Projection::Cea => (!z.is_nan()).then(|| (libm::atan2(x, z), y)),
        }
    }

    /// Pixel position of a place on the sky.
    pub(super) fn sky_to_pixel(&self, frame: &Frame, crpix: [f64; 2], v: UnitVector) -> Option<(f64, f64)> {
        let (xi, eta) = self.project(frame, v)?;
        let [x, y] = self.offset(xi, eta);
        let (x, y) = (x + crpix[0], y + crpix[1]);
        (x.is_finite() && y.is_finite()).then_some((x, y))
    }

    /// Place on the sky of a pixel position; `None` when the projection has no such place.
    pub(super) fn pixel_to_sky(&self, frame: &Frame, crpix: [f64; 2], x: f64, y: f64) -> Option<UnitVector> {
        let (dx, dy) = (x - crpix[0], y - crpix[1]);
        let m = &self.cd_deg;
        let xi = (m[0][0] * dx + m[0][1] * dy).to_radians();
        let eta = (m[1][0] * dx + m[1][1] * dy).to_radians();
        let (a, b, c) = match self.projection {
            Projection::Tan => (1.0, xi, eta),
            Projection::Stg => (1.0 - 0.25 * (xi * xi + eta * eta), xi, eta),
            Projection::Cea => {
                // Beyond the poles there is no sky.
                if eta.is_nan() || eta.abs() > 1.0 {
                    return None;
                }
                let cos = (1.0 - eta * eta).sqrt();
                let (sin_lon, cos_lon) = libm::sincos(xi);
                (cos * cos_lon, cos * sin_lon, eta)
            }
        };
        let (f, e, n) = (frame.centre, frame.east, frame.north);
        UnitVector::normalized(a * f.x + b * e.x + c * n.x, a * f.y + b * e.y + c * n.y, a * f.z + b * e.z + c * n.z)
    }

    /// Distance from the reference point, in intermediate coordinates, of the places an angle away to east (or
    /// west) and to north (or south).
    pub(super) fn reach(&self, angle: f64) -> Option<(f64, f64)> {
        match self.projection {
            Projection::Tan => (angle < FRAC_PI_2).then(|| (libm::tan(angle), libm::tan(angle))),
            Projection::Stg => (angle < 3.0).then(|| (2.0 * libm::tan(0.5 * angle), 2.0 * libm::tan(0.5 * angle))),
            Projection::Cea => (angle <= FRAC_PI_2).then(|| (angle, libm::sin(angle))),
        }
    }
}
