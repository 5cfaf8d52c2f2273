//! [`FocalPlane`]: where a camera's detectors are, and what they see.

use std::sync::Arc;

use rayon::prelude::*;

use super::CameraError;
use super::detector_index::DetectorIndex;
use super::error::nearest;
use super::placement::Placement;
use super::pointing::{Pointing, Pointings};
use super::radial::Radial;
use crate::sphere::{Circle, ConvexPolygon, PolygonBuffer, SphereError, UnitVector};

/// Points on each side of a detector by which its bent border is followed.
const BORDER: u32 = 8;
/// By how much the hull is widened, so that rounding leaves nothing out: 0.1 milliarcsec on a field of 2 degrees.
const WIDER: f64 = 1.0 + 1e-8;
/// Pointings that a thread takes at a time.
const BLOCK: usize = 64;

/// The detectors of a camera in its focal plane, and the way from there to the sky.
///
/// A pixel `(x, y)` of a detector lies at `(X, Y)` mm by a turn, a scale and an offset. Its field angles are
/// `(X, Y) theta(r) / r` with `r = hypot(X, Y)` and the camera's radial law `theta`; the first changes its sign where the
/// camera says `flip_x`. A [`Pointing`] turns them onto the tangent plane of the sky at the boresight, and the inverse
/// gnomonic projection brings them to the sphere. Pixels are zero-based with integers at the centre, angles radians,
/// positions ICRS.
///
/// Source: the camera geometry of LSST's `afw.cameraGeom` (`PIXELS`, `FOCAL_PLANE`, `FIELD_ANGLE`) with its `makeSkyWcs`; sky
/// corners agree with it to 1e-9 arcsec for `LSSTCam`, `LSSTComCam` and `DECam`.
///
/// ```
/// use bunter::camera::{Cameras, Pointing};
///
/// let cameras = Cameras::built_in()?;
/// let camera = cameras.instrument("LSSTCam")?.focal_plane()?;
/// let footprint = camera.footprint(94, &Pointing::from_degrees(150.1, 2.2, 45.0)?)?;
/// assert_eq!(footprint.vertices().len(), 4);
/// assert!((footprint.area().to_degrees().to_degrees() - 0.0506).abs() < 1e-4);
/// # Ok::<(), bunter::camera::CameraError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FocalPlane {
    pub(super) camera: Arc<str>,
    pub(super) radial: Radial,
    pub(super) flip_x: bool,
    pub(super) detectors: Vec<Mounted>,
    /// Around all detectors, in field angles; counter-clockwise on the sky.
    hull: Vec<[f64; 3]>,
    /// The largest angle from the boresight to a pixel.
    radius: f64,
    /// For each detector its four vertices: what to take of each direction of a [`Frame`](super::pointing::Frame).
    vertices: Vec<[f64; 3]>,
    pub(super) grid: DetectorIndex,
    note: Option<Arc<str>>,
}

/// A detector in its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mounted {
    pub(super) id: i64,
    pub(super) name: Arc<str>,
    pub(super) place: Placement,
}

impl FocalPlane {
    /// From detectors by ascending number. Errors name the detector.
    pub(super) fn new(
        camera: &str,
        detectors: Vec<Mounted>,
        radial: Radial,
        flip_x: bool,
        note: Option<String>,
    ) -> Result<Self, String> {
        let grid = DetectorIndex::new(detectors.iter().map(|d| d.place));
        let mut plane = Self {
            camera: camera.into(),
            grid,
            radial,
            flip_x,
            detectors,
            hull: Vec::new(),
            radius: 0.0,
            vertices: Vec::new(),
            note: note.map(Into::into),
        };
        let mut border = Vec::new();
        for one in &plane.detectors {
            let corners = one.place.corners().map(|(x, y)| plane.field(x, y));
            let turns = |i: usize| {
                let (a, b, c) = (corners[i], corners[(i + 1) % 4], corners[(i + 2) % 4]);
                (b.0 - a.0) * (c.1 - b.1) - (b.1 - a.1) * (c.0 - b.0)
            };
            let turns = [turns(0), turns(1), turns(2), turns(3)];
            // On the sky, with east to the left, the field is seen from behind.
            let order = if turns.iter().all(|t| *t < 0.0) {
                [0, 1, 2, 3]
            } else if turns.iter().all(|t| *t > 0.0) {
                [0, 3, 2, 1]
            } else {
                return Err(format!(
                    "the distortion bends detector {} ({}) so much that its footprint is not convex",
                    one.id, one.name
                ));
            };
            plane.vertices.extend(order.map(|i| direction(corners[i])));
            border.extend(one.place.border(BORDER).map(|(x, y)| {
                let (x, y) = one.place.to_mm(x, y);
                let (fx, fy) = plane.field(x, y);
                (WIDER * fx, WIDER * fy)
            }));
        }
        plane.radius = border.iter().map(|(fx, fy)| libm::atan(libm::hypot(*fx, *fy))).fold(0.0, f64::max);
        // Counter-clockwise in the field is clockwise on the sky.
        plane.hull = flat_hull(border).into_iter().rev().map(direction).collect();
        Ok(plane)
    }

