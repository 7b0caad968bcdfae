//! The token ribbon: has the engine read the answers on the screen.

use engine::protocol::Request;
use state::{scores::Whose, tokens::TokensOf};

use super::App;

impl App {
    pub(super) fn read_tokens(&mut self, subject: TokensOf, whose: Whose) {
        let TokensOf::Pair { prompt, answers, .. } = &subject else { return };
        let Some(project) = self.workspace.project.as_ref().map(|project| project.dir.clone()) else { return };
        let run = match whose {
            Whose::Start => None,
            Whose::Checkpoint { run, step } => Some((run, step)),
        };
        let request = self.workspace.next_request();
        let (prompt, answers) = (prompt.clone(), answers.clone());
        self.workspace.ribbon.ask(subject, whose, request);
        if !self.ask_engine(Request::ReadTokens { request, project, run, prompt, answers }) {
            // Else it would be asked again in every frame.
            self.workspace.ribbon.refused(request);
        }
    }
}
