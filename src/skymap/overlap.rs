//! Which patches does a polygon touch? The join behind every coadd.
//!
//! A patch touches a polygon when the closed polygon through the corners of its **outer** box shares a point with it.
//! In a gnomonic tract great circles are straight lines, so the question is a convex polygon against a grid of boxes, answered
//! row by row. Boxes nearer to a border than the rounding of pixel positions are decided on the sphere, exactly: the
//! answer is that of [`ConvexPolygon::relate`] for every patch.

use std::convert::Infallible;
use std::ops::Range;

use super::projection::Projection;
use super::sky_map::{Record, SkyMap};
use super::tract::TractGeometry;
use crate::sphere::{Cap, ConvexPolygon, PolygonColumns, UnitVector, stream};

/// Pairs of polygon and patch, as three columns of equal length, sorted by polygon, tract, patch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OverlapColumns {
    /// Row of the polygon.
    pub polygon: Vec<u32>,
    /// Tract number.
    pub tract: Vec<u32>,
    /// Patch number in the tract.
    pub patch: Vec<u32>,
}

impl OverlapColumns {
    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.polygon.len()
    }

    /// Whether nothing overlaps.
    pub fn is_empty(&self) -> bool {
        self.polygon.is_empty()
    }
}

/// A convex polygon, wherever its vertices are.
trait Shape: Copy {
    fn cap(self) -> Cap;
    fn len(self) -> usize;
    fn vertex(self, i: usize) -> UnitVector;
    fn intersects(self, polygon: &ConvexPolygon) -> bool;
}

impl Shape for &ConvexPolygon {
    fn cap(self) -> Cap {
        self.cap()
    }
    fn len(self) -> usize {
        self.vertices().len()
    }
    fn vertex(self, i: usize) -> UnitVector {
        self.vertices()[i]
    }
    fn intersects(self, polygon: &ConvexPolygon) -> bool {
        self.relate(polygon).intersects()
    }
}

impl Shape for (&PolygonColumns<'_>, usize) {
    fn cap(self) -> Cap {
        self.0.cap(self.1)
    }
    fn len(self) -> usize {
        self.0.count(self.1)
    }
    fn vertex(self, i: usize) -> UnitVector {
        self.0.vertex(self.1, i)
    }
    fn intersects(self, polygon: &ConvexPolygon) -> bool {
        self.0.relate_polygon(self.1, polygon).intersects()
    }
}

/// Space used again and again.
#[derive(Default)]
struct Scratch {
    /// Tracts near a block of polygons.
    block: Vec<u32>,
    tracts: Vec<u32>,
    pixels: Vec<[f64; 2]>,
    pairs: Vec<(u32, u32)>,
}

impl SkyMap {
    /// Adds every patch whose outer polygon shares a point with `polygon`, as (tract, patch), sorted.
    ///
    /// Exact, touching included: the same as asking [`ConvexPolygon::relate`] of each patch of the sky map.
    pub fn overlaps(&self, polygon: &ConvexPolygon, out: &mut Vec<(u32, u32)>) {
        self.shape_overlaps(polygon, &mut Scratch::default(), out);
    }

    /// The tracts whose outer polygon shares a point with `polygon`, sorted.
    pub fn overlapping_tracts(&self, polygon: &ConvexPolygon) -> Vec<u32> {
        let mut tracts = Vec::new();
        self.candidates(polygon.cap(), &mut tracts);
        tracts.retain(|t| {
            let geometry = self.geometry(&self.records[*t as usize]);
            geometry.polygon(geometry.bbox().corners()).is_ok_and(|outer| outer.intersects(polygon))
        });
        tracts
    }

    /// [`overlaps`](Self::overlaps) for many polygons, on all threads of the current rayon pool.
    pub fn overlaps_columns(&self, polygons: &PolygonColumns<'_>) -> OverlapColumns {
        let mut all = OverlapColumns::default();
        let Ok(()) = self.overlaps_chunks(polygons, usize::MAX, |columns| -> Result<(), Infallible> {
            all = columns;
            Ok(())
        });
        all
    }

