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

/// Makes all tables of an empty database; the version is written last, so that what has one is whole. Tables of datasets are made with the first dataset type of their dimensions.
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

/// Brings the tables of version 1 to version 2: tables and a column are added, and nothing that is there is touched.
fn upgrade_from_1(database: &mut dyn Database) -> Result<(), RegistryError> {
    for element in Universe::builtin().elements().iter().filter(|e| has_history(e)) {
        database.execute_script(&format!(
            "ALTER TABLE \"{}\" ADD COLUMN {FIRST_EVENT} INTEGER NOT NULL DEFAULT 0",
            element.name
        ))?;
    }
    database.execute_script("ALTER TABLE detector ADD COLUMN name_in_raft TEXT")?;
    create_region_tables(database)?;
    super::visit_detectors::add_sky_keys(database)
}

/// Brings the tables of version 2 to version 3.
fn upgrade_from_2(database: &mut dyn Database) -> Result<(), RegistryError> {
    create_collection_tables(database)
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

/// One step of a migration, from a version to the next.
struct Step {
    from: i64,
    what: &'static str,
    work: fn(&mut dyn Database) -> Result<(), RegistryError>,
}

/// All steps there are, oldest first.
const STEPS: [Step; 2] = [
    Step {
        from: 1,
        what: "adds the history of regions, where regions lie on the sky, and the names of detectors in their rafts",
        work: upgrade_from_1,
    },
    Step {
        from: 2,
        what: "adds TAGGED and CALIBRATION collections, owners of runs, provenance and the sequence of changes",
        work: upgrade_from_2,
    },
];

/// Refuses a database that is not a registry, or one of another version.
pub(super) fn check_version(database: &mut dyn Database) -> Result<(), RegistryError> {
    let found = version(database)?;
    let hint = match found {
        VERSION => return Ok(()),
        newer if newer > VERSION => "it was written by a newer bunter; update this one",
        old if STEPS.iter().any(|s| s.from == old) => {
            "keep a copy of it and run `bunter migrate REPOSITORY`; with --dry-run it says what it would do"
        }
        _ => "no way leads from there; restore a copy",
    };
    let location = database.location().to_owned();
    Err(RegistryError::SchemaVersion { location, found, supported: VERSION, hint })
}

/// What a migration did, or would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// The version that the registry had.
    pub from: i64,
    /// The version that this program reads.
    pub to: i64,
    /// What was done, or would be, in order; empty when there is nothing to do.
    pub steps: Vec<String>,
}

/// Brings a registry to this program's version, in one transaction; `dry_run` only says how.
pub(super) fn migrate(database: &mut dyn Database, dry_run: bool) -> Result<Migration, RegistryError> {
    let plan = |from: i64| -> Option<Vec<&Step>> {
        (from..VERSION).map(|v| STEPS.iter().find(|step| step.from == v)).collect()
    };
    let from = version(database)?;
    let Some(steps) = plan(from).filter(|_| from <= VERSION) else {
        return check_version(database).map(|()| Migration { from, to: VERSION, steps: Vec::new() });
    };
    let told = |steps: &[&Step]| steps.iter().map(|s| format!("{} to {}: {}", s.from, s.from + 1, s.what)).collect();
    if dry_run || steps.is_empty() {
        return Ok(Migration { from, to: VERSION, steps: told(&steps) });
    }
    let mut work = || {
        database.begin(Access::Write)?;
        // Another process may have been faster.
        let now = version(database)?;
        let steps = plan(now).unwrap_or_default();
        for step in &steps {
            (step.work)(database)?;
            let sql = format!("UPDATE {NAME} SET value = ?1 WHERE name = 'version'");
            database.execute(&sql, &[Value::Int(step.from + 1)])?;
        }
        database.commit()?;
        database.make_durable()?;
        Ok(Migration { from: now, to: VERSION, steps: told(&steps) })
    };
    let done = work();
    if done.is_err() {
        database.rollback();
    }
    database.optimize();
    done
}

fn version(database: &mut dyn Database) -> Result<i64, RegistryError> {
    let damaged = |database: &dyn Database, what: &str| RegistryError::Damaged {
        location: database.location().to_owned(),
        what: what.to_owned(),
    };
    if !database.has_table(NAME)? {
        return Err(damaged(database, "it is not a bunter registry"));
    }
    let mut found = None;
    let sql = format!("SELECT value FROM {NAME} WHERE name = 'version'");
    database.query(&sql, &[], &mut |row| {
        found = Some(row.int(0)?);
        Ok(())
    })?;
    found.ok_or_else(|| {
        damaged(
            database,
            "it is half made, for its creation was interrupted; nothing is in it: drop its tables and create it again",
        )
    })
}

/// Whether there is a registry, or a part of one.
pub(super) fn is_there(database: &mut dyn Database) -> Result<bool, RegistryError> {
    database.has_table(NAME)
}
