//! A pair while it is being edited: what the project has, what the person has typed, and whether they are the same.
//!
//! One draft a pair. Typing changes only the draft; a short pause hands everything typed to the project, and so does
//! leaving the field. All that is typed in one visit of a field is one step of the journal, however often it was saved.
//! A change from elsewhere (undo, an import, a label) moves the parts that were not touched.

use data::{Change, Choice, Edit, Pair, PairId, Prompt, Role, Turn, Verdict};

/// Longer texts are shown read-only, line by line: a text field lays its whole text out every frame.
pub const LONGEST_EDITABLE: usize = 64 * 1024;

/// What is typed is handed to the project this long after the last key, in milliseconds.
const PAUSE_MS: i64 = 1_000;

/// … and at least this often while somebody types without a pause.
const LONGEST_UNSAVED_MS: i64 = 5_000;

/// After a pause of this length a new step of the journal begins, in milliseconds.
const NEW_STEP_MS: i64 = 30_000;

/// How far an edit has come. Said in the window in these words and no stronger ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EditProgress {
    /// Nothing was edited since the pair was opened.
    Untouched,
    /// Typed, not yet handed to the project.
    Typing,
    /// Handed over, not yet on the disk.
    Saving,
    /// On the disk.
    Saved,
    /// The project did not take it. It stays in the fields, and is handed over again only when asked for or typed on.
    Refused,
}

impl EditProgress {
    pub fn word(self) -> &'static str {
        match self {
            Self::Untouched => "No changes",
            Self::Typing => "Typing…",
            Self::Saving => "Saving…",
            Self::Saved => "Saved",
            Self::Refused => "Not saved",
        }
    }
}

/// What was typed since the last commit, to be handed to the project.
#[derive(Debug, Clone, PartialEq)]
pub struct Typed {
    pub change: Change,
    /// Names the visit of the field: commits of one visit are one step of the journal.
    pub visit: i64,
    /// The visit was saved before: its step of the journal goes on.
    pub goes_on: bool,
}

/// From the first key in a field until it is left, or until a long pause.
#[derive(Debug, Clone, PartialEq)]
struct Visit {
    /// Unix time in milliseconds of the first key, which also names the visit.
    began_ms: i64,
    last_key_ms: i64,
    /// Of the first key that is not handed over.
    unsaved_ms: Option<i64>,
    /// As it was before the first key.
    before: Pair,
    saved: bool,
}

/// Why the project did not take a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The pair is not what it was when it was typed on: whether the edit still fits is for the person to say.
    ChangedElsewhere,
    /// The pair is no longer there: it comes back only when the person says so.
    Gone,
    /// The disk, most likely.
    Failed,
}

/// One pair being edited.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    stored: Pair,
    /// Handed to the project and not confirmed yet.
    sent: Option<Pair>,
    /// What the fields show. Screens write here, and say so with [`Draft::typed`].
    pub pair: Pair,
    touched: bool,
    refused: Option<Refusal>,
    visit: Option<Visit>,
}

impl Draft {
    pub fn open(stored: Pair) -> Self {
        Self { pair: stored.clone(), stored, sent: None, touched: false, refused: None, visit: None }
    }

    pub fn progress(&self) -> EditProgress {
        if self.pair != *self.handed_over() {
            if self.refused.is_some() { EditProgress::Refused } else { EditProgress::Typing }
        } else if self.sent.is_some() {
            EditProgress::Saving
        } else if self.touched {
            EditProgress::Saved
        } else {
            EditProgress::Untouched
        }
    }

    fn handed_over(&self) -> &Pair {
        self.sent.as_ref().unwrap_or(&self.stored)
    }

    /// A key changed [`Draft::pair`].
    pub fn typed(&mut self, now_ms: i64) {
        self.refused = self.refused.filter(|refusal| *refusal == Refusal::Gone);
        if self.visit.as_ref().is_some_and(|visit| now_ms - visit.last_key_ms > NEW_STEP_MS) {
            self.visit = None;
        }
        if self.visit.is_none() {
            let before = self.handed_over().clone();
            self.visit = Some(Visit { began_ms: now_ms, last_key_ms: now_ms, unsaved_ms: None, before, saved: false });
        }
        if let Some(visit) = &mut self.visit {
            visit.last_key_ms = now_ms;
            visit.unsaved_ms.get_or_insert(now_ms);
        }
    }

    /// When [`Draft::pause`] has something to hand over, as Unix time in milliseconds; absent when nothing waits.
    pub fn due_ms(&self) -> Option<i64> {
        let visit = self.visit.as_ref().filter(|_| self.progress() == EditProgress::Typing)?;
        let unsaved = visit.unsaved_ms.unwrap_or(visit.last_key_ms);
        Some((visit.last_key_ms + PAUSE_MS).min(unsaved + LONGEST_UNSAVED_MS))
    }

    /// Everything typed since the last commit when nobody has typed for a moment. The visit of the field goes on.
    pub fn pause(&mut self, now_ms: i64) -> Option<Typed> {
        if self.due_ms()? > now_ms { None } else { self.hand_over() }
    }

    /// Everything typed since the last commit, if anything. The field was left: what is typed next is a new step.
    /// What was refused because the pair had changed or is gone is not handed over again, see [`Draft::again`].
    pub fn commit(&mut self) -> Option<Typed> {
        if self.is_stale() { None } else { self.again() }
    }

