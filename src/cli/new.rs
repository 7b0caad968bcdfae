//! `nudge new`: makes a project.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::{args::New, ending::Ending, output, settings};
use crate::{
    model::{Shelf, Spec},
    store::{Project, ProjectSettings},
    text::Codec,
};

pub fn run(args: &New) -> Result<Ending> {
    let New {
        dir,
        model,
        name,
        config,
    } = args;
    // Before anything is made: a project whose model cannot be read would be of no use.
    let model = &Shelf::of_user().resolve(model)?;
    Spec::read(model)?;
    let codec = Codec::load(model)?;
    let run_toml = match config {
        Some(path) => settings::read(path)?.to_toml()?,
        None => String::new(),
    };
    let model = std::path::absolute(model).context("Could not find out where we are")?;
    let name = name.clone().unwrap_or_else(|| name_of(dir));
    let project = Project::create(
        dir,
        &ProjectSettings {
            name,
            model,
            run_toml,
        },
    )?;
    output::line(format!("Made the project {}", project.dir().display()))?;
    if !codec.has_template() {
        output::line("Its model has no chat template, so it can be trained on plain text only.")?;
    }
    output::line(format!(
        "Next: nudge import {0} PAIRS.jsonl, or nudge {0}",
        dir.display()
    ))?;
    Ok(Ending::Done)
}

fn name_of(dir: &Path) -> String {
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    dir.file_name().map_or_else(
        || "Project".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}
