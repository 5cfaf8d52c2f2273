//! All data IDs of some dimensions, patches by their names, and the commands that take them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod program;
mod sky_survey;

use std::collections::BTreeSet;

use bunter::{
    Butler, DataId, DataIdQuery, DatasetRef, Expression, FileRecord, Format, Layout, NewDataset, OrderBy, Projection,
    Query, SkyMap, SkyMapConfig, TractBuilder,
};
use program::{Ran, bunter, text};
use sky_survey::{Dice, Image, Survey, images, names, rows, set, small_map};

fn survey(seed: u64) -> (Survey, SkyMap) {
    let survey = Survey::new(images(&mut Dice::new(seed), 30, 2.0));
    let map = small_map(false);
    survey.butler.register_sky_map("small", &map).unwrap();
    (survey, map)
}

fn query(filter: &str) -> DataIdQuery {
    DataIdQuery { filter: (!filter.is_empty()).then(|| Expression::parse(filter).unwrap()), ..DataIdQuery::default() }
}

/// The answer of the registry, which must be that of the snapshot, sorted and each row once.
fn ask(butlers: &[&Butler], dimensions: &[&str], query: &DataIdQuery) -> (Vec<String>, Vec<String>) {
    let mut answers = butlers.iter().map(|butler| {
        let found =
            butler.query_data_ids(dimensions, query).unwrap_or_else(|e| panic!("{dimensions:?} {query:?}: {e}"));
        assert_eq!(DataId::of_rows(&found).count(), found.num_rows());
        (names(&found), rows(&found))
    });
    let first = answers.next().unwrap();
    assert!(answers.all(|other| other == first), "{dimensions:?} {query:?}");
    assert_eq!(set(first.1.clone()).len(), first.1.len(), "{dimensions:?} {query:?}: a row twice");
    first
}

#[test]
fn groups_related_by_records() {
    let (survey, map) = survey(1);
    let butlers = [&survey.butler, &survey.on_snapshot()];
    let visit = survey.images[44].visit;
    let of = |image: &Image| (image.instrument, image.filter, image.band, image.day_obs);
    let (instrument, filter, band, day) = of(&survey.images[44]);
    let check = |dimensions: &[&str], text: &str, columns: &[&str], expected: BTreeSet<String>| {
        let (found_columns, found) = ask(&butlers, dimensions, &query(text));
        assert_eq!(found_columns, columns, "{dimensions:?} `{text}`");
        assert_eq!(set(found), expected, "{dimensions:?} `{text}`");
    };
    let one = |row: String| BTreeSet::from([row]);
    // Detectors of a visit: those that saw something, not all of the camera.
    let detectors = set((0..4).map(|d| format!("{instrument},{d}")));
    check(&["detector"], &format!("visit = {visit}"), &["instrument", "detector"], detectors);
    let of_camera = set(["CamA", "CamB"].iter().flat_map(|i| (0..5).map(move |d| format!("{i},{d}"))));
    check(&["detector"], "", &["instrument", "detector"], of_camera);
    check(&["detector"], "detector.full_name = 'CamB_3'", &["instrument", "detector"], one("CamB,3".into()));
    // What a visit fixes.
    let columns = ["instrument", "visit", "day_obs", "physical_filter", "band"];
    check(
        &["visit"],
        &format!("visit = {visit}"),
        &columns,
        one(format!("{instrument},{visit},{day},{filter},{band}")),
    );
    check(&["band"], "physical_filter = 'A-R2'", &["band"], one("r".into()));
    check(&["band"], "", &["band"], set(["g", "r", "z"].map(str::to_owned)));
    check(
        &["physical_filter"],
        "band = 'r'",
        &["instrument", "physical_filter", "band"],
        set(["CamA,A-R,r", "CamA,A-R2,r", "CamB,B-R,r"].map(str::to_owned)),
    );
    check(&["instrument"], "", &["instrument"], set(["CamA", "CamB"].map(str::to_owned)));
    check(
        &["physical_filter"],
        &format!("visit = {visit}"),
        &["instrument", "physical_filter", "band"],
        one(format!("{instrument},{filter},{band}")),
    );
    // Nights and filters are related by the visits.
    let nights = set(survey.images.iter().filter(|i| i.band == "r").map(|i| format!("{},{}", i.instrument, i.day_obs)));
    check(&["day_obs"], "band = 'r'", &["instrument", "day_obs"], nights);
    let used = set(survey
        .images
        .iter()
        .filter(|i| i.day_obs == day)
        .map(|i| format!("{},{},{}", i.instrument, i.filter, i.band)));
    check(&["physical_filter"], &format!("day_obs = {day}"), &["instrument", "physical_filter", "band"], used);
    // Tracts and patches of the sky map.
    let (nx, ny) = map.num_patches(7).unwrap();
    let patches = set((0..nx * ny).map(|p| format!("small,7,{p}")));
    check(&["patch"], "tract = 7", &["skymap", "tract", "patch"], patches.clone());
    check(&["patch"], "tract = 7 AND patch = '1,1'", &["skymap", "tract", "patch"], one(format!("small,7,{}", nx + 1)));
    check(
        &["patch", "tract"],
        "7 = tract.id AND skymap IN ('small') AND cell_x >= 0",
        &["skymap", "tract", "patch"],
        patches,
    );
    check(&["tract"], "", &["skymap", "tract"], set((0..map.len()).map(|t| format!("small,{t}"))));
    check(&["skymap"], "", &["skymap"], one("small".into()));
    check(&["skymap"], "tract = 7", &["skymap"], one("small".into()));
    // Nothing relates tracts and bands: all combinations.
    let all = set((2..4).flat_map(|t| ["g", "r", "z"].map(|b| format!("small,{t},{b}"))));
    check(&["tract", "band"], "tract IN (2..3)", &["skymap", "tract", "band"], all);
    check(&["visit"], "visit = 5", &columns, BTreeSet::new());
}

