//! Records of dimensions: writing, comparing, asking.

use std::collections::HashSet;

use arrow::array::RecordBatch;
use xxhash_rust::xxh3::xxh3_128;

use super::columns::{Cells, ColumnBuilder, element_cells, table};
use super::database::{Database, Value};
use super::region_history::{AsOf, source_as_of};
use super::region_state::{PendingEvent, whoami};
use super::regions::keep;
use super::relation::{Relation, element_source, own_dimensions};
use super::schema::{FIRST_EVENT, SKY_KEY, has_history, parents, quoted};
use super::visit_detectors::sky_keys;
use super::{Inserted, OrderBy, Query, RegionEventKind, Registry, RegistryError};
use crate::dimension::{Element, ElementStorage, Scope, Universe, check_text, near_miss};

impl Registry {
    /// Writes records of an element, one row each. Columns are found by name, in any order; metadata may be absent. Other
    /// widths of integers and encodings of texts are converted; NaN is written as null.
    ///
    /// Records that are there already must be the same in the columns given.
    ///
    /// # Errors
    /// [`RegistryError::Conflict`] names the record and the column that differs; [`RegistryError::Missing`] when a record
    /// refers to one that does not exist (a visit to its filter); [`RegistryError::Dimension`] for unknown elements and
    /// columns; [`RegistryError::Invalid`] for columns of another type, absent or with nulls;
    /// [`RegistryError::VirtualElement`] for records that are computed.
    pub fn insert_dimension_records(&self, element: &str, records: &RecordBatch) -> Result<Inserted, RegistryError> {
        self.write_records(element, records, OnDifference::Refuse)
    }

    /// Writes records of an element as [`Registry::insert_dimension_records`], but where a record is there and differs, the
    /// metadata given take the place of the old. Implied dimensions cannot be changed, for datasets are named by them.
    ///
    /// # Errors
    /// As [`Registry::insert_dimension_records`], with conflicts only of implied dimensions.
    pub fn replace_dimension_records(&self, element: &str, records: &RecordBatch) -> Result<Inserted, RegistryError> {
        self.write_records(element, records, OnDifference::Replace)
    }

    /// Writes a sky map: its definition (TOML), the SHA-1 of it, and how many tracts and patches it has at most.
    ///
    /// # Errors
    /// [`RegistryError::Conflict`] when the name stands for another sky map.
    pub fn register_sky_map(
        &self,
        name: &str,
        definition: &str,
        sha1: &[u8; 20],
        tract_max: i64,
        patch_max: (i64, i64),
    ) -> Result<Inserted, RegistryError> {
        let mut columns = Vec::new();
        let values = [
            Value::Text(name),
            Value::Text(definition),
            Value::Bytes(sha1),
            Value::Int(tract_max),
            Value::Int(patch_max.0),
            Value::Int(patch_max.1),
        ];
        for ((name, kind, nullable), value) in Universe::builtin().element("skymap")?.columns().zip(values) {
            let mut column = ColumnBuilder::new(name, kind, nullable);
            column.push(value)?;
            columns.push(column);
        }
        self.insert_dimension_records("skymap", &table(columns)?)
    }

    fn write_records(
        &self,
        element: &str,
        records: &RecordBatch,
        on_difference: OnDifference,
    ) -> Result<Inserted, RegistryError> {
        let element = Universe::builtin().element(element)?;
        match element.storage {
            ElementStorage::Table => {}
            ElementStorage::ViewOf(other) => {
                return Err(RegistryError::Invalid {
                    what: format!("records of `{}`", element.name),
                    reason: format!("they follow from the records of `{other}`: write those"),
                });
            }
            ElementStorage::Virtual => element_source(element).map(|_| ())?,
        }
        let cells = record_cells(element, records)?;
        let inserted = self.write(|database| {
            let mut events = Events::begin(database, element)?;
            let mut writer = Writer::new(database, element, &cells, on_difference, events.as_mut());
            let inserted = writer.write_all(records.num_rows())?;
            events.map_or(Ok(()), |events| events.finish(database))?;
            Ok(inserted)
        })?;
        self.has_written(inserted.new);
        Ok(inserted)
    }

