//! The ask box: one prompt, one or two sets of weights, answers as they come in, and what the person prefers.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use data::{Answer, Chat, Choice, Origin, Pair, PairId, Prompt, Role, Strength, Turn, Verdict, counted};
use engine::protocol::{AnswerOptions, Event, Generated, RequestId, RunControl, StoppedBy};
use store::RunId;

use super::{labelling::Side, sampling::Drawing};

/// Whose answer a column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
pub enum AnswerSource {
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

impl AnswerSource {
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

/// As it was trained, in percent.
pub const ALL_OF_IT: u16 = 100;

/// One answer being written.
#[derive(Debug, Clone)]
pub struct Column {
    pub source: AnswerSource,
    /// How much of what a run was taught is added to what it started from, in percent; more than all is further the
    /// same way.
    pub strength: u16,
    /// What was said on this side before that, its own answers included.
    said: Vec<Turn>,
    /// What `text` answers, which may no longer be what the box says.
    asked: Option<(Prompt, AnswerSource, String)>,
    request: Option<RequestId>,
    pub control: Arc<RunControl>,
    pub text: String,
    pub tokens: usize,
    /// When the first token came, Unix time in milliseconds.
    first_ms: Option<i64>,
    pub status: Status,
}

impl Column {
    fn new(source: AnswerSource, strength: u16) -> Self {
        Self {
            source,
            strength,
            said: Vec::new(),
            asked: None,
            request: None,
            control: Arc::default(),
            text: String::new(),
            tokens: 0,
            first_ms: None,
            status: Status::Empty,
        }
    }

    /// Where it is another than all of it.
    pub fn scaled(&self) -> Option<u16> {
        (matches!(self.source, AnswerSource::Run { .. }) && self.strength != ALL_OF_IT).then_some(self.strength)
    }

    /// The turns that the answer goes on from, the question among them.
    pub fn turns(&self) -> &[Turn] {
        match &self.asked {
            Some((Prompt::Chat(chat), ..)) => &chat.turns,
            _ => &[],
        }
    }

    /// All that was said on this side. A question without an answer is none of it.
    fn talk(&self) -> Vec<Turn> {
        if !matches!(self.status, Status::Done(_)) {
            return self.said.clone();
        }
        let mut talk = self.turns().to_vec();
        talk.push(Turn::new(Role::Assistant, self.text.as_str()));
        talk
    }

