//! Keys that do something once, however long they are held.

use egui::{Event, Key, Modifiers, Ui};

/// Takes the key out of the input; true when it went down, and not when the keyboard repeats it. What the key would have
/// typed goes with it, so that it does not end up in a field that has just got the caret.
pub fn pressed_once(ui: &Ui, modifiers: Modifiers, key: Key) -> bool {
    ui.input_mut(|input| {
        let (mut any, mut first) = (false, false);
        input.events.retain(|event| match event {
            Event::Key { key: found, pressed: true, modifiers: with, repeat, .. }
                if *found == key && with.matches_logically(modifiers) =>
            {
                any = true;
                first |= !repeat;
                false
            }
            _ => true,
        });
        if any {
            input.events.retain(|event| !matches!(event, Event::Text(_)));
        }
        first
    })
}

/// Whether a letter or digit goes down in this frame that is meant as itself and not as a shortcut.
pub fn types_letter(ui: &Ui) -> bool {
    ui.input(|input| {
        input.events.iter().any(|event| match event {
            Event::Key { pressed: true, modifiers, .. } if modifiers.command || modifiers.alt => false,
            Event::Text(text) => text.chars().any(char::is_alphanumeric),
            _ => false,
        })
    })
}
