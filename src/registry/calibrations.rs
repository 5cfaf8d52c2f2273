//! CALIBRATION collections: what is valid when.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use uuid::Uuid;

use super::changes::{ChangeKind, Entry, record};
use super::collections::{find_of_type, search_order};
use super::columns::{ColumnBuilder, table};
use super::database::Value;
use super::members::Finder;
use super::relation::{Parameter, Relation};
use super::{Inserted, Query, Registry, RegistryError, RegistryReader, dataset_types, guards};
use crate::dataset::{CollectionSearch, CollectionType, DatasetRef, Timespan};
use crate::dimension::{
    ColumnType, Comparison, DataId, DimensionValue, Expression, InItem, Literal, Operand, Scope, Universe,
};

impl Registry {
    /// Makes a CALIBRATION collection; `false` when it was there.
    ///
    /// # Errors
    /// [`RegistryError::CollectionName`]; [`RegistryError::CollectionType`] when the name stands for another type.
    pub fn register_calibration(&self, name: &str) -> Result<bool, RegistryError> {
        self.register_collection(name, CollectionType::Calibration)
    }

    /// Makes datasets valid for a span of time in a CALIBRATION collection. All or nothing; doing it again changes nothing.
    ///
    /// # Errors
    /// [`RegistryError::CalibrationClash`] when another dataset of the type and data ID, or the same with another span, is valid
    /// in a part of the span; [`RegistryError::CollectionType`]; [`RegistryError::UnknownCollection`];
    /// [`RegistryError::Missing`] for a dataset that does not exist; [`RegistryError::Invalid`] for a span without time;
    /// [`RegistryError::Refused`].
    pub fn certify(&self, collection: &str, ids: &[Uuid], validity: Timespan) -> Result<Inserted, RegistryError> {
        check(validity)?;
        self.write(|database| {
            let row = find_of_type(database, collection, CollectionType::Calibration)?;
            guards::check_writable(database, &row, self.user())?;
            let mut finder = Finder::new(database)?;
            let insert = database.insert_or_nothing(
                "calibration",
                &["collection", "dataset_type", "data_id", "valid_from", "valid_until", "dataset"],
            );
            let mut inserted = Inserted::default();
            for id in ids {
                let member = finder.get(database, *id, collection)?;
                let key = [Value::Int(row.id), Value::Int(member.kind), Value::Text(&member.key)];
                let (from, until) = (Value::Int(validity.first()), Value::Int(validity.after()));
                let mut clash = None;
                database.query(
                    "SELECT dataset, valid_from, valid_until FROM calibration
                     WHERE collection = ?1 AND dataset_type = ?2 AND data_id = ?3 AND valid_from < ?5 AND valid_until > ?4
                     ORDER BY valid_from LIMIT 1",
                    &[key[0], key[1], key[2], from, until],
                    &mut |found| {
                        clash = Some((found.int(0)?, Timespan::from_ends(found.int(1)?, found.int(2)?)));
                        Ok(())
                    },
                )?;
                match clash {
                    Some((number, span)) if number == member.number && span == validity => inserted.existing += 1,
                    Some((number, span)) => {
                        return Err(RegistryError::CalibrationClash {
                            what: format!("`{}` {}", member.dataset.dataset_type, member.dataset.data_id),
                            collection: collection.to_owned(),
                            new: format!("{id} of run `{}`", member.dataset.run),
                            validity,
                            existing: finder.shown(database, member.kind, number)?,
                            valid: span,
                        });
                    }
                    None => {
                        database.execute(&insert, &[key[0], key[1], key[2], from, until, Value::Int(member.number)])?;
                        inserted.new += 1;
                    }
                }
            }
            if inserted.new > 0 {
                record(database, &[Entry { count: inserted.new, ..Entry::of_collection(ChangeKind::Certified, collection) }])?;
            }
            Ok(inserted)
        })
    }

