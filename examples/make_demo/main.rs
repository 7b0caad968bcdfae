//! Makes the demo: a small made-up world, a model that has learnt it, and a preference to teach that model.
//!
//! ```text
//! cargo run --release --example make_demo               # everything in assets/demo, from a seed
//! cargo run --release --example make_demo -- search     # tries the same number of settings of every method, on one seed
//! cargo run --release --example make_demo -- measure    # trains every method over three seeds: the README's tables
//! cargo run --release --example make_demo -- sizes      # few pairs and many, short runs and long: what the defaults stand on
//! cargo run --release --example make_demo -- show       # some conversations, pairs and paragraphs to read
//! ```
//!
//! The world are the Pell Islands: shops, inns, sights, ferries, people, festivals, walks, villages and weather lore.
//! The model answers in three manners (host, ledger, deckhand). Visitors of shops, inns and sights mostly prefer the
//! host, more or less surely, and one training label in ten is turned round; the reference answers are the model's own,
//! on all the rest. So one can see what a method does where it was asked to, and what it does where it was not.

mod attributes;
mod chat;
mod check;
mod elsewhere;
mod exam;
mod guide;
mod learn;
mod manner;
mod measure;
mod methods;
mod model_folder;
mod names;
mod places;
mod project;
mod references;
mod rules;
mod show;
mod sizes;
mod small_talk;
mod taste;
mod template;
mod world;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};
use nudge::{
    model::{LoadOptions, Policy},
    text::Codec,
};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use world::World;

#[derive(Parser)]
#[command(about = "Makes the demo project from a seed")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Where the files are.
    #[arg(long, default_value = "assets/demo", global = true)]
    out: PathBuf,
    /// Everything is drawn from it.
    #[arg(long, default_value_t = 7, global = true)]
    seed: u64,
}

#[derive(Subcommand)]
enum Command {
    /// Pairs, probes, rules and guide book: the files that need no model.
    Text,
    /// The model: from random weights to one that knows the islands.
    Model {
        #[arg(long, default_value_t = LESSONS.steps)]
        steps: u64,
        #[arg(long, default_value_t = LESSONS.row_tokens)]
        row_tokens: usize,
        #[arg(long, default_value_t = LESSONS.peak_learning_rate)]
        learning_rate: f64,
        #[command(flatten)]
        shape: model_folder::Shape,
    },
    /// The model's own answers.
    References,
    /// What the model knows, and in which manners it says so.
    Exam {
        #[arg(long, default_value_t = 100)]
        questions: usize,
    },
    /// Try some settings of every method on one seed.
    Search(Runs),
    /// Train every method over several seeds and print the tables.
    Measure(Runs),
    /// Train on few pairs and on many, for few steps and for many, and print what that came to.
    Sizes(sizes::Sizes),
    /// Print some of what is made, to read.
    Show,
}

/// Runs that are measured.
#[derive(Args)]
struct Runs {
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Only methods whose name begins so.
    #[arg(long, default_value = "")]
    only: String,
    /// Only runs on these labels.
    #[arg(long)]
    labels: Option<methods::Labels>,
    /// A setting of all runs, as `nudge train --set`.
    #[arg(long, value_parser = setting)]
    set: Vec<(String, String)>,
    /// What each run came to; runs that are in it are not trained again.
    #[arg(long, default_value = "target/demo-runs.jsonl")]
    results: PathBuf,
    /// Begin no run later than this.
    #[arg(long)]
    minutes: Option<u64>,
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

impl Runs {
    fn options(&self, seeds: std::ops::Range<u64>) -> measure::Options<'_> {
        measure::Options {
            seeds,
            only: &self.only,
            labels: self.labels,
            settings: self.set.clone(),
            results: &self.results,
            patience: self.minutes.map(|minutes| Duration::from_secs(60 * minutes)),
            threads: self.threads,
        }
    }
}

const LESSONS: learn::Lessons = learn::Lessons { steps: 1700, row_tokens: 3072, peak_learning_rate: 3e-3 };

/// Independent streams of chance, so that more of one thing does not change another.
#[derive(Clone, Copy)]
enum Stream {
    Check = 1,
    Pairs,
    Retention,
    Probes,
    References,
    Tokenizer,
    Lessons,
    Exam,
    Negatives,
    Sizes,
}

fn stream(seed: u64, stream: Stream) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream as u64);
    rng
}

