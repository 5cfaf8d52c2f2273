//! Where databases differ by themselves, and must not here: texts, numbers, bytes, many rows at once, texts that would be SQL.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray};
use arrow::datatypes::Float64Type;
use bunter::{
    Inserted, Query, RegionUpdate, Registry, RegistryError, RegistryReader, StorageClass, VisitDetectorQuery,
};
use uuid::Uuid;

use super::*;

fn instruments(registry: &Registry) -> Vec<String> {
    let found = registry.dimension_records("instrument", &Query::all()).unwrap();
    found.column(0).as_string::<i32>().iter().flatten().map(str::to_owned).collect()
}

fn named(registry: &Registry, name: &str) -> Result<Inserted, RegistryError> {
    registry.insert_dimension_records("instrument", &batch(vec![("instrument", texts([name]))]))
}

pub(crate) fn texts_compare_by_bytes(registry: &Registry) {
    for name in ["b", "a", "A", "á", "a\u{301}", "ß", "ss", "a-b", "a b", "_"] {
        assert_eq!(named(registry, name).unwrap().new, 1, "{name}");
    }
    let mut sorted = instruments(registry);
    sorted.sort_unstable();
    assert_eq!(instruments(registry), sorted);
}

pub(crate) fn blanks_at_the_end_count(registry: &Registry) {
    for name in ["a", "a ", " a", "a  "] {
        assert_eq!(named(registry, name).unwrap().new, 1, "{name:?}");
    }
    let found = registry.dimension_records("instrument", &query("instrument = 'a '")).unwrap();
    assert_eq!(found.num_rows(), 1);
    assert_eq!(instruments(registry), [" a", "a", "a ", "a  "]);
}

pub(crate) fn names_of_255_bytes(registry: &Registry) {
    let long = "é".repeat(127);
    assert_eq!(named(registry, &long).unwrap().new, 1);
    let filters = batch(vec![
        ("instrument", texts([long.as_str()])),
        ("physical_filter", texts([long.as_str()])),
        ("band", texts([long.as_str()])),
    ]);
    assert_eq!(registry.insert_dimension_records("physical_filter", &filters).unwrap().new, 1);
    assert_eq!(instruments(registry), [long]);
    assert!(named(registry, &"x".repeat(256)).is_err());
    let run = "r".repeat(255);
    assert!(registry.register_run(&run).unwrap());
    assert_eq!(&*registry.collections().unwrap()[0].name, run);
}

pub(crate) fn signs_of_four_bytes(registry: &Registry) {
    assert_eq!(named(registry, "🔭\u{10fffe}").unwrap().new, 1);
    assert_eq!(instruments(registry), ["🔭\u{10fffe}"]);
    assert_eq!(
        registry.dimension_records("instrument", &query("instrument GLOB '?\u{10fffe}'")).unwrap().num_rows(),
        1
    );
}

pub(crate) fn extreme_integers(registry: &Registry) {
    fill(registry);
    let extremes = [i64::MIN, -1, 0, i64::MAX];
    let records = batch(vec![
        ("instrument", texts(["HSC"; 4])),
        ("visit", ints(extremes)),
        ("day_obs", ints([20_140_310; 4])),
        ("physical_filter", texts(["HSC-G"; 4])),
    ]);
    assert_eq!(registry.insert_dimension_records("visit", &records).unwrap().new, 4);
    assert_eq!(visits_where(registry, "visit < 100 OR visit > 1000"), extremes);
    let mut new = exposure(1, i64::MIN, 0, "runs/a");
    (new.file.size, new.file.checksum) = (u64::MAX, 1 << 63);
    registry.insert_datasets(std::slice::from_ref(&new)).unwrap();
    assert_eq!(registry.file_record(new.dataset.id).unwrap(), Some(new.file));
}

