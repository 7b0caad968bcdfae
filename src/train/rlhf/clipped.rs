//! The clipped losses of policy and critic: what they are and how they slope.

/// A log-ratio beyond this says nothing more, and its exponential is no number.
const LARGEST_LOG_RATIO: f64 = 20.0;

/// A log-ratio kept within bounds, and whether it still says something: past them what is made of it is flat.
fn bounded(log_ratio: f64) -> (f64, bool) {
    (log_ratio.clamp(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO), log_ratio.abs() <= LARGEST_LOG_RATIO)
}

/// π_θ/π_old from its logarithm.
pub fn ratio(log_ratio: f64) -> f64 {
    bounded(log_ratio).0.exp()
}

/// A term of a loss with its slope.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClippedTerm {
    pub loss: f64,
    /// ∂loss/∂(log-prob), or ∂loss/∂(value).
    pub slope: f64,
    /// It pulls no further.
    pub clipped: bool,
}

/// `max(−A·ρ, −A·clip(ρ, 1 ± ε))` with ρ of log π_θ − log π_old; inside the range a tie carries the full slope.
pub fn policy(advantage: f64, log_ratio: f64, clip: f64) -> ClippedTerm {
    let (log_ratio, moves) = bounded(log_ratio);
    let ratio = log_ratio.exp();
    let free = -advantage * ratio;
    let held = -advantage * ratio.clamp(1.0 - clip, 1.0 + clip);
    let clipped = (advantage > 0.0 && ratio > 1.0 + clip) || (advantage < 0.0 && ratio < 1.0 - clip);
    ClippedTerm { loss: free.max(held), slope: if clipped || !moves { 0.0 } else { free }, clipped }
}

/// `½·max((V − R)², (clip(V, V_old ± ε) − R)²)`.
pub fn value(now: f64, old: f64, target: f64, clip: f64) -> ClippedTerm {
    let held = now.clamp(old - clip, old + clip);
    let (free, bound) = ((now - target).powi(2), (held - target).powi(2));
    let clipped = bound > free;
    ClippedTerm { loss: 0.5 * free.max(bound), slope: if clipped { 0.0 } else { now - target }, clipped }
}

/// `e^d − 1 − d` with d = log π_ref − log π: an estimate of KL(π ‖ π_ref) that is never negative, and its slope.
pub fn k3(now: f64, reference: f64) -> ClippedTerm {
    let (difference, moves) = bounded(reference - now);
    let slope = if moves { -difference.exp_m1() } else { 0.0 };
    ClippedTerm { loss: difference.exp_m1() - difference, slope, clipped: false }
}

#[cfg(test)]
mod tests {
    use data::config::RewardAt;

    use super::*;
    use crate::rlhf::advantages::tests::{ONE, TWO, near, raw, whitened};

    const NOW: [&[f64]; 2] = [&[-0.7, -0.55, -0.2], &[-0.9, -1.6, -0.4, -0.25]];
    const VALUES: [&[f64]; 2] = [&[0.35, 0.2, 0.3, 0.5], &[0.0, 0.1, -0.4, 0.2]];

    /// L_π, share clipped, and c_t.
    fn policies(at: RewardAt) -> (f64, usize, Vec<Vec<f64>>) {
        let mut terms = Vec::new();
        for ((now, old), advantages) in NOW.iter().zip([ONE.0, TWO.0]).zip(whitened(at)) {
            let ratios = now.iter().zip(old).map(|(now, old)| now - old);
            terms.push(ratios.zip(advantages).map(|(log_ratio, a)| policy(a, log_ratio, 0.2)).collect::<Vec<_>>());
        }
        let all: Vec<ClippedTerm> = terms.concat();
        let count = all.len() as f64;
        let slopes = terms.iter().map(|terms| terms.iter().map(|term| term.slope / count).collect()).collect();
        (all.iter().map(|term| term.loss).sum::<f64>() / count, all.iter().filter(|term| term.clipped).count(), slopes)
    }

    #[test]
    fn losses_and_slopes_of_the_policy_are_the_golden_ones() {
        let (loss, clipped, slopes) = policies(RewardAt::LastToken);
        near(&[loss], &[-0.050196]);
        assert_eq!(clipped, 2);
        near(&slopes[0], &[0.0, -0.143197, -0.139067]);
        near(&slopes[1], &[0.083411, 0.0, 0.085100, 0.161877]);
        let (loss, clipped, slopes) = policies(RewardAt::AfterEnd);
        near(&[loss], &[-0.050220]);
        assert_eq!(clipped, 2);
        near(&slopes[0], &[0.0, -0.143102, -0.138390]);
        near(&slopes[1], &[0.082920, 0.0, 0.084398, 0.162760]);
        let ratios: Vec<f64> = NOW
            .iter()
            .zip([ONE.0, TWO.0])
            .flat_map(|(now, old)| now.iter().zip(old).map(|(now, old)| ratio(now - old)).collect::<Vec<_>>())
            .collect();
        near(&[ratios.iter().sum::<f64>() / 7.0], &[0.989645]);
        near(&[ratios.iter().map(|ratio| 0.5 * ratio.ln().powi(2)).sum::<f64>() / 7.0], &[0.018929]);
    }

