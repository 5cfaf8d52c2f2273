//! Coadds of real survey images, compared with what other programs made of the same pixels.
//!
//! The images are third parties' and stay out of the project: `BUNTER_IMAGES` says where they are (by default
//! `../shared/data/images` beside the project). `docs/real-images.md` has the same runs by hand. The reference numbers are those of
//! `SWarp` 2.41 (LANCZOS3, weighted) on the same target header, and of the median coadd of `ProPane`'s authors.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::path::{Path, PathBuf};

use bunter::camera::Cameras;
use bunter::coadd::{Statistic, aperture_flux, windowed_centroid};
use bunter::datastore::{Dataset, Transfer};
use bunter::ranks::{BuildOptions, SerialCommunicator, build_coadds};
use bunter::{Butler, Coadd, DataId, IngestOptions, LonLat, SkyMap, SkyMapConfig, Storage};

/// Positions of 20 stars, degrees, and their flux within 3 arcsec in counts of zero point 27: `SWarp` LANCZOS3 on the ZPN images,
/// median of the ring from 20 to 30 pixels subtracted.
const VIRCAM_TOTAL: f64 = 74_893.53;
/// The same of the median coadd by `ProPane`'s authors.
const VIRCAM_MEDIAN_TOTAL: f64 = 74_863.08;
/// Sum over the central 30 x 30 pixels of the `DECam` coadds by `SWarp`, zero point 27.
const DECAM_SUMS: [(&str, f64); 3] = [("g", 825.624_39), ("r", 2_811.174_07), ("z", 5_890.040_04)];

fn images() -> Option<PathBuf> {
    let folder = std::env::var_os("BUNTER_IMAGES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/images"), PathBuf::from);
    if folder.join("vircam_h").is_dir() {
        return Some(folder);
    }
    println!("skipped: no real images in {} (set BUNTER_IMAGES)", folder.display());
    None
}

/// A repository with the images of a folder and the sky map of a header.
fn repository(folder: &Path, images: &Path, header: &Path, storage: Storage) -> Butler {
    let butler = Butler::create(folder.join("repo")).unwrap();
    let options = IngestOptions {
        run: "exposures".to_owned(),
        dataset_type: "calexp".to_owned(),
        transfer: Transfer::Direct,
        storage,
        register_instruments: true,
        cameras: Cameras::built_in().unwrap(),
    };
    let report = butler.ingest(&[images.to_owned()], &options, &mut |_| {}).unwrap();
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    assert!(report.new > 0);
    let header = std::fs::read_to_string(header).unwrap();
    let sky_map = SkyMap::new(SkyMapConfig::from_fits_header(&header, None).unwrap()).unwrap();
    butler.register_sky_map("target", &sky_map).unwrap();
    butler
}

fn build(butler: &Butler, output: &str, statistic: Statistic) {
    let mut options = BuildOptions::new(butler.root(), "target", &["exposures"], output);
    options.config.statistic = statistic;
    let report = build_coadds(&SerialCommunicator::new(), &options, &mut ()).unwrap();
    assert!(report.verdict.is_success(), "{:?}", report.failed);
}

fn coadd(butler: &Butler, run: &str, band: &str) -> Coadd {
    let id = DataId::new().with("skymap", "target").with("tract", 0).with("patch", 0).with("band", band);
    match butler.get("deepCoadd", &id, &[run], None).unwrap() {
        Dataset::Coadd(coadd) => *coadd,
        other => panic!("{}", other.kind()),
    }
}

fn positions(images: &Path) -> Vec<LonLat> {
    let text = std::fs::read_to_string(images.join("reference/pos_vircam.csv")).unwrap();
    let row = |line: &str| {
        let mut cells = line.split(',').skip(1).map(|cell| cell.parse::<f64>().unwrap());
        LonLat::from_degrees(cells.next().unwrap(), cells.next().unwrap())
    };
    text.lines().skip(1).map(row).collect()
}

