//! The spatial index and the joins over it, against looking at every polygon, and against damage.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::f64::consts::{FRAC_PI_2, TAU};

use bunter::{
    Circle, ConvexPolygon, LonLat, LonLatBox, PolygonBuffer, PolygonColumns, PolygonIndex, PolygonPairs, Region,
    SkyMap, SphereError, UnitVector, join_polygons, join_polygons_chunks,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

struct Numbers(ChaCha8Rng);

impl Numbers {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        (self.unit() * n as f64) as usize
    }

    /// Anywhere, often near a pole, longitude 0 or one field.
    fn position(&mut self) -> LonLat {
        let anywhere = LonLat::new(TAU * self.unit(), (2.0 * self.unit() - 1.0).asin());
        match self.below(6) {
            0 => LonLat::new(anywhere.lon, FRAC_PI_2 - 0.05 * self.unit()),
            1 => LonLat::new(anywhere.lon, -FRAC_PI_2 + 1e-6 * self.unit()),
            2 => LonLat::new(0.02 * self.unit() - 0.01, 0.02 * self.unit()),
            3 => LonLat::new(1.0 + 0.001 * self.unit(), 0.5 + 0.001 * self.unit()),
            _ => anywhere,
        }
    }

    /// From a hundredth of an arcsecond to most of a hemisphere.
    fn radius(&mut self) -> f64 {
        10_f64.powf(-7.3 + 7.4 * self.unit())
    }

    fn polygon(&mut self) -> ConvexPolygon {
        loop {
            let (centre, radius) = (self.position().to_unit(), self.radius());
            let corners: Vec<_> = (0..3 + self.below(4))
                .map(|_| {
                    let mut off = || radius * (2.0 * self.unit() - 1.0);
                    UnitVector::normalized(centre.x + off(), centre.y + off(), centre.z + off()).unwrap()
                })
                .collect();
            if let Ok(polygon) = ConvexPolygon::new(&corners) {
                return polygon;
            }
        }
    }

    fn polygons(&mut self, count: usize) -> Vec<ConvexPolygon> {
        let mut polygons: Vec<ConvexPolygon> = (0..count).map(|_| self.polygon()).collect();
        for i in (7..count).step_by(11) {
            // The same one again, and one that shares an edge.
            polygons[i] = polygons[i - 1].clone();
            let [a, b, ..] = polygons[i - 5].vertices() else { continue };
            let tip = self.position().to_unit();
            if let Ok(neighbour) = ConvexPolygon::new(&[*a, *b, tip]) {
                polygons[i - 2] = neighbour;
            }
        }
        polygons
    }
}

fn slow(polygons: &[ConvexPolygon], touches: impl Fn(&ConvexPolygon) -> bool) -> Vec<u32> {
    (0..polygons.len() as u32).filter(|i| touches(&polygons[*i as usize])).collect()
}

#[test]
fn every_query_finds_what_looking_at_every_polygon_finds() {
    let mut numbers = Numbers::new(1);
    for count in [0, 1, 2, 15, 16, 17, 255, 256, 257, 700] {
        let polygons = numbers.polygons(count);
        let buffer: PolygonBuffer = polygons.iter().collect();
        let columns = buffer.columns().unwrap();
        let index = PolygonIndex::build(&columns).unwrap();
        assert_eq!(index.len(), count);
        let mut found = Vec::new();
        for i in 0..120 {
            let polygon = if i < 20 && i < count { polygons[i].clone() } else { numbers.polygon() };
            found.clear();
            index.query_polygon(&columns, &polygon, &mut found).unwrap();
            assert_eq!(found, slow(&polygons, |p| p.intersects(&polygon)), "{count} polygons, polygon {i}");

            let radius = match i % 4 {
                0 => 0.0,
                1 => 3.14 * numbers.unit(),
                _ => numbers.radius().min(3.0),
            };
            let circle = Circle::new(numbers.position().to_unit(), radius).unwrap();
            found.clear();
            index.query(&columns, &circle.into(), &mut found).unwrap();
            let region = Region::Circle(circle);
            let expected = slow(&polygons, |p| region.relate(&Region::Polygon(p.clone())).intersects());
            assert_eq!(found, expected, "{count} polygons, {region}");

            let centre = numbers.position();
            let (width, height) = (numbers.radius().min(6.2), numbers.radius().min(1.5));
            let low = centre.lat.clamp(-FRAC_PI_2, FRAC_PI_2 - height);
            let high = if i % 5 == 0 { FRAC_PI_2 } else { low + height };
            let box_ = LonLatBox::new(centre.lon, width, low, high).unwrap();
            found.clear();
            index.query_box(&columns, box_, &mut found).unwrap();
            let region = Region::Box(box_);
            let expected = slow(&polygons, |p| region.relate(&Region::Polygon(p.clone())).intersects());
            assert_eq!(found, expected, "{count} polygons, {region}");

            let point = match i % 3 {
                0 if count > 0 => polygons[numbers.below(count)].vertices()[0],
                _ => numbers.position().to_unit(),
            };
            found.clear();
            index.query_point(&columns, point, &mut found).unwrap();
            assert_eq!(found, slow(&polygons, |p| p.contains(point)), "{count} polygons, {point:?}");
        }
        let nowhere = UnitVector { x: f64::NAN, y: 0.0, z: 0.0 };
        found.clear();
        index.query_point(&columns, nowhere, &mut found).unwrap();
        assert!(found.is_empty());
    }
}

