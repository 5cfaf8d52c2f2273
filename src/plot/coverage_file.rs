//! Coverage maps as FITS, JSON and ASCII, by the crate `moc`.

use std::path::Path;

use moc::deser::ascii::from_ascii_ivoa;
use moc::deser::json::from_json_aladin;
use moc::moc::range::RangeMOC;
use moc::moc::{
    CellHpxMOCIterator, CellMOCIntoIterator, CellMOCIterator, CellOrCellRangeMOCIntoIterator,
    CellOrCellRangeMOCIterator, RangeMOCIntoIterator, RangeMOCIterator,
};
use moc::qty::Hpx;

use super::{Coverage, PlotError};
use crate::sphere::RangeSet;

/// How a coverage map is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoverageFormat {
    /// FITS, as MOC 2.0 defines it: a binary table of NUNIQ cells, which readers of MOC 1 understand too.
    Fits,
    /// JSON: `{"3": [1, 5], "4": […]}`, cells by depth.
    Json,
    /// ASCII, as MOC 2.0 defines it: `3/1 5 4/…`.
    Ascii,
}

/// A line of JSON or ASCII is broken after so many characters.
const FOLD: usize = 100;

impl CoverageFormat {
    /// By the ending of a name: `.fits`, `.json`, `.txt` and the like.
    pub fn of(path: &Path) -> Option<Self> {
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        match ending.as_str() {
            "fits" | "fit" | "moc" => Some(Self::Fits),
            "json" => Some(Self::Json),
            "txt" | "ascii" => Some(Self::Ascii),
            _ => None,
        }
    }
}

impl Coverage {
    /// The coverage map as the bytes of a file.
    ///
    /// # Errors
    /// [`PlotError::Encode`].
    pub fn to_bytes(&self, format: CoverageFormat) -> Result<Vec<u8>, PlotError> {
        let failed = |problem: String| PlotError::Encode { what: "the coverage map", problem };
        let mut bytes = Vec::new();
        let cells = (&self.moc).into_range_moc_iter().cells();
        match format {
            CoverageFormat::Fits => {
                cells.hpx_cells_to_fits_ivoa(None, None, &mut bytes).map_err(|e| failed(e.to_string()))?;
            }
            CoverageFormat::Json => {
                cells.to_json_aladin(Some(FOLD), &mut bytes).map_err(|e| failed(e.to_string()))?;
            }
            CoverageFormat::Ascii => {
                let ranges = cells.cellranges();
                ranges.to_ascii_ivoa(Some(FOLD), false, &mut bytes).map_err(|e| failed(e.to_string()))?;
                bytes.push(b'\n');
            }
        }
        Ok(bytes)
    }

    /// Reads a coverage map: FITS (MOC 1 and 2), JSON or ASCII, as the first bytes say.
    ///
    /// # Errors
    /// [`PlotError::Io`], [`PlotError::BadCoverage`].
    pub fn read(path: &Path) -> Result<Self, PlotError> {
        let bytes =
            std::fs::read(path).map_err(|source| PlotError::Io { doing: "read", path: path.to_owned(), source })?;
        Self::from_bytes(&bytes).map_err(|problem| PlotError::BadCoverage { path: path.to_owned(), problem })
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let moc = if bytes.starts_with(b"SIMPLE") {
            read_fits(bytes)?
        } else {
            let text = std::str::from_utf8(bytes).map_err(|_| "it is neither FITS nor text".to_owned())?.trim();
            if text.starts_with('{') {
                check_json(text)?;
                let cells = from_json_aladin::<u64, Hpx<u64>>(text).map_err(|e| e.to_string())?;
                cells.into_cell_moc_iter().ranges().into_range_moc()
            } else if text.starts_with(|c: char| c.is_ascii_digit()) {
                check_ascii(text)?;
                let cells = from_ascii_ivoa::<u64, Hpx<u64>>(text).map_err(|e| e.to_string())?;
                cells.into_cellcellrange_moc_iter().ranges().into_range_moc()
            } else {
                return Err("it begins neither as FITS, nor as JSON (`{`), nor as ASCII (`depth/`)".to_owned());
            }
        };
        // The readers believe what they read.
        let whole = 12_u64 << (2 * u32::from(Self::MAX_DEPTH));
        let ranges = &moc.moc_ranges().0.0;
        let ordered = ranges.iter().all(|r| r.start < r.end && r.end <= whole)
            && ranges.windows(2).all(|pair| pair[0].end <= pair[1].start);
        if moc.depth_max() > Self::MAX_DEPTH || !ordered {
            return Err("its cells are beyond the sky, or out of order".to_owned());
        }
        Ok(Self { moc })
    }
}

