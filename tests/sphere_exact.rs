//! Polygons that share vertices, touch, miss each other by a last bit, stand opposite, lie on poles or almost fill a hemisphere, related
//! by the library and by a slow version in integers.
//!
//! What is exact here: a polygon is the set of directions `x` with `(a x b) . x >= 0` for each two neighbouring vertices `a`, `b`,
//! whose coordinates are doubles and taken as the exact numbers they are (so they are unit vectors only to the last bit). The slow version
//! knows nothing else: it multiplies the coordinates by a power of two to make them integers, forms the normals, and
//!
//! * says that a polygon contains another one when all normals of the one have all vertices of the other on their side;
//! * says that two intersect when the cone of all their half-spaces together is more than its tip. Such a cone has an edge, and an
//!   edge is where two of the planes meet: it tries the lines of all pairs of planes, both ways.
//!
//! `BUNTER_EXACT_CASES` sets the number of cases.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use bunter::{ConvexPolygon, LonLat, PolygonBuffer, Relation, UnitVector};
use num_bigint::{BigInt, Sign};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

type Exact = [BigInt; 3];

/// A finite double as an integer times a power of two.
fn parts(v: f64) -> (i64, i32) {
    let bits = v.to_bits();
    let (exponent, mantissa) = ((bits >> 52 & 0x7ff) as i32, (bits & ((1 << 52) - 1)) as i64);
    let (mantissa, exponent) = if exponent == 0 { (mantissa, -1074) } else { (mantissa | 1 << 52, exponent - 1075) };
    if mantissa == 0 {
        return (0, 0);
    }
    let zeros = mantissa.trailing_zeros();
    (if v < 0.0 { -(mantissa >> zeros) } else { mantissa >> zeros }, exponent + zeros as i32)
}

fn cross(a: &Exact, b: &Exact) -> Exact {
    [&a[1] * &b[2] - &a[2] * &b[1], &a[2] * &b[0] - &a[0] * &b[2], &a[0] * &b[1] - &a[1] * &b[0]]
}

fn dot(a: &Exact, b: &Exact) -> Sign {
    (&a[0] * &b[0] + &a[1] * &b[1] + &a[2] * &b[2]).sign()
}

/// Vertices and inward normals in integers.
struct Slow {
    vertices: Vec<Exact>,
    normals: Vec<Exact>,
}

impl Slow {
    /// `unit` is the power of two that all coordinates are multiples of.
    fn new(vertices: &[UnitVector], unit: i32) -> Self {
        let integer = |v: f64| {
            let (m, e) = parts(v);
            if m == 0 { BigInt::ZERO } else { BigInt::from(m) << (e - unit) }
        };
        let vertices: Vec<Exact> = vertices.iter().map(|v| [v.x, v.y, v.z].map(integer)).collect();
        let n = vertices.len();
        let normals = (0..n).map(|i| cross(&vertices[i], &vertices[(i + 1) % n])).collect();
        Self { vertices, normals }
    }

    fn has(&self, v: &Exact) -> bool {
        self.normals.iter().all(|n| dot(n, v) != Sign::Minus)
    }

    fn contains(&self, other: &Self) -> bool {
        other.vertices.iter().all(|v| self.has(v))
    }

    fn intersects(&self, other: &Self) -> bool {
        let planes: Vec<&Exact> = self.normals.iter().chain(&other.normals).collect();
        for (i, first) in planes.iter().enumerate() {
            for second in &planes[i + 1..] {
                let line = cross(first, second);
                if line.iter().all(|c| c.sign() == Sign::NoSign) {
                    continue;
                }
                // Some plane has the line on one side or on the other: at most one of the two ways is left.
                let (mut forth, mut back) = (true, true);
                for plane in &planes {
                    match dot(plane, &line) {
                        Sign::Minus => forth = false,
                        Sign::Plus => back = false,
                        Sign::NoSign => {}
                    }
                    if !forth && !back {
                        break;
                    }
                }
                if forth || back {
                    return true;
                }
            }
        }
        false
    }

