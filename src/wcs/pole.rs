//! The rotation between native and celestial coordinates (FITS WCS Paper II, section 2.4).

use super::WcsError;

/// Sine and cosine of an angle in degrees, exact at the multiples of 90.
pub(super) fn sincos_deg(angle: f64) -> (f64, f64) {
    let turns = (angle / 90.0).round();
    let (sin, cos) = libm::sincos((angle - 90.0 * turns).to_radians());
    match turns.rem_euclid(4.0) as u8 {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

/// The default of `LONPOLE`: 0 when the reference point is at least as far north as its native latitude, 180 otherwise.
pub(super) fn default_lonpole(lat_deg: f64, reference: [f64; 2]) -> f64 {
    let lonpole = reference[0] + if lat_deg >= reference[1] { 0.0 } else { 180.0 };
    if lonpole > 180.0 { lonpole - 360.0 } else { lonpole }
}

/// The matrix that turns native into celestial unit vectors; its transpose turns back.
///
/// `crval` are celestial longitude and latitude of the reference point, `reference` its native ones; `lonpole` and
/// `latpole` the native longitude and latitude of the celestial pole; all degrees.
pub(super) fn native_to_celestial(
    crval: [f64; 2],
    reference: [f64; 2],
    lonpole: f64,
    latpole: f64,
) -> Result<[[f64; 3]; 3], WcsError> {
    let [lon, lat] = native_pole(crval, reference, lonpole, latpole)?;
    let (sin_lon, cos_lon) = sincos_deg(lon);
    let (sin_lat, cos_lat) = sincos_deg(lat);
    let (sin_p, cos_p) = sincos_deg(lonpole);
    // Native longitude minus `lonpole`, then the tilt of the pole, then its longitude.
    let tilted = [
        [-sin_lat * cos_p, -sin_lat * sin_p, cos_lat],
        [sin_p, -cos_p, 0.0],
        [cos_lat * cos_p, cos_lat * sin_p, sin_lat],
    ];
    let [a, b, c] = tilted;
    let turn = |p: f64, q: f64| [0, 1, 2].map(|i: usize| p * a[i] + q * b[i]);
    Ok([turn(cos_lon, -sin_lon), turn(sin_lon, cos_lon), c])
}

/// Celestial longitude and latitude of the native pole, degrees (Paper II, equations 8 to 10).
fn native_pole(crval: [f64; 2], reference: [f64; 2], lonpole: f64, latpole: f64) -> Result<[f64; 2], WcsError> {
    const TOLERANCE: f64 = 1e-10;
    let ([lon0, lat0], [phi0, theta0]) = (crval, reference);
    #[expect(clippy::float_cmp, reason = "the native pole itself is the reference point, not one near it")]
    if theta0 == 90.0 {
        return Ok([lon0, lat0]);
    }
    let impossible = WcsError::Pole { lonpole_deg: lonpole, latpole_deg: latpole, lat_deg: lat0 };
    let (sin_lat0, cos_lat0) = sincos_deg(lat0);
    let (sin_theta0, cos_theta0) = sincos_deg(theta0);
    let (sin_dp, cos_dp) = sincos_deg(lonpole - phi0);
    let z = libm::hypot(cos_theta0 * cos_dp, sin_theta0);
    let lat = if z == 0.0 {
        // The reference point is 90 degrees from the pole whatever its latitude: `LATPOLE` alone decides.
        if sin_lat0.abs() > TOLERANCE {
            return Err(impossible);
        }
        latpole
    } else {
        let u = libm::atan2(sin_theta0, cos_theta0 * cos_dp).to_degrees();
        let rest = (z - sin_lat0) * (z + sin_lat0);
        if rest < -TOLERANCE {
            return Err(impossible);
        }
        let v = libm::atan2(rest.max(0.0).sqrt(), sin_lat0).to_degrees();
        let wrap = |a: f64| {
            if a > 180.0 {
                a - 360.0
            } else if a < -180.0 {
                a + 360.0
            } else {
                a
            }
        };
        let (first, second) = (wrap(u + v), wrap(u - v));
        let (near, far) =
            if (latpole - first).abs() < (latpole - second).abs() { (first, second) } else { (second, first) };
        let on_sphere = |lat: f64| lat.abs() < 90.0 + TOLERANCE;
        [near, far].into_iter().find(|lat| on_sphere(*lat)).ok_or(impossible.clone())?.clamp(-90.0, 90.0)
    };
    let (sin_lat, cos_lat) = sincos_deg(lat);
    let z = cos_lat * cos_lat0;
    let lon = if z.abs() < TOLERANCE {
        if cos_lat0.abs() < TOLERANCE {
            lon0
        } else if lat > 0.0 {
            lon0 + lonpole - phi0 - 180.0
        } else {
            lon0 - lonpole + phi0
        }
    } else {
        let (y, x) = (sin_dp * cos_theta0 / cos_lat0, (sin_theta0 - sin_lat * sin_lat0) / z);
        if x == 0.0 && y == 0.0 {
            return Err(impossible);
        }
        lon0 - libm::atan2(y, x).to_degrees()
    };
    Ok([lon, lat])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarter_turns_are_exact() {
        for (turns, expected) in [(0.0, (0.0, 1.0)), (1.0, (1.0, 0.0)), (2.0, (0.0, -1.0)), (-1.0, (-1.0, 0.0))] {
            assert_eq!(sincos_deg(90.0 * turns), expected);
            assert_eq!(sincos_deg(90.0 * (turns + 8.0)), expected);
        }
        let (sin, cos) = sincos_deg(30.0);
        assert!((sin - 0.5).abs() < 1e-16 && (cos - 0.75_f64.sqrt()).abs() < 2e-16);
    }

    #[test]
    fn the_matrix_is_a_rotation_that_moves_the_reference_point() {
        for crval in [[10.0, 20.0], [300.0, 90.0], [0.0, -90.0], [123.0, -45.0], [7.0, 0.0]] {
            for reference in [[0.0, 90.0], [0.0, 0.0]] {
                for lonpole in [0.0, 180.0, 150.0] {
                    let Ok(m) = native_to_celestial(crval, reference, lonpole, 90.0) else { continue };
                    for i in 0..3 {
                        for j in 0..3 {
                            let dot: f64 = (0..3).map(|k| m[i][k] * m[j][k]).sum();
                            assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-15);
                        }
                    }
                    let vector = |[lon, lat]: [f64; 2]| {
                        let ((sl, cl), (sb, cb)) = (sincos_deg(lon), sincos_deg(lat));
                        [cb * cl, cb * sl, sb]
                    };
                    let (native, sky) = (vector(reference), vector(crval));
                    for i in 0..3 {
                        let moved: f64 = (0..3).map(|k| m[i][k] * native[k]).sum();
                        assert!((moved - sky[i]).abs() < 1e-13, "{crval:?} {reference:?} {lonpole}");
                    }
                }
            }
        }
    }
}
