//! Projects: opened, made, remembered.

use std::path::{Path, PathBuf};

use data::{ModelCard, config::RunConfig};
use engine::catalog::{self, Catalog};
use state::{
    Notice, OpenedProject, ProjectSummary, Screen,
    compare::board::{self, Board},
    guide::{About, Milestone},
    launch::own_texts,
    models,
    pairs::Strip,
    projects::{Making, NewProject, NewProjectForm, typed_path},
    simple,
};
use store::{self, Project, ProjectSettings, StoreError};
use train::measure::judging;

use super::{
    App,
    jobs::{Lane, update},
};

impl App {
    /// Opens the project whose folder `find` gives.
    pub(super) fn open_project(&mut self, name: &str, find: impl FnOnce() -> anyhow::Result<PathBuf> + Send + 'static) {
        if let Some(live) = &self.workspace.runs.live {
            let run = self.workspace.runs.name(live.run);
            self.workspace.notices.push(Notice::warning(
                format!("{run} is still going, so this project stays open"),
                "Stop the run, then open the other project",
            ));
            return;
        }
        self.commit_drafts();
        self.jobs.document.open(format!("Could not open {name}"), move |document| {
            let project = Project::open(&find()?)?;
            let opened = read_opened(&project)?;
            let bundled = project.bundled_from()?;
            *document = Some(project);
            Ok(update(move |workspace, views| {
                let read_only = opened.project.read_only.then(|| match &bundled {
                    Some(from) => format!("It came out of a bundle: {from}. A project of your own can learn from what you see here"),
                    None => format!("{} cannot be written to. Make the folder writable, or copy the project to a place where you may write and open the copy", opened.project.dir.display()),
                });
                let next = workspace.open(opened, views);
                if let Some(why) = read_only {
                    workspace.notices.push(Notice::warning(
                        "This project can only be looked at: nothing in it can be changed, and no run can start",
                        why,
                    ));
                }
                next
            }))
        });
    }

    pub(super) fn make_project(&mut self, new: NewProject) {
        if self.workspace.runs.live.is_some() {
            self.workspace.projects.making = Making::WhileARunGoes;
            return;
        }
        self.commit_drafts();
        self.workspace.projects.making = Making::UnderWay;
        let catalog = self.catalog.clone();
        let failure = format!("Could not make {}", new.dir.display());
        self.jobs.document.open(failure, move |document| {
            let made = make(&catalog, &new).and_then(|(project, has_template)| {
                let opened = read_opened(&project)?;
                Ok((project, opened, has_template))
            });
            let (project, opened, has_template) = match made {
                Ok(made) => made,
                // Said beside the form, which stays as it is.
                Err(error) => {
                    let sentence = format!("{error:#}");
                    return Ok(update(move |workspace, _| {
                        workspace.projects.making = Making::Failed(sentence);
                    }));
                }
            };
            *document = Some(project);
            Ok(update(move |workspace, views| {
                workspace.projects.making = Making::Idle;
                let next = workspace.open(opened, views);
                views.projects.form = NewProjectForm::default();
                views.guide.put_away(Milestone::MakeYours);
                views.screen = Screen::Pairs;
                views.pairs.strip = Strip::None;
                if !has_template {
                    workspace.notices.push(Notice::info(
                        "This model has no chat template: conversations are written in plain style, “User: …” and “Assistant: …”",
                    ));
                }
                next
            }))
        });
    }

