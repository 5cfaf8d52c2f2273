//! [`SkyContent`]: the tracts, patches and detectors of a selection, with their regions.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::PlotError;
use crate::butler::{Butler, OverlapQuery, binaries, ints, texts};
use crate::dimension::{Expression, Operand};
use crate::registry::Query;
use crate::skymap::SkyMap;
use crate::sphere::{ConvexPolygon, Region};

/// A tract or a patch.
#[derive(Clone, Debug, PartialEq)]
pub struct SkyTile {
    /// What is written into it, and its name.
    pub label: String,
    /// Its data ID, as a person would write it.
    pub name: String,
    /// What is drawn: patches without their borders tile a tract.
    pub drawn: ConvexPolygon,
    /// Its region: patches with their borders.
    pub region: ConvexPolygon,
}

/// The region of one detector in one visit.
#[derive(Clone, Debug, PartialEq)]
pub struct Footprint {
    /// Its data ID, as a person would write it.
    pub label: String,
    /// Its region.
    pub polygon: ConvexPolygon,
    /// Which of the visits: those with the same number count once in the depth.
    pub visit: u32,
}

/// What a picture or a coverage map is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SkyContent {
    /// Tracts.
    pub tracts: Vec<SkyTile>,
    /// Patches.
    pub patches: Vec<SkyTile>,
    /// Detectors of visits, sorted by visit.
    pub detectors: Vec<Footprint>,
    /// The tracts were asked for by number: they are shown whole.
    pub named_tracts: bool,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

/// More patches than this are not listed.
const MOST_PATCHES: usize = 250_000;

impl SkyContent {
    /// Tracts of a sky map with their patches: those given, or all.
    ///
    /// # Errors
    /// [`PlotError::SkyMap`] for a tract that is not there; the text says the range.
    pub fn from_sky_map(map: &SkyMap, tracts: Option<&[u32]>) -> Result<Self, PlotError> {
        let mut content = Self { named_tracts: tracts.is_some(), ..Self::default() };
        let ids: Vec<u32> = tracts.map_or_else(|| (0..map.len()).collect(), <[u32]>::to_vec);
        content.add_tracts(map, ids, None)?;
        Ok(content)
    }

    /// Adds tracts and their patches: all, or only those with these numbers.
    fn add_tracts(
        &mut self,
        map: &SkyMap,
        ids: impl IntoIterator<Item = u32>,
        only: Option<&BTreeSet<u32>>,
    ) -> Result<(), PlotError> {
        let ids: Vec<u32> = ids.into_iter().collect();
        let (nx, ny) = map.max_patches();
        let most = ids.len() * nx as usize * ny as usize;
        let list = only.is_some() || self.patches.len() + most <= MOST_PATCHES;
        if !list {
            self.notes.push(format!(
                "the patches of {} tracts are left out: some {most}, more than {MOST_PATCHES}; choose fewer tracts",
                ids.len()
            ));
        }
        for id in ids {
            let tract = map.tract(id)?;
            let (nx, ny) = tract.num_patches();
            for patch in (0..nx * ny).filter(|p| list && only.is_none_or(|only| only.contains(p))) {
                let patch = tract.patch(patch)?;
                let (x, y) = patch.index();
                self.patches.push(SkyTile {
                    label: format!("{x},{y}"),
                    name: format!("tract={id} patch={} ({x},{y})", patch.id()),
                    drawn: patch.inner_polygon().clone(),
                    region: patch.outer_polygon().clone(),
                });
            }
            let polygon = tract.outer_polygon().clone();
            self.tracts.push(SkyTile {
                label: id.to_string(),
                name: format!("tract={id}"),
                drawn: polygon.clone(),
                region: polygon,
            });
        }
        Ok(())
    }

    /// The detectors' images of a repository for which `filter` is true, and the tracts and patches of a sky map around them.
    ///
    /// A filter that names tract or patch chooses both the tiles and the images that touch them. One that does not chooses images;
    /// tracts are then those that the images touch. Without any image, tracts that the filter names are there all the same.
    ///
    /// # Errors
    /// [`PlotError::Butler`] for unknown names (with the near ones) and damaged regions, [`PlotError::SkyMap`] for a tract
    /// that is not there.
    pub fn from_repository(
        butler: &Butler,
        sky_map: Option<&str>,
        filter: Option<&Expression>,
    ) -> Result<Self, PlotError> {
        let Some(name) = sky_map else {
            return Ok(Self { detectors: detectors(butler, filter, None)?, ..Self::default() });
        };
        let map = butler.sky_map(name)?;
        let named = filter.and_then(|f| f.values_of("tract"));
        for tract in named.iter().flatten() {
            if u32::try_from(*tract).map_or(true, |t| t >= map.len()) {
                return Err(crate::skymap::SkyMapError::TractOutOfRange { tract: *tract, count: map.len() }.into());
            }
        }
        let mut content = Self { named_tracts: named.is_some(), ..Self::default() };
        if let Some(filter) = filter.filter(|f| names_sky(f)) {
            let query = OverlapQuery {
                sky_map: Some(name.to_owned()),
                filter: Some(filter.clone()),
                ..OverlapQuery::default()
            };
            let pairs = butler.query_overlaps(&query)?;
            let (instrument, visit, detector) =
                (texts(&pairs, "instrument")?, ints(&pairs, "visit")?, ints(&pairs, "detector")?);
            let (tract, patch) = (ints(&pairs, "tract")?, ints(&pairs, "patch")?);
            let mut images = HashSet::new();
            let mut tiles: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
            for row in 0..pairs.num_rows() {
                images.insert((instrument.value(row).to_owned(), visit.value(row), detector.value(row)));
                tiles.entry(tract.value(row) as u32).or_default().insert(patch.value(row) as u32);
            }
            content.detectors = detectors(butler, None, Some(&images))?;
            if filter.values_of("patch").is_some() {
                for (tract, patches) in tiles {
                    content.add_tracts(&map, [tract], Some(&patches))?;
                }
            }
            if content.tracts.is_empty() {
                let ids: BTreeSet<u32> = match &named {
                    Some(named) => named.iter().map(|t| *t as u32).collect(),
                    None => tract.values().iter().map(|t| *t as u32).collect(),
                };
                content.add_tracts(&map, ids, None)?;
            }
        } else {
            content.detectors = detectors(butler, filter, None)?;
            let mut touched = BTreeSet::new();
            let mut found = Vec::new();
            for footprint in &content.detectors {
                found.clear();
                map.overlaps(&footprint.polygon, &mut found);
                touched.extend(found.iter().map(|(tract, _)| *tract));
            }
            // A filter that finds no image finds no tract; without a filter a map without images is shown whole.
            if touched.is_empty() && filter.is_none() && content.detectors.is_empty() {
                touched.extend(0..map.len());
            }
            content.add_tracts(&map, touched, None)?;
        }
        Ok(content)
    }

