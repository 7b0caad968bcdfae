//! The Pairs screen: a table and an editor, or one pair at a time to be labelled.

mod about;
mod ahead;
mod candidates;
mod circle;
mod columns;
mod editor;
mod ended;
mod health;
mod intake;
mod labelling;
mod look;
mod many;
mod marks;
mod narrow;
mod ordering;
mod origin;
mod references;
mod review;
mod scores;
mod table;

pub(crate) use intake::toggle;
pub(crate) use many::{change as change_chosen, count as chosen};
pub(crate) use references::act as act_on_references;
pub(crate) use scores::push as ask_scores;
pub(crate) use table::{extend, search, step, table_id};

use egui::{Button, Event, Frame, Key, Margin, Rect, RichText, Role, Ui};

use crate::{icon::Pen, parts, prompt, split::Split, theme::space};
use data::{Change, Edit, Prompt, counted};
use state::{
    Command, Commands, Views, Workspace,
    actions::{Action, key_of},
    drafts::{self, Draft},
    pairs::{PairsCommand, PairsView, Strip, UndoQuestion},
    pairs_mode::PairsMode,
};
use train::objective::Objective;

/// Points that the table leaves to the editor, whose first row needs them.
const EDITOR: f32 = 420.0;

/// Two answers, one of them preferred.
pub(crate) fn icon(pen: &Pen<'_>) {
    pen.outline((0.06, 0.14), (0.44, 0.86), 2.0);
    pen.painter.rect_filled(Rect::from_min_max(pen.at(0.56, 0.14), pen.at(0.94, 0.86)), 2.0, pen.color);
}

pub fn ui(ui: &mut Ui, workspace: &Workspace, views: &mut Views, commands: &Commands) {
    // What is held out hangs on the sheet, also where nobody has looked at it yet.
    super::train::follow(workspace, &mut views.train);
    let (config, view) = (&views.train.launch.checked().config, &mut views.pairs);
    view.table.sheet.clone_from(&config.data);
    let objective = &Objective::of(&config.objective);
    match view.mode() {
        PairsMode::Labelling => labelling::ui(ui, workspace, view, commands),
        PairsMode::Reviewing => review::ui(ui, workspace, view, commands),
        PairsMode::References => references::ui(ui, workspace, view, commands),
        PairsMode::Table => table_and_editor(ui, workspace, view, objective, commands),
    }
    compare(view, commands);
}

fn table_and_editor(
    ui: &mut Ui,
    workspace: &Workspace,
    view: &mut PairsView,
    objective: &Objective,
    commands: &Commands,
) {
    let data = &workspace.pairs;
    scores::ask(workspace, view, commands);
    let listing = view.listing(data, objective);
    if data.asked.as_ref() != Some(&listing) {
        commands.push(Command::Pairs(PairsCommand::List(Box::new(listing))));
    }
    open_selected(workspace, view, commands);
    type_ahead(ui, view);
    table::down_from_search(ui, view);
    header(ui, workspace, view, commands);
    undo_question(ui, workspace, commands);
    candidates::strip(ui, workspace, view, commands);
    intake::strip(ui, data, view, commands);
    if data.candidates.is_some() || data.transfer.is_some() || data.import.is_some() {
        parts::below(ui, "pairs under way", |ui| {
            candidates::under_way(ui, workspace, view, commands);
            intake::under_way(ui, data, commands);
        });
    }
    if data.is_empty() && view.draft.is_none() {
        no_pairs(ui, view, commands);
        return;
    }
    ui.add_space(space::XS);
    scores::strip(ui, workspace, view, commands);
    table::filters(ui, workspace, view);
    narrow::more(ui, workspace, view, commands);
    health::ui(ui, workspace, view, commands);
    ui.add_space(space::XS);
    let width = ui.available_width();
    Split::left("pairs table", width * 0.4, 220.0..=(width - EDITOR).max(221.0))
        .frame(Frame::NONE.inner_margin(Margin { right: space::M as i8, ..Margin::ZERO }))
        .show(ui, |ui| {
            if view.list(data).is_empty() && !data.listing {
                let (what, next) = if view.filter.narrows() || view.only.is_some() {
                    ("No pair matches", "Clear the filter to see all")
                } else {
                    ("No pairs yet", "Import a file, or write one with “New pair”")
                };
                parts::empty(ui, what, next);
            } else {
                table::rows(ui, workspace, view, objective, commands);
            }
        });
    match many::count(workspace, view) {
        Some(count) => many::ui(ui, workspace, view, count, commands),
        None => editor::ui(ui, workspace, view, objective, commands),
    }
}

