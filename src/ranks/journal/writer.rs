//! [`JournalWriter`]: appends records.

use super::{JournalRecord, PREFIX, RECORD_LIMIT, VERSION, checksum, header};
use crate::dataset::codec::encode;
use crate::ranks::RanksError;
use std::{
    fs::{File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    marker::PhantomData,
    path::{Path, PathBuf},
};

/// When a journal's records are forced to the disk.
///
/// A killed process loses nothing that was appended, whatever the policy: the bytes are the kernel's. The policy is
/// about machines that crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Each record, before [`JournalWriter::append`] returns.
    #[default]
    EveryRecord,
    /// Once in so many records.
    Every(u32),
    /// Only in [`JournalWriter::finish`].
    AtEnd,
}

/// Appends records to a new journal.
///
/// ```
/// use bunter::ranks::{JournalReader, JournalRecord, JournalWriter, SyncPolicy};
///
/// #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
/// struct Patch(u32, String);
///
/// impl JournalRecord for Patch {
///     const SCHEMA: u32 = 1;
/// }
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("rank-0.bnj");
/// let mut journal = JournalWriter::create(&path, SyncPolicy::EveryRecord)?;
/// journal.append(&Patch(17, "done".into()))?;
/// journal.finish()?;
/// let records = JournalReader::<Patch>::open(&path)?.collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(records, [Patch(17, "done".into())]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct JournalWriter<R> {
    file: File,
    path: PathBuf,
    policy: SyncPolicy,
    /// End of the last whole record.
    end: u64,
    records: u64,
    unsynced: u32,
    broken: bool,
    buffer: Vec<u8>,
    kind: PhantomData<fn(&R)>,
}

impl<R: JournalRecord> JournalWriter<R> {
    /// Creates the journal, which must not exist, and forces its header and its name to the disk.
    ///
    /// # Errors
    /// [`RanksError::JournalExists`]; [`RanksError::JournalIo`] when the folder is absent, read-only or full, in which
    /// case no file is left behind.
    pub fn create(path: impl Into<PathBuf>, policy: SyncPolicy) -> Result<Self, RanksError> {
        let path = path.into();
        let file = match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Err(RanksError::JournalExists { path }),
            Err(source) => return Err(RanksError::JournalIo { action: "create", path, source }),
        };
        let begun = Self::over(file, path, policy);
        let done = begun.file.sync_all().and_then(|()| sync_folder(&begun.path));
        begun.begin().and_then(|journal| match done {
            Ok(()) => Ok(journal),
            Err(source) => Err(RanksError::JournalIo { action: "create", path: journal.path, source }),
        })
    }

    fn over(file: File, path: PathBuf, policy: SyncPolicy) -> Self {
        let (end, records, unsynced, broken) = (0, 0, 0, false);
        Self { file, path, policy, end, records, unsynced, broken, buffer: vec![], kind: PhantomData }
    }

    fn begin(mut self) -> Result<Self, RanksError> {
        let header = header(VERSION, R::SCHEMA);
        if let Err(source) = self.file.write_all(&header).and_then(|()| self.file.sync_all()) {
            // It is ours and empty; a header that is not whole would be read as a journal without records.
            let _ = std::fs::remove_file(&self.path);
            return Err(RanksError::JournalIo { action: "create", path: self.path, source });
        }
        self.end = header.len() as u64;
        Ok(self)
    }

    /// Appends a record, whole or not at all.
    ///
    /// # Errors
    /// [`RanksError::JournalIo`] when the disk is full or fails: the file ends with the last whole record then, and
    /// appending may be tried again. [`RanksError::JournalBroken`] when an earlier failure could not be undone;
    /// [`RanksError::RecordTooLong`] over [`RECORD_LIMIT`]; [`RanksError::Codec`].
    pub fn append(&mut self, record: &R) -> Result<(), RanksError> {
        if self.broken {
            return Err(RanksError::JournalBroken { path: self.path.clone(), records: self.records });
        }
        let payload = encode(record)?;
        let bytes = payload.len();
        let length = u32::try_from(bytes)
            .ok()
            .filter(|_| bytes <= RECORD_LIMIT)
            .ok_or_else(|| RanksError::RecordTooLong { path: self.path.clone(), bytes, limit: RECORD_LIMIT })?;
        self.buffer.clear();
        self.buffer.reserve(PREFIX + bytes);
        self.buffer.extend(length.to_le_bytes());
        self.buffer.extend(checksum(self.end, length, &payload).to_le_bytes());
        self.buffer.extend(&payload);
        // One write for a record: a killed process leaves it whole or absent on local file systems.
        if let Err(source) = self.file.write_all(&self.buffer) {
            self.broken = self.cut_back().is_err();
            return Err(self.io("append to", source));
        }
        let due = match self.policy {
            SyncPolicy::EveryRecord => true,
            SyncPolicy::Every(n) => self.unsynced + 1 >= n,
            SyncPolicy::AtEnd => false,
        };
        if due && let Err(source) = self.file.sync_data() {
            // What the kernel could not write it may have dropped: what is on the disk is unknown from here on, and
            // a second sync would not say so.
            self.broken = true;
            let _ = self.cut_back();
            return Err(self.io("append to", source));
        }
        self.end += self.buffer.len() as u64;
        self.records += 1;
        self.unsynced = if due { 0 } else { self.unsynced.saturating_add(1) };
        Ok(())
    }

    /// Forces all records to the disk.
    ///
    /// # Errors
    /// [`RanksError::JournalIo`], [`RanksError::JournalBroken`].
    pub fn sync(&mut self) -> Result<(), RanksError> {
        if self.broken {
            return Err(RanksError::JournalBroken { path: self.path.clone(), records: self.records });
        }
        if let Err(source) = self.file.sync_data() {
            self.broken = true;
            return Err(self.io("sync", source));
        }
        self.unsynced = 0;
        Ok(())
    }

    /// Forces all records to the disk and closes the journal.
    ///
    /// # Errors
    /// As [`sync`](Self::sync).
    pub fn finish(mut self) -> Result<(), RanksError> {
        self.sync()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of records appended.
    pub fn len(&self) -> u64 {
        self.records
    }

    /// Whether nothing was appended.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Removes what is behind the last whole record.
    fn cut_back(&mut self) -> io::Result<()> {
        self.file.set_len(self.end)?;
        self.file.seek(SeekFrom::Start(self.end)).map(drop)
    }

    fn io(&self, action: &'static str, source: io::Error) -> RanksError {
        RanksError::JournalIo { action, path: self.path.clone(), source }
    }
}

