//! What is known of a model on this machine before it is loaded, and of the machine that would load it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// A Hugging Face folder with a whole model.
    Folder,
    /// The same with a PEFT adapter beside its weights, which is applied with them.
    Adapted,
    /// A GGUF file.
    Gguf,
    /// A PEFT folder: weights to be added to another model's.
    Adapter,
}

/// A model or an adapter, from its headers and settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelCard {
    /// `org/name` in the Hugging Face cache; else what the folder or the file is called.
    pub name: String,
    /// The folder, or the GGUF file.
    pub folder: PathBuf,
    pub kind: ModelKind,
    /// On the disk.
    pub bytes: u64,
    pub family: Option<String>,
    pub parameters: Option<u64>,
    /// Positions.
    pub context: Option<usize>,
    /// What most of its numbers are stored as: `F32`, `BF16`, `Q4_K`, ..
    pub dtype: Option<String>,
    /// Whether it has a chat template. Without one it can be trained on plain text only.
    pub template: Option<bool>,
    /// What an adapter is added to.
    pub base: Option<Base>,
    /// An adapter's, be it alone or beside a model.
    pub rank: Option<usize>,
    pub needs: Option<Needs>,
    /// What was decided where its files leave room for more than one reading, as sentences.
    #[serde(default)]
    pub remarks: Vec<String>,
    /// Why it cannot be used, as a sentence.
    pub reason: Option<String>,
}

/// The model that an adapter belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// As the adapter names it; may be empty.
    pub name: String,
    /// Where it is on this machine, if it is there.
    pub folder: Option<PathBuf>,
}

/// Bytes of memory, estimated from shapes as the check before a run does, on top of what the program holds anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// To answer, with a context of [`Needs::ANSWER_TOKENS`].
    pub answering: u64,
    /// To train an adapter of rank [`Needs::RANK`] on full rows of `row_tokens`, nothing computed twice.
    pub training: u64,
    /// Tokens of the rows that a run makes where there is room.
    pub row_tokens: usize,
    /// The least that such an adapter can be trained with: rows of [`Needs::LEAST_ROW_TOKENS`], and all that can be
    /// computed again is.
    pub least: u64,
}

impl Needs {
    pub const ANSWER_TOKENS: usize = 2048;
    pub const RANK: usize = 16;
    pub const LEAST_ROW_TOKENS: usize = 512;
}

/// Where models are computed, and its memory in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// "the processor", or the name of an accelerator.
    pub device: String,
    /// By this program already.
    pub held: u64,
    pub free: u64,
    pub total: u64,
    /// How each graphics card did when it was tried, a sentence a card.
    pub cards: Vec<String>,
}

/// Whether something has room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    Fits,
    /// It would, if other programs gave back what they hold.
    NotNow,
    TooLarge,
}

impl Machine {
    /// What a run may take of the free memory, as the trainer plans it.
    const SHARE: f64 = 0.8;

    /// What training takes as it would be done here: with full rows where they fit, else with the least.
    pub fn training(&self, needs: Needs) -> u64 {
        if self.fit(needs.training) == Fit::Fits { needs.training } else { needs.least }
    }

    pub fn fit(&self, bytes: u64) -> Fit {
        let within = |room: u64| bytes as f64 <= room as f64 * Self::SHARE;
        if within(self.free) {
            Fit::Fits
        } else if within(self.total) {
            Fit::NotNow
        } else {
            Fit::TooLarge
        }
    }
}

impl ModelCard {
    /// A card that knows nothing yet.
    pub fn new(name: impl Into<String>, folder: impl Into<PathBuf>, kind: ModelKind) -> Self {
        Self {
            name: name.into(),
            folder: folder.into(),
            kind,
            bytes: 0,
            family: None,
            parameters: None,
            context: None,
            dtype: None,
            template: None,
            base: None,
            rank: None,
            needs: None,
            remarks: Vec::new(),
            reason: None,
        }
    }

    pub fn is_supported(&self) -> bool {
        self.reason.is_none()
    }

    /// What to load: the model, and the adapter on top where this is one. Nothing where the base is not at hand.
    pub fn weights(&self) -> Option<(PathBuf, Option<PathBuf>)> {
        match self.kind {
            ModelKind::Folder | ModelKind::Adapted | ModelKind::Gguf => Some((self.folder.clone(), None)),
            ModelKind::Adapter => {
                let base = self.base.as_ref()?.folder.clone()?;
                Some((base, Some(self.folder.clone())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_gets_what_is_free_and_a_little_is_left() {
        let machine =
            Machine { device: "the processor".to_owned(), held: 0, free: 1000, total: 2000, cards: Vec::new() };
        let needs = |training| Needs { answering: 1, training, row_tokens: 512, least: 500 };
        assert_eq!((machine.training(needs(800)), machine.training(needs(801))), (800, 500));
        assert_eq!(machine.fit(800), Fit::Fits);
        assert_eq!(machine.fit(801), Fit::NotNow);
        assert_eq!(machine.fit(1601), Fit::TooLarge);
    }

    #[test]
    fn an_adapter_is_loaded_on_its_base() {
        let mut card = ModelCard::new("tides", "/adapters/tides", ModelKind::Adapter);
        assert_eq!(card.weights(), None);
        card.base = Some(Base { name: "org/base".to_owned(), folder: Some("/models/base".into()) });
        let (model, adapter) = card.weights().unwrap();
        assert_eq!(model, PathBuf::from("/models/base"));
        assert_eq!(adapter, Some(PathBuf::from("/adapters/tides")));
    }
}
