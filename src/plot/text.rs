//! Letters as outlines: how wide a text is, and its shape.
//!
//! Pictures look the same on every machine, so the letters come with the program: the outlines of `DejaVu` Sans, for the characters
//! of Latin-1 and a few signs. What is missing is drawn as a question mark.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::clip::Point;

/// Outlines of glyphs; `font/make_outlines.py` says the form, `font/LICENSE` the terms.
const OUTLINES: &str = include_str!("font/outlines.txt");

/// Units of an em.
const EM: f64 = 2048.0;

/// The family that SVG files ask for.
pub(super) const FAMILY: &str = "DejaVu Sans, Verdana, Bitstream Vera Sans, sans-serif";

/// From the baseline to the top of a capital letter, in ems.
pub(super) const CAP_HEIGHT: f64 = 1493.0 / EM;

#[derive(Debug, Default)]
struct Glyph {
    advance: f64,
    /// Contours as straight pieces.
    contours: Vec<Vec<Point>>,
}

fn glyph(c: char) -> Option<&'static Glyph> {
    static GLYPHS: OnceLock<HashMap<char, Glyph>> = OnceLock::new();
    let glyphs = GLYPHS.get_or_init(|| OUTLINES.lines().filter_map(read).collect());
    glyphs.get(&c).or_else(|| glyphs.get(&'?'))
}

/// Reads a line; curves become four straight pieces each.
fn read(line: &str) -> Option<(char, Glyph)> {
    let mut words = line.split(' ');
    let c = char::from_u32(u32::from_str_radix(words.next()?, 16).ok()?)?;
    let mut glyph = Glyph { advance: words.next()?.parse().ok()?, contours: Vec::new() };
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|w| w.parse::<f64>().ok());
        let p = (number()?, number()?);
        match word {
            "M" => glyph.contours.push(vec![p]),
            "L" => glyph.contours.last_mut()?.push(p),
            _ => {
                let end = (number()?, number()?);
                let contour = glyph.contours.last_mut()?;
                let start = *contour.last()?;
                for t in [0.25, 0.5, 0.75, 1.0] {
                    let (a, b, c) = ((1.0 - t) * (1.0 - t), 2.0 * t * (1.0 - t), t * t);
                    contour.push((a * start.0 + b * p.0 + c * end.0, a * start.1 + b * p.1 + c * end.1));
                }
            }
        }
    }
    Some((c, glyph))
}

/// The width of a text whose em is `size`.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().filter_map(glyph).map(|g| g.advance).sum::<f64>() * size / EM
}

/// Rings of a text that begins at (0, 0) on the baseline, y down.
pub(super) fn rings(text: &str, size: f64) -> Vec<Vec<Point>> {
    let scale = size / EM;
    let mut x = 0.0;
    let mut rings = Vec::new();
    for glyph in text.chars().filter_map(glyph) {
        rings.extend(
            glyph.contours.iter().map(|c| c.iter().map(|p| ((x + p.0) * scale, -p.1 * scale)).collect::<Vec<_>>()),
        );
        x += glyph.advance;
    }
    rings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_outlines_is_read() {
        assert_eq!(OUTLINES.lines().filter_map(read).count(), OUTLINES.lines().count());
        for c in "09azAZ°−–′″…ü ".chars() {
            let g = glyph(c).unwrap();
            assert!(g.advance > 0.0 && (g.contours.is_empty() == (c == ' ')), "{c}");
        }
        assert!(std::ptr::eq(glyph('漢').unwrap(), glyph('?').unwrap()));
    }

    #[test]
    fn widths_add_up() {
        assert!((width("00", 10.0) - 2.0 * width("0", 10.0)).abs() < 1e-12);
        // DejaVu Sans: a digit is 1303 units wide.
        assert!((width("7", 2048.0) - 1303.0).abs() < 1e-9);
        let right = rings("00", 100.0).iter().flatten().map(|p| p.0).fold(0.0, f64::max);
        assert!(right < width("00", 100.0) && right > 0.8 * width("00", 100.0));
    }
}
