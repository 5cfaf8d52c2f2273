//! [`IntView`], [`IntViewMut`], [`PackColumn`]: columns as the caller has them, borrowed.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, LargeStringArray, StringArray, StringViewArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    ArrowDictionaryKeyType, DataType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use ndarray::{ArrayView1, ArrayViewMut1, Axis, Slice};

use super::error::PackError;
use crate::dimension::DimensionValue;

/// An integer type of a column.
pub(super) trait Int: Copy + Default + Send + Sync + 'static {
    const NAME: &'static str;
    const LEAST: i128;
    const MOST: i128;
    /// The value in 64 bits of two's complement.
    fn widen(self) -> u64;
    /// The low bits.
    fn narrow(wide: u64) -> Self;
}

/// Runs `$body` with `$v` bound to the array view of whatever type.
macro_rules! with_view {
    ($kind:ident, $view:expr, $v:pat => $body:expr) => {
        match $view {
            $kind::I8($v) => $body,
            $kind::I16($v) => $body,
            $kind::I32($v) => $body,
            $kind::I64($v) => $body,
            $kind::U8($v) => $body,
            $kind::U16($v) => $body,
            $kind::U32($v) => $body,
            $kind::U64($v) => $body,
        }
    };
}
pub(super) use with_view;

macro_rules! integers {
    ($($variant:ident $t:ident $data_type:ident $arrow:ident),* $(,)?) => {
        $(impl Int for $t {
            const NAME: &'static str = stringify!($t);
            const LEAST: i128 = $t::MIN as i128;
            const MOST: i128 = $t::MAX as i128;
            #[inline(always)]
            #[allow(clippy::cast_lossless, reason = "signs of the signed types are extended, the others are lossless")]
            fn widen(self) -> u64 { self as u64 }
            #[inline(always)]
            fn narrow(wide: u64) -> Self { wide as $t }
        })*

        /// A column of integers to read: any of eight types, contiguous or strided, forwards or backwards.
        #[derive(Clone, Copy, Debug)]
        pub enum IntView<'a> {
            $(#[doc = concat!("`", stringify!($t), "`")] $variant(ArrayView1<'a, $t>)),*
        }

        /// A column of integers to write: any of eight types, contiguous or strided, forwards or backwards.
        #[derive(Debug)]
        pub enum IntViewMut<'a> {
            $(#[doc = concat!("`", stringify!($t), "`")] $variant(ArrayViewMut1<'a, $t>)),*
        }

        $(impl<'a> From<ArrayView1<'a, $t>> for IntView<'a> {
            fn from(view: ArrayView1<'a, $t>) -> Self { Self::$variant(view) }
        }
        impl<'a> From<&'a [$t]> for IntView<'a> {
            fn from(values: &'a [$t]) -> Self { Self::$variant(ArrayView1::from(values)) }
        }
        impl<'a> From<ArrayViewMut1<'a, $t>> for IntViewMut<'a> {
            fn from(view: ArrayViewMut1<'a, $t>) -> Self { Self::$variant(view) }
        }
        impl<'a> From<&'a mut [$t]> for IntViewMut<'a> {
            fn from(values: &'a mut [$t]) -> Self { Self::$variant(ArrayViewMut1::from(values)) }
        }
        impl<'a> From<ArrayView1<'a, $t>> for PackColumn<'a> {
            fn from(view: ArrayView1<'a, $t>) -> Self { Self::from(IntView::$variant(view)) }
        }
        impl<'a> From<&'a [$t]> for PackColumn<'a> {
            fn from(values: &'a [$t]) -> Self { Self::from(IntView::from(values)) }
        }
        impl<'a> From<&'a Vec<$t>> for PackColumn<'a> {
            fn from(values: &'a Vec<$t>) -> Self { Self::from(IntView::from(values.as_slice())) }
        })*

        /// The integers of an Arrow array, when it is one of integers.
        fn arrow_integers(array: &dyn Array) -> Option<IntView<'_>> {
            match array.data_type() {
                $(DataType::$data_type => Some(IntView::$variant(ArrayView1::from(&**array.as_primitive::<$arrow>().values()))),)*
                _ => None,
            }
        }

        /// The keys of a dictionary array, its values, and which keys are null.
        fn arrow_keys(array: &dyn Array) -> Option<(IntView<'_>, &dyn Array)> {
            let DataType::Dictionary(keys, _) = array.data_type() else { return None };
            match &**keys {
                $(DataType::$data_type => {
                    let dictionary = array.as_dictionary::<$arrow>();
                    let keys: &[<$arrow as KeyNative>::Native] = dictionary.keys().values();
                    Some((IntView::$variant(ArrayView1::from(keys)), &**dictionary.values()))
                })*
                _ => None,
            }
        }
    };
}

/// The integer type of a dictionary's keys.
trait KeyNative {
    type Native;
}

impl<K: ArrowDictionaryKeyType> KeyNative for K {
    type Native = K::Native;
}

