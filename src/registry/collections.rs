//! Collections: making them, and the order in which they are searched.

use std::collections::HashMap;
use std::sync::Arc;

use super::database::{Database, Value};
use super::{Registry, RegistryError};
use crate::dataset::{Collection, CollectionType, check_collection_name};
use crate::dimension::near_miss;

/// A collection's row.
#[derive(Clone, Debug)]
pub(super) struct CollectionRow {
    pub(super) id: i64,
    pub(super) name: Arc<str>,
    pub(super) kind: CollectionType,
}

impl Registry {
    /// Makes a RUN collection; `false` when it was there.
    ///
    /// # Errors
    /// [`RegistryError::CollectionName`]; [`RegistryError::CollectionType`] when the name stands for another type.
    pub fn register_run(&self, name: &str) -> Result<bool, RegistryError> {
        check_collection_name(name)?;
        self.write(|database| Ok(register(database, name, CollectionType::Run)?.1))
    }

    /// Makes a CHAINED collection that searches `children` in this order, or gives one that exists another order. A child
    /// that is named twice is searched where it comes first.
    ///
    /// # Errors
    /// [`RegistryError::UnknownCollection`] for a child that does not exist; [`RegistryError::CollectionCycle`] when the
    /// collection would contain itself; [`RegistryError::CollectionName`]; [`RegistryError::CollectionType`] when the name
    /// stands for another type.
    pub fn set_collection_chain(&self, name: &str, children: &[&str]) -> Result<(), RegistryError> {
        check_collection_name(name)?;
        self.write(|database| {
            let (parent, _) = register(database, name, CollectionType::Chained)?;
            let mut rows: Vec<CollectionRow> = Vec::with_capacity(children.len());
            for child in children {
                let row = find(database, child)?;
                if rows.iter().all(|other| other.id != row.id) {
                    rows.push(row);
                }
            }
            for row in &rows {
                if let Some(path) = path_to(database, row, parent.id, &mut Vec::new())? {
                    return Err(RegistryError::CollectionCycle {
                        name: name.to_owned(),
                        path: format!("{name} → {path}"),
                    });
                }
            }
            database.execute("DELETE FROM collection_chain WHERE parent = ?1", &[Value::Int(parent.id)])?;
            for (place, row) in rows.iter().enumerate() {
                database.execute(
                    "INSERT INTO collection_chain (parent, place, child) VALUES (?1, ?2, ?3)",
                    &[Value::Int(parent.id), Value::Int(place as i64), Value::Int(row.id)],
                )?;
            }
            Ok(())
        })
    }

    /// See [`RegistryReader::collections`](super::RegistryReader::collections).
    pub(super) fn read_collections(&self) -> Result<Vec<Collection>, RegistryError> {
        self.read(|database| {
            let rows = all(database)?;
            let names: HashMap<i64, Arc<str>> = rows.iter().map(|r| (r.id, r.name.clone())).collect();
            let mut children: HashMap<i64, Vec<Arc<str>>> = HashMap::new();
            database.query("SELECT parent, child FROM collection_chain ORDER BY parent, place", &[], &mut |row| {
                let child = names.get(&row.int(1)?);
                let child = child.ok_or_else(|| RegistryError::damaged("a chain has a child that does not exist"))?;
                children.entry(row.int(0)?).or_default().push(child.clone());
                Ok(())
            })?;
            Ok(rows
                .into_iter()
                .map(|row| Collection {
                    children: children.remove(&row.id).unwrap_or_default(),
                    name: row.name,
                    collection_type: row.kind,
                })
                .collect())
        })
    }
}

fn kind(code: i64) -> Result<CollectionType, RegistryError> {
    CollectionType::from_code(code).ok_or_else(|| RegistryError::damaged(format!("{code} is no type of collection")))
}

fn register(
    database: &mut dyn Database,
    name: &str,
    wanted: CollectionType,
) -> Result<(CollectionRow, bool), RegistryError> {
    let insert = database.insert_or_nothing("collection", &["name", "type"]);
    let is_new = database.execute(&insert, &[Value::Text(name), Value::Int(wanted.code())])? > 0;
    Ok((find_of_type(database, name, wanted)?, is_new))
}

