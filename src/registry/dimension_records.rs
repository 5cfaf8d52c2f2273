//! Records of dimensions: writing, comparing, asking.

use arrow::array::RecordBatch;

use super::columns::{Cells, ColumnBuilder, element_cells, table};
use super::database::{Database, Value};
use super::relation::{Relation, element_source, own_dimensions};
use super::schema::{SKY_KEY, parents, quoted};
use super::visit_detectors::sky_keys;
use super::{Inserted, OrderBy, Query, Registry, RegistryError};
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
        let mut cells = element_cells(element, records)?;
        for (name, column) in &cells {
            if let Cells::Text(texts) = column
                && Universe::builtin().dimension(name).is_ok()
            {
                texts.iter().flatten().try_for_each(|text| check_text(name, text))?;
            }
        }
        cells.extend(sky_keys(element, &cells));
        let inserted = self.write(|database| {
            let mut writer = Writer::new(database, element, &cells, on_difference);
            let mut inserted = Inserted::default();
            for row in 0..records.num_rows() {
                let is_new = writer.write(row)?;
                inserted.count(is_new);
            }
            Ok(inserted)
        })?;
        if inserted.new >= 1000 {
            self.optimize();
        }
        Ok(inserted)
    }

    /// See [`RegistryReader::dimension_records`](super::RegistryReader::dimension_records).
    pub(super) fn read_dimension_records(&self, element: &str, query: &Query) -> Result<RecordBatch, RegistryError> {
        let element = Universe::builtin().element(element)?;
        let group = Universe::builtin().group(element.required.iter().copied())?;
        let scope = Scope::new(group, format!("`{}` records", element.name));
        self.read(|database| {
            let source = element_source(element)?;
            let mut columns: Vec<_> =
                element.columns().map(|(n, k, nullable)| ColumnBuilder::new(n, k, nullable)).collect();
            let names: Vec<_> = element.columns().map(|c| format!("\"{}\".\"{}\"", element.name, c.0)).collect();
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
                columns.iter_mut().enumerate().try_for_each(|(i, column)| column.push(row.get(i)))
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

/// What to do with a record that is there and differs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnDifference {
    Refuse,
    Replace,
}

/// Writes rows of one element with statements prepared once.
struct Writer<'a> {
    database: &'a mut dyn Database,
    element: &'static Element,
    cells: &'a [(&'static str, Cells)],
    on_difference: OnDifference,
    insert: String,
    select: String,
    update: String,
    parents: Vec<(&'static Element, String)>,
    /// For each parent the last row whose parent was found.
    seen: Vec<Option<usize>>,
}

impl<'a> Writer<'a> {
    fn new(
        database: &'a mut dyn Database,
        element: &'static Element,
        cells: &'a [(&'static str, Cells)],
        on_difference: OnDifference,
    ) -> Self {
        let names: Vec<_> = cells.iter().map(|(name, _)| *name).collect();
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
            insert: database.insert_or_nothing(element.name, &names),
            select: format!("SELECT {} FROM \"{}\" WHERE {}", quoted(&names), element.name, keys(1)),
            update: format!("UPDATE \"{}\" SET {} WHERE {}", element.name, sets.join(", "), keys(metadata.len() + 1)),
            seen: vec![None; parents.len()],
            parents,
            database,
            element,
            cells,
            on_difference,
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

    /// Writes a row; false when it was there.
    fn write(&mut self, row: usize) -> Result<bool, RegistryError> {
        for i in 0..self.parents.len() {
            let (parent, sql) = &self.parents[i];
            let keys: Vec<_> = parent.required.iter().map(|k| self.value(k, row)).collect();
            // Rows mostly come grouped: the parent of the last row is not asked for again.
            if self.seen[i]
                .is_some_and(|last| parent.required.iter().zip(&keys).all(|(k, v)| self.value(k, last) == *v))
            {
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
            self.seen[i] = Some(row);
        }
        let values: Vec<_> = self.cells.iter().map(|(_, cells)| cells.get(row)).collect();
        if self.database.execute(&self.insert, &values)? > 0 {
            return Ok(true);
        }
        let keys: Vec<_> = self.element.required.iter().map(|k| self.value(k, row)).collect();
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
        let mut values: Vec<_> =
            self.cells.iter().filter(|(name, _)| is_metadata(self.element, name)).map(|(_, cells)| cells.get(row)).collect();
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

/// A value as a data ID shows it.
pub(super) fn plain(value: Value<'_>) -> String {
    match value {
        Value::Text(s) => s.to_owned(),
        other => other.shown(),
    }
}
