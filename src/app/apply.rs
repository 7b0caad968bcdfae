//! The one place that carries commands out.

use std::path::PathBuf;

use super::App;
use crate::{
    data::config::RunConfig,
    engine::protocol::Request,
    state::{Closing, Command, Notice, Opened, ProjectSummary, Screen, command::CloseAnswer},
    store::{self, Project},
};

impl App {
    /// Applies what dialogs and the last frame asked for.
    pub(super) fn apply_pending(&mut self, ctx: &egui::Context, frame: &eframe::Frame) {
        let mut commands = self.dialogs.collect(&mut self.workspace.notices);
        commands.extend(self.commands.take());
        for command in commands {
            self.apply(command, ctx, frame);
        }
    }

    fn apply(&mut self, command: Command, ctx: &egui::Context, frame: &eframe::Frame) {
        match command {
            Command::OpenProject(dir) => {
                let name = dir.display().to_string();
                self.open_project(&name, move || Ok(dir));
            }
            Command::OpenDemo => {
                self.open_project("the demo project", || Ok(store::demo::open_demo(None)?));
            }
            Command::PickProject => {
                self.dialogs.pick_folder(frame, "Open a project", Command::OpenProject);
            }
            Command::PickLaunchFolder(key) => {
                self.dialogs.pick_folder(frame, "Choose a folder", move |folder| Command::SetLaunchFolder(key, folder));
            }
            Command::SetLaunchFolder(key, folder) => {
                let folder = folder.display().to_string();
                self.views.train.launch.set(key, folder);
            }
            Command::Dismiss(id) => self.workspace.notices.dismiss(id),
            Command::DismissAll => self.workspace.notices.dismiss_all(),
            Command::Close(answer) => self.apply_close(answer, ctx),
            Command::Runs(command) => self.apply_runs(command, frame),
            Command::Pairs(command) => self.apply_pairs(command, ctx, frame),
            Command::Inspect(spot, subject) => self.inspect(spot, subject),
            Command::ShowPair(pair) => {
                self.views.screen = Screen::Pairs;
                self.views.pairs.tokens = true;
                self.views.pairs.select(Some(pair));
            }
            Command::Answers(command) => self.apply_answers(command, frame),
            Command::Models(command) => self.apply_models(command, ctx, frame),
            Command::Projects(command) => self.apply_projects(command, frame),
        }
    }

    /// Opens the project whose folder `find` gives, on the files thread.
    fn open_project(&mut self, name: &str, find: impl FnOnce() -> anyhow::Result<PathBuf> + Send + 'static) {
        if let Some(live) = &self.workspace.runs.live {
            let run = self.workspace.runs.name(live.run);
            self.workspace.notices.push(Notice::warning(
                format!("{run} is still going, so this project stays open"),
                "Stop the run, then open the other project",
            ));
            return;
        }
        self.commit_drafts();
        self.files.open(format!("Could not open {name}"), move |document| {
            let project = Project::open(&find()?)?;
            let opened = read_opened(&project)?;
            *document = Some(project);
            Ok(Box::new(move |workspace, views| {
                let read_only = opened.project.read_only.then(|| opened.project.dir.display().to_string());
                workspace.open(opened, views);
                if let Some(dir) = read_only {
                    workspace.notices.push(Notice::warning(
                        "This project can only be looked at: nothing in it can be changed, and no run can start",
                        format!("{dir} cannot be written to. Make the folder writable, or copy the project to a place where you may write and open the copy"),
                    ));
                }
            }))
        });
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

    fn apply_close(&mut self, answer: CloseAnswer, ctx: &egui::Context) {
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
        };
        self.close_when_done(ctx);
    }

    /// The window was asked to close: asks back while a run is going.
    pub(super) fn guard_closing(&mut self, ctx: &egui::Context) {
        let asked = ctx.input(|input| input.viewport().close_requested());
        if asked && self.workspace.runs.live.is_some() {
            ctx.send_viewport_cmd(egui::ViewportCommand::CancelClose);
            if self.workspace.closing == Closing::No {
                self.workspace.closing = Closing::Asked;
            }
        }
        self.close_when_done(ctx);
    }

    fn close_when_done(&mut self, ctx: &egui::Context) {
        if self.workspace.closing == Closing::AfterRun && self.workspace.runs.live.is_none() {
            self.workspace.closing = Closing::No;
            ctx.send_viewport_cmd(egui::ViewportCommand::Close);
        }
    }
}

/// Everything the window shows right after opening.
pub(super) fn read_opened(project: &Project) -> anyhow::Result<Opened> {
    let settings = project.settings()?;
    let runs = project.runs()?;
    Ok(Opened {
        project: ProjectSummary {
            dir: project.dir().to_owned(),
            name: settings.name,
            model: settings.model,
            counts: project.counts()?,
            read_only: project.is_read_only(),
            config: RunConfig::from_toml(&settings.run_toml)?,
        },
        saved: super::runs::saved(&runs),
        runs,
    })
}
