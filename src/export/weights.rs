//! A trained policy as a folder that other tools read: the adapter alone, or merged into the model's own weights.
//!
//! Adapters that load elsewhere and do nothing are a common grief, and so are answers that differ because the template
//! did. So the tokenizer's files go along, `probe.json` holds exact ids that any runtime can be checked with, and
//! nothing is called exported before it was read back from disk and gave the policy's own logits.

use std::{
    fs,
    io::Read as _,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use serde_json::Value;

use model::{LoadError, Policy, adapter, write_merged};

use crate::{
    AdapterFormat, AdapterPart, ExportError, MergedOptions, OnPhase, Proof, Provenance, WeightType, What,
    aside::{Aside, write_error},
    card,
    proof::{self, Said},
};

/// What is exported, and what it is checked with.
pub struct Subject<'a> {
    pub policy: &'a Policy,
    /// The base model.
    pub folder: &'a Path,
    /// Prompts as token ids.
    pub probes: &'a [Vec<u32>],
    pub about: &'a Provenance,
    /// An earlier export of ours may be replaced.
    pub overwrite: bool,
}

const CHAT_TEMPLATE: &str = "chat_template.jinja";

/// Files of a model folder that decide how text becomes ids and when an answer ends.
const COMPANIONS: &[&str] = &[
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    CHAT_TEMPLATE,
    "chat_template.json",
    "generation_config.json",
];
/// Beside them, a folder of templates by name.
const MORE_TEMPLATES: &str = "additional_chat_templates";
/// As large as a tokenizer may be.
const LARGEST_COMPANION: u64 = 64 << 20;

/// Writes the policy's adapter into the folder `dir`: with those frozen below it, or the trained one alone.
pub fn adapter(
    subject: &Subject<'_>,
    layout: AdapterFormat,
    part: AdapterPart,
    dir: &Path,
    on_phase: &mut OnPhase<'_>,
) -> Result<Proof, ExportError> {
    if subject.policy.trains_its_weights() {
        return Err(ExportError::NoAdapter);
    }
    if part == AdapterPart::Newest && subject.about.continued.is_some() {
        return Err(ExportError::NotOnTop);
    }
    if subject.policy.has_scalar_head() && layout != AdapterFormat::Peft {
        return Err(ExportError::Reward);
    }
    let export = Export::begin(subject, What::Adapter { layout, part }, dir)?;
    let at = export.aside.path();
    phase(on_phase, "Writing the adapter", None)?;
    adapter::save(subject.policy, &at, layout, part, &subject.about.base_model)
        .map_err(|error| of_its_place(error, &at, &export.aside.target()))?;
    phase(on_phase, "Reading it back", None)?;
    let below: Vec<&Path> = match part {
        AdapterPart::Sum => Vec::new(),
        AdapterPart::Newest => subject.about.frozen.iter().map(PathBuf::as_path).collect(),
    };
    let adapters = [below.as_slice(), &[at.as_path()]].concat();
    let read_back = proof::load(subject.folder, &adapters)?;
    phase(on_phase, "Comparing it with the trained model", None)?;
    let bare = Said::of(&proof::load(subject.folder, &below)?, subject.probes)?;
    let proof = Proof::of(subject.policy, None, &read_back, &bare, subject.probes)?;
    write_companions(subject, &at)?;
    export.finish(proof, 1e-3, Vec::new(), on_phase)
}

/// Writes the whole model with its training folded in into the folder `dir`.
pub fn merged(
    subject: &Subject<'_>,
    dir: &Path,
    options: MergedOptions,
    on_phase: &mut OnPhase<'_>,
) -> Result<Proof, ExportError> {
    if subject.policy.has_scalar_head() {
        return Err(ExportError::Reward);
    }
    let export = Export::begin(subject, What::Merged(options), dir)?;
    let at = export.aside.path();
    phase(on_phase, "Writing the weights", Some(0.0))?;
    let on_share = &mut |share| on_phase("Writing the weights", Some(share));
    write_merged(subject.policy, subject.folder, &at, options, on_share)?;
    phase(on_phase, "Reading them back", None)?;
    let read_back = proof::load(&at, &[])?;
    // Half precision rounds what was learnt to its own grid.
    let tolerance = match coarsest(&at)? {
        WeightType::F32 => 1e-3,
        WeightType::F16 => 2e-2,
        WeightType::Bf16 => 2e-1,
    };
    phase(on_phase, "Comparing them with the trained model", None)?;
    let bare = Said::of(&proof::load(subject.folder, &[])?, subject.probes)?;
    let proof = Proof::of(subject.policy, None, &read_back, &bare, subject.probes)?;
    write_companions(subject, &at)?;
    export.finish(proof, tolerance, Vec::new(), on_phase)
}

