//! The one place that carries commands out: each has its arm here; what takes more than a few lines stands in the file
//! of its screen.

use data::config::ModelConfig;
use engine::protocol::{Request, SaveAnswer};
use state::{
    Closing, Command, Notice, ProjectSummary, Screen,
    answers::AnswersCommand,
    ask::AnswerSource,
    command::CloseAnswer,
    download::{FetchCommand, Fetching},
    export::{ExportCommand, Exporting},
    models::{AddForm, ModelsCommand, Selected},
    order::Amendment,
    pairs::{Only, PairsCommand},
    projects::ProjectsCommand,
    runs::Loaded,
    scores::ScoresCommand,
    table::TableCommand,
    train::{RunCommand, Sheet},
};

use store::Project;

use super::App;

impl App {
    /// Applies what the last frame asked for.
    pub(super) fn apply_queued(&mut self, frame: &eframe::Frame) {
        for command in self.commands.take() {
            self.apply(command, frame);
        }
    }

    pub(super) fn apply(&mut self, command: Command, frame: &eframe::Frame) {
        let is_own = self.workspace.project.as_ref().is_some_and(ProjectSummary::is_own);
        self.views.guide.note(&command, is_own);
        match command {
            Command::OpenProject(dir) => {
                let name = dir.display().to_string();
                self.open_project(&name, move || Ok(dir));
            }
            Command::OpenDemo => {
                self.open_project("the demo project", || Ok(store::demo::open_demo(None)?));
            }
            Command::OpenBundle(file) => {
                let name = file.display().to_string();
                self.open_project(&name, move || Ok(Project::open_bundle(&file)?));
            }
            Command::PickBundle => {
                self.dialogs.pick_file(frame, "Open a bundle", &[store::bundle::EXTENSION], Command::OpenBundle);
            }
            Command::PickProject => self.dialogs.pick_folder(frame, "Open a project", Command::OpenProject),
            Command::Opened => {
                self.watch_project();
                self.answers_opened();
                self.texts_opened();
                self.read_waiting();
            }
            Command::ReadChanges => self.read_changes(),
            Command::PickLaunchFolder(key) => {
                self.dialogs.pick_folder(frame, "Choose a folder", move |folder| Command::SetLaunchFolder(key, folder));
            }
            Command::PickLaunchFile(key) => {
                let put = move |file| Command::SetLaunchFolder(key, file);
                self.dialogs.pick_file(frame, "Choose a file", &[], put);
            }
            Command::SetLaunchFolder(key, folder) => {
                self.views.train.launch.set(key, folder.display().to_string());
            }
            Command::Tell(notice) => {
                self.workspace.notices.push(notice);
            }
            Command::Dismiss(id) => self.workspace.notices.dismiss(id),
            Command::DismissAll => self.workspace.notices.dismiss_all(),
            Command::Close(answer) => self.close(answer),
            Command::Runs(command) => self.apply_runs(command, frame),
            Command::Pairs(command) => self.apply_pairs(command, frame),
            Command::Inspect(spot, subject) => self.inspect(spot, subject),
            Command::Go(screen) => self.views.screen = screen,
            Command::ReadTokens(subject, whose) => self.read_tokens(subject, whose),
            Command::ShowPair(pair) => {
                self.views.screen = Screen::Pairs;
                self.views.pairs.tokens = true;
                self.views.pairs.select(Some(pair));
            }
            Command::ShowPairs(title, ids) => {
                self.views.screen = Screen::Pairs;
                self.views.pairs.select(ids.first().copied());
                self.views.pairs.only = Some(Only { title, ids, finding: None });
            }
            Command::Answers(command) => self.apply_answers(command),
            Command::Models(command) => self.apply_models(command, frame),
            Command::Projects(command) => self.apply_projects(command, frame),
        }
    }

