//! The checkpoints of runs, and the labels that each has seen.

use std::collections::HashMap;

use anyhow::Result;
use serde_json::{Value as Json, json};
use store::{LabelsOf, Project, Revision, RunRecord};
use train::run::checkpoint::{self, SeenRevision};

use super::output;

/// Labels by revision of the pairs: many checkpoints have seen the same.
#[derive(Default)]
pub struct Known(HashMap<Revision, LabelsOf>);

impl Known {
    fn of(&mut self, project: &Project, revision: Revision) -> Result<LabelsOf> {
        if let Some(known) = self.0.get(&revision) {
            return Ok(*known);
        }
        let labels = project.labels_of(revision)?;
        self.0.insert(revision, labels);
        Ok(labels)
    }
}

/// One checkpoint on the disk.
struct Checkpoint {
    step: u64,
    asked_for: bool,
    /// Oldest first; empty where the checkpoint cannot be read.
    seen: Vec<SeenRevision>,
    labels: Option<LabelsOf>,
}

/// Ascending.
fn of(project: &Project, run: &RunRecord, known: &mut Known) -> Result<Vec<Checkpoint>> {
    let asked_for = engine::checkpoints_asked_for(&run.checkpoints);
    let mut all = Vec::new();
    for step in engine::checkpoint_steps(&run.checkpoints) {
        let seen = checkpoint::seen(&run.checkpoints, step);
        let labels = seen.last().map(|last| known.of(project, last.revision)).transpose()?;
        all.push(Checkpoint { step, asked_for: asked_for.contains(&step), seen, labels });
    }
    Ok(all)
}

/// An array with an object a checkpoint.
pub fn as_json(project: &Project, run: &RunRecord, known: &mut Known) -> Result<Json> {
    let all = of(project, run, known)?;
    let each = all.into_iter().map(|Checkpoint { step, asked_for, seen, labels }| {
        let revision = seen.last().map(|last| last.revision);
        let (count, later) = (labels.map(|labels| labels.labels), labels.map(|labels| labels.later));
        json!({"step": step, "asked_for": asked_for, "revision": revision, "seen": seen, "labels": count, "later": later})
    });
    Ok(each.collect())
}

/// A table of them all.
pub fn list(project: &Project, runs: &[RunRecord]) -> Result<()> {
    let (mut known, mut rows) = (Known::default(), Vec::new());
    for run in runs {
        for checkpoint in of(project, run, &mut known)? {
            let Checkpoint { step, asked_for, seen, labels } = checkpoint;
            let kept = if asked_for { " (kept, as asked)" } else { "" };
            rows.push(vec![
                run.id.0.to_string(),
                output::one_line(&run.name, 32),
                format!("{step}{kept}"),
                labels.map_or_else(|| "cannot be read".to_owned(), |labels| labels.labels.to_string()),
                checkpoint::revisions_in_words(&seen),
                labels.map_or_else(String::new, |labels| labels.later.or_none()),
            ]);
        }
    }
    if rows.is_empty() {
        return output::line("No run has a checkpoint on the disk.");
    }
    let headings = ["run", "name", "checkpoint", "labels seen", "data revision", "came later"];
    output::table(&headings, &[true, false, false, true, false, false], &rows)
}
