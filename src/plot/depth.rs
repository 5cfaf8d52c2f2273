//! [`DepthMap`]: how many visits cover each pixel of a picture.

use rayon::prelude::*;

use super::canvas::IndexedImage;
use super::clip::Rect;
use super::colour::Colour;
use super::content::Footprint;
use super::frame::Frame;
use crate::sphere::{ConvexPolygon, UnitVector};

/// Rows of a strip that one thread fills.
const STRIP: usize = 32;

/// The number of distinct visits at the centre of each pixel, exactly: a visit whose detectors overlap counts once.
#[derive(Clone, Debug)]
pub(super) struct DepthMap {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) counts: Vec<u32>,
}

/// A detector, ready to be asked about positions.
struct Shape<'a> {
    polygon: &'a ConvexPolygon,
    /// Inward normals of its edges.
    normals: Vec<(f64, f64, f64)>,
    visit: u32,
    /// The pixels that it can reach: columns and rows, ends not counted.
    columns: (usize, usize),
    rows: (usize, usize),
}

impl Shape<'_> {
    /// Exactly [`ConvexPolygon::contains`], by a filter first.
    fn contains(&self, v: UnitVector) -> bool {
        // Of unit vectors, a determinant is known to a few 1e-16.
        const DOUBT: f64 = 1e-14;
        let mut lowest = f64::INFINITY;
        for (x, y, z) in &self.normals {
            lowest = lowest.min(x * v.x + y * v.y + z * v.z);
        }
        if lowest > DOUBT {
            true
        } else if lowest < -DOUBT {
            false
        } else {
            self.polygon.contains(v)
        }
    }
}

impl DepthMap {
    /// Counts over the rectangle of a frame, `scale` samples to a pixel and side. Footprints come sorted by visit.
    pub(super) fn new(frame: &Frame, footprints: &[Footprint], scale: u32) -> Self {
        let pixels = f64::from(scale);
        let Rect { left, top, .. } = frame.rect;
        let width = (frame.rect.width() * pixels) as usize;
        let height = (frame.rect.height() * pixels) as usize;
        let shapes: Vec<Shape<'_>> =
            footprints.par_iter().flat_map_iter(|f| shape(frame, f, pixels, (width, height))).collect();
        let mut counts = vec![0_u32; width * height];
        counts.par_chunks_mut((STRIP * width).max(1)).enumerate().for_each(|(strip, counts)| {
            let first_row = strip * STRIP;
            let rows = counts.len() / width;
            let sky: Vec<Option<UnitVector>> = (0..counts.len())
                .map(|i| {
                    let (x, y) = ((i % width) as f64 + 0.5, (first_row + i / width) as f64 + 0.5);
                    frame.sky((left + x / pixels, top + y / pixels))
                })
                .collect();
            let mut last = vec![u32::MAX; counts.len()];
            for shape in &shapes {
                let from = shape.rows.0.max(first_row);
                let to = shape.rows.1.min(first_row + rows);
                for row in from..to {
                    let start = (row - first_row) * width;
                    for at in start + shape.columns.0..start + shape.columns.1 {
                        if last[at] != shape.visit && sky[at].is_some_and(|v| shape.contains(v)) {
                            last[at] = shape.visit;
                            counts[at] += 1;
                        }
                    }
                }
            }
        });
        Self { width, height, counts }
    }

    /// The largest number of visits.
    pub(super) fn max(&self) -> u32 {
        self.counts.iter().copied().max().unwrap_or(0)
    }

    /// As colours, up to a depth.
    pub(super) fn image(&self, scale: DepthScale) -> IndexedImage {
        IndexedImage {
            width: self.width as u32,
            height: self.height as u32,
            pixels: self.counts.iter().map(|c| scale.index(*c)).collect(),
            palette: scale.palette(),
        }
    }
}

fn shape<'a>(frame: &Frame, footprint: &'a Footprint, pixels: f64, size: (usize, usize)) -> Option<Shape<'a>> {
    let outline = frame.outline(&footprint.polygon)?;
    let (mut low, mut high) = ((f64::INFINITY, f64::INFINITY), (f64::NEG_INFINITY, f64::NEG_INFINITY));
    for p in outline.areas.iter().flatten() {
        low = (low.0.min(p.0), low.1.min(p.1));
        high = (high.0.max(p.0), high.1.max(p.1));
    }
    // A pixel of slack on each side: pieces of arcs are straight.
    let range = |low: f64, high: f64, start: f64, size: usize| {
        let first = ((low - start) * pixels - 1.0 - pixels).max(0.0) as usize;
        let end = ((high - start) * pixels + 2.0 + pixels).clamp(0.0, size as f64) as usize;
        (first.min(end), end)
    };
    let columns = range(low.0, high.0, frame.rect.left, size.0);
    let rows = range(low.1, high.1, frame.rect.top, size.1);
    let vertices = footprint.polygon.vertices();
    let normals = (0..vertices.len()).map(|i| vertices[i].cross(vertices[(i + 1) % vertices.len()])).collect();
    Some(Shape { polygon: &footprint.polygon, normals, visit: footprint.visit, columns, rows })
}

