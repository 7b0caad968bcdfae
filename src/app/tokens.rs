//! What the screen shows is looked at token by token.

use std::sync::Arc;

use state::tokens::{Inspected, Spot, TokensOf};

use super::{App, jobs::update, tokenizer::look};

impl App {
    /// Has the worker look at `subject`.
    pub(super) fn inspect(&mut self, spot: Spot, subject: TokensOf) {
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
