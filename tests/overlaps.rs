//! What overlaps on the sky, asked in every direction, of a registry and of a snapshot: compared with a loop over all pairs,
//! and with the reference's tables.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod sky_golden;
mod sky_survey;

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray};
use arrow::compute::concat_batches;
use bunter::{
    Butler, Circle, ConvexPolygon, Expression, OverlapQuery, Query, Region, Registry, RegistryReader, SkyMap,
    VisitDetectorQuery,
};
use sky_golden::{Table, positions};
use sky_survey::{Dice, Image, Survey, images, ints, names, regions, rows, set, slow_row, small_map, texts};

const USUAL: [&str; 7] = ["skymap", "tract", "patch", "band", "instrument", "visit", "detector"];

fn survey(seed: u64, visits: i64) -> Survey {
    Survey::new(images(&mut Dice::new(seed), visits, 2.0))
}

fn query(filter: &str, dimensions: &[&str]) -> OverlapQuery {
    OverlapQuery {
        filter: (!filter.is_empty()).then(|| Expression::parse(filter).unwrap()),
        dimensions: (!dimensions.is_empty()).then(|| dimensions.iter().map(|d| (*d).to_owned()).collect()),
        ..OverlapQuery::default()
    }
}

/// The answer, with pieces of several sizes, which must all be the same.
fn answer(butler: &Butler, query: &OverlapQuery) -> (Vec<String>, Vec<String>) {
    let whole = butler.query_overlaps(query).unwrap_or_else(|e| panic!("{query:?}: {e}"));
    for (page, length) in [(7, 5), (60, 1000)] {
        let stream = butler.stream_overlaps(query).unwrap().with_sizes(page, length);
        let schema = stream.schema();
        let pieces: Vec<_> = stream.map(|piece| piece.unwrap()).collect();
        assert!(pieces.iter().all(|p| p.num_rows() <= length && p.num_rows() > 0));
        let pieced = rows(&concat_batches(&schema, &pieces).unwrap());
        let expected = rows(&whole);
        if query.reference_behaviour || !names(&whole).contains(&"tract".to_owned()) {
            // Sorted page by page; each row once.
            assert_eq!(pieced.len(), expected.len(), "{query:?} {page}");
            assert_eq!(set(pieced), set(expected), "{query:?} {page}");
        } else {
            assert_eq!(pieced, expected, "{query:?} {page}");
        }
    }
    (names(&whole), rows(&whole))
}

type Truth<'a> = dyn Fn(u32, u32, &Image) -> bool + 'a;

#[test]
fn every_direction_agrees_with_a_loop_over_all_pairs() {
    for cells in [false, true] {
        let survey = survey(1, 20);
        let map = small_map(cells);
        survey.butler.register_sky_map("small", &map).unwrap();
        let pairs = survey.slow_join(&map);
        assert!(pairs.len() > 200, "{}", pairs.len());
        let (tract, patch) = (pairs[pairs.len() / 2].0, pairs[pairs.len() / 2].1);
        let (nx, _) = map.num_patches(tract).unwrap();
        let visit = pairs[pairs.len() / 3].2.visit;
        let place = format!("tract = {tract} AND patch = '{},{}'", patch % nx, patch / nx);
        let either = format!("tract = {tract} OR visit = {visit}");
        let filters: Vec<(&str, Box<Truth<'_>>)> = vec![
            ("", Box::new(|_, _, _| true)),
            ("tract IN (2..4, 11)", Box::new(|t, _, _| (2..=4).contains(&t) || t == 11)),
            ("tract IN (0..1000) AND patch < 5", Box::new(|_, p, _| p < 5)),
            (&place, Box::new(|t, p, _| (t, p) == (tract, patch))),
            (
                "band = 'r' AND patch.cell_x = 1",
                Box::new(|t, p, i| i.band == "r" && p % map.num_patches(t).unwrap().0 == 1),
            ),
            (
                "instrument = 'CamA' AND visit.exposure_time > 11.5 AND ccd != 2",
                Box::new(|_, _, i| i.instrument == "CamA" && i.visit > 115 && i.detector != 2),
            ),
            ("skymap = 'small' AND detector.full_name GLOB 'CamB_*'", Box::new(|_, _, i| i.instrument == "CamB")),
            (&either, Box::new(|t, _, i| t == tract || i.visit == visit)),
            (
                "NOT tract > 5 AND NOT (band = 'r' AND patch = 3)",
                Box::new(|t, p, i| t <= 5 && !(i.band == "r" && p == 3)),
            ),
            ("visit IN (3..5)", Box::new(|_, _, _| false)),
            ("FALSE", Box::new(|_, _, _| false)),
        ];
        let dimensions: &[&[&str]] = &[
            &[],
            &["patch", "band"],
            &["visit", "detector", "skymap"],
            &["visit", "skymap"],
            &["band", "patch"],
            &["tract", "patch", "day_obs"],
            &["physical_filter", "skymap", "band"],
            &["patch", "detector"],
        ];
        for butler in [&survey.butler, &survey.on_snapshot()] {
            for (filter, truth) in &filters {
                // The other map differs in its patches alone.
                for wanted in &dimensions[..if cells { 2 } else { dimensions.len() }] {
                    let (columns, found) = answer(butler, &query(filter, wanted));
                    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
                    if wanted.is_empty() {
                        assert_eq!(columns, USUAL);
                    }
                    let expected = set(pairs
                        .iter()
                        .filter(|(t, p, i)| truth(*t, *p, i))
                        .map(|pair| slow_row("small", &columns, pair)));
                    assert_eq!(found.len(), expected.len(), "`{filter}` {columns:?}: a row twice, or lost");
                    assert_eq!(set(found), expected, "`{filter}` {columns:?}");
                }
            }
        }
    }
}

