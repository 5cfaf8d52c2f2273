//! Names of the tables in which a snapshot keeps what a registry knows, and of their columns.

use arrow::datatypes::DataType;

/// `name`, `dimensions` (names with commas between), `storage_class`.
pub(super) const DATASET_TYPES: &str = "dataset_types";
/// `name`, `type` (code).
pub(super) const COLLECTIONS: &str = "collections";
/// `parent`, `child`, in the order of search.
pub(super) const CHAINS: &str = "chains";
/// `id` sorted, `dataset_type`, `row` of the table of that type.
pub(super) const DATASET_IDS: &str = "dataset_ids";
/// `id` sorted, `path`, `format` (JSON), `size`, `checksum`.
pub(super) const FILES: &str = "files";
/// The column that says which collection a row of a table of datasets is about.
pub(super) const COLLECTION: &str = "collection";

/// The table of an element's records.
pub(super) fn element(name: &str) -> String {
    format!("dimension/{name}")
}

/// The table of a type's datasets.
pub(super) fn datasets(dataset_type: &str) -> String {
    format!("datasets/{dataset_type}")
}

/// The table of the validity ranges of a type's datasets.
pub(super) fn calibrations(dataset_type: &str) -> String {
    format!("calibrations/{dataset_type}")
}

/// The type of a column in an answer.
pub(super) fn plain_type(stored: &DataType) -> DataType {
    match stored {
        DataType::Dictionary(_, value) => value.as_ref().clone(),
        other => other.clone(),
    }
}
