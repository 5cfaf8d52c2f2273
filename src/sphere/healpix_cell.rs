//! The diamonds of HEALPix with their true, curved borders, and how they lie to a region.
//!
//! In the HEALPix plane (x along longitude in units of 45 degrees, y northward; equator at 0, poles at 2 and -2) pixels are
//! squares on a corner. Up to |y| = 1 the plane is a cylindrical equal-area map; beyond, each of four facets narrows towards the
//! pole. Corners are multiples of 1 / nside there: integers, and no edge crosses |y| = 1.

use std::f64::consts::{FRAC_PI_4, TAU};

use super::cover::{Cells, Side, Verdict};
use super::relate::Shape;
use super::{Circle, LonLat, LonLatBox, UnitVector, wrap};

/// Rounding of positions and of the functions taken of them.
const SLACK: f64 = 2e-15;

/// Pieces of a border shorter than this are not cut further; what is still undecided counts as touching.
const FLOOR: f64 = 4e-15;

/// No point of a pixel is farther from its centre than this over nside: moving in the plane by 1 / nside northward or
/// eastward moves by at most 1.07 and 0.79 of it on the sphere.
const RADIUS: f64 = 1.08;

/// In units of 45 degrees: the longitude of a base diamond's middle.
const LON: [f64; 12] = [1.0, 3.0, 5.0, 7.0, 0.0, 2.0, 4.0, 6.0, 1.0, 3.0, 5.0, 7.0];

/// One diamond: which of the twelve, how finely they are cut, its place along the edges to the east and to the west.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    face: u8,
    level: u8,
    east: u32,
    west: u32,
}

/// A point of a border.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub(super) point: UnitVector,
    /// Longitude runs on along an edge, and keeps its value at a pole.
    lon: f64,
    lat: f64,
}

/// A side of a diamond, from corner to corner; `x` relative to the middle of the base diamond and `y` are in units of
/// 1 / nside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    nside: f64,
    lon: f64,
    x: f64,
    dx: f64,
    y: f64,
    dy: f64,
}

impl Cell {
    pub(super) fn of_index(index: u64, level: u8) -> Self {
        let bits = index & ((1 << (2 * level)) - 1);
        // Even bits count to the east, odd ones to the west.
        let gather = |word: u64| (0..u32::from(level)).fold(0, |sum, k| sum | ((word >> (2 * k) & 1) << k) as u32);
        Self { face: (index >> (2 * level)) as u8, level, east: gather(bits), west: gather(bits >> 1) }
    }

    pub(super) fn index(self) -> u64 {
        let spread = |word: u32| (0..u32::from(self.level)).fold(0, |sum, k| sum | u64::from(word >> k & 1) << (2 * k));
        u64::from(self.face) << (2 * self.level) | spread(self.east) | spread(self.west) << 1
    }

    fn nside(self) -> f64 {
        f64::from(1_u32 << self.level)
    }

    /// The place in the plane at `east`, `west` sides from the base diamond's southern corner.
    fn plane(self, east: f64, west: f64) -> (f64, f64) {
        // The southern corners of the three rows of base diamonds are at y = 0, -1 and -2.
        (east - west, east + west - f64::from(self.face / 4) * self.nside())
    }

    /// South to east, east to north, north to west, west to south.
    pub(super) fn edges(self) -> [Edge; 4] {
        let (e, w) = (f64::from(self.east), f64::from(self.west));
        let corners = [(e, w), (e + 1.0, w), (e + 1.0, w + 1.0), (e, w + 1.0)].map(|(e, w)| self.plane(e, w));
        std::array::from_fn(|i| {
            let ((x, y), (x_end, y_end)) = (corners[i], corners[(i + 1) % 4]);
            let lon = LON[usize::from(self.face)];
            Edge { nside: self.nside(), lon, x, dx: x_end - x, y, dy: y_end - y }
        })
    }

    pub(super) fn centre(self) -> UnitVector {
        let (x, y) = self.plane(f64::from(self.east) + 0.5, f64::from(self.west) + 0.5);
        Edge { nside: self.nside(), lon: LON[usize::from(self.face)], x, dx: 0.0, y, dy: 0.0 }.at(0.0).point
    }

