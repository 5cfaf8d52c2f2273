//! [`Dealer`]: who does which quantum next. A pure state machine, without messages, clocks or files.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque},
};

/// What the dealer answers a rank that asks for work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deal {
    /// Do these quanta, in this order.
    Work(Vec<usize>),
    /// There is nothing for this rank now; ask again after the next event.
    Wait,
    /// There will be nothing more.
    Finished,
}

/// An event that cannot be: it names a quantum or a rank which the dealer knows to be otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DealError {
    /// There is no such quantum.
    #[error("rank {rank} names quantum {quantum}, but there are {total}")]
    NoSuchQuantum {
        /// The rank that named it.
        rank: usize,
        /// The quantum.
        quantum: usize,
        /// Number of quanta.
        total: usize,
    },
    /// The quantum is not in this rank's hands.
    #[error("rank {rank} names quantum {quantum}, which is {state}")]
    NotHeld {
        /// The rank that named it.
        rank: usize,
        /// The quantum.
        quantum: usize,
        /// Where the quantum is.
        state: String,
    },
}

/// How many quanta are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// All of them.
    pub total: usize,
    /// Not dealt yet, or given back.
    pub pending: usize,
    /// In a rank's hands.
    pub assigned: usize,
    /// Done.
    pub done: usize,
    /// Failed.
    pub failed: usize,
}

/// What becomes of a quantum that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    /// It is dealt again when all others have been, on another rank where there is one.
    Again,
    /// It has failed for good.
    Final,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Pending,
    /// Pending, and in `again` instead of `pending`.
    Again,
    Assigned(usize),
    Done(usize),
    Failed(usize),
}

/// Deals quanta to ranks, the costliest first.
///
/// A quantum is in one place at any time: pending, in one rank's hands, done, or failed. What a lost rank held is
/// pending again. Towards the end a rank that still has work in hand waits, so that the last quanta go to idle ranks. A quantum that
/// failed is dealt again as often as [`with_retries`](Self::with_retries) says, after all others, and to a rank that it has
/// not failed on as long as there is one: what a bad node spoils, another one mends.
///
/// ```
/// use bunter::ranks::{Deal, Dealer};
///
/// let mut dealer = Dealer::new(&[1.0, 9.0, 4.0]);
/// assert_eq!(dealer.request(0, 1), Deal::Work(vec![1]));
/// assert_eq!(dealer.request(1, 1), Deal::Work(vec![2]));
/// dealer.done(1, 2)?;
/// assert_eq!(dealer.lost(0), [1]);
/// assert_eq!(dealer.request(1, 1), Deal::Work(vec![1]));
/// dealer.failed(1, 1, "no such image")?;
/// assert_eq!(dealer.request(1, 1), Deal::Work(vec![0]));
/// dealer.done(1, 0)?;
/// assert_eq!(dealer.request(1, 1), Deal::Finished);
/// # Ok::<(), bunter::ranks::DealError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dealer {
    /// Quanta by falling cost, then by number.
    by_cost: Vec<usize>,
    /// Where each quantum stands in `by_cost`.
    place: Vec<usize>,
    /// Places of pending quanta.
    pending: BinaryHeap<Reverse<usize>>,
    state: Vec<State>,
    held: BTreeMap<usize, BTreeSet<usize>>,
    lost: BTreeSet<usize>,
    causes: BTreeMap<usize, String>,
    /// Quanta that failed and are tried again, in the order of failing.
    again: VecDeque<usize>,
    /// Where the quanta that failed did so, once an attempt.
    attempts: BTreeMap<usize, Vec<usize>>,
    counts: Counts,
    ranks: usize,
    retries: usize,
    max_failures: Option<usize>,
    stopped: bool,
}

