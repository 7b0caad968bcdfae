//! TI-DPO: a token's weight from the gradient that reaches it, and from its place.
//!
//! I_i = ‖∂z/∂e_i‖₁, e_i the token's embedding and z the largest logit where the answer's last token is predicted; I
//! scaled to a sum of 1. P(t) = exp(−½((t − μ)/σ)²), μ = (T − 1)/2, σ = T/4. W = λ·I + (1 − λ)·P, scaled to a mean of
//! 1: the paper leaves open on what scale the two are mixed (P to a sum of 1 as released, or with 1 at its peak), and
//! unscaled β would shrink about fivefold. The token that is predicted there has I = 0.

use data::{
    PairSide,
    config::{Every, Prior, TiConfig},
};

use super::{Planned, TokenReads, Weighing, narrow, to_mean_one};

/// Sampling goes token by token: forwards that one sampled token counts for.
const SAMPLING: f64 = 3.0;

impl Weighing for TiConfig {
    fn reads(&self) -> TokenReads {
        match self.every {
            Every::Step => TokenReads::Gradients,
            Every::Start => TokenReads::StartGradients,
        }
    }

    fn of_answer(&self, read: &[f32], _: PairSide, _: bool) -> Vec<f32> {
        weights(self, read)
    }

    fn formula(&self) -> String {
        let prior = match self.prior {
            Prior::Peak => "P",
            Prior::Sum => "P/ΣP",
        };
        let (gradient, place) = (self.lambda, ((1.0 - self.lambda) * 1e6).round() / 1e6);
        format!("ω ∝ {gradient}·‖∂z/∂e‖₁ + {place}·{prior}, mean 1")
    }

    fn cost(&self, _: Option<u64>) -> String {
        let gradients = match self.every {
            Every::Step => {
                "About 4 forwards a token instead of 2: a forward and a backward more at each visit of a pair"
            }
            Every::Start => {
                "A forward and a backward more a pair, once, under the start model; they stay in the project"
            }
        };
        let sampled = if self.triplet_weight > 0.0 {
            "; the triplet term samples an answer to each pair of a step, which takes longer than all else"
        } else {
            ""
        };
        format!("{gradients}{sampled}")
    }

    fn tokens(&self, run: &Planned) -> f64 {
        let steps = run.steps as f64;
        let gradients = match self.every {
            Every::Step => run.per_step as f64 * run.of_a_pair * steps,
            Every::Start => run.pairs as f64 * run.of_a_pair,
        };
        let has_triplet = self.triplet_weight > 0.0;
        let sampled = if has_triplet { (run.per_step * self.anchor_tokens) as f64 * steps } else { 0.0 };
        // Each is sampled, read by the reference, and joins the step.
        gradients + sampled * (SAMPLING / 2.0 + 0.5 + 1.0)
    }
}

/// Weighing of an answer's tokens from their gradients.
fn weights(config: &TiConfig, importance: &[f32]) -> Vec<f32> {
    let all: f64 = importance.iter().map(|&one| f64::from(one)).sum();
    let prior = prior(config, importance.len());
    let mix = |(one, prior): (&f32, f64)| {
        // Where no gradient reaches anything, the place is all that is known.
        let share = if all > 0.0 { f64::from(*one) / all } else { 0.0 };
        config.lambda * share + (1.0 - config.lambda) * prior
    };
    let mut weights: Vec<f64> = importance.iter().zip(prior).map(mix).collect();
    if weights.iter().sum::<f64>() > 0.0 {
        to_mean_one(&mut weights);
    } else {
        weights.fill(1.0);
    }
    narrow(weights)
}

fn prior(config: &TiConfig, tokens: usize) -> Vec<f64> {
    let (length, middle) = (tokens as f64, (tokens as f64 - 1.0) / 2.0);
    let sigma = (length / config.sigmas).max(1.0);
    let mut prior: Vec<f64> =
        (0..tokens).map(|place| (-0.5 * ((place as f64 - middle) / sigma).powi(2)).exp()).collect();
    let sum: f64 = prior.iter().sum();
    if config.prior == Prior::Sum && sum > 0.0 {
        for value in &mut prior {
            *value /= sum;
        }
    }
    prior
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_it_is_and_costs() {
        let ti = TiConfig::default();
        assert_eq!(ti.formula(), "ω ∝ 0.7·‖∂z/∂e‖₁ + 0.3·P/ΣP, mean 1");
        assert!(ti.cost(None).contains("4 forwards a token"));
    }

    #[test]
    fn gradients_count_at_each_visit_or_once() {
        let run = Planned { pairs: 100, of_a_pair: 20.0, per_step: 8, steps: 50, is_fitted: false };
        assert_eq!(TiConfig::default().tokens(&run), 50.0 * 8.0 * 20.0);
        let mut start = TiConfig { every: Every::Start, ..TiConfig::default() };
        assert_eq!(start.tokens(&run), 100.0 * 20.0);
        (start.triplet_weight, start.anchor_tokens) = (0.1, 10);
        assert_eq!(start.tokens(&run), 100.0 * 20.0 + 50.0 * 8.0 * 10.0 * 3.0);
    }

    const IMPORTANCE: [f32; 4] = [2.0, 1.0, 4.0, 1.0];

    fn close(got: &[f32], want: &[f32]) {
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() < 5e-6, "{got} {want}");
        }
    }

    #[test]
    fn golden_weights_of_the_paper_and_of_the_released_code() {
        let own = TiConfig::default();
        close(&weights(&own, &IMPORTANCE), &[0.861_365, 0.788_635, 1.838_635, 0.511_365]);
        let released = TiConfig { lambda: 0.2, sigmas: 8.0, ..own.clone() };
        close(&weights(&released, &IMPORTANCE), &[0.630_306, 1.269_694, 1.569_694, 0.530_306]);
        let printed = TiConfig { prior: Prior::Peak, ..own };
        for (got, want) in prior(&printed, 4).iter().zip([0.324_652, 0.882_497, 0.882_497, 0.324_652]) {
            assert!((got - want).abs() < 1e-6);
        }
        let literal = [0.272_396, 0.352_249, 0.614_749, 0.184_896];
        let mean = literal.iter().sum::<f32>() / 4.0;
        close(&weights(&printed, &IMPORTANCE), &literal.map(|weight| weight / mean));
    }

    #[test]
    fn an_answer_of_one_token_or_without_a_gradient_has_weights_too() {
        let only_gradient = TiConfig { lambda: 1.0, ..TiConfig::default() };
        for config in [TiConfig::default(), only_gradient.clone()] {
            close(&weights(&config, &[0.0]), &[1.0]);
            assert!(weights(&config, &[]).is_empty());
        }
        close(&weights(&only_gradient, &[0.0; 3]), &[1.0; 3]);
        close(&weights(&only_gradient, &[1.0, 3.0, 0.0]), &[0.75, 2.25, 0.0]);
    }
}