#[test]
fn rows_come_sorted() {
    let survey = survey(2, 25);
    survey.butler.register_sky_map("small", &small_map(false)).unwrap();
    let found = survey.butler.query_overlaps(&OverlapQuery::default()).unwrap();
    let key = |row: &String| {
        let cells: Vec<&str> = row.split(',').collect();
        let number = |i: usize| cells[i].parse::<i64>().unwrap();
        (number(1), number(2), cells[3].to_owned(), cells[4].to_owned(), number(5), number(6))
    };
    let keys: Vec<_> = rows(&found).iter().map(key).collect();
    assert!(keys.len() > 500 && keys.windows(2).all(|w| w[0] < w[1]));
}

#[test]
fn tracts_without_patches_are_related_by_their_own_regions() {
    let survey = survey(3, 30);
    let map = small_map(true);
    survey.butler.register_sky_map("small", &map).unwrap();
    let (_, found) = answer(&survey.butler, &query("", &["tract", "visit", "detector"]));
    let mut expected = BTreeSet::new();
    for tract in map.tracts() {
        let tract = tract.unwrap();
        for image in survey.images.iter().filter(|i| i.region.relate(tract.outer_polygon()).intersects()) {
            expected.insert(slow_row(
                "small",
                &["skymap", "tract", "instrument", "visit", "detector"],
                &(tract.id(), 0, image.clone()),
            ));
        }
    }
    assert_eq!(set(found), expected);
}

