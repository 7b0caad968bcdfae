//! Going through labels that a run argues against: flip, keep or drop, one key each.

use std::collections::VecDeque;

use data::{Choice, Pair, PairId, Verdict, suspects::MarginScore};

/// What becomes of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The rejected answer is the better one.
    Flip,
    /// It was meant so; said again, so that this run does not ask once more.
    Keep,
    /// Neither is to be learnt: not trained on.
    Drop,
}

impl Decision {
    pub const ALL: [Self; 3] = [Self::Flip, Self::Keep, Self::Drop];

    pub fn word(self) -> &'static str {
        match self {
            Self::Flip => "Flip",
            Self::Keep => "Keep",
            Self::Drop => "Drop",
        }
    }
}

/// What a key or a button of a review means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewAct {
    Decide(Decision),
    Undo,
    Difference,
    Leave,
}

/// One decision, as the journal knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    at: usize,
    decision: Decision,
    label: String,
}

/// The queue, and what was decided so far.
#[derive(Debug, Clone)]
pub struct Review {
    /// The run that argues against them.
    pub run: String,
    /// Labels that it met often enough to say something.
    pub judged: usize,
    queue: Vec<MarginScore>,
    at: usize,
    steps: Vec<Step>,
    /// Its last decision is being taken back: until then it has no better answer to decide about.
    waits_for: Option<PairId>,
    pub difference: bool,
    /// One a frame is carried out.
    pub presses: VecDeque<ReviewAct>,
}

impl Review {
    /// `queue`: the lowest first.
    pub fn new(run: String, judged: usize, queue: Vec<MarginScore>) -> Self {
        Self {
            run,
            judged,
            queue,
            at: 0,
            steps: Vec::new(),
            waits_for: None,
            difference: true,
            presses: VecDeque::new(),
        }
    }

    pub fn current(&self) -> Option<MarginScore> {
        self.queue.get(self.at).copied()
    }

    /// The pair on the screen and some after it, to be read before they are asked for.
    pub fn ahead(&self, count: usize) -> impl Iterator<Item = PairId> {
        self.queue.iter().skip(self.at).take(count).map(|standing| standing.pair)
    }

    /// How many of the queue are behind it, and how many there are.
    pub fn progress(&self) -> (usize, usize) {
        (self.at, self.queue.len())
    }

    /// How often it was decided so.
    pub fn count(&self, decision: Decision) -> usize {
        self.steps.iter().filter(|step| step.decision == decision).count()
    }

    /// "3 flipped, 1 kept, 0 dropped".
    pub fn in_words(&self) -> String {
        let [flipped, kept, dropped] = Decision::ALL.map(|decision| self.count(decision));
        format!("{flipped} flipped, {kept} kept, {dropped} dropped")
    }

    /// The verdict that a decision about this pair means, and what the journal calls it; the next pair is the current
    /// one then. Absent where it has no better answer any more.
    pub fn decide(&mut self, pair: &Pair, decision: Decision, now_ms: i64) -> Option<(Verdict, String)> {
        let Some(Choice::Better { chosen, rejected, strength }) = pair.choice() else {
            self.pass();
            return None;
        };
        let choice = match decision {
            Decision::Flip => Choice::Better { chosen: rejected, rejected: chosen, strength },
            Decision::Keep => Choice::Better { chosen, rejected, strength },
            Decision::Drop => Choice::Skip,
        };
        let label = format!("{} pair {} as suspect", decision.word(), pair.id.0);
        self.steps.push(Step { at: self.at, decision, label: label.clone() });
        self.pass();
        let verdict = Verdict::local(choice, now_ms);
        Some((verdict, label))
    }

    /// Whether there is something to decide about this pair; one that is as it was decided is passed, unless that is
    /// being taken back.
    pub fn asks_about(&mut self, pair: &Pair) -> bool {
        if pair.is_decided() {
            self.waits_for = None;
        } else if self.waits_for != Some(pair.id) {
            self.pass();
        }
        pair.is_decided()
    }

    /// Goes on without a word: the pair is gone, or has no better answer any more.
    pub fn pass(&mut self) {
        self.waits_for = None;
        self.at = (self.at + 1).min(self.queue.len());
    }

    /// Back to the pair that was decided last; gives what the journal calls that.
    pub fn undo(&mut self) -> Option<String> {
        let step = self.steps.pop()?;
        self.at = step.at;
        self.waits_for = self.current().map(|standing| standing.pair);
        Some(step.label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::{Prompt, Strength};

    fn pair(id: i64) -> Pair {
        let choice = Choice::Better { chosen: 0, rejected: 1, strength: Strength::Slightly };
        Pair {
            verdict: Some(Verdict::imported(choice, 0)),
            ..Pair::new(PairId(id), Prompt::Text("p".to_owned()), &["a", "b"])
        }
    }

    fn review() -> Review {
        let standing = |id| MarginScore { pair: PairId(id), visits: 3, standing: -1.0, margin: -2.0, middle: 1.0 };
        Review::new("MPO 1".to_owned(), 40, (1..=3).map(standing).collect())
    }

    #[test]
    fn each_key_is_a_verdict_that_can_be_undone() {
        let mut review = review();
        let (flipped, label) = review.decide(&pair(1), Decision::Flip, 9).unwrap();
        assert_eq!(flipped.choice, Choice::Better { chosen: 1, rejected: 0, strength: Strength::Slightly });
        assert_eq!((flipped.at_ms, label.as_str()), (9, "Flip pair 1 as suspect"));
        let (kept, _) = review.decide(&pair(2), Decision::Keep, 10).unwrap();
        assert_eq!(kept.choice, pair(2).choice().unwrap(), "said again, with its time");
        assert_eq!(review.in_words(), "1 flipped, 1 kept, 0 dropped");
        assert_eq!(review.undo().as_deref(), Some("Keep pair 2 as suspect"));
        assert_eq!(review.current().unwrap().pair, PairId(2));
        let (dropped, _) = review.decide(&pair(2), Decision::Drop, 11).unwrap();
        assert_eq!(dropped.choice, Choice::Skip);
        assert_eq!(review.progress(), (2, 3));
        assert_eq!(review.ahead(5).collect::<Vec<_>>(), [PairId(3)]);
    }

    #[test]
    fn a_decision_that_is_taken_back_is_waited_for() {
        let mut review = review();
        let dropped = Pair { verdict: None, ..pair(1) };
        review.decide(&pair(1), Decision::Drop, 1).unwrap();
        review.undo();
        assert!(!review.asks_about(&dropped), "not taken back yet");
        assert_eq!(review.current().unwrap().pair, PairId(1));
        assert!(review.asks_about(&pair(1)));
        assert!(!review.asks_about(&dropped));
        assert_eq!(review.current().unwrap().pair, PairId(2), "somebody else has changed it");
    }

    #[test]
    fn what_is_no_better_answer_any_more_is_passed() {
        let mut review = review();
        let unlabelled = Pair { verdict: None, ..pair(1) };
        assert_eq!(review.decide(&unlabelled, Decision::Flip, 1), None);
        assert_eq!(
            (review.current().unwrap().pair, review.in_words().as_str()),
            (PairId(2), "0 flipped, 0 kept, 0 dropped")
        );
        assert_eq!(review.undo(), None);
        for _ in 0..9 {
            review.pass();
        }
        assert_eq!((review.current(), review.progress()), (None, (3, 3)));
    }
}
