//! Files in and out: where they are named above the table, what came of it below.

use std::{
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

use data::counted;
use egui::{Align, Layout, RichText, ScrollArea, TextEdit, TextStyle, Ui};
use state::{
    Command, Commands,
    intake::Intake,
    pairs::{ImportOutcome, PairsCommand, PairsData, PairsView, Replacing, Strip},
};

use crate::{dropped, parts, screens::pairs::look};

/// Where a file is to be named, when that was asked for.
pub fn strip(ui: &mut Ui, data: &PairsData, view: &mut PairsView, commands: &Commands) {
    path(ui, data, view, commands);
    take_dropped(ui, commands);
}

/// What is under way, or has just been done.
pub fn under_way(ui: &mut Ui, data: &PairsData, commands: &Commands) {
    transfer(ui, data, commands);
    if let Some(import) = &data.import {
        report(ui, import, commands);
    }
}

/// Files and folders dropped on the window are imported.
fn take_dropped(ui: &Ui, commands: &Commands) {
    let files = dropped::others(ui);
    if !files.is_empty() {
        commands.push(Command::Pairs(PairsCommand::ImportAll(files)));
    }
}

fn transfer(ui: &mut Ui, data: &PairsData, commands: &Commands) {
    let Some(transfer) = &data.transfer else {
        return;
    };
    let palette = parts::palette(ui);
    parts::strip(ui, palette.accent_soft, |ui| {
        ui.horizontal(|ui| {
            ui.label(&transfer.what);
            let pairs = transfer.progress.pairs.load(Ordering::Relaxed);
            let done = transfer.progress.done.load(Ordering::Relaxed) as f32 / 1000.0;
            ui.scope(|ui| {
                ui.set_width(180.0);
                parts::progress(ui, done, &transfer.what);
            });
            if pairs > 0 {
                parts::caption(ui, counted(pairs as usize, "pair", "pairs"));
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if ui.button("Cancel").clicked() {
                    commands.push(Command::Pairs(PairsCommand::CancelTransfer));
                }
            });
        });
    });
}

/// Opens the strip with the caret in its field, or closes it.
pub fn toggle(ui: &Ui, view: &mut PairsView, to: Strip) {
    if view.strip == to {
        view.strip = Strip::None;
    } else {
        view.strip = to;
        view.strip_opens = true;
        ui.request_repaint();
    }
}

/// A path to be typed or picked.
fn path(ui: &mut Ui, data: &PairsData, view: &mut PairsView, commands: &Commands) {
    let (what, hint, verb): (_, _, fn(Option<PathBuf>) -> PairsCommand) = match view.strip {
        Strip::None | Strip::Sample => return,
        Strip::Import => {
            ("Import", "Path of a file or folder: JSON, CSV or Parquet; or drop it on the window", PairsCommand::Import)
        }
        Strip::Export => {
            ("Export", "Path of the file to write: .jsonl, .json, .csv, .tsv, .parquet", PairsCommand::Export)
        }
    };
    let palette = parts::palette(ui);
    parts::strip(ui, palette.accent_soft, |ui| {
        ui.set_width(ui.available_width());
        ui.horizontal(|ui| {
            let label = ui.label(what);
            let width = (ui.available_width() - 260.0).max(160.0);
            let edit = TextEdit::singleline(view.typed_path()).id_salt(("path", what));
            let field = ui.add(edit.hint_text(hint).desired_width(width)).labelled_by(label.id);
            // Not in the frame of the click: a field gives the caret up when something else is clicked.
            if view.strip_opens && !ui.input(|input| input.pointer.any_click()) {
                view.strip_opens = false;
                field.request_focus();
            }
            let enter = field.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
            let typed = view.typed_path().trim().to_owned();
            let go = ui.add_enabled(!typed.is_empty(), egui::Button::new(format!("{what} file")));
            if go.clicked() || (enter && !typed.is_empty()) {
                commands.push(Command::Pairs(verb(Some(PathBuf::from(typed)))));
            }
            if ui.button("Browse…").clicked() {
                commands.push(Command::Pairs(verb(None)));
            }
            if ui.button("Close").clicked() {
                view.strip = Strip::None;
            }
        });
        if view.strip == Strip::Import {
            let typed = view.path.trim().to_owned();
            look::choices(ui, &mut view.intake, data.look.as_ref(), &typed, commands);
        }
        if view.strip == Strip::Export {
            ui.horizontal_wrapped(|ui| {
                look::combo(ui, "Format", &mut view.intake.out, &Intake::outs());
                let splits = ui.checkbox(&mut view.intake.splits, "Held-out pairs in a file of their own");
                splits.on_hover_text("A tenth of the prompts, or what pairs say themselves: NAME.train and NAME.eval");
            });
            match &data.replacing {
                Some(replacing) if replacing.path == Path::new(view.export_path.trim()) => {
                    replace(ui, replacing, view, commands);
                }
                _ => {
                    parts::caption(
                        ui,
                        "Writes the pairs on the list that have a better answer; text prompts and conversations to a file each",
                    );
                }
            }
        }
    });
}

