//! The graphics cards of this machine, tried once each: in a process of their own, because a driver that falls over
//! takes its process along, and asking what a card can do is enough to make some fall over. How they did is kept by
//! program in the user's cache folder, with what drivers there were; when those are others, the cards are tried again.

mod drivers;
mod end;

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError, SyncSender},
    time::{Duration, Instant},
};

use kernels::{
    device::{self, Trial, Trials},
    gpu::{self, Card, CardInfo, CardOptions, Rates},
};
use serde::{Deserialize, Serialize};

use end::End;

/// The command of the child.
pub const COMMAND: &str = "probe-gpu";

/// What tells the child that it is one: the number of the first card that it is to try.
pub const FROM: &str = "--from";

/// How long the cards may take to be counted, and then each of them, its shaders compiled by the driver for the first
/// time. Whatever is printed meanwhile.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long a process that was ended may take to be gone. A driver can hold it for ever.
const GOING: Duration = Duration::from_secs(5);

/// What our own lines begin with, because drivers print lines too.
const MARK: &str = "nudge-probe ";

/// Bytes of a line at most.
const LONGEST: u64 = 1 << 20;

/// Looks in a row that must come to no verdict before that is one: the machine may have been busy.
const LOOKS: u32 = 3;

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
    /// Looks in a row, this one the last, that did not come to a verdict on everything.
    #[serde(default)]
    open_looks: u32,
}

impl Kept {
    /// Whether it is to be believed without another look.
    fn counts(&self) -> bool {
        self.open_looks == 0 || self.open_looks >= LOOKS
    }
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

/// Makes known to this process how the cards did when they were last tried. Whether they ever were, to the end.
pub fn remember() -> bool {
    if device::trials().is_some() {
        return true;
    }
    let known = file().and_then(|file| kept(&file)).filter(Kept::counts);
    let is_known = known.is_some();
    if let Some(kept) = known {
        device::remember(kept.trials);
    }
    is_known
}

/// Has this program try the cards where nobody has, once one is chosen or asked for by its number.
pub fn try_before_use() {
    device::try_before_use(|| {
        if !remember()
            && let Ok(program) = std::env::current_exe()
            && let Some(fault) = try_all(&program).fault
        {
            tracing::warn!("{fault}. The processor is used");
        }
    });
}

/// What a file says that this program wrote beside the drivers there are.
fn kept(file: &Path) -> Option<Kept> {
    let text = files::read_text(file, files::SETTINGS).ok()?;
    let kept: Kept = serde_json::from_str(&text).ok()?;
    (kept.program == program() && kept.drivers == drivers::installed()).then_some(kept)
}

/// Tries every card with `program`, which is this one, and makes known and keeps how they did.
pub fn try_all(program: &Path) -> Trials {
    // The processor in disguise shares its cores with whatever else goes on.
    let patience = if device::counts_software() { PATIENCE * 5 } else { PATIENCE };
    let (found, is_open) = look(program, patience);
    device::remember(found.clone());
    if let Some(file) = file()
        && let Err(error) = keep(&file, &found, is_open)
    {
        tracing::warn!(
            "How the graphics cards did cannot be kept in {}, and is found out again next time: {error}",
            file.display()
        );
    }
    found
}

/// Tries every card; how they did, and whether another look could tell more.
fn look(program: &Path, patience: Duration) -> (Trials, bool) {
    let mut found = Trials { cards: Vec::new(), processor: None, fault: None };
    let mut all: Option<Vec<CardInfo>> = None;
    let mut is_open = false;
    loop {
        let from = found.cards.len();
        let Heard { cards, tried, end } = ask(program, from, patience);
        if let Some((cards, processor)) = cards {
            found.processor = processor;
            all.get_or_insert(cards);
        }
        let Some(cards) = &all else {
            found.fault = Some(format!("The graphics cards could not be counted: {end}"));
            return (found, is_open || !end.is_verdict());
        };
        is_open |= from + tried.len() < cards.len() && !end.is_verdict();
        let outcomes = tried.into_iter().chain(std::iter::once(Err(end.to_string())));
        for (rates, (number, card)) in outcomes.zip(cards.iter().enumerate().skip(from)) {
            found.cards.push(Trial { number, card: card.clone(), rates });
        }
        if found.cards.len() >= cards.len() {
            return (found, is_open);
        }
    }
}

fn keep(file: &Path, trials: &Trials, is_open: bool) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let before = kept(file).map_or(0, |kept| kept.open_looks);
    let open_looks = if is_open { before.saturating_add(1) } else { 0 };
    let aside = tempfile::NamedTempFile::new_in(folder)?;
    let kept = Kept { program: program(), drivers: drivers::installed(), trials: trials.clone(), open_looks };
    serde_json::to_writer_pretty(&aside, &kept)?;
    aside.persist(file)?;
    Ok(())
}

