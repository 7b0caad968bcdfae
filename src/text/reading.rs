//! The tokenizer's side of a model, whichever way it is stored.

use std::path::Path;

use super::{
    TextError,
    file::read_json,
    folder::{Folder, missing},
    gguf,
    sources::Sources,
};
use ::gguf::Gguf;

/// Reads a model folder, or a GGUF file. A `tokenizer.json` beside the file stands in for a tokenizer that cannot be
/// made from what the file says.
pub(super) fn read(model: &Path) -> Result<Folder, TextError> {
    let Some(file) = Gguf::find(model) else {
        return Folder::read(model);
    };
    gguf::read(&file).or_else(|error| match file.parent() {
        Some(beside) if beside.join("tokenizer.json").is_file() => Folder::read(beside),
        _ => Err(error),
    })
}

/// Whether a model has a chat template; errors where it has no tokenizer. Quick: a `tokenizer.json` is only looked for,
/// and nothing is compiled.
pub fn has_template(model: &Path) -> Result<bool, TextError> {
    if Gguf::find(model).is_some() {
        return Ok(read(model)?.templates.default.is_some());
    }
    if !model.join("tokenizer.json").is_file() {
        return Err(missing(model));
    }
    let settings = read_json(model, "tokenizer_config.json")?;
    Ok(Sources::read(model, &settings)?.default.is_some())
}
