use bunter::{Registry, RegistryError};
use serde_json::json;

use super::*;

pub(crate) fn the_first_writes_and_others_compare(registry: &Registry) {
    fill(registry);
    let config = json!({"kernel": {"order": 3}, "planes": ["BAD"]});
    let records = [("config/coadd", config.clone()), ("versions", json!({"bunter": "1"}))];
    assert_eq!(registry.compare_or_write("runs/a", &records).unwrap().new, 2);
    let again = registry.compare_or_write("runs/a", &records).unwrap();
    assert_eq!((again.new, again.existing), (0, 2));
    let found = registry.provenance("runs/a").unwrap();
    assert_eq!(found.iter().map(|r| &*r.name).collect::<Vec<_>>(), ["config/coadd", "versions"]);
    assert_eq!(found[0].content, config);
    assert!(registry.provenance("runs/b").unwrap().is_empty());
}

pub(crate) fn a_difference_is_told_by_key_and_refused(registry: &Registry) {
    fill(registry);
    let old = json!({"kernel": {"order": 3, "name": "lanczos"}, "gone": true});
    registry.compare_or_write("runs/a", &[("config/coadd", old.clone())]).unwrap();
    let new = json!({"kernel": {"order": 5, "name": "lanczos"}, "fresh": null});
    let text = message(registry.compare_or_write("runs/a", &[("schema/src", json!(1)), ("config/coadd", new)]));
    assert_eq!(
        text,
        "run `runs/a` was made otherwise; nothing was written:\n  config/coadd: fresh: absent → null\n  config/coadd: gone: \
         true → absent\n  config/coadd: kernel.order: 3 → 5\nchoose another run"
    );
    let found = registry.provenance("runs/a").unwrap();
    assert_eq!((found.len(), &found[0].content), (1, &old), "nothing was written");
}

pub(crate) fn provenance_is_of_runs_and_has_names(registry: &Registry) {
    fill(registry);
    registry.set_collection_chain("chain", &["runs/a"]).unwrap();
    let write = |run: &str, name: &str| registry.compare_or_write(run, &[(name, json!("it's \"quoted\" \u{0}"))]);
    assert!(matches!(write("chain", "x"), Err(RegistryError::CollectionType { .. })));
    assert!(message(write("runs/aa", "x")).contains("did you mean `runs/a`?"));
    for bad in ["", "a\nb", &"x".repeat(256)] {
        assert!(matches!(write("runs/a", bad), Err(RegistryError::Invalid { .. })), "{bad:?}");
    }
    write("runs/a", "'; DROP TABLE provenance; --").unwrap();
    assert_eq!(registry.provenance("runs/a").unwrap()[0].content, json!("it's \"quoted\" \u{0}"));
}

pub(crate) fn numbers_and_texts_differ(registry: &Registry) {
    fill(registry);
    registry.compare_or_write("runs/a", &[("n", json!({"x": 1, "y": 0.1, "z": 1e300}))]).unwrap();
    registry.compare_or_write("runs/a", &[("n", json!({"x": 1, "y": 0.1, "z": 1e300}))]).unwrap();
    assert!(registry.compare_or_write("runs/a", &[("n", json!({"x": "1", "y": 0.1, "z": 1e300}))]).is_err());
}
