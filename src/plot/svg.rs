//! [`SvgCanvas`]: a picture as SVG 1.1.

use std::fmt::Write;

use super::PlotError;
use super::canvas::{Anchor, Canvas, IndexedImage, Stroke, Text};
use super::clip::Point;
use super::colour::Colour;
use super::png_file;
use super::text::FAMILY;

/// A picture as SVG text.
#[derive(Debug)]
pub(super) struct SvgCanvas {
    text: String,
    failed: Option<PlotError>,
}

impl SvgCanvas {
    pub(super) fn new(width: u32, height: u32, title: &str) -> Self {
        let mut text = String::new();
        put(
            &mut text,
            format_args!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" \
                 width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" font-family=\"{FAMILY}\">\n\
                 <title>{}</title>\n<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n",
                escaped(title)
            ),
        );
        Self { text, failed: None }
    }

    pub(super) fn finish(mut self) -> Result<Vec<u8>, PlotError> {
        self.text.push_str("</svg>\n");
        self.failed.map_or(Ok(self.text.into_bytes()), Err)
    }
}

impl SvgCanvas {
    fn put_text(&mut self, text: &Text<'_>, more: &str) {
        let (x, y) = (number(text.at.0), number(text.at.1));
        let anchor = match text.anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        put(&mut self.text, format_args!("<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\""));
        put(&mut self.text, format_args!(" font-size=\"{}\" fill=\"{}\"", number(text.size), text.colour.hex()));
        if text.upwards {
            put(&mut self.text, format_args!(" transform=\"rotate(-90 {x} {y})\""));
        }
        put(&mut self.text, format_args!("{more}>{}</text>\n", escaped(text.words)));
    }
}

/// Writing to a string cannot fail.
fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(arguments);
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            // XML has no other control characters, and two code points are no characters.
            '\t' | '\n' | '\r' => safe.push(' '),
            c if (c as u32) < 0x20 || matches!(c as u32, 0xFFFE | 0xFFFF) => safe.push('\u{FFFD}'),
            c => safe.push(c),
        }
    }
    safe
}

/// Hundredths of a pixel, without idle zeros.
fn number(v: f64) -> String {
    let hundredths = (v * 100.0).round() as i64;
    let sign = if hundredths < 0 { "-" } else { "" };
    let (whole, part) = (hundredths.unsigned_abs() / 100, hundredths.unsigned_abs() % 100);
    match part {
        0 => format!("{sign}{whole}"),
        p if p % 10 == 0 => format!("{sign}{whole}.{}", p / 10),
        p => format!("{sign}{whole}.{p:02}"),
    }
}

/// Path data; a line that ends where it begins is closed.
fn path(lines: &[Vec<Point>], all_closed: bool) -> String {
    let mut data = String::new();
    for line in lines {
        let closed = all_closed || (line.len() > 2 && line.first() == line.last());
        let points = if closed && line.first() == line.last() { &line[..line.len() - 1] } else { &line[..] };
        let mut last = None;
        for (i, p) in points.iter().enumerate() {
            let at = (number(p.0), number(p.1));
            if last.as_ref() == Some(&at) {
                continue;
            }
            put(&mut data, format_args!("{}{} {}", if i == 0 { "M" } else { "L" }, at.0, at.1));
            last = Some(at);
        }
        if closed {
            data.push('Z');
        }
    }
    data
}

impl Canvas for SvgCanvas {
    fn begin(&mut self, name: &str) {
        put(&mut self.text, format_args!("<g id=\"{}\">\n", escaped(name)));
    }

    fn end(&mut self) {
        self.text.push_str("</g>\n");
    }

    fn fill(&mut self, rings: &[Vec<Point>], colour: Colour) {
        put(&mut self.text, format_args!("<path fill=\"{}\" d=\"{}\"/>\n", colour.hex(), path(rings, true)));
    }

    fn lines(&mut self, lines: &[Vec<Point>], stroke: Stroke, title: Option<&str>) {
        if lines.is_empty() {
            return;
        }
        put(
            &mut self.text,
            format_args!(
                "<path fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" stroke-linejoin=\"round\" d=\"{}\"",
                stroke.colour.hex(),
                number(stroke.width),
                path(lines, false)
            ),
        );
        match title {
            Some(title) => put(&mut self.text, format_args!("><title>{}</title></path>\n", escaped(title))),
            None => self.text.push_str("/>\n"),
        }
    }

    fn text(&mut self, text: Text<'_>) {
        // The rim is a text of its own below: not every viewer knows `paint-order`.
        if text.rim {
            let rim = format!(
                " stroke=\"#ffffff\" stroke-width=\"{}\" stroke-linejoin=\"round\" aria-hidden=\"true\"",
                number(0.3 * text.size)
            );
            self.put_text(&Text { colour: Colour::WHITE, ..text }, &rim);
        }
        self.put_text(&text, "");
    }

    fn image(&mut self, image: &IndexedImage, at: (u32, u32), scale: u32) {
        match png_file::indexed(image) {
            Ok(bytes) => put(
                &mut self.text,
                format_args!(
                    "<image x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" style=\"image-rendering:pixelated\" \
                     image-rendering=\"optimizeSpeed\" preserveAspectRatio=\"none\" \
                     xlink:href=\"data:image/png;base64,{}\"/>\n",
                    at.0,
                    at.1,
                    number(f64::from(image.width) / f64::from(scale)),
                    number(f64::from(image.height) / f64::from(scale)),
                    base64(&bytes)
                ),
            ),
            Err(error) => self.failed = Some(error),
        }
    }
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |b, v| (b << 8) | u32::from(*v)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            if i <= chunk.len() {
                text.push(char::from(LETTERS[(bits >> (18 - 6 * i)) as usize & 63]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_the_standard() {
        let cases = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (plain, coded) in cases {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn numbers_and_names_are_safe() {
        assert_eq!([12.0, -0.5, 2.34159, -0.001, 10.05].map(number), ["12", "-0.5", "2.34", "0", "10.05"]);
        assert_eq!(escaped("a<b & \"c\"\u{1}\n"), "a&lt;b &amp; &quot;c&quot;\u{FFFD} ");
        let ring = vec![(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 0.0)];
        assert_eq!(path(&[ring], false), "M0 0L1 0L1 1Z");
        assert_eq!(path(&[vec![(0.0, 0.0), (0.001, 0.0), (1.0, 0.0)]], false), "M0 0L1 0");
    }
}