    fn apply_pairs(&mut self, command: PairsCommand, frame: &eframe::Frame) {
        let then = |path, command: fn(Option<std::path::PathBuf>) -> PairsCommand| Command::Pairs(command(Some(path)));
        match command {
            PairsCommand::List(listing) => self.list_pairs(listing),
            PairsCommand::ReadRows(ids) => self.read_rows(ids),
            PairsCommand::ReadPairs(ids) => self.read_pairs(ids),
            PairsCommand::ReadHistory(pair) => self.read_history(pair),
            PairsCommand::Change { change, open } => self.change_pairs(change, open),
            PairsCommand::Typed(typed) => self.save_typed(typed),
            PairsCommand::LeftOut(pair) => {
                self.workspace.notices.push(Notice::warning(
                    format!("What was typed in pair {} is not saved", pair.0),
                    "The pair was changed or deleted elsewhere in the meantime",
                ));
            }
            PairsCommand::Delete(pair) => self.delete_pair(*pair),
            PairsCommand::Compare(left, right) => self.compare(left, right),
            PairsCommand::Judge { pair, verdict, label } => self.amend_pair(pair, Amendment::Verdict(verdict), label),
            PairsCommand::Amend { pair, amendment, label } => self.amend_pair(pair, amendment, label),
            PairsCommand::Undo { only, sure } => self.undo(only, sure),
            PairsCommand::KeepAll => self.workspace.pairs.undo_asks = None,
            PairsCommand::Redo => self.redo(),
            PairsCommand::Label { query, only, relabel, from } => self.start_labelling(query, only, relabel, from),
            PairsCommand::Review => self.review_suspects(),
            PairsCommand::Examine => self.examine_pairs(),
            PairsCommand::Mend { finding, remedy } => self.mend(finding, remedy),
            PairsCommand::Import(Some(path)) => self.import_pairs(vec![path]),
            PairsCommand::ImportAll(paths) => self.import_pairs(paths),
            PairsCommand::Look(path) => self.look_at(path),
            PairsCommand::Import(None) => {
                let then = move |path| then(path, PairsCommand::Import);
                self.dialogs.pick_file(frame, "Import preference pairs", &[], then);
            }
            PairsCommand::Export(Some(path)) => self.export_pairs(path, false),
            PairsCommand::Replace(path) => self.export_pairs(path, true),
            PairsCommand::Export(None) => {
                let then = move |path| then(path, PairsCommand::Export);
                self.dialogs.save_file(frame, "Export preference pairs", "pairs.jsonl", then);
            }
            PairsCommand::CancelTransfer => {
                if let Some(transfer) = &self.workspace.pairs.transfer {
                    transfer.progress.cancel();
                }
            }
            PairsCommand::SaveReport => self.save_report(),
            PairsCommand::CloseImport => self.workspace.pairs.import = None,
            PairsCommand::Candidates(command) => self.apply_candidates(command, frame),
            PairsCommand::References(command) => self.apply_references(command, frame),
            PairsCommand::Table(command) => match command {
                TableCommand::ReadSources => self.read_sources(),
                TableCommand::ReadFilters => self.read_filters(),
                TableCommand::SaveFilter(name, filter) => self.save_filter(name, filter),
                TableCommand::ChangeMany(pairs, bulk) => self.change_many(pairs, bulk),
            },
            PairsCommand::Scores(command) => match command {
                ScoresCommand::Read(whose) => self.read_scores(whose),
                ScoresCommand::ReadRows(ids) => self.read_score_rows(ids),
                ScoresCommand::Score(whose) => self.score_pairs(whose),
                ScoresCommand::Close => self.workspace.pairs.scores.under_way = None,
            },
        }
    }

