//! Asking for datasets and where their bytes are.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use uuid::Uuid;

use super::collections::{CollectionRow, search_order};
use super::columns::{ColumnBuilder, table};
use super::database::{Database, Row, Value};
use super::dataset_types::{self, DatasetTypeRow};
use super::dimension_records::{limit, order_by};
use super::relation::{Parameter, Relation};
use super::{Query, RegionState, Registry, RegistryError, RegistryReader, VisitDetectorQuery, members, schema};
use crate::dataset::{
    Collection, CollectionSearch, CollectionType, DatasetRef, DatasetType, FileRecord, Format, PathTemplate,
};
use crate::dimension::{ColumnType, DataId, DimensionValue, Scope, Universe};

impl RegistryReader for Registry {
    fn dataset_types(&self) -> Result<Vec<DatasetType>, RegistryError> {
        self.read(|database| Ok(dataset_types::all(database)?.into_iter().map(|row| row.dataset_type).collect()))
    }

    fn dataset_type(&self, name: &str) -> Result<DatasetType, RegistryError> {
        self.read(|database| Ok(dataset_types::find(database, name)?.dataset_type))
    }

    fn collections(&self) -> Result<Vec<Collection>, RegistryError> {
        self.read_collections()
    }

    fn dimension_records(&self, element: &str, query: &Query) -> Result<RecordBatch, RegistryError> {
        self.read_dimension_records(element, query)
    }

    fn visit_detectors(&self, query: &VisitDetectorQuery) -> Result<RecordBatch, RegistryError> {
        self.read_visit_detectors(query)
    }

    fn datasets(
        &self,
        dataset_type: &str,
        collections: &[&str],
        query: &Query,
        find_first: bool,
    ) -> Result<RecordBatch, RegistryError> {
        self.read(|database| {
            let row = dataset_types::find(database, dataset_type)?;
            let runs = search_order(database, &CollectionSearch::names_for(collections, dataset_type)?, find_first)?;
            select(database, &row, &runs, query, find_first)
        })
    }

    fn find_dataset(
        &self,
        dataset_type: &str,
        data_id: &DataId,
        collections: &[&str],
    ) -> Result<Option<DatasetRef>, RegistryError> {
        self.read(|database| {
            let row = dataset_types::find(database, dataset_type)?;
            row.group.check_at_least(data_id)?;
            let runs = search_order(database, &CollectionSearch::names_for(collections, dataset_type)?, true)?;
            find_first_of(database, &row, data_id, &runs)
        })
    }

    fn calibrations(
        &self,
        dataset_type: &str,
        collections: &[&str],
        query: &Query,
    ) -> Result<RecordBatch, RegistryError> {
        self.read_calibrations(dataset_type, collections, query)
    }

    fn dataset(&self, id: Uuid) -> Result<Option<DatasetRef>, RegistryError> {
        self.read(|database| Ok(Lookup::new(database)?.find(id)?.map(|(dataset, _)| dataset)))
    }

    fn file_records(&self, ids: &[Uuid]) -> Result<Vec<Option<FileRecord>>, RegistryError> {
        self.read(|database| {
            let mut lookup = Lookup::new(database)?;
            ids.iter().map(|id| Ok(lookup.find(*id)?.map(|(_, file)| file))).collect()
        })
    }

    fn sky_map_definition(&self, name: &str) -> Result<String, RegistryError> {
        self.read_sky_map_definition(name)
    }

    fn region_state(&self) -> Result<RegionState, RegistryError> {
        self.read(|database| Ok(super::region_state::last(database)?.0))
    }
}

fn scope_of(row: &DatasetTypeRow) -> Scope {
    Scope::new(row.group.clone(), format!("`{}` {}", row.dataset_type.name, row.group))
}

/// A comma-separated list of our own numbers.
pub(super) fn numbers(runs: &[CollectionRow]) -> String {
    runs.iter().map(|r| r.id.to_string()).collect::<Vec<_>>().join(", ")
}

/// The place of a row's run in the search.
pub(super) fn rank_of(run: &str, runs: &[CollectionRow]) -> String {
    let cases: Vec<_> = runs.iter().enumerate().map(|(i, r)| format!(" WHEN {} THEN {i}", r.id)).collect();
    format!("CASE {run}{} END", cases.concat())
}

