//! Regions that are improved after ingest: from files, datasets, tables and functions into the registry, in one transaction.
//!
//! An image's record has a region, by which overlaps are found, and a WCS, by which its pixels are warped. An improved WCS
//! gives both, so that they stay of one mind; a polygon gives the region alone.

use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, BinaryBuilder, Int64Array, Int64Builder, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use rayon::prelude::*;
use uuid::Uuid;

use super::columns::{binaries, ids, ints, texts};
use super::exposure_file::{Folders, expand, translate};
use super::ingest::check_type;
use super::observation::region_of;
use super::region_table::RegionTable;
use super::{Butler, ButlerError, region};
use crate::camera::Cameras;
use crate::dataset::{DatasetRef, StorageClass, codec};
use crate::datastore::Dataset;
use crate::dimension::{DataId, Expression};
use crate::registry::{Query, RegionMoment, RegionState, RegionUpdate, RegionUpdateReport};
use crate::sphere::ConvexPolygon;
use crate::wcs::{PixelBox, Wcs};

/// Rows that go to the registry at once.
const BATCH: usize = 32_768;
/// Visits whose images a function is shown at once: bounds the memory, not the transaction.
const VISITS_AT_ONCE: usize = 1_000;
/// Files that cannot be used are told up to this many.
const TOLD: usize = 5;

/// Any error of a caller's own function.
type Cause = Box<dyn Error + Send + Sync>;

/// What is better known of an image.
#[derive(Clone, Debug, PartialEq)]
pub enum Improved {
    /// Where it lies. Its WCS stays as it is.
    Region(ConvexPolygon),
    /// How its pixels lie on the sky; the region follows.
    Wcs(Box<Wcs>),
}

/// What a repository knows of where an image lies.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageOnSky {
    /// Instrument, visit, detector.
    pub data_id: DataId,
    /// Where it lies; `None` for an image that came without.
    pub region: Option<ConvexPolygon>,
    /// From its pixels to the sky, as it is used for coadds.
    pub wcs: Option<Wcs>,
    /// All its pixels.
    pub bbox: Option<PixelBox>,
}

/// Where improved regions come from.
pub enum RegionSource<'a> {
    /// FITS files and folders of them: a camera's translator knows which image each is, and their headers have the WCS.
    Files {
        /// The files.
        paths: Vec<PathBuf>,
        /// The cameras that are known.
        cameras: &'a Cameras,
    },
    /// Exposures of the repository itself, found first in these collections: a run of a later calibration. Their headers are
    /// read, not their pixels.
    Datasets {
        /// The dataset type.
        dataset_type: String,
        /// The collections.
        collections: Vec<String>,
        /// Which of them.
        filter: Option<Expression>,
    },
    /// Tables, one row an image: `instrument` (may be absent, see there), `visit`, `detector`, by any name that means these, and
    /// one of: `vertices` (text `ra dec;ra dec;…`, ICRS degrees, in order around a convex polygon), `region` (text
    /// `POLYGON ra dec ra dec …`, or bytes as the registry has them), `header` (text of FITS cards, lines or 80 bytes each), or
    /// columns named like the keywords of a WCS (`CTYPE1`, `CRVAL1`, `CD1_1`, `PV1_1`, `A_0_2` …).
    Table {
        /// The rows.
        batches: Box<dyn Iterator<Item = Result<RecordBatch, ButlerError>> + 'a>,
        /// The instrument of all rows, where there is no such column; `None`: the only one of the repository.
        instrument: Option<String>,
    },
    /// A function, which is shown the images of a query and gives what is better known of them, or `None`.
    Function {
        /// Which images it is shown.
        query: Query,
        /// The function.
        improve: &'a mut dyn FnMut(&ImageOnSky) -> Result<Option<Improved>, Cause>,
    },
}

impl std::fmt::Debug for RegionSource<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Files { .. } => "Files",
            Self::Datasets { .. } => "Datasets",
            Self::Table { .. } => "Table",
            Self::Function { .. } => "Function",
        })
    }
}

