//! [`Healpix`]: the Hierarchical Equal Area isoLatitude Pixelization.

use std::cmp::Ordering;
use std::f64::consts::FRAC_2_PI;

use super::cover::{Side, cover};
use super::healpix_cell::{Cell, Diamonds};
use super::relate::Shape;
use super::{ConvexPolygon, Pixelization, RangeSet, Region, SphereError, UnitVector};

/// The sphere cut into 12 diamonds, and each of them into four of equal area, level by level, numbered in the NESTED
/// scheme (K. Górski et al., "`HEALPix`", Astrophysical Journal 622, 759, 2005).
///
/// At level (order, depth) `l` `nside` is `2^l` and the pixels are 0 to `12 * 4^l - 1`. The borders of pixels are no great circles;
/// envelopes and interiors follow the true ones. Neighbours and the RING scheme are those of the crate `cdshealpix` by the
/// Centre de Données astronomiques de Strasbourg.
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

    /// The pixels that share a border or a corner with one: 6 to 8, ascending.
    ///
    /// # Errors
    /// [`SphereError::BadIndex`].
    pub fn neighbours(self, index: u64) -> Result<Vec<u64>, SphereError> {
        self.cell(index)?;
        let mut found = Vec::with_capacity(8);
        cdshealpix::nested::append_bulk_neighbours(self.level, index, &mut found);
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// The number of a pixel in the RING scheme.
    ///
    /// # Errors
    /// [`SphereError::BadIndex`].
    pub fn to_ring(self, index: u64) -> Result<u64, SphereError> {
        self.cell(index)?;
        Ok(cdshealpix::nested::get(self.level).to_ring(index))
    }

    /// The pixel of a number in the RING scheme.
    ///
    /// # Errors
    /// [`SphereError::BadIndex`].
    pub fn from_ring(self, number: u64) -> Result<u64, SphereError> {
        self.cell(number)?;
        Ok(cdshealpix::nested::get(self.level).from_ring(number))
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
        cover(&Diamonds::new(Shape::of(region), side), self.level, limit, side)
    }
}

/// The pixel that holds a point, by the formulas of Górski et al., section 4. Points on borders go where the authors' library,
/// healpy and hpgeom put them (the crate takes the other side), for Rubin registries hold those indices.
pub(super) fn index(level: u8, v: UnitVector) -> u64 {
    let nside = f64::from(1_u32 << level);
    let norm = v.dot(v).sqrt();
    let z = v.z / norm;
    // Quarters of a turn, 0 to 4.
    let turn = (libm::atan2(v.y, v.x) * FRAC_2_PI).rem_euclid(4.0);
    let last = (1_u32 << level) - 1;
    let (face, east, west) = if z.abs() <= 2.0 / 3.0 {
        let (at, up) = (nside * (0.5 + turn), nside * (z * 0.75));
        // Lines that ascend and lines that descend, counted eastward.
        let (ascending, descending) = ((at - up) as u64, (at + up) as u64);
        let (a, d) = (ascending >> level, descending >> level);
        let face = match a.cmp(&d) {
            Ordering::Equal => a & 3 | 4,
            Ordering::Less => a,
            Ordering::Greater => d + 8,
        };
        (face, descending as u32 & last, last - (ascending as u32 & last))
    } else {
        let quarter = turn.min(3.0).floor();
        let along = turn - quarter;
        let sigma = if z.abs() < 0.99 {
            (3.0 * (1.0 - z.abs())).sqrt()
        } else {
            // Near a pole z has lost its digits.
            libm::hypot(v.x, v.y) / norm / ((1.0 + z.abs()) / 3.0).sqrt()
        };
        let (right, left) = ((along * nside * sigma) as u32, ((1.0 - along) * nside * sigma) as u32);
        let (right, left) = (right.min(last), left.min(last));
        if z > 0.0 { (quarter as u64, last - left, last - right) } else { (quarter as u64 + 8, right, left) }
    };
    Cell::new(face as u8, level, east, west).index()
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
        index(self.level, point)
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
}
