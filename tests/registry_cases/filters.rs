use arrow::array::AsArray;
use bunter::{Expression, OrderBy, Query, Registry, RegistryReader};

use super::*;

pub(crate) fn filters_choose_the_same_rows_as_a_loop(registry: &Registry) {
    type Rule = fn(i64) -> bool;
    fn band(visit: i64) -> &'static str {
        match filter_of(visit) {
            "HSC-G" => "g",
            "HSC-R2" => "r",
            _ => "i",
        }
    }
    fill(registry);
    let cases: &[(&str, Rule)] = &[
        ("visit > 110", |v| v > 110),
        ("visit.exposure_time <= 15.5 AND band = 'g'", |v| v - 90 <= 15 && band(v) == "g"),
        ("exposure_time > 20 and band in ('g', 'r')", |v| v - 90 > 20 && band(v) != "i"),
        ("physical_filter GLOB 'HSC-?2'", |v| band(v) != "g"),
        ("physical_filter GLOB '*-g'", |_| false),
        ("NOT physical_filter GLOB '*2'", |v| band(v) == "g"),
        ("visit IN (101, 103..105, 110..119:3)", |v| [101, 103, 104, 105, 110, 113, 116, 119].contains(&v)),
        ("visit NOT IN (101..118)", |v| v == 100 || v == 119),
        ("visit IN ()", |_| false),
        ("visit NOT IN ()", |_| true),
        // From -2^63, which is one more than a multiple of three.
        ("visit IN (-9223372036854775808..9223372036854775807:3)", |v| (v - 1) % 3 == 0),
        ("visit IN (-9223372036854775808..9223372036854775807)", |_| true),
        ("visit.seeing IS NULL", |v| seeing_of(v).is_none()),
        ("visit.seeing IS NOT NULL", |v| seeing_of(v).is_some()),
        ("visit.seeing > 0.6", |v| seeing_of(v).is_some_and(|s| s > 0.6)),
        ("NOT visit.seeing > 0.6", |v| seeing_of(v).is_some_and(|s| s <= 0.6)),
        ("visit.seeing > 0.6 OR visit > 118", |v| v > 118 || seeing_of(v).is_some_and(|s| s > 0.6)),
        ("visit.seeing IN (0.51, 0.53)", |v| v == 101 || v == 103),
        ("visit.seeing NOT IN (0.51)", |v| seeing_of(v).is_some() && v != 101),
        ("day_obs = 20140311", |v| v >= 110),
        ("timespan.begin < 56105", |v| v < 105),
        ("visit.timespan_begin < visit", |_| false),
        ("visit = 105.0", |v| v == 105),
        ("105 = visit OR 106.5 < visit AND visit < 108", |v| v == 105 || v == 107),
        ("NOT (visit > 105 AND visit < 110) AND TRUE", |v| v <= 105 || v >= 110),
        ("FALSE OR visit = 101", |v| v == 101),
        ("instrument = 'HSC'", |_| true),
        ("instrument = 'hsc'", |_| false),
        ("'a' = 'a' AND 1 < 2.5", |_| true),
    ];
    for (text, rule) in cases {
        let expected: Vec<i64> = (100..100 + VISITS).filter(|v| rule(*v)).collect();
        assert_eq!(visits_where(registry, text), expected, "{text}");
    }
}

pub(crate) fn long_lists(registry: &Registry) {
    fill(registry);
    let list = (1..20_000).map(|v| (v * 2).to_string()).collect::<Vec<_>>().join(", ");
    let even: Vec<i64> = (100..120).filter(|v| v % 2 == 0).collect();
    assert_eq!(visits_where(registry, &format!("visit IN ({list})")), even);
    let names: Vec<_> = (0..50).map(|i| format!("'HSC-{i}'")).chain(["'HSC-G'".to_owned()]).collect();
    assert_eq!(visits_where(registry, &format!("physical_filter IN ({})", names.join(", "))).len(), 8);
    let ranges = (0..1000).map(|v| format!("{}..{}", v * 3, v * 3)).collect::<Vec<_>>().join(", ");
    let thirds: Vec<i64> = (100..120).filter(|v| v % 3 == 0).collect();
    assert_eq!(visits_where(registry, &format!("visit IN ({ranges})")), thirds);
    assert_eq!(visits_where(registry, &["visit = 101"; 400].join(" OR ")), [101]);
    let floats = (0..40_000).map(|v| format!("{v}.5")).collect::<Vec<_>>().join(", ");
    let text = message(registry.dimension_records("visit", &query(&format!("visit IN ({floats})"))));
    assert!(text.contains("several parts"), "{text}");
}

