//! Files put whole: a temporary name in the same folder, then the final one.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::PlotError;

/// Writes bytes to a file, whole or not at all; a file of the name is replaced.
///
/// # Errors
/// [`PlotError::Io`].
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), PlotError> {
    let failed = |source| PlotError::Io { doing: "write", path: path.to_owned(), source };
    if path.is_dir() {
        return Err(failed(std::io::Error::from(std::io::ErrorKind::IsADirectory)));
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Readable as the umask says: a temporary file by itself is its owner's alone.
    let mut file = tempfile::Builder::new()
        .prefix(".bunter-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}
