//! Whole columns between pixels, focal plane, field angles and sky.

use std::sync::Arc;

use arrow::array::{Float64Builder, Int64Builder};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use rayon::prelude::*;

use super::CameraError;
use super::focal_plane::FocalPlane;
use super::pointing::{Pointing, same_length};
use crate::sphere::{LonLat, UnitVector};
use crate::wcs::Wcs;

/// Rows that are not worth another thread.
const ROWS: usize = 4096;
/// Two columns of the same length.
pub type Columns = (Vec<f64>, Vec<f64>);

/// One row after the other, on all cores. The first row with an error gives the error.
fn rows(
    what: &'static str,
    first: &[f64],
    second: &[f64],
    convert: impl Fn(usize, f64, f64) -> Result<(f64, f64), CameraError> + Sync,
) -> Result<Columns, CameraError> {
    same_length(what, first.len(), &[second.len()])?;
    let (mut a, mut b) = (vec![0.0; first.len()], vec![0.0; first.len()]);
    let failed = a
        .par_iter_mut()
        .zip(&mut b)
        .zip(first)
        .zip(second)
        .enumerate()
        .with_min_len(ROWS)
        .filter_map(|(row, (((a, b), p), q))| match convert(row, *p, *q) {
            Ok((x, y)) => {
                (*a, *b) = (x, y);
                None
            }
            Err(e) => Some((row, e)),
        })
        .min_by_key(|(row, _)| *row);
    match failed {
        Some((_, error)) => Err(error),
        None => Ok((a, b)),
    }
}

fn finite(what: &'static str, row: usize, a: f64, b: f64) -> Result<(), CameraError> {
    match [a, b].into_iter().find(|v| !v.is_finite()) {
        Some(value) => Err(CameraError::NotFinite { what, row, value }),
        None => Ok(()),
    }
}

fn position(row: usize, lon: f64, lat: f64) -> Result<UnitVector, CameraError> {
    finite("a sky position", row, lon, lat)?;
    // A rounding beyond a pole is still the pole.
    if lat.abs() > std::f64::consts::FRAC_PI_2 + 1e-12 {
        return Err(CameraError::BadPointing { row, what: "declination", value: lat.to_degrees() });
    }
    Ok(LonLat::new(lon, lat).to_unit())
}

impl FocalPlane {
    /// Pixel positions of a detector to millimetres in the focal plane. Positions off the detector are carried on.
    ///
    /// # Errors
    /// [`CameraError::UnknownDetector`]; [`CameraError::Lengths`]; [`CameraError::NotFinite`] with the row.
    pub fn pixels_to_focal_plane(&self, detector: i64, x: &[f64], y: &[f64]) -> Result<Columns, CameraError> {
        let place = self.mounted(detector)?.place;
        rows("x and y", x, y, |row, x, y| {
            finite("a pixel position", row, x, y)?;
            Ok(place.to_mm(x, y))
        })
    }

    /// Millimetres in the focal plane to pixel positions of a detector, whether they are on it or not.
    ///
    /// # Errors
    /// As [`pixels_to_focal_plane`](Self::pixels_to_focal_plane).
    pub fn focal_plane_to_pixels(&self, detector: i64, x: &[f64], y: &[f64]) -> Result<Columns, CameraError> {
        let place = self.mounted(detector)?.place;
        rows("x and y", x, y, |row, x, y| {
            finite("a focal-plane position", row, x, y)?;
            Ok(place.to_pixel(x, y))
        })
    }

    /// Millimetres in the focal plane to field angles, radians.
    ///
    /// # Errors
    /// [`CameraError::Lengths`]; [`CameraError::NotFinite`]; [`CameraError::OutsideField`] for a position further from the axis
    /// than [`limit_mm`](Self::limit_mm), where the distortion is not known.
    pub fn focal_plane_to_field(&self, x: &[f64], y: &[f64]) -> Result<Columns, CameraError> {
        rows("x and y", x, y, |row, x, y| self.checked_field(row, x, y))
    }

    /// Field angles (radians) to millimetres in the focal plane; NaN beyond [`limit_mm`](Self::limit_mm).
    ///
    /// The inverse of the radial law, solved to the last bit or two.
    ///
    /// # Errors
    /// [`CameraError::Lengths`]; [`CameraError::NotFinite`].
    pub fn field_to_focal_plane(&self, fx: &[f64], fy: &[f64]) -> Result<Columns, CameraError> {
        rows("fx and fy", fx, fy, |row, fx, fy| {
            finite("a field angle", row, fx, fy)?;
            Ok(self.plane(fx, fy).unwrap_or((f64::NAN, f64::NAN)))
        })
    }

