//! The answers that a run samples to learn from, step by step, as far as the Train screen has asked.

use std::sync::Arc;

use store::{RunId, SampledGroup};

/// What is asked for: a run's answers of a step, its newest where that is absent, as things stood after the step
/// `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    pub run: RunId,
    pub step: Option<u64>,
    pub last: u64,
}

/// The answers of a step.
#[derive(Debug, Clone)]
pub struct SampledStep {
    pub run: RunId,
    pub step: u64,
    pub groups: Arc<Vec<SampledGroup>>,
    /// All steps whose answers are kept, ascending.
    pub steps: Vec<u64>,
}

/// Written only by `app`.
#[derive(Debug, Default)]
pub struct Rollouts {
    pub asked: Option<Wanted>,
    pub known: Option<SampledStep>,
}

impl Rollouts {
    /// Takes in what was asked for last: the steps that are kept, and the answers of one of them.
    pub fn take(&mut self, wanted: Wanted, steps: Vec<u64>, found: Option<(u64, Vec<SampledGroup>)>) {
        if self.asked == Some(wanted) {
            self.known =
                found.map(|(step, groups)| SampledStep { run: wanted.run, step, groups: Arc::new(groups), steps });
        }
    }

    /// Of this run.
    pub fn of(&self, run: RunId) -> Option<&SampledStep> {
        self.known.as_ref().filter(|known| known.run == run)
    }
}

/// What the Train screen remembers of it.
#[derive(Debug, Default)]
pub struct RolloutView {
    pub is_open: bool,
    /// A step that somebody went to, of this run; absent = the newest, whichever that is by then.
    at: Option<(RunId, u64)>,
}

/// What a key asks of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolloutMove {
    /// Opens or closes it.
    Toggle,
    Earlier,
    Later,
    Newest,
}

impl RolloutView {
    /// The step that is to be shown of this run.
    pub fn step(&self, run: RunId) -> Option<u64> {
        self.at.filter(|(of, _)| *of == run).map(|(_, step)| step)
    }

    pub fn go(&mut self, to: RolloutMove, run: RunId, known: Option<&SampledStep>) {
        let beside = |later: bool| {
            let SampledStep { step, steps, .. } = known?;
            let mut steps = steps.iter().copied();
            if later { steps.find(|other| other > step) } else { steps.rfind(|other| other < step) }
        };
        match to {
            RolloutMove::Toggle => self.is_open = !self.is_open,
            RolloutMove::Newest => self.at = None,
            RolloutMove::Earlier => self.at = beside(false).map(|step| (run, step)).or(self.at),
            // Beyond the last one they follow the run again.
            RolloutMove::Later => {
                let newest = known.and_then(|known| known.steps.last().copied());
                self.at = beside(true).filter(|step| Some(*step) != newest).map(|step| (run, step));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: RunId = RunId(4);

    #[test]
    fn steps_are_walked_and_the_last_one_follows_the_run() {
        let known = |step| SampledStep { run: RUN, step, groups: Arc::default(), steps: vec![1, 10, 20, 23] };
        let mut view = RolloutView::default();
        let mut go = |to, step| {
            view.go(to, RUN, Some(&known(step)));
            (view.step(RUN), view.step(RunId(5)))
        };
        assert_eq!(go(RolloutMove::Earlier, 23), (Some(20), None), "it is of that run alone");
        assert_eq!(go(RolloutMove::Earlier, 20), (Some(10), None));
        assert_eq!(go(RolloutMove::Earlier, 1), (Some(10), None), "there is none before");
        assert_eq!(go(RolloutMove::Later, 10), (Some(20), None));
        assert_eq!(go(RolloutMove::Later, 20), (None, None));
        assert_eq!(go(RolloutMove::Earlier, 23), (Some(20), None));
        assert_eq!(go(RolloutMove::Newest, 20), (None, None));
    }

    #[test]
    fn an_answer_to_an_older_question_is_dropped() {
        let mut rollouts = Rollouts::default();
        let wanted = |last| Wanted { run: RUN, step: None, last };
        rollouts.asked = Some(wanted(8));
        rollouts.take(wanted(7), vec![7], Some((7, Vec::new())));
        assert!(rollouts.of(RUN).is_none());
        rollouts.take(wanted(8), vec![1, 8], Some((8, Vec::new())));
        assert_eq!(rollouts.of(RUN).map(|known| known.step), Some(8));
        assert!(rollouts.of(RunId(5)).is_none());
    }
}
