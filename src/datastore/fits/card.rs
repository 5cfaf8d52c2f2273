//! Keyword records as text: 80 bytes a card, FITS standard 4.0 section 4.
//!
//! Reading is lenient, because archives hold every kind of odd card: a card that does not follow the standard gives its
//! text, or is left out like a comment; it never fails a file. Writing is strict.

use crate::wcs::{Card, Header, HeaderValue};

/// Length of a card, bytes.
pub(crate) const CARD: usize = 80;

/// Reads the cards of a header up to `END` (or the end of `bytes`).
///
/// Integers beyond `i64` become reals; complex numbers and other values of no standard form become text. Long strings
/// (`CONTINUE`) are joined and `HIERARCH` keywords read. Commentary is left out.
pub(crate) fn parse_header(bytes: &[u8]) -> Header {
    let mut header = Header::default();
    let mut pending: Option<Card> = None;
    for card in bytes.chunks(CARD) {
        if is_end(card) {
            break;
        }
        if card.starts_with(b"CONTINUE") {
            if let Some(Card { value: HeaderValue::Text(text), comment, .. }) = &mut pending
                && text.ends_with('&')
                && let (HeaderValue::Text(more), further) = parse_value(card.get(8..).unwrap_or_default())
            {
                text.pop();
                text.push_str(&more);
                comment.push_str(&further);
            }
            continue;
        }
        if let Some(finished) = pending.take() {
            header.push(finished);
        }
        pending = parse_card(card);
    }
    if let Some(finished) = pending {
        header.push(finished);
    }
    header
}

/// Whether the card is the `END` of its header.
pub(crate) fn is_end(card: &[u8]) -> bool {
    card.trim_ascii_end() == b"END"
}

fn parse_card(card: &[u8]) -> Option<Card> {
    let (keyword, value) = if let Some(rest) = card.strip_prefix(b"HIERARCH ") {
        let equals = rest.iter().position(|b| *b == b'=')?;
        (rest.get(..equals)?.trim_ascii(), rest.get(equals + 1..)?)
    } else {
        (card.get(..8)?.trim_ascii(), card.get(8..)?.strip_prefix(b"=")?)
    };
    if matches!(keyword, b"" | b"COMMENT" | b"HISTORY") {
        return None;
    }
    let (value, comment) = parse_value(value);
    Some(Card { keyword: text(keyword).to_ascii_uppercase(), value, comment })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The value and the comment behind the `=`.
fn parse_value(field: &[u8]) -> (HeaderValue, String) {
    let field = field.trim_ascii();
    if let Some(quoted) = field.strip_prefix(b"'") {
        let mut value = Vec::new();
        let mut rest = quoted;
        while let Some(quote) = rest.iter().position(|b| *b == b'\'') {
            value.extend_from_slice(rest.get(..quote).unwrap_or_default());
            rest = rest.get(quote + 1..).unwrap_or_default();
            let Some(doubled) = rest.strip_prefix(b"'") else {
                return (HeaderValue::Text(text(value.trim_ascii_end())), comment(rest));
            };
            value.push(b'\'');
            rest = doubled;
        }
        // No closing quote: all there is, is the text.
        value.extend_from_slice(rest);
        return (HeaderValue::Text(text(value.trim_ascii_end())), String::new());
    }
    let slash = field.iter().position(|b| *b == b'/').unwrap_or(field.len());
    let (token, rest) = field.split_at(slash);
    (parse_token(&text(token.trim_ascii())), comment(rest))
}

fn comment(rest: &[u8]) -> String {
    let rest = rest.trim_ascii();
    text(rest.strip_prefix(b"/").unwrap_or(rest).trim_ascii())
}

fn parse_token(token: &str) -> HeaderValue {
    match token {
        "" => return HeaderValue::Undefined,
        "T" => return HeaderValue::Logical(true),
        "F" => return HeaderValue::Logical(false),
        _ => {}
    }
    if let Ok(integer) = token.parse() {
        return HeaderValue::Integer(integer);
    }
    let numeric = token.bytes().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'E' | b'e' | b'D' | b'd'));
    match token.replace(['D', 'd'], "E").parse() {
        Ok(real) if numeric => HeaderValue::Real(real),
        _ => HeaderValue::Text(token.to_owned()),
    }
}

/// Writes the cards of a header, 80 bytes each, without `END`.
///
/// Keywords that are longer than 8 characters or hold others than `A-Z 0-9 - _` become `HIERARCH` cards; texts too long
/// for a card are continued (`CONTINUE`). What FITS cannot hold is changed as little as possible: characters outside of
/// printable ASCII become `?`, reals that are not finite become texts (`'NaN'`, which reads as a number again), and
/// comments are cut at the end of their card.
pub(crate) fn format_header(header: &Header) -> Vec<u8> {
    let mut out = Vec::with_capacity(CARD * (header.cards().len() + 8));
    for card in header.cards() {
        format_card(card, &mut out);
    }
    out
}

