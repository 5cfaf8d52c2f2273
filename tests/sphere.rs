//! Regions on the sphere against the reference implementation's numbers (`tests/golden/sphere`).

mod sky_golden;

use bunter::{ConvexPolygon, LonLat, PolygonBuffer, SphereError, UnitVector};
use sky_golden::{Table, positions};

fn polygon(text: &str) -> ConvexPolygon {
    let units: Vec<_> = positions(text).iter().map(|p| p.to_unit()).collect();
    ConvexPolygon::new(&units).unwrap()
}

#[test]
fn relations_are_the_references() {
    let table = Table::read("sphere/relate_pairs.csv.gz");
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
    let table = Table::read("sphere/point_in_polygon.csv.gz");
    for (i, row) in table.rows().enumerate() {
        let polygon = polygon(row.text("polygon"));
        let p = LonLat::from_degrees(row.f64("ra"), row.f64("dec")).to_unit();
        assert_eq!(polygon.contains(p), row.text("contains") == "1", "row {i} ({})", row.text("note"));
    }
}

#[test]
fn bounds_are_the_references() {
    let table = Table::read("sphere/bounding.csv.gz");
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
        if row.f64("bbox_lon_a") != 0.0 || row.f64("bbox_lon_b") != 360.0 {
            assert!(turn(bbox.lon().to_degrees(), row.f64("bbox_lon_a")), "row {i}: {bbox:?}");
            assert!(turn(bbox.lon_end().to_degrees(), row.f64("bbox_lon_b")), "row {i}: {bbox:?}");
        }
        assert!(polygon.vertices().iter().all(|v| bbox.contains(v.to_lon_lat())), "row {i}: {bbox:?}");
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
