//! [`World`]: the job this process belongs to.

use super::{Communicator, Launch, RanksError, SerialCommunicator};
use std::ops::Deref;

/// The job this process belongs to: alone, or one of the ranks that an `mpirun` or `srun` started.
///
/// Opened once, at the start of `main`, and kept until its end: under MPI dropping it is the ranks' common farewell. A
/// rank that ends early for a reason that the others do not share must not drop it but call
/// [`abort`](Communicator::abort), for the others wait.
///
/// ```
/// use bunter::ranks::{Communicator, World};
///
/// let world = World::detect()?;
/// println!("rank {} of {} on {}", world.rank(), world.size(), world.host());
/// # Ok::<(), bunter::ranks::RanksError>(())
/// ```
pub struct World {
    communicator: Box<dyn Communicator>,
    launch: Option<Launch>,
}

impl World {
    /// Looks at the environment whether this process was launched as one of several, and initialises MPI only then.
    ///
    /// A program that a person starts without a launcher never touches MPI, and so needs none of its daemons, files
    /// and fabrics.
    ///
    /// # Errors
    /// [`RanksError::WrongLauncher`] when several copies were started but MPI does not see them,
    /// [`RanksError::WithoutMpi`] when they were started of a program built without MPI,
    /// [`RanksError::ThreadLevel`], [`RanksError::AlreadyInitialised`].
    pub fn detect() -> Result<Self, RanksError> {
        Self::launched_by(Launch::detect())
    }

    /// As [`detect`](Self::detect), for a launch that was found otherwise.
    ///
    /// # Errors
    /// As [`detect`](Self::detect).
    pub fn launched_by(launch: Option<Launch>) -> Result<Self, RanksError> {
        let communicator = match &launch {
            None => Box::new(SerialCommunicator::new()),
            Some(launch) => parallel(launch)?,
        };
        Ok(Self { communicator, launch })
    }

    /// A program that is alone, whatever its environment says.
    pub fn serial() -> Self {
        Self { communicator: Box::new(SerialCommunicator::new()), launch: None }
    }

    /// What the ranks say to each other.
    pub fn communicator(&self) -> &dyn Communicator {
        &*self.communicator
    }

    /// How this process was launched; `None` when it was simply started.
    pub fn launch(&self) -> Option<&Launch> {
        self.launch.as_ref()
    }

    /// Whether this is rank 0, which alone opens the registry and speaks to the user.
    pub fn is_root(&self) -> bool {
        self.rank() == 0
    }
}

#[cfg(feature = "mpi")]
fn parallel(launch: &Launch) -> Result<Box<dyn Communicator>, RanksError> {
    let mpi = super::MpiCommunicator::init()?;
    match launch.copies {
        Some(copies) if copies > 1 && mpi.size() == 1 => {
            Err(RanksError::WrongLauncher { launcher: launch.launcher, copies, library: mpi.library() })
        }
        _ => Ok(Box::new(mpi)),
    }
}

#[cfg(not(feature = "mpi"))]
fn parallel(launch: &Launch) -> Result<Box<dyn Communicator>, RanksError> {
    // A launcher that does not say how many it started is not believed to have started one.
    match launch.copies {
        Some(1) => Ok(Box::new(SerialCommunicator::new())),
        copies => Err(RanksError::WithoutMpi { launcher: launch.launcher, copies: copies.unwrap_or(2) }),
    }
}

impl Deref for World {
    type Target = dyn Communicator;

    fn deref(&self) -> &(dyn Communicator + 'static) {
        &*self.communicator
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("rank", &self.rank()).field("size", &self.size()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alone_without_a_launcher() {
        let world = World::launched_by(None).unwrap();
        assert_eq!((world.rank(), world.size(), world.is_root()), (0, 1, true));
        assert!(!world.host().is_empty());
    }

    #[cfg(not(feature = "mpi"))]
    #[test]
    fn several_copies_without_mpi_are_refused() {
        let launch = |copies| Some(Launch { launcher: "srun", copies });
        let said = World::launched_by(launch(Some(4))).unwrap_err().to_string();
        assert!(said.contains("srun started 4 copies") && said.contains("built without MPI"), "{said}");
        assert!(World::launched_by(launch(None)).is_err());
        assert!(World::launched_by(launch(Some(1))).is_ok());
    }
}
