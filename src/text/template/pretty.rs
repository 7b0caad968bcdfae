//! Python's `pprint.pformat`: lines of at most 80 letters, the keys of maps in order.

use minijinja::{
    Error, State, Value,
    value::{Tuple, ValueKind},
};

use super::{
    methods,
    printed::{self, DEEPEST},
    strip::is_space,
    views,
};

const WIDTH: usize = 80;

/// The filter `pprint`.
pub fn pprint(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let mut printer = Printer { state, out: String::new() };
    printer.write(&sorted(value, 0)?, 0, 0, 0)?;
    Ok(printer.out)
}

/// The same with the keys of its maps in order.
fn sorted(value: &Value, depth: usize) -> Result<Value, Error> {
    match value.kind() {
        _ if depth > DEEPEST => Ok(value.clone()),
        ValueKind::Map => {
            let mut keys: Vec<Value> = value.try_iter()?.collect();
            keys.sort();
            let pairs = keys.into_iter().map(|key| {
                let item = sorted(&value.get_item(&key)?, depth + 1)?;
                Ok((key, item))
            });
            Ok(Value::from_pairs(pairs.collect::<Result<Vec<_>, Error>>()?))
        }
        _ if views::is_list(value) => {
            let items = value.try_iter()?.map(|item| sorted(&item, depth + 1)).collect::<Result<Vec<_>, _>>()?;
            Ok(if views::is_tuple(value) { Tuple::from(items).into() } else { items.into() })
        }
        _ => Ok(value.clone()),
    }
}

struct Printer<'a> {
    state: &'a State<'a, 'a>,
    out: String,
}

impl Printer<'_> {
    /// `indent`: where in its line the value begins. `allowance`: letters that follow it there.
    fn write(&mut self, value: &Value, indent: usize, allowance: usize, level: usize) -> Result<(), Error> {
        let whole = printed::repr(self.state, value)?;
        let fits = whole.chars().count() + indent + allowance <= WIDTH;
        match value.kind() {
            ValueKind::Map if !fits => self.map(value, indent, allowance, level + 1),
            _ if !fits && views::is_list(value) => self.list(value, indent, allowance, level + 1),
            ValueKind::String if !fits => self.text(value.as_str().unwrap_or_default(), indent, allowance, level + 1),
            _ => {
                self.out.push_str(&whole);
                Ok(())
            }
        }
    }

    fn line(&mut self, indent: usize) -> Result<(), Error> {
        self.state.consume_fuel(1 + indent as u64 / 64)?;
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n(' ', indent));
        Ok(())
    }

    fn map(&mut self, map: &Value, indent: usize, allowance: usize, level: usize) -> Result<(), Error> {
        self.out.push('{');
        let keys: Vec<Value> = map.try_iter()?.collect();
        for (at, key) in keys.iter().enumerate() {
            let last = at + 1 == keys.len();
            let name = printed::repr(self.state, key)?;
            self.out.push_str(&name);
            self.out.push_str(": ");
            let begins = indent + 1 + name.chars().count() + 2;
            self.write(&map.get_item(key)?, begins, if last { allowance + 1 } else { 1 }, level)?;
            if !last {
                self.out.push(',');
                self.line(indent + 1)?;
            }
        }
        self.out.push('}');
        Ok(())
    }

    fn list(&mut self, list: &Value, indent: usize, allowance: usize, level: usize) -> Result<(), Error> {
        let items: Vec<Value> = list.try_iter()?.collect();
        let (open, close) = match (list.downcast_object_ref::<Tuple>(), items.len()) {
            (None, _) => ('[', "]"),
            (Some(_), 1) => ('(', ",)"),
            (Some(_), _) => ('(', ")"),
        };
        self.out.push(open);
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.out.push(',');
                self.line(indent + 1)?;
            }
            let last = at + 1 == items.len();
            self.write(item, indent + 1, if last { allowance + close.len() } else { 1 }, level)?;
        }
        self.out.push_str(close);
        Ok(())
    }

    /// A long text in pieces, each with its quotes; by itself in brackets.
    fn text(&mut self, text: &str, indent: usize, allowance: usize, level: usize) -> Result<(), Error> {
        let alone = usize::from(level == 1);
        let (indent, allowance) = (indent + alone, allowance + alone);
        let width = WIDTH.saturating_sub(indent);
        let length = |text: &str| Ok::<_, Error>(printed::repr(self.state, &text.into())?.chars().count());
        let mut pieces: Vec<String> = Vec::new();
        let lines = methods::lines(text, true);
        for (at, line) in lines.iter().enumerate() {
            let last_line = at + 1 == lines.len();
            if length(line)? <= width.saturating_sub(if last_line { allowance } else { 0 }) {
                pieces.push((*line).to_owned());
                continue;
            }
            let words = words(line);
            let mut current = String::new();
            for (at, word) in words.iter().enumerate() {
                let end = if last_line && at + 1 == words.len() { allowance } else { 0 };
                let longer = format!("{current}{word}");
                if length(&longer)? <= width.saturating_sub(end) {
                    current = longer;
                    continue;
                }
                if !current.is_empty() {
                    pieces.push(std::mem::take(&mut current));
                }
                current.push_str(word);
            }
            if !current.is_empty() {
                pieces.push(current);
            }
        }
        let bracketed = level == 1 && pieces.len() > 1;
        if bracketed {
            self.out.push('(');
        }
        for (at, piece) in pieces.iter().enumerate() {
            if at > 0 {
                self.line(indent)?;
            }
            self.out.push_str(&printed::repr(self.state, &piece.as_str().into())?);
        }
        if bracketed {
            self.out.push(')');
        }
        Ok(())
    }
}

/// Words, each with the white space behind it.
fn words(line: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let blank = rest.find(is_space).unwrap_or(rest.len());
        let end = rest[blank..].find(|c| !is_space(c)).map_or(rest.len(), |end| blank + end);
        let (word, after) = rest.split_at(end);
        all.push(word);
        rest = after;
    }
    all
}