    fn children(self) -> [Self; 4] {
        std::array::from_fn(|k| Self {
            level: self.level + 1,
            east: 2 * self.east + (k as u32 & 1),
            west: 2 * self.west + (k as u32 >> 1),
            ..self
        })
    }
}

impl Edge {
    /// Whether it is beyond |y| = 1, as a whole.
    fn polar(&self) -> bool {
        (self.y + 0.5 * self.dy).abs() > self.nside
    }

    /// The point at `t` between 0 and 1.
    pub(super) fn at(&self, t: f64) -> Spot {
        let (x, y) = (self.x + t * self.dx, self.y + t * self.dy);
        let (lon, z, cos_lat) = if self.polar() {
            // sigma is the distance to the pole in the plane; x / sigma does not see nside.
            let left = 2.0 * self.nside - y.abs();
            let sigma = left / self.nside;
            let turn = if left > 0.0 { x / left } else { self.dx.signum() * -self.dy.signum() * y.signum() };
            let z = (1.0 - sigma * sigma / 3.0).copysign(y);
            (FRAC_PI_4 * (self.lon + turn), z, sigma * ((2.0 - sigma * sigma / 3.0) / 3.0).sqrt())
        } else {
            let z = 2.0 * y / (3.0 * self.nside);
            (FRAC_PI_4 * (self.lon + x / self.nside), z, (1.0 - z * z).sqrt())
        };
        let (sin, cos) = libm::sincos(lon);
        let point = UnitVector { x: cos_lat * cos, y: cos_lat * sin, z };
        Spot { point, lon, lat: libm::atan2(z, cos_lat) }
    }

    /// How far the piece from `t` to `end` is at most from the straight line (through the sphere) between its ends; and how far from
    /// the plane through them and the sphere's centre.
    ///
    /// Interpolating linearly errs by at most an eighth of the second derivative. For |y| <= 1 that derivative is at most 1.94 / nside^2.
    /// Beyond, let sigma be the distance to the pole and `c` the x at which the edge would meet it, in radians: the
    /// derivative by sigma is at most 1.62 + 0.8166 c^2 / sigma^3. With c = 0 the edge is a meridian.
    fn bow(&self, t: f64, end: f64) -> (f64, f64) {
        let step = (end - t) / self.nside;
        let eighth = step * step / 8.0;
        if !self.polar() {
            return (1.94 * eighth, 1.94 * eighth);
        }
        let left = |t: f64| 2.0 * self.nside - (self.y + t * self.dy).abs();
        let slope = self.dx / (left(1.0) - left(0.0));
        let at_pole = self.x - slope * left(0.0);
        if at_pole == 0.0 {
            return (1.62 * eighth, 0.0);
        }
        let (c, sigma) = (FRAC_PI_4 * at_pole / self.nside, left(t).min(left(end)) / self.nside);
        let bow = (1.62 + 0.8166 * c * c / (sigma * sigma * sigma)) * eighth;
        (bow, bow)
    }
}

/// What is asked about pieces of borders.
enum Probe<'r> {
    /// The inward unit normals of a polygon's edges.
    Polygon(Vec<UnitVector>),
    /// Centre, and radius as a chord through the sphere.
    Circle(UnitVector, f64),
    Box(&'r LonLatBox),
}

