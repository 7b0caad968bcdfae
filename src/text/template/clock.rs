//! The time that templates are told.

use jiff::{
    Timestamp,
    civil::DateTime,
    fmt::strtime::{BrokenDownTime, Config},
    tz::TimeZone,
};
use minijinja::Error;

use super::fault;

/// When `strftime_now` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Clock {
    /// Asked anew each time.
    #[default]
    Now,
    /// Always this time of the clock on the wall, so that what is rendered today and tomorrow is the same.
    At(DateTime),
}

impl Clock {
    /// The time of an event, in milliseconds since 1970; in UTC, so that it is the same on every machine.
    pub fn of_ms(ms: i64) -> Self {
        let at = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
        Self::At(TimeZone::UTC.to_datetime(at))
    }

    /// As Python's `datetime.now().strftime`, which knows no time zone.
    pub fn strftime(self, format: &str) -> Result<String, Error> {
        let at = match self {
            Self::Now => now(),
            Self::At(at) => at,
        };
        // Lenient, as Python's own: what it does not know stays as it is.
        let config = Config::new().lenient(true);
        BrokenDownTime::from(at)
            .to_string_with_config(&config, in_known(format)?)
            .map_err(|error| fault("strftime_now").with_source(error))
    }
}

fn now() -> DateTime {
    jiff::ZonedDateTime::now().datetime()
}

/// The format in conversions that mean here what they mean in C, whose names of days and months Python uses. Where
/// there is no zone Python writes nothing for it.
fn in_known(format: &str) -> Result<String, Error> {
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        match (c, (c == '%').then(|| chars.next()).flatten()) {
            ('%', Some('z' | 'Z')) => {}
            ('%', Some('c')) => out.push_str("%a %b %e %H:%M:%S %Y"),
            ('%', Some('x')) => out.push_str("%m/%d/%y"),
            ('%', Some('f')) => out.push_str("%6f"),
            ('%', Some(seconds @ 's')) => {
                let reason =
                    format!("strftime_now: %{seconds} depends on the time zone; write the date in another way");
                return Err(fault(reason));
            }
            ('%', Some(unknown @ ('i' | 'J' | 'K' | 'L' | 'N' | 'o' | 'q' | 'Q' | 'v'))) => {
                out.extend(['%', '%', unknown]);
            }
            (c, next) => out.extend([Some(c), next].into_iter().flatten()),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dated_prompts_a_stopped_clock_says_the_same_for_ever() {
        let clock = Clock::of_ms(1795910398000);
        assert_eq!(clock.strftime("%d %b %Y %H:%M").unwrap(), "28 Nov 2026 23:59");
        assert_eq!(clock.strftime("%Y%z|%Z|%%Z").unwrap(), "2026||%Z");
        assert_eq!(clock.strftime("%c|%x|%X|%f|%q").unwrap(), "Sat Nov 28 23:59:58 2026|11/28/26|23:59:58|000000|%q");
        assert!(clock.strftime("%s").is_err());
    }
}
