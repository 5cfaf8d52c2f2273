//! `Packer`: which layouts there are, and what a packer says of itself. The columns' way in and out is in `columns`, the work in `work`.

mod columns;
mod work;

use bunter::{BandCodes, PackError, Packer, RubinControllers, packer_of};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::data_id::{integer, kind_of};
use crate::errors::{Classified, Kind, OrRaise, usage, wrong_type};

impl Classified for PackError {
    fn kind(&self) -> Kind {
        match self {
            Self::WrongType { .. } => Kind::WrongType,
            _ => Kind::Usage,
        }
    }
}

/// Data IDs to integers and back: scalars, and whole columns at the speed of memory.
///
/// No value ever wraps around, and an integer that the packer could not have made is refused. Columns are numpy arrays of any
/// integer type, strided or not, masked or not, and of texts; all work is done on all cores without the interpreter's lock.
///
/// Made by `Packer.sky_map` (or `SkyMap.packer`), `Packer.observation`, `Packer.rubin`, `Packer.from_toml`, and `with_records`,
/// `with_releases` of another one. It pickles as its layout.
///
/// Examples
/// --------
/// >>> import numpy as np
/// >>> packer = bunter.Packer.sky_map("hsc_rings_v1", 18938, 81, bands=["g", "r", "i", "z", "y"])
/// >>> ids = packer.pack(tract=np.array([9813, 9813]), patch=np.array([31, 32], np.uint8), band="r")
/// >>> packer.unpack(ids)["patch"]
/// array([31, 32])
/// >>> packer.unpack(int(ids[0]))
/// {'band': 'r', 'patch': 31, 'skymap': 'hsc_rings_v1', 'tract': 9813}
#[pyclass(module = "bunter", name = "Packer", frozen)]
#[derive(Clone)]
pub(crate) struct PyPacker {
    pub(crate) inner: Packer,
}

impl From<Packer> for PyPacker {
    fn from(inner: Packer) -> Self {
        Self { inner }
    }
}

impl PyPacker {
    pub(crate) fn of_sky_map(name: &str, tracts: u64, patches: u64, bands: &BandCodes) -> PyResult<Self> {
        Ok(Packer::sky_map(name, tracts, patches, bands).or_raise()?.into())
    }
}

/// The codes that `bands` asks for.
pub(crate) fn band_codes(bands: Option<&Bound<'_, PyAny>>, room: Option<u64>) -> PyResult<BandCodes> {
    let Some(bands) = bands.filter(|b| !b.is_none()) else {
        return match room {
            None => Ok(BandCodes::None),
            Some(_) => Err(usage("`room` is for `bands`, of which there are none")),
        };
    };
    if let Ok(dict) = bands.cast::<PyDict>() {
        let mut codes = Vec::new();
        for (name, code) in dict.iter() {
            let name: String = name.extract()?;
            let code = integer(&code, &name)?;
            let code = u64::try_from(code)
                .map_err(|_| usage(format!("the code of band `{name}` is {code}, which is negative")))?;
            codes.push((name, code));
        }
        return Ok(BandCodes::Codes(codes.into_iter().collect(), room));
    }
    if bands.extract::<bool>().is_ok_and(|b| b) {
        if room.is_some() {
            return Err(usage("`room` is for bands that are listed, not for the reference's own table"));
        }
        return Ok(BandCodes::Default);
    }
    let names: Vec<String> =
        bands.extract().map_err(|_| wrong_type(format!("`bands` are texts, not {}", kind_of(bands))))?;
    Ok(BandCodes::Listed(names, room))
}

#[pymethods]
impl PyPacker {
    /// Tract, patch and perhaps band, as `lsst.skymap` packs them.
    ///
    /// Parameters
    /// ----------
    /// name : str
    ///     Name of the sky map, part of each data ID that is unpacked.
    /// tracts : int
    ///     Number of tracts.
    /// patches : int
    ///     The most patches (nx ny) that any tract has.
    /// bands : None, True, list of str, or dict
    ///     Without bands; with the reference's own table; with these bands, the first one 0; with these codes.
    /// room : int, optional
    ///     Leave room for so many bands in all.
    #[staticmethod]
    #[pyo3(signature = (name, tracts, patches, bands=None, *, room=None))]
    fn sky_map(
        name: &str,
        tracts: u64,
        patches: u64,
        bands: Option<&Bound<'_, PyAny>>,
        room: Option<u64>,
    ) -> PyResult<Self> {
        Self::of_sky_map(name, tracts, patches, &band_codes(bands, room)?)
    }

