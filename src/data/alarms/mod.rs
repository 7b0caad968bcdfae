//! Alarms: what a run's numbers say is going wrong, in a sentence, with the steps that say so and what can be done.
//!
//! [`Watch`] is fed what a run measures, step by step, and keeps the little of it that the rules look at. The same
//! numbers raise the same alarms, so nothing of them is stored: window and terminal watch what is in the project.
//! `rules` has one function an alarm.

mod rules;
mod seen;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use self::seen::Seen;
use crate::{
    config::{Method, ObjectiveConfig, OptimizerConfig, RunConfig},
    metrics::ChartId,
};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmKind {
    /// The model does not know its own answers: another chat template than it was trained with.
    StrangeText,
    RateTooHigh,
    RateTooLow,
    /// A change too small to see already wins or loses a pair.
    BetaTooLarge,
    /// The pairs weigh next to nothing beside the reference answers.
    BetaTooSmall,
    /// Hardly any pair is pushed, though they are not won.
    Asleep,
    /// Hardly any pair is pushed, because they are won.
    Saturated,
    ChosenFalls,
    HeldOutFalls,
    DriftTooLarge,
    NeverEnds,
    Repeats,
    GradientSpikes,
    /// The reference answers are unlearnt although a term holds them.
    ReferenceFights,
}

/// An alarm that was raised.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    pub kind: AlarmKind,
    /// The steps whose numbers say so, ends included.
    pub from: u64,
    pub to: u64,
    /// What happened and what it means.
    pub sentence: String,
}

/// What a fork may do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cure {
    HalveRate,
    TenthOfRate,
    TripleRate,
    DoubleBeta,
    TenthOfBeta,
    TenfoldBeta,
    /// Half the margin that IPO pulls to.
    DoubleTau,
    /// λ_ref twice as large, or its usual value where it is 0.
    HoldMore,
    HoldLess,
}

impl AlarmKind {
    pub const ALL: [Self; 14] = [
        Self::StrangeText,
        Self::RateTooHigh,
        Self::RateTooLow,
        Self::BetaTooLarge,
        Self::BetaTooSmall,
        Self::Asleep,
        Self::Saturated,
        Self::ChosenFalls,
        Self::HeldOutFalls,
        Self::DriftTooLarge,
        Self::NeverEnds,
        Self::Repeats,
        Self::GradientSpikes,
        Self::ReferenceFights,
    ];

    /// In few words.
    pub fn title(self) -> &'static str {
        match self {
            Self::StrangeText => "The model does not know its own answers",
            Self::RateTooHigh => "The learning rate is too high",
            Self::RateTooLow => "The learning rate is too low",
            Self::BetaTooLarge => "β is too large",
            Self::BetaTooSmall => "β is too small",
            Self::Asleep => "The pairs are asleep",
            Self::Saturated => "The pairs are won",
            Self::ChosenFalls => "Chosen answers fall",
            Self::HeldOutFalls => "Held-out pairs fall behind",
            Self::DriftTooLarge => "The model drifts far",
            Self::NeverEnds => "Answers do not end",
            Self::Repeats => "Answers go in circles",
            Self::GradientSpikes => "The gradient spikes",
            Self::ReferenceFights => "Pairs and reference answers pull against each other",
        }
    }

    /// The chart that shows it.
    pub fn chart(self) -> ChartId {
        match self {
            Self::StrangeText | Self::BetaTooLarge | Self::ReferenceFights => ChartId::Loss,
            Self::RateTooHigh | Self::RateTooLow | Self::BetaTooSmall | Self::ChosenFalls => ChartId::Moved,
            Self::Asleep | Self::Saturated => ChartId::Sleeping,
            Self::HeldOutFalls => ChartId::Margin,
            Self::DriftTooLarge => ChartId::Drift,
            Self::NeverEnds | Self::Repeats => ChartId::Answers,
            Self::GradientSpikes => ChartId::Gradient,
        }
    }

    /// What a fork from before may try of a run by this method, the likeliest first. None where the data or the model
    /// has to be mended.
    pub fn cures(self, method: Method) -> Vec<Cure> {
        let cures: &[Cure] = match self {
            Self::StrangeText => &[],
            Self::RateTooHigh => &[Cure::TenthOfRate],
            Self::RateTooLow => &[Cure::TripleRate],
            Self::BetaTooLarge | Self::Asleep => &[Cure::TenthOfBeta],
            Self::BetaTooSmall => &[Cure::TenfoldBeta, Cure::HoldLess],
            Self::ChosenFalls => &[Cure::DoubleBeta, Cure::DoubleTau, Cure::HalveRate],
            Self::Saturated | Self::HeldOutFalls | Self::GradientSpikes => &[Cure::HalveRate],
            Self::DriftTooLarge | Self::NeverEnds | Self::Repeats => &[Cure::HoldMore, Cure::HalveRate],
            Self::ReferenceFights => &[Cure::HoldLess],
        };
        cures.iter().copied().filter(|cure| cure.has_a_say(method)).collect()
    }
}

