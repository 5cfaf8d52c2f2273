//! [`Q3c`] and [`Mq3c`]: the sphere as the six faces of a cube.

use super::cover::{Cells, Side, Verdict, cover};
use super::kernel::Cap;
use super::relate::Shape;
use super::{ConvexPolygon, Pixelization, RangeSet, Region, SphereError, UnitVector, orientation};

/// The quad tree cube (S. Koposov and O. Bartunov, "Q3C, Quad Tree Cube", ADASS XV, 2006): squares of a cube's faces seen from its
/// centre, in the order of Morton's curve.
///
/// At level `l` the pixels are 0 to `6 * 4^l - 1`; those of `lsst.sphgeom.Q3cPixelization`.
///
/// ```
/// use bunter::{LonLat, Pixelization, Q3c};
///
/// let q3c = Q3c::new(6)?;
/// let index = q3c.index(LonLat::from_degrees(150.1, 2.2).to_unit());
/// assert!(q3c.pixel(index)?.contains(LonLat::from_degrees(150.1, 2.2).to_unit()));
/// # Ok::<(), bunter::SphereError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Q3c {
    level: u8,
}

/// The modified quad tree cube: as [`Q3c`], with coordinates on the faces that make pixels of more even areas, in the order of
/// Hilbert's curve.
///
/// Faces have the numbers 10 to 15, and the pixels below pixel `p` the indices `4 p` to `4 p + 3`, so that an index knows its level. They are those
/// of `lsst.sphgeom.Mq3cPixelization`, save that its level 30 is left out: 2^64 - 1 would be a pixel there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mq3c {
    level: u8,
}

/// A coordinate axis and a direction along it.
type Axis = (usize, f64);

/// Where the directions u and v of a face and its outward normal point to.
type Face = [Axis; 3];

const fn face(u: Axis, v: Axis, out: Axis) -> Face {
    [u, v, out]
}

/// North, the four around the equator going east from longitude 0, south.
const Q3C_FACES: [Face; 6] = [
    face((1, 1.0), (0, -1.0), (2, 1.0)),
    face((1, 1.0), (2, 1.0), (0, 1.0)),
    face((0, -1.0), (2, 1.0), (1, 1.0)),
    face((1, -1.0), (2, 1.0), (0, -1.0)),
    face((0, 1.0), (2, 1.0), (1, -1.0)),
    face((1, 1.0), (0, 1.0), (2, -1.0)),
];

/// South, x, y, north, and opposite to x and y: Hilbert's curve runs on from each to the next.
const MQ3C_FACES: [Face; 6] = [
    face((0, 1.0), (1, 1.0), (2, -1.0)),
    face((1, 1.0), (2, 1.0), (0, 1.0)),
    face((2, 1.0), (0, -1.0), (1, 1.0)),
    face((0, -1.0), (1, -1.0), (2, 1.0)),
    face((1, -1.0), (2, -1.0), (0, -1.0)),
    face((2, -1.0), (0, 1.0), (1, -1.0)),
];

/// So much wider (in u and v) are polygons than their pixels, so that rounding leaves no point out.
const DILATION: f64 = 1e-15;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Modified,
}

use Kind::{Modified, Plain};