fn printable(s: &str) -> String {
    s.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect()
}

fn push_card(line: &str, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend(line.bytes().take(CARD));
    out.resize(start + CARD, b' ');
}

fn format_card(card: &Card, out: &mut Vec<u8>) {
    let keyword = printable(&card.keyword).replace('=', "_");
    let standard = keyword.len() <= 8
        && !keyword.is_empty()
        && keyword.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'));
    // 60 characters of keyword leave room for any number; no instrument comes near.
    let head = if standard { format!("{keyword:<8}= ") } else { format!("HIERARCH {keyword:.60} = ") };
    let comment = printable(&card.comment);
    let value = match &card.value {
        HeaderValue::Undefined => String::new(),
        HeaderValue::Logical(b) => if *b { "T" } else { "F" }.to_owned(),
        HeaderValue::Integer(v) => v.to_string(),
        HeaderValue::Real(v) if v.is_finite() => format!("{v:?}").replace('e', "E"),
        HeaderValue::Real(v) => return format_text(&head, &v.to_string(), &comment, out),
        HeaderValue::Text(s) => return format_text(&head, &printable(s), &comment, out),
    };
    let value = if standard { format!("{value:>20}") } else { value };
    push_card(&with_comment(&format!("{head}{value}"), &comment), out);
}

fn with_comment(line: &str, comment: &str) -> String {
    if comment.is_empty() { line.to_owned() } else { format!("{line} / {comment}") }
}

fn format_text(head: &str, text: &str, comment: &str, out: &mut Vec<u8>) {
    let escaped = |s: &str| s.replace('\'', "''");
    let whole = escaped(text);
    if head.len() + whole.len() + 2 <= CARD {
        return push_card(&with_comment(&format!("{head}'{whole:<8}'"), comment), out);
    }
    // Pieces end in `&`; a doubled quote is never split, for pieces are cut before they are escaped.
    let mut head = head.to_owned();
    let mut rest = text;
    while !rest.is_empty() {
        let room = CARD - head.len() - 3;
        let mut used = 0;
        let mut end = 0;
        for c in rest.chars() {
            used += if c == '\'' { 2 } else { 1 };
            if used > room {
                break;
            }
            end += c.len_utf8();
        }
        // Trailing blanks of a text carry no meaning, but a blank at the end of a piece does: `&` behind it keeps it.
        let (piece, more) = rest.split_at(end);
        rest = more;
        let last = rest.is_empty();
        let line = format!("{head}'{}{}'", escaped(piece), if last { "" } else { "&" });
        push_card(&if last { with_comment(&line, comment) } else { line }, out);
        "CONTINUE  ".clone_into(&mut head);
    }
}

/// Keywords that say how an HDU is laid out: they belong to the file, not to the image.
pub(crate) fn is_structural(keyword: &str) -> bool {
    const WORDS: [&str; 27] = [
        "SIMPLE", "XTENSION", "BITPIX", "NAXIS", "EXTEND", "PCOUNT", "GCOUNT", "GROUPS", "BSCALE", "BZERO", "BLANK",
        "EXTNAME", "EXTVER", "EXTLEVEL", "CHECKSUM", "DATASUM", "ZHECKSUM", "ZDATASUM", "TFIELDS", "THEAP", "INHERIT",
        "ZIMAGE", "ZCMPTYPE", "ZQUANTIZ", "ZDITHER0", "ZBITPIX", "NEXTEND",
    ];
    const NUMBERED: [&str; 16] = [
        "NAXIS", "TTYPE", "TFORM", "TUNIT", "TNULL", "TSCAL", "TZERO", "TDIM", "ZNAXIS", "ZTILE", "ZNAME", "ZVAL",
        "LTV", "ZSCALE", "ZZERO", "ZBLANK",
    ];
    WORDS.contains(&keyword)
        || keyword.starts_with("MP_")
        || keyword.starts_with("LTM")
        || NUMBERED.iter().any(|stem| keyword.strip_prefix(stem).is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit())))
}

