//! What leaves the project: adapters and merged models, each proven by reading it back, and the report of a run.
//!
//! - `order`: what is to leave, as plain data.
//! - `report`: a run told on one page, from `report.html` or `report.md`; `chart`: its lines as SVG.
//! - `weights`: policies as folders that other tools read; `proof`: what is compared; `card`: what the folder says of itself;
//!   `aside`: a folder that is whole or not there.

mod aside;
mod card;
mod chart;
mod order;
mod proof;
mod report;
mod weights;

pub use card::About;
pub use chart::{Line, Point};
pub use order::{Layout, MergedOptions, OnPhase, Part, Stored, What};
pub use proof::Proof;
pub use report::{Answers, Chart, Measured, Setting, Story, report};
pub use weights::{ExportError, Subject, adapter, merged};