/// Long texts are compared aside.
fn compare(view: &mut PairsView, commands: &Commands) {
    if let Some((left, right)) = view.differences.take_wanted() {
        commands.push(Command::Pairs(PairsCommand::Compare(left, right)));
    }
}

/// The draft follows the selection; what was typed in the one before is committed on the way.
fn open_selected(workspace: &Workspace, view: &mut PairsView, commands: &Commands) {
    if view.selected.is_none() {
        let first = view.list(&workspace.pairs).first().copied();
        view.select(first);
    }
    if let Some(draft) = &view.draft
        && Some(draft.pair.id) == view.selected
    {
        // After a change of many pairs nothing is known of this one: it may be gone.
        if workspace.pairs.pairs.is_missing(draft.pair.id) {
            commands.push(Command::Pairs(PairsCommand::ReadPairs(vec![draft.pair.id])));
        }
        return;
    }
    if let Some(draft) = view.draft.take() {
        editor::close(draft, commands);
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

/// Deletes the pair in the editor.
pub(crate) fn delete_open(workspace: &Workspace, view: &mut PairsView, commands: &Commands) {
    if let Some(draft) = view.draft.take() {
        editor::delete(draft.pair, workspace, view, commands);
    }
}

/// While a new pair is on its way, what is typed is meant for it.
fn type_ahead(ui: &Ui, view: &mut PairsView) {
    let Some(ahead) = &mut view.typed_ahead else {
        return;
    };
    if ui.text_edit_focused() || ui.input(|input| input.pointer.any_pressed() || input.key_pressed(Key::Escape)) {
        view.typed_ahead = None;
        return;
    }
    ui.input_mut(|input| {
        input.events.retain(|event| match event {
            Event::Text(text) => {
                ahead.push_str(text);
                false
            }
            Event::Key { key: Key::Backspace, pressed: true, .. } => {
                ahead.pop();
                false
            }
            _ => true,
        });
    });
    ui.request_repaint();
}

pub(crate) fn label(workspace: &Workspace, view: &mut PairsView, relabel: bool, commands: &Commands) {
    if let Some(draft) = view.draft.take() {
        editor::close(draft, commands);
    }
    commands.push(Command::Pairs(PairsCommand::Label {
        query: view.query(),
        only: view.listed_only(&workspace.pairs),
        relabel,
        from: view.selected,
    }));
}

/// Labels what has no verdict yet, the pairs that came last before all others.
pub(crate) fn new_pair(view: &mut PairsView, commands: &Commands) {
    let chat = !matches!(view.draft.as_ref().map(|draft| &draft.pair.prompt), Some(Prompt::Text(_)));
    editor::open_new(Change::new("New pair", vec![Edit::add(drafts::blank(chat))]), view, commands);
}

/// An undo of many pairs is not done by a key that is held too long.
fn undo_question(ui: &mut Ui, workspace: &Workspace, commands: &Commands) {
    let Some(UndoQuestion { label, pairs }) = &workspace.pairs.undo_asks else {
        return;
    };
    let palette = parts::palette(ui);
    parts::strip(ui, palette.warning_soft, |ui| {
        ui.horizontal_wrapped(|ui| {
            let text = format!("Undo “{label}”? It changes {}", counted(*pairs, "pair", "pairs"));
            ui.label(RichText::new(text).color(palette.strong));
            if ui.button("Undo it").on_hover_text("“Redo” brings it back").clicked() {
                let only = Some(label.clone());
                commands.push(Command::Pairs(PairsCommand::Undo { only, sure: true }));
            }
            if ui.button("Keep it").on_hover_text("Nothing is changed (Esc)").clicked() {
                commands.push(Command::Pairs(PairsCommand::KeepAll));
            }
        });
    });
}

/// Points from which the buttons of the header stand in groups.
const ROOMY: f32 = 760.0;

fn header(ui: &mut Ui, workspace: &Workspace, view: &mut PairsView, commands: &Commands) {
    let data = &workspace.pairs;
    ui.horizontal(|ui| {
        ui.vertical(|ui| {
            let counts = &data.counts;
            let line = format!("{} of {} labelled", counts.labelled(), counts.total());
            parts::title(ui, "Pairs", &line);
        });
        let is_roomy = ui.available_width() > ROOMY;
        let apart = |ui: &mut Ui| {
            if is_roomy {
                ui.separator();
            }
        };
        parts::at_right(ui, "actions", |ui| {
            if !is_roomy {
                ui.spacing_mut().item_spacing.x = space::XS;
                ui.spacing_mut().button_padding.x = space::S;
            }
            // Every button stays where it is, whatever can be done now.
            let (any, todo) = (data.counts.total() > 0, data.counts.unlabelled > 0);
            if ui.button("New pair").on_hover_text("An empty pair (N)").clicked() {
                new_pair(view, commands);
            }
            let button = Button::new("Sample…").selected(view.strip == Strip::Sample);
            if ui.add(button).on_hover_text("A model answers prompts, you say which answer is better (M)").clicked() {
                intake::toggle(ui, view, Strip::Sample);
            }
            let button = Button::new("Import…").selected(view.strip == Strip::Import);
            if ui.add(button).clicked() {
                intake::toggle(ui, view, Strip::Import);
            }
            let button = Button::new("Export…").selected(view.strip == Strip::Export);
            if ui.add_enabled(any, button).clicked() {
                intake::toggle(ui, view, Strip::Export);
            }
            apart(ui);
            undo_redo(ui, workspace, commands);
            apart(ui);
            if ui
                .add_enabled(any, Button::new("Relabel"))
                .on_hover_text("Go through all pairs of the list, labelled ones too, from the chosen one on")
                .clicked()
            {
                label(workspace, view, true, commands);
            }
            ui.add_enabled_ui(todo, |ui| {
                if parts::primary(ui, "Label")
                    .on_hover_text("One pair at a time, sides at random, all by keyboard (L)")
                    .on_disabled_hover_text("Every pair is labelled; L goes through them again from the chosen one on")
                    .clicked()
                {
                    label(workspace, view, false, commands);
                }
            });
        });
    });
}

fn undo_redo(ui: &mut Ui, workspace: &Workspace, commands: &Commands) {
    let data = &workspace.pairs;
    let undo = PairsCommand::Undo { only: None, sure: false };
    for (word, keys, label, command) in
        [("Undo", "Ctrl Z", &data.undo, undo), ("Redo", "Ctrl Shift Z", &data.redo, PairsCommand::Redo)]
    {
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
    // The strip that is open is one of these ways, and needs the room.
    if view.strip != Strip::None {
        return;
    }
    parts::empty(ui, "No pairs yet", "Import a preference file, write the first pair, or drop a file on the window");
    ui.vertical_centered(|ui| {
        ui.add_space(space::M);
        let way = |ui: &mut Ui, words: &str, action: Action| {
            let key = parts::key(ui, &key_of(action));
            let button = ui.add(Button::new(words).right_text(key));
            prompt::name(&button, Role::Button, words);
            button.clicked()
        };
        if way(ui, "Import a file", Action::Import) {
            intake::toggle(ui, view, Strip::Import);
        }
        if way(ui, "Have a model write answers", Action::Sample) {
            intake::toggle(ui, view, Strip::Sample);
        }
        if way(ui, "Write the first pair", Action::NewPair) {
            new_pair(view, commands);
        }
        if way(ui, "Reference answers", Action::References) {
            view.references.open = true;
        }
        if ui.button("Open the demo").clicked() {
            commands.push(Command::OpenDemo);
        }
    });
}
