//! What a model thinks of each pair: whose opinion the table shows, what is known of it, and what is being computed.

use std::sync::Arc;

use data::{PairId, counted};
use engine::protocol::{Event, RequestId, RunControl};
use serde::{Deserialize, Serialize};
use store::{PairQuery, PairScores, RunId, Scoring, VerdictState};
use train::objective::{Number, NumberBounds, Objective, Standing};

use super::{remembered::Remembered, runs::Runs};

/// Whose log-probs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Whose {
    /// What runs start from.
    #[default]
    Start,
    Checkpoint {
        run: RunId,
        step: u64,
    },
}

impl Whose {
    /// As the engine is asked.
    pub fn run(self) -> Option<(RunId, Option<u64>)> {
        match self {
            Self::Start => None,
            Self::Checkpoint { run, step } => Some((run, Some(step))),
        }
    }

    /// "Start model", or "Run 3 at step 120".
    pub fn describe(self, runs: &Runs) -> String {
        match self {
            Self::Start => "Start model".to_owned(),
            Self::Checkpoint { run, step } => format!("{} at step {step}", runs.name(run)),
        }
    }

    /// Everything that can be asked: what runs start from, then the checkpoints on the disk, of the newest run first.
    pub fn all(runs: &Runs) -> Vec<Self> {
        let of_run = |run: RunId| {
            runs.checkpoints(run)
                .iter()
                .rev()
                .filter(|step| **step > 0)
                .map(move |&step| Self::Checkpoint { run, step })
        };
        std::iter::once(Self::Start).chain(runs.records.iter().rev().flat_map(|record| of_run(record.id))).collect()
    }
}

/// What has become of a pair that is trained on, by the margin of the objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    FoughtOver,
    Asleep,
    Won,
    Lost,
}

impl Fate {
    pub const ALL: [Self; 4] = [Self::FoughtOver, Self::Asleep, Self::Won, Self::Lost];

    pub fn word(self) -> &'static str {
        match self {
            Self::FoughtOver => "Most fought-over",
            Self::Asleep => "Asleep",
            Self::Won => "Won",
            Self::Lost => "Lost",
        }
    }

    pub const fn about(self) -> &'static str {
        match self {
            Self::FoughtOver => "Pairs that are awake, the hardest push first",
            Self::Asleep => "Pairs with next to no push left, whether won or lost",
            Self::Won => "By the objective's own margin the chosen answer is ahead; the surest first",
            Self::Lost => "By the objective's own margin the rejected answer is ahead; the worst first",
        }
    }

    /// What the view is sorted by, and whether the largest comes first.
    pub fn order(self) -> (Number, bool) {
        match self {
            Self::FoughtOver => (Number::Push, true),
            Self::Asleep => (Number::Push, false),
            Self::Lost => (Number::Reward, false),
            Self::Won => (Number::Reward, true),
        }
    }

    fn holds(self, scores: &PairScores, standing: &Standing) -> bool {
        let is_decided = scores.state == VerdictState::Better;
        match self {
            Self::FoughtOver => scores.certainty.is_some() && !standing.asleep && standing.push > 0.0,
            Self::Asleep => standing.asleep,
            Self::Won => is_decided && standing.margin > 0.0,
            Self::Lost => is_decided && standing.margin < 0.0,
        }
    }
}

/// What the table asks for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Listing {
    pub query: PairQuery,
    pub by: Option<ByScores>,
}

/// What of the scores it needs for that.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ByScores {
    pub scoring: Scoring,
    pub objective: Objective,
    pub fate: Option<Fate>,
    pub range: Option<NumberBounds>,
    pub number: Option<Number>,
    /// How many there were: more of them are another list.
    pub scored: usize,
}

impl ByScores {
    /// Whether pairs without scores are left out.
    pub fn narrows(&self) -> bool {
        self.fate.is_some() || self.range.is_some()
    }

