//! Jinja's filters that set a text in lines.

use std::sync::LazyLock;

use fancy_regex::Regex;
use minijinja::{
    Error, State, Value,
    value::{Kwargs, Rest},
};

use super::{
    arguments::{bind, is_set},
    fault, methods,
    strip::{Ends, strip},
};

/// Each line but the first, indented by so many spaces or by a text.
pub fn indent(state: &State<'_, '_>, text: Value, args: Rest<Value>, kwargs: Kwargs) -> Result<String, Error> {
    let [width, first, blank] = bind(&args, &kwargs, ["width", "first", "blank"])?;
    let margin = match &width {
        Some(text) if text.as_str().is_some() => text.to_string(),
        Some(width) => " ".repeat(within(width)?),
        None => " ".repeat(4),
    };
    let text = of_text("indent", &text)?.to_owned() + "\n";
    let lines = methods::lines(&text, false);
    state.consume_fuel((lines.len() * (margin.len() + 1) + text.len()) as u64 / 64)?;
    let blank = is_set(blank.as_ref());
    let mut indented = String::new();
    for (place, line) in lines.into_iter().enumerate() {
        if place > 0 {
            indented.push('\n');
        }
        let wanted = if place == 0 { is_set(first.as_ref()) } else { blank || !line.is_empty() };
        if wanted {
            indented.push_str(&margin);
        }
        indented.push_str(line);
    }
    Ok(indented)
}

/// The beginning of a text, up to the end of a word.
pub fn truncate(text: Value, args: Rest<Value>, kwargs: Kwargs) -> Result<String, Error> {
    let [length, kill_words, end, leeway] = bind(&args, &kwargs, ["length", "killwords", "end", "leeway"])?;
    let length = length.as_ref().map_or(Ok(255), count)?;
    let leeway = leeway.as_ref().filter(|leeway| !leeway.is_none()).map_or(Ok(5), count)?;
    let end = end.map_or_else(|| "...".to_owned(), |end| end.to_string());
    let text = of_text("truncate", &text)?.to_owned();
    if text.chars().count() <= length.saturating_add(leeway) {
        return Ok(text);
    }
    let Some(kept) = length.checked_sub(end.chars().count()) else {
        return Err(fault("truncate: the end is longer than the whole may be"));
    };
    let kept: String = text.chars().take(kept).collect();
    let kept = match kept.rsplit_once(' ') {
        Some((words, _)) if !is_set(kill_words.as_ref()) => words,
        _ => &kept,
    };
    Ok(format!("{kept}{end}"))
}

/// Lines of at most so many characters, as Python's `textwrap` sets them; line ends stay.
pub fn wordwrap(state: &State<'_, '_>, text: Value, args: Rest<Value>, kwargs: Kwargs) -> Result<String, Error> {
    let names = ["width", "break_long_words", "wrapstring", "break_on_hyphens"];
    let [width, break_words, end, on_hyphens] = bind(&args, &kwargs, names)?;
    let width = width.as_ref().map_or(Ok(79), count)?;
    if width == 0 {
        return Err(fault("wordwrap: the width must be above 0"));
    }
    let end = end.filter(|end| !end.is_none()).map_or_else(|| "\n".to_owned(), |end| end.to_string());
    let set = |value: &Option<Value>| value.as_ref().is_none_or(Value::is_true);
    let how = Wrapping { width, break_words: set(&break_words), on_hyphens: set(&on_hyphens) };
    let text = of_text("wordwrap", &text)?;
    let mut lines = Vec::new();
    for paragraph in methods::lines(text, false) {
        state.consume_fuel(1 + paragraph.len() as u64 / 8)?;
        let chunks = chunks(paragraph, if how.on_hyphens { &HYPHENATED } else { &BLANKS })?;
        let wrapped = fill(chunks, how);
        if wrapped.is_empty() {
            lines.push(String::new());
        }
        lines.extend(wrapped);
    }
    state.consume_fuel((lines.len() * end.len()) as u64 / 64)?;
    Ok(lines.join(&end))
}

