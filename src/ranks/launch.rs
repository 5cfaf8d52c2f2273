//! [`Launch`]: whether this process is one of several that an `mpirun` or `srun` started.

/// How this process was launched, by the word of its environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// What launched it, for messages.
    pub launcher: &'static str,
    /// How many copies were started, where the launcher says so.
    pub copies: Option<usize>,
}

/// The variables that say how many copies were started, each set by its launcher for every copy and by nothing else.
///
/// `SLURM_NTASKS` is not among them: inside a batch script it counts the tasks of the allocation, though the script
/// itself is one process. `SLURM_STEP_NUM_TASKS` is set by `srun` for its own step.
const COPIES: [(&str, &str); 6] = [
    ("OMPI_COMM_WORLD_SIZE", "Open MPI's mpirun"),
    ("PALS_SIZE", "PALS"),
    ("MV2_COMM_WORLD_SIZE", "MVAPICH's mpirun"),
    ("PMI_SIZE", "an mpirun or srun that speaks PMI (MPICH, Intel MPI)"),
    ("SLURM_STEP_NUM_TASKS", "srun"),
    ("PMIX_SIZE", "a launcher that speaks PMIx"),
];

/// Variables that are set for launched processes but do not say how many there are.
const LAUNCHED: [(&str, &str); 3] =
    [("PMIX_RANK", "a launcher that speaks PMIx"), ("PMI_RANK", "a launcher that speaks PMI"), ("PALS_RANKID", "PALS")];

impl Launch {
    /// How this process was launched, or `None` when a person or a script simply started it.
    pub fn detect() -> Option<Self> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// As [`detect`](Self::detect), with the environment given.
    ///
    /// ```
    /// use bunter::ranks::Launch;
    ///
    /// let launch = Launch::from_variables(|name| (name == "OMPI_COMM_WORLD_SIZE").then(|| "4".into()));
    /// assert_eq!(launch.and_then(|l| l.copies), Some(4));
    /// assert_eq!(Launch::from_variables(|_| None), None);
    /// ```
    pub fn from_variables(get: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let found = |(name, launcher): &(&str, &'static str)| {
            let copies = get(name)?.trim().parse().ok().filter(|n| *n > 0)?;
            Some(Self { launcher, copies: Some(copies) })
        };
        // Launchers nest: srun may start an mpirun which starts this. The one that started most copies is believed,
        // for the danger is to run several copies that do not know of each other.
        let counted = COPIES.iter().filter_map(found).reduce(|a, b| if b.copies > a.copies { b } else { a });
        counted.or_else(|| {
            let (_, launcher) = LAUNCHED.iter().find(|(name, _)| get(name).is_some())?;
            Some(Self { launcher, copies: None })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Variables = &'static [(&'static str, &'static str)];

    fn detect(variables: &[(&str, &str)]) -> Option<(usize, &'static str)> {
        let get = |name: &str| variables.iter().find(|v| v.0 == name).map(|v| v.1.to_owned());
        Launch::from_variables(get).map(|l| (l.copies.unwrap_or(0), l.launcher))
    }

    #[test]
    fn launchers_by_their_variables() {
        let cases: [(Variables, Option<usize>); 11] = [
            (&[], None),
            (&[("OMPI_COMM_WORLD_SIZE", "4"), ("OMPI_COMM_WORLD_RANK", "0")], Some(4)),
            (&[("PMI_SIZE", "3"), ("PMI_RANK", "1")], Some(3)),
            (&[("SLURM_STEP_NUM_TASKS", "8"), ("SLURM_PROCID", "2"), ("SLURM_NTASKS", "8")], Some(8)),
            // A batch script itself, before any srun.
            (&[("SLURM_NTASKS", "64"), ("SLURM_PROCID", "0"), ("SLURM_JOB_ID", "12")], None),
            // Open MPI's mpirun inside a batch script starts one srun'd daemon a node.
            (&[("OMPI_COMM_WORLD_SIZE", "16"), ("SLURM_STEP_NUM_TASKS", "2")], Some(16)),
            // A one-task interactive step, in which the user starts nothing else.
            (&[("SLURM_STEP_NUM_TASKS", "1"), ("SLURM_PROCID", "0")], Some(1)),
            (&[("PMIX_RANK", "3")], Some(0)),
            (&[("PMI_SIZE", "many")], None),
            (&[("PMI_SIZE", "0")], None),
            (&[("PMI_SIZE", " 2\n")], Some(2)),
        ];
        for (variables, copies) in cases {
            assert_eq!(detect(variables).map(|d| d.0), copies, "{variables:?}");
        }
    }
}
