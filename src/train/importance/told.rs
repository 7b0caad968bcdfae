//! Token weights in symbols and in words, as the launch sheet shows them.

use data::config::{Contrast, Every, Prior, RunConfig, TokenWeights, Transform};

/// What a token's weight is, e.g. "ω = 0.7 to 1.3 by rank of ±δ in the answer". `None` where all count alike.
pub fn formula(config: &RunConfig) -> Option<String> {
    let (tis, ti) = (&config.tis, &config.ti);
    let mean_one = if tis.normalize { ", mean 1" } else { "" };
    config.weighs_tokens().then(|| match config.objective.token_weights {
        TokenWeights::None => String::new(),
        TokenWeights::Tis => match tis.transform {
            Transform::Rank | Transform::RankByPlace => {
                let [low, high] = tis.ranks;
                format!("ω = {low} to {high} by rank of ±δ in the answer{mean_one},  δ = log π⁺ − log π⁻")
            }
            Transform::Exp => {
                let [low, high] = tis.clamp;
                format!("ω = exp(±δ){mean_one},  δ = log π⁺ − log π⁻ within {low} to {high}")
            }
        },
        TokenWeights::Ti => {
            let prior = match ti.prior {
                Prior::Peak => "P",
                Prior::Sum => "P/ΣP",
            };
            let (gradient, place) = (ti.lambda, ((1.0 - ti.lambda) * 1e6).round() / 1e6);
            format!("ω ∝ {gradient}·‖∂z/∂e‖₁ + {place}·{prior}, mean 1")
        }
    })
}

/// What the weights cost, in a sentence. `steps`: of the run, where that is known.
pub fn cost(config: &RunConfig, steps: Option<u64>) -> Option<String> {
    config.weighs_tokens().then(|| match config.objective.token_weights {
        TokenWeights::None => String::new(),
        TokenWeights::Tis => {
            let each = config.tis.steps.or(steps.map(|steps| steps.div_ceil(2)));
            let each = each.map_or_else(|| "half as many steps each".to_owned(), |each| format!("{each} steps each"));
            let on = match config.tis.contrast {
                Contrast::Dpo => "DPO on the pairs, and on the pairs swapped",
                Contrast::Sft => "plain language modelling of the chosen answers, and of the rejected ones",
            };
            format!(
                "π⁺ and π⁻ are fitted first: {on}, {each}; then 2 forwards a pair, once. Both stay in the project for whoever trains on the same pairs"
            )
        }
        TokenWeights::Ti => {
            let gradients = match config.ti.every {
                Every::Step => {
                    "About 4 forwards a token instead of 2: a forward and a backward more at each visit of a pair"
                }
                Every::Start => {
                    "A forward and a backward more a pair, once, under the start model; they stay in the project"
                }
            };
            let sampled = if config.has_triplet() {
                "; the triplet term samples an answer to each pair of a step, which takes longer than all else"
            } else {
                ""
            };
            format!("{gradients}{sampled}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_weight_says_what_it_is_and_costs() {
        let mut config = RunConfig::default();
        assert_eq!((formula(&config), cost(&config, Some(40))), (None, None));
        config.objective.token_weights = TokenWeights::Tis;
        assert_eq!(formula(&config).unwrap(), "ω = 0.7 to 1.3 by rank of ±δ in the answer,  δ = log π⁺ − log π⁻");
        assert!(cost(&config, Some(41)).unwrap().contains("swapped, 21 steps each; then 2 forwards a pair"));
        config.tis.transform = Transform::Exp;
        config.tis.normalize = true;
        assert_eq!(formula(&config).unwrap(), "ω = exp(±δ), mean 1,  δ = log π⁺ − log π⁻ within -0.5 to 1.5");
        config.objective.token_weights = TokenWeights::Ti;
        assert_eq!(formula(&config).unwrap(), "ω ∝ 0.7·‖∂z/∂e‖₁ + 0.3·P/ΣP, mean 1");
        assert!(cost(&config, None).unwrap().contains("4 forwards a token"));
    }
}
