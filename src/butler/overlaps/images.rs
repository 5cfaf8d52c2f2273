//! [`Images`]: some images with their regions, as columns; and [`ImageSide`]: which are wanted.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use rayon::prelude::*;

use super::query::IMAGE_DIMENSIONS;
use crate::butler::columns::{binaries, ids, ints, texts};
use crate::butler::{Butler, ButlerError, region};
use crate::dimension::{Expression, InItem, Literal, Operand, Universe};
use crate::registry::{Query, RegistryError, VisitDetectorQuery};
use crate::sphere::{Circle, PolygonColumns, Region, SphereError};

/// So many visits are asked for by their numbers; of more all are looked at.
const MOST_VISITS: usize = 20_000;

/// Images with a region, sorted by instrument, visit, detector.
pub(in crate::butler) struct Images {
    /// `instrument, visit, detector, day_obs, physical_filter, band`, and perhaps `id, run`.
    pub(in crate::butler) batch: RecordBatch,
    vertices: Vertices,
}

/// Coordinates of vertices, polygon after polygon.
#[derive(Default)]
struct Vertices {
    x: Vec<f64>,
    y: Vec<f64>,
    z: Vec<f64>,
    offsets: Vec<u64>,
}

impl Vertices {
    fn columns(&self) -> Result<PolygonColumns<'_>, SphereError> {
        PolygonColumns::new(&self.x, &self.y, &self.z, &self.offsets)
    }

    /// The vertices that encoded polygons say they have; `None` when one is something else.
    fn read<'a>(regions: impl Iterator<Item = Option<&'a [u8]>>) -> Option<Self> {
        let mut read = Self { offsets: vec![0], ..Self::default() };
        for bytes in regions {
            let (b'p', body) = bytes?.split_first()? else { return None };
            let (numbers, rest) = body.as_chunks::<8>();
            let (vertices, odd) = numbers.as_chunks::<3>();
            if !rest.is_empty() || !odd.is_empty() {
                return None;
            }
            for [x, y, z] in vertices {
                read.x.push(f64::from_le_bytes(*x));
                read.y.push(f64::from_le_bytes(*y));
                read.z.push(f64::from_le_bytes(*z));
            }
            read.offsets.push(read.x.len() as u64);
        }
        Some(read)
    }

    /// Those of some rows.
    fn take(&self, rows: &[u32]) -> Self {
        let mut taken = Self { offsets: vec![0], ..Self::default() };
        for row in rows {
            let range = self.offsets[*row as usize] as usize..self.offsets[*row as usize + 1] as usize;
            taken.x.extend(&self.x[range.clone()]);
            taken.y.extend(&self.y[range.clone()]);
            taken.z.extend(&self.z[range]);
            taken.offsets.push(taken.x.len() as u64);
        }
        taken
    }
}

/// Instrument, visit and detector.
pub(super) type ImageKey = (String, i64, i64);

impl Images {
    /// The images of an answer with regions, of those that touch a region where it is given.
    pub(in crate::butler) fn of(found: &RecordBatch, within: Option<&Region>) -> Result<Self, ButlerError> {
        let regions = binaries(found, "region")?;
        let vertices = match Vertices::read(regions.iter()) {
            Some(vertices) if vertices.columns().is_ok() => vertices,
            // One by one, which says whose region is damaged, and takes what is no more than unusual.
            _ => {
                let (instrument, visit, detector) =
                    (texts(found, "instrument")?, ints(found, "visit")?, ints(found, "detector")?);
                let mut read = Vertices { offsets: vec![0], ..Vertices::default() };
                for (row, bytes) in regions.iter().enumerate() {
                    let polygon = region::decode(bytes.unwrap_or_default(), || {
                        let (i, v, d) = (instrument.value(row), visit.value(row), detector.value(row));
                        format!("{{instrument: {i}, visit: {v}, detector: {d}}}")
                    })?;
                    for v in polygon.vertices() {
                        read.x.push(v.x);
                        read.y.push(v.y);
                        read.z.push(v.z);
                    }
                    read.offsets.push(read.x.len() as u64);
                }
                read
            }
        };
        let names: Vec<usize> =
            (0..found.num_columns()).filter(|i| found.schema_ref().field(*i).name() != "region").collect();
        let all = Self { batch: found.project(&names)?, vertices };
        let Some(within) = within else { return Ok(all) };
        let columns = all.polygons()?;
        let touches = |row: usize| match within {
            Region::Polygon(polygon) => columns.relate_polygon(row, polygon).intersects(),
            other => other.relate(&Region::from(columns.polygon(row))).intersects(),
        };
        let rows: Vec<u32> =
            (0..columns.len()).into_par_iter().filter(|row| touches(*row)).map(|row| row as u32).collect();
        all.take(rows)
    }

    /// The polygons of the images, row by row.
    pub(super) fn polygons(&self) -> Result<PolygonColumns<'_>, ButlerError> {
        Ok(self.vertices.columns()?)
    }

    pub(super) fn len(&self) -> usize {
        self.batch.num_rows()
    }

    fn take(&self, rows: Vec<u32>) -> Result<Self, ButlerError> {
        let vertices = self.vertices.take(&rows);
        Ok(Self { batch: take_record_batch(&self.batch, &UInt32Array::from(rows))?, vertices })
    }
}

/// Which images are wanted.
#[derive(Clone, Debug)]
pub(super) struct ImageSide {
    pub(super) filter: Option<Expression>,
    pub(super) region: Option<Region>,
    datasets: Option<Datasets>,
}

