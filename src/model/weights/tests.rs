//! Weight files that are read, and those that are refused.

use std::fs;

use safetensors::tensor::TensorView;

use super::*;

fn write(path: &Path, name: &str, shape: &[usize], dtype: Dtype, bytes: &[u8]) {
    let view = TensorView::new(dtype, shape.to_vec(), bytes).unwrap();
    safetensors::serialize_to_file([(name, view)], None, path).unwrap();
}

fn reason(result: Result<Weights, LoadError>) -> String {
    result.map(|_| ()).unwrap_err().to_string()
}

#[test]
fn half_precision_is_widened() {
    let dir = tempfile::tempdir().unwrap();
    for (dtype, bytes) in [
        (Dtype::F32, [1.5f32, -2.0].map(f32::to_le_bytes).concat()),
        (Dtype::F16, [1.5f32, -2.0].map(|x| f16::from_f32(x).to_le_bytes()).concat()),
        (Dtype::BF16, [1.5f32, -2.0].map(|x| bf16::from_f32(x).to_le_bytes()).concat()),
    ] {
        write(&dir.path().join(SINGLE), "w", &[2, 1], dtype, &bytes);
        let weights = Weights::open(dir.path()).unwrap();
        assert_eq!(weights.read("w", &[2, 1]).unwrap(), [1.5, -2.0]);
        assert!(weights.read("w", &[1, 2]).unwrap_err().to_string().contains("[2, 1]"));
        assert!(weights.read("other", &[2]).unwrap_err().to_string().contains("`other` is missing"));
    }
}

#[test]
fn element_types_that_are_not_weights_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join(SINGLE), "w", &[4], Dtype::I8, &[1, 2, 3, 4]);
    let weights = Weights::open(dir.path()).unwrap();
    assert!(weights.read("w", &[4]).unwrap_err().to_string().contains("I8"));
}

#[test]
fn damaged_files_cost_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(SINGLE);
    write(&path, "w", &[64], Dtype::F32, &[0; 256]);
    let whole = fs::read(&path).unwrap();
    let mut huge_header = whole.clone();
    huge_header[..8].copy_from_slice(&(1u64 << 60).to_le_bytes());
    let mut not_json = whole.clone();
    not_json[8] = b'x';
    let lying = br#"{"w":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,16]}}"#;
    let mut lies = (lying.len() as u64).to_le_bytes().to_vec();
    lies.extend(lying);
    lies.extend([0; 16]);
    for bytes in [&whole[..whole.len() - 1], &whole[..4], &[], &huge_header, &not_json, &lies] {
        fs::write(&path, bytes).unwrap();
        let reason = reason(Weights::open(dir.path()));
        assert!(reason.contains("model.safetensors"), "{reason}");
    }
    fs::remove_file(&path).unwrap();
    assert!(reason(Weights::open(dir.path())).contains("only safetensors"));
}

#[test]
fn an_index_cannot_lead_out_of_the_folder() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("model");
    fs::create_dir(&folder).unwrap();
    let outside = outer.path().join("outside.safetensors");
    write(&outside, "w", &[1], Dtype::F32, &[0; 4]);
    for target in ["../outside.safetensors", outside.to_str().unwrap(), "a/../../outside.safetensors", "..", ""] {
        let index = serde_json::json!({"weight_map": {"w": target}});
        fs::write(folder.join(INDEX), index.to_string()).unwrap();
        let reason = reason(Weights::open(&folder));
        assert!(reason.contains("inside the folder"), "{reason}");
    }
}

