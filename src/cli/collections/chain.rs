//! `bunter collection-chain`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::butler::Butler;
use crate::cli::CliError;
use crate::registry::ChainEdit;

/// Make a chain of collections, or edit one in one step.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bunter collection-chain REPO HSC/defaults HSC/runs/w30,HSC/runs/w28\n  \
                        bunter collection-chain REPO HSC/defaults HSC/runs/w31 --mode prepend\n  \
                        bunter collection-chain REPO HSC/defaults 0 --mode pop")]
pub(crate) struct CollectionChain {
    /// The repository.
    repository: PathBuf,
    /// The CHAINED collection.
    parent: String,
    /// The members, in the order of search; with --mode pop the places of those to take out, counted from 0 [default: 0].
    #[arg(value_delimiter = ',')]
    children: Vec<String>,
    /// What is done with the members named.
    #[arg(long, value_enum, default_value = "redefine")]
    mode: Mode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// They become the members.
    Redefine,
    /// They come first.
    Prepend,
    /// They come last.
    Extend,
    /// They are taken out.
    Remove,
    /// The member at a place is taken out.
    Pop,
}

impl CollectionChain {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let mut names: Vec<&str> = self.children.iter().map(String::as_str).collect();
        let edit = match self.mode {
            Mode::Redefine => ChainEdit::Redefine,
            Mode::Prepend => ChainEdit::Prepend,
            Mode::Extend => ChainEdit::Extend,
            Mode::Remove => ChainEdit::Remove,
            Mode::Pop => {
                let place = match names[..] {
                    [] => Some(0),
                    [one] => one.parse().ok(),
                    _ => None,
                };
                names.clear();
                let wrong = || CliError::Usage("--mode pop takes one place, counted from 0".to_owned());
                ChainEdit::Pop(place.ok_or_else(wrong)?)
            }
        };
        if names.is_empty() && !matches!(self.mode, Mode::Pop | Mode::Redefine) {
            return Err(CliError::Usage("name the members: HSC/runs/w30,HSC/runs/w28".to_owned()));
        }
        let butler = Butler::open(&self.repository)?;
        let members = butler.registry()?.edit_collection_chain(&self.parent, edit, &names)?;
        eprintln!("{}: {}", self.parent, if members.is_empty() { "no members".to_owned() } else { members.join(", ") });
        Ok(())
    }
}
