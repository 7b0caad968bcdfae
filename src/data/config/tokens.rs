//! Settings of token weights: TIS-DPO and TI-DPO.

use serde::{Deserialize, Serialize};

use super::{Group, LoraConfig, ObjectiveConfig, Range, RunConfig, Setting, When, setting::NEXT};

choice! {
    /// Where the weights of an answer's tokens come from.
    TokenWeights = TOKEN_WEIGHTS;

    /// Every token counts 1.
    #[default]
    None = "none", "All alike", "";
    /// From two contrasted models (TIS-DPO).
    Tis = "tis", "TIS-DPO",
        "arXiv 2410.04350: a token counts by how much likelier a model of the good answers finds it than one of the bad ones; costs two short runs and two forwards a pair, once for all runs alike. The two models are adapters on a frozen base, so lora.full must be false";
    /// From gradients and the place in the answer (TI-DPO).
    Ti = "ti", "TI-DPO",
        "arXiv 2505.19653, its weights: a token counts by how much the last prediction of its answer hangs on it, and by how near the middle it stands; about 4 forwards a token instead of 2";
}

choice! {
    /// What the two models that TIS-DPO contrasts are trained to.
    Contrast = CONTRASTS;

    /// DPO on the pairs, and on the pairs with their answers swapped.
    #[default]
    Dpo = "dpo", "DPO", "DPO on the pairs, and on the pairs with chosen and rejected swapped: the best of the paper's";
    /// Plain language modelling of the chosen answers, and of the rejected ones.
    Sft = "sft", "SFT", "Plain language modelling of the chosen answers, and of the rejected ones";
}

choice! {
    /// How a token's contrast becomes its weight.
    Transform = TRANSFORMS;

    /// By the rank in the answer of its contrast, rounded to two decimals; tokens of the same contrast share theirs.
    #[default]
    Rank = "rank", "Rank",
        "By the rank in the answer of its contrast, rounded to two decimals, from the lowest weight to the highest; equal ones share a rank";
    /// The same, except that of equal ones the later ranks higher.
    RankByPlace = "rank-by-place", "Rank, ties by place",
        "As released: of equal contrasts the later token ranks higher, so that weights drift towards the end of an answer";
    /// Its exponential.
    Exp = "exp", "Exponential",
        "As in the paper: exp of the contrast; its mean is not 1, so β counts more or less with it";
}

choice! {
    /// What the token that ends an answer weighs.
    LastToken = LAST_TOKENS;

    /// An end of turn 1.
    #[default]
    One = "one", "1", "An end of turn counts 1; an answer that was cut has none";
    /// What any other token would.
    Weighed = "weighed", "Its own", "The last token counts like any other";
    /// Nothing, be it an end of turn or not.
    Zero = "zero", "0", "As released: the last token counts nothing, so that the pairs never teach where to end";
}

choice! {
    /// On what scale the place of a token joins its gradient in TI-DPO.
    Prior = PRIORS;

    /// 1 in all.
    #[default]
    Sum = "sum", "Sum 1", "As released: the prior sums to 1, like the gradients that it is mixed with";
    /// 1 at its peak.
    Peak = "peak", "Peak 1",
        "As the paper prints it: the prior is 1 in the middle of an answer, so that in a long one the gradients hardly count";
}

choice! {
    /// How often the gradients of TI-DPO are taken.
    Every = EVERIES;

    /// Under the weights as they are, at each visit of a pair.
    #[default]
    Step = "step", "Each visit", "Under the weights as they are: twice the time of a step";
    /// Once, under the model that the run starts from.
    Start = "start", "Once",
        "Under the model that the run starts from; kept in the project for later runs. That model has to stay, so lora.full must be false";
}

const TIS: When = When::Weights(TokenWeights::Tis);
const TI: When = When::Weights(TokenWeights::Ti);

