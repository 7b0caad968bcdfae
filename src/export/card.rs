//! What an export says about itself: `report.json` for programs, `README.md` for people.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use data::metrics::{Metric, Told};
use serde_json::{Map, Value, json};
use train::reward::ScoreScale;

use crate::{
    AdapterFormat, AdapterPart, AdapterStrength, ExportError, Proof, WeightType, What,
    aside::{REPORT, files_below, write_error},
};

/// Where an export comes from.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    /// The run's name.
    pub run: String,
    pub step: u64,
    pub strength: AdapterStrength,
    pub base_model: String,
    /// Adapters that are frozen into the run's reference, the lowest first.
    pub frozen: Vec<PathBuf>,
    /// The adapter that the run trained further, if it did not make a new one.
    pub continued: Option<PathBuf>,
    /// E.g. "MPO anchored-sum".
    pub method: String,
    /// Of a reward model: what its raw scores are measured by.
    pub scale: Option<ScoreScale>,
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
    pub(super) about: &'a Provenance,
    pub(super) proof: Proof,
    /// The coarsest element type of merged weights.
    pub(super) stored: Option<WeightType>,
    /// ‖ΔW‖ by the kind of layer.
    pub(super) norms: BTreeMap<String, f64>,
    /// What other programs do otherwise, as sentences.
    pub(super) remarks: Vec<String>,
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
                What::Gguf(_) => "gguf",
                What::Report => "report",
            },
            "layout": self.layout().map(AdapterFormat::name),
            "stored_as": match self.what {
                What::Gguf(kind) => Some(kind.name()),
                _ => self.stored.map(WeightType::name),
            },
            "strength_percent": about.strength.as_percent(),
            "remarks": self.remarks,
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
                "max_logit_rounding": proof.rounding,
                "max_logit": proof.largest,
                "max_logit_effect": proof.effect,
                "outputs_changed": proof.changed,
            },
            "files": files,
            "weight_change_norms": self.norms,
            "metrics": metrics,
        })
    }

    pub(super) fn layout(&self) -> Option<AdapterFormat> {
        match self.what {
            What::Adapter { layout, .. } => Some(layout),
            What::Merged(_) | What::Gguf(_) | What::Report => None,
        }
    }

    /// Adapters that have to be loaded below this export.
    pub(super) fn below(&self) -> &[PathBuf] {
        match self.what {
            What::Adapter { part: AdapterPart::Newest, .. } => &self.about.frozen,
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
            Some(AdapterFormat::Peft) => line(format_args!("library_name: peft")),
            Some(AdapterFormat::Mlx) => line(format_args!("library_name: mlx")),
            Some(AdapterFormat::Gguf) | None => {}
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
        if about.strength != AdapterStrength::default() {
            line(format_args!(
                "Exported at {} % of its strength: what was trained is multiplied by that.\n",
                about.strength.as_percent()
            ));
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
        if about.scale.is_some() {
            line(format_args!(
                "Read back from disk on {} probe texts: scores equal those of the trained reward model {} (the largest is \
                 {:.3}).\n",
                proof.probes,
                proof.closeness(),
                proof.largest,
            ));
        } else {
            let meant = match self.what {
                What::Gguf(kind) => format!("the trained model with its weights rounded to {}", kind.name()),
                _ => "the trained model".to_owned(),
            };
            line(format_args!(
                "Read back from disk on {} probe prompts: logits equal those of {meant} {} (the largest is \
                 {:.1}), and differ from {} by up to {:.3}. Outputs changed on {} of {} probe prompts.\n",
                proof.probes,
                proof.closeness(),
                proof.largest,
                if self.below().is_empty() { "the base model" } else { "the base model with the adapters below" },
                proof.effect,
                proof.changed,
                proof.probes
            ));
        }
        if let Some(half) = self.stored.filter(|&stored| stored != WeightType::F32) {
            line(format_args!(
                "The merged weights are stored in {half}, as the base's are or as was asked for: rounding them is what moves \
                 the logits by {:.1e}{}. `--dtype f32` rounds nothing, and an adapter on the base rounds nothing either.\n",
                proof.difference,
                share_of(proof.difference, proof.effect),
                half = half.name(),
            ));
        }
        if let (What::Gguf(kind), Some(rounding)) = (self.what, proof.rounding) {
            line(format_args!(
                "Rounding to {} moves the logits by up to {rounding:.1e}{}.\n",
                kind.name(),
                share_of(rounding, proof.effect)
            ));
        }
        for remark in &self.remarks {
            line(format_args!("{remark}.\n"));
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
            What::Gguf(kind) => {
                format!(
                    "A merged model made from `{base}`, as one GGUF file ({}), tokenizer and template inside.",
                    kind.name()
                )
            }
            What::Adapter { .. } if about.frozen.is_empty() => {
                format!("A LoRA adapter for `{base}`.")
            }
            What::Adapter { part: AdapterPart::Newest, .. } => {
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
            Some(AdapterFormat::Peft) => format!("{file}, and the tokenizer of this folder (not the base's) brings it."),
            Some(AdapterFormat::Gguf) => format!("{file}: `--jinja --chat-template-file this/folder/chat_template.jinja`."),
            Some(AdapterFormat::Mlx) => format!("{file}; copy it into the base's folder."),
            None if matches!(self.what, What::Gguf(_)) => {
                "The base model has no chat template. The run was trained on conversations in plain style, “User: …” and \
                 “Assistant: …” with an empty line between turns; the template in the file writes exactly that."
                    .to_owned()
            }
            None => format!("{file}."),
        }
    }
}

/// "`a` and `b`".
pub(super) fn listed(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
    paths.join(" and ")
}

/// What rounding moved beside what training did.
fn share_of(rounding: f64, effect: f64) -> String {
    if effect == 0.0 {
        return String::new();
    }
    format!(", {:.1} % of what the training moved them", 100.0 * rounding / effect)
}

fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}
