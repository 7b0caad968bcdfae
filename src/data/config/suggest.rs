//! What settings are where nobody has set them: the one rule that follows the data and the model.
//!
//! Launch sheet and command line read it, and both show its reasons. A run's own `config.toml` has every value, so a
//! run that was begun never changes with the rule.

use std::sync::Arc;

use super::{DataConfig, Length, Method, ObjectiveConfig, OptimizerConfig, RunConfig, Setting, TrainConfig};
use crate::{PromptKey, SplitRule, counted};

/// What the rule looks at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Basis {
    /// Pairs that a run learns from: with a preference, or tied.
    pub pairs: usize,
    /// Of them, those that are always held out.
    pub held_out: usize,
    /// Of them, those that are never held out.
    pub trained_on: usize,
    /// The prompts of the others, whose hashes decide, each with its number of pairs: told of at most [`Self::FEW`]
    /// pairs, of whom chance may hold out hardly any.
    pub open: Arc<[(PromptKey, usize)]>,
    /// Of a pair, prompt and answers, in the mean; 0 where nobody knows.
    pub bytes: usize,
    /// Of the model, where its folder tells.
    pub parameters: Option<u64>,
}

impl Basis {
    /// Pairs of whose sides nothing is known.
    pub fn of(pairs: usize, parameters: Option<u64>) -> Self {
        Self { pairs, parameters, ..Self::default() }
    }

    /// Pairs to learn from that are looked at one by one.
    pub const FEW: usize = 400;

    /// Pairs that are held out by no pin and a share of `rule`, where every one of them is told.
    fn held_out_by(&self, rule: SplitRule) -> Option<usize> {
        let told: usize = self.open.iter().map(|(_, pairs)| pairs).sum();
        let held_out = self.open.iter().filter(|(prompt, _)| rule.holds_out(*prompt)).map(|(_, pairs)| pairs);
        (self.held_out + self.trained_on + told == self.pairs).then(|| held_out.sum())
    }
}

/// A setting that the rule has set.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion {
    pub setting: Setting,
    /// As `run.toml` writes it.
    pub value: String,
    /// After "because": "you have 81 pairs".
    pub because: String,
}

/// The settings that follow. All others keep their defaults.
pub const FOLLOWING: [Setting; 9] = [
    ObjectiveConfig::BETA,
    DataConfig::EVAL_FRACTION,
    TrainConfig::PAIRS_PER_STEP,
    TrainConfig::EPOCHS,
    OptimizerConfig::LEARNING_RATE,
    OptimizerConfig::WARMUP_STEPS,
    TrainConfig::EVAL_EVERY,
    TrainConfig::SAMPLE_EVERY,
    TrainConfig::CHECKPOINT_EVERY,
];

// Found with the demo's model (1 million parameters) and with two larger ones that know the same world: `make_demo --
// sizes`, whose 98 runs are a table in examples/make_demo/README.md.
//
// Of MPO β decides more than anything else. At 0.1 the margins go on growing, and between 60 and 120 steps the
// facts are lost, by the largest model before that. At 1 they end by themselves: 120 steps teach what many pairs
// say and keep the facts, but for 0.03 and 0.04 with the larger models, and 300 do not. More steps over few pairs
// learn them by heart. DPO and IPO with their defaults forget as MPO did at 0.1. A rate does more to a larger
// model: 60 steps at 3e-4 teach one of 4 million parameters little and one of 12 million the manner; rates that
// fall with the fourth root teach all alike. Long pairs teach the judge's short questions nothing and unlearn
// nothing; their held-out accuracy rises sooner where β is smaller by as much as they are longer. Beyond 12 million
// parameters and a hundred tokens all of this is judgement.

/// Pairs that are trained on in a step: enough for a steady direction, few enough for many steps.
const BATCHES: [(usize, usize); 3] = [(0, 8), (200, 16), (10_000, 32)];
/// A run takes at least so many steps: with fewer an adapter at these learning rates has hardly moved. However many
/// pairs there are it takes at most twice as many, or just as many where nothing holds the margins: longer runs forgot.
const LEAST_STEPS: usize = 60;
/// And no pair is met more often than this, however few there are.
const MOST_EPOCHS: f64 = 20.0;
/// Bytes of a pair, prompt and both answers, up to which β is the largest.
const SHORT_PAIR: f64 = 250.0;
/// The default of β is what long answers get.
const LEAST_BETA: f64 = 0.1;
const MOST_BETA: f64 = 1.0;
/// Held-out pairs that tell runs apart; and more than these tell no more.
const HELD_OUT: (usize, usize) = (16, 512);
/// Held-out pairs without which nothing is told at all. A fifth of twenty is as many, but in one of five such projects
/// chance would hold out two or fewer.
const LEAST_HELD_OUT: usize = 4;

