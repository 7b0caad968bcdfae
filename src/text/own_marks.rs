//! Whether a chat template writes the turn marks that its tokenizer has.
//!
//! A tokenizer with a mark of its own for the beginning of a turn was made for it. A template that never writes it is
//! likely that of another model; whether it is, the model itself can tell: by what it finds its answers likelier
//! between.

use std::path::Path;

use super::{Codec, TextError, bpe::CHATML_TEMPLATE, codec::SENTINEL, template::Template};
use ::data::{Role, Turn};

/// Ways to write turns, by the marks that they are told by.
static KNOWN: [(&[&str], &str); 3] = [
    (&["<|im_start|>", "<|im_end|>"], CHATML_TEMPLATE),
    (
        &["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
        "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + \
         message['content'] + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}{{ \
         '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}",
    ),
    (
        &["<start_of_turn>", "<end_of_turn>"],
        "{{ bos_token }}{% for message in messages %}{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else \
         message['role']) + '\\n' + message['content'] + '<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ \
         '<start_of_turn>model\\n' }}{% endif %}",
    ),
];

impl Codec {
    /// The same tokenizer with the turn marks that it has, where the chat template of the folder, or the plain style
    /// where there is none, never writes the one that begins a turn; with that mark.
    ///
    /// # Errors
    /// Of the folder, which has been read before.
    pub fn with_own_marks(&self, model_folder: &Path) -> Result<Option<(Self, &'static str)>, TextError> {
        let turns = [Turn::new(Role::User, "a"), Turn::new(Role::Assistant, SENTINEL)];
        let Ok(text) = self.render(&turns, false) else { return Ok(None) };
        let is_own = |marks: &[&str]| marks.iter().all(|mark| self.has_mark(mark));
        let Some((marks, source)) = KNOWN.iter().find(|(marks, _)| is_own(marks)) else { return Ok(None) };
        if text.contains(marks[0]) {
            return Ok(None);
        }
        let other = Self::load(model_folder)?.with_template(Template::compile(source)?);
        Ok(Some((other, marks[0])))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    /// A folder whose tokenizer has the marks of ChatML.
    fn folder(template: Option<&str>) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
        let tokenizer = crate::train_bpe(&["user assistant says hello".to_owned()], 300, &specials).unwrap();
        fs::write(dir.path().join("tokenizer.json"), tokenizer).unwrap();
        let mut settings = json!({ "eos_token": "<|im_end|>" });
        if let Some(template) = template {
            settings["chat_template"] = template.into();
        }
        fs::write(dir.path().join("tokenizer_config.json"), settings.to_string()).unwrap();
        dir
    }

    fn own_marks(template: Option<&str>) -> Option<(Codec, &'static str)> {
        let dir = folder(template);
        Codec::load(dir.path()).unwrap().with_own_marks(dir.path()).unwrap()
    }

    #[test]
    fn a_template_that_writes_other_marks_than_the_tokenizer_has_is_told() {
        assert!(own_marks(Some(CHATML_TEMPLATE)).is_none());
        let strange = "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + eos_token }}{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}";
        let (codec, mark) = own_marks(Some(strange)).unwrap();
        assert_eq!(mark, "<|im_start|>");
        let text = codec.render(&[Turn::new(Role::User, "hello")], true).unwrap();
        assert_eq!(text, "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n");
    }

    #[test]
    fn a_model_without_a_template_may_have_lost_it() {
        assert_eq!(own_marks(None).unwrap().1, "<|im_start|>");
    }

    #[test]
    fn every_known_way_writes_its_marks() {
        for (marks, source) in &KNOWN {
            let dir = folder(Some(source));
            let codec = Codec::load(dir.path()).unwrap();
            let turns = [Turn::new(Role::User, "hello"), Turn::new(Role::Assistant, "says")];
            let text = codec.render(&turns, true).unwrap();
            assert!(marks.iter().all(|mark| text.contains(mark)), "{text}");
        }
    }
}
