//! What detectors saw, found in a snapshot by where it lies on the sky: the registry's search by keys, over columns.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt64Array};
use arrow::compute::{concat_batches, filter_record_batch, take_record_batch};
use arrow::error::ArrowError;
use rayon::prelude::*;

use super::keys::{self, Keys};
use super::registry_view::{RegistryView, store};
use super::rows::Rows;
use crate::dimension::{DimensionValue, Element, Scope, Universe};
use crate::registry::{Query, RegistryError, VisitDetectorQuery};
use crate::sphere::{Circle, SkyKey};

/// Keys with the rows that they are of, sorted.
pub(super) type SkyIndex = Vec<(i64, u64)>;

const ELEMENT: &str = "visit_detector";
const DOING: &str = "searching the images of a snapshot";
/// Rows looked at together where a filter may leave few of them.
const BLOCK: usize = 65_536;

impl RegistryView {
    /// See [`RegistryReader::visit_detectors`](crate::registry::RegistryReader::visit_detectors).
    pub(super) fn find_visit_detectors(&self, query: &VisitDetectorQuery) -> Result<RecordBatch, RegistryError> {
        let element = Universe::builtin().element(ELEMENT)?;
        let (batch, keys) = self.records(element)?;
        let group = Universe::builtin().group(element.required.iter().copied())?;
        let scope = Scope::new(group, format!("`{ELEMENT}` records"));
        let start = query.after.as_ref().map_or(0, |after| first_behind(keys, after));
        let limit = query.limit.unwrap_or(usize::MAX);
        let mut found = Vec::new();
        let mut rows = 0;
        if let Some(circles) = &query.near {
            let candidates = UInt64Array::from(self.candidates(batch, circles, start)?);
            let near = take_record_batch(batch, &candidates).map_err(failed)?;
            found.push(self.answer(&near, element, &scope, query, limit)?);
        } else {
            // A snapshot of nothing is asked too: names are checked, and the columns are there.
            let mut at = start.min(batch.num_rows());
            loop {
                let length = BLOCK.max(query.limit.unwrap_or(batch.num_rows())).min(batch.num_rows() - at);
                let part = self.answer(&batch.slice(at, length), element, &scope, query, limit - rows)?;
                rows += part.num_rows();
                at += length;
                found.push(part);
                if at >= batch.num_rows() || rows >= limit {
                    break;
                }
            }
        }
        concat_batches(&query.schema(), &found).map_err(failed)
    }

    /// The rows of a part of the records that a query asks for, as it asks for them.
    fn answer(
        &self,
        part: &RecordBatch,
        element: &'static Element,
        scope: &Scope,
        query: &VisitDetectorQuery,
        limit: usize,
    ) -> Result<RecordBatch, RegistryError> {
        let rows = Rows::new(self, scope, part, Some(element));
        let chosen = Query { filter: query.filter.clone(), ..Query::default() };
        let chosen = rows.chosen(&chosen, None)?;
        let part = take_record_batch(part, &chosen).map_err(failed)?;
        let rows = Rows::new(self, scope, &part, Some(element));
        let schema = query.schema();
        let columns = schema.fields().iter().map(|field| {
            let column = match field.name().as_str() {
                "region" => part.column_by_name("region").cloned().ok_or_else(|| store(DOING, "there are no regions"))?,
                name => rows.dimension_column(name)?,
            };
            plain(&column).map_err(failed)
        });
        let columns = columns.collect::<Result<Vec<ArrayRef>, RegistryError>>()?;
        // A record whose visit was left out of the snapshot has no filter; one without a region may not be wanted.
        let whole: BooleanArray =
            (0..part.num_rows()).map(|row| Some(columns.iter().all(|column| column.is_valid(row)))).collect();
        let nullable: Vec<_> = schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
        let all = RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(nullable)), columns).map_err(failed)?;
        let all = filter_record_batch(&all, &whole).map_err(failed)?;
        let all = all.slice(0, limit.min(all.num_rows()));
        RecordBatch::try_new(schema, all.columns().to_vec()).map_err(failed)
    }

    /// The rows from `start` on that may touch one of the circles, in order.
    fn candidates(&self, batch: &RecordBatch, circles: &[Circle], start: usize) -> Result<Vec<u64>, RegistryError> {
        let index = self.sky_index(batch)?;
        let mut rows = Vec::new();
        let mut at = 0;
        while let Some((key, _)) = index.get(at) {
            let (class, next) = SkyKey::class(*key);
            for (low, high) in SkyKey::ranges(circles, class) {
                let first = index.partition_point(|(key, _)| *key < low);
                let inside = index[first..].iter().take_while(|(key, _)| *key <= high);
                rows.extend(inside.map(|(_, row)| *row).filter(|row| *row >= start as u64));
            }
            at = index.partition_point(|(key, _)| *key < next);
        }
        rows.sort_unstable();
        Ok(rows)
    }

    /// The keys of all regions, made when first asked for.
    fn sky_index(&self, batch: &RecordBatch) -> Result<&SkyIndex, RegistryError> {
        let cell = self.sky();
        if let Some(index) = cell.get() {
            return Ok(index);
        }
        let regions = batch.column_by_name("region").and_then(|c| c.as_binary_opt::<i32>());
        let regions = regions.ok_or_else(|| store(DOING, "there is no column of regions"))?;
        let mut index: SkyIndex = (0..batch.num_rows())
            .into_par_iter()
            .filter(|row| regions.is_valid(*row))
            .map(|row| (SkyKey::of_bytes(regions.value(row)), row as u64))
            .collect();
        index.par_sort_unstable();
        Ok(cell.get_or_init(|| index))
    }
}

/// The first row behind a key.
fn first_behind(keys: &Keys, after: &(String, i64, i64)) -> usize {
    let after = [DimensionValue::from(after.0.as_str()), after.1.into(), after.2.into()];
    let (mut low, mut high) = (0, keys.rows);
    while low < high {
        let middle = low.midpoint(high);
        let here = keys.columns.iter().map(|column| column.value(middle));
        if here.le(after.iter().cloned()) { low = middle + 1 } else { high = middle }
    }
    low
}

/// Texts as texts.
fn plain(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match keys::dictionary(column) {
        Some((codes, texts)) => arrow::compute::take(&texts, &codes, None),
        None => Ok(Arc::clone(column)),
    }
}

fn failed(e: ArrowError) -> RegistryError {
    store(DOING, e)
}
