//! From points to the vertices of a convex polygon, exactly.

use super::orientation::orientation;
use super::{SphereError, UnitVector};

/// How far the squared length may be from one.
const LENGTH_TOLERANCE: f64 = 1e-9;

/// Refuses points that are not unit vectors.
pub(super) fn check_unit(index: usize, v: UnitVector) -> Result<(), SphereError> {
    // Written so that NaN fails.
    if (v.dot(v) - 1.0).abs() <= LENGTH_TOLERANCE {
        Ok(())
    } else {
        Err(SphereError::NotUnit { index, x: v.x, y: v.y, z: v.z })
    }
}

/// The vertices of the convex hull, counter-clockwise, none on the great circle through its neighbours.
pub(super) fn convex_hull(points: &[UnitVector]) -> Result<Vec<UnitVector>, SphereError> {
    for (index, v) in points.iter().enumerate() {
        check_unit(index, *v)?;
    }
    let given = points.len();
    let mut hull = first_triangle(points)?;
    let mut next = Vec::with_capacity(hull.len() + 1);
    for &p in points {
        add_point(&mut hull, &mut next, p, given)?;
    }
    if let Some(index) = outsider(&hull, points) {
        // Points that fit into a hemisphere have a hull, and it has been found: these do not.
        debug_assert!(index < given);
        return Err(SphereError::Hemisphere { given });
    }
    Ok(hull)
}

fn first_triangle(points: &[UnitVector]) -> Result<Vec<UnitVector>, SphereError> {
    let given = points.len();
    let few = |distinct| SphereError::TooFewPoints { given, distinct };
    let a = *points.first().ok_or(few(0))?;
    let b = *points.iter().find(|p| **p != a).ok_or(few(1))?;
    if !points.iter().any(|p| *p != a && *p != b) {
        return Err(few(2));
    }
    for &c in points {
        match orientation(a, b, c) {
            1 => return Ok(vec![a, b, c]),
            -1 => return Ok(vec![b, a, c]),
            _ => {}
        }
    }
    // `b` may be just another way to write `a` (or opposite to it): then every third point is on "their" circle.
    let off = points.iter().enumerate().find_map(|(i, b)| {
        let c = points[i..].iter().find(|c| orientation(a, *b, **c) != 0)?;
        Some(if orientation(a, *b, *c) > 0 { vec![a, *b, *c] } else { vec![*b, a, *c] })
    });
    off.ok_or(SphereError::ZeroArea { given })
}

/// Replaces the edges that `p` sees by two edges to `p`.
fn add_point(
    hull: &mut Vec<UnitVector>,
    next: &mut Vec<UnitVector>,
    p: UnitVector,
    given: usize,
) -> Result<(), SphereError> {
    let n = hull.len();
    // Edge i runs from vertex i to vertex i + 1.
    let turns: Vec<i32> = (0..n).map(|i| orientation(hull[i], hull[(i + 1) % n], p)).collect();
    if turns.iter().all(|t| *t >= 0) {
        return Ok(());
    }
    // The first kept edge behind the edges seen. An edge in line with `p` beside a seen one is replaced with them.
    let Some(first) = (0..n).find(|i| turns[*i] > 0 && turns[(i + n - 1) % n] <= 0) else {
        return Err(SphereError::Hemisphere { given });
    };
    next.clear();
    let mut i = first;
    while turns[i] > 0 {
        next.push(hull[i]);
        i = (i + 1) % n;
        if i == first {
            break;
        }
    }
    next.push(hull[i]);
    // In a convex ring the kept edges are one run.
    while i != first {
        if turns[i] > 0 {
            return Err(SphereError::Hemisphere { given });
        }
        i = (i + 1) % n;
    }
    next.push(p);
    std::mem::swap(hull, next);
    Ok(())
}

/// The first of `points` outside an edge of the ring; or, when all are inside but the ring is not strictly convex, 0.
pub(super) fn outsider(ring: &[UnitVector], points: &[UnitVector]) -> Option<usize> {
    let n = ring.len();
    let flat = (0..n).any(|i| orientation(ring[i], ring[(i + 1) % n], ring[(i + 2) % n]) <= 0);
    if n < 3 || flat {
        return Some(0);
    }
    points.iter().position(|p| (0..n).any(|i| orientation(ring[i], ring[(i + 1) % n], *p) < 0))
}

/// Checks vertices given in order, and leaves out those in line with their neighbours.
pub(super) fn check_ordered(given: &[UnitVector]) -> Result<Vec<UnitVector>, SphereError> {
    for (index, v) in given.iter().enumerate() {
        check_unit(index, *v)?;
    }
    if outsider(given, given).is_none() {
        return Ok(given.to_vec());
    }
    let hull = convex_hull(given)?;
    // Right order: walking the given vertices meets the hull's vertices one after the other, once around.
    let n = given.len();
    let start = given.iter().position(|v| *v == hull[0]).unwrap_or(0);
    let mut met = 0;
    for k in 0..n {
        let index = (start + k) % n;
        let v = given[index];
        if met < hull.len() && v == hull[met] {
            met += 1;
            continue;
        }
        // Not a corner: it must lie on the hull's edge between the corners before and behind.
        let (a, b) = (hull[(met + hull.len() - 1) % hull.len()], hull[met % hull.len()]);
        if orientation(a, b, v) != 0 || v == a || v == b {
            return Err(SphereError::NotConvex { index });
        }
    }
    if met < hull.len() { Err(SphereError::NotConvex { index: start }) } else { Ok(hull) }
}
