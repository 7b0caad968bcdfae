//! What a run has learnt on another machine, home again: looked at as a stranger's, proven by scoring documents here,
//! then a checkpoint of the run like any other.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use data::counted;
use model::Doc;
use serde::Deserialize;
use store::{Away, LogLevel, Project, RunId, RunRecord, RunStatus};
use train::{
    dataset::inputs,
    run::{
        checkpoint::{self, Trained},
        host::Host,
        start::back_at_its_beginning,
        training::Training,
    },
};

use crate::{
    documents::{proof, scores},
    error::{HandoverError, Result, sentence},
    follow::Follower,
    manifest::{Tolerance, sha256},
    places::{attempts, handed_in},
    refuse::refuse_model,
    told::on_one_line,
};

/// Of some documents the log-probs of each answer; a proof has no reason to be longer, in bytes.
const LONGEST_PROOF: u64 = 1 << 20;
const ADAPTER: &str = "adapter/adapter_model.safetensors";

/// Which of what came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WantedBack {
    /// That of this step, else the newest.
    pub step: Option<u64>,
    /// Even if the documents scored here say otherwise.
    pub unproven: bool,
}

/// What is a checkpoint of the run now.
#[derive(Debug)]
pub struct TakenBack {
    pub step: u64,
    pub total: u64,
    pub from: PathBuf,
    pub checkpoint: PathBuf,
    /// The largest difference between a log-prob of an answer there and here, in nats, and among how many.
    pub worst: f64,
    pub answers: usize,
    /// Why it proves nothing, where it was wanted all the same.
    pub doubt: Option<String>,
}

/// `proof.json`.
#[derive(Debug, Deserialize)]
struct Proof {
    nonce: String,
    step: u64,
    adapter_sha256: String,
    /// Σ log π of each answer, by the document's number.
    sums: HashMap<String, Vec<f64>>,
}

impl Proof {
    /// Of an adapter that lies there too.
    fn read(place: &Path) -> Result<Self> {
        let path = files::inside(place, "proof.json")?;
        let text = files::read_text(&path, LONGEST_PROOF)?;
        let proof = serde_json::from_str(&text).map_err(|error| {
            HandoverError::Sentence(format!("{} is no proof: {error}; copy it once more", path.display()))
        })?;
        let adapter = place.join(ADAPTER);
        if std::fs::symlink_metadata(&adapter).is_err() {
            return sentence(format!("{} is missing; copy it too", adapter.display()));
        }
        Ok(proof)
    }
}

/// Takes back what lies in `dir`: the handed-over folder, its `out`, an attempt, or an adapter with its proof. What was
/// told beside it is taken in too.
pub fn take_back(host: &mut dyn Host, project: &Path, run: RunId, dir: &Path, wanted: WantedBack) -> Result<TakenBack> {
    let document = Project::open(project)?;
    let record = document.run(run)?;
    let Some(away) = &record.away else {
        return sentence(format!(
            "Run {} is not away: it was never handed over, or it has gone on here since; what it learnt there is an adapter like any other (`nudge score --adapter`)",
            run.0
        ));
    };
    let (from, proof_there) = find(dir, away, &record, wanted.step)?;
    let adapter = files::inside(&from, ADAPTER)?;
    let Some(mut training) = back_at_its_beginning(host, document, &record)? else {
        return Err(HandoverError::Stopped);
    };
    if training.length.steps != record.total_steps {
        return sentence(format!(
            "Run {} would have {} steps on the data as it is read now, and was handed over with {}: a file that it reads was changed since",
            run.0, training.length.steps, record.total_steps
        ));
    }
    let dtype = refuse_model(&training.trainer.policy, &training.config)?;
    // f32 numbers and the names in front of them.
    let limit = 4 * training.trainer.policy.trainable_parameters() as u64 + (16 << 20);
    if sha256(&adapter, limit)? != proof_there.adapter_sha256 {
        return sentence(format!(
            "{} is not the file that its proof.json is of: it was changed, or not copied to its end; copy it once more",
            adapter.display()
        ));
    }
    for _ in 0..proof_there.step {
        training.pass_ahead();
    }
    training.trainer.policy.load_trainable(&adapter)?;
    if !training.trainer.policy.parameters().are_finite().map_err(HandoverError::Policy)? {
        return sentence(format!("{} holds values that are not numbers", adapter.display()));
    }
    let compared = compare(&training, &proof_there, Tolerance::of(dtype))?;
    if let (Some(doubt), false) = (&compared.doubt, wanted.unproven) {
        return sentence(format!(
            "{doubt}. Nothing was taken back; with --unproven it is, as a checkpoint that says so"
        ));
    }
    let mut follower = Follower::of_return(project, run)?;
    follower.look(dir)?;
    let checkpoint = keep(project, &record, &mut training, proof_there.step, &compared)?;
    let Compared { worst, answers, doubt } = compared;
    Ok(TakenBack { step: proof_there.step, total: record.total_steps, from, checkpoint, worst, answers, doubt })
}

/// The run stands as one that was stopped: it does not come back.
pub fn give_up(project: &Project, record: &RunRecord) -> Result<()> {
    if record.status != RunStatus::Away {
        return sentence(format!("Run {} is not away, it is {}", record.id.0, record.status));
    }
    project.append_mark(record.id, record.step, LogLevel::Info, "Given up on the other machine")?;
    Ok(project.set_run_status(record.id, RunStatus::Stopped, None)?)
}

