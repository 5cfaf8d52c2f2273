use bunter::{Query, Registry, RegistryError, RegistryReader, Selection, Snapshot, Timespan};

use super::*;
use arrow::array::Array as _;

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn span(begin: i64, end: i64) -> Timespan {
    Timespan::new(Some(begin), Some(end)).unwrap()
}

fn at(time: i64) -> Timespan {
    Timespan::at(time).unwrap()
}

fn bias() -> DatasetType {
    dataset_type("bias", &["detector", "instrument"], StorageClass::Exposure)
}

fn detector(detector: i64) -> DataId {
    DataId::new().with("instrument", "HSC").with("detector", detector)
}

/// Biases of detectors 0 and 1 in runs `bias/0` to `bias/9`: run × 10 + detector.
fn biases(registry: &Registry) {
    fill(registry);
    registry.register_dataset_type(&bias(), None).unwrap();
    let mut all = Vec::new();
    for run in 0..10 {
        let name = format!("bias/{run}");
        registry.register_run(&name).unwrap();
        all.extend((0..2).map(|d| new(run * 10 + d as u128, "bias", detector(d), &name)));
    }
    registry.insert_datasets(&all).unwrap();
    assert!(registry.register_calibration("calib").unwrap());
    assert!(registry.register_calibration("other").unwrap());
}

fn find(reader: &dyn RegistryReader, times: &[i64], collections: &[&str]) -> Vec<Option<u128>> {
    let ids = vec![detector(0); times.len()];
    let times: Vec<Timespan> = times.iter().map(|t| at(*t)).collect();
    let found = reader.find_calibrations("bias", &ids, &times, collections).unwrap();
    found.into_iter().map(|d| d.map(|d| d.id.as_u128())).collect()
}

fn both(registry: &Registry, check: impl Fn(&dyn RegistryReader)) {
    check(registry);
    let selection =
        Selection::new(["calib", "other", "bias/*"]).with_datasets("bias", None).with_records("visit", None);
    let bytes = Snapshot::build(registry, &selection).unwrap().to_bytes().unwrap();
    check(&Snapshot::from_bytes(bytes).unwrap().registry().unwrap());
}

pub(crate) fn lookups_by_time(registry: &Registry) {
    biases(registry);
    assert_eq!(registry.certify("calib", &[id(0), id(1)], span(0, 100)).unwrap().new, 2);
    registry.certify("calib", &[id(10)], span(100, 200)).unwrap();
    registry.certify("calib", &[id(20)], Timespan { begin: Some(300), end: None }).unwrap();
    both(registry, |reader| {
        let times = [-1, 0, 99, 100, 199, 200, 299, 300, i64::MAX - 2];
        let expected = [None, Some(0), Some(0), Some(10), Some(10), None, None, Some(20), Some(20)];
        assert_eq!(find(reader, &times, &["calib"]), expected);
        for (time, one) in times.into_iter().zip(expected) {
            assert_eq!(find(reader, &[time], &["calib"]), [one], "a column of one, at {time}");
        }
        assert_eq!(find(reader, &[], &["calib"]), []);
    });
}

pub(crate) fn unbounded_validity(registry: &Registry) {
    biases(registry);
    registry.certify("calib", &[id(0)], Timespan::ALWAYS).unwrap();
    both(registry, |reader| {
        assert_eq!(find(reader, &[i64::MIN + 1, 0, i64::MAX - 1], &["calib"]), [Some(0); 3]);
        let table = reader.calibrations("bias", &["calib"], &Query::all()).unwrap();
        assert!(column(&table, "begin").is_null(0) && column(&table, "end").is_null(0));
    });
    assert!(matches!(registry.certify("calib", &[id(10)], span(5, 6)), Err(RegistryError::CalibrationClash { .. })));
}

pub(crate) fn clashes_are_named(registry: &Registry) {
    biases(registry);
    let year = |y: i32| Timespan::parse(&format!("{y}-01-01"), &format!("{}-01-01", y + 1)).unwrap();
    registry.certify("calib", &[id(0)], year(2024)).unwrap();
    let text = message(registry.certify("calib", &[id(11), id(10)], Timespan::parse("2024-12-31", "").unwrap()));
    let expected = format!(
        "`bias` {} cannot be certified in `calib` for [2024-12-31, ..) with {} of run `bias/1`: {} of run `bias/0` is valid \
         there for [2024-01-01, 2025-01-01); take the span from that with `bunter decertify-calibrations`, or choose another \
         collection",
        detector(0),
        id(10),
        id(0)
    );
    assert_eq!(text, expected);
    // Nothing of a refused certification stays; what touches is no overlap; another collection or data ID is free.
    assert_eq!(registry.calibrations("bias", &["calib"], &Query::all()).unwrap().num_rows(), 1);
    registry.certify("calib", &[id(10), id(11)], year(2025)).unwrap();
    registry.certify("other", &[id(10)], year(2024)).unwrap();
    let again = registry.certify("calib", &[id(10), id(11)], year(2025)).unwrap();
    assert_eq!((again.new, again.existing), (0, 2));
    // The same dataset for another span that overlaps is not the same.
    assert!(registry.certify("calib", &[id(0)], Timespan::parse("2023-06-01", "2024-06-01").unwrap()).is_err());
}

