//! Key columns of stored tables: sorted rows, found by binary search.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Int32Type, Int64Type};

use crate::dimension::DimensionValue;

/// A column of dimension values without nulls. Texts are coded by a sorted dictionary, so that codes sort as texts do.
#[derive(Clone, Debug)]
pub(super) enum KeyColumn {
    Int(Int64Array),
    Text(Int32Array, StringArray),
}

impl KeyColumn {
    /// The column of this name, or what is wrong with it.
    pub(super) fn of(batch: &RecordBatch, name: &str) -> Result<Self, String> {
        let array = batch.column_by_name(name).ok_or_else(|| format!("there is no key column `{name}`"))?;
        if array.null_count() > 0 {
            return Err(format!("key column `{name}` has nulls"));
        }
        if let Some(integers) = array.as_primitive_opt::<Int64Type>() {
            return Ok(Self::Int(integers.clone()));
        }
        let (codes, texts) = dictionary(array).ok_or_else(|| {
            format!("key column `{name}` is {}, neither Int64 nor texts by dictionary", array.data_type())
        })?;
        if (1..texts.len()).any(|i| texts.value(i - 1) >= texts.value(i)) {
            return Err(format!("the dictionary of key column `{name}` is not sorted"));
        }
        Ok(Self::Text(codes, texts))
    }

    /// A number that sorts as the value does.
    #[inline]
    pub(super) fn code(&self, row: usize) -> i64 {
        match self {
            Self::Int(values) => values.value(row),
            Self::Text(codes, _) => i64::from(codes.value(row)),
        }
    }

    /// The code of a value, `None` when no row can have it.
    pub(super) fn code_of(&self, value: &DimensionValue) -> Option<i64> {
        match (self, value) {
            (Self::Int(_), DimensionValue::Int(v)) => Some(*v),
            (Self::Text(_, texts), DimensionValue::Str(s)) => find(texts, s).map(|i| i as i64),
            _ => None,
        }
    }

    /// The value of a row.
    pub(super) fn value(&self, row: usize) -> DimensionValue {
        match self {
            Self::Int(values) => DimensionValue::Int(values.value(row)),
            Self::Text(codes, texts) => texts.value(codes.value(row) as usize).into(),
        }
    }
}

/// Where a text is in a sorted dictionary.
pub(super) fn find(texts: &StringArray, text: &str) -> Option<usize> {
    let (mut low, mut high) = (0, texts.len());
    while low < high {
        let middle = low.midpoint(high);
        match texts.value(middle).cmp(text) {
            Ordering::Less => low = middle + 1,
            Ordering::Greater => high = middle,
            Ordering::Equal => return Some(middle),
        }
    }
    None
}

/// Codes and texts of a column by dictionary.
pub(super) fn dictionary(array: &dyn Array) -> Option<(Int32Array, StringArray)> {
    let array = array.as_any().downcast_ref::<DictionaryArray<Int32Type>>()?;
    Some((array.keys().clone(), array.values().as_string_opt::<i32>()?.clone()))
}

/// Several key columns, by which the rows are sorted.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) columns: Vec<KeyColumn>,
    pub(super) rows: usize,
}

impl Keys {
    pub(super) fn of(batch: &RecordBatch, names: &[&str]) -> Result<Self, String> {
        let columns = names.iter().map(|name| KeyColumn::of(batch, name)).collect::<Result<_, _>>()?;
        Ok(Self { columns, rows: batch.num_rows() })
    }

    /// How the key of a row compares with codes.
    #[inline]
    fn compare(&self, row: usize, codes: &[i64]) -> Ordering {
        for (column, code) in self.columns.iter().zip(codes) {
            match column.code(row).cmp(code) {
                Ordering::Equal => {}
                unequal => return unequal,
            }
        }
        Ordering::Equal
    }

    /// Whether two rows have the same key.
    pub(super) fn same(&self, a: usize, b: usize) -> bool {
        self.columns.iter().all(|c| c.code(a) == c.code(b))
    }

    /// The first row whose key has these codes or follows them.
    pub(super) fn lower_bound(&self, codes: &[i64]) -> usize {
        let (mut low, mut high) = (0, self.rows);
        while low < high {
            let middle = low.midpoint(high);
            if self.compare(middle, codes) == Ordering::Less { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// The first row with these codes.
    pub(super) fn first(&self, codes: &[i64]) -> Option<usize> {
        let row = self.lower_bound(codes);
        (row < self.rows && self.compare(row, codes) == Ordering::Equal).then_some(row)
    }

    /// The rows with these codes.
    pub(super) fn range(&self, codes: &[i64]) -> Range<usize> {
        let start = self.lower_bound(codes);
        let equal = (start..self.rows).take_while(|row| self.compare(*row, codes) == Ordering::Equal);
        start..start + equal.count()
    }
}

/// Texts by a sorted dictionary of those that occur.
pub(super) fn encode(texts: &StringArray) -> DictionaryArray<Int32Type> {
    let mut sorted: Vec<&str> = texts.iter().flatten().collect();
    if texts.len() > 1 {
        // Most columns repeat a handful of texts in runs: dropping repeats first keeps the sort small.
        sorted.dedup();
        sorted.sort_unstable();
        sorted.dedup();
    }
    let mut last: Option<(&str, i32)> = None;
    let codes: Int32Array = texts
        .iter()
        .map(|text| {
            let text = text?;
            let code = match last {
                Some((same, code)) if same == text => code,
                _ => i32::try_from(sorted.partition_point(|s| *s < text)).ok()?,
            };
            last = Some((text, code));
            Some(code)
        })
        .collect();
    let values: StringArray = sorted.iter().copied().map(Some).collect();
    DictionaryArray::new(codes, Arc::new(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_sort_as_texts_do() {
        let texts: StringArray = [Some("r"), Some("r"), None, Some("HSC-I"), Some(""), Some("r")].into_iter().collect();
        let encoded = encode(&texts);
        assert_eq!(encoded.values().as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["", "HSC-I", "r"]);
        let back = encoded.downcast_dict::<StringArray>().unwrap().into_iter().collect::<StringArray>();
        assert_eq!(back, texts);
    }
}
