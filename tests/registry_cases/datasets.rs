use arrow::array::AsArray;
use arrow::datatypes::DataType;
use bunter::{
    DataId, DimensionError, FileRecord, FitsLayout, FitsPlane, FitsVariance, Format, Inserted, Query, Registry,
    RegistryError, RegistryReader, StorageClass,
};
use uuid::Uuid;

use super::*;

pub(crate) fn dataset_types_are_kept(registry: &Registry) {
    fill(registry);
    let names: Vec<_> = registry.dataset_types().unwrap().iter().map(|t| t.name.to_string()).collect();
    assert_eq!(names, ["calexp", "coadd"]);
    assert_eq!(registry.dataset_type("calexp").unwrap(), calexp());
    let text = message(registry.dataset_type("calexpp"));
    assert_eq!(text, "no dataset type `calexpp`: did you mean `calexp`?; list them with `bunter query-dataset-types`");
    assert!(!registry.register_dataset_type(&calexp(), None).unwrap());
    let other = dataset_type("calexp", &["visit"], StorageClass::Exposure);
    let text = message(registry.register_dataset_type(&other, None));
    assert!(text.contains("exists already and differs"), "{text}");
    // Dimensions that others fix or need are not repeated.
    let src = dataset_type("src", &["visit", "detector", "band"], StorageClass::Table);
    registry.register_dataset_type(&src, None).unwrap();
    assert_eq!(registry.dataset_type("src").unwrap().dimensions, calexp().dimensions);
    for (kind, part) in [
        (dataset_type("a b", &[], StorageClass::Json), "letters"),
        (dataset_type("../a", &[], StorageClass::Json), "letters"),
        (dataset_type("a", &["vist"], StorageClass::Json), "did you mean `visit`?"),
    ] {
        let text = message(registry.register_dataset_type(&kind, None));
        assert!(text.contains(part), "{text}");
    }
    let template = registry
        .register_dataset_type(&dataset_type("b", &["visit"], StorageClass::Json), Some("{run}/{visit}"))
        .unwrap_err();
    assert!(matches!(template, RegistryError::Template(_)));
    assert!(registry.path_template("coadd").unwrap().as_str().contains("{tract}"));
}

pub(crate) fn a_type_without_dimensions(registry: &Registry) {
    fill(registry);
    registry.register_dataset_type(&dataset_type("config", &[], StorageClass::Json), None).unwrap();
    let (a, b) = (new(1, "config", DataId::new(), "runs/a"), new(2, "config", DataId::new(), "runs/b"));
    registry.insert_datasets(&[a, b]).unwrap();
    registry.set_collection_chain("both", &["runs/b", "runs/a"]).unwrap();
    assert_eq!(numbers(&registry.datasets("config", &["both"], &Query::all(), true).unwrap()), [2]);
    assert_eq!(numbers(&registry.datasets("config", &["both"], &Query::all(), false).unwrap()), [2, 1]);
    let found = registry.find_dataset("config", &DataId::new(), &["runs/a"]).unwrap().unwrap();
    assert_eq!(found.id.as_u128(), 1);
}

pub(crate) fn datasets_come_with_their_dimensions(registry: &Registry) {
    fill_with_datasets(registry);
    let found = registry.datasets("calexp", &["runs/a"], &query("visit = 115 AND detector < 2"), false).unwrap();
    let names: Vec<_> = found.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["id", "run", "detector", "instrument", "visit", "band", "day_obs", "physical_filter"]);
    assert_eq!(found.schema().field(0).data_type(), &DataType::FixedSizeBinary(16));
    assert_eq!(numbers(&found), [1150, 1151]);
    assert_eq!(found.column_by_name("band").unwrap().as_string::<i32>().value(0), "i");
    assert_eq!(found.column_by_name("run").unwrap().as_string::<i32>().value(1), "runs/a");
    assert_eq!(column(&found, "day_obs").value(0), 20_140_311);
    assert_eq!(count(registry, "calexp", "band = 'r'"), 7 * 4);
    assert_eq!(count(registry, "calexp", "visit_detector.mean_variance < 1"), 60);
    assert_eq!(count(registry, "calexp", "visit_detector.mean_variance IS NULL"), 20);
    assert_eq!(count(registry, "calexp", "full_name GLOB '1_5*' AND exposure_time > 25"), 4 * 2);
    let none = registry.datasets("calexp", &["runs/a"], &query("visit = 1"), false).unwrap();
    assert_eq!((none.num_rows(), none.schema()), (0, found.schema()));
}

