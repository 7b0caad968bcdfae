//! What once came out wrong, each by the id it was reported under. A room's own tests hold what needs no project.

mod charts_window;
mod files;
mod imports;
mod labelling_window;
mod models;
mod odd_use;
pub(super) mod pairs_window;
mod places_window;
mod processor;
mod runs;
mod store;
mod text;
mod train_window;