#[test]
fn groups_related_by_the_sky() {
    let (survey, map) = survey(2);
    let pairs = survey.slow_join(&map);
    let butlers = [&survey.butler, &survey.on_snapshot()];
    let (tract, patch, image) = pairs[pairs.len() / 2].clone();
    let check = |dimensions: &[&str],
                 text: &str,
                 row: &dyn Fn(&(u32, u32, Image)) -> String,
                 truth: &dyn Fn(&(u32, u32, Image)) -> bool| {
        let (_, found) = ask(&butlers, dimensions, &query(text));
        assert_eq!(set(found), set(pairs.iter().filter(|p| truth(p)).map(row)), "{dimensions:?} `{text}`");
    };
    let visit = image.visit;
    check(&["patch"], &format!("visit = {visit} AND detector = 1"), &|p| format!("small,{},{}", p.0, p.1), &|p| {
        p.2.visit == visit && p.2.detector == 1
    });
    check(&["patch"], "visit.exposure_time < 10.6", &|p| format!("small,{},{}", p.0, p.1), &|p| p.2.visit < 106);
    check(
        &["visit", "detector"],
        &format!("tract = {tract} AND patch = {patch}"),
        &|p| format!("{},{},{},{},{},{}", p.2.instrument, p.2.visit, p.2.detector, p.2.day_obs, p.2.filter, p.2.band),
        &|p| (p.0, p.1) == (tract, patch),
    );
    check(
        &["detector"],
        &format!("visit = {visit} AND tract = {tract} AND patch = {patch}"),
        &|p| format!("{},{}", p.2.instrument, p.2.detector),
        &|p| p.2.visit == visit && (p.0, p.1) == (tract, patch),
    );
    check(
        &["patch", "visit"],
        &format!("tract = {tract} AND band = 'r'"),
        &|p| {
            format!(
                "small,{},{},{},{},{},{},{}",
                p.0, p.1, p.2.instrument, p.2.visit, p.2.day_obs, p.2.filter, p.2.band
            )
        },
        &|p| p.0 == tract && p.2.band == "r",
    );
    // By a region.
    let circle = Some("CIRCLE 10 10 25".parse().unwrap());
    let (_, found) = ask(&butlers, &["tract"], &DataIdQuery { region: circle.clone(), ..query("") });
    assert!(!found.is_empty() && found.len() < map.len() as usize);
    let (_, found) = ask(&butlers, &["visit", "detector"], &DataIdQuery { region: circle, ..query("") });
    assert!(!found.is_empty() && found.len() < survey.images.len());
}

