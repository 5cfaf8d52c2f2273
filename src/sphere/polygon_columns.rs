//! [`PolygonColumns`]: many polygons as flat columns of vertices.

use rayon::prelude::*;

use super::hull;
use super::kernel::{self, Cap, Ring};
use super::{ConvexPolygon, Relation, SphereError, UnitVector};

/// Many convex polygons, read in place from columns: vertex coordinates `x`, `y`, `z` and, for each polygon, where its
/// vertices begin.
///
/// Polygon `i` has the vertices `offsets[i]..offsets[i + 1]`, counter-clockwise; `offsets` holds one entry more than
/// there are polygons. The polygons are checked once, when the columns are taken; from then on nothing is allocated.
///
/// ```
/// use bunter::{ConvexPolygon, PolygonBuffer, Relation};
///
/// let mut buffer = PolygonBuffer::default();
/// buffer.push(&ConvexPolygon::from_degrees(&[(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])?);
/// buffer.push(&ConvexPolygon::from_degrees(&[(1.0, 0.0), (2.0, 0.0), (2.0, 1.0)])?);
/// let columns = buffer.columns()?;
/// assert_eq!(columns.len(), 2);
/// assert_eq!(columns.relate(0, &columns, 1), Relation::INTERSECTS);
/// # Ok::<(), bunter::SphereError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PolygonColumns<'a> {
    x: &'a [f64],
    y: &'a [f64],
    z: &'a [f64],
    offsets: &'a [u64],
    /// Empty when they are made as they are needed.
    caps: Vec<Cap>,
}

/// Fewer polygons than this are not worth a second thread.
const FEW: usize = 4096;

/// One polygon of the columns.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    x: &'a [f64],
    y: &'a [f64],
    z: &'a [f64],
}

impl Ring for Row<'_> {
    #[inline]
    fn len(self) -> usize {
        self.x.len()
    }

    #[inline]
    fn at(self, i: usize) -> UnitVector {
        UnitVector { x: self.x[i], y: self.y[i], z: self.z[i] }
    }
}

impl<'a> PolygonColumns<'a> {
    /// Checks the columns and every polygon in them, on all threads of the current rayon pool where there are many.
    ///
    /// # Errors
    /// [`SphereError::BadColumns`] for lengths and offsets that do not fit, [`SphereError::Row`] naming the polygon that
    /// is not a convex one.
    pub fn new(x: &'a [f64], y: &'a [f64], z: &'a [f64], offsets: &'a [u64]) -> Result<Self, SphereError> {
        let columns = Self::in_place(x, y, z, offsets)?;
        columns.verify()?;
        Ok(columns.with_caps())
    }

    /// Derives at once what is cheap, for those who need it again and again.
    fn with_caps(mut self) -> Self {
        self.caps = if self.len() < FEW {
            (0..self.len()).map(|i| self.cap(i)).collect()
        } else {
            (0..self.len()).into_par_iter().map(|i| self.cap(i)).collect()
        };
        self
    }

    /// Columns whose polygons were checked before, or are checked later by [`verify`](Self::verify): takes no time for any number of
    /// polygons. What is cheap is derived anew each time it is needed.
    ///
    /// Nothing panics when a polygon is none after all, but the answers about it mean nothing; one whose offsets are out of range has no
    /// vertices.
    ///
    /// # Errors
    /// [`SphereError::BadColumns`] for lengths that do not fit.
    pub fn in_place(x: &'a [f64], y: &'a [f64], z: &'a [f64], offsets: &'a [u64]) -> Result<Self, SphereError> {
        let bad = |problem: String| Err(SphereError::BadColumns { problem });
        if x.len() != y.len() || x.len() != z.len() {
            return bad(format!("x, y, z have {}, {}, {} vertices", x.len(), y.len(), z.len()));
        }
        let (Some(0), Some(&last)) = (offsets.first(), offsets.last()) else {
            return bad("offsets must begin with 0".to_owned());
        };
        if usize::try_from(last) != Ok(x.len()) {
            return bad(format!("the last offset is {last}, but there are {} vertices", x.len()));
        }
        Ok(Self { x, y, z, offsets, caps: Vec::new() })
    }

