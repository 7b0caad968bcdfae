//! Which layers PEFT makes out of a config. What a file holds for other layers PEFT leaves unread and says nothing; here
//! it is an error.
//!
//! Source: `check_target_module_exists` and `get_pattern_key` in PEFT's `tuners/tuners_utils.py` and `utils/other.py`, as of
//! version 0.21.

use fancy_regex::Regex;
use serde_json::{Map, Value};

/// The layers that a config chooses.
#[derive(Debug)]
pub(super) struct Chosen {
    /// Absent where the config leaves the choice to PEFT.
    targets: Option<Modules>,
    excluded: Option<Modules>,
    /// Numbers of the blocks; absent for all of them.
    blocks: Option<Vec<u64>>,
    /// What stands before the number of a block in a module path.
    before_number: Vec<Regex>,
}

#[derive(Debug)]
enum Modules {
    /// Paths, or their ends.
    Names(Vec<String>),
    /// The whole path matches.
    Expression(Regex),
}

impl Chosen {
    pub(super) fn read(config: &Map<String, Value>) -> Self {
        let all = Value::String("all-linear".to_owned());
        let targets = config.get("target_modules").filter(|value| **value != all);
        let blocks = match config.get("layers_to_transform") {
            Some(Value::Number(one)) => one.as_u64().map(|one| vec![one]),
            Some(Value::Array(some)) if !some.is_empty() => Some(some.iter().filter_map(Value::as_u64).collect()),
            _ => None,
        };
        let mut patterns = match config.get("layers_pattern") {
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(some)) => some.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        patterns.retain(|pattern| !pattern.is_empty());
        if patterns.is_empty() {
            patterns.push(r"[^.]*");
        }
        let before_number = patterns.into_iter();
        let before_number = before_number.filter_map(|pattern| Regex::new(&format!(r"^.*\.{pattern}\.(\d+)\.")).ok());
        Self {
            targets: targets.and_then(Modules::read),
            excluded: config.get("exclude_modules").and_then(Modules::read),
            blocks,
            before_number: before_number.collect(),
        }
    }

    /// Whether the layer of this module path gets an adapter.
    pub(super) fn has(&self, path: &str) -> bool {
        if self.excluded.as_ref().is_some_and(|modules| modules.have(path)) {
            return false;
        }
        match &self.targets {
            None => self.has_block(path),
            Some(Modules::Names(names)) if names.iter().any(|name| name == path) => true,
            Some(modules @ Modules::Names(_)) => modules.have(path) && self.has_block(path),
            Some(modules @ Modules::Expression(_)) => modules.have(path),
        }
    }

    fn has_block(&self, path: &str) -> bool {
        let Some(blocks) = &self.blocks else {
            return true;
        };
        let number = self.before_number.iter().find_map(|pattern| {
            let found = pattern.captures(path).ok()??;
            found.get(1)?.as_str().parse().ok()
        });
        number.is_some_and(|number| blocks.contains(&number))
    }
}

impl Modules {
    /// Nothing where nothing is named; nor where an expression is one of Python's alone, which then chooses nothing here.
    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::Expression(Regex::new(&format!("^(?:{text})$")).ok()?)),
            Value::Array(names) if !names.is_empty() => {
                let names = names.iter().filter_map(Value::as_str);
                Some(Self::Names(names.map(str::to_owned).collect()))
            }
            _ => None,
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
        Chosen::read(&config).has(PATH)
    }

    #[test]
    fn layers_are_chosen_as_peft_chooses_them() {
        for (config, expected) in [
            (r"{}", true),
            (r#"{"target_modules": "all-linear"}"#, true),
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
