//! Python's `str.format`.

use minijinja::{
    Error, State, Value,
    value::{Kwargs, Rest, ValueKind, from_args},
};

use super::{attributes, fault, methods, printed, views};

/// The text with its fields filled in.
pub fn format(state: &mut State<'_, '_>, text: &str, args: &[Value]) -> Result<Value, Error> {
    let (Rest(places), names): (Rest<Value>, Kwargs) = from_args(args)?;
    let mut fields = Fields { state, places, names, next: 0, numbered: false };
    let filled = fields.fill(text, 0)?;
    Ok(filled.into())
}

struct Fields<'a, 'b, 'c> {
    state: &'a mut State<'b, 'c>,
    places: Vec<Value>,
    names: Kwargs,
    /// The place that the next empty field takes.
    next: usize,
    /// A field has named its place.
    numbered: bool,
}

impl Fields<'_, '_, '_> {
    fn fill(&mut self, text: &str, depth: usize) -> Result<String, Error> {
        if depth > 1 {
            return Err(fault("format: a field inside a field inside a field"));
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            out.push_str(before);
            if let Some(after) = brace.strip_prefix("{{").filter(|_| depth == 0) {
                out.push('{');
                rest = after;
            } else if let Some(after) = brace.strip_prefix("}}").filter(|_| depth == 0) {
                out.push('}');
                rest = after;
            } else if let Some(after) = brace.strip_prefix('{') {
                let end = field_end(after).ok_or_else(|| fault("format: '{' without its '}'"))?;
                let written = self.field(&after[..end], depth)?;
                // Both the text and what it puts in may be long.
                self.state.consume_fuel(1 + written.len() as u64 / 64)?;
                out.push_str(&written);
                rest = &after[end + 1..];
            } else {
                return Err(fault("format: '}' without its '{'"));
            }
        }
        self.state.consume_fuel(text.len() as u64 / 64)?;
        Ok(out + rest)
    }

    /// `name!conversion:spec`.
    fn field(&mut self, field: &str, depth: usize) -> Result<String, Error> {
        let name_end = name_end(field);
        let (name, rest) = field.split_at(name_end);
        let value = self.value(name)?;
        let (conversion, spec) = match rest.strip_prefix('!') {
            Some(rest) => {
                let (conversion, spec) = rest.split_once(':').unwrap_or((rest, ""));
                (Some(conversion), spec)
            }
            None => (None, rest.strip_prefix(':').unwrap_or(rest)),
        };
        let value: Value = match conversion {
            None => value,
            Some("s") => printed::text(self.state, &value)?.into(),
            Some("r") => printed::repr(self.state, &value)?.into(),
            Some("a") => printed::ascii(self.state, &value)?.into(),
            Some(_) => return Err(fault("format: only !s, !r and !a are conversions")),
        };
        let spec = if spec.contains(['{', '}']) { self.fill(spec, depth + 1)? } else { spec.to_owned() };
        formatted(self.state, &value, &spec)
    }

    /// `0.role[key]`.
    fn value(&mut self, name: &str) -> Result<Value, Error> {
        let first = name.find(['.', '[']).unwrap_or(name.len());
        let (base, mut path) = name.split_at(first);
        let mut value = if base.is_empty() || base.bytes().all(|byte| byte.is_ascii_digit()) {
            if base.is_empty() == self.numbered && (self.numbered || self.next > 0) {
                return Err(fault("format: fields with and without numbers cannot be mixed"));
            }
            let place = if base.is_empty() {
                self.next += 1;
                self.next - 1
            } else {
                self.numbered = true;
                base.parse().unwrap_or(usize::MAX)
            };
            self.places.get(place).cloned().ok_or_else(|| fault("format: fewer arguments than fields"))?
        } else {
            self.names.get(base)?
        };
        while let Some(mark) = path.chars().next() {
            let rest = &path[1..];
            let (key, behind) = match mark {
                '.' => rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len())),
                _ => rest.split_once(']').ok_or_else(|| fault("format: '[' without its ']'"))?,
            };
            value = match key.parse::<i64>() {
                Ok(place) if mark == '[' => value.get_item(&place.into())?,
                _ if mark == '[' => attributes::bracketed(&value, &[key.into()])?,
                _ => attributes::dotted(&value, &[key.into()])?,
            };
            path = behind;
        }
        Ok(value)
    }
}

/// Where the brace stands that closes the field which begins here.
fn field_end(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
    }
    None
}

/// Where the name of a field ends; a key in brackets may hold anything.
fn name_end(field: &str) -> usize {
    let mut inside = false;
    for (at, c) in field.char_indices() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            '!' | ':' if !inside => return at,
            _ => {}
        }
    }
    field.len()
}