impl Kind {
    fn faces(self) -> &'static [Face; 6] {
        match self {
            Plain => &Q3C_FACES,
            Modified => &MQ3C_FACES,
        }
    }

    /// The index of the first face at level 0.
    fn base(self) -> u64 {
        match self {
            Plain => 0,
            Modified => 10,
        }
    }

    fn index(self, level: u8, p: UnitVector) -> u64 {
        let (out, axes) = (outward(p), [p.x, p.y, p.z]);
        let face = self.faces().iter().position(|f| f[2] == out).unwrap_or(0);
        let [u, v, w] = self.faces()[face];
        let (half, last) = (f64::from(1_u32 << level) * 0.5, f64::from((1_u32 << level) - 1));
        let grid = |axis: Axis| {
            let t = axes[axis.0] / axes[w.0].abs() * axis.1;
            let t =
                if self == Modified { t * (1.333_333_333_333_333_3 - 0.333_333_333_333_333_3 * t.abs()) } else { t };
            (t * half + half).min(last).max(0.0) as u32
        };
        let (s, t) = (grid(u), grid(v));
        let within = match self {
            Plain => (0..u32::from(level)).fold(0, |sum, k| sum | u64::from(s >> k & 1 | (t >> k & 1) << 1) << (2 * k)),
            Modified => hilbert(level, s, t),
        };
        (self.base() + face as u64) << (2 * level) | within
    }

    /// Column and row of a pixel on its face.
    fn place(self, level: u8, index: u64) -> (u32, u32) {
        match self {
            Plain => (0..u32::from(level)).fold((0, 0), |(s, t), k| {
                let bits = (index >> (2 * k)) as u32;
                (s | (bits & 1) << k, t | (bits >> 1 & 1) << k)
            }),
            Modified => hilbert_place(level, index),
        }
    }

    /// The point of a face; `u` and `v` from -1 to 1.
    fn point(self, face: Face, u: f64, v: f64) -> UnitVector {
        let bend = |t: f64| {
            if self == Modified { (2.0 - (4.0 - 3.0 * t.abs()).sqrt()).copysign(t) } else { t }
        };
        let (u, v) = (bend(u), bend(v));
        let length = (1.0 + (u * u + v * v)).sqrt();
        let mut p = [0.0; 3];
        for ((axis, sign), t) in face.into_iter().zip([u, v, 1.0]) {
            p[axis] = t * sign / length;
        }
        UnitVector { x: p[0], y: p[1], z: p[2] }
    }

    /// A pixel's face, and its lower and upper ends in u and v.
    fn square(self, level: u8, index: u64) -> (usize, [f64; 2], [f64; 2]) {
        let (s, t) = self.place(level, index);
        let side = 2.0 / f64::from(1_u32 << level);
        let span = |k: u32| [f64::from(k) * side - 1.0, f64::from(k) * side - 1.0 + side];
        (((index >> (2 * level)) - self.base()) as usize, span(s), span(t))
    }

    fn corners(self, level: u8, index: u64) -> [UnitVector; 4] {
        let (number, u, v) = self.square(level, index);
        let face = self.faces()[number];
        let (u, v) = ([u[0] - DILATION, u[1] + DILATION], [v[0] - DILATION, v[1] + DILATION]);
        let [a, b, c, d] = [(0, 0), (1, 0), (1, 1), (0, 1)].map(|(i, j)| self.point(face, u[i], v[j]));
        // Even faces of the modified cube are left-handed.
        if self == Modified && number % 2 == 0 { [a, d, c, b] } else { [a, b, c, d] }
    }

    fn centre(self, level: u8, index: u64) -> UnitVector {
        let (number, u, v) = self.square(level, index);
        self.point(self.faces()[number], 0.5 * (u[0] + u[1]), 0.5 * (v[0] + v[1]))
    }

    fn range(self, level: u8) -> std::ops::Range<u64> {
        self.base() << (2 * level)..(self.base() + 6) << (2 * level)
    }

    fn check(self, level: u8, index: u64) -> Result<(), SphereError> {
        let range = self.range(level);
        if range.contains(&index) {
            return Ok(());
        }
        let scheme = if self == Plain { "q3c" } else { "mq3c" };
        let expected = format!("{} to {} at level {level}", range.start, range.end - 1);
        Err(SphereError::BadIndex { scheme, index, expected })
    }

    fn pixel(self, level: u8, index: u64) -> Result<ConvexPolygon, SphereError> {
        self.check(level, index)?;
        let corners = self.corners(level, index);
        // At the deepest levels rounding may bend a square of some nanoradians.
        let convex = (0..4).all(|i| orientation(corners[i], corners[(i + 1) % 4], corners[(i + 2) % 4]) > 0);
        if !convex {
            return ConvexPolygon::new(&corners);
        }
        let cap = Cap::around(corners.as_slice());
        Ok(ConvexPolygon::from_parts(Box::new(corners), cap))
    }

    fn find(self, level: u8, region: &Region, limit: Option<usize>, side: Side) -> RangeSet {
        cover(&Squares { kind: self, shape: Shape::of(region) }, level, limit, side)
    }
}

/// The axis that a point is nearest to; between two of them as the reference decides.
fn outward(p: UnitVector) -> Axis {
    let UnitVector { x, y, z } = p;
    let (axis, far) = match (x > -y, x > y) {
        (true, true) => ((0, 1.0), x),
        (true, false) => ((1, 1.0), y),
        (false, true) => ((1, -1.0), -y),
        (false, false) => ((0, -1.0), -x),
    };
    let tie = axis.1 > 0.0;
    if z > far || (tie && z >= far) {
        (2, 1.0)
    } else if z < -far || (tie && z <= -far) {
        (2, -1.0)
    } else {
        axis
    }
}