/// How regions are updated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpdateRegionsOptions {
    /// Why, for whoever asks later.
    pub message: String,
    /// What the regions come from; where empty, what the source is.
    pub source: String,
    /// Leave out data IDs that name no image of the repository.
    pub skip_missing: bool,
    /// Take only the region from an improved WCS, and leave the WCS by which pixels are warped as it is.
    pub regions_only: bool,
    /// Find out what would be done, and do nothing.
    pub dry_run: bool,
}

impl Butler {
    /// Gives images better regions, and better WCSs where the source has them: all in one transaction, or nothing.
    ///
    /// Overlaps are those of the new regions from then on, and coadds are warped by the new WCSs; the images' own files are
    /// not touched, nor what [`Butler::get`] reads from them. What an image had before is kept: see
    /// [`Registry::region_history`](crate::registry::Registry::region_history) and [`Butler::as_of`]. The same update again
    /// changes nothing. Readers are never kept waiting, and see all of it or nothing.
    ///
    /// # Errors
    /// [`ButlerError::Registry`] for data IDs that name no image (the first of them with what comes near), and for an image
    /// that is there twice; [`ButlerError::RegionUpdate`] for rows and files that cannot be used, and what a function gives;
    /// [`ButlerError::Question`] for tables without the columns. Nothing is written then.
    ///
    /// ```
    /// use bunter::{Butler, ConvexPolygon, Improved, Query, RegionSource, UpdateRegionsOptions};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let butler = Butler::create(folder.path())?;
    /// let mut shrink = |image: &bunter::ImageOnSky| match &image.region {
    ///     Some(region) => Ok(Some(Improved::Region(ConvexPolygon::new(&region.vertices()[..3])?))),
    ///     None => Ok(None),
    /// };
    /// let source = RegionSource::Function { query: Query::all(), improve: &mut shrink };
    /// let report = butler.update_regions(source, &UpdateRegionsOptions::default())?;
    /// assert_eq!(report.changed, 0, "there are no images yet");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn update_regions(
        &self,
        source: RegionSource<'_>,
        options: &UpdateRegionsOptions,
    ) -> Result<RegionUpdateReport, ButlerError> {
        let registry = self.registry()?;
        let mut update = RegionUpdate {
            message: options.message.clone(),
            source: options.source.clone(),
            who: None,
            skip_missing: options.skip_missing,
            made_of: None,
            dry_run: options.dry_run,
        };
        let mut otherwise = |words: String| {
            if update.source.is_empty() {
                update.source = words;
            }
        };
        let rows = match source {
            RegionSource::Files { paths, cameras } => {
                // Half of an update helps nobody: a path that cannot be found ends it.
                let mut failures = Vec::new();
                let files = expand(&paths, &mut failures);
                if let Some(failure) = failures.into_iter().next() {
                    return Err(failure.cause);
                }
                otherwise(format!("{} FITS files", files.len()));
                self.of_files(&files, cameras, options)?
            }
            RegionSource::Datasets { dataset_type, collections, filter } => {
                otherwise(format!("{dataset_type} of {}", collections.join(", ")));
                self.of_datasets(&dataset_type, &collections, filter, options)?
            }
            RegionSource::Table { batches, instrument } => {
                otherwise("a table".to_owned());
                let mut table = RegionTable::new(self, batches, instrument, options.regions_only)?;
                return registry.update_regions(&update, &mut || table.next());
            }
            RegionSource::Function { query, improve } => {
                otherwise("a function".to_owned());
                update.made_of = Some(self.reader().region_state()?);
                self.of_function(&query, improve, options)?
            }
        };
        let mut batches = rows.chunks(BATCH);
        registry.update_regions(&update, &mut || batches.next().map(table).transpose())
    }

    /// This butler with regions and WCSs as they were: overlaps as an earlier run saw them. It cannot write.
    ///
    /// # Errors
    /// [`ButlerError::Registry`] for an event that has not happened; [`ButlerError::ReadOnly`] for a butler that was opened
    /// from a snapshot, which is of one state.
    pub fn as_of(&self, moment: RegionMoment) -> Result<Self, ButlerError> {
        let registry = self.registry_handle().ok_or(ButlerError::ReadOnly { doing: "ask for an earlier state" })?;
        Ok(Self::with_reader(self.root(), Arc::new(registry.as_of(moment)?)))
    }

    /// Records of `visit_detector` with the regions and WCSs of an earlier moment.
    ///
    /// # Errors
    /// As [`Butler::as_of`].
    pub fn regions_as_of(&self, moment: RegionMoment, query: &Query) -> Result<RecordBatch, ButlerError> {
        Ok(self.as_of(moment)?.reader().dimension_records("visit_detector", query)?)
    }

    /// Refuses what was made of other regions than those the repository has now: a snapshot, a join that was kept, a work
    /// list. `what` is how the message calls it.
    ///
    /// # Errors
    /// [`ButlerError::Registry`] with the state it is of, the state of now, and what has happened between.
    pub fn check_region_state(&self, made_of: RegionState, what: &str) -> Result<(), ButlerError> {
        Ok(self.registry()?.check_region_state(made_of, what)?)
    }

    /// Refuses what was made of regions that the repository never had: of another one, or of a copy that went its own way.
    ///
    /// # Errors
    /// [`ButlerError::Registry`] with both states.
    pub fn check_past(&self, made_of: RegionState, what: &str) -> Result<(), ButlerError> {
        let registry = self.registry()?;
        match registry.region_state_at(RegionMoment::Event(made_of.number)) {
            Ok(state) if state == made_of => Ok(()),
            _ => Ok(registry.check_region_state(made_of, what)?),
        }
    }

    /// From the headers of files.
    fn of_files(
        &self,
        files: &[PathBuf],
        cameras: &Cameras,
        options: &UpdateRegionsOptions,
    ) -> Result<Vec<Row>, ButlerError> {
        let mut folders = Folders::default();
        let mut found = Vec::with_capacity(files.len());
        for path in files {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            let folder = folders.beside(&path, cameras)?;
            found.push((path, folder));
        }
        let translated: Vec<_> = found
            .par_iter()
            .map(|(path, folder)| (path.display().to_string(), translate(path, folder, cameras)))
            .collect();
        let mut failures = Failures::new("files", files.len());
        let mut images = Vec::new();
        for (path, infos) in translated {
            match infos {
                Ok(infos) => images.extend(infos.into_iter().map(|info| {
                    let shape = (info.shape.1 as i64, info.shape.0 as i64);
                    (path.clone(), (Arc::from(info.instrument), info.visit, info.detector), info.wcs, Some(shape))
                })),
                Err(error) => failures.push(&path, &error),
            }
        }
        self.of_wcs(images, failures, options)
    }

    /// From exposures of the repository.
    fn of_datasets(
        &self,
        dataset_type: &str,
        collections: &[String],
        filter: Option<Expression>,
        options: &UpdateRegionsOptions,
    ) -> Result<Vec<Row>, ButlerError> {
        let kind = self.reader().dataset_type(dataset_type)?;
        check_type(&kind)?;
        let names: Vec<&str> = collections.iter().map(String::as_str).collect();
        let query = Query { filter, ..Query::default() };
        let rows = self.reader().datasets(dataset_type, &names, &query, true)?;
        if rows.num_rows() == 0 {
            return Err(ButlerError::Question(format!(
                "no `{dataset_type}` in {}: what there is lists `bunter query-datasets REPO {dataset_type}`",
                collections.join(", ")
            )));
        }
        let (instrument, visit, detector) =
            (texts(&rows, "instrument")?, ints(&rows, "visit")?, ints(&rows, "detector")?);
        let id = ids(&rows, "id")?;
        let uuids: Vec<Uuid> = id.iter().flatten().filter_map(|id| Uuid::from_slice(id).ok()).collect();
        let files = self.reader().file_records(&uuids)?;
        let read = |row: usize| -> Result<(Wcs, PixelBox), ButlerError> {
            let file = files.get(row).and_then(Option::as_ref).ok_or_else(|| ButlerError::NotFound {
                dataset_type: dataset_type.to_owned(),
                data_id: DataId::new().with("visit", visit.value(row)).with("detector", detector.value(row)),
                collections: collections.to_vec(),
            })?;
            let part = |name: &str| self.datastore().get(file, StorageClass::Exposure, Some(name), None);
            match (part("wcs")?, part("bbox")?) {
                (Dataset::Wcs(wcs), Dataset::Box(bbox)) => Ok((wcs, bbox)),
                (other, _) => Err(ButlerError::Column {
                    name: file.path.clone(),
                    expected: "a WCS and a box",
                    found: other.kind().to_owned(),
                }),
            }
        };
        let found: Vec<_> = (0..rows.num_rows()).into_par_iter().map(read).collect();
        let mut failures = Failures::new("datasets", found.len());
        let mut images = Vec::new();
        for (row, result) in found.into_iter().enumerate() {
            let key: Key = (instrument.value(row).into(), visit.value(row), detector.value(row));
            let name = DatasetRef {
                id: uuids.get(row).copied().unwrap_or_default(),
                dataset_type: dataset_type.into(),
                data_id: data_id(&key),
                run: texts(&rows, "run")?.value(row).into(),
            };
            match result {
                Ok((wcs, bbox)) => {
                    images.push((name.to_string(), key, wcs, Some((i64::from(bbox.width), i64::from(bbox.height)))));
                }
                Err(error) => failures.push(&name.to_string(), &error),
            }
        }
        self.of_wcs(images, failures, options)
    }

    /// Regions of images whose WCS was found, with what it is the WCS of.
    fn of_wcs(
        &self,
        images: Vec<Found>,
        mut failures: Failures,
        options: &UpdateRegionsOptions,
    ) -> Result<Vec<Row>, ButlerError> {
        let sizes = Sizes::of(self, images.iter().map(|(_, key, ..)| key.1))?;
        let worked: Vec<_> = images
            .into_par_iter()
            .map(|(name, key, wcs, shape)| {
                let row = sizes.bbox(&key, shape).and_then(|bbox| Row::of_wcs(key, &wcs, bbox, options.regions_only));
                (name, row)
            })
            .collect();
        let mut rows = Vec::with_capacity(worked.len());
        for (name, row) in worked {
            match row {
                Ok(row) => rows.push(row),
                Err(problem) => failures.push(&name, &problem),
            }
        }
        failures.end()?;
        Ok(rows)
    }

    /// What a function makes of the images of a query.
    fn of_function(
        &self,
        query: &Query,
        improve: &mut dyn FnMut(&ImageOnSky) -> Result<Option<Improved>, Cause>,
        options: &UpdateRegionsOptions,
    ) -> Result<Vec<Row>, ButlerError> {
        let mut rows = Vec::new();
        for part in self.parts(query)? {
            let records = self.reader().dimension_records("visit_detector", &part)?;
            let (instrument, visit, detector) =
                (texts(&records, "instrument")?, ints(&records, "visit")?, ints(&records, "detector")?);
            let (regions, wcs) = (binaries(&records, "region")?, binaries(&records, "wcs")?);
            let (width, height) = (ints(&records, "width")?, ints(&records, "height")?);
            for row in 0..records.num_rows() {
                let key: Key = (instrument.value(row).into(), visit.value(row), detector.value(row));
                let id = data_id(&key);
                let name = || id.to_string();
                let there = |column: &dyn Array| !column.is_null(row);
                let damaged = |cause: String| ButlerError::DamagedRecord { what: "wcs", data_id: name(), cause };
                let image = ImageOnSky {
                    data_id: id.clone(),
                    region: there(regions).then(|| region::decode(regions.value(row), name)).transpose()?,
                    wcs: there(wcs)
                        .then(|| codec::decode(wcs.value(row)).map_err(|e| damaged(e.to_string())))
                        .transpose()?,
                    bbox: (there(width) && there(height))
                        .then(|| pixels(width.value(row), height.value(row)))
                        .flatten(),
                };
                let failed = |source: Cause| ButlerError::RegionUpdate { what: name(), source };
                let row = match improve(&image).map_err(failed)? {
                    None => continue,
                    Some(Improved::Region(region)) => Row { key, region: region::encode(&region), wcs: None },
                    Some(Improved::Wcs(wcs)) => {
                        let unknown = "its size in pixels is not recorded: give a region".to_owned();
                        let bbox = image.bbox.ok_or_else(|| failed(unknown.into()))?;
                        let row = Row::of_wcs(key, &wcs, bbox, options.regions_only);
                        row.map_err(|problem| failed(problem.into()))?
                    }
                };
                rows.push(row);
            }
        }
        Ok(rows)
    }

    /// A query cut into several by its visits, so that not all regions of a survey are in memory at once; one with an order
    /// or a limit stays whole.
    fn parts(&self, query: &Query) -> Result<Vec<Query>, ButlerError> {
        if query.limit.is_some() || !query.order_by.is_empty() {
            return Ok(vec![query.clone()]);
        }
        let visits = self.registry()?.record_columns("visit_detector", &["visit"], query)?;
        let visits: BTreeSet<i64> = ints(&visits, "visit")?.iter().flatten().collect();
        let visits: Vec<i64> = visits.into_iter().collect();
        visits
            .chunks(VISITS_AT_ONCE)
            .map(|chunk| Ok(Query::filtered(and_visits(query.filter.clone(), chunk)?)))
            .collect()
    }
}

