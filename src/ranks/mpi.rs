//! [`MpiCommunicator`]: ranks over MPI. The one file that names the MPI crate.
//!
//! The crate's safe interface panics at 2^31 elements and has no shared windows, so most calls go to the C interface.
//! Only what MPI 3.0 promises is used, so that Open MPI and MPICH serve alike.
#![expect(unsafe_code, reason = "MPI is a C library; every call into it is unsafe")]

use super::communicator::{check_length, check_rank, host_name};
use super::shared_bytes::{Holder, PrivateError};
use super::{Communicator, Message, RanksError, SharedBytes, panics};
use mpi::{
    Threading,
    environment::Universe,
    ffi::{self, MPI_Comm, MPI_Datatype, MPI_Request, MPI_Status, MPI_Win},
};
use std::{
    borrow::Cow,
    cell::RefCell,
    ffi::{c_int, c_void},
    marker::PhantomData,
    ptr,
    sync::{Arc, Mutex, PoisonError},
};

/// Bytes in one piece of a long broadcast or gather: counts are `i32`, and pieces of 4 to 64 MiB are fastest.
const PIECE: usize = 16 << 20;

/// What rank 0 announces instead of a length when it has nothing to broadcast.
const NOTHING: u64 = u64::MAX;

/// The ranks of a job over MPI.
///
/// One for a process. All calls are made by the thread that made it (`MPI_THREAD_FUNNELED`), which is why it can
/// neither be sent nor shared. While it lives, a panic outside of a quantum ends the whole job.
///
/// Set `BUNTER_SHARED_WINDOW=0` on machines whose shared memory is too small for
/// [`broadcast_shared`](Communicator::broadcast_shared); every rank holds a copy then.
pub struct MpiCommunicator {
    job: Arc<Job>,
    /// Sends that the receiver has not taken yet, with the bytes they read.
    outbox: RefCell<Vec<(MPI_Request, Vec<u8>)>>,
    not_send: PhantomData<*const ()>,
}

/// What must live until the last byte of shared memory is let go. Dropping it is collective.
struct Job {
    world: MPI_Comm,
    node: MPI_Comm,
    /// One rank a node; on the other ranks there is no such communicator.
    leaders: Option<MPI_Comm>,
    windows: Mutex<Vec<MPI_Win>>,
    rank: usize,
    size: usize,
    host: String,
    /// Finalises MPI when dropped, after all of the above.
    _universe: Universe,
}

// SAFETY: the handles are plain values. Other threads hold a `Job` only to keep its shared memory alive; the handles
// are used by `MpiCommunicator`, which stays on its thread, and by `drop`.
unsafe impl Send for Job {}
// SAFETY: as above; nothing is reachable through `&Job` from outside this file but the plain values.
unsafe impl Sync for Job {}

