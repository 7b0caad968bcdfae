//! The triplet term of TI-DPO: a freshly sampled answer, the anchor, is pulled to the chosen answer and away from the
//! rejected one.
//!
//! L = max(0, Σ_t (d_t − b_t)² − Σ_t (d_t − c_t)² + α), d, b and c being the tokens' log-ratios to the reference of
//! anchor, chosen and rejected answer. Tokens are matched by their place, as far as both answers go. Where c_t > d_t
//! the far part raises the rejected token: it is symmetric.
//!
//! Source: arXiv 2505.19653.

/// What the term makes of three answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Triplet {
    pub loss: f64,
    /// ∂L/∂(log-prob of each token), 0 everywhere unless it is active.
    pub anchor: Vec<f64>,
    pub chosen: Vec<f64>,
    pub rejected: Vec<f64>,
}

impl Triplet {
    /// From the log-ratios of each answer's tokens.
    pub fn of(margin: f64, anchor: &[f64], chosen: &[f64], rejected: &[f64]) -> Self {
        let apart = |other: &[f64]| anchor.iter().zip(other).map(|(a, b)| a - b).collect::<Vec<f64>>();
        let (near, far) = (apart(chosen), apart(rejected));
        let squares = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>();
        let loss = (squares(&near) - squares(&far) + margin).max(0.0);
        let scale = if loss > 0.0 { 2.0 } else { 0.0 };
        let at = |values: &[f64], place: usize| values.get(place).copied().unwrap_or(0.0);
        let slopes = |count: usize, slope: &dyn Fn(usize) -> f64| (0..count).map(slope).collect();
        Self {
            loss,
            anchor: slopes(anchor.len(), &|place| scale * (at(&near, place) - at(&far, place))),
            chosen: slopes(chosen.len(), &|place| -scale * at(&near, place)),
            rejected: slopes(rejected.len(), &|place| scale * at(&far, place)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANCHOR: [f64; 3] = [0.1, 0.3, -0.2];
    const CHOSEN: [f64; 4] = [0.2, 0.1, 0.0, 0.4];

    fn close(got: &[f64], want: &[f64]) {
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() < 1e-12, "{got} {want}");
        }
    }

    #[test]
    fn golden_numbers() {
        let far = Triplet::of(0.001, &ANCHOR, &CHOSEN, &[-0.3, 0.2]);
        assert_eq!(far.loss, 0.0);
        close(&far.anchor, &[0.0; 3]);
        let near = Triplet::of(0.001, &ANCHOR, &CHOSEN, &[0.2, 0.25]);
        close(&[near.loss], &[0.0785]);
        close(&near.anchor, &[0.0, 0.3, -0.4]);
        close(&near.chosen, &[0.2, -0.4, 0.4, 0.0]);
        close(&near.rejected, &[-0.2, 0.1]);
        // Before anything moved it is the margin, and pulls nothing.
        let start = Triplet::of(0.001, &[0.0; 3], &[0.0; 2], &[0.0; 5]);
        assert_eq!(start.loss, 0.001);
        assert!(start.anchor.iter().chain(&start.chosen).chain(&start.rejected).all(|slope| *slope == 0.0));
    }

    #[test]
    fn slopes_are_finite_differences() {
        const STEP: f64 = 1e-6;
        let all = [ANCHOR.to_vec(), CHOSEN.to_vec(), vec![0.2, 0.25]];
        let loss = |all: &[Vec<f64>; 3]| Triplet::of(0.001, &all[0], &all[1], &all[2]).loss;
        let found = Triplet::of(0.001, &all[0], &all[1], &all[2]);
        for (answer, slopes) in [&found.anchor, &found.chosen, &found.rejected].into_iter().enumerate() {
            for (token, slope) in slopes.iter().enumerate() {
                let at = |by: f64| {
                    let mut all = all.clone();
                    all[answer][token] += by;
                    loss(&all)
                };
                assert!(((at(STEP) - at(-STEP)) / (2.0 * STEP) - slope).abs() < 1e-8, "{answer} {token}");
            }
        }
    }
}