/// An expression, and one of these visits.
fn and_visits(filter: Option<Expression>, visits: &[i64]) -> Result<Expression, ButlerError> {
    let list: Vec<String> = visits.iter().map(i64::to_string).collect();
    let among = Expression::parse(&format!("visit IN ({})", list.join(", ")))?;
    Ok(match filter {
        Some(filter) => Expression::And(Box::new(filter), Box::new(among)),
        None => among,
    })
}

/// What was found to be the WCS of an image: in which file or dataset, the image, the WCS, and of how many pixels it is.
type Found = (String, Key, Wcs, Option<(i64, i64)>);

/// Instrument, visit, detector.
pub(super) type Key = (Arc<str>, i64, i64);

pub(super) fn data_id(key: &Key) -> DataId {
    DataId::new().with("instrument", Arc::clone(&key.0)).with("visit", key.1).with("detector", key.2)
}

/// What the registry is to be told of one image.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) key: Key,
    pub(super) region: Vec<u8>,
    pub(super) wcs: Option<Vec<u8>>,
}

impl Row {
    /// The region that a WCS puts an image's pixels on, and the WCS itself unless only regions are wanted.
    pub(super) fn of_wcs(key: Key, wcs: &Wcs, bbox: PixelBox, regions_only: bool) -> Result<Self, String> {
        let region = region_of(wcs, bbox)
            .map_err(|e| format!("the WCS puts the image on no region of the sky ({e}): check its keywords"))?;
        let wcs = if regions_only { None } else { Some(codec::encode(wcs).map_err(|e| e.to_string())?) };
        Ok(Self { key, region: region::encode(&region), wcs })
    }
}