/// Where the adapter lies, and its proof.
fn find(dir: &Path, away: &Away, record: &RunRecord, step: Option<u64>) -> Result<(PathBuf, Proof)> {
    let mut found: Vec<(PathBuf, Proof)> = Vec::new();
    let (mut others, mut damaged) = (None, None);
    for place in attempts(dir).iter().flat_map(|(_, attempt)| handed_in(attempt)) {
        let path = place.join("proof.json");
        // One that was not copied to its end hides none that was.
        let proof = match Proof::read(&place) {
            Ok(proof) => proof,
            Err(error) => {
                damaged = Some(error);
                continue;
            }
        };
        if proof.nonce == away.nonce && (1..=record.total_steps).contains(&proof.step) {
            found.push((place, proof));
        } else {
            let has = (proof.nonce, proof.step);
            others.get_or_insert((path, has));
        }
    }
    let there: Vec<String> = found.iter().map(|(_, proof)| proof.step.to_string()).collect();
    let fits = |proof: &Proof| step.is_none_or(|step| proof.step == step);
    // Of one step the newest attempt's, which comes last.
    if let Some(newest) = found.into_iter().filter(|(_, proof)| fits(proof)).max_by_key(|(_, proof)| proof.step) {
        return Ok(newest);
    }
    sentence(match (step, others) {
        (Some(step), _) if !there.is_empty() => {
            format!("There is nothing of step {step} in {}; there are {}", dir.display(), there.join(", "))
        }
        (_, Some((path, (nonce, step)))) if nonce == away.nonce => {
            format!("{} is of step {step}, and run {} has {}", path.display(), record.id.0, record.total_steps)
        }
        (_, Some((path, (nonce, _)))) => format!(
            "{} is of another hand-over: {}; run {} is {}",
            path.display(),
            on_one_line(&nonce),
            record.id.0,
            away.nonce
        ),
        (_, None) if damaged.is_some() => return damaged.map_or(Err(HandoverError::Stopped), Err),
        _ => format!(
            "There is no adapter with its proof.json in {}: copy adapter/ and proof.json of out/ATTEMPT or of its checkpoint-STEP/nudge, with whole.json beside that",
            dir.display()
        ),
    })
}

struct Compared {
    worst: f64,
    answers: usize,
    doubt: Option<String>,
}

/// Scores documents here with what came back.
fn compare(training: &Training, there: &Proof, tolerance: Tolerance) -> Result<Compared> {
    let docs: Vec<&Doc> = proof(&training.dataset);
    let here = scores(training, &docs)?;
    let mut compared = Compared { worst: 0.0, answers: 0, doubt: None };
    for (d, (doc, here)) in docs.iter().zip(&here).enumerate() {
        let Some(sums) = there.sums.get(&d.to_string()).filter(|sums| sums.len() == here.len()) else {
            compared.doubt.get_or_insert_with(|| format!("proof.json says nothing of document {d}"));
            continue;
        };
        for ((here, there), answer) in here.iter().zip(sums).zip(&doc.continuations) {
            compared.answers += 1;
            compared.worst = compared.worst.max((here - there).abs());
            if !tolerance.allows(*here, *there, answer.len()) {
                compared.doubt.get_or_insert_with(|| {
                    format!("Document {d} has the log-prob {here:.4} here and {there:.4} there: that adapter, or the model under it, is another one")
                });
            }
        }
    }
    Ok(compared)
}

/// As a checkpoint of the run.
fn keep(
    project: &Path,
    record: &RunRecord,
    training: &mut Training,
    step: u64,
    compared: &Compared,
) -> Result<PathBuf> {
    let mut document = Project::open(project)?;
    let wall_ms = document.step_times(record.id)?.into_iter().take_while(|(at, _)| *at <= step).last();
    training.state.wall_ms = wall_ms.map_or(0, |(_, ms)| ms);
    training.state.proven = step;
    let model = inputs::model_folder(&document, &training.config)?;
    let folder = record.checkpoints.last().cloned().unwrap_or_default();
    let trained = Trained { policy: &training.trainer.policy, optimizer: &training.trainer.optimizer, critic: None };
    let checkpoint = checkpoint::save(&folder, trained, &training.state, &model.to_string_lossy())?;
    let answers = counted(compared.answers, "answer", "answers");
    let said = match &compared.doubt {
        None => format!("proven here on {answers}, none further off than {:.1e}", compared.worst),
        Some(doubt) => format!("not proven: {doubt}"),
    };
    let level = if compared.doubt.is_some() { LogLevel::Warning } else { LogLevel::Info };
    let text = format!("Step {step} was taken back, {said}. The moments of AdamW stayed there and begin anew");
    if document.series(record.id, "loss", None)?.is_empty() {
        // Nothing was heard of it, but it has come so far.
        document.append_step(record.id, step, training.state.wall_ms, &[])?;
    }
    document.append_mark(record.id, step, level, &text)?;
    let is_whole = step == record.total_steps || record.status == RunStatus::Completed;
    let status = if is_whole { RunStatus::Completed } else { RunStatus::Stopped };
    document.set_run_status(record.id, status, None)?;
    Ok(checkpoint)
}
