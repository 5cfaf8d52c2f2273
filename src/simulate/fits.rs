//! Writing one exposure as FITS.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use ndarray::Array2;

use crate::wcs::{Card, Header, HeaderValue};

const BLOCK: usize = 2880;

/// A plane of pixels with its header records.
pub(super) struct Plane<'a> {
    pub(super) name: &'static str,
    pub(super) header: &'a Header,
    pub(super) pixels: Pixels<'a>,
}

pub(super) enum Pixels<'a> {
    Real(&'a Array2<f32>),
    Bits(&'a Array2<i32>),
}

/// Writes a primary header without data and one image extension a plane, under a temporary name in the same folder, which
/// then takes the final name: a file is whole or not there. The number of bytes.
pub(super) fn write(path: &Path, primary: &Header, planes: &[Plane<'_>]) -> io::Result<u64> {
    super::survey::whole_file(path, |file| {
        let mut out = Counted { out: BufWriter::with_capacity(1 << 20, file), bytes: 0 };
        let mut text = String::new();
        for (keyword, value) in [
            ("SIMPLE", HeaderValue::Logical(true)),
            ("BITPIX", HeaderValue::Integer(8)),
            ("NAXIS", HeaderValue::Integer(0)),
            ("EXTEND", HeaderValue::Logical(true)),
        ] {
            card(&mut text, keyword, &value, "");
        }
        finish(&mut out, text, primary.cards())?;
        for plane in planes {
            let (bitpix, (rows, columns)) = match plane.pixels {
                Pixels::Real(a) => (-32, a.dim()),
                Pixels::Bits(a) => (32, a.dim()),
            };
            let mut text = String::new();
            for (keyword, value) in [
                ("XTENSION", HeaderValue::from("IMAGE")),
                ("BITPIX", HeaderValue::Integer(bitpix)),
                ("NAXIS", HeaderValue::Integer(2)),
                ("NAXIS1", HeaderValue::Integer(columns as i64)),
                ("NAXIS2", HeaderValue::Integer(rows as i64)),
                ("PCOUNT", HeaderValue::Integer(0)),
                ("GCOUNT", HeaderValue::Integer(1)),
                ("EXTNAME", HeaderValue::from(plane.name)),
            ] {
                card(&mut text, keyword, &value, "");
            }
            finish(&mut out, text, plane.header.cards())?;
            match plane.pixels {
                Pixels::Real(a) => out.words(a.iter().map(|v| v.to_be_bytes()))?,
                Pixels::Bits(a) => out.words(a.iter().map(|v| v.to_be_bytes()))?,
            }
            out.pad(0)?;
        }
        out.out.flush()?;
        Ok(out.bytes)
    })
}

struct Counted<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Counted<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    fn words(&mut self, words: impl Iterator<Item = [u8; 4]>) -> io::Result<()> {
        let mut buffer = Vec::with_capacity(1 << 16);
        for word in words {
            buffer.extend_from_slice(&word);
            if buffer.len() == buffer.capacity() {
                self.put(&buffer)?;
                buffer.clear();
            }
        }
        self.put(&buffer)
    }

    fn pad(&mut self, with: u8) -> io::Result<()> {
        let rest = (BLOCK - (self.bytes % BLOCK as u64) as usize) % BLOCK;
        self.put(&vec![with; rest])
    }
}

fn finish<W: Write>(out: &mut Counted<W>, mut text: String, cards: &[Card]) -> io::Result<()> {
    for c in cards {
        card(&mut text, &c.keyword, &c.value, &c.comment);
    }
    text.push_str(&format!("{:<80}", "END"));
    out.put(text.as_bytes())?;
    out.pad(b' ')
}

/// One record of 80 characters: fixed format, or HIERARCH for keywords of more than 8 characters.
fn card(text: &mut String, keyword: &str, value: &HeaderValue, comment: &str) {
    let value = match value {
        HeaderValue::Text(s) => format!("'{:<8}'", s.replace('\'', "''")),
        HeaderValue::Real(v) => {
            let shortest = format!("{v:?}").replace('e', "E");
            format!("{shortest:>20}")
        }
        other => format!("{other:>20}", other = other.to_string()),
    };
    let mut record = if keyword.len() > 8 {
        format!("HIERARCH {keyword} = {}", value.trim_start())
    } else {
        format!("{keyword:<8}= {value}")
    };
    if !comment.is_empty() && record.len() + 3 + comment.len() <= 80 {
        record = format!("{record} / {comment}");
    }
    text.push_str(&format!("{record:<80}"));
}
