//! [`PolygonIndex`]: which of millions of polygons touch this one?
//!
//! A static tree of boxes in the space of unit vectors. Polygons are put in order by size, then along a Hilbert curve on the faces of a
//! cube, and grouped by sixteens; groups again by sixteens, up to one. The shape of the tree follows from the number of polygons
//! alone: nothing in stored bytes can lead a query astray or around in circles. Boxes only rule out; what is left at the bottom is
//! related exactly.

use std::borrow::Cow;
use std::f64::consts::FRAC_PI_2;

use rayon::prelude::*;

use super::kernel::Cap;
use super::{Circle, ConvexPolygon, LonLatBox, PolygonColumns, Region, SphereError, UnitVector};

/// Children of a group.
const WIDE: usize = 16;
/// Numbers of a group: lower x, y, z and upper x, y, z of each child.
const BLOCK: usize = 6 * WIDE;
/// `16^8 = 2^32` polygons.
const MAX_DEPTH: usize = 8;
/// Rounding of a dot product of a corner of a box with a vector no longer than one, amply.
const SLACK: f64 = 1e-14;

/// Lower and upper ends of a box, as `[x, y, z, x, y, z]`.
pub(super) type Bounds = [f32; 6];

/// A spatial index of [`PolygonColumns`]: finds the polygons that touch a polygon, a circle, a box or a point, in a time that grows
/// with the answer, whatever mix of sizes the polygons have.
///
/// It is made once ([`build`](Self::build), in parallel; the same on every machine and for any number of threads) and is two flat columns
/// ([`parts`](Self::parts)), which may be stored and read in place ([`from_parts`](Self::from_parts)) without looking at them. It holds no polygons:
/// queries are given the columns it was built from. Answers are row numbers in ascending order, added to a vector.
///
/// ```
/// use bunter::{ConvexPolygon, LonLat, PolygonBuffer, PolygonIndex};
///
/// let square = |lon: f64| ConvexPolygon::from_degrees(&[(lon, 0.0), (lon + 1.0, 0.0), (lon + 1.0, 1.0), (lon, 1.0)]);
/// let buffer: PolygonBuffer = (0..360).map(|i| square(f64::from(i))).collect::<Result<Vec<_>, _>>()?.iter().collect();
/// let columns = buffer.columns()?;
/// let index = PolygonIndex::build(&columns)?;
/// let mut rows = Vec::new();
/// // Its neighbours share an edge with it.
/// index.query_polygon(&columns, &columns.polygon(7), &mut rows)?;
/// assert_eq!(rows, [6, 7, 8]);
/// rows.clear();
/// index.query_point(&columns, LonLat::from_degrees(7.5, 0.5).to_unit(), &mut rows)?;
/// assert_eq!(rows, [7]);
///
/// let (order, boxes) = index.parts();
/// let stored = PolygonIndex::from_parts(order, boxes)?;
/// assert_eq!(stored.len(), columns.len());
/// # Ok::<(), bunter::SphereError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct PolygonIndex<'a> {
    /// Rows of the polygons, in the order of the curve.
    rows: Cow<'a, [u32]>,
    /// Groups of boxes, those of polygons first, then level by level up to the one at the top.
    boxes: Cow<'a, [f32]>,
    levels: Levels,
}

/// Where the groups of each level begin, bottom first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Levels {
    start: [usize; MAX_DEPTH + 1],
    depth: usize,
}

impl Levels {
    fn of(polygons: usize) -> Self {
        let mut levels = Self { start: [0; MAX_DEPTH + 1], depth: 0 };
        let mut count = polygons;
        while levels.depth < MAX_DEPTH && count > 0 {
            count = count.div_ceil(WIDE);
            levels.start[levels.depth + 1] = levels.start[levels.depth] + count;
            levels.depth += 1;
            if count == 1 {
                break;
            }
        }
        levels
    }

    /// Number of groups.
    fn groups(&self) -> usize {
        self.start[self.depth]
    }
}

/// What a box says about the polygons inside of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// None of them touches.
    Outside,
    /// All of them touch.
    Inside,
    Unsure,
}

