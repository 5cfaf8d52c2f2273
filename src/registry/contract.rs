//! [`RegistryReader`]: the questions that a registry and a snapshot answer alike.

use arrow::record_batch::RecordBatch;
use uuid::Uuid;

use super::visit_detectors::by_records;
use super::{RegionState, RegistryError, VisitDetectorQuery};
use crate::dataset::{Collection, DatasetRef, DatasetType, FileRecord, Timespan};
use crate::dimension::{DataId, Expression};

/// Which rows are wanted, and in which order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// Only rows for which this is true.
    pub filter: Option<Expression>,
    /// Sort keys, most important first. Rows equal in all of them, and all rows where there are none, come in the order of
    /// the key columns (required dimensions in the order of the result's columns), then of the collections as searched.
    pub order_by: Vec<OrderBy>,
    /// At most so many rows, of the sorted ones the first.
    pub limit: Option<usize>,
}

impl Query {
    /// All rows.
    pub fn all() -> Self {
        Self::default()
    }

    /// The rows for which an expression is true.
    pub fn filtered(filter: Expression) -> Self {
        Self { filter: Some(filter), ..Self::default() }
    }
}

/// A sort key. Absent values come last, in either direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderBy {
    /// Dimension (element) name, or the name of a metadata column that only one element has.
    pub element: String,
    /// Metadata column; `None` for the dimension's own value.
    pub field: Option<String>,
    /// Largest first.
    pub descending: bool,
}

impl OrderBy {
    /// Reads `visit`, `visit.exposure_time`, or with a minus for largest first `-visit.exposure_time`. Any text is read;
    /// names are checked where the key is used.
    ///
    /// ```
    /// let key = bunter::OrderBy::parse("-visit.exposure_time");
    /// assert_eq!((key.element.as_str(), key.field.as_deref(), key.descending), ("visit", Some("exposure_time"), true));
    /// ```
    pub fn parse(text: &str) -> Self {
        let name = text.strip_prefix('-');
        let (element, field) = match name.unwrap_or(text).split_once('.') {
            Some((element, field)) => (element.to_owned(), Some(field.to_owned())),
            None => (name.unwrap_or(text).to_owned(), None),
        };
        Self { element, field, descending: name.is_some() }
    }
}

/// The questions that a registry (SQL) and a snapshot (columns in memory) answer alike.
///
/// # Contract
///
/// * All answers of one call are of one moment. Answers of two calls of a registry may differ by what was written between.
/// * Tables are Arrow record batches: integers `Int64`, reals `Float64`, texts `Utf8`, bytes `Binary`, dataset identities
///   `FixedSizeBinary(16)`. An answer without rows has its columns all the same.
/// * Names in filters and sort keys are resolved by [`Scope`](crate::dimension::Scope), so that every executor understands
///   and refuses the same.
/// * Collections are named exactly, or by patterns with `*` and `?`, which stand for all matching names in name order.
///   CHAINED collections are searched through, depth first; a collection that occurs twice is searched where it comes first.
/// * Wherever collections are named, `TYPE=NAME` names one for datasets of one type only
///   ([`CollectionSearch`](crate::dataset::CollectionSearch)).
/// * What is in a CALIBRATION collection is found with a time only: a search for the first, and
///   [`RegistryReader::find_dataset`], pass such collections over.
pub trait RegistryReader {
    /// All dataset types, by name.
    ///
    /// # Errors
    /// [`RegistryError`] when the store cannot be read.
    fn dataset_types(&self) -> Result<Vec<DatasetType>, RegistryError>;

    /// A dataset type by its name.
    ///
    /// # Errors
    /// [`RegistryError::UnknownDatasetType`] with the nearest name.
    fn dataset_type(&self, name: &str) -> Result<DatasetType, RegistryError>;

    /// All collections, by name.
    ///
    /// # Errors
    /// [`RegistryError`] when the store cannot be read.
    fn collections(&self) -> Result<Vec<Collection>, RegistryError>;

    /// The records of an element: the columns of [`Element::schema`](crate::dimension::Element::schema).
    ///
    /// # Errors
    /// [`RegistryError::Dimension`] for unknown names and comparisons without meaning;
    /// [`RegistryError::VirtualElement`] for elements that are computed from the sky map (tract, patch).
    fn dimension_records(&self, element: &str, query: &Query) -> Result<RecordBatch, RegistryError>;

    /// What detectors saw: the keys of `visit_detector` records with what their visits fix, and perhaps their regions, in the
    /// columns of [`VisitDetectorQuery::schema`]; sorted by instrument, visit, detector.
    ///
    /// A search by position looks at what is near, not at all records.
    ///
    /// # Errors
    /// [`RegistryError::Dimension`] for unknown names and comparisons without meaning.
    fn visit_detectors(&self, query: &VisitDetectorQuery) -> Result<RecordBatch, RegistryError> {
        by_records(self, query)
    }

