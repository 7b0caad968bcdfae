//! Settings that may move while a run is going.

use serde::{Deserialize, Serialize};

use super::ObjectiveConfig;

/// Settings that may move while a run is going. Each change is a mark on the charts and part of the checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "knob", content = "value", rename_all = "snake_case")]
pub enum Knob {
    /// Factor on the scheduled learning rate.
    LearningRateScale(f64),
    /// λ_ref.
    ReferenceWeight(f64),
    /// λ_pre.
    RetentionWeight(f64),
    /// β of MPO and DPO.
    Beta(f64),
}

/// Where the knobs stand; part of every checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Knobs {
    #[serde(with = "crate::exact")]
    pub learning_rate_scale: f64,
    /// λ_ref.
    #[serde(with = "crate::exact")]
    pub reference_weight: f64,
    /// λ_pre.
    #[serde(with = "crate::exact")]
    pub retention_weight: f64,
    /// β.
    #[serde(with = "crate::exact")]
    pub beta: f64,
}

impl Knobs {
    pub fn new(config: &ObjectiveConfig) -> Self {
        Self {
            learning_rate_scale: 1.0,
            reference_weight: config.reference_weight(),
            retention_weight: config.retention_weight(),
            beta: config.beta,
        }
    }

    /// Turns one knob. `Ok` is the mark for the charts, `Err` why the value was refused.
    pub fn turn(&mut self, knob: Knob) -> Result<String, String> {
        let (place, name, value, zero_allowed) = match knob {
            Knob::LearningRateScale(value) => (&mut self.learning_rate_scale, "Learning rate scale", value, true),
            Knob::ReferenceWeight(value) => (&mut self.reference_weight, "λ_ref", value, true),
            Knob::RetentionWeight(value) => (&mut self.retention_weight, "λ_pre", value, true),
            Knob::Beta(value) => (&mut self.beta, "β", value, false),
        };
        let allowed = value.is_finite() && (value > 0.0 || (zero_allowed && value == 0.0));
        if !allowed {
            let range = if zero_allowed { "0 or more" } else { "a number above 0" };
            return Err(format!("{name} stays at {place}: {value} was asked for, and it must be {range}"));
        }
        let before = std::mem::replace(place, value);
        Ok(format!("{name} {before} → {value}"))
    }

    /// The objective's settings with the present β.
    pub fn turned(&self, config: &ObjectiveConfig) -> ObjectiveConfig {
        ObjectiveConfig { beta: self.beta, ..config.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_says_what_changed_and_nonsense_is_refused() {
        let mut knobs = Knobs::new(&ObjectiveConfig::default());
        let mark = knobs.turn(Knob::ReferenceWeight(0.5)).unwrap();
        assert_eq!(mark, "λ_ref 0.3 → 0.5");
        let before = knobs;
        assert!(knobs.turn(Knob::Beta(0.0)).is_err());
        assert!(knobs.turn(Knob::LearningRateScale(f64::NAN)).is_err());
        assert!(knobs.turn(Knob::RetentionWeight(-1.0)).is_err());
        assert_eq!(knobs, before);
        assert_eq!(knobs.reference_weight, 0.5);
    }
}
