//! What registries suffer: writers that are killed, many processes at once, servers that go away, disks that are full.
//!
//! `BUNTER_KILLS` says how often a writer is killed on each database (20 times unless told).

#![cfg(all(feature = "postgres", feature = "mysql"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod servers;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use bunter::{
    DataId, DatasetRef, DatasetType, FileRecord, Format, NewDataset, Query, RecordBatchOf, Registry, RegistryAddress,
    RegistryError, RegistryReader, StorageClass,
};
use mysql::prelude::Queryable as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use servers::{Kind, Server};
use uuid::Uuid;

/// Datasets in a write, which must all be there or none.
const TOGETHER: usize = 20;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

fn instruments(names: &[&str]) -> RecordBatchOf {
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(names));
    RecordBatchOf { element: "instrument", records: batch(vec![("instrument", names)]), keep_existing: false }
}

fn fill(registry: &Registry) {
    let detectors = 0..TOGETHER as i64;
    registry.insert_dimension_records("instrument", &instruments(&["HSC"]).records).unwrap();
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(detectors.clone().map(|_| "HSC")));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(detectors));
    registry.insert_dimension_records("detector", &batch(vec![("instrument", names), ("detector", numbers)])).unwrap();
    let kind = DatasetType {
        name: "bias".into(),
        dimensions: ["instrument".into(), "detector".into()].into(),
        storage_class: StorageClass::Json,
    };
    registry.register_dataset_type(&kind, None).unwrap();
}

fn bias(run: &str, number: u128, detector: i64) -> NewDataset {
    let data_id = DataId::new().with("instrument", "HSC").with("detector", detector);
    NewDataset {
        dataset: DatasetRef { id: Uuid::from_u128(number), dataset_type: "bias".into(), data_id, run: run.into() },
        file: FileRecord { path: format!("{number}.json"), format: Format::Json, size: 1, checksum: 2 },
    }
}

/// Starts this test program again, to run the test `role` on a registry.
fn child(role: &str, address: &RegistryAddress, seed: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([role, "--exact", "--nocapture"])
        .env("BUNTER_TEST_REGISTRY", address.to_string())
        .env("BUNTER_TEST_SEED", seed.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn role() -> Option<(RegistryAddress, usize)> {
    let address = std::env::var("BUNTER_TEST_REGISTRY").ok()?;
    Some((address.parse().unwrap(), std::env::var("BUNTER_TEST_SEED").unwrap().parse().unwrap()))
}

fn say(what: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what}").unwrap();
    out.flush().unwrap();
}

/// Not a test by itself: writes runs of datasets without end, and says each that is written.
#[test]
fn child_writes_without_end() {
    let Some((address, seed)) = role() else { return };
    let registry = Registry::open_at(&address).unwrap();
    for n in 0..1_000_000 {
        let run = format!("kill/{seed}/{n}");
        registry.register_run(&run).unwrap();
        let first = ((seed as u128) << 64) | (n as u128) << 16;
        let all: Vec<_> = (0..TOGETHER).map(|i| bias(&run, first + i as u128, i as i64)).collect();
        registry.insert_datasets(&all).unwrap();
        say(&format!("wrote {run}"));
    }
}

/// Not a test by itself: puts one dataset at a time.
#[test]
fn child_puts() {
    let Some((address, seed)) = role() else { return };
    let registry = Registry::open_at(&address).unwrap();
    for n in 0..5_usize {
        let run = format!("puts/{seed}/{n}");
        registry.register_run(&run).unwrap();
        for detector in 0..TOGETHER {
            let number = ((seed as u128) << 64) | (n as u128) << 16 | detector as u128 | 1 << 120;
            registry.insert_datasets(&[bias(&run, number, detector as i64)]).unwrap();
        }
    }
}

/// Datasets in each run.
fn by_run(registry: &Registry, under: &str) -> BTreeMap<String, usize> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for collection in registry.collections().unwrap() {
        if collection.name.starts_with(under) {
            counts.insert(collection.name.to_string(), 0);
        }
    }
    if counts.is_empty() {
        return counts;
    }
    let all = registry.datasets("bias", &[&format!("{under}*")], &Query::all(), false).unwrap();
    for run in all.column_by_name("run").unwrap().as_string::<i32>().iter().flatten() {
        *counts.get_mut(run).unwrap() += 1;
    }
    counts
}

