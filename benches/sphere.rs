//! Polygons related, points indexed and regions covered by pixels, one core, with `lsst-sphgeom` run beside.
//!
//! `cargo bench --bench sphere`. `BUNTER_PYTHON` names a Python with lsst-sphgeom for the peer's column; its numbers hold the call from Python, which is how
//! it is used.
#![expect(clippy::expect_used, reason = "a bench stops at what it did not expect")]

mod sample;

use std::collections::HashMap;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use bunter::sphere::pixelization;
use bunter::{ConvexPolygon, LonLat, PolygonBuffer, RangeSet, Region, UnitVector};
use sample::{Numbers, detector};

const PAIRS: usize = 10_000;
const POINTS: usize = 10_000;
const ROUNDS: usize = 201;

/// Detectors whose centres are `separation` degrees apart, in pairs.
fn pairs(separation: f64) -> Vec<ConvexPolygon> {
    let mut numbers = Numbers(1);
    (0..PAIRS)
        .flat_map(|_| {
            let p = numbers.position();
            let q = LonLat::new(p.lon, (p.lat + separation.to_radians()).min(1.57));
            [detector(p, 6.0 * numbers.next()), detector(q, 6.0 * numbers.next())]
        })
        .collect()
}

fn write(folder: &Path, name: &str, vectors: impl Iterator<Item = UnitVector>) {
    let bytes: Vec<u8> = vectors.flat_map(|v| [v.x, v.y, v.z]).flat_map(f64::to_le_bytes).collect();
    std::fs::write(folder.join(name), bytes).expect("a file in a temporary folder");
}

/// What lsst-sphgeom takes, nanoseconds; nothing where it is not installed.
fn peer(folder: &Path) -> HashMap<String, f64> {
    let python = std::env::var_os("BUNTER_PYTHON").unwrap_or_else(|| "python3".into());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/sphgeom.py");
    match Command::new(python).arg(script).arg(folder).output() {
        Ok(run) if run.status.success() => String::from_utf8_lossy(&run.stdout)
            .lines()
            .filter_map(|line| line.split_once(' ').and_then(|(name, ns)| Some((name.to_owned(), ns.parse().ok()?))))
            .collect(),
        Ok(run) => {
            println!("peer skipped: {}", String::from_utf8_lossy(&run.stderr).lines().last().unwrap_or(""));
            HashMap::new()
        }
        Err(e) => {
            println!("peer skipped: {e}");
            HashMap::new()
        }
    }
}

struct Report(HashMap<String, f64>);

impl Report {
    /// Median and best of some rounds over `count` items, and how many times the best the peer takes at best.
    fn line(&self, name: &str, peer: &str, count: usize, mut work: impl FnMut()) {
        let mut times: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                work();
                1e9 * start.elapsed().as_secs_f64() / count as f64
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let (median, best) = (times[ROUNDS / 2], times[0]);
        let beside =
            self.0.get(peer).map_or_else(String::new, |ns| format!(", sphgeom {ns:9.1} ns best: {:6.1} x", ns / best));
        println!("{name:<44} {median:9.1} ns median {best:9.1} ns best{beside}");
    }
}

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let overlapping = pairs(0.05);
    let mut numbers = Numbers(2);
    let points: Vec<UnitVector> = (0..POINTS).map(|_| numbers.position().to_unit()).collect();
    write(folder.path(), "pairs.f64", overlapping.iter().flat_map(|p| p.vertices().iter().copied()));
    write(folder.path(), "points.f64", points.iter().copied());
    let report = Report(peer(folder.path()));

    for (separation, what) in [(0.05, "overlapping"), (0.16, "side by side"), (0.3, "far apart")] {
        let polygons = pairs(separation);
        let (first, second): (PolygonBuffer, PolygonBuffer) =
            (polygons.iter().step_by(2).collect(), polygons.iter().skip(1).step_by(2).collect());
        let (first, second) = (first.columns().expect("good"), second.columns().expect("good"));
        let peer = if separation < 0.1 { "relate" } else { "" };
        report.line(&format!("two quadrilaterals related, {what}"), peer, PAIRS, || {
            let (first, second) = (black_box(&first), black_box(&second));
            black_box((0..PAIRS).filter(|i| first.relate(*i, second, *i).intersects()).count());
        });
    }

    let column = |f: fn(&UnitVector) -> f64| points.iter().map(f).collect::<Vec<_>>();
    let (x, y, z) = (column(|v| v.x), column(|v| v.y), column(|v| v.z));
    let regions: Vec<Region> = overlapping.into_iter().take(200).map(Region::from).collect();
    let mut out = Vec::new();
    for name in ["htm7", "htm10", "healpix9"] {
        let pixels = pixelization(name).expect("a pixelization");
        report.line(&format!("pixel of a point, {name}"), &format!("{name}_index"), POINTS, || {
            pixels.index_columns(black_box(&x), &y, &z, &mut out).expect("unit vectors");
        });
        report.line(&format!("envelope of a detector, {name}"), &format!("{name}_envelope"), regions.len(), || {
            black_box(regions.iter().map(|region| pixels.envelope(black_box(region)).len()).sum::<usize>());
        });
    }

    // Two sets of a hundred thousand ranges each.
    let set = |seed| -> RangeSet {
        let mut numbers = Numbers(seed);
        let mut at = 0;
        (0..100_000)
            .map(|_| {
                at += 1 + (10.0 * numbers.next()) as u64;
                let begin = at;
                at += 1 + (10.0 * numbers.next()) as u64;
                begin..at
            })
            .collect()
    };
    let (a, b) = (set(3), set(4));
    report.line("union of range sets, a range", "", a.len() + b.len(), || {
        black_box(black_box(&a).union(&b));
    });
}
