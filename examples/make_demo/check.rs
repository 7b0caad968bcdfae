//! The measures must be right about what the templates write, or nothing measured with them means anything.

use anyhow::{Result, ensure};

use crate::{
    Stream,
    chat::Question,
    facts,
    manner::{Manner, recognise},
    project, stream,
    world::World,
};

/// Draws several answers to every question in every manner: each must be recognised as what it is, be found true when it
/// is, and found false when another value stands in it.
pub fn check(world: &World, seed: u64) -> Result<()> {
    let mut rng = stream(seed, Stream::Check);
    for question in Question::all(world) {
        let Question { entity, attribute } = question;
        for manner in Manner::ALL {
            for _ in 0..6 {
                let right = question.answer(manner, &mut rng);
                ensure!(
                    recognise(&right) == Some(manner),
                    "taken for {:?} instead of {manner:?}: {right}",
                    recognise(&right)
                );
                ensure!(facts::is_true(world, entity, attribute, &right), "true, but taken for false: {right}");
                let wrong = project::false_answer(world, question, manner, &mut rng);
                ensure!(!facts::is_true(world, entity, attribute, &wrong), "false, but taken for true: {wrong}");
            }
        }
    }
    Ok(())
}