impl MpiCommunicator {
    /// Initialises MPI, and ends the job from now on when this process panics.
    ///
    /// Use [`World::detect`](super::World::detect), which also checks the launcher.
    ///
    /// # Errors
    /// [`RanksError::AlreadyInitialised`], [`RanksError::ThreadLevel`], [`RanksError::Mpi`].
    pub fn init() -> Result<Self, RanksError> {
        if mpi::is_initialized() || mpi::is_finalized() {
            return Err(RanksError::AlreadyInitialised);
        }
        let (universe, threading) =
            mpi::initialize_with_threading(Threading::Funneled).ok_or(RanksError::AlreadyInitialised)?;
        if threading < Threading::Funneled {
            return Err(RanksError::ThreadLevel { library: library() });
        }
        let host = host_name();
        let check = |call, code| check(call, code, 0, &host);
        let (mut rank, mut size, mut node_rank) = (0, 0, 0);
        // SAFETY: MPI is initialised; every out pointer points to a live variable of the right type, and the constants
        // are those of the library. A communicator of our own keeps our messages apart from other libraries'.
        let (world, node, leaders) = unsafe {
            let (mut world, mut node, mut leaders) = (ffi::RSMPI_COMM_NULL, ffi::RSMPI_COMM_NULL, ffi::RSMPI_COMM_NULL);
            check("MPI_Comm_dup", ffi::MPI_Comm_dup(ffi::RSMPI_COMM_WORLD, &raw mut world))?;
            check("MPI_Comm_rank", ffi::MPI_Comm_rank(world, &raw mut rank))?;
            check("MPI_Comm_size", ffi::MPI_Comm_size(world, &raw mut size))?;
            let shared = ffi::RSMPI_COMM_TYPE_SHARED;
            let code = ffi::MPI_Comm_split_type(world, shared, rank, ffi::RSMPI_INFO_NULL, &raw mut node);
            check("MPI_Comm_split_type", code)?;
            check("MPI_Comm_rank", ffi::MPI_Comm_rank(node, &raw mut node_rank))?;
            let colour = if node_rank == 0 { 0 } else { ffi::RSMPI_UNDEFINED };
            check("MPI_Comm_split", ffi::MPI_Comm_split(world, colour, rank, &raw mut leaders))?;
            // A window that cannot be allocated is an answer, not the end of the job.
            let code = ffi::MPI_Comm_set_errhandler(node, ffi::RSMPI_ERRORS_RETURN);
            check("MPI_Comm_set_errhandler", code)?;
            (world, node, (node_rank == 0).then_some(leaders))
        };
        panics::abort_on_panic(format!("rank {rank} of {size} on {host}"), abort);
        let job = Job {
            world,
            node,
            leaders,
            windows: Mutex::default(),
            rank: rank as usize,
            size: size as usize,
            host,
            _universe: universe,
        };
        Ok(Self { job: Arc::new(job), outbox: RefCell::default(), not_send: PhantomData })
    }

    /// The MPI library's name for itself, on one line.
    pub fn library(&self) -> String {
        library()
    }

    fn check(&self, call: &'static str, code: c_int) -> Result<(), RanksError> {
        check(call, code, self.job.rank, &self.job.host)
    }

    fn out_of_memory(&self, bytes: u64) -> RanksError {
        RanksError::OutOfMemory { rank: self.job.rank, bytes }
    }

    /// Broadcasts from rank 0 of `comm` into `bytes`, piece by piece. On that rank the bytes are only read.
    fn broadcast_into(&self, comm: MPI_Comm, bytes: &mut [u8]) -> Result<(), RanksError> {
        for piece in bytes.chunks_mut(PIECE) {
            // SAFETY: the piece is a live buffer of as many bytes, and shorter than 2^31.
            let code = unsafe { ffi::MPI_Bcast(piece.as_mut_ptr().cast(), piece.len() as c_int, byte(), 0, comm) };
            self.check("MPI_Bcast", code)?;
        }
        Ok(())
    }

    /// As [`broadcast_into`](Self::broadcast_into), on the rank whose bytes they are.
    fn broadcast_from(&self, comm: MPI_Comm, bytes: &[u8]) -> Result<(), RanksError> {
        for piece in bytes.chunks(PIECE) {
            let start = piece.as_ptr().cast_mut().cast();
            // SAFETY: as above; on the root MPI only reads through the pointer.
            let code = unsafe { ffi::MPI_Bcast(start, piece.len() as c_int, byte(), 0, comm) };
            self.check("MPI_Bcast", code)?;
        }
        Ok(())
    }

    /// Tells every rank how many bytes will come.
    fn announce(&self, bytes: Option<&[u8]>) -> Result<usize, RanksError> {
        let mut length = bytes.map_or(NOTHING, |b| b.len() as u64).to_le_bytes();
        self.broadcast_into(self.job.world, &mut length)?;
        match u64::from_le_bytes(length) {
            NOTHING => Err(RanksError::NothingToBroadcast),
            length => usize::try_from(length).map_err(|_| self.out_of_memory(length)),
        }
    }

