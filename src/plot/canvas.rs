//! [`Canvas`]: what a picture is drawn on.

use super::clip::Point;
use super::colour::Colour;

/// Which point of a text is at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A line of text, its place on the baseline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    pub(super) words: &'a str,
    pub(super) at: Point,
    pub(super) anchor: Anchor,
    /// The em, pixels.
    pub(super) size: f64,
    pub(super) colour: Colour,
    /// Reads upwards.
    pub(super) upwards: bool,
    /// A white rim keeps it legible over lines.
    pub(super) rim: bool,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stroke {
    pub(super) width: f64,
    pub(super) colour: Colour,
}

/// Small numbers that stand for colours, row by row from the top; 0 is transparent.
#[derive(Clone, Debug)]
pub(super) struct IndexedImage {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) pixels: Vec<u8>,
    pub(super) palette: Vec<Colour>,
}

/// What a picture is drawn on: pixels from the upper left, y down.
pub(super) trait Canvas {
    /// Begins a named group.
    fn begin(&mut self, name: &str);
    /// Ends it.
    fn end(&mut self);
    /// Fills areas, together, where rings wind around.
    fn fill(&mut self, rings: &[Vec<Point>], colour: Colour);
    /// Draws lines; `title` is shown where a viewer can.
    fn lines(&mut self, lines: &[Vec<Point>], stroke: Stroke, title: Option<&str>);
    /// Writes.
    fn text(&mut self, text: Text<'_>);
    /// Lays an image over whole pixels, its upper left at a place, each of its pixels `1 / scale` wide.
    fn image(&mut self, image: &IndexedImage, at: (u32, u32), scale: u32);
}