    /// Checks every polygon.
    ///
    /// # Errors
    /// As [`new`](Self::new), for the first bad one.
    pub fn verify(&self) -> Result<(), SphereError> {
        let one = |ring: &mut Vec<UnitVector>, row: usize| {
            let (start, end) = (self.offsets[row], self.offsets[row + 1]);
            if start > end || end > self.x.len() as u64 {
                let problem = format!("offset {start} of polygon {row} is followed by {end}");
                return Some(SphereError::BadColumns { problem });
            }
            let vertices = self.row(row);
            ring.clear();
            ring.extend((0..vertices.len()).map(|i| vertices.at(i)));
            check(ring).err().map(|source| SphereError::Row { row, source: Box::new(source) })
        };
        let mut ring = Vec::new();
        let first = if self.len() < FEW {
            (0..self.len()).find_map(|row| one(&mut ring, row))
        } else {
            (0..self.len()).into_par_iter().map_init(Vec::new, one).find_map_first(|bad| bad)
        };
        first.map_or(Ok(()), Err)
    }

    /// Number of polygons.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is no polygon.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The vertices of polygon `i`, counter-clockwise.
    ///
    /// # Panics
    /// When `i` is not below [`len`](Self::len).
    pub fn vertices(&self, i: usize) -> impl ExactSizeIterator<Item = UnitVector> {
        let row = self.row(i);
        (0..row.len()).map(move |k| row.at(k))
    }

    /// A copy of polygon `i`.
    ///
    /// # Panics
    /// When `i` is not below [`len`](Self::len).
    pub fn polygon(&self, i: usize) -> ConvexPolygon {
        ConvexPolygon::from_parts(self.vertices(i).collect(), self.cap(i))
    }

    /// How polygon `i` lies to polygon `j` of `other`, exactly. No allocation.
    ///
    /// # Panics
    /// When `i` or `j` is not below the number of polygons.
    #[inline]
    pub fn relate(&self, i: usize, other: &PolygonColumns<'_>, j: usize) -> Relation {
        kernel::relate(self.row(i), self.cap(i), other.row(j), other.cap(j))
    }

    /// How polygon `i` lies to one polygon, exactly. No allocation.
    ///
    /// # Panics
    /// When `i` is not below [`len`](Self::len).
    #[inline]
    pub fn relate_polygon(&self, i: usize, other: &ConvexPolygon) -> Relation {
        kernel::relate(self.row(i), self.cap(i), other.vertices(), other.cap())
    }

    /// Whether polygon `i` contains a point.
    pub(crate) fn contains(&self, i: usize, point: UnitVector) -> bool {
        kernel::contains(self.row(i), point)
    }

    fn row(&self, i: usize) -> Row<'a> {
        // Offsets out of order are no range of anything.
        let range = self.offsets[i] as usize..self.offsets[i + 1] as usize;
        let part = |v: &'a [f64]| v.get(range.clone()).unwrap_or_default();
        Row { x: part(self.x), y: part(self.y), z: part(self.z) }
    }

    /// Number of vertices of polygon `i`.
    pub(crate) fn count(&self, i: usize) -> usize {
        self.row(i).len()
    }

    /// Vertex `k` of polygon `i`.
    pub(crate) fn vertex(&self, i: usize, k: usize) -> UnitVector {
        self.row(i).at(k)
    }

    #[inline]
    pub(crate) fn cap(&self, i: usize) -> Cap {
        match self.caps.get(i) {
            Some(cap) => *cap,
            None => Cap::around(self.row(i)),
        }
    }
}