impl Probe<'_> {
    fn has(&self, spot: &Spot) -> bool {
        match self {
            Self::Polygon(normals) => normals.iter().all(|n| n.dot(spot.point) >= 0.0),
            Self::Circle(centre, chord) => distance(*centre, spot.point) <= *chord,
            Self::Box(box_) => box_.contains(LonLat::new(spot.lon, spot.lat)),
        }
    }

    /// How a piece of a border between `a` and `b` lies to the region. `bow` as [`Edge::bow`] tells it.
    fn piece(&self, a: &Spot, b: &Spot, bow: (f64, f64)) -> Verdict {
        let (out, inside) = match self {
            Self::Polygon(normals) => {
                let bow = bow.1 + SLACK;
                let mut inside = true;
                let out = normals.iter().any(|n| {
                    let (low, high) = sorted(n.dot(a.point), n.dot(b.point));
                    inside &= low >= bow;
                    high < -bow
                });
                (out, inside)
            }
            Self::Circle(centre, chord) => {
                let bow = bow.0 + SLACK;
                let farthest = distance(*centre, a.point).max(distance(*centre, b.point));
                (distance_to_segment(*centre, a.point, b.point) - bow > *chord, farthest + bow <= *chord)
            }
            Self::Box(box_) => {
                // Longitude and latitude are monotonic along an edge.
                let (south, north) = sorted(a.lat, b.lat);
                let (west, east) = sorted(a.lon, b.lon);
                let from = wrap(west - box_.lon());
                let to = from + (east - west);
                let (width, whole) = (box_.width(), box_.width() >= TAU);
                let polar = (south <= -std::f64::consts::FRAC_PI_2 && box_.lat_min() <= south)
                    || (north >= std::f64::consts::FRAC_PI_2 && box_.lat_max() >= north);
                let beside = !whole && !polar && from > width + SLACK && to < TAU - SLACK;
                let out = beside || south > box_.lat_max() + SLACK || north < box_.lat_min() - SLACK;
                let between = whole || (to <= width - SLACK && from >= SLACK);
                let inside =
                    between && high_enough(south, box_.lat_min()) && high_enough(-north, -box_.lat_max());
                (out, inside)
            }
        };
        match (out, inside) {
            (true, _) => Verdict::Outside,
            (false, true) => Verdict::Inside,
            _ => Verdict::Partial,
        }
    }
}

/// Above a border by more than rounding, or the border is the pole.
fn high_enough(lat: f64, border: f64) -> bool {
    border <= -std::f64::consts::FRAC_PI_2 || lat >= border + SLACK
}

fn sorted(a: f64, b: f64) -> (f64, f64) {
    if a < b { (a, b) } else { (b, a) }
}

fn distance(a: UnitVector, b: UnitVector) -> f64 {
    let d = a.minus(b);
    d.dot(d).sqrt()
}

/// The distance through space from `p` to the segment from `a` to `b`.
fn distance_to_segment(p: UnitVector, a: UnitVector, b: UnitVector) -> f64 {
    let (along, to) = (b.minus(a), p.minus(a));
    let length = along.dot(along);
    let t = if length > 0.0 { (along.dot(to) / length).clamp(0.0, 1.0) } else { 0.0 };
    let off = UnitVector { x: to.x - t * along.x, y: to.y - t * along.y, z: to.z - t * along.z };
    off.dot(off).sqrt()
}

/// The diamonds, asked about one region.
pub(super) struct Diamonds<'r> {
    probe: Probe<'r>,
    /// A circle around the region: axis and radius.
    around: (UnitVector, f64),
    /// A point of the region, and the pixel of the deepest level that holds it.
    holds: u64,
    /// One point of each connected part of what the region leaves out, if that may lie inside a diamond.
    holes: Vec<u64>,
    level: u8,
    side: Side,
}

impl<'r> Diamonds<'r> {
    pub(super) fn new(shape: Shape<'r>, level: u8, side: Side) -> Self {
        let layer = cdshealpix::nested::get(super::Healpix::MAX_LEVEL);
        let pixel = |p: LonLat| layer.hash(p.wrapped().lon, p.lat);
        let mut holes = Vec::new();
        let (probe, around, point) = match shape {
            Shape::Polygon { ring, cap } => {
                let normals = (0..ring.len()).filter_map(|i| ring[i].normal(ring[(i + 1) % ring.len()])).collect();
                (Probe::Polygon(normals), (cap.axis, cap.radius()), ring[0].to_lon_lat())
            }
            Shape::Circle(circle) => {
                let chord = 2.0 * libm::sin(0.5 * circle.radius());
                let centre = circle.centre();
                holes.push(pixel(centre.opposite().to_lon_lat()));
                (Probe::Circle(centre, chord), (centre, circle.radius()), centre.to_lon_lat())
            }
            Shape::Box(box_) => {
                let pole = std::f64::consts::FRAC_PI_2;
                if box_.lat_min() > -pole {
                    holes.push(pixel(LonLat::new(0.0, -pole)));
                }
                if box_.lat_max() < pole {
                    holes.push(pixel(LonLat::new(0.0, pole)));
                }
                if box_.width() < TAU {
                    let lon = box_.lon() + 0.5 * (box_.width() + TAU);
                    holes.push(pixel(LonLat::new(lon, 0.5 * (box_.lat_min() + box_.lat_max()))));
                }
                let around: Circle = super::relate::box_bounding_circle(*box_);
                let corner = LonLat::new(box_.lon(), box_.lat_min());
                (Probe::Box(box_), (around.centre(), around.radius()), corner)
            }
        };
        Self { probe, around, holds: pixel(point), holes, level, side }
    }

