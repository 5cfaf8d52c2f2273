//! [`Htm`]: the Hierarchical Triangular Mesh.

use super::cover::{Cells, Side, Verdict, cover};
use super::kernel::Cap;
use super::relate::Shape;
use super::{ConvexPolygon, Pixelization, RangeSet, Region, SphereError, UnitVector, orientation};

/// The sphere cut into 8 triangles of great circles, and each of them into four, level by level (P. Kunszt, A. Szalay
/// and A. Thakar, "The Hierarchical Triangular Mesh", 2001).
///
/// Triangles of level 0 have the indices 8 to 15 (S0 to S3, N0 to N3), those below triangle `t` the indices `4 t` to `4 t + 3`:
/// at level `l` there are `8 * 4^l` pixels from `8 * 4^l` on. Indices, polygons, envelopes and interiors are those of
/// `lsst.sphgeom.HtmPixelization`; Rubin's butler uses level 7 (triangles of 0.7 degrees).
///
/// ```
/// use bunter::{Htm, LonLat, Pixelization};
///
/// let htm = Htm::new(2)?;
/// let index = htm.index(LonLat::from_degrees(10.0, 20.0).to_unit());
/// assert_eq!(Htm::trixel_name(index)?, "N320");
/// assert!(htm.pixel(index)?.contains(LonLat::from_degrees(10.0, 20.0).to_unit()));
/// # Ok::<(), bunter::SphereError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Htm {
    level: u8,
}

/// The corners of a trixel, counter-clockwise.
type Corners = [UnitVector; 3];

const fn axis(x: f64, y: f64, z: f64) -> UnitVector {
    UnitVector { x, y, z }
}

const X: UnitVector = axis(1.0, 0.0, 0.0);
const Y: UnitVector = axis(0.0, 1.0, 0.0);
const NORTH: UnitVector = axis(0.0, 0.0, 1.0);
const WEST: UnitVector = axis(-1.0, 0.0, 0.0);
const BACK: UnitVector = axis(0.0, -1.0, 0.0);
const SOUTH: UnitVector = axis(0.0, 0.0, -1.0);

/// S0 to S3, N0 to N3.
const ROOTS: [Corners; 8] = [
    [X, SOUTH, Y],
    [Y, SOUTH, WEST],
    [WEST, SOUTH, BACK],
    [BACK, SOUTH, X],
    [X, NORTH, BACK],
    [BACK, NORTH, WEST],
    [WEST, NORTH, Y],
    [Y, NORTH, X],
];

/// The sum of two corners, and the point of the sphere there: the middle of the edge.
fn sum(a: UnitVector, b: UnitVector) -> UnitVector {
    axis(a.x + b.x, a.y + b.y, a.z + b.z)
}

fn unit(v: UnitVector) -> UnitVector {
    let norm = (v.x * v.x + v.y * v.y + v.z * v.z).sqrt();
    axis(v.x / norm, v.y / norm, v.z / norm)
}

fn middle(a: UnitVector, b: UnitVector) -> UnitVector {
    unit(sum(a, b))
}

fn split(t: &Corners) -> [Corners; 4] {
    let mid = [middle(t[1], t[2]), middle(t[2], t[0]), middle(t[0], t[1])];
    [[t[0], mid[2], mid[1]], [t[1], mid[0], mid[2]], [t[2], mid[1], mid[0]], mid]
}

/// Whether `v` is on the inner side of the edge between two middles, given as sums: their length has no say, save when
/// rounding has.
#[inline]
fn beyond(v: UnitVector, a: UnitVector, b: UnitVector) -> bool {
    let (nx, ny, nz) = a.cross(b);
    let det = v.x * nx + v.y * ny + v.z * nz;
    // Sums are at most two long, and scaling them to one rounds each coordinate once more.
    if det.abs() > 1e-14 { det > 0.0 } else { orientation(v, unit(a), unit(b)) >= 0 }
}

impl Htm {
    /// The deepest level.
    pub const MAX_LEVEL: u8 = 24;

    /// The mesh of a level.
    ///
    /// # Errors
    /// [`SphereError::BadLevel`] beyond 24.
    pub fn new(level: u8) -> Result<Self, SphereError> {
        if level <= Self::MAX_LEVEL {
            Ok(Self { level })
        } else {
            Err(SphereError::BadLevel { scheme: "htm", level, max: Self::MAX_LEVEL })
        }
    }

    /// The level that an index belongs to; `None` for what is no index at any level.
    pub fn level_of(index: u64) -> Option<u8> {
        let bits = index.checked_ilog2()?;
        let level = bits.checked_sub(3)? / 2;
        (bits % 2 == 1 && level <= u32::from(Self::MAX_LEVEL)).then_some(level as u8)
    }

    /// The triangle of an index of any level.
    ///
    /// # Errors
    /// [`SphereError::BadIndex`].
    pub fn trixel(index: u64) -> Result<ConvexPolygon, SphereError> {
        let corners = Self::corners(index)?;
        let cap = Cap::around(corners.as_slice());
        Ok(ConvexPolygon::from_parts(Box::new(corners), cap))
    }

