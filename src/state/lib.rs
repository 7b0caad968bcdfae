//! What the screen shows, testable without a frame: workspace, commands, forms, series.
//!
//! [`Workspace`] is what is true, [`Views`] is what the screen remembers, [`Command`] is what a click means.
//! Drawing reads the first, changes the second and queues the third; `app` is the only place that applies commands.

pub mod actions;
pub mod answers;
pub mod ask;
pub mod asking;
pub mod candidates;
pub mod chart_words;
pub mod command;
pub mod compare;
pub mod difference;
pub mod download;
pub mod drafts;
pub mod duel;
pub mod elsewhere;
pub mod export;
pub mod filter;
pub mod fork;
pub mod guide;
mod history;
pub mod hits;
pub mod intake;
pub mod joining;
pub mod judged;
pub mod keyboard;
mod label_view;
pub mod labelling;
pub mod launch;
pub mod lens;
pub mod metric;
pub mod models;
mod moved;
pub mod not_trained;
pub mod notice;
pub mod on_disk;
pub mod order;
pub mod pace;
pub mod pairs;
pub mod palette;
pub mod projects;
pub mod references;
pub mod remembered;
pub mod review;
pub mod ribbon;
pub mod rollouts;
pub mod runs;
pub mod sampling;
pub mod sandbox;
pub mod scores;
pub mod seeds;
pub mod selection;
pub mod series;
pub mod simple;
pub mod table;
pub mod tokens;
pub mod train;
mod transfer;
pub mod typed;
pub mod views;
pub mod workspace;

pub use command::{Command, Commands};
pub use notice::{Level, Notice, Notices, Offer};
pub use views::{Screen, ThemeChoice, Views};
pub use workspace::{Closing, Opened, ProjectSummary, Saving, Workspace};
