//! Which layers PEFT makes out of a config. What a file holds for other layers PEFT leaves unread and says nothing;
//! here it is an error.
//!
//! Source: `check_target_module_exists` and `get_pattern_key` in PEFT's `tuners/tuners_utils.py` and `utils/other.py`,
//! as of version 0.21.

use fancy_regex::Regex;
use serde_json::{Map, Value};

use crate::{Family, Spec};

/// The layers that a config chooses.
#[derive(Debug)]
pub(super) struct Chosen {
    targets: Targets,
    excluded: Option<Modules>,
    /// Numbers of the blocks; absent for all of them.
    blocks: Option<Vec<i64>>,
    /// What stands before the number of a block in a module path.
    before_number: Vec<Regex>,
}

#[derive(Debug)]
enum Targets {
    /// Every linear layer but the head.
    AllLinear,
    Modules(Modules),
}

#[derive(Debug)]
enum Modules {
    /// Paths, or their ends.
    Names(Vec<String>),
    /// The whole path matches.
    Expression(Regex),
}

/// What PEFT adapts where a config does not name its modules, for the types of models for which it knows that.
const DEFAULT: [&str; 2] = ["q_proj", "v_proj"];

impl Chosen {
    /// Of an adapter for a model of this spec; errors about what is no name of a module or number of a block.
    pub(super) fn read(config: &Map<String, Value>, spec: &Spec) -> Result<Self, String> {
        let targets = match config.get("target_modules").unwrap_or(&Value::Null) {
            Value::Null if has_default(spec) => Targets::Modules(Modules::named(&DEFAULT)),
            Value::Null => {
                return Err(
                    "its config does not say which layers it adapts (`target_modules`), and PEFT assumes none for \
                            this type of model"
                        .to_owned(),
                );
            }
            Value::String(all) if all.eq_ignore_ascii_case("all-linear") => Targets::AllLinear,
            value => Targets::Modules(Modules::read("target_modules", value)?),
        };
        let excluded = match config.get("exclude_modules").unwrap_or(&Value::Null) {
            Value::Null => None,
            Value::String(text) if text.is_empty() => None,
            value => Some(Modules::read("exclude_modules", value)?),
        };
        Ok(Self { targets, excluded, blocks: blocks(config)?, before_number: before_number(config)? })
    }

    /// Whether the layer of this module path gets an adapter.
    pub(super) fn has(&self, path: &str) -> bool {
        if self.excluded.as_ref().is_some_and(|modules| modules.have(path)) {
            return false;
        }
        match &self.targets {
            Targets::AllLinear => path.contains(".layers.") && self.has_block(path),
            Targets::Modules(Modules::Names(names)) if names.iter().any(|name| name == path) => true,
            Targets::Modules(modules @ Modules::Names(_)) => modules.have(path) && self.has_block(path),
            Targets::Modules(modules @ Modules::Expression(_)) => modules.have(path),
        }
    }

    fn has_block(&self, path: &str) -> bool {
        let Some(blocks) = &self.blocks else {
            return true;
        };
        let number = self.before_number.iter().find_map(|pattern| {
            let found = pattern.captures(path).ok()??;
            found.name("number")?.as_str().parse().ok()
        });
        number.is_some_and(|number| blocks.contains(&number))
    }
}

/// Whether PEFT's `TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING` has this type of model.
fn has_default(spec: &Spec) -> bool {
    use Family::{Gemma2, Gemma3, Llama, Mistral, Qwen2, Qwen3};
    spec.part_of.is_none() && matches!(spec.family, Llama | Mistral | Qwen2 | Qwen3 | Gemma2 | Gemma3)
}

/// `layers_to_transform`.
fn blocks(config: &Map<String, Value>) -> Result<Option<Vec<i64>>, String> {
    let value = config.get("layers_to_transform").unwrap_or(&Value::Null);
    let numbers = match value {
        Value::Null => return Ok(None),
        Value::Array(some) if some.is_empty() => return Ok(None),
        Value::Array(some) => some.iter().map(Value::as_i64).collect(),
        one => one.as_i64().map(|one| vec![one]),
    };
    numbers.map(Some).ok_or_else(|| format!("its `layers_to_transform` is {value}; expected numbers of blocks"))
}

/// `layers_pattern`.
fn before_number(config: &Map<String, Value>) -> Result<Vec<Regex>, String> {
    let value = config.get("layers_pattern").unwrap_or(&Value::Null);
    let patterns = match value {
        Value::Null => Some(Vec::new()),
        Value::String(one) => Some(vec![one.as_str()]),
        Value::Array(some) => some.iter().map(Value::as_str).collect(),
        _ => None,
    };
    let mut patterns =
        patterns.ok_or_else(|| format!("its `layers_pattern` is {value}; expected a name or a list of names"))?;
    patterns.retain(|pattern| !pattern.is_empty());
    if patterns.is_empty() {
        return Ok(vec![expression("layers_pattern", r"^(?:.*?\.[^.]*\.(?P<number>\d+)\.)")?]);
    }
    let whole = |pattern: &str| format!(r"^(?:(?:^|.*?\.){pattern}\.(?P<number>\d+)\.)");
    patterns.into_iter().map(|pattern| expression("layers_pattern", &whole(pattern))).collect()
}

