//! [`LonLatBox`]: a range of longitude by a range of latitude.

use std::f64::consts::{FRAC_PI_2, TAU};

use serde::{Deserialize, Serialize};

use super::{LonLat, SphereError};

/// A closed box between two meridians and two parallels. It may reach across longitude 0.
///
/// ```
/// use bunter::{LonLat, LonLatBox};
///
/// let box_ = LonLatBox::from_degrees(359.0, 2.0, -1.0, 1.0)?;
/// assert!(box_.contains(LonLat::from_degrees(0.5, 0.0)));
/// assert!(!box_.contains(LonLat::from_degrees(180.0, 0.0)));
/// # Ok::<(), bunter::SphereError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LonLatBox {
    lon: f64,
    /// Below `lon` when the box reaches across 0; 2 pi when it goes all around.
    lon_end: f64,
    lat_min: f64,
    lat_max: f64,
}

impl LonLatBox {
    /// From its western border `lon`, its `width` eastward (0 to 2 pi), and its latitudes; radians.
    ///
    /// # Errors
    /// [`SphereError::BadAngle`].
    pub fn new(lon: f64, width: f64, lat_min: f64, lat_max: f64) -> Result<Self, SphereError> {
        let bad = |what, value, expected| Err(SphereError::BadAngle { what, value, expected });
        if !lon.is_finite() {
            return bad("longitude", lon, "a finite number");
        }
        if !(0.0..=TAU).contains(&width) {
            return bad("width in longitude", width, "0 to 2 pi");
        }
        if !(-FRAC_PI_2..=FRAC_PI_2).contains(&lat_min) {
            return bad("lower latitude", lat_min, "-pi/2 to pi/2");
        }
        if !(lat_min..=FRAC_PI_2).contains(&lat_max) {
            return bad("upper latitude", lat_max, "lower latitude to pi/2");
        }
        let (lon, lon_end) = ends(lon, width);
        Ok(Self { lon, lon_end, lat_min, lat_max })
    }

    /// As [`new`](Self::new), in degrees.
    ///
    /// # Errors
    /// [`SphereError::BadAngle`].
    pub fn from_degrees(lon_deg: f64, width_deg: f64, lat_min_deg: f64, lat_max_deg: f64) -> Result<Self, SphereError> {
        Self::new(lon_deg.to_radians(), width_deg.to_radians(), lat_min_deg.to_radians(), lat_max_deg.to_radians())
    }

    /// From angles known to be good.
    pub(crate) const fn unchecked(lon: f64, lon_end: f64, lat_min: f64, lat_max: f64) -> Self {
        Self { lon, lon_end, lat_min, lat_max }
    }

    /// A little wider than asked for, so that rounding leaves nothing out.
    pub(crate) fn covering(lon: f64, width: f64, lat_min: f64, lat_max: f64) -> Self {
        // Longitudes near a pole lose what the latitude's cosine costs; 1e-15 suffices elsewhere.
        let cos = libm::cos(lat_min).min(libm::cos(lat_max)).max(1e-15);
        let (dlon, dlat) = (4e-16 / cos + 4e-15, 4e-15);
        let (lon, lon_end) = ends(lon - dlon, (width + 2.0 * dlon).min(TAU));
        Self { lon, lon_end, lat_min: (lat_min - dlat).max(-FRAC_PI_2), lat_max: (lat_max + dlat).min(FRAC_PI_2) }
    }

    /// The western border, radians in `[0, 2 pi)`.
    pub fn lon(self) -> f64 {
        self.lon
    }

    /// The extent eastward from [`lon`](Self::lon), radians in `[0, 2 pi]`.
    pub fn width(self) -> f64 {
        if self.lon_end >= TAU { TAU } else { wrap(self.lon_end - self.lon) }
    }

    /// The eastern border, radians in `[0, 2 pi)`, or 2 pi when the box goes all around.
    pub fn lon_end(self) -> f64 {
        self.lon_end
    }

    /// The southern border, radians.
    pub fn lat_min(self) -> f64 {
        self.lat_min
    }

    /// The northern border, radians.
    pub fn lat_max(self) -> f64 {
        self.lat_max
    }

    /// Whether the point is inside or on the border.
    pub fn contains(self, point: LonLat) -> bool {
        let lat = (self.lat_min..=self.lat_max).contains(&point.lat);
        lat && (point.lat.abs() >= FRAC_PI_2 || self.contains_lon(wrap(point.lon)))
    }

