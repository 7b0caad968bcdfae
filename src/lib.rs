//! Nudge: a desktop workbench that teaches a local language model your preferences.
//!
//! # Bird's-eye view
//!
//! A *project* is a folder on disk: preference pairs, reference answers, retention text, and the runs
//! trained on them. The window (or the command line) edits the project and asks the *engine*, a background
//! thread, to tune a *policy* on it with Maximum Preference Optimization (arXiv 2312.16430), DPO or IPO, or to fit a
//! reward model to it and tune a policy with that by PPO, RLOO or GRPO. The engine writes every metric to the project
//! before it tells the window about it.
//!
//! # The rooms, from the bottom up
//!
//! - [`data`]: plain values: pair, answer, verdict, change and its inverse, split, health, the run config. No I/O.
//! - [`files`]: files that come from others: only regular ones, of a size within reason, inside their folder; and files
//!   written where a person says.
//! - [`gguf`]: llama.cpp's model files: what is in one and where. No meaning.
//! - [`formats`]: preference files in and out, one format a file.
//! - [`store`]: the project on disk: one SQLite document, run folders, journal, migrations.
//! - [`text`]: tokenizer, chat template, and the one function that makes token ids.
//! - [`kernels`]: the differentiable operations of a training step, each with its own backward.
//! - [`model`]: the policy: families, weights, LoRA, forward, backward, generation.
//! - [`hub`]: a model by name from the Hugging Face hub into its cache, only when asked for.
//! - [`judge`]: rules for answers: what counts as what, and shares with their intervals. Pure.
//! - [`train`]: objectives, the data set, measuring, the step that everybody calls, the run, and a benchmark of it.
//! - [`export`]: PEFT adapter and merged model, read back and proven; a run told on one page.
//! - [`handover`]: a run on another machine: its folder, what is heard of it, what comes back.
//! - [`engine`]: the background thread: protocol, inbox, pool, answers, pre-flight; it hosts what `train` runs.
//! - [`state`]: what the screen shows, testable without a frame: workspace, commands, forms, series.
//! - [`ui`]: draws state, emits commands; one file a screen, one theme.
//! - [`app`]: where the halves meet: receive events, apply commands, file dialogs.
//! - [`cli`]: what was typed, then what it means; the second face on the same rooms.
//!
//! # Who may know whom
//!
//! ```text
//! main, cli -> app -> ui -> state -> store, judge -> data
//!               |              \--> engine::protocol
//!               \--> engine -> train -> model, text, store, judge;  model -> kernels;  export -> train
//!                    formats -> data, files;  kernels, model, text -> gguf -> files;  cli -> handover -> train
//!     cli, app -> hub -> model (names, the cache, which configs are known)
//! ```
//!
//! # Invariants
//!
//! - Only `kernels` names candle. Only `ui` and `app` name egui.
//! - `ui` touches no disk, thread or channel; it reads state and emits commands.
//! - `engine` never names a window: it wakes whoever listens through a callback.
//! - One function makes token ids, for training, scoring, chat and export alike ([`text`]).
//! - Answers are masked by position, never by token id.
//! - A metric is in the project before it is on the screen; a label is committed before the window says "saved".
//! - Only `hub` names the network, and only when a download was asked for.
//! - No second copy of the weights is held as a reference: it is the policy at step 0. Of given answers it is there as
//!   cached log-probs; of sampled ones it is the policy with its adapter off. Reward model and critic are adapters on
//!   the same frozen base.
//!
//! Every room is a crate and knows whom its `Cargo.toml` names; `tests/it/tidy.rs` keeps what may stand there, and how
//! long a file may be.

pub use ::{
    app, cli, data, engine, export, files, formats, gguf, handover, hub, judge, kernels, model, state, store, text,
    train, ui,
};
pub use train::objective;
