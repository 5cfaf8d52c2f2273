//! Rank 0's main thread: it listens to all ranks, its own computing thread among them, and deals.

use super::compute::{Event, Patience, Queue, STACK, compute};
use super::worker::{Order, Report, TO_RANK, TO_ROOT};
use super::{
    AfterFailure, Communicator, Deal, Dealer, Done, Failed, Failure, Progress, RanksError, RunOptions, Summary, Verdict,
};
use super::{Message, doing};
use crate::dataset::codec::{decode, encode};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::VecDeque,
    sync::mpsc,
    time::{Duration, Instant},
};

/// How often the progress bar hears a tick.
const TICK: Duration = Duration::from_millis(100);

/// Messages heard in a row before the dealing is looked after.
const HEARD: usize = 256;

/// What rank 0 knows of a run, whoever carries its words.
pub(super) struct Coordinator<'a, R> {
    dealer: Dealer,
    progress: &'a mut dyn Progress<R>,
    done: Vec<Done<R>>,
    /// Ranks whose request could not be answered yet, in the order of asking.
    parked: VecDeque<(usize, usize)>,
    lost: Vec<(usize, String)>,
    /// Which ranks were told that all is finished: each once in a run, and each waits for it.
    told: Vec<bool>,
    /// Which ranks have said their last word.
    gone: Vec<bool>,
    /// Seconds that the longest quantum took.
    longest: f64,
}

impl<'a, R> Coordinator<'a, R> {
    pub(super) fn new(dealer: Dealer, progress: &'a mut dyn Progress<R>, ranks: usize) -> Self {
        let (told, gone) = (vec![false; ranks], vec![false; ranks]);
        Self { dealer, progress, done: vec![], parked: VecDeque::new(), lost: vec![], told, gone, longest: 0.0 }
    }

    /// The next quantum for a program that is alone.
    pub(super) fn next_alone(&mut self, options: &RunOptions) -> Option<usize> {
        self.stop_in_time(options);
        match self.dealer.request(0, 1) {
            Deal::Work(quanta) => quanta.first().copied(),
            Deal::Wait | Deal::Finished => None,
        }
    }

    /// Stops the dealing when somebody asked for it or the time is nearly over; whether it did so now.
    fn stop_in_time(&mut self, options: &RunOptions) -> bool {
        let stops = !self.dealer.is_stopped() && (options.must_stop() || options.is_late(self.longest));
        if stops {
            self.dealer.stop();
        }
        stops
    }

    pub(super) fn tick(&mut self) {
        self.progress.tick(self.dealer.counts());
    }

    /// Takes in what became of a quantum.
    pub(super) fn report(&mut self, rank: usize, event: Event<R>) -> Result<(), RanksError> {
        match event {
            Event::Done { quantum, seconds, result } => {
                self.dealer.done(rank, quantum)?;
                self.longest = self.longest.max(seconds);
                self.progress.on_done(rank, quantum, &result, seconds);
                self.done.push(Done { quantum, rank, seconds, result });
            }
            Event::Failed { quantum, cause } => match self.dealer.failed(rank, quantum, cause.as_str())? {
                AfterFailure::Again => self.progress.on_retry(rank, quantum, &cause),
                AfterFailure::Final => self.progress.on_failed(rank, quantum, &cause),
            },
            Event::Withdrawn { cause } => {
                self.dealer.lost(rank);
                // Answered with the end.
                self.parked.push_back((rank, 1));
                self.progress.on_lost(rank, &cause);
                self.lost.push((rank, cause));
            }
        }
        Ok(())
    }

    fn hear(&mut self, rank: usize, report: Report<R>) -> Result<(), RanksError> {
        match report {
            Report::Request(n) => self.parked.push_back((rank, n)),
            Report::Event(event) => self.report(rank, event)?,
            Report::Returned(quanta) => {
                for quantum in quanta {
                    self.dealer.returned(rank, quantum)?;
                }
            }
            Report::Stop => self.dealer.stop(),
            Report::Goodbye => {
                if let Some(gone) = self.gone.get_mut(rank) {
                    *gone = true;
                }
            }
        }
        Ok(())
    }

    /// Answers the waiting requests that can be answered now, and tells everybody when all is finished.
    fn deal(&mut self, mut order: impl FnMut(usize, Order) -> Result<(), RanksError>) -> Result<(), RanksError> {
        if self.dealer.is_stopped() || self.dealer.is_finished() {
            self.parked = (0..self.told.len()).map(|rank| (rank, 1)).collect();
        }
        for _ in 0..self.parked.len() {
            let Some((rank, n)) = self.parked.pop_front() else { break };
            let Some(told) = self.told.get_mut(rank).filter(|told| !**told) else { continue };
            match self.dealer.request(rank, n) {
                Deal::Work(quanta) => order(rank, Order::Work(quanta))?,
                Deal::Wait => self.parked.push_back((rank, n)),
                Deal::Finished => {
                    *told = true;
                    order(rank, Order::Finished)?;
                }
            }
        }
        Ok(())
    }

    fn others_are_gone(&self) -> bool {
        self.gone.iter().skip(1).all(|gone| *gone)
    }

    pub(super) fn summary(mut self) -> Summary<R> {
        self.tick();
        let counts = self.dealer.counts();
        let left = self.dealer.left();
        self.done.sort_by_key(|d| d.quantum);
        self.lost.sort();
        let failed =
            self.dealer.failures().map(|(quantum, rank, cause)| Failed { quantum, rank, cause: cause.to_owned() });
        Summary {
            verdict: Verdict { total: counts.total, done: counts.done, failed: counts.failed, left: left.len() },
            failed: failed.collect(),
            done: self.done,
            left,
            lost: self.lost,
        }
    }
}

