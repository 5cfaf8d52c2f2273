//! Days as numbers: proleptic Gregorian dates, `20251122`, and days since an epoch.

#![expect(clippy::inline_always, reason = "what runs in SIMD must be compiled with the caller's instruction set")]

/// Days from 0000-03-01 to a date (Hinnant, *chrono-compatible low-level date algorithms*).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let mp = (5 * day_of_year + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day_of_year - (153 * mp + 2) / 5 + 1)
}

/// Consecutive dates as `YYYYMMDD`, and where each is among them.
#[derive(Debug)]
pub(super) struct Calendar {
    /// Day number of the first date, from an origin that only this file knows.
    origin: i64,
    dates: Vec<u32>,
}

/// No calendar is longer: years 1 to 9999.
pub(super) const MOST_DAYS: u64 = 3_652_059;

impl Calendar {
    /// The `days` dates from `epoch` on, or what is wrong.
    pub(super) fn new(epoch: i64, days: u64) -> Result<Self, String> {
        let origin = number(epoch).ok_or_else(|| format!("epoch {epoch} is no date: write YYYYMMDD"))?;
        if days > MOST_DAYS {
            return Err(format!("{days} days from {epoch} on go beyond the year 9999"));
        }
        let dates: Vec<u32> = (0..days as i64)
            .map(|i| {
                let (y, m, d) = civil_from_days(origin + i);
                (y * 10_000 + m * 100 + d) as u32
            })
            .collect();
        if dates.last().is_some_and(|last| *last > 99_991_231) {
            return Err(format!("{days} days from {epoch} on go beyond the year 9999"));
        }
        Ok(Self { origin, dates })
    }

    /// `YYYYMMDD` of a day, which must be one of this calendar's.
    #[inline(always)]
    pub(super) fn date(&self, day: u64) -> u64 {
        u64::from(self.dates.get(day as usize).copied().unwrap_or(0))
    }

    /// The dates, first to last.
    pub(super) fn dates(&self) -> &[u32] {
        &self.dates
    }

    /// The day of `YYYYMMDD`, or a number beyond the calendar when it is not one of its dates.
    #[inline(always)]
    pub(super) fn day(&self, date: u64) -> u64 {
        // Anything gives some day; the table says whether it was the right one.
        let date = date.min(99_999_999) as i64;
        let is_it = |found: &u32| i64::from(*found) == date;
        let (year, month, day) = (date / 10_000, date / 100 % 100, date % 100);
        let days = (days_from_civil(year, month, day) - self.origin) as u64;
        if self.dates.get(days as usize).is_some_and(is_it) { days } else { u64::MAX }
    }
}

/// The day number of `YYYYMMDD`, when it is a date.
fn number(date: i64) -> Option<i64> {
    if !(10_101..=99_991_231).contains(&date) {
        return None;
    }
    let (year, month, day) = (date / 10_000, date / 100 % 100, date % 100);
    let days = days_from_civil(year, month, day);
    (civil_from_days(days) == (year, month, day)).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_ten_thousand_years_follows_the_one_before() {
        let calendar = Calendar::new(10_101, MOST_DAYS).unwrap();
        let (mut y, mut m, mut d) = (1_u32, 1, 1);
        for (i, date) in calendar.dates().iter().enumerate() {
            assert_eq!(*date, y * 10_000 + m * 100 + d);
            assert_eq!(calendar.day(u64::from(*date)), i as u64);
            let leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
            let length = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][m as usize - 1];
            d += 1;
            if d > length {
                (m, d) = (m + 1, 1);
            }
            if m > 12 {
                (y, m) = (y + 1, 1);
            }
        }
        assert_eq!((y, m, d), (10_000, 1, 1));
    }

    #[test]
    fn what_is_no_date_has_no_day() {
        let calendar = Calendar::new(20_100_101, 16_384).unwrap();
        assert_eq!(calendar.dates().last(), Some(&20_541_109));
        for date in [0, 20_091_231, 20_100_100, 20_100_132, 20_101_301, 20_110_229, 20_541_110, 99_999_999, u64::MAX] {
            assert_eq!(calendar.day(date), u64::MAX, "{date}");
        }
        assert!(Calendar::new(20_110_229, 1).is_err());
        assert!(Calendar::new(99_991_231, 2).is_err());
        assert!(Calendar::new(99_991_231, 1).is_ok());
    }
}
