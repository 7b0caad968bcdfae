//! Which settings a fork may have otherwise than its run, and which it takes over as they are.

use super::{
    ConfigError, DataConfig, Knobs, LoraConfig, ModelConfig, ObjectiveConfig, OptimizerConfig, PpoConfig, RewardConfig,
    RlhfConfig, RunConfig, Setting, TiConfig, TisConfig, TrainConfig,
};

/// What a fork does with a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtFork {
    /// It may be another one: how that counts.
    Changes(&'static str),
    /// It stays what it is: why.
    Stays(&'static str),
}

use AtFork::{Changes, Stays};

/// Every setting once, in the order of the file.
const TABLE: &[(Setting, AtFork)] = &[
    (ModelConfig::PATH, Stays("the weights of the checkpoint belong to this model")),
    (ModelConfig::START_ADAPTER, Stays("it is part of the reference that the run is measured against")),
    (ModelConfig::CONTINUE_ADAPTER, Stays("it is part of the reference that the run is measured against")),
    (ModelConfig::DTYPE, Stays("other rounding would make the model another reference")),
    (DataConfig::MAX_PROMPT_TOKENS, Stays("it decides which pairs there are, and their order goes on")),
    (
        DataConfig::MAX_ANSWER_TOKENS,
        Stays("it decides where answers are cut, and what was measured before would not compare"),
    ),
    (DataConfig::EVAL_FRACTION, Stays("it decides which pairs are held out, and some of those were trained on")),
    (DataConfig::SEED, Stays("it decides which pairs are held out, and some of those were trained on")),
    (DataConfig::LIVE_LABELS, Changes("from the next end of an epoch on")),
    (DataConfig::ALLOW_DOUBLED_BOS, Stays("the run was begun with it")),
    (DataConfig::REFERENCE, Stays("the order of the reference answers goes on")),
    (DataConfig::RETENTION, Stays("the order of the retention text goes on")),
    (ObjectiveConfig::KIND, Changes("the next step is the first of the other method; weights and momentum go on")),
    (ObjectiveConfig::MARGIN, Changes("from the next step on; the anchors are still those of step 0")),
    (ObjectiveConfig::BETA, Changes("from the next step on, and the rewards shown scale with it")),
    (ObjectiveConfig::TAU, Changes("from the next step on")),
    (ObjectiveConfig::LABEL_SMOOTHING, Changes("from the next step on")),
    (ObjectiveConfig::ROBUST, Changes("from the next step on")),
    (ObjectiveConfig::NEGATIVES, Stays("it decides which answers the pairs bring, and their order goes on")),
    (ObjectiveConfig::NEGATIVES_MAX, Stays("it decides which answers the pairs bring, and their order goes on")),
    (
        ObjectiveConfig::TOKEN_WEIGHTS,
        Changes("from the next step on; a contrast pair is fitted on the pairs at the fork"),
    ),
    (ObjectiveConfig::REFERENCE_WEIGHT, Changes("from the next step on")),
    (ObjectiveConfig::RETENTION_WEIGHT, Changes("from the next step on")),
    (TisConfig::CONTRAST, Changes("another contrast pair is fitted on the pairs at the fork")),
    (TisConfig::STEPS, Changes("another contrast pair is fitted on the pairs at the fork")),
    (TisConfig::BETA, Changes("another contrast pair is fitted on the pairs at the fork")),
    (TisConfig::LEARNING_RATE, Changes("another contrast pair is fitted on the pairs at the fork")),
    (TisConfig::TRANSFORM, Changes("from the next step on")),
    (TisConfig::RANKS, Changes("from the next step on")),
    (TisConfig::CLAMP, Changes("from the next step on")),
    (TisConfig::LAST_TOKEN, Changes("from the next step on")),
    (TisConfig::NORMALIZE, Changes("from the next step on")),
    (TiConfig::LAMBDA, Changes("from the next step on")),
    (TiConfig::SIGMAS, Changes("from the next step on")),
    (TiConfig::PRIOR, Changes("from the next step on")),
    (TiConfig::EVERY, Changes("from the next step on")),
    (TiConfig::TRIPLET_WEIGHT, Changes("from the next step on")),
    (TiConfig::TRIPLET_MARGIN, Changes("from the next step on")),
    (TiConfig::ANCHOR_TOKENS, Changes("from the next step on")),
    (
        RewardConfig::RUN,
        Stays("scores of another reward model than it learns from would not compare, and the critic follows these"),
    ),
    (RewardConfig::CENTER, Changes("from the next step on")),
    (RewardConfig::MARGIN, Changes("from the next step on")),
    (RlhfConfig::PROMPTS, Changes("from the next step on")),
    (RlhfConfig::ANSWERS_PER_PROMPT, Changes("from the next step on")),
    (RlhfConfig::MAX_TOKENS, Changes("from the next step on")),
    (RlhfConfig::MISSING_EOS_PENALTY, Changes("from the next step on")),
    (RlhfConfig::REWARD_CLIP, Changes("from the next step on")),
    (RlhfConfig::KL_COEF, Changes("from the next step on")),
    (RlhfConfig::CLIP, Changes("from the next step on")),
    (RlhfConfig::EPOCHS, Changes("from the next step on")),
    (RlhfConfig::MINIBATCHES, Changes("from the next step on")),
    (PpoConfig::VALUE_CLIP, Changes("from the next step on")),
    (PpoConfig::VALUE_COEF, Changes("from the next step on")),
    (PpoConfig::GAMMA, Changes("from the next step on; the critic has learnt the returns of before")),
    (PpoConfig::LAMBDA, Changes("from the next step on; the critic has learnt the returns of before")),
    (PpoConfig::CRITIC_LEARNING_RATE, Changes("from the next step on, at its place of the schedule")),
    (PpoConfig::CRITIC_WARMUP, Changes("counted from where the critic began: at the fork, where the run had none")),
    (PpoConfig::REWARD_AT, Changes("from the next step on; the critic has learnt the returns of before")),
    (LoraConfig::FULL, Stays("the checkpoint holds what this trains")),
    (LoraConfig::RANK, Stays("the adapter of the checkpoint has this width")),
    (LoraConfig::ALPHA, Stays("under another scale the adapter of the checkpoint would be another model")),
    (LoraConfig::DROPOUT, Changes("from the next step on")),
    (LoraConfig::RSLORA, Stays("under another scale the adapter of the checkpoint would be another model")),
    (LoraConfig::TARGETS, Stays("the adapter of the checkpoint lies on these layers")),
    (OptimizerConfig::KIND, Stays("its moments go on")),
    (OptimizerConfig::LEARNING_RATE, Changes("from the next step on, at its place of the schedule")),
    (OptimizerConfig::BETAS, Changes("from the next step on; the moments go on")),
    (OptimizerConfig::EPS, Changes("from the next step on")),
    (OptimizerConfig::WEIGHT_DECAY, Changes("from the next step on")),
    (OptimizerConfig::WARMUP_STEPS, Changes("the schedule is that of a run planned so; done steps count")),
    (OptimizerConfig::SCHEDULE, Changes("the schedule is that of a run planned so; done steps count")),
    (OptimizerConfig::MAX_GRAD_NORM, Changes("from the next step on")),
    (TrainConfig::STEPS, Changes("steps in all, those before the fork counted")),
    (TrainConfig::EPOCHS, Changes("passes in all, those before the fork counted")),
    (TrainConfig::PAIRS_PER_STEP, Changes("from the next step on; the order of the pairs goes on")),
    (TrainConfig::MICRO_BATCH_TOKENS, Stays("rows are packed as they were, so that sums round as they did")),
    (TrainConfig::RECOMPUTE, Changes("from the next step on; the numbers are the same")),
    (TrainConfig::MEMORY_MB, Changes("from the next step on")),
    (TrainConfig::SHUFFLE_SEED, Stays("the order of the pairs goes on")),
    (TrainConfig::CHECKPOINT_EVERY, Changes("from the next step on")),
    (TrainConfig::KEEP, Changes("of the fork's own checkpoints")),
    (TrainConfig::EVAL_EVERY, Changes("from the next step on")),
    (TrainConfig::SAMPLE_EVERY, Changes("from the next step on")),
    (TrainConfig::KL_LIMIT, Changes("from the next evaluation on")),
    (TrainConfig::KL_ACTION, Changes("from the next evaluation on; λ ref stays where it was steered to")),
    (TrainConfig::SAMPLE_TOKENS, Changes("from the next sample on")),
    (
        TrainConfig::EVAL_ANSWERS,
        Changes("from the next evaluation on; drift of the policy's own answers then compares less well"),
    ),
    (TrainConfig::DEVICE, Changes("another device rounds otherwise, so the curves are near each other, not equal")),
    (TrainConfig::THREADS, Changes("the numbers are the same")),
    (TrainConfig::PRIORITY, Changes("the numbers are the same")),
];

/// A setting that a fork has otherwise than its run.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    pub setting: Setting,
    /// In words; of one without a value, what counts then.
    pub before: String,
    pub after: String,
}

