//! [`RasterCanvas`]: a picture as pixels.
//!
//! Areas are drawn with the exact share of each pixel that they cover, by summing signed areas along rows (as the font rasterizers
//! of R. Levien do); lines are areas around their pieces.

use super::PlotError;
use super::canvas::{Anchor, Canvas, IndexedImage, Stroke, Text};
use super::clip::Point;
use super::colour::Colour;
use super::{png_file, text};

/// A picture as red, green, blue bytes.
#[derive(Debug)]
pub(super) struct RasterCanvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
    cover: Cover,
}

impl RasterCanvas {
    pub(super) fn new(width: u32, height: u32) -> Self {
        let (width, height) = (width as usize, height as usize);
        Self { width, height, pixels: vec![255; 3 * width * height], cover: Cover::new(width, height) }
    }

    pub(super) fn finish(self) -> Result<Vec<u8>, PlotError> {
        png_file::rgb(self.width as u32, self.height as u32, &self.pixels)
    }

    /// Mixes a colour in where the cover says.
    fn paint(&mut self, colour: Colour) {
        let (width, pixels) = (self.width, &mut self.pixels);
        self.cover.drain(|x, y, share| {
            let at = 3 * (y * width + x);
            for (old, new) in pixels[at..at + 3].iter_mut().zip(colour.0) {
                let mixed = f32::from(*old) + share * (f32::from(new) - f32::from(*old));
                *old = mixed.round().clamp(0.0, 255.0) as u8;
            }
        });
    }
}

impl Canvas for RasterCanvas {
    fn begin(&mut self, _: &str) {}

    fn end(&mut self) {}

    fn fill(&mut self, rings: &[Vec<Point>], colour: Colour) {
        for ring in rings {
            self.cover.ring(ring);
        }
        self.paint(colour);
    }

    fn lines(&mut self, lines: &[Vec<Point>], stroke: Stroke, _: Option<&str>) {
        // Thinner than a pixel is a pale line of one pixel: its cover is its width.
        for line in lines {
            self.cover.line(line, stroke.width);
        }
        self.paint(stroke.colour);
    }

    fn text(&mut self, text: Text<'_>) {
        let width = text::width(text.words, text.size);
        let shift = match text.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => -0.5 * width,
            Anchor::End => -width,
        };
        let place = |p: Point| {
            let (x, y) = (p.0 + shift, p.1);
            if text.upwards { (text.at.0 + y, text.at.1 - x) } else { (text.at.0 + x, text.at.1 + y) }
        };
        let rings: Vec<Vec<Point>> =
            text::rings(text.words, text.size).iter().map(|r| r.iter().map(|p| place(*p)).collect()).collect();
        if text.rim {
            for ring in &rings {
                let mut closed = ring.clone();
                closed.extend(ring.first());
                self.cover.line(&closed, 0.3 * text.size);
            }
            self.paint(Colour::WHITE);
        }
        self.fill(&rings, text.colour);
    }

    fn image(&mut self, image: &IndexedImage, at: (u32, u32), scale: u32) {
        let (w, h) = (image.width / scale.max(1), image.height / scale.max(1));
        for y in 0..h {
            for x in 0..w {
                let index = image.pixels[((y * scale) * image.width + x * scale) as usize];
                let (px, py) = ((at.0 + x) as usize, (at.1 + y) as usize);
                if index > 0 && px < self.width && py < self.height {
                    let to = 3 * (py * self.width + px);
                    self.pixels[to..to + 3].copy_from_slice(&image.palette[usize::from(index)].0);
                }
            }
        }
    }
}

/// Signed areas, pixel by pixel, from which the share of each pixel that is covered follows by summing along rows.
#[derive(Debug)]
struct Cover {
    width: usize,
    height: usize,
    sums: Vec<f32>,
    /// The first and last column touched of each row.
    touched: Vec<(u32, u32)>,
}

impl Cover {
    fn new(width: usize, height: usize) -> Self {
        Self { width, height, sums: vec![0.0; (width + 2) * height], touched: vec![(u32::MAX, 0); height] }
    }

    /// Hands out the pixels that are covered, and forgets them.
    fn drain(&mut self, mut take: impl FnMut(usize, usize, f32)) {
        for y in 0..self.height {
            let (first, last) = std::mem::replace(&mut self.touched[y], (u32::MAX, 0));
            if first > last {
                continue;
            }
            let row = &mut self.sums[y * (self.width + 2)..(y + 1) * (self.width + 2)];
            let mut sum = 0.0_f32;
            for (x, cell) in row.iter_mut().enumerate().take(last as usize + 1).skip(first as usize) {
                sum += std::mem::take(cell);
                let share = sum.abs().min(1.0);
                if share > 1e-3 && x < self.width {
                    take(x, y, share);
                }
            }
        }
    }

    fn ring(&mut self, ring: &[Point]) {
        for (i, p) in ring.iter().enumerate() {
            self.edge(*p, ring[(i + 1) % ring.len()]);
        }
    }