pub(crate) fn extreme_reals(registry: &Registry) {
    fill(registry);
    let reals = [5e-324, 0.1 + 0.2, f64::INFINITY, f64::NEG_INFINITY, 1.797e308];
    let records = batch(vec![
        ("instrument", texts(["HSC"; 5])),
        ("visit", ints(500..505)),
        ("day_obs", ints([20_140_310; 5])),
        ("physical_filter", texts(["HSC-G"; 5])),
        ("airmass", floats(reals.map(Some))),
    ]);
    registry.insert_dimension_records("visit", &records).unwrap();
    assert_eq!(registry.insert_dimension_records("visit", &records).unwrap().existing, 5);
    let found = registry.dimension_records("visit", &query("visit >= 500")).unwrap();
    let stored = found.column_by_name("airmass").unwrap().as_primitive::<Float64Type>();
    assert_eq!(stored.values().iter().map(|v| v.to_bits()).collect::<Vec<_>>(), reals.map(f64::to_bits));
    assert_eq!(visits_where(registry, "airmass > 1.7e308 AND visit >= 500"), [502, 504]);
}

pub(crate) fn all_bytes_and_large_ones(registry: &Registry) {
    fill(registry);
    let all: Vec<u8> = (0..=255).collect();
    let large: Vec<u8> = (0..3_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let records = batch(vec![
        ("instrument", texts(["HSC"; 2])),
        ("visit", ints([100, 101])),
        ("detector", ints([3, 3])),
        ("wcs", Arc::new(BinaryArray::from_iter_values([&all, &large])) as ArrayRef),
    ]);
    registry.insert_dimension_records("visit_detector", &records).unwrap();
    let found = registry.dimension_records("visit_detector", &query("detector = 3")).unwrap();
    let stored = found.column_by_name("wcs").unwrap().as_binary::<i32>();
    assert!(stored.value(0) == all && stored.value(1) == large);
}

fn many(from: i64, to: i64, time: f64) -> RecordBatch {
    let n = (to - from) as usize;
    batch(vec![
        ("instrument", texts(vec!["HSC"; n])),
        ("visit", ints(from..to)),
        ("day_obs", ints(vec![20_140_310; n])),
        ("physical_filter", texts(vec!["HSC-G"; n])),
        ("exposure_time", floats(vec![Some(time); n])),
    ])
}

pub(crate) fn many_records_new_and_old(registry: &Registry) {
    fill(registry);
    assert_eq!(registry.insert_dimension_records("visit", &many(1000, 4333, 1.0)).unwrap().new, 3333);
    let again = registry.insert_dimension_records("visit", &many(4000, 5000, 1.0)).unwrap();
    assert_eq!(again, Inserted { new: 667, existing: 333 });
    assert_eq!(visits_where(registry, "visit >= 1000").len(), 4000);
}

pub(crate) fn a_difference_among_many_records(registry: &Registry) {
    fill(registry);
    registry.insert_dimension_records("visit", &many(1500, 1501, 2.0)).unwrap();
    let text = message(registry.insert_dimension_records("visit", &many(1000, 4000, 1.0)));
    assert!(text.contains("visit: 1500") && text.contains("exposure_time 2, not 1"), "{text}");
    assert_eq!(visits_where(registry, "visit >= 1000"), [1500], "nothing of a failed write stays");
}

fn many_exposures() -> Vec<NewDataset> {
    (1000..1700_i64)
        .flat_map(|v| (0..4).map(move |d| exposure((v as u128) << 64 | d as u128, v, d, "runs/a")))
        .collect()
}

pub(crate) fn many_datasets_new_and_old(registry: &Registry) {
    fill(registry);
    registry.insert_dimension_records("visit", &many(1000, 1700, 1.0)).unwrap();
    let all = many_exposures();
    assert_eq!(registry.insert_datasets(&all[700..750]).unwrap().new, 50);
    assert_eq!(registry.insert_datasets(&all).unwrap(), Inserted { new: 2750, existing: 50 });
    assert_eq!(registry.insert_datasets(&all).unwrap(), Inserted { new: 0, existing: 2800 });
    assert_eq!(count(registry, "calexp", "visit >= 1000"), 2800);
}

pub(crate) fn twins_among_many_datasets(registry: &Registry) {
    fill(registry);
    registry.insert_dimension_records("visit", &many(1000, 1700, 1.0)).unwrap();
    let mut all = many_exposures();
    // The same data ID under another identity.
    all.push(exposure(77, 1300, 2, "runs/a"));
    let text = message(registry.insert_datasets(&all));
    assert!(text.contains(&Uuid::from_u128(77).to_string()), "{text}");
    assert_eq!(count(registry, "calexp", "visit >= 0"), 0);
    // The same identity under another data ID.
    all.pop();
    let mut twin = exposure(0, 1300, 2, "runs/b");
    twin.dataset.id = all[5].dataset.id;
    all.push(twin);
    assert!(matches!(registry.insert_datasets(&all), Err(RegistryError::Conflict { .. })));
    assert_eq!(count(registry, "calexp", "visit >= 0"), 0);
}

pub(crate) fn a_missing_record_among_many(registry: &Registry) {
    fill(registry);
    registry.insert_dimension_records("visit", &many(1000, 1699, 1.0)).unwrap();
    let text = message(registry.insert_datasets(&many_exposures()));
    assert!(text.contains("visit: 1699"), "{text}");
    assert_eq!(count(registry, "calexp", "visit >= 0"), 0);
}

pub(crate) fn an_identity_of_another_type_among_many(registry: &Registry) {
    fill(registry);
    registry.insert_datasets(&[patch(5, 1, 1, "r", "runs/a")]).unwrap();
    let all: Vec<_> = (0..20).map(|i| exposure(i, 100 + i as i64, 0, "runs/a")).collect();
    let text = message(registry.insert_datasets(&all));
    assert!(text.contains("another type"), "{text}");
    assert_eq!(count(registry, "calexp", "visit >= 0"), 0);
}

pub(crate) fn types_of_many_dimensions(registry: &Registry) {
    fill(registry);
    let groups: [&[&str]; 6] = [
        &["instrument"],
        &["visit"],
        &["physical_filter", "skymap", "tract"],
        &["physical_filter", "skymap", "tract", "patch", "detector"],
        &["band", "skymap"],
        &["instrument", "band", "skymap", "tract", "patch"],
    ];
    for (i, dimensions) in groups.iter().enumerate() {
        let kind = dataset_type(&format!("type_{i}"), dimensions, StorageClass::Json);
        assert!(registry.register_dataset_type(&kind, None).unwrap());
        assert!(!registry.register_dataset_type(&kind, None).unwrap());
        let found = registry.datasets(&kind.name, &["runs/a"], &Query::all(), true).unwrap();
        assert_eq!(found.num_rows(), 0);
    }
    assert_eq!(registry.dataset_types().unwrap().len(), 8);
}

pub(crate) fn a_refused_type_leaves_nothing(registry: &Registry) {
    fill(registry);
    let other = dataset_type("calexp", &["band", "instrument"], StorageClass::Json);
    assert!(registry.register_dataset_type(&other, None).is_err());
    assert_eq!(registry.dataset_type("calexp").unwrap(), calexp());
    // The next one of these dimensions is made as if nothing had been.
    let next = dataset_type("next", &["band", "instrument"], StorageClass::Json);
    assert!(registry.register_dataset_type(&next, None).unwrap());
    assert_eq!(registry.datasets("next", &["runs/a"], &Query::all(), true).unwrap().num_rows(), 0);
}

pub(crate) fn texts_that_would_be_sql(registry: &Registry) {
    fill(registry);
    for (i, text) in
        ["'", "''; DROP TABLE visit; --", "\" OR 1=1", "`", "$1", "?1", ":a", "%s", "/*", "$$", "E'\\''", "#"]
            .into_iter()
            .enumerate()
    {
        let (i, name) = (i as i64, text.replace(['/', '*', '?', ',', '\\'], "|"));
        registry.register_run(&format!("run {name}x")).unwrap();
        named(registry, text).unwrap();
        let detector = batch(vec![
            ("instrument", texts([text])),
            ("detector", ints([i])),
            ("full_name", texts([text])),
            ("purpose", texts([text])),
        ]);
        registry.insert_dimension_records("detector", &detector).unwrap();
        registry.replace_dimension_records("detector", &detector).unwrap();
        let quoted = text.replace('\'', "''");
        let found = registry.dimension_records("detector", &query(&format!("purpose = '{quoted}'"))).unwrap();
        assert_eq!(found.column_by_name("full_name").unwrap().as_string::<i32>().value(0), text);
        registry.register_sky_map(text, text, &[1; 20], 5, (2, 2)).unwrap();
        assert_eq!(registry.sky_map_definition(text).unwrap(), text);
        let mut new = exposure(i as u128, 100 + i, 0, "runs/a");
        new.file.path = format!("raw/{name}");
        registry.insert_datasets(std::slice::from_ref(&new)).unwrap();
        assert_eq!(registry.file_record(new.dataset.id).unwrap(), Some(new.file));
        for wrong in [
            registry.path_template(text).is_err(),
            registry.register_dataset_type(&dataset_type(text, &[], StorageClass::Json), None).is_err(),
            registry.quanta(text, text).is_err(),
        ] {
            assert!(wrong, "{text}");
        }
    }
    assert_eq!(visits_where(registry, "visit > 0").len(), 20);
    assert_eq!(registry.collections().unwrap().len(), 14);
}

pub(crate) fn patterns_have_no_other_signs(registry: &Registry) {
    fill(registry);
    for (number, name) in ["a%b", "a_b", "a|b", "axb", "a\\b", "A_B"].into_iter().enumerate() {
        let detector = batch(vec![
            ("instrument", texts(["HSC"])),
            ("detector", ints([10 + number as i64])),
            ("full_name", texts([name])),
        ]);
        registry.insert_dimension_records("detector", &detector).unwrap();
    }
    let matching = |pattern: &str| {
        let found = registry.dimension_records("detector", &query(&format!("full_name GLOB '{pattern}'"))).unwrap();
        column(&found, "detector").values().to_vec()
    };
    assert_eq!(matching("a%b"), [10]);
    assert_eq!(matching("a_b"), [11]);
    assert_eq!(matching("a|b"), [12]);
    assert_eq!(matching("a\\b"), [14]);
    assert_eq!(matching("a?b"), [10, 11, 12, 13, 14]);
}

pub(crate) fn a_refusal_is_not_the_end(registry: &Registry) {
    fill(registry);
    for _ in 0..3 {
        assert!(registry.insert_datasets(&[exposure(1, 9999, 0, "runs/a")]).is_err());
        assert!(registry.datasets("nothing", &["runs/a"], &Query::all(), true).is_err());
        assert!(registry.set_collection_chain("c", &["runs/a", "nothing"]).is_err());
    }
    assert_eq!(registry.insert_datasets(&[exposure(1, 100, 0, "runs/a")]).unwrap().new, 1);
    assert_eq!(registry.collections().unwrap().len(), 2);
}

pub(crate) fn regions_have_a_history(registry: &Registry) {
    fill(registry);
    let regions = |byte: u8| {
        let (visits, n) = (100..120_i64, 20);
        batch(vec![
            ("instrument", texts(vec!["HSC"; n])),
            ("visit", ints(visits)),
            ("detector", ints(vec![1; n])),
            ("region", Arc::new(BinaryArray::from_iter_values(vec![[byte, 0]; n])) as ArrayRef),
        ])
    };
    let update = |byte: u8| {
        let mut tables = vec![regions(byte)];
        let what = RegionUpdate { message: "it's \"new\"".to_owned(), ..RegionUpdate::default() };
        registry.update_regions::<RegistryError>(&what, &mut || Ok(tables.pop())).unwrap()
    };
    assert_eq!((update(1).changed, update(1).changed, update(2).changed), (20, 0, 20));
    assert_eq!(registry.region_state().unwrap().number, 3);
    let history = registry.region_history(&query("visit = 105 AND detector = 1")).unwrap();
    let regions: Vec<_> =
        history.column_by_name("region").unwrap().as_binary::<i32>().iter().flatten().map(<[u8]>::to_vec).collect();
    assert_eq!(regions, [vec![105, 1, 0, 255], vec![1, 0], vec![2, 0]]);
    assert_eq!(registry.region_events().unwrap().last().unwrap().message, "it's \"new\"");
    // Replacing records is an event, too; what is given as absent takes the place of what was there.
    let gone = batch(vec![
        ("instrument", texts(["HSC"])),
        ("visit", ints([105])),
        ("detector", ints([1])),
        ("region", Arc::new(BinaryArray::from_opt_vec(vec![None])) as ArrayRef),
    ]);
    registry.replace_dimension_records("visit_detector", &gone).unwrap();
    assert_eq!(registry.region_state().unwrap().number, 4);
    let left = VisitDetectorQuery { with_regions: true, ..VisitDetectorQuery::default() };
    assert_eq!(registry.visit_detectors(&left).unwrap().num_rows(), 59);
}

pub(crate) fn images_near_a_place(registry: &Registry) {
    fill(registry);
    let everywhere =
        bunter::Circle::new(bunter::LonLat::from_degrees(0.0, 0.0).to_unit(), std::f64::consts::PI).unwrap();
    let wanted = VisitDetectorQuery { near: Some(vec![everywhere]), ..VisitDetectorQuery::default() };
    // These regions are no regions: where they lie is unknown, and so they may be everywhere.
    assert_eq!(registry.visit_detectors(&wanted).unwrap().num_rows(), 60);
    let limited = VisitDetectorQuery { limit: Some(7), ..wanted };
    assert_eq!(registry.visit_detectors(&limited).unwrap().num_rows(), 7);
}

pub(crate) fn long_lists_of_texts(registry: &Registry) {
    fill(registry);
    let odd = ["it''s", "a\"b", "a\\b", "é", "🔭", "{}", "[1]", "null", "5"];
    let list: Vec<_> = (0..60).map(|i| format!("'x{i}'")).chain(odd.iter().map(|t| format!("'{t}'"))).collect();
    for text in odd {
        named(registry, &text.replace("''", "'")).unwrap();
    }
    let found =
        registry.dimension_records("instrument", &query(&format!("instrument IN ({})", list.join(", ")))).unwrap();
    assert_eq!(found.num_rows(), odd.len());
}

pub(crate) fn removing_many(registry: &Registry) {
    fill_with_datasets(registry);
    registry.insert_datasets(&[patch(7, 1, 1, "r", "runs/a")]).unwrap();
    let ids: Vec<_> = (1000..1100).chain([7, 99_999]).map(Uuid::from_u128).collect();
    assert_eq!(registry.remove_datasets(&ids).unwrap(), 41);
    assert_eq!(registry.remove_datasets(&ids).unwrap(), 0);
    assert_eq!(count(registry, "calexp", "visit < 110"), 0);
}

pub(crate) fn a_moment_stays_what_it_was(registry: &Registry) {
    fill_with_datasets(registry);
    // A registry in memory has one connection, and says so.
    let Ok(moment) = registry.at_this_moment() else { return };
    registry.register_run("later").unwrap();
    registry.remove_datasets(&[Uuid::from_u128(1000)]).unwrap();
    assert_eq!(moment.collections().unwrap().len(), 2);
    assert!(moment.dataset(Uuid::from_u128(1000)).unwrap().is_some());
    assert!(matches!(moment.register_run("x"), Err(RegistryError::ReadOnly { .. })));
    assert_eq!(registry.collections().unwrap().len(), 3);
    assert_eq!(registry.at_this_moment().unwrap().collections().unwrap().len(), 3);
}
