//! The graphics cards of this machine, tried once each: in a process of their own, because a driver that falls over takes
//! its process along, and asking what a card can do is enough to make some fall over. How they did is kept by program in
//! the user's cache folder, with what drivers there were; when those are others, the cards are tried again.

mod drivers;

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
    gpu::{self, Card, CardInfo, CardOptions, Rates},
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
    /// All cards there are, in the order of their numbers, and how fast the processor is.
    Cards(Vec<CardInfo>, Option<Rates>),
    /// How the next one did.
    Tried(Result<Rates, String>),
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    program: String,
    drivers: Vec<String>,
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
    let known = file().and_then(|file| kept(&file));
    let is_known = known.is_some();
    if let Some(trials) = known {
        device::remember(trials);
    }
    is_known
}

/// What a file says that this program wrote beside the drivers there are.
fn kept(file: &Path) -> Option<Trials> {
    let text = files::read_text(file, files::SETTINGS).ok()?;
    let kept: Kept = serde_json::from_str(&text).ok()?;
    (kept.program == program() && kept.drivers == drivers::installed()).then_some(kept.trials)
}

/// Tries every card with `program`, which is this one, and makes known and keeps how they did.
pub fn try_all(program: &Path) -> Trials {
    let mut found = Trials { cards: Vec::new(), processor: None };
    let mut all: Option<Vec<CardInfo>> = None;
    loop {
        let from = found.cards.len();
        let Heard { cards, tried, end } = ask(program, from, PATIENCE);
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
        for (rates, (number, card)) in outcomes.zip(cards.iter().enumerate().skip(from)) {
            found.cards.push(Trial { number, card: card.clone(), rates });
        }
        if found.cards.len() >= cards.len() {
            break;
        }
    }
    device::remember(found.clone());
    if let Some(file) = file()
        && let Err(error) = keep(&file, &found)
    {
        tracing::debug!("how the graphics cards did is found out again next time: {error}");
    }
    found
}

fn keep(file: &Path, trials: &Trials) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let aside = tempfile::NamedTempFile::new_in(folder)?;
    let kept = Kept { program: program(), drivers: drivers::installed(), trials: trials.clone() };
    serde_json::to_writer_pretty(&aside, &kept)?;
    aside.persist(file)?;
    Ok(())
}

/// What a child said before it ended, and how that was.
struct Heard {
    cards: Option<(Vec<CardInfo>, Option<Rates>)>,
    tried: Vec<Result<Rates, String>>,
    /// A sentence without a subject, for the card that was not finished.
    end: String,
}

