//! Cutouts: 500x500 pixels out of a 2048x4096 image of `f32`, opened anew each time, from a warm page cache.
//!
//! `BUNTER_PYTHON` names a Python with numpy, astropy and h5py for the peers' lines.
#![expect(clippy::expect_used, reason = "a bench stops at what it did not expect")]

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use bunter::datastore::{
    FitsFile, StorageOptions, read_component, read_exposure, read_fits_exposure, write_exposure, write_fits_exposure,
};
use bunter::{
    Exposure, FitsLayout, FitsMask, FitsPlane, FitsVariance, Header, MaskMeaning, MaskPlanes, PixelBox, StorageClass,
    Wcs,
};
use ndarray::{Array2, s};
use rand::{RngExt, SeedableRng};

const BOX: PixelBox = PixelBox::new(0, 0, 2048, 4096);
const ROUNDS: usize = 301;

/// The box of a round: another place each time.
fn place(round: usize) -> PixelBox {
    PixelBox::new((round * 577 % 1548) as i32, (round * 1013 % 3596) as i32, 500, 500)
}

fn report(name: &str, rounds: usize, mut read: impl FnMut(PixelBox)) {
    let mut times: Vec<f64> = (0..rounds)
        .map(|round| {
            let start = Instant::now();
            read(place(round));
            1e3 * start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{name:<58} {:8.3} ms median {:8.3} ms best", times[rounds / 2], times[0]);
}

fn peers(folder: &Path) {
    let python = std::env::var_os("BUNTER_PYTHON").unwrap_or_else(|| "python3".into());
    let program = r#"
import sys, time, numpy as np, h5py
from astropy.io import fits
d = sys.argv[1]
def place(n): return n * 577 % 1548, n * 1013 % 3596
def run(name, f, rounds):
    t = []
    for n in range(rounds):
        x, y = place(n); a = time.perf_counter(); f(x, y); t.append(1e3 * (time.perf_counter() - a))
    t.sort(); print(f"{name:<58} {t[rounds // 2]:8.3f} ms median {t[0]:8.3f} ms best")
def h5(name):
    def f(x, y):
        with h5py.File(f"{d}/{name}") as h: h["image"][y:y+500, x:x+500]
    return f
def ap(name, comp):
    def f(x, y):
        with fits.open(f"{d}/{name}") as h: (h[1].section if comp else h[1].section)[y:y+500, x:x+500].astype("f4")
    return f
def mm(x, y):
    np.ascontiguousarray(np.memmap(f"{d}/raw.f32", "<f4", "r", shape=(4096, 2048))[y:y+500, x:x+500])
run("peer: numpy memmap, raw file", mm, 301)
run("peer: h5py, contiguous", h5("contiguous.h5"), 301)
run("peer: h5py, 256^2 chunks, gzip", h5("gzip.h5"), 21)
run("peer: astropy section, plain FITS", ap("plain.fits", False), 101)
run("peer: astropy section, RICE row tiles", ap("rice.fits", True), 7)
"#;
    match Command::new(python).arg("-c").arg(program).arg(folder).output() {
        Ok(run) if run.status.success() => print!("{}", String::from_utf8_lossy(&run.stdout)),
        Ok(run) => println!("peers skipped: {}", String::from_utf8_lossy(&run.stderr).lines().last().unwrap_or("")),
        Err(e) => println!("peers skipped: {e}"),
    }
}

/// Tile-compressed by astropy, where there is one.
fn rice(folder: &Path) -> bool {
    let python = std::env::var_os("BUNTER_PYTHON").unwrap_or_else(|| "python3".into());
    let program = "import sys\nfrom astropy.io import fits\nd = sys.argv[1]\nh = fits.open(d + '/plain.fits')\nfits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(h[1].data, compression_type='RICE_1', tile_shape=(1, 2048))]).writeto(d + '/rice.fits')";
    Command::new(python).arg("-c").arg(program).arg(folder).output().is_ok_and(|run| run.status.success())
}

fn main() {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let mut wcs = Header::default();
    for (keyword, value) in [("CTYPE1", "RA---TAN"), ("CTYPE2", "DEC--TAN")] {
        wcs.set(keyword, value);
    }
    for (keyword, value) in
        [("CRVAL1", 150.0), ("CRVAL2", 2.0), ("CRPIX1", 1.0), ("CRPIX2", 1.0), ("CD1_1", -5e-5), ("CD2_2", 5e-5)]
    {
        wcs.set(keyword, value);
    }
    let metadata: Header = (0..200).map(|n| (format!("KEY{n}"), f64::from(n) * 0.1)).collect();
    let exposure = Exposure {
        bbox: BOX,
        image: Array2::from_shape_simple_fn(BOX.shape(), || (rng.random_range(-500..500) as f32) * 0.25),
        mask: Array2::from_shape_simple_fn(BOX.shape(), || i32::from(rng.random_ratio(1, 100))),
        variance: Array2::from_elem(BOX.shape(), 9.0),
        mask_planes: MaskPlanes::default(),
        wcs: Wcs::from_header(&wcs).expect("a WCS"),
        zero_point: 27.0,
        metadata,
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    let start = Instant::now();
    write_exposure(&path("contiguous.h5"), &exposure, &StorageOptions::Contiguous).expect("a file");
    println!("put of an exposure (100 MB, synced), contiguous HDF5: {:.0} ms", 1e3 * start.elapsed().as_secs_f64());
    let start = Instant::now();
    write_fits_exposure(&path("plain.fits"), &exposure).expect("a file");
    println!("put of an exposure (100 MB, synced), FITS:            {:.0} ms", 1e3 * start.elapsed().as_secs_f64());
    write_exposure(&path("gzip.h5"), &exposure, &StorageOptions::COMPRESSED).expect("a file");
    let raw: Vec<u8> = exposure.image.iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(path("raw.f32"), raw).expect("a file");

    let image =
        |file: &Path, subset| read_component(file, StorageClass::Exposure, "image", Some(subset)).expect("pixels");
    let (contiguous, gzip, plain) = (path("contiguous.h5"), path("gzip.h5"), path("plain.fits"));
    report("limit: copy of the box within memory", ROUNDS, |b| {
        let (x, y) = (b.x0 as usize, b.y0 as usize);
        black_box(exposure.image.slice(s![y..y + 500, x..x + 500]).to_owned());
    });
    report("plain FITS, image", ROUNDS, |b| {
        black_box(FitsFile::open(&plain).and_then(|f| f.read_f32(1, Some(b))).expect("pixels"));
    });
    report("contiguous HDF5, image", ROUNDS, |b| {
        black_box(image(&contiguous, b));
    });
    report("contiguous HDF5, image, by the library's hyperslab", ROUNDS, |b| {
        let (x, y) = (b.x0 as usize, b.y0 as usize);
        let file = hdf5::File::open(&contiguous).expect("a file");
        let pixels = file.dataset("image").and_then(|d| d.read_slice_2d::<f32, _>(s![y..y + 500, x..x + 500]));
        black_box(pixels.expect("pixels"));
    });
    report("256^2 chunks, gzip HDF5, image", 101, |b| {
        black_box(image(&gzip, b));
    });
    report("contiguous HDF5, whole exposure (3 planes, 200 keywords)", ROUNDS, |b| {
        black_box(read_exposure(&contiguous, Some(b)).expect("an exposure"));
    });
    report("contiguous HDF5, metadata of 200 keywords", ROUNDS, |_| {
        black_box(read_component(&contiguous, StorageClass::Exposure, "metadata", None).expect("a header"));
    });
    let plane = |hdu| FitsPlane { file: None, hdu };
    let layout = FitsLayout {
        image: plane(1),
        mask: Some(FitsMask { plane: plane(2), meaning: MaskMeaning::Planes }),
        variance: FitsVariance::Plane(plane(3)),
        background: 0.0,
        zero_point: 27.0,
        saturation: None,
        low: None,
    };
    report("plain FITS, whole exposure (3 planes, 200 keywords)", ROUNDS, |b| {
        black_box(read_fits_exposure(&plain, &layout, Some(b)).expect("an exposure"));
    });
    if rice(folder.path()) {
        let file = path("rice.fits");
        report("RICE row tiles, image", 21, |b| {
            black_box(FitsFile::open(&file).and_then(|f| f.read_f32(1, Some(b))).expect("pixels"));
        });
    }
    peers(folder.path());
}
