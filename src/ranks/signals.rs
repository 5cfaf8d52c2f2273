//! [`stop_on_signals`]: a batch system says that the time is nearly over.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;

use super::RanksError;

/// A flag that SIGTERM, SIGUSR1 and SIGINT raise, for [`RunOptions::stop`](super::RunOptions::stop): nothing more is dealt then, what is
/// begun is brought to its end and written down. A second SIGTERM or SIGINT ends the process as it would have without this.
///
/// Slurm sends SIGTERM some seconds before it kills, and whatever `--signal=USR1@600` says earlier; Open MPI's and MPICH's
/// `mpirun` pass both on to the ranks. One rank that hears it is enough.
///
/// # Errors
/// [`RanksError::Signals`] when the system allows no handler.
pub fn stop_on_signals() -> Result<Arc<AtomicBool>, RanksError> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT, SIGUSR1] {
        let mut registered = Ok(());
        if signal != SIGUSR1 {
            // Handlers run in the order they were registered: this one ends the process when the flag is up already.
            registered = flag::register_conditional_default(signal, Arc::clone(&stop)).map(drop);
        }
        registered
            .and_then(|()| flag::register(signal, Arc::clone(&stop)).map(drop))
            .map_err(|source| RanksError::Signals { source })?;
    }
    Ok(stop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    #[test]
    fn a_signal_raises_the_flag() {
        let stop = stop_on_signals().unwrap();
        assert!(!stop.load(Ordering::SeqCst));
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::USR1).unwrap();
        // The signal of a process may come to any of its threads; it comes before the kernel returns to one of them.
        while !stop.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    }
}