#[test]
fn only_what_has_datasets() {
    let (survey, map) = survey(3);
    survey.add_datasets("run/a", |i| i.visit % 2 == 0 && i.detector < 3);
    let registry = survey.butler.registry().unwrap();
    let coadd = |tract: i64, patch: i64, band: &str| {
        let data_id =
            DataId::new().with("skymap", "small").with("tract", tract).with("patch", patch).with("band", band);
        let dataset =
            DatasetRef { id: uuid::Uuid::now_v7(), dataset_type: "deepCoadd".into(), data_id, run: "run/c".into() };
        let file = FileRecord { path: format!("{tract}/{patch}/{band}"), format: Format::Hdf5, size: 1, checksum: 1 };
        NewDataset { dataset, file }
    };
    registry.register_run("run/c").unwrap();
    registry.insert_datasets(&[coadd(3, 1, "r"), coadd(3, 1, "g"), coadd(5, 0, "r")]).unwrap();
    let butlers = [&survey.butler, &survey.on_snapshot()];
    let with = |text: &str, kind: &str, run: &str| DataIdQuery {
        datasets: Some((kind.into(), vec![run.into()])),
        ..query(text)
    };
    let there = || survey.images.iter().filter(|i| i.visit % 2 == 0 && i.detector < 3);
    let (_, found) = ask(&butlers, &["detector"], &with("", "calexp", "run/a"));
    assert_eq!(set(found), set(there().map(|i| format!("{},{}", i.instrument, i.detector))));
    let (_, found) = ask(&butlers, &["detector"], &with("visit.exposure_time < 10.5", "calexp", "run/*"));
    assert_eq!(set(found), set(there().filter(|i| i.visit < 105).map(|i| format!("{},{}", i.instrument, i.detector))));
    // Patches of the images that there are.
    let (_, found) = ask(&butlers, &["patch"], &with("band = 'r'", "calexp", "run/a"));
    let expected =
        survey.slow_join(&map).into_iter().filter(|(_, _, i)| i.band == "r" && i.visit % 2 == 0 && i.detector < 3);
    assert_eq!(set(found), set(expected.map(|(t, p, _)| format!("small,{t},{p}"))));
    let (_, found) = ask(&butlers, &["patch"], &with("band = 'r'", "deepCoadd", "run/c"));
    assert_eq!(found, ["small,3,1", "small,5,0"]);
    let (_, found) = ask(&butlers, &["band"], &with("tract = 3 AND patch = '1,0'", "deepCoadd", "run/c"));
    assert_eq!(found, ["g", "r"]);
    let told = survey.butler.query_data_ids(&["patch"], &with("", "deepCoad", "run/c")).unwrap_err().to_string();
    assert!(told.contains("did you mean `deepCoadd`"), "{told}");
}

