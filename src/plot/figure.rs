//! [`SkyFigure`]: a picture of the sky, ready for a paper.

use std::path::Path;

use super::canvas::{Anchor, Canvas, Stroke, Text};
use super::clip::{Point, Rect};
use super::colour::Colour;
use super::content::{Footprint, SkyContent, SkyTile};
use super::depth::{DepthMap, DepthScale};
use super::frame::{self, Frame};
use super::graticule::{Graticule, Place};
use super::outline::Outline;
use super::projection::Placed;
use super::raster::RasterCanvas;
use super::svg::SvgCanvas;
use super::text::{CAP_HEIGHT, width};
use super::{PlotError, SkyProjection};
use crate::sphere::{ConvexPolygon, LonLat};

/// More outlines of detectors than this become depth alone.
const MOST_DETECTORS: usize = 20_000;
/// More outlines of tracts or patches than this are not drawn.
const MOST_TILES: usize = 40_000;
/// The page, when nobody says.
const USUAL_SIZE: (u32, u32) = (1200, 1000);
/// Outlines with a title each, up to this number; beyond, they share one path.
const MOST_TITLES: usize = 2_000;

/// How a picture is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureFormat {
    /// Scalable.
    Svg,
    /// Pixels.
    Png,
}

impl PictureFormat {
    /// By the ending of a name.
    ///
    /// # Errors
    /// [`PlotError::UnknownFormat`].
    pub fn of(path: &Path) -> Result<Self, PlotError> {
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        match ending.as_str() {
            "svg" => Ok(Self::Svg),
            "png" => Ok(Self::Png),
            _ => Err(PlotError::UnknownFormat { path: path.to_owned(), ending, known: "svg, png" }),
        }
    }
}

/// A layer of a picture, from the lowest to the uppermost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkyLayer {
    /// How many visits cover each place.
    Depth,
    /// Outlines of detectors.
    Detectors,
    /// Outlines of patches.
    Patches,
    /// Outlines of tracts.
    Tracts,
}

/// A picture of tracts, patches, detectors, and depth.
///
/// ```
/// use bunter::{SkyMap, plot::{PictureFormat, SkyContent, SkyFigure}};
///
/// let content = SkyContent::from_sky_map(&SkyMap::preset("hsc_rings_v1")?, Some(&[9813]))?;
/// let figure = SkyFigure { title: Some("COSMOS".to_owned()), ..SkyFigure::default() };
/// let picture = figure.draw(&content, PictureFormat::Svg)?;
/// assert!(picture.bytes.starts_with(b"<svg"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SkyFigure {
    /// Width and height, pixels (100 to 20000); by default 1200 wide, and as high as the content wants.
    pub size: Option<(u32, u32)>,
    /// Written above.
    pub title: Option<String>,
    /// The projection; by default the one that suits the extent.
    pub projection: Option<SkyProjection>,
    /// What is drawn; by default all that there is and that can be told apart.
    pub layers: Option<Vec<SkyLayer>>,
    /// The middle of the picture; by default that of the content.
    pub centre: Option<LonLat>,
    /// Half of the shorter side, radians; by default all of the content.
    pub radius: Option<f64>,
}

/// A picture, drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct SkyPicture {
    /// The file's bytes: the same for the same content, on every machine.
    pub bytes: Vec<u8>,
    /// The projection that was taken.
    pub projection: SkyProjection,
    /// The largest number of visits at any place of the picture; `None` without depth.
    pub max_depth: Option<u32>,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

