//! Methods of Python's own types that templates call on texts, lists and maps.
//!
//! [`minijinja_contrib::pycompat`] has most of them; here are those it lacks, and those where Python counts other
//! characters as white space or takes more arguments.

use minijinja::{
    Error, State, Value,
    value::{Kwargs, Rest, Tuple, ValueKind, from_args},
};

use super::{
    attributes, braces, fault, printed,
    strip::{Ends, is_space, strip},
    views::{self, View},
    whole,
};

pub fn call(state: &mut State<'_, '_>, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        if let Some(result) = of_text(text, method, args) {
            return result;
        }
        if method == "format" {
            return braces::format(state, text, args);
        }
    }
    match method {
        attributes::DOT => return attributes::dotted(value, args),
        attributes::BRACKETS => return attributes::bracketed(value, args),
        _ => {}
    }
    if value.kind() == ValueKind::Map && matches!(method, "copy" | "keys" | "values" | "items") {
        let () = from_args(args)?;
        return Ok(View::of(value, method)?.unwrap_or_else(|| value.clone()));
    }
    if views::is_list(value)
        && let Some(result) = of_list(value, method, args)
    {
        return result;
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args)
}

fn of_text(text: &str, method: &str, args: &[Value]) -> Option<Result<Value, Error>> {
    let result = match method {
        "strip" => stripped(text, Ends::Both, args),
        "lstrip" => stripped(text, Ends::Start, args),
        "rstrip" => stripped(text, Ends::End, args),
        "split" | "rsplit" => split(text, method == "rsplit", args),
        "partition" | "rpartition" => partition(text, method == "rpartition", args),
        "splitlines" => from_args(args)
            .map(|(keep,): (Option<bool>,)| lines(text, keep.unwrap_or(false)).into_iter().map(Value::from).collect()),
        "removeprefix" => from_args(args).map(|(prefix,): (&str,)| text.strip_prefix(prefix).unwrap_or(text).into()),
        "removesuffix" => from_args(args).map(|(suffix,): (&str,)| text.strip_suffix(suffix).unwrap_or(text).into()),
        "startswith" | "endswith" if args.len() > 1 => bounded(text, method, args),
        "find" | "rfind" | "index" | "rindex" => position(text, method, args),
        "capitalize" => from_args(args).map(|()| capitalize(text).into()),
        "title" => from_args(args).map(|()| title(text).into()),
        "casefold" => from_args(args).map(|()| casefold(text).into()),
        "join" => joined(text, args),
        "expandtabs" => expanded(text, args),
        "isdecimal" => from_args(args).map(|()| all(text, |c| whole::decimal(c).is_some())),
        "isprintable" => from_args(args).map(|()| text.chars().all(printed::is_printable).into()),
        "swapcase" => from_args(args).map(|()| {
            let swapped: String = text
                .chars()
                .flat_map(|c| -> Vec<char> {
                    if c.is_uppercase() { c.to_lowercase().collect() } else { c.to_uppercase().collect() }
                })
                .collect();
            swapped.into()
        }),
        "isspace" => from_args(args).map(|()| (!text.is_empty() && text.chars().all(is_space)).into()),
        "zfill" | "ljust" | "rjust" | "center" => pad(text, method, args),
        _ => return None,
    };
    Some(result)
}

fn stripped(text: &str, ends: Ends, args: &[Value]) -> Result<Value, Error> {
    from_args(args).map(|(chars,): (Option<&str>,)| strip(text, chars, ends).into())
}

fn split(text: &str, from_end: bool, args: &[Value]) -> Result<Value, Error> {
    let (sep, most, kwargs): (Option<Value>, Option<i64>, Kwargs) = from_args(args)?;
    let sep = match sep {
        Some(sep) => Some(sep),
        None => kwargs.get::<Option<Value>>("sep")?,
    };
    let most = match most {
        Some(most) => Some(most),
        None => kwargs.get::<Option<i64>>("maxsplit")?,
    };
    kwargs.assert_all_used()?;
    let most = most.and_then(|most| usize::try_from(most).ok());
    let sep = sep.filter(|sep| !sep.is_none());
    let parts: Vec<&str> = match sep.as_ref().map(Value::as_str) {
        Some(Some("")) => return Err(fault("empty separator")),
        Some(None) => return Err(fault("the separator must be a text")),
        Some(Some(sep)) => match (most, from_end) {
            (None, _) => text.split(sep).collect(),
            (Some(most), false) => text.splitn(most + 1, sep).collect(),
            (Some(most), true) => {
                let mut parts: Vec<&str> = text.rsplitn(most + 1, sep).collect();
                parts.reverse();
                parts
            }
        },
        None => words(text, most, from_end),
    };
    Ok(parts.into_iter().map(Value::from).collect())
}

