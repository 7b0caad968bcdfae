//! A labelling session: which pair is next, which answer stands on the left, what a key means for the record.

use std::collections::VecDeque;

use data::{Choice, Pair, PairId, Strength, Verdict};

use super::drafts;

/// Who labels at this window.
pub const LOCAL: &str = "local";

/// A longer look than this counts as a break and does not spoil the pace.
const LONGEST_LOOK_MS: i64 = 60_000;

/// The pace is taken over this many judgements.
const PACE_OVER: usize = 20;

/// Which column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    Left,
    Right,
}

impl Side {
    pub const BOTH: [Self; 2] = [Self::Left, Self::Right];

    pub fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// What the person at the keyboard said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    Prefer(Side, Strength),
    Tie,
    BothBad,
    Skip,
}

/// What a key or a button of a session means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Judge(Judgement),
    /// Skip, unless the pair has a verdict already: that is kept.
    Skip,
    /// Leaves the pair as it is.
    Keep,
    Scroll(Part, Way),
    WhiteSpace,
    /// Begins to edit, or ends it.
    Edit,
    EndEditing,
    Difference,
    Undo,
    /// Ends editing, or else the session.
    Leave,
}

impl Act {
    /// It is about the pair on the screen, and waits until there is one.
    fn is_about_pair(self) -> bool {
        matches!(self, Self::Judge(_) | Self::Skip | Self::Keep | Self::Edit | Self::EndEditing)
    }
}

/// What is scrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Both at once.
    Answers,
    Prompt,
}

/// How far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Up,
    Down,
    PageUp,
    PageDown,
    Start,
    End,
}

/// Acts that came in faster than the screen could carry them out: one a frame is carried out, so that each press is one
/// label.
#[derive(Debug, Clone, Default)]
pub struct Presses(VecDeque<Act>);

impl Presses {
    pub fn push(&mut self, act: Act) {
        self.0.push_back(act);
    }