impl SkyFigure {
    /// Draws.
    ///
    /// # Errors
    /// [`PlotError::Empty`] for content without anything, or nothing of it in the picture; [`PlotError::BadNumber`] for a size, centre or radius out
    /// of range; [`PlotError::Encode`].
    pub fn draw(&self, content: &SkyContent, format: PictureFormat) -> Result<SkyPicture, PlotError> {
        self.check()?;
        if content.is_empty() {
            return Err(PlotError::Empty {
                doing: "draw",
                why: "the selection has no tract, no patch and no detector with a region".to_owned(),
            });
        }
        let mut notes = content.notes.clone();
        let (page, frame) = self.page(content)?;
        let (width, height) = page.size;
        let scene = Scene::new(self, content, &frame, format, &mut notes);
        if scene.is_empty() {
            return Err(PlotError::Empty {
                doing: "draw",
                why: "the selection lies outside of the picture; leave out --centre and --radius".to_owned(),
            });
        }
        let title = self.title.as_deref().unwrap_or("Sky");
        let max_depth = scene.depth.as_ref().map(DepthMap::max);
        let bytes = match format {
            PictureFormat::Svg => {
                let mut canvas = SvgCanvas::new(width, height, title);
                self.paint(&mut canvas, &page, &frame, &scene);
                canvas.finish()?
            }
            PictureFormat::Png => {
                let mut canvas = RasterCanvas::new(width, height);
                self.paint(&mut canvas, &page, &frame, &scene);
                canvas.finish()?
            }
        };
        Ok(SkyPicture { bytes, projection: frame.placed.kind, max_depth, notes })
    }

    fn check(&self) -> Result<(), PlotError> {
        let bad = |what, value: String, expected| Err(PlotError::BadNumber { what, value, expected });
        let (width, height) = self.size.unwrap_or(USUAL_SIZE);
        if !(100..=20_000).contains(&width) || !(100..=20_000).contains(&height) {
            return bad("the size of the picture", format!("{width}x{height}"), "100 to 20000 pixels a side");
        }
        if let Some(c) = self.centre
            && !(c.lon.is_finite() && c.lat.abs() <= std::f64::consts::FRAC_PI_2)
        {
            let value = format!("{} {}", c.lon_deg(), c.lat_deg());
            return bad("the centre", value, "a finite right ascension and a declination from -90 to 90 degrees");
        }
        if let Some(r) = self.radius
            && !(r > 1e-7 && r <= std::f64::consts::PI)
        {
            return bad("the radius", r.to_degrees().to_string(), "more than 0, at most 180 degrees");
        }
        Ok(())
    }

    /// The page, and where the sky lies on it.
    fn page(&self, content: &SkyContent) -> Result<(Page, Frame), PlotError> {
        let page = Page::new(self, content, self.size.unwrap_or(USUAL_SIZE));
        let frame = self.frame(content, page.room)?;
        if self.size.is_some() {
            return Ok((page, frame));
        }
        // What is wide gets a lower page, what is high a higher one.
        let aspect = frame.aspect().clamp(0.4, 1.3);
        let (width, height) = USUAL_SIZE;
        let height = (f64::from(height) + aspect * page.room.width() - page.room.height()).round() as u32;
        let page = Page::new(self, content, (width, height));
        let frame = self.frame(content, page.room)?;
        Ok((page, frame))
    }

