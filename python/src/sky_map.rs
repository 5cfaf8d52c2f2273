//! `SkyMap`, `Tract` and `Patch`.

use std::sync::Arc;

use bunter::{ConvexPolygon, LonLat, PatchInfo, SkyMap, SkyMapConfig, SkyMapError, TractInfo, UnitVector};
use ndarray::Array2;
use numpy::IntoPyArray;
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::arrays::{Pair, column, dict_of, shaped};
use crate::data_id::integer;
use crate::errors::{Kind, OrRaise, raise, usage};
use crate::polygons::PyPolygons;
use crate::run::run;
use crate::wcs::{PyWcs, box_to_python};

/// A number of a tract or patch; what cannot be one is out of range.
pub(crate) fn number(value: &Bound<'_, PyAny>, name: &str) -> PyResult<u32> {
    let number = integer(value, name)?;
    u32::try_from(number).map_err(|_| raise(Kind::NotFound, format!("{name} {number} out of range")))
}

/// Radians of columns of degrees.
fn radians(pair: &Pair<'_>) -> PyResult<(Vec<f64>, Vec<f64>)> {
    let (ra, dec) = pair.slices()?;
    Ok((ra.iter().map(|v| v.to_radians()).collect(), dec.iter().map(|v| v.to_radians()).collect()))
}

fn positions(pair: &Pair<'_>) -> PyResult<Vec<LonLat>> {
    let (ra, dec) = pair.slices()?;
    Ok(ra.iter().zip(dec).map(|(ra, dec)| LonLat::from_degrees(*ra, *dec)).collect())
}

/// `[[ra, dec], …]`, degrees.
fn vertices<'py>(py: Python<'py>, polygon: &ConvexPolygon) -> Bound<'py, PyAny> {
    let sky: Vec<LonLat> = polygon.vertices().iter().map(|v: &UnitVector| v.to_lon_lat()).collect();
    let array =
        Array2::from_shape_fn((sky.len(), 2), |(i, j)| if j == 0 { sky[i].lon_deg() } else { sky[i].lat_deg() });
    array.into_pyarray(py).into_any()
}

/// A division of the sky into tracts and patches.
///
/// Made by `SkyMap.preset`, `SkyMap.from_toml`, `SkyMap.open` or `Butler.sky_map`. Its numbers are those of `lsst.skymap`. It is
/// immutable, may be shared by threads, and pickles as its definition.
///
/// Examples
/// --------
/// >>> sky_map = bunter.SkyMap.preset("hsc_rings_v1")
/// >>> len(sky_map)
/// 18938
/// >>> sky_map.find_patch([150.1, 150.4], [2.2, 2.2])["patch"]
/// array([41, 39], dtype=uint32)
#[pyclass(module = "bunter", name = "SkyMap", frozen)]
#[derive(Clone)]
pub(crate) struct PySkyMap {
    pub(crate) inner: Arc<SkyMap>,
}

impl PySkyMap {
    fn build(py: Python<'_>, make: impl FnOnce() -> Result<SkyMap, SkyMapError> + Send) -> PyResult<Self> {
        Ok(Self { inner: Arc::new(run(py, make)?) })
    }

    fn toml(&self) -> PyResult<String> {
        self.inner.config().to_toml().or_raise()
    }
}

#[pymethods]
impl PySkyMap {
    /// A survey's sky map.
    ///
    /// Parameters
    /// ----------
    /// name : str
    ///     One of `SkyMap.presets()`.
    ///
    /// Raises
    /// ------
    /// NotFoundError
    ///     There is no such preset; the text names the near one.
    #[staticmethod]
    fn preset(py: Python<'_>, name: &str) -> PyResult<Self> {
        Self::build(py, || SkyMap::preset(name))
    }

