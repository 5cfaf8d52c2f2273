//! Updates of regions beside readers, under kill -9, on a full disk, and in registries that are old or read-only.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails with its test")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use bunter::{
    Query, RegionMoment, RegionState, RegionUpdate, RegionUpdateReport, Registry, RegistryError, RegistryReader,
};
use rusqlite::Connection;

const VISITS: i64 = 400;
const DETECTORS: i64 = 5;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
}

fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn names(count: i64) -> ArrayRef {
    Arc::new(StringArray::from_iter_values((0..count).map(|_| "HSC")))
}

/// So many bytes that say a state.
fn mark(state: u64, length: usize) -> Vec<u8> {
    (state as u16).to_le_bytes().into_iter().cycle().take(length).collect()
}

/// The regions of some visits in a state: every byte of all of them says which.
fn regions(visits: std::ops::Range<i64>, state: u64) -> RecordBatch {
    let all = || visits.clone().flat_map(|v| (0..DETECTORS).map(move |d| (v, d)));
    batch(vec![
        ("instrument", names(all().count() as i64)),
        ("visit", ints(all().map(|i| i.0))),
        ("detector", ints(all().map(|i| i.1))),
        ("region", Arc::new(BinaryArray::from_iter_values(all().map(|_| mark(state, 97))))),
        ("wcs", Arc::new(BinaryArray::from_iter_values(all().map(|_| mark(state, 150))))),
    ])
}

/// A registry with all images in state 1, which is that of the first event.
fn fill(registry: &Registry) {
    registry.insert_dimension_records("instrument", &batch(vec![("instrument", names(1))])).unwrap();
    let r = || Arc::new(StringArray::from(vec!["r"])) as ArrayRef;
    let filter = batch(vec![("instrument", names(1)), ("physical_filter", r()), ("band", r())]);
    registry.insert_dimension_records("physical_filter", &filter).unwrap();
    let detectors = batch(vec![("instrument", names(DETECTORS)), ("detector", ints(0..DETECTORS))]);
    registry.insert_dimension_records("detector", &detectors).unwrap();
    let visits = batch(vec![
        ("instrument", names(VISITS)),
        ("visit", ints(0..VISITS)),
        ("day_obs", ints((0..VISITS).map(|_| 20_200_101))),
        ("physical_filter", Arc::new(StringArray::from_iter_values((0..VISITS).map(|_| "r")))),
    ]);
    registry.insert_dimension_records("visit", &visits).unwrap();
    registry.insert_dimension_records("visit_detector", &regions(0..VISITS, 1)).unwrap();
}

/// Brings all images to a state, in tables of 20 visits; `at` is called before each.
fn update(registry: &Registry, state: u64, at: &mut dyn FnMut(i64)) -> Result<RegionUpdateReport, RegistryError> {
    let mut first = 0;
    registry.update_regions(&RegionUpdate::default(), &mut || {
        at(first);
        first += 20;
        Ok((first <= VISITS).then(|| regions(first - 20..first, state)))
    })
}

/// That all images are in one state, and which.
fn uniform(reader: &dyn RegistryReader) -> u64 {
    let records = reader.dimension_records("visit_detector", &Query::all()).unwrap();
    assert_eq!(records.num_rows() as i64, VISITS * DETECTORS);
    let bytes = records.column_by_name("region").unwrap().as_binary::<i32>().value(0);
    let state = u64::from(u16::from_le_bytes([bytes[0], bytes[1]]));
    for (name, length) in [("region", 97), ("wcs", 150)] {
        let column = records.column_by_name(name).unwrap().as_binary::<i32>();
        let wanted = mark(state, length);
        assert!(column.iter().all(|bytes| bytes == Some(&*wanted)), "{name} of two states");
    }
    state
}

/// That the registry is whole: state `n` has the regions of state `n`, now and in the past.
fn check(path: &Path) -> u64 {
    let registry = Arc::new(Registry::open(path).unwrap());
    let state = registry.region_state().unwrap();
    assert_eq!(uniform(&*registry), state.number);
    let events = registry.region_events().unwrap();
    assert_eq!(events.len() as u64, state.number);
    assert!(events.iter().all(|e| e.images == (VISITS * DETECTORS) as u64));
    for number in [1, state.number / 2 + 1, state.number] {
        assert_eq!(uniform(&registry.as_of(RegionMoment::Event(number)).unwrap()), number);
    }
    state.number
}

fn file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite3");
    (folder, path)
}

/// Not a test by itself: a process that brings all images to the next state, time and again, and says where it is.
#[test]
fn child_updates() {
    let Some(path) = std::env::var_os("BUNTER_TEST_REGISTRY") else { return };
    let registry = Registry::open(path).unwrap();
    loop {
        let next = registry.region_state().unwrap().number + 1;
        if next > 60_000 {
            return;
        }
        update(&registry, next, &mut |first| println!("\nat {first}")).unwrap();
        println!("\ncommitted");
    }
}