    fn frame(&self, content: &SkyContent, room: Rect) -> Result<Frame, PlotError> {
        let detectors = || content.detectors.iter().map(|d| &d.polygon);
        let tiles = || {
            let tracts = content.tracts.iter().map(|t| &t.drawn);
            tracts.chain(content.patches.iter().filter(|_| content.tracts.is_empty()).map(|t| &t.drawn))
        };
        let (mut polygons, all): (Vec<&ConvexPolygon>, Vec<&ConvexPolygon>) =
            (detectors().collect(), detectors().chain(tiles()).collect());
        // Tracts reach beyond the images; they widen the picture when they were asked for, or by not more than half.
        let (field, whole) = (frame::field(polygons.iter().copied()), frame::field(all.iter().copied()));
        if polygons.is_empty() || content.named_tracts || whole.1 <= 1.5 * field.1 {
            polygons = all;
        }
        let (centre, radius) = frame::field(polygons.iter().copied());
        let (centre, radius) = (self.centre.unwrap_or(centre), self.radius.unwrap_or(radius));
        let kind = self.projection.unwrap_or_else(|| SkyProjection::for_radius(radius));
        let placed = Placed::new(kind, centre);
        if kind.is_all_sky() {
            // A round number of hours in the middle.
            let lon = self.centre.map_or_else(
                || if radius > 2.5 { 0.0 } else { (centre.lon_deg() / 30.0).round() * 30.0 },
                LonLat::lon_deg,
            );
            return Ok(Frame::whole(Placed::new(kind, LonLat::from_degrees(lon, 0.0)), room));
        }
        if let Some(radius) = self.radius {
            let half = match kind {
                SkyProjection::Gnomonic => libm::tan(radius.min(1.3)),
                _ => 2.0 * libm::sin(0.5 * radius),
            };
            return Ok(Frame::new(placed, room, (0.0, 0.0), (half, half)));
        }
        let nothing = || PlotError::Empty {
            doing: "draw",
            why: "the selection lies behind the projection; choose another --centre or --projection".to_owned(),
        };
        let (mut middle, mut half) = frame::span(&placed, polygons.iter().copied()).ok_or_else(nothing)?;
        let mut placed = placed;
        if self.centre.is_none() {
            // The tangent point goes to the middle of what is shown.
            if let Some(better) = placed.inverse(middle.0, middle.1) {
                placed = Placed::new(kind, better.to_lon_lat());
                (middle, half) = frame::span(&placed, polygons.iter().copied()).ok_or_else(nothing)?;
            }
        } else {
            half = (half.0 + middle.0.abs(), half.1 + middle.1.abs());
            middle = (0.0, 0.0);
        }
        Ok(Frame::new(placed, room, middle, (half.0 * 1.04, half.1 * 1.04)))
    }

    fn paint(&self, canvas: &mut dyn Canvas, page: &Page, frame: &Frame, scene: &Scene<'_>) {
        let graticule = Graticule::new(frame);
        let thin = page.em / 16.0;
        if let Some(depth) = &scene.depth {
            canvas.begin("depth");
            let at = (frame.rect.left as u32, frame.rect.top as u32);
            canvas.image(&depth.image(scene.scale), at, scene.samples);
            canvas.end();
        }
        canvas.begin("graticule");
        canvas.lines(&graticule.lines, Stroke { width: 0.6 * thin, colour: Colour::GRATICULE }, None);
        canvas.end();
        scene.paint(canvas, thin);
        scene.paint_labels(canvas, page, frame, &graticule);
        paint_border(canvas, frame, thin);
        paint_axes(canvas, page, frame, &graticule, thin);
        self.paint_heading(canvas, page, frame, scene, thin);
        if scene.depth.is_some() {
            paint_colour_bar(canvas, page, frame, scene.scale, thin);
        }
    }

    fn paint_heading(&self, canvas: &mut dyn Canvas, page: &Page, frame: &Frame, scene: &Scene<'_>, thin: f64) {
        let em = page.em;
        let mut y = page.room.top - if page.pole { 2.3 * em } else { 0.75 * em };
        let entries = scene.legend();
        if !entries.is_empty() {
            canvas.begin("legend");
            let length = 1.8 * em;
            let total: f64 = entries.iter().map(|e| length + 0.5 * em + width(&e.0, em)).sum::<f64>()
                + 1.6 * em * (entries.len() - 1) as f64;
            let mut x = frame.rect.right.min(page.room.right) - total;
            if x < 0.5 * em {
                x = 0.5 * em;
            }
            for (text, stroke) in &entries {
                let line_y = y - 0.5 * CAP_HEIGHT * em;
                let stroke = Stroke { width: stroke.width.max(thin), ..*stroke };
                canvas.lines(&[vec![(x, line_y), (x + length, line_y)]], stroke, None);
                x += length + 0.5 * em;
                canvas.text(label(text, (x, y), Anchor::Start, em));
                x += width(text, em) + 1.6 * em;
            }
            canvas.end();
            y -= 1.9 * em;
        }
        if let Some(title) = &self.title {
            canvas.begin("title");
            // Long titles become smaller.
            let size =
                (1.35 * em).min(1.35 * em * (f64::from(page.size.0) - 2.0 * em) / width(title, 1.35 * em).max(1.0));
            canvas.text(label(title, (frame.rect.left.max(page.room.left), y), Anchor::Start, size));
            canvas.end();
        }
    }
}

