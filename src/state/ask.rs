//! The ask box: one prompt, one or two sets of weights, answers as they come in, and what the person prefers.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use data::{Answer, Choice, Origin, Pair, PairId, Prompt, Role, Strength, Turn, counted};
use engine::protocol::{Event, Generated, RequestId, RunControl, Sampling, StoppedBy};
use store::RunId;

use super::{drafts, labelling::Side, sampling::Drawing};

/// Whose answer a column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
pub enum Source {
    /// The project's model as it is on disk.
    #[default]
    Base,
    /// A run at a checkpoint, or as it is now.
    Run { run: RunId, step: Option<u64> },
    /// [`Ask::guest`].
    Guest,
}

/// A model from elsewhere, invited in the Models place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    pub name: String,
    /// Or a GGUF file.
    pub folder: PathBuf,
    pub adapter: Option<PathBuf>,
}

impl Source {
    /// As written beside an answer and into a pair's origin.
    ///
    /// `run_name`: what the run is called; `run_step`: where it stands, for an answer of its newest weights.
    pub fn describe(
        self,
        guest: Option<&Guest>,
        run_name: impl Fn(RunId) -> String,
        run_step: impl Fn(RunId) -> Option<u64>,
    ) -> String {
        match self {
            Self::Base => "base model".to_owned(),
            Self::Guest => guest.map_or_else(|| "no model".to_owned(), |guest| guest.name.clone()),
            Self::Run { run, step } => match step.or_else(|| run_step(run)) {
                Some(step) => format!("{} at step {step}", run_name(run)),
                None => format!("{}, newest weights", run_name(run)),
            },
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Status {
    Empty,
    /// Asked; the first token is not there yet.
    Waiting,
    Streaming,
    Done(Generated),
    Failed(String),
}

/// One answer being written.
#[derive(Debug, Clone)]
pub struct Column {
    pub source: Source,
    /// What `text` answers, which may no longer be what the box says.
    asked: Option<(Prompt, Source, String)>,
    request: Option<RequestId>,
    pub control: Arc<RunControl>,
    pub text: String,
    pub tokens: usize,
    /// When the first token came, Unix time in milliseconds.
    first_ms: Option<i64>,
    pub status: Status,
}

impl Column {
    fn new(source: Source) -> Self {
        Self {
            source,
            asked: None,
            request: None,
            control: Arc::default(),
            text: String::new(),
            tokens: 0,
            first_ms: None,
            status: Status::Empty,
        }
    }

    pub fn busy(&self) -> bool {
        matches!(self.status, Status::Waiting | Status::Streaming)
    }

    /// In words, while it is written: how much there is and how fast it comes.
    pub fn progress(&self, now_ms: i64) -> Option<String> {
        if self.status != Status::Streaming {
            return None;
        }
        let count = counted(self.tokens, "token", "tokens");
        let took = (now_ms - self.first_ms?) as f64 / 1e3;
        // The first few say little about the rest.
        if self.tokens < 4 || took < 0.2 {
            return Some(format!("{count}…"));
        }
        let speed = (self.tokens - 1) as f64 / took;
        Some(format!("{count} at {speed:.0} tokens/s…"))
    }

    /// In words: how it stopped and how fast it was.
    pub fn outcome(&self) -> Option<String> {
        let Status::Done(generated) = &self.status else {
            return None;
        };
        let stopped = match generated.stopped_by {
            StoppedBy::Eos => "the model ended its turn",
            StoppedBy::Stop => "ended by a stop text",
            StoppedBy::Limit => "stopped at the token limit",
            StoppedBy::Context => "stopped where the model's context is full",
            StoppedBy::Cancelled => "stopped by you",
        };
        let mut outcome = match generated.ids.len() {
            0 => format!("No token, {stopped}"),
            count => {
                format!("{} at {:.0} tokens/s, {stopped}", counted(count, "token", "tokens"), generated.tokens_per_sec)
            }
        };
        for sentence in &generated.passed_over {
            outcome = format!("{outcome}. {sentence}");
        }
        Some(outcome)
    }
}

/// A question about to go to the engine.
#[derive(Debug, Clone)]
pub struct Question {
    pub request: RequestId,
    pub source: Source,
    pub prompt: Prompt,
    pub sampling: Sampling,
    pub control: Arc<RunControl>,
}

/// The box and its answers.
#[derive(Debug, Clone)]
pub struct Ask {
    pub prompt: Prompt,
    pub drawing: Drawing,
    /// Ask the second source as well.
    pub two: bool,
    /// Who answers as [`Source::Guest`].
    pub guest: Option<Guest>,
    pub columns: [Column; 2],
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            prompt: Prompt::chat(vec![Turn::new(Role::User, "")]),
            drawing: Drawing::default(),
            two: true,
            guest: None,
            columns: [Column::new(Source::Base), Column::new(Source::Base)],
        }
    }
}

impl Ask {
    pub fn busy(&self) -> bool {
        self.columns.iter().any(Column::busy)
    }