    /// L_v before the update, then L_v, how many are clipped, and ∂L/∂V with c_v = 0.1.
    fn values(at: RewardAt) -> (f64, f64, usize, Vec<Vec<f64>>) {
        let (mut before, mut terms) = (0.0, Vec::new());
        let olds: [Vec<f64>; 2] = [ONE.2.iter().copied().chain([ONE.3]).collect(), TWO.2.to_vec()];
        for ((advantages, old), now) in raw(at).iter().zip(&olds).zip(VALUES) {
            let slots = advantages.iter().zip(old).zip(now);
            terms.push(
                slots
                    .map(|((advantage, old), now)| {
                        before += value(*old, *old, advantage + old, 0.2).loss;
                        value(*now, *old, advantage + old, 0.2)
                    })
                    .collect::<Vec<_>>(),
            );
        }
        let all: Vec<ClippedTerm> = terms.concat();
        let count = all.len() as f64;
        let slopes = terms.iter().map(|terms| terms.iter().map(|term| 0.1 * term.slope / count).collect()).collect();
        let loss = all.iter().map(|term| term.loss).sum::<f64>() / count;
        (before / count, loss, all.iter().filter(|term| term.clipped).count(), slopes)
    }

    #[test]
    fn losses_and_slopes_of_the_critic_are_the_golden_ones() {
        let (before, loss, clipped, slopes) = values(RewardAt::LastToken);
        near(&[before, loss], &[0.201601, 0.173401]);
        assert_eq!(clipped, 2);
        near(&slopes[0], &[0.0, -0.010786, -0.010000]);
        near(&slopes[1], &[0.005839, 0.007800, 0.0, 0.010071]);
        let (before, loss, clipped, slopes) = values(RewardAt::AfterEnd);
        near(&[before, loss], &[0.190990, 0.160117]);
        assert_eq!(clipped, 2);
        near(&slopes[0], &[0.0, -0.009081, -0.008375, -0.006250]);
        near(&slopes[1], &[0.005109, 0.006825, 0.0, 0.008813]);
    }

    #[test]
    fn an_answers_ratio_and_k3_are_the_golden_ones() {
        let advantages = [0.981667, -0.318333, 0.328333, -0.991667];
        let log_ratios = [0.1, -0.3, 0.25, 0.0];
        let terms: Vec<ClippedTerm> =
            advantages.iter().zip(log_ratios).map(|(a, moved)| policy(*a, moved, 0.2)).collect();
        near(&[terms.iter().map(|term| term.loss).sum::<f64>() / 4.0], &[-0.058144]);
        let slopes: Vec<f64> = terms.iter().map(|term| term.slope / 4.0).collect();
        near(&slopes, &[-0.271227, 0.0, 0.0, 0.247917]);
        let k3 = k3(-1.0, -1.2);
        near(&[k3.loss, k3.slope], &[0.018731, 0.181269]);
    }

    #[test]
    fn before_the_first_update_nothing_is_clipped_and_no_ratio_overflows() {
        let term = policy(0.7, 0.0, 0.2);
        assert_eq!((term.loss, term.slope, term.clipped), (-0.7, -0.7, false));
        assert!(ratio(1e9).is_finite() && ratio(-1e9) > 0.0);
        assert!(k3(1e9, 0.0).loss.is_finite());
    }

    /// PyTorch gives 0 behind a clamp, and at its border what comes from inside.
    #[test]
    fn slopes_are_those_of_the_losses_past_the_bounds_of_the_log_ratio_too() {
        let small = 1e-5;
        for log_ratio in [-25.0, -19.5, -1.0, 0.3, 1.0, 19.5, 25.0] {
            for advantage in [-0.7, 0.7] {
                let loss = |moved: f64| policy(advantage, log_ratio + moved, 0.2).loss;
                let (numeric, term) = ((loss(small) - loss(-small)) / (2.0 * small), policy(advantage, log_ratio, 0.2));
                assert!(
                    (numeric - term.slope).abs() <= 1e-6 * term.slope.abs().max(1.0),
                    "{advantage} {log_ratio}: {term:?}"
                );
            }
            let loss = |moved: f64| k3(moved, log_ratio).loss;
            let (numeric, term) = ((loss(small) - loss(-small)) / (2.0 * small), k3(0.0, log_ratio));
            assert!((numeric - term.slope).abs() <= 1e-6 * term.slope.abs().max(1.0), "{log_ratio}: {term:?}");
        }
        assert_eq!(policy(-1.0, LARGEST_LOG_RATIO, 0.2).slope, LARGEST_LOG_RATIO.exp());
    }
}