/// A box around a place.
fn around(at: Point, wide: f64, high: f64) -> Rect {
    Rect { left: at.0 - 0.5 * wide, top: at.1 - 0.5 * high, right: at.0 + 0.5 * wide, bottom: at.1 + 0.5 * high }
}

fn label(text: &str, at: Point, anchor: Anchor, size: f64) -> Text<'_> {
    Text { words: text, at, anchor, size, colour: Colour::INK, upwards: false, rim: false }
}

/// How the page is divided.
struct Page {
    size: (u32, u32),
    /// A pole is near: right ascensions are named on all sides.
    pole: bool,
    /// The size of letters, pixels.
    em: f64,
    /// What the sky can take.
    room: Rect,
}

impl Page {
    fn new(figure: &SkyFigure, content: &SkyContent, size: (u32, u32)) -> Self {
        let (w, h) = (f64::from(size.0), f64::from(size.1));
        let tiles = content.tracts.iter().chain(&content.patches).map(|t| &t.drawn);
        let (centre, radius) = frame::field(content.detectors.iter().map(|d| &d.polygon).chain(tiles));
        let (centre, radius) = (figure.centre.unwrap_or(centre), figure.radius.unwrap_or(radius));
        // The corners of a frame are farther than its sides.
        let pole = centre.lat.abs() + 1.5 * radius > 1.5;
        let em = (0.0155 * (w * h).sqrt()).clamp(7.0, 90.0);
        let depth = !content.detectors.is_empty() && figure.wants(SkyLayer::Depth);
        let top = 2.6 * em + if figure.title.is_some() { 2.1 * em } else { 0.0 } + if pole { 1.6 * em } else { 0.0 };
        let right = if depth { 7.0 * em } else { 2.0 * em } + if pole { 2.2 * em } else { 0.0 };
        let (left, bottom) = (6.0 * em, 4.6 * em);
        Self {
            size,
            pole,
            em,
            room: Rect {
                left: left.round(),
                top: top.round(),
                right: (w - right).round().max(left.round() + 8.0),
                bottom: (h - bottom).round().max(top.round() + 8.0),
            },
        }
    }
}

impl SkyFigure {
    fn wants(&self, layer: SkyLayer) -> bool {
        self.layers.as_ref().is_none_or(|layers| layers.contains(&layer))
    }
}