/// Datasets that the images must have.
#[derive(Clone, Debug)]
struct Datasets {
    dataset_type: String,
    collections: Vec<String>,
    by_detector: bool,
}

impl ImageSide {
    /// Checks the names.
    pub(super) fn new(
        butler: &Butler,
        filter: Option<Expression>,
        region: Option<Region>,
        datasets: Option<&(String, Vec<String>)>,
    ) -> Result<Self, ButlerError> {
        let datasets = datasets.map(|(name, collections)| {
            let kind = butler.reader().dataset_type(name)?;
            let dimensions: Vec<&str> = kind.dimensions.iter().map(|d| &**d).collect();
            if !dimensions.contains(&"visit") || dimensions.iter().any(|d| !IMAGE_DIMENSIONS.contains(d)) {
                return Err(ButlerError::Question(format!(
                    "`{name}` is named by {}, not by visit and detector: it is no image of the sky, such as calexp; which data \
                     IDs have one, says `bunter query-data-ids REPO {} --dataset-type {name}`",
                    dimensions.join(", "),
                    dimensions.join(",")
                )));
            }
            if let Some(pattern) = collections.iter().find(|c| c.contains(['*', '?'])) {
                return Err(RegistryError::PatternInSearch { pattern: pattern.clone() }.into());
            }
            Ok(Datasets {
                dataset_type: name.clone(),
                collections: collections.clone(),
                by_detector: dimensions.contains(&"detector"),
            })
        });
        Ok(Self { filter, region, datasets: datasets.transpose()? })
    }

    /// Whether images are named with their datasets; whether these are of detectors.
    pub(super) fn datasets(&self) -> Option<bool> {
        self.datasets.as_ref().map(|d| d.by_detector)
    }

    /// The images near circles, or a page of all: at most `limit` behind `after`. With them the key of the last that was looked
    /// at, when the page is full.
    pub(super) fn read(
        &self,
        butler: &Butler,
        near: Option<Vec<Circle>>,
        after: Option<ImageKey>,
        limit: Option<usize>,
    ) -> Result<(Images, Option<ImageKey>), ButlerError> {
        let query = VisitDetectorQuery { filter: self.filter.clone(), near, with_regions: true, after, limit };
        let found = butler.reader().visit_detectors(&query)?;
        let last = match found.num_rows().checked_sub(1) {
            Some(last) if limit.is_some_and(|limit| found.num_rows() >= limit) => Some((
                texts(&found, "instrument")?.value(last).to_owned(),
                ints(&found, "visit")?.value(last),
                ints(&found, "detector")?.value(last),
            )),
            _ => None,
        };
        let images = Images::of(&found, self.region.as_ref())?;
        let images = match &self.datasets {
            Some(datasets) => datasets.of(butler, &images)?,
            None => images,
        };
        Ok((images, last))
    }
}

impl Datasets {
    /// The images that have a dataset, with its identity and run.
    fn of(&self, butler: &Butler, images: &Images) -> Result<Images, ButlerError> {
        let (instrument, visit, detector) =
            (texts(&images.batch, "instrument")?, ints(&images.batch, "visit")?, ints(&images.batch, "detector")?);
        let collections: Vec<&str> = self.collections.iter().map(String::as_str).collect();
        let query = Query { filter: visit_list(visit), ..Query::default() };
        // Twins come in the order of the search: the first is the one that is found.
        let found = butler.reader().datasets(&self.dataset_type, &collections, &query, false)?;
        let (of_instrument, of_visit) = (texts(&found, "instrument")?, ints(&found, "visit")?);
        let of_detector = if self.by_detector { Some(ints(&found, "detector")?) } else { None };
        let mut first = HashMap::with_capacity(found.num_rows());
        for row in 0..found.num_rows() {
            let detector = of_detector.map(|d| d.value(row));
            first.entry((of_instrument.value(row), of_visit.value(row), detector)).or_insert(row as u32);
        }
        let (mut rows, mut datasets) = (Vec::new(), Vec::new());
        for row in 0..images.len() {
            let detector = self.by_detector.then(|| detector.value(row));
            if let Some(dataset) = first.get(&(instrument.value(row), visit.value(row), detector)) {
                rows.push(row as u32);
                datasets.push(*dataset);
            }
        }
        let taken = images.take(rows)?;
        let datasets = UInt32Array::from(datasets);
        let mut fields: Vec<_> = taken.batch.schema().fields().iter().cloned().collect();
        let mut columns: Vec<ArrayRef> = taken.batch.columns().to_vec();
        for (name, column) in
            [("id", Arc::new(ids(&found, "id")?.clone()) as ArrayRef), ("run", Arc::new(texts(&found, "run")?.clone()))]
        {
            fields.push(Arc::new(Field::new(name, column.data_type().clone(), false)));
            columns.push(arrow::compute::take(&column, &datasets, None)?);
        }
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        Ok(Images { batch, vertices: taken.vertices })
    }
}

/// A filter for the visits of a column; `None` of too many.
pub(in crate::butler) fn visit_list(visits: &Int64Array) -> Option<Expression> {
    let visits: BTreeSet<i64> = visits.values().iter().copied().collect();
    if visits.len() > MOST_VISITS {
        return None;
    }
    let visit = Universe::builtin().element("visit").ok()?;
    Some(Expression::In {
        operand: Operand::Identifier { element: visit.name.to_owned(), field: None },
        items: visits.into_iter().map(|v| InItem::Value(Literal::Int(v))).collect(),
        negated: false,
    })
}