    /// Some columns of the records of an element, in the order asked: of millions of images the sizes, without their WCSs.
    ///
    /// # Errors
    /// As [`RegistryReader::dimension_records`](super::RegistryReader::dimension_records), with
    /// [`RegistryError::Dimension`] for an unknown column too.
    pub fn record_columns(&self, element: &str, columns: &[&str], query: &Query) -> Result<RecordBatch, RegistryError> {
        self.read_records_as_of(element, Some(columns), query, AsOf::Now)
    }

    /// See [`RegistryReader::dimension_records`](super::RegistryReader::dimension_records).
    pub(super) fn read_dimension_records(&self, element: &str, query: &Query) -> Result<RecordBatch, RegistryError> {
        self.read_records_as_of(element, None, query, AsOf::Now)
    }

    /// The same, with regions and WCSs as they were.
    pub(super) fn read_records_as_of(
        &self,
        element: &str,
        columns: Option<&[&str]>,
        query: &Query,
        as_of: AsOf,
    ) -> Result<RecordBatch, RegistryError> {
        let element = Universe::builtin().element(element)?;
        let group = Universe::builtin().group(element.required.iter().copied())?;
        let scope = Scope::new(group, format!("`{}` records", element.name));
        self.read(|database| {
            let source = match as_of {
                AsOf::Event(event) if has_history(element) => source_as_of(element, event),
                _ => element_source(element)?,
            };
            let all: Vec<_> = element.columns().collect();
            let wanted = match columns {
                None => all,
                Some(names) => names
                    .iter()
                    .map(|name| match all.iter().find(|c| c.0 == *name) {
                        Some(column) => Ok(*column),
                        // Not a key, so it must be metadata: its error has the near miss.
                        None => element.column(name).map(|c| (c.name, c.column_type, c.nullable)),
                    })
                    .collect::<Result<_, _>>()?,
            };
            let mut columns: Vec<_> =
                wanted.iter().map(|(n, k, nullable)| ColumnBuilder::new(*n, *k, *nullable)).collect();
            let names: Vec<_> = wanted.iter().map(|c| format!("\"{}\".\"{}\"", element.name, c.0)).collect();
            let mut relation = Relation::new(&scope, database, element.name, own_dimensions(element));
            let filter = query.filter.as_ref().map(|f| relation.filter(f)).transpose()?;
            let mut order = order_by(&mut relation, &query.order_by)?;
            order.extend(element.required.iter().map(|k| format!("\"{}\".\"{k}\"", element.name)));
            let sql = format!(
                "SELECT {} FROM {source}{}{} ORDER BY {}{}",
                names.join(", "),
                relation.joins(),
                filter.map_or_else(String::new, |f| format!(" WHERE {f}")),
                order.join(", "),
                limit(query.limit)
            );
            let parameters: Vec<_> = relation.into_parameters();
            let values: Vec<_> = parameters.iter().map(super::relation::Parameter::value).collect();
            database.query(&sql, &values, &mut |row| {
                columns.iter_mut().enumerate().try_for_each(|(i, column)| match row.get(i) {
                    // The history's word for what was absent.
                    Value::Bytes([]) if as_of != AsOf::Now => column.push(Value::Null),
                    value => column.push(value),
                })
            })?;
            table(columns)
        })
    }

    /// See [`RegistryReader::sky_map_definition`](super::RegistryReader::sky_map_definition).
    pub(super) fn read_sky_map_definition(&self, name: &str) -> Result<String, RegistryError> {
        self.read(|database| {
            let mut found = None;
            database.query("SELECT definition FROM skymap WHERE skymap = ?1", &[Value::Text(name)], &mut |row| {
                found = Some(row.text(0)?.to_owned());
                Ok(())
            })?;
            if let Some(found) = found {
                return Ok(found);
            }
            let mut known = Vec::new();
            database.query("SELECT skymap FROM skymap", &[], &mut |row| {
                known.push(row.text(0)?.to_owned());
                Ok(())
            })?;
            let near = near_miss(name, known.iter().map(String::as_str));
            Err(RegistryError::UnknownSkyMap { name: name.to_owned(), near })
        })
    }
}

