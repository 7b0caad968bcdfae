//! A model by name out of the Hugging Face hub into its cache, only when somebody asks for it.
//!
//! # Use
//!
//! ```no_run
//! use std::sync::Arc;
//! use hub::{Download, Hub};
//!
//! let waker = Arc::new(|| { /* e.g. ctx.request_repaint() */ });
//! let name = "HuggingFaceTB/SmolLM2-135M-Instruct".parse()?;
//! let download = Download::start(&Hub::of_user(), name, waker)?;
//! // Whenever there is something to draw:
//! let progress = download.progress();
//! println!("{} of {} bytes", progress.bytes, progress.total_bytes);
//! if let Some(outcome) = download.take_outcome() {
//!     println!("{}", outcome?.path.display()); // the folder to give as `model.path`
//! }
//! download.cancel(); // or drop it; what was fetched is kept, and the next download goes on from there
//! # anyhow::Ok(())
//! ```
//!
//! A [`Download`] is a handle on a thread of its own: [`Progress`](data::download::Progress) is plain data,
//! [`HubError`]s are whole sentences that say what to do next. [`HubError::WhichFile`] carries the GGUF files of a
//! repository for a choice; [`ModelName::with_file`](model::ModelName::with_file) makes the name to start again with.
//!
//! # What it promises
//!
//! - Without a call of [`Hub::offer`] or [`Download::start`] nothing is ever asked or fetched; with `HF_HUB_OFFLINE`
//!   not even then.
//! - Nothing large is fetched before the config was read and is of a supported family, and before there is room for it.
//! - Every content is hashed while it streams and has its name in the cache only after it matched and is on the disk.
//! - What was fetched stays, whatever happens: a download goes on from there, after a broken connection by itself.
//! - The cache is as `huggingface_hub` has it; either program finds what the other fetched.
//! - No name that the hub sends becomes a path before it was looked at; no answer is read further than it has reason to
//!   be.
//!
//! # Files in reading order
//!
//! - `place`: which hub, which cache, which token. `progress`: how far it is. `error`: what can go wrong.
//! - `client`, `listing`: the hub's protocol. `checksum`: its names for contents. `choice`: which files are fetched.
//! - `cache`: folders, locks and links. `blob`: one content. `fetch`: a whole model. `download`: its thread and handle.
//! - `offer`: what a download would bring, for those who want to know before.

mod blob;
mod cache;
mod checksum;
mod choice;
mod client;
mod download;
mod error;
mod fetch;
mod listing;
mod offer;
mod place;
mod progress;

pub use download::{Download, DownloadEnd};
pub use error::HubError;
pub use fetch::Fetched;
pub use model::ModelName;
pub use place::{Hub, Patience};
