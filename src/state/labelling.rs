//! A labelling session: which pair is next, which answer stands on the left, what a key means for the record.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use data::{Choice, Pair, PairId, Strength, Verdict, counted, habits::CountOf, mix};

use super::drafts;

/// A longer look than this counts as a break and does not spoil the pace.
const LONGEST_LOOK_MS: i64 = 60_000;

/// One of so many labels is asked for once more, without a word and with the sides swapped.
const REPEATED: usize = 20;

/// So many other pairs lie between the two times, or more.
const APART: usize = 8;

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
    Scroll(ScrollPart, ScrollBy),
    WhiteSpace,
    /// The next best answer, by its place on the screen.
    Pick(usize),
    /// Puts all answers in order, or asks about two.
    Order,
    /// Folds the prompt to a line.
    Fold,
    /// Shows the verdict there is.
    Reveal,
    Flag,
    Tag,
    Note,
    /// Begins to edit, or ends it.
    Edit,
    EndEditing,
    Difference,
    Undo,
    /// Ends editing, or else the session.
    Leave,
}

impl Act {
    /// The session may be at another pair after it.
    pub fn leads_on(self) -> bool {
        matches!(self, Self::Judge(_) | Self::Skip | Self::Keep | Self::Pick(_) | Self::Undo)
    }

    /// It is about the pair on the screen, and waits until there is one.
    fn is_about_pair(self) -> bool {
        let whoever = matches!(self, Self::Scroll(..) | Self::WhiteSpace | Self::Difference | Self::Order | Self::Fold);
        !whoever && !matches!(self, Self::Undo | Self::Leave)
    }
}

/// What is scrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScrollPart {
    /// Both at once.
    Answers,
    Prompt,
}

/// How far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScrollBy {
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
    /// Milliseconds at it so far, breaks left out.
    pub spent_ms: i64,
}

impl SessionProgress {
    /// Minutes that the rest takes at this pace.
    pub fn minutes_left(&self) -> Option<f64> {
        let waiting = self.total.saturating_sub(self.done + self.kept);
        self.per_minute.filter(|pace| *pace > 0.0).map(|pace| waiting as f64 / pace)
    }
}

/// How often a pair that had a verdict got the same again, its strength left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RepeatedLabels {
    pub same: usize,
    pub of: usize,
    /// Those that got another.
    pub changed: Vec<PairId>,
}

/// Habits of the hand in one session, worth knowing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionHabits {
    pub left: CountOf,
    pub longer: CountOf,
}

/// One step of the session that the project's journal knows as one change.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    pair: PairId,
    /// Its place in the queue.
    at: usize,
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
    /// Whether it says what the verdict before it said; absent without one.
    agrees: Option<bool>,
}

/// Pairs in the order they will be asked, and what was said so far.
#[derive(Debug, Clone)]
pub struct Labelling {
    seed: u64,
    queue: Vec<PairId>,
    /// Those in it.
    queued: HashSet<PairId>,
    at: usize,
    shown_ms: i64,
    /// Looks at the pairs before this one.
    spent_ms: i64,
    steps: Vec<Step>,
    /// Places of pairs that are asked about once more.
    repeats: BTreeSet<usize>,
}