impl RunConfig {
    /// Sets every setting that follows the data and the model and that is not `chosen`; says why for each.
    pub fn follow(&mut self, basis: &Basis, chosen: impl Fn(&Setting) -> bool) -> Vec<Suggestion> {
        let mut suggestions = Vec::new();
        for setting in FOLLOWING.into_iter().filter(|setting| !chosen(setting)) {
            // Each is worked out from those before it, whoever has set them.
            if let Some((value, because)) = self.suggested(setting, basis)
                && let Ok(config) = self.with_overrides(&[(setting.key.to_owned(), value.clone())])
            {
                *self = config;
                suggestions.push(Suggestion { setting, value, because });
            }
        }
        suggestions
    }

    fn suggested(&self, setting: Setting, basis: &Basis) -> Option<(String, String)> {
        let pairs = counted(basis.pairs, "pair", "pairs");
        let of_pairs = format!("you have {pairs}");
        if basis.pairs == 0 && setting != OptimizerConfig::LEARNING_RATE {
            return None;
        }
        let to_train_on = self.pairs_to_train_on(basis);
        let steps = Length::of(&self.train, to_train_on).steps;
        let of_steps = format!("the run has {}", counted(steps as usize, "step", "steps"));
        match setting.key {
            key if key == ObjectiveConfig::BETA.key => {
                (self.objective.kind == Method::Mpo).then(|| (format!("{:?}", beta(basis)), why_beta(basis)))
            }
            key if key == DataConfig::EVAL_FRACTION.key => {
                // It has a say where a pair does not name its side itself.
                let free = basis.pairs.saturating_sub(basis.held_out + basis.trained_on);
                let why = if free < basis.pairs { format!("{free} of your {pairs} name no side") } else { of_pairs };
                let share = share_held_out(basis.pairs);
                let enough = share_that_is_enough(basis, SplitRule { eval_fraction: share, seed: self.data.seed });
                (free > 0).then(|| match enough {
                    Some((enough, held_out)) => {
                        (format!("{enough:?}"), format!("{share:?} would hold out {held_out} of your {pairs}"))
                    }
                    None => (format!("{share:?}"), why),
                })
            }
            key if key == TrainConfig::PAIRS_PER_STEP.key => {
                let fitting = BATCHES.iter().rev().find(|(from, _)| to_train_on >= *from)?;
                let about = if self.knows_sides(basis) { "" } else { "about " };
                Some((fitting.1.to_string(), format!("{about}{to_train_on} of your {pairs} are trained on")))
            }
            key if key == TrainConfig::EPOCHS.key => {
                if self.train.steps.is_some() {
                    return None;
                }
                let pairs_in = |steps: usize| steps * self.train.pairs_per_step;
                let most = self.most_steps(basis);
                if Method::PREFERENCE.contains(&self.objective.kind) && to_train_on > pairs_in(most) {
                    let part = two_digits(pairs_in(most) as f64 / to_train_on as f64);
                    let because = format!("longer runs made the demo's model forget, and {of_pairs}");
                    return Some((format!("{part:?}"), because));
                }
                let needed = pairs_in(LEAST_STEPS) as f64 / to_train_on.max(1) as f64;
                // Nearly twice the steps would be too many, so that not every pass is a whole one.
                let epochs = if needed > 2.0 { needed.ceil() } else { (10.0 * needed).ceil() / 10.0 };
                let because = if needed <= 1.0 {
                    of_pairs
                } else if epochs <= MOST_EPOCHS {
                    format!("{LEAST_STEPS} steps are the least that moves an adapter, and {of_pairs}")
                } else {
                    format!("a pair that is met more often is learnt by heart, and {of_pairs}")
                };
                Some((format!("{:?}", epochs.clamp(1.0, MOST_EPOCHS)), because))
            }
            key if key == OptimizerConfig::LEARNING_RATE.key => {
                let parameters = basis.parameters?;
                let what = if self.lora.full { "all weights are" } else { "an adapter is" };
                let because = format!("{what} trained on a model of {}", millions(parameters));
                let rate = learning_rate(parameters, self.lora.full);
                if self.objective.kind.samples() {
                    // Half of the answers that teach are worse than the other half, and several updates go over them.
                    return Some((format!("{:e}", one_digit(0.3 * rate)), format!("{because} from what it samples")));
                }
                Some((format!("{rate:e}"), because))
            }
            key if key == OptimizerConfig::WARMUP_STEPS.key => {
                Some(((steps / 10).clamp(1, 100).min(steps / 2).to_string(), of_steps))
            }
            key if key == TrainConfig::EVAL_EVERY.key => Some((a_part(steps, 12).to_string(), of_steps)),
            key if key == TrainConfig::SAMPLE_EVERY.key => Some((a_part(steps, 6).to_string(), of_steps)),
            key if key == TrainConfig::CHECKPOINT_EVERY.key => Some((a_part(steps, 3).to_string(), of_steps)),
            _ => None,
        }
    }

