//! Range sets and pixelizations against the reference implementation's numbers (`tests/golden/sphgeom`), and against slow
//! versions.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod sky_golden;

use std::collections::HashMap;
use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, TAU};
use std::ops::Range;

use bunter::sphere::pixelization;
use bunter::{
    Circle, ConvexPolygon, Healpix, Htm, LonLat, LonLatBox, Pixelization, RangeSet, Region, SphereError, UnitVector,
};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
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
    let (mut compared, mut corners) = (0, 0);
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
            compared += 1;
            // Corners of the cube: the last bit of a sine decides, and the reference takes another library's.
            if name.ends_with("q3c") && pixels.index(units[i]) != *expected {
                let near = nearby(units[i], 2e-16).into_iter().any(|v| pixels.index(v) == *expected);
                assert!(near, "{place}: {} for {expected}", pixels.index(units[i]));
                corners += 1;
                continue;
            }
            assert_eq!(pixels.index(units[i]), *expected, "{place}");
            assert_eq!(by_vector[i], *expected, "{place}");
            assert_eq!(by_angle[i], *expected, "{place}");
            assert!(pixels.universe().contains(*expected));
        }
    }
    assert!(compared == table.len() && corners <= 14, "{compared} indices compared, {corners} on corners");
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
    assert!(compared == table.len(), "{compared} polygons compared");
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
    assert!(exact >= 900 && within >= 500, "{exact} and {within} envelopes compared");
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

/// Almost a pole.
const POLE: f64 = FRAC_PI_2 - 3e-7;

/// Regions of every kind around a centre, of about a size in radians.
fn regions(rng: &mut ChaCha8Rng, size: f64, count: usize) -> Vec<Region> {
    let mut within = |low: f64, high: f64| low + (high - low) * rng.random::<f64>();
    let mut found = Vec::new();
    while found.len() < count {
        // Poles, the meridians and the parallels where pixels change their shape, and anywhere.
        let lon = [within(0.0, TAU), 0.0, FRAC_PI_2, FRAC_PI_4];
        let lat = [within(-1.0, 1.0).asin(), POLE, -1.5, 0.729_727_656, 0.0, -0.7297];
        let centre = LonLat::new(
            lon[within(0.0, 4.0) as usize] + within(-size, size),
            (lat[within(0.0, 6.0) as usize] + within(-size, size)).clamp(-POLE, POLE),
        );
        let radius = size * within(0.1, 1.0);
        found.push(match within(0.0, 3.0) as u32 {
            0 => Circle::new(centre.to_unit(), radius).unwrap().into(),
            1 => {
                let width = (2.0 * radius / centre.lat.cos()).min(6.2);
                let (low, high) = (centre.lat - radius * within(0.0, 1.0), centre.lat + radius * within(0.0, 1.0));
                LonLatBox::new(centre.lon - 0.5 * width, width, low.max(-POLE), high.min(POLE)).unwrap().into()
            }
            _ => {
                let (lat, lon) = (centre.lat.sin_cos(), centre.lon.sin_cos());
                let (c, east, north) =
                    (centre.to_unit(), [-lon.0, lon.1, 0.0], [-lat.0 * lon.1, -lat.0 * lon.0, lat.1]);
                let t = radius.min(1.2).tan();
                let points: Vec<_> = (0..3 + within(0.0, 3.0) as usize)
                    .filter_map(|_| {
                        let (s, k) = within(0.0, TAU).sin_cos();
                        let at = |v: f64, i: usize| v + t * (k * east[i] + s * north[i]);
                        UnitVector::normalized(at(c.x, 0), at(c.y, 1), at(c.z, 2))
                    })
                    .collect();
                let Ok(polygon) = ConvexPolygon::new(&points) else { continue };
                polygon.into()
            }
        });
    }
    found
}