/// The reader of JSON skips what it does not understand: that would be a coverage with holes.
fn check_json(text: &str) -> Result<(), String> {
    let depths: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).map_err(|e| e.to_string())?;
    for (depth, cells) in &depths {
        let level = depth.parse::<u32>().ok().filter(|d| *d <= u32::from(Coverage::MAX_DEPTH));
        let level = level.ok_or_else(|| format!("`{depth}` is no depth from 0 to {}", Coverage::MAX_DEPTH))?;
        let cells = cells.as_array().ok_or_else(|| format!("depth {depth} has no list of cells"))?;
        let beyond = |cell: &&serde_json::Value| cell.as_u64().is_none_or(|c| c >= 12_u64 << (2 * level));
        if let Some(cell) = cells.iter().find(beyond) {
            return Err(format!("`{cell}` is no cell of depth {depth}"));
        }
    }
    Ok(())
}

/// The readers of the crate take numbers as they come; beyond the sky their shifts overflow. Depths and cells of ASCII:
fn check_ascii(text: &str) -> Result<(), String> {
    let mut depth = 0;
    for word in text.split([' ', ',', '\n', '\r', '\t']) {
        let mut cells = word;
        if let Some((level, rest)) = word.split_once('/') {
            let known = level.parse::<u32>().ok().filter(|d| *d <= u32::from(Coverage::MAX_DEPTH));
            depth = known.ok_or_else(|| format!("`{level}` is no depth from 0 to {}", Coverage::MAX_DEPTH))?;
            cells = rest;
        }
        let (first, last) = cells.split_once('-').unwrap_or((cells, cells));
        let cell = |text: &str| text.parse::<u64>().ok().filter(|c| *c < 12_u64 << (2 * depth));
        let good = cells.is_empty() || matches!((cell(first), cell(last)), (Some(a), Some(b)) if a <= b);
        if !good {
            return Err(format!("`{cells}` is no cell of depth {depth}"));
        }
    }
    Ok(())
}