    /// [`overlaps_columns`](Self::overlaps_columns) in bounded memory: `emit` is given `chunk` pairs at a time, fewer at the end, in the
    /// order of the whole. It runs beside the search for the next ones.
    ///
    /// # Errors
    /// The first error of `emit`, after which no more is done.
    pub fn overlaps_chunks<E: Send>(
        &self,
        polygons: &PolygonColumns<'_>,
        chunk: usize,
        mut emit: impl FnMut(OverlapColumns) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        let work = |rows: Range<usize>, scratch: &mut Scratch, out: &mut [Vec<u32>; 3], limit: usize| {
            Ok(self.block_overlaps(polygons, rows, scratch, out, limit))
        };
        stream(polygons.len(), chunk, work, |[polygon, tract, patch]| emit(OverlapColumns { polygon, tract, patch }))
    }

    /// The overlaps of some polygons, one after the other. Those of a focal plane lie together: the tracts near all of them are
    /// few. Returns the row after the last one that was done.
    fn block_overlaps(
        &self,
        polygons: &PolygonColumns<'_>,
        rows: Range<usize>,
        scratch: &mut Scratch,
        out: &mut [Vec<u32>; 3],
        limit: usize,
    ) -> usize {
        /// About as much as looking for one polygon's tracts costs.
        const FEW: usize = 40;
        let together = cap_around(rows.clone().map(|row| polygons.cap(row)));
        let mut block = std::mem::take(&mut scratch.block);
        block.clear();
        if let Some(cap) = together {
            self.candidates(cap, &mut block);
        }
        let few = together.is_some() && block.len() <= FEW;
        let mut done = rows.start;
        for row in rows {
            let cap = polygons.cap(row);
            if few {
                scratch.tracts.clear();
                let near = block.iter().filter(|t| !self.records[**t as usize].reach.misses(cap));
                scratch.tracts.extend(near);
            } else {
                self.candidates(cap, &mut scratch.tracts);
            }
            let mut pairs = std::mem::take(&mut scratch.pairs);
            pairs.clear();
            self.tracts_overlaps((polygons, row), scratch, &mut pairs);
            out[0].resize(out[0].len() + pairs.len(), row as u32);
            out[1].extend(pairs.iter().map(|p| p.0));
            out[2].extend(pairs.iter().map(|p| p.1));
            scratch.pairs = pairs;
            done = row + 1;
            if out[0].len() > limit {
                break;
            }
        }
        scratch.block = block;
        done
    }

    /// The tracts whose caps meet a cap, sorted.
    fn candidates(&self, cap: Cap, tracts: &mut Vec<u32>) {
        tracts.clear();
        let radius = cap.radius() + self.widest;
        self.zones.near(cap.axis.to_lon_lat(), radius, |tract| {
            if !self.records[tract as usize].reach.misses(cap) {
                tracts.push(tract);
            }
        });
        tracts.sort_unstable();
    }

    fn shape_overlaps<S: Shape>(&self, shape: S, scratch: &mut Scratch, out: &mut Vec<(u32, u32)>) {
        self.candidates(shape.cap(), &mut scratch.tracts);
        self.tracts_overlaps(shape, scratch, out);
    }

    /// Of the tracts that `scratch` names, the patches that touch.
    fn tracts_overlaps<S: Shape>(&self, shape: S, scratch: &mut Scratch, out: &mut Vec<(u32, u32)>) {
        for &tract in &scratch.tracts {
            let record = &self.records[tract as usize];
            let start = out.len();
            let eps = if self.scale.projection == Projection::Tan {
                self.project(record, shape, &mut scratch.pixels)
            } else {
                None
            };
            if let Some(eps) = eps {
                self.scan(record, tract, shape, &scratch.pixels, eps, out);
            } else {
                let [nx, ny] = record.size.count;
                let blocks = Blocks { geometry: self.geometry(record), tract, shape };
                blocks.visit([0, nx], [0, ny], out);
                out[start..].sort_unstable();
            }
        }
    }

