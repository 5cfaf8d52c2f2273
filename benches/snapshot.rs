//! Opening, finding and reading in a snapshot of 1,000 and 1,000,000 rows.
//!
//! `cargo bench --bench snapshot`. The limit beside a column's read is the same sum over a vector in memory.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench")]

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, DictionaryArray, FixedSizeBinaryArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt64Array,
};
use arrow::datatypes::Int32Type;
use bunter::{DataId, Expression, Query, RegistryReader, RegistryView, Snapshot, SnapshotBuilder};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};

const SIZES: [usize; 2] = [1_000, 1_000_000];
const DETECTORS: usize = 100;

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(values.iter().copied().map(Some).collect::<StringArray>())
}

fn same(text: &str, rows: usize) -> ArrayRef {
    let dictionary = Arc::new(StringArray::from(vec![text]));
    Arc::new(DictionaryArray::<Int32Type>::new(vec![0; rows].into(), dictionary))
}

fn id(row: usize) -> [u8; 16] {
    (row as u128 * 2).to_be_bytes()
}

/// Datasets `raw` of 100 detectors a visit, as `Snapshot::build` stores them, and a column of reals.
fn write(rows: usize) -> PathBuf {
    let path = std::env::temp_dir().join(format!("bunter-bench-{}-{rows}.bnt", std::process::id()));
    let visits = rows / DETECTORS;
    let ids: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_iter((0..rows).map(id)).unwrap());
    let integers = |f: &dyn Fn(usize) -> usize, n: usize| -> ArrayRef {
        Arc::new((0..n).map(|i| Some(f(i) as i64)).collect::<Int64Array>())
    };
    let mut builder = SnapshotBuilder::new();
    let mut add = |name: &str, columns: Vec<(&str, ArrayRef)>| {
        builder.add_table(name, &RecordBatch::try_from_iter(columns).unwrap()).unwrap();
    };
    add(
        "dataset_types",
        vec![
            ("name", texts(&["raw"])),
            ("dimensions", texts(&["detector,instrument,visit"])),
            ("storage_class", texts(&["Exposure"])),
        ],
    );
    add("collections", vec![("name", texts(&["run"])), ("type", Arc::new(Int64Array::from(vec![1])))]);
    add("chains", vec![("parent", texts(&[])), ("child", texts(&[]))]);
    add(
        "dataset_ids",
        vec![
            ("id", ids.clone()),
            ("dataset_type", same("raw", rows)),
            ("row", Arc::new((0..rows as u64).map(Some).collect::<UInt64Array>())),
        ],
    );
    add(
        "files",
        vec![
            ("id", ids.clone()),
            ("path", Arc::new((0..rows).map(|i| Some(format!("run/raw/{i}.h5"))).collect::<StringArray>())),
            ("format", same("\"hdf5\"", rows)),
            ("size", Arc::new(UInt64Array::from(vec![1; rows]))),
            ("checksum", Arc::new(UInt64Array::from(vec![1; rows]))),
        ],
    );
    add(
        "datasets/raw",
        vec![
            ("id", ids),
            ("run", same("run", rows)),
            ("detector", integers(&|i| i / visits, rows)),
            ("instrument", same("HSC", rows)),
            ("visit", integers(&|i| i % visits, rows)),
            ("band", same("r", rows)),
            ("day_obs", integers(&|_| 20_260_101, rows)),
            ("physical_filter", same("HSC-R", rows)),
            ("collection", same("run", rows)),
        ],
    );
    let mut columns = vec![
        ("instrument", same("HSC", visits)),
        ("visit", integers(&|i| i, visits)),
        ("day_obs", integers(&|_| 1, visits)),
        ("physical_filter", same("HSC-R", visits)),
    ];
    let real = |i: usize| Some(i as f64 * 0.5);
    for name in [
        "exposure_time",
        "ra_deg",
        "dec_deg",
        "rotation_deg",
        "airmass",
        "seeing",
        "zero_point",
        "sky_level",
        "timespan_begin",
        "timespan_end",
    ] {
        columns.push((name, Arc::new((0..visits).map(real).collect::<Float64Array>())));
    }
    for name in ["name", "target_name", "science_program"] {
        columns.push((name, Arc::new((0..visits).map(|_| Some("x")).collect::<StringArray>())));
    }
    add("dimension/visit", columns);
    add("reals", vec![("value", Arc::new((0..rows).map(real).collect::<Float64Array>()))]);
    builder.write_to(&path).unwrap();
    path
}