#[test]
fn an_index_must_tell_the_truth() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("part.safetensors"), "w", &[1], Dtype::F32, &[0; 4]);
    for (index, what) in [
        (r#"{"weight_map": {"w": "gone.safetensors"}}"#, "gone.safetensors"),
        (r#"{"weight_map": {"w": 3}}"#, "expected a string"),
        (r"{}", "weight_map"),
        ("[", "JSON"),
    ] {
        fs::write(dir.path().join(INDEX), index).unwrap();
        let reason = reason(Weights::open(dir.path()));
        assert!(reason.contains(what), "{reason}");
    }
    fs::write(dir.path().join(INDEX), r#"{"weight_map": {"w": "part.safetensors"}}"#).unwrap();
    assert_eq!(Weights::open(dir.path()).unwrap().read("w", &[1]).unwrap(), [0.0]);
}

fn write_index(folder: &Path, weight_map: &serde_json::Value) {
    fs::write(folder.join(INDEX), serde_json::json!({"metadata": {}, "weight_map": weight_map}).to_string()).unwrap();
}

/// `w` of the one file is 1, that of the shard behind the index 2.
#[test]
fn r3_of_two_weight_sets_the_single_file_counts() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join(SINGLE), "w", &[1], Dtype::F32, &1f32.to_le_bytes());
    write(&dir.path().join("part.safetensors"), "w", &[1], Dtype::F32, &2f32.to_le_bytes());
    assert!(Weights::open(dir.path()).unwrap().remarks().is_empty());
    // Also where the index could not be read, or names what is gone: nobody reads it.
    for index in [r#"{"weight_map": {"w": "part.safetensors"}}"#, r#"{"weight_map": {"w": "gone.safetensors"}}"#, "["] {
        fs::write(dir.path().join(INDEX), index).unwrap();
        let weights = Weights::open(dir.path()).unwrap();
        assert_eq!(weights.read("w", &[1]).unwrap(), [1.0]);
        assert!(weights.remarks()[0].contains("model.safetensors is read"), "{:?}", weights.remarks());
    }
    fs::remove_file(dir.path().join(SINGLE)).unwrap();
    write_index(dir.path(), &serde_json::json!({"w": "part.safetensors"}));
    let weights = Weights::open(dir.path()).unwrap();
    assert_eq!(weights.read("w", &[1]).unwrap(), [2.0]);
    assert!(weights.remarks().is_empty());
}

#[test]
fn an_index_that_says_too_much_or_too_little_is_read_by_its_files() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("a.safetensors"), "w", &[1], Dtype::F32, &1f32.to_le_bytes());
    write(&dir.path().join("b.safetensors"), "v", &[1], Dtype::F32, &2f32.to_le_bytes());
    fs::create_dir(dir.path().join("sub")).unwrap();
    fs::copy(dir.path().join("b.safetensors"), dir.path().join("sub/c.safetensors")).unwrap();
    for (map, remarks) in [
        // One file under two names.
        (serde_json::json!({"w": "a.safetensors", "v": "./b.safetensors", "u": "././b.safetensors"}), 1),
        (serde_json::json!({"w": "a.safetensors", "v": "./b.safetensors"}), 0),
        // One tensor in two files, the same in both.
        (serde_json::json!({"w": "a.safetensors", "v": "b.safetensors", "x": "sub/c.safetensors"}), 1),
        // A tensor that is not where it is said to be, and one that nothing is said of.
        (serde_json::json!({"v": "a.safetensors", "x": "b.safetensors"}), 1),
    ] {
        write_index(dir.path(), &map);
        let weights = Weights::open(dir.path()).unwrap();
        assert_eq!(weights.read("w", &[1]).unwrap(), [1.0], "{map}");
        assert_eq!(weights.read("v", &[1]).unwrap(), [2.0], "{map}");
        assert_eq!(weights.remarks().len(), remarks, "{map}: {:?}", weights.remarks());
    }
    write(&dir.path().join("sub/c.safetensors"), "v", &[1], Dtype::F32, &3f32.to_le_bytes());
    write_index(dir.path(), &serde_json::json!({"v": "b.safetensors", "w": "a.safetensors", "x": "sub/c.safetensors"}));
    assert!(reason(Weights::open(dir.path())).contains("which of them is meant"));
}

#[cfg(unix)]
#[test]
fn a_link_without_its_file_is_told_as_such() {
    let dir = tempfile::tempdir().unwrap();
    for name in [SINGLE, INDEX] {
        std::os::unix::fs::symlink("../../blobs/gone", dir.path().join(name)).unwrap();
        let reason = reason(Weights::open(dir.path()));
        assert!(reason.contains(name) && reason.contains("blobs/gone"), "{reason}");
        fs::remove_file(dir.path().join(name)).unwrap();
    }
}
