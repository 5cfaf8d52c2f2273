//! Polygon against polygon, over any layout of the vertices.
//!
//! [`ConvexPolygon`](super::ConvexPolygon) and [`PolygonColumns`](super::PolygonColumns) both end here.

use super::orientation::{FILTER, orientation, orientation_exact};
use super::{Relation, UnitVector};

/// The vertices of one polygon, counter-clockwise.
pub(super) trait Ring: Copy {
    fn len(self) -> usize;
    fn at(self, i: usize) -> UnitVector;

    fn before(self, i: usize) -> UnitVector {
        self.at(if i == 0 { self.len() - 1 } else { i - 1 })
    }
}

impl Ring for &[UnitVector] {
    #[inline]
    fn len(self) -> usize {
        <[UnitVector]>::len(self)
    }

    #[inline]
    fn at(self, i: usize) -> UnitVector {
        self[i]
    }
}

/// Four vertices by coordinate.
struct Quad {
    x: [f64; 4],
    y: [f64; 4],
    z: [f64; 4],
}

impl Quad {
    #[inline]
    fn copy<R: Ring>(ring: R) -> Self {
        let v: [UnitVector; 4] = std::array::from_fn(|i| ring.at(i));
        Self { x: v.map(|v| v.x), y: v.map(|v| v.y), z: v.map(|v| v.z) }
    }
}

/// What the edges of one quadrilateral say about another one.
#[derive(Clone, Copy)]
struct Verdict {
    /// Some edge has all vertices strictly outside.
    separates: bool,
    /// Every edge has all vertices strictly inside.
    contains: bool,
    /// Some edge has a vertex too near to tell.
    doubtful: bool,
}

impl Quad {
    /// Without a branch: which edge decides is as good as random, and a wrong guess costs more than an edge.
    #[expect(clippy::needless_bitwise_bool, reason = "a lazy operator is a branch")]
    #[inline]
    fn judge(&self, other: &Self) -> Verdict {
        let mut verdict = Verdict { separates: false, contains: true, doubtful: false };
        for i in 0..4 {
            let j = (i + 1) % 4;
            let nx = self.y[i] * self.z[j] - self.z[i] * self.y[j];
            let ny = self.z[i] * self.x[j] - self.x[i] * self.z[j];
            let nz = self.x[i] * self.y[j] - self.y[i] * self.x[j];
            let d: [f64; 4] = std::array::from_fn(|k| nx * other.x[k] + ny * other.y[k] + nz * other.z[k]);
            let smaller = |a: f64, b: f64| if a < b { a } else { b };
            let larger = |a: f64, b: f64| if a > b { a } else { b };
            let low = smaller(smaller(d[0], d[2]), smaller(d[1], d[3]));
            let high = larger(larger(d[0], d[2]), larger(d[1], d[3]));
            let (out, inside) = (high < -FILTER, low > FILTER);
            verdict.separates |= out;
            verdict.contains &= inside;
            verdict.doubtful |= !(out | inside | ((low < -FILTER) & (high > FILTER)));
        }
        verdict
    }

    /// How this one lies to another one of the same hemisphere, when rounding cannot matter.
    #[inline]
    fn relate(&self, other: &Self) -> Option<Relation> {
        let ours = self.judge(other);
        if ours.separates {
            return Some(Relation::DISJOINT);
        }
        let theirs = other.judge(self);
        if theirs.separates {
            return Some(Relation::DISJOINT);
        }
        if ours.doubtful | theirs.doubtful {
            return None;
        }
        Some(match (ours.contains, theirs.contains) {
            (true, _) => Relation::CONTAINS,
            (_, true) => Relation::WITHIN,
            _ => Relation::INTERSECTS,
        })
    }
}

/// A cap around a polygon, kept as numbers that are cheap to compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cap {
    pub(crate) axis: UnitVector,
    pub(crate) cos: f64,
    /// NaN marks the whole sphere: every comparison with it fails, so nothing is rejected.
    pub(crate) sin: f64,
}

impl Cap {
    /// Around the vertices of a ring: the axis is the direction of their sum.
    pub(super) fn around<R: Ring>(ring: R) -> Self {
        let (mut x, mut y, mut z) = (0.0, 0.0, 0.0);
        for i in 0..ring.len() {
            let v = ring.at(i);
            x += v.x;
            y += v.y;
            z += v.z;
        }
        let Some(axis) = UnitVector::normalized(x, y, z) else { return Self::whole() };
        let mut cos = 1.0_f64;
        for i in 0..ring.len() {
            cos = cos.min(axis.dot(ring.at(i)));
        }
        Self::new(axis, cos)
    }

    /// With an opening of `acos(cos)`, a little widened. From a hemisphere on a cap is not convex, and proves nothing.
    pub(crate) fn new(axis: UnitVector, cos: f64) -> Self {
        let cos = cos - 4.0 * f64::EPSILON;
        if cos > 0.0 { Self { axis, cos, sin: (1.0 - cos * cos).sqrt() } } else { Self { axis, ..Self::whole() } }
    }

    fn whole() -> Self {
        Self { axis: UnitVector { x: 0.0, y: 0.0, z: 1.0 }, cos: 0.0, sin: f64::NAN }
    }

