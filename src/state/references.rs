//! Reference answers and retention text on the Pairs screen: what there is, what is read, changed and suggested.

use std::{collections::HashSet, path::PathBuf, sync::Arc};

use data::{Prompt, PromptKey, ReferenceAnswer, TopicCoverage};
use serde::{Deserialize, Serialize};
use store::Revision;

use super::{
    labelling::ScrollBy,
    reference_history::{ReferenceChange, ReferenceHistory},
};

/// What the project holds of both, and what the prompts of its pairs are about.
#[derive(Debug, Default)]
pub struct References {
    pub answers: Vec<ReferenceAnswer>,
    pub retention: Vec<String>,
    pub coverage: TopicCoverage,
    /// What the pairs are about.
    pub about: HashSet<PromptKey>,
}

impl References {
    /// A pair is about the very prompt: there the KL term pulls against the preference.
    pub fn is_against(&self, answer: &ReferenceAnswer) -> bool {
        self.about.contains(&PromptKey::of(&answer.prompt))
    }

    pub fn count(&self, shown: Shown) -> usize {
        match shown {
            Shown::Answers => self.answers.len(),
            Shown::Retention => self.retention.len(),
        }
    }
}

#[derive(Debug, Default)]
pub struct ReferencesData {
    pub known: Option<Arc<References>>,
    /// As of which revision of the pairs and which change it is known.
    pub known_as_of: Option<(Revision, u64)>,
    /// As of which revision of the pairs it was asked for, and how often what is known was changed since.
    pub asked: Option<(Revision, u64)>,
    pub changes: u64,
    pub history: ReferenceHistory,
}

impl ReferencesData {
    /// It has to be read.
    pub fn is_missing(&self, revision: Revision) -> bool {
        self.asked != Some((revision, self.changes))
    }

    /// What is known is what the project has.
    pub fn is_settled(&self, revision: Revision) -> bool {
        self.known_as_of == Some((revision, self.changes))
    }
}

/// Which of the two is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Shown {
    #[default]
    Answers,
    Retention,
}

/// What a key means while they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceAct {
    Move(ScrollBy),
    /// Answers, or retention texts.
    Turn,
    Edit,
    Pin,
    Drop,
    PutBack,
    Undo,
    Redo,
    /// A new retention text.
    Write,
    Everyday,
    /// Prompts from the retention text.
    Suggest,
    Sample,
    WhiteSpace,
    Leave,
}

/// What the screen remembers of them.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ReferencesView {
    /// They are shown in place of the pairs.
    pub open: bool,
    pub shown: Shown,
    #[serde(skip)]
    pub selected: usize,
    /// The chosen one is to be scrolled to.
    #[serde(skip)]
    pub reveal: bool,
    /// Rows of the list that were seen in the last frame.
    #[serde(skip)]
    pub page: usize,
    /// The caret belongs into the text in the editor.
    #[serde(skip)]
    pub wants_caret: bool,
    /// The answer in the editor as the project has it, and as it is typed.
    #[serde(skip)]
    pub draft: Option<(ReferenceAnswer, ReferenceAnswer)>,
    /// What was dropped last can be put back.
    #[serde(skip)]
    pub dropped: Vec<ReferenceAnswer>,
    /// How often what is known had changed when that was.
    #[serde(skip)]
    dropped_as_of: u64,
    /// What is typed as retention text, and the path of a file of it.
    #[serde(skip)]
    pub text: String,
    pub path: String,
}

impl ReferencesView {
    /// What was typed and not handed over yet.
    pub fn typed(&mut self) -> Option<ReferencesCommand> {
        let (before, after) = self.draft.as_mut()?;
        if before == after || after.answer.trim().is_empty() {
            return None;
        }
        let change = ReferencesCommand::Change { before: Some(before.clone()), after: Some(after.clone()) };
        before.clone_from(after);
        Some(change)
    }

    /// Something is typed that was not handed over yet.
    pub fn is_typing(&self) -> bool {
        self.draft.as_ref().is_some_and(|(before, after)| before != after && !after.answer.trim().is_empty())
    }