    /// What this side is asked when the box says `prompt`: in a talk that goes on, the new turns behind all others.
    fn question(&self, prompt: &Prompt) -> Prompt {
        match prompt {
            Prompt::Chat(chat) if !self.said.is_empty() => {
                let new = chat.turns.iter().filter(|turn| turn.role != Role::System).cloned();
                Prompt::Chat(Chat { turns: self.said.iter().cloned().chain(new).collect(), ..chat.clone() })
            }
            other => other.clone(),
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
pub struct ToAsk {
    pub request: RequestId,
    pub source: AnswerSource,
    /// Strength in percent, where it is not all of what was trained.
    pub scaled: Option<u16>,
    pub prompt: Prompt,
    pub options: AnswerOptions,
    pub control: Arc<RunControl>,
}

/// The box and its answers.
#[derive(Debug, Clone)]
pub struct Ask {
    pub prompt: Prompt,
    pub drawing: Drawing,
    /// Ask the second source as well.
    pub two: bool,
    /// Go on with what was said, each side with its own.
    pub talk: bool,
    /// Who answers as [`AnswerSource::Guest`].
    pub guest: Option<Guest>,
    pub columns: [Column; 2],
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            prompt: Prompt::chat(vec![Turn::new(Role::User, "")]),
            drawing: Drawing::default(),
            two: true,
            talk: false,
            guest: None,
            columns: [Column::new(AnswerSource::Base, ALL_OF_IT), Column::new(AnswerSource::Base, ALL_OF_IT)],
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
        } else if self.talk && matches!(self.prompt, Prompt::Text(_)) {
            Some("A talk takes turns; make the prompt a chat first")
        } else {
            None
        }
    }

    /// Whether both sides ask the same weights. `base`: the project's model; `newest`: the step that a run's newest
    /// weights have, if that is known.
    pub fn same_weights(&self, base: &Path, newest: impl Fn(RunId) -> Option<u64>) -> bool {
        let plain = |source| match source {
            AnswerSource::Run { run, step } => AnswerSource::Run { run, step: step.or_else(|| newest(run)) },
            AnswerSource::Guest if self.guest.as_ref().is_some_and(|it| it.folder == base && it.adapter.is_none()) => {
                AnswerSource::Base
            }
            AnswerSource::Base | AnswerSource::Guest => source,
        };
        let [left, right] = &self.columns;
        self.two && plain(left.source) == plain(right.source) && left.scaled() == right.scaled()
    }

    /// Starts one question a column, all with the same prompt and settings, and with the same seed where the weights
    /// differ: then what differs comes from the weights. Equal weights get the next seed at the right, or they would
    /// write the same. `next_id` gives fresh ids; `base` as in [`Ask::same_weights`].
    pub fn start(
        &mut self,
        base: &Path,
        mut next_id: impl FnMut() -> RequestId,
        run_name: impl Fn(RunId) -> String,
        run_step: impl Fn(RunId) -> Option<u64>,
    ) -> Vec<ToAsk> {
        if self.obstacle().is_some() {
            return Vec::new();
        }
        let (prompt, options) = (self.prompt.clone(), self.drawing.options());
        let same = self.same_weights(base, &run_step);
        let (two, talk, guest) = (self.two, self.talk, self.guest.as_ref());
        for column in &mut self.columns {
            let said = if talk { column.talk() } else { Vec::new() };
            *column = Column { said, ..Column::new(column.source, column.strength) };
        }
        if talk {
            // Room for what is said next.
            self.prompt = Prompt::chat(vec![Turn::new(Role::User, "")]);
        }
        self.columns
            .iter_mut()
            .take(if two { 2 } else { 1 })
            .zip([0, u64::from(same)])
            .map(|(column, later)| {
                let request = next_id();
                column.request = Some(request);
                let prompt = column.question(&prompt);
                let name = column.source.describe(guest, &run_name, &run_step);
                let name = column.scaled().map_or(name.clone(), |percent| format!("{name}, strength {percent} %"));
                column.asked = Some((prompt.clone(), column.source, name));
                column.status = Status::Waiting;
                ToAsk {
                    request,
                    source: column.source,
                    scaled: column.scaled(),
                    prompt,
                    options: AnswerOptions { seed: options.seed.wrapping_add(later), ..options.clone() },
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

    /// Whether a talk has begun.
    pub fn is_talking(&self) -> bool {
        self.talk && self.columns.iter().any(|column| column.asked.is_some())
    }

    /// Forgets what was said; the next prompt is the first.
    pub fn begin_anew(&mut self) {
        self.stop();
        for column in &mut self.columns {
            *column = Column::new(column.source, column.strength);
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
        let asked = |column: &Column| column.asked.as_ref().map(|(prompt, ..)| prompt.clone());
        if asked(left) != asked(right) {
            return Some("The two talks went different ways; a pair has two answers to the same words");
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
            let is_cut = matches!(&column.status, Status::Done(said) if said.is_cut());
            let origin = Origin::Model(name.clone());
            Some(Answer::new(column.text.as_str(), if is_cut { origin.cut() } else { origin }))
        };
        let (prompt, ..) = self.columns[0].asked.clone()?;
        let (chosen, rejected) = (side as usize, side.other() as usize);
        Some(Pair {
            answers: vec![answer(&self.columns[0])?, answer(&self.columns[1])?],
            verdict: Some(Verdict::local(Choice::Better { chosen, rejected, strength: Strength::Clearly }, now_ms)),
            tags: vec!["from answers".to_owned()],
            ..Pair::new(PairId::NEW, prompt, &[])
        })
    }

    fn named(&mut self, request: RequestId) -> Option<&mut Column> {
        self.columns.iter_mut().find(|column| column.request == Some(request))
    }
}

/// Nothing is asked.
pub fn is_blank(prompt: &Prompt) -> bool {
    match prompt {
        Prompt::Text(text) => text.is_empty(),
        Prompt::Chat(turns) => turns.iter().all(|turn| turn.content.trim().is_empty()),
    }
}

#[cfg(test)]
#[path = "ask_tests.rs"]
mod tests;
