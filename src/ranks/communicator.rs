//! [`Communicator`]: what ranks say to each other, and [`SerialCommunicator`] for a program that is alone.

use super::{RanksError, SharedBytes};
use crate::dataset::codec::{decode, encode};
use serde::{Serialize, de::DeserializeOwned};
use std::borrow::Cow;

/// Longest message that [`Communicator::send`] takes: 1 GiB. Larger data is broadcast, gathered, or written to a file.
pub const MESSAGE_LIMIT: usize = 1 << 30;

/// A message from one rank to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The rank that sent it.
    pub from: usize,
    /// The tag it was sent with.
    pub tag: u8,
    /// What it says.
    pub bytes: Vec<u8>,
}

/// What the ranks of one job say to each other.
///
/// # Contract
///
/// * Ranks are numbered from 0 to `size() - 1`; rank 0 is the root of every collective operation.
/// * [`barrier`](Self::barrier), [`broadcast`](Self::broadcast), [`broadcast_shared`](Self::broadcast_shared) and
///   [`gather`](Self::gather) are collective: every rank calls them, in the same order. An error of theirs is either
///   the same on every rank or fatal; a rank that leaves the common order for a reason of its own must end in
///   [`abort`](Self::abort), for the others wait for it.
/// * [`send`](Self::send) does not wait for the receiver, whatever the length; it copies the bytes. Messages of one
///   sender and one tag arrive in the order they were sent.
/// * [`try_receive`](Self::try_receive) does not wait for a sender. It also moves waiting sends along: a rank that has
///   sent calls it, or a collective operation, now and then.
/// * Only the thread that made the communicator calls it (`MPI_THREAD_FUNNELED`), which is why it need not be `Sync`.
pub trait Communicator {
    /// This process's number, from 0.
    fn rank(&self) -> usize;

    /// Number of ranks of the job.
    fn size(&self) -> usize;

    /// Name of the machine this rank runs on.
    fn host(&self) -> &str;

    /// Waits until every rank has come here.
    ///
    /// # Errors
    /// [`RanksError::RankLost`] when a rank can no longer come.
    fn barrier(&self) -> Result<(), RanksError>;

    /// Rank 0's bytes, on every rank. Rank 0 gives `Some`, what the others give is ignored. Any length is allowed.
    ///
    /// # Errors
    /// [`RanksError::NothingToBroadcast`] on every rank when rank 0 gave `None`, [`RanksError::OutOfMemory`].
    fn broadcast<'a>(&self, bytes: Option<&'a [u8]>) -> Result<Cow<'a, [u8]>, RanksError>;

    /// Rank 0's bytes in memory that the ranks of a node share where the MPI library can, one copy a node.
    ///
    /// The bytes are aligned to 64 and any length is allowed. Where no memory can be shared every rank holds a copy;
    /// [`SharedBytes::is_shared`] tells.
    ///
    /// # Errors
    /// As [`broadcast`](Self::broadcast).
    fn broadcast_shared(&self, bytes: Option<&[u8]>) -> Result<SharedBytes, RanksError>;

    /// Sends a message without waiting for its receiver.
    ///
    /// # Errors
    /// [`RanksError::NoSuchRank`]; [`RanksError::MessageTooLong`] over [`MESSAGE_LIMIT`].
    fn send(&self, to: usize, tag: u8, bytes: &[u8]) -> Result<(), RanksError>;

    /// The next message with this tag, from one rank or from any, or `None` when there is none now.
    ///
    /// # Errors
    /// [`RanksError::NoSuchRank`]; [`RanksError::OutOfMemory`].
    fn try_receive(&self, from: Option<usize>, tag: u8) -> Result<Option<Message>, RanksError>;

    /// Whether [`try_receive`](Self::try_receive) would find a message.
    ///
    /// # Errors
    /// [`RanksError::NoSuchRank`].
    fn probe(&self, from: Option<usize>, tag: u8) -> Result<bool, RanksError>;

    /// Every rank's bytes in rank order on rank 0, `None` elsewhere. Any length is allowed.
    ///
    /// # Errors
    /// [`RanksError::OutOfMemory`], [`RanksError::RankLost`].
    fn gather(&self, bytes: &[u8]) -> Result<Option<Vec<Vec<u8>>>, RanksError>;

    /// Ends all ranks of the job at once with this exit code, 1 if the code is 0. Nothing is cleaned up.
    fn abort(&self, code: i32) -> !;
}

