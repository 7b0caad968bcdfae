//! Files that hold no records: what they are, and what can be done with them.

use crate::object::TABLE;

/// What a file is that cannot be read, e.g. "a Parquet file", and a sentence about the way out; absent for what may be
/// JSON. `start` is the beginning of the file.
pub fn recognise(start: &[u8]) -> Option<(String, &'static str)> {
    if let Some(found) = no_text(start) {
        return Some(found);
    }
    let text = text_of(start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start));
    // One line that looks like JSON is enough: the others are told one by one.
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    lines.peek()?;
    if lines.any(may_be_json) {
        return None;
    }
    Some(kind_of_text(&text))
}

/// What a file is that is no text of any kind.
pub fn no_text(start: &[u8]) -> Option<(String, &'static str)> {
    let known = MAGIC.iter().find(|(at, magic, ..)| start.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    match known {
        Some((_, _, what, remedy)) => Some(((*what).to_owned(), remedy)),
        None => other_binary(start),
    }
}

/// What a file begins with (at this byte), what it is, and what can be done.
const MAGIC: &[(usize, &[u8], &str, &str)] = &[
    (0, b"FEA1", "a Feather file of the first version", TABLE),
    (0, b"ORC", "an ORC file", TABLE),
    (0, b"Obj\x01", "an Avro file", TABLE),
    (0, b"\x89HDF\r\n", "an HDF5 file", TABLE),
    (0, b"\x93NUMPY", "a NumPy array", TABLE),
    (0, b"SQLite format 3\0", "an SQLite database", TABLE),
    (0, b"BZh", "compressed with bzip2", "Unpack it first: bunzip2 FILE."),
    (0, b"\xFD7zXZ\0", "compressed with xz", "Unpack it first: unxz FILE."),
    (0, b"\x5D\0\0", "compressed with lzma", "Unpack it first: unlzma FILE."),
    (0, b"\x04\x22\x4D\x18", "compressed with lz4", "Unpack it first: unlz4 FILE."),
    (0, b"\xFF\x06\0\0sNaPpY", "compressed with snappy", "Unpack it first."),
    (0, b"\x1F\x9D", "compressed with compress", "Unpack it first: uncompress FILE."),
    (0, b"PK\x03\x04", "a ZIP archive (or an Excel or Word file)", "Unpack it, or save the table as JSON lines."),
    (0, b"PK\x05\x06", "an empty ZIP archive", "Unpack it, or save the table as JSON lines."),
    (0, b"7z\xBC\xAF\x27\x1C", "a 7-Zip archive", UNPACK),
    (0, b"Rar!\x1A", "a RAR archive", UNPACK),
    (257, b"ustar", "a tar archive", UNPACK),
    (0, b"\xD0\xCF\x11\xE0", "an old Office file", "Save the table as JSON lines."),
    (0, b"%PDF-", "a PDF", PAIRS),
    (0, b"{\\rtf", "a text in RTF", PAIRS),
    (0, b"\x89PNG", "a PNG picture", PAIRS),
    (0, b"\xFF\xD8\xFF", "a JPEG picture", PAIRS),
    (0, b"GIF8", "a GIF picture", PAIRS),
    (0, b"GGUF", "a GGUF model", "A model is named with `nudge new DIR --model FILE`."),
    (0, b"\x7FELF", "a program", PAIRS),
    (0, b"\x80\x02", "a Python pickle", PICKLE),
    (0, b"\x80\x03", "a Python pickle", PICKLE),
    (0, b"\x80\x04", "a Python pickle", PICKLE),
    (0, b"\x80\x05", "a Python pickle", PICKLE),
    (0, b"\xFF\xFE\0\0", "text in UTF-32", UTF_8),
    (0, b"\0\0\xFE\xFF", "text in UTF-32", UTF_8),
    (0, b"version https://git-lfs", "a Git LFS pointer, not the file itself", "Fetch the file: git lfs pull."),
];

const UNPACK: &str = "Unpack it and name the file inside.";
const PAIRS: &str = "Pairs come as JSON lines: {\"prompt\": .., \"chosen\": .., \"rejected\": ..}, one a line.";
const PICKLE: &str = "It is not opened, because it can run code; write its records as JSON lines.";
const UTF_8: &str = "Save it in UTF-8, e.g. iconv -f UTF-32 -t UTF-8 FILE > NEW.";

/// Binary files without a mark of their own.
fn other_binary(start: &[u8]) -> Option<(String, &'static str)> {
    let head = &start[..start.len().min(4096)];
    let told = |what: &str, remedy| Some((what.to_owned(), remedy));
    if head.get(8) == Some(&b'{') && matches!(head, [_, _, _, _, _, 0, 0, 0, ..]) {
        return told("a safetensors file", "Weights hold no pairs.");
    }
    // Text, whatever its encoding, has hardly any control characters.
    let controls = head.iter().filter(|byte| matches!(byte, 0..=8 | 14..=26 | 28..=31 | 127)).count();
    if controls * 20 <= head.len() {
        return None;
    }
    // A line or two that a crash filled with zeros is no reason to refuse the rest.
    let records = head.split(|byte| *byte == b'\n').any(is_record) || opens(head, b'[', b"{[\"");
    if records { None } else { told("no text but binary data", PAIRS) }
}

/// Whether a line, perhaps torn at its end, begins as a record and is text: bytes at random hardly ever do both.
fn is_record(line: &[u8]) -> bool {
    let is_text = std::str::from_utf8(line).map_or_else(|error| error.error_len().is_none(), |_| true);
    opens(line, b'{', b"\"") && is_text && !line.contains(&0)
}

/// Whether the first letter is `bracket`, and the next one of `within`.
fn opens(text: &[u8], bracket: u8, within: &[u8]) -> bool {
    let rest = text.trim_ascii_start().strip_prefix(&[bracket]).map(<[u8]>::trim_ascii_start);
    rest.and_then(<[u8]>::first).is_some_and(|first| within.contains(first))
}

/// The beginning as text, up to a letter that may be torn.
fn text_of(start: &[u8]) -> String {
    String::from_utf8_lossy(start).into_owned()
}

/// What a line of JSON lines, or the first of an array, begins with.
pub fn may_be_json(line: &str) -> bool {
    match line.as_bytes() {
        // A quote that is doubled belongs to a cell of a table.
        [b'{', rest @ ..] => match rest.trim_ascii_start() {
            [b'"', b'"', next, ..] => *next == b':',
            [] | [b'"' | b'\'' | b'}', ..] => true,
            _ => false,
        },
        [b'[', rest @ ..] => matches!(rest.trim_ascii_start().first(), None | Some(b'{' | b'[' | b'"' | b']')),
        [b'"', ..] => {
            let line = line.trim_end_matches(',');
            serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok()
        }
        _ => false,
    }
}

fn kind_of_text(text: &str) -> (String, &'static str) {
    let lower = text.trim_start().get(..64).unwrap_or(text.trim_start()).to_ascii_lowercase();
    if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
        return ("a web page".to_owned(), "Download the file itself, not the page that shows it.");
    }
    if lower.starts_with("<?xml") || lower.starts_with('<') {
        return ("XML".to_owned(), PAIRS);
    }
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(20).collect();
    let yaml = |line: &&str| {
        let line = line.trim().trim_start_matches("- ");
        line.split_once(':').is_some_and(|(key, rest)| {
            !key.is_empty() && !key.contains(' ') && (rest.is_empty() || rest.starts_with(' '))
        })
    };
    if lines[0].trim() == "---" || lines[0].starts_with("- ") || yaml(&lines[0]) {
        return ("YAML".to_owned(), PAIRS);
    }
    ("plain text, not JSON".to_owned(), PAIRS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(start: &[u8]) -> Option<String> {
        recognise(start).map(|(what, _)| what)
    }

    #[test]
    fn dl7_what_is_no_json_is_called_by_its_name() {
        for (start, name) in [
            (&b"BZh91AY&SY"[..], "bzip2"),
            (b"\xFD7zXZ\0\0", "xz"),
            (b"PK\x03\x04", "ZIP"),
            (b"\x80\x04\x95\0", "pickle"),
            (b"\x20\0\0\0\0\0\0\0{\"a\":", "safetensors"),
            (b"\0\x01\x02\x03binary", "binary"),
            (b"\x01\x02\x03\x04\x05\x06\x07", "binary"),
            (b"- prompt: a\n  chosen: b\n", "YAML"),
            (b"---\nprompt: a\n", "YAML"),
            (b"prompt: a\nchosen: b\n", "YAML"),
            (b"<?xml version=\"1.0\"?>", "XML"),
            (b"<!DOCTYPE html>\n<html>", "web page"),
            (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
            (b"[general]\nname = x\n", "plain text"),
            (b"Once upon a time", "plain text"),
        ] {
            let found = what(start).unwrap_or_default();
            assert!(found.contains(name), "{name}: {found:?}");
        }
        for json in [
            "{\"prompt\": \"p\", \"chosen\": \"a, b\"}\n",
            "[\n {\"a\": 1},\n",
            "[\n\n  {",
            "[]",
            "{\"ü\": \"日本語\"}",
        ] {
            assert_eq!(what(json.as_bytes()), None, "{json}");
        }
    }

    #[test]
    fn what_may_hold_a_record_is_read_line_by_line() {
        for start in [
            &b""[..],
            b" \n\n",
            b"# a remark\n{\"prompt\": \"p\"}\n",
            b"not json\n{\"prompt\": \"p\"}\n",
            b"\"One\"\n\"Two\"\n",
            b"{\"prompt\": \"caf\xE9\"}\n",
            b"{\"prompt\": \"p\"}\n\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            b"[{\"prompt\": \"p\"}]",
            b"{'prompt': 'python'}\n",
        ] {
            assert_eq!(what(start), None, "{:?}", String::from_utf8_lossy(start));
        }
    }

    #[test]
    fn bytes_at_random_are_never_taken_for_text() {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        for _ in 0..2000 {
            let random = |_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 32) as u8
            };
            let block: Vec<u8> = (0..4096).map(random).collect();
            assert!(what(&block).is_some_and(|what| !what.contains("plain text")), "{:?}", &block[..16]);
        }
    }
}