    /// Observation and detector, as `lsst.pipe.base` packs them: HSC has 200 detectors and 21474800 observations, DECam 100
    /// and 2**25.
    ///
    /// Parameters
    /// ----------
    /// instrument : str
    ///     Name of the camera.
    /// detectors, observations : int
    ///     How many there are at most.
    /// dimension : str
    ///     ``visit`` or ``exposure``.
    #[staticmethod]
    #[pyo3(signature = (instrument, detectors, observations, dimension="visit"))]
    fn observation(instrument: &str, detectors: u64, observations: u64, dimension: &str) -> PyResult<Self> {
        Ok(Packer::observation(instrument, dimension, detectors, observations).or_raise()?.into())
    }

    /// Visit (or exposure) and detector of LSSTCam, LSSTComCam and LATISS, as `lsst.obs.lsst` packs them.
    ///
    /// Parameters
    /// ----------
    /// instrument : str
    ///     Name of the camera.
    /// all_controllers : bool
    ///     With the controllers of test stands and simulations too.
    #[staticmethod]
    #[pyo3(signature = (instrument="LSSTCam", all_controllers=false))]
    fn rubin(instrument: &str, all_controllers: bool) -> PyResult<Self> {
        let controllers = if all_controllers { RubinControllers::All } else { RubinControllers::Observatory };
        Ok(Packer::rubin(instrument, controllers).or_raise()?.into())
    }

    /// A packer of a declared layout.
    ///
    /// Examples
    /// --------
    /// >>> packer = bunter.Packer.from_toml('''
    /// ... name = "my survey"
    /// ... [[field]]
    /// ... name = "detector"
    /// ... radix = 62
    /// ... first = 1
    /// ... [[field]]
    /// ... name = "visit"
    /// ... radix = 5_000_000
    /// ... ''')
    /// >>> packer.pack(visit=42, detector=3)
    /// 2606
    #[staticmethod]
    fn from_toml(text: &str) -> PyResult<Self> {
        Ok(Packer::from_toml(text).or_raise()?.into())
    }

    /// A packer by its specification, as on the command line.
    ///
    /// Parameters
    /// ----------
    /// specification : str
    ///     ``skymap:NAME`` (``,bands=default``, ``,bands=g+r+i``), ``observation:CAMERA``, ``exposure:CAMERA``, ``rubin:CAMERA``
    ///     (``,controllers=all``), each perhaps after ``record:`` (with a counter and a release) or ``catalog:`` (with a release);
    ///     or the path of a layout, ``FILE.toml``.
    ///
    /// Examples
    /// --------
    /// >>> packer = bunter.Packer.of("record:skymap:hsc_rings_v1")
    /// >>> packer.unpack(8031749440937132034)["counter"]
    /// 2
    #[staticmethod]
    fn of(specification: &str) -> PyResult<Self> {
        Ok(packer_of(specification).or_raise()?.into())
    }

    /// The layout, in TOML.
    fn to_toml(&self) -> PyResult<String> {
        self.inner.layout().to_toml().or_raise()
    }

    /// IDs of a catalog's records, as `lsst.meas.base` makes them: a ``counter`` below, ``release`` above.
    #[pyo3(signature = (releases=64))]
    fn with_records(&self, releases: u64) -> PyResult<Self> {
        Ok(self.inner.with_records(releases).or_raise()?.into())
    }

    /// IDs of a release's catalogs: ``release`` above.
    #[pyo3(signature = (releases=64))]
    fn with_releases(&self, releases: u64) -> PyResult<Self> {
        Ok(self.inner.with_releases(releases).or_raise()?.into())
    }

    /// Its name, for messages.
    #[getter]
    fn name(&self) -> &str {
        self.inner.name()
    }

    /// Bits that integers need.
    #[getter]
    fn bits(&self) -> u32 {
        self.inner.bits()
    }

    /// The largest integer there is.
    #[getter]
    fn max(&self) -> u64 {
        self.inner.max()
    }

    /// Names that columns may have.
    #[getter]
    fn columns(&self) -> Vec<&str> {
        self.inner.columns().collect()
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().inner == self.inner)
    }

    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
        slf.py().import("bunter._display")?.call_method1("packer_html", (slf,))?.extract()
    }

    fn __repr__(&self) -> String {
        let columns: Vec<&str> = self.inner.columns().collect();
        format!("Packer({}, {} bits: {})", self.inner.name(), self.inner.bits(), columns.join(", "))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let text = serde_json::to_string(&self.inner).or_raise()?;
        Ok((py.get_type::<Self>().getattr("_from_json")?, PyTuple::new(py, [text])?))
    }

    #[staticmethod]
    fn _from_json(text: &str) -> PyResult<Self> {
        Ok(Self { inner: serde_json::from_str(text).or_raise()? })
    }
}
