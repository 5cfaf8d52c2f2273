//! [`OverlapQuery`]: which detectors' images touch which patches.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeBinaryArray, Int64Array, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;

use super::columns::{binaries, ids, ints, texts};
use super::{Butler, ButlerError, region};
use crate::dimension::{Expression, Operand};
use crate::registry::Query;
use crate::sphere::ConvexPolygon;

/// The dimensions that the sky map fixes; the registry knows nothing of them.
const SKY_DIMENSIONS: [&str; 3] = ["skymap", "tract", "patch"];

/// A join of detectors' images and patches on the sky.
#[derive(Clone, Debug, PartialEq)]
pub struct OverlapQuery {
    /// Name of the sky map.
    pub sky_map: String,
    /// Only rows for which this is true. It may name tract and patch beside all that the registry knows.
    pub filter: Option<Expression>,
    /// Only images that have a dataset of this type, found first in these collections; adds the columns `id` and `run`.
    pub datasets: Option<(String, Vec<String>)>,
}

impl Butler {
    /// Every pair of a detector's image and a patch that touch: polygon against **outer** polygon, closed sets, exact.
    ///
    /// Columns `skymap, tract, patch, band, instrument, visit, detector` (and `id, run` when datasets are asked for), in
    /// that order of sorting: whoever sums over rows sums in the same order each time.
    ///
    /// # Errors
    /// [`ButlerError::Registry`] for unknown names, [`ButlerError::DamagedRecord`] for a region that cannot be read.
    ///
    /// Source: the spatial join of Rubin's `daf_butler` (visit-detector region against patch region);
    /// `tests/skymap.rs` compares with its exact table.
    pub fn query_overlaps(&self, query: &OverlapQuery) -> Result<RecordBatch, ButlerError> {
        let sky_map = self.sky_map(&query.sky_map)?;
        let filter = query.filter.as_ref().map(|f| self.with_camera_names(f)).transpose()?;
        let (ours, theirs) = split(filter.as_deref());
        let images = self.images(query.datasets.as_ref(), theirs)?;

        let mut pairs: Vec<(u32, u32, u32)> = Vec::new();
        let mut found = Vec::new();
        for (row, region) in images.regions.iter().enumerate() {
            found.clear();
            sky_map.overlaps(region, &mut found);
            pairs.extend(found.iter().map(|&(tract, patch)| (tract, patch, row as u32)));
        }
        let key = |&(tract, patch, row): &(u32, u32, u32)| {
            let row = row as usize;
            (tract, patch, images.band.value(row), images.instrument.value(row), images.visit.value(row))
        };
        pairs.sort_unstable_by(|a, b| {
            key(a)
                .cmp(&key(b))
                .then_with(|| images.detector.value(a.2 as usize).cmp(&images.detector.value(b.2 as usize)))
        });

        let rows = UInt32Array::from_iter_values(pairs.iter().map(|p| p.2));
        let take = |array: &dyn arrow::array::Array| arrow::compute::take(array, &rows, None);
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("skymap", Arc::new(StringArray::from_iter_values(pairs.iter().map(|_| &query.sky_map)))),
            ("tract", Arc::new(Int64Array::from_iter_values(pairs.iter().map(|p| i64::from(p.0))))),
            ("patch", Arc::new(Int64Array::from_iter_values(pairs.iter().map(|p| i64::from(p.1))))),
            ("band", take(&images.band)?),
            ("instrument", take(&images.instrument)?),
            ("visit", take(&images.visit)?),
            ("detector", take(&images.detector)?),
        ];
        if let Some((id, run)) = &images.datasets {
            columns.push(("id", take(id)?));
            columns.push(("run", take(run)?));
        }
        let fields: Vec<_> = columns.iter().map(|(name, c)| Field::new(*name, c.data_type().clone(), false)).collect();
        let joined =
            RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, c)| c).collect())?;
        match ours {
            Some(filter) => Ok(crate::snapshot::filter_rows(&joined, &filter)?),
            None => Ok(joined),
        }
    }

    /// The images to join, one row each.
    fn images(
        &self,
        datasets: Option<&(String, Vec<String>)>,
        filter: Option<Expression>,
    ) -> Result<Images, ButlerError> {
        let query = Query { filter, ..Query::default() };
        let detectors = self.reader().dimension_records("visit_detector", &query)?;
        let mut regions = HashMap::with_capacity(detectors.num_rows());
        let (instrument, visit, detector) =
            (texts(&detectors, "instrument")?, ints(&detectors, "visit")?, ints(&detectors, "detector")?);
        for (row, bytes) in binaries(&detectors, "region")?.iter().enumerate() {
            // An image without a region (an ingest that was told so) touches nothing.
            let Some(bytes) = bytes else { continue };
            let region = region::decode(bytes, || {
                let (i, v, d) = (instrument.value(row), visit.value(row), detector.value(row));
                format!("{{instrument: {i}, visit: {v}, detector: {d}}}")
            })?;
            regions.insert((instrument.value(row), visit.value(row), detector.value(row)), region);
        }
        if let Some((dataset_type, collections)) = datasets {
            let collections: Vec<&str> = collections.iter().map(String::as_str).collect();
            let found = self.reader().datasets(dataset_type, &collections, &query, true)?;
            Images::with_regions(&found, &mut regions, true)
        } else {
            let named = self.with_bands(&detectors)?;
            Images::with_regions(&named, &mut regions, false)
        }
    }

    /// `instrument, visit, detector, band` of detector records.
    fn with_bands(&self, detectors: &RecordBatch) -> Result<RecordBatch, ButlerError> {
        let filters = self.reader().dimension_records("physical_filter", &Query::all())?;
        let bands: HashMap<_, _> = texts(&filters, "instrument")?
            .iter()
            .zip(texts(&filters, "physical_filter")?)
            .zip(texts(&filters, "band")?)
            .collect();
        let visits = self.reader().dimension_records("visit", &Query::all())?;
        let filter_of: HashMap<_, _> = texts(&visits, "instrument")?
            .iter()
            .zip(ints(&visits, "visit")?)
            .zip(texts(&visits, "physical_filter")?)
            .collect();
        let (instrument, visit) = (texts(detectors, "instrument")?, ints(detectors, "visit")?);
        let band: StringArray = instrument
            .iter()
            .zip(visit)
            .map(|(i, v)| filter_of.get(&(i, v)).and_then(|f| bands.get(&(i, *f))).copied().flatten())
            .collect();
        let field = |name: &str, kind| Field::new(name, kind, true);
        Ok(RecordBatch::try_new(
            Arc::new(Schema::new(vec![
                field("instrument", DataType::Utf8),
                field("visit", DataType::Int64),
                field("detector", DataType::Int64),
                field("band", DataType::Utf8),
            ])),
            vec![
                Arc::new(instrument.clone()),
                Arc::new(visit.clone()),
                Arc::new(ints(detectors, "detector")?.clone()),
                Arc::new(band),
            ],
        )?)
    }
}