#[test]
fn joins_find_every_pair_in_order() {
    let mut numbers = Numbers::new(2);
    for (lefts, rights) in [(0, 5), (5, 0), (1, 1), (40, 300), (300, 40), (5, 700), (500, 500)] {
        let (left, right) = (numbers.polygons(lefts), numbers.polygons(rights));
        let mut expected = PolygonPairs::default();
        for (i, a) in left.iter().enumerate() {
            for j in slow(&right, |b| a.intersects(b)) {
                expected.left.push(i as u32);
                expected.right.push(j);
            }
        }
        let (left, right): (PolygonBuffer, PolygonBuffer) = (left.iter().collect(), right.iter().collect());
        let (left, right) = (left.columns().unwrap(), right.columns().unwrap());
        assert_eq!(join_polygons(&left, &right).unwrap(), expected, "{lefts} x {rights}");
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for chunk in [1, 7, 1 << 20] {
                let mut all = PolygonPairs::default();
                let done: Result<(), SphereError> = pool.install(|| {
                    join_polygons_chunks(&left, &right, chunk, |pairs| {
                        assert!(pairs.len() == chunk || all.len() + pairs.len() == expected.len());
                        all.left.extend(pairs.left);
                        all.right.extend(pairs.right);
                        Ok(())
                    })
                });
                done.unwrap();
                assert_eq!(all, expected, "{lefts} x {rights}, {threads} threads, chunks of {chunk}");
            }
        }
    }
}

#[test]
fn sky_maps_and_their_patches_as_polygons_give_the_same_pairs() {
    let text = "kind = 'rings'\nnum_rings = 9\ntract_overlap_deg = 0.5\npixel_scale_arcsec = 10.0\n\
        rotation_deg = 20.0\ntract_builder = {kind = 'legacy', patch_inner_dimensions = [1500, 2000], patch_border = 50}";
    let map = SkyMap::from_toml(text).unwrap();
    let (mut names, mut patches) = (Vec::new(), PolygonBuffer::default());
    for tract in map.tracts() {
        let tract = tract.unwrap();
        let (nx, ny) = tract.num_patches();
        for patch in 0..nx * ny {
            patches.push(tract.patch(patch).unwrap().outer_polygon());
            names.push((tract.id(), patch));
        }
    }
    let mut numbers = Numbers::new(3);
    let mut polygons: Vec<ConvexPolygon> = (0..300).map(|_| numbers.polygon()).collect();
    // Runs of neighbours, as detectors of a focal plane are.
    let start = numbers.position();
    polygons.extend((0..200).map(|i| {
        let (lon, lat) =
            (start.lon_deg() + f64::from(i % 20) * 0.3, (start.lat_deg() + f64::from(i / 20) * 0.3).clamp(-85.0, 80.0));
        ConvexPolygon::from_degrees(&[(lon, lat), (lon + 0.25, lat), (lon + 0.25, lat + 0.25), (lon, lat + 0.25)])
            .unwrap()
    }));
    let polygons: PolygonBuffer = polygons.iter().collect();
    let columns = polygons.columns().unwrap();
    let found = map.overlaps_columns(&columns);
    let pairs = join_polygons(&columns, &patches.columns().unwrap()).unwrap();
    assert!(found.len() > 10_000, "{}", found.len());
    assert_eq!(found.polygon, pairs.left);
    let by_name: Vec<_> = pairs.right.iter().map(|j| names[*j as usize]).collect();
    assert!(found.tract.iter().copied().zip(found.patch.iter().copied()).eq(by_name));
    let mut singly = Vec::new();
    for i in 0..columns.len() {
        map.overlaps(&columns.polygon(i), &mut singly);
    }
    assert!(found.tract.iter().copied().zip(found.patch.iter().copied()).eq(singly));
}

