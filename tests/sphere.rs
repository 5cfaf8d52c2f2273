//! Regions on the sphere against the reference implementation's numbers (`tests/golden/sphgeom`).

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod sky_golden;

use bunter::{Circle, ConvexPolygon, LonLat, LonLatBox, PolygonBuffer, Region, Relation, SphereError, UnitVector};
use sky_golden::{Table, positions};

fn polygon(text: &str) -> ConvexPolygon {
    let units: Vec<_> = positions(text).iter().map(|p| p.to_unit()).collect();
    ConvexPolygon::new(&units).unwrap()
}

#[test]
fn relations_are_the_references() {
    let table = Table::read("sphgeom/relate_pairs.csv.gz");
    assert!(table.len() > 1500);
    let polygons: Vec<_> = table.rows().map(|r| (polygon(r.text("a")), polygon(r.text("b")))).collect();
    let (first, second): (PolygonBuffer, PolygonBuffer) =
        (polygons.iter().map(|p| &p.0).collect(), polygons.iter().map(|p| &p.1).collect());
    let (first, second) = (first.columns().unwrap(), second.columns().unwrap());
    for (i, (row, (a, b))) in table.rows().zip(&polygons).enumerate() {
        let relation = a.relate(b);
        assert_eq!(relation.to_string(), row.text("relate"), "row {i} ({})", row.text("note"));
        assert_eq!(b.relate(a), relation.inverse(), "row {i}");
        assert_eq!(first.relate(i, &second, i), relation, "row {i}");
        assert_eq!(second.relate_polygon(i, a), relation.inverse(), "row {i}");
    }
}

#[test]
fn points_are_inside_where_the_reference_says() {
    let table = Table::read("sphgeom/point_in_polygon.csv.gz");
    for (i, row) in table.rows().enumerate() {
        let polygon = polygon(row.text("polygon"));
        let p = LonLat::from_degrees(row.f64("ra"), row.f64("dec")).to_unit();
        assert_eq!(polygon.contains(p), row.text("contains") == "1", "row {i} ({})", row.text("note"));
    }
}

#[test]
fn bounds_are_the_references() {
    let table = Table::read("sphgeom/bounding.csv.gz");
    for (i, row) in table.rows().enumerate() {
        let polygon = polygon(row.text("polygon"));
        let centroid = LonLat::from_degrees(row.f64("centroid_ra"), row.f64("centroid_dec")).to_unit();
        let off = polygon.centroid().separation(centroid).to_degrees();
        // The reference adds edge normals, and loses digits in small polygons.
        let tolerance = (4e-12 / row.f64("bcircle_radius_deg")).max(1e-10);
        assert!(off < tolerance, "row {i}: centroid off by {off} deg");
        let circle = polygon.bounding_circle();
        assert!((circle.radius().to_degrees() - row.f64("bcircle_radius_deg")).abs() < 1e-7, "row {i}");
        assert!(polygon.vertices().iter().all(|v| circle.contains(*v)), "row {i}");
        let bbox = polygon.bounding_box();
        // The reference widens its boxes by 3e-8 degrees, and more in longitude near a pole.
        let close = |a: f64, b: f64, tolerance: f64| (a - b).abs() < tolerance;
        assert!(close(bbox.lat_min().to_degrees(), row.f64("bbox_lat_a"), 5e-8), "row {i}: {bbox:?}");
        assert!(close(bbox.lat_max().to_degrees(), row.f64("bbox_lat_b"), 5e-8), "row {i}: {bbox:?}");
        let cos = bbox.lat_min().cos().min(bbox.lat_max().cos()).max(1e-6);
        let turn = |a: f64, b: f64| close((a - b + 180.0).rem_euclid(360.0), 180.0, 6e-8 / cos);
        // Around longitude 0 the reference often takes the whole circle where ours is tight.
        if (row.text("bbox_lon_a"), row.text("bbox_lon_b")) != ("0.0", "360.0") {
            assert!(turn(bbox.lon().to_degrees(), row.f64("bbox_lon_a")), "row {i}: {bbox:?}");
            assert!(turn(bbox.lon_end().to_degrees(), row.f64("bbox_lon_b")), "row {i}: {bbox:?}");
        }
        assert!(polygon.vertices().iter().all(|v| bbox.contains(v.to_lon_lat())), "row {i}: {bbox:?}");
    }
}

