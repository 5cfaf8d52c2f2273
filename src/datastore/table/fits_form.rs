//! Columns of FITS binary tables: forms, scaling and places in a row (FITS standard 4.0, section 7.3).

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field};

use super::nested::wrapped_type;
use crate::wcs::Header;

/// What the elements of a column are, in the file and in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Element {
    Logical,
    Bit,
    /// Integers as they are, or with the sign bit turned over (`TZERO`): signed bytes, unsigned others.
    Integer {
        bytes: u8,
        turned: bool,
    },
    F32,
    F64,
    /// Integers (of `bytes`) or reals (`bytes` negative) that become `f64` by `value * scale + zero`.
    Scaled {
        bytes: i8,
        scale: f64,
        zero: f64,
    },
    /// Texts of so many bytes.
    Text(usize),
}

impl Element {
    /// Bytes of an element in the file; of a bit, none of its own.
    pub(super) fn size(self) -> usize {
        match self {
            Self::Logical => 1,
            Self::Bit => 0,
            Self::Integer { bytes, .. } => usize::from(bytes),
            Self::Scaled { bytes, .. } => usize::from(bytes.unsigned_abs()),
            Self::F32 => 4,
            Self::F64 => 8,
            Self::Text(width) => width,
        }
    }

    pub(super) fn data_type(self) -> DataType {
        match self {
            Self::Logical | Self::Bit => DataType::Boolean,
            // Bytes are unsigned in FITS, all other integers signed.
            Self::Integer { bytes, turned } => match (bytes, turned) {
                (1, false) => DataType::UInt8,
                (1, true) => DataType::Int8,
                (2, false) => DataType::Int16,
                (2, true) => DataType::UInt16,
                (4, false) => DataType::Int32,
                (4, true) => DataType::UInt32,
                (_, false) => DataType::Int64,
                (_, true) => DataType::UInt64,
            },
            Self::F32 => DataType::Float32,
            Self::F64 | Self::Scaled { .. } => DataType::Float64,
            Self::Text(_) => DataType::Utf8,
        }
    }
}

/// A column as the header says it.
#[derive(Clone, Debug)]
pub(super) struct FitsColumn {
    /// Name, Arrow type, and the column's other keywords as metadata.
    pub(super) field: Field,
    pub(super) element: Element,
    /// Dimensions of a cell, slowest first; none for a single value.
    pub(super) dims: Vec<usize>,
    /// Elements of a cell that lies in the row.
    pub(super) repeat: usize,
    /// Cells lie in the heap; whether their descriptors are of 64 bits.
    pub(super) heap: Option<bool>,
    /// Where the column begins in a row, and its bytes there.
    pub(super) offset: usize,
    pub(super) width: usize,
    /// The stored integer that stands for no value.
    pub(super) null: Option<i64>,
    /// The type that the writer of the file had, when FITS has none like it.
    pub(super) arrow: Option<DataType>,
}

/// `TFORMn` in parts: repeat, letter, and whether cells are in the heap, by descriptors of 64 bits.
pub(super) fn parse_form(form: &str) -> Result<(usize, u8, Option<bool>), String> {
    let text = form.trim();
    let wrong = || format!("`{text}` is no form of a column");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    let repeat = if number.is_empty() { 1 } else { number.parse().map_err(|_| wrong())? };
    let &letter = rest.as_bytes().first().ok_or_else(wrong)?;
    let rest = rest.get(1..).ok_or_else(wrong)?;
    let known = |letter: u8| b"LXBIJKAEDCM".contains(&letter);
    if !matches!(letter, b'P' | b'Q') {
        return if known(letter) { Ok((repeat, letter, None)) } else { Err(wrong()) };
    }
    let &inner = rest.as_bytes().first().ok_or_else(wrong)?;
    let size = rest.get(1..).ok_or_else(wrong)?.trim();
    let sized = size.is_empty()
        || size.strip_prefix('(').and_then(|s| s.strip_suffix(')')).is_some_and(|s| s.trim().parse::<u64>().is_ok());
    if !known(inner) || repeat > 1 || !sized {
        return Err(wrong());
    }
    Ok((repeat, inner, Some(letter == b'Q')))
}