/// The columns that the registry takes.
pub(super) fn table(rows: &[Row]) -> Result<RecordBatch, ButlerError> {
    let mut instrument = StringBuilder::with_capacity(rows.len(), rows.len() * 8);
    let (mut visit, mut detector) = (Int64Builder::with_capacity(rows.len()), Int64Builder::with_capacity(rows.len()));
    let (mut regions, mut wcs) = (BinaryBuilder::new(), BinaryBuilder::new());
    for row in rows {
        instrument.append_value(&*row.key.0);
        visit.append_value(row.key.1);
        detector.append_value(row.key.2);
        regions.append_value(&row.region);
        wcs.append_option(row.wcs.as_deref());
    }
    let schema = Schema::new(vec![
        Field::new("instrument", DataType::Utf8, false),
        Field::new("visit", DataType::Int64, false),
        Field::new("detector", DataType::Int64, false),
        Field::new("region", DataType::Binary, true),
        Field::new("wcs", DataType::Binary, true),
    ]);
    Ok(RecordBatch::try_new(
        Arc::new(schema),
        vec![
            Arc::new(instrument.finish()),
            Arc::new(visit.finish()),
            Arc::new(detector.finish()),
            Arc::new(regions.finish()),
            Arc::new(wcs.finish()),
        ],
    )?)
}

