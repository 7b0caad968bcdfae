//! What an export says about itself: `report.json` for programs, `README.md` for people.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use serde_json::{Map, Value, json};

use super::{ExportError, Proof, aside::write_error};

/// The report card; its presence marks a folder as an export of ours.
pub const REPORT: &str = "report.json";

/// Where an export comes from.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The run's name.
    pub run: String,
    pub step: u64,
    pub base_model: String,
    /// E.g. "MPO anchored-sum".
    pub method: String,
    /// The data revision the run saw.
    pub revision: u64,
    pub pairs: usize,
    pub reference_answers: usize,
    /// `run.toml`.
    pub settings: String,
    /// Newest value of each metric up to `step`.
    pub metrics: Vec<(String, f64)>,
}

/// The metrics worth a line, and what to call them.
const SHOWN: [(&str, &str); 7] = [
    ("loss", "training loss"),
    ("eval_loss", "held-out loss"),
    ("eval_rewards/accuracies", "held-out preference accuracy"),
    ("eval_rewards/margins", "held-out reward margin"),
    (
        "kl/ref",
        "KL drift a token, forward, on held-out reference answers (kl/ref)",
    ),
    (
        "kl/policy_k3",
        "KL drift a token, k3, on freshly sampled answers (kl/policy_k3)",
    ),
    ("nll/retention", "loss on held-out retention text"),
];

/// Writes both files into `dir`.
pub fn write(
    dir: &Path,
    kind: &str,
    about: &About,
    proof: &Proof,
    norms: &BTreeMap<String, f64>,
) -> Result<(), ExportError> {
    let metrics: Map<String, Value> = about
        .metrics
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let report = json!({
        "made_by": concat!("nudge ", env!("CARGO_PKG_VERSION")),
        "kind": kind,
        "run": about.run,
        "step": about.step,
        "base_model": about.base_model,
        "method": about.method,
        "proof": {
            "probes": proof.probes,
            "max_logit_difference": proof.difference,
            "max_logit_effect": proof.effect,
            "outputs_changed": proof.changed,
        },
        "weight_change_norms": norms,
        "metrics": metrics,
    });
    let path = dir.join(REPORT);
    fs::write(&path, format!("{report:#}\n")).map_err(write_error(&path))?;
    let path = dir.join("README.md");
    fs::write(&path, readme(kind, about, proof, norms)).map_err(write_error(&path))
}

fn readme(kind: &str, about: &About, proof: &Proof, norms: &BTreeMap<String, f64>) -> String {
    let mut text = String::new();
    let mut line = |words: std::fmt::Arguments<'_>| {
        // Writing to a text cannot fail.
        writeln!(text, "{words}").ok();
    };
    // YAML takes a JSON text for a quoted one.
    line(format_args!("---\nbase_model: {}", json!(about.base_model)));
    if kind == "adapter" {
        line(format_args!("library_name: peft"));
    }
    line(format_args!(
        "---\n\n# {}, step {}\n",
        about.run, about.step
    ));
    let what = if kind == "adapter" {
        "A LoRA adapter for"
    } else {
        "A merged model made from"
    };
    line(format_args!("{what} `{}`.\n", about.base_model));
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
    line(format_args!("## Measured\n"));
    for (name, words) in SHOWN {
        let found = about.metrics.iter().find(|(metric, _)| metric == name);
        if let Some((_, value)) = found {
            line(format_args!("- {words}: {value:.4}"));
        }
    }
    line(format_args!("\n## Checked after writing\n"));
    line(format_args!(
        "Read back from disk on {} probe prompts: logits equal those of the trained model to {:.1e}, and differ from the \
         base model by up to {:.3}. Outputs changed on {} of {} probe prompts.\n",
        proof.probes, proof.difference, proof.effect, proof.changed, proof.probes
    ));
    line(format_args!(
        "`probe.json` holds exact input ids and greedy output ids: any other runtime can be checked with them.\n"
    ));
    if !norms.is_empty() {
        line(format_args!("‖ΔW‖ by the kind of layer:\n"));
        for (layer, norm) in norms {
            line(format_args!("- `{layer}`: {norm:.4}"));
        }
        line(format_args!(""));
    }
    line(format_args!(
        "## Settings\n\n```toml\n{}\n```\n",
        about.settings.trim()
    ));
    line(format_args!(
        concat!("Made with nudge ", env!("CARGO_PKG_VERSION"), "{}."),
        today()
    ));
    text
}

fn today() -> String {
    let day = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    format!(" on {day}")
}
