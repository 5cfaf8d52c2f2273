//! [`OverlapStream`]: the answer, piece by piece.

use std::collections::{HashSet, VecDeque};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use super::images::ImageSide;
use super::join::{Output, Pair, pairs};
use super::query::{OverlapQuery, SKY_DIMENSIONS, columns, schema};
use super::sky_side::{SkySide, Wanted};
use crate::butler::{Butler, ButlerError};
use crate::dimension::{Expression, Scope, Universe};
use crate::sphere::{Circle, Region};

/// Images that are joined at once, unless a tract has more.
const PAGE: usize = 1 << 18;
/// Rows of one table of the answer.
const ROWS: usize = 1 << 17;
/// So few tracts are looked at one by one without asking how many images there are.
const FEW_TRACTS: usize = 16;
/// So few tracts are looked for by where they are; of more, all images are looked at.
const SOME_TRACTS: usize = 64;

/// The answer to an [`OverlapQuery`] as an iterator of tables.
///
/// In memory is what is joined at once: a page of images, or those of one tract. Rows are sorted by their columns (sky map,
/// tract, patch, band, … instrument, visit, detector) throughout, where tracts are among them; without, images come in the
/// order of instrument, visit, detector. With [`OverlapQuery::reference_behaviour`] rows are sorted within a page of images.
///
/// What is written to the registry while a large answer is read can be in it or not; each piece is of one moment. All of it
/// is when the butler is ([`Butler::at_this_moment`]).
pub struct OverlapStream<'a> {
    butler: &'a Butler,
    output: Output,
    sky: Option<SkySide>,
    images: Option<ImageSide>,
    reference: bool,
    next: Next,
    ready: VecDeque<RecordBatch>,
    /// Images joined at once, and rows of a table.
    page: usize,
    rows: usize,
}

/// What is looked at next.
enum Next {
    /// The tracts from this place on, without images.
    Sky(usize),
    /// The tracts from this place on, with the images of each.
    Tracts(usize),
    /// All images if they are few, and if not tract by tract.
    Probe,
    /// The images behind a key.
    Page(Option<(String, i64, i64)>),
    Nothing,
}

impl<'a> OverlapStream<'a> {
    pub(super) fn new(butler: &'a Butler, query: &OverlapQuery) -> Result<Self, ButlerError> {
        let names = columns(query.dimensions.as_deref())?;
        let filter = butler.standard_filter(query.filter.as_ref(), query.sky_map.as_deref())?;
        if let Some(filter) = &filter {
            let all = Universe::builtin().group(["visit", "detector", "patch"])?;
            Scope::new(all, "overlaps").check(filter)?;
        }
        let is_sky = |name: &&str| SKY_DIMENSIONS.contains(name);
        let (mut ours, mut theirs, mut both) = (Vec::new(), Vec::new(), Vec::new());
        for term in filter.iter().flat_map(|f| f.terms()) {
            let elements = term.elements();
            match (elements.iter().any(is_sky), elements.iter().all(is_sky)) {
                (true, true) => ours.push(term.clone()),
                (true, false) => both.push(term.clone()),
                (false, _) => theirs.push(term.clone()),
            }
        }
        let with_sky = names.iter().any(is_sky)
            || !(ours.is_empty() && both.is_empty())
            || query.sky_map.is_some()
            || query.reference_behaviour;
        let of_images = !theirs.is_empty() || !both.is_empty();
        let with_images =
            !names.iter().all(is_sky) || of_images || query.datasets.is_some() || query.reference_behaviour;
        let by_patch = names.contains(&"patch")
            || query.reference_behaviour
            || !names.contains(&"tract")
            || filter.as_ref().is_some_and(|f| f.elements().contains("patch"));
        let sky = with_sky.then(|| {
            let ours = Expression::all_of(ours);
            let (name, region) = (query.sky_map.as_deref(), query.region.clone());
            SkySide::new(butler, name, ours, filter.as_ref(), region, by_patch)
        });
        let sky = sky.transpose()?;
        let images = with_images
            .then(|| ImageSide::new(butler, Expression::all_of(theirs), query.region.clone(), query.datasets.as_ref()));
        let images = images.transpose()?;
        let has = |name: &str| names.contains(&name);
        // A dataset's identity belongs to a row that names the dataset.
        let by_detector = images.as_ref().and_then(ImageSide::datasets);
        let with_datasets = by_detector.is_some_and(|by_detector| has("visit") && (has("detector") || !by_detector));
        let next = match (&sky, &images) {
            (_, None) => Next::Sky(0),
            (Some(sky), _) if has("tract") && !query.reference_behaviour => {
                if sky.tracts.len() <= FEW_TRACTS {
                    Next::Tracts(0)
                } else {
                    Next::Probe
                }
            }
            _ => Next::Page(None),
        };
        let repeats = matches!(next, Next::Page(_)) && !(has("visit") && has("detector"));
        let output = Output {
            schema: schema(&names, with_datasets),
            columns: names,
            filter: Expression::all_of(both),
            seen: repeats.then(HashSet::new),
        };
        let mut stream = Self {
            butler,
            output,
            sky,
            images,
            reference: query.reference_behaviour,
            next,
            ready: VecDeque::new(),
            page: PAGE,
            rows: ROWS,
        };
        stream.check()?;
        Ok(stream)
    }

