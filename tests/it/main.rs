//! What a user relies on, through the public interface. One binary, so that it links once.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod adapters;
mod answers;
mod answers_window;
mod bench;
mod bf16;
mod cli;
mod cli_runs;
mod cli_text;
mod demo;
mod devices;
mod download_window;
mod engine;
mod exports;
mod families;
mod fixture;
mod formats;
mod formats_out;
mod gguf;
mod hostile;
mod hostile_folders;
mod hub;
mod hub_hostile;
mod hub_server;
mod leaving;
mod model_folders;
mod models_window;
mod pairs_window;
mod parity;
mod places_pictures;
mod policy;
mod project;
mod project_runs;
mod resume;
mod runs_window;
mod saving;
mod stage;
mod templates;
mod terminal;
mod text;
mod text_folders;
mod tidy;
mod tokens_window;
mod toy;
mod whole;
mod window;
