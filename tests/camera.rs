//! Translators on the headers of real images, and on headers with something wrong.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use bunter::camera::{CameraError, Cameras, ExposureFile, HduInfo, ObservationInfo, Recognition, Sidecar, ToMeasure};
use bunter::datastore::FitsFile;
use bunter::{FitsVariance, Header, MaskMeaning};

fn images() -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/images");
    let folder = std::env::var_os("BUNTER_IMAGES").map_or_else(default, PathBuf::from);
    if !folder.is_dir() {
        eprintln!("skipped: no images at {} (set BUNTER_IMAGES)", folder.display());
        return None;
    }
    Some(folder)
}

fn hdus(path: &Path) -> Vec<HduInfo> {
    let file = FitsFile::open(path).unwrap();
    file.hdus().unwrap().iter().map(|h| HduInfo::from_header(file.header(h.index).unwrap())).collect()
}

fn cameras() -> Cameras {
    Cameras::built_in().unwrap()
}

fn only(found: Vec<ObservationInfo>) -> ObservationInfo {
    assert_eq!(found.len(), 1);
    found.into_iter().next().unwrap()
}

#[test]
fn vircam_images() {
    let Some(folder) = images() else { return };
    let mut visits = BTreeSet::new();
    for i in 1..=8 {
        let path = folder.join(format!("vircam_h/image_{i}.fits"));
        let (hdus, name) = (hdus(&path), path.to_string_lossy());
        let file = ExposureFile { path: &name, hdus: &hdus, sidecars: &[], siblings: None };
        let mut found = only(cameras().translate(file).unwrap());
        let ids = (found.instrument.as_str(), found.detector, found.physical_filter.as_str(), found.band.as_str());
        assert_eq!(ids, ("VIRCAM", 13, "H", "H"));
        assert_eq!((found.zero_point, found.exposure_time), (30.0, Some(10.0)));
        visits.insert(found.visit);
        let seeing = found.seeing.unwrap();
        assert!((0.6..1.0).contains(&seeing), "{seeing}");
        assert_eq!(found.to_measure, ToMeasure { background: true, sky_variance: false });
        assert!(found.warnings.is_empty(), "{:?}", found.warnings);
        if i == 1 {
            assert_eq!(found.shape, (1836, 1816));
            let utc = found.mjd_begin.unwrap() - 34.0 / 86_400.0;
            assert!((utc - 55_139.194_432_01).abs() < 1e-9);
            let FitsVariance::SkyAndGain { sky_variance, gain } = found.layout.variance else { panic!("no plane") };
            assert!((sky_variance * 0.000_468_069_305_441_969 - 1.0).abs() < 1e-12);
            assert!((gain - 0.096_605_079_381_644_2).abs() < 1e-12);
            let pixels = FitsFile::open(&path).unwrap().read_f32(found.layout.image.hdu, None).unwrap();
            found.measure(&name, &pixels.view()).unwrap();
            assert!(!found.needs_pixels() && found.layout.background.is_finite());
        }
    }
    assert_eq!(visits.len(), 8, "each image is a visit of its own");
}

#[test]
fn decam_images_with_their_table() {
    let Some(folder) = images() else { return };
    let cameras = cameras();
    let mut count = 0;
    for case in ["testcase3", "testcase4", "testcase5", "testcase8", "testcase9"] {
        let folder = folder.join("decam_mini").join(case);
        let table = Sidecar::parse("ccds.csv", &fs::read_to_string(folder.join("ccds.csv")).unwrap()).unwrap();
        let names: BTreeSet<String> =
            fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        for name in names.iter().filter(|n| Path::new(n).extension() == Some("fits".as_ref())) {
            let hdus = hdus(&folder.join(name));
            let sidecars = [table.clone()];
            let file = ExposureFile { path: name, hdus: &hdus, sidecars: &sidecars, siblings: Some(&names) };
            if !name.contains("_ooi_") {
                assert!(matches!(cameras.recognise(file), Ok(Recognition::Companion(_))), "{name}");
                assert!(cameras.translate(file).unwrap().is_empty());
                continue;
            }
            count += 1;
            let found = only(cameras.translate(file).unwrap());
            let row = (0..table.len()).find(|&r| table.cell(r, "image") == Some(name)).unwrap();
            let cell = |column: &str| table.cell(row, column).unwrap();
            let number = |column: &str| cell(column).parse::<f64>().unwrap();
            assert_eq!(found.visit.to_string(), cell("expnum"));
            let decam = cameras.instrument("decam").unwrap();
            assert_eq!(decam.detector(found.detector).unwrap().name, cell("ccdname"));
            assert_eq!(found.band, cell("filter"));
            assert!(found.physical_filter.starts_with(&format!("{} DECam SDSS c000", found.band)));
            let expected = number("ccdzpt") + 2.5 * number("exptime").log10();
            assert!((found.zero_point - expected).abs() < 1e-12);
            assert!((found.seeing.unwrap() / (number("fwhm_pix") * 0.262) - 1.0).abs() < 0.02);
            let mask = found.layout.mask.unwrap();
            assert_eq!(mask.plane.file.as_deref(), Some(cell("dq")));
            assert!(matches!(mask.meaning, MaskMeaning::Codes(codes) if codes.contains(&(3, vec!["SAT".to_owned()]))));
            let FitsVariance::Inverse(weight) = found.layout.variance else { panic!("inverse variance") };
            assert_eq!((weight.file.as_deref(), weight.hdu), (Some(cell("weight")), 1));
            assert_eq!(found.to_measure, ToMeasure { background: true, sky_variance: false });
        }
    }
    assert_eq!(count, 14);
}

