//! The prompt as cards, one a turn. Used wherever a prompt can be written.

use egui::{Align, ComboBox, Frame, Layout, Margin, Response, Role as WidgetRole, TextEdit, Ui, WidgetInfo};

use super::{
    marked, parts,
    theme::{self, space},
};
use crate::{
    data::{Prompt, Role, Turn},
    state::drafts::LONGEST_EDITABLE,
};

/// What happened to a text since the last frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Edited {
    pub changed: bool,
    /// A field was left, or something was done in one go (a turn removed): a good moment to commit.
    pub finished: bool,
}

impl Edited {
    pub fn of(response: &Response) -> Self {
        Self { changed: response.changed(), finished: response.lost_focus() }
    }

    /// A click that is complete in itself.
    pub const AT_ONCE: Self = Self { changed: true, finished: true };

    pub fn join(&mut self, other: Self) {
        self.changed |= other.changed;
        self.finished |= other.finished;
    }
}

pub fn role_word(role: Role) -> &'static str {
    match role {
        Role::System => "System",
        Role::User => "User",
        Role::Assistant => "Assistant",
        Role::Tool => "Tool",
    }
}

const ROLES: [Role; 4] = [Role::System, Role::User, Role::Assistant, Role::Tool];

/// Edits a prompt in place. The caller's id scope must name the record: undo inside a field belongs to its id.
pub fn edit(ui: &mut Ui, prompt: &mut Prompt) -> Edited {
    let mut edited = Edited::default();
    match prompt {
        Prompt::Text(text) => {
            edited.join(card(ui, |ui| {
                ui.horizontal(|ui| {
                    parts::caption(ui, "Text to be continued");
                });
                field(ui, "Prompt", "text", text, "What comes before the answer")
            }));
        }
        Prompt::Chat(turns) => {
            let count = turns.len();
            let mut remove = None;
            for (index, turn) in turns.iter_mut().enumerate() {
                // The count is part of the id: after a removal the next turn must not inherit this one's undo.
                ui.push_id((index, count), |ui| {
                    edited.join(card(ui, |ui| {
                        let (mut edited, removed) = turn_header(ui, index, count, turn);
                        if removed {
                            remove = Some(index);
                        }
                        let name = format!("Turn {}", index + 1);
                        let hint = match turn.role {
                            Role::System => "How the model should behave",
                            Role::User => "What the user says",
                            Role::Assistant => "What the model has already said",
                            Role::Tool => "What a tool gave back",
                        };
                        edited.join(field(ui, &name, "turn", &mut turn.content, hint));
                        edited
                    }));
                });
            }
            if let Some(index) = remove {
                turns.remove(index);
                edited.join(Edited::AT_ONCE);
            }
        }
    }
    edited.join(kind_row(ui, prompt));
    edited
}

fn card(ui: &mut Ui, add: impl FnOnce(&mut Ui) -> Edited) -> Edited {
    let palette = parts::palette(ui);
    Frame::NONE
        .fill(palette.surface)
        .stroke(egui::Stroke::new(1.0, palette.hairline))
        .corner_radius(theme::RADIUS)
        .inner_margin(Margin::symmetric(space::M as i8, space::S as i8))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.spacing_mut().item_spacing.y = space::XS;
            add(ui)
        })
        .inner
}

fn turn_header(ui: &mut Ui, index: usize, count: usize, turn: &mut Turn) -> (Edited, bool) {
    let (mut edited, mut removed) = (Edited::default(), false);
    ui.horizontal(|ui| {
        ui.spacing_mut().interact_size.y = 20.0;
        ui.spacing_mut().button_padding.y = 1.0;
        let combo = ComboBox::from_id_salt("role").selected_text(role_word(turn.role)).width(96.0).show_ui(ui, |ui| {
            for role in ROLES {
                if ui.selectable_value(&mut turn.role, role, role_word(role)).changed() {
                    edited = Edited::AT_ONCE;
                }
            }
        });
        name(&combo.response, WidgetRole::ComboBox, &format!("Speaker of turn {}", index + 1));
        if count > 1 {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let button = parts::quiet(ui, true, "Remove");
                name(&button, WidgetRole::Button, &format!("Remove turn {}", index + 1));
                removed = button.clicked();
            });
        }
    });
    (edited, removed)
}

