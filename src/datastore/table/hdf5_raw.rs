//! Rows of HDF5 datasets whose types are known at run time only: what the `hdf5` crate's typed calls cannot do.
//!
//! Every call into the library is made under its lock ([`hdf5::sync::sync`]).
#![expect(
    unsafe_code,
    reason = "types that are made at run time are read and written through the library's C interface"
)]

use std::ffi::{CStr, CString, c_char, c_uint, c_void};
use std::ptr;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, GenericListArray, NullArray, PrimitiveArray, StringBuilder};
use arrow::buffer::{BooleanBuffer, OffsetBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use hdf5::sync::sync;
use hdf5_sys::h5::{H5free_memory, hsize_t};
use hdf5_sys::h5a::{H5Aget_space, H5Aget_type, H5Aread};
use hdf5_sys::h5d::{H5Dread, H5Dvlen_reclaim, H5Dwrite, H5Dwrite_chunk};
use hdf5_sys::h5i::{H5Idec_ref, hid_t};
use hdf5_sys::h5p::H5P_DEFAULT;
use hdf5_sys::h5s::{H5S_seloper_t, H5Screate_simple, H5Sget_simple_extent_npoints, H5Sselect_hyperslab};
use hdf5_sys::h5t::{
    H5T_class_t, H5T_direction_t, H5T_sign_t, H5T_str_t, H5Tcreate, H5Tget_array_dims2, H5Tget_array_ndims,
    H5Tget_class, H5Tget_member_name, H5Tget_member_type, H5Tget_native_type, H5Tget_nmembers, H5Tget_sign,
    H5Tget_size, H5Tget_strpad, H5Tget_super, H5Tinsert, H5Tis_variable_str,
};

use super::nested::{wrap, wrapped_type};

/// An identifier of the library's, given back when dropped.
#[derive(Debug)]
struct Id(hid_t);

impl Id {
    fn new(id: hid_t) -> Option<Self> {
        (id >= 0).then_some(Self(id))
    }
}

impl Drop for Id {
    fn drop(&mut self) {
        // SAFETY: the identifier is valid and this is the only one who owns it.
        sync(|| unsafe { H5Idec_ref(self.0) });
    }
}

/// What the elements of a column are in memory.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Integer {
        bytes: u8,
        signed: bool,
    },
    F32,
    F64,
    /// One byte, 0 for false.
    Logical,
    /// So many bytes; whether blanks fill them up.
    Text(usize, bool),
    Variable,
    List(Box<Kind>),
}

impl Kind {
    pub(super) fn data_type(&self) -> DataType {
        match self {
            Self::Integer { bytes, signed } => match (bytes, signed) {
                (1, true) => DataType::Int8,
                (2, true) => DataType::Int16,
                (4, true) => DataType::Int32,
                (_, true) => DataType::Int64,
                (1, false) => DataType::UInt8,
                (2, false) => DataType::UInt16,
                (4, false) => DataType::UInt32,
                (_, false) => DataType::UInt64,
            },
            Self::F32 => DataType::Float32,
            Self::F64 => DataType::Float64,
            Self::Logical => DataType::Boolean,
            Self::Text(..) | Self::Variable => DataType::Utf8,
            Self::List(inner) => DataType::List(Arc::new(Field::new_list_field(inner.data_type(), true))),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Integer { bytes, .. } => usize::from(*bytes),
            Self::F32 => 4,
            Self::F64 => 8,
            Self::Logical => 1,
            Self::Text(width, _) => *width,
            Self::Variable => size_of::<*const c_char>(),
            Self::List(_) => size_of::<Sequence>(),
        }
    }
}

/// `hvl_t`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Sequence {
    length: usize,
    start: *const c_void,
}

/// A column of a dataset: the member of a compound, or the whole of another one (without a name).
#[derive(Clone, Debug)]
pub(super) struct RawColumn {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Dimensions of a cell, slowest first.
    pub(super) dims: Vec<usize>,
    /// Place in a row, bytes.
    offset: usize,
}

impl RawColumn {
    pub(super) fn data_type(&self) -> DataType {
        wrapped_type(&self.kind.data_type(), &self.dims)
    }

    /// Elements of a cell.
    fn each(&self) -> usize {
        self.dims.iter().product()
    }
}

