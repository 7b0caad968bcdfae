//! A rule set as it is used: groups of prompts, rules, and what they say of answers.

use data::{Prompt, metrics::Better};

use super::{
    condition::{Condition, Judged, ToJudge},
    phrases::Words,
    share::Share,
};

/// Prompts, and rules for what is answered to them. Made by [`RuleSet::parse`].
#[derive(Debug, Clone)]
pub struct RuleSet {
    /// Answers drawn to each prompt, at least 1.
    pub samples: usize,
    /// They are drawn at this temperature.
    pub temperature: f64,
    pub seed: u64,
    pub groups: Vec<PromptGroup>,
    pub rules: Vec<Rule>,
    pub(super) questions: Vec<RulePrompt>,
}

/// Prompts that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptGroup {
    pub name: String,
    pub prompts: usize,
}

/// A prompt of a rule set.
#[derive(Debug, Clone)]
pub struct RulePrompt {
    /// Index into [`RuleSet::groups`].
    pub group: usize,
    pub prompt: Prompt,
    /// One of these has to be named for the answer to be right; empty where no answer is.
    pub(super) right: Vec<Words>,
    /// What may be named instead of it, and would be wrong.
    pub(super) wrong: Vec<Words>,
    /// What the prompt itself names: an answer may, too.
    pub(super) neutral: Vec<Words>,
}

/// "An answer counts as `name` when .."
#[derive(Debug, Clone)]
pub struct Rule {
    pub name: String,
    /// Indices into [`RuleSet::groups`] that it is asked about.
    pub on: Vec<usize>,
    /// Which way its share is.
    pub better: Better,
    pub(super) when: Condition,
}

/// What came out for a rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RuleShare<'a> {
    pub name: &'a str,
    pub share: Share,
}

impl RuleSet {
    pub fn questions(&self) -> &[RulePrompt] {
        &self.questions
    }

    /// Answers of one round: every prompt [`Self::samples`] times.
    pub fn answers(&self) -> usize {
        self.questions.len() * self.samples
    }

    /// The group that a question is in.
    pub fn group_of(&self, question: usize) -> &str {
        self.questions.get(question).map_or("", |question| &self.groups[question.group].name)
    }

    /// What each rule says of an answer to a question, in the order of the rules; absent where it is not asked about
    /// the question's group.
    pub fn judge(&self, question: usize, answer: ToJudge<'_>) -> Vec<Option<bool>> {
        let Some(question) = self.questions.get(question) else {
            return vec![None; self.rules.len()];
        };
        let words = Words::of(answer.text);
        let is_right = question.is_right(&words);
        let mut judged = Judged { answer, words, is_right, counts: Vec::with_capacity(self.rules.len()) };
        for rule in &self.rules {
            let counts = rule.when.holds(&judged);
            judged.counts.push(counts);
        }
        let asked = self.rules.iter().map(|rule| rule.on.contains(&question.group));
        asked.zip(judged.counts).map(|(asked, counts)| asked.then_some(counts)).collect()
    }

    /// Each rule's share of some judged answers, given as the question and what [`Self::judge`] said; a rule that no
    /// answer was asked about is left out.
    pub fn shares<'a>(&'a self, judged: &[(usize, Vec<Option<bool>>)]) -> Vec<RuleShare<'a>> {
        self.rules
            .iter()
            .enumerate()
            .filter_map(|(index, rule)| {
                let mut prompts = vec![(0, 0); self.questions.len()];
                for (question, said) in judged {
                    if let (Some(prompt), Some(Some(counts))) = (prompts.get_mut(*question), said.get(index)) {
                        prompt.0 += usize::from(*counts);
                        prompt.1 += 1;
                    }
                }
                Share::of(&prompts).map(|share| RuleShare { name: &rule.name, share })
            })
            .collect()
    }
}

impl RulePrompt {
    /// Whether an answer names what is right and nothing that is wrong; absent where nothing is right.
    fn is_right(&self, answer: &Words) -> Option<bool> {
        if self.right.is_empty() {
            return None;
        }
        let named = answer.mentioned(self.right.iter().chain(&self.wrong).chain(&self.neutral));
        let any_of = |phrases: &[Words]| named.iter().any(|phrase| phrases.contains(phrase));
        Some(any_of(&self.right) && !any_of(&self.wrong))
    }
}
