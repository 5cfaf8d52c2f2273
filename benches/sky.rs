//! How fast are patches found that a detector touches, and tracts that hold a point?
//!
//! `cargo bench --bench sky`. Counters are items: polygons, points. `BUNTER_BENCH_POINTS` (10,000,000): points whose tracts and
//! patches are found.

#![expect(clippy::expect_used, clippy::panic, reason = "a bench that cannot be set up stops")]

use bunter::{ConvexPolygon, LonLat, PolygonBuffer, SkyMap};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// The same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn position(&mut self) -> LonLat {
        LonLat::new(std::f64::consts::TAU * self.next(), (2.0 * self.next() - 1.0).asin())
    }
}

/// A detector of 0.2 by 0.1 degrees, turned.
fn detector(at: LonLat, turn: f64) -> ConvexPolygon {
    let v = at.to_unit();
    let (sin, cos) = at.lon.sin_cos();
    let (east, north) = ([-sin, cos, 0.0], [-at.lat.sin() * cos, -at.lat.sin() * sin, at.lat.cos()]);
    let (s, c) = turn.sin_cos();
    let corners = [(-1.0, -0.5), (1.0, -0.5), (1.0, 0.5), (-1.0, 0.5)].map(|(x, y)| {
        let (e, n) = ((c * x - s * y) * 0.1_f64.to_radians(), (s * x + c * y) * 0.1_f64.to_radians());
        let sum = |r: f64, i: usize| r + e * east[i] + n * north[i];
        bunter::UnitVector::normalized(sum(v.x, 0), sum(v.y, 1), sum(v.z, 2)).unwrap_or(v)
    });
    ConvexPolygon::from_vertices(&corners).unwrap_or_else(|e| panic!("{e}"))
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
