//! `Packer`: data IDs to integers and back, over numpy columns.

use std::collections::HashMap;
use std::sync::Arc;

use bunter::{
    BandCodes, DimensionValue, IntView, IntViewMut, OnError, PackColumn, PackError, Packer, RubinControllers, Unpacked,
    UnpackedColumn,
};
use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray1, PyReadwriteArray1};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt, PyList, PyString, PyTuple};

use crate::arrays::{column, numpy};
use crate::data_id::{integer, kind_of};
use crate::errors::{Classified, Kind, OrRaise, usage, wrong_type};
use crate::run::run;
use crate::table::PyTable;

impl Classified for PackError {
    fn kind(&self) -> Kind {
        match self {
            Self::WrongType { .. } => Kind::WrongType,
            _ => Kind::Usage,
        }
    }
}

/// Runs a macro over the integer types: variant, Rust type, numpy's code.
macro_rules! integer_types {
    ($then:ident) => {
        $then!(I8 i8 "i1", I16 i16 "i2", I32 i32 "i4", I64 i64 "i8", U8 u8 "u1", U16 u16 "u2", U32 u32 "u4", U64 u64 "u8");
    };
}

macro_rules! held {
    ($($variant:ident $t:ident $code:literal),*) => {
        /// A column while it is borrowed from Python.
        enum Values<'py> {
            $($variant(PyReadonlyArray1<'py, $t>),)*
            Keys(Vec<i32>, Arc<[Option<Arc<str>>]>),
            Value(DimensionValue),
        }

        impl Values<'_> {
            fn column(&self) -> PackColumn<'_> {
                match self {
                    $(Self::$variant(array) => PackColumn::from(IntView::from(array.as_array())),)*
                    Self::Keys(keys, names) => PackColumn::keys(keys.as_slice(), Arc::clone(names)),
                    Self::Value(value) => PackColumn::value(value.clone()),
                }
            }
        }

        /// An array of integers, borrowed; strides are kept, other byte orders and unaligned values are copied.
        fn borrow<'py>(array: &Bound<'py, PyAny>, name: &str) -> PyResult<Option<Values<'py>>> {
            let dtype = array.getattr("dtype")?;
            let code = format!("{}{}", dtype.getattr("kind")?.extract::<char>()?, dtype.getattr("itemsize")?.extract::<usize>()?);
            let busy = |_| usage(format!("`{name}` is being written to by another call"));
            Ok(match code.as_str() {
                $($code => {
                    let native = numpy(array.py())?.call_method1("require", (array, $code, ["A", "E"].to_vec()))?;
                    let native: Bound<'py, PyArray1<$t>> = native.cast_into()?;
                    Some(Values::$variant(native.try_readonly().map_err(busy)?))
                })*
                _ => None,
            })
        }

        /// An array of integers to write to.
        enum Output<'py> {
            $($variant(PyReadwriteArray1<'py, $t>)),*
        }

        impl Output<'_> {
            fn view(&mut self) -> IntViewMut<'_> {
                match self {
                    $(Self::$variant(array) => IntViewMut::from(array.as_array_mut()),)*
                }
            }
        }

        fn borrow_mut<'py>(array: &Bound<'py, PyAny>) -> PyResult<Output<'py>> {
            $(if let Ok(native) = array.cast::<PyArray1<$t>>() {
                let native = native.try_readwrite().map_err(|e| usage(format!("`out` cannot be written to: {e}")))?;
                return Ok(Output::$variant(native));
            })*
            Err(wrong_type(format!("`out` should be an array of integers of one dimension, not {}", kind_of(array))))
        }
    };
}
integer_types!(held);

/// A column and the rows that it lacks.
struct Held<'py> {
    name: String,
    values: Values<'py>,
    missing: Option<Vec<bool>>,
}

impl Held<'_> {
    fn column(&self) -> Result<PackColumn<'_>, PackError> {
        let column = self.values.column();
        match &self.missing {
            Some(missing) => column.with_missing(missing),
            None => Ok(column),
        }
    }
}