/// Reads FITS, of MOC 1 and 2; the crate's own reader trusts the header, and panics where that is damaged.
fn read_fits(bytes: &[u8]) -> Result<RangeMOC<u64, Hpx<u64>>, String> {
    let mut cards = bytes.chunks_exact(80);
    let ends = |card: &[u8]| card.trim_ascii_end() == b"END";
    // The table's header begins with the block after the primary header's END.
    let primary = cards.position(ends).ok_or("its header has no end")?;
    let start = (80 * (primary + 1)).next_multiple_of(2880);
    let header: Vec<&[u8]> = bytes.get(start..).unwrap_or_default().chunks_exact(80).take_while(|c| !ends(c)).collect();
    let value = |key: &str| {
        let card = header.iter().find(|c| c.starts_with(format!("{key:<8}=").as_bytes()))?;
        let text = std::str::from_utf8(card.get(9..)?).ok()?;
        Some(text.split('/').next().unwrap_or_default().trim().trim_matches('\'').trim().to_owned())
    };
    let number =
        |key: &str| value(key).and_then(|v| v.parse::<usize>().ok()).ok_or_else(|| format!("{key} is no number"));
    let (width, rows) = (number("NAXIS1")?, number("NAXIS2")?);
    let deepest = match value("TFORM1").as_deref() {
        Some("I" | "1I") => 5,
        Some("J" | "1J") => 13,
        Some("K" | "1K") => 29,
        form => return Err(format!("its cells are {form:?}, not of integers")),
    };
    for key in ["MOCORDER", "MOCORD_S"] {
        if value(key).is_some_and(|v| v.parse::<u8>().map_or(true, |order| order > deepest)) {
            return Err(format!("{key} is no depth from 0 to {deepest}"));
        }
    }
    let data = (start + 80 * (header.len() + 1)).next_multiple_of(2880);
    let end = width.checked_mul(rows).and_then(|size| data.checked_add(size)).ok_or("its table is larger than all")?;
    let table = bytes.get(data..end).ok_or("it is cut off")?;
    let ranges = value("ORDERING").is_some_and(|v| v.starts_with("RANGE"));
    let size = match deepest {
        5 => 2,
        13 => 4,
        _ => 8,
    };
    if value("MOCDIM").is_some_and(|dimension| dimension != "SPACE") {
        return Err("it is a coverage of time or frequency, not of the sky alone".to_owned());
    }
    let order = value("MOCORD_S").or_else(|| value("MOCORDER")).and_then(|v| v.parse::<u8>().ok());
    let order = order.ok_or("it has no MOCORD_S and no MOCORDER")?;
    let read = |cell: &[u8]| cell.iter().fold(0_u64, |v, b| (v << 8) | u64::from(*b));
    let cells: Vec<u64> = table.chunks_exact(size).map(read).collect();
    let shift = 2 * (29 - u32::from(deepest));
    let mut found = Vec::with_capacity(cells.len());
    if ranges {
        for (i, pair) in cells.chunks(2).enumerate() {
            match *pair {
                [from, to] if from < to && to <= 12_u64 << (2 * deepest) => found.push(from << shift..to << shift),
                _ => return Err(format!("range {} is none of the sky", i + 1)),
            }
        }
    } else {
        for (i, v) in cells.into_iter().enumerate() {
            // 4 * 4^depth + index.
            let depth = if v < 4 { u32::MAX } else { (61 - v.leading_zeros()) / 2 };
            if depth > u32::from(order) {
                return Err(format!("`{v}` in row {} is no cell down to depth {order}", i + 1));
            }
            let (index, up) = (v - (4_u64 << (2 * depth)), 2 * (29 - depth));
            found.push(index << up..(index + 1) << up);
        }
    }
    let ranges: Vec<std::ops::Range<u64>> = RangeSet::from_ranges(found).into();
    Ok(RangeMOC::new(order, ranges.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::super::CoverageKind;
    use super::*;

    const ALL: [CoverageFormat; 3] = [CoverageFormat::Fits, CoverageFormat::Json, CoverageFormat::Ascii];

    #[test]
    fn every_format_is_read_back() {
        let regions = ["CIRCLE 150 2 1".parse().unwrap(), "POLYGON 10 80 100 80 190 80 280 80".parse().unwrap()];
        for depth in [0, 5, 9] {
            let coverage = Coverage::new(&regions, depth, CoverageKind::Envelope).unwrap();
            for format in ALL {
                let bytes = coverage.to_bytes(format).unwrap();
                assert_eq!(bytes, coverage.to_bytes(format).unwrap());
                let again = Coverage::from_bytes(&bytes).unwrap();
                assert_eq!(again.moc.moc_ranges(), coverage.moc.moc_ranges(), "{format:?} {depth}");
                assert_eq!(again.depth(), depth, "{format:?}");
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        for text in [
            "",
            "x",
            "{",
            "{\"3\": 1}",
            "{\"99\": [1]}",
            "{\"3\": [1, -2]}",
            "{\"0\": [12]}",
            "3/-1",
            "99/1",
            "3/1 2 99999999999999999999",
            "SIMPLE",
        ] {
            assert!(Coverage::from_bytes(text.as_bytes()).is_err(), "{text}");
        }
        let nothing = Coverage::from_bytes(b"3/").unwrap();
        assert!(nothing.is_empty() && nothing.depth() == 3);
        let fits = Coverage::new(&["CIRCLE 1 2 3".parse().unwrap()], 6, CoverageKind::Envelope)
            .unwrap()
            .to_bytes(CoverageFormat::Fits)
            .unwrap();
        // The padding at the end may be missing, no cell may.
        for cut in (0..5760).step_by(97) {
            assert!(Coverage::from_bytes(&fits[..cut]).is_err(), "cut to {cut}");
        }
        // Whatever a byte is turned into: an answer or an error.
        for at in (2880..fits.len()).step_by(3) {
            for flip in [0x01, 0x10, 0x80, 0xFF] {
                let mut wrong = fits.clone();
                wrong[at] ^= flip;
                let _ = Coverage::from_bytes(&wrong);
            }
        }
    }
}
