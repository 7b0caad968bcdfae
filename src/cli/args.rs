//! What was typed. What it means is decided by the command.

mod ask;
mod bench;
mod bundle;
mod compare;
mod download;
mod export;
mod fork;
mod handover;
mod health;
mod labels;
mod mark;
mod metrics;
mod pairs;
mod probe_gpu;
mod queue;
mod reading;
mod sample;
mod several;
mod train;
mod words;

use std::{ffi::OsString, path::PathBuf};

use clap::{
    ArgGroup, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, builder::TypedValueParser,
    error::ErrorKind, parser::ValueSource,
};

pub use self::ask::{Generate, Score};
pub use self::bench::{Bench, ShapeName};
pub use self::bundle::{Bundle, Open};
pub use self::compare::Compare;
pub use self::download::Download;
pub use self::export::Export;
pub use self::fork::Fork;
pub use self::handover::{Follow, Handover, Takeback};
pub use self::health::Health;
pub use self::labels::{Suspects, TakeIn};
pub use self::mark::Mark;
pub use self::metrics::Metrics;
pub use self::pairs::{Bounds, Change, Pairs, Which};
pub use self::probe_gpu::ProbeGpu;
pub use self::queue::{Pause, Queue, Stop};
pub use self::sample::{Draws, References, Sample};
pub use self::several::{OneRun, Place, Settings};
pub use self::train::{Resume, Train};
use self::{
    reading::{definition, in_words, mistyped},
    words::{OneMethod, one_of},
};

use app::Renderer;