/// Rows of a dataset, as they are read.
#[derive(Debug)]
pub(super) struct RawTable {
    dataset: hdf5::Dataset,
    memory: Id,
    pub(super) columns: Vec<RawColumn>,
    /// Bytes of a row in memory.
    pub(super) pitch: usize,
    /// The dataset's shape behind the rows.
    inner: Vec<usize>,
    pointers: bool,
}

/// The kind and shape of a type, or what it is that cannot be read.
fn kind(of: hid_t) -> Result<(Kind, Vec<usize>), String> {
    // SAFETY: `of` is a valid type; what is made here is given back by `Id`.
    unsafe {
        let size = H5Tget_size(of);
        let parent = || Id::new(H5Tget_super(of)).ok_or_else(|| "of an unknown base type".to_owned());
        Ok(match H5Tget_class(of) {
            H5T_class_t::H5T_INTEGER if matches!(size, 1 | 2 | 4 | 8) => {
                (Kind::Integer { bytes: size as u8, signed: H5Tget_sign(of) == H5T_sign_t::H5T_SGN_2 }, vec![])
            }
            H5T_class_t::H5T_FLOAT if size == 4 => (Kind::F32, vec![]),
            H5T_class_t::H5T_FLOAT if size == 8 => (Kind::F64, vec![]),
            H5T_class_t::H5T_FLOAT => return Err(format!("a float of {size} bytes")),
            // PyTables keeps logicals as bit fields of 8 bits.
            H5T_class_t::H5T_BITFIELD if size == 1 => (Kind::Logical, vec![]),
            H5T_class_t::H5T_ENUM => {
                let names: Vec<String> =
                    (0..H5Tget_nmembers(of).max(0) as c_uint).map(|n| member_name(of, n)).collect();
                if size == 1 && names == ["FALSE", "TRUE"] { (Kind::Logical, vec![]) } else { kind(parent()?.0)? }
            }
            H5T_class_t::H5T_STRING if H5Tis_variable_str(of) > 0 => (Kind::Variable, vec![]),
            H5T_class_t::H5T_STRING => (Kind::Text(size, H5Tget_strpad(of) == H5T_str_t::H5T_STR_SPACEPAD), vec![]),
            H5T_class_t::H5T_VLEN => match kind(parent()?.0)? {
                (Kind::List(_) | Kind::Variable, _) => return Err("a sequence of sequences or texts".to_owned()),
                (inner, dims) if dims.is_empty() => (Kind::List(Box::new(inner)), vec![]),
                _ => return Err("a sequence of arrays".to_owned()),
            },
            H5T_class_t::H5T_ARRAY => {
                let (inner, more) = kind(parent()?.0)?;
                let mut dims: Vec<hsize_t> = vec![0; H5Tget_array_ndims(of).max(0) as usize];
                if H5Tget_array_dims2(of, dims.as_mut_ptr()) < 0 {
                    return Err("an array without dimensions".to_owned());
                }
                (inner, dims.into_iter().map(|d| usize::try_from(d).unwrap_or(usize::MAX)).chain(more).collect())
            }
            H5T_class_t::H5T_COMPOUND => return Err("a compound within a compound (or a complex number)".to_owned()),
            H5T_class_t::H5T_REFERENCE => return Err("a reference".to_owned()),
            H5T_class_t::H5T_TIME => return Err("a time".to_owned()),
            _ => return Err(format!("of a type of {size} bytes that has no like in a table")),
        })
    }
}

fn member_name(of: hid_t, n: c_uint) -> String {
    // SAFETY: `of` is a compound or enumeration with more than `n` members; the name is the library's memory.
    unsafe {
        let name = H5Tget_member_name(of, n);
        if name.is_null() {
            return String::new();
        }
        let text = CStr::from_ptr(name).to_string_lossy().into_owned();
        H5free_memory(name.cast());
        text
    }
}

fn native(of: hid_t) -> Result<Id, String> {
    // SAFETY: `of` is a valid type.
    let id = unsafe { H5Tget_native_type(of, H5T_direction_t::H5T_DIR_ASCEND) };
    Id::new(id).ok_or_else(|| "of a type that this machine does not have".to_owned())
}

