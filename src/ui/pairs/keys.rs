//! The keys of labelling: what each means, and the sheet that lists them.

use std::collections::VecDeque;

use egui::{Event, Id, Key, Margin, Modifiers, RichText, TextStyle, Ui};

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
    /// Skip, unless the pair has a verdict already: that is kept.
    Skip,
    /// Leaves the pair as it is.
    Keep,
    Scroll(Part, Way),
    WhiteSpace,
    Edit,
    Difference,
    Undo,
    Keys,
    Leave,
}

/// What is scrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Both at once.
    Answers,
    Prompt,
}

/// How far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Up,
    Down,
    PageUp,
    PageDown,
    Start,
    End,
}

/// Takes the keys of this mode out of the input, unless a text is being edited. One a frame is carried out, and a verdict
/// only when its pair is `ready`: where a frame is slow the others wait, so that each press is one label.
pub fn take(ui: &mut Ui, label: &mut LabelView, ready: bool, now_ms: i64) -> Option<Act> {
    let id = Id::unique("keys of labelling that wait");
    let mut waiting: VecDeque<Act> = ui.data(|data| data.get_temp(id)).unwrap_or_default();
    pressed(ui, label, now_ms, &mut waiting);
    let about_pair = |act: &Act| matches!(act, Act::Judge(_) | Act::Skip | Act::Keep | Act::Edit);
    let act = waiting.pop_front_if(|act| ready || !about_pair(act));
    if act == Some(Act::Leave) {
        waiting.clear();
    }
    if !waiting.is_empty() {
        ui.request_repaint();
    }
    ui.data_mut(|data| data.insert_temp(id, waiting));
    act
}

fn pressed(ui: &mut Ui, label: &mut LabelView, now_ms: i64, waiting: &mut VecDeque<Act>) {
    let typing = ui.text_edit_focused();
    // A button that has the keyboard is pressed with the space bar.
    let on_button = ui.memory(|memory| memory.focused().is_some());
    let LabelView { editing, keys: overlay, held, letters, .. } = label;
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
                    _ if typing || (on_button && *key == Key::Space) => None,
                    _ => meaning(*key, *physical_key, *modifiers),
                };
                let letter = is_letter(*key) && !modifiers.command && !modifiers.alt && !typing;
                let Some(found) = found else {
                    if letter && first {
                        letters.stray(now_ms);
                    }
                    return true;
                };
                // The overlay lets through only what closes it; scrolling goes on as long as its key is held.
                let once = first || matches!(found, Act::Scroll(..));
                let open = !*overlay || matches!(found, Act::Keys | Act::Leave);
                if once && open && (!letter || letters.is_meant(now_ms)) {
                    waiting.push_back(found);
                }
                false
            }
            _ => true,
        });
    });
}

fn is_letter(key: Key) -> bool {
    let name = key.name();
    name.len() == 1 && name.bytes().all(|byte| byte.is_ascii_alphabetic())
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
    let part = if modifiers.shift { Part::Prompt } else { Part::Answers };
    Some(match key {
        Key::ArrowUp => Act::Scroll(part, Way::Up),
        Key::ArrowDown => Act::Scroll(part, Way::Down),
        Key::PageUp => Act::Scroll(part, Way::PageUp),
        Key::PageDown => Act::Scroll(part, Way::PageDown),
        Key::Home => Act::Scroll(part, Way::Start),
        Key::End => Act::Scroll(part, Way::End),
        Key::Space => Act::Scroll(Part::Answers, if modifiers.shift { Way::PageUp } else { Way::PageDown }),
        Key::T => Act::Judge(Judgement::Tie),
        Key::B => Act::Judge(Judgement::BothBad),
        Key::S if modifiers.shift => Act::Judge(Judgement::Skip),
        Key::S => Act::Skip,
        Key::K => Act::Keep,
        Key::W => Act::WhiteSpace,
        Key::E => Act::Edit,
        Key::D => Act::Difference,
        Key::U => Act::Undo,
        Key::Questionmark => Act::Keys,
        Key::Slash if modifiers.shift => Act::Keys,
        Key::Escape => Act::Leave,
        _ => return None,
    })
}

const KEYS: [(&str, &str); 18] = [
    ("1  or  ←", "Left is clearly better"),
    ("2  or  →", "Right is clearly better"),
    ("Shift 1, 2", "… strongly better"),
    ("Alt 1, 2", "… slightly better"),
    ("T", "Tie"),
    ("B", "Both bad"),
    ("S", "Skip; a verdict that is there is kept"),
    ("Shift S", "Skip, also over a verdict"),
    ("K", "Keep the pair as it is, next"),
    ("↑ ↓  PgUp PgDn  Space", "Scroll both answers; Home and End too"),
    ("Shift ↑ ↓ …", "Scroll the prompt"),
    ("E", "Edit the answers; Esc or Ctrl Enter ends editing"),
    ("D", "Difference on or off"),
    ("W", "White space marked or not"),
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
            (Key::S, Act::Skip),
            (Key::K, Act::Keep),
            (Key::W, Act::WhiteSpace),
            (Key::Space, Act::Scroll(Part::Answers, Way::PageDown)),
            (Key::End, Act::Scroll(Part::Answers, Way::End)),
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
        assert_eq!(meaning(Key::S, None, Modifiers::SHIFT), Some(Act::Judge(Judgement::Skip)));
        let down = Some(Act::Scroll(Part::Prompt, Way::PageDown));
        assert_eq!(meaning(Key::PageDown, None, Modifiers::SHIFT), down);
    }

    #[test]
    fn only_letters_can_be_part_of_a_text() {
        assert!(is_letter(Key::T) && is_letter(Key::Q));
        for key in [Key::Num1, Key::ArrowDown, Key::Space, Key::Escape, Key::F1] {
            assert!(!is_letter(key), "{key:?}");
        }
    }
}
