//! [`ThreadCommunicator`]: ranks that are threads of one process.

use super::communicator::{check_length, check_rank, host_name};
use super::{Communicator, Message, RanksError, SharedBytes};
use std::{
    borrow::Cow,
    cell::Cell,
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

/// A rank that is a thread: the protocol of a job without MPI, for tests and for machines that have none.
///
/// A rank that panics takes no one with it: the others get [`RanksError::RankLost`] from the collective operations
/// that would wait for it.
///
/// ```
/// use bunter::ranks::{Communicator, ThreadCommunicator};
///
/// let sums: Vec<usize> = std::thread::scope(|s| {
///     let ranks: Vec<_> = ThreadCommunicator::world(3)
///         .into_iter()
///         .map(|rank| s.spawn(move || rank.broadcast(Some(&[1, 2, 3])).map(|bytes| bytes.len())))
///         .collect();
///     ranks.into_iter().flat_map(|rank| rank.join()).flatten().collect()
/// });
/// assert_eq!(sums, [3, 3, 3]);
/// ```
#[derive(Debug)]
pub struct ThreadCommunicator {
    rank: usize,
    host: String,
    world: Arc<World>,
    /// A rank may move to its thread, but only one thread at a time may use it.
    not_sync: std::marker::PhantomData<Cell<()>>,
}

#[derive(Debug)]
struct World {
    state: Mutex<State>,
    changed: Condvar,
    inboxes: Vec<Mutex<VecDeque<Message>>>,
}

#[derive(Debug, Default)]
struct State {
    /// Ranks waiting in the barrier, and how many barriers were passed.
    waiting: usize,
    passed: u64,
    lost: bool,
    broadcast: Option<SharedBytes>,
    gathered: Vec<Vec<u8>>,
}

impl ThreadCommunicator {
    /// `size` ranks, to be moved each to a thread of its own.
    pub fn world(size: usize) -> Vec<Self> {
        let state = Mutex::new(State { gathered: vec![Vec::new(); size], ..State::default() });
        let inboxes = (0..size).map(|_| Mutex::default()).collect();
        let world = Arc::new(World { state, changed: Condvar::new(), inboxes });
        let host = host_name();
        let rank = |rank| Self { rank, host: host.clone(), world: world.clone(), not_sync: std::marker::PhantomData };
        (0..size).map(rank).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock.
        self.world.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inbox(&self, rank: usize) -> Result<MutexGuard<'_, VecDeque<Message>>, RanksError> {
        let size = self.size();
        let inbox = self.world.inboxes.get(rank).ok_or(RanksError::NoSuchRank { rank, size })?;
        Ok(inbox.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn out_of_memory(&self, bytes: u64) -> RanksError {
        RanksError::OutOfMemory { rank: self.rank, bytes }
    }
}

impl Drop for ThreadCommunicator {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.state().lost = true;
            self.world.changed.notify_all();
        }
    }
}

impl Communicator for ThreadCommunicator {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.world.inboxes.len()
    }

    fn host(&self) -> &str {
        &self.host
    }

    fn barrier(&self) -> Result<(), RanksError> {
        let mut state = self.state();
        let barrier = state.passed;
        state.waiting += 1;
        if state.waiting == self.size() {
            state.waiting = 0;
            state.passed += 1;
            self.world.changed.notify_all();
            return Ok(());
        }
        while state.passed == barrier && !state.lost {
            state = self.world.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.passed == barrier { Err(RanksError::RankLost) } else { Ok(()) }
    }

    fn broadcast<'a>(&self, bytes: Option<&'a [u8]>) -> Result<Cow<'a, [u8]>, RanksError> {
        let shared = self.broadcast_shared(bytes)?;
        match bytes {
            Some(bytes) if self.rank == 0 => Ok(Cow::Borrowed(bytes)),
            _ => Ok(Cow::Owned(shared.to_vec())),
        }
    }

    fn broadcast_shared(&self, bytes: Option<&[u8]>) -> Result<SharedBytes, RanksError> {
        let mut short_of = None;
        if self.rank == 0 {
            let copy = bytes.map(|b| SharedBytes::private(b.len(), |to| to.copy_from_slice(b)));
            self.state().broadcast = match copy.transpose() {
                Ok(copy) => copy,
                Err(bytes) => {
                    short_of = Some(bytes);
                    None
                }
            };
        }
        self.barrier()?;
        let shared = self.state().broadcast.clone();
        // Nobody may put the next bytes there before everybody has taken these.
        self.barrier()?;
        match short_of {
            Some(bytes) => Err(self.out_of_memory(bytes)),
            None => shared.ok_or(RanksError::NothingToBroadcast),
        }
    }

    fn send(&self, to: usize, tag: u8, bytes: &[u8]) -> Result<(), RanksError> {
        check_length(bytes.len())?;
        self.inbox(to)?.push_back(Message { from: self.rank, tag, bytes: bytes.to_vec() });
        Ok(())
    }

    fn try_receive(&self, from: Option<usize>, tag: u8) -> Result<Option<Message>, RanksError> {
        check_rank(from.unwrap_or(0), self.size())?;
        let mut inbox = self.inbox(self.rank)?;
        let place = inbox.iter().position(|m| m.tag == tag && from.is_none_or(|rank| rank == m.from));
        Ok(place.and_then(|i| inbox.remove(i)))
    }

    fn probe(&self, from: Option<usize>, tag: u8) -> Result<bool, RanksError> {
        check_rank(from.unwrap_or(0), self.size())?;
        Ok(self.inbox(self.rank)?.iter().any(|m| m.tag == tag && from.is_none_or(|rank| rank == m.from)))
    }

    fn gather(&self, bytes: &[u8]) -> Result<Option<Vec<Vec<u8>>>, RanksError> {
        if let Some(mine) = self.state().gathered.get_mut(self.rank) {
            *mine = bytes.to_vec();
        }
        self.barrier()?;
        let all = (self.rank == 0).then(|| self.state().gathered.iter_mut().map(std::mem::take).collect());
        self.barrier()?;
        Ok(all)
    }

    fn abort(&self, code: i32) -> ! {
        std::process::exit(if code == 0 { 1 } else { code })
    }
}
