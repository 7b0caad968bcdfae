//! Reference answers: what the model itself says where no pair speaks.

use std::path::Path;

use anyhow::Result;
use nudge::{
    data::ReferenceAnswer,
    model::{LoadOptions, Policy},
    text::Codec,
};

use crate::{Stream, exam, project, stream, world::World};

/// Samples one answer to each prompt, at temperature 1: D_ref has to follow the model's own distribution. Answers that
/// ran into the length limit are left out.
pub fn references(world: &World, seed: u64, folder: &Path) -> Result<Vec<ReferenceAnswer>> {
    let policy = Policy::load(folder, &LoadOptions::default())?;
    let codec = Codec::load(folder)?;
    let prompts = project::reference_prompts(world, &mut stream(seed, Stream::References));
    let said = exam::say(&policy, &codec, &prompts, 1.0, seed)?;
    Ok(prompts
        .into_iter()
        .zip(said)
        .filter(|(_, said)| said.ended && !said.text.trim().is_empty())
        .map(|(prompt, said)| ReferenceAnswer::new(prompt, said.text))
        .collect())
}
