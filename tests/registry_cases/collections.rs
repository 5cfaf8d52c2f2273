use bunter::{CollectionType, Query, Registry, RegistryError, RegistryReader};

use super::*;

pub(crate) fn collections_are_listed(registry: &Registry) {
    fill(registry);
    registry.set_collection_chain("all", &["runs/b", "runs/a", "runs/b"]).unwrap();
    let found = registry.collections().unwrap();
    let names: Vec<_> = found.iter().map(|c| &*c.name).collect();
    assert_eq!(names, ["all", "runs/a", "runs/b"]);
    assert_eq!(found[0].collection_type, CollectionType::Chained);
    assert_eq!(found[0].children.iter().map(|c| &**c).collect::<Vec<_>>(), ["runs/b", "runs/a"]);
    assert!(!registry.register_run("runs/a").unwrap());
    assert!(registry.register_run("runs/c").unwrap());
}

pub(crate) fn chains_that_cannot_be(registry: &Registry) {
    fill(registry);
    registry.set_collection_chain("one", &["runs/a"]).unwrap();
    registry.set_collection_chain("two", &["one"]).unwrap();
    let text = message(registry.set_collection_chain("one", &["runs/b", "two"]));
    assert_eq!(text, "collection `one` would contain itself: one → two → one");
    assert!(matches!(registry.set_collection_chain("self", &["self"]), Err(RegistryError::CollectionCycle { .. })));
    assert_eq!(registry.collections().unwrap().len(), 4, "a refused chain is not left behind");
    let text = message(registry.set_collection_chain("one", &["runs/aa"]));
    assert!(text.contains("did you mean `runs/a`?") && text.contains("bunter query-collections"), "{text}");
    assert!(matches!(registry.set_collection_chain("runs/a", &[]), Err(RegistryError::CollectionType { .. })));
    assert!(matches!(registry.register_run("one"), Err(RegistryError::CollectionType { .. })));
    for bad in ["../x", "a//b", "", "a\0", "x*"] {
        assert!(matches!(registry.register_run(bad), Err(RegistryError::CollectionName(_))), "{bad:?}");
    }
}

pub(crate) fn deep_chains_and_diamonds(registry: &Registry) {
    fill_with_datasets(registry);
    registry.set_collection_chain("c0", &["runs/b"]).unwrap();
    for i in 1..100 {
        registry.set_collection_chain(&format!("c{i}"), &[&format!("c{}", i - 1), "runs/a", "c0"]).unwrap();
    }
    let found = registry.find_dataset("calexp", &exposure(0, 112, 1, "").dataset.data_id, &["c99"]).unwrap().unwrap();
    assert_eq!(&*found.run, "runs/b");
}

pub(crate) fn search_order_decides(registry: &Registry) {
    fill_with_datasets(registry);
    registry.set_collection_chain("ab", &["runs/a", "runs/b"]).unwrap();
    registry.set_collection_chain("ba", &["runs/b", "runs/a"]).unwrap();
    let first = |name: &str, text: &str| {
        let found = registry.datasets("calexp", &[name], &query(text), true).unwrap();
        (found.num_rows(), numbers(&found).iter().filter(|n| **n > 100_000).count())
    };
    assert_eq!(first("ab", "visit > 0"), (80, 0));
    assert_eq!(first("ba", "visit > 0"), (80, 40));
    assert_eq!(first("ba", "visit < 112 AND band = 'g'"), (24, 4));
    assert_eq!(registry.datasets("calexp", &["ba"], &Query::all(), false).unwrap().num_rows(), 120);
    let id = exposure(0, 112, 1, "").dataset.data_id;
    let find = |collections: &[&str]| {
        registry.find_dataset("calexp", &id, collections).unwrap().map(|d| (d.id.as_u128(), d.run.to_string()))
    };
    assert_eq!(find(&["ab"]), Some((1121, "runs/a".to_owned())));
    assert_eq!(find(&["ba"]), Some((101_121, "runs/b".to_owned())));
    assert_eq!(find(&["runs/b", "ab"]), Some((101_121, "runs/b".to_owned())));
    assert_eq!(find(&[]), None);
    let limited = Query { limit: Some(2), ..query("visit >= 110") };
    let found = registry.datasets("calexp", &["ba"], &limited, true).unwrap();
    assert_eq!(numbers(&found), [101_100, 101_110]);
}

pub(crate) fn patterns_of_collections(registry: &Registry) {
    fill_with_datasets(registry);
    let ask = |pattern: &str, first| {
        registry.datasets("calexp", &[pattern], &query("visit = 119 AND detector = 0"), first).map(|f| numbers(&f))
    };
    assert_eq!(ask("runs/*", false).unwrap(), [1190, 101_190]);
    assert!(matches!(ask("runs/*", true), Err(RegistryError::PatternInSearch { .. })));
    assert!(matches!(ask("u/*", false), Err(RegistryError::UnknownCollection { .. })));
}
