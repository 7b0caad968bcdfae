//! The table of metrics, in reading order.
//!
//! Long because it is one table, and each metric stands in it once.

use super::metric::{Better, ChartId, LineLook, Measured, Metric, Told, Unit, metric};

/// Every metric.
pub const METRICS: &[Metric] = &[
    metric("loss", "Loss", "loss", Measured::Both, Unit::Plain, "The whole loss: preference, and what else has a weight")
        .told(Told::OfARun)
        .line(ChartId::Loss, "whole", LineLook::Series(0))
        .held_out_line(ChartId::Loss, "held out", LineLook::Series(4)),
    metric(
        "loss/preference",
        "Preference loss",
        "preference loss",
        Measured::Both,
        Unit::Plain,
        "The preference loss, mean over pairs; of PPO, RLOO and GRPO that of DPO, which they do not train on",
    )
    .line(ChartId::Loss, "preference", LineLook::Series(1)),
    metric(
        "loss/reference",
        "Reference loss",
        "reference loss",
        Measured::BothIfThere,
        Unit::NatsPerToken,
        "Mean −log π_θ a token on reference answers",
    )
    .line(ChartId::Loss, "reference", LineLook::Series(2)),
    metric(
        "loss/retention",
        "Retention loss",
        "retention loss",
        Measured::BothIfThere,
        Unit::NatsPerToken,
        "Mean −log π_θ a token on retention text",
    )
    .told(Told::OfARun)
    .line(ChartId::Loss, "retention", LineLook::Series(3))
    .held_out_line(ChartId::Retention, "held out", LineLook::Series(0)),
    metric(
        "rewards/accuracies",
        "Preference accuracy",
        "accuracy",
        Measured::Both,
        Unit::Share,
        "Share of pairs whose chosen answer has the higher reward",
    )
    .better(Better::More)
    .against(&[0.5, 1.0])
    .told(Told::AcrossRuns)
    .line(ChartId::Accuracy, "this step", LineLook::Noise(6))
    .held_out_line(ChartId::Accuracy, "held out", LineLook::Series(0)),
    metric(
        "rewards/accuracies_low",
        "Preference accuracy, lower end of its interval",
        "accuracy, low",
        Measured::HeldOut,
        Unit::Share,
        "The lower end of the 95 % interval (Wilson) of the held-out accuracy: fewer pairs make it wider",
    )
    .held_out_line(ChartId::Accuracy, "interval, low", LineLook::Low),
    metric(
        "rewards/accuracies_high",
        "Preference accuracy, upper end of its interval",
        "accuracy, high",
        Measured::HeldOut,
        Unit::Share,
        "The upper end of the 95 % interval (Wilson) of the held-out accuracy",
    )
    .held_out_line(ChartId::Accuracy, "interval, high", LineLook::High),
    metric(
        "rewards/margins",
        "Reward margin",
        "reward margin",
        Measured::Both,
        Unit::Nats,
        "β times the change of the margin between chosen and rejected since step 0, mean over pairs",
    )
    .against(&[0.0])
    .told(Told::AcrossRuns)
    .line(ChartId::RewardMargin, "training", LineLook::Series(0))
    .held_out_line(ChartId::RewardMargin, "held out", LineLook::Series(1)),
    metric(
        "rewards/chosen",
        "Chosen reward",
        "chosen reward",
        Measured::Both,
        Unit::Nats,
        "β · (log π_θ(y) − log π_ref(y)) of chosen answers, mean over pairs",
    )
    .against(&[0.0])
    .line(ChartId::Rewards, "chosen", LineLook::Chosen)
    .held_out_line(ChartId::Rewards, "chosen, held out", LineLook::Series(2)),
    metric(
        "rewards/rejected",
        "Rejected reward",
        "rejected reward",
        Measured::Both,
        Unit::Nats,
        "β · (log π_θ(y) − log π_ref(y)) of rejected answers, mean over pairs",
    )
    .against(&[0.0])
    .line(ChartId::Rewards, "rejected", LineLook::Rejected)
    .held_out_line(ChartId::Rewards, "rejected, held out", LineLook::Series(3)),
    metric(
        "rewards/rejected_max",
        "Reward of the best rejected answer",
        "best rejected reward",
        Measured::BothIfAsked,
        Unit::Nats,
        "β · (log π_θ(y) − log π_ref(y)) of the rejected answer that has most of it, mean over pairs",
    )
    .against(&[0.0])
    .line(ChartId::Rewards, "best rejected", LineLook::Series(4)),
    metric(
        "negatives/count",
        "Rejected answers a pair",
        "rejected answers",
        Measured::BothIfAsked,
        Unit::Plain,
        "Rejected answers that a pair brings to a step, mean over pairs",
    )
    .line(ChartId::Negatives, "there", LineLook::Series(1)),
    metric(
        "negatives/ess",
        "Rejected answers that have a say",
        "effective rejected answers",
        Measured::BothIfAsked,
        Unit::Plain,
        "(Σp)²/Σp² over a pair's rejected answers, p the probability of each: as many as count, mean over pairs",
    )
    .line(ChartId::Negatives, "with a say", LineLook::Series(0)),
    metric(
        "negatives/entropy",
        "Entropy over rejected answers",
        "entropy of rejected",
        Measured::BothIfAsked,
        Unit::Nats,
        "Entropy of the probabilities of a pair's rejected answers among themselves: log of their number while all are alike",
    ),
    metric(
        "rewards/weighted_margins",
        "Reward margin, weighted",
        "weighted margin",
        Measured::BothIfAsked,
        Unit::Nats,
        "The reward margin with each token's change counted by its weight, as the loss sees it; of several rejected answers to the best",
    )
    .against(&[0.0])
    .line(ChartId::RewardMargin, "weighted", LineLook::Series(2)),
    metric(
        "weights/mean",
        "Token weight",
        "token weight",
        Measured::BothIfAsked,
        Unit::Plain,
        "Mean weight of the tokens of a step's answers: where it is not 1, β counts more or less with it",
    )
    .against(&[1.0])
    .line(ChartId::Weights, "mean", LineLook::Series(0)),
    metric(
        "weights/std",
        "Spread of the token weights",
        "spread of weights",
        Measured::BothIfAsked,
        Unit::Plain,
        "Standard deviation of the weights of the tokens of a step's answers: 0 while all are alike",
    )
    .line(ChartId::Weights, "spread", LineLook::Series(1)),
    metric(
        "weights/chosen_top",
        "Weight of the heaviest tokens",
        "heaviest tenth",
        Measured::BothIfAsked,
        Unit::Share,
        "Share of a chosen answer's weight that the heaviest tenth of its tokens has, mean over pairs: a tenth while all are alike",
    ),
    metric(
        "ti/triplet",
        "Triplet loss",
        "triplet loss",
        Measured::Steps,
        Unit::Plain,
        "The triplet term of TI-DPO without its weight, mean over the answers sampled for it: squared nats nearer to the rejected than to the chosen answer",
    ),
    metric(
        "ti/triplet_active",
        "Triplets that pull",
        "active triplets",
        Measured::Steps,
        Unit::Share,
        "Share of the sampled answers that the triplet term still pulls",
    ),
    metric(
        "ti/anchor_length",
        "Length of the triplets' answers",
        "anchor length",
        Measured::Steps,
        Unit::Tokens,
        "Tokens of the answers that are sampled for the triplet term, mean",
    ),
    metric(
        "ti/seconds_share",
        "Time for token weights",
        "time for weights",
        Measured::Steps,
        Unit::Share,
        "Share of a step's time that the gradients at the inputs took, by which TI-DPO weighs tokens",
    ),
    metric(
        "logps/chosen",
        "Chosen log-prob",
        "chosen log-prob",
        Measured::Both,
        Unit::Nats,
        "Σ log π_θ over the tokens of the chosen answer, mean over pairs",
    ),
    metric(
        "logps/rejected",
        "Rejected log-prob",
        "rejected log-prob",
        Measured::Both,
        Unit::Nats,
        "Σ log π_θ over the tokens of the rejected answer, mean over pairs",
    ),
    metric(
        "logps/chosen_change",
        "Chosen log-prob, change since step 0",
        "chosen moved",
        Measured::Both,
        Unit::Nats,
        "How far the chosen answers' log-probs are from where they stood at step 0, mean over pairs",
    )
    .against(&[0.0])
    .line(ChartId::Moved, "chosen", LineLook::Chosen),
    metric(
        "logps/rejected_change",
        "Rejected log-prob, change since step 0",
        "rejected moved",
        Measured::Both,
        Unit::Nats,
        "How far the rejected answers' log-probs are from where they stood at step 0, mean over pairs",
    )
    .against(&[0.0])
    .line(ChartId::Moved, "rejected", LineLook::Rejected),
    metric(
        "margin/q50",
        "Margin, median",
        "median margin",
        Measured::Both,
        Unit::Nats,
        "m_θ of the pairs, before β: quantiles",
    )
    .against(&[0.0])
    .line(ChartId::Margin, "median", LineLook::Series(0))
    .held_out_line(ChartId::Margin, "held-out median", LineLook::Series(1)),
    metric(
        "margin/q10",
        "Margin, 10 %",
        "margin, 10 %",
        Measured::Both,
        Unit::Nats,
        "m_θ of the pairs, before β: a tenth of them are below",
    )
    .against(&[0.0])
    .line(ChartId::Margin, "10 %", LineLook::Low),
    metric(
        "margin/q90",
        "Margin, 90 %",
        "margin, 90 %",
        Measured::Both,
        Unit::Nats,
        "m_θ of the pairs, before β: a tenth of them are above",
    )
    .against(&[0.0])
    .line(ChartId::Margin, "90 %", LineLook::High),
    metric(
        "importance/weight",
        "Importance weight",
        "importance weight",
        Measured::Both,
        Unit::Plain,
        "ρ = σ(h)/μ, mean over pairs",
    ),
    metric(
        "importance/effective_sample_size",
        "Effective sample size",
        "effective sample size",
        Measured::Both,
        Unit::Pairs,
        "(Σρ)²/Σρ²: as many pairs as count",
    ),
    metric("push/mean", "Push", "push", Measured::Both, Unit::Plain, "|∂loss/∂m|: what a pair pulls with, mean over pairs"),
    metric(
        "push/asleep",
        "Share asleep",
        "asleep",
        Measured::Both,
        Unit::Share,
        "Share of pairs that get almost no push: won, or hopelessly lost",
    )
    .against(&[0.0, 1.0])
    .line(ChartId::Sleeping, "of this step's pairs", LineLook::Series(6)),
    metric(
        "kl/ref",
        "KL(ref ‖ policy), forward, per token",
        "KL(ref ‖ policy)",
        Measured::Evaluations,
        Unit::NatsPerToken,
        "Estimates KL(π_ref ‖ π_θ) in nats a token: mean of log π_ref − log π_θ over the tokens of held-out reference answers",
    )
    .better(Better::Less)
    .against(&[0.0])
    .told(Told::AcrossRuns)
    .line(ChartId::Drift, "kl/ref", LineLook::Series(0)),
    metric(
        "kl/ref_per_answer",
        "KL(ref ‖ policy), forward, per answer",
        "KL(ref ‖ policy) per answer",
        Measured::Evaluations,
        Unit::Nats,
        "The same summed over each answer",
    )
    .against(&[0.0]),
    metric(
        "kl/policy_k3",
        "KL(policy ‖ ref), k3 on samples, per token",
        "KL k3",
        Measured::Evaluations,
        Unit::NatsPerToken,
        "Estimates KL(π_θ ‖ π_ref) in nats a token: mean of (r − 1) − log r, r = π_ref/π_θ, on answers freshly sampled from the \
         policy",
    )
    .better(Better::Less)
    .against(&[0.0])
    .told(Told::AcrossRuns)
    .line(ChartId::Drift, "kl/policy_k3", LineLook::Series(1)),
    metric(
        "kl/policy_k3_per_answer",
        "KL(policy ‖ ref), k3 on samples, per answer",
        "KL k3 per answer",
        Measured::Evaluations,
        Unit::Nats,
        "The same summed over each answer",
    )
    .against(&[0.0]),
    metric(
        "answers/mean_tokens",
        "Length of sampled answers",
        "answer length",
        Measured::Evaluations,
        Unit::Tokens,
        "Tokens, mean over the answers sampled at an evaluation",
    )
    .told(Told::OfARun)
    .line(ChartId::Answers, "tokens", LineLook::Series(0)),
    metric(
        "stop/eos_rate",
        "Answers that ended by themselves",
        "ended by itself",
        Measured::Evaluations,
        Unit::Share,
        "Share of the answers sampled at an evaluation that ended before they were cut",
    )
    .told(Told::OfARun)
    .against(&[0.0, 1.0]),
    metric(
        "stop/eos_rate_low",
        "Answers that ended by themselves, lower end of the interval",
        "ended by itself, low",
        Measured::Evaluations,
        Unit::Share,
        "The lower end of its 95 % interval (Wilson): few answers make it wide",
    ),
    metric(
        "stop/eos_rate_high",
        "Answers that ended by themselves, upper end of the interval",
        "ended by itself, high",
        Measured::Evaluations,
        Unit::Share,
        "The upper end of its 95 % interval (Wilson)",
    ),
    metric(
        "stop/reference",
        "Reference answers that end within a sample",
        "references that end",
        Measured::Evaluations,
        Unit::Share,
        "Share of the reference answers that end and are no longer than a sample may be (train.sample_tokens): as many of its answers \
         should end by themselves, of a model that knows its own; measured before the first step",
    )
    .against(&[0.0, 1.0]),
    metric(
        "stop/known",
        "End of a turn, where it is due",
        "end is known",
        Measured::Evaluations,
        Unit::Share,
        "Probability that the policy gives to the end of the turn where a held-out chosen answer has it, mean over those: near 0 \
         where the model does not know that answers end so",
    )
    .against(&[0.0, 1.0]),
    metric(
        "stop/taught",
        "Chosen answers with the end of a turn",
        "ends are taught",
        Measured::Evaluations,
        Unit::Share,
        "Share of chosen answers whose last token is one that ends a turn; measured before the first step",
    )
    .against(&[0.0, 1.0]),
    metric(
        "template/gain",
        "Gain by the tokenizer's own turn marks",
        "gain by own marks",
        Measured::Evaluations,
        Unit::NatsPerToken,
        "How much likelier the pairs' answers are between the turn marks that the tokenizer has, where turns are written without them; \
         0 where that may be an accident; measured before the first step",
    ),
    metric(
        "answers/repeated",
        "Answers that repeat themselves",
        "repeats itself",
        Measured::Evaluations,
        Unit::Share,
        "Share of runs of four tokens that stood earlier in the same sampled answer: near 1 where an answer goes in circles",
    )
    .told(Told::OfARun)
    .against(&[0.0, 1.0]),
    metric(
        "grad_norm",
        "Gradient norm before clipping",
        "gradient norm",
        Measured::Steps,
        Unit::Plain,
        "Global norm of the gradient, before it is clipped",
    )
    .line(ChartId::Gradient, "before clipping", LineLook::Series(3)),
    metric(
        "learning_rate",
        "Learning rate",
        "learning rate",
        Measured::Steps,
        Unit::Plain,
        "What the schedule and the knob make of the learning rate",
    )
    .line(ChartId::LearningRate, "learning rate", LineLook::Series(4)),
    metric("epoch", "Epochs done", "epoch", Measured::Steps, Unit::Epochs, "How often every pair was met"),
    metric("pairs", "Pairs of the step", "pairs", Measured::Steps, Unit::Pairs, "Pairs that the step trained on; of PPO, RLOO and GRPO the prompts that it sampled answers to"),
    metric("tokens", "Tokens of the step", "tokens", Measured::Steps, Unit::Tokens, "Tokens that the step computed, prompts and reference answers included"),
    metric(
        "tokens_per_sec",
        "Tokens a second",
        "tokens/s",
        Measured::Steps,
        Unit::TokensPerSecond,
        "Tokens of the step's rows over the time it took",
    )
    .line(ChartId::Speed, "tokens/s", LineLook::Series(2)),
    metric("eval_runtime", "Seconds of an evaluation", "evaluation, s", Measured::Evaluations, Unit::Plain, "What an evaluation took, fresh answers and what the rules judged included"),
    metric("memory_mb", "Memory", "memory", Measured::Steps, Unit::Megabytes, "What the process held at the end of the step"),
    metric("accuracy", "Accuracy of the scores", "accuracy of scores", Measured::Both, Unit::Share, "Share of pairs whose chosen answer has the higher score of the reward model")
    .better(Better::More)
    .against(&[0.5, 1.0])
    .told(Told::AcrossRuns)
    .line(ChartId::ScoreAccuracy, "this step", LineLook::Noise(6))
    .held_out_line(ChartId::ScoreAccuracy, "held out", LineLook::Series(0)),
    metric("margin", "Margin of the scores", "margin of scores", Measured::Both, Unit::Plain, "Score of the chosen answer minus that of the rejected one, mean over pairs")
    .against(&[0.0])
    .told(Told::AcrossRuns)
    .line(ChartId::ScoreMargin, "training", LineLook::Series(0))
    .held_out_line(ChartId::ScoreMargin, "held out", LineLook::Series(1)),
    metric("mean_reward", "Mean score", "mean score", Measured::Both, Unit::Plain, "Raw score of the reward model, mean over the answers of the pairs")
    .against(&[0.0])
    .line(ChartId::Scores, "mean", LineLook::Series(0)),
    metric("min_reward", "Lowest score", "lowest score", Measured::Both, Unit::Plain, "The lowest raw score of the answers")
    .line(ChartId::Scores, "lowest", LineLook::Low),
    metric("max_reward", "Highest score", "highest score", Measured::Both, Unit::Plain, "The highest raw score of the answers")
    .line(ChartId::Scores, "highest", LineLook::High),
    metric("ties", "Pairs with equal scores", "equal scores", Measured::Both, Unit::Share, "Share of pairs whose two answers have exactly the same score")
    .against(&[0.0, 1.0]),
    metric("length_correlation", "Correlation of score and length", "score with length", Measured::Both, Unit::Plain, "Pearson correlation of the scores with the lengths of the answers in tokens")
    .against(&[-1.0, 0.0, 1.0])
    .told(Told::OfARun)
    .line(ChartId::ScoreLength, "training", LineLook::Noise(6))
    .held_out_line(ChartId::ScoreLength, "held out", LineLook::Series(0)),
    metric("objective/scores", "Score of sampled answers", "score", Measured::Steps, Unit::Plain, "Score of the reward model in standard deviations, clipped, less the penalty for a missing end; mean over the sampled answers")
    .told(Told::OfARun)
    .line(ChartId::Objective, "score", LineLook::Series(0)),
    metric("objective/rlhf_reward", "Reward of sampled answers", "reward", Measured::Steps, Unit::Plain, "The score less the KL penalty, mean over the sampled answers")
    .line(ChartId::Objective, "with the KL penalty", LineLook::Series(1)),
    metric("objective/non_score_reward", "KL penalty of sampled answers", "KL penalty", Measured::Steps, Unit::Plain, "−kl_coef·Σ(log π − log π_ref) of an answer, mean over the sampled answers"),
    metric("objective/kl", "KL of sampled answers", "sampled KL", Measured::Steps, Unit::Nats, "Σ log π − log π_ref of an answer, mean over the sampled answers: estimates KL(π_θ ‖ π_ref) an answer")
    .against(&[0.0])
    .told(Told::OfARun)
    .line(ChartId::SampledKl, "per answer", LineLook::Series(0)),
    metric("objective/kl_full", "KL of sampled answers, whole vocabulary", "sampled KL, exact", Measured::Steps, Unit::Nats, "Σ KL(π ‖ π_ref) over the whole vocabulary at each token of an answer, mean over the sampled answers: the same without the chance of which token came. Absent where the model caps its logits")
    .line(ChartId::SampledKl, "over the whole vocabulary", LineLook::Series(1)),
    metric("policy/entropy_avg", "Entropy a token", "entropy a token", Measured::Steps, Unit::NatsPerToken, "H(π) over the whole vocabulary before each token of the sampled answers, as it sampled; mean over the tokens. Absent where the model caps its logits")
    .line(ChartId::Entropy, "a token", LineLook::Series(0)),
    metric("objective/entropy", "Entropy of sampled answers", "sampled entropy", Measured::Steps, Unit::Nats, "−Σ log π of an answer, mean over the sampled answers"),
    metric("reward/std", "Spread of the scores", "spread of scores", Measured::Steps, Unit::Plain, "Standard deviation of the score among the sampled answers"),
    metric("frac_reward_zero_std", "Prompts with equal scores", "prompts with equal scores", Measured::Steps, Unit::Share, "Share of prompts whose answers all have the same score and so teach nothing")
    .against(&[0.0, 1.0]),
    metric("loss/policy_avg", "Policy loss", "policy loss", Measured::Steps, Unit::Plain, "The clipped policy-gradient loss, mean over the updates of the step"),
    metric("loss/value_avg", "Value loss", "value loss", Measured::Steps, Unit::Plain, "Half the clipped squared error of the critic, mean over the updates of the step")
    .line(ChartId::Critic, "loss", LineLook::Series(1)),
    metric("grad_norm/critic", "Gradient norm of the critic", "critic's gradient norm", Measured::Steps, Unit::Plain, "Global norm of the critic's gradient, before it is clipped: the largest of the step's updates"),
    metric("policy/approxkl_avg", "KL from the rollout", "KL from the rollout", Measured::Steps, Unit::Nats, "½·mean (log π_θ − log π_old)² over the tokens, of RLOO over answers with their tokens summed: how far the updates of the step went from what sampled"),
    metric("policy/clipfrac_avg", "Clipped, policy", "clipped", Measured::Steps, Unit::Share, "Share of tokens, or of answers, whose ratio is past the clip range")
    .line(ChartId::Ratios, "policy", LineLook::Series(0)),
    metric("val/clipfrac_avg", "Clipped, values", "clipped values", Measured::Steps, Unit::Share, "Share of values that are past the value clip range")
    .line(ChartId::Ratios, "values", LineLook::Series(1)),
    metric("val/ratio", "Ratio to the rollout", "ratio", Measured::Steps, Unit::Plain, "π_θ/π_old, mean over the updates of the step: 1 before the first")
    .against(&[1.0]),
    metric("val/ratio_var", "Variance of the ratio", "variance of the ratio", Measured::Steps, Unit::Plain, "Variance of that mean over the updates of the step"),
    metric("val/num_eos_tokens", "Answers with an end", "answers with an end", Measured::Steps, Unit::Plain, "Sampled answers of the step that ended by themselves"),
    metric("value/mean", "Mean value", "mean value", Measured::Steps, Unit::Plain, "What the critic expects, mean over the tokens of the sampled answers"),
    metric("value/explained_variance", "Explained variance", "explained variance", Measured::Steps, Unit::Plain, "1 − Var(return − value)/Var(return): 1 where the critic foresees all, below 0 where it does worse than a constant")
    .against(&[0.0, 1.0])
    .line(ChartId::Critic, "explained variance", LineLook::Series(0)),
    metric("completions/mean_length", "Length of the answers that teach", "sampled length", Measured::Steps, Unit::Tokens, "Tokens, mean over the sampled answers of the step")
    .line(ChartId::Completions, "tokens", LineLook::Series(0)),
    metric("completions/min_length", "Shortest answer that teaches", "shortest answer", Measured::Steps, Unit::Tokens, "Tokens of the shortest sampled answer of the step"),
    metric("completions/max_length", "Longest answer that teaches", "longest answer", Measured::Steps, Unit::Tokens, "Tokens of the longest sampled answer of the step"),
    metric("completions/mean_terminated_length", "Length of the answers with an end", "length with an end", Measured::Steps, Unit::Tokens, "Tokens, mean over the sampled answers of the step that ended by themselves"),
    metric("completions/clipped_ratio", "Sampled answers that were cut, by TRL's name", "cut, TRL", Measured::Steps, Unit::Share, "As rollout/cut_share; of RLOO and GRPO")
    .against(&[0.0, 1.0]),
    metric("reward", "Reward in its group", "group reward", Measured::Steps, Unit::Plain, "What the answers to a prompt are compared by, mean: the score, of RLOO less the KL penalty"),
    metric("reward_std", "Spread in a group", "spread in a group", Measured::Steps, Unit::Plain, "Standard deviation of that reward among the answers to a prompt, mean over the prompts of RLOO and GRPO"),
    metric("kl", "KL of sampled answers, per token", "sampled KL a token", Measured::Steps, Unit::NatsPerToken, "log π − log π_ref, mean over the tokens of the sampled answers of RLOO and GRPO")
    .against(&[0.0]),
    metric("entropy", "Entropy a token, by TRL's name", "entropy, TRL", Measured::Steps, Unit::NatsPerToken, "As policy/entropy_avg; of RLOO and GRPO"),
    metric("clip_ratio/low_mean", "Clipped below", "clipped below", Measured::Steps, Unit::Share, "Share of the tokens of GRPO, of the answers of RLOO, whose ratio is below the clip range where they are pushed down"),
    metric("clip_ratio/high_mean", "Clipped above", "clipped above", Measured::Steps, Unit::Share, "The same above it, where they are pushed up"),
    metric("clip_ratio/region_mean", "Clipped on either side", "clipped, both", Measured::Steps, Unit::Share, "The two together: as policy/clipfrac_avg"),
    metric("num_tokens", "Tokens sampled from so far", "tokens so far", Measured::Steps, Unit::Tokens, "Tokens of the sampled answers of RLOO and GRPO and their prompts since the run began, a prompt once with each answer"),
    metric("rollout/cut_share", "Sampled answers that were cut", "cut", Measured::Steps, Unit::Share, "Share of the sampled answers of the step that reached the longest length, or the end of the model's context")
    .against(&[0.0, 1.0]),
    metric("rollout/seconds", "Seconds of sampling", "sampling, s", Measured::Steps, Unit::Plain, "What sampling and scoring the answers of the step took"),
    metric("rollout/tokens_per_s", "Tokens sampled a second", "sampled tokens/s", Measured::Steps, Unit::TokensPerSecond, "Tokens of the sampled answers over the time that sampling took"),
    metric("eps", "Answers a second", "answers/s", Measured::Steps, Unit::Plain, "Answers so far of PPO over the time that its training took so far"),
    metric("episode", "Answers so far", "answers", Measured::Steps, Unit::Plain, "Answers sampled since the run began"),
];
