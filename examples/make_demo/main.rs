//! Makes the demo: a small made-up world, a model that has learnt it, and a preference to teach that model.
//!
//! ```text
//! cargo run --release --example make_demo               # everything in assets/demo, from a seed
//! cargo run --release --example make_demo -- --only text   # all but the model and its own answers
//! cargo run --example make_demo -- show                 # some conversations, pairs and paragraphs to read
//! ```
//!
//! The world are the Pell Islands: shops, inns, sights, ferries, people, festivals, walks, villages and weather lore.
//! The model answers in three manners (host, ledger, deckhand); the pairs prefer the host, but speak only of shops,
//! inns and sights; the reference answers are the model's own, on all the rest. So one can see what a method does where
//! it was asked to, and what it does where it was not.

mod attributes;
mod chat;
mod check;
mod elsewhere;
mod facts;
mod guide;
mod manner;
mod names;
mod places;
mod project;
mod show;
mod small_talk;
mod template;
mod world;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use world::World;

#[derive(Parser)]
#[command(about = "Makes the demo project from a seed")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Where the files go.
    #[arg(long, default_value = "assets/demo")]
    out: PathBuf,
    /// Everything is drawn from it.
    #[arg(long, default_value_t = 7, global = true)]
    seed: u64,
}

#[derive(Subcommand)]
enum Command {
    /// Print some of what is made, to read.
    Show,
}

/// Independent streams of chance, so that more of one thing does not change another.
#[derive(Clone, Copy)]
enum Stream {
    Check = 1,
    Pairs,
    Retention,
    Probes,
    References,
}

fn stream(seed: u64, stream: Stream) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream as u64);
    rng
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let world = World::draw(arguments.seed);
    check::check(&world, arguments.seed)?;
    match arguments.command {
        Some(Command::Show) => show::show(&world, arguments.seed),
        None => text_files(&world, arguments.seed, &arguments.out)?,
    }
    Ok(())
}

/// The files that need no model.
fn text_files(world: &World, seed: u64, out: &Path) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let pairs = project::pairs(world, &mut stream(seed, Stream::Pairs));
    project::write_lines(&out.join("pairs.jsonl"), &pairs)?;
    let probes = project::probes(world, &mut stream(seed, Stream::Probes));
    project::write_lines(&out.join("probes.jsonl"), &probes)?;
    let retention = project::retention(world, &mut stream(seed, Stream::Retention));
    project::write(&out.join("retention.txt"), &(retention.join("\n\n") + "\n"))
}