/// `[[fill]align][0][width]` around what the engine makes of the rest.
struct Spec<'a> {
    fill: char,
    align: Option<char>,
    width: usize,
    /// Sign, `#`, grouping, precision and type, without the width.
    core: String,
    kind: Option<char>,
    /// As it was.
    whole: &'a str,
}

fn spec(whole: &str) -> Result<Spec<'_>, Error> {
    let aligns = |c: char| matches!(c, '<' | '>' | '^' | '=');
    let mut chars = whole.chars();
    let (first, second) = (chars.next(), chars.next());
    let (fill, align, rest) = match (first, second) {
        (Some(fill), Some(align)) if aligns(align) => (fill, Some(align), &whole[fill.len_utf8() + 1..]),
        (Some(align), _) if aligns(align) => (' ', Some(align), &whole[1..]),
        _ => (' ', None, whole),
    };
    let lead = rest.find(|c| !matches!(c, '+' | '-' | ' ' | '#' | 'z')).unwrap_or(rest.len());
    let (signs, rest) = rest.split_at(lead);
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, tail) = rest.split_at(digits);
    let zeros = digits.starts_with('0') && align.is_none();
    let width = if digits.is_empty() { 0 } else { digits.parse().unwrap_or(usize::MAX) };
    let precision = tail.split_once('.').map_or("", |(_, behind)| behind);
    let precision = precision.trim_end_matches(|c: char| !c.is_ascii_digit());
    if width > methods::WIDEST
        || precision.parse::<usize>().is_ok_and(|precision| precision > methods::WIDEST)
        || precision.len() > 9
    {
        return Err(fault(methods::TOO_WIDE));
    }
    Ok(Spec {
        fill: if zeros { '0' } else { fill },
        align: if zeros { Some('0') } else { align },
        width,
        core: format!("{signs}{tail}"),
        kind: tail.chars().last().filter(|c| c.is_ascii_alphabetic() || *c == '%'),
        whole,
    })
}

/// Python's `format`.
fn formatted(state: &mut State<'_, '_>, value: &Value, whole: &str) -> Result<String, Error> {
    if whole.is_empty() {
        return printed::text(state, value);
    }
    let spec = spec(whole)?;
    let of_engine = |state: &mut State<'_, '_>, value: &Value, core: &str| {
        let text = Value::from(format!("{{:{core}}}"));
        minijinja_contrib::pycompat::unknown_method_callback(state, &text, "format", std::slice::from_ref(value))
            .map(|text| text.to_string())
    };
    let body = match value.kind() {
        ValueKind::String if spec.kind.is_none_or(|kind| kind == 's') && spec.align != Some('=') => {
            return Ok(padded(&of_engine(state, value, &spec.core)?, &spec, '<'));
        }
        ValueKind::Number | ValueKind::Bool => {
            let number = if value.kind() == ValueKind::Bool { u8::from(value.is_true()).into() } else { value.clone() };
            let grouped = spec.core.contains([',', '_']);
            if grouped && matches!(spec.align, Some('0' | '=')) {
                // Zeros are grouped too.
                return of_engine(state, &number, spec.whole);
            }
            match spec.kind {
                Some('%') => {
                    let share = f64::try_from(number)? * 100.0;
                    let core = format!("{}f", spec.core.trim_end_matches('%'));
                    of_engine(state, &share.into(), &core)? + "%"
                }
                Some('n') => {
                    let kind = if number.is_integer() { 'd' } else { 'g' };
                    of_engine(state, &number, &format!("{}{kind}", spec.core.trim_end_matches('n')))?
                }
                _ if spec.core.is_empty() => printed::text(state, &number)?,
                _ => of_engine(state, &number, &spec.core)?,
            }
        }
        _ if views::is_list(value) => return Err(fault("format: a list takes no width and no type")),
        _ => return Err(fault("format: only texts and numbers take a width or a type")),
    };
    Ok(padded(&body, &spec, '>'))
}

fn padded(body: &str, spec: &Spec<'_>, usual: char) -> String {
    let missing = spec.width.saturating_sub(body.chars().count());
    let fill = |n: usize| spec.fill.to_string().repeat(n);
    match spec.align.map_or(usual, |align| if align == '0' && usual == '>' { '=' } else { align }) {
        '^' => format!("{}{body}{}", fill(missing / 2), fill(missing - missing / 2)),
        '=' => {
            let sign = body.len() - body.trim_start_matches(['+', '-', ' ']).len();
            let prefix = if spec.core.contains('#') && body[sign..].starts_with('0') { 2 } else { 0 };
            let (lead, digits) = body.split_at(sign + prefix);
            format!("{lead}{}{digits}", fill(missing))
        }
        '>' => format!("{}{body}", fill(missing)),
        _ => format!("{body}{}", fill(missing)),
    }
}