/// Sort keys with absent values last.
pub(super) fn order_by(relation: &mut Relation<'_>, keys: &[OrderBy]) -> Result<Vec<String>, RegistryError> {
    let mut order = Vec::new();
    for key in keys {
        let column = relation.identifier(&key.element, key.field.as_deref())?;
        order.push(format!("({column} IS NULL)"));
        order.push(if key.descending { format!("{column} DESC") } else { column });
    }
    Ok(order)
}

/// `LIMIT`, or nothing.
pub(super) fn limit(limit: Option<usize>) -> String {
    limit.map_or_else(String::new, |n| format!(" LIMIT {}", i64::try_from(n).unwrap_or(i64::MAX)))
}

/// The region events of writing records that have regions: one of those that are new, one of those that are replaced.
pub(super) struct Events {
    event: PendingEvent,
    kind: RegionEventKind,
}

impl Events {
    /// `None` for an element whose records have no regions.
    pub(super) fn begin(database: &mut dyn Database, element: &Element) -> Result<Option<Self>, RegistryError> {
        if !has_history(element) {
            return Ok(None);
        }
        Ok(Some(Self { event: PendingEvent::begin(database)?, kind: RegionEventKind::Ingest }))
    }

    pub(super) fn finish(self, database: &mut dyn Database) -> Result<(), RegistryError> {
        let source = match self.kind {
            RegionEventKind::Ingest => "new records",
            RegionEventKind::Update => "replaced records",
        };
        self.event.finish(database, self.kind, &whoami(), "", source).map(drop)
    }
}

/// The columns of records, and what follows from them. Refuses texts that can name nothing.
pub(super) fn record_cells(
    element: &'static Element,
    records: &RecordBatch,
) -> Result<Vec<(&'static str, Cells)>, RegistryError> {
    let mut cells = element_cells(element, records)?;
    for (name, column) in &cells {
        if let Cells::Text(texts) = column
            && Universe::builtin().dimension(name).is_ok()
        {
            texts.iter().flatten().try_for_each(|text| check_text(name, text))?;
        }
    }
    cells.extend(sky_keys(element, &cells));
    Ok(cells)
}

/// What to do with a record that is there and differs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OnDifference {
    Refuse,
    Replace,
    Keep,
}