    /// The opening angle from the axis, radians; pi for the whole sphere.
    pub(crate) fn radius(self) -> f64 {
        if self.sin.is_nan() { std::f64::consts::PI } else { libm::atan2(self.sin, self.cos) }
    }

    /// Whether the two caps surely share no point.
    #[inline]
    pub(crate) fn misses(self, other: Self) -> bool {
        self.axis.dot(other.axis) < self.cos * other.cos - self.sin * other.sin - 4.0 * f64::EPSILON
    }

    /// Whether both together surely fit into an open hemisphere.
    #[inline]
    fn shares_hemisphere(self, other: Self) -> bool {
        // Opening angles below 40 degrees each, axes at most 90 degrees apart: 170 degrees in all.
        self.sin < 0.64 && other.sin < 0.64 && self.axis.dot(other.axis) > 0.0
    }
}

/// How all vertices of a ring lie to one edge.
struct Sides {
    /// All of them strictly outside.
    all_out: bool,
    /// None of them strictly outside.
    all_in: bool,
}

#[inline]
fn sides<R: Ring>(a: UnitVector, b: UnitVector, ring: R) -> Sides {
    let (nx, ny, nz) = a.cross(b);
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for i in 0..ring.len() {
        let v = ring.at(i);
        let d = nx * v.x + ny * v.y + nz * v.z;
        low = if d < low { d } else { low };
        high = if d > high { d } else { high };
    }
    if high < -FILTER {
        return Sides { all_out: true, all_in: false };
    }
    if low > FILTER {
        return Sides { all_out: false, all_in: true };
    }
    if low < -FILTER && high > FILTER {
        return Sides { all_out: false, all_in: false };
    }
    doubtful_sides(a, b, ring, low, high)
}

#[cold]
fn doubtful_sides<R: Ring>(a: UnitVector, b: UnitVector, ring: R, low: f64, high: f64) -> Sides {
    let mut result = Sides { all_out: high <= FILTER, all_in: low >= -FILTER };
    for i in 0..ring.len() {
        let outside = side(a, b, ring.at(i)) < 0;
        result.all_out &= outside;
        result.all_in &= !outside;
    }
    result
}

/// The side of the edge from `a` to `b` on which `v` lies; all three of length one.
#[inline]
fn side(a: UnitVector, b: UnitVector, v: UnitVector) -> i32 {
    let (nx, ny, nz) = a.cross(b);
    let d = nx * v.x + ny * v.y + nz * v.z;
    if d > FILTER {
        1
    } else if d < -FILTER {
        -1
    } else {
        orientation_exact(a, b, v)
    }
}

/// Whether `v` is in the closed polygon.
#[inline]
pub(super) fn contains<R: Ring>(ring: R, v: UnitVector) -> bool {
    (0..ring.len()).all(|i| side(ring.before(i), ring.at(i), v) >= 0)
}

/// How `p` lies to `q`.
#[inline]
pub(super) fn relate<P: Ring, Q: Ring>(p: P, p_cap: Cap, q: Q, q_cap: Cap) -> Relation {
    if p_cap.misses(q_cap) {
        return Relation::DISJOINT;
    }
    // Detectors and patches have four corners.
    if p.len() == 4
        && q.len() == 4
        && p_cap.shares_hemisphere(q_cap)
        && let Some(relation) = Quad::copy(p).relate(&Quad::copy(q))
    {
        return relation;
    }
    relate_near(p, p_cap, q, q_cap)
}

fn relate_near<P: Ring, Q: Ring>(p: P, p_cap: Cap, q: Q, q_cap: Cap) -> Relation {
    let mut relation = Relation::CONTAINS | Relation::WITHIN;
    let mut q_in_p = true;
    for i in 0..p.len() {
        let s = sides(p.before(i), p.at(i), q);
        if s.all_out {
            return Relation::DISJOINT;
        }
        q_in_p &= s.all_in;
    }
    let mut p_in_q = true;
    for i in 0..q.len() {
        let s = sides(q.before(i), q.at(i), p);
        if s.all_out {
            return Relation::DISJOINT;
        }
        p_in_q &= s.all_in;
    }
    if !q_in_p && !p_in_q {
        // Two convex sets of one open hemisphere are convex sets of a plane (gnomonic projection), and these are
        // separated by one of their edges or by nothing.
        return if p_cap.shares_hemisphere(q_cap) || cross(p, q) { Relation::INTERSECTS } else { Relation::DISJOINT };
    }
    if !q_in_p {
        relation = Relation::WITHIN;
    } else if !p_in_q {
        relation = Relation::CONTAINS;
    }
    relation
}

/// Whether the polygons share a point: a vertex of one in the other, or edges that cross.
///
/// Needed only for polygons that do not fit into one hemisphere together, which can be disjoint although no edge
/// separates them.
#[cold]
fn cross<P: Ring, Q: Ring>(p: P, q: Q) -> bool {
    if (0..p.len()).any(|i| contains(q, p.at(i))) || (0..q.len()).any(|j| contains(p, q.at(j))) {
        return true;
    }
    (0..p.len()).any(|i| {
        let (a, b) = (p.before(i), p.at(i));
        (0..q.len()).any(|j| {
            let (c, d) = (q.before(j), q.at(j));
            let turn = orientation(a, c, d);
            turn != 0 && turn == orientation(b, d, c) && turn == orientation(c, b, a) && turn == orientation(d, a, b)
        })
    })
}
