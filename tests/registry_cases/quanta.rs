use arrow::array::AsArray;
use arrow::datatypes::Float64Type;
use bunter::{DataId, Inserted, QuantumRecord, QuantumStatus, Registry, RegistryReader};
use uuid::Uuid;

use super::*;

fn quantum(patch: i64, fingerprint: u64, status: QuantumStatus, finished_at_us: i64) -> QuantumRecord {
    QuantumRecord {
        run: "runs/a".into(),
        task: "coadd".into(),
        data_id: DataId::new().with("skymap", "rings").with("tract", 1).with("patch", patch).with("band", "r"),
        fingerprint,
        status,
        cause: (status == QuantumStatus::Failed).then(|| "no inputs; 'quoted'".to_owned()),
        seconds: 1.5,
        rank: 3,
        host: "node7".into(),
        output: (status == QuantumStatus::Done).then(|| Uuid::from_u128(fingerprint.into())),
        finished_at_us,
    }
}

pub(crate) fn quanta_come_back(registry: &Registry) {
    fill(registry);
    let written = [quantum(1, 1, QuantumStatus::Done, 5), quantum(2, u64::MAX, QuantumStatus::Failed, 6)];
    assert_eq!(registry.record_quanta(&written).unwrap(), Inserted { new: 2, existing: 0 });
    let batch = registry.quanta("runs/a", "coadd").unwrap();
    assert_eq!(QuantumRecord::from_batch("runs/a", "coadd", &batch).unwrap(), written);
    assert_eq!(registry.quanta("runs/b", "coadd").unwrap().num_rows(), 0);
    assert!(registry.quanta("runs/c", "coadd").is_err());
    let seconds = batch.column_by_name("seconds").unwrap().as_primitive::<Float64Type>();
    assert_eq!(seconds.values(), &[1.5, 1.5]);
}

pub(crate) fn the_latest_quantum_wins_in_any_order(registry: &Registry) {
    fill(registry);
    let old = quantum(1, 10, QuantumStatus::Failed, 5);
    let late = quantum(1, 11, QuantumStatus::Done, 9);
    let found = || QuantumRecord::from_batch("runs/a", "coadd", &registry.quanta("runs/a", "coadd").unwrap()).unwrap();
    registry.record_quanta(&[old.clone(), late.clone()]).unwrap();
    assert_eq!(found(), std::slice::from_ref(&late));
    assert_eq!(registry.record_quanta(&[old]).unwrap(), Inserted { new: 0, existing: 1 });
    assert_eq!(found(), [late]);
}

pub(crate) fn bad_quanta_are_refused(registry: &Registry) {
    fill(registry);
    let good = quantum(1, 1, QuantumStatus::Done, 1);
    let mut endless = quantum(2, 1, QuantumStatus::Done, 1);
    endless.seconds = f64::NAN;
    let mut nowhere = quantum(2, 1, QuantumStatus::Done, 1);
    nowhere.run = "runs/z".into();
    for bad in [endless, nowhere] {
        assert!(registry.record_quanta(&[good.clone(), bad]).is_err());
        assert_eq!(registry.quanta("runs/a", "coadd").unwrap().num_rows(), 0);
    }
    let mut odd = quantum(3, 1, QuantumStatus::Failed, 1);
    odd.cause = Some("a\0b".to_owned());
    assert_eq!(registry.record_quanta(&[odd]).unwrap().new, 1);
}

pub(crate) fn a_fold_is_all_or_nothing_and_repeatable(registry: &Registry) {
    fill(registry);
    let datasets = [patch(1, 1, 1, "r", "runs/a"), patch(2, 1, 2, "r", "runs/a")];
    let quanta = [quantum(1, 1, QuantumStatus::Done, 1), quantum(2, 2, QuantumStatus::Done, 1)];
    let mut bad = quanta.clone();
    bad[1].seconds = f64::INFINITY;
    assert!(registry.fold(&datasets, &bad).is_err());
    assert_eq!(registry.dataset(Uuid::from_u128(1)).unwrap(), None);
    let first = registry.fold(&datasets, &quanta).unwrap();
    assert_eq!((first.datasets.new, first.quanta.new), (2, 2));
    let second = registry.fold(&datasets, &quanta).unwrap();
    assert_eq!((second.datasets, second.quanta), (Inserted { new: 0, existing: 2 }, Inserted { new: 0, existing: 2 }));
    assert_eq!(registry.fold(&[], &[]).unwrap().datasets, Inserted::default());
}