    /// Name of the camera.
    pub fn camera(&self) -> &str {
        &self.camera
    }

    /// What its describer says about how good the model is; `None`: as good as the camera's own.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Numbers of the detectors, ascending.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = i64> {
        self.detectors.iter().map(|d| d.id)
    }

    /// How many detectors there are.
    pub fn len(&self) -> usize {
        self.detectors.len()
    }

    /// Whether there are none; a camera without detectors has no focal plane.
    pub fn is_empty(&self) -> bool {
        self.detectors.is_empty()
    }

    /// The largest angle between the boresight and a pixel of any detector, radians.
    pub fn radius(&self) -> f64 {
        self.radius
    }

    /// How far from the axis the radial law is known to hold, mm.
    pub fn limit_mm(&self) -> f64 {
        self.radial.limit_mm()
    }

    /// Columns and rows of a detector.
    ///
    /// # Errors
    /// [`CameraError::UnknownDetector`].
    pub fn size(&self, detector: i64) -> Result<(u32, u32), CameraError> {
        Ok(self.mounted(detector)?.place.size)
    }

    /// The corners of a detector's pixels in the focal plane, mm: of pixel positions (-0.5, -0.5), (nx - 0.5, -0.5),
    /// (nx - 0.5, ny - 0.5), (-0.5, ny - 0.5); rounded to the nanometre, as layouts are published.
    ///
    /// # Errors
    /// [`CameraError::UnknownDetector`].
    pub fn corners_mm(&self, detector: i64) -> Result<[(f64, f64); 4], CameraError> {
        Ok(self.mounted(detector)?.place.corners())
    }

    /// The middle of a detector's pixels in the focal plane, mm.
    ///
    /// # Errors
    /// [`CameraError::UnknownDetector`].
    pub fn centre_mm(&self, detector: i64) -> Result<(f64, f64), CameraError> {
        Ok(self.mounted(detector)?.place.centre())
    }

    pub(super) fn index(&self, detector: i64) -> Result<usize, CameraError> {
        self.detectors.binary_search_by_key(&detector, |d| d.id).map_err(|_| CameraError::UnknownDetector {
            camera: self.camera.to_string(),
            name: detector.to_string(),
            nearest: nearest(&detector.to_string(), self.detectors.iter().map(|d| &*d.name)),
            known: self.known(),
        })
    }

    pub(super) fn mounted(&self, detector: i64) -> Result<&Mounted, CameraError> {
        Ok(&self.detectors[self.index(detector)?])
    }

    fn known(&self) -> String {
        match (self.detectors.first(), self.detectors.last()) {
            (Some(first), Some(last)) => {
                format!("{} detectors from {} ({}) to {} ({})", self.len(), first.id, first.name, last.id, last.name)
            }
            _ => "no detectors".to_owned(),
        }
    }

    /// Field angles (radians) of a point in the focal plane.
    #[inline]
    pub(super) fn field(&self, x: f64, y: f64) -> (f64, f64) {
        let factor = self.radial.outward(x * x + y * y);
        (if self.flip_x { -x * factor } else { x * factor }, y * factor)
    }

    /// The area on the sky of one detector's pixels: the polygon of its four corners, counter-clockwise.
    ///
    /// The corners are those of [`corners_mm`](Self::corners_mm); the first vertex is the one at pixel (-0.5, -0.5). Between the corners the border is taken as a great circle; the
    /// distortions of the cameras built in bend it away from that by less than a pixel or two.
    ///
    /// # Errors
    /// [`CameraError::UnknownDetector`].
    pub fn footprint(&self, detector: i64, pointing: &Pointing) -> Result<ConvexPolygon, CameraError> {
        let at = self.index(detector)?;
        let vertices: [UnitVector; 4] = std::array::from_fn(|k| pointing.frame.unit(self.vertices[4 * at + k]));
        Ok(ConvexPolygon::from_vertices(&vertices)?)
    }

    /// [`footprint`](Self::footprint) of many detectors in many pointings, row by row: for each pointing its detectors in the
    /// order given. No allocation a row; the same bits for any number of threads.
    ///
    /// # Errors
    /// [`CameraError::UnknownDetector`]; [`CameraError::TooMany`] when the columns would not fit into memory's addresses.
    ///
    /// ```
    /// use bunter::camera::{Cameras, Pointings};
    ///
    /// let cameras = Cameras::built_in()?;
    /// let camera = cameras.instrument("DECam")?.focal_plane()?;
    /// let pointings = Pointings::from_degrees(&[150.0, 151.0], &[2.0, 2.0], &[0.0, 0.0])?;
    /// let ccds: Vec<i64> = camera.ids().collect();
    /// let polygons = camera.footprints(&pointings, &ccds)?;
    /// assert_eq!(polygons.len(), 2 * 62);
    /// # Ok::<(), bunter::camera::CameraError>(())
    /// ```
    pub fn footprints(&self, pointings: &Pointings, detectors: &[i64]) -> Result<PolygonBuffer, CameraError> {
        let mut vertices = Vec::with_capacity(4 * detectors.len());
        for detector in detectors {
            let at = 4 * self.index(*detector)?;
            vertices.extend_from_slice(&self.vertices[at..at + 4]);
        }
        rings(pointings, &vertices, 4)
    }

    /// The convex hull of all detectors on the sky, bent borders included.
    ///
    /// # Errors
    /// None for a camera that could be made.
    pub fn hull(&self, pointing: &Pointing) -> Result<ConvexPolygon, CameraError> {
        let vertices: Vec<_> = self.hull.iter().map(|v| pointing.frame.unit(*v)).collect();
        Ok(ConvexPolygon::new(&vertices)?)
    }

    /// [`hull`](Self::hull) of many pointings, one row each.
    ///
    /// # Errors
    /// [`CameraError::TooMany`].
    pub fn hulls(&self, pointings: &Pointings) -> Result<PolygonBuffer, CameraError> {
        rings(pointings, &self.hull, self.hull.len())
    }

    /// The circle around the boresight that holds every pixel of the camera.
    ///
    /// # Errors
    /// None for a camera that could be made.
    pub fn bounding_circle(&self, pointing: &Pointing) -> Result<Circle, CameraError> {
        Ok(Circle::new(pointing.frame.unit([0.0, 0.0, 1.0]), self.radius + 8.0 * f64::EPSILON)?)
    }
}

