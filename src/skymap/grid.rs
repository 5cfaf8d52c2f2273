//! [`Grid`]: one tract whose pixels are those of a FITS header.

use super::builder::Division;
use super::tract_size::TractSize;
use super::{Layout, Projection, SkyMapConfig, SkyMapError, TractBuilder};
use crate::sphere::LonLat;

/// A tract with a given pixel grid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    reference: LonLat,
    crpix: [f64; 2],
    size: [u32; 2],
}

impl Grid {
    pub(super) fn new(ra_deg: f64, dec_deg: f64, crpix: [f64; 2], size: [u32; 2]) -> Result<Self, SkyMapError> {
        let bad = |field, problem: String| Err(SkyMapError::BadConfig { field, problem });
        if !ra_deg.is_finite() {
            return bad("ra_deg", format!("is {ra_deg}"));
        }
        if !(-90.0..=90.0).contains(&dec_deg) {
            return bad("dec_deg", format!("is {dec_deg}, expected -90 to 90"));
        }
        if !crpix.iter().all(|v| v.abs() < 1e9) {
            return bad("crpix", format!("is {crpix:?}, expected numbers below 1e9"));
        }
        if !size.iter().all(|n| (1..=1 << 30).contains(n)) {
            return bad("size", format!("is {size:?}, expected 1 to 2^30 pixels"));
        }
        let position = LonLat::from_degrees(ra_deg, dec_deg);
        Ok(Self { reference: LonLat::new(crate::sphere::wrap(position.lon), position.lat), crpix, size })
    }

    pub(super) fn reference(&self) -> LonLat {
        self.reference
    }

    pub(super) fn tract_size(&self, division: &Division) -> Option<TractSize> {
        let count = |axis: usize| {
            let patch = u32::try_from(division.inner[axis]).ok()?;
            let count = self.size[axis].div_ceil(patch);
            (u64::from(count) * u64::from(patch) <= 1 << 30).then_some(count)
        };
        Some(TractSize { count: [count(0)?, count(1)?], crpix: self.crpix })
    }
}

