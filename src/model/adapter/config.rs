//! `adapter_config.json`: the keys that decide what an adapter computes; the others must be known to decide nothing.
//!
//! Source: `LoraConfig` of PEFT, as of version 0.21.

use fancy_regex::Regex;
use serde_json::{Map, Value};

use super::chosen::{Chosen, pattern_key};
use crate::Spec;

/// `r` and `lora_alpha` of a config that does not say them.
const PEFT_DEFAULT: usize = 8;

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
    starts_at_random: bool,
    scores: bool,
}

impl PeftConfig {
    /// The config of an adapter for a model of this spec, or what is wrong with it.
    pub(super) fn parse(text: &str, spec: &Spec) -> Result<Self, String> {
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
        // A reward model: sequence classification with one label. PEFT writes the names that such a head may have
        // beside the one that was asked for.
        let is_head = |name: &Value| ["score", "classifier"].iter().any(|head| name == head);
        let of_a_head = |saved: &Vec<Value>| saved.iter().all(is_head) && saved.iter().any(|name| name == "score");
        let scores = config.get("task_type").and_then(Value::as_str) == Some("SEQ_CLS")
            && config.get("modules_to_save").and_then(Value::as_array).is_some_and(of_a_head);
        for (key, value) in &config {
            let is_score = key == "modules_to_save" && scores;
            if !UNDERSTOOD.contains(&key.as_str()) && !is_off(value) && !is_score {
                let name = if key == "use_dora" { " (DoRA)" } else { "" };
                return Err(format!("its config sets `{key}`{name}, which is not supported"));
            }
        }
        match config.get("bias") {
            None | Some(Value::Null) => {}
            Some(Value::String(none)) if none == "none" => {}
            Some(other) => {
                return Err(format!("its config trains biases (`bias` is {other}), which is not supported"));
            }
        }
        Ok(Self {
            rank: rank(&config)?,
            alpha: match config.get("lora_alpha") {
                None => PEFT_DEFAULT as f64,
                Some(value) => value
                    .as_f64()
                    .filter(|alpha| alpha.is_finite())
                    .ok_or_else(|| format!("its `lora_alpha` is {value}; expected a number"))?,
            },
            rslora: flag(&config, "use_rslora")?,
            ranks: pattern(&config, "rank_pattern")?,
            alphas: pattern(&config, "alpha_pattern")?,
            chosen: Chosen::read(&config, spec)?,
            scores,
            starts_at_random: !starts_at_nothing(&config)?,
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

    /// Whether PEFT makes an adapter for the layer of this module path, and reads what the file holds for it.
    pub(super) fn has(&self, path: &str) -> bool {
        self.chosen.has(path)
    }

    /// Whether PEFT leaves a layer that the file says nothing of with random numbers instead of a B of zeros.
    pub(super) fn starts_at_random(&self) -> bool {
        self.starts_at_random
    }

    /// Whether a head that makes scores is saved beside the adapter.
    pub(super) fn scores(&self) -> bool {
        self.scores
    }

    /// alpha/rank, or alpha/√rank.
    pub(super) fn scale(&self, rank: usize, alpha: f64) -> f64 {
        let rank = rank as f64;
        alpha / if self.rslora { rank.sqrt() } else { rank }
    }
}

/// What Python takes for false.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// A switch. Numbers are true and false as in Python; what is no switch at all is refused, not taken for off.
fn flag(config: &Map<String, Value>, key: &str) -> Result<bool, String> {
    match config.get(key) {
        None => Ok(false),
        Some(value @ (Value::Null | Value::Bool(_) | Value::Number(_))) => Ok(!is_off(value)),
        Some(other) => Err(format!("its `{key}` is {other}; expected true or false")),
    }
}

fn rank(config: &Map<String, Value>) -> Result<usize, String> {
    let Some(value) = config.get("r") else {
        return Ok(PEFT_DEFAULT);
    };
    let rank = value.as_u64().filter(|&rank| rank > 0).and_then(|rank| usize::try_from(rank).ok());
    rank.ok_or_else(|| format!("its rank `r` is {value}; expected a whole number above 0"))
}

/// Whether a fresh adapter adds nothing, or a sentence about a start that changes the base model's own weights.
fn starts_at_nothing(config: &Map<String, Value>) -> Result<bool, String> {
    match config.get("init_lora_weights") {
        None => Ok(true),
        Some(Value::String(start)) => {
            let start = start.to_lowercase();
            if CHANGES_THE_BASE.iter().any(|name| start.starts_with(name)) {
                return Err(format!(
                    "its `init_lora_weights` is {start:?}, which changes the base model too; convert it with PEFT first \
                     (`path_initial_model_for_weight_conversion`)"
                ));
            }
            Ok(!start.is_empty())
        }
        Some(value @ (Value::Null | Value::Bool(_) | Value::Number(_))) => Ok(!is_off(value)),
        Some(other) => Err(format!("its `init_lora_weights` is {other}; expected true, false or a name")),
    }
}

/// Numbers by an expression for module paths.
fn pattern(config: &Map<String, Value>, key: &str) -> Result<Vec<(Regex, f64)>, String> {
    let map = match config.get(key) {
        Some(Value::Object(map)) => map,
        None => return Ok(Vec::new()),
        Some(nothing) if is_off(nothing) => return Ok(Vec::new()),
        Some(other) => return Err(format!("its `{key}` is {other}; expected an object of layers and numbers")),
    };
    map.iter()
        .map(|(name, value)| {
            let layers = pattern_key(name).map_err(|error| format!("its `{key}` {error}"))?;
            let number = if key == "rank_pattern" {
                value.as_u64().filter(|&rank| rank > 0).map(|rank| rank as f64)
            } else {
                value.as_f64().filter(|number| number.is_finite())
            };
            number.map(|number| (layers, number)).ok_or_else(|| format!("its `{key}` gives {name:?} the value {value}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(more: &str) -> Result<PeftConfig, String> {
        let spec = Spec::parse(r#"{"model_type": "llama"}"#).unwrap();
        PeftConfig::parse(&format!(r#"{{"peft_type": "LORA", "r": 4, "lora_alpha": 8{more}}}"#), &spec)
    }

    /// PEFT asks Python whether it is true.
    #[test]
    fn r10_a_switch_may_be_a_number() {
        for (value, on) in [("true", true), ("1", true), ("0.5", true), ("false", false), ("0", false), ("null", false)]
        {
            let config = parse(&format!(r#", "use_rslora": {value}"#)).unwrap();
            assert_eq!(config.scale(4, 8.0), if on { 4.0 } else { 2.0 }, "{value}");
        }
        assert!(parse(r#", "use_dora": 0, "lora_bias": "", "layer_replication": []"#).is_ok());
        for (more, what) in [
            (r#", "use_rslora": "false""#, r#"`use_rslora` is "false""#),
            (r#", "use_rslora": [true]"#, "`use_rslora` is [true]"),
            (r#", "use_rslora": {}"#, "`use_rslora`"),
            (r#", "use_dora": 1"#, "DoRA"),
            (r#", "use_dora": "true""#, "DoRA"),
            (r#", "bias": ["all"]"#, "biases"),
            (r#", "bias": true"#, "biases"),
            (r#", "init_lora_weights": ["pissa"]"#, "init_lora_weights"),
        ] {
            let error = parse(more).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn r11_a_setting_of_another_kind_is_not_taken_for_none() {
        for (more, what) in [
            (r#", "rank_pattern": [["q_proj", 2]]"#, "`rank_pattern` is"),
            (r#", "rank_pattern": "q_proj""#, "`rank_pattern` is"),
            (r#", "rank_pattern": {"q_proj": 2.5}"#, "rank_pattern"),
            (r#", "alpha_pattern": [16]"#, "`alpha_pattern` is"),
            (r#", "alpha_pattern": {"q_proj": "16"}"#, "alpha_pattern"),
            (r#", "alpha_pattern": {"q_proj": true}"#, "alpha_pattern"),
            (r#", "target_modules": 3"#, "`target_modules` is 3"),
            (r#", "target_modules": {"q_proj": true}"#, "`target_modules` is"),
            (r#", "target_modules": ["q_proj", 3]"#, "`target_modules` is"),
            (r#", "target_modules": "(q_proj""#, "no expression"),
            (r#", "exclude_modules": true"#, "`exclude_modules` is"),
            (r#", "exclude_modules": [null]"#, "`exclude_modules` is"),
            (r#", "exclude_modules": "*""#, "no expression"),
            (r#", "layers_to_transform": "0""#, "`layers_to_transform` is"),
            (r#", "layers_to_transform": [0, "1"]"#, "`layers_to_transform` is"),
            (r#", "layers_to_transform": 1.5"#, "`layers_to_transform` is"),
            (r#", "layers_to_transform": [0], "layers_pattern": 3"#, "`layers_pattern` is"),
            (r#", "layers_to_transform": [0], "layers_pattern": ["("]"#, "no expression"),
        ] {
            let error = parse(more).unwrap_err();
            assert!(error.contains(what), "{more}: {error}");
        }
        for harmless in [
            r#", "rank_pattern": null, "alpha_pattern": {}, "exclude_modules": [], "layers_pattern": """#,
            r#", "rank_pattern": [], "layers_to_transform": null, "layers_pattern": null, "exclude_modules": """#,
        ] {
            assert!(parse(harmless).is_ok(), "{harmless}");
        }
    }

    #[test]
    fn what_a_config_leaves_out_is_as_peft_assumes_it() {
        let spec = Spec::parse(r#"{"model_type": "llama"}"#).unwrap();
        let config = PeftConfig::parse(r#"{"peft_type": "LORA"}"#, &spec).unwrap();
        assert_eq!(config.of("model.layers.0.self_attn.q_proj"), (8, 8.0));
        for (config, what) in
            [(r#"{"peft_type": "LORA", "r": null}"#, "rank"), (r#"{"peft_type": "LORA", "r": 4.5}"#, "rank")]
        {
            let error = PeftConfig::parse(config, &spec).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
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
