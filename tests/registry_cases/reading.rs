//! Cases that only read, asked of every database and of a snapshot.

use std::sync::OnceLock;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Float64Type;
use bunter::{
    CollectionType, DataId, OrderBy, Query, Registry, RegistryReader, Selection, Snapshot, VisitDetectorQuery,
};
use uuid::Uuid;

use super::{coadd, column, exposure, fill_with_datasets, message, numbers, patch, query};
use crate::servers::{Kind, new_registry};

type Reader = &'static (dyn RegistryReader + Send + Sync);

/// All that the cases know of.
fn filled(registry: Registry) -> Registry {
    fill_with_datasets(&registry);
    let coadds: Vec<_> =
        (0..12).map(|i| patch(5000 + i as u128, i / 4, i % 4, if i % 2 == 0 { "g" } else { "r" }, "runs/a")).collect();
    registry.insert_datasets(&coadds).unwrap();
    registry.set_collection_chain("ba", &["runs/b", "runs/a"]).unwrap();
    registry.set_collection_chain("nested", &["ba", "runs/a"]).unwrap();
    registry
}

pub(crate) fn memory() -> Reader {
    static READER: OnceLock<Registry> = OnceLock::new();
    READER.get_or_init(|| filled(Registry::in_memory().unwrap()))
}

pub(crate) fn file() -> Reader {
    static READER: OnceLock<(Registry, tempfile::TempDir)> = OnceLock::new();
    let (registry, _) = READER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        (filled(Registry::create(folder.path().join("registry.sqlite3")).unwrap()), folder)
    });
    registry
}

pub(crate) fn postgres() -> Option<Reader> {
    static READER: OnceLock<Option<Registry>> = OnceLock::new();
    READER.get_or_init(|| new_registry(Kind::Postgres).map(filled)).as_ref().map(|r| r as Reader)
}

pub(crate) fn mariadb() -> Option<Reader> {
    static READER: OnceLock<Option<Registry>> = OnceLock::new();
    READER.get_or_init(|| new_registry(Kind::Mariadb).map(filled)).as_ref().map(|r| r as Reader)
}

pub(crate) fn snapshot() -> Reader {
    static READER: OnceLock<Reader> = OnceLock::new();
    *READER.get_or_init(|| {
        let selection = ["calexp", "coadd"].iter().fold(Selection::new(["*"]), |s, t| s.with_datasets(*t, None));
        let selection = ["instrument", "detector", "visit", "visit_detector"]
            .iter()
            .fold(selection, |s, element| s.with_records(*element, None));
        let bytes = Snapshot::build(&filled(Registry::in_memory().unwrap()), &selection).unwrap().to_bytes().unwrap();
        let snapshot: &'static Snapshot = Box::leak(Box::new(Snapshot::from_bytes(bytes).unwrap()));
        Box::leak(Box::new(snapshot.registry().unwrap()))
    })
}

fn visits(reader: Reader, text: &str) -> Vec<i64> {
    column(&reader.dimension_records("visit", &query(text)).unwrap(), "visit").values().to_vec()
}

fn ordered(keys: &[&str], limit: Option<usize>) -> Query {
    Query { order_by: keys.iter().map(|k| OrderBy::parse(k)).collect(), limit, ..Query::all() }
}

pub(crate) fn dataset_types_by_name(reader: Reader) {
    let names: Vec<_> = reader.dataset_types().unwrap().iter().map(|t| t.name.to_string()).collect();
    assert_eq!(names, ["calexp", "coadd"]);
    assert_eq!(reader.dataset_type("coadd").unwrap(), coadd());
}

pub(crate) fn an_unknown_type_has_a_near_miss(reader: Reader) {
    let text = message(reader.dataset_type("calexq"));
    assert!(text.contains("did you mean `calexp`?"), "{text}");
    assert!(reader.datasets("calexq", &["runs/a"], &Query::all(), true).is_err());
}

