//! The worker of tokens: keeps the tokenizer of the project's model and looks at what the screen shows.

use std::{path::PathBuf, sync::Arc};

use data::{Fate, PairInspection};
use state::tokens::{Inspected, Spot, Subject};
use text::{Codec, Limits};

use super::{App, jobs::update};

/// A tokenizer and the folder it came from.
pub struct Tokenizer {
    folder: PathBuf,
    codec: Codec,
}

impl App {
    /// Has the worker look at `subject`.
    pub(super) fn inspect(&mut self, spot: Spot, subject: Subject) {
        let Some(project) = &self.workspace.project else {
            return;
        };
        let folder = project.config.model.path.clone();
        let folder = folder.unwrap_or_else(|| project.model.clone());
        let subject = Arc::new(subject);
        self.workspace.tokens.ask(spot, Arc::clone(&subject));
        self.jobs.tokens.open("Could not read the tokens", move |loaded| {
            let seen = look(loaded, folder, &subject);
            Ok(update(move |workspace, _| {
                let outcome = match seen {
                    Ok(inspection) => Inspected::Ready(Arc::new(inspection)),
                    Err(error) => Inspected::Failed(error),
                };
                workspace.tokens.answer(spot, &subject, outcome);
            }))
        });
    }
}

fn look(loaded: &mut Option<Tokenizer>, folder: PathBuf, subject: &Subject) -> Result<PairInspection, String> {
    if loaded.as_ref().is_none_or(|loaded| loaded.folder != folder) {
        let codec = Codec::load(&folder).map_err(|error| error.to_string())?;
        *loaded = Some(Tokenizer { folder, codec });
    }
    let Some(Tokenizer { codec, .. }) = loaded else {
        return Err("The tokenizer is not there".to_owned());
    };
    Ok(match subject {
        Subject::Pair { prompt, answers, max_prompt, max_answer } => {
            let limits = Limits { max_prompt: *max_prompt, max_answer: *max_answer };
            codec.inspect(prompt, answers, limits)
        }
        Subject::Generated { prompt, ids } => {
            PairInspection { fate: Fate::Fits, reason: None, answers: vec![codec.inspect_generated(prompt, ids)] }
        }
    })
}