/// Whether the rows of a dataset are compounds.
pub(super) fn is_compound(dataset: &hdf5::Dataset) -> bool {
    // SAFETY: the type is alive for the call.
    dataset.dtype().is_ok_and(|t| sync(|| unsafe { H5Tget_class(t.id()) }) == H5T_class_t::H5T_COMPOUND)
}

/// The names of a compound's members.
pub(super) fn member_names(dataset: &hdf5::Dataset) -> hdf5::Result<Vec<String>> {
    let dtype = dataset.dtype()?;
    // SAFETY: the type is alive for the calls.
    Ok(sync(|| {
        (0..unsafe { H5Tget_nmembers(dtype.id()) }.max(0) as c_uint).map(|n| member_name(dtype.id(), n)).collect()
    }))
}

impl RawTable {
    /// Of a compound dataset the members `wanted`, of another one its values. On error, the name of the column and what it is.
    pub(super) fn new(dataset: hdf5::Dataset, wanted: &[usize]) -> Result<Self, (String, String)> {
        let whole = |e: String| (String::new(), e);
        let dtype = dataset.dtype().map_err(|e| whole(e.to_string()))?;
        let inner: Vec<usize> = dataset.shape().into_iter().skip(1).collect();
        let cell = |dims: &[usize], kind: &Kind| {
            let each = dims.iter().try_fold(1_usize, |a, b| a.checked_mul(*b));
            let bytes = each.and_then(|n| n.checked_mul(kind.size()));
            bytes.filter(|b| *b < 1 << 31).ok_or_else(|| format!("a cell of shape {dims:?}, too large to be read"))
        };
        let (memory, columns, pitch) = sync(|| -> Result<_, (String, String)> {
            if !is_compound(&dataset) {
                let memory = native(dtype.id()).map_err(whole)?;
                let (kind, dims) = kind(memory.0).map_err(whole)?;
                let dims: Vec<usize> = inner.iter().copied().chain(dims).collect();
                let pitch = cell(&dims, &kind).map_err(whole)?;
                return Ok((memory, vec![RawColumn { name: String::new(), kind, dims, offset: 0 }], pitch));
            }
            let (mut columns, mut types, mut pitch) = (Vec::new(), Vec::new(), 0_usize);
            for n in wanted {
                let name = member_name(dtype.id(), *n as c_uint);
                let named = |e: String| (name.clone(), e);
                // SAFETY: the compound has the member: `wanted` are positions among its names.
                let member = Id::new(unsafe { H5Tget_member_type(dtype.id(), *n as c_uint) });
                let member = member.ok_or_else(|| named("of an unknown type".to_owned()))?;
                let id = native(member.0).map_err(named)?;
                let (kind, dims) = kind(id.0).map_err(named)?;
                let bytes = cell(&dims, &kind).map_err(named)?;
                columns.push(RawColumn { name: name.clone(), kind, dims, offset: pitch });
                types.push((name, pitch, id));
                pitch += bytes;
            }
            // SAFETY: a new compound of so many bytes, into which the members go side by side.
            let memory = Id::new(unsafe { H5Tcreate(H5T_class_t::H5T_COMPOUND, pitch.max(1)) });
            let memory = memory.ok_or_else(|| whole("of a type that cannot be made".to_owned()))?;
            for (name, offset, id) in &types {
                let text = CString::new(name.as_str()).map_err(|e| (name.clone(), e.to_string()))?;
                // SAFETY: both types are alive and the member is inside of the compound.
                if unsafe { H5Tinsert(memory.0, text.as_ptr(), *offset, id.0) } < 0 {
                    return Err((name.clone(), "a second column of its name".to_owned()));
                }
            }
            Ok((memory, columns, pitch))
        })?;
        let pointers = columns.iter().any(|c| matches!(c.kind, Kind::Variable | Kind::List(_)));
        Ok(Self { dataset, memory, columns, pitch, inner, pointers })
    }

