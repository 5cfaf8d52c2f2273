//! [`SharedBytes`]: bytes from rank 0, one copy a node where memory can be shared.

use std::{fmt, ops::Deref, sync::Arc};

/// Bytes from rank 0, read-only, aligned to 64; one copy a node where memory can be shared.
///
/// Cheap to clone and free to send to other threads. Memory shared under MPI is given back when the
/// [`World`](super::World) and all of its `SharedBytes` are dropped: that step is collective, so it is bound to the end
/// of the job, which all ranks reach, and not to the moment at which one rank happens to drop its last clone.
#[derive(Clone)]
pub struct SharedBytes {
    holder: Arc<dyn Holder>,
}

/// Owner of the memory behind [`SharedBytes`].
pub(super) trait Holder: Send + Sync {
    fn bytes(&self) -> &[u8];

    fn is_shared(&self) -> bool;
}

impl SharedBytes {
    /// Alignment of the first byte.
    pub const ALIGNMENT: usize = 64;

    /// Whether the ranks of this node share one copy. `false` for a serial program and where the MPI library could
    /// not allocate shared memory.
    pub fn is_shared(&self) -> bool {
        self.holder.is_shared()
    }

    /// A private copy, filled by `fill`. Gives back the number of bytes when there is no memory for them.
    pub(super) fn private(len: usize, fill: impl FnOnce(&mut [u8])) -> Result<Self, u64> {
        Self::private_with(len, |to| {
            fill(to);
            Ok(())
        })
        .map_err(|e: PrivateError<std::convert::Infallible>| match e {
            PrivateError::Memory(bytes) => bytes,
            PrivateError::Fill(never) => match never {},
        })
    }

    /// A private copy, filled by `fill`, which may fail.
    pub(super) fn private_with<E>(
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Self, PrivateError<E>> {
        let wanted = len.checked_add(Self::ALIGNMENT).ok_or(PrivateError::Memory(len as u64))?;
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(wanted).map_err(|_| PrivateError::Memory(len as u64))?;
        buffer.resize(wanted, 0);
        let start = buffer.as_ptr().align_offset(Self::ALIGNMENT);
        let private = buffer.get_mut(start..start + len).ok_or(PrivateError::Memory(len as u64))?;
        fill(private).map_err(PrivateError::Fill)?;
        Ok(Self::held_by(Private { buffer, start, len }))
    }

    pub(super) fn held_by(holder: impl Holder + 'static) -> Self {
        Self { holder: Arc::new(holder) }
    }
}

/// Why a private copy could not be made.
pub(super) enum PrivateError<E> {
    Memory(u64),
    Fill(E),
}

impl Deref for SharedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.holder.bytes()
    }
}

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for SharedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBytes").field("len", &self.len()).field("is_shared", &self.is_shared()).finish()
    }
}

struct Private {
    buffer: Vec<u8>,
    start: usize,
    len: usize,
}

impl Holder for Private {
    fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.start + self.len).unwrap_or_default()
    }

    fn is_shared(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_copies_are_aligned() {
        for len in [0, 1, 63, 64, 65, 100_000] {
            let bytes = SharedBytes::private(len, |to| to.fill(7)).unwrap();
            assert_eq!(bytes.as_ptr().align_offset(64), 0);
            assert_eq!(*bytes, *vec![7; len]);
        }
    }

    #[test]
    fn an_absurd_length_is_refused() {
        assert_eq!(SharedBytes::private(usize::MAX - 3, |_| ()).unwrap_err(), (usize::MAX - 3) as u64);
        assert_eq!(SharedBytes::private(usize::MAX / 2 - 100, |_| ()).unwrap_err(), (usize::MAX / 2 - 100) as u64);
    }
}
