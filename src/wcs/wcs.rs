//! [`Wcs`]: from pixels to the sky and back.

use serde::{Deserialize, Serialize};

use super::distortion::Distortion;
use super::pole::{default_lonpole, native_to_celestial};
use super::projection::{Projection, ZPN_TERMS};
use super::{Header, PixelBox, WcsError, fits};
use crate::sphere::{LonLat, UnitVector};

/// The frame a header names. Both are taken as ICRS: the axes of FK5 J2000 lie within 0.03 arcsec of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CelestialFrame {
    /// International Celestial Reference System.
    Icrs,
    /// FK5, equinox J2000.
    Fk5,
}

/// From zero-based pixel positions to the sky (ICRS) and back, as a FITS header says.
///
/// Reads the projections TAN, STG, ZPN and CEA, the distortions SIP and TPV (also written as `TAN` with `PV` terms, the old
/// SCAMP way), and the linear part as `CDi_j`, `PCi_j` with `CDELTi`, or `CDELTi` with `CROTAi`. The native pole is found
/// from `LONPOLE`, `LATPOLE` or `PVi_1` to `PVi_4` as FITS WCS Paper II says (Calabretta & Greisen 2002, A&A 395, 1077).
///
/// An integer pixel coordinate is the centre of a pixel, the first is 0: `CRPIX - 1`. Inverse distortions are true inverses
/// of the forward ones, whatever `AP`, `BP` say. Both directions agree with wcslib (astropy 8) within 1e-8 pixel.
///
/// A position that does not exist (off the projection's sphere or plane, or where the inverse of a distortion does not
/// converge) is `None`, in columns NaN. Equal WCS give equal bits on every machine.
///
/// ```
/// use bunter::{LonLat, Wcs};
///
/// let scale = 0.2 / 3600.0;
/// let wcs = Wcs::tan(LonLat::from_degrees(150.0, 2.0), [2035.5, 1999.5], [[-scale, 0.0], [0.0, scale]])?;
/// let sky = wcs.pixel_to_sky(2035.5, 1999.5).unwrap();
/// assert!((sky.lon_deg() - 150.0).abs() < 1e-12);
/// let (x, y) = wcs.sky_to_pixel(LonLat::from_degrees(150.0, 2.0 + 10.0 * scale)).unwrap();
/// assert!((x - 2035.5).abs() < 1e-8 && (y - 2009.5).abs() < 1e-4);
/// # Ok::<(), bunter::WcsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parameters", into = "Parameters")]
pub struct Wcs {
    parameters: Parameters,
    derived: Derived,
}

/// What a header says, and what is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Parameters {
    /// One-based, as in the header, so that a header goes round without a changed bit.
    pub(super) crpix: [f64; 2],
    /// Degrees a pixel; rows longitude and latitude.
    pub(super) cd: [[f64; 2]; 2],
    /// Longitude and latitude of the reference point, degrees.
    pub(super) crval: [f64; 2],
    /// Native longitude and latitude of the reference point, degrees.
    pub(super) reference: [f64; 2],
    pub(super) lonpole: f64,
    pub(super) latpole: f64,
    pub(super) projection: Projection,
    pub(super) distortion: Distortion,
    pub(super) frame: CelestialFrame,
    /// Whether axis 1 is the declination.
    pub(super) lat_first: bool,
}

/// What follows from the parameters.
#[derive(Clone, Debug, PartialEq)]
struct Derived {
    crpix0: [f64; 2],
    cd_inverse: [[f64; 2]; 2],
    /// From native to celestial unit vectors.
    rotation: [[f64; 3]; 3],
    zeta_end: f64,
}

impl From<Wcs> for Parameters {
    fn from(wcs: Wcs) -> Self {
        wcs.parameters
    }
}

impl TryFrom<Parameters> for Wcs {
    type Error = WcsError;

    fn try_from(parameters: Parameters) -> Result<Self, WcsError> {
        let Parameters { crpix, cd, crval, reference, lonpole, latpole, projection, distortion, .. } = &parameters;
        let numbers = [*crpix, *crval, *reference, [*lonpole, *latpole], cd[0], cd[1]];
        let whole = match distortion {
            Distortion::None => true,
            Distortion::Sip(sip) => sip.is_whole(),
            Distortion::Tpv(tpv) => tpv.is_whole() && *projection == Projection::Tan,
        } && match projection {
            Projection::Tan | Projection::Stg => true,
            Projection::Zpn(c) => c.len() <= ZPN_TERMS && c.iter().all(|c| c.is_finite()),
            Projection::Cea(lambda) => *lambda > 0.0 && lambda.is_finite(),
        };
        if !whole || numbers.as_flattened().iter().any(|v| !v.is_finite()) {
            return Err(WcsError::Damaged { reason: "a number is not finite, or a polynomial has the wrong length" });
        }
        let derived = Derived {
            crpix0: [crpix[0] - 1.0, crpix[1] - 1.0],
            cd_inverse: invert(*cd)
                .ok_or(WcsError::Singular { keywords: "CDi_j, or PCi_j and CDELTi", matrix: *cd })?,
            rotation: native_to_celestial(*crval, *reference, *lonpole, *latpole)?,
            zeta_end: projection.monotone_end(),
        };
        Ok(Self { parameters, derived })
    }
}