/// A region that is looked for.
trait Probe {
    fn bounds(&self) -> Bounds;

    /// May look closer than the bounds.
    fn judge(&self, low: [f64; 3], high: [f64; 3]) -> Verdict;

    /// Whether polygon `row` touches, exactly.
    fn touches(&self, columns: &PolygonColumns<'_>, row: usize) -> bool;
}

impl PolygonIndex<'static> {
    /// Builds the index, on all threads of the current rayon pool.
    ///
    /// # Errors
    /// [`SphereError::BadColumns`] for more than 2^32 polygons.
    pub fn build(columns: &PolygonColumns<'_>) -> Result<Self, SphereError> {
        let count = columns.len();
        if u32::try_from(count).is_err() {
            return Err(SphereError::BadColumns {
                problem: format!("{count} polygons are more than an index holds, 2^32"),
            });
        }
        let mut order: Vec<(u64, u32)> =
            (0..count).into_par_iter().with_min_len(1024).map(|row| (key(columns.cap(row)), row as u32)).collect();
        order.par_sort_unstable();
        let levels = Levels::of(count);
        let mut boxes = vec![0.0_f32; levels.groups() * BLOCK];
        let (bottom, mut above) = boxes.split_at_mut(levels.start[1.min(levels.depth)] * BLOCK);
        bottom.par_chunks_mut(BLOCK).with_min_len(64).zip(order.par_chunks(WIDE)).for_each(|(block, members)| {
            fill(block, members.iter().map(|(_, row)| bounds_of(columns, *row as usize)));
        });
        let mut below: &[f32] = bottom;
        for level in 1..levels.depth {
            let groups = levels.start[level + 1] - levels.start[level];
            let (here, rest) = above.split_at_mut(groups * BLOCK);
            here.par_chunks_mut(BLOCK)
                .with_min_len(64)
                .zip(below.par_chunks(BLOCK * WIDE))
                .for_each(|(block, children)| fill(block, children.chunks(BLOCK).map(around)));
            (below, above) = (here, rest);
        }
        let rows: Vec<u32> = order.into_par_iter().with_min_len(4096).map(|(_, row)| row).collect();
        Ok(Self { rows: Cow::Owned(rows), boxes: Cow::Owned(boxes), levels })
    }
}

impl<'a> PolygonIndex<'a> {
    /// The two columns that the index consists of: for each polygon its row, and boxes. Their lengths are `n` and 96 times the number of
    /// groups of 16, of groups of 16 of those, and so on up to one.
    pub fn parts(&self) -> (&[u32], &[f32]) {
        (&self.rows, &self.boxes)
    }

    /// The index that [`parts`](Self::parts) took apart, in place. Only the lengths are looked at; a query that meets a row out of range
    /// refuses, and [`verify`](Self::verify) looks at everything.
    ///
    /// # Errors
    /// [`SphereError::BadColumns`] for lengths that do not fit.
    pub fn from_parts(rows: &'a [u32], boxes: &'a [f32]) -> Result<Self, SphereError> {
        let levels = Levels::of(rows.len());
        let expected = levels.groups() * BLOCK;
        if u32::try_from(rows.len()).is_err() || boxes.len() != expected {
            let problem = format!("an index of {} polygons has {expected} numbers, not {}", rows.len(), boxes.len());
            return Err(SphereError::BadColumns { problem });
        }
        Ok(Self { rows: Cow::Borrowed(rows), boxes: Cow::Borrowed(boxes), levels })
    }

    /// Checks that this is the index of these polygons: built anew, it must be the same.
    ///
    /// # Errors
    /// [`SphereError::BadColumns`].
    pub fn verify(&self, columns: &PolygonColumns<'_>) -> Result<(), SphereError> {
        self.check_length(columns)?;
        let anew = PolygonIndex::build(columns)?;
        if anew.rows == self.rows && anew.boxes == self.boxes {
            Ok(())
        } else {
            Err(SphereError::BadColumns { problem: "the index is not that of these polygons".to_owned() })
        }
    }

