//! Has two sets of weights answer the same prompts for a blind duel, and keeps the verdicts as pairs.

use std::{ops::ControlFlow, sync::Arc};

use data::{HeldOutPrompts, HoldOut, Prompt, PromptKey, SplitRule, config::DataConfig};
use engine::protocol::Request;
use state::{
    Command, Notice,
    answers::AnswersCommand,
    ask::AnswerSource,
    duel::{Duel, DuelCommand, DuelPrompts, MOST_PROMPTS},
};
use store::{Project, Revision, RunId};
use train::run::checkpoint;

use super::{
    App,
    jobs::{Lane, about, update},
    pairs::Fresh,
};

impl App {
    pub(super) fn duel(&mut self, command: DuelCommand) {
        let now_ms = self.workspace.now_ms;
        let duel = &mut self.workspace.answers.duel;
        match (command, duel) {
            (DuelCommand::Begin, _) => self.begin_duel(),
            (DuelCommand::BeginWith(prompts), _) => self.begin_duel_with(prompts),
            (DuelCommand::Save, Some(_)) => self.save_duel(),
            (DuelCommand::Press(press), Some(duel)) => duel.press(press, now_ms),
            (DuelCommand::Undo, Some(duel)) => duel.undo(now_ms),
            (DuelCommand::Stop, Some(duel)) => duel.control.stop(),
            (DuelCommand::Reveal, Some(duel)) => duel.revealed = true,
            (DuelCommand::Saved, Some(duel)) => duel.keep(),
            (DuelCommand::Close, duel) => *duel = None,
            // It was closed meanwhile.
            (_, None) => {}
        }
    }

    /// Prompts of pairs that neither side was trained on are looked for first.
    fn begin_duel(&mut self) {
        let form = &self.views.answers.duel;
        if let Some(obstacle) = form.obstacle(&self.workspace) {
            self.workspace.notices.push(Notice::info(obstacle));
            return;
        }
        if form.of != DuelPrompts::HeldOut {
            return self.begin_duel_with(form.prompts(&self.workspace));
        }
        let Some(project) = &self.workspace.project else { return };
        let (dir, seed) = (project.dir.clone(), form.seed);
        let now = project.config.data.clone();
        let runs: Vec<RunId> = form.sides.iter().filter_map(run_of).collect();
        self.jobs.aside(Lane::Transfer, "Could not read the prompts", move || {
            let prompts = held_out(&Project::open(&dir)?, &runs, &now)?.some(MOST_PROMPTS, seed);
            Ok(about(dir, move |workspace, _| {
                if prompts.is_empty() {
                    let none = "No prompt is held out; write prompts instead, or take the probe prompts";
                    workspace.notices.push(Notice::info(none));
                    return Vec::new();
                }
                vec![Command::Answers(AnswersCommand::Duel(DuelCommand::BeginWith(prompts)))]
            }))
        });
    }

    fn begin_duel_with(&mut self, prompts: Vec<Prompt>) {
        let form = &self.views.answers.duel;
        let (sides, asked, seed) = (form.sides, form.asked(), form.seed);
        let [Some(first), Some(second)] = sides.map(|source| self.weights_of(source)) else { return };
        let prompts: Arc<[Prompt]> = prompts.into();
        let requests = [self.workspace.next_request(), self.workspace.next_request()];
        let names = sides.map(|source| self.contestant(source));
        let duel = Duel::new(names.clone(), Arc::clone(&prompts), requests, seed, self.workspace.now_ms);
        let control = Arc::clone(&duel.control);
        for ((request, source), name) in requests.into_iter().zip([first, second]).zip(names) {
            let (prompts, control) = (Arc::clone(&prompts), Arc::clone(&control));
            if !self.ask_engine(Request::Draw { request, source, name, prompts, asked: asked.clone(), control }) {
                return;
            }
        }
        self.workspace.answers.duel = Some(duel);
        self.views.answers.duel.seed = seed.wrapping_add(1);
    }

