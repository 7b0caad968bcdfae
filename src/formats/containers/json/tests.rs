//! Records as they come apart, whole and broken.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

/// What is known of a text before it is read.
const START_HERE: usize = 40;

/// A record's line and its value, or what is wrong with it.
type Found = (u64, Result<Json, String>);

/// Lines and values of the records, or what is wrong with them; `""` for what is no JSON.
fn records_of(text: &[u8], piece: usize) -> (Vec<Found>, bool) {
    let (start, rest) = text.split_at(text.len().min(START_HERE));
    let rest = BufReader::with_capacity(piece, rest);
    let mut records = Records::of(Source::behind(start.to_vec(), rest, ENDLESS), LONGEST).unwrap();
    let mut all = Vec::new();
    while let Some(Stretch { place: line, text }) = records.next().unwrap() {
        all.push((line, text.and_then(|text| serde_json::from_str(text).map_err(|_| String::new()))));
    }
    assert!(records.source.fill_buf().unwrap().is_empty(), "all of it was read");
    (all, records.breaks_off().is_some())
}

/// Whatever comes in pieces of whatever size.
fn records(text: &str) -> Vec<Found> {
    let (all, _) = records_of(text.as_bytes(), 1 << 16);
    for piece in [1, 2, 7] {
        assert_eq!(records_of(text.as_bytes(), piece).0, all, "{text}");
    }
    all
}

/// The values that came in.
fn good(text: &str) -> Vec<Json> {
    records(text).into_iter().filter_map(|(_, value)| value.ok()).collect()
}

#[test]
fn lines_count_from_one_through_blanks_and_windows_line_ends() {
    let all = records("\u{FEFF}\r\n{\"a\": 1}\r\n\r\n  \n{\"b\": 2}");
    assert_eq!(all, [(2, Ok(json!({"a": 1}))), (5, Ok(json!({"b": 2})))]);
}

#[test]
fn array_elements_know_their_lines_and_break_alone() {
    let text = "\n[\n  {\"a\": \"x]},\\\"[\"},\n  {\"b\": nonsense},\n  {\n    \"c\": [1, 2]\n  }\n]\n";
    let all = records(text);
    assert_eq!(all, [(3, Ok(json!({"a": "x]},\"["}))), (4, Err(String::new())), (5, Ok(json!({"c": [1, 2]})))]);
}

#[test]
fn nothing_at_all_is_no_record() {
    for text in ["", "\n \n", "[]", "[ \n ]", "[,]", "[]\n[]\n"] {
        assert_eq!(records(text), [], "{text}");
    }
}

#[test]
fn objects_over_several_lines_need_no_array() {
    let pretty = "{\n  \"a\": 1\n}\n{\n  \"a\": {\n    \"b\": 2\n  }\n}\n";
    assert_eq!(records(pretty), [(1, Ok(json!({"a": 1}))), (4, Ok(json!({"a": {"b": 2}})))]);
    // A line that was cut off is no such object.
    let cut = "{\"a\": \n{\"a\": 1}\n";
    assert_eq!(records(cut), [(1, Err(String::new())), (2, Ok(json!({"a": 1})))]);
}

#[test]
fn arrays_that_were_put_together_and_commas_that_are_missing_lose_nothing() {
    assert_eq!(good("[{\"a\": 1}]\n[{\"a\": 2}]\n"), [json!({"a": 1}), json!({"a": 2})]);
    assert_eq!(good("[{\"a\": 1}]\n{\"a\": 2}\n"), [json!({"a": 1}), json!({"a": 2})]);
    assert_eq!(good("[{\"a\": 1} {\"a\": 2},, {\"a\": 3},]"), [json!({"a": 1}), json!({"a": 2}), json!({"a": 3})]);
    assert_eq!(records("[{\"a\": 1}] rest").last(), Some(&(1, Err(String::new()))));
}

