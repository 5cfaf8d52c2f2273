//! The ranks over a real MPI: the example `deal` under `mpirun`, and without it.
#![cfg(feature = "mpi")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails with its test")]

mod program;

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use program::{has_mpirun, on_ranks, run};

/// The example's program, built if need be.
fn deal() -> &'static PathBuf {
    static DEAL: OnceLock<PathBuf> = OnceLock::new();
    DEAL.get_or_init(|| {
        let own = std::env::current_exe().unwrap();
        let profile = own.parent().and_then(|p| p.parent()).unwrap();
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--example", "deal", "--target-dir"]).arg(profile.parent().unwrap());
        if profile.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
        profile.join("examples/deal")
    })
}

fn mpirun(ranks: usize, arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let ran = run(on_ranks(ranks, deal()).args(arguments).envs(variables.iter().copied()));
    (ran.code, ran.out, ran.err)
}

fn alone(arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let ran = run(Command::new(deal()).args(arguments).envs(variables.iter().copied()));
    (ran.code, ran.out, ran.err)
}

/// The same output and exit code on any number of ranks as alone.
fn same_everywhere(arguments: &[&str], code: i32, says: &str) {
    let (serial_code, serial, err) = alone(arguments, &[]);
    assert_eq!(serial_code, code, "{err}");
    assert!(serial.contains(says), "{serial}");
    if has_mpirun() {
        for ranks in [1, 2, 3, 5] {
            let (parallel_code, parallel, err) = mpirun(ranks, arguments, &[]);
            assert_eq!((parallel_code, parallel.as_str()), (code, serial.as_str()), "on {ranks} ranks: {err}");
        }
    }
}

#[test]
fn the_sum_does_not_depend_on_the_ranks() {
    same_everywhere(&[], 0, "200 of 200 quanta done, 0 failed, 0 not tried; sum ");
}

#[test]
fn a_failing_quantum_does_not_stop_the_others() {
    same_everywhere(&["fail"], 3, "199 of 200 quanta done, 1 failed, 0 not tried; sum ");
}

#[test]
fn three_runs_in_one_job() {
    same_everywhere(&["twice"], 0, "200 of 200");
}

#[test]
fn results_over_the_eager_limit() {
    same_everywhere(&["large"], 0, "payload 20866662400");
}

#[test]
fn a_panicking_quantum_is_its_own_failure() {
    let (code, serial, _) = alone(&["panic-quantum"], &[]);
    assert_eq!(code, 3);
    assert!(serial.contains("quantum 42 failed: panicked") && serial.contains("upside down"), "{serial}");
    if has_mpirun() {
        for ranks in [1, 2, 3, 5] {
            let (code, out, err) = mpirun(ranks, &["panic-quantum"], &[]);
            assert_eq!(code, 3, "{err}");
            assert_eq!(out.lines().next(), serial.lines().next());
            assert!(out.contains("quantum 42 failed: panicked at mpi-examples/deal.rs:"), "{out}");
            assert!(err.contains("while doing quantum 42"), "{err}");
        }
    }
}

#[test]
fn ranks_that_withdraw_leave_their_work_to_the_others() {
    if has_mpirun() {
        let (_, serial, _) = alone(&[], &[]);
        for ranks in [2, 3, 5] {
            let (code, out, err) = mpirun(ranks, &["withdraw"], &[]);
            assert_eq!((code, out.as_str()), (0, serial.as_str()), "{err}");
        }
    }
}

#[test]
fn a_panicking_rank_ends_the_job_and_is_named() {
    if has_mpirun() {
        for ranks in [1, 2, 3, 5] {
            let (code, _, err) = mpirun(ranks, &["panic-rank"], &[]);
            assert_ne!(code, 0);
            assert!(err.contains(&format!("rank {} of {ranks} on ", ranks - 1)), "{err}");
            assert!(err.contains("panicked while looking for trouble at mpi-examples/deal.rs"), "{err}");
            assert!(err.contains("found it"), "{err}");
        }
    }
}

#[test]
fn a_rank_that_leaves_ends_the_job() {
    if has_mpirun() {
        for ranks in [1, 2, 3] {
            let (code, _, err) = mpirun(ranks, &["leave"], &[]);
            assert_eq!(code, 4, "{err}");
            assert!(err.contains(&format!("rank {} on ", ranks - 1)) && err.contains("had enough"), "{err}");
        }
    }
}

#[test]
fn an_error_of_rank_0_is_everybodys() {
    if has_mpirun() {
        let (code, _, err) = mpirun(3, &["root-fails"], &[]);
        assert_eq!(code, 3, "{err}");
    }
}

#[test]
fn sends_do_not_wait() {
    same_everywhere(&["messages"], 0, "");
}

#[test]
fn shared_bytes_arrive_whole_and_aligned() {
    if has_mpirun() {
        for ranks in [1, 2, 3, 5] {
            // Nothing, odd lengths, and one over two pieces of a broadcast.
            for bytes in ["0", "1", "1000003", "34000001"] {
                let (code, out, err) = mpirun(ranks, &["share", bytes], &[]);
                assert_eq!(code, 0, "{ranks} ranks, {bytes} bytes: {err}");
                let one = u8::from(bytes != "0");
                let line = format!("same {:?} shared {:?}\n", vec![1; ranks], vec![one; ranks]);
                assert_eq!(out, line.repeat(2));
            }
        }
    }
}

#[test]
fn private_copies_where_nothing_can_be_shared() {
    if has_mpirun() {
        let (code, out, err) = mpirun(3, &["share", "20000001"], &[("BUNTER_SHARED_WINDOW", "0")]);
        assert_eq!(code, 0, "{err}");
        assert_eq!(out, "same [1, 1, 1] shared [0, 0, 0]\n".repeat(2));
    }
}

#[test]
fn another_mpis_launcher_is_refused() {
    // As if MPICH's mpirun had started four copies of which Open MPI knows nothing.
    let variables = [("SLURM_STEP_NUM_TASKS", "4"), ("SLURM_PROCID", "2")];
    let root = [("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")];
    let (code, out, err) = alone(&[], &[variables, root].concat());
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    assert!(err.contains("srun started 4 copies") && err.contains("built with `"), "{err}");
}
