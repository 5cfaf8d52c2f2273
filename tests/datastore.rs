//! The datastore from outside: what goes in comes out, by every format and layout.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod datastore_support;

use bunter::datastore::{
    Dataset, Datastore, DatastoreError, FitsFile, StorageOptions, Transfer, read_coadd, read_component, read_exposure,
    read_fits_exposure, read_table, write_coadd, write_exposure, write_fits_coadd, write_fits_exposure, write_table,
};
use bunter::{Exposure, FitsLayout, FitsMask, FitsPlane, FitsVariance, Format, MaskMeaning, PixelBox, StorageClass};
use datastore_support::*;

const LAYOUTS: [StorageOptions; 4] = [
    StorageOptions::Contiguous,
    StorageOptions::COMPRESSED,
    StorageOptions::Chunked { chunk: (17, 40), gzip: 9 },
    StorageOptions::Chunked { chunk: (1000, 7), gzip: 0 },
];
const BOX: PixelBox = PixelBox::new(-30, 4000, 133, 91);

fn layout() -> FitsLayout {
    let plane = |hdu| FitsPlane { file: None, hdu };
    FitsLayout {
        image: plane(1),
        mask: Some(FitsMask { plane: plane(2), meaning: MaskMeaning::Planes }),
        variance: FitsVariance::Plane(plane(3)),
        background: 0.0,
        zero_point: 27.125,
        saturation: None,
        low: None,
    }
}

#[test]
fn exposures_and_their_subsets_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let whole = exposure(BOX, 1);
    for (n, options) in LAYOUTS.iter().enumerate() {
        let path = folder.path().join(format!("{n}.h5"));
        write_exposure(&path, &whole, options).unwrap();
        assert_same(&read_exposure(&path, None).unwrap(), &whole);
        let mut rng = rng(n as u64);
        for _ in 0..60 {
            let subset = random_box(&mut rng, BOX);
            assert_same(&read_exposure(&path, Some(subset)).unwrap(), &cut(&whole, subset));
        }
    }
}

#[test]
fn coadds_come_back_with_every_component_on_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let whole = coadd(BOX, 2);
    let subset = PixelBox::new(0, 4010, 50, 20);
    for (n, options) in LAYOUTS.iter().enumerate() {
        let path = folder.path().join(format!("{n}.h5"));
        write_coadd(&path, &whole, options).unwrap();
        let read = read_coadd(&path, None).unwrap();
        assert_eq!(read.n_image, whole.n_image);
        assert_eq!(bits(&read.weight), bits(&whole.weight));
        assert_eq!(format!("{:?}", read.inputs), format!("{:?}", whole.inputs));
        assert_eq!(read.metadata, whole.metadata);
        for component in StorageClass::Coadd.components() {
            let part = read_component(&path, StorageClass::Coadd, component, Some(subset)).unwrap();
            let slice = ndarray::s![10..30, 30..80];
            match (*component, part) {
                ("image", Dataset::Image(a)) => assert_eq!(bits(&a), bits(&whole.image.slice(slice).to_owned())),
                ("variance", Dataset::Image(a)) => assert_eq!(a, whole.variance.slice(slice)),
                ("weight", Dataset::Image(a)) => assert_eq!(a, whole.weight.slice(slice)),
                ("mask", Dataset::Mask(a)) => assert_eq!(a, whole.mask.slice(slice)),
                ("n_image", Dataset::NImage(a)) => assert_eq!(a, whole.n_image.slice(slice)),
                ("inputs", Dataset::Table(t)) => assert_eq!(t.num_rows(), 3),
                ("wcs", Dataset::Wcs(w)) => assert_eq!(w.to_header(), whole.wcs.to_header()),
                ("bbox", Dataset::Box(b)) => assert_eq!(b, subset),
                ("zero_point", Dataset::Number(z)) => assert!((z - 27.0).abs() < f64::EPSILON),
                ("metadata", Dataset::Metadata(m)) => assert_eq!(m, whole.metadata),
                (name, other) => panic!("{name} came as {}", other.kind()),
            }
        }
        assert!(matches!(read_exposure(&path, None), Err(DatastoreError::WrongStorageClass { .. })));
    }
}

#[test]
fn the_same_exposure_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let whole = exposure(BOX, 3);
    let paths = ["a.h5", "b.h5", "c.fits", "d.fits"].map(|name| folder.path().join(name));
    write_exposure(&paths[0], &whole, &StorageOptions::COMPRESSED).unwrap();
    write_exposure(&paths[1], &whole, &StorageOptions::COMPRESSED).unwrap();
    write_fits_exposure(&paths[2], &whole).unwrap();
    write_fits_exposure(&paths[3], &whole).unwrap();
    let bytes = paths.map(|path| std::fs::read(path).unwrap());
    assert_eq!(bytes[0], bytes[1]);
    assert_eq!(bytes[2], bytes[3]);
}

