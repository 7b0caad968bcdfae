//! Exports of a run: the form, the one that is going, and what its proof said.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use engine::protocol::{AdapterStrength, Exported, Proof, WhichCheckpoint};
use serde::{Deserialize, Serialize};
use store::RunId;

use super::projects::typed_path;

/// What an export looks like on the disk. All that is offered is in [`ExportKind::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ExportKind {
    #[default]
    Adapter,
    Mlx,
    Gguf,
    Merged,
    /// The merged model as one GGUF file.
    GgufModel,
    /// A page about the run, for people.
    Report,
}

impl ExportKind {
    /// First the adapters, then what stands alone.
    pub const ALL: [Self; 6] = [Self::Adapter, Self::Mlx, Self::Gguf, Self::Merged, Self::GgufModel, Self::Report];

    pub fn title(self) -> &'static str {
        match self {
            Self::Adapter => "PEFT",
            Self::Mlx => "MLX",
            Self::Gguf => "GGUF",
            Self::Merged => "Merged",
            Self::GgufModel => "GGUF model",
            Self::Report => "Report",
        }
    }

    /// The same in a sentence: "Merged model of step 120 is written".
    pub fn noun(self) -> &'static str {
        match self {
            Self::Adapter => "PEFT adapter",
            Self::Mlx => "MLX adapter",
            Self::Gguf => "GGUF adapter",
            Self::Merged => "Merged model",
            Self::GgufModel => "GGUF model",
            Self::Report => "Report",
        }
    }

    /// One sentence: what it is good for.
    pub fn about(self) -> &'static str {
        match self {
            Self::Adapter => "A small folder that PEFT, Transformers and vLLM load on top of the base model",
            Self::Mlx => "A small folder that mlx-lm loads on top of the base model",
            Self::Gguf => "An adapter as one file that llama.cpp loads on top of the base model",
            Self::Merged => "A whole model folder with the training folded into its weights",
            Self::GgufModel => {
                "The whole model as one file, tokenizer and template inside, for llama.cpp, LM Studio and Ollama"
            }
            Self::Report => {
                "One page about the run for people: settings, data, curves, what changed. A name in .md makes it Markdown"
            }
        }
    }

    /// The end of the folder's or file's name when none is typed.
    fn suffix(self) -> &'static str {
        match self {
            Self::Adapter => "adapter",
            Self::Mlx => "mlx",
            Self::Gguf => "gguf",
            Self::Merged => "merged",
            Self::GgufModel => "gguf-model",
            Self::Report => "report.html",
        }
    }

    /// One file, not a folder.
    pub fn is_file(self) -> bool {
        self == Self::Report
    }

    /// What its numbers may be stored as, the one that is proposed first; none where one cannot say.
    pub fn types(self) -> &'static [StoredAs] {
        use StoredAs::{Base, Bf16, F16, F32, Q4_0, Q4K, Q8_0};
        match self {
            Self::Adapter | Self::Mlx | Self::Gguf | Self::Report => &[],
            Self::Merged => &[Base, F32, F16, Bf16],
            Self::GgufModel => &[Q8_0, Q4K, Q4_0, F16, Bf16, F32],
        }
    }
}

/// What the numbers of a merged model are stored as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum StoredAs {
    /// As the base model has them.
    #[default]
    Base,
    F32,
    F16,
    Bf16,
    Q8_0,
    Q4K,
    Q4_0,
}

impl StoredAs {
    pub fn title(self) -> &'static str {
        match self {
            Self::Base => "As the base model",
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::Q8_0 => "Q8_0, 8.5 bits",
            Self::Q4K => "Q4_K, 4.5 bits",
            Self::Q4_0 => "Q4_0, 4.5 bits",
        }
    }
}

/// What a checkpoint is called.
pub fn title_of(which: WhichCheckpoint) -> String {
    match which {
        WhichCheckpoint::Newest => "Newest checkpoint".to_owned(),
        WhichCheckpoint::Best => "Best on held-out pairs".to_owned(),
        WhichCheckpoint::Step(step) => format!("Step {step}"),
    }
}

/// The form, as it is filled.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct ExportForm {
    pub layout: ExportKind,
    pub stored: StoredAs,
    /// How much of what was trained goes out, in percent.
    #[serde(skip)]
    pub strength: u16,
    #[serde(skip)]
    pub which: WhichCheckpoint,
    /// A folder, or a report's file; empty: made from the run's name.
    #[serde(skip)]
    pub target: String,
}

impl Default for ExportForm {
    fn default() -> Self {
        Self {
            layout: ExportKind::default(),
            stored: StoredAs::default(),
            strength: AdapterStrength::default().as_percent(),
            which: WhichCheckpoint::default(),
            target: String::new(),
        }
    }
}

impl ExportForm {
    /// What the numbers are stored as: what was chosen, if this kind of export has it.
    pub fn stored(&self) -> StoredAs {
        let types = self.layout.types();
        let chosen = types.iter().find(|known| **known == self.stored);
        chosen.or(types.first()).copied().unwrap_or_default()
    }

    /// Where the export goes: what was typed, or a name after the run's among the project's exports.
    pub fn target(&self, project: &Path, run: &str) -> PathBuf {
        typed_path(&self.target).unwrap_or_else(|| {
            let name = run.replace(|letter: char| !letter.is_alphanumeric() && letter != '.', "-");
            let parts = name.split('-').filter(|part| !part.is_empty());
            let name: Vec<&str> = parts.chain([self.layout.suffix()]).collect();
            project.join("exports").join(name.join("-"))
        })
    }
}

