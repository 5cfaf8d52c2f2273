//! `bunter create`.

use std::path::PathBuf;

use clap::Args;

use super::CliError;
use crate::butler::Butler;
use crate::registry::RegistryAddress;

/// Make an empty repository.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bunter create /data/survey\n  \
    bunter create /data/survey --registry 'postgresql://me@db.example.org/survey?schema=hsc'\n  \
    bunter create /data/survey --registry 'mysql://me@db.example.org/survey?prefix=hsc'\n\n\
    Passwords are looked for in PGPASSWORD, PGPASSFILE and ~/.pgpass, or MYSQL_PWD and ~/.my.cnf. The environment variable \
    BUNTER_REGISTRY says where the registry is for all commands, whatever bunter.toml says.")]
pub(crate) struct Create {
    /// Folder of the new repository; made when absent.
    repository: PathBuf,
    /// Where the registry is: `sqlite:FILE`, `postgresql://USER@HOST:PORT/DATABASE?schema=NAME`,
    /// `mysql://USER@HOST:PORT/DATABASE?prefix=NAME`; a file in the repository unless told.
    #[arg(long, value_name = "URL")]
    registry: Option<RegistryAddress>,
}

impl Create {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let butler = Butler::create_with(&self.repository, self.registry.as_ref())?;
        eprintln!("created repository {}", butler.root().display());
        Ok(())
    }
}
