use bunter::{ChangeKind, Registry, RegistryError, RegistryReader, Timespan};

use super::*;

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(crate) fn one_number_a_transaction(registry: &Registry) {
    fill(registry);
    let before = registry.change_number().unwrap();
    registry.insert_datasets(&exposures()).unwrap();
    assert_eq!(registry.change_number().unwrap(), before + 1);
    registry.insert_datasets(&exposures()).unwrap();
    assert_eq!(registry.change_number().unwrap(), before + 1, "what was there is no change");
    registry.insert_datasets(&[]).unwrap();
    assert_eq!(registry.change_number().unwrap(), before + 1);
    let told = registry.changes_since(before).unwrap();
    assert_eq!(told.number, before + 1);
    let seen: Vec<_> = told.changes.iter().map(|c| (c.kind, &*c.collection, c.count)).collect();
    assert_eq!(seen, [(ChangeKind::Added, "runs/a", 80), (ChangeKind::Added, "runs/b", 40)]);
    assert_eq!(told.added.num_rows(), 120);
}

pub(crate) fn only_what_is_new_comes(registry: &Registry) {
    fill_with_datasets(registry);
    let since = registry.change_number().unwrap();
    assert_eq!(registry.changes_since(since).unwrap().added.num_rows(), 0);
    registry.insert_datasets(&[patch(7, 3, 4, "r", "runs/b"), patch(8, 3, 5, "r", "runs/a")]).unwrap();
    registry.insert_datasets(&[patch(9, 3, 4, "r", "runs/a")]).unwrap();
    let told = registry.changes_since(since).unwrap();
    let mut seen = numbers(&told.added);
    seen.sort_unstable();
    assert_eq!(seen, [7, 8, 9]);
    let later = registry.changes_since(since + 1).unwrap();
    assert_eq!(numbers(&later.added), [9]);
    assert_eq!(column(&later.added, "number").value(0) as u64, since + 2);
}

pub(crate) fn what_went_is_told(registry: &Registry) {
    fill_with_datasets(registry);
    let since = registry.change_number().unwrap();
    registry.remove_datasets(&[id(1190), id(5)]).unwrap();
    let told = registry.changes_since(since).unwrap();
    assert_eq!((numbers(&told.removed), told.added.num_rows()), (vec![1190], 0));
    assert_eq!(told.changes.last().unwrap().kind, ChangeKind::Removed);
    // It comes back: then it is new, and not gone.
    registry.insert_datasets(&[exposure(1190, 119, 0, "runs/a")]).unwrap();
    let told = registry.changes_since(since).unwrap();
    assert_eq!((numbers(&told.added), told.removed.num_rows()), (vec![1190], 0));
    // Nothing to remove is no change.
    let now = registry.change_number().unwrap();
    registry.remove_datasets(&[id(5)]).unwrap();
    assert_eq!(registry.change_number().unwrap(), now);
}

pub(crate) fn the_last_row_removed_and_another_written(registry: &Registry) {
    fill(registry);
    registry.insert_datasets(&[exposure(1, 100, 0, "runs/a"), exposure(2, 100, 1, "runs/a")]).unwrap();
    let since = registry.change_number().unwrap();
    // A database may give the number of a row that is gone to the next one.
    registry.remove_datasets(&[id(2)]).unwrap();
    registry.insert_datasets(&[exposure(3, 100, 2, "runs/a")]).unwrap();
    let told = registry.changes_since(since).unwrap();
    assert_eq!((numbers(&told.added), numbers(&told.removed)), (vec![3], vec![2]));
    let mut all = numbers(&registry.changes_since(0).unwrap().added);
    all.sort_unstable();
    assert_eq!(all, [1, 3]);
}

pub(crate) fn everything_that_changes_is_told(registry: &Registry) {
    fill_with_datasets(registry);
    let since = registry.change_number().unwrap();
    registry.register_tagged("good").unwrap();
    registry.associate("good", &[id(1121)]).unwrap();
    registry.associate("good", &[id(1121)]).unwrap();
    registry.disassociate("good", &[id(1121)]).unwrap();
    registry.register_calibration("calib").unwrap();
    registry.certify("calib", &[id(1121)], Timespan::ALWAYS).unwrap();
    registry.decertify("calib", "calexp", Timespan::ALWAYS, &[]).unwrap();
    registry.set_collection_chain("chain", &["runs/a"]).unwrap();
    registry.set_collection_chain("chain", &["runs/a"]).unwrap();
    registry.remove_collection("chain", false).unwrap();
    let told = registry.changes_since(since).unwrap();
    let kinds: Vec<_> = told.changes.iter().map(|c| c.kind).collect();
    assert_eq!(
        kinds,
        [
            ChangeKind::CollectionMade,
            ChangeKind::Associated,
            ChangeKind::Disassociated,
            ChangeKind::CollectionMade,
            ChangeKind::Certified,
            ChangeKind::Decertified,
            ChangeKind::ChainEdited,
            ChangeKind::CollectionRemoved
        ]
    );
    assert!(told.changes.windows(2).all(|w| w[0].number < w[1].number));
    assert!(told.changes.iter().all(|c| c.who.contains('@')));
}

pub(crate) fn numbers_of_other_registries_are_refused(registry: &Registry) {
    fill(registry);
    let now = registry.change_number().unwrap();
    assert!(matches!(registry.changes_since(now + 1), Err(RegistryError::Invalid { .. })));
    assert!(matches!(registry.changes_since(u64::MAX), Err(RegistryError::Invalid { .. })));
}

pub(crate) fn a_refused_write_is_no_change(registry: &Registry) {
    fill_with_datasets(registry);
    let now = registry.change_number().unwrap();
    assert!(registry.insert_datasets(&[exposure(7, 100, 0, "runs/b"), exposure(8, 999, 0, "runs/b")]).is_err());
    assert!(registry.associate("runs/a", &[id(1121)]).is_err());
    assert_eq!(registry.change_number().unwrap(), now);
    assert!(registry.dataset(id(7)).unwrap().is_none());
}
