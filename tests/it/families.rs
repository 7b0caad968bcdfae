//! Every family in small and odd shapes, against Transformers: the settings that the larger fixtures do not have.
//!
//! `tests/fixtures/families` (or `families` of the folder that `NUDGE_FIXTURES` names) holds model folders, each with
//! an `expected.safetensors`: `input_ids`, their `logits`, `grad.<tensor>` of the sum of all log-probs with every
//! weight trained, an adapter of rank 2 (`adapter.<name>`, alpha 4, all linear layers) and its gradients `lora.<name>`,
//! and the `greedy` continuation of the first six tokens, EOS not stopping.

use std::{collections::HashMap, fs, ops::ControlFlow, path::PathBuf};

use candle_core::{DType, Device, Tensor};
use nudge::{
    data::config::Targets,
    model::{AdapterShape, Doc, GenerateOptions, LoadOptions, Policy, Row, Spec, WeightType, save_merged},
};

use crate::fixture::{self, elements, for_policy, largest_difference, relative};

const TOLERANCE: f64 = 1e-4;

struct Case {
    name: String,
    folder: PathBuf,
    tensors: HashMap<String, Tensor>,
}

impl Case {
    fn all() -> Vec<Self> {
        let given = fixture::root().join("families");
        let own = fixture::own_root().join("families");
        let folder = if given.is_dir() { given } else { own };
        let mut folders: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        folders.sort();
        assert!(folders.len() >= 16, "all cases are there");
        folders
            .into_iter()
            .map(|folder| Self {
                name: folder.file_name().unwrap().to_string_lossy().into_owned(),
                tensors: candle_core::safetensors::load(folder.join("expected.safetensors"), &Device::Cpu).unwrap(),
                folder,
            })
            .collect()
    }

    fn load(&self, options: &LoadOptions) -> Policy {
        Policy::load(&self.folder, options).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    fn ids(&self, key: &str) -> Vec<u32> {
        let ids = self.tensors[key].to_dtype(DType::U32).unwrap();
        ids.to_vec1().unwrap()
    }

    /// Every tensor under `prefix`, by what follows it.
    fn under(&self, prefix: &str) -> Vec<(String, Tensor)> {
        let found = self
            .tensors
            .iter()
            .filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?.to_owned(), tensor.clone())));
        found.collect()
    }

    /// Trains nothing; looks whether the gradient of everything that could be is as under `prefix`.
    fn check_gradients(&self, mut policy: Policy, prefix: &str) {
        let row = Row::pack(&[Doc::text(&self.ids("input_ids")).unwrap()]).unwrap();
        let pass = policy.forward(&row).unwrap();
        policy.backward(pass, &[1.0]).unwrap();
        let flat = policy.gradients().to_vec().unwrap();
        let want: HashMap<String, Tensor> = self.under(prefix).into_iter().collect();
        let entries = policy.parameters().entries();
        assert_eq!(want.len(), entries.len(), "{} {prefix}", self.name);
        for entry in entries {
            let got = &flat[entry.slot.offset..][..entry.slot.len];
            let got: Vec<f64> = got.iter().map(|&g| f64::from(g)).collect();
            let off = relative(&got, &elements(&want[&entry.name]));
            let what = format!("{} {prefix}{}", self.name, entry.name);
            assert!(off < TOLERANCE, "{what}: off by {off:e}");
        }
    }
}

#[test]
fn logits_are_those_of_transformers_also_when_written_and_read_again() {
    let dir = tempfile::tempdir().unwrap();
    for case in Case::all() {
        let policy = case.load(&LoadOptions::default());
        let ids = case.ids("input_ids");
        let want = elements(&case.tensors["logits"]);
        let got = elements(&policy.logits(&ids).unwrap());
        let off = largest_difference(&got, &want);
        assert!(off < TOLERANCE, "{}: off by {off:e}", case.name);

        save_merged(&policy, dir.path(), WeightType::F32).unwrap();
        let again = Policy::load(dir.path(), &LoadOptions::default()).unwrap();
        // What was part of a larger model is written as a model of its own.
        let alone = Spec { part_of: None, ..policy.spec().clone() };
        assert_eq!(*again.spec(), alone, "{}", case.name);
        assert_eq!(elements(&again.logits(&ids).unwrap()), got, "{}", case.name);
    }
}

#[test]
fn gradients_of_all_weights_are_those_of_pytorch() {
    for case in Case::all() {
        let policy = case.load(&LoadOptions { full: true, ..LoadOptions::default() });
        case.check_gradients(policy, "grad.");
    }
}

#[test]
fn gradients_of_an_adapter_are_those_of_peft() {
    for case in Case::all() {
        let mut policy = case.load(&LoadOptions {
            adapter: Some(AdapterShape {
                rank: 2,
                alpha: 4.0,
                rslora: false,
                dropout: 0.0,
                targets: Targets::AllLinear,
                seed: 0,
            }),
            ..LoadOptions::default()
        });
        policy.set_trainable(&for_policy(case.under("adapter."))).unwrap();
        case.check_gradients(policy, "lora.");
    }
}

#[test]
fn greedy_answers_go_on_as_those_of_transformers() {
    for case in Case::all() {
        let policy = case.load(&LoadOptions::default());
        let want = case.ids("greedy");
        let options = GenerateOptions { max_new: want.len(), ..GenerateOptions::default() };
        let prompt = case.ids("input_ids")[..6].to_vec();
        // In company, so that each stream has its own cache and its own place.
        let prompts = [prompt.clone(), prompt[..3].to_vec(), prompt];
        let got = policy.generate(&prompts, &options, &mut |_, _| ControlFlow::Continue(())).unwrap();
        assert_eq!(got[0].ids, want, "{}", case.name);
        assert_eq!(got[2].ids, want, "{}", case.name);
    }
}
