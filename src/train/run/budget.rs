//! The budget of KL drift: what is done at an evaluation that measures more than the run may drift.
//!
//! Steering is a controller with λ_ref as its only state, which is a knob and so part of every checkpoint: a run that
//! is resumed goes on to the bit. Above the limit λ_ref grows by as much as the drift is over it, at most twofold;
//! below half of the limit it comes down again, never below where the run has it or a hand has turned it.

use data::{
    config::{DriftAction, Knob, Knobs, TrainConfig},
    digits,
    metrics::drift,
};

use crate::run::training::Training;

/// λ_ref where steering begins with none.
const FIRST: f64 = 0.1;
/// Most that it grows by at an evaluation, and what it comes down by.
const UP: f64 = 2.0;
const DOWN: f64 = 0.8;
/// Never more: beyond it the pairs have no say.
const MOST: f64 = 100.0;

/// What an evaluation's drift asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum DriftVerdict {
    /// Nothing to do.
    Within,
    Warn(String),
    /// λ_ref becomes this.
    Steer(f64, String),
    Stop(String),
}

/// Says so where a limit is hardly ever looked at.
pub fn unlooked_remark(config: &TrainConfig) -> Option<String> {
    let limit = config.kl_limit.filter(|_| config.eval_every == 0)?;
    Some(format!(
        "The drift is measured by evaluations, and with train.eval_every = 0 there is none before the last step: the limit of \
         {} (train.kl_limit) holds nothing back until then",
        digits(limit)
    ))
}

impl Training {
    /// What this evaluation's drift asks for.
    pub fn drift_verdict(&self, metrics: &[(String, f64)]) -> DriftVerdict {
        let train = &self.config.train;
        let Some(limit) = train.kl_limit else {
            return DriftVerdict::Within;
        };
        let own = self.state.held.unwrap_or_else(|| Knobs::new(&self.config.objective).reference_weight);
        let may_steer = !self.dataset.references.train.is_empty();
        judge(metrics, limit, train.kl_action, (self.state.knobs.reference_weight, own), may_steer)
    }

    /// Turns λ_ref as [`DriftVerdict::Steer`] says.
    pub fn steer(&mut self, weight: f64) {
        // What a controller computes is in range.
        self.state.knobs.turn(Knob::ReferenceWeight(weight)).ok();
    }
}

/// `weight`: λ_ref as it stands, and what it comes down to.
fn judge(
    metrics: &[(String, f64)],
    limit: f64,
    action: DriftAction,
    (weight, own): (f64, f64),
    may_steer: bool,
) -> DriftVerdict {
    let measured = |name: &str| metrics.iter().find(|(known, _)| known == name).map(|(_, kl)| *kl);
    let Some((name, drift)) = drift(measured) else {
        return DriftVerdict::Within;
    };
    let said = format!("{name} is {} nats a token", digits(drift));
    let over = format!("{said}, above the limit of {} (train.kl_limit)", digits(limit));
    match action {
        DriftAction::Stop if drift > limit => DriftVerdict::Stop(format!("{over}: the run ends with a checkpoint")),
        DriftAction::Warn if drift > limit => DriftVerdict::Warn(over),
        DriftAction::Steer if drift > limit && !may_steer => DriftVerdict::Warn(format!(
            "{over}; there are no reference answers to hold the model with, so λ ref cannot steer it"
        )),
        DriftAction::Steer if drift > limit => {
            let next = (weight.max(FIRST) * (drift / limit).min(UP)).min(MOST);
            let verdict = |next| DriftVerdict::Steer(next, format!("λ ref {weight:.4} → {next:.4}: {over}"));
            if next > weight {
                verdict(next)
            } else {
                DriftVerdict::Warn(format!("{over}, with λ ref at its most, {MOST}"))
            }
        }
        DriftAction::Steer if drift < limit / 2.0 && weight > own => {
            let next = (weight * DOWN).max(own);
            DriftVerdict::Steer(
                next,
                format!("λ ref {weight:.4} → {next:.4}: {said}, below half of the limit of {limit}"),
            )
        }
        DriftAction::Stop | DriftAction::Warn | DriftAction::Steer => DriftVerdict::Within,
    }
}

#[cfg(test)]
mod tests {
    use data::metrics::{KL_POLICY, KL_REF};

    use super::*;

    fn of(drift: f64, action: DriftAction, weights: (f64, f64), may_steer: bool) -> DriftVerdict {
        let metrics =
            [("loss", 9.0), (KL_REF, drift / 2.0), (KL_POLICY, drift)].map(|(name, kl)| (name.to_owned(), kl));
        judge(&metrics, 0.1, action, weights, may_steer)
    }

    fn steered(drift: f64, weights: (f64, f64)) -> Option<f64> {
        match of(drift, DriftAction::Steer, weights, true) {
            DriftVerdict::Steer(weight, _) => Some(weight),
            DriftVerdict::Within | DriftVerdict::Warn(_) | DriftVerdict::Stop(_) => None,
        }
    }

    #[test]
    fn the_larger_estimate_counts_and_the_setting_says_what_is_done() {
        let weights = (0.3, 0.3);
        for action in [DriftAction::Stop, DriftAction::Warn, DriftAction::Steer] {
            assert_eq!(of(0.09, action, weights, true), DriftVerdict::Within);
        }
        assert!(
            matches!(of(0.11, DriftAction::Stop, weights, true), DriftVerdict::Stop(said) if said.contains("kl/policy_k3 is 0.11 nats"))
        );
        assert!(matches!(of(0.11, DriftAction::Warn, weights, true), DriftVerdict::Warn(_)));
        assert!(
            matches!(of(0.11, DriftAction::Steer, weights, false), DriftVerdict::Warn(said) if said.contains("no reference answers"))
        );
        assert_eq!(of(f64::NAN, DriftAction::Stop, weights, true), DriftVerdict::Within);
    }

    #[test]
    fn steering_grows_with_the_excess_and_comes_back_to_the_runs_own() {
        assert!((steered(0.15, (0.4, 0.3)).unwrap() - 0.6).abs() < 1e-12);
        assert_eq!(steered(5.0, (0.4, 0.3)), Some(0.8), "at most twofold");
        assert_eq!(steered(0.2, (0.0, 0.0)), Some(0.2), "from nothing");
        assert_eq!(steered(0.04, (0.4, 0.0)), Some(0.4 * DOWN));
        assert_eq!(steered(0.04, (0.31, 0.3)), Some(0.3));
        assert_eq!(steered(0.04, (0.3, 0.3)), None);
        assert_eq!(steered(0.07, (0.4, 0.3)), None, "between half and the whole it stays");
        assert_eq!(steered(5.0, (MOST, 0.3)), None);
    }
}
