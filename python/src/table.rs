//! `Table`: an Arrow record batch, and its ways to numpy, pandas, astropy, pyarrow and polars.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch, RecordBatchIterator, StructArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema, to_ffi};
use arrow::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use bunter::{Snapshot, SnapshotBuilder, SnapshotError};
use pyo3::exceptions::{PyIndexError, PyKeyError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyDict, PyIterator, PyList, PySlice, PyString, PyTuple, PyType};

use crate::columns;
use crate::data_id::kind_of;
use crate::errors::{OrRaise, usage, wrong_type};
use crate::run::run;

/// The name under which a pickled table is kept.
const PICKLED: &str = "table";

/// A table: named columns of equal length, in Arrow's memory.
///
/// What queries answer. It hands its memory to pyarrow, pandas, polars, astropy and numpy, without a copy where these can
/// take it so, and takes any object with columns in return.
///
/// Parameters
/// ----------
/// data : dict, Table, or any object with ``__arrow_c_stream__`` or ``__arrow_c_array__``
///     A dictionary of array-likes by column name (integers, reals, booleans, texts; masked arrays give nulls), an
///     `astropy.table.Table`, or a table of pyarrow, pandas or polars, whose memory is shared.
///
/// Examples
/// --------
/// >>> import numpy as np
/// >>> table = bunter.Table({"visit": np.array([1228, 1230]), "band": ["r", "i"]})
/// >>> len(table), table.column_names
/// (2, ['visit', 'band'])
/// >>> table["visit"]
/// array([1228, 1230])
/// >>> table[1]
/// {'visit': 1230, 'band': 'i'}
#[pyclass(module = "bunter", name = "Table", frozen)]
#[derive(Clone)]
pub(crate) struct PyTable {
    pub(crate) batch: RecordBatch,
}

impl From<RecordBatch> for PyTable {
    fn from(batch: RecordBatch) -> Self {
        Self { batch }
    }
}

impl PyTable {
    /// A table of anything that has columns.
    pub(crate) fn of(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(table) = value.cast::<Self>() {
            return Ok(table.get().clone());
        }
        if value.hasattr("__arrow_c_stream__")? {
            return import_stream(value).map(Self::from);
        }
        if value.hasattr("__arrow_c_array__")? {
            return import_array(value).map(Self::from);
        }
        // astropy's tables, and numpy's structured arrays.
        let names = if value.hasattr("colnames")? {
            Some(value.getattr("colnames")?)
        } else {
            value.getattr("dtype").and_then(|d| d.getattr("names")).ok().filter(|n| !n.is_none())
        };
        let columns: Vec<(String, Bound<'_, PyAny>)> = if let Some(names) = names {
            let names: Vec<String> = names.extract()?;
            names.into_iter().map(|n| Ok((n.clone(), value.get_item(n)?))).collect::<PyResult<_>>()?
        } else if let Ok(dict) = value.cast::<PyDict>() {
            let name = |name: Bound<'_, PyAny>| {
                name.extract::<String>()
                    .map_err(|_| wrong_type(format!("a column is named by a text, not by {}", kind_of(&name))))
            };
            dict.iter().map(|(n, v)| Ok((name(n)?, v))).collect::<PyResult<_>>()?
        } else {
            return Err(wrong_type(format!(
                "a table is made of a dictionary of columns, an astropy table, or an object with Arrow's C interface \
                 (pyarrow, pandas, polars), not of {}",
                kind_of(value)
            )));
        };
        columns::batch_of(columns).map(Self::from)
    }

    fn column_at(&self, name: &str) -> PyResult<usize> {
        let schema = self.batch.schema_ref();
        schema.index_of(name).map_err(|_| {
            let known: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
            PyKeyError::new_err(format!("the table has no column `{name}`; it has {}", known.join(", ")))
        })
    }

    fn names(&self) -> Vec<String> {
        self.batch.schema_ref().fields().iter().map(|f| f.name().clone()).collect()
    }
}

#[pymethods]
impl PyTable {
    #[new]
    fn new(data: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::of(data)
    }

