//! How many pairs a project can take: time, memory and disk, measured on text with the words and neighbours of the
//! README.
//!
//! `NUDGE_PAIRS=1000000 cargo test --release -p nudge --test it -- --ignored --nocapture scale::` measures; without a
//! number it is a hundred thousand.

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

use egui::Key;
use nudge::{
    data::config::RunConfig,
    engine::pair_scores,
    formats::{FormatError, Options, Reader, write},
    objective::{Number, NumberBounds},
    state::{Screen, filter::SortPairsBy, pairs::PairsView, scores::Whose},
    store::{
        Added, Duplicates, NewScoring, PairQuery, PairScores, Project, ProjectSettings, Score, Scored, Scoring, Sort,
        SortKey,
    },
};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::{fixture::own_root, frames::computed, window::Window};

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
    write::to_path(&write::WritePlan::new(&dir.path().join("out.jsonl")), &mut each).unwrap();
    tell("written to a file in", started);
}

/// Scores of all pairs under what runs start from, as the engine would leave them.
fn score(project: &mut Project) -> Scoring {
    let config = RunConfig::from_toml(&project.settings().unwrap().run_toml).unwrap();
    let name = pair_scores::start_name(project, &config).unwrap();
    let start = project.record_scoring(NewScoring { weights: "start", name: &name, run: None, start: None }).unwrap();
    let (ids, _) = project.unscored(start).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for ids in ids.chunks(20_000) {
        let asked = project.to_score(ids).unwrap();
        let mut score = || Score { log_prob: rng.random_range(-90.0..-10.0), tokens: 60 };
        let scored: Vec<Scored> = asked.iter().map(|one| Scored::new(one, Some([score(), score()]))).collect();
        project.put_scores(start, &scored).unwrap();
    }
    Scoring { id: start, run: None, start }
}

/// Draws frames until `done`; what they took of this thread.
fn frames(window: &mut Window, what: &str, mut done: impl FnMut(&mut Window, usize) -> bool) -> String {
    let (mut took, since) = (Vec::new(), Instant::now());
    loop {
        let began = computed();
        window.harness.step();
        took.push(computed() - began);
        if done(window, took.len()) {
            break;
        }
        thread::sleep(Duration::from_millis(4));
    }
    took.sort_by(f64::total_cmp);
    format!(
        "{what:<28}{:>8.1} s, {} frames: {:.1} ms in the middle, {:.1} ms at most",
        since.elapsed().as_secs_f64(),
        took.len(),
        took[took.len() / 2],
        took[took.len() - 1]
    )
}

fn pairs(window: &mut Window) -> &mut PairsView {
    &mut window.harness.state_mut().views_mut().pairs
}

#[test]
#[ignore = "takes minutes; a measurement, not a check"]
fn pairs_by_the_hundred_thousand_sorted_by_margin() {
    let count = std::env::var("NUDGE_PAIRS").ok().and_then(|count| count.parse().ok()).unwrap_or(100_000);
    let dir = tempfile::tempdir().unwrap();
    let (file, folder) = (dir.path().join("pairs.jsonl"), dir.path().join("project"));
    write_pairs(&file, count);
    let settings = ProjectSettings { model: own_root().join("models/llama_mha"), ..ProjectSettings::default() };
    let mut project = Project::create(&folder, &settings).unwrap();
    let mut import = project.begin_import(Duplicates::Skip).unwrap();
    for pair in Reader::open(&file, &Options::default()).unwrap() {
        import.add(pair.unwrap()).unwrap();
    }
    import.finish(|_| "Import".to_owned()).unwrap();
    let scoring = score(&mut project);
    let by_margin = PairQuery { sort: Sort { key: SortKey::Scores, descending: true }, ..PairQuery::default() };
    for (what, least) in [("sorted by margin in", f64::MIN), ("those above 20 in", 20.0)] {
        let started = Instant::now();
        let place = |scores: &PairScores| (scores.margin() >= least).then(|| scores.margin());
        let found = project.query_scored(&by_margin, scoring, true, &place).unwrap();
        println!("{what:<28}{:>8.1} s, {} pairs", started.elapsed().as_secs_f64(), found.len());
    }
    drop(project);

    let mut window = Window::open(&folder, Screen::Pairs);
    // What is asked for now is asked in the first frame.
    let listed = |window: &mut Window, drawn| {
        let pairs = &window.harness.state().workspace().pairs;
        drawn > 2 && !pairs.listing && pairs.asked.as_ref().is_some_and(|listing| listing.by.is_some())
    };
    pairs(&mut window).scores = Some(Whose::Start);
    pairs(&mut window).filter.sort = SortPairsBy::Scores(Number::Margin);
    println!("{}", frames(&mut window, "sorted by margin", listed));
    pairs(&mut window).filter.descending = true;
    println!("{}", frames(&mut window, "turned round", listed));
    pairs(&mut window).filter.range = Some(NumberBounds { number: Number::Margin, least: Some(20.0), most: None });
    println!("{}", frames(&mut window, "between bounds", listed));
    pairs(&mut window).filter.range = None;
    println!("{}", frames(&mut window, "without bounds", listed));
    let scrolled = frames(&mut window, "scrolled by the wheel", |window, drawn| {
        window.harness.hover_at(egui::pos2(320.0, 500.0));
        window.harness.event(egui::Event::MouseWheel {
            unit: egui::MouseWheelUnit::Point,
            delta: egui::vec2(0.0, -2_000.0),
            phase: egui::TouchPhase::Move,
            source: egui::MouseWheelSource::Wheel,
            modifiers: egui::Modifiers::NONE,
        });
        drawn > 200
    });
    println!("{scrolled}");
    window.key(Key::End);
    let stepped = frames(&mut window, "rows by a key, at the end", |window, drawn| {
        window.harness.state_mut().views_mut().keyboard.letters.end();
        window.harness.key_press(Key::ArrowUp);
        drawn > 200
    });
    println!("{stepped}");
}
