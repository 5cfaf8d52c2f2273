//! [`VisitDetectorQuery`]: what detectors saw, found by where it lies on the sky.
//!
//! Beside each record with a region stands its [`SkyKey`], in the column `sky_key` with an index over it, which is no part
//! of the record: it follows from the region, and only tells where to look. Exact relations are the asker's.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{SortColumn, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};

use super::columns::{Cells, ColumnBuilder, table};
use super::database::{Database, Value};
use super::dimension_records::limit;
use super::relation::{Parameter, Relation, element_source, own_dimensions};
use super::schema::{SKY_KEY, quoted};
use super::{Query, Registry, RegistryError, RegistryReader};
use crate::dimension::{ColumnType, Element, Expression, Scope, Universe};
use crate::sphere::{Circle, SkyKey};

const ELEMENT: &str = "visit_detector";

/// Which records of `visit_detector` are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VisitDetectorQuery {
    /// Only those for which this is true; names as for the records of `visit_detector`.
    pub filter: Option<Expression>,
    /// Only those that may touch one of these circles. A search that is quick need not be sharp: every record whose region
    /// shares a point with a circle is in the answer, and others may be.
    pub near: Option<Vec<Circle>>,
    /// Only records that have a region, and the region with each.
    pub with_regions: bool,
    /// Only those that come behind this instrument, visit and detector in the order of the answer.
    pub after: Option<(String, i64, i64)>,
    /// At most so many.
    pub limit: Option<usize>,
}

impl VisitDetectorQuery {
    /// The schema of the answer: `instrument, visit, detector, day_obs, physical_filter, band` and perhaps `region`.
    pub fn schema(&self) -> Arc<Schema> {
        let mut fields: Vec<_> =
            COLUMNS.iter().map(|(name, kind)| Field::new(*name, kind.arrow(), false)).collect();
        if self.with_regions {
            fields.push(Field::new("region", DataType::Binary, false));
        }
        Arc::new(Schema::new(fields))
    }
}

const COLUMNS: [(&str, ColumnType); 6] = [
    ("instrument", ColumnType::Text),
    ("visit", ColumnType::Int),
    ("detector", ColumnType::Int),
    ("day_obs", ColumnType::Int),
    ("physical_filter", ColumnType::Text),
    ("band", ColumnType::Text),
];

/// The names that a filter may use.
pub(super) fn scope() -> Result<Scope, RegistryError> {
    let element = Universe::builtin().element(ELEMENT)?;
    Ok(Scope::new(Universe::builtin().group(element.required.iter().copied())?, format!("`{ELEMENT}` records")))
}

