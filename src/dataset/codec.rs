//! [`encode`] and [`decode`]: values to bytes and back. The one file that names `bincode`.
//!
//! The bytes are little-endian with integers of fixed width, which is what bincode 1 and wincode write too, so that
//! either can take bincode's place here without a change of file format. They do not describe themselves: what is
//! read must be declared exactly as what was written, and each file that holds them carries its own version.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian, standard};
use serde::{Serialize, de::DeserializeOwned};

/// Bytes that cannot be made from a value, or a value that cannot be made from bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The value cannot be written, for instance because its map does not know its length.
    #[error("cannot encode a `{type_name}`: {message}")]
    Encode {
        /// Rust type of the value.
        type_name: &'static str,
        /// What the codec says.
        message: String,
    },
    /// The bytes are not a value of this type: damaged, cut short, or of another type.
    #[error("{bytes} bytes are not a `{type_name}`: {message}")]
    Decode {
        /// Rust type that was asked for.
        type_name: &'static str,
        /// Number of bytes given.
        bytes: usize,
        /// What the codec says.
        message: String,
    },
    /// A value was read, but bytes were left over.
    #[error("{bytes} bytes hold a `{type_name}` and {left} bytes more: they were written by another version")]
    LeftOver {
        /// Rust type that was asked for.
        type_name: &'static str,
        /// Number of bytes given.
        bytes: usize,
        /// Number of bytes not used.
        left: usize,
    },
}

/// The bytes of `value`.
///
/// # Errors
/// [`CodecError::Encode`] when the type cannot be written in a format that does not describe itself.
///
/// ```
/// use bunter::dataset::codec::{decode, encode};
///
/// let bytes = encode(&(903_334_u32, "HSC-I"))?;
/// let (visit, filter): (u32, String) = decode(&bytes)?;
/// assert_eq!((visit, filter.as_str()), (903_334, "HSC-I"));
/// # Ok::<(), bunter::dataset::codec::CodecError>(())
/// ```
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CodecError> {
    let config = standard().with_fixed_int_encoding();
    bincode::serde::encode_to_vec(value, config)
        .map_err(|e| CodecError::Encode { type_name: std::any::type_name::<T>(), message: e.to_string() })
}

/// The value that [`encode`] made `bytes` from.
///
/// All of the bytes must be used. A length written inside the bytes never makes this allocate much more than the
/// bytes themselves, so hostile bytes are an error and not an exhausted memory.
///
/// # Errors
/// [`CodecError::Decode`] when the bytes are not a `T`, [`CodecError::LeftOver`] when they are more than one.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    // The limit is a constant of the type; the smallest that allows these bytes bounds what a hostile length can claim.
    match bytes.len() {
        0..=0x1000 => decode_within::<T, 0x1000>(bytes),
        0x1001..=0x1_0000 => decode_within::<T, 0x1_0000>(bytes),
        0x1_0001..=0x10_0000 => decode_within::<T, 0x10_0000>(bytes),
        0x10_0001..=0x100_0000 => decode_within::<T, 0x100_0000>(bytes),
        0x100_0001..=0x1000_0000 => decode_within::<T, 0x1000_0000>(bytes),
        _ => decode_within::<T, { usize::MAX >> 16 }>(bytes),
    }
}

fn decode_within<T: DeserializeOwned, const N: usize>(bytes: &[u8]) -> Result<T, CodecError> {
    let config: Configuration<LittleEndian, Fixint, Limit<N>> = standard().with_fixed_int_encoding().with_limit();
    let type_name = std::any::type_name::<T>();
    let (value, used) = bincode::serde::decode_from_slice(bytes, config).map_err(|e| CodecError::Decode {
        type_name,
        bytes: bytes.len(),
        message: e.to_string(),
    })?;
    match bytes.len() - used {
        0 => Ok(value),
        left => Err(CodecError::LeftOver { type_name, bytes: bytes.len(), left }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        name: String,
        pixels: Vec<u16>,
        blob: Vec<u8>,
        maybe: Option<f64>,
        pair: (i8, u64),
    }

    fn sample(n: usize) -> Sample {
        Sample { name: "x".repeat(n), pixels: vec![7; n], blob: vec![1; n], maybe: Some(-0.0), pair: (-1, u64::MAX) }
    }

    #[test]
    fn round_trip_at_every_size_class() {
        for n in [0, 1, 800, 1020, 1024, 16_000, 16_500, 260_000, 270_000, 5_000_000] {
            let value = sample(n);
            assert_eq!(decode::<Sample>(&encode(&value).unwrap()).unwrap(), value, "{n}");
        }
    }

    #[test]
    fn golden_bytes_are_those_of_bincode_1() {
        // One `u32`, a string with a 64-bit length, a one-byte option tag: the layout wincode reads.
        let bytes = encode(&(5_u32, "ab", Some(1_u16))).unwrap();
        assert_eq!(bytes, [5, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, b'a', b'b', 1, 1, 0]);
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = encode(&sample(9)).unwrap();
        for n in 0..bytes.len() {
            assert!(decode::<Sample>(&bytes[..n]).is_err(), "{n} of {}", bytes.len());
        }
    }

    #[test]
    fn hostile_lengths_are_errors() {
        for length in [u64::MAX, 1 << 62, 1 << 40, 1 << 32, 100] {
            let mut bytes = length.to_le_bytes().to_vec();
            bytes.extend([0; 16]);
            assert!(decode::<String>(&bytes).is_err(), "{length}");
            assert!(decode::<Vec<u64>>(&bytes).is_err(), "{length}");
            assert!(decode::<std::collections::HashMap<u64, String>>(&bytes).is_err(), "{length}");
        }
    }

    #[test]
    fn leftovers_are_an_error() {
        let mut bytes = encode(&3_u64).unwrap();
        bytes.push(0);
        assert!(matches!(decode::<u64>(&bytes), Err(CodecError::LeftOver { left: 1, .. })));
    }
}
