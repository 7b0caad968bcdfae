//! The settings of a run: the project's own, then a file, then what was typed.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::{args::Settings, ending::usage};
use crate::{
    data::config::{RunConfig, Threads, validate},
    files,
    store::Project,
};

/// Settings that name a file or folder; a relative one counts from the project unless it is found where we are.
const PATHS: [&str; 5] =
    ["model.path", "model.start_adapter", "model.continue_adapter", "data.reference", "data.retention"];

impl Settings {
    /// With what the program as a whole was told.
    pub fn with_threads(&self, threads: Option<u16>) -> Self {
        Self { threads, ..self.clone() }
    }

    /// What a run with these settings would be. Everything wrong with it is told at once.
    pub fn resolve(&self, project: Option<&Project>) -> Result<RunConfig> {
        let base = match (&self.config, project) {
            (Some(path), _) => read(path)?,
            (None, Some(project)) => {
                let text = project.settings()?.run_toml;
                RunConfig::from_toml(&text)
                    .context("The project's own settings cannot be read; name others with --config")?
            }
            (None, None) => RunConfig::default(),
        };
        let config = self.apply(base)?;
        let faults = validate(&config);
        if faults.is_empty() {
            Ok(config)
        } else {
            let sentences: Vec<String> = faults.into_iter().map(|(_, sentence)| sentence).collect();
            Err(usage(sentences.join("\n")))
        }
    }

    fn apply(&self, base: RunConfig) -> Result<RunConfig> {
        let overrides = self
            .set
            .iter()
            .map(|word| {
                let (key, value) = word.split_once('=').ok_or_else(|| {
                    usage(format!("Expected KEY=VALUE such as objective.beta=0.2 after --set, found \"{word}\"."))
                })?;
                let (key, value) = (key.trim(), value.trim());
                Ok((key.to_owned(), from_here(key, value)))
            })
            .collect::<Result<Vec<_>>>()?;
        let mut config = base.with_overrides(&overrides).map_err(|error| usage(error.to_string()))?;
        if let Some(steps) = self.steps {
            config.train.steps = Some(steps);
        }
        if let Some(device) = self.device {
            config.train.device = device.to_string();
        }
        if let Some(threads) = self.threads {
            config.train.threads = Threads::Count(usize::from(threads));
        }
        Ok(config)
    }
}

/// Reads a `run.toml`; what it says wrong is wrong usage.
pub fn read(path: &Path) -> Result<RunConfig> {
    let text = files::read_any_text(path, files::SETTINGS)?;
    RunConfig::from_toml(&text).map_err(|error| usage(format!("{}: {error}", path.display())))
}

/// A path that is found where we are, made absolute; anything else as it is.
fn from_here(key: &str, value: &str) -> String {
    let is_here = !value.is_empty() && PATHS.contains(&key) && Path::new(value).exists();
    if is_here && let Ok(path) = std::path::absolute(value) {
        return path.to_string_lossy().into_owned();
    }
    value.to_owned()
}

/// `run.toml` with every key: those that have no value stand as comments that say what then counts.
pub fn print(config: &RunConfig) -> Result<String> {
    let mut text = config.to_toml()?;
    let objective = &config.objective;
    let mut absent = Vec::new();
    let mut note = |missing: bool, line: String| {
        if missing {
            absent.push(line);
        }
    };
    note(config.model.path.is_none(), "model.path: the project's model".to_owned());
    note(config.model.start_adapter.is_none(), "model.start_adapter: none".to_owned());
    note(config.model.continue_adapter.is_none(), "model.continue_adapter: none, a new adapter".to_owned());
    note(config.data.retention.is_none(), "data.retention: the project's retention text".to_owned());
    note(objective.margin.is_none(), format!("objective.margin: {}", objective.margin().name()));
    note(objective.reference_weight.is_none(), format!("objective.reference_weight: {}", objective.reference_weight()));
    note(objective.retention_weight.is_none(), format!("objective.retention_weight: {}", objective.retention_weight()));
    note(config.train.memory_mb.is_none(), "train.memory_mb: 80 % of what is free when the run starts".to_owned());
    note(config.train.steps.is_none(), format!("train.steps: as many as {} epochs have", config.train.epochs));
    if !absent.is_empty() {
        text.push_str("\n# Not set, so that this counts:\n");
        for line in absent {
            text.push_str("#   ");
            text.push_str(&line);
            text.push('\n');
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{cli::ending::Usage, store::ProjectSettings};

    fn settings(set: &[&str]) -> Settings {
        Settings { set: set.iter().map(|word| (*word).to_owned()).collect(), ..Settings::default() }
    }

    #[test]
    fn each_source_overrules_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::create(
            &dir.path().join("project"),
            &ProjectSettings { run_toml: "[train]\nsteps = 7\nkeep = 9\n".to_owned(), ..ProjectSettings::default() },
        )
        .unwrap();
        let of_project = settings(&[]).resolve(Some(&project)).unwrap();
        assert_eq!((of_project.train.steps, of_project.train.keep), (Some(7), 9));

        let file = dir.path().join("run.toml");
        fs::write(&file, "[train]\nsteps = 8\n[objective]\nbeta = 0.5\n").unwrap();
        let typed = Settings {
            config: Some(file),
            steps: Some(3),
            threads: Some(2),
            ..settings(&["objective.beta=0.25", "train.threads = 8"])
        };
        let config = typed.resolve(Some(&project)).unwrap();
        assert_eq!(config.train.steps, Some(3));
        assert_eq!(config.train.threads, Threads::Count(2));
        assert_eq!(config.train.keep, RunConfig::default().train.keep);
        assert_eq!(config.objective.beta, 0.25);
    }

    #[test]
    fn what_is_wrong_is_a_sentence_about_usage() {
        for (set, expected) in [
            ("objective.betta=1", "objective.beta"),
            ("objective.beta", "KEY=VALUE"),
            ("objective.beta=-1", "objective.beta"),
            ("objective.kind=ppo", "ppo"),
            ("train.steps=0", "train.steps"),
        ] {
            let error = settings(&[set]).resolve(None).unwrap_err();
            assert!(error.is::<Usage>(), "{set}: {error}");
            assert!(error.to_string().contains(expected), "{set}: {error}");
        }
    }

    #[test]
    fn what_is_printed_can_be_read_again() {
        let config = settings(&["lora.rank=4"]).resolve(None).unwrap();
        let text = print(&config).unwrap();
        assert!(text.contains("#   objective.reference_weight: 0.3"), "{text}");
        assert_eq!(RunConfig::from_toml(&text).unwrap(), config);
    }

    #[test]
    fn a_path_that_is_here_is_meant() {
        assert!(Path::new(&from_here("model.path", "src")).is_absolute());
        assert_eq!(from_here("model.path", "models/none"), "models/none");
        assert_eq!(from_here("train.device", "src"), "src");
    }
}
