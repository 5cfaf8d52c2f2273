//! [`JournalReader`]: what a journal proves to be whole.

use super::{HEADER, JournalRecord, MAGIC, PREFIX, RECORD_LIMIT, VERSION, checksum, header, prefix};
use crate::dataset::codec::decode;
use crate::ranks::RanksError;
use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    marker::PhantomData,
    path::{Path, PathBuf},
};

/// Most bytes that are searched for whole records behind one that is not; more than the longest record.
const SEARCHED: u64 = 2 * RECORD_LIMIT as u64;

/// Iterates over a journal's records, in the order they were appended.
///
/// Ends before a torn tail, whose length [`torn`](Self::torn) tells then. The journal may be read while it is being
/// written: what was whole when it was opened is seen.
#[derive(Debug)]
pub struct JournalReader<R> {
    file: BufReader<File>,
    path: PathBuf,
    /// Length of the file when it was opened.
    length: u64,
    offset: u64,
    torn: u64,
    payload: Vec<u8>,
    kind: PhantomData<fn() -> R>,
}

/// Bytes of a journal that are not part of a whole record, in front of some that are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub bytes: u64,
}

/// What could be read of a damaged journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvage<R> {
    /// All whole records.
    pub records: Vec<R>,
    /// What is not whole in between.
    pub damage: Vec<Damage>,
    /// Length of the torn tail.
    pub torn: u64,
}

