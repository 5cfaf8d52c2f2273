//! Many batches of records in one transaction.

use arrow::array::RecordBatch;

use super::dimension_records::{Events, OnDifference, Writer, record_cells};
use super::{Inserted, Registry, RegistryError};
use crate::dimension::{ElementStorage, Universe};

/// Records of one element on their way into the registry.
#[derive(Clone, Debug)]
pub struct RecordBatchOf {
    /// The element, which must have a table of its own.
    pub element: &'static str,
    /// Its records; see [`Registry::insert_dimension_records`].
    pub records: RecordBatch,
    /// Leave records that are there as they are, also where they differ.
    pub keep_existing: bool,
}

impl Registry {
    /// Writes batches of records of several elements, one after the other in one transaction: all are there afterwards, or
    /// none. Each batch is asked for when the one before is written, so that millions of rows need the memory of one batch.
    /// An error in place of a batch takes everything back. Gives for each batch what was written.
    ///
    /// # Errors
    /// As [`Registry::insert_dimension_records`]; the first error among the batches.
    pub fn insert_record_batches<E: From<RegistryError>>(
        &self,
        batches: impl IntoIterator<Item = Result<RecordBatchOf, E>>,
    ) -> Result<Vec<Inserted>, E> {
        let mut failed = None;
        let written = self.write(|database| {
            let mut all = Vec::new();
            // One event for all images of the transaction.
            let mut events = None;
            for batch in batches {
                let RecordBatchOf { element, records, keep_existing } = match batch {
                    Ok(batch) => batch,
                    Err(error) => {
                        failed = Some(error);
                        // Only takes the transaction back; the caller gets his own error.
                        return Err(RegistryError::Invalid {
                            what: "records".to_owned(),
                            reason: "see there".to_owned(),
                        });
                    }
                };
                let element = Universe::builtin().element(element)?;
                if element.storage != ElementStorage::Table {
                    return Err(RegistryError::Invalid {
                        what: format!("records of `{}`", element.name),
                        reason: "they are computed, not stored".to_owned(),
                    });
                }
                let cells = record_cells(element, &records)?;
                let on_difference = if keep_existing { OnDifference::Keep } else { OnDifference::Refuse };
                if events.is_none() {
                    events = Events::begin(database, element)?;
                }
                let mut writer = Writer::new(database, element, &cells, on_difference, events.as_mut());
                all.push(writer.write_all(records.num_rows())?);
            }
            events.map_or(Ok(()), |events| events.finish(database))?;
            Ok(all)
        });
        match (failed, written) {
            (Some(error), _) => Err(error),
            (None, Err(error)) => Err(error.into()),
            (None, Ok(all)) => {
                self.has_written(all.iter().map(|i| i.new).sum());
                Ok(all)
            }
        }
    }
}
