//! How fast are all patches of a sky map joined with all detectors of a survey, and one patch with its detectors?
//!
//! `cargo bench --bench overlaps`. The survey is 154,777 real `DECam` exposures of 62 detectors, read from
//! `decam_decat_2021-2026.csv.gz` in `visits/`, beside `cameras/`, of the folder `BUNTER_BENCH_DATA` (default `../shared/data`); where
//! it is absent, a seeded survey of the same size: a third of its visits in one of fifty deep fields. The 2,000 visits of 189 detectors are the first of
//! `lsst_baseline_v2.0_first10k.csv.gz`, or seeded. Regions are made beforehand and timed apart. CPU is user and system
//! seconds of the process (ticks of 10 ms).
//!
//! Environment: `BUNTER_BENCH_DATA`, `BUNTER_BENCH_VISITS` (at most so many), `BUNTER_BENCH_THREADS` (2).

#![expect(clippy::expect_used, reason = "a bench may stop at the first error")]

use std::convert::Infallible;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Instant;

use bunter::{ConvexPolygon, LonLat, PolygonBuffer, PolygonColumns, PolygonIndex, SkyMap, SphereError, UnitVector};
use flate2::read::MultiGzDecoder;
use rayon::prelude::*;

const MAP: &str = "hsc_rings_v1";
/// How often columns are opened.
const ROUNDS: usize = 1000;
/// Pairs that are handed on at once.
const CHUNK: usize = 1 << 20;

/// A pointing: right ascension, declination, rotation; radians.
type Visit = [f64; 3];
/// Field angles of a detector's corners, radians.
type Detector = [[f64; 2]; 4];

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default).max(1)
}

struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn position(&mut self) -> [f64; 2] {
        [std::f64::consts::TAU * self.next(), (2.0 * self.next() - 1.0).asin()]
    }
}

/// A table of texts, and where its columns are.
fn table(path: &Path) -> Option<(Vec<String>, Vec<Vec<String>>)> {
    let file = File::open(path).ok()?;
    let text: Box<dyn BufRead> = if path.extension().is_some_and(|e| e == "gz") {
        Box::new(BufReader::new(MultiGzDecoder::new(file)))
    } else {
        Box::new(BufReader::new(file))
    };
    let mut lines =
        text.lines().map_while(Result::ok).map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    Some((lines.next()?, lines.collect()))
}

fn visits(data: &Path, name: &str, count: usize) -> Vec<Visit> {
    if let Some((names, rows)) = table(&data.join("visits").join(name)) {
        let at = |column: &str| names.iter().position(|n| n == column).expect("a column");
        let (ra, dec, rot) = (at("ra_deg"), at("dec_deg"), at("rot_deg"));
        let angle = |cell: &str| cell.parse::<f64>().unwrap_or(0.0).to_radians();
        return rows.iter().take(count).map(|row| [angle(&row[ra]), angle(&row[dec]), angle(&row[rot])]).collect();
    }
    println!("no {name} under {}: a seeded survey", data.display());
    let mut numbers = Numbers(1);
    let fields: Vec<[f64; 2]> = (0..50).map(|_| numbers.position()).collect();
    let visit = |_| {
        let [ra, dec] = if numbers.next() < 0.33 {
            let [ra, dec] = fields[(numbers.next() * 50.0) as usize];
            [ra + 0.01 * numbers.next(), (dec + 0.01 * numbers.next()).clamp(-1.5, 1.5)]
        } else {
            numbers.position()
        };
        [ra, dec, std::f64::consts::TAU * numbers.next()]
    };
    (0..count).map(visit).collect()
}

