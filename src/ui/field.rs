//! A setting of the launch sheet: its label, its text, and the sentence when the text cannot be used.

use data::config::{Setting, SettingKind, Word};
use egui::{Align, ComboBox, Layout, RichText, Role, TextEdit, Ui, WidgetInfo};
use state::{Command, Commands, launch::Launch};

use super::{
    parts,
    theme::{size, space},
};

/// A field needs this much to be read.
const NARROWEST: f32 = 138.0;

/// Short fields side by side, as many as fit.
pub fn row(ui: &mut Ui, launch: &mut Launch, settings: &[Setting]) {
    let gap = space::L;
    let room = ui.available_width();
    let columns = (((room + gap) / (NARROWEST + gap)) as usize).clamp(1, 4);
    let width = (room - gap * (columns as f32 - 1.0)) / columns as f32;
    for chunk in settings.chunks(columns) {
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = gap;
            for field in chunk {
                ui.allocate_ui_with_layout(egui::vec2(width, 0.0), Layout::top_down(Align::Min), |ui| {
                    ui.set_width(width);
                    short(ui, launch, *field);
                });
            }
        });
    }
}

fn short(ui: &mut Ui, launch: &mut Launch, field: Setting) {
    ui.add_enabled_ui(launch.may_change(&field), |ui| of_kind(ui, launch, field));
}

fn of_kind(ui: &mut Ui, launch: &mut Launch, field: Setting) {
    match field.kind {
        SettingKind::Switch => switch(ui, launch, field),
        SettingKind::Choice(words) => choice(ui, launch, field, words),
        SettingKind::Number(_)
        | SettingKind::Numbers(..)
        | SettingKind::Count(_)
        | SettingKind::CountOrAuto(_)
        | SettingKind::Text
        | SettingKind::Layers
        | SettingKind::Path
        | SettingKind::File => {
            let width = ui.available_width();
            label_and_text(ui, launch, field, width);
        }
    }
}

/// Some words as one control, with the one that was chosen now.
pub fn segmented(ui: &mut Ui, words: &[Word], chosen: &str) -> Option<&'static str> {
    let mut chosen = words.iter().find(|word| word.word == chosen).map_or("", |word| word.word);
    let choices: Vec<(&'static str, &str, &str)> =
        words.iter().map(|word| (word.word, word.shown, word.about)).collect();
    parts::segmented(ui, &mut chosen, &choices).then_some(chosen)
}

/// A path, with a button for the file dialog.
pub fn folder(ui: &mut Ui, launch: &mut Launch, field: Setting, commands: &Commands) {
    const BUTTON: f32 = 92.0;
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = space::S;
        let width = ui.available_width() - BUTTON - space::S;
        let may_change = launch.may_change(&field);
        ui.allocate_ui_with_layout(egui::vec2(width, 0.0), Layout::top_down(Align::Min), |ui| {
            ui.add_enabled_ui(may_change, |ui| label_and_text(ui, launch, field, width));
        });
        ui.vertical(|ui| {
            ui.add_space(size::SMALL + space::XS + 1.0);
            let choose = ui
                .add_enabled(may_change, egui::Button::new("Choose…").min_size(egui::vec2(BUTTON, 0.0)))
                .on_hover_text(format!("Choose the {} with a dialog", field.label.to_lowercase()));
            if choose.clicked() {
                commands.push(match field.kind {
                    SettingKind::File => Command::PickLaunchFile(field.key),
                    _ => Command::PickLaunchFolder(field.key),
                });
            }
        });
    });
}

fn label_and_text(ui: &mut Ui, launch: &mut Launch, field: Setting, width: f32) {
    let palette = parts::palette(ui);
    ui.spacing_mut().item_spacing.y = space::XS;
    let checked = launch.checked();
    let problem = checked.problems.get(field.key).cloned();
    let default = checked.default_of(field);
    let because = checked
        .suggestion(field)
        .map(|suggestion| format!("\nEmpty: {}, because {}", suggestion.value, suggestion.because));
    let about = format!("{}{}", field.about, because.unwrap_or_default());
    let at_fork = launch.at_fork(&field);
    let label = parts::caption(ui, field.label);
    let text = launch.text_mut(field.key);
    let mut edit = TextEdit::singleline(text).id_salt(("launch", field.key)).desired_width(width);
    if let Some(default) = default {
        edit = edit.hint_text(default);
    }
    if problem.is_some() {
        ui.visuals_mut().widgets.inactive.bg_stroke.color = palette.error;
    }
    let about = [Some(about), at_fork].into_iter().flatten().collect::<Vec<_>>().join("\n");
    ui.add(edit).labelled_by(label.id).on_hover_text(&about).on_disabled_hover_text(about);
    if let Some(sentence) = problem {
        ui.label(RichText::new(sentence).size(size::SMALL).color(palette.error));
    }
}

fn switch(ui: &mut Ui, launch: &mut Launch, field: Setting) {
    ui.add_space(size::SMALL + space::M);
    let mut on = launch.is_on(field.key);
    if ui.checkbox(&mut on, field.label).on_hover_text(field.about).changed() {
        launch.set(field.key, on.to_string());
    }
}

fn choice(ui: &mut Ui, launch: &mut Launch, field: Setting, words: &[Word]) {
    ui.spacing_mut().item_spacing.y = space::XS;
    parts::caption(ui, field.label);
    let chosen = launch.text(field.key);
    let shown = words.iter().find(|word| word.word == chosen).map_or(chosen, |word| word.shown).to_owned();
    let response = ComboBox::from_id_salt(("launch", field.key))
        .selected_text(&shown)
        .width(ui.available_width())
        .show_ui(ui, |ui| {
            for Word { word, shown, .. } in words {
                let selected = launch.text(field.key) == *word;
                if ui.selectable_label(selected, *shown).clicked() {
                    launch.set(field.key, *word);
                }
            }
        })
        .response
        .on_hover_text(field.about);
    let name = format!("{}: {shown}", field.label);
    response.widget_info(|| WidgetInfo::labeled(Role::ComboBox, true, &name));
}