    fn in_cell(cell: Cell, deepest: u64) -> bool {
        deepest >> (2 * (super::Healpix::MAX_LEVEL - cell.level)) == cell.index()
    }

    /// Cuts a piece until it is told whether any of it touches the region, and whether any of it leaves it.
    fn refine(&self, edge: &Edge, piece: ((f64, Spot), (f64, Spot)), found: &mut Found) {
        let ((t, a), (end, b)) = piece;
        let bow = edge.bow(t, end);
        match self.probe.piece(&a, &b, bow) {
            Verdict::Outside => found.leaves = true,
            Verdict::Inside => found.touches = true,
            Verdict::Partial => {
                let middle = 0.5 * (t + end);
                if (end - t) / edge.nside < FLOOR {
                    *found = Found { touches: true, leaves: true };
                    return;
                }
                let spot = edge.at(middle);
                if self.probe.has(&spot) {
                    found.touches = true;
                } else {
                    found.leaves = true;
                }
                for half in [((t, a), (middle, spot)), ((middle, spot), (end, b))] {
                    if !found.enough(self.side) {
                        self.refine(edge, half, found);
                    }
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Found {
    touches: bool,
    leaves: bool,
}

impl Found {
    fn enough(self, side: Side) -> bool {
        match side {
            Side::Envelope => self.touches,
            Side::Interior => self.leaves,
        }
    }
}

impl Cells for Diamonds<'_> {
    type Cell = Cell;

    fn roots(&self) -> impl Iterator<Item = (u64, Cell)> {
        (0..12).map(|face| (u64::from(face), Cell { face, level: 0, east: 0, west: 0 }))
    }

    fn split(&self, cell: &Cell) -> [Cell; 4] {
        cell.children()
    }

    fn judge(&self, cell: &Cell) -> Verdict {
        let (axis, radius) = self.around;
        if cell.level > 0 && axis.separation(cell.centre()) > radius + RADIUS / cell.nside() {
            return Verdict::Outside;
        }
        let edges = cell.edges();
        let corners = edges.map(|edge| edge.at(0.0));
        let ends: [_; 4] = std::array::from_fn(|i| ((0.0, corners[i]), (1.0, edges[i].at(1.0))));
        let mut found = Found { touches: false, leaves: false };
        let mut open = [false; 4];
        for i in 0..4 {
            match self.probe.piece(&ends[i].0.1, &ends[i].1.1, edges[i].bow(0.0, 1.0)) {
                Verdict::Outside => found.leaves = true,
                Verdict::Inside => found.touches = true,
                Verdict::Partial => open[i] = true,
            }
        }
        if open.contains(&true) && cell.level < self.level {
            return Verdict::Partial;
        }
        for corner in &corners {
            if self.probe.has(corner) {
                found.touches = true;
            } else {
                found.leaves = true;
            }
        }
        for i in 0..4 {
            if open[i] && !found.enough(self.side) {
                self.refine(&edges[i], ends[i], &mut found);
            }
        }
        match (found.touches, found.leaves) {
            (true, true) => Verdict::Partial,
            (true, false) if self.holes.iter().any(|hole| Self::in_cell(*cell, *hole)) => Verdict::Partial,
            // Where touching is all that was asked, the search has stopped early.
            (true, false) if self.side == Side::Envelope && open.contains(&true) => Verdict::Partial,
            (true, false) => Verdict::Inside,
            (false, _) if Self::in_cell(*cell, self.holds) => Verdict::Partial,
            (false, _) if self.side == Side::Interior && open.contains(&true) => Verdict::Partial,
            (false, _) => Verdict::Outside,
        }
    }
}