#[test]
fn fits_exposures_come_back_in_local_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd [name](1)+2.fits");
    let whole = exposure(BOX, 4);
    write_fits_exposure(&path, &whole).unwrap();
    let read = read_fits_exposure(&path, &layout(), None).unwrap();
    assert_eq!(read.bbox, PixelBox::new(0, 0, 133, 91));
    assert_eq!(bits(&read.image), bits(&whole.image));
    assert_eq!(bits(&read.variance), bits(&whole.variance));
    let no_data = 1 << whole.mask_planes.bit("NO_DATA").unwrap();
    let mut expected = whole.mask.clone();
    expected.zip_mut_with(&whole.image, |m, v| *m |= if v.is_nan() { no_data } else { 0 });
    assert_eq!(read.mask, expected);
    for (name, bit) in whole.mask_planes.iter() {
        assert_eq!(read.mask_planes.bit(name), Some(bit));
    }
    let reference = |e: &Exposure, key| e.wcs.to_header().f64(key).unwrap();
    assert!((reference(&read, "CRPIX1") - (reference(&whole, "CRPIX1") + 30.0)).abs() < 1e-9);
    assert!((reference(&read, "CRPIX2") - (reference(&whole, "CRPIX2") - 4000.0)).abs() < 1e-9);
    for card in whole.metadata.cards() {
        assert_eq!(read.metadata.get(&card.keyword), Some(&card.value), "{}", card.keyword);
    }
    let mut rng = rng(5);
    for _ in 0..100 {
        let subset = random_box(&mut rng, read.bbox);
        assert_same(&read_fits_exposure(&path, &layout(), Some(subset)).unwrap(), &cut(&read, subset));
    }
}

#[test]
fn every_part_of_a_fits_layout_means_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.fits");
    let mut whole = exposure(PixelBox::new(0, 0, 4, 1), 5);
    whole.image = ndarray::array![[10.0, 110.0, f32::NAN, 5000.0]];
    whole.mask = ndarray::array![[0, 1, 3, 300]];
    whole.variance = ndarray::array![[4.0, 0.0, -1.0, 0.5]];
    write_fits_exposure(&path, &whole).unwrap();
    std::fs::copy(&path, folder.path().join("sibling.fits")).unwrap();
    let sibling = |hdu| FitsPlane { file: Some("sibling.fits".to_owned()), hdu };

    let mut wanted = layout();
    wanted.background = 10.0;
    wanted.variance = FitsVariance::Inverse(sibling(3));
    wanted.mask = Some(FitsMask {
        plane: sibling(2),
        meaning: MaskMeaning::Codes(vec![
            (1, vec!["CR".to_owned()]),
            (3, vec!["SAT".to_owned(), "BLEED".to_owned()]),
            (300, vec!["SUSPECT".to_owned()]),
        ]),
    });
    let read = read_fits_exposure(&path, &wanted, None).unwrap();
    let bit = |names: &[&str]| read.mask_planes.bits(names);
    assert_eq!(read.image.mapv(|v| if v.is_nan() { -1.0 } else { v }), ndarray::array![[0.0, 100.0, -1.0, 4990.0]]);
    assert_eq!(read.variance.mapv(|v| if v.is_nan() { -1.0 } else { v }), ndarray::array![[0.25, -1.0, -1.0, 2.0]]);
    assert_ne!(bit(&["BLEED"]), 0);
    let expected =
        ndarray::array![[0, bit(&["CR", "BAD"]), bit(&["SAT", "BLEED", "NO_DATA", "BAD"]), bit(&["SUSPECT"])]];
    assert_eq!(read.mask, expected);

    wanted.mask = Some(FitsMask {
        plane: sibling(2),
        meaning: MaskMeaning::Bits(vec![(0, "CR".to_owned()), (1, "EDGE".to_owned()), (8, "BAD".to_owned())]),
    });
    wanted.variance = FitsVariance::Plane(sibling(3));
    let read = read_fits_exposure(&path, &wanted, None).unwrap();
    let bit = |names: &[&str]| read.mask_planes.bits(names);
    assert_eq!(read.mask, ndarray::array![[0, bit(&["CR"]), bit(&["CR", "EDGE", "NO_DATA"]), bit(&["BAD"])]]);
    assert_eq!(read.variance, whole.variance);

    wanted.mask = None;
    wanted.variance = FitsVariance::SkyAndGain { sky_variance: 9.0, gain: 2.0 };
    wanted.saturation = Some(5000.0);
    wanted.low = Some(0.5);
    let read = read_fits_exposure(&path, &wanted, None).unwrap();
    let bit = |names: &[&str]| read.mask_planes.bits(names);
    assert_eq!(read.mask, ndarray::array![[bit(&["BAD"]), 0, bit(&["NO_DATA"]), bit(&["SAT"])]]);
    assert_eq!(
        read.variance.mapv(|v| if v.is_nan() { -1.0 } else { v }),
        ndarray::array![[9.0, 59.0, -1.0, 9.0 + 2495.0]]
    );
}

