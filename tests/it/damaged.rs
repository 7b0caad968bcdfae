//! Weights of which one is no number: whatever reads them says so, in every place, and takes no plausible number for
//! it.

use std::{collections::HashMap, fs, ops::ControlFlow, path::Path};

use candle_core::{DType, Device, Tensor};
use nudge::model::{Doc, GenerateOptions, Row};

use crate::fixture::{self, Fixture, Place};

const BAD: [f32; 3] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];

/// A copy of the model in `to`, one number of one of its tensors replaced.
fn damaged(fixture: &Fixture, tensor: &str, at: usize, bad: f32, to: &Path) -> Fixture {
    for entry in fs::read_dir(&fixture.folder).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.extension().is_none_or(|extension| extension != "safetensors") {
            fs::copy(&from, &to).unwrap();
            continue;
        }
        let mut tensors = candle_core::safetensors::load(&from, &Device::Cpu).unwrap();
        if let Some(whole) = tensors.get_mut(tensor) {
            let mut values: Vec<f32> = whole.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            values[at] = bad;
            *whole = Tensor::from_vec(values, whole.shape(), &Device::Cpu).unwrap();
        }
        candle_core::safetensors::save(&tensors, to).unwrap();
    }
    Fixture { folder: to.to_owned(), ..fixture.at(fixture.place) }
}

fn tensors(fixture: &Fixture) -> Vec<(String, Tensor)> {
    let files = fs::read_dir(&fixture.folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
    let mut all: HashMap<String, Tensor> = HashMap::new();
    for file in files {
        all.extend(candle_core::safetensors::load(file, &Device::Cpu).unwrap());
    }
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

#[test]
fn a_weight_that_is_no_number_gives_no_log_prob_in_any_place() {
    let doc = Doc::new(vec![5, 9, 7], vec![vec![11, 5, 8], vec![9, 6]]);
    for name in ["llama_mha", "gemma2"] {
        for place in Place::all() {
            let whole = fixture::one_on(name, place);
            let is_card = place == Place::Card;
            for (index, (tensor, values)) in tensors(&whole).into_iter().enumerate() {
                // The processor in disguise takes its time: it tries what its own shaders read.
                if is_card && !["q_proj", "k_proj", "down_proj", "norm.weight"].iter().any(|part| tensor.contains(part))
                {
                    continue;
                }
                // In tables of words the row of one that occurs.
                let width = values.dims().last().copied().unwrap();
                let of_words = ["embed_tokens", "lm_head"].iter().any(|table| tensor.contains(table));
                let at = if of_words { 5 * width + 1 } else { 1 };
                let bad = BAD[index % BAD.len()];
                let dir = tempfile::tempdir().unwrap();
                let policy = damaged(&whole, &tensor, at, bad, dir.path()).base();
                let log_probs = policy.log_probs(&Row::pack(std::slice::from_ref(&doc)).unwrap()).unwrap();
                let is_seen = log_probs.iter().flatten().any(|x| !x.is_finite());
                assert!(is_seen, "{bad} in {tensor} of {}: {log_probs:?}", whole.name);
            }
        }
    }
}

#[test]
fn no_answer_is_drawn_from_what_is_no_number() {
    for (name, tensor) in [("llama_mha", "model.layers.0.self_attn.q_proj.weight"), ("gemma2", "model.norm.weight")] {
        for place in Place::all() {
            for bad in BAD {
                let dir = tempfile::tempdir().unwrap();
                let policy = damaged(&fixture::one_on(name, place), tensor, 1, bad, dir.path()).base();
                let options = GenerateOptions { max_new: 2, ..GenerateOptions::default() };
                let prompts = [vec![5, 9, 7]];
                let error = policy.generate(&prompts, &options, &mut |_, _| ControlFlow::Continue(())).unwrap_err();
                assert!(error.to_string().contains("gave no number"), "{error}");
            }
        }
    }
}
