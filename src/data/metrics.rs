//! What a run measures: every metric once, with what it is called, what it says, and where it is drawn.
//!
//! Charts, captions, Compare, report, export card, the terminal and the tables of `nudge runs` read this; a metric
//! needs a line here and the place that computes it, nothing else. A name that is not here is shown as it is.

mod apart;
mod came_to;
mod chart;
pub mod histogram;
pub mod judged;
mod metric;
mod table;

use std::collections::BTreeMap;

use self::metric::HELD_OUT;
pub use self::{
    apart::{ShareOfRuns, told_apart},
    came_to::{CameTo, Learnt, ShareChange, ShareThen, ShareTurn},
    chart::{CHARTS, MetricChart},
    metric::{Better, ChartId, LineLook, Measured, Metric, MetricLine, Told, Unit},
    table::METRICS,
};
use super::{
    across::Point,
    amounts::{MEGABYTE, number, percent, size},
};

pub const LOSS: &str = "loss";
pub const HELD_OUT_LOSS: &str = "eval_loss";
pub const ACCURACY: &str = "rewards/accuracies";
pub const HELD_OUT_ACCURACY: &str = "eval_rewards/accuracies";
/// The ends of its 95 % interval (Wilson's), the pairs taken as independent.
pub const HELD_OUT_ACCURACY_LOW: &str = "eval_rewards/accuracies_low";
pub const HELD_OUT_ACCURACY_HIGH: &str = "eval_rewards/accuracies_high";
pub const CHOSEN_REWARD: &str = "rewards/chosen";
pub const REJECTED_REWARD: &str = "rewards/rejected";
pub const REWARD_MARGIN: &str = "rewards/margins";
pub const HELD_OUT_MARGIN: &str = "eval_rewards/margins";
/// Of the margins of a step's pairs: the middle one, and those that a tenth of the pairs lie below and above.
pub const MARGIN_MIDDLE: &str = "margin/q50";
pub const HELD_OUT_MARGIN_MIDDLE: &str = "eval_margin/q50";
pub const HELD_OUT_MARGIN_LOW: &str = "eval_margin/q10";
pub const HELD_OUT_MARGIN_HIGH: &str = "eval_margin/q90";
pub const MARGIN_LOW: &str = "margin/q10";
pub const MARGIN_HIGH: &str = "margin/q90";
pub const CHOSEN_CHANGE: &str = "logps/chosen_change";
pub const REJECTED_CHANGE: &str = "logps/rejected_change";
/// Of a reward model's scores.
pub const SCORE_ACCURACY: &str = "accuracy";
pub const HELD_OUT_SCORE_ACCURACY: &str = "eval_accuracy";
pub const SCORE_LENGTH: &str = "length_correlation";
pub const HELD_OUT_SCORE_LENGTH: &str = "eval_length_correlation";
pub const SCORE_MARGIN: &str = "margin";
pub const HELD_OUT_SCORE_MARGIN: &str = "eval_margin";
pub const MEAN_SCORE: &str = "mean_reward";
pub const LOWEST_SCORE: &str = "min_reward";
pub const HIGHEST_SCORE: &str = "max_reward";
/// Of the answers that a step sampled.
pub const ENTROPY: &str = "policy/entropy_avg";
pub const CLIPPED: &str = "policy/clipfrac_avg";
pub const SAMPLED_LENGTH: &str = "completions/mean_length";
pub const SAMPLED_SCORE: &str = "objective/scores";
pub const SAMPLED_KL: &str = "objective/kl";
pub const EXPLAINED_VARIANCE: &str = "value/explained_variance";
/// Of the answers drawn at an evaluation.
pub const ENDED: &str = "stop/eos_rate";
/// The ends of its 95 % interval (Wilson's).
pub const ENDED_LOW: &str = "stop/eos_rate_low";
pub const ENDED_HIGH: &str = "stop/eos_rate_high";
/// Of the reference answers: how many would have ended by themselves.
pub const REFERENCE_ENDED: &str = "stop/reference";
/// What answers gain by the turn marks that the tokenizer has, where the chat template writes others.
pub const OWN_MARKS_GAIN: &str = "template/gain";
/// How likely the end of a turn is where a held-out chosen answer has it.
pub const END_KNOWN: &str = "stop/known";
pub const PREFERENCE_LOSS: &str = "loss/preference";
pub const KL_REF: &str = "kl/ref";
pub const KL_POLICY: &str = "kl/policy_k3";
pub const TOKENS_PER_SEC: &str = "tokens_per_sec";
pub const SLEEPING: &str = "push/asleep";
pub const GRADIENT_NORM: &str = "grad_norm";
pub const CRITIC_GRADIENT_NORM: &str = "grad_norm/critic";
pub const HELD_OUT_PREFERENCE_LOSS: &str = "eval_loss/preference";
/// Of a step of TI-DPO, the time that gradients at the inputs took.
pub const IMPORTANCE_SHARE: &str = "ti/seconds_share";
/// What a step was made of: an axis sums them up.
pub const STEP_PAIRS: &str = "pairs";
pub const STEP_TOKENS: &str = "tokens";
pub const EPOCH: &str = "epoch";
/// Seconds that an evaluation took, as TRL calls them.
pub const EVAL_RUNTIME: &str = "eval_runtime";
pub const MEMORY_MB: &str = "memory_mb";

