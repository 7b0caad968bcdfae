//! `nudge new`: makes a project.

use std::path::Path;

use anyhow::Result;
use engine::catalog::Catalog;
use store::{Project, ProjectSettings};

use super::{args::New, ending::Ending, output, settings};

pub fn run(args: &New) -> Result<Ending> {
    let New { dir, model, name, config } = args;
    let model = Catalog::of_user().usable(model)?;
    let run_toml = match config {
        Some(path) => settings::read_chosen(path)?,
        None => String::new(),
    };
    let name = name.clone().unwrap_or_else(|| name_of(dir));
    let project = Project::create(dir, &ProjectSettings { name, model: model.folder, run_toml })?;
    output::line(format!("Made the project {}", project.dir().display()))?;
    if !model.has_template {
        output::line(
            "Its model has no chat template: conversations are written in plain style, “User: …” and “Assistant: …”.",
        )?;
    }
    output::line(format!("Next: nudge import {0} PAIRS.jsonl, or nudge {0}", dir.display()))?;
    Ok(Ending::Done)
}

fn name_of(dir: &Path) -> String {
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    dir.file_name().map_or_else(|| "Project".to_owned(), |name| name.to_string_lossy().into_owned())
}
