//! Judged answers: what a run answered to the prompts of its rule set, and which rules counted it.

use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::{
    Project, RunId,
    project::{Keep, Result},
};
use ::data::Prompt;

/// An answer that was judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgedAnswer {
    /// Of the rule set, e.g. "asked for".
    pub group: String,
    pub prompt: Prompt,
    pub answer: String,
    /// Whether the model ended the answer by itself.
    pub ended: bool,
    /// The rules that were asked about it, and whether they count it.
    pub said: Vec<(String, bool)>,
}

impl Project {
    /// Replaces what was judged at that step.
    pub fn set_judged(&mut self, run: RunId, step: u64, answers: &[JudgedAnswer]) -> Result<()> {
        self.write(Keep::Kill, |tx| {
            tx.execute("DELETE FROM judged WHERE run = ?1 AND step = ?2", params![run.0, step as i64])?;
            let mut insert =
                tx.prepare_cached("INSERT INTO judged (run, step, position, body) VALUES (?1, ?2, ?3, ?4)")?;
            for (position, answer) in answers.iter().enumerate() {
                insert.execute(params![run.0, step as i64, position as i64, serde_json::to_string(answer)?])?;
            }
            Ok(())
        })
    }

    /// In the order of the rule set's prompts.
    pub fn judged(&self, run: RunId, step: u64) -> Result<Vec<JudgedAnswer>> {
        self.read_rows(
            "SELECT body FROM judged WHERE run = ?1 AND step = ?2 ORDER BY position",
            params![run.0, step as i64],
            |row| Ok(serde_json::from_str(&row.get::<_, String>(0)?)?),
        )
    }

    /// The steps at which a run's answers were judged, in order.
    pub fn judged_steps(&self, run: RunId) -> Result<Vec<u64>> {
        self.read_rows("SELECT DISTINCT step FROM judged WHERE run = ?1 ORDER BY step", [run.0], |row| {
            Ok(row.get::<_, i64>(0)? as u64)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NewRun, ProjectSettings, RunStatus};

    #[test]
    fn judged_answers_go_with_their_run_and_step() {
        let dir = tempfile::tempdir().unwrap();
        let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        let run = project.create_run(&NewRun::default()).unwrap();
        let answer = |text: &str| JudgedAnswer {
            group: "g".to_owned(),
            prompt: Prompt::Text("p".to_owned()),
            answer: text.to_owned(),
            ended: true,
            said: vec![("polite".to_owned(), false)],
        };
        project.set_judged(run, 0, &[answer("a"), answer("b")]).unwrap();
        project.set_judged(run, 5, &[answer("old"), answer("older")]).unwrap();
        project.set_judged(run, 5, &[answer("c")]).unwrap();
        assert_eq!(project.judged(run, 5).unwrap(), [answer("c")]);
        assert_eq!(project.judged_steps(run).unwrap(), [0, 5]);
        project.truncate_after(run, 3).unwrap();
        assert_eq!(project.judged_steps(run).unwrap(), [0]);
        assert_eq!(project.judged(run, 0).unwrap(), [answer("a"), answer("b")]);
        project.set_run_status(run, RunStatus::Completed, None).unwrap();
        project.delete_run(run).unwrap();
        assert_eq!(project.judged_steps(run).unwrap(), [0; 0]);
    }
}
