//! Updates of regions: rows a second through the registry, beside the bare statements of the database below it.
//!
//! `cargo bench --bench regions [-- ROWS]`; a million unless told.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray};
use bunter::{Query, RegionMoment, RegionUpdate, Registry, RegistryError, RegistryReader};
use rusqlite::Connection;

const DETECTORS: i64 = 62;
const BATCH: i64 = 32_768;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
}

fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn names(count: i64) -> ArrayRef {
    Arc::new(StringArray::from_iter_values((0..count).map(|_| "DECam")))
}

/// Images `first..end` with regions of 4 vertices, 97 bytes, that say a state.
fn regions(first: i64, end: i64, state: u8) -> RecordBatch {
    let bytes = |i: i64| {
        let mut bytes = [state; 97];
        bytes[1..9].copy_from_slice(&i.to_le_bytes());
        bytes
    };
    batch(vec![
        ("instrument", names(end - first)),
        ("visit", ints((first..end).map(|i| i / DETECTORS))),
        ("detector", ints((first..end).map(|i| i % DETECTORS))),
        ("region", Arc::new(BinaryArray::from_iter_values((first..end).map(bytes)))),
    ])
}

fn fill(registry: &Registry, rows: i64) {
    let r = || Arc::new(StringArray::from(vec!["r"])) as ArrayRef;
    registry.insert_dimension_records("instrument", &batch(vec![("instrument", names(1))])).unwrap();
    let filter = batch(vec![("instrument", names(1)), ("physical_filter", r()), ("band", r())]);
    registry.insert_dimension_records("physical_filter", &filter).unwrap();
    let detectors = batch(vec![("instrument", names(DETECTORS)), ("detector", ints(0..DETECTORS))]);
    registry.insert_dimension_records("detector", &detectors).unwrap();
    let visits = rows / DETECTORS + 1;
    let visit = batch(vec![
        ("instrument", names(visits)),
        ("visit", ints(0..visits)),
        ("day_obs", ints((0..visits).map(|_| 20_200_101))),
        ("physical_filter", Arc::new(StringArray::from_iter_values((0..visits).map(|_| "r")))),
    ]);
    registry.insert_dimension_records("visit", &visit).unwrap();
    for first in (0..rows).step_by(BATCH as usize * 8) {
        registry.insert_dimension_records("visit_detector", &regions(first, rows.min(first + BATCH * 8), 1)).unwrap();
    }
}

fn update(registry: &Registry, rows: i64, state: u8) -> u64 {
    let mut first = 0;
    let report = registry.update_regions::<RegistryError>(&RegionUpdate::default(), &mut || {
        let from = first;
        first = rows.min(first + BATCH);
        Ok((from < rows).then(|| regions(from, first, state)))
    });
    report.unwrap().changed
}

/// Time that the processors have spent on this process, so that others on the machine do not count.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn main() {
    let rows = std::env::args().find_map(|a| a.parse().ok()).unwrap_or(1_000_000_i64);
    let told = |what: &str, (start, cpu): (Instant, f64)| {
        let (rate, per_cpu) = (rows as f64 / start.elapsed().as_secs_f64(), rows as f64 / (cpu_seconds() - cpu));
        println!("{what:<40} {:>8.0} thousand rows/s, {:>8.0} a CPU-second", rate / 1e3, per_cpu / 1e3);
        per_cpu
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite3");
    let registry = Arc::new(Registry::create(&path).unwrap());
    let start = (Instant::now(), cpu_seconds());
    fill(&registry, rows);
    told("new images", start);
    let start = (Instant::now(), cpu_seconds());
    let first = update(&registry, rows, 2);
    let rate = told("all regions updated, the old ones kept", start);
    assert_eq!(first, rows as u64);
    let start = (Instant::now(), cpu_seconds());
    assert_eq!(update(&registry, rows, 2), 0);
    told("the same again: nothing changed", start);
    let start = (Instant::now(), cpu_seconds());
    assert_eq!(update(&registry, rows, 3), rows as u64);
    told("another update", start);
    let start = (Instant::now(), cpu_seconds());
    let past = registry.as_of(RegionMoment::Event(registry.region_state().unwrap().number - 1)).unwrap();
    assert_eq!(past.dimension_records("visit_detector", &Query::all()).unwrap().num_rows() as i64, rows);
    told("all regions as they were, read", start);
    let start = (Instant::now(), cpu_seconds());
    registry.dimension_records("visit_detector", &Query::all()).unwrap();
    told("all regions as they are, read", start);

    // The bare statements: what any program pays that keeps the old value and writes the new one.
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA cache_size = -65536; BEGIN IMMEDIATE; CREATE TABLE kept (instrument TEXT, visit INTEGER, detector INTEGER, region BLOB, PRIMARY KEY (instrument, visit, detector))").unwrap();
    let start = (Instant::now(), cpu_seconds());
    {
        let key = "WHERE instrument = ?1 AND visit = ?2 AND detector = ?3";
        let columns = "instrument, visit, detector, region";
        let sql = format!("INSERT INTO kept ({columns}) SELECT {columns} FROM visit_detector {key}");
        let mut keep = connection.prepare(&sql).unwrap();
        let mut replace = connection.prepare(&format!("UPDATE visit_detector SET region = ?4 {key}")).unwrap();
        for i in 0..rows {
            let (visit, detector) = (i / DETECTORS, i % DETECTORS);
            let mut bytes = [4_u8; 97];
            bytes[1..9].copy_from_slice(&i.to_le_bytes());
            keep.execute(("DECam", visit, detector)).unwrap();
            replace.execute(("DECam", visit, detector, &bytes[..])).unwrap();
        }
    }
    connection.execute_batch("COMMIT").unwrap();
    let bare = told("bare SQLite: keep, then replace", start);
    println!("updates take {:.2} times the CPU time of the bare statements", bare / rate);
}