impl std::fmt::Display for Changed {
    /// "β 0.1 → 0.2".
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} → {}", self.setting.label, self.before, self.after)
    }
}

impl Setting {
    pub fn at_fork(&self) -> AtFork {
        let line = TABLE.iter().find(|(setting, _)| setting == self);
        line.map_or(Stays("the run was begun with it"), |(_, at_fork)| *at_fork)
    }
}

impl RunConfig {
    /// What `fork` has otherwise, in the order of the file.
    pub fn changes_in(&self, fork: &Self) -> Result<Vec<Changed>, ConfigError> {
        let (before, after) = (self.every_value()?, fork.every_value()?);
        let shown = |values: &std::collections::BTreeMap<String, String>, setting: &Setting, config: &Self| {
            let unset = || setting.unset.map_or_else(String::new, |words| words(config));
            values.get(setting.key).map_or_else(unset, |value| value.trim_matches('"').to_owned())
        };
        let changed = Self::settings().filter_map(|setting| {
            let (before, after) = (shown(&before, setting, self), shown(&after, setting, fork));
            (before != after).then_some(Changed { setting: *setting, before, after })
        });
        Ok(changed.collect())
    }
}

impl Knobs {
    /// Where they stand in a fork: what was changed is what the fork says, the rest stays as it was turned.
    #[must_use]
    pub fn forked(self, before: &ObjectiveConfig, after: &ObjectiveConfig) -> Self {
        let pick = |was: f64, is: f64, stands: f64| if was == is { stands } else { is };
        Self {
            learning_rate_scale: self.learning_rate_scale,
            reference_weight: pick(before.reference_weight(), after.reference_weight(), self.reference_weight),
            retention_weight: pick(before.retention_weight(), after.retention_weight(), self.retention_weight),
            beta: pick(before.beta, after.beta, self.beta),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_says_what_becomes_of_it() {
        let table: Vec<&str> = TABLE.iter().map(|(setting, _)| setting.key).collect();
        let all: Vec<&str> = RunConfig::settings().map(|setting| setting.key).collect();
        assert_eq!(table, all);
        for (setting, at_fork) in TABLE {
            let (Changes(sentence) | Stays(sentence)) = at_fork;
            assert!(sentence.len() > 10 && !sentence.ends_with('.'), "{}", setting.key);
            assert!(setting.live.is_none() || matches!(at_fork, Changes(_)), "{} moves in a run", setting.key);
        }
    }

    #[test]
    fn only_what_differs_is_a_change() {
        let run = RunConfig::default();
        assert_eq!(run.changes_in(&run).unwrap(), []);
        let mut fork = run.clone();
        fork.objective.beta = 0.2;
        fork.objective.reference_weight = Some(run.objective.reference_weight());
        fork.train.steps = Some(40);
        let said: Vec<String> = run.changes_in(&fork).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(said, ["β 0.1 → 0.2", "Steps by epochs → 40"]);
    }

    #[test]
    fn a_knob_stays_where_it_was_turned_unless_the_fork_says_otherwise() {
        let run = ObjectiveConfig::default();
        let mut knobs = Knobs::new(&run);
        (knobs.beta, knobs.learning_rate_scale) = (0.7, 0.5);
        assert_eq!(knobs.forked(&run, &run), knobs);
        let fork = ObjectiveConfig { beta: 0.2, ..run.clone() };
        assert_eq!(knobs.forked(&run, &fork), Knobs { beta: 0.2, ..knobs });
    }
}
