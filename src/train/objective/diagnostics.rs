//! What the pairs of one step look like, under the names people know from TRL.

use judge::Share;

use super::{Against, PairTerm, Weighed};

/// Means, shares and quantiles over the pairs of one step (or one evaluation).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Diagnostics {
    pub pairs: usize,
    /// Mean preference loss.
    pub loss: f64,
    /// Mean β·(s_θ − s_θ0) of each side.
    pub rewards_chosen: f64,
    pub rewards_rejected: f64,
    /// Mean of chosen reward − rejected reward; of several rejected answers the best.
    pub rewards_margins: f64,
    /// Share of pairs whose chosen reward is above the rejected one, strictly as in TRL; ties among the labels have
    /// no right answer and are left out. `None` if nothing else is there, or while no pair has moved: at step 0 every
    /// reward is 0 and accuracy has no value.
    pub rewards_accuracies: Option<f64>,
    /// Mean Σ log π_θ of each side.
    pub logps_chosen: f64,
    pub logps_rejected: f64,
    /// Who moved: how far each side is from where it stood at step 0.
    pub logps_chosen_change: f64,
    pub logps_rejected_change: f64,
    /// Mean ρ = σ(h)/μ.
    pub importance_weight: f64,
    /// (Σρ)²/Σρ², between 1 and `pairs`; 0 if every ρ is 0.
    pub effective_sample_size: f64,
    /// Mean |∂loss/∂m|.
    pub push: f64,
    /// Share of sleeping pairs, see [`super::ASLEEP`].
    pub asleep: f64,
    /// 10, 50 and 90 % quantiles of the objective's own margin, linearly interpolated.
    pub margin_quantiles: [f64; 3],
    /// Of the rejected answers, where a pair has several.
    pub against: Option<Against>,
    /// Where tokens have weights of their own.
    pub weights: Option<Weights>,
}

/// The token weights of some pairs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// Over tokens.
    pub mean: f64,
    pub std: f64,
    /// Over pairs.
    pub chosen_top: f64,
    pub reward_margins: f64,
}

impl Weights {
    /// `None` where no pair has any.
    fn of(pairs: &[Weighed]) -> Option<Self> {
        let sum = |value: fn(&Weighed) -> f64| pairs.iter().map(value).sum::<f64>();
        let (count, tokens) = (pairs.len() as f64, sum(|pair| pair.tokens));
        let mean = sum(|pair| pair.sum) / tokens;
        (tokens > 0.0).then(|| Self {
            mean,
            std: (sum(|pair| pair.squares) / tokens - mean * mean).max(0.0).sqrt(),
            chosen_top: sum(|pair| pair.chosen_top) / count,
            reward_margins: sum(|pair| pair.reward_margin) / count,
        })
    }
}

impl Diagnostics {
    /// Name and value in the order they are shown. An evaluation puts `eval_` in front.
    pub fn metrics(&self) -> Vec<(&'static str, f64)> {
        let [q10, q50, q90] = self.margin_quantiles;
        let mut metrics = vec![
            ("rewards/chosen", self.rewards_chosen),
            ("rewards/rejected", self.rewards_rejected),
            ("rewards/margins", self.rewards_margins),
        ];
        metrics.extend(self.rewards_accuracies.map(|accuracy| ("rewards/accuracies", accuracy)));
        metrics.extend([
            ("logps/chosen", self.logps_chosen),
            ("logps/rejected", self.logps_rejected),
            ("importance/weight", self.importance_weight),
            ("importance/effective_sample_size", self.effective_sample_size),
            ("push/mean", self.push),
            ("push/asleep", self.asleep),
            ("margin/q10", q10),
            ("margin/q50", q50),
            ("margin/q90", q90),
        ]);
        if let Some(against) = self.against {
            metrics.extend([
                ("rewards/rejected_max", against.best_reward),
                ("negatives/count", against.count),
                ("negatives/ess", against.effective),
                ("negatives/entropy", against.entropy),
            ]);
        }
        if let Some(weights) = self.weights {
            metrics.extend([
                ("rewards/weighted_margins", weights.reward_margins),
                ("weights/mean", weights.mean),
                ("weights/std", weights.std),
                ("weights/chosen_top", weights.chosen_top),
            ]);
        }
        metrics.extend([
            ("logps/chosen_change", self.logps_chosen_change),
            ("logps/rejected_change", self.logps_rejected_change),
        ]);
        metrics
    }
}