    /// Takes a span of time from the validity of datasets of a type: ranges that reach out of it are shortened, or cut in two.
    /// `data_ids` are those it is taken from; all where there are none. Gives how many ranges were touched.
    ///
    /// # Errors
    /// [`RegistryError::CollectionType`]; [`RegistryError::UnknownCollection`]; [`RegistryError::UnknownDatasetType`];
    /// [`RegistryError::Dimension`] for a data ID that does not fit; [`RegistryError::Invalid`]; [`RegistryError::Refused`].
    pub fn decertify(
        &self,
        collection: &str,
        dataset_type: &str,
        span: Timespan,
        data_ids: &[DataId],
    ) -> Result<usize, RegistryError> {
        check(span)?;
        self.write(|database| {
            let row = find_of_type(database, collection, CollectionType::Calibration)?;
            guards::check_writable(database, &row, self.user())?;
            let kind = dataset_types::find(database, dataset_type)?;
            let mut keys = std::collections::HashSet::new();
            for data_id in data_ids {
                kind.group.check_at_least(data_id)?;
                keys.insert(super::quantum::to_json(&data_id.subset(kind.group.required().iter().copied())));
            }
            let mut touched = Vec::new();
            database.query(
                "SELECT data_id, valid_from, valid_until, dataset FROM calibration
                 WHERE collection = ?1 AND dataset_type = ?2 AND valid_from < ?4 AND valid_until > ?3",
                &[Value::Int(row.id), Value::Int(kind.id), Value::Int(span.first()), Value::Int(span.after())],
                &mut |found| {
                    let key = found.text(0)?;
                    if keys.is_empty() || keys.contains(key) {
                        touched.push((key.to_owned(), Timespan::from_ends(found.int(1)?, found.int(2)?), found.int(3)?));
                    }
                    Ok(())
                },
            )?;
            let insert = database.insert_or_nothing(
                "calibration",
                &["collection", "dataset_type", "data_id", "valid_from", "valid_until", "dataset"],
            );
            for (key, valid, number) in &touched {
                let name = [Value::Int(row.id), Value::Int(kind.id), Value::Text(key)];
                database.execute(
                    "DELETE FROM calibration WHERE collection = ?1 AND dataset_type = ?2 AND data_id = ?3 AND valid_from = ?4",
                    &[name[0], name[1], name[2], Value::Int(valid.first())],
                )?;
                for left in valid.without(span) {
                    let ends = [Value::Int(left.first()), Value::Int(left.after())];
                    database.execute(&insert, &[name[0], name[1], name[2], ends[0], ends[1], Value::Int(*number)])?;
                }
            }
            if !touched.is_empty() {
                let entry = Entry { count: touched.len(), ..Entry::of_collection(ChangeKind::Decertified, collection) };
                record(database, &[entry])?;
            }
            Ok(touched.len())
        })
    }