    /// Whether a position's longitude is the box's to within rounding.
    pub(super) fn nearly_contains_lon(self, p: LonLat) -> bool {
        let slack = 4e-15 / libm::cos(p.lat).max(1e-15);
        let past = wrap(p.lon - self.lon + slack);
        self.lon_end >= TAU || slack >= TAU || past <= self.width() + 2.0 * slack
    }

    pub(super) fn contains_lon(self, lon: f64) -> bool {
        if self.lon <= self.lon_end {
            (self.lon..=self.lon_end).contains(&lon)
        } else {
            lon >= self.lon || lon <= self.lon_end
        }
    }

    /// Steradians.
    pub fn area(self) -> f64 {
        // sin b - sin a without cancellation.
        let half = 0.5 * (self.lat_max - self.lat_min);
        self.width() * 2.0 * libm::cos(0.5 * (self.lat_max + self.lat_min)) * libm::sin(half)
    }

    /// Whether the two share a point.
    pub fn intersects(self, other: Self) -> bool {
        if self.lat_min > other.lat_max || other.lat_min > self.lat_max {
            return false;
        }
        self.reaches_pole(other) || self.contains_lon(other.lon) || other.contains_lon(self.lon)
    }

    /// Whether it is nothing but a pole.
    fn is_pole(self) -> bool {
        self.lat_min >= FRAC_PI_2 || self.lat_max <= -FRAC_PI_2
    }

    /// By the ends as they are: differences of them are rounded.
    fn contains_lons(self, other: Self) -> bool {
        let (from, to) = (other.lon >= self.lon, other.lon_end <= self.lon_end);
        match (self.lon <= self.lon_end, other.lon <= other.lon_end) {
            (true, false) => false,
            (true, true) | (false, false) => from && to,
            (false, true) => other.lon_end < TAU && (from || to),
        }
    }

    fn reaches_pole(self, other: Self) -> bool {
        (self.lat_max >= FRAC_PI_2 && other.lat_max >= FRAC_PI_2)
            || (self.lat_min <= -FRAC_PI_2 && other.lat_min <= -FRAC_PI_2)
    }

    /// Whether every point of `other` is in this box.
    pub fn contains_box(self, other: Self) -> bool {
        self.lat_min <= other.lat_min
            && self.lat_max >= other.lat_max
            && (self.lon_end >= TAU || other.is_pole() || self.contains_lons(other))
    }
}

/// The borders of a range of longitude.
fn ends(lon: f64, width: f64) -> (f64, f64) {
    if width >= TAU { (0.0, TAU) } else { (wrap(lon), wrap(lon + width)) }
}

/// An angle turned into `[0, 2 pi)`.
pub(crate) fn wrap(angle: f64) -> f64 {
    let mut w = angle % TAU;
    if w < 0.0 {
        w += TAU;
    }
    if w >= TAU { 0.0 } else { w }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_across_zero() {
        let b = |l, w, s, n| LonLatBox::from_degrees(l, w, s, n).unwrap();
        let wrapped = b(350.0, 20.0, -5.0, 5.0);
        assert!(wrapped.intersects(b(9.0, 1.0, 0.0, 1.0)));
        assert!(wrapped.contains_box(b(355.0, 10.0, 0.0, 1.0)));
        assert!(!wrapped.contains_box(b(345.0, 10.0, 0.0, 1.0)));
        assert!(!wrapped.intersects(b(11.0, 300.0, 0.0, 1.0)));
        assert!(b(0.0, 360.0, -90.0, 90.0).contains_box(wrapped));
        assert!((b(0.0, 360.0, -90.0, 90.0).area() - 4.0 * std::f64::consts::PI).abs() < 1e-14);
        // Two boxes that reach the same pole share it.
        assert!(b(0.0, 1.0, 80.0, 90.0).intersects(b(180.0, 1.0, 85.0, 90.0)));
    }

    #[test]
    fn bad_angles_are_refused() {
        for (l, w, s, n) in [
            (f64::NAN, 1.0, 0.0, 1.0),
            (0.0, -1.0, 0.0, 1.0),
            (0.0, 361.0, 0.0, 1.0),
            (0.0, 1.0, -91.0, 1.0),
            (0.0, 1.0, 2.0, 1.0),
        ] {
            assert!(matches!(LonLatBox::from_degrees(l, w, s, n), Err(SphereError::BadAngle { .. })));
        }
    }
}