/// Writes rows of one element with statements prepared once.
pub(super) struct Writer<'a> {
    database: &'a mut dyn Database,
    element: &'static Element,
    cells: &'a [(&'static str, Cells)],
    on_difference: OnDifference,
    insert: String,
    select: String,
    update: String,
    inserted: Vec<&'static str>,
    parents: Vec<(&'static Element, String)>,
    /// Hashes of the parents that were found.
    seen: HashSet<u128>,
    scratch: Vec<u8>,
    /// Of records that have regions.
    events: Option<&'a mut Events>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        database: &'a mut dyn Database,
        element: &'static Element,
        cells: &'a [(&'static str, Cells)],
        on_difference: OnDifference,
        events: Option<&'a mut Events>,
    ) -> Self {
        let names: Vec<_> = cells.iter().map(|(name, _)| *name).collect();
        let inserted: Vec<_> = names.iter().copied().chain(events.as_ref().map(|_| FIRST_EVENT)).collect();
        let keys = |first: usize| {
            let equal = element.required.iter().enumerate().map(|(i, key)| format!("\"{key}\" = ?{}", first + i));
            equal.collect::<Vec<_>>().join(" AND ")
        };
        let metadata: Vec<_> = names.iter().filter(|n| is_metadata(element, n)).collect();
        let sets = metadata.iter().enumerate().map(|(i, name)| format!("\"{name}\" = ?{}", i + 1)).collect::<Vec<_>>();
        let parents: Vec<_> = parents(element.required, element.implied)
            .into_iter()
            .filter(|p| p.name != element.name)
            .map(|p| (p, exists(p)))
            .collect();
        Self {
            insert: database.insert_or_nothing(element.name, &inserted),
            select: format!("SELECT {} FROM \"{}\" WHERE {}", quoted(&names), element.name, keys(1)),
            update: format!("UPDATE \"{}\" SET {} WHERE {}", element.name, sets.join(", "), keys(metadata.len() + 1)),
            inserted,
            seen: HashSet::new(),
            scratch: Vec::new(),
            parents,
            database,
            element,
            cells,
            on_difference,
            events,
        }
    }

    fn value(&self, name: &str, row: usize) -> Value<'a> {
        self.cells.iter().find(|(n, _)| *n == name).map_or(Value::Null, |(_, cells)| cells.get(row))
    }

    fn named(&self, row: usize) -> String {
        let values: Vec<_> =
            self.element.required.iter().map(|k| format!("{k}: {}", plain(self.value(k, row)))).collect();
        format!("{} {{{}}}", self.element.name, values.join(", "))
    }

    /// Writes all rows.
    pub(super) fn write_all(&mut self, rows: usize) -> Result<Inserted, RegistryError> {
        let at_once = self.database.rows_at_once().max(1);
        let mut inserted = Inserted::default();
        for start in (0..rows).step_by(at_once) {
            let end = rows.min(start + at_once);
            if end - start > 1 && self.write_new(start..end)? {
                inserted.new += end - start;
                continue;
            }
            for row in start..end {
                let is_new = self.write(row)?;
                inserted.count(is_new);
            }
        }
        Ok(inserted)
    }

    /// Writes rows at once when all of them are new, and otherwise none.
    fn write_new(&mut self, rows: std::ops::Range<usize>) -> Result<bool, RegistryError> {
        let mut values = Vec::with_capacity(rows.len() * self.inserted.len());
        let number = self.events.as_ref().map(|events| Value::Int(events.event.number()));
        for row in rows.clone() {
            self.check_parents(row)?;
            values.extend(self.cells.iter().map(|(_, cells)| cells.get(row)));
            values.extend(number);
        }
        self.database.execute("SAVEPOINT records", &[])?;
        if self.database.insert_rows(self.element.name, &self.inserted, &values)? < rows.len() as u64 {
            self.database.execute("ROLLBACK TO SAVEPOINT records", &[])?;
            return Ok(false);
        }
        self.database.execute("RELEASE SAVEPOINT records", &[])?;
        for row in rows {
            self.count(row);
        }
        Ok(true)
    }

    /// Counts a new row in its event.
    fn count(&mut self, row: usize) {
        if self.events.is_none() {
            return;
        }
        let mut values: Vec<_> = self.element.required.iter().map(|k| self.value(k, row)).collect();
        values.extend([self.value("region", row), self.value("wcs", row)]);
        if let Some(events) = &mut self.events {
            events.event.count(&values);
        }
    }

    fn check_parents(&mut self, row: usize) -> Result<(), RegistryError> {
        for i in 0..self.parents.len() {
            let (parent, sql) = &self.parents[i];
            let keys: Vec<_> = parent.required.iter().map(|k| self.value(k, row)).collect();
            let hash = hash_of(&mut self.scratch, i, keys.iter().copied());
            if self.seen.contains(&hash) {
                continue;
            }
            let mut found = false;
            self.database.query(sql, &keys, &mut |_| {
                found = true;
                Ok(())
            })?;
            if !found {
                let pairs: Vec<_> =
                    parent.required.iter().zip(&keys).map(|(k, v)| format!("{k}: {}", plain(*v))).collect();
                return Err(RegistryError::Missing {
                    what: self.named(row),
                    missing: format!("{} {{{}}}", parent.name, pairs.join(", ")),
                    hint: "insert its dimension record first",
                });
            }
            if self.seen.len() > 1 << 20 {
                self.seen.clear();
            }
            self.seen.insert(hash);
        }
        Ok(())
    }

    /// Writes a row; false when it was there.
    fn write(&mut self, row: usize) -> Result<bool, RegistryError> {
        self.check_parents(row)?;
        let mut values: Vec<_> = self.cells.iter().map(|(_, cells)| cells.get(row)).collect();
        let keys: Vec<_> = self.element.required.iter().map(|k| self.value(k, row)).collect();
        let (region, wcs) = (self.value("region", row), self.value("wcs", row));
        values.extend(self.events.as_ref().map(|events| Value::Int(events.event.number())));
        if self.database.execute(&self.insert, &values)? > 0 {
            self.count(row);
            return Ok(true);
        }
        if self.on_difference == OnDifference::Keep {
            return Ok(false);
        }
        values.truncate(self.cells.len());
        let mut difference = None;
        self.database.query(&self.select, &keys, &mut |stored| {
            let differs = (0..values.len()).find(|i| stored.get(*i) != values[*i]);
            difference = differs.map(|i| (self.cells[i].0, stored.get(i).shown(), values[i].shown()));
            Ok(())
        })?;
        let Some((column, existing, new)) = difference else { return Ok(false) };
        let implied_differs = self.element.implied.contains(&column);
        if self.on_difference == OnDifference::Refuse || implied_differs {
            return Err(RegistryError::Conflict {
                what: self.named(row),
                existing: format!("{column} {existing}"),
                new,
            });
        }
        if let (Some(events), [instrument, visit, detector]) = (&mut self.events, keys.as_slice()) {
            let key = [*instrument, *visit, *detector];
            // A column that is given replaces also by nothing; one that is not given leaves what is there.
            let given = |name: &str, value| match value {
                Value::Null if self.cells.iter().any(|(n, _)| *n == name) => Value::Bytes(&[]),
                value => value,
            };
            if keep(self.database, &mut events.event, key, given("region", region), given("wcs", wcs))? {
                events.kind = RegionEventKind::Update;
            }
        }
        let mut values: Vec<_> = self
            .cells
            .iter()
            .filter(|(name, _)| is_metadata(self.element, name))
            .map(|(_, cells)| cells.get(row))
            .collect();
        values.extend(keys);
        self.database.execute(&self.update, &values)?;
        Ok(true)
    }
}