    fn apply_runs(&mut self, command: RunCommand, frame: &eframe::Frame) {
        match command {
            RunCommand::Check(config) => self.check(config),
            RunCommand::Measure(config) => self.measure(config),
            RunCommand::Start(start) => self.start(start),
            RunCommand::Record(start) => self.record(*start),
            RunCommand::Fork(start) => self.fork(*start),
            RunCommand::Mend(start) => {
                if self.workspace.runs.is_going(start.run) {
                    self.stop_live();
                }
                self.fork(*start);
            }
            RunCommand::Ignore(run, kind) => self.ignore(run, kind),
            RunCommand::Extend(run, steps) => self.extend(run, steps),
            RunCommand::Queue(run) => self.train(run, None),
            RunCommand::Continue(run) => {
                self.views.train.sheet = Sheet::Run;
                self.views.train.shown = Some(run);
                // The window has said so before.
                let runs = &self.workspace.runs;
                let again = runs.record(run).is_some_and(|record| runs.would_start_again(record));
                self.train(run, again.then_some(0));
            }
            RunCommand::Withdraw(run) => self.withdraw(run, false),
            RunCommand::LeaveWaited => self.leave_waited(),
            RunCommand::Move(run, to) => self.move_in_queue(run, to),
            RunCommand::SetPaused(paused) => {
                if let Some(live) = &mut self.workspace.runs.live {
                    live.control.set_paused(paused);
                    live.paused = paused;
                }
            }
            RunCommand::Stop => self.stop_live(),
            RunCommand::PauseElsewhere(run, on) => self.pause_elsewhere(run, on),
            RunCommand::StopElsewhere(run) => self.stop_elsewhere(run),
            RunCommand::Checkpoint => self.ask_about_live(|run| Request::Checkpoint { run }),
            RunCommand::Settle(answer) => self.ask_about_live(|run| Request::Settle { run, answer }),
            RunCommand::PickPlace => {
                let settle = |folder| Command::Runs(RunCommand::Settle(SaveAnswer::Elsewhere(folder)));
                self.dialogs.pick_folder(frame, "Save the checkpoints in", settle);
            }
            // The engine marks the charts when the knob counts.
            RunCommand::Turn(knob) => self.ask_about_live(|run| Request::Turn { run, knob }),
            RunCommand::TakeIn(run, asked) => self.take_in(run, asked),
            RunCommand::ReadLabels(key) => self.read_labels(key),
            RunCommand::ReadSeen(key) => self.read_seen(key),
            RunCommand::ShowSeen(asked) => self.show_seen(asked),
            RunCommand::Load(run) => self.load_history(run, false),
            RunCommand::Reload(run) => self.load_history(run, true),
            RunCommand::ReadTimes(run, to) => self.read_times(run, to),
            RunCommand::KeepBoard => self.keep_board(),
            RunCommand::ReadStretch(stretch, last) => self.read_stretch(stretch, last),
            RunCommand::ReadRollout(wanted) => self.read_rollout(wanted),
            RunCommand::ShowSteps(pair) => self.show_steps(pair),
            RunCommand::List => self.load_runs(),
            RunCommand::ListCheckpoints => self.load_checkpoints(),
            RunCommand::PickReport => {
                let runs: Vec<_> = self.views.compare.shown(&self.workspace.runs).iter().map(|run| run.id).collect();
                let then = |file| Command::Runs(RunCommand::Report(runs, file));
                self.dialogs.save_file(frame, "A file for the report", "comparison.html", then);
            }
            RunCommand::Report(runs, file) => self.report_of(runs, file),
            RunCommand::PickBundle(run) => {
                let then = move |file| Command::Runs(RunCommand::Bundle(run, file));
                let name = format!("run-{}.{}", run.0, store::bundle::EXTENSION);
                self.dialogs.save_file(frame, "A file for the run", &name, then);
            }
            RunCommand::Bundle(run, file) => self.bundle(run, file),
            RunCommand::PickCurves(kind) => {
                let then = move |place| Command::Runs(RunCommand::Curves(kind, place));
                match kind.ending() {
                    Some(end) => self.dialogs.save_file(frame, "A file for the charts", &format!("charts.{end}"), then),
                    None => self.dialogs.pick_folder(frame, "A folder for TensorBoard", then),
                }
            }
            RunCommand::Curves(kind, place) => self.save_curves(kind, place),
            RunCommand::ReadCells(cells) => self.read_cells(cells),
            RunCommand::ReadFought(wanted) => self.read_fought(wanted),
            RunCommand::SetAbout(run, about) => self.set_about(run, *about),
            RunCommand::TurnAbout { back } => self.turn_about(back),
            RunCommand::Delete(run) => self.delete_run(run),
        }
    }

    fn apply_answers(&mut self, command: AnswersCommand) {
        match command {
            AnswersCommand::ReadSamples(run) => self.read_samples(run),
            AnswersCommand::Ask => self.ask_weights(),
            AnswersCommand::Stop => self.views.answers.ask.stop(),
            AnswersCommand::BeginAnew => {
                self.views.answers.ask.begin_anew();
                self.views.answers.preferred = None;
            }
            AnswersCommand::Prefer(side) => self.prefer(side),
            AnswersCommand::SetProbes(probes) => self.set_probes(probes),
            AnswersCommand::Duel(command) => self.duel(command),
            AnswersCommand::ReadJudged(run, step) => self.read_judged(run, step),
            AnswersCommand::WriteRules => self.write_rules(),
            AnswersCommand::SaveRules { before, text } => self.save_rules(before, text),
        }
    }

    fn apply_models(&mut self, command: ModelsCommand, frame: &eframe::Frame) {
        let add = |place| Command::Models(ModelsCommand::Add(place));
        match command {
            ModelsCommand::Look => self.look_for_models(),
            ModelsCommand::LookAt { name, path } => self.look_at_model(name, path),
            ModelsCommand::Add(place) => self.add_models(place),
            ModelsCommand::PickFolder => self.dialogs.pick_folder(frame, "A model, or a folder of models", add),
            ModelsCommand::PickFile => self.dialogs.pick_file(frame, "A GGUF file", &["gguf"], add),
            ModelsCommand::Forget(place) => {
                self.views.models.places.retain(|known| *known != place);
                self.workspace.models.looked = Loaded::Absent;
            }
            ModelsCommand::Use(card) => self.use_model(*card, ModelConfig::START_ADAPTER),
            ModelsCommand::Continue(card) => self.use_model(*card, ModelConfig::CONTINUE_ADAPTER),
            ModelsCommand::Try(card) => self.try_model(*card),
            ModelsCommand::TryRun(run) => self.ask_from(AnswerSource::Run { run, step: None }),
            ModelsCommand::ShowRun(run) => {
                self.views.screen = Screen::Models;
                self.views.models.selected = Some(Selected::Run(run));
                self.views.models.reveal = true;
            }
            ModelsCommand::OpenFolder(folder) => self.show_folder(&folder),
            ModelsCommand::Fetch(command) => self.apply_fetch(command),
            ModelsCommand::Export(command) => self.apply_export(command, frame),
        }
    }

