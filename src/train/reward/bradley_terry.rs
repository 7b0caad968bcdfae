//! The loss of a reward model: pure functions of two scores.
//!
//! Source: Bradley and Terry 1952, as in arXiv 2203.02155; the centering term is arXiv 2312.09244, TRL's
//! `center_rewards_coefficient`.

use crate::objective::logistic::{log_sigmoid, sigmoid};

/// `L = c·ℓ(Δ) + (1−c)·ℓ(−Δ) + κ·(r_w + r_l)²` with `ℓ(Δ) = −log σ(Δ − m)`, `Δ = r_w − r_l`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BradleyTerry {
    /// κ.
    pub center: f64,
    /// m.
    pub margin: f64,
}

/// What one pair contributes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairGradient {
    pub loss: f64,
    /// ∂loss/∂(score of chosen).
    pub chosen: f64,
    /// ∂loss/∂(score of rejected).
    pub rejected: f64,
}

impl BradleyTerry {
    /// `certainty`: c, 1 where the label is beyond doubt.
    pub fn fit(&self, chosen: f64, rejected: f64, certainty: f64) -> PairGradient {
        let (delta, sum) = (chosen - rejected, chosen + rejected);
        let with = delta - self.margin;
        let against = -delta - self.margin;
        let slope = (1.0 - certainty) * sigmoid(-against) - certainty * sigmoid(-with);
        let pull = 2.0 * self.center * sum;
        PairGradient {
            loss: -certainty * log_sigmoid(with) - (1.0 - certainty) * log_sigmoid(against) + self.center * sum * sum,
            chosen: slope + pull,
            rejected: pull - slope,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(fit: PairGradient, loss: f64, chosen: f64, rejected: f64) {
        for (got, want) in [(fit.loss, loss), (fit.chosen, chosen), (fit.rejected, rejected)] {
            assert!((got - want).abs() < 1e-6, "{fit:?}: {want}");
        }
    }

    #[test]
    fn losses_and_slopes_are_the_golden_ones() {
        let of = |center, margin| BradleyTerry { center, margin };
        close(of(0.0, 0.0).fit(0.8, 0.3, 1.0), 0.474077, -0.377541, 0.377541);
        close(of(0.0, 0.2).fit(0.8, 0.3, 1.0), 0.554355, -0.425557, 0.425557);
        close(of(0.01, 0.0).fit(0.8, 0.3, 1.0), 0.486177, -0.355541, 0.399541);
        close(of(0.0, 0.0).fit(0.3, 0.8, 1.0), 0.974077, -0.622459, 0.622459);
        close(of(0.0, 0.0).fit(0.8, 0.3, 0.75), 0.599077, -0.127541, 0.127541);
        close(of(0.0, 0.0).fit(0.8, 0.3, 0.5), 0.724077, 0.122459, -0.122459);
        close(of(0.01, 0.0).fit(0.0, 0.0, 1.0), std::f64::consts::LN_2, -0.5, 0.5);
    }

    #[test]
    fn slopes_are_those_of_the_loss() {
        let small = 1e-6;
        for (chosen, rejected, certainty) in [(0.8, 0.3, 1.0), (-2.0, 1.5, 0.9), (3.0, 3.0, 0.5)] {
            let loss = BradleyTerry { center: 0.03, margin: 0.1 };
            let fit = loss.fit(chosen, rejected, certainty);
            let numeric = |by: [f64; 2]| {
                let at = |sign: f64| loss.fit(chosen + sign * by[0], rejected + sign * by[1], certainty).loss;
                (at(1.0) - at(-1.0)) / (2.0 * small)
            };
            assert!((numeric([small, 0.0]) - fit.chosen).abs() < 1e-8);
            assert!((numeric([0.0, small]) - fit.rejected).abs() < 1e-8);
        }
    }

    #[test]
    fn a_constant_on_every_score_counts_only_where_scores_are_centered() {
        let free = BradleyTerry { center: 0.0, margin: 0.0 };
        let [one, other] = [0.0, 7.0].map(|shift| free.fit(0.8 + shift, 0.3 + shift, 1.0));
        assert!((one.loss - other.loss).abs() < 1e-12 && (one.chosen - other.chosen).abs() < 1e-12);
        let centered = BradleyTerry { center: 0.01, margin: 0.0 };
        assert!(centered.fit(7.8, 7.3, 1.0).loss > centered.fit(0.8, 0.3, 1.0).loss + 1.0);
    }
}
