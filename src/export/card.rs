//! What an export says about itself: `report.json` for programs, `README.md` for people.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use data::metrics::{Metric, Told};
use serde_json::{Map, Value, json};

use crate::{
    ExportError, Layout, Part, Proof, Stored, What,
    aside::{files_below, write_error},
};

/// The report card; what it says of itself marks a folder as an export of ours.
pub const REPORT: &str = "report.json";

/// Where an export comes from.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The run's name.
    pub run: String,
    pub step: u64,
    pub base_model: String,
    /// Adapters that are frozen into the run's reference, the lowest first.
    pub frozen: Vec<PathBuf>,
    /// The adapter that the run trained further, if it did not make a new one.
    pub continued: Option<PathBuf>,
    /// E.g. "MPO anchored-sum".
    pub method: String,
    /// The data revision the run saw.
    pub revision: u64,
    pub pairs: usize,
    pub reference_answers: usize,
    /// A template that writes conversations as the run was trained on them, where the base model has none of its own.
    pub plain_style: Option<String>,
    /// `run.toml`.
    pub settings: String,
    /// Newest value of each metric up to `step`.
    pub metrics: Vec<(String, f64)>,
}

/// Everything that is said about one export.
pub(super) struct Card<'a> {
    pub(super) what: What,
    pub(super) about: &'a About,
    pub(super) proof: Proof,
    /// The coarsest element type of merged weights.
    pub(super) stored: Option<Stored>,
    /// ‖ΔW‖ by the kind of layer.
    pub(super) norms: BTreeMap<String, f64>,
}

