//! [`run_quanta`]: the ranks of a job do all quanta together.

use super::coordinator::{Coordinator, coordinate};
use super::{Communicator, Counts, Dealer, RanksError, compute, worker};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Why a quantum was not done.
///
/// `?` makes one of any error, with its causes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub(super) cause: String,
    pub(super) withdraws: bool,
}

impl Failure {
    /// This quantum failed; the rank goes on with others.
    pub fn new(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), withdraws: false }
    }

    /// This rank can do nothing more, for a reason of its own: its scratch disk is full, its device is lost. The
    /// quantum, and others it may hold, go to other ranks.
    pub fn of_rank(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), withdraws: true }
    }

    /// What went wrong.
    pub fn cause(&self) -> &str {
        &self.cause
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut cause = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            // Some errors print their cause already.
            let said = error.to_string();
            if !cause.contains(&said) {
                cause = format!("{cause}: {said}");
            }
            source = error.source();
        }
        Self::new(cause)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}

/// Hears on rank 0 what happens, while it happens. Ranks' reports come in the order of their arrival.
pub trait Progress<R> {
    /// `total` quanta will be dealt to `ranks` ranks.
    fn on_start(&mut self, total: usize, ranks: usize) {
        let _ = (total, ranks);
    }

    /// `rank` has done `quantum` in so many seconds.
    fn on_done(&mut self, rank: usize, quantum: usize, result: &R, seconds: f64) {
        let _ = (rank, quantum, result, seconds);
    }

    /// `quantum` failed on `rank`, and will be tried again.
    fn on_retry(&mut self, rank: usize, quantum: usize, cause: &str) {
        let _ = (rank, quantum, cause);
    }

    /// `quantum` failed on `rank`, for good.
    fn on_failed(&mut self, rank: usize, quantum: usize, cause: &str) {
        let _ = (rank, quantum, cause);
    }

    /// `rank` has left; others do what it held.
    fn on_lost(&mut self, rank: usize, cause: &str) {
        let _ = (rank, cause);
    }

    /// About ten times a second while there is work, on several ranks; after each quantum on one.
    fn tick(&mut self, counts: Counts) {
        let _ = counts;
    }
}

/// Nobody listens.
impl<R> Progress<R> for () {}

/// How [`run_quanta`] deals.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunOptions {
    /// How many quanta a rank holds beyond the one it does, so that it need not wait for the next. 1 by default.
    pub ahead: usize,
    /// How many times a quantum that failed is tried again: last, and on another rank where there is one. Never, by default.
    pub retries: usize,
    /// Stop dealing when so many quanta have failed and were not done since. Never, by default.
    pub max_failures: Option<usize>,
    /// Be finished by then: nothing more is dealt once what is dealt could take longer. A quantum is taken to need as long
    /// as the longest so far, for the costliest are dealt first. Rank 0's clock counts. Never, by default.
    pub deadline: Option<Instant>,
    /// Raise it on any rank (when a signal says that the time is nearly over, say) to stop dealing; quanta that are
    /// begun are brought to their end.
    pub stop: Option<Arc<AtomicBool>>,
    /// How long the coordinator sleeps at most before it looks for messages. 200 us by default.
    pub poll: Duration,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self { ahead: 1, retries: 0, max_failures: None, deadline: None, stop: None, poll: Duration::from_micros(200) }
    }
}

impl RunOptions {
    pub(super) fn must_stop(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    /// Whether it is too late to deal quanta of which one may take so many seconds, when a rank does `ahead` of them first.
    pub(super) fn is_late(&self, longest: f64) -> bool {
        let Some(deadline) = self.deadline else { return false };
        let needed = Duration::try_from_secs_f64(longest * (self.ahead + 1) as f64).unwrap_or(Duration::MAX);
        deadline.saturating_duration_since(Instant::now()) <= needed
    }
}

/// A quantum that was done.
#[derive(Clone, Debug, PartialEq)]
pub struct Done<R> {
    /// Its number.
    pub quantum: usize,
    /// The rank that did it.
    pub rank: usize,
    /// How long that took.
    pub seconds: f64,
    /// What it returned.
    pub result: R,
}

/// A quantum that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Its number.
    pub quantum: usize,
    /// The rank it failed on.
    pub rank: usize,
    /// Why.
    pub cause: String,
}

/// What became of a run in a few numbers, the same on every rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Number of quanta.
    pub total: usize,
    /// How many were done.
    pub done: usize,
    /// How many failed.
    pub failed: usize,
    /// How many were not tried, since dealing was stopped or no rank was left.
    pub left: usize,
}