pub(crate) fn collections_by_name_with_children(reader: Reader) {
    let all = reader.collections().unwrap();
    let names: Vec<_> = all.iter().map(|c| c.name.to_string()).collect();
    assert_eq!(names, ["ba", "nested", "runs/a", "runs/b"]);
    assert_eq!(all[0].collection_type, CollectionType::Chained);
    assert_eq!(all[0].children.iter().map(|c| &**c).collect::<Vec<_>>(), ["runs/b", "runs/a"]);
    assert!(all[2].children.is_empty());
}

pub(crate) fn records_come_in_the_order_of_their_keys(reader: Reader) {
    assert_eq!(visits(reader, "visit > 0"), (100..120).collect::<Vec<_>>());
    let found = reader.dimension_records("visit_detector", &Query::all()).unwrap();
    let detectors = column(&found, "detector").values().to_vec();
    assert_eq!((found.num_rows(), &detectors[..4]), (60, &[0, 1, 2, 0][..]));
}

pub(crate) fn filters_by_metadata(reader: Reader) {
    assert_eq!(visits(reader, "visit.exposure_time > 27.5"), [118, 119]);
    assert_eq!(visits(reader, "exposure_time >= 10 AND exposure_time <= 11"), [100, 101]);
}

pub(crate) fn filters_by_an_implied_band(reader: Reader) {
    assert_eq!(visits(reader, "band = 'i'"), [115, 116, 117, 118, 119]);
    assert_eq!(visits(reader, "band = 'I'"), [0; 0]);
}

pub(crate) fn absent_values_are_not_compared(reader: Reader) {
    assert_eq!(visits(reader, "visit.seeing IS NULL"), [100, 105, 110, 115]);
    assert_eq!(visits(reader, "visit.seeing < 10 OR visit.seeing >= 10").len(), 16);
    assert_eq!(visits(reader, "NOT visit.seeing < 10"), [0; 0]);
}

pub(crate) fn patterns_of_texts(reader: Reader) {
    let found = reader.dimension_records("detector", &query("full_name GLOB '1_5?'")).unwrap();
    assert_eq!(column(&found, "detector").values(), &[0, 1]);
    let found = reader.dimension_records("detector", &query("full_name GLOB '?*'")).unwrap();
    assert_eq!(found.num_rows(), 4);
    let found = reader.dimension_records("detector", &query("full_name GLOB '%'")).unwrap();
    assert_eq!(found.num_rows(), 0);
}

pub(crate) fn ranges_and_lists(reader: Reader) {
    assert_eq!(visits(reader, "visit IN (100..110:5, 119)"), [100, 105, 110, 119]);
    assert_eq!(visits(reader, "visit NOT IN (100..118)"), [119]);
    let long: Vec<_> = (0..200).map(|v| (v * 3).to_string()).collect();
    assert_eq!(visits(reader, &format!("visit IN ({})", long.join(", "))), [102, 105, 108, 111, 114, 117]);
}

pub(crate) fn absent_values_come_last_in_either_order(reader: Reader) {
    let found = |key: &str| {
        let found = reader.dimension_records("visit", &ordered(&[key], None)).unwrap();
        column(&found, "visit").values()[16..].to_vec()
    };
    assert_eq!(found("visit.seeing"), [100, 105, 110, 115]);
    assert_eq!(found("-visit.seeing"), [100, 105, 110, 115]);
}

pub(crate) fn the_limit_is_of_ordered_rows(reader: Reader) {
    let found = reader.dimension_records("visit", &ordered(&["-visit"], Some(2))).unwrap();
    assert_eq!(column(&found, "visit").values(), &[119, 118]);
    assert_eq!(reader.dimension_records("visit", &ordered(&[], Some(0))).unwrap().num_rows(), 0);
}

pub(crate) fn empty_answers_have_their_columns(reader: Reader) {
    let none = reader.dimension_records("visit", &query("visit < 0")).unwrap();
    let all = reader.dimension_records("visit", &Query::all()).unwrap();
    assert_eq!((none.num_rows(), none.schema()), (0, all.schema()));
}

