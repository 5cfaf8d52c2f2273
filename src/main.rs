//! The program `bunter`. What it does is in [`bunter::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    bunter::cli::run()
}
