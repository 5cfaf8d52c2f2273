//! Moments of expressions: `T'2025-01-01T12:00:00'`.

use super::ExpressionError;

/// The modified Julian date of TAI that a text says: `2025-01-01`, `2025-01-01T12:00`, `2025-01-01 12:00:00.5`, or a
/// modified Julian date itself, `60676.5`.
pub(super) fn mjd(text: &str) -> Result<f64, &'static str> {
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+');
    if text.chars().all(plain)
        && let Ok(value) = text.parse::<f64>()
        && value.is_finite()
    {
        return Ok(value);
    }
    let (day, time) = match text.split_once(['T', ' ']) {
        Some((day, time)) => (day, Some(time)),
        None => (text, None),
    };
    let seconds = time.map_or(Ok(0.0), seconds_of_day)?;
    Ok(days(day)? + seconds / 86_400.0)
}

/// That a text says no moment, where it stands, and what would.
pub(super) fn error(text: &str, at: usize, reason: &str) -> ExpressionError {
    ExpressionError::new(text, at, reason)
        .with_hint("write T'2025-01-01', T'2025-01-01T12:00:00' or T'60676.5' (MJD); times are TAI")
}

const NOT_A_TIME: &str = "this is not a time";

/// A number of exactly so many digits.
fn digits(text: &str, count: usize) -> Result<u32, &'static str> {
    if text.len() != count || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NOT_A_TIME);
    }
    text.parse().map_err(|_| NOT_A_TIME)
}

fn seconds_of_day(text: &str) -> Result<f64, &'static str> {
    let mut parts = text.split(':');
    let (hours, minutes, seconds, more) = (parts.next(), parts.next(), parts.next(), parts.next());
    let (Some(hours), Some(minutes), None) = (hours, minutes, more) else { return Err(NOT_A_TIME) };
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    let seconds = seconds.unwrap_or("00");
    let (whole, fraction) = seconds.split_once('.').map_or((seconds, None), |(whole, f)| (whole, Some(f)));
    let whole = digits(whole, 2)?;
    let fraction = match fraction {
        Some(f) if !f.is_empty() && f.bytes().all(|b| b.is_ascii_digit()) => {
            format!("0.{f}").parse::<f64>().map_err(|_| NOT_A_TIME)?
        }
        Some(_) => return Err(NOT_A_TIME),
        None => 0.0,
    };
    // TAI has no leap seconds.
    if hours > 23 || minutes > 59 || whole > 59 {
        return Err("there is no such time of day");
    }
    Ok(f64::from((hours * 60 + minutes) * 60 + whole) + fraction)
}

/// The modified Julian date of midnight, in the Gregorian calendar.
fn days(text: &str) -> Result<f64, &'static str> {
    let mut parts = text.split('-');
    let (Some(year), Some(month), Some(day), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(NOT_A_TIME);
    };
    let (year, month, day) = (digits(year, 4)?, digits(month, 2)?, digits(day, 2)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return Err("there is no such month"),
    };
    if year == 0 || !(1..=length).contains(&day) {
        return Err("there is no such day");
    }
    // Years begin in March, so that the leap day is the last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let before = y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day;
    // Day 1 of that count is 0000-03-01, MJD -678881.
    Ok(f64::from(before) - 678_882.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Midnights as `datetime.date.toordinal` of Python counts them, less 678576, the ordinal of MJD 0.
    #[test]
    fn known_moments() {
        for (text, expected) in [
            ("1858-11-17", 0.0),
            ("1900-03-01", 15_079.0),
            ("2000-01-01T12:00:00", 51_544.5),
            ("2000-02-29", 51_603.0),
            ("2025-01-01", 60_676.0),
            ("2025-12-31 18:00", 61_040.75),
            ("0001-01-01", -678_575.0),
            ("60676.5", 60_676.5),
            ("-3", -3.0),
        ] {
            assert_eq!(mjd(text), Ok(expected), "{text}");
        }
        assert!((mjd("2025-01-01T00:00:00.125").unwrap() - 60_676.0 - 0.125 / 86_400.0).abs() < 1e-10);
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "now",
            "2025-1-1",
            "2025-01",
            "2025-13-01",
            "2025-00-10",
            "2025-02-29",
            "1900-02-29",
            "2025-01-00",
            "0000-01-01",
            "2025-01-01T",
            "2025-01-01T24:00",
            "2025-01-01T12",
            "2025-01-01T12:60",
            "2025-01-01T12:00:60",
            "2025-01-01T12:00:00.",
            "2025-01-01T12:00:00Z",
            "2025-01-01T12:00:00:00",
            "inf",
            "NaN",
            "20250101-",
            "２０２５-01-01",
            "2025-01-01T\0",
            "1e400",
        ] {
            assert!(mjd(text).is_err(), "{text:?}");
        }
        assert_eq!(mjd("2025"), Ok(2025.0), "four digits alone are a modified Julian date");
    }
}
