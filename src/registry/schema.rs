//! The tables, made from the universe, and their version.

use super::RegistryError;
use super::database::{Database, Value};
use crate::dimension::{ColumnType, DimensionGroup, Element, ElementStorage, Universe};
use crate::sphere::SkyKey;

/// Version of the tables. A change of any `CREATE TABLE` below, or of the universe, wants a new one and a migration.
pub(super) const VERSION: i64 = 2;

const NAME: &str = "bunter_schema";

/// The column beside a stored region that says where to look for it ([`SkyKey`](crate::sphere::SkyKey)).
pub(super) const SKY_KEY: &str = "sky_key";

/// The SQL type of a column.
pub(super) const fn sql_type(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Int => "INTEGER",
        ColumnType::Float => "DOUBLE PRECISION",
        ColumnType::Text => "TEXT",
        ColumnType::Bytes => "BLOB",
    }
}

/// `"a", "b"`.
pub(super) fn quoted(names: &[&str]) -> String {
    names.iter().map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(", ")
}

/// Makes all tables of an empty database. Tables of datasets are made with the first dataset type of their dimensions.
pub(super) fn create(database: &mut dyn Database) -> Result<(), RegistryError> {
    let serial = database.serial();
    database.execute_script(&format!(
        "CREATE TABLE {NAME} (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL);
         CREATE TABLE collection (id {serial}, name TEXT NOT NULL UNIQUE, type INTEGER NOT NULL);
         CREATE TABLE collection_chain (
             parent INTEGER NOT NULL REFERENCES collection (id),
             place INTEGER NOT NULL,
             child INTEGER NOT NULL REFERENCES collection (id),
             PRIMARY KEY (parent, place));
         CREATE TABLE dimension_group (id {serial}, dimensions TEXT NOT NULL UNIQUE);
         CREATE TABLE dataset_type (
             id {serial},
             name TEXT NOT NULL UNIQUE,
             dimension_group INTEGER NOT NULL REFERENCES dimension_group (id),
             storage_class TEXT NOT NULL,
             template TEXT NOT NULL);
         CREATE TABLE file_format (id {serial}, hash BIGINT NOT NULL UNIQUE, json TEXT NOT NULL);
         CREATE TABLE quantum (
             run INTEGER NOT NULL REFERENCES collection (id),
             task TEXT NOT NULL,
             data_id TEXT NOT NULL,
             fingerprint BIGINT NOT NULL,
             status INTEGER NOT NULL,
             cause TEXT,
             seconds DOUBLE PRECISION NOT NULL,
             \"rank\" INTEGER NOT NULL,
             host TEXT NOT NULL,
             output BLOB,
             finished_at BIGINT NOT NULL,
             PRIMARY KEY (run, task, data_id));"
    ))?;
    for element in Universe::builtin().elements().iter().filter(|e| e.storage == ElementStorage::Table) {
        database.execute_script(&element_table(element))?;
        if element.spatial {
            let name = element.name;
            database.execute_script(&format!("CREATE INDEX {name}_{SKY_KEY} ON \"{name}\" ({SKY_KEY})"))?;
            let guard = database.forget_on_change(name, "region", SKY_KEY, SkyKey::UNKNOWN);
            database.execute_script(&guard)?;
        }
    }
    database
        .execute(&format!("INSERT INTO {NAME} (name, value) VALUES ('version', ?1)"), &[Value::Int(VERSION)])
        .map(|_| ())
}

/// `CREATE TABLE` of an element.
fn element_table(element: &Element) -> String {
    let mut lines: Vec<String> = element
        .columns()
        .map(|(name, kind, nullable)| {
            format!("\"{name}\" {}{}", sql_type(kind), if nullable { "" } else { " NOT NULL" })
        })
        .collect();
    if element.spatial {
        lines.push(format!("{SKY_KEY} BIGINT"));
    }
    lines.push(format!("PRIMARY KEY ({})", quoted(element.required)));
    for other in parents(element.required, element.implied) {
        if other.name != element.name {
            lines.push(foreign_key(other));
        }
    }
    format!("CREATE TABLE \"{}\" ({})", element.name, lines.join(", "))
}