/// Everything that an export needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportPlan {
    pub run: RunId,
    pub layout: ExportKind,
    pub stored: StoredAs,
    /// In percent.
    pub strength: u16,
    pub which: WhichCheckpoint,
    /// A folder, or a report's file.
    pub to: PathBuf,
    /// An earlier export there may be replaced.
    pub replace: bool,
}

/// Shared with the thread that exports.
#[derive(Debug, Default)]
pub struct ExportControl {
    cancelled: AtomicBool,
    heard: AtomicUsize,
    phase: Mutex<String>,
}

impl ExportControl {
    /// Phases of an export of weights.
    const PHASES: f32 = 6.0;

    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    pub fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    pub fn set_phase(&self, phase: &str) {
        let mut now = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        phase.clone_into(&mut now);
        self.heard.fetch_add(1, Ordering::AcqRel);
    }

    /// The same, where the share of a phase that is done is known.
    pub fn set_share(&self, phase: &str, share: f32) {
        if share <= 0.0 {
            self.set_phase(phase);
            return;
        }
        let mut now = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        *now = format!("{phase}, {:.0} %", 100.0 * share);
    }

    /// What is going on, in words.
    pub fn phase(&self) -> String {
        let now = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        now.clone()
    }

    /// About how much is done.
    pub fn share(&self) -> f32 {
        let heard = self.heard.load(Ordering::Acquire) as f32;
        ((heard - 1.0) / Self::PHASES).clamp(0.0, 1.0)
    }
}

/// An export that was proven and is in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportDone {
    pub plan: ExportPlan,
    pub bytes: u64,
    pub exported: Exported,
}

/// What reading weights back from the disk found, a sentence each.
pub fn sentences(proof: &Proof) -> Vec<String> {
    let prompts = |count: usize| format!("{count} prompt{}", if count == 1 { "" } else { "s" });
    let whose = match proof.rounding {
        None => "the trained model's own logits",
        Some(_) => "the logits of the trained model with rounded weights",
    };
    let equal =
        format!("Read back from the disk, it gives {whose} on {}, {}", prompts(proof.probes), proof.closeness());
    let rounding = proof.rounding.map(|rounding| {
        format!(
            "Rounding moves its logits by up to {rounding:.3}, the training moved them by up to {:.3}",
            proof.effect
        )
    });
    let differs = match proof.rounding {
        Some(_) => None,
        None => {
            Some(format!("Its logits differ from the base model's by up to {:.3}: the training is in it", proof.effect))
        }
    };
    let changed = format!("The likeliest answer changed on {} of {}", proof.changed, prompts(proof.probes));
    [Some(equal), rounding, differs, Some(changed)].into_iter().flatten().collect()
}

/// Where exporting stands; one at a time.
#[derive(Debug, Default)]
pub enum Exporting {
    #[default]
    Idle,
    UnderWay {
        plan: ExportPlan,
        control: Arc<ExportControl>,
    },
    Done(Box<ExportDone>),
    Failed {
        plan: ExportPlan,
        /// A sentence.
        error: String,
        /// An earlier export is in the way; the same with `replace` would go through.
        replaceable: bool,
    },
}

impl Exporting {
    pub fn is_under_way(&self) -> bool {
        matches!(self, Self::UnderWay { .. })
    }
}

#[derive(Debug, Clone)]
pub enum ExportCommand {
    Start(Box<ExportPlan>),
    Cancel,
    /// Ask for the target with a file dialog: a folder, or the file of a report.
    PickTarget(ExportKind),
    SetTarget(PathBuf),
    /// The result has been read.
    Close,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_has_a_place_before_one_is_typed() {
        let mut form = ExportForm::default();
        let project = Path::new("/tides");
        let target = form.target(project, "MPO anchored-sum β 0.1 / 3");
        assert_eq!(target, Path::new("/tides/exports/MPO-anchored-sum-β-0.1-3-adapter"));
        form.target = " ~/out ".to_owned();
        assert!(form.target(project, "x").ends_with("out"));
    }

    #[test]
    fn the_proof_is_told_in_words() {
        let proof = Proof { probes: 5, difference: 1.2e-5, rounding: None, largest: 9.0, effect: 3.25, changed: 4 };
        let [equal, differs, changed] = <[String; 3]>::try_from(sentences(&proof)).unwrap();
        assert!(equal.ends_with("on 5 prompts, to 1.2e-5"), "{equal}");
        assert!(differs.contains("by up to 3.250"), "{differs}");
        assert!(changed.ends_with("on 4 of 5 prompts"), "{changed}");
        let exact = Proof { difference: 0.0, ..proof };
        assert!(sentences(&exact)[0].ends_with("on 5 prompts, to the bit"));
        let rounded = sentences(&Proof { rounding: Some(0.25), ..proof });
        assert!(rounded[0].contains("rounded weights") && rounded[1].contains("by up to 0.250"), "{rounded:?}");
    }

    #[test]
    fn a_type_is_one_that_the_kind_of_export_has() {
        let mut form = ExportForm { stored: StoredAs::Bf16, ..ExportForm::default() };
        assert_eq!(form.stored(), StoredAs::Base);
        form.layout = ExportKind::GgufModel;
        assert_eq!(form.stored(), StoredAs::Bf16);
        form.stored = StoredAs::Base;
        assert_eq!(form.stored(), StoredAs::Q8_0);
    }

    #[test]
    fn progress_never_runs_past_its_end() {
        let control = ExportControl::default();
        assert_eq!(control.share(), 0.0);
        for _ in 0..30 {
            control.set_phase("Comparing");
        }
        assert_eq!(control.share(), 1.0);
        assert_eq!(control.phase(), "Comparing");
        assert!(!control.cancelled());
    }
}
