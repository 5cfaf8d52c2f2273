//! [`Outline`]: a polygon of the sky as areas and lines of a projection's plane.
//!
//! Edges are arcs of great circles: they are divided until the straight pieces on the page follow them. What crosses the seam of a
//! map of the whole sky, or the horizon of another one, is cut there.

use std::f64::consts::TAU;

use super::clip::Point;
use super::projection::{Local, Placed};
use crate::sphere::{ConvexPolygon, UnitVector};

/// A polygon in the plane.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Outline {
    /// Rings that fill its area, together: what one ring goes around clockwise is left out.
    pub(super) areas: Vec<Vec<Point>>,
    /// Its edges; a line that closes ends where it begins.
    pub(super) lines: Vec<Vec<Point>>,
}

impl Outline {
    /// The outline of a polygon, with arcs divided into pieces of at most `step` radians.
    pub(super) fn new(placed: &Placed, polygon: &ConvexPolygon, step: f64) -> Self {
        let ring: Vec<Local> = dense(polygon.vertices(), step).into_iter().map(|v| placed.local(v)).collect();
        if placed.kind.is_all_sky() {
            Self::cut_at_seam(placed, &ring, step)
        } else {
            Self::cut_at_horizon(placed, &ring, polygon)
        }
    }

    fn whole(placed: &Placed, ring: &[Local]) -> Self {
        let ring: Vec<Point> = ring.iter().filter_map(|l| placed.forward(*l)).collect();
        let mut line = ring.clone();
        line.extend(ring.first());
        Self { areas: vec![ring], lines: vec![line] }
    }

    fn cut_at_seam(placed: &Placed, ring: &[Local], step: f64) -> Self {
        // The seam is the half of the great circle e = 0 where u < 0.
        let crosses = |a: Local, b: Local| (a.e < 0.0) != (b.e < 0.0) && crossing(a, b).u < 0.0;
        let next = |i: usize| ring[(i + 1) % ring.len()];
        let Some(first) = (0..ring.len()).find(|i| crosses(ring[*i], next(*i))) else {
            return Self::whole(placed, ring);
        };
        let mut outline = Self::default();
        // Lines from one crossing to the next.
        let mut line = Vec::new();
        for k in 0..=ring.len() {
            let (a, b) = (ring[(first + k) % ring.len()], next((first + k) % ring.len()));
            if crosses(a, b) {
                let on = crossing(a, b);
                line.extend(placed.forward(sided(on, a.e)));
                if k > 0 {
                    outline.lines.push(std::mem::take(&mut line));
                }
                line.clear();
                line.extend(placed.forward(sided(on, b.e)));
            }
            line.extend(placed.forward(b));
        }
        // Areas: what is east and what is west of the great circle of the seam.
        for side in [1.0, -1.0] {
            let half = half_ring(ring, side);
            let closed = dense_local(&half, step);
            let area: Vec<Point> = closed.iter().filter_map(|l| placed.forward(sided(*l, side))).collect();
            if area.len() > 2 {
                outline.areas.push(area);
            }
        }
        outline
    }