#[test]
fn regions_find_images_and_patches() {
    let survey = survey(4, 60);
    let map = small_map(false);
    survey.butler.register_sky_map("small", &map).unwrap();
    let snapshot = survey.on_snapshot();
    let all = sky_survey::patches(&map);
    let pairs = survey.slow_join(&map);
    let mut dice = Dice::new(5);
    let mut regions: Vec<Region> = [
        "CIRCLE 0 90 1",
        "CIRCLE 0.05 0 0",
        "CIRCLE 359.99 -30 4",
        "CIRCLE 10 -89.9 130",
        "RANGE 350 20 -20 5",
        "RANGE 0 360 80 90",
        "POLYGON 0 0 30 0 30 30 0 30",
        "POLYGON 0 85 90 85 180 85 270 85",
    ]
    .map(|text| text.parse().unwrap())
    .into();
    for _ in 0..12 {
        let p = dice.position();
        regions.push(match dice.below(3) {
            0 => Circle::new(p.to_unit(), (20.0 * dice.unit()).to_radians()).unwrap().into(),
            1 => sky_survey::square(p, 0.3, 0.1, 0.5 + 20.0 * dice.unit()).into(),
            _ => Circle::new(survey.images[dice.below(200)].region.vertices()[0], 0.0).unwrap().into(),
        });
    }
    for region in &regions {
        let touches = |polygon: &ConvexPolygon| region.relate(&Region::from(polygon.clone())).intersects();
        let patch_touches: BTreeSet<_> = all.iter().filter(|p| touches(&p.2)).map(|p| (p.0, p.1)).collect();
        let images = set(survey
            .images
            .iter()
            .filter(|i| touches(&i.region))
            .map(|i| slow_row("", &["instrument", "visit", "detector"], &(0, 0, i.clone()))));
        let patches = set(patch_touches.iter().map(|(t, p)| format!("small,{t},{p}")));
        let tracts = set(map
            .tracts()
            .map(|t| t.unwrap())
            .filter(|t| touches(t.outer_polygon()))
            .map(|t| format!("small,{}", t.id())));
        let both = set(pairs
            .iter()
            .filter(|(t, p, i)| patch_touches.contains(&(*t, *p)) && touches(&i.region))
            .map(|pair| slow_row("small", &USUAL, pair)));
        for butler in [&survey.butler, &snapshot] {
            let ask = |dimensions: &[&str]| {
                let query = OverlapQuery { region: Some(region.clone()), ..query("", dimensions) };
                set(answer(butler, &query).1)
            };
            assert_eq!(ask(&["visit", "detector"]), images, "{region}");
            assert_eq!(ask(&["tract", "patch"]), patches, "{region}");
            assert_eq!(ask(&["tract"]), tracts, "{region}");
            assert_eq!(ask(&[]), both, "{region}");
            let records = |element: &str, columns: &[usize]| {
                let found = butler.query_dimension_records_in(element, &Query::all(), Some(region)).unwrap();
                set(rows(&found.project(columns).unwrap()))
            };
            assert_eq!(records("visit_detector", &[0, 1, 2]), images, "{region}");
            assert_eq!(records("patch", &[0, 1, 2]), patches, "{region}");
            assert_eq!(records("tract", &[0, 1]), tracts, "{region}");
        }
    }
}

#[test]
fn datasets_are_found_first_and_named() {
    let survey = survey(6, 30);
    let map = small_map(false);
    survey.butler.register_sky_map("small", &map).unwrap();
    survey.add_datasets("run/a", |i| i.visit % 2 == 0);
    survey.add_datasets("run/b", |i| i.visit % 3 == 0 && i.detector < 2);
    let pairs = survey.slow_join(&map);
    for butler in [&survey.butler, &survey.on_snapshot()] {
        let datasets = Some(("calexp".to_owned(), vec!["run/b".to_owned(), "run/a".to_owned()]));
        let asked = OverlapQuery { datasets: datasets.clone(), ..OverlapQuery::default() };
        let found = butler.query_overlaps(&asked).unwrap();
        let columns = [&USUAL[..], &["id", "run"]].concat();
        assert_eq!(names(&found), columns);
        let in_b = |i: &Image| i.visit % 3 == 0 && i.detector < 2;
        let expected = set(pairs.iter().filter(|(_, _, i)| in_b(i) || i.visit % 2 == 0).map(|pair| {
            format!("{},{}", slow_row("small", &USUAL, pair), if in_b(&pair.2) { "run/b" } else { "run/a" })
        }));
        let id = found.column_by_name("id").unwrap().as_fixed_size_binary().clone();
        assert!(
            (0..id.len()).all(|row| butler
                .reader()
                .dataset(uuid::Uuid::from_slice(id.value(row)).unwrap())
                .unwrap()
                .is_some())
        );
        let mut named = found.clone();
        named.remove_column(7);
        assert_eq!(set(rows(&named)), expected);
        // Of some dimensions no single dataset is meant.
        let visits = OverlapQuery { datasets: datasets.clone(), ..query("", &["visit"]) };
        let (columns, found) = answer(butler, &visits);
        assert_eq!(columns, ["instrument", "visit"]);
        let mut expected: Vec<_> = survey.images.iter().filter(|i| in_b(i) || i.visit % 2 == 0).collect();
        expected.dedup_by_key(|i| i.visit);
        assert_eq!(set(found), set(expected.iter().map(|i| format!("{},{}", i.instrument, i.visit))));
        let pattern =
            OverlapQuery { datasets: Some(("calexp".into(), vec!["run/*".into()])), ..OverlapQuery::default() };
        assert!(butler.query_overlaps(&pattern).unwrap_err().to_string().contains("run/*"));
        let coadds =
            OverlapQuery { datasets: Some(("deepCoadd".into(), vec!["run/a".into()])), ..OverlapQuery::default() };
        let told = butler.query_overlaps(&coadds).unwrap_err().to_string();
        assert!(told.contains("query-data-ids REPO band,patch,skymap,tract --dataset-type deepCoadd"), "{told}");
    }
}

