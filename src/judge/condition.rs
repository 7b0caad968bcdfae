//! Whether an answer fulfils something.

use regex::Regex;

use super::{language::Language, phrases::Words};

/// All parts that are given must hold.
#[derive(Debug, Clone, Default)]
pub struct Condition {
    pub parts: Vec<Part>,
}

#[derive(Debug, Clone)]
pub enum Part {
    /// At least one of these phrases stands in it.
    Words(Vec<Words>),
    AllWords(Vec<Words>),
    NoWords(Vec<Words>),
    Matches(Regex),
    MatchesNot(Regex),
    MinWords(usize),
    MaxWords(usize),
    MinCharacters(usize),
    MaxCharacters(usize),
    /// In one of these.
    Language(Vec<Language>),
    /// The model ended it by itself, or did not.
    Ends(bool),
    /// It names what its prompt calls right and nothing else of the kind, or does not.
    Right(bool),
    /// It counts as the rule of this index, which comes earlier.
    CountsAs(usize),
    AtLeast(usize, Vec<Condition>),
    Not(Condition),
}

/// What is judged.
#[derive(Debug, Clone, Copy)]
pub struct ToJudge<'a> {
    pub text: &'a str,
    /// The model ended it by itself.
    pub ended: bool,
}

/// An answer with what every rule looks at, and what the rules before have said.
pub struct Judged<'a> {
    pub answer: ToJudge<'a>,
    pub words: Words,
    /// Absent where the prompt knows no right answer.
    pub is_right: Option<bool>,
    /// By rule, also for groups that a rule is not asked about.
    pub counts: Vec<bool>,
}

impl Condition {
    pub fn holds(&self, judged: &Judged<'_>) -> bool {
        self.parts.iter().all(|part| part.holds(judged))
    }

    /// Whether the right answer is asked for anywhere in it.
    pub fn needs_right(&self, of_rules: &[bool]) -> bool {
        self.parts.iter().any(|part| match part {
            Part::Right(_) => true,
            Part::CountsAs(rule) => of_rules.get(*rule).copied().unwrap_or_default(),
            Part::AtLeast(_, conditions) => conditions.iter().any(|condition| condition.needs_right(of_rules)),
            Part::Not(condition) => condition.needs_right(of_rules),
            _ => false,
        })
    }
}

impl Part {
    fn holds(&self, judged: &Judged<'_>) -> bool {
        let Judged { answer, words, is_right, counts } = judged;
        match self {
            Self::Words(phrases) => phrases.iter().any(|phrase| words.contain(phrase)),
            Self::AllWords(phrases) => phrases.iter().all(|phrase| words.contain(phrase)),
            Self::NoWords(phrases) => !phrases.iter().any(|phrase| words.contain(phrase)),
            Self::Matches(regex) => regex.is_match(answer.text),
            Self::MatchesNot(regex) => !regex.is_match(answer.text),
            Self::MinWords(least) => words.count() >= *least,
            Self::MaxWords(most) => words.count() <= *most,
            Self::MinCharacters(least) => answer.text.chars().count() >= *least,
            Self::MaxCharacters(most) => answer.text.chars().count() <= *most,
            Self::Language(languages) => languages.iter().any(|language| language.is_of(answer.text)),
            Self::Ends(wanted) => answer.ended == *wanted,
            Self::Right(wanted) => *is_right == Some(*wanted),
            Self::CountsAs(rule) => counts.get(*rule).copied().unwrap_or_default(),
            Self::AtLeast(least, conditions) => {
                conditions.iter().filter(|condition| condition.holds(judged)).count() >= *least
            }
            Self::Not(condition) => !condition.holds(judged),
        }
    }
}