/// Runs the coordinator over `comm` with a computing thread of its own, and lets every rank know the verdict.
pub(super) fn coordinate<R, W>(
    comm: &dyn Communicator,
    mut coordinator: Coordinator<'_, R>,
    work: &W,
    options: &RunOptions,
) -> Result<Summary<R>, RanksError>
where
    R: Serialize + DeserializeOwned + Send,
    W: Fn(usize) -> Result<R, Failure> + Sync,
{
    let result = listen(comm, &mut coordinator, work, options);
    if result.is_err() {
        dismiss(comm, &mut coordinator)?;
    }
    let summary = result.map(|()| coordinator.summary());
    let verdict = summary.as_ref().map(|s| s.verdict).map_err(ToString::to_string);
    comm.broadcast(Some(&encode(&verdict)?))?;
    summary
}

fn listen<R, W>(
    comm: &dyn Communicator,
    coordinator: &mut Coordinator<'_, R>,
    work: &W,
    options: &RunOptions,
) -> Result<(), RanksError>
where
    R: Serialize + DeserializeOwned + Send,
    W: Fn(usize) -> Result<R, Failure> + Sync,
{
    let _dealing = doing("dealing work");
    let queue = Queue::default();
    std::thread::scope(|scope| {
        let _close = queue.close_on_drop();
        let (sender, events) = mpsc::channel();
        let builder = std::thread::Builder::new().name("compute".into()).stack_size(STACK);
        let spawned = builder.spawn_scoped(scope, || {
            let sender = sender;
            compute(&queue, work, &sender);
        });
        // Rank 0 without a thread of its own still deals to the others.
        let mut working = match spawned {
            Ok(_) => true,
            Err(e) => {
                coordinator.report(0, Event::Withdrawn { cause: format!("rank 0 has no thread: {e}") })?;
                false
            }
        };
        let (mut held, mut asked, mut finished) = (0_usize, false, false);
        let mut patience = Patience::default();
        let mut ticked = Instant::now();
        loop {
            let mut heard = 0;
            while let Some(Message { from, bytes, .. }) =
                if heard < HEARD { comm.try_receive(None, TO_ROOT)? } else { None }
            {
                heard += 1;
                let report = decode(&bytes)
                    .map_err(|e| RanksError::Protocol { rank: from, what: format!("a report that is none: {e}") })?;
                coordinator.hear(from, report)?;
            }
            let wait = if heard > 0 { Duration::ZERO } else { patience.next(options.poll) };
            let mut event = if working {
                events.recv_timeout(wait).or_else(|e| match e {
                    mpsc::RecvTimeoutError::Timeout => Err(e),
                    mpsc::RecvTimeoutError::Disconnected => {
                        Ok(Event::Withdrawn { cause: "the computing thread of rank 0 has ended".into() })
                    }
                })
            } else {
                std::thread::sleep(wait);
                Err(mpsc::RecvTimeoutError::Timeout)
            }
            .ok();
            while let Some(known) = event {
                heard += 1;
                held = held.saturating_sub(1);
                working = !matches!(known, Event::Withdrawn { .. });
                coordinator.report(0, known)?;
                event = events.try_recv().ok();
            }
            if working && !finished && !asked && held <= options.ahead {
                asked = true;
                heard += 1;
                coordinator.hear(0, Report::Request(options.ahead + 1 - held))?;
            }
            if coordinator.stop_in_time(options) {
                heard += 1;
            }
            if heard > 0 {
                patience.renew();
                let mut back = vec![];
                coordinator.deal(|rank, order| match (rank, order) {
                    (0, Order::Work(quanta)) => {
                        asked = false;
                        held += quanta.len();
                        queue.extend(quanta);
                        Ok(())
                    }
                    (0, Order::Finished) => {
                        finished = true;
                        back = queue.take_back();
                        Ok(())
                    }
                    (rank, order) => comm.send(rank, TO_RANK, &encode(&order)?),
                })?;
                if working && !back.is_empty() {
                    held -= back.len().min(held);
                    coordinator.hear(0, Report::Returned(back))?;
                }
            }
            if ticked.elapsed() >= TICK {
                ticked = Instant::now();
                coordinator.tick();
            }
            if finished && (held == 0 || !working) && coordinator.others_are_gone() {
                return Ok(());
            }
        }
    })
}

/// After an error: sends every rank home, and hears them out, so that no message is left behind for a later run.
fn dismiss<R>(comm: &dyn Communicator, coordinator: &mut Coordinator<'_, R>) -> Result<(), RanksError> {
    let finished = encode(&Order::Finished)?;
    for (rank, told) in coordinator.told.iter_mut().enumerate().skip(1) {
        if !std::mem::replace(told, true) {
            comm.send(rank, TO_RANK, &finished)?;
        }
    }
    let goodbye = encode(&Report::<()>::Goodbye)?;
    let mut patience = Patience::default();
    while !coordinator.others_are_gone() {
        while let Some(message) = comm.try_receive(None, TO_ROOT)? {
            if message.bytes == goodbye {
                coordinator.hear(message.from, Report::Goodbye)?;
            }
        }
        std::thread::sleep(patience.next(Duration::from_micros(200)));
    }
    Ok(())
}