/// Vertices must form a convex polygon as they stand: columns cannot leave one out.
fn check(ring: &[UnitVector]) -> Result<(), SphereError> {
    for (index, v) in ring.iter().enumerate() {
        hull::check_unit(index, *v)?;
    }
    if hull::outsider(ring, ring).is_none() {
        return Ok(());
    }
    match hull::check_ordered(ring) {
        Err(e) => Err(e),
        Ok(kept) => Err(SphereError::BadColumns {
            problem: format!(
                "{} of the {} vertices are in line with their neighbours; `ConvexPolygon::from_vertices` drops them",
                ring.len() - kept.len(),
                ring.len()
            ),
        }),
    }
}

/// Columns of polygons under construction; [`columns`](Self::columns) reads them.
#[derive(Clone, Debug)]
pub struct PolygonBuffer {
    x: Vec<f64>,
    y: Vec<f64>,
    z: Vec<f64>,
    offsets: Vec<u64>,
}

impl Default for PolygonBuffer {
    fn default() -> Self {
        Self { x: Vec::new(), y: Vec::new(), z: Vec::new(), offsets: vec![0] }
    }
}

impl PolygonBuffer {
    /// Adds a polygon at the end.
    pub fn push(&mut self, polygon: &ConvexPolygon) {
        for v in polygon.vertices() {
            self.x.push(v.x);
            self.y.push(v.y);
            self.z.push(v.z);
        }
        self.offsets.push(self.x.len() as u64);
    }

    /// Adds the polygons of another buffer at the end.
    pub fn append(&mut self, other: &Self) {
        let before = self.x.len() as u64;
        self.x.extend_from_slice(&other.x);
        self.y.extend_from_slice(&other.y);
        self.z.extend_from_slice(&other.z);
        self.offsets.extend(other.offsets[1..].iter().map(|end| before + end));
    }

    /// Number of polygons.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is no polygon.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The polygons, ready for use. They were checked when they were made.
    ///
    /// # Errors
    /// [`SphereError::BadColumns`]; cannot happen for polygons that were pushed.
    pub fn columns(&self) -> Result<PolygonColumns<'_>, SphereError> {
        PolygonColumns::in_place(&self.x, &self.y, &self.z, &self.offsets).map(PolygonColumns::with_caps)
    }

    /// The columns themselves: `x`, `y`, `z`, `offsets`.
    pub fn into_parts(self) -> (Vec<f64>, Vec<f64>, Vec<f64>, Vec<u64>) {
        (self.x, self.y, self.z, self.offsets)
    }
}

impl<'p> FromIterator<&'p ConvexPolygon> for PolygonBuffer {
    fn from_iter<I: IntoIterator<Item = &'p ConvexPolygon>>(polygons: I) -> Self {
        let mut buffer = Self::default();
        for polygon in polygons {
            buffer.push(polygon);
        }
        buffer
    }
}

impl FromIterator<ConvexPolygon> for PolygonBuffer {
    fn from_iter<I: IntoIterator<Item = ConvexPolygon>>(polygons: I) -> Self {
        let mut buffer = Self::default();
        for polygon in polygons {
            buffer.push(&polygon);
        }
        buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_columns_are_refused_by_name() {
        let (x, y, z) = ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]);
        let message = |offsets: &[u64]| PolygonColumns::new(&x, &y, &z, offsets).unwrap_err().to_string();
        assert_eq!(message(&[]), "polygon columns: offsets must begin with 0");
        assert_eq!(message(&[0, 4]), "polygon columns: the last offset is 4, but there are 3 vertices");
        assert_eq!(
            message(&[0, u64::MAX, 3]),
            "polygon columns: offset 0 of polygon 0 is followed by 18446744073709551615"
        );
        assert_eq!(message(&[0, 3, 3]), "polygon 1: a polygon needs 3 different vertices, got 0 among 0 points");
        assert!(PolygonColumns::new(&x, &y[..2], &z, &[0, 3]).is_err());
        let clockwise = PolygonColumns::new(&y, &x, &z, &[0, 3]).unwrap_err();
        assert!(matches!(clockwise, SphereError::Row { row: 0, .. }));
        assert!(PolygonColumns::new(&x, &y, &z, &[0, 3]).is_ok());
    }
}
