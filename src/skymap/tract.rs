//! [`TractInfo`]: one tract, its pixels and its patches.

use super::builder::Division;
use super::projection::{Frame, PixelScale};
use super::tract_size::TractSize;
use super::{CellInfo, PatchInfo, Projection, SkyMapError};
use crate::sphere::{ConvexPolygon, LonLat, LonLatBox, UnitVector};
use crate::wcs::{Header, PixelBox, Wcs};

/// The part of the sky a tract is responsible for. Inner regions tile the sky (rings, healpix, dodecahedron) or the
/// survey's part of it.
#[derive(Clone, Debug, PartialEq)]
pub enum InnerRegion {
    /// Between two meridians and two parallels.
    Box(LonLatBox),
    /// A convex polygon.
    Polygon(ConvexPolygon),
}

impl InnerRegion {
    /// Whether the position is inside or on the border.
    pub fn contains(&self, p: LonLat) -> bool {
        match self {
            Self::Box(b) => b.contains(p),
            Self::Polygon(polygon) => polygon.contains(p.to_unit()),
        }
    }
}

/// One tract of a sky map.
///
/// ```
/// use bunter::{LonLat, SkyMap};
///
/// let sky_map = SkyMap::preset("hsc_rings_v1")?;
/// let cosmos = LonLat::from_degrees(150.1, 2.2);
/// let tract = sky_map.tract(sky_map.find_tract(cosmos)?)?;
/// assert_eq!(tract.id(), 9813);
/// assert_eq!(tract.num_patches(), (9, 9));
/// let patch = tract.patch(tract.find_patch(cosmos)?)?;
/// assert!(patch.outer_polygon().contains(cosmos.to_unit()));
/// # Ok::<(), bunter::SkyMapError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TractInfo {
    pub(super) id: u32,
    pub(super) centre: LonLat,
    pub(super) crval: LonLat,
    pub(super) inner: InnerRegion,
    pub(super) outer_polygon: ConvexPolygon,
    pub(super) geometry: TractGeometry,
}

/// The numbers of a tract that map pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct TractGeometry {
    pub(super) frame: Frame,
    pub(super) size: TractSize,
    pub(super) scale: PixelScale,
    pub(super) division: Division,
}

impl TractGeometry {
    pub(super) fn bbox(&self) -> PixelBox {
        let [nx, ny] = self.size.count;
        let [w, h] = self.division.inner;
        PixelBox::new(0, 0, nx * w as u32, ny * h as u32)
    }

    pub(super) fn sky(&self, x: f64, y: f64) -> Option<UnitVector> {
        self.scale.pixel_to_sky(&self.frame, self.size.crpix, x, y)
    }

    pub(super) fn position(&self, v: UnitVector) -> Option<(f64, f64)> {
        self.scale.sky_to_pixel(&self.frame, self.size.crpix, v)
    }

    /// The polygon through the corners of a box of pixels, half a pixel outside the centres of its outermost pixels.
    pub(super) fn polygon(&self, corners: [(f64, f64); 4]) -> Result<ConvexPolygon, crate::sphere::SphereError> {
        let mut sky = [UnitVector { x: f64::NAN, y: f64::NAN, z: f64::NAN }; 4];
        for (v, (x, y)) in sky.iter_mut().zip(corners) {
            if let Some(place) = self.sky(x, y) {
                *v = place;
            }
        }
        ConvexPolygon::new(&sky)
    }

    /// The pixel that holds a position, when it is in the tract.
    pub(super) fn pixel(&self, v: UnitVector) -> Option<(i32, i32)> {
        let (x, y) = self.position(v)?;
        let (x, y) = ((x + 0.5).floor(), (y + 0.5).floor());
        let bbox = self.bbox();
        let inside = x >= 0.0 && y >= 0.0 && x < f64::from(bbox.width) && y < f64::from(bbox.height);
        inside.then_some((x as i32, y as i32))
    }