/// The detectors of a camera; where its layout is absent, a square of as many.
fn detectors(data: &Path, name: &str, count: usize, field: impl Fn(f64, f64) -> [f64; 2]) -> Vec<Detector> {
    if let Some((names, rows)) = table(&data.join("cameras").join(name)) {
        let at = |column: &str| names.iter().position(|n| n == column).expect("a column");
        let kind = at("type");
        let corner = |row: &[String], i: usize| {
            let mm = |axis: &str| row[at(&format!("c{i}{axis}_mm"))].parse::<f64>().expect("a number");
            field(mm("x"), mm("y"))
        };
        let science = rows.iter().filter(|row| row[kind] == "SCIENCE").take(count);
        return science.map(|row| std::array::from_fn(|i| corner(row, i))).collect();
    }
    let side = (count as f64).sqrt().ceil() as usize;
    let step = 0.035 / side as f64;
    (0..count)
        .map(|i| {
            let (x, y) = ((i % side) as f64 * step - 0.0175, (i / side) as f64 * step - 0.0175);
            let end = step * 0.97;
            [[x, y], [x + end, y], [x + end, y + end], [x, y + end]]
        })
        .collect()
}

/// Columns of quadrilaterals: every detector of every visit.
struct Regions {
    x: Vec<f64>,
    y: Vec<f64>,
    z: Vec<f64>,
    offsets: Vec<u64>,
}

impl Regions {
    fn new(visits: &[Visit], detectors: &[Detector]) -> Self {
        let count = visits.len() * detectors.len();
        let (mut x, mut y, mut z) = (vec![0.0; 4 * count], vec![0.0; 4 * count], vec![0.0; 4 * count]);
        let wide = 4 * detectors.len();
        let columns = x.par_chunks_mut(wide).zip(y.par_chunks_mut(wide)).zip(z.par_chunks_mut(wide));
        columns.zip(visits).for_each(|(((x, y), z), visit)| {
            let [(sa, ca), (sd, cd), (so, co)] = visit.map(f64::sin_cos);
            for (k, detector) in detectors.iter().enumerate() {
                let corners = detector.map(|[fx, fy]| {
                    let (xi, eta) = (-co * fx + so * fy, so * fx + co * fy);
                    let (a, b) = (cd - eta * sd, xi);
                    UnitVector::normalized(a * ca - b * sa, a * sa + b * ca, sd + eta * cd).expect("a direction")
                });
                let [p, q, r, _] = corners;
                let ccw = bunter::orientation(p, q, r) > 0;
                for i in 0..4 {
                    let v = corners[if ccw { i } else { 3 - i }];
                    (x[4 * k + i], y[4 * k + i], z[4 * k + i]) = (v.x, v.y, v.z);
                }
            }
        });
        Self { x, y, z, offsets: (0..=count as u64).map(|i| 4 * i).collect() }
    }

    /// The first polygons.
    fn columns(&self, count: usize) -> PolygonColumns<'_> {
        let end = 4 * count;
        PolygonColumns::new(&self.x[..end], &self.y[..end], &self.z[..end], &self.offsets[..=count])
            .expect("convex quadrilaterals")
    }
}

/// Seconds of wall and CPU, with a result.
fn timed<R>(run: impl FnOnce() -> R) -> (f64, f64, R) {
    let (before, start) = (cpu(), Instant::now());
    let result = run();
    (start.elapsed().as_secs_f64(), cpu() - before, result)
}

/// CPU seconds of this process.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |field: usize| after_name.split_whitespace().nth(field).and_then(|t| t.parse::<f64>().ok());
    (ticks(11).unwrap_or_default() + ticks(12).unwrap_or_default()) / 100.0
}

/// High-water mark of memory, GB.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mark = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    mark.unwrap_or(f64::NAN) * 1.024e-6
}

fn on<R: Send>(threads: usize, run: impl FnOnce() -> R + Send) -> R {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    pool.install(run)
}

fn tell(what: &str, threads: usize, regions: usize, (wall, cpu, pairs): (f64, f64, usize)) {
    println!(
        "{what:<44} {threads:>2} thr {regions:>9} regions {pairs:>10} pairs  wall {wall:7.2} s  CPU {cpu:7.2} s  {:6.2} M pairs / CPU s  peak {:.2} GB",
        pairs as f64 / cpu.max(0.01) * 1e-6,
        peak()
    );
}

fn map_join(map: &SkyMap, columns: &PolygonColumns<'_>) -> usize {
    let mut pairs = 0;
    let Ok(()) = map.overlaps_chunks(columns, CHUNK, |part| -> Result<(), Infallible> {
        pairs += part.len();
        Ok(())
    });
    pairs
}

