//! [`Pointing`] and [`Pointings`]: where a camera looks, and how it is turned.

use rayon::prelude::*;

use super::CameraError;
use crate::sphere::{LonLat, UnitVector};

/// Where a camera looks: the boresight, and how the focal plane is turned on the sky.
///
/// At rotation 0 the focal plane's +y points north and its +x west (east for a camera with `flip_x`); a positive rotation
/// turns +x from west towards north, and +y from north towards east: it is the angle of Rubin's `rotSkyPos`.
///
/// ```
/// use bunter::camera::Pointing;
///
/// let pointing = Pointing::from_degrees(150.1, 2.2, 45.0)?;
/// assert!((pointing.boresight().lat_deg() - 2.2).abs() < 1e-12);
/// assert!(Pointing::from_degrees(150.1, 92.0, 0.0).is_err());
/// # Ok::<(), bunter::camera::CameraError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pointing {
    boresight: LonLat,
    rotation: f64,
    pub(super) frame: Frame,
}

/// Three directions at right angles: the boresight, and where +x and +y of the field are on the sky.
///
/// A position at the field angles `(fx, fy)` is `b + fx u + fy w`, normalised: the inverse gnomonic projection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Frame {
    pub(super) b: [f64; 3],
    pub(super) u: [f64; 3],
    pub(super) w: [f64; 3],
}

impl Frame {
    fn new(ra: f64, dec: f64, rotation: f64) -> Self {
        // `libm`: the same last bit on every machine.
        let (sin_a, cos_a) = libm::sincos(ra);
        let (sin_d, cos_d) = libm::sincos(dec);
        let (sin_o, cos_o) = libm::sincos(rotation);
        let east = [-sin_a, cos_a, 0.0];
        let north = [-sin_d * cos_a, -sin_d * sin_a, cos_d];
        let mix = |e: f64, n: f64| [0, 1, 2].map(|i: usize| e * east[i] + n * north[i]);
        // xi = -cos(o) fx + sin(o) fy, eta = sin(o) fx + cos(o) fy; xi towards east, eta towards north.
        Self { b: [cos_d * cos_a, cos_d * sin_a, sin_d], u: mix(-cos_o, sin_o), w: mix(sin_o, cos_o) }
    }

    /// The position whose components along boresight, +x and +y are `(s, a, c)`.
    #[inline]
    pub(super) fn unit(&self, [a, c, s]: [f64; 3]) -> UnitVector {
        let at = |i: usize| s * self.b[i] + a * self.u[i] + c * self.w[i];
        UnitVector { x: at(0), y: at(1), z: at(2) }
    }

    /// Field angles (radians) of a position; `None` on the other side of the sky.
    #[inline]
    pub(super) fn field(&self, v: UnitVector) -> Option<(f64, f64)> {
        let dot = |d: &[f64; 3]| d[0] * v.x + d[1] * v.y + d[2] * v.z;
        let depth = dot(&self.b);
        (depth > 0.0).then(|| (dot(&self.u) / depth, dot(&self.w) / depth))
    }
}

impl Pointing {
    /// A pointing at right ascension and declination (ICRS) with a rotation, all in degrees. Right ascension and rotation may
    /// have any finite value.
    ///
    /// # Errors
    /// [`CameraError::BadPointing`] for values that are not finite, and a declination beyond a pole.
    pub fn from_degrees(ra: f64, dec: f64, rotation: f64) -> Result<Self, CameraError> {
        check(0, ra, dec, rotation)?;
        let (boresight, rotation) = (LonLat::from_degrees(ra, dec), rotation.to_radians());
        Ok(Self { boresight, rotation, frame: Frame::new(boresight.lon, boresight.lat, rotation) })
    }

    /// Where the camera looks, ICRS.
    pub fn boresight(&self) -> LonLat {
        self.boresight
    }

    /// How the focal plane is turned, radians.
    pub fn rotation(&self) -> f64 {
        self.rotation
    }
}

/// Many pointings: columns that were checked once.
#[derive(Clone, Debug, Default)]
pub struct Pointings {
    pub(super) frames: Vec<Frame>,
}

