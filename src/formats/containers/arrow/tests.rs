//! Arrow files as pyarrow and `datasets` wrote them, whole, cut and with absurd lengths.

use std::{fs, path::Path};

use super::*;

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/preferences").join(name)).unwrap()
}

/// The records, and how the file ends.
fn records(bytes: Vec<u8>) -> (Vec<Result<String, String>>, Option<String>) {
    let mut all = Vec::new();
    let mut stream = match open(Input { start: bytes, rest: Box::new(io::empty()), file: None }) {
        Ok(stream) => stream,
        Err(error) => return (all, Some(error.to_string())),
    };
    loop {
        match stream.next() {
            Ok(Some(Stretch { place, text })) => {
                all.push(text.map(str::to_owned));
                assert_eq!(place, all.len() as u64);
            }
            Ok(None) => return (all, None),
            Err(error) => return (all, Some(error.to_string())),
        }
    }
}

#[test]
fn every_kind_of_column_is_a_value() {
    let (records, end) = records(fixture("pyarrow_kinds.arrow"));
    assert_eq!((records.len(), end), (4, None));
    let of = |at: usize| records[at].clone().unwrap();
    assert!(
        of(0).ends_with(
            r#""id":"m-1","chat_template_kwargs":{"depth":"1"},"note":"x","many":[[1.5,null]],"two":[1,2],"at":0,"money":"1.50","is":true,"days":1,"views":["a"],"bytes":{"bytes":"(bytes)"}}"#
        ),
        "{}",
        of(0)
    );
    assert!(
        of(1).ends_with(
            r#""chat_template_kwargs":{},"note":null,"many":null,"two":null,"at":null,"money":null,"is":null,"days":null,"views":null,"bytes":null}"#
        ),
        "{}",
        of(1)
    );
    assert!(
        of(2).contains(
            r#""chat_template_kwargs":null,"note":"y","many":[],"two":[3,4],"at":2,"money":"-0.25","is":false"#
        )
    );
    assert!(of(3).contains(r#""note":"x","many":[[],null]"#), "{}", of(3));
}

#[test]
fn a_cut_file_is_told_wherever_it_ends() {
    let whole = fixture("pyarrow_uncompressed.feather");
    let (all, end) = records(whole.clone());
    assert_eq!((all.len(), end), (4, None));
    for length in (6..whole.len()).step_by(7) {
        let (some, end) = records(whole[..length].to_vec());
        // What follows the last batch is for those who jump.
        match end {
            None => assert_eq!(some.len(), 4),
            Some(end) => assert!(end.contains("breaks off"), "{length}: {end}"),
        }
    }
    // A stream may end between two messages.
    let stream = fixture("datasets.arrow");
    assert_eq!(records(stream[..stream.len() - 8].to_vec()).1, None);
    let cut = records(stream[..stream.len() - 16].to_vec()).1;
    assert_eq!(cut.unwrap(), "it breaks off behind row 0; fetch the file again");
}

/// What is said of a file in which some bytes are others.
fn with(name: &str, change: impl Fn(&[u8]) -> Vec<(usize, Vec<u8>)>) -> String {
    let mut bytes = fixture(name);
    for (at, new) in change(&bytes.clone()) {
        bytes[at..at + new.len()].copy_from_slice(&new);
    }
    let (all, end) = records(bytes);
    end.unwrap_or_else(|| all.into_iter().find_map(Result::err).unwrap_or_default())
}

/// Every place of eight bytes that hold this number.
fn places(bytes: &[u8], number: i64) -> Vec<usize> {
    let sought = number.to_le_bytes();
    (0..bytes.len() - 8).filter(|at| bytes[*at..at + 8] == sought).collect()
}

#[test]
fn absurd_lengths_are_refused() {
    let name = "pyarrow_uncompressed.feather";
    // The length of what describes the columns.
    let said = with(name, |_| vec![(12, vec![0xFF, 0xFF, 0xFF, 0x7F])]);
    assert_eq!(said, "it is damaged: 2147483647 bytes should describe a batch");
    // Rows, and lengths of columns and buffers: three stands for the rows of a batch.
    for absurd in [i64::MAX, -1, 1 << 40] {
        let said =
            with(name, |bytes| places(bytes, 3).into_iter().map(|at| (at, absurd.to_le_bytes().to_vec())).collect());
        assert!(said.starts_with("it is damaged: "), "{said}");
    }
    // Bytes that a packed buffer says it has.
    let packed = fixture("pyarrow_zstd.feather");
    let frames: Vec<usize> =
        packed.windows(4).enumerate().filter(|(_, w)| *w == b"\x28\xB5\x2F\xFD").map(|(at, _)| at).collect();
    assert!(!frames.is_empty());
    let size = |size: i64| with("pyarrow_zstd.feather", |_| vec![(frames[0] - 8, size.to_le_bytes().to_vec())]);
    assert!(size(1 << 40).contains("has more than 1024 MiB; write it in smaller ones"), "{}", size(1 << 40));
    for wrong in [100 << 20, 3] {
        assert!(size(wrong).contains(&format!("a buffer says that it has {wrong} bytes, and has others")));
    }
}

#[test]
fn a_text_that_is_none_is_a_fault_of_its_row() {
    let mut bytes = fixture("datasets.arrow");
    let at = bytes.windows(11).position(|window| window == b"The moon is").unwrap();
    bytes[at] = 0xFF;
    let (all, end) = records(bytes);
    assert_eq!((all.len(), end), (4, None));
    assert_eq!(all[0].as_deref().unwrap_err(), "a text in it is not UTF-8");
    assert!(all[1..].iter().all(Result::is_ok));
}
