//! Rules for answers: "an answer counts as polite when ..".
//!
//! A rule set is a text ([`RuleSet::parse`], the format is described there) that names groups of prompts and rules.
//! Whoever has a model asks it the [`RuleSet::questions`]; [`RuleSet::judge`] says which rules an answer counts for,
//! and [`RuleSet::shares`] what came out, with intervals. Nothing here reads, writes or draws.
//!
//! # Files
//!
//! `parse`: the text and what can be wrong with it. `written`: the same as it is typed. `rules`: what it means.
//! `condition`: whether an answer fulfils something. `phrases`: words in a text. `language`: what it is written in.
//! `heads`: the rules by their names. `share`: a share and its interval. `duel`: what verdicts between two sides say.

mod condition;
mod duel;
mod heads;
mod language;
mod parse;
mod phrases;
mod rules;
mod share;
mod written;

pub use condition::ToJudge;
pub use duel::{Tally, Winner};
pub use heads::{RuleHead, better_of, heads, shares};
pub use language::language_of;
pub use parse::{EXAMPLE, RuleFault};
pub use rules::{PromptGroup, Rule, RulePrompt, RuleSet, RuleShare};
pub use share::Share;

/// What the file is called in a project's folder.
pub const FILE: &str = "judge.toml";
/// More is no rule set.
pub const MOST_BYTES: u64 = 1 << 20;

#[cfg(test)]
mod tests;
