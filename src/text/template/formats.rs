//! Values in the formats of Python, where the engine knows fewer.

use minijinja::{
    Error, State, Value, filters,
    value::{Rest, ValueKind, ValueOrKwargs, from_args},
};

use super::{fault, printed, whole};

/// The filter `format`.
pub fn format(state: &mut State<'_, '_>, text: Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    percent(state, &text, args.into_values())
}

/// Python's `%` of a text.
pub fn percent(state: &mut State<'_, '_>, text: &Value, mut args: Vec<Value>) -> Result<Value, Error> {
    let text = match text.as_str() {
        Some(source) if !text.is_safe() => Value::from(in_known(state, source, &mut args)?),
        _ => text.clone(),
    };
    for arg in &mut args {
        *arg = plain(state, std::mem::take(arg))?;
    }
    let (args,): (Rest<ValueOrKwargs>,) = from_args(&args)?;
    filters::format(state, &text, args)
}

/// What `%s` would print otherwise than Python does, as a text.
fn plain(state: &State<'_, '_>, value: Value) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Plain => printed::string(state, &value),
        ValueKind::Map if !value.is_kwargs() => printed::string(state, &value),
        _ => Ok(value),
    }
}

/// The format with conversions that the engine knows: `%r` is `%s` of what Python's `repr` gives, `%d` cuts a fraction
/// off.
fn in_known(state: &State<'_, '_>, format: &str, args: &mut [Value]) -> Result<String, Error> {
    let mut out = String::with_capacity(format.len());
    let mut rest = format;
    let mut at = 0;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        out.push('%');
        // Flags, width and precision.
        let end = after.find(|c: char| !"-+ #0123456789.*hlL".contains(c)).unwrap_or(after.len());
        let (spec, conversion) = after.split_at(end);
        out.push_str(spec);
        at += spec.matches('*').count();
        let mut letters = conversion.chars();
        let Some(letter) = letters.next() else {
            rest = "";
            break;
        };
        rest = letters.as_str();
        let arg = args.get_mut(at).filter(|arg| !arg.is_kwargs());
        out.push(match (letter, arg) {
            ('r', Some(arg)) => {
                *arg = printed::repr(state, arg)?.into();
                's'
            }
            ('a', Some(arg)) => {
                *arg = printed::ascii(state, arg)?.into();
                's'
            }
            // A float as `str` gives it.
            ('s', Some(arg)) if arg.kind() == ValueKind::Number => {
                *arg = printed::text(state, arg)?.into();
                's'
            }
            ('d' | 'i' | 'u', Some(arg)) => {
                let cut = f64::try_from(arg.clone()).ok().filter(|_| !arg.is_integer()).and_then(whole::of_float);
                if let Some(cut) = cut.filter(|_| arg.kind() == ValueKind::Number) {
                    *arg = cut;
                }
                if letter == 'u' { 'd' } else { letter }
            }
            _ => letter,
        });
        if letter == '(' {
            // What a name in brackets stands for is the engine's to look up.
            let (name, behind) = rest.split_at(rest.find(')').map_or(rest.len(), |end| end + 1));
            out.push_str(name);
            rest = behind;
        } else {
            at += usize::from(letter != '%');
        }
    }
    if args.get(at).is_some_and(|rest| !rest.is_kwargs()) && at > 0 {
        return Err(fault("more arguments than the format has places"));
    }
    Ok(out + rest)
}

/// A number of bytes, as people say it.
pub fn file_size(value: &Value, binary: Option<bool>) -> Result<String, Error> {
    let bytes = match value.as_str() {
        Some(text) => whole::read_float(text).ok_or_else(|| fault("filesizeformat needs a number"))?,
        None => f64::try_from(value.clone())?,
    };
    let (base, prefixes) = if binary == Some(true) {
        (1024.0_f64, ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"])
    } else {
        (1000.0, ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"])
    };
    if bytes == 1.0 {
        return Ok("1 Byte".to_owned());
    }
    if bytes < base {
        return Ok(format!("{:.0} Bytes", bytes.trunc()));
    }
    let fits = |power: &usize| bytes < base.powi(*power as i32 + 2);
    let power = (0..prefixes.len()).find(fits).unwrap_or(prefixes.len() - 1);
    Ok(format!("{:.1} {}", base * bytes / base.powi(power as i32 + 2), prefixes[power]))
}