/// All outlines of a picture, on the page.
struct Scene<'a> {
    depth: Option<DepthMap>,
    scale: DepthScale,
    /// Samples of depth to a pixel and side.
    samples: u32,
    detectors: Vec<(&'a Footprint, Outline)>,
    patches: Vec<(&'a SkyTile, Outline)>,
    tracts: Vec<(&'a SkyTile, Outline)>,
}

impl<'a> Scene<'a> {
    fn new(
        figure: &SkyFigure,
        content: &'a SkyContent,
        frame: &Frame,
        format: PictureFormat,
        notes: &mut Vec<String>,
    ) -> Self {
        let outlines = |tiles: &'a [SkyTile]| -> Vec<(&'a SkyTile, Outline)> {
            tiles.iter().filter_map(|t| frame.outline(&t.drawn).map(|o| (t, o))).collect()
        };
        let mut tracts = if figure.wants(SkyLayer::Tracts) { outlines(&content.tracts) } else { Vec::new() };
        let mut patches = if figure.wants(SkyLayer::Patches) { outlines(&content.patches) } else { Vec::new() };
        for (what, tiles) in [("patches", &mut patches), ("tracts", &mut tracts)] {
            if tiles.len() > MOST_TILES {
                notes.push(format!("{} {what} are not outlined: more than {MOST_TILES}", tiles.len()));
                tiles.clear();
            }
        }
        // Outlines that are finer than the eye are grey mud.
        if figure.layers.is_none() && !patches.is_empty() && typical_side(&patches) < 9.0 {
            notes.push(format!(
                "{} patches are not outlined: too small to tell apart; --layers patches draws them all the same",
                patches.len()
            ));
            patches.clear();
        }
        let mut detectors: Vec<(&Footprint, Outline)> = Vec::new();
        if figure.wants(SkyLayer::Detectors) {
            if content.detectors.len() > MOST_DETECTORS {
                notes.push(format!(
                    "{} detectors are drawn as depth, not as outlines: more than {MOST_DETECTORS}",
                    content.detectors.len()
                ));
            } else {
                detectors =
                    content.detectors.iter().filter_map(|d| frame.outline(&d.polygon).map(|o| (d, o))).collect();
            }
        }
        let dense = figure.wants(SkyLayer::Detectors) && content.detectors.len() > MOST_DETECTORS;
        if figure.layers.is_none() && detectors.len() > 400 && typical_side(&detectors) < 12.0 {
            notes.push(format!(
                "{} detectors are drawn as depth, not as outlines: too small to tell apart; --layers detectors outlines them",
                detectors.len()
            ));
            detectors.clear();
        }
        let wants_depth = (figure.wants(SkyLayer::Depth) || dense) && !content.detectors.is_empty();
        let pixels = frame.rect.width() * frame.rect.height();
        let samples = if format == PictureFormat::Svg && pixels < 2e6 { 2 } else { 1 };
        let depth = wants_depth.then(|| DepthMap::new(frame, &content.detectors, samples));
        let scale = DepthScale::new(depth.as_ref().map_or(1, DepthMap::max));
        Self { depth, scale, samples, detectors, patches, tracts }
    }

    fn is_empty(&self) -> bool {
        self.detectors.is_empty()
            && self.patches.is_empty()
            && self.tracts.is_empty()
            && self.depth.as_ref().is_none_or(|d| d.max() == 0)
    }

    fn detector_stroke(&self, thin: f64) -> Stroke {
        Stroke { width: if self.detectors.len() > 1000 { 0.4 } else { 0.6 } * thin, colour: Colour::DETECTOR }
    }

    fn patch_stroke(&self, thin: f64) -> Stroke {
        Stroke { width: if self.patches.len() > 1000 { 0.4 } else { 0.7 } * thin, colour: Colour::PATCH }
    }

    fn tract_stroke(&self, thin: f64) -> Stroke {
        Stroke {
            width: match self.tracts.len() {
                0..=60 => 1.6,
                61..=500 => 1.0,
                _ => 0.5,
            } * thin,
            colour: Colour::TRACT,
        }
    }

    fn paint(&self, canvas: &mut dyn Canvas, thin: f64) {
        let detectors = self.detectors.iter().map(|(d, o)| (d.label.as_str(), o));
        let patches = self.patches.iter().map(|(t, o)| (t.name.as_str(), o));
        let tracts = self.tracts.iter().map(|(t, o)| (t.name.as_str(), o));
        paint_outlines(canvas, "detectors", detectors, self.detector_stroke(thin));
        paint_outlines(canvas, "patches", patches, self.patch_stroke(thin));
        paint_outlines(canvas, "tracts", tracts, self.tract_stroke(thin));
    }

    /// Names of tiles, in those that have room for them, none over another or over the numbers of the graticule.
    fn paint_labels(&self, canvas: &mut dyn Canvas, page: &Page, frame: &Frame, graticule: &Graticule) {
        let size = 0.78 * page.em;
        let mut taken: Vec<Rect> = graticule
            .ticks
            .iter()
            .filter(|t| t.place == Place::Inside)
            .map(|t| around(t.at, width(&t.text, page.em), 1.6 * page.em))
            .collect();
        let mut free = |at: Point, wide: f64, high: f64| {
            let wanted = around(at, wide, high);
            let room = taken.len() < 4000 && taken.iter().all(|t| t.apart(&wanted));
            if room {
                taken.push(wanted);
            }
            room
        };
        canvas.begin("patch-labels");
        let mut named_patches = 0;
        for (tile, outline) in &self.patches {
            if let Some((at, room)) = middle(outline)
                && width(&tile.label, size) < 0.7 * room.0
                && size < 0.5 * room.1
                && free(at, width(&tile.label, size), size)
            {
                // Over a depth in ink, else paler than the tracts.
                let colour = if self.depth.is_some() { Colour::INK } else { Colour([84, 92, 102]) };
                let at = (at.0, at.1 + 0.5 * CAP_HEIGHT * size);
                canvas.text(Text { colour, rim: true, ..label(&tile.label, at, Anchor::Middle, size) });
                named_patches += 1;
            }
        }
        canvas.end();
        canvas.begin("tract-labels");
        let size = 1.05 * page.em;
        for (tile, outline) in &self.tracts {
            let Some((at, room)) = middle(outline) else { continue };
            // A number alone says little where there are few.
            let text = if self.tracts.len() <= 12 { format!("tract {}", tile.label) } else { tile.label.clone() };
            let wide = width(&text, size);
            if wide > 0.8 * room.0 || 1.3 * size > room.1 {
                continue;
            }
            let at = if named_patches == 0 {
                at
            } else {
                // The middle belongs to a patch: above the upper edge, or below it where the picture ends.
                let top = outline.areas.iter().flatten().map(|p| p.1).fold(f64::INFINITY, f64::min);
                (at.0, if top - 1.2 * size > frame.rect.top { top - 0.7 * size } else { top + size })
            };
            if free(at, wide, size) {
                let at = (at.0, at.1 + 0.5 * CAP_HEIGHT * size);
                canvas.text(Text { rim: true, ..label(&text, at, Anchor::Middle, size) });
            }
        }
        canvas.end();
    }

    fn legend(&self) -> Vec<(String, Stroke)> {
        let counted = |n: usize, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
        let mut entries = Vec::new();
        if !self.detectors.is_empty() {
            entries
                .push((counted(self.detectors.len(), "detector image", "detector images"), self.detector_stroke(1.0)));
        }
        if !self.patches.is_empty() {
            entries.push((counted(self.patches.len(), "patch", "patches"), self.patch_stroke(1.0)));
        }
        if !self.tracts.is_empty() {
            entries.push((counted(self.tracts.len(), "tract", "tracts"), self.tract_stroke(1.0)));
        }
        entries
    }
}

fn paint_outlines<'a>(
    canvas: &mut dyn Canvas,
    name: &str,
    outlines: impl ExactSizeIterator<Item = (&'a str, &'a Outline)>,
    stroke: Stroke,
) {
    if outlines.len() == 0 {
        return;
    }
    canvas.begin(name);
    if outlines.len() <= MOST_TITLES {
        for (title, outline) in outlines {
            canvas.lines(&outline.lines, stroke, Some(title));
        }
    } else {
        let lines: Vec<Vec<Point>> = outlines.flat_map(|(_, o)| o.lines.iter().cloned()).collect();
        canvas.lines(&lines, stroke, None);
    }
    canvas.end();
}

