//! The main thread of a rank other than 0: it asks rank 0 for quanta and reports what became of them.

use super::compute::{Event, Patience, Queue, STACK, compute};
use super::{Communicator, Failure, RanksError, RunOptions, Verdict, doing};
use crate::dataset::codec::{decode, encode};
use serde::{Deserialize, Serialize};
use std::{sync::mpsc, time::Duration};

/// Messages to rank 0.
pub(super) const TO_ROOT: u8 = 0xB0;
/// Messages from rank 0.
pub(super) const TO_RANK: u8 = 0xB1;

/// What a rank says to rank 0.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report<R> {
    /// The rank can take so many quanta more. It does not ask again before it has got some.
    Request(usize),
    Event(Event<R>),
    /// These were not begun.
    Returned(Vec<usize>),
    /// This rank's user wants no more to be dealt.
    Stop,
    /// The rank's last word.
    Goodbye,
}

/// What rank 0 says to a rank.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    Work(Vec<usize>),
    /// Nothing more will come; give back what is not begun. Sent to each rank once in a run, and its last order.
    Finished,
}

/// How long a rank that computes sleeps before it looks for messages: nothing urgent can come.
const BUSY: Duration = Duration::from_millis(2);

/// Works for rank 0 until it says that all is finished; returns its verdict.
pub(super) fn work_for_root<R, W>(
    comm: &dyn Communicator,
    work: &W,
    options: &RunOptions,
) -> Result<Verdict, RanksError>
where
    R: Serialize + Send,
    W: Fn(usize) -> Result<R, Failure> + Sync,
{
    let mut finished = false;
    if let Err(error) = serve(comm, work, options, &mut finished) {
        // Rank 0 must not wait for what this rank holds, and still hears a last word.
        tell(comm, &Report::<()>::Event(Event::Withdrawn { cause: error.to_string() }))?;
    }
    // A rank that withdrew reads its orders to their end, so that none is left for a later run.
    let mut patience = Patience::default();
    while !finished {
        match comm.try_receive(Some(0), TO_RANK)? {
            Some(order) => finished = matches!(decode(&order.bytes), Ok(Order::Finished)),
            None => std::thread::sleep(patience.next(options.poll)),
        }
    }
    tell(comm, &Report::<()>::Goodbye)?;
    let _waiting = doing("waiting for the end of the run");
    let verdict: Result<Verdict, String> = decode(&comm.broadcast(None)?)?;
    verdict.map_err(|cause| RanksError::Root { cause })
}

fn tell<R: Serialize>(comm: &dyn Communicator, report: &Report<R>) -> Result<(), RanksError> {
    comm.send(0, TO_ROOT, &encode(report)?)
}

fn serve<R, W>(comm: &dyn Communicator, work: &W, options: &RunOptions, finished: &mut bool) -> Result<(), RanksError>
where
    R: Serialize + Send,
    W: Fn(usize) -> Result<R, Failure> + Sync,
{
    let _passing = doing("passing messages");
    let queue = Queue::default();
    std::thread::scope(|scope| {
        let _close = queue.close_on_drop();
        let (sender, events) = mpsc::channel();
        let builder = std::thread::Builder::new().name("compute".into()).stack_size(STACK);
        let spawned = builder.spawn_scoped(scope, || {
            let sender = sender;
            compute(&queue, work, &sender);
        });
        spawned.map_err(|e| RanksError::Protocol { rank: comm.rank(), what: format!("it has no thread: {e}") })?;
        // Dealt to this rank and not reported; asked for and not answered; said that this rank's user wants to stop.
        let (mut held, mut asked, mut stopped) = (0_usize, false, false);
        let mut patience = Patience::default();
        loop {
            while let Some(message) = comm.try_receive(Some(0), TO_RANK)? {
                patience.renew();
                match decode(&message.bytes)? {
                    Order::Work(quanta) => {
                        held += quanta.len();
                        asked = false;
                        queue.extend(quanta);
                    }
                    Order::Finished => {
                        *finished = true;
                        let back = queue.take_back();
                        held -= back.len().min(held);
                        if !back.is_empty() {
                            tell(comm, &Report::<R>::Returned(back))?;
                        }
                    }
                }
            }
            if *finished && held == 0 {
                return Ok(());
            }
            if !*finished && !stopped && options.must_stop() {
                stopped = true;
                tell(comm, &Report::<R>::Stop)?;
            }
            if !*finished && !asked && held <= options.ahead {
                asked = true;
                tell(comm, &Report::<R>::Request(options.ahead + 1 - held))?;
            }
            let most = if held > 0 && !asked { BUSY } else { options.poll };
            match events.recv_timeout(patience.next(most)) {
                Ok(event) => {
                    patience.renew();
                    held = held.saturating_sub(1);
                    if report(comm, event)? {
                        return Ok(());
                    }
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    let what = "its computing thread has ended".into();
                    return Err(RanksError::Protocol { rank: comm.rank(), what });
                }
            }
        }
    })
}

/// Passes on what became of a quantum; `true` when it was the rank's last.
fn report<R: Serialize>(comm: &dyn Communicator, event: Event<R>) -> Result<bool, RanksError> {
    let quantum = match &event {
        Event::Done { quantum, .. } | Event::Failed { quantum, .. } => Some(*quantum),
        Event::Withdrawn { .. } => None,
    };
    match (tell(comm, &Report::Event(event)), quantum) {
        (Ok(()), quantum) => Ok(quantum.is_none()),
        // A result that cannot be sent is this quantum's trouble and nobody else's.
        (Err(e @ (RanksError::Codec(_) | RanksError::MessageTooLong { .. })), Some(quantum)) => {
            let cause = format!("its result could not be sent: {e}");
            tell(comm, &Report::<()>::Event(Event::Failed { quantum, cause }))?;
            Ok(false)
        }
        (Err(e), _) => Err(e),
    }
}
