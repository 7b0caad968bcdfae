//! The command palette: find a command by a few of its letters, see its keys, carry it out with Enter.

use egui::{Align, Align2, Area, Id, Key, Layout, Margin, Modifiers, Order, RichText, ScrollArea, TextEdit, Ui};
use state::{
    Commands, Views, Workspace,
    actions::{Action, spelled},
    keyboard::CommandPalette,
    keyboard::Over,
    palette::PaletteLine,
};

use super::{
    help, parts, perform,
    theme::{self, size, space},
};

const WIDTH: f32 = 560.0;
/// Of the list, before it scrolls.
const HEIGHT: f32 = 330.0;
const ROW: f32 = 28.0;

pub fn ui(ui: &mut Ui, workspace: &Workspace, views: &mut Views, commands: &Commands) {
    let Over::Palette(palette) = &views.keyboard.over else {
        return;
    };
    let mut palette = palette.clone();
    let list = palette.list(workspace, views);
    let possible = list.iter().take_while(|found| found.possible.is_ok()).count();
    let key = |key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
    let closes = key(Key::Escape) || ui.input_mut(|input| input.consume_key(Modifiers::COMMAND, Key::K));
    if key(Key::ArrowDown) && palette.at + 1 < possible {
        palette.at += 1;
    }
    if key(Key::ArrowUp) {
        palette.at = palette.at.saturating_sub(1);
    }
    palette.at = palette.at.min(possible.saturating_sub(1));
    let mut chosen = (key(Key::Enter) && possible > 0).then(|| list[palette.at].entry.action);

    let sheet = Area::new(Id::unique("command palette")).order(Order::Foreground);
    let sheet = sheet.anchor(Align2::CENTER_TOP, [0.0, 72.0]).show(ui, |ui| {
        let frame = parts::card_frame(ui).inner_margin(Margin::same(space::M as i8));
        frame.shadow(ui.visuals().window_shadow).corner_radius(theme::CARD_RADIUS).show(ui, |ui| {
            ui.set_width(WIDTH);
            field(ui, &mut palette);
            chosen = lines(ui, &list, palette.at).or(chosen);
        });
    });
    views.keyboard.over = if closes || chosen.is_some() { Over::Nothing } else { Over::Palette(palette) };
    if sheet.response.clicked_elsewhere() {
        views.keyboard.click_outside();
    }
    views.keyboard.drawn();
    if let Some(action) = chosen {
        perform::action(action, ui, workspace, views, commands);
    }
}

/// What is looked for. It has the caret as long as the palette is open.
fn field(ui: &mut Ui, palette: &mut CommandPalette) {
    let edit = TextEdit::singleline(&mut palette.typed).id_salt("find a command");
    let field = ui.add(edit.hint_text("Find a command").desired_width(f32::INFINITY));
    field.request_focus();
    if field.changed() {
        palette.at = 0;
    }
    field.accessible_name("Find a command".to_owned());
}

/// The list; which of it was clicked.
fn lines(ui: &mut Ui, list: &[PaletteLine], at: usize) -> Option<Action> {
    let mut clicked = None;
    if list.is_empty() {
        parts::caption(ui, "No command answers to these letters");
    }
    // The sheet offers no more room than the list of one letter less has taken; a longer one takes its own.
    let area = ScrollArea::vertical().id_salt("commands").min_scrolled_height(HEIGHT).max_height(HEIGHT);
    area.auto_shrink([false, true]).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        for (index, found) in list.iter().enumerate() {
            let chosen = index == at && found.possible.is_ok();
            let row = line(ui, found, chosen);
            if chosen && !ui.is_rect_visible(row.rect) {
                row.scroll_to_me(None);
            }
            if row.clicked() {
                clicked = Some(found.entry.action);
            }
        }
    });
    clicked
}

/// Name and keys; what it does, or why it cannot be done now.
fn line(ui: &mut Ui, found: &PaletteLine, chosen: bool) -> egui::Response {
    let palette = parts::palette(ui);
    let is_possible = found.possible.is_ok();
    let (name, about) = match &found.possible {
        Ok(()) => (RichText::new(found.entry.name).color(palette.strong), found.entry.help.to_owned()),
        Err(why) => (RichText::new(found.entry.name).color(palette.weak), why.clone()),
    };
    let said = format!("{}. {about}", found.entry.name);
    let sense = if is_possible { egui::Sense::click() } else { egui::Sense::hover() };
    let (rect, row) = ui.allocate_exact_size(egui::vec2(ui.available_width(), ROW), sense);
    row.widget_info(|| egui::WidgetInfo::selected(egui::Role::ListItem, is_possible, chosen, &said));
    if chosen || (is_possible && row.hovered()) {
        ui.painter().rect_filled(rect, theme::RADIUS, palette.accent_soft);
    }
    let inner = rect.shrink2(egui::vec2(space::S, 0.0));
    let layout = Layout::left_to_right(Align::Center);
    ui.scope_builder(egui::UiBuilder::new().max_rect(inner).layout(layout), |ui| {
        ui.add(egui::Label::new(name).selectable(false));
        let keys: Vec<String> = found.entry.keys.iter().map(|keys| spelled(keys)).collect();
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let keys = RichText::new(help::together(&keys)).monospace().size(size::SMALL).color(palette.weak);
            ui.add(egui::Label::new(keys).selectable(false));
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let about = RichText::new(about).size(size::SMALL).color(palette.weak);
                ui.add(egui::Label::new(about).truncate().selectable(false));
            });
        });
    });
    row
}