section! { TisConfig = "tis";

    /// What the two models are trained to whose difference weighs a token
    contrast: Contrast = Contrast::Dpo,
        CONTRAST = Setting::choice("Contrast by", CONTRASTS).at(Group::Method, 23).only(TIS)
            .refits();

    /// Steps of each of the two models; empty = half of the run's own
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<u64> = None,
        STEPS = Setting::count("Contrast steps", Range::OneOrMore).at(Group::Method, 24).only(TIS)
            .unset(|_| "half of the run's".to_owned())
            .refits();

    /// β of the two models that are contrasted by DPO
    beta: f64 = 0.1,
        BETA = Setting::number("Contrast β", Range::AboveZero).only(TIS)
            .refits();

    /// Peak rate of the two models; empty = the run's own
    #[serde(skip_serializing_if = "Option::is_none")]
    learning_rate: Option<f64> = None,
        LEARNING_RATE = Setting::number("Contrast learning rate", Range::AboveZero).only(TIS)
            .unset(|_| "the run's".to_owned()).refits();

    /// How the contrast of a token, δ = log π⁺ − log π⁻, becomes its weight
    transform: Transform = Transform::Rank,
        TRANSFORM = Setting::choice("Weights by", TRANSFORMS).at(Group::Method, 25).only(TIS)
            .changes(NEXT);

    /// Weight of the lowest and of the highest rank in an answer
    ranks: [f64; 2] = [0.7, 1.3],
        RANKS = Setting::numbers("Lowest and highest weight", Range::ZeroOrMore, "two numbers, each 0 or more").only(TIS)
            .changes(NEXT);

    /// What a contrast is kept within before its exponential is taken
    clamp: [f64; 2] = [-0.5, 1.5],
        CLAMP = Setting::numbers("Contrast kept within", Range::Between(-20, 20), "two numbers, each from -20 to 20").only(TIS)
            .changes(NEXT);

    /// What the last token of an answer weighs
    last_token: LastToken = LastToken::One,
        LAST_TOKEN = Setting::choice("Last token", LAST_TOKENS).at(Group::Method, 26).only(TIS)
            .changes(NEXT);

    /// Scale the weights of each answer to a mean of 1, so that β means what it means without weights
    normalize: bool = false,
        NORMALIZE = Setting::switch("Mean weight 1").at(Group::Method, 27).only(TIS).changes(NEXT);
}

section! { TiConfig = "ti";

    /// λ: what the gradients count, the rest being the prior of the token's place
    lambda: f64 = 0.7,
        LAMBDA = Setting::number("Gradient share", Range::Between(0, 1)).at(Group::Method, 28).only(TI)
            .changes(NEXT);

    /// Length of an answer in σ of the prior, which is highest in its middle: 4 = narrow, less = flatter; σ is never below a token
    sigmas: f64 = 4.0,
        SIGMAS = Setting::number("Answer length in σ", Range::AboveZero).at(Group::Method, 29).only(TI)
            .changes(NEXT);

    /// On what scale the prior joins the gradients of an answer, which sum to 1; either way the weights are then scaled to a mean of 1
    prior: Prior = Prior::Sum,
        PRIOR = Setting::choice("Prior", PRIORS).at(Group::Method, 30).only(TI).changes(NEXT);

    /// Under which weights the gradients are taken
    every: Every = Every::Step,
        EVERY = Setting::choice("Gradients taken", EVERIES).at(Group::Method, 31).only(TI).changes(NEXT);

    /// γ: weight of the triplet term, which samples an answer to each pair of a step and pulls it to the chosen and away from the rejected one, as far from the start model, which has to stay: lora.full must be false; 0 = off, and nothing is sampled
    triplet_weight: f64 = 0.0,
        TRIPLET_WEIGHT = Setting::number("Triplet weight", Range::ZeroOrMore).at(Group::Method, 32).only(TI)
            .changes(NEXT);

    /// How much nearer to the chosen than to the rejected answer the sampled one is to be, in squared nats
    triplet_margin: f64 = 0.001,
        TRIPLET_MARGIN = Setting::number("Triplet margin", Range::ZeroOrMore).at(Group::Method, 33).only(When::Triplet)
            .changes(NEXT);

    /// Longest answer sampled for the triplet term, tokens
    anchor_tokens: usize = 64,
        ANCHOR_TOKENS = Setting::count("Longest anchor", Range::OneOrMore).at(Group::Method, 34).only(When::Triplet)
            .changes(NEXT);
}

