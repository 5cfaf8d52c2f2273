//! Regions that are updated after ingest: what changes, what is kept, and what notices.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails with its test")]

mod program;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use bunter::datastore::TableWriter;
use bunter::{
    Butler, ConvexPolygon, Expression, ImageOnSky, Improved, LonLat, OverlapQuery, Query, Region, RegionEventKind,
    RegionMoment, RegionSource, RegionState, RegionUpdate, RegionUpdateReport, Registry, RegistryError, RegistryReader,
    Selection, Snapshot, UnitVector, UpdateRegionsOptions, Wcs,
};
use program::{assert_same, build, bunter, coadds, copy_folder, files, folder, program, run, text, tiny_repository};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

type Key = (String, i64, i64);
/// Region and WCS.
type Held = (Option<Vec<u8>>, Option<Vec<u8>>);

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
}

fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn blobs<'a>(values: impl IntoIterator<Item = Option<&'a [u8]>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<BinaryArray>())
}

/// A registry of 2 instruments with 10 visits and 3 detectors, and no images.
fn empty(registry: &Registry) {
    for name in ["HSC", "DECam"] {
        registry.insert_dimension_records("instrument", &batch(vec![("instrument", texts([name]))])).unwrap();
        let filter =
            batch(vec![("instrument", texts([name])), ("physical_filter", texts(["r"])), ("band", texts(["r"]))]);
        registry.insert_dimension_records("physical_filter", &filter).unwrap();
        let detectors = batch(vec![("instrument", texts([name; 3])), ("detector", ints(0..3))]);
        registry.insert_dimension_records("detector", &detectors).unwrap();
        let visits = batch(vec![
            ("instrument", texts([name; 10])),
            ("visit", ints(0..10)),
            ("day_obs", ints([20_200_101; 10])),
            ("physical_filter", texts(["r"; 10])),
        ]);
        registry.insert_dimension_records("visit", &visits).unwrap();
    }
}

fn images(rows: &[(Key, Held)]) -> RecordBatch {
    batch(vec![
        ("instrument", texts(rows.iter().map(|r| r.0.0.as_str()))),
        ("visit", ints(rows.iter().map(|r| r.0.1))),
        ("detector", ints(rows.iter().map(|r| r.0.2))),
        ("region", blobs(rows.iter().map(|r| r.1.0.as_deref()))),
        ("wcs", blobs(rows.iter().map(|r| r.1.1.as_deref()))),
    ])
}

fn update(
    registry: &Registry,
    about: &RegionUpdate,
    rows: &[(Key, Held)],
) -> Result<RegionUpdateReport, RegistryError> {
    // Several tables, as they come from a stream.
    let mut parts = rows.chunks(7);
    registry.update_regions(about, &mut || Ok(parts.next().map(images)))
}

fn held(records: &RecordBatch) -> BTreeMap<Key, Held> {
    let texts = records.column_by_name("instrument").unwrap().as_string::<i32>();
    let int = |name: &str| records.column_by_name(name).unwrap().as_primitive::<Int64Type>().clone();
    let bytes = |name: &str, row: usize| {
        let column = records.column_by_name(name).unwrap().as_binary::<i32>();
        (!column.is_null(row)).then(|| column.value(row).to_vec())
    };
    let (visit, detector) = (int("visit"), int("detector"));
    (0..records.num_rows())
        .map(|row| {
            let key = (texts.value(row).to_owned(), visit.value(row), detector.value(row));
            (key, (bytes("region", row), bytes("wcs", row)))
        })
        .collect()
}

/// Random images come in, are updated by regions, WCSs or both, and replaced: every state of the past is what a list of
/// whole copies says it was.
#[test]
fn every_earlier_state_is_as_it_was() {
    let mut random = ChaCha8Rng::seed_from_u64(20_261_122);
    for round in 0..12 {
        let registry = Arc::new(Registry::in_memory().unwrap());
        empty(&registry);
        let all: Vec<Key> = ["HSC", "DECam"]
            .into_iter()
            .flat_map(|i| (0..10).flat_map(move |v| (0..3).map(move |d| (i.to_owned(), v, d))))
            .collect();
        let mut copies: Vec<BTreeMap<Key, Held>> = vec![BTreeMap::new()];
        let mut states = vec![registry.region_state().unwrap()];
        assert_eq!(states[0], RegionState::default());
        for step in 0..12 {
            let before = copies.last().unwrap().clone();
            let mut after = before.clone();
            // Few values, so that the same comes again.
            let value = |random: &mut ChaCha8Rng| random.random_bool(0.8).then(|| vec![random.random_range(1..4); 3]);
            let mut chosen: Vec<Key> = all.clone();
            chosen.shuffle(&mut random);
            chosen.truncate(random.random_range(1..=all.len()));
            let mut rows: Vec<(Key, Held)> = Vec::new();
            for key in chosen {
                rows.push((key, (value(&mut random), value(&mut random))));
            }
            if step % 3 == 0 {
                rows.retain(|(key, _)| !before.contains_key(key));
                after.extend(rows.iter().cloned());
                registry.insert_dimension_records("visit_detector", &images(&rows)).unwrap();
            } else {
                let there: Vec<_> = rows.iter().filter(|(key, _)| before.contains_key(key)).cloned().collect();
                for (key, (region, wcs)) in &there {
                    let held = after.get_mut(key).unwrap();
                    held.0 = region.clone().or(held.0.take());
                    held.1 = wcs.clone().or(held.1.take());
                }
                let changed = after.iter().filter(|(key, held)| before[*key] != **held).count() as u64;
                let missing = (rows.len() - there.len()) as u64;
                let strict = RegionUpdate::default();
                if missing > 0 {
                    assert!(matches!(update(&registry, &strict, &rows), Err(RegistryError::NoSuchImages { .. })));
                    assert_eq!(registry.region_state().unwrap(), *states.last().unwrap());
                }
                let about = RegionUpdate { message: format!("{step}"), skip_missing: true, ..RegionUpdate::default() };
                let dry = update(&registry, &RegionUpdate { dry_run: true, ..about.clone() }, &rows).unwrap();
                assert_eq!(registry.region_state().unwrap(), *states.last().unwrap());
                let report = update(&registry, &about, &rows).unwrap();
                assert_eq!(report, dry);
                assert_eq!((report.changed, report.missing), (changed, missing), "round {round} step {step}");
                assert_eq!(report.rows, report.changed + report.unchanged + report.missing);
                assert_eq!((report.before, report.after), (*states.last().unwrap(), registry.region_state().unwrap()));
                // Again, in another order: nothing changed.
                rows.shuffle(&mut random);
                let again = update(&registry, &about, &rows).unwrap();
                assert_eq!((again.changed, again.after), (0, report.after));
            }
            let state = registry.region_state().unwrap();
            if after == before {
                assert_eq!(state, *states.last().unwrap());
            } else {
                assert_eq!(state.number, states.last().unwrap().number + 1);
                assert!(!states.contains(&state));
                states.push(state);
                copies.push(after);
            }
        }
        for (number, (copy, state)) in copies.iter().zip(&states).enumerate() {
            let moment = RegionMoment::Event(number as u64);
            assert_eq!(registry.region_state_at(moment).unwrap(), *state);
            let past = registry.as_of(moment).unwrap();
            assert_eq!(past.region_state().unwrap(), *state);
            let records = past.dimension_records("visit_detector", &Query::all()).unwrap();
            assert_eq!(held(&records), *copy, "round {round} event {number}");
            let filter = Query::filtered(Expression::parse("visit < 4 AND band = 'r'").unwrap());
            let some = past.dimension_records("visit_detector", &filter).unwrap();
            assert_eq!(
                held(&some),
                copy.iter().filter(|(k, _)| k.1 < 4).map(|(k, v)| (k.clone(), v.clone())).collect()
            );
        }
        the_history_tells_the_same(&registry, &copies);
    }
}

