//! A snapshot of a registry answers as the registry does: compared with a slow reader that looks at one row at a time, and with SQL.
#![allow(clippy::unwrap_used, clippy::panic, clippy::type_complexity, reason = "helpers of tests fail by panicking")]

mod plain_registry;

use arrow::array::FixedSizeBinaryArray;
use bunter::{
    Collection, CollectionType, DatasetType, Expression, FileRecord, Format, NewDataset, OrderBy, Query, Registry,
    RegistryError, RegistryReader, Selection, Snapshot, StorageClass, Universe,
};
use plain_registry::{Plain, Row, Value, row};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use uuid::Uuid;

struct Dice(ChaCha8Rng);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0.next_u32() as usize % n
    }
    fn of<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }
}

fn text(s: &str) -> Value {
    Value::Text(s.to_owned())
}

#[expect(clippy::too_many_lines, reason = "a list of facts")]
/// A registry with everything that is awkward: absent values, datasets in several collections, nested chains.
fn registry(dice: &mut Dice) -> Plain {
    let mut plain = Plain::default();
    let element = |name: &str, values: &[(&str, Value)]| {
        let mut record = row(values);
        for (name, ..) in Universe::builtin().element(name).unwrap().columns() {
            record.entry(name.to_owned()).or_insert(Value::Null);
        }
        record
    };
    let filters = [("HSC", "HSC-R", "r"), ("HSC", "HSC-R2", "r"), ("HSC", "HSC-Y", "y"), ("LATISS", "blé~été", "r")];
    for instrument in ["HSC", "LATISS"] {
        plain.records.entry("instrument").or_default().push(element("instrument", &[("instrument", text(instrument))]));
        for detector in 0..4 {
            let name = if detector == 3 { Value::Null } else { Value::Text(format!("S{detector}_é")) };
            let values = [("instrument", text(instrument)), ("detector", Value::Int(detector)), ("full_name", name)];
            plain.records.entry("detector").or_default().push(element("detector", &values));
        }
    }
    for (instrument, filter, band) in filters {
        let values = [("instrument", text(instrument)), ("physical_filter", text(filter)), ("band", text(band))];
        plain.records.entry("physical_filter").or_default().push(element("physical_filter", &values));
    }
    let mut raws = Vec::new();
    for _ in 0..14 {
        let (instrument, filter, band) = dice.of(&filters);
        let visit = dice.below(1000) as i64 - 100;
        let known = |r: &Row| r["instrument"] == text(instrument) && r["visit"] == Value::Int(visit);
        if plain.records.entry("visit").or_default().iter().any(known) {
            continue;
        }
        let maybe = |dice: &mut Dice, v: Value| if dice.below(3) == 0 { Value::Null } else { v };
        let day = 20_260_101 + dice.below(3) as i64;
        let (time, air) = (dice.of(&[30.0, 30.5, 45.0, 300.0]), dice.of(&[1.0, 1.2, 30.0]));
        let values = [
            ("instrument", text(instrument)),
            ("visit", Value::Int(visit)),
            ("day_obs", Value::Int(day)),
            ("physical_filter", text(filter)),
            ("name", {
                let v = dice.of(&[text("a"), text("B*"), text(""), text("ä_b")]);
                maybe(dice, v)
            }),
            ("exposure_time", maybe(dice, Value::Float(time))),
            ("airmass", maybe(dice, Value::Float(air))),
        ];
        plain.records.entry("visit").or_default().push(element("visit", &values));
        for detector in 0..4 {
            let key =
                [("instrument", text(instrument)), ("visit", Value::Int(visit)), ("detector", Value::Int(detector))];
            if dice.below(4) > 0 {
                let seeing = Value::Float(dice.of(&[0.6, 0.7, 1.5]));
                let more = [
                    ("width", Value::Int(2048)),
                    ("seeing", maybe(dice, seeing)),
                    ("region", Value::Bytes(vec![0, 255, detector as u8])),
                ];
                let values: Vec<_> = key.iter().cloned().chain(more).collect();
                plain.records.entry("visit_detector").or_default().push(element("visit_detector", &values));
            }
            let implied = [("band", text(band)), ("day_obs", Value::Int(day)), ("physical_filter", text(filter))];
            raws.push(row(&key.iter().cloned().chain(implied).collect::<Vec<_>>()));
        }
    }
    let sky = [
        ("skymap", text("rings")),
        ("definition", text("kind = 'rings'\n")),
        ("hash", Value::Bytes(vec![7; 20])),
        ("tract_max", Value::Int(9)),
        ("patch_nx_max", Value::Int(3)),
        ("patch_ny_max", Value::Int(3)),
    ];
    plain.records.entry("skymap").or_default().push(element("skymap", &sky));
    let kind = |name: &str, dimensions: &[&str]| DatasetType {
        name: name.into(),
        dimensions: dimensions.iter().map(|d| (*d).into()).collect(),
        storage_class: StorageClass::Exposure,
    };
    plain.types = vec![
        kind("coadd", &["band", "patch", "skymap", "tract"]),
        kind("config", &[]),
        kind("raw", &["detector", "instrument", "visit"]),
        kind("unused", &["instrument"]),
    ];
    let collection = |name: &str, collection_type, children: &[&str]| Collection {
        name: name.into(),
        collection_type,
        children: children.iter().map(|c| (*c).into()).collect(),
    };
    plain.collections = vec![
        collection("all", CollectionType::Chained, &["best", "inner", "runs/a"]),
        collection("best", CollectionType::Tagged, &[]),
        collection("calib", CollectionType::Calibration, &[]),
        collection("inner", CollectionType::Chained, &["runs/b", "best", "runs/c"]),
        collection("runs/a", CollectionType::Run, &[]),
        collection("runs/b", CollectionType::Run, &[]),
        collection("runs/c", CollectionType::Run, &[]),
    ];
    let coadds = (0..40).map(|i| {
        row(&[
            ("skymap", text("rings")),
            ("tract", Value::Int(i / 9)),
            ("patch", Value::Int(i % 9)),
            ("band", text(if i % 2 == 0 { "r" } else { "y" })),
        ])
    });
    let all = raws.into_iter().map(|r| ("raw", r)).chain(coadds.map(|r| ("coadd", r))).chain([("config", Row::new())]);
    for (kind, values) in all {
        for run in ["runs/a", "runs/b", "runs/c"] {
            if dice.below(2) == 0 {
                let id = Uuid::from_u128(u128::from(dice.0.next_u64()) << 64 | u128::from(dice.0.next_u64()));
                let tagged = |plain: &Plain, tag: &str| {
                    plain.datasets.iter().any(|d| d.1 == kind && d.2 == values && d.4.iter().any(|t| t == tag))
                };
                let tags: Vec<String> = ["best", "calib"]
                    .iter()
                    .filter(|t| dice.below(2) == 0 && !tagged(&plain, t))
                    .map(|t| (*t).to_owned())
                    .collect();
                if dice.below(5) > 0 {
                    let record = FileRecord {
                        path: format!("{run}/{id}.é"),
                        format: dice.of(&[Format::Json, Format::Hdf5]),
                        size: dice.0.next_u64(),
                        checksum: dice.0.next_u64(),
                    };
                    plain.files.insert(id, record);
                }
                plain.datasets.push((id, kind, values.clone(), run.to_owned(), tags));
            }
        }
    }
    plain
}