fn child(path: &Path) -> (Child, impl Iterator<Item = String>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child_updates", "--exact", "--nocapture"])
        .env("BUNTER_TEST_REGISTRY", path)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    (child, lines.filter(|line| line.starts_with("at ") || line == "committed"))
}

#[test]
fn killed_at_any_instant_it_is_all_or_nothing() {
    let (_folder, path) = file();
    fill(&Registry::create(&path).unwrap());
    let mut last = 1;
    for round in 0..32_usize {
        let (mut writer, mut said) = child(&path);
        // Every third dies in the midst of its rows, wherever that is; the others while or just after the last of them is
        // written out: what is said is a moment old when it is heard, and the log grows meanwhile.
        let (commits, rows) = (round % 3, if round % 3 == 0 { 1 + round % 19 } else { 21 });
        for _ in 0..commits {
            said.find(|line| line == "committed").unwrap();
        }
        for _ in 0..rows {
            said.next().unwrap();
        }
        if round % 2 == 1 {
            // As far as the log is after the last commit, and some further: in the midst of the next one.
            let log = path.with_extension("sqlite3-wal");
            let length = || std::fs::metadata(&log).map_or(0, |m| m.len());
            let now = length();
            let mut patience = 0;
            while length() == now && patience < 20_000 {
                std::thread::yield_now();
                patience += 1;
            }
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        drop(said);
        let state = check(&path);
        assert!(state >= last + commits as u64, "a commit that was told is lost: {state} after {last}");
        last = state;
    }
    assert!(last > 20, "{last}");
    let sound: String =
        Connection::open(&path).unwrap().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
}

#[test]
fn readers_see_one_state_and_keep_their_moment() {
    let (_folder, path) = file();
    let registry = Registry::create(&path).unwrap();
    fill(&registry);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|number| {
                let (path, done) = (&path, &done);
                scope.spawn(move || {
                    let reader = Registry::open_read_only(path).unwrap();
                    let mut seen = Vec::new();
                    while !done.load(Ordering::Acquire) || seen.is_empty() {
                        if number == 0 {
                            seen.push(uniform(&reader));
                        } else {
                            let moment = reader.at_this_moment().unwrap();
                            let state = moment.region_state().unwrap();
                            assert_eq!(uniform(&moment), state.number);
                            // Whatever was written meanwhile.
                            assert_eq!(uniform(&moment), state.number);
                            assert_eq!(moment.region_state().unwrap(), state);
                            seen.push(state.number);
                        }
                    }
                    assert!(seen.is_sorted(), "{seen:?}");
                })
            })
            .collect();
        // One that was opened first is of the first moment to the end.
        let first = registry.at_this_moment().unwrap();
        for state in 2..=25 {
            update(&registry, state, &mut |_| {}).unwrap();
            assert_eq!(uniform(&registry), state);
        }
        assert_eq!(uniform(&first), 1);
        done.store(true, Ordering::Release);
        for reader in readers {
            reader.join().unwrap();
        }
    });
    assert_eq!(check(&path), 25);
}

#[test]
fn writers_wait_for_each_other() {
    let (_folder, path) = file();
    let registry = Registry::create(&path).unwrap();
    fill(&registry);
    // Two at a time, each on the state that the other one left: each update is whole, and none is lost.
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let registry = Registry::open(&path).unwrap();
                for _ in 0..10 {
                    loop {
                        let made_of = registry.region_state().unwrap();
                        let about = RegionUpdate { made_of: Some(made_of), ..RegionUpdate::default() };
                        let mut rows = vec![regions(0..VISITS, made_of.number + 1)];
                        match registry.update_regions::<RegistryError>(&about, &mut || Ok(rows.pop())) {
                            Ok(_) => break,
                            Err(RegistryError::StaleRegions { from, to, .. }) => {
                                assert!(from == made_of && to.number > from.number);
                            }
                            Err(other) => panic!("{other}"),
                        }
                    }
                }
            });
        }
    });
    assert_eq!(check(&path), 21);
}

/// Puts the tables back to what the first version of them was.
fn downgrade(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "DROP TABLE tagged; DROP TABLE calibration; DROP TABLE collection_owner; DROP TABLE provenance;
             DROP TABLE registry_change; DROP TABLE removed_dataset;
             DROP TABLE region_event; DROP TABLE region_history; DROP TABLE region_use;
             ALTER TABLE visit_detector DROP COLUMN first_event;
             DROP TRIGGER visit_detector_sky_key_update; DROP TRIGGER visit_detector_sky_key_insert;
             DROP INDEX visit_detector_sky_key;
             ALTER TABLE visit_detector DROP COLUMN sky_key;
             ALTER TABLE detector DROP COLUMN name_in_raft;
             UPDATE bunter_schema SET value = 1 WHERE name = 'version';",
        )
        .unwrap();
}

