//! Collections: making them, and the order in which they are searched.

use std::collections::HashMap;
use std::sync::Arc;

use super::changes::{ChangeKind, Entry, record};
use super::database::{Database, Value};
use super::{Registry, RegistryError};
use crate::dataset::{Collection, CollectionType, check_collection_name};
use crate::dimension::near_miss;

/// How a chain is edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainEdit {
    /// The members become those named.
    Redefine,
    /// Those named come first, in their order.
    Prepend,
    /// Those named come last, in their order.
    Extend,
    /// Those named are taken out.
    Remove,
    /// The member at a place, counted from 0, is taken out; none are named.
    Pop(usize),
}

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
        self.register_collection(name, CollectionType::Run)
    }

    /// Makes a CHAINED collection that searches `children` in this order, or gives one that exists another order. A child
    /// that is named twice is searched where it comes first.
    ///
    /// # Errors
    /// [`RegistryError::UnknownCollection`] for a child that does not exist; [`RegistryError::CollectionCycle`] when the
    /// collection would contain itself; [`RegistryError::CollectionName`]; [`RegistryError::CollectionType`] when the name
    /// stands for another type.
    pub fn set_collection_chain(&self, name: &str, children: &[&str]) -> Result<(), RegistryError> {
        self.edit_collection_chain(name, ChainEdit::Redefine, children).map(drop)
    }

    /// Edits a CHAINED collection in one step, and gives its members afterwards. One that does not exist is made, but for
    /// [`ChainEdit::Remove`] and [`ChainEdit::Pop`].
    ///
    /// # Errors
    /// As [`Registry::set_collection_chain`]; [`RegistryError::Invalid`] when what is to be removed is no member;
    /// [`RegistryError::Refused`] for a chain that is sealed or another's.
    pub fn edit_collection_chain(
        &self,
        name: &str,
        edit: ChainEdit,
        children: &[&str],
    ) -> Result<Vec<Arc<str>>, RegistryError> {
        check_collection_name(name)?;
        self.write(|database| {
            let makes = !matches!(edit, ChainEdit::Remove | ChainEdit::Pop(_));
            let (parent, is_new) = if makes {
                register(database, name, CollectionType::Chained)?
            } else {
                (find_of_type(database, name, CollectionType::Chained)?, false)
            };
            if is_new {
                super::guards::own(database, parent.id, self.user())?;
            } else {
                super::guards::check_writable(database, &parent, self.user())?;
            }
            let members = self::children(database, parent.id)?;
            let named = children.iter().map(|child| find(database, child)).collect::<Result<Vec<_>, _>>()?;
            let wanted: Vec<CollectionRow> = match edit {
                ChainEdit::Redefine => named,
                ChainEdit::Prepend => named.into_iter().chain(members.iter().cloned()).collect(),
                ChainEdit::Extend => {
                    // A member that is named again moves to the end.
                    let kept = members.iter().filter(|m| named.iter().all(|n| n.id != m.id)).cloned();
                    kept.chain(named.iter().cloned()).collect()
                }
                ChainEdit::Remove => {
                    if let Some(stranger) = named.iter().find(|n| members.iter().all(|m| m.id != n.id)) {
                        let list = members.iter().map(|m| &*m.name).collect::<Vec<_>>().join(", ");
                        return Err(RegistryError::Invalid {
                            what: format!("collection `{name}` without `{}`", stranger.name),
                            reason: format!("that is none of its members, which are: {list}"),
                        });
                    }
                    members.iter().filter(|m| named.iter().all(|n| n.id != m.id)).cloned().collect()
                }
                ChainEdit::Pop(place) => {
                    let mut left = members.clone();
                    if place >= left.len() {
                        return Err(RegistryError::Invalid {
                            what: format!("collection `{name}` without member {place}"),
                            reason: format!("it has {} members, counted from 0", left.len()),
                        });
                    }
                    left.remove(place);
                    left
                }
            };
            let mut rows: Vec<CollectionRow> = Vec::with_capacity(wanted.len());
            for row in wanted {
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
            let same = rows.len() == members.len() && rows.iter().zip(&members).all(|(a, b)| a.id == b.id);
            if is_new || !same {
                database.execute("DELETE FROM collection_chain WHERE parent = ?1", &[Value::Int(parent.id)])?;
                for (place, row) in rows.iter().enumerate() {
                    database.execute(
                        "INSERT INTO collection_chain (parent, place, child) VALUES (?1, ?2, ?3)",
                        &[Value::Int(parent.id), Value::Int(place as i64), Value::Int(row.id)],
                    )?;
                }
                record(database, &[Entry::of_collection(ChangeKind::ChainEdited, name)])?;
            }
            Ok(rows.into_iter().map(|row| row.name).collect())
        })
    }

    /// Removes a collection that has no datasets of its own: a RUN that is empty, or one of any other type; what it refers to
    /// stays. With `unlink` it is taken out of the chains that it is a member of.
    ///
    /// # Errors
    /// [`RegistryError::UnknownCollection`]; [`RegistryError::Refused`] for one that is sealed or another's, for a member of
    /// chains without `unlink` or of another's chain, and for a run with datasets.
    pub fn remove_collection(&self, name: &str, unlink: bool) -> Result<(), RegistryError> {
        self.write(|database| {
            let row = find(database, name)?;
            super::guards::check_writable(database, &row, self.user())?;
            let refused = |reason: String, hint: &str| RegistryError::Refused {
                doing: format!("remove {} collection `{name}`", row.kind),
                reason,
                hint: hint.to_owned(),
            };
            for parent in parents(database, row.id)? {
                if !unlink {
                    let reason = format!("it is a member of `{}`", parent.name);
                    return Err(refused(reason, "say --unlink to take it out of the chains"));
                }
                super::guards::check_writable(database, &parent, self.user())?;
            }
            if row.kind == CollectionType::Run {
                let mut count = 0;
                for (table, _) in super::dataset_types::tables(database)? {
                    let sql = format!("SELECT COUNT(*) FROM {table} WHERE run = ?1");
                    database.query(&sql, &[Value::Int(row.id)], &mut |found| {
                        count += found.int(0)?;
                        Ok(())
                    })?;
                }
                if count > 0 {
                    return Err(refused(
                        format!("it has {count} datasets"),
                        "remove them with `bunter prune-datasets`",
                    ));
                }
            }
            for table in ["tagged", "calibration", "collection_owner"] {
                database.execute(&format!("DELETE FROM {table} WHERE collection = ?1"), &[Value::Int(row.id)])?;
            }
            for (table, column) in [
                ("collection_chain", "child"),
                ("collection_chain", "parent"),
                ("quantum", "run"),
                ("provenance", "run"),
                ("region_use", "run"),
            ] {
                database.execute(&format!("DELETE FROM {table} WHERE {column} = ?1"), &[Value::Int(row.id)])?;
            }
            database.execute("DELETE FROM collection WHERE id = ?1", &[Value::Int(row.id)])?;
            record(database, &[Entry::of_collection(ChangeKind::CollectionRemoved, name)]).map(drop)
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

pub(super) fn register(
    database: &mut dyn Database,
    name: &str,
    wanted: CollectionType,
) -> Result<(CollectionRow, bool), RegistryError> {
    let insert = database.insert_or_nothing("collection", &["name", "type"]);
    let is_new = database.execute(&insert, &[Value::Text(name), Value::Int(wanted.code())])? > 0;
    Ok((find_of_type(database, name, wanted)?, is_new))
}

/// All collections, by name.
pub(super) fn all(database: &mut dyn Database) -> Result<Vec<CollectionRow>, RegistryError> {
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

pub(super) fn children(database: &mut dyn Database, parent: i64) -> Result<Vec<CollectionRow>, RegistryError> {
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

/// The chains that a collection is a member of.
pub(super) fn parents(database: &mut dyn Database, child: i64) -> Result<Vec<CollectionRow>, RegistryError> {
    let mut rows = Vec::new();
    database.query(
        "SELECT c.id, c.name, c.type FROM collection_chain AS m JOIN collection AS c ON c.id = m.parent
         WHERE m.child = ?1 ORDER BY c.name",
        &[Value::Int(child)],
        &mut |row| {
            rows.push(CollectionRow { id: row.int(0)?, name: row.text(1)?.into(), kind: kind(row.int(2)?)? });
            Ok(())
        },
    )?;
    Ok(rows)
}

/// The name of a collection by its number.
pub(super) fn name_of(database: &mut dyn Database, id: i64) -> Result<Arc<str>, RegistryError> {
    let mut found: Option<Arc<str>> = None;
    database.query("SELECT name FROM collection WHERE id = ?1", &[Value::Int(id)], &mut |row| {
        found = Some(row.text(0)?.into());
        Ok(())
    })?;
    found.ok_or_else(|| RegistryError::damaged("a dataset is in a run that does not exist"))
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

/// The collections with datasets that a search through `names` meets, in its order, each once.
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
            CollectionType::Run | CollectionType::Tagged => runs.push(row),
            CollectionType::Chained => {
                let mut members = children(database, row.id)?;
                members.reverse();
                open.append(&mut members);
            }
            // What is valid when cannot be told without a time.
            CollectionType::Calibration => {
                if !find_first {
                    runs.push(row);
                }
            }
        }
    }
    Ok(runs)
}