    /// Adds what another selection holds; its visits are others.
    pub fn extend(&mut self, other: Self) {
        let first = self.detectors.last().map_or(0, |d| d.visit + 1);
        self.tracts.extend(other.tracts);
        self.patches.extend(other.patches);
        self.detectors.extend(other.detectors.into_iter().map(|d| Footprint { visit: first + d.visit, ..d }));
        self.named_tracts |= other.named_tracts;
        self.notes.extend(other.notes);
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.tracts.is_empty() && self.patches.is_empty() && self.detectors.is_empty()
    }

    /// Sorts detectors by visit and numbers the visits; `keys` has one for each detector.
    pub(super) fn number_visits<K: Ord + Clone>(detectors: &mut Vec<Footprint>, keys: &[K]) {
        let mut order: Vec<usize> = (0..detectors.len()).collect();
        order.sort_by(|a, b| keys[*a].cmp(&keys[*b]));
        let mut sorted = Vec::with_capacity(detectors.len());
        let (mut visit, mut last) = (0_u32, None);
        for i in order {
            if last.is_some_and(|last: usize| keys[last] != keys[i]) {
                visit += 1;
            }
            last = Some(i);
            sorted.push(Footprint { visit, ..detectors[i].clone() });
        }
        *detectors = sorted;
    }
}

/// The regions of detectors' images; only those in `images`, when given.
fn detectors(
    butler: &Butler,
    filter: Option<&Expression>,
    images: Option<&HashSet<(String, i64, i64)>>,
) -> Result<Vec<Footprint>, PlotError> {
    let query = Query { filter: filter.cloned(), ..Query::default() };
    let records = butler.reader().dimension_records("visit_detector", &query)?;
    let (instrument, visit, detector) =
        (texts(&records, "instrument")?, ints(&records, "visit")?, ints(&records, "detector")?);
    let mut found = Vec::with_capacity(records.num_rows());
    let mut keys = Vec::with_capacity(records.num_rows());
    for (row, bytes) in binaries(&records, "region")?.iter().enumerate() {
        let (i, v, d) = (instrument.value(row), visit.value(row), detector.value(row));
        let wanted = images.is_none_or(|images| images.contains(&(i.to_owned(), v, d)));
        // An image without a region touches nothing.
        let Some(bytes) = bytes.filter(|_| wanted) else { continue };
        let damaged = |cause: String| crate::butler::ButlerError::DamagedRecord {
            what: "region",
            data_id: format!("{{instrument: {i}, visit: {v}, detector: {d}}}"),
            cause,
        };
        let polygon = match Region::from_bytes(bytes) {
            Ok(Region::Polygon(polygon)) => polygon,
            Ok(_) => return Err(damaged("it is no convex polygon".to_owned()).into()),
            Err(error) => return Err(damaged(error.to_string()).into()),
        };
        found.push(Footprint { label: format!("{i} visit={v} detector={d}"), polygon, visit: 0 });
        keys.push((i.to_owned(), v));
    }
    SkyContent::number_visits(&mut found, &keys);
    Ok(found)
}

/// Whether an expression names what a sky map fixes.
fn names_sky(expression: &Expression) -> bool {
    let sky = |operand: &Operand| matches!(operand, Operand::Identifier { element, .. } if matches!(element.as_str(), "skymap" | "tract" | "patch"));
    match expression {
        Expression::And(a, b) | Expression::Or(a, b) => names_sky(a) || names_sky(b),
        Expression::Not(a) => names_sky(a),
        Expression::Compare(_, a, b) => sky(a) || sky(b),
        Expression::In { operand, .. } | Expression::IsNull { operand, .. } | Expression::Glob(operand, _) => {
            sky(operand)
        }
        Expression::Constant(_) => false,
    }
}
