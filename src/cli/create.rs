//! `bunter create`.

use std::path::PathBuf;

use clap::Args;

use super::CliError;
use crate::butler::Butler;

/// Make an empty repository.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bunter create /data/survey")]
pub(crate) struct Create {
    /// Folder of the new repository; made when absent.
    repository: PathBuf,
}

impl Create {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let butler = Butler::create(&self.repository)?;
        eprintln!("created repository {}", butler.root().display());
        Ok(())
    }
}
