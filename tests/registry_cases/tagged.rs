use bunter::{
    ChainEdit, CollectionSearch, CollectionType, Query, Registry, RegistryError, RegistryReader, Selection, Snapshot,
};

use super::*;

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// The registry, and a snapshot of all of it, which must answer alike.
pub(crate) fn both(registry: &Registry, collections: &[&str], check: impl Fn(&dyn RegistryReader)) {
    check(registry);
    let selection = Selection::new(collections.iter().copied()).with_datasets("calexp", None);
    let bytes = Snapshot::build(registry, &selection).unwrap().to_bytes().unwrap();
    check(&Snapshot::from_bytes(bytes).unwrap().registry().unwrap());
}

fn find(reader: &dyn RegistryReader, visit: i64, collections: &[&str]) -> Option<(u128, String)> {
    let data_id = exposure(0, visit, 1, "").dataset.data_id;
    reader.find_dataset("calexp", &data_id, collections).unwrap().map(|d| (d.id.as_u128(), d.run.to_string()))
}

pub(crate) fn tagged_datasets_are_found(registry: &Registry) {
    fill_with_datasets(registry);
    assert!(registry.register_tagged("good").unwrap());
    assert!(!registry.register_tagged("good").unwrap());
    assert_eq!(registry.associate("good", &[id(1121), id(101_131)]).unwrap().new, 2);
    both(registry, &["runs/*", "good"], |reader| {
        let found = reader.datasets("calexp", &["good"], &Query::all(), false).unwrap();
        assert_eq!(numbers(&found), [1121, 101_131]);
        assert_eq!(find(reader, 112, &["good"]), Some((1121, "runs/a".to_owned())));
        assert_eq!(find(reader, 113, &["good"]), Some((101_131, "runs/b".to_owned())));
        assert_eq!(find(reader, 114, &["good"]), None);
        assert_eq!(numbers(&reader.datasets("calexp", &["good"], &query("band = 'g'"), true).unwrap()), [1121]);
    });
}

pub(crate) fn tagged_collections_are_searched_at_their_place(registry: &Registry) {
    fill_with_datasets(registry);
    registry.register_tagged("good").unwrap();
    registry.associate("good", &[id(101_131)]).unwrap();
    registry.set_collection_chain("first", &["good", "runs/a"]).unwrap();
    registry.set_collection_chain("last", &["runs/a", "good"]).unwrap();
    both(registry, &["runs/*", "good"], |reader| {
        assert_eq!(find(reader, 113, &["first"]).unwrap().0, 101_131);
        assert_eq!(find(reader, 113, &["last"]).unwrap().0, 1131);
        let all = |name: &str| numbers(&reader.datasets("calexp", &[name], &query("visit = 113"), true).unwrap());
        assert_eq!(all("first"), [1130, 101_131, 1132, 1133]);
        assert_eq!(all("last"), [1130, 1131, 1132, 1133]);
    });
}

pub(crate) fn a_dataset_in_two_collections_comes_once(registry: &Registry) {
    fill_with_datasets(registry);
    registry.register_tagged("good").unwrap();
    registry.associate("good", &[id(1131)]).unwrap();
    both(registry, &["runs/*", "good"], |reader| {
        let found = reader.datasets("calexp", &["good", "runs/a"], &query("visit = 113"), false).unwrap();
        assert_eq!(numbers(&found), [1130, 1131, 1132, 1133]);
    });
}

pub(crate) fn one_dataset_a_name_in_a_tagged_collection(registry: &Registry) {
    fill_with_datasets(registry);
    registry.register_tagged("good").unwrap();
    registry.associate("good", &[id(1121)]).unwrap();
    let again = registry.associate("good", &[id(1121)]).unwrap();
    assert_eq!((again.new, again.existing), (0, 1));
    let text = message(registry.associate("good", &[id(1131), id(101_121)]));
    assert!(text.contains("calexp") && text.contains("runs/a") && text.contains("runs/b"), "{text}");
    let there = registry.datasets("calexp", &["good"], &Query::all(), false).unwrap();
    assert_eq!(numbers(&there), [1121], "nothing of a refused association stays");
}

pub(crate) fn associating_wants_what_exists(registry: &Registry) {
    fill_with_datasets(registry);
    registry.register_tagged("good").unwrap();
    assert!(matches!(registry.associate("good", &[id(5)]), Err(RegistryError::Missing { .. })));
    assert!(matches!(registry.associate("runs/a", &[id(1121)]), Err(RegistryError::CollectionType { .. })));
    let text = message(registry.associate("god", &[id(1121)]));
    assert!(text.contains("did you mean `good`?") && text.contains("bunter query-collections"), "{text}");
    assert!(matches!(registry.register_tagged("runs/a"), Err(RegistryError::CollectionType { .. })));
    assert!(matches!(
        registry.register_tagged("a'; DROP TABLE tagged; --/../x"),
        Err(RegistryError::CollectionName(_))
    ));
    assert!(registry.register_tagged("a'; DROP TABLE tagged").unwrap());
    registry.associate("a'; DROP TABLE tagged", &[id(1121)]).unwrap();
}