#[test]
fn dm11_a_broken_record_of_an_array_takes_no_other_with_it() {
    let record = |n: u32| {
        format!("{{\"prompt\":\"p{n}\",\"chosen\":\"a, b\",\"rejected\":[{{\"role\":\"x\",\"content\":\"y\"}}]}}")
    };
    let value = |n: u32| serde_json::from_str::<Json>(&record(n)).unwrap();
    let broken = [
        // A quote is missing, at a line's end and in the middle.
        "{\"prompt\":\"p\",\"chosen\":\"open,\n\"rejected\":\"x\"}",
        "{\"prompt\":\"p\",\"chosen\":\"open,\"rejected\":\"x\"}",
        "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"open}",
        "{\"prompt\":\"p,\"chosen\":\"a\",\"rejected\":\"b\"}",
        "{\"prompt:\"p\",\"chosen\":\"a\",\"rejected\":\"b\"}",
        "{prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\"}",
        // One is too many.
        "{\"prompt\":\"p\"x\",\"chosen\":\"a\",\"rejected\":\"b\"}",
        "{\"prompt\":\"he said \"no\" twice\",\"chosen\":\"a\",\"rejected\":\"b\"}",
        "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\"\"}",
        "{\"prompt\":\"p\",\"chosen\":[{\"role\":\"a\"b\",\"content\":\"x\"},{\"role\":\"c\"}],\"rejected\":\"b\"}",
        // A line end inside a text.
        "{\"prompt\":\"one\ntwo\",\"chosen\":\"a\",\"rejected\":\"b\"}",
        // Brackets.
        "{\"prompt\":\"p\",\"chosen\":[1,\"rejected\":\"b\"}",
        "{\"prompt\":\"p\",\"chosen\":1],\"rejected\":\"b\"}",
        "{\"prompt\":\"p\",\"chosen\":{\"rejected\":\"b\"}",
        // A backslash before the closing quote.
        "{\"prompt\":\"C:\\\",\"chosen\":\"a\",\"rejected\":\"b\"}",
    ];
    for broken in broken {
        for between in [",\n", ",", ",\r\n  ", " , "] {
            let text = format!("[\n{}{between}{broken}{between}{}{between}{}\n]\n", record(1), record(2), record(3));
            assert_eq!(good(&text), [value(1), value(2), value(3)], "{text}");
            assert!(records(&text).len() > 3, "{text}");
            // Also at the beginning, where no record has shown how they look.
            let text = format!("[{broken}{between}{}{between}{}]", record(2), record(3));
            let came_in: Vec<Json> = good(&text).into_iter().filter(|value| value.get("prompt").is_some()).collect();
            assert_eq!(came_in, [value(2), value(3)], "{text}");
        }
    }
}

#[test]
fn dm11_pretty_records_break_alone_too() {
    let pretty = |text: &str| {
        format!(
            "  {{\n    \"prompt\": \"{text}\",\n    \"chosen\": [\n      {{\n        \"role\": \"x\"\n      }}\n    ]\n  }}"
        )
    };
    for broken in ["open\\", "a\"b", "\"", "x\", \"y", "one\ntwo"] {
        let text = format!("[\n{},\n{},\n{}\n]", pretty("1"), pretty(broken), pretty("3"));
        let prompts: Vec<Json> = good(&text).into_iter().map(|mut value| value["prompt"].take()).collect();
        assert!(prompts.contains(&json!("1")) && prompts.contains(&json!("3")), "{text}: {prompts:?}");
    }
}

#[test]
fn dm11_an_array_that_breaks_off_is_told() {
    for (text, came_in, breaks_off) in [
        ("[{\"a\": 1},{\"a\": 2}", 2, true),
        ("[{\"a\": 1},{\"a\": 2},\n", 2, true),
        ("[", 0, true),
        ("[{\"a\": 1}]", 1, false),
        ("{\"a\": 1}\n{\"a\": 2}", 2, false),
        // Told with the record already.
        ("[{\"a\": 1},{\"a\": \"b", 1, false),
        ("[{\"a\": 1},{\"a\": ", 1, false),
    ] {
        let (all, told) = records_of(text.as_bytes(), 64);
        assert_eq!(all.iter().filter(|(_, value)| value.is_ok()).count(), came_in, "{text}");
        assert_eq!(told, breaks_off, "{text}");
    }
    let all = records("[{\"a\": 1},\n{\"a\": \"b");
    assert_eq!(all[1], (2, Err("the file breaks off inside this record".to_owned())));
}

#[test]
fn dl9_a_record_that_is_too_long_is_passed_over_in_bounded_memory() {
    let long = "x".repeat(4 << 20);
    for text in [
        format!("{{\"a\": 1}}\n{{\"a\": \"{long}\"}}\n{{\"a\": 3}}\n"),
        format!("[{{\"a\": 1}},\n{{\"a\": \"{long}\"}},\n{{\"a\": 3}}]"),
        format!("[{{\"a\": 1}},\n{{\"a\": \"{long},\n\"b\": \"c\"}},{{\"a\": 3}}]"),
    ] {
        let mut records = Records::of(Source::behind(Vec::new(), text.as_bytes(), 1 << 24), 1 << 20).unwrap();
        let mut told = Vec::new();
        while let Some(Stretch { place: line, text }) = records.next().unwrap() {
            told.push((line, text.map(str::to_owned)));
        }
        assert!(records.record.capacity() <= 5 << 20);
        assert_eq!(told[0], (1, Ok("{\"a\": 1}".to_owned())));
        assert_eq!(told[1], (2, Err("the record is longer than 1 MiB".to_owned())));
        assert_eq!(told[2].1, Ok("{\"a\": 3}".to_owned()));
    }
}