    /// Columns that take part.
    pub fn sides(&self) -> &'static [Side] {
        if self.two { &Side::BOTH } else { &[Side::Left] }
    }

    pub fn column(&self, side: Side) -> &Column {
        &self.columns[side as usize]
    }

    pub fn column_mut(&mut self, side: Side) -> &mut Column {
        &mut self.columns[side as usize]
    }

    /// Why nothing can be asked now, as a sentence.
    pub fn obstacle(&self) -> Option<&'static str> {
        if self.busy() {
            Some("An answer is being written")
        } else if is_blank(&self.prompt) {
            Some("Write a prompt first")
        } else {
            None
        }
    }

    /// Whether both sides ask the same weights. `base`: the project's model; `newest`: the step that a run's newest weights
    /// have, if that is known.
    pub fn same_weights(&self, base: &Path, newest: impl Fn(RunId) -> Option<u64>) -> bool {
        let plain = |source| match source {
            Source::Run { run, step } => Source::Run { run, step: step.or_else(|| newest(run)) },
            Source::Guest if self.guest.as_ref().is_some_and(|it| it.folder == base && it.adapter.is_none()) => {
                Source::Base
            }
            Source::Base | Source::Guest => source,
        };
        self.two && plain(self.columns[0].source) == plain(self.columns[1].source)
    }

    /// Starts one question a column, all with the same prompt and settings, and with the same seed where the weights differ:
    /// then what differs comes from the weights. Equal weights get the next seed at the right, or they would write the same.
    /// `next_id` gives fresh ids; `base` as in [`Ask::same_weights`].
    pub fn start(
        &mut self,
        base: &Path,
        mut next_id: impl FnMut() -> RequestId,
        run_name: impl Fn(RunId) -> String,
        run_step: impl Fn(RunId) -> Option<u64>,
    ) -> Vec<Question> {
        if self.obstacle().is_some() {
            return Vec::new();
        }
        let (prompt, sampling) = (self.prompt.clone(), self.drawing.sampling());
        let same = self.same_weights(base, &run_step);
        let (two, guest) = (self.two, self.guest.as_ref());
        for column in &mut self.columns {
            *column = Column::new(column.source);
        }
        self.columns
            .iter_mut()
            .take(if two { 2 } else { 1 })
            .zip([0, u64::from(same)])
            .map(|(column, later)| {
                let request = next_id();
                column.request = Some(request);
                column.asked =
                    Some((prompt.clone(), column.source, column.source.describe(guest, &run_name, &run_step)));
                column.status = Status::Waiting;
                Question {
                    request,
                    source: column.source,
                    prompt: prompt.clone(),
                    sampling: Sampling { seed: sampling.seed.wrapping_add(later), ..sampling.clone() },
                    control: Arc::clone(&column.control),
                }
            })
            .collect()
    }

    /// A question could not be handed over.
    pub fn refuse(&mut self, request: RequestId, why: &str) {
        if let Some(column) = self.named(request) {
            column.status = Status::Failed(why.to_owned());
        }
    }

    /// Asks every answer to stop; what has been written stays.
    pub fn stop(&self) {
        for column in self.columns.iter().filter(|column| column.busy()) {
            column.control.stop();
        }
    }

    /// Takes in what the engine says about these questions; false when the event is about something else.
    pub fn receive(&mut self, event: &Event, now_ms: i64) -> bool {
        match event {
            Event::Token { request, text } => self.named(*request).is_some_and(|column| {
                if column.busy() {
                    column.text.push_str(text);
                    column.tokens += 1;
                    column.first_ms.get_or_insert(now_ms);
                    column.status = Status::Streaming;
                }
                true
            }),
            Event::Generated { request, answer } => self.named(*request).is_some_and(|column| {
                column.text.clone_from(&answer.text);
                column.tokens = answer.ids.len();
                column.status = Status::Done(answer.clone());
                true
            }),
            Event::Failed { request, error } => self.named(*request).is_some_and(|column| {
                column.status = Status::Failed(error.clone());
                true
            }),
            _ => false,
        }
    }

    /// Both answers are there and say the same.
    pub fn wrote_the_same(&self) -> bool {
        let [left, right] = &self.columns;
        let finished = |column: &Column| matches!(column.status, Status::Done(_));
        finished(left) && finished(right) && left.text == right.text
    }

    /// Why the two answers cannot become a pair, as a sentence.
    pub fn cannot_prefer(&self) -> Option<&'static str> {
        let [left, right] = &self.columns;
        let finished = |column: &Column| matches!(column.status, Status::Done(_));
        if !(finished(left) && finished(right)) {
            return Some("Two finished answers are needed");
        }
        if left.text.trim().is_empty() || right.text.trim().is_empty() {
            return Some("An answer is empty");
        }
        if self.wrote_the_same() {
            return Some("The answers are the same");
        }
        None
    }

    /// A new pair from the two answers: the one on `side` is the chosen one.
    pub fn prefer(&self, side: Side, now_ms: i64) -> Option<Pair> {
        if self.cannot_prefer().is_some() {
            return None;
        }
        let answer = |column: &Column| {
            let (_, _, name) = column.asked.as_ref()?;
            Some(Answer::new(column.text.as_str(), Origin::Model(name.clone())))
        };
        let (prompt, ..) = self.columns[0].asked.clone()?;
        let (chosen, rejected) = (side as usize, side.other() as usize);
        Some(Pair {
            answers: vec![answer(&self.columns[0])?, answer(&self.columns[1])?],
            verdict: Some(drafts::verdict(Choice::Better { chosen, rejected, strength: Strength::Clearly }, now_ms)),
            tags: vec!["from answers".to_owned()],
            ..Pair::new(PairId::NEW, prompt, &[])
        })
    }

    fn named(&mut self, request: RequestId) -> Option<&mut Column> {
        self.columns.iter_mut().find(|column| column.request == Some(request))
    }
}

