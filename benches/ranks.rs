//! What dealing and journals cost. A quantum of real work takes seconds to minutes.

use bunter::ranks::{
    Dealer, JournalReader, JournalRecord, JournalWriter, RunOptions, SerialCommunicator, SyncPolicy,
    ThreadCommunicator, run_quanta,
};
use divan::{Bencher, counter::ItemsCount};
use serde::{Deserialize, Serialize};

fn main() {
    divan::main();
}

const QUANTA: usize = 10_000;

/// The dealer alone: a request and a report for each of a million quanta.
#[divan::bench(sample_count = 10)]
fn dealer_alone(bencher: Bencher) {
    let costs: Vec<f64> = (0..1_000_000).map(|q| f64::from(q * 7919 % 10_007)).collect();
    bencher.counter(ItemsCount::new(costs.len())).bench_local(|| {
        let mut dealer = Dealer::new(&costs).with_ranks(64);
        let mut rank = 0;
        while let bunter::ranks::Deal::Work(quanta) = dealer.request(rank, 1) {
            for quantum in quanta {
                let _ = dealer.done(rank, quantum);
            }
            rank = (rank + 1) % 64;
        }
        dealer.counts()
    });
}

/// Empty quanta over threads that stand for ranks: all of the time is dealing and messages.
#[divan::bench(args = [1, 2, 3, 5], sample_count = 10)]
fn empty_quanta(bencher: Bencher, ranks: usize) {
    bencher.counter(ItemsCount::new(QUANTA)).bench_local(|| {
        std::thread::scope(|scope| {
            for rank in ThreadCommunicator::world(ranks) {
                scope.spawn(move || {
                    run_quanta(&rank, &vec![1.0; QUANTA], |_| Ok(()), &mut (), &RunOptions::default())
                        .map(|s| s.verdict)
                });
            }
        });
    });
}

/// The same without ranks: what the loop itself costs.
#[divan::bench(sample_count = 10)]
fn empty_quanta_serial(bencher: Bencher) {
    let world = SerialCommunicator::new();
    bencher.counter(ItemsCount::new(QUANTA)).bench_local(|| {
        run_quanta(&world, &vec![1.0; QUANTA], |_| Ok(()), &mut (), &RunOptions::default()).map(|s| s.verdict)
    });
}

#[derive(Serialize, Deserialize)]
struct Entry {
    quantum: u64,
    dataset: [u8; 16],
    path: String,
}

impl JournalRecord for Entry {
    const SCHEMA: u32 = 1;
}

fn entry(quantum: u64) -> Entry {
    Entry { quantum, dataset: [7; 16], path: "runs/w30/deepCoadd/9813/r/42/deepCoadd_9813_r_42.hdf5".into() }
}

#[divan::bench(args = [SyncPolicy::AtEnd, SyncPolicy::Every(100), SyncPolicy::EveryRecord], sample_count = 5)]
fn journal_append(bencher: Bencher, policy: SyncPolicy) {
    let n = if policy == SyncPolicy::EveryRecord { 200 } else { 10_000 };
    bencher
        .counter(ItemsCount::new(n))
        .with_inputs(|| tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")))
        .bench_local_values(|folder| {
            let folder = folder.map_err(|e| e.to_string())?;
            let mut journal = JournalWriter::create(folder.path().join("a.bnj"), policy).map_err(|e| e.to_string())?;
            for i in 0..n {
                journal.append(&entry(i)).map_err(|e| e.to_string())?;
            }
            journal.finish().map_err(|e| e.to_string())
        });
}

#[divan::bench(sample_count = 10)]
fn journal_read(bencher: Bencher) {
    let n = 10_000;
    let Ok(folder) = tempfile::tempdir() else { return };
    let path = folder.path().join("a.bnj");
    let Ok(mut journal) = JournalWriter::create(&path, SyncPolicy::AtEnd) else { return };
    if (0..n).all(|i| journal.append(&entry(i)).is_ok()) && journal.finish().is_ok() {
        bencher
            .counter(ItemsCount::new(n))
            .bench_local(|| JournalReader::<Entry>::open(&path).into_iter().flatten().flatten().count());
    }
}
