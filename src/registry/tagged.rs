//! TAGGED collections: datasets picked by hand.

use uuid::Uuid;

use super::changes::{ChangeKind, Entry, record};
use super::collections::{self, find_of_type};
use super::database::Value;
use super::members::Finder;
use super::{Inserted, Registry, RegistryError, guards};
use crate::dataset::{CollectionType, check_collection_name};

impl Registry {
    /// Makes a TAGGED collection; `false` when it was there.
    ///
    /// # Errors
    /// [`RegistryError::CollectionName`]; [`RegistryError::CollectionType`] when the name stands for another type.
    pub fn register_tagged(&self, name: &str) -> Result<bool, RegistryError> {
        self.register_collection(name, CollectionType::Tagged)
    }

    /// Makes a collection of any type; `false` when it was there. A CHAINED one is empty.
    ///
    /// # Errors
    /// [`RegistryError::CollectionName`]; [`RegistryError::CollectionType`] when the name stands for another type.
    pub fn register_collection(&self, name: &str, kind: CollectionType) -> Result<bool, RegistryError> {
        check_collection_name(name)?;
        self.write(|database| {
            let (row, is_new) = collections::register(database, name, kind)?;
            if is_new {
                guards::own(database, row.id, self.user())?;
                record(database, &[Entry::of_collection(ChangeKind::CollectionMade, name)])?;
            }
            Ok(is_new)
        })
    }

    /// Puts datasets into a TAGGED collection. A collection has at most one dataset of a type and data ID; one that is there
    /// already is counted.
    ///
    /// # Errors
    /// [`RegistryError::Conflict`], naming both, when another dataset of the type and data ID is in the collection: take it out
    /// first; [`RegistryError::CollectionType`]; [`RegistryError::UnknownCollection`]; [`RegistryError::Missing`] for a dataset
    /// that does not exist; [`RegistryError::Refused`] for another's or a sealed collection.
    pub fn associate(&self, collection: &str, ids: &[Uuid]) -> Result<Inserted, RegistryError> {
        self.write(|database| {
            let row = find_of_type(database, collection, CollectionType::Tagged)?;
            guards::check_writable(database, &row, self.user())?;
            let mut finder = Finder::new(database)?;
            let insert = database.insert_or_nothing("tagged", &["collection", "dataset_type", "data_id", "dataset"]);
            let mut inserted = Inserted::default();
            for id in ids {
                let member = finder.get(database, *id, collection)?;
                let values =
                    [Value::Int(row.id), Value::Int(member.kind), Value::Text(&member.key), Value::Int(member.number)];
                if database.execute(&insert, &values)? > 0 {
                    inserted.new += 1;
                    continue;
                }
                let mut there = None;
                database.query(
                    "SELECT dataset FROM tagged WHERE collection = ?1 AND dataset_type = ?2 AND data_id = ?3",
                    &values[..3],
                    &mut |found| {
                        there = Some(found.int(0)?);
                        Ok(())
                    },
                )?;
                match there {
                    Some(number) if number == member.number => inserted.existing += 1,
                    Some(number) => {
                        return Err(RegistryError::Conflict {
                            what: format!(
                                "`{}` {} in collection `{collection}`",
                                member.dataset.dataset_type, member.dataset.data_id
                            ),
                            existing: finder.shown(database, member.kind, number)?,
                            new: format!("{id} of run `{}`", member.dataset.run),
                        });
                    }
                    None => {
                        return Err(RegistryError::damaged("a member of a collection was written and is not there"));
                    }
                }
            }
            if inserted.new > 0 {
                record(
                    database,
                    &[Entry { count: inserted.new, ..Entry::of_collection(ChangeKind::Associated, collection) }],
                )?;
            }
            Ok(inserted)
        })
    }

    /// Takes datasets out of a TAGGED collection, and says how many were in it. The datasets stay.
    ///
    /// # Errors
    /// [`RegistryError::CollectionType`]; [`RegistryError::UnknownCollection`]; [`RegistryError::Refused`].
    pub fn disassociate(&self, collection: &str, ids: &[Uuid]) -> Result<usize, RegistryError> {
        self.write(|database| {
            let row = find_of_type(database, collection, CollectionType::Tagged)?;
            guards::check_writable(database, &row, self.user())?;
            let mut finder = Finder::new(database)?;
            let mut removed = 0;
            for id in ids {
                let Some(member) = finder.find(database, *id)? else { continue };
                removed += database.execute(
                    "DELETE FROM tagged WHERE collection = ?1 AND dataset_type = ?2 AND dataset = ?3",
                    &[Value::Int(row.id), Value::Int(member.kind), Value::Int(member.number)],
                )? as usize;
            }
            if removed > 0 {
                record(
                    database,
                    &[Entry { count: removed, ..Entry::of_collection(ChangeKind::Disassociated, collection) }],
                )?;
            }
            Ok(removed)
        })
    }
}