/// An image of the Dark Energy Camera: the primary and the image header.
fn decam() -> Vec<HduInfo> {
    let mut primary: Header =
        [("INSTRUME", "DECam"), ("FILTER", "g DECam SDSS c0001 4720.0 1520.0")].into_iter().collect();
    primary.set("EXPNUM", 770_496_i64);
    primary.set("EXPTIME", 100.0);
    primary.set("MJD-OBS", 58_369.0);
    primary.set("MAGZERO", 30.1);
    let mut image = tan(50, 41);
    image.set("CCDNUM", 41_i64);
    image.set("DETPOS", "N10");
    vec![HduInfo::from_header(primary), HduInfo::from_header(image)]
}

fn tan(rows: i64, columns: i64) -> Header {
    let mut header: Header =
        [("XTENSION", "IMAGE"), ("CTYPE1", "RA---TAN"), ("CTYPE2", "DEC--TAN")].into_iter().collect();
    for (keyword, value) in [("NAXIS", 2), ("NAXIS1", columns), ("NAXIS2", rows)] {
        header.set(keyword, value);
    }
    for (keyword, value) in [
        ("CRVAL1", 244.78),
        ("CRVAL2", 12.07),
        ("CRPIX1", 20.0),
        ("CRPIX2", 25.0),
        ("CD1_1", -7.28e-5),
        ("CD2_2", 7.28e-5),
    ] {
        header.set(keyword, value);
    }
    header
}

fn translate(hdus: &[HduInfo], path: &str) -> Result<Vec<ObservationInfo>, CameraError> {
    cameras().translate(ExposureFile { path, hdus, sidecars: &[], siblings: None })
}

const OOI: &str = "raw/c4d_180908_000426_ooi_g_ls9.N10.fits";

#[test]
fn without_the_table_decam_falls_back_on_its_headers() {
    let found = only(translate(&decam(), OOI).unwrap());
    assert_eq!((found.visit, found.detector, found.zero_point), (770_496, 41, 30.1));
    let FitsVariance::Inverse(weight) = found.layout.variance else { panic!("inverse variance") };
    assert_eq!(weight.file.as_deref(), Some("c4d_180908_000426_oow_g_ls9.N10.fits"));
    assert_eq!(found.seeing, None);
}

#[test]
fn each_image_of_a_file_is_an_exposure() {
    let mut hdus = decam();
    let mut second = hdus[1].clone();
    second.header.set("CCDNUM", 42_i64);
    hdus.push(second);
    let found = translate(&hdus, OOI).unwrap();
    let places: Vec<_> = found.iter().map(|o| (o.detector, o.layout.image.hdu)).collect();
    assert_eq!(places, [(41, 1), (42, 2)]);
}

/// Changes one header, and expects an error that says this.
fn broken(change: impl Fn(&mut [HduInfo]), says: &[&str]) {
    let mut hdus = decam();
    change(&mut hdus);
    let message = translate(&hdus, OOI).expect_err(&says.join(" ")).to_string();
    for part in says {
        assert!(message.contains(part), "{message} does not say {part}");
    }
    assert!(message.contains(OOI), "{message} does not name the file");
}

