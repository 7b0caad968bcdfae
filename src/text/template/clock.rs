//! The time that templates are told.

use jiff::{
    Timestamp,
    civil::DateTime,
    fmt::strtime::{BrokenDownTime, Config},
    tz::TimeZone,
};
use minijinja::{Error, ErrorKind};

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
            .to_string_with_config(&config, without_zone(format))
            .map_err(|error| Error::new(ErrorKind::InvalidOperation, "strftime_now").with_source(error))
    }
}

fn now() -> DateTime {
    jiff::ZonedDateTime::now().datetime()
}

/// Where there is no zone Python writes nothing for it.
fn without_zone(format: &str) -> String {
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        match (c, (c == '%').then(|| chars.next()).flatten()) {
            ('%', Some('z' | 'Z')) => {}
            (c, next) => out.extend([Some(c), next].into_iter().flatten()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dated_prompts_a_stopped_clock_says_the_same_for_ever() {
        let clock = Clock::of_ms(1795910398000);
        assert_eq!(clock.strftime("%d %b %Y %H:%M").unwrap(), "28 Nov 2026 23:59");
        assert_eq!(clock.strftime("%Y%z|%Z|%%Z").unwrap(), "2026||%Z");
    }
}