    fn cut_at_horizon(placed: &Placed, ring: &[Local], polygon: &ConvexPolygon) -> Self {
        let k = placed.horizon;
        let visible = |l: &Local| l.u >= k;
        let antipode = placed.global(Local { u: -1.0, e: 0.0, n: 0.0 });
        if ring.iter().all(visible) && !polygon.contains(antipode) {
            return Self::whole(placed, ring);
        }
        let circle = |azimuth: f64| {
            let (s, c) = libm::sincos(azimuth);
            let r = (1.0 - k * k).sqrt();
            Local { u: k, e: r * c, n: r * s }
        };
        let arc = |from: f64, to: f64, area: &mut Vec<Point>| {
            let pieces = ((to - from) / 0.02).ceil().max(1.0);
            area.extend(
                (0..=pieces as u32).filter_map(|i| placed.forward(circle(from + (to - from) * f64::from(i) / pieces))),
            );
        };
        if ring.iter().all(visible) {
            // Around the antipode: the ring runs clockwise in the plane, a hole of all that is shown.
            let mut outline = Self::whole(placed, ring);
            let mut rim = Vec::new();
            arc(0.0, TAU, &mut rim);
            outline.areas.push(rim);
            return outline;
        }
        let mut outline = Self::default();
        let Some(first) = (0..ring.len()).find(|i| !visible(&ring[*i]) && visible(&ring[(*i + 1) % ring.len()])) else {
            // No edge comes up: the polygon shows all or nothing.
            let centre = placed.global(Local { u: 1.0, e: 0.0, n: 0.0 });
            if polygon.contains(centre) {
                let mut area = Vec::new();
                arc(0.0, TAU, &mut area);
                outline.areas.push(area);
            }
            return outline;
        };
        let (mut area, mut line): (Vec<Point>, Vec<Point>) = (Vec::new(), Vec::new());
        let (mut went_down, mut came_up) = (None, 0.0);
        for j in 0..ring.len() {
            let (a, b) = (ring[(first + j) % ring.len()], ring[(first + j + 1) % ring.len()]);
            if visible(&a) != visible(&b) {
                let on = at_height(a, b, k);
                let azimuth = libm::atan2(on.n, on.e);
                if visible(&b) {
                    // Back along the horizon, counter-clockwise as the polygon runs.
                    if let Some(down) = went_down {
                        let mut to = azimuth;
                        while to < down {
                            to += TAU;
                        }
                        arc(down, to, &mut area);
                    } else {
                        came_up = azimuth;
                    }
                } else {
                    went_down = Some(azimuth);
                }
                line.extend(placed.forward(on));
                area.extend(placed.forward(on));
                if !visible(&b) {
                    outline.lines.push(std::mem::take(&mut line));
                }
            }
            if visible(&b) {
                line.extend(placed.forward(b));
                area.extend(placed.forward(b));
            }
        }
        if line.len() > 1 {
            outline.lines.push(line);
        }
        if let Some(down) = went_down {
            let mut to = came_up;
            while to < down {
                to += TAU;
            }
            arc(down, to, &mut area);
        }
        outline.areas.push(area);
        outline
    }
}

/// A ring with points along its arcs, at most `step` radians apart.
pub(super) fn dense(ring: &[UnitVector], step: f64) -> Vec<UnitVector> {
    let mut all = Vec::with_capacity(ring.len());
    for (i, a) in ring.iter().enumerate() {
        let b = ring[(i + 1) % ring.len()];
        all.push(*a);
        let angle = a.separation(b);
        let pieces = (angle / step).ceil();
        if pieces > 1.0 {
            let sin = libm::sin(angle);
            for k in 1..pieces as u32 {
                let t = f64::from(k) / pieces;
                let (p, q) = (libm::sin((1.0 - t) * angle) / sin, libm::sin(t * angle) / sin);
                all.extend(UnitVector::normalized(p * a.x + q * b.x, p * a.y + q * b.y, p * a.z + q * b.z));
            }
        }
    }
    all
}

fn dense_local(ring: &[Local], step: f64) -> Vec<Local> {
    let ring: Vec<UnitVector> = ring.iter().map(|l| UnitVector { x: l.u, y: l.e, z: l.n }).collect();
    dense(&ring, step).into_iter().map(|v| Local { u: v.x, e: v.y, n: v.z }).collect()
}

/// Where an arc crosses e = 0.
fn crossing(a: Local, b: Local) -> Local {
    let t = a.e / (a.e - b.e);
    unit(Local { u: a.u + t * (b.u - a.u), e: 0.0, n: a.n + t * (b.n - a.n) })
}

/// Where an arc crosses u = `height`.
fn at_height(a: Local, b: Local, height: f64) -> Local {
    let (mut low, mut high) = (0.0, 1.0);
    let at = |t: f64| unit(Local { u: a.u + t * (b.u - a.u), e: a.e + t * (b.e - a.e), n: a.n + t * (b.n - a.n) });
    let rising = b.u > a.u;
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if (at(middle).u < height) == rising { low = middle } else { high = middle }
    }
    at(0.5 * (low + high))
}

fn unit(l: Local) -> Local {
    let norm = (l.u * l.u + l.e * l.e + l.n * l.n).sqrt();
    Local { u: l.u / norm, e: l.e / norm, n: l.n / norm }
}

/// On the given side of the seam, when on it.
fn sided(l: Local, side: f64) -> Local {
    Local { e: l.e.abs().copysign(side), ..l }
}

/// The part of a ring where e has a sign.
fn half_ring(ring: &[Local], side: f64) -> Vec<Local> {
    let mut half = Vec::with_capacity(ring.len());
    let Some(mut before) = ring.last().copied() else { return half };
    for &l in ring {
        // As the crossings of lines: zero counts as east.
        let (was, is) = ((before.e < 0.0) == (side < 0.0), (l.e < 0.0) == (side < 0.0));
        if was != is {
            half.push(crossing(before, l));
        }
        if is {
            half.push(l);
        }
        before = l;
    }
    half
}

#[cfg(test)]
mod tests {
    use super::super::projection::SkyProjection;
    use super::*;
    use crate::sphere::LonLat;