/// Python's split without a separator: runs of white space count once, none at the ends.
fn words(text: &str, most: Option<usize>, from_end: bool) -> Vec<&str> {
    let Some(most) = most else {
        return text.split(is_space).filter(|word| !word.is_empty()).collect();
    };
    let mut parts = Vec::new();
    let mut rest = if from_end { strip(text, None, Ends::End) } else { strip(text, None, Ends::Start) };
    while !rest.is_empty() {
        let at = if from_end { rest.rfind(is_space) } else { rest.find(is_space) };
        let Some(at) = at.filter(|_| parts.len() < most) else {
            break;
        };
        let width = rest[at..].chars().next().map_or(1, char::len_utf8);
        if from_end {
            parts.push(&rest[at + width..]);
            rest = strip(&rest[..at], None, Ends::End);
        } else {
            parts.push(&rest[..at]);
            rest = strip(&rest[at + width..], None, Ends::Start);
        }
    }
    if !rest.is_empty() {
        parts.push(rest);
    }
    if from_end {
        parts.reverse();
    }
    parts
}

fn partition(text: &str, from_end: bool, args: &[Value]) -> Result<Value, Error> {
    let (sep,): (&str,) = from_args(args)?;
    if sep.is_empty() {
        return Err(fault("empty separator"));
    }
    let parts = match (from_end, text.split_once(sep), text.rsplit_once(sep)) {
        (false, Some((before, after)), _) | (true, _, Some((before, after))) => [before, sep, after],
        (false, None, _) => [text, "", ""],
        (true, _, None) => ["", "", text],
    };
    Ok(Tuple::from(parts.map(Value::from)).into())
}

/// `str.splitlines`, which knows more line ends than Rust.
pub fn lines(text: &str, keep: bool) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if !matches!(c, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}') {
            continue;
        }
        let mut end = at + c.len_utf8();
        if c == '\r' && chars.next_if(|(_, next)| *next == '\n').is_some() {
            end += 1;
        }
        lines.push(&text[start..if keep { end } else { at }]);
        start = end;
    }
    if start < text.len() {
        lines.push(&text[start..]);
    }
    lines
}

/// The part of a text between two places counted in characters, and where it begins.
fn window<'a>(text: &'a str, rest: &[i64]) -> (&'a str, usize) {
    let length = text.chars().count() as i64;
    let place = |at: i64| if at < 0 { (length + at).max(0) } else { at.min(length) } as usize;
    let start = rest.first().map_or(0, |at| place(*at));
    let end = rest.get(1).map_or(length as usize, |at| place(*at));
    let byte = |at: usize| text.char_indices().nth(at).map_or(text.len(), |(i, _)| i);
    (&text[byte(start)..byte(end.max(start))], start)
}

fn bounded(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let (what, Rest(bounds)): (&str, Rest<i64>) = from_args(args)?;
    let (part, _) = window(text, &bounds);
    Ok(if method == "startswith" { part.starts_with(what) } else { part.ends_with(what) }.into())
}

/// `find` and `index` with their mirror images; places are counted in characters.
fn position(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let (what, Rest(bounds)): (&str, Rest<i64>) = from_args(args)?;
    let (part, start) = window(text, &bounds);
    let at = if method.starts_with('r') { part.rfind(what) } else { part.find(what) };
    match at {
        Some(at) => Ok((start + part[..at].chars().count()).into()),
        None if method.ends_with("index") => Err(fault("substring not found")),
        None => Ok((-1).into()),
    }
}

fn all(text: &str, each: fn(char) -> bool) -> Value {
    (!text.is_empty() && text.chars().all(each)).into()
}

/// `str.join`, which takes texts only.
fn joined(between: &str, args: &[Value]) -> Result<Value, Error> {
    let (items,): (&Value,) = from_args(args)?;
    let mut texts = Vec::new();
    for item in items.try_iter()? {
        texts.push(
            item.as_str().ok_or_else(|| fault("join of a text takes texts only; the filter takes all"))?.to_owned(),
        );
    }
    Ok(texts.join(between).into())
}

/// `str.expandtabs`.
fn expanded(text: &str, args: &[Value]) -> Result<Value, Error> {
    let (size,): (Option<usize>,) = from_args(args)?;
    let size = size.unwrap_or(8);
    if size > 64 {
        return Err(fault(TOO_WIDE));
    }
    let (mut out, mut column) = (String::new(), 0);
    for c in text.chars() {
        let blanks = if c == '\t' && size > 0 { size - column % size } else { 0 };
        out.extend(std::iter::repeat_n(' ', blanks));
        match c {
            '\t' => {}
            c => out.push(c),
        }
        column = match c {
            '\n' | '\r' => 0,
            '\t' => column + blanks,
            _ => column + 1,
        };
    }
    Ok(out.into())
}