#[test]
fn order_limit_and_mistakes() {
    let (survey, _) = survey(4);
    let snapshot = survey.on_snapshot();
    let butlers = [&survey.butler, &snapshot];
    let ordered = DataIdQuery { order_by: vec![OrderBy::parse("-visit")], limit: Some(3), ..query("") };
    let (_, found) = ask(&butlers, &["visit"], &ordered);
    let visits: Vec<_> = found.iter().map(|r| r.split(',').nth(1).unwrap().to_owned()).collect();
    assert_eq!(visits, ["129", "128", "127"]);
    let (_, found) = ask(&butlers, &["patch"], &DataIdQuery { limit: Some(4), ..query("tract IN (3..9)") });
    assert_eq!(found, ["small,3,0", "small,3,1", "small,3,2", "small,3,3"]);
    for (dimensions, filter, part) in [
        (vec![], "", "say which dimensions"),
        (vec!["pach"], "", "did you mean `patch`"),
        (vec!["patch"], "trct = 5", "did you mean `tract`"),
        (vec!["visit"], "visit.exposuretime > 5", "did you mean `exposure_time`"),
        (vec!["patch"], "tract = 500", "tract 500 out of range; the sky map has tracts 0..="),
        (vec!["patch"], "tract = 5 AND patch = '9,99'", "patch 9,99 out of range; tract 5 has patches 0..="),
        (vec!["patch"], "skymap = 'smal'", "did you mean `small`"),
        (vec!["detector"], "visit = 'a'", "cannot compare"),
    ] {
        for butler in butlers {
            let told = butler.query_data_ids(&dimensions, &query(filter)).unwrap_err().to_string();
            assert!(told.contains(part), "{dimensions:?} `{filter}`: {told}");
        }
    }
    // A million tracts and more patches, and detectors that have nothing to do with them.
    let fine = SkyMapConfig {
        layout: Layout::Equatorial { num_tracts: 700, dec_range_deg: [-1.0, 1.0] },
        tract_overlap_deg: 0.0,
        pixel_scale_arcsec: 1.0,
        projection: Projection::Tan,
        rotation_deg: 0.0,
        tract_builder: TractBuilder::Legacy { patch_inner_dimensions: [20, 20], patch_border: 0 },
    };
    survey.butler.register_sky_map("fine", &SkyMap::new(fine).unwrap()).unwrap();
    let fine = query("skymap = 'fine'");
    let told = survey.butler.query_data_ids(&["patch", "detector"], &fine).unwrap_err().to_string();
    assert!(told.contains("`tract`"), "{told}");
    // A limit or a tract makes it small.
    let first = survey.butler.query_data_ids(&["patch"], &DataIdQuery { limit: Some(2), ..fine }).unwrap();
    assert_eq!(rows(&first), ["fine,0,0", "fine,0,1"]);
    let records = Query {
        limit: Some(2),
        ..Query::filtered(Expression::parse("skymap = 'fine' AND patch.dec_deg > 0.5").unwrap())
    };
    let found = survey.butler.query_dimension_records("patch", &records).unwrap();
    assert_eq!((found.num_rows(), names(&found).last().unwrap().as_str()), (2, "dec_deg"));
}