impl Dealer {
    /// A dealer of `costs.len()` quanta for one rank. Costs are in any unit; one that is not a number counts as the
    /// highest of all. Of equal costs the lower number is dealt first, so that the order is always the same.
    pub fn new(costs: &[f64]) -> Self {
        let cost = |q: usize| costs.get(q).map_or(f64::INFINITY, |c| if c.is_nan() { f64::INFINITY } else { *c });
        let mut by_cost: Vec<usize> = (0..costs.len()).collect();
        by_cost.sort_by(|a, b| cost(*b).total_cmp(&cost(*a)).then(a.cmp(b)));
        let mut place = vec![0; by_cost.len()];
        for (i, q) in by_cost.iter().enumerate() {
            if let Some(p) = place.get_mut(*q) {
                *p = i;
            }
        }
        let total = costs.len();
        Self {
            pending: (0..total).map(Reverse).collect(),
            state: vec![State::Pending; total],
            held: BTreeMap::new(),
            lost: BTreeSet::new(),
            causes: BTreeMap::new(),
            again: VecDeque::new(),
            attempts: BTreeMap::new(),
            counts: Counts { total, pending: total, ..Counts::default() },
            ranks: 1,
            retries: 0,
            max_failures: None,
            stopped: false,
            by_cost,
            place,
        }
    }

    /// For this many ranks: what is dealt ahead depends on it.
    #[must_use]
    pub fn with_ranks(mut self, ranks: usize) -> Self {
        self.ranks = ranks.max(1);
        self
    }

    /// Deal a quantum that failed again, so many times at most. Not at all, unless told.
    #[must_use]
    pub fn with_retries(mut self, retries: usize) -> Self {
        self.retries = retries;
        self
    }

    /// Stop dealing when so many quanta have failed and were not done since. Zero is taken as one.
    #[must_use]
    pub fn with_max_failures(mut self, failures: usize) -> Self {
        self.max_failures = Some(failures.max(1));
        self
    }

    /// Up to `n` quanta for `rank`.
    ///
    /// At most half of a fair share of what is pending is dealt at once, so that chunks shrink towards the end; and
    /// when fewer quanta than ranks are pending, only a rank with nothing in hand gets one.
    pub fn request(&mut self, rank: usize, n: usize) -> Deal {
        if self.stopped || self.is_finished() || self.lost.contains(&rank) {
            return Deal::Finished;
        }
        let in_hand = self.held.get(&rank).map_or(0, BTreeSet::len);
        let ranks = self.ranks.saturating_sub(self.lost.len()).max(1);
        if n == 0 || self.counts.pending == 0 || (in_hand > 0 && self.counts.pending < ranks) {
            return Deal::Wait;
        }
        let n = n.min((self.counts.pending / (2 * ranks)).max(1));
        let mut quanta = Vec::with_capacity(n);
        while quanta.len() < n {
            let Some(quantum) = self.pending.pop().and_then(|Reverse(place)| self.by_cost.get(place).copied()) else {
                break;
            };
            self.shift(quantum, State::Assigned(rank));
            quanta.push(quantum);
        }
        if quanta.is_empty()
            && let Some(quantum) =
                self.again.iter().position(|q| self.may_try(rank, *q)).and_then(|at| self.again.remove(at))
        {
            self.shift(quantum, State::Assigned(rank));
            quanta.push(quantum);
        }
        if quanta.is_empty() { Deal::Wait } else { Deal::Work(quanta) }
    }

    /// Whether a quantum that failed may be tried on `rank`: it has not failed there, or it has on all ranks there are.
    fn may_try(&self, rank: usize, quantum: usize) -> bool {
        let Some(failed_on) = self.attempts.get(&quantum) else { return true };
        let is_fresh = |rank: usize| !failed_on.contains(&rank) && !self.lost.contains(&rank);
        is_fresh(rank) || !(0..self.ranks).any(is_fresh)
    }

    /// `rank` has done `quantum`.
    ///
    /// # Errors
    /// [`DealError`] when the quantum is not in the rank's hands; nothing is changed then.
    pub fn done(&mut self, rank: usize, quantum: usize) -> Result<(), DealError> {
        self.expect_held(rank, quantum)?;
        self.causes.remove(&quantum);
        self.shift(quantum, State::Done(rank));
        Ok(())
    }

