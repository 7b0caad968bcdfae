//! What settings are where nobody has set them: the one rule that follows the data and the model.
//!
//! Launch sheet and command line read it, and both show its reasons. A run's own `config.toml` has every value, so a
//! run that was begun never changes with the rule.

use std::sync::Arc;

use super::{DataConfig, Length, Method, OptimizerConfig, RunConfig, Setting, TrainConfig};
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

// Found with the demo's model (1 million parameters), MPO with its defaults where nothing else is said, 400 held-out
// pairs of whose labels 0.81 could be foretold, one seed: `make_demo -- sizes`. Before the first step manner is 0.32,
// spill 0.44, facts 0.88.
//
// | pairs | a step | steps | rate | accuracy | manner | spill | facts |
// |---|---|---|---|---|---|---|---|
// | 80 | 8 | 60 | 1e-3 | 0.655 | 0.57 | 0.71 | 0.90 |
// | 80 | 8 | 240 | 1e-3 | 0.630 | 0.26 | 0.40 | 0.24 |
// | 300 | 16 | 60 | 1e-3 | 0.767 | 0.92 | 0.83 | 0.89 |
// | 3000 | 16 | 60 | 3e-4 | 0.770 | 0.40 | 0.48 | 0.86 |
// | 3000 | 16 | 60 | 1e-3 | 0.790 | 0.75 | 0.80 | 0.92 |
// | 3000 | 16 | 60 | 3e-3 | 0.787 | 0.45 | 0.44 | 0.33 |
// | 3000 | 16 | 120 | 1e-3 | 0.818 | 0.31 | 0.62 | 0.54 |
// | 3000 | 16 | 300 | 1e-3 | 0.752 | 0.44 | 0.41 | 0.56 |
// | 30,000 | 16 | 60 | 1e-3 | 0.805 | 0.97 | 0.90 | 0.91 |
// | 30,000 | 16 | 120 | 1e-3 | 0.795 | 0.56 | 0.55 | 0.61 |
// | 30,000 | 16 | 300 | 1e-3 | 0.777 | 0.36 | 0.45 | 0.29 |
// | 30,000 | 32 | 150 | 1e-3 | 0.807 | 0.38 | 0.39 | 0.46 |
// | 30,000, DPO | 16 | 300 | 1e-3 | 0.810 | 0.61 | 0.78 | 0.71 |
// | 30,000, IPO | 16 | 300 | 1e-3 | 0.770 | 0.24 | 0.34 | 0.20 |
//
// So what a run does hangs on steps × learning rate and hardly on the pairs: 0.06 teaches the manner, twice as much
// loses facts. Other models and longer pairs were not tried: there it is judgement, with rates that are usual for
// adapters of half a billion to eight billion parameters.

