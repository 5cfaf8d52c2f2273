//! `bunter associate`, `prune-datasets`, `remove-collections`.

use std::path::PathBuf;

use clap::Args;

use super::chosen;
use crate::butler::Butler;
use crate::cli::CliError;
use crate::cli::select::{Rows, Selection};

/// Put datasets into a TAGGED collection, or take them out.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bunter associate REPO good calexp --collections HSC/runs/w30 --where 'visit.seeing < 0.8'\n  \
                        bunter associate REPO good calexp --collections good --where 'visit = 1228' --remove"
)]
pub(crate) struct Associate {
    /// The repository.
    repository: PathBuf,
    /// The TAGGED collection; it is made when it is not there.
    collection: String,
    /// Dataset types.
    #[arg(value_delimiter = ',', required = true)]
    dataset_types: Vec<String>,
    /// Collections to search for the datasets, in this order.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', required = true)]
    collections: Vec<String>,
    /// Take them out instead.
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    rows: Rows,
}

impl Associate {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let butler = Butler::open(&self.repository)?;
        let query = self.rows.query(&self.selection)?;
        let ids = chosen(&butler, &self.dataset_types, &self.collections, &query, true)?;
        let registry = butler.registry()?;
        if self.remove {
            let removed = registry.disassociate(&self.collection, &ids)?;
            eprintln!("{removed} datasets taken out of {}", self.collection);
            return Ok(());
        }
        registry.register_tagged(&self.collection)?;
        let done = registry.associate(&self.collection, &ids)?;
        eprintln!("{}: {} datasets new, {} there already", self.collection, done.new, done.existing);
        Ok(())
    }
}

/// Remove datasets, and the files that Bunter wrote for them.
///
/// Refused for runs that are sealed or another's, for what others' chains search, and, without --unlink, for what is in TAGGED or
/// CALIBRATION collections.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  bunter prune-datasets REPO deepCoadd --collections u/me/test --where 'tract = 9813' --dry-run"
)]
pub(crate) struct PruneDatasets {
    /// The repository.
    repository: PathBuf,
    /// Dataset types.
    #[arg(value_delimiter = ',', required = true)]
    dataset_types: Vec<String>,
    /// Collections whose datasets are removed.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', required = true)]
    collections: Vec<String>,
    /// Take them out of the TAGGED and CALIBRATION collections that hold them.
    #[arg(long)]
    unlink: bool,
    /// Only say how many there are.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    rows: Rows,
}

impl PruneDatasets {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let butler = Butler::open(&self.repository)?;
        let query = self.rows.query(&self.selection)?;
        let ids = chosen(&butler, &self.dataset_types, &self.collections, &query, false)?;
        if self.dry_run {
            eprintln!("{} datasets would be removed", ids.len());
            return Ok(());
        }
        let pruned = butler.prune_datasets(&ids, self.unlink)?;
        for failure in &pruned.left {
            eprintln!("warning: {failure}");
        }
        eprintln!(
            "{} datasets removed, {} files with them, {} memberships ended",
            pruned.report.removed.len(),
            pruned.files,
            pruned.report.unlinked
        );
        Ok(())
    }
}

/// Remove collections: chains, TAGGED and CALIBRATION ones, and runs without datasets. The datasets stay.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bunter remove-collections REPO u/me/good,u/me/old --unlink")]
pub(crate) struct RemoveCollections {
    /// The repository.
    repository: PathBuf,
    /// The collections.
    #[arg(value_delimiter = ',', required = true)]
    collections: Vec<String>,
    /// Take them out of the chains that they are members of.
    #[arg(long)]
    unlink: bool,
}

impl RemoveCollections {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let butler = Butler::open(&self.repository)?;
        for name in &self.collections {
            butler.registry()?.remove_collection(name, self.unlink)?;
            eprintln!("{name} removed");
        }
        Ok(())
    }
}
