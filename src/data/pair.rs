//! The pair: a prompt, two or more answers, and what a person thinks of them.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{
        MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};

use super::{Chat, Extras, Role, Turn};

/// Stable identity of a pair inside one project; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PairId(pub i64);

impl PairId {
    /// A pair that no project has taken in yet.
    pub const NEW: Self = Self(0);
}

/// What comes before the answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Prompt {
    /// Plain completion: the answer is appended to this text as it is (TRL's "standard" format).
    Text(String),
    /// A conversation rendered by the model's chat template (TRL's "conversational" format).
    Chat(Chat),
}

impl Prompt {
    /// A conversation of nothing but these turns.
    pub fn chat(turns: Vec<Turn>) -> Self {
        Self::Chat(turns.into())
    }

    /// The last thing said, which is what a table shows of a prompt; empty for an empty conversation.
    pub fn last_text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Chat(chat) => chat.last().map_or("", |turn| turn.content.as_str()),
        }
    }

    /// Length of all turns in bytes, what else their messages hold included: a cheap measure of size, the same for any
    /// tokenizer.
    pub fn len_bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Chat(chat) => chat.iter().map(Turn::len_bytes).sum(),
        }
    }
}

/// By what it begins with: trying one after the other would copy every text once more.
impl<'de> Deserialize<'de> for Prompt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Prompt;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a prompt, which is a text, or a list of turns with a role and a content each")
            }

            fn visit_str<E>(self, text: &str) -> Result<Prompt, E> {
                Ok(Prompt::Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Prompt, E> {
                Ok(Prompt::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, turns: A) -> Result<Prompt, A::Error> {
                Chat::deserialize(SeqAccessDeserializer::new(turns)).map(Prompt::Chat)
            }

            fn visit_map<A: MapAccess<'de>>(self, whole: A) -> Result<Prompt, A::Error> {
                Chat::deserialize(MapAccessDeserializer::new(whole)).map(Prompt::Chat)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

/// Where an answer came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    Human,
    Imported,
    /// Sampled from a model, e.g. `run 7 at step 120`; of an answer that the model did not end it says so, see
    /// [`Origin::cut`].
    Model(String),
    /// Somebody else's, and changed by a person since: where it was from, and as it was.
    Edited {
        from: Box<Origin>,
        text: String,
    },
}

/// At the end of the origin of an answer that was stopped at the limit of its length.
const CUT: &str = ", cut at the limit";

impl Origin {
    /// Of a model's answer that came to no end of its own.
    #[must_use]
    pub fn cut(self) -> Self {
        match self {
            Self::Model(name) if !name.ends_with(CUT) => Self::Model(name + CUT),
            other => other,
        }
    }

    pub fn is_cut(&self) -> bool {
        matches!(self, Self::Model(name) if name.ends_with(CUT))
    }
}

/// One candidate answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Answer {
    pub text: String,
    pub origin: Origin,
    /// What the answering message holds besides its text, e.g. `tool_calls`.
    #[serde(default, skip_serializing_if = "Extras::is_empty")]
    pub extras: Extras,
}

impl Answer {
    /// An answer that is nothing but a text.
    /// A model's that was stopped at the limit of its length.
    pub fn is_cut(&self) -> bool {
        self.origin.is_cut()
    }

    pub fn new(text: impl Into<String>, origin: Origin) -> Self {
        Self { text: text.into(), origin, extras: Extras::default() }
    }

    /// A person has changed the text, which was `before`: what was not theirs is kept as it was. A text that is put
    /// back is what it was before.
    pub fn edited(&mut self, before: &Self) {
        if self.text == before.text || self.origin != before.origin {
            return;
        }
        self.origin = match &before.origin {
            Origin::Edited { from, text } if *text == self.text => from.as_ref().clone(),
            Origin::Human => Origin::Human,
            _ if before.text.is_empty() => Origin::Human,
            same @ Origin::Edited { .. } => same.clone(),
            from => Origin::Edited { from: Box::new(from.clone()), text: before.text.clone() },
        };
    }

    /// The message of the assistant that it is in a conversation.
    pub fn turn(&self) -> Turn {
        Turn { role: Role::Assistant, content: self.text.clone(), extras: self.extras.clone() }
    }

    /// Neither a text nor anything else is said.
    pub fn is_empty(&self) -> bool {
        self.text.trim().is_empty() && !self.extras.speak()
    }
}

/// How sure the person was; becomes the label strength c of the objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strength {
    Slightly,
    Clearly,
    /// A certain label, c = 1; what imported pairs carry.
    #[default]
    Strongly,
}

impl Strength {
    /// c in (0.5, 1]: the probability that this person would say the same again.
    pub fn certainty(self) -> f64 {
        match self {
            Self::Slightly => 0.7,
            Self::Clearly => 0.9,
            Self::Strongly => 1.0,
        }
    }
}