    /// Reads `count` rows from row `first` on.
    pub(super) fn read(&self, first: u64, count: usize) -> Result<RawRows<'_>, String> {
        let failed = || {
            format!(
                "the HDF5 library cannot read rows {} to {}: the file is cut or damaged, or packed by a filter that is not installed",
                first + 1,
                first + count as u64
            )
        };
        let bytes = count.checked_mul(self.pitch).ok_or_else(failed)?;
        let mut rows = RawRows { table: self, space: None, bytes: vec![0; bytes], count };
        if bytes == 0 {
            return Ok(rows);
        }
        let file = self.dataset.space().map_err(|e| e.to_string())?;
        sync(|| {
            let space = slab(&file, first, count, &self.inner).ok_or_else(failed)?;
            // SAFETY: the buffer has `count` rows of `pitch` bytes, as the memory type and space say.
            let read = unsafe {
                H5Dread(
                    self.dataset.id(),
                    self.memory.0,
                    space.0,
                    file.id(),
                    H5P_DEFAULT,
                    rows.bytes.as_mut_ptr().cast(),
                )
            };
            rows.space = Some(space);
            if read < 0 { Err(failed()) } else { Ok(()) }
        })?;
        Ok(rows)
    }
}

/// Selects rows in the space of a dataset, and makes a space for them in memory.
fn slab(file: &hdf5::Dataspace, first: u64, count: usize, inner: &[usize]) -> Option<Id> {
    let sides = || inner.iter().map(|n| *n as hsize_t);
    let counts: Vec<hsize_t> = std::iter::once(count as hsize_t).chain(sides()).collect();
    let starts: Vec<hsize_t> = std::iter::once(first).chain(sides().map(|_| 0)).collect();
    // SAFETY: both lists have as many entries as the dataset has dimensions.
    unsafe {
        let selected = H5Sselect_hyperslab(
            file.id(),
            H5S_seloper_t::H5S_SELECT_SET,
            starts.as_ptr(),
            ptr::null(),
            counts.as_ptr(),
            ptr::null(),
        );
        if selected < 0 {
            return None;
        }
        Id::new(H5Screate_simple(counts.len() as i32, counts.as_ptr(), ptr::null()))
    }
}

/// Rows in memory; texts and sequences are the library's until they are dropped.
pub(super) struct RawRows<'a> {
    table: &'a RawTable,
    space: Option<Id>,
    bytes: Vec<u8>,
    count: usize,
}

impl Drop for RawRows<'_> {
    fn drop(&mut self) {
        if let (true, Some(space)) = (self.table.pointers, &self.space) {
            // SAFETY: the buffer was filled (or left zero) by a read of this type and space; nothing else points to what is freed.
            sync(|| unsafe {
                H5Dvlen_reclaim(self.table.memory.0, space.0, H5P_DEFAULT, self.bytes.as_mut_ptr().cast())
            });
        }
    }
}

impl RawRows<'_> {
    /// A column of these rows. On error, the row (from 0) and what is wrong with it.
    pub(super) fn column(&self, at: usize) -> Result<ArrayRef, (usize, String)> {
        let column = &self.table.columns[at];
        let (each, size) = (column.each(), column.kind.size());
        let cells = (0..self.count)
            .map(|row| &self.bytes[row * self.table.pitch + column.offset..][..each * size])
            .filter(|_| each > 0);
        // SAFETY: the pointers in these rows are those of the library's read.
        let flat = unsafe { elements(&column.kind, cells, self.count * each) };
        let flat = flat.map_err(|(at, e)| (at / each.max(1), e))?;
        wrap(flat, &column.dims, self.count).map_err(|e| (0, e.to_string()))
    }
}