/// What a child said before it ended, and how that was.
struct Heard {
    cards: Option<(Vec<CardInfo>, Option<Rates>)>,
    tried: Vec<Result<Rates, String>>,
    end: End,
}

fn ask(program: &Path, from: usize, patience: Duration) -> Heard {
    let child = Command::new(program)
        .args([COMMAND, FROM, &from.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut heard = Heard { cards: None, tried: Vec::new(), end: End::Late(patience) };
    match child {
        Ok(mut child) => {
            heard.end = listen(&mut child, &mut heard, from, patience).unwrap_or_else(|end| end);
            end(&mut child);
        }
        Err(error) => heard.end = End::NotStarted(error.to_string()),
    }
    heard
}

/// Hears a child out; how that ended. Each card has a deadline of its own, which nothing moves but the word on the one
/// before.
fn listen(child: &mut Child, heard: &mut Heard, from: usize, patience: Duration) -> Result<End, End> {
    let not_started = |error: io::Error| End::NotStarted(error.to_string());
    let output = child.stdout.take().ok_or_else(|| not_started(io::ErrorKind::BrokenPipe.into()))?;
    let (sender, said) = mpsc::sync_channel(4);
    let reader = std::thread::Builder::new().name("nudge-probe".to_owned());
    reader.spawn(move || read(output, &sender)).map_err(not_started)?;
    let mut deadline = Instant::now() + patience;
    loop {
        let Some(left) = deadline.checked_duration_since(Instant::now()) else { return Ok(End::Late(patience)) };
        match said.recv_timeout(left) {
            Ok(Said::Cards(cards, processor)) if heard.cards.is_none() => heard.cards = Some((cards, processor)),
            Ok(Said::Tried(rates)) if heard.expects_more(from) => heard.tried.push(rates),
            Ok(_) | Err(RecvTimeoutError::Timeout) => continue,
            // Nothing more will be said; whoever only closed its output may still hang.
            Err(RecvTimeoutError::Disconnected) => {
                let how = ended(child, deadline).map(End::of);
                return Ok(how.unwrap_or(End::Late(patience)));
            }
        }
        deadline = Instant::now() + patience;
    }
}

impl Heard {
    fn expects_more(&self, from: usize) -> bool {
        self.cards.as_ref().is_some_and(|(cards, _)| from + self.tried.len() < cards.len())
    }
}

/// Hands on what is said in our own lines; whatever else is printed, in whatever letters, is read and let go.
fn read(output: impl Read, said: &SyncSender<Said>) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while let Ok(1..) = output.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
        if let Some(ours) = in_line(&line)
            && said.send(ours).is_err()
        {
            return;
        }
        line.clear();
    }
}

fn in_line(line: &[u8]) -> Option<Said> {
    let line = String::from_utf8_lossy(line);
    let (_, ours) = line.split_once(MARK)?;
    serde_json::from_str(ours.trim_end()).ok()
}

