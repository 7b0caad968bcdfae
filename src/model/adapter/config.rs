//! `adapter_config.json`: the keys that decide what an adapter computes; the others must be known to decide nothing.
//!
//! Source: `LoraConfig` of PEFT, as of version 0.21.

use fancy_regex::Regex;
use serde_json::{Map, Value};

use super::chosen::{Chosen, pattern_key};

/// Keys that are read here, or that change nothing once an adapter is trained.
const UNDERSTOOD: &[&str] = &[
    "alpha_pattern",
    "auto_mapping",
    "base_model_name_or_path",
    "bias",
    "corda_config",
    "ensure_weight_tying",
    "eva_config",
    "exclude_modules",
    // For layers that keep their weight transposed, which no model here does: PEFT switches it off on the others.
    "fan_in_fan_out",
    "inference_mode",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "loftq_config",
    "lora_alpha",
    "lora_dropout",
    "lora_ga_config",
    "megatron_config",
    "megatron_core",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "r",
    "rank_pattern",
    "revision",
    "runtime_config",
    "target_modules",
    "task_type",
    "use_rslora",
];

/// Starts that change the base model's own weights: such an adapter is no sum on the base as it is.
const CHANGES_THE_BASE: &[&str] = &["pissa", "olora", "corda", "loftq", "lora_ga"];

/// What the config says of ranks and scales.
#[derive(Debug)]
pub(super) struct PeftConfig {
    rank: usize,
    alpha: f64,
    rslora: bool,
    /// Layers with a rank or an alpha of their own, the first that matches counts.
    ranks: Vec<(Regex, f64)>,
    alphas: Vec<(Regex, f64)>,
    chosen: Chosen,
}

impl PeftConfig {
    /// The config, or what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let config: Value =
            serde_json::from_str(text).map_err(|error| format!("adapter_config.json is not valid JSON ({error})"))?;
        let Value::Object(config) = config else {
            return Err("adapter_config.json is not a JSON object".to_owned());
        };
        match config.get("peft_type").and_then(Value::as_str) {
            Some("LORA") => {}
            Some(other) => {
                return Err(format!("its `peft_type` is {other}; only LORA is supported"));
            }
            None => {
                return Err("its config does not say that it is a LoRA (`peft_type`)".to_owned());
            }
        }
        for (key, value) in &config {
            if !UNDERSTOOD.contains(&key.as_str()) && !is_off(value) {
                return Err(format!("its config sets `{key}`, which is not supported"));
            }
        }
        match config.get("bias").and_then(Value::as_str) {
            None | Some("none") => {}
            Some(other) => {
                return Err(format!("its config trains biases (`bias` is {other:?}), which is not supported"));
            }
        }
        if let Some(start) = config.get("init_lora_weights").and_then(Value::as_str) {
            let start = start.to_lowercase();
            if CHANGES_THE_BASE.iter().any(|name| start.starts_with(name)) {
                return Err(format!(
                    "its `init_lora_weights` is {start:?}, which changes the base model too; convert it with PEFT first \
                     (`path_initial_model_for_weight_conversion`)"
                ));
            }
        }
        let rank = config.get("r").and_then(Value::as_u64);
        let rank = rank.filter(|&rank| rank > 0);
        let alpha = config.get("lora_alpha").and_then(Value::as_f64);
        Ok(Self {
            rank: rank.ok_or("its config has no rank `r`")? as usize,
            alpha: alpha.ok_or("its config has no `lora_alpha`")?,
            rslora: config.get("use_rslora").and_then(Value::as_bool).unwrap_or(false),
            ranks: pattern(&config, "rank_pattern")?,
            alphas: pattern(&config, "alpha_pattern")?,
            chosen: Chosen::read(&config),
        })
    }

    /// Rank and alpha of the layer of this module path.
    pub(super) fn of(&self, path: &str) -> (usize, f64) {
        let own = |pattern: &[(Regex, f64)]| {
            let mut matching = pattern.iter().filter(|(key, _)| key.is_match(path).unwrap_or(false));
            matching.next().map(|(_, number)| *number)
        };
        (own(&self.ranks).map_or(self.rank, |rank| rank as usize), own(&self.alphas).unwrap_or(self.alpha))
    }

    /// Whether PEFT reads what the file holds for the layer of this module path.
    pub(super) fn has(&self, path: &str) -> bool {
        self.chosen.has(path)
    }

    /// alpha/rank, or alpha/√rank.
    pub(super) fn scale(&self, rank: usize, alpha: f64) -> f64 {
        let rank = rank as f64;
        alpha / if self.rslora { rank.sqrt() } else { rank }
    }
}

/// Absent in all but name.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Numbers by an expression for module paths.
fn pattern(config: &Map<String, Value>, key: &str) -> Result<Vec<(Regex, f64)>, String> {
    let Some(map) = config.get(key).and_then(Value::as_object) else {
        return Ok(Vec::new());
    };
    map.iter()
        .map(|(name, value)| {
            let layers = pattern_key(name).map_err(|error| format!("its `{key}` {error}"))?;
            let number = value.as_f64().filter(|number| number.is_finite());
            let number = number.filter(|&number| key != "rank_pattern" || number >= 1.0);
            match number {
                Some(number) => Ok((layers, number)),
                None => Err(format!("its `{key}` gives {name:?} the value {value}")),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(more: &str) -> Result<PeftConfig, String> {
        PeftConfig::parse(&format!(r#"{{"peft_type": "LORA", "r": 4, "lora_alpha": 8{more}}}"#))
    }

    #[test]
    fn a_layer_may_have_its_own_rank_and_alpha() {
        let config = parse(
            r#", "rank_pattern": {"^model.layers.0.self_attn.q_proj": 9, "q_proj": 2},
            "alpha_pattern": {"q_proj": 3}, "use_rslora": true"#,
        )
        .unwrap();
        assert_eq!(config.of("model.layers.0.self_attn.q_proj"), (9, 3.0));
        assert_eq!(config.of("model.layers.1.self_attn.q_proj"), (2, 3.0));
        assert_eq!(config.of("model.layers.1.self_attn.v_proj"), (4, 8.0));
        assert_eq!(config.scale(9, 3.0), 1.0);
    }

    #[test]
    fn what_would_change_the_numbers_is_refused_by_name() {
        for (more, what) in [
            (r#", "use_dora": true"#, "use_dora"),
            (r#", "modules_to_save": ["lm_head"]"#, "modules_to_save"),
            (r#", "bias": "lora_only""#, "bias"),
            (r#", "a_later_invention": 3"#, "a_later_invention"),
            (r#", "init_lora_weights": "pissa_niter_4""#, "pissa"),
            (r#", "rank_pattern": {"(q_proj": 3}"#, "expression"),
            (r#", "peft_type": "LOHA""#, "`peft_type` is LOHA;"),
            (r#", "rank_pattern": {"q_proj": 0}"#, "rank_pattern"),
        ] {
            let error = parse(more).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
        let harmless = r#", "fan_in_fan_out": true, "target_modules": "all-linear", "layers_to_transform": [0],
            "init_lora_weights": "gaussian", "modules_to_save": null, "use_dora": false"#;
        assert!(parse(harmless).is_ok());
    }
}
