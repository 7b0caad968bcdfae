//! Which runs can be handed over: those whose every number `train.py` can compute too.

use data::config::{Negatives, Precision, RunConfig, TokenWeights};
use model::Policy;

use crate::error::{HandoverError, Result};

/// What the settings alone say against it.
pub fn refuse(config: &RunConfig) -> Result<()> {
    let RunConfig { model, data, objective, lora, train, .. } = config;
    let method = objective.kind;
    let why = if !data::config::Method::PREFERENCE.contains(&method) {
        format!("objective.kind is {}; what trains there knows mpo, dpo and ipo", method.name())
    } else if lora.full {
        "lora.full trains all weights; what comes back is an adapter".to_owned()
    } else if objective.negatives != Negatives::First {
        "objective.negatives asks for several rejected answers; what trains there takes the one of the verdict"
            .to_owned()
    } else if objective.token_weights != TokenWeights::None || config.has_triplet() {
        "objective.token_weights weighs tokens; what trains there counts them alike".to_owned()
    } else if model.start_adapter.is_some() || model.continue_adapter.is_some() {
        "it starts from an adapter; merge that into the model first (`nudge export --merged`)".to_owned()
    } else if data.live_labels {
        "data.live_labels takes in new labels on the way, which nobody brings there; set it to false".to_owned()
    } else if train.kl_limit.is_some() {
        "train.kl_limit asks somebody to act on drift, and nobody does there; leave it empty".to_owned()
    } else {
        return Ok(());
    };
    Err(HandoverError::Refused(why))
}

/// What the loaded model says against it; else the name that PyTorch has for its numbers.
pub(crate) fn refuse_model(policy: &Policy, config: &RunConfig) -> Result<&'static str> {
    let folder = policy.folder();
    let no = |why: String| Err(HandoverError::Refused(why));
    if !folder.is_dir() {
        return no(format!("{} is one file; Transformers needs a folder with safetensors", folder.display()));
    }
    if model::adapter::beside(folder).is_some() {
        return no(format!("an adapter lies beside the model in {}; merge it into the model first", folder.display()));
    }
    if policy.spec().part_of.is_some() {
        return no("the model is a part of one that reads images too, which what trains there does not know".to_owned());
    }
    match policy.weight_format().as_str() {
        "f32" => Ok("float32"),
        // Where it was asked for, bf16 weights are multiplied in f32: there they are widened first, which is the same.
        "bf16" if config.model.dtype == Precision::F32 => Ok("float32"),
        "bf16" => Ok("bfloat16"),
        other => no(format!("the model is kept in {other}; set model.dtype to f32 or bf16")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::config::Method;

    #[test]
    fn what_train_py_does_not_know_is_refused_by_its_setting() {
        type Change = fn(&mut RunConfig);
        assert!(refuse(&RunConfig::default()).is_ok());
        let changes: [(Change, &str); 9] = [
            (|config| config.objective.kind = Method::Reward, "objective.kind is reward"),
            (|config| config.objective.kind = Method::Grpo, "objective.kind is grpo"),
            (|config| config.lora.full = true, "lora.full"),
            (|config| config.objective.negatives = Negatives::All, "objective.negatives"),
            (|config| config.objective.token_weights = TokenWeights::Tis, "objective.token_weights"),
            (|config| config.model.start_adapter = Some("a".into()), "starts from an adapter"),
            (|config| config.model.continue_adapter = Some("a".into()), "starts from an adapter"),
            (|config| config.data.live_labels = true, "data.live_labels"),
            (|config| config.train.kl_limit = Some(0.1), "train.kl_limit"),
        ];
        for (change, said) in changes {
            let mut config = RunConfig::default();
            change(&mut config);
            let error = refuse(&config).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