pub(crate) fn derived_records_are_distinct(reader: Reader) {
    let bands = reader.dimension_records("band", &Query::all()).unwrap();
    assert_eq!(bands.column(0).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["g", "i", "r"]);
    let nights = reader.dimension_records("day_obs", &Query::all()).unwrap();
    assert_eq!(column(&nights, "day_obs").values(), &[20_140_310, 20_140_311]);
}

pub(crate) fn computed_records_are_refused(reader: Reader) {
    assert!(message(reader.dimension_records("tract", &Query::all())).contains("sky map"));
}

pub(crate) fn unknown_names_have_near_misses(reader: Reader) {
    for (text, part) in [
        (message(reader.dimension_records("visitt", &Query::all())), "did you mean `visit`?"),
        (message(reader.dimension_records("visit", &query("visit.seing > 1"))), "did you mean `seeing`?"),
        (message(reader.dimension_records("visit", &query("visit = 'x'"))), "cannot compare"),
        (message(reader.dimension_records("visit", &ordered(&["seing"], None))), "did you mean `seeing`?"),
    ] {
        assert!(text.contains(part), "{text}");
    }
}

pub(crate) fn reals_come_back_to_the_last_bit(reader: Reader) {
    let found = reader.dimension_records("visit", &query("visit = 107")).unwrap();
    let seeing = found.column_by_name("seeing").unwrap().as_primitive::<Float64Type>().value(0);
    assert_eq!(seeing.to_bits(), (0.5 + 7.0 / 100.0_f64).to_bits());
}

pub(crate) fn datasets_have_their_implied_dimensions(reader: Reader) {
    let found = reader.datasets("calexp", &["runs/a"], &query("visit = 116"), false).unwrap();
    assert_eq!(numbers(&found), [1160, 1161, 1162, 1163]);
    assert_eq!(found.column_by_name("band").unwrap().as_string::<i32>().value(3), "i");
    assert_eq!(column(&found, "day_obs").value(0), 20_140_311);
}

pub(crate) fn the_first_of_a_chain_is_found(reader: Reader) {
    let found = reader.datasets("calexp", &["ba"], &query("detector = 0 AND visit IN (109, 110)"), true).unwrap();
    assert_eq!(numbers(&found), [1090, 101_100]);
    let nested = reader.datasets("calexp", &["nested"], &Query::all(), true).unwrap();
    assert_eq!(nested.num_rows(), 80);
}

pub(crate) fn all_of_a_chain_come_in_its_order(reader: Reader) {
    let found = reader.datasets("calexp", &["ba"], &query("detector = 0 AND visit = 110"), false).unwrap();
    assert_eq!(numbers(&found), [101_100, 1100]);
}

pub(crate) fn patterns_name_collections(reader: Reader) {
    let found = reader.datasets("calexp", &["runs/?"], &query("detector = 0 AND visit = 110"), false).unwrap();
    assert_eq!(numbers(&found), [1100, 101_100]);
    assert!(message(reader.datasets("calexp", &["runs/*"], &Query::all(), true)).contains("no search order"));
}

pub(crate) fn an_unknown_collection_has_a_near_miss(reader: Reader) {
    let text = message(reader.datasets("calexp", &["runs/aa"], &Query::all(), true));
    assert!(text.contains("did you mean `runs/a`?"), "{text}");
}

pub(crate) fn datasets_by_metadata_and_order(reader: Reader) {
    let query =
        Query { filter: query("visit.exposure_time > 28 AND detector < 2").filter, ..ordered(&["-detector"], None) };
    let found = reader.datasets("calexp", &["runs/a"], &query, true).unwrap();
    assert_eq!(numbers(&found), [1191, 1190]);
}

pub(crate) fn coadds_by_patch_and_band(reader: Reader) {
    let found = reader.datasets("coadd", &["runs/a"], &query("tract IN (1, 2) AND band = 'r'"), false).unwrap();
    assert_eq!(numbers(&found), [5005, 5009, 5007, 5011]);
    assert_eq!(reader.datasets("coadd", &["runs/b"], &Query::all(), false).unwrap().num_rows(), 0);
}

