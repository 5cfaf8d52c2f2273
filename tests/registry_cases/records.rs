use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, Int32Array, Int64Array, UInt64Array};
use arrow::datatypes::Int32Type;
use bunter::{DimensionError, Inserted, Query, Registry, RegistryError, RegistryReader};

use super::*;

pub(crate) fn records_come_back_as_written(registry: &Registry) {
    fill(registry);
    let found = registry.dimension_records("visit", &Query::all()).unwrap();
    let written = visits();
    assert_eq!(found.num_rows(), 20);
    for field in written.schema().fields() {
        let stored = found.column_by_name(field.name()).unwrap();
        assert_eq!(stored.as_ref(), written.column_by_name(field.name()).unwrap().as_ref(), "{}", field.name());
    }
    assert_eq!(found.column_by_name("airmass").unwrap().null_count(), 20);
    let found = registry.dimension_records("visit_detector", &Query::all()).unwrap();
    assert_eq!(found.column_by_name("region").unwrap(), visit_detectors(0.25).column_by_name("region").unwrap());
}

pub(crate) fn writing_again_is_counted_and_a_difference_is_named(registry: &Registry) {
    fill(registry);
    let again = registry.insert_dimension_records("visit", &visits()).unwrap();
    assert_eq!(again, Inserted { new: 0, existing: 20 });
    let other = batch(vec![
        ("instrument", texts(["HSC", "HSC"])),
        ("visit", ints([500, 101])),
        ("day_obs", ints([20_140_310, 20_140_310])),
        ("physical_filter", texts(["HSC-R2", "HSC-R2"])),
        ("exposure_time", floats([Some(1.0), Some(12.0)])),
    ]);
    let text = message(registry.insert_dimension_records("visit", &other));
    assert_eq!(text, "visit {instrument: HSC, visit: 101} exists already and differs: it has exposure_time 11, not 12");
    assert_eq!(visits_where(registry, "visit = 500"), [0; 0], "nothing of a failed write stays");
}

pub(crate) fn absent_columns_are_not_compared(registry: &Registry) {
    fill(registry);
    // Narrow integers and dictionaries are as good as wide integers and texts.
    let only_keys = batch(vec![
        ("physical_filter", texts(["HSC-R2"])),
        ("visit", Arc::new(Int32Array::from(vec![101])) as ArrayRef),
        ("day_obs", ints([20_140_310])),
        ("instrument", Arc::new(["HSC"].into_iter().collect::<DictionaryArray<Int32Type>>())),
    ]);
    assert_eq!(registry.insert_dimension_records("visit", &only_keys).unwrap(), Inserted { new: 0, existing: 1 });
}

pub(crate) fn nan_is_absent(registry: &Registry) {
    fill(registry);
    let nan = batch(vec![
        ("instrument", texts(["HSC"])),
        ("visit", ints([200])),
        ("day_obs", ints([20_140_320])),
        ("physical_filter", texts(["HSC-G"])),
        ("seeing", floats([Some(f64::NAN)])),
        ("airmass", floats([Some(f64::INFINITY)])),
    ]);
    registry.insert_dimension_records("visit", &nan).unwrap();
    assert_eq!(registry.insert_dimension_records("visit", &nan).unwrap().existing, 1);
    assert_eq!(visits_where(registry, "visit.seeing IS NULL AND visit = 200 AND airmass > 1e300"), [200]);
}

pub(crate) fn records_need_what_they_refer_to(registry: &Registry) {
    fill(registry);
    let visit = |instrument: &str, filter: &str| {
        batch(vec![
            ("instrument", texts([instrument])),
            ("visit", ints([900])),
            ("day_obs", ints([20_140_310])),
            ("physical_filter", texts([filter])),
        ])
    };
    let text = message(registry.insert_dimension_records("visit", &visit("HSC", "HSC-Z")));
    assert!(text.contains("needs physical_filter {instrument: HSC, physical_filter: HSC-Z}"), "{text}");
    let text = message(registry.insert_dimension_records("visit", &visit("LSSTCam", "HSC-G")));
    assert!(text.contains("needs instrument {instrument: LSSTCam}"), "{text}");
}

