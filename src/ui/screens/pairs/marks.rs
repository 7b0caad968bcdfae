//! The line between prompt and answers in a session: what the pair is marked with, and what marks it.

use data::{Choice, Pair, Strength};
use egui::{Key, KeyboardShortcut, Modifiers, RichText, Role as WidgetRole, TextEdit, Ui};
use state::{
    drafts::one_line,
    labelling::{Act, ShownAnswers},
    order::{Derived, FLAG},
    pairs::{LabelMark, LabelView, MarkField, PairsView},
};

use crate::{
    parts, prompt,
    theme::{size, space},
    writing::give_caret,
};

/// Characters of a note that are seen.
const NOTE: usize = 80;

/// What was done on the line.
#[derive(Default)]
pub struct Done {
    pub act: Option<Act>,
    /// The field was ended with Enter.
    pub is_marked: bool,
}

pub fn ui(ui: &mut Ui, pair: &Pair, shown: ShownAnswers, label: &mut LabelView, view: &mut PairsView) -> Done {
    let mut done = Done::default();
    let several = pair.answers.len() > 2;
    let ordering = several && view.label.orders;
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().button_padding = egui::vec2(space::S, 3.0);
        ui.spacing_mut().item_spacing.x = space::XS;
        let again = label.again && pair.verdict.is_some();
        for (word, about, press, on, there) in [
            ("Fold", "The prompt on one line (P)", Act::Fold, view.label.folded, true),
            ("Flag", "Tags the pair “flagged”, to be found again (F)", Act::Flag, is_flagged(pair), true),
            ("Tag", "Adds a tag (G)", Act::Tag, false, true),
            ("Note", "A note to yourself (N)", Act::Note, false, true),
            ("Verdict", "What was said of the pair before (V)", Act::Reveal, label.reveals, again),
            ("Order", "Puts all answers in order, best first (O)", Act::Order, ordering, several),
        ] {
            if !there {
                continue;
            }
            let text = RichText::new(word).size(size::SMALL);
            let button = ui.add(egui::Button::new(text).selected(on)).on_hover_text(about);
            if button.clicked() {
                done.act = Some(press);
            }
        }
        if ordering {
            derived(ui, &mut view.label.derived);
        }
        if label.reveals && again {
            parts::caption(ui, so_far(pair, shown));
        }
        let tags: Vec<&str> = pair.tags.iter().map(String::as_str).collect();
        if !tags.is_empty() {
            parts::caption(ui, tags.join(", "));
        }
        if !pair.note.is_empty() {
            parts::caption(ui, format!("“{}”", one_line(&pair.note, NOTE)));
        }
    });
    done.is_marked = label.field.as_mut().is_some_and(|field| written(ui, field));
    done
}

pub fn is_flagged(pair: &Pair) -> bool {
    pair.tags.iter().any(|tag| tag == FLAG)
}

/// Which pairs are made of an order.
fn derived(ui: &mut Ui, derived: &mut Derived) {
    let combo = egui::ComboBox::from_id_salt("derived pairs").selected_text(derived.word()).show_ui(ui, |ui| {
        for choice in Derived::ALL {
            ui.selectable_value(derived, choice, choice.word()).on_hover_text(choice.about());
        }
    });
    prompt::name(&combo.response, WidgetRole::ComboBox, "Pairs made of the order");
}

/// The verdict there is, by where the answers stand now.
fn so_far(pair: &Pair, shown: ShownAnswers) -> String {
    let word = match pair.choice() {
        Some(Choice::Better { chosen, strength, .. }) => {
            let sure = match strength {
                Strength::Slightly => "slightly",
                Strength::Clearly => "clearly",
                Strength::Strongly => "strongly",
            };
            let side = match chosen {
                left if left == shown.left => "the left answer".to_owned(),
                right if right == shown.right => "the right answer".to_owned(),
                other => format!("answer {}", other + 1),
            };
            format!("{side} is {sure} better")
        }
        Some(Choice::Tie) => "a tie".to_owned(),
        Some(Choice::BothBad) => "both bad".to_owned(),
        Some(Choice::Skip) => "skipped".to_owned(),
        None => "no verdict".to_owned(),
    };
    format!("So far: {word}")
}

/// The field of a tag or a note. True when it was ended with Enter.
fn written(ui: &mut Ui, field: &mut MarkField) -> bool {
    let (name, hint) = match field.mark {
        LabelMark::Tag => ("New tag", "A tag; Enter adds it, Esc leaves it for later"),
        LabelMark::Note => ("Note", "A note to yourself; Enter or Esc keeps it"),
    };
    // Enter ends it; a line of its own takes Shift.
    let line = KeyboardShortcut::new(Modifiers::SHIFT, Key::Enter);
    let edit = TextEdit::multiline(&mut field.text).id_salt(name).hint_text(hint).desired_rows(1).return_key(line);
    let shown = ui.add(edit.desired_width(f32::INFINITY)).accessible_name(name);
    if field.wants_caret {
        field.wants_caret = !give_caret(ui, &shown, true);
    }
    shown.has_focus() && ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Enter))
}