    /// `quantum` failed on `rank`.
    ///
    /// # Errors
    /// [`DealError`] when the quantum is not in the rank's hands; nothing is changed then.
    pub fn failed(&mut self, rank: usize, quantum: usize, cause: impl Into<String>) -> Result<AfterFailure, DealError> {
        self.expect_held(rank, quantum)?;
        let attempts = self.attempts.entry(quantum).or_default();
        attempts.push(rank);
        let is_final = attempts.len() > self.retries || self.stopped;
        self.causes.insert(quantum, cause.into());
        self.shift(quantum, if is_final { State::Failed(rank) } else { State::Again });
        if self.max_failures.is_some_and(|most| self.causes.len() >= most) {
            self.stop();
        }
        Ok(if is_final || self.stopped { AfterFailure::Final } else { AfterFailure::Again })
    }

    /// `rank` gives back `quantum`, which it has not begun.
    ///
    /// # Errors
    /// [`DealError`] when the quantum is not in the rank's hands; nothing is changed then.
    pub fn returned(&mut self, rank: usize, quantum: usize) -> Result<(), DealError> {
        self.expect_held(rank, quantum)?;
        self.give_back(quantum);
        Ok(())
    }

    /// `rank` is gone: what it held is pending again, and it is dealt nothing more. Returns what it held.
    pub fn lost(&mut self, rank: usize) -> Vec<usize> {
        self.lost.insert(rank);
        let quanta: Vec<usize> = self.held.get(&rank).into_iter().flatten().copied().collect();
        for quantum in &quanta {
            self.give_back(*quantum);
        }
        quanta
    }

    /// To the place that a quantum was dealt from.
    fn give_back(&mut self, quantum: usize) {
        let to = match self.attempts.get(&quantum).and_then(|ranks| ranks.last()) {
            None => State::Pending,
            Some(rank) if self.stopped => State::Failed(*rank),
            Some(_) => State::Again,
        };
        self.shift(quantum, to);
    }

    /// Deal nothing more. What is in a rank's hands may still be done, failed or returned; what waits to be tried again has failed.
    pub fn stop(&mut self) {
        self.stopped = true;
        for quantum in std::mem::take(&mut self.again) {
            self.give_back(quantum);
        }
    }

    /// Whether dealing was stopped, by [`stop`](Self::stop) or by too many failures.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Whether nothing is in any rank's hands and nothing more will be dealt.
    pub fn is_finished(&self) -> bool {
        self.counts.assigned == 0 && (self.counts.pending == 0 || self.stopped)
    }

    /// How many quanta are where.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The failures in order of quantum: `(quantum, rank, cause)`.
    pub fn failures(&self) -> impl Iterator<Item = (usize, usize, &str)> {
        self.causes.iter().filter_map(|(quantum, cause)| match self.state.get(*quantum) {
            Some(State::Failed(rank)) => Some((*quantum, *rank, cause.as_str())),
            _ => None,
        })
    }

    /// The quanta that are neither done nor failed, in order.
    pub fn left(&self) -> Vec<usize> {
        let is_left = |s: &State| matches!(s, State::Pending | State::Again | State::Assigned(_));
        self.state.iter().enumerate().filter(|(_, s)| is_left(s)).map(|(q, _)| q).collect()
    }