impl SkyMapConfig {
    /// One tract with the pixel grid of a FITS header in text: a record a line, as in `SWarp`'s `.head` files and Montage's
    /// templates. `patch_size` is the side of a patch without its border of 100 pixels; `None`: the tract is one patch.
    ///
    /// ```
    /// let header = "NAXIS1 = 2200\nNAXIS2 = 2200\nCTYPE1 = 'RA---TAN'\nCTYPE2 = 'DEC--TAN'\n\
    ///     CRVAL1 = 36.9\nCRVAL2 = -5.2\nCRPIX1 = 1100.5\nCRPIX2 = 1100.5\nCD1_1 = -8e-5\nCD2_2 = 8e-5\nEND\n";
    /// let sky_map = bunter::SkyMap::new(bunter::SkyMapConfig::from_fits_header(header, None)?)?;
    /// assert_eq!(sky_map.tract(0)?.patch(0)?.outer_bbox(), bunter::PixelBox::new(0, 0, 2200, 2200));
    /// # Ok::<(), bunter::SkyMapError>(())
    /// ```
    ///
    /// # Errors
    /// [`SkyMapError::BadHeader`] for a record that is absent or no number, another projection than TAN, STG or CEA, and pixels
    /// that are not square or run the other way (right ascension must grow to the left of declination).
    pub fn from_fits_header(text: &str, patch_size: Option<u32>) -> Result<Self, SkyMapError> {
        let bad = |problem: String| SkyMapError::BadHeader { problem };
        let find = |keyword: &str| {
            text.lines().find_map(|line| {
                let (name, value) = line.split_once('=')?;
                // A slash in a quoted text begins no comment.
                let value = value.trim();
                let value = match value.strip_prefix('\'') {
                    Some(quoted) => quoted.split('\'').next()?,
                    None => value.split('/').next()?,
                };
                (name.trim() == keyword).then(|| value.trim().to_owned())
            })
        };
        let text_of = |keyword: &str| find(keyword).ok_or_else(|| bad(format!("has no {keyword}")));
        let number = |keyword: &str| -> Result<f64, SkyMapError> {
            let value = text_of(keyword)?;
            value.parse().map_err(|_| bad(format!("{keyword} is {value}, expected a number")))
        };
        let or_zero = |keyword: &str| if find(keyword).is_some() { number(keyword) } else { Ok(0.0) };
        let (ctype1, ctype2) = (text_of("CTYPE1")?, text_of("CTYPE2")?);
        let projection = [Projection::Tan, Projection::Stg, Projection::Cea]
            .into_iter()
            .find(|p| ctype1 == format!("RA---{}", p.code()) && ctype2 == format!("DEC--{}", p.code()))
            .ok_or_else(|| {
                bad(format!("CTYPE is {ctype1}, {ctype2}; a tract is RA, DEC in TAN, STG or CEA, without distortion"))
            })?;
        let cd = if find("CD1_1").is_some() {
            [[number("CD1_1")?, or_zero("CD1_2")?], [or_zero("CD2_1")?, number("CD2_2")?]]
        } else {
            [[number("CDELT1")?, 0.0], [0.0, number("CDELT2")?]]
        };
        // CD = s [[-cos o, sin o], [sin o, cos o]]
        let scale = cd[1][0].hypot(cd[1][1]);
        let off = (cd[0][0] + cd[1][1]).hypot(cd[0][1] - cd[1][0]);
        if !(scale > 0.0 && off <= 1e-9 * scale) {
            return Err(bad(format!(
                "CD is {cd:?}; a tract has square pixels whose right ascension grows to the left: CD1_1 = -CD2_2, CD1_2 = CD2_1"
            )));
        }
        let side = |keyword: &str| -> Result<u32, SkyMapError> {
            let value = text_of(keyword)?;
            value.parse().map_err(|_| bad(format!("{keyword} is {value}, expected a number of pixels")))
        };
        let size = [side("NAXIS1")?, side("NAXIS2")?];
        Ok(Self {
            layout: Layout::Grid {
                ra_deg: number("CRVAL1")?,
                dec_deg: number("CRVAL2")?,
                crpix: [number("CRPIX1")? - 1.0, number("CRPIX2")? - 1.0],
                size,
            },
            tract_overlap_deg: 0.0,
            pixel_scale_arcsec: scale * 3600.0,
            projection,
            rotation_deg: cd[1][0].atan2(cd[1][1]).to_degrees(),
            tract_builder: TractBuilder::Legacy {
                patch_inner_dimensions: patch_size.map_or(size, |side| [side, side]),
                patch_border: 100,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::skymap::SkyMap;

    const HEADER: &str = "SIMPLE  =                    T\nNAXIS1  = 500 / columns\nNAXIS2  = 300\nCTYPE1  = 'RA---TAN'\n\
        CTYPE2  = 'DEC--TAN'\nCRVAL1  = 150.0\nCRVAL2  = 2.5\nCRPIX1  = 250.5\nCRPIX2  = 150.5\n\
        CD1_1   = -6.0e-5\nCD1_2   = 8.0e-5\nCD2_1   = 8.0e-5\nCD2_2   = 6.0e-5\nEND";

    #[test]
    fn pixels_are_those_of_the_header() {
        let sky_map = SkyMap::new(SkyMapConfig::from_fits_header(HEADER, Some(200)).unwrap()).unwrap();
        let tract = sky_map.tract(0).unwrap();
        assert_eq!(tract.num_patches(), (3, 2));
        let (x, y) = tract.sky_to_pixel(LonLat::from_degrees(150.0, 2.5)).unwrap();
        assert!((x - 249.5).abs() < 1e-9 && (y - 149.5).abs() < 1e-9, "{x} {y}");
        for (row, expected) in tract.cd_deg().into_iter().zip([[-6.0e-5, 8.0e-5], [8.0e-5, 6.0e-5]]) {
            for (found, expected) in row.into_iter().zip(expected) {
                assert!((found - expected).abs() < 1e-17, "{found} {expected}");
            }
        }
        let again = SkyMap::from_toml(&sky_map.config().to_toml().unwrap()).unwrap();
        assert_eq!(again.config(), sky_map.config());
    }

    #[test]
    fn other_grids_are_refused() {
        let refused = |from: &str, to: &str| {
            SkyMapConfig::from_fits_header(&HEADER.replace(from, to), None).unwrap_err().to_string()
        };
        assert!(refused("-6.0e-5", "6.0e-5").contains("square pixels"));
        assert!(refused("RA---TAN", "RA---TPV").contains("without distortion"));
        assert!(refused("CRVAL1", "CRVAL9").contains("no CRVAL1"));
        assert!(refused("500", "many").contains("NAXIS1"));
    }
}
