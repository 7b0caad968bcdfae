//! How files are taken in and given out, as chosen on the Pairs screen; and what a file is that was looked at first.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    str::FromStr,
};

use data::{Pair, Prompt, SplitRule};
use formats::{FieldMap, Format, Options, Scores, Several, Ties, write};
use serde::{Deserialize, Serialize};
use store::Duplicates;

/// Choices for the next files, by the words of the command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Intake {
    pub format: String,
    pub duplicates: String,
    pub ties: String,
    pub several: String,
    pub scores: String,
    pub chat: bool,
    /// Names of columns, as typed: `prompt=question chosen=good`.
    pub names: String,
    /// What was typed there for files with these columns.
    pub known: BTreeMap<String, String>,
    /// The format to write, and whether both sides of the hold-out get a file each.
    pub out: String,
    pub splits: bool,
}

impl Default for Intake {
    fn default() -> Self {
        Self {
            format: Format::AUTO.name.to_owned(),
            duplicates: Duplicates::default().word().to_owned(),
            ties: Ties::default().word().to_owned(),
            several: Several::default().word().to_owned(),
            scores: Scores::default().word().to_owned(),
            chat: false,
            names: String::new(),
            known: BTreeMap::new(),
            out: "trl".to_owned(),
            splits: false,
        }
    }
}

/// One choice: what it is about, the word that is chosen, and each word with what it means.
pub struct ChoiceRow<'a> {
    pub title: &'static str,
    pub chosen: &'a mut String,
    pub words: Vec<(&'static str, &'static str)>,
}

impl Intake {
    /// The choices of an import.
    pub fn rows(&mut self) -> [ChoiceRow<'_>; 5] {
        let formats = Format::names().map(|name| (name, "")).collect();
        let row = |title, chosen, words| ChoiceRow { title, chosen, words };
        [
            row("Format", &mut self.format, formats),
            row(
                "Duplicates",
                &mut self.duplicates,
                vec![
                    ("skip", "Pairs that are there already are not taken in"),
                    ("merge", "Where a pair that is there has no label it takes the file's; tags are added"),
                    ("keep", "They are taken in as pairs of their own"),
                ],
            ),
            row("Ties", &mut self.ties, vec![("keep", "Taken in as ties"), ("leave-out", "Not taken in")]),
            row(
                "Several answers",
                &mut self.several,
                vec![
                    ("worst", "One pair that keeps the order: the best against the worst, or against all"),
                    ("each", "The best against each of the others, a pair each"),
                ],
            ),
            row(
                "Scores",
                &mut self.scores,
                vec![
                    ("ignore", "Equal scores are a tie, and that is all"),
                    ("strength", "The margin says how sure the label is, as the log-odds of the better answer"),
                    ("reward", "The margin is the reward of the pair"),
                    ("tag", "The margin is a tag"),
                ],
            ),
        ]
    }

    /// What is chosen; a sentence about a name of a column that is none.
    pub fn options(&self) -> Result<(Options, Duplicates), String> {
        // A word of another version of the program counts as not chosen.
        fn word<T: FromStr + Default>(word: &str) -> T {
            word.parse().unwrap_or_default()
        }
        let options = Options {
            format: word::<Format>(&self.format),
            names: FieldMap::parse(self.names.split_whitespace())?,
            ties: word(&self.ties),
            several: word(&self.several),
            scores: word(&self.scores),
            chat: self.chat,
        };
        Ok((options, word(&self.duplicates)))
    }

    /// How pairs are written to `path`.
    pub fn plan(&self, path: &Path, replace: bool) -> write::WritePlan {
        let format = self.out.parse().unwrap_or_default();
        let splits = self.splits.then(SplitRule::default);
        write::WritePlan { replace, format, splits, ..write::WritePlan::new(path) }
    }

    /// The formats that can be written, each with its title.
    pub fn outs() -> Vec<(&'static str, &'static str)> {
        write::formats().map(|format| (format.name, format.title)).collect()
    }

    /// A file with these columns was looked at: what was typed for such a file before is there again.
    pub fn looked(&mut self, columns: &str) {
        if self.names.trim().is_empty()
            && let Some(names) = self.known.get(columns)
        {
            self.names.clone_from(names);
        }
    }

    /// What is typed is kept for files with these columns.
    pub fn remember(&mut self, columns: &str) {
        if self.names.trim().is_empty() {
            self.known.remove(columns);
        } else {
            self.known.insert(columns.to_owned(), self.names.trim().to_owned());
        }
    }
}

/// A file that was looked at before it is taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    pub file: PathBuf,
    /// What it is and what it was recognised by, e.g. "CSV, read as TRL, by chosen and rejected".
    pub what: String,
    /// Names of its columns, as far as the first records have them.
    pub columns: String,
    /// Its first pairs.
    pub rows: Vec<PreviewRow>,
    /// Why records do not come in, and what deserves a look.
    pub remarks: Vec<String>,
}

/// A pair as it will be trained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewRow {
    /// Who says what, turn by turn; of a text nobody.
    pub prompt: Vec<(String, String)>,
    pub answers: Vec<String>,
    /// The better and the worse answer, if it is decided.
    pub sides: Option<[usize; 2]>,
}

impl PreviewRow {
    pub fn of(pair: &Pair) -> Self {
        let prompt = match &pair.prompt {
            Prompt::Text(text) => vec![(String::new(), text.clone())],
            Prompt::Chat(chat) => chat.iter().map(|turn| (turn.role.name().to_owned(), turn.content.clone())).collect(),
        };
        let sides = pair.sides().map(|(chosen, rejected)| {
            [chosen, rejected]
                .map(|side| pair.answers.iter().position(|one| std::ptr::eq(one, side)).unwrap_or_default())
        });
        Self { prompt, answers: pair.answers.iter().map(|answer| answer.text.clone()).collect(), sides }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_that_can_be_chosen_means_something() {
        let mut intake = Intake::default();
        assert_eq!(intake.options(), Ok((Options::default(), Duplicates::default())));
        for at in 0..5 {
            let words: Vec<&str> = intake.rows()[at].words.iter().map(|(word, _)| *word).collect();
            for word in words {
                intake = Intake::default();
                word.clone_into(intake.rows().into_iter().nth(at).unwrap().chosen);
                let (options, duplicates) = intake.options().unwrap();
                let chosen = [
                    options.format.name,
                    duplicates.word(),
                    options.ties.word(),
                    options.several.word(),
                    options.scores.word(),
                ];
                assert_eq!(chosen[at], word);
            }
        }
        assert!(Intake { names: "nonsense".to_owned(), ..intake }.options().is_err());
        assert!(Intake::outs().iter().all(|(name, _)| name.parse::<Format>().is_ok()));
    }

    #[test]
    fn names_of_columns_are_remembered_with_the_columns() {
        let mut intake = Intake { names: "prompt=frage".to_owned(), ..Intake::default() };
        intake.remember("frage, gut");
        intake.names.clear();
        intake.looked("other");
        assert_eq!(intake.names, "");
        intake.looked("frage, gut");
        assert_eq!(intake.names, "prompt=frage");
        intake.names.clear();
        intake.remember("frage, gut");
        intake.looked("frage, gut");
        assert_eq!(intake.names, "");
    }
}