fn kills() -> usize {
    std::env::var("BUNTER_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(20)
}

/// Kills writers at random instants: what they said is there, and all of each write or nothing.
fn writers_are_killed(address: &RegistryAddress) {
    fill(&Registry::create_at(address).unwrap());
    let mut dice = ChaCha8Rng::seed_from_u64(7);
    let mut said = Vec::new();
    for seed in 0..kills() {
        let mut writer = child("child_writes_without_end", address, seed);
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
        let wait_for = dice.next_u32() % 4;
        let more = Duration::from_micros(u64::from(dice.next_u32() % 4000));
        let mut heard: Vec<String> = Vec::new();
        while heard.len() <= wait_for as usize {
            match lines.next() {
                Some(line) => heard.extend(line.strip_prefix("wrote ").map(str::to_owned)),
                None => panic!("the writer ended by itself: {:?}", writer.wait().unwrap()),
            }
        }
        let start = Instant::now();
        while start.elapsed() < more {
            std::hint::spin_loop();
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        heard.extend(lines.filter_map(|line| line.strip_prefix("wrote ").map(str::to_owned)));
        said.extend(heard);
    }
    let counts = by_run(&Registry::open_at(address).unwrap(), "kill/");
    for run in &said {
        assert_eq!(counts.get(run), Some(&TOGETHER), "{run} was written");
    }
    assert!(counts.values().all(|n| [0, TOGETHER].contains(n)), "{counts:?}");
    assert!(said.len() >= kills());
    // The next one writes as if nothing had been.
    let registry = Registry::open_at(address).unwrap();
    registry.register_run("after").unwrap();
    registry.insert_datasets(&[bias("after", u128::MAX, 0)]).unwrap();
    eprintln!("{address}: {} kills, {} writes told, {} runs", kills(), said.len(), counts.len());
}

/// Processes put side by side: every row is there.
fn processes_put_side_by_side(address: &RegistryAddress) {
    fill(&Registry::create_at(address).unwrap());
    let writers: Vec<_> = (0..4).map(|seed| child("child_puts", address, seed)).collect();
    for mut writer in writers {
        assert!(writer.wait().unwrap().success());
    }
    let counts = by_run(&Registry::open_at(address).unwrap(), "puts/");
    assert_eq!(counts.values().copied().collect::<Vec<_>>(), [TOGETHER; 20]);
}

fn file() -> (tempfile::TempDir, RegistryAddress) {
    let folder = tempfile::tempdir().unwrap();
    let address = RegistryAddress::Sqlite(folder.path().join("registry.sqlite3"));
    (folder, address)
}

#[test]
fn killed_writers_of_a_file() {
    let (_folder, address) = file();
    writers_are_killed(&address);
    let RegistryAddress::Sqlite(path) = &address else { panic!("a file") };
    let connection = rusqlite::Connection::open(path).unwrap();
    let check: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[test]
fn killed_writers_of_postgres() {
    let Some(server) = Server::start(Kind::Postgres, true) else { return };
    writers_are_killed(&server.address("kills"));
}

#[test]
fn killed_writers_of_mariadb() {
    let Some(server) = Server::start(Kind::Mariadb, true) else { return };
    writers_are_killed(&server.address("kills"));
}

#[test]
fn processes_put_into_a_file() {
    let (_folder, address) = file();
    processes_put_side_by_side(&address);
}

#[test]
fn processes_put_into_postgres() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    processes_put_side_by_side(&server.address("puts"));
}

#[test]
fn processes_put_into_mariadb() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    processes_put_side_by_side(&server.address("puts"));
}

fn names(registry: &Registry) -> Vec<String> {
    let found = registry.dimension_records("instrument", &Query::all()).unwrap();
    found.column(0).as_string::<i32>().iter().flatten().map(str::to_owned).collect()
}

/// A server that is killed in the middle of a transaction: a clear error, nothing half, and the same registry goes on.
fn a_server_goes_away(kind: Kind) {
    let Some(server) = Server::start(kind, true) else { return };
    let address = server.address("gone");
    let registry = Registry::create_at(&address).unwrap();
    registry.insert_dimension_records("instrument", &instruments(&["before"]).records).unwrap();
    let batches = (0..2).map(|i| {
        if i == 1 {
            server.kill();
        }
        Ok::<_, RegistryError>(instruments(&[["first", "second"][i]]))
    });
    let error = registry.insert_record_batches(batches).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, RegistryError::ServerGone { .. }), "{text}");
    assert!(text.contains("is gone") && text.contains("repeat") && text.contains(&address.to_string()), "{text}");
    let error = registry.collections().unwrap_err();
    assert!(matches!(error, RegistryError::Connect { .. } | RegistryError::ServerGone { .. }), "{error}");
    server.again();
    assert_eq!(names(&registry), ["before"]);
    let again = (0..2).map(|i| Ok::<_, RegistryError>(instruments(&[["first", "second"][i]])));
    assert_eq!(registry.insert_record_batches(again).unwrap().len(), 2);
    assert_eq!(names(&registry), ["before", "first", "second"]);
    // What was committed outlives the server.
    server.kill();
    server.again();
    assert_eq!(names(&registry), ["before", "first", "second"]);
}

