//! Keys: which line of the table a press means, and whether somebody who is typing means it.

use std::sync::LazyLock;

use egui::{Event, Id, Key, Modifiers, Ui};
use state::{
    Command, Commands, Notice, Screen, Views, Workspace,
    actions::{Action, ActionLine, Scope, TABLE},
    keyboard::{Keyboard, Over},
};

use super::{perform, screens::pairs};

const PAIRS: Scope = Scope::On(Screen::Pairs);

/// A key of the table as egui tells it.
struct Shortcut {
    modifiers: Modifiers,
    key: Key,
    entry: &'static ActionLine,
}

static SHORTCUTS: LazyLock<Vec<Shortcut>> = LazyLock::new(|| {
    let all = TABLE.iter().flat_map(|entry| entry.keys.iter().map(move |keys| (entry, keys)));
    all.filter_map(|(entry, keys)| read(keys).map(|(modifiers, key)| Shortcut { modifiers, key, entry })).collect()
});

/// "Ctrl+Shift+Z".
fn read(keys: &str) -> Option<(Modifiers, Key)> {
    let mut words = keys.split('+').rev();
    let key = Key::from_name(words.next()?)?;
    let modifiers = words.try_fold(Modifiers::NONE, |all, word| {
        Some(match word {
            "Ctrl" => all | Modifiers::COMMAND,
            "Shift" => all | Modifiers::SHIFT,
            "Alt" => all | Modifiers::ALT,
            _ => return None,
        })
    });
    Some((modifiers?, key))
}

/// What a press means in a place. Digits are also taken by where they are on the board, for layouts that have them on
/// Shift; Shift counts only where some line asks for it.
fn meaning(place: Scope, key: Key, physical: Option<Key>, pressed: Modifiers) -> Option<&'static ActionLine> {
    let find = |shift: bool| {
        SHORTCUTS.iter().find(|known| {
            let same_key = known.key == key || (is_digit(known.key, None) && physical == Some(known.key));
            let same_modifiers = known.modifiers.command == pressed.command
                && known.modifiers.alt == pressed.alt
                && known.modifiers.shift == shift;
            same_key && same_modifiers && known.entry.place.acts_in(place)
        })
    };
    // “?” is a key of its own on some boards and Shift with “/” on others.
    if key == Key::Slash && pressed.shift {
        return meaning(place, Key::Questionmark, None, Modifiers { shift: false, ..pressed });
    }
    find(pressed.shift).or_else(|| find(false)).map(|known| known.entry)
}

/// Takes the keys of the table out of the input and has done what they mean.
pub fn take(ui: &Ui, workspace: &Workspace, views: &mut Views, commands: &Commands) {
    let mut keyboard = std::mem::take(&mut views.keyboard);
    let pressed = pressed(ui, &mut keyboard, workspace, views);
    views.keyboard = keyboard;
    for sentence in pressed.refused {
        commands.push(Command::Tell(Notice::info(sentence)));
    }
    for action in pressed.actions {
        perform::action(action, ui, workspace, views, commands);
    }
    views.drop_unseen_presses();
}

/// What keys meant in a frame.
#[derive(Default)]
struct Pressed {
    actions: Vec<Action>,
    /// Why something cannot be done now.
    refused: Vec<String>,
}

fn pressed(ui: &Ui, keyboard: &mut Keyboard, workspace: &Workspace, views: &mut Views) -> Pressed {
    let now_ms = workspace.now_ms;
    let place = Scope::of(views);
    let typing = Typing {
        edits: ui.text_edit_focused(),
        ahead: place == PAIRS && views.pairs.typed_ahead.is_some(),
        focused: ui.memory(egui::Memory::focused).filter(|id| *id != pairs::table_id()),
    };
    let mut pressed = Pressed::default();
    ui.input_mut(|input| {
        let any_key = input.events.iter().any(|event| matches!(event, Event::Key { pressed: true, .. }));
        input.events.retain(|event| {
            let Event::Key { key, physical_key, pressed: down, modifiers, .. } = event else {
                if matches!(event, Event::WindowFocused(false)) {
                    keyboard.held.release_all();
                }
                return true;
            };
            let at = physical_key.unwrap_or(*key) as u64;
            if !*down {
                keyboard.held.release(at);
                return true;
            }
            let first = keyboard.held.press(at);
            if matches!(keyboard.over, Over::Palette(_)) {
                return true; // It has the keyboard.
            }
            if keyboard.over == Over::Help && *key == Key::Escape {
                keyboard.over = Over::Nothing;
                return false;
            }
            let bare = !modifiers.command && !modifiers.alt && !typing.is_text();
            let (letter, digit) = (bare && is_letter(*key), bare && is_digit(*key, *physical_key));
            let found = meaning(place, *key, *physical_key, *modifiers).filter(|entry| typing.lets(entry, *key));
            let Some(entry) = found else {
                if letter && first {
                    keyboard.letters.stray(place, now_ms);
                }
                return true;
            };
            // The sheet of keys lets through only what closes it; a movement goes on as long as its key is held.
            let lies_open = keyboard.over == Over::Nothing || entry.action == Action::Help;
            let goes_on = first || entry.action.is_movement();
            let is_meant = |keyboard: &mut Keyboard| match (letter, digit) {
                (true, _) => keyboard.letters.is_meant(place, entry.action.leads_elsewhere(), now_ms),
                (false, true) => keyboard.letters.is_digit_meant(place, now_ms),
                (false, false) => {
                    if *key != Key::Space {
                        keyboard.letters.end();
                    }
                    true
                }
            };
            match (entry.when)(workspace, views) {
                Err(why) if entry.action.says_why_not() && lies_open => {
                    if first && is_meant(keyboard) {
                        pressed.refused.push(why);
                    }
                    false
                }
                Err(_) => {
                    // It means nothing now, as one that is in no line.
                    if letter && first {
                        keyboard.letters.stray(place, now_ms);
                    }
                    true
                }
                Ok(()) => {
                    if lies_open && goes_on && is_meant(keyboard) {
                        pressed.actions.push(entry.action);
                    }
                    false
                }
            }
        });
        // What a key types belongs to it; a text without keys is one all the same.
        if matches!(keyboard.over, Over::Palette(_)) {
            return;
        }
        let is_word = |event: &Event| matches!(event, Event::Text(text) if text.chars().any(char::is_alphanumeric));
        if !pressed.actions.is_empty() || (place.is_session() && !typing.edits) {
            input.events.retain(|event| !matches!(event, Event::Text(_)));
        } else if !any_key && !typing.is_text() && input.events.iter().any(is_word) {
            keyboard.letters.stray(place, now_ms);
        }
    });
    pressed
}