    /// The next, if it can be carried out: one about a pair only when there is one to see.
    pub fn next(&mut self, ready: bool) -> Option<Act> {
        let act = self.0.pop_front_if(|act| ready || !act.is_about_pair());
        if act == Some(Act::Leave) {
            self.0.clear();
        }
        act
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The two answers of a pair as they stand on the screen: indices into [`Pair::answers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownAnswers {
    pub left: usize,
    pub right: usize,
}

impl ShownAnswers {
    pub fn on(self, side: Side) -> usize {
        match side {
            Side::Left => self.left,
            Side::Right => self.right,
        }
    }
}

/// How far the session is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SessionProgress {
    /// Judged in this session.
    pub done: usize,
    /// Kept as they are in this session.
    pub kept: usize,
    /// Judged and kept plus still waiting.
    pub total: usize,
    /// Judgements a minute over the last few; absent before the first.
    pub per_minute: Option<f64>,
}

/// Habits of the hand, worth knowing: each is (how often, out of).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Habits {
    pub left: (usize, usize),
    pub longer: (usize, usize),
}

/// One step of the session that the project's journal knows as one change.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    pair: PairId,
    /// The journal's label of the change, so that undo never takes back somebody else's; absent where the pair was kept
    /// as it is.
    label: Option<String>,
    judged: Option<Judged>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Judged {
    took_ms: i64,
    /// Absent without a preference.
    left: Option<bool>,
    /// Absent without a preference or between equally long answers.
    longer: Option<bool>,
}

/// Pairs in the order they will be asked, and what was said so far.
#[derive(Debug, Clone)]
pub struct Labelling {
    seed: u64,
    queue: Vec<PairId>,
    at: usize,
    shown_ms: i64,
    steps: Vec<Step>,
}

impl Labelling {
    /// `seed` decides the sides; the same seed and pair always give the same side.
    pub fn start(queue: Vec<PairId>, seed: u64, now_ms: i64) -> Self {
        Self { seed, queue, at: 0, shown_ms: now_ms, steps: Vec::new() }
    }

    pub fn current(&self) -> Option<PairId> {
        self.queue.get(self.at).copied()
    }

    /// Begins with this pair, when it is one of them; those before it come at the end.
    #[must_use]
    pub fn from(mut self, pair: Option<PairId>) -> Self {
        if let Some(at) = pair.and_then(|pair| self.queue.iter().position(|queued| *queued == pair)) {
            self.queue.rotate_left(at);
        }
        self
    }

    /// The pairs after the current one, to be fetched and laid out before they are asked for.
    pub fn upcoming(&self, count: usize) -> &[PairId] {
        let from = (self.at + 1).min(self.queue.len());
        &self.queue[from..(from + count).min(self.queue.len())]
    }

    /// Which answers stand where. Of more than two, the two the last verdict was about, or the first two.
    /// Absent when the pair has fewer than two answers.
    pub fn shown(&self, pair: &Pair) -> Option<ShownAnswers> {
        // In index order, so that a verdict does not give itself away by its side.
        let [a, b] = drafts::sides(pair)?;
        let (first, second) = (a.min(b), a.max(b));
        let (left, right) =
            if mix(self.seed ^ mix(pair.id.0 as u64)) & 1 == 0 { (first, second) } else { (second, first) };
        Some(ShownAnswers { left, right })
    }

    /// The verdict that `judgement` means, and the label of the change. The session moves to the next pair.
    /// Absent when the pair has fewer than two answers.
    pub fn judge(&mut self, pair: &Pair, judgement: Judgement, now_ms: i64) -> Option<(Verdict, String)> {
        let shown = self.shown(pair)?;
        let took_ms = (now_ms - self.shown_ms).max(0);
        let length = |side: Side| pair.answers[shown.on(side)].text.chars().count();
        let mut judged = Judged { took_ms, left: None, longer: None };
        let (choice, what) = match judgement {
            Judgement::Prefer(side, strength) => {
                let (mine, other) = (length(side), length(side.other()));
                judged.left = Some(side == Side::Left);
                judged.longer = (mine != other).then_some(mine > other);
                let choice = Choice::Better { chosen: shown.on(side), rejected: shown.on(side.other()), strength };
                (choice, "better")
            }
            Judgement::Tie => (Choice::Tie, "tie"),
            Judgement::BothBad => (Choice::BothBad, "both bad"),
            Judgement::Skip => (Choice::Skip, "skip"),
        };
        let label = format!("Label pair {} ({what})", pair.id.0);
        self.steps.push(Step { pair: pair.id, label: Some(label.clone()), judged: Some(judged) });
        self.move_to(self.at + 1, now_ms);
        let verdict = Verdict {
            choice,
            who: LOCAL.to_owned(),
            at_ms: now_ms,
            took_ms: Some(took_ms.try_into().unwrap_or(u32::MAX)),
            shown_left: Some(shown.left),
        };
        Some((verdict, label))
    }

    /// Leaves the pair as it is and goes on to the next.
    pub fn keep(&mut self, now_ms: i64) {
        if let Some(pair) = self.current() {
            self.steps.push(Step { pair, label: None, judged: None });
            self.move_to(self.at + 1, now_ms);
        }
    }

    /// An answer or prompt was changed in the middle of the session. With `goes_on` it is the last change, typed on.
    pub fn edited(&mut self, pair: PairId, label: String, goes_on: bool) {
        let step = Step { pair, label: Some(label), judged: None };
        match self.steps.last_mut() {
            Some(last) if goes_on && last.pair == pair && last.judged.is_none() && last.label.is_some() => *last = step,
            _ => self.steps.push(step),
        }
    }

    /// Label of the change that [`Labelling::undo`] expects the project to take back; absent when there is none, or when
    /// the last pair was only kept.
    pub fn undo_label(&self) -> Option<&str> {
        self.steps.last()?.label.as_deref()
    }

    /// The project took the last change back: return to its pair.
    pub fn undo(&mut self, now_ms: i64) -> Option<PairId> {
        let step = self.steps.pop()?;
        if let Some(at) = self.queue.iter().position(|pair| *pair == step.pair) {
            self.move_to(at, now_ms);
        }
        Some(step.pair)
    }

    /// Leaves the pair in the queue's past without a word (it was deleted, or has fewer than two answers).
    pub fn pass(&mut self, now_ms: i64) {
        self.move_to(self.at + 1, now_ms);
    }

    pub fn progress(&self) -> SessionProgress {
        let looks: Vec<i64> = self
            .steps
            .iter()
            .rev()
            .filter_map(|step| step.judged)
            .take(PACE_OVER)
            .map(|judged| judged.took_ms.clamp(1, LONGEST_LOOK_MS))
            .collect();
        let done = self.judged().count();
        let kept = self.steps.iter().filter(|step| step.label.is_none()).count();
        SessionProgress {
            done,
            kept,
            total: done + kept + self.queue.len().saturating_sub(self.at),
            per_minute: (!looks.is_empty()).then(|| 60_000.0 * looks.len() as f64 / looks.iter().sum::<i64>() as f64),
        }
    }

    /// How often the left and the longer answer were preferred in this session.
    pub fn habits(&self) -> Habits {
        let mut habits = Habits::default();
        for judged in self.judged() {
            if let Some(left) = judged.left {
                habits.left.0 += usize::from(left);
                habits.left.1 += 1;
            }
            if let Some(longer) = judged.longer {
                habits.longer.0 += usize::from(longer);
                habits.longer.1 += 1;
            }
        }
        habits
    }

    fn judged(&self) -> impl Iterator<Item = Judged> {
        self.steps.iter().filter_map(|step| step.judged)
    }

    fn move_to(&mut self, at: usize, now_ms: i64) {
        self.at = at.min(self.queue.len());
        self.shown_ms = now_ms;
    }
}

/// SplitMix64's finaliser: spreads neighbouring numbers over all bits.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::Prompt;

    fn pair(id: i64) -> Pair {
        let prompt = Prompt::Text("p".to_owned());
        Pair::new(PairId(id), prompt, &["long answer", "short"])
    }

    fn session(count: i64) -> Labelling {
        Labelling::start((1..=count).map(PairId).collect(), 7, 1_000)
    }

    fn left(session: &Labelling, id: i64) -> usize {
        session.shown(&pair(id)).unwrap().left
    }

    #[test]
    fn sides_are_random_but_stay() {
        let session = session(1);
        let lefts: Vec<usize> = (0..400).map(|id| left(&session, id)).collect();
        let ones = lefts.iter().sum::<usize>();
        assert!((140..=260).contains(&ones), "{ones} of 400 on the left");
        let again: Vec<usize> = (0..400).map(|id| left(&session, id)).collect();
        assert_eq!(lefts, again);
        let other = Labelling::start(vec![], 8, 0);
        assert_ne!(lefts, (0..400).map(|id| left(&other, id)).collect::<Vec<_>>());
    }

    #[test]
    fn a_verdict_does_not_show_through_the_sides() {
        let session = session(1);
        for id in 0..50 {
            let mut judged = pair(id);
            let blind = session.shown(&judged);
            judged.verdict = Some(Verdict {
                choice: Choice::Better { chosen: 1, rejected: 0, strength: Strength::Clearly },
                who: LOCAL.to_owned(),
                at_ms: 0,
                took_ms: None,
                shown_left: None,
            });
            assert_eq!(session.shown(&judged), blind);
        }
    }

    #[test]
    fn a_key_becomes_a_verdict_about_the_answer_on_that_side() {
        for id in 1..20 {
            let mut session = Labelling::start(vec![PairId(id)], 3, 1_000);
            let before = pair(id);
            let shown = session.shown(&before).unwrap();
            let judgement = Judgement::Prefer(Side::Right, Strength::Slightly);
            let (verdict, label) = session.judge(&before, judgement, 3_500).unwrap();
            assert_eq!(
                verdict.choice,
                Choice::Better { chosen: shown.right, rejected: shown.left, strength: Strength::Slightly }
            );
            assert_eq!(verdict.shown_left, Some(shown.left));
            assert_eq!(verdict.took_ms, Some(2_500));
            assert_eq!(label, format!("Label pair {id} (better)"));
            assert_eq!(session.current(), None);
        }
    }

    #[test]
    fn undo_returns_to_the_pair() {
        let mut session = session(3);
        session.judge(&pair(1), Judgement::Tie, 2_000);
        session.edited(PairId(2), "Edit pair 2".to_owned(), false);
        session.judge(&pair(2), Judgement::Skip, 3_000);
        assert_eq!(session.current(), Some(PairId(3)));
        assert_eq!(session.undo_label(), Some("Label pair 2 (skip)"));
        assert_eq!(session.undo(4_000), Some(PairId(2)));
        assert_eq!(session.undo_label(), Some("Edit pair 2"));
        session.undo(4_000);
        assert_eq!(session.undo(4_000), Some(PairId(1)));
        assert_eq!(session.current(), Some(PairId(1)));
        assert_eq!(session.undo(4_000), None);
        assert_eq!(session.progress().done, 0);
    }

    #[test]
    fn the_pace_leaves_breaks_out() {
        let mut session = session(4);
        assert_eq!(session.progress().per_minute, None);
        session.judge(&pair(1), Judgement::Tie, 1_000 + 10_000);
        session.judge(&pair(2), Judgement::Tie, 11_000 + 10_000);
        let pace = session.progress();
        assert_eq!((pace.done, pace.total), (2, 4));
        assert!((pace.per_minute.unwrap() - 6.0).abs() < 1e-9);
        session.judge(&pair(3), Judgement::Tie, 21_000 + 3_600_000);
        assert!(session.progress().per_minute.unwrap() > 2.0);
    }

    #[test]
    fn habits_count_sides_and_lengths() {
        let mut session = session(10);
        for id in 1..=10 {
            let judgement = Judgement::Prefer(Side::Left, Strength::Clearly);
            session.judge(&pair(id), judgement, 2_000);
        }
        let habits = session.habits();
        assert_eq!(habits.left, (10, 10));
        assert_eq!(habits.longer.1, 10);
        assert!((1..10).contains(&habits.longer.0));
    }

    #[test]
    fn g5_a_kept_pair_can_be_gone_back_to_and_changes_nothing() {
        let mut session = session(3).from(Some(PairId(2)));
        assert_eq!((session.current(), session.upcoming(9)), (Some(PairId(2)), &[PairId(3), PairId(1)][..]));
        session.keep(2_000);
        assert_eq!(session.current(), Some(PairId(3)));
        let progress = session.progress();
        assert_eq!((progress.done, progress.kept, progress.total), (0, 1, 3));
        assert_eq!(session.undo_label(), None);
        assert_eq!(session.undo(3_000), Some(PairId(2)));
        assert_eq!(session.current(), Some(PairId(2)));
        for _ in 0..5 {
            session.keep(4_000);
        }
        assert_eq!((session.current(), session.progress().kept), (None, 3));
        assert_eq!(
            session.from(Some(PairId(99))).queue[0],
            PairId(2),
            "a pair that is not asked about changes nothing"
        );
    }

    #[test]
    fn g6_an_edit_that_is_saved_as_it_goes_is_one_step_of_the_session() {
        let mut session = session(2);
        session.edited(PairId(1), "Edit answer of pair 1".to_owned(), false);
        session.edited(PairId(1), "Edit answer, prompt of pair 1".to_owned(), true);
        assert_eq!(session.undo_label(), Some("Edit answer, prompt of pair 1"));
        session.undo(2_000);
        assert_eq!(session.undo(2_000), None);
    }

    #[test]
    fn one_answer_cannot_be_judged() {
        let mut session = session(1);
        let mut lonely = pair(1);
        lonely.answers.truncate(1);
        assert_eq!(session.shown(&lonely), None);
        assert_eq!(session.judge(&lonely, Judgement::Tie, 0), None);
        assert_eq!(session.progress().done, 0);
    }

    #[test]
    fn upcoming_stops_at_the_end() {
        let mut session = session(2);
        assert_eq!(session.upcoming(3), [PairId(2)]);
        session.pass(0);
        assert!(session.upcoming(3).is_empty());
        session.pass(0);
        session.pass(0);
        assert_eq!(session.current(), None);
        assert!(session.upcoming(3).is_empty());
    }
}
