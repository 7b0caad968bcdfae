//! What an ended run came to, and what is best done with it.

use data::metrics::{CameTo, Learnt, ShareTurn};
use store::{RunRecord, RunStatus};

use super::{
    runs::{Runs, can_continue},
    series::Series,
};

impl Runs {
    /// Nothing of a run that goes on somewhere or waits, and of one that has measured nothing.
    pub fn came_to(&self, record: &RunRecord) -> Option<CameTo> {
        if !self.has_ended(record) {
            return None;
        }
        let (history, settings) = (self.history(record.id)?, self.settings(record.id)?);
        let shares = judge::shares(history.series.keys(), &self.rules);
        let points = |name: &str| history.series(name).map(Series::points);
        CameTo::of(settings.config.objective.kind, record.step, shares, points)
    }

    /// Nothing more is to come of it.
    pub fn has_ended(&self, record: &RunRecord) -> bool {
        let goes_on = record.status.is_live() || record.status == RunStatus::Away;
        !goes_on && !self.is_going(record.id) && self.place(record.id).is_none()
    }

    /// What to do next with a run that came to this, by the names of the buttons; a sentence without a full stop.
    pub fn after(&self, record: &RunRecord, came_to: &CameTo) -> String {
        if self.fits_rewards(record.id) {
            return "Next: choose PPO, RLOO or GRPO in Set up, which learn from its scores".to_owned();
        }
        if matches!(came_to.learnt, Some(Learnt::NotTold | Learnt::LessThanGuessing)) {
            let more = if can_continue(record.status) { "Resume" } else { "Extend…" };
            return format!("Next: {more} gives it more steps, Again… another strength or learning rate");
        }
        if came_to.shares.iter().any(|share| share.turn() == Some(ShareTurn::Worse)) {
            return "Next: Again… with more care for all else, then lay both over each other in Compare".to_owned();
        }
        "Next: ask it beside its start in Answers, lay another run over it in Compare, or Export… it".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use data::metrics::{HELD_OUT_ACCURACY, HELD_OUT_ACCURACY_HIGH, HELD_OUT_ACCURACY_LOW, judged};
    use engine::protocol::Metrics;
    use store::RunId;

    use super::*;
    use crate::runs::LiveRun;

    fn runs(config_toml: &str, status: RunStatus, evaluations: &[(u64, &[(&str, f64)])]) -> Runs {
        let run = RunId(1);
        let mut runs = Runs::default();
        let record =
            RunRecord { id: run, status, step: 60, config_toml: config_toml.to_owned(), ..RunRecord::default() };
        runs.set_records(vec![record]);
        runs.rules = judge::heads(["[[rule]]\nname = \"facts\"\nbetter = \"more\"\n"]);
        let history = runs.history.entry(run).or_default();
        for (step, metrics) in evaluations {
            let metrics: Metrics = metrics.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
            history.take_metrics(*step, &metrics);
        }
        runs
    }

    fn accuracy(low: f64, high: f64) -> [(&'static str, f64); 3] {
        [(HELD_OUT_ACCURACY, f64::midpoint(low, high)), (HELD_OUT_ACCURACY_LOW, low), (HELD_OUT_ACCURACY_HIGH, high)]
    }

    #[test]
    fn only_a_run_that_has_ended_came_to_something() {
        let last = accuracy(0.7, 0.8);
        for (status, has) in [
            (RunStatus::Completed, true),
            (RunStatus::Stopped, true),
            (RunStatus::Failed, true),
            (RunStatus::Interrupted, true),
            (RunStatus::Running, false),
            (RunStatus::Paused, false),
            (RunStatus::Queued, false),
            (RunStatus::Away, false),
        ] {
            let mut runs = runs("", status, &[(60, &last)]);
            let record = runs.records[0].clone();
            assert_eq!(runs.came_to(&record).is_some(), has, "{status}");
            runs.live = Some(LiveRun::new(record.id, Arc::default()));
            assert_eq!(runs.came_to(&record), None, "it goes on here");
        }
        let nothing = runs("", RunStatus::Failed, &[]);
        assert_eq!(nothing.came_to(&nothing.records[0]), None);
    }

    #[test]
    fn what_is_best_next_follows_from_what_it_came_to() {
        let facts = judged::share("facts");
        let [low, high] = judged::interval(&facts);
        let share = |share: f64| [(facts.as_str(), share), (low.as_str(), share - 0.05), (high.as_str(), share + 0.05)];
        let after = |config: &str, status, evaluations: &[(u64, &[(&str, f64)])]| {
            let runs = runs(config, status, evaluations);
            let came_to = runs.came_to(&runs.records[0]).unwrap();
            runs.after(&runs.records[0], &came_to)
        };
        let (learnt, not_told) = (accuracy(0.7, 0.8), accuracy(0.45, 0.6));
        let lost = [&learnt[..], &share(0.5)].concat();
        let kept = [&learnt[..], &share(0.9)].concat();
        let (start, completed) = (share(0.9), RunStatus::Completed);
        assert!(after("", completed, &[(0, &start), (60, &kept)]).contains("Answers"));
        assert!(after("", completed, &[(0, &start), (60, &lost)]).contains("more care"));
        assert!(after("", completed, &[(60, &not_told)]).contains("Extend…"));
        assert!(after("", RunStatus::Stopped, &[(60, &not_told)]).contains("Resume"));
        let reward = "[objective]\nkind = \"reward\"\n";
        assert!(after(reward, completed, &[(60, &[("eval_accuracy", 0.8)])]).contains("PPO"));
    }
}
