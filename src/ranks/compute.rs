//! The thread of a rank that computes, while its main thread passes messages.

use super::{Failure, doing, panics};
use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc::Sender},
    time::Instant,
};

/// What became of one quantum.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) enum Event<R> {
    Done {
        quantum: usize,
        seconds: f64,
        result: R,
    },
    Failed {
        quantum: usize,
        cause: String,
    },
    /// The rank can do nothing more.
    Withdrawn {
        cause: String,
    },
}

/// Does one quantum, whatever happens in it.
pub(super) fn attempt<R>(quantum: usize, work: &impl Fn(usize) -> Result<R, Failure>) -> Event<R> {
    let _activity = doing(format!("doing quantum {quantum}"));
    let begun = Instant::now();
    match panics::catching(|| work(quantum)) {
        Ok(Ok(result)) => Event::Done { quantum, seconds: begun.elapsed().as_secs_f64(), result },
        Ok(Err(Failure { cause, withdraws: true })) => Event::Withdrawn { cause },
        Ok(Err(Failure { cause, .. })) | Err(cause) => Event::Failed { quantum, cause },
    }
}

/// Quanta that were dealt to this rank and are not begun.
#[derive(Debug, Default)]
pub(super) struct Queue {
    inner: Mutex<(VecDeque<usize>, bool)>,
    changed: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, (VecDeque<usize>, bool)> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn extend(&self, quanta: Vec<usize>) {
        self.lock().0.extend(quanta);
        self.changed.notify_one();
    }

    /// Takes back all that is not begun.
    pub(super) fn take_back(&self) -> Vec<usize> {
        self.lock().0.drain(..).collect()
    }

    /// The next quantum, or `None` when the queue is closed.
    fn next(&self) -> Option<usize> {
        let mut inner = self.lock();
        loop {
            if inner.1 {
                return None;
            }
            if let Some(quantum) = inner.0.pop_front() {
                return Some(quantum);
            }
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends the computing thread after its present quantum, however this scope is left.
    pub(super) fn close_on_drop(&self) -> impl Drop + '_ {
        struct Close<'a>(&'a Queue);
        impl Drop for Close<'_> {
            fn drop(&mut self) {
                self.0.lock().1 = true;
                self.0.changed.notify_all();
            }
        }
        Close(self)
    }
}

/// Does what comes through the queue until it is closed, or the rank withdraws.
pub(super) fn compute<R>(queue: &Queue, work: &impl Fn(usize) -> Result<R, Failure>, events: &Sender<Event<R>>) {
    while let Some(quantum) = queue.next() {
        let event = attempt(quantum, work);
        let last = matches!(event, Event::Withdrawn { .. });
        if events.send(event).is_err() || last {
            return;
        }
    }
}

/// Stack of the computing thread: what the main thread would have had.
pub(super) const STACK: usize = 8 << 20;

/// How the main thread waits: not at all while something happens, then longer and longer.
#[derive(Debug, Default)]
pub(super) struct Patience(u32);

impl Patience {
    /// How long to wait now, at most `most`; the next wait is longer.
    pub(super) fn next(&mut self, most: std::time::Duration) -> std::time::Duration {
        self.0 += 1;
        // The first looks come at once: an answer takes a few microseconds.
        if self.0 < 16 {
            return std::time::Duration::ZERO;
        }
        std::time::Duration::from_micros(1 << (self.0 - 12).min(20)).min(most)
    }

    /// Something happened.
    pub(super) fn renew(&mut self) {
        self.0 = 0;
    }
}