/// Each version of an image is what the copies have from its first event to before its last.
fn the_history_tells_the_same(registry: &Registry, copies: &[BTreeMap<Key, Held>]) {
    let events = registry.region_events().unwrap();
    assert_eq!(events.len() + 1, copies.len());
    assert!(events.is_sorted_by_key(|e| (e.made_at_us, e.state.number)));
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event.state.number, number as u64 + 1);
        let (before, after) = (&copies[number], &copies[number + 1]);
        let touched = after.iter().filter(|(key, held)| before.get(*key) != Some(*held)).count();
        assert_eq!(event.images, touched as u64);
        assert_eq!(event.kind == RegionEventKind::Ingest, before.len() < after.len());
    }
    let history = registry.region_history(&Query::all()).unwrap();
    let int = |name: &str| history.column_by_name(name).unwrap().as_primitive::<Int64Type>().clone();
    let (since, until) = (int("since"), int("until"));
    let mut seen = 0;
    for row in 0..history.num_rows() {
        let (key, version) = held(&history.slice(row, 1)).pop_first().unwrap();
        let end = if until.is_null(row) { copies.len() as i64 } else { until.value(row) };
        assert!(since.value(row) < end);
        for number in since.value(row)..end {
            assert_eq!(copies[number as usize][&key], version, "{key:?} in {number}");
            seen += 1;
        }
        // A version ends where something changed.
        if !until.is_null(row) {
            assert_ne!(copies[end as usize][&key], version, "{key:?}");
        }
    }
    assert_eq!(seen, copies.iter().map(BTreeMap::len).sum::<usize>(), "every image of every state is told once");
    let some = registry.region_history(&Query::filtered(Expression::parse("visit = 3").unwrap())).unwrap();
    let keys: Vec<i64> = some.column_by_name("visit").unwrap().as_primitive::<Int64Type>().values().to_vec();
    assert!(keys.iter().all(|v| *v == 3));
}

fn one(visit: i64, byte: u8) -> (Key, Held) {
    (("HSC".to_owned(), visit, 0), (Some(vec![byte; 5]), None))
}

fn message<T: std::fmt::Debug, E: std::fmt::Display>(result: Result<T, E>) -> String {
    result.map_err(|e| e.to_string()).unwrap_err()
}

#[test]
fn what_names_nothing_is_told_with_what_comes_near() {
    let registry = Registry::in_memory().unwrap();
    empty(&registry);
    registry.insert_dimension_records("visit_detector", &images(&[one(3, 1), one(4, 1)])).unwrap();
    let row = |i: &str, v, d| ((i.to_owned(), v, d), (Some(vec![9]), None));
    let state = registry.region_state().unwrap();
    for (key, near) in [
        (("HCS", 3, 0), "did you mean instrument HSC?"),
        (("LSSTCam", 3, 0), "the instruments are DECam, HSC"),
        (("HSC", 30, 0), "the nearest visit is 9"),
        (("HSC", -5, 0), "the nearest visit is 0"),
        (("HSC", 3, 2), "of visit 3 the nearest detector to 2 is 0"),
        (("HSC", 7, 0), "visit 7 has no images"),
    ] {
        let rows = [one(3, 7), row(key.0, key.1, key.2)];
        let told = message(update(&registry, &RegionUpdate::default(), &rows));
        let named = format!("{{instrument: {}, visit: {}, detector: {}}}", key.0, key.1, key.2);
        for part in ["1 of 2 data IDs", near, &named, "nothing was written", "--skip-missing"] {
            assert!(told.contains(part), "`{part}` is not in: {told}");
        }
        assert_eq!(registry.region_state().unwrap(), state);
    }
    let many: Vec<_> = (0..100).map(|i| row("HSC", 1000 + i, 0)).collect();
    let told = message(update(&registry, &RegionUpdate::default(), &many));
    assert!(told.contains("100 of 100") && told.contains("; …") && !told.contains("1005"), "{told}");
}