/// Pairs that are trained on in a step: enough for a steady direction, few enough for many steps.
const BATCHES: [(usize, usize); 3] = [(0, 8), (200, 16), (10_000, 32)];
/// A run takes at least so many steps: with fewer an adapter at these learning rates has hardly moved.
const LEAST_STEPS: usize = 60;
/// And no pair is met more often than this, however few there are.
const MOST_EPOCHS: f64 = 20.0;
/// Nor is the learning rate of an adapter times the steps more than this, however many pairs: further on the demo's
/// model forgot.
const FARTHEST: f64 = 0.06;
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
                let most = most_steps(basis.parameters);
                if Method::PREFERENCE.contains(&self.objective.kind) && to_train_on > pairs_in(most) {
                    let part = two_digits(pairs_in(most) as f64 / to_train_on as f64);
                    let because =
                        format!("a run of more than {most} steps made the demo's model forget, and {of_pairs}");
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

/// 60 at the rate of ten million parameters, and more where a model is larger and learns slower.
fn most_steps(parameters: Option<u64>) -> usize {
    let rate =
        parameters.map_or(OptimizerConfig::default().learning_rate, |parameters| learning_rate(parameters, false));
    (FARTHEST / rate).round() as usize
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
mod tests {
    use super::*;

    fn of_pairs(pairs: usize, parameters: u64) -> Basis {
        Basis::of(pairs, Some(parameters))
    }

    /// Pairs whose prompts stand at these places between 0 and 1.
    fn at_places(places: &[f64]) -> Basis {
        let at = |place: f64| {
            let near = |key: &u64| (0.0..1e-4).contains(&(SplitRule::place(0, PromptKey(*key)) - place));
            PromptKey((0..1_000_000).find(near).unwrap())
        };
        let open: Vec<_> = places.iter().map(|place| (at(*place), 1)).collect();
        Basis { open: open.into(), ..of_pairs(places.len(), 1_000_000) }
    }

    /// The share, why, and how many are held out by it.
    fn share(basis: &Basis) -> (f64, String, usize) {
        let mut config = RunConfig::default();
        let suggestions = config.follow(basis, |_| false);
        let of_share = suggestions.into_iter().find(|one| one.setting == DataConfig::EVAL_FRACTION).unwrap();
        assert!(config.knows_sides(basis));
        (config.data.eval_fraction, of_share.because, basis.pairs - config.pairs_to_train_on(basis))
    }

    #[test]
    fn few_pairs_hold_out_four_whatever_chance_says() {
        let places = |few: &[f64]| {
            let rest = (0..20 - few.len()).map(|n| 0.55 + 0.02 * n as f64);
            few.iter().copied().chain(rest).collect::<Vec<_>>()
        };
        let unlucky = at_places(&places(&[0.1, 0.27, 0.31, 0.42, 0.45]));
        assert_eq!(share(&unlucky), (0.421, "0.2 would hold out 1 of your 20 pairs".to_owned(), 4));
        let lucky = at_places(&places(&[0.01, 0.02, 0.05, 0.12, 0.19, 0.3]));
        assert_eq!(share(&lucky), (0.2, "you have 20 pairs".to_owned(), 5));
        // Of ten a fifth is two; beyond half of the prompts nothing is looked for.
        assert_eq!(share(&at_places(&[0.3, 0.41, 0.42, 0.5, 0.6, 0.7, 0.7, 0.8, 0.9, 0.9])).2, 2);
        assert_eq!(share(&at_places(&[0.3, 0.6, 0.6, 0.6, 0.6, 0.7, 0.7, 0.8, 0.9, 0.9])).2, 1);
    }

    #[test]
    fn pairs_that_are_held_out_by_hand_and_prompts_of_many_pairs_count_as_what_they_are() {
        let unlucky = at_places(&[0.3, 0.4, 0.45, 0.6, 0.7, 0.8, 0.8, 0.9, 0.9, 0.9]);
        let with_pins = Basis { pairs: 20, held_out: 3, trained_on: 7, ..unlucky.clone() };
        let (part, _, held_out) = share(&with_pins);
        assert_eq!((part, held_out), (0.301, 4));
        assert_eq!(share(&Basis { pairs: 24, held_out: 4, trained_on: 10, ..unlucky.clone() }).0, 0.2);
        // One prompt of most pairs stays where it is trained on.
        let mut open = unlucky.open.to_vec();
        open[0].1 = 15;
        assert_eq!(share(&Basis { pairs: 24, open: open.into(), ..unlucky }).2, 0);
    }

    #[test]
    fn pairs_that_join_move_no_prompt_that_was_trained_on() {
        let keys: Vec<(PromptKey, usize)> = (0..300u64).map(|key| (PromptKey(key * 7919 + 3), 1)).collect();
        let mut before = 1.0;
        for pairs in 20..=300 {
            let (part, _, held_out) = share(&Basis { open: keys[..pairs].into(), ..of_pairs(pairs, 1_000_000) });
            assert!(part <= before && held_out >= 4, "{pairs}: {part}, {held_out}");
            before = part;
        }
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
        assert_eq!(why(1000).0, 1.1);
        for (pairs, part) in [(3000, 0.35), (10_000, 0.1), (30_000, 0.065)] {
            let because =
                format!("a run of more than 60 steps made the demo's model forget, and you have {pairs} pairs");
            assert_eq!(why(pairs), (part, because));
        }
        // A larger model learns slower, and goes on for longer.
        let (config, _) = followed(2000, 8_000_000_000);
        assert_eq!((config.train.epochs, steps(&config, 2000)), (1.0, 113));
    }

    #[test]
    fn pairs_whose_side_is_set_are_not_shared_out_once_more() {
        let mut config = RunConfig::default();
        config.data.eval_fraction = 0.1;
        let basis = Basis { held_out: 240, trained_on: 340, ..of_pairs(680, 0) };
        assert_eq!(config.pairs_to_train_on(&basis), 340 + 90);
        assert!(!config.knows_sides(&basis), "the prompts of a hundred decide");
        assert!(config.knows_sides(&Basis { trained_on: 440, ..basis.clone() }));
        config.data.eval_fraction = 0.0;
        assert!(config.knows_sides(&basis), "who has no side is trained on");
        assert_eq!(config.pairs_to_train_on(&Basis { held_out: 680, ..of_pairs(680, 0) }), 0);
    }

    #[test]
    fn a_run_of_any_number_of_pairs_gets_past_its_warm_up() {
        for pairs in [1, 2, 5, 12, 30, 81, 150, 300, 1000, 3000, 9999, 10_000, 30_000, 1_000_000] {
            let (config, _) = followed(pairs, 500_000_000);
            let steps = steps(&config, pairs);
            assert!(
                config.optimizer.warmup_steps * 2 <= steps,
                "{pairs}: {} of {steps}",
                config.optimizer.warmup_steps
            );
            assert!(steps >= 60 || config.train.epochs == 20.0, "{pairs}: {steps}");
            assert!(steps <= 150, "{pairs}: {steps}");
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
    fn a_run_goes_as_far_with_a_large_model_as_with_a_small_one() {
        assert_eq!([1_000_000, 500_000_000, 8_000_000_000].map(|size| most_steps(Some(size))), [60, 150, 300]);
        let mut config = RunConfig::default();
        config.objective.kind = Method::Reward;
        config.follow(&of_pairs(30_000, 1_000_000), |_| false);
        assert_eq!(config.train.epochs, 1.0, "of a reward model nothing was tried");
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
