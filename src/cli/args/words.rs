//! Arguments that are one of some words.

use std::ffi::OsStr;

use clap::{
    Arg, Command, Error,
    builder::{PossibleValue, PossibleValuesParser, RangedU64ValueParser, TypedValueParser},
    error::{ContextKind, ContextValue, ErrorKind},
};
use data::config::{Method, ObjectiveConfig, Precision, typed::likeliest};

use super::several::Settings;

/// One of those that have names. Of another word the likeliest is told.
pub fn one_of<T: Copy + Send + Sync + 'static>(
    all: impl Into<Vec<T>>,
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    OneOf(all.into().into_iter().map(|one| (name(one), one)).collect())
}

/// A precision by its name.
pub fn precision() -> impl TypedValueParser<Value = Precision> {
    one_of(Precision::ALL, Precision::name)
}

#[derive(Clone)]
struct OneOf<T>(Vec<(&'static str, T)>);

impl<T> OneOf<T> {
    fn words(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(word, _)| *word)
    }
}

impl<T: Copy + Send + Sync + 'static> TypedValueParser for OneOf<T> {
    type Value = T;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<T, Error> {
        if let Some((_, one)) = self.0.iter().find(|(word, _)| value == *word) {
            return Ok(*one);
        }
        // In the words that all such arguments have.
        let mut error = match PossibleValuesParser::new(self.words()).parse_ref(command, arg, value) {
            Err(error) => error,
            Ok(_) => Error::new(ErrorKind::InvalidValue).with_cmd(command),
        };
        if let Some(word) = likeliest(&value.to_string_lossy(), self.words()) {
            error.insert(ContextKind::SuggestedValue, ContextValue::String(word.to_owned()));
        }
        Err(error)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.words().map(PossibleValue::new)))
    }
}

/// Steps of a run: no more than a run's settings can hold.
pub fn steps() -> RangedU64ValueParser {
    RangedU64ValueParser::new().range(1..=MOST_STEPS)
}

const MOST_STEPS: u64 = i64::MAX as u64;

/// The method of a run.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct OneMethod {
    /// The method, as `--set objective.kind=..` has it.
    #[arg(long, value_parser = one_of(Method::ALL, Method::name))]
    method: Option<Method>,
}

impl OneMethod {
    /// The settings with this method.
    pub fn on(self, settings: &Settings) -> Settings {
        let mut settings = settings.clone();
        settings.set.extend(self.method.map(|method| format!("{}={}", ObjectiveConfig::KIND.key, method.name())));
        settings
    }
}
