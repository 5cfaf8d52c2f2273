//! [`Graticule`]: meridians and parallels, and where they are named.

use super::clip::Point;
use super::frame::Frame;
use crate::sphere::{LonLat, UnitVector};

/// Distances between lines, degrees.
const STEPS: [f64; 24] = [
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0,
    45.0, 60.0, 90.0, 120.0, 180.0, 360.0,
];

/// Where a label belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Left,
    Right,
    Top,
    Bottom,
    /// Over the picture, where the line is.
    Inside,
}

/// A labelled place of the frame.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub(super) place: Place,
    pub(super) at: Point,
    pub(super) text: String,
}

/// Lines of equal right ascension and declination.
#[derive(Clone, Debug, Default)]
pub(super) struct Graticule {
    pub(super) lines: Vec<Vec<Point>>,
    pub(super) ticks: Vec<Tick>,
    /// A pole is in the picture: right ascensions are named on all its sides.
    pub(super) pole: bool,
}

/// What a frame shows of the sky, degrees.
struct Shown {
    /// Middle right ascension, and how far it goes to either side.
    lon: f64,
    lon_half: f64,
    lat: (f64, f64),
    pole: bool,
}

impl Graticule {
    pub(super) fn new(frame: &Frame) -> Self {
        let all_sky = frame.placed.kind.is_all_sky();
        let Some(shown) = shown(frame) else { return Self::default() };
        let lat_step = if all_sky { 30.0 } else { step(shown.lat.1 - shown.lat.0, 6.0) };
        let lon_step = if all_sky || shown.pole { 30.0 } else { step(2.0 * shown.lon_half, 6.0) };
        let mut graticule = Self { pole: shown.pole, ..Self::default() };
        graticule.draw(frame, &shown, lon_step, lat_step);
        if all_sky {
            graticule.label_whole(frame, &shown, lon_step, lat_step);
        } else {
            graticule.label_edges(frame, &shown, lon_step, lat_step);
        }
        graticule
    }

    fn draw(&mut self, frame: &Frame, shown: &Shown, lon_step: f64, lat_step: f64) {
        let all_sky = frame.placed.kind.is_all_sky();
        let mut add = |points: &mut dyn Iterator<Item = (f64, f64)>| {
            let mut line: Vec<Point> = Vec::new();
            for (lon, lat) in points {
                let local = frame.placed.local(LonLat::from_degrees(lon, lat).to_unit());
                match frame.placed.forward(local).filter(|_| local.u >= frame.placed.horizon) {
                    Some(p) => line.push(frame.page(p)),
                    None => frame.rect.clip_line(&std::mem::take(&mut line), &mut self.lines),
                }
            }
            frame.rect.clip_line(&line, &mut self.lines);
        };
        let pad = 0.02 * (shown.lat.1 - shown.lat.0);
        let (south, north) = ((shown.lat.0 - pad).max(-90.0), (shown.lat.1 + pad).min(90.0));
        for lon in multiples(shown.lon - shown.lon_half, shown.lon + shown.lon_half, lon_step) {
            // Away from the seam, which is the border; and short of the poles, where all meet.
            if all_sky && (lon - shown.lon).abs() > 179.9 {
                continue;
            }
            let quarter = (lon / 90.0 - (lon / 90.0).round()).abs() < 1e-9;
            let stop = if quarter { 90.0 } else { 90.0 - if all_sky { 10.0 } else { 0.25 * lat_step } };
            let (from, to) = (south.max(-stop), north.min(stop));
            add(&mut (0..=200).map(|i| (lon, from + (to - from) * f64::from(i) / 200.0)));
        }
        for lat in multiples(south, north, lat_step).filter(|lat| lat.abs() < 90.0 - 1e-9) {
            let half = if all_sky { 180.0 - 1e-7 } else { (shown.lon_half * 1.02).min(180.0) };
            let from = shown.lon - half;
            add(&mut (0..=400).map(|i| (from + 2.0 * half * f64::from(i) / 400.0, lat)));
        }
    }

