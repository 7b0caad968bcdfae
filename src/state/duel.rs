//! A blind duel: two sets of weights answer the same prompts, and a person says which answer is better without being
//! told whose it is.

mod form;
mod start;

use std::sync::Arc;

use data::{Answer, Change, Choice, Edit, Pair, PairId, Prompt, Strength, Verdict, counted, mix};
use engine::protocol::{DrawnPair, Event, RequestId, RunControl};
use judge::{Tally, Winner};

pub use form::{DuelForm, DuelPrompts, MOST_PROMPTS};

use super::labelling::Side;

/// What a person says to two answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DuelPress {
    Better(Side),
    Tie,
    /// No verdict on this prompt.
    Pass,
}

/// What can be asked for.
#[derive(Debug, Clone)]
pub enum DuelCommand {
    /// As the form says.
    Begin,
    /// With these prompts.
    BeginWith(Vec<Prompt>),
    Press(DuelPress),
    Undo,
    /// No more answers; those that are there can be judged.
    Stop,
    /// Whose answers they were, before all are judged.
    Reveal,
    /// Keep the verdicts as labelled pairs.
    Save,
    /// They are pairs now.
    Saved,
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// 0 or 1: who won.
    Winner(usize),
    Tie,
    Passed,
}

/// A judged prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Judged {
    prompt: usize,
    said: Said,
    at_ms: i64,
    took_ms: u32,
}

/// Two answers as they stand on the screen.
pub struct DuelAnswers<'a> {
    pub prompt: &'a Prompt,
    /// Left and right.
    pub answers: [&'a Answer; 2],
}

/// One duel, from the first answer to its result.
#[derive(Debug)]
pub struct Duel {
    /// In the order of the form: "base model", "MPO 1 at step 300".
    pub names: [String; 2],
    pub prompts: Arc<[Prompt]>,
    pub control: Arc<RunControl>,
    requests: [RequestId; 2],
    seed: u64,
    /// By contestant: an answer to each prompt so far, or why there is none.
    answers: [Vec<Result<Answer, String>>; 2],
    /// Contestants that say no more.
    ended: [bool; 2],
    pub error: Option<String>,
    judged: Vec<Judged>,
    shown_ms: i64,
    pub revealed: bool,
    /// Verdicts that are pairs of the project by now.
    kept: usize,
}

impl Duel {
    pub fn new(names: [String; 2], prompts: Arc<[Prompt]>, requests: [RequestId; 2], seed: u64, now_ms: i64) -> Self {
        Self {
            names,
            prompts,
            control: Arc::default(),
            requests,
            seed,
            answers: [Vec::new(), Vec::new()],
            ended: [false; 2],
            error: None,
            judged: Vec::new(),
            shown_ms: now_ms,
            revealed: false,
            kept: 0,
        }
    }

    /// Takes in what the engine tells about it; false when the event is about something else.
    pub fn take(&mut self, event: &Event, now_ms: i64) -> bool {
        let (Event::Drawn { request, .. } | Event::AllDrawn { request } | Event::Failed { request, .. }) = event else {
            return false;
        };
        let Some(side) = self.requests.iter().position(|known| known == request) else {
            return false;
        };
        let waited = self.current().is_none();
        match event {
            Event::Drawn { drawn: DrawnPair::Pair { pair, .. }, .. } => {
                let answer = pair.answers.first().cloned().ok_or_else(|| "nothing was said".to_owned());
                self.answers[side].push(answer);
            }
            Event::Drawn { drawn: DrawnPair::None(reason), .. } => self.answers[side].push(Err(reason.clone())),
            Event::Failed { error, .. } => {
                self.ended[side] = true;
                self.error = Some(format!("{} could not answer: {error}", self.names[side]));
            }
            _ => self.ended[side] = true,
        }
        if waited {
            self.shown_ms = now_ms;
        }
        true
    }

    pub fn is_writing(&self) -> bool {
        !self.ended.iter().all(|ended| *ended)
    }

    /// Share of all answers that are there.
    pub fn share_written(&self) -> f32 {
        let there: usize = self.answers.iter().map(Vec::len).sum();
        there as f32 / (2 * self.prompts.len()).max(1) as f32
    }