/// What token weights cannot go together with; `(setting, sentence after its name)`.
pub(super) fn faults(config: &RunConfig) -> Vec<(Setting, String)> {
    let mut faults = Vec::new();
    if !When::Weighed.holds(config) {
        return faults;
    }
    let word = config.objective.token_weights.name();
    if !config.objective.margin().is_anchored() {
        faults.push((
            ObjectiveConfig::TOKEN_WEIGHTS,
            format!(
                "\"{word}\", and weights count log-prob changes since step 0; it must be \"none\", or objective.margin anchored-sum or anchored-mean"
            ),
        ));
    }
    let from_start = TIS.holds(config) || config.ti.every == Every::Start || config.has_triplet();
    if config.lora.full && from_start {
        let way_on = if TI.holds(config) { ", or ti.every \"step\" and ti.triplet_weight 0" } else { "" };
        faults.push((
            LoraConfig::FULL,
            format!(
                "true, and token weights by \"{word}\" need a frozen base that several adapters share; it must be false{way_on}"
            ),
        ));
    }
    let rising = |[low, high]: [f64; 2]| low <= high;
    let by_rank = config.tis.transform != Transform::Exp;
    if TIS.holds(config) {
        let [low, high] = if by_rank { config.tis.ranks } else { config.tis.clamp };
        let setting = if by_rank { TisConfig::RANKS } else { TisConfig::CLAMP };
        if !rising([low, high]) {
            faults.push((setting, format!("[{low}, {high}]; the second number must not be below the first")));
        } else if by_rank && high <= 0.0 {
            faults.push((setting, "[0, 0], under which no token counts; the second number must be above 0".to_owned()));
        }
    }
    faults
}

impl RunConfig {
    /// Whether tokens have weights of their own.
    pub fn weighs_tokens(&self) -> bool {
        When::Weighed.holds(self)
    }

    /// Whether answers are sampled for the triplet term of TI-DPO.
    pub fn has_triplet(&self) -> bool {
        When::Triplet.holds(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Margin, Method, validate};

    fn fields(change: impl FnOnce(&mut RunConfig)) -> Vec<String> {
        let mut config = RunConfig::default();
        config.objective.token_weights = TokenWeights::Tis;
        change(&mut config);
        let faults = validate(&config);
        assert!(faults.iter().all(|(field, sentence)| sentence.contains(field) && sentence.contains("must")));
        faults.into_iter().map(|(field, _)| field).collect()
    }

    #[test]
    fn weights_go_with_every_method_that_learns_from_pairs() {
        for kind in Method::PREFERENCE {
            for weights in [TokenWeights::Tis, TokenWeights::Ti] {
                let found = fields(|config| {
                    (config.objective.kind, config.objective.token_weights) = (kind, weights);
                });
                assert!(found.is_empty(), "{kind:?} {weights:?}");
            }
        }
        // A method that samples has no use for them, so they are not judged.
        let found = fields(|config| {
            (config.objective.kind, config.tis.ranks) = (Method::Ppo, [2.0, 1.0]);
        });
        assert!(found.is_empty());
    }

    #[test]
    fn what_does_not_go_together_is_refused_beside_its_field() {
        assert_eq!(fields(|config| config.objective.margin = Some(Margin::Mean)), ["objective.token_weights"]);
        assert_eq!(fields(|config| config.lora.full = true), ["lora.full"]);
        assert_eq!(fields(|config| config.tis.ranks = [1.3, 0.7]), ["tis.ranks"]);
        assert_eq!(fields(|config| config.tis.ranks = [0.0, 0.0]), ["tis.ranks"]);
        assert_eq!(fields(|config| config.tis.ranks = [-1.0, 0.7]), ["tis.ranks"]);
        assert!(fields(|config| config.tis.clamp = [1.0, 0.0]).is_empty(), "it has no say in ranks");
        let exp = |clamp| fields(|config| (config.tis.transform, config.tis.clamp) = (Transform::Exp, clamp));
        assert_eq!((exp([1.0, 0.0]), exp([-100.0, 0.0])), (vec!["tis.clamp".to_owned()], vec!["tis.clamp".to_owned()]));
        let ti = |every| {
            fields(|config| {
                (config.objective.token_weights, config.ti.every) = (TokenWeights::Ti, every);
                config.lora.full = true;
            })
        };
        assert_eq!((ti(Every::Step).len(), ti(Every::Start)), (0, vec!["lora.full".to_owned()]));
        let triplet = fields(|config| {
            config.objective.token_weights = TokenWeights::Ti;
            (config.ti.triplet_weight, config.lora.full) = (0.1, true);
        });
        assert_eq!(triplet, ["lora.full"]);
    }
}
