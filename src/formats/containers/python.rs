//! Messages in a cell of a table, as JSON or as Python and numpy print them.

use serde_json::{Map, Value as Json};

use ::data::integers;

/// Nested deeper than this no message is.
const DEEPEST: usize = 32;

/// What a message may have besides, and no more: other data stays a text.
const NAMES: [&str; 15] = [
    "role",
    "content",
    "from",
    "value",
    "name",
    "tool_calls",
    "tool_call_id",
    "weight",
    "reasoning_content",
    "reasoning",
    "thinking",
    "refusal",
    "function_call",
    "annotations",
    "audio",
];

/// The message or messages that a cell holds; absent for every other text, even if it looks like data.
pub fn messages(cell: &str) -> Option<Json> {
    let cell = cell.trim();
    let is_list = cell.starts_with('[') && cell.ends_with(']') && cell.contains('{');
    let is_object = cell.starts_with('{') && cell.ends_with('}');
    if !is_list && !is_object {
        return None;
    }
    let value = integers::read(cell).ok().or_else(|| Literal { text: cell, at: 0 }.whole())?;
    let is_one = match &value {
        Json::Array(all) => !all.is_empty() && all.iter().all(is_message),
        one => is_message(one),
    };
    is_one.then_some(value)
}

fn is_message(value: &Json) -> bool {
    let Some(fields) = value.as_object() else {
        return false;
    };
    let speaks = ["role", "from"].iter().any(|name| fields.get(*name).is_some_and(Json::is_string));
    let says = ["content", "value", "tool_calls"].iter().any(|name| fields.contains_key(*name));
    speaks && says && fields.keys().all(|name| NAMES.contains(&name.as_str()))
}

/// A Python literal: lists, dicts, texts, numbers, None, True and False; lists of numpy too, which have no commas.
struct Literal<'a> {
    text: &'a str,
    at: usize,
}

impl Literal<'_> {
    fn whole(mut self) -> Option<Json> {
        let value = self.value(0)?;
        self.blank();
        (self.at == self.text.len()).then_some(value)
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn blank(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, word: &str) -> bool {
        self.blank();
        let found = self.rest().starts_with(word);
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        if depth > DEEPEST {
            return None;
        }
        for (word, value) in [("None", Json::Null), ("True", true.into()), ("False", false.into())] {
            if self.take(word) {
                return Some(value);
            }
        }
        // numpy's lists in lists, and pandas' dates.
        let wrapped = self.take("array(");
        let value = match self.rest().chars().next()? {
            '[' => self.list(depth)?,
            '{' => self.dict(depth)?,
            '\'' | '"' => self.string()?.into(),
            _ => self.number()?,
        };
        if wrapped {
            if self.take(",") {
                // Its `dtype=object`.
                self.at += self.rest().find(')')?;
            }
            self.take(")").then_some(())?;
        }
        Some(value)
    }

    fn list(&mut self, depth: usize) -> Option<Json> {
        self.take("[").then_some(())?;
        let mut all = Vec::new();
        while !self.take("]") {
            all.push(self.value(depth + 1)?);
            self.take(",");
        }
        Some(all.into())
    }

    fn dict(&mut self, depth: usize) -> Option<Json> {
        self.take("{").then_some(())?;
        let mut all = Map::new();
        while !self.take("}") {
            self.blank();
            let name = self.string()?;
            self.take(":").then_some(())?;
            all.insert(name, self.value(depth + 1)?);
            self.take(",");
        }
        Some(all.into())
    }

    fn number(&mut self) -> Option<Json> {
        let end = self.rest().find([',', ']', '}', ')', ' ', '\n']).unwrap_or(self.rest().len());
        let number = serde_json::from_str::<serde_json::Number>(&self.rest()[..end]).ok()?;
        self.at += end;
        Some(number.into())
    }

    fn string(&mut self) -> Option<String> {
        let quote = self.rest().chars().next().filter(|letter| matches!(letter, '\'' | '"'))?;
        let mut letters = self.rest()[1..].char_indices();
        let mut text = String::new();
        loop {
            let (at, letter) = letters.next()?;
            match letter {
                _ if letter == quote => {
                    self.at += 1 + at + 1;
                    return Some(text);
                }
                '\\' => {
                    let kind = letters.next()?.1;
                    let mut code = |digits: usize| {
                        let code: String = letters.by_ref().take(digits).map(|(_, digit)| digit).collect();
                        char::from_u32(u32::from_str_radix(&code, 16).ok()?)
                    };
                    text.push(match kind {
                        'n' => '\n',
                        't' => '\t',
                        'r' => '\r',
                        'x' => code(2)?,
                        'u' => code(4)?,
                        'U' => code(8)?,
                        other => other,
                    });
                }
                other => text.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_are_read_as_json_and_as_python_prints_them() {
        let expected = json!([
            {"role": "user", "content": "It's\n\"1\" é \\ \u{7}"},
            {"role": "assistant", "content": "2", "tool_calls": null},
        ]);
        for cell in [
            expected.to_string(),
            r#"[{'role': 'user', 'content': 'It\'s\n"1" é \\ \x07'}, {'role': "assistant", 'content': '2', 'tool_calls': None}]"#.to_owned(),
            // numpy, between whose elements stand no commas.
            "[{'role': 'user', 'content': 'It\\'s\\n\"1\" \\u00e9 \\\\ \\x07'}\n {'role': 'assistant', 'content': '2', 'tool_calls': None}]".to_owned(),
        ] {
            assert_eq!(messages(&cell).as_ref(), Some(&expected), "{cell}");
        }
        // As OpenAI's library prints a message, and as models that reason write theirs.
        for cell in [
            "{'content': '2', 'refusal': None, 'role': 'assistant', 'annotations': [], 'audio': None, 'tool_calls': None}",
            r#"[{"role": "assistant", "content": "2", "reasoning_content": "1 + 1"}]"#,
        ] {
            assert!(messages(cell).is_some(), "{cell}");
        }
    }

    #[test]
    fn other_texts_stay_texts() {
        let deep = "[".repeat(10_000) + "{" + &"]".repeat(10_000);
        for cell in [
            "[1, 2]",
            "[{\"a\": 1}]",
            "{'role': 'user'}",
            "[]",
            "[{'role': 'user', 'content': 'x'",
            &deep,
            "[{'role':}]",
        ] {
            assert_eq!(messages(cell), None, "{cell}");
        }
    }
}
