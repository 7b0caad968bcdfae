//! The project on disk: one SQLite document (`project.sqlite`) and a folder a run (`runs/<id>/`).
//!
//! Every thread opens its own [`Project`]; readers never wait for a writer (WAL). What a person labelled or edited is
//! synced to the disk before [`Project::apply`] returns; what a run measured is in the file, safe from a killed
//! process.
//!
//! # How pairs are kept
//!
//! Nothing a person made is ever overwritten. A pair's texts are written once ([`contents`]), and each state it was in
//! is a row of `versions` that is valid from one revision until another. The newest state is the row without an end,
//! the state at any earlier revision is a range query, and undo opens an earlier state again under a new revision. The
//! table `changes` is the journal: what was done, when, and whether it is done, undone, or undone and since replaced.
//!
//! # Files in reading order
//!
//! - `schema`: the document's versions. `opening`: making a project and opening one. `project`: an open one. `rows`:
//!   all that a query finds. `demo`: the one that comes along. `error`: what can go wrong.
//! - `contents`, `signature`: the texts of pairs, and what a search looks at before it reads them. `pairs`, `sources`:
//!   how a pair lies in the document, and where it came from. `journal`: changing pairs, and taking it back.
//! - `import`, with `spill`, `counting` and `duplicates`: many pairs as one change. `many`: one change to many pairs.
//! - `query`, `find`, `narrow`, `search`: which pairs a table shows. `prompts`, `texts`: the data beside pairs.
//!   `health`: what is suspicious about all that.
//! - `runs`, `forks`, `left_out`, `take_in`: what runs are and what of the data each sees. `queue`, `stop`, `owner`:
//!   who trains which, and when it is to end. `marks`, `seeds`, `run_table`: how runs are kept and listed.
//! - `series`, `trace`, `rollouts`, `judged`: what a run measured and said. `log_probs`, `scores`, `suspects`: what
//!   models think of the pairs. `bundle`: a run in one file.

mod away;
pub mod bundle;
mod contents;
mod counting;
#[cfg(test)]
mod damage_tests;
pub mod demo;
mod duplicates;
mod error;
mod find;
mod forks;
mod health;
mod import;
mod journal;
mod judged;
mod left_out;
mod log_probs;
mod many;
mod marks;
mod narrow;
mod opening;
mod owner;
mod pairs;
mod project;
mod prompts;
mod query;
mod queue;
mod rollouts;
mod rows;
mod run_table;
mod runs;
mod schema;
mod scores;
mod search;
mod seeds;
mod series;
mod signature;
mod sources;
mod spill;
mod stop;
mod suspects;
mod take_in;
mod texts;
mod trace;

use serde::{Deserialize, Serialize};

pub use away::Away;
pub use duplicates::{Added, Duplicates};
pub use error::StoreError;
pub use forks::family;
pub use import::{Account, Import, Imported};
pub use journal::Applied;
pub use judged::JudgedAnswer;
pub use left_out::LeftOut;
pub use log_probs::{CachedLogProbs, LogProbKey};
pub use many::Bulk;
pub use marks::{RunAbout, RunMarks};
pub use project::{Project, ProjectSettings};
pub use query::{Counts, PairQuery, PairRow, PairSource, Sort, SortKey, VerdictFilter, VerdictState};
pub use queue::place;
pub use rollouts::{SampledAnswer, SampledGroup};
pub use run_table::{Pick, RunColumn, RunFilter, RunValue};
pub use runs::{Arithmetic, NewRun, RunRecord, RunStatus, unnamed};
pub use scores::{NewScoring, PairScores, Score, Scored, Scoring, ScoringId, ToScore};
pub use search::OnSearched;
pub use seeds::{SeedGroup, Seeded, groups};
pub use series::{PairInSteps, PairVisit};
pub use take_in::{LabelChanges, LabelsOf, RunLabels, TakeIn};
pub use texts::Probe;
pub use trace::{LogLevel, LogLine, Sample, SampleRecord, SeedAnswer, by_prompt};

/// Names a run inside one project; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub i64);

/// A state of the data. Every change makes the next one; 0 is the empty project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);