/// A metric as it was stored: the metric, and whether on held-out pairs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StoredMetric {
    pub metric: &'static Metric,
    pub held_out: bool,
}

impl Metric {
    /// The metric of this name, without `eval_`.
    pub fn of(key: &str) -> Option<&'static Self> {
        METRICS.iter().find(|metric| metric.key == key)
    }

    /// Those that are told, each under the name that is there: what an evaluation gave before what the steps gave.
    pub fn headlines(least: Told, is_there: impl Fn(&str) -> bool) -> impl Iterator<Item = (StoredMetric, String)> {
        let told = METRICS.iter().filter(move |metric| metric.told >= least);
        told.filter_map(move |metric| {
            let names = [metric.evaluated(), Some(metric.key.to_owned())];
            let name = names.into_iter().flatten().find(|name| is_there(name))?;
            Some((StoredMetric { metric, held_out: is_held_out(&name) }, name))
        })
    }
}

impl StoredMetric {
    pub fn of(name: &str) -> Option<Self> {
        if let Some(metric) = Metric::of(name) {
            return Some(Self { metric, held_out: false });
        }
        Some(Self { metric: Metric::of(name.strip_prefix(HELD_OUT)?)?, held_out: true })
    }

    pub fn name(self) -> String {
        if self.held_out { format!("{HELD_OUT}{}", self.metric.key) } else { self.metric.key.to_owned() }
    }

    /// "Preference accuracy, held out".
    pub fn caption(self) -> String {
        let caption = self.metric.caption;
        if self.held_out { format!("{caption}, held out") } else { caption.to_owned() }
    }

    /// In a text: "held-out preference accuracy".
    pub fn in_words(self) -> String {
        let Self { metric: Metric { caption, .. }, held_out } = self;
        if held_out { format!("held-out {}", uncapitalized(caption)) } else { uncapitalized(caption) }
    }

    /// For the head of a column: "Held-out accuracy".
    pub fn column(self) -> String {
        let short = self.metric.short;
        if self.held_out { format!("Held-out {short}") } else { capitalized(short) }
    }
}

/// Whether a metric counts held-out pairs.
pub fn is_held_out(name: &str) -> bool {
    name.starts_with(HELD_OUT)
}

/// Whether a metric is measured now and then instead of at every step.
pub fn is_rare(name: &str) -> bool {
    is_held_out(name)
        || judged::rule(name).is_some()
        || Metric::of(name).is_some_and(|metric| metric.measured == Measured::Evaluations)
}

/// The words for a metric; names that are not known are shown as they are.
pub fn caption(name: &str) -> String {
    if let Some(rule) = judged::rule(name) {
        return format!("Judged: {rule}");
    }
    StoredMetric::of(name).map_or_else(|| name.to_owned(), StoredMetric::caption)
}

/// What its values are read against.
pub fn levels(name: &str) -> &'static [f64] {
    if judged::rule(name).is_some() {
        return &[0.0, 1.0];
    }
    StoredMetric::of(name).map_or(&[], |stored| stored.metric.levels)
}

pub fn unit(name: &str) -> Unit {
    if judged::rule(name).is_some() || judged::is_end(name) {
        return Unit::Share;
    }
    StoredMetric::of(name).map_or(Unit::Plain, |stored| stored.metric.unit)
}

/// A number the way its metric is read: shares in percent, memory in MB or GB, the rest as it is.
pub fn value(name: &str, value: f64) -> String {
    match unit(name) {
        Unit::Share => percent(value),
        Unit::Megabytes => size((value * MEGABYTE as f64) as u64),
        Unit::Nats
        | Unit::NatsPerToken
        | Unit::Tokens
        | Unit::TokensPerSecond
        | Unit::Pairs
        | Unit::Epochs
        | Unit::Plain => number(value),
    }
}

