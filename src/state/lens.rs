//! The pair lens: the pairs that a stretch of a run's steps met, with what those steps did to them; and the steps that
//! met a pair.

use std::{cmp::Ordering, sync::Arc};

use data::PairId;
use store::{PairInSteps, PairVisit, RunId};
use train::objective::Objective;

use super::{labelling::ScrollBy, selection::RowOf, series::Series};

/// Steps of a run, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepRange {
    pub run: RunId,
    pub from: u64,
    pub to: u64,
}

impl StepRange {
    fn steps(self) -> u64 {
        self.to - self.from + 1
    }

    /// "step 12", or "steps 12 to 20".
    pub fn words(self) -> String {
        if self.from == self.to { format!("step {}", self.from) } else { format!("steps {} to {}", self.from, self.to) }
    }
}

/// What the pairs are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effect {
    /// |∂loss/∂m|, the mean of its visits.
    #[default]
    Push,
    /// Of a certain label, when it was first met there.
    Loss,
    /// Of the margin, from its first visit there to its next one after.
    Change,
}

impl Effect {
    pub const ALL: [Self; 3] = [Self::Push, Self::Loss, Self::Change];

    pub fn word(self) -> &'static str {
        match self {
            Self::Push => "Push",
            Self::Loss => "Loss",
            Self::Change => "Change",
        }
    }

    pub fn about(self) -> &'static str {
        match self {
            Self::Push => "How hard these steps pulled on the pair, the mean of its visits",
            Self::Loss => "What the pair cost when it was first met here, as a certain label",
            Self::Change => "How the margin moved until the run met the pair next, or last within these steps",
        }
    }

    pub fn of(self, met: &PairInSteps, objective: &Objective) -> Option<f64> {
        match self {
            Self::Push => Some(f64::from(met.push)),
            Self::Loss => Some(objective.loss_at(f64::from(met.margin))),
            Self::Change => met.change().map(f64::from),
        }
    }
}

/// What the Train screen remembers of it.
#[derive(Debug, Default)]
pub struct LensView {
    /// Open on these steps.
    pub stretch: Option<StepRange>,
    pub effect: Effect,
    /// The largest first.
    pub ascending: bool,
    pub selected: Option<PairId>,
    /// The row of the selected pair is to be scrolled to.
    pub reveal: bool,
    pub row: RowOf<PairInSteps>,
    /// What is known of these steps, in the order of the list.
    pub listed: SortedPairs,
}

/// What a key asks of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LensMove {
    /// Opens it on the newest steps, or closes it.
    Toggle,
    Close,
    Earlier,
    Later,
    Narrower,
    Wider,
    /// Sorts by the next effect.
    NextEffect,
    /// The largest or the smallest first.
    Turn,
    Row(ScrollBy),
}

/// The newest steps that it opens on, as a share of all.
const OPENS_ON: u64 = 10;
/// Steps of a run that goes on after which its stretch is read again.
const AGAIN: u64 = 20;
/// Rows that a page is.
const PAGE: usize = 12;

impl LensView {
    /// Shows the steps of a run; the ends may come in any order.
    pub fn open(&mut self, run: RunId, a: u64, b: u64) {
        self.stretch = Some(StepRange { run, from: a.min(b).max(1), to: a.max(b).max(1) });
    }

    /// `last`: the newest step of the run.
    pub fn go(&mut self, to: LensMove, run: RunId, last: u64, listed: &[PairId]) {
        let Some(stretch) = self.stretch.filter(|stretch| stretch.run == run) else {
            if to == LensMove::Toggle {
                self.open(run, last.saturating_sub(last / OPENS_ON), last);
            }
            return;
        };
        let steps = stretch.steps();
        let StepRange { from, to: end, .. } = stretch;
        match to {
            LensMove::Toggle | LensMove::Close => self.stretch = None,
            LensMove::Earlier => {
                let by = steps.min(from - 1);
                self.open(run, from - by, end - by);
            }
            LensMove::Later => {
                let by = steps.min(last.saturating_sub(end));
                self.open(run, from + by, end + by);
            }
            LensMove::Narrower => self.open(run, end - (steps / 2).max(1) + 1, end),
            LensMove::Wider => self.open(run, from.saturating_sub(steps), end),
            LensMove::NextEffect => {
                let at = Effect::ALL.iter().position(|effect| *effect == self.effect).unwrap_or(0);
                self.effect = Effect::ALL[(at + 1) % Effect::ALL.len()];
            }
            LensMove::Turn => self.ascending = !self.ascending,
            LensMove::Row(way) => self.step(listed, way),
        }
    }