/// What cannot be written is told of the place where it was to be, not of the folder in the making.
fn of_its_place(error: LoadError, made: &Path, target: &Path) -> LoadError {
    match error {
        LoadError::Adapter { path, reason } if path == made => LoadError::Adapter { path: target.to_owned(), reason },
        error => error,
    }
}

pub(super) fn phase(on_phase: &mut OnPhase<'_>, what: &str, share: Option<f32>) -> Result<(), ExportError> {
    match on_phase(what, share) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(ExportError::Stopped),
    }
}

/// A folder in the making.
pub(super) struct Export<'a> {
    subject: &'a Subject<'a>,
    what: What,
    pub(super) aside: Aside,
}

impl<'a> Export<'a> {
    pub(super) fn begin(subject: &'a Subject<'a>, what: What, dir: &Path) -> Result<Self, ExportError> {
        if subject.probes.is_empty() {
            return Err(ExportError::NoProbe);
        }
        let aside = Aside::new(dir, subject.overwrite)?;
        Ok(Self { subject, what, aside })
    }

    /// Judges the proof, writes what the folder says of itself, and puts it in its place. `tolerance` is a share of the
    /// largest logit; `remarks` are what other programs do otherwise.
    pub(super) fn finish(
        self,
        (proof, answers): (Proof, Value),
        tolerance: f64,
        remarks: Vec<String>,
        on_phase: &mut OnPhase<'_>,
    ) -> Result<Proof, ExportError> {
        let Subject { policy, about, .. } = *self.subject;
        let target = || self.aside.target();
        if proof.difference.is_nan() || proof.difference > tolerance * proof.largest {
            return Err(ExportError::Differs { path: target(), difference: proof.difference });
        }
        // Asked for at no strength, the model without its training is what was meant.
        if proof.effect == 0.0 && about.strength.as_percent() > 0 {
            return Err(ExportError::NoEffect { path: target() });
        }
        let path = self.aside.path();
        let probe_file = path.join("probe.json");
        fs::write(&probe_file, format!("{answers:#}\n")).map_err(write_error(&probe_file))?;
        let card = card::Card {
            what: self.what,
            about,
            proof,
            stored: matches!(self.what, What::Merged(_)).then(|| coarsest(&path)).transpose()?,
            norms: policy.adapter_norms()?,
            remarks,
        };
        card.write(&path)?;
        phase(on_phase, "Putting it in its place", None)?;
        self.aside.finish()?;
        Ok(proof)
    }
}

/// The coarsest element type among the weight files that were just written, from their headers.
fn coarsest(dir: &Path) -> Result<WeightType, ExportError> {
    let mut coarsest = WeightType::F32;
    for entry in fs::read_dir(dir).map_err(write_error(dir))? {
        let path = entry.map_err(write_error(dir))?.path();
        if path.extension().is_none_or(|kind| kind != "safetensors") {
            continue;
        }
        let mut file = fs::File::open(&path).map_err(write_error(&path))?;
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(write_error(&path))?;
        let mut header = String::new();
        file.take(u64::from_le_bytes(length)).read_to_string(&mut header).map_err(write_error(&path))?;
        if header.contains(r#""BF16""#) {
            return Ok(WeightType::Bf16);
        }
        if header.contains(r#""F16""#) {
            coarsest = WeightType::F16;
        }
    }
    Ok(coarsest)
}

/// The named templates of a folder, as paths from there.
fn more_templates(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join(MORE_TEMPLATES)).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let is_template = |name: &String| Path::new(name).extension().is_some_and(|extension| extension == "jinja");
    names.filter(is_template).map(|name| format!("{MORE_TEMPLATES}/{name}")).collect()
}

fn write_companions(subject: &Subject<'_>, dir: &Path) -> Result<(), ExportError> {
    let folder = subject.folder;
    let all = COMPANIONS.iter().map(|name| (*name).to_owned()).chain(more_templates(folder));
    for name in all {
        let path = dir.join(&name);
        let from = match files::inside(folder, &name) {
            Ok(from) => from,
            Err(error) if error.is_missing() => continue,
            Err(error) => return Err(LoadError::from(error).into()),
        };
        // Contents only: a model folder is often read-only, what is exported from it need not be.
        let bytes = files::read(&from, LARGEST_COMPANION).map_err(LoadError::from)?;
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(write_error(parent))?;
        }
        fs::write(&path, bytes).map_err(write_error(&path))?;
    }
    if let Some(template) = &subject.about.plain_style {
        let file = dir.join(CHAT_TEMPLATE);
        fs::write(&file, template).map_err(write_error(&file))?;
    }
    Ok(())
}