/// `str.casefold`, Unicode's full folding.
fn casefold(text: &str) -> String {
    let lower = |c: char| c.to_lowercase();
    let fold = |c: char| -> Vec<char> {
        match c {
            'ı' => vec![c],
            // Cherokee's capitals are the older letters.
            '\u{13a0}'..='\u{13ff}' | '\u{ab70}'..='\u{abbf}' => c.to_uppercase().collect(),
            _ => lower(c).flat_map(char::to_uppercase).flat_map(lower).collect(),
        }
    };
    text.chars().flat_map(fold).collect()
}

/// A letter as it begins a word: of two in one sign only the first is a capital.
fn capital(c: char) -> Vec<char> {
    match c {
        'ŉ' => vec!['ʼ', 'N'],
        'Ǆ'..='ǆ' => vec!['ǅ'],
        'Ǉ'..='ǉ' => vec!['ǈ'],
        'Ǌ'..='ǌ' => vec!['ǋ'],
        'Ǳ'..='ǳ' => vec!['ǲ'],
        // Georgian has capitals for whole texts only.
        'ა'..='ჿ' => vec![c],
        '\u{1f80}'..='\u{1faf}' => char::from_u32(c as u32 | 8).into_iter().collect(),
        'ᾳ' | 'ῃ' | 'ῳ' => char::from_u32(c as u32 + 9).into_iter().collect(),
        _ => c
            .to_uppercase()
            .enumerate()
            .flat_map(|(at, c)| if at == 0 { vec![c] } else { c.to_lowercase().collect() })
            .collect(),
    }
}

/// `str.capitalize`.
pub fn capitalize(text: &str) -> String {
    let Some(first) = text.chars().next() else {
        return String::new();
    };
    // What a letter becomes depends on those before it: the end of a Greek word.
    let lower = text.to_lowercase();
    let rest = lower.chars().skip(first.to_lowercase().count());
    capital(first).into_iter().chain(rest).collect()
}

/// `str.title`: a letter behind anything but a letter is a capital.
fn title(text: &str) -> String {
    let cased = |c: char| c.is_uppercase() || c.is_lowercase() || matches!(c, 'ǅ' | 'ǈ' | 'ǋ' | 'ǲ');
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        match c {
            // The end of a Greek word has a letter of its own.
            'Σ' if inside && !letters.peek().is_some_and(|next| cased(*next)) => out.push('ς'),
            _ if inside => out.extend(c.to_lowercase()),
            _ => out.extend(capital(c)),
        }
        inside = cased(c);
    }
    out
}

/// Wider paddings are refused: no prompt needs them.
pub const WIDEST: usize = 10_000;

pub const TOO_WIDE: &str = "the text would become too wide";

/// `zfill`, `ljust`, `rjust` and `center`.
pub fn pad(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let (width, fill): (usize, Option<char>) = from_args(args)?;
    if width > WIDEST {
        return Err(fault(TOO_WIDE));
    }
    let missing = width.saturating_sub(text.chars().count());
    let fill = fill.unwrap_or(' ');
    let run = |n: usize| fill.to_string().repeat(n);
    Ok(match method {
        "ljust" => format!("{text}{}", run(missing)),
        "rjust" => format!("{}{text}", run(missing)),
        "center" => {
            // Where the space is odd, Python puts the larger half left for odd widths only.
            let left = missing / 2 + (missing & width & 1);
            format!("{}{text}{}", run(left), run(missing - left))
        }
        _ => {
            let (sign, digits) = text.strip_prefix(['+', '-']).map_or(("", text), |digits| (&text[..1], digits));
            format!("{sign}{}{digits}", "0".repeat(missing))
        }
    }
    .into())
}

fn of_list(value: &Value, method: &str, args: &[Value]) -> Option<Result<Value, Error>> {
    match method {
        "copy" => Some(from_args(args).map(|()| value.clone())),
        "count" => Some(
            from_args(args)
                .and_then(|(what,): (&Value,)| Ok(value.try_iter()?.filter(|item| item == what).count().into())),
        ),
        "index" => Some(from_args(args).and_then(|(what,): (&Value,)| {
            value
                .try_iter()?
                .position(|item| item == *what)
                .map(Value::from)
                .ok_or_else(|| fault("the value is not in the list"))
        })),
        "append" | "extend" | "insert" | "pop" | "remove" | "clear" | "sort" | "reverse" => {
            Some(Err(fault("a list cannot be changed inside a chat template; add two lists instead")))
        }
        _ => None,
    }
}
