//! The answers that a run sampled to learn from, to be read by people.

use ::data::PairId;
use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::{
    Project, RunId,
    project::{Keep, Result},
};

/// A prompt with the answers sampled to it in one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampledGroup {
    /// Whose prompt it is; absent where it is a reference answer's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair: Option<PairId>,
    /// What was asked last.
    pub prompt: String,
    pub answers: Vec<SampledAnswer>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampledAnswer {
    pub text: String,
    pub tokens: usize,
    /// It ended by itself; else it was cut.
    pub ended: bool,
    /// What it counted: in standard deviations of the reward model, clipped, less the penalty where it was cut.
    pub score: f64,
    /// Σ log π − log π_ref, nats.
    pub kl: f64,
}

impl Project {
    /// Keeps the answers of a step, which replace those of the step before it. Those of the first step stay, and of
    /// every `every`th; 0 = of no other.
    pub fn append_rollout(&self, run: RunId, step: u64, groups: &[SampledGroup], every: u64) -> Result<()> {
        self.write(Keep::Kill, |tx| {
            tx.prepare_cached(
                "DELETE FROM rollouts WHERE run = ?1 AND step BETWEEN 2 AND ?2 AND (?3 = 0 OR step % ?3 <> 0)",
            )?
            .execute(params![run.0, step as i64, every.min(i64::MAX as u64) as i64])?;
            tx.prepare_cached("INSERT OR REPLACE INTO rollouts (run, step, body) VALUES (?1, ?2, ?3)")?
                .execute(params![run.0, step as i64, serde_json::to_string(groups)?])?;
            Ok(())
        })
    }

    /// Steps whose answers are kept, ascending.
    pub fn rollout_steps(&self, run: RunId) -> Result<Vec<u64>> {
        self.read_rows("SELECT step FROM rollouts WHERE run = ?1 ORDER BY step", [run.0], |row| {
            Ok(row.get::<_, i64>(0)? as u64)
        })
    }

    /// The answers of a step; none where they are not kept.
    pub fn rollout(&self, run: RunId, step: u64) -> Result<Option<Vec<SampledGroup>>> {
        self.read(|connection| {
            let body: Option<String> = connection
                .prepare_cached("SELECT body FROM rollouts WHERE run = ?1 AND step = ?2")?
                .query_row(params![run.0, step as i64], |row| row.get(0))
                .optional()?;
            Ok(body.map(|body| serde_json::from_str(&body)).transpose()?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NewRun, ProjectSettings, RunStatus};

    #[test]
    fn the_newest_the_first_and_some_between_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        let new = NewRun { name: "r".to_owned(), method: "PPO".to_owned(), ..NewRun::default() };
        let [run, other] = [0, 1].map(|_| project.create_run(&new).unwrap());
        let of = |step: u64| {
            let text = format!("answer of step {step}");
            let answer = SampledAnswer { text, tokens: 4, ended: step != 7, score: -0.5, kl: 0.25 };
            vec![SampledGroup { pair: Some(PairId(3)), prompt: "Where?".to_owned(), answers: vec![answer] }]
        };
        for step in 1..=23 {
            project.append_rollout(run, step, &of(step), 10).unwrap();
            assert_eq!(project.rollout_steps(run).unwrap().last(), Some(&step));
        }
        assert_eq!(project.rollout_steps(run).unwrap(), [1, 10, 20, 23]);
        assert_eq!(project.rollout(run, 20).unwrap(), Some(of(20)));
        assert_eq!(project.rollout(run, 7).unwrap(), None);
        for step in 1..=3 {
            project.append_rollout(other, step, &of(step), 0).unwrap();
        }
        assert_eq!(project.rollout_steps(other).unwrap(), [1, 3]);
        project.truncate_after(run, 20).unwrap();
        assert_eq!(project.rollout_steps(run).unwrap(), [1, 10, 20]);
        project.set_run_status(run, RunStatus::Completed, None).unwrap();
        project.delete_run(run).unwrap();
        assert!(project.rollout_steps(run).unwrap().is_empty());
        assert_eq!(project.rollout_steps(other).unwrap().len(), 2);
    }
}
