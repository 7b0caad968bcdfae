//! Files that hold no JSON: what they are, and what can be done with them.

/// What a file is that cannot be read, e.g. "a Parquet file", and a sentence about the way out; absent for what may be JSON.
/// `start` is the beginning of the file.
pub fn recognise(start: &[u8]) -> Option<(String, &'static str)> {
    let known = MAGIC.iter().find(|(at, magic, ..)| start.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    if let Some((_, _, what, remedy)) = known {
        return Some(((*what).to_owned(), remedy));
    }
    if let Some(found) = other_binary(start) {
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

/// What a file begins with (at this byte), what it is, and what can be done.
const MAGIC: &[(usize, &[u8], &str, &str)] = &[
    (0, b"PAR1", "a Parquet file", TABLE),
    (0, b"ARROW1", "an Arrow file", TABLE),
    (0, b"FEA1", "a Feather file", TABLE),
    (0, b"\xFF\xFF\xFF\xFF", "an Arrow stream", TABLE),
    (0, b"ORC", "an ORC file", TABLE),
    (0, b"Obj\x01", "an Avro file", TABLE),
    (0, b"\x89HDF\r\n", "an HDF5 file", TABLE),
    (0, b"\x93NUMPY", "a NumPy array", TABLE),
    (0, b"SQLite format 3\0", "an SQLite database", TABLE),
    (0, b"\x1F\x8B", "compressed with gzip", "Unpack it first: gunzip FILE."),
    (0, b"BZh", "compressed with bzip2", "Unpack it first: bunzip2 FILE."),
    (0, b"\xFD7zXZ\0", "compressed with xz", "Unpack it first: unxz FILE."),
    (0, b"\x5D\0\0", "compressed with lzma", "Unpack it first: unlzma FILE."),
    (0, b"\x28\xB5\x2F\xFD", "compressed with zstd", "Unpack it first: unzstd FILE."),
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
    (0, b"\xFF\xFE", "text in UTF-16", UTF_8),
    (0, b"\xFE\xFF", "text in UTF-16", UTF_8),
    (0, b"version https://git-lfs", "a Git LFS pointer, not the file itself", "Fetch the file: git lfs pull."),
];

const TABLE: &str = "Write its rows as JSON lines first, e.g. with pandas: df.to_json(\"pairs.jsonl\", orient=\"records\", \
    lines=True, force_ascii=False).";
const UNPACK: &str = "Unpack it and name the file inside.";
const PAIRS: &str = "Pairs come as JSON lines: {\"prompt\": .., \"chosen\": .., \"rejected\": ..}, one a line.";
const PICKLE: &str = "It is not opened, because it can run code; write its records as JSON lines.";
const UTF_8: &str = "Save it in UTF-8, e.g. iconv -f UTF-16 -t UTF-8 FILE > NEW.";

/// Binary files without a mark of their own, and UTF-16 without a byte order mark.
fn other_binary(start: &[u8]) -> Option<(String, &'static str)> {
    let head = &start[..start.len().min(4096)];
    let told = |what: &str, remedy| Some((what.to_owned(), remedy));
    if head.get(8) == Some(&b'{') && matches!(head, [_, _, _, _, _, 0, 0, 0, ..]) {
        return told("a safetensors file", "Weights hold no pairs.");
    }
    if !head.contains(&0) {
        // Text, whatever its encoding, has hardly any control characters.
        let controls = head.iter().filter(|byte| matches!(byte, 1..=8 | 14..=26 | 28..=31 | 127)).count();
        return if controls * 20 > head.len() { told("no text but binary data", PAIRS) } else { None };
    }
    let zeros = |from: usize| head.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    let half = head.len() / 2;
    if odd * 10 > half * 4 && even * 20 <= half {
        return told("text in UTF-16 (little-endian)", "Save it in UTF-8, e.g. iconv -f UTF-16LE -t UTF-8 FILE > NEW.");
    }
    if even * 10 > half * 4 && odd * 20 <= half {
        return told("text in UTF-16 (big-endian)", "Save it in UTF-8, e.g. iconv -f UTF-16BE -t UTF-8 FILE > NEW.");
    }
    // A line or two that a crash filled with zeros is no reason to refuse the rest.
    let lines = head.split(|byte| *byte == b'\n');
    let whole = lines.filter(|line| line.trim_ascii().starts_with(b"{") && !line.contains(&0)).count();
    if whole > 0 || head.trim_ascii_start().starts_with(b"[") { None } else { told("no text but binary data", PAIRS) }
}

/// The beginning as text, up to a letter that may be torn.
fn text_of(start: &[u8]) -> String {
    String::from_utf8_lossy(start).into_owned()
}

/// What a line of JSON lines, or the first of an array, begins with.
fn may_be_json(line: &str) -> bool {
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
    // The last line may be cut.
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(20).collect();
    for (separator, name) in
        [('\t', "a table in TSV"), (',', "a table in CSV"), (';', "a table in CSV (with semicolons)")]
    {
        let header: Vec<&str> = lines[0].split(separator).map(|cell| cell.trim().trim_matches('"')).collect();
        let named = header.iter().all(|cell| !cell.is_empty() && cell.chars().count() <= 40 && !cell.contains(": "));
        let more = lines.len() == 1 || lines[1..].iter().any(|line| line.contains(separator));
        if header.len() > 1 && named && more {
            return (format!("{name} (its columns: {})", header.join(", ")), TABLE);
        }
    }
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

    fn utf_16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn dl7_what_is_no_json_is_called_by_its_name() {
        for (start, name) in [
            (&b"PAR1\x15\x04"[..], "Parquet"),
            (b"ARROW1\0\0", "Arrow file"),
            (b"\xFF\xFF\xFF\xFF\x80\x01\0\0", "Arrow stream"),
            (b"\x1F\x8B\x08\0", "gzip"),
            (b"BZh91AY&SY", "bzip2"),
            (b"\xFD7zXZ\0\0", "xz"),
            (b"\x28\xB5\x2F\xFD\x04", "zstd"),
            (b"PK\x03\x04", "ZIP"),
            (b"\x80\x04\x95\0", "pickle"),
            (b"\x20\0\0\0\0\0\0\0{\"a\":", "safetensors"),
            (b"\0\x01\x02\x03binary", "binary"),
            (b"\x01\x02\x03\x04\x05\x06\x07", "binary"),
            (b"prompt,chosen,rejected\n\"a, b\",\"c\nd\",e\n", "CSV (its columns: prompt, chosen, rejected)"),
            (b"\xEF\xBB\xBF\"prompt\",\"chosen\"\r\n\"a\",\"b\"\r\n", "CSV (its columns: prompt, chosen)"),
            (b"prompt;chosen;rejected\na;b;c\n", "semicolons"),
            (b"prompt\tchosen\trejected\na\tb, c\td\n", "TSV"),
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
        let little = utf_16("[\n  {\"prompt\": \"Was?\"}\n]", u16::to_le_bytes);
        assert!(what(&little).unwrap().contains("little-endian"));
        let big = utf_16("{\"prompt\": \"What?\"}", u16::to_be_bytes);
        assert!(what(&big).unwrap().contains("big-endian"));
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
}
