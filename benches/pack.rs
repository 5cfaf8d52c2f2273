//! How fast are columns packed and unpacked, beside a copy of the same bytes and beside numpy?
//!
//! `cargo bench --bench pack`. Bytes are those read and written; the machine's copy bandwidth is measured between the
//! rounds, on as many threads. Times are the best of the rounds, for a shared machine takes time away and never gives any.
//! Beside mixed radices stands a loop of the machine's own division. `BUNTER_BENCH_ROWS` sets the rows (default 2^24, far beyond
//! the caches), `BUNTER_BENCH_STREAM=1000000000` decodes so many rows in bounded memory besides, `BUNTER_PYTHON` names the Python
//! that has numpy.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up stops")]

use std::process::Command;
use std::time::Instant;

use bunter::{BandCodes, IntViewMut, PackColumn, PackLayout, Packer, RubinControllers};

const ROUNDS: usize = 15;
/// Threads of either side over Parquet files.
const THREADS: &str = "2";
const PROGRAM: &str = env!("CARGO_BIN_EXE_bunter");

/// The same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * u128::from(n)) >> 64) as u64
    }
}

/// A packer, and columns for it with as many values as it has.
struct Case {
    name: &'static str,
    packer: Packer,
    columns: Vec<(&'static str, u64)>,
}

fn cases() -> Vec<Case> {
    let bits = "name = 'bits'\nfield = [{ name = 'a', bits = 8 }, { name = 'b', bits = 20 }, { name = 'c', bits = 6 }]";
    let radix = "name = 'radix'\nfield = [{ name = 'patch', radix = 81 }, { name = 'tract', radix = 18938 }, { name = 'band', radix = 28 }]";
    let layout = |text| Packer::new(PackLayout::from_toml(text).expect("a layout")).expect("a packer");
    let sky_map = Packer::sky_map("hsc_rings_v1", 18938, 81, &BandCodes::None).expect("a packer");
    let wide = "name = 'wide radix'\nfield = [{ name = 'a', radix = 10_000_019 }, { name = 'b', radix = 1_000_003 }, { name = 'c', radix = 99_991 }]";
    vec![
        Case {
            name: "bit fields, 3 columns",
            packer: layout(bits),
            columns: vec![("a", 256), ("b", 1 << 20), ("c", 64)],
        },
        Case {
            name: "mixed radix, 3 columns",
            packer: layout(radix),
            columns: vec![("patch", 81), ("tract", 18938), ("band", 28)],
        },
        Case { name: "sky map, 2 columns", packer: sky_map.clone(), columns: vec![("patch", 81), ("tract", 18938)] },
        Case {
            name: "records of a sky map, 4 columns",
            packer: sky_map.with_records(64).expect("a packer"),
            columns: vec![("counter", 1 << 36), ("patch", 81), ("tract", 18938), ("release", 64)],
        },
        Case {
            name: "mixed radix of 60 bits, 3 columns",
            packer: layout(wide),
            columns: vec![("a", 10_000_019), ("b", 1_000_003), ("c", 99_991)],
        },
    ]
}

/// Seconds on the wall.
fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// Copies `from` to `to` with all threads of the pool.
fn copy(from: &[u64], to: &mut [u64]) {
    use rayon::prelude::*;
    let part = from.len().div_ceil(rayon::current_num_threads()).max(1);
    to.par_chunks_mut(part).zip(from.par_chunks(part)).for_each(|(to, from)| to.copy_from_slice(from));
}

fn main() {
    let rows = std::env::var("BUNTER_BENCH_ROWS").ok().and_then(|r| r.parse().ok()).unwrap_or(1_usize << 24);
    println!("{rows} rows of i64 columns, best of {ROUNDS} rounds; % is of the copy bandwidth in the same rounds");
    println!("| | threads | pack Mrow/s | GB/s | % | unpack Mrow/s | GB/s | % | copy GB/s |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        for case in cases() {
            pool.install(|| measure(&case, rows, threads));
        }
    }
    divide(rows);
    rubin(rows);
    peer(rows);
    parquet(rows.min(1 << 23));
    if let Some(rows) = std::env::var("BUNTER_BENCH_STREAM").ok().and_then(|r| r.parse().ok()) {
        stream(rows);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn best(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// The way without any thought: the machine's division, by numbers that the compiler does not know.
fn divide(rows: usize) {
    let [patches, tracts] = std::hint::black_box([81_u64, 18938]);
    let ids: Vec<u64> = (0..rows as u64).map(|i| i % (81 * 18938 * 28)).collect();
    let mut outs = vec![vec![0_u64; rows]; 3];
    let mut times = Vec::new();
    for _ in 0..5 {
        times.push(seconds(|| {
            let [a, b, c] = &mut outs[..] else { return };
            for (((id, a), b), c) in ids.iter().zip(a).zip(b).zip(c) {
                (*a, *b, *c) = (id % patches, id / patches % tracts, id / patches / tracts);
            }
        }));
        std::hint::black_box(&outs);
    }
    println!(
        "mixed radix, 3 columns, by the machine's division, 1 thread: unpack {:.0} Mrow/s",
        rows as f64 / 1e6 / best(&times)
    );
}

fn measure(case: &Case, rows: usize, threads: usize) {
    let mut numbers = Numbers(88_172_645_463_325_252);
    let columns: Vec<Vec<i64>> =
        case.columns.iter().map(|(_, n)| (0..rows).map(|_| numbers.below(*n) as i64).collect()).collect();
    let mut ids = vec![0_u64; rows];
    let mut outs = vec![vec![0_i64; rows]; columns.len()];
    let mut spare = vec![1_u64; rows];
    let (mut packs, mut unpacks, mut copies) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let named: Vec<_> = case.columns.iter().zip(&columns).map(|((n, _), c)| (*n, PackColumn::from(c))).collect();
        let pack = seconds(|| {
            case.packer.pack_into(&named, ids.as_mut_slice(), None).expect("all rows fit");
        });
        let copied = seconds(|| copy(&ids, &mut spare));
        let views: Vec<(&str, IntViewMut<'_>)> =
            case.columns.iter().zip(&mut outs).map(|((n, _), o)| (*n, o.as_mut_slice().into())).collect();
        let unpack = seconds(|| {
            case.packer.unpack_into(&PackColumn::from(&ids), views, None).expect("all rows fit");
        });
        // The first round touches the pages.
        if round > 0 {
            packs.push(pack);
            unpacks.push(unpack);
            copies.push(copied);
        }
    }
    assert!(outs == columns, "{}: what was packed comes back", case.name);
    let bytes = (8 * rows * (columns.len() + 1)) as f64 / 1e9;
    let (pack, unpack) = (bytes / best(&packs), bytes / best(&unpacks));
    let copied = 16.0 * rows as f64 / 1e9 / best(&copies);
    let mrows = |gigabytes: f64| gigabytes / bytes * rows as f64 / 1e6;
    println!(
        "| {} | {threads} | {:.0} | {pack:.1} | {:.0} | {:.0} | {unpack:.1} | {:.0} | {copied:.1} |",
        case.name,
        mrows(pack),
        100.0 * pack / copied,
        mrows(unpack),
        100.0 * unpack / copied,
    );
}

/// Rubin's visit numbers, which are made of dates.
fn rubin(rows: usize) {
    let rows = rows.min(1 << 22);
    let packer = Packer::rubin("LSSTCam", RubinControllers::Observatory).expect("a packer");
    let mut numbers = Numbers(88_172_645_463_325_252);
    let visits: Vec<i64> = (0..rows)
        .map(|_| {
            let day = 20_250_100 + numbers.below(12) * 100 + 1 + numbers.below(28);
            (day * 100_000 + numbers.below(2000)) as i64
        })
        .collect();
    let detectors: Vec<u8> = (0..rows).map(|_| numbers.below(189) as u8).collect();
    let columns = [("visit", PackColumn::from(&visits)), ("detector", PackColumn::from(&detectors))];
    let mut ids = vec![0_u64; rows];
    let (mut visit, mut detector) = (vec![0_i64; rows], vec![0_u8; rows]);
    let (mut packs, mut unpacks) = (Vec::new(), Vec::new());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("threads");
    pool.install(|| {
        for _ in 0..ROUNDS {
            packs.push(seconds(|| {
                packer.pack_into(&columns, ids.as_mut_slice(), None).expect("all rows fit");
            }));
            let views = vec![("visit", visit.as_mut_slice().into()), ("detector", detector.as_mut_slice().into())];
            unpacks.push(seconds(|| {
                packer.unpack_into(&PackColumn::from(&ids), views, None).expect("all rows fit");
            }));
        }
    });
    assert!(visit == visits && detector == detectors, "what was packed comes back");
    let rate = |times: Vec<f64>| rows as f64 / 1e6 / best(&times);
    println!(
        "Rubin's visit and detector, 1 thread: pack {:.0} Mrow/s, unpack {:.0} Mrow/s",
        rate(packs),
        rate(unpacks)
    );
}

/// numpy, in the same minute.
fn peer(rows: usize) {
    let python = std::env::var("BUNTER_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/pack.py");
    match Command::new(&python).arg(script).arg(rows.to_string()).output() {
        Ok(done) if done.status.success() => {
            println!("numpy, Mrow/CPU-s, best of 5: {}", String::from_utf8_lossy(&done.stdout).trim());
        }
        _ => println!("numpy: left out, `{python}` does not have it (set BUNTER_PYTHON)"),
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/pack_daf.py");
    match Command::new(&python).args([script, "20000"]).output() {
        Ok(done) if done.status.success() => {
            println!("daf_butler, Mrow/CPU-s: {}", String::from_utf8_lossy(&done.stdout).trim());
        }
        _ => println!("daf_butler: left out, `{python}` has no lsst-pipe-base (set BUNTER_PYTHON)"),
    }
}

/// Parquet in, unpacked Parquet out, by the program and by pyarrow with numpy, in turns, on two threads each.
fn parquet(rows: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let (input, output) = (folder.path().join("in.parquet"), folder.path().join("out.parquet"));
    let packer = Packer::sky_map("hsc_rings_v1", 18938, 81, &BandCodes::None)
        .and_then(|p| p.with_records(64))
        .expect("a packer");
    // A catalog in the order of patches, as they are.
    let (mut patch, mut tract, mut counter, mut flux) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut numbers = Numbers(88_172_645_463_325_252);
    for row in 0..rows {
        let place = (row / 5000) % (18938 * 81);
        patch.push((place % 81) as i64);
        tract.push((place / 81) as i64);
        counter.push((row % 5000) as i64 + 1);
        flux.push(numbers.below(1 << 40) as f64 / 1e6);
    }
    let columns = [
        ("patch", PackColumn::from(&patch)),
        ("tract", PackColumn::from(&tract)),
        ("counter", PackColumn::from(&counter)),
    ];
    let (ids, _) = packer.pack_arrow(&columns, rows, bunter::OnError::Fail).expect("all rows fit");
    let flux: arrow::array::ArrayRef = std::sync::Arc::new(arrow::array::Float64Array::from(flux));
    let batch = arrow::array::RecordBatch::try_from_iter([("id", ids), ("flux", flux)]).expect("a table");
    let mut writer = bunter::datastore::TableWriter::create(&input, batch.schema()).expect("a file");
    for at in (0..rows).step_by(1 << 20) {
        writer.write(&batch.slice(at, (rows - at).min(1 << 20))).expect("written");
    }
    writer.finish().expect("written");
    let python = std::env::var("BUNTER_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/pack_parquet.py");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let mut command = Command::new(PROGRAM);
        command
            .env("RAYON_NUM_THREADS", THREADS)
            .arg("unpack")
            .arg(&input)
            .args(["--packer", "record:skymap:hsc_rings_v1", "--id", "id", "--output"])
            .arg(&output);
        let mut done = None;
        ours.push(seconds(|| done = command.output().ok()));
        let done = done.expect("the program runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        match Command::new(&python).arg(script).arg(&input).arg(&output).arg(THREADS).output() {
            // Its own clock, so that starting Python does not count.
            Ok(done) if done.status.success() => {
                theirs.extend(String::from_utf8_lossy(&done.stdout).trim().parse::<f64>().ok());
            }
            _ => {}
        }
    }
    let ours = median(ours);
    println!(
        "Parquet in, unpacked Parquet out, {rows} rows, {THREADS} threads, zstd 1 on both sides: {ours:.2} s ({:.1} Mrow/s)",
        rows as f64 / 1e6 / ours
    );
    if theirs.is_empty() {
        println!("pyarrow and numpy: left out, `{python}` does not have them (set BUNTER_PYTHON)");
    } else {
        let theirs = median(theirs);
        println!("pyarrow and numpy: {theirs:.2} s, {:.1} times as long", theirs / ours);
    }
}

/// So many rows that they would not fit into memory: made, packed and unpacked part by part.
fn stream(rows: usize) {
    const PART: usize = 1 << 22;
    let packer = Packer::sky_map("hsc_rings_v1", 18938, 81, &BandCodes::None)
        .and_then(|p| p.with_records(64))
        .expect("a packer");
    let mut ids = vec![0_u64; PART];
    let (mut tract, mut patch, mut counter) = (vec![0_i32; PART], vec![0_i16; PART], vec![0_i64; PART]);
    let (mut sum, mut decode) = (0_u64, 0.0);
    let start = Instant::now();
    let mut done = 0;
    while done < rows {
        let part = PART.min(rows - done);
        for (i, id) in ids[..part].iter_mut().enumerate() {
            let row = (done + i) as u64;
            *id = (row % (18938 * 81)) << 36 | (row / (18938 * 81));
        }
        decode += seconds(|| {
            let outputs = vec![
                ("tract", IntViewMut::from(&mut tract[..part])),
                ("patch", IntViewMut::from(&mut patch[..part])),
                ("counter", IntViewMut::from(&mut counter[..part])),
            ];
            packer.unpack_into(&PackColumn::from(&ids[..part]), outputs, None).expect("all rows fit");
        });
        sum += tract[part / 2] as u64 + patch[part / 2] as u64 + counter[part / 2] as u64;
        done += part;
    }
    let peak = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = peak.lines().find(|l| l.starts_with("VmHWM")).unwrap_or("VmHWM: not known").replace('\t', " ");
    println!(
        "streamed {done} rows: {:.1} s in all, {:.1} s of it decoding ({:.0} Mrow/s), {peak} (check {sum})",
        start.elapsed().as_secs_f64(),
        decode,
        done as f64 / 1e6 / decode
    );
}
