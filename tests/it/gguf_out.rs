//! A merged model as one GGUF file: what is read back is the trained model, rounded as the file's type rounds and no
//! more.

use std::{fs, ops::ControlFlow, path::Path};

use nudge::{
    export::{self, AdapterStrength, ExportError, GgufType, Proof, Provenance, Subject},
    model::{LoadOptions, Policy},
    text::{Codec, VARIED_WORDS},
};
use serde_json::Value;

use crate::fixture::{self, Fixture, elements, largest_difference};

fn about(strength: u16) -> Provenance {
    Provenance {
        run: "A run β 0.1".to_owned(),
        step: 7,
        strength: AdapterStrength::percent(strength).unwrap(),
        base_model: "org/base".to_owned(),
        method: "MPO anchored-sum".to_owned(),
        scale: None,
        ..Provenance::default()
    }
}

fn export(
    policy: &Policy,
    fixture: &Fixture,
    kind: GgufType,
    dir: &Path,
    about: &Provenance,
) -> Result<(Proof, Vec<String>), ExportError> {
    let pairs = fixture.pairs().into_iter();
    let probes: Vec<Vec<u32>> = pairs.map(|[prompt, ..]| prompt).collect();
    let subject = Subject { policy, folder: &fixture.folder, probes: &probes, about, overwrite: false };
    export::gguf(&subject, kind, dir, &mut |_, _| ControlFlow::Continue(()))
}

/// The fixture with some keys of its config changed.
fn changed(fixture: &Fixture, to: &Path, keys: &[(&str, Value)]) -> Fixture {
    for entry in fs::read_dir(&fixture.folder).unwrap() {
        let from = entry.unwrap().path();
        fs::copy(&from, to.join(from.file_name().unwrap())).unwrap();
    }
    let path = to.join("config.json");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    for (key, value) in keys {
        config[*key] = value.clone();
    }
    fs::write(path, config.to_string()).unwrap();
    Fixture { folder: to.to_owned(), ..fixture.at(fixture.place) }
}

#[test]
fn every_family_and_tokenizer_reads_back_in_every_type() {
    for fixture in fixture::all_in(&[fixture::Place::Processor]) {
        let copy = tempfile::tempdir().unwrap();
        // What llama.cpp has in its code for all Gemmas; the fixtures have other values, so that a test would notice.
        let keys = [("query_pre_attn_scalar", 32.into()), ("sliding_window_pattern", 6.into())];
        let keys = match &fixture.name[..6] {
            "gemma2" => &keys[..1],
            "gemma3" => &keys,
            _ => &[],
        };
        let fixture = changed(&fixture, copy.path(), keys);
        let policy = fixture.lora();
        let input = fixture.pairs().remove(0).concat();
        let trained = elements(&policy.logits(&input).unwrap());
        let largest = trained.iter().fold(0.0_f64, |most, logit| most.max(logit.abs()));
        let mut moved = Vec::new();
        for kind in GgufType::ALL {
            let root = tempfile::tempdir().unwrap();
            let dir = root.path().join("out");
            let (proof, remarks) = export(&policy, &fixture, kind, &dir, &about(100))
                .unwrap_or_else(|error| panic!("{} {kind:?}: {error}", fixture.name));
            assert!(proof.difference <= 1e-4 * proof.largest, "{} {kind:?}: {proof:?}", fixture.name);
            assert!(remarks.iter().all(|remark| remark.contains("sees the last")), "{}: {remarks:?}", fixture.name);
            moved.push(proof.rounding.unwrap());
            let path = dir.join(format!("A-run-0.1-step-7-{}.gguf", kind.name()));
            assert!(path.is_file());
            if kind == GgufType::F32 {
                // Longer than the probes, past windows and into scaled rotations.
                let read = Policy::load(&path, &LoadOptions::default()).unwrap();
                let off = largest_difference(&elements(&read.logits(&input).unwrap()), &trained);
                assert!(off <= 1e-4 * largest, "{}: off by {off} of {largest}", fixture.name);
            }
            let (base, own) = (Codec::load(&fixture.folder).unwrap(), Codec::load(&dir).unwrap());
            assert_eq!(own.encode(VARIED_WORDS), base.encode(VARIED_WORDS), "{}", fixture.name);
            assert_eq!((own.bos(), own.eos()), (base.bos(), base.eos()));
            assert_eq!(own.encode_text("a"), base.encode_text("a"));
            assert_eq!(own.has_template(), base.has_template());
        }
        let [f32, f16, bf16, q8_0, q4_k, _] = moved[..] else { panic!("{moved:?}") };
        assert!(f32 <= 1e-4 * largest, "{}: nothing is rounded, and {f32} moved", fixture.name);
        assert!(f32 < f16 && f16 < bf16 && f16 < q8_0 && q8_0 < q4_k, "{}: {moved:?}", fixture.name);
    }
}

