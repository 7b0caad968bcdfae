//! Standard output: results, one line at a time. Standard error: everything else.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::Value as Json;

/// Prints a line. A closed pipe is an error like any other; `ending` knows it.
pub fn line(text: impl Display) -> Result<()> {
    writeln!(io::stdout().lock(), "{text}").context("Could not print")
}

/// Prints a piece of a line at once.
pub fn piece(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("Could not print")
}

/// Tells something on standard error. Nobody there to hear it (the terminal was closed) is no reason to stop.
pub fn note(text: impl Display) {
    writeln!(io::stderr().lock(), "{text}").ok();
}

/// How a bar looks, by a template of our own.
pub fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    debug_assert!(style.is_ok(), "{template}");
    style.unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A bar to so many, which looks like this template.
pub fn bar(len: usize, template: &str) -> ProgressBar {
    ProgressBar::new(len as u64).with_style(style(template))
}

/// A measured value in JSON, which has no word for what is not finite: those are the strings that Weights & Biases
/// writes and `float()` of Python reads.
pub fn number(value: f64) -> Json {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity".into() } else { "-Infinity".into() }
    } else {
        value.into()
    }
}

/// Prints a JSON object as one line. Measured values go through [`number`] first.
pub fn json(value: &impl Serialize) -> Result<()> {
    let mut out = io::stdout().lock();
    let text = serde_json::to_string(value)?;
    writeln!(out, "{text}").context("Could not print")
}

/// One line of a text that may have many, cut to `width` characters.
pub fn one_line(text: &str, width: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= width {
        return line;
    }
    let mut cut: String = line.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// Prints rows under headings, columns as wide as their widest cell, flush right where that is told.
pub fn table(headings: &[&str], right: &[bool], rows: &[Vec<String>]) -> Result<()> {
    table_lines(headings, right, rows).into_iter().try_for_each(line)
}

fn table_lines(headings: &[&str], right: &[bool], rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).chain([headings[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let row = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for ((cell, width), right) in cells.zip(&widths).zip(right) {
            let space = " ".repeat(width - cell.chars().count());
            if *right {
                line.push_str(&space);
                line.push_str(cell);
            } else {
                line.push_str(cell);
                line.push_str(&space);
            }
            line.push_str("  ");
        }
        line.trim_end().to_owned()
    };
    let mut lines = vec![row(&mut headings.iter().copied())];
    lines.extend(rows.iter().map(|cells| row(&mut cells.iter().map(String::as_str))));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_has_a_word_in_json() {
        let all = [0.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(|value| number(value).to_string());
        assert_eq!(all, ["0.5", "\"NaN\"", "\"Infinity\"", "\"-Infinity\""]);
    }

    #[test]
    fn a_table_lines_up_in_characters_not_bytes() {
        let rows = [vec!["β".to_owned(), "0.1".to_owned()], vec!["margin".to_owned(), "12".to_owned()]];
        let lines = table_lines(&["name", "n"], &[false, true], &rows);
        assert_eq!(lines, ["name      n", "β       0.1", "margin   12"]);
    }

    #[test]
    fn long_texts_become_one_short_line() {
        assert_eq!(one_line("a\n b", 3), "a b");
        assert_eq!(one_line("水 水 水 水", 4), "水 水…");
    }
}