/// The column of keys that goes with a column of regions, when an element has one and it is given.
pub(super) fn sky_keys(element: &Element, cells: &[(&'static str, Cells)]) -> Option<(&'static str, Cells)> {
    let Some((_, Cells::Bytes(regions))) = cells.iter().find(|(name, _)| element.spatial && *name == "region") else {
        return None;
    };
    Some((SKY_KEY, Cells::Int(regions.iter().map(|region| region.map(SkyKey::of_bytes)).collect())))
}

/// Works out the keys of records that have a region and no key: those of a registry of an earlier version.
pub(super) fn fill_sky_keys(database: &mut dyn Database) -> Result<(), RegistryError> {
    let mut found: Vec<(String, i64, i64, i64)> = Vec::new();
    let sql = format!("SELECT instrument, visit, detector, region FROM {ELEMENT} WHERE region IS NOT NULL");
    database.query(&sql, &[], &mut |row| {
        let key = match row.get(3) {
            Value::Bytes(region) => SkyKey::of_bytes(region),
            _ => SkyKey::UNKNOWN,
        };
        found.push((row.text(0)?.to_owned(), row.int(1)?, row.int(2)?, key));
        Ok(())
    })?;
    let sql =
        format!("UPDATE {ELEMENT} SET {SKY_KEY} = ?4 WHERE instrument = ?1 AND visit = ?2 AND detector = ?3");
    for (instrument, visit, detector, key) in &found {
        let values = [Value::Text(instrument), Value::Int(*visit), Value::Int(*detector), Value::Int(*key)];
        database.execute(&sql, &values)?;
    }
    Ok(())
}

impl Registry {
    /// See [`RegistryReader::visit_detectors`].
    pub(super) fn read_visit_detectors(&self, query: &VisitDetectorQuery) -> Result<RecordBatch, RegistryError> {
        let element = Universe::builtin().element(ELEMENT)?;
        let scope = scope()?;
        self.read(|database| {
            let ranges = query.near.as_ref().map(|circles| present_ranges(database, circles)).transpose()?;
            let mut relation = Relation::new(&scope, database, ELEMENT, own_dimensions(element));
            let source = if ranges.is_some() {
                let (low, high) = (relation.bind(Parameter::Int(0))?, relation.bind(Parameter::Int(0))?);
                let names: Vec<_> = element.columns().map(|c| c.0).collect();
                // The limit is none; it keeps the planner from taking the search apart, for it does not know how short
                // the ranges are.
                format!(
                    "(SELECT {} FROM \"{ELEMENT}\" WHERE {SKY_KEY} BETWEEN {low} AND {high} LIMIT {}) AS \"{ELEMENT}\"",
                    quoted(&names),
                    i64::MAX
                )
            } else {
                element_source(element)?
            };
            let mut names = COLUMNS.iter().map(|c| relation.dimension(c.0)).collect::<Result<Vec<_>, _>>()?;
            let mut conditions = Vec::new();
            if query.with_regions {
                names.push(format!("\"{ELEMENT}\".region"));
                conditions.push(format!("\"{ELEMENT}\".region IS NOT NULL"));
            }
            if let Some(filter) = &query.filter {
                conditions.push(relation.filter(filter)?);
            }
            let key = element.required.iter().map(|k| format!("\"{ELEMENT}\".\"{k}\"")).collect::<Vec<_>>().join(", ");
            if let Some((instrument, visit, detector)) = &query.after {
                let instrument = relation.bind(Parameter::Text(instrument.clone()))?;
                let (visit, detector) = (relation.bind(Parameter::Int(*visit))?, relation.bind(Parameter::Int(*detector))?);
                conditions.push(format!("({key}) > ({instrument}, {visit}, {detector})"));
            }
            let condition =
                if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
            let mut sql = format!("SELECT {} FROM {source}{}{condition}", names.join(", "), relation.joins());
            if ranges.is_none() {
                sql = format!("{sql} ORDER BY {key}{}", limit(query.limit));
            }
            let mut columns: Vec<_> = COLUMNS.iter().map(|(n, kind)| ColumnBuilder::new(*n, *kind, false)).collect();
            if query.with_regions {
                columns.push(ColumnBuilder::new("region", ColumnType::Bytes, false));
            }
            let parameters = relation.into_parameters();
            let mut values: Vec<_> = parameters.iter().map(Parameter::value).collect();
            let mut ask = |values: &[Value<'_>]| {
                database.query(&sql, values, &mut |row| {
                    columns.iter_mut().enumerate().try_for_each(|(i, column)| column.push(row.get(i)))
                })
            };
            let Some(ranges) = ranges else {
                ask(&values)?;
                return table(columns);
            };
            for (low, high) in ranges {
                if let [first, second, ..] = values.as_mut_slice() {
                    (*first, *second) = (Value::Int(low), Value::Int(high));
                }
                ask(&values)?;
            }
            in_order(&table(columns)?, query.limit)
        })
    }
}

/// The ranges of keys to look through, of those classes alone that there are.
fn present_ranges(database: &mut dyn Database, circles: &[Circle]) -> Result<Vec<(i64, i64)>, RegistryError> {
    let mut ranges = Vec::new();
    let mut next = 0;
    loop {
        let mut found = None;
        let sql = format!("SELECT MIN({SKY_KEY}) FROM \"{ELEMENT}\" WHERE {SKY_KEY} >= ?1");
        database.query(&sql, &[Value::Int(next)], &mut |row| {
            found = match row.get(0) {
                Value::Null => None,
                _ => Some(row.int(0)?),
            };
            Ok(())
        })?;
        let Some(key) = found else { return Ok(ranges) };
        let (class, end) = SkyKey::class(key);
        ranges.extend(SkyKey::ranges(circles, class));
        next = end;
    }
}

/// Sorted by instrument, visit, detector; the first of them.
fn in_order(batch: &RecordBatch, limit: Option<usize>) -> Result<RecordBatch, RegistryError> {
    let failed = |e: arrow::error::ArrowError| RegistryError::damaged(e.to_string());
    let keys: Vec<_> =
        batch.columns().iter().take(3).map(|values| SortColumn { values: values.clone(), options: None }).collect();
    let indices = lexsort_to_indices(&keys, limit).map_err(failed)?;
    take_record_batch(batch, &indices).map_err(failed)
}

/// The answer of a reader that has no better way than to look at all records.
pub(super) fn by_records<R: RegistryReader + ?Sized>(
    reader: &R,
    query: &VisitDetectorQuery,
) -> Result<RecordBatch, RegistryError> {
    let records = reader.dimension_records(ELEMENT, &Query { filter: query.filter.clone(), ..Query::default() })?;
    let visits = reader.dimension_records("visit", &Query::all())?;
    let filters = reader.dimension_records("physical_filter", &Query::all())?;
    let (filter_instrument, filter_name) = (texts(&filters, "instrument")?, texts(&filters, "physical_filter")?);
    let filter_rows: HashMap<_, _> = keys(&filter_instrument, &filter_name).zip(0_u32..).collect();
    let (visit_instrument, visit_filter) = (texts(&visits, "instrument")?, texts(&visits, "physical_filter")?);
    let visit_number = ints(&visits, "visit")?;
    let mut visit_rows = HashMap::new();
    for row in 0..visits.num_rows() {
        visit_rows.insert((visit_instrument.value(row), visit_number.value(row)), row);
    }
    let (instrument, visit, detector) =
        (texts(&records, "instrument")?, ints(&records, "visit")?, ints(&records, "detector")?);
    let regions = records.column_by_name("region").cloned();
    let (mut own, mut of_visit, mut of_filter) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..records.num_rows() {
        let key = (instrument.value(row), visit.value(row), detector.value(row));
        let behind = query.after.as_ref().is_none_or(|(i, v, d)| key > (i.as_str(), *v, *d));
        let has_region = regions.as_ref().is_some_and(|regions| regions.is_valid(row));
        if !behind || (query.with_regions || query.near.is_some()) && !has_region {
            continue;
        }
        let Some(visit_row) = visit_rows.get(&(key.0, key.1)) else { continue };
        let Some(filter) = filter_rows.get(&(key.0, visit_filter.value(*visit_row))) else { continue };
        own.push(row as u32);
        of_visit.push(*visit_row as u32);
        of_filter.push(*filter);
        if query.limit.is_some_and(|limit| own.len() >= limit) {
            break;
        }
    }
    if query.limit == Some(0) {
        (own, of_visit, of_filter) = Default::default();
    }
    let take = |batch: &RecordBatch, name: &str, rows: &[u32]| -> Result<ArrayRef, RegistryError> {
        let column = batch.column_by_name(name).ok_or_else(|| absent(name))?;
        arrow::compute::take(column, &UInt32Array::from(rows.to_vec()), None)
            .map_err(|e| RegistryError::damaged(e.to_string()))
    };
    let mut columns = vec![
        take(&records, "instrument", &own)?,
        take(&records, "visit", &own)?,
        take(&records, "detector", &own)?,
        take(&visits, "day_obs", &of_visit)?,
        take(&visits, "physical_filter", &of_visit)?,
        take(&filters, "band", &of_filter)?,
    ];
    if query.with_regions {
        columns.push(take(&records, "region", &own)?);
    }
    RecordBatch::try_new(query.schema(), columns).map_err(|e| RegistryError::damaged(e.to_string()))
}

fn keys<'a>(a: &'a StringArray, b: &'a StringArray) -> impl Iterator<Item = (&'a str, &'a str)> {
    (0..a.len()).map(|row| (a.value(row), b.value(row)))
}

fn absent(name: &str) -> RegistryError {
    RegistryError::damaged(format!("records without a column `{name}`"))
}

fn texts(batch: &RecordBatch, name: &str) -> Result<StringArray, RegistryError> {
    batch.column_by_name(name).and_then(|c| c.as_string_opt::<i32>()).cloned().ok_or_else(|| absent(name))
}

fn ints(batch: &RecordBatch, name: &str) -> Result<Int64Array, RegistryError> {
    batch.column_by_name(name).and_then(|c| c.as_primitive_opt::<Int64Type>()).cloned().ok_or_else(|| absent(name))
}
