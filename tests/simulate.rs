//! A simulated survey is what its options say, to the byte.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use bunter::camera::{Cameras, ExposureFile, HduInfo};
use bunter::datastore::FitsFile;
use bunter::simulate::{SimulateError, SimulateOptions, SimulatedWcs, simulate};
use bunter::{LonLat, MaskPlanes, Wcs};
use xxhash_rust::xxh3::xxh3_64;

fn tiny(out: &Path) -> SimulateOptions {
    let mut options = SimulateOptions::new(out);
    (options.visits, options.ccds, options.nx, options.ny, options.stars) = (3, 2, 120, 140, 40);
    options
}

/// One number of the names and bytes of all files in a folder.
fn fingerprint(folder: &Path) -> u64 {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    let all: Vec<u8> = names
        .iter()
        .flat_map(|name| {
            let mut line = name.as_encoded_bytes().to_vec();
            line.extend(xxh3_64(&fs::read(folder.join(name)).unwrap()).to_le_bytes());
            line
        })
        .collect();
    xxh3_64(&all)
}

fn with_threads(threads: usize, options: &SimulateOptions) -> u64 {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| simulate(options, &|_| {})).unwrap();
    fingerprint(&options.out)
}

fn table(folder: &Path, name: &str) -> Vec<std::collections::BTreeMap<String, String>> {
    let text = fs::read_to_string(folder.join(name)).unwrap();
    let mut lines = text.lines();
    let columns: Vec<_> = lines.next().unwrap().split(',').collect();
    lines
        .map(|line| columns.iter().map(ToString::to_string).zip(line.split(',').map(ToString::to_string)).collect())
        .collect()
}

#[test]
fn the_bytes_do_not_depend_on_threads_or_machine() {
    let (one, two, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let expected = with_threads(1, &tiny(one.path()));
    assert_eq!(with_threads(2, &tiny(two.path())), expected);
    assert_ne!(with_threads(2, &SimulateOptions { seed: 1, ..tiny(other.path()) }), expected);
    // Ours, made by this program; a change means that surveys made before can no longer be made again.
    assert_eq!(format!("{expected:016x}"), "3c59ed3160cb4695");
}

#[test]
fn stars_lie_where_the_truth_says_and_shine_as_it_says() {
    for (wcs, sip) in [(SimulatedWcs::Sip, 5.0), (SimulatedWcs::Tpv, 5.0), (SimulatedWcs::Tan, 1.0)] {
        let folder = tempfile::tempdir().unwrap();
        let mut options = SimulateOptions { wcs, sip, ..SimulateOptions::new(folder.path()) };
        (options.visits, options.nx, options.ny, options.stars) = (4, 400, 400, 100);
        simulate(&options, &|_| {}).unwrap();
        let truth = table(folder.path(), "truth.csv");
        let (mut stars, mut chi2) = (0, 0.0);
        for visit in table(folder.path(), "visits.csv") {
            let file = FitsFile::open(&folder.path().join(&visit["file"])).unwrap();
            let wcs = Wcs::from_header(&file.header(1).unwrap()).unwrap();
            let (image, mask) = (file.read_f32(1, None).unwrap(), file.read_i32(2, None).unwrap());
            let variance = file.read_f32(3, None).unwrap();
            let zero_point: f64 = visit["photzp"].parse().unwrap();
            let bad = MaskPlanes::default().bits(&["BAD", "SAT", "CR", "NO_DATA", "EDGE"]);
            for star in truth.iter().filter(|star| star["isolated"] == "1") {
                let number = |column: &str| star[column].parse::<f64>().unwrap();
                let (mag, sky) =
                    (number(&format!("mag_{}", visit["band"])), LonLat::from_degrees(number("ra"), number("dec")));
                let Some((x, y)) = wcs.sky_to_pixel(sky) else { continue };
                let (r, inside) = (9, |v: f64, n: usize| v > 10.0 && v < n as f64 - 11.0);
                if mag > 23.0 || !inside(x, 400) || !inside(y, 400) {
                    continue;
                }
                let (mut flux, mut var, mut mx, mut my, mut clean) = (0.0, 0.0, 0.0, 0.0, true);
                for j in -r..=r {
                    for i in -r..=r {
                        let at = [(y.round() as i64 + j) as usize, (x.round() as i64 + i) as usize];
                        clean &= mask[at] & bad == 0;
                        let counts = f64::from(image[at]);
                        flux += counts;
                        var += f64::from(variance[at]);
                        mx += counts * at[1] as f64;
                        my += counts * at[0] as f64;
                    }
                }
                if clean {
                    let expected = 10_f64.powf(-0.4 * (mag - zero_point));
                    chi2 += (flux - expected).powi(2) / var;
                    stars += 1;
                    if mag < 19.0 {
                        assert!(
                            (mx / flux - x).hypot(my / flux - y) < 0.1,
                            "{}: {} {} at {x} {y}",
                            visit["file"],
                            mx / flux,
                            my / flux
                        );
                    }
                }
            }
        }
        assert!(stars >= 10, "{stars} stars tell nothing");
        let reduced = chi2 / f64::from(stars);
        assert!((0.3..2.5).contains(&reduced), "{reduced} from {stars} stars");
    }
}

#[test]
fn masked_pixels_are_junk_and_the_rest_is_noise() {
    let folder = tempfile::tempdir().unwrap();
    let survey =
        simulate(&SimulateOptions { visits: 1, ccds: 1, stars: 1, ..SimulateOptions::new(folder.path()) }, &|_| {})
            .unwrap();
    let file = FitsFile::open(&survey.files[0]).unwrap();
    let (image, mask) = (file.read_f32(1, None).unwrap(), file.read_i32(2, None).unwrap());
    let variance = file.read_f32(3, None).unwrap();
    let bit = |name: &str| MaskPlanes::default().bits(&[name]);
    let (mut bad, mut rays, mut noise, mut n) = (0, 0, 0.0, 0.0);
    for ((pixel, mask), variance) in image.iter().zip(&mask).zip(&variance) {
        assert_eq!(pixel.is_nan(), mask & bit("NO_DATA") != 0);
        assert_eq!(pixel.is_nan(), variance.is_nan());
        if mask & bit("BAD") != 0 && !pixel.is_nan() && mask & bit("CR") == 0 {
            assert!((pixel.abs() - 5000.0).abs() < 0.5, "{pixel}");
            bad += 1;
        }
        rays += i32::from(mask & bit("CR") != 0);
        if mask & !bit("EDGE") == 0 {
            noise += f64::from(pixel * pixel / variance);
            n += 1.0;
        }
    }
    assert!(bad > 100 && rays > 20, "{bad} {rays}");
    assert!((noise / n - 1.0).abs() < 0.02, "{}", noise / n);
}

#[test]
fn the_calexp_translator_reads_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let survey = simulate(&tiny(folder.path()), &|_| {}).unwrap();
    let rows = table(folder.path(), "visits.csv");
    for (path, row) in survey.files.iter().zip(&rows) {
        let file = FitsFile::open(path).unwrap();
        let hdus: Vec<_> = (0..4).map(|i| HduInfo::from_header(file.header(i).unwrap())).collect();
        let path = path.to_string_lossy();
        let file = ExposureFile { path: &path, hdus: &hdus, sidecars: &[], siblings: None };
        let found = Cameras::built_in().unwrap().translate(file).unwrap();
        let [found] = found.as_slice() else { panic!("one exposure") };
        assert_eq!(found.instrument, "SimCam");
        assert_eq!(
            (found.visit.to_string(), found.detector.to_string()),
            (row["visit"].clone(), row["detector"].clone())
        );
        assert_eq!((&found.band, found.shape), (&row["band"], (140, 120)));
        assert_eq!(format!("{:.6}", found.mjd_begin.unwrap()), row["mjd"]);
        assert!(!found.needs_pixels() && found.warnings.is_empty());
    }
}