/// How a process ended, waited for until then.
fn ended(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Ends a process that may have ended already.
fn end(child: &mut Child) {
    if ended(child, Instant::now()).is_none() {
        child.kill().ok();
        if ended(child, Instant::now() + GOING).is_none() {
            tracing::warn!("Process {} tries a graphics card and cannot be ended: its driver holds it", child.id());
        }
    }
}

/// What the child does: tries the cards from this number on, and says how each did on standard output.
///
/// # Errors
/// When nobody listens.
pub fn try_here(from: usize, mut say: impl FnMut(String) -> io::Result<()>) -> io::Result<()> {
    // On a line of its own, whatever a driver has begun.
    let mut tell = |said: &Said| say(format!("\n{MARK}{}", serde_json::to_string(said)?));
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
        format!("{MARK}{}", serde_json::to_string(said).unwrap())
    }

    /// The lines about two cards, and about one that does well.
    fn lines() -> (String, String) {
        let cards = line(&Said::Cards(vec![card("a"), card("b")], Some(rates(50.0))));
        (cards, line(&Said::Tried(Ok(rates(900.0)))))
    }

    #[test]
    fn a_driver_that_falls_over_spoils_its_own_card_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (cards, well) = lines();
        for (signal, told) in [("SEGV", "signal: 11"), ("ABRT", "signal: 6")] {
            // The first card kills the child, the second is tried by another.
            let script = format!("echo noise; echo '{cards}'; test $3 = 0 && kill -{signal} $$; echo '{well}'");
            let (trials, is_open) = look(&program(dir.path(), &script), PATIENCE);
            let fault = trials.cards[0].rates.as_ref().unwrap_err();
            assert!(fault.contains("fell over") && fault.contains(told) && !is_open, "{fault}");
            assert_eq!(trials.cards[1].rates, Ok(rates(900.0)));
        }
        let (nothing, is_open) = look(Path::new("/nowhere/at/all"), PATIENCE);
        let fault = nothing.fault.unwrap();
        assert!(nothing.cards.is_empty() && fault.contains("could not be tried") && is_open, "{fault}");
    }

    #[test]
    fn a_driver_that_falls_over_while_cards_are_counted_is_told_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        for (signal, told) in [("SEGV", "signal: 11"), ("ABRT", "signal: 6")] {
            let (trials, is_open) = look(&program(dir.path(), &format!("kill -{signal} $$")), PATIENCE);
            let [sentence] = &trials.in_words()[..] else { panic!("{trials:?}") };
            assert!(sentence.contains("could not be counted") && sentence.contains(told), "{sentence}");
            let file = dir.path().join(signal);
            keep(&file, &trials, is_open).unwrap();
            assert_eq!(kept(&file).filter(Kept::counts).map(|kept| kept.trials), Some(trials));
        }
    }

    /// The system does so where memory runs out, and Ctrl-C ends what a terminal has started together.
    #[test]
    fn a_child_that_is_ended_from_outside_is_no_verdict_on_a_driver() {
        let dir = tempfile::tempdir().unwrap();
        let (cards, well) = lines();
        // A shell that was started with the others ignored cannot be ended by them.
        for signal in ["KILL", "TERM"] {
            let script = format!("echo '{cards}'; test $3 = 0 && kill -{signal} $$; echo '{well}'");
            let (trials, is_open) = look(&program(dir.path(), &script), PATIENCE);
            let fault = trials.cards[0].rates.as_ref().unwrap_err();
            assert!(fault.contains("ended from outside") && !fault.contains("fell over") && is_open, "{fault}");
            assert_eq!(trials.cards[1].rates, Ok(rates(900.0)));
            let (uncounted, is_open) = look(&program(dir.path(), &format!("kill -{signal} $$")), PATIENCE);
            assert!(uncounted.fault.unwrap().contains("ended from outside") && is_open);
            let file = dir.path().join(signal);
            for expected in [false, false, true] {
                keep(&file, &trials, is_open).unwrap();
                assert_eq!(kept(&file).unwrap().counts(), expected, "{signal}");
            }
        }
    }

    #[test]
    fn a_card_that_does_not_finish_is_given_up_and_the_child_ended() {
        let dir = tempfile::tempdir().unwrap();
        let (cards, well) = lines();
        let ways = [
            "exec sleep 600",
            // Lines are no word of ours.
            "while :; do echo noise; sleep 0.1; done",
            // Nothing more can be heard, and still it hangs.
            "exec >&-; exec sleep 600",
            "exec cat /dev/zero",
            "trap '' TERM; while :; do sleep 0.1; done",
        ];
        for way in ways {
            let script = format!("echo $$ >{}/pid; echo '{cards}'; echo '{well}'; {way}", dir.path().display());
            let started = Instant::now();
            let heard = ask(&program(dir.path(), &script), 0, Duration::from_secs(2));
            assert!(started.elapsed() < Duration::from_secs(10), "{way}: {:?}", started.elapsed());
            assert_eq!((heard.tried.len(), heard.end), (1, End::Late(Duration::from_secs(2))), "{way}");
            let pid = fs::read_to_string(dir.path().join("pid")).unwrap();
            assert!(!Path::new("/proc").join(pid.trim()).exists() || !cfg!(target_os = "linux"), "{way}");
        }
    }

    #[test]
    fn whatever_a_driver_prints_a_healthy_card_is_heard() {
        let dir = tempfile::tempdir().unwrap();
        let (cards, well) = lines();
        let script = format!(
            "printf '\\377\\376 loading\\n'; printf 'a banner '; echo '{cards}'; printf '\\377'; echo '{well}'; echo; echo '{well}'"
        );
        let (trials, _) = look(&program(dir.path(), &script), PATIENCE);
        let found: Vec<_> = trials.cards.iter().map(|trial| trial.rates.clone()).collect();
        assert_eq!(found, [Ok(rates(900.0)), Ok(rates(900.0))]);
    }

    #[test]
    fn a_machine_that_was_busy_is_asked_again() {
        let dir = tempfile::tempdir().unwrap();
        let (cards, well) = lines();
        let late = program(dir.path(), &format!("echo '{cards}'; echo '{well}'; exec sleep 600"));
        let (trials, is_open) = look(&late, Duration::from_secs(2));
        assert!(trials.cards[1].rates.as_ref().unwrap_err().contains("did not finish") && is_open);
        let file = dir.path().join("cards.json");
        let counts = || kept(&file).unwrap().counts();
        for expected in [false, false, true, true] {
            keep(&file, &trials, is_open).unwrap();
            assert_eq!(counts(), expected);
        }
        keep(&file, &trials, false).unwrap();
        assert!(counts());
    }

    #[test]
    fn what_was_kept_counts_for_the_program_and_the_drivers_that_it_was_found_with() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("cache/cards.json");
        let trials = Trials {
            cards: vec![Trial { number: 0, card: card("a"), rates: Err("it did not finish".to_owned()) }],
            processor: Some(rates(50.0)),
            fault: None,
        };
        keep(&file, &trials, false).unwrap();
        let kept = |file: &Path| kept(file).map(|kept| kept.trials);
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
        let of = |cards: Vec<Trial>| {
            Trials { cards, processor: Some(rates(100.0)), fault: None }.best().map(|best| best.number)
        };
        assert_eq!(of(vec![trial(0, Ok(rates(149.0)), false)]), None);
        assert_eq!(of(vec![trial(0, Ok(rates(151.0)), false), trial(1, Ok(rates(4000.0)), false)]), Some(1));
        assert_eq!(of(vec![trial(0, Err("wrong"), false), trial(1, Ok(rates(1e6)), true)]), None);
        // Quick at layers, and so slow at the rest that a step takes longer.
        assert_eq!(of(vec![trial(0, Ok(Rates { tall: 1000.0, head: 30.0, decode: 1.0 }), false)]), None);
        assert_eq!(of(vec![trial(0, Ok(Rates { tall: 1000.0, head: 500.0, decode: 20.0 }), false)]), Some(0));
        let wrong = trial(0, Err("it computes otherwise"), false);
        let told = Trials { cards: vec![wrong], processor: Some(rates(100.0)), fault: None }.in_words();
        assert!(told[0].contains("gpu:0 is x") && told[0].contains("not used"), "{told:?}");
    }
}