impl Card<'_> {
    /// Writes both files into `dir`.
    pub(super) fn write(&self, dir: &Path) -> Result<(), ExportError> {
        let path = dir.join("README.md");
        fs::write(&path, self.readme()).map_err(write_error(&path))?;
        let mut files = files_below(dir).map_err(write_error(dir))?;
        files.insert(REPORT.into());
        let path = dir.join(REPORT);
        fs::write(&path, format!("{:#}\n", self.report(&files))).map_err(write_error(&path))
    }

    /// `files` are all that the export consists of: what a later one may put itself in the place of.
    fn report(&self, files: &BTreeSet<PathBuf>) -> Value {
        let Self { about, proof, .. } = self;
        let files: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
        let metrics: Map<String, Value> =
            about.metrics.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        json!({
            "made_by": concat!("nudge ", env!("CARGO_PKG_VERSION")),
            "kind": match self.what {
                What::Adapter { .. } => "adapter",
                What::Merged(_) => "merged",
                What::Report => "report",
            },
            "layout": self.layout().map(Layout::name),
            "on_top_of": self.below(),
            "run": about.run,
            "step": about.step,
            "base_model": about.base_model,
            "frozen_adapters": about.frozen,
            "continued_adapter": about.continued,
            "method": about.method,
            "plain_style": about.plain_style.is_some(),
            "proof": {
                "probes": proof.probes,
                "max_logit_difference": proof.difference,
                "max_logit": proof.largest,
                "max_logit_effect": proof.effect,
                "outputs_changed": proof.changed,
            },
            "files": files,
            "weight_change_norms": self.norms,
            "metrics": metrics,
        })
    }

    fn layout(&self) -> Option<Layout> {
        match self.what {
            What::Adapter { layout, .. } => Some(layout),
            What::Merged(_) | What::Report => None,
        }
    }

    /// Adapters that have to be loaded below this export.
    fn below(&self) -> &[PathBuf] {
        match self.what {
            What::Adapter { part: Part::Newest, .. } => &self.about.frozen,
            _ => &[],
        }
    }

    fn readme(&self) -> String {
        let Self { about, proof, .. } = self;
        let mut text = String::new();
        let mut line = |words: std::fmt::Arguments<'_>| {
            // Writing to a text cannot fail.
            writeln!(text, "{words}").ok();
        };
        // YAML takes a JSON text for a quoted one.
        line(format_args!("---\nbase_model: {}", json!(about.base_model)));
        match self.layout() {
            Some(Layout::Peft) => line(format_args!("library_name: peft")),
            Some(Layout::Mlx) => line(format_args!("library_name: mlx")),
            Some(Layout::Gguf) | None => {}
        }
        line(format_args!("---\n\n# {}, step {}\n\n{}\n", about.run, about.step, self.what_it_is()));
        if about.method.starts_with("MPO") {
            line(format_args!(
                "Trained with `maximum_preference_optimization` ({}), arXiv 2312.16430.\n",
                about.method
            ));
        } else {
            line(format_args!("Trained with {}.\n", about.method));
        }
        line(format_args!(
            "Data: {} preference pairs and {} reference answers, data revision {}.\n",
            about.pairs, about.reference_answers, about.revision
        ));
        line(format_args!("## Loading it\n\n{}\n", self.loading()));
        if about.plain_style.is_some() {
            line(format_args!("{}\n", self.plain_style()));
        }
        line(format_args!("## Measured\n"));
        let value = |name: &str| Some(about.metrics.iter().find(|(metric, _)| metric == name)?.1);
        for (stored, name) in Metric::headlines(Told::OfARun, |name| value(name).is_some()) {
            if let Some(value) = value(&name) {
                line(format_args!("- {} ({name}): {value:.4}", stored.in_words()));
            }
        }
        line(format_args!("\n## Checked after writing\n"));
        line(format_args!(
            "Read back from disk on {} probe prompts: logits equal those of the trained model {} (the largest is \
             {:.1}), and differ from {} by up to {:.3}. Outputs changed on {} of {} probe prompts.\n",
            proof.probes,
            proof.closeness(),
            proof.largest,
            if self.below().is_empty() { "the base model" } else { "the base model with the adapters below" },
            proof.effect,
            proof.changed,
            proof.probes
        ));
        if let Some(half) = self.stored.filter(|&stored| stored != Stored::F32) {
            line(format_args!(
                "The merged weights are stored in {half}, as the base's are or as was asked for: rounding them is what moves \
                 the logits by {:.1e}, {:.1} % of what the training moved them. `--dtype f32` rounds nothing, and an adapter \
                 on the base rounds nothing either.\n",
                proof.difference,
                100.0 * proof.difference / proof.effect,
                half = half.name(),
            ));
        }
        line(format_args!(
            "`probe.json` holds exact input ids and greedy output ids: any other runtime can be checked with them.\n"
        ));
        if !self.norms.is_empty() {
            line(format_args!("‖ΔW‖ by the kind of layer:\n"));
            for (layer, norm) in &self.norms {
                line(format_args!("- `{layer}`: {norm:.4}"));
            }
            line(format_args!(""));
        }
        line(format_args!("## Settings\n\n```toml\n{}\n```\n", about.settings.trim()));
        line(format_args!(concat!("Made with nudge ", env!("CARGO_PKG_VERSION"), " on {}."), today()));
        text
    }

    /// The first sentences: what is in the folder, and what it was made from.
    fn what_it_is(&self) -> String {
        let about = self.about;
        let base = &about.base_model;
        let frozen = listed(&about.frozen);
        let mut text = match self.what {
            What::Merged(_) => format!("A merged model made from `{base}`."),
            What::Adapter { .. } if about.frozen.is_empty() => {
                format!("A LoRA adapter for `{base}`.")
            }
            What::Adapter { part: Part::Newest, .. } => {
                format!("A LoRA adapter for `{base}` **with {frozen} below it**: alone it is not what was trained.")
            }
            What::Adapter { .. } | What::Report => format!(
                "A LoRA adapter for the bare `{base}`: the sum of {frozen}, which the run started from, and of what was \
                 trained on top. Do not load {frozen} besides."
            ),
        };
        if let Some(continued) = &about.continued {
            write!(text, "\n\nThe run trained the adapter `{}` further; it is part of this export. KL and rewards are measured against \
                 the model with that adapter as it was.",
                continued.display()).ok();
        }
        text
    }

    /// How conversations are written, where the base model does not say.
    fn plain_style(&self) -> String {
        let file = "The base model has no chat template. The run was trained on conversations in plain style, “User: …” and \
                    “Assistant: …” with an empty line between turns; `chat_template.jinja` writes exactly that";
        match self.layout() {
            Some(Layout::Peft) => format!("{file}, and the tokenizer of this folder (not the base's) brings it."),
            Some(Layout::Gguf) => format!("{file}: `--jinja --chat-template-file this/folder/chat_template.jinja`."),
            Some(Layout::Mlx) => format!("{file}; copy it into the base's folder."),
            None => format!("{file}."),
        }
    }

    /// How other programs load it, as commands.
    fn loading(&self) -> String {
        let base = &self.about.base_model;
        let is_gguf = base.to_lowercase().ends_with(".gguf");
        let mut text = match self.what {
            What::Adapter { layout: Layout::Peft, .. } => python(base, self.below()),
            What::Adapter { layout: Layout::Mlx, .. } => mlx(base, self.below()),
            What::Adapter { layout: Layout::Gguf, .. } => llama_cpp(base, is_gguf, self.below()),
            What::Merged(_) | What::Report => {
                "```python\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n\
                 model = AutoModelForCausalLM.from_pretrained(\"this/folder\")\n\
                 tokenizer = AutoTokenizer.from_pretrained(\"this/folder\")\n```"
                    .to_owned()
            }
        };
        if is_gguf {
            text += match self.layout() {
                Some(Layout::Gguf) => {
                    "\n\nIt was trained on that very file. On the same model with other bits a weight (another quantisation) \
                     it works too, but the logits are not those that were checked."
                }
                Some(Layout::Peft | Layout::Mlx) => {
                    "\n\nIt was trained on a GGUF file, which this tool does not read: put the folder of the model that the \
                     file was made from in its place. Where the file holds quantised weights, that folder's are finer, and the \
                     logits are not exactly those that were checked."
                }
                None => {
                    "\n\nThe base was a GGUF file, which brings no `tokenizer.json`: take the tokenizer's files from the model \
                     that it was made from."
                }
            };
        }
        text
    }
}