    /// The name of a triangle of any level: `S` or `N` and the number of each child on the way, `N320`.
    ///
    /// # Errors
    /// [`SphereError::BadIndex`].
    pub fn trixel_name(index: u64) -> Result<String, SphereError> {
        let level = Self::level_of(index).ok_or_else(|| bad_index(index))?;
        let digits = (0..=level).rev().map(|l| char::from(b'0' + (index >> (2 * l) & 3) as u8));
        let hemisphere = if index >> (2 * level + 2) & 1 == 1 { 'N' } else { 'S' };
        Ok(std::iter::once(hemisphere).chain(digits).collect())
    }

    fn corners(index: u64) -> Result<Corners, SphereError> {
        let level = Self::level_of(index).ok_or_else(|| bad_index(index))?;
        let root = ROOTS[(index >> (2 * level) & 7) as usize];
        Ok((0..level).rev().fold(root, |t, l| split(&t)[(index >> (2 * l) & 3) as usize]))
    }

    fn own(self, index: u64) -> Result<Corners, SphereError> {
        if Self::level_of(index) == Some(self.level) {
            return Self::corners(index);
        }
        let first = 8_u64 << (2 * self.level);
        let expected = format!("{first} to {} at level {}", 2 * first - 1, self.level);
        Err(SphereError::BadIndex { scheme: "htm", index, expected })
    }

    fn find(self, region: &Region, limit: Option<usize>, side: Side) -> RangeSet {
        cover(&Trixels(Shape::of(region)), self.level, limit, side)
    }
}

fn bad_index(index: u64) -> SphereError {
    SphereError::BadIndex { scheme: "htm", index, expected: "8 * 4^level to 16 * 4^level - 1, levels 0 to 24".to_owned() }
}

impl Pixelization for Htm {
    fn scheme(&self) -> &'static str {
        "htm"
    }

    fn level(&self) -> u8 {
        self.level
    }

    fn universe(&self) -> RangeSet {
        (8_u64 << (2 * self.level)..16 << (2 * self.level)).into()
    }

    fn index(&self, v: UnitVector) -> u64 {
        // Borders between the eight belong to one of them, as in the reference.
        let root = match (v.z < 0.0, v.y) {
            (true, y) if y > 0.0 => usize::from(v.x <= 0.0),
            (true, y) if y < 0.0 => 2 + usize::from(v.x >= 0.0),
            (true, _) => 2 * usize::from(v.x < 0.0),
            (false, y) if y > 0.0 => 6 + usize::from(v.x > 0.0),
            (false, y) if y < 0.0 => 4 + usize::from(v.x < 0.0),
            (false, _) => 5 + 2 * usize::from(v.x >= 0.0),
        };
        let [mut a, mut b, mut c] = ROOTS[root];
        let mut index = root as u64 + 8;
        for _ in 0..self.level {
            index <<= 2;
            let (ab, ca) = (sum(a, b), sum(c, a));
            if beyond(v, ab, ca) {
                (b, c) = (unit(ab), unit(ca));
                continue;
            }
            let bc = sum(b, c);
            if beyond(v, bc, ab) {
                (a, b, c) = (b, unit(bc), unit(ab));
                index += 1;
            } else if beyond(v, ca, bc) {
                (a, b, c) = (c, unit(ca), unit(bc));
                index += 2;
            } else {
                (a, b, c) = (unit(bc), unit(ca), unit(ab));
                index += 3;
            }
        }
        index
    }

    fn pixel(&self, index: u64) -> Result<ConvexPolygon, SphereError> {
        let corners = self.own(index)?;
        let cap = Cap::around(corners.as_slice());
        Ok(ConvexPolygon::from_parts(Box::new(corners), cap))
    }

    fn centre(&self, index: u64) -> Result<UnitVector, SphereError> {
        let [a, b, c] = self.own(index)?;
        Ok(unit(sum(sum(a, b), c)))
    }

    /// Exactly the triangles whose polygon is not disjoint from the region.
    fn envelope(&self, region: &Region) -> RangeSet {
        self.find(region, None, Side::Envelope)
    }

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

/// The triangles, asked about one region.
struct Trixels<'r>(Shape<'r>);

impl Cells for Trixels<'_> {
    type Cell = Corners;

    fn roots(&self) -> impl Iterator<Item = (u64, Corners)> {
        (8..).zip(ROOTS)
    }

    fn split(&self, cell: &Corners) -> [Corners; 4] {
        split(cell)
    }

    fn judge(&self, cell: &Corners) -> Verdict {
        let ring = cell.as_slice();
        let relation = self.0.relate_ring(ring, Cap::around(ring));
        if relation.disjoint() {
            Verdict::Outside
        } else if relation.contains() {
            Verdict::Inside
        } else {
            Verdict::Partial
        }
    }
}
