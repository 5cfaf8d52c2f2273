//! Cameras from TOML, visits from tables, and the cameras' own names, in the library and through the program.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use bunter::camera::{Cameras, Instrument, Pointing};
use bunter::{Butler, ButlerError, DataId, Expression, Query, Region, VisitOptions};

mod program;
use program::{bunter, text};

const GUIDE: &str = include_str!("../docs/cameras.md");

/// The example of the guide.
fn example() -> &'static str {
    GUIDE.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap()
}

fn quad() -> Instrument {
    let mut cameras = Cameras::built_in().unwrap();
    cameras.add_toml("quad.toml", example()).unwrap();
    cameras.instrument("QuadCam").unwrap().clone()
}

#[test]
fn the_example_of_the_guide_is_a_camera() {
    let camera = quad();
    assert!(camera.warnings().is_empty(), "{:?}", camera.warnings());
    let plane = camera.focal_plane().unwrap();
    assert_eq!(plane.ids().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    let (x, y) = plane.centre_mm(3).unwrap();
    // The reference pixel is not the middle.
    assert!((x - (70.0 + 21.125 - 0.01)).abs() < 1e-9 && (y + 0.01).abs() < 1e-9, "{x} {y}");
    assert_eq!(plane.corners_mm(4).unwrap()[2], (-50.0, 5.0));
    assert_eq!(camera.detector(2).unwrap().name, "M1_A");
    // At rotation 0 +y is north and +x west: `north` is north, M1_B further west than M1_A.
    let pointing = Pointing::from_degrees(40.0, 10.0, 0.0).unwrap();
    let at = |id| plane.footprint(id, &pointing).unwrap().centroid().to_lon_lat();
    assert!(at(0).lat_deg() > 10.1 && at(1).lat_deg() < 9.9);
    assert!(at(3).lon_deg() < at(2).lon_deg() && at(2).lon_deg() < 40.0);
    assert_eq!(plane.note(), Some("made up"));
}

#[test]
fn a_flipped_camera_is_the_mirror_image() {
    let mut cameras = Cameras::built_in().unwrap();
    cameras.add_toml("flipped.toml", &example().replace("flip_x = false", "flip_x = true")).unwrap();
    let flipped = cameras.instrument("QuadCam").unwrap().clone();
    let (plain, flipped) = (quad(), flipped);
    let (plain, flipped) = (plain.focal_plane().unwrap(), flipped.focal_plane().unwrap());
    let pointing = Pointing::from_degrees(0.0, 0.0, 0.0).unwrap();
    for id in plain.ids() {
        let (a, b) = (plain.footprint(id, &pointing).unwrap(), flipped.footprint(id, &pointing).unwrap());
        // East is -west, and both run counter-clockwise from the same corner.
        let mirrored: Vec<_> = b.vertices().iter().map(|v| (v.x, -v.y, v.z)).collect();
        for (k, v) in a.vertices().iter().enumerate() {
            let (x, y, z) = mirrored[(4 - k) % 4];
            assert!((v.x - x).abs() + (v.y - y).abs() + (v.z - z).abs() < 1e-15, "{id} {k}");
        }
        assert!(a.area() > 0.0 && (a.area() - b.area()).abs() < 1e-15);
    }
}

#[test]
fn mistakes_in_a_definition_are_named() {
    let file = "my/quad.toml";
    for (from, to, parts) in [
        ("plate_scale = 20.0", "plate_scal = 20.0", &["plate_scal", "did you mean `plate_scale`?"][..]),
        ("positions = [[0", "position = [[0", &["did you mean `positions`?"]),
        ("plate_scale = 20.0", "plate_scale = nan", &["focal_plane.radial", "NaN"]),
        ("plate_scale = 20.0", "", &["focal_plane.plate_scale"]),
        ("plate_scale = 20.0", "plate_scale = -20.0", &["plate scale is -20"]),
        ("-8.3e-9]", "-8.3e-5]", &["focal_plane.radial", "turns back", "mm from the axis"]),
        ("-8.3e-9]", "nan]", &["coefficient 3 is NaN"]),
        ("radial = [0, 1", "radial = [0.1, 1", &["coefficient 0"]),
        ("radial = ", "zpn = [0, 1]\nradial = ", &["one of radial, radial_rad and zpn"]),
        ("[0, 32.5, 0.01]", "[0, inf, 0.01]", &["instrument.detectors[0].positions[0]", "position y is inf"]),
        ("[0, 32.5, 0.01]", "[0]", &["instrument.detectors[0].positions[0]", "1 numbers"]),
        (
            "[[0, 32.5, 0.01], [0, -32.5, 180]]",
            "[[0, 32.5]]",
            &["instrument.detectors[0].positions", "1 rows for 2 detectors"],
        ),
        ("first = 2", "first = 1", &["detector 1 is there twice", "south", "M1_A"]),
        ("names = [\"guide\"]", "names = [\"North\"]", &["both called North"]),
        ("type = \"E2V\"", "type = \"E2\"", &["instrument.detectors[0].type", "did you mean `E2V`?"]),
        ("size = [1024, 1024], ", "", &["instrument.detectors[2]", "no size"]),
        ("columns = 2", "columns = 3", &["do not fill rows of 3"]),
        ("[-50, 5], [-60, 5]", "[-50, 5], [-60, 9]", &["instrument.detectors[2].corners[0]", "parallelogram"]),
        ("chip = \"detector\"", "chip = \"detectr\"", &["instrument.dimension_aliases", "did you mean `detector`?"]),
        ("chip = \"detector\"", "visit = \"detector\"", &["name of something else"]),
        ("bay = \"detector.raft\"", "bay = \"detector.rft\"", &["did you mean `raft`?"]),
        ("name = \"Quad-I\"", "name = \"Quad-R\"", &["`Quad-R` is there twice"]),
        (
            "positions = [[0, 32.5, 0.01], [0, -32.5, 180]]",
            "purpose = \"SCIENCE\"",
            &["detector 0 (north) has no place"],
        ),
        ("size = [2048, 4096]", "size = [0, 4096]", &["0 x 4096"]),
    ] {
        assert!(example().contains(from), "{from}");
        let error =
            Cameras::built_in().unwrap().add_toml(file, &example().replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains(file), "{error}");
        for part in parts {
            assert!(error.contains(part), "{to}: `{part}` is not in: {error}");
        }
    }
    // Over each other: said, and no error.
    let mut cameras = Cameras::built_in().unwrap();
    cameras.add_toml(file, &example().replacen("[0, -32.5, 180]", "[0, -28.5, 180]", 1)).unwrap();
    let warnings = cameras.instrument("QuadCam").unwrap().warnings();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("0 (north) and 1 (south)"), "{}", warnings[0]);
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Visits as a table: number, band, ra, dec.
fn visits(rows: &[(i64, Option<&str>, f64, f64)]) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([
        ("visit", Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.0))) as ArrayRef, false),
        ("band", Arc::new(rows.iter().map(|r| r.1).collect::<StringArray>()), true),
        ("ra_deg", Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| r.2))), true),
        ("dec_deg", Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| r.3))), true),
        ("rot_deg", Arc::new(rows.iter().map(|r| (r.0 % 2 == 0).then_some(12.0)).collect::<Float64Array>()), true),
        ("mjd", Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| 60_000.2 + r.0 as f64))), true),
        ("exptime_s", Arc::new(Float64Array::from_iter_values(rows.iter().map(|_| 30.0))), true),
    ])
    .unwrap()
}

