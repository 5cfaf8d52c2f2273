//! Circles and boxes: how they lie to each other and to polygons.
//!
//! Their borders are given by angles, so that there is nothing to be exact about: answers are right to some 1e-15 radians, and
//! what touches to within that intersects.

use std::f64::consts::{FRAC_PI_2, PI, TAU};

use super::kernel::{self, Cap};
use super::{Circle, LonLat, LonLatBox, Region, Relation, UnitVector, wrap};

/// Room for rounding, radians.
const SLACK: f64 = 4e-15;

/// A region as the relations see it.
#[derive(Clone, Copy)]
pub(super) enum Shape<'r> {
    Polygon { ring: &'r [UnitVector], cap: Cap },
    Circle(Circle),
    Box(&'r LonLatBox),
}

impl<'r> Shape<'r> {
    pub(super) fn of(region: &'r Region) -> Self {
        match region {
            Region::Polygon(p) => Self::Polygon { ring: p.vertices(), cap: p.cap() },
            Region::Circle(c) => Self::Circle(*c),
            Region::Box(b) => Self::Box(b),
        }
    }

    /// How the shape lies to a convex polygon.
    pub(super) fn relate_ring(self, ring: &[UnitVector], cap: Cap) -> Relation {
        match self {
            Self::Polygon { ring: own, cap: own_cap } => kernel::relate(own, own_cap, ring, cap),
            Self::Circle(circle) => circle_to_ring(circle, ring, cap),
            Self::Box(box_) => box_to_ring(*box_, ring, cap),
        }
    }

    /// How the shape lies to another one.
    pub(super) fn relate(self, other: Self) -> Relation {
        match (self, other) {
            (_, Self::Polygon { ring, cap }) => self.relate_ring(ring, cap),
            (Self::Polygon { ring, cap }, _) => other.relate_ring(ring, cap).inverse(),
            (Self::Circle(a), Self::Circle(b)) => a.relate(b),
            (Self::Box(a), Self::Circle(b)) => box_to_circle(*a, b),
            (Self::Circle(a), Self::Box(b)) => box_to_circle(*b, a).inverse(),
            (Self::Box(a), Self::Box(b)) => box_to_box(*a, *b),
        }
    }
}

fn relation(contains: bool, within: bool) -> Relation {
    match (contains, within) {
        (true, true) => Relation::CONTAINS | Relation::WITHIN,
        (true, false) => Relation::CONTAINS,
        (false, true) => Relation::WITHIN,
        (false, false) => Relation::INTERSECTS,
    }
}

fn edges(ring: &[UnitVector]) -> impl Iterator<Item = (UnitVector, UnitVector)> {
    let n = ring.len();
    (0..n).map(move |i| (ring[i], ring[(i + 1) % n]))
}

/// The angle from a point to the nearest point of the polygon; 0 inside.
pub(super) fn distance_to_ring(point: UnitVector, ring: &[UnitVector]) -> f64 {
    if kernel::contains(ring, point) {
        return 0.0;
    }
    edges(ring).map(|(a, b)| distance_to_arc(point, a, b)).fold(f64::INFINITY, f64::min)
}

/// The angle from a point inside to the nearest edge's great circle; negative outside.
pub(super) fn depth_in_ring(point: UnitVector, ring: &[UnitVector]) -> f64 {
    edges(ring)
        .filter_map(|(a, b)| a.normal(b).map(|n| libm::asin(n.dot(point).clamp(-1.0, 1.0))))
        .fold(f64::INFINITY, f64::min)
}

/// The angle from a point to the shorter arc between two points.
fn distance_to_arc(p: UnitVector, a: UnitVector, b: UnitVector) -> f64 {
    let ends = p.separation(a).min(p.separation(b));
    let Some(n) = a.normal(b) else { return ends };
    // The foot of the perpendicular is on the arc when `p` lies between the planes through its ends.
    let beside = n.cross_dot(a, p) >= 0.0 && b.cross_dot(n, p) >= 0.0;
    // Taken from the arc's nearer end, so that small angles keep their digits.
    let from = if p.dot(a) > p.dot(b) { p.minus(a) } else { p.minus(b) };
    if beside { libm::asin(n.dot(from).abs().min(1.0)) } else { ends }
}

fn circle_to_ring(circle: Circle, ring: &[UnitVector], cap: Cap) -> Relation {
    let (centre, radius) = (circle.centre(), circle.radius());
    if radius < FRAC_PI_2 && cap.axis.separation(centre) > cap.radius() + radius + SLACK {
        return Relation::DISJOINT;
    }
    if distance_to_ring(centre, ring) > radius + SLACK {
        return Relation::DISJOINT;
    }
    let contains = if radius < FRAC_PI_2 {
        ring.iter().all(|v| circle.contains(*v))
    } else {
        // What is left of the sphere is a smaller cap, around the opposite point.
        distance_to_ring(centre.opposite(), ring) >= PI - radius
    };
    let within = radius < FRAC_PI_2 && kernel::contains(ring, centre) && depth_in_ring(centre, ring) >= radius;
    relation(contains, within)
}

/// The angle from a point to the nearest point of the box; 0 inside.
fn distance_to_box(point: UnitVector, box_: LonLatBox) -> f64 {
    let p = point.to_lon_lat();
    if box_.contains_lon(p.lon) {
        // Of all points of a parallel the one of the same longitude is nearest.
        return (box_.lat_min() - p.lat).max(p.lat - box_.lat_max()).max(0.0);
    }
    distance_to_meridian(p, box_, box_.lon()).min(distance_to_meridian(p, box_, box_.lon_end()))
}

/// The angle to the meridian `lon` between the latitudes of the box.
fn distance_to_meridian(p: LonLat, box_: LonLatBox, lon: f64) -> f64 {
    let along = libm::atan2(libm::sin(p.lat), libm::cos(p.lat) * libm::cos(p.lon - lon));
    let point = p.to_unit();
    let mut nearest = f64::INFINITY;
    for lat in [box_.lat_min(), box_.lat_max(), along.clamp(box_.lat_min(), box_.lat_max())] {
        nearest = nearest.min(point.separation(LonLat::new(lon, lat).to_unit()));
    }
    nearest
}

/// The angle from a point to the farthest point of the box.
fn farthest_in_box(point: UnitVector, box_: LonLatBox) -> f64 {
    PI - distance_to_box(point.opposite(), box_)
}

/// The smallest of some circles around a box: centred on a pole, or on the middle meridian.
pub(super) fn box_bounding_circle(box_: LonLatBox) -> Circle {
    let (low, high, half) = (box_.lat_min(), box_.lat_max(), 0.5 * box_.width());
    let lon = box_.lon() + half;
    // Where the southern and the northern corners are equally far.
    let even = libm::atan2(
        libm::cos(half) * 2.0 * libm::sin(0.5 * (high + low)) * libm::sin(0.5 * (high - low)),
        2.0 * libm::cos(0.5 * (high + low)) * libm::sin(0.5 * (high - low)),
    );
    let mut best = Circle::covering(LonLat::new(0.0, FRAC_PI_2).to_unit(), PI);
    for lat in [0.5 * (low + high), even, FRAC_PI_2, -FRAC_PI_2] {
        let centre = LonLat::new(lon, lat).to_unit();
        let circle = Circle::covering(centre, farthest_in_box(centre, box_).max(0.0));
        if circle.radius() < best.radius() {
            best = circle;
        }
    }
    best
}

fn box_to_circle(box_: LonLatBox, circle: Circle) -> Relation {
    let (centre, radius) = (circle.centre(), circle.radius());
    if distance_to_box(centre, box_) > radius + SLACK {
        return Relation::DISJOINT;
    }
    let p = centre.to_lon_lat();
    let side = |lon| box_.width() >= TAU || distance_to_meridian(p, box_, lon) >= radius;
    let contains = box_.contains(p)
        && (box_.lat_min() <= -FRAC_PI_2 || p.lat - box_.lat_min() >= radius)
        && (box_.lat_max() >= FRAC_PI_2 || box_.lat_max() - p.lat >= radius)
        && side(box_.lon())
        && side(box_.lon_end());
    let within = radius >= PI || farthest_in_box(centre, box_) <= radius;
    relation(contains, within)
}

fn box_to_box(a: LonLatBox, b: LonLatBox) -> Relation {
    if a.intersects(b) { relation(a.contains_box(b), b.contains_box(a)) } else { Relation::DISJOINT }
}

fn box_to_ring(box_: LonLatBox, ring: &[UnitVector], cap: Cap) -> Relation {
    if distance_to_box(cap.axis, box_) > cap.radius() + SLACK {
        return Relation::DISJOINT;
    }
    let inside = |v: &UnitVector| box_.contains(v.to_lon_lat());
    let all_in = ring.iter().all(inside);
    let touches = all_in
        || ring.iter().any(inside)
        || box_corners(box_).iter().any(|c| kernel::contains(ring, *c))
        || edges(ring).any(|(a, b)| edge_meets_border(box_, a, b));
    if !touches {
        return Relation::DISJOINT;
    }
    let contains = all_in && box_holds_ring(box_, ring);
    // A half-space holds the box when the middle of the opposite half is a quarter turn away.
    let within = edges(ring).all(|(a, b)| {
        a.normal(b).is_some_and(|n| distance_to_box(n.opposite(), box_) >= FRAC_PI_2 - 0.25 * SLACK)
    });
    relation(contains, within)
}

fn box_corners(box_: LonLatBox) -> [UnitVector; 4] {
    let (west, east, low, high) = (box_.lon(), box_.lon_end(), box_.lat_min(), box_.lat_max());
    [(west, low), (east, low), (east, high), (west, high)].map(|(lon, lat)| LonLat::new(lon, lat).to_unit())
}

/// Whether an edge of a polygon meets a border of the box.
fn edge_meets_border(box_: LonLatBox, a: UnitVector, b: UnitVector) -> bool {
    let sides = box_.width() < TAU
        && [box_.lon(), box_.lon_end()].into_iter().any(|lon| {
            meridian_crossing(lon, a, b).is_some_and(|(low, high)| {
                high >= box_.lat_min() - SLACK && low <= box_.lat_max() + SLACK
            })
        });
    sides || parallel_is_met(box_, box_.lat_min(), a, b) || parallel_is_met(box_, box_.lat_max(), a, b)
}

/// The latitudes at which an edge meets the half circle of a longitude: one, or from one to another where it runs along.
fn meridian_crossing(lon: f64, a: UnitVector, b: UnitVector) -> Option<(f64, f64)> {
    let (sin, cos) = libm::sincos(lon);
    let side = |v: UnitVector| cos * v.y - sin * v.x;
    let front = |v: UnitVector| cos * v.x + sin * v.y;
    let (da, db) = (side(a), side(b));
    if da.abs() < 1e-15 && db.abs() < 1e-15 {
        let (la, lb) = (a.to_lon_lat().lat, b.to_lon_lat().lat);
        return (front(a) >= 0.0 || front(b) >= 0.0).then(|| (la.min(lb), la.max(lb)));
    }
    if da * db > 0.0 {
        return None;
    }
    let (s, t) = (db.abs(), da.abs());
    let cut = UnitVector { x: s * a.x + t * b.x, y: s * a.y + t * b.y, z: s * a.z + t * b.z };
    let lat = cut.to_lon_lat().lat;
    (front(cut) >= -1e-15 * (s + t)).then_some((lat, lat))
}

/// Whether an edge meets the parallel `lat` within the longitudes of the box.
fn parallel_is_met(box_: LonLatBox, lat: f64, a: UnitVector, b: UnitVector) -> bool {
    let Some(n) = a.normal(b) else { return false };
    let tilt = libm::hypot(n.x, n.y);
    // The great circle reaches from -top to top, and its northernmost point is:
    let top = libm::atan2(tilt, n.z.abs());
    if lat.abs() > top + SLACK {
        return false;
    }
    let Some(north) = UnitVector::normalized(-n.z * n.x, -n.z * n.y, tilt * tilt) else { return false };
    // Along the circle by `turn` from there the latitude is sought: cos(turn) = sin(lat) / sin(top), written for small turns.
    let half = libm::cos(0.5 * (top + lat)) * libm::sin(0.5 * (top - lat)).max(0.0) / tilt;
    let turn = 2.0 * libm::asin(half.sqrt().min(1.0));
    let (sin, cos) = libm::sincos(turn);
    let (x, y, z) = n.cross(north);
    [sin, -sin].into_iter().any(|sin| {
        let p =
            UnitVector { x: cos * north.x + sin * x, y: cos * north.y + sin * y, z: cos * north.z + sin * z };
        let on_edge = n.cross_dot(a, p) >= -1e-15 && p.cross_dot(b, n) >= -1e-15;
        on_edge && box_.nearly_contains_lon(p.to_lon_lat())
    })
}

/// Whether a polygon whose vertices are in the box is in it as a whole.
fn box_holds_ring(box_: LonLatBox, ring: &[UnitVector]) -> bool {
    let pole = |z: f64| kernel::contains(ring, UnitVector { x: 0.0, y: 0.0, z });
    if (box_.lat_max() < FRAC_PI_2 && pole(1.0)) || (box_.lat_min() > -FRAC_PI_2 && pole(-1.0)) {
        return false;
    }
    let high_enough = edges(ring).all(|(a, b)| {
        let (low, high) = latitudes(a, b);
        low >= box_.lat_min() - SLACK && high <= box_.lat_max() + SLACK
    });
    // Two meridians at most half a turn apart bound a convex region. Beyond, the gap between them is one: an edge that
    // leaves the box by one of them and comes back by the other one crosses the gap's middle.
    let gap = box_.lon() + 0.5 * (box_.width() + TAU);
    let around = box_.width() <= PI || box_.width() >= TAU;
    high_enough && (around || !edges(ring).any(|(a, b)| meridian_crossing(wrap(gap), a, b).is_some()))
}

/// The latitudes between which an edge runs.
pub(super) fn latitudes(a: UnitVector, b: UnitVector) -> (f64, f64) {
    let (la, lb) = (a.to_lon_lat().lat, b.to_lon_lat().lat);
    let (mut low, mut high) = (la.min(lb), la.max(lb));
    let Some(n) = a.normal(b) else { return (low, high) };
    let top = libm::atan2(libm::hypot(n.x, n.y), n.z.abs());
    // The northernmost and southernmost points of the edge's great circle, where they are on the edge.
    for sign in [1.0, -1.0] {
        let (x, y, z) = (-sign * n.z * n.x, -sign * n.z * n.y, sign * (n.x * n.x + n.y * n.y));
        let Some(p) = UnitVector::normalized(x, y, z) else { continue };
        if a.cross_dot(p, n) > 0.0 && p.cross_dot(b, n) > 0.0 {
            (low, high) = (low.min(sign * top), high.max(sign * top));
        }
    }
    (low, high)
}
