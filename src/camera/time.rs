//! Dates of headers: ISO 8601 to modified Julian date, UTC to TAI.

/// First day (MJD, UTC) from which TAI - UTC is that many seconds: the leap seconds since 1972, from IERS Bulletin C.
/// The last one (2017-01-01) is still in force in 2026.
const TAI_MINUS_UTC: [(f64, f64); 28] = [
    (41317.0, 10.0),
    (41499.0, 11.0),
    (41683.0, 12.0),
    (42048.0, 13.0),
    (42413.0, 14.0),
    (42778.0, 15.0),
    (43144.0, 16.0),
    (43509.0, 17.0),
    (43874.0, 18.0),
    (44239.0, 19.0),
    (44786.0, 20.0),
    (45151.0, 21.0),
    (45516.0, 22.0),
    (46247.0, 23.0),
    (47161.0, 24.0),
    (47892.0, 25.0),
    (48257.0, 26.0),
    (48804.0, 27.0),
    (49169.0, 28.0),
    (49534.0, 29.0),
    (50083.0, 30.0),
    (50630.0, 31.0),
    (51179.0, 32.0),
    (53736.0, 33.0),
    (54832.0, 34.0),
    (56109.0, 35.0),
    (57204.0, 36.0),
    (57754.0, 37.0),
];

const TT_MINUS_TAI: f64 = 32.184;

/// The time scale of a header's dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeScale {
    Tai,
    Utc,
    Tt,
}

impl TimeScale {
    /// By its name in the FITS keyword `TIMESYS` (FITS 4.0, table 30).
    pub(super) fn named(name: &str) -> Option<Self> {
        match name.trim().to_ascii_uppercase().as_str() {
            "TAI" | "IAT" => Some(Self::Tai),
            "UTC" | "GMT" | "UT" => Some(Self::Utc),
            "TT" | "TDT" | "ET" => Some(Self::Tt),
            _ => None,
        }
    }

    /// Modified Julian date in TAI. Before 1972, when UTC had no whole leap seconds, the 10 s of 1972 are used.
    pub(super) fn to_tai(self, mjd: f64) -> f64 {
        let seconds = match self {
            Self::Tai => 0.0,
            Self::Tt => -TT_MINUS_TAI,
            Self::Utc => {
                TAI_MINUS_UTC.iter().rev().find(|(from, _)| mjd >= *from).map_or(TAI_MINUS_UTC[0].1, |(_, s)| *s)
            }
        };
        mjd + seconds / 86_400.0
    }
}

/// Modified Julian date of `YYYY-MM-DD[Thh:mm:ss[.s…]]`, in the date's own time scale.
pub(super) fn mjd_of_iso(text: &str) -> Option<f64> {
    let text = text.trim().trim_end_matches('Z');
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00"));
    let mut date = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    if date.next().is_some() || !(1858..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day)
    {
        return None;
    }
    let mut time = time.split(':').map(|part| part.parse::<f64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next().unwrap_or(Some(0.0))?);
    let in_range = (0.0..24.0).contains(&hour) && (0.0..60.0).contains(&minute) && (0.0..61.0).contains(&second);
    if time.next().is_some() || !in_range {
        return None;
    }
    // Fliegel and van Flandern (1968), Communications of the ACM 11, 657.
    let a = (month - 14) / 12;
    let julian =
        (1461 * (year + 4800 + a)) / 4 + (367 * (month - 2 - 12 * a)) / 12 - (3 * ((year + 4900 + a) / 100)) / 4 + day
            - 32_075;
    Some((julian - 2_400_001) as f64 + (hour * 3600.0 + minute * 60.0 + second) / 86_400.0)
}

/// The time scale called `name`, or the reason why there is none.
pub(super) fn scale(name: &str) -> Result<TimeScale, String> {
    TimeScale::named(name).ok_or_else(|| format!("time scale \"{name}\" is none of UTC, TAI, TT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_the_standard() {
        assert_eq!(mjd_of_iso("1858-11-17"), Some(0.0));
        assert_eq!(mjd_of_iso("2000-01-01T12:00:00"), Some(51544.5));
        assert_eq!(mjd_of_iso("2016-12-31T23:59:60"), Some(57754.0));
        // DECam exposure 349590: DATE-OBS and MJD-OBS of its header.
        let mjd = mjd_of_iso("2014-08-18T23:17:51.072871").expect("a date");
        assert!((mjd - 56_887.970_730_01).abs() < 1e-8, "{mjd}");
        for bad in ["", "2014", "2014-13-01", "2014-01-01T25:00:00", "2014-01-01T00:00:00:00", "18/08/14", "NaN-1-1"] {
            assert_eq!(mjd_of_iso(bad), None, "{bad}");
        }
    }

    #[test]
    fn leap_seconds() {
        let seconds = |mjd: f64| ((TimeScale::Utc.to_tai(mjd) - mjd) * 86_400.0).round();
        for (mjd, expected) in [(57753.9, 36.0), (57754.0, 37.0), (55139.0, 34.0), (0.0, 10.0)] {
            assert!((seconds(mjd) - expected).abs() < 1e-9, "{mjd}");
        }
        assert_eq!(TimeScale::named("utc "), Some(TimeScale::Utc));
        assert!(scale("TCB").is_err());
    }
}
