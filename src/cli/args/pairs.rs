//! What was typed about pairs: which of them, where they are written to, and what becomes of them.

use std::path::PathBuf;

use clap::ArgGroup;
use data::{Split, SplitRule, Strength};
use store::{PairSource, VerdictFilter, VerdictState};

use super::several::Place;

/// Which pairs: those that fit all that is said; all of them where nothing is.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Which pairs")]
pub struct Which {
    /// A filter that was kept under this name in the window; what else is said narrows it further.
    #[arg(long, value_name = "NAME")]
    pub filter: Option<String>,
    /// Words that all occur in the prompt or an answer.
    #[arg(long, value_name = "WORDS")]
    pub search: Option<String>,
    /// unlabelled, labelled, better (one answer is), tie, both-bad or skipped.
    #[arg(long, value_name = "VERDICT", value_parser = verdict)]
    pub verdict: Option<VerdictFilter>,
    /// slightly, clearly or strongly.
    #[arg(long, value_parser = strength)]
    pub strength: Option<Strength>,
    /// With exactly this tag.
    #[arg(long, value_name = "TAG")]
    pub tagged: Option<String>,
    /// Imported from this file, or from none: "model" for answers of a model, "hand" for what was written by hand.
    #[arg(long, value_name = "FILE", value_parser = source)]
    pub source: Option<PairSource>,
    /// On this side of the hold-out, pinned or by the rule: train or eval.
    #[arg(long, value_parser = is_held_out)]
    pub side: Option<bool>,
    /// Pinned to a side, train or eval, or to none: auto.
    #[arg(long, value_name = "SIDE", value_parser = split)]
    pub pinned: Option<Split>,
    /// Bytes of prompt and answers, e.g. 100.. or ..4000.
    #[arg(long, value_name = "LEAST..MOST", value_parser = bounds::<usize>)]
    pub length: Option<Bounds<usize>>,
    /// Changed after this revision of the project.
    #[arg(long, value_name = "REVISION")]
    pub changed_since: Option<u64>,
    /// Log-prob of the chosen answer minus that of the rejected one, e.g. ..-2.
    #[arg(long, value_name = "LEAST..MOST", value_parser = bounds::<f64>, allow_hyphen_values = true)]
    pub margin: Option<Bounds<f64>>,
    /// How hard the objective pulls, e.g. 0.01..
    #[arg(long, value_name = "LEAST..MOST", value_parser = bounds::<f64>, allow_hyphen_values = true)]
    pub push: Option<Bounds<f64>>,
    /// Chosen reward minus rejected reward.
    #[arg(long, value_name = "LEAST..MOST", value_parser = bounds::<f64>, allow_hyphen_values = true)]
    pub reward: Option<Bounds<f64>>,
    /// How much likelier the chosen answer is than under the start model, times β.
    #[arg(long, value_name = "LEAST..MOST", value_parser = bounds::<f64>, allow_hyphen_values = true)]
    pub chosen_reward: Option<Bounds<f64>>,
    /// The same of the rejected answer.
    #[arg(long, value_name = "LEAST..MOST", value_parser = bounds::<f64>, allow_hyphen_values = true)]
    pub rejected_reward: Option<Bounds<f64>>,
    /// Whose margin, push and rewards: those of a checkpoint instead of the start model. `nudge score` makes them.
    #[arg(long, value_name = "RUN[@STEP]")]
    pub scored_by: Option<String>,
    /// Only these, by their numbers, e.g. 3,17.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub id: Vec<i64>,
}

/// Write the labelled pairs of a project to a file
#[derive(Debug, clap::Args)]
pub struct Pairs {
    #[command(flatten)]
    pub place: Place,
    /// Ends in .jsonl, .json, .csv or .tsv, with .gz behind if it should be packed, or in .parquet; "-" for standard
    /// output. Where there are pairs with text prompts and conversations, NAME.jsonl becomes NAME.text.jsonl and
    /// NAME.chat.jsonl.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Replace files that are there already.
    #[arg(long)]
    pub overwrite: bool,
    /// trl: prompt, chosen and rejected. nudge: everything of every pair, to be read again. Others: alpaca and sharegpt
    /// (with the dataset_info.json of LLaMA-Factory), axolotl, torchtune, openai, nemo-rl, unpaired, hh.
    #[arg(long, default_value = "trl")]
    pub format: String,
    /// Both sides of the hold-out to a file each, NAME.train.jsonl and NAME.eval.jsonl.
    #[arg(long)]
    pub splits: bool,
    /// Share of prompts held out, where no pair says so itself.
    #[arg(long, default_value_t = SplitRule::default().eval_fraction, requires = "splits", value_name = "SHARE", value_parser = share)]
    pub eval_fraction: f64,
    /// Which prompts they are.
    #[arg(long, default_value_t = SplitRule::default().seed, requires = "splits", value_name = "N")]
    pub split_seed: u64,
    #[command(flatten)]
    pub which: Which,
}

