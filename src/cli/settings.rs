//! The settings of a run: the project's own, then a file, then what was typed.

use std::path::Path;

use anyhow::{Context as _, Result};
use data::config::{Method, ObjectiveConfig, RunConfig, Setting, SettingKind, Suggestion, Threads, validate};
use engine::catalog;
use store::Project;

use super::{args::Settings, ending::usage};

impl Settings {
    /// With what the program as a whole was told.
    pub fn with_threads(&self, threads: Option<u16>) -> Self {
        Self { threads, ..self.clone() }
    }

    /// What a run with these settings would be. Everything wrong with it is told at once.
    pub fn resolve(&self, project: Option<&Project>) -> Result<Resolved> {
        let text = match (&self.config, project) {
            (Some(path), _) => files::read_any_text(path, files::SETTINGS)?,
            (None, Some(project)) => project.settings()?.run_toml,
            (None, None) => String::new(),
        };
        let base = RunConfig::from_toml(&text);
        let base = match &self.config {
            Some(path) => base.map_err(|error| usage(format!("{}: {error}", path.display())))?,
            None => base.context("The project's own settings cannot be read; name others with --config")?,
        };
        let mut set = overrides(&self.set)?;
        set.extend(left_to_the_method(&base, &set));
        let mut chosen = RunConfig::keys_in(&text)?;
        for (key, value) in &set {
            // An empty value takes the key away.
            if value.is_empty() {
                chosen.remove(key)
            } else {
                chosen.insert(key.clone())
            };
        }
        let mut config = base.with_overrides(&set).map_err(|error| usage(error.to_string()))?;
        if let Some(steps) = self.steps {
            config.train.steps = Some(steps);
        }
        if let Some(device) = self.device {
            config.train.device = device.to_string();
        }
        if let Some(threads) = self.threads {
            config.train.threads = Threads::Count(usize::from(threads));
        }
        let suggestions = match project {
            Some(project) => {
                let basis = catalog::basis(project, &config)?;
                config.follow(&basis, |setting| chosen.contains(setting.key))
            }
            None => Vec::new(),
        };
        let faults = validate(&config);
        if faults.is_empty() {
            Ok(Resolved { config, suggestions })
        } else {
            let sentences: Vec<String> = faults.into_iter().map(|(_, sentence)| sentence).collect();
            Err(usage(sentences.join("\n")))
        }
    }
}

/// What the settings name and another method that was typed cannot take, unless it was typed too.
fn left_to_the_method(base: &RunConfig, set: &[(String, String)]) -> Vec<(String, String)> {
    let kind = set.iter().rev().find(|(key, _)| key == ObjectiveConfig::KIND.key);
    let Some(method) = kind.and_then(|(_, word)| Method::named(word)) else {
        return Vec::new();
    };
    let is_typed = |setting: &Setting| set.iter().any(|(key, _)| key == setting.key);
    let lacking = base.objective.not_for(method).into_iter().filter(|setting| !is_typed(setting));
    lacking.map(|setting| (setting.key.to_owned(), String::new())).collect()
}

/// What stands after each `--set`.
pub fn overrides(set: &[String]) -> Result<Vec<(String, String)>> {
    let pairs = set.iter().map(|word| {
        let (key, value) = word.split_once('=').ok_or_else(|| {
            usage(format!("Expected KEY=VALUE such as objective.beta=0.2 after --set, found \"{word}\"."))
        })?;
        let (key, value) = (key.trim(), value.trim());
        Ok((key.to_owned(), from_here(key, value)))
    });
    pairs.collect()
}

/// The settings of a run, and those among them that follow the data and the model.
#[derive(Debug)]
pub struct Resolved {
    pub config: RunConfig,
    pub suggestions: Vec<Suggestion>,
}

/// What stands in a `run.toml`, and nothing of what does not; what it says wrong is wrong usage.
pub fn read_chosen(path: &Path) -> Result<String> {
    let text = files::read_any_text(path, files::SETTINGS)?;
    let config = RunConfig::from_toml(&text).map_err(|error| usage(format!("{}: {error}", path.display())))?;
    let chosen = RunConfig::keys_in(&text)?;
    Ok(config.to_toml_without(|key| !chosen.contains(key))?)
}

