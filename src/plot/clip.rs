//! Lines and areas of the page, cut to a rectangle.

/// A place on the page or in the plane.
pub(super) type Point = (f64, f64);

/// One of the coordinates of a place.
type Coordinate = fn(Point) -> f64;

/// A rectangle of the page: left, top, right, bottom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rect {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Rect {
    pub(super) fn width(&self) -> f64 {
        self.right - self.left
    }

    pub(super) fn height(&self) -> f64 {
        self.bottom - self.top
    }

    pub(super) fn contains(&self, p: Point) -> bool {
        p.0 >= self.left && p.0 <= self.right && p.1 >= self.top && p.1 <= self.bottom
    }

    pub(super) fn grown(&self, by: f64) -> Self {
        Self { left: self.left - by, top: self.top - by, right: self.right + by, bottom: self.bottom + by }
    }

    /// Whether it shares nothing with another one.
    pub(super) fn apart(&self, other: &Self) -> bool {
        self.right < other.left || other.right < self.left || self.bottom < other.top || other.bottom < self.top
    }

    fn holds_all(&self, points: &[Point]) -> bool {
        points.iter().all(|p| self.contains(*p))
    }

    /// A ring cut to the rectangle (I. E. Sutherland and G. W. Hodgman, 1974); empty when nothing is left.
    pub(super) fn clip_ring(&self, ring: &[Point]) -> Vec<Point> {
        if self.holds_all(ring) {
            return ring.to_vec();
        }
        let mut ring = ring.to_vec();
        let sides: [(Coordinate, f64, f64); 4] = [
            (|p| p.0, self.left, 1.0),
            (|p| p.0, self.right, -1.0),
            (|p| p.1, self.top, 1.0),
            (|p| p.1, self.bottom, -1.0),
        ];
        for (coordinate, limit, sign) in sides {
            let inside = |p: Point| sign * (coordinate(p) - limit);
            let mut kept = Vec::with_capacity(ring.len() + 4);
            let Some(mut before) = ring.last().copied() else { return ring };
            for &p in &ring {
                let (a, b) = (inside(before), inside(p));
                if (a < 0.0) != (b < 0.0) {
                    kept.push(between(before, p, a / (a - b)));
                }
                if b >= 0.0 {
                    kept.push(p);
                }
                before = p;
            }
            ring = kept;
        }
        if ring.len() < 3 { Vec::new() } else { ring }
    }

    /// The parts of a line inside the rectangle (Y.-D. Liang and B. A. Barsky, 1984), handed to `take`.
    pub(super) fn clip_line(&self, line: &[Point], take: &mut Vec<Vec<Point>>) {
        if self.holds_all(line) {
            if line.len() > 1 {
                take.push(line.to_vec());
            }
            return;
        }
        let mut part: Vec<Point> = Vec::new();
        for pair in line.windows(2) {
            let Some((from, to)) = self.clip_segment(pair[0], pair[1]) else {
                finish(&mut part, take);
                continue;
            };
            let (a, b) = (between(pair[0], pair[1], from), between(pair[0], pair[1], to));
            if part.is_empty() || from > 0.0 {
                finish(&mut part, take);
                part.push(a);
            }
            part.push(b);
            if to < 1.0 {
                finish(&mut part, take);
            }
        }
        finish(&mut part, take);
    }

    /// From where to where along a segment it is inside.
    fn clip_segment(&self, a: Point, b: Point) -> Option<(f64, f64)> {
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let (mut from, mut to) = (0.0_f64, 1.0_f64);
        for (p, q) in [(-dx, a.0 - self.left), (dx, self.right - a.0), (-dy, a.1 - self.top), (dy, self.bottom - a.1)] {
            if p == 0.0 {
                if q < 0.0 {
                    return None;
                }
            } else if p < 0.0 {
                from = from.max(q / p);
            } else {
                to = to.min(q / p);
            }
        }
        (from < to).then_some((from, to))
    }
}

fn finish(part: &mut Vec<Point>, take: &mut Vec<Vec<Point>>) {
    if part.len() > 1 {
        take.push(std::mem::take(part));
    }
    part.clear();
}

fn between(a: Point, b: Point, t: f64) -> Point {
    (a.0 + t * (b.0 - a.0), a.1 + t * (b.1 - a.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: Rect = Rect { left: 0.0, top: 0.0, right: 1.0, bottom: 1.0 };

    fn area(ring: &[Point]) -> f64 {
        let n = ring.len();
        (0..n).map(|i| ring[i].0 * ring[(i + 1) % n].1 - ring[(i + 1) % n].0 * ring[i].1).sum::<f64>() * 0.5
    }

    #[test]
    fn rings_keep_their_area_inside() {
        let diamond = [(0.5, -0.5), (1.5, 0.5), (0.5, 1.5), (-0.5, 0.5)];
        assert!((area(&UNIT.clip_ring(&diamond)) - 1.0).abs() < 1e-12);
        let half = [(0.5, -3.0), (9.0, -3.0), (9.0, 9.0), (0.5, 9.0)];
        assert!((area(&UNIT.clip_ring(&half)) - 0.5).abs() < 1e-12);
        assert!(UNIT.clip_ring(&[(2.0, 2.0), (3.0, 2.0), (3.0, 3.0)]).is_empty());
        assert_eq!(UNIT.clip_ring(&[(0.1, 0.1), (0.2, 0.1), (0.2, 0.2)]).len(), 3);
        assert!(UNIT.clip_ring(&[]).is_empty());
    }

    #[test]
    fn lines_are_cut_into_their_parts() {
        let mut parts = Vec::new();
        UNIT.clip_line(&[(-1.0, 0.5), (2.0, 0.5), (2.0, 0.75), (-1.0, 0.75)], &mut parts);
        assert_eq!(parts, [vec![(0.0, 0.5), (1.0, 0.5)], vec![(1.0, 0.75), (0.0, 0.75)]]);
        parts.clear();
        UNIT.clip_line(&[(0.5, 0.5), (0.6, 0.6), (0.6, 5.0)], &mut parts);
        assert_eq!(parts, [vec![(0.5, 0.5), (0.6, 0.6), (0.6, 1.0)]]);
        parts.clear();
        UNIT.clip_line(&[(-1.0, -1.0), (-1.0, 5.0)], &mut parts);
        UNIT.clip_line(&[(0.5, 0.5)], &mut parts);
        assert!(parts.is_empty());
    }
}
