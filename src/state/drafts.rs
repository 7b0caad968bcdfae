//! A pair while it is being edited: what the project has, what the person has typed, and whether they are the same.
//!
//! One draft a pair. Typing changes only the draft; leaving a field commits everything typed since the last
//! commit as one change. A change from elsewhere (undo, an import, a label) moves the parts that were not touched.

use crate::data::{Change, Choice, Edit, Pair, PairId, Prompt, Role, Strength, Turn, Verdict};

/// Longer texts are shown read-only, line by line: a text field lays its whole text out every frame.
pub const LONGEST_EDITABLE: usize = 64 * 1024;

/// How far an edit has come. Said in the window in these words and no stronger ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing was edited since the pair was opened.
    Untouched,
    /// Typed, not yet handed to the project.
    Typing,
    /// Handed over, not yet on the disk.
    Saving,
    /// On the disk.
    Saved,
}

impl Progress {
    pub fn word(self) -> &'static str {
        match self {
            Self::Untouched => "No changes",
            Self::Typing => "Typing…",
            Self::Saving => "Saving…",
            Self::Saved => "Saved",
        }
    }
}

/// One pair being edited.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    stored: Pair,
    /// Handed to the project and not confirmed yet.
    sent: Option<Pair>,
    /// What the fields show. Screens write here.
    pub pair: Pair,
    touched: bool,
}

impl Draft {
    pub fn open(stored: Pair) -> Self {
        Self { pair: stored.clone(), stored, sent: None, touched: false }
    }

    pub fn progress(&self) -> Progress {
        if self.pair != *self.sent.as_ref().unwrap_or(&self.stored) {
            Progress::Typing
        } else if self.sent.is_some() {
            Progress::Saving
        } else if self.touched {
            Progress::Saved
        } else {
            Progress::Untouched
        }
    }

    /// Everything typed since the last commit, if anything.
    pub fn commit(&mut self) -> Option<Change> {
        let before = self.sent.as_ref().unwrap_or(&self.stored);
        if self.pair == *before {
            return None;
        }
        let change = Change::new(describe(before, &self.pair), vec![Edit::replace(before.clone(), self.pair.clone())]);
        self.sent = Some(self.pair.clone());
        self.touched = true;
        Some(change)
    }

    /// The project has `stored` now. Parts that were typed and not handed over stay as they are typed.
    pub fn stored(&mut self, stored: &Pair) {
        if self.sent.as_ref() == Some(stored) {
            self.sent = None;
        } else if *stored == self.stored {
            return; // An older answer than the commit under way.
        }
        let base = std::mem::replace(&mut self.stored, stored.clone());
        if self.sent.is_none() {
            rebase(&mut self.pair, &base, stored);
        }
    }

    /// The commit under way failed: what was typed stays and can be committed again.
    pub fn refused(&mut self) {
        self.sent = None;
    }
}

/// Takes over from `new` whatever `typed` had left as in `base`.
fn rebase(typed: &mut Pair, base: &Pair, new: &Pair) {
    fn take<T: PartialEq + Clone>(typed: &mut T, base: &T, new: &T) {
        if typed == base {
            typed.clone_from(new);
        }
    }
    let Pair { id, prompt, answers, verdict, tags, split, note, reward, behaviour, source } = typed;
    *id = new.id;
    take(prompt, &base.prompt, &new.prompt);
    if answers.len() == base.answers.len() && answers.len() == new.answers.len() {
        for ((answer, base), new) in answers.iter_mut().zip(&base.answers).zip(&new.answers) {
            take(answer, base, new);
        }
    } else {
        take(answers, &base.answers, &new.answers);
    }
    take(verdict, &base.verdict, &new.verdict);
    take(tags, &base.tags, &new.tags);
    take(split, &base.split, &new.split);
    take(note, &base.note, &new.note);
    take(reward, &base.reward, &new.reward);
    take(behaviour, &base.behaviour, &new.behaviour);
    take(source, &base.source, &new.source);
}