    /// Number of polygons.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no polygon.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds the rows of the polygons that share a point with `polygon`, ascending. Exact, touching included.
    ///
    /// # Errors
    /// [`SphereError::BadColumns`] when this cannot be the index of `columns`.
    pub fn query_polygon(
        &self,
        columns: &PolygonColumns<'_>,
        polygon: &ConvexPolygon,
        out: &mut Vec<u32>,
    ) -> Result<(), SphereError> {
        self.search(columns, &PolygonProbe::new(polygon), out)
    }

    /// Adds the rows of the polygons that share a point with `circle`, ascending; to within rounding, as [`Region::relate`].
    ///
    /// # Errors
    /// As [`query_polygon`](Self::query_polygon).
    pub fn query_circle(
        &self,
        columns: &PolygonColumns<'_>,
        circle: Circle,
        out: &mut Vec<u32>,
    ) -> Result<(), SphereError> {
        self.search(columns, &CircleProbe::new(circle), out)
    }

    /// Adds the rows of the polygons that share a point with `box_`, ascending; as sharp as [`Region::relate`].
    ///
    /// # Errors
    /// As [`query_polygon`](Self::query_polygon).
    pub fn query_box(
        &self,
        columns: &PolygonColumns<'_>,
        box_: LonLatBox,
        out: &mut Vec<u32>,
    ) -> Result<(), SphereError> {
        self.search(columns, &BoxProbe::new(box_), out)
    }

    /// Adds the rows of the polygons that hold `point`, inside or on the border, ascending. Exact. A vector that is not of length one
    /// is in no polygon.
    ///
    /// # Errors
    /// As [`query_polygon`](Self::query_polygon).
    pub fn query_point(
        &self,
        columns: &PolygonColumns<'_>,
        point: UnitVector,
        out: &mut Vec<u32>,
    ) -> Result<(), SphereError> {
        if super::hull::check_unit(0, point).is_err() {
            return self.check_length(columns);
        }
        self.search(columns, &PointProbe(point), out)
    }

    /// [`query_polygon`](Self::query_polygon), [`query_circle`](Self::query_circle) or [`query_box`](Self::query_box).
    ///
    /// # Errors
    /// As [`query_polygon`](Self::query_polygon).
    pub fn query(&self, columns: &PolygonColumns<'_>, region: &Region, out: &mut Vec<u32>) -> Result<(), SphereError> {
        match region {
            Region::Polygon(p) => self.query_polygon(columns, p, out),
            Region::Circle(c) => self.query_circle(columns, *c, out),
            Region::Box(b) => self.query_box(columns, *b, out),
        }
    }

    pub(super) fn check_length(&self, columns: &PolygonColumns<'_>) -> Result<(), SphereError> {
        if columns.len() == self.len() {
            return Ok(());
        }
        let problem = format!("the index is of {} polygons, the columns hold {}", self.len(), columns.len());
        Err(SphereError::BadColumns { problem })
    }

    fn search<P: Probe>(&self, columns: &PolygonColumns<'_>, probe: &P, out: &mut Vec<u32>) -> Result<(), SphereError> {
        self.check_length(columns)?;
        let start = out.len();
        if self.levels.depth > 0 {
            let search = Search { index: self, columns, probe, bounds: probe.bounds() };
            search.group(self.levels.depth - 1, 0, out).inspect_err(|_| out.truncate(start))?;
        }
        out[start..].sort_unstable();
        Ok(())
    }

    fn block(&self, group: usize) -> &[f32; BLOCK] {
        const EMPTY: &[f32; BLOCK] = &[f32::NAN; BLOCK];
        self.boxes.get(group * BLOCK..).and_then(<[f32]>::first_chunk).unwrap_or(EMPTY)
    }

    /// The row of a polygon in a group of the bottom; `None` past the end.
    fn row(&self, group: usize, child: usize) -> Option<u32> {
        self.rows.get(group * WIDE + child).copied()
    }