#[test]
fn errors_name_file_field_and_near_miss() {
    broken(|h| h[0].header.remove("EXPNUM"), &["visit", "keyword `EXPNUM`", "missing"]);
    broken(|h| h[0].header.set("EXPNUM", -4_i64), &["visit", "not negative", "-4"]);
    broken(|h| h[0].header.set("EXPNUM", "seven"), &["visit", "whole number", "seven"]);
    broken(
        |h| h[0].header.set("FILTER", "g DECam SDSS c0001 4720.0 1521.0"),
        &["no filter", "did you mean `g DECam", "it has \"u DECam"],
    );
    broken(|h| h[0].header.set("FILTER", ""), &["filter's name is empty"]);
    broken(|h| h[1].header.set("CCDNUM", 63_i64), &["DECam has no detector 63; it has 1 to 62"]);
    broken(|h| h[1].header.set("CCDNUM", "N1O"), &["no detector \"N1O\"", "did you mean"]);
    broken(|h| h[0].header.remove("MAGZERO"), &["zero_point", "ccds.ccdzpt"]);
    broken(|h| h[0].header.set("MAGZERO", "bright"), &["zero_point", "finite number", "bright"]);
    broken(|h| h[0].header.set("TIMESYS", "TCB"), &["time scale \"TCB\" is none of UTC, TAI, TT"]);
    broken(|h| h[1].header.set("CTYPE1", "GLON-TAN"), &["HDU 1: no usable WCS"]);
    broken(|h| h[1].header.remove("CRVAL1"), &["HDU 1: no usable WCS", "CRVAL1"]);
}

#[test]
fn a_weight_that_is_not_there_is_named() {
    let (hdus, names) = (decam(), BTreeSet::from(["c4d_180908_000426_ooi_g_ls9.N10.fits".to_owned()]));
    let file = ExposureFile { path: OOI, hdus: &hdus, sidecars: &[], siblings: Some(&names) };
    let message = cameras().translate(file).unwrap_err().to_string();
    assert!(message.contains("no file c4d_180908_000426_oow_g_ls9.N10.fits beside it"), "{message}");
}

#[test]
fn what_nobody_knows_says_what_was_tried() {
    let hdus = [HduInfo::from_header(Header::default())];
    let message = translate(&hdus, "table.fits").unwrap_err().to_string();
    for part in
        ["table.fits", "calexp: no image in a unit named IMAGE", "generic: no two-dimensional image", "--camera"]
    {
        assert!(message.contains(part), "{message} does not say {part}");
    }
}

#[test]
fn any_image_is_read_with_warnings_for_each_guess() {
    let hdus = [HduInfo::from_header(tan(8, 9))];
    let found = only(translate(&hdus, "x/night1.fits").unwrap());
    assert_eq!((found.instrument.as_str(), found.detector, found.zero_point), ("generic", 0, 27.0));
    assert_eq!(found.visit, only(translate(&hdus, "elsewhere/night1.fits").unwrap()).visit);
    assert_ne!(found.visit, only(translate(&hdus, "x/night2.fits").unwrap()).visit);
    assert_eq!(found.to_measure, ToMeasure { background: true, sky_variance: true });
    let warnings = found.warnings.join("\n");
    for part in ["hash of the file name", "filter is called unknown", "zero point is taken to be 27", "1 electron"] {
        assert!(warnings.contains(part), "{warnings} does not say {part}");
    }
    let mut found = found;
    let pixels =
        ndarray::Array2::from_shape_fn((8, 9), |(y, x)| if y + x == 0 { f32::NAN } else { 10.0 + (x % 2) as f32 });
    found.measure("x", &pixels.view()).unwrap();
    let FitsVariance::SkyAndGain { sky_variance, gain } = found.layout.variance else { panic!("noise") };
    // 39 tens and 32 elevens: the median is 10, and so is most of the image.
    assert_eq!((found.layout.background, sky_variance, gain), (10.0, 0.0, 1.0));
    assert!(found.warnings.join("\n").contains("measured as 0"));
    let mut found = only(translate(&hdus, "x/night1.fits").unwrap());
    let empty = ndarray::Array2::from_elem((8, 9), f32::NAN);
    assert!(matches!(found.measure("x", &empty.view()), Err(CameraError::NoPixels { .. })));
}