    /// The largest of the ranks' values.
    fn largest(&self, comm: MPI_Comm, mine: u64) -> Result<u64, RanksError> {
        let mut all = 0_u64;
        let (from, to) = ((&raw const mine).cast(), (&raw mut all).cast());
        // SAFETY: both point to one live 64-bit integer; the operation and the type are the library's.
        let code = unsafe { ffi::MPI_Allreduce(from, to, 1, ffi::RSMPI_UINT64_T, ffi::RSMPI_MAX, comm) };
        self.check("MPI_Allreduce", code)?;
        Ok(all)
    }

    /// The same answer for all: this rank's value when every rank has one, else the error of the last that has none.
    fn all_have<T>(&self, mine: Option<T>, bytes: u64) -> Result<T, RanksError> {
        let short = self.largest(self.job.world, if mine.is_some() { 0 } else { self.job.rank as u64 + 1 })?;
        match (mine, short) {
            (Some(value), 0) => Ok(value),
            (_, rank) => Err(RanksError::OutOfMemory { rank: (rank.max(1) - 1) as usize, bytes }),
        }
    }

    /// Moves sends along and forgets those that are complete.
    fn flush(&self) -> Result<(), RanksError> {
        let mut outbox = self.outbox.borrow_mut();
        let mut failed = None;
        outbox.retain_mut(|(request, _)| {
            let mut complete = 0;
            // SAFETY: the request is of a send that has not completed, for a completed one is removed.
            let code = unsafe { ffi::MPI_Test(request, &raw mut complete, ffi::RSMPI_STATUS_IGNORE) };
            failed = failed.or((code != 0).then_some(code));
            complete == 0
        });
        failed.map_or(Ok(()), |code| self.check("MPI_Test", code))
    }

    fn peek(&self, from: Option<usize>, tag: u8) -> Result<Option<MPI_Status>, RanksError> {
        self.flush()?;
        check_rank(from.unwrap_or(0), self.job.size)?;
        let mut found = 0;
        // SAFETY: a status is plain integers, for which zero is a value; the out pointers are live.
        unsafe {
            let mut status: MPI_Status = std::mem::zeroed();
            let from = from.map_or(ffi::RSMPI_ANY_SOURCE, |rank| rank as c_int);
            let code = ffi::MPI_Iprobe(from, c_int::from(tag), self.job.world, &raw mut found, &raw mut status);
            self.check("MPI_Iprobe", code)?;
            Ok((found != 0).then_some(status))
        }
    }

    /// A window of `len` bytes on this node, or `None` where there is none. Collective over the node.
    fn window(&self, len: usize) -> Result<Option<Window>, RanksError> {
        let leader = self.job.leaders.is_some();
        let mut wanted = [u8::from(std::env::var_os("BUNTER_SHARED_WINDOW").is_none_or(|v| v != "0"))];
        self.broadcast_into(self.job.node, &mut wanted)?;
        let size = len.checked_add(SharedBytes::ALIGNMENT).and_then(|n| isize::try_from(n).ok());
        let (Some(size), [1], 1..) = (size, wanted, len) else { return Ok(None) };
        let mut base: *mut c_void = ptr::null_mut();
        let mut win;
        // SAFETY: collective over the node, with errors returned. The out pointers are live variables; the base is
        // passed as the address of a pointer, as the C interface asks for behind its `void *`.
        let code = unsafe {
            win = ffi::RSMPI_WIN_NULL;
            let mine = if leader { size } else { 0 };
            let out = (&raw mut base).cast();
            let code = ffi::MPI_Win_allocate_shared(mine, 1, ffi::RSMPI_INFO_NULL, self.job.node, out, &raw mut win);
            if code == 0 {
                let (mut bytes, mut unit) = (0, 0);
                let out = (&raw mut base).cast();
                ffi::MPI_Win_shared_query(win, 0, &raw mut bytes, &raw mut unit, out)
                    | c_int::from(bytes < size)
                    | ffi::MPI_Win_fence(0, win)
            } else {
                code
            }
        };
        // A window that only some ranks of the node have cannot even be freed together: it is left to the end.
        if self.largest(self.job.node, u64::from(code != 0 || base.is_null()))? != 0 {
            return Ok(None);
        }
        self.job.windows.lock().unwrap_or_else(PoisonError::into_inner).push(win);
        // Every rank maps the window at an address of its own, but all at the same place within a page.
        let start = base.cast::<u8>();
        let skip = start.align_offset(SharedBytes::ALIGNMENT);
        Ok(Some(Window { _job: self.job.clone(), start: start.wrapping_add(skip), len, win }))
    }