    /// Asks for nothing, so that names which are not known are told at once.
    fn check(&mut self) -> Result<(), ButlerError> {
        if let Some(images) = &self.images {
            let (none, _) = images.read(self.butler, None, None, Some(0))?;
            let sky_map = self.sky.as_ref().map(|s| s.name.clone());
            self.output.rows(Vec::new(), Some(&none), sky_map.as_deref())?;
        }
        Ok(())
    }

    /// With other sizes of what is joined at once, and of tables: the rows are the same.
    #[doc(hidden)]
    #[must_use]
    pub fn with_sizes(mut self, images: usize, rows: usize) -> Self {
        (self.page, self.rows) = (images.max(1), rows.max(1));
        self
    }

    /// The name of the sky map that has a part in it.
    pub fn sky_map(&self) -> Option<&str> {
        self.sky.as_ref().map(|sky| sky.name.as_str())
    }

    /// The columns of all tables of the answer, also of one without rows.
    pub fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.output.schema)
    }

    /// Makes the next tables ready; false at the end.
    fn advance(&mut self) -> Result<bool, ButlerError> {
        let next = std::mem::replace(&mut self.next, Next::Nothing);
        match next {
            Next::Nothing => return Ok(false),
            Next::Sky(start) => self.sky_alone(start)?,
            Next::Tracts(at) => self.tract(at)?,
            Next::Probe => self.probe()?,
            Next::Page(after) => self.page(after)?,
        }
        Ok(true)
    }

    fn sky_alone(&mut self, start: usize) -> Result<(), ButlerError> {
        let Some(sky) = &mut self.sky else { return Ok(()) };
        let mut found: Vec<Pair> = Vec::new();
        let mut at = start;
        while at < sky.tracts.len() && found.len() < self.rows {
            let tract = sky.tracts[at];
            at += 1;
            let (nx, ny) = sky.map.num_patches(tract)?;
            let rows = if sky.by_patch { nx * ny } else { 1 };
            let wanted = sky.wanted(tract)?;
            if *wanted != Wanted::Nothing {
                found.extend((0..rows).filter(|patch| wanted.has(*patch)).map(|patch| (tract, patch, 0)));
            }
            sky.forget();
        }
        if at < sky.tracts.len() {
            self.next = Next::Sky(at);
        }
        let name = sky.name.clone();
        let rows = self.output.rows(found, None, Some(&name))?;
        self.give(&rows);
        Ok(())
    }

    fn tract(&mut self, at: usize) -> Result<(), ButlerError> {
        let (Some(sky), Some(images)) = (&mut self.sky, &self.images) else { return Ok(()) };
        let Some(tract) = sky.tracts.get(at).copied() else { return Ok(()) };
        self.next = Next::Tracts(at + 1);
        let circles = sky.circles(tract)?;
        if circles.is_empty() {
            sky.forget();
            return Ok(());
        }
        let (images, _) = images.read(self.butler, Some(circles), None, None)?;
        if images.len() == 0 {
            sky.forget();
            return Ok(());
        }
        let found = pairs(&images, sky, Some(tract), self.reference)?;
        let name = sky.name.clone();
        sky.forget();
        let rows = self.output.rows(found, Some(&images), Some(&name))?;
        self.give(&rows);
        Ok(())
    }

    fn probe(&mut self) -> Result<(), ButlerError> {
        let near = self.near()?;
        let (Some(sky), Some(images)) = (&mut self.sky, &self.images) else { return Ok(()) };
        let (images, last) = images.read(self.butler, near, None, Some(self.page))?;
        if last.is_some() {
            self.next = Next::Tracts(0);
            return Ok(());
        }
        let found = pairs(&images, sky, None, self.reference)?;
        let name = sky.name.clone();
        let rows = self.output.rows(found, Some(&images), Some(&name))?;
        self.give(&rows);
        Ok(())
    }

    fn page(&mut self, after: Option<(String, i64, i64)>) -> Result<(), ButlerError> {
        let near = self.near()?;
        let Some(images) = &self.images else { return Ok(()) };
        let (images, last) = images.read(self.butler, near, after, Some(self.page))?;
        if last.is_some() {
            self.next = Next::Page(last);
        }
        let (found, name) = match &mut self.sky {
            Some(sky) => (pairs(&images, sky, None, self.reference)?, Some(sky.name.clone())),
            None => ((0..images.len() as u32).map(|row| (0, 0, row)).collect(), None),
        };
        let rows = self.output.rows(found, Some(&images), name.as_deref())?;
        self.give(&rows);
        Ok(())
    }

    /// Where images can be that are of any use.
    fn near(&mut self) -> Result<Option<Vec<Circle>>, ButlerError> {
        let region = self.images.as_ref().and_then(|images| images.region.as_ref()).map(Region::bounding_circle);
        let Some(sky) = self.sky.as_mut().filter(|sky| sky.tracts.len() <= SOME_TRACTS && !self.reference) else {
            return Ok(region.map(|circle| vec![circle]));
        };
        let mut circles = Vec::new();
        for at in 0..sky.tracts.len() {
            circles.extend(sky.circles(sky.tracts[at])?);
        }
        Ok(Some(circles))
    }

    /// Hands over rows in tables of a bounded length.
    fn give(&mut self, rows: &RecordBatch) {
        for start in (0..rows.num_rows()).step_by(self.rows) {
            self.ready.push_back(rows.slice(start, self.rows.min(rows.num_rows() - start)));
        }
    }
}

impl Iterator for OverlapStream<'_> {
    type Item = Result<RecordBatch, ButlerError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Some(Ok(batch));
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.next = Next::Nothing;
                    return Some(Err(error));
                }
            }
        }
    }
}