fn hold<'py>(name: &str, value: &Bound<'py, PyAny>) -> PyResult<Held<'py>> {
    let py = value.py();
    let scalar = |values| Ok(Held { name: name.to_owned(), values, missing: None });
    if let Ok(text) = value.cast::<PyString>() {
        return scalar(Values::Value(DimensionValue::from(text.to_str()?)));
    }
    let ma = numpy(py)?.getattr("ma")?;
    let mut missing: Option<Vec<bool>> = if ma.call_method1("is_masked", (value,))?.is_truthy()? {
        let mask = ma.call_method1("getmaskarray", (value,))?;
        Some(
            mask.cast::<PyArray1<bool>>()
                .map_err(|_| usage(format!("`{name}` should have one dimension")))?
                .to_vec()
                .map_err(usage)?,
        )
    } else {
        None
    };
    let array = ma
        .call_method1("getdata", (value,))
        .and_then(|data| numpy(py)?.call_method1("asarray", (data,)))
        .map_err(|e| wrong_type(format!("`{name}` is no column: {}", e.value(py))))?;
    let dimensions: usize = array.getattr("ndim")?.extract()?;
    if dimensions == 0 {
        if value.is_instance_of::<PyInt>() || array.getattr("dtype")?.getattr("kind")?.extract::<char>()? != 'U' {
            return scalar(Values::Value(DimensionValue::Int(integer(value, name)?)));
        }
        return scalar(Values::Value(DimensionValue::from(array.call_method0("item")?.extract::<String>()?)));
    }
    if dimensions != 1 {
        return Err(usage(format!("`{name}` has {dimensions} dimensions; a column has one")));
    }
    if let Some(values) = borrow(&array, name)? {
        return Ok(Held { name: name.to_owned(), values, missing });
    }
    let dtype = array.getattr("dtype")?;
    let kind: char = dtype.getattr("kind")?.extract()?;
    let rows: usize = array.len()?;
    if rows == 0 && matches!(kind, 'f' | 'O') {
        // What an empty list becomes.
        return Ok(Held { name: name.to_owned(), values: Values::Keys(Vec::new(), Arc::from([])), missing: None });
    }
    let values = match kind {
        'U' | 'S' | 'T' => {
            // Each different text once: bands are few.
            let keywords = PyDict::new(py);
            keywords.set_item("return_inverse", true)?;
            let unique = numpy(py)?.call_method("unique", (&array,), Some(&keywords))?;
            let names = unique.get_item(0)?.call_method0("tolist")?;
            let names =
                names.try_iter()?.map(|n| text(name, &n?).map(|t| Some(Arc::from(t)))).collect::<PyResult<Vec<_>>>()?;
            let keys = numpy(py)?.call_method1("require", (unique.get_item(1)?, "i4", ["C", "A", "E"].to_vec()))?;
            let keys = keys.cast::<PyArray1<i32>>().map_err(|_| usage(format!("`{name}` is no column")))?;
            Values::Keys(keys.to_vec().map_err(usage)?, names.into())
        }
        'O' => {
            let mut codes: HashMap<String, i32> = HashMap::new();
            let mut names: Vec<Option<Arc<str>>> = vec![None];
            let mut keys = Vec::with_capacity(rows);
            for item in array.call_method0("tolist")?.try_iter()? {
                let item = item?;
                if item.is_none() {
                    keys.push(0);
                    continue;
                }
                let text = text(name, &item)?;
                let next =
                    i32::try_from(names.len()).map_err(|_| usage(format!("`{name}` has too many different texts")))?;
                let code = *codes.entry(text).or_insert_with_key(|text| {
                    names.push(Some(Arc::from(text.as_str())));
                    next
                });
                keys.push(code);
            }
            let nulls = missing.get_or_insert_with(|| vec![false; keys.len()]);
            for (null, key) in nulls.iter_mut().zip(&keys) {
                *null |= *key == 0;
            }
            if !nulls.contains(&true) {
                missing = None;
            }
            Values::Keys(keys, names.into())
        }
        _ => {
            return Err(wrong_type(format!(
                "`{name}` should be integers or texts, but its values are of type {dtype}"
            )));
        }
    };
    Ok(Held { name: name.to_owned(), values, missing })
}

fn text(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(text) = value.extract::<String>() {
        return Ok(text);
    }
    let bytes = value.cast::<PyBytes>().ok().and_then(|b| String::from_utf8(b.as_bytes().to_vec()).ok());
    bytes.ok_or_else(|| wrong_type(format!("`{name}` should be integers or texts, but has {}", kind_of(value))))
}

