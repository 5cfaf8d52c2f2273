//! A coadd build from end to end: plan on rank 0, one snapshot for all, patches dealt to the ranks, journals folded in.
//!
//! Rank 0 alone opens the registry. It joins images and patches ([`plan`]), packs what the ranks need into a snapshot
//! ([`job`]), deals the patches, and at the end enters what the journals say ([`fold`]). A build that was killed is asked
//! for again: what its journals prove to be whole is entered first, and the rest is built.

mod drive;
mod error;
mod fold;
mod job;
mod plan;
mod record;

pub use drive::{BuildOptions, BuildReport, build_coadds};
pub use error::BuildError;
pub use plan::coadd_quanta;
pub use record::{BuildRecord, PatchReport};
