//! The prompt as cards, one a turn. Used wherever a prompt can be written.

use data::{Prompt, Role, Turn};
use egui::{Align, ComboBox, Frame, Layout, Margin, Response, Role as WidgetRole, Ui, WidgetInfo, text::LayoutJob};
use state::drafts::LONGEST_EDITABLE;

use super::{
    marked, parts,
    theme::{self, space},
    writing::{Field, Marks},
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

pub fn role_word(role: &Role) -> &str {
    match role {
        Role::System => "System",
        Role::User => "User",
        Role::Assistant => "Assistant",
        Role::Tool => "Tool",
        Role::Other(name) => name.as_str(),
    }
}

/// The field that gets the caret as soon as it is drawn, by its place; kept with the window, by the scope of the
/// prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct WantsCaret(usize);

/// The next [`edit`] in this scope puts the caret into its field with this number.
pub fn ask_caret(ui: &Ui, field: usize) {
    ui.data_mut(|data| data.insert_temp(ui.scope_id(), WantsCaret(field)));
    ui.request_repaint();
}

/// Edits a prompt in place. The caller's id scope must name the record: undo inside a field belongs to its id.
pub fn edit(ui: &mut Ui, prompt: &mut Prompt) -> Edited {
    edit_with(ui, prompt, Marks::NONE)
}

/// The same, some of it marked.
pub fn edit_with(ui: &mut Ui, prompt: &mut Prompt, marks: Marks<'_>) -> Edited {
    let mut edited = Edited::default();
    let scope = ui.scope_id();
    let mut wanted = ui.data(|data| data.get_temp::<WantsCaret>(scope)).map(|WantsCaret(field)| field);
    if wanted.is_some() && !ui.input(|input| input.pointer.any_click()) {
        ui.data_mut(|data| data.remove_temp::<WantsCaret>(scope));
    } else if wanted.take().is_some() {
        ui.request_repaint();
    }
    match prompt {
        Prompt::Text(text) => {
            edited.join(card(ui, |ui| {
                ui.horizontal(|ui| {
                    parts::caption(ui, "Text to be continued");
                });
                let field = Field { hint: "What comes before the answer", ..Field::new("Prompt", "text") };
                Field { marks, takes_caret: wanted.is_some(), ..field }.show(ui, text)
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
                            Role::Other(_) => "What the model's chat template makes of this role",
                        };
                        let field = Field { hint, marks, ..Field::new(&name, "turn") };
                        let takes_caret = wanted == Some(index);
                        edited.join(Field { takes_caret, ..field }.show(ui, &mut turn.content));
                        edited
                    }));
                });
            }
            if let Some(index) = remove {
                turns.remove(index);
                ask_caret(ui, index.min(turns.len().saturating_sub(1)));
                edited.join(Edited::AT_ONCE);
            }
        }
    }
    edited.join(kind_row(ui, prompt));
    edited
}

/// What stands around a turn of the prompt, or an answer.
pub fn card_frame(ui: &Ui) -> Frame {
    let palette = parts::palette(ui);
    Frame::NONE
        .fill(palette.surface)
        .stroke(egui::Stroke::new(1.0, palette.hairline))
        .corner_radius(theme::RADIUS)
        .inner_margin(Margin::symmetric(space::M as i8, space::S as i8))
}

fn card(ui: &mut Ui, add: impl FnOnce(&mut Ui) -> Edited) -> Edited {
    card_frame(ui)
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
        let combo = ComboBox::from_id_salt("role").selected_text(role_word(&turn.role)).width(96.0).show_ui(ui, |ui| {
            for role in Role::USUAL {
                if ui.selectable_value(&mut turn.role, role, role_word(&role)).changed() {
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
    let mut wants_caret = None;
    parts::quiet_row(ui, |ui| {
        ui.spacing_mut().button_padding.y = 2.0;
        if let Prompt::Chat(turns) = prompt
            && parts::quiet(ui, true, "Add turn").clicked()
        {
            let role = match turns.last().map(|turn| turn.role) {
                Some(Role::User) => Role::Assistant,
                _ => Role::User,
            };
            turns.push(Turn::new(role, ""));
            wants_caret = Some(turns.len() - 1);
            edited = Edited::AT_ONCE;
        }
        let to_text = "The answer simply continues this text, without a chat template";
        let to_chat = "Turns rendered by the model's chat template";
        match prompt {
            Prompt::Chat(turns) if turns.len() <= 1 => {
                if parts::quiet(ui, true, "Make plain text").on_hover_text(to_text).clicked() {
                    let text = turns.pop().map_or_else(String::new, |turn| turn.content);
                    *prompt = Prompt::Text(text);
                    wants_caret = Some(0);
                    edited = Edited::AT_ONCE;
                }
            }
            Prompt::Chat(_) => {}
            Prompt::Text(text) => {
                if parts::quiet(ui, true, "Make a conversation").on_hover_text(to_chat).clicked() {
                    *prompt = Prompt::chat(vec![Turn::new(Role::User, std::mem::take(text))]);
                    wants_caret = Some(0);
                    edited = Edited::AT_ONCE;
                }
            }
        }
    });
    if let Some(field) = wants_caret {
        ask_caret(ui, field);
    }
    edited
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
pub fn show(ui: &mut Ui, prompt: &Prompt, size: f32, white_space: bool) {
    let palette = parts::palette(ui);
    let body = |ui: &mut Ui, text: &str| {
        if text.len() > LONGEST_EDITABLE {
            marked::long_text(ui, "prompt", text, 200.0);
        } else {
            let font = egui::FontId::proportional(size);
            let color = ui.visuals().text_color();
            let job = LayoutJob::simple(text.to_owned(), font.clone(), color, ui.available_width());
            marked::label_with(ui, job, white_space);
            marked::unseen(ui, text, &font);
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
                            role_word(&turn.role),
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