    /// Pixel positions of a detector to the sky: right ascension in `[0, 2 pi)` and declination, radians.
    ///
    /// # Errors
    /// [`CameraError::UnknownDetector`]; [`CameraError::Lengths`]; [`CameraError::NotFinite`]; [`CameraError::OutsideField`].
    ///
    /// ```
    /// use bunter::camera::{Cameras, Pointing};
    ///
    /// let cameras = Cameras::built_in()?;
    /// let camera = cameras.instrument("DECam")?.focal_plane()?;
    /// let pointing = Pointing::from_degrees(150.1, 2.2, 0.0)?;
    /// let (lon, lat) = camera.pixels_to_sky(35, &pointing, &[0.0, 2047.0], &[0.0, 4095.0])?;
    /// let (x, y) = camera.sky_to_pixels(35, &pointing, &lon, &lat)?;
    /// assert!((x[1] - 2047.0).abs() < 1e-6 && (y[1] - 4095.0).abs() < 1e-6);
    /// # Ok::<(), bunter::camera::CameraError>(())
    /// ```
    pub fn pixels_to_sky(
        &self,
        detector: i64,
        pointing: &Pointing,
        x: &[f64],
        y: &[f64],
    ) -> Result<Columns, CameraError> {
        let place = self.mounted(detector)?.place;
        rows("x and y", x, y, |row, x, y| {
            finite("a pixel position", row, x, y)?;
            let (x, y) = place.to_mm(x, y);
            let p = self.sky(row, pointing, x, y)?.to_lon_lat();
            Ok((p.lon, p.lat))
        })
    }

    /// Sky positions (radians) to pixel positions of a detector, whether they are on it or not; NaN for positions that the
    /// camera cannot see, further from the axis than [`limit_mm`](Self::limit_mm).
    ///
    /// # Errors
    /// [`CameraError::UnknownDetector`]; [`CameraError::Lengths`]; [`CameraError::NotFinite`]; [`CameraError::BadPointing`] for
    /// a declination beyond a pole.
    pub fn sky_to_pixels(
        &self,
        detector: i64,
        pointing: &Pointing,
        lon: &[f64],
        lat: &[f64],
    ) -> Result<Columns, CameraError> {
        let place = self.mounted(detector)?.place;
        rows("lon and lat", lon, lat, |row, lon, lat| {
            let v = position(row, lon, lat)?;
            let seen = self.seen(pointing, v).map(|(x, y)| place.to_pixel(x, y));
            Ok(seen.unwrap_or((f64::NAN, f64::NAN)))
        })
    }

    /// Which detector sees each sky position (radians), and at which pixel.
    ///
    /// Columns `detector` (`Int64`), `x`, `y` (`Float64`, zero-based pixels), null where no detector does. Borders belong to
    /// the detector; where detectors overlap the one with the smaller number is named.
    ///
    /// # Errors
    /// [`CameraError::Lengths`]; [`CameraError::NotFinite`]; [`CameraError::BadPointing`] for a declination beyond a pole.
    ///
    /// ```
    /// use arrow::array::{Array, AsArray};
    /// use arrow::datatypes::Int64Type;
    /// use bunter::camera::{Cameras, Pointing};
    ///
    /// let cameras = Cameras::built_in()?;
    /// let camera = cameras.instrument("LSSTCam")?.focal_plane()?;
    /// let pointing = Pointing::from_degrees(150.0, 2.0, 0.0)?;
    /// let (lon, lat) = ([150.0_f64.to_radians(), 0.0], [2.0_f64.to_radians(), 0.0]);
    /// let found = camera.find_detectors(&pointing, &lon, &lat)?;
    /// let detectors = found["detector"].as_primitive::<Int64Type>();
    /// assert_eq!(detectors.value(0), 94);
    /// assert!(detectors.is_null(1));
    /// # Ok::<(), bunter::camera::CameraError>(())
    /// ```
    pub fn find_detectors(&self, pointing: &Pointing, lon: &[f64], lat: &[f64]) -> Result<RecordBatch, CameraError> {
        same_length("lon and lat", lon.len(), &[lat.len()])?;
        let found: Result<Vec<_>, CameraError> = lon
            .par_iter()
            .zip(lat)
            .enumerate()
            .with_min_len(ROWS)
            .map(|(row, (lon, lat))| {
                let v = position(row, *lon, *lat)?;
                Ok(self.seen(pointing, v).and_then(|(x, y)| {
                    self.grid.candidates(x, y).iter().find_map(|i| {
                        let one = &self.detectors[*i as usize];
                        let (x, y) = one.place.to_pixel(x, y);
                        one.place.holds(x, y).then_some((one.id, x, y))
                    })
                }))
            })
            .collect();
        let found = found?;
        let mut detector = Int64Builder::with_capacity(found.len());
        let (mut x, mut y) = (Float64Builder::with_capacity(found.len()), Float64Builder::with_capacity(found.len()));
        for one in found {
            detector.append_option(one.map(|o| o.0));
            x.append_option(one.map(|o| o.1));
            y.append_option(one.map(|o| o.2));
        }
        let schema = Schema::new(vec![
            Field::new("detector", DataType::Int64, true),
            Field::new("x", DataType::Float64, true),
            Field::new("y", DataType::Float64, true),
        ]);
        let columns: Vec<arrow::array::ArrayRef> =
            vec![Arc::new(detector.finish()), Arc::new(x.finish()), Arc::new(y.finish())];
        Ok(RecordBatch::try_new(Arc::new(schema), columns)?)
    }

