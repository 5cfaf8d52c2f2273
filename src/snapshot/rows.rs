//! Rows of a stored table with the records that they lead to: choosing and ordering by names of dimensions and metadata.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use arrow::error::ArrowError;

use super::registry_view::{RegistryView, store};
use super::{keys, mask};
use crate::dimension::{Element, Expression, ResolvedColumn, Scope, Universe};
use crate::registry::{OrderBy, Query, RegistryError};

/// A stored table, seen through the names that may be used of it.
pub(super) struct Rows<'a> {
    view: &'a RegistryView,
    scope: &'a Scope,
    batch: &'a RecordBatch,
    /// The element whose records these are.
    own: Option<&'static Element>,
    /// For each row the record of another element that it leads to.
    joined: RefCell<BTreeMap<&'static str, UInt64Array>>,
}

/// An error of a row operation, from Arrow or from the registry's names.
enum RowError {
    Arrow(ArrowError),
    Registry(RegistryError),
}

impl From<ArrowError> for RowError {
    fn from(e: ArrowError) -> Self {
        Self::Arrow(e)
    }
}

impl From<RegistryError> for RowError {
    fn from(e: RegistryError) -> Self {
        Self::Registry(e)
    }
}

impl From<RowError> for RegistryError {
    fn from(e: RowError) -> Self {
        match e {
            RowError::Arrow(e) => store("comparing columns of a snapshot", e),
            RowError::Registry(e) => e,
        }
    }
}

impl<'a> Rows<'a> {
    pub(super) fn new(
        view: &'a RegistryView,
        scope: &'a Scope,
        batch: &'a RecordBatch,
        own: Option<&'static Element>,
    ) -> Self {
        Self { view, scope, batch, own, joined: RefCell::default() }
    }

    /// The rows that a query asks for, in its order. `candidates` are the rows to choose from, in the default order; all
    /// rows where it is `None`.
    pub(super) fn chosen(&self, query: &Query, candidates: Option<Vec<u64>>) -> Result<UInt64Array, RegistryError> {
        let mut rows = candidates.unwrap_or_else(|| (0..self.batch.num_rows() as u64).collect());
        if let Some(filter) = &query.filter {
            self.scope.check(filter)?;
            let mask = self.mask(filter)?;
            rows.retain(|row| mask.is_valid(*row as usize) && mask.value(*row as usize));
        }
        if !query.order_by.is_empty() {
            let keys = query.order_by.iter().map(|key| self.sort_key(key)).collect::<Result<Vec<_>, _>>()?;
            rows.sort_by(|a, b| {
                let by = |key: &SortKey| key.compare(*a as usize, *b as usize);
                keys.iter().map(by).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
            });
        }
        rows.truncate(query.limit.unwrap_or(usize::MAX));
        Ok(rows.into())
    }

    fn mask(&self, filter: &Expression) -> Result<BooleanArray, RegistryError> {
        let column = |element: &str, field: Option<&str>| -> Result<ArrayRef, RowError> {
            let resolved = self.scope.resolve(element, field).map_err(RegistryError::from)?;
            self.column(&resolved)
        };
        Ok(mask::evaluate(filter, self.batch.num_rows(), &column)?)
    }

    fn column(&self, resolved: &ResolvedColumn) -> Result<ArrayRef, RowError> {
        if resolved.column.is_none() {
            return self.dimension(resolved.element.name);
        }
        if self.own.is_some_and(|own| own.name == resolved.element.name) {
            return Ok(present(self.batch, resolved.name())?);
        }
        self.through(resolved.element, resolved.name())
    }

    /// The values of a dimension, by its name.
    pub(super) fn dimension_column(&self, name: &str) -> Result<ArrayRef, RegistryError> {
        let element = Universe::builtin().element(name)?;
        Ok(self.dimension(element.name)?)
    }

    /// The values of a dimension: a column, or fixed by the record of another.
    fn dimension(&self, name: &'static str) -> Result<ArrayRef, RowError> {
        if let Some(column) = self.batch.column_by_name(name) {
            return Ok(column.clone());
        }
        match self.scope.group().elements().find(|e| e.implied.contains(&name)) {
            Some(holder) => self.through(holder, name),
            None => Err(store("filtering a snapshot", format!("nothing leads to `{name}`")).into()),
        }
    }

    /// A column of the records of an element that the rows lead to; null where there is no record.
    fn through(&self, element: &'static Element, name: &str) -> Result<ArrayRef, RowError> {
        let (records, _) = self.view.records(element)?;
        let known = self.joined.borrow().get(element.name).cloned();
        let indices = if let Some(indices) = known {
            indices
        } else {
            let indices = self.join(element)?;
            self.joined.borrow_mut().insert(element.name, indices.clone());
            indices
        };
        Ok(take(&present(records, name)?, &indices, None)?)
    }