/// The sizes of images, as recorded at ingest.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    /// `None` for an image whose size was not recorded.
    known: HashMap<Key, Option<(i64, i64)>>,
}

impl Sizes {
    /// Of the images of some visits.
    pub(super) fn of(butler: &Butler, visits: impl Iterator<Item = i64>) -> Result<Self, ButlerError> {
        let visits: BTreeSet<i64> = visits.collect();
        let visits: Vec<i64> = visits.into_iter().collect();
        let mut sizes = Self::default();
        for chunk in visits.chunks(VISITS_AT_ONCE) {
            sizes.read(butler, &Query::filtered(and_visits(None, chunk)?))?;
        }
        Ok(sizes)
    }

    /// Of all images.
    pub(super) fn all(butler: &Butler) -> Result<Self, ButlerError> {
        let mut sizes = Self::default();
        sizes.read(butler, &Query::all())?;
        Ok(sizes)
    }

    fn read(&mut self, butler: &Butler, query: &Query) -> Result<(), ButlerError> {
        let columns = ["instrument", "visit", "detector", "width", "height"];
        let records = butler.registry()?.record_columns("visit_detector", &columns, query)?;
        let (visit, detector) = (ints(&records, "visit")?, ints(&records, "detector")?);
        let (width, height) = (ints(&records, "width")?, ints(&records, "height")?);
        let mut name: Arc<str> = Arc::from("");
        for (row, instrument) in texts(&records, "instrument")?.iter().enumerate() {
            let instrument = instrument.unwrap_or_default();
            if *name != *instrument {
                name = instrument.into();
            }
            let side = |column: &Int64Array| (!column.is_null(row)).then(|| column.value(row));
            let key = (Arc::clone(&name), visit.value(row), detector.value(row));
            self.known.insert(key, side(width).zip(side(height)));
        }
        Ok(())
    }