    /// Recounts everything from scratch, and says what does not agree. For tests: it looks at every quantum.
    ///
    /// # Errors
    /// A sentence on the first disagreement: a quantum in two places, in none, or wrong counts.
    pub fn check(&self) -> Result<(), String> {
        let mut counts = Counts { total: self.by_cost.len(), ..Counts::default() };
        let mut queued = vec![0_usize; counts.total];
        for Reverse(place) in &self.pending {
            let quantum = self.by_cost.get(*place).ok_or(format!("place {place} is beyond the end"))?;
            *queued.get_mut(*quantum).ok_or(format!("quantum {quantum} is beyond the end"))? += 1;
        }
        for quantum in &self.again {
            // Counted otherwise than those of `pending`.
            *queued.get_mut(*quantum).ok_or(format!("quantum {quantum} is beyond the end"))? += 10;
        }
        for (quantum, (state, queued)) in self.state.iter().zip(&queued).enumerate() {
            let holders: Vec<usize> =
                self.held.iter().filter(|(_, held)| held.contains(&quantum)).map(|(rank, _)| *rank).collect();
            let (expected_queue, expected_holders) = match state {
                State::Pending => (1, vec![]),
                State::Again => (10, vec![]),
                State::Assigned(rank) => (0, vec![*rank]),
                State::Done(_) | State::Failed(_) => (0, vec![]),
            };
            if *queued != expected_queue || holders != expected_holders {
                return Err(format!(
                    "quantum {quantum} is {state:?}, queued {queued} times, held by ranks {holders:?}"
                ));
            }
            *match state {
                State::Pending | State::Again => &mut counts.pending,
                State::Assigned(_) => &mut counts.assigned,
                State::Done(_) => &mut counts.done,
                State::Failed(_) => &mut counts.failed,
            } += 1;
        }
        if counts != self.counts {
            return Err(format!("{counts:?} were counted, {:?} are recorded", self.counts));
        }
        match self.held.iter().find(|(rank, held)| self.lost.contains(rank) && !held.is_empty()) {
            Some((rank, held)) => Err(format!("lost rank {rank} holds {held:?}")),
            None if self.failures().count() != counts.failed => Err("a failure has no cause".into()),
            None if self.stopped && !self.again.is_empty() => Err("something waits to be tried again for ever".into()),
            None => Ok(()),
        }
    }

    fn expect_held(&self, rank: usize, quantum: usize) -> Result<(), DealError> {
        let total = self.counts.total;
        let state = match self.state.get(quantum) {
            None => return Err(DealError::NoSuchQuantum { rank, quantum, total }),
            Some(State::Assigned(holder)) if *holder == rank => return Ok(()),
            Some(State::Assigned(other)) => format!("in the hands of rank {other}"),
            Some(State::Pending | State::Again) => "in nobody's hands".into(),
            Some(State::Done(by)) => format!("done by rank {by}"),
            Some(State::Failed(by)) => format!("failed on rank {by}"),
        };
        Err(DealError::NotHeld { rank, quantum, state })
    }

