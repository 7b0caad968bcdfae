//! Counts that may be left to the program: the word `auto`, or a number.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "AutoOr", into = "AutoOr")]
pub enum TokenBudget {
    #[default]
    Auto,
    Tokens(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "AutoOr", into = "AutoOr")]
pub enum Threads {
    #[default]
    Auto,
    Count(usize),
}

/// `"auto"` or a number, as it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum AutoOr {
    Word(String),
    Number(usize),
}

impl AutoOr {
    fn number(self, of_what: &str) -> Result<Option<usize>, String> {
        match self {
            Self::Word(word) if word == "auto" => Ok(None),
            Self::Word(word) => Err(format!("expected \"auto\" or a number of {of_what}, found {word:?}")),
            Self::Number(number) => Ok(Some(number)),
        }
    }

    fn of(number: Option<usize>) -> Self {
        number.map_or_else(|| Self::Word("auto".to_owned()), Self::Number)
    }
}

impl TryFrom<AutoOr> for TokenBudget {
    type Error = String;

    fn try_from(typed: AutoOr) -> Result<Self, String> {
        Ok(typed.number("tokens")?.map_or(Self::Auto, Self::Tokens))
    }
}

impl From<TokenBudget> for AutoOr {
    fn from(budget: TokenBudget) -> Self {
        Self::of(match budget {
            TokenBudget::Auto => None,
            TokenBudget::Tokens(tokens) => Some(tokens),
        })
    }
}

impl TryFrom<AutoOr> for Threads {
    type Error = String;

    fn try_from(typed: AutoOr) -> Result<Self, String> {
        Ok(typed.number("threads")?.map_or(Self::Auto, Self::Count))
    }
}

impl From<Threads> for AutoOr {
    fn from(threads: Threads) -> Self {
        Self::of(match threads {
            Threads::Auto => None,
            Threads::Count(count) => Some(count),
        })
    }
}
