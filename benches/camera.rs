//! How fast do cameras put detectors on the sky, and pixels there and back?
//!
//! `cargo bench --bench camera`. Counters are items: polygons, positions. `BUNTER_PYTHON` names a Python with numpy and astropy, whose
//! lines come first (`benches/peers/camera.py`).

#![expect(clippy::expect_used, clippy::panic, reason = "a bench that cannot be set up stops")]

use std::path::Path;
use std::process::Command;

use bunter::camera::{Cameras, FocalPlane, Pointing, Pointings};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

const POINTINGS: usize = 2000;

fn main() {
    peers();
    divan::main();
}

/// The obvious numpy formula, and astropy's WCS, in the same minute.
fn peers() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/camera.py");
    let python = std::env::var_os("BUNTER_PYTHON").unwrap_or_else(|| "python3".into());
    match Command::new(python).arg(script).arg(POINTINGS.to_string()).output() {
        Ok(run) if run.status.success() => {
            for line in String::from_utf8_lossy(&run.stdout).lines() {
                let Some((name, rate)) = line.split_once(' ') else { continue };
                println!("{name:12} {:8.2} M polygons/s", rate.parse::<f64>().unwrap_or(f64::NAN) / 1e6);
            }
        }
        Ok(run) => println!("peers skipped: {}", String::from_utf8_lossy(&run.stderr).lines().last().unwrap_or("")),
        Err(e) => println!("peers skipped: {e}"),
    }
}

/// The same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn plane(name: &str) -> FocalPlane {
    let cameras = Cameras::built_in().unwrap_or_else(|e| panic!("{e}"));
    let instrument = cameras.instrument(name).unwrap_or_else(|e| panic!("{e}"));
    instrument.focal_plane().unwrap_or_else(|e| panic!("{e}")).clone()
}

fn columns(pointings: usize) -> [Vec<f64>; 3] {
    let mut numbers = Numbers(1);
    let mut column = |low: f64, high: f64| (0..pointings).map(|_| low + (high - low) * numbers.next()).collect();
    [column(0.0, 360.0), column(-80.0, 30.0), column(0.0, 360.0)]
}

/// Pointings in degrees to the polygons of all detectors, on `threads` threads.
fn footprints(bencher: Bencher, camera: &str, pointings: usize, threads: usize) {
    let plane = plane(camera);
    let ids: Vec<i64> = plane.ids().collect();
    let [ra, dec, rotation] = columns(pointings);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    bencher.counter(ItemsCount::new(pointings * ids.len())).bench(|| {
        pool.install(|| {
            let pointings = Pointings::from_degrees(black_box(&ra), &dec, &rotation).unwrap_or_else(|e| panic!("{e}"));
            plane.footprints(&pointings, &ids).unwrap_or_else(|e| panic!("{e}"))
        })
    });
}

#[divan::bench(args = [1, 2], sample_count = 20)]
fn decam_2000_pointings(bencher: Bencher, threads: usize) {
    footprints(bencher, "DECam", POINTINGS, threads);
}

#[divan::bench(args = [1, 2], sample_count = 20)]
fn lsstcam_2000_pointings(bencher: Bencher, threads: usize) {
    footprints(bencher, "LSSTCam", POINTINGS, threads);
}

/// As many as `DECam` has taken from 2021 to 2026: 9.6 million polygons.
#[divan::bench(args = [1, 2], sample_count = 3, sample_size = 1)]
fn decam_154777_pointings(bencher: Bencher, threads: usize) {
    footprints(bencher, "DECam", 154_777, threads);
}

fn positions(plane: &FocalPlane, pointing: &Pointing) -> (Vec<f64>, Vec<f64>) {
    let mut numbers = Numbers(2);
    let (x, y): (Vec<f64>, Vec<f64>) =
        (0..1_000_000).map(|_| (2000.0 * numbers.next(), 2000.0 * numbers.next())).unzip();
    let id = plane.ids().next().expect("a detector");
    plane.pixels_to_sky(id, pointing, &x, &y).unwrap_or_else(|e| panic!("{e}"))
}

#[divan::bench(args = ["LSSTCam", "VIRCAM"], sample_count = 5)]
fn pixels_to_sky(bencher: Bencher, camera: &str) {
    let (plane, pointing) = (plane(camera), Pointing::from_degrees(150.0, 2.0, 30.0).expect("a pointing"));
    let x: Vec<f64> = (0..1_000_000).map(|i| f64::from(i % 2000)).collect();
    let id = plane.ids().next().expect("a detector");
    bencher
        .counter(ItemsCount::new(x.len()))
        .bench(|| plane.pixels_to_sky(id, &pointing, black_box(&x), &x).unwrap_or_else(|e| panic!("{e}")));
}

#[divan::bench(args = ["LSSTCam", "VIRCAM"], sample_count = 5)]
fn sky_to_pixels(bencher: Bencher, camera: &str) {
    let (plane, pointing) = (plane(camera), Pointing::from_degrees(150.0, 2.0, 30.0).expect("a pointing"));
    let (lon, lat) = positions(&plane, &pointing);
    let id = plane.ids().next().expect("a detector");
    bencher
        .counter(ItemsCount::new(lon.len()))
        .bench(|| plane.sky_to_pixels(id, &pointing, black_box(&lon), &lat).unwrap_or_else(|e| panic!("{e}")));
}

#[divan::bench(sample_count = 5)]
fn find_detectors(bencher: Bencher) {
    let (plane, pointing) = (plane("LSSTCam"), Pointing::from_degrees(150.0, 2.0, 30.0).expect("a pointing"));
    let mut numbers = Numbers(4);
    let (lon, lat): (Vec<f64>, Vec<f64>) = (0..1_000_000)
        .map(|_| {
            let near = |degrees: f64, n: &mut Numbers| (degrees + 3.6 * n.next() - 1.8).to_radians();
            (near(150.0, &mut numbers), near(2.0, &mut numbers))
        })
        .unzip();
    bencher
        .counter(ItemsCount::new(lon.len()))
        .bench(|| plane.find_detectors(&pointing, black_box(&lon), &lat).unwrap_or_else(|e| panic!("{e}")));
}
