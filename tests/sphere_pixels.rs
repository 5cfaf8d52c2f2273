//! Range sets and pixelizations against the reference implementation's numbers (`tests/golden/sphgeom`), and against slow
//! versions.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod sky_golden;

use std::collections::HashMap;
use std::ops::Range;

use bunter::sphere::pixelization;
use bunter::{ConvexPolygon, Healpix, Htm, LonLat, Pixelization, RangeSet, Region, SphereError, UnitVector};
use sky_golden::{Table, positions};

fn ranges(text: &str) -> RangeSet {
    let range = |pair: &str| -> Range<u64> {
        let (begin, end) = pair.split_once('-').unwrap();
        begin.parse().unwrap()..end.parse().unwrap()
    };
    text.split(';').filter(|t| !t.is_empty()).map(range).collect()
}

fn polygon(text: &str) -> ConvexPolygon {
    let units: Vec<_> = positions(text).iter().map(|p| p.to_unit()).collect();
    ConvexPolygon::new(&units).unwrap()
}

/// The pixelizations that the tables speak of and the project has.
fn scheme(name: &str, level: &str) -> Option<Box<dyn Pixelization>> {
    match pixelization(&format!("{name}{level}")) {
        Err(SphereError::UnknownPixelization { .. }) => None,
        made => Some(made.unwrap()),
    }
}

#[test]
fn range_sets_are_the_references() {
    let table = Table::read("sphgeom/rangeset.csv.gz");
    assert!(table.len() >= 200);
    for (i, row) in table.rows().enumerate() {
        let (a, b) = (ranges(row.text("a")), ranges(row.text("b")));
        for (name, ours) in [
            ("a", a.clone()),
            ("union", a.union(&b)),
            ("intersection", a.intersection(&b)),
            ("difference", a.difference(&b)),
            ("symmetric_difference", a.symmetric_difference(&b)),
            ("a_scaled4", a.scaled(4).unwrap()),
            ("a_simplified3", a.simplified(3)),
        ] {
            assert_eq!(ours.to_string(), row.text(name), "row {i}: {name}");
        }
        assert_eq!(a.intersects(&b), row.text("a_intersects_b") == "1", "row {i}");
        assert_eq!(a.contains_set(&b), row.text("a_contains_b") == "1", "row {i}");
        assert_eq!(a.cardinality().to_string(), row.text("a_cardinality"), "row {i}");
    }
}

#[test]
fn indices_are_the_references() {
    let table = Table::read("sphgeom/pixel_index.csv.gz");
    let mut groups: HashMap<(&str, &str), Vec<_>> = HashMap::new();
    for row in table.rows() {
        groups.entry((row.text("scheme"), row.text("level"))).or_default().push(row);
    }
    let mut compared = 0;
    for ((name, level), rows) in groups {
        let Some(pixels) = scheme(name, level) else { continue };
        let points: Vec<_> = rows.iter().map(|r| LonLat::from_degrees(r.f64("ra"), r.f64("dec"))).collect();
        let units: Vec<_> = points.iter().map(|p| p.to_unit()).collect();
        let expected: Vec<u64> = rows.iter().map(|r| r.text("index").parse().unwrap()).collect();
        let column = |f: fn(&UnitVector) -> f64| units.iter().map(f).collect::<Vec<_>>();
        let mut by_vector = Vec::new();
        pixels.index_columns(&column(|v| v.x), &column(|v| v.y), &column(|v| v.z), &mut by_vector).unwrap();
        let (lon, lat): (Vec<_>, Vec<_>) = points.iter().map(|p| (p.lon, p.lat)).unzip();
        let mut by_angle = Vec::new();
        pixels.index_lon_lat_columns(&lon, &lat, &mut by_angle).unwrap();
        for (i, expected) in expected.iter().enumerate() {
            let place = format!("{name} {level}: {} {}", points[i].lon_deg(), points[i].lat_deg());
            assert_eq!(pixels.index(units[i]), *expected, "{place}");
            assert_eq!(by_vector[i], *expected, "{place}");
            assert_eq!(by_angle[i], *expected, "{place}");
            assert!(pixels.universe().contains(*expected));
            compared += 1;
        }
    }
    assert!(compared >= 4100, "{compared} indices compared");
}

#[test]
fn pixels_are_the_references() {
    let table = Table::read("sphgeom/pixel_polygons.csv.gz");
    let mut compared = 0;
    for row in table.rows() {
        let Some(pixels) = scheme(row.text("scheme"), row.text("level")) else { continue };
        let index = row.text("index").parse().unwrap();
        let (ours, theirs) = (pixels.pixel(index).unwrap(), positions(row.text("vertices")));
        let place = format!("{} {index}", pixels.name());
        // Corners in line with their neighbours to within rounding may be left out by one side.
        for p in &theirs {
            assert!(ours.distance(p.to_unit()) < 1e-13, "{place}: {p:?} is outside");
            let near = ours.vertices().iter().map(|v| v.separation(p.to_unit())).fold(f64::INFINITY, f64::min);
            assert!(near < 1e-13 || row.text("scheme") == "healpix", "{place}: no corner near {p:?}");
        }
        let hull = ConvexPolygon::new(&theirs.iter().map(|p| p.to_unit()).collect::<Vec<_>>()).unwrap();
        assert!((ours.area() / hull.area() - 1.0).abs() < 1e-9, "{place}");
        if row.text("scheme") == "htm" {
            assert_eq!(ours.vertices().len(), 3);
        }
        compared += 1;
    }
    assert!(compared >= 200, "{compared} polygons compared");
}