    /// Leaves the one in the editor; gives what was typed in it.
    #[must_use]
    pub fn leave(&mut self) -> Option<ReferencesCommand> {
        let typed = self.typed();
        self.draft = None;
        typed
    }

    /// The same, and the pairs are shown again.
    #[must_use]
    pub fn close(&mut self) -> Option<ReferencesCommand> {
        self.open = false;
        self.leave()
    }

    /// It can be put back.
    pub fn drop(&mut self, answer: ReferenceAnswer, data: &ReferencesData) {
        self.dropped.push(answer);
        self.dropped_as_of = data.changes;
    }

    /// What was dropped and is there again, by an undo or written anew, need not be put back.
    pub fn forget_put_back(&mut self, known: &References, data: &ReferencesData) {
        let is_later = data.known_as_of.is_some_and(|(_, changes)| changes > self.dropped_as_of);
        while is_later && self.dropped.last().is_some_and(|last| known.answers.contains(last)) {
            self.dropped.pop();
        }
    }

    /// Another of `count` is the chosen one.
    pub fn go(&mut self, way: ScrollBy, count: usize) {
        let (at, last, page) = (self.selected, count.saturating_sub(1), self.page.saturating_sub(1).max(1));
        self.selected = match way {
            ScrollBy::Up => at.saturating_sub(1),
            ScrollBy::Down => at + 1,
            ScrollBy::PageUp => at.saturating_sub(page),
            ScrollBy::PageDown => at + page,
            ScrollBy::Start => 0,
            ScrollBy::End => last,
        }
        .min(last);
        self.reveal = true;
    }
}

#[derive(Debug, Clone)]
pub enum ReferencesCommand {
    Read,
    /// One answer becomes another; absent before: it is added, absent after: it goes.
    Change {
        before: Option<ReferenceAnswer>,
        after: Option<ReferenceAnswer>,
    },
    /// Retention text; passages are separated by blank lines.
    AddText(String),
    ReadTexts(PathBuf),
    PickTexts,
    DropText(String),
    /// Takes the last change back, or makes again what was taken back.
    Turn {
        back: bool,
    },
    /// A step of the history.
    Make(ReferenceChange),
}

/// Changes one of a set; the set as it is now may be another than the one that was seen.
pub fn changed(all: &mut Vec<ReferenceAnswer>, before: Option<&ReferenceAnswer>, after: Option<ReferenceAnswer>) {
    let place = before.and_then(|before| all.iter().position(|one| one == before));
    match (place, after) {
        (Some(place), Some(after)) => all[place] = after,
        (Some(place), None) => {
            all.remove(place);
        }
        (None, Some(after)) => all.push(after),
        (None, None) => {}
    }
}

/// New answers are taken in: one to a prompt that has an answer takes its place, unless that one is pinned.
pub fn taken_in(all: &mut Vec<ReferenceAnswer>, new: Vec<ReferenceAnswer>) {
    let pinned: HashSet<Prompt> = all.iter().filter(|one| one.pinned).map(|one| one.prompt.clone()).collect();
    let new: Vec<ReferenceAnswer> = new.into_iter().filter(|one| !pinned.contains(&one.prompt)).collect();
    let prompts: HashSet<&Prompt> = new.iter().map(|one| &one.prompt).collect();
    all.retain(|one| one.pinned || !prompts.contains(&one.prompt));
    all.extend(new);
}

/// Prompts that retention texts give rise to: a question as it is, else the beginning to go on from.
pub fn suggested(texts: &[String]) -> Vec<String> {
    const LONGEST: usize = 160;
    const MOST: usize = 200;
    let mut seen = HashSet::new();
    let sentences = texts.iter().filter_map(|text| {
        let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
        let end = line
            .find(['.', '!', '?', '。', '？'])
            .map_or(line.len(), |at| at + line[at..].chars().next().map_or(0, char::len_utf8));
        let sentence: String = line[..end].chars().take(LONGEST).collect();
        Some(if sentence.ends_with(['?', '？']) { sentence } else { format!("Go on from here: {sentence}") })
    });
    sentences.filter(|sentence| seen.insert(sentence.clone())).take(MOST).collect()
}