    /// See [`RegistryReader::calibrations`].
    pub(super) fn read_calibrations(
        &self,
        dataset_type: &str,
        collections: &[&str],
        query: &Query,
    ) -> Result<RecordBatch, RegistryError> {
        self.read(|database| {
            let row = dataset_types::find(database, dataset_type)?;
            let search = CollectionSearch::names_for(collections, dataset_type)?;
            let mut order = search_order(database, &search, false)?;
            order.retain(|c| c.kind == CollectionType::Calibration);
            let required = row.group.required();
            let mut columns =
                vec![ColumnBuilder::uuid("id", false), ColumnBuilder::new("run", ColumnType::Text, false)];
            for name in required {
                columns.push(ColumnBuilder::new(*name, Universe::builtin().dimension(name)?.1, false));
            }
            columns.push(ColumnBuilder::new("collection", ColumnType::Text, false));
            columns.extend(["begin", "end"].map(|name| ColumnBuilder::new(name, ColumnType::Int, true)));
            if order.is_empty() {
                return table(columns);
            }
            let scope = Scope::new(row.group.clone(), format!("`{dataset_type}` {}", row.group));
            let mut relation = Relation::new(&scope, database, "d", required.to_vec());
            let kind = relation.bind(Parameter::Int(row.id))?;
            let filter = query.filter.as_ref().map(|f| relation.filter(f)).transpose()?;
            let keys: Vec<String> = required.iter().map(|k| format!("\"d\".\"{k}\"")).collect();
            let rank = super::datasets::rank_of("m.collection", &order);
            let ids = super::datasets::numbers(&order);
            let mut sort = keys.clone();
            sort.extend([rank, "m.valid_from".to_owned()]);
            let sql = format!(
                "SELECT \"d\".uuid, c.name{comma}{}, k.name, m.valid_from, m.valid_until FROM {} AS \"d\"
                 JOIN calibration AS m ON m.dataset = \"d\".id AND m.dataset_type = {kind} AND m.collection IN ({ids})
                 JOIN collection AS c ON c.id = \"d\".run JOIN collection AS k ON k.id = m.collection{}
                 WHERE \"d\".dataset_type = {kind}{} ORDER BY {}{}",
                keys.join(", "),
                row.table,
                relation.joins(),
                filter.map(|f| format!(" AND {f}")).unwrap_or_default(),
                sort.join(", "),
                super::dimension_records::limit(query.limit),
                comma = if keys.is_empty() { "" } else { ", " },
            );
            let parameters = relation.into_parameters();
            let values: Vec<_> = parameters.iter().map(Parameter::value).collect();
            let ends = columns.len() - 2;
            database.query(&sql, &values, &mut |found| {
                columns.iter_mut().enumerate().try_for_each(|(i, column)| {
                    let unbounded = (i == ends && found.get(i) == Value::Int(i64::MIN))
                        || (i > ends && found.get(i) == Value::Int(i64::MAX));
                    column.push(if unbounded { Value::Null } else { found.get(i) })
                })
            })?;
            table(columns)
        })
    }
}

/// The answer of a reader that keeps no validity ranges.
pub(super) fn none<R: RegistryReader + ?Sized>(reader: &R, dataset_type: &str) -> Result<RecordBatch, RegistryError> {
    let mut columns = vec![ColumnBuilder::uuid("id", false), ColumnBuilder::new("run", ColumnType::Text, false)];
    for name in &reader.dataset_type(dataset_type)?.dimensions {
        columns.push(ColumnBuilder::new(&**name, Universe::builtin().dimension(name)?.1, false));
    }
    columns.push(ColumnBuilder::new("collection", ColumnType::Text, false));
    columns.extend(["begin", "end"].map(|name| ColumnBuilder::new(name, ColumnType::Int, true)));
    table(columns)
}

fn check(span: Timespan) -> Result<(), RegistryError> {
    Timespan::new(span.begin, span.end)
        .map(drop)
        .map_err(|e| RegistryError::Invalid { what: "a validity range".to_owned(), reason: e.to_string() })
}

/// First instant, first after it, row.
type Span = (i64, i64, usize);

/// What is valid when, for lookups by the column: for each collection and data ID its spans, sorted.
struct Index<'a> {
    /// By collection name and data ID.
    spans: HashMap<(&'a str, DataId), Vec<Span>>,
}

impl<'a> Index<'a> {
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        let (begin, end) = (ints(batch, "begin")?, ints(batch, "end")?);
        let collection = batch.column_by_name("collection")?.as_string_opt::<i32>()?;
        let last = batch.num_columns().checked_sub(3)?;
        let names = batch.project(&(2..last).collect::<Vec<_>>()).ok()?;
        let mut spans: HashMap<_, Vec<_>> = HashMap::new();
        for (row, data_id) in DataId::of_rows(&names).enumerate() {
            let first = if begin.is_null(row) { i64::MIN } else { begin.value(row) };
            let after = if end.is_null(row) { i64::MAX } else { end.value(row) };
            spans.entry((collection.value(row), data_id)).or_default().push((first, after, row));
        }
        for list in spans.values_mut() {
            list.sort_unstable();
        }
        Some(Self { spans })
    }

    /// The rows that are valid in a part of a span: no two of a list overlap, so they are sorted by their ends too.
    fn find(&self, key: &(&'a str, DataId), span: Timespan) -> &[(i64, i64, usize)] {
        let Some(list) = self.spans.get(key) else { return &[] };
        let from = list.partition_point(|(_, after, _)| *after <= span.first());
        let to = list.partition_point(|(first, ..)| *first < span.after());
        list.get(from..to).unwrap_or_default()
    }
}