    fn apply_fetch(&mut self, command: FetchCommand) {
        match command {
            FetchCommand::Ask(name) => self.ask_hub(name),
            FetchCommand::Start(name) => self.start_download(&name),
            FetchCommand::Watch => self.watch_download(),
            FetchCommand::Cancel => {
                if let Some(download) = &self.download {
                    download.cancel();
                }
            }
            FetchCommand::Close => {
                self.views.models.intake = AddForm::None;
                if !self.workspace.models.fetching.is_busy() {
                    self.workspace.models.fetching = Fetching::Idle;
                }
            }
            FetchCommand::OpenPage(page) => self.ctx.open_url(egui::OpenUrl::new_tab(page)),
        }
    }

    fn apply_export(&mut self, command: ExportCommand, frame: &eframe::Frame) {
        let models = &mut self.workspace.models;
        match command {
            ExportCommand::Start(order) => self.export_run(*order),
            ExportCommand::Cancel => {
                if let Exporting::UnderWay { control, .. } = &models.exporting {
                    control.cancel();
                }
            }
            ExportCommand::PickTarget(layout) => {
                let then = |target| Command::Models(ModelsCommand::Export(ExportCommand::SetTarget(target)));
                if layout.is_file() {
                    self.dialogs.save_file(frame, "A file for the report", "report.html", then);
                } else {
                    self.dialogs.pick_folder(frame, "A folder for the export", then);
                }
            }
            ExportCommand::SetTarget(target) => {
                self.views.models.export.target = target.display().to_string();
            }
            ExportCommand::Close => {
                if !models.exporting.is_under_way() {
                    models.exporting = Exporting::Idle;
                }
            }
        }
    }

    fn apply_projects(&mut self, command: ProjectsCommand, frame: &eframe::Frame) {
        let dir = |dir| Command::Projects(ProjectsCommand::SetDir(dir));
        let model = |model| Command::Projects(ProjectsCommand::SetModel(model));
        match command {
            ProjectsCommand::Make(new) => self.make_project(*new),
            ProjectsCommand::Glance(form) => self.glance_at(form),
            ProjectsCommand::PickDir => self.dialogs.pick_folder(frame, "A folder for the project", dir),
            ProjectsCommand::PickModel => self.dialogs.pick_folder(frame, "The model to tune", model),
            ProjectsCommand::PickModelFile => {
                self.dialogs.pick_file(frame, "The GGUF file to tune", &["gguf"], model);
            }
            ProjectsCommand::SetDir(dir) => self.views.projects.form.dir = dir.display().to_string(),
            ProjectsCommand::SetModel(model) => self.views.projects.form.model = model.display().to_string(),
            ProjectsCommand::Look => self.look_for_projects(),
            ProjectsCommand::Forget(dir) => self.views.projects.forget(&dir),
        }
    }

    fn close(&mut self, answer: CloseAnswer) {
        if self.leave.is_asked() {
            return; // It closes whatever is answered.
        }
        self.workspace.closing = match answer {
            CloseAnswer::Stay => Closing::No,
            CloseAnswer::CloseAfterRun => Closing::AfterRun,
            CloseAnswer::StopAndClose => {
                // Else the next of the queue would begin, and keep the window open.
                self.withdraw_waiting();
                self.stop_live();
                Closing::AfterRun
            }
            CloseAnswer::GoOnInBackground => {
                let live = self.workspace.runs.live.as_ref().map(|live| live.run);
                self.withdraw_waiting();
                self.stop_live();
                live.map_or(Closing::No, Closing::ToBackground)
            }
        };
        self.close_when_done();
    }

    /// Asks the engine; says so when it cannot listen now.
    pub(super) fn ask_engine(&mut self, request: Request) -> bool {
        let sent = self.engine.requests.try_send(request).is_ok();
        if !sent {
            self.workspace.notices.push(Notice::warning(
                "The engine is busy and did not take the request",
                "Try again in a moment; if it stays so, save and start the program again",
            ));
        }
        sent
    }

    /// Asks the engine something about the run that is going, if one is.
    fn ask_about_live(&mut self, request: impl FnOnce(store::RunId) -> Request) {
        if let Some(run) = self.workspace.runs.live.as_ref().map(|live| live.run) {
            self.ask_engine(request(run));
        }
    }
}