    /// Names of the presets.
    #[staticmethod]
    fn presets() -> Vec<&'static str> {
        SkyMapConfig::presets().to_vec()
    }

    /// A sky map of its definition in TOML.
    #[staticmethod]
    fn from_toml(py: Python<'_>, text: &str) -> PyResult<Self> {
        Self::build(py, || SkyMap::from_toml(text))
    }

    /// A sky map of a TOML file.
    #[staticmethod]
    fn open(py: Python<'_>, path: std::path::PathBuf) -> PyResult<Self> {
        let text = std::fs::read_to_string(&path)
            .map_err(|e| raise(Kind::Storage, format!("cannot read {}: {e}", path.display())))?;
        Self::from_toml(py, &text)
    }

    /// The definition, in TOML.
    fn to_toml(&self) -> PyResult<String> {
        self.toml()
    }

    /// What identifies the sky map: 40 hexadecimal digits, as in `lsst.skymap`.
    #[getter]
    fn sha1(&self) -> String {
        self.inner.config().sha1_hex()
    }

    /// The most patches that a tract has in x and in y.
    #[getter]
    fn max_patches(&self) -> (u32, u32) {
        self.inner.max_patches()
    }

    fn __len__(&self) -> usize {
        self.inner.len() as usize
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("bunter._convert")?.call_method1("tracts_of", (slf,))
    }

    /// The tract of a number.
    ///
    /// Raises
    /// ------
    /// NotFoundError
    ///     The sky map has no such tract.
    fn tract(&self, tract: &Bound<'_, PyAny>) -> PyResult<PyTract> {
        Ok(PyTract { map: self.clone(), inner: self.inner.tract(number(tract, "tract")?).or_raise()? })
    }

    fn __getitem__(&self, tract: &Bound<'_, PyAny>) -> PyResult<PyTract> {
        let id = integer(tract, "tract")?;
        match u32::try_from(id).ok().filter(|id| *id < self.inner.len()) {
            Some(id) => Ok(PyTract { map: self.clone(), inner: self.inner.tract(id).or_raise()? }),
            None => Err(PyIndexError::new_err(
                SkyMapError::TractOutOfRange { tract: id, count: self.inner.len() }.to_string(),
            )),
        }
    }

    /// The tract that is responsible for each position.
    ///
    /// Parameters
    /// ----------
    /// ra, dec : float, array_like or astropy.units.Quantity
    ///     Degrees, of shapes that broadcast.
    ///
    /// Returns
    /// -------
    /// int or numpy.ndarray of uint32
    ///     Of a discrete or equatorial map the nearest tract, which need not contain the position.
    ///
    /// Raises
    /// ------
    /// UsageError
    ///     A position is not on the sky; the text names the first row.
    ///
    /// Examples
    /// --------
    /// >>> bunter.SkyMap.preset("hsc_rings_v1").find_tract(150.1, 2.2)
    /// 9813
    fn find_tract<'py>(
        &self,
        py: Python<'py>,
        ra: &Bound<'py, PyAny>,
        dec: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pair = Pair::sky(ra, dec)?;
        let ((lon, lat), map) = (radians(&pair)?, &self.inner);
        let tracts = run(py, || map.find_tract_columns(&lon, &lat))?;
        shaped(py, tracts, &pair.shape)
    }

    /// Tract and patch of each position.
    ///
    /// Parameters
    /// ----------
    /// ra, dec : float, array_like or astropy.units.Quantity
    ///     Degrees, of shapes that broadcast.
    ///
    /// Returns
    /// -------
    /// dict
    ///     ``tract``, ``patch``, ``patch_x``, ``patch_y`` (uint32) and ``inside`` (bool): whether the tract's pixels hold the
    ///     position. Where they do not, there is no patch, and 0 stands for it. Numbers for numbers, arrays for arrays.
    fn find_patch<'py>(
        &self,
        py: Python<'py>,
        ra: &Bound<'py, PyAny>,
        dec: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let pair = Pair::sky(ra, dec)?;
        let ((lon, lat), map) = (radians(&pair)?, &self.inner);
        let found = run(py, || map.find_patch_columns(&lon, &lat))?;
        let shape = &pair.shape;
        dict_of(
            py,
            [
                ("tract", shaped(py, found.tract, shape)?),
                ("patch", shaped(py, found.patch, shape)?),
                ("patch_x", shaped(py, found.patch_x, shape)?),
                ("patch_y", shaped(py, found.patch_y, shape)?),
                ("inside", shaped(py, found.inside, shape)?),
            ],
        )
    }

    /// Every tract whose pixels hold a position.
    fn find_all_tracts<'py>(
        &self,
        py: Python<'py>,
        ra: &Bound<'py, PyAny>,
        dec: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pair = Pair::sky(ra, dec)?;
        let [position] = *positions(&pair)? else { return Err(usage("one position is needed")) };
        Ok(column(py, self.inner.find_all_tracts(position).or_raise()?))
    }

    /// All pairs of a polygon and a patch whose **outer** polygon shares a point with it, exactly; on all cores, without the
    /// interpreter's lock.
    ///
    /// Parameters
    /// ----------
    /// polygons : Polygons
    ///     Detectors' footprints, say.
    ///
    /// Returns
    /// -------
    /// dict of numpy.ndarray of uint32
    ///     ``polygon``, ``tract``, ``patch``; sorted in this order.
    ///
    /// Examples
    /// --------
    /// >>> detector = bunter.Polygons([150.0, 150.2, 150.2, 150.0], [2.0, 2.0, 2.1, 2.1])
    /// >>> bunter.SkyMap.preset("hsc_rings_v1").overlaps(detector)["patch"]
    /// array([31, 32], dtype=uint32)
    fn overlaps<'py>(&self, py: Python<'py>, polygons: &Bound<'py, PyPolygons>) -> PyResult<Bound<'py, PyDict>> {
        let (map, polygons) = (&self.inner, polygons.get());
        let found = run(py, || Ok::<_, bunter::SphereError>(map.overlaps_columns(&polygons.columns()?)))?;
        dict_of(
            py,
            [
                ("polygon", column(py, found.polygon)),
                ("tract", column(py, found.tract)),
                ("patch", column(py, found.patch)),
            ],
        )
    }

    /// A packer of tract, patch and, with `bands`, band: `Packer.sky_map` with the numbers of this map.
    #[pyo3(signature = (name="", bands=None, *, room=None))]
    fn packer(
        &self,
        name: &str,
        bands: Option<&Bound<'_, PyAny>>,
        room: Option<u64>,
    ) -> PyResult<crate::packer::PyPacker> {
        let (nx, ny) = self.inner.max_patches();
        let patches = u64::from(nx) * u64::from(ny);
        let bands = crate::packer::band_codes(bands, room)?;
        crate::packer::PyPacker::of_sky_map(name, u64::from(self.inner.len()), patches, &bands)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().inner.config() == self.inner.config())
    }

    fn __hash__(&self) -> u64 {
        self.inner.sha1().iter().take(8).fold(0, |hash, byte| (hash << 8) | u64::from(*byte))
    }

    fn __repr__(&self) -> String {
        format!("SkyMap({}, {} tracts)", self.inner.config().layout.kind(), self.inner.len())
    }

    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
        slf.py().import("bunter._display")?.call_method1("sky_map_html", (slf,))?.extract()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        Ok((py.get_type::<Self>().getattr("from_toml")?, PyTuple::new(py, [self.toml()?])?))
    }
}