fn all(database: &mut dyn Database) -> Result<Vec<CollectionRow>, RegistryError> {
    let mut rows = Vec::new();
    database.query("SELECT id, name, type FROM collection ORDER BY name", &[], &mut |row| {
        rows.push(CollectionRow { id: row.int(0)?, name: row.text(1)?.into(), kind: kind(row.int(2)?)? });
        Ok(())
    })?;
    Ok(rows)
}

/// A collection by its name.
pub(super) fn find(database: &mut dyn Database, name: &str) -> Result<CollectionRow, RegistryError> {
    let mut found = None;
    database.query("SELECT id, name, type FROM collection WHERE name = ?1", &[Value::Text(name)], &mut |row| {
        found = Some(CollectionRow { id: row.int(0)?, name: row.text(1)?.into(), kind: kind(row.int(2)?)? });
        Ok(())
    })?;
    if let Some(found) = found {
        return Ok(found);
    }
    let known = all(database)?;
    let near = near_miss(name, known.iter().map(|r| &*r.name));
    Err(RegistryError::UnknownCollection { name: name.to_owned(), near })
}

/// A collection by its name, which must be of a type.
pub(super) fn find_of_type(
    database: &mut dyn Database,
    name: &str,
    wanted: CollectionType,
) -> Result<CollectionRow, RegistryError> {
    let found = find(database, name)?;
    if found.kind != wanted {
        return Err(RegistryError::CollectionType { name: name.to_owned(), found: found.kind, wanted });
    }
    Ok(found)
}

fn children(database: &mut dyn Database, parent: i64) -> Result<Vec<CollectionRow>, RegistryError> {
    let mut rows = Vec::new();
    database.query(
        "SELECT c.id, c.name, c.type FROM collection_chain AS m JOIN collection AS c ON c.id = m.child
         WHERE m.parent = ?1 ORDER BY m.place",
        &[Value::Int(parent)],
        &mut |row| {
            rows.push(CollectionRow { id: row.int(0)?, name: row.text(1)?.into(), kind: kind(row.int(2)?)? });
            Ok(())
        },
    )?;
    Ok(rows)
}

/// The names from `from` to the collection `target`, if that can be reached.
fn path_to(
    database: &mut dyn Database,
    from: &CollectionRow,
    target: i64,
    seen: &mut Vec<i64>,
) -> Result<Option<String>, RegistryError> {
    if from.id == target {
        return Ok(Some(from.name.to_string()));
    }
    if from.kind != CollectionType::Chained || seen.contains(&from.id) {
        return Ok(None);
    }
    seen.push(from.id);
    for child in children(database, from.id)? {
        if let Some(path) = path_to(database, &child, target, seen)? {
            return Ok(Some(format!("{} → {path}", from.name)));
        }
    }
    Ok(None)
}

/// The runs that a search through `names` meets, in its order, each once.
pub(super) fn search_order(
    database: &mut dyn Database,
    names: &[&str],
    find_first: bool,
) -> Result<Vec<CollectionRow>, RegistryError> {
    let mut open: Vec<CollectionRow> = Vec::new();
    for name in names {
        if !name.contains(['*', '?']) {
            open.push(find(database, name)?);
            continue;
        }
        if find_first {
            return Err(RegistryError::PatternInSearch { pattern: (*name).to_owned() });
        }
        let pattern = database.glob_pattern(name);
        let sql = format!("SELECT name FROM collection WHERE {} ORDER BY name", database.glob("name", "?1"));
        let mut matching: Vec<String> = Vec::new();
        database.query(&sql, &[Value::Text(&pattern)], &mut |row| {
            matching.push(row.text(0)?.to_owned());
            Ok(())
        })?;
        if matching.is_empty() {
            return Err(RegistryError::UnknownCollection { name: (*name).to_owned(), near: None });
        }
        for name in &matching {
            open.push(find(database, name)?);
        }
    }
    // Depth first, without recursion: chains may be long.
    open.reverse();
    let mut seen = std::collections::HashSet::new();
    let mut runs = Vec::new();
    while let Some(row) = open.pop() {
        if !seen.insert(row.id) {
            continue;
        }
        match row.kind {
            CollectionType::Run => runs.push(row),
            CollectionType::Chained => {
                let mut members = children(database, row.id)?;
                members.reverse();
                open.append(&mut members);
            }
            CollectionType::Tagged | CollectionType::Calibration => {
                return Err(RegistryError::CollectionType {
                    name: row.name.to_string(),
                    found: row.kind,
                    wanted: CollectionType::Run,
                });
            }
        }
    }
    Ok(runs)
}