/// A filter of random shape; some name what is not in scope, which every reader must refuse.
fn expression(dice: &mut Dice, depth: usize) -> Expression {
    if depth > 0 && dice.below(2) == 0 {
        let (a, b) = (expression(dice, depth - 1), expression(dice, depth - 1));
        return match dice.below(3) {
            0 => Expression::And(a.into(), b.into()),
            1 => Expression::Or(a.into(), b.into()),
            _ => Expression::Not(a.into()),
        };
    }
    let texts = [
        "visit > 200",
        "visit IN (-50..900:3)",
        "exposure_time >= 30.5",
        "exposure_time IN (30, 45)",
        "visit.airmass < exposure_time",
        "band = 'r'",
        "band != 'y'",
        "physical_filter GLOB 'HSC-?*'",
        "visit.name GLOB '*b'",
        "visit.name GLOB 'B?'",
        "visit.name IS NULL",
        "visit_detector.seeing < 1",
        "visit_detector.seeing IS NOT NULL",
        "visit_detector.region IS NULL",
        "instrument = 'HSC'",
        "detector IN (0, 2..3)",
        "detector.full_name >= 'S1'",
        "day_obs = 20260102",
        "tract < 3",
        "patch NOT IN (0..8:2)",
        "skymap = 'rings'",
        "visit < 300.5",
        "visit = detector",
        "exposure_time NOT IN (30.0, 300)",
        "band IN ('r', 'z')",
        "visit_detector.width = 2048.0",
        "visit.name < band",
        "'HSC' = instrument",
        "2 > 1",
        "visit.name = physical_filter",
        "detector.full_name GLOB 'S?_é'",
    ];
    Expression::parse(dice.of(&texts)).unwrap()
}

fn query(dice: &mut Dice) -> Query {
    let keys = [
        "visit",
        "-visit",
        "band",
        "-exposure_time",
        "visit.name",
        "-visit_detector.seeing",
        "detector",
        "-instrument",
        "patch",
        "-tract",
        "day_obs",
        "-physical_filter",
    ];
    let filter = (dice.below(5) > 0).then(|| expression(dice, 3));
    let order_by = (0..dice.below(3)).map(|_| OrderBy::parse(dice.of(&keys))).collect();
    Query { filter, order_by, limit: (dice.below(3) == 0).then(|| dice.below(20)) }
}