    /// By what a pair is sorted, or nothing for one that is left out.
    pub fn place(&self, scores: &PairScores) -> Option<f64> {
        let standing = Standing::of(&self.objective, scores)?;
        let is_in = self.fate.is_none_or(|fate| fate.holds(scores, &standing))
            && self.range.is_none_or(|range| range.holds(scores, &standing));
        is_in.then(|| self.number.map_or(0.0, |number| number.of(scores, &standing)))
    }
}

/// So many pairs stand for all of them on the curves of the loss.
pub const DOTS: usize = 1_000;

/// What is known of the pairs under the weights that are shown.
#[derive(Debug, Default)]
pub struct ScoresData {
    /// What was asked last.
    pub asked: Option<Whose>,
    pub shown: Option<ShownScores>,
    pub rows: Remembered<PairScores>,
    /// The last request for scores, until its end was read.
    pub under_way: Option<ScoringUnderWay>,
}

/// The answer to a question for scores.
#[derive(Debug, Clone)]
pub struct ShownScores {
    pub whose: Whose,
    /// Absent while nothing was scored under these weights.
    pub scoring: Option<Scoring>,
    /// The run's own at that step; what runs start from is judged by the launch sheet's.
    pub objective: Option<Objective>,
    /// Pairs that were scored, those included that cannot be.
    pub scored: usize,
    pub of: usize,
    /// At most [`DOTS`] pairs with a better answer, evenly spread.
    pub sample: Arc<Vec<PairScores>>,
    /// How many pairs these stand for.
    pub sampled: usize,
}

impl ScoresData {
    /// What is shown, if that is what is asked for.
    pub fn of(&self, whose: Whose) -> Option<&ShownScores> {
        self.shown.as_ref().filter(|shown| shown.whose == whose)
    }

    pub fn is_busy(&self) -> bool {
        self.under_way.as_ref().is_some_and(|under_way| under_way.end.is_none())
    }

    /// Pairs were changed: their texts may be others now, and there may be more of them.
    pub fn changed(&mut self, pairs: &[PairId]) {
        for id in pairs {
            self.rows.expire(*id);
        }
        self.asked = None;
    }

    /// There may be more than is known.
    pub fn look_again(&mut self) {
        self.asked = None;
        self.rows.expire_all();
    }
}

impl ShownScores {
    pub fn objective(&self, of_sheet: &Objective) -> Objective {
        self.objective.unwrap_or(*of_sheet)
    }
}

/// Pairs that are being scored.
#[derive(Debug, Clone)]
pub struct ScoringUnderWay {
    pub request: RequestId,
    pub control: Arc<RunControl>,
    pub whose: Whose,
    pub done: usize,
    pub of: usize,
    /// How many there were when the table looked last.
    looked_at: usize,
    /// How it ended: well, with what there is to know, or with a sentence.
    pub end: Option<Result<Vec<String>, String>>,
}

/// What the window does after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It was about the scores.
    Noted,
    /// There are many more than the table knows.
    LookAgain,
}

impl ScoringUnderWay {
    pub fn new(request: RequestId, control: Arc<RunControl>, whose: Whose) -> Self {
        Self { request, control, whose, done: 0, of: 0, looked_at: 0, end: None }
    }

    /// Takes in what the engine tells about it.
    pub fn take(&mut self, event: &Event) -> Option<Heard> {
        match event {
            Event::Scored { request, done, of, .. } if *request == self.request => {
                if self.of == 0 {
                    self.looked_at = *done;
                }
                (self.done, self.of) = (*done, *of);
                // The first screenful soon, then seldom: a list of a million is not made anew at every few of them.
                let many = (2 * self.looked_at).max(self.looked_at + 64);
                if self.done < many {
                    return Some(Heard::Noted);
                }
                self.looked_at = self.done;
            }
            Event::AllScored { request, passed_over } if *request == self.request => {
                self.end = Some(Ok(passed_over.clone()));
            }
            Event::Failed { request, error } if *request == self.request => self.end = Some(Err(error.clone())),
            _ => return None,
        }
        Some(Heard::LookAgain)
    }

