//! Exposures and coadds that the datastore's tests store and read back.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, UInt64Array};
use arrow::record_batch::RecordBatch;
use bunter::{Coadd, Exposure, Header, MaskPlanes, PixelBox, Wcs};
use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(crate) fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

pub(crate) fn wcs() -> Wcs {
    let mut header = Header::default();
    header.set("CTYPE1", "RA---TAN");
    header.set("CTYPE2", "DEC--TAN");
    for (keyword, value) in [
        ("CRVAL1", 150.1),
        ("CRVAL2", 2.2),
        ("CRPIX1", 1024.5),
        ("CRPIX2", 2048.5),
        ("CD1_1", -5.5e-5),
        ("CD1_2", 1.0e-7),
        ("CD2_1", 2.0e-7),
        ("CD2_2", 5.5e-5),
    ] {
        header.set(keyword, value);
    }
    header.set("CUNIT1", "deg");
    header.set("CUNIT2", "deg");
    header.set("RADESYS", "ICRS");
    Wcs::from_header(&header).unwrap()
}

pub(crate) fn metadata() -> Header {
    let mut header = Header::default();
    header.set_commented("EXPTIME", 30.25, "[s] open shutter");
    header.set("VISIT", 903_334_i64);
    header.set("FILTER", "i2'");
    header.set("LONGTEXT", "lorem ipsum ".repeat(20).trim_end());
    header.set("ESO DET CHIP1 ID", "A-13");
    header.set("GUIDING", true);
    header
}

fn planes(bbox: PixelBox, seed: u64) -> (Array2<f32>, Array2<i32>, Array2<f32>) {
    let mut rng = rng(seed);
    let image = Array2::from_shape_simple_fn(bbox.shape(), || {
        if rng.random_ratio(1, 50) { f32::NAN } else { rng.random_range(-100.0..1e5) }
    });
    let mask = Array2::from_shape_simple_fn(bbox.shape(), || rng.random_range(0..512));
    let variance = Array2::from_shape_simple_fn(bbox.shape(), || rng.random_range(1.0..50.0));
    (image, mask, variance)
}

pub(crate) fn exposure(bbox: PixelBox, seed: u64) -> Exposure {
    let (image, mask, variance) = planes(bbox, seed);
    let mask_planes = MaskPlanes::default();
    Exposure { bbox, image, mask, variance, mask_planes, wcs: wcs(), zero_point: 27.125, metadata: metadata() }
}

pub(crate) fn inputs() -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([
        ("instrument", Arc::new(StringArray::from(vec![Some("HSC"), None, Some("Ω long name")])) as ArrayRef, true),
        ("visit", Arc::new(Int64Array::from(vec![1_i64, -2, i64::MAX])) as ArrayRef, false),
        ("weight", Arc::new(Float64Array::from(vec![Some(0.1), None, Some(f64::NAN)])) as ArrayRef, true),
        ("checksum", Arc::new(UInt64Array::from(vec![0, 1 << 63, u64::MAX])) as ArrayRef, false),
        ("used", Arc::new(BooleanArray::from(vec![true, false, true])) as ArrayRef, false),
    ])
    .unwrap()
}

pub(crate) fn coadd(bbox: PixelBox, seed: u64) -> Coadd {
    let (image, mask, variance) = planes(bbox, seed);
    let mut rng = rng(seed + 1);
    Coadd {
        bbox,
        image,
        mask,
        variance,
        n_image: Array2::from_shape_simple_fn(bbox.shape(), || rng.random()),
        weight: Array2::from_shape_simple_fn(bbox.shape(), || rng.random()),
        mask_planes: MaskPlanes::default(),
        wcs: wcs(),
        zero_point: 27.0,
        inputs: inputs(),
        metadata: metadata(),
    }
}

/// The part of an exposure in a box, by plain slicing.
pub(crate) fn cut(whole: &Exposure, subset: PixelBox) -> Exposure {
    let (x, y) = ((subset.x0 - whole.bbox.x0) as usize, (subset.y0 - whole.bbox.y0) as usize);
    let (h, w) = subset.shape();
    let slice = ndarray::s![y..y + h, x..x + w];
    Exposure {
        bbox: subset,
        image: whole.image.slice(slice).to_owned(),
        mask: whole.mask.slice(slice).to_owned(),
        variance: whole.variance.slice(slice).to_owned(),
        ..whole.clone()
    }
}

pub(crate) fn bits(a: &Array2<f32>) -> Array2<u32> {
    a.mapv(f32::to_bits)
}

pub(crate) fn assert_same(a: &Exposure, b: &Exposure) {
    assert_eq!(a.bbox, b.bbox);
    assert_eq!(bits(&a.image), bits(&b.image));
    assert_eq!(a.mask, b.mask);
    assert_eq!(bits(&a.variance), bits(&b.variance));
    assert_eq!(a.mask_planes, b.mask_planes);
    assert_eq!(a.wcs.to_header(), b.wcs.to_header());
    assert_eq!(a.zero_point.to_bits(), b.zero_point.to_bits());
    assert_eq!(a.metadata.cards(), b.metadata.cards());
}

pub(crate) fn random_box(rng: &mut ChaCha8Rng, bbox: PixelBox) -> PixelBox {
    let (x, y) = (rng.random_range(0..bbox.width), rng.random_range(0..bbox.height));
    let (w, h) = (rng.random_range(0..=bbox.width - x), rng.random_range(0..=bbox.height - y));
    PixelBox::new(bbox.x0 + x as i32, bbox.y0 + y as i32, w, h)
}

/// Real survey images, where they are.
pub(crate) fn real_images() -> Option<PathBuf> {
    let folder = std::env::var_os("BUNTER_IMAGES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/images"), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no real images at {} (set BUNTER_IMAGES)", folder.display());
    None
}

/// Runs a Python program with astropy, numpy and h5py, where there is one (`BUNTER_PYTHON`, or `python3`).
pub(crate) fn python(program: &str, arguments: &[&Path]) -> Option<String> {
    let python = std::env::var_os("BUNTER_PYTHON").unwrap_or_else(|| "python3".into());
    let probe = std::process::Command::new(&python).args(["-c", "import astropy, h5py"]).output();
    if !probe.is_ok_and(|p| p.status.success()) {
        println!("skipped: no Python with astropy and h5py (set BUNTER_PYTHON)");
        return None;
    }
    let run = std::process::Command::new(python).arg("-c").arg(program).args(arguments).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    Some(String::from_utf8_lossy(&run.stdout).into_owned())
}