/// What rank 0 found, on every rank: its value, or its error as [`RanksError::Root`].
///
/// For the steps that only rank 0 takes, like opening the registry: where it fails all ranks return the same error,
/// and none is left waiting. Rank 0 gives `Some`, what the others give is ignored.
///
/// ```
/// use bunter::ranks::{SerialCommunicator, broadcast_result};
///
/// let world = SerialCommunicator::new();
/// let rows = broadcast_result(&world, Some(Ok::<_, std::io::Error>(1200_u64)))?;
/// assert_eq!(rows, 1200);
/// let missing = broadcast_result::<u64, _>(&world, Some(Err("no such registry")));
/// assert_eq!(missing.unwrap_err().to_string(), "no such registry");
/// # Ok::<(), bunter::ranks::RanksError>(())
/// ```
///
/// # Errors
/// [`RanksError::Root`] on every rank when rank 0 gave an error, with its message and its causes;
/// [`RanksError::NothingToBroadcast`] when it gave `None`; [`RanksError::Codec`] when the value cannot be sent.
pub fn broadcast_result<T, E>(comm: &dyn Communicator, result: Option<Result<T, E>>) -> Result<T, RanksError>
where
    T: Serialize + DeserializeOwned,
    E: std::fmt::Display,
{
    if comm.rank() != 0 {
        let bytes = comm.broadcast(None)?;
        return decode::<Result<T, String>>(&bytes)?.map_err(|cause| RanksError::Root { cause });
    }
    let result = result.map(|r| r.map_err(|e| e.to_string()));
    // A value that cannot be encoded must not leave the others waiting either.
    let bytes = match result.as_ref().map(encode).transpose() {
        Ok(bytes) => bytes,
        Err(e) => {
            comm.broadcast(Some(&encode(&Err::<(), _>(e.to_string()))?))?;
            return Err(e.into());
        }
    };
    comm.broadcast(bytes.as_deref())?;
    result.ok_or(RanksError::NothingToBroadcast)?.map_err(|cause| RanksError::Root { cause })
}

/// The machine's name.
pub(super) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

pub(super) fn check_rank(rank: usize, size: usize) -> Result<(), RanksError> {
    if rank < size { Ok(()) } else { Err(RanksError::NoSuchRank { rank, size }) }
}

pub(super) fn check_length(bytes: usize) -> Result<(), RanksError> {
    if bytes <= MESSAGE_LIMIT { Ok(()) } else { Err(RanksError::MessageTooLong { bytes, limit: MESSAGE_LIMIT }) }
}

/// The only rank of a job: a program started without MPI.
///
/// Messages to itself arrive, collective operations return at once.
#[derive(Debug)]
pub struct SerialCommunicator {
    host: String,
    inbox: std::cell::RefCell<std::collections::VecDeque<Message>>,
}

impl SerialCommunicator {
    /// The only rank of a job.
    pub fn new() -> Self {
        Self { host: host_name(), inbox: std::cell::RefCell::default() }
    }
}

impl Default for SerialCommunicator {
    fn default() -> Self {
        Self::new()
    }
}

impl Communicator for SerialCommunicator {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn host(&self) -> &str {
        &self.host
    }

    fn barrier(&self) -> Result<(), RanksError> {
        Ok(())
    }

    fn broadcast<'a>(&self, bytes: Option<&'a [u8]>) -> Result<Cow<'a, [u8]>, RanksError> {
        bytes.map(Cow::Borrowed).ok_or(RanksError::NothingToBroadcast)
    }

    fn broadcast_shared(&self, bytes: Option<&[u8]>) -> Result<SharedBytes, RanksError> {
        let bytes = bytes.ok_or(RanksError::NothingToBroadcast)?;
        SharedBytes::private(bytes.len(), |to| to.copy_from_slice(bytes))
            .map_err(|bytes| RanksError::OutOfMemory { rank: 0, bytes })
    }

    fn send(&self, to: usize, tag: u8, bytes: &[u8]) -> Result<(), RanksError> {
        check_rank(to, 1)?;
        check_length(bytes.len())?;
        self.inbox.borrow_mut().push_back(Message { from: 0, tag, bytes: bytes.to_vec() });
        Ok(())
    }

    fn try_receive(&self, from: Option<usize>, tag: u8) -> Result<Option<Message>, RanksError> {
        check_rank(from.unwrap_or(0), 1)?;
        let mut inbox = self.inbox.borrow_mut();
        let place = inbox.iter().position(|m| m.tag == tag);
        Ok(place.and_then(|i| inbox.remove(i)))
    }

    fn probe(&self, from: Option<usize>, tag: u8) -> Result<bool, RanksError> {
        check_rank(from.unwrap_or(0), 1)?;
        Ok(self.inbox.borrow().iter().any(|m| m.tag == tag))
    }

    fn gather(&self, bytes: &[u8]) -> Result<Option<Vec<Vec<u8>>>, RanksError> {
        Ok(Some(vec![bytes.to_vec()]))
    }

    fn abort(&self, code: i32) -> ! {
        std::process::exit(if code == 0 { 1 } else { code })
    }
}