impl Wcs {
    /// Reads the celestial WCS of a header: axes 1 and 2, the primary description (no letter behind the keywords).
    ///
    /// Of several ways to say the same, `CDi_j` stands before `PCi_j`, that before `CROTAi`; SIP before `PV` terms of a TAN.
    ///
    /// # Errors
    /// [`WcsError::Header`] for a missing keyword or one of the wrong type; [`WcsError::NotFinite`];
    /// [`WcsError::NotEquatorial`], [`WcsError::UnknownProjection`], [`WcsError::Unit`], [`WcsError::Frame`],
    /// [`WcsError::Unsupported`] for what is not read; [`WcsError::Singular`], [`WcsError::OutOfRange`],
    /// [`WcsError::Pole`] for numbers that make no WCS. All name the keyword.
    pub fn from_header(header: &Header) -> Result<Self, WcsError> {
        fits::read(header)?.try_into()
    }

    /// The header records of the WCS. Reading them again gives an equal WCS.
    pub fn to_header(&self) -> Header {
        fits::write(&self.parameters)
    }

    /// The tangent-plane (TAN) WCS of a sky map: reference point `crval` at the zero-based pixel `crpix0`, matrix `cd_deg`
    /// in degrees a pixel (rows right ascension and declination).
    ///
    /// # Errors
    /// [`WcsError::NotFinite`], [`WcsError::OutOfRange`] for a declination beyond a pole, [`WcsError::Singular`].
    pub fn tan(crval: LonLat, crpix0: [f64; 2], cd_deg: [[f64; 2]; 2]) -> Result<Self, WcsError> {
        let (crval, crpix) = ([crval.lon_deg(), crval.lat_deg()], [crpix0[0] + 1.0, crpix0[1] + 1.0]);
        let names = ["CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CD1_1", "CD1_2", "CD2_1", "CD2_2"];
        for (keyword, value) in names.iter().zip([crval, crpix, cd_deg[0], cd_deg[1]].as_flattened()) {
            fits::finite(keyword, *value)?;
        }
        fits::latitude("CRVAL2", crval[1])?;
        let projection = Projection::Tan;
        let reference = projection.reference();
        let parameters = Parameters {
            crpix,
            cd: cd_deg,
            crval,
            reference,
            lonpole: default_lonpole(crval[1], reference),
            latpole: 90.0,
            projection,
            distortion: Distortion::None,
            frame: CelestialFrame::Icrs,
            lat_first: false,
        };
        parameters.try_into()
    }

    /// Sky position of a pixel position; right ascension in `[0, 2 pi)`.
    #[inline]
    pub fn pixel_to_sky(&self, x: f64, y: f64) -> Option<LonLat> {
        self.pixel_to_unit(x, y).map(UnitVector::to_lon_lat)
    }

    /// Unit vector of a pixel position.
    #[inline]
    pub fn pixel_to_unit(&self, x: f64, y: f64) -> Option<UnitVector> {
        let (Parameters { cd, projection, distortion, .. }, derived) = (&self.parameters, &self.derived);
        let (mut u, mut v) = (x - derived.crpix0[0], y - derived.crpix0[1]);
        if let Distortion::Sip(sip) = distortion {
            (u, v) = sip.forward(u, v);
        }
        let (mut u, mut v) = (cd[0][0] * u + cd[0][1] * v, cd[1][0] * u + cd[1][1] * v);
        if let Distortion::Tpv(tpv) = distortion {
            (u, v) = tpv.forward(u, v);
        }
        let [l, m, s] = projection.to_native(u, v, derived.zeta_end)?;
        let [x, y, z] = derived.rotation.map(|row| row[0] * l + row[1] * m + row[2] * s);
        Some(UnitVector { x, y, z })
    }

    /// Pixel position of a sky position.
    #[inline]
    pub fn sky_to_pixel(&self, sky: LonLat) -> Option<(f64, f64)> {
        self.unit_to_pixel(sky.to_unit())
    }