    /// Rank 0's bytes on one rank a node, into `to`.
    fn to_leaders(&self, bytes: Option<&[u8]>, to: &mut [u8]) -> Result<(), RanksError> {
        if let (0, Some(bytes)) = (self.job.rank, bytes) {
            to.copy_from_slice(bytes);
        }
        self.job.leaders.map_or(Ok(()), |leaders| self.broadcast_into(leaders, to))
    }
}

impl Communicator for MpiCommunicator {
    fn rank(&self) -> usize {
        self.job.rank
    }

    fn size(&self) -> usize {
        self.job.size
    }

    fn host(&self) -> &str {
        &self.job.host
    }

    fn barrier(&self) -> Result<(), RanksError> {
        self.flush()?;
        // SAFETY: the communicator is live.
        let code = unsafe { ffi::MPI_Barrier(self.job.world) };
        self.check("MPI_Barrier", code)
    }

    fn broadcast<'a>(&self, bytes: Option<&'a [u8]>) -> Result<Cow<'a, [u8]>, RanksError> {
        let bytes = bytes.filter(|_| self.job.rank == 0);
        let len = self.announce(bytes)?;
        let buffer = match bytes {
            Some(bytes) => Some(Cow::Borrowed(bytes)),
            None => zeroed(len).map(Cow::Owned),
        };
        match self.all_have(buffer, len as u64)? {
            Cow::Borrowed(bytes) => {
                self.broadcast_from(self.job.world, bytes)?;
                Ok(Cow::Borrowed(bytes))
            }
            Cow::Owned(mut bytes) => {
                self.broadcast_into(self.job.world, &mut bytes)?;
                Ok(Cow::Owned(bytes))
            }
        }
    }

    fn broadcast_shared(&self, bytes: Option<&[u8]>) -> Result<SharedBytes, RanksError> {
        let bytes = bytes.filter(|_| self.job.rank == 0);
        let len = self.announce(bytes)?;
        if let Some(window) = self.window(len)? {
            if self.job.leaders.is_some() {
                // SAFETY: the window holds `len` bytes from `start`. Between the fence in `window` and the one below
                // only the node's leader touches them.
                let to = unsafe { std::slice::from_raw_parts_mut(window.start, len) };
                self.to_leaders(bytes, to)?;
            }
            // SAFETY: the window is live; the fence is collective over the node, and makes the bytes visible to all.
            let code = unsafe { ffi::MPI_Win_fence(0, window.win) };
            self.check("MPI_Win_fence", code)?;
            return Ok(SharedBytes::held_by(window));
        }
        let filled = SharedBytes::private_with(len, |to| {
            self.to_leaders(bytes, to)?;
            self.broadcast_into(self.job.node, to)
        });
        filled.map_err(|e| match e {
            // Ranks that do get memory are waiting in the broadcast: nothing less than the end would free them.
            PrivateError::Memory(bytes) => {
                eprintln!("bunter: {}", self.out_of_memory(bytes));
                abort(1)
            }
            PrivateError::Fill(e) => e,
        })
    }

    fn send(&self, to: usize, tag: u8, bytes: &[u8]) -> Result<(), RanksError> {
        check_rank(to, self.job.size)?;
        check_length(bytes.len())?;
        let bytes = bytes.to_vec();
        let world = self.job.world;
        // SAFETY: the bytes' heap buffer stays where it is in the outbox until the send is complete.
        let request = unsafe {
            let mut request = ffi::RSMPI_REQUEST_NULL;
            let (start, count) = (bytes.as_ptr().cast(), bytes.len() as c_int);
            let code = ffi::MPI_Isend(start, count, byte(), to as c_int, c_int::from(tag), world, &raw mut request);
            self.check("MPI_Isend", code)?;
            request
        };
        self.outbox.borrow_mut().push((request, bytes));
        self.flush()
    }

    fn try_receive(&self, from: Option<usize>, tag: u8) -> Result<Option<Message>, RanksError> {
        let Some(mut status) = self.peek(from, tag)? else { return Ok(None) };
        let mut count = 0;
        // SAFETY: the status is that of a message found by a probe.
        let code = unsafe { ffi::MPI_Get_count(&raw const status, byte(), &raw mut count) };
        self.check("MPI_Get_count", code)?;
        let mut bytes = zeroed(count as usize).ok_or_else(|| self.out_of_memory(count as u64))?;
        let (from, tag_found, world) = (status.MPI_SOURCE, status.MPI_TAG, self.job.world);
        // SAFETY: the buffer is as long as the message, which is the next one of this sender and tag, for no other
        // thread receives.
        let code =
            unsafe { ffi::MPI_Recv(bytes.as_mut_ptr().cast(), count, byte(), from, tag_found, world, &raw mut status) };
        self.check("MPI_Recv", code)?;
        Ok(Some(Message { from: from as usize, tag, bytes }))
    }

    fn probe(&self, from: Option<usize>, tag: u8) -> Result<bool, RanksError> {
        Ok(self.peek(from, tag)?.is_some())
    }

    fn gather(&self, bytes: &[u8]) -> Result<Option<Vec<Vec<u8>>>, RanksError> {
        let Job { world, rank, size, .. } = *self.job;
        let root = rank == 0;
        let mine = bytes.len() as u64;
        let mut lengths = vec![0_u64; if root { size } else { 0 }];
        let word = uint64();
        // SAFETY: one integer from each rank, into as many as there are ranks on rank 0.
        let code = unsafe {
            let (from, to) = ((&raw const mine).cast(), lengths.as_mut_ptr().cast());
            ffi::MPI_Gather(from, 1, word, to, 1, word, 0, world)
        };
        self.check("MPI_Gather", code)?;
        let longest = self.largest(world, mine)? as usize;
        // In rounds of equal pieces, so that counts and displacements stay within `i32`.
        let piece = PIECE.min(i32::MAX as usize / size).max(1);
        let room = || {
            let all: Option<Vec<Vec<u8>>> = lengths.iter().map(|n| with_capacity(usize::try_from(*n).ok()?)).collect();
            Some((all?, zeroed(lengths.iter().map(|n| (*n as usize).min(piece)).sum())?))
        };
        let (mut all, mut round) = self.all_have(room(), lengths.iter().sum())?;
        for start in (0..longest).step_by(piece) {
            let part = |len: usize| len.saturating_sub(start).min(piece);
            let counts: Vec<c_int> = lengths.iter().map(|n| part(*n as usize) as c_int).collect();
            let offsets: Vec<c_int> = counts
                .iter()
                .scan(0, |end, n| {
                    *end += n;
                    Some(*end - n)
                })
                .collect();
            let mine = bytes.get(start..start + part(bytes.len())).unwrap_or_default();
            // SAFETY: rank 0's buffer holds the sum of the counts, which the offsets follow; each rank sends as many
            // bytes as rank 0 counts for it, both being computed from its length.
            let code = unsafe {
                let (from, to) = (mine.as_ptr().cast(), round.as_mut_ptr().cast());
                let count = mine.len() as c_int;
                ffi::MPI_Gatherv(from, count, byte(), to, counts.as_ptr(), offsets.as_ptr(), byte(), 0, world)
            };
            self.check("MPI_Gatherv", code)?;
            let mut rest = round.as_slice();
            for (whole, count) in all.iter_mut().zip(&counts) {
                let (head, tail) = rest.split_at_checked(*count as usize).unwrap_or_default();
                whole.extend_from_slice(head);
                rest = tail;
            }
        }
        Ok(root.then_some(all))
    }

    fn abort(&self, code: i32) -> ! {
        abort(code)
    }
}

