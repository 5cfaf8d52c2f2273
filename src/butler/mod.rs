//! *Give me this dataset; keep that one.*
//!
//! Holds [`Butler`], the façade over registry, snapshot and datastore: create, open, register, ingest, query, get, put,
//! verify. A butler reads through the registry's reading contract, so the same code serves whoever opened the
//! repository and a rank that was handed a snapshot of it.
//!
//! Leaves out: what a coadd is (`coadd`), who does which work (`ranks`), and how things are shown (`cli`).

#[expect(clippy::module_inception, reason = "the room's one noun")]
mod butler;
mod columns;
mod config;
mod data_ids;
mod discrete;
mod error;
mod exposure_file;
mod ingest;
mod names;
mod observation;
mod overlaps;
mod packers;
mod patch_names;
mod read_butler;
mod records;
mod region;
mod region_table;
mod regions;
mod relation;
mod sky_maps;
mod storage;
mod verify;
mod visits;
mod watch;

pub use butler::Butler;
pub use config::RepositoryConfig;
pub use data_ids::DataIdQuery;
pub use discrete::DiscreteSkyMapOptions;
pub use error::ButlerError;
pub use ingest::{IngestEvent, IngestFailure, IngestOptions, IngestReport, Storage};
pub use overlaps::{OverlapQuery, OverlapStream};
pub use packers::packer_of;
pub use read_butler::ReadButler;
pub use regions::{ImageOnSky, Improved, RegionSource, UpdateRegionsOptions};
pub use storage::{Found, store};
pub use verify::{Damage, VerifyReport};
pub use visits::{VisitOptions, VisitProgress, VisitReport};
pub use watch::{Pruned, Watcher};

pub(crate) use columns::{binaries, floats, ids, ints, texts};
