//! The graphics cards of this machine, tried once each: in a process of their own, because a driver that falls over takes
//! its process along, and asking what a card can do is enough to make some fall over. How they did is kept by program in
//! the user's cache folder; a card or a driver that is another one later is not used before it is tried again.

use std::{
    fs,
    io::{self, BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    time::{Duration, Instant},
};

use kernels::{
    device::{self, Trial, Trials},
    gpu::{self, Card, CardInfo, CardOptions},
};
use serde::{Deserialize, Serialize};

/// The command of the child.
pub const COMMAND: &str = "probe-gpu";

/// What tells the child that it is one: the number of the first card that it is to try.
pub const FROM: &str = "--from";

/// How long one card may take, its shaders compiled by the driver for the first time.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the child says, a line of JSON each.
#[derive(Debug, Serialize, Deserialize)]
enum Said {
    /// All cards there are, in the order of their numbers; GFLOP/s of the processor.
    Cards(Vec<CardInfo>, f64),
    /// How the next one did.
    Tried(Result<f64, String>),
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    program: String,
    trials: Trials,
}

/// What a trial belongs to.
fn program() -> String {
    let build = if cfg!(debug_assertions) { ", debug" } else { "" };
    let software = if device::counts_software() { ", software cards too" } else { "" };
    format!("{}{build}{software}", env!("CARGO_PKG_VERSION"))
}

fn file() -> Option<PathBuf> {
    directories::ProjectDirs::from("", "", "nudge").map(|dirs| dirs.cache_dir().join("cards.json"))
}

/// Makes known to this process how the cards did when they were last tried. Whether they ever were.
pub fn remember() -> bool {
    if device::trials().is_some() {
        return true;
    }
    let read = file().and_then(|file| files::read_text(&file, files::SETTINGS).ok());
    let kept: Option<Kept> = read.and_then(|text| serde_json::from_str(&text).ok());
    match kept.filter(|kept| kept.program == program()) {
        Some(kept) => {
            device::remember(kept.trials);
            true
        }
        None => false,
    }
}

/// Tries every card with `program`, which is this one, and makes known and keeps how they did.
pub fn try_all(program: &Path) -> Trials {
    let mut found = Trials { cards: Vec::new(), processor: 0.0 };
    let mut all: Option<Vec<CardInfo>> = None;
    loop {
        let from = found.cards.len();
        let Heard { cards, tried, end } = ask(program, from);
        if let Some((cards, processor)) = cards {
            found.processor = processor;
            all.get_or_insert(cards);
        }
        let Some(cards) = &all else {
            // Nothing is known of this machine, so nothing is kept: another time it may go better.
            tracing::warn!("The graphics cards could not be counted: {end}. The processor is used");
            device::remember(found.clone());
            return found;
        };
        let outcomes = tried.into_iter().chain(std::iter::once(Err(end)));
        for (rate, (number, card)) in outcomes.zip(cards.iter().enumerate().skip(from)) {
            found.cards.push(Trial { number, card: card.clone(), rate });
        }
        if found.cards.len() >= cards.len() {
            break;
        }
    }
    device::remember(found.clone());
    if let Err(error) = keep(&found) {
        tracing::debug!("how the graphics cards did is found out again next time: {error}");
    }
    found
}

fn keep(trials: &Trials) -> io::Result<()> {
    let Some(file) = file() else { return Ok(()) };
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let aside = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer_pretty(&aside, &Kept { program: program(), trials: trials.clone() })?;
    aside.persist(file)?;
    Ok(())
}

/// What a child said before it ended, and how that was.
struct Heard {
    cards: Option<(Vec<CardInfo>, f64)>,
    tried: Vec<Result<f64, String>>,
    /// A sentence without a subject, for the card that was not finished.
    end: String,
}

fn ask(program: &Path, from: usize) -> Heard {
    let mut heard = Heard { cards: None, tried: Vec::new(), end: String::new() };
    let child = Command::new(program)
        .args([COMMAND, FROM, &from.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    match child {
        Ok(child) => listen(child, &mut heard),
        Err(error) => heard.end = format!("it could not be tried ({error})"),
    }
    heard
}

fn listen(mut child: Child, heard: &mut Heard) {
    let Some(output) = child.stdout.take() else { return };
    let (sender, lines) = mpsc::channel();
    let reader = std::thread::Builder::new().name("nudge-probe".to_owned()).spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    if let Err(error) = reader {
        child.kill().ok();
        heard.end = format!("it could not be tried ({error})");
        return;
    }
    let mut last = Instant::now();
    loop {
        match lines.recv_timeout(PATIENCE.saturating_sub(last.elapsed())) {
            Ok(line) => {
                last = Instant::now();
                match serde_json::from_str(&line) {
                    Ok(Said::Cards(cards, processor)) => heard.cards = Some((cards, processor)),
                    Ok(Said::Tried(rate)) => heard.tried.push(rate),
                    // What a driver prints.
                    Err(_) => {}
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                child.kill().ok();
                child.wait().ok();
                heard.end = format!("it did not finish within {} seconds", PATIENCE.as_secs());
                break;
            }
            Err(RecvTimeoutError::Disconnected) => {
                let how = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
                heard.end = format!("its driver fell over while it was tried ({how})");
                break;
            }
        }
    }
}

/// What the child does: tries the cards from this number on, and says how each did on standard output.
///
/// # Errors
/// When nobody listens.
pub fn try_here(from: usize, mut say: impl FnMut(String) -> io::Result<()>) -> io::Result<()> {
    let mut tell = |said: &Said| say(serde_json::to_string(said)?);
    let cards = gpu::cards();
    let counts = |card: &CardInfo| !card.is_software || device::counts_software();
    let is_any = cards.iter().any(counts);
    let processor = if is_any { gpu::processor_rate().map_or(0.0, |rate| rate / 1e9) } else { 0.0 };
    tell(&Said::Cards(cards.clone(), processor))?;
    for (number, card) in cards.iter().enumerate().skip(from) {
        let disguise = || Err("it is the processor in disguise".to_owned());
        tell(&Said::Tried(if counts(card) { try_one(number) } else { disguise() }))?;
    }
    Ok(())
}

/// GFLOP/s of a card that computes rightly.
fn try_one(number: usize) -> Result<f64, String> {
    let tried = Card::open(number, CardOptions::default()).and_then(|card| {
        gpu::self_test(&card)?;
        gpu::rate(&card)
    });
    tried.map(|rate| rate / 1e9).map_err(|error| error.to_string())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A program that says these lines and then does that.
    fn program(dir: &Path, script: &str) -> PathBuf {
        let path = dir.join("program");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn card(name: &str) -> CardInfo {
        CardInfo {
            name: name.to_owned(),
            driver: "1.0".to_owned(),
            backend: "vulkan".to_owned(),
            is_software: false,
            memory: Some(8 << 30),
            largest_binding: 1 << 30,
            largest_buffer: 1 << 31,
        }
    }

    #[test]
    fn a_driver_that_falls_over_spoils_its_own_card_alone() {
        let dir = tempfile::tempdir().unwrap();
        let cards = serde_json::to_string(&Said::Cards(vec![card("a"), card("b")], 50.0)).unwrap();
        let well = serde_json::to_string(&Said::Tried(Ok(900.0))).unwrap();
        // The first card kills the child, the second is tried by another.
        let script = format!("echo noise; echo '{cards}'; test $3 = 0 && kill -SEGV $$; echo '{well}'");
        let heard = ask(&program(dir.path(), &script), 0);
        assert!(
            heard.tried.is_empty() && heard.end.contains("fell over") && heard.end.contains("signal"),
            "{}",
            heard.end
        );
        let heard = ask(&program(dir.path(), &script), 1);
        assert_eq!(heard.tried, [Ok(900.0)]);
        let nothing = ask(Path::new("/nowhere/at/all"), 0);
        assert!(nothing.cards.is_none() && nothing.end.contains("could not be tried"), "{}", nothing.end);
    }

    #[test]
    fn only_a_card_that_is_clearly_quicker_is_chosen_by_itself() {
        let trial = |number, rate: Result<f64, &str>, is_software| Trial {
            number,
            card: CardInfo { is_software, ..card("x") },
            rate: rate.map_err(str::to_owned),
        };
        let of = |cards: Vec<Trial>| Trials { cards, processor: 100.0 }.best().map(|best| best.number);
        assert_eq!(of(vec![trial(0, Ok(149.0), false)]), None);
        assert_eq!(of(vec![trial(0, Ok(150.0), false), trial(1, Ok(4000.0), false)]), Some(1));
        assert_eq!(of(vec![trial(0, Err("wrong"), false), trial(1, Ok(1e6), true)]), None);
        let told = Trials { cards: vec![trial(0, Err("it computes otherwise"), false)], processor: 100.0 }.in_words();
        assert!(told[0].contains("gpu:0 is x") && told[0].contains("not used"), "{told:?}");
    }
}