/// Whether all that was given are single values.
fn all_scalars(columns: &[Held<'_>]) -> bool {
    columns.iter().all(|c| matches!(c.values, Values::Value(_)))
}

fn on_error(name: &str) -> PyResult<OnError> {
    match name {
        "raise" => Ok(OnError::Fail),
        "mask" => Ok(OnError::Mask),
        other => Err(usage(format!("on_error is \"raise\" or \"mask\", not \"{other}\""))),
    }
}

/// With a mask, when one was asked for.
fn masked<'py>(values: Bound<'py, PyAny>, bad: Option<&Vec<bool>>) -> PyResult<Bound<'py, PyAny>> {
    let Some(bad) = bad else { return Ok(values) };
    let py = values.py();
    let keywords = PyDict::new(py);
    keywords.set_item("mask", column(py, bad.clone()))?;
    numpy(py)?.getattr("ma")?.call_method("MaskedArray", (values,), Some(&keywords))
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
    pub(crate) fn of_sky_map(
        name: &str,
        tracts: u64,
        patches: u64,
        bands: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let bands = match bands.filter(|b| !b.is_none()) {
            None => BandCodes::None,
            Some(bands) => band_codes(bands)?,
        };
        Ok(Packer::sky_map(name, tracts, patches, &bands).or_raise()?.into())
    }

    fn hold<'py>(
        &self,
        columns: Option<&Bound<'py, PyAny>>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Vec<Held<'py>>> {
        let mut held: Vec<Held<'py>> = Vec::new();
        let mut add = |name: &str, value: &Bound<'py, PyAny>| -> PyResult<()> {
            let column = hold(name, value)?;
            held.retain(|h| h.name != name);
            held.push(column);
            Ok(())
        };
        if let Some(columns) = columns {
            if let Ok(table) = columns.cast::<PyTable>() {
                // Of a whole catalog, the columns that the packer knows.
                for name in self.inner.columns().filter(|n| table.get().batch.column_by_name(n).is_some()) {
                    add(name, &columns.get_item(name)?)?;
                }
            } else {
                let items = columns.call_method0("items").map_err(|_| {
                    wrong_type(format!("columns are a dictionary or a bunter.Table, not {}", kind_of(columns)))
                })?;
                for item in items.try_iter()? {
                    let (name, value): (String, Bound<'py, PyAny>) = item?.extract()?;
                    add(&name, &value)?;
                }
            }
        }
        for (name, value) in keywords.into_iter().flat_map(PyDictMethods::iter) {
            add(&name.extract::<String>()?, &value)?;
        }
        Ok(held)
    }
}

fn band_codes(bands: &Bound<'_, PyAny>) -> PyResult<BandCodes> {
    if let Ok(dict) = bands.cast::<PyDict>() {
        let mut codes = Vec::new();
        for (name, code) in dict.iter() {
            let name: String = name.extract()?;
            let code = integer(&code, &name)?;
            let code = u64::try_from(code)
                .map_err(|_| usage(format!("the code of band `{name}` is {code}, which is negative")))?;
            codes.push((name, code));
        }
        return Ok(BandCodes::Codes(codes.into_iter().collect(), None));
    }
    if bands.extract::<bool>().is_ok_and(|b| b) {
        return Ok(BandCodes::Default);
    }
    let names: Vec<String> =
        bands.extract().map_err(|_| wrong_type(format!("`bands` are texts, not {}", kind_of(bands))))?;
    Ok(BandCodes::Listed(names, None))
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
    #[staticmethod]
    #[pyo3(signature = (name, tracts, patches, bands=None))]
    fn sky_map(name: &str, tracts: u64, patches: u64, bands: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        Self::of_sky_map(name, tracts, patches, bands)
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

    /// Integers of data IDs.
    ///
    /// Parameters
    /// ----------
    /// columns : dict or Table, optional
    ///     Columns by name: arrays of integers of any type or of texts, masked or not; a single value stands in every row.
    /// out : numpy.ndarray, optional
    ///     Any array of integers that are wide enough, strided or not, to write to.
    /// on_error : {"raise", "mask"}
    ///     What happens to rows that do not fit: an error that names the first ones and says how many they are, or a masked array.
    /// **keywords
    ///     Further columns.
    ///
    /// Returns
    /// -------
    /// int or numpy.ndarray of uint64
    ///     An integer when all that was given are single values.
    ///
    /// Raises
    /// ------
    /// UsageError
    ///     Values out of range, columns of different lengths, columns that are absent or unknown.
    /// WrongTypeError
    ///     Columns of reals.
    #[pyo3(signature = (columns=None, /, *, out=None, on_error="raise", **keywords))]
    fn pack<'py>(
        &self,
        py: Python<'py>,
        columns: Option<&Bound<'py, PyAny>>,
        out: Option<&Bound<'py, PyAny>>,
        on_error: &str,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let on_error = self::on_error(on_error)?;
        let held = self.hold(columns, keywords)?;
        let packer = &self.inner;
        if all_scalars(&held) && out.is_none() {
            let columns = held
                .iter()
                .map(|h| Ok((h.name.as_str(), h.column()?)))
                .collect::<Result<Vec<_>, PackError>>()
                .or_raise()?;
            let packed = run(py, || packer.pack_columns(&columns, OnError::Fail))?;
            return Ok(packed.ids.first().copied().unwrap_or_default().into_pyobject(py)?.into_any());
        }
        let columns = held
            .iter()
            .map(|h| Ok((h.name.as_str(), h.column()?)))
            .collect::<Result<Vec<_>, PackError>>()
            .or_raise()?;
        if let Some(array) = out {
            let mut output = borrow_mut(array)?;
            let rows = output.view().len();
            let mut bad = (on_error == OnError::Mask).then(|| vec![false; rows]);
            let view = output.view();
            run(py, || packer.pack_into(&columns, view, bad.as_deref_mut()))?;
            return masked(array.clone(), bad.as_ref());
        }
        let packed = run(py, || packer.pack_columns(&columns, on_error))?;
        masked(column(py, packed.ids), packed.bad.as_ref())
    }

    /// Columns of integers.
    ///
    /// Parameters
    /// ----------
    /// ids : int or array_like of int
    ///     Integers of any type, strided or not, masked or not.
    /// columns : list of str, optional
    ///     Those wanted; the usual ones unless given.
    /// on_error : {"raise", "mask"}
    ///     What happens to integers that the packer could not have made.
    ///
    /// Returns
    /// -------
    /// dict
    ///     Arrays by name: int64, or texts. For a single integer its data ID.
    ///
    /// Raises
    /// ------
    /// UsageError
    ///     Integers that the packer could not have made; names that it does not have.
    #[pyo3(signature = (ids, columns=None, *, on_error="raise"))]
    fn unpack<'py>(
        &self,
        py: Python<'py>,
        ids: &Bound<'py, PyAny>,
        columns: Option<Vec<String>>,
        on_error: &str,
    ) -> PyResult<Bound<'py, PyDict>> {
        let on_error = self::on_error(on_error)?;
        let names: Vec<&str> = columns.iter().flatten().map(String::as_str).collect();
        let packer = &self.inner;
        if let Some(id) = scalar(ids)? {
            let Some(columns) = &columns else {
                return crate::data_id::to_dict(py, &packer.unpack(id).or_raise()?);
            };
            let (unsigned, signed) = (u64::try_from(id), i64::try_from(id));
            let unpacked = match (&unsigned, &signed) {
                (Ok(id), _) => packer.unpack_columns(&std::slice::from_ref(id).into(), &names, OnError::Fail),
                (_, Ok(id)) => packer.unpack_columns(&std::slice::from_ref(id).into(), &names, OnError::Fail),
                _ => return Err(usage(format!("{id} is not a 64-bit integer"))),
            };
            let unpacked = unpacked.or_raise()?;
            let dict = PyDict::new(py);
            for name in columns {
                match unpacked.column(name).and_then(|c| c.value(0)) {
                    Some(DimensionValue::Int(v)) => dict.set_item(name, v)?,
                    Some(DimensionValue::Str(v)) => dict.set_item(name, &*v)?,
                    None => dict.set_item(name, py.None())?,
                }
            }
            return Ok(dict);
        }
        let held = hold("ids", ids)?;
        if !matches!(held.values, Values::Keys(..)) || ids.len().unwrap_or(1) == 0 {
            let empty: &[u64] = &[];
            let ids = match held.values {
                Values::Keys(..) => PackColumn::from(empty),
                _ => held.column().or_raise()?,
            };
            let unpacked = run(py, || packer.unpack_columns(&ids, &names, on_error))?;
            return arrays_of(py, unpacked);
        }
        Err(wrong_type("`ids` should be integers, but its values are texts"))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().inner == self.inner)
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