pub(crate) fn one_dataset_is_found(reader: Reader) {
    let id = exposure(0, 112, 3, "").dataset.data_id;
    let find = |collections: &[&str]| reader.find_dataset("calexp", &id, collections).unwrap();
    let found = find(&["ba"]).unwrap();
    assert_eq!((found.id.as_u128(), &*found.run, &found.data_id), (101_123, "runs/b", &id));
    assert_eq!(find(&["runs/a", "ba"]).unwrap().id.as_u128(), 1123);
    assert_eq!(find(&[]), None);
}

pub(crate) fn implied_values_must_agree(reader: Reader) {
    let id = exposure(0, 112, 3, "").dataset.data_id;
    let find = |id: &DataId| reader.find_dataset("calexp", id, &["runs/a"]).unwrap().map(|d| d.id.as_u128());
    assert_eq!(find(&id.clone().with("band", "g")), Some(1123));
    assert_eq!(find(&id.clone().with("band", "r")), None);
    assert_eq!(find(&id.clone().with("physical_filter", "HSC-G")), Some(1123));
    assert_eq!(find(&id.with("visit", 1)), None);
}

pub(crate) fn finding_wants_all_keys_of_their_types(reader: Reader) {
    for (id, part) in [
        (DataId::new().with("instrument", "HSC").with("visit", 112), "detector"),
        (exposure(0, 112, 3, "").dataset.data_id.with("visit", "112"), "is an integer"),
    ] {
        let text = message(reader.find_dataset("calexp", &id, &["runs/a"]));
        assert!(text.contains(part), "{text}");
    }
}

pub(crate) fn datasets_by_identity(reader: Reader) {
    let found = reader.dataset(Uuid::from_u128(1123)).unwrap().unwrap();
    assert_eq!(found, exposure(1123, 112, 3, "runs/a").dataset);
    assert_eq!(reader.dataset(Uuid::from_u128(u128::MAX)).unwrap(), None);
    assert_eq!(reader.dataset(Uuid::nil()).unwrap(), None);
}

pub(crate) fn files_in_the_order_asked(reader: Reader) {
    let found = reader.file_records(&[5003, 7, 1123, 5003].map(Uuid::from_u128)).unwrap();
    let wanted = |number: u128| Some(exposure(number, 0, 0, "").file);
    assert_eq!(found, [wanted(5003), None, wanted(1123), wanted(5003)]);
    assert_eq!(reader.file_records(&[]).unwrap(), []);
    assert_eq!(reader.file_record(Uuid::from_u128(1123)).unwrap(), wanted(1123));
}

pub(crate) fn sky_map_definitions(reader: Reader) {
    assert_eq!(reader.sky_map_definition("rings").unwrap(), "name = 'rings'");
    assert!(message(reader.sky_map_definition("ring")).contains("did you mean `rings`?"));
}

pub(crate) fn the_region_state_is_said(reader: Reader) {
    assert_eq!(reader.region_state().unwrap().number, 1);
    assert_eq!(reader.region_state().unwrap(), memory().region_state().unwrap());
}

pub(crate) fn images_with_their_regions(reader: Reader) {
    let wanted = VisitDetectorQuery { with_regions: true, limit: Some(3), ..VisitDetectorQuery::default() };
    let found = reader.visit_detectors(&wanted).unwrap();
    assert_eq!(found.num_rows(), 3);
    assert_eq!(found.column_by_name("region").unwrap().as_binary::<i32>().value(2), [100, 2, 0, 255]);
    let behind = VisitDetectorQuery { after: Some(("HSC".to_owned(), 119, 1)), ..VisitDetectorQuery::default() };
    let found = reader.visit_detectors(&behind).unwrap();
    assert_eq!((found.num_rows(), column(&found, "detector").value(0)), (1, 2));
    assert_eq!(found.column_by_name("band").unwrap().null_count(), 0);
}