/// Points in a region: along its border and within.
fn points_in(region: &Region, rng: &mut ChaCha8Rng) -> Vec<UnitVector> {
    let around = region.bounding_circle();
    let (c, r) = (around.centre(), around.radius());
    let corners: Vec<UnitVector> = match region {
        Region::Polygon(p) => p.vertices().to_vec(),
        Region::Box(b) => {
            let corners = [
                (b.lon(), b.lat_min()),
                (b.lon_end(), b.lat_min()),
                (b.lon_end(), b.lat_max()),
                (b.lon(), b.lat_max()),
            ];
            corners.map(|(lon, lat)| LonLat::new(lon, lat).to_unit()).to_vec()
        }
        Region::Circle(_) => vec![c],
    };
    let mut random = || 2.0 * rng.random::<f64>() - 1.0;
    let near = (0..120).filter_map(|_| {
        let t = r.min(1.5).tan();
        UnitVector::normalized(c.x + t * random(), c.y + t * random(), c.z + t * random())
    });
    corners.iter().copied().chain(near).filter(|p| region.contains(*p)).collect()
}

#[test]
fn triangles_of_circles_and_boxes_are_those_that_relate() {
    let mut rng = ChaCha8Rng::seed_from_u64(31);
    let htm = Htm::new(3).unwrap();
    let all: Vec<_> = htm.universe().values().map(|i| (i, Region::from(htm.pixel(i).unwrap()))).collect();
    let sizes = [0.02, 0.3, 1.5];
    let asked: Vec<_> = sizes.into_iter().flat_map(|size| regions(&mut rng, size, 20)).collect();
    for region in asked {
        let related = |keep: fn(bunter::Relation) -> bool| -> RangeSet {
            all.iter().filter(|(_, pixel)| keep(region.relate(pixel))).map(|(i, _)| *i).collect()
        };
        assert_eq!(htm.envelope(&region), related(bunter::Relation::intersects), "{region}");
        assert_eq!(htm.interior(&region), related(bunter::Relation::contains), "{region}");
        for level in [0, 9, 24] {
            let htm = Htm::new(level).unwrap();
            let (few, inner) = (htm.envelope_at_most(&region, 20), htm.interior_at_most(&region, 20));
            assert!(few.len() <= 20 && inner.is_within(&few), "{region} at level {level}");
            assert!(points_in(&region, &mut rng).iter().all(|p| few.contains(htm.index(*p))), "{region} at {level}");
        }
    }
}

/// Pixels by their true borders: all that have a point of the region, and none but those that touch it.
#[test]
fn healpix_envelopes_are_tight_and_whole() {
    let mut rng = ChaCha8Rng::seed_from_u64(32);
    let (mut grazing, mut pixels) = (0, 0);
    for (level, count) in [(0, 30), (1, 30), (3, 24), (8, 60), (15, 60), (22, 45), (27, 30)] {
        let healpix = Healpix::new(level).unwrap();
        let nside = f64::from(healpix.nside());
        let sizes = if level < 4 { [0.02, 0.3, 1.5] } else { [0.3 / nside, 2.0 / nside, 6.0 / nside] };
        let asked: Vec<_> = sizes.into_iter().flat_map(|size| regions(&mut rng, size, count / 3)).collect();
        for region in asked {
            let place = format!("{region} at level {level}");
            let (envelope, interior) = (healpix.envelope(&region), healpix.interior(&region));
            assert!(!envelope.is_empty() && interior.is_within(&envelope), "{place}");
            let inside = points_in(&region, &mut rng);
            // At level 27 a last bit of a coordinate is a ten-millionth of a pixel.
            assert!(inside.iter().all(|p| envelope.contains(healpix.index(*p))), "{place}");
            let around: RangeSet = if level < 4 {
                healpix.universe()
            } else {
                envelope.values().flat_map(|i| healpix.neighbours(i).unwrap()).chain(envelope.values()).collect()
            };
            for i in around.values() {
                let border = healpix.border(i, 24).unwrap();
                let within = border.iter().filter(|p| region.contains(**p)).count();
                pixels += 1;
                // To within rounding a border point may be taken to be in a region that the pixel only nears.
                let missing = !envelope.contains(i) && border.iter().any(|p| deep_in(&region, *p));
                assert!(!missing, "{place}: pixel {i} is missing");
                let leaves = interior.contains(i) && border.iter().any(|p| far_from(&region, *p));
                assert!(!leaves, "{place}: pixel {i} is not inside");
                if envelope.contains(i) && within == 0 && !inside.iter().any(|p| healpix.index(*p) == i) {
                    grazing += 1;
                }
                if !interior.contains(i) && within == border.len() {
                    grazing += 1;
                }
            }
            for limit in [1, 8] {
                let few = healpix.envelope_at_most(&region, limit);
                assert!(few.len() <= limit && few.contains_set(&envelope), "{place}");
                let inner = healpix.interior_at_most(&region, limit);
                assert!(inner.len() <= limit && inner.is_within(&interior), "{place}");
            }
        }
    }
    // What the points along the borders have missed: a corner or an arc between two of them.
    println!("{grazing} of {pixels} pixels graze");
    assert!(grazing * 100 < pixels, "{grazing} of {pixels} pixels are in an envelope, and no point shows why");
}