#[test]
fn options_that_make_no_sense_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let base = || SimulateOptions::new(folder.path().join("new"));
    let refused: Vec<(&str, SimulateOptions)> = vec![
        ("ra", SimulateOptions { ra: f64::NAN, ..base() }),
        ("dec", SimulateOptions { dec: 90.0, ..base() }),
        ("scale", SimulateOptions { scale: 0.0, ..base() }),
        ("scale", SimulateOptions { scale: f64::INFINITY, ..base() }),
        ("dither", SimulateOptions { dither: -1.0, ..base() }),
        ("sip", SimulateOptions { sip: 1e9, ..base() }),
        ("nx", SimulateOptions { nx: 0, ..base() }),
        ("ny", SimulateOptions { ny: u32::MAX, ..base() }),
        ("visits", SimulateOptions { visits: 0, ..base() }),
        ("ccds", SimulateOptions { ccds: u32::MAX, ..base() }),
        ("patch", SimulateOptions { patch: 1, ..base() }),
        ("patch-scale", SimulateOptions { patch_scale: -1.0, ..base() }),
        ("bands", SimulateOptions { bands: vec![], ..base() }),
        ("bands", SimulateOptions { bands: vec!["r".into(), "r".into()], ..base() }),
        ("bands", SimulateOptions { bands: vec!["r,i".into()], ..base() }),
    ];
    for (name, options) in refused {
        let error = simulate(&options, &|_| {}).unwrap_err();
        assert!(matches!(&error, SimulateError::Option { option, .. } if *option == name), "{name}: {error}");
        assert!(!options.out.exists(), "{name}: nothing is written");
    }
    let huge = SimulateOptions { visits: 99_999, ccds: 100, nx: 4096, ny: 4096, ..base() };
    let error = simulate(&SimulateOptions { scale: 0.01, ..huge }, &|_| {}).unwrap_err();
    assert!(matches!(error, SimulateError::TooLarge { needed_gb, .. } if needed_gb > 2e6), "{error}");
}

#[test]
fn what_is_there_is_not_overwritten_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let options = SimulateOptions { visits: 1, ..tiny(folder.path()) };
    let before = with_threads(1, &options);
    let error = simulate(&SimulateOptions { seed: 5, ..options.clone() }, &|_| {}).unwrap_err();
    assert!(matches!(error, SimulateError::Occupied { .. }), "{error}");
    assert_eq!(fingerprint(folder.path()), before);
    let count = AtomicU64::new(0);
    let fewer = SimulateOptions { ccds: 1, overwrite: true, ..options };
    simulate(&fewer, &|p| {
        count.fetch_max(p.done, Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!(count.into_inner(), 1);
    let left = fs::read_dir(folder.path())
        .unwrap()
        .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().ends_with(".fits"));
    assert_eq!(left.count(), 1, "no exposure of the old survey stays");
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = simulate(&tiny(&file.join("below")), &|_| {}).unwrap_err();
    assert!(matches!(&error, SimulateError::Write { path, .. } if path.starts_with(&file)), "{error}");
}
