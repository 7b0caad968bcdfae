//! The sheet behind `?`: all keys of this place, over everything else.

use egui::{Align2, Area, Grid, Id, Margin, Order, RichText, TextStyle, Ui};
use state::{
    Views,
    actions::{Scope, TABLE, spelled},
    keyboard::Over,
};

use super::{
    parts,
    theme::{self, space},
};

pub fn ui(ui: &Ui, views: &mut Views) {
    if views.keyboard.over != Over::Help {
        return;
    }
    let sheet = Area::new(Id::unique("keys")).order(Order::Foreground).anchor(Align2::CENTER_CENTER, [0.0, 0.0]);
    let sheet = sheet.show(ui, |ui| {
        let frame = parts::card_frame(ui).inner_margin(Margin::same(space::L as i8));
        frame.shadow(ui.visuals().window_shadow).corner_radius(theme::CARD_RADIUS).show(ui, |ui| {
            ui.horizontal_top(|ui| {
                ui.spacing_mut().item_spacing.x = space::XL;
                for place in [Scope::of(views), Scope::Anywhere] {
                    column(ui, place);
                }
            });
        });
    });
    if sheet.response.clicked_elsewhere() {
        views.keyboard.click_outside();
    }
    views.keyboard.drawn();
}

/// The keys of one place. Lines of one name, as all movements, are one line here.
fn column(ui: &mut Ui, place: Scope) {
    let palette = parts::palette(ui);
    let mut lines: Vec<(&str, Vec<String>)> = Vec::new();
    for entry in TABLE.iter().filter(|entry| entry.place.is_part_of(place) && !entry.keys.is_empty()) {
        let keys = entry.keys.iter().map(|keys| spelled(keys));
        match lines.iter_mut().find(|(name, _)| *name == entry.name) {
            Some((_, known)) => known.extend(keys),
            None => lines.push((entry.name, keys.collect())),
        }
    }
    if lines.is_empty() {
        return;
    }
    ui.vertical(|ui| {
        // Lines of text, as close as they can be read.
        ui.spacing_mut().interact_size.y = 0.0;
        parts::heading(ui, place.title());
        Grid::new(place.title()).num_columns(2).spacing([space::L, space::XS]).show(ui, |ui| {
            for (name, keys) in lines {
                let keys = RichText::new(together(&keys)).text_style(TextStyle::Monospace).color(palette.strong);
                ui.label(keys);
                ui.label(name);
                ui.end_row();
            }
        });
    });
}

/// "Shift ↑ ↓ PgUp" for keys that are held with the same others, ", ." where a comma between them would be read as one,
/// else "1, ←".
pub fn together(keys: &[String]) -> String {
    let apart = |keys: &'_ String| keys.rsplit_once(' ').map(|(with, last)| (with.to_owned(), last.to_owned()));
    let parts: Option<Vec<(String, String)>> = keys.iter().map(apart).collect();
    match parts.as_deref() {
        Some([(first, _), rest @ ..]) if !rest.is_empty() && rest.iter().all(|(with, _)| with == first) => {
            let last: Vec<&str> = parts.iter().flatten().map(|(_, last)| last.as_str()).collect();
            format!("{first} {}", last.join(" "))
        }
        _ if keys.len() > 3 || keys.iter().any(|key| key == ",") => keys.join(" "),
        _ => keys.join(", "),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn keys_are_told_apart() {
        let together = |keys: &[&str]| super::together(&keys.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(together(&["Shift ↑", "Shift ↓"]), "Shift ↑ ↓");
        assert_eq!(together(&["M", "Shift M"]), "M, Shift M");
        assert_eq!(together(&[",", "."]), ", .");
    }
}