    /// The same, also after any refusal: the person asked for it.
    pub fn again(&mut self) -> Option<Typed> {
        let typed = self.hand_over();
        self.visit = None;
        typed
    }

    /// What is typed was refused because the pair had been changed elsewhere, or is gone.
    pub fn is_stale(&self) -> bool {
        let elsewhere = matches!(self.refused, Some(Refusal::ChangedElsewhere | Refusal::Gone));
        elsewhere && self.progress() == EditProgress::Refused
    }

    /// The project no longer has the pair.
    pub fn is_gone(&self) -> bool {
        self.refused == Some(Refusal::Gone)
    }

    /// The pair was deleted elsewhere. True when something was typed that only this draft has.
    pub fn gone(&mut self) -> bool {
        if self.pair == self.stored {
            return false;
        }
        self.refused(Refusal::Gone);
        true
    }

    fn hand_over(&mut self) -> Option<Typed> {
        let before = self.sent.as_ref().unwrap_or(&self.stored);
        if self.pair == *before {
            return None;
        }
        // Answers are added at the end; where one was taken out, that was a change of its own.
        if self.pair.answers.len() >= before.answers.len() {
            self.pair.answers.iter_mut().zip(&before.answers).for_each(|(answer, before)| answer.edited(before));
        }
        let change = if self.is_gone() {
            Change::new(format!("Bring back pair {}", self.pair.id.0), vec![Edit::add(self.pair.clone())])
        } else {
            let began = self.visit.as_ref().map_or(before, |visit| &visit.before);
            Change::new(describe(began, &self.pair), vec![Edit::replace(before.clone(), self.pair.clone())])
        };
        let (visit, goes_on) = self.visit.as_ref().map_or((0, false), |visit| (visit.began_ms, visit.saved));
        if let Some(visit) = &mut self.visit {
            visit.saved = true;
            visit.unsaved_ms = None;
        }
        self.sent = Some(self.pair.clone());
        self.touched = true;
        self.refused = None;
        Some(Typed { change, visit, goes_on })
    }

    /// The fields show what the project has again.
    pub fn discard(&mut self) {
        self.pair = self.handed_over().clone();
        self.refused = None;
        self.visit = None;
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

    /// The commit under way failed: what was typed stays, and is committed again when the person asks for it.
    pub fn refused(&mut self, why: Refusal) {
        self.sent = None;
        self.refused = Some(why);
        self.visit = None;
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
            AnswerVerdict::Chosen => "chosen answer",
            AnswerVerdict::Rejected => "rejected answer",
            AnswerVerdict::Other => "answer",
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
    if parts.is_empty() {
        return format!("Edit pair {}", after.id.0);
    }
    format!("Edit {} of pair {}", parts.join(", "), after.id.0)
}

/// What a pair's verdict says about one of its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerVerdict {
    Chosen,
    Rejected,
    /// No verdict about it: a tie, an unlabelled pair, a third answer.
    Other,
}

pub fn place(pair: &Pair, answer: usize) -> AnswerVerdict {
    match pair.choice() {
        Some(Choice::Better { chosen, .. }) if chosen == answer => AnswerVerdict::Chosen,
        Some(Choice::Better { rejected, .. }) if rejected == answer => AnswerVerdict::Rejected,
        _ => AnswerVerdict::Other,
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
    verdict.order.retain(|one| *one != index);
    for one in &mut verdict.order {
        *one -= usize::from(*one > index);
    }
    if let Choice::Better { chosen, rejected, .. } = &mut verdict.choice {
        if *chosen == index || *rejected == index {
            pair.verdict = None;
        } else {
            *chosen -= usize::from(*chosen > index);
            *rejected -= usize::from(*rejected > index);
        }
    }
}

/// Another choice about the same two answers keeps the order that they stand in; any other says nothing of other
/// answers.
pub fn decide(pair: &mut Pair, choice: Option<Choice>, now_ms: i64) {
    let about = |choice: Option<Choice>| match choice {
        Some(Choice::Better { chosen, rejected, .. }) => Some((chosen, rejected)),
        _ => None,
    };
    let stays = about(choice).is_some() && about(choice) == about(pair.choice());
    let order = pair.verdict.take().map(|verdict| verdict.order).filter(|_| stays).unwrap_or_default();
    pair.verdict = choice.map(|choice| Verdict { order, ..Verdict::local(choice, now_ms) });
}

/// Says of a third answer that it is worse than the chosen one too, after those of which that was said; or no longer.
pub fn toggle_worse(pair: &mut Pair, index: usize) {
    let worse = pair.worse();
    let (Some(Choice::Better { chosen, rejected, .. }), Some(verdict)) = (pair.choice(), &mut pair.verdict) else {
        return;
    };
    if worse.len() < 2 {
        verdict.order = vec![chosen, rejected];
    }
    if worse.contains(&index) {
        verdict.order.retain(|one| *one != index);
    } else {
        verdict.order.push(index);
    }
    if verdict.order.len() < 3 {
        verdict.order.clear();
    }
}

/// An empty pair of the project's usual kind; the project gives it its id.
pub fn blank(chat: bool) -> Pair {
    let prompt = if chat { Prompt::chat(vec![Turn::new(Role::User, "")]) } else { Prompt::Text(String::new()) };
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
#[path = "drafts_tests.rs"]
mod tests;