pub(crate) fn wrong_names_in_filters_are_told(registry: &Registry) {
    fill_with_datasets(registry);
    for (kind, text, part) in [
        ("calexp", "vist = 5", "did you mean `visit`?"),
        ("calexp", "visit.exposuretime > 5", "did you mean `exposure_time`?"),
        ("calexp", "tract = 5", "`tract` does not concern `calexp` {detector, instrument, visit}"),
        ("calexp", "visit = 'abc'", "cannot compare an integer with a text"),
        ("coadd", "visit = 5", "does not concern `coadd`"),
        ("coadd", "patch.cell_x = 5", "computed from the sky map"),
    ] {
        let text = message(registry.datasets(kind, &["runs/a"], &query(text), false));
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(count(registry, "coadd", "skymap.tract_max > 5"), 0);
}

pub(crate) fn hostile_texts_are_values_and_nothing_else(registry: &Registry) {
    fill_with_datasets(registry);
    for hostile in ["x' OR '1'='1", "'; DROP TABLE visit; --", "\"", "\\", "?1", "%", "*", "\u{202e}", ".."] {
        let quoted = hostile.replace('\'', "''");
        assert_eq!(visits_where(registry, &format!("physical_filter = '{quoted}'")), [0; 0]);
        let name = batch(vec![("instrument", texts([hostile]))]);
        assert_eq!(registry.insert_dimension_records("instrument", &name).unwrap().new, 1);
        let found = registry.dimension_records("instrument", &query(&format!("instrument = '{quoted}'"))).unwrap();
        assert_eq!(found.column(0).as_string::<i32>().value(0), hostile);
        assert!(registry.datasets(hostile, &["runs/a"], &Query::all(), false).is_err());
        assert!(registry.datasets("calexp", &[hostile], &Query::all(), true).is_err());
        assert!(registry.dimension_records(hostile, &Query::all()).is_err());
    }
    // A NUL ends a text early for careless readers.
    let nul = Query::filtered(Expression::parse("physical_filter = 'HSC-G\0'").unwrap());
    assert_eq!(registry.dimension_records("visit", &nul).unwrap().num_rows(), 0);
    // Only the star of a pattern is one; brackets are themselves.
    let names = |pattern: &str| {
        let found = registry.dimension_records("detector", &query(&format!("full_name GLOB '{pattern}'"))).unwrap();
        column(&found, "detector").values().to_vec()
    };
    assert_eq!(names("1_[55]"), [2]);
    assert_eq!(names("1_*"), [0, 1, 2]);
    assert_eq!(visits_where(registry, "visit > 0").len(), 20);
}

pub(crate) fn order_and_limit(registry: &Registry) {
    fill_with_datasets(registry);
    let ordered = |keys: &[&str], limit| {
        let query = Query { order_by: keys.iter().map(|k| OrderBy::parse(k)).collect(), limit, ..Query::all() };
        registry.dimension_records("visit", &query).map(|found| column(&found, "visit").values().to_vec())
    };
    assert_eq!(ordered(&["-visit"], Some(3)).unwrap(), [119, 118, 117]);
    assert_eq!(ordered(&["band", "-visit.exposure_time"], Some(2)).unwrap(), [114, 112]);
    assert_eq!(ordered(&["visit.seeing"], None).unwrap()[16..], [100, 105, 110, 115]);
    assert_eq!(ordered(&["-visit.seeing"], None).unwrap()[15..], [101, 100, 105, 110, 115]);
    assert_eq!(ordered(&[], Some(0)).unwrap(), [0; 0]);
    let text = message(ordered(&["airmas"], None));
    assert!(text.contains("did you mean `airmass`?"), "{text}");
    let keys = ["-visit", "detector"].map(OrderBy::parse).to_vec();
    let query = Query { order_by: keys, limit: Some(5), ..Query::all() };
    let found = registry.datasets("calexp", &["runs/a"], &query, false).unwrap();
    assert_eq!(numbers(&found), [1190, 1191, 1192, 1193, 1180]);
}