/// Forces a new name in a folder to the disk. File systems that cannot sync folders keep names by themselves.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match File::open(folder).and_then(|f| f.sync_all()) {
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranks::JournalReader;

    impl JournalRecord for Vec<u8> {
        const SCHEMA: u32 = 7;
    }

    #[test]
    fn a_journal_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bnj");
        JournalWriter::<Vec<u8>>::create(&path, SyncPolicy::AtEnd).unwrap().append(&vec![1]).unwrap();
        let before = std::fs::read(&path).unwrap();
        let again = JournalWriter::<Vec<u8>>::create(&path, SyncPolicy::AtEnd);
        assert!(matches!(again, Err(RanksError::JournalExists { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), before);
        let absent = JournalWriter::<Vec<u8>>::create(folder.path().join("no/a.bnj"), SyncPolicy::AtEnd);
        assert!(absent.unwrap_err().to_string().contains("no such file or folder"));
    }

    #[test]
    fn a_record_over_the_limit_is_refused_and_harms_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bnj");
        let mut journal = JournalWriter::create(&path, SyncPolicy::AtEnd).unwrap();
        assert!(matches!(journal.append(&vec![0_u8; RECORD_LIMIT]), Err(RanksError::RecordTooLong { .. })));
        journal.append(&vec![3]).unwrap();
        let records: Vec<Vec<u8>> = JournalReader::open(&path).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(records, [vec![3]]);
    }

    #[test]
    fn a_device_that_is_always_full() {
        // It takes no byte, and cannot be cut back either.
        let Ok(file) = OpenOptions::new().write(true).open("/dev/full") else {
            return eprintln!("skipped: no /dev/full here");
        };
        let mut journal = JournalWriter::<Vec<u8>>::over(file, "/dev/full".into(), SyncPolicy::EveryRecord);
        let said = journal.append(&vec![1]).unwrap_err().to_string();
        assert!(said.contains("the disk is full"), "{said}");
        assert!(matches!(journal.append(&vec![1]), Err(RanksError::JournalBroken { records: 0, .. })));
        assert!(matches!(journal.sync(), Err(RanksError::JournalBroken { .. })));
    }

    #[test]
    fn a_failed_sync_closes_the_journal() {
        // A pipe takes bytes, but cannot be synced.
        let (_reader, pipe) = io::pipe().unwrap();
        let file = File::from(std::os::fd::OwnedFd::from(pipe));
        let mut journal = JournalWriter::<Vec<u8>>::over(file, "pipe".into(), SyncPolicy::Every(2));
        journal.append(&vec![1]).unwrap();
        assert!(matches!(journal.append(&vec![2]), Err(RanksError::JournalIo { .. })));
        assert!(matches!(journal.append(&vec![3]), Err(RanksError::JournalBroken { records: 1, .. })));
    }
}