pub(crate) fn bad_tables_are_refused(registry: &Registry) {
    fill(registry);
    let refused =
        |columns: Vec<(&str, ArrayRef)>| message(registry.insert_dimension_records("detector", &batch(columns)));
    let hsc = || ("instrument", texts(["HSC"]));
    let with = |name: &'static str, column: ArrayRef| refused(vec![hsc(), ("detector", ints([50])), (name, column)]);
    let with_number = |column: ArrayRef| refused(vec![hsc(), ("detector", column)]);
    for (text, part) in [
        (with("full_nam", texts(["x"])), "did you mean `full_name`?"),
        (with("full_name", ints([5])), "not a text"),
        (with("detector", ints([5])), "there twice"),
        (with_number(texts(["5"])), "`detector` is Utf8, not an integer"),
        (with_number(floats([Some(5.5)])), "not an integer"),
        (with_number(Arc::new(Int64Array::from(vec![None]))), "lacks 1 of 1"),
        (with_number(Arc::new(UInt64Array::from(vec![u64::MAX]))), "throughout"),
        (refused(vec![("detector", ints([5]))]), "`instrument` is absent"),
    ] {
        assert!(text.contains(part), "{text}");
    }
    for bad in ["", "a\0b", "a\nb"] {
        let result = registry.insert_dimension_records("instrument", &batch(vec![("instrument", texts([bad]))]));
        assert!(matches!(result, Err(RegistryError::Dimension(DimensionError::BadText { .. }))), "{bad:?}");
    }
}

pub(crate) fn derived_and_computed_records_are_not_written(registry: &Registry) {
    fill(registry);
    let bands = registry.dimension_records("band", &query("band != 'i'")).unwrap();
    assert_eq!(bands.column(0).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["g", "r"]);
    let nights = registry.dimension_records("day_obs", &Query::all()).unwrap();
    assert_eq!(column(&nights, "day_obs").values(), &[20_140_310, 20_140_311]);
    let text = message(registry.insert_dimension_records("band", &batch(vec![("band", texts(["z"]))])));
    assert!(text.contains("`physical_filter`"), "{text}");
    let tracts = registry.dimension_records("tract", &Query::all());
    assert!(matches!(tracts, Err(RegistryError::VirtualElement { .. })));
    let text = message(registry.dimension_records("detectr", &Query::all()));
    assert!(text.contains("did you mean `detector`?"), "{text}");
}

pub(crate) fn metadata_can_be_replaced_but_not_names(registry: &Registry) {
    fill_with_datasets(registry);
    let replaced = registry.replace_dimension_records("visit_detector", &visit_detectors(0.5)).unwrap();
    assert_eq!(replaced, Inserted { new: 60, existing: 0 });
    let again = registry.replace_dimension_records("visit_detector", &visit_detectors(0.5)).unwrap();
    assert_eq!(again, Inserted { new: 0, existing: 60 });
    let found = registry.dimension_records("visit_detector", &query("mean_variance = 0.5")).unwrap();
    assert_eq!(found.num_rows(), 60);
    let renamed = batch(vec![
        ("instrument", texts(["HSC"])),
        ("visit", ints([101])),
        ("day_obs", ints([20_140_310])),
        ("physical_filter", texts(["HSC-G"])),
    ]);
    let text = message(registry.replace_dimension_records("visit", &renamed));
    assert!(text.contains("physical_filter `HSC-R2`, not `HSC-G`"), "{text}");
}

pub(crate) fn sky_maps(registry: &Registry) {
    fill(registry);
    assert_eq!(registry.sky_map_definition("rings").unwrap(), "name = 'rings'");
    let text = message(registry.sky_map_definition("ring"));
    assert!(text.contains("did you mean `rings`?"), "{text}");
    assert_eq!(registry.register_sky_map("rings", "name = 'rings'", &[7; 20], 100, (9, 9)).unwrap().existing, 1);
    let text = message(registry.register_sky_map("rings", "name = 'other'", &[7; 20], 100, (9, 9)));
    assert!(text.contains("definition"), "{text}");
}
