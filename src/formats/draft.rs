//! From what a shape understood of a record to a pair: everything that is the same whatever the shape.

use serde_json::Value as Json;

use super::{
    agreement::{self, Vote},
    fields::Record,
    kept::Kept,
    options::{Options, Scores, Several, Ties},
};
use ::data::{Answer, Choice, Given, Origin, Pair, PairId, Prompt, Role, Source, Strength, Turn, Verdict};

/// A record that came in, and what deserves a look.
pub struct Read {
    pub pair: Pair,
    pub notes: Vec<String>,
}

/// Where a record stands, how it is to be taken, and what was kept of those before it.
pub struct Taking<'a> {
    pub file: &'a str,
    /// Line or row, from 1.
    pub place: u64,
    pub now_ms: i64,
    pub options: &'a Options,
    pub kept: &'a Kept,
}

/// A prompt, its answers, and what was said of them.
pub struct Draft {
    pub prompt: Prompt,
    pub answers: Vec<Answer>,
    pub choice: Option<Choice>,
    /// Answers in order, best first, where there are more than two.
    pub order: Vec<usize>,
    pub notes: Vec<String>,
    /// What the template is given; by itself only what the record's columns of TRL's names hold.
    pub given: Given,
    /// Who said so.
    pub who: Option<String>,
}

/// An answer that came with a file.
pub fn imported(turn: Turn) -> Answer {
    Answer { text: turn.content, origin: Origin::Imported, extras: turn.extras }
}

/// The same of a text.
pub fn said(text: impl Into<String>) -> Answer {
    imported(Turn::new(Role::Assistant, text))
}

/// A prompt that is what a user says.
pub fn asked(text: impl Into<String>) -> Prompt {
    Prompt::chat(vec![Turn::new(Role::User, text)])
}

impl Draft {
    /// Of answers that nothing is said about.
    pub fn open(prompt: Prompt, answers: Vec<Answer>) -> Self {
        let (order, notes) = (Vec::new(), Vec::new());
        Self { prompt, answers, choice: None, order, notes, given: Given::default(), who: None }
    }

    /// The chosen answer comes first.
    pub fn decided(prompt: Prompt, chosen: Answer, rejected: Answer) -> Self {
        let choice = Choice::Better { chosen: 0, rejected: 1, strength: Strength::default() };
        Self { choice: Some(choice), ..Self::open(prompt, vec![chosen, rejected]) }
    }

    /// By the votes of labellers.
    pub fn voted(prompt: Prompt, answers: Vec<Answer>, votes: &[Vote], taking: &Taking<'_>) -> Self {
        taking.kept.votes.borrow_mut().count(votes);
        let (choice, remark) = agreement::decide(votes, answers.len());
        Self { choice, notes: remark.into_iter().collect(), ..Self::open(prompt, answers) }
    }

    /// Of answers in an order, each with its rank, the best having the lowest.
    pub fn ranked(prompt: &Prompt, answers: Vec<Answer>, ranks: &[f64], several: Several) -> Vec<Self> {
        let best = (0..answers.len()).min_by(|a, b| ranks[*a].total_cmp(&ranks[*b])).unwrap_or(0);
        let worst = (0..answers.len()).rev().max_by(|a, b| ranks[*a].total_cmp(&ranks[*b])).unwrap_or(0);
        if several == Several::Each {
            let others = (0..answers.len()).filter(|other| *other != best);
            let pair = |other: usize| {
                let pair = Self::decided(prompt.clone(), answers[best].clone(), answers[other].clone());
                if ranks[other] == ranks[best] { Self { choice: Some(Choice::Tie), ..pair } } else { pair }
            };
            return others.map(pair).collect();
        }
        let choice = if ranks[best] == ranks[worst] {
            Choice::Tie
        } else {
            Choice::Better { chosen: best, rejected: worst, strength: Strength::default() }
        };
        let mut order: Vec<usize> = (0..answers.len()).filter(|at| *at == best || ranks[*at] > ranks[best]).collect();
        order.sort_by(|a, b| ranks[*a].total_cmp(&ranks[*b]));
        if order.len() < 3 {
            order.clear();
        }
        vec![Self { choice: Some(choice), order, ..Self::open(prompt.clone(), answers) }]
    }

    /// With the record's own columns, whatever its shape.
    pub fn read(mut self, record: &Record<'_>, taking: &Taking<'_>) -> Result<Read, String> {
        refuse_media(record)?;
        if self.given.is_empty() {
            self.given = record.given()?;
        }
        let mut prompt = with_system(self.prompt, record.text("system")?);
        if let Prompt::Text(text) = &mut prompt
            && taking.options.chat
        {
            prompt = asked(std::mem::take(text));
        }
        self.prompt = with_given(prompt, std::mem::take(&mut self.given));
        let mut reward = record.reward()?;
        let mut tags = record.tags()?;
        let scores = Margin::of(record);
        let strength = record.strength()?;
        if let Some(Choice::Better { strength: sure, .. }) = &mut self.choice {
            if let Some(margin) = scores.margin {
                match taking.options.scores {
                    Scores::Ignore => {}
                    Scores::Strength => *sure = agreement::sure(1.0 / (1.0 + (-margin).exp())),
                    Scores::Reward if (margin as f32).is_finite() => reward = margin as f32,
                    Scores::Reward => return Err(format!("the scores are {margin:e} apart, which is no reward")),
                    Scores::Tag => tags.push(format!("margin {margin}")),
                }
            }
            if let Some(strength) = strength {
                *sure = strength;
            }
            if scores.is_tie {
                self.notes.push("score_chosen and score_rejected are equal: taken as a tie".to_owned());
                self.choice = Some(Choice::Tie);
            }
        }
        if self.choice == Some(Choice::Tie) && taking.options.ties == Ties::LeaveOut {
            return Err("a tie, which is to be left out".to_owned());
        }
        let mut notes = notes(record, &self.prompt, &self.answers, self.choice);
        notes.append(&mut self.notes);
        let doubled = record.doubled();
        notes.extend(doubled.iter().map(|name| format!("{name:?} stands there more than once; the last one counts")));
        let verdict = |choice| Verdict {
            choice,
            who: self.who.unwrap_or_else(|| "import".to_owned()),
            at_ms: taking.now_ms,
            took_ms: None,
            shown_left: None,
            order: self.order,
        };
        let pair = Pair {
            id: PairId::NEW,
            prompt: self.prompt,
            answers: self.answers,
            verdict: self.choice.map(verdict),
            tags,
            split: record.split()?,
            note: record.text("note")?.unwrap_or_default(),
            reward,
            behaviour: record.behaviour()?,
            source: Some(Source { file: taking.file.to_owned(), line: taking.place, id: record.id()? }),
        };
        Ok(Read { pair, notes })
    }
}