    /// A tangent-plane (TAN) WCS of a detector, with the reference point at its middle and the right scale there: a first guess
    /// to fit an astrometric solution from. The camera's distortion within the detector is left out: towards the corners it
    /// is wrong by up to some pixels.
    ///
    /// # Errors
    /// [`CameraError::UnknownDetector`].
    pub fn tan_wcs(&self, detector: i64, pointing: &Pointing) -> Result<Wcs, CameraError> {
        let place = self.mounted(detector)?.place;
        let (nx, ny) = (f64::from(place.size.0), f64::from(place.size.1));
        let middle = (0.5 * nx - 0.5, 0.5 * ny - 0.5);
        let at = |x: f64, y: f64| {
            let (x, y) = place.to_mm(x, y);
            self.sky(0, pointing, x, y)
        };
        let reference = at(middle.0, middle.1)?;
        let tangent = Pointing::from_degrees(reference.to_lon_lat().lon_deg(), reference.to_lon_lat().lat_deg(), 0.0)?;
        // Differences over an eighth of the detector either way: second-order terms cancel.
        let slope = |dx: f64, dy: f64| -> Result<[f64; 2], CameraError> {
            let side = |sign: f64| -> Result<(f64, f64), CameraError> {
                let v = at(middle.0 + sign * dx, middle.1 + sign * dy)?;
                // Turned by nothing, +x of the frame is west.
                Ok(tangent.frame.field(v).map_or((f64::NAN, f64::NAN), |(fx, fy)| (-fx, fy)))
            };
            let (low, high) = (side(-1.0)?, side(1.0)?);
            let step = 2.0 * (dx + dy);
            Ok([(high.0 - low.0) / step, (high.1 - low.1) / step].map(f64::to_degrees))
        };
        let (along_x, along_y) = (slope(nx / 8.0, 0.0)?, slope(0.0, ny / 8.0)?);
        let matrix = [[along_x[0], along_y[0]], [along_x[1], along_y[1]]];
        Wcs::tan(tangent.boresight(), [middle.0, middle.1], matrix).map_err(|source| CameraError::Wcs {
            file: format!("{} detector {detector}", self.camera),
            hdu: 0,
            source,
        })
    }

    /// Field angles of a point in the focal plane, if the law holds there.
    fn checked_field(&self, row: usize, x: f64, y: f64) -> Result<(f64, f64), CameraError> {
        finite("a focal-plane position", row, x, y)?;
        let r = libm::hypot(x, y);
        if r > self.limit_mm() {
            return Err(CameraError::OutsideField {
                camera: self.camera.to_string(),
                row,
                r_mm: r,
                limit_mm: self.limit_mm(),
            });
        }
        Ok(self.field(x, y))
    }

    fn sky(&self, row: usize, pointing: &Pointing, x: f64, y: f64) -> Result<UnitVector, CameraError> {
        let (fx, fy) = self.checked_field(row, x, y)?;
        let scale = 1.0 / (1.0 + fx * fx + fy * fy).sqrt();
        Ok(pointing.frame.unit([fx * scale, fy * scale, scale]))
    }

    /// The point in the focal plane (mm) that sees a position.
    #[inline]
    fn seen(&self, pointing: &Pointing, v: UnitVector) -> Option<(f64, f64)> {
        let (fx, fy) = pointing.frame.field(v)?;
        self.plane(fx, fy)
    }

    #[inline]
    fn plane(&self, fx: f64, fy: f64) -> Option<(f64, f64)> {
        let factor = self.radial.inward(libm::hypot(fx, fy))?;
        Some((if self.flip_x { -fx * factor } else { fx * factor }, fy * factor))
    }
}