    fn label_whole(&mut self, frame: &Frame, shown: &Shown, lon_step: f64, lat_step: f64) {
        let unit = |lon: f64, lat: f64| LonLat::from_degrees(lon, lat).to_unit();
        for lon in multiples(shown.lon - 179.0, shown.lon + 179.0, lon_step) {
            if let Some(at) = frame.place(unit(lon, 0.0)) {
                self.ticks.push(Tick { place: Place::Inside, at, text: degrees(lon.rem_euclid(360.0), lon_step) });
            }
        }
        for lat in multiples(-89.0, 89.0, lat_step) {
            // The eastern border is on the left.
            if let Some(at) = frame.place(unit(shown.lon + 180.0 - 1e-7, lat)) {
                self.ticks.push(Tick { place: Place::Left, at, text: degrees(lat, lat_step) });
            }
        }
    }

    fn label_edges(&mut self, frame: &Frame, shown: &Shown, lon_step: f64, lat_step: f64) {
        let r = frame.rect;
        let lon = |v: UnitVector| wrapped(v.to_lon_lat().lon_deg() - shown.lon);
        let lat = |v: UnitVector| v.to_lon_lat().lat_deg();
        let corners = [(r.left, r.top), (r.right, r.top), (r.left, r.bottom), (r.right, r.bottom)];
        let [top_left, top_right, bottom_left, bottom_right] = corners;
        let lon_text = |k: i64| degrees((k as f64 * lon_step).rem_euclid(360.0), lon_step);
        let lon_sides: &[(Place, Point, Point)] = if shown.pole {
            &[
                (Place::Bottom, bottom_left, bottom_right),
                (Place::Top, top_left, top_right),
                (Place::Left, bottom_left, top_left),
                (Place::Right, bottom_right, top_right),
            ]
        } else {
            &[(Place::Bottom, bottom_left, bottom_right)]
        };
        for &(place, a, b) in lon_sides {
            for (k, at) in crossings(frame, a, b, &lon, shown.lon, lon_step) {
                self.ticks.push(Tick { place, at, text: lon_text(k) });
            }
        }
        let middle = 0.5 * (r.left + r.right);
        // Parallels that bend away from the side, or that close, are named in the middle.
        let beside = crossings(frame, bottom_left, top_left, &lat, 0.0, lat_step);
        let inside = crossings(frame, (middle, r.bottom), (middle, r.top), &lat, 0.0, lat_step);
        let (place, named_at) =
            if shown.pole || 2 * beside.len() < inside.len() { (Place::Inside, inside) } else { (Place::Left, beside) };
        let mut named: Vec<i64> = Vec::new();
        for (k, at) in named_at {
            let text = degrees(k as f64 * lat_step, lat_step);
            // Beyond a pole the same parallels come again.
            if !named.contains(&k) {
                named.push(k);
                self.ticks.push(Tick { place, at, text });
            }
        }
    }
}

/// Where along a straight line of the page an angle passes the multiples of a step.
fn crossings(
    frame: &Frame,
    a: Point,
    b: Point,
    angle: &dyn Fn(UnitVector) -> f64,
    zero: f64,
    step: f64,
) -> Vec<(i64, Point)> {
    const PIECES: u32 = 512;
    let at = |t: f64| (a.0 + t * (b.0 - a.0), a.1 + t * (b.1 - a.1));
    let value = |t: f64| frame.sky(at(t)).map(angle);
    let mut found = Vec::new();
    let mut before: Option<(f64, f64)> = None;
    for i in 0..=PIECES {
        let t = f64::from(i) / f64::from(PIECES);
        let here = value(t);
        if let (Some((t0, v0)), Some(v1)) = (before, here) {
            let (low, high) = (v0.min(v1), v0.max(v1));
            // A jump of the angle is no crossing.
            if high - low < 90.0 {
                for k in multiples(zero + low, zero + high, step).map(|m| (m / step).round() as i64) {
                    let target = k as f64 * step - zero;
                    let (mut from, mut to) = (t0, t);
                    for _ in 0..50 {
                        let middle = 0.5 * (from + to);
                        let below = value(middle).is_some_and(|v| (v < target) == (v0 < v1));
                        if below { from = middle } else { to = middle }
                    }
                    if found.last().is_none_or(|(last, _)| *last != k) {
                        found.push((k, at(0.5 * (from + to))));
                    }
                }
            }
        }
        before = here.map(|v| (t, v));
    }
    found
}