    fn relate(&self, other: &Self) -> Relation {
        match (self.contains(other), other.contains(self)) {
            (true, true) => Relation::CONTAINS | Relation::WITHIN,
            (true, false) => Relation::CONTAINS,
            (false, true) => Relation::WITHIN,
            (false, false) if self.intersects(other) => Relation::INTERSECTS,
            (false, false) => Relation::DISJOINT,
        }
    }
}

/// The power of two that all coordinates are multiples of.
fn unit(vertices: &[&[UnitVector]]) -> i32 {
    let all = vertices.iter().flat_map(|ring| ring.iter()).flat_map(|v| [v.x, v.y, v.z]);
    all.filter(|v| *v != 0.0).map(|v| parts(v).1).min().unwrap_or(0)
}

fn vector(x: f64, y: f64, z: f64) -> UnitVector {
    UnitVector { x, y, z }
}

/// Polygons made to be difficult.
struct Maker {
    rng: ChaCha8Rng,
}

impl Maker {
    fn within(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.rng.random::<f64>()
    }

    fn choice(&mut self, n: usize) -> usize {
        self.rng.random_range(0..n)
    }

    fn direction(&mut self) -> UnitVector {
        match self.choice(8) {
            // Poles and axes, and what is nearly there.
            0 => {
                let axes = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
                let sign = if self.rng.random::<bool>() { 1.0 } else { -1.0 };
                let [x, y, z] = axes[self.choice(3)].map(|v| v * sign);
                vector(x, y, z)
            }
            1 => LonLat::from_degrees((self.choice(24) * 15) as f64, (self.choice(13) * 15) as f64 - 90.0).to_unit(),
            _ => {
                let z = self.within(-1.0, 1.0);
                LonLat::new(self.within(0.0, 6.3), z.asin()).to_unit()
            }
        }
    }

    /// Points around a centre, at most `size` away.
    fn points(&mut self, centre: UnitVector, size: f64, n: usize) -> Vec<UnitVector> {
        let (east, north) = frame(centre);
        let start = self.within(0.0, 7.0);
        (0..n)
            .map(|k| {
                let turn = start + std::f64::consts::TAU * (k as f64 + self.within(-0.3, 0.3)) / n as f64;
                let (sin, cos) = turn.sin_cos();
                let t = size.tan();
                let at = |c: f64, e: f64, n: f64| c + t * (cos * e + sin * n);
                UnitVector::normalized(
                    at(centre.x, east.x, north.x),
                    at(centre.y, east.y, north.y),
                    at(centre.z, east.z, north.z),
                )
                .unwrap()
            })
            .collect()
    }

    fn size(&mut self) -> f64 {
        match self.choice(10) {
            0 => 10_f64.powf(self.within(-15.5, -7.0)),
            // Almost a hemisphere.
            1 => std::f64::consts::FRAC_PI_2 - 10_f64.powf(self.within(-15.0, -1.0)),
            2 => self.within(0.5, 1.5),
            _ => 10_f64.powf(self.within(-4.0, -0.3)),
        }
    }

    fn polygon(&mut self) -> ConvexPolygon {
        loop {
            let (centre, size, n) = (self.direction(), self.size(), 3 + self.choice(4));
            if let Ok(polygon) = ConvexPolygon::new(&self.points(centre, size, n)) {
                return polygon;
            }
        }
    }

    /// A vector moved by a last bit of some of its coordinates.
    fn nudged(&mut self, v: UnitVector) -> UnitVector {
        let mut nudge = |t: f64| match self.choice(4) {
            0 => t.next_up(),
            1 => t.next_down(),
            _ => t,
        };
        vector(nudge(v.x), nudge(v.y), nudge(v.z))
    }