/// All elements of cells.
///
/// # Safety
/// Elements of kind [`Kind::Variable`] and [`Kind::List`] must be null or pointers that the library has made.
unsafe fn elements<'a>(
    kind: &Kind,
    cells: impl Iterator<Item = &'a [u8]>,
    total: usize,
) -> Result<ArrayRef, (usize, String)> {
    Ok(match kind {
        Kind::Integer { bytes, signed } => match (bytes, signed) {
            (1, true) => numbers::<Int8Type, 1>(cells, total, i8::from_ne_bytes),
            (2, true) => numbers::<Int16Type, 2>(cells, total, i16::from_ne_bytes),
            (4, true) => numbers::<Int32Type, 4>(cells, total, i32::from_ne_bytes),
            (_, true) => numbers::<Int64Type, 8>(cells, total, i64::from_ne_bytes),
            (1, false) => numbers::<UInt8Type, 1>(cells, total, u8::from_ne_bytes),
            (2, false) => numbers::<UInt16Type, 2>(cells, total, u16::from_ne_bytes),
            (4, false) => numbers::<UInt32Type, 4>(cells, total, u32::from_ne_bytes),
            (_, false) => numbers::<UInt64Type, 8>(cells, total, u64::from_ne_bytes),
        },
        Kind::F32 => numbers::<Float32Type, 4>(cells, total, f32::from_ne_bytes),
        Kind::F64 => numbers::<Float64Type, 8>(cells, total, f64::from_ne_bytes),
        Kind::Logical => {
            let bytes: Vec<u8> = cells.flatten().copied().collect();
            Arc::new(BooleanArray::new(BooleanBuffer::collect_bool(bytes.len(), |i| bytes[i] != 0), None))
        }
        Kind::Text(width, blanks) => {
            let mut builder = StringBuilder::new();
            if *width == 0 {
                return Ok(Arc::new(NullArray::new(total)));
            }
            for (at, cell) in cells.flat_map(|c| c.chunks_exact(*width)).enumerate() {
                let end = cell.iter().position(|b| *b == 0).unwrap_or(*width);
                let mut text = &cell[..end];
                while *blanks && text.ends_with(b" ") {
                    text = &text[..text.len() - 1];
                }
                builder.append_value(std::str::from_utf8(text).map_err(|_| (at, "is no UTF-8 text".to_owned()))?);
            }
            Arc::new(builder.finish())
        }
        Kind::Variable => {
            let mut builder = StringBuilder::new();
            for (at, pointer) in cells.flat_map(|c| c.as_chunks::<{ size_of::<usize>() }>().0).enumerate() {
                let pointer = usize::from_ne_bytes(*pointer) as *const c_char;
                if pointer.is_null() {
                    builder.append_value("");
                    continue;
                }
                // SAFETY: the library ends its texts by a NUL, and they live as long as the rows.
                let text = unsafe { CStr::from_ptr(pointer) };
                builder.append_value(text.to_str().map_err(|_| (at, "is no UTF-8 text".to_owned()))?);
            }
            Arc::new(builder.finish())
        }
        Kind::List(inner) => {
            let (mut offsets, mut parts) = (vec![0_i32], Vec::new());
            for (at, cell) in cells.flat_map(|c| c.as_chunks::<{ size_of::<Sequence>() }>().0).enumerate() {
                let (length, start) = cell.split_at(size_of::<usize>());
                let word = |b: &[u8]| b.try_into().map_or(0, usize::from_ne_bytes);
                let (length, start) = (word(length), word(start) as *const u8);
                let length = if start.is_null() { 0 } else { length };
                let long = || (at, "has too many elements for one batch; read fewer rows at a time".to_owned());
                let end = offsets.last().copied().unwrap_or(0);
                offsets.push(i32::try_from(length).ok().and_then(|n| end.checked_add(n)).ok_or_else(long)?);
                if length > 0 {
                    // SAFETY: the library gives the length of what it has read, and it lives as long as the rows.
                    parts.push(unsafe { std::slice::from_raw_parts(start, length * inner.size()) });
                }
            }
            let total = offsets.last().copied().unwrap_or(0) as usize;
            // SAFETY: sequences of texts or sequences are not made.
            let flat = unsafe { elements(inner, parts.into_iter(), total) }?;
            let field = Arc::new(Field::new_list_field(flat.data_type().clone(), true));
            let list = GenericListArray::<i32>::try_new(field, OffsetBuffer::new(offsets.into()), flat, None);
            Arc::new(list.map_err(|e| (0, e.to_string()))?)
        }
    })
}

fn numbers<'a, T: ArrowPrimitiveType, const N: usize>(
    cells: impl Iterator<Item = &'a [u8]>,
    total: usize,
    value: impl Fn([u8; N]) -> T::Native,
) -> ArrayRef {
    let mut values = Vec::with_capacity(total);
    cells.for_each(|cell| values.extend(cell.as_chunks::<N>().0.iter().map(|b| value(*b))));
    Arc::new(PrimitiveArray::<T>::new(values.into(), None))
}