/// How depths become colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DepthScale {
    max: u32,
}

impl DepthScale {
    pub(super) fn new(max: u32) -> Self {
        Self { max: max.max(1) }
    }

    /// The depth of the darkest colour.
    pub(super) fn max(self) -> u32 {
        self.max
    }

    /// The number of colours: one for each depth, as long as a byte can tell them apart.
    pub(super) fn colours(self) -> u32 {
        self.max.min(255)
    }

    /// The colour's number of a depth; 0 for none.
    fn index(self, depth: u32) -> u8 {
        match depth {
            0 => 0,
            d if self.max <= 255 => d.min(self.max) as u8,
            d => (1 + (u64::from(d.min(self.max) - 1) * 254) / u64::from(self.max - 1)) as u8,
        }
    }

    /// The colour of a depth of at least one.
    pub(super) fn colour(self, depth: u32) -> Colour {
        self.of_index(self.index(depth))
    }

    fn of_index(self, index: u8) -> Colour {
        let most = self.colours();
        if most == 1 {
            return Colour::of_depth(0.35);
        }
        Colour::of_depth(f64::from(index.saturating_sub(1)) / f64::from(most - 1))
    }

    fn palette(self) -> Vec<Colour> {
        std::iter::once(Colour::WHITE).chain((1..=self.colours()).map(|i| self.of_index(i as u8))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::projection::{Placed, SkyProjection};
    use super::*;
    use crate::sphere::LonLat;

    fn footprint(visit: u32, lon: f64, lat: f64, half: f64) -> Footprint {
        let corners =
            [(lon - half, lat - half), (lon + half, lat - half), (lon + half, lat + half), (lon - half, lat + half)];
        Footprint { label: String::new(), polygon: ConvexPolygon::from_degrees(&corners).unwrap(), visit }
    }

    #[test]
    fn counts_are_those_of_asking_every_polygon_about_every_pixel() {
        let rect = Rect { left: 10.0, top: 5.0, right: 110.0, bottom: 75.0 };
        let mut state = 7_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        for (kind, lon, lat) in [
            (SkyProjection::Gnomonic, 150.0, 2.0),
            (SkyProjection::Azimuthal, 10.0, 88.0),
            (SkyProjection::Mollweide, 0.0, 0.0),
        ] {
            let placed = Placed::new(kind, LonLat::from_degrees(lon, lat));
            let frame = if kind.is_all_sky() {
                Frame::whole(placed, rect)
            } else {
                Frame::new(placed, rect, (0.0, 0.0), (0.1, 0.1))
            };
            let mut footprints: Vec<Footprint> = (0..120)
                .map(|i| {
                    let (a, b, c) = (random(), random(), random());
                    let (dl, size) = if kind.is_all_sky() { (360.0, 10.0) } else { (10.0, 1.0) };
                    let near =
                        if kind.is_all_sky() { (b - 0.5) * 150.0 } else { (lat + (b - 0.5) * 8.0).clamp(-88.0, 88.0) };
                    footprint(i / 4, lon + (a - 0.5) * dl, near, 0.2 + size * c)
                })
                .collect();
            footprints.sort_by_key(|f| f.visit);
            let map = DepthMap::new(&frame, &footprints, 1);
            assert_eq!((map.width, map.height), (frame.rect.width() as usize, frame.rect.height() as usize));
            for y in 0..map.height {
                for x in 0..map.width {
                    let at = (frame.rect.left + x as f64 + 0.5, frame.rect.top + y as f64 + 0.5);
                    let visits: std::collections::BTreeSet<u32> = frame
                        .sky(at)
                        .map(|v| footprints.iter().filter(|f| f.polygon.contains(v)).map(|f| f.visit).collect())
                        .unwrap_or_default();
                    assert_eq!(map.counts[y * map.width + x] as usize, visits.len(), "{kind:?} {x} {y}");
                }
            }
            assert!(map.max() >= 2, "{kind:?}");
        }
    }

    #[test]
    fn every_depth_has_a_colour() {
        for max in [1, 2, 12, 255, 256, 100_000] {
            let scale = DepthScale::new(max);
            assert_eq!(scale.index(0), 0);
            assert_eq!(scale.index(1), 1);
            assert_eq!(u32::from(scale.index(max)), scale.colours());
            assert_eq!(scale.palette().len() as u32, scale.colours() + 1);
            let mut last = 0;
            for d in (1..=max).step_by((max as usize / 500).max(1)) {
                assert!(scale.index(d) >= last);
                last = scale.index(d);
            }
        }
    }
}
