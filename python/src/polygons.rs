//! `Polygons`: columns of convex polygons on the sky.

use bunter::{ConvexPolygon, LonLat, PolygonBuffer, PolygonColumns, SphereError, UnitVector, join_polygons};
use numpy::{PyArray1, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::arrays::{Pair, as_array, column, degrees, dict_of, readonly, reals, require};
use crate::errors::{OrRaise, usage, wrong_type};
use crate::run::run;

/// Convex polygons on the sky, as columns: vertices one after the other, and where each polygon begins.
///
/// Vertices go round in either direction. Polygons are closed: those that share a single point touch. All relations are exact.
///
/// Parameters
/// ----------
/// ra, dec : array_like or astropy.units.Quantity
///     Vertices, degrees. Of shape ``(n, k)``: `n` polygons of `k` vertices; of shape ``(k,)``: one polygon, or with `offsets`
///     the vertices of all polygons, one after the other.
/// offsets : array_like of int, optional
///     Polygon `i` has the vertices ``offsets[i]`` to ``offsets[i + 1]``; one entry more than there are polygons.
///
/// Examples
/// --------
/// >>> import numpy as np
/// >>> ra = np.array([[0.0, 1.0, 1.0, 0.0], [7.5, 8.5, 8.5, 7.5]])
/// >>> dec = np.array([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
/// >>> left = bunter.Polygons(ra, dec)
/// >>> right = bunter.Polygons(ra + 0.5, dec)
/// >>> pairs = left.join(right)
/// >>> pairs["left"], pairs["right"]
/// (array([0, 1], dtype=uint32), array([0, 1], dtype=uint32))
#[pyclass(module = "bunter", name = "Polygons", frozen)]
pub(crate) struct PyPolygons {
    x: Vec<f64>,
    y: Vec<f64>,
    z: Vec<f64>,
    offsets: Vec<u64>,
}

impl PyPolygons {
    pub(crate) fn columns(&self) -> Result<PolygonColumns<'_>, SphereError> {
        PolygonColumns::new(&self.x, &self.y, &self.z, &self.offsets)
    }

    fn of_buffer(buffer: PolygonBuffer) -> Self {
        let (x, y, z, offsets) = buffer.into_parts();
        Self { x, y, z, offsets }
    }

    /// Takes vertices as they stand when they go round counter-clockwise, and turns round those that do not.
    fn checked(x: Vec<f64>, y: Vec<f64>, z: Vec<f64>, offsets: Vec<u64>) -> Result<Self, SphereError> {
        let first = match PolygonColumns::new(&x, &y, &z, &offsets) {
            Ok(_) => return Ok(Self { x, y, z, offsets }),
            Err(e @ SphereError::BadColumns { .. }) if !is_shape(&offsets, x.len()) => return Err(e),
            Err(e) => e,
        };
        drop(first);
        let mut buffer = PolygonBuffer::default();
        let mut ring = Vec::new();
        for (row, ends) in offsets.windows(2).enumerate() {
            ring.clear();
            ring.extend((ends[0] as usize..ends[1] as usize).map(|i| UnitVector { x: x[i], y: y[i], z: z[i] }));
            let polygon = ConvexPolygon::from_vertices(&ring).or_else(|error| {
                ring.reverse();
                ConvexPolygon::from_vertices(&ring).map_err(|_| error)
            });
            buffer.push(&polygon.map_err(|source| SphereError::Row { row, source: Box::new(source) })?);
        }
        Ok(Self::of_buffer(buffer))
    }

    /// Polygons of polygons, such as patches.
    pub(crate) fn collect<'a>(polygons: impl Iterator<Item = &'a ConvexPolygon>) -> Self {
        Self::of_buffer(polygons.collect())
    }
}

/// Whether offsets cut the vertices into pieces, whatever these are.
fn is_shape(offsets: &[u64], vertices: usize) -> bool {
    offsets.first() == Some(&0) && offsets.last() == Some(&(vertices as u64)) && offsets.is_sorted()
}

