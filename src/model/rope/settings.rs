//! What a config says about rotary positions, in the dialects of Transformers 4 and 5, and how it is written.

use serde_json::{Map, Value, json};

use super::{Rope, RopeScaling};
use crate::config::Config;

/// What a family assumes of rotations where the file is silent.
pub(crate) struct SilentRope {
    pub(crate) theta: f64,
    /// Blocks with a window have a rotation of their own, with this theta.
    pub(crate) local_theta: Option<f64>,
    pub(crate) max_positions: usize,
    /// `None`: as many as `max_positions`.
    pub(crate) original_max_positions: Option<f64>,
    /// Early files of the family call LongRoPE "yarn".
    pub(crate) yarn_is_longrope: bool,
}

/// Keys of Transformers' `RopeParameters`: those that a kind of rotation does not read change nothing beside it.
const KNOWN: [&str; 12] = [
    "factor",
    "original_max_position_embeddings",
    "attention_factor",
    "beta_fast",
    "beta_slow",
    "short_factor",
    "long_factor",
    "low_freq_factor",
    "high_freq_factor",
    "mscale",
    "mscale_all_dim",
    "truncate",
];

/// Rotary settings in either dialect: `rope_parameters` (Transformers 5), or `rope_theta` with `rope_scaling` (4),
/// which wins where both are there, as in Transformers. Gives one rotation, or that of full attention and the local
/// one.
pub(crate) fn read(config: &mut Config<'_>, silent: &SilentRope) -> Result<Vec<Rope>, String> {
    let outer = Outer::read(config, silent)?;
    let five = config.object("rope_parameters")?;
    let four = config.object("rope_scaling")?;
    let Some(local_theta) = silent.local_theta else {
        return match (four.filter(|map| !map.is_empty()), five) {
            (Some(map), _) => Ok(vec![outer.rope("rope_scaling", map)?]),
            (None, Some(map)) => Ok(vec![outer.rope("rope_parameters", map)?]),
            (None, None) => Ok(vec![outer.plain()]),
        };
    };
    let local_theta = config.number("rope_local_base_freq")?.unwrap_or(local_theta);
    let nothing = Map::new();
    let mut nested = Config::new(five.unwrap_or(&nothing));
    let full = nested.object("full_attention")?;
    let local = nested.object("sliding_attention")?;
    nested.finish("rope_parameters").map_err(|reason| format!("in `rope_parameters`: {reason}"))?;
    let mut full = full.cloned().unwrap_or_default();
    full.extend(four.cloned().unwrap_or_default());
    let of_local = Outer { theta: local_theta, ..outer };
    Ok(vec![outer.rope("rope_parameters", &full)?, of_local.rope("rope_parameters", local.unwrap_or(&nothing))?])
}

/// What the config itself says, around the object of the rotation.
#[derive(Clone, Copy)]
struct Outer {
    theta: f64,
    partial: f64,
    max_positions: usize,
    original_max_positions: Option<f64>,
    yarn_is_longrope: bool,
}

impl Outer {
    fn read(config: &mut Config<'_>, silent: &SilentRope) -> Result<Self, String> {
        Ok(Self {
            theta: config.number("rope_theta")?.unwrap_or(silent.theta),
            partial: config.number("partial_rotary_factor")?.unwrap_or(1.0),
            max_positions: silent.max_positions,
            original_max_positions: config
                .positive("original_max_position_embeddings")?
                .or(silent.original_max_positions),
            yarn_is_longrope: silent.yarn_is_longrope,
        })
    }

    fn plain(&self) -> Rope {
        Rope { theta: self.theta, partial: self.partial, scaling: RopeScaling::None }
    }

    /// Reads the object of a rotation, which stands under `key`.
    fn rope(&self, key: &str, map: &Map<String, Value>) -> Result<Rope, String> {
        self.read_rope(map).map_err(|reason| format!("in `{key}`: {reason}"))
    }