    /// Names of the columns, in order.
    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.names()
    }

    /// Number of rows.
    #[getter]
    fn num_rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// Number of columns.
    #[getter]
    fn num_columns(&self) -> usize {
        self.batch.num_columns()
    }

    /// Arrow types of the columns, by name.
    #[getter]
    fn schema<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for field in self.batch.schema_ref().fields() {
            dict.set_item(field.name(), field.data_type().to_string())?;
        }
        Ok(dict)
    }

    fn __len__(&self) -> usize {
        self.batch.num_rows()
    }

    fn __contains__(&self, name: &Bound<'_, PyAny>) -> bool {
        name.extract::<String>().is_ok_and(|n| self.batch.schema_ref().index_of(&n).is_ok())
    }

    /// A column as an array (``table["visit"]``), a row as a dictionary (``table[0]``), rows (``table[2:5]``) or columns
    /// (``table[["visit", "band"]]``) as a table.
    fn __getitem__<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        if let Ok(name) = key.cast::<PyString>() {
            return Self::column(slf, name.to_str()?);
        }
        if let Ok(slice) = key.cast::<PySlice>() {
            let indices = slice.indices(this.batch.num_rows() as isize)?;
            let batch = if indices.step == 1 {
                this.batch.slice(indices.start.max(0) as usize, indices.slicelength)
            } else {
                let rows =
                    (0..indices.slicelength as i64).map(|i| (indices.start as i64 + i * indices.step as i64) as u64);
                let rows = arrow::array::UInt64Array::from_iter_values(rows);
                arrow::compute::take_record_batch(&this.batch, &rows).or_raise()?
            };
            return Ok(Self::from(batch).into_pyobject(py)?.into_any());
        }
        if let Ok(names) = key.cast::<PyList>() {
            let at =
                names.iter().map(|n| this.column_at(n.cast::<PyString>()?.to_str()?)).collect::<PyResult<Vec<_>>>()?;
            return Ok(Self::from(this.batch.project(&at).or_raise()?).into_pyobject(py)?.into_any());
        }
        let Ok(index) = crate::data_id::integer(key, "row") else {
            return Err(wrong_type(format!(
                "a table is indexed by column names, row numbers and slices, not by {}",
                kind_of(key)
            )));
        };
        let rows = this.batch.num_rows() as i64;
        let row = if index < 0 { index.saturating_add(rows) } else { index };
        if row < 0 || row >= rows {
            return Err(PyIndexError::new_err(format!("row {index} of a table of {rows} rows")));
        }
        Ok(columns::row(py, &this.batch, row as usize)?.into_any())
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyIterator>> {
        // A list of rows: dictionaries are what `for row in table` is for.
        Self::to_pylist(slf)?.try_iter()
    }

    /// A column as a numpy array.
    ///
    /// Integers, reals and booleans of a column without nulls share the table's memory and cannot be written to. Where there
    /// are nulls, reals have NaN and other numbers are a masked array. Texts are an array of `str` objects, ``None`` for nulls;
    /// identities are `uuid.UUID` objects.
    ///
    /// Parameters
    /// ----------
    /// name : str
    ///     The column.
    ///
    /// Returns
    /// -------
    /// numpy.ndarray
    ///
    /// Raises
    /// ------
    /// KeyError
    ///     There is no such column.
    fn column<'py>(slf: &Bound<'py, Self>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let this = slf.get();
        let at = this.column_at(name)?;
        columns::to_numpy(slf.as_any(), name, this.batch.column(at))
    }

    /// All columns as numpy arrays, by name; see `column`.
    ///
    /// Returns
    /// -------
    /// dict of numpy.ndarray
    fn to_numpy<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(slf.py());
        let batch = &slf.get().batch;
        for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            dict.set_item(field.name(), columns::to_numpy(slf.as_any(), field.name(), array)?)?;
        }
        Ok(dict)
    }

    /// The rows as dictionaries.
    ///
    /// Returns
    /// -------
    /// list of dict
    fn to_pylist<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        let batch = &slf.get().batch;
        let rows = (0..batch.num_rows()).map(|row| columns::row(slf.py(), batch, row)).collect::<PyResult<Vec<_>>>()?;
        PyList::new(slf.py(), rows)
    }

    /// The table as a `pyarrow.Table`, sharing the memory. Needs pyarrow.
    fn to_arrow<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("bunter._convert")?.call_method1("to_arrow", (slf,))
    }

    /// The table as a `pandas.DataFrame`. Needs pandas.
    fn to_pandas<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("bunter._convert")?.call_method1("to_pandas", (slf,))
    }

    /// The table as a `polars.DataFrame`, sharing the memory. Needs polars.
    fn to_polars<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("bunter._convert")?.call_method1("to_polars", (slf,))
    }

    /// The table as an `astropy.table.Table`. Needs astropy.
    fn to_astropy<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("bunter._convert")?.call_method1("to_astropy", (slf,))
    }

    /// Arrow's C schema of the table, as a capsule.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = FFI_ArrowSchema::try_from(self.batch.schema_ref().as_ref()).or_raise()?;
        PyCapsule::new_with_value(py, schema, c"arrow_schema")
    }

    /// Arrow's C array of the table, as two capsules.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        // The schema asked for is a wish, which the interface lets us leave to the consumer.
        drop(requested_schema);
        let (array, schema) = to_ffi(&StructArray::from(self.batch.clone()).into_data()).or_raise()?;
        let schema = PyCapsule::new_with_value(py, schema, c"arrow_schema")?;
        let array = PyCapsule::new_with_value(py, array, c"arrow_array")?;
        PyTuple::new(py, [schema, array])
    }

    /// Arrow's C stream of the table, as a capsule.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        drop(requested_schema);
        let batches = RecordBatchIterator::new([Ok(self.batch.clone())], self.batch.schema());
        PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(batches)), c"arrow_array_stream")
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().batch == self.batch)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let (py, batch) = (slf.py(), &slf.get().batch);
        let class = py.get_type::<Self>();
        if batch.num_columns() == 0 {
            return Ok((class.into_any(), PyTuple::new(py, [PyDict::new(py)])?));
        }
        let bytes = run(py, || {
            let mut builder = SnapshotBuilder::new();
            match builder.add_table(PICKLED, batch) {
                // A type that snapshots do not have (timestamps, lists of texts): pyarrow's own form will do.
                Err(SnapshotError::Unsupported { .. }) => Ok(None),
                Err(e) => Err(e),
                Ok(builder) => builder.to_bytes().map(Some),
            }
        })?;
        match bytes {
            Some(bytes) => Ok((class.getattr("_from_bytes")?, PyTuple::new(py, [PyBytes::new(py, &bytes)])?)),
            None => Ok((class.into_any(), PyTuple::new(py, [Self::to_arrow(slf)?])?)),
        }
    }

    #[classmethod]
    fn _from_bytes(_class: &Bound<'_, PyType>, bytes: pyo3::pybacked::PyBackedBytes) -> PyResult<Self> {
        let snapshot = Snapshot::from_bytes(bytes).or_raise()?;
        Ok(Self::from(snapshot.to_record_batch(PICKLED).or_raise()?))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        slf.py().import("bunter._display")?.call_method1("table_text", (slf,))?.extract()
    }

    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
        slf.py().import("bunter._display")?.call_method1("table_html", (slf,))?.extract()
    }
}