/// Adds a turn, or changes between conversation and plain text.
fn kind_row(ui: &mut Ui, prompt: &mut Prompt) -> Edited {
    let mut edited = Edited::default();
    ui.horizontal(|ui| {
        ui.spacing_mut().button_padding.y = 2.0;
        if let Prompt::Chat(turns) = prompt
            && parts::quiet(ui, true, "Add turn").clicked()
        {
            let role = match turns.last().map(|turn| turn.role) {
                Some(Role::User) => Role::Assistant,
                _ => Role::User,
            };
            turns.push(Turn { role, content: String::new() });
            edited = Edited::AT_ONCE;
        }
        let to_text = "The answer simply continues this text, without a chat template";
        let to_chat = "Turns rendered by the model's chat template";
        match prompt {
            Prompt::Chat(turns) if turns.len() <= 1 => {
                if parts::quiet(ui, true, "Make plain text").on_hover_text(to_text).clicked() {
                    let text = turns.pop().map_or_else(String::new, |turn| turn.content);
                    *prompt = Prompt::Text(text);
                    edited = Edited::AT_ONCE;
                }
            }
            Prompt::Chat(_) => {}
            Prompt::Text(text) => {
                if parts::quiet(ui, true, "Make a conversation").on_hover_text(to_chat).clicked() {
                    *prompt = Prompt::Chat(vec![Turn { role: Role::User, content: std::mem::take(text) }]);
                    edited = Edited::AT_ONCE;
                }
            }
        }
    });
    edited
}

/// A frameless field inside a card; a text beyond the editable length is shown line by line instead.
fn field(ui: &mut Ui, label: &str, salt: &str, text: &mut String, hint: &str) -> Edited {
    if text.len() > LONGEST_EDITABLE {
        too_long(ui, salt, text);
        return Edited::default();
    }
    let response = ui.add(
        TextEdit::multiline(text)
            .id_salt(salt)
            .hint_text(hint)
            .frame(Frame::NONE)
            .desired_rows(1)
            .desired_width(f32::INFINITY),
    );
    Edited::of(&response.accessible_name(label))
}

/// What stands in place of a field whose text is too long to be edited.
pub fn too_long(ui: &mut Ui, salt: &str, text: &str) {
    parts::caption(
        ui,
        format!(
            "{} KiB, too long to edit here (the limit is {} KiB); shown as it is",
            text.len() / 1024,
            LONGEST_EDITABLE / 1024
        ),
    );
    marked::long_text(ui, (salt, "long"), text, 260.0);
}

/// Gives a control the name that screen readers and tests know it by.
pub fn name(response: &Response, kind: WidgetRole, label: &str) {
    response.widget_info(|| WidgetInfo::labeled(kind, response.enabled(), label));
}

/// A conversation or text to be read, not edited, in letters of this size.
pub fn show(ui: &mut Ui, prompt: &Prompt, size: f32) {
    let palette = parts::palette(ui);
    let body = |ui: &mut Ui, text: &str| {
        if text.len() > LONGEST_EDITABLE {
            marked::long_text(ui, "prompt", text, 200.0);
        } else {
            let text = egui::RichText::new(text).size(size);
            ui.add(egui::Label::new(text).selectable(true).wrap());
        }
    };
    match prompt {
        Prompt::Text(text) => body(ui, text),
        Prompt::Chat(turns) => {
            for (index, turn) in turns.iter().enumerate() {
                ui.push_id(index, |ui| {
                    ui.horizontal_top(|ui| {
                        let (rect, _) = ui.allocate_exact_size(egui::vec2(64.0, 18.0), egui::Sense::hover());
                        ui.painter().text(
                            rect.left_center(),
                            egui::Align2::LEFT_CENTER,
                            role_word(turn.role),
                            egui::TextStyle::Small.resolve(ui.style()),
                            palette.weak,
                        );
                        ui.vertical(|ui| body(ui, &turn.content));
                    });
                });
            }
        }
    }
}