/// What a person said about a pair. Indices point into [`Pair::answers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    Better {
        chosen: usize,
        rejected: usize,
        strength: Strength,
    },
    /// Equally good. Carries no push under MPO (c = 0.5).
    Tie,
    /// Not trained on.
    BothBad,
    /// Not trained on.
    Skip,
}

impl Choice {
    /// The label strength c of the objective, as far as the choice alone tells: above 0.5 for a better answer, 0.5 for
    /// a tie, absent when it is not to be trained on.
    pub fn certainty(self) -> Option<f64> {
        match self {
            Self::Better { strength, .. } => Some(strength.certainty()),
            Self::Tie => Some(0.5),
            Self::BothBad | Self::Skip => None,
        }
    }
}

/// A choice and the circumstances it was made in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub choice: Choice,
    /// Who labelled: a name, [`Verdict::LOCAL`] or [`Verdict::IMPORTED`].
    pub who: String,
    /// Unix time in milliseconds.
    pub at_ms: i64,
    /// Milliseconds between the pair being shown and the verdict, if it was made in the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u32>,
    /// Which answer stood on the left in blind labelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_left: Option<usize>,
    /// Answers that were put in order, the chosen one first and the rejected one among the others; empty where only two
    /// were compared. What is as good as the chosen answer is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<usize>,
}

impl Verdict {
    /// Who labels at this window.
    pub const LOCAL: &str = "local";
    /// Whoever labelled what a file says nothing more about.
    pub const IMPORTED: &str = "import";

    /// Of the person at this window.
    pub fn local(choice: Choice, at_ms: i64) -> Self {
        Self::of(choice, Self::LOCAL, at_ms)
    }

    /// Of a file.
    pub fn imported(choice: Choice, at_ms: i64) -> Self {
        Self::of(choice, Self::IMPORTED, at_ms)
    }

    fn of(choice: Choice, who: &str, at_ms: i64) -> Self {
        Self { choice, who: who.to_owned(), at_ms, took_ms: None, shown_left: None, order: Vec::new() }
    }
}

/// An answer of a pair with a preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairSide {
    Chosen,
    Rejected,
}

/// Which side of the hold-out a pair is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Decided by a hash of the prompt, so that variants of one prompt never sit on both sides.
    #[default]
    Auto,
    Train,
    Eval,
}

/// File and line a pair was imported from (line counts from 1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Source {
    pub file: String,
    pub line: u64,
    /// What the file itself calls the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// A state of the preference policy: one prompt, its candidate answers, one verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    pub id: PairId,
    pub prompt: Prompt,
    /// Two or more.
    pub answers: Vec<Answer>,
    #[serde(default)]
    pub verdict: Option<Verdict>,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub split: Split,
    #[serde(default)]
    pub note: String,
    /// r of the importance-sampled reward; 1 unless the data says otherwise.
    #[serde(default = "one")]
    pub reward: f32,
    /// μ, the labeller's probability of the logged action, in (0, 1]; 1 unless the data says otherwise.
    #[serde(default = "one")]
    pub behaviour: f32,
    #[serde(default)]
    pub source: Option<Source>,
}

impl Pair {
    /// A pair without a verdict, its answers written by a person; with [`PairId::NEW`] the project gives it an id.
    pub fn new(id: PairId, prompt: Prompt, answers: &[&str]) -> Self {
        Self {
            id,
            prompt,
            answers: answers.iter().map(|text| Answer::new(*text, Origin::Human)).collect(),
            verdict: None,
            tags: Vec::new(),
            split: Split::Auto,
            note: String::new(),
            reward: 1.0,
            behaviour: 1.0,
            source: None,
        }
    }

    /// The answer that was said to be better. Absent without such a verdict, or when the verdict points past the
    /// answers.
    pub fn chosen(&self) -> Option<&Answer> {
        self.sides().map(|(chosen, _)| chosen)
    }

    /// The answer that was said to be worse; absent as [`Self::chosen`] is.
    pub fn rejected(&self) -> Option<&Answer> {
        self.sides().map(|(_, rejected)| rejected)
    }

    /// Chosen and rejected together.
    pub fn sides(&self) -> Option<(&Answer, &Answer)> {
        match self.choice()? {
            Choice::Better { chosen, rejected, .. } if chosen != rejected => {
                Some((self.answers.get(chosen)?, self.answers.get(rejected)?))
            }
            Choice::Better { .. } | Choice::Tie | Choice::BothBad | Choice::Skip => None,
        }
    }

    pub fn choice(&self) -> Option<Choice> {
        self.verdict.as_ref().map(|verdict| verdict.choice)
    }

    /// All answers that were said to be worse than the chosen one: the rejected one, then those that its verdict put in
    /// order beside it, best first. An order that its verdict contradicts, since it was turned round, says nothing.
    pub fn worse(&self) -> Vec<usize> {
        let Some(Choice::Better { chosen, rejected, .. }) = self.choice().filter(|_| self.is_decided()) else {
            return Vec::new();
        };
        let order = self.verdict.as_ref().map_or(&[][..], |verdict| &verdict.order);
        let is_whole = order.first() == Some(&chosen)
            && order.contains(&rejected)
            && order.iter().enumerate().all(|(at, one)| *one < self.answers.len() && !order[..at].contains(one));
        let others = order.iter().skip(1).copied().filter(|other| is_whole && *other != rejected);
        std::iter::once(rejected).chain(others).collect()
    }

