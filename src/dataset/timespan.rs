//! [`Timespan`]: from when to when something is valid.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A span of TAI time, half-open: its beginning belongs to it, its end does not. Either may be absent, for no bound.
///
/// Instants are nanoseconds since 1970-01-01T00:00:00 TAI.
///
/// ```
/// use bunter::Timespan;
///
/// let year = Timespan::parse("2025-01-01", "2026-01-01T00:00:00")?;
/// assert!(year.contains(Timespan::instant("2025-12-31T23:59:59.999")?));
/// assert!(!year.overlaps(Timespan::parse("2026-01-01", "")?));
/// assert_eq!(year.to_string(), "[2025-01-01, 2026-01-01)");
/// assert_eq!(Timespan::ALWAYS.to_string(), "[.., ..)");
/// # Ok::<(), bunter::TimespanError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Timespan {
    /// The first instant, ns TAI.
    pub begin: Option<i64>,
    /// The first instant that is no longer in it, ns TAI.
    pub end: Option<i64>,
}

/// Why something is no time or no span of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimespanError {
    /// A text that is no instant.
    #[error(
        "{text:?} is no TAI time between 1678 and 2262: expected such as 2025-01-31, 2025-01-31T12:30:00.5, or an MJD"
    )]
    NotATime {
        /// The text.
        text: String,
    },
    /// An end before its beginning.
    #[error("the span {span} holds no time: its end must come after its beginning")]
    Empty {
        /// The span.
        span: Timespan,
    },
}

const DAY: i128 = 86_400_000_000_000;
/// MJD of 1970-01-01.
const UNIX_MJD: f64 = 40_587.0;

impl Timespan {
    /// All of time.
    pub const ALWAYS: Self = Self { begin: None, end: None };

    /// A span, which must hold some time.
    ///
    /// # Errors
    /// [`TimespanError::Empty`].
    pub fn new(begin: Option<i64>, end: Option<i64>) -> Result<Self, TimespanError> {
        let span = Self { begin, end };
        if span.first() < span.after() { Ok(span) } else { Err(TimespanError::Empty { span }) }
    }

    /// A span from two texts, each as [`Timespan::instant`] takes it, or empty or `..` for no bound.
    ///
    /// # Errors
    /// [`TimespanError`].
    pub fn parse(begin: &str, end: &str) -> Result<Self, TimespanError> {
        let bound = |text: &str| match text.trim() {
            "" | ".." => Ok(None),
            text => Self::instant(text).map(|at| at.begin),
        };
        Self::new(bound(begin)?, bound(end)?)
    }

    /// One nanosecond: the instant of a text, an ISO 8601 date with or without a time (TAI, no zone), or an MJD.
    ///
    /// # Errors
    /// [`TimespanError::NotATime`].
    pub fn instant(text: &str) -> Result<Self, TimespanError> {
        let wrong = || TimespanError::NotATime { text: text.chars().take(64).collect() };
        let text = text.trim();
        if let Ok(mjd) = text.parse::<f64>() {
            return Self::at_mjd(mjd).ok_or_else(wrong);
        }
        Self::at(nanoseconds(text).ok_or_else(wrong)?).ok_or_else(wrong)
    }

    /// One nanosecond.
    pub fn at(nanoseconds: i64) -> Option<Self> {
        Some(Self { begin: Some(nanoseconds), end: Some(nanoseconds.checked_add(1)?) })
    }

    /// One nanosecond at an MJD, TAI, rounded to the nearest microsecond: an `f64` knows no more.
    pub fn at_mjd(mjd: f64) -> Option<Self> {
        Self::at(nanoseconds_of_mjd(mjd)?)
    }

    /// A span between two MJDs (TAI); NaN for no bound. `None` when there is no such span.
    pub fn of_mjd(begin: f64, end: f64) -> Option<Self> {
        let bound = |mjd: f64| if mjd.is_nan() { Some(None) } else { nanoseconds_of_mjd(mjd).map(Some) };
        let (begin, end) = (bound(begin)?, bound(end)?);
        match (begin, end) {
            // A pulse of no length is the instant.
            (Some(a), Some(b)) if a == b => Self::at(a),
            _ => Self::new(begin, end).ok(),
        }
    }

    /// The first nanosecond, the least there is where there is no bound.
    pub const fn first(self) -> i64 {
        match self.begin {
            Some(begin) => begin,
            None => i64::MIN,
        }
    }

    /// The first nanosecond after it, the last there is where there is no bound.
    pub const fn after(self) -> i64 {
        match self.end {
            Some(end) => end,
            None => i64::MAX,
        }
    }

    /// The span with such ends, as they are stored.
    pub fn from_ends(first: i64, after: i64) -> Self {
        Self { begin: (first != i64::MIN).then_some(first), end: (after != i64::MAX).then_some(after) }
    }