#[test]
fn a_registry_of_the_first_version_is_migrated() {
    let (_folder, path) = file();
    fill(&Registry::create(&path).unwrap());
    downgrade(&path);
    let told = Registry::open_read_only(&path).unwrap_err().to_string();
    assert!(told.contains("version 1") && told.contains("bunter migrate"), "{told}");
    let address = bunter::RegistryAddress::Sqlite(path.clone());
    let plan = Registry::migrate(&address, true).unwrap();
    assert_eq!((plan.from, plan.to, plan.steps.len()), (1, 3, 2));
    assert!(Registry::open(&path).is_err(), "a dry run changes nothing");
    // Several come at once; one does it.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| Registry::migrate(&address, false).unwrap());
        }
    });
    assert_eq!(Registry::migrate(&address, false).unwrap().steps, [""; 0]);
    let registry = Arc::new(Registry::open(&path).unwrap());
    assert_eq!((uniform(&*registry), registry.region_state().unwrap()), (1, RegionState::default()));
    assert_eq!(update(&registry, 2, &mut |_| {}).unwrap().changed, (VISITS * DETECTORS) as u64);
    assert_eq!(uniform(&*registry), 2);
    // What was there before there were events is state 0.
    assert_eq!(uniform(&registry.as_of(RegionMoment::Event(0)).unwrap()), 1);
    let history = registry.region_history(&Query { limit: Some(1), ..Query::all() }).unwrap();
    let since = history.column_by_name("since").unwrap().as_primitive::<Int64Type>();
    assert_eq!(since.values(), &[0, 1]);
    drop(registry);
    Registry::open_read_only(&path).unwrap();
    // The tables are those of a new registry.
    let schema = |path: &Path| -> Vec<String> {
        let connection = Connection::open(path).unwrap();
        let mut statement = connection
            .prepare(
                "SELECT name || ' ' || group_concat(column, ',') FROM (SELECT m.name AS name, p.name AS column
                      FROM sqlite_schema AS m, pragma_table_info(m.name) AS p WHERE m.type = 'table'
                      ORDER BY m.name, p.name) GROUP BY name ORDER BY name",
            )
            .unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).filter(|name: &String| !name.starts_with("sqlite_")).collect()
    };
    let (_folder, new) = file();
    drop(Registry::create(&new).unwrap());
    assert_eq!(schema(&path), schema(&new));
}

/// A small file system of its own, where this process may make one; says so when not.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn new(folder: &Path, size: &str) -> Option<Self> {
        let option = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &option, "tmpfs"]).arg(folder).output();
        if mounted.is_ok_and(|o| o.status.success()) {
            return Some(Self(folder.to_owned()));
        }
        eprintln!("skipped: no file system can be mounted here");
        None
    }

    fn remount(&self, option: &str) {
        let options = format!("remount,{option}");
        assert!(Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_leaves_all_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::new(folder.path(), "6m") else { return };
    let path = folder.path().join("registry.sqlite3");
    let registry = Registry::create(&path).unwrap();
    fill(&registry);
    let mut last = 1;
    let told = loop {
        match update(&registry, last + 1, &mut |_| {}) {
            Ok(_) => last += 1,
            Err(error) => break error.to_string(),
        }
        assert!(last < 50, "the disk is never full");
    };
    assert!(told.contains("disk of registry") && told.contains("full: nothing was written"), "{told}");
    assert_eq!((uniform(&registry), registry.region_state().unwrap().number), (last, last));
    drop(registry);
    assert_eq!(check(&path), last);
    // With room again the same update goes through.
    disk.remount("size=64m");
    let registry = Registry::open(&path).unwrap();
    update(&registry, last + 1, &mut |_| {}).unwrap();
    drop(registry);
    assert_eq!(check(&path), last + 1);
}

#[test]
fn a_read_only_registry_says_so() {
    let (_folder, path) = file();
    fill(&Registry::create(&path).unwrap());
    let registry = Registry::open_read_only(&path).unwrap();
    let told = update(&registry, 2, &mut |_| {}).unwrap_err().to_string();
    assert!(told.contains("read-only") && told.contains(&path.display().to_string()), "{told}");
    drop(registry);
    assert_eq!(check(&path), 1);

    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::new(folder.path(), "16m") else { return };
    let path = folder.path().join("registry.sqlite3");
    fill(&Registry::create(&path).unwrap());
    disk.remount("ro");
    let registry = Registry::open_read_only(&path).unwrap();
    let told = update(&registry, 2, &mut |_| {}).unwrap_err().to_string();
    assert!(told.contains("read-only"), "{told}");
    assert_eq!(uniform(&registry), 1);
    drop(registry);
    disk.remount("rw");
    // An old one that nobody can upgrade is refused, with what to do.
    downgrade(&path);
    disk.remount("ro");
    let told = Registry::open_read_only(&path).unwrap_err().to_string();
    assert!(told.contains("bunter migrate"), "{told}");
    let address = bunter::RegistryAddress::Sqlite(path.clone());
    let told = Registry::migrate(&address, false).unwrap_err().to_string();
    assert!(told.contains("read-only"), "{told}");
    disk.remount("rw");
    Registry::migrate(&address, false).unwrap();
    Registry::open(&path).unwrap();
}
