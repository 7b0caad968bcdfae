//! Amounts in words, the same in the window, the terminal and every sentence.

/// What `MB` means here, as disks and the hub count.
pub const MEGABYTE: u64 = 1_000_000;

/// "1 pair", "12 pairs", "0 pairs".
pub fn counted(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

/// Bytes in whole megabytes, rounded up.
pub fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(MEGABYTE)
}

/// Bytes in the unit that keeps them short: "1.23 GB", "41 MB", "12 KB".
pub fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        _ if bytes >= 99.5e9 => format!("{:.0} GB", bytes / 1e9),
        _ if bytes >= 9.95e9 => format!("{:.1} GB", bytes / 1e9),
        _ if bytes >= 0.9995e9 => format!("{:.2} GB", bytes / 1e9),
        _ if bytes >= 9.95e6 => format!("{:.0} MB", bytes / 1e6),
        _ if bytes >= 0.05e6 => format!("{:.1} MB", bytes / 1e6),
        _ => format!("{:.0} KB", (bytes / 1e3).ceil()),
    }
}

/// With so many decimals; what rounds to nothing has no sign.
pub fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(size) if size.bytes().all(|byte| matches!(byte, b'0' | b'.')) => size.to_owned(),
        _ => text,
    }
}

/// To three digits, however large or small: "0.0373", "12.3", "4.5e-7".
pub fn digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if (1e-4..1e6).contains(&size) => {
            let decimals = (2 - size.log10().floor() as i32).max(0) as usize;
            let text = format!("{value:.decimals$}");
            if decimals == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
        }
        _ => format!("{value:.2e}"),
    }
}

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

/// Seconds as a person says them: "45 s", "2 min 10 s", "12 min", "3 h 20 min", "5 days", "11 years".
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
        TWO_YEARS..TOO_LONG => format!("{} years", grouped((secs + YEAR / 2) / YEAR)),
        _ => "more than a million years".to_owned(),
    }
}

/// A time that is known roughly: "20 to 45 s", "2 to 5 min", "3 to 7 h"; a very long one from the one to the other.
pub fn between(low: f64, high: f64) -> String {
    let (unit, word) = match high {
        0.0..20.0 => (1.0, "s"),
        20.0..180.0 => (5.0, "s"),
        180.0..10_800.0 => (60.0, "min"),
        10_800.0..172_800.0 => (3600.0, "h"),
        _ => return format!("{} to {}", duration(low), duration(high)),
    };
    // Rounded down it would be no time at all.
    if low < unit && unit > 5.0 {
        return format!("{} to {}", duration(low), duration(high));
    }
    let shown = |units: f64| if unit == 5.0 { 5.0 * units } else { units };
    let (low, high) = (shown((low / unit).floor().max(0.0)), shown((high / unit).ceil()));
    if low >= high { format!("{high} {word}") } else { format!("{low} to {high} {word}") }
}

const DAY: u64 = 24 * 3600;
const YEAR: u64 = 365 * DAY;
const TWO_DAYS: u64 = 2 * DAY;
const TWO_YEARS: u64 = 2 * YEAR;
const TOO_LONG: u64 = 1_000_000 * YEAR;

/// A count with thin groups of three: "1 234 567".
pub fn grouped(n: u64) -> String {
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
    fn g24_one_is_not_many() {
        assert_eq!(counted(1, "pair has", "pairs have"), "1 pair has");
        assert_eq!(counted(0, "pair", "pairs"), "0 pairs");
        assert_eq!(counted(12, "pair", "pairs"), "12 pairs");
    }

    #[test]
    fn sizes_have_three_digits_at_most() {
        let sizes = [0, 12, 99_000, 988_097_824, 999_700_000, 15_200_000_000];
        assert_eq!(sizes.map(size), ["0 KB", "1 KB", "0.1 MB", "988 MB", "1.00 GB", "15.2 GB"]);
        assert_eq!([0, 1, 1_000_000, 1_000_001].map(megabytes), [0, 1, 1, 2]);
    }

    #[test]
    fn time_is_said_the_short_way() {
        let times = [45.2, 130.0, 3000.0, 12_000.0, f64::NAN].map(duration);
        assert_eq!(times, ["45 s", "2 min 10 s", "50 min", "3 h 20 min", "unknown"]);
    }

    #[test]
    fn a_rough_time_is_said_from_to() {
        let times = [(20.3, 40.6), (55.0, 110.0), (130.0, 260.0), (4000.0, 8000.0), (3.0, 3.0)];
        let said = times.map(|(low, high)| between(low, high));
        assert_eq!(said, ["20 to 45 s", "55 to 110 s", "2 to 5 min", "66 to 134 min", "3 s"]);
        assert_eq!(between(34.0, 250.0), "34 s to 4 min 10 s", "no minutes at all were no time");
        assert_eq!(between(100_000.0, 200_000.0), "27 h 46 min to 2 days");
        assert_eq!(between(f64::NAN, f64::NAN), "unknown to unknown");
    }

    #[test]
    fn g24_a_long_time_is_said_in_days_and_years() {
        let times = [172_799.0, 5.0 * 86_400.0, 97_098.0 * 3600.0, 1.5e12, 1e30].map(duration);
        assert_eq!(times, ["47 h 59 min", "5 days", "11 years", "47\u{2009}565 years", "more than a million years"]);
    }

    #[test]
    fn numbers_keep_their_digits_and_nothing_has_no_sign() {
        assert_eq!([fixed(-0.0004, 3), fixed(-0.0006, 3), fixed(f64::NAN, 2)], ["0.000", "-0.001", "NaN"]);
        let cases = [(0.0373, "0.0373"), (0.001, "0.001"), (12.345, "12.3"), (-0.05, "-0.05"), (1e-300, "1.00e-300")];
        for (value, text) in cases {
            assert_eq!(digits(value), text);
        }
    }

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
    fn places_are_counted_as_people_do() {
        let places = [1, 2, 3, 4, 11, 12, 13, 21, 102, 111].map(ordinal);
        assert_eq!(places, ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th"]);
    }
}