#[test]
fn a_record_is_as_long_as_what_it_says() {
    let longest = 1 << 16;
    // Escaped, it takes three times as much as in UTF-8.
    let says = |letters: usize| format!("{{\"a\": \"{}\"}}", r"\u0436".repeat(letters));
    let (fits, too_long) = (says(longest / 2 - 6), says(longest / 2));
    for text in [format!("{fits}\n{too_long}\n{fits}\n"), format!("[{fits},\n{too_long},\n{fits}]")] {
        let mut records = Records::of(Source::behind(Vec::new(), text.as_bytes(), ENDLESS), longest).unwrap();
        let mut told = Vec::new();
        while let Some(Stretch { place, text }) = records.next().unwrap() {
            told.push((place, text.is_ok_and(|text| text == fits)));
        }
        assert_eq!(told, [(1, true), (2, false), (3, true)]);
    }
}

/// A reader that gives one byte for ever.
struct Endless(u8);

impl io::Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffer.fill(self.0);
        Ok(buffer.len())
    }
}

#[test]
fn dl9_what_never_ends_is_given_up() {
    for start in ["{\"a\": \"", "[{\"a\": \"", "["] {
        let source = Source::behind(start.as_bytes().to_vec(), BufReader::new(Endless(b'x')), 1 << 20);
        let error = Records::of(source, 1 << 16).unwrap().next().map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "from line 1 on no record ends within 1 MiB");
    }
    // Nor do blanks, before a record and behind one.
    for start in ["", "[", "{\"a\": 1}\n", "[{\"a\": 1},"] {
        let source = Source::behind(start.as_bytes().to_vec(), BufReader::new(Endless(b'\n')), 1 << 20);
        let read = || -> io::Result<()> {
            let mut records = Records::of(source, 1 << 16)?;
            while records.next()?.is_some() {}
            Ok(())
        };
        let error = read().unwrap_err().to_string();
        assert!(error.ends_with("on no record ends within 1 MiB"), "{error}");
    }
}

/// A few records, then anything done to their text.
fn broken_text() -> impl Strategy<Value = Vec<u8>> {
    let record = prop::sample::select(vec![
        "{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"b\"}",
        "{\"prompt\":[{\"role\":\"user\",\"content\":\"é\\n\\\"q\\\"\"}],\"chosen\":\"a\",\"rejected\":\"b\"}",
        "{\n  \"prompt\": \"p\",\n  \"chosen\": [1, {\"x\": null}]\n}",
        "\"text\"",
    ]);
    let joint = prop::sample::select(vec![",\n", "\n", ",", "\r\n"]);
    let edit = (any::<prop::sample::Index>(), any::<u8>(), 0..4_u8);
    let shape = (prop::collection::vec(record, 0..6), joint, any::<bool>(), prop::collection::vec(edit, 0..6));
    shape.prop_map(|(records, joint, in_array, edits)| {
        let mut text = records.join(joint).into_bytes();
        if in_array {
            text.insert(0, b'[');
            text.push(b']');
        }
        for (at, byte, how) in edits {
            if text.is_empty() {
                break;
            }
            let at = at.index(text.len());
            match how {
                0 => text[at] = byte,
                1 => text.insert(at, b"\"{}[],\n\\"[usize::from(byte) % 8]),
                2 => drop(text.remove(at)),
                _ => text.truncate(at),
            }
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// Every byte is read once, in any pieces, and what comes out is JSON or has its reason.
    #[test]
    fn whatever_is_broken_is_read_to_its_end(text in broken_text(), piece in 1_usize..40) {
        let whole = records_of(&text, 1 << 16);
        prop_assert_eq!(records_of(&text, piece), whole);
    }

    /// Records that are whole come back as they are.
    #[test]
    fn whole_records_come_back(
        numbers in prop::collection::vec(0_u32..1000, 0..8),
        pretty in any::<bool>(),
        layout in 0..3_u8,
    ) {
        let values: Vec<Json> =
            numbers.iter().map(|n| json!({"prompt": format!("{n} \"}},[{{ é"), "b": [{"n": n}, "]"]})).collect();
        let write = |value: &Json| if pretty { format!("{value:#}") } else { value.to_string() };
        let texts: Vec<String> = values.iter().map(write).collect();
        let text = match layout {
            0 => texts.join("\n"),
            1 => format!("[{}]", texts.join(",")),
            _ => format!(" [\n{}\n]\n", texts.join(",\n")),
        };
        prop_assert_eq!(good(&text), values);
    }
}
