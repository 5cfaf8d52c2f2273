//! What is valid when, from a snapshot.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema};

use super::registry_view::{RegistryView, plain, store};
use super::rows::Rows;
use super::{names, search_path};
use crate::dataset::{CollectionSearch, CollectionType};
use crate::dimension::{DataId, Scope, Universe};
use crate::registry::{Query, RegistryError, RegistryReader};

impl RegistryView {
    /// See [`RegistryReader::calibrations`].
    pub(super) fn find_valid(
        &self,
        dataset_type: &str,
        collections: &[&str],
        query: &Query,
    ) -> Result<RecordBatch, RegistryError> {
        let kind = self.dataset_type(dataset_type)?;
        let search = CollectionSearch::names_for(collections, dataset_type)?;
        let known = self.known_collections();
        let mut path = search_path::expand(known, &search, false)?;
        path.retain(|at| known[*at].collection_type == CollectionType::Calibration);
        let doing = || format!("reading calibrations `{dataset_type}` from snapshot `{}`", self.snapshot().name());
        if path.is_empty() && self.snapshot().table(&names::calibrations(dataset_type)).is_err() {
            return empty(&kind.dimensions).map_err(|e| store(doing(), e));
        }
        let batch =
            self.snapshot().to_record_batch(&names::calibrations(dataset_type)).map_err(|e| store(doing(), e))?;
        let width = kind.dimensions.len();
        let column = |name: &str| {
            batch.column_by_name(name).cloned().ok_or_else(|| store(doing(), format!("there is no column `{name}`")))
        };
        let texts = cast(&column(names::COLLECTION)?, &DataType::Utf8).map_err(|e| store(doing(), e))?;
        let texts: &StringArray =
            texts.as_string_opt::<i32>().ok_or_else(|| store(doing(), "collections are no texts"))?;
        let begin = column("begin")?;
        let begin = begin.as_primitive_opt::<Int64Type>().ok_or_else(|| store(doing(), "times are no integers"))?;
        let keys = batch.project(&(2..2 + width).collect::<Vec<_>>()).map_err(|e| store(doing(), e))?;
        // Rows of one data ID stand together.
        let mut group = 0;
        let mut last: Option<DataId> = None;
        let mut rows = Vec::new();
        for (row, data_id) in DataId::of_rows(&keys).enumerate() {
            if last.as_ref().is_some_and(|l| *l != data_id) {
                group += 1;
            }
            last = Some(data_id);
            let place = path.iter().position(|at| *known[*at].name == *texts.value(row));
            if let Some(place) = place {
                let first = if begin.is_null(row) { i64::MIN } else { begin.value(row) };
                rows.push((group, place, first, row as u64));
            }
        }
        rows.sort_unstable();
        let universe = Universe::builtin().group(kind.dimensions.iter().map(|d| &**d))?;
        let scope = Scope::new(universe.clone(), format!("`{dataset_type}` {universe}"));
        let candidates = rows.into_iter().map(|(.., row)| row).collect();
        let wanted = Query { order_by: Vec::new(), ..query.clone() };
        let chosen = Rows::new(self, &scope, &batch, None).chosen(&wanted, Some(candidates))?;
        let schema = batch.schema();
        let mut fields = Vec::new();
        let mut columns = Vec::new();
        for field in schema.fields() {
            columns.push(plain(&batch, field.name(), &chosen).map_err(|e| store(doing(), e))?);
            fields.push(Field::new(field.name(), names::plain_type(field.data_type()), field.is_nullable()));
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|e| store(doing(), e))
    }
}

/// The answer without rows.
fn empty(dimensions: &[Arc<str>]) -> Result<RecordBatch, Box<dyn std::error::Error + Send + Sync>> {
    let mut fields =
        vec![Field::new("id", DataType::FixedSizeBinary(16), false), Field::new("run", DataType::Utf8, false)];
    for name in dimensions {
        fields.push(Field::new(&**name, Universe::builtin().dimension(name)?.1.arrow(), false));
    }
    fields.push(Field::new("collection", DataType::Utf8, false));
    fields.extend(["begin", "end"].map(|name| Field::new(name, DataType::Int64, true)));
    let columns: Vec<ArrayRef> = fields.iter().map(|f| arrow::array::new_empty_array(f.data_type())).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}
