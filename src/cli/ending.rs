//! How the program ends: exit codes, and sentences for what went wrong.

use std::{
    ffi::OsString,
    io::{self, Write as _},
    process::ExitCode,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;

use super::output;

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Done,
    /// Stopped by the user; nothing is lost.
    Interrupted,
}

/// The arguments make no sense, though each can be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// [`Usage`] as an error.
pub fn usage(sentence: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Usage(sentence.into()))
}

/// Tells the help, the version or what is wrong with the arguments. Where that cannot be written, the program has
/// failed.
pub fn told(said: &clap::Error) -> ExitCode {
    let code = ExitCode::from(u8::try_from(said.exit_code()).unwrap_or(1));
    match said.print().and_then(|()| io::stdout().flush()) {
        // Who reads no further has read enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            output::note(format!("Could not write to standard output: {error}"));
            ExitCode::FAILURE
        }
        _ => code,
    }
}

const INTERRUPTED: u8 = 130;

/// What the next Ctrl-C means.
struct Interrupt {
    asked: Arc<AtomicBool>,
    /// Does it, and tells what happens now.
    stop: Box<dyn Fn() -> &'static str + Send>,
}

/// The system takes one listener a program; what it does may change, e.g. from a window that could not open to the
/// terminal.
static INTERRUPT: Mutex<Option<Interrupt>> = Mutex::new(None);

/// Ctrl-C (and a request to terminate, or the end of the terminal) calls `stop` and tells `sentence`, what happens now;
/// the second one ends the program. The flag says whether there was a first one. What was to be called before is not
/// called any more.
pub fn on_interrupt(sentence: &'static str, stop: impl Fn() + Send + 'static) -> anyhow::Result<Arc<AtomicBool>> {
    on_interrupt_telling(move || {
        stop();
        sentence
    })
}

/// The same where it is `stop` that knows what happens now.
pub fn on_interrupt_telling(stop: impl Fn() -> &'static str + Send + 'static) -> anyhow::Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let interrupt = Interrupt { asked: Arc::clone(&interrupted), stop: Box::new(stop) };
    let before = INTERRUPT.lock().unwrap_or_else(PoisonError::into_inner).replace(interrupt);
    if before.is_none() {
        ctrlc::set_handler(interrupted_now).context("Could not listen for Ctrl-C")?;
    }
    Ok(interrupted)
}

fn interrupted_now() {
    let interrupt = INTERRUPT.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(Interrupt { asked, stop }) = interrupt.as_ref() else {
        return;
    };
    if asked.swap(true, Ordering::AcqRel) {
        std::process::exit(i32::from(INTERRUPTED));
    }
    output::note(format!("\n{}", stop()));
}

/// Ends the program after so long, should it still be there.
pub fn leave_within(patience: Duration) {
    let clock = std::thread::Builder::new().name("nudge-leaving".to_owned()).spawn(move || {
        std::thread::sleep(patience);
        output::note("Saving takes too long; leaving without the rest.");
        std::process::exit(i32::from(INTERRUPTED));
    });
    if let Err(error) = clock {
        tracing::warn!("nothing limits how long leaving takes: {error}");
    }
}

/// Tells what went wrong on standard error, causes on lines of their own.
pub fn exit_code(result: anyhow::Result<Ending>) -> ExitCode {
    let error = match result {
        Ok(Ending::Done) => return ExitCode::SUCCESS,
        Ok(Ending::Interrupted) => return ExitCode::from(INTERRUPTED),
        Err(error) => error,
    };
    if is_broken_pipe(&error) {
        // Whoever read the output has seen enough, e.g. `nudge metrics .. | head`.
        return ExitCode::SUCCESS;
    }
    let typed: Vec<OsString> = std::env::args_os().skip(1).collect();
    output::note(sentence(&error, &typed));
    if error.is::<Usage>() {
        output::note("\nFor more, try `nudge --help`.");
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}

/// The error and its causes; a cause that its error already tells is left out. What was typed is called as it was.
fn sentence(error: &anyhow::Error, typed: &[OsString]) -> String {
    let text = error.to_string();
    let first_word = text.split(' ').next().unwrap_or_default();
    let mut text = if typed.iter().any(|word| word == first_word) { text } else { capitalised(text) };
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str("\n  because: ");
            text.push_str(&cause);
        }
    }
    text
}

/// Errors from further down begin in lower case, to be put behind a colon; here they stand alone.
fn capitalised(mut text: String) -> String {
    let first_word = text.split(' ').next().unwrap_or_default();
    // A setting or a file is called what it is called.
    if first_word.chars().all(|c| c.is_ascii_lowercase())
        && let Some(first) = text.get_mut(..1)
    {
        first.make_ascii_uppercase();
    }
    text
}

pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let inner = || anyhow::anyhow!("the disk is full");
        assert_eq!(sentence(&inner(), &[]), "The disk is full");
        let outer = Err::<(), _>(inner()).context("Could not save").unwrap_err();
        assert_eq!(sentence(&outer, &[]), "Could not save\n  because: the disk is full");
        let told = Err::<(), _>(inner()).context("Could not save: the disk is full");
        assert_eq!(sentence(&told.unwrap_err(), &[]), "Could not save: the disk is full");
        let about_a_setting = "train.steps is 0";
        assert_eq!(sentence(&anyhow::anyhow!(about_a_setting), &[]), about_a_setting);
        let of_a_file = || anyhow::anyhow!("notes is a folder");
        assert_eq!(sentence(&of_a_file(), &["open".into(), "notes".into()]), "notes is a folder");
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let closed = anyhow::Error::new(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(is_broken_pipe(&closed.context("Could not print")));
        assert!(!is_broken_pipe(&usage("no")));
    }
}
