//! Settings of a reward model and of what is taught with one: PPO, RLOO and GRPO.

use serde::{Deserialize, Serialize};

use super::{
    Group, KlEstimator, LossType, Method, ObjectiveConfig, Prompts, Range, RewardAt, RunConfig, Setting, When,
    setting::NEXT, words,
};

/// Why a run goes on learning from the scores that it has learnt from.
const OTHER_SCORES: &str =
    "scores of another reward model than it learns from would not compare, and the critic follows these";

section! { RewardConfig = "reward";

    /// The run whose reward model scores the sampled answers; empty = the newest one of this project
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<u64> = None,
        RUN = Setting::count("Reward model, run", Range::OneOrMore).at(Group::Method, 7).only(When::Sampling)
            .unset(|_| "the newest".to_owned())
            .stays(OTHER_SCORES);

    /// The step of its checkpoint; empty = of its checkpoints the one that puts most held-out pairs in order
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<u64> = None,
        STEP = Setting::count("Reward model, step", Range::OneOrMore).only(When::Sampling)
            .unset(|_| "the best on held-out pairs".to_owned()).stays(OTHER_SCORES);

    /// Scores are counted in standard deviations from their mean, both over the answers of the reference; without it as the head gives them, and rlhf.kl_coef has another weight with every reward model
    normalize: bool = true,
        NORMALIZE = Setting::switch("Scores on one scale").only(When::Sampling).stays(OTHER_SCORES);

    /// κ: pulls the sum of a pair's two scores to 0, which nothing else decides; 0 = off
    center: f64 = 0.01,
        CENTER = Setting::number("Centering", Range::ZeroOrMore).at(Group::Method, 8).only(When::Method(Method::Reward))
            .changes(NEXT);

    /// How far ahead the score of the chosen answer is to be; 0 = any lead
    margin: f64 = 0.0,
        MARGIN = Setting::number("Score margin", Range::ZeroOrMore).only(When::Method(Method::Reward)).changes(NEXT);
}

section! { RlhfConfig = "rlhf";

    /// Whose prompts are answered between updates
    prompts: Prompts = Prompts::Pairs,
        PROMPTS = Setting::choice("Prompts", words::PROMPTS).only(When::Sampling).changes(NEXT);

    /// Answers sampled to each prompt of a step; RLOO and GRPO compare them with each other
    #[serde(skip_serializing_if = "Option::is_none")]
    answers_per_prompt: Option<usize> = None,
        ANSWERS_PER_PROMPT = Setting::count("Answers a prompt", Range::Between(1, 1024)).at(Group::Method, 9).only(When::Sampling)
            .unset(|run| run.answers_per_prompt().to_string()).changes(NEXT);

    /// Longest sampled answer, tokens; a longer one is cut
    max_tokens: usize = 128,
        MAX_TOKENS = Setting::count("Longest sampled answer", Range::Between(1, 1_000_000)).at(Group::Method, 10).only(When::Sampling)
            .changes(NEXT);

    /// Taken from the score of an answer that was cut
    missing_eos_penalty: f64 = 1.0,
        MISSING_EOS_PENALTY = Setting::number("Penalty for no end", Range::ZeroOrMore).at(Group::Method, 11)
            .only(When::Sampling).changes(NEXT);

    /// Scores, in standard deviations unless reward.normalize is off, are kept within this much of 0; 0 = no clipping
    reward_clip: f64 = 10.0,
        REWARD_CLIP = Setting::number("Score clipping", Range::ZeroOrMore).only(When::Sampling).changes(NEXT);

    /// How much the drift from the reference costs, per nat: in the reward with PPO and RLOO, in the loss with GRPO
    #[serde(skip_serializing_if = "Option::is_none")]
    kl_coef: Option<f64> = None,
        KL_COEF = Setting::number("KL coefficient", Range::ZeroOrMore).at(Group::Method, 12).only(When::Sampling)
            .unset(|run| run.kl_coef().to_string()).changes(NEXT);

    /// How the reward of PPO and RLOO estimates the KL of an answer; the loss of GRPO has k3 whatever this says
    kl_estimator: KlEstimator = KlEstimator::K1,
        KL_ESTIMATOR = Setting::choice("KL estimator", words::KL_ESTIMATORS).only(When::Sampling).changes(NEXT);

    /// What the sum over the tokens of an update is divided by
    loss_type: LossType = LossType::Dapo,
        LOSS_TYPE = Setting::choice("Mean over", words::LOSS_TYPES).only(When::Method(Method::Grpo)).changes(NEXT);

    /// ε: past a ratio of 1 ± ε an answer or a token pulls no further
    clip: f64 = 0.2,
        CLIP = Setting::number("Clip range", Range::AboveZero).at(Group::Method, 13).only(When::Sampling).changes(NEXT);

    /// Times that a step's answers are gone over
    #[serde(skip_serializing_if = "Option::is_none")]
    epochs: Option<usize> = None,
        EPOCHS = Setting::count("Passes over answers", Range::Between(1, 64)).at(Group::Method, 14).only(When::Sampling)
            .unset(|run| run.rlhf_epochs().to_string()).changes(NEXT);

    /// Updates of each pass, each on its share of the prompts
    minibatches: usize = 1,
        MINIBATCHES = Setting::count("Minibatches", Range::Between(1, 1024)).only(When::Sampling).changes(NEXT);
}