fn is_blank(prompt: &Prompt) -> bool {
    match prompt {
        Prompt::Text(text) => text.is_empty(),
        Prompt::Chat(turns) => turns.iter().all(|turn| turn.content.trim().is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> (Ask, Vec<Question>) {
        let mut ask = Ask { prompt: Prompt::Text("when?".to_owned()), ..Ask::default() };
        ask.columns[1].source = Source::Run { run: RunId(3), step: Some(40) };
        let mut id = 10;
        let questions = ask.start(
            Path::new("/base"),
            || {
                id += 1;
                RequestId(id)
            },
            |run| format!("run {}", run.0),
            |_| None,
        );
        (ask, questions)
    }

    fn done(request: u64, text: &str) -> Event {
        Event::Generated {
            request: RequestId(request),
            answer: Generated {
                prompt_ids: vec![1],
                ids: vec![2, 3],
                text: text.to_owned(),
                stopped_by: StoppedBy::Eos,
                passed_over: Vec::new(),
                tokens_per_sec: 41.6,
                prompt_tokens_per_sec: 100.0,
            },
        }
    }

    #[test]
    fn both_columns_are_asked_the_same() {
        let (mut ask, questions) = asked();
        assert_eq!(questions.len(), 2);
        assert_eq!(questions[0].prompt, questions[1].prompt);
        assert_eq!(questions[0].sampling, questions[1].sampling);
        assert_ne!(questions[0].request, questions[1].request);
        assert_eq!(ask.obstacle(), Some("An answer is being written"));
        let none = ask.start(Path::new("/base"), || RequestId(99), |_| String::new(), |_| None);
        assert!(none.is_empty(), "a second start waits for the first");
    }

    #[test]
    fn g20_equal_weights_get_seeds_of_their_own() {
        let base = Path::new("/base");
        let newest = |run: RunId| (run == RunId(3)).then_some(40);
        let run = |step| Source::Run { run: RunId(3), step };
        let guest = |folder: &str| Guest { name: "guest".to_owned(), folder: folder.into(), adapter: None };
        for (left, right, folder, same) in [
            (Source::Base, Source::Base, "/other", true),
            (run(Some(40)), run(Some(40)), "/other", true),
            (run(None), run(Some(40)), "/other", true),
            (Source::Base, Source::Guest, "/base", true),
            (Source::Base, Source::Guest, "/other", false),
            (run(None), run(Some(20)), "/other", false),
            (Source::Base, run(None), "/other", false),
        ] {
            let mut ask = Ask { prompt: Prompt::Text("when?".to_owned()), ..Ask::default() };
            ask.guest = Some(guest(folder));
            ask.drawing.set.seed = 7;
            (ask.columns[0].source, ask.columns[1].source) = (left, right);
            assert_eq!(ask.same_weights(base, newest), same, "{left:?} {right:?}");
            let mut id = 0;
            let mut next = || {
                id += 1;
                RequestId(id)
            };
            let seeds = |questions: &[Question]| questions.iter().map(|it| it.sampling.seed).collect::<Vec<u64>>();
            let asked = ask.start(base, &mut next, |_| String::new(), newest);
            assert_eq!(seeds(&asked), [7, 7 + u64::from(same)]);
            let mut alone = Ask { two: false, prompt: Prompt::Text("when?".to_owned()), ..Ask::default() };
            alone.drawing.set.seed = 7;
            assert!(!alone.same_weights(base, newest), "one answer has nothing to differ from");
            assert_eq!(seeds(&alone.start(base, &mut next, |_| String::new(), newest)), [7]);
        }
    }

    #[test]
    fn tokens_go_where_they_belong() {
        let (mut ask, _) = asked();
        let token = |request, text: &str| Event::Token { request: RequestId(request), text: text.to_owned() };
        assert!(ask.receive(&token(12, "at "), 0));
        assert!(ask.receive(&token(12, "nine"), 250));
        assert!(!ask.receive(&token(7, "stale"), 0));
        assert_eq!(ask.columns[1].text, "at nine");
        assert_eq!(ask.columns[0].text, "");
        assert_eq!(ask.columns[0].status, Status::Waiting);
        assert_eq!(ask.columns[1].progress(1250).unwrap(), "2 tokens…");
        for _ in 0..8 {
            ask.receive(&token(12, "."), 1000);
        }
        let progress = ask.columns[1].progress(1000).unwrap();
        assert_eq!(progress, "10 tokens at 9 tokens/s…");
        ask.receive(&done(12, "at nine"), 0);
        assert_eq!(ask.columns[1].outcome().unwrap(), "2 tokens at 42 tokens/s, the model ended its turn");
        assert!(ask.busy());
    }

    #[test]
    fn stop_reaches_only_what_is_still_written() {
        let (mut ask, questions) = asked();
        ask.receive(&done(11, "x"), 0);
        ask.stop();
        assert!(!questions[0].control.stopping());
        assert!(questions[1].control.stopping());
    }

    #[test]
    fn a_preference_keeps_what_was_asked_not_what_the_box_says_now() {
        let (mut ask, _) = asked();
        assert_eq!(ask.cannot_prefer(), Some("Two finished answers are needed"));
        ask.receive(&done(11, "late"), 0);
        ask.receive(&done(12, "early"), 0);
        ask.prompt = Prompt::Text("another".to_owned());
        ask.columns[1].source = Source::Base;
        let pair = ask.prefer(Side::Right, 77).unwrap();
        assert_eq!(pair.prompt, Prompt::Text("when?".to_owned()));
        assert_eq!(drafts::sides(&pair), Some([1, 0]));
        assert_eq!(pair.answers[0].origin, Origin::Model("base model".to_owned()));
        assert_eq!(pair.answers[1].origin, Origin::Model("run 3 at step 40".to_owned()));
        assert_eq!(pair.verdict.unwrap().at_ms, 77);
    }

    #[test]
    fn equal_answers_make_no_pair() {
        let (mut ask, _) = asked();
        ask.receive(&done(11, "same"), 0);
        ask.receive(&done(12, "same"), 0);
        assert_eq!(ask.prefer(Side::Left, 0), None);
    }

    #[test]
    fn a_failure_is_shown_where_it_happened() {
        let (mut ask, _) = asked();
        ask.receive(&Event::Failed { request: RequestId(11), error: "the model folder is gone".to_owned() }, 0);
        assert_eq!(ask.columns[0].status, Status::Failed("the model folder is gone".to_owned()));
        ask.refuse(RequestId(12), "the engine is busy");
        assert!(!ask.busy());
    }
}