impl Drop for MpiCommunicator {
    fn drop(&mut self) {
        for (request, _) in self.outbox.get_mut() {
            // SAFETY: the request is of a send that has not completed.
            unsafe { ffi::MPI_Wait(request, ffi::RSMPI_STATUS_IGNORE) };
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let windows = std::mem::take(self.windows.get_mut().unwrap_or_else(PoisonError::into_inner));
        // SAFETY: nothing borrows from the windows, for every holder of their bytes holds the job; every rank frees
        // them in the order in which they were made. MPI is finalised only after this.
        unsafe {
            for mut win in windows {
                ffi::MPI_Win_free(&raw mut win);
            }
            for comm in self.leaders.iter_mut().chain([&mut self.node, &mut self.world]) {
                ffi::MPI_Comm_free(comm);
            }
        }
    }
}

impl std::fmt::Debug for MpiCommunicator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Job { rank, size, ref host, .. } = *self.job;
        let mut f = f.debug_struct("MpiCommunicator");
        f.field("rank", &rank).field("size", &size).field("host", host).finish_non_exhaustive()
    }
}

/// Memory that the ranks of a node share.
struct Window {
    _job: Arc<Job>,
    start: *mut u8,
    len: usize,
    win: MPI_Win,
}

// SAFETY: once made, the memory is only read, and stays mapped while the job lives.
unsafe impl Send for Window {}
// SAFETY: as above.
unsafe impl Sync for Window {}