    /// For each row the record of an element with its key.
    fn join(&self, element: &'static Element) -> Result<UInt64Array, RowError> {
        let (_, keys) = self.view.records(element)?;
        let sides = element.required.iter().zip(&keys.columns).map(|(name, right)| {
            let left = self.dimension(name)?;
            Ok(Side::new(&left, right)?)
        });
        let sides = sides.collect::<Result<Vec<_>, RowError>>()?;
        let mut codes = vec![0; sides.len()];
        // Neighbouring rows often lead to the same record.
        let mut last: Option<(Vec<i64>, Option<u64>)> = None;
        let find = |row: usize| {
            for (code, side) in codes.iter_mut().zip(&sides) {
                *code = side.code(row)?;
            }
            if let Some((same, found)) = &last
                && *same == codes
            {
                return *found;
            }
            let found = keys.first(&codes).map(|row| row as u64);
            match &mut last {
                Some((same, value)) => {
                    same.clone_from(&codes);
                    *value = found;
                }
                None => last = Some((codes.clone(), found)),
            }
            found
        };
        Ok((0..self.batch.num_rows()).map(find).collect())
    }

    fn sort_key(&self, key: &OrderBy) -> Result<SortKey, RegistryError> {
        let resolved = self.scope.resolve(&key.element, key.field.as_deref())?;
        let values = self.column(&resolved)?;
        Ok(SortKey { values, descending: key.descending })
    }
}

/// One column of a join: values of the rows, as codes of the records' key column.
enum Side {
    Int(arrow::array::Int64Array),
    Text(arrow::array::Int32Array, Vec<Option<i64>>),
}

impl Side {
    fn new(left: &ArrayRef, right: &keys::KeyColumn) -> Result<Self, ArrowError> {
        if let Some(values) = left.as_primitive_opt::<Int64Type>() {
            return Ok(Self::Int(values.clone()));
        }
        let (codes, texts) = keys::dictionary(left)
            .ok_or_else(|| ArrowError::SchemaError(format!("a key column is {}", left.data_type())))?;
        let code_of = |text: Option<&str>| right.code_of(&text?.into());
        Ok(Self::Text(codes, texts.iter().map(code_of).collect()))
    }

    fn code(&self, row: usize) -> Option<i64> {
        match self {
            Self::Int(values) => values.is_valid(row).then(|| values.value(row)),
            Self::Text(codes, map) if codes.is_valid(row) => map.get(codes.value(row) as usize).copied().flatten(),
            Self::Text(..) => None,
        }
    }
}

struct SortKey {
    values: ArrayRef,
    descending: bool,
}

impl SortKey {
    fn compare(&self, a: usize, b: usize) -> Ordering {
        let values = &self.values;
        match (values.is_valid(a), values.is_valid(b)) {
            (true, true) => {}
            // Absent values come last in either direction.
            (present, other) => return other.cmp(&present),
        }
        let ordering = match values.data_type() {
            DataType::Int64 => {
                let v = values.as_primitive::<Int64Type>();
                v.value(a).cmp(&v.value(b))
            }
            DataType::Float64 => {
                let v = values.as_primitive::<Float64Type>();
                v.value(a).partial_cmp(&v.value(b)).unwrap_or(Ordering::Equal)
            }
            DataType::Utf8 => {
                let v = values.as_string::<i32>();
                v.value(a).cmp(v.value(b))
            }
            DataType::Binary => {
                let v = values.as_binary::<i32>();
                v.value(a).cmp(v.value(b))
            }
            // Dictionaries of key columns are sorted: codes compare as texts do.
            DataType::Dictionary(..) => {
                let v = values.as_dictionary::<arrow::datatypes::Int32Type>().keys();
                v.value(a).cmp(&v.value(b))
            }
            _ => Ordering::Equal,
        };
        if self.descending { ordering.reverse() } else { ordering }
    }
}

fn present(batch: &RecordBatch, name: &str) -> Result<ArrayRef, ArrowError> {
    let column = batch.column_by_name(name);
    column.cloned().ok_or_else(|| ArrowError::SchemaError(format!("there is no column `{name}`")))
}

/// Whether indices go up one by one from zero, so that taking them changes nothing.
pub(super) fn ordered(rows: &UInt64Array) -> bool {
    rows.values().iter().enumerate().all(|(i, row)| i as u64 == *row)
}
