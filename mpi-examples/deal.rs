//! Ranks deal 200 uneven quanta among themselves; rank 0 prints what came out, which is the same on any number of ranks.
//!
//! `mpirun -n 4 deal`, or just `deal`. The first argument names one of the troubles the tests make:
//! `fail`, `panic-quantum`, `panic-rank`, `withdraw`, `leave`, `large`, `twice`, `messages`, `root-fails`, or `share <bytes>`.
#![expect(clippy::panic, reason = "the tests want to see what a panic does")]

use bunter::ranks::{Failure, RanksError, RunOptions, Summary, World, broadcast_result, doing, run_quanta};
use std::{error::Error, process::ExitCode};

const QUANTA: usize = 200;

fn main() -> ExitCode {
    let world = match World::detect() {
        Ok(world) => world,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().unwrap_or_default();
    let bytes = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(0);
    match run(&world, &mode, bytes) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(3),
        Err(error) => {
            eprintln!("error: rank {} on {}: {error}", world.rank(), world.host());
            world.abort(4)
        }
    }
}

/// Whether all went well, the same on every rank.
fn run(world: &World, mode: &str, bytes: usize) -> Result<bool, Box<dyn Error>> {
    match mode {
        "share" => return share(world, bytes),
        "messages" => return messages(world),
        "leave" if world.rank() == world.size() - 1 => return Err("this rank has had enough".into()),
        "panic-rank" if world.rank() == world.size() - 1 => {
            let _activity = doing("looking for trouble");
            panic!("found it");
        }
        "root-fails" => {
            let opened = world.is_root().then_some(Err::<u64, _>("no registry here"));
            let refused = matches!(broadcast_result(&**world, opened), Err(RanksError::Root { .. }));
            world.barrier()?;
            return Ok(!refused);
        }
        _ => {}
    }
    let mut success = true;
    for _ in 0..if mode == "twice" { 3 } else { 1 } {
        let summary = deal(world, mode)?;
        success &= summary.verdict.is_success();
        if world.is_root() {
            print(&summary);
        }
    }
    Ok(success)
}

type Toy = (u64, Vec<u8>);

fn deal(world: &World, mode: &str) -> Result<Summary<Toy>, RanksError> {
    let costs: Vec<f64> = (0..QUANTA).map(|q| spins(q) as f64).collect();
    let rank = world.rank();
    let work = |quantum: usize| match (mode, quantum) {
        ("fail", 17) => Err(Failure::new("no input overlaps patch 17")),
        ("panic-quantum", 42) => panic!("patch 42 is upside down"),
        // Every rank but the first leaves at its first quantum.
        ("withdraw", _) if rank > 0 => Err(Failure::of_rank("its scratch disk is full")),
        // Far over the size that MPI libraries send without asking the receiver first.
        ("large", _) => Ok((spin(quantum), vec![quantum as u8; 1 << 20])),
        _ => Ok((spin(quantum), vec![])),
    };
    run_quanta(&**world, &costs, work, &mut (), &RunOptions::default())
}

fn spins(quantum: usize) -> u64 {
    1000 + (quantum as u64 * 7919) % 20_000
}

/// Work that takes a time in proportion to the quantum's cost.
fn spin(quantum: usize) -> u64 {
    (0..spins(quantum)).fold(quantum as u64, |x, i| x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(i) >> 1)
}

fn print(summary: &Summary<Toy>) {
    let sum = summary.done.iter().fold(0_u64, |sum, done| sum.wrapping_add(done.result.0));
    let payload: u64 = summary.done.iter().flat_map(|done| &done.result.1).map(|b| u64::from(*b)).sum();
    println!("{}; sum {sum:016x}, payload {payload}", summary.verdict);
    for failed in &summary.failed {
        println!("quantum {} failed: {}", failed.quantum, failed.cause);
    }
    for (rank, cause) in &summary.lost {
        eprintln!("rank {rank} left: {cause}");
    }
}

/// Broadcasts `bytes` bytes into shared memory, twice, and lets every rank compare what it sees.
fn share(world: &World, bytes: usize) -> Result<bool, Box<dyn Error>> {
    let pattern = |seed: usize| (0..bytes).map(move |i| (i / 251 + i + seed) as u8);
    for seed in 0..2 {
        let root: Option<Vec<u8>> = world.is_root().then(|| pattern(seed).collect());
        let shared = world.broadcast_shared(root.as_deref())?;
        let plain = world.broadcast(root.as_deref())?;
        let same = shared.len() == bytes
            && shared.as_ptr().align_offset(64) == 0
            && shared.iter().copied().eq(pattern(seed))
            && *plain == *shared;
        let answers = world.gather(&[u8::from(same), u8::from(shared.is_shared())])?;
        if let Some(answers) = answers {
            let (same, one): (Vec<_>, Vec<_>) = answers.iter().map(|a| (a[0], a[1])).unzip();
            println!("same {same:?} shared {one:?}");
        }
    }
    let nothing = world.broadcast_shared(None).is_err();
    let long: Vec<u8> = pattern(world.rank()).collect();
    let whole = world.gather(&long)?.is_none_or(|all| {
        all.len() == world.size() && all.iter().enumerate().all(|(rank, got)| got.iter().copied().eq(pattern(rank)))
    });
    Ok(nothing && whole)
}

/// Every rank sends every rank messages of many lengths before anyone receives: sends must not wait.
fn messages(world: &World) -> Result<bool, Box<dyn Error>> {
    let lengths = [0_usize, 1, 5000, 100_000, 3_000_000];
    for to in 0..world.size() {
        for n in lengths {
            world.send(to, 9, &vec![world.rank() as u8; n])?;
        }
    }
    for from in 0..world.size() {
        for n in lengths {
            let message = loop {
                if let Some(message) = world.try_receive(Some(from), 9)? {
                    break message;
                }
            };
            if message.bytes != vec![from as u8; n] {
                return Err(format!("{} bytes from rank {from} instead of {n}", message.bytes.len()).into());
            }
        }
    }
    world.barrier()?;
    let more = world.probe(None, 9)?;
    let nobody = world.send(world.size(), 9, &[]).is_err();
    Ok(!more && nobody)
}
