//! Names behind a dot or in brackets, as Jinja looks them up: what Python's own types have, and what a map holds.

use minijinja::{
    Error, Value,
    value::{ValueKind, from_args},
};

use super::views::{self, Method};

/// Of texts.
const OF_TEXTS: [&str; 47] = [
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "maketrans",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "translate",
    "upper",
    "zfill",
];

/// Of maps.
const OF_MAPS: [&str; 6] = ["copy", "fromkeys", "get", "items", "keys", "values"];

/// Of maps too, and what they do is forbidden in a template.
const OF_MAPS_FORBIDDEN: [&str; 5] = ["clear", "pop", "popitem", "setdefault", "update"];

/// Of lists.
const OF_LISTS: [&str; 3] = ["copy", "count", "index"];

const OF_LISTS_FORBIDDEN: [&str; 8] = ["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"];

/// The method that stands for a name behind a dot; [`BRACKETS`] for one in brackets. Nobody can write them.
pub const DOT: &str = "__attr";
pub const BRACKETS: &str = "__item";

/// Whether a value of some type has a method of this name.
pub fn is_method(name: &str) -> bool {
    let kinds: [&[&str]; 5] = [&OF_TEXTS, &OF_MAPS, &OF_MAPS_FORBIDDEN, &OF_LISTS, &OF_LISTS_FORBIDDEN];
    kinds.iter().any(|names| names.contains(&name))
}

/// What Python has of this name, whatever a map holds.
fn of_python(value: &Value, name: &str) -> Option<Value> {
    let (methods, forbidden): (&[&str], &[&str]) = match value.kind() {
        ValueKind::String => (&OF_TEXTS, &[]),
        ValueKind::Map if !is_ours(value) => (&OF_MAPS, &OF_MAPS_FORBIDDEN),
        _ if views::is_list(value) => (&OF_LISTS, &OF_LISTS_FORBIDDEN),
        _ => return None,
    };
    if methods.contains(&name) {
        Some(Value::from_object(Method))
    } else {
        forbidden.contains(&name).then_some(Value::UNDEFINED)
    }
}

/// Objects of Jinja, whose attributes are their own.
fn is_ours(value: &Value) -> bool {
    ["::Namespace", "::Macro", "::Loop", "::LoopState"].iter().any(|kind| views::is_of(value, kind))
}

/// `value.name`: the type's own comes first.
pub fn dotted(value: &Value, args: &[Value]) -> Result<Value, Error> {
    let (name,): (&str,) = from_args(args)?;
    of_python(value, name).map_or_else(|| value.get_attr(name), Ok)
}

/// `value['name']`: what the map holds comes first.
pub fn bracketed(value: &Value, args: &[Value]) -> Result<Value, Error> {
    let (name,): (&str,) = from_args(args)?;
    let held = value.get_attr(name)?;
    Ok(if held.is_undefined() { of_python(value, name).unwrap_or(held) } else { held })
}

/// The filter `attr`: never what a map holds.
pub fn attr(value: &Value, name: &str) -> Result<Value, Error> {
    let plain = matches!(value.kind(), ValueKind::Map | ValueKind::Seq | ValueKind::String) && !is_ours(value);
    match of_python(value, name) {
        Some(found) => Ok(found),
        None if plain => Ok(Value::UNDEFINED),
        None => value.get_attr(name),
    }
}
