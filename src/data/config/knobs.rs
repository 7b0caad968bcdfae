//! Settings that may move while a run is going.

use serde::{Deserialize, Serialize};

use super::{Live, ObjectiveConfig, OptimizerConfig, Range, Setting};

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

impl Knob {
    /// All of them, to be given a value.
    pub const ALL: [fn(f64) -> Self; 4] =
        [Self::LearningRateScale, Self::ReferenceWeight, Self::RetentionWeight, Self::Beta];

    pub fn value(self) -> f64 {
        let (Self::LearningRateScale(value)
        | Self::ReferenceWeight(value)
        | Self::RetentionWeight(value)
        | Self::Beta(value)) = self;
        value
    }

    /// The setting that it turns.
    pub fn setting(self) -> Setting {
        match self {
            Self::LearningRateScale(_) => OptimizerConfig::LEARNING_RATE,
            Self::ReferenceWeight(_) => ObjectiveConfig::REFERENCE_WEIGHT,
            Self::RetentionWeight(_) => ObjectiveConfig::RETENTION_WEIGHT,
            Self::Beta(_) => ObjectiveConfig::BETA,
        }
    }

    /// "β", or "Learning rate ×" for a factor.
    pub fn label(self) -> String {
        let setting = self.setting();
        match setting.live {
            Some(Live::Factor) => format!("{} ×", setting.label),
            Some(Live::Value) | None => setting.label.to_owned(),
        }
    }

    /// What it may be turned to.
    pub fn range(self) -> Range {
        let setting = self.setting();
        match setting.live {
            Some(Live::Factor) => Range::ZeroOrMore,
            Some(Live::Value) | None => setting.range(),
        }
    }
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
        let (place, label, value) = (self.place(knob), knob.label(), knob.value());
        if !knob.range().holds(value) {
            let allowed = knob.range().words();
            return Err(format!("{label} stays at {place}: {value} was asked for, and it must be {allowed}"));
        }
        let before = std::mem::replace(place, value);
        Ok(format!("{label} {before} → {value}"))
    }

    /// Where a knob of this kind stands.
    pub fn value(mut self, of: Knob) -> f64 {
        *self.place(of)
    }

    fn place(&mut self, knob: Knob) -> &mut f64 {
        match knob {
            Knob::LearningRateScale(_) => &mut self.learning_rate_scale,
            Knob::ReferenceWeight(_) => &mut self.reference_weight,
            Knob::RetentionWeight(_) => &mut self.retention_weight,
            Knob::Beta(_) => &mut self.beta,
        }
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
        assert_eq!(mark, "λ ref 0.3 → 0.5");
        let before = knobs;
        assert!(knobs.turn(Knob::Beta(0.0)).is_err());
        assert!(knobs.turn(Knob::LearningRateScale(f64::NAN)).is_err());
        assert!(knobs.turn(Knob::RetentionWeight(-1.0)).is_err());
        assert_eq!(knobs, before);
        assert_eq!(knobs.reference_weight, 0.5);
    }

    #[test]
    fn every_setting_that_may_change_has_a_knob_and_the_other_way_round() {
        let turned: Vec<Setting> = Knob::ALL.iter().map(|knob| knob(1.0).setting()).collect();
        let live: Vec<&Setting> =
            crate::config::RunConfig::settings().filter(|setting| setting.live.is_some()).collect();
        assert_eq!(turned.len(), live.len());
        assert!(live.iter().all(|setting| turned.contains(setting)));
    }
}