impl Holder for Window {
    fn bytes(&self) -> &[u8] {
        // SAFETY: `len` bytes from `start` were filled before the second fence, and nobody writes after it.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }

    fn is_shared(&self) -> bool {
        true
    }
}

fn check(call: &'static str, code: c_int, rank: usize, host: &str) -> Result<(), RanksError> {
    if code == 0 { Ok(()) } else { Err(RanksError::Mpi { call, code, rank, host: host.to_owned() }) }
}

fn byte() -> MPI_Datatype {
    // SAFETY: a constant of the library.
    unsafe { ffi::RSMPI_UINT8_T }
}

fn uint64() -> MPI_Datatype {
    // SAFETY: a constant of the library.
    unsafe { ffi::RSMPI_UINT64_T }
}

fn with_capacity(len: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).ok()?;
    Some(bytes)
}

fn zeroed(len: usize) -> Option<Vec<u8>> {
    let mut bytes = with_capacity(len)?;
    bytes.resize(len, 0);
    Some(bytes)
}

/// The library's name for itself, on one line.
fn library() -> String {
    let version = mpi::environment::library_version().unwrap_or_default();
    let text = version.split(['\n', '\0']).next().unwrap_or_default().trim().trim_end_matches(',').to_owned();
    if text.is_empty() { "an unnamed MPI library".into() } else { text }
}

fn abort(code: i32) -> ! {
    let code = if code == 0 { 1 } else { code };
    if mpi::is_initialized() && !mpi::is_finalized() {
        // SAFETY: MPI is initialised and not finalised. Called off the main thread this is more than FUNNELED
        // promises, but both libraries allow it, and nothing is left to lose.
        unsafe { ffi::MPI_Abort(ffi::RSMPI_COMM_WORLD, code) };
    }
    std::process::exit(code)
}