/// Sums up the pairs of a whole step, across its micro-batches. `None` without pairs.
pub fn summarize(terms: &[PairTerm]) -> Option<Diagnostics> {
    if terms.is_empty() {
        return None;
    }
    let pairs = terms.len() as f64;
    let mean = |value: fn(&PairTerm) -> f64| terms.iter().map(value).sum::<f64>() / pairs;
    let share = |holds: fn(&PairTerm) -> bool| terms.iter().filter(|term| holds(term)).count() as f64 / pairs;

    let several = terms.iter().any(|term| term.against.count > 1.0);
    let weights: f64 = terms.iter().map(|term| term.importance_weight).sum();
    let squares: f64 = terms.iter().map(|term| term.importance_weight.powi(2)).sum();

    let mut margins: Vec<f64> = terms.iter().map(|term| term.margin).collect();
    margins.sort_by(f64::total_cmp);

    Some(Diagnostics {
        pairs: terms.len(),
        loss: mean(|term| term.loss),
        rewards_chosen: mean(|term| term.chosen_reward),
        rewards_rejected: mean(|term| term.rejected_reward),
        rewards_margins: mean(|term| term.chosen_reward - term.against.best_reward),
        rewards_accuracies: accuracy(terms).map(Share::share),
        logps_chosen: mean(|term| term.policy_chosen),
        logps_rejected: mean(|term| term.policy_rejected),
        logps_chosen_change: mean(|term| term.policy_chosen - term.reference_chosen),
        logps_rejected_change: mean(|term| term.policy_rejected - term.reference_rejected),
        importance_weight: weights / pairs,
        effective_sample_size: if squares > 0.0 { weights * weights / squares } else { 0.0 },
        push: mean(|term| term.push),
        asleep: share(|term| term.asleep),
        margin_quantiles: [0.1, 0.5, 0.9].map(|q| quantile(&margins, q)),
        against: several.then(|| Against {
            count: mean(|term| term.against.count),
            effective: mean(|term| term.against.effective),
            entropy: mean(|term| term.against.entropy),
            best_reward: mean(|term| term.against.best_reward),
        }),
        weights: Weights::of(&terms.iter().filter_map(|term| term.weighed).collect::<Vec<_>>()),
    })
}

/// Share of the decided pairs whose chosen answer has the higher reward, with its interval. `None` where no reward has
/// moved.
pub fn accuracy(terms: &[PairTerm]) -> Option<Share> {
    let decided = || terms.iter().filter(|term| term.certainty != 0.5);
    let right = decided().filter(|term| term.chosen_reward > term.against.best_reward).count();
    let moved = decided().any(|term| term.chosen_reward != term.against.best_reward);
    Share::of_independent(right, decided().count()).filter(|_| moved)
}

/// Quantile of sorted values, linear between neighbours (NumPy's default).
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let position = q * (sorted.len() - 1) as f64;
    let (below, above) = (position.floor() as usize, position.ceil() as usize);
    let (low, high) = (sorted[below], sorted[above]);
    low + (high - low) * position.fract()
}

#[cfg(test)]
mod tests {
    use data::config::Margin;

    use super::{
        super::{
            Mpo, Objective, PairLogProbs,
            evaluate::tests::{assert_close, pair},
        },
        *,
    };

    fn terms(margins: &[f64]) -> Vec<PairTerm> {
        let objective = Objective::Mpo(Mpo { beta: 0.5, margin: Margin::AnchoredSum });
        margins
            .iter()
            .map(|&m| {
                objective.evaluate(&PairLogProbs {
                    policy_chosen: -10.0 + m,
                    policy_rejected: -10.0,
                    reference_chosen: -10.0,
                    reference_rejected: -10.0,
                    ..pair()
                })
            })
            .collect()
    }