    /// The datasets of a type in collections: `id` (`FixedSizeBinary(16)`), `run` (`Utf8`), the required dimensions, then
    /// the implied ones (a visit's `band`, `day_obs`, `physical_filter`), each sorted by name.
    ///
    /// With `find_first`, of several datasets with the same data ID only the one that the search meets first; order and
    /// limit come after that. Collection patterns have no search order and are refused then.
    ///
    /// # Errors
    /// [`RegistryError::UnknownDatasetType`], [`RegistryError::UnknownCollection`], [`RegistryError::Dimension`],
    /// [`RegistryError::PatternInSearch`], [`RegistryError::VirtualElement`].
    fn datasets(
        &self,
        dataset_type: &str,
        collections: &[&str],
        query: &Query,
        find_first: bool,
    ) -> Result<RecordBatch, RegistryError>;

    /// The dataset that the search meets first. The data ID may have more values than the dataset type needs: these must
    /// agree where they are implied (a wrong `band` finds nothing), and are without effect otherwise.
    ///
    /// # Errors
    /// As [`RegistryReader::datasets`]; [`RegistryError::Dimension`] for a data ID that does not fit.
    fn find_dataset(
        &self,
        dataset_type: &str,
        data_id: &DataId,
        collections: &[&str],
    ) -> Result<Option<DatasetRef>, RegistryError>;

    /// The validity ranges of datasets of a type in the CALIBRATION collections of a search: `id` (`FixedSizeBinary(16)`), `run`
    /// (`Utf8`), the required dimensions, `collection` (`Utf8`), `begin` and `end` (`Int64`, nanoseconds since 1970 TAI, null for
    /// no bound; half-open). Sorted by data ID, place in the search, begin; of the query only filter and limit count.
    ///
    /// # Errors
    /// As [`RegistryReader::datasets`].
    fn calibrations(
        &self,
        dataset_type: &str,
        collections: &[&str],
        query: &Query,
    ) -> Result<RecordBatch, RegistryError> {
        let _ = (collections, query);
        super::calibrations::none(self, dataset_type)
    }

    /// For each data ID the dataset of a type that is valid at a time, in the first collection of the search that has one; what
    /// is in a RUN or TAGGED collection is valid always. All lookups are one question, answered by a sorted search.
    ///
    /// # Errors
    /// [`RegistryError::AmbiguousCalibration`] when several datasets of one collection are valid during a time;
    /// [`RegistryError::Invalid`] when there are not as many times as data IDs; as [`RegistryReader::datasets`].
    fn find_calibrations(
        &self,
        dataset_type: &str,
        data_ids: &[DataId],
        times: &[Timespan],
        collections: &[&str],
    ) -> Result<Vec<Option<DatasetRef>>, RegistryError> {
        super::calibrations::find(self, dataset_type, data_ids, times, collections)
    }

    /// When visits or exposures were taken, for lookups of calibrations by them: each data ID has an instrument and a visit.
    ///
    /// # Errors
    /// [`RegistryError::Missing`] for a data ID without a visit, for a visit that does not exist or has no times.
    fn timespans(&self, data_ids: &[DataId]) -> Result<Vec<Timespan>, RegistryError> {
        super::calibrations::timespans(self, data_ids)
    }

    /// Where each dataset that a search finds was found, and what it shadowed: the columns of [`RegistryReader::datasets`], then
    /// `found_in` (the collection), `route` (the names that lead to it), `shadowed` (`Int64`, how many others of the data ID come
    /// later in the search), `shadows` (which: collection, identity). In the order of the search; of CALIBRATION collections
    /// nothing is found without a time.
    ///
    /// # Errors
    /// As [`RegistryReader::datasets`].
    fn explain(&self, dataset_type: &str, collections: &[&str], query: &Query) -> Result<RecordBatch, RegistryError> {
        super::explain::explain(self, dataset_type, collections, query)
    }

    /// A dataset by its identity.
    ///
    /// # Errors
    /// [`RegistryError`] when the store cannot be read.
    fn dataset(&self, id: Uuid) -> Result<Option<DatasetRef>, RegistryError>;

    /// Where the bytes of a dataset are.
    ///
    /// # Errors
    /// [`RegistryError`] when the store cannot be read.
    fn file_record(&self, id: Uuid) -> Result<Option<FileRecord>, RegistryError> {
        Ok(self.file_records(&[id])?.pop().flatten())
    }

    /// Where the bytes of datasets are, in the order asked; `None` for those that are not there.
    ///
    /// # Errors
    /// [`RegistryError`] when the store cannot be read.
    fn file_records(&self, ids: &[Uuid]) -> Result<Vec<Option<FileRecord>>, RegistryError>;

    /// The definition of a sky map, TOML.
    ///
    /// # Errors
    /// [`RegistryError::UnknownSkyMap`] with the nearest name.
    fn sky_map_definition(&self, name: &str) -> Result<String, RegistryError>;

    /// Which regions and WCSs of images the answers are of. One that keeps no history is always in its first state.
    ///
    /// # Errors
    /// [`RegistryError`] when the store cannot be read; [`RegistryError::Store`] for a snapshot that does not say.
    fn region_state(&self) -> Result<RegionState, RegistryError> {
        Ok(RegionState::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sort_keys() {
        let key = |element: &str, field: Option<&str>, descending| OrderBy {
            element: element.to_owned(),
            field: field.map(str::to_owned),
            descending,
        };
        assert_eq!(OrderBy::parse("visit"), key("visit", None, false));
        assert_eq!(OrderBy::parse("-visit.timespan.begin"), key("visit", Some("timespan.begin"), true));
    }
}
