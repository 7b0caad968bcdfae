//! How numbers are written for a reader, a metric's after its unit.

use data::metrics::{self, Unit};

/// A number for reading: four significant digits, a plain form where it is short.
pub fn number(value: f64) -> String {
    if value.is_nan() {
        return "not a number".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "∞" } else { "−∞" }.to_owned();
    }
    let size = value.abs();
    let text = if value == 0.0 {
        "0".to_owned()
    } else if !(1e-3..1e6).contains(&size) {
        let text = format!("{value:.2e}");
        match text.split_once('e') {
            Some((digits, power)) => format!("{}e{power}", trimmed(digits)),
            None => text,
        }
    } else if size >= 1000.0 {
        format!("{value:.0}")
    } else if size >= 100.0 {
        trimmed(&format!("{value:.1}")).to_owned()
    } else if size >= 10.0 {
        trimmed(&format!("{value:.2}")).to_owned()
    } else if size >= 0.1 {
        trimmed(&format!("{value:.3}")).to_owned()
    } else if size >= 0.01 {
        trimmed(&format!("{value:.4}")).to_owned()
    } else {
        trimmed(&format!("{value:.5}")).to_owned()
    };
    text.replace('-', "−").replace("e−", "e-")
}

fn trimmed(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// A number the way its metric is read: shares in percent, memory in GiB, the rest as it is.
pub fn value(name: &str, value: f64) -> String {
    match metrics::unit(name) {
        Unit::Share => percent(value),
        Unit::Mebibytes => bytes((value * f64::from(1 << 20)) as u64),
        Unit::Nats
        | Unit::NatsPerToken
        | Unit::Tokens
        | Unit::TokensPerSecond
        | Unit::Pairs
        | Unit::Epochs
        | Unit::Plain => number(value),
    }
}

/// A share, to a tenth of a percent.
pub fn percent(share: f64) -> String {
    if !share.is_finite() {
        return number(share);
    }
    let tenths = (share * 1000.0).round() / 10.0;
    format!("{} %", number(tenths))
}

/// Memory in the unit that keeps it short.
pub fn bytes(bytes: u64) -> String {
    const MIB: f64 = 1024.0 * 1024.0;
    let mib = bytes as f64 / MIB;
    if mib >= 1024.0 { format!("{:.1} GiB", mib / 1024.0) } else { format!("{mib:.0} MiB") }
}

/// Seconds as a person says them: "45 s", "12 min", "3 h 20 min", "5 days", "11 years".
pub fn duration(secs: f64) -> String {
    if !secs.is_finite() || secs < 0.0 {
        return "unknown".to_owned();
    }
    let secs = secs.round() as u64;
    match secs {
        0..=99 => format!("{secs} s"),
        100..=599 => format!("{} min {:02} s", secs / 60, secs % 60),
        600..=5999 => format!("{} min", (secs + 30) / 60),
        6000..TWO_DAYS => format!("{} h {:02} min", secs / 3600, secs % 3600 / 60),
        TWO_DAYS..TWO_YEARS => format!("{} days", (secs + DAY / 2) / DAY),
        TWO_YEARS..TOO_LONG => format!("{} years", count((secs + YEAR / 2) / YEAR)),
        _ => "more than a million years".to_owned(),
    }
}

const DAY: u64 = 24 * 3600;
const YEAR: u64 = 365 * DAY;
const TWO_DAYS: u64 = 2 * DAY;
const TWO_YEARS: u64 = 2 * YEAR;
const TOO_LONG: u64 = 1_000_000 * YEAR;

/// "1st", "2nd", "3rd", "11th": a place in a row, from 1.
pub fn ordinal(n: usize) -> String {
    let end = match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{n}{end}")
}

/// A count with thin groups of three: "1 234 567".
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{2009}');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_their_digits() {
        let cases = [
            (0.0, "0"),
            (0.42, "0.42"),
            (-0.5, "−0.5"),
            (0.6917, "0.692"),
            (12.345, "12.35"),
            (123.45, "123.5"),
            (4096.0, "4096"),
            (3e-4, "3e-4"),
            (1.25e-7, "1.25e-7"),
            (f64::NAN, "not a number"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn shares_are_percent_and_memory_has_a_unit() {
        assert_eq!(value(metrics::HELD_OUT_ACCURACY, 0.875), "87.5 %");
        assert_eq!(bytes(3 << 30), "3.0 GiB");
        assert_eq!(bytes(200 << 20), "200 MiB");
    }

    #[test]
    fn time_is_said_the_short_way() {
        assert_eq!(duration(45.2), "45 s");
        assert_eq!(duration(130.0), "2 min 10 s");
        assert_eq!(duration(3000.0), "50 min");
        assert_eq!(duration(12_000.0), "3 h 20 min");
        assert_eq!(duration(f64::NAN), "unknown");
    }

    #[test]
    fn g24_a_long_time_is_said_in_days_and_years() {
        assert_eq!(duration(172_799.0), "47 h 59 min");
        assert_eq!(duration(5.0 * 86_400.0), "5 days");
        assert_eq!(duration(97_098.0 * 3600.0), "11 years");
        assert_eq!(duration(1.5e12), "47\u{2009}565 years");
        assert_eq!(duration(1e30), "more than a million years");
    }

    #[test]
    fn places_are_counted_as_people_do() {
        let places = [1, 2, 3, 4, 11, 12, 13, 21, 102, 111].map(ordinal);
        assert_eq!(places, ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th"]);
    }
}
