//! `bunter migrate`.

use std::path::PathBuf;

use clap::Args;

use super::CliError;
use crate::butler::Butler;

/// Bring the registry of a repository to this version's tables.
///
/// Says which version it has and which steps lead to this program's; all of them are one transaction (in MariaDB and MySQL
/// each change of a table is one by itself). Keep a copy before: `sqlite3 registry.sqlite3 '.backup copy.sqlite3'`, `pg_dump
/// --schema`, `mariadb-dump`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bunter migrate /data/survey --dry-run")]
pub(crate) struct Migrate {
    /// Folder of the repository.
    repository: PathBuf,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

impl Migrate {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let done = Butler::migrate(&self.repository, self.dry_run)?;
        println!("schema version {}; this program reads version {}", done.from, done.to);
        for step in &done.steps {
            println!("  {step}");
        }
        match (done.steps.len(), self.dry_run) {
            (0, _) => eprintln!("nothing to do"),
            (n, true) => eprintln!("{n} steps to do; nothing was changed. Keep a copy of the registry before they are"),
            (n, false) => eprintln!("{n} steps done"),
        }
        Ok(())
    }
}