fn python(base: &str, below: &[PathBuf]) -> String {
    let mut text = format!(
        "```python\nfrom peft import PeftModel\nfrom transformers import AutoModelForCausalLM\n\n\
         model = AutoModelForCausalLM.from_pretrained({})\n",
        json!(base)
    );
    for adapter in below {
        writeln!(text, "model = PeftModel.from_pretrained(model, {}).merge_and_unload()", json!(adapter)).ok();
    }
    text + "model = PeftModel.from_pretrained(model, \"this/folder\")\n```"
}

fn mlx(base: &str, below: &[PathBuf]) -> String {
    let command =
        |base: &str| format!("```sh\nmlx_lm.generate --model {base} --adapter-path this/folder --prompt \"…\"\n```");
    if below.is_empty() {
        return command(base);
    }
    format!(
        "mlx-lm loads one adapter at a time, so {} must be folded into the base model first (`mlx_lm.fuse` if it is in \
         mlx-lm's layout too). Then:\n\n{}",
        listed(below),
        command("FUSED_BASE")
    )
}

fn llama_cpp(base: &str, is_gguf: bool, below: &[PathBuf]) -> String {
    let model = if is_gguf { base } else { "BASE.gguf" };
    let mut text = String::new();
    if !is_gguf {
        write!(text, "`BASE.gguf` is `{base}` converted with llama.cpp's `convert_hf_to_gguf.py`.\n\n").ok();
    }
    write!(text, "```sh\nllama-cli -m {model}").ok();
    for adapter in below {
        write!(text, " --lora {}", adapter.display()).ok();
    }
    text += " --lora this/folder/adapter.gguf\n```";
    if !below.is_empty() {
        write!(text, "\n\nllama.cpp adds up the adapters that are named; {} must be GGUF adapters too.", listed(below))
            .ok();
    }
    text
}

/// "`a` and `b`".
fn listed(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
    paths.join(" and ")
}

fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}