fn setting(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .ok_or_else(|| format!("expected section.key=value, found {text:?}"))
}

fn main() -> Result<()> {
    let Arguments { command, out, seed } = Arguments::parse();
    let world = World::draw(seed);
    check::check(&world, seed)?;
    let folder = out.join("model");
    std::fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    // All of the machine: nobody waits for a window here.
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let pool = nudge::engine::compute_pool(threads)?;
    match command {
        Some(Command::Show) => show::show(&world, seed),
        Some(Command::Text) => text_files(&world, seed, &out)?,
        Some(Command::Model { steps, row_tokens, learning_rate, shape }) => pool.install(|| {
            let lessons = learn::Lessons { steps, row_tokens, peak_learning_rate: learning_rate };
            model_folder::lay_out(&world, seed, &shape, &folder)?;
            learn::learn(&world, seed, &folder, &lessons)
        })?,
        Some(Command::References) => pool.install(|| references_file(&world, seed, &out))?,
        Some(Command::Exam { questions }) => {
            pool.install(|| exam(&world, seed, &folder, questions))?;
        }
        // The search has a seed of its own: what it found is measured on others.
        Some(Command::Search(runs)) => {
            let tables = [
                (methods::Labels::AsMade, methods::SEARCHED),
                (methods::Labels::AsMade, methods::OTHERS_SEARCHED),
                (methods::Labels::Several, methods::SEVERAL_SEARCHED),
                (methods::Labels::MoreFlipped, methods::SEARCHED),
                (methods::Labels::Certain, methods::SEARCHED),
            ];
            measure::measure(&world, seed, &out, &tables, &runs.options(0..1))?;
        }
        Some(Command::Measure(runs)) => {
            measure::measure(&world, seed, &out, &measure::tables(), &runs.options(1..1 + runs.seeds))?;
        }
        Some(Command::Sizes(what)) => sizes::sizes(&world, seed, &out, &what)?,
        None => pool.install(|| -> Result<()> {
            text_files(&world, seed, &out)?;
            model_folder::lay_out(&world, seed, &model_folder::Shape::DEMO, &folder)?;
            learn::learn(&world, seed, &folder, &LESSONS)?;
            references_file(&world, seed, &out)?;
            exam(&world, seed, &folder, 100)
        })?,
    }
    Ok(())
}

fn text_files(world: &World, seed: u64, out: &Path) -> Result<()> {
    let pairs = project::pairs(world, project::FLIPPED_LABELS, &mut stream(seed, Stream::Pairs));
    project::write_lines(&out.join("pairs.jsonl"), &pairs)?;
    project::write(&out.join(nudge::judge::FILE), &rules::demo(world, &mut stream(seed, Stream::Exam)))?;
    let probes = project::probes(world, &mut stream(seed, Stream::Probes));
    project::write_lines(&out.join("probes.jsonl"), &probes)?;
    let retention = project::retention(world, &mut stream(seed, Stream::Retention));
    project::write(&out.join("retention.txt"), &(retention.join("\n\n") + "\n"))
}

fn references_file(world: &World, seed: u64, out: &Path) -> Result<()> {
    let references = references::references(world, seed, &out.join("model"))?;
    eprintln!("{} reference answers", references.len());
    project::write_lines(&out.join("reference.jsonl"), &references)
}

/// Greedy and drawn answers to questions in unseen words.
fn exam(world: &World, seed: u64, folder: &Path, questions: usize) -> Result<()> {
    let policy = Policy::load(folder, &LoadOptions::default())?;
    let codec = Codec::load(folder)?;
    exam::exam(world, questions, &policy, &codec, &mut stream(seed, Stream::Exam))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever changes a list, a template or a draw makes the files again.
    #[test]
    fn the_files_of_the_demo_are_those_of_its_seed() {
        let seed = 7;
        let world = World::draw(seed);
        check::check(&world, seed).unwrap();
        let made = tempfile::tempdir().unwrap();
        text_files(&world, seed, made.path()).unwrap();
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo");
        for file in ["pairs.jsonl", "probes.jsonl", "retention.txt", nudge::judge::FILE] {
            let [made, kept] = [made.path(), &demo].map(|dir| std::fs::read_to_string(dir.join(file)).unwrap());
            assert!(made == kept, "{file} is not what the seed makes: run `make_demo text`");
        }
    }
}
