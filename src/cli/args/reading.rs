//! How a command line is read, and what is said of one that cannot be.

use std::{
    error::Error as _,
    ffi::OsString,
    num::{IntErrorKind, ParseFloatError, ParseIntError},
    path::Path,
};

use clap::{
    CommandFactory as _,
    error::{ContextKind, ContextValue, ErrorKind},
};
use data::config::typed::likeliest;

use super::Args;

/// The definition, with numbers below 0 taken for numbers: whoever types one is told the range.
pub fn definition() -> clap::Command {
    fn with_negatives(command: clap::Command) -> clap::Command {
        let command = command.mut_args(|arg| {
            let is_option = arg.get_long().is_some() && arg.get_action().takes_values();
            if is_option && !arg.is_allow_hyphen_values_set() { arg.allow_negative_numbers(true) } else { arg }
        });
        command.mut_subcommands(with_negatives)
    }
    with_negatives(Args::command())
}

/// What the standard library says of a number that is none, in words of ours.
pub fn in_words(error: clap::Error) -> clap::Error {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (value, arg) = (context(ContextKind::InvalidValue), context(ContextKind::InvalidArg));
    let (Some(value), Some(arg), Some(source)) = (value, arg, error.source()) else {
        return error;
    };
    let why = match source.downcast_ref::<ParseIntError>().map(ParseIntError::kind) {
        Some(IntErrorKind::PosOverflow | IntErrorKind::NegOverflow) => "it is larger than any number here",
        Some(_) if value.starts_with('-') => "it must not be below 0",
        Some(_) => "it must be a whole number",
        None if source.is::<ParseFloatError>() => "it must be a number",
        None => return error,
    };
    let said = format!("invalid value '{value}' for '{arg}': {why}\n\nFor more information, try '--help'.\n");
    clap::Error::raw(ErrorKind::ValueValidation, said)
}

/// What is to be said of a word that is taken for a project's folder, is none, and is nearly a command.
pub fn mistyped(word: &OsString) -> Option<clap::Error> {
    if Path::new(word).exists() {
        return None;
    }
    let commands = Args::command().get_subcommands().cloned().collect::<Vec<_>>();
    let meant = likeliest(word.to_str()?, commands.iter().map(clap::Command::get_name))?.to_owned();
    let alone = clap::Command::new("nudge").subcommand_required(true).subcommands(commands);
    let error = alone.try_get_matches_from([&OsString::from("nudge"), word]).err();
    let mut error = error.filter(|error| error.kind() == ErrorKind::InvalidSubcommand)?;
    let mut others = match error.remove(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::Strings(others)) => others,
        _ => Vec::new(),
    };
    others.retain(|other| *other != meant);
    others.insert(0, meant);
    error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(others));
    Some(error)
}