section! { PpoConfig = "ppo";

    /// How far a value may move from where it was at the rollout before its pull ends
    value_clip: f64 = 0.2,
        VALUE_CLIP = Setting::number("Value clip range", Range::AboveZero).only(When::Method(Method::Ppo))
            .changes(NEXT);

    /// Weight of the critic's loss
    value_coef: f64 = 0.1,
        VALUE_COEF = Setting::number("Value coefficient", Range::AboveZero).only(When::Method(Method::Ppo))
            .changes(NEXT);

    /// γ: what a later reward counts
    gamma: f64 = 1.0,
        GAMMA = Setting::number("γ", Range::Between(0, 1)).only(When::Method(Method::Ppo))
            .changes("from the next step on; the critic has learnt the returns of before");

    /// λ of generalised advantage estimation: 1 trusts the rewards, 0 the critic
    lambda: f64 = 0.95,
        LAMBDA = Setting::number("λ", Range::Between(0, 1)).only(When::Method(Method::Ppo))
            .changes("from the next step on; the critic has learnt the returns of before");

    /// Peak rate of the critic's AdamW
    #[serde(skip_serializing_if = "Option::is_none")]
    critic_learning_rate: Option<f64> = None,
        CRITIC_LEARNING_RATE = Setting::number("Critic learning rate", Range::AboveZero).at(Group::Method, 15)
            .only(When::Method(Method::Ppo)).unset(|_| "three times the policy's".to_owned())
            .changes("from the next step on, at its place of the schedule");

    /// Steps at the beginning in which the critic alone learns
    critic_warmup: u64 = 4,
        CRITIC_WARMUP = Setting::count("Critic warm-up", Range::ZeroOrMore).only(When::Method(Method::Ppo))
            .changes("counted from where the critic began: at the fork, where the run had none");

    /// Where the score of an answer joins the rewards of its tokens
    reward_at: RewardAt = RewardAt::LastToken,
        REWARD_AT = Setting::choice("Score counts at", words::REWARD_PLACES).only(When::Method(Method::Ppo))
            .changes("from the next step on; the critic has learnt the returns of before");
}

impl RunConfig {
    /// K asked for, or the method's own.
    pub fn answers_per_prompt(&self) -> usize {
        self.rlhf.answers_per_prompt.unwrap_or(if self.objective.kind == Method::Ppo { 2 } else { 4 })
    }

    /// Weight of the KL asked for, or the method's own.
    pub fn kl_coef(&self) -> f64 {
        self.rlhf.kl_coef.unwrap_or(if self.objective.kind == Method::Grpo { 0.0 } else { 0.05 })
    }

    /// Passes asked for, or the method's own.
    pub fn rlhf_epochs(&self) -> usize {
        self.rlhf.epochs.unwrap_or(if self.objective.kind == Method::Ppo { 2 } else { 1 })
    }

    /// The critic's rate asked for, or three times the policy's.
    pub fn critic_learning_rate(&self) -> f64 {
        self.ppo.critic_learning_rate.unwrap_or(3.0 * self.optimizer.learning_rate)
    }
}

