//! The queue: runs that wait for their turn, in the order in which they are to go. The order outlives the process that
//! set it.

use super::{Project, RunId, RunRecord, RunStatus, project::Result};

/// Under this the project has the order among its settings.
const KEY: &str = "queue";

impl Project {
    /// Puts runs that wait into this order; those that are not named go behind them, oldest first.
    pub fn set_queue_order(&self, runs: &[RunId]) -> Result<()> {
        let text: Vec<String> = runs.iter().map(|run| run.0.to_string()).collect();
        self.set_setting(KEY, &text.join(","))
    }

    /// The order that was set last. Runs may be among it that wait no more.
    pub fn queue_order(&self) -> Result<Vec<RunId>> {
        let text = self.setting(KEY)?.unwrap_or_default();
        Ok(text.split(',').filter_map(|number| number.parse().ok().map(RunId)).collect())
    }

    /// The runs that wait, next first: for a process that has them in hand, or for one that takes them up again.
    pub fn queue(&self) -> Result<Vec<RunRecord>> {
        let mut runs = self.runs()?;
        runs.retain(|run| run.status == RunStatus::Queued || run.waited());
        let order = self.queue_order()?;
        runs.sort_by_key(|run| place(&order, run.id));
        Ok(runs)
    }
}

/// Where a run stands in an order; behind all of it where it is not named.
pub fn place(order: &[RunId], run: RunId) -> (usize, RunId) {
    (order.iter().position(|other| *other == run).unwrap_or(order.len()), run)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NewRun, ProjectSettings};

    #[test]
    fn runs_wait_in_the_order_that_was_set_also_for_the_next_process() {
        let dir = tempfile::tempdir().unwrap();
        let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        let new = |name: &str| NewRun { name: name.to_owned(), ..NewRun::default() };
        let runs: Vec<RunId> = ["a", "b", "c", "d"].map(|name| project.create_run(&new(name)).unwrap()).to_vec();
        project.set_run_status(runs[1], RunStatus::Completed, None).unwrap();
        project.set_waited(runs[2]).unwrap();
        let names =
            |project: &Project| -> Vec<String> { project.queue().unwrap().into_iter().map(|run| run.name).collect() };
        assert_eq!(names(&project), ["a", "c", "d"]);
        project.set_queue_order(&[runs[3], runs[1], runs[0]]).unwrap();
        drop(project);
        let project = Project::open(dir.path()).unwrap();
        assert_eq!(names(&project), ["d", "a", "c"], "what is not named goes last");
        project.set_setting(KEY, "nonsense,,7").unwrap();
        assert_eq!(project.queue_order().unwrap(), [RunId(7)]);
    }
}