#[test]
fn an_empty_answer_has_its_columns_and_names_are_checked() {
    let survey = survey(7, 3);
    let ask = |butler: &Butler, q: &OverlapQuery| {
        butler.query_overlaps(q).map(|b| (names(&b), b.num_rows())).map_err(|e| e.to_string())
    };
    let told = ask(&survey.butler, &OverlapQuery::default()).unwrap_err();
    assert!(told.contains("no sky map is registered: `bunter register-skymap"), "{told}");
    survey.butler.register_sky_map("small", &small_map(false)).unwrap();
    let one = survey.on_snapshot();
    for butler in [&survey.butler, &one] {
        let none = query("visit = 9999999", &[]);
        assert_eq!(ask(butler, &none).unwrap(), (USUAL.map(str::to_owned).into(), 0));
        assert_eq!(ask(butler, &query("visit = 9999999", &["detector"])).unwrap().0, ["instrument", "detector"]);
        assert_eq!(
            ask(butler, &query("tract IN (900..950)", &["patch"])).unwrap(),
            (USUAL[..3].iter().map(|s| (*s).to_owned()).collect(), 0)
        );
        for (filter, dimensions, sky_map, part) in [
            ("vist = 3", vec![], None, "did you mean `visit`"),
            ("vist = 3", vec!["visit"], None, "did you mean `visit`"),
            ("vist = 3 AND tract IN (900..950)", vec![], None, "did you mean `visit`"),
            ("tracts = 3", vec!["tract"], None, "did you mean `tract`"),
            ("visit = 'a'", vec![], None, "cannot compare an integer with a text"),
            ("visit.exposuretime > 3", vec![], None, "did you mean `exposure_time`"),
            ("patch.cell_z > 3", vec![], None, "did you mean `cell_x`"),
            ("tract = 99", vec![], None, "tract 99 out of range; the sky map has tracts 0..="),
            ("tract IN (3, -1)", vec![], None, "tract -1 out of range"),
            ("tract = 3 AND patch = 500", vec![], None, "patch 500 out of range; tract 3 has patches 0..="),
            ("tract = 3 AND patch = '50,1'", vec![], None, "patch 50,1 out of range; tract 3 has patches 0..="),
            ("patch = '50,1'", vec![], None, "patch 50,1 out of range"),
            ("patch = 'a'", vec![], None, "`a` is not a patch; expected a number such as `42` or a position"),
            ("skymap = 'smal'", vec![], None, "did you mean `small`"),
            ("", vec![], Some("smoll"), "did you mean `small`"),
            ("", vec!["vist"], None, "did you mean `visit`"),
            ("", vec!["visit_detector"], None, "unknown dimension `visit_detector`"),
        ] {
            let q = OverlapQuery { sky_map: sky_map.map(str::to_owned), ..query(filter, &dimensions) };
            let told = ask(butler, &q).unwrap_err();
            assert!(told.contains(part), "`{filter}` {dimensions:?}: {told}");
        }
    }
    survey.butler.register_sky_map("other", &small_map(true)).unwrap();
    let told = ask(&survey.butler, &OverlapQuery::default()).unwrap_err();
    assert!(told.contains("there are 2 sky maps, `other`, `small`: say which is meant, `--skymap other`"), "{told}");
    // The filter may say it, and images alone need none.
    ask(&survey.butler, &query("skymap = 'other'", &[])).unwrap();
    assert_eq!(ask(&survey.butler, &query("", &["visit", "detector"])).unwrap().1, survey.images.len());
}

