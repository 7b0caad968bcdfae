//! TIS-DPO: a token's weight from its contrast, δ = log π⁺ − log π⁻.
//!
//! A chosen answer's tokens count by δ, a rejected one's by −δ: what a model of the good answers finds likelier is what
//! makes a chosen answer good, and what is least to blame in a rejected one. The paper takes e^clamp(δ, −0.5, 1.5), and
//! of a rejected answer e^−clamp(δ, −0.5, 1.5); the released code ranks the tokens of an answer, their
//! contrasts rounded to two decimals, and spreads 0.7 to 1.3 over the ranks.

use data::{
    PairSide,
    config::{Contrast, LastToken, TisConfig, Transform},
};

use super::{Planned, TokenReads, Weighing, contrast, narrow, to_mean_one};

impl Weighing for TisConfig {
    fn reads(&self) -> TokenReads {
        TokenReads::Contrasts
    }

    fn of_answer(&self, read: &[f32], side: PairSide, ends: bool) -> Vec<f32> {
        weights(self, read, side, ends)
    }

    fn formula(&self) -> String {
        let mean_one = if self.normalize { ", mean 1" } else { "" };
        match self.transform {
            Transform::Rank | Transform::RankByPlace => {
                let [low, high] = self.ranks;
                format!("ω = {low} to {high} by rank of ±δ in the answer{mean_one},  δ = log π⁺ − log π⁻")
            }
            Transform::Exp => {
                let [low, high] = self.clamp;
                format!("ω = exp(±δ){mean_one},  δ = log π⁺ − log π⁻ within {low} to {high}")
            }
        }
    }

    fn cost(&self, steps: Option<u64>) -> String {
        let each = self.steps.or(steps.map(|steps| steps.div_ceil(2)));
        let each = each.map_or_else(|| "half as many steps each".to_owned(), |each| format!("{each} steps each"));
        let on = match self.contrast {
            Contrast::Dpo => "DPO on the pairs, and on the pairs swapped",
            Contrast::Sft => "plain language modelling of the chosen answers, and of the rejected ones",
        };
        format!(
            "π⁺ and π⁻ are fitted first: {on}, {each}; then 2 forwards a pair, once. Both stay in the project for whoever trains on the same pairs"
        )
    }

    /// Two models, each of which learns both answers or one; then a forward through each.
    fn tokens(&self, run: &Planned) -> f64 {
        let a_step = run.per_step as f64 * run.of_a_pair;
        let of_lessons = match self.contrast {
            Contrast::Dpo => a_step,
            Contrast::Sft => a_step / 2.0,
        };
        let fit = if run.is_fitted { 0.0 } else { 2.0 * contrast::steps(self, run.steps) as f64 * of_lessons };
        fit + run.pairs as f64 * run.of_a_pair
    }
}

/// Weighing of an answer's tokens from their contrasts. `ends`: its last token ends the turn.
fn weights(config: &TisConfig, contrasts: &[f32], side: PairSide, ends: bool) -> Vec<f32> {
    let contrasts: Vec<f64> = contrasts.iter().map(|&contrast| f64::from(contrast)).collect();
    let Some((_, before)) = contrasts.split_last() else {
        return Vec::new();
    };
    // A last token with a weight of its own takes no rank from the others.
    let fixed = match config.last_token {
        LastToken::One => ends.then_some(1.0),
        LastToken::Weighed => None,
        LastToken::Zero => Some(0.0),
    };
    let mut weights = transformed(config, if fixed.is_some() { before } else { &contrasts }, side);
    weights.extend(fixed);
    if config.normalize {
        to_mean_one(&mut weights);
    }
    narrow(weights)
}

fn transformed(config: &TisConfig, contrasts: &[f64], side: PairSide) -> Vec<f64> {
    let sign = if side == PairSide::Chosen { 1.0 } else { -1.0 };
    let rounded = || -> Vec<f64> {
        // -0 is in order before 0, and no smaller.
        contrasts.iter().map(|contrast| (sign * contrast * 100.0).round_ties_even() / 100.0 + 0.0).collect()
    };
    let [low, high] = config.clamp;
    match config.transform {
        Transform::Exp => contrasts.iter().map(|contrast| (sign * contrast.clamp(low, high)).exp()).collect(),
        // What the two models find all but alike is no order.
        Transform::Rank => by_rank(&rounded(), config.ranks, Ties::Shared),
        Transform::RankByPlace => by_rank(&rounded(), config.ranks, Ties::ByPlace),
    }
}

/// What becomes of equal scores.
#[derive(Clone, Copy, PartialEq)]
enum Ties {
    /// Each has the mean of their ranks.
    Shared,
    /// The later one ranks higher.
    ByPlace,
}