pub(crate) fn certifying_wants_what_exists(registry: &Registry) {
    biases(registry);
    assert!(matches!(registry.certify("calib", &[id(77)], span(0, 1)), Err(RegistryError::Missing { .. })));
    assert!(matches!(registry.certify("bias/0", &[id(0)], span(0, 1)), Err(RegistryError::CollectionType { .. })));
    assert!(message(registry.certify("calb", &[id(0)], span(0, 1))).contains("did you mean `calib`?"));
    let nothing = Timespan { begin: Some(5), end: Some(5) };
    assert!(matches!(registry.certify("calib", &[id(0)], nothing), Err(RegistryError::Invalid { .. })));
    assert!(matches!(registry.decertify("calib", "bias", nothing, &[]), Err(RegistryError::Invalid { .. })));
    assert!(message(registry.decertify("calib", "bis", span(0, 1), &[])).contains("did you mean `bias`?"));
}

pub(crate) fn decertifying_shortens_and_cuts(registry: &Registry) {
    biases(registry);
    registry.certify("calib", &[id(0), id(1)], span(0, 100)).unwrap();
    registry.certify("calib", &[id(10)], span(100, 200)).unwrap();
    assert_eq!(registry.decertify("calib", "bias", span(40, 60), &[detector(0)]).unwrap(), 1);
    assert_eq!(find(registry, &[39, 40, 59, 60, 99], &["calib"]), [Some(0), None, None, Some(0), Some(0)]);
    assert_eq!(registry.decertify("calib", "bias", span(90, 150), &[]).unwrap(), 3);
    assert_eq!(find(registry, &[89, 90, 149, 150], &["calib"]), [Some(0), None, None, Some(10)]);
    assert_eq!(registry.decertify("calib", "bias", Timespan::ALWAYS, &[]).unwrap(), 4);
    assert_eq!(registry.decertify("calib", "bias", Timespan::ALWAYS, &[]).unwrap(), 0);
}

pub(crate) fn ranges_obey_a_list(registry: &Registry) {
    biases(registry);
    let mut state = 99_u64;
    let mut dice = |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut model: Vec<(i64, i64, u128)> = Vec::new();
    for _ in 0..150 {
        let begin = if dice(12) == 0 { None } else { Some(dice(40) as i64) };
        let end = if dice(12) == 0 { None } else { Some(begin.unwrap_or(0) + 1 + dice(15) as i64) };
        let validity = Timespan { begin, end };
        let (a, b) = (validity.first(), validity.after());
        if dice(3) > 0 {
            let number = u128::from(dice(10)) * 10;
            let overlapping: Vec<_> = model.iter().filter(|m| m.0 < b && a < m.1).copied().collect();
            let result = registry.certify("calib", &[id(number)], validity);
            if overlapping.is_empty() {
                assert_eq!(result.unwrap().new, 1);
                model.push((a, b, number));
            } else if overlapping == [(a, b, number)] {
                assert_eq!(result.unwrap().existing, 1);
            } else {
                assert!(
                    matches!(result, Err(RegistryError::CalibrationClash { .. })),
                    "{overlapping:?} and {validity}"
                );
            }
        } else {
            let (inside, mut kept): (Vec<_>, Vec<_>) = model.iter().copied().partition(|m| m.0 < b && a < m.1);
            assert_eq!(registry.decertify("calib", "bias", validity, &[detector(0)]).unwrap(), inside.len());
            for (c, d, n) in inside {
                kept.extend((c < a).then_some((c, a, n)));
                kept.extend((b < d).then_some((b, d, n)));
            }
            model = kept;
        }
        let times: Vec<i64> = (-2..60).collect();
        let expected: Vec<_> =
            times.iter().map(|t| model.iter().find(|m| m.0 <= *t && *t < m.1).map(|m| m.2)).collect();
        assert_eq!(find(registry, &times, &["calib"]), expected);
    }
    assert!(!model.is_empty());
    both(registry, |reader| {
        let times: Vec<i64> = (-2..60).collect();
        let expected: Vec<_> =
            times.iter().map(|t| model.iter().find(|m| m.0 <= *t && *t < m.1).map(|m| m.2)).collect();
        assert_eq!(find(reader, &times, &["calib"]), expected);
    });
}

pub(crate) fn flavours_are_chosen_by_collection(registry: &Registry) {
    biases(registry);
    registry.certify("calib", &[id(0)], span(0, 100)).unwrap();
    registry.certify("other", &[id(10)], span(50, 200)).unwrap();
    registry.set_collection_chain("chain", &["other", "calib"]).unwrap();
    both(registry, |reader| {
        assert_eq!(find(reader, &[10, 60, 150], &["calib", "other"]), [Some(0), Some(0), Some(10)]);
        assert_eq!(find(reader, &[10, 60, 150], &["chain"]), [Some(0), Some(10), Some(10)]);
        assert_eq!(find(reader, &[60], &["bias=other", "*=calib"]), [Some(10)]);
        assert_eq!(find(reader, &[60], &["flat=other", "*=calib"]), [Some(0)]);
        // What is in a run is valid always.
        assert_eq!(find(reader, &[10, 1000], &["calib", "bias/3"]), [Some(0), Some(30)]);
        assert_eq!(find(reader, &[10], &["bias/3", "calib"]), [Some(30)]);
    });
}

