//! Headers good, damaged and hostile.

use proptest::prelude::*;

use super::{build::Build, *};

fn small() -> Build {
    Build::default()
        .text("general.architecture", "llama")
        .size("llama.block_count", 2)
        .number("llama.rope.freq_base", 10000.0)
        .flag("tokenizer.ggml.add_bos_token", true)
        .texts("tokenizer.ggml.tokens", &["<s>", "", "é"])
        .numbers("tokenizer.ggml.scores", &[0.0, -1.0, -2.5])
        .tensor("a", &[2, 32], 8, vec![1; 68])
        .tensor("b", &[3], 0, vec![2; 12])
}

fn read_all(bytes: &[u8]) -> Result<Contents, String> {
    read::header(bytes)
}

type Contents = (BTreeMap<String, Field>, BTreeMap<String, TensorInfo>);

fn refusal(bytes: &[u8]) -> String {
    read_all(bytes).unwrap_err()
}

#[test]
fn values_and_places_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.gguf");
    std::fs::write(&path, small().bytes()).unwrap();
    let file = Gguf::open(&path).unwrap();
    assert_eq!(file.text("general.architecture"), Some("llama"));
    assert_eq!(file.size("llama.block_count"), Some(2));
    assert_eq!(file.number("llama.block_count"), Some(2.0));
    assert_eq!(file.number("llama.rope.freq_base"), Some(10000.0));
    assert_eq!(file.size("llama.rope.freq_base"), None);
    assert_eq!(file.flag("tokenizer.ggml.add_bos_token"), Some(true));
    assert_eq!(file.texts("tokenizer.ggml.tokens").unwrap(), ["<s>", "", "é"]);
    assert_eq!(file.numbers("tokenizer.ggml.scores").unwrap(), [0.0, -1.0, -2.5]);
    assert_eq!(file.text("tokenizer.ggml.tokens"), None);
    let tensor = file.tensor("a").unwrap();
    assert_eq!((tensor.shape.as_slice(), tensor.element), (&[2, 32][..], ElementType::Blocks(BlockFormat::Q8_0)));
    assert_eq!(&file.bytes()[tensor.bytes.clone()], [1; 68]);
    assert_eq!(&file.bytes()[file.tensor("b").unwrap().bytes.clone()], [2; 12]);
}

#[test]
fn a_path_names_a_file_or_a_folder_with_one() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(Gguf::find(dir.path()), None);
    let path = dir.path().join("m.Q8_0.GGUF");
    std::fs::write(&path, "").unwrap();
    assert_eq!(Gguf::find(dir.path()), Some(path.clone()));
    assert_eq!(Gguf::find(&path), Some(path.clone()));
    std::fs::write(dir.path().join("n.gguf"), "").unwrap();
    assert_eq!(Gguf::find(dir.path()), None);
    std::fs::remove_file(path).unwrap();
    std::fs::write(dir.path().join("config.json"), "{}").unwrap();
    assert_eq!(Gguf::find(dir.path()), None);
}

#[test]
fn hostile_headers_cost_a_sentence() {
    let good = small().bytes();
    let with = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let huge = u64::MAX.to_le_bytes();
    assert!(refusal(b"").contains("GGUF"));
    assert!(refusal(b"PK\x03\x04 and more of it").contains("GGUF"));
    assert!(refusal(&with(4, &1_u32.to_le_bytes())).contains("version 1"));
    assert!(refusal(&with(4, &3_u32.to_be_bytes())).contains("big-endian"));
    assert!(refusal(&with(8, &huge)).contains("tensors"));
    assert!(refusal(&with(16, &huge)).contains("keys"));
    assert!(refusal(&with(24, &huge)).contains("past the end"));
    let cut = &good[..good.len() - 40];
    assert!(refusal(cut).contains("past the end"), "{}", refusal(cut));
    for len in 0..good.len() - 40 {
        assert!(read_all(&good[..len]).is_err());
    }
    let twice = small().size("llama.block_count", 3).bytes();
    assert!(refusal(&twice).contains("occurs twice"));
    let twice = small().tensor("a", &[1], 0, vec![0; 4]).bytes();
    assert!(refusal(&twice).contains("occurs twice"));
    let uneven = small().tensor("c", &[2, 31], 8, vec![0; 68]).bytes();
    assert!(refusal(&uneven).contains("Q8_0"));
    let wide = small().tensor("c", &[1 << 40, 1 << 40], 0, vec![]).bytes();
    assert!(refusal(&wide).contains("absurd"));
    // An array of arrays, and an array of more texts than there are bytes.
    let array =
        |kind: u32, count: u64| [9_u32.to_le_bytes().as_slice(), &kind.to_le_bytes(), &count.to_le_bytes()].concat();
    let at = good.windows(25).position(|bytes| bytes == b"tokenizer.ggml.tokens\x09\0\0\0").unwrap() + 21;
    assert!(refusal(&with(at, &array(9, 3))).contains("array inside an array"));
    assert!(refusal(&with(at, &array(8, 1 << 22))).contains("past the end"));
    assert!(refusal(&with(at, &array(12, 1 << 22))).contains("past the end"));
    // A file of zeros can be as long as it likes and have any number of empty texts.
    for count in [1 << 30, u64::MAX / 4, u64::MAX] {
        assert!(refusal(&with(at, &array(8, count))).contains("elements"));
        assert!(refusal(&with(at, &array(12, count))).contains("elements"));
    }
    // Two tensors on top of each other: the second one's offset is the last number of the table.
    let at = good.windows(9).rposition(|bytes| bytes[0] == b'b' && bytes[1] == 1).unwrap();
    let overlapping = with(at + 17, &32_u64.to_le_bytes());
    assert!(refusal(&overlapping).contains("overlap"), "{}", refusal(&overlapping));
    assert!(refusal(&with(at + 17, &33_u64.to_le_bytes())).contains("multiple of 32"));
}

proptest! {
    /// Whatever a header is changed to, it is read or refused; every range it gives lies inside the file.
    #[test]
    fn mutated_headers_never_reach_outside(
        changes in prop::collection::vec((0_usize..420, any::<u8>()), 1..12),
        cut in 0_usize..600,
    ) {
        let mut bytes = small().bytes();
        for (at, byte) in changes {
            let len = bytes.len();
            bytes[at % len] = byte;
        }
        bytes.truncate(bytes.len().saturating_sub(cut.saturating_sub(300)));
        if let Ok((fields, tensors)) = read_all(&bytes) {
            prop_assert!(fields.values().all(|field| field.bytes.end <= bytes.len()));
            prop_assert!(tensors.values().all(|tensor| tensor.bytes.end <= bytes.len()));
        }
    }
}