    /// Pixel position of a unit vector.
    #[inline]
    pub fn unit_to_pixel(&self, p: UnitVector) -> Option<(f64, f64)> {
        let (Parameters { projection, distortion, .. }, derived) = (&self.parameters, &self.derived);
        let [a, b, c] = &derived.rotation;
        let native = [0, 1, 2].map(|i: usize| a[i] * p.x + b[i] * p.y + c[i] * p.z);
        let (mut u, mut v) = projection.to_plane(native, derived.zeta_end)?;
        if let Distortion::Tpv(tpv) = distortion {
            (u, v) = tpv.inverse(u, v)?;
        }
        let cd = &derived.cd_inverse;
        let (mut u, mut v) = (cd[0][0] * u + cd[0][1] * v, cd[1][0] * u + cd[1][1] * v);
        if let Distortion::Sip(sip) = distortion {
            (u, v) = sip.inverse(u, v)?;
        }
        let (x, y) = (u + derived.crpix0[0], v + derived.crpix0[1]);
        (x.is_finite() && y.is_finite()).then_some((x, y))
    }

    /// [`Wcs::pixel_to_sky`] of whole columns: pixel positions in, longitudes and latitudes (radians) out; NaN for none.
    ///
    /// # Errors
    /// [`WcsError::Lengths`] when the columns differ in length.
    pub fn pixels_to_sky(&self, x: &[f64], y: &[f64], lon: &mut [f64], lat: &mut [f64]) -> Result<(), WcsError> {
        same_length(x.len(), [y.len(), lon.len(), lat.len()])?;
        for (((x, y), lon), lat) in x.iter().zip(y).zip(lon).zip(lat) {
            LonLat { lon: *lon, lat: *lat } = self.pixel_to_sky(*x, *y).unwrap_or(LonLat::new(f64::NAN, f64::NAN));
        }
        Ok(())
    }

    /// [`Wcs::pixel_to_unit`] of whole columns; NaN for none.
    ///
    /// # Errors
    /// [`WcsError::Lengths`] when the columns differ in length.
    pub fn pixels_to_units(&self, x: &[f64], y: &[f64], units: &mut [UnitVector]) -> Result<(), WcsError> {
        const NOWHERE: UnitVector = UnitVector { x: f64::NAN, y: f64::NAN, z: f64::NAN };
        same_length(x.len(), [y.len(), units.len()])?;
        for ((x, y), unit) in x.iter().zip(y).zip(units) {
            *unit = self.pixel_to_unit(*x, *y).unwrap_or(NOWHERE);
        }
        Ok(())
    }

    /// [`Wcs::sky_to_pixel`] of whole columns: longitudes and latitudes (radians) in, pixel positions out; NaN for none.
    ///
    /// # Errors
    /// [`WcsError::Lengths`] when the columns differ in length.
    pub fn sky_to_pixels(&self, lon: &[f64], lat: &[f64], x: &mut [f64], y: &mut [f64]) -> Result<(), WcsError> {
        same_length(lon.len(), [lat.len(), x.len(), y.len()])?;
        for (((lon, lat), x), y) in lon.iter().zip(lat).zip(x).zip(y) {
            (*x, *y) = self.sky_to_pixel(LonLat::new(*lon, *lat)).unwrap_or((f64::NAN, f64::NAN));
        }
        Ok(())
    }

    /// [`Wcs::unit_to_pixel`] of whole columns; NaN for none.
    ///
    /// # Errors
    /// [`WcsError::Lengths`] when the columns differ in length.
    pub fn units_to_pixels(&self, units: &[UnitVector], x: &mut [f64], y: &mut [f64]) -> Result<(), WcsError> {
        same_length(units.len(), [x.len(), y.len()])?;
        for ((unit, x), y) in units.iter().zip(x).zip(y) {
            (*x, *y) = self.unit_to_pixel(*unit).unwrap_or((f64::NAN, f64::NAN));
        }
        Ok(())
    }

    /// Area of sky in the pixel at a position, steradians (differences over one pixel; relative error below 1e-8 for
    /// pixels of 0.05 arcsec and more). `None` where the pixel's surroundings have no position.
    pub fn pixel_area(&self, x: f64, y: f64) -> Option<f64> {
        let difference = |dx: f64, dy: f64| {
            let (a, b) = (self.pixel_to_unit(x - dx, y - dy)?, self.pixel_to_unit(x + dx, y + dy)?);
            Some(UnitVector { x: b.x - a.x, y: b.y - a.y, z: b.z - a.z })
        };
        let (x, y, z) = difference(0.5, 0.0)?.cross(difference(0.0, 0.5)?);
        Some((x * x + y * y + z * z).sqrt())
    }