    fn area(ring: &[Point]) -> f64 {
        let n = ring.len();
        (0..n).map(|i| ring[i].0 * ring[(i + 1) % n].1 - ring[(i + 1) % n].0 * ring[i].1).sum::<f64>() * 0.5
    }

    fn polygon(points: &[(f64, f64)]) -> ConvexPolygon {
        ConvexPolygon::from_degrees(points).unwrap()
    }

    /// Equal-area projections keep areas, wherever a polygon is cut.
    #[test]
    fn areas_are_kept_over_seams_poles_and_horizons() {
        let shapes = [
            polygon(&[(150.0, 2.0), (151.0, 2.0), (151.0, 3.0), (150.0, 3.0)]),
            polygon(&[(170.0, -20.0), (190.0, -20.0), (190.0, 30.0), (170.0, 30.0)]),
            polygon(&[(0.0, 80.0), (90.0, 75.0), (180.0, 80.0), (270.0, 70.0)]),
            polygon(&[(10.0, -60.0), (100.0, -60.0), (190.0, -60.0), (280.0, -60.0)]),
            polygon(&[(175.0, 85.0), (185.0, 85.0), (180.0, 89.0)]),
            polygon(&[(180.0, 0.0), (200.0, 0.0), (200.0, 10.0), (180.0, 10.0)]),
            polygon(&[(160.0, 0.0), (180.0, 0.0), (180.0, 10.0), (160.0, 10.0)]),
            polygon(&[(-80.0, -1.0), (80.0, -1.0), (0.0, 80.0)]),
        ];
        for kind in [SkyProjection::Mollweide, SkyProjection::Hammer, SkyProjection::Azimuthal] {
            for lon in [0.0, 90.0, 180.0, 359.0] {
                let placed = Placed::new(kind, LonLat::from_degrees(lon, 20.0));
                for (i, shape) in shapes.iter().enumerate() {
                    let outline = Outline::new(&placed, shape, 0.002);
                    let drawn: f64 = outline.areas.iter().map(|a| area(a)).sum();
                    let ratio = drawn / shape.area();
                    // The antipode of the azimuthal centre is cut out: 2 degrees around it are not shown.
                    let slack = if kind == SkyProjection::Azimuthal { 1.5e-2 } else { 5e-4 };
                    assert!((ratio - 1.0).abs() < slack, "{kind:?} {lon} shape {i}: {ratio}");
                    for line in outline.lines.iter().chain(&outline.areas) {
                        let jump =
                            line.windows(2).map(|p| libm::hypot(p[1].0 - p[0].0, p[1].1 - p[0].1)).fold(0.0, f64::max);
                        assert!(jump < 0.3, "{kind:?} {lon} shape {i}: a piece of {jump}");
                    }
                }
            }
        }
    }

    #[test]
    fn seam_cuts_lines_in_two() {
        let placed = Placed::new(SkyProjection::Mollweide, LonLat::from_degrees(0.0, 0.0));
        let shape = polygon(&[(170.0, -5.0), (190.0, -5.0), (190.0, 5.0), (170.0, 5.0)]);
        let outline = Outline::new(&placed, &shape, 0.01);
        assert_eq!((outline.areas.len(), outline.lines.len()), (2, 2));
        let edge = Placed::WHOLE.0;
        for line in &outline.lines {
            let (a, b) = (line[0], line[line.len() - 1]);
            assert!(
                (a.0.abs() - edge).abs() < 0.02 && (b.0.abs() - edge).abs() < 0.02 && a.0 * b.0 > 0.0,
                "{a:?} {b:?}"
            );
        }
    }

    #[test]
    fn behind_the_tangent_plane_is_cut_off() {
        let placed = Placed::new(SkyProjection::Gnomonic, LonLat::from_degrees(0.0, 0.0));
        let behind = polygon(&[(170.0, -5.0), (190.0, -5.0), (190.0, 5.0), (170.0, 5.0)]);
        assert_eq!(Outline::new(&placed, &behind, 0.05), Outline::default());
        let half = polygon(&[(50.0, -20.0), (140.0, -20.0), (140.0, 20.0), (50.0, 20.0)]);
        let outline = Outline::new(&placed, &half, 0.05);
        assert_eq!((outline.areas.len(), outline.lines.len()), (1, 1));
        assert!(outline.areas[0].iter().all(|p| p.0 > 1.0 && p.0.is_finite()));
        let around = polygon(&[(120.0, -60.0), (240.0, -60.0), (0.0, 80.0)]);
        assert!(Outline::new(&placed, &around, 0.05).areas.len() <= 1);
    }
}
