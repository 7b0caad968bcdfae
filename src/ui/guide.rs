//! The next thing to do in this place: a strip below the screen, until it was done once or is put away.

use egui::{Align, Frame, Id, Label, Layout, Margin, Panel, RichText, TextStyle, Ui};
use state::{
    Commands, Views, Workspace,
    actions::{Action, entry, key_of},
    guide::Milestone,
    hint::Hint,
};

use super::{
    parts, perform, prompt,
    theme::{size, space},
};

/// Room for the × at the right of the button.
const CLOSE: f32 = 44.0;
/// In a window that is lower the story would leave no room for what it is about: its first sentence stands for it.
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
    let frame = Frame::NONE.fill(palette.ground).inner_margin(Margin::symmetric(space::XL as i8, space::S as i8));
    let panel = Panel::bottom("guide").resizable(false).show_separator_line(false).frame(frame);
    let (goes, put_away) =
        panel.show(ui, |ui| parts::strip(ui, palette.accent_soft, |ui| card(ui, &hint, views))).inner;
    if put_away {
        views.guide.put_away(hint.milestone);
    }
    if goes {
        perform::action(hint.action, ui, workspace, views, commands);
    }
}

/// Whether its button and its × were pressed.
fn card(ui: &mut Ui, hint: &Hint, views: &mut Views) -> (bool, bool) {
    let (mut goes, mut put_away) = (false, false);
    ui.set_width(ui.available_width());
    keep_height(ui, (hint.milestone, views.guide.unfolded), |ui| {
        ui.horizontal_top(|ui| {
            let name = entry(hint.action).map_or("", |entry| entry.name);
            // Its own key where that works from here.
            let is_here = entry(hint.action)
                .is_some_and(|entry| entry.place.screen().is_none_or(|screen| screen == views.screen));
            let own = if is_here { key_of(hint.action) } else { String::new() };
            let key = if own.is_empty() { key_of(Action::FollowHint) } else { own };
            let width = ui.available_width() - button_width(ui, &[name, &key]) - CLOSE;
            ui.vertical(|ui| {
                ui.set_width(width);
                ui.spacing_mut().item_spacing.y = space::XS;
                words(ui, hint, &mut views.guide.unfolded);
            });
            // Laid out from the right, at the height of the first line.
            ui.with_layout(Layout::right_to_left(Align::Min), |ui| {
                let close = ui
                    .add(egui::Button::new("×").frame_when_inactive(false))
                    .on_hover_text(format!("Not shown again ({})", key_of(Action::PutHintAway)));
                prompt::name(&close, egui::Role::Button, "Put this hint away");
                put_away = close.clicked();
                let mut button = egui::Button::new(name);
                if !key.is_empty() {
                    button = button.right_text(parts::key(ui, &key));
                }
                let button = ui.add(button);
                prompt::name(&button, egui::Role::Button, &format!("Next: {name}"));
                goes = button.clicked();
            });
        });
    });
    (goes, put_away)
}

/// A card whose words change by themselves, e.g. when the first pairs are there, does not become lower by that: what
/// stands above it keeps its place.
fn keep_height(ui: &mut Ui, card: (Milestone, bool), contents: impl FnOnce(&mut Ui)) {
    let key = (card, ui.available_width() as i32);
    let id = Id::unique("height of the guide");
    let before = ui.data(|data| data.get_temp::<((Milestone, bool), i32, f32)>(id));
    let height = before.filter(|before| (before.0, before.1) == key).map_or(0.0, |before| before.2);
    let shown = ui.scope(|ui| {
        ui.set_min_height(height);
        contents(ui);
    });
    ui.data_mut(|data| data.insert_temp(id, (key.0, key.1, shown.response.rect.height())));
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
    let folded = low && !*unfolded;
    if let Some(story) = hint.story.as_deref() {
        let text = if folded { RichText::new(opening(story)).size(size::SMALL) } else { RichText::new(story) };
        ui.add(Label::new(text.color(palette.text)).wrap());
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
        if low && hint.story.as_deref().is_some_and(|story| opening(story) != story) {
            let word = if folded { "More about it" } else { "Less" };
            if parts::quiet(ui, true, word).clicked() {
                *unfolded = !*unfolded;
            }
        }
    });
}

/// A text's first sentence.
fn opening(text: &str) -> &str {
    text.find(". ").map_or(text, |end| &text[..=end])
}