#[test]
fn what_is_not_there_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let store = Datastore::new(folder.path());
    let record = store.put_exposure("run/calexp/1.h5", &exposure(BOX, 6), &StorageOptions::default()).unwrap();
    let message = |component| store.get(&record, StorageClass::Exposure, component, None).unwrap_err().to_string();
    assert!(message(Some("varience")).contains("did you mean `variance`?"), "{}", message(Some("varience")));
    let outside = PixelBox::new(-31, 4000, 10, 10);
    let error = store.get_exposure(&record, Some(outside)).unwrap_err().to_string();
    assert!(error.contains("10x10 at (-31, 4000)") && error.contains("133x91 at (-30, 4000)"), "{error}");

    let path = folder.path().join("e.fits");
    write_fits_exposure(&path, &exposure(BOX, 6)).unwrap();
    let fits = |change: fn(&mut FitsLayout)| {
        let mut layout = layout();
        change(&mut layout);
        read_fits_exposure(&path, &layout, None).unwrap_err().to_string()
    };
    assert!(fits(|l| l.image.hdu = 7).contains("no HDU 7: it has 4"));
    assert!(fits(|l| l.image.hdu = 0).contains("HDU 0: has no pixels"));
    assert!(fits(|l| l.image.file = Some("gone.fits".to_owned())).contains("no file"));
    assert!(fits(|l| l.image.file = Some("../x.fits".to_owned())).contains("without a folder"));
    let coadd_path = folder.path().join("c.fits");
    write_fits_coadd(&coadd_path, &coadd(BOX, 7)).unwrap();
    let error = FitsFile::open(&coadd_path).unwrap().read_f32(6, None).unwrap_err().to_string();
    assert!(error.contains("HDU 6: is a BINTABLE"), "{error}");
}

#[test]
fn tables_and_documents_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = Datastore::new(folder.path());
    let table = inputs();
    let record = store.put("t.h5", &table.clone().into(), &StorageOptions::default()).unwrap();
    let Dataset::Table(read) = store.get(&record, StorageClass::Table, None, None).unwrap() else { panic!() };
    assert_eq!(format!("{read:?}"), format!("{table:?}"));
    let empty = table.slice(0, 0);
    write_table(&folder.path().join("empty.h5"), &empty).unwrap();
    assert_eq!(read_table(&folder.path().join("empty.h5")).unwrap(), empty);
    std::fs::write(folder.path().join("bad.json"), "{\"a\": ").unwrap();
    let mut record = record;
    record.path = "bad.json".to_owned();
    record.format = Format::Json;
    // Another length than the record says is told before the contents are looked at.
    assert!(matches!(store.get(&record, StorageClass::Json, None, None), Err(DatastoreError::WrongSize { .. })));
    record.size = 6;
    assert!(matches!(store.get(&record, StorageClass::Json, None, None), Err(DatastoreError::Json { .. })));
}

#[test]
fn records_find_damage_and_orphans_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = Datastore::new(folder.path());
    let record = store.put_exposure("run/a.h5", &exposure(BOX, 8), &StorageOptions::default()).unwrap();
    store.put_exposure("run/deep/b.h5", &exposure(BOX, 9), &StorageOptions::default()).unwrap();
    std::fs::write(folder.path().join("run/.c.h5.x1.bunter-tmp"), "half").unwrap();
    store.verify(&record).unwrap();
    let orphans = store.orphans("run", [&record]).unwrap();
    let found: Vec<_> = orphans.iter().map(|o| (o.path.as_str(), o.temporary)).collect();
    assert_eq!(found, [("run/.c.h5.x1.bunter-tmp", true), ("run/deep/b.h5", false)]);
    assert!(store.sweep_temporaries("run", std::time::Duration::from_secs(3600)).unwrap().is_empty());
    assert_eq!(store.sweep_temporaries("run", std::time::Duration::ZERO).unwrap(), ["run/.c.h5.x1.bunter-tmp"]);

    let path = store.path(&record).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(store.verify(&record), Err(DatastoreError::WrongChecksum { .. })));
    std::fs::write(&path, &bytes[..middle]).unwrap();
    assert!(matches!(store.verify(&record), Err(DatastoreError::WrongSize { .. })));
    store.remove(&record).unwrap();
    assert!(matches!(store.verify(&record), Err(DatastoreError::NotFound { .. })));
}

