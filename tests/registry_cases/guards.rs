use bunter::{ChainEdit, CollectionState, Registry, RegistryError, RegistryReader, Timespan};
use serde_json::json;

use super::*;

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn refused<T: std::fmt::Debug>(result: Result<T, RegistryError>, words: &[&str]) {
    let error = result.unwrap_err();
    assert!(matches!(error, RegistryError::Refused { .. }), "{error}");
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

pub(crate) fn who_makes_a_run_owns_it(registry: &Registry) {
    fill(registry);
    for name in ["runs/a", "runs/b"] {
        let found = registry.ownership(name).unwrap();
        assert_eq!((found.owner.as_deref(), found.state), (Some(registry.user()), CollectionState::Open));
    }
    assert!(matches!(registry.ownership("runs/x"), Err(RegistryError::UnknownCollection { .. })));
}

pub(crate) fn a_sealed_run_is_not_written_to(registry: &Registry) {
    fill_with_datasets(registry);
    assert!(registry.set_collection_state("runs/b", CollectionState::Sealed).unwrap());
    assert!(!registry.set_collection_state("runs/b", CollectionState::Sealed).unwrap());
    let text = message(registry.insert_datasets(&[exposure(7, 100, 0, "runs/b")]));
    let user = registry.user();
    assert_eq!(
        text,
        format!(
            "cannot change RUN collection `runs/b`: {user} has sealed it; write to a new run; its owner opens it with `bunter \
             seal-run --open`"
        )
    );
    refused(registry.fold(&[exposure(7, 100, 0, "runs/b")], &[]), &["sealed"]);
    refused(registry.remove_datasets(&[id(101_121)]), &["runs/b", "sealed"]);
    refused(registry.compare_or_write("runs/b", &[("x", json!(1))]), &["sealed"]);
    refused(registry.remove_collection("runs/b", true), &["sealed"]);
    assert!(registry.dataset(id(101_121)).unwrap().is_some());
    registry.insert_datasets(&[patch(7, 3, 4, "r", "runs/a")]).unwrap();
    registry.set_collection_state("runs/b", CollectionState::Open).unwrap();
    registry.insert_datasets(&[exposure(8, 100, 0, "runs/b")]).unwrap();
}

pub(crate) fn another_s_run_is_not_written_to(registry: &Registry) {
    fill_with_datasets(registry);
    registry.give_collection("runs/b", "ada").unwrap();
    let user = registry.user().to_owned();
    refused(registry.insert_datasets(&[exposure(7, 100, 0, "runs/b")]), &["runs/b", "ada's", &user]);
    refused(registry.remove_datasets(&[id(101_121)]), &["runs/b", "ada's"]);
    refused(registry.set_collection_state("runs/b", CollectionState::Sealed), &["ada's"]);
    refused(registry.give_collection("runs/b", &user), &["ada's"]);
    refused(registry.remove_collection("runs/b", false), &["ada's"]);
    for bad in ["", "a b", "a\n"] {
        assert!(matches!(registry.give_collection("runs/a", bad), Err(RegistryError::Invalid { .. })), "{bad:?}");
    }
}

pub(crate) fn another_s_collections_are_not_changed(registry: &Registry) {
    fill_with_datasets(registry);
    registry.register_tagged("good").unwrap();
    registry.register_calibration("calib").unwrap();
    registry.set_collection_chain("chain", &["runs/a"]).unwrap();
    for name in ["good", "calib", "chain"] {
        registry.give_collection(name, "ada").unwrap();
    }
    refused(registry.associate("good", &[id(1121)]), &["TAGGED", "good", "ada's"]);
    refused(registry.disassociate("good", &[id(1121)]), &["ada's"]);
    refused(registry.certify("calib", &[id(1121)], Timespan::ALWAYS), &["CALIBRATION", "ada's"]);
    refused(registry.decertify("calib", "calexp", Timespan::ALWAYS, &[]), &["ada's"]);
    refused(registry.edit_collection_chain("chain", ChainEdit::Extend, &["runs/b"]), &["CHAINED", "ada's"]);
    refused(registry.remove_collection("runs/a", true), &["chain", "ada's"]);
}

pub(crate) fn what_others_use_is_not_pruned(registry: &Registry) {
    fill_with_datasets(registry);
    registry.set_collection_chain("inner", &["runs/b"]).unwrap();
    registry.set_collection_chain("outer", &["inner", "runs/a"]).unwrap();
    registry.remove_datasets(&[id(101_191)]).unwrap();
    registry.give_collection("outer", "ada").unwrap();
    refused(registry.remove_datasets(&[id(101_121)]), &["runs/b", "ada's chain `outer`", "collection-chain"]);
    refused(registry.prune_datasets(&[id(101_121)], true), &["ada's chain `outer`"]);
    assert!(registry.dataset(id(101_121)).unwrap().is_some());
}

pub(crate) fn what_is_picked_is_unlinked_first(registry: &Registry) {
    fill_with_datasets(registry);
    registry.register_tagged("good").unwrap();
    registry.register_calibration("calib").unwrap();
    registry.associate("good", &[id(1121)]).unwrap();
    registry.certify("calib", &[id(1121)], Timespan::ALWAYS).unwrap();
    refused(registry.remove_datasets(&[id(1131), id(1121)]), &["`good`", "--unlink"]);
    assert!(registry.dataset(id(1131)).unwrap().is_some(), "all or none");
    let report = registry.prune_datasets(&[id(1131), id(1121)], true).unwrap();
    assert_eq!((report.removed.len(), report.unlinked), (2, 2));
    assert_eq!(registry.datasets("calexp", &["good", "calib"], &query("visit > 0"), false).unwrap().num_rows(), 0);
    // The number of a dataset that is gone may be given to another: that one is in no collection.
    registry.insert_datasets(&[exposure(9, 113, 1, "runs/a")]).unwrap();
    assert_eq!(registry.datasets("calexp", &["good"], &query("visit > 0"), false).unwrap().num_rows(), 0);
}

pub(crate) fn unlinking_wants_the_right_to(registry: &Registry) {
    fill_with_datasets(registry);
    registry.register_tagged("good").unwrap();
    registry.associate("good", &[id(1121)]).unwrap();
    registry.set_collection_state("good", CollectionState::Sealed).unwrap();
    refused(registry.prune_datasets(&[id(1121)], true), &["good", "sealed"]);
    assert_eq!(registry.prune_datasets(&[id(5)], true).unwrap().removed.len(), 0);
}