    /// About as many as are not held out, which the prompts decide; exactly so many where every prompt is told.
    pub fn pairs_to_train_on(&self, basis: &Basis) -> usize {
        let open = basis.pairs.saturating_sub(basis.held_out + basis.trained_on);
        // The share may be one that is refused later.
        let about = || (open as f64 * self.data.eval_fraction).round() as usize;
        basis.trained_on + open.saturating_sub(basis.held_out_by(self.split_rule()).unwrap_or_else(about))
    }

    /// Whether [`Self::pairs_to_train_on`] is what the run will train on: every pair has its side, or every prompt is
    /// told, or none is held out by its prompt.
    pub fn knows_sides(&self, basis: &Basis) -> bool {
        basis.held_out_by(self.split_rule()).is_some()
            || basis.pairs <= basis.held_out + basis.trained_on
            || self.data.eval_fraction == 0.0
    }

    /// A small β lets a margin grow for longer, and IPO has none.
    fn most_steps(&self, basis: &Basis) -> usize {
        let is_held = self.objective.kind != Method::Ipo && self.objective.beta >= beta(basis) / 2.0;
        if is_held { 2 * LEAST_STEPS } else { LEAST_STEPS }
    }

    fn split_rule(&self) -> SplitRule {
        SplitRule { eval_fraction: self.data.eval_fraction, seed: self.data.seed }
    }
}

fn share_held_out(pairs: usize) -> f64 {
    let (enough, most) = HELD_OUT;
    // A tenth; a fifth where that is too few to tell anything; of very many no more than are looked at.
    let share = if pairs / 10 < enough { 0.2 } else { (most as f64 / pairs as f64).min(0.1) };
    (share * 1000.0).round() / 1000.0
}

/// Where `rule` holds out fewer than [`LEAST_HELD_OUT`], or fewer than a fifth: the least share that holds out as many,
/// and how many `rule` would have. No more than half of the pairs are held out for it, nor does it look at what is
/// beyond half of the prompts. As pairs join, the share falls and never moves a prompt that was trained on.
fn share_that_is_enough(basis: &Basis, rule: SplitRule) -> Option<(f64, usize)> {
    let wanted = LEAST_HELD_OUT.min(basis.pairs / 5);
    let so_far = basis.held_out + basis.held_out_by(rule)?;
    let places = basis.open.iter().map(|(prompt, pairs)| (SplitRule::place(rule.seed, *prompt), *pairs));
    let mut beyond: Vec<(f64, usize)> = places.filter(|(place, _)| (rule.eval_fraction..0.5).contains(place)).collect();
    beyond.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut share, mut held_out) = (None, so_far);
    for (place, pairs) in beyond {
        if held_out >= wanted || 2 * (held_out + pairs) > basis.pairs {
            break;
        }
        held_out += pairs;
        share = Some(((place * 1000.0).floor() + 1.0) / 1000.0);
    }
    share.map(|share| (share, so_far))
}

/// Falls with the fourth root of the size: 1e-3 at a million parameters, 2e-4 at half a billion, 1e-4 at eight. All
/// weights take a tenth of what an adapter takes.
fn learning_rate(parameters: u64, full: bool) -> f64 {
    const AT: f64 = 1e6;
    let adapter = 1e-3 * (AT / (parameters as f64).max(AT)).powf(0.25);
    one_digit(if full { adapter / 10.0 } else { adapter })
}

/// One digit is all that the rule knows.
fn one_digit(rate: f64) -> f64 {
    let power = 10f64.powf(rate.log10().floor());
    format!("{:.0}e{}", rate / power, power.log10().round()).parse().unwrap_or(rate)
}

/// MPO's: a margin is a sum over an answer's tokens, so that longer ones are as far apart at a smaller β.
fn beta(basis: &Basis) -> f64 {
    one_digit((SHORT_PAIR / basis.bytes.max(1) as f64).clamp(LEAST_BETA, MOST_BETA))
}

fn why_beta(basis: &Basis) -> String {
    if beta(basis) < MOST_BETA {
        let bytes = two_digits(basis.bytes as f64);
        return format!("longer pairs learn slower with {MOST_BETA}, and yours have about {bytes} bytes of text");
    }
    let as_short = if basis.bytes > 0 { ", and your pairs are as short" } else { "" };
    format!("with {LEAST_BETA} MPO made the demo's model forget{as_short}")
}

/// Never more than `share`.
fn two_digits(share: f64) -> f64 {
    let unit = 10f64.powf(1.0 - share.log10().floor());
    (share * unit).floor() / unit
}

/// One of so many equal parts, at least 1.
fn a_part(of: u64, parts: u64) -> u64 {
    (of / parts).max(1)
}

fn millions(parameters: u64) -> String {
    match parameters {
        0..1_000_000 => format!("{} thousand parameters", parameters / 1000),
        1_000_000..1_000_000_000 => format!("{} million parameters", parameters / 1_000_000),
        _ => format!("{:.1} billion parameters", parameters as f64 / 1e9),
    }
}

#[cfg(test)]
#[path = "suggest_tests.rs"]
mod tests;
