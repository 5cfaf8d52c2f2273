//! Dimension records, the computed ones of sky maps among them.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::record_batch::RecordBatch;

use super::columns::{ints, texts};
use super::overlaps::{Images, visit_list};
use super::records::{Value, record_batch};
use super::{Butler, ButlerError, region};
use crate::dimension::{Element, Expression, Universe};
use crate::registry::{Query, VisitDetectorQuery};
use crate::skymap::{SkyMap, SkyMapError};
use crate::sphere::Region;

/// More records than this are not listed in one answer: a whole-sky map has millions of patches.
const MOST_RECORDS: usize = 20_000_000;
/// So many rows are sorted and cut before more are computed.
const SORTED_AT_ONCE: usize = 200_000;
/// Tracts whose records are made together.
const BLOCK: usize = 256;

impl Butler {
    /// The records of a dimension, or of a combination such as `visit_detector`. Records of tracts and patches are
    /// computed from the registered sky maps, tract by tract: a filter or a limit bounds what is in memory.
    ///
    /// # Errors
    /// [`ButlerError::Registry`] for unknown names, [`ButlerError::SkyMap`] for a tract or patch that is out of range,
    /// [`ButlerError::Question`] for an answer that would be too long.
    pub fn query_dimension_records(&self, element: &str, query: &Query) -> Result<RecordBatch, ButlerError> {
        self.query_dimension_records_in(element, query, None)
    }

    /// [`query_dimension_records`](Self::query_dimension_records), of those whose region shares a point with `region`.
    ///
    /// # Errors
    /// And [`ButlerError::Question`] for an element whose records have no region.
    pub fn query_dimension_records_in(
        &self,
        element: &str,
        query: &Query,
        region: Option<&Region>,
    ) -> Result<RecordBatch, ButlerError> {
        let element = Universe::builtin().element(element)?;
        let query = Query { filter: self.standard_filter(query.filter.as_ref(), None)?, ..query.clone() };
        if element.is_virtual() {
            return self.computed_records(element, &query, region);
        }
        match region {
            None => Ok(self.reader().dimension_records(element.name, &query)?),
            Some(region) if element.spatial => self.records_in(element, &query, region),
            Some(_) => Err(ButlerError::Question(format!(
                "records of `{}` have no region: ask for those of visit_detector, tract or patch, or for the data IDs that \
                 overlap (`bunter query-overlaps`)",
                element.name
            ))),
        }
    }

    fn records_in(&self, element: &Element, query: &Query, region: &Region) -> Result<RecordBatch, ButlerError> {
        let near = VisitDetectorQuery {
            filter: query.filter.clone(),
            near: Some(vec![region.bounding_circle()]),
            with_regions: true,
            ..VisitDetectorQuery::default()
        };
        let images = Images::of(&self.reader().visit_detectors(&near)?, Some(region))?;
        let (instrument, visit, detector) =
            (texts(&images.batch, "instrument")?, ints(&images.batch, "visit")?, ints(&images.batch, "detector")?);
        let wanted: HashSet<_> = instrument.iter().zip(visit).zip(detector).collect();
        let filter = Expression::all_of(query.filter.clone().into_iter().chain(visit_list(visit)));
        let ordered = Query { filter, order_by: query.order_by.clone(), limit: None };
        let records = self.reader().dimension_records(element.name, &ordered)?;
        let keys = texts(&records, "instrument")?.iter().zip(ints(&records, "visit")?).zip(ints(&records, "detector")?);
        let mask: BooleanArray = keys.map(|key| Some(wanted.contains(&key))).collect();
        let records = filter_record_batch(&records, &mask)?;
        Ok(records.slice(0, query.limit.unwrap_or(usize::MAX).min(records.num_rows())))
    }