pub(crate) fn disassociated_datasets_stay(registry: &Registry) {
    fill_with_datasets(registry);
    registry.register_tagged("good").unwrap();
    registry.associate("good", &[id(1121), id(1131)]).unwrap();
    assert_eq!(registry.disassociate("good", &[id(1121), id(1141), id(7)]).unwrap(), 1);
    assert_eq!(numbers(&registry.datasets("calexp", &["good"], &Query::all(), false).unwrap()), [1131]);
    assert!(registry.dataset(id(1121)).unwrap().is_some());
    registry.associate("good", &[id(101_121)]).unwrap();
}

pub(crate) fn each_type_has_its_own_path(registry: &Registry) {
    fill_with_datasets(registry);
    both(registry, &["runs/*"], |reader| {
        assert_eq!(find(reader, 112, &["calexp=runs/b", "*=runs/a"]).unwrap().0, 101_121);
        assert_eq!(find(reader, 112, &["coadd=runs/b", "*=runs/a"]).unwrap().0, 1121);
        assert_eq!(find(reader, 112, &["cal*=runs/b", "runs/a"]).unwrap().0, 101_121);
        assert_eq!(find(reader, 102, &["cal*=runs/b", "runs/a"]).unwrap().0, 1021);
        assert_eq!(find(reader, 102, &["calexp=runs/b", "*=runs/a"]), None);
        let error = reader.datasets("calexp", &["cal exp=runs/b"], &Query::all(), false).unwrap_err().to_string();
        assert!(error.contains("TYPE=COLLECTION"), "{error}");
        let error = reader.datasets("calexp", &["calexp=runs/bb"], &Query::all(), true).unwrap_err().to_string();
        assert!(error.contains("did you mean `runs/b`"), "{error}");
    });
    let selection = Selection::new(["calexp=runs/b"]).with_datasets("calexp", None);
    let bytes = Snapshot::build(registry, &selection).unwrap().to_bytes().unwrap();
    let view = Snapshot::from_bytes(bytes).unwrap().registry().unwrap();
    assert_eq!(view.collections().unwrap().len(), 1);
    assert_eq!(view.datasets("calexp", &["calexp=runs/b"], &Query::all(), true).unwrap().num_rows(), 40);
}

pub(crate) fn a_search_explains_itself(registry: &Registry) {
    fill_with_datasets(registry);
    registry.register_tagged("good").unwrap();
    registry.associate("good", &[id(1131)]).unwrap();
    registry.set_collection_chain("inner", &["runs/b", "good"]).unwrap();
    registry.set_collection_chain("outer", &["inner", "runs/a"]).unwrap();
    both(registry, &["outer", "runs/*"], |reader| {
        let told = reader.explain("calexp", &["outer"], &query("visit IN (109, 113) AND detector = 1")).unwrap();
        assert_eq!(told.num_rows(), 2);
        let cell = |name: &str, row| told.column_by_name(name).unwrap().as_string::<i32>().value(row).to_owned();
        let row = |visit| column(&told, "visit").values().iter().position(|v| *v == visit).unwrap();
        let (b, a) = (row(113), row(109));
        assert_eq!((cell("found_in", b), cell("route", b)), ("runs/b".to_owned(), "outer → inner → runs/b".to_owned()));
        assert_eq!((cell("found_in", a), cell("route", a)), ("runs/a".to_owned(), "outer → runs/a".to_owned()));
        assert_eq!((column(&told, "shadowed").value(b), column(&told, "shadowed").value(a)), (2, 0));
        let shadows = cell("shadows", b);
        assert!(shadows.starts_with("good: ") && shadows.contains("of run runs/a; runs/a: "), "{shadows}");
        // What explain finds first is what the search finds.
        let all = reader.explain("calexp", &["outer"], &Query::all()).unwrap();
        let (mut explained, mut searched) =
            (numbers(&all), numbers(&reader.datasets("calexp", &["outer"], &Query::all(), true).unwrap()));
        explained.sort_unstable();
        searched.sort_unstable();
        assert_eq!(explained, searched);
    });
}

fn members(registry: &Registry, name: &str) -> Vec<String> {
    let all = registry.collections().unwrap();
    all.iter().find(|c| &*c.name == name).unwrap().children.iter().map(ToString::to_string).collect()
}

pub(crate) fn chains_are_edited(registry: &Registry) {
    fill(registry);
    registry.register_run("runs/c").unwrap();
    let edit = |how, names: &[&str]| registry.edit_collection_chain("chain", how, names).unwrap().join(" ");
    assert_eq!(edit(ChainEdit::Extend, &["runs/a"]), "runs/a");
    assert_eq!(edit(ChainEdit::Prepend, &["runs/c", "runs/b"]), "runs/c runs/b runs/a");
    assert_eq!(edit(ChainEdit::Extend, &["runs/c"]), "runs/b runs/a runs/c");
    assert_eq!(edit(ChainEdit::Prepend, &["runs/c"]), "runs/c runs/b runs/a");
    assert_eq!(edit(ChainEdit::Pop(1), &[]), "runs/c runs/a");
    assert_eq!(edit(ChainEdit::Remove, &["runs/c"]), "runs/a");
    assert_eq!(edit(ChainEdit::Redefine, &["runs/b", "runs/a", "runs/b"]), "runs/b runs/a");
    assert_eq!(members(registry, "chain"), ["runs/b", "runs/a"]);
}