    /// Looks at what is typed so far; an answer about an older text is dropped.
    pub(super) fn glance_at(&mut self, form: NewProjectForm) {
        let home = self.workspace.projects.home.clone();
        let catalog = self.catalog.clone();
        // What is known of the text before stays until the answer is there.
        self.workspace.projects.glance.of = form.clone();
        self.jobs.aside(Lane::Look, "Could not look at the model", move || {
            let model = typed_path(&form.model).map(|model| match catalog.glance(&model) {
                Ok(card) => Ok(in_words(&card)),
                Err(_) if model.is_absolute() && !model.exists() => Err(format!("There is no {}", model.display())),
                Err(_) if model.is_dir() && !catalog::is_model(&model) => {
                    Err(format!("{} holds no model: there is no config.json in it", model.display()))
                }
                Err(error) => Err(error.to_string()),
            });
            let dir = typed_path(&form.dir).unwrap_or_else(|| form.default_dir(&home));
            let dir = no_place(&dir).map(|error| format!("{error:#}"));
            Ok(update(move |workspace, _| {
                let glance = &mut workspace.projects.glance;
                if glance.of == form {
                    (glance.model, glance.dir) = (model, dir);
                }
            }))
        });
    }

    pub(super) fn look_for_projects(&mut self) {
        self.workspace.projects.looked = true;
        let recent = self.views.projects.recent.clone();
        self.jobs.aside(Lane::Look, "Could not look for projects", move || {
            let dirs = recent.into_iter().map(|recent| recent.dir);
            let gone: Vec<PathBuf> = dirs.filter(|dir| !Project::is_project(dir)).collect();
            Ok(update(move |workspace, _| workspace.projects.gone = gone))
        });
    }
}

/// Everything the window shows right after opening.
fn read_opened(project: &Project) -> anyhow::Result<OpenedProject> {
    let settings = project.settings()?;
    let runs = project.runs()?;
    Ok(OpenedProject {
        project: ProjectSummary {
            dir: project.dir().to_owned(),
            name: settings.name,
            parameters: catalog::parameters(&project.dir().join(&settings.model)),
            has_template: text::has_template(&project.dir().join(&settings.model)).unwrap_or(true),
            model: settings.model,
            counts: project.counts()?,
            read_only: project.is_read_only(),
            references: project.references()?.len(),
            about: About::from_toml(&project.setting(store::demo::ABOUT)?.unwrap_or_default()),
            config: RunConfig::from_toml(&settings.run_toml)?,
            chosen: RunConfig::keys_in(&settings.run_toml)?,
            own: own_texts(project.setting(simple::USUAL)?.as_ref().unwrap_or(&settings.run_toml)),
        },
        saved: super::runs::saved(&runs),
        order: project.queue_order()?,
        rules: judging::heads(project, &runs),
        can_turn_about: project.can_turn_about()?,
        texts: super::writing::of(project)?,
        board: project.setting(board::KEY)?.map(|text| Board::from_text(&text)).unwrap_or_default(),
        ignored: super::runs::ignored(project)?,
        runs,
    })
}

/// Why a project cannot be made in a folder: one with other people's files in it is no place for a document.
fn no_place(dir: &Path) -> Option<anyhow::Error> {
    match () {
        () if dir.is_file() => Some(anyhow::anyhow!("{} is a file; name a folder", dir.display())),
        () if !is_full(dir) => None,
        () if Project::is_project(dir) => Some(StoreError::AlreadyAProject(dir.to_owned()).into()),
        () => Some(anyhow::anyhow!("{} is not empty; name a new folder, or an empty one", dir.display())),
    }
}

/// "Qwen2, 494 M parameters", or what is known of it.
fn in_words(card: &ModelCard) -> String {
    let parameters = card.parameters.map(|count| format!("{} parameters", models::count(count)));
    let known = [card.family.clone(), parameters, card.dtype.clone()];
    known.into_iter().flatten().collect::<Vec<String>>().join(", ")
}

/// Makes a project for a model that can be read. Says whether the model has a chat template.
fn make(catalog: &Catalog, new: &NewProject) -> anyhow::Result<(Project, bool)> {
    if let Some(error) = no_place(&new.dir) {
        return Err(error);
    }
    let model = catalog.usable(&new.model)?;
    let settings = ProjectSettings { name: new.name.clone(), model: model.folder, run_toml: String::new() };
    Ok((Project::create(&new.dir, &settings)?, model.has_template))
}

fn is_full(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some())
}
