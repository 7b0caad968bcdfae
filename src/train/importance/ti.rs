//! TI-DPO: a token's weight from the gradient that reaches it, and from its place.
//!
//! I_i = ‖∂z/∂e_i‖₁, e_i the token's embedding and z the largest logit where the answer's last token is predicted; I scaled to a sum
//! of 1. P(t) = exp(−½((t − μ)/σ)²), μ = (T − 1)/2, σ = T/4. W = λ·I + (1 − λ)·P, scaled to a mean of 1: the paper leaves open on
//! what scale the two are mixed (P to a sum of 1 as released, or with 1 at its peak), and unscaled β would shrink about fivefold. The token that is predicted there has I = 0.

use data::config::{Prior, TiConfig};

use super::{narrow, to_mean_one};

/// Weights of an answer's tokens from their gradients.
pub fn weights(config: &TiConfig, importance: &[f32]) -> Vec<f32> {
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