    fn step(&mut self, listed: &[PairId], way: ScrollBy) {
        let Some(last) = listed.len().checked_sub(1) else { return };
        let at = self.selected.and_then(|selected| listed.iter().position(|pair| *pair == selected));
        let to = match (way, at) {
            (ScrollBy::End, _) => last,
            (ScrollBy::Start, _) | (_, None) => 0,
            (ScrollBy::Down, Some(at)) => (at + 1).min(last),
            (ScrollBy::Up, Some(at)) => at.saturating_sub(1),
            (ScrollBy::PageDown, Some(at)) => (at + PAGE).min(last),
            (ScrollBy::PageUp, Some(at)) => at.saturating_sub(PAGE),
        };
        self.selected = Some(listed[to]);
        self.reveal = true;
    }
}

/// What the project says of it. Written only by `app`.
#[derive(Debug, Default)]
pub struct LensData {
    /// What was asked last, and the newest step of the run then.
    pub asked: Option<(StepRange, u64)>,
    /// The newest answer, which may be of another stretch.
    pub met: Option<(StepRange, Arc<Vec<PairInSteps>>)>,
    /// What was asked last could not be read.
    pub failed: bool,
}

impl LensData {
    /// Whether these steps are to be read, again too: a run that goes on meets their pairs once more. `last`: its
    /// newest step.
    pub fn is_due(&self, stretch: StepRange, last: u64, is_going: bool) -> bool {
        self.asked.is_none_or(|(asked, then)| {
            asked != stretch || last < then || last >= then + AGAIN || (!is_going && last != then)
        })
    }
}

/// Pairs in the order of the list, and what they were sorted by.
#[derive(Debug, Default)]
pub struct SortedPairs {
    by: Option<(StepRange, Effect, bool, Objective)>,
    /// What was sorted.
    of: Arc<Vec<PairInSteps>>,
    pub rows: Arc<Vec<PairInSteps>>,
    pub pairs: Arc<Vec<PairId>>,
}

impl SortedPairs {
    /// Sorts anew if something else is asked for.
    pub fn of(
        met: &Arc<Vec<PairInSteps>>,
        stretch: StepRange,
        effect: Effect,
        ascending: bool,
        objective: &Objective,
    ) -> Self {
        let mut rows = met.as_ref().clone();
        let key = |met: &PairInSteps| effect.of(met, objective).filter(|value| !value.is_nan());
        rows.sort_by(|a, b| {
            let order = match (key(a), key(b)) {
                (Some(a), Some(b)) if ascending => a.total_cmp(&b),
                (Some(a), Some(b)) => b.total_cmp(&a),
                // What is not known comes last, whatever the direction.
                (a, b) => b.is_some().cmp(&a.is_some()),
            };
            if order == Ordering::Equal { a.pair.cmp(&b.pair) } else { order }
        });
        let pairs = rows.iter().map(|met| met.pair).collect();
        let by = Some((stretch, effect, ascending, *objective));
        Self { by, of: Arc::clone(met), rows: Arc::new(rows), pairs: Arc::new(pairs) }
    }

    /// Whether it is `met`, so sorted.
    pub fn is_by(
        &self,
        met: &Arc<Vec<PairInSteps>>,
        stretch: StepRange,
        effect: Effect,
        ascending: bool,
        objective: &Objective,
    ) -> bool {
        Arc::ptr_eq(&self.of, met) && self.by == Some((stretch, effect, ascending, *objective))
    }
}

/// What one run has seen of one pair.
#[derive(Debug, Clone)]
pub struct PairHistory {
    pub run: RunId,
    pub name: String,
    /// By step.
    pub visits: Vec<(u64, PairVisit)>,
    /// For each of them: how many pairs of that step had a lower margin, of how many others.
    pub ranks: Vec<(usize, usize)>,
    /// Its margin by step.
    pub margin: Series,
}

impl PairHistory {
    pub fn new(run: RunId, name: String, visits: Vec<(u64, PairVisit)>, ranks: Vec<(usize, usize)>) -> Self {
        let margin = Series::from_points(visits.iter().map(|(step, visit)| [*step as f64, f64::from(visit.margin)]));
        Self { run, name, visits, ranks, margin }
    }

