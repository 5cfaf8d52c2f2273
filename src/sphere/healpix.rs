//! [`Healpix`]: the Hierarchical Equal Area isoLatitude Pixelization.

use super::cover::{Side, cover};
use super::healpix_cell::{Cell, Diamonds};
use super::pixelization::check_lon_lat;
use super::relate::Shape;
use super::{ConvexPolygon, LonLat, Pixelization, RangeSet, Region, SphereError, UnitVector};

/// The sphere cut into 12 diamonds, and each of them into four of equal area, level by level, numbered in the NESTED
/// scheme (K. Górski et al., "HEALPix", ApJ 622, 759, 2005).
///
/// At level (order, depth) `l` `nside` is `2^l` and the pixels are 0 to `12 * 4^l - 1`. Positions are indexed by the crate `cdshealpix` of
/// the Centre de Données astronomiques de Strasbourg. The borders of pixels are no great circles; envelopes and interiors follow the true ones.
///
/// ```
/// use bunter::{Healpix, LonLat, Pixelization};
///
/// let healpix = Healpix::new(9)?;
/// let (mut index, lon, lat) = (Vec::new(), [150.1_f64.to_radians()], [2.2_f64.to_radians()]);
/// healpix.index_lon_lat_columns(&lon, &lat, &mut index)?;
/// let centre = healpix.centre(index[0])?;
/// assert!(centre.separation(LonLat::new(lon[0], lat[0]).to_unit()) < 1.08 / 512.0);
/// assert!(index[0] < healpix.universe().cardinality());
/// # Ok::<(), bunter::SphereError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Healpix {
    level: u8,
}

impl Healpix {
    /// The deepest level.
    pub const MAX_LEVEL: u8 = 29;

    /// The pixels of a level.
    ///
    /// # Errors
    /// [`SphereError::BadLevel`] beyond 29.
    pub fn new(level: u8) -> Result<Self, SphereError> {
        if level <= Self::MAX_LEVEL {
            Ok(Self { level })
        } else {
            Err(SphereError::BadLevel { scheme: "healpix", level, max: Self::MAX_LEVEL })
        }
    }

    /// Pixels along the side of one of the twelve: `2^level`.
    pub fn nside(self) -> u32 {
        1 << self.level
    }

    /// The corners of a pixel: south, east, north, west.
    ///
    /// # Errors
    /// [`SphereError::BadIndex`].
    pub fn corners(self, index: u64) -> Result<[UnitVector; 4], SphereError> {
        Ok(self.cell(index)?.edges().map(|edge| edge.at(0.0).point))
    }

    /// The border of a pixel as `4 * steps` points (1 step at least), counter-clockwise seen from outside, the southern corner
    /// first.
    ///
    /// # Errors
    /// [`SphereError::BadIndex`].
    pub fn border(self, index: u64, steps: u16) -> Result<Vec<UnitVector>, SphereError> {
        let steps = steps.max(1);
        let edges = self.cell(index)?.edges();
        let at = |k| f64::from(k) / f64::from(steps);
        Ok(edges.iter().flat_map(|edge| (0..steps).map(move |k| edge.at(at(k)).point)).collect())
    }

    fn cell(self, index: u64) -> Result<Cell, SphereError> {
        let end = 12_u64 << (2 * self.level);
        if index < end {
            return Ok(Cell::of_index(index, self.level));
        }
        let expected = format!("0 to {} at level {}", end - 1, self.level);
        Err(SphereError::BadIndex { scheme: "healpix", index, expected })
    }

    fn find(self, region: &Region, limit: Option<usize>, side: Side) -> RangeSet {
        cover(&Diamonds::new(Shape::of(region), self.level, side), self.level, limit, side)
    }
}

/// The index of a good position; the crate refuses latitudes that rounding has brought beyond a pole.
fn hash(layer: &cdshealpix::nested::Layer, lon: f64, lat: f64) -> u64 {
    use std::f64::consts::FRAC_PI_2;
    layer.hash(lon, lat.clamp(-FRAC_PI_2, FRAC_PI_2))
}

impl Pixelization for Healpix {
    fn scheme(&self) -> &'static str {
        "healpix"
    }

    fn level(&self) -> u8 {
        self.level
    }

    fn universe(&self) -> RangeSet {
        (0..12_u64 << (2 * self.level)).into()
    }

    fn index(&self, point: UnitVector) -> u64 {
        let p = point.to_lon_lat();
        if p.lon.is_finite() && p.lat.is_finite() { hash(cdshealpix::nested::get(self.level), p.lon, p.lat) } else { 0 }
    }

    /// A convex polygon around the pixel's corners and three points between each two of them: the hull that
    /// `lsst.sphgeom.HealpixPixelization` makes. The pixel itself is dented on some sides and bulges on others by up to
    /// `0.25 / nside^2` radians beyond it; [`Healpix::border`] follows the border as closely as one likes.
    fn pixel(&self, index: u64) -> Result<ConvexPolygon, SphereError> {
        ConvexPolygon::new(&self.border(index, 4)?)
    }

    fn centre(&self, index: u64) -> Result<UnitVector, SphereError> {
        Ok(self.cell(index)?.centre())
    }

    /// All pixels that touch the region by their true borders. Where pixel and region come nearer than some 1e-14 radians without
    /// touching, the pixel may be among them.
    fn envelope(&self, region: &Region) -> RangeSet {
        self.find(region, None, Side::Envelope)
    }

    /// All pixels inside the region by their true borders, save those that come to its border within some 1e-14 radians.
    fn interior(&self, region: &Region) -> RangeSet {
        self.find(region, None, Side::Interior)
    }

    fn envelope_at_most(&self, region: &Region, ranges: usize) -> RangeSet {
        self.find(region, Some(ranges), Side::Envelope)
    }

    fn interior_at_most(&self, region: &Region, ranges: usize) -> RangeSet {
        self.find(region, Some(ranges), Side::Interior)
    }

    fn index_lon_lat_columns(&self, lon: &[f64], lat: &[f64], out: &mut Vec<u64>) -> Result<(), SphereError> {
        check_lon_lat(lon, lat)?;
        let layer = cdshealpix::nested::get(self.level);
        out.clear();
        out.extend(lon.iter().zip(lat).map(|(lon, lat)| hash(layer, LonLat::new(*lon, *lat).wrapped().lon, *lat)));
        Ok(())
    }
}