impl Verdict {
    /// Whether every quantum was done.
    pub fn is_success(self) -> bool {
        self.done == self.total
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { total, done, failed, left } = self;
        write!(f, "{done} of {total} quanta done, {failed} failed, {left} not tried")
    }
}

/// What became of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary<R> {
    /// The same on every rank.
    pub verdict: Verdict,
    /// On rank 0 what was done, in order of quantum; empty elsewhere.
    pub done: Vec<Done<R>>,
    /// On rank 0 what failed, in order of quantum; empty elsewhere.
    pub failed: Vec<Failed>,
    /// On rank 0 what was not tried, in order; empty elsewhere.
    pub left: Vec<usize>,
    /// On rank 0 the ranks that left early, and why; empty elsewhere.
    pub lost: Vec<(usize, String)>,
}

/// All ranks of `comm` do all quanta together, the costliest first.
///
/// Collective. Rank 0 decides by a [`Dealer`] who does what; `costs` (any unit, one for each quantum) are read there
/// and ignored elsewhere. `work` is called with the number of a quantum, on a thread of its own when there are several
/// ranks, one quantum at a time, while the rank's main thread passes messages; so a rank's next quantum is already
/// there when it needs it, and no rank waits for another one's computation. What `work` returns goes to rank 0.
///
/// A failure or a panic of `work` fails its quantum, and the others go on. Every quantum is done once at most, except
/// that what a rank held when it left ([`Failure::of_rank`]) is done again by another.
///
/// ```
/// use bunter::ranks::{Failure, RunOptions, SerialCommunicator, run_quanta};
///
/// let world = SerialCommunicator::new();
/// let square = |quantum: usize| match quantum {
///     3 => Err(Failure::new("no input overlaps")),
///     q => Ok(q * q),
/// };
/// let summary = run_quanta(&world, &[1.0; 5], square, &mut (), &RunOptions::default())?;
/// assert_eq!(summary.verdict.to_string(), "4 of 5 quanta done, 1 failed, 0 not tried");
/// assert_eq!(summary.done.iter().map(|d| d.result).collect::<Vec<_>>(), [0, 1, 4, 16]);
/// assert_eq!((summary.failed[0].quantum, summary.failed[0].cause.as_str()), (3, "no input overlaps"));
/// # Ok::<(), bunter::ranks::RanksError>(())
/// ```
///
/// # Errors
/// On every rank: [`RanksError::Protocol`], [`RanksError::Deal`] or [`RanksError::Codec`] on rank 0 when a rank's
/// message makes no sense (two versions of the program in one job, say), [`RanksError::Root`] elsewhere. A quantum
/// that fails is no error here.
pub fn run_quanta<R, W>(
    comm: &dyn Communicator,
    costs: &[f64],
    work: W,
    progress: &mut dyn Progress<R>,
    options: &RunOptions,
) -> Result<Summary<R>, RanksError>
where
    R: Serialize + DeserializeOwned + Send,
    W: Fn(usize) -> Result<R, Failure> + Sync,
{
    if comm.rank() != 0 {
        let verdict = worker::work_for_root(comm, &work, options)?;
        return Ok(Summary { verdict, done: vec![], failed: vec![], left: vec![], lost: vec![] });
    }
    let mut dealer = Dealer::new(costs).with_ranks(comm.size()).with_retries(options.retries);
    if let Some(most) = options.max_failures {
        dealer = dealer.with_max_failures(most);
    }
    progress.on_start(costs.len(), comm.size());
    let mut coordinator = Coordinator::new(dealer, progress, comm.size());
    if comm.size() == 1 {
        alone(&mut coordinator, &work, options)?;
        Ok(coordinator.summary())
    } else {
        coordinate(comm, coordinator, &work, options)
    }
}