#[test]
fn places_of_patches_in_tracts_of_several_sizes() {
    // Two tracts, of which the second has more patches in a row.
    let config = SkyMapConfig {
        layout: Layout::Discrete { ra_deg: vec![10.0, 50.0], dec_deg: vec![0.0, 10.0], radius_deg: vec![1.0, 2.0] },
        tract_overlap_deg: 0.0,
        pixel_scale_arcsec: 10.0,
        projection: Projection::Tan,
        rotation_deg: 0.0,
        tract_builder: TractBuilder::Legacy { patch_inner_dimensions: [100, 100], patch_border: 10 },
    };
    let survey = Survey::new(images(&mut Dice::new(5), 2, 1.0));
    let map = SkyMap::new(config).unwrap();
    survey.butler.register_sky_map("two", &map).unwrap();
    let (small, large) = (map.num_patches(0).unwrap().0, map.num_patches(1).unwrap().0);
    assert!(small < large);
    let ask = |filter: &str| {
        survey.butler.query_data_ids(&["patch"], &query(filter)).map(|b| rows(&b)).map_err(|e| e.to_string())
    };
    assert_eq!(ask("tract = 1 AND patch = '2,3'").unwrap(), [format!("two,1,{}", 3 * large + 2)]);
    assert_eq!(
        ask("tract IN (0, 1) AND patch IN ('2,3', 5)").unwrap(),
        [
            "two,0,5".to_owned(),
            format!("two,0,{}", 3 * small + 2),
            "two,1,5".to_owned(),
            format!("two,1,{}", 3 * large + 2)
        ]
    );
    assert_eq!(
        ask(&format!("tract IN (0..1) AND patch = '{},0'", large - 1)).unwrap(),
        [format!("two,1,{}", large - 1)]
    );
    assert!(ask("patch = '2,3'").unwrap_err().contains("say which tract"));
    assert!(ask("tract = 0 AND patch = '2;3'").unwrap_err().contains("is not a patch"));
    // As a data ID.
    let id = DataId::new().with("skymap", "two").with("tract", 1).with("patch", "2,3").with("band", "r");
    let standard = survey.butler.standard_data_id(&id).unwrap();
    assert_eq!(standard.int("patch"), Some(i64::from(3 * large + 2)));
    for (id, part) in [
        (DataId::new().with("patch", "2,3"), "say which tract"),
        (DataId::new().with("patch", "2,3").with("tract", 2), "tract 2 out of range; the sky map has tracts 0..=1"),
        (DataId::new().with("patch", "2,300").with("tract", 1), "patch 2,300 out of range; tract 1 has patches 0..="),
        (DataId::new().with("patch", "x").with("tract", 1), "`x` is not a patch"),
        (DataId::new().with("patch", "2,3").with("tract", 1).with("skymap", "tow"), "did you mean `two`"),
    ] {
        let told = survey.butler.standard_data_id(&id).unwrap_err().to_string();
        assert!(told.contains(part), "{id}: {told}");
    }
    let told = survey.butler.get("deepCoadd", &id, &["empty"], None).unwrap_err().to_string();
    assert!(told.contains("empty"), "{told}");
}