    /// A line of a width: a quadrilateral a piece, with round joins where it is wide enough to be seen.
    fn line(&mut self, line: &[Point], width: f64) {
        let half = 0.5 * width;
        for pair in line.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            let length = libm::hypot(b.0 - a.0, b.1 - a.1);
            if length == 0.0 {
                continue;
            }
            let (dx, dy) = (half * (b.0 - a.0) / length, half * (b.1 - a.1) / length);
            self.ring(&[(a.0 - dy, a.1 + dx), (b.0 - dy, b.1 + dx), (b.0 + dy, b.1 - dx), (a.0 + dy, a.1 - dx)]);
        }
        if half >= 0.75 {
            for p in line {
                // The same sense as the quadrilaterals: covers add up, and are cut off at one.
                let round: Vec<Point> = (0..12)
                    .map(|i| {
                        let (s, c) = libm::sincos(f64::from(i) * -std::f64::consts::TAU / 12.0);
                        (p.0 + half * c, p.1 + half * s)
                    })
                    .collect();
                self.ring(&round);
            }
        }
    }

    /// Adds what is to the right of an edge.
    fn edge(&mut self, a: Point, b: Point) {
        let limit = self.width as f64;
        let finite = a.0.is_finite() && a.1.is_finite() && b.0.is_finite() && b.1.is_finite();
        #[expect(clippy::float_cmp, reason = "only what is exactly level has no area")]
        let level = a.1 == b.1;
        if !finite || level {
            return;
        }
        let (direction, top, bottom) = if a.1 < b.1 { (1.0, a, b) } else { (-1.0, b, a) };
        let slope = (bottom.0 - top.0) / (bottom.1 - top.1);
        let at = |y: f64| (top.0 + (y - top.1) * slope).clamp(0.0, limit);
        let first = top.1.max(0.0);
        let last = bottom.1.min(self.height as f64);
        let mut y = first;
        while y < last {
            let row = y.floor();
            let next = (row + 1.0).min(last);
            let (x0, x1) = (at(y), at(next));
            self.row(row as usize, x0.min(x1), x0.max(x1), direction * (next - y));
            y = next;
        }
    }

    /// Spreads the height `d` of an edge that goes from x0 to x1 in a row over its pixels.
    fn row(&mut self, y: usize, x0: f64, x1: f64, d: f64) {
        let start = y * (self.width + 2);
        let (i0, i1) = (x0.floor() as usize, (x1.ceil() as usize).max(x0.floor() as usize + 1));
        let touched = &mut self.touched[y];
        *touched = (touched.0.min(i0 as u32), touched.1.max((i1 as u32).min(self.width as u32 + 1)));
        let sums = &mut self.sums[start..start + self.width + 2];
        if i1 == i0 + 1 {
            let share = 0.5 * (x0 + x1) - i0 as f64;
            sums[i0] += (d * (1.0 - share)) as f32;
            sums[i0 + 1] += (d * share) as f32;
            return;
        }
        // The part of the edge in each pixel, and the area right of it there.
        let per = d / (x1 - x0);
        for i in i0..i1 {
            let (from, to) = (x0.max(i as f64), x1.min(i as f64 + 1.0));
            let height = per * (to - from);
            let share = 0.5 * (from + to) - i as f64;
            sums[i] += (height * (1.0 - share)) as f32;
            sums[i + 1] += (height * share) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covered(draw: impl Fn(&mut Cover)) -> (f64, Vec<f32>) {
        let mut cover = Cover::new(20, 10);
        draw(&mut cover);
        let mut shares = vec![0.0; 200];
        cover.drain(|x, y, share| shares[y * 20 + x] = share);
        assert!(cover.sums.iter().all(|s| s.abs() < 1e-6), "all is forgotten");
        (shares.iter().map(|s| f64::from(*s)).sum(), shares)
    }

    #[test]
    fn areas_are_exact() {
        let (sum, shares) = covered(|c| c.ring(&[(2.25, 1.5), (9.75, 1.5), (9.75, 7.25), (2.25, 7.25)]));
        assert!((sum - 7.5 * 5.75).abs() < 1e-4, "{sum}");
        assert!((f64::from(shares[20 + 2]) - 0.375).abs() < 1e-6);
        let (sum, _) = covered(|c| c.ring(&[(1.0, 1.0), (18.0, 2.0), (5.0, 9.0)]));
        let exact = 0.5 * ((18.0 - 1.0) * (9.0 - 1.0) - (5.0 - 1.0) * (2.0 - 1.0));
        assert!((sum - exact).abs() < 1e-3, "{sum} {exact}");
        // Beyond the page nothing is lost on it.
        let (sum, _) = covered(|c| c.ring(&[(-50.0, -50.0), (10.0, -50.0), (10.0, 50.0), (-50.0, 50.0)]));
        assert!((sum - 100.0).abs() < 1e-3, "{sum}");
        let (sum, _) = covered(|c| c.ring(&[(f64::NAN, 0.0), (10.0, 5.0), (0.0, 5.0)]));
        assert!(sum.is_finite());
    }

    #[test]
    fn lines_have_their_width_whatever_their_direction() {
        for (a, b) in
            [((2.0, 5.0), (18.0, 5.0)), ((2.0, 1.0), (12.0, 9.0)), ((12.0, 9.0), (2.0, 1.0)), ((5.5, 1.0), (5.5, 9.0))]
        {
            let (sum, _) = covered(|c| c.line(&[a, b], 0.6));
            let length = libm::hypot(b.0 - a.0, b.1 - a.1);
            assert!((sum - 0.6 * length).abs() < 1e-3, "{a:?} {b:?} {sum}");
        }
    }
}