impl Pointings {
    /// From columns of right ascension, declination (ICRS) and rotation, degrees, one row a pointing.
    ///
    /// # Errors
    /// [`CameraError::BadPointing`] with the first row that has a value that is not finite, or a declination beyond a pole;
    /// [`CameraError::Lengths`].
    ///
    /// ```
    /// use bunter::camera::Pointings;
    ///
    /// let pointings = Pointings::from_degrees(&[10.0, 20.0], &[-30.0, -31.0], &[0.0, 90.0])?;
    /// assert_eq!(pointings.len(), 2);
    /// let error = Pointings::from_degrees(&[10.0, f64::NAN], &[-30.0, -31.0], &[0.0, 90.0]).unwrap_err();
    /// assert!(error.to_string().contains("row 1"));
    /// # Ok::<(), bunter::camera::CameraError>(())
    /// ```
    pub fn from_degrees(ra: &[f64], dec: &[f64], rotation: &[f64]) -> Result<Self, CameraError> {
        same_length("ra, dec and rotation", ra.len(), &[dec.len(), rotation.len()])?;
        let bad =
            (0..ra.len()).into_par_iter().find_first(|&row| check(row, ra[row], dec[row], rotation[row]).is_err());
        if let Some(row) = bad {
            check(row, ra[row], dec[row], rotation[row])?;
        }
        let frames = ra
            .par_iter()
            .zip(dec)
            .zip(rotation)
            .map(|((ra, dec), rotation)| {
                let p = LonLat::from_degrees(*ra, *dec);
                Frame::new(p.lon, p.lat, rotation.to_radians())
            })
            .collect();
        Ok(Self { frames })
    }

    /// Number of pointings.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Some of them.
    ///
    /// # Panics
    /// When the range does not lie within [`len`](Self::len).
    #[must_use]
    pub fn slice(&self, rows: std::ops::Range<usize>) -> Self {
        Self { frames: self.frames[rows].to_vec() }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

impl From<Pointing> for Pointings {
    fn from(pointing: Pointing) -> Self {
        Self { frames: vec![pointing.frame] }
    }
}

fn check(row: usize, ra: f64, dec: f64, rotation: f64) -> Result<(), CameraError> {
    let bad = |what, value| Err(CameraError::BadPointing { row, what, value });
    if !ra.is_finite() {
        return bad("right ascension", ra);
    }
    // Written so that NaN fails.
    if !(-90.0..=90.0).contains(&dec) {
        return bad("declination", dec);
    }
    if !rotation.is_finite() {
        return bad("rotation", rotation);
    }
    Ok(())
}

pub(super) fn same_length(what: &'static str, first: usize, others: &[usize]) -> Result<(), CameraError> {
    match others.iter().find(|n| **n != first) {
        Some(other) => Err(CameraError::Lengths { what, first, other: *other }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_is_right_and_left_as_the_parity_says() {
        for (ra, dec, rotation) in [(0.0, 0.0, 0.0), (123.0, -45.0, 77.0), (359.0, 90.0, -10.0), (10.0, -90.0, 1e4)] {
            let Frame { b, u, w } = Pointing::from_degrees(ra, dec, rotation).unwrap().frame;
            let dot = |p: [f64; 3], q: [f64; 3]| p[0] * q[0] + p[1] * q[1] + p[2] * q[2];
            for (p, q, expected) in [(b, b, 1.0), (u, u, 1.0), (w, w, 1.0), (b, u, 0.0), (b, w, 0.0), (u, w, 0.0)] {
                assert!((dot(p, q) - expected).abs() < 1e-15);
            }
            // +x to the west of +y as north: seen from inside the sphere the two are right-handed, from outside left-handed.
            let cross = [u[1] * w[2] - u[2] * w[1], u[2] * w[0] - u[0] * w[2], u[0] * w[1] - u[1] * w[0]];
            assert!((dot(b, cross) + 1.0).abs() < 1e-15);
        }
    }

    #[test]
    fn bad_values_are_named() {
        for (row, part) in [
            ((f64::NAN, 0.0, 0.0), "right ascension is NaN"),
            ((0.0, 90.000_001, 0.0), "declination is 90.000001"),
            ((0.0, f64::NAN, 0.0), "declination is NaN"),
            ((0.0, 0.0, f64::INFINITY), "rotation is inf"),
        ] {
            let error = Pointing::from_degrees(row.0, row.1, row.2).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert!(Pointings::from_degrees(&[1.0], &[1.0, 2.0], &[0.0]).is_err());
    }
}