    /// Whether one answer was said to be better: what a preference can be learnt from.
    pub fn is_decided(&self) -> bool {
        self.sides().is_some()
    }

    /// Prompt and answers in bytes.
    pub fn len_bytes(&self) -> usize {
        let answers: usize = self.answers.iter().map(|answer| answer.text.len() + answer.extras.len_bytes()).sum();
        self.prompt.len_bytes() + answers
    }
}

fn one() -> f32 {
    1.0
}

/// An answer sampled from the reference (D_ref): where the KL term of MPO has its say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceAnswer {
    pub prompt: Prompt,
    pub answer: String,
    /// What the answering message holds besides its text.
    #[serde(default, skip_serializing_if = "Extras::is_empty")]
    pub extras: Extras,
    /// It stays when its prompt is sampled again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
}

impl ReferenceAnswer {
    /// An answer that is nothing but a text.
    pub fn new(prompt: Prompt, answer: impl Into<String>) -> Self {
        Self { prompt, answer: answer.into(), extras: Extras::default(), pinned: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(choice: Choice) -> Pair {
        Pair {
            verdict: Some(Verdict::local(choice, 0)),
            ..Pair::new(PairId(1), Prompt::Text("p".to_owned()), &["a", "b"])
        }
    }

    fn better(chosen: usize, rejected: usize) -> Choice {
        Choice::Better { chosen, rejected, strength: Strength::Clearly }
    }

    #[test]
    fn only_a_better_verdict_decides() {
        let pair = judged(better(1, 0));
        assert_eq!(pair.chosen().unwrap().text, "b");
        assert_eq!(pair.rejected().unwrap().text, "a");
        assert_eq!(pair.choice().unwrap().certainty(), Some(0.9));
        assert_eq!(Choice::Tie.certainty(), Some(0.5));
        for choice in [Choice::Tie, Choice::BothBad, Choice::Skip] {
            assert!(!judged(choice).is_decided());
        }
        assert_eq!(Choice::Skip.certainty(), None);
    }

    #[test]
    fn an_edit_keeps_what_somebody_else_wrote() {
        let edit = |before: &Answer, text: &str| {
            let mut after = Answer { text: text.to_owned(), ..before.clone() };
            after.edited(before);
            after
        };
        let sampled = Answer::new("one", Origin::Model("run 1".to_owned()));
        let once = edit(&sampled, "two");
        let origin = Origin::Edited { from: Box::new(sampled.origin.clone()), text: "one".to_owned() };
        assert_eq!(once.origin, origin);
        assert_eq!(edit(&once, "three").origin, origin, "the first text is the original");
        assert_eq!(edit(&once, "one").origin, sampled.origin);
        for (text, from) in [("mine", Origin::Human), ("", Origin::Imported)] {
            assert_eq!(edit(&Answer::new(text, from), "changed").origin, Origin::Human);
        }
        assert_eq!(edit(&sampled, "one").origin, sampled.origin);
        let json = serde_json::to_string(&once).unwrap();
        assert_eq!(serde_json::from_str::<Answer>(&json).unwrap(), once);
    }

    #[test]
    fn an_order_brings_all_that_are_worse_and_one_that_is_contradicted_does_not() {
        let mut pair = Pair { answers: vec![Answer::new("x", Origin::Human); 4], ..judged(better(2, 1)) };
        assert_eq!(pair.worse(), [1]);
        let mut worse = |choice, order: &[usize]| {
            let verdict = pair.verdict.as_mut().unwrap();
            (verdict.choice, verdict.order) = (choice, order.to_vec());
            pair.worse()
        };
        assert_eq!(worse(better(2, 1), &[2, 0, 3, 1]), [1, 0, 3]);
        assert_eq!(worse(better(2, 1), &[2, 0, 1]), [1, 0], "the fourth is as good as the best");
        assert_eq!(worse(better(1, 2), &[2, 0, 3, 1]), [2], "turned round since");
        for order in [&[2, 0, 9, 1][..], &[2, 1, 1], &[2, 0]] {
            assert_eq!(worse(better(2, 1), order), [1], "{order:?}");
        }
        assert_eq!(worse(Choice::Tie, &[2, 0, 1]), [0; 0]);
        let json = serde_json::to_string(&pair.verdict).unwrap();
        assert_eq!(serde_json::from_str::<Option<Verdict>>(&json).unwrap(), pair.verdict);
    }

    #[test]
    fn a_verdict_that_points_nowhere_decides_nothing() {
        for choice in [better(0, 2), better(5, 0), better(1, 1)] {
            assert!(judged(choice).sides().is_none());
        }
    }
}