/// Images with their regions, column by column.
struct Images {
    regions: Vec<ConvexPolygon>,
    instrument: StringArray,
    visit: Int64Array,
    detector: Int64Array,
    band: StringArray,
    datasets: Option<(FixedSizeBinaryArray, StringArray)>,
}

impl Images {
    /// The rows of `found` that have a region. A row's region is taken out of `regions`: data IDs are unique.
    fn with_regions<'a>(
        found: &'a RecordBatch,
        regions: &mut HashMap<(&'a str, i64, i64), ConvexPolygon>,
        datasets: bool,
    ) -> Result<Self, ButlerError> {
        let (instrument, visit, detector) =
            (texts(found, "instrument")?, ints(found, "visit")?, ints(found, "detector")?);
        let mut rows = Vec::with_capacity(found.num_rows());
        let mut taken = Vec::with_capacity(found.num_rows());
        for row in 0..found.num_rows() {
            if let Some(region) = regions.remove(&(instrument.value(row), visit.value(row), detector.value(row))) {
                rows.push(row as u32);
                taken.push(region);
            }
        }
        let found = arrow::compute::take_record_batch(found, &UInt32Array::from(rows))?;
        Ok(Self {
            regions: taken,
            instrument: texts(&found, "instrument")?.clone(),
            visit: ints(&found, "visit")?.clone(),
            detector: ints(&found, "detector")?.clone(),
            band: texts(&found, "band")?.clone(),
            datasets: if datasets { Some((ids(&found, "id")?.clone(), texts(&found, "run")?.clone())) } else { None },
        })
    }
}

/// Parts a filter into what only the joined rows can answer (it names tract, patch) and what the registry can.
fn split(filter: Option<&Expression>) -> (Option<Expression>, Option<Expression>) {
    let (mut ours, mut theirs): (Vec<Expression>, Vec<Expression>) = (Vec::new(), Vec::new());
    let mut stack: Vec<&Expression> = filter.into_iter().collect();
    while let Some(expression) = stack.pop() {
        match expression {
            Expression::And(a, b) => stack.extend([&**b, &**a]),
            other if names_sky(other) => ours.push(other.clone()),
            other => theirs.push(other.clone()),
        }
    }
    let all = |parts: Vec<Expression>| parts.into_iter().reduce(|a, b| Expression::And(Box::new(a), Box::new(b)));
    (all(ours), all(theirs))
}

fn names_sky(expression: &Expression) -> bool {
    let sky = |operand: &Operand| matches!(operand, Operand::Identifier { element, .. } if SKY_DIMENSIONS.contains(&element.as_str()));
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