#[test]
fn envelopes_are_the_references() {
    let table = Table::read("sphgeom/pixel_envelope.csv.gz");
    let (mut exact, mut within, mut ours_count, mut theirs_count) = (0, 0, 0, 0);
    for row in table.rows() {
        let Some(pixels) = scheme(row.text("scheme"), row.text("level")) else { continue };
        let region = Region::from(polygon(row.text("polygon")));
        let (envelope, interior) = (pixels.envelope(&region), pixels.interior(&region));
        let place = format!("{} case {}", pixels.name(), row.text("case"));
        if pixels.scheme() == "healpix" {
            // The reference finds finer pixels than asked for and adds a rim of them.
            assert!(envelope.is_within(&ranges(row.text("envelope"))), "{place}");
            within += 1;
            ours_count += envelope.cardinality();
            theirs_count += ranges(row.text("envelope")).cardinality();
        } else {
            assert_eq!(envelope.to_string(), row.text("envelope"), "{place}");
            assert_eq!(interior.to_string(), row.text("interior"), "{place}");
            exact += 1;
        }
        for limit in [1, 3, 10] {
            let (few, inner) = (pixels.envelope_at_most(&region, limit), pixels.interior_at_most(&region, limit));
            assert!(few.len() <= limit && few.contains_set(&envelope), "{place}: {few}");
            assert!(inner.len() <= limit && inner.is_within(&interior), "{place}: {inner}");
            if envelope.len() <= limit {
                assert_eq!(few, envelope, "{place}");
            }
        }
    }
    assert!(exact >= 700 && within >= 500, "{exact} and {within} envelopes compared");
    println!("healpix envelopes hold {ours_count} pixels, the reference's {theirs_count}");
}

#[test]
fn bad_levels_indices_and_names_are_told() {
    let message = |e: SphereError| e.to_string();
    assert_eq!(message(Htm::new(25).unwrap_err()), "htm has the levels 0 to 24, not 25");
    assert_eq!(message(Healpix::new(30).unwrap_err()), "healpix has the levels 0 to 29, not 30");
    assert!(message(Htm::new(1).unwrap().pixel(8).unwrap_err()).contains("expected 32 to 63 at level 1"));
    assert!(message(Healpix::new(1).unwrap().pixel(48).unwrap_err()).contains("expected 0 to 47 at level 1"));
    assert!(message(pixelization("hmt7").unwrap_err()).contains("did you mean `htm7`?"));
    assert!(message(pixelization("7").unwrap_err()).contains("healpix29"));
    assert!(message(pixelization("htm").unwrap_err()).contains("a level is missing"));
    assert!(pixelization("htm99").is_err() && pixelization("htm256").is_err() && pixelization("").is_err());
    assert_eq!(pixelization("HEALPix9").unwrap().name(), "healpix9");
    for (index, name) in [(8, "S0"), (15, "N3"), (8 * 4 + 2, "S02"), (63, "N33")] {
        assert_eq!(Htm::trixel_name(index).unwrap(), name);
    }
    for index in [0, 7, 16, 31, 64, u64::MAX] {
        assert_eq!(Htm::level_of(index), None);
        assert!(Htm::trixel(index).is_err() && Htm::trixel_name(index).is_err());
    }
    let mut out = Vec::new();
    for pixels in [pixelization("htm7").unwrap(), pixelization("healpix7").unwrap()] {
        for (lon, lat) in [(0.0, 1.6), (f64::NAN, 0.0), (f64::INFINITY, 0.0), (0.0, f64::NAN)] {
            let bad = pixels.index_lon_lat_columns(&[0.0, lon], &[0.0, lat], &mut out).unwrap_err();
            assert!(matches!(bad, SphereError::BadPosition { index: 1, .. }), "{bad}");
        }
        assert!(pixels.index_lon_lat_columns(&[0.0], &[], &mut out).is_err());
        assert!(pixels.index_columns(&[1.0, 1.0], &[0.0, 1.0], &[0.0, 1.0], &mut out).is_err());
        assert!(pixels.index_columns(&[1.0], &[0.0], &[], &mut out).is_err());
        for v in [[0.0; 3], [f64::NAN; 3], [f64::INFINITY, 0.0, 0.0]] {
            pixels.index(UnitVector { x: v[0], y: v[1], z: v[2] });
        }
    }
}
