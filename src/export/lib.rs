//! What leaves the project: adapters and merged models, each proven by reading it back, and the report of a run.
//!
//! - `order`: what is to leave, as plain data; `carry_out`: the one place where it is done, from what is on disk:
//!   `trained` a run's weights, `history` what its report says.
//! - `report`: a run told on one page, from `report.html` or `report.md`; `comparison`: several side by side; both look
//!   as `page.css` says; `chart`: lines as a `drawing`, which is written as SVG or, by `raster`, as pixels.
//! - `curves`: the charts that runs are compared by, as pictures, numbers, or event files (`tensorboard`); `together`:
//!   runs that differ in their seed only, as one.
//! - `bundle`: a run in one file, to be looked at elsewhere.
//! - `weights`: policies as folders that other tools read; `gguf`: as one file, with the `modelfile` that Ollama wants.
//!   `proof`: what is compared; `card`: what the folder says of itself, `loading` how other programs take it; `aside`:
//!   a folder that is whole or not there.

mod aside;
mod bundle;
mod card;
mod carry_out;
mod chart;
mod comparison;
mod curves;
mod drawing;
mod error;
mod gguf;
mod history;
mod loading;
mod modelfile;
mod order;
mod proof;
mod raster;
mod report;
mod tensorboard;
mod together;
mod trained;
mod weights;

pub use bundle::{Bundled, bundle};
pub use card::Provenance;
pub use carry_out::export;
pub use chart::{ChartLine, Point};
pub use comparison::Comparison;
pub use curves::{CurveFile, CurveOrder, Curves, events, field};
pub use error::ExportError;
pub use gguf::gguf;
pub use order::{
    AdapterFormat, AdapterPart, AdapterStrength, ExportOrder, Exported, GgufType, MergedOptions, OnPhase, WeightType,
    What, WhichCheckpoint,
};
pub use proof::Proof;
pub use report::{Answers, FirstAndLast, ReportChart, RunHistory, SettingValue, report};
pub use weights::{Subject, adapter, merged};