#[test]
fn the_folder_says_how_it_is_run() {
    let fixture = fixture::one("qwen3_qknorm");
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("out");
    export(&fixture.lora(), &fixture, GgufType::Q8_0, &dir, &about(80)).unwrap();
    let name = "A-run-0.1-step-7-80-percent-q8_0.gguf";
    let names: Vec<String> = {
        let mut names: Vec<_> =
            fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names, [name, "Modelfile", "README.md", "probe.json", "report.json"]);
    let card = fs::read_to_string(dir.join("README.md")).unwrap();
    for words in ["llama-cli -m", "lms import", "ollama create", "80 % of its strength", "rounded to q8_0", name] {
        assert!(card.contains(words), "{words}: {card}");
    }
    let modelfile = fs::read_to_string(dir.join("Modelfile")).unwrap();
    assert!(modelfile.contains(&format!("FROM ./{name}\n")), "{modelfile}");
    let report: Value = serde_json::from_str(&fs::read_to_string(dir.join("report.json")).unwrap()).unwrap();
    assert_eq!((&report["kind"], &report["stored_as"]), (&Value::from("gguf"), &Value::from("q8_0")));
    assert!(report["proof"]["max_logit_rounding"].as_f64().unwrap() > 0.0);
}

#[test]
fn what_llama_cpp_cannot_say_is_refused_by_name_and_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("out");
    let fixture = fixture::one("gemma2");
    let error = export(&fixture.lora(), &fixture, GgufType::F16, &dir, &about(100)).unwrap_err().to_string();
    assert!(error.contains("query_pre_attn_scalar") && error.contains("merged folder"), "{error}");
    let qwen = fixture::one("qwen3_qknorm");
    let copy = tempfile::tempdir().unwrap();
    let keys = [("use_sliding_window", true.into()), ("sliding_window", 8.into()), ("layer_types", Value::Null)];
    let windows = changed(&qwen, copy.path(), &[&keys[..], &[("max_window_layers", 2.into())]].concat());
    let error = export(&windows.lora(), &windows, GgufType::F16, &dir, &about(100)).unwrap_err().to_string();
    assert!(error.contains("sliding_window"), "{error}");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

/// Strength multiplies what was learnt, of an adapter and of full weights alike.
#[test]
fn a_training_goes_out_at_any_strength() {
    let fixture = fixture::one("llama_mha");
    let input = fixture.pairs().remove(0).concat();
    let logits = |policy: &Policy| elements(&policy.logits(&input).unwrap());
    let base = logits(&fixture.base());
    let full = || {
        let mut policy = fixture.full();
        for (name, tensor) in policy.trainable().unwrap() {
            let moved = tensor.to_vec::<f32>().unwrap().iter().map(|value| value * 1.25).collect();
            policy.set_tensor(&name, moved).unwrap();
        }
        policy
    };
    for make in [&(|| fixture.lora()) as &dyn Fn() -> Policy, &full] {
        let at = |strength: f32| {
            let mut policy = make();
            policy.set_strength(strength).unwrap();
            logits(&policy)
        };
        let off = |strength: f32| largest_difference(&at(strength), &base);
        assert!(off(0.0) < 1e-5, "{}", off(0.0));
        assert!(off(0.5) > 0.01 && off(0.5) < off(1.0) && off(1.0) < off(1.5), "{:?}", [0.5, 1.0, 1.5].map(off));
        assert_eq!(at(1.0), logits(&make()));
    }
    let root = tempfile::tempdir().unwrap();
    let mut none = fixture.lora();
    none.set_strength(0.0).unwrap();
    let (proof, _) = export(&none, &fixture, GgufType::F16, &root.path().join("none"), &about(0)).unwrap();
    assert_eq!(proof.effect, 0.0);
    let refused = export(&none, &fixture, GgufType::F16, &root.path().join("some"), &about(100));
    assert!(matches!(refused, Err(ExportError::NoEffect { .. })), "{refused:?}");
}

/// A GGUF base keeps its own words for everything, whatever its weights are stored as.
#[test]
fn a_gguf_base_goes_out_again() {
    let fixture = fixture::one("llama_gqa_rope3");
    let root = tempfile::tempdir().unwrap();
    let first = root.path().join("first");
    export(&fixture.lora(), &fixture, GgufType::Q8_0, &first, &about(100)).unwrap();
    let base = Fixture { folder: first, ..fixture.at(fixture.place) };
    let second = root.path().join("second");
    let (proof, remarks) = export(&base.lora(), &base, GgufType::F16, &second, &about(100)).unwrap();
    assert!(proof.difference <= 1e-4 * proof.largest && proof.effect > 0.1, "{proof:?}");
    assert!(remarks.is_empty(), "{remarks:?}");
    let (before, after) = (Codec::load(&base.folder).unwrap(), Codec::load(&second).unwrap());
    assert_eq!(before.identity(), after.identity());
}