    /// The pixels of an image: as recorded, and as whoever brings its WCS has it, which must be the same.
    pub(super) fn bbox(&self, key: &Key, given: Option<(i64, i64)>) -> Result<PixelBox, String> {
        let (width, height) = match (self.known.get(key).copied(), given) {
            (Some(Some(recorded)), Some(given)) if recorded != given => {
                return Err(format!(
                    "the WCS is of {} x {} pixels, the image has {} x {}: it is that of another image, or of a part",
                    given.0, given.1, recorded.0, recorded.1
                ));
            }
            (Some(Some(size)), _) | (_, Some(size)) => size,
            (Some(None), None) => return Err("the image's size is not known: add NAXIS1 and NAXIS2".to_owned()),
            // An image that is not there is told by the registry, with what comes near; any box serves until then.
            (None, None) => (1, 1),
        };
        pixels(width, height).ok_or_else(|| format!("{width} x {height} is no size of an image"))
    }
}

fn pixels(width: i64, height: i64) -> Option<PixelBox> {
    let side = |v: i64| u32::try_from(v).ok().filter(|v| (1..=1 << 24).contains(v));
    Some(PixelBox::new(0, 0, side(width)?, side(height)?))
}

/// What could not be used: the update is refused as a whole, and the first are told.
struct Failures {
    of: &'static str,
    total: usize,
    count: usize,
    first: Vec<String>,
}

impl Failures {
    fn new(of: &'static str, total: usize) -> Self {
        Self { of, total, count: 0, first: Vec::new() }
    }

    fn push(&mut self, name: &str, problem: &dyn std::fmt::Display) {
        self.count += 1;
        if self.first.len() < TOLD {
            let text = problem.to_string();
            self.first.push(if text.contains(name) { text } else { format!("{name}: {text}") });
        }
    }

    fn end(self) -> Result<(), ButlerError> {
        if self.count == 0 {
            return Ok(());
        }
        let more = if self.count > self.first.len() { "; …" } else { "" };
        Err(ButlerError::RegionUpdate {
            what: format!("{} of {} {}", self.count, self.total, self.of),
            source: format!("{}{more}", self.first.join("; ")).into(),
        })
    }
}