#[test]
fn twins_and_nonsense_are_refused() {
    let registry = Registry::in_memory().unwrap();
    empty(&registry);
    registry.insert_dimension_records("visit_detector", &images(&[one(3, 1), one(4, 1)])).unwrap();
    let state = registry.region_state().unwrap();
    let twins = [one(3, 7), one(4, 7), one(3, 8)];
    let told = message(update(&registry, &RegionUpdate::default(), &twins));
    assert!(told.contains("visit: 3") && told.contains("twice"), "{told}");
    // The one that is there already and another one are two, too.
    let told = message(update(&registry, &RegionUpdate::default(), &[one(3, 1), one(3, 8)]));
    assert!(told.contains("twice"), "{told}");
    let report = update(&registry, &RegionUpdate { dry_run: true, ..Default::default() }, &[one(3, 7), one(3, 7)]);
    assert_eq!(report.unwrap().changed, 1);
    let empty = [(("HSC".to_owned(), 3, 0), (Some(vec![]), None))];
    assert!(message(update(&registry, &RegionUpdate::default(), &empty)).contains("no bytes"));
    let with = |name: &str| {
        let table = batch(vec![
            ("instrument", texts(["HSC"])),
            ("visit", ints([3])),
            ("detector", ints([0])),
            (name, ints([5])),
        ]);
        let mut tables = vec![table];
        message(registry.update_regions::<RegistryError>(&RegionUpdate::default(), &mut || Ok(tables.pop())))
    };
    assert!(with("width").contains("only region and wcs"));
    assert!(with("regoin").contains("did you mean `region`"));
    assert!(with("region").contains("bytes"));
    // What the caller's stream says ends it.
    let mut calls = 0;
    let told = message(registry.update_regions::<RegistryError>(&RegionUpdate::default(), &mut || {
        calls += 1;
        if calls == 1 {
            Ok(Some(images(&[one(3, 7)])))
        } else {
            Err(RegistryError::AnswerTooLarge { column: "x".into() })
        }
    }));
    assert!(told.contains("larger than 2 GiB"), "{told}");
    // One that was worked out from an older state.
    let old = RegionUpdate { made_of: Some(RegionState::default()), ..RegionUpdate::default() };
    let told = message(update(&registry, &old, &[one(3, 7)]));
    assert!(told.contains("0-0000000000000000") && told.contains(&state.to_string()), "{told}");
    assert_eq!(registry.region_state().unwrap(), state);
    assert_eq!(held(&registry.dimension_records("visit_detector", &Query::all()).unwrap())[&one(3, 1).0], one(3, 1).1);
}

#[test]
fn replaced_records_are_kept_too() {
    let registry = Arc::new(Registry::in_memory().unwrap());
    empty(&registry);
    registry.insert_dimension_records("visit_detector", &images(&[one(3, 1), one(4, 1)])).unwrap();
    let replaced = registry.replace_dimension_records("visit_detector", &images(&[one(3, 2), one(4, 1)])).unwrap();
    assert_eq!((replaced.new, replaced.existing), (1, 1));
    let last = registry.region_events().unwrap().pop().unwrap();
    assert_eq!((last.state.number, last.images, last.kind), (2, 1, RegionEventKind::Update));
    let past = registry.as_of(RegionMoment::Event(1)).unwrap();
    assert_eq!(held(&past.dimension_records("visit_detector", &Query::all()).unwrap())[&one(3, 1).0], one(3, 1).1);
    // Other columns are no matter of regions, and a region can be taken away.
    let seeing = batch(vec![
        ("instrument", texts(["HSC"])),
        ("visit", ints([3])),
        ("detector", ints([0])),
        ("seeing", Arc::new(Float64Array::from(vec![0.7]))),
    ]);
    registry.replace_dimension_records("visit_detector", &seeing).unwrap();
    assert_eq!(registry.region_state().unwrap(), last.state);
    let none = (one(3, 0).0, (None, None));
    registry.replace_dimension_records("visit_detector", &images(&[none])).unwrap();
    let past = registry.as_of(RegionMoment::Event(2)).unwrap();
    assert_eq!(held(&past.dimension_records("visit_detector", &Query::all()).unwrap())[&one(3, 1).0], one(3, 2).1);
    let now = held(&registry.dimension_records("visit_detector", &Query::all()).unwrap());
    assert_eq!(now[&one(3, 0).0], (None, None));
    let told = message(registry.as_of(RegionMoment::Event(9)));
    assert!(told.contains("no region event 9") && told.contains("1 to 3"), "{told}");
}

/// The same history gives the same state, wherever and in whatever order of rows; another one another.
#[test]
fn states_are_of_what_was_written() {
    let make = |order: &[usize], byte: u8| {
        let registry = Registry::in_memory().unwrap();
        empty(&registry);
        let rows = [one(3, 1), one(4, 1), one(5, 1)];
        registry.insert_dimension_records("visit_detector", &images(&rows)).unwrap();
        let rows: Vec<_> = order.iter().map(|v| one(*v as i64, byte)).collect();
        update(&registry, &RegionUpdate { message: format!("{order:?}"), ..Default::default() }, &rows).unwrap().after
    };
    assert_eq!(make(&[3, 4, 5], 2), make(&[5, 3, 4], 2));
    assert_ne!(make(&[3, 4, 5], 2), make(&[3, 4], 2));
    assert_ne!(make(&[3, 4, 5], 2), make(&[3, 4, 5], 3));
}

#[test]
fn snapshots_say_of_which_regions_they_are_and_stale_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Arc::new(Registry::create(folder.path().join("registry.sqlite3")).unwrap());
    empty(&registry);
    registry.insert_dimension_records("visit_detector", &images(&[one(3, 1), one(4, 1)])).unwrap();
    let selection = Selection::new(Vec::<String>::new()).with_records("visit_detector", None);
    let made = |reader: &dyn RegistryReader| {
        Snapshot::from_bytes(Snapshot::build(reader, &selection).unwrap().to_bytes().unwrap()).unwrap()
    };
    let first = made(&*registry);
    let state = registry.region_state().unwrap();
    assert_eq!(first.region_state().unwrap(), Some(state));
    assert_eq!(first.property("region_state"), Some(state.to_string().as_str()));
    assert_eq!(first.registry().unwrap().region_state().unwrap(), state);
    registry.check_region_state(state, "it").unwrap();

    let moment = registry.at_this_moment().unwrap();
    let about = RegionUpdate { message: "joint fit".to_owned(), who: Some("ada@obs".to_owned()), ..Default::default() };
    let after = update(&registry, &about, &[one(4, 2)]).unwrap().after;
    // Who reads at a moment keeps it, and cannot write.
    assert_eq!(moment.region_state().unwrap(), state);
    assert_eq!(made(&moment).region_state().unwrap(), Some(state));
    assert_eq!(held(&moment.dimension_records("visit_detector", &Query::all()).unwrap())[&one(4, 1).0], one(4, 1).1);
    assert!(matches!(moment.register_run("x"), Err(RegistryError::ReadOnly { .. })));
    assert!(message(update(&moment, &about, &[one(4, 3)])).contains("read-only"));
    let told = message(registry.check_region_state(first.region_state().unwrap().unwrap(), "snapshot plan.bnt"));
    for part in ["snapshot plan.bnt", &state.to_string(), &after.to_string(), "joint fit", "ada@obs", "make it again"] {
        assert!(told.contains(part), "`{part}` is not in: {told}");
    }
    let other = RegionState { digest: 5, ..after };
    let told = message(registry.check_region_state(other, "snapshot plan.bnt"));
    assert!(told.contains("another registry"), "{told}");
    // The past, as a snapshot of its own.
    let past = made(&registry.as_of(RegionMoment::Event(1)).unwrap());
    assert_eq!(past.region_state().unwrap(), Some(state));
    assert_eq!(made(&*registry).region_state().unwrap(), Some(after));
    let asked = |s: &Snapshot| held(&s.registry().unwrap().dimension_records("visit_detector", &Query::all()).unwrap());
    assert_eq!(asked(&past), asked(&first));
    assert_eq!(asked(&made(&*registry))[&one(4, 2).0], one(4, 2).1);
}