impl<R: JournalRecord> JournalReader<R> {
    /// Opens a journal and checks its header.
    ///
    /// A header that is not whole, which a crash during [`create`](super::JournalWriter::create) may leave, is a journal
    /// without records.
    ///
    /// # Errors
    /// [`RanksError::NotAJournal`], [`RanksError::JournalVersion`], [`RanksError::JournalSchema`],
    /// [`RanksError::JournalDamaged`] when the header is damaged, [`RanksError::JournalIo`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, RanksError> {
        let path = path.into();
        let opened = File::open(&path).and_then(|f| Ok((f.metadata()?.len(), BufReader::new(f))));
        let (length, file) = match opened {
            Ok(opened) => opened,
            Err(source) => return Err(RanksError::JournalIo { action: "open", path, source }),
        };
        let mut reader = Self { file, path, length, offset: 0, torn: 0, payload: vec![], kind: PhantomData };
        let mut bytes = vec![0; length.min(HEADER as u64) as usize];
        reader.read_exact(&mut bytes)?;
        if !bytes.iter().zip(MAGIC).all(|(a, b)| a == b) && bytes.iter().any(|b| *b != 0) {
            return Err(RanksError::NotAJournal { path: reader.path });
        }
        reader.check_header(&bytes)?;
        Ok(reader)
    }

    fn check_header(&mut self, bytes: &[u8]) -> Result<(), RanksError> {
        let field = |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
        let (Some(version), Some(schema), HEADER) = (field(8), field(12), bytes.len()) else {
            self.torn = self.length;
            self.offset = self.length;
            return Ok(());
        };
        if bytes.iter().all(|b| *b == 0) && self.next_whole(0)?.is_none() {
            // A machine that crashed may have kept the length and not the bytes.
            self.torn = self.length;
            self.offset = self.length;
            return Ok(());
        }
        self.seek(HEADER as u64)?;
        let path = self.path.clone();
        if *bytes != header(version, schema) {
            let what = match version {
                VERSION => "its header does not match its checksum".to_owned(),
                other => format!("its header does not match its checksum; it names version {other}"),
            };
            return Err(RanksError::JournalDamaged { path, offset: 0, what });
        }
        if version != VERSION {
            return Err(RanksError::JournalVersion { path, found: version, expected: VERSION });
        }
        if schema != R::SCHEMA {
            return Err(RanksError::JournalSchema { path, found: schema, expected: R::SCHEMA });
        }
        Ok(())
    }

    /// Length in bytes of the torn tail that was cut off; 0 until the last record was read.
    pub fn torn(&self) -> u64 {
        self.torn
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All whole records, those behind damage too.
    ///
    /// # Errors
    /// [`RanksError::JournalIo`]; [`RanksError::JournalRecord`]; [`RanksError::JournalDamaged`] only where the damage is
    /// too long to be searched.
    pub fn salvage(mut self) -> Result<Salvage<R>, RanksError> {
        let mut found = Salvage { records: vec![], damage: vec![], torn: 0 };
        while self.offset < self.length {
            let offset = self.offset;
            if self.read_payload()?.is_none() {
                found.records.push(self.record(offset)?);
                continue;
            }
            if let Some(next) = self.next_whole(offset)? {
                found.damage.push(Damage { offset, bytes: next - offset });
                self.seek(next)?;
            } else {
                self.torn = self.length - offset;
                self.offset = self.length;
            }
        }
        found.torn = self.torn;
        Ok(found)
    }

    /// The record at the present offset, or `None` at the end or a torn tail.
    fn advance(&mut self) -> Result<Option<R>, RanksError> {
        if self.offset >= self.length {
            return Ok(None);
        }
        let offset = self.offset;
        let Some(what) = self.read_payload()? else { return self.record(offset).map(Some) };
        if self.next_whole(offset)?.is_some() {
            return Err(RanksError::JournalDamaged { path: self.path.clone(), offset, what });
        }
        self.torn = self.length - offset;
        self.offset = self.length;
        Ok(None)
    }

    fn record(&self, offset: u64) -> Result<R, RanksError> {
        decode(&self.payload).map_err(|source| RanksError::JournalRecord { path: self.path.clone(), offset, source })
    }

    /// Reads the next payload and steps behind it, or stays and says why it is not whole.
    fn read_payload(&mut self) -> Result<Option<String>, RanksError> {
        let left = self.length - self.offset;
        let mut start = [0; PREFIX];
        if left < PREFIX as u64 {
            return Ok(Some(format!("{left} bytes are no record")));
        }
        self.read_exact(&mut start)?;
        let Some((length, sum)) = prefix(&start) else { return Ok(Some("there is no record".into())) };
        let whole = PREFIX as u64 + u64::from(length);
        if length as usize > RECORD_LIMIT {
            return Ok(Some(format!("a record claims {length} bytes, over the limit of {RECORD_LIMIT}")));
        }
        if whole > left {
            return Ok(Some(format!("a record claims {whole} bytes, {left} are there")));
        }
        let mut payload = std::mem::take(&mut self.payload);
        payload.resize(length as usize, 0);
        self.read_exact(&mut payload)?;
        let is_whole = checksum(self.offset, length, &payload) == sum;
        self.payload = payload;
        if !is_whole {
            return Ok(Some(format!("a record of {length} bytes does not match its checksum")));
        }
        self.offset += whole;
        Ok(None)
    }

    /// Offset of the first whole record behind the one at `offset`, which is not whole.
    fn next_whole(&mut self, offset: u64) -> Result<Option<u64>, RanksError> {
        let bytes = (self.length - offset).min(SEARCHED);
        self.seek(offset)?;
        let mut rest = vec![0; bytes as usize];
        self.read_exact(&mut rest)?;
        // Enough for any file that was not made to be slow: a wrong place seldom claims a length that fits.
        let mut budget = 16 * rest.len() + (64 << 20);
        for at in 1..rest.len() {
            let Some((length, sum)) = rest.get(at..).and_then(prefix) else { break };
            let Some(payload) = rest.get(at + PREFIX..).and_then(|r| r.get(..length as usize)) else { continue };
            if checksum(offset + at as u64, length, payload) == sum {
                return Ok(Some(offset + at as u64));
            }
            budget = budget.saturating_sub(payload.len() + 1);
            if budget == 0 {
                let what = "a record is not whole, and what follows is full of false lengths".into();
                return Err(RanksError::JournalDamaged { path: self.path.clone(), offset, what });
            }
        }
        if self.length - offset > SEARCHED {
            let what = format!("no whole record begins within {SEARCHED} bytes");
            return Err(RanksError::JournalDamaged { path: self.path.clone(), offset, what });
        }
        Ok(None)
    }

    fn seek(&mut self, offset: u64) -> Result<(), RanksError> {
        self.offset = offset;
        self.file.seek(SeekFrom::Start(offset)).map(drop).map_err(|source| self.io(source))
    }

    fn read_exact(&mut self, to: &mut [u8]) -> Result<(), RanksError> {
        self.file.read_exact(to).map_err(|source| self.io(source))
    }

    fn io(&self, source: io::Error) -> RanksError {
        RanksError::JournalIo { action: "read", path: self.path.clone(), source }
    }
}

impl<R: JournalRecord> Iterator for JournalReader<R> {
    type Item = Result<R, RanksError>;

    /// The next record. [`RanksError::JournalDamaged`] when it is not whole but later ones are,
    /// [`RanksError::JournalRecord`] when it is whole but no `R`; nothing follows an error.
    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance().transpose();
        if matches!(next, Some(Err(_))) {
            self.offset = self.length;
        }
        next
    }
}
