//! The keys of labelling: what each means, and the sheet that lists them.

use egui::{Event, Key, Margin, Modifiers, RichText, TextStyle, Ui};

use crate::{
    data::Strength,
    state::{
        labelling::{Judgement, Side},
        pairs::LabelView,
    },
    ui::{
        parts,
        theme::{self, space},
    },
};

/// What a key or a button means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Judge(Judgement),
    Edit,
    Difference,
    Undo,
    Keys,
    Leave,
}

/// Takes the keys of this mode out of the input, unless a text is being edited.
pub fn take(ui: &mut Ui, label: &mut LabelView) -> Option<Act> {
    let typing = ui.text_edit_focused();
    let LabelView { editing, keys: overlay, held, .. } = label;
    let mut act = None;
    ui.input_mut(|input| {
        input.events.retain(|event| match event {
            // What a key types belongs to it.
            Event::Text(_) => typing,
            Event::WindowFocused(false) => {
                held.release_all();
                true
            }
            Event::Key { key, physical_key, pressed, modifiers, .. } => {
                let place = physical_key.unwrap_or(*key) as u64;
                if !*pressed {
                    held.release(place);
                    return true;
                }
                let first = held.press(place);
                let found = match key {
                    Key::Escape if typing || editing.is_some() => Some(Act::Leave),
                    Key::Enter if modifiers.command && editing.is_some() => Some(Act::Edit),
                    _ if typing => None,
                    _ => meaning(*key, *physical_key, *modifiers),
                };
                let Some(found) = found else { return true };
                // The overlay lets through only what closes it.
                if first && (!*overlay || matches!(found, Act::Keys | Act::Leave)) {
                    act = act.or(Some(found));
                }
                false
            }
            _ => true,
        });
    });
    act
}

/// Digits are also taken by their place on the board, for layouts that put them on Shift.
fn meaning(key: Key, physical: Option<Key>, modifiers: Modifiers) -> Option<Act> {
    let side = |digit: Key, arrow: Key| key == digit || physical == Some(digit) || (key == arrow && !modifiers.command);
    let strength = if modifiers.shift {
        Strength::Strongly
    } else if modifiers.alt {
        Strength::Slightly
    } else {
        Strength::Clearly
    };
    if !modifiers.command {
        if side(Key::Num1, Key::ArrowLeft) {
            return Some(Act::Judge(Judgement::Prefer(Side::Left, strength)));
        }
        if side(Key::Num2, Key::ArrowRight) {
            return Some(Act::Judge(Judgement::Prefer(Side::Right, strength)));
        }
    }
    if modifiers.command && key == Key::Z && !modifiers.shift {
        return Some(Act::Undo);
    }
    if modifiers.command || modifiers.alt {
        return None;
    }
    Some(match key {
        Key::T => Act::Judge(Judgement::Tie),
        Key::B => Act::Judge(Judgement::BothBad),
        Key::S => Act::Judge(Judgement::Skip),
        Key::E => Act::Edit,
        Key::D => Act::Difference,
        Key::U => Act::Undo,
        Key::Questionmark => Act::Keys,
        Key::Slash if modifiers.shift => Act::Keys,
        Key::Escape => Act::Leave,
        _ => return None,
    })
}

const KEYS: [(&str, &str); 13] = [
    ("1  or  ←", "Left is clearly better"),
    ("2  or  →", "Right is clearly better"),
    ("Shift 1, 2", "… strongly better"),
    ("Alt 1, 2", "… slightly better"),
    ("T", "Tie"),
    ("B", "Both bad"),
    ("S", "Skip"),
    ("E", "Edit the answers; Esc or Ctrl Enter ends editing"),
    ("D", "Difference on or off"),
    ("U  or  Ctrl Z", "Undo the last label of this session"),
    ("?", "These keys"),
    ("Esc", "Leave"),
    ("", "Every label is on the disk before “Saved” is said"),
];

/// All keys of this mode, over everything else.
pub fn overlay(ui: &Ui) {
    let palette = parts::palette(ui);
    egui::Area::new(egui::Id::unique("labelling keys"))
        .order(egui::Order::Foreground)
        .anchor(egui::Align2::CENTER_CENTER, [0.0, 0.0])
        .show(ui, |ui| {
            parts::card_frame(ui)
                .inner_margin(Margin::same(space::XL as i8))
                .shadow(ui.visuals().window_shadow)
                .corner_radius(theme::CARD_RADIUS)
                .show(ui, |ui| {
                    parts::heading(ui, "Keys");
                    ui.add_space(space::S);
                    egui::Grid::new("keys").num_columns(2).spacing([space::XL, space::S]).show(ui, |ui| {
                        for (key, what) in KEYS {
                            let key = RichText::new(key).text_style(TextStyle::Monospace).color(palette.strong);
                            ui.label(key);
                            ui.label(what);
                            ui.end_row();
                        }
                    });
                });
        });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: Key, physical: Option<Key>, modifiers: Modifiers, side: Side, strength: Strength) {
        let act = Act::Judge(Judgement::Prefer(side, strength));
        assert_eq!(meaning(key, physical, modifiers), Some(act));
    }

    #[test]
    fn digits_and_modifiers_give_side_and_strength() {
        use Strength::{Clearly, Slightly, Strongly};
        check(Key::Num1, None, Modifiers::NONE, Side::Left, Clearly);
        check(Key::Num2, None, Modifiers::SHIFT, Side::Right, Strongly);
        check(Key::Num1, None, Modifiers::ALT, Side::Left, Slightly);
        check(Key::ArrowRight, None, Modifiers::NONE, Side::Right, Clearly);
        // Shift 1 types “!” on many boards; Ctrl 1 goes to another screen.
        let place = Some(Key::Num1);
        check(Key::Exclamationmark, place, Modifiers::SHIFT, Side::Left, Strongly);
        assert_eq!(meaning(Key::Num1, Some(Key::Num1), Modifiers::COMMAND), None);
    }

    #[test]
    fn every_letter_of_the_overlay_means_something() {
        for (key, act) in [
            (Key::T, Act::Judge(Judgement::Tie)),
            (Key::B, Act::Judge(Judgement::BothBad)),
            (Key::S, Act::Judge(Judgement::Skip)),
            (Key::E, Act::Edit),
            (Key::D, Act::Difference),
            (Key::U, Act::Undo),
            (Key::Questionmark, Act::Keys),
            (Key::Escape, Act::Leave),
        ] {
            assert_eq!(meaning(key, None, Modifiers::NONE), Some(act));
        }
        assert_eq!(meaning(Key::Q, None, Modifiers::NONE), None);
        assert_eq!(meaning(Key::Slash, None, Modifiers::SHIFT), Some(Act::Keys));
    }
}