#[test]
fn files_come_in_by_every_transfer() {
    let outside = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Datastore::new(folder.path());
    for (name, mode) in Transfer::ALL {
        let source = outside.path().join(format!("{name}.json"));
        std::fs::write(&source, "[1]").unwrap();
        let path = format!("raw/{name}.json");
        let record = store.ingest(&source, &path, mode, Format::Json, true).unwrap();
        store.verify(&record).unwrap();
        assert_eq!(record.path.starts_with('/'), mode == Transfer::Direct);
        assert_eq!(source.exists(), mode != Transfer::Move, "{name}");
        assert!(store.get(&record, StorageClass::Json, None, None).is_ok());
        std::fs::write(&source, "[2]").unwrap();
        if mode != Transfer::Direct {
            let again = store.ingest(&source, &path, mode, Format::Json, true);
            assert!(matches!(again, Err(DatastoreError::AlreadyExists { .. })), "{name}: {again:?}");
        }
        let missing = store.ingest(&outside.path().join("none"), &path, mode, Format::Json, true);
        assert!(matches!(missing, Err(DatastoreError::NotFound { .. })), "{name}");
    }
    let shm = std::path::Path::new("/dev/shm");
    if let Ok(other) = tempfile::tempdir_in(shm) {
        let source = other.path().join("far.json");
        std::fs::write(&source, "[1]").unwrap();
        let moved = store.ingest(&source, "raw/far.json", Transfer::Move, Format::Json, true).unwrap();
        assert!(store.verify(&moved).is_ok() && !source.exists());
    } else {
        println!("skipped: no second file system at /dev/shm");
    }
}

#[test]
fn other_programs_read_the_files_and_their_changes_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    let [h5, fits] = ["c.h5", "c.fits"].map(|name| folder.path().join(name));
    let whole = coadd(BOX, 10);
    write_coadd(&h5, &whole, &StorageOptions::COMPRESSED).unwrap();
    write_fits_coadd(&fits, &whole).unwrap();
    let edited = folder.path().join("edited.h5");
    std::fs::copy(&h5, &edited).unwrap();
    std::fs::set_permissions(&edited, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let program = r#"
import sys, warnings, h5py, numpy as np
from astropy.io import fits
from astropy.wcs import WCS
warnings.simplefilter("error")
h, f = h5py.File(sys.argv[1]), fits.open(sys.argv[2])
f.verify("exception")
for name in ("image", "mask", "variance", "n_image", "weight"):
    a, b = h[name][...], f[name.upper()].data
    assert a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), name
assert h["mask"].attrs["MP_NO_DATA"] == 8 == f["MASK"].header["MP_NO_DATA"]
assert list(f["INPUTS"].data["checksum"]) == list(h["inputs/checksum"][...]) == [0, 2**63, 2**64 - 1]
assert list(h["inputs/instrument"].asstr()) == ["HSC", "", "\u03a9 long name"]
hdr = fits.Header.fromstring("".join(c.decode().ljust(80) for c in h["metadata"]))
assert hdr["EXPTIME"] == 30.25 == f[0].header["EXPTIME"] and hdr["FILTER"] == "i2'"
assert hdr["LONGTEXT"] == f[0].header["LONGTEXT"] == ("lorem ipsum " * 20).strip()
warnings.simplefilter("ignore")
w = WCS(f["IMAGE"].header)
print(*w.all_pix2world(0, 0, 0))
with h5py.File(sys.argv[3], "r+") as e:
    e.attrs["zero_point"] = 31.5
    e["image"][0, 0] = -7.0
"#;
    if python(program, &[&h5, &fits, &edited]).is_none() {
        return;
    }
    let read = read_coadd(&edited, None).unwrap();
    assert!((read.zero_point - 31.5).abs() < f64::EPSILON);
    assert!((read.image[[0, 0]] + 7.0).abs() < f32::EPSILON);
    assert_eq!(read.mask, whole.mask);
    assert_eq!(read.metadata, whole.metadata);
}