/// A registry that changes each time it is asked.
struct Restless(Registry, std::sync::atomic::AtomicU8);

impl RegistryReader for Restless {
    fn dataset_types(&self) -> Result<Vec<bunter::DatasetType>, RegistryError> {
        self.0.dataset_types()
    }
    fn dataset_type(&self, name: &str) -> Result<bunter::DatasetType, RegistryError> {
        self.0.dataset_type(name)
    }
    fn collections(&self) -> Result<Vec<bunter::Collection>, RegistryError> {
        self.0.collections()
    }
    fn dimension_records(&self, element: &str, query: &Query) -> Result<RecordBatch, RegistryError> {
        let records = self.0.dimension_records(element, query);
        let left = self.1.load(std::sync::atomic::Ordering::Relaxed);
        if element == "visit_detector" && left > 0 {
            self.1.store(left - 1, std::sync::atomic::Ordering::Relaxed);
            update(&self.0, &RegionUpdate::default(), &[one(3, 100 + left)])?;
        }
        records
    }
    fn datasets(&self, t: &str, c: &[&str], q: &Query, f: bool) -> Result<RecordBatch, RegistryError> {
        self.0.datasets(t, c, q, f)
    }
    fn find_dataset(
        &self,
        t: &str,
        d: &bunter::DataId,
        c: &[&str],
    ) -> Result<Option<bunter::DatasetRef>, RegistryError> {
        self.0.find_dataset(t, d, c)
    }
    fn dataset(&self, id: uuid::Uuid) -> Result<Option<bunter::DatasetRef>, RegistryError> {
        self.0.dataset(id)
    }
    fn file_records(&self, ids: &[uuid::Uuid]) -> Result<Vec<Option<bunter::FileRecord>>, RegistryError> {
        self.0.file_records(ids)
    }
    fn sky_map_definition(&self, name: &str) -> Result<String, RegistryError> {
        self.0.sky_map_definition(name)
    }
    fn region_state(&self) -> Result<RegionState, RegistryError> {
        self.0.region_state()
    }
}

#[test]
fn a_snapshot_is_never_of_two_states() {
    let selection = Selection::new(Vec::<String>::new()).with_records("visit_detector", None);
    for changes in [0, 1, 2, 30] {
        let registry = Registry::in_memory().unwrap();
        empty(&registry);
        registry.insert_dimension_records("visit_detector", &images(&[one(3, 1)])).unwrap();
        let restless = Restless(registry, changes.into());
        match Snapshot::build(&restless, &selection) {
            Ok(builder) => {
                assert!(changes <= 2);
                let snapshot = Snapshot::from_bytes(builder.to_bytes().unwrap()).unwrap();
                assert_eq!(snapshot.region_state().unwrap(), Some(restless.0.region_state().unwrap()));
                let view = snapshot.registry().unwrap();
                let all = |r: &dyn RegistryReader| held(&r.dimension_records("visit_detector", &Query::all()).unwrap());
                assert_eq!(all(&view), all(&restless.0));
            }
            Err(error) => {
                assert!(changes == 30 && error.to_string().contains("change faster than they are read"), "{error}");
            }
        }
    }
}

// ------------------------------------------------------------------------------------------------ with images

fn polygon(records: &RecordBatch, row: usize) -> ConvexPolygon {
    let bytes = records.column_by_name("region").unwrap().as_binary::<i32>().value(row);
    match Region::from_bytes(bytes).unwrap() {
        Region::Polygon(polygon) => polygon,
        other => panic!("{other:?}"),
    }
}

fn records(butler: &Butler) -> RecordBatch {
    butler.reader().dimension_records("visit_detector", &Query::all()).unwrap()
}

/// The WCS of an image, moved north.
fn moved(wcs: &Wcs, arcsec: f64) -> Wcs {
    let mut header = wcs.to_header();
    let dec = header.f64("CRVAL2").unwrap();
    header.set("CRVAL2", dec + arcsec / 3600.0);
    Wcs::from_header(&header).unwrap()
}

/// The WCS of every image as the repository has it, by row.
fn known(butler: &Butler) -> Vec<ImageOnSky> {
    let mut all = Vec::new();
    let mut look = |image: &ImageOnSky| {
        all.push(image.clone());
        Ok(None)
    };
    let source = RegionSource::Function { query: Query::all(), improve: &mut look };
    assert_eq!(butler.update_regions(source, &UpdateRegionsOptions::default()).unwrap().rows, 0);
    all
}

fn table_source(batches: Vec<RecordBatch>) -> RegionSource<'static> {
    RegionSource::Table { batches: Box::new(batches.into_iter().map(Ok)), instrument: None }
}