fn select(
    database: &mut dyn Database,
    row: &DatasetTypeRow,
    runs: &[CollectionRow],
    query: &Query,
    find_first: bool,
) -> Result<RecordBatch, RegistryError> {
    let mut columns = vec![ColumnBuilder::uuid("id", false), ColumnBuilder::new("run", ColumnType::Text, false)];
    for name in row.group.required().iter().chain(row.group.implied()) {
        columns.push(ColumnBuilder::new(*name, Universe::builtin().dimension(name)?.1, false));
    }
    let scope = scope_of(row);
    let mut relation = Relation::new(&scope, database, "d", row.group.required().to_vec());
    let mut names = vec!["\"d\".uuid".to_owned(), "\"d\".run".to_owned()];
    for name in row.group.required().iter().chain(row.group.implied()) {
        names.push(relation.dimension(name)?);
    }
    let kind = relation.bind(Parameter::Int(row.id))?;
    let mixed = runs.iter().any(|r| r.kind != CollectionType::Run);
    let chosen = if mixed {
        // The type's number is in the text of the source: the bound one must be used all the same.
        format!("{kind} > 0")
    } else {
        format!("dataset_type = {kind} AND run IN ({})", numbers(runs))
    };
    let filter = query.filter.as_ref().map(|f| relation.filter(f)).transpose()?;
    let mut order = order_by(&mut relation, &query.order_by)?;
    if runs.is_empty() {
        return table(columns);
    }
    order.extend(row.group.required().iter().map(|k| format!("\"d\".\"{k}\"")));
    // With one run there is nothing to choose from.
    let first = find_first && runs.len() > 1;
    if !find_first && runs.len() > 1 {
        order.push(rank_of(if mixed { "\"d\".collection" } else { "\"d\".run" }, runs));
    }
    if order.is_empty() {
        order.push("\"d\".run".to_owned());
    }
    let source = if mixed {
        let keys = schema::quoted(row.group.required());
        let comma = if keys.is_empty() { "" } else { ", " };
        let partition = match (find_first, keys.is_empty()) {
            (true, false) => format!("PARTITION BY {keys} "),
            (true, true) => String::new(),
            // A dataset that is in several of the collections comes once, where it is met first.
            (false, _) => "PARTITION BY uuid ".to_owned(),
        };
        format!(
            "(SELECT uuid, run, collection{comma}{keys}, ROW_NUMBER() OVER ({partition}ORDER BY {}) AS place FROM ({}) AS member)",
            rank_of("collection", runs),
            members::source(row, runs)
        )
    } else if first {
        let keys = schema::quoted(row.group.required());
        let partition = if keys.is_empty() { String::new() } else { format!("PARTITION BY {keys} ") };
        let comma = if keys.is_empty() { "" } else { ", " };
        let place = format!("ROW_NUMBER() OVER ({partition}ORDER BY {})", rank_of("run", runs));
        format!("(SELECT uuid, run{comma}{keys}, {place} AS place FROM {} WHERE {chosen})", row.table)
    } else {
        row.table.clone()
    };
    let mut conditions = vec![if first && !mixed { "\"d\".place = 1".to_owned() } else { chosen }];
    if mixed {
        conditions.push("\"d\".place = 1".to_owned());
    }
    conditions.extend(filter);
    let sql = format!(
        "SELECT {} FROM {source} AS \"d\"{} WHERE {} ORDER BY {}{}",
        names.join(", "),
        relation.joins(),
        conditions.join(" AND "),
        order.join(", "),
        limit(query.limit)
    );
    let parameters = relation.into_parameters();
    let values: Vec<_> = parameters.iter().map(Parameter::value).collect();
    // A dataset of a TAGGED or CALIBRATION collection may be in any run.
    let all = if mixed { super::collections::all(database)? } else { Vec::new() };
    let run_names: HashMap<i64, &str> = runs.iter().chain(&all).map(|r| (r.id, &*r.name)).collect();
    database.query(&sql, &values, &mut |found| {
        let run = run_names.get(&found.int(1)?).copied();
        let run = run.ok_or_else(|| RegistryError::damaged("a dataset is in a run that was not asked for"))?;
        columns
            .iter_mut()
            .enumerate()
            .try_for_each(|(i, column)| column.push(if i == 1 { Value::Text(run) } else { found.get(i) }))
    })?;
    table(columns)
}