    /// Side of a square of the area of the pixel at a position, arcseconds.
    pub fn pixel_scale(&self, x: f64, y: f64) -> Option<f64> {
        self.pixel_area(x, y).map(|area| area.sqrt().to_degrees() * 3600.0)
    }

    /// [`Wcs::pixel_area`] divided by that at the reference pixel.
    pub fn pixel_area_ratio(&self, x: f64, y: f64) -> Option<f64> {
        let [cx, cy] = self.derived.crpix0;
        Some(self.pixel_area(x, y)? / self.pixel_area(cx, cy)?)
    }

    /// Positions where the plane is not an image of the sky around them: the native south pole, and the north pole too
    /// where a projection draws it out to a line.
    pub(super) fn singular_points(&self) -> impl Iterator<Item = UnitVector> {
        let [x, y, z] = self.derived.rotation.map(|row| row[2]);
        let north = matches!(self.parameters.projection, Projection::Cea(_)).then_some(UnitVector { x, y, z });
        std::iter::once(UnitVector { x: -x, y: -y, z: -z }).chain(north)
    }

    /// Zero-based pixel position of the reference point.
    pub fn reference_pixel(&self) -> [f64; 2] {
        self.derived.crpix0
    }

    /// The reference point, `CRVAL`.
    pub fn reference_sky(&self) -> LonLat {
        LonLat::from_degrees(self.parameters.crval[0], self.parameters.crval[1])
    }

    /// The frame the header named.
    pub fn frame(&self) -> CelestialFrame {
        self.parameters.frame
    }

    /// The WCS of the same pixels under coordinates larger by `(dx, dy)`.
    ///
    /// What was pixel `(x, y)` is pixel `(x + dx, y + dy)` of the result. To cut out the box at `(x0, y0)` and count from
    /// its first pixel, shift by `(-x0, -y0)`.
    #[must_use]
    pub fn shifted(&self, dx: f64, dy: f64) -> Self {
        let mut shifted = self.clone();
        shifted.parameters.crpix = [shifted.parameters.crpix[0] + dx, shifted.parameters.crpix[1] + dy];
        shifted.derived.crpix0 = shifted.parameters.crpix.map(|c| c - 1.0);
        shifted
    }

    /// Sky positions of the corners of the area of a box, in the order of [`PixelBox::corners`]; `None` when one has none.
    pub fn corners(&self, pixels: PixelBox) -> Option<[LonLat; 4]> {
        let [a, b, c, d] = pixels.corners().map(|(x, y)| self.pixel_to_sky(x, y));
        Some([a?, b?, c?, d?])
    }

    /// Positions along the edge of the area of a box, `points_per_side` to a side (at least one), each side from its
    /// corner on and without the next one, in the order of [`PixelBox::corners`]. Points without a position are left out.
    ///
    /// The hull of these holds a detector whose edges a strong distortion bends outwards, up to the sag between points.
    pub fn boundary(&self, pixels: PixelBox, points_per_side: usize) -> Vec<UnitVector> {
        boundary_points(pixels, points_per_side).filter_map(|(x, y)| self.pixel_to_unit(x, y)).collect()
    }
}

/// Pixel positions along the edge of a box, see [`Wcs::boundary`].
pub(super) fn boundary_points(pixels: PixelBox, points_per_side: usize) -> impl Iterator<Item = (f64, f64)> {
    let (corners, n) = (pixels.corners(), points_per_side.max(1));
    let [a, b, c, d] = corners;
    [(a, b), (b, c), (c, d), (d, a)].into_iter().flat_map(move |(from, to)| {
        (0..n).map(move |i| {
            let t = i as f64 / n as f64;
            (from.0 + t * (to.0 - from.0), from.1 + t * (to.1 - from.1))
        })
    })
}

fn same_length<const N: usize>(first: usize, others: [usize; N]) -> Result<(), WcsError> {
    match others.into_iter().find(|other| *other != first) {
        Some(other) => Err(WcsError::Lengths { first, other }),
        None => Ok(()),
    }
}

/// The inverse of a matrix, unless it is singular within rounding.
fn invert([[a, b], [c, d]]: [[f64; 2]; 2]) -> Option<[[f64; 2]; 2]> {
    let det = a * d - b * c;
    let regular = det.abs() > 1e-14 * ((a * d).abs() + (b * c).abs());
    let inverse = [[d / det, -b / det], [-c / det, a / det]];
    (regular && inverse.as_flattened().iter().all(|v| v.is_finite())).then_some(inverse)
}
