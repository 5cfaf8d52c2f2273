//! The registry at the size of a survey: 2,000 visits of 189 detectors, 451,500 datasets.
//!
//! `cargo bench --bench registry`. `BUNTER_BENCH_DATASETS=20000000` makes more of them; `BUNTER_BENCH_REGISTRY=URL` asks a
//! registry in a server instead of a file (it must not be there yet). The peer on the same content is
//! `benches/peers/registry.py`.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use bunter::{
    DataId, DatasetRef, DatasetType, FileRecord, Format, NewDataset, Query, Registry, RegistryAddress, RegistryReader,
    StorageClass,
};
use uuid::Uuid;

const DETECTORS: i64 = 189;
const CALEXPS: i64 = 378_000;
const COADDS: i64 = 73_500;
const PUTS: usize = 2_000;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
}

fn texts(count: i64, text: impl Fn(i64) -> String) -> ArrayRef {
    Arc::new(StringArray::from_iter_values((0..count).map(text)))
}

fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn camera(count: i64) -> ArrayRef {
    texts(count, |_| "LSSTCam".to_owned())
}

fn fill(registry: &Registry, visits: i64) {
    registry.insert_dimension_records("instrument", &batch(vec![("instrument", camera(1))])).unwrap();
    let filters = ["u", "g", "r", "i", "z", "y"];
    let bands = || texts(6, |i| filters[i as usize].to_owned());
    let records = batch(vec![("instrument", camera(6)), ("physical_filter", bands()), ("band", bands())]);
    registry.insert_dimension_records("physical_filter", &records).unwrap();
    let records = batch(vec![("instrument", camera(DETECTORS)), ("detector", ints(0..DETECTORS))]);
    registry.insert_dimension_records("detector", &records).unwrap();
    let records = batch(vec![
        ("instrument", camera(visits)),
        ("visit", ints((0..visits).map(number))),
        ("day_obs", ints((0..visits).map(|v| 20_260_101 + v / 800))),
        ("physical_filter", texts(visits, |v| filters[(v / 40 % 6) as usize].to_owned())),
    ]);
    registry.insert_dimension_records("visit", &records).unwrap();
    registry.register_sky_map("rings", "name = 'rings'", &[7; 20], 20_000, (9, 9)).unwrap();
    for (name, dimensions, class) in [
        ("calexp", ["instrument", "visit", "detector"].as_slice(), StorageClass::Exposure),
        ("coadd", &["skymap", "tract", "patch", "band"], StorageClass::Coadd),
    ] {
        let dimensions = dimensions.iter().map(|d| (*d).into()).collect();
        let kind = DatasetType { name: name.into(), dimensions, storage_class: class };
        registry.register_dataset_type(&kind, None).unwrap();
    }
    for run in ["runs/w30", "runs/w31", "puts"] {
        registry.register_run(run).unwrap();
    }
    registry.set_collection_chain("defaults", &["runs/w31", "runs/w30"]).unwrap();
}

fn number(visit: i64) -> i64 {
    2_026_010_100_000 + visit
}

fn exposure(i: i64, run: &str) -> DatasetRef {
    let id = DataId::new()
        .with("instrument", "LSSTCam")
        .with("visit", number(i / DETECTORS))
        .with("detector", i % DETECTORS);
    DatasetRef { id: Uuid::now_v7(), dataset_type: "calexp".into(), data_id: id, run: run.into() }
}

fn new(registry: &Registry, datasets: impl Iterator<Item = DatasetRef>) -> Vec<NewDataset> {
    let (calexp, coadd) = (registry.path_template("calexp").unwrap(), registry.path_template("coadd").unwrap());
    datasets
        .map(|dataset| {
            let template = if &*dataset.dataset_type == "calexp" { &calexp } else { &coadd };
            let file = FileRecord {
                path: template.path(&dataset).unwrap(),
                format: Format::Hdf5,
                size: 70_000_000,
                checksum: dataset.id.as_u128() as u64,
            };
            NewDataset { dataset, file }
        })
        .collect()
}

fn best<T>(times: usize, mut work: impl FnMut() -> T) -> Duration {
    (0..times)
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(work());
            start.elapsed()
        })
        .min()
        .unwrap()
}