    /// What a contestant is called, and the origin of its answers.
    fn contestant(&self, source: AnswerSource) -> String {
        let guest = self.views.answers.ask.guest.as_ref();
        match source {
            AnswerSource::Run { run, .. } => self.workspace.runs.name(run),
            AnswerSource::Base | AnswerSource::Guest => source.describe(guest, |_| String::new(), |_| None),
        }
    }

    fn save_duel(&mut self) {
        let Some(change) = self.workspace.answers.duel.as_ref().and_then(Duel::pairs) else { return };
        self.jobs.document.write("Could not save the verdicts", move |project| {
            let applied = project.apply(&change)?;
            let fresh = Fresh::read(project, applied)?;
            Ok(update(move |workspace, views| {
                fresh.show(workspace, views);
                Command::Answers(AnswersCommand::Duel(DuelCommand::Saved))
            }))
        });
    }
}

fn run_of(source: &AnswerSource) -> Option<RunId> {
    match source {
        AnswerSource::Run { run, .. } => Some(*run),
        AnswerSource::Base | AnswerSource::Guest => None,
    }
}

/// Prompts that none of these runs was trained on, each by its own settings and as it saw the pairs; without a run
/// those that one would hold out by the settings as they are `now`.
fn held_out(project: &Project, runs: &[RunId], now: &DataConfig) -> anyhow::Result<HeldOutPrompts> {
    let mut all: Option<HeldOutPrompts> = None;
    for run in runs {
        let record = project.run(*run)?;
        let config = record.config()?.data;
        let kept = checkpoint::newest_state(&record.checkpoints).map_or_else(Vec::new, |state| state.kept_sides);
        let of_run = held_out_at(project, project.newest_revision_of(*run)?, &config, kept)?;
        all = Some(match all {
            Some(all) => all.and(&of_run),
            None => of_run,
        });
    }
    all.map_or_else(|| held_out_at(project, project.revision()?, now, Vec::new()), Ok)
}

fn held_out_at(
    project: &Project,
    revision: Revision,
    config: &DataConfig,
    kept: Vec<(PromptKey, bool)>,
) -> anyhow::Result<HeldOutPrompts> {
    let rule = SplitRule { eval_fraction: config.eval_fraction, seed: config.seed };
    let mut held_out = HeldOutPrompts::new(HoldOut::new(rule).keeping(kept));
    project.each_pair_at(revision, &mut |pair| {
        held_out.take(pair);
        ControlFlow::Continue(())
    })?;
    Ok(held_out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::{Change, Edit, Pair, PairId, config::RunConfig};
    use store::{NewRun, ProjectSettings};

    #[test]
    fn prompts_of_a_duel_are_what_neither_run_was_trained_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        let add = |project: &mut Project, numbers: std::ops::Range<usize>| {
            let pair = |n: usize| Edit::add(Pair::new(PairId::NEW, Prompt::Text(format!("prompt {n}")), &["a", "b"]));
            project.apply(&Change::new("Add", numbers.map(pair).collect())).unwrap();
        };
        add(&mut project, 0..60);
        let config = |seed| {
            let mut config = RunConfig::default();
            (config.data.eval_fraction, config.data.seed) = (0.5, seed);
            config
        };
        let runs = [1, 2].map(|seed| {
            let new = NewRun {
                name: "run".to_owned(),
                config_toml: config(seed).to_toml().unwrap(),
                method: "MPO".to_owned(),
                revision: project.revision().unwrap(),
                parent: None,
            };
            project.create_run(&new).unwrap()
        });
        // No run has seen these.
        add(&mut project, 60..200);
        let of = |runs: &[RunId]| -> std::collections::BTreeSet<String> {
            let found = held_out(&project, runs, &config(3).data).unwrap().some(usize::MAX, 0);
            found.iter().map(|prompt| prompt.last_text().to_owned()).collect()
        };
        let (first, second) = (of(&runs[..1]), of(&runs[1..]));
        assert!(first != second && (20..40).contains(&first.len()), "{first:?}");
        let both: std::collections::BTreeSet<String> = first.intersection(&second).cloned().collect();
        assert!(!both.is_empty() && both.len() < first.len());
        assert_eq!(of(&runs), both);
        assert!(of(&[]).len() > 60, "by the settings of now");
    }
}
