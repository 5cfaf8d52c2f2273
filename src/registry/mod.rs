//! What exists?
//!
//! [`Registry`] keeps dimension records, sky maps, collections, dataset types, datasets with their file records, and what
//! became of quanta, in an SQL database; [`RegistryReader`] is what it answers, and a snapshot too. Names are resolved by the
//! universe; filters become SQL with bound parameters; tables are Arrow record batches. What differs between databases is
//! behind one small trait (`database.rs`), so that another one is one more file beside `sqlite.rs`.
//!
//! Regions of images change after they came in: each change is an event with a number, what it superseded is kept, and
//! [`RegionState`] says which regions an answer is of.
//!
//! Left out: the bytes of datasets (`datastore`), overlaps on the sky and what ranks read (`snapshot`), who may write to which
//! run (`butler`). WCSs are opaque bytes here, and of a region only where it lies is looked at, to find it again.

mod address;
mod calibrations;
mod changes;
mod collections;
mod columns;
mod contract;
mod database;
mod dataset_types;
mod dataset_writer;
mod datasets;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod dialect;
mod dimension_records;
mod error;
mod explain;
mod guards;
mod handle;
mod lock_holder;
mod members;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod passwords;
#[cfg(feature = "postgres")]
mod postgres;
mod provenance;
mod quantum;
mod record_batches;
mod region_history;
mod region_state;
mod regions;
mod relation;
mod schema;
mod sqlite;
mod tagged;
mod visit_detectors;

pub use address::{RegistryAddress, ServerAddress};
pub use changes::{Change, ChangeKind, Changes};
pub use collections::ChainEdit;
pub use contract::{OrderBy, Query, RegistryReader};
pub use dataset_writer::{NewDataset, PruneReport};
pub use error::RegistryError;
pub use guards::{CollectionState, Ownership};
pub use handle::{Inserted, Registry};
pub use provenance::ProvenanceRecord;
pub use quantum::{FoldSummary, QuantumRecord, QuantumStatus};
pub use record_batches::RecordBatchOf;
pub use region_history::{RegionMoment, RegionUse, RegistryAsOf};
pub use region_state::{RegionEvent, RegionEventKind, RegionState};
pub use regions::{RegionUpdate, RegionUpdateReport};
pub use schema::Migration;
pub use visit_detectors::VisitDetectorQuery;
