//! Whether a run would fit the contrast pair of its token weights.

use data::config::RunConfig;
use store::Project;
use train::{
    dataset::{documents::Dataset, inputs::LookedAt},
    importance::{TokenReads, contrast, reads},
    measure::reference::Reference,
    run::checkpoint::Contrasted,
};

/// Whether the project has the contrast pair that the run would fit. Not known where some pairs alone were looked at.
pub fn is_fitted(
    project: &Project,
    config: &RunConfig,
    reference: &Reference,
    (dataset, share): (&Dataset, LookedAt),
    total_steps: u64,
) -> bool {
    reads(config) == Some(TokenReads::Contrasts) && share.looked_at == share.of && {
        let steps = contrast::steps(&config.tis, total_steps);
        let name = contrast::name_of(reference, config, steps, dataset.pairs.train.iter());
        Contrasted::find(project.dir(), &name).is_some()
    }
}
