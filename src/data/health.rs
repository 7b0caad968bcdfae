//! What is suspicious about a data set: findings, with their pairs and remedies, and readings, which are no faults.
//! Pure.

mod examination;
mod keep;
mod near;
mod refusal;

use super::{Answer, Edit, Pair, PairId, Split, habits::Habits};

pub use examination::Examination;

/// What was found, and what was read off.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Health {
    pub pairs: usize,
    /// Pairs with a better and a worse answer.
    pub decided: usize,
    /// In the order of [`FindingKind::ALL`], none without pairs.
    pub findings: Vec<Finding>,
    pub length: LengthBias,
    /// The same of each source file, the one with the most decided pairs first; empty where there are not two of them.
    pub length_by_source: Vec<(String, LengthBias)>,
    /// The same of the older and of the newer half of the verdicts, and when the first, the middle and the last of them
    /// were given (Unix milliseconds).
    pub over_time: Option<([LengthBias; 2], [i64; 3])>,
    /// Languages of the chosen answers that were looked at, the most frequent first.
    pub languages: Vec<(&'static str, usize)>,
    /// Of the hand that labelled in the window.
    pub habits: Habits,
}

impl Health {
    /// Whether nothing deserves a look. Readings are no findings.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    pub fn finding(&self, kind: FindingKind) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.kind == kind)
    }
}

/// One thing that is suspicious.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub kind: FindingKind,
    /// Pairs that belong together, or all in one group where each stands for itself. In the order of the pairs given.
    pub groups: Vec<Vec<PairId>>,
    /// How many pairs it is about; one that is in several groups counts in each.
    pub count: usize,
}

impl Finding {
    /// Every pair once, in the order of the groups.
    pub fn pairs(&self) -> Vec<PairId> {
        let mut known = std::collections::HashSet::new();
        self.groups.iter().flatten().copied().filter(|id| known.insert(*id)).collect()
    }
}

/// What kind of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FindingKind {
    /// Same prompt and answers, and each answer is chosen at least once.
    Contradictions,
    /// Verdicts on one prompt that go round in a circle.
    Cycles,
    /// Same prompt, chosen and rejected.
    Duplicates,
    /// Nearly the same words.
    NearDuplicates,
    /// Two answers that are the same but for blanks at their ends, as a chat template would trim them.
    IdenticalAnswers,
    /// An answer that is nothing but blanks.
    EmptyAnswers,
    /// A margin or a reward that speaks for the rejected answer.
    Scores,
    /// Pairs of one prompt are pinned to train and to held out.
    BothSides,
    /// The chosen answer declines, the rejected one does not.
    Refusals,
    /// The chosen answer is in another language than what was asked.
    Languages,
}

impl FindingKind {
    pub const ALL: [Self; 10] = [
        Self::Contradictions,
        Self::Cycles,
        Self::Duplicates,
        Self::NearDuplicates,
        Self::IdenticalAnswers,
        Self::EmptyAnswers,
        Self::Scores,
        Self::BothSides,
        Self::Refusals,
        Self::Languages,
    ];

    /// Its name on a command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Contradictions => "contradictions",
            Self::Cycles => "cycles",
            Self::Duplicates => "duplicates",
            Self::NearDuplicates => "near-duplicates",
            Self::IdenticalAnswers => "identical-answers",
            Self::EmptyAnswers => "empty-answers",
            Self::Scores => "scores",
            Self::BothSides => "both-sides",
            Self::Refusals => "refusals",
            Self::Languages => "languages",
        }
    }

    /// What its pairs do: "12 pairs say the same", "1 pair has an empty answer".
    pub fn does(self, pairs: usize) -> &'static str {
        match self {
            Self::IdenticalAnswers if pairs == 1 => "has identical answers",
            Self::EmptyAnswers if pairs == 1 => "has an empty answer",
            Self::Scores if pairs == 1 => "has a score that says the opposite",
            Self::Refusals if pairs == 1 => "prefers a refusal",
            Self::Languages if pairs == 1 => "is answered in another language",
            Self::Contradictions => "contradict each other",
            Self::Cycles => "go round in circles",
            Self::Duplicates => "say the same",
            Self::NearDuplicates => "say nearly the same",
            Self::IdenticalAnswers => "have identical answers",
            Self::EmptyAnswers => "have an empty answer",
            Self::Scores => "have a score that says the opposite",
            Self::BothSides => "are on both sides of the split",
            Self::Refusals => "prefer a refusal",
            Self::Languages => "are answered in another language",
        }
    }

    /// Why it deserves a look.
    pub fn about(self) -> &'static str {
        match self {
            Self::Contradictions => "Same prompt, same answers, opposite verdicts",
            Self::Cycles => {
                "On one prompt A is preferred to B, B to C, and C to A: at least one of these verdicts is wrong"
            }
            Self::Duplicates => "Same prompt, same chosen, same rejected: counted more than once in training",
            Self::NearDuplicates => {
                "Nearly the same words in prompt and answers: counted more than once in training, or on both sides of the split"
            }
            Self::IdenticalAnswers => "Nothing can be learnt from these",
            Self::EmptyAnswers => "An answer that is nothing but blanks",
            Self::Scores => "Its margin or reward is negative: it speaks for the answer that was rejected",
            Self::BothSides => {
                "Some pairs of a prompt are pinned to training, some to the held-out side: the whole prompt is held out"
            }
            Self::Refusals => {
                "The chosen answer declines to answer and the rejected one does not: a model learns to decline"
            }
            Self::Languages => "The chosen answer is not in the language of the prompt",
        }
    }

    /// What can be done about all of its pairs at once, the most likely first.
    pub fn remedies(self) -> &'static [Remedy] {
        match self {
            Self::Contradictions | Self::Cycles | Self::Scores => &[Remedy::TakeBack, Remedy::Delete],
            Self::Duplicates | Self::NearDuplicates => &[Remedy::KeepFirst, Remedy::Delete],
            Self::IdenticalAnswers | Self::EmptyAnswers => &[Remedy::Delete, Remedy::TakeBack],
            Self::BothSides => &[Remedy::HoldOut, Remedy::Unpin],
            Self::Refusals | Self::Languages => &[Remedy::Tag, Remedy::TakeBack, Remedy::Delete],
        }
    }
}

