//! THE function from a prompt and its answers to token ids.
//!
//! A conversation is rendered twice: as the model sees it before it answers, and with the answer in place. Both are
//! encoded without added specials. What all of them begin with is the shared prefix; what follows, up to and with the
//! token that ends the turn, is scored. Everything is decided by position, never by looking for an id.

use super::{Codec, TextError, Unusable, codec::SENTINEL};
use ::data::{Answer, Chat, Flaw, Prompt, ReferenceAnswer, Role, Turn};

/// What can stand behind a prompt as its answer: a text, or a whole message of the assistant.
pub trait Reply {
    /// What an answer to a plain text is.
    fn text(&self) -> &str;

    /// What an answer in a conversation is.
    fn turn(&self) -> Turn {
        Turn::new(Role::Assistant, self.text())
    }
}

impl Reply for str {
    fn text(&self) -> &str {
        self
    }
}

impl Reply for String {
    fn text(&self) -> &str {
        self
    }
}

impl Reply for Answer {
    fn text(&self) -> &str {
        &self.text
    }

    fn turn(&self) -> Turn {
        Self::turn(self)
    }
}

impl Reply for ReferenceAnswer {
    fn text(&self) -> &str {
        &self.answer
    }

    fn turn(&self) -> Turn {
        Turn { extras: self.extras.clone(), ..Turn::new(Role::Assistant, self.answer.as_str()) }
    }
}

impl<T: Reply + ?Sized> Reply for &T {
    fn text(&self) -> &str {
        (**self).text()
    }

    fn turn(&self) -> Turn {
        (**self).turn()
    }
}

/// How long a prompt may be, and where answers are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Tokens; a longer prompt makes the pair unusable.
    pub max_prompt: usize,
    /// Tokens; longer answers lose their end, all by this one rule.
    pub max_answer: usize,
}

impl Limits {
    /// Nothing is too long.
    pub const NONE: Self = Self { max_prompt: usize::MAX, max_answer: usize::MAX };
}

/// A prompt and its answers as token ids that share one prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedAnswers {
    /// Seen by every answer, scored by none. At least one token.
    ///
    /// Usually the ids of [`Codec::prompt_ids`]; shorter where the tokenizer joins the prompt's end with an answer's
    /// start.
    pub prefix: Vec<u32>,
    /// In the order given; every token of them is scored.
    pub answers: Vec<EncodedAnswer>,
    pub start: AnswerStart,
}

/// How the scored tokens begin, the worst of all answers last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AnswerStart {
    /// Where the prompt ends as the model sees it before it answers.
    AtBorder,
    /// The tokenizer joins the prompt's end with an answer's start: those tokens are scored whole.
    InsideToken,
    /// The template writes earlier turns differently once an answer is there; the answer was put behind the prompt as
    /// the model sees it.
    Rewritten,
    /// The same, and the two could not be matched: everything behind the first difference is scored.
    Unmatched,
}

impl AnswerStart {
    /// What is to be said about it, without a full stop.
    pub fn flaw(self) -> Option<(Flaw, &'static str)> {
        match self {
            Self::AtBorder => None,
            Self::InsideToken => Some((
                Flaw::BeginsInside,
                "An answer begins in the middle of a token: the tokenizer joins it with the prompt's end, and that token is scored whole",
            )),
            Self::Rewritten => Some((
                Flaw::PromptRewritten,
                "The chat template writes the prompt differently once an answer follows. It is trained as the model sees it when it answers",
            )),
            Self::Unmatched => Some((
                Flaw::PromptRewritten,
                "The chat template writes the prompt differently once an answer follows, and the two could not be matched: everything behind the first difference is scored",
            )),
        }
    }
}

/// What is scored of one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedAnswer {
    /// At least one token.
    pub ids: Vec<u32>,
    /// The last id ends the turn, so stopping is trained.
    pub ended: bool,
    /// The end was cut off at [`Limits::max_answer`].
    pub cut: bool,
}