/// The middle of the largest area of an outline, and how wide and high the area is.
fn middle(outline: &Outline) -> Option<(Point, Point)> {
    let boxes = outline.areas.iter().map(|area| {
        let (mut low, mut high) = ((f64::INFINITY, f64::INFINITY), (f64::NEG_INFINITY, f64::NEG_INFINITY));
        for p in area {
            low = (low.0.min(p.0), low.1.min(p.1));
            high = (high.0.max(p.0), high.1.max(p.1));
        }
        ((0.5 * (low.0 + high.0), 0.5 * (low.1 + high.1)), (high.0 - low.0, high.1 - low.1))
    });
    boxes.max_by(|a, b| (a.1.0 * a.1.1).total_cmp(&(b.1.0 * b.1.1)))
}

/// The geometric mean of width and height that outlines have on average.
fn typical_side<T>(outlines: &[(T, Outline)]) -> f64 {
    let sides = outlines.iter().filter_map(|(_, o)| middle(o)).map(|(_, room)| (room.0 * room.1).sqrt());
    sides.sum::<f64>() / outlines.len().max(1) as f64
}

/// The border of what is shown: a rectangle, or that of the whole sky.
fn paint_border(canvas: &mut dyn Canvas, frame: &Frame, thin: f64) {
    canvas.begin("border");
    let stroke = Stroke { width: thin, colour: Colour::INK };
    let Rect { left, top, right, bottom } = frame.rect;
    let line = if frame.placed.kind.is_all_sky() {
        let half = Placed::WHOLE;
        (0..=360)
            .map(|i| {
                let (s, c) = libm::sincos(f64::from(i % 360).to_radians());
                frame.page((half.0 * c, half.1 * s))
            })
            .collect()
    } else {
        vec![(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    };
    canvas.lines(&[line], stroke, None);
    canvas.end();
}

fn paint_axes(canvas: &mut dyn Canvas, page: &Page, frame: &Frame, graticule: &Graticule, thin: f64) {
    let em = page.em;
    let Rect { left, top, right, bottom } = frame.rect;
    let all_sky = frame.placed.kind.is_all_sky();
    canvas.begin("axes");
    let stroke = Stroke { width: thin, colour: Colour::INK };
    let mut last: Vec<(Place, f64, f64)> = Vec::new();
    for tick in &graticule.ticks {
        let (x, y) = tick.at;
        let out = 0.35 * em;
        let half = 0.5 * width(&tick.text, em);
        let (mark, at, anchor) = match tick.place {
            Place::Bottom => ((x, y + out), (x, y + out + 0.35 * em + CAP_HEIGHT * em), Anchor::Middle),
            Place::Top => ((x, y - out), (x, y - out - 0.35 * em), Anchor::Middle),
            Place::Left if all_sky => ((x, y), (x - 0.5 * em, y + 0.5 * CAP_HEIGHT * em), Anchor::End),
            Place::Left => ((x - out, y), (x - out - 0.35 * em, y + 0.5 * CAP_HEIGHT * em), Anchor::End),
            Place::Right => ((x + out, y), (x + out + 0.35 * em, y + 0.5 * CAP_HEIGHT * em), Anchor::Start),
            Place::Inside => {
                ((x, y), (x, y + if all_sky { -0.35 * em } else { 0.5 * CAP_HEIGHT * em }), Anchor::Middle)
            }
        };
        if tick.place != Place::Inside && mark != tick.at {
            canvas.lines(&[vec![tick.at, mark]], stroke, None);
        }
        // A label that would run into the one before it on the same side is left out; its tick stays.
        let (along, reach) = match tick.place {
            Place::Left | Place::Right => (y, 0.6 * em),
            Place::Inside if !all_sky => (y, 0.6 * em),
            _ => (x, half + 0.3 * em),
        };
        if last.iter().any(|(place, l, r)| *place == tick.place && (l - along).abs() < r + reach) {
            continue;
        }
        last.push((tick.place, along, reach));
        let rim = tick.place == Place::Inside;
        canvas.text(Text { rim, ..label(&tick.text, at, anchor, em) });
    }
    let across = 0.5 * (left + right);
    let (lon_name, lat_name) = ("Right ascension (deg)", "Declination (deg)");
    if all_sky {
        let name = "Right ascension and declination (deg, ICRS)";
        canvas.text(label(name, (across, bottom + 2.2 * em), Anchor::Middle, em));
    } else {
        canvas.text(label(lon_name, (across, bottom + 3.3 * em), Anchor::Middle, em));
        let widest = graticule.ticks.iter().filter(|t| t.place == Place::Left).map(|t| width(&t.text, em));
        let x = left - widest.fold(0.0, f64::max) - 1.5 * em;
        let name = if graticule.pole { lon_name } else { lat_name };
        let at = (x.max(1.1 * em), 0.5 * (top + bottom));
        canvas.text(Text { upwards: true, ..label(name, at, Anchor::Middle, em) });
    }
    canvas.end();
}

/// The bar that says which colour is which depth.
fn paint_colour_bar(canvas: &mut dyn Canvas, page: &Page, frame: &Frame, scale: DepthScale, thin: f64) {
    let em = page.em;
    let (top, bottom) = (frame.rect.top, frame.rect.bottom);
    let height = (bottom - top).min(if scale.max() <= 4 { 4.0 * em * f64::from(scale.max()) } else { f64::INFINITY });
    let beside = if page.pole { 3.4 * em } else { 1.4 * em };
    let (left, top) = ((frame.rect.right + beside).round(), bottom - height);
    let right = (left + 1.1 * em).round();
    canvas.begin("colour-bar");
    let colours = scale.colours();
    let level = |i: u32| bottom - height * f64::from(i) / f64::from(colours);
    for i in 0..colours {
        let depth = if colours == scale.max() {
            i + 1
        } else {
            1 + (u64::from(i) * u64::from(scale.max() - 1)).div_ceil(254) as u32
        };
        let (low, high) = (level(i), level(i + 1));
        // Each reaches a little under the next one: no hairlines between them.
        let high = if i + 1 < colours { high - 0.4 } else { high };
        canvas.fill(&[vec![(left, high), (right, high), (right, low), (left, low)]], scale.colour(depth));
    }
    let stroke = Stroke { width: thin, colour: Colour::INK };
    canvas.lines(&[vec![(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]], stroke, None);
    // Depth d is in the middle of its colour.
    let max = scale.max();
    let at = |depth: u32| {
        if colours == max {
            0.5 * (level(depth - 1) + level(depth))
        } else {
            bottom - height * (f64::from(depth - 1) + 0.5) / f64::from(max)
        }
    };
    let mut widest: f64 = 0.0;
    for depth in bar_ticks(max) {
        let (y, text) = (at(depth), depth.to_string());
        canvas.lines(&[vec![(right, y), (right + 0.3 * em, y)]], stroke, None);
        canvas.text(label(&text, (right + 0.6 * em, y + 0.5 * CAP_HEIGHT * em), Anchor::Start, em));
        widest = widest.max(width(&text, em));
    }
    let at = (right + widest + 2.0 * em, 0.5 * (top + bottom));
    let at = (at.0.min(f64::from(page.size.0) - 0.4 * em), at.1);
    canvas.text(Text { upwards: true, ..label("Visits", at, Anchor::Middle, em) });
    canvas.end();
}

/// Depths that are named: all of few, else round ones and the ends.
fn bar_ticks(max: u32) -> Vec<u32> {
    if max <= 12 {
        return (1..=max).collect();
    }
    let step = [2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000]
        .into_iter()
        .find(|s| max / s <= 8)
        .unwrap_or(max / 5);
    let mut ticks = vec![1];
    ticks.extend((1..).map(|k| k * step).take_while(|d| *d <= max).filter(|d| *d > max / 20));
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_depths_are_round_and_few() {
        assert_eq!(bar_ticks(3), [1, 2, 3]);
        assert_eq!(bar_ticks(13), [1, 2, 4, 6, 8, 10, 12]);
        assert_eq!(bar_ticks(700), [1, 100, 200, 300, 400, 500, 600, 700]);
        for max in [1, 12, 13, 99, 255, 256, 5000, 4_000_000] {
            let ticks = bar_ticks(max);
            assert!(ticks.len() <= 12 && ticks.iter().all(|d| (1..=max).contains(d)), "{max}: {ticks:?}");
        }
    }
}
