//! In place of the editor while several rows are chosen: what can be done to all of them at once.

use data::{Split, counted};
use egui::{Align, Frame, Key, Layout, Margin, Role as WidgetRole, TextEdit, Ui};
use state::{
    Command, Commands, Workspace,
    pairs::{Caret, PairsCommand, PairsView},
    table::TableCommand,
};
use store::Bulk;

use crate::{parts, prompt, theme::space, writing};

/// Does this to all chosen rows; to the pair that is open where no others are chosen.
pub fn change(workspace: &Workspace, view: &PairsView, bulk: Bulk, commands: &Commands) {
    let ids = match view.table.chosen(view.list(&workspace.pairs)) {
        Some(chosen) => chosen.ids(),
        None => view.draft.as_ref().map(|draft| draft.pair.id).into_iter().collect(),
    };
    if !ids.is_empty() {
        commands.push(Command::Pairs(PairsCommand::Table(TableCommand::ChangeMany(ids, bulk))));
    }
}

/// How many rows are chosen, where it is more than one.
pub fn count(workspace: &Workspace, view: &PairsView) -> Option<usize> {
    view.table.chosen(view.list(&workspace.pairs)).map(state::selection::Selection::len)
}

pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut PairsView, count: usize, commands: &Commands) {
    let mut bulk = None;
    Frame::NONE.inner_margin(Margin::symmetric(space::L as i8, space::S as i8)).show(ui, |ui| {
        ui.horizontal(|ui| {
            parts::heading(ui, &format!("{} chosen", counted(count, "pair is", "pairs are")));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if ui.button("Choose one").on_hover_text("Back to the pair that was open (Esc)").clicked() {
                    view.table.selection = None;
                    view.caret = Some(Caret::Table);
                }
            });
        });
        parts::caption(ui, "Each is one step that “Undo” takes back; what a pair says already stays as it is");
        ui.add_space(space::M);
        row(ui, "Tag", |ui| {
            let edit = TextEdit::singleline(&mut view.table.tag).id_salt("tag of many").hint_text("A tag");
            let field = ui.add(edit.desired_width(160.0)).accessible_name("Tag of the chosen pairs");
            if view.table.tag_wants_caret {
                view.table.tag_wants_caret = !writing::give_caret(ui, &field, true);
            }
            let enter = field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
            let tag = view.table.tag.trim().to_owned();
            let any = !tag.is_empty();
            if ui.add_enabled(any, egui::Button::new("Add tag")).clicked() || (enter && any) {
                bulk = Some(Bulk::Tag(tag.clone()));
                view.table.tag.clear();
                view.caret = Some(Caret::Table);
            }
            if ui.add_enabled(any, egui::Button::new("Remove tag")).clicked() {
                bulk = Some(Bulk::Untag(tag));
                view.table.tag.clear();
            }
        });
        row(ui, "Split", |ui| {
            for (word, split, about) in [
                ("By prompt", Split::Auto, "A hash of the prompt says which side it is on"),
                ("Always training", Split::Train, "These prompts are never held out"),
                ("Always held out", Split::Eval, "Runs are measured on these prompts and not trained on them"),
            ] {
                if ui.button(word).on_hover_text(about).clicked() {
                    bulk = Some(Bulk::Split(split));
                }
            }
        });
        row(ui, "Verdict", |ui| {
            let about = "The rejected answer is the better one after all (F); pairs without a better answer stay";
            if ui.button("Flip").on_hover_text(about).clicked() {
                bulk = Some(Bulk::Flip);
            }
        });
        row(ui, "Pairs", |ui| {
            if ui.button("Delete").on_hover_text("Delete them (Del); undo brings them back").clicked() {
                bulk = Some(Bulk::Delete);
            }
        });
    });
    if let Some(bulk) = bulk {
        change(workspace, view, bulk, commands);
    }
}

fn row(ui: &mut Ui, name: &str, add: impl FnOnce(&mut Ui)) {
    ui.horizontal(|ui| {
        let (rect, label) = ui.allocate_exact_size(egui::vec2(64.0, 24.0), egui::Sense::hover());
        prompt::name(&label, WidgetRole::Label, name);
        let font = egui::TextStyle::Small.resolve(ui.style());
        let color = parts::palette(ui).weak;
        ui.painter().text(rect.left_center(), egui::Align2::LEFT_CENTER, name, font, color);
        add(ui);
    });
    ui.add_space(space::XS);
}