/// Circles and boxes may be reported as plainly intersecting by either side; nothing else may differ.
#[test]
fn circles_and_boxes_do_not_contradict_the_reference() {
    let table = Table::read("sphgeom/relate_circle_box.csv.gz");
    let mut plain = 0;
    for (i, row) in table.rows().enumerate() {
        let polygon = Region::from(polygon(row.text("polygon")));
        let v: Vec<f64> = row.text("other_params").split(' ').map(|t| t.parse().unwrap()).collect();
        let other: Region = if row.text("other") == "circle" {
            Circle::new(LonLat::from_degrees(v[0], v[1]).to_unit(), v[2].to_radians()).unwrap().into()
        } else {
            let (south, north) = ((v[1] - v[3]).max(-90.0), (v[1] + v[3]).min(90.0));
            LonLatBox::from_degrees(v[0] - v[2], (2.0 * v[2]).min(360.0), south, north).unwrap().into()
        };
        let (ours, theirs) = (polygon.relate(&other), row.text("relate"));
        assert_eq!(other.relate(&polygon), ours.inverse(), "row {i}");
        assert!(
            ours.to_string() == theirs || ours == Relation::INTERSECTS || theirs.is_empty(),
            "row {i}: {ours} {theirs}"
        );
        plain += usize::from(ours == Relation::INTERSECTS && !theirs.is_empty());
        let vertex = positions(row.text("polygon"))[0].to_unit();
        assert_eq!(other.contains(vertex), row.text("other_contains_vertex0") == "1", "row {i}");
        assert_eq!(Region::from_bytes(&other.to_bytes()).unwrap().contains(vertex), other.contains(vertex), "row {i}");
        assert_eq!(Region::from_bytes(&polygon.to_bytes()).as_ref(), Ok(&polygon));
    }
    assert!(plain * 20 < table.len(), "{plain} relations of {} are less sharp than the reference's", table.len());
}

/// Bytes written by the reference implementation.
#[test]
fn the_references_bytes_are_read() {
    let bytes = |text: &str| -> Vec<u8> {
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
    };
    for (text, hex) in [
        (
            "POLYGON 0 0 1 0 0 1",
            concat!(
                "70000000000000f03f000000000000000000000000000000008aaff597c0feef3f1edd892b0bdf913f00000000000000",
                "008aaff597c0feef3f00000000000000001edd892b0bdf913f"
            ),
        ),
        ("CIRCLE 10 20 0.5", "6361b46c3a039ded3f3b46fac0f2e2c43ff50b8a74a8e3d53f14cc8c8d99f6133f399d52a246df813f"),
        ("RANGE 350 10 -5 5", "62f4f2ec91426f18408744e74a1857c63f8744e74a1857b6bf8744e74a1857b63f"),
        ("RANGE 0 360 -90 90", "620000000000000000182d4454fb211940182d4454fb21f9bf182d4454fb21f93f"),
    ] {
        let region = Region::from_bytes(&bytes(hex)).unwrap();
        let expected: Region = text.parse().unwrap();
        assert!((region.area() / expected.area() - 1.0).abs() < 1e-12, "{text}: {region}");
        assert!(region.bounding_circle().relate(expected.bounding_circle()).intersects(), "{text}: {region}");
        let again = region.to_bytes();
        assert_eq!(again.len(), hex.len() / 2, "{text}");
        assert_eq!(Region::from_bytes(&again), Ok(region), "{text}");
    }
}

proptest::proptest! {
    /// Any points: either an error, or a hull that holds them all, whatever their order, and that reads back.
    #[test]
    fn hulls_hold_their_points(
        points in proptest::collection::vec((0.0..360.0_f64, -90.0..90.0_f64), 0..12),
        spread in 0.0..1.0_f64,
    ) {
        let units: Vec<UnitVector> =
            points.iter().map(|(lon, lat)| LonLat::from_degrees(lon * spread, lat * spread).to_unit()).collect();
        match ConvexPolygon::new(&units) {
            Ok(hull) => {
                proptest::prop_assert!(units.iter().all(|p| hull.contains(*p)));
                proptest::prop_assert!(hull.vertices().iter().all(|v| units.contains(v)));
                let again = ConvexPolygon::from_vertices(hull.vertices());
                proptest::prop_assert_eq!(again.as_ref(), Ok(&hull));
                let mut reversed = units;
                reversed.reverse();
                let other = ConvexPolygon::new(&reversed).unwrap();
                proptest::prop_assert_eq!(other.relate(&hull).to_string(), "CW");
                proptest::prop_assert_eq!(other.vertices().len(), hull.vertices().len());
            }
            Err(SphereError::Hemisphere { .. }) => {
                // No direction sees all points: each of the points themselves has one at 90 degrees or more, or their sum has.
                let sum = units.iter().fold((0.0, 0.0, 0.0), |s, p| (s.0 + p.x, s.1 + p.y, s.2 + p.z));
                let axis = UnitVector::normalized(sum.0, sum.1, sum.2);
                proptest::prop_assert!(axis.is_none_or(|a| units.iter().any(|p| a.dot(*p) < 1e-12)));
            }
            Err(SphereError::TooFewPoints { .. } | SphereError::ZeroArea { .. }) => {
                proptest::prop_assert!(spread < 1e-9 || units.len() < 3);
            }
            Err(e) => proptest::prop_assert!(false, "{}", e),
        }
    }
}
