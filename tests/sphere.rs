//! Regions on the sphere against the reference implementation's numbers (`tests/golden/sphgeom`).

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod sky_golden;

use bunter::{Circle, ConvexPolygon, LonLat, LonLatBox, PolygonBuffer, Region, Relation, SphereError, UnitVector};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
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

/// The circle or box of a row of `relate_circle_box`.
fn other(row: sky_golden::Row) -> Region {
    let v: Vec<f64> = row.text("other_params").split(' ').map(|t| t.parse().unwrap()).collect();
    if row.text("other") == "circle" {
        return Circle::new(LonLat::from_degrees(v[0], v[1]).to_unit(), v[2].to_radians()).unwrap().into();
    }
    let (south, north) = ((v[1] - v[3]).max(-90.0), (v[1] + v[3]).min(90.0));
    LonLatBox::from_degrees(v[0] - v[2], (2.0 * v[2]).min(360.0), south, north).unwrap().into()
}

/// Points all along the border, and the largest angle between neighbours.
fn border(region: &Region, steps: u32) -> (Vec<UnitVector>, f64) {
    let at = |k: u32| f64::from(k) / f64::from(steps);
    let mut lines: Vec<Vec<UnitVector>> = Vec::new();
    match region {
        Region::Polygon(p) => {
            let v = p.vertices();
            for (i, a) in v.iter().enumerate() {
                let b = v[(i + 1) % v.len()];
                let mix = |a: f64, b: f64, t: f64| (1.0 - t) * a + t * b;
                let point =
                    |t: f64| UnitVector::normalized(mix(a.x, b.x, t), mix(a.y, b.y, t), mix(a.z, b.z, t)).unwrap();
                lines.push((0..=steps).map(|k| point(at(k))).collect());
            }
        }
        Region::Circle(c) => {
            let p = c.centre().to_lon_lat();
            let north = LonLat::new(p.lon, p.lat + std::f64::consts::FRAC_PI_2).to_unit();
            let (x, y, z) = north.cross(c.centre());
            let (sin, cos) = c.radius().sin_cos();
            let point = |turn: f64| {
                let (s, t) = turn.sin_cos();
                let sum = |c: f64, n: f64, e: f64| cos * c + sin * (t * n + s * e);
                let v = c.centre();
                UnitVector { x: sum(v.x, north.x, x), y: sum(v.y, north.y, y), z: sum(v.z, north.z, z) }
            };
            lines.push((0..=4 * steps).map(|k| point(std::f64::consts::TAU * 0.25 * at(k))).collect());
        }
        Region::Box(b) => {
            let (west, width, south, height) = (b.lon(), b.width(), b.lat_min(), b.lat_max() - b.lat_min());
            let point = |x: f64, y: f64| LonLat::new(west + x * width, south + y * height).to_unit();
            for y in [0.0, 1.0] {
                lines.push((0..=4 * steps).map(|k| point(0.25 * at(k), y)).collect());
            }
            for x in [0.0, 1.0] {
                if b.width() < std::f64::consts::TAU {
                    lines.push((0..=steps).map(|k| point(x, at(k))).collect());
                }
            }
        }
    }
    // What a box leaves out may lie within the other region as a whole, and then holds a pole.
    let poles = [1.0, -1.0].map(|z| UnitVector { x: 0.0, y: 0.0, z });
    lines.extend(poles.into_iter().filter(|p| has(region, *p, -1e-9)).map(|p| vec![p]));
    let gaps = lines.iter().flat_map(|line| line.windows(2).map(|pair| pair[0].separation(pair[1])));
    let gap = gaps.fold(0.0, f64::max);
    (lines.concat(), gap)
}