    pub fn share(&self) -> f32 {
        self.done as f32 / self.of.max(1) as f32
    }

    /// In words: how it stands, or what came of it.
    pub fn summary(&self, runs: &Runs) -> String {
        let whose = self.whose.describe(runs);
        let said = match &self.end {
            None if self.of == 0 => format!("Loading {whose}"),
            None => format!("Scoring under {whose}: {} of {}", self.done, counted(self.of, "pair", "pairs")),
            Some(Ok(_)) if self.done < self.of => {
                format!(
                    "Stopped: {} of {} scored under {whose}; they are kept",
                    self.done,
                    counted(self.of, "pair", "pairs")
                )
            }
            Some(Ok(_)) => format!("All pairs are scored under {whose}"),
            Some(Err(error)) => format!("The pairs could not be scored: {error}"),
        };
        let remarks = self.end.iter().flatten().flatten();
        remarks.fold(said, |said, remark| format!("{said}. {remark}"))
    }
}

/// What the screens can ask for.
#[derive(Debug, Clone)]
pub enum ScoresCommand {
    /// Read what is known under these weights.
    Read(Whose),
    /// The same of some pairs.
    ReadRows(Vec<PairId>),
    /// Have the pairs scored that are not yet.
    Score(Whose),
    /// The report of it was read.
    Close,
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::config::Margin;
    use store::{Score, ScoringId};
    use train::objective::Mpo;

    fn scores(margin: f64) -> PairScores {
        let score = |log_prob| Score { log_prob, tokens: 4 };
        PairScores {
            pair: PairId(1),
            state: VerdictState::Better,
            certainty: Some(1.0),
            reward: 1.0,
            behaviour: 1.0,
            chosen: score(margin - 20.0),
            rejected: score(-20.0),
            start: Some([-20.0, -20.0]),
        }
    }

    fn fates(scores: &PairScores) -> Vec<Fate> {
        let objective = Objective::Mpo(Mpo { beta: 0.5, margin: Margin::AnchoredSum });
        let scoring = Scoring { id: ScoringId(1), run: None, start: ScoringId(1) };
        let by = |fate| ByScores { scoring, objective, fate: Some(fate), range: None, number: None, scored: 0 };
        Fate::ALL.into_iter().filter(|fate| by(*fate).place(scores).is_some()).collect()
    }

    #[test]
    fn what_has_become_of_a_pair() {
        assert_eq!(fates(&scores(0.0)), [Fate::FoughtOver], "nothing is won or lost at the start");
        assert_eq!(fates(&scores(1.0)), [Fate::FoughtOver, Fate::Won]);
        assert_eq!(fates(&scores(-40.0)), [Fate::Asleep, Fate::Lost]);
        let unlabelled = PairScores { state: VerdictState::Unlabelled, certainty: None, ..scores(3.0) };
        assert_eq!(fates(&unlabelled), []);
    }

    #[test]
    fn the_table_looks_again_when_there_are_many_more() {
        let mut under_way = ScoringUnderWay::new(RequestId(4), Arc::default(), Whose::Start);
        let mut heard = |done| under_way.take(&Event::Scored { request: RequestId(4), step: None, done, of: 1_000 });
        assert_eq!([0, 8, 64, 80, 128, 200, 256].map(&mut heard).map(Option::unwrap), {
            use Heard::{LookAgain, Noted};
            [Noted, Noted, LookAgain, Noted, LookAgain, Noted, LookAgain]
        });
        assert_eq!(heard(300), Some(Heard::Noted));
        assert_eq!(under_way.take(&Event::AllScored { request: RequestId(5), passed_over: Vec::new() }), None);
        under_way
            .take(&Event::AllScored { request: RequestId(4), passed_over: vec!["The newest is damaged".to_owned()] });
        let said = under_way.summary(&Runs::default());
        let why = "The newest is damaged";
        assert_eq!(said, format!("Stopped: 300 of 1000 pairs scored under Start model; they are kept. {why}"));
    }
}