/// Rank i of n, counted from the lowest score, gives low + (high − low)·i/(n − 1); a token that is alone 1.
fn by_rank(scores: &[f64], [low, high]: [f64; 2], ties: Ties) -> Vec<f64> {
    let count = scores.len();
    if count < 2 {
        return vec![1.0; count];
    }
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let mut weights = vec![0.0; count];
    let mut rank = 0;
    let are_equal = |a: &usize, b: &usize| ties == Ties::Shared && scores[*a] == scores[*b];
    for alike in order.chunk_by(are_equal) {
        let mean = rank as f64 + (alike.len() - 1) as f64 / 2.0;
        for token in alike {
            weights[*token] = low + (high - low) * mean / (count - 1) as f64;
        }
        rank += alike.len();
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_it_is_and_costs() {
        let mut tis = TisConfig::default();
        assert_eq!(tis.formula(), "ω = 0.7 to 1.3 by rank of ±δ in the answer,  δ = log π⁺ − log π⁻");
        assert!(tis.cost(Some(41)).contains("swapped, 21 steps each; then 2 forwards a pair"));
        (tis.transform, tis.normalize) = (Transform::Exp, true);
        assert_eq!(tis.formula(), "ω = exp(±δ), mean 1,  δ = log π⁺ − log π⁻ within -0.5 to 1.5");
    }

    #[test]
    fn a_contrast_pair_counts_unless_it_is_there() {
        let planned = |is_fitted| Planned { pairs: 100, of_a_pair: 20.0, per_step: 8, steps: 50, is_fitted };
        let mut tis = TisConfig::default();
        // Two models of 25 steps of 8 pairs of 20 tokens, and 100 pairs once through both.
        assert_eq!(tis.tokens(&planned(false)), 2.0 * 25.0 * 8.0 * 20.0 + 100.0 * 20.0);
        assert_eq!(tis.tokens(&planned(true)), 100.0 * 20.0);
        (tis.contrast, tis.steps) = (Contrast::Sft, Some(10));
        assert_eq!(tis.tokens(&planned(false)), 2.0 * 10.0 * 8.0 * 10.0 + 100.0 * 20.0);
    }

    const CHOSEN: [f32; 3] = [1.0, -0.8, 0.05];
    const REJECTED: [f32; 2] = [-2.0, 0.6];

    fn close(got: &[f32], want: &[f32]) {
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() < 1e-6, "{got} {want}");
        }
    }

    fn config(transform: Transform, last_token: LastToken) -> TisConfig {
        TisConfig { transform, last_token, ..TisConfig::default() }
    }

    #[test]
    fn golden_weights() {
        let exp = config(Transform::Exp, LastToken::Weighed);
        close(&weights(&exp, &CHOSEN, PairSide::Chosen, true), &[1.0, -0.5, 0.05].map(f32::exp));
        close(&weights(&exp, &REJECTED, PairSide::Rejected, true), &[0.5, -0.6].map(f32::exp));
        for rank in [Transform::Rank, Transform::RankByPlace] {
            let rank = config(rank, LastToken::Weighed);
            close(&weights(&rank, &CHOSEN, PairSide::Chosen, true), &[1.3, 0.7, 1.0]);
            close(&weights(&rank, &REJECTED, PairSide::Rejected, true), &[1.3, 0.7]);
            close(&weights(&rank, &[4.0], PairSide::Chosen, true), &[1.0]);
        }
    }

    #[test]
    fn the_last_token_weighs_what_is_said() {
        let of = |last_token, ends| weights(&config(Transform::Rank, last_token), &CHOSEN, PairSide::Chosen, ends);
        close(&of(LastToken::Weighed, true), &[1.3, 0.7, 1.0]);
        // Without a rank for it the two others have the ends of the scale.
        close(
            &weights(&config(Transform::Rank, LastToken::One), &[0.3, 0.1, 9.0], PairSide::Chosen, true),
            &[1.3, 0.7, 1.0],
        );
        close(&of(LastToken::One, false), &[1.3, 0.7, 1.0]);
        close(&of(LastToken::Zero, true), &[1.3, 0.7, 0.0]);
        close(&of(LastToken::Zero, false), &[1.3, 0.7, 0.0]);
        assert!(weights(&TisConfig::default(), &[], PairSide::Chosen, false).is_empty());
        close(&weights(&TisConfig::default(), &[2.0], PairSide::Chosen, true), &[1.0]);
    }

    #[test]
    fn equal_contrasts_share_a_rank_unless_as_released() {
        let contrasts = [0.001, 0.002, 0.0, 1.0, 1.0];
        let of = |transform| weights(&config(transform, LastToken::Weighed), &contrasts, PairSide::Chosen, false);
        close(&of(Transform::Rank), &[0.85, 0.85, 0.85, 1.225, 1.225]);
        // Rounded to two decimals the first three are equal, and the later rank higher.
        close(&of(Transform::RankByPlace), &[0.7, 0.85, 1.0, 1.15, 1.3]);
    }

    #[test]
    fn what_rounds_to_0_from_either_side_is_equal() {
        let of = |transform, contrasts: &[f32], side| {
            weights(&config(transform, LastToken::Weighed), contrasts, side, false)
        };
        for (side, sign) in [(PairSide::Chosen, 1.0), (PairSide::Rejected, -1.0)] {
            for [first, second] in [[0.001, -0.002], [-0.002, 0.001], [0.0, -0.0], [-0.0, 0.0]] {
                let contrasts = [first, second, 1.0].map(|contrast: f32| sign * contrast);
                close(&of(Transform::RankByPlace, &contrasts, side), &[0.7, 1.0, 1.3]);
                close(&of(Transform::Rank, &contrasts, side), &[0.85, 0.85, 1.3]);
            }
        }
    }

    #[test]
    fn a_mean_of_one_keeps_the_proportions() {
        let mut exp = config(Transform::Exp, LastToken::Weighed);
        exp.normalize = true;
        let got = weights(&exp, &CHOSEN, PairSide::Chosen, true);
        assert!((got.iter().sum::<f32>() - 3.0).abs() < 1e-6);
        assert!((got[0] / got[1] - 1.5_f32.exp()).abs() < 1e-5);
        exp.last_token = LastToken::Zero;
        close(&weights(&exp, &[5.0], PairSide::Chosen, true), &[0.0]);
    }
}
