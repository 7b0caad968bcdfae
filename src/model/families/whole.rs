//! Models that read images too. Inside their config stands another one, `text_config`, of a family's own type: that
//! part is read, and given text alone it computes what the whole computes. The rest stays on disk as it is.

use crate::{config::Config, spec::Spec};

/// A type of model that has one of the families inside.
pub(super) struct Whole {
    model_type: &'static str,
    /// The type of the text part where `text_config` does not say it.
    text: &'static str,
    /// Whether the head is the embedding table, where the outer config is silent.
    tied: bool,
}

const ALL: [Whole; 3] = [
    Whole { model_type: "gemma3", text: "gemma3_text", tied: true },
    Whole { model_type: "llava", text: "llama", tied: false },
    Whole { model_type: "mistral3", text: "mistral", tied: true },
];

/// Keys of the outer config that say how images become tokens.
const OF_IMAGES: [&str; 12] = [
    "vision_config",
    "mm_tokens_per_image",
    "boi_token_index",
    "eoi_token_index",
    "image_token_index",
    "image_seq_length",
    "multimodal_projector_bias",
    "projector_hidden_act",
    "spatial_merge_size",
    "vision_feature_layer",
    "vision_feature_select_strategy",
    "image_grid_pinpoints",
];

/// The one of this type.
pub(super) fn named(model_type: &str) -> Option<&'static Whole> {
    ALL.iter().find(|whole| whole.model_type == model_type)
}

impl Whole {
    /// `of_text`: reads the config of the part that is named.
    pub(super) fn read(
        &'static self,
        mut config: Config<'_>,
        of_text: fn(&str, Config<'_>) -> Result<Spec, String>,
    ) -> Result<Spec, String> {
        let in_text = |reason: String| format!("in `text_config`: {reason}");
        let text = config.object("text_config")?.ok_or("`text_config` is missing")?;
        let mut text = Config::new(text);
        let text_type = text.text("model_type").map_err(in_text)?;
        let mut spec = of_text(text_type.unwrap_or(self.text), text).map_err(in_text)?;
        let tied = config.flag("tie_word_embeddings")?.unwrap_or(self.tied);
        // Llava's versions differ in which of the two they wrote.
        spec.tied = tied || (spec.tied && !self.tied);
        spec.part_of = Some(self.model_type);
        for key in OF_IMAGES {
            config.get(key);
        }
        for key in ["initializer_range", "torch_dtype", "dtype"] {
            config.get(key);
        }
        config.finish(self.model_type)?;
        Ok(spec)
    }
}