fn index_join(index: &PolygonIndex<'_>, right: &PolygonColumns<'_>, left: &PolygonColumns<'_>) -> usize {
    let mut pairs = 0;
    let done: Result<(), SphereError> = index.join_chunks(right, left, CHUNK, |part| {
        pairs += part.len();
        Ok(())
    });
    done.expect("an index of these polygons");
    pairs
}

fn main() {
    let data = std::env::var_os("BUNTER_BENCH_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let (most, threads) = (number("BUNTER_BENCH_VISITS", 154_777), number("BUNTER_BENCH_THREADS", 2));
    let map = SkyMap::preset(MAP).expect("a preset");

    // DECam: theta = 8.5165e-05 r - 4.5014e-12 r^3, x turned.
    let decam = detectors(&data, "DECam.csv", 62, |x, y| {
        let scale = 8.516_497_674_138_379e-5 - 4.501_399_132_955_917e-12 * (x * x + y * y);
        [-x * scale, y * scale]
    });
    let visits_ = visits(&data, "decam_decat_2021-2026.csv.gz", most);
    let (wall, cpu, regions) = timed(|| on(threads, || Regions::new(&visits_, &decam)));
    let count = visits_.len() * decam.len();
    println!("{count} regions made of {} visits, {threads} threads: wall {wall:.2} s, CPU {cpu:.2} s", visits_.len());
    let (wall, cpu, all) = timed(|| on(threads, || regions.columns(count)));
    println!("{count} regions checked, {threads} threads: wall {wall:.2} s, CPU {cpu:.2} s");

    println!("\nall patches of {MAP} (as a sky map) with all detectors");
    for part in [16, 4, 1] {
        let some = visits_.len() / part * decam.len();
        let columns = on(threads, || regions.columns(some));
        for threads in if threads > 1 { vec![1, threads] } else { vec![1] } {
            tell(&format!("1/{part} of the visits"), threads, some, timed(|| on(threads, || map_join(&map, &columns))));
        }
    }

    println!("\nall patches of {MAP} (as a table of polygons) with all detectors");
    let patches: Vec<PolygonBuffer> = on(threads, || {
        let one = |tract: u32| -> PolygonBuffer {
            let tract = map.tract(tract).expect("a tract");
            let (nx, ny) = tract.num_patches();
            (0..nx * ny).map(|patch| tract.patch(patch).expect("a patch").outer_polygon().clone()).collect()
        };
        (0..map.len()).into_par_iter().map(one).collect()
    });
    let mut table = PolygonBuffer::default();
    for part in &patches {
        table.append(part);
    }
    drop(patches);
    let table_columns = table.columns().expect("polygons");
    let (wall, cpu, patch_index) = timed(|| on(threads, || PolygonIndex::build(&table_columns).expect("an index")));
    println!("index of {} patches built: wall {wall:.2} s, CPU {cpu:.2} s", table_columns.len());
    for part in [16, 4, 1] {
        let some = visits_.len() / part * decam.len();
        let columns = on(threads, || regions.columns(some));
        for threads in if threads > 1 { vec![1, threads] } else { vec![1] } {
            let cost = timed(|| on(threads, || index_join(&patch_index, &table_columns, &columns)));
            tell(&format!("1/{part} of the visits"), threads, some, cost);
        }
    }

    println!("\n2,000 visits of 189 detectors");
    let relative = 20.005_867_576_692_737 * (1.0_f64.to_radians() / 3600.0);
    let lsst = detectors(&data, "LSSTCam.csv", 189, |x, y| {
        let r2 = x * x + y * y;
        let scale = relative * (1.0 - 8.337_139_91e-9 * r2 - 1.413_898_58e-15 * r2 * r2);
        [x * scale, y * scale]
    });
    let few = visits(&data, "lsst_baseline_v2.0_first10k.csv.gz", most.min(2000));
    let (wall, cpu, few_regions) = timed(|| on(threads, || Regions::new(&few, &lsst)));
    println!("{} regions made: wall {wall:.2} s, CPU {cpu:.2} s", few.len() * lsst.len());
    let few_columns = few_regions.columns(few.len() * lsst.len());
    tell("sky map", 1, few_columns.len(), timed(|| on(1, || map_join(&map, &few_columns))));
    tell(
        "table of patches",
        1,
        few_columns.len(),
        timed(|| on(1, || index_join(&patch_index, &table_columns, &few_columns))),
    );
    drop(patch_index);

    one_patch(&map, &regions, &all, threads, &table_columns);
}

/// One patch to its detectors, on an index that is read in place.
fn one_patch(map: &SkyMap, regions: &Regions, all: &PolygonColumns<'_>, threads: usize, patches: &PolygonColumns<'_>) {
    println!("\none patch to its detectors, out of {}", all.len());
    let (wall, cpu, built) = timed(|| on(threads, || PolygonIndex::build(all).expect("an index")));
    let (rows, boxes) = built.parts();
    println!(
        "index built, {threads} threads: wall {wall:.2} s, CPU {cpu:.2} s; {:.0} MB",
        (rows.len() + boxes.len()) as f64 * 4e-6
    );
    let start = Instant::now();
    for _ in 0..ROUNDS {
        let columns = PolygonColumns::in_place(&regions.x, &regions.y, &regions.z, &regions.offsets).expect("columns");
        std::hint::black_box((PolygonIndex::from_parts(rows, boxes).expect("an index"), columns));
    }
    println!("opening columns and index in place: {:.3} us", start.elapsed().as_secs_f64() / ROUNDS as f64 * 1e6);
    let columns = PolygonColumns::in_place(&regions.x, &regions.y, &regions.z, &regions.offsets).expect("columns");
    let index = PolygonIndex::from_parts(rows, boxes).expect("an index");
    // Patches all over the sky, by how many detectors they have.
    let mut numbers = Numbers(3);
    let mut out = Vec::new();
    let mut classes: [Vec<(f64, usize)>; 4] = Default::default();
    let mut one = |polygon: &ConvexPolygon, classes: &mut [Vec<(f64, usize)>; 4]| {
        out.clear();
        let start = Instant::now();
        index.query_polygon(&columns, polygon, &mut out).expect("an index");
        let micros = start.elapsed().as_secs_f64() * 1e6;
        let class = match out.len() {
            0 => 0,
            1..100 => 1,
            100..1000 => 2,
            _ => 3,
        };
        classes[class].push((micros, out.len()));
    };
    for _ in 0..20_000 {
        let patch = patches.polygon((numbers.next() * patches.len() as f64) as usize);
        one(&patch, &mut classes);
    }
    // The deepest field of the DECam list.
    let centre = LonLat::from_degrees(166.7, -25.0);
    let tract = map.tract(map.find_tract(centre).expect("a position")).expect("a tract");
    let deep = tract.patch(tract.find_patch(centre).expect("a patch")).expect("a patch");
    let mut deepest: [Vec<(f64, usize)>; 4] = Default::default();
    for _ in 0..21 {
        one(deep.outer_polygon(), &mut deepest);
    }
    println!(
        "{:<28} {:>7} {:>10} {:>12} {:>12} {:>14}",
        "detectors of the patch", "patches", "mean rows", "median us", "99 % us", "ns a row"
    );
    let deepest = deepest.into_iter().flatten().collect();
    let names = ["none", "1 to 99", "100 to 999", "1000 and more", "the deepest field, 21 times"];
    for (name, mut times) in names.iter().zip(classes.into_iter().chain([deepest])) {
        if times.is_empty() {
            continue;
        }
        times.sort_by(|a, b| a.0.total_cmp(&b.0));
        let rows: usize = times.iter().map(|t| t.1).sum();
        let micros: f64 = times.iter().map(|t| t.0).sum();
        println!(
            "{name:<28} {:>7} {:>10.0} {:>12.2} {:>12.2} {:>14.1}",
            times.len(),
            rows as f64 / times.len() as f64,
            times[times.len() / 2].0,
            times[times.len() * 99 / 100].0,
            micros * 1e3 / (rows as f64).max(1.0)
        );
    }
    println!("peak {:.2} GB", peak());
}