/// The improved WCSs of all images of the tiny survey, in all the ways a table can have them.
#[test]
fn tables_say_it_in_every_form() {
    let repo = tiny_repository("tables");
    let butler = Butler::open(&repo).unwrap();
    let images = known(&butler);
    assert_eq!(images.len(), 12);
    let better: Vec<Wcs> = images.iter().map(|i| moved(i.wcs.as_ref().unwrap(), 3.0)).collect();
    let headers: Vec<_> = better.iter().map(Wcs::to_header).collect();
    let id = |name: &str| -> Vec<i64> {
        images.iter().map(|i| i.data_id.get(name).unwrap().to_string().parse().unwrap()).collect()
    };
    let (visit, detector) = (ints(id("visit")), ints(id("detector")));
    let cards: Vec<String> = headers
        .iter()
        .map(|h| {
            let value = |v: &bunter::HeaderValue| {
                v.as_str().map_or_else(|| v.as_f64().unwrap().to_string(), |s| format!("'{s}'"))
            };
            h.cards().iter().map(|c| format!("{:<8}= {}\n", c.keyword, value(&c.value))).collect::<Vec<_>>().concat()
        })
        .collect();
    let mut keywords: Vec<(&str, ArrayRef)> = vec![("ExpNum", visit.clone()), ("ccdnum", detector.clone())];
    for card in headers[0].cards() {
        let column: ArrayRef = if card.value.as_str().is_some() {
            texts(headers.iter().map(|h| h.str(&card.keyword).unwrap()))
        } else {
            Arc::new(Float64Array::from_iter_values(headers.iter().map(|h| h.f64(&card.keyword).unwrap())))
        };
        keywords.push((&card.keyword, column));
    }
    let wcs_regions = |butler: &Butler| -> Vec<ConvexPolygon> {
        let records = records(butler);
        (0..12).map(|row| polygon(&records, row)).collect()
    };

    // By keywords, from a CSV file and through the program.
    let folder = folder("tables-files");
    let csv = folder.join("wcs.csv");
    let mut writer = TableWriter::create(&csv, batch(keywords.clone()).schema()).unwrap();
    writer.write(&batch(keywords.clone())).unwrap();
    writer.finish().unwrap();
    let ran = bunter(&["update-regions", text(&repo), "--table", text(&csv), "--dry-run"]).ok();
    ran.says(&["12 images would be updated", "region state"]);
    let ran =
        bunter(&["update-regions", text(&repo), "--table", text(&csv), "-m", "3 arcsec north", "--format", "json"]);
    let rows = ran.ok().says(&["12 images updated"]).json();
    assert_eq!((&rows[0]["changed"], &rows[0]["rows"]), (&12.into(), &12.into()));
    let state = butler.reader().region_state().unwrap();
    assert_eq!(rows[0]["after"].as_str(), Some(state.to_string().as_str()));
    for (image, better) in known(&butler).iter().zip(&better) {
        assert_eq!(image.wcs.as_ref(), Some(better));
    }
    let after = wcs_regions(&butler);
    for (new, old) in after.iter().zip(&images) {
        let shift = new.centroid().separation(old.region.as_ref().unwrap().centroid()).to_degrees() * 3600.0;
        assert!((shift - 3.0).abs() < 1e-3, "{shift} arcsec");
    }
    bunter(&["update-regions", text(&repo), "--table", text(&csv)]).ok().says(&["nothing changed: 12 images"]);
    assert_eq!(butler.reader().region_state().unwrap(), state);

    // By cards, one table a batch; by vertices, from Parquet; by text and bytes of regions.
    let with = |name: &'static str, column: ArrayRef| {
        vec![batch(vec![("visit", visit.clone()), ("detector", detector.clone()), (name, column)])]
    };
    let try_all = |source: RegionSource<'_>, words: &str| {
        let report = butler.update_regions(source, &UpdateRegionsOptions::default());
        let report = report.unwrap_or_else(|e| panic!("{words}: {e}"));
        (report.changed, report.unchanged)
    };
    assert_eq!(try_all(table_source(with("header", texts(cards.iter().map(String::as_str)))), "header"), (0, 12));
    let degrees = |p: &ConvexPolygon, between: &str, pairs: &str| {
        let all = p.vertices().iter().map(|v| v.to_lon_lat());
        all.map(|p| format!("{}{between}{}", p.lon_deg(), p.lat_deg())).collect::<Vec<_>>().join(pairs)
    };
    let north: Vec<ConvexPolygon> = images.iter().map(|i| i.region.clone().unwrap()).collect();
    let vertices: Vec<String> = north.iter().map(|p| degrees(p, " ", ";")).collect();
    let parquet = folder.join("regions.parquet");
    let rows = with("vertices", texts(vertices.iter().map(String::as_str))).pop().unwrap();
    let mut writer = TableWriter::create(&parquet, rows.schema()).unwrap();
    writer.write(&rows).unwrap();
    writer.finish().unwrap();
    bunter(&["update-regions", text(&repo), "--table", text(&parquet)]).ok().says(&["12 images updated"]);
    for (now, was) in wcs_regions(&butler).iter().zip(&north) {
        let near = |v: &UnitVector| was.distance(*v) < 1e-12;
        assert!(now.vertices().iter().all(near) && (now.area() / was.area() - 1.0).abs() < 1e-6);
    }
    // Only the region: pixels are warped as before.
    assert_eq!(known(&butler)[0].wcs.as_ref(), Some(&better[0]));
    let positions: Vec<String> = after.iter().map(|p| format!("POLYGON {}", degrees(p, " ", " "))).collect();
    assert_eq!(try_all(table_source(with("region", texts(positions.iter().map(String::as_str)))), "text"), (12, 0));
    let bytes: Vec<Vec<u8>> = north.iter().map(|p| Region::from(p.clone()).to_bytes()).collect();
    assert_eq!(try_all(table_source(with("region", blobs(bytes.iter().map(|b| Some(&**b))))), "bytes"), (12, 0));
    // And back by the WCS, which is what the record has: the region follows it.
    let mut same = |image: &ImageOnSky| Ok(Some(Improved::Wcs(Box::new(image.wcs.clone().unwrap()))));
    let source = RegionSource::Function { query: Query::all(), improve: &mut same };
    assert_eq!(try_all(source, "function"), (12, 0));
    assert_eq!(wcs_regions(&butler), after);
    let events = butler.registry().unwrap().region_events().unwrap();
    let sources: Vec<&str> = events.iter().map(|e| e.source.as_str()).collect();
    assert_eq!(events.iter().filter(|e| e.kind == RegionEventKind::Update).count(), 5, "{sources:?}");
    assert!(sources.contains(&text(&csv)) && sources.contains(&"a function"), "{sources:?}");
    assert!(events.iter().any(|e| e.message == "3 arcsec north"));
}

