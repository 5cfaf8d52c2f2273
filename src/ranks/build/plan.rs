//! The work of a build: which coadds, of which images, and which of them are there already.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::Array;
use arrow::record_batch::RecordBatch;
use uuid::Uuid;

use super::{BuildError, BuildOptions};
use crate::butler::{Butler, ButlerError, OverlapQuery, binaries, ids, ints, texts};
use crate::coadd::{CoaddInput, CoaddQuantum, PatchName, fingerprint};
use crate::dataset::{FileRecord, StorageClass, codec};
use crate::datastore::Dataset;
use crate::dimension::Expression;
use crate::registry::{QuantumRecord, Query, RegionState};
use crate::sphere::{ConvexPolygon, Region};
use crate::wcs::PixelBox;

/// The name that the work is recorded under.
pub(super) const TASK: &str = "coadd";

/// One coadd to build.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PlannedCoadd {
    pub(super) tract: u32,
    pub(super) patch: u32,
    pub(super) band: Arc<str>,
    /// Rows of [`Plan::images`], in the order of summing.
    pub(super) inputs: Vec<i32>,
    pub(super) fingerprint: u64,
}

impl PlannedCoadd {
    /// What it costs, in inputs: warping dominates, and patches are of one size.
    pub(super) fn cost(&self) -> f64 {
        1.0 + self.inputs.len() as f64
    }
}

/// All the work of a build.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) images: Vec<CoaddInput>,
    pub(super) coadds: Vec<PlannedCoadd>,
    /// Coadds that are there, made of the same inputs in the same way.
    pub(super) done: usize,
    /// Coadds of the run that were made of other inputs or in another way: to be replaced.
    pub(super) outdated: Vec<Uuid>,
    /// Coadds of the run none of whose images touches the patch any more: to be removed.
    pub(super) abandoned: Vec<Uuid>,
    /// The regions and WCSs that it was made of.
    pub(super) regions: RegionState,
}

/// Joins images and patches, and sorts out what is done.
///
/// It asks several questions whose answers must fit together: regions, WCSs, datasets. So `butler` should be of one moment.
pub(super) fn plan(butler: &Butler, options: &BuildOptions) -> Result<Plan, BuildError> {
    let regions = butler.reader().region_state()?;
    let overlaps = butler.query_overlaps(&OverlapQuery {
        sky_map: Some(options.sky_map.clone()),
        filter: options.filter.clone(),
        datasets: Some((options.dataset_type.clone(), options.input.clone())),
        ..OverlapQuery::default()
    })?;
    if overlaps.num_rows() == 0 {
        return Err(BuildError::NothingToDo {
            dataset_type: options.dataset_type.clone(),
            collections: options.input.join(", "),
            sky_map: options.sky_map.clone(),
            filter: options.filter.as_ref().map(|f| format!(" where {f}")).unwrap_or_default(),
        });
    }
    let (images, row_of) = images(butler, &overlaps)?;
    let digests: Vec<u64> = images.iter().map(CoaddInput::digest).collect();
    let sha1 = butler.sky_map(&options.sky_map)?.sha1();
    let mut made = made_before(butler, options)?;

    let mut plan = Plan { images, regions, ..Plan::default() };
    let (tract, patch) = (ints(&overlaps, "tract")?, ints(&overlaps, "patch")?);
    let (band, id) = (texts(&overlaps, "band")?, ids(&overlaps, "id")?);
    let mut row = 0;
    while row < overlaps.num_rows() {
        // Rows come sorted by tract, patch and band.
        let key = |r: usize| (tract.value(r), patch.value(r), band.value(r));
        let mut inputs = Vec::new();
        let first = row;
        while row < overlaps.num_rows() && key(row) == key(first) {
            inputs.extend(row_of.get(id.value(row)).copied());
            row += 1;
        }
        let (tract, patch) = (tract.value(first) as u32, patch.value(first) as u32);
        let name = PatchName { tract, patch, band: band.value(first) };
        let digests = inputs.iter().map(|i| digests[*i as usize]);
        let fingerprint = fingerprint(name, digests, &options.config, &sha1);
        match made.remove(&(i64::from(tract), i64::from(patch), band.value(first).to_owned())) {
            Some((_, Some(before))) if before == fingerprint => {
                plan.done += 1;
                continue;
            }
            Some((outdated, _)) => plan.outdated.push(outdated),
            None => {}
        }
        plan.coadds.push(PlannedCoadd { tract, patch, band: band.value(first).into(), inputs, fingerprint });
    }
    plan.abandoned = abandoned(butler, options, &made)?;
    Ok(plan)
}

