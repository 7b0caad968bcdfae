//! What settings are where nobody has set them: the one rule that follows the data and the model.
//!
//! Launch sheet and command line read it, and both show its reasons. A run's own `config.toml` has every value, so a
//! run that was begun never changes with the rule.

use super::{DataConfig, Length, OptimizerConfig, RunConfig, Setting, TrainConfig};
use crate::counted;

/// What the rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Basis {
    /// Pairs that a run learns from: with a preference, or tied.
    pub pairs: usize,
    /// Of them, those that are always held out.
    pub held_out: usize,
    /// Of them, those that are never held out.
    pub trained_on: usize,
    /// Of the model, where its folder tells.
    pub parameters: Option<u64>,
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
pub const FOLLOWING: [Setting; 8] = [
    DataConfig::EVAL_FRACTION,
    TrainConfig::PAIRS_PER_STEP,
    TrainConfig::EPOCHS,
    OptimizerConfig::LEARNING_RATE,
    OptimizerConfig::WARMUP_STEPS,
    TrainConfig::EVAL_EVERY,
    TrainConfig::SAMPLE_EVERY,
    TrainConfig::CHECKPOINT_EVERY,
];

// The numbers were found with the demo's model (1 million parameters) on 30, 80 and 300 of its pairs, MPO with its
// defaults, and 120 other pairs to judge by. What a run learns hangs on steps × learning rate, hardly on the pairs: at
// 1e-3, 20 steps bring the chosen answer ahead in 88 to 91 of 100 pairs, 40 steps in all, and 160 steps move margins
// tenfold for nothing. At 3e-4 it takes 80. A batch of 16 learns no more from 80 pairs than one of 8. Sizes of models
// beyond that are judgement: what is usual for adapters of half a billion to eight billion parameters.

/// Pairs that are trained on in a step: enough for a steady direction, few enough for many steps.
const BATCHES: [(usize, usize); 3] = [(0, 8), (200, 16), (10_000, 32)];
/// A run takes at least so many steps: with fewer an adapter at these learning rates has hardly moved.
const LEAST_STEPS: usize = 60;
/// And no pair is met more often than this, however few there are.
const MOST_EPOCHS: usize = 20;
/// Held-out pairs that tell runs apart; and more than these tell no more.
const HELD_OUT: (usize, usize) = (16, 512);

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
            key if key == DataConfig::EVAL_FRACTION.key => {
                // It has a say where a pair does not name its side itself.
                let free = basis.pairs.saturating_sub(basis.held_out + basis.trained_on);
                let why = if free < basis.pairs { format!("{free} of your {pairs} name no side") } else { of_pairs };
                (free > 0).then(|| (share_held_out(basis.pairs), why))
            }
            key if key == TrainConfig::PAIRS_PER_STEP.key => {
                let fitting = BATCHES.iter().rev().find(|(from, _)| to_train_on >= *from)?;
                Some((fitting.1.to_string(), format!("{to_train_on} of your {pairs} are trained on")))
            }
            key if key == TrainConfig::EPOCHS.key => {
                if self.train.steps.is_some() {
                    return None;
                }
                let epochs = (LEAST_STEPS * self.train.pairs_per_step).div_ceil(to_train_on.max(1));
                let because = match epochs {
                    0..=1 => of_pairs,
                    2..=MOST_EPOCHS => {
                        format!("{LEAST_STEPS} steps are the least that moves an adapter, and {of_pairs}")
                    }
                    _ => format!("a pair that is met more often is learnt by heart, and {of_pairs}"),
                };
                Some((format!("{}.0", epochs.clamp(1, MOST_EPOCHS)), because))
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

    /// About as many as are not held out, which the prompts decide.
    pub fn pairs_to_train_on(&self, basis: &Basis) -> usize {
        let Basis { pairs, held_out, trained_on, .. } = *basis;
        let open = pairs.saturating_sub(held_out + trained_on);
        // The share may be one that is refused later.
        trained_on + open.saturating_sub((open as f64 * self.data.eval_fraction).round() as usize)
    }
}

fn share_held_out(pairs: usize) -> String {
    let (enough, most) = HELD_OUT;
    // A tenth; a fifth where that is too few to tell anything; of very many no more than are looked at.
    let share = if pairs / 10 < enough { 0.2 } else { (most as f64 / pairs as f64).min(0.1) };
    format!("{:?}", (share * 1000.0).round() / 1000.0)
}

/// Falls with the fourth root of the size: 1e-3 up to ten million parameters, 4e-4 at half a billion, 2e-4 at eight.
/// All weights take a tenth of what an adapter takes.
fn learning_rate(parameters: u64, full: bool) -> f64 {
    const AT: f64 = 1e7;
    let adapter = 1e-3 * (AT / (parameters as f64).max(AT)).powf(0.25);
    one_digit(if full { adapter / 10.0 } else { adapter })
}