/// Flux within 10 pixels, the median of the ring from 20 to 30 pixels subtracted.
fn flux(coadd: &Coadd, x: f64, y: f64) -> f64 {
    let radius = 10.0;
    let aperture = aperture_flux(coadd.image.view(), coadd.variance.view(), x, y, radius, 1.0).unwrap();
    let mut ring: Vec<f32> = coadd
        .image
        .indexed_iter()
        .filter(|((row, column), v)| {
            let distance = (*row as f64 - y).hypot(*column as f64 - x);
            (20.0..30.0).contains(&distance) && v.is_finite()
        })
        .map(|(_, v)| *v)
        .collect();
    ring.sort_by(f32::total_cmp);
    aperture.flux - f64::from(ring[ring.len() / 2]) * aperture.area
}

#[test]
fn vircam_fluxes_agree_with_swarp_and_propane() {
    let Some(images) = images() else { return };
    let folder = tempfile::tempdir().unwrap();
    let exposures = folder.path().join("exposures");
    std::fs::create_dir(&exposures).unwrap();
    for n in 1..=8 {
        let name = format!("image_{n}.fits");
        let source = images.join("vircam_h").join(&name).canonicalize().unwrap();
        std::os::unix::fs::symlink(source, exposures.join(name)).unwrap();
    }
    let header = images.join("reference/vircam.hdr");
    let butler = repository(folder.path(), &exposures, &header, Storage::Hdf5);
    let stars = positions(&images);
    for (run, statistic, reference) in
        [("mean", Statistic::WeightedMean, VIRCAM_TOTAL), ("median", Statistic::Median, VIRCAM_MEDIAN_TOTAL)]
    {
        build(&butler, run, statistic);
        let coadd = coadd(&butler, run, "H");
        let place = |sky: &LonLat| coadd.wcs.sky_to_pixel(*sky).unwrap();
        let total: f64 = stars.iter().map(place).map(|(x, y)| flux(&coadd, x, y)).sum();
        let ratio = total / reference;
        println!("{run}: {total:.1}, {ratio:.5} of the reference");
        assert!((ratio - 1.0).abs() < 0.0015, "{run}: {ratio}");
        assert_eq!(coadd.inputs.num_rows(), 8);
        assert_eq!(coadd.n_image.iter().max(), Some(&8));
        assert_eq!(coadd.bbox.shape(), (2200, 2200));
    }
    // Two statistics of the same pixels: the stars stay where they are.
    let (mean, median) = (coadd(&butler, "mean", "H"), coadd(&butler, "median", "H"));
    let mut offsets = Vec::new();
    for (x, y) in stars.iter().map(|sky| mean.wcs.sky_to_pixel(*sky).unwrap()) {
        let at = |coadd: &Coadd| windowed_centroid(coadd.image.view(), x, y, 3.0);
        if let (Ok(a), Ok(b)) = (at(&mean), at(&median)) {
            offsets.push((a.x - b.x).hypot(a.y - b.y));
        }
    }
    offsets.sort_by(f64::total_cmp);
    assert!(offsets.len() >= 15 && offsets[offsets.len() / 2] < 0.05, "{offsets:?}");
}

#[test]
fn decam_cutouts_agree_with_swarp() {
    let Some(images) = images() else { return };
    for storage in [Storage::Fits, Storage::Hdf5] {
        let folder = tempfile::tempdir().unwrap();
        let header = images.join("reference/testcase3.hdr");
        let butler = repository(folder.path(), &images.join("decam_mini/testcase3"), &header, storage);
        build(&butler, "coadds", Statistic::WeightedMean);
        for (band, reference) in DECAM_SUMS {
            let coadd = coadd(&butler, "coadds", band);
            let centre = coadd.image.slice(ndarray::s![15..45, 15..45]);
            assert!(centre.iter().all(|v| v.is_finite()), "{band}: holes in the centre");
            let ratio = centre.iter().map(|v| f64::from(*v)).sum::<f64>() / reference;
            println!("{band}: {ratio:.5} of SWarp");
            assert!((ratio - 1.0).abs() < 0.0015, "{band}: {ratio}");
        }
        assert!(butler.verify(false, |_, _| {}).unwrap().is_clean());
    }
}

#[test]
fn every_decam_cutout_is_ingested() {
    let Some(images) = images() else { return };
    let folder = tempfile::tempdir().unwrap();
    let header = images.join("reference/testcase3.hdr");
    let butler = repository(folder.path(), &images.join("decam_mini"), &header, Storage::Fits);
    let rows = butler.query_datasets("calexp", &["exposures"], &bunter::Query::all(), true).unwrap();
    assert_eq!(rows.num_rows(), 14);
}
