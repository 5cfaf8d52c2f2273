//! Who owns a collection, and whether it is sealed.

use std::fmt;

use super::changes::{ChangeKind, Entry, record};
use super::collections::{CollectionRow, find};
use super::database::{Database, Value};
use super::region_state::now_us;
use super::{Registry, RegistryError};

/// Whether a collection may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CollectionState {
    /// Its owner may write to it.
    Open,
    /// Nobody may.
    Sealed,
}

impl fmt::Display for CollectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Open => "open",
            Self::Sealed => "sealed",
        })
    }
}

/// Whose a collection is, and whether it may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// The user who made it or was given it; none for one that is everybody's, as those of older registries are.
    pub owner: Option<String>,
    /// Whether it may change.
    pub state: CollectionState,
    /// Who sealed it.
    pub sealed_by: Option<String>,
    /// When, microseconds since 1970 UTC.
    pub sealed_at_us: Option<i64>,
}

/// The user who runs the program.
pub(super) fn user_name() -> String {
    let who = super::region_state::whoami();
    who.split_once('@').map_or_else(|| who.clone(), |(user, _)| user.to_owned())
}

pub(super) fn create(database: &mut dyn Database) -> Result<(), RegistryError> {
    database.execute_script(
        "CREATE TABLE collection_owner (
             collection INTEGER NOT NULL PRIMARY KEY REFERENCES collection (id),
             owner TEXT,
             state INTEGER NOT NULL,
             sealed_by TEXT,
             sealed_at BIGINT);",
    )
}

/// Notes who made a collection.
pub(super) fn own(database: &mut dyn Database, collection: i64, user: &str) -> Result<(), RegistryError> {
    let sql = database.insert_or_nothing("collection_owner", &["collection", "owner", "state"]);
    database.execute(&sql, &[Value::Int(collection), Value::Text(user), Value::Int(0)]).map(drop)
}

pub(super) fn of(database: &mut dyn Database, collection: i64) -> Result<Ownership, RegistryError> {
    let mut found = Ownership { owner: None, state: CollectionState::Open, sealed_by: None, sealed_at_us: None };
    let sql = "SELECT owner, state, sealed_by, sealed_at FROM collection_owner WHERE collection = ?1";
    database.query(sql, &[Value::Int(collection)], &mut |row| {
        let text = |column| {
            if row.get(column) == Value::Null { Ok(None) } else { row.text(column).map(|t| Some(t.to_owned())) }
        };
        found.owner = text(0)?;
        found.state = if row.int(1)? == 0 { CollectionState::Open } else { CollectionState::Sealed };
        found.sealed_by = text(2)?;
        found.sealed_at_us = if row.get(3) == Value::Null { None } else { Some(row.int(3)?) };
        Ok(())
    })?;
    Ok(found)
}

/// Refuses to change what is another's.
pub(super) fn check_owner(
    database: &mut dyn Database,
    row: &CollectionRow,
    user: &str,
) -> Result<Ownership, RegistryError> {
    let found = of(database, row.id)?;
    match &found.owner {
        Some(owner) if owner != user => Err(RegistryError::Refused {
            doing: format!("change {} collection `{}`", row.kind, row.name),
            reason: format!("it is {owner}'s, and you are {user}"),
            hint: "write to a run of your own, or ask its owner for `bunter give-run`".to_owned(),
        }),
        _ => Ok(found),
    }
}

/// Refuses to change what is sealed or another's.
pub(super) fn check_writable(
    database: &mut dyn Database,
    row: &CollectionRow,
    user: &str,
) -> Result<(), RegistryError> {
    let found = of(database, row.id)?;
    if found.state == CollectionState::Sealed {
        return Err(RegistryError::Refused {
            doing: format!("change {} collection `{}`", row.kind, row.name),
            reason: format!("{} has sealed it", found.sealed_by.as_deref().unwrap_or("its owner")),
            hint: "write to a new run; its owner opens it with `bunter seal-run --open`".to_owned(),
        });
    }
    check_owner(database, row, user).map(drop)
}

/// Refuses to take datasets from a run that another's chain searches, directly or through other chains.
pub(super) fn check_chains(database: &mut dyn Database, run: &CollectionRow, user: &str) -> Result<(), RegistryError> {
    let (mut open, mut seen) = (vec![run.id], std::collections::HashSet::new());
    while let Some(child) = open.pop() {
        for parent in super::collections::parents(database, child)? {
            if !seen.insert(parent.id) {
                continue;
            }
            if let Some(owner) = of(database, parent.id)?.owner
                && owner != user
            {
                return Err(RegistryError::Refused {
                    doing: format!("remove datasets of run `{}`", run.name),
                    reason: format!("{owner}'s chain `{}` searches it", parent.name),
                    hint: "ask its owner to take the run out with `bunter collection-chain --mode remove`".to_owned(),
                });
            }
            open.push(parent.id);
        }
    }
    Ok(())
}

impl Registry {
    /// Whose a collection is, and whether it is sealed.
    ///
    /// # Errors
    /// [`RegistryError::UnknownCollection`].
    pub fn ownership(&self, collection: &str) -> Result<Ownership, RegistryError> {
        self.read(|database| {
            let row = find(database, collection)?;
            of(database, row.id)
        })
    }

    /// Seals a collection, or opens it again; `false` when that is its state already. Only its owner may. Nothing is written
    /// to, and nothing removed from, a sealed collection.
    ///
    /// # Errors
    /// [`RegistryError::UnknownCollection`]; [`RegistryError::Refused`] for one that is another's.
    pub fn set_collection_state(&self, collection: &str, state: CollectionState) -> Result<bool, RegistryError> {
        self.write(|database| {
            let row = find(database, collection)?;
            let found = check_owner(database, &row, self.user())?;
            if found.state == state {
                return Ok(false);
            }
            if found.owner.is_none() {
                own(database, row.id, self.user())?;
            }
            let sealed = state == CollectionState::Sealed;
            database.execute(
                "UPDATE collection_owner SET state = ?2, sealed_by = ?3, sealed_at = ?4 WHERE collection = ?1",
                &[
                    Value::Int(row.id),
                    Value::Int(i64::from(sealed)),
                    if sealed { Value::Text(self.user()) } else { Value::Null },
                    if sealed { Value::Int(now_us()) } else { Value::Null },
                ],
            )?;
            record(database, &[Entry::of_collection(ChangeKind::StateChanged, collection)])?;
            Ok(true)
        })
    }

    /// Gives a collection to another user.
    ///
    /// # Errors
    /// [`RegistryError::UnknownCollection`]; [`RegistryError::Refused`] for one that is another's; [`RegistryError::Invalid`]
    /// for a name that no user has.
    pub fn give_collection(&self, collection: &str, user: &str) -> Result<(), RegistryError> {
        if user.is_empty() || user.len() > 255 || user.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(RegistryError::Invalid {
                what: format!("the user {user:?}"),
                reason: "no user is called so".to_owned(),
            });
        }
        self.write(|database| {
            let row = find(database, collection)?;
            check_owner(database, &row, self.user())?;
            own(database, row.id, user)?;
            let sql = "UPDATE collection_owner SET owner = ?2 WHERE collection = ?1";
            database.execute(sql, &[Value::Int(row.id), Value::Text(user)])?;
            record(database, &[Entry::of_collection(ChangeKind::StateChanged, collection)]).map(drop)
        })
    }
}
