//! What is suspicious about a data set: findings, with their pairs and remedies, and readings, which are no faults. Pure.

mod examination;
mod near;
mod refusal;

use super::{Answer, Edit, Pair, PairId, Prompt, Split, habits::Habits};

pub use examination::Examination;

/// What was found, and what was read off.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Health {
    pub pairs: usize,
    /// Pairs with a better and a worse answer.
    pub decided: usize,
    /// In the order of [`Kind::ALL`], none without pairs.
    pub findings: Vec<Finding>,
    pub length: LengthBias,
    /// The same of each source file, the one with the most decided pairs first; empty where there are not two of them.
    pub length_by_source: Vec<(String, LengthBias)>,
    /// The same of the older and of the newer half of the verdicts, and when the first, the middle and the last of them were
    /// given (Unix milliseconds).
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

    pub fn finding(&self, kind: Kind) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.kind == kind)
    }
}

/// One thing that is suspicious.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub kind: Kind,
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
pub enum Kind {
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

impl Kind {
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
    /// Of each group the first stays, the others are deleted.
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

    /// What becomes of one pair of a finding of this kind; nothing where it stays as it is.
    pub fn edit(self, kind: Kind, pair: Pair, is_first: bool) -> Option<Edit> {
        let mut after = pair.clone();
        match self {
            Self::KeepFirst if is_first => return None,
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

/// Looks over all pairs.
pub fn examine(pairs: &[Pair]) -> Health {
    let mut examination = Examination::new(pairs.len(), |_| None);
    for pair in pairs {
        examination.add(pair);
    }
    examination.finish()
}

/// How often the longer answer was chosen. Part of [`examine`]; alone it is cheap enough to follow labelling live.
pub fn length_bias<'a>(pairs: impl IntoIterator<Item = &'a Pair>) -> LengthBias {
    let mut lengths = Lengths::default();
    for (chosen, rejected) in pairs.into_iter().filter_map(Pair::sides) {
        lengths.add(chosen.text.chars().count(), rejected.text.chars().count());
    }
    lengths.bias()
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

fn has_identical_answers(pair: &Pair) -> bool {
    let texts = || pair.answers.iter().map(|answer| (answer.text.trim(), &answer.extras));
    texts().enumerate().any(|(index, text)| texts().skip(index + 1).any(|other| other == text))
}

/// 64 bits of the answer's text, blanks at its ends left out.
pub(crate) fn fingerprint(answer: &Answer) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(answer.text.trim().as_bytes());
    for (name, value) in answer.extras.iter() {
        hasher.update(format!("{name}{value}").as_bytes());
    }
    first_bytes(hasher.finalize())
}

/// The exact prompt but for blanks: unlike the split's key, another system turn is another prompt here, because the same two
/// answers may well be judged differently under it.
pub(crate) fn prompt_fingerprint(pair: &Pair) -> u64 {
    let mut hasher = blake3::Hasher::new();
    match &pair.prompt {
        Prompt::Text(text) => {
            hasher.update(text.trim().as_bytes());
        }
        Prompt::Chat(turns) => {
            for turn in turns {
                hasher.update(turn.role.name().as_bytes());
                hasher.update(turn.content.trim().as_bytes());
                for (name, value) in turn.extras.iter() {
                    hasher.update(format!("{name}{value}").as_bytes());
                }
                hasher.update(&[0]);
            }
        }
    }
    first_bytes(hasher.finalize())
}

fn first_bytes(hash: blake3::Hash) -> u64 {
    let bytes = hash.as_bytes();
    u64::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Choice, Role, Strength, Turn, Verdict};

    fn pair(id: i64, prompt: &str, answers: [&str; 2], chosen: Option<usize>) -> Pair {
        let mut pair = Pair::new(PairId(id), Prompt::Text(prompt.to_owned()), &answers);
        pair.verdict = chosen.map(|chosen| Verdict {
            choice: Choice::Better { chosen, rejected: 1 - chosen, strength: Strength::Strongly },
            who: "local".to_owned(),
            at_ms: 0,
            took_ms: None,
            shown_left: None,
            order: Vec::new(),
        });
        pair
    }

    fn found(health: &Health, kind: Kind) -> Vec<Vec<i64>> {
        let groups = health.finding(kind).map_or(&[][..], |finding| &finding.groups);
        groups.iter().map(|group| group.iter().map(|id| id.0).collect()).collect()
    }

    #[test]
    fn duplicates_and_contradictions_are_told_apart() {
        let pairs = [
            pair(1, "p", ["long", "s"], Some(0)),
            pair(2, "p", ["s", "long "], Some(1)), // the same with the answers swapped
            pair(3, "p", ["long", "s"], Some(1)),  // the opposite
            pair(4, "q", ["long", "s"], Some(1)),  // another prompt
            pair(5, "p", ["long", "s"], None),     // says nothing
            pair(6, "q", ["s", "t"], Some(0)),
        ];
        let health = examine(&pairs);
        assert_eq!(found(&health, Kind::Duplicates), [[1, 2]]);
        assert_eq!(found(&health, Kind::Contradictions), [[1, 2, 3]]);
        assert_eq!(health.decided, 5);
        assert!(!health.is_clean());
        assert!(examine(&pairs[3..]).is_clean());
    }

    #[test]
    fn another_system_turn_is_no_contradiction() {
        let with_system = |id, system: &str, chosen| {
            let mut pair = pair(id, "", ["yes", "no"], Some(chosen));
            pair.prompt = Prompt::chat(vec![Turn::new(Role::System, system), Turn::new(Role::User, "Agree?")]);
            pair
        };
        let pairs = [with_system(1, "Be kind", 0), with_system(2, "Be stern", 1)];
        assert!(examine(&pairs).is_clean());
    }

    #[test]
    fn empty_and_identical_answers_are_found_with_or_without_a_verdict() {
        let pairs = [
            pair(1, "p", ["same", " same\n"], Some(0)),
            pair(2, "p", ["a", "  "], None),
            pair(3, "p", ["", ""], None),
            pair(4, "p", ["a", "b"], None),
        ];
        let health = examine(&pairs);
        assert_eq!(found(&health, Kind::IdenticalAnswers), [[1]]);
        assert_eq!(found(&health, Kind::EmptyAnswers), [[2, 3]]);
        assert_eq!(health.findings.len(), 2);
    }

    #[test]
    fn length_bias_counts_characters_not_bytes() {
        let pairs = [
            pair(1, "p", ["äöü", "abcd"], Some(1)), // 3 characters against 4, though 6 bytes against 4
            pair(2, "p", ["ab", "abcd"], Some(0)),
            pair(3, "p", ["ab", "cd"], Some(0)), // equal: not compared
            pair(4, "p", ["ab", "abcd"], None),
        ];
        let bias = examine(&pairs).length;
        assert_eq!((bias.compared, bias.longer_chosen), (2, 1));
        assert_eq!(bias.longer_share(), Some(0.5));
        assert_eq!(bias.mean_chosen, (4.0 + 2.0 + 2.0) / 3.0);
        assert_eq!(length_bias(&[]).longer_share(), None);
    }

    fn with(mut pair: Pair, change: impl FnOnce(&mut Pair)) -> Pair {
        change(&mut pair);
        pair
    }

    #[test]
    fn circles_scores_sides_and_refusals_are_found() {
        let pairs = [
            pair(1, "p", ["a", "b"], Some(0)),
            pair(2, "p", ["b", "c"], Some(0)),
            pair(3, "p", ["a", "c"], Some(1)),
            with(pair(4, "q", ["x", "y"], Some(0)), |pair| pair.tags = vec!["margin -1.5".to_owned()]),
            with(pair(5, "r", ["x", "y"], Some(0)), |pair| pair.reward = -0.5),
            with(pair(6, "S?", ["x", "y"], Some(0)), |pair| pair.split = Split::Train),
            with(pair(7, "s", ["z", "y"], Some(0)), |pair| pair.split = Split::Eval),
            pair(8, "t", ["I’m sorry, but I can't help with that.", "Take the second left."], Some(0)),
            pair(9, "t", ["Take the second left.", "I'm sorry, but no."], Some(0)),
        ];
        let health = examine(&pairs);
        assert_eq!(found(&health, Kind::Cycles), [[1, 2, 3]]);
        assert_eq!(found(&health, Kind::Scores), [[4, 5]]);
        assert_eq!(found(&health, Kind::BothSides), [[6, 7]]);
        assert_eq!(found(&health, Kind::Refusals), [[8]]);
        assert_eq!(health.findings.len(), 4);
    }

    #[test]
    fn nearly_the_same_is_not_the_same() {
        let prompt = "Write to the harbour office and ask whether the ferry of Thursday evening takes bicycles, and what a \
                      ticket for a child of nine costs on the way back";
        let answer = "Dear harbour office, could you tell me whether the ferry on Thursday evening takes bicycles on board, and \
                      what a child of nine pays for the way back? With kind regards from the island";
        let other =
            "Ask them yourself, the office is open from eight to noon on every day but Sunday and they like a visit";
        let pairs = [
            pair(1, prompt, [answer, other], Some(0)),
            pair(2, &prompt.replace("child of nine", "child of ten"), [answer, other], Some(0)),
            pair(
                3,
                "Something else that is as long as the others are, so that it could be taken for one of them by a hash that \
                     looks at nothing but lengths",
                [other, "An answer of its own to that, with words of its own as well"],
                Some(0),
            ),
            pair(4, "p", ["a", "b"], Some(0)),
            pair(5, "p", ["a", "c"], Some(0)),
        ];
        let health = examine(&pairs);
        assert_eq!(found(&health, Kind::NearDuplicates), [[1, 2]]);
        assert!(health.finding(Kind::Duplicates).is_none());
    }

    #[test]
    fn another_language_is_told_by_whoever_knows_languages() {
        let german = |text: &str| Some(if text.contains("der") { "German" } else { "English" });
        let pairs = [
            pair(1, "Where is der Hafen", ["dort, der da", "there"], Some(1)),
            pair(2, "Where", ["there", "x"], Some(0)),
        ];
        let mut examination = Examination::new(pairs.len(), german);
        for pair in &pairs {
            examination.add(pair);
        }
        let health = examination.finish();
        assert_eq!(found(&health, Kind::Languages), [[1]]);
        assert_eq!(health.languages, [("English", 2)]);
    }

    #[test]
    fn a_remedy_changes_what_it_says_and_nothing_else() {
        let one = pair(1, "p", ["a", "b"], Some(0));
        let edit = |remedy: Remedy, is_first| remedy.edit(Kind::Refusals, one.clone(), is_first);
        assert_eq!(edit(Remedy::KeepFirst, true), None);
        assert_eq!(edit(Remedy::KeepFirst, false).unwrap().after, None);
        assert_eq!(edit(Remedy::TakeBack, true).unwrap().after.unwrap().verdict, None);
        assert_eq!(edit(Remedy::Unpin, true), None, "it is not pinned");
        let tagged = edit(Remedy::Tag, true).unwrap().after.unwrap();
        assert_eq!(tagged.tags, ["refusals"]);
        assert_eq!(Remedy::Tag.edit(Kind::Refusals, tagged, true), None);
    }
}