    fn computed_records(
        &self,
        element: &Element,
        query: &Query,
        region: Option<&Region>,
    ) -> Result<RecordBatch, ButlerError> {
        let mut all = Vec::new();
        let mut rows = 0;
        let full = |rows: usize| query.order_by.is_empty() && query.limit.is_some_and(|limit| rows >= limit);
        let schema = element.schema();
        // Names are checked, and an answer without rows has its columns.
        all.push(crate::snapshot::select(&RecordBatch::new_empty(schema.clone()), query)?);
        let maps = self.sky_maps_of(query.filter.as_ref())?;
        check_numbers(&maps, query.filter.as_ref())?;
        'all: for (name, map) in &maps {
            let tracts = wanted_tracts(map, query.filter.as_ref(), region);
            let block = if element.name == "tract" { BLOCK } else { 1 };
            for tracts in tracts.chunks(block) {
                let part = match element.name {
                    "tract" => tract_table(name, map, tracts, region)?,
                    _ => patch_table(name, map, tracts[0], region)?,
                };
                let part = crate::snapshot::select(&part, &Query { filter: query.filter.clone(), ..Query::default() })?;
                rows += part.num_rows();
                all.push(part);
                if rows > MOST_RECORDS {
                    return Err(ButlerError::Question(format!(
                        "sky map `{name}` has more than {MOST_RECORDS} such records: say which, `--where 'tract = 9813'`, \
                         or how many, `--limit`"
                    )));
                }
                if full(rows) {
                    break 'all;
                }
                if query.limit.is_some_and(|limit| rows > SORTED_AT_ONCE + 2 * limit) {
                    let sorted = Query { filter: None, ..query.clone() };
                    all = vec![crate::snapshot::select(&concat_batches(&schema, &all)?, &sorted)?];
                    rows = all[0].num_rows();
                }
            }
        }
        let sorted = Query { filter: None, ..query.clone() };
        Ok(crate::snapshot::select(&concat_batches(&schema, &all)?, &sorted)?)
    }

    /// The registered sky maps that a filter leaves open, by name.
    ///
    /// # Errors
    /// [`ButlerError::Registry`] for a sky map that it names and that is not registered, with the near one.
    pub(super) fn sky_maps_of(&self, filter: Option<&Expression>) -> Result<Vec<(String, Arc<SkyMap>)>, ButlerError> {
        let named = filter.and_then(|f| f.texts_of("skymap"));
        let names = match named {
            Some(named) => named.into_iter().map(str::to_owned).collect(),
            None => self.sky_map_names()?,
        };
        names.into_iter().map(|name| Ok((name.clone(), self.sky_map(&name)?))).collect()
    }

    /// The names of all registered sky maps.
    pub(super) fn sky_map_names(&self) -> Result<Vec<String>, ButlerError> {
        let maps = self.reader().dimension_records("skymap", &Query::all())?;
        Ok(texts(&maps, "skymap")?.iter().flatten().map(str::to_owned).collect())
    }

    /// The one sky map that is meant: the one named, or the one that a filter names, or the only one there is.
    ///
    /// # Errors
    /// [`ButlerError::Registry`] for a name that is not registered, with the near one; [`ButlerError::Question`] when
    /// several could be meant, or there is none.
    pub fn one_sky_map(
        &self,
        name: Option<&str>,
        filter: Option<&Expression>,
    ) -> Result<(String, Arc<SkyMap>), ButlerError> {
        if let Some(name) = name {
            return Ok((name.to_owned(), self.sky_map(name)?));
        }
        let mut maps = self.sky_maps_of(filter)?;
        match maps.len() {
            1 => Ok(maps.remove(0)),
            0 => Err(ButlerError::Question(
                "no sky map is registered: `bunter register-skymap REPO hsc_rings_v1`, or another one".to_owned(),
            )),
            _ => {
                let names: Vec<_> = maps.iter().map(|(name, _)| format!("`{name}`")).collect();
                Err(ButlerError::Question(format!(
                    "there are {} sky maps, {}: say which is meant, `--skymap {}`",
                    maps.len(),
                    names.join(", "),
                    maps[0].0
                )))
            }
        }
    }
}

/// The tracts that a filter and a region leave open: those named by `tract = …` or `tract IN (…)`, or all.
pub(super) fn wanted_tracts(map: &SkyMap, filter: Option<&Expression>, region: Option<&Region>) -> Vec<u32> {
    let named = filter.and_then(|f| f.values_of("tract"));
    let near = region.map(|region| map.tracts_near(region.bounding_circle()));
    match (named, near) {
        (Some(named), near) => {
            let there = named.into_iter().filter_map(|t| u32::try_from(t).ok().filter(|t| *t < map.len()));
            there.filter(|t| near.as_ref().is_none_or(|near| near.binary_search(t).is_ok())).collect()
        }
        (None, Some(near)) => near,
        (None, None) => (0..map.len()).collect(),
    }
}