    /// The vertices in the tract's pixel plane, and how far they may be off; `None` for a polygon that reaches too far
    /// from the tangent point.
    fn project<S: Shape>(&self, record: &Record, shape: S, pixels: &mut Vec<[f64; 2]>) -> Option<f64> {
        pixels.clear();
        let mut nearest = record.reach.cos;
        for i in 0..shape.len() {
            let v = shape.vertex(i);
            let z = v.dot(record.frame.centre);
            if z < 0.1 {
                return None;
            }
            nearest = nearest.min(z);
            let inverse = 1.0 / z;
            let [x, y] = self.scale.offset(v.dot(record.frame.east) * inverse, v.dot(record.frame.north) * inverse);
            pixels.push([x + record.size.crpix[0], y + record.size.crpix[1]]);
        }
        // A unit vector is off by 2e-16 or so, which the projection stretches by 1 / z^2; ample room above that.
        Some((1e-14 / (self.scale.scale * nearest * nearest)).max(1e-6))
    }

    /// Row by row of patches: the columns that the polygon's part in the row reaches.
    fn scan<S: Shape>(
        &self,
        record: &Record,
        tract: u32,
        shape: S,
        pixels: &[[f64; 2]],
        eps: f64,
        out: &mut Vec<(u32, u32)>,
    ) {
        let nx = record.size.count[0];
        let division = &self.division;
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for p in pixels {
            low = low.min(p[1]);
            high = high.max(p[1]);
        }
        let interval = |axis: usize, index: u32| {
            let (start, end) = division.outer_range(axis, index as i32, record.size.count[axis]);
            (start as f64 - 0.5, end as f64 - 0.5)
        };
        // Indices whose outer interval may reach [low, high]: at most one too many at either end.
        let range = |axis: usize, low: f64, high: f64| {
            let (side, border) = (f64::from(division.inner[axis]), f64::from(division.border) + 1.0);
            let first = ((low - border) / side - 1.0).floor().max(0.0) as u32;
            // Negative is none at all: `as` saturates at zero.
            let end = ((high + border) / side + 1.0).floor().min(f64::from(record.size.count[axis])) as u32;
            first..end
        };
        for y in range(1, low, high) {
            let (bottom, top) = interval(1, y);
            let Some((left, right)) = extent(pixels, bottom - eps, top + eps) else { continue };
            let sure = extent(pixels, bottom + eps, top - eps);
            for x in range(0, left, right) {
                let (x0, x1) = interval(0, x);
                if left > x1 + eps || right < x0 - eps {
                    continue;
                }
                let surely = sure.is_some_and(|(l, r)| l < x1 - eps && r > x0 + eps);
                if surely || self.touches(record, shape, x, y) {
                    out.push((tract, y * nx + x));
                }
            }
        }
    }

    #[cold]
    fn touches<S: Shape>(&self, record: &Record, shape: S, x: u32, y: u32) -> bool {
        let box_ = self.division.outer_box(x, y, record.size.count);
        self.geometry(record).polygon(box_.corners()).is_ok_and(|patch| shape.intersects(&patch))
    }
}

/// A cap around small caps that lie together; `None` when they do not.
fn cap_around(caps: impl Iterator<Item = Cap> + Clone) -> Option<Cap> {
    let (mut x, mut y, mut z) = (0.0, 0.0, 0.0);
    for cap in caps.clone() {
        x += cap.axis.x;
        y += cap.axis.y;
        z += cap.axis.z;
    }
    let axis = UnitVector::normalized(x, y, z)?;
    // Half a chord, well above the angles of a focal plane.
    let (mut way, mut sin) = (0.0_f64, 0.0_f64);
    for cap in caps {
        way = way.max(1.0 - axis.dot(cap.axis));
        // NaN, the whole sphere, is large.
        sin = if sin.is_nan() || cap.sin <= sin { sin } else { cap.sin };
    }
    // 1 - cos of an angle is about half its square; sin of a small one is about the angle.
    let radius = (2.0 * way.max(0.0)).sqrt() * 1.05 + sin * 1.05 + 1e-7;
    (radius < 0.2).then(|| Cap::new(axis, libm::cos(radius)))
}

