//! [`LonLat`]: a position on the sky as two angles.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Angle, SphereError, UnitVector};

/// A position on the unit sphere: longitude (right ascension) and latitude (declination), radians, ICRS.
///
/// ```
/// use bunter::LonLat;
///
/// let cosmos = LonLat::from_degrees(150.1, 2.2);
/// let back = cosmos.to_unit().to_lon_lat();
/// assert!((back.lon_deg() - 150.1).abs() < 1e-12 && (back.lat_deg() - 2.2).abs() < 1e-12);
/// let same: LonLat = "10:00:24 +02:12:00".parse()?;
/// assert!(same.separation(cosmos).arcsec() < 1e-9);
/// assert!("150.1 92.2".parse::<LonLat>().is_err());
/// # Ok::<(), bunter::SphereError>(())
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

    /// From two angles, checked.
    ///
    /// # Errors
    /// [`SphereError::BadPosition`] for angles that are not finite and latitudes beyond a pole.
    pub fn from_angles(lon: Angle, lat: Angle) -> Result<Self, SphereError> {
        let position = Self { lon: lon.radians(), lat: lat.radians() };
        position.check(0).map(|()| position)
    }

    /// Longitude.
    pub const fn lon_angle(self) -> Angle {
        Angle::from_radians(self.lon)
    }

    /// Latitude.
    pub const fn lat_angle(self) -> Angle {
        Angle::from_radians(self.lat)
    }

    /// The angle to another position.
    pub fn separation(self, other: Self) -> Angle {
        Angle::from_radians(self.to_unit().separation(other.to_unit()))
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

impl FromStr for LonLat {
    type Err = SphereError;

    /// Two words, or two parts around a comma: degrees (`150.1 2.2`), hours and degrees with colons (`10:00:24 +02:12:00`), or angles with units
    /// (`10h00m24s, 2d12m`).
    fn from_str(text: &str) -> Result<Self, SphereError> {
        let bad = |problem: &str| SphereError::NoAngle { text: text.to_owned(), problem: problem.to_owned() };
        let mut parts = text.split([',', ' ', '\t']).filter(|part| !part.is_empty());
        let (Some(lon), Some(lat), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(bad("a position is a longitude and a latitude: `150.1 2.2`, `10:00:24 +02:12:00`"));
        };
        let angle = |part: &str, colons: fn(&str) -> Result<Angle, SphereError>| match part.parse::<f64>() {
            Ok(degrees) => Ok(Angle::from_degrees(degrees)),
            Err(_) if part.contains(':') => colons(part),
            Err(_) => part.parse(),
        };
        Self::from_angles(angle(lon, Angle::from_hms)?, angle(lat, Angle::from_dms)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read() {
        for text in ["150.1 2.2", " 150.1,2.2 ", "10:00:24 +2:12:0", "10h00m24s 2d12m", "150.1deg, 132arcmin"] {
            let p: LonLat = text.parse().unwrap();
            assert!((p.lon_deg() - 150.1).abs() < 1e-12 && (p.lat_deg() - 2.2).abs() < 1e-12, "{text}: {p:?}");
        }
        for text in ["", "1", "1 2 3", "1 91", "NaN 0", "0 inf", "1 x", "1:60:00 2"] {
            assert!(text.parse::<LonLat>().is_err(), "{text}");
        }
        assert!(LonLat::from_angles(Angle::TURN, Angle::HALF).is_err());
    }
}
