//! Which files of a repository are fetched: what Nudge reads, and of weights one kind only.
//!
//! Never a pickle, never a second copy of the weights (`original/`, `onnx/`, `consolidated.safetensors`): what is
//! fetched is a list of names, and everything else stays where it is.

use model::{ModelName, Spec, check_file, is_gguf};

use super::{
    HubError,
    listing::{Listing, Remote},
};

pub(super) const CONFIG: &str = "config.json";
pub(super) const INDEX: &str = "model.safetensors.index.json";
const SINGLE: &str = "model.safetensors";
const TOKENIZER: &str = "tokenizer.json";
/// Everything that is read besides weights; what a repository does not have is not missed.
const SETTINGS: [&str; 7] = [
    "generation_config.json",
    TOKENIZER,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
    "additional_chat_templates/tool_use.jinja",
];
const ADAPTER: [&str; 2] = ["adapter_config.json", "adapter_model.safetensors"];
const PICKLES: [&str; 6] = ["bin", "pt", "pth", "ckpt", "h5", "msgpack"];

/// What is fetched of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) kind: Kind,
    /// Small ones first; of weights in shards only the index, which names the shards.
    pub(super) files: Vec<Remote>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A Hugging Face folder with a config to look at first.
    Folder,
    /// This GGUF file.
    Gguf(String),
    /// A PEFT adapter.
    Adapter,
}

/// Chooses, or says why there is nothing to choose.
pub(super) fn choose(name: &ModelName, listing: &Listing) -> Result<Choice, HubError> {
    if let Some(file) = name.file() {
        return gguf(name, listing, file);
    }
    let has = |file: &str| listing.file(file).is_some();
    let unsupported = |reason: String| HubError::Unsupported { repo: name.repo().to_owned(), reason };
    // What is read of a folder with both, here and in Transformers.
    let weights = if has(SINGLE) { SINGLE } else { INDEX };
    if has(weights) && has(CONFIG) {
        if !has(TOKENIZER) {
            return Err(unsupported(format!("it has no {TOKENIZER}, only an older kind of tokenizer or none")));
        }
        // An adapter beside the weights is applied with them.
        let beside = ADAPTER.into_iter().filter(|_| ADAPTER.into_iter().all(has));
        return Ok(Choice {
            kind: Kind::Folder,
            files: present(listing, [CONFIG].into_iter().chain(SETTINGS).chain(beside).chain([weights])),
        });
    }
    if ADAPTER.into_iter().all(has) {
        return Ok(Choice { kind: Kind::Adapter, files: present(listing, ADAPTER) });
    }
    match gguf_files(listing).as_slice() {
        [] => Err(unsupported(nothing_to_read(listing))),
        [only] => gguf(name, listing, only),
        _ => Err(HubError::WhichFile { name: name.clone(), gguf: sizes(listing) }),
    }
}

/// A GGUF file, and what may stand in for its tokenizer.
fn gguf(name: &ModelName, listing: &Listing, file: &str) -> Result<Choice, HubError> {
    let unsupported = |reason: String| HubError::Unsupported { repo: name.repo().to_owned(), reason };
    let Some(weights) = listing.file(file) else {
        return Err(HubError::NoSuchFile { name: name.clone(), file: file.to_owned(), gguf: sizes(listing) });
    };
    if is_one_of_many(file) {
        return Err(unsupported(format!(
            "{file} is one part of several, and only GGUF files in one piece can be read"
        )));
    }
    if let Some(architecture) = &listing.architecture {
        Spec::check_gguf(architecture).map_err(unsupported)?;
    }
    let mut files = present(listing, SETTINGS);
    files.push(weights.clone());
    Ok(Choice { kind: Kind::Gguf(file.to_owned()), files })
}

fn present<'a>(listing: &Listing, names: impl IntoIterator<Item = &'a str>) -> Vec<Remote> {
    names.into_iter().filter_map(|name| listing.file(name).cloned()).collect()
}

/// GGUF files that can be read, by name.
fn gguf_files(listing: &Listing) -> Vec<&str> {
    listing
        .files
        .iter()
        .map(|file| file.name.as_str())
        .filter(|name| is_gguf(name) && check_file(name).is_ok() && !is_one_of_many(name))
        .collect()
}

/// The same with their sizes.
fn sizes(listing: &Listing) -> Vec<(String, u64)> {
    gguf_files(listing)
        .into_iter()
        .filter_map(|name| listing.file(name))
        .map(|file| {
            let bytes = file.stamp.as_ref().map_or(0, |stamp| stamp.bytes);
            (file.name.clone(), bytes)
        })
        .collect()
}

/// `name-00001-of-00003.gguf`.
fn is_one_of_many(file: &str) -> bool {
    let Some((start, count)) =
        file.get(..file.len().saturating_sub(".gguf".len())).and_then(|stem| stem.rsplit_once("-of-"))
    else {
        return false;
    };
    let digits = |text: &str| text.len() == 5 && text.bytes().all(|digit| digit.is_ascii_digit());
    let place = start.rsplit_once('-').map_or("", |(_, place)| place);
    digits(count) && digits(place)
}