    /// Whether some time is in both.
    pub const fn overlaps(self, other: Self) -> bool {
        self.first() < other.after() && other.first() < self.after()
    }

    /// Whether all of the other is in this one.
    pub const fn contains(self, other: Self) -> bool {
        self.first() <= other.first() && other.after() <= self.after()
    }

    /// What is left of this span without another: nothing, or what lies before and after.
    pub fn without(self, other: Self) -> impl Iterator<Item = Self> {
        let before = Self { begin: self.begin, end: other.begin };
        let after = Self { begin: other.end, end: self.end };
        let parts = if self.overlaps(other) {
            [
                (other.begin.is_some() && self.first() < other.first()).then_some(before),
                (other.end.is_some() && other.after() < self.after()).then_some(after),
            ]
        } else {
            [Some(self), None]
        };
        parts.into_iter().flatten()
    }
}

impl fmt::Display for Timespan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = |at: Option<i64>| at.map_or_else(|| "..".to_owned(), shown);
        write!(f, "[{}, {})", bound(self.begin), bound(self.end))
    }
}

fn nanoseconds_of_mjd(mjd: f64) -> Option<i64> {
    let microseconds = ((mjd - UNIX_MJD) * 86_400e6).round();
    // Also false for what is not a number.
    (microseconds.abs() < 9.2e15).then(|| microseconds as i64 * 1000)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar (Hinnant, "chrono-compatible low-level date algorithms").
fn days(year: i64, month: i64, day: i64) -> i64 {
    let y = year - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date of a day counted from 1970-01-01.
fn date(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let (era, of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let m = (5 * of_year + 2) / 153;
    let month = if m < 10 { m + 3 } else { m - 9 };
    (year + era * 400 + i64::from(month <= 2), month, of_year - (153 * m + 2) / 5 + 1)
}

fn nanoseconds(text: &str) -> Option<i64> {
    let (day, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00"));
    let number = |text: &str, digits: usize| {
        let good = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
        if good { text.parse::<i64>().ok() } else { None }
    };
    let mut parts = day.split('-');
    let (year, month, day) = (number(parts.next()?, 4)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let at = days(year, month, day);
    if parts.next().is_some() || date(at) != (year, month, day) {
        return None;
    }
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = time.split(':');
    let (hour, minute) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let second = parts.next().map_or(Some(0), |s| number(s, 2))?;
    let known = fraction.len() <= 9 && !fraction.is_empty();
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 || !known {
        return None;
    }
    let fraction = number(fraction, fraction.len())? * 10_i64.pow(9 - fraction.len() as u32);
    let seconds = i128::from((hour * 60 + minute) * 60 + second);
    i64::try_from(i128::from(at) * DAY + seconds * 1_000_000_000 + i128::from(fraction)).ok()
}

fn shown(at: i64) -> String {
    const SECOND: i64 = 1_000_000_000;
    let (day, rest) = (at.div_euclid(86_400 * SECOND), at.rem_euclid(86_400 * SECOND));
    let (year, month, day) = date(day);
    let (seconds, fraction) = (rest / SECOND, rest % SECOND);
    if rest == 0 {
        return format!("{year:04}-{month:02}-{day:02}");
    }
    let time = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction =
        if fraction == 0 { String::new() } else { format!(".{fraction:09}").trim_end_matches('0').to_owned() };
    format!("{year:04}-{month:02}-{day:02}T{time}{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_numbers_agree() {
        // 2000-01-01 is MJD 51544; 2014-03-28 is 56744.
        for (text, mjd) in [("2000-01-01", 51544.0), ("2014-03-28T12:00:00", 56744.5), ("1858-11-17", 0.0)] {
            assert_eq!(Timespan::instant(text).unwrap(), Timespan::at_mjd(mjd).unwrap(), "{text}");
        }
        assert_eq!(shown(Timespan::instant("2024-02-29T23:59:59.25").unwrap().first()), "2024-02-29T23:59:59.25");
        for bad in ["2023-02-29", "2025-1-1", "2025-01-01T24:00:00", "9999-01-01", "noon", "inf", "2025-01-01Z", "1e30"]
        {
            assert!(Timespan::instant(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn spans_without_spans() {
        let span = |a, b| Timespan { begin: a, end: b };
        let without = |a: Timespan, b| a.without(b).collect::<Vec<_>>();
        assert_eq!(without(Timespan::ALWAYS, span(Some(1), Some(2))), [span(None, Some(1)), span(Some(2), None)]);
        assert_eq!(without(span(Some(1), Some(5)), span(None, Some(3))), [span(Some(3), Some(5))]);
        assert_eq!(without(span(Some(1), Some(5)), span(Some(5), None)), [span(Some(1), Some(5))]);
        assert_eq!(without(span(Some(1), Some(5)), Timespan::ALWAYS), []);
        assert!(Timespan::new(Some(3), Some(3)).is_err());
    }
}
