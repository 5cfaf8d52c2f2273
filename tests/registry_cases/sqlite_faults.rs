//! What only a registry in a file can suffer: kills, rivals, damage, read-only folders.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bunter::{Query, Registry, RegistryError, RegistryReader};

use rusqlite::Connection;

use super::{exposure, exposures, fill, fill_with_datasets, message, patch};

fn file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite3");
    (folder, path)
}

/// Starts this test program again, to run the test `role` on a registry.
fn child(role: &str, path: &Path, seed: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([&format!("registry_cases::sqlite_faults::{role}"), "--exact", "--nocapture"])
        .env("BUNTER_TEST_REGISTRY", path)
        .env("BUNTER_TEST_SEED", seed.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

fn role() -> Option<(PathBuf, usize)> {
    let path = std::env::var_os("BUNTER_TEST_REGISTRY")?;
    Some((path.into(), std::env::var("BUNTER_TEST_SEED").unwrap().parse().unwrap()))
}

/// Not a test by itself: a process that writes batches of 80 datasets, each all or nothing, one detector set a run.
#[test]
fn child_writes_runs() {
    let Some((path, seed)) = role() else { return };
    let registry = Registry::open(path).unwrap();
    for n in 0..200 {
        let run = format!("kill/{seed}/{n}");
        registry.register_run(&run).unwrap();
        let batch: Vec<_> = (0..80)
            .map(|i| exposure(1_000_000 + (seed * 200 + n) as u128 * 80 + i, 100 + i as i64 / 4, i as i64 % 4, &run))
            .collect();
        registry.insert_datasets(&batch).unwrap();
    }
}

fn datasets_by_run(registry: &Registry) -> Vec<usize> {
    let runs: Vec<_> = registry.collections().unwrap().into_iter().map(|c| c.name).collect();
    let kill = runs.iter().filter(|r| r.starts_with("kill/"));
    kill.map(|r| registry.datasets("calexp", &[r], &Query::all(), false).unwrap().num_rows()).collect()
}

#[test]
fn a_killed_writer_leaves_whole_transactions() {
    let (_folder, path) = file();
    fill(&Registry::create(&path).unwrap());
    let watch = Registry::open_read_only(&path).unwrap();
    let mut last = 0;
    for seed in 0..8 {
        let mut writer = child("child_writes_runs", &path, seed);
        // Killed after it has written something, at another moment each time.
        while datasets_by_run(&watch).len() < last + 1 + seed {
            assert!(writer.try_wait().unwrap().is_none(), "the writer ended by itself");
            std::thread::yield_now();
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        let found = datasets_by_run(&Registry::open(&path).unwrap());
        assert!(found.iter().all(|n| *n == 0 || *n == 80), "{found:?}");
        assert!(found.iter().filter(|n| **n == 0).count() <= seed + 1, "{found:?}");
        last = found.len();
    }
    let check: String =
        Connection::open(&path).unwrap().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[test]
fn processes_write_side_by_side() {
    let (_folder, path) = file();
    fill(&Registry::create(&path).unwrap());
    let writers: Vec<_> = (0..2).map(|seed| child("child_writes_runs", &path, seed)).collect();
    for mut writer in writers {
        assert!(writer.wait().unwrap().success());
    }
    let found = datasets_by_run(&Registry::open(&path).unwrap());
    assert_eq!(found, [80; 400]);
}

#[test]
fn who_waits_in_vain_is_told_for_whom() {
    let (_folder, path) = file();
    let registry = Registry::create(&path).unwrap();
    registry.set_busy_timeout(Duration::from_millis(50)).unwrap();
    let rival = Connection::open(&path).unwrap();
    rival.execute_batch("BEGIN IMMEDIATE; INSERT INTO collection (name, type) VALUES ('rival', 1)").unwrap();
    let text = message(registry.register_run("mine"));
    assert!(text.contains("waited") && text.contains(&path.display().to_string()), "{text}");
    assert!(text.contains("this very process"), "{text}");
    assert!(!text.contains("database is locked"), "{text}");
    // Reading waits for nobody, and sees what was there before.
    assert_eq!(registry.collections().unwrap().len(), 0);
    rival.execute_batch("COMMIT").unwrap();
    assert!(registry.register_run("mine").unwrap());
    assert_eq!(registry.collections().unwrap().len(), 2);
}

#[test]
fn creating_never_overwrites() {
    let (folder, path) = file();
    Registry::create(&path).unwrap().register_run("a").unwrap();
    assert!(matches!(Registry::create(&path), Err(RegistryError::AlreadyExists { .. })));
    assert_eq!(Registry::open(&path).unwrap().collections().unwrap().len(), 1);
    assert!(message(Registry::create(folder.path().join("no/such/registry.sqlite3"))).contains("cannot create"));
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["registry.sqlite3"], "nothing else is left behind");
}

#[test]
fn what_is_no_registry_is_refused() {
    let (folder, path) = file();
    assert!(message(Registry::open(&path)).contains("cannot open registry"));
    assert!(message(Registry::open(folder.path())).contains("folder"));
    for content in [&b"SIMPLE  =                    T"[..], &[0; 5000], b"SQLite format 3\0but then nonsense"] {
        std::fs::write(&path, content).unwrap();
        let text = message(Registry::open(&path));
        assert!(text.contains(&path.display().to_string()) && text.contains("cannot be read"), "{text}");
    }
    std::fs::write(&path, b"").unwrap();
    assert!(message(Registry::open(&path)).contains("not a bunter registry"));
    std::fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE visit (a)").unwrap();
    assert!(message(Registry::open(&path)).contains("not a bunter registry"));
}

#[test]
fn other_versions_are_refused() {
    for (version, part) in [(99, "newer bunter"), (1, "bunter migrate"), (0, "no way leads from there")] {
        let (_folder, path) = file();
        drop(Registry::create(&path).unwrap());
        Connection::open(&path).unwrap().execute("UPDATE bunter_schema SET value = ?1", [version]).unwrap();
        let text = message(Registry::open(&path));
        assert!(text.contains(part) && text.contains(&format!("version {version}")), "{text}");
    }
}

#[test]
fn a_cut_or_overwritten_file_is_an_error() {
    let (_folder, path) = file();
    fill_with_datasets(&Registry::create(&path).unwrap());
    let whole = std::fs::read(&path).unwrap();
    for keep in [100, 4096, whole.len() / 2] {
        std::fs::write(&path, &whole[..keep]).unwrap();
        let asked = Registry::open(&path).and_then(|r| r.datasets("calexp", &["runs/a"], &Query::all(), false));
        let text = message(asked);
        assert!(text.contains(&path.display().to_string()), "{text}");
    }
    for page in 0..whole.len() / 4096 {
        let mut broken = whole.clone();
        broken[page * 4096..(page + 1) * 4096].fill(0xa5);
        std::fs::write(&path, broken).unwrap();
        // Whatever page it is: an answer or an error, never a panic.
        if let Ok(registry) = Registry::open(&path) {
            let _ = registry.datasets("calexp", &["runs/a"], &Query::all(), true);
            let _ = registry.dimension_records("visit_detector", &Query::all());
            let _ = registry.insert_datasets(&exposures());
        }
    }
}

#[test]
fn reading_only_cannot_write() {
    let (_folder, path) = file();
    fill_with_datasets(&Registry::create(&path).unwrap());
    let registry = Registry::open_read_only(&path).unwrap();
    assert_eq!(registry.datasets("calexp", &["runs/a"], &Query::all(), true).unwrap().num_rows(), 80);
    assert!(matches!(registry.register_run("x"), Err(RegistryError::ReadOnly { .. })));
}

#[test]
fn a_folder_that_takes_no_log_is_read_all_the_same() {
    let (_folder, path) = file();
    fill_with_datasets(&Registry::create(&path).unwrap());
    // As in a read-only folder, which a test that runs as root cannot have: the files of the log cannot be made.
    std::fs::create_dir(path.with_extension("sqlite3-shm")).unwrap();
    let registry = Registry::open_read_only(&path).unwrap();
    assert_eq!(registry.datasets("calexp", &["runs/a"], &Query::all(), true).unwrap().num_rows(), 80);
}

/// The promise of some 150 bytes a dataset, indexes and all.
#[test]
fn datasets_are_compact() {
    let (_folder, path) = file();
    let registry = Registry::create(&path).unwrap();
    fill(&registry);
    drop(registry);
    let empty = std::fs::metadata(&path).unwrap().len();
    let registry = Registry::open(&path).unwrap();
    let template = registry.path_template("coadd").unwrap();
    let all: Vec<_> = (0..20_000_u128)
        .map(|i| {
            let mut new =
                patch(i << 64 | i, (i / 200) as i64, (i / 3 % 67) as i64, ["g", "r", "i"][(i % 3) as usize], "runs/a");
            new.file.path = template.path(&new.dataset).unwrap();
            new
        })
        .collect();
    assert_eq!(registry.insert_datasets(&all).unwrap().new, 20_000);
    drop(registry);
    let bytes = (std::fs::metadata(&path).unwrap().len() - empty) / 20_000;
    assert!(bytes <= 150, "{bytes} bytes a dataset");
}