/// Tag, pin, flip or delete many pairs, as one step that can be undone in the window
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("what").args(["tag", "untag", "split", "flip", "delete"]).required(true))]
pub struct Change {
    #[command(flatten)]
    pub place: Place,
    /// Give them a tag.
    #[arg(long, value_name = "TAG", value_parser = tag)]
    pub tag: Option<String>,
    /// Take a tag from them.
    #[arg(long, value_name = "TAG")]
    pub untag: Option<String>,
    /// Pin them to a side, train or eval, or to none: auto.
    #[arg(long, value_name = "SIDE", value_parser = split)]
    pub split: Option<Split>,
    /// The rejected answer is the better one after all.
    #[arg(long)]
    pub flip: bool,
    #[arg(long)]
    pub delete: bool,
    /// All pairs of the project, if nothing says which.
    #[arg(long)]
    pub all: bool,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub which: Which,
}

/// From where to where, both included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds<T> {
    pub least: Option<T>,
    pub most: Option<T>,
}

fn bounds<T: std::str::FromStr>(text: &str) -> Result<Bounds<T>, String> {
    let expected = || format!("expected LEAST..MOST, of which one may be left out, found {text:?}");
    let (least, most) = text.split_once("..").ok_or_else(expected)?;
    let bound = |text: &str| match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| expected()),
    };
    Ok(Bounds { least: bound(least)?, most: bound(most)? })
}

fn tag(text: &str) -> Result<String, String> {
    let tag = text.trim();
    if tag.is_empty() { Err("a tag has letters".to_owned()) } else { Ok(tag.to_owned()) }
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "it must be a share, from 0 to 1".to_owned())
}

/// The value that a word stands for.
fn word<T: Copy>(words: &[(&str, T)], text: &str) -> Result<T, String> {
    let known = words.iter().find(|(word, _)| *word == text);
    known.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        format!("there are {}", words.join(", "))
    })
}

fn verdict(text: &str) -> Result<VerdictFilter, String> {
    use VerdictState::{Better, BothBad, Skip, Tie, Unlabelled};
    let states =
        [("unlabelled", Unlabelled), ("better", Better), ("tie", Tie), ("both-bad", BothBad), ("skipped", Skip)];
    let states = states.map(|(word, state)| (word, VerdictFilter::Is(state)));
    word(&[&states[..], &[("labelled", VerdictFilter::Labelled)]].concat(), text)
}

fn strength(text: &str) -> Result<Strength, String> {
    word(&[("slightly", Strength::Slightly), ("clearly", Strength::Clearly), ("strongly", Strength::Strongly)], text)
}

fn split(text: &str) -> Result<Split, String> {
    word(&[("auto", Split::Auto), ("train", Split::Train), ("eval", Split::Eval)], text)
}

fn is_held_out(text: &str) -> Result<bool, String> {
    word(&[("train", false), ("eval", true)], text)
}

#[expect(clippy::unnecessary_wraps, reason = "the form of a parser of values")]
fn source(text: &str) -> Result<PairSource, String> {
    Ok(match text {
        "model" => PairSource::Model,
        "hand" => PairSource::Hand,
        file => PairSource::File(file.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_may_be_left_out_and_words_are_told() {
        assert_eq!(bounds::<f64>("..-2"), Ok(Bounds { least: None, most: Some(-2.0) }));
        assert_eq!(bounds::<usize>("100.."), Ok(Bounds { least: Some(100), most: None }));
        for text in ["3", "a..", "1..b", "-1..2"] {
            assert!(bounds::<usize>(text).is_err(), "{text}");
        }
        assert!(tag(" ").is_err() && share("2").is_err() && share("nan").is_err() && share("x").is_err());
        assert_eq!((tag(" old "), share("0.5")), (Ok("old".to_owned()), Ok(0.5)));
        assert_eq!(verdict("labelled"), Ok(VerdictFilter::Labelled));
        assert!(verdict("good").unwrap_err().contains("both-bad, skipped, labelled"));
    }
}
