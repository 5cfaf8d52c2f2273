//! The tables, made from the universe, and their version.

use super::RegistryError;
use super::database::{Access, Database, Value};
use crate::dimension::{ColumnType, DimensionGroup, Element, ElementStorage, Universe};

/// Version of the tables. A change of any `CREATE TABLE` below, or of the universe, wants a new one and a migration.
pub(super) const VERSION: i64 = 3;

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

/// The column, beside those of the universe, that says with which region event a record with a region came in.
pub(super) const FIRST_EVENT: &str = "first_event";

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
    }
    create_region_tables(database)?;
    super::visit_detectors::add_sky_keys(database)?;
    create_collection_tables(database)?;
    database
        .execute(&format!("INSERT INTO {NAME} (name, value) VALUES ('version', ?1)"), &[Value::Int(VERSION)])
        .map(|_| ())
}

/// Makes the tables that came with version 3: members of collections, owners, provenance, changes.
pub(super) fn create_collection_tables(database: &mut dyn Database) -> Result<(), RegistryError> {
    super::members::create(database)?;
    super::guards::create(database)?;
    super::provenance::create(database)?;
    super::changes::create(database)
}

/// Makes the tables of what became of regions.
///
/// `region_history` holds only what was superseded: in a row what was valid until the event, null for what that event left
/// as it was, and no bytes for what was absent. Its rows refer to `visit_detector` and `region_event`; both are seen to by
/// the one statement that writes them, and checking a million of them again would cost as much as writing them.
fn create_region_tables(database: &mut dyn Database) -> Result<(), RegistryError> {
    let clustered = database.clustered();
    database.execute_script(&format!(
        "CREATE TABLE region_event (
             number INTEGER NOT NULL PRIMARY KEY,
             digest BIGINT NOT NULL,
             made_at BIGINT NOT NULL,
             kind INTEGER NOT NULL,
             who TEXT NOT NULL,
             message TEXT NOT NULL,
             source TEXT NOT NULL,
             images BIGINT NOT NULL);
         CREATE TABLE region_history (
             instrument TEXT NOT NULL,
             visit INTEGER NOT NULL,
             detector INTEGER NOT NULL,
             until_event INTEGER NOT NULL,
             region BLOB,
             wcs BLOB,
             PRIMARY KEY (instrument, visit, detector, until_event)){clustered};
         CREATE TABLE region_use (
             run INTEGER NOT NULL REFERENCES collection (id),
             task TEXT NOT NULL,
             used_at BIGINT NOT NULL,
             number BIGINT NOT NULL,
             digest BIGINT NOT NULL,
             PRIMARY KEY (run, task, used_at));"
    ))
}

/// Brings the tables of version 1 to this one: tables and a column are added, and nothing that is there is touched.
fn upgrade_from_1(database: &mut dyn Database) -> Result<(), RegistryError> {
    for element in Universe::builtin().elements().iter().filter(|e| has_history(e)) {
        database.execute_script(&format!(
            "ALTER TABLE \"{}\" ADD COLUMN {FIRST_EVENT} INTEGER NOT NULL DEFAULT 0",
            element.name
        ))?;
    }
    database.execute_script("ALTER TABLE detector ADD COLUMN name_in_raft TEXT")?;
    create_region_tables(database)?;
    super::visit_detectors::add_sky_keys(database)?;
    database.execute(&format!("UPDATE {NAME} SET value = ?1 WHERE name = 'version'"), &[Value::Int(2)]).map(|_| ())
}

/// Brings the tables of version 2 to version 3.
fn upgrade_from_2(database: &mut dyn Database) -> Result<(), RegistryError> {
    create_collection_tables(database)?;
    database.execute(&format!("UPDATE {NAME} SET value = ?1 WHERE name = 'version'"), &[Value::Int(3)]).map(|_| ())
}

/// Whether the regions of an element's records are kept when others take their place.
pub(super) fn has_history(element: &Element) -> bool {
    element.spatial && element.storage == ElementStorage::Table
}

/// `CREATE TABLE` of an element.
fn element_table(element: &Element) -> String {
    let mut lines: Vec<String> = element
        .columns()
        .map(|(name, kind, nullable)| {
            format!("\"{name}\" {}{}", sql_type(kind), if nullable { "" } else { " NOT NULL" })
        })
        .collect();
    if has_history(element) {
        lines.push(format!("{FIRST_EVENT} INTEGER NOT NULL DEFAULT 0"));
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

/// Refuses a database that is not a registry, or one of another version; one of version 1 that may be written to is brought
/// to this version, in one transaction.
pub(super) fn check_version(database: &mut dyn Database, read_only: bool) -> Result<(), RegistryError> {
    let found = version(database)?;
    let hint = match found {
        VERSION => return Ok(()),
        newer if newer > VERSION => "it was written by a newer bunter; update this one",
        1 | 2 if read_only => {
            "open it once to write, and it is upgraded in place: `bunter query-collections` by its owner does"
        }
        1 | 2 => return upgrade(database, found),
        _ => "migrate it with `bunter migrate`",
    };
    let location = database.location().to_owned();
    Err(RegistryError::SchemaVersion { location, found, supported: VERSION, hint })
}

fn upgrade(database: &mut dyn Database, found: i64) -> Result<(), RegistryError> {
    let mut work = || {
        database.begin(Access::Write)?;
        // Another process may have been faster.
        if version(database)? == 1 {
            upgrade_from_1(database)?;
        }
        if version(database)? == 2 {
            upgrade_from_2(database)?;
        }
        database.commit()
    };
    let done = work();
    if done.is_err() {
        database.rollback();
    }
    match done {
        Err(RegistryError::ReadOnly { location }) => Err(RegistryError::SchemaVersion {
            location,
            found,
            supported: VERSION,
            hint: "whoever may write to it opens it once, and it is upgraded in place: `bunter query-collections` does",
        }),
        other => other,
    }
}

fn version(database: &mut dyn Database) -> Result<i64, RegistryError> {
    let mut found = None;
    let sql = format!("SELECT value FROM {NAME} WHERE name = 'version'");
    let answer = database.query(&sql, &[], &mut |row| {
        found = Some(row.int(0)?);
        Ok(())
    });
    let not_ours = |database: &dyn Database| RegistryError::Damaged {
        location: database.location().to_owned(),
        what: "it is not a bunter registry".to_owned(),
    };
    match answer {
        Ok(()) => found.ok_or_else(|| not_ours(database)),
        // There is no such table.
        Err(RegistryError::Store { .. }) => Err(not_ours(database)),
        Err(other) => Err(other),
    }
}