    fn read_rope(&self, map: &Map<String, Value>) -> Result<Rope, String> {
        let mut rope = Config::new(map);
        let theta = rope.number("rope_theta")?.unwrap_or(self.theta);
        let partial = rope.number("partial_rotary_factor")?.unwrap_or(self.partial);
        let legacy_kind = rope.text("type")?;
        let kind = rope.text("rope_type")?.or(legacy_kind).unwrap_or("default");
        let scaling = match kind {
            "default" => RopeScaling::None,
            "linear" => RopeScaling::Linear { factor: rope.needed_positive("factor")? },
            "dynamic" => {
                RopeScaling::Dynamic { factor: rope.needed_positive("factor")?, max_positions: self.max_positions }
            }
            "llama3" => RopeScaling::Llama3 {
                factor: rope.needed_positive("factor")?,
                low_freq_factor: rope.needed_positive("low_freq_factor")?,
                high_freq_factor: rope.needed_positive("high_freq_factor")?,
                original_max_positions: self.original(&mut rope)?,
            },
            "yarn" if !self.yarn_is_longrope => self.yarn(&mut rope)?,
            "longrope" | "su" | "yarn" => self.longrope(&mut rope)?,
            other => {
                return Err(format!(
                    "rotary scaling `{other}` is not supported (known: default, linear, dynamic, llama3, yarn, longrope)"
                ));
            }
        };
        for key in KNOWN {
            rope.get(key);
        }
        rope.finish(&format!("rope {kind}"))?;
        Ok(Rope { theta, partial, scaling })
    }

    /// The context before scaling: what stands in the config itself wins over what stands with the rotation.
    fn original(&self, rope: &mut Config<'_>) -> Result<f64, String> {
        let inner = rope.positive("original_max_position_embeddings")?;
        Ok(self.original_max_positions.or(inner).unwrap_or(self.max_positions as f64))
    }

    fn yarn(&self, rope: &mut Config<'_>) -> Result<RopeScaling, String> {
        let original_max_positions = self.original(rope)?;
        let factor = rope.positive("factor")?.unwrap_or(self.max_positions as f64 / original_max_positions);
        let magnitude = |scale: f64| {
            if factor <= 1.0 { 1.0 } else { 0.1 * scale * factor.ln() + 1.0 }
        };
        let (one, all) = (rope.number("mscale")?, rope.number("mscale_all_dim")?);
        let attention_factor = match (rope.number("attention_factor")?, one, all) {
            (Some(given), _, _) => given,
            (None, Some(one), Some(all)) if one != 0.0 && all != 0.0 => magnitude(one) / magnitude(all),
            (None, _, _) => magnitude(1.0),
        };
        Ok(RopeScaling::Yarn {
            factor,
            attention_factor,
            beta_fast: rope.positive("beta_fast")?.unwrap_or(32.0),
            beta_slow: rope.positive("beta_slow")?.unwrap_or(1.0),
            original_max_positions,
            truncate: rope.flag("truncate")?.unwrap_or(true),
        })
    }

    fn longrope(&self, rope: &mut Config<'_>) -> Result<RopeScaling, String> {
        let original = self.original(rope)?;
        let factor = rope.positive("factor")?.unwrap_or(self.max_positions as f64 / original);
        let attention_factor = match rope.number("attention_factor")? {
            Some(given) => given,
            None if factor <= 1.0 => 1.0,
            None if original > 1.0 => (1.0 + factor.ln() / original.ln()).sqrt(),
            None => {
                return Err(format!("`original_max_position_embeddings` is {original}; expected more than 1"));
            }
        };
        let mut factors = |key| {
            let numbers = rope
                .list(key)?
                .ok_or_else(|| format!("`{key}` is missing"))?
                .iter()
                .map(|value| value.as_f64().filter(|&number| number > 0.0))
                .collect::<Option<Vec<f64>>>();
            numbers.ok_or_else(|| format!("`{key}` must hold positive numbers only"))
        };
        Ok(RopeScaling::LongRope {
            short: factors("short_factor")?,
            long: factors("long_factor")?,
            attention_factor,
            original_max_positions: original as usize,
        })
    }
}

impl Rope {
    /// `rope_scaling` of `config.json`.
    pub(crate) fn to_json(&self) -> Value {
        match &self.scaling {
            RopeScaling::None => Value::Null,
            RopeScaling::Linear { factor } => json!({"rope_type": "linear", "factor": factor}),
            RopeScaling::Dynamic { factor, .. } => {
                json!({"rope_type": "dynamic", "factor": factor})
            }
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_positions } => json!({
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": low_freq_factor,
                "high_freq_factor": high_freq_factor,
                "original_max_position_embeddings": *original_max_positions as u64,
            }),
            RopeScaling::Yarn { factor, attention_factor, beta_fast, beta_slow, original_max_positions, truncate } => {
                json!({
                    "rope_type": "yarn",
                    "factor": factor,
                    "attention_factor": attention_factor,
                    "beta_fast": beta_fast,
                    "beta_slow": beta_slow,
                    "original_max_position_embeddings": *original_max_positions as u64,
                    "truncate": truncate,
                })
            }
            RopeScaling::LongRope { short, long, attention_factor, original_max_positions } => json!({
                "rope_type": "longrope",
                "short_factor": short,
                "long_factor": long,
                "attention_factor": attention_factor,
                "original_max_position_embeddings": original_max_positions,
            }),
        }
    }
}