const PATHS: [&[&str]; 11] = [
    &["all"],
    &["inner"],
    &["runs/a"],
    &["runs/c", "runs/a"],
    &["best", "runs/b"],
    &["calib"],
    &[],
    &["runs/*"],
    &["*"],
    &["nowhere"],
    &["inner", "all"],
];

/// Every question, asked of both; errors must be of the same kind. Returns how many were answered.
fn same_answers(one: &dyn RegistryReader, other: &dyn RegistryReader, dice: &mut Dice, rounds: usize) -> usize {
    fn same<T: PartialEq + std::fmt::Debug>(
        a: Result<T, RegistryError>,
        b: Result<T, RegistryError>,
        what: &str,
    ) -> usize {
        match (a, b) {
            (Ok(a), Ok(b)) => {
                assert_eq!(a, b, "{what}");
                1
            }
            (Err(a), Err(b)) => {
                assert_eq!(std::mem::discriminant(&a), std::mem::discriminant(&b), "{what}: {a} / {b}");
                0
            }
            (a, b) => panic!("{what}: {a:?} / {b:?}"),
        }
    }
    assert_eq!(one.dataset_types().unwrap(), other.dataset_types().unwrap());
    assert_eq!(one.collections().unwrap(), other.collections().unwrap());
    for name in ["rings", "ring"] {
        same(one.sky_map_definition(name), other.sky_map_definition(name), name);
    }
    let mut answered = 0;
    for _ in 0..rounds {
        let query = query(dice);
        let element = dice.of(&[
            "instrument",
            "visit",
            "visit_detector",
            "detector",
            "physical_filter",
            "band",
            "day_obs",
            "skymap",
            "ccd",
            "tract",
            "vist",
        ]);
        let what = format!("{element} {query:?}");
        answered += same(one.dimension_records(element, &query), other.dimension_records(element, &query), &what);
        let (kind, path, first) =
            (dice.of(&["raw", "raw", "coadd", "config", "unused", "rwa"]), dice.of(&PATHS), dice.below(2) == 0);
        let what = format!("{kind} {path:?} {first} {query:?}");
        answered += same(one.datasets(kind, path, &query, first), other.datasets(kind, path, &query, first), &what);
    }
    for kind in ["raw", "coadd", "config"] {
        let all = one.datasets(kind, &["*"], &Query::all(), false).unwrap();
        for row in 0..all.num_rows() {
            let id =
                Uuid::from_slice(all.column(0).as_any().downcast_ref::<FixedSizeBinaryArray>().unwrap().value(row))
                    .unwrap();
            answered += same(one.dataset(id), other.dataset(id), kind);
            answered += same(one.file_record(id), other.file_record(id), kind);
            let mut data_id = one.dataset(id).unwrap().unwrap().data_id;
            match dice.below(6) {
                0 => data_id.set("band", dice.of(&["r", "y"])),
                1 => data_id.set("visit", dice.below(900) as i64),
                2 => data_id.set("patch", "text"),
                3 => data_id.set("physical_filter", "HSC-R2"),
                _ => {}
            }
            let path = dice.of(&PATHS);
            let what = format!("{kind} {data_id} {path:?}");
            answered += same(one.find_dataset(kind, &data_id, path), other.find_dataset(kind, &data_id, path), &what);
        }
    }
    assert_eq!(one.dataset(Uuid::nil()).unwrap(), None);
    assert_eq!(other.dataset(Uuid::nil()).unwrap(), None);
    assert_eq!(other.file_records(&[Uuid::nil()]).unwrap(), [None]);
    answered
}

fn everything() -> Selection {
    let types = ["raw", "coadd", "config", "unused"];
    let selection = types.iter().fold(Selection::new(["*"]), |s, t| s.with_datasets(*t, None));
    ["instrument", "detector", "visit", "visit_detector"].iter().fold(selection, |s, e| s.with_records(*e, None))
}

#[test]
fn a_snapshot_answers_as_the_registry_does() {
    for seed in 0..6 {
        let dice = &mut Dice(ChaCha8Rng::seed_from_u64(seed));
        let plain = registry(dice);
        let bytes = Snapshot::build(&plain, &everything()).unwrap().to_bytes().unwrap();
        let snapshot = Snapshot::from_bytes(bytes).unwrap();
        snapshot.verify().unwrap();
        let answered = same_answers(&plain, &snapshot.registry().unwrap(), dice, 250);
        assert!(answered > 300, "only {answered} questions were answered");
    }
}