/// One digit is all that the rule knows.
fn one_digit(rate: f64) -> f64 {
    let power = 10f64.powf(rate.log10().floor());
    format!("{:.0}e{}", rate / power, power.log10().round()).parse().unwrap_or(rate)
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
mod tests {
    use super::*;

    fn of_pairs(pairs: usize, parameters: u64) -> Basis {
        Basis { pairs, parameters: Some(parameters), ..Basis::default() }
    }

    fn followed(pairs: usize, parameters: u64) -> (RunConfig, Vec<Suggestion>) {
        let mut config = RunConfig::default();
        let suggestions = config.follow(&of_pairs(pairs, parameters), |_| false);
        (config, suggestions)
    }

    fn steps(config: &RunConfig, pairs: usize) -> u64 {
        Length::of(&config.train, config.pairs_to_train_on(&of_pairs(pairs, 0))).steps
    }

    #[test]
    fn eighty_pairs_are_enough_for_a_run_that_learns() {
        let (config, suggestions) = followed(81, 1_000_000);
        assert_eq!((config.train.pairs_per_step, config.train.epochs, steps(&config, 81)), (8, 8.0, 65));
        assert_eq!(config.optimizer.warmup_steps, 6);
        assert_eq!(config.optimizer.learning_rate, 1e-3);
        assert_eq!(config.data.eval_fraction, 0.2);
        assert!(suggestions.iter().any(|suggestion| suggestion.because.contains("81 pairs")));
    }

    #[test]
    fn the_reason_for_so_many_passes_is_the_one_that_decided() {
        let why = |pairs| {
            let (config, suggestions) = followed(pairs, 1_000_000);
            let of_epochs = suggestions.into_iter().find(|one| one.setting.key == TrainConfig::EPOCHS.key).unwrap();
            (config.train.epochs, of_epochs.because)
        };
        assert_eq!(
            why(10),
            (20.0, "a pair that is met more often is learnt by heart, and you have 10 pairs".to_owned())
        );
        assert_eq!(why(81).1, "60 steps are the least that moves an adapter, and you have 81 pairs");
        assert_eq!(why(5000), (1.0, "you have 5000 pairs".to_owned()));
    }

    #[test]
    fn pairs_whose_side_is_set_are_not_shared_out_once_more() {
        let mut config = RunConfig::default();
        config.data.eval_fraction = 0.1;
        let basis = Basis { held_out: 240, trained_on: 340, ..of_pairs(680, 0) };
        assert_eq!(config.pairs_to_train_on(&basis), 340 + 90);
        assert_eq!(config.pairs_to_train_on(&Basis { held_out: 680, ..of_pairs(680, 0) }), 0);
    }

    #[test]
    fn a_run_of_any_number_of_pairs_gets_past_its_warm_up() {
        for pairs in [1, 2, 5, 12, 30, 81, 150, 300, 1000, 5000, 30_000, 1_000_000] {
            let (config, _) = followed(pairs, 500_000_000);
            let steps = steps(&config, pairs);
            assert!(
                config.optimizer.warmup_steps * 2 <= steps,
                "{pairs}: {} of {steps}",
                config.optimizer.warmup_steps
            );
            assert!(steps >= 60 || config.train.epochs == 20.0, "{pairs}: {steps}");
            assert!(config.train.eval_every >= 1 && config.train.checkpoint_every >= 1);
            assert_eq!(crate::config::validate(&config), [], "{pairs}");
        }
    }

    #[test]
    fn more_pairs_take_fewer_epochs_and_hold_out_a_smaller_share() {
        let all: Vec<RunConfig> =
            [30, 81, 300, 3000, 30_000].into_iter().map(|pairs| followed(pairs, 1_000_000).0).collect();
        assert!(all.is_sorted_by(|a, b| a.train.epochs >= b.train.epochs));
        assert!(all.is_sorted_by(|a, b| a.data.eval_fraction >= b.data.eval_fraction));
        assert_eq!(all[4].data.eval_fraction, 0.017);
    }

    #[test]
    fn larger_models_learn_slower_and_whole_ones_slower_still() {
        let rate = |parameters, full| learning_rate(parameters, full);
        assert_eq!([1_000_000, 500_000_000, 8_000_000_000].map(|size| rate(size, false)), [1e-3, 4e-4, 2e-4]);
        assert_eq!(rate(500_000_000, true), 4e-5);
    }

    #[test]
    fn what_was_chosen_stays_and_the_rest_follows_it() {
        let mut config = RunConfig::default();
        config.train.steps = Some(200);
        let chosen = [TrainConfig::STEPS, TrainConfig::EPOCHS, OptimizerConfig::LEARNING_RATE];
        config.follow(&of_pairs(81, 1_000_000), |setting| chosen.contains(setting));
        assert_eq!(config.optimizer.learning_rate, RunConfig::default().optimizer.learning_rate);
        assert_eq!((config.optimizer.warmup_steps, config.train.eval_every), (20, 16));
    }

    #[test]
    fn no_share_is_held_out_of_pairs_that_name_their_side() {
        let share = |held_out, trained_on| {
            let basis = Basis { held_out, trained_on, ..of_pairs(100, 1_000_000) };
            let suggestions = RunConfig::default().follow(&basis, |_| false);
            suggestions.into_iter().find(|one| one.setting == DataConfig::EVAL_FRACTION).map(|one| one.because)
        };
        assert_eq!(share(0, 0).as_deref(), Some("you have 100 pairs"));
        assert_eq!(share(10, 60).as_deref(), Some("30 of your 100 pairs name no side"));
        assert_eq!(share(20, 80), None);
    }

    #[test]
    fn nothing_is_said_about_data_that_is_not_there() {
        let (config, suggestions) = followed(0, 1_000_000);
        assert_eq!(suggestions.len(), 1);
        assert_eq!(config.train, TrainConfig::default());
    }
}