pub(crate) fn edits_that_cannot_be(registry: &Registry) {
    fill(registry);
    registry.set_collection_chain("one", &["runs/a"]).unwrap();
    registry.set_collection_chain("two", &["one"]).unwrap();
    let edit = |name: &str, how, names: &[&str]| registry.edit_collection_chain(name, how, names);
    assert!(matches!(edit("one", ChainEdit::Prepend, &["two"]), Err(RegistryError::CollectionCycle { .. })));
    assert!(matches!(edit("one", ChainEdit::Pop(1), &[]), Err(RegistryError::Invalid { .. })));
    let text = message(edit("one", ChainEdit::Remove, &["runs/b"]));
    assert!(text.contains("runs/b") && text.contains("runs/a"), "{text}");
    assert!(matches!(
        edit("on", ChainEdit::Remove, &["runs/a"]),
        Err(RegistryError::UnknownCollection { near: Some(_), .. })
    ));
    assert!(matches!(edit("runs/a", ChainEdit::Extend, &["one"]), Err(RegistryError::CollectionType { .. })));
    assert_eq!(members(registry, "one"), ["runs/a"]);
}

pub(crate) fn chains_obey_a_list(registry: &Registry) {
    fill(registry);
    for i in 0..6 {
        registry.register_run(&format!("r{i}")).unwrap();
    }
    let mut state = 12_345_u64;
    let mut dice = |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut model: Vec<String> = Vec::new();
    registry.set_collection_chain("chain", &[]).unwrap();
    for _ in 0..120 {
        let named: Vec<String> = (0..=dice(3)).map(|_| format!("r{}", dice(6))).collect();
        let names: Vec<&str> = named.iter().map(String::as_str).collect();
        let unique = |list: Vec<String>| {
            let mut out: Vec<String> = Vec::new();
            for x in list {
                if !out.contains(&x) {
                    out.push(x);
                }
            }
            out
        };
        let without = |list: &[String]| list.iter().filter(|m| !named.contains(m)).cloned().collect::<Vec<_>>();
        let (how, expected) = match dice(5) {
            0 => (ChainEdit::Redefine, Some(unique(named.clone()))),
            1 => (ChainEdit::Prepend, Some(unique([named.clone(), model.clone()].concat()))),
            2 => (ChainEdit::Extend, Some([without(&model), unique(named.clone())].concat())),
            3 => (ChainEdit::Remove, named.iter().all(|n| model.contains(n)).then(|| without(&model))),
            _ => {
                let at = dice(4) as usize;
                let mut left = model.clone();
                let popped = at < left.len();
                if popped {
                    left.remove(at);
                }
                (ChainEdit::Pop(at), popped.then_some(left))
            }
        };
        let result = registry.edit_collection_chain("chain", how, &names);
        assert_eq!(result.is_ok(), expected.is_some(), "{how:?} {named:?} of {model:?}");
        model = expected.unwrap_or(model);
        assert_eq!(members(registry, "chain"), model);
    }
}

pub(crate) fn collections_are_removed(registry: &Registry) {
    fill_with_datasets(registry);
    registry.register_tagged("good").unwrap();
    registry.associate("good", &[id(1121)]).unwrap();
    registry.set_collection_chain("chain", &["good", "runs/a"]).unwrap();
    let text = message(registry.remove_collection("good", false));
    assert!(text.contains("member of `chain`") && text.contains("--unlink"), "{text}");
    let text = message(registry.remove_collection("runs/a", true));
    assert!(text.contains("80 datasets") && text.contains("prune-datasets"), "{text}");
    registry.remove_collection("good", true).unwrap();
    assert_eq!(members(registry, "chain"), ["runs/a"]);
    registry.remove_collection("chain", false).unwrap();
    assert!(registry.dataset(id(1121)).unwrap().is_some());
    registry.register_run("runs/empty").unwrap();
    registry.remove_collection("runs/empty", false).unwrap();
    assert!(matches!(registry.remove_collection("good", true), Err(RegistryError::UnknownCollection { .. })));
    registry.register_collection("good", CollectionType::Chained).unwrap();
}

pub(crate) fn a_search_is_a_value(_registry: &Registry) {
    let search: CollectionSearch = " calexp = runs/b , *=runs/a".parse().unwrap();
    assert_eq!(search.to_string(), "calexp=runs/b,*=runs/a");
    assert_eq!(search.to_string().parse::<CollectionSearch>().unwrap(), search);
}
