//! `DATASUM` and `CHECKSUM` (FITS standard 4.0, section 4.4.2.7 and appendix J).

/// The ones' complement sum of 32-bit words, most significant byte first.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FitsSum {
    sum: u64,
    /// Bytes of a word that is not yet whole.
    rest: [u8; 4],
    filled: usize,
}

impl FitsSum {
    pub(super) fn add(&mut self, mut bytes: &[u8]) {
        while self.filled > 0 && !bytes.is_empty() {
            self.rest[self.filled] = bytes[0];
            bytes = &bytes[1..];
            self.filled = (self.filled + 1) % 4;
            if self.filled == 0 {
                self.sum += u64::from(u32::from_be_bytes(self.rest));
            }
        }
        let (words, rest) = bytes.as_chunks::<4>();
        // 2^32 words would be needed for an overflow: sums are folded long before.
        for block in words.chunks(1 << 20) {
            self.sum += block.iter().map(|w| u64::from(u32::from_be_bytes(*w))).sum::<u64>();
            self.sum = (self.sum & 0xffff_ffff) + (self.sum >> 32);
        }
        self.rest[self.filled..self.filled + rest.len()].copy_from_slice(rest);
        self.filled += rest.len();
    }

    /// The sum; blocks are whole words.
    pub(super) fn value(self) -> u32 {
        let mut sum = self.sum;
        while sum >> 32 > 0 {
            sum = (sum & 0xffff_ffff) + (sum >> 32);
        }
        sum as u32
    }
}

/// The 16 characters that make the sum of a unit all ones, when the sum with `0000000000000000` in their place is `sum`.
pub(super) fn encode(sum: u32) -> String {
    let punctuation = |c: u8| matches!(c, 0x3a..=0x40 | 0x5b..=0x60);
    let mut text = [b'0'; 16];
    for (i, byte) in (!sum).to_be_bytes().into_iter().enumerate() {
        let mut part = [byte / 4 + b'0'; 4];
        part[0] += byte % 4;
        while part.iter().any(|c| punctuation(*c)) {
            for pair in part.chunks_mut(2) {
                if pair.iter().any(|c| punctuation(*c)) {
                    pair[0] += 1;
                    pair[1] -= 1;
                }
            }
        }
        for (j, c) in part.into_iter().enumerate() {
            // One to the right, for the text begins behind its quote.
            text[(4 * j + i + 1) % 16] = c;
        }
    }
    text.iter().map(|c| char::from(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_wholes() {
        let bytes: Vec<u8> = (0..1000_u32).flat_map(|i| (i.wrapping_mul(2_654_435_761)).to_be_bytes()).collect();
        let mut whole = FitsSum::default();
        whole.add(&bytes);
        for step in [1, 3, 4, 7, 64] {
            let mut parts = FitsSum::default();
            bytes.chunks(step).for_each(|part| parts.add(part));
            assert_eq!(parts.value(), whole.value());
        }
        let slow = bytes.as_chunks::<4>().0.iter().fold(0_u64, |sum, w| {
            let sum = sum + u64::from(u32::from_be_bytes(*w));
            (sum & 0xffff_ffff) + (sum >> 32)
        });
        assert_eq!(u64::from(whole.value()), slow);
    }

    #[test]
    fn appendix_j() {
        // The example of the standard's appendix.
        assert_eq!(encode(868_229_149), "hcHjjc9ghcEghc9g");
        for sum in [0, 1, 0xffff_ffff, 0x8000_0000, 0x3a40_5b60] {
            // A card with the characters at column 12 makes the sum all ones.
            let card = format!("CHECKSUM= '{}'", encode(sum));
            let (mut with, mut without) = (FitsSum::default(), FitsSum::default());
            with.add(format!("{card:<80}").as_bytes());
            without.add(format!("{:<80}", "CHECKSUM= '0000000000000000'").as_bytes());
            let total = u64::from(with.value()) + u64::from(!without.value()) + u64::from(sum);
            let folded = (total & 0xffff_ffff) + (total >> 32);
            assert!(matches!((folded & 0xffff_ffff) + (folded >> 32), 0xffff_ffff), "{sum:x}: {folded:x}");
        }
    }
}
