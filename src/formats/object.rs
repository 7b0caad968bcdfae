//! The fields of one JSON object, each as the file has it: numbers to the last letter, doubled names seen, and `NaN`
//! where Python wrote it.
//!
//! serde_json knows what is JSON and what a value means. It keeps numbers as 64 bits, lets the last of two fields of
//! one name win without a word, and refuses a whole record for a `NaN` in a column that nobody asks for. So the object
//! is cut into its fields here, and each is handed to it on its own.

use std::{borrow::Cow, cell::RefCell, fmt};

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json};

use ::data::integers;

/// A name and its value, as they stand in the text.
pub type Field<'a> = (Cow<'a, str>, &'a str);

/// The field of an object that stands for bytes which are no text.
pub const NO_TEXT: &str = "bytes";

/// What to do with a table of a kind that is not read here.
pub const TABLE: &str = "Write its rows as JSON lines first, e.g. with pandas: df.to_json(\"pairs.jsonl\", orient=\"records\", \
    lines=True, force_ascii=False).";

/// What Python's `json` writes for numbers that are none.
const NO_NUMBERS: [&str; 3] = ["NaN", "-Infinity", "Infinity"];

/// Whether a value is one of the words that Python writes for a number that is none.
pub fn is_no_number(raw: &str) -> bool {
    NO_NUMBERS.contains(&raw)
}

/// The fields in their order. An error is a sentence about what is no JSON; it is also one when the text is JSON but no
/// object: see [`value`].
pub fn fields(text: &str) -> Result<Vec<Field<'_>>, String> {
    let fields = cut(text).ok_or_else(|| why(text))?;
    for (_, raw) in &fields {
        if !is_no_number(raw) && serde_json::from_str::<IgnoredAny>(raw).is_err() {
            let readable = without_no_numbers(raw);
            serde_json::from_str::<IgnoredAny>(&readable).map_err(|_| why(text))?;
        }
    }
    Ok(fields)
}

/// A value; a number in it that is none is null. Names that stand twice in an object of it go to `doubled`.
pub fn value(raw: &str, doubled: &RefCell<Vec<String>>) -> Result<Json, String> {
    let read = |text: &str| {
        let mut from = serde_json::Deserializer::from_str(text);
        let value = Noting { doubled }.deserialize(&mut from)?;
        from.end().map(|()| value)
    };
    let kept = integers::kept(raw);
    read(&kept).or_else(|_| read(&without_no_numbers(&kept))).map_err(|error| sentence(&error))
}

/// What is wrong with a text that should be JSON.
fn why(text: &str) -> String {
    match serde_json::from_str::<IgnoredAny>(&without_no_numbers(text)) {
        Err(error) if error.is_eof() => CUT_OFF.to_owned(),
        Err(error) => sentence(&error),
        Ok(_) => "not JSON".to_owned(),
    }
}

/// Of a record that ends before it is complete.
const CUT_OFF: &str = "the JSON record does not end on its line; JSON lines hold one record a line";

fn sentence(error: &serde_json::Error) -> String {
    // serde_json counts lines within the record; the file's line is known already.
    let said = error.to_string();
    let said = said.split(" at line ").next().unwrap_or_default();
    format!("not JSON: {said} (character {})", error.column())
}

/// Finds the fields by their quotes and brackets; what a value is worth is decided elsewhere.
fn cut(text: &str) -> Option<Vec<Field<'_>>> {
    let bytes = text.as_bytes();
    let blank = |mut at: usize| {
        while bytes.get(at).is_some_and(|byte| is_blank(*byte)) {
            at += 1;
        }
        at
    };
    let expect = |at: usize, byte: u8| (bytes.get(at) == Some(&byte)).then(|| blank(at + 1));
    let mut fields = Vec::new();
    let mut at = expect(blank(0), b'{')?;
    while bytes.get(at) != Some(&b'}') {
        if !fields.is_empty() {
            at = expect(at, b',')?;
        }
        let end = quoted(bytes, at)?;
        let name = &text[at + 1..end - 1];
        let name =
            if name.contains('\\') { Cow::Owned(serde_json::from_str(&text[at..end]).ok()?) } else { name.into() };
        at = expect(blank(end), b':')?;
        let end = value_end(bytes, at)?;
        fields.push((name, &text[at..end]));
        at = blank(end);
    }
    (blank(at + 1) == bytes.len()).then_some(fields)
}

/// White space as JSON knows it.
pub fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Where the text that begins with the quote at `at` ends, behind its closing quote.
pub fn quoted(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let mut end = at + 1;
    loop {
        match bytes.get(end)? {
            b'"' => return Some(end + 1),
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
}

/// Where the value that begins at `at` ends.
pub fn value_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    let mut depth = 0_u32;
    loop {
        match bytes.get(end)? {
            b'"' => end = quoted(bytes, end)?,
            b'{' | b'[' => {
                depth += 1;
                end += 1;
            }
            b'}' | b']' if depth > 0 => {
                depth -= 1;
                end += 1;
            }
            b',' | b'}' | b']' if depth == 0 => break,
            byte if depth == 0 && is_blank(*byte) => break,
            _ => end += 1,
        }
        let complete = depth == 0 && matches!(bytes[end - 1], b'"' | b'}' | b']');
        if complete {
            break;
        }
    }
    (end > at).then_some(end)
}

/// The same text with `null` for every number that is none, outside of quotes.
fn without_no_numbers(text: &str) -> Cow<'_, str> {
    if !NO_NUMBERS.iter().any(|word| text.contains(word)) {
        return text.into();
    }
    let bytes = text.as_bytes();
    let mut readable = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'"' => quoted(bytes, at).unwrap_or(bytes.len()).min(bytes.len()),
            b'N' | b'I' | b'-' => {
                if let Some(word) = NO_NUMBERS.iter().find(|word| bytes[at..].starts_with(word.as_bytes())) {
                    readable.push_str("null");
                    at += word.len();
                    continue;
                }
                at + 1
            }
            // Up to the next byte that may matter; all of them are ASCII, so no letter is torn.
            _ => {
                bytes[at..].iter().position(|b| matches!(b, b'"' | b'N' | b'I' | b'-')).map_or(bytes.len(), |n| at + n)
            }
        };
        readable.push_str(text.get(at..end).unwrap_or_default());
        at = end;
    }
    readable.into()
}