/// One tract of a sky map: one pixel grid, cut into patches.
#[pyclass(module = "bunter", name = "Tract", frozen)]
#[derive(Clone)]
pub(crate) struct PyTract {
    map: PySkyMap,
    pub(crate) inner: TractInfo,
}

#[pymethods]
impl PyTract {
    /// The tract's number.
    #[getter]
    fn id(&self) -> u32 {
        self.inner.id()
    }

    /// The middle of its inner region: ``(ra, dec)``, degrees.
    #[getter]
    fn center(&self) -> (f64, f64) {
        (self.inner.centre().lon_deg(), self.inner.centre().lat_deg())
    }

    /// All its pixels.
    #[getter]
    fn bbox<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        box_to_python(py, self.inner.bbox())
    }

    /// Number of patches in x and in y.
    #[getter]
    fn num_patches(&self) -> (u32, u32) {
        self.inner.num_patches()
    }

    /// From its pixels to the sky.
    #[getter]
    fn wcs(&self) -> PyResult<PyWcs> {
        Ok(PyWcs { inner: self.inner.wcs().or_raise()? })
    }

    /// Corners of the pixel box: an array of shape (4, 2), degrees.
    #[getter]
    fn vertices<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        vertices(py, self.inner.outer_polygon())
    }

    /// One patch: by its number, by ``"x,y"``, or by ``(x, y)``.
    fn patch(&self, patch: &Bound<'_, PyAny>) -> PyResult<PyPatch> {
        if let Ok(name) = patch.cast::<PyString>() {
            let id = self.inner.parse_patch(name.to_str()?).or_raise()?;
            return Ok(PyPatch { map: self.map.clone(), inner: self.inner.patch(id).or_raise()? });
        }
        if let Ok(pair) = patch.cast::<PyTuple>() {
            let (x, y): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair.extract()?;
            return Ok(PyPatch {
                map: self.map.clone(),
                inner: self.inner.patch_at(number(&x, "patch")?, number(&y, "patch")?).or_raise()?,
            });
        }
        Ok(PyPatch { map: self.map.clone(), inner: self.inner.patch(number(patch, "patch")?).or_raise()? })
    }

    /// The patch whose inner box holds a position, degrees.
    fn find_patch<'py>(&self, ra: &Bound<'py, PyAny>, dec: &Bound<'py, PyAny>) -> PyResult<u32> {
        let [position] = *positions(&Pair::sky(ra, dec)?)? else { return Err(usage("one position is needed")) };
        self.inner.find_patch(position).or_raise()
    }

    /// Whether the tract's pixels hold a position, degrees.
    fn contains<'py>(&self, ra: &Bound<'py, PyAny>, dec: &Bound<'py, PyAny>) -> PyResult<bool> {
        let [position] = *positions(&Pair::sky(ra, dec)?)? else { return Err(usage("one position is needed")) };
        Ok(self.inner.contains(position))
    }

    /// The outer polygons of all patches, in the order of numbers.
    fn patch_polygons(&self, py: Python<'_>) -> PyResult<PyPolygons> {
        let patches = self.patches(py)?;
        Ok(PyPolygons::collect(patches.iter().map(PatchInfo::outer_polygon)))
    }

    /// Boxes of all patches, in the order of numbers: ``inner`` and ``outer``, arrays of shape (n, 4) of x0, y0, width, height.
    fn patch_boxes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let patches = self.patches(py)?;
        let boxes = |of: fn(&PatchInfo) -> bunter::PixelBox| {
            let values: Vec<i64> = patches
                .iter()
                .map(of)
                .flat_map(|b| [i64::from(b.x0), i64::from(b.y0), i64::from(b.width), i64::from(b.height)])
                .collect();
            shaped(py, values, &[patches.len(), 4])
        };
        dict_of(py, [("inner", boxes(PatchInfo::inner_bbox)?), ("outer", boxes(PatchInfo::outer_bbox)?)])
    }

    fn __len__(&self) -> usize {
        let (nx, ny) = self.inner.num_patches();
        nx as usize * ny as usize
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("bunter._convert")?.call_method1("patches_of", (slf,))
    }

    fn __repr__(&self) -> String {
        let (nx, ny) = self.inner.num_patches();
        let centre = self.inner.centre();
        format!(
            "Tract({}, ({:.4}, {:.4}) deg, {nx} x {ny} patches)",
            self.inner.id(),
            centre.lon_deg(),
            centre.lat_deg()
        )
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let arguments = (self.map.clone(), self.inner.id()).into_pyobject(py)?;
        Ok((py.get_type::<PySkyMap>().getattr("tract")?, arguments))
    }
}