    /// "above 12 of the 15 others of step 120", of its last visit.
    pub fn place(&self) -> Option<String> {
        let (step, _) = self.visits.last()?;
        let (below, others) = self.ranks.last().filter(|(_, others)| *others > 0)?;
        Some(format!("above {below} of the {others} others of step {step}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::config::Margin;
    use train::objective::Mpo;

    const RUN: RunId = RunId(3);

    fn met(pair: i64, margin: f32, push: f32, after: Option<f32>) -> PairInSteps {
        PairInSteps { pair: PairId(pair), visits: 1, step: 4, margin, push, after }
    }

    #[test]
    fn a_stretch_is_moved_and_widened_within_the_run() {
        let mut view = LensView::default();
        let mut go = |to| {
            view.go(to, RUN, 100, &[]);
            view.stretch.map(|stretch| (stretch.from, stretch.to))
        };
        assert_eq!(go(LensMove::Earlier), None, "it is closed");
        assert_eq!(go(LensMove::Toggle), Some((90, 100)));
        assert_eq!(go(LensMove::Later), Some((90, 100)));
        assert_eq!(go(LensMove::Earlier), Some((79, 89)));
        assert_eq!(go(LensMove::Narrower), Some((85, 89)));
        assert_eq!(go(LensMove::Wider), Some((80, 89)));
        for _ in 0..20 {
            go(LensMove::Earlier);
        }
        assert_eq!(go(LensMove::Earlier), Some((1, 10)));
        for _ in 0..9 {
            go(LensMove::Narrower);
        }
        assert_eq!(go(LensMove::Narrower), Some((10, 10)));
        assert_eq!(go(LensMove::Close), None);
    }

    #[test]
    fn steps_are_read_again_while_the_run_goes_on_and_once_at_its_end() {
        let stretch = StepRange { run: RUN, from: 4, to: 8 };
        let mut data = LensData::default();
        assert!(data.is_due(stretch, 8, true));
        data.asked = Some((stretch, 8));
        assert!(!data.is_due(stretch, 8, true) && !data.is_due(stretch, 9, true));
        assert!(data.is_due(stretch, 8 + AGAIN, true));
        assert!(data.is_due(stretch, 9, false), "it has ended");
        assert!(!data.is_due(stretch, 8, false));
        assert!(data.is_due(stretch, 5, true), "it went back");
        assert!(data.is_due(StepRange { to: 9, ..stretch }, 8, false));
        // What was read again is sorted again.
        let objective = Objective::Mpo(Mpo { beta: 0.5, margin: Margin::AnchoredSum });
        let (first, second) = (Arc::new(vec![met(1, 0.0, 0.1, None)]), Arc::new(vec![met(1, 0.0, 0.1, Some(2.0))]));
        let listed = SortedPairs::of(&first, stretch, Effect::Change, false, &objective);
        assert!(listed.is_by(&first, stretch, Effect::Change, false, &objective));
        assert!(!listed.is_by(&second, stretch, Effect::Change, false, &objective));
    }

    #[test]
    fn pairs_are_sorted_by_what_the_steps_did() {
        let all = Arc::new(vec![met(1, 0.0, 0.1, Some(2.0)), met(2, 3.0, 0.3, None), met(3, -1.0, 0.2, Some(-2.0))]);
        let objective = Objective::Mpo(Mpo { beta: 0.5, margin: Margin::AnchoredSum });
        let stretch = StepRange { run: RUN, from: 4, to: 4 };
        let order = |effect, ascending| {
            let listed = SortedPairs::of(&all, stretch, effect, ascending, &objective);
            listed.pairs.iter().map(|pair| pair.0).collect::<Vec<_>>()
        };
        assert_eq!(order(Effect::Push, false), [2, 3, 1]);
        assert_eq!(order(Effect::Loss, false), [3, 1, 2]);
        assert_eq!(order(Effect::Change, false), [1, 3, 2], "not met again: last");
        assert_eq!(order(Effect::Change, true), [3, 1, 2]);
        let mut view = LensView { stretch: Some(stretch), ..LensView::default() };
        let pairs = [PairId(2), PairId(3), PairId(1)];
        view.go(LensMove::Row(ScrollBy::Down), RUN, 9, &pairs);
        view.go(LensMove::Row(ScrollBy::Down), RUN, 9, &pairs);
        assert_eq!(view.selected, Some(PairId(3)));
    }
}