    /// Prompts that both have had their turn on.
    fn heard(&self) -> usize {
        self.answers[0].len().min(self.answers[1].len())
    }

    /// Two answers that differ.
    fn both(&self, prompt: usize) -> Option<[&Answer; 2]> {
        let [first, second] = [0, 1].map(|side| self.answers[side].get(prompt)?.as_ref().ok());
        let (first, second) = (first?, second?);
        (first.text.trim() != second.text.trim()).then_some([first, second])
    }

    /// The prompt to be judged, where its answers are there.
    pub fn current(&self) -> Option<usize> {
        let next = self.judged.last().map_or(0, |judged| judged.prompt + 1);
        (next..self.heard()).find(|prompt| self.both(*prompt).is_some())
    }

    /// Which contestant stands on the left.
    fn on_left(&self, prompt: usize) -> usize {
        (mix(self.seed ^ mix(prompt as u64)) & 1) as usize
    }

    pub fn shown(&self) -> Option<DuelAnswers<'_>> {
        let prompt = self.current()?;
        let both = self.both(prompt)?;
        let left = self.on_left(prompt);
        Some(DuelAnswers { prompt: &self.prompts[prompt], answers: [both[left], both[1 - left]] })
    }

    pub fn press(&mut self, press: DuelPress, now_ms: i64) {
        let Some(prompt) = self.current() else { return };
        let left = self.on_left(prompt);
        let said = match press {
            DuelPress::Better(Side::Left) => Said::Winner(left),
            DuelPress::Better(Side::Right) => Said::Winner(1 - left),
            DuelPress::Tie => Said::Tie,
            DuelPress::Pass => Said::Passed,
        };
        let took_ms = u32::try_from((now_ms - self.shown_ms).max(0)).unwrap_or(u32::MAX);
        self.judged.push(Judged { prompt, said, at_ms: now_ms, took_ms });
        self.shown_ms = now_ms;
    }

    /// Takes the last verdict back, where [`Self::can_undo`].
    pub fn undo(&mut self, now_ms: i64) {
        if self.can_undo() {
            self.shown_ms = now_ms;
            self.judged.pop();
        }
    }

    /// Not once it is told whose answers they were, nor what is in the project already.
    pub fn can_undo(&self) -> bool {
        self.judged.len() > self.kept && !self.revealed
    }

    /// The project has taken all verdicts in.
    pub fn keep(&mut self) {
        self.kept = self.judged.len();
    }

    pub fn is_kept(&self) -> bool {
        self.kept > 0 && self.kept == self.judged.len()
    }

    /// Nothing is left to be judged, and nothing will come.
    pub fn is_over(&self) -> bool {
        self.current().is_none() && !self.is_writing()
    }

    /// Prompts judged, and all of them as far as is known.
    pub fn progress(&self) -> (usize, usize) {
        let open = (0..self.heard()).filter(|prompt| self.both(*prompt).is_some()).count();
        let to_come = if self.is_writing() { self.prompts.len() - self.heard() } else { 0 };
        (self.judged.len(), open + to_come)
    }

    pub fn tally(&self) -> Tally {
        let of = |said| self.judged.iter().filter(|judged| judged.said == said).count();
        Tally { first: of(Said::Winner(0)), second: of(Said::Winner(1)), ties: of(Said::Tie) }
    }

    /// While whose answers they are is not told: how many verdicts there are, and whether they are enough.
    pub fn so_far(&self) -> String {
        let tally = self.tally();
        let verdicts = counted(tally.decided() + tally.ties, "verdict", "verdicts");
        match tally.winner() {
            Winner::Open => verdicts,
            Winner::First | Winner::Second => format!("{verdicts}: enough to tell them apart"),
        }
    }

    /// What came out, in sentences.
    pub fn result(&self) -> Vec<String> {
        let tally = self.tally();
        let [first, second] = &self.names;
        let mut sentences = Vec::new();
        match tally.second_won() {
            Some((share, low, high)) => {
                let percent = data::percent;
                sentences.push(format!(
                    "{second} won {} of {} against {first}: {} (95 % interval {} to {})",
                    tally.second,
                    tally.decided(),
                    percent(share),
                    percent(low),
                    percent(high)
                ));
            }
            None => sentences.push(format!("No verdict names a winner between {first} and {second}")),
        }
        sentences.push(match tally.winner() {
            Winner::First => format!("That is enough: the answers of {first} are preferred"),
            Winner::Second => format!("That is enough: the answers of {second} are preferred"),
            Winner::Open => {
                "That is not enough to be sure, looking after each verdict as one does: 8 wins in a row are, or a \
                              lead of 74 to 26 over about 45 verdicts"
                    .to_owned()
            }
        });
        let mut rest = Vec::new();
        if tally.ties > 0 {
            rest.push(counted(tally.ties, "tie", "ties"));
        }
        let heard = 0..self.heard();
        let same = heard.clone().filter(|prompt| self.are_the_same(*prompt)).count();
        if same > 0 {
            rest.push(format!("{} answered the same by both", counted(same, "prompt", "prompts")));
        }
        let silent = heard.filter(|prompt| self.reason(*prompt).is_some()).count();
        if silent > 0 {
            rest.push(format!("{} without two answers", counted(silent, "prompt", "prompts")));
        }
        if !rest.is_empty() {
            sentences.push(format!("Besides: {}", rest.join(", ")));
        }
        sentences
    }

    fn are_the_same(&self, prompt: usize) -> bool {
        self.reason(prompt).is_none() && self.both(prompt).is_none()
    }

    /// Why a prompt has no two answers.
    fn reason(&self, prompt: usize) -> Option<&str> {
        self.answers.iter().find_map(|answers| answers.get(prompt)?.as_ref().err()).map(String::as_str)
    }

    /// Prompts without two answers, and why.
    pub fn silent(&self) -> impl Iterator<Item = (&Prompt, &str)> {
        (0..self.heard()).filter_map(|prompt| Some((&self.prompts[prompt], self.reason(prompt)?)))
    }

    /// The verdicts as labelled pairs; none where no prompt has one.
    pub fn pairs(&self) -> Option<Change> {
        let pairs: Vec<Pair> = self.judged[self.kept..].iter().filter_map(|judged| self.pair(judged)).collect();
        let label = format!("{} from a blind duel", counted(pairs.len(), "pair", "pairs"));
        (!pairs.is_empty()).then(|| Change::new(label, pairs.into_iter().map(Edit::add).collect()))
    }

    fn pair(&self, judged: &Judged) -> Option<Pair> {
        let choice = match judged.said {
            Said::Winner(chosen) => Choice::Better { chosen, rejected: 1 - chosen, strength: Strength::Clearly },
            Said::Tie => Choice::Tie,
            Said::Passed => return None,
        };
        let verdict = Verdict {
            took_ms: Some(judged.took_ms),
            shown_left: Some(self.on_left(judged.prompt)),
            ..Verdict::local(choice, judged.at_ms)
        };
        Some(Pair {
            answers: self.both(judged.prompt)?.map(Answer::clone).into(),
            verdict: Some(verdict),
            tags: vec!["duel".to_owned()],
            ..Pair::new(PairId::NEW, self.prompts[judged.prompt].clone(), &[])
        })
    }
}