/// The only result of `call`, a capsule of this name.
fn capsule<'py>(value: &Bound<'py, PyAny>, what: &str) -> PyResult<Bound<'py, PyCapsule>> {
    Ok(value
        .cast::<PyCapsule>()
        .map_err(|_| wrong_type(format!("`{what}` gave {}, not a capsule", kind_of(value))))?
        .clone())
}

fn import_stream(value: &Bound<'_, PyAny>) -> PyResult<RecordBatch> {
    let capsule = capsule(&value.call_method0("__arrow_c_stream__")?, "__arrow_c_stream__")?;
    let pointer = capsule.pointer_checked(Some(c"arrow_array_stream"))?.cast::<FFI_ArrowArrayStream>();
    #[expect(
        unsafe_code,
        reason = "the capsule's name says what is in it; the stream is moved out, as Arrow's interface asks"
    )]
    let stream = unsafe { FFI_ArrowArrayStream::from_raw(pointer.as_ptr()) };
    // The producer may be Python code, which needs the interpreter: it is not detached here.
    let reader = RecordBatchStreamReader::try_new(stream).or_raise()?;
    let schema = arrow::array::RecordBatchReader::schema(&reader);
    let batches = reader.collect::<Result<Vec<_>, _>>().or_raise()?;
    checked(&schema, &concat_batches(&schema, &batches).or_raise()?)
}

fn import_array(value: &Bound<'_, PyAny>) -> PyResult<RecordBatch> {
    let pair = value.call_method0("__arrow_c_array__")?;
    let (schema, array): (Bound<'_, PyAny>, Bound<'_, PyAny>) =
        pair.extract().map_err(|_| wrong_type("`__arrow_c_array__` did not give two capsules"))?;
    let (schema, array) = (capsule(&schema, "__arrow_c_array__")?, capsule(&array, "__arrow_c_array__")?);
    let schema = schema.pointer_checked(Some(c"arrow_schema"))?.cast::<FFI_ArrowSchema>();
    let array = array.pointer_checked(Some(c"arrow_array"))?.cast::<FFI_ArrowArray>();
    #[expect(
        unsafe_code,
        reason = "the capsules' names say what is in them; both are moved out, as Arrow's interface asks"
    )]
    let data = unsafe {
        let schema = FFI_ArrowSchema::from_raw(schema.as_ptr());
        arrow::ffi::from_ffi(FFI_ArrowArray::from_raw(array.as_ptr()), &schema)
    };
    let data = data.or_raise()?;
    if !matches!(data.data_type(), arrow::datatypes::DataType::Struct(_)) {
        return Err(usage(format!("a table is needed, this is a column of {}", data.data_type())));
    }
    let rows = StructArray::from(data);
    if rows.null_count() > 0 {
        return Err(usage("rows that are null as a whole make no table"));
    }
    let batch = RecordBatch::from(rows);
    let schema = batch.schema();
    checked(&schema, &batch)
}

/// What comes from elsewhere is looked at before it is believed: offsets, UTF-8 and lengths of every column.
fn checked(schema: &SchemaRef, batch: &RecordBatch) -> PyResult<RecordBatch> {
    for (field, array) in schema.fields().iter().zip(batch.columns()) {
        array.to_data().validate_full().map_err(|e| usage(format!("column `{}` is damaged: {e}", field.name())))?;
    }
    // Metadata of others (pandas' index) is of no use here, and would make equal tables different.
    let schema = Arc::new(Schema::new(schema.fields().clone()));
    RecordBatch::try_new(schema, batch.columns().to_vec()).or_raise()
}