/// `textwrap.TextWrapper.wordsep_re`: words, parts of words up to a hyphen, dashes, white space.
static HYPHENATED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?x)
        [\t\n\x0b\x0c\r\ ]+
        | (?<=[\w!"'&.,?]) -{2,} (?=\w)
        | [^\t\n\x0b\x0c\r\ ]+?
          (?: -(?: (?<=[^\d\W]{2}-) | (?<=[^\d\W]-[^\d\W]-)) (?= [^\d\W] -? [^\d\W])
            | (?=[\t\n\x0b\x0c\r\ ]|\z)
            | (?<=[\w!"'&.,?]) (?=-{2,}\w)
          )"#,
    )
    .ok()
});

/// `textwrap.TextWrapper.wordsep_simple_re`.
static BLANKS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[\t\n\x0b\x0c\r ]+|[^\t\n\x0b\x0c\r ]+").ok());

fn chunks<'a>(text: &'a str, words: &LazyLock<Option<Regex>>) -> Result<Vec<&'a str>, Error> {
    let Some(words) = &**words else {
        return Err(fault("wordwrap does not work here"));
    };
    words
        .find_iter(text)
        .map(|found| found.map(|found| found.as_str()).map_err(|_| fault("wordwrap: too long a word")))
        .collect()
}

fn blank(chunk: &str) -> bool {
    strip(chunk, None, Ends::Both).is_empty()
}

fn length(chunk: &str) -> usize {
    chunk.chars().count()
}

/// How lines are set: the most characters of one, and where a word may break.
#[derive(Clone, Copy)]
struct Wrapping {
    width: usize,
    break_words: bool,
    on_hyphens: bool,
}

/// `textwrap.TextWrapper._wrap_chunks` without indents and limits of lines.
fn fill(chunks: Vec<&str>, how: Wrapping) -> Vec<String> {
    let Wrapping { width, break_words, on_hyphens } = how;
    let mut rest: Vec<&str> = chunks.into_iter().rev().collect();
    let mut lines: Vec<String> = Vec::new();
    while !rest.is_empty() {
        let (mut line, mut used): (Vec<&str>, usize) = (Vec::new(), 0);
        if !lines.is_empty() && rest.last().is_some_and(|chunk| blank(chunk)) {
            rest.pop();
        }
        while let Some(chunk) = rest.last().copied().filter(|chunk| used + length(chunk) <= width) {
            used += length(chunk);
            line.push(chunk);
            rest.pop();
        }
        if let Some(chunk) = rest.last().copied().filter(|chunk| length(chunk) > width) {
            let room = width - used.min(width);
            if break_words {
                let room = room.max(usize::from(used == 0));
                let mut at = room;
                if on_hyphens && length(chunk) > room {
                    let hyphen = chunk.chars().take(room).collect::<Vec<_>>().iter().rposition(|c| *c == '-');
                    let real = |hyphen: &usize| *hyphen > 0 && chunk.chars().take(*hyphen).any(|c| c != '-');
                    at = hyphen.filter(real).map_or(room, |hyphen| hyphen + 1);
                }
                let byte = chunk.char_indices().nth(at).map_or(chunk.len(), |(byte, _)| byte);
                line.push(&chunk[..byte]);
                rest.pop();
                rest.push(&chunk[byte..]);
            } else if line.is_empty() {
                line.push(chunk);
                rest.pop();
            }
        }
        if line.last().is_some_and(|chunk| blank(chunk)) {
            line.pop();
        }
        if !line.is_empty() {
            lines.push(line.concat());
        }
    }
    lines
}

/// Python has these for texts only.
fn of_text<'a>(filter: &str, value: &'a Value) -> Result<&'a str, Error> {
    let reason = || format!("{filter} needs a text; put string in front of it");
    let missing = Some("").filter(|_| value.is_undefined());
    value.as_str().or(missing).ok_or_else(|| fault(reason()))
}

fn count(value: &Value) -> Result<usize, Error> {
    usize::try_from(value.clone())
}

fn within(width: &Value) -> Result<usize, Error> {
    match i64::try_from(width.clone())? {
        width if width < 0 => Ok(0),
        width => usize::try_from(width)
            .ok()
            .filter(|width| *width <= methods::WIDEST)
            .ok_or_else(|| fault(methods::TOO_WIDE)),
    }
}