#[test]
fn the_commands() {
    let (survey, map) = survey(6);
    survey.add_datasets("run/a", |i| i.visit % 2 == 0);
    let repo = text(survey.butler.root()).to_owned();
    let run = |arguments: &[&str]| -> Ran { bunter(&[&arguments[..1], &[repo.as_str()], &arguments[1..]].concat()) };
    let lines = |ran: Ran| ran.ok().out.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    let pairs = survey.slow_join(&map);
    let (tract, patch, image) = pairs[pairs.len() / 2].clone();
    let (nx, ny) = map.num_patches(tract).unwrap();
    let (of_tract, of_visit) = (format!("tract={tract}"), format!("visit={}", image.visit));
    let csv = ["--format", "csv"];
    let with = |arguments: &[&str]| run(&[arguments, &csv].concat());
    assert_eq!(lines(with(&["query-data-ids", "patch", "--id", &of_tract])).len(), (nx * ny) as usize);
    assert_eq!(lines(with(&["query-data-ids", "detector", "--id", &of_visit])).len(), 4);
    let place = format!("patch={},{}", patch % nx, patch / nx);
    let overlapping = lines(with(&["query-overlaps", "--id", &of_tract, &place, "--dimensions", "visit,detector"]));
    let expected = set(pairs
        .iter()
        .filter(|p| (p.0, p.1) == (tract, patch))
        .map(|p| format!("{},{},{}", p.2.instrument, p.2.visit, p.2.detector)));
    assert_eq!(set(overlapping), expected);
    // Standard error says which sky map was taken; standard output has the rows alone.
    with(&["query-overlaps", "--id", &of_visit]).ok().says(&["sky map: small"]);
    assert_eq!(
        lines(with(&["query-datasets", "calexp", "--id", &of_visit])).len(),
        if image.visit % 2 == 0 { 4 } else { 0 }
    );
    let p = image.region.centroid().to_lon_lat();
    let position = [p.lon_deg().to_string(), p.lat_deg().to_string()];
    let found =
        lines(with(&["query-overlaps", "--dimensions", "visit,detector", "--point", &position[0], &position[1]]));
    assert!(found.contains(&format!("{},{},{}", image.instrument, image.visit, image.detector)), "{found:?}");
    let as_text = format!("point {} {}", position[0], position[1]);
    assert_eq!(lines(with(&["query-overlaps", "--dimensions", "visit", "detector", "--region", &as_text])), found);
    // The same rows in every form, also in files.
    let folder = tempfile::tempdir().unwrap();
    let expected = lines(with(&["query-overlaps", "--dataset-type", "calexp"]));
    let json = run(&["query-overlaps", "--dataset-type", "calexp", "--format", "json"]).ok().json();
    assert_eq!(json.as_array().unwrap().len(), expected.len());
    let file = folder.path().join("o.csv");
    run(&["query-overlaps", "--dataset-type", "calexp", "--output", text(&file)]).ok().says(&["wrote", "rows"]);
    let written: Vec<_> = std::fs::read_to_string(&file).unwrap().lines().skip(1).map(str::to_owned).collect();
    assert_eq!(written, expected);
    let file = folder.path().join("o.parquet");
    run(&["query-overlaps", "--dataset-type", "calexp", "--output", text(&file)]).ok();
    let read = bunter::datastore::TableReader::open(&file, bunter::datastore::TableOptions::default()).unwrap();
    let read: Vec<String> = read.flat_map(|batch| rows(&batch.unwrap())).collect();
    assert_eq!(read, expected);
    assert_eq!(lines(with(&["query-overlaps", "--limit", "7"])).len(), 7);
    assert_eq!(
        with(&["query-overlaps", "--id", "visit=5"]).ok().out.trim(),
        "skymap,tract,patch,band,instrument,visit,detector"
    );
    // What does not go.
    let mut told = String::new();
    for (code, arguments) in [
        (1, vec!["query-data-ids", "pach"]),
        (1, vec!["query-data-ids", "patch", "--id", "tract=999"]),
        (1, vec!["query-data-ids", "patch", "--id", "tract=3", "patch=77,1"]),
        (1, vec!["query-data-ids", "patch", "--where", "tract = 3 AND patch = '1-1'"]),
        (1, vec!["query-overlaps", "--skymap", "smal"]),
        (1, vec!["query-overlaps", "--dimensions", "visit,detecter"]),
        (1, vec!["query-dimension-records", "visit", "--point", "1", "2"]),
        (2, vec!["query-overlaps", "--circle", "10", "91", "1"]),
        (2, vec!["query-overlaps", "--circle", "nan", "1", "1"]),
        (2, vec!["query-overlaps", "--circle", "10", "1", "-1"]),
        (2, vec!["query-overlaps", "--point", "10", "inf"]),
        (2, vec!["query-overlaps", "--region", "CIRCLE 10 1"]),
        (2, vec!["query-overlaps", "--region", "POINT 10 x"]),
        (2, vec!["query-overlaps", "--region", "POINT 10"]),
        (2, vec!["query-overlaps", "--region", "POLYGON 0 0 10 0 20 0"]),
        (1, vec!["get", "deepCoadd", "tract=3", "-o", "x.fits"]),
        (1, vec!["get", "deepCoadd", "skymap=small", "tract=3", "patch=99,0", "band=r", "-o", "x.fits"]),
    ] {
        let ran = run(&arguments).exits(code);
        assert!(ran.out.is_empty() && !ran.err.contains("panicked"), "{}", ran.err);
        told.extend(["$ bunter ", &arguments.join(" "), "\n", &ran.err]);
    }
    insta::assert_snapshot!("commands_that_fail", told);
}