    /// Moves a quantum that the caller has looked up to its next place.
    fn shift(&mut self, quantum: usize, to: State) {
        let Some(state) = self.state.get_mut(quantum) else { return };
        match *state {
            State::Pending | State::Again => self.counts.pending -= 1,
            State::Assigned(rank) => {
                self.counts.assigned -= 1;
                if let Some(held) = self.held.get_mut(&rank) {
                    held.remove(&quantum);
                }
            }
            State::Done(_) => self.counts.done -= 1,
            State::Failed(_) => self.counts.failed -= 1,
        }
        *state = to;
        match to {
            State::Pending => {
                self.counts.pending += 1;
                self.pending.extend(self.place.get(quantum).map(|p| Reverse(*p)));
            }
            State::Again => {
                self.counts.pending += 1;
                self.again.push_back(quantum);
            }
            State::Assigned(rank) => {
                self.counts.assigned += 1;
                self.held.entry(rank).or_default().insert(quantum);
            }
            State::Done(_) => self.counts.done += 1,
            State::Failed(_) => self.counts.failed += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn work(deal: Deal) -> Vec<usize> {
        match deal {
            Deal::Work(quanta) => quanta,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn costliest_first_and_equal_costs_in_order() {
        let costs = [2.0, f64::NAN, 2.0, f64::INFINITY, -1.0, 0.0, -0.0];
        let mut dealer = Dealer::new(&costs);
        let mut order = vec![];
        while let Deal::Work(quanta) = dealer.request(0, 1) {
            for q in quanta {
                order.push(q);
                dealer.done(0, q).unwrap();
            }
        }
        assert_eq!(order, [1, 3, 0, 2, 5, 6, 4]);
        assert_eq!(dealer.request(0, 1), Deal::Finished);
    }

    #[test]
    fn chunks_shrink_and_the_last_quanta_go_to_idle_ranks() {
        let mut dealer = Dealer::new(&[1.0; 64]).with_ranks(4);
        let mut sizes = vec![];
        for rank in [0, 1, 2, 3].repeat(4) {
            if let Deal::Work(quanta) = dealer.request(rank, 100) {
                sizes.push(quanta.len());
            }
        }
        assert!(sizes.windows(2).all(|w| w[0] >= w[1]) && sizes[0] == 8, "{sizes:?}");
        while dealer.counts().pending >= 4 {
            work(dealer.request(0, 1));
        }
        assert_eq!(dealer.request(0, 1), Deal::Wait, "rank 0 has work in hand");
        assert_eq!(work(dealer.request(9, 1)).len(), 1, "an idle rank gets one of the last");
    }

    #[test]
    fn a_finished_dealer_of_nothing() {
        let mut dealer = Dealer::new(&[]);
        assert!(dealer.is_finished());
        assert_eq!(dealer.request(0, 5), Deal::Finished);
        dealer.check().unwrap();
    }

    #[test]
    fn impossible_events_are_errors_that_change_nothing() {
        let mut dealer = Dealer::new(&[1.0, 2.0]);
        assert_eq!(work(dealer.request(3, 1)), [1]);
        let before = dealer.counts();
        assert!(matches!(dealer.done(3, 7), Err(DealError::NoSuchQuantum { quantum: 7, total: 2, .. })));
        let said = dealer.done(4, 1).unwrap_err().to_string();
        assert_eq!(said, "rank 4 names quantum 1, which is in the hands of rank 3");
        assert!(dealer.failed(3, 0, "").is_err());
        assert!(dealer.returned(4, 1).is_err());
        dealer.done(3, 1).unwrap();
        assert!(dealer.done(3, 1).is_err(), "nothing is done twice");
        assert_eq!(before.done + 1, dealer.counts().done);
        dealer.check().unwrap();
    }

    #[test]
    fn failures_stop_the_dealing() {
        let mut dealer = Dealer::new(&[1.0; 10]).with_ranks(2).with_max_failures(2);
        for _ in 0..2 {
            let q = work(dealer.request(0, 1))[0];
            dealer.failed(0, q, format!("cause {q}")).unwrap();
        }
        assert_eq!(dealer.request(1, 1), Deal::Finished);
        assert!(dealer.is_stopped() && dealer.is_finished());
        assert_eq!(dealer.failures().collect::<Vec<_>>(), [(0, 0, "cause 0"), (1, 0, "cause 1")]);
        assert_eq!(dealer.left(), (2..10).collect::<Vec<_>>());
    }

    #[test]
    fn what_failed_is_tried_again_last_and_elsewhere() {
        let mut dealer = Dealer::new(&[5.0, 4.0, 3.0]).with_ranks(3).with_retries(2);
        assert_eq!(work(dealer.request(0, 1)), [0]);
        assert_eq!(dealer.failed(0, 0, "bad disk").unwrap(), AfterFailure::Again);
        // After the others, and not where it failed.
        assert_eq!(work(dealer.request(0, 1)), [1]);
        assert_eq!(work(dealer.request(1, 1)), [2]);
        dealer.done(0, 1).unwrap();
        assert_eq!(dealer.request(0, 1), Deal::Wait);
        dealer.done(1, 2).unwrap();
        assert_eq!(work(dealer.request(1, 1)), [0]);
        // Not begun there: it keeps its history.
        dealer.returned(1, 0).unwrap();
        assert_eq!(dealer.lost(1), [0_usize; 0]);
        assert_eq!(dealer.request(0, 1), Deal::Wait, "rank 2 is left");
        assert_eq!(work(dealer.request(2, 1)), [0]);
        assert_eq!(dealer.failed(2, 0, "bad input").unwrap(), AfterFailure::Again);
        // It has failed on all that are left: any may have it.
        assert_eq!(work(dealer.request(0, 1)), [0]);
        assert_eq!(dealer.failed(0, 0, "bad input, said again").unwrap(), AfterFailure::Final);
        assert!(dealer.is_finished());
        assert_eq!(dealer.failures().collect::<Vec<_>>(), [(0, 0, "bad input, said again")]);
        dealer.check().unwrap();
    }

    #[test]
    fn what_waits_to_be_tried_again_has_failed_when_the_dealing_stops() {
        let mut dealer = Dealer::new(&[5.0, 4.0, 3.0, 2.0]).with_ranks(2).with_retries(1).with_max_failures(2);
        for cause in ["no disk", "no input"] {
            let quantum = work(dealer.request(0, 1))[0];
            dealer.failed(0, quantum, cause).unwrap();
            dealer.check().unwrap();
        }
        assert!(dealer.is_stopped() && dealer.is_finished());
        assert_eq!(dealer.failures().collect::<Vec<_>>(), [(0, 0, "no disk"), (1, 0, "no input")]);
        assert_eq!(dealer.left(), [2, 3]);
    }

    #[test]
    fn a_lost_rank_gets_nothing_more_and_its_quanta_are_dealt_again() {
        let mut dealer = Dealer::new(&[5.0, 4.0, 3.0, 2.0, 1.0, 0.5, 0.2, 0.1]).with_ranks(2);
        assert_eq!(work(dealer.request(1, 2)), [0, 1]);
        dealer.done(1, 0).unwrap();
        assert_eq!(dealer.lost(1), [1]);
        assert_eq!(dealer.request(1, 1), Deal::Finished);
        assert!(dealer.done(1, 1).is_err(), "a late word of a lost rank is not believed");
        assert_eq!(work(dealer.request(0, 1)), [1], "the costliest again");
        assert_eq!(dealer.lost(1), [0_usize; 0]);
        dealer.check().unwrap();
    }

    #[derive(Clone, Debug)]
    enum Event {
        Request(usize, usize),
        Done(usize, usize),
        Failed(usize, usize),
        Returned(usize, usize),
        Lost(usize),
        Stop,
    }

    fn event() -> impl Strategy<Value = Event> {
        let rank = 0..6_usize;
        let pick = 0..50_usize;
        prop_oneof![
            12 => (rank.clone(), 0..5_usize).prop_map(|(r, n)| Event::Request(r, n)),
            8 => (rank.clone(), pick.clone()).prop_map(|(r, k)| Event::Done(r, k)),
            2 => (rank.clone(), pick.clone()).prop_map(|(r, k)| Event::Failed(r, k)),
            2 => (rank.clone(), pick).prop_map(|(r, k)| Event::Returned(r, k)),
            1 => rank.prop_map(Event::Lost),
            1 => Just(Event::Stop),
        ]
    }

    proptest! {
        /// Against a slow model: a list of who holds what, and a set of what is over.
        #[test]
        fn nothing_is_dealt_twice_and_nothing_is_lost(
            costs in prop::collection::vec(prop_oneof![Just(f64::NAN), -1.0..9.0_f64], 0..40),
            ranks in 1..6_usize,
            most in prop::option::of(1..5_usize),
            retries in 0..3_usize,
            events in prop::collection::vec(event(), 0..200),
        ) {
            let mut dealer = Dealer::new(&costs).with_ranks(ranks).with_retries(retries);
            if let Some(most) = most {
                dealer = dealer.with_max_failures(most);
            }
            let mut tried: BTreeMap<usize, usize> = BTreeMap::new();
            let mut held: Vec<(usize, usize)> = vec![];
            let mut over = BTreeSet::new();
            let mut lost = BTreeSet::new();
            let mut failing: BTreeSet<usize> = BTreeSet::new();
            let mut stopped = false;
            for event in events {
                let stop_before = stopped;
                match event {
                    Event::Request(rank, n) => match dealer.request(rank, n) {
                        Deal::Work(quanta) => {
                            prop_assert!(!stop_before && !lost.contains(&rank));
                            prop_assert!(!quanta.is_empty() && quanta.len() <= n);
                            for q in quanta {
                                prop_assert!(held.iter().all(|(_, other)| *other != q) && !over.contains(&q));
                                held.push((rank, q));
                            }
                        }
                        Deal::Wait => prop_assert!(!stop_before && over.len() < costs.len()),
                        Deal::Finished => prop_assert!(
                            stop_before || lost.contains(&rank) || over.len() == costs.len()
                        ),
                    },
                    Event::Done(rank, k) | Event::Failed(rank, k) | Event::Returned(rank, k) => {
                        // Mostly a quantum that somebody holds, named by its holder or by another.
                        let quantum = if held.is_empty() { k } else { held[k % held.len()].1 };
                        let mine = held.iter().position(|h| *h == (rank, quantum));
                        let result = match event {
                            Event::Done(..) => dealer.done(rank, quantum).map(|()| AfterFailure::Final),
                            Event::Failed(..) => dealer.failed(rank, quantum, "why"),
                            _ => dealer.returned(rank, quantum).map(|()| AfterFailure::Again),
                        };
                        prop_assert_eq!(result.is_ok(), mine.is_some());
                        if let Some(i) = mine {
                            held.remove(i);
                            match event {
                                Event::Done(..) => {
                                    over.insert(quantum);
                                    failing.remove(&quantum);
                                }
                                Event::Failed(..) => {
                                    failing.insert(quantum);
                                    stopped |= most.is_some_and(|m| failing.len() >= m);
                                    let tried = tried.entry(quantum).or_default();
                                    *tried += 1;
                                    prop_assert_eq!(result, Ok(if *tried > retries || stopped {
                                        over.insert(quantum);
                                        AfterFailure::Final
                                    } else {
                                        AfterFailure::Again
                                    }));
                                }
                                _ => {}
                            }
                        }
                    }
                    Event::Lost(rank) => {
                        let mut back = dealer.lost(rank);
                        back.sort_unstable();
                        let mut mine: Vec<_> = held.iter().filter(|h| h.0 == rank).map(|h| h.1).collect();
                        mine.sort_unstable();
                        prop_assert_eq!(back, mine);
                        held.retain(|h| h.0 != rank);
                        lost.insert(rank);
                    }
                    Event::Stop => {
                        dealer.stop();
                        stopped = true;
                    }
                }
                if stopped {
                    // What has failed once and is in nobody's hands will not be tried again.
                    over.extend(failing.iter().filter(|q| held.iter().all(|(_, other)| other != *q)));
                }
                prop_assert_eq!(dealer.check(), Ok(()));
                let counts = dealer.counts();
                prop_assert_eq!((counts.assigned, counts.done + counts.failed), (held.len(), over.len()));
                prop_assert_eq!(dealer.is_stopped(), stopped);
            }
            // A fresh rank can always bring what is left to its end, unless dealing was stopped.
            for (rank, q) in held {
                dealer.done(rank, q).unwrap();
            }
            while let Deal::Work(quanta) = dealer.request(99, 3) {
                for q in quanta {
                    dealer.done(99, q).unwrap();
                }
            }
            prop_assert!(dealer.is_finished());
            prop_assert_eq!(dealer.left().is_empty(), dealer.counts().pending == 0);
            prop_assert!(stopped || dealer.left().is_empty());
        }
    }
}
