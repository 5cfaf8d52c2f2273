//! What a run was made with: compare or write.

use std::collections::BTreeMap;

use super::collections::find_of_type;
use super::database::{Database, Value};
use super::region_state::{now_us, whoami};
use super::{Inserted, Registry, RegistryError, guards};
use crate::dataset::CollectionType;

/// One thing that a run was made with: a configuration, a schema, versions of software.
#[derive(Clone, Debug, PartialEq)]
pub struct ProvenanceRecord {
    /// What it is of: `config/coadd`, `schema/src`, `versions`.
    pub name: String,
    /// The content. Objects are compared key by key.
    pub content: serde_json::Value,
    /// Who wrote it, `user@host`.
    pub who: String,
    /// When, microseconds since 1970 UTC.
    pub written_at_us: i64,
}

pub(super) fn create(database: &mut dyn Database) -> Result<(), RegistryError> {
    database.execute_script(
        "CREATE TABLE provenance (
             run INTEGER NOT NULL REFERENCES collection (id),
             name TEXT NOT NULL,
             json TEXT NOT NULL,
             who TEXT NOT NULL,
             written_at BIGINT NOT NULL,
             PRIMARY KEY (run, name));",
    )
}

/// The differences of two values, one a line: `key: old → new`, by paths with dots between. At most so many.
fn differences(old: &serde_json::Value, new: &serde_json::Value) -> Vec<String> {
    fn flat(value: &serde_json::Value, path: &str, into: &mut BTreeMap<String, String>) {
        match value {
            serde_json::Value::Object(map) if !map.is_empty() => {
                for (key, value) in map {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    flat(value, &path, into);
                }
            }
            other => {
                into.insert(path.to_owned(), other.to_string());
            }
        }
    }
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    flat(old, "", &mut before);
    flat(new, "", &mut after);
    let absent = || "absent".to_owned();
    let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter()
        .filter(|key| before.get(*key) != after.get(*key))
        .map(|key| {
            let get =
                |map: &BTreeMap<String, String>| map.get(key).map_or_else(absent, |v| v.chars().take(200).collect());
            format!("{}: {} → {}", if key.is_empty() { "value" } else { key }, get(&before), get(&after))
        })
        .collect()
}

impl Registry {
    /// Writes what a run is made with, or compares it with what is there: of many that begin one run at once, the first
    /// writes and all others compare. All records or none.
    ///
    /// # Errors
    /// [`RegistryError::Differs`], with the differences key by key, when a record is there and is another;
    /// [`RegistryError::UnknownCollection`]; [`RegistryError::CollectionType`]; [`RegistryError::Refused`] when something is
    /// to be written to a run that is sealed or another's; [`RegistryError::Invalid`] for a name that is empty or too long.
    pub fn compare_or_write(
        &self,
        run: &str,
        records: &[(&str, serde_json::Value)],
    ) -> Result<Inserted, RegistryError> {
        self.write(|database| {
            let row = find_of_type(database, run, CollectionType::Run)?;
            let insert = database.insert_or_nothing("provenance", &["run", "name", "json", "who", "written_at"]);
            let (who, now) = (whoami(), now_us());
            let mut inserted = Inserted::default();
            let mut lines = Vec::new();
            for (name, content) in records {
                if name.is_empty() || name.len() > 255 || name.chars().any(char::is_control) {
                    return Err(RegistryError::Invalid {
                        what: format!("provenance {name:?}"),
                        reason: "its name must be 1 to 255 bytes without control characters".to_owned(),
                    });
                }
                if let Some(known) = stored(database, row.id, name)? {
                    let found = differences(&known, content);
                    if found.is_empty() {
                        inserted.existing += 1;
                    }
                    lines.extend(found.into_iter().map(|line| format!("{name}: {line}")));
                    continue;
                }
                guards::check_writable(database, &row, self.user())?;
                let json = content.to_string();
                let values =
                    [Value::Int(row.id), Value::Text(name), Value::Text(&json), Value::Text(&who), Value::Int(now)];
                database.execute(&insert, &values)?;
                inserted.new += 1;
            }
            if lines.is_empty() { Ok(inserted) } else { Err(RegistryError::Differs { run: run.to_owned(), lines }) }
        })
    }

    /// What a run was made with, by name.
    ///
    /// # Errors
    /// [`RegistryError::UnknownCollection`]; [`RegistryError::CollectionType`].
    pub fn provenance(&self, run: &str) -> Result<Vec<ProvenanceRecord>, RegistryError> {
        self.read(|database| {
            let row = find_of_type(database, run, CollectionType::Run)?;
            let mut records = Vec::new();
            let sql = "SELECT name, json, who, written_at FROM provenance WHERE run = ?1 ORDER BY name";
            database.query(sql, &[Value::Int(row.id)], &mut |row| {
                records.push(ProvenanceRecord {
                    name: row.text(0)?.to_owned(),
                    content: parse(row.text(1)?)?,
                    who: row.text(2)?.to_owned(),
                    written_at_us: row.int(3)?,
                });
                Ok(())
            })?;
            Ok(records)
        })
    }
}

fn parse(text: &str) -> Result<serde_json::Value, RegistryError> {
    serde_json::from_str(text).map_err(|e| RegistryError::damaged(format!("provenance is no JSON: {e}")))
}

fn stored(database: &mut dyn Database, run: i64, name: &str) -> Result<Option<serde_json::Value>, RegistryError> {
    let mut found = None;
    let sql = "SELECT json FROM provenance WHERE run = ?1 AND name = ?2";
    database.query(sql, &[Value::Int(run), Value::Text(name)], &mut |row| {
        found = Some(parse(row.text(0)?)?);
        Ok(())
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_are_told_key_by_key() {
        let (a, b) = (json!({"k": {"x": 1, "y": [1, 2]}, "z": {}}), json!({"k": {"x": 2, "y": [1, 2]}, "w": null}));
        assert_eq!(differences(&a, &b), ["k.x: 1 → 2", "w: absent → null", "z: {} → absent"]);
        assert_eq!(differences(&a, &a), [""; 0]);
        assert_eq!(differences(&json!(1), &json!("1")), ["value: 1 → \"1\""]);
    }
}