fn wrapped(deg: f64) -> f64 {
    let d = deg.rem_euclid(360.0);
    if d > 180.0 { d - 360.0 } else { d }
}

/// The multiples of a step from one value to another, both counted.
fn multiples(from: f64, to: f64, step: f64) -> impl Iterator<Item = f64> {
    let (first, last) = ((from / step - 1e-9).ceil() as i64, (to / step + 1e-9).floor() as i64);
    (first..=last.min(first.saturating_add(1000))).map(move |k| k as f64 * step)
}

/// The smallest step that cuts a span into at most so many pieces.
fn step(span: f64, pieces: f64) -> f64 {
    STEPS.iter().copied().find(|s| span / s <= pieces).unwrap_or(360.0)
}

/// Degrees with as many decimals as the step needs, and a true minus sign.
pub(super) fn degrees(value: f64, step: f64) -> String {
    let decimals = (0..6_i32).find(|d| {
        let scaled = step * libm::pow(10.0, f64::from(*d));
        (scaled - scaled.round()).abs() < 1e-6
    });
    let text = format!("{:.*}", decimals.unwrap_or(6) as usize, value.abs());
    let zero = text.bytes().all(|b| matches!(b, b'0' | b'.'));
    if value < 0.0 && !zero { format!("\u{2212}{text}") } else { text }
}

fn shown(frame: &Frame) -> Option<Shown> {
    const CELLS: u32 = 40;
    let r = frame.rect;
    let middle = (0.5 * (r.left + r.right), 0.5 * (r.top + r.bottom));
    let centre = frame.sky(middle)?.to_lon_lat();
    let lon = centre.lon_deg();
    if frame.placed.kind.is_all_sky() {
        return Some(Shown { lon, lon_half: 180.0, lat: (-90.0, 90.0), pole: false });
    }
    let poles = [1.0, -1.0].map(|z| frame.place(UnitVector { x: 0.0, y: 0.0, z }).is_some());
    let (mut south, mut north, mut lon_half) = (90.0_f64, -90.0_f64, 0.0_f64);
    for i in 0..=CELLS {
        for j in 0..=CELLS {
            let at = (
                r.left + r.width() * f64::from(i) / f64::from(CELLS),
                r.top + r.height() * f64::from(j) / f64::from(CELLS),
            );
            let Some(p) = frame.sky(at).map(UnitVector::to_lon_lat) else { continue };
            south = south.min(p.lat_deg());
            north = north.max(p.lat_deg());
            lon_half = lon_half.max(wrapped(p.lon_deg() - lon).abs());
        }
    }
    let pole = poles[0] || poles[1];
    if poles[0] {
        north = 90.0;
    }
    if poles[1] {
        south = -90.0;
    }
    Some(Shown { lon, lon_half: if pole { 180.0 } else { lon_half }, lat: (south, north), pole })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_degrees() {
        assert_eq!(degrees(-0.05, 0.05), "\u{2212}0.05");
        assert_eq!(degrees(-0.0, 0.5), "0.0");
        assert_eq!(degrees(-1e-12, 1.0), "0");
        assert_eq!(degrees(150.0, 15.0), "150");
        assert_eq!(degrees(149.8, 0.2), "149.8");
    }

    #[test]
    fn steps_and_multiples() {
        for (span, wanted) in [(0.9, 0.2), (5.0, 1.0), (100.0, 30.0), (360.0, 60.0)] {
            assert!((step(span, 6.0) - wanted).abs() < 1e-12, "{span}");
        }
        assert_eq!(multiples(-0.4, 0.4, 0.2).count(), 5);
        assert_eq!(multiples(0.1, 0.9, 1.0).count(), 0);
        assert!(multiples(-1e300, 1e300, 0.1).count() <= 1001);
    }
}