    /// The groups of polygons that `bounds` may reach, at most `limit`; `false` when there are more.
    pub(super) fn groups(&self, bounds: &Bounds, limit: usize, found: &mut Vec<u32>) -> bool {
        fn descend(
            index: &PolygonIndex<'_>,
            level: usize,
            at: usize,
            (bounds, limit): (&Bounds, usize),
            found: &mut Vec<u32>,
        ) -> bool {
            if level == 0 {
                found.push(at as u32);
                return found.len() <= limit;
            }
            let mut mask = reached(index.block(index.levels.start[level] + at), bounds);
            while mask != 0 {
                let child = at * WIDE + mask.trailing_zeros() as usize;
                mask &= mask - 1;
                if index.levels.start[level - 1] + child < index.levels.start[level]
                    && !descend(index, level - 1, child, (bounds, limit), found)
                {
                    return false;
                }
            }
            true
        }
        self.levels.depth == 0 || descend(self, self.levels.depth - 1, 0, (bounds, limit), found)
    }

    /// Calls `visit` with the rows of a group of polygons whose boxes `bounds` reaches.
    #[inline]
    pub(super) fn members(&self, group: u32, bounds: &Bounds, mut visit: impl FnMut(u32)) {
        let mut mask = reached(self.block(group as usize), bounds);
        while mask != 0 {
            let child = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            if let Some(row) = self.row(group as usize, child) {
                visit(row);
            }
        }
    }
}

struct Search<'s, P> {
    index: &'s PolygonIndex<'s>,
    columns: &'s PolygonColumns<'s>,
    probe: &'s P,
    bounds: Bounds,
}

