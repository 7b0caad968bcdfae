//! What is true, as far as the window knows: the project, its runs, what is being saved.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use data::config::RunConfig;
use engine::protocol::RequestId;
use judge::RuleHead;
use store::{Counts, RunId, RunRecord};

use super::{
    Command, Notices,
    answers::{AnswersData, AnswersView},
    checkpoints::CheckpointsByRun,
    compare::{CompareView, board::Board},
    guide::About,
    ignored::Ignored,
    judged::JudgedData,
    launch::Launch,
    lens::LensData,
    models::ModelsData,
    pace::Pace,
    pairs::PairsData,
    projects::ProjectsData,
    ribbon::RibbonData,
    rollouts::Rollouts,
    runs::{Loaded, Runs},
    tokens::TokensData,
    train::{Preflight, TrainView},
    views::Views,
    writing::UnsavedTexts,
};

/// The open project in a line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProjectSummary {
    pub dir: PathBuf,
    pub name: String,
    /// Hugging Face folder the project tunes.
    pub model: PathBuf,
    /// How many pairs there are, by verdict. Kept up to date with every edit.
    pub counts: Counts,
    /// What a new run starts from.
    pub config: RunConfig,
    /// The keys of it that somebody chose.
    pub chosen: BTreeSet<String>,
    /// What the project had set before any run was started from the sheet, see [`super::launch::own_texts`].
    pub own: BTreeMap<String, String>,
    /// Of its model, where that can be read.
    pub parameters: Option<u64>,
    /// It can be looked at and not changed.
    pub read_only: bool,
    /// Its model was taught to talk in turns: a line is what a user says, not a text to go on from.
    pub has_template: bool,
    /// Reference answers that it holds itself.
    pub references: usize,
    pub about: About,
}

impl ProjectSummary {
    /// It does not explain itself, as the demo does: somebody made it for a purpose.
    pub fn is_own(&self) -> bool {
        self.about.is_empty()
    }

    /// Whether a run whose setting names this file has reference answers: `auto` stands for the project's own.
    pub fn has_references(&self, file: &str) -> bool {
        self.references > 0 || file != "auto"
    }
}

/// Writes on their way to the disk. "Saved" is said only after the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Saving {
    pub under_way: usize,
    /// A write failed since the last one that succeeded.
    pub failed: bool,
    /// A text is being written that the project does not keep yet.
    pub writing: bool,
}

/// The window was asked to close while a run is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Closing {
    #[default]
    No,
    Asked,
    /// Closes as soon as the run has ended.
    AfterRun,
    /// Closes as soon as this run has its checkpoint and another process goes on from it.
    ToBackground(RunId),
}

/// What was read when a project was opened.
#[derive(Debug)]
pub struct OpenedProject {
    pub project: ProjectSummary,
    pub runs: Vec<RunRecord>,
    pub saved: CheckpointsByRun,
    /// How its runs were looked at.
    pub board: Board,
    /// Alarms of its runs that are let be.
    pub ignored: Ignored,
    /// The order of the runs that wait.
    pub order: Vec<RunId>,
    /// What answers are or were judged by.
    pub rules: Vec<RuleHead>,
    /// Whether something that was said about a run can be taken back, and said again.
    pub can_turn_about: [bool; 2],
    /// What is being written in it.
    pub texts: UnsavedTexts,
}

/// Read by the screens, written only by `app`.
#[derive(Debug, Default)]
pub struct Workspace {
    pub project: Option<ProjectSummary>,
    /// Counts the projects opened so far: one more means that everything else is about another project.
    pub opened: u64,
    pub saving: Saving,
    pub notices: Notices,
    pub closing: Closing,
    pub runs: Runs,
    pub preflight: Preflight,
    pub pace: Pace,
    pub pairs: PairsData,
    pub answers: AnswersData,
    pub judged: JudgedData,
    pub tokens: TokensData,
    pub lens: LensData,
    pub rollouts: Rollouts,
    pub ribbon: RibbonData,
    pub models: ModelsData,
    pub projects: ProjectsData,
    /// Unix time in milliseconds of this frame, so that drawing asks no clock.
    pub now_ms: i64,
    requests: u64,
}

impl Workspace {
    /// A name for the next question to the engine.
    pub fn next_request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }

    /// Another project is open from now on; nothing of the old one stays.
    pub fn open(&mut self, opened: OpenedProject, views: &mut Views) -> Command {
        let another = views.last_project.as_ref() != Some(&opened.project.dir);
        if another || views.train.launch.is_untouched() {
            views.train = TrainView {
                launch: Launch::following(&opened.project.config, &opened.project.chosen),
                ..TrainView::default()
            };
        }
        views.last_project = Some(opened.project.dir.clone());
        views.projects.opened(&opened.project.dir, &opened.project.name);
        views.pairs.opened(&opened.project.dir);
        views.compare = CompareView::of(opened.board);
        views.answers.ask.stop();
        views.answers = AnswersView { tab: views.answers.tab, more: views.answers.more, ..AnswersView::default() };
        opened.texts.put(views);
        self.project = Some(opened.project);
        self.opened += 1;
        // They were about the other one.
        self.notices.dismiss_all();
        self.runs = Runs::default();
        self.runs.saved = opened.saved;
        self.runs.order = opened.order;
        self.runs.ignored = opened.ignored;
        self.runs.rules = opened.rules;
        self.runs.can_turn_about = opened.can_turn_about;
        self.runs.set_records(opened.runs);
        self.preflight = Preflight::NotAsked;
        self.pace.forget_what_was_asked();
        self.pairs = PairsData::default();
        self.answers = AnswersData::default();
        self.judged = JudgedData::default();
        self.tokens = TokensData::default();
        // Its own model stands first in the list.
        self.models.looked = Loaded::Absent;
        Command::Opened
    }
}