/// The same in an SQL registry, which knows no TAGGED and CALIBRATION collections.
fn in_sqlite(plain: &mut Plain) -> Registry {
    plain.collections.retain(|c| !matches!(c.collection_type, CollectionType::Tagged | CollectionType::Calibration));
    plain.collections.iter_mut().for_each(|c| c.children.retain(|child| **child != *"best"));
    plain.datasets.iter_mut().for_each(|d| d.4.clear());
    let registry = Registry::in_memory().unwrap();
    for element in ["instrument", "physical_filter", "detector", "visit", "visit_detector", "skymap"] {
        registry.insert_dimension_records(element, &plain.dimension_records(element, &Query::all()).unwrap()).unwrap();
    }
    for dataset_type in &plain.types {
        registry.register_dataset_type(dataset_type, None).unwrap();
    }
    for run in ["runs/a", "runs/b", "runs/c"] {
        registry.register_run(run).unwrap();
    }
    for chain in ["inner", "all"] {
        let found = plain.collections.iter().find(|c| *c.name == *chain).unwrap();
        registry.set_collection_chain(chain, &found.children.iter().map(|c| &**c).collect::<Vec<_>>()).unwrap();
    }
    for (id, ..) in &plain.datasets {
        let file = FileRecord { path: format!("{id}.é"), format: Format::Hdf5, size: u64::MAX, checksum: 1 };
        let file = plain.files.entry(*id).or_insert(file).clone();
        let dataset = plain.dataset(*id).unwrap().unwrap();
        registry.insert_datasets(&[NewDataset { dataset, file }]).unwrap();
    }
    registry
}

#[test]
fn registry_snapshot_and_definition_agree() {
    for seed in 20..23 {
        let dice = &mut Dice(ChaCha8Rng::seed_from_u64(seed));
        let mut plain = registry(dice);
        let sqlite = in_sqlite(&mut plain);
        plain.regions = sqlite.region_state().unwrap();
        let bytes = Snapshot::build(&sqlite, &everything()).unwrap().to_bytes().unwrap();
        assert!(bytes == Snapshot::build(&plain, &everything()).unwrap().to_bytes().unwrap(), "seed {seed}");
        let view = Snapshot::from_bytes(bytes).unwrap().registry().unwrap();
        let answered = same_answers(&sqlite, &view, dice, 250);
        assert!(answered > 300, "only {answered} questions were answered");
    }
}

#[test]
fn a_snapshot_of_a_snapshot_is_the_same() {
    let dice = &mut Dice(ChaCha8Rng::seed_from_u64(99));
    let bytes = Snapshot::build(&registry(dice), &everything()).unwrap().to_bytes().unwrap();
    let view = Snapshot::from_bytes(bytes.clone()).unwrap().registry().unwrap();
    assert!(Snapshot::build(&view, &everything()).unwrap().to_bytes().unwrap() == bytes);
}

#[test]
fn a_selection_holds_what_was_selected() {
    let dice = &mut Dice(ChaCha8Rng::seed_from_u64(7));
    let plain = registry(dice);
    let filter = Expression::parse("band = 'r' AND detector < 2").unwrap();
    let visits = Expression::parse("visit >= 0").unwrap();
    let selection = Selection::new(["inner"])
        .with_datasets("raw", Some(filter.clone()))
        .with_records("visit", Some(visits.clone()));
    let snapshot =
        Snapshot::from_bytes(Snapshot::build(&plain, &selection.without_files()).unwrap().to_bytes().unwrap()).unwrap();
    let view = snapshot.registry().unwrap();
    let names: Vec<_> = view.collections().unwrap().iter().map(|c| c.name.to_string()).collect();
    assert_eq!(names, ["best", "inner", "runs/b", "runs/c"]);
    let rows = view.datasets("raw", &["inner"], &Query::all(), false).unwrap();
    assert!(rows.num_rows() > 10);
    assert_eq!(rows, plain.datasets("raw", &["inner"], &Query::filtered(filter), false).unwrap());
    let records = view.dimension_records("visit", &Query::all()).unwrap();
    assert_eq!(records, plain.dimension_records("visit", &Query::filtered(visits)).unwrap());
    assert!(matches!(view.dataset_type("coadd"), Err(RegistryError::UnknownDatasetType { .. })));
    assert!(matches!(
        view.datasets("raw", &["runs/a"], &Query::all(), true),
        Err(RegistryError::UnknownCollection { .. })
    ));
    let missing = view.file_records(&[Uuid::nil()]).unwrap_err();
    assert!(missing.to_string().contains("were they selected?"), "{missing}");
}

#[test]
fn a_snapshot_without_a_registry_says_so() {
    let snapshot = Snapshot::from_bytes(bunter::SnapshotBuilder::new().to_bytes().unwrap()).unwrap();
    assert!(matches!(snapshot.registry(), Err(RegistryError::Store { .. })));
}
