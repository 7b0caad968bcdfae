//! What `train.py` tells: a stream of bytes in any pieces, as lines of JSON. It is from a stranger, so every line is
//! looked at before anything of it counts.

use data::PairId;
use serde_json::{Map, Value};
use store::PairVisit;

/// A longer line, in bytes, is passed over; a step of a thousand pairs has fewer.
pub const LONGEST_LINE: usize = 1 << 18;
const LONGEST_NAME: usize = 64;
const LONGEST_WORDS: usize = 500;

/// One line that says something.
#[derive(Debug, Clone, PartialEq)]
pub struct AwayEvent {
    /// The attempt that tells, counted from 1, and the place among what it tells.
    pub attempt: u64,
    pub seq: u64,
    pub step: u64,
    pub what: AwayWord,
}

#[derive(Debug, Clone, PartialEq)]
pub enum AwayWord {
    /// The attempt goes on after `step`.
    Started {
        steps: u64,
        nonce: String,
    },
    Measured {
        metrics: Vec<(String, f64)>,
        visits: Vec<PairVisit>,
        ms: Option<u64>,
    },
    Saved,
    Ended,
    Failed(String),
    /// What a later version tells.
    Other,
}

/// Puts lines together.
#[derive(Debug, Default)]
pub struct Ear {
    pending: Vec<u8>,
    /// The line that is coming is too long.
    passing: bool,
    /// Lines that were none, or too long.
    pub unread: usize,
}

impl Ear {
    /// The events of the lines that end in these bytes. A line without an end waits for it.
    pub fn hear(&mut self, bytes: &[u8]) -> Vec<AwayEvent> {
        let mut events = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, is_end) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            if self.pending.len() + text.len() > LONGEST_LINE {
                self.passing = true;
                self.pending.clear();
            }
            if !self.passing {
                self.pending.extend_from_slice(text);
            }
            if is_end {
                let line = std::mem::take(&mut self.pending);
                match (std::mem::take(&mut self.passing), AwayEvent::read(&line)) {
                    (false, Some(event)) => events.push(event),
                    (false, None) if line.trim_ascii().is_empty() => {}
                    _ => self.unread += 1,
                }
            }
        }
        events
    }
}

impl AwayEvent {
    /// Nothing where the line is none of ours.
    pub fn read(line: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(line).ok()?;
        // Python writes what is no number as a bare word, which JSON does not know.
        let value = serde_json::from_str(text).or_else(|_| serde_json::from_str(&with_words(text))).ok()?;
        let Value::Object(object) = value else { return None };
        let number = |key: &str| object.get(key).and_then(Value::as_u64);
        // Steps are kept as signed numbers.
        let (attempt, seq) = (number("attempt").filter(|attempt| *attempt > 0)?, number("seq")?);
        let step = number("step").filter(|step| u32::try_from(*step).is_ok());
        let what = match object.get("event").map(|event| event.as_str().unwrap_or_default()) {
            Some("started") => AwayWord::Started { steps: number("steps")?, nonce: words(&object, "nonce")? },
            Some("saved") => AwayWord::Saved,
            Some("ended") => AwayWord::Ended,
            Some("failed") => AwayWord::Failed(words(&object, "error")?),
            Some(_) => AwayWord::Other,
            None => {
                step?;
                let metrics = metrics(object.get("metrics")?.as_object()?)?;
                let visits = object.get("pairs").map_or(Some(Vec::new()), visits)?;
                AwayWord::Measured { metrics, visits, ms: number("ms") }
            }
        };
        Some(Self { attempt, seq, step: step.unwrap_or(0), what })
    }
}

/// A text for a person to read, on one line.
fn words(object: &Map<String, Value>, key: &str) -> Option<String> {
    Some(on_one_line(object.get(key)?.as_str()?))
}

/// A stranger's text as a terminal can print it.
pub fn on_one_line(text: &str) -> String {
    // What turns the direction of writing round is no control character.
    let turns =
        |letter: char| matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let clean = text.chars().map(|letter| if letter.is_control() || turns(letter) { ' ' } else { letter });
    clean.take(LONGEST_WORDS).collect()
}

fn metrics(object: &Map<String, Value>) -> Option<Vec<(String, f64)>> {
    let is_name = |name: &str| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_/-.".contains(&byte);
        !name.is_empty() && name.len() <= LONGEST_NAME && name.bytes().all(is_letter)
    };
    if !object.keys().all(|name| is_name(name)) {
        return None;
    }
    object.iter().map(|(name, value)| Some((name.clone(), number(value)?))).collect()
}

/// `[[pair, margin, push], ..]`.
fn visits(value: &Value) -> Option<Vec<PairVisit>> {
    let visit = |value: &Value| {
        let [pair, margin, push] = value.as_array()?.as_slice() else { return None };
        let (margin, push) = (number(margin)? as f32, number(push)? as f32);
        Some(PairVisit { pair: PairId(pair.as_i64()?), margin, push })
    };
    value.as_array()?.iter().map(visit).collect()
}

/// A number, or the word for what is none.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(word) => match word.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