impl Labelling {
    /// `seed` decides the sides; the same seed and pair always give the same side.
    pub fn start(queue: Vec<PairId>, seed: u64, now_ms: i64) -> Self {
        let queued = queue.iter().copied().collect();
        Self { seed, queue, queued, at: 0, shown_ms: now_ms, spent_ms: 0, steps: Vec::new(), repeats: BTreeSet::new() }
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

    /// The pair on the screen was asked about before in this session, which nothing tells.
    pub fn is_repeat(&self) -> bool {
        self.repeats.contains(&self.at)
    }

    /// Asks for one in twenty once more later on, of fewer for none. Planned before the first, so that nothing tells
    /// which they are.
    #[must_use]
    pub fn with_repeats(mut self) -> Self {
        let all = self.queue.len();
        // Drawn by lot among those with enough behind them.
        let mut lots: Vec<usize> = (0..all.saturating_sub(APART)).collect();
        lots.sort_by_key(|place| self.draw(self.queue[*place]) >> 1);
        lots.truncate(all / REPEATED);
        let mut due: BTreeMap<usize, Vec<PairId>> = BTreeMap::new();
        for place in lots {
            let pair = self.queue[place];
            let later = place + APART + (self.draw(pair) >> 32) as usize % APART;
            due.entry(later.min(all - 1)).or_default().push(pair);
        }
        let mut queue = Vec::with_capacity(all + all / REPEATED);
        for (place, pair) in std::mem::take(&mut self.queue).into_iter().enumerate() {
            queue.push(pair);
            for again in due.remove(&place).into_iter().flatten() {
                self.repeats.insert(queue.len());
                queue.push(again);
            }
        }
        self.queue = queue;
        self
    }

    /// More to ask, at the end; those that are asked already are not asked twice.
    pub fn append(&mut self, pairs: impl IntoIterator<Item = PairId>) {
        self.queue.extend(pairs.into_iter().filter(|pair| self.queued.insert(*pair)));
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
        let is_swapped = self.current() == Some(pair.id) && self.is_repeat();
        let is_left = (self.draw(pair.id) & 1 == 0) ^ is_swapped;
        let (left, right) = if is_left { (first, second) } else { (second, first) };
        Some(ShownAnswers { left, right })
    }

    /// The verdict that `judgement` means, and the label of the change. The session moves to the next pair.
    /// Absent when the pair has fewer than two answers.
    pub fn judge(&mut self, pair: &Pair, judgement: Judgement, now_ms: i64) -> Option<(Verdict, String)> {
        let shown = self.shown(pair)?;
        let took_ms = (now_ms - self.shown_ms).max(0);
        let length = |side: Side| pair.answers[shown.on(side)].text.chars().count();
        let mut judged = Judged { took_ms, left: None, longer: None, agrees: None };
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
        judged.agrees = pair.choice().map(|before| says_the_same(before, choice));
        let label = format!("Label pair {} ({what})", pair.id.0);
        self.steps.push(Step { pair: pair.id, at: self.at, label: Some(label.clone()), judged: Some(judged) });
        self.move_to(self.at + 1, now_ms);
        let verdict = Verdict {
            took_ms: Some(took_ms.try_into().unwrap_or(u32::MAX)),
            shown_left: Some(shown.left),
            ..Verdict::local(choice, now_ms)
        };
        Some((verdict, label))
    }

    /// All answers of a pair in the order in which they stand on the screen, at random too.
    pub fn shown_all(&self, pair: &Pair) -> Vec<usize> {
        let mut all: Vec<usize> = (0..pair.answers.len()).collect();
        all.sort_by_key(|index| mix(self.seed ^ mix(pair.id.0 as u64) ^ mix(*index as u64)));
        if self.current() == Some(pair.id) && self.is_repeat() {
            all.reverse();
        }
        all
    }

    /// All answers were put in this order, best first, which makes so many pairs. Gives the circumstances and the label
    /// of the change; the session moves to the next pair.
    pub fn ordered(&mut self, pair: &Pair, order: &[usize], pairs: usize, now_ms: i64) -> (Verdict, String) {
        let took_ms = (now_ms - self.shown_ms).max(0);
        let label = format!("Order the answers of pair {} ({})", pair.id.0, counted(pairs, "pair", "pairs"));
        let place = |answer: usize| order.iter().position(|index| *index == answer);
        let agrees = pair.choice().map(|before| match before {
            Choice::Better { chosen, rejected, .. } => place(chosen) < place(rejected),
            Choice::Tie | Choice::BothBad | Choice::Skip => false,
        });
        let judged = Judged { took_ms, left: None, longer: None, agrees };
        self.steps.push(Step { pair: pair.id, at: self.at, label: Some(label.clone()), judged: Some(judged) });
        self.move_to(self.at + 1, now_ms);
        let took_ms = Some(took_ms.try_into().unwrap_or(u32::MAX));
        (Verdict { took_ms, ..Verdict::local(Choice::Tie, now_ms) }, label)
    }

    /// Leaves the pair as it is and goes on to the next.
    pub fn keep(&mut self, now_ms: i64) {
        if let Some(pair) = self.current() {
            self.steps.push(Step { pair, at: self.at, label: None, judged: None });
            self.move_to(self.at + 1, now_ms);
        }
    }

    /// An answer or prompt was changed in the middle of the session. With `goes_on` it is the last change, typed on.
    pub fn edited(&mut self, pair: PairId, label: String, goes_on: bool) {
        let step = Step { pair, at: self.at, label: Some(label), judged: None };
        match self.steps.last_mut() {
            Some(last) if goes_on && last.pair == pair && last.judged.is_none() && last.label.is_some() => *last = step,
            _ => self.steps.push(step),
        }
    }

    /// Label of the change that [`Labelling::undo`] expects the project to take back; absent when there is none, or
    /// when the last pair was only kept.
    pub fn undo_label(&self) -> Option<&str> {
        self.steps.last()?.label.as_deref()
    }

    /// The project took the last change back: return to its pair.
    pub fn undo(&mut self, now_ms: i64) -> Option<PairId> {
        let step = self.steps.pop()?;
        self.move_to(step.at, now_ms);
        Some(step.pair)
    }

    /// A number that stays the same for a pair in a session.
    fn draw(&self, pair: PairId) -> u64 {
        mix(self.seed ^ mix(pair.0 as u64))
    }

    /// Leaves the pair in the queue's past without a word (it was deleted, or has fewer than two answers).
    pub fn pass(&mut self, now_ms: i64) {
        self.move_to(self.at + 1, now_ms);
    }

    pub fn progress(&self, now_ms: i64) -> SessionProgress {
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
            spent_ms: self.spent_ms + self.current().map_or(0, |_| self.look(now_ms)),
            per_minute: (!looks.is_empty()).then(|| 60_000.0 * looks.len() as f64 / looks.iter().sum::<i64>() as f64),
        }
    }