fn ints<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a arrow::array::Int64Array> {
    batch.column_by_name(name)?.as_primitive_opt::<Int64Type>()
}

/// A filter for one data ID: the whole table need not be read then.
fn only(data_ids: &[DataId], required: &[&'static str]) -> Option<Expression> {
    let [data_id] = data_ids else { return None };
    let parts = required.iter().filter_map(|name| {
        let literal = match data_id.get(name)? {
            DimensionValue::Int(v) => Literal::Int(*v),
            DimensionValue::Str(s) => Literal::Str(s.to_string()),
        };
        let name = Operand::Identifier { element: (*name).to_owned(), field: None };
        Some(Expression::Compare(Comparison::Eq, name, Operand::Literal(literal)))
    });
    parts.reduce(|a, b| Expression::And(Box::new(a), Box::new(b)))
}

/// [`RegistryReader::find_calibrations`], over any reader.
pub(super) fn find<R: RegistryReader + ?Sized>(
    reader: &R,
    dataset_type: &str,
    data_ids: &[DataId],
    times: &[Timespan],
    collections: &[&str],
) -> Result<Vec<Option<DatasetRef>>, RegistryError> {
    if data_ids.len() != times.len() {
        return Err(RegistryError::Invalid {
            what: format!("a lookup of `{dataset_type}`"),
            reason: format!("there are {} data IDs, but {} times", data_ids.len(), times.len()),
        });
    }
    let kind = reader.dataset_type(dataset_type)?;
    let group = Universe::builtin().group(kind.dimensions.iter().map(|d| &**d))?;
    let required = group.required();
    for data_id in data_ids {
        group.check_at_least(data_id)?;
    }
    let known = reader.collections()?;
    let search = CollectionSearch::parse(collections)?;
    for name in search.of(dataset_type) {
        if name.contains(['*', '?']) {
            return Err(RegistryError::PatternInSearch { pattern: name.to_owned() });
        }
        if known.iter().all(|c| &*c.name != name) {
            let near = crate::dimension::near_miss(name, known.iter().map(|c| &*c.name));
            return Err(RegistryError::UnknownCollection { name: name.to_owned(), near });
        }
    }
    let steps = search.steps(dataset_type, &known);
    let wanted: Vec<DataId> = data_ids.iter().map(|id| id.subset(required.iter().copied())).collect();
    let query = Query { filter: only(&wanted, required), ..Query::default() };
    let calibrations: Vec<&str> = steps
        .iter()
        .filter(|s| s.collection.collection_type == CollectionType::Calibration)
        .map(|s| &*s.collection.name)
        .collect();
    let valid =
        if calibrations.is_empty() { None } else { Some(reader.calibrations(dataset_type, &calibrations, &query)?) };
    let damaged = || RegistryError::damaged("calibrations lack a column");
    let index = valid.as_ref().map(|batch| Index::of(batch).ok_or_else(damaged)).transpose()?;
    let mut answer: Vec<Option<DatasetRef>> = vec![None; data_ids.len()];
    let mut left: Vec<usize> = (0..data_ids.len()).collect();
    for step in &steps {
        if left.is_empty() {
            break;
        }
        let name = &*step.collection.name;
        if step.collection.collection_type != CollectionType::Calibration {
            // What is in a run or tagged is valid always.
            let batch = reader.datasets(dataset_type, &[name], &query, false)?;
            let names = batch.project(&(2..2 + required.len()).collect::<Vec<_>>());
            let names = names.map_err(|e| RegistryError::damaged(e.to_string()))?;
            let rows: HashMap<DataId, usize> = DataId::of_rows(&names).zip(0..).collect();
            left.retain(|at| {
                match rows.get(&wanted[*at]).and_then(|row| dataset(&batch, *row, &kind.name, &wanted[*at])) {
                    Some(found) => {
                        answer[*at] = Some(found);
                        false
                    }
                    None => true,
                }
            });
            continue;
        }
        let (Some(index), Some(batch)) = (&index, &valid) else { continue };
        let mut still = Vec::new();
        for at in left {
            let key = (name, wanted[at].clone());
            let found = index.find(&key, times[at]);
            let refs: Vec<(DatasetRef, Timespan)> = found
                .iter()
                .filter_map(|(first, after, row)| {
                    Some((dataset(batch, *row, &kind.name, &key.1)?, Timespan::from_ends(*first, *after)))
                })
                .collect();
            match &refs[..] {
                [] => still.push(at),
                [(one, _), rest @ ..] => {
                    if let Some((other, span)) = rest.iter().find(|(other, _)| other.id != one.id) {
                        return Err(RegistryError::AmbiguousCalibration {
                            what: format!("`{dataset_type}` {}", key.1),
                            time: times[at],
                            collection: name.to_owned(),
                            first: format!("{} ({})", one.id, refs[0].1),
                            second: format!("{} ({span})", other.id),
                        });
                    }
                    answer[at] = Some(one.clone());
                }
            }
        }
        left = still;
    }
    Ok(answer)
}

fn dataset(batch: &RecordBatch, row: usize, kind: &std::sync::Arc<str>, data_id: &DataId) -> Option<DatasetRef> {
    let id = Uuid::from_slice(batch.column_by_name("id")?.as_fixed_size_binary_opt()?.value(row)).ok()?;
    let run = batch.column_by_name("run")?.as_string_opt::<i32>()?.value(row).into();
    Some(DatasetRef { id, dataset_type: kind.clone(), data_id: data_id.clone(), run })
}

/// [`RegistryReader::timespans`], over any reader.
pub(super) fn timespans<R: RegistryReader + ?Sized>(
    reader: &R,
    data_ids: &[DataId],
) -> Result<Vec<Timespan>, RegistryError> {
    let mut visits: Vec<i64> = data_ids.iter().filter_map(|id| id.int("visit")).collect();
    visits.sort_unstable();
    visits.dedup();
    let items = visits.into_iter().map(|v| InItem::Value(Literal::Int(v))).collect();
    let operand = Operand::Identifier { element: "visit".to_owned(), field: None };
    let query = Query::filtered(Expression::In { operand, items, negated: false });
    let records = reader.dimension_records("visit", &query)?;
    let damaged = || RegistryError::damaged("records of visits lack a column");
    let float =
        |name: &str| records.column_by_name(name).and_then(|a| a.as_primitive_opt::<Float64Type>()).ok_or_else(damaged);
    let (begin, end) = (float("timespan_begin")?, float("timespan_end")?);
    let instrument = records.column_by_name("instrument").and_then(|a| a.as_string_opt::<i32>()).ok_or_else(damaged)?;
    let visit = ints(&records, "visit").ok_or_else(damaged)?;
    let rows: HashMap<(&str, i64), usize> =
        (0..records.num_rows()).map(|row| ((instrument.value(row), visit.value(row)), row)).collect();
    let find = |id: &DataId| {
        let missing = |missing: String, hint| RegistryError::Missing {
            what: format!("a lookup of calibrations by {id}"),
            missing,
            hint,
        };
        let (Some(instrument), Some(visit)) = (id.str("instrument"), id.int("visit")) else {
            return Err(missing("a visit or exposure with its instrument".to_owned(), "name it, or give the time"));
        };
        let row = rows.get(&(instrument, visit)).copied();
        let row = row.ok_or_else(|| {
            missing(format!("visit {visit} of {instrument}"), "list them with `bunter query-dimension-records … visit`")
        })?;
        let span = if begin.is_null(row) || end.is_null(row) {
            None
        } else {
            Timespan::of_mjd(begin.value(row), end.value(row))
        };
        span.ok_or_else(|| missing(format!("the times of visit {visit} of {instrument}"), "give the time itself"))
    };
    data_ids.iter().map(find).collect()
}