/// What was measured of a metric for a reader, with the ends of its 95 % interval where it has one: "87.5 % (83 to 91
/// %)".
pub fn told(name: &str, measured: impl Fn(&str) -> Option<f64>) -> Option<String> {
    let number = value(name, measured(name)?);
    let [low, high] = interval(name).map(|end| measured(&end));
    Some(with_interval(number, low.zip(high).map(<[f64; 2]>::from)))
}

fn with_interval(share: String, interval: Option<[f64; 2]>) -> String {
    match interval {
        Some([low, high]) => format!("{share} ({:.0} to {:.0} %)", low * 100.0, high * 100.0),
        None => share,
    }
}

/// What several runs measured of a metric: "77 % (75.1 % to 79 %)", their mean and how far they lie apart. A single one
/// alone.
pub fn told_together(name: &str, values: &[f64]) -> Option<String> {
    let mean = value(name, values.iter().sum::<f64>() / values.len() as f64);
    let low = values.iter().copied().reduce(f64::min)?;
    let high = values.iter().copied().reduce(f64::max)?;
    Some(if values.len() < 2 { mean } else { format!("{mean} ({} to {})", value(name, low), value(name, high)) })
}

/// The names of the ends of a share's 95 % interval, where it has one.
pub fn interval(name: &str) -> [String; 2] {
    match name {
        HELD_OUT_ACCURACY => [HELD_OUT_ACCURACY_LOW, HELD_OUT_ACCURACY_HIGH].map(str::to_owned),
        ENDED => [ENDED_LOW, ENDED_HIGH].map(str::to_owned),
        _ => judged::interval(name),
    }
}

/// How far a model has drifted, by what was measured of it: the larger of the two estimates, and its name.
pub fn drift(measured: impl Fn(&str) -> Option<f64>) -> Option<(&'static str, f64)> {
    let estimates = [KL_REF, KL_POLICY].into_iter().filter_map(|name| Some((name, measured(name)?)));
    estimates.filter(|(_, kl)| kl.is_finite()).max_by(|(_, one), (_, other)| one.total_cmp(other))
}

/// Whether `name` says nothing beside these numbers of the same step, see [`margin_beside`].
pub fn says_nothing(name: &str, of_the_step: &[(String, f64)]) -> bool {
    margin_beside(name).is_some_and(|margin| of_the_step.iter().any(|(name, value)| name == margin && is_still(*value)))
}

/// The margin without which this metric says nothing. Before the first update every reward is 0 but for rounding: no
/// pair is right or wrong yet, and a strict count of noise is no accuracy.
pub fn margin_beside(name: &str) -> Option<&'static str> {
    match name {
        ACCURACY => Some(REWARD_MARGIN),
        HELD_OUT_ACCURACY | HELD_OUT_ACCURACY_LOW | HELD_OUT_ACCURACY_HIGH => Some(HELD_OUT_MARGIN),
        _ => None,
    }
}

/// Whether a margin is 0 but for rounding.
pub fn is_still(margin: f64) -> bool {
    margin.abs() < 1e-4
}

/// Every metric's values by its name, in the order of the steps; what says nothing is left out.
pub fn curves(steps: &[(u64, Vec<(String, f64)>)]) -> BTreeMap<String, Vec<Point>> {
    let mut curves: BTreeMap<String, Vec<Point>> = BTreeMap::new();
    for (step, metrics) in steps {
        for (name, value) in metrics.iter().filter(|(name, _)| !says_nothing(name, metrics)) {
            curves.entry(name.clone()).or_default().push([*step as f64, *value]);
        }
    }
    curves
}

