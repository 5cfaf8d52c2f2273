//! Chooses rows of a table that is not part of a snapshot, by the same executor.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{SortColumn, SortOptions, filter_record_batch, lexsort_to_indices, take_record_batch};
use arrow::error::ArrowError;

use super::mask;
use crate::dimension::{DimensionError, Expression, Universe};
use crate::registry::{Query, RegistryError};

/// The rows of `batch` that a query asks for, in its order.
///
/// A dimension is the column of its name, and `element.field` the column `field`: for tables that were computed (a spatial
/// join, the patches of a sky map), where there is nothing to join with.
///
/// # Errors
/// [`RegistryError::Dimension`] for a name that is no dimension; [`RegistryError::Invalid`] for one that the table does not
/// have, and for values without a common order.
pub fn select(batch: &RecordBatch, query: &Query) -> Result<RecordBatch, RegistryError> {
    let mut rows = match &query.filter {
        Some(filter) => filter_rows(batch, filter)?,
        None => batch.clone(),
    };
    if !query.order_by.is_empty() {
        let keys = query
            .order_by
            .iter()
            .map(|key| {
                let values = column(&rows, &key.element, key.field.as_deref())?;
                let options = Some(SortOptions { descending: key.descending, nulls_first: false });
                Ok(SortColumn { values, options })
            })
            .collect::<Result<Vec<_>, Problem>>()
            .map_err(RegistryError::from)?;
        let indices = lexsort_to_indices(&keys, query.limit).map_err(invalid)?;
        rows = take_record_batch(&rows, &indices).map_err(invalid)?;
    }
    Ok(rows.slice(0, query.limit.unwrap_or(usize::MAX).min(rows.num_rows())))
}

/// The rows of `batch` for which an expression is true; names as in [`select`].
///
/// # Errors
/// As [`select`].
pub fn filter_rows(batch: &RecordBatch, filter: &Expression) -> Result<RecordBatch, RegistryError> {
    let truth = mask::evaluate(filter, batch.num_rows(), &|element, field| column(batch, element, field))
        .map_err(RegistryError::from)?;
    filter_record_batch(batch, &truth).map_err(invalid)
}

enum Problem {
    Arrow(ArrowError),
    Dimension(DimensionError),
    Absent(String, String),
}

impl From<ArrowError> for Problem {
    fn from(e: ArrowError) -> Self {
        Self::Arrow(e)
    }
}

impl From<Problem> for RegistryError {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Arrow(e) => invalid(e),
            Problem::Dimension(e) => e.into(),
            Problem::Absent(name, known) => Self::Invalid {
                what: format!("`{name}` in an expression over this table"),
                reason: format!("it has the columns {known}"),
            },
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` wants")]
fn invalid(e: ArrowError) -> RegistryError {
    RegistryError::Invalid { what: "a selection of rows".to_owned(), reason: e.to_string() }
}

fn column(batch: &RecordBatch, element: &str, field: Option<&str>) -> Result<ArrayRef, Problem> {
    let name = match Universe::builtin().element(element) {
        Ok(found) => match field {
            None => found.name,
            // The key itself, as in a scope.
            Some(field)
                if found.is_dimension()
                    && (field == found.name || field == "id" || field == "name" && found.column("name").is_err()) =>
            {
                found.name
            }
            Some(field) => found.column(field).map_err(Problem::Dimension)?.name,
        },
        // A column without its element.
        Err(_) if field.is_none() && batch.column_by_name(element).is_some() => element,
        Err(unknown) => return Err(Problem::Dimension(unknown)),
    };
    batch.column_by_name(name).cloned().ok_or_else(|| {
        let known = batch.schema().fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>().join(", ");
        Problem::Absent(name.to_owned(), known)
    })
}
