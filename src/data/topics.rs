//! What the prompts of pairs are about, roughly, and which of it reference answers speak for.
//!
//! A topic is a word that several prompts share. The word that most prompts have that are in no topic yet makes the
//! next one; words of nearly all prompts, and those that say nothing, make none.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{Prompt, PromptKey, counted};

/// Topics that are told apart at most.
const MOST: usize = 24;
/// A word of more prompts than this share says nothing about any of them.
const EVERYWHERE: f64 = 0.4;
/// Words that say nothing, of this length or longer.
const SHORTEST: usize = 4;
const EMPTY: [&str; 36] = [
    "what", "when", "where", "which", "whose", "does", "that", "this", "there", "their", "they", "with", "from",
    "about", "have", "will", "would", "could", "should", "please", "tell", "give", "write", "your", "some", "into",
    "much", "many", "long", "make", "more", "most", "like", "than", "then", "them",
];

/// A word and how many prompts of each kind have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    pub word: String,
    pub pairs: usize,
    pub references: usize,
}

/// Where the KL term has a say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopicCoverage {
    /// Largest first.
    pub topics: Vec<Topic>,
    /// Prompts of pairs that share no word with others.
    pub apart: usize,
    pub references: usize,
    /// Reference answers on the very prompts of pairs.
    pub against: usize,
}

impl TopicCoverage {
    /// Each prompt of `pairs` and `references` once.
    pub fn of(pairs: &[Prompt], references: &[Prompt]) -> Self {
        let words: Vec<BTreeSet<String>> = pairs.iter().map(telling).collect();
        let common = common(&words);
        let mut open: Vec<&BTreeSet<String>> = words.iter().collect();
        let mut topics = Vec::new();
        while topics.len() < MOST {
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for word in open.iter().flat_map(|words| words.iter()).filter(|word| !common.contains(word.as_str())) {
                *counts.entry(word).or_default() += 1;
            }
            // Of several the first by the alphabet, so that the same prompts always give the same topics.
            let Some((word, pairs)) = counts.into_iter().rev().max_by_key(|(_, count)| *count).filter(|(_, n)| *n > 1)
            else {
                break;
            };
            let word = word.to_owned();
            open.retain(|words| !words.contains(&word));
            topics.push(Topic { word, pairs, references: 0 });
        }
        for words in references.iter().map(telling) {
            if let Some(topic) = topics.iter_mut().find(|topic| words.contains(&topic.word)) {
                topic.references += 1;
            }
        }
        let about: HashSet<PromptKey> = pairs.iter().map(PromptKey::of).collect();
        let against = references.iter().filter(|prompt| about.contains(&PromptKey::of(prompt))).count();
        Self { topics, apart: open.len(), references: references.len(), against }
    }

    /// Topics with a reference answer.
    pub fn covered(&self) -> usize {
        self.topics.iter().filter(|topic| topic.references > 0).count()
    }

    /// The sentence that matters.
    pub fn sentence(&self) -> String {
        let speaks = if self.references == 0 {
            "There are no reference answers, so the KL term has no say".to_owned()
        } else if self.topics.is_empty() {
            format!(
                "The KL term speaks through {}; the pairs are too few to tell topics apart",
                counted(self.references, "reference answer", "reference answers")
            )
        } else {
            let topics = counted(self.topics.len(), "topic", "topics");
            format!("The KL term speaks for {} of your {topics}", self.covered())
        };
        if self.against == 0 {
            return speaks;
        }
        let answers = counted(self.against, "reference answer is", "reference answers are");
        format!("{speaks}; {answers} on prompts that pairs are about, where they pull against the preference")
    }
}

/// Words that nearly all prompts have.
fn common(prompts: &[BTreeSet<String>]) -> HashSet<&str> {
    const FEW: usize = 10;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for word in prompts.iter().flatten() {
        *counts.entry(word).or_default() += 1;
    }
    let most = EVERYWHERE * prompts.len() as f64;
    let everywhere = counts.into_iter().filter(|(_, count)| prompts.len() >= FEW && *count as f64 > most);
    everywhere.map(|(word, _)| word).collect()
}

/// The words that may tell what a prompt is about.
fn telling(prompt: &Prompt) -> BTreeSet<String> {
    let words = prompt.last_text().split(|letter: char| !letter.is_alphanumeric()).map(str::to_lowercase);
    let long = |word: &String| word.chars().count() >= if word.is_ascii() { SHORTEST } else { 2 };
    words.filter(|word| long(word) && !EMPTY.contains(&word.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompts(texts: &[&str]) -> Vec<Prompt> {
        texts.iter().map(|text| Prompt::Text((*text).to_owned())).collect()
    }

    #[test]
    fn words_that_prompts_share_are_topics() {
        let pairs = prompts(&[
            "When does the ferry leave?",
            "Is the ferry on time?",
            "Where is the mill?",
            "Who owns the mill?",
            "A word on Tuesdays",
        ]);
        let coverage = TopicCoverage::of(&pairs, &prompts(&["Does the FERRY take dogs?", "Name a prime"]));
        let topic = |word: &str, pairs, references| Topic { word: word.to_owned(), pairs, references };
        assert_eq!(coverage.topics, [topic("ferry", 2, 1), topic("mill", 2, 0)]);
        assert_eq!((coverage.apart, coverage.against), (1, 0));
        assert_eq!(coverage.sentence(), "The KL term speaks for 1 of your 2 topics");
    }

    #[test]
    fn the_sentence_says_where_it_pulls_against_the_preference() {
        let pairs = prompts(&["When does the ferry leave?", "Is the ferry on time?"]);
        let coverage = TopicCoverage::of(&pairs, &prompts(&["when does THE ferry leave"]));
        assert!(coverage.sentence().ends_with(
            "1 reference answer is on prompts that pairs are about, where they pull against the preference"
        ));
        assert!(TopicCoverage::of(&pairs, &[]).sentence().starts_with("There are no reference answers"));
        assert!(TopicCoverage::of(&[], &prompts(&["a"])).sentence().contains("too few"));
    }

    #[test]
    fn a_word_of_nearly_all_prompts_is_no_topic() {
        let texts: Vec<String> =
            (0..12).map(|n| format!("the island of {}", ["corn", "wine", "salt"][n % 3])).collect();
        let pairs: Vec<Prompt> = texts.into_iter().map(Prompt::Text).collect();
        let words: Vec<String> = TopicCoverage::of(&pairs, &[]).topics.into_iter().map(|topic| topic.word).collect();
        assert_eq!(words, ["corn", "salt", "wine"]);
    }
}