impl PyTract {
    fn patches(&self, py: Python<'_>) -> PyResult<Vec<PatchInfo>> {
        let (nx, ny) = self.inner.num_patches();
        let count = nx * ny;
        run(py, || (0..count).map(|id| self.inner.patch(id)).collect::<Result<Vec<_>, _>>())
    }
}

/// One patch of a tract. Boxes are in the tract's pixels.
#[pyclass(module = "bunter", name = "Patch", frozen)]
#[derive(Clone)]
pub(crate) struct PyPatch {
    map: PySkyMap,
    inner: PatchInfo,
}

#[pymethods]
impl PyPatch {
    /// Its number.
    #[getter]
    fn id(&self) -> u32 {
        self.inner.id()
    }

    /// The tract it belongs to.
    #[getter]
    fn tract(&self) -> u32 {
        self.inner.tract()
    }

    /// Its column and row.
    #[getter]
    fn index(&self) -> (u32, u32) {
        self.inner.index()
    }

    /// The box without border; inner boxes tile the tract.
    #[getter]
    fn inner_bbox<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        box_to_python(py, self.inner.inner_bbox())
    }

    /// The box with border: the pixels of the patch's images.
    #[getter]
    fn outer_bbox<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        box_to_python(py, self.inner.outer_bbox())
    }

    /// Corners of the outer box: an array of shape (4, 2), degrees.
    #[getter]
    fn vertices<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        vertices(py, self.inner.outer_polygon())
    }

    /// Corners of the inner box: an array of shape (4, 2), degrees.
    #[getter]
    fn inner_vertices<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        vertices(py, self.inner.inner_polygon())
    }

    fn __repr__(&self) -> String {
        let (x, y) = self.inner.index();
        format!("Patch({} of tract {}, column {x}, row {y})", self.inner.id(), self.inner.tract())
    }
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let arguments = (self.map.clone(), self.inner.tract(), self.inner.id()).into_pyobject(py)?;
        Ok((py.import("bunter._convert")?.getattr("patch_of")?, arguments))
    }
}
