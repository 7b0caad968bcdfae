//! The pair: a prompt, two or more answers, and what a person thinks of them.

use serde::{Deserialize, Serialize};

/// Stable identity of a pair inside one project; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PairId(pub i64);

/// Who speaks in a turn. The names are the ones chat templates use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    System,
    User,
    Assistant,
    Tool,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Turn {
    pub role: Role,
    pub content: String,
}

/// What comes before the answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Prompt {
    /// Plain completion: the answer is appended to this text as it is (TRL's "standard" format).
    Text(String),
    /// A conversation rendered by the model's chat template (TRL's "conversational" format).
    Chat(Vec<Turn>),
}

/// Where an answer came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    Human,
    Imported,
    /// Sampled from a model, e.g. `run 7 at step 120`.
    Model(String),
}

/// One candidate answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Answer {
    pub text: String,
    pub origin: Origin,
}

/// How sure the person was; becomes the label strength c of the objective.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
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

/// A choice and the circumstances it was made in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub choice: Choice,
    /// Who labelled: "local" for the person at this window, "import" for a file.
    pub who: String,
    /// Unix time in milliseconds.
    pub at_ms: i64,
    /// Milliseconds between the pair being shown and the verdict, if it was made in the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u32>,
    /// Which answer stood on the left in blind labelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_left: Option<usize>,
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

fn one() -> f32 {
    1.0
}

/// An answer sampled from the reference (D_ref): where the KL term of MPO has its say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceAnswer {
    pub prompt: Prompt,
    pub answer: String,
}