impl Cure {
    /// Whether what it changes is part of what this method trains.
    fn has_a_say(self, method: Method) -> bool {
        match self {
            Self::HalveRate | Self::TenthOfRate | Self::TripleRate => true,
            Self::DoubleBeta | Self::TenthOfBeta | Self::TenfoldBeta => matches!(method, Method::Mpo | Method::Dpo),
            Self::DoubleTau => method == Method::Ipo,
            Self::HoldMore | Self::HoldLess => method != Method::Reward,
        }
    }

    /// What it changes: "learning rate × ½".
    pub fn words(self) -> &'static str {
        match self {
            Self::HalveRate => "half the learning rate",
            Self::TenthOfRate => "a tenth of the learning rate",
            Self::TripleRate => "three times the learning rate",
            Self::DoubleBeta => "β × 2",
            Self::TenthOfBeta => "β ÷ 10",
            Self::TenfoldBeta => "β × 10",
            Self::DoubleTau => "τ × 2",
            Self::HoldMore => "more λ ref",
            Self::HoldLess => "half of λ ref",
        }
    }

    /// The settings with it.
    #[must_use]
    pub fn applied(self, config: &RunConfig) -> RunConfig {
        let mut config = config.clone();
        let (OptimizerConfig { learning_rate: rate, .. }, objective) = (&mut config.optimizer, &mut config.objective);
        match self {
            Self::HalveRate => *rate /= 2.0,
            Self::TenthOfRate => *rate /= 10.0,
            Self::TripleRate => *rate *= 3.0,
            Self::DoubleBeta => objective.beta *= 2.0,
            Self::TenthOfBeta => objective.beta /= 10.0,
            Self::TenfoldBeta => objective.beta *= 10.0,
            Self::DoubleTau => objective.tau *= 2.0,
            Self::HoldMore => {
                let usual = ObjectiveConfig::default().reference_weight();
                let held = objective.reference_weight();
                objective.reference_weight = Some(if held > 0.0 { 2.0 * held } else { usual });
            }
            Self::HoldLess => objective.reference_weight = Some(objective.reference_weight() / 2.0),
        }
        config
    }
}

/// Looks at what a run measures, as it comes.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    seen: Seen,
    raised: BTreeSet<AlarmKind>,
    /// The last step of a fork that was its parent's.
    inherited: Option<u64>,
}

impl Watch {
    /// `inherited`: the step that a fork goes on from. What was wrong up to there is told of its parent.
    pub fn new(config: &RunConfig, inherited: Option<u64>) -> Self {
        Self { seen: Seen::new(config), raised: BTreeSet::new(), inherited }
    }

    /// Takes in what was measured at a step, evaluations apart from steps. Gives the alarms that are raised by it; each
    /// is raised once a run, and by a fork once more.
    pub fn take(&mut self, step: u64, metrics: &[(String, f64)]) -> Vec<Alarm> {
        if !self.seen.take(step, metrics) {
            return Vec::new();
        }
        if self.inherited.is_some_and(|last| step <= last) {
            return Vec::new();
        }
        let mut alarms = Vec::new();
        // A rate that tears the weights apart explains whatever else is wrong, as long as it does.
        let is_torn = |raised: &BTreeSet<AlarmKind>| {
            raised.contains(&AlarmKind::RateTooHigh) && rules::rate_too_high(&self.seen).is_some()
        };
        for (kind, rule) in rules::ALL {
            if self.raised.contains(kind) || (*kind != AlarmKind::DriftTooLarge && is_torn(&self.raised)) {
                continue;
            }
            if let Some((from, sentence)) = rule(&self.seen).filter(|(from, _)| self.is_own(*from, step)) {
                self.raised.insert(*kind);
                alarms.push(Alarm { kind: *kind, from, to: step, sentence });
            }
        }
        alarms
    }

    /// Whether what the steps from there on say is of this run, though some of them may have been its parent's.
    fn is_own(&self, from: u64, step: u64) -> bool {
        // What is wrong before the first step is wrong of the parent.
        self.inherited.is_none_or(|last| from > last || (from > 0 && step >= last + seen::FEW as u64))
    }

    /// The run goes on from an earlier step: these alarms still stand, and so much of each metric.
    pub fn go_back<'p>(&mut self, alarms: &[Alarm], points: impl Fn(&str) -> &'p [[f64; 2]]) {
        self.raised = alarms.iter().map(|alarm| alarm.kind).collect();
        self.seen.refill(points);
    }

    /// All alarms of a run whose steps are known, in the order in which they were raised.
    pub fn all(config: &RunConfig, inherited: Option<u64>, steps: &[(u64, Vec<(String, f64)>)]) -> Vec<Alarm> {
        let mut watch = Self::new(config, inherited);
        steps.iter().flat_map(|(step, metrics)| watch.take(*step, metrics)).collect()
    }
}

#[cfg(test)]
mod tests;