/// Keywords of the celestial WCS: [`Wcs`](crate::Wcs) holds what they say.
pub(crate) fn is_wcs(keyword: &str) -> bool {
    const STEMS: [&str; 7] = ["CTYPE", "CRVAL", "CRPIX", "CDELT", "CROTA", "CUNIT", "WCSAXES"];
    const PAIRS: [&str; 8] = ["CD", "PC", "PV", "PS", "A_", "B_", "AP_", "BP_"];
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    matches!(keyword, "LONPOLE" | "LATPOLE" | "A_ORDER" | "B_ORDER" | "AP_ORDER" | "BP_ORDER" | "A_DMAX" | "B_DMAX")
        || STEMS.iter().any(|stem| keyword.strip_prefix(stem).is_some_and(digits))
        || PAIRS.iter().any(|stem| {
            let pair = keyword.strip_prefix(stem).and_then(|rest| rest.split_once('_'));
            pair.is_some_and(|(i, j)| !i.is_empty() && !j.is_empty() && digits(i) && digits(j))
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(lines: &[&str]) -> Header {
        let cards: Vec<String> = lines.iter().map(|l| format!("{l:<80}")).collect();
        parse_header(cards.concat().as_bytes())
    }

    #[test]
    fn all_kinds_of_cards() {
        let header = parse(&[
            "SIMPLE  =                    T / conforms",
            "NAXIS   =                    2",
            "EXPTIME =             1.5D+01 / [s]",
            "OBJECT  = 'O''Neill / field'   / name",
            "EMPTY   = ''",
            "UNDEF   =                      / nothing",
            "COMMENT = not a value",
            "HIERARCH ESO DET CHIP1 ID = 'A-1' / chip",
            "LONGSTR = 'one two &'",
            "CONTINUE  'three &' / first",
            "CONTINUE  'four' / second",
            "COMPLEX = (1.0, 2.0)",
            "HUGE    = 99999999999999999999",
            "TIGHT   =5/no blank",
            "BROKEN  = 'no end",
            "END",
            "AFTER   = 1",
        ]);
        let get = |k: &str| header.get(k).cloned();
        assert_eq!(get("SIMPLE"), Some(true.into()));
        assert_eq!(get("NAXIS"), Some(2_i64.into()));
        assert_eq!(get("EXPTIME"), Some(15.0.into()));
        assert_eq!(get("OBJECT"), Some("O'Neill / field".into()));
        assert_eq!(get("EMPTY"), Some("".into()));
        assert_eq!(get("UNDEF"), None);
        assert_eq!(get("ESO DET CHIP1 ID"), Some("A-1".into()));
        assert_eq!(get("LONGSTR"), Some("one two three four".into()));
        assert_eq!(get("COMPLEX"), Some("(1.0, 2.0)".into()));
        assert_eq!(get("HUGE"), Some(1e20.into()));
        assert_eq!(get("TIGHT"), Some(5_i64.into()));
        assert_eq!(get("BROKEN"), Some("no end".into()));
        assert_eq!(get("AFTER"), None);
        assert_eq!(header.cards().iter().find(|c| c.keyword == "OBJECT").unwrap().comment, "name");
        assert_eq!(header.cards().len(), 12);
    }

    #[test]
    fn structural_and_wcs_keywords_are_told_apart_from_the_rest() {
        for keyword in ["NAXIS2", "MP_BAD", "LTV1", "ZTILE1", "TFORM12", "LTM1_1"] {
            assert!(is_structural(keyword), "{keyword}");
        }
        for keyword in ["CRPIX1", "CD1_2", "PV2_10", "A_0_2", "A_ORDER", "WCSAXES"] {
            assert!(is_wcs(keyword), "{keyword}");
        }
        for keyword in ["EXPTIME", "PCAT", "A_GAIN", "CDATE", "RADESYS", "NAXISX"] {
            assert!(!is_structural(keyword) && !is_wcs(keyword), "{keyword}");
        }
    }

    fn value() -> impl Strategy<Value = HeaderValue> {
        prop_oneof![
            any::<bool>().prop_map(HeaderValue::from),
            any::<i64>().prop_map(HeaderValue::from),
            any::<f64>().prop_filter("finite", |v| v.is_finite()).prop_map(HeaderValue::from),
            // A text that ends in `&` cannot be told from one that is continued.
            "[ -~]{0,200}[!-%'-~]".prop_map(HeaderValue::from),
            Just(HeaderValue::Undefined),
        ]
    }

    proptest! {
        #[test]
        fn written_headers_read_back(cards in prop::collection::vec(("[A-Z][A-Z0-9_-]{0,7}|[A-Z]{3} [A-Z ]{5,20}[A-Z]", value()), 0..20)) {
            let mut header = Header::default();
            for (keyword, value) in cards {
                if !matches!(keyword.as_str(), "END" | "COMMENT" | "HISTORY" | "CONTINUE") {
                    header.push(Card { keyword, value, comment: String::new() });
                }
            }
            let bytes = format_header(&header);
            prop_assert_eq!(bytes.len() % CARD, 0);
            prop_assert_eq!(parse_header(&bytes), header);
        }

        #[test]
        fn any_bytes_read_as_some_header(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse_header(&bytes);
        }
    }
}