static PATHS: LazyLock<HashMap<usize, PathBuf>> = LazyLock::new(|| SIZES.into_iter().map(|n| (n, write(n))).collect());

fn view(rows: usize) -> RegistryView {
    let view = Snapshot::open(&PATHS[&rows]).unwrap().registry().unwrap();
    // The first question checks the codes of the table.
    view.find_dataset("raw", &data_id(0, 0), &["run"]).unwrap().unwrap();
    view
}

fn data_id(detector: usize, visit: usize) -> DataId {
    DataId::new().with("instrument", "HSC").with("detector", detector as i64).with("visit", visit as i64)
}

fn main() {
    divan::main();
    for path in PATHS.values() {
        let _ = std::fs::remove_file(path);
    }
}

#[divan::bench(args = SIZES)]
fn open(rows: usize) -> Snapshot {
    Snapshot::open(&PATHS[&rows]).unwrap()
}

#[divan::bench(args = SIZES)]
fn open_registry(rows: usize) -> RegistryView {
    Snapshot::open(&PATHS[&rows]).unwrap().registry().unwrap()
}

#[divan::bench(args = SIZES)]
fn open_and_find_first(rows: usize) {
    black_box(view(rows));
}

#[divan::bench(args = SIZES)]
fn find_dataset(bencher: Bencher, rows: usize) {
    let view = view(rows);
    let visits = rows / DETECTORS;
    let ids: Vec<DataId> = (0..4096).map(|i| data_id(i * 37 % DETECTORS, i * 7919 % visits)).collect();
    let mut at = 0;
    bencher.bench_local(|| {
        at = (at + 1) % ids.len();
        view.find_dataset("raw", &ids[at], &["run"]).unwrap().unwrap()
    });
}

#[divan::bench(args = SIZES)]
fn file_record(bencher: Bencher, rows: usize) {
    let view = view(rows);
    let mut at = 0;
    bencher.bench_local(|| {
        at = (at + 7919) % rows;
        view.file_record(uuid::Uuid::from_bytes(id(at))).unwrap().unwrap()
    });
}

#[divan::bench(args = [1_000_000])]
fn datasets_by_own_column(bencher: Bencher, rows: usize) {
    let (view, query) = (view(rows), Query::filtered(Expression::parse("visit < 500").unwrap()));
    bencher.counter(ItemsCount::new(rows)).bench_local(|| view.datasets("raw", &["run"], &query, true).unwrap());
}

#[divan::bench(args = [1_000_000])]
fn datasets_by_visit_metadata(bencher: Bencher, rows: usize) {
    let (view, query) = (view(rows), Query::filtered(Expression::parse("exposure_time < 300").unwrap()));
    bencher.counter(ItemsCount::new(rows)).bench_local(|| view.datasets("raw", &["run"], &query, true).unwrap());
}

#[divan::bench(args = SIZES)]
fn column_read(bencher: Bencher, rows: usize) {
    let snapshot = Snapshot::open(&PATHS[&rows]).unwrap();
    bencher.counter(BytesCount::new(rows * 8)).bench_local(|| {
        let values = snapshot.table("reals").unwrap().column_f64("value").unwrap();
        values.iter().map(|v| v.to_bits()).fold(0, u64::wrapping_add)
    });
}

#[divan::bench(args = SIZES)]
fn column_read_limit(bencher: Bencher, rows: usize) {
    let values: Vec<f64> = (0..rows).map(|i| i as f64 * 0.5).collect();
    bencher
        .counter(BytesCount::new(rows * 8))
        .bench_local(|| black_box(&values).iter().map(|v| v.to_bits()).fold(0, u64::wrapping_add));
}

#[divan::bench(args = SIZES)]
fn verify(bencher: Bencher, rows: usize) {
    let bytes = std::fs::metadata(&PATHS[&rows]).unwrap().len();
    bencher
        .counter(BytesCount::new(bytes))
        .with_inputs(|| Snapshot::open(&PATHS[&rows]).unwrap())
        .bench_local_values(|snapshot| snapshot.verify().unwrap());
}
