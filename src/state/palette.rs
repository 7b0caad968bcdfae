//! The command palette: which lines of the table answer to what was typed.

use super::{
    Views, Workspace,
    actions::{Action, ActionLine, Possible, Scope, TABLE},
    keyboard::CommandPalette,
};

/// A line of the list.
pub struct PaletteLine {
    pub entry: &'static ActionLine,
    /// Why it cannot be carried out now.
    pub possible: Possible,
}

impl CommandPalette {
    /// What answers to the letters typed so far: first what can be done now, and of that the nearest; before anything
    /// is typed, what belongs to this place.
    pub fn list(&self, workspace: &Workspace, views: &mut Views) -> Vec<PaletteLine> {
        let here = Scope::of(views);
        let mut found: Vec<(bool, i32, PaletteLine)> = Vec::new();
        for entry in TABLE.iter().filter(|entry| is_offered(entry, here)) {
            let Some(mut score) = score(&self.typed, entry) else {
                continue;
            };
            score += if entry.place == here { 3 } else { 0 };
            let possible = (entry.when)(workspace, views);
            found.push((possible.is_err(), -score, PaletteLine { entry, possible }));
        }
        // Equal ones stay in the order of the table.
        found.sort_by_key(|(impossible, score, _)| (*impossible, *score));
        found.into_iter().map(|(_, _, found)| found).collect()
    }
}

/// Movements are keys only; what is done in a session is of no use elsewhere.
fn is_offered(entry: &ActionLine, here: Scope) -> bool {
    let elsewhere = (entry.place.is_session() || here.is_session()) && entry.place != here;
    !entry.action.is_movement() && entry.action != Action::Palette && (!elsewhere || entry.place == Scope::Anywhere)
}

/// How well a line answers; absent where it does not. Every word that was typed must be found.
fn score(typed: &str, entry: &ActionLine) -> Option<i32> {
    let [name, place, help] = [entry.name, entry.place.title(), entry.help].map(str::to_lowercase);
    typed.to_lowercase().split_whitespace().try_fold(0, |sum, word| {
        let named = subsequence(word, &name);
        // The place and the sentence count for less.
        let about = (word.len() > 2 && (place.contains(word) || help.contains(word))).then_some(1);
        Some(sum + named.or(about)?)
    })
}

/// Whether the letters of `word` stand in `text` in this order, and how near to each other and to the starts of words.
fn subsequence(word: &str, text: &str) -> Option<i32> {
    if let Some(at) = text.find(word) {
        let starts = at == 0 || text[..at].ends_with(' ');
        return Some(10 * word.chars().count() as i32 + if starts { 20 } else { 0 });
    }
    let mut score = 0;
    let mut before = ' ';
    let mut follows = false;
    let mut wanted = word.chars().peekable();
    for letter in text.chars() {
        if wanted.peek() == Some(&letter) {
            wanted.next();
            score += match (before == ' ', follows) {
                (true, _) => 6,
                (false, true) => 4,
                (false, false) => 1,
            };
            follows = true;
        } else {
            follows = false;
        }
        before = letter;
    }
    wanted.peek().is_none().then_some(score)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(typed: &str) -> Vec<&'static str> {
        let (workspace, mut views) = (Workspace::default(), Views::default());
        let palette = CommandPalette { typed: typed.to_owned(), at: 0 };
        palette.list(&workspace, &mut views).iter().map(|found| found.entry.name).collect()
    }

    #[test]
    fn a_few_letters_find_a_command() {
        for (typed, name) in
            [("go comp", "Go to Compare"), ("dark", "Dark colours"), ("np", "New project"), ("gtm", "Go to Models")]
        {
            assert_eq!(names(typed).first(), Some(&name), "“{typed}”");
        }
        assert!(names("xyzzy").is_empty());
        assert!(names("hub").contains(&"Download a model"), "the help sentence counts, too");
    }

    #[test]
    fn what_cannot_be_done_now_stands_last_with_its_reason() {
        let (workspace, mut views) = (Workspace::default(), Views::default());
        let list = CommandPalette::default().list(&workspace, &mut views);
        let first_impossible = list.iter().position(|found| found.possible.is_err()).unwrap();
        assert!(list[..first_impossible].iter().all(|found| found.possible.is_ok()));
        assert!(list[first_impossible..].iter().all(|found| found.possible.is_err()));
        assert!(list.iter().all(|found| found.entry.place != Scope::Labelling));
    }
}