/// What anybody may ask a model, far from whatever pairs are about: a start where nothing better is at hand.
pub const EVERYDAY: [&str; 40] = [
    "Why is the sky blue?",
    "How do I boil an egg so that the yolk stays soft?",
    "Write a short note of thanks to a neighbour.",
    "What is the difference between weather and climate?",
    "Give me three ideas for a rainy afternoon.",
    "How does a bicycle stay upright?",
    "Explain what a budget is to a child.",
    "What should I pack for a weekend by the sea?",
    "How many minutes are there in a day?",
    "Write two sentences about autumn.",
    "What is a good way to remember names?",
    "How do plants drink?",
    "Name four animals that are awake at night.",
    "What does a lighthouse do?",
    "How can I fall asleep more easily?",
    "Write a polite message that says I will be late.",
    "What is the capital of France?",
    "Why do we have leap years?",
    "Give me a recipe with potatoes and onions.",
    "What is 17 times 6?",
    "How do I clean a wooden table?",
    "What is a metaphor? Give an example.",
    "Who was Marie Curie?",
    "How does a refrigerator keep food cold?",
    "Write a riddle about the moon.",
    "What are the rules of noughts and crosses?",
    "How do I ask for directions politely?",
    "What makes bread rise?",
    "Describe the taste of an orange.",
    "Which is heavier, a kilogram of iron or a kilogram of feathers?",
    "How do birds find their way south?",
    "Suggest a name for a small grey cat.",
    "What is the difference between a simile and a proverb?",
    "How do I sew on a button?",
    "Write a four-line poem about a train.",
    "What is a prime number?",
    "How long should I walk each day?",
    "Translate “good morning” into Spanish.",
    "What is inside a pencil?",
    "Why does the moon change its shape?",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(prompt: &str, text: &str, pinned: bool) -> ReferenceAnswer {
        ReferenceAnswer { pinned, ..ReferenceAnswer::new(Prompt::Text(prompt.to_owned()), text) }
    }

    #[test]
    fn what_is_pinned_stays_and_another_prompt_is_added() {
        let mut all = vec![answer("p", "old", false), answer("q", "kept", true)];
        taken_in(&mut all, vec![answer("p", "new", false), answer("q", "new", false), answer("r", "new", false)]);
        let texts: Vec<&str> = all.iter().map(|one| one.answer.as_str()).collect();
        assert_eq!(texts, ["kept", "new", "new"]);
    }

    #[test]
    fn one_of_a_set_is_changed_wherever_it_is_by_now() {
        let (one, two) = (answer("p", "one", false), answer("q", "two", false));
        let mut all = vec![two.clone(), one.clone()];
        changed(&mut all, Some(&one), Some(answer("p", "edited", false)));
        changed(&mut all, Some(&two), None);
        changed(&mut all, Some(&two), None);
        assert_eq!(all, [answer("p", "edited", false)]);
        changed(&mut all, None, Some(two.clone()));
        assert_eq!(all.last(), Some(&two));
    }

    #[test]
    fn what_is_typed_is_handed_over_once_and_never_empty() {
        let stored = answer("p", "one", false);
        let mut view = ReferencesView { draft: Some((stored.clone(), stored)), ..ReferencesView::default() };
        assert!(view.typed().is_none());
        view.draft.as_mut().unwrap().1.answer = "two".to_owned();
        assert!(matches!(view.typed(), Some(ReferencesCommand::Change { .. })) && view.typed().is_none());
        view.draft.as_mut().unwrap().1.answer = " ".to_owned();
        assert!(view.typed().is_none());
    }

    #[test]
    fn texts_give_questions_and_beginnings_each_once() {
        let texts = ["Who rows? Ada does.", "\n The inn is old. It has two rooms.", "The inn is old. Again", ""];
        let suggested = suggested(&texts.map(str::to_owned));
        assert_eq!(suggested, ["Who rows?", "Go on from here: The inn is old."]);
    }
}
