//! The whole model as one GGUF file, with its tokenizer and template inside, for llama.cpp and what is built on it.
//!
//! Its proof is stricter than "about the same": the trained weights are rounded once more in memory, and what is read
//! back from the file must give the logits of that, but for the order of sums. What the rounding itself moves is
//! measured apart and told. The tokenizer is read back too and compared with the base's own.

use std::{fs, path::Path};

use ::gguf::build::Build;
use model::write_gguf;
use text::{Codec, VARIED_WORDS};

use crate::{
    ExportError, GgufType, OnPhase, Proof, Provenance, Subject, What,
    aside::write_error,
    modelfile,
    proof::{self, Said},
    weights::{Export, phase},
};

/// What Ollama reads.
pub(super) const MODELFILE: &str = "Modelfile";
/// A share of the largest logit: the same numbers, added up in another order.
const TOLERANCE: f64 = 1e-3;

/// Writes the model with its training folded in into the folder `dir`. Also gives what llama.cpp does otherwise than
/// the base model's own tokenizer, as sentences.
pub fn gguf(
    subject: &Subject<'_>,
    kind: GgufType,
    dir: &Path,
    on_phase: &mut OnPhase<'_>,
) -> Result<(Proof, Vec<String>), ExportError> {
    let Subject { policy, folder, probes, about, .. } = *subject;
    if subject.policy.has_scalar_head() {
        return Err(ExportError::Reward);
    }
    let export = Export::begin(subject, What::Gguf(kind), dir)?;
    phase(on_phase, "Reading the tokenizer", None)?;
    let codec = Codec::load(folder)?;
    let fields = codec.gguf_fields(folder, policy.spec().vocab_size, about.plain_style.as_deref())?;
    phase(on_phase, "Loading the model without its training", None)?;
    let mut rounded = proof::load_writable(folder)?;
    let bare = Said::of(&rounded, probes)?;

    let at = export.aside.path();
    fs::create_dir_all(&at).map_err(write_error(&at))?;
    let name = file_name(about, kind);
    let file = at.join(&name);
    phase(on_phase, "Writing the weights", Some(0.0))?;
    let on_share = &mut |share| on_phase("Writing the weights", Some(share));
    let on_tensor = &mut |name: &str, values| rounded.set_tensor(name, values);
    let fields = Build::default().text("general.name", &title(about)).with(fields);
    write_gguf(policy, folder, &file, fields, kind, on_share, on_tensor)?;

    phase(on_phase, "Reading them back", None)?;
    let read_back = proof::load(&file, &[])?;
    let own = Codec::load(&file)?;
    phase(on_phase, "Comparing them with the trained model", None)?;
    let proof = Proof::of(policy, Some(&rounded), &read_back, &bare, probes)?;
    let mut remarks = text_remarks(&codec, &own, probes);
    if let Some(window) = policy.spec().layers.iter().find_map(|layer| layer.window)
        && read_back.spec().layers.iter().all(|layer| layer.window.is_some())
    {
        remarks.push(format!(
            "Each token of this model sees the last {window} tokens; llama.cpp may let it see all, so texts longer than that \
             can be answered otherwise"
        ));
    }
    let ollama = at.join(MODELFILE);
    fs::write(&ollama, modelfile::modelfile(&codec, &name)).map_err(write_error(&ollama))?;
    let proof = export.finish(proof, TOLERANCE, remarks.clone(), on_phase)?;
    Ok((proof, remarks))
}

/// "my-run-step-120-q8_0.gguf".
pub(super) fn file_name(about: &Provenance, kind: GgufType) -> String {
    let name = about.run.replace(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.', "-");
    let parts: Vec<&str> = name.split('-').filter(|part| !part.is_empty()).collect();
    let strength = match about.strength.as_percent() {
        100 => String::new(),
        percent => format!("-{percent}-percent"),
    };
    format!("{}-step-{}{strength}-{}.gguf", parts.join("-"), about.step, kind.name())
}

fn title(about: &Provenance) -> String {
    format!("{}, step {}", about.run, about.step)
}

/// Where the tokenizer in the file makes other ids than the base model's.
fn text_remarks(base: &Codec, own: &Codec, probes: &[Vec<u32>]) -> Vec<String> {
    let mut remarks = Vec::new();
    let differs = |text: &str| own.encode(text) != base.encode(text);
    let prompts = probes.iter().filter(|ids| differs(&base.decode_all(ids))).count();
    if prompts > 0 {
        remarks.push(format!(
            "llama.cpp makes other token ids than the model was trained on of {prompts} of {} probe prompts: its answers can be \
             worse than those in Nudge. Hand it ids, or use the merged folder",
            probes.len()
        ));
    } else if differs(VARIED_WORDS) || own.bos() != base.bos() {
        remarks.push(
            "Of the probe prompts llama.cpp makes the token ids that the model was trained on, but not of every text: its \
             tokenizer differs in how a text begins, or in rare letters"
                .to_owned(),
        );
    }
    let mut missing = base.stop_ids().iter().filter(|id| !own.stop_ids().contains(id)).peekable();
    if missing.peek().is_some() {
        let tokens: Vec<String> = missing.map(|id| format!("`{}`", base.token(*id))).collect();
        remarks.push(format!("llama.cpp may not end an answer at {}", tokens.join(", ")));
    }
    remarks
}