pub(crate) fn finding_checks_the_data_id(registry: &Registry) {
    fill_with_datasets(registry);
    let id = exposure(0, 101, 1, "").dataset.data_id;
    let find = |id: &DataId| registry.find_dataset("calexp", id, &["runs/a"]);
    assert_eq!(find(&id).unwrap().unwrap().id.as_u128(), 1011);
    assert_eq!(find(&id.clone().with("band", "r")).unwrap().unwrap().data_id, id);
    assert_eq!(find(&id.clone().with("band", "g")).unwrap(), None);
    assert_eq!(find(&id.clone().with("tract", 5)).unwrap().unwrap().data_id, id);
    assert_eq!(find(&id.clone().with("visit", 99)).unwrap(), None);
    for (id, part) in [
        (id.clone().with("vist", 1), "did you mean `visit`?"),
        (id.clone().with("visit", "101"), "is an integer"),
        (DataId::new().with("visit", 101), "has no `detector`"),
    ] {
        let text = message(find(&id));
        assert!(text.contains(part), "{text}");
    }
}

pub(crate) fn file_records_come_back(registry: &Registry) {
    fill(registry);
    let mut plain = exposure(1, 101, 1, "runs/a");
    plain.file.size = u64::MAX;
    let mut fits = exposure(2, 102, 1, "runs/a");
    fits.file = FileRecord {
        path: "raw/it's [1].fits".to_owned(),
        format: Format::FitsExposure(Box::new(FitsLayout {
            image: FitsPlane { file: None, hdu: 1 },
            mask: None,
            variance: FitsVariance::SkyAndGain { sky_variance: 0.1 + 0.2, gain: 3.0 },
            background: 1e-300,
            zero_point: 27.0,
            saturation: Some(60_000.0),
            low: None,
        })),
        size: 0,
        checksum: 0,
    };
    let mut templated = exposure(3, 103, 1, "runs/a");
    templated.file.path = registry.path_template("calexp").unwrap().path(&templated.dataset).unwrap();
    let all = [plain, fits, templated];
    registry.insert_datasets(&all).unwrap();
    for one in &all {
        assert_eq!(registry.file_record(one.dataset.id).unwrap().as_ref(), Some(&one.file));
        assert_eq!(registry.dataset(one.dataset.id).unwrap().as_ref(), Some(&one.dataset));
    }
    assert_eq!(registry.insert_datasets(&all).unwrap(), Inserted { new: 0, existing: 3 });
    let found = registry.file_records(&[3, 99, 1].map(Uuid::from_u128)).unwrap();
    assert_eq!(found, [Some(all[2].file.clone()), None, Some(all[0].file.clone())]);
}

pub(crate) fn the_same_dataset_twice_and_twins(registry: &Registry) {
    fill(registry);
    let first = exposure(1, 101, 1, "runs/a");
    let twice = [first.clone(), first.clone()];
    assert_eq!(registry.insert_datasets(&twice).unwrap(), Inserted { new: 1, existing: 1 });
    let text = message(registry.insert_datasets(&[exposure(5, 105, 1, "runs/a"), exposure(2, 101, 1, "runs/a")]));
    assert!([1, 2].iter().all(|n| text.contains(&Uuid::from_u128(*n).to_string())), "{text}");
    assert_eq!(registry.dataset(Uuid::from_u128(5)).unwrap(), None, "nothing of a failed write stays");
    let mut other_file = first;
    other_file.file.checksum = 3;
    let text = message(registry.insert_datasets(&[other_file]));
    assert!(text.contains("checksum"), "{text}");
    let text = message(registry.insert_datasets(&[exposure(1, 102, 1, "runs/a")]));
    assert!(text.contains("visit 101, not 102"), "{text}");
    let text = message(registry.insert_datasets(&[patch(1, 5, 5, "r", "runs/a")]));
    assert!(text.contains("another type"), "{text}");
    assert_eq!(registry.insert_datasets(&[exposure(9, 101, 1, "runs/b")]).unwrap().new, 1);
}

