//! Python's `json.dumps`, which published templates rely on to the space.

use std::fmt::Write as _;

use minijinja::{
    Error, State, Value,
    value::{Kwargs, Rest, ValueKind},
};

use super::{
    arguments::{bind, is_set},
    fault,
    printed::{DEEPEST, python_float},
    views, whole,
};

/// Spaces that `indent` may ask for, one level.
const WIDEST_INDENT: usize = 64;

/// The filter `tojson`: `ensure_ascii=False` unless asked for, with Python's separators and keyword arguments.
pub fn tojson(state: &State<'_, '_>, value: &Value, args: Rest<Value>, kwargs: Kwargs) -> Result<String, Error> {
    let names = ["ensure_ascii", "indent", "separators", "sort_keys"];
    let [ensure_ascii, indent, separators, sort_keys] = bind(&args, &kwargs, names)?;
    let indent = indent.filter(|indent| !indent.is_none());
    let separators = separators.filter(|separators| !separators.is_none());
    let separators = separators.map(|pair| Ok::<_, Error>(pair.try_iter()?.map(|mark| mark.to_string()).collect()));
    let separators: Option<Vec<String>> = separators.transpose()?;
    let indent = indent.map(|indent| match indent.as_str() {
        Some(text) => text.to_owned(),
        None => " ".repeat(usize::try_from(indent).unwrap_or(0).min(WIDEST_INDENT)),
    });
    let (item, key) = match separators.as_deref() {
        Some([item, key]) => (item.as_str(), key.as_str()),
        _ if indent.is_some() => (",", ": "),
        _ => (", ", ": "),
    };
    let mut writer = PythonJson {
        state,
        indent,
        ensure_ascii: is_set(ensure_ascii.as_ref()),
        sort_keys: is_set(sort_keys.as_ref()),
        item,
        key,
        out: String::new(),
        paid: 0,
    };
    writer.write(value, 0)?;
    Ok(writer.out)
}

struct PythonJson<'a> {
    state: &'a State<'a, 'a>,
    indent: Option<String>,
    ensure_ascii: bool,
    sort_keys: bool,
    item: &'a str,
    key: &'a str,
    out: String,
    /// Bytes of `out` that fuel was already spent on.
    paid: usize,
}

impl PythonJson<'_> {
    fn write(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > DEEPEST {
            return Err(fault("tojson cannot write values nested this deep"));
        }
        // Writing can make far more than it was given: a list may hold one long text a thousand times.
        self.state.consume_fuel(1 + (self.out.len() - self.paid) as u64 / 16)?;
        self.paid = self.out.len();
        match value.kind() {
            ValueKind::Undefined => {
                return Err(fault("Object of type Undefined is not JSON serializable"));
            }
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool if value.is_true() => self.out.push_str("true"),
            ValueKind::Bool => self.out.push_str("false"),
            ValueKind::Number => self.out.push_str(&number(value)),
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable if views::is_list(value) => {
                self.out.push('[');
                let mut items = 0;
                for item in value.try_iter()? {
                    self.begin_item(items, depth);
                    self.write(&item, depth + 1)?;
                    items += 1;
                }
                self.end_items(items, depth, ']');
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sort_keys {
                    keys.sort();
                }
                self.out.push('{');
                for (i, key) in keys.iter().enumerate() {
                    self.begin_item(i, depth);
                    let name = match key.kind() {
                        ValueKind::None => "null".to_owned(),
                        ValueKind::Bool => key.is_true().to_string(),
                        ValueKind::Number => number(key),
                        _ => key.to_string(),
                    };
                    self.string(&name);
                    self.out.push_str(self.key);
                    self.write(&value.get_item(key)?, depth + 1)?;
                }
                self.end_items(keys.len(), depth, '}');
            }
            _ if whole::is_one(value) => self.out.push_str(&value.to_string()),
            ValueKind::Seq | ValueKind::Iterable => {
                return Err(fault(
                    "tojson writes lists: what range, items, map or select give needs list in front of it",
                ));
            }
            kind => return Err(fault(format!("tojson cannot write a {kind}"))),
        }
        Ok(())
    }

    fn begin_item(&mut self, index: usize, depth: usize) {
        if index > 0 {
            self.out.push_str(self.item);
        }
        self.new_line(depth + 1);
    }

    /// Empty containers stay on one line.
    fn end_items(&mut self, items: usize, depth: usize, close: char) {
        if items > 0 {
            self.new_line(depth);
        }
        self.out.push(close);
    }

    fn new_line(&mut self, depth: usize) {
        if let Some(indent) = &self.indent {
            self.out.push('\n');
            for _ in 0..depth {
                self.out.push_str(indent);
            }
        }
    }

    fn string(&mut self, text: &str) {
        // serde_json escapes what Python escapes; Python can also write everything beyond ASCII as \u.
        let quoted = serde_json::Value::from(text).to_string();
        if !self.ensure_ascii {
            self.out.push_str(&quoted);
            return;
        }
        for c in quoted.chars() {
            // Python counts DEL as ASCII too.
            if c.is_ascii() {
                self.out.push(c);
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(self.out, "\\u{unit:04x}").ok();
                }
            }
        }
    }
}

fn number(value: &Value) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    f64::try_from(value.clone()).map_or_else(|_| value.to_string(), python_float)
}