/// Refuses tracts and patches that are named one by one and that no sky map has.
pub(super) fn check_numbers(maps: &[(String, Arc<SkyMap>)], filter: Option<&Expression>) -> Result<(), ButlerError> {
    let Some(filter) = filter else { return Ok(()) };
    let Some((_, widest)) = maps.iter().max_by_key(|(_, map)| map.len()) else { return Ok(()) };
    let (mut tracts, mut patches) = (Vec::new(), Vec::new());
    for term in filter.terms() {
        tracts.extend(term.numbers_named("tract"));
        patches.extend(term.numbers_named("patch"));
    }
    if let Some(tract) = tracts.iter().find(|t| **t < 0 || **t >= i64::from(widest.len())) {
        return Err(SkyMapError::TractOutOfRange { tract: *tract, count: widest.len() }.into());
    }
    // Which patches there are is a question of the tract.
    let Some(open) = filter.values_of("tract") else { return Ok(()) };
    let (mut first, mut most) = (None, 0);
    for (_, map) in maps {
        for tract in open.iter().filter_map(|t| u32::try_from(*t).ok()).filter(|t| *t < map.len()) {
            let (nx, ny) = map.num_patches(tract)?;
            let count = i64::from(nx) * i64::from(ny);
            if first.is_none() || count > most {
                (first, most) = (Some((tract, nx, ny)), count);
            }
        }
    }
    match (first, patches.iter().find(|p| **p < 0 || **p >= most)) {
        (Some((tract, nx, ny)), Some(patch)) => {
            Err(SkyMapError::PatchOutOfRange { tract, patch: patch.to_string(), nx, ny }.into())
        }
        _ => Ok(()),
    }
}

/// Records of tracts, of those whose region touches another one where it is given.
pub(super) fn tract_table(
    name: &str,
    map: &SkyMap,
    tracts: &[u32],
    region: Option<&Region>,
) -> Result<RecordBatch, ButlerError> {
    let mut infos = Vec::with_capacity(tracts.len());
    for tract in tracts {
        let info = map.tract(*tract)?;
        if region.is_none_or(|r| r.relate(&Region::from(info.outer_polygon().clone())).intersects()) {
            infos.push(info);
        }
    }
    record_batch("tract", infos.len(), |row, column| match column {
        "skymap" => Value::from(name),
        "tract" => Value::from(i64::from(infos[row].id())),
        "region" => Value::Bytes(region::encode(infos[row].outer_polygon())),
        "ra_deg" => Value::from(infos[row].centre().lon_deg()),
        "dec_deg" => Value::from(infos[row].centre().lat_deg()),
        _ => Value::Null,
    })
}

/// Records of a tract's patches, of those that touch a region where it is given.
pub(super) fn patch_table(
    name: &str,
    map: &SkyMap,
    tract: u32,
    region: Option<&Region>,
) -> Result<RecordBatch, ButlerError> {
    let info = map.tract(tract)?;
    let (nx, ny) = info.num_patches();
    let wanted = match region {
        Some(region) => map.patches_touching(tract, region)?,
        None => (0..nx * ny).collect(),
    };
    let patches = wanted.into_iter().map(|patch| info.patch(patch)).collect::<Result<Vec<_>, _>>()?;
    let centres: Vec<_> = patches
        .iter()
        .map(|patch| {
            let inner = patch.inner_bbox();
            let middle = |start: i32, length: u32| f64::from(start) - 0.5 + 0.5 * f64::from(length);
            info.pixel_to_sky(middle(inner.x0, inner.width), middle(inner.y0, inner.height))
        })
        .collect();
    record_batch("patch", patches.len(), |row, column| match column {
        "skymap" => Value::from(name),
        "tract" => Value::from(i64::from(tract)),
        "patch" => Value::from(i64::from(patches[row].id())),
        "cell_x" => Value::from(i64::from(patches[row].index().0)),
        "cell_y" => Value::from(i64::from(patches[row].index().1)),
        "region" => Value::Bytes(region::encode(patches[row].outer_polygon())),
        "ra_deg" => Value::from(centres[row].map(crate::sphere::LonLat::lon_deg)),
        "dec_deg" => Value::from(centres[row].map(crate::sphere::LonLat::lat_deg)),
        _ => Value::Null,
    })
}