#[test]
fn the_index_is_the_same_on_any_number_of_threads_and_in_place() {
    let mut numbers = Numbers::new(4);
    let buffer: PolygonBuffer = numbers.polygons(5000).iter().collect();
    let columns = buffer.columns().unwrap();
    let build = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| PolygonIndex::build(&columns)).unwrap()
    };
    let index = build(1);
    assert_eq!(index, build(3));
    let (rows, boxes) = index.parts();
    let stored = PolygonIndex::from_parts(rows, boxes).unwrap();
    stored.verify(&columns).unwrap();
    let (x, y, z, offsets) = buffer.clone().into_parts();
    let in_place = PolygonColumns::in_place(&x, &y, &z, &offsets).unwrap();
    in_place.verify().unwrap();
    for _ in 0..50 {
        let polygon = numbers.polygon();
        let (mut ours, mut theirs) = (vec![], vec![]);
        index.query_polygon(&columns, &polygon, &mut ours).unwrap();
        stored.query_polygon(&in_place, &polygon, &mut theirs).unwrap();
        assert_eq!(ours, theirs);
    }
    let few: PolygonBuffer = numbers.polygons(4999).iter().collect();
    let error = index.query_polygon(&few.columns().unwrap(), &numbers.polygon(), &mut vec![]).unwrap_err();
    assert_eq!(error.to_string(), "polygon columns: the index is of 5000 polygons, the columns hold 4999");
}

#[test]
fn damage_is_an_error_or_a_wrong_answer_but_nothing_worse() {
    let mut numbers = Numbers::new(5);
    let buffer: PolygonBuffer = numbers.polygons(600).iter().collect();
    let (x, y, z, offsets) = buffer.into_parts();
    let columns = PolygonColumns::in_place(&x, &y, &z, &offsets).unwrap();
    let built = PolygonIndex::build(&columns).unwrap();
    let (rows, boxes) = built.parts();
    for (rows, boxes) in [(&rows[1..], boxes), (rows, &boxes[1..]), (rows, &[]), (&[], boxes)] {
        let wrong = PolygonIndex::from_parts(rows, boxes);
        assert!(rows.len() == 599 || wrong.is_err());
        // 599 polygons have as many groups: the columns tell.
        assert!(
            wrong.is_err()
                || wrong
                    .unwrap()
                    .query_box(&columns, LonLatBox::new(0.0, 6.0, -1.0, 1.0).unwrap(), &mut vec![])
                    .is_err()
        );
    }
    let weird = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -1.0, 1.0, f32::MAX];
    let mut refused = 0;
    for round in 0..300 {
        let (mut rows, mut boxes, mut offsets, mut x) = (rows.to_vec(), boxes.to_vec(), offsets.clone(), x.clone());
        for _ in 0..=numbers.below(60) {
            match round % 4 {
                0 => rows[numbers.below(600)] = (numbers.unit() * 5e9) as u32,
                1 => {
                    let at = numbers.below(boxes.len());
                    boxes[at] = weird[numbers.below(weird.len())];
                }
                // The ends are looked at when columns are taken.
                2 => offsets[1 + numbers.below(599)] = (numbers.unit() * 1.9e19) as u64 >> numbers.below(64),
                _ => {
                    let at = numbers.below(x.len());
                    x[at] = f64::from(weird[numbers.below(weird.len())]);
                }
            }
        }
        if round % 40 == 1 {
            boxes.fill(if round % 80 == 1 { f32::NAN } else { f32::INFINITY });
        }
        let columns = PolygonColumns::in_place(&x, &y, &z, &offsets).unwrap();
        let index = PolygonIndex::from_parts(&rows, &boxes).unwrap();
        let region: Region = match numbers.below(3) {
            0 => numbers.polygon().into(),
            1 => Circle::new(numbers.position().to_unit(), numbers.radius().min(3.0)).unwrap().into(),
            _ => LonLatBox::new(numbers.position().lon, 3.0, -1.0, 1.0).unwrap().into(),
        };
        let mut found = vec![u32::MAX];
        let query = index.query(&columns, &region, &mut found);
        assert!(query.is_ok() || found == [u32::MAX], "an error leaves nothing behind");
        let point = index.query_point(&columns, numbers.position().to_unit(), &mut found);
        let left: PolygonBuffer = numbers.polygons(40).iter().collect();
        let join = index.join(&columns, &left.columns().unwrap());
        let whole = index.query(&columns, &LonLatBox::new(0.0, TAU, -1.5, 1.5).unwrap().into(), &mut found);
        refused += u32::from(query.is_err() || point.is_err() || join.is_err() || whole.is_err());
        assert!(round % 4 > 1 || index.verify(&columns).is_err());
        assert!(round % 4 < 2 || columns.verify().is_err() || round % 4 == 3);
    }
    assert!(refused > 60, "only {refused} were refused");
}