impl Drop for Duel {
    /// Nobody waits for its answers any more.
    fn drop(&mut self) {
        self.control.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::Origin;

    const REQUESTS: [RequestId; 2] = [RequestId(4), RequestId(5)];

    fn duel(prompts: usize) -> Duel {
        let prompts: Vec<Prompt> = (0..prompts).map(|n| Prompt::Text(format!("p{n}"))).collect();
        Duel::new(["base model".to_owned(), "MPO 1".to_owned()], prompts.into(), REQUESTS, 3, 1000)
    }

    fn says(duel: &mut Duel, side: usize, text: &str) {
        let mut pair = Pair::new(PairId::NEW, Prompt::Text(String::new()), &[]);
        pair.answers = vec![Answer::new(text, Origin::Model(duel.names[side].clone()))];
        let drawn = DrawnPair::Pair { pair: Box::new(pair), pilaf: false, again: false };
        assert!(duel.take(&Event::Drawn { request: REQUESTS[side], drawn }, 1000));
    }

    /// Both answer every prompt, the second one with capitals.
    fn answered(prompts: usize) -> Duel {
        let mut duel = duel(prompts);
        for side in 0..2 {
            for n in 0..prompts {
                says(&mut duel, side, &format!("{}{n}", ["a", "A"][side]));
            }
            duel.take(&Event::AllDrawn { request: REQUESTS[side] }, 1000);
        }
        duel
    }

    /// Presses for the contestant whose answer is written in capitals.
    fn prefer_capitals(duel: &mut Duel, now_ms: i64) {
        let shown = duel.shown().unwrap();
        let side = if shown.answers[0].text.starts_with('A') { Side::Left } else { Side::Right };
        duel.press(DuelPress::Better(side), now_ms);
    }

    #[test]
    fn the_sides_are_mixed_and_the_better_one_is_found() {
        let mut duel = answered(9);
        let mut on_left = [0; 2];
        for n in 0..9 {
            on_left[duel.on_left(n)] += 1;
            prefer_capitals(&mut duel, 2000 + n as i64);
        }
        assert!(on_left.iter().all(|count| *count > 0), "{on_left:?}");
        assert!(duel.is_over());
        assert_eq!(duel.tally(), Tally { first: 0, second: 9, ties: 0 });
        let result = duel.result();
        assert!(result[0].starts_with("MPO 1 won 9 of 9 against base model: 100 %"), "{result:?}");
        assert_eq!(result[1], "That is enough: the answers of MPO 1 are preferred");
        assert!(duel.so_far().starts_with("9 verdicts") && !duel.so_far().contains("MPO"), "{}", duel.so_far());
    }

    #[test]
    fn verdicts_are_pairs_that_say_whose_answers_they_are() {
        let mut duel = answered(3);
        prefer_capitals(&mut duel, 2500);
        duel.press(DuelPress::Pass, 2600);
        duel.press(DuelPress::Tie, 2700);
        let change = duel.pairs().unwrap();
        assert_eq!((change.edits.len(), change.label.as_str()), (2, "2 pairs from a blind duel"));
        let pair = duel.pair(&duel.judged[0]).unwrap();
        assert_eq!(pair.answers[1].origin, Origin::Model("MPO 1".to_owned()));
        let verdict = pair.verdict.unwrap();
        assert!(matches!(verdict.choice, Choice::Better { chosen: 1, rejected: 0, .. }));
        assert_eq!((verdict.took_ms, verdict.shown_left), (Some(1500), Some(duel.on_left(0))));
    }

    #[test]
    fn what_cannot_be_judged_is_passed_over_and_counted() {
        let mut duel = duel(4);
        for text in ["same", "x", "y", "z"] {
            says(&mut duel, 0, text);
        }
        assert_eq!(duel.current(), None, "the other one has said nothing yet");
        says(&mut duel, 1, " same\n");
        let none = Event::Drawn { request: REQUESTS[1], drawn: DrawnPair::None("no room".to_owned()) };
        assert!(duel.take(&none, 1000));
        says(&mut duel, 1, "other");
        assert_eq!((duel.current(), duel.progress()), (Some(2), (0, 2)));
        duel.press(DuelPress::Tie, 2000);
        assert!(!duel.is_over(), "more may come");
        let failed = Event::Failed { request: REQUESTS[1], error: "the folder is gone".to_owned() };
        assert!(duel.take(&failed, 1000) && duel.take(&Event::AllDrawn { request: REQUESTS[0] }, 1000));
        assert!(duel.is_over());
        assert_eq!(duel.error.as_deref(), Some("MPO 1 could not answer: the folder is gone"));
        let result = duel.result();
        assert_eq!(result[0], "No verdict names a winner between base model and MPO 1");
        assert_eq!(result[2], "Besides: 1 tie, 1 prompt answered the same by both, 1 prompt without two answers");
        assert_eq!(duel.silent().map(|(_, reason)| reason).collect::<Vec<_>>(), ["no room"]);
        assert!(duel.can_undo());
        duel.undo(3000);
        assert_eq!((duel.current(), duel.can_undo()), (Some(2), false));
        assert!(!duel.take(&Event::AllDrawn { request: RequestId(9) }, 1000), "another one's");
    }
}