/// Names what changed, for the journal.
fn describe(before: &Pair, after: &Pair) -> String {
    let mut parts: Vec<&str> = Vec::new();
    if before.prompt != after.prompt {
        parts.push("prompt");
    }
    if before.answers.len() == after.answers.len() {
        let answers = before.answers.iter().zip(&after.answers).enumerate();
        parts.extend(answers.filter(|(_, (old, new))| old != new).map(|(index, _)| match place(after, index) {
            Place::Chosen => "chosen answer",
            Place::Rejected => "rejected answer",
            Place::Other => "answer",
        }));
    } else {
        parts.push("answers");
    }
    if before.choice() != after.choice() {
        parts.push("verdict");
    }
    for (changed, name) in [
        (before.tags != after.tags, "tags"),
        (before.split != after.split, "split"),
        (before.note != after.note, "note"),
        (before.reward != after.reward, "reward"),
        (before.behaviour != after.behaviour, "behaviour"),
    ] {
        if changed {
            parts.push(name);
        }
    }
    parts.dedup();
    format!("Edit {} of pair {}", parts.join(", "), after.id.0)
}

/// What a pair's verdict says about one of its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Chosen,
    Rejected,
    /// No verdict about it: a tie, an unlabelled pair, a third answer.
    Other,
}

pub fn place(pair: &Pair, answer: usize) -> Place {
    match pair.choice() {
        Some(Choice::Better { chosen, .. }) if chosen == answer => Place::Chosen,
        Some(Choice::Better { rejected, .. }) if rejected == answer => Place::Rejected,
        _ => Place::Other,
    }
}

/// The two answers shown side by side: chosen then rejected, or the first two. Absent when there are not two.
pub fn sides(pair: &Pair) -> Option<[usize; 2]> {
    match pair.choice() {
        Some(Choice::Better { chosen, rejected, .. }) if pair.is_decided() => Some([chosen, rejected]),
        _ => (pair.answers.len() >= 2).then_some([0, 1]),
    }
}

/// Takes an answer out; the verdict keeps pointing at the answers it was about, or goes with the one taken.
pub fn remove_answer(pair: &mut Pair, index: usize) {
    if index >= pair.answers.len() {
        return;
    }
    pair.answers.remove(index);
    let Some(verdict) = &mut pair.verdict else {
        return;
    };
    verdict.shown_left = None;
    if let Choice::Better { chosen, rejected, .. } = &mut verdict.choice {
        if *chosen == index || *rejected == index {
            pair.verdict = None;
        } else {
            *chosen -= usize::from(*chosen > index);
            *rejected -= usize::from(*rejected > index);
        }
    }
}

/// One word (or two) for a pair's verdict, as in the table.
pub fn verdict_word(pair: &Pair) -> &'static str {
    match pair.choice() {
        None => "Unlabelled",
        Some(Choice::Better { strength, .. }) => match strength {
            Strength::Slightly => "Slightly better",
            Strength::Clearly => "Clearly better",
            Strength::Strongly => "Strongly better",
        },
        Some(Choice::Tie) => "Tie",
        Some(Choice::BothBad) => "Both bad",
        Some(Choice::Skip) => "Skipped",
    }
}

/// A verdict made in the editor, where nothing is blind.
pub fn verdict(choice: Choice, now_ms: i64) -> Verdict {
    Verdict { choice, who: super::labelling::LOCAL.to_owned(), at_ms: now_ms, took_ms: None, shown_left: None }
}

/// An empty pair of the project's usual kind; the project gives it its id.
pub fn blank(chat: bool) -> Pair {
    let prompt = if chat {
        Prompt::Chat(vec![Turn { role: Role::User, content: String::new() }])
    } else {
        Prompt::Text(String::new())
    };
    Pair::new(PairId::NEW, prompt, &["", ""])
}

/// A prompt in one line, cut before it is laid out: the last thing the user said.
pub fn preview(prompt: &Prompt, longest: usize) -> String {
    let text = match prompt {
        Prompt::Text(text) => text,
        Prompt::Chat(turns) => turns
            .iter()
            .rev()
            .find(|turn| turn.role == Role::User)
            .or(turns.last())
            .map_or("", |turn| turn.content.as_str()),
    };
    one_line(text, longest)
}