#[test]
fn visits_are_registered_once_and_lie_where_the_camera_says() {
    let folder = folder();
    let butler = Butler::create(folder.path()).unwrap();
    let camera = Cameras::built_in().unwrap().instrument("LSSTCam").unwrap().clone();
    let table = visits(&[(8, Some("r"), 370.0, -30.0), (9, Some("i"), 0.0, 89.9), (11, None, 200.0, -90.0)]);
    let mut told = Vec::new();
    let options = VisitOptions { rotation: 45.0, ..VisitOptions::default() };
    let report = butler.register_visits(&camera, &table, &options, &mut |p| told.push((p.done, p.visits))).unwrap();
    assert_eq!((report.visits.new, report.detectors.new, report.detectors_each), (3, 3 * 189, 189));
    assert_eq!((report.without_rotation, report.without_filter), (2, 1));
    assert_eq!((told.first(), told.last()), (Some(&(0, 3)), Some(&(3, 3))));

    let records = butler.query_dimension_records("visit_detector", &Query::all()).unwrap();
    let plane = camera.focal_plane().unwrap();
    let regions = records["region"].as_binary::<i32>();
    let (visit, detector) =
        (records["visit"].as_primitive::<Int64Type>(), records["detector"].as_primitive::<Int64Type>());
    assert_eq!(records.num_rows(), 567);
    for row in 0..records.num_rows() {
        let (ra, dec, rotation) = match visit.value(row) {
            8 => (370.0, -30.0, 12.0),
            9 => (0.0, 89.9, 45.0),
            _ => (200.0, -90.0, 45.0),
        };
        let expected =
            plane.footprint(detector.value(row), &Pointing::from_degrees(ra, dec, rotation).unwrap()).unwrap();
        assert_eq!(Region::from_bytes(regions.value(row)).unwrap(), Region::from(expected));
    }
    let records = butler.query_dimension_records("visit", &Query::all()).unwrap();
    assert_eq!(
        records["physical_filter"].as_string::<i32>().iter().flatten().collect::<Vec<_>>(),
        ["r_57", "i_39", "unknown"]
    );
    assert_eq!(records["day_obs"].as_primitive::<Int64Type>().value(0), 20_230_304);

    // Once more changes nothing; more visits are added; others than before are refused, and nothing is written.
    let again = butler.register_visits(&camera, &table, &options, &mut |_| {}).unwrap();
    assert_eq!(
        (again.visits.new, again.visits.existing, again.detectors.new, again.detectors.existing),
        (0, 3, 0, 567)
    );
    let moved = visits(&[(12, Some("r"), 5.0, 5.0), (8, Some("r"), 10.1, -30.0)]);
    let error = butler.register_visits(&camera, &moved, &options, &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("visit: 8") && error.contains("ra_deg"), "{error}");
    let filter = Expression::parse("visit = 12").unwrap();
    assert_eq!(butler.query_dimension_records("visit", &Query::filtered(filter)).unwrap().num_rows(), 0);
    let all = VisitOptions { purposes: vec!["SCIENCE".into(), "GUIDER".into()], ..options };
    let more = butler.register_visits(&camera, &table, &all, &mut |_| {}).unwrap();
    assert_eq!((more.detectors.new, more.detectors.existing), (3 * 8, 567));
}