#[test]
fn bad_tables_are_refused_and_told() {
    let repo = tiny_repository("bad-tables");
    let butler = Butler::open(&repo).unwrap();
    let state = butler.reader().region_state().unwrap();
    let images = known(&butler);
    let visit: i64 = images[0].data_id.get("visit").unwrap().to_string().parse().unwrap();
    let square = "0 0;1 0;1 1;0 1";
    let header = |more: &str| {
        format!(
            "CTYPE1  = 'RA---TAN'\nCTYPE2  = 'DEC--TAN'\nCRVAL1  = 1.\nCRVAL2  = 1.\nCRPIX1  = 1.\nCRPIX2  = 1.\n\
             CD1_1   = -1E-4\nCD2_2   = 1E-4\n{more}"
        )
    };
    let with = |name: &'static str, value: &str| {
        table_source(vec![batch(vec![("visit", ints([visit])), ("detector", ints([0])), (name, texts([value]))])])
    };
    let plain = |columns: Vec<(&str, ArrayRef)>| table_source(vec![batch(columns)]);
    let refused = |source: RegionSource<'_>, parts: &[&str]| {
        let told = message(butler.update_regions(source, &UpdateRegionsOptions::default()));
        for part in parts {
            assert!(told.contains(part), "`{part}` is not in: {told}");
        }
        assert_eq!(butler.reader().region_state().unwrap(), state);
    };
    refused(with("vertices", "0 0;1 0"), &["row 1 of the table", "visit: ", "3 different vertices"]);
    refused(with("vertices", "0 0;1 0;1 91"), &["-90 and 90"]);
    refused(with("vertices", "0 0;1 0;inf 1"), &["no position"]);
    refused(with("vertices", "0 0;1 1;1 0;0 1"), &["wrong way"]);
    refused(with("vertices", "0 0;90 0;180 1;270 0"), &["hemisphere"]);
    refused(with("region", "CIRCLE 0 0 1"), &["not a circle"]);
    refused(with("region", "POLYGON 0 0"), &["3 different vertices"]);
    refused(with("header", &header("NAXIS1  = 7\nNAXIS2  = 9\n")), &["7 x 9 pixels", "200 x 220"]);
    refused(with("header", &header("PV1_1   = 'x'\n")), &["PV1_1"]);
    refused(with("header", "CRVAL1  = 1.\n"), &["CTYPE1"]);
    refused(with("vertixes", square), &["where images lie", "vertixes"]);
    let columns =
        |first: &'static str| vec![(first, ints([visit])), ("detector", ints([0])), ("vertices", texts([square]))];
    refused(plain(columns("vizit")), &["no column `visit`", "`vizit` is near"]);
    let mut twice = columns("visit");
    twice.push(("header", texts(["x"])));
    refused(plain(twice), &["more than once"]);
    let mut named = columns("visit");
    named.push(("instrument", texts(["SimCan"])));
    refused(plain(named), &["did you mean instrument SimCam?"]);
    let mut words = columns("visit");
    words[1].1 = texts(["0"]);
    refused(plain(words), &["`detector` should be whole numbers", "Utf8"]);
    let mut other = columns("visit");
    other[0].1 = ints([visit + 10_000]);
    refused(plain(other), &["the nearest visit is", "1 of 1 data IDs"]);
    let wrong = RegionSource::Table {
        batches: Box::new(vec![Ok(batch(columns("visit")))].into_iter()),
        instrument: Some("SimCat".to_owned()),
    };
    refused(wrong, &["did you mean `SimCam`"]);
    let mut bad = |_: &ImageOnSky| Err("the fit did not converge".into());
    refused(RegionSource::Function { query: Query::all(), improve: &mut bad }, &["did not converge", "SimCam"]);
    // A table without rows says nothing.
    let none = batch(columns("visit")).slice(0, 0);
    let report = butler.update_regions(table_source(vec![none]), &UpdateRegionsOptions::default()).unwrap();
    assert_eq!((report.rows, report.before), (0, report.after));
    let skip = UpdateRegionsOptions { skip_missing: true, ..UpdateRegionsOptions::default() };
    let mut mixed = columns("visit");
    mixed[0].1 = ints([visit, visit + 10_000]);
    mixed[1].1 = ints([0, 0]);
    mixed[2].1 = texts([square; 2]);
    let report = butler.update_regions(plain(mixed), &skip).unwrap();
    assert_eq!((report.changed, report.missing, report.missing_first.len()), (1, 1, 1));
    for (arguments, code, word) in [
        (vec!["update-regions", text(&repo)], 2, "where do the regions come from"),
        (vec!["update-regions", text(&repo), "--from", "x", "--where", "visit = 3"], 2, "--dataset-type"),
        (vec!["update-regions", text(&repo), "--from", "/nowhere"], 1, "/nowhere"),
        (vec!["update-regions", text(&repo), "--table", "/nowhere.csv"], 1, "/nowhere.csv"),
        (
            vec!["update-regions", text(&repo), "--dataset-type", "calexp", "--collections", "expsures"],
            1,
            "`exposures`",
        ),
        (vec!["query-regions", text(&repo), "--as-of", "yesterday"], 2, "neither the number"),
        (vec!["query-regions", text(&repo), "--as-of", "77"], 1, "no region event 77"),
        (vec!["query-regions", text(&repo), "--as-of-run", "exposures"], 1, "not known"),
    ] {
        bunter(&arguments).exits(code).says(&[word]);
    }
}

/// The files of a survey with each WCS moved north by some arcseconds.
fn shifted_survey(survey: &Path, out: &Path, arcsec: f64, choose: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut made = Vec::new();
    for path in files(survey, ".fits") {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !choose(&name) {
            continue;
        }
        let mut bytes = fs::read(&path).unwrap();
        // Cards stand at multiples of 80, wherever an HDU begins.
        for at in (0..bytes.len()).step_by(80) {
            if bytes[at..].starts_with(b"CRVAL2  =") {
                let card = String::from_utf8(bytes[at + 9..at + 80].to_vec()).unwrap();
                let dec: f64 = card.split('/').next().unwrap().trim().parse().unwrap();
                let card = format!("{:<80}", format!("CRVAL2  = {}", dec + arcsec / 3600.0));
                bytes[at..at + 80].copy_from_slice(card.as_bytes());
            }
        }
        let target = out.join(name);
        fs::write(&target, bytes).unwrap();
        made.push(target);
    }
    made
}

/// The inputs of every coadd of a run.
fn inputs(repo: &Path, run: &str) -> BTreeMap<(i64, i64, String), Vec<(i64, i64)>> {
    let of = |table: &RecordBatch| {
        let int = |name: &str| table.column_by_name(name).unwrap().as_primitive::<Int64Type>().values().to_vec();
        int("visit").into_iter().zip(int("detector")).collect()
    };
    coadds(repo, run).iter().map(|(key, coadd)| (key.clone(), of(&coadd.inputs))).collect()
}