/// As converters of other surveys write them: the camera's name in its own spelling, the detector by name.
#[test]
fn a_calexp_of_any_camera_is_known_by_its_planes() {
    let mut primary: Header = [("INSTRUME", "decam"), ("DETECTOR", "N12"), ("FILTER", "z")].into_iter().collect();
    primary.set("VISIT", 349_590_i64);
    primary.set("PHOTZP", 30.0);
    let plane = |name: &str| {
        let mut header = tan(51, 41);
        header.set("EXTNAME", name);
        HduInfo::from_header(header)
    };
    let mut hdus = vec![HduInfo::from_header(primary), plane("IMAGE"), plane("MASK"), plane("VARIANCE")];
    let found = only(translate(&hdus, "calexp-00349590-n12.fits").unwrap());
    assert_eq!((found.instrument.as_str(), found.detector, found.band.as_str()), ("DECam", 43, "z"));
    assert_eq!(found.layout.mask.unwrap().meaning, MaskMeaning::Planes);
    assert!(matches!(found.layout.variance, FitsVariance::Plane(p) if p.hdu == 3));

    // Tile-compressed: the shape is in the Z keywords of a table.
    for (hdu, i) in hdus.iter_mut().skip(1).zip(1_i64..) {
        let mut header = hdu.header.clone();
        header.set("XTENSION", "BINTABLE");
        header.set("ZIMAGE", true);
        for (keyword, value) in [("NAXIS1", 8), ("ZNAXIS", 2), ("ZNAXIS1", 41), ("ZNAXIS2", 51 + i / 3)] {
            header.set(keyword, value);
        }
        *hdu = HduInfo::from_header(header);
    }
    // … and the variance has one row more.
    let message = translate(&hdus, "calexp.fits.fz").unwrap_err().to_string();
    assert!(message.contains("unit 3 is Some((52, 41)) and the image Some((51, 41))"), "{message}");
}

#[test]
fn detector_tables_are_whole() {
    let cameras = cameras();
    for (name, count, last, science) in [
        ("DECam", 62, "N31", 62),
        ("HSC", 112, "0_48", 104),
        ("LSSTCam", 205, "R44_SW1", 189),
        ("LSSTComCam", 9, "R22_S22", 9),
        ("VIRCAM", 16, "DET1.CHIP16", 16),
    ] {
        let camera = cameras.instrument(name).unwrap();
        assert_eq!((camera.detectors.len(), camera.detectors.last().unwrap().name.as_str()), (count, last), "{name}");
        assert_eq!(camera.detectors.iter().filter(|d| d.purpose == "SCIENCE").count(), science, "{name}");
        let names: BTreeSet<_> = camera.detectors.iter().map(|d| &d.name).collect();
        assert_eq!(names.len(), count, "{name}");
    }
    let lsst = cameras.instrument("lsstcam").unwrap();
    assert_eq!(lsst.detector_named("r22_s11").map(|d| (d.id, d.size)), Some((94, Some((4096, 4004)))));
    let message = cameras.instrument("DECan").unwrap_err().to_string();
    assert!(message.contains("did you mean `DECam`?"), "{message}");
}

#[test]
fn a_definition_with_an_error_changes_nothing() {
    let mut cameras = cameras();
    let (instruments, translators) = (cameras.instruments().len(), cameras.translators().len());
    let translator = |line: &str| {
        format!(
            "[[translator]]\nname = 'x'\nwhen = ['true']\ninstrument = '\"X\"'\nvisit = 'V'\ndetector = '1'\n\
             physical_filter = 'F'\nzero_point = '27'\nvariance = []\n{line}\n"
        )
    };
    for (text, says) in [
        ("not toml".to_owned(), "my.toml"),
        (String::new(), "neither an [instrument] nor a [[translator]]"),
        ("[instrument]\nname = 'X'\nname2 = 3".to_owned(), "name2"),
        (
            "[instrument]\nname = 'X'\ndetectors = [{ first = 1, names = ['a'] }, { first = 1, names = ['b'] }]"
                .to_owned(),
            "detector 1 is there twice, as a and b",
        ),
        (translator("seeing = 'lg10(3)'"), "did you mean `log10`?"),
        (translator("exposures = ['[']"), "file name pattern `[`"),
        (translator("seing = '1'"), "seing"),
    ] {
        let message = cameras.add_toml("my.toml", &text).expect_err(says).to_string();
        assert!(message.contains(says), "{message} does not say {says}");
    }
    assert_eq!((cameras.instruments().len(), cameras.translators().len()), (instruments, translators));
    cameras.add_toml("my.toml", &translator("seeing = 0.7")).unwrap();
    assert_eq!(cameras.translators()[0].name(), "x", "a user's translator is asked first");
}
