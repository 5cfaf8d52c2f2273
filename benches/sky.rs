//! How fast are patches found that a detector touches, and tracts that hold a point?
//!
//! `cargo bench --bench sky`. Counters are items: polygons, points. `BUNTER_BENCH_POINTS` (10,000,000): points whose tracts and
//! patches are found.

#![expect(clippy::expect_used, clippy::panic, reason = "a bench that cannot be set up stops")]

mod sample;

use bunter::{PolygonBuffer, SkyMap};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use sample::{Numbers, detector};

fn main() {
    divan::main();
}

#[divan::bench(args = ["hsc_rings_v1", "lsst_cells_v1"])]
fn overlaps_of_detectors(bencher: Bencher, name: &str) {
    let map = SkyMap::preset(name).unwrap_or_else(|e| panic!("{e}"));
    let mut numbers = Numbers(2);
    let polygons: Vec<_> = (0..10_000).map(|_| detector(numbers.position(), 6.0 * numbers.next())).collect();
    let mut out = Vec::new();
    bencher.counter(ItemsCount::new(polygons.len())).bench_local(|| {
        out.clear();
        for polygon in &polygons {
            map.overlaps(black_box(polygon), &mut out);
        }
        out.len()
    });
}

#[divan::bench(args = ["hsc_rings_v1"])]
fn overlaps_columns(bencher: Bencher, name: &str) {
    let map = SkyMap::preset(name).unwrap_or_else(|e| panic!("{e}"));
    let mut numbers = Numbers(2);
    let buffer: PolygonBuffer = (0..100_000).map(|_| detector(numbers.position(), 6.0 * numbers.next())).collect();
    let columns = buffer.columns().expect("good");
    bencher.counter(ItemsCount::new(columns.len())).bench(|| map.overlaps_columns(black_box(&columns)).len());
}

/// Ten million points (`BUNTER_BENCH_POINTS`) on one thread.
fn points() -> (Vec<f64>, Vec<f64>, rayon::ThreadPool) {
    let count = std::env::var("BUNTER_BENCH_POINTS").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000_000);
    let mut numbers = Numbers(3);
    let (lon, lat) = (0..count).map(|_| numbers.position()).map(|p| (p.lon, p.lat)).unzip();
    (lon, lat, rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread"))
}

#[divan::bench(args = ["hsc_rings_v1", "lsst_cells_v1"], sample_count = 5, sample_size = 1)]
fn find_tract(bencher: Bencher, name: &str) {
    let map = SkyMap::preset(name).unwrap_or_else(|e| panic!("{e}"));
    let (lon, lat, one) = points();
    let bencher = bencher.counter(ItemsCount::new(lon.len()));
    bencher.bench_local(|| one.install(|| map.find_tract_columns(black_box(&lon), black_box(&lat))));
}

#[divan::bench(args = ["hsc_rings_v1", "lsst_cells_v1"], sample_count = 5, sample_size = 1)]
fn find_patch(bencher: Bencher, name: &str) {
    let map = SkyMap::preset(name).unwrap_or_else(|e| panic!("{e}"));
    let (lon, lat, one) = points();
    let bencher = bencher.counter(ItemsCount::new(lon.len()));
    bencher.bench_local(|| one.install(|| map.find_patch_columns(black_box(&lon), black_box(&lat))));
}

#[divan::bench(args = ["hsc_rings_v1"])]
fn build(name: &str) -> u32 {
    SkyMap::preset(name).map_or(0, |map| map.len())
}