/// The value of an attribute as an array; `None` for one of a type that has no like in a table.
pub(super) fn attribute(attribute: &hdf5::Attribute) -> Option<ArrayRef> {
    sync(|| {
        // SAFETY: the attribute is alive; what is made here is given back by `Id`.
        let (dtype, space) = unsafe { (Id::new(H5Aget_type(attribute.id()))?, Id::new(H5Aget_space(attribute.id()))?) };
        let memory = native(dtype.0).ok()?;
        let (kind, dims) = kind(memory.0).ok()?;
        // SAFETY: the space is alive.
        let count = usize::try_from(unsafe { H5Sget_simple_extent_npoints(space.0) }).ok()?;
        let total = dims.iter().try_fold(count, |a, b| a.checked_mul(*b))?;
        let mut bytes = vec![0_u8; total.checked_mul(kind.size()).filter(|b| *b < 1 << 24)?];
        // SAFETY: the buffer is of the size of the whole attribute in this type.
        let read = unsafe { H5Aread(attribute.id(), memory.0, bytes.as_mut_ptr().cast()) };
        // SAFETY: the pointers are those of the library's read.
        let array = if read < 0 { None } else { unsafe { elements(&kind, std::iter::once(&*bytes), total) }.ok() };
        if read >= 0 && matches!(kind, Kind::Variable | Kind::List(_)) {
            // SAFETY: filled by a read of this type and space; `array` has copies.
            unsafe { H5Dvlen_reclaim(memory.0, space.0, H5P_DEFAULT, bytes.as_mut_ptr().cast()) };
        }
        array
    })
}

/// Writes rows of texts of variable length, side by side.
pub(super) fn write_texts(
    dataset: &hdf5::Dataset,
    first: u64,
    count: usize,
    inner: &[usize],
    texts: &[CString],
) -> Result<(), String> {
    let pointers: Vec<*const c_char> = texts.iter().map(|t| t.as_ptr()).collect();
    // SAFETY: as many texts as the rows have elements, all alive and ended by a NUL.
    unsafe {
        write(dataset, &hdf5::types::TypeDescriptor::VarLenUnicode, first, count, inner, pointers.as_ptr().cast())
    }
}

/// Writes rows of sequences: `offsets` say which of the `values`, of `size` bytes each, are a row's.
pub(super) fn write_lists(
    dataset: &hdf5::Dataset,
    element: hdf5::types::TypeDescriptor,
    first: u64,
    lists: &[std::ops::Range<usize>],
    values: &[u8],
) -> Result<(), String> {
    let size = element.size();
    let sequences: Vec<Sequence> = lists
        .iter()
        .map(|l| {
            let bytes = &values[l.start * size..l.end * size];
            Sequence { length: l.len(), start: bytes.as_ptr().cast() }
        })
        .collect();
    let memory = hdf5::types::TypeDescriptor::VarLenArray(Box::new(element));
    // SAFETY: one sequence a row, each inside of `values`.
    unsafe { write(dataset, &memory, first, lists.len(), &[], sequences.as_ptr().cast()) }
}

/// # Safety
/// `buffer` must have the rows in the type `memory`.
unsafe fn write(
    dataset: &hdf5::Dataset,
    memory: &hdf5::types::TypeDescriptor,
    first: u64,
    count: usize,
    inner: &[usize],
    buffer: *const c_void,
) -> Result<(), String> {
    let memory = hdf5::Datatype::from_descriptor(memory).map_err(|e| e.to_string())?;
    let file = dataset.space().map_err(|e| e.to_string())?;
    sync(|| {
        let failed = || "the HDF5 library cannot write".to_owned();
        let space = slab(&file, first, count, inner).ok_or_else(failed)?;
        // SAFETY: the caller's.
        let written = unsafe { H5Dwrite(dataset.id(), memory.id(), space.0, file.id(), H5P_DEFAULT, buffer) };
        if written < 0 { Err(failed()) } else { Ok(()) }
    })
}

/// Writes a chunk that went through the dataset's filters already.
pub(super) fn write_chunk(dataset: &hdf5::Dataset, first: u64, inner: usize, bytes: &[u8]) -> Result<(), String> {
    let mut offset: Vec<hsize_t> = vec![0; inner + 1];
    offset[0] = first;
    sync(|| {
        // SAFETY: the offset has as many entries as the dataset has dimensions, the bytes are those of one chunk.
        let written = unsafe {
            H5Dwrite_chunk(dataset.id(), H5P_DEFAULT, 0, offset.as_ptr(), bytes.len(), bytes.as_ptr().cast())
        };
        if written < 0 { Err("the HDF5 library cannot write a chunk".to_owned()) } else { Ok(()) }
    })
}
