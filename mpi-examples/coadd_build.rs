//! Builds coadds from Rust: what `bunter build-coadds` does, without the command line.
//!
//! ```text
//! mpirun -n 4 coadd_build REPOSITORY SKYMAP INPUT OUTPUT
//! ```
//!
//! The same source runs alone and as the ranks of an MPI job, on one node or many, with the same result to the last bit:
//! [`World::detect`] finds out which it is. Rank 0 opens the registry, plans, and deals the patches out; every rank
//! (rank 0 too) reads pixels, warps, stacks and writes files; at the end rank 0 enters what was built.
//!
//! Started again after it was killed, it builds what is missing.

use std::process::ExitCode;

use bunter::coadd::{CoaddConfig, Statistic};
use bunter::ranks::{BuildOptions, BuildReport, PatchReport, Progress, World, build_coadds};

/// Says on rank 0 what happens while it happens. All methods of [`Progress`] do nothing unless they are overridden.
struct Lines {
    is_root: bool,
    total: usize,
}

impl Progress<PatchReport> for Lines {
    fn on_start(&mut self, total: usize, ranks: usize) {
        self.total = total;
        if self.is_root {
            eprintln!("{total} coadds on {ranks} ranks");
        }
    }

    fn on_done(&mut self, rank: usize, quantum: usize, result: &PatchReport, seconds: f64) {
        let PatchReport { tract, patch, band, .. } = result;
        eprintln!(
            "quantum {quantum} of {}: tract {tract} patch {patch} {band} in {seconds:.2} s on rank {rank}",
            self.total
        );
    }
}

fn main() -> ExitCode {
    // Starts MPI where there is one. When this value is dropped, on every rank, MPI ends.
    let world = match World::detect() {
        Ok(world) => world,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [repository, sky_map, input, output] = arguments.as_slice() else {
        if world.is_root() {
            eprintln!("usage: coadd_build REPOSITORY SKYMAP INPUT OUTPUT");
        }
        return ExitCode::from(2);
    };
    let options = BuildOptions {
        config: CoaddConfig { statistic: Statistic::WeightedMean, ..CoaddConfig::default() },
        ..BuildOptions::new(repository, sky_map, &[input], output)
    };
    // Collective: every rank calls it, with the same options. An error is the same on every rank.
    match build_coadds(world.communicator(), &options, &mut Lines { is_root: world.is_root(), total: 0 }) {
        Ok(report) => {
            if world.is_root() {
                print(&report);
            }
            // The verdict is known on every rank, so that all of them end with the same exit code.
            if report.verdict.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            if world.is_root() {
                eprintln!("error: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

/// A table of what was built, in the order of the sky map.
fn print(report: &BuildReport) {
    let mut built: Vec<_> = report.built.iter().collect();
    built.sort_by_key(|done| (done.result.tract, done.result.patch, done.result.band.clone()));
    println!("tract patch band inputs rank file");
    for done in built {
        let PatchReport { tract, patch, band, inputs, path, .. } = &done.result;
        println!("{tract:5} {patch:5} {band:4} {inputs:6} {:4} {path}", done.rank);
    }
    for (data_id, failed) in &report.failed {
        eprintln!("{data_id} failed on rank {}: {}", failed.rank, failed.cause);
    }
    println!("{}, {} were there already", report.verdict, report.existing);
}
