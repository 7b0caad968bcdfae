//! Whether a checkpoint may be gone on from with what there is now.

use store::LogLevel;

use crate::{
    dataset::documents::Dataset,
    error::{Result, TrainError},
    measure::reference::Reference,
    run::{checkpoint::State, context::Context},
};

/// A checkpoint only continues the run it came from, on whatever device: another one is told.
pub(super) fn check_same(
    state: &State,
    reference: &Reference,
    dataset: &Dataset,
    context: &mut Context<'_>,
) -> Result<()> {
    let reason = if state.reference.policy != reference.policy {
        "the reference is not the one it began with: the model folder or the starting adapter was changed since. Put the old files back, or start a new run"
    } else if state.reference.codec != reference.codec {
        "the tokenizer or the chat template was changed since it began. Put the old files back, or start a new run"
    } else if state.data != dataset.identity() {
        "its data or its token limits are not those the checkpoint was made with. Put the old settings back, or start a new run"
    } else if state.reference.card == reference.card {
        return Ok(());
    } else {
        let name = |card: &Option<String>| card.clone().unwrap_or_else(|| "another device".to_owned());
        let (before, now) = (name(&state.reference.card), name(&reference.card));
        let sentence = format!("The run began on {before} and goes on with {now}: numbers differ in their last digits");
        return context.log(LogLevel::Info, sentence);
    };
    Err(TrainError::Resume(reason.to_owned()))
}