    /// Patches whose boxes the bounding box of the points reaches (the reference's `findPatchList`).
    pub(super) fn patch_list(&self, points: &[UnitVector]) -> Vec<u32> {
        let (mut min, mut max) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
        for (x, y) in points.iter().filter_map(|p| self.position(*p)) {
            for (axis, v) in [x, y].into_iter().enumerate() {
                min[axis] = min[axis].min(v);
                max[axis] = max[axis].max(v);
            }
        }
        let mut range = [(0_i64, -1_i64); 2];
        for axis in 0..2 {
            let side = i64::from(self.division.inner[axis]);
            let border = i64::from(self.division.border);
            // Far outside saturates, and is clipped.
            let first = ((min[axis] - 0.5).ceil() as i64).saturating_sub(border).max(0);
            let last = ((max[axis] + 0.5).floor() as i64).saturating_add(border);
            let last = last.min(i64::from(self.size.count[axis]) * side - 1);
            if first > last {
                return Vec::new();
            }
            range[axis] = (first / side, last / side);
        }
        let nx = self.size.count[0];
        let [(x0, x1), (y0, y1)] = range;
        (x0..=x1).flat_map(|x| (y0..=y1).map(move |y| y as u32 * nx + x as u32)).collect()
    }
}

impl TractInfo {
    /// The tract's number.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The middle of the inner region.
    pub fn centre(&self) -> LonLat {
        self.centre
    }

    /// All pixels of the tract; it begins at (0, 0).
    pub fn bbox(&self) -> PixelBox {
        self.geometry.bbox()
    }

    /// Number of patches in x and in y.
    pub fn num_patches(&self) -> (u32, u32) {
        let [nx, ny] = self.geometry.size.count;
        (nx, ny)
    }

    /// The zero-based reference pixel (FITS CRPIX less one).
    pub fn crpix(&self) -> (f64, f64) {
        let [x, y] = self.geometry.size.crpix;
        (x, y)
    }

    /// The sky position of the reference pixel.
    pub fn crval(&self) -> LonLat {
        self.crval
    }

    /// The FITS CD matrix, degrees a pixel.
    pub fn cd_deg(&self) -> [[f64; 2]; 2] {
        self.geometry.scale.cd_deg
    }

    /// The projection.
    pub fn projection(&self) -> Projection {
        self.geometry.scale.projection
    }

    /// The part of the sky the tract is responsible for.
    pub fn inner(&self) -> &InnerRegion {
        &self.inner
    }

    /// The polygon through the corners of the pixel box: the tract's region in a registry.
    pub fn outer_polygon(&self) -> &ConvexPolygon {
        &self.outer_polygon
    }

    /// Sky position of a zero-based pixel position; `None` where the projection has none.
    pub fn pixel_to_sky(&self, x: f64, y: f64) -> Option<LonLat> {
        self.geometry.sky(x, y).map(UnitVector::to_lon_lat)
    }

    /// Zero-based pixel position of a sky position, inside the tract or not; `None` where the projection has none
    /// (for a gnomonic one, from 90 degrees away on).
    pub fn sky_to_pixel(&self, p: LonLat) -> Option<(f64, f64)> {
        self.geometry.position(p.to_unit())
    }

    /// Whether the pixel that holds the position is in the tract.
    pub fn contains(&self, p: LonLat) -> bool {
        self.geometry.pixel(p.to_unit()).is_some()
    }

    /// The patch whose inner box holds the position.
    ///
    /// # Errors
    /// [`SkyMapError::OutsideTract`].
    pub fn find_patch(&self, p: LonLat) -> Result<u32, SkyMapError> {
        let (x, y) = self.geometry.pixel(p.to_unit()).ok_or_else(|| SkyMapError::OutsideTract {
            tract: self.id,
            lon_deg: p.lon_deg(),
            lat_deg: p.lat_deg(),
        })?;
        let [w, h] = self.geometry.division.inner;
        Ok((y / h) as u32 * self.geometry.size.count[0] + (x / w) as u32)
    }

    /// The patches near a set of positions, as the reference's `findPatchList` gives them: those that the bounding box
    /// of the pixel positions, grown by the border, reaches. Column by column.
    ///
    /// Patches that do not overlap can be among them, and of a sky map with cells some that do can be missing;
    /// [`SkyMap::overlaps`](super::SkyMap::overlaps) is exact.
    pub fn find_patch_list(&self, points: &[LonLat]) -> Vec<u32> {
        let units: Vec<_> = points.iter().map(|p| p.to_unit()).collect();
        self.geometry.patch_list(&units)
    }

    /// One patch.
    ///
    /// # Errors
    /// [`SkyMapError::PatchOutOfRange`].
    pub fn patch(&self, id: u32) -> Result<PatchInfo, SkyMapError> {
        let (nx, ny) = self.num_patches();
        if u64::from(id) >= u64::from(nx) * u64::from(ny) {
            return Err(self.no_patch(&id.to_string()));
        }
        PatchInfo::new(self.id, id, &self.geometry)
    }