/// Whether a region has a point, from its definition, to within `slack` (negative: well inside).
fn has(region: &Region, p: UnitVector, slack: f64) -> bool {
    match region {
        Region::Polygon(polygon) => {
            let v = polygon.vertices();
            (0..v.len()).all(|i| {
                let (x, y, z) = v[i].cross(v[(i + 1) % v.len()]);
                UnitVector::normalized(x, y, z).unwrap().dot(p) >= -slack
            })
        }
        Region::Circle(c) => c.centre().separation(p) <= c.radius() + slack,
        Region::Box(b) => {
            let q = p.to_lon_lat();
            let off = (q.lon - b.lon() - 0.5 * b.width()).rem_euclid(std::f64::consts::TAU);
            let off = off.min(std::f64::consts::TAU - off) - 0.5 * b.width();
            (b.lat_min() - slack..=b.lat_max() + slack).contains(&q.lat) && off * q.lat.cos() <= slack
        }
    }
}

/// The relation told by points along both borders alone; `None` where these are too few to tell.
fn by_points(a: &Region, b: &Region, steps: u32) -> Option<Relation> {
    let ((along_a, gap_a), (along_b, gap_b)) = (border(a, steps), border(b, steps));
    let tight = 1e-9;
    let contains = along_b.iter().all(|p| has(a, *p, tight));
    let within = along_a.iter().all(|p| has(b, *p, tight));
    let not_contains = along_b.iter().any(|p| !has(a, *p, tight));
    let not_within = along_a.iter().any(|p| !has(b, *p, tight));
    match (contains, within) {
        (true, false) if not_within => return Some(Relation::CONTAINS),
        (false, true) if not_contains => return Some(Relation::WITHIN),
        (true, true) => return None,
        _ => {}
    }
    let common = along_b.iter().any(|p| has(a, *p, -tight)) || along_a.iter().any(|p| has(b, *p, -tight));
    if common {
        return Some(Relation::INTERSECTS);
    }
    // No point of one border is in the other region: disjoint, if the borders keep their distance between the points too.
    let apart = 2.0 * (0.25 * (gap_a + gap_b)).sin();
    let square = |p: &UnitVector, q: &UnitVector| (p.x - q.x).powi(2) + (p.y - q.y).powi(2) + (p.z - q.z).powi(2);
    along_a.iter().all(|p| along_b.iter().all(|q| square(p, q) > apart * apart)).then_some(Relation::DISJOINT)
}

/// Relations with circles and boxes are the reference's; where they are not, points along the borders show that ours holds.
#[test]
fn circles_and_boxes_are_the_references_or_sharper() {
    let table = Table::read("sphgeom/relate_circle_box.csv.gz");
    let (mut sharper, mut shown) = (0, 0);
    for (i, row) in table.rows().enumerate() {
        let (polygon, other) = (Region::from(polygon(row.text("polygon"))), other(row));
        let ours = polygon.relate(&other);
        assert_eq!(other.relate(&polygon), ours.inverse(), "row {i}");
        if ours.to_string() != row.text("relate") {
            // The reference says less.
            assert_eq!(row.text("relate"), "", "row {i}: {ours}");
            let slow = [40, 160, 640, 2000].into_iter().find_map(|steps| by_points(&polygon, &other, steps));
            assert_eq!(slow, Some(ours), "row {i}: {polygon} {other}");
            sharper += 1;
        } else if i % 8 == 0
            && let Some(slow) = by_points(&polygon, &other, 100)
        {
            assert_eq!(slow, ours, "row {i}: {polygon} {other}");
            shown += 1;
        }
        let vertex = positions(row.text("polygon"))[0].to_unit();
        assert_eq!(other.contains(vertex), row.text("other_contains_vertex0") == "1", "row {i}");
        assert_eq!(Region::from_bytes(&other.to_bytes()).unwrap().contains(vertex), other.contains(vertex), "row {i}");
        assert_eq!(Region::from_bytes(&polygon.to_bytes()).as_ref(), Ok(&polygon));
    }
    println!("{sharper} of {} relations are sharper than the reference's", table.len());
    assert!(shown > 100, "only {shown} agreements were looked at");
}