/// A file is in the way: nothing is replaced unasked.
fn replace(ui: &mut Ui, replacing: &Replacing, view: &mut PairsView, commands: &Commands) {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    ui.horizontal(|ui| {
        ui.label(format!("{} is there already", name(&replacing.there)));
        if ui.button(format!("Write {} instead", name(&replacing.free))).clicked() {
            view.export_path = replacing.free.display().to_string();
            commands.push(Command::Pairs(PairsCommand::Export(Some(replacing.free.clone()))));
        }
        if ui.button(format!("Replace {}", name(&replacing.there))).clicked() {
            commands.push(Command::Pairs(PairsCommand::Replace(replacing.path.clone())));
        }
    });
}

/// What came in, and line by line what did not.
fn report(ui: &mut Ui, import: &ImportOutcome, commands: &Commands) {
    let palette = parts::palette(ui);
    let fine = import.faults.is_empty() && !import.cancelled;
    let fill = if fine { palette.accent_soft } else { palette.warning_soft };
    parts::strip(ui, fill, |ui| {
        ui.horizontal(|ui| {
            ui.label(RichText::new(summary(import)).color(palette.strong));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if ui.button("Close report").clicked() {
                    commands.push(Command::Pairs(PairsCommand::CloseImport));
                }
                let listed = !import.faults.is_empty() || !import.notes.is_empty();
                if listed && ui.button("Save report").on_hover_text("As JSON lines, in the project's folder").clicked()
                {
                    commands.push(Command::Pairs(PairsCommand::SaveReport));
                }
            });
        });
        for remark in &import.remarks {
            ui.label(remark);
        }
        let lines: Vec<(&str, &(u64, String))> = import
            .faults
            .iter()
            .map(|fault| ("left out", fault))
            .chain(import.notes.iter().map(|note| ("look at", note)))
            .collect();
        if lines.is_empty() {
            return;
        }
        let row = ui.text_style_height(&TextStyle::Body);
        ScrollArea::vertical().id_salt("import report").max_height(110.0).auto_shrink([false, true]).show_rows(
            ui,
            row,
            lines.len(),
            |ui, range| {
                for (what, (line, reason)) in &lines[range] {
                    let text = format!("Line {line}  {what}: {reason}");
                    ui.add(egui::Label::new(text).truncate().selectable(true));
                }
            },
        );
    });
}

fn summary(import: &ImportOutcome) -> String {
    let name = import
        .file
        .file_name()
        .map_or_else(|| import.file.display().to_string(), |name| name.to_string_lossy().into_owned());
    if import.cancelled {
        return format!("The import of {name} was cancelled; nothing was added");
    }
    let mut parts = vec![format!(
        "{} from {name} ({} format)",
        counted(import.added, "pair came in", "pairs came in"),
        import.format
    )];
    if !import.faults.is_empty() {
        let left_out = counted(import.faults.len(), "record did not", "records did not");
        parts.push(left_out);
    }
    if !import.notes.is_empty() {
        let noted = counted(import.notes.len(), "deserves a look", "deserve a look");
        parts.push(noted);
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(added: usize, faults: usize, notes: usize) -> ImportOutcome {
        let lines = |count: usize| vec![(3, "no prompt".to_owned()); count];
        ImportOutcome {
            file: PathBuf::from("/data/pairs.jsonl"),
            format: "TRL".to_owned(),
            added,
            known: 0,
            faults: lines(faults),
            notes: lines(notes),
            remarks: Vec::new(),
            cancelled: false,
        }
    }

    #[test]
    fn the_summary_counts_what_came_and_what_did_not() {
        assert_eq!(summary(&outcome(1, 0, 0)), "1 pair came in from pairs.jsonl (TRL format)");
        assert_eq!(
            summary(&outcome(40, 2, 1)),
            "40 pairs came in from pairs.jsonl (TRL format), 2 records did not, 1 deserves a look"
        );
        let cancelled = ImportOutcome { cancelled: true, ..outcome(9, 9, 9) };
        assert!(summary(&cancelled).ends_with("nothing was added"));
    }
}