/// The beginning of `text` with every run of white space as one space.
pub fn one_line(text: &str, longest: usize) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.chars().nth(longest).is_some() {
            return line.chars().take(longest).chain(['…']).collect();
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Pair {
        let mut pair = blank(true);
        pair.id = PairId(12);
        pair.answers[0].text = "one".to_owned();
        pair.answers[1].text = "two".to_owned();
        pair.verdict = Some(verdict(Choice::Better { chosen: 1, rejected: 0, strength: Strength::Strongly }, 5));
        pair
    }

    fn ends(change: &Change) -> (Pair, Pair) {
        let edit = &change.edits[0];
        (edit.before.clone().unwrap(), edit.after.clone().unwrap())
    }

    #[test]
    fn typing_is_one_change_per_commit() {
        let mut draft = Draft::open(stored());
        assert_eq!(draft.progress(), Progress::Untouched);
        assert_eq!(draft.commit(), None);
        draft.pair.answers[1].text.push('!');
        draft.pair.answers[1].text.push('!');
        assert_eq!(draft.progress(), Progress::Typing);
        let edited = draft.commit().unwrap();
        assert_eq!(edited.label, "Edit chosen answer of pair 12");
        let (before, after) = ends(&edited);
        assert_eq!(before, stored());
        assert_eq!(after.answers[1].text, "two!!");
        assert_eq!(draft.commit(), None);
        assert_eq!(draft.progress(), Progress::Saving);
        draft.stored(&after);
        assert_eq!(draft.progress(), Progress::Saved);
    }

    #[test]
    fn a_second_commit_starts_where_the_first_ended() {
        let mut draft = Draft::open(stored());
        draft.pair.note = "a".to_owned();
        let first = draft.commit().unwrap();
        draft.pair.note = "ab".to_owned();
        let second = draft.commit().unwrap();
        let (first, second) = (ends(&first), ends(&second));
        assert_eq!(second.0, first.1);
        // The first is confirmed while the second is on its way: still saving, nothing typed is lost.
        draft.stored(&first.1);
        assert_eq!(draft.progress(), Progress::Saving);
        assert_eq!(draft.pair.note, "ab");
        draft.stored(&second.1);
        assert_eq!(draft.progress(), Progress::Saved);
    }

    #[test]
    fn a_change_from_elsewhere_moves_only_untouched_parts() {
        let mut draft = Draft::open(stored());
        draft.pair.answers[0].text = "typed".to_owned();
        let mut elsewhere = stored();
        elsewhere.answers[0].text = "lost".to_owned();
        elsewhere.answers[1].text = "theirs".to_owned();
        elsewhere.tags = vec!["new".to_owned()];
        draft.stored(&elsewhere);
        assert_eq!(draft.pair.answers[0].text, "typed");
        assert_eq!(draft.pair.answers[1].text, "theirs");
        assert_eq!(draft.pair.tags, ["new"]);
        assert_eq!(ends(&draft.commit().unwrap()).0, elsewhere);
    }

    #[test]
    fn a_refused_commit_can_be_made_again() {
        let mut draft = Draft::open(stored());
        draft.pair.note = "keep me".to_owned();
        let first = draft.commit().unwrap();
        draft.refused();
        assert_eq!(draft.progress(), Progress::Typing);
        assert_eq!(draft.commit().unwrap(), first);
    }

    #[test]
    fn undo_shows_in_an_open_draft() {
        let mut draft = Draft::open(stored());
        draft.pair.note = "n".to_owned();
        let edited = draft.commit().unwrap();
        let (before, after) = ends(&edited);
        draft.stored(&after);
        draft.stored(&before);
        assert_eq!(draft.pair, stored());
    }

    #[test]
    fn labels_name_every_part() {
        let mut draft = Draft::open(stored());
        draft.pair.answers[0].text.clear();
        draft.pair.tags = vec!["t".to_owned()];
        draft.pair.verdict = None;
        assert_eq!(draft.commit().unwrap().label, "Edit answer, verdict, tags of pair 12");
    }

    #[test]
    fn removing_an_answer_keeps_the_verdict_on_its_answers() {
        let mut pair = Pair::new(PairId(1), Prompt::Text("p".to_owned()), &["a", "b", "c"]);
        let better = Choice::Better { chosen: 2, rejected: 0, strength: Strength::Clearly };
        pair.verdict = Some(verdict(better, 0));
        remove_answer(&mut pair, 1);
        assert_eq!(pair.chosen().unwrap().text, "c");
        assert_eq!(pair.rejected().unwrap().text, "a");
        remove_answer(&mut pair, 0);
        assert_eq!(pair.verdict, None);
        assert_eq!(pair.answers.len(), 1);
        assert_eq!(sides(&pair), None);
        remove_answer(&mut pair, 7);
    }

    #[test]
    fn previews_are_short_and_on_one_line() {
        assert_eq!(one_line("a\n\n b\tc", 80), "a b c");
        assert_eq!(one_line(&"ö ".repeat(500), 5), "ö ö ö…");
        assert_eq!(one_line("", 5), "");
        let prompt = Prompt::Chat(vec![
            Turn { role: Role::User, content: "asked".to_owned() },
            Turn { role: Role::Assistant, content: "begun".to_owned() },
        ]);
        assert_eq!(preview(&prompt, 80), "asked");
    }
}