pub(crate) fn datasets_need_what_they_refer_to(registry: &Registry) {
    fill(registry);
    registry.set_collection_chain("chain", &["runs/a"]).unwrap();
    for (dataset, part) in [
        (exposure(1, 999, 1, "runs/a"), "needs visit {instrument: HSC, visit: 999}"),
        (exposure(1, 101, 77, "runs/a"), "needs detector {detector: 77, instrument: HSC}"),
        (exposure(1, 101, 1, "runs/x"), "no collection `runs/x`: did you mean `runs/a`?"),
        (exposure(1, 101, 1, "chain"), "is CHAINED, not RUN"),
        (new(1, "calexpp", DataId::new(), "runs/a"), "did you mean `calexp`?"),
        (new(1, "calexp", DataId::new(), "runs/a"), "has no `detector`"),
        (patch(1, 100, 1, "r", "runs/a"), "needs tract 100"),
        (patch(1, 99, 81, "r", "runs/a"), "needs patch 81"),
        (patch(1, -1, 1, "r", "runs/a"), "needs tract -1"),
        (patch(1, 1, 1, "", "runs/a"), "empty"),
        (patch(1, 1, 1, "a\0", "runs/a"), "control"),
    ] {
        let text = message(registry.insert_datasets(&[dataset]));
        assert!(text.contains(part), "{text}");
    }
    let mut extra = exposure(1, 101, 1, "runs/a");
    extra.dataset.data_id.set("band", "r");
    let refused = registry.insert_datasets(&[extra]);
    assert!(matches!(refused, Err(RegistryError::Dimension(DimensionError::UnexpectedValue { .. }))));
    for path in ["", "../../etc/passwd", "a\0b", "a/../../b"] {
        let mut bad = exposure(1, 101, 1, "runs/a");
        path.clone_into(&mut bad.file.path);
        assert!(matches!(registry.insert_datasets(&[bad]), Err(RegistryError::Invalid { .. })), "{path:?}");
    }
    assert_eq!(registry.insert_datasets(&[patch(1, 99, 80, "r", "runs/a")]).unwrap().new, 1);
}

pub(crate) fn removing_forgets(registry: &Registry) {
    fill_with_datasets(registry);
    let ids = [Uuid::from_u128(1000), Uuid::from_u128(424_242)];
    assert_eq!(registry.remove_datasets(&ids).unwrap(), 1);
    assert_eq!(registry.remove_datasets(&ids).unwrap(), 0);
    assert_eq!(registry.file_record(ids[0]).unwrap(), None);
    assert_eq!(count(registry, "calexp", "visit = 100"), 3);
    assert_eq!(registry.insert_datasets(&[exposure(77, 100, 0, "runs/a")]).unwrap().new, 1);
}

pub(crate) fn coadds_are_filtered_by_patch_and_band(registry: &Registry) {
    fill(registry);
    let all: Vec<_> = (0..10)
        .flat_map(|t| (0..81).flat_map(move |p| ["g", "r"].map(|b| (t, p, b))))
        .enumerate()
        .map(|(i, (t, p, b))| patch(i as u128 + 1, t, p, b, "runs/a"))
        .collect();
    assert_eq!(registry.insert_datasets(&all).unwrap().new, 1620);
    assert_eq!(count(registry, "coadd", "tract = 3 AND band = 'r' AND patch IN (0..80:2)"), 41);
    assert_eq!(count(registry, "coadd", "skymap = 'rings' AND NOT band = 'r'"), 810);
    let found = registry.datasets("coadd", &["runs/a"], &query("tract = 3 AND patch = 5"), true).unwrap();
    assert_eq!((found.num_rows(), found.num_columns()), (2, 6));
}

pub(crate) fn two_threads_share_a_registry(registry: &Registry) {
    fill(registry);
    std::thread::scope(|scope| {
        for detector in 0..2 {
            scope.spawn(move || {
                for visit in 100..120 {
                    let new = exposure((visit * 10 + detector) as u128, visit, detector, "runs/a");
                    registry.insert_datasets(std::slice::from_ref(&new)).unwrap();
                    let found = registry.find_dataset("calexp", &new.dataset.data_id, &["runs/a"]).unwrap();
                    assert_eq!(found, Some(new.dataset));
                }
            });
        }
    });
    assert_eq!(count(registry, "calexp", "visit > 0"), 40);
}
