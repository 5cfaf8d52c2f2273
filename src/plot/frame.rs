//! [`Frame`]: where on the page the plane of a projection lies.

use super::clip::{Point, Rect};
use super::outline::Outline;
use super::projection::{Placed, SkyProjection};
use crate::sphere::{ConvexPolygon, LonLat, UnitVector};

/// A rectangle of the page that shows a part of a projection's plane, east to the left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) placed: Placed,
    pub(super) rect: Rect,
    /// The place of the plane at the middle of the rectangle.
    middle: Point,
    /// Half of what must be seen of the plane.
    half: Point,
    /// Pixels for a unit of the plane.
    pub(super) scale: f64,
}

impl Frame {
    /// Shows all that is within half a width and half a height of the middle.
    pub(super) fn new(placed: Placed, rect: Rect, middle: Point, half: Point) -> Self {
        let scale = (0.5 * rect.width() / half.0).min(0.5 * rect.height() / half.1);
        Self { placed, rect, middle, half, scale }
    }

    /// The whole sky, the rectangle no larger than it.
    pub(super) fn whole(placed: Placed, room: Rect) -> Self {
        let half = Placed::WHOLE;
        let frame = Self::new(placed, room, (0.0, 0.0), half);
        let (w, h) = ((half.0 * frame.scale).floor(), (half.1 * frame.scale).floor());
        let (cx, cy) = ((0.5 * (room.left + room.right)).round(), (0.5 * (room.top + room.bottom)).round());
        Self { rect: Rect { left: cx - w, top: cy - h, right: cx + w, bottom: cy + h }, ..frame }
    }

    /// Height over width of what must be seen.
    pub(super) fn aspect(&self) -> f64 {
        self.half.1 / self.half.0
    }

    fn origin(&self) -> Point {
        (0.5 * (self.rect.left + self.rect.right), 0.5 * (self.rect.top + self.rect.bottom))
    }

    /// Where on the page a place of the plane is.
    pub(super) fn page(&self, p: Point) -> Point {
        let (cx, cy) = self.origin();
        (cx - (p.0 - self.middle.0) * self.scale, cy - (p.1 - self.middle.1) * self.scale)
    }

    /// The position on the sky at a place of the page.
    pub(super) fn sky(&self, p: Point) -> Option<UnitVector> {
        let (cx, cy) = self.origin();
        self.placed.inverse(self.middle.0 + (cx - p.0) / self.scale, self.middle.1 + (cy - p.1) / self.scale)
    }

    /// Where on the page a position is, when it is shown.
    pub(super) fn place(&self, v: UnitVector) -> Option<Point> {
        let local = self.placed.local(v);
        if local.u < self.placed.horizon {
            return None;
        }
        self.placed.forward(local).map(|p| self.page(p)).filter(|p| self.rect.grown(1e-6).contains(*p))
    }

    /// The longest arc that a straight piece may stand for.
    pub(super) fn step(&self) -> f64 {
        let pixels = if self.placed.kind == SkyProjection::Gnomonic { 400.0 } else { 5.0 };
        (pixels / self.scale).clamp(1e-4, 0.05)
    }

    /// A polygon on the page, cut to the rectangle; `None` when nothing of it is there.
    pub(super) fn outline(&self, polygon: &ConvexPolygon) -> Option<Outline> {
        let plane = Outline::new(&self.placed, polygon, self.step());
        let mut page = Outline::default();
        let place = |line: &[Point]| line.iter().map(|p| self.page(*p)).collect::<Vec<_>>();
        for area in &plane.areas {
            let area = self.rect.clip_ring(&place(area));
            if !area.is_empty() {
                page.areas.push(area);
            }
        }
        for line in &plane.lines {
            self.rect.clip_line(&place(line), &mut page.lines);
        }
        (!page.areas.is_empty() || !page.lines.is_empty()).then_some(page)
    }
}

/// The middle of a field, and how far it reaches from there, radians.
pub(super) fn field<'a>(polygons: impl Iterator<Item = &'a ConvexPolygon> + Clone) -> (LonLat, f64) {
    let (mut x, mut y, mut z) = (0.0, 0.0, 0.0);
    for v in polygons.clone().flat_map(ConvexPolygon::vertices) {
        x += v.x;
        y += v.y;
        z += v.z;
    }
    let Some(middle) = UnitVector::normalized(x, y, z) else { return (LonLat::new(0.0, 0.0), std::f64::consts::PI) };
    let radius = polygons.flat_map(ConvexPolygon::vertices).map(|v| v.separation(middle)).fold(0.0, f64::max);
    (middle.to_lon_lat(), radius)
}

/// What polygons span in the plane of a projection: its middle and half its sides. What is not shown is left out.
pub(super) fn span<'a>(placed: &Placed, polygons: impl Iterator<Item = &'a ConvexPolygon>) -> Option<(Point, Point)> {
    let (mut low, mut high) = ((f64::INFINITY, f64::INFINITY), (f64::NEG_INFINITY, f64::NEG_INFINITY));
    for v in polygons.flat_map(ConvexPolygon::vertices) {
        let local = placed.local(*v);
        // Beyond 70 degrees a tangent plane is useless: what is there does not widen the picture.
        let far = placed.kind == SkyProjection::Gnomonic && local.u < 0.34;
        let Some((x, y)) = placed.forward(local).filter(|_| !far && local.u >= placed.horizon) else { continue };
        low = (low.0.min(x), low.1.min(y));
        high = (high.0.max(x), high.1.max(y));
    }
    (low.0 < high.0 && low.1 < high.1)
        .then_some(((0.5 * (low.0 + high.0), 0.5 * (low.1 + high.1)), (0.5 * (high.0 - low.0), 0.5 * (high.1 - low.1))))
}