/// The stored dimensions whose records a row with these key columns refers to.
pub(super) fn parents(required: &[&'static str], implied: &[&'static str]) -> Vec<&'static Element> {
    let has = |name: &&'static str| required.contains(name) || implied.contains(name);
    Universe::builtin()
        .dimensions()
        .filter(|e| e.storage == ElementStorage::Table && e.required.iter().all(has))
        .collect()
}

fn foreign_key(parent: &Element) -> String {
    let columns = quoted(parent.required);
    format!("FOREIGN KEY ({columns}) REFERENCES \"{}\" ({columns})", parent.name)
}

/// The table of the datasets of a dimension group.
pub(super) fn dataset_table(group_id: i64) -> String {
    format!("dataset_{group_id}")
}

/// Makes the table of the datasets of a dimension group.
///
/// A row is about 60 bytes, and its two indexes about 55: there can be hundreds of millions. `path` is null where it is what
/// the dataset type's template gives; formats are numbered, for all files of a dataset type mostly have the same.
pub(super) fn create_dataset_table(
    database: &mut dyn Database,
    group_id: i64,
    group: &DimensionGroup,
) -> Result<(), RegistryError> {
    let mut lines = vec![
        format!("id {}", database.serial()),
        "uuid BLOB NOT NULL UNIQUE".to_owned(),
        "dataset_type INTEGER NOT NULL REFERENCES dataset_type (id)".to_owned(),
        "run INTEGER NOT NULL REFERENCES collection (id)".to_owned(),
    ];
    for name in group.required() {
        let (_, key) = Universe::builtin().dimension(name)?;
        lines.push(format!("\"{name}\" {} NOT NULL", sql_type(key)));
    }
    lines.extend([
        "size BIGINT NOT NULL".to_owned(),
        "checksum BIGINT NOT NULL".to_owned(),
        "format INTEGER NOT NULL REFERENCES file_format (id)".to_owned(),
        "path TEXT".to_owned(),
    ]);
    // Filters mostly name a visit or a tract, seldom the instrument or the sky map, of which there are few.
    let mut dimensions = group.required().to_vec();
    dimensions.sort_by_key(|name| match *name {
        "visit" | "tract" => 0,
        "detector" | "patch" => 1,
        "day_obs" => 2,
        "band" => 3,
        _ => 4,
    });
    let key = ["dataset_type", "run"].into_iter().chain(dimensions).collect::<Vec<_>>();
    lines.push(format!("UNIQUE ({})", quoted(&key)));
    lines.extend(parents(group.required(), &[]).into_iter().map(foreign_key));
    database.execute_script(&format!("CREATE TABLE {} ({})", dataset_table(group_id), lines.join(", ")))
}

/// Refuses a database that is not a registry, or one of another version.
pub(super) fn check_version(database: &mut dyn Database) -> Result<(), RegistryError> {
    let mut found = None;
    let sql = format!("SELECT value FROM {NAME} WHERE name = 'version'");
    let answer = database.query(&sql, &[], &mut |row| {
        found = Some(row.int(0)?);
        Ok(())
    });
    let location = database.location().to_owned();
    let not_ours =
        || RegistryError::Damaged { location: location.clone(), what: "it is not a bunter registry".to_owned() };
    match answer {
        Ok(()) => {}
        // There is no such table.
        Err(RegistryError::Store { .. }) => return Err(not_ours()),
        Err(other) => return Err(other),
    }
    let hint = match found.ok_or_else(not_ours)? {
        VERSION => return Ok(()),
        newer if newer > VERSION => "it was written by a newer bunter; update this one",
        _ => "migrate it with `bunter migrate`",
    };
    Err(RegistryError::SchemaVersion { location, found: found.unwrap_or(0), supported: VERSION, hint })
}