/// What a reward model, or what is taught with one, cannot go together with; `(setting, sentence after its name)`.
pub(super) fn faults(config: &RunConfig) -> Vec<(Setting, String)> {
    let kind = config.objective.kind;
    let mut faults = Vec::new();
    if kind != Method::Reward && !kind.samples() {
        return faults;
    }
    let name = ObjectiveConfig::KIND.words().iter().find(|word| word.word == kind.name()).map_or("", |word| word.shown);
    if config.lora.full {
        faults.push((
            super::LoraConfig::FULL,
            format!("true, and {name} needs a frozen base that several adapters share; it must be false"),
        ));
    }
    if kind == Method::Reward && config.model.continue_adapter.is_some() {
        faults.push((
            super::ModelConfig::CONTINUE_ADAPTER,
            "set, and a reward model has an adapter of its own; it must be empty, or the adapter named as model.start_adapter"
                .to_owned(),
        ));
    }
    if kind.samples() {
        if config.lora.dropout > 0.0 {
            faults.push((
                super::LoraConfig::DROPOUT,
                format!(
                    "{}, and {name} compares the policy with itself as it sampled; it must be 0, or the two differ from the start",
                    config.lora.dropout
                ),
            ));
        }
        if config.reward.step.is_some() && config.reward.run.is_none() {
            faults.push((
                RewardConfig::STEP,
                "set, and reward.run is empty; it must name the run that this is a step of".to_owned(),
            ));
        }
        if kind != Method::Ppo && config.answers_per_prompt() == 1 {
            faults.push((
                RlhfConfig::ANSWERS_PER_PROMPT,
                format!("1, and {name} compares the answers to a prompt with each other; it must be 2 or more"),
            ));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::validate;

    fn of(kind: Method) -> RunConfig {
        let mut config = RunConfig::default();
        config.objective.kind = kind;
        config
    }

    #[test]
    fn each_method_has_its_own_defaults() {
        assert_eq!([Method::Ppo, Method::Rloo].map(|kind| of(kind).answers_per_prompt()), [2, 4]);
        assert_eq!([Method::Ppo, Method::Rloo, Method::Grpo].map(|kind| of(kind).kl_coef()), [0.05, 0.05, 0.0]);
        assert_eq!([Method::Ppo, Method::Rloo].map(|kind| of(kind).rlhf_epochs()), [2, 1]);
        for kind in Method::ALL {
            assert_eq!(validate(&of(kind)), [], "{kind:?}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused_beside_its_field() {
        let fields = |kind, change: &dyn Fn(&mut RunConfig)| {
            let mut config = of(kind);
            change(&mut config);
            validate(&config).into_iter().map(|(field, _)| field).collect::<Vec<_>>()
        };
        assert_eq!(fields(Method::Ppo, &|config| config.lora.dropout = 0.1), ["lora.dropout"]);
        assert!(fields(Method::Reward, &|config| config.lora.dropout = 0.1).is_empty());
        assert_eq!(fields(Method::Rloo, &|config| config.lora.full = true), ["lora.full"]);
        assert_eq!(
            fields(Method::Rloo, &|config| config.rlhf.answers_per_prompt = Some(1)),
            ["rlhf.answers_per_prompt"]
        );
        assert!(fields(Method::Ppo, &|config| config.rlhf.answers_per_prompt = Some(1)).is_empty());
        let beyond = |config: &mut RunConfig| (config.ppo.gamma, config.ppo.lambda) = (1.1, 1.5);
        assert_eq!(fields(Method::Ppo, &beyond), ["ppo.gamma", "ppo.lambda"]);
        // A step of so many answers, or of such, finds no memory on any machine.
        let most = |config: &mut RunConfig| {
            (config.rlhf.answers_per_prompt, config.rlhf.max_tokens) = (Some(usize::MAX >> 1), usize::MAX >> 1);
        };
        assert_eq!(fields(Method::Ppo, &most), ["rlhf.answers_per_prompt", "rlhf.max_tokens"]);
        assert_eq!(fields(Method::Ppo, &|config| config.reward.step = Some(40)), ["reward.step"]);
        assert!(
            fields(Method::Ppo, &|config| (config.reward.run, config.reward.step) = (Some(3), Some(40))).is_empty()
        );
        let further = |config: &mut RunConfig| config.model.continue_adapter = Some("a".into());
        assert_eq!(fields(Method::Reward, &further), ["model.continue_adapter"]);
    }
}
