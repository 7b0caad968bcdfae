//! What is dropped on the window: a bundle is opened wherever one is, the rest is for the place that is shown.

use std::path::{Path, PathBuf};

use egui::Ui;
use state::{Command, Commands};

/// Opens a bundle that was dropped.
pub fn bundles(ui: &Ui, commands: &Commands) {
    if let Some(bundle) = paths(ui).into_iter().find(|path| is_bundle(path)) {
        commands.push(Command::OpenBundle(bundle));
    }
}

/// The other files and folders that were dropped in this frame.
pub fn others(ui: &Ui) -> Vec<PathBuf> {
    paths(ui).into_iter().filter(|path| !is_bundle(path)).collect()
}

fn paths(ui: &Ui) -> Vec<PathBuf> {
    ui.input(|input| input.raw.dropped_files.iter().map(|file| file.path().to_path_buf()).collect())
}

fn is_bundle(path: &Path) -> bool {
    path.extension().is_some_and(|end| end.eq_ignore_ascii_case(store::bundle::EXTENSION))
}