    /// How often the left and the longer answer were preferred in this session.
    pub fn habits(&self) -> SessionHabits {
        let mut habits = SessionHabits::default();
        for judged in self.judged() {
            if let Some(left) = judged.left {
                habits.left.add(left);
            }
            if let Some(longer) = judged.longer {
                habits.longer.add(longer);
            }
        }
        habits
    }

    /// What was said of pairs that had a verdict already; absent before the first of them.
    pub fn agreement(&self) -> Option<RepeatedLabels> {
        let mut agreement = RepeatedLabels::default();
        for (step, agrees) in self.steps.iter().filter_map(|step| Some((step, step.judged?.agrees?))) {
            agreement.of += 1;
            agreement.same += usize::from(agrees);
            if !agrees {
                agreement.changed.push(step.pair);
            }
        }
        (agreement.of > 0).then_some(agreement)
    }

    /// How long the pair has been looked at, breaks left out.
    fn look(&self, now_ms: i64) -> i64 {
        (now_ms - self.shown_ms).clamp(0, LONGEST_LOOK_MS)
    }

    fn judged(&self) -> impl Iterator<Item = Judged> {
        self.steps.iter().filter_map(|step| step.judged)
    }

    fn move_to(&mut self, at: usize, now_ms: i64) {
        self.spent_ms += self.current().map_or(0, |_| self.look(now_ms));
        self.at = at.min(self.queue.len());
        self.shown_ms = now_ms;
    }
}

/// Strength is how sure one was, not what one said.
fn says_the_same(before: Choice, now: Choice) -> bool {
    match (before, now) {
        (Choice::Better { chosen, rejected, .. }, Choice::Better { chosen: now, rejected: against, .. }) => {
            (chosen, rejected) == (now, against)
        }
        (before, now) => before == now,
    }
}

#[cfg(test)]
#[path = "labelling_tests.rs"]
mod tests;