pub(crate) fn a_search_without_a_time_passes_calibrations_over(registry: &Registry) {
    biases(registry);
    registry.certify("calib", &[id(0)], span(0, 100)).unwrap();
    registry.certify("calib", &[id(0)], span(200, 300)).unwrap();
    both(registry, |reader| {
        assert_eq!(reader.find_dataset("bias", &detector(0), &["calib"]).unwrap(), None);
        assert_eq!(reader.find_dataset("bias", &detector(0), &["calib", "bias/4"]).unwrap().unwrap().id, id(40));
        assert_eq!(reader.datasets("bias", &["calib"], &Query::all(), true).unwrap().num_rows(), 0);
        let all = reader.datasets("bias", &["calib"], &Query::all(), false).unwrap();
        assert_eq!(numbers(&all), [0], "a dataset that is valid twice comes once");
    });
}

pub(crate) fn lookups_by_visit(registry: &Registry) {
    biases(registry);
    let mjd = |mjd: f64| Timespan::at_mjd(mjd).unwrap().begin;
    let days = |a: f64, b: f64| Timespan { begin: mjd(a), end: mjd(b) };
    registry.certify("calib", &[id(0)], days(56_100.0, 56_105.0)).unwrap();
    registry.certify("calib", &[id(10)], days(56_105.0, 56_119.005)).unwrap();
    registry.certify("calib", &[id(20)], days(56_119.005, 56_200.0)).unwrap();
    both(registry, |reader| {
        let visits: Vec<DataId> = (100..119).map(|v| detector(0).with("visit", v)).collect();
        let times = reader.timespans(&visits).unwrap();
        let found = reader.find_calibrations("bias", &visits, &times, &["calib"]).unwrap();
        let found: Vec<u128> = found.into_iter().map(|d| d.unwrap().id.as_u128()).collect();
        assert_eq!(found, [[0; 5].as_slice(), &[10; 14]].concat());
        // The shutter of visit 119 is open when the second ends and the third begins.
        let last = [detector(0).with("visit", 119)];
        let times = reader.timespans(&last).unwrap();
        let error = reader.find_calibrations("bias", &last, &times, &["calib"]).unwrap_err();
        assert!(matches!(error, RegistryError::AmbiguousCalibration { .. }), "{error}");
        assert!(error.to_string().contains(&id(20).to_string()), "{error}");
        assert!(message(reader.timespans(&[detector(0).with("visit", 999)])).contains("visit 999 of HSC"));
        assert!(message(reader.timespans(&[detector(0)])).contains("a visit or exposure"));
    });
}

pub(crate) fn bad_lookups_are_refused(registry: &Registry) {
    biases(registry);
    both(registry, |reader| {
        let ask =
            |ids: &[DataId], times: &[Timespan], names: &[&str]| reader.find_calibrations("bias", ids, times, names);
        assert!(message(ask(&[detector(0)], &[], &["calib"])).contains("1 data IDs, but 0 times"));
        assert!(matches!(ask(&[DataId::new()], &[at(0)], &["calib"]), Err(RegistryError::Dimension(_))));
        assert!(matches!(ask(&[], &[], &["cal*"]), Err(RegistryError::PatternInSearch { .. })));
        assert!(message(ask(&[], &[], &["calibs"])).contains("did you mean `calib`?"));
        assert_eq!(ask(&[detector(3)], &[at(0)], &["calib"]).unwrap(), [None]);
    });
}

pub(crate) fn the_table_of_ranges(registry: &Registry) {
    biases(registry);
    registry.certify("calib", &[id(10), id(11)], span(5, 9)).unwrap();
    registry.certify("calib", &[id(0)], span(1, 5)).unwrap();
    registry.certify("other", &[id(20)], span(0, 50)).unwrap();
    both(registry, |reader| {
        let table = reader.calibrations("bias", &["other", "calib"], &Query::all()).unwrap();
        assert_eq!(numbers(&table), [20, 0, 10, 11]);
        assert_eq!(column(&table, "begin").values(), &[0, 1, 5, 5]);
        let some = reader.calibrations("bias", &["calib"], &query("detector = 1")).unwrap();
        assert_eq!(numbers(&some), [11]);
        let limited = Query { limit: Some(2), ..Query::all() };
        assert_eq!(numbers(&reader.calibrations("bias", &["calib"], &limited).unwrap()), [0, 10]);
        assert_eq!(reader.calibrations("bias", &["bias/0"], &Query::all()).unwrap().schema(), table.schema());
    });
}