/// By how much a record says that one answer is better.
struct Margin {
    margin: Option<f64>,
    /// Both have the same score.
    is_tie: bool,
}

impl Margin {
    /// Names of the scores of both answers.
    const SCORES: [[&str; 2]; 5] = [
        ["score_chosen", "score_rejected"],
        ["chosen_score", "rejected_score"],
        ["chosen-rating", "rejected-rating"],
        ["chosen_rating", "rejected_rating"],
        ["rating_chosen", "rating_rejected"],
    ];

    fn of(record: &Record<'_>) -> Self {
        let scores =
            Self::SCORES.iter().find_map(|[chosen, rejected]| Some((record.score(chosen)?, record.score(rejected)?)));
        let difference = scores.map(|(chosen, rejected)| chosen - rejected);
        Self { margin: record.score("margin").or(difference), is_tie: difference == Some(0.0) }
    }
}

/// A `system` column opens the conversation; a text prompt is then what the user says.
pub fn with_system(prompt: Prompt, system: Option<String>) -> Prompt {
    let Some(content) = system.filter(|text| !text.is_empty()) else {
        return prompt;
    };
    let mut chat = match prompt {
        Prompt::Text(text) => vec![Turn::new(Role::User, text)].into(),
        Prompt::Chat(chat) => chat,
    };
    if chat.first().is_none_or(|turn| turn.role != Role::System) {
        chat.insert(0, Turn::new(Role::System, content));
    }
    Prompt::Chat(chat)
}

/// Tools and variables go to the template of a conversation; a text has none.
pub fn with_given(mut prompt: Prompt, given: Given) -> Prompt {
    if let Prompt::Chat(chat) = &mut prompt
        && !given.is_empty()
    {
        chat.given = Some(Box::new(given));
    }
    prompt
}

/// The one assistant message that an answer must be.
pub fn only_answer(field: &str, turns: &[Turn]) -> Result<Turn, String> {
    match turns {
        [turn] if turn.role == Role::Assistant => Ok(turn.clone()),
        [turn] => Err(format!("{field:?} ends with a message of the {}, not of the assistant", turn.role.name())),
        [] => Err(format!("{field:?} has no message beyond the prompt")),
        more => Err(format!(
            "{field:?} has {} messages beyond the prompt; an answer is one message of the assistant",
            more.len()
        )),
    }
}

/// Columns that hold no text, and what is in them.
const MEDIA: [(&str, &str); 6] = [
    ("images", "images"),
    ("image", "images"),
    ("videos", "videos"),
    ("video", "videos"),
    ("audios", "audio"),
    ("audio", "audio"),
];

fn refuse_media(record: &Record<'_>) -> Result<(), String> {
    for (name, word) in MEDIA {
        match record.raw(name)? {
            Some(Json::Array(list)) if list.is_empty() => {}
            Some(Json::String(text)) if text.trim().is_empty() => {}
            Some(_) => return Err(format!("the record has {word}; only text can be trained on")),
            None => {}
        }
    }
    Ok(())
}

fn notes(record: &Record<'_>, prompt: &Prompt, answers: &[Answer], choice: Option<Choice>) -> Vec<String> {
    let mut notes = Vec::new();
    let no_prompt = match prompt {
        Prompt::Text(text) => text.trim().is_empty(),
        Prompt::Chat(turns) => turns.is_empty(),
    };
    if no_prompt {
        notes.push("the prompt is empty".to_owned());
    }
    if let Some(Choice::Better { chosen, rejected, .. }) = choice
        && let (Some(one), Some(other)) = (answers.get(chosen), answers.get(rejected))
    {
        for (side, answer) in [("chosen", one), ("rejected", other)] {
            if answer.is_empty() {
                notes.push(format!("the {side} answer is empty: the pair will not be trained on"));
            }
        }
        if (&one.text, &one.extras) == (&other.text, &other.extras) {
            notes.push("both answers are the same: the pair will not be trained on".to_owned());
        }
    }
    match prompt {
        Prompt::Text(_) => {
            let given = ["tools", "chat_template_kwargs"]
                .into_iter()
                .filter(|name| matches!(record.raw(name), Ok(Some(value)) if value != Json::Array(Vec::new())));
            notes.extend(
                given.map(|name| format!("{name:?} is not used: the prompt is a text, which no chat template writes")),
            );
        }
        Prompt::Chat(chat) => {
            // What every template knows is not worth a note.
            let rare = |turn: &&Turn| matches!(turn.role, Role::Other(_)) && turn.role.name() != "developer";
            notes.extend(
                chat.iter()
                    .find(rare)
                    .map(|turn| format!("the role {:?} is left to the chat template", turn.role.name())),
            );
        }
    }
    notes
}
