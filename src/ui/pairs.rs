//! The Pairs screen: a table and an editor, or one pair at a time to be labelled.

mod about;
mod editor;
mod intake;
mod keys;
mod labelling;
mod table;

use std::sync::Arc;

use egui::{Align, Button, Frame, Key, Layout, Margin, Modifiers, Panel, Ui};

use super::{parts, theme::space};
use crate::{
    data::{Change, Edit, Prompt},
    state::{
        Command, Commands, Workspace,
        drafts::{self, Draft},
        pairs::{PairsCommand, PairsView, Strip},
    },
};

/// `limits`: tokens of a prompt and of an answer, as the launch sheet says.
pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut PairsView, limits: (usize, usize), commands: &Commands) {
    if view.labelling.is_some() {
        labelling::ui(ui, workspace, view, commands);
        return;
    }
    let data = &workspace.pairs;
    let query = view.filter.query();
    if data.asked.as_ref() != Some(&query) {
        commands.push(Command::Pairs(PairsCommand::List(query)));
    }
    open_selected(workspace, view, commands);
    shortcuts(ui, workspace, view, commands);
    header(ui, workspace, view, commands);
    intake::strips(ui, data, view, commands);
    if data.is_empty() && view.draft.is_none() {
        no_pairs(ui, view, commands);
        return;
    }
    ui.add_space(space::XS);
    table::filters(ui, data, view);
    intake::health(ui, data, view, commands);
    ui.add_space(space::XS);
    let width = ui.available_width();
    Panel::left("pairs table")
        .resizable(true)
        .default_size(width * 0.4)
        .size_range(220.0..=(width - 280.0).max(221.0))
        .show_separator_line(false)
        .frame(Frame::NONE.inner_margin(Margin { right: space::M as i8, ..Margin::ZERO }))
        .show(ui, |ui| {
            if view.list(data).is_empty() && !data.listing {
                parts::empty(ui, "No pair matches", "Clear the filter to see all");
            } else {
                table::rows(ui, data, view, commands);
            }
        });
    editor::ui(ui, workspace, view, limits, commands);
}

/// The draft follows the selection; what was typed in the one before is committed on the way.
fn open_selected(workspace: &Workspace, view: &mut PairsView, commands: &Commands) {
    if view.selected.is_none() {
        let first = view.list(&workspace.pairs).first().copied();
        view.select(first);
    }
    if view.draft.as_ref().map(|draft| draft.pair.id) == view.selected {
        return;
    }
    if let Some(mut draft) = view.draft.take() {
        editor::commit(&mut draft, commands);
    }
    view.new_tag.clear();
    let Some(id) = view.selected else {
        return;
    };
    match workspace.pairs.pairs.get(id) {
        Some(pair) => view.draft = Some(Draft::open(pair.clone())),
        None if workspace.pairs.pairs.is_missing(id) => {
            commands.push(Command::Pairs(PairsCommand::ReadPairs(vec![id])));
        }
        None => {}
    }
}

/// Keys of the table and editor. None of them acts while a text is edited.
fn shortcuts(ui: &mut Ui, workspace: &Workspace, view: &mut PairsView, commands: &Commands) {
    table::keys(ui, &workspace.pairs, view);
    if ui.text_edit_focused() {
        return;
    }
    let pressed = |modifiers, key| ui.input_mut(|input| input.consume_key(modifiers, key));
    if pressed(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z) || pressed(Modifiers::COMMAND, Key::Y) {
        commands.push(Command::Pairs(PairsCommand::Redo));
    } else if pressed(Modifiers::COMMAND, Key::Z) {
        commands.push(Command::Pairs(PairsCommand::Undo { only: None }));
    } else if pressed(Modifiers::NONE, Key::L) {
        label(view, workspace.pairs.counts.unlabelled == 0, commands);
    } else if pressed(Modifiers::NONE, Key::N) {
        new_pair(view, commands);
    } else if pressed(Modifiers::NONE, Key::D) {
        view.difference = !view.difference;
    } else if pressed(Modifiers::NONE, Key::I) {
        view.tokens = !view.tokens;
    } else if pressed(Modifiers::NONE, Key::Delete)
        && let Some(draft) = view.draft.take()
    {
        editor::delete(&draft.pair, workspace, view, commands);
    }
}