/// Offsets of any integer type.
fn offsets_of(value: &Bound<'_, PyAny>) -> PyResult<Vec<u64>> {
    let (array, kind) = as_array(value, "offsets")?;
    if !matches!(kind, 'i' | 'u') {
        return Err(wrong_type(format!(
            "`offsets` should be integers, but its values are of type {}",
            array.getattr("dtype")?
        )));
    }
    if array.call_method0("ravel")?.call_method1("__lt__", (0,))?.call_method0("any")?.is_truthy()? {
        return Err(usage("`offsets` has negative values"));
    }
    let array = require(&array, "u8")?;
    let array = array.cast::<PyArray1<u64>>().map_err(|_| usage("`offsets` should have one dimension"))?;
    array.to_vec().map_err(usage)
}

#[pymethods]
impl PyPolygons {
    #[new]
    #[pyo3(signature = (ra, dec, offsets=None))]
    fn new<'py>(
        py: Python<'py>,
        ra: &Bound<'py, PyAny>,
        dec: &Bound<'py, PyAny>,
        offsets: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Self> {
        let (ra, dec) = (degrees(ra, "ra")?, degrees(dec, "dec")?);
        if ra.shape() != dec.shape() {
            return Err(usage(format!("`ra` has the shape {:?}, `dec` {:?}", ra.shape(), dec.shape())));
        }
        let shape = ra.shape().to_vec();
        let offsets = match (offsets, shape.as_slice()) {
            (Some(offsets), [_]) => offsets_of(offsets)?,
            (None, [k]) => vec![0, *k as u64],
            (None, [n, k]) => (0..=*n as u64).map(|i| i * *k as u64).collect(),
            _ => {
                return Err(usage(format!(
                    "vertices of shape {shape:?}: expected (n, k), or (k,), perhaps with offsets"
                )));
            }
        };
        let (ra, dec) = (readonly(&ra)?, readonly(&dec)?);
        let (ra, dec) = (ra.as_slice().map_err(usage)?, dec.as_slice().map_err(usage)?);
        run(py, || {
            let mut vectors =
                (Vec::with_capacity(ra.len()), Vec::with_capacity(ra.len()), Vec::with_capacity(ra.len()));
            for (row, (ra, dec)) in ra.iter().zip(dec).enumerate() {
                if !ra.is_finite() || !(-90.0..=90.0).contains(dec) {
                    let problem = format!("vertex {row} is ({ra}, {dec}) deg, which is not a position on the sky");
                    return Err(SphereError::BadColumns { problem });
                }
                let v = LonLat::from_degrees(*ra, *dec).to_unit();
                vectors.0.push(v.x);
                vectors.1.push(v.y);
                vectors.2.push(v.z);
            }
            Self::checked(vectors.0, vectors.1, vectors.2, offsets)
        })
    }

    fn __len__(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The vertices: ``(ra, dec, offsets)``, degrees; counter-clockwise seen from inside the sphere's centre outwards.
    fn vertices<'py>(&self, py: Python<'py>) -> (Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>) {
        let vertices = self.x.iter().zip(&self.y).zip(&self.z);
        let (ra, dec) = vertices
            .map(|((x, y), z)| {
                let p = UnitVector { x: *x, y: *y, z: *z }.to_lon_lat();
                (p.lon_deg(), p.lat_deg())
            })
            .unzip();
        (column::<f64>(py, ra), column::<f64>(py, dec), column(py, self.offsets.clone()))
    }