integers! {
    I8 i8 Int8 Int8Type, I16 i16 Int16 Int16Type, I32 i32 Int32 Int32Type, I64 i64 Int64 Int64Type,
    U8 u8 UInt8 UInt8Type, U16 u16 UInt16 UInt16Type, U32 u32 UInt32 UInt32Type, U64 u64 UInt64 UInt64Type,
}

impl IntView<'_> {
    /// Number of rows.
    pub fn len(&self) -> usize {
        with_view!(Self, self, v => v.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of the type, `u16`.
    pub fn type_name(&self) -> &'static str {
        fn name<T: Int>(_: &ArrayView1<'_, T>) -> &'static str {
            T::NAME
        }
        with_view!(Self, self, v => name(v))
    }

    /// The column in place, when it is of 64-bit integers that lie side by side.
    pub(super) fn words(&self) -> Option<&[u64]> {
        match self {
            Self::U64(v) => v.as_slice(),
            Self::I64(v) => v.as_slice().map(bytemuck::cast_slice),
            _ => None,
        }
    }

    /// The value of a row.
    pub(super) fn exact(&self, row: usize) -> i128 {
        with_view!(Self, self, v => v.get(row).map_or(0, |v| i128::from(*v)))
    }

    /// The smallest and the largest value of the type.
    pub(super) fn range(&self) -> (i128, i128) {
        fn range<T: Int>(_: &ArrayView1<'_, T>) -> (i128, i128) {
            (T::LEAST, T::MOST)
        }
        with_view!(Self, self, v => range(v))
    }
}

impl IntViewMut<'_> {
    /// Number of rows.
    pub fn len(&self) -> usize {
        with_view!(Self, self, v => v.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of the type, `u16`.
    pub fn type_name(&self) -> &'static str {
        fn name<T: Int>(_: &ArrayViewMut1<'_, T>) -> &'static str {
            T::NAME
        }
        with_view!(Self, self, v => name(v))
    }

    /// The smallest and the largest value of the type.
    pub(super) fn range(&self) -> (i128, i128) {
        fn range<T: Int>(_: &ArrayViewMut1<'_, T>) -> (i128, i128) {
            (T::LEAST, T::MOST)
        }
        with_view!(Self, self, v => range(v))
    }

    /// The rows before `at` and those from there on.
    pub(super) fn split_at(self, at: usize) -> (Self, Self) {
        with_view!(Self, self, v => {
            let (a, b) = v.split_at(Axis(0), at);
            (a.into(), b.into())
        })
    }

    /// Some of the rows.
    pub(super) fn slice(&mut self, rows: Range<usize>) -> IntViewMut<'_> {
        with_view!(Self, self, v => v.slice_axis_mut(Axis(0), Slice::from(rows)).into())
    }

    /// No rows.
    pub(super) fn empty() -> Self {
        Self::U8(ArrayViewMut1::from(&mut []))
    }
}

/// Texts of a column.
#[derive(Clone, Copy, Debug)]
pub(super) enum Texts<'a> {
    Slice(&'a [&'a str]),
    Utf8(&'a StringArray),
    LargeUtf8(&'a LargeStringArray),
    Utf8View(&'a StringViewArray),
}

impl<'a> Texts<'a> {
    fn arrow(array: &'a dyn Array) -> Option<Self> {
        match array.data_type() {
            DataType::Utf8 => Some(Self::Utf8(array.as_string())),
            DataType::LargeUtf8 => Some(Self::LargeUtf8(array.as_string())),
            DataType::Utf8View => Some(Self::Utf8View(array.as_string_view())),
            _ => None,
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Slice(t) => t.len(),
            Self::Utf8(t) => t.len(),
            Self::LargeUtf8(t) => t.len(),
            Self::Utf8View(t) => t.len(),
        }
    }

    /// The text of a row that exists.
    pub(super) fn text(&self, row: usize) -> &'a str {
        match self {
            Self::Slice(t) => t.get(row).copied().unwrap_or_default(),
            Self::Utf8(t) => t.value(row),
            Self::LargeUtf8(t) => t.value(row),
            Self::Utf8View(t) => t.value(row),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Values<'a> {
    Integers(IntView<'a>),
    Keys(IntView<'a>, Arc<[Option<Arc<str>>]>),
    Texts(Texts<'a>),
    Value(DimensionValue),
    Null,
}

/// A column to pack or to unpack, borrowed: integers of any type, contiguous or strided; texts; texts by keys of a
/// dictionary; or one value for all rows. Arrow arrays bring their nulls.
///
/// ```
/// use bunter::PackColumn;
/// use ndarray::{array, s};
///
/// let contiguous = vec![1_u16, 2, 3];
/// let strided = array![1_i64, 0, 2, 0, 3, 0];
/// let columns = [PackColumn::from(&contiguous), PackColumn::from(strided.slice(s![..;2])), PackColumn::value(7)];
/// assert_eq!(columns.map(|c| c.len()), [Some(3), Some(3), None]);
/// ```
#[derive(Clone, Debug)]
pub struct PackColumn<'a> {
    pub(super) values: Values<'a>,
    pub(super) nulls: Option<NullBuffer>,
}

impl<'a> From<IntView<'a>> for PackColumn<'a> {
    fn from(view: IntView<'a>) -> Self {
        Self { values: Values::Integers(view), nulls: None }
    }
}

impl<'a> PackColumn<'a> {
    /// The same value in every row.
    pub fn value(value: impl Into<DimensionValue>) -> Self {
        Self { values: Values::Value(value.into()), nulls: None }
    }

    /// Texts.
    pub fn texts(texts: &'a [&'a str]) -> Self {
        Self { values: Values::Texts(Texts::Slice(texts)), nulls: None }
    }

    /// Texts by their positions in `names`; `None` there is a null.
    pub fn keys(keys: impl Into<IntView<'a>>, names: impl Into<Arc<[Option<Arc<str>>]>>) -> Self {
        Self { values: Values::Keys(keys.into(), names.into()), nulls: None }
    }

    /// An Arrow array of integers, texts, or a dictionary of texts, with its nulls.
    ///
    /// # Errors
    /// [`PackError::WrongType`] for another type.
    pub fn arrow(name: &str, array: &'a dyn Array) -> Result<Self, PackError> {
        let wrong = |array: &dyn Array| PackError::WrongType {
            name: name.to_owned(),
            expected: "integers, texts or a dictionary of texts",
            found: array.data_type().to_string(),
        };
        let values = if let Some(view) = arrow_integers(array) {
            Values::Integers(view)
        } else if let Some(texts) = Texts::arrow(array) {
            Values::Texts(texts)
        } else if let Some((keys, values)) = arrow_keys(array) {
            let texts = Texts::arrow(values).ok_or_else(|| wrong(array))?;
            let names = (0..texts.len()).map(|i| values.is_valid(i).then(|| Arc::from(texts.text(i)))).collect();
            Values::Keys(keys, names)
        } else if array.data_type() == &DataType::Null {
            return Ok(Self { values: Values::Null, nulls: Some(NullBuffer::new_null(array.len())) });
        } else {
            return Err(wrong(array));
        };
        Ok(Self { values, nulls: array.nulls().filter(|n| n.null_count() > 0).cloned() })
    }

    /// The same column without the rows where `missing` is true: they are nulls.
    ///
    /// # Errors
    /// [`PackError::Length`] when the mask has another length than the column; [`PackError::WrongType`] for a single value.
    pub fn with_missing(mut self, missing: &[bool]) -> Result<Self, PackError> {
        if let Values::Value(_) = &self.values {
            let name = "a masked column".to_owned();
            return Err(PackError::WrongType { name, expected: "a value a row", found: self.type_name() });
        }
        if let Some(expected) = self.len().filter(|n| *n != missing.len()) {
            return Err(PackError::Length { name: "the mask".to_owned(), found: missing.len(), expected });
        }
        let more: NullBuffer = missing.iter().map(|m| !m).collect();
        self.nulls = NullBuffer::union(self.nulls.as_ref(), Some(&more)).filter(|n| n.null_count() > 0);
        Ok(self)
    }

    /// Number of rows; `None` for one value that stands in every row.
    pub fn len(&self) -> Option<usize> {
        match &self.values {
            Values::Integers(view) | Values::Keys(view, _) => Some(view.len()),
            Values::Texts(texts) => Some(texts.len()),
            Values::Value(_) | Values::Null => self.nulls.as_ref().map(NullBuffer::len),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// What it holds, for messages.
    pub(super) fn type_name(&self) -> String {
        match &self.values {
            Values::Integers(view) => format!("a column of {}", view.type_name()),
            Values::Keys(..) | Values::Texts(_) => "a column of texts".to_owned(),
            Values::Value(DimensionValue::Int(v)) => format!("the integer {v}"),
            Values::Value(DimensionValue::Str(v)) => format!("the text {v:?}"),
            Values::Null => "a column of nulls".to_owned(),
        }
    }
}

/// Finds the integer of a text, quickly when it is the one of the row before.
pub(super) struct TextCodes<'a> {
    codes: &'a HashMap<Arc<str>, u64>,
    last: Option<(&'a str, u64)>,
}

impl<'a> TextCodes<'a> {
    pub(super) fn new(codes: &'a HashMap<Arc<str>, u64>) -> Self {
        Self { codes, last: None }
    }

    /// The integer, or `u64::MAX` for a text without one.
    pub(super) fn code(&mut self, text: &'a str) -> u64 {
        if let Some((last, code)) = self.last
            && last == text
        {
            return code;
        }
        let code = self.codes.get(text).copied().unwrap_or(u64::MAX);
        self.last = Some((text, code));
        code
    }
}
