//! Exposures of 2048 x 4096 pixels under 20 000 stars, from nothing to whole files on disk.

#![expect(clippy::expect_used, reason = "a bench that cannot set up fails loudly")]

use bunter::simulate::{SimulateOptions, simulate};
use divan::Bencher;
use divan::counter::BytesCount;

fn main() {
    divan::main();
}

#[divan::bench(args = [1, 2], sample_count = 5, sample_size = 1)]
fn exposures(bencher: Bencher, ccds: u32) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut options = SimulateOptions { visits: 1, ccds, overwrite: true, ..SimulateOptions::new(folder.path()) };
    (options.nx, options.ny, options.stars) = (2048, 4096, 20_000);
    bencher
        .counter(BytesCount::new(options.bytes() as u64))
        .bench(|| simulate(&options, &|_| {}).expect("the survey is written"));
}