fn expression(key: &str, text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| format!("its `{key}` is {text:?}, which is no expression ({error})"))
}

impl Modules {
    fn named(names: &[&str]) -> Self {
        Self::Names(names.iter().map(|&name| name.to_owned()).collect())
    }

    fn read(key: &str, value: &Value) -> Result<Self, String> {
        let wrong = || format!("its `{key}` is {value}; expected names of modules in a list, or an expression");
        match value {
            Value::String(text) => Ok(Self::Expression(expression(key, &format!("^(?:{text})$"))?)),
            Value::Array(names) => {
                let names: Option<Vec<String>> = names.iter().map(|name| Some(name.as_str()?.to_owned())).collect();
                names.map(Self::Names).ok_or_else(wrong)
            }
            _ => Err(wrong()),
        }
    }

    fn have(&self, path: &str) -> bool {
        match self {
            Self::Names(names) => names.iter().any(|name| {
                path.strip_suffix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }),
            Self::Expression(expression) => expression.is_match(path).unwrap_or(true),
        }
    }
}

/// A key of `rank_pattern` or `alpha_pattern`: an expression for a module path, or for its end after a dot.
pub(super) fn pattern_key(key: &str) -> Result<Regex, String> {
    Regex::new(&format!(r"^(.*\.)?({key})$"))
        .map_err(|error| format!("names layers by {key:?}, which is no expression ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "model.layers.3.self_attn.q_proj";

    fn has(config: &str) -> bool {
        let Value::Object(config) = serde_json::from_str(config).unwrap() else {
            panic!("no object");
        };
        Chosen::read(&config, &spec("llama")).unwrap().has(PATH)
    }

    fn spec(model_type: &str) -> Spec {
        Spec::parse(&format!(r#"{{"model_type": "{model_type}"}}"#)).unwrap()
    }

    #[test]
    fn r11_modules_that_are_not_named_are_those_that_peft_assumes() {
        for config in ["{}", r#"{"target_modules": null}"#] {
            let Ok(Value::Object(config)) = serde_json::from_str(config) else {
                panic!("no object");
            };
            for model_type in ["llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text"] {
                let chosen = Chosen::read(&config, &spec(model_type)).unwrap();
                let kinds = ["q_proj", "k_proj", "v_proj", "o_proj"];
                let has = kinds.map(|kind| chosen.has(&format!("model.layers.1.self_attn.{kind}")));
                assert_eq!(has, [true, false, true, false], "{model_type}");
            }
            for model_type in ["phi3", "olmo2", "smollm3"] {
                let error = Chosen::read(&config, &spec(model_type)).unwrap_err();
                assert!(error.contains("target_modules"), "{error}");
            }
        }
        assert!(!has(r#"{"target_modules": []}"#), "none are named");
    }

    #[test]
    fn layers_are_chosen_as_peft_chooses_them() {
        for (config, expected) in [
            (r"{}", true),
            (r#"{"target_modules": "all-linear"}"#, true),
            (r#"{"target_modules": "All-Linear"}"#, true),
            (r#"{"target_modules": ["q_proj", "v_proj"]}"#, true),
            (r#"{"target_modules": ["proj"]}"#, false),
            (r#"{"target_modules": ["v_proj"]}"#, false),
            (r#"{"target_modules": ".*\\.(q|v)_proj"}"#, true),
            (r#"{"target_modules": "(q|v)_proj"}"#, false),
            (r#"{"target_modules": ".*(?<!self_attn)\\.q_proj"}"#, false),
            (r#"{"target_modules": ["q_proj"], "exclude_modules": ["q_proj"]}"#, false),
            (r#"{"target_modules": ["q_proj"], "exclude_modules": ".*layers.4.*"}"#, true),
            (r#"{"target_modules": ["q_proj"], "layers_to_transform": [3]}"#, true),
            (r#"{"target_modules": ["q_proj"], "layers_to_transform": 2}"#, false),
            (r#"{"target_modules": ["q_proj"], "layers_to_transform": [3], "layers_pattern": "h"}"#, false),
            (r#"{"target_modules": ["q_proj"], "layers_to_transform": -1}"#, false),
            (r#"{"target_modules": ["q_proj"], "layers_to_transform": [3], "layers_pattern": ["h", "layers"]}"#, true),
            (r#"{"target_modules": ["model.layers.3.self_attn.q_proj"], "layers_to_transform": [0]}"#, true),
        ] {
            assert_eq!(has(config), expected, "{config}");
        }
    }

    #[test]
    fn a_pattern_key_is_an_expression_for_the_end_of_a_path() {
        let matches = |key| pattern_key(key).unwrap().is_match(PATH).unwrap();
        assert!(matches("q_proj"));
        assert!(matches("self_attn.q_proj"));
        assert!(matches("self_attn.q.proj"), "a dot is any letter");
        assert!(matches("^model.layers.3.self_attn.q_proj"));
        assert!(matches(r".*\.3\..*"));
        assert!(!matches("proj"));
        assert!(!matches("^q_proj"));
        assert!(pattern_key("(").is_err());
    }
}