/// The parts of +x, +y and boresight in the unit vector at field angles.
fn direction((fx, fy): (f64, f64)) -> [f64; 3] {
    let scale = 1.0 / (1.0 + fx * fx + fy * fy).sqrt();
    [fx * scale, fy * scale, scale]
}

/// The same rings of `corners` vertices for each pointing.
fn rings(pointings: &Pointings, vertices: &[[f64; 3]], corners: usize) -> Result<PolygonBuffer, CameraError> {
    let too_many = || CameraError::TooMany { pointings: pointings.len(), vertices: vertices.len() };
    let row = vertices.len();
    let total = pointings.len().checked_mul(row).filter(|n| *n <= isize::MAX as usize / 64).ok_or_else(too_many)?;
    let (mut x, mut y, mut z) = (vec![0.0; total], vec![0.0; total], vec![0.0; total]);
    if total > 0 {
        let columns: [Vec<f64>; 3] = std::array::from_fn(|i| vertices.iter().map(|v| v[i]).collect());
        let fill = |out: &mut [f64], b: f64, u: f64, w: f64| {
            let [p, q, s] = &columns;
            for (((out, p), q), s) in out.iter_mut().zip(p).zip(q).zip(s) {
                *out = s * b + p * u + q * w;
            }
        };
        x.par_chunks_mut(BLOCK * row)
            .zip(y.par_chunks_mut(BLOCK * row))
            .zip(z.par_chunks_mut(BLOCK * row))
            .zip(pointings.frames.par_chunks(BLOCK))
            .for_each(|(((x, y), z), frames)| {
                let rows = x.chunks_exact_mut(row).zip(y.chunks_exact_mut(row)).zip(z.chunks_exact_mut(row));
                for (((x, y), z), f) in rows.zip(frames) {
                    fill(x, f.b[0], f.u[0], f.w[0]);
                    fill(y, f.b[1], f.u[1], f.w[1]);
                    fill(z, f.b[2], f.u[2], f.w[2]);
                }
            });
    }
    let polygons = total.checked_div(corners).unwrap_or(0);
    let offsets = (0..=polygons as u64).into_par_iter().map(|i| i * corners as u64).collect();
    Ok(PolygonBuffer::from_parts(x, y, z, offsets)?)
}

/// The convex hull in a plane, counter-clockwise, without points that lie on a line with their neighbours (A. M. Andrew,
/// "Another efficient algorithm for convex hulls in two dimensions", 1979).
fn flat_hull(mut points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let bends = |a: (f64, f64), b: (f64, f64), c: (f64, f64)| {
        let (p, q) = ((b.0 - a.0, b.1 - a.1), (c.0 - b.0, c.1 - b.1));
        // What bends less than this is straight within the widening.
        p.0 * q.1 - p.1 * q.0 > 1e-9 * p.0.hypot(p.1) * q.0.hypot(q.1)
    };
    let half = |points: &mut dyn Iterator<Item = (f64, f64)>| {
        let mut chain: Vec<(f64, f64)> = Vec::new();
        for p in points {
            while let [.., a, b] = chain[..]
                && !bends(a, b, p)
            {
                chain.pop();
            }
            chain.push(p);
        }
        chain.pop();
        chain
    };
    let mut hull = half(&mut points.iter().copied());
    hull.extend(half(&mut points.iter().rev().copied()));
    hull
}

impl From<SphereError> for CameraError {
    fn from(source: SphereError) -> Self {
        Self::Sphere { source }
    }
}