/// The images of each patch, by the join.
fn joined(butler: &Butler) -> BTreeMap<(i64, i64), Vec<(i64, i64)>> {
    let query = OverlapQuery { sky_map: Some("demo".to_owned()), ..OverlapQuery::default() };
    let rows = butler.query_overlaps(&query).unwrap();
    let int = |name: &str| rows.column_by_name(name).unwrap().as_primitive::<Int64Type>().clone();
    let (tract, patch, visit, detector) = (int("tract"), int("patch"), int("visit"), int("detector"));
    let mut all = BTreeMap::<_, Vec<_>>::new();
    for row in 0..rows.num_rows() {
        let pair = (visit.value(row), detector.value(row));
        all.entry((tract.value(row), patch.value(row))).or_default().push(pair);
    }
    all
}

/// After an update what is concerned is built again, and only that; the result is that of a repository which knew it from the
/// start.
#[test]
fn a_build_after_an_update_builds_what_is_concerned() {
    let repo = tiny_repository("concerned");
    bunter(&build(&repo, "coadds")).ok();
    let (before, was) = (coadds(&repo, "coadds"), inputs(&repo, "coadds"));
    let paths = files(&repo.join("coadds"), ".h5");
    let butler = Butler::open(&repo).unwrap();
    let overlaps = joined(&butler);
    let first = butler.registry().unwrap().region_uses("coadds").unwrap();
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].state, butler.reader().region_state().unwrap());

    // One image moves by so much that it leaves some patches and comes to others.
    let image = known(&butler).swap_remove(0);
    let wcs = image.wcs.clone().unwrap();
    let mut improve =
        |shown: &ImageOnSky| Ok((shown.data_id == image.data_id).then(|| Improved::Wcs(Box::new(moved(&wcs, 25.0)))));
    let source = RegionSource::Function { query: Query::all(), improve: &mut improve };
    let options = UpdateRegionsOptions { message: "one".to_owned(), ..UpdateRegionsOptions::default() };
    assert_eq!(butler.update_regions(source, &options).unwrap().changed, 1);
    let now = joined(&butler);
    assert_eq!(joined(&butler.as_of(RegionMoment::Event(first[0].state.number)).unwrap()), overlaps);
    let id = |name: &str| -> i64 { image.data_id.get(name).unwrap().to_string().parse().unwrap() };
    let moved_image = (id("visit"), id("detector"));
    // With a WCS of its own, each patch that it touches or has touched is another one.
    let has =
        |join: &BTreeMap<(i64, i64), Vec<(i64, i64)>>, patch| join.get(patch).is_some_and(|i| i.contains(&moved_image));
    let concerned: Vec<_> = now.keys().filter(|p| has(&now, p) || has(&overlaps, p)).collect();
    let patches = before.len();
    assert!(!concerned.is_empty() && concerned.len() < patches, "{} of {patches}", concerned.len());

    bunter(&build(&repo, "coadds")).ok().says(&[
        &format!("{} coadds were there already", patches - concerned.len()),
        &format!("{} coadds built", concerned.len()),
    ]);
    let after = coadds(&repo, "coadds");
    let kept: Vec<_> = files(&repo.join("coadds"), ".h5").into_iter().filter(|p| paths.contains(p)).collect();
    assert_eq!(kept.len(), patches - concerned.len(), "files of the others are the very same");
    let others = |all: &program::Coadds| -> program::Coadds {
        all.iter().filter(|(k, _)| !concerned.contains(&&(k.0, k.1))).map(|(k, c)| (k.clone(), c.clone())).collect()
    };
    assert_same(&others(&before), &others(&after));
    assert_ne!(inputs(&repo, "coadds"), was);
    bunter(&build(&repo, "coadds")).ok().says(&["0 coadds built"]);
    bunter(&build(&repo, "anew")).ok();
    assert_same(&after, &coadds(&repo, "anew"));
    let uses = butler.registry().unwrap().region_uses("coadds").unwrap();
    assert_eq!(uses.len(), 2, "a build that does nothing uses nothing");
    assert_eq!(uses[1].state, butler.reader().region_state().unwrap());
    bunter(&["verify", text(&repo)]).ok().says(&["0 damaged, 0 orphan files"]);

    // Back again, by a dataset of the repository that has the first WCS: the very bits of before.
    bunter(&["update-regions", text(&repo), "--dataset-type", "calexp", "--collections", "exposures"])
        .ok()
        .says(&["1 images updated, 11 have these regions already"]);
    bunter(&build(&repo, "coadds")).ok();
    assert_same(&before, &coadds(&repo, "coadds"));
}

