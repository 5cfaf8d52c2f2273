//! Who does which piece of work next, and what has been done?
//!
//! * [`World`] is the job this process belongs to: alone, or one of the ranks that an `mpirun` or `srun` started.
//! * [`Communicator`] is what ranks say to each other, over MPI, between threads, or alone.
//! * [`Dealer`] decides who does which quantum next, [`run_quanta`] lets the ranks do them.
//! * [`JournalWriter`] and [`JournalReader`] keep what a rank has done, through any crash.
//!
//! What a quantum is stays with the caller: here it is a number with a cost. Nothing here opens a registry or a
//! dataset. `mpi.rs` is the only file that names the MPI crate.

mod build;
mod communicator;
mod compute;
mod coordinator;
mod dealer;
mod error;
mod journal;
mod launch;
#[cfg(feature = "mpi")]
mod mpi;
mod panics;
mod run;
mod shared_bytes;
mod signals;
mod threads;
mod worker;
mod world;

#[cfg(feature = "mpi")]
pub use self::mpi::MpiCommunicator;
pub use build::{BuildError, BuildOptions, BuildRecord, BuildReport, PatchReport, build_coadds, coadd_quanta};
pub use communicator::{Communicator, MESSAGE_LIMIT, Message, SerialCommunicator, broadcast_result};
pub use dealer::{AfterFailure, Counts, Deal, DealError, Dealer};
pub use error::RanksError;
pub use journal::{Damage, JournalReader, JournalRecord, JournalWriter, RECORD_LIMIT, Salvage, SyncPolicy};
pub use launch::Launch;
pub use panics::{Activity, doing};
pub use run::{Done, Failed, Failure, Progress, RunOptions, Summary, Verdict, run_quanta};
pub use shared_bytes::SharedBytes;
pub use signals::stop_on_signals;
pub use threads::ThreadCommunicator;
pub use world::World;
