//! [`LonLat`]: a position on the sky as two angles.

use serde::{Deserialize, Serialize};

use super::{SphereError, UnitVector};

/// A position on the unit sphere: longitude (right ascension) and latitude (declination), radians, ICRS.
///
/// ```
/// use bunter::LonLat;
///
/// let cosmos = LonLat::from_degrees(150.1, 2.2);
/// let back = cosmos.to_unit().to_lon_lat();
/// assert!((back.lon_deg() - 150.1).abs() < 1e-12 && (back.lat_deg() - 2.2).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LonLat {
    /// Longitude, radians.
    pub lon: f64,
    /// Latitude, radians, in `[-pi/2, pi/2]`.
    pub lat: f64,
}

impl LonLat {
    /// From radians.
    pub const fn new(lon: f64, lat: f64) -> Self {
        Self { lon, lat }
    }

    /// From degrees.
    pub fn from_degrees(lon_deg: f64, lat_deg: f64) -> Self {
        Self { lon: lon_deg.to_radians(), lat: lat_deg.to_radians() }
    }

    /// The same position with its longitude in `[0, 2 pi)`.
    #[must_use]
    pub fn wrapped(self) -> Self {
        Self { lon: super::wrap(self.lon), lat: self.lat }
    }

    /// Refuses a position that is not finite or beyond a pole.
    pub(super) fn check(self, index: usize) -> Result<(), SphereError> {
        // Written so that NaN fails.
        if self.lon.is_finite() && self.lat.abs() <= std::f64::consts::FRAC_PI_2 {
            Ok(())
        } else {
            Err(SphereError::BadPosition { index, lon: self.lon.to_degrees(), lat: self.lat.to_degrees() })
        }
    }

    /// Longitude in degrees.
    pub fn lon_deg(self) -> f64 {
        self.lon.to_degrees()
    }

    /// Latitude in degrees.
    pub fn lat_deg(self) -> f64 {
        self.lat.to_degrees()
    }

    /// The unit vector `(cos lat cos lon, cos lat sin lon, sin lat)`.
    pub fn to_unit(self) -> UnitVector {
        UnitVector::from_lon_lat(self)
    }
}
