//! The local or parallel file system: names, atomic files, checksums, transfers, orphans.

mod atomic;
mod checksum;
mod path;
mod sweep;
mod transfer;

pub(crate) use atomic::{parent, sync_folder, write_new};
pub(crate) use path::under;
pub(crate) use sweep::orphans;
pub(crate) use transfer::transfer;

pub use checksum::checksum;
pub use sweep::Orphan;
pub use transfer::Transfer;