#[test]
fn what_moves_is_found_where_it_is_whoever_moved_it() {
    let survey = survey(8, 12);
    let map = small_map(false);
    survey.butler.register_sky_map("small", &map).unwrap();
    let mut moved = survey.images.clone();
    let mut dice = Dice::new(9);
    let found = |butler: &Butler, centre: &ConvexPolygon| {
        let circle = Circle::new(centre.centroid(), 1e-4).unwrap();
        let near = OverlapQuery { region: Some(circle.into()), ..query("", &["visit", "detector"]) };
        set(answer(butler, &near).1)
    };
    let name = |i: &Image| format!("{},{},{}", i.instrument, i.visit, i.detector);
    for image in moved.iter_mut().step_by(3) {
        image.region = sky_survey::square(dice.position(), 0.0, 0.0, 0.01);
    }
    survey.butler.registry().unwrap().replace_dimension_records("visit_detector", &regions(&moved)).unwrap();
    for image in &moved {
        assert!(found(&survey.butler, &image.region).contains(&name(image)));
        assert!(found(&survey.on_snapshot(), &image.region).contains(&name(image)));
    }
    assert!(!found(&survey.butler, &survey.images[0].region).contains(&name(&moved[0])));
    // Somebody who knows nothing of the index.
    let path = survey.butler.root().join("registry.sqlite3");
    let other = rusqlite::Connection::open(&path).unwrap();
    let far = sky_survey::square(dice.position(), 0.0, 0.0, 0.01);
    let image = &moved[5];
    let changed = other
        .execute(
            "UPDATE visit_detector SET region = ?1 WHERE instrument = ?2 AND visit = ?3 AND detector = ?4",
            (Region::from(far.clone()).to_bytes(), image.instrument, image.visit, image.detector),
        )
        .unwrap();
    assert_eq!(changed, 1);
    assert!(found(&survey.butler, &far).contains(&name(image)));
    assert!(!found(&survey.butler, &image.region).contains(&name(image)));
    // Damage is told by every search, not passed over.
    other.execute("UPDATE visit_detector SET region = x'0102' WHERE visit = 100 AND detector = 0", ()).unwrap();
    for butler in [&survey.butler, &survey.on_snapshot()] {
        for q in [
            query("", &[]),
            query("tract = 1", &[]),
            OverlapQuery { region: Some("CIRCLE 1 2 3".parse().unwrap()), ..query("", &["visit"]) },
        ] {
            let told = butler.query_overlaps(&q).unwrap_err().to_string();
            assert!(
                told.contains("the region stored for") && told.contains("visit: 100") && told.contains("damaged"),
                "{told}"
            );
        }
    }
}

#[test]
fn readers_agree_on_what_detectors_saw() {
    /// A reader that has no better way than looking at all records.
    struct Slow<'a>(&'a Registry);

    impl RegistryReader for Slow<'_> {
        fn dataset_types(&self) -> Result<Vec<bunter::DatasetType>, bunter::RegistryError> {
            self.0.dataset_types()
        }
        fn dataset_type(&self, name: &str) -> Result<bunter::DatasetType, bunter::RegistryError> {
            self.0.dataset_type(name)
        }
        fn collections(&self) -> Result<Vec<bunter::Collection>, bunter::RegistryError> {
            self.0.collections()
        }
        fn dimension_records(
            &self,
            element: &str,
            query: &Query,
        ) -> Result<arrow::array::RecordBatch, bunter::RegistryError> {
            self.0.dimension_records(element, query)
        }
        fn datasets(
            &self,
            kind: &str,
            collections: &[&str],
            query: &Query,
            first: bool,
        ) -> Result<arrow::array::RecordBatch, bunter::RegistryError> {
            self.0.datasets(kind, collections, query, first)
        }
        fn find_dataset(
            &self,
            kind: &str,
            id: &bunter::DataId,
            collections: &[&str],
        ) -> Result<Option<bunter::DatasetRef>, bunter::RegistryError> {
            self.0.find_dataset(kind, id, collections)
        }
        fn dataset(&self, id: uuid::Uuid) -> Result<Option<bunter::DatasetRef>, bunter::RegistryError> {
            self.0.dataset(id)
        }
        fn file_records(&self, ids: &[uuid::Uuid]) -> Result<Vec<Option<bunter::FileRecord>>, bunter::RegistryError> {
            self.0.file_records(ids)
        }
        fn sky_map_definition(&self, name: &str) -> Result<String, bunter::RegistryError> {
            self.0.sky_map_definition(name)
        }
    }

    let survey = survey(10, 30);
    let registry = survey.butler.registry().unwrap();
    // Images without a region.
    let more = sky_survey::batch(vec![
        ("instrument", texts([survey.images[0].instrument; 1])),
        ("visit", ints([survey.images[0].visit])),
        ("detector", ints([4])),
    ]);
    registry.insert_dimension_records("visit_detector", &more).unwrap();
    let snapshot = survey.on_snapshot();
    let slow = Slow(registry);
    let circles = vec![
        Circle::new(survey.images[9].region.centroid(), 0.05).unwrap(),
        Circle::new(survey.images[44].region.centroid(), 0.3).unwrap(),
    ];
    for filter in ["", "band = 'r'", "detector IN (1, 2) AND visit.exposure_time < 12", "visit = 7"] {
        for near in [None, Some(vec![]), Some(circles.clone())] {
            for with_regions in [false, true] {
                for after in [
                    None,
                    Some(("CamA".to_owned(), 110, 2)),
                    Some(("CamAB".to_owned(), 0, 0)),
                    Some(("Z".to_owned(), 0, 0)),
                ] {
                    for limit in [None, Some(0), Some(3)] {
                        let query = VisitDetectorQuery {
                            filter: (!filter.is_empty()).then(|| Expression::parse(filter).unwrap()),
                            near: near.clone(),
                            with_regions,
                            after: after.clone(),
                            limit,
                        };
                        let answers: Vec<_> = [registry as &dyn RegistryReader, snapshot.reader(), &slow]
                            .iter()
                            .map(|reader| reader.visit_detectors(&query).unwrap())
                            .collect();
                        assert!(answers.iter().all(|a| a.schema() == query.schema()));
                        assert!(answers.iter().all(|a| limit.is_none_or(|limit| a.num_rows() <= limit)));
                        assert_eq!(answers[0], answers[1], "{query:?}");
                        if near.is_none() {
                            assert_eq!(answers[0], answers[2], "{query:?}");
                        } else if limit.is_none() {
                            // What is near is there; the slow reader has all.
                            let (found, all) = (set(rows(&answers[0])), set(rows(&answers[2])));
                            assert!(found.is_subset(&all), "{query:?}");
                        }
                    }
                }
            }
        }
    }
}

