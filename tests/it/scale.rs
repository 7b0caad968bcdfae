//! How many pairs a project can take: time, memory and disk, measured on text with the words and neighbours of the README.
//!
//! `NUDGE_PAIRS=1000000 cargo test --release -p nudge --test it -- --ignored --nocapture scale::` measures; without a number it is
//! a hundred thousand.

use std::{
    collections::HashMap,
    fs,
    io::Write as _,
    ops::ControlFlow,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use nudge::{
    formats::{FormatError, Options, Reader, write},
    store::{Added, Duplicates, PairQuery, Project, ProjectSettings},
};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Texts whose every word follows its neighbour somewhere in a given text.
struct Words<'a> {
    all: Vec<&'a str>,
    after: HashMap<&'a str, Vec<&'a str>>,
}

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Self {
        let all: Vec<&str> = text.split(|letter: char| !letter.is_alphabetic()).filter(|word| word.len() > 1).collect();
        let mut after: HashMap<&str, Vec<&str>> = HashMap::new();
        for pair in all.windows(2) {
            after.entry(pair[0]).or_default().push(pair[1]);
        }
        Self { all, after }
    }

    fn text(&self, length: usize, rng: &mut ChaCha8Rng) -> String {
        let mut word = self.all[rng.random_range(0..self.all.len())];
        let mut text = word.to_owned();
        for _ in 1..length {
            let next = self.after.get(word).unwrap_or(&self.all);
            word = next[rng.random_range(0..next.len())];
            text.push(' ');
            text.push_str(word);
        }
        text
    }
}

fn write_pairs(path: &Path, count: usize) {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let words = Words::of(&readme);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut out = std::io::BufWriter::new(fs::File::create(path).unwrap());
    for number in 0..count {
        let prompt = format!("Question {number}: {}?", words.text(26, &mut rng));
        let [chosen, rejected] = [0, 1].map(|_| {
            let length = rng.random_range(48..76);
            words.text(length, &mut rng)
        });
        let record = serde_json::json!({"prompt": prompt, "chosen": chosen, "rejected": rejected});
        writeln!(out, "{record}").unwrap();
    }
    out.flush().unwrap();
}

/// The most memory that this process has held so far, in MiB; 0 where the system does not say.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0) >> 10
}

/// Writes to a project again and again; the longest that it took, in seconds.
fn longest_write(folder: &Path, ended: &AtomicBool) -> f64 {
    let project = Project::open(folder).unwrap();
    let mut longest: f64 = 0.0;
    while !ended.load(Ordering::Acquire) {
        let started = Instant::now();
        project.set_setting("seen", "now").unwrap();
        longest = longest.max(started.elapsed().as_secs_f64());
        thread::sleep(Duration::from_millis(20));
    }
    longest
}

#[test]
#[ignore = "takes minutes; a measurement, not a check"]
fn pairs_by_the_hundred_thousand() {
    let count = std::env::var("NUDGE_PAIRS").ok().and_then(|count| count.parse().ok()).unwrap_or(100_000);
    let dir = tempfile::tempdir().unwrap();
    let (file, folder) = (dir.path().join("pairs.jsonl"), dir.path().join("project"));
    write_pairs(&file, count);
    let bytes = fs::metadata(&file).unwrap().len();
    let tell = |what: &str, since: Instant| {
        println!("{what:<28}{:>8.1} s, at most {} MiB held so far", since.elapsed().as_secs_f64(), peak());
    };
    println!("{count} pairs, {} bytes each", bytes / count as u64);

    let mut project = Project::create(&folder, &ProjectSettings::default()).unwrap();
    let started = Instant::now();
    let mut import = project.begin_import(Duplicates::Skip).unwrap();
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let other = scope.spawn(|| longest_write(&folder, &ended));
        for pair in Reader::open(&file, &Options::default()).unwrap() {
            assert_eq!(import.add(pair.unwrap()).unwrap(), Added::New);
        }
        tell("read and packed after", started);
        import.finish(|_| "Import".to_owned()).unwrap();
        tell("in the table after", started);
        ended.store(true, Ordering::Release);
        println!("{:<28}{:>8.1} s at most", "another's write took", other.join().unwrap());
    });
    drop(project);
    let document = fs::metadata(folder.join("project.sqlite")).unwrap().len();
    println!("the document is {:.2} times the file", document as f64 / bytes as f64);

    let started = Instant::now();
    let project = Project::open(&folder).unwrap();
    assert_eq!(project.query(&PairQuery::default()).unwrap().len(), count);
    tell("opened and listed in", started);
    let started = Instant::now();
    let search = format!("Question {}:", count / 2);
    assert_eq!(project.query(&PairQuery { search, ..PairQuery::default() }).unwrap().len(), 1);
    tell("one found among them in", started);
    let started = Instant::now();
    let search = "the".to_owned();
    assert!(project.query(&PairQuery { search, ..PairQuery::default() }).unwrap().len() > count / 2);
    tell("found nearly everywhere in", started);
    let started = Instant::now();
    let (revision, health) = project.examine(|_| None, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(health.pairs, count);
    tell("their health looked at in", started);
    let started = Instant::now();
    let mut each = |see: &mut dyn FnMut(&nudge::data::Pair) -> Result<(), FormatError>| {
        let mut seen = Ok(());
        let walked = project.each_pair_at(revision, &mut |pair| {
            seen = see(&pair);
            if seen.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        walked.unwrap();
        seen
    };
    write::to_path(&write::Plan::new(&dir.path().join("out.jsonl")), &mut each).unwrap();
    tell("written to a file in", started);
}
