//! Looks for labels that a run argues against.

use data::suspects::MarginScore;
use state::{Command, Notice, pairs::PairsCommand, review::Review};
use store::Project;

use super::{
    App,
    jobs::{Lane, update},
};

impl App {
    /// By the newest run that has met its pairs twice. However many visits there are, nothing waits for it.
    pub(super) fn review_suspects(&mut self) {
        let Some(dir) = self.workspace.project.as_ref().map(|project| project.dir.clone()) else {
            return;
        };
        self.jobs.aside(Lane::Transfer, "Could not look for suspect labels", move || {
            let project = Project::open(&dir)?;
            let mut found = None;
            for run in project.runs()?.into_iter().rev() {
                let standings = project.standings(run.id)?;
                if !standings.is_empty() {
                    found = Some((run.name, standings));
                    break;
                }
            }
            Ok(update(move |workspace, views| {
                if workspace.project.as_ref().is_none_or(|project| project.dir != dir) {
                    return Vec::new();
                }
                let Some((run, standings)) = found else {
                    workspace.notices.push(Notice::info(
                        "No run has met a label of today twice: train for two epochs or more, then ask again",
                    ));
                    return Vec::new();
                };
                let judged = standings.len();
                let queue: Vec<MarginScore> = standings.into_iter().filter(MarginScore::is_suspect).collect();
                if queue.is_empty() {
                    let sentence = format!("{run} met {judged} labels twice or more and argues against none of them");
                    workspace.notices.push(Notice::info(sentence));
                    return Vec::new();
                }
                views.pairs.review = Some(Review::new(run, judged, queue));
                // It takes the place of the reference answers, if these are shown.
                let typed = views.pairs.references.close();
                typed.map(|typed| Command::Pairs(PairsCommand::References(typed))).into_iter().collect()
            }))
        });
    }
}