/// Who else wants the keys.
struct Typing {
    /// A text is being edited.
    edits: bool,
    /// A new pair is on its way, and what is typed is meant for it.
    ahead: bool,
    /// A button or the like that has the keyboard.
    focused: Option<Id>,
}

impl Typing {
    /// Whether letters are text.
    fn is_text(&self) -> bool {
        self.edits || self.ahead
    }

    /// Whether a key is left for this line.
    fn lets(&self, entry: &ActionLine, key: Key) -> bool {
        if self.is_text() {
            return entry.action.acts_while_typing();
        }
        match key {
            Key::Space | Key::Enter => self.focused.is_none() || entry.action.acts_while_typing(),
            // A menu that has the keyboard has its own use for arrows.
            _ => entry.place != PAIRS || !entry.action.is_movement() || self.focused.is_none(),
        }
    }
}

/// By what it types, or by where it is on the board.
fn is_digit(key: Key, physical: Option<Key>) -> bool {
    let is_digit = |key: Key| key >= Key::Num0 && key <= Key::Num9;
    is_digit(key) || physical.is_some_and(is_digit)
}

fn is_letter(key: Key) -> bool {
    let name = key.name();
    name.len() == 1 && name.bytes().all(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::Strength;
    use state::labelling::{Act, Judgement, ScrollBy, ScrollPart, Side};

    #[test]
    fn every_key_of_the_table_is_one_that_exists() {
        for entry in TABLE.iter() {
            for keys in entry.keys {
                assert!(read(keys).is_some(), "“{}” of {}", keys, entry.name);
            }
        }
    }

    #[track_caller]
    fn labels(key: Key, physical: Option<Key>, modifiers: Modifiers, act: Act) {
        let found = meaning(Scope::Labelling, key, physical, modifiers).map(|entry| entry.action);
        assert_eq!(found, Some(Action::Labelling(act)));
    }

    #[test]
    fn digits_and_modifiers_give_side_and_strength() {
        use Strength::{Clearly, Slightly, Strongly};
        let better = |side, strength| Act::Judge(Judgement::Prefer(side, strength));
        labels(Key::Num1, None, Modifiers::NONE, better(Side::Left, Clearly));
        labels(Key::Num2, None, Modifiers::SHIFT, better(Side::Right, Strongly));
        labels(Key::Num1, None, Modifiers::ALT, better(Side::Left, Slightly));
        labels(Key::ArrowRight, None, Modifiers::NONE, better(Side::Right, Clearly));
        // Shift 1 types “!” on many boards; Ctrl 1 goes to another screen.
        let place = Some(Key::Num1);
        labels(Key::Exclamationmark, place, Modifiers::SHIFT, better(Side::Left, Strongly));
        let go = meaning(Scope::Labelling, Key::Num1, place, Modifiers::COMMAND).map(|entry| entry.action);
        assert_eq!(go, Some(Action::Go(Screen::Pairs)));
    }

    #[test]
    fn letters_mean_the_same_with_shift_unless_a_line_says_otherwise() {
        labels(Key::T, None, Modifiers::NONE, Act::Judge(Judgement::Tie));
        labels(Key::T, None, Modifiers::SHIFT, Act::Judge(Judgement::Tie));
        labels(Key::S, None, Modifiers::NONE, Act::Skip);
        labels(Key::S, None, Modifiers::SHIFT, Act::Judge(Judgement::Skip));
        labels(Key::PageDown, None, Modifiers::SHIFT, Act::Scroll(ScrollPart::Prompt, ScrollBy::PageDown));
        labels(Key::Space, None, Modifiers::NONE, Act::Scroll(ScrollPart::Answers, ScrollBy::PageDown));
        assert!(meaning(Scope::Labelling, Key::Q, None, Modifiers::NONE).is_none());
        for (key, modifiers) in [(Key::Questionmark, Modifiers::SHIFT), (Key::Slash, Modifiers::SHIFT)] {
            let found = meaning(Scope::Labelling, key, None, modifiers).map(|entry| entry.action);
            assert_eq!(found, Some(Action::Help));
        }
    }

    #[test]
    fn only_letters_can_be_part_of_a_text() {
        assert!(is_letter(Key::T) && is_letter(Key::Q));
        for key in [Key::Num1, Key::ArrowDown, Key::Space, Key::Escape, Key::F1] {
            assert!(!is_letter(key), "{key:?}");
        }
    }
}