/// What can be done about all pairs of a finding at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Of each group the first with a label stays, or the first; the others are deleted. A group whose labels disagree
    /// stays as it is.
    KeepFirst,
    Delete,
    /// Verdicts are taken back: the pairs can be labelled again.
    TakeBack,
    /// Pinned to the held-out side.
    HoldOut,
    /// On which side a prompt stands is left to the split's rule.
    Unpin,
    /// The finding's word becomes a tag.
    Tag,
}

impl Remedy {
    /// Its name on a command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::KeepFirst => "keep-first",
            Self::Delete => "delete",
            Self::TakeBack => "take-back",
            Self::HoldOut => "hold-out",
            Self::Unpin => "unpin",
            Self::Tag => "tag",
        }
    }

    /// What the button says.
    pub fn title(self) -> &'static str {
        match self {
            Self::KeepFirst => "Keep the first of each",
            Self::Delete => "Delete them",
            Self::TakeBack => "Take back their verdicts",
            Self::HoldOut => "Hold them out",
            Self::Unpin => "Leave their side to the split",
            Self::Tag => "Tag them",
        }
    }

    /// What becomes of the pairs of one group of a finding of this kind; those that stay as they are are left out.
    pub fn edits(self, kind: FindingKind, group: Vec<Pair>) -> Vec<Edit> {
        let kept = if self == Self::KeepFirst {
            let Some(kept) = keep::place(&group) else { return Vec::new() };
            Some(kept)
        } else {
            None
        };
        let others = group.into_iter().enumerate().filter(|(place, _)| Some(*place) != kept);
        others.filter_map(|(_, pair)| self.edit(kind, pair)).collect()
    }

    fn edit(self, kind: FindingKind, pair: Pair) -> Option<Edit> {
        let mut after = pair.clone();
        match self {
            Self::KeepFirst | Self::Delete => return Some(Edit::delete(pair)),
            Self::TakeBack => after.verdict = None,
            Self::HoldOut => after.split = Split::Eval,
            Self::Unpin => after.split = Split::Auto,
            Self::Tag if after.tags.iter().any(|tag| tag == kind.word()) => {}
            Self::Tag => after.tags.push(kind.word().to_owned()),
        }
        (after != pair).then(|| Edit::replace(pair, after))
    }
}

/// How often the longer answer won, by characters.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LengthBias {
    /// Decided pairs whose answers differ in length.
    pub compared: usize,
    pub longer_chosen: usize,
    /// Mean characters of chosen and of rejected answers, over all decided pairs.
    pub mean_chosen: f64,
    pub mean_rejected: f64,
}

impl LengthBias {
    /// Share of comparisons won by the longer answer; 0.5 = no bias. Absent when nothing could be compared.
    pub fn longer_share(&self) -> Option<f64> {
        (self.compared > 0).then(|| self.longer_chosen as f64 / self.compared as f64)
    }
}

/// Sums for a [`LengthBias`].
#[derive(Debug, Clone, Copy, Default)]
struct Lengths {
    decided: usize,
    compared: usize,
    longer_chosen: usize,
    chosen: usize,
    rejected: usize,
}

impl Lengths {
    /// One more pair, by the characters of its answers.
    fn add(&mut self, chosen: usize, rejected: usize) {
        self.decided += 1;
        self.chosen += chosen;
        self.rejected += rejected;
        if chosen != rejected {
            self.compared += 1;
            self.longer_chosen += usize::from(chosen > rejected);
        }
    }

    fn bias(&self) -> LengthBias {
        let mean = |sum: usize| if self.decided == 0 { 0.0 } else { sum as f64 / self.decided as f64 };
        LengthBias {
            compared: self.compared,
            longer_chosen: self.longer_chosen,
            mean_chosen: mean(self.chosen),
            mean_rejected: mean(self.rejected),
        }
    }
}

/// Those that are compared; of a pair without a verdict, all of them.
fn has_identical_answers(pair: &Pair) -> bool {
    let text = |answer: &Answer| (answer.text.trim().to_owned(), answer.extras.clone());
    match pair.sides() {
        Some((chosen, rejected)) => text(chosen) == text(rejected),
        None => pair.answers.len() > 1 && pair.answers.windows(2).all(|two| text(&two[0]) == text(&two[1])),
    }
}

#[cfg(test)]
mod tests;
