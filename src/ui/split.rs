//! A screen divided in two, whose border can be dragged. The size that was chosen holds: where the window has less
//! room the part is smaller only until there is more again.

use egui::{Event, Frame, Id, InnerResponse, Panel, Rangef, Ui, containers::panel::PanelState};

/// The part that has a size of its own; the other has the rest.
pub struct Split {
    panel: fn(&'static str) -> Panel,
    salt: &'static str,
    default: f32,
    range: Rangef,
    is_beside: bool,
    frame: Frame,
}

impl Split {
    /// On the left, in points `default` wide as long as nobody chose another width.
    pub fn left(salt: &'static str, default: f32, range: impl Into<Rangef>) -> Self {
        Self {
            panel: |salt| Panel::left(salt),
            salt,
            default,
            range: range.into(),
            is_beside: true,
            frame: Frame::NONE,
        }
    }

    pub fn right(salt: &'static str, default: f32, range: impl Into<Rangef>) -> Self {
        Self { panel: |salt| Panel::right(salt), ..Self::left(salt, default, range) }
    }

    /// Below, `default` high.
    pub fn bottom(salt: &'static str, default: f32, range: impl Into<Rangef>) -> Self {
        Self { panel: |salt| Panel::bottom(salt), is_beside: false, ..Self::left(salt, default, range) }
    }

    pub fn frame(self, frame: Frame) -> Self {
        Self { frame, ..self }
    }

    pub fn show<R>(self, ui: &mut Ui, contents: impl FnOnce(&mut Ui) -> R) -> InnerResponse<R> {
        // As egui names a panel and its border.
        let id = ui.scope_id().with(self.salt);
        let chosen_id: Id = id.with("chosen size");
        let chosen = ui.data_mut(|data| data.get_persisted::<f32>(chosen_id)).unwrap_or(self.default);
        let size = chosen.clamp(self.range.min, self.range.max.max(self.range.min));
        let border = ui.read_response(id.with("__resize"));
        let is_chosen_now = border.is_some_and(|border| border.dragged() || border.drag_stopped())
            || ui.input(|input| input.events.iter().any(|event| matches!(event, Event::AccessKitActionRequest(_))));
        if !is_chosen_now && let Some(mut state) = PanelState::load(ui, id) {
            let rect = &mut state.outer_rect;
            rect.max = rect.min
                + if self.is_beside { egui::vec2(size, rect.height()) } else { egui::vec2(rect.width(), size) };
            ui.data_mut(|data| data.insert_persisted(id, state));
        }
        let panel = (self.panel)(self.salt).resizable(true).default_size(size).size_range(self.range);
        let shown = panel.show_separator_line(false).frame(self.frame).show(ui, contents);
        let is = if self.is_beside { shown.response.rect.width() } else { shown.response.rect.height() };
        if is_chosen_now && (is - size).abs() > 0.5 {
            ui.data_mut(|data| data.insert_persisted(chosen_id, is));
        }
        shown
    }
}
