//! `bunter seal-run`, `give-run`, `provenance`.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::record_batch::RecordBatch;
use clap::Args;

use crate::butler::Butler;
use crate::cli::CliError;
use crate::cli::output::{OutputFormat, write_rows};
use crate::registry::CollectionState;

/// Seal a run, or another collection: nothing is written to it or removed from it any more.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bunter seal-run REPO HSC/runs/w30\n  bunter seal-run REPO HSC/runs/w30 --open")]
pub(crate) struct SealRun {
    /// The repository.
    repository: PathBuf,
    /// The run.
    run: String,
    /// Open it again.
    #[arg(long)]
    open: bool,
}

impl SealRun {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let butler = Butler::open(&self.repository)?;
        let state = if self.open { CollectionState::Open } else { CollectionState::Sealed };
        let changed = butler.registry()?.set_collection_state(&self.run, state)?;
        eprintln!("{} is {state}{}", self.run, if changed { "" } else { " already" });
        Ok(())
    }
}

/// Give a run, or another collection, to another user.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bunter give-run REPO u/me/test ada")]
pub(crate) struct GiveRun {
    /// The repository.
    repository: PathBuf,
    /// The run.
    run: String,
    /// Whose it shall be.
    user: String,
}

impl GiveRun {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        Butler::open(&self.repository)?.registry()?.give_collection(&self.run, &self.user)?;
        eprintln!("{} is {}'s", self.run, self.user);
        Ok(())
    }
}

/// Show what a run was made with: configurations, schemas, software versions.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bunter provenance REPO HSC/coadd --format json")]
pub(crate) struct Provenance {
    /// The repository.
    repository: PathBuf,
    /// The run.
    run: String,
    /// How rows are written.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

impl Provenance {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let butler = Butler::open(&self.repository)?;
        let records = butler.registry()?.provenance(&self.run)?;
        let texts = |text: &dyn Fn(usize) -> String| -> ArrayRef {
            Arc::new((0..records.len()).map(|row| Some(text(row))).collect::<StringArray>())
        };
        let rows = RecordBatch::try_from_iter([
            ("name", texts(&|row| records[row].name.clone())),
            ("who", texts(&|row| records[row].who.clone())),
            ("content", texts(&|row| records[row].content.to_string())),
        ])?;
        write_rows(&rows, self.format)
    }
}
