//! The command line: what was typed ([`args`]), then what it means (one file a command).
//!
//! Standard output carries results and nothing else; progress and logs go to standard error. Exit code 0 done, 1 failed
//! with a sentence, 2 wrong usage, 130 interrupted.

mod answers;
mod args;
mod bench;
mod bundle;
mod change;
mod check;
mod checkpoints;
mod compare;
mod contenders;
mod download;
mod drive;
mod ending;
mod export;
mod fork;
mod generate;
mod handover;
mod health;
mod import;
mod live;
mod mark;
mod metrics;
mod models;
mod new;
mod output;
mod pairs;
mod place;
mod probe_gpu;
mod prompts;
mod queue;
mod ran;
mod references;
mod resume;
mod runs;
mod sample;
mod score;
mod score_project;
mod score_weights;
mod settings;
mod stop;
mod summary;
mod suspects;
mod take_in;
mod tokens;
mod train;
mod unsaved;
mod which;
mod window;

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use args::{Args, Command};
use ending::Ending;

/// The whole program: reads the arguments, does what they say, and turns the outcome into an exit code.
pub fn main() -> ExitCode {
    let args = match Args::read(std::env::args_os()) {
        Ok(args) => args,
        Err(said) => return ending::told(&said),
    };
    listen_to_logs();
    ending::exit_code(run(args))
}

fn run(args: Args) -> anyhow::Result<Ending> {
    let Args { project, renderer, threads, command } = args;
    let Some(command) = command else {
        return window::run(project, renderer, threads);
    };
    // Read at once, so that each command tells the same of them; tried only by what is not told to take the processor.
    if command.computes() {
        engine::cards::remember();
        engine::cards::try_before_use();
    }
    match command {
        Command::New(args) => new::run(&args),
        Command::Train(args) => train::run(&args, threads),
        Command::Compare(args) => compare::run(&args, threads),
        Command::Resume(args) => resume::run(&args, threads),
        Command::Fork(args) => fork::run(&args, threads),
        Command::Handover(args) => handover::run(&args, threads),
        Command::Follow(args) => handover::follow(&args),
        Command::Takeback(args) => handover::takeback(&args, threads),
        Command::Queue(args) => queue::run(&args, threads),
        Command::Stop(args) => stop::run(&args),
        Command::Pause(args) => stop::pause(&args),
        Command::TakeIn(args) => take_in::run(&args),
        Command::Suspects(args) => suspects::run(&args),
        Command::Runs(args) => runs::run(&args),
        Command::Mark(args) => mark::run(&args),
        Command::Metrics(args) => metrics::run(&args),
        Command::Models(args) => models::run(&args),
        Command::Download(args) => download::run(&args),
        Command::Answers(args) => answers::run(&args),
        Command::Export(args) => export::run(&args, threads),
        Command::Bundle(args) => bundle::run(&args),
        Command::Open(args) => bundle::open(&args, renderer, threads),
        Command::Import(args) => import::run(&args),
        Command::Pairs(args) => pairs::run(&args),
        Command::Change(args) => change::run(&args),
        Command::Health(args) => health::run(&args),
        Command::Sample(args) => sample::run(&args, threads),
        Command::References(args) => references::run(&args, threads),
        Command::Check(args) => check::run(&args, threads),
        Command::Score(args) => score::run(&args, threads),
        Command::Generate(args) => generate::run(&args, threads),
        Command::Tokens(args) => tokens::run(&args),
        Command::Bench(args) => bench::run(&args, threads),
        Command::ProbeGpu(args) => probe_gpu::run(&args),
    }
}

/// The rooms of the program, whose warnings are for who uses it. Those of libraries, e.g. of a display that has no
/// size, are for who looks into a fault.
const ROOMS: [&str; 19] = [
    "app", "cli", "data", "engine", "export", "files", "formats", "gguf", "handover", "hub", "judge", "kernels",
    "model", "nudge", "state", "store", "text", "train", "ui",
];

/// Logs to standard error: the program's warnings and everybody's errors, or what `RUST_LOG` asks for.
fn listen_to_logs() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(usual_logs()));
    let colours = io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    lines.with_ansi(colours).without_time().with_target(false).init();
}

fn usual_logs() -> String {
    ROOMS.iter().fold("error".to_owned(), |filter, room| format!("{filter},{room}=warn"))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn no_room_is_left_out_of_the_logs() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let folders = fs::read_dir(source).unwrap().map(|entry| entry.unwrap().path());
        let rooms = folders.filter(|folder| folder.join("Cargo.toml").is_file());
        let rooms: BTreeSet<String> =
            rooms.map(|room| room.file_name().unwrap().to_str().unwrap().to_owned()).collect();
        assert_eq!(rooms, ROOMS.iter().filter(|room| **room != "nudge").map(|room| (*room).to_owned()).collect());
    }
}