fn find_first_of(
    database: &mut dyn Database,
    row: &DatasetTypeRow,
    data_id: &DataId,
    runs: &[CollectionRow],
) -> Result<Option<DatasetRef>, RegistryError> {
    if runs.is_empty() {
        return Ok(None);
    }
    let scope = scope_of(row);
    let mut relation = Relation::new(&scope, database, "d", row.group.required().to_vec());
    let kind = relation.bind(Parameter::Int(row.id))?;
    let mixed = runs.iter().any(|r| r.kind != CollectionType::Run);
    let tagged: Vec<CollectionRow> = runs.iter().filter(|r| r.kind == CollectionType::Tagged).cloned().collect();
    let mut conditions = vec![format!("\"d\".dataset_type = {kind}")];
    if !mixed {
        conditions.push(format!("\"d\".run IN ({})", numbers(runs)));
    }
    for (name, value) in data_id.iter().filter(|(name, _)| row.group.contains(name)) {
        let column = relation.dimension(name)?;
        let value = relation.bind(match value {
            DimensionValue::Int(v) => Parameter::Int(*v),
            DimensionValue::Str(s) => Parameter::Text(s.to_string()),
        })?;
        conditions.push(format!("{column} = {value}"));
    }
    let (joins, conditions) = (relation.joins().to_owned(), conditions.join(" AND "));
    let parameters = relation.into_parameters();
    let own: Vec<CollectionRow> = runs.iter().filter(|r| r.kind == CollectionType::Run).cloned().collect();
    let mut parts = Vec::new();
    if !own.is_empty() {
        let only = if mixed { format!(" AND \"d\".run IN ({})", numbers(&own)) } else { String::new() };
        parts.push(format!(
            "SELECT \"d\".uuid, \"d\".run, \"d\".run FROM {} AS \"d\"{joins} WHERE {conditions}{only}",
            row.table
        ));
    }
    if !tagged.is_empty() {
        parts.push(format!(
            "SELECT \"d\".uuid, \"d\".run, m.collection FROM {} AS \"d\"
             JOIN tagged AS m ON m.dataset = \"d\".id AND m.dataset_type = {} AND m.collection IN ({}){joins} WHERE {conditions}",
            row.table,
            row.id,
            numbers(&tagged)
        ));
    }
    let values: Vec<_> = parameters.iter().map(Parameter::value).collect();
    let mut best: Option<(usize, Uuid, i64)> = None;
    for sql in &parts {
        database.query(sql, &values, &mut |found| {
            let collection = found.int(2)?;
            if let Some(place) = runs.iter().position(|r| r.id == collection)
                && best.as_ref().is_none_or(|(b, ..)| place < *b)
            {
                best = Some((place, found.uuid(0)?, found.int(1)?));
            }
            Ok(())
        })?;
    }
    let Some((_, id, run)) = best else { return Ok(None) };
    let run = match runs.iter().find(|r| r.id == run) {
        Some(row) => row.name.clone(),
        None => super::collections::name_of(database, run)?,
    };
    Ok(Some(DatasetRef {
        id,
        dataset_type: row.dataset_type.name.clone(),
        data_id: data_id.subset(row.group.required().iter().copied()),
        run,
    }))
}

/// Datasets by identity, with what their rows refer to kept.
struct Lookup<'a> {
    database: &'a mut dyn Database,
    tables: Vec<(String, Vec<&'static str>)>,
    /// Name and template of the dataset types by number.
    types: HashMap<i64, (Arc<str>, PathTemplate)>,
    runs: HashMap<i64, Arc<str>>,
    formats: HashMap<i64, Format>,
}

/// A dataset's row with numbers where names belong.
struct Found {
    kind: i64,
    run: i64,
    size: u64,
    checksum: u64,
    format: i64,
    path: Option<String>,
    data_id: DataId,
}