/// A path that is found where we are, made absolute; anything else as it is. One that is not here counts from the
/// project.
fn from_here(key: &str, value: &str) -> String {
    let is_path = Setting::of(key).is_some_and(|setting| matches!(setting.kind, SettingKind::Path | SettingKind::File));
    let is_here = !value.is_empty() && is_path && Path::new(value).exists();
    if is_here && let Ok(path) = std::path::absolute(value) {
        return path.to_string_lossy().into_owned();
    }
    value.to_owned()
}

/// `run.toml` with every key: those that have no value stand as comments that say what then counts, and so do the
/// reasons of those that follow the data and the model.
pub fn print(Resolved { config, suggestions }: &Resolved) -> Result<String> {
    let mut text = config.to_toml()?;
    let values = config.every_value()?;
    let absent: Vec<String> = RunConfig::settings()
        .filter(|setting| !values.contains_key(setting.key))
        .filter_map(|setting| Some(format!("{}: {}", setting.key, setting.unset?(config))))
        .collect();
    if !absent.is_empty() {
        text.push_str("\n# Not set, so that this counts:\n");
        for line in absent {
            text.push_str("#   ");
            text.push_str(&line);
            text.push('\n');
        }
    }
    if !suggestions.is_empty() {
        text.push_str("\n# Not set either, so that these follow the data and the model:\n");
        let lines = suggestions.iter().map(|Suggestion { setting, value, because }| {
            let key = setting.key;
            format!("#   {key}: {value}, because {because}\n")
        });
        text.extend(lines);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::ending::Usage;
    use store::ProjectSettings;

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
        let of_project = settings(&[]).resolve(Some(&project)).unwrap().config;
        assert_eq!((of_project.train.steps, of_project.train.keep), (Some(7), 9));

        let file = dir.path().join("run.toml");
        fs::write(&file, "[train]\nsteps = 8\n[objective]\nbeta = 0.5\n").unwrap();
        let typed = Settings {
            config: Some(file),
            steps: Some(3),
            threads: Some(2),
            ..settings(&["objective.beta=0.25", "train.threads = 8"])
        };
        let config = typed.resolve(Some(&project)).unwrap().config;
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
            ("objective.kind=sft", "sft"),
            ("train.steps=0", "train.steps"),
        ] {
            let error = settings(&[set]).resolve(None).unwrap_err();
            assert!(error.is::<Usage>(), "{set}: {error}");
            assert!(error.to_string().contains(expected), "{set}: {error}");
        }
    }

    #[test]
    fn another_method_takes_what_the_project_set_as_far_as_it_can() {
        let dir = tempfile::tempdir().unwrap();
        let run_toml = "[objective]\nmargin = \"mean\"\nreference_weight = 0.7\n".to_owned();
        let project =
            Project::create(&dir.path().join("project"), &ProjectSettings { run_toml, ..ProjectSettings::default() })
                .unwrap();
        let objective = settings(&["objective.kind=ipo"]).resolve(Some(&project)).unwrap().config.objective;
        assert_eq!((objective.margin, objective.reference_weight()), (None, 0.7));
        let typed = settings(&["objective.kind=ipo", "objective.margin=mean"]).resolve(Some(&project));
        assert!(typed.unwrap_err().to_string().contains("reference-free"), "what was typed is not changed in silence");
    }

    #[test]
    fn what_is_printed_can_be_read_again() {
        let resolved = settings(&["lora.rank=4"]).resolve(None).unwrap();
        let text = print(&resolved).unwrap();
        assert!(text.contains("#   objective.reference_weight: 0.3"), "{text}");
        assert_eq!(RunConfig::from_toml(&text).unwrap(), resolved.config);
    }

    #[test]
    fn a_path_that_is_here_is_meant() {
        assert!(Path::new(&from_here("model.path", "args")).is_absolute());
        assert_eq!(from_here("model.path", "models/none"), "models/none");
        assert_eq!(from_here("train.device", "args"), "args");
    }
}
