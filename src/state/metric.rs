//! How numbers are written for a reader, a metric's after its unit.

use data::{
    MEGABYTE,
    metrics::{self, Unit},
    size,
};

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

/// A number the way its metric is read: shares in percent, memory in MB or GB, the rest as it is.
pub fn value(name: &str, value: f64) -> String {
    match metrics::unit(name) {
        Unit::Share => percent(value),
        Unit::Megabytes => size((value * MEGABYTE as f64) as u64),
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
        assert_eq!(value("memory_mb", 3210.0), "3.21 GB");
    }

    #[test]
    fn places_are_counted_as_people_do() {
        let places = [1, 2, 3, 4, 11, 12, 13, 21, 102, 111].map(ordinal);
        assert_eq!(places, ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th"]);
    }
}