#[test]
fn real_images_read_by_section_as_by_whole() {
    let Some(images) = real_images() else { return };
    let vircam = images.join("vircam_h/image_1.fits");
    let file = FitsFile::open(&vircam).unwrap();
    let whole = file.read_f32(1, None).unwrap();
    let bbox = file.image_box(1).unwrap();
    assert_eq!((bbox.width, bbox.height), (1816, 1836));
    let mut rng = rng(11);
    for _ in 0..10 {
        let subset = random_box(&mut rng, bbox);
        let part = file.read_f32(1, Some(subset)).unwrap();
        let (x, y) = (subset.x0 as usize, subset.y0 as usize);
        let (h, w) = subset.shape();
        assert_eq!(bits(&part), bits(&whole.slice(ndarray::s![y..y + h, x..x + w]).to_owned()));
    }
    let folder = images.join("decam_mini/testcase3");
    let sibling = |kind: &str| FitsPlane { file: Some(format!("c4d_150329_083320_{kind}_r_ls9.N11.fits")), hdu: 1 };
    let layout = FitsLayout {
        image: FitsPlane { file: None, hdu: 1 },
        mask: Some(FitsMask {
            plane: sibling("ood"),
            meaning: MaskMeaning::Codes(vec![(1, vec!["BAD".to_owned()]), (3, vec!["SAT".to_owned()])]),
        }),
        variance: FitsVariance::Inverse(sibling("oow")),
        background: 0.0,
        zero_point: 25.0,
        saturation: None,
        low: None,
    };
    let path = folder.join("c4d_150329_083320_ooi_r_ls9.N11.fits");
    let read = read_fits_exposure(&path, &layout, None).unwrap();
    assert_eq!(read.image.dim(), read.bbox.shape());
    assert!(read.variance.iter().any(|v| *v > 0.0));
    assert!(read.metadata.f64("EXPTIME").unwrap() > 0.0);
}

#[test]
fn tiles_read_as_astropy_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let program = r#"
import sys, itertools, numpy as np
from astropy.io import fits
rng = np.random.default_rng(1)
a = rng.normal(100, 5, (200, 300)).astype("f4"); a[10:20, 30:40] = np.nan; a[50, 60:70] = 0
m = rng.integers(0, 500, (200, 300))
n = 0
def write(array, **how):
    global n
    f = f"{sys.argv[1]}/{n}"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(array, **how)]).writeto(f + ".fits")
    fits.getdata(f + ".fits", 1).astype("<f8").tofile(f + ".raw")
    n += 1
for code, tile in itertools.product(("RICE_1", "GZIP_1", "GZIP_2"), ((1, 300), (64, 100), (200, 300))):
    for method in (-1, 1, 2): write(a, compression_type=code, tile_shape=tile, quantize_method=method, dither_seed=17)
    for dtype in ("u1", "i2", "i4", "u2"): write(m.astype(dtype), compression_type=code, tile_shape=tile)
    if code != "RICE_1": write(a, compression_type=code, tile_shape=tile, quantize_level=0)
    flat = a.copy(); flat[64:] = 3.25
    write(flat, compression_type=code, tile_shape=tile, quantize_method=1)
write(m.astype("i2"), compression_type="NOCOMPRESS", tile_shape=(64, 100))
write(m.astype("i2"), compression_type="PLIO_1", tile_shape=(64, 100))
print(n)
"#;
    let Some(out) = python(program, &[folder.path()]) else { return };
    let count: usize = out.trim().parse().unwrap();
    let subset = PixelBox::new(25, 12, 250, 170);
    let slice = ndarray::s![12..182, 25..275];
    for n in 0..count {
        let file = FitsFile::open(&folder.path().join(format!("{n}.fits"))).unwrap();
        let raw = std::fs::read(folder.path().join(format!("{n}.raw"))).unwrap();
        let expected = raw.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect();
        let expected = ndarray::Array2::from_shape_vec((200, 300), expected).unwrap();
        let read = file.read_f32(1, None).unwrap();
        for (a, b) in read.iter().zip(&expected) {
            assert!(a.is_nan() == b.is_nan() && (a.is_nan() || (a - b).abs() <= 1e-6 * b.abs()), "{n}: {a} {b}");
        }
        assert_eq!(bits(&file.read_f32(1, Some(subset)).unwrap()), bits(&read.slice(slice).to_owned()), "{n}");
        if read.iter().all(|v| !v.is_nan()) {
            let mask = file.read_i32(1, Some(subset)).unwrap();
            assert_eq!(mask, expected.slice(slice).mapv(|v| v.round() as i32), "{n}");
        }
    }
}