/// `TDIMn`: `(fast,..,slow)`, as dimensions slowest first.
fn parse_dims(text: &str) -> Option<Vec<usize>> {
    let inner = text.trim().strip_prefix('(')?.strip_suffix(')')?;
    inner.rsplit(',').map(|n| n.trim().parse().ok()).collect()
}

/// Keywords of a column that its field keeps, and under what name.
pub(super) const KEPT: [(&str, &str); 4] =
    [("TUNIT", "unit"), ("TCOMM", "description"), ("TUCD", "ucd"), ("TUTYP", "utype")];
/// The column's metadata of other origin, one JSON object.
pub(super) const FIELD_METADATA: &str = "FMETA";
/// The name under which [`FIELD_METADATA`] keeps an Arrow type.
pub(super) const ARROW_TYPE: &str = "arrow_type";
/// How metadata that are cards of a FITS header begin.
pub(super) const RAW: &str = "fits:";
/// The letter of a column that has another one than its type would get.
pub(super) const LETTER: &str = "fits:letter";
/// The bytes of a text, where they are more than the longest one has.
pub(super) const WIDTH: &str = "fits:width";

/// Column `n` (from 1) of a header, beginning at `offset` of a row. `metadata` are its further cards.
#[expect(clippy::too_many_lines, reason = "a card after the other, in the order of the standard")]
pub(super) fn column(
    header: &Header,
    n: usize,
    offset: usize,
    mut metadata: HashMap<String, String>,
) -> Result<FitsColumn, String> {
    let text = |stem: &str| header.get(&format!("{stem}{n}")).and_then(|v| v.as_str());
    let form = text("TFORM").ok_or_else(|| format!("no TFORM{n} card that is a text"))?;
    let (repeat, letter, heap) = parse_form(form).map_err(|e| format!("TFORM{n} {e}"))?;
    let real = |stem: &str, default: f64| -> Result<f64, String> {
        let Some(value) = header.get(&format!("{stem}{n}")) else { return Ok(default) };
        let number = value.as_f64().filter(|v| v.is_finite());
        number.ok_or_else(|| format!("{stem}{n} is no number"))
    };
    let (scale, zero) = (real("TSCAL", 1.0)?, real("TZERO", 0.0)?);
    #[expect(clippy::float_cmp, reason = "the numbers that mean something are exact")]
    let element = {
        let plain = scale == 1.0 && zero == 0.0;
        let integer = |bytes: u8| {
            let turn = if bytes == 1 { -128.0 } else { 2.0_f64.powi(i32::from(bytes) * 8 - 1) };
            if plain || (scale == 1.0 && zero == turn) {
                Element::Integer { bytes, turned: !plain }
            } else {
                Element::Scaled { bytes: bytes as i8, scale, zero }
            }
        };
        let real = |bytes: i8, element| if plain { element } else { Element::Scaled { bytes: -bytes, scale, zero } };
        match letter {
            b'L' => Element::Logical,
            b'X' => Element::Bit,
            b'B' => integer(1),
            b'I' => integer(2),
            b'J' => integer(4),
            b'K' => integer(8),
            b'E' | b'C' => real(4, Element::F32),
            b'D' | b'M' => real(8, Element::F64),
            _ => Element::Text(repeat),
        }
    };
    let complex = matches!(letter, b'C' | b'M');
    if complex && matches!(element, Element::Scaled { .. }) {
        return Err(format!("column {n} is a scaled complex number, which is not read"));
    }
    let dims = text("TDIM").map(|t| parse_dims(t).ok_or_else(|| format!("TDIM{n} `{t}` is no list of lengths")));
    let dims = dims.transpose()?;
    let huge = || format!("TFORM{n} `{form}` gives more bytes than a row can have");
    let (mut element, mut dims, mut elements) = (element, dims.unwrap_or_default(), repeat);
    if let Element::Text(width) = element {
        // The fastest dimension of texts is their length.
        elements = 1;
        if heap.is_none() && dims.len() > 1 {
            let length = dims.pop().unwrap_or(width);
            elements = dims.iter().try_fold(1_usize, |a, b| a.checked_mul(*b)).ok_or_else(huge)?;
            if elements.checked_mul(length) != Some(width) {
                return Err(format!("TDIM{n} does not give the {width} bytes of TFORM{n}"));
            }
            element = Element::Text(length);
        } else {
            dims.clear();
        }
    } else if heap.is_some() {
        // The cells are of different lengths: a shape for all of them cannot be.
        dims.clear();
    } else if dims.iter().try_fold(1_usize, |a, b| a.checked_mul(*b)).is_none_or(|n| n != repeat) || dims.len() == 1 {
        // The standard lets a reader leave a shape out that does not fit.
        dims = if repeat == 1 { Vec::new() } else { vec![repeat] };
    }
    if complex {
        dims.push(2);
        elements = elements.checked_mul(2).ok_or_else(huge)?;
    }
    let width = match (heap, element) {
        (Some(wide), _) => repeat * if wide { 16 } else { 8 },
        (None, Element::Bit) => repeat.div_ceil(8),
        (None, element) => elements.checked_mul(element.size()).ok_or_else(huge)?,
    };
    let null = match (header.get(&format!("TNULL{n}")), element) {
        (Some(value), Element::Integer { .. } | Element::Scaled { bytes: 1.., .. }) => {
            Some(value.as_i64().ok_or_else(|| format!("TNULL{n} is no integer"))?)
        }
        _ => None,
    };
    for (stem, name) in KEPT {
        if let Some(text) = text(stem) {
            metadata.insert(name.to_owned(), text.to_owned());
        }
    }
    let mut arrow = None;
    if let Some(more) = text(FIELD_METADATA) {
        let more: HashMap<String, String> =
            serde_json::from_str(more).map_err(|e| format!("{FIELD_METADATA}{n} is no JSON of texts: {e}"))?;
        metadata.extend(more);
        if let Some(name) = metadata.remove(ARROW_TYPE) {
            arrow = Some(name.parse().map_err(|_| format!("{FIELD_METADATA}{n} names no Arrow type: `{name}`"))?);
        }
    }
    if matches!(letter, b'X' | b'C' | b'M') {
        metadata.insert(LETTER.to_owned(), char::from(letter).to_string());
    }
    if let (Element::Text(width), None) = (element, heap) {
        metadata.insert(WIDTH.to_owned(), width.to_string());
    }
    if let Some(null) = null {
        metadata.insert(format!("{RAW}TNULL"), null.to_string());
    }
    let name = text("TTYPE").map_or_else(|| format!("col{n}"), str::to_owned);
    let own = wrapped_type(&element.data_type(), &dims);
    let own = match (heap, element) {
        (Some(_), Element::Text(_)) | (None, _) => own,
        (Some(_), _) => DataType::List(std::sync::Arc::new(Field::new_list_field(own, true))),
    };
    if let Some(wanted) = &arrow
        && !arrow::compute::can_cast_types(&own, wanted)
    {
        return Err(format!("column {n} is {own} and cannot be the {wanted} that {FIELD_METADATA}{n} says"));
    }
    let field = Field::new(name, arrow.clone().unwrap_or(own), true).with_metadata(metadata);
    Ok(FitsColumn { field, element, dims, repeat: elements, heap, offset, width, null, arrow })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        assert_eq!(parse_form("J"), Ok((1, b'J', None)));
        assert_eq!(parse_form("12A   "), Ok((12, b'A', None)));
        assert_eq!(parse_form("20A10"), Ok((20, b'A', None)));
        assert_eq!(parse_form("0D"), Ok((0, b'D', None)));
        assert_eq!(parse_form("1PE(7)"), Ok((1, b'E', Some(false))));
        assert_eq!(parse_form("QK"), Ok((1, b'K', Some(true))));
        for wrong in ["", "7", "Z", "2PJ", "PP", "P", "1PJ(", "1PJ(x)", "99999999999999999999J", "-1J", "é", "1é", "Pé"]
        {
            assert!(parse_form(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_dims("(3, 2)"), Some(vec![2, 3]));
        assert_eq!(parse_dims("3,2"), None);
        assert_eq!(parse_dims("(3,x)"), None);
    }
}
