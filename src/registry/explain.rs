//! Why a search finds what it finds.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema};
use uuid::Uuid;

use super::{Query, RegistryError, RegistryReader};
use crate::dataset::{CollectionSearch, CollectionType};

/// [`RegistryReader::explain`], over any reader: each collection is asked by itself.
pub(super) fn explain<R: RegistryReader + ?Sized>(
    reader: &R,
    dataset_type: &str,
    collections: &[&str],
    query: &Query,
) -> Result<RecordBatch, RegistryError> {
    let kind = reader.dataset_type(dataset_type)?;
    let known = reader.collections()?;
    // The search itself refuses what it cannot search.
    reader.datasets(dataset_type, collections, &Query { limit: Some(1), ..query.clone() }, true)?;
    let steps = CollectionSearch::parse(collections)?.steps(dataset_type, &known);
    let damaged = |e: arrow::error::ArrowError| RegistryError::damaged(e.to_string());
    let whole = Query { limit: None, ..query.clone() };
    let (mut batches, mut places) = (Vec::new(), Vec::new());
    for (place, step) in steps.iter().enumerate() {
        // Without a time, nothing of a CALIBRATION collection is found.
        if step.collection.collection_type == CollectionType::Calibration {
            continue;
        }
        let batch = reader.datasets(dataset_type, &[&*format!("*={}", step.collection.name)], &whole, false)?;
        places.extend(std::iter::repeat_n(place, batch.num_rows()));
        batches.push(batch);
    }
    if batches.is_empty() {
        batches.push(reader.datasets(dataset_type, &[], &whole, false)?);
    }
    let all = concat_batches(batches[0].schema_ref(), &batches).map_err(damaged)?;
    let ids = all.column_by_name("id").and_then(|a| a.as_fixed_size_binary_opt());
    let ids = ids.ok_or_else(|| RegistryError::damaged("datasets have no `id`"))?;
    let runs = all.column_by_name("run").and_then(|a| a.as_string_opt::<i32>());
    let runs = runs.ok_or_else(|| RegistryError::damaged("datasets have no `run`"))?;
    let width = kind.dimensions.len();
    let keys = all.project(&(2..2 + width).collect::<Vec<_>>()).map_err(damaged)?;
    // Where each data ID was met first, and the others by it.
    let mut met: HashMap<crate::dimension::DataId, usize> = HashMap::new();
    let mut found: Vec<(usize, Vec<usize>)> = Vec::new();
    let data_ids: Box<dyn Iterator<Item = crate::dimension::DataId>> = if width == 0 {
        Box::new(std::iter::repeat_n(crate::dimension::DataId::new(), all.num_rows()))
    } else {
        Box::new(crate::dimension::DataId::of_rows(&keys))
    };
    for (row, data_id) in data_ids.enumerate() {
        if let Some(at) = met.get(&data_id) {
            found[*at].1.push(row);
        } else {
            met.insert(data_id, found.len());
            found.push((row, Vec::new()));
        }
    }
    found.truncate(query.limit.unwrap_or(usize::MAX));
    let rows: arrow::array::UInt64Array = found.iter().map(|(row, _)| Some(*row as u64)).collect();
    let chosen = take_record_batch(&all, &rows).map_err(damaged)?;
    let step = |row: usize| &steps[places[row]];
    let name = |row: usize| step(row).collection.name.to_string();
    let told = |row: usize| {
        let id = Uuid::from_slice(ids.value(row)).unwrap_or_default();
        let same = name(row) == runs.value(row);
        let run = if same { String::new() } else { format!(" of run {}", runs.value(row)) };
        format!("{}: {id}{run}", name(row))
    };
    let shadowed = |(row, others): &(usize, Vec<usize>)| {
        let others = others.iter().filter(|other| ids.value(**other) != ids.value(*row));
        others.map(|row| told(*row)).collect::<Vec<_>>()
    };
    let shadowed: Vec<Vec<String>> = found.iter().map(shadowed).collect();
    let more: [(&str, ArrayRef); 4] = [
        ("found_in", Arc::new(StringArray::from_iter_values(found.iter().map(|(row, _)| name(*row))))),
        ("route", Arc::new(StringArray::from_iter_values(found.iter().map(|(row, _)| step(*row).route.join(" → "))))),
        ("shadowed", Arc::new(shadowed.iter().map(|s| Some(s.len() as i64)).collect::<Int64Array>())),
        ("shadows", Arc::new(StringArray::from_iter_values(shadowed.iter().map(|s| s.join("; "))))),
    ];
    let mut fields: Vec<Arc<Field>> = chosen.schema_ref().fields().iter().cloned().collect();
    let mut columns = chosen.columns().to_vec();
    for (name, column) in more {
        let kind = if name == "shadowed" { DataType::Int64 } else { DataType::Utf8 };
        fields.push(Arc::new(Field::new(name, kind, false)));
        columns.push(column);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(damaged)
}