    /// Another polygon that has something to do with the first.
    fn partner(&mut self, p: &ConvexPolygon) -> Option<ConvexPolygon> {
        let v = p.vertices();
        let n = v.len();
        let i = self.choice(n);
        let (a, b) = (v[i], v[(i + 1) % n]);
        let size = p.bounding_circle().radius();
        let kind = self.choice(14);
        let mut points: Vec<UnitVector> = match kind {
            // Near, of like size.
            0 | 1 => {
                let size = size * self.within(0.1, 1.5);
                let centre = self.points(p.centroid(), size.min(1.2), 1)[0];
                self.points(centre, size.min(1.5), 3)
            }
            // A shared edge, on the other side or on the same one.
            2 | 3 => {
                let to = self.points(mean(a, b), 0.5 * size, 2);
                vec![a, b, to[0], to[1]]
            }
            // A shared vertex.
            4 => {
                let to = self.points(a, size.min(1.0), 2);
                vec![a, to[0], to[1]]
            }
            // A vertex on an edge, as nearly as doubles can.
            5 => {
                let t = self.within(0.0, 1.0);
                let on = UnitVector::normalized(a.x + t * (b.x - a.x), a.y + t * (b.y - a.y), a.z + t * (b.z - a.z))?;
                let to = self.points(on, size.min(1.0), 2);
                vec![on, to[0], to[1]]
            }
            // Corners cut off.
            6 => v.iter().copied().enumerate().filter(|(k, _)| n > 3 && *k != i || n == 3).map(|(_, v)| v).collect(),
            // The same and one more.
            7 => v.iter().copied().chain([self.points(a, 0.3 * size.min(1.0), 1)[0]]).collect(),
            // The same, turned.
            8 => v.iter().cycle().skip(i).take(n).copied().collect(),
            // Opposite, alone or shifted.
            9 => v.iter().map(|v| v.opposite()).collect(),
            10 => self.points(p.centroid().opposite(), size.min(1.57), 4),
            // An edge that runs on along an edge's great circle.
            11 => {
                let on = UnitVector::normalized(2.0 * b.x - a.x, 2.0 * b.y - a.y, 2.0 * b.z - a.z)?;
                let to = self.points(b, size.min(1.0), 1)[0];
                vec![b, on, to]
            }
            // Vertices almost in the opposite of an edge.
            12 => {
                let to = self.points(a.opposite(), size.min(1.0), 2);
                vec![a.opposite(), to[0], to[1]]
            }
            _ => return Some(self.polygon()),
        };
        if self.choice(3) == 0 {
            points = points.into_iter().map(|v| self.nudged(v)).collect();
        }
        ConvexPolygon::new(&points).ok()
    }
}

fn mean(a: UnitVector, b: UnitVector) -> UnitVector {
    UnitVector::normalized(a.x + b.x, a.y + b.y, a.z + b.z).unwrap_or(a)
}

/// Two directions at right angles to a third.
fn frame(v: UnitVector) -> (UnitVector, UnitVector) {
    let (x, y, z) = if v.z.abs() < 0.9 { (-v.y, v.x, 0.0) } else { (0.0, -v.z, v.y) };
    let east = UnitVector::normalized(x, y, z).unwrap();
    let (x, y, z) = v.cross(east);
    (east, vector(x, y, z))
}

fn cases() -> usize {
    match std::env::var("BUNTER_EXACT_CASES") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("BUNTER_EXACT_CASES is `{text}`, expected a number")),
        Err(_) => 100_000,
    }
}