    /// The vertices as unit vectors: ``(x, y, z, offsets)``.
    fn unit_vectors<'py>(&self, py: Python<'py>) -> [Bound<'py, PyAny>; 4] {
        let offsets = column(py, self.offsets.clone());
        [column(py, self.x.clone()), column(py, self.y.clone()), column(py, self.z.clone()), offsets]
    }

    /// Areas, square degrees.
    fn area<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let area = run(py, || {
            let columns = self.columns()?;
            let square = 1.0_f64.to_degrees().powi(2);
            Ok::<Vec<f64>, SphereError>((0..columns.len()).map(|i| columns.polygon(i).area() * square).collect())
        })?;
        Ok(column(py, area))
    }

    /// All pairs of a polygon of these and one of others that share a point; on all cores, without the interpreter's lock.
    ///
    /// Parameters
    /// ----------
    /// other : Polygons
    ///     The right side.
    ///
    /// Returns
    /// -------
    /// dict of numpy.ndarray
    ///     ``left`` and ``right``: row numbers, sorted by left, then right.
    fn join<'py>(&self, py: Python<'py>, other: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let other = other.get();
        let pairs = run(py, || join_polygons(&self.columns()?, &other.columns()?))?;
        dict_of(py, [("left", column(py, pairs.left)), ("right", column(py, pairs.right))])
    }

    /// Whether each polygon shares a point with the polygon of the same row of others (or with their only one).
    ///
    /// Parameters
    /// ----------
    /// other : Polygons
    ///     As many, or one.
    ///
    /// Returns
    /// -------
    /// numpy.ndarray of bool
    fn intersects<'py>(&self, py: Python<'py>, other: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        self.related(py, other, bunter::Relation::intersects)
    }

    /// Whether each polygon contains the polygon of the same row of others (or their only one).
    fn contains_polygons<'py>(&self, py: Python<'py>, other: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        self.related(py, other, bunter::Relation::contains)
    }

    /// Whether each polygon contains the position of the same row (or the only one); the border belongs to it.
    ///
    /// Parameters
    /// ----------
    /// ra, dec : float, array_like or astropy.units.Quantity
    ///     Degrees.
    ///
    /// Returns
    /// -------
    /// numpy.ndarray of bool
    fn contains<'py>(
        &self,
        py: Python<'py>,
        ra: &Bound<'py, PyAny>,
        dec: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pair = Pair::sky(ra, dec)?;
        let (ra, dec) = pair.slices()?;
        let count = self.offsets.len() - 1;
        if ra.len() != count && ra.len() != 1 {
            return Err(usage(format!("{} positions for {count} polygons: give as many, or one", ra.len())));
        }
        let inside = run(py, || {
            let columns = self.columns()?;
            let contains = (0..count).map(|i| {
                let at = if ra.len() == 1 { 0 } else { i };
                if !ra[at].is_finite() || !(-90.0..=90.0).contains(&dec[at]) {
                    let problem = format!("position {at} is ({}, {}) deg, which is not on the sky", ra[at], dec[at]);
                    return Err(SphereError::BadColumns { problem });
                }
                Ok(columns.polygon(i).contains(LonLat::from_degrees(ra[at], dec[at]).to_unit()))
            });
            contains.collect::<Result<Vec<bool>, SphereError>>()
        })?;
        Ok(column(py, inside))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| {
            let other = other.get();
            (&other.x, &other.y, &other.z, &other.offsets) == (&self.x, &self.y, &self.z, &self.offsets)
        })
    }

    fn __repr__(&self) -> String {
        format!("Polygons({} polygons, {} vertices)", self.offsets.len() - 1, self.x.len())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        Ok((py.get_type::<Self>().getattr("from_unit_vectors")?, PyTuple::new(py, self.unit_vectors(py))?))
    }

    /// Polygons of unit vectors, as `unit_vectors` gives them.
    #[staticmethod]
    fn from_unit_vectors<'py>(
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
        z: &Bound<'py, PyAny>,
        offsets: &Bound<'py, PyAny>,
    ) -> PyResult<Self> {
        let vector = |value: &Bound<'py, PyAny>, name: &str| -> PyResult<Vec<f64>> {
            reals(value, name)?.to_vec().map_err(usage)
        };
        let (x, y, z, offsets) = (vector(x, "x")?, vector(y, "y")?, vector(z, "z")?, offsets_of(offsets)?);
        run(py, || Self::checked(x, y, z, offsets))
    }
}

impl PyPolygons {
    fn related<'py>(
        &self,
        py: Python<'py>,
        other: &Bound<'py, Self>,
        holds: fn(bunter::Relation) -> bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let other = other.get();
        let (count, others) = (self.offsets.len() - 1, other.offsets.len() - 1);
        if others != count && others != 1 {
            return Err(usage(format!("{others} polygons for {count}: give as many, or one")));
        }
        let (left, right) = (self.columns().or_raise()?, other.columns().or_raise()?);
        let answers = run(py, || {
            let relate = |i: usize| holds(left.relate(i, &right, if others == 1 { 0 } else { i }));
            Ok::<Vec<bool>, SphereError>((0..count).map(relate).collect())
        })?;
        Ok(column(py, answers))
    }
}
