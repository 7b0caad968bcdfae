//! Which project, which run.

use std::{ffi::OsString, path::PathBuf};

use anyhow::Result;
use store::{Project, RunRecord, demo};

use super::{
    args::{OneRun, Place},
    ending::usage,
};

/// The project's folder: the one named, or the demo's, made now if need be.
pub fn project_dir(project: Option<&PathBuf>, is_demo: bool) -> Result<PathBuf> {
    match project {
        Some(dir) => Ok(dir.clone()),
        None if is_demo => Ok(demo::open_demo(None)?),
        None => Err(usage("Name a project, or --demo.")),
    }
}

impl Place {
    pub fn dir(&self) -> Result<PathBuf> {
        project_dir(self.project.as_ref(), self.demo)
    }

    pub fn open(&self) -> Result<Project> {
        Ok(Project::open(&self.dir()?)?)
    }
}

impl OneRun {
    pub fn open(&self) -> Result<(Project, RunRecord)> {
        project_and_run(&self.place, self.demo)
    }
}

/// The project and the run of `PROJECT RUN`, or with `--demo` of `RUN`.
pub fn project_and_run(words: &[OsString], is_demo: bool) -> Result<(Project, RunRecord)> {
    let (dir, run) = match (words, is_demo) {
        ([dir, run], false) => (PathBuf::from(dir), run),
        ([run], true) => (demo::open_demo(None)?, run),
        ([_], false) => return Err(usage("Name a project and a run, e.g. `PROJECT last`.")),
        _ => return Err(usage("With --demo name just a run, e.g. `--demo last`.")),
    };
    let project = Project::open(&dir)?;
    let record = find(&project, &run.to_string_lossy())?;
    Ok((project, record))
}

/// A run by number, by name (the newest of that name), or "last".
pub fn find(project: &Project, word: &str) -> Result<RunRecord> {
    let mut runs = project.runs()?;
    let number: Option<i64> = word.trim_start_matches('#').parse().ok();
    let place = if word == "last" {
        runs.len().checked_sub(1)
    } else {
        runs.iter().rposition(|run| Some(run.id.0) == number).or_else(|| runs.iter().rposition(|run| run.name == word))
    };
    match place {
        Some(place) => Ok(runs.swap_remove(place)),
        None if runs.is_empty() => {
            anyhow::bail!("There is no run in {} yet. Start one with `nudge train`.", project.dir().display())
        }
        None => anyhow::bail!("There is no run \"{word}\" in {}. `nudge runs` lists them.", project.dir().display()),
    }
}

/// A run and, where one is named, a step of it: `RUN` or `RUN@STEP`.
pub fn find_at(project: &Project, word: &str) -> Result<(RunRecord, Option<u64>)> {
    let whole = find(project, word);
    // A name may have an @ of its own.
    let Some((name, step)) = word.rsplit_once('@').filter(|_| whole.is_err()) else { return Ok((whole?, None)) };
    let step = step.parse().map_err(|_| usage(format!("Expected RUN@STEP, found \"{word}\".")))?;
    Ok((find(project, name)?, Some(step)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{NewRun, ProjectSettings};

    #[test]
    fn a_run_is_found_by_number_name_or_as_the_last_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        let error = find(&project, "last").unwrap_err().to_string();
        assert!(error.contains("nudge train"), "{error}");
        for name in ["MPO", "2", "MPO"] {
            project.create_run(&NewRun { name: name.to_owned(), ..NewRun::default() }).unwrap();
        }
        let id = |word| find(&project, word).map(|run| run.id.0).ok();
        assert_eq!(id("1"), Some(1));
        assert_eq!(id("#3"), Some(3));
        assert_eq!(id("2"), Some(2), "a number before a name");
        assert_eq!(id("MPO"), Some(3), "the newest of that name");
        assert_eq!(id("last"), Some(3));
        assert_eq!(id("DPO"), None);
        project.create_run(&NewRun { name: "me@home".to_owned(), ..NewRun::default() }).unwrap();
        let at = |word| find_at(&project, word).map(|(run, step)| (run.id.0, step)).ok();
        assert_eq!(
            [at("me@home"), at("me@home@3"), at("2@5")],
            [Some((4, None)), Some((4, Some(3))), Some((2, Some(5)))]
        );
        assert_eq!(at("MPO@first"), None);
    }
}