/// The place along Hilbert's curve that begins going up.
fn hilbert(level: u8, s: u32, t: u32) -> u64 {
    let (mut s, mut t, mut sum) = (s, t, 0);
    for k in (0..level).rev() {
        let (right, up) = (s >> k & 1, t >> k & 1);
        sum = sum << 2 | u64::from((3 * right) ^ up);
        (s, t) = turn(s, t, right, up);
    }
    sum
}

/// The inverse of [`hilbert`].
fn hilbert_place(level: u8, index: u64) -> (u32, u32) {
    let (mut s, mut t) = (0, 0);
    for k in 0..level {
        let digit = (index >> (2 * k)) as u32 & 3;
        let (right, up) = (digit >> 1, digit >> 1 ^ digit & 1);
        let below = (1 << k) - 1;
        let (a, b) = turn(s, t, right, up);
        (s, t) = (a & below | right << k, b & below | up << k);
    }
    (s, t)
}

/// The first and the last quarter of the curve are turned.
fn turn(s: u32, t: u32, right: u32, up: u32) -> (u32, u32) {
    match (right, up) {
        (0, 0) => (t, s),
        (1, 0) => (!t, !s),
        _ => (s, t),
    }
}

/// The squares, asked about one region.
struct Squares<'r> {
    kind: Kind,
    shape: Shape<'r>,
}

impl Cells for Squares<'_> {
    /// Level and index.
    type Cell = (u8, u64);

    fn roots(&self) -> impl Iterator<Item = (u64, (u8, u64))> {
        self.kind.range(0).map(|index| (index, (0, index)))
    }

    fn split(&self, cell: &(u8, u64)) -> [(u8, u64); 4] {
        std::array::from_fn(|k| (cell.0 + 1, 4 * cell.1 + k as u64))
    }

    fn judge(&self, cell: &(u8, u64), _splits: bool) -> Verdict {
        let corners = self.kind.corners(cell.0, cell.1);
        let ring = corners.as_slice();
        let relation = self.shape.relate_ring(ring, Cap::around(ring));
        if relation.disjoint() {
            Verdict::Outside
        } else if relation.contains() {
            Verdict::Inside
        } else {
            Verdict::Partial
        }
    }
}

macro_rules! cube {
    ($name:ident, $scheme:literal, $kind:ident, $max:literal) => {
        impl $name {
            /// The deepest level.
            pub const MAX_LEVEL: u8 = $max;

            /// The pixels of a level.
            ///
            /// # Errors
            /// [`SphereError::BadLevel`] beyond [`MAX_LEVEL`](Self::MAX_LEVEL).
            pub fn new(level: u8) -> Result<Self, SphereError> {
                if level <= Self::MAX_LEVEL {
                    Ok(Self { level })
                } else {
                    Err(SphereError::BadLevel { scheme: $scheme, level, max: Self::MAX_LEVEL })
                }
            }
        }

        impl Pixelization for $name {
            fn scheme(&self) -> &'static str {
                $scheme
            }

            fn level(&self) -> u8 {
                self.level
            }

            fn universe(&self) -> RangeSet {
                $kind.range(self.level).into()
            }

            fn index(&self, point: UnitVector) -> u64 {
                $kind.index(self.level, point)
            }

            /// The pixel, wider by some 1e-15 on all sides.
            fn pixel(&self, index: u64) -> Result<ConvexPolygon, SphereError> {
                $kind.pixel(self.level, index)
            }

            fn centre(&self, index: u64) -> Result<UnitVector, SphereError> {
                $kind.check(self.level, index)?;
                Ok($kind.centre(self.level, index))
            }

            fn envelope(&self, region: &Region) -> RangeSet {
                $kind.find(self.level, region, None, Side::Envelope)
            }

            fn interior(&self, region: &Region) -> RangeSet {
                $kind.find(self.level, region, None, Side::Interior)
            }

            fn envelope_at_most(&self, region: &Region, ranges: usize) -> RangeSet {
                $kind.find(self.level, region, Some(ranges), Side::Envelope)
            }

            fn interior_at_most(&self, region: &Region, ranges: usize) -> RangeSet {
                $kind.find(self.level, region, Some(ranges), Side::Interior)
            }
        }
    };
}

cube!(Q3c, "q3c", Plain, 30);
cube!(Mq3c, "mq3c", Modified, 29);