/// A region of any kind and size: near poles, across longitude 0, larger than a hemisphere, all around.
fn any_region(rng: &mut ChaCha8Rng) -> Region {
    let mut within = |low: f64, high: f64| low + (high - low) * rng.random::<f64>();
    let size = 10_f64.powf(within(-1.0, 2.0));
    let (lon, lat) = (within(0.0, 360.0), within(-1.0, 1.0).asin().to_degrees());
    let (lon, lat) = match within(0.0, 6.0) as u32 {
        0 => (within(-2.0, 2.0), lat),
        1 => (lon, 89.0),
        2 => (lon, -88.0),
        _ => (lon, lat),
    };
    match within(0.0, 3.0) as u32 {
        0 => Circle::new(LonLat::from_degrees(lon, lat).to_unit(), (1.75 * size).to_radians().min(3.1)).unwrap().into(),
        1 => {
            let width = match within(0.0, 5.0) as u32 {
                0 => 360.0,
                1 => within(170.0, 359.0),
                _ => size,
            };
            let south = (lat - within(0.0, size)).max(-90.0);
            LonLatBox::from_degrees(lon - 0.5 * width, width, south, (lat + within(0.0, size)).min(90.0))
                .unwrap()
                .into()
        }
        _ => {
            let centre = LonLat::from_degrees(lon, lat);
            let around = border(&Circle::new(centre.to_unit(), size.to_radians().min(1.5)).unwrap().into(), 60).0;
            let points: Vec<_> = (0..5).map(|_| around[within(0.0, 240.0) as usize]).collect();
            match ConvexPolygon::new(&points) {
                Ok(polygon) => polygon.into(),
                Err(_) => Circle::new(centre.to_unit(), size.to_radians().min(3.0)).unwrap().into(),
            }
        }
    }
}

#[test]
fn all_pairs_of_shapes_relate_as_their_points_say() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut met = std::collections::BTreeMap::new();
    for case in 0..3000 {
        let (a, b) = (any_region(&mut rng), any_region(&mut rng));
        let relation = a.relate(&b);
        assert_eq!(b.relate(&a), relation.inverse(), "case {case}: {a} and {b}");
        let around = a.bounding_circle();
        let (points, _) = border(&a, 12);
        assert!(points.iter().all(|p| has(&around.into(), *p, 1e-14)), "case {case}: circle around {a}");
        assert!(points.iter().all(|p| has(&a.bounding_box().into(), *p, 1e-14)), "case {case}: box around {a}");
        assert_eq!(Region::from_bytes(&a.to_bytes()).as_ref(), Ok(&a), "case {case}");
        if let Some(slow) = by_points(&a, &b, 50) {
            assert_eq!(relation, slow, "case {case}: {a} and {b}");
            *met.entry((a.to_string()[..1].to_owned(), b.to_string()[..1].to_owned(), slow.to_string()))
                .or_insert(0) += 1;
        }
        // A region and itself, and its opposite.
        assert_eq!(a.relate(&a).to_string(), "CW", "case {case}: {a}");
    }
    assert!(met.len() == 36 && met.values().all(|n| *n >= 3), "{met:?}");
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
    #![proptest_config(proptest::prelude::ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(4), failure_persistence: None, ..proptest::prelude::ProptestConfig::default() })]

    /// Any bytes and any text: a region that reads back, or an error.
    #[test]
    fn no_bytes_and_no_text_panic(
        letter in proptest::sample::select(b"pcbeuix".to_vec()),
        numbers in proptest::collection::vec(
            proptest::prop_oneof![-7.0..7.0_f64, proptest::num::f64::ANY, proptest::sample::select(vec![0.0, 1.0, -1.0])],
            0..16,
        ),
        cut in 0_usize..130,
        text in "(CIRCLE|RANGE|POLYGON|circle)( -?[0-9]{1,3}(\\.[0-9])?| NaN| -?Inf){0,9}",
    ) {
        let mut bytes = vec![letter];
        bytes.extend(numbers.iter().flat_map(|v| v.to_le_bytes()));
        bytes.truncate(cut);
        if let Ok(region) = Region::from_bytes(&bytes) {
            let again = Region::from_bytes(&region.to_bytes());
            proptest::prop_assert_eq!(again.as_ref(), Ok(&region));
            region.relate(&region);
        }
        if let Ok(region) = text.parse::<Region>() {
            proptest::prop_assert!(region.area() >= 0.0 && region.to_string().parse::<Region>().is_ok(), "{}", text);
        }
    }

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