#[test]
fn relations_agree_with_integers() {
    let (cases, mut done) = (cases(), 0);
    let mut maker = Maker { rng: ChaCha8Rng::seed_from_u64(20) };
    // Disjoint, plainly intersecting, containing, within, equal; and how many share a vertex.
    let (mut met, mut sharing) = ([0_usize; 5], 0);
    while done < cases {
        let p = maker.polygon();
        let Some(q) = maker.partner(&p) else { continue };
        let unit = unit(&[p.vertices(), q.vertices()]);
        let (slow_p, slow_q) = (Slow::new(p.vertices(), unit), Slow::new(q.vertices(), unit));
        let expected = slow_p.relate(&slow_q);
        let show = || format!("case {done}: {:?} and {:?}", p.vertices(), q.vertices());
        assert_eq!(p.relate(&q), expected, "{}", show());
        assert_eq!(q.relate(&p), expected.inverse(), "{}", show());
        for (v, slow) in q.vertices().iter().zip(&slow_q.vertices) {
            assert_eq!(p.contains(*v), slow_p.has(slow), "{v:?} of {}", show());
        }
        if done % 64 == 0 {
            let buffer: PolygonBuffer = [&p, &q].into_iter().collect();
            let columns = buffer.columns().unwrap();
            assert_eq!(columns.relate(0, &columns, 1), expected, "{}", show());
            assert_eq!(columns.relate_polygon(1, &p), expected.inverse(), "{}", show());
        }
        let kind = [
            expected.disjoint(),
            expected == Relation::INTERSECTS,
            expected == Relation::CONTAINS,
            expected == Relation::WITHIN,
            expected.contains() && expected.within(),
        ];
        met.iter_mut().zip(kind).for_each(|(met, is)| *met += usize::from(is));
        sharing += usize::from(p.vertices().iter().any(|v| q.vertices().contains(v)));
        done += 1;
        if done % 1_000_000 == 0 && done < cases {
            println!("{done} pairs so far");
        }
    }
    println!("{done} pairs: disjoint, intersecting, containing, within, equal {met:?}; {sharing} share a vertex");
    assert!(cases < 10_000 || met.iter().all(|n| *n * 100 > done), "a kind of relation is hardly met: {met:?}");
}

/// Coordinates down to the smallest double there is.
#[test]
fn tiny_coordinates_count() {
    let mut maker = Maker { rng: ChaCha8Rng::seed_from_u64(21) };
    let mut done = 0;
    while done < 1500 {
        let mut tiny = |t: f64| {
            let exponent = [-1074, -1000, -540, -300, -201, -199, -60][maker.choice(7)];
            if t == 0.0 {
                maker.within(-4.0, 4.0).trunc() * 2_f64.powi(exponent / 2) * 2_f64.powi(exponent - exponent / 2)
            } else {
                t
            }
        };
        let corner = |x: f64, y: f64, z: f64, tiny: &mut dyn FnMut(f64) -> f64| vector(tiny(x), tiny(y), tiny(z));
        let near = 2_f64.powi(-40);
        let p = [
            corner(1.0, 0.0, 0.0, &mut tiny),
            corner(1.0, near, 0.0, &mut tiny),
            corner(1.0, near, near, &mut tiny),
            corner(1.0, 0.0, near, &mut tiny),
        ];
        let q =
            [corner(1.0, 0.0, 0.0, &mut tiny), corner(1.0, 0.0, -near, &mut tiny), corner(1.0, near, 0.0, &mut tiny)];
        let (Ok(p), Ok(q)) = (ConvexPolygon::new(&p), ConvexPolygon::new(&q)) else { continue };
        let unit = unit(&[p.vertices(), q.vertices()]);
        let expected = Slow::new(p.vertices(), unit).relate(&Slow::new(q.vertices(), unit));
        assert_eq!(p.relate(&q), expected, "{:?} and {:?}", p.vertices(), q.vertices());
        done += 1;
    }
}

/// The hull of any points is strictly convex, holds them all, and its vertices are among them: in integers.
#[test]
fn hulls_are_hulls_in_integers() {
    let mut maker = Maker { rng: ChaCha8Rng::seed_from_u64(22) };
    for _ in 0..4000 {
        let (centre, size, n) = (maker.direction(), maker.size(), 3 + maker.choice(9));
        let mut points = maker.points(centre, size, n);
        for _ in 0..maker.choice(4) {
            let (a, b) = (points[maker.choice(n)], points[maker.choice(n)]);
            let more = [mean(a, b), a, maker.nudged(a)][maker.choice(3)];
            points.push(more);
        }
        let Ok(hull) = ConvexPolygon::new(&points) else { continue };
        let unit = unit(&[&points]);
        let (slow, all) = (Slow::new(hull.vertices(), unit), Slow::new(&points, unit));
        assert!(slow.contains(&all), "{points:?}");
        assert!(hull.vertices().iter().all(|v| points.contains(v)));
        let m = slow.vertices.len();
        for (i, normal) in slow.normals.iter().enumerate() {
            for k in 2..m {
                assert_eq!(dot(normal, &slow.vertices[(i + k) % m]), Sign::Plus, "{points:?}");
            }
        }
    }
}
