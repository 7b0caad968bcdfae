//! How other programs load an export, as commands: part of what its folder says of itself.

use std::{fmt::Write as _, path::PathBuf};

use serde_json::json;
use train::reward::ScoreScale;

use crate::{
    AdapterFormat, GgufType, What,
    card::{Card, listed},
    gguf::file_name,
};

impl Card<'_> {
    /// How other programs load it, as commands.
    pub(super) fn loading(&self) -> String {
        let base = &self.about.base_model;
        let is_gguf = base.to_lowercase().ends_with(".gguf");
        if let Some(scale) = self.about.scale {
            return scores(base, scale);
        }
        let mut text = match self.what {
            What::Adapter { layout: AdapterFormat::Peft, .. } => python(base, self.below()),
            What::Adapter { layout: AdapterFormat::Mlx, .. } => mlx(base, self.below()),
            What::Adapter { layout: AdapterFormat::Gguf, .. } => llama_cpp(base, is_gguf, self.below()),
            What::Gguf(kind) => return self.gguf(kind),
            What::Merged(_) | What::Report => {
                "```python\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n\
                 model = AutoModelForCausalLM.from_pretrained(\"this/folder\")\n\
                 tokenizer = AutoTokenizer.from_pretrained(\"this/folder\")\n```"
                    .to_owned()
            }
        };
        if is_gguf {
            text += match self.layout() {
                Some(AdapterFormat::Gguf) => {
                    "\n\nIt was trained on that very file. On the same model with other bits a weight (another quantisation) \
                     it works too, but the logits are not those that were checked."
                }
                Some(AdapterFormat::Peft | AdapterFormat::Mlx) => {
                    "\n\nIt was trained on a GGUF file, which this tool does not read: put the folder of the model that the \
                     file was made from in its place. Where the file holds quantised weights, that folder's are finer, and the \
                     logits are not exactly those that were checked."
                }
                None => {
                    "\n\nThe base was a GGUF file, which brings no `tokenizer.json`: take the tokenizer's files from the model \
                     that it was made from."
                }
            };
        }
        text
    }

    /// llama.cpp, LM Studio and Ollama.
    fn gguf(&self, kind: GgufType) -> String {
        let file = file_name(self.about, kind);
        let name = file.trim_end_matches(".gguf");
        format!(
            "llama.cpp:\n\n```sh\nllama-cli -m this/folder/{file}\n```\n\n\
             Ollama, which reads the `Modelfile`:\n\n```sh\ncd this/folder\nollama create {name} -f Modelfile\nollama run {name}\n```\n\n\
             LM Studio, which copies the file to its own models (or put it into `~/.lmstudio/models/nudge/{name}/`):\n\n\
             ```sh\nlms import this/folder/{file}\n```\n\n\
             Nudge reads it too: name this folder as a model."
        )
    }
}

fn scores(base: &str, scale: ScoreScale) -> String {
    format!(
        "```python\nfrom peft import PeftModel\nfrom transformers import AutoModelForSequenceClassification\n\n\
         model = AutoModelForSequenceClassification.from_pretrained({}, num_labels=1)\n\
         model = PeftModel.from_pretrained(model, \"this/folder\")\n\
         score = model(input_ids).logits[0, 0]  # of prompt and answer, with the token that ends the turn\n```\n\n\
         In standard deviations, as Nudge shows it: (score − {:.6}) / {:.6}. For texts of unlike length in one batch the \
         model needs a padding token that no text ends with.",
        json!(base),
        scale.mean,
        scale.std
    )
}

fn python(base: &str, below: &[PathBuf]) -> String {
    let mut text = format!(
        "```python\nfrom peft import PeftModel\nfrom transformers import AutoModelForCausalLM\n\n\
         model = AutoModelForCausalLM.from_pretrained({})\n",
        json!(base)
    );
    for adapter in below {
        writeln!(text, "model = PeftModel.from_pretrained(model, {}).merge_and_unload()", json!(adapter)).ok();
    }
    text + "model = PeftModel.from_pretrained(model, \"this/folder\")\n```"
}

fn mlx(base: &str, below: &[PathBuf]) -> String {
    let command =
        |base: &str| format!("```sh\nmlx_lm.generate --model {base} --adapter-path this/folder --prompt \"…\"\n```");
    if below.is_empty() {
        return command(base);
    }
    format!(
        "mlx-lm loads one adapter at a time, so {} must be folded into the base model first (`mlx_lm.fuse` if it is in \
         mlx-lm's layout too). Then:\n\n{}",
        listed(below),
        command("FUSED_BASE")
    )
}

fn llama_cpp(base: &str, is_gguf: bool, below: &[PathBuf]) -> String {
    let model = if is_gguf { base } else { "BASE.gguf" };
    let mut text = String::new();
    if !is_gguf {
        write!(text, "`BASE.gguf` is `{base}` converted with llama.cpp's `convert_hf_to_gguf.py`.\n\n").ok();
    }
    write!(text, "```sh\nllama-cli -m {model}").ok();
    for adapter in below {
        write!(text, " --lora {}", adapter.display()).ok();
    }
    text += " --lora this/folder/adapter.gguf\n```";
    if !below.is_empty() {
        write!(text, "\n\nllama.cpp adds up the adapters that are named; {} must be GGUF adapters too.", listed(below))
            .ok();
    }
    text
}
