//! [`RanksError`]: what can go wrong between ranks and in their journals.

use super::DealError;
use crate::dataset::codec::CodecError;
use std::{io, path::PathBuf};

/// What can go wrong between ranks and in their journals.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RanksError {
    /// Several copies were started, yet MPI sees one process: the launcher belongs to another MPI.
    #[error(
        "{launcher} started {copies} copies of this program, but its MPI library sees one process: the copies were \
         launched by another MPI's mpirun (or by an srun without the matching --mpi option). This program was built \
         with `{library}`. Start it with the `mpirun` of that library, or with `srun --mpi=pmix` (Open MPI) or \
         `srun --mpi=pmi2` (MPICH); or build it again with the `mpicc` of the MPI that launches it"
    )]
    WrongLauncher {
        /// What started the program.
        launcher: &'static str,
        /// How many copies the launcher says it started.
        copies: usize,
        /// The MPI library's name for itself.
        library: String,
    },
    /// Several copies were started of a program that was built without MPI.
    #[error(
        "{launcher} started {copies} copies of this program, but it was built without MPI, so that each would do all \
         of the work. Start one copy, or build it with `--features mpi`"
    )]
    WithoutMpi {
        /// What started the program.
        launcher: &'static str,
        /// How many copies the launcher says it started.
        copies: usize,
    },
    /// MPI is already initialised, or was finalised, in this process.
    #[error("MPI was initialised before in this process: open one `World` at the start of `main` and keep it")]
    AlreadyInitialised,
    /// The MPI library cannot be used from a program with threads.
    #[error("the MPI library `{library}` does not support MPI_THREAD_FUNNELED: use a library built with threads")]
    ThreadLevel {
        /// The MPI library's name for itself.
        library: String,
    },
    /// A call of the MPI library failed.
    #[error("{call} failed with code {code} on rank {rank} ({host})")]
    Mpi {
        /// Name of the function of the MPI standard.
        call: &'static str,
        /// The error code.
        code: i32,
        /// The rank it failed on.
        rank: usize,
        /// The rank's host.
        host: String,
    },
    /// The system allows no signal handlers.
    #[error("signals that end a job cannot be listened to")]
    Signals {
        /// The system's reason.
        source: io::Error,
    },
    /// Rank 0 had nothing to broadcast; every rank gets this error.
    #[error("rank 0 had nothing to broadcast: its own message says why")]
    NothingToBroadcast,
    /// Rank 0 could not do what the other ranks were waiting for; every rank gets this error.
    #[error("{cause}")]
    Root {
        /// Rank 0's message.
        cause: String,
    },
    /// There is no such rank.
    #[error("there is no rank {rank} among {size}")]
    NoSuchRank {
        /// The rank asked for.
        rank: usize,
        /// Number of ranks.
        size: usize,
    },
    /// A message is too long for one send.
    #[error("a message of {bytes} bytes is over the limit of {limit}: broadcast or gather it, or write a file")]
    MessageTooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// There is not enough memory for what another rank sends.
    #[error("rank {rank} has no memory for {bytes} bytes from another rank: start fewer ranks a node")]
    OutOfMemory {
        /// The rank short of memory.
        rank: usize,
        /// Bytes wanted.
        bytes: u64,
    },
    /// Another rank is gone, so that a collective operation cannot end.
    #[error("a rank was lost, so that the others cannot go on together")]
    RankLost,
    /// A rank sent what it should not have.
    #[error("rank {rank} sent an unexpected message: {what}")]
    Protocol {
        /// The sender.
        rank: usize,
        /// What is wrong with it.
        what: String,
    },
    /// A rank reported a quantum that it does not hold.
    #[error(transparent)]
    Deal(#[from] DealError),
    /// A value could not be sent.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A journal of this name exists; journals are never overwritten.
    #[error("journal {} exists already: a journal is never overwritten, choose another name", path.display())]
    JournalExists {
        /// The journal.
        path: PathBuf,
    },
    /// A file operation on a journal failed.
    #[error("cannot {action} journal {}{}", path.display(), hint(source))]
    JournalIo {
        /// What was tried.
        action: &'static str,
        /// The journal.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// An append failed earlier and could not be undone, so that nothing more may be written behind it.
    #[error(
        "journal {} is closed for writing since an earlier append failed; its first {records} records are whole",
        path.display()
    )]
    JournalBroken {
        /// The journal.
        path: PathBuf,
        /// Number of records known to be whole.
        records: u64,
    },
    /// A record is longer than a journal takes.
    #[error("a record of {bytes} bytes is over the limit of {limit} of journal {}", path.display())]
    RecordTooLong {
        /// The journal.
        path: PathBuf,
        /// Length of the encoded record.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The file is not a journal.
    #[error("{} is not a journal: it does not begin with `BNTRJRNL`", path.display())]
    NotAJournal {
        /// The file.
        path: PathBuf,
    },
    /// The journal was written in another version of the format.
    #[error(
        "journal {} has format version {found}, this program reads version {expected}: fold it in with the version of \
         bunter that wrote it",
        path.display()
    )]
    JournalVersion {
        /// The journal.
        path: PathBuf,
        /// Version in the file.
        found: u32,
        /// Version this program reads.
        expected: u32,
    },
    /// The journal's records have another layout.
    #[error(
        "journal {} holds records of schema {found}, not {expected}: fold it in with the version of bunter that \
         wrote it",
        path.display()
    )]
    JournalSchema {
        /// The journal.
        path: PathBuf,
        /// Schema in the file.
        found: u32,
        /// Schema of the record type asked for.
        expected: u32,
    },
    /// The journal is damaged before its end; what follows the damage is whole, so that this is no torn tail.
    #[error(
        "journal {} is damaged at byte {offset}: {what}. Restore it from a copy, or salvage the records before and \
         after the damage",
        path.display()
    )]
    JournalDamaged {
        /// The journal.
        path: PathBuf,
        /// First byte of the damaged record.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// A whole record is not of the type asked for.
    #[error("the record at byte {offset} of journal {} cannot be read", path.display())]
    JournalRecord {
        /// The journal.
        path: PathBuf,
        /// First byte of the record.
        offset: u64,
        /// Why.
        source: CodecError,
    },
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull => ": the disk is full; free some space, every record written before is whole",
        io::ErrorKind::QuotaExceeded => ": the quota is used up; every record written before is whole",
        io::ErrorKind::ReadOnlyFilesystem => ": the file system is read-only",
        io::ErrorKind::NotFound => ": no such file or folder",
        io::ErrorKind::PermissionDenied => ": permission denied",
        _ => "",
    }
}