/// Whether a column may get another value: metadata, and what follows from them.
fn is_metadata(element: &Element, name: &str) -> bool {
    name == SKY_KEY || element.metadata.iter().any(|c| c.name == name)
}

/// Asks whether a record exists; its keys are the parameters.
pub(super) fn exists(element: &Element) -> String {
    let keys = element.required.iter().enumerate().map(|(i, key)| format!("\"{key}\" = ?{}", i + 1));
    format!("SELECT 1 FROM \"{}\" WHERE {}", element.name, keys.collect::<Vec<_>>().join(" AND "))
}

/// A hash of the key of a parent, the `i`th: wide enough that two never share it by chance.
pub(super) fn hash_of<'v>(scratch: &mut Vec<u8>, i: usize, values: impl Iterator<Item = Value<'v>>) -> u128 {
    scratch.clear();
    scratch.push(i as u8);
    for value in values {
        match value {
            Value::Int(v) => scratch.extend_from_slice(&v.to_le_bytes()),
            Value::Text(v) => {
                scratch.extend_from_slice(&(v.len() as u64).to_le_bytes());
                scratch.extend_from_slice(v.as_bytes());
            }
            // No key is of another type.
            Value::Null | Value::Float(_) | Value::Bytes(_) => scratch.push(0),
        }
    }
    xxh3_128(scratch)
}

/// A value as a data ID shows it.
pub(super) fn plain(value: Value<'_>) -> String {
    match value {
        Value::Text(s) => s.to_owned(),
        other => other.shown(),
    }
}
