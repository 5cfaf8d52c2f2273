//! `bunter verify`.

use std::path::PathBuf;

use clap::Args;

use super::CliError;
use super::progress::bar;
use crate::butler::Butler;

/// Compare registry and files: every dataset whole, every file known.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bunter verify REPO\n  bunter verify REPO --repair")]
pub(crate) struct Verify {
    /// The repository.
    repository: PathBuf,
    /// Remove files that no dataset names (what a killed job leaves). Nothing is removed while journals of a job wait to be
    /// folded in: start that build again first.
    #[arg(long)]
    repair: bool,
}

impl Verify {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let butler = Butler::open(&self.repository)?;
        let bar = bar(0, "verifying {bar:40} {pos}/{len} datasets, {eta} left");
        let report = butler.verify(self.repair, |done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        })?;
        bar.finish_and_clear();
        for damage in &report.damaged {
            println!("damaged: {} ({}): {}", damage.dataset, damage.path, damage.problem);
        }
        for orphan in &report.orphans {
            println!("{}: {}", if report.swept > 0 { "removed orphan" } else { "orphan" }, orphan);
        }
        eprintln!(
            "{} datasets, {:.1} MB read: {} damaged, {} orphan files{}",
            report.datasets,
            report.bytes as f64 / 1e6,
            report.damaged.len(),
            report.orphans.len(),
            if report.swept > 0 { format!(", {} removed", report.swept) } else { String::new() }
        );
        if let Some(journal) = report.journals.first() {
            eprintln!(
                "note: {} journals of a job that runs or was killed ({}, …): what seems an orphan may be its work{}",
                report.journals.len(),
                journal.display(),
                if self.repair {
                    "; nothing was removed: start that build again, which takes it in, then repair"
                } else {
                    ""
                }
            );
        }
        if report.is_clean() {
            return Ok(());
        }
        Err(CliError::Failed(if report.damaged.is_empty() {
            "orphan files found: `--repair` removes them".to_owned()
        } else {
            "damaged datasets found: ingest or build them again".to_owned()
        }))
    }
}
