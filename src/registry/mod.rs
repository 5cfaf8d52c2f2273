//! What exists?
//!
//! [`Registry`] keeps dimension records, sky maps, collections, dataset types, datasets with their file records, and what
//! became of quanta, in an SQL database; [`RegistryReader`] is what it answers, and a snapshot too. Names are resolved by the
//! universe; filters become SQL with bound parameters; tables are Arrow record batches. What differs between databases is
//! behind one small trait (`database.rs`), so that another one is one more file beside `sqlite.rs`.
//!
//! Left out: the bytes of datasets (`datastore`), overlaps on the sky and what ranks read (`snapshot`), who may write to which
//! run (`butler`). Regions and WCSs are opaque bytes here.

mod collections;
mod columns;
mod contract;
mod database;
mod dataset_types;
mod dataset_writer;
mod datasets;
mod dimension_records;
mod error;
mod handle;
mod lock_holder;
mod quantum;
mod record_batches;
mod relation;
mod schema;
mod sqlite;

pub use contract::{OrderBy, Query, RegistryReader};
pub use dataset_writer::NewDataset;
pub use error::RegistryError;
pub use handle::{Inserted, Registry};
pub use quantum::{FoldSummary, QuantumRecord, QuantumStatus};
pub use record_batches::RecordBatchOf;
