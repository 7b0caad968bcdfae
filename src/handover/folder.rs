//! The folder that a run is trained from on another machine: everything that decides a number, what trains it, and how
//! that is started.

use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};

use files::FolderAside;
use model::adapter::{self, AdapterFormat, AdapterPart};
use store::{Project, RunId};
use train::{
    dataset::inputs,
    run::{host::Host, start::at_its_beginning},
};

use crate::{
    documents::{Documents, without_paths, write_held_out, write_proof},
    error::{HandoverError, Result, io, sentence},
    manifest::{Manifest, hex, name_of, of_model},
    refuse::{refuse, refuse_model},
};

/// What lies in every folder as it is.
const FIXED: [(&str, &str); 9] = [
    ("START.txt", include_str!("folder/START.txt")),
    ("train.py", include_str!("folder/train.py")),
    ("requirements.txt", include_str!("folder/requirements.txt")),
    ("accelerate/ddp.yaml", include_str!("folder/accelerate/ddp.yaml")),
    ("accelerate/fsdp2.yaml", include_str!("folder/accelerate/fsdp2.yaml")),
    ("launch/local.sh", include_str!("folder/launch/local.sh")),
    ("launch/slurm.sbatch", include_str!("folder/launch/slurm.sbatch")),
    ("launch/skypilot.yaml", include_str!("folder/launch/skypilot.yaml")),
    ("launch/trainjob.yaml", include_str!("folder/launch/trainjob.yaml")),
];

/// What was handed over.
#[derive(Debug)]
pub struct HandedOver {
    pub folder: PathBuf,
    pub steps: usize,
    /// The model that is needed there.
    pub model: String,
}

/// Writes the folder `to` for a run that was just recorded and takes it out of this process's hands. Where that fails
/// nothing is left of the folder, and the run is for whoever recorded it to remove.
pub fn hand_over(host: &mut dyn Host, project: &Path, run: RunId, to: &Path) -> Result<HandedOver> {
    let to = std::path::absolute(to).map_err(io("find", to))?;
    free(&to)?;
    let document = Project::open(project)?;
    let record = document.run(run)?;
    let config = record.config().map_err(HandoverError::Store)?;
    refuse(&config)?;
    // Told before the work, not behind it.
    of_model(&inputs::model_folder(&document, &config)?)?;
    let parent = to.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).map_err(io("create", parent))?;
    let aside = FolderAside::new(parent, ".nudge-handover-", None).map_err(io("write in", parent))?;
    let folder = aside.path().join("folder");
    can_be_made(&to)?;
    let Some(mut training) = at_its_beginning(host, document, &record)? else {
        return Err(HandoverError::Stopped);
    };
    let dtype = refuse_model(&training.trainer.policy, &training.config)?;
    for (name, text) in FIXED {
        write(&folder.join(name), |file| file.write_all(text.as_bytes()))?;
    }
    let toml = without_paths(&config).to_toml().map_err(|error| HandoverError::Sentence(error.to_string()))?;
    write(&folder.join("run.toml"), |file| file.write_all(toml.as_bytes()))?;
    let model = name_of(training.trainer.policy.folder());
    adapter::save(&training.trainer.policy, &folder.join("adapter"), AdapterFormat::Peft, AdapterPart::Newest, &model)?;
    let data = folder.join("data");
    write_lines(&data.join("proof.jsonl"), |file| write_proof(&training.dataset, file))?;
    write_lines(&data.join("eval.jsonl"), |file| write_held_out(&training, file))?;
    let documents = Documents::of(&mut training)?;
    write_lines(&data.join("steps.jsonl"), |file| documents.write_steps(file))?;
    write_lines(&data.join("docs.jsonl"), |file| documents.write_documents(&training, file))?;
    if host.signal().is_stop() {
        return Err(HandoverError::Stopped);
    }
    let nonce = hex(&rand::random::<[u8; 16]>());
    let policy = &training.trainer.policy;
    let manifest = Manifest::of((&record, &config), policy, (&nonce, dtype, documents.steps()), &folder)?;
    write(&folder.join("manifest.json"), |file| {
        serde_json::to_writer_pretty(&mut *file, &manifest).map_err(std::io::Error::from)
    })?;
    Project::open(project)?.set_away(run, &nonce)?;
    // An empty one may be there.
    fs::remove_dir(&to).ok();
    fs::rename(&folder, &to).map_err(io("put in its place", &to))?;
    Ok(HandedOver { folder: to, steps: documents.steps(), model })
}

/// Nothing that is there is overwritten.
fn free(to: &Path) -> Result<()> {
    match fs::read_dir(to).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Err(_) if fs::symlink_metadata(to).is_err() => Ok(()),
        Ok(false) | Err(_) => {
            sentence(format!("{} is there already, and nothing of it is overwritten; name a new folder", to.display()))
        }
    }
}

/// Whether a folder of this name may be made there; a name may be too long.
fn can_be_made(to: &Path) -> Result<()> {
    if to.is_dir() {
        return Ok(());
    }
    fs::create_dir(to).and_then(|()| fs::remove_dir(to)).map_err(io("make", to))
}

type Buffered = BufWriter<File>;

fn write(path: &Path, content: impl FnOnce(&mut Buffered) -> std::io::Result<()>) -> Result<()> {
    write_lines(path, |file| content(file).map_err(io("write", path)))
}

fn write_lines(path: &Path, content: impl FnOnce(&mut Buffered) -> Result<()>) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(io("create", parent))?;
    }
    let mut file = BufWriter::new(File::create(path).map_err(io("create", path))?);
    content(&mut file)?;
    let file = file.into_inner().map_err(|error| io("write", path)(error.into_error()))?;
    file.sync_all().map_err(io("write", path))
}