    /// The patch at column `x`, row `y`.
    ///
    /// # Errors
    /// [`SkyMapError::PatchOutOfRange`].
    pub fn patch_at(&self, x: u32, y: u32) -> Result<PatchInfo, SkyMapError> {
        let (nx, ny) = self.num_patches();
        if x >= nx || y >= ny {
            return Err(self.no_patch(&format!("{x},{y}")));
        }
        self.patch(y * nx + x)
    }

    /// The number of a patch written as a number or as `"x,y"`.
    ///
    /// ```
    /// let tract = bunter::SkyMap::preset("hsc_rings_v1")?.tract(9813)?;
    /// assert_eq!(tract.parse_patch("6,4")?, 42);
    /// assert_eq!(
    ///     tract.parse_patch("81").unwrap_err().to_string(),
    ///     "patch 81 out of range; tract 9813 has patches 0..=80 (9 x 9)"
    /// );
    /// # Ok::<(), bunter::SkyMapError>(())
    /// ```
    ///
    /// # Errors
    /// [`SkyMapError::BadPatchName`], [`SkyMapError::PatchOutOfRange`].
    pub fn parse_patch(&self, name: &str) -> Result<u32, SkyMapError> {
        let bad = || SkyMapError::BadPatchName { name: name.to_owned() };
        let number = |text: &str| {
            let text = text.trim();
            // No sign, no blanks inside; more digits than fit are out of range, not malformed.
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse::<u32>().unwrap_or(u32::MAX)).ok_or_else(bad)
        };
        let (nx, ny) = self.num_patches();
        let out = || self.no_patch(name.trim());
        match name.split_once(',') {
            None => {
                let id = number(name)?;
                if u64::from(id) < u64::from(nx) * u64::from(ny) { Ok(id) } else { Err(out()) }
            }
            Some((x, y)) => {
                let (x, y) = (number(x)?, number(y)?);
                if x < nx && y < ny { Ok(y * nx + x) } else { Err(out()) }
            }
        }
    }

    fn no_patch(&self, patch: &str) -> SkyMapError {
        let (nx, ny) = self.num_patches();
        SkyMapError::PatchOutOfRange { tract: self.id, patch: patch.to_owned(), nx, ny }
    }

    /// One cell of a patch; cells of the border are counted, from the lower left on, row by row.
    ///
    /// # Errors
    /// [`SkyMapError::PatchOutOfRange`], [`SkyMapError::CellOutOfRange`].
    pub fn cell(&self, patch: u32, cell: u32) -> Result<CellInfo, SkyMapError> {
        self.patch(patch)?.cell(cell)
    }

    /// The WCS as FITS keywords.
    pub fn fits_header(&self) -> Header {
        let code = self.projection().code();
        let mut header = Header::default();
        header.set("CTYPE1", format!("RA---{code}"));
        header.set("CTYPE2", format!("DEC--{code}"));
        header.set("CUNIT1", "deg");
        header.set("CUNIT2", "deg");
        header.set("CRVAL1", self.crval.lon_deg());
        header.set("CRVAL2", self.crval.lat_deg());
        header.set("CRPIX1", self.geometry.size.crpix[0] + 1.0);
        header.set("CRPIX2", self.geometry.size.crpix[1] + 1.0);
        let [[cd11, cd12], [cd21, cd22]] = self.cd_deg();
        for (keyword, value) in [("CD1_1", cd11), ("CD1_2", cd12), ("CD2_1", cd21), ("CD2_2", cd22)] {
            header.set(keyword, value);
        }
        if self.projection() == Projection::Cea {
            header.set("PV2_1", 1.0);
        } else {
            // The default, written out: at the north pole it is 0.
            let lonpole = if self.crval.lat_deg() >= 90.0 { 0.0 } else { 180.0 };
            header.set("LONPOLE", lonpole);
        }
        header.set("RADESYS", "ICRS");
        header
    }

    /// The WCS of the tract.
    ///
    /// # Errors
    /// [`SkyMapError::Wcs`].
    pub fn wcs(&self) -> Result<Wcs, SkyMapError> {
        Wcs::from_header(&self.fits_header()).map_err(|e| SkyMapError::Wcs { tract: self.id, problem: e.to_string() })
    }
}