/// Of coadds that the join does not ask for, those whose images have moved away: each of the images that went into one has
/// a region, and none of these touches the patch. Coadds of other images, of another input or filter, are left alone.
fn abandoned(
    butler: &Butler,
    options: &BuildOptions,
    left: &HashMap<(i64, i64, String), (Uuid, Option<u64>)>,
) -> Result<Vec<Uuid>, BuildError> {
    if left.is_empty() {
        return Ok(Vec::new());
    }
    // Only what the filter lets through; one that names images does not say which coadds it means.
    let query = Query { filter: options.filter.clone(), ..Query::default() };
    let Ok(rows) = butler.reader().datasets(&options.output_type, &[&options.output], &query, false) else {
        return Ok(Vec::new());
    };
    let wanted: HashSet<&[u8]> = ids(&rows, "id")?.iter().flatten().collect();
    let left: Vec<_> = left.iter().filter(|(_, (id, _))| wanted.contains(id.as_bytes().as_slice())).collect();
    let uuids: Vec<Uuid> = left.iter().map(|(_, (id, _))| *id).collect();
    let files = butler.reader().file_records(&uuids)?;
    let sky_map = butler.sky_map(&options.sky_map)?;
    let mut found = Vec::new();
    for (((tract, patch, _), (id, _)), file) in left.into_iter().zip(files) {
        let Some(file) = file else { continue };
        let part = butler.datastore().get(&file, StorageClass::Coadd, Some("inputs"), None);
        // A damaged coadd is for `verify`.
        let Ok(Dataset::Table(inputs)) = part else { continue };
        let (Ok(tract), Ok(patch)) = (u32::try_from(*tract), u32::try_from(*patch)) else { continue };
        let patch = sky_map.tract(tract)?.patch(patch)?;
        if have_all_left(butler, &inputs, patch.outer_polygon())? {
            found.push(*id);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Whether each image of a coadd's `inputs` table has a region, and none of the regions touches the patch.
fn have_all_left(butler: &Butler, inputs: &RecordBatch, patch: &ConvexPolygon) -> Result<bool, BuildError> {
    let key = |rows: &RecordBatch, row: usize| -> Result<(String, i64, i64), ButlerError> {
        let (visit, detector) = (ints(rows, "visit")?.value(row), ints(rows, "detector")?.value(row));
        Ok((texts(rows, "instrument")?.value(row).to_owned(), visit, detector))
    };
    let images = (0..inputs.num_rows()).map(|row| key(inputs, row)).collect::<Result<HashSet<_>, _>>()?;
    if images.is_empty() {
        return Ok(false);
    }
    let visits: HashSet<String> = images.iter().map(|image| image.1.to_string()).collect();
    let visits = Vec::from_iter(visits).join(", ");
    let filter = Expression::parse(&format!("visit IN ({visits})")).map_err(ButlerError::from)?;
    let records = butler.reader().dimension_records("visit_detector", &Query::filtered(filter))?;
    let regions = binaries(&records, "region")?;
    let mut away = 0;
    for row in 0..records.num_rows() {
        let known = !regions.is_null(row) && images.contains(&key(&records, row)?);
        let region = known.then(|| Region::from_bytes(regions.value(row))).transpose().map_err(ButlerError::from)?;
        match region {
            Some(Region::Polygon(region)) if !region.intersects(patch) => away += 1,
            Some(_) => return Ok(false),
            None => {}
        }
    }
    Ok(away == images.len())
}

/// The coadds that images of a dataset type touch, in the order of tract, patch and band, whether they are there already or
/// not: for whoever builds them in another way than [`build_coadds`](super::build_coadds). Nothing is asked that a snapshot
/// cannot answer.
///
/// # Errors
/// [`BuildError::Butler`] for unknown names and damaged records.
pub fn coadd_quanta(
    butler: &Butler,
    sky_map: &str,
    filter: Option<&Expression>,
    dataset_type: &str,
    collections: &[String],
) -> Result<Vec<CoaddQuantum>, BuildError> {
    let overlaps = butler.query_overlaps(&OverlapQuery {
        sky_map: Some(sky_map.to_owned()),
        filter: filter.cloned(),
        datasets: Some((dataset_type.to_owned(), collections.to_vec())),
        ..OverlapQuery::default()
    })?;
    let (images, row_of) = images(butler, &overlaps)?;
    let (tract, patch) = (ints(&overlaps, "tract")?, ints(&overlaps, "patch")?);
    let (band, id) = (texts(&overlaps, "band")?, ids(&overlaps, "id")?);
    let mut quanta: Vec<CoaddQuantum> = Vec::new();
    for row in 0..overlaps.num_rows() {
        let (tract, patch, band) = (tract.value(row) as u32, patch.value(row) as u32, band.value(row));
        // Rows come sorted by tract, patch and band.
        if quanta.last().is_none_or(|q| (q.tract, q.patch, &*q.band) != (tract, patch, band)) {
            quanta.push(CoaddQuantum { sky_map: sky_map.into(), tract, patch, band: band.into(), inputs: Vec::new() });
        }
        let image = row_of.get(id.value(row)).and_then(|image| images.get(*image as usize));
        if let (Some(quantum), Some(image)) = (quanta.last_mut(), image) {
            quantum.inputs.push(image.clone());
        }
    }
    Ok(quanta)
}

/// The images of a join, each once, and their rows by identity.
#[expect(clippy::type_complexity, reason = "a list and its index")]
fn images(butler: &Butler, overlaps: &RecordBatch) -> Result<(Vec<CoaddInput>, HashMap<Vec<u8>, i32>), BuildError> {
    let (instrument, visit, detector) =
        (texts(overlaps, "instrument")?, ints(overlaps, "visit")?, ints(overlaps, "detector")?);
    let id = ids(overlaps, "id")?;
    let mut rows: HashMap<Vec<u8>, i32> = HashMap::new();
    let mut firsts = Vec::new();
    for row in 0..overlaps.num_rows() {
        rows.entry(id.value(row).to_vec()).or_insert_with(|| {
            firsts.push(row);
            firsts.len() as i32 - 1
        });
    }

    let detectors = butler.reader().dimension_records("visit_detector", &Query::all())?;
    let record_of: HashMap<_, _> = texts(&detectors, "instrument")?
        .iter()
        .zip(ints(&detectors, "visit")?)
        .zip(ints(&detectors, "detector")?)
        .enumerate()
        .map(|(row, key)| (key, row))
        .collect();
    let (wcs, width, height) = (binaries(&detectors, "wcs")?, ints(&detectors, "width")?, ints(&detectors, "height")?);
    let uuids: Vec<Uuid> = firsts.iter().filter_map(|row| Uuid::from_slice(id.value(*row)).ok()).collect();
    let files = butler.reader().file_records(&uuids)?;
    let mut images = Vec::with_capacity(firsts.len());
    for ((row, uuid), file) in firsts.into_iter().zip(uuids).zip(files) {
        let damaged = |what, cause: &str| ButlerError::DamagedRecord {
            what,
            data_id: format!(
                "{{instrument: {}, visit: {}, detector: {}}}",
                instrument.value(row),
                visit.value(row),
                detector.value(row)
            ),
            cause: cause.to_owned(),
        };
        let key = ((Some(instrument.value(row)), Some(visit.value(row))), Some(detector.value(row)));
        let record = *record_of.get(&key).ok_or_else(|| damaged("region", "there is no record"))?;
        let side = |column: &arrow::array::Int64Array| u32::try_from(column.value(record)).unwrap_or_default();
        images.push(CoaddInput {
            id: uuid,
            instrument: instrument.value(row).into(),
            visit: visit.value(row),
            detector: detector.value(row),
            file: file.ok_or_else(|| damaged("file record", "there is none"))?,
            wcs: codec::decode(wcs.value(record)).map_err(|e| damaged("wcs", &e.to_string()))?,
            bbox: PixelBox::new(0, 0, side(width), side(height)),
        });
    }
    Ok((images, rows))
}

/// The coadds of the output run: identity, and the fingerprint that they were made with. A coadd whose file is not whole
/// has no fingerprint.
#[expect(clippy::type_complexity, reason = "read in one place")]
fn made_before(
    butler: &Butler,
    options: &BuildOptions,
) -> Result<HashMap<(i64, i64, String), (Uuid, Option<u64>)>, BuildError> {
    let query = Query::default();
    let rows = butler.reader().datasets(&options.output_type, &[&options.output], &query, false)?;
    let quanta = butler.registry()?.quanta(&options.output, TASK)?;
    let quanta = QuantumRecord::from_batch(&options.output, TASK, &quanta)?;
    let fingerprints: HashMap<Uuid, u64> = quanta.iter().filter_map(|q| Some((q.output?, q.fingerprint))).collect();
    let (skymap, tract, patch) = (texts(&rows, "skymap")?, ints(&rows, "tract")?, ints(&rows, "patch")?);
    let (band, id) = (texts(&rows, "band")?, ids(&rows, "id")?);
    let uuids: Vec<Uuid> = (0..rows.num_rows()).filter_map(|r| Uuid::from_slice(id.value(r)).ok()).collect();
    let files = butler.reader().file_records(&uuids)?;
    let mut made = HashMap::with_capacity(rows.num_rows());
    for (row, (uuid, file)) in uuids.iter().zip(files).enumerate() {
        if skymap.value(row) != options.sky_map {
            continue;
        }
        let whole = file.is_some_and(|f| is_whole(butler, &f));
        let fingerprint = fingerprints.get(uuid).copied().filter(|_| whole);
        made.insert((tract.value(row), patch.value(row), band.value(row).to_owned()), (*uuid, fingerprint));
    }
    Ok(made)
}

/// Whether a file is there with all its bytes; `verify` looks at each of them.
fn is_whole(butler: &Butler, file: &FileRecord) -> bool {
    let size = butler.datastore().path(file).ok().and_then(|path| std::fs::metadata(path).ok()).map(|m| m.len());
    size == Some(file.size)
}