/// Regions alone: a patch that gained or lost an image is another one, one with the same images is not.
#[test]
fn regions_alone_change_overlaps_and_no_wcs() {
    let repo = tiny_repository("regions-alone");
    bunter(&build(&repo, "coadds")).ok();
    let butler = Butler::open(&repo).unwrap();
    let overlaps = joined(&butler);
    let image = known(&butler).swap_remove(3);
    // A region a third of the size at the image's middle.
    let region = image.region.clone().unwrap();
    let centre = region.centroid();
    let third: Vec<UnitVector> = region
        .vertices()
        .iter()
        .map(|v| {
            let mix = |a: f64, b: f64| 2.0 * a + b;
            UnitVector::normalized(mix(centre.x, v.x), mix(centre.y, v.y), mix(centre.z, v.z)).unwrap()
        })
        .collect();
    let small = ConvexPolygon::new(&third).unwrap();
    let mut improve =
        |shown: &ImageOnSky| Ok((shown.data_id == image.data_id).then(|| Improved::Region(small.clone())));
    let source = RegionSource::Function { query: Query::all(), improve: &mut improve };
    butler.update_regions(source, &UpdateRegionsOptions::default()).unwrap();
    let now = joined(&butler);
    let changed = overlaps.iter().filter(|(patch, images)| now.get(*patch) != Some(*images)).count();
    assert!(changed > 0 && changed < overlaps.len(), "{changed} of {}", overlaps.len());
    bunter(&build(&repo, "coadds"))
        .ok()
        .says(&[&format!("{changed} coadds built"), &format!("{} coadds were there", now.len() - changed)]);

    // All images go away from one patch: its coadd goes, too; not when the build is asked for other patches.
    let far = |v: &UnitVector| {
        let p = v.to_lon_lat();
        LonLat::from_degrees(p.lon_deg(), p.lat_deg() + 10.0).to_unit()
    };
    let (patch, images) = now.iter().min_by_key(|(_, images)| images.len()).unwrap();
    let mut leave = |shown: &ImageOnSky| {
        let id = |name: &str| -> i64 { shown.data_id.get(name).unwrap().to_string().parse().unwrap() };
        let region = shown.region.as_ref().unwrap();
        let away = ConvexPolygon::new(&region.vertices().iter().map(far).collect::<Vec<_>>()).unwrap();
        Ok(images.contains(&(id("visit"), id("detector"))).then_some(Improved::Region(away)))
    };
    let source = RegionSource::Function { query: Query::all(), improve: &mut leave };
    butler.update_regions(source, &UpdateRegionsOptions::default()).unwrap();
    let left = joined(&butler);
    let gone: Vec<_> = now.keys().filter(|p| !left.contains_key(*p)).collect();
    assert!(gone.contains(&patch) && !left.is_empty(), "{gone:?}");
    let kept = *left.keys().next().unwrap();
    let mut other = build(&repo, "coadds");
    let filter = format!("tract = {} AND patch = {}", kept.0, kept.1);
    other.extend(["--where", &filter]);
    let ran = bunter(&other).ok();
    assert!(!ran.err.contains("are removed"), "{}", ran.err);
    bunter(&build(&repo, "coadds")).ok().says(&[&format!("{} coadds are removed, for no image touches", gone.len())]);
    let there: Vec<_> = coadds(&repo, "coadds").into_keys().map(|key| (key.0, key.1)).collect();
    assert_eq!(there, left.keys().copied().collect::<Vec<_>>());
    bunter(&["verify", text(&repo)]).ok().says(&["0 damaged, 0 orphan files"]);
}

/// FITS files with another WCS, as FITS and as expanded composites, and a run of later calibrations.
#[test]
fn files_and_datasets_bring_their_wcs() {
    let repo = tiny_repository("files");
    let butler = Butler::open(&repo).unwrap();
    let before = known(&butler);
    let out = folder("files-shifted");
    let survey = files(program::tiny_survey(), ".fits");
    let companions = survey.iter().filter(|p| p.parent() != survey[0].parent()).count();
    assert_eq!(companions, 0, "the survey is one folder");
    copy_folder(program::tiny_survey(), &out);
    let made = shifted_survey(program::tiny_survey(), &out, 2.0, |_| true);
    assert!(made.len() >= 12);
    bunter(&["update-regions", text(&repo), "--from", text(&out), "--regions-only", "--format", "json"])
        .ok()
        .says(&["12 images updated"]);
    for (now, was) in known(&butler).iter().zip(&before) {
        let shift = now.region.as_ref().unwrap().centroid().separation(was.region.as_ref().unwrap().centroid());
        assert!((shift.to_degrees() * 3600.0 - 2.0).abs() < 1e-3);
        assert_eq!(now.wcs, was.wcs);
    }
    // The regions are those already; the WCSs are new.
    bunter(&["update-regions", text(&repo), "--from", text(&out)]).ok().says(&["12 images updated"]);
    let after = known(&butler);
    assert!(after.iter().zip(&before).all(|(now, was)| now.wcs != was.wcs && now.wcs.is_some()));
    bunter(&["update-regions", text(&repo), "--from", text(&out)]).ok().says(&["nothing changed"]);
    // A run of its own with the first WCSs, as composites.
    let ingest = ["ingest", text(&repo), text(program::tiny_survey()), "--run", "fitted", "--storage", "hdf5"];
    // The records that it would make are there, and others: the files are kept out.
    let ran = bunter(&ingest);
    assert_eq!(ran.code, 1, "{}", ran.err);
    // Part of a WCS cannot be: files that are no images, and those of other cameras, refuse the whole.
    fs::write(out.join("broken.fits"), b"SIMPLE  =                    T").unwrap();
    let told = bunter(&["update-regions", text(&repo), "--from", text(&out)]).exits(1).err;
    assert!(told.contains("broken.fits") && told.contains("no region was updated"), "{told}");
    // The history of one image tells it all.
    let rows =
        bunter(&["query-regions", text(&repo), "--id", "visit=900000", "detector=0", "--history", "--format", "json"])
            .ok()
            .json();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 3, "{rows:?}");
    let number = |row: usize, name: &str| rows[row][name].as_f64();
    assert!((number(1, "moved_arcsec").unwrap() - 2.0).abs() < 1e-3 && number(2, "moved_arcsec").unwrap() < 1e-9);
    assert_eq!((&rows[1]["new_wcs"], &rows[2]["new_wcs"]), (&false.into(), &true.into()));
    assert_eq!(rows[0]["until"], rows[1]["since"]);
    assert!(rows[2].get("until").is_none_or(serde_json::Value::is_null));
    for (moment, row) in [(number(0, "since").unwrap(), 0), (number(1, "since").unwrap(), 1)] {
        let moment = format!("{moment}");
        let id = ["--id", "visit=900000", "detector=0", "--format", "json"];
        let asked = [&["query-regions", text(&repo), "--as-of", &moment], &id[..]].concat();
        let past = bunter(&asked).ok().says(&["region state"]).json();
        assert_eq!(past[0]["vertices"], rows[row]["vertices"]);
        // The same by the time of the event.
        let time = rows[row]["since_utc"].as_str().unwrap().to_owned();
        let asked = [&["query-regions", text(&repo), "--as-of", &time], &id[..]].concat();
        assert_eq!(bunter(&asked).ok().json(), past);
    }
}

/// The example of `docs/regions.md`, as it stands there.
#[test]
fn the_documented_example_runs() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/regions.md")).unwrap();
    let script = page.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    if !std::process::Command::new("python3").arg("--version").output().is_ok_and(|o| o.status.success()) {
        eprintln!("skipped: there is no python3 here");
        return;
    }
    let place = folder("documented");
    let bin = Path::new(env!("CARGO_BIN_EXE_bunter")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = std::process::Command::new("sh");
    let ran = run(shell.args(["-euc", script]).current_dir(&place).env("PATH", path).env_remove("BUNTER_LOG")).ok();
    let _ = program();
    ran.says(&["2 images updated", "nothing changed: 2 images", "coadds were there already", "0 coadds built"]);
}
