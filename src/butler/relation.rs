//! Tables of dimension values as relations: natural joins, and each row once.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::{take, take_record_batch};
use arrow::datatypes::{Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use rayon::prelude::*;
use xxhash_rust::xxh3::Xxh3;

use super::ButlerError;

/// Numbers that sort as the values of a column do; `None` for a column that is neither of integers nor of texts.
pub(super) fn codes(column: &ArrayRef) -> Option<Vec<i64>> {
    if let Some(numbers) = column.as_primitive_opt::<Int64Type>() {
        return Some(numbers.values().to_vec());
    }
    let texts = column.as_string_opt::<i32>()?;
    let mut distinct: Vec<&str> = texts.iter().flatten().collect();
    distinct.dedup();
    distinct.sort_unstable();
    distinct.dedup();
    Some(texts.iter().map(|text| text.map_or(-1, |t| distinct.partition_point(|d| *d < t) as i64)).collect())
}

/// For each row a number that rows with the same values in these columns share. 128 bits of a good hash: two rows that differ
/// have the same one in no survey.
fn fingerprints(batch: &RecordBatch, names: &[&str]) -> Vec<u128> {
    enum Values<'a> {
        Ints(&'a [i64]),
        Texts(&'a arrow::array::StringArray),
    }
    let columns: Vec<Values<'_>> = names
        .iter()
        .filter_map(|name| batch.column_by_name(name))
        .filter_map(|column| match column.as_primitive_opt::<Int64Type>() {
            Some(numbers) => Some(Values::Ints(numbers.values())),
            None => column.as_string_opt::<i32>().map(Values::Texts),
        })
        .collect();
    let fingerprint = |hash: &mut Xxh3, row: usize| {
        hash.reset();
        for column in &columns {
            match column {
                Values::Ints(values) => hash.update(&values[row].to_le_bytes()),
                Values::Texts(texts) => {
                    hash.update(texts.value(row).as_bytes());
                    hash.update(&[0]);
                }
            }
        }
        hash.digest128()
    };
    (0..batch.num_rows()).into_par_iter().map_init(Xxh3::new, fingerprint).collect()
}

/// The columns that two tables share.
pub(super) fn shared<'a>(a: &'a RecordBatch, b: &RecordBatch) -> Vec<&'a str> {
    let names = a.schema_ref().fields().iter().map(|f| f.name().as_str());
    names.filter(|name| b.schema_ref().index_of(name).is_ok()).collect()
}

/// All combinations of rows of two tables that agree in the columns which both have, with the columns of both; `None` when
/// there would be more than `most`.
pub(super) fn natural_join(
    a: &RecordBatch,
    b: &RecordBatch,
    most: usize,
) -> Result<Option<RecordBatch>, ButlerError> {
    let names = shared(a, b);
    let (ours, theirs) = (fingerprints(a, &names), fingerprints(b, &names));
    let mut rows: HashMap<u128, Vec<u32>> = HashMap::new();
    for (row, key) in theirs.iter().enumerate() {
        rows.entry(*key).or_default().push(row as u32);
    }
    let total: usize = ours.iter().map(|key| rows.get(key).map_or(0, Vec::len)).sum();
    if total > most {
        return Ok(None);
    }
    let (mut left, mut right) = (Vec::with_capacity(total), Vec::with_capacity(total));
    for (row, key) in ours.iter().enumerate() {
        for other in rows.get(key).into_iter().flatten() {
            left.push(row as u32);
            right.push(*other);
        }
    }
    let (left, right) = (UInt32Array::from(left), UInt32Array::from(right));
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (batch, rows, own) in [(a, &left, true), (b, &right, false)] {
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            if own || !names.contains(&field.name().as_str()) {
                fields.push(field.clone());
                columns.push(take(column, rows, None)?);
            }
        }
    }
    Ok(Some(RecordBatch::try_new(std::sync::Arc::new(Schema::new(fields)), columns)?))
}

/// Some columns of a table, in this order, each row once, sorted by them.
pub(super) fn distinct(batch: &RecordBatch, names: &[&str]) -> Result<RecordBatch, ButlerError> {
    let places = names.iter().map(|name| Ok(batch.schema_ref().index_of(name)?)).collect::<Result<Vec<_>, ButlerError>>()?;
    let batch = batch.project(&places)?;
    let codes: Vec<Vec<i64>> = batch.columns().iter().filter_map(codes).collect();
    let by = |a: u32, b: u32| {
        let orders = codes.iter().map(|code| code[a as usize].cmp(&code[b as usize]));
        orders.into_iter().find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    };
    let mut rows: Vec<u32> = (0..batch.num_rows() as u32).collect();
    if rows.windows(2).all(|pair| by(pair[0], pair[1]).is_lt()) {
        return Ok(batch);
    }
    rows.par_sort_unstable_by(|a, b| by(*a, *b));
    rows.dedup_by(|a, b| by(*a, *b).is_eq());
    Ok(take_record_batch(&batch, &UInt32Array::from(rows))?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use proptest::prelude::*;

    use super::*;

    fn table(first: &str, second: &str, rows: &[(u8, u8)]) -> RecordBatch {
        let texts = StringArray::from_iter_values(rows.iter().map(|r| format!("t{}", r.0)));
        let numbers = Int64Array::from_iter_values(rows.iter().map(|r| i64::from(r.1)));
        RecordBatch::try_from_iter([(first, Arc::new(texts) as ArrayRef), (second, Arc::new(numbers) as ArrayRef)])
            .unwrap()
    }

    fn rows(batch: &RecordBatch) -> Vec<String> {
        let mut rows: Vec<_> = (0..batch.num_rows()).map(|i| format!("{:?}", batch.slice(i, 1).columns())).collect();
        rows.sort();
        rows
    }

    proptest! {
        #[test]
        fn joins_are_those_of_two_loops(
            a in proptest::collection::vec((0..4_u8, 0..4_u8), 0..20),
            b in proptest::collection::vec((0..4_u8, 0..4_u8), 0..20),
        ) {
            let (left, right) = (table("x", "y", &a), table("x", "z", &b));
            let mut expected = 0;
            for p in &a {
                expected += b.iter().filter(|q| p.0 == q.0).count();
            }
            let joined = natural_join(&left, &right, 1000).unwrap().unwrap();
            prop_assert_eq!(joined.num_rows(), expected);
            prop_assert_eq!(joined.num_columns(), 3);
            prop_assert!(expected == 0 || natural_join(&left, &right, expected - 1).unwrap().is_none());
            // All columns shared: what is in both.
            let both = natural_join(&left, &left, 1000).unwrap().unwrap();
            let once = distinct(&both, &["x", "y"]).unwrap();
            let mut kept = a.clone();
            kept.sort_unstable();
            kept.dedup();
            prop_assert_eq!(rows(&once), rows(&table("x", "y", &kept)));
            prop_assert_eq!(rows(&distinct(&left, &["x", "y"]).unwrap()), rows(&once));
            // None shared: every row with every row.
            let product = natural_join(&left, &table("u", "v", &b), 1000).unwrap().unwrap();
            prop_assert_eq!(product.num_rows(), a.len() * b.len());
        }
    }
}
