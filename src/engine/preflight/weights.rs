//! What token weights add to the time of a run.

use data::config::{Contrast, Every, RunConfig, TokenWeights};
use store::Project;
use train::{
    dataset::{documents::Dataset, inputs::Share},
    importance::contrast,
    measure::reference::Reference,
    run::checkpoint::Contrasted,
};

/// Sampling goes token by token: forwards that one sampled token counts for.
const SAMPLING: f64 = 3.0;

/// Whether the project has the contrast pair that the run would fit. Not known where some pairs alone were looked at.
pub fn is_fitted(
    project: &Project,
    config: &RunConfig,
    reference: &Reference,
    (dataset, share): (&Dataset, Share),
    total_steps: u64,
) -> bool {
    let by_contrast = config.weighs_tokens() && config.objective.token_weights == TokenWeights::Tis;
    by_contrast && share.looked_at == share.of && {
        let steps = contrast::steps(config, total_steps);
        let name = contrast::name_of(reference, config, steps, dataset.pairs.train.iter());
        Contrasted::find(project.dir(), &name).is_some()
    }
}

/// Tokens that are computed for the weights alone, each forward and backward; a forward alone is half of that.
/// `pairs`: to train on and held out. `of_a_pair`: its tokens, on the mean. `per_step`: pairs that a step meets.
pub fn tokens(
    config: &RunConfig,
    is_fitted: bool,
    (pairs, of_a_pair): (usize, f64),
    (per_step, total_steps): (usize, u64),
) -> f64 {
    if !config.weighs_tokens() {
        return 0.0;
    }
    let (all, a_step) = (pairs as f64 * of_a_pair, per_step as f64 * of_a_pair);
    let steps = total_steps as f64;
    match config.objective.token_weights {
        TokenWeights::None => 0.0,
        TokenWeights::Tis => {
            // Two models, each of which learns both answers or one; then a forward through each.
            let of_lessons = match config.tis.contrast {
                Contrast::Dpo => a_step,
                Contrast::Sft => a_step / 2.0,
            };
            let fit = if is_fitted { 0.0 } else { 2.0 * contrast::steps(config, total_steps) as f64 * of_lessons };
            fit + all
        }
        TokenWeights::Ti => {
            let gradients = match config.ti.every {
                Every::Step => a_step * steps,
                Every::Start => all,
            };
            let sampled = if config.has_triplet() { (per_step * config.ti.anchor_tokens) as f64 * steps } else { 0.0 };
            // Each is sampled, read by the reference, and joins the step.
            gradients + sampled * (SAMPLING / 2.0 + 0.5 + 1.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(change: impl FnOnce(&mut RunConfig)) -> RunConfig {
        let mut config = RunConfig::default();
        change(&mut config);
        config
    }

    #[test]
    fn a_contrast_pair_counts_unless_it_is_there() {
        let tis = of(|config| config.objective.token_weights = TokenWeights::Tis);
        let tokens = |config: &RunConfig, is_fitted| super::tokens(config, is_fitted, (100, 20.0), (8, 50));
        // Two models of 25 steps of 8 pairs of 20 tokens, and 100 pairs once through both.
        assert_eq!(tokens(&tis, false), 2.0 * 25.0 * 8.0 * 20.0 + 100.0 * 20.0);
        assert_eq!(tokens(&tis, true), 100.0 * 20.0);
        assert_eq!(tokens(&RunConfig::default(), false), 0.0);
        let sft = of(|config| {
            config.objective.token_weights = TokenWeights::Tis;
            (config.tis.contrast, config.tis.steps) = (Contrast::Sft, Some(10));
        });
        assert_eq!(tokens(&sft, false), 2.0 * 10.0 * 8.0 * 10.0 + 100.0 * 20.0);
    }

    #[test]
    fn gradients_count_at_each_visit_or_once() {
        let ti = |every| of(|config| (config.objective.token_weights, config.ti.every) = (TokenWeights::Ti, every));
        let tokens = |config: &RunConfig| super::tokens(config, false, (100, 20.0), (8, 50));
        assert_eq!(tokens(&ti(Every::Step)), 50.0 * 8.0 * 20.0);
        assert_eq!(tokens(&ti(Every::Start)), 100.0 * 20.0);
        let mut triplet = ti(Every::Start);
        (triplet.ti.triplet_weight, triplet.ti.anchor_tokens) = (0.1, 10);
        assert_eq!(tokens(&triplet), 100.0 * 20.0 + 50.0 * 8.0 * 10.0 * 3.0);
    }
}