/// Teaches a local language model your preferences.
///
/// Without a command: the window, on PROJECT, else on the last project, else on the demo.
#[derive(Debug, Parser)]
#[command(name = "nudge", version, override_usage = "nudge [OPTIONS] [PROJECT]\n       nudge [OPTIONS] <COMMAND>")]
pub struct Args {
    /// The project's folder.
    pub project: Option<PathBuf>,
    /// What draws the window.
    #[arg(long, default_value = "glow", value_parser = renderer())]
    pub renderer: Renderer,
    /// Compute threads; of a run its train.threads [default: all of the machine, one less under the window]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Args {
    /// What a command line asks for. Options of the program stand before the command or behind it.
    pub fn read(words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Self, clap::Error> {
        let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
        let mistyped = || mistyped(words.iter().skip(1).find(|word| !word.to_string_lossy().starts_with('-'))?);
        let matches =
            definition().try_get_matches_from(&words).map_err(|error| mistyped().unwrap_or_else(|| in_words(error)))?;
        let args = Self::from_arg_matches(&matches)?;
        let refused = |sentence: String| Err(Self::command().error(ErrorKind::ArgumentConflict, sentence));
        let Some((command, _)) = matches.subcommand() else {
            return mistyped().map_or(Ok(args), Err);
        };
        if let Some(project) = &args.project {
            let project = project.display();
            return refused(format!("\"{project}\" stands before the command: nudge {command} {project} .."));
        }
        let is_chosen = matches.value_source("renderer") == Some(ValueSource::CommandLine);
        if is_chosen && !matches!(args.command, Some(Command::Open(_))) {
            return refused(format!("--renderer is for the window, and nudge {command} opens none"));
        }
        Ok(args)
    }
}

fn renderer() -> impl TypedValueParser<Value = Renderer> {
    one_of([Renderer::Glow, Renderer::Wgpu], |renderer| match renderer {
        Renderer::Glow => "glow",
        Renderer::Wgpu => "wgpu",
    })
}

#[derive(Debug, Subcommand)]
pub enum Command {
    New(New),
    Train(Train),
    Compare(Compare),
    Resume(Resume),
    Fork(Fork),
    Handover(Handover),
    Follow(Follow),
    Takeback(Takeback),
    Queue(Queue),
    Stop(Stop),
    Pause(Pause),
    TakeIn(TakeIn),
    Suspects(Suspects),
    Runs(Runs),
    Mark(Mark),
    Metrics(Metrics),
    Models(Models),
    Download(Download),
    Answers(Answers),
    Export(Export),
    Bundle(Bundle),
    Open(Open),
    Import(Import),
    Pairs(Pairs),
    Change(Change),
    Health(Health),
    Sample(Sample),
    References(References),
    Check(Check),
    Score(Score),
    Generate(Generate),
    Tokens(Tokens),
    Bench(Bench),
    ProbeGpu(ProbeGpu),
}

/// Make a project
#[derive(Debug, clap::Args)]
pub struct New {
    /// The folder to make it in.
    pub dir: PathBuf,
    /// The model to tune: a Hugging Face folder, a GGUF file, or the name of a model in the Hugging Face cache, e.g.
    /// org/name.
    #[arg(long, value_name = "HF_DIR")]
    pub model: PathBuf,
    /// [default: the folder's name]
    #[arg(long)]
    pub name: Option<String>,
    /// What a new run starts from.
    #[arg(long, value_name = "RUN_TOML")]
    pub config: Option<PathBuf>,
}

impl Command {
    /// Whether it may have a device choose itself.
    pub fn computes(&self) -> bool {
        matches!(
            self,
            Self::Train(_)
                | Self::Compare(_)
                | Self::Resume(_)
                | Self::Fork(_)
                | Self::Handover(_)
                | Self::Takeback(_)
                | Self::Sample(_)
                | Self::References(_)
                | Self::Check(_)
                | Self::Score(_)
                | Self::Generate(_)
                | Self::Queue(_)
                | Self::Bench(_)
        )
    }
}

/// List the runs of a project
#[derive(Debug, clap::Args)]
pub struct Runs {
    #[command(flatten)]
    pub place: Place,
    /// A column beside the usual ones: "last METRIC", "highest METRIC", "lowest METRIC", "at STEP METRIC" or "setting
    /// KEY". Can be given again.
    #[arg(long, value_name = "COLUMN")]
    pub column: Vec<store::RunColumn>,
    /// Only runs with these words in name, method, status, tags or note, and for which comparisons hold,
    /// such as objective.beta<0.2 or METRIC>0.5 (its last value).
    #[arg(long, value_name = "WORDS", default_value = "", hide_default_value = true)]
    pub filter: String,
    /// By this column, the largest first.
    #[arg(long, value_name = "COLUMN")]
    pub sort: Option<store::RunColumn>,
    /// Runs that were put away, too.
    #[arg(long)]
    pub archived: bool,
    /// Their checkpoints instead, and the labels that each has seen.
    #[arg(long)]
    pub checkpoints: bool,
    /// One JSON object a run.
    #[arg(long)]
    pub json: bool,
}

/// List the models of the Hugging Face cache or of a folder, and whether they can be used
#[derive(Debug, clap::Args)]
pub struct Models {
    /// Look through this folder, or at this file, instead of the cache.
    pub folder: Option<PathBuf>,
    /// One JSON object a model.
    #[arg(long)]
    pub json: bool,
}

/// Print how a run answered the project's probes, step by step, or what its rules judged
#[derive(Debug, clap::Args)]
pub struct Answers {
    #[command(flatten)]
    pub of: OneRun,
    /// Only the first and the last answer to each.
    #[arg(long)]
    pub ends: bool,
    /// Only the likeliest answers, without those that seeds have drawn.
    #[arg(long)]
    pub greedy: bool,
    /// The answers that the project's rules judged, at the run's last evaluation or at --step.
    #[arg(long, conflicts_with_all = ["ends", "greedy"])]
    pub judged: bool,
    /// The answers that the run sampled to learn from (PPO, RLOO, GRPO), at its newest step or at --step.
    #[arg(long, conflicts_with_all = ["ends", "greedy", "judged"])]
    pub sampled: bool,
    /// The evaluation, or the sampling, of this step.
    #[arg(long, value_name = "STEP")]
    pub step: Option<u64>,
    /// One JSON object an answer.
    #[arg(long)]
    pub json: bool,
}

/// Bring preference pairs into a project
#[derive(Debug, clap::Args)]
pub struct Import {
    /// The project's folder.
    pub project: PathBuf,
    /// Files, or folders of them: JSON lines, JSON, CSV, TSV, also packed with gzip or zstd, Parquet, and Arrow
    /// (Feather).
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// The shape of the records, if it should not be recognised: trl, hh, argilla, .. (a wrong word lists them).
    #[arg(long, default_value = "auto")]
    pub format: String,
    /// What a field is called in the file, e.g. prompt=question; prompt=instruction+input joins two, a line each. Can
    /// be given again.
    #[arg(long, value_name = "OURS=THEIRS")]
    pub map: Vec<String>,
    /// Pairs that the project has already: skip; merge takes their labels and tags where it has none; keep.
    #[arg(long, default_value = "skip")]
    pub duplicates: String,
    /// Records that say both answers are as good: keep or leave-out.
    #[arg(long, default_value = "keep")]
    pub ties: String,
    /// Records with several ranked answers: one pair that keeps their order, the best against the worst (or against
    /// all, see objective.negatives), or a pair of the best with each of the others.
    #[arg(long, default_value = "worst")]
    pub several: String,
    /// A score of each answer, or a margin: ignore; strength, as the log-odds of the better one; reward; or tag.
    #[arg(long, default_value = "ignore")]
    pub scores: String,
    /// Prompts that are texts are what a user says.
    #[arg(long)]
    pub chat: bool,
    /// Every record that does not come in, with its place and the reason, as a line of JSON.
    #[arg(long, value_name = "FILE")]
    pub rejected: Option<PathBuf>,
    /// Replace that file if it is there.
    #[arg(long, requires = "rejected")]
    pub overwrite: bool,
    /// One JSON object a file.
    #[arg(long)]
    pub json: bool,
}

/// Look at everything that can be known before a start
#[derive(Debug, clap::Args)]
pub struct Check {
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    pub settings: Settings,
    #[command(flatten)]
    pub method: OneMethod,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Show a text or a conversation as the model's tokens
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("what").args(["text", "messages"]).required(true))]
pub struct Tokens {
    /// A Hugging Face folder, or a GGUF file.
    #[arg(long, value_name = "HF_DIR")]
    pub model: PathBuf,
    #[arg(long)]
    pub text: Option<String>,
    /// A conversation: a JSON file with [{"role": .., "content": ..}, ..]; "-" reads standard input.
    #[arg(long, value_name = "FILE")]
    pub messages: Option<PathBuf>,
    /// With the beginning of an answer, as before generation.
    #[arg(long, conflicts_with = "text")]
    pub generation_prompt: bool,
    /// As training and answers give it to the model: a system turn that the template has no place for stands in front
    /// of the first user turn.
    #[arg(long, conflicts_with_all = ["text", "generation_prompt"])]
    pub as_prompt: bool,
    /// One JSON object with text, ids and mask.
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::read(line.split(' '))
    }

    #[test]
    fn the_definition_holds_together() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_bare_path_is_a_project_and_a_command_is_a_command() {
        assert!(parse("nudge").unwrap().command.is_none());
        let args = parse("nudge --renderer wgpu --threads 2 here").unwrap();
        assert_eq!(args.project, Some(PathBuf::from("here")));
        assert_eq!((args.renderer, args.threads), (Renderer::Wgpu, Some(2)));
        let args = parse("nudge runs here --threads 1").unwrap();
        assert!(matches!(args.command, Some(Command::Runs(_))));
        assert_eq!(args.threads, Some(1));
    }

    #[test]
    fn a_mistyped_command_is_no_project() {
        for word in ["nowhere", "my-project", "notes", "demo2"] {
            assert!(parse(&format!("nudge {word}")).is_ok(), "{word} is like no command");
        }
        for line in ["nudge trian --demo", "nudge trian", "nudge trian here --steps 3"] {
            let said = parse(line).unwrap_err().to_string();
            assert!(said.contains("'trian'") && said.contains("'train'"), "{said}");
        }
        let here = tempfile::tempdir().unwrap();
        let project = here.path().join("trian");
        std::fs::create_dir(&project).unwrap();
        assert!(Args::read([OsString::from("nudge"), project.clone().into()]).is_ok());
        assert!(parse("nudge islands").is_ok(), "nothing like a command");
    }

    #[test]
    fn options_of_the_program_stand_before_a_command_or_behind_it() {
        for line in
            ["nudge --threads 2 train --demo", "nudge train --threads 2 --demo", "nudge train --demo --threads 2"]
        {
            let args = parse(line).expect(line);
            assert!(matches!(args.command, Some(Command::Train(_))), "{line}");
            assert_eq!(args.threads, Some(2), "{line}");
        }
        assert_eq!(parse("nudge --renderer wgpu open file").unwrap().renderer, Renderer::Wgpu);
        for (line, sentence) in [
            ("nudge here train --demo", "\"here\" stands before the command: nudge train here .."),
            ("nudge --renderer wgpu train here", "--renderer is for the window, and nudge train opens none"),
        ] {
            let error = parse(line).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
            assert!(error.to_string().contains(sentence), "{line}: {error}");
        }
    }

    #[test]
    fn a_number_below_zero_is_told_what_it_may_be() {
        for (line, range) in [
            ("nudge train here --steps -1", "it must not be below 0"),
            ("nudge train here --steps many", "it must be a whole number"),
            ("nudge train here --steps 99999999999999999999", "larger than any number"),
            ("nudge generate --model m --prompt a --temperature hot", "it must be a number"),
            ("nudge --threads -1 here", "1..=65535"),
            ("nudge export here 1 --adapter a --strength -5", "0..=150"),
            ("nudge fork here 1 --at -1", "--at"),
            ("nudge train here --steps 18446744073709551615", "1..=9223372036854775807"),
            ("nudge resume here 1 --steps 9223372036854775808", "1..=9223372036854775807"),
        ] {
            let error = parse(line).expect_err(line).to_string();
            assert!(error.starts_with("error: invalid value") && error.contains(range), "{line}: {error}");
        }
        assert!(parse("nudge pairs here --out - --margin ..-2").is_ok());
        assert!(parse("nudge pairs here --out - --margin -5..-2").is_ok());
    }

    #[test]
    fn what_cannot_go_together_is_refused() {
        for line in [
            "nudge train",
            "nudge train here --demo",
            "nudge train here --steps 0",
            "nudge runs",
            "nudge check here --demo",
            "nudge resume",
            "nudge fork here 1",
            "nudge fork --demo --at 3",
            "nudge compare",
            "nudge compare here --demo",
            "nudge compare here --runs 1,2 --steps 3",
            "nudge compare here --runs 1,2 --seeds 3",
            "nudge metrics here 1 --csv --tensorboard d",
            "nudge metrics here 1 --csv --json",
            "nudge score --model m",
            "nudge score --model m --pairs a --batch-file b",
            "nudge generate --model m --prompt a --prompt-ids 1",
            "nudge generate --model m --prompt a --greedy --temperature 1",
            "nudge tokens --model m --text a --generation-prompt",
            "nudge runs here --threads 0",
            "nudge bench --shape tiny --model m",
            "nudge bench --full --lora-rank 8",
            "nudge bench --pairs-per-step 0",
            "nudge change here --all",
            "nudge change here --flip --delete",
            "nudge change here --flip --margin 3",
            "nudge download",
            "nudge download name",
            "nudge download ../name",
        ] {
            let error = parse(line).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn training_needs_a_place_and_printing_does_not() {
        for line in [
            "nudge train --demo --steps 4 --json",
            "nudge train here --set objective.beta=0.2 --set train.steps=3",
            "nudge train --print-config",
            "nudge compare --demo --steps 4 --json",
            "nudge compare here --seeds 3 --match",
            "nudge compare here --methods mpo,ipo --set objective.beta=0.2",
            "nudge compare here --runs 1,last",
            "nudge train here --print-config",
            "nudge resume here 3 --steps 20",
            "nudge resume here 3 --step 0 --steps 20",
            "nudge resume --demo last",
            "nudge fork here 3 --at 40 --set objective.beta=0.2 --steps 80",
            "nudge fork --demo last --at 0 --without-tag blunt --without 3,4",
            "nudge generate --model m --prompt-ids 1,2,3 --max-new 4",
            "nudge change here --untag a --tagged a --margin ..-2 --push 0.1..0.2 --scored-by last@3 --id 3,4",
            "nudge download org/name@main/file.gguf --json",
            "nudge bench --shape qwen0.5b --full --threads 1 --json",
        ] {
            parse(line).expect(line);
        }
    }
}