fn deep_in(region: &Region, p: UnitVector) -> bool {
    nearby(p, 2e-15).into_iter().all(|p| region.contains(p))
}

fn far_from(region: &Region, p: UnitVector) -> bool {
    !nearby(p, 2e-15).into_iter().any(|p| region.contains(p))
}

/// The point and six of its neighbours, a few roundings away.
fn nearby(p: UnitVector, d: f64) -> [UnitVector; 7] {
    let moves = [[0.0; 3], [d, 0.0, 0.0], [-d, 0.0, 0.0], [0.0, d, 0.0], [0.0, -d, 0.0], [0.0, 0.0, d], [0.0, 0.0, -d]];
    moves.map(|[x, y, z]| UnitVector { x: p.x + x, y: p.y + y, z: p.z + z })
}

/// The crate puts points on borders elsewhere; away from them, and for all corners and centres, it agrees.
#[test]
fn healpix_agrees_with_the_crate() {
    let mut rng = ChaCha8Rng::seed_from_u64(33);
    for level in [0, 1, 5, 13, 29] {
        let (healpix, layer) = (Healpix::new(level).unwrap(), cdshealpix::nested::get(level));
        for _ in 0..600 {
            let (lon, z) = (TAU * rng.random::<f64>(), 2.0 * rng.random::<f64>() - 1.0);
            let point = LonLat::new(lon, if rng.random::<bool>() { z.asin() } else { 1.5706 * z.signum() + 1e-4 * z });
            let (hash, dx, dy) = layer.hash_with_dxdy(point.lon, point.lat.clamp(-POLE, POLE));
            let point = LonLat::new(point.lon, point.lat.clamp(-POLE, POLE)).to_unit();
            let near = 1e-14 * f64::from(healpix.nside());
            let border = [dx, dy].into_iter().any(|d| d < near || d > 1.0 - near);
            assert!(border || healpix.index(point) == hash, "{point:?} at level {level}");
            let close =
                |ours: UnitVector, (lon, lat): (f64, f64)| ours.separation(LonLat::new(lon, lat).to_unit()) < 4e-15;
            assert!(close(healpix.centre(hash).unwrap(), layer.center(hash)));
            let corners = healpix.corners(hash).unwrap();
            assert!(corners.into_iter().zip(layer.vertices(hash)).all(|(a, b)| close(a, b)), "{hash} at level {level}");
            assert_eq!(healpix.index(healpix.centre(hash).unwrap()), hash);
            assert_eq!(healpix.from_ring(healpix.to_ring(hash).unwrap()).unwrap(), hash);
        }
    }
    let healpix = Healpix::new(3).unwrap();
    for index in healpix.universe().values() {
        let neighbours = healpix.neighbours(index).unwrap();
        assert!((6..=8).contains(&neighbours.len()) && !neighbours.contains(&index));
        // What touches the corners, and nothing else.
        let touching: RangeSet = healpix
            .corners(index)
            .unwrap()
            .into_iter()
            .map(|c| healpix.envelope(&Circle::new(c, 1e-12).unwrap().into()))
            .fold(RangeSet::new(), |all, one| &all | &one);
        assert_eq!(&touching - &RangeSet::from(index..index + 1), neighbours.into_iter().collect(), "{index}");
    }
    assert!(healpix.neighbours(768).is_err() && healpix.to_ring(768).is_err() && healpix.from_ring(768).is_err());
}