fn capitalized(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A capital stays where the word is an abbreviation: "KL(ref ‖ policy)".
fn uncapitalized(words: &str) -> String {
    let mut letters = words.chars();
    match (letters.next(), words.chars().nth(1)) {
        (Some(first), Some(second)) if !second.is_uppercase() => first.to_lowercase().chain(letters).collect(),
        _ => words.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_metric_stands_twice_and_each_is_said_in_words() {
        let keys: BTreeSet<&str> = METRICS.iter().map(|metric| metric.key).collect();
        assert_eq!(keys.len(), METRICS.len());
        for metric in METRICS {
            let is_of_evaluations = metric.measured == Measured::Evaluations;
            assert!(!metric.key.starts_with(HELD_OUT) || is_of_evaluations, "{}", metric.key);
            assert!(
                !metric.caption.is_empty() && !metric.short.is_empty() && metric.about.len() > 10,
                "{}",
                metric.key
            );
            let held_out = !matches!(metric.measured, Measured::Steps | Measured::Evaluations);
            assert!(held_out || metric.held_out_line.is_none(), "{}", metric.key);
        }
    }

    #[test]
    fn the_named_ones_are_in_the_table() {
        for name in [
            LOSS,
            HELD_OUT_LOSS,
            ACCURACY,
            HELD_OUT_ACCURACY,
            HELD_OUT_ACCURACY_LOW,
            HELD_OUT_ACCURACY_HIGH,
            SLEEPING,
            GRADIENT_NORM,
            REWARD_MARGIN,
            HELD_OUT_MARGIN,
            SCORE_ACCURACY,
            HELD_OUT_SCORE_ACCURACY,
            SCORE_LENGTH,
            HELD_OUT_SCORE_LENGTH,
            SAMPLED_SCORE,
            SAMPLED_KL,
            EXPLAINED_VARIANCE,
            CHOSEN_CHANGE,
            REJECTED_CHANGE,
            KL_REF,
            KL_POLICY,
            TOKENS_PER_SEC,
            STEP_PAIRS,
            STEP_TOKENS,
            EPOCH,
            MEMORY_MB,
            EVAL_RUNTIME,
        ] {
            assert!(StoredMetric::of(name).is_some(), "{name}");
        }
    }

    #[test]
    fn held_out_metrics_say_so() {
        assert_eq!(caption("eval_rewards/margins"), "Reward margin, held out");
        assert_eq!(caption("my/metric"), "my/metric");
        assert_eq!(caption(EVAL_RUNTIME), "Seconds of an evaluation", "TRL's name, though it is of no pair");
        let accuracy = StoredMetric::of(HELD_OUT_ACCURACY).unwrap();
        assert_eq!(accuracy.in_words(), "held-out preference accuracy");
        assert_eq!(accuracy.column(), "Held-out accuracy");
        assert!(StoredMetric::of(KL_REF).unwrap().in_words().starts_with("KL(ref"));
    }

    #[test]
    fn shares_are_percent_memory_has_a_unit_and_an_interval_is_told_with_its_share() {
        assert_eq!(value("memory_mb", 3210.0), "3.21 GB");
        let measured = |name: &str| match name {
            HELD_OUT_ACCURACY => Some(0.875),
            HELD_OUT_ACCURACY_LOW => Some(0.826),
            HELD_OUT_ACCURACY_HIGH => Some(0.911),
            LOSS => Some(0.6917),
            _ => None,
        };
        assert_eq!(told(HELD_OUT_ACCURACY, measured).as_deref(), Some("87.5 % (83 to 91 %)"));
        assert_eq!(told(LOSS, measured).as_deref(), Some("0.692"));
        assert_eq!(told(KL_REF, measured), None);
        assert_eq!(told_together(HELD_OUT_ACCURACY, &[0.75, 0.79]).as_deref(), Some("77 % (75 % to 79 %)"));
        assert_eq!(told_together(LOSS, &[0.5]).as_deref(), Some("0.5"));
        assert_eq!(told_together(LOSS, &[]), None);
    }

    #[test]
    fn g2_a_share_is_read_against_all() {
        assert_eq!(levels(HELD_OUT_ACCURACY), [0.5, 1.0]);
        assert_eq!(levels("eval_margin/q50"), [0.0]);
        assert_eq!(levels("kl/policy_k3"), [0.0]);
        assert!(levels("loss").is_empty());
    }

    #[test]
    fn accuracy_says_nothing_before_a_pair_has_moved() {
        let step = |margin| [("rewards/margins".to_owned(), margin), (ACCURACY.to_owned(), 0.5)];
        assert!(says_nothing(ACCURACY, &step(1e-6)));
        assert!(!says_nothing(ACCURACY, &step(0.01)));
        assert!(!says_nothing(LOSS, &step(0.0)));
        let curves = curves(&[(0, step(0.0).to_vec()), (10, step(0.5).to_vec())]);
        assert_eq!((curves[ACCURACY].as_slice(), curves["rewards/margins"].len()), (&[[10.0, 0.5]][..], 2));
    }
}