/// One of the processes that put: says the longest wait, in microseconds.
fn put(address: &RegistryAddress, process: usize) {
    let registry = Registry::open_at(address).unwrap();
    let all = new(&registry, (0..PUTS).map(|i| exposure((process * PUTS + i) as i64, "puts")));
    println!("ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let mut worst = Duration::ZERO;
    for one in all.chunks(1) {
        let start = Instant::now();
        registry.insert_datasets(one).unwrap();
        worst = worst.max(start.elapsed());
    }
    println!("{}", worst.as_micros());
}

fn puts(address: &RegistryAddress) {
    let mut processes: Vec<_> = (0..4)
        .map(|i| {
            let mut process = Command::new(std::env::current_exe().unwrap())
                .env("BUNTER_BENCH_PUT", format!("{i} {address}"))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
            assert_eq!(lines.next().unwrap().unwrap(), "ready");
            (process, lines)
        })
        .collect();
    let start = Instant::now();
    for (process, _) in &mut processes {
        writeln!(process.stdin.as_mut().unwrap()).unwrap();
    }
    let worst: Vec<u64> =
        processes.iter_mut().map(|(_, lines)| lines.next().unwrap().unwrap().parse().unwrap()).collect();
    let took = start.elapsed().as_secs_f64();
    for (mut process, _) in processes {
        assert!(process.wait().unwrap().success());
    }
    let worst = *worst.iter().max().unwrap() as f64 / 1e3;
    println!("4 processes, {PUTS} puts each: {:.0} puts/s, longest wait {worst:.1} ms", 4.0 * PUTS as f64 / took);
    // What the disk gives by itself, beside it.
    let RegistryAddress::Sqlite(path) = address else { return };
    let mut file = std::fs::File::create(path.with_extension("probe")).unwrap();
    let start = Instant::now();
    for _ in 0..200 {
        file.write_all(&[0; 4096]).unwrap();
        file.sync_data().unwrap();
    }
    println!("  (one process appending and syncing 4 kB: {:.0}/s)", 200.0 / start.elapsed().as_secs_f64());
}

fn main() {
    if let Ok(text) = std::env::var("BUNTER_BENCH_PUT") {
        let (process, address) = text.split_once(' ').unwrap();
        return put(&address.parse().unwrap(), process.parse().unwrap());
    }
    let wanted: i64 = std::env::var("BUNTER_BENCH_DATASETS").ok().map_or(CALEXPS + COADDS, |n| n.parse().unwrap());
    let (calexps, coadds) = (wanted - COADDS.min(wanted), COADDS.min(wanted));
    let visits = (calexps / DETECTORS + 1).max(2000);
    let folder = tempfile::tempdir_in(std::env::var("BUNTER_BENCH_FOLDER").unwrap_or_else(|_| ".".to_owned())).unwrap();
    let address: RegistryAddress = match std::env::var("BUNTER_BENCH_REGISTRY") {
        Ok(url) => url.parse().unwrap(),
        Err(_) => RegistryAddress::Sqlite(folder.path().join("registry.sqlite3")),
    };
    let registry = Registry::create_at(&address).unwrap();
    fill(&registry, visits);
    let size = || std::fs::metadata(folder.path().join("registry.sqlite3")).map_or(0, |m| m.len());
    let before = size();
    let mut took = Duration::ZERO;
    let bands = ["u", "g", "r", "i", "z", "y"];
    for first in (0..calexps).step_by(100_000) {
        let some = new(&registry, (first..calexps.min(first + 100_000)).map(|i| exposure(i, "runs/w30")));
        let start = Instant::now();
        registry.insert_datasets(&some).unwrap();
        took += start.elapsed();
    }
    let some = new(
        &registry,
        (0..coadds).map(|i| {
            let id = DataId::new().with("skymap", "rings").with("tract", i / 486).with("patch", i / 6 % 81);
            let data_id = id.with("band", bands[(i % 6) as usize]);
            DatasetRef { id: Uuid::now_v7(), dataset_type: "coadd".into(), data_id, run: "runs/w30".into() }
        }),
    );
    let start = Instant::now();
    registry.insert_datasets(&some).unwrap();
    took += start.elapsed();
    println!("{address}: {wanted} datasets");
    println!("bulk insert: {:.0} datasets/s", wanted as f64 / took.as_secs_f64());
    drop(registry);
    println!("size: {:.0} bytes a dataset", (size() - before) as f64 / wanted as f64);
    println!("open: {:.3} ms", best(20, || Registry::open_at(&address).unwrap()).as_secs_f64() * 1e3);
    let registry = Registry::open_at(&address).unwrap();
    let mut i = 0_i64;
    let lookups = best(5, || {
        for _ in 0..2000 {
            i = (i + 7919 * 31) % calexps;
            let id = exposure(i, "").data_id;
            assert!(registry.find_dataset("calexp", &id, &["defaults"]).unwrap().is_some());
        }
    });
    println!("find-first lookup in a chain: {:.1} us", lookups.as_secs_f64() * 1e6 / 2000.0);
    let list = best(5, || {
        let found = registry.datasets("calexp", &["defaults"], &Query::all(), true).unwrap();
        assert_eq!(found.num_rows(), calexps as usize);
    });
    println!("list {calexps} calexps to columns: {:.3} s", list.as_secs_f64());
    puts(&address);
}