fn label(view: &mut PairsView, relabel: bool, commands: &Commands) {
    if let Some(mut draft) = view.draft.take() {
        editor::commit(&mut draft, commands);
    }
    commands.push(Command::Pairs(PairsCommand::Label {
        query: view.filter.query(),
        only: view.only.as_ref().map(|only| Arc::clone(&only.ids)),
        relabel,
    }));
}

fn new_pair(view: &PairsView, commands: &Commands) {
    let chat = !matches!(view.draft.as_ref().map(|draft| &draft.pair.prompt), Some(Prompt::Text(_)));
    commands.push(Command::Pairs(PairsCommand::Change {
        change: Change::new("New pair", vec![Edit::add(drafts::blank(chat))]),
        open: true,
    }));
}

fn header(ui: &mut Ui, workspace: &Workspace, view: &mut PairsView, commands: &Commands) {
    let data = &workspace.pairs;
    ui.horizontal(|ui| {
        ui.vertical(|ui| {
            let counts = &data.counts;
            let line = format!("{} of {} labelled", counts.labelled(), counts.total());
            parts::title(ui, "Pairs", &line);
        });
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            // Every button stays where it is, whatever can be done now.
            let (any, todo) = (data.counts.total() > 0, data.counts.unlabelled > 0);
            ui.add_enabled_ui(todo, |ui| {
                if parts::primary(ui, "Label")
                    .on_hover_text("One pair at a time, sides at random, all by keyboard (L)")
                    .clicked()
                {
                    label(view, false, commands);
                }
            });
            if ui
                .add_enabled(any, Button::new("Relabel"))
                .on_hover_text("Go through all pairs of the list, labelled ones too")
                .clicked()
            {
                label(view, true, commands);
            }
            ui.separator();
            undo_redo(ui, workspace, commands);
            ui.separator();
            let button = Button::new("Export…").selected(view.strip == Strip::Export);
            if ui.add_enabled(any, button).clicked() {
                intake::toggle(ui, view, Strip::Export);
            }
            let button = Button::new("Import…").selected(view.strip == Strip::Import);
            if ui.add(button).clicked() {
                intake::toggle(ui, view, Strip::Import);
            }
            if ui.button("New pair").on_hover_text("An empty pair (N)").clicked() {
                new_pair(view, commands);
            }
        });
    });
}

fn undo_redo(ui: &mut Ui, workspace: &Workspace, commands: &Commands) {
    let data = &workspace.pairs;
    // Laid out from the right.
    for (word, keys, label, command) in [
        ("Redo", "Ctrl Shift Z", &data.redo, PairsCommand::Redo),
        ("Undo", "Ctrl Z", &data.undo, PairsCommand::Undo { only: None }),
    ] {
        let hover = match label {
            Some(label) => format!("{word} “{label}” ({keys})"),
            None => format!("Nothing to {}", word.to_lowercase()),
        };
        let button =
            ui.add_enabled(label.is_some(), Button::new(word)).on_hover_text(&hover).on_disabled_hover_text(&hover);
        if button.clicked() {
            commands.push(Command::Pairs(command));
        }
    }
}

fn no_pairs(ui: &mut Ui, view: &mut PairsView, commands: &Commands) {
    parts::empty(ui, "No pairs yet", "Import a preference file, write the first pair, or drop a file on the window");
    ui.vertical_centered(|ui| {
        ui.add_space(space::M);
        if parts::primary(ui, "Import a file").clicked() {
            intake::toggle(ui, view, Strip::Import);
        }
        if ui.button("Write the first pair").clicked() {
            new_pair(view, commands);
        }
        if ui.button("Open the demo").clicked() {
            commands.push(Command::OpenDemo);
        }
    });
}