impl<'a> Lookup<'a> {
    fn new(database: &'a mut dyn Database) -> Result<Self, RegistryError> {
        let tables = dataset_types::tables(database)?
            .into_iter()
            .map(|(table, group)| {
                let keys: Vec<_> = group.required().to_vec();
                let columns: Vec<&str> = ["dataset_type", "run", "size", "checksum", "format", "path"]
                    .into_iter()
                    .chain(keys.iter().copied())
                    .collect();
                (format!("SELECT {} FROM {table} WHERE uuid = ?1", schema::quoted(&columns)), keys)
            })
            .collect();
        let types = dataset_types::all(database)?
            .into_iter()
            .map(|row| Ok((row.id, (row.dataset_type.name.clone(), row.template()?))))
            .collect::<Result<_, RegistryError>>()?;
        Ok(Self { database, tables, types, runs: HashMap::new(), formats: HashMap::new() })
    }

    fn find(&mut self, id: Uuid) -> Result<Option<(DatasetRef, FileRecord)>, RegistryError> {
        let mut found = None;
        for (sql, keys) in &self.tables {
            self.database.query(sql, &[Value::Bytes(id.as_bytes())], &mut |row| {
                found = Some(read_row(row, keys)?);
                Ok(())
            })?;
            if found.is_some() {
                break;
            }
        }
        let Some(found) = found else { return Ok(None) };
        let run = self.run(found.run)?;
        let format = self.format(found.format)?;
        let (kind, template) = self
            .types
            .get(&found.kind)
            .ok_or_else(|| RegistryError::damaged(format!("dataset {id} has a type that does not exist")))?;
        let dataset = DatasetRef { id, dataset_type: kind.clone(), data_id: found.data_id, run };
        let path = match found.path {
            Some(path) => path,
            None => template.path(&dataset)?,
        };
        let file = FileRecord { path, format, size: found.size, checksum: found.checksum };
        Ok(Some((dataset, file)))
    }

    fn run(&mut self, id: i64) -> Result<Arc<str>, RegistryError> {
        if let Some(name) = self.runs.get(&id) {
            return Ok(name.clone());
        }
        let mut found: Option<Arc<str>> = None;
        self.database.query("SELECT name FROM collection WHERE id = ?1", &[Value::Int(id)], &mut |row| {
            found = Some(row.text(0)?.into());
            Ok(())
        })?;
        let name = found.ok_or_else(|| RegistryError::damaged("a dataset is in a run that does not exist"))?;
        self.runs.insert(id, name.clone());
        Ok(name)
    }

    fn format(&mut self, id: i64) -> Result<Format, RegistryError> {
        if let Some(format) = self.formats.get(&id) {
            return Ok(format.clone());
        }
        let mut found = None;
        self.database.query("SELECT json FROM file_format WHERE id = ?1", &[Value::Int(id)], &mut |row| {
            let format: Format = serde_json::from_str(row.text(0)?)
                .map_err(|e| RegistryError::damaged(format!("file format {id} is not understood: {e}")))?;
            found = Some(format);
            Ok(())
        })?;
        let format = found.ok_or_else(|| RegistryError::damaged("a dataset has a format that does not exist"))?;
        // Raw files may each have a layout of their own: what is kept is bounded.
        if self.formats.len() >= 4096 {
            self.formats.clear();
        }
        self.formats.insert(id, format.clone());
        Ok(format)
    }
}

fn read_row(row: &dyn Row, keys: &[&'static str]) -> Result<Found, RegistryError> {
    let mut data_id = DataId::new();
    for (i, key) in keys.iter().enumerate() {
        match row.get(6 + i) {
            Value::Int(v) => data_id.set(key, v),
            Value::Text(s) => data_id.set(key, s),
            other => return Err(RegistryError::unexpected(&format!("a value of `{key}`"), other)),
        }
    }
    let path = match row.get(5) {
        Value::Null => None,
        _ => Some(row.text(5)?.to_owned()),
    };
    Ok(Found {
        kind: row.int(0)?,
        run: row.int(1)?,
        size: row.int(2)? as u64,
        checksum: row.int(3)? as u64,
        format: row.int(4)?,
        path,
        data_id,
    })
}
