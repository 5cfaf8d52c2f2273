//! The Rice code of tile-compressed images: R. White, P. Greenfield, W. Pence, D. Tody, R. Seaman, "Tiled Image
//! Convention for Storing Compressed Images in FITS Binary Tables" (FITS standard 4.0, section 10.4.1).

/// Bits out of bytes, the most significant first.
struct Bits<'a> {
    bytes: std::slice::Iter<'a, u8>,
    /// The bits not yet taken, in the low `count` places.
    held: u64,
    count: u32,
}

impl Bits<'_> {
    fn refill(&mut self) -> Option<()> {
        self.held = self.held << 8 | u64::from(*self.bytes.next()?);
        self.count += 8;
        Some(())
    }

    fn take(&mut self, n: u32) -> Option<u32> {
        while self.count < n {
            self.refill()?;
        }
        self.count -= n;
        let taken = self.held >> self.count;
        self.held &= (1 << self.count) - 1;
        Some(taken as u32)
    }

    /// The number of zeros before the next one, which is taken as well.
    fn zeros(&mut self) -> Option<u32> {
        let mut zeros = 0_u32;
        while self.held == 0 {
            zeros = zeros.checked_add(self.count)?;
            self.count = 0;
            self.refill()?;
        }
        let width = 64 - self.held.leading_zeros();
        zeros += self.count - width;
        self.count = width - 1;
        self.held &= (1 << self.count) - 1;
        Some(zeros)
    }
}

/// Decodes `count` pixels of `byte_pix` (1, 2 or 4) bytes in blocks of `block`. `None` for bytes that are no such code,
/// or end early. Pixels of 1 byte are unsigned, others signed.
pub(super) fn decode(bytes: &[u8], count: usize, byte_pix: u32, block: usize) -> Option<Vec<i32>> {
    let (code_bits, code_max, pixel_bits) = match byte_pix {
        1 => (3, 6, 8),
        2 => (4, 14, 16),
        4 => (5, 25, 32),
        _ => return None,
    };
    let narrow = |v: u32| match byte_pix {
        1 => i32::from(v as u8),
        2 => i32::from(v as i16),
        _ => v as i32,
    };
    let mut bits = Bits { bytes: bytes.iter(), held: 0, count: 0 };
    let mut last = bits.take(pixel_bits)?;
    // A block of equal pixels takes 3 bits at least: a count beyond that is not worth its memory.
    if block == 0 || count > bytes.len().saturating_mul(8).saturating_mul(block) {
        return None;
    }
    let mut pixels = Vec::with_capacity(count);
    while pixels.len() < count {
        let n = block.min(count - pixels.len());
        let code = bits.take(code_bits)?;
        if code == 0 {
            pixels.resize(pixels.len() + n, narrow(last));
            continue;
        }
        let split = code - 1;
        for _ in 0..n {
            let folded = if split == code_max {
                bits.take(pixel_bits)?
            } else {
                let high = bits.zeros()?;
                high.wrapping_shl(split) | bits.take(split)?
            };
            // Differences are folded: 0, -1, 1, -2, 2 … are kept as 0, 1, 2, 3, 4 …
            let difference = if folded & 1 == 0 { folded >> 1 } else { !(folded >> 1) };
            last = last.wrapping_add(difference);
            pixels.push(narrow(last));
        }
    }
    Some(pixels)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_block_written_by_hand() {
        // First pixel 7 (8 bits), code 0 (3 bits): three pixels of 7. Then nothing.
        assert_eq!(decode(&[7, 0b0000_0000], 3, 1, 32), Some(vec![7, 7, 7]));
        // Code 1 (split 0): differences 0 -> `1`, -1 -> `01`, 1 -> `001`.
        assert_eq!(decode(&[7, 0b0011_0100, 0b1000_0000], 3, 1, 32), Some(vec![7, 6, 7]));
        assert_eq!(decode(&[7], 3, 1, 32), None);
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_do_not(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 0_u32..6, block in 0_usize..40) {
            for count in [0, 1, 100, usize::MAX] {
                let _ = decode(&bytes, count, size, block);
            }
        }
    }
}