/// The same with quotes around the bare words of Python.
fn with_words(text: &str) -> String {
    let (mut out, mut rest, mut in_text) = (String::with_capacity(text.len() + 16), text, false);
    while let Some(letter) = rest.chars().next() {
        let word = ["-Infinity", "Infinity", "NaN"].into_iter().find(|word| !in_text && rest.starts_with(word));
        let taken = match (word, letter) {
            (Some(word), _) => {
                out.extend(["\"", word, "\""]);
                word.len()
            }
            (None, '\\') if in_text => {
                let escaped = rest.chars().take(2).map(char::len_utf8).sum();
                out.push_str(&rest[..escaped]);
                escaped
            }
            (None, letter) => {
                in_text ^= letter == '"';
                out.push(letter);
                letter.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINES: &str = r#"{"seq": 1, "attempt": 1, "event": "started", "step": 0, "steps": 3, "nonce": "c0ffee"}
{"seq": 2, "attempt": 1, "step": 1, "metrics": {"loss": NaN, "grad_norm": -Infinity, "a": "Infinity"}, "pairs": [[7, 0.5, 0.25]], "ms": 12, "later": {"NaN": [1]}}

this is no line
{"seq": 3, "attempt": 1, "event": "heard of later", "what": "NaN \" Infinity"}
{"seq": 4, "attempt": 1, "event": "failed", "error": "out of\u001b[31m memory\n"}
"#;

    #[test]
    fn lines_are_read_for_what_they_say() {
        let mut ear = Ear::default();
        let events = ear.hear(LINES.as_bytes());
        assert_eq!((events.len(), ear.unread), (4, 1), "a blank line says nothing, and one is none");
        assert_eq!(events[0].what, AwayWord::Started { steps: 3, nonce: "c0ffee".to_owned() });
        let AwayWord::Measured { metrics, visits, ms } = &events[1].what else { panic!("{events:?}") };
        assert!(metrics[0].1.is_nan() && metrics[1].1 == f64::NEG_INFINITY && metrics[2].1 == f64::INFINITY);
        assert_eq!((visits[0], *ms), (PairVisit { pair: PairId(7), margin: 0.5, push: 0.25 }, Some(12)));
        assert_eq!((&events[2].what, events[2].step), (&AwayWord::Other, 0));
        assert_eq!(events[3].what, AwayWord::Failed("out of [31m memory ".to_owned()));
    }

    #[test]
    fn what_nobody_writes_counts_as_no_line() {
        for line in [
            "[1]",
            r#"{"seq": 1, "attempt": 0, "event": "saved"}"#,
            r#"{"seq": -1, "attempt": 1, "event": "saved"}"#,
            r#"{"seq": 1, "attempt": 1, "metrics": {"loss": 1}}"#,
            r#"{"seq": 1, "attempt": 1, "step": 99999999999, "metrics": {"loss": 1}}"#,
            r#"{"seq": 1, "attempt": 1, "step": 1, "metrics": {"loss": "high"}}"#,
            r#"{"seq": 1, "attempt": 1, "step": 1, "metrics": {"a\u001bb": 1}}"#,
            r#"{"seq": 1, "attempt": 1, "step": 1, "metrics": {}, "pairs": [[1, 2]]}"#,
            r#"{"seq": 1, "attempt": 1, "event": "started", "step": 0, "steps": 3}"#,
        ] {
            assert_eq!(AwayEvent::read(line.as_bytes()), None, "{line}");
        }
        assert_eq!(AwayEvent::read(&[0xFF]), None);
    }

    #[test]
    fn a_line_without_end_takes_no_memory_and_the_next_one_is_read() {
        let mut ear = Ear::default();
        for _ in 0..100 {
            assert!(ear.hear(&vec![b'x'; 100_000]).is_empty());
            assert!(ear.pending.len() <= LONGEST_LINE);
        }
        let events = ear.hear(b"\n{\"seq\": 3, \"attempt\": 1, \"event\": \"saved\", \"step\": 2}\n");
        assert_eq!((events.len(), ear.unread), (1, 1));
    }

    proptest! {
        /// However the bytes come, they say the same.
        #[test]
        fn pieces_say_what_the_whole_says(cuts in prop::collection::vec(0..LINES.len(), 0..40)) {
            let whole = format!("{:?}", Ear::default().hear(LINES.as_bytes()));
            let mut cuts = cuts;
            cuts.extend([0, LINES.len()]);
            cuts.sort_unstable();
            let mut ear = Ear::default();
            let pieces = cuts.windows(2).flat_map(|cut| ear.hear(&LINES.as_bytes()[cut[0]..cut[1]])).collect::<Vec<_>>();
            prop_assert_eq!(format!("{pieces:?}"), whole);
        }

        /// A stranger's bytes end nothing.
        #[test]
        fn any_bytes_are_heard(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            Ear::default().hear(&bytes);
        }

        #[test]
        fn bare_words_change_no_text(text in "[a-zN\"\\\\I{}:, -]{0,40}") {
            let json = serde_json::json!({ "t": text, "n": 1 }).to_string();
            prop_assert_eq!(with_words(&json), json);
        }
    }
}