/// How the template's two renderings of a conversation fit together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Border {
    /// The prompt is how the rendering with the answer begins.
    Plain,
    /// The template writes earlier turns differently once an answer is there. The answer's part was put behind the
    /// prompt as the model sees it when it answers.
    Grafted,
    /// As before, but the answer's part could not be told apart: the shared prefix ends where they differ.
    Torn,
}

/// One answer with all that precedes it, before the shared prefix is known.
pub(super) struct Whole {
    /// As rendered; `ids` may end earlier and may begin with a BOS that is not in it.
    pub(super) text: String,
    ids: Vec<u32>,
    ended: bool,
    pub(super) border: Border,
}

impl Codec {
    /// Token ids of a prompt as the model sees it before it answers. At least one.
    pub fn prompt_ids(&self, prompt: &Prompt) -> Result<Vec<u32>, TextError> {
        let ids = match prompt {
            Prompt::Text(text) => self.with_bos(self.try_encode(text)?),
            Prompt::Chat(chat) => self.try_encode(&self.render_chat(&self.fold(chat), true)?)?,
        };
        if ids.is_empty() { Err(TextError::EmptyPrompt) } else { Ok(ids) }
    }

    /// The one function: prompt and answers to a shared prefix and scored ids.
    ///
    /// A chat answer ends with the template's end-of-turn token; what the template writes after it is left out. A plain
    /// text answer is appended as it is and ends with EOS, if the model has one. Answers over the limit lose their end.
    pub fn encode_answers(
        &self,
        prompt: &Prompt,
        answers: &[impl Reply],
        limits: Limits,
    ) -> Result<EncodedAnswers, Unusable> {
        self.encode_wholes(prompt, answers, limits).map(|(encoded, _)| encoded)
    }