impl<P: Probe> Search<'_, P> {
    fn group(&self, level: usize, at: usize, out: &mut Vec<u32>) -> Result<(), SphereError> {
        let levels = &self.index.levels;
        let block = self.index.block(levels.start[level] + at);
        let mut mask = reached(block, &self.bounds);
        while mask != 0 {
            let child = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            let corner = |i: usize| f64::from(block[i * WIDE + child]);
            let verdict = self.probe.judge([corner(0), corner(1), corner(2)], [corner(3), corner(4), corner(5)]);
            match (verdict, level) {
                (Verdict::Outside, _) => {}
                (Verdict::Inside, _) => self.take(level, at * WIDE + child, out)?,
                (Verdict::Unsure, 0) => {
                    if let Some(row) = self.index.row(at, child) {
                        check_row(self.columns, row)?;
                        if self.probe.touches(self.columns, row as usize) {
                            out.push(row);
                        }
                    }
                }
                (Verdict::Unsure, _) => {
                    let child = at * WIDE + child;
                    // Boxes beyond the last group are empty, in a file that is what it should be.
                    if levels.start[level - 1] + child < levels.start[level] {
                        self.group(level - 1, child, out)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Every polygon under child number `at` of a level.
    fn take(&self, level: usize, at: usize, out: &mut Vec<u32>) -> Result<(), SphereError> {
        let size = WIDE.pow(level as u32);
        let rows = &self.index.rows;
        let start = at.saturating_mul(size).min(rows.len());
        let rows = &rows[start..start.saturating_add(size).min(rows.len())];
        for row in rows {
            check_row(self.columns, *row)?;
        }
        out.extend_from_slice(rows);
        Ok(())
    }
}

/// Refuses a row that is not there or is no polygon.
#[inline]
pub(super) fn check_row(columns: &PolygonColumns<'_>, row: u32) -> Result<(), SphereError> {
    if (row as usize) < columns.len() && columns.count(row as usize) >= 3 {
        return Ok(());
    }
    Err(SphereError::BadColumns {
        problem: format!("the index leads to row {row}, which is no polygon: it is damaged"),
    })
}

/// The children of a group whose boxes meet `bounds`, as bits. A box with a NaN meets nothing.
#[expect(clippy::needless_bitwise_bool, reason = "a lazy operator is a branch")]
#[inline]
fn reached(block: &[f32; BLOCK], bounds: &Bounds) -> u32 {
    let mut near = [true; WIDE];
    for axis in 0..3 {
        let (low, high) = (&block[axis * WIDE..][..WIDE], &block[(axis + 3) * WIDE..][..WIDE]);
        for child in 0..WIDE {
            near[child] &= (low[child] <= bounds[axis + 3]) & (high[child] >= bounds[axis]);
        }
    }
    let mut mask = 0;
    for (child, near) in near.into_iter().enumerate() {
        mask |= u32::from(near) << child;
    }
    mask
}

/// A group of children's boxes; the boxes of absent children hold nothing.
fn fill(block: &mut [f32], children: impl Iterator<Item = Bounds>) {
    let (low, high) = block.split_at_mut(3 * WIDE);
    low.fill(f32::INFINITY);
    high.fill(f32::NEG_INFINITY);
    for (child, bounds) in children.enumerate() {
        for axis in 0..3 {
            low[axis * WIDE + child] = bounds[axis];
            high[axis * WIDE + child] = bounds[axis + 3];
        }
    }
}

/// The box around a group.
fn around(block: &[f32]) -> Bounds {
    let end = |axis: usize, start: f32, pick: fn(f32, f32) -> f32| {
        block[axis * WIDE..(axis + 1) * WIDE].iter().copied().fold(start, pick)
    };
    std::array::from_fn(|axis| {
        if axis < 3 { end(axis, f32::INFINITY, f32::min) } else { end(axis, f32::NEG_INFINITY, f32::max) }
    })
}

/// The box around one polygon.
///
/// A point of the polygon is a mean of vertices, pulled up to the sphere. Such a mean is no deeper below the sphere than the
/// rim of a cap that holds the vertices, so the box of the vertices is widened by that depth.
pub(super) fn bounds_of(columns: &PolygonColumns<'_>, row: usize) -> Bounds {
    box_around(columns.vertices(row), columns.cap(row))
}

fn box_around(vertices: impl Iterator<Item = UnitVector>, cap: Cap) -> Bounds {
    if cap.sin.is_nan() {
        return outward([-1.0; 3], [1.0; 3]);
    }
    let (mut low, mut high) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
    for v in vertices {
        for (axis, t) in [v.x, v.y, v.z].into_iter().enumerate() {
            low[axis] = low[axis].min(t);
            high[axis] = high[axis].max(t);
        }
    }
    // Vertices may be off the sphere by half of this.
    let depth = 1.0 - cap.cos + 2e-9;
    outward(low.map(|t| t - depth), high.map(|t| t + depth))
}

/// Rounded so that nothing is lost.
fn outward(low: [f64; 3], high: [f64; 3]) -> Bounds {
    let down = |t: f64| {
        let near = t.max(-1.1) as f32;
        if f64::from(near) > t { near.next_down() } else { near }
    };
    let up = |t: f64| -down(-t);
    [down(low[0]), down(low[1]), down(low[2]), up(high[0]), up(high[1]), up(high[2])]
}

/// Where a polygon goes in the order: the large ones first, class by class, so that one of them does not widen the boxes of a thousand
/// small ones; then along the curve.
fn key(cap: Cap) -> u64 {
    // Classes are factors of 8 of the radius; the sine of a small angle is the angle. NaN, the whole sphere, is the largest.
    let bits = if cap.sin > 0.0 { -cap.sin.log2() / 3.0 } else { 0.0 };
    let class = bits.clamp(0.0, 7.0) as u64;
    let v = cap.axis;
    let (ax, ay, az) = (v.x.abs(), v.y.abs(), v.z.abs());
    let (face, u, w) = if ax >= ay && ax >= az {
        (u64::from(v.x < 0.0), v.y / ax, v.z / ax)
    } else if ay >= az {
        (2 + u64::from(v.y < 0.0), v.z / ay, v.x / ay)
    } else {
        (4 + u64::from(v.z < 0.0), v.x / az, v.y / az)
    };
    let grid = |t: f64| (((t + 1.0) * f64::from(1 << (CURVE_BITS - 1))) as u32).min((1 << CURVE_BITS) - 1);
    (class << 3 | face) << (2 * CURVE_BITS) | hilbert(grid(u), grid(w), CURVE_BITS)
}

/// Steps of the curve a side: 0.3 arcsec.
const CURVE_BITS: u32 = 20;

/// The place along Hilbert's curve of a cell of the square of `2^bits` cells a side.
fn hilbert(x: u32, y: u32, bits: u32) -> u64 {
    // For each turn and quadrant `2 * x + y`: the quadrant's place and the turn inside of it.
    const PLACE: [[u8; 4]; 4] = [[0, 1, 3, 2], [0, 3, 1, 2], [2, 3, 1, 0], [2, 1, 3, 0]];
    const TURN: [[u8; 4]; 4] = [[1, 0, 3, 0], [0, 2, 1, 1], [2, 1, 2, 3], [3, 3, 0, 2]];
    let (mut place, mut turn) = (0_u64, 0_usize);
    for bit in (0..bits).rev() {
        let quadrant = (((x >> bit) & 1) << 1 | ((y >> bit) & 1)) as usize;
        place = place << 2 | u64::from(PLACE[turn][quadrant]);
        turn = usize::from(TURN[turn][quadrant]);
    }
    place
}

/// A convex polygon that is looked for.
struct PolygonProbe<'p> {
    polygon: &'p ConvexPolygon,
    /// Inward normals of the edges.
    normals: Vec<[f64; 3]>,
}

impl<'p> PolygonProbe<'p> {
    fn new(polygon: &'p ConvexPolygon) -> Self {
        let vertices = polygon.vertices();
        let after = vertices.iter().cycle().skip(1);
        let normals = vertices.iter().zip(after).map(|(a, b)| <[f64; 3]>::from(a.cross(*b))).collect();
        Self { polygon, normals }
    }
}

impl Probe for PolygonProbe<'_> {
    fn bounds(&self) -> Bounds {
        box_around(self.polygon.vertices().iter().copied(), self.polygon.cap())
    }

    fn judge(&self, low: [f64; 3], high: [f64; 3]) -> Verdict {
        let mut inside = true;
        for n in &self.normals {
            let (mut least, mut most) = (0.0, 0.0);
            for axis in 0..3 {
                let (a, b) = (n[axis] * low[axis], n[axis] * high[axis]);
                least += if a < b { a } else { b };
                most += if a > b { a } else { b };
            }
            if most < -SLACK {
                return Verdict::Outside;
            }
            inside &= least > SLACK;
        }
        if inside { Verdict::Inside } else { Verdict::Unsure }
    }

    fn touches(&self, columns: &PolygonColumns<'_>, row: usize) -> bool {
        columns.relate_polygon(row, self.polygon).intersects()
    }
}

/// A cap that is looked for.
struct CircleProbe {
    circle: Circle,
    /// The squared chord of the radius.
    chord: f64,
}

impl CircleProbe {
    fn new(circle: Circle) -> Self {
        let half = 2.0 * libm::sin(0.5 * circle.radius());
        Self { circle, chord: half * half }
    }
}

impl Probe for CircleProbe {
    fn bounds(&self) -> Bounds {
        let centre = self.circle.centre();
        // No point of the cap is farther away than the chord.
        let reach = self.chord.sqrt() + SLACK;
        let c = [centre.x, centre.y, centre.z];
        outward(c.map(|t| (t - reach).max(-1.0)), c.map(|t| (t + reach).min(1.0)))
    }

    fn judge(&self, low: [f64; 3], high: [f64; 3]) -> Verdict {
        let centre = self.circle.centre();
        let (mut least, mut most) = (0.0, 0.0);
        for (axis, t) in [centre.x, centre.y, centre.z].into_iter().enumerate() {
            let (a, b) = (low[axis] - t, high[axis] - t);
            let far = if -a > b { -a } else { b };
            let near = a.max(-b).max(0.0);
            least += near * near;
            most += far * far;
        }
        if least > self.chord + SLACK {
            Verdict::Outside
        } else if most < self.chord - SLACK {
            Verdict::Inside
        } else {
            Verdict::Unsure
        }
    }

    fn touches(&self, columns: &PolygonColumns<'_>, row: usize) -> bool {
        let (centre, radius) = (self.circle.centre(), self.circle.radius());
        let cap = columns.cap(row);
        // A vertex well inside decides without the copy.
        if columns.vertices(row).any(|v| v.separation(centre) < radius) {
            return true;
        }
        if !cap.sin.is_nan() && cap.axis.separation(centre) > radius + cap.radius() + SLACK {
            return false;
        }
        Region::Circle(self.circle).relate(&Region::Polygon(columns.polygon(row))).intersects()
    }
}

/// A box in longitude and latitude that is looked for.
struct BoxProbe {
    region: Region,
    around: CircleProbe,
    /// Sines of the latitudes.
    south: f64,
    north: f64,
}

impl BoxProbe {
    fn new(box_: LonLatBox) -> Self {
        let region = Region::Box(box_);
        let around = CircleProbe::new(region.bounding_circle());
        // The sine is flat at the poles: no rounding may cut them off.
        let end = |lat: f64, more: f64| if lat.abs() >= FRAC_PI_2 { 2.0 * more } else { libm::sin(lat) + SLACK * more };
        Self { region, around, south: end(box_.lat_min(), -1.0), north: end(box_.lat_max(), 1.0) }
    }
}

impl Probe for BoxProbe {
    fn bounds(&self) -> Bounds {
        let around = self.around.bounds();
        let zone = outward([-1.0, -1.0, self.south.max(-1.0)], [1.0, 1.0, self.north.min(1.0)]);
        std::array::from_fn(|i| if i < 3 { around[i].max(zone[i]) } else { around[i].min(zone[i]) })
    }

    fn judge(&self, low: [f64; 3], high: [f64; 3]) -> Verdict {
        match self.around.judge(low, high) {
            Verdict::Outside => Verdict::Outside,
            _ => Verdict::Unsure,
        }
    }

    fn touches(&self, columns: &PolygonColumns<'_>, row: usize) -> bool {
        self.region.relate(&Region::Polygon(columns.polygon(row))).intersects()
    }
}

struct PointProbe(UnitVector);

impl Probe for PointProbe {
    fn bounds(&self) -> Bounds {
        let c = [self.0.x, self.0.y, self.0.z];
        // The length may be off by 1e-9.
        outward(c.map(|t| t - 1e-9), c.map(|t| t + 1e-9))
    }

    fn judge(&self, _: [f64; 3], _: [f64; 3]) -> Verdict {
        Verdict::Unsure
    }

    fn touches(&self, columns: &PolygonColumns<'_>, row: usize) -> bool {
        columns.contains(row, self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_goes_from_cell_to_neighbouring_cell() {
        let mut cells: Vec<(u64, u32, u32)> =
            (0..32).flat_map(|x| (0..32).map(move |y| (hilbert(x, y, 5), x, y))).collect();
        cells.sort_unstable();
        for (i, pair) in cells.windows(2).enumerate() {
            assert_eq!(pair[0].0, i as u64);
            assert_eq!(pair[0].1.abs_diff(pair[1].1) + pair[0].2.abs_diff(pair[1].2), 1, "at {i}");
        }
    }

    #[test]
    fn levels_follow_from_the_number_of_polygons() {
        for (polygons, groups) in [(0, 0), (1, 1), (16, 1), (17, 3), (256, 17), (257, 20)] {
            assert_eq!(Levels::of(polygons).groups(), groups, "{polygons}");
        }
        assert_eq!(Levels::of(1 << 32).depth, 8);
    }

    #[test]
    fn rounding_goes_outward() {
        for t in [0.1, -0.1, 1.0 / 3.0, -0.999_999_999_9, 1e-30, 0.0, -1e-46] {
            let b = outward([t; 3], [t; 3]);
            assert!(f64::from(b[0]) <= t && f64::from(b[3]) >= t, "{t}: {b:?}");
        }
    }
}
