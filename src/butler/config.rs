//! [`RepositoryConfig`]: the repository's own file, `bunter.toml`.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ButlerError;
use crate::registry::{RegistryAddress, RegistryError};

/// Name of the file at a repository's root that makes it one.
pub(super) const FILE_NAME: &str = "bunter.toml";

/// The environment variable that says where the registry is, whatever the repository's file says: for a copy of a registry on
/// a faster disk, and for a user of one's own in a server.
const ENVIRONMENT: &str = "BUNTER_REGISTRY";

/// What the file at the root of a repository says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryConfig {
    /// Version of the repository's layout. This program reads and writes version 1.
    pub format_version: u32,
    /// Where the registry is, a [`RegistryAddress`]; a file's path is relative to the root.
    pub registry: String,
    /// The version of Bunter that created the repository.
    pub created_by: String,
}

impl Default for RepositoryConfig {
    fn default() -> Self {
        Self {
            format_version: Self::FORMAT_VERSION,
            registry: "sqlite:registry.sqlite3".to_owned(),
            created_by: format!("bunter {}", env!("CARGO_PKG_VERSION")),
        }
    }
}

impl RepositoryConfig {
    /// The version of the repository layout that this program knows.
    pub const FORMAT_VERSION: u32 = 1;

    /// Reads the configuration of the repository at `root`.
    ///
    /// # Errors
    /// [`ButlerError::NotARepository`], [`ButlerError::Config`].
    pub fn read(root: &Path) -> Result<Self, ButlerError> {
        let path = root.join(FILE_NAME);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => {
                return Err(ButlerError::NotARepository { root: root.to_owned() });
            }
            Err(source) => return Err(ButlerError::Io { doing: "read", path, source }),
        };
        let invalid = |message: String| ButlerError::Config { path: path.clone(), message };
        let config: Self = toml::from_str(&text).map_err(|e| invalid(e.to_string()))?;
        if config.format_version != Self::FORMAT_VERSION {
            return Err(invalid(format!(
                "the repository has layout version {}, this program reads version {}: use the bunter that made it ({})",
                config.format_version,
                Self::FORMAT_VERSION,
                config.created_by
            )));
        }
        Ok(config)
    }

    /// Where the registry is: what the environment variable `BUNTER_REGISTRY` says, or else this configuration. A file's place
    /// is relative to `root`.
    ///
    /// # Errors
    /// [`ButlerError::Config`] for what is no address.
    pub fn registry_address(&self, root: &Path) -> Result<RegistryAddress, ButlerError> {
        let (text, place) = match std::env::var(ENVIRONMENT) {
            Ok(text) if !text.is_empty() => (text, PathBuf::from(ENVIRONMENT)),
            _ => (self.registry.clone(), root.join(FILE_NAME)),
        };
        let address: RegistryAddress =
            text.parse().map_err(|e: RegistryError| ButlerError::Config { path: place, message: e.to_string() })?;
        Ok(address.at(root))
    }

    /// Writes the configuration of a new repository; the file is whole or not there.
    pub(super) fn write_new(&self, root: &Path) -> Result<(), ButlerError> {
        let path = root.join(FILE_NAME);
        let text = toml::to_string_pretty(self)
            .map_err(|e| ButlerError::Config { path: path.clone(), message: e.to_string() })?;
        let failed = |source| ButlerError::Io { doing: "write", path: path.clone(), source };
        // Readable as the umask says: a temporary file by itself is its owner's alone.
        let permissions = Permissions::from_mode(0o666);
        let mut file = tempfile::Builder::new().permissions(permissions).tempfile_in(root).map_err(failed)?;
        file.write_all(b"# A Bunter repository.\n").map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist_noclobber(&path).map_err(|e| failed(e.error))?;
        Ok(())
    }
}