#[test]
fn bad_visits_are_refused_by_row() {
    let folder = folder();
    let butler = Butler::create(folder.path()).unwrap();
    let camera = Cameras::built_in().unwrap().instrument("DECam").unwrap().clone();
    let register = |table: &RecordBatch, options: &VisitOptions| {
        butler.register_visits(&camera, table, options, &mut |_| {}).unwrap_err().to_string()
    };
    let plain = VisitOptions::default();
    for (rows, part) in [
        (&[(1, Some("r"), 1.0, 1.0), (2, Some("r"), 1.0, 91.0)][..], "row 1: the declination is 91"),
        (&[(1, Some("r"), f64::NAN, 1.0)], "row 0: ra_deg is not a number"),
        (&[(1, Some("r"), 1.0, f64::INFINITY)], "row 0: dec_deg"),
        (&[(1, Some("q"), 1.0, 1.0)], "DECam has no filter \"q\""),
        (
            &[(7, Some("r"), 1.0, 1.0), (3, Some("r"), 1.0, 1.0), (7, Some("r"), 1.0, 1.0)],
            "visit 7 is there twice, in rows 0 and 2",
        ),
        (&[(-1, Some("r"), 1.0, 1.0)], "row 0: visit is negative"),
    ] {
        let error = register(&visits(rows), &plain);
        assert!(error.contains(part), "{part}: {error}");
    }
    let good = visits(&[(1, Some("r"), 1.0, 1.0)]);
    let error = register(&good.project(&[0, 1, 3]).unwrap(), &plain);
    assert!(error.contains("no column `ra_deg`") && error.contains("visit, band, dec_deg"), "{error}");
    let error = register(&good, &VisitOptions { purposes: vec!["GUIDER".into()], ..plain.clone() });
    assert!(error.contains("no detectors of purpose GUIDER"), "{error}");
    let simcam = Cameras::built_in().unwrap().instrument("SimCam").unwrap().clone();
    let error = butler.register_visits(&simcam, &good, &plain, &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("SCIENCE") || error.contains("[focal_plane]"), "{error}");
    assert_eq!(butler.query_dimension_records("visit", &Query::all()).unwrap().num_rows(), 0);
}

