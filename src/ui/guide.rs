//! The next thing to do in this place: a strip above the screen, until it was done once or is put away.

use egui::{Align, Label, Layout, RichText, TextStyle, Ui};
use state::{
    Commands, Views, Workspace,
    actions::{entry, key_of},
    hint::Hint,
};

use super::{
    parts, perform, prompt,
    theme::{size, space},
};

/// Room for the × at the right of the button.
const CLOSE: f32 = 44.0;
/// In a window that is lower the story would leave no room for what it is about: it is folded.
const LOW: f32 = 700.0;

pub fn ui(ui: &mut Ui, workspace: &Workspace, views: &mut Views, commands: &Commands) {
    let mut guide = std::mem::take(&mut views.guide);
    guide.look(workspace, views);
    let hint = guide.hint(workspace, views);
    views.guide = guide;
    let Some(hint) = hint else {
        return;
    };
    let palette = parts::palette(ui);
    let (mut goes, mut put_away) = (false, false);
    parts::strip(ui, palette.accent_soft, |ui| {
        ui.set_width(ui.available_width());
        ui.horizontal_top(|ui| {
            let name = entry(hint.action).map_or("", |entry| entry.name);
            let key = key_of(hint.action);
            let width = ui.available_width() - button_width(ui, &[name, &key]) - CLOSE;
            ui.vertical(|ui| {
                ui.set_width(width);
                ui.spacing_mut().item_spacing.y = space::XS;
                words(ui, &hint, &mut views.guide.unfolded);
            });
            // Laid out from the right, at the height of the first line.
            ui.with_layout(Layout::right_to_left(Align::Min), |ui| {
                let close = ui.add(egui::Button::new("×").frame_when_inactive(false)).on_hover_text("Not shown again");
                prompt::name(&close, egui::Role::Button, "Put this hint away");
                put_away = close.clicked();
                let mut button = egui::Button::new(name);
                if !key.is_empty() {
                    button = button.right_text(RichText::new(key).monospace().size(size::SMALL).color(palette.weak));
                }
                let button = ui.add(button);
                prompt::name(&button, egui::Role::Button, &format!("Next: {name}"));
                goes = button.clicked();
            });
        });
    });
    ui.add_space(space::S);
    if put_away {
        views.guide.put_away(hint.milestone);
    }
    if goes {
        perform::action(hint.action, ui, workspace, views, commands);
    }
}

/// Of a button with these texts in a row, and the gap to its left.
fn button_width(ui: &Ui, texts: &[&str]) -> f32 {
    let text = |text: &&str| {
        let font = TextStyle::Button.resolve(ui.style());
        ui.painter().layout_no_wrap((*text).to_owned(), font, egui::Color32::PLACEHOLDER).size().x
    };
    let spacing = ui.spacing();
    let between = spacing.item_spacing.x * (texts.len() + 1) as f32;
    texts.iter().map(text).sum::<f32>() + 2.0 * spacing.button_padding.x + between
}

fn words(ui: &mut Ui, hint: &Hint, unfolded: &mut bool) {
    let palette = parts::palette(ui);
    let low = ui.ctx().content_rect().height() < LOW;
    if let Some(story) = hint.story.as_ref().filter(|_| !low || *unfolded) {
        ui.add(Label::new(RichText::new(story).color(palette.text)).wrap());
    }
    if !hint.path.is_empty() {
        let done = |(word, done): &(&str, bool)| if *done { format!("✔ {word}") } else { (*word).to_owned() };
        let path: Vec<String> = hint.path.iter().map(done).collect();
        ui.add(
            Label::new(RichText::new(format!("To a run of your own: {}", path.join("  ·  "))).color(palette.text))
                .wrap(),
        );
    }
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new(format!("Next: {}", hint.next)).color(palette.strong));
        if low && hint.story.is_some() {
            let word = if *unfolded { "Less" } else { "What is this?" };
            if parts::quiet(ui, true, word).clicked() {
                *unfolded = !*unfolded;
            }
        }
    });
}
