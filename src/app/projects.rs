//! Carries out what the Projects place asks for: new projects, remembered ones.

use std::path::{Path, PathBuf};

use super::App;
use crate::{
    engine::catalog::Catalog,
    state::{
        Command, Notice, Screen,
        pairs::Strip,
        projects::{Form, Making, NewProject, ProjectsCommand},
    },
    store::{Project, ProjectSettings, StoreError},
};

impl App {
    pub(super) fn apply_projects(&mut self, command: ProjectsCommand, frame: &eframe::Frame) {
        let then = Command::Projects;
        match command {
            ProjectsCommand::Make(new) => self.make_project(*new),
            ProjectsCommand::PickDir => {
                self.dialogs
                    .pick_folder(frame, "A folder for the project", move |dir| then(ProjectsCommand::SetDir(dir)));
            }
            ProjectsCommand::PickModel => {
                self.dialogs
                    .pick_folder(frame, "The model to tune", move |model| then(ProjectsCommand::SetModel(model)));
            }
            ProjectsCommand::PickModelFile => {
                self.dialogs.pick_file(frame, "The GGUF file to tune", &["gguf"], move |model| {
                    then(ProjectsCommand::SetModel(model))
                });
            }
            ProjectsCommand::SetDir(dir) => {
                self.views.projects.form.dir = dir.display().to_string();
            }
            ProjectsCommand::SetModel(model) => {
                self.views.projects.form.model = model.display().to_string();
            }
            ProjectsCommand::Look => self.look_for_projects(),
            ProjectsCommand::Forget(dir) => self.views.projects.forget(&dir),
        }
    }

    fn make_project(&mut self, new: NewProject) {
        if let Some(live) = &self.workspace.runs.live {
            let run = self.workspace.runs.name(live.run);
            self.workspace.projects.making = Making::Failed(format!(
                "{run} is still going, and making a project would close this one. Stop the run first"
            ));
            return;
        }
        self.commit_drafts();
        self.workspace.projects.making = Making::UnderWay;
        let catalog = self.catalog.clone();
        let failure = format!("Could not make {}", new.dir.display());
        self.files.open(failure, move |document| {
            let made = make(&catalog, &new).and_then(|(project, has_template)| {
                let opened = super::apply::read_opened(&project)?;
                Ok((project, opened, has_template))
            });
            let (project, opened, has_template) = match made {
                Ok(made) => made,
                // Said beside the form, which stays as it is.
                Err(error) => {
                    let sentence = format!("{error:#}");
                    return Ok(Box::new(move |workspace, _| {
                        workspace.projects.making = Making::Failed(sentence);
                    }));
                }
            };
            *document = Some(project);
            Ok(Box::new(move |workspace, views| {
                workspace.projects.making = Making::Idle;
                workspace.open(opened, views);
                views.projects.form = Form::default();
                views.screen = Screen::Pairs;
                views.pairs.strip = Strip::Import;
                views.pairs.strip_opens = true;
                if !has_template {
                    workspace.notices.push(Notice::info(
                        "This model has no chat template, so it can be trained on plain text prompts only",
                    ));
                }
            }))
        });
    }

    fn look_for_projects(&mut self) {
        self.workspace.projects.looked = true;
        let recent = self.views.projects.recent.clone();
        self.models.open("Could not look for projects", move |_| {
            let dirs = recent.into_iter().map(|recent| recent.dir);
            let gone: Vec<PathBuf> = dirs.filter(|dir| !Project::is_project(dir)).collect();
            Ok(Box::new(move |workspace, _| workspace.projects.gone = gone))
        });
    }
}

/// Makes a project for a model that can be read. Says whether the model has a chat template.
fn make(catalog: &Catalog, new: &NewProject) -> anyhow::Result<(Project, bool)> {
    // A folder with other people's files in it is no place for a document.
    if is_full(&new.dir) {
        if Project::is_project(&new.dir) {
            return Err(StoreError::AlreadyAProject(new.dir.clone()).into());
        }
        anyhow::bail!("{} is not empty; name a new folder, or an empty one", new.dir.display());
    }
    let model = catalog.usable(&new.model)?;
    let settings = ProjectSettings { name: new.name.clone(), model: model.folder, run_toml: String::new() };
    Ok((Project::create(&new.dir, &settings)?, model.has_template))
}

fn is_full(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some())
}

/// Where new projects go: `Nudge` among the user's documents, or at home where there is no such folder.
pub(super) fn home() -> PathBuf {
    let dirs = directories::UserDirs::new();
    let documents = dirs.as_ref().and_then(|dirs| dirs.document_dir());
    let home = dirs.as_ref().map(directories::UserDirs::home_dir);
    documents.or(home).unwrap_or(Path::new(".")).join("Nudge")
}
