//! Preference files that are broken, or made to hurt: refused by their place and the reason, in bounded memory.

use std::{fs, io::Write as _, path::Path};

use nudge::formats::Options;

use crate::formats::{self, Import};

const RECORD: &str = "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\"}\n";

fn read(path: &Path) -> Result<Import, String> {
    formats::read(path, &Options::default()).map_err(|error| error.to_string())
}

fn read_bytes(bytes: &[u8]) -> Result<Import, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    read(file.path())
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/preferences").join(name)).unwrap()
}

/// Some numbers that look like chance, the same every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end.max(1)
    }
}

/// A file with some bytes changed, taken out, put in or doubled, or cut.
fn mutated(file: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for _ in 0..=chance.below(6) {
        let at = chance.below(bytes.len());
        match chance.below(7) {
            0 if !bytes.is_empty() => bytes[at] = chance.below(256) as u8,
            1 if !bytes.is_empty() => bytes[at] ^= 1 << chance.below(8),
            2 if !bytes.is_empty() => drop(bytes.remove(at)),
            3 => bytes.insert(at, b"\"{}[],\n\\\0\xFF"[chance.below(10)]),
            4 => bytes.truncate(at),
            5 => {
                let end = (at + chance.below(64)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => {
                // A length, as likely as not.
                let end = (at + 4).min(bytes.len());
                bytes[at..end].fill([0, 0x7F, 0xFF][chance.below(3)]);
            }
        }
    }
    bytes
}

#[test]
fn whatever_is_done_to_a_file_it_is_read_or_refused() {
    let names: Vec<_> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/preferences"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "make.py" && name != "expected.json")
        .collect();
    assert!(names.len() >= 18);
    let mut chance = Chance(7);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    for name in names {
        let whole = fixture(&name);
        for round in 0..120 {
            let bytes = mutated(&whole, &mut chance);
            fs::write(&path, &bytes).unwrap();
            // A panic would end the test; what comes in has a place.
            if let Ok(report) = read(&path) {
                for pair in &report.pairs {
                    assert!(pair.source.as_ref().unwrap().line > 0, "{name} {round}");
                }
            }
        }
    }
}

#[test]
fn what_is_packed_to_hurt_is_given_up() {
    let pack = |bytes: &[u8], times: usize| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        (0..times).for_each(|_| packed.write_all(bytes).unwrap());
        packed.finish().unwrap()
    };
    // What is packed already does not shrink so much again.
    let mut inner = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    (0..64).for_each(|_| inner.write_all(&vec![b'\n'; 1 << 20]).unwrap());
    let bomb = pack(&inner.finish().unwrap(), 1);
    assert!(bomb.len() < 1 << 20);
    let error = read_bytes(&bomb).unwrap_err();
    assert!(error.contains("unpacks to more than 32 MiB and to more than 400 times its size"), "{error}");
    // In itself, again and again.
    let nested = (0..5).fold(RECORD.as_bytes().to_vec(), |inner, _| pack(&inner, 1));
    assert!(read_bytes(&nested).unwrap_err().contains("packed more than 3 times"));
    let twice = pack(&pack(RECORD.as_bytes(), 1), 1);
    assert_eq!(read_bytes(&twice).unwrap().pairs.len(), 1);
    // Cut, and damaged.
    let whole = pack(RECORD.as_bytes(), 3);
    assert!(read_bytes(&whole[..whole.len() - 12]).unwrap_err().contains("breaks off"));
}

#[test]
fn what_repeats_itself_comes_in_however_well_it_is_packed() {
    let record = format!("{{\"prompt\":\"{}\",\"chosen\":\"a\",\"rejected\":\"b\"}}\n", "and so on ".repeat(100_000));
    let all = record.repeat(40);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(all.as_bytes()).unwrap();
    for packed in [gzip.finish().unwrap(), zstd::encode_all(all.as_bytes(), 3).unwrap()] {
        assert!(packed.len() < all.len() / 400, "{}", packed.len());
        assert_eq!(read_bytes(&packed).unwrap().pairs.len(), 40);
    }
}

#[test]
fn texts_in_escapes_are_as_long_as_they_say() {
    // 7 MiB in UTF-8, and four times as much as Python writes it.
    let escaped = r"\u0442\u0435\u043a\u0441\u0442 ".repeat(700_000);
    let text = format!("{{\"prompt\":\"{escaped}\",\"chosen\":\"a\",\"rejected\":\"b\"}}\n");
    assert!(text.len() > 16 << 20);
    let report = read_bytes(text.as_bytes()).unwrap();
    assert_eq!(report.faults, []);
    assert_eq!(report.pairs[0].prompt.last_text().chars().count(), 700_000 * 6);
}

#[test]
fn long_and_deep_records_are_left_out_by_their_line() {
    let long = format!("{{\"prompt\":\"{}\",\"chosen\":\"a\",\"rejected\":\"b\"}}\n", "x".repeat(100 << 20));
    let deep = format!(
        "{{\"prompt\":{}\"p\"{},\"chosen\":\"a\",\"rejected\":\"b\"}}\n",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let report = read_bytes(format!("{RECORD}{long}{RECORD}{deep}{RECORD}").as_bytes()).unwrap();
    assert_eq!(report.pairs.len(), 3);
    let told: Vec<(u64, &str)> = report.faults.iter().map(|fault| (fault.line, fault.reason.as_str())).collect();
    assert_eq!(told[0], (2, "the record is longer than 16 MiB"));
    assert!(told[1].0 == 4 && told[1].1.contains("recursion limit"), "{told:?}");
    // A quote that is never closed takes what follows, and says so.
    let table = format!("prompt,chosen,rejected\na,b,c\nd,\"e,f\n{}", "g,h,i\n".repeat(4 << 20));
    let report = read_bytes(table.as_bytes()).unwrap();
    assert_eq!((report.pairs.len(), report.faults[0].line), (1, 3));
    assert_eq!(report.faults[0].reason, "the record is longer than 16 MiB; a quote may be missing");
}

#[test]
fn no_text_and_no_bytes_of_a_text_are_told_by_their_place() {
    let mut bytes = RECORD.as_bytes().to_vec();
    bytes.extend(b"{\"prompt\":\"caf\xE9\",\"chosen\":\"a\",\"rejected\":\"b\"}\n");
    bytes.extend(b"{\"prompt\":\"nul\0\",\"chosen\":\"a\",\"rejected\":\"b\"}\n");
    bytes.extend(RECORD.as_bytes());
    let report = read_bytes(&bytes).unwrap();
    assert_eq!(report.pairs.len(), 2);
    assert_eq!(report.faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn tables_that_state_absurd_lengths_are_refused() {
    let parquet = fixture("pyarrow_snappy.parquet");
    let end = parquet.len();
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = parquet.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        read_bytes(&changed)
    };
    assert!(with(end - 8, &u32::MAX.to_le_bytes()).unwrap_err().contains("should describe a file of"));
    assert!(with(end - 4, b"PARX").unwrap_err().contains("breaks off"));
    assert!(read_bytes(&parquet[..end / 2]).unwrap_err().contains("breaks off"));
    // The first page, behind the mark at the beginning: its sizes are variable numbers.
    assert!(with(4, &[0xFF; 24]).unwrap_err().contains("damaged"));
    // Groups in groups in groups: 100,000 elements of one child each.
    let mut footer = vec![0x15, 0x02, 0x19, 0xFC];
    let mut count = 100_000_u32;
    while count > 0 {
        let more = if count > 0x7F { 0x80 } else { 0 };
        footer.push((count & 0x7F) as u8 | more);
        count >>= 7;
    }
    // A name, and one child.
    (0..100_000).for_each(|_| footer.extend([0x48, 0x01, b'g', 0x15, 0x02, 0x00]));
    let mut deep = b"PAR1".to_vec();
    deep.extend(&footer);
    deep.extend((footer.len() as u32).to_le_bytes());
    deep.extend(b"PAR1");
    assert!(read_bytes(&deep).unwrap_err().contains("nested more than 48 deep"));
}