fn ask(program: &Path, from: usize, patience: Duration) -> Heard {
    let mut heard = Heard { cards: None, tried: Vec::new(), end: String::new() };
    let child = Command::new(program)
        .args([COMMAND, FROM, &from.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    match child {
        Ok(child) => listen(child, &mut heard, patience),
        Err(error) => heard.end = format!("it could not be tried ({error})"),
    }
    heard
}

fn listen(mut child: Child, heard: &mut Heard, patience: Duration) {
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
        match lines.recv_timeout(patience.saturating_sub(last.elapsed())) {
            Ok(line) => {
                last = Instant::now();
                match serde_json::from_str(&line) {
                    Ok(Said::Cards(cards, processor)) => heard.cards = Some((cards, processor)),
                    Ok(Said::Tried(rates)) => heard.tried.push(rates),
                    // What a driver prints.
                    Err(_) => {}
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                child.kill().ok();
                child.wait().ok();
                heard.end = format!("it did not finish within {} seconds", patience.as_secs());
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
    let processor = if is_any { gpu::processor_rates().ok() } else { None };
    tell(&Said::Cards(cards.clone(), processor))?;
    for (number, card) in cards.iter().enumerate().skip(from) {
        let disguise = || Err("it is the processor in disguise".to_owned());
        tell(&Said::Tried(if counts(card) { try_one(number) } else { disguise() }))?;
    }
    Ok(())
}

/// How fast a card is that computes rightly.
fn try_one(number: usize) -> Result<Rates, String> {
    let tried = Card::open(number, CardOptions::default()).and_then(|card| {
        gpu::self_test(&card)?;
        gpu::rates(&card)
    });
    tried.map_err(|error| error.to_string())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use kernels::gpu::CardMemory;

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
            memory: CardMemory::Own(8 << 30),
            largest_binding: 1 << 30,
            largest_buffer: 1 << 31,
        }
    }

    fn rates(all: f64) -> Rates {
        Rates { tall: all, head: all, decode: all }
    }

    fn line(said: &Said) -> String {
        serde_json::to_string(said).unwrap()
    }

    #[test]
    fn a_driver_that_falls_over_spoils_its_own_card_alone() {
        let dir = tempfile::tempdir().unwrap();
        let cards = line(&Said::Cards(vec![card("a"), card("b")], Some(rates(50.0))));
        let well = line(&Said::Tried(Ok(rates(900.0))));
        for (signal, told) in [("SEGV", "signal: 11"), ("KILL", "signal: 9")] {
            // The first card kills the child, the second is tried by another.
            let script = format!("echo noise; echo '{cards}'; test $3 = 0 && kill -{signal} $$; echo '{well}'");
            let heard = ask(&program(dir.path(), &script), 0, PATIENCE);
            let Heard { tried, end, .. } = &heard;
            assert!(tried.is_empty() && end.contains("fell over") && end.contains(told), "{end}");
            let heard = ask(&program(dir.path(), &script), 1, PATIENCE);
            assert_eq!(heard.tried, [Ok(rates(900.0))]);
        }
        let nothing = ask(Path::new("/nowhere/at/all"), 0, PATIENCE);
        assert!(nothing.cards.is_none() && nothing.end.contains("could not be tried"), "{}", nothing.end);
    }

    #[test]
    fn a_card_that_does_not_finish_is_given_up_and_the_child_ended() {
        let dir = tempfile::tempdir().unwrap();
        let cards = line(&Said::Cards(vec![card("a"), card("b")], Some(rates(50.0))));
        let well = line(&Said::Tried(Ok(rates(900.0))));
        let script = format!("echo $$ >{}/pid; echo '{cards}'; echo '{well}'; exec sleep 600", dir.path().display());
        let heard = ask(&program(dir.path(), &script), 0, Duration::from_secs(1));
        assert_eq!((heard.tried.len(), heard.end.as_str()), (1, "it did not finish within 1 seconds"));
        let pid = fs::read_to_string(dir.path().join("pid")).unwrap();
        assert!(!Path::new("/proc").join(pid.trim()).exists() || !cfg!(target_os = "linux"));
    }

    #[test]
    fn what_was_kept_counts_for_the_program_and_the_drivers_that_it_was_found_with() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("cache/cards.json");
        let trials = Trials {
            cards: vec![Trial { number: 0, card: card("a"), rates: Err("it did not finish".to_owned()) }],
            processor: Some(rates(50.0)),
        };
        keep(&file, &trials).unwrap();
        assert_eq!(kept(&file), Some(trials.clone()));
        let text = fs::read_to_string(&file).unwrap();
        let kept_with = |key: &str, value: serde_json::Value| {
            let mut other: serde_json::Value = serde_json::from_str(&text).unwrap();
            other[key] = value;
            fs::write(&file, other.to_string()).unwrap();
            kept(&file)
        };
        assert_eq!(kept_with("drivers", serde_json::json!(["another"])), None);
        assert_eq!(kept_with("program", "0.0.0".into()), None);
        // As an older program wrote it.
        assert_eq!(kept_with("trials", serde_json::json!({"cards": [], "processor": 3.0})), None);
        fs::write(&file, "{").unwrap();
        assert_eq!(kept(&file), None);
        let told = trials.in_words();
        assert!(told[0].contains("did not finish") && told[0].contains("probe-gpu` has tried it again"), "{told:?}");
    }

    #[test]
    fn only_a_card_that_is_clearly_quicker_is_chosen_by_itself() {
        let trial = |number, rates: Result<Rates, &str>, is_software| Trial {
            number,
            card: CardInfo { is_software, ..card("x") },
            rates: rates.map_err(str::to_owned),
        };
        let of = |cards: Vec<Trial>| Trials { cards, processor: Some(rates(100.0)) }.best().map(|best| best.number);
        assert_eq!(of(vec![trial(0, Ok(rates(149.0)), false)]), None);
        assert_eq!(of(vec![trial(0, Ok(rates(151.0)), false), trial(1, Ok(rates(4000.0)), false)]), Some(1));
        assert_eq!(of(vec![trial(0, Err("wrong"), false), trial(1, Ok(rates(1e6)), true)]), None);
        // Quick at layers, and so slow at the rest that a step takes longer.
        assert_eq!(of(vec![trial(0, Ok(Rates { tall: 1000.0, head: 30.0, decode: 1.0 }), false)]), None);
        assert_eq!(of(vec![trial(0, Ok(Rates { tall: 1000.0, head: 500.0, decode: 20.0 }), false)]), Some(0));
        let wrong = trial(0, Err("it computes otherwise"), false);
        let told = Trials { cards: vec![wrong], processor: Some(rates(100.0)) }.in_words();
        assert!(told[0].contains("gpu:0 is x") && told[0].contains("not used"), "{told:?}");
    }
}