fn nothing_to_read(listing: &Listing) -> String {
    let has = |file: &str| listing.file(file).is_some();
    if has(SINGLE) || has(INDEX) {
        return format!("it has no {CONFIG}");
    }
    if listing.files.iter().any(|file| is_gguf(&file.name)) {
        return "its GGUF files are split into parts, and only those in one piece can be read".to_owned();
    }
    let pickle = listing.files.iter().find(|file| {
        let ending = file.name.rsplit_once('.').map_or("", |(_, ending)| ending);
        PICKLES.contains(&ending)
    });
    match pickle {
        Some(file) => format!(
            "it has its weights only as {}, and a file of that kind can run programs when it is opened. \
             Look for a copy of the model with safetensors",
            file.name
        ),
        None => format!("it has no weights that can be read ({SINGLE}, {INDEX} or a .gguf file)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(names: &[&str]) -> Listing {
        let mut files: Vec<Remote> =
            names.iter().map(|name| Remote { name: (*name).to_owned(), stamp: None }).collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Listing { commit: "0".repeat(40), files, architecture: None, license: None }
    }

    fn chosen(name: &str, names: &[&str]) -> Result<Vec<String>, String> {
        choose(&name.parse().unwrap(), &listing(names))
            .map(|choice| choice.files.into_iter().map(|file| file.name).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_folder_is_fetched_without_pickles_and_second_copies() {
        let files = chosen(
            "org/name",
            &[
                ".gitattributes",
                "README.md",
                "config.json",
                "consolidated.safetensors",
                "generation_config.json",
                "model.safetensors",
                "onnx/model.onnx",
                "original/consolidated.00.pth",
                "pytorch_model.bin",
                "tokenizer.json",
                "tokenizer.model",
                "../model.safetensors",
                "/etc/passwd",
            ],
        );
        assert_eq!(files.unwrap(), ["config.json", "generation_config.json", "tokenizer.json", "model.safetensors"]);
    }

    #[test]
    fn an_index_stands_for_its_shards() {
        let files = chosen(
            "org/name",
            &[
                "config.json",
                "tokenizer.json",
                "model.safetensors.index.json",
                "model-00001-of-00002.safetensors",
                "model-00002-of-00002.safetensors",
            ],
        );
        assert_eq!(files.unwrap(), ["config.json", "tokenizer.json", "model.safetensors.index.json"]);
    }

    #[test]
    fn r3_of_two_weight_sets_the_single_file_is_fetched() {
        let files = chosen(
            "org/name",
            &["config.json", "tokenizer.json", "model.safetensors.index.json", "model.safetensors", "part.safetensors"],
        );
        assert_eq!(files.unwrap(), ["config.json", "tokenizer.json", "model.safetensors"]);
    }

    #[test]
    fn an_adapter_beside_a_model_comes_with_it() {
        let mut names = vec![
            "config.json",
            "tokenizer.json",
            "model.safetensors",
            "adapter_config.json",
            "adapter_model.safetensors",
        ];
        let files = chosen("org/name", &names).unwrap();
        assert_eq!(files.len(), 5);
        assert_eq!(files.last().unwrap(), "model.safetensors");
        names.pop();
        assert_eq!(chosen("org/name", &names).unwrap().len(), 3, "a config alone is no adapter");
    }

    #[test]
    fn of_several_gguf_files_one_must_be_named() {
        let names = [
            "m-Q4_K_M.gguf",
            "m-Q8_0.gguf",
            "m-F16-00001-of-00002.gguf",
            "../evil.gguf",
            "tokenizer.json",
            "config.json",
        ];
        let error = chosen("org/name", &names).unwrap_err();
        assert!(error.contains("m-Q4_K_M.gguf") && error.contains("m-Q8_0.gguf"));
        assert!(!error.contains("evil") && !error.contains("F16"), "{error}");
        let files = chosen("org/name/m-Q8_0.gguf", &names).unwrap();
        assert_eq!(files, ["tokenizer.json", "m-Q8_0.gguf"]);
        let error = chosen("org/name/m-F16-00001-of-00002.gguf", &names).unwrap_err();
        assert!(error.contains("one part of several"), "{error}");
        let error = chosen("org/name/other.gguf", &names).unwrap_err();
        assert!(error.contains("no file other.gguf"), "{error}");
        let only = chosen("org/name", &["m.gguf", "README.md"]).unwrap();
        assert_eq!(only, ["m.gguf"]);
    }

    #[test]
    fn what_cannot_be_read_is_told_before_anything_is_fetched() {
        for (names, said) in [
            (&["config.json", "tokenizer.json", "pytorch_model.bin"][..], "pytorch_model.bin"),
            (&["config.json", "model.safetensors", "tokenizer.model"], "tokenizer.json"),
            (&["model.safetensors"], "no config.json"),
            (&["README.md"], "no weights"),
            (&["m-00001-of-00002.gguf"], "split into parts"),
        ] {
            let error = chosen("org/name", names).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        let mut of_another_kind = listing(&["m.gguf"]);
        of_another_kind.architecture = Some("mamba".to_owned());
        let error = choose(&"org/name".parse().unwrap(), &of_another_kind).unwrap_err();
        assert!(error.to_string().contains("mamba"), "{error}");
    }

    #[test]
    fn an_adapter_is_its_two_files() {
        let files = chosen(
            "org/name",
            &["adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "training_args.bin"],
        );
        assert_eq!(files.unwrap(), ADAPTER);
    }
}