    #[test]
    fn means_shares_and_quantiles_by_hand() {
        let all = summarize(&terms(&[-4.0, 0.0, 2.0, 6.0, 100.0])).unwrap();
        assert_eq!(all.pairs, 5);
        assert_close(all.rewards_chosen, 0.5 * 20.8, 1e-12);
        assert_eq!(all.rewards_rejected, 0.0);
        assert_close(all.rewards_margins, 0.5 * 20.8, 1e-12);
        assert_close(all.logps_chosen, -10.0 + 20.8, 1e-12);
        assert_eq!(all.logps_rejected, -10.0);
        // Strictly above: the pair that has not moved is not right.
        assert_close(all.rewards_accuracies.unwrap(), 3.0 / 5.0, 1e-12);
        // h = 50 sleeps; h = 3 has 4·σσ = 0.18.
        assert_close(all.asleep, 1.0 / 5.0, 1e-12);
        // NumPy: np.quantile([-4, 0, 2, 6, 100], [.1, .5, .9]) = [-2.4, 2., 62.4]
        for (got, want) in all.margin_quantiles.iter().zip([-2.4, 2.0, 62.4]) {
            assert_close(*got, want, 1e-12);
        }
    }

    #[test]
    fn effective_sample_size_counts_equal_weights_fully_and_unequal_ones_less() {
        let equal = summarize(&terms(&[1.0, 1.0, 1.0, 1.0])).unwrap();
        assert_close(equal.effective_sample_size, 4.0, 1e-12);
        let one = summarize(&terms(&[200.0, -200.0, -200.0, -200.0])).unwrap();
        assert_close(one.effective_sample_size, 1.0, 1e-12);
    }

    #[test]
    fn token_weights_are_summed_over_tokens_and_pairs() {
        assert!(summarize(&terms(&[0.0])).unwrap().weights.is_none());
        let mut all = terms(&[1.0, 2.0]);
        let weighed =
            |tokens, sum, squares, reward_margin| Weighed { tokens, sum, squares, chosen_top: 0.5, reward_margin };
        // Weights 0.5, 1.5 of one pair, 1, 1, 2 of the other.
        all[0].weighed = Some(weighed(2.0, 2.0, 2.5, 1.0));
        all[1].weighed = Some(weighed(3.0, 4.0, 6.0, 2.0));
        let summary = summarize(&all).unwrap();
        let Weights { mean, std, chosen_top, reward_margins } = summary.weights.unwrap();
        assert_close(mean, 1.2, 1e-12);
        assert_close(std, (8.5_f64 / 5.0 - 1.44).sqrt(), 1e-12);
        assert_eq!((chosen_top, reward_margins), (0.5, 1.5));
        assert!(summary.metrics().iter().any(|(name, _)| *name == "rewards/weighted_margins"));
    }

    #[test]
    fn ties_have_no_accuracy() {
        let mut all = terms(&[3.0, -3.0]);
        all[1].certainty = 0.5;
        assert_eq!(summarize(&all).unwrap().rewards_accuracies, Some(1.0));
        all[0].certainty = 0.5;
        let ties = summarize(&all).unwrap();
        assert_eq!(ties.rewards_accuracies, None);
        assert!(ties.metrics().iter().all(|(name, _)| *name != "rewards/accuracies"));
    }

    #[test]
    fn before_anything_moved_accuracy_has_no_value() {
        assert_eq!(summarize(&terms(&[0.0, 0.0])).unwrap().rewards_accuracies, None);
        assert_eq!(summarize(&terms(&[0.0, 1.0])).unwrap().rewards_accuracies, Some(0.5));
    }

    #[test]
    fn nothing_to_sum_up() {
        assert_eq!(summarize(&[]), None);
    }
}
