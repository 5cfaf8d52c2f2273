//! `pack` and `unpack`.

use bunter::{DimensionValue, OnError, PackColumn, PackError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::PyPacker;
use super::columns::{Held, Values, all_scalars, arrays_of, borrow_mut, hold, masked, on_error, scalar};
use crate::arrays::column;
use crate::data_id::kind_of;
use crate::errors::{OrRaise, usage, wrong_type};
use crate::run::run;
use crate::table::PyTable;

impl PyPacker {
    /// Whether this is the sky map or camera that all data IDs of the packer have; another one is an error.
    fn is_fixed(&self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Some((_, expected)) = self.inner.layout().fixed.iter().find(|(fixed, _)| *fixed == name) else {
            return Ok(false);
        };
        let Ok(found) = value.extract::<String>() else { return Ok(false) };
        if expected.to_string() == found {
            return Ok(true);
        }
        let (packer, name, expected) = (self.inner.name().to_owned(), name.to_owned(), expected.to_string());
        Err(PackError::Fixed { packer, name, expected, found }).or_raise()
    }

    fn hold<'py>(
        &self,
        columns: Option<&Bound<'py, PyAny>>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Vec<Held<'py>>> {
        let mut held: Vec<Held<'py>> = Vec::new();
        let mut add = |name: &str, value: &Bound<'py, PyAny>| -> PyResult<()> {
            if self.is_fixed(name, value)? {
                return Ok(());
            }
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

impl PyPacker {
    /// `unpack` into the caller's arrays.
    fn unpack_to<'py>(
        &self,
        py: Python<'py>,
        ids: &Bound<'py, PyAny>,
        out: &Bound<'py, PyAny>,
        on_error: OnError,
    ) -> PyResult<Bound<'py, PyDict>> {
        let out = out
            .cast::<PyDict>()
            .map_err(|_| wrong_type(format!("`out` is a dictionary of arrays by column name, not {}", kind_of(out))))?;
        let held = hold("ids", ids)?;
        let mut outputs = Vec::with_capacity(out.len());
        for (name, array) in out.iter() {
            let name: String = name
                .extract()
                .map_err(|_| wrong_type(format!("a column is named by a text, not by {}", kind_of(&name))))?;
            outputs.push((name, borrow_mut(&array)?));
        }
        let rows = outputs.iter_mut().map(|(_, output)| output.view().len()).max().unwrap_or(0);
        let mut bad = (on_error == OnError::Mask).then(|| vec![false; rows]);
        let ids = held.column().or_raise()?;
        let views = outputs.iter_mut().map(|(name, output)| (name.as_str(), output.view())).collect();
        let packer = &self.inner;
        run(py, || packer.unpack_into(&ids, views, bad.as_deref_mut()))?;
        let dict = PyDict::new(py);
        for (name, array) in out.iter() {
            dict.set_item(name, masked(array, bad.as_ref())?)?;
        }
        Ok(dict)
    }
}

#[pymethods]
impl PyPacker {
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
    /// out : dict of numpy.ndarray, optional
    ///     Arrays of integers by column name, strided or not, to write these columns to, and no others; the codes of bands. They are
    ///     what is returned.
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
    #[pyo3(signature = (ids, columns=None, *, out=None, on_error="raise"))]
    fn unpack<'py>(
        &self,
        py: Python<'py>,
        ids: &Bound<'py, PyAny>,
        columns: Option<Vec<String>>,
        out: Option<&Bound<'py, PyAny>>,
        on_error: &str,
    ) -> PyResult<Bound<'py, PyDict>> {
        let on_error = self::on_error(on_error)?;
        if let Some(out) = out.filter(|o| !o.is_none()) {
            if columns.is_some() {
                return Err(usage("`out` says which columns are wanted: leave `columns` out"));
            }
            return self.unpack_to(py, ids, out, on_error);
        }
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
}