#[test]
fn postgres_goes_away() {
    a_server_goes_away(Kind::Postgres);
}

#[test]
fn mariadb_goes_away() {
    a_server_goes_away(Kind::Mariadb);
}

/// Who waits in vain is told for whom, and not what databases say to that.
fn a_writer_waits(address: &RegistryAddress, holder: &str) {
    let registry = Registry::create_at(address).unwrap();
    let rival = Registry::open_at(address).unwrap();
    rival.set_busy_timeout(Duration::from_millis(200)).unwrap();
    let batches = (0..2).map(|i| {
        if i == 1 {
            let error = rival.register_run("mine").unwrap_err();
            let text = error.to_string();
            assert!(matches!(error, RegistryError::Busy { .. }), "{text}");
            assert!(text.contains("waited") && text.contains(holder), "{text}");
            assert!(!text.contains("database is locked"), "{text}");
            // Reading waits for nobody.
            assert!(names(&rival).is_empty());
        }
        Ok::<_, RegistryError>(instruments(&[["first", "second"][i]]))
    });
    registry.insert_record_batches(batches).unwrap();
    assert!(rival.register_run("mine").unwrap());
}

#[test]
fn writers_wait_for_each_other() {
    let (_folder, address) = file();
    a_writer_waits(&address, "this very process");
    let name = format!("held by bunter {}@", std::process::id());
    if let Some(address) = servers::new_address(Kind::Postgres) {
        a_writer_waits(&address, &name);
    }
    if let Some(address) = servers::new_address(Kind::Mariadb) {
        a_writer_waits(&address, "held by connection");
    }
}

#[test]
fn creating_twice_is_refused_and_many_at_once_make_one() {
    for kind in [Kind::Postgres, Kind::Mariadb] {
        let Some(address) = servers::new_address(kind) else { continue };
        let made = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..4).map(|_| scope.spawn(|| Registry::create_at(&address))).collect();
            makers
                .into_iter()
                .map(|m| m.join().unwrap())
                .filter(|made| match made {
                    Ok(_) => true,
                    Err(RegistryError::AlreadyExists { location }) => {
                        assert_eq!(*location, address.to_string());
                        false
                    }
                    Err(other) => panic!("{other}"),
                })
                .count()
        });
        assert_eq!(made, 1);
        let missing = servers::new_address(kind).unwrap();
        let text = Registry::open_at(&missing).unwrap_err().to_string();
        assert!(text.contains("not a bunter registry"), "{text}");
    }
}

#[test]
fn a_read_only_registry_writes_nothing() {
    for kind in [Kind::Postgres, Kind::Mariadb] {
        let Some(address) = servers::new_address(kind) else { continue };
        Registry::create_at(&address).unwrap().register_run("a").unwrap();
        let registry = Registry::open_read_only_at(&address).unwrap();
        assert_eq!(registry.collections().unwrap().len(), 1);
        assert!(matches!(registry.register_run("x"), Err(RegistryError::ReadOnly { .. })));
    }
}

#[test]
fn nobody_answers() {
    for text in ["postgresql://me:geheim@127.0.0.1:1/db", "mysql://me:geheim@127.0.0.1:1/db"] {
        let address: RegistryAddress = text.parse().unwrap();
        let error = Registry::open_at(&address).unwrap_err();
        let (shown, debug) = (error.to_string(), format!("{error:?} {address:?} {address}"));
        assert!(shown.contains("cannot connect to registry") && shown.contains("127.0.0.1:1/db"), "{shown}");
        assert!(!shown.contains("geheim") && !debug.contains("geheim"), "{shown} {debug}");
    }
}

