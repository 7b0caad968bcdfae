//! The next thing to do, one a place: shown until it was done once or put away, then never again.

use data::{
    Change, Pair, Verdict,
    metrics::{HELD_OUT_LOSS, KL_REF},
};
use store::{Bulk, RunId, RunRecord};

use super::{
    Screen, Views, Workspace,
    actions::Action,
    answers::AnswersCommand,
    command::Command,
    guide::{Guide, Milestone},
    order::Amendment,
    pairs::PairsCommand,
    runs::Runs,
    table::TableCommand,
    train::{RunCommand, Sheet},
};

/// What is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    pub milestone: Milestone,
    /// The project's own words about this place.
    pub story: Option<String>,
    /// A sentence without a full stop: what to do next.
    pub next: String,
    /// What its button does.
    pub action: Action,
    /// The way to a first run of one's own: each with whether it is done.
    pub path: Vec<(&'static str, bool)>,
}

impl Milestone {
    /// The one of the place one is at.
    pub fn of(views: &Views) -> Option<Self> {
        match views.screen {
            Screen::Pairs if views.pairs.labelling.is_some() => None,
            Screen::Train if views.train.sheet == Sheet::Launch => Some(Self::Start),
            screen => screen.milestone(),
        }
    }
}

impl Guide {
    /// What was just asked for may be a milestone.
    pub fn note(&mut self, command: &Command, is_own: bool) {
        match command {
            Command::Pairs(asked) if says_which_is_better(asked) => self.put_away(Milestone::Label),
            Command::Runs(RunCommand::Record { .. }) => {
                self.put_away(Milestone::Start);
                if is_own {
                    self.put_away(Milestone::OwnRun);
                }
            }
            Command::Answers(AnswersCommand::Ask) => self.put_away(Milestone::Ask),
            _ => {}
        }
    }

    /// What there is to see counts as seen when one goes elsewhere.
    pub fn look(&mut self, workspace: &Workspace, views: &Views) {
        let milestone = Milestone::of(views);
        if self.seen != milestone
            && let Some(seen) = self.seen.take()
        {
            self.put_away(seen);
        }
        let measured = |run: &&RunRecord| run.step > 0;
        let is_there = match milestone {
            // A reward model alone answers nothing that could be seen.
            Some(Milestone::Watch) => {
                let shows =
                    |run: RunId| has_something_to_show(&workspace.runs, run) && !workspace.runs.fits_rewards(run);
                workspace.runs.records.iter().any(|run| measured(&run) && shows(run.id))
            }
            Some(Milestone::Compare) => {
                views.compare.shown(&workspace.runs).iter().filter(|run| measured(run)).count() >= 2
            }
            _ => false,
        };
        if is_there {
            self.seen = milestone;
        }
    }

    /// What is shown where one is.
    pub fn hint(&self, workspace: &Workspace, views: &Views) -> Option<Hint> {
        let milestone = Milestone::of(views)?;
        if let Some(hint) = self.own_path(workspace, milestone) {
            return Some(hint);
        }
        if self.is_gone(milestone) {
            return None;
        }
        if let Some(hint) = reward_alone(milestone, workspace, views) {
            return Some(hint);
        }
        // Nothing is left to be labelled.
        if milestone == Milestone::Label && workspace.project.as_ref().is_some_and(|it| it.counts.unlabelled == 0) {
            return None;
        }
        let about = workspace.project.as_ref().map(|project| &project.about);
        let story = about.and_then(|about| about.0.get(milestone.chapter())).cloned();
        let (next, action) = next(milestone, workspace);
        Some(Hint { milestone, story, next: next.to_owned(), action, path: Vec::new() })
    }

    /// The way from an empty project to its first run, as far as it is to be gone from here.
    fn own_path(&self, workspace: &Workspace, at: Milestone) -> Option<Hint> {
        let project = workspace.project.as_ref().filter(|project| project.is_own())?;
        if self.is_gone(Milestone::OwnRun) || !workspace.runs.records.is_empty() || project.read_only {
            return None;
        }
        let (pairs, labelled) = (project.counts.total() > 0, project.counts.better > 0);
        let references = project.has_references(&project.config.data.reference);
        let path = vec![
            ("a model", true),
            ("pairs", pairs),
            ("labels", labelled),
            ("reference answers", references),
            ("first run", false),
        ];
        let (next, action) = match () {
            () if !pairs => (
                "import pairs of answers from a file (Ctrl I), have the model answer prompts of yours (M), or write the first pair (N)",
                Action::Import,
            ),
            () if !labelled => ("say which of two answers is better: L begins, 1 or 2 chooses", Action::Label),
            () if !references => (
                "have the model write reference answers, its own ones to everyday prompts, so that it keeps them; or start without: then nothing holds it there",
                Action::WriteReferences,
            ),
            () if at == Milestone::Start => (
                "start the first run; with rules of your own (Answers, Judged) it also counts what its answers do",
                Action::Start,
            ),
            () => ("look over the settings, then start the first run", Action::SetUp),
        };
        Some(Hint { milestone: Milestone::OwnRun, story: None, next: next.to_owned(), action, path })
    }
}