/// The reference's polygons as images, and its lists of what they touch.
#[test]
fn golden_lists() {
    let path = |table: &str| format!("skymap/hsc_rings_v1/{table}.csv.gz");
    let polygons: Vec<_> = Table::read(&path("polygons")).rows().map(|r| positions(r.text("vertices"))).collect();
    let lists = |table: &str| {
        let mut found = BTreeSet::new();
        for row in Table::read(&path(table)).rows() {
            for patch in row.text("patches").split([' ', ';']).filter(|p| !p.is_empty()) {
                found.insert(format!("hsc,{},{patch},{}", row.text("tract"), row.text("poly")));
            }
        }
        found
    };
    let image = |(i, corners): (usize, &Vec<bunter::LonLat>)| Image {
        instrument: "CamA",
        visit: i as i64,
        detector: 0,
        filter: "A-G",
        band: "g",
        day_obs: 20_260_101,
        region: ConvexPolygon::new(&corners.iter().map(|p| p.to_unit()).collect::<Vec<_>>()).unwrap(),
    };
    let survey = Survey::new(polygons.iter().enumerate().map(image).collect());
    let map = SkyMap::preset("hsc_rings_v1").unwrap();
    survey.butler.register_sky_map("hsc", &map).unwrap();
    let ask = |reference_behaviour| {
        let query = OverlapQuery { reference_behaviour, ..OverlapQuery::default() };
        let found = survey.butler.query_overlaps(&query).unwrap();
        (rows(&found).len(), set(rows(&found.project(&[0, 1, 2, 5]).unwrap())))
    };
    let (count, found) = ask(false);
    let expected = lists("overlaps_exact");
    let polygons_there = |rows: &BTreeSet<String>| {
        rows.iter().map(|r| r.rsplit(',').next().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    let there = polygons_there(&expected);
    let found: BTreeSet<_> = found.into_iter().filter(|r| there.contains(r.rsplit(',').next().unwrap())).collect();
    assert!(count > 1000 && found == expected, "{} {}", found.len(), expected.len());
    let (_, found) = ask(true);
    let expected = lists("find_tract_patch_list");
    let there = polygons_there(&expected);
    let found: BTreeSet<_> = found.into_iter().filter(|r| there.contains(r.rsplit(',').next().unwrap())).collect();
    assert!(expected.len() > 1000 && found == expected, "{} {}", found.len(), expected.len());
}