/// Two cameras, each with visits.
fn repository(folder: &Path) -> Butler {
    let butler = Butler::create(folder).unwrap();
    let lsst = Cameras::built_in().unwrap().instrument("LSSTComCam").unwrap().clone();
    let table = visits(&[(1228, Some("r"), 10.0, -30.0), (1229, Some("i"), 11.0, -30.0)]);
    butler.register_visits(&lsst, &table, &VisitOptions::default(), &mut |_| {}).unwrap();
    butler.register_visits(&quad(), &table, &VisitOptions::default(), &mut |_| {}).unwrap();
    butler
}

#[test]
fn cameras_names_choose_rows() {
    let folder = folder();
    let butler = repository(folder.path());
    let count = |element: &str, filter: Result<Expression, bunter::ExpressionError>| -> Result<usize, ButlerError> {
        Ok(butler.query_dimension_records(element, &Query::filtered(filter.unwrap()))?.num_rows())
    };
    for (text, rows) in [
        ("raft = 'R22' AND slot = 'S11'", 2),
        ("visit = 1228 AND raft = 'R22' AND slot IN ('S11', 'S12')", 2),
        ("detector = 'R22_S11'", 2),
        ("'R22_S11' = ccd", 2),
        ("detector = 'r22_s11'", 2),
        ("sensor IN ('R22_S11', 0)", 2 + 4),
        ("instrument = 'QuadCam' AND detector NOT IN ('north', 1)", 2 * 2),
        ("detector GLOB 'R22*'", 18),
        ("chip = 0 AND frame = 1228", 2),
        ("bay = 'M1'", 4),
        ("expnum = 1229 AND ccdnum = 'M1_B'", 1),
        ("NOT detector != 'north'", 2),
        ("slot IS NULL AND purpose = 'SCIENCE'", 4),
    ] {
        let found = count("visit_detector", Expression::parse(text)).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(found, rows, "{text}");
    }
    for (words, rows) in [
        (&["visit=1228", "raft=R22", "slot=S11"][..], 1),
        (&["raft=R22^M1"], 18 + 4),
        (&["chip=0^3..5", "frame=1228"], 2 + 2 + 1 + 1),
        (&["detector=R22_S11^north^2"], 2 + 2 + 4),
        (&["ccd=R22_S11"], 2),
        (&["bay=M1", "purpose=SCIENCE"], 4),
        (&["chip=M1_A"], 2),
    ] {
        let found =
            count("visit_detector", Expression::parse_open_ids(words)).unwrap_or_else(|e| panic!("{words:?}: {e}"));
        assert_eq!(found, rows, "{words:?}");
    }
    for (text, part) in [
        ("detector = 'R22_S111'", "did you mean `R22_S11`?"),
        ("chp = 3", "did you mean `chip`?"),
        ("slt = 'S11'", "did you mean `slot`?"),
        ("vist = 3", "did you mean `visit`?"),
        ("chip = 3.5 AND raft = 3", "cannot compare"),
    ] {
        let error = count("visit_detector", Expression::parse(text)).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
    for (words, part) in [
        (&["chp=3"][..], "did you mean `chip`?"),
        (&["vist=3"], "did you mean `visit`?"),
        (&["chip=3..1"], "empty"),
        (&["frame=x"], "not an integer"),
        (&["detector=norht"], "did you mean `north`?"),
    ] {
        let error = count("visit_detector", Expression::parse_open_ids(words)).unwrap_err().to_string();
        assert!(error.contains(part), "{words:?}: {error}");
    }
}

#[test]
fn cameras_names_make_data_ids() {
    let folder = folder();
    let butler = repository(folder.path());
    let read = |pairs: &[(&str, &str)]| -> Result<String, String> {
        let id: DataId = pairs.iter().map(|(k, v)| (*k, *v)).collect();
        butler.data_id_with_camera_names(&id).map(|id| id.to_string()).map_err(|e| e.to_string())
    };
    let full = "{detector: 4, instrument: LSSTComCam, visit: 1228}";
    assert_eq!(read(&[("visit", "1228"), ("raft", "R22"), ("slot", "S11")]).unwrap(), full);
    assert_eq!(read(&[("expnum", "1228"), ("detector", "R22_S11")]).unwrap(), full);
    assert_eq!(read(&[("frame", "1228"), ("ccd", "4"), ("instrument", "LSSTComCam")]).unwrap(), full);
    assert_eq!(
        read(&[("visit", "1228"), ("chip", "north")]).unwrap(),
        "{detector: 0, instrument: QuadCam, visit: 1228}"
    );
    for (pairs, part) in [
        (&[("visit", "1"), ("raft", "R22"), ("slot", "S13")][..], "did you mean `S1"),
        (&[("visit", "1"), ("raft", "R22")], "9 detectors have raft R22"),
        (&[("visit", "1"), ("detector", "souht")], "did you mean `south`?"),
        (&[("visit", "1"), ("slt", "S11")], "did you mean `slot`?"),
        (&[("visit", "1"), ("ccd", "1"), ("detector", "1")], "say the same"),
        (&[("visit", "1"), ("raft", "R22"), ("slot", "S11"), ("detector", "5")], "no detector has"),
        (&[("visit", "1"), ("raft", "R22"), ("slot", "S11"), ("instrument", "QuadCam")], "no detector has"),
    ] {
        let error = read(pairs).unwrap_err();
        assert!(error.contains(part), "{pairs:?}: {error}");
    }
    // And they are what `get` looks for.
    let id: DataId = [("visit", "1228"), ("raft", "R22"), ("slot", "S11")].into_iter().collect();
    butler.registry().unwrap().register_run("run").unwrap();
    let error = butler.get("calexp", &id, &["run"], None).unwrap_err().to_string();
    assert!(error.contains(full), "{error}");
}

#[test]
fn an_alias_that_cameras_use_differently_is_not_guessed() {
    let folder = folder();
    let butler = repository(folder.path());
    let other = example().replace("QuadCam", "OtherCam").replace("chip = \"detector\"", "chip = \"visit\"");
    let mut cameras = Cameras::built_in().unwrap();
    cameras.add_toml("other.toml", &other).unwrap();
    butler.register_instrument(cameras.instrument("OtherCam").unwrap()).unwrap();
    let filter = Expression::parse("chip = 3").unwrap();
    let error = butler.query_dimension_records("visit_detector", &Query::filtered(filter)).unwrap_err().to_string();
    assert!(error.contains("QuadCam") && error.contains("OtherCam"), "{error}");
    // The definitions are kept: whoever opens the repository later knows the cameras.
    let again = Butler::open(folder.path()).unwrap();
    assert_eq!(again.cameras().unwrap().instrument("QuadCam").unwrap().definition(), Some(example()));
}

#[test]
fn the_program_registers_visits_and_lists_detectors() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let repo = at("repo");
    let (repo, camera, table) = (text(&repo).to_owned(), at("quad.toml"), at("visits.csv.gz"));
    fs::write(&camera, example()).unwrap();
    let mut gz = flate2::write::GzEncoder::new(fs::File::create(&table).unwrap(), flate2::Compression::fast());
    gz.write_all(b"visit,band,ra_deg,dec_deg,rot_deg,mjd,exptime_s,night,target\n").unwrap();
    gz.write_all(b"5,r,150.1,2.2,0.0,59265.00833,5.0,20210219,pointing\n6,i,150.2,2.2,,59266.5,30,59266,\n").unwrap();
    gz.finish().unwrap();
    // A column that is empty all along has no type.
    let empty = at("empty.csv");
    fs::write(&empty, "visit,filter,ra,dec,rot_deg,mjd,exptime_s,night\n7,R,1.5,2,,59266.9,30,\n").unwrap();
    bunter(&["create", &repo]).ok();
    let register = ["register-visits", &repo, text(&empty), "--instrument", text(&camera), "--rotation", "-12"];
    bunter(&register).ok().says(&["1 visits registered", "no rotation: taken to be -12 degrees"]);
    let visit = bunter(&["query-dimension-records", &repo, "visit", "--format", "json"]).ok().json();
    assert_eq!((&visit[0]["rotation_deg"], &visit[0]["physical_filter"]), (&(-12.0).into(), &"Quad-R".into()));
    assert_eq!(visit[0]["day_obs"], 20_210_221);
    let register = ["register-visits", &repo, text(&table), "--instrument", text(&camera)];
    bunter(&register).ok().says(&[
        "QuadCam: 2 visits registered",
        "8 regions of 4 detectors each",
        "1 visits have no rotation",
        "made up",
    ]);
    bunter(&["register-visits", &repo, text(&table), "--instrument", "quadcam"]).ok().says(&["nothing was changed"]);
    let listed = bunter(&[
        "query-dimension-records",
        &repo,
        "visit_detector",
        "--id",
        "frame=5",
        "bay=M1",
        "slot=B",
        "--format",
        "json",
    ])
    .ok();
    assert_eq!(listed.json()[0]["detector"], 3);
    let visits =
        bunter(&["query-dimension-records", &repo, "visit", "--where", "visit < 7", "--format", "json"]).ok().json();
    assert_eq!((&visits[0]["day_obs"], &visits[1]["day_obs"]), (&20_210_219.into(), &20_210_221.into()));
    bunter(&["query-dimension-records", &repo, "visit_detector", "--id", "fram=5"])
        .exits(1)
        .says(&["did you mean `frame`?"]);
    bunter(&["query-dimension-records", &repo, "visit_detector", "--id", "chip=5..1"]).exits(2).says(&["empty"]);
    bunter(&["get", &repo, "calexp", "frame=5", "slot=C", "raft=M1", "-o", "x.fits"])
        .exits(1)
        .says(&["no detector has"]);

    let listed =
        bunter(&["query-camera", text(&camera), "--format", "json", "--at", "10,-20"]).ok().says(&["made up"]).json();
    assert_eq!(listed.as_array().unwrap().len(), 5);
    assert_eq!(listed[3]["name"], "M1_B");
    assert_eq!(listed[4]["corners_mm"], "-60 -5;-50 -5;-50 5;-60 5");
    assert_eq!(listed[0]["vertices"].as_str().unwrap().split(';').count(), 4);
    let guiders =
        bunter(&["query-camera", "QuadCam", "--camera", text(&camera), "--purpose", "guider", "--format", "csv"]).ok();
    assert_eq!(guiders.out.lines().count(), 2, "{}", guiders.out);
    assert_eq!(bunter(&["query-camera", "LSSTCam", "--format", "csv"]).ok().out.lines().count(), 206);
    assert!(bunter(&["query-camera", "--repository", &repo]).ok().out.contains("QuadCam"));
    bunter(&["query-camera", "LSSTCan"]).exits(1).says(&["did you mean `LSSTCam`?"]);
    bunter(&["query-camera", "SimCam"]).ok().says(&["[focal_plane]"]);
    bunter(&["query-camera", "DECam", "--at", "10"]).exits(2).says(&["RA,DEC"]);
    bunter(&["query-camera", "DECam", "--at", "10,100"]).exits(2).says(&["declination"]);
    bunter(&["query-camera", "HSC"]).ok().says(&["few percent"]);
    fs::write(&camera, example().replace("[0, 1, 0, -8.3e-9]", "[0, 1, 0, nan]")).unwrap();
    bunter(&["query-camera", text(&camera)]).exits(1).says(&["quad.toml", "focal_plane.radial", "NaN"]);
    bunter(&["register-visits", &repo, "/nowhere.csv", "--instrument", "HSC"]).exits(1).says(&["/nowhere.csv"]);
}