/// What the story of the charts tells of: of a run that is going, once it was measured again after its first step.
fn has_something_to_show(runs: &Runs, run: RunId) -> bool {
    let measured_again = |name| {
        let series = runs.history(run)?.series(name)?;
        Some(series.last_step()? > 0.0)
    };
    !runs.is_going(run) || [HELD_OUT_LOSS, KL_REF].into_iter().any(|name| measured_again(name) == Some(true))
}

/// What comes after a reward model, as long as nothing was set up to learn from it. A project's own words are about
/// policies.
fn reward_alone(milestone: Milestone, workspace: &Workspace, views: &Views) -> Option<Hint> {
    let runs = &workspace.runs;
    let shown = runs.shown(views.train.shown)?;
    let is_reward = milestone == Milestone::Watch && runs.reward_models().any(|model| model.id == shown);
    let samples = |run: &RunRecord| runs.settings(run.id).is_some_and(|it| it.config.objective.kind.samples());
    let next = "see whether its scores put more held-out pairs in order; meanwhile PPO, RLOO or GRPO can be set up to learn from them: it waits its turn and then starts";
    (is_reward && !runs.records.iter().any(samples)).then(|| Hint {
        milestone,
        story: None,
        next: next.to_owned(),
        action: Action::SetUp,
        path: Vec::new(),
    })
}

/// Whether a pair gets a verdict by it: judged, put in order, flipped, or in the editor.
fn says_which_is_better(command: &PairsCommand) -> bool {
    fn verdict(pair: Option<&Pair>) -> Option<&Verdict> {
        pair.and_then(|pair| pair.verdict.as_ref())
    }
    let judges = |change: &Change| {
        change.edits.iter().any(|edit| {
            let after = verdict(edit.after.as_ref());
            after.is_some() && after != verdict(edit.before.as_ref())
        })
    };
    match command {
        PairsCommand::Judge { .. } | PairsCommand::Table(TableCommand::ChangeMany(_, Bulk::Flip)) => true,
        PairsCommand::Amend { amendment, .. } => {
            matches!(amendment, Amendment::Verdict(_) | Amendment::Order { .. })
        }
        PairsCommand::Change { change, .. } => judges(change),
        PairsCommand::Typed(typed) => judges(&typed.change),
        _ => false,
    }
}