    /// [`Codec::encode_answers`], and what was encoded of each answer.
    pub(super) fn encode_wholes(
        &self,
        prompt: &Prompt,
        answers: &[impl Reply],
        limits: Limits,
    ) -> Result<(EncodedAnswers, Vec<Whole>), Unusable> {
        let says_nothing = |answer: &dyn Reply| match prompt {
            Prompt::Text(_) => answer.text().trim().is_empty(),
            Prompt::Chat(_) => answer.turn().is_empty(),
        };
        if let Some(answer) = answers.iter().position(|answer| says_nothing(answer)) {
            return Err(Unusable::EmptyAnswer { answer });
        }
        let prompt_ids = self.prompt_ids(prompt).map_err(|error| match error {
            TextError::EmptyPrompt => Unusable::EmptyPrompt,
            error => Unusable::Text(error.to_string()),
        })?;
        if prompt_ids.len() > limits.max_prompt {
            return Err(Unusable::PromptTooLong { tokens: prompt_ids.len(), limit: limits.max_prompt });
        }
        let wholes = answers
            .iter()
            .map(|answer| match prompt {
                Prompt::Text(text) => self.whole_text(text, answer.text()),
                Prompt::Chat(chat) => self.whole_chat(&self.fold(chat), answer.turn()),
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Unusable::Text(error.to_string()))?;

        let shared =
            wholes.iter().fold(prompt_ids.len(), |shared, whole| shared.min(shared_start(&prompt_ids, &whole.ids)));
        if shared == 0 {
            return Err(Unusable::EmptyPrompt);
        }
        if let Some(answer) = wholes.iter().position(|whole| whole.ids.len() == shared) {
            return Err(Unusable::EmptyAnswer { answer });
        }
        for (second, whole) in wholes.iter().enumerate() {
            if let Some(first) = wholes[..second].iter().position(|w| w.ids == whole.ids) {
                return Err(Unusable::IdenticalAnswers { first, second });
            }
        }

        let answers: Vec<EncodedAnswer> = wholes
            .iter()
            .map(|whole| {
                let mut ids = whole.ids[shared..].to_vec();
                let cut = ids.len() > limits.max_answer.max(1);
                ids.truncate(limits.max_answer.max(1));
                EncodedAnswer { ids, ended: whole.ended && !cut, cut }
            })
            .collect();
        for (second, answer) in answers.iter().enumerate() {
            if let Some(first) = answers[..second].iter().position(|a| a.ids == answer.ids) {
                return Err(Unusable::IdenticalAfterCut { first, second, limit: limits.max_answer });
            }
        }
        let of = |whole: &Whole| match whole.border {
            Border::Torn => AnswerStart::Unmatched,
            Border::Grafted => AnswerStart::Rewritten,
            Border::Plain if shared < prompt_ids.len() => AnswerStart::InsideToken,
            Border::Plain => AnswerStart::AtBorder,
        };
        let start = wholes.iter().map(of).max().unwrap_or(AnswerStart::AtBorder);
        let prefix = prompt_ids[..shared].to_vec();
        Ok((EncodedAnswers { prefix, answers, start }, wholes))
    }

    fn whole_text(&self, prompt: &str, answer: &str) -> Result<Whole, TextError> {
        let text = format!("{prompt}{answer}");
        let mut ids = self.with_bos(self.try_encode(&text)?);
        if let Some(eos) = self.eos()
            && ids.last() != Some(&eos)
        {
            ids.push(eos);
        }
        Ok(Whole { text, ids, ended: self.eos().is_some(), border: Border::Plain })
    }

    fn whole_chat(&self, chat: &Chat, answer: Turn) -> Result<Whole, TextError> {
        let prompt = self.render_chat(chat, true)?;
        let full = self.render_chat(&with_answer(chat, answer), false)?;
        let stand_in = self.render_chat(&with_answer(chat, Turn::new(Role::Assistant, SENTINEL)), false)?;
        // What the template writes before and after an answer's own text.
        let (head, tail) = stand_in.rsplit_once(SENTINEL).unwrap_or((&stand_in, ""));

        let (text, border) = if full.starts_with(&prompt) {
            (full, Border::Plain)
        } else if let Some(text) = graft(&prompt, chat, head, &full) {
            (text, Border::Grafted)
        } else {
            (full, Border::Torn)
        };
        let mut ids = self.try_encode(&text)?;
        let ended = if let Some(after) = self.tokens_after_turn_end(&ids, tail)? {
            ids.truncate(ids.len() - after);
            true
        } else {
            // No end of turn in what follows the answer: score the answer's own text and nothing after it.
            if let Some(own) = text.strip_suffix(tail) {
                ids = self.try_encode(own)?;
            }
            false
        };
        Ok(Whole { text, ids, ended, border })
    }

    /// Tokens behind the one of `tail` that ends the turn, where `ids` ends with the tail. `None` if it has none.
    ///
    /// Such tokens split a text before anything else is encoded, so those of the tail are the last ones of the whole.
    fn tokens_after_turn_end(&self, ids: &[u32], tail: &str) -> Result<Option<usize>, TextError> {
        let tail = self.try_encode(tail)?;
        let ends = self.turn_marks(&tail);
        let Some(from_the_end) = tail.iter().filter(|id| ends(**id)).count().checked_sub(1) else {
            return Ok(None);
        };
        let marks = ids.iter().rev().enumerate().filter(|(_, id)| ends(**id));
        Ok(marks.map(|(after, _)| after).nth(from_the_end))
    }
}

fn with_answer(chat: &Chat, answer: Turn) -> Chat {
    let mut whole = chat.clone();
    whole.push(answer);
    whole
}

/// Puts the answer's part of `full` behind `prompt`, where the template wrote the earlier turns differently.
///
/// `head` is what precedes the answer's own text in `full`. It and the prompt must meet in a stretch that ends the
/// prompt and holds the last turn, so that nothing of the question can end up in the answer.
fn graft(prompt: &str, turns: &[Turn], head: &str, full: &str) -> Option<String> {
    let last_turn = turns.last()?.content.trim();
    let starts = prompt.rfind(last_turn)?;
    let stretch = &prompt[starts..];
    let met = head.rfind(stretch)?;
    let rest = full.strip_prefix(head).map(|own| (&head[met + stretch.len()..], own))?;
    Some(format!("{prompt}{}{}", rest.0, rest.1))
}

fn shared_start(one: &[u32], other: &[u32]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}