/// Reads a value and notes names that stand twice in one object; the last counts, as in Python's `json`.
#[derive(Clone, Copy)]
struct Noting<'a> {
    doubled: &'a RefCell<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Noting<'_> {
    type Value = Json;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Json, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Noting<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut object = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self)?;
            if object.insert(name.clone(), value).is_some() {
                self.doubled.borrow_mut().push(name);
            }
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names_and_values(text: &str) -> Result<Vec<(String, String)>, String> {
        Ok(fields(text)?.into_iter().map(|(name, raw)| (name.into_owned(), raw.to_owned())).collect())
    }

    #[test]
    fn dl3_values_are_kept_to_the_letter() {
        let text =
            r#" { "a" : 123456789012345678901234567890,"b":1.50, "c" :"x\",}","d":[{"e":"]"}, 2 ] ,"\u0066":1e999} "#;
        let fields = names_and_values(text).unwrap();
        let expected = [
            ("a", "123456789012345678901234567890"),
            ("b", "1.50"),
            ("c", r#""x\",}""#),
            ("d", r#"[{"e":"]"}, 2 ]"#),
            ("f", "1e999"),
        ];
        assert_eq!(fields, expected.map(|(name, raw)| (name.to_owned(), raw.to_owned())));
        assert_eq!(names_and_values("{}").unwrap(), []);
    }

    #[test]
    fn dm10_numbers_that_are_none_are_read_where_python_writes_them() {
        let text = r#"{"a": NaN, "b": [-Infinity, "NaN", {"c": Infinity}], "d": "é-NaN"}"#;
        let fields = fields(text).unwrap();
        assert!(is_no_number(fields[0].1));
        let doubled = RefCell::default();
        assert_eq!(value(fields[1].1, &doubled).unwrap(), serde_json::json!([null, "NaN", {"c": null}]));
        assert_eq!(value(fields[2].1, &doubled).unwrap(), "é-NaN");
        for broken in [r#"{"a": nan}"#, r#"{"a": NaN1}"#, r#"{"a": Nan}"#] {
            assert!(super::fields(broken).unwrap_err().starts_with("not JSON"), "{broken}");
        }
    }

    #[test]
    fn dl3_names_that_stand_twice_are_seen_at_any_depth() {
        let doubled = RefCell::default();
        let read = value(r#"[{"role":"user","role":"system","x":{"y":1,"y":2}}]"#, &doubled).unwrap();
        assert_eq!(read, serde_json::json!([{"role": "system", "x": {"y": 2}}]));
        assert_eq!(doubled.into_inner(), ["role", "y"]);
    }

    #[test]
    fn what_is_wrong_is_told_as_serde_tells_it() {
        for (text, words) in [
            ("{\"a\": }", "not JSON: expected value (character 7)"),
            ("{\"a\": 1", CUT_OFF),
            ("{'a': 1}", "not JSON: key must be a string"),
            ("{\"a\": 1} x", "not JSON: trailing characters"),
            ("{\"a\": 1,}", "not JSON: key must be a string"),
            ("{\"a\": [1 2]}", "not JSON"),
            ("{\"a\": tru}", "not JSON"),
            ("{\"a\": \"\n\"}", "not JSON: control character"),
        ] {
            let said = fields(text).unwrap_err();
            assert!(said.starts_with(words), "{text}: {said}");
        }
    }

    /// Any JSON value with plain numbers.
    fn json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            "[ -~é\\n\"\\\\{}\\[\\],:]{0,8}".prop_map(Json::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                prop::collection::vec(("[a-c\"\\\\é]{0,2}", inner), 0..4)
                    .prop_map(|entries| Json::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Any object is cut into what serde_json finds in it.
        #[test]
        fn objects_come_apart_as_serde_takes_them_apart(
            entries in prop::collection::vec(("[a-z\"\\\\é ]{0,4}", json()), 0..5),
            pretty in any::<bool>(),
        ) {
            let object: Map<String, Json> = entries.into_iter().collect();
            let text = if pretty {
                serde_json::to_string_pretty(&object).unwrap()
            } else {
                serde_json::to_string(&object).unwrap()
            };
            let doubled = RefCell::default();
            let found: Map<String, Json> = fields(&text)
                .unwrap()
                .into_iter()
                .map(|(name, raw)| (name.into_owned(), value(raw, &doubled).unwrap()))
                .collect();
            prop_assert_eq!(found, object);
        }

        /// What is accepted is what serde_json accepts, whatever is broken.
        #[test]
        fn nothing_broken_is_taken_for_an_object(text in "[{}\\[\\],:\"\\\\a1 é\\n]{0,14}|\\{\"[a\"\\\\]{0,3}\"?: ?[\\]\\[{},:\"a1 ]{0,8}\\}?") {
            let ours = fields(&text).is_ok();
            let theirs = serde_json::from_str::<IgnoredAny>(&text).is_ok() && text.trim_start().starts_with('{');
            prop_assert_eq!(ours, theirs);
        }
    }
}