/// What to do in a place, and what its button does.
fn next(milestone: Milestone, workspace: &Workspace) -> (&'static str, Action) {
    let all = &workspace.runs;
    let runs = all.records.iter().filter(|run| run.step > 0 || all.is_going(run.id)).count();
    match (milestone, runs) {
        (Milestone::Label, _) => (
            "say which of two answers is better, without knowing where they come from: L begins, 1 or 2 chooses",
            Action::Label,
        ),
        (Milestone::Start, _) => {
            ("start a run; it can be paused and stopped at any time, and nothing is lost", Action::Start)
        }
        (Milestone::Watch, 0) => ("start a run: its charts appear here at once", Action::SetUp),
        (Milestone::Watch, _) => (
            "see whether held-out accuracy rises while KL drift stays small; then lay two runs over each other",
            Action::Go(Screen::Compare),
        ),
        (Milestone::Compare, 0) => {
            ("start a run, then one more with another method or setting: both appear here", Action::SetUp)
        }
        (Milestone::Compare, 1) => (
            "start one more run with another method or setting, or one of each (“Compare the methods” in Train), then tick them here",
            Action::SetUp,
        ),
        (Milestone::Compare, _) => (
            "see what each run gained (accuracy, what the rules count) and what it took (KL drift); then ask two of them the same thing",
            Action::AskBox,
        ),
        (Milestone::Ask, 0) => ("ask the model something now, and again when a run has ended", Action::AskBox),
        (Milestone::Ask, _) => {
            ("ask the model as it was and as it is now the same thing, and say which answer is better", Action::AskBox)
        }
        (Milestone::MakeYours | Milestone::OwnRun, _) => (
            "make it yours: a name and a model from this machine or the hub, then pairs from a file, from prompts that the model answers, or written here",
            Action::NewProject,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{guide::About, train::TrainView};

    #[test]
    fn a_hint_goes_when_it_is_done_and_stays_gone() {
        let (workspace, views) = (Workspace::default(), Views { screen: Screen::Answers, ..Views::default() });
        let mut guide = Guide::default();
        assert_eq!(guide.hint(&workspace, &views).unwrap().milestone, Milestone::Ask);
        guide.note(&Command::Answers(AnswersCommand::Ask), false);
        assert_eq!(guide.hint(&workspace, &views), None);
        let stored = toml::to_string(&guide).unwrap();
        assert_eq!(toml::from_str::<Guide>(&stored).unwrap(), guide, "remembered over a restart");
        assert!(Milestone::ALL.iter().all(|milestone| Guide::finished().is_gone(*milestone)));
    }

    #[test]
    fn the_story_of_the_charts_stays_until_they_have_shown_something() {
        use crate::runs::{History, LiveRun};

        let run = RunId(1);
        let mut workspace = Workspace::default();
        workspace.runs.set_records(vec![store::RunRecord { id: run, step: 4, ..store::RunRecord::default() }]);
        workspace.runs.live = Some(LiveRun::new(run, std::sync::Arc::default()));
        let mut history = History::default();
        history.take_metrics(0, &vec![(KL_REF.to_owned(), 0.0)]);
        workspace.runs.history.insert(run, history.clone());
        let watch = Views {
            screen: Screen::Train,
            train: TrainView { sheet: Sheet::Run, ..TrainView::default() },
            ..Views::default()
        };
        let elsewhere = Views { screen: Screen::Answers, ..Views::default() };
        let glance = |workspace: &Workspace| {
            let mut guide = Guide::default();
            guide.look(workspace, &watch);
            guide.look(workspace, &elsewhere);
            guide.is_gone(Milestone::Watch)
        };
        assert!(!glance(&workspace), "nothing but the first step was to be seen");
        history.take_metrics(50, &vec![(KL_REF.to_owned(), 0.02)]);
        workspace.runs.history.insert(run, history);
        assert!(glance(&workspace));
    }

    #[test]
    fn whatever_gives_a_verdict_counts_as_labelling() {
        use data::{Answer, Choice, Edit, Origin, PairId, Prompt, Strength};

        use crate::{order::Derived, pairs::PairsCommand as Asked};

        let better = Verdict::local(Choice::Better { chosen: 0, rejected: 1, strength: Strength::Clearly }, 1);
        let mut before = Pair::new(PairId(1), Prompt::Text("p".to_owned()), &["a", "b"]);
        let judged = Pair { verdict: Some(better.clone()), ..before.clone() };
        let order = Amendment::Order { order: vec![1, 0], derived: Derived::All, verdict: better.clone() };
        let amended = |amendment| Asked::Amend { pair: PairId(1), amendment, label: String::new() };
        let changed = |before: &Pair, after: Pair| {
            let edit = Edit { before: Some(before.clone()), after: Some(after) };
            Asked::Change { change: Change::new("Change", vec![edit]), open: false }
        };
        let counts = [
            Asked::Judge { pair: PairId(1), verdict: Some(better), label: String::new() },
            amended(order),
            Asked::Table(TableCommand::ChangeMany(vec![PairId(1)], Bulk::Flip)),
            changed(&before, judged),
        ];
        let is_label = |asked: Asked| {
            let mut guide = Guide::default();
            guide.note(&Command::Pairs(asked), true);
            guide.is_gone(Milestone::Label)
        };
        assert_eq!(counts.map(is_label), [true; 4]);
        before.answers.push(Answer::new("c", Origin::Human));
        let without = [
            amended(Amendment::Note("n".to_owned())),
            Asked::Table(TableCommand::ChangeMany(vec![PairId(1)], Bulk::Tag("t".to_owned()))),
            changed(&before, Pair { note: "n".to_owned(), ..before.clone() }),
        ];
        assert_eq!(without.map(is_label), [false; 3]);
    }

    #[test]
    fn a_project_tells_its_story_where_it_happens() {
        let about = About::from_toml("pairs = \"From visitors.\"\n");
        assert_eq!(about.0.get(Milestone::Label.chapter()).map(String::as_str), Some("From visitors."));
        assert!(About::from_toml("pairs = [").is_empty(), "a text that cannot be read tells nothing");
    }
}