fn bunter(arguments: &[&str], environment: &[(&str, &str)]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bunter"));
    command.args(arguments).env_remove("PGPASSWORD").env_remove("MYSQL_PWD").env_remove("BUNTER_REGISTRY");
    let output = command.envs(environment.iter().copied()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn repositories_in_servers_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    for (kind, number) in [(Kind::Postgres, 1), (Kind::Mariadb, 2)] {
        let Some(server) = servers::shared(kind) else { continue };
        let root = folder.path().join(number.to_string());
        let root = root.to_str().unwrap();
        let (done, said) = bunter(&["create", root, "--registry", &server.url("cli")], &[]);
        assert!(done, "{said}");
        let config = std::fs::read_to_string(Path::new(root).join("bunter.toml")).unwrap();
        assert!(config.contains(&server.url("cli")), "{config}");
        let (done, said) = bunter(&["query-dataset-types", root], &[]);
        assert!(done && said.contains("calexp"), "{said}");
        let (done, said) = bunter(&["migrate", root, "--dry-run"], &[]);
        assert!(done && said.contains("schema version 3") && said.contains("nothing to do"), "{said}");
        // The environment has the last word.
        let (done, said) = bunter(&["query-dataset-types", root], &[("BUNTER_REGISTRY", &server.url("other"))]);
        assert!(!done && said.contains("not a bunter registry"), "{said}");
        let (done, said) = bunter(&["query-dataset-types", root], &[("BUNTER_REGISTRY", "nonsense:geheim")]);
        assert!(!done && said.contains("BUNTER_REGISTRY") && !said.contains("geheim"), "{said}");
    }
    let root = folder.path().join("3");
    let with_password = "postgresql://me:geheim@127.0.0.1:1/db";
    let (done, said) = bunter(&["create", root.to_str().unwrap(), "--registry", with_password], &[]);
    assert!(!done && said.contains("pgpass") && !said.contains("geheim"), "{said}");
    assert!(!root.join("bunter.toml").exists());
}

#[test]
fn passwords_from_the_usual_places() {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let mut client =
        postgres::Client::connect(&format!("host=127.0.0.1 port={} user=postgres", server.port()), postgres::NoTls)
            .unwrap();
    client.batch_execute("CREATE ROLE guarded SUPERUSER LOGIN PASSWORD 'open:sesame'").unwrap();
    let url = server.url("guarded").replace("postgres@", "guarded@");
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("repository");
    let root = root.to_str().unwrap();
    let file = folder.path().join("passwords");
    let create = |environment: &[(&str, &str)]| bunter(&["create", root, "--registry", &url], environment);
    std::fs::write(&file, format!("127.0.0.1:{}:*:guarded:open\\:sesame\n", server.port())).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let path = file.to_str().unwrap();
    for environment in [&[("HOME", "/nowhere")][..], &[("PGPASSWORD", "wrong-geheim")], &[("PGPASSFILE", path)]] {
        let (done, said) = create(environment);
        assert!(!done && said.contains("cannot connect") && said.contains("PGPASSWORD"), "{said}");
        assert!(!said.contains("geheim") && !said.contains("sesame"), "{said}");
    }
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let (done, said) = create(&[("PGPASSFILE", path)]);
    assert!(done, "{said}");
    let (done, said) = bunter(&["query-dataset-types", root, "-vv"], &[("PGPASSWORD", "open:sesame")]);
    assert!(done && said.contains("calexp") && !said.contains("sesame"), "{said}");
}

#[test]
fn a_half_made_registry_is_refused() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let mut client = mysql::Conn::new(format!("mysql://root@127.0.0.1:{}/survey", server.port()).as_str()).unwrap();
    client.query_drop("CREATE TABLE half_bunter_schema (name VARCHAR(20) PRIMARY KEY, value BIGINT)").unwrap();
    let address = server.address("half");
    for made in [Registry::create_at(&address), Registry::open_at(&address)] {
        let text = made.unwrap_err().to_string();
        assert!(text.contains("half made") && text.contains("creation was interrupted"), "{text}");
    }
}

#[test]
fn a_full_disk_is_said_and_nothing_is_half() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(&disk).status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no small disk can be made here (only root may mount)");
        return;
    }
    let tried = std::panic::catch_unwind(|| {
        let registry = Registry::create(disk.join("registry.sqlite3")).unwrap();
        fill(&registry);
        let mut written = 0_usize;
        let error = loop {
            let run = format!("full/{written:05}");
            let first = (written as u128) << 16;
            let all: Vec<_> = (0..TOGETHER).map(|i| bias(&run, first + i as u128, i as i64)).collect();
            match registry.register_run(&run).and_then(|_| registry.insert_datasets(&all)) {
                Ok(_) => written += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, RegistryError::DiskFull { .. }), "{error}");
        assert!(error.to_string().contains("make room and repeat"), "{error}");
        let counts = by_run(&registry, "full/");
        assert_eq!(counts.values().filter(|n| **n == TOGETHER).count(), written);
        assert!(counts.values().all(|n| [0, TOGETHER].contains(n)));
    });
    Command::new("umount").arg("-l").arg(&disk).status().unwrap();
    tried.unwrap();
}