/// The same dealer, without messages and threads.
fn alone<R, W>(coordinator: &mut Coordinator<'_, R>, work: &W, options: &RunOptions) -> Result<(), RanksError>
where
    W: Fn(usize) -> Result<R, Failure>,
{
    while let Some(quantum) = coordinator.next_alone(options) {
        let event = compute::attempt(quantum, work);
        coordinator.report(0, event)?;
        coordinator.tick();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranks::ThreadCommunicator;

    type Heard = Vec<(usize, usize)>;

    #[derive(Default)]
    struct Log {
        started: Vec<(usize, usize)>,
        done: Heard,
        failed: Heard,
        lost: Vec<usize>,
        stop_after: Option<(usize, Arc<AtomicBool>)>,
    }

    impl Progress<u64> for Log {
        fn on_start(&mut self, total: usize, ranks: usize) {
            self.started.push((total, ranks));
        }

        fn on_done(&mut self, rank: usize, quantum: usize, _: &u64, seconds: f64) {
            assert!(seconds >= 0.0);
            self.done.push((rank, quantum));
            if let Some((n, stop)) = &self.stop_after {
                stop.store(self.done.len() >= *n, Ordering::Relaxed);
            }
        }

        fn on_failed(&mut self, rank: usize, quantum: usize, _: &str) {
            self.failed.push((rank, quantum));
        }

        fn on_lost(&mut self, rank: usize, _: &str) {
            self.lost.push(rank);
        }

        fn tick(&mut self, counts: Counts) {
            assert_eq!(counts.total, counts.pending + counts.assigned + counts.done + counts.failed);
        }
    }

    /// The same run on so many ranks; every rank must return the same verdict.
    fn on_ranks<W>(ranks: usize, quanta: usize, work: W, options: &RunOptions, log: &mut Log) -> Summary<u64>
    where
        W: Fn(usize, usize) -> Result<u64, Failure> + Sync,
    {
        let mut others = ThreadCommunicator::world(ranks).into_iter();
        let root = others.next().unwrap();
        let costs: Vec<f64> = (0..quanta).map(|q| (q * 7919 % 101) as f64).collect();
        std::thread::scope(|scope| {
            let work = &work;
            let others: Vec<_> = others
                .map(|comm| {
                    let run = move || {
                        let rank = comm.rank();
                        run_quanta(&comm, &[], |q| work(rank, q), &mut (), options).map(|s| s.verdict)
                    };
                    scope.spawn(run)
                })
                .collect();
            let summary = run_quanta(&root, &costs, |q| work(0, q), log, options).unwrap();
            for other in others {
                assert_eq!(other.join().unwrap().unwrap(), summary.verdict);
            }
            summary
        })
    }

    fn square(q: usize) -> u64 {
        (q * q) as u64
    }

    #[test]
    fn every_quantum_once_on_any_number_of_ranks() {
        for ranks in [1, 2, 3, 5, 16] {
            for quanta in [0, 1, 2, 7, 300] {
                let mut log = Log::default();
                let summary = on_ranks(ranks, quanta, |_, q| Ok(square(q)), &RunOptions::default(), &mut log);
                assert!(summary.verdict.is_success());
                let results: Vec<_> = summary.done.iter().map(|d| (d.quantum, d.result)).collect();
                assert_eq!(results, (0..quanta).map(|q| (q, square(q))).collect::<Vec<_>>());
                assert_eq!((log.started, log.done.len()), (vec![(quanta, ranks)], quanta));
                assert!(summary.done.iter().all(|d| d.rank < ranks));
            }
        }
    }

    #[test]
    fn failures_and_panics_are_their_quantums_own() {
        let work = |_, q| match q {
            3 | 40 => Err(Failure::from(std::io::Error::other("no input"))),
            5 => panic!("patch {q} is upside down"),
            q => Ok(square(q)),
        };
        for ranks in [1, 2, 3, 5] {
            let mut log = Log::default();
            let summary = on_ranks(ranks, 60, work, &RunOptions::default(), &mut log);
            assert_eq!(summary.verdict, Verdict { total: 60, done: 57, failed: 3, left: 0 });
            let failed: Vec<_> = summary.failed.iter().map(|f| (f.quantum, f.cause.as_str())).collect();
            assert_eq!(failed, [(3, "no input"), (5, "panicked: patch 5 is upside down"), (40, "no input")]);
            assert_eq!(log.failed.len(), 3);
        }
    }

    #[test]
    fn what_fails_on_one_rank_is_done_on_another() {
        let work = |rank, q| match (rank, q) {
            (0, 3) => Err(Failure::new("this node's disk")),
            (_, 7) => Err(Failure::new("no input")),
            (_, q) => Ok(square(q)),
        };
        let options = RunOptions { retries: 1, ..RunOptions::default() };
        for ranks in [2, 3, 5] {
            let mut log = Log::default();
            let summary = on_ranks(ranks, 40, work, &options, &mut log);
            assert_eq!(summary.verdict, Verdict { total: 40, done: 39, failed: 1, left: 0 });
            assert_eq!((summary.failed[0].quantum, summary.failed[0].cause.as_str()), (7, "no input"));
            assert_eq!(log.failed.len(), 1, "an attempt that is repeated is no failure yet");
        }
        // Alone it is tried where it failed.
        let summary = on_ranks(1, 40, work, &options, &mut Log::default());
        assert_eq!(summary.verdict.failed, 2);
    }

    #[test]
    fn nothing_is_begun_that_could_outlast_the_deadline() {
        for ranks in [1, 3] {
            let options = RunOptions { deadline: Some(Instant::now()), ..RunOptions::default() };
            let summary = on_ranks(ranks, 20, |_, q| Ok(square(q)), &options, &mut Log::default());
            assert_eq!(summary.verdict, Verdict { total: 20, done: 0, failed: 0, left: 20 });
            let options =
                RunOptions { deadline: Instant::now().checked_add(Duration::from_secs(3600)), ..RunOptions::default() };
            let summary = on_ranks(ranks, 20, |_, q| Ok(square(q)), &options, &mut Log::default());
            assert!(summary.verdict.is_success());
        }
        let options =
            RunOptions { deadline: Instant::now().checked_add(Duration::from_secs(100)), ..RunOptions::default() };
        assert!(!options.is_late(10.0) && options.is_late(60.0) && options.is_late(f64::NAN.max(f64::INFINITY)));
    }

    #[test]
    fn a_withdrawn_ranks_work_is_done_by_others() {
        for ranks in [2, 3, 5] {
            // Also when it is rank 0, which goes on dealing.
            for leaver in [0, ranks - 1] {
                let work = |rank, q| if rank == leaver { Err(Failure::of_rank("disk full")) } else { Ok(square(q)) };
                let mut log = Log::default();
                let summary = on_ranks(ranks, 50, work, &RunOptions::default(), &mut log);
                assert!(summary.verdict.is_success(), "{}", summary.verdict);
                assert!(summary.done.iter().all(|d| d.rank != leaver));
                assert!(summary.lost.len() <= 1 && log.lost.len() == summary.lost.len());
            }
        }
    }

    #[test]
    fn when_every_rank_withdraws_the_work_is_left() {
        for ranks in [1, 2, 5] {
            let work = |_, _| Err(Failure::of_rank("disk full"));
            let summary = on_ranks(ranks, 20, work, &RunOptions::default(), &mut Log::default());
            assert_eq!(summary.verdict, Verdict { total: 20, done: 0, failed: 0, left: 20 });
            assert_eq!((summary.lost.len(), summary.left.len()), (ranks, 20));
        }
    }

    #[test]
    fn dealing_stops_at_too_many_failures() {
        for ranks in [1, 2, 5] {
            let options = RunOptions { max_failures: Some(2), ..RunOptions::default() };
            let work = |_, _| Err(Failure::new("nothing works"));
            let summary = on_ranks(ranks, 500, work, &options, &mut Log::default());
            let Verdict { total, done, failed, left } = summary.verdict;
            assert_eq!((total, done, failed + left), (500, 0, 500));
            // What was begun when the second failure was heard may fail too.
            assert!((2..=2 + ranks * 4).contains(&failed), "{failed} failed on {ranks} ranks");
        }
    }

    #[test]
    fn a_raised_flag_stops_the_dealing() {
        for ranks in [1, 3] {
            let stop = Arc::new(AtomicBool::new(false));
            let options = RunOptions { stop: Some(stop.clone()), ..RunOptions::default() };
            let mut log = Log { stop_after: Some((4, stop)), ..Log::default() };
            let summary = on_ranks(ranks, 5000, |_, q| Ok(square(q)), &options, &mut log);
            let Verdict { done, failed, left, .. } = summary.verdict;
            assert!(done >= 4 && left > 0 && failed == 0 && done + left == 5000, "{}", summary.verdict);
        }
    }

    #[test]
    fn a_message_that_makes_no_sense_ends_the_run_everywhere() {
        let mut world = ThreadCommunicator::world(3).into_iter();
        let (root, one, two) = (world.next().unwrap(), world.next().unwrap(), world.next().unwrap());
        let options = &RunOptions::default();
        std::thread::scope(|scope| {
            let work = |q| Ok(square(q));
            let good = scope.spawn(move || run_quanta(&one, &[], work, &mut (), options).map(drop));
            let bad = scope.spawn(move || {
                two.send(0, worker::TO_ROOT, b"gibberish").unwrap();
                run_quanta(&two, &[], work, &mut (), options).map(drop)
            });
            let result = run_quanta(&root, &[1.0; 100], work, &mut (), options);
            assert!(matches!(result, Err(RanksError::Protocol { rank: 2, .. })), "{result:?}");
            for rank in [good, bad] {
                let said = rank.join().unwrap().unwrap_err().to_string();
                assert!(said.starts_with("rank 2 sent an unexpected message"), "{said}");
            }
        });
    }
}