/// The smallest and largest x of the part of a convex polygon between two heights.
fn extent(pixels: &[[f64; 2]], bottom: f64, top: f64) -> Option<(f64, f64)> {
    let (mut left, mut right) = (f64::INFINITY, f64::NEG_INFINITY);
    let mut before = *pixels.last()?;
    for &p in pixels {
        if p[1] >= bottom && p[1] <= top {
            left = left.min(p[0]);
            right = right.max(p[0]);
        }
        for height in [bottom, top] {
            if (before[1] < height) != (p[1] < height) {
                let x = before[0] + (height - before[1]) * ((p[0] - before[0]) / (p[1] - before[1]));
                left = left.min(x);
                right = right.max(x);
            }
        }
        before = p;
    }
    (left <= right).then_some((left, right))
}

/// Quarters of quarters of a tract's patches, for projections and polygons that the row scan cannot serve.
struct Blocks<S> {
    geometry: TractGeometry,
    tract: u32,
    shape: S,
}

impl<S: Shape> Blocks<S> {
    fn visit(&self, x: [u32; 2], y: [u32; 2], out: &mut Vec<(u32, u32)>) {
        let (g, count) = (&self.geometry, self.geometry.size.count);
        if x[0] >= x[1] || y[0] >= y[1] {
            return;
        }
        if x[1] - x[0] == 1 && y[1] - y[0] == 1 {
            let box_ = g.division.outer_box(x[0], y[0], count);
            if g.polygon(box_.corners()).is_ok_and(|patch| self.shape.intersects(&patch)) {
                out.push((self.tract, y[0] * count[0] + x[0]));
            }
            return;
        }
        if self.misses(x, y) {
            return;
        }
        let split = |r: [u32; 2]| u32::midpoint(r[0], r[1]).max(r[0] + u32::from(r[1] - r[0] > 1));
        let (xm, ym) = (split(x), split(y));
        for (x, y) in
            [([x[0], xm], [y[0], ym]), ([xm, x[1]], [y[0], ym]), ([x[0], xm], [ym, y[1]]), ([xm, x[1]], [ym, y[1]])]
        {
            self.visit(x, y, out);
        }
    }

    /// Whether no patch of the block can touch.
    fn misses(&self, x: [u32; 2], y: [u32; 2]) -> bool {
        let g = &self.geometry;
        let lower = g.division.outer_box(x[0], y[0], g.size.count);
        let upper = g.division.outer_box(x[1] - 1, y[1] - 1, g.size.count);
        let (x0, y0) = (f64::from(lower.x0) - 1.0, f64::from(lower.y0) - 1.0);
        let (x1, y1) = (upper.x_end() as f64 + 1.0, upper.y_end() as f64 + 1.0);
        let corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)];
        if g.scale.projection == Projection::Tan {
            return g.polygon(corners).is_ok_and(|block| !self.shape.intersects(&block));
        }
        let middle = (0.5 * (x0 + x1), 0.5 * (y0 + y1));
        let Some(axis) = g.sky(middle.0, middle.1) else { return false };
        let cap = if g.scale.projection == Projection::Stg {
            // Circles stay circles: a cap that holds the corners of a box holds the box.
            let cos = corners.iter().map(|(x, y)| g.sky(*x, *y).map_or(-1.0, |v| v.dot(axis))).fold(1.0, f64::min);
            Cap::new(axis, cos)
        } else {
            // Equal areas: x is longitude, y the sine of latitude, whose angle grows fastest at the poleward end.
            let side = g.scale.scale * libm::hypot(x1 - x0, y1 - y0);
            let far = corners.iter().map(|(_, y)| (y - g.size.crpix[1]).abs()).fold(0.0, f64::max) * g.scale.scale;
            let way = if far < 0.99 { side + side / (1.0 - far * far).sqrt() } else { 4.0 };
            Cap::new(axis, if way < 1.5 { libm::cos(way) } else { -1.0 })
        };
        cap.misses(self.shape.cap())
    }
}