/// The integer, when it is a single one.
fn scalar(ids: &Bound<'_, PyAny>) -> PyResult<Option<i128>> {
    let dimensions = ids.getattr("ndim").and_then(|n| n.extract::<usize>()).ok();
    let is_number = ids.is_instance_of::<PyInt>() || dimensions == Some(0);
    if !is_number {
        return Ok(None);
    }
    let kind = ids.get_type();
    let index = ids.py().import("operator")?.call_method1("index", (ids,));
    match index {
        Ok(index) if !kind.name()?.to_str()?.starts_with("bool") => {
            let text = index.str()?.to_string();
            Ok(Some(text.parse().map_err(|_| usage(format!("{text} is not a 64-bit integer")))?))
        }
        _ => Err(wrong_type(format!("`ids` should be integers, not {}", kind_of(ids)))),
    }
}

fn arrays_of(py: Python<'_>, unpacked: Unpacked) -> PyResult<Bound<'_, PyDict>> {
    let dict = PyDict::new(py);
    for (name, values) in unpacked.columns {
        let array = match values {
            UnpackedColumn::Integers(v) => column(py, v),
            UnpackedColumn::Unsigned(v) => column(py, v),
            UnpackedColumn::Names { keys, names } => {
                let objects = PyList::new(py, names.iter().map(Option::as_deref))?;
                let table = if names.iter().any(Option::is_none) {
                    numpy(py)?.call_method1("array", (objects, "O"))?
                } else {
                    numpy(py)?.call_method1("array", (objects,))?
                };
                table.call_method1("take", (column(py, keys),))?
            }
        };
        dict.set_item(&*name, masked(array, unpacked.bad.as_ref())?)?;
    }
    Ok(dict)
}
