//! Small things that every screen is built of: card, heading, empty state, the one primary button.

use egui::{
    Button, Color32, Frame, Margin, Panel, Response, RichText, ScrollArea, Ui, scroll_area::ScrollBarVisibility,
};

use super::theme::{self, Palette, size, space};

pub fn palette(ui: &Ui) -> &'static Palette {
    theme::palette(ui.visuals())
}

/// Title of a screen with one line that says where one is.
pub fn title(ui: &mut Ui, title: &str, line: &str) {
    let palette = palette(ui);
    ui.label(RichText::new(title).size(size::TITLE).color(palette.strong));
    if !line.is_empty() {
        ui.add_space(-space::XS);
        ui.label(RichText::new(line).color(palette.weak));
    }
}

/// Heading inside a card.
pub fn heading(ui: &mut Ui, text: &str) -> Response {
    let color = palette(ui).strong;
    ui.label(RichText::new(text).heading().color(color))
}

/// Small grey text: captions, units, hints.
pub fn caption(ui: &mut Ui, text: impl Into<String>) -> Response {
    let color = palette(ui).weak;
    ui.label(RichText::new(text).size(size::SMALL).color(color))
}

/// Small things one after another, in as many rows as they need; a row is as high as small letters, not as a button.
pub fn small_row<R>(ui: &mut Ui, add: impl FnOnce(&mut Ui) -> R) -> R {
    let row = |ui: &mut Ui| {
        ui.spacing_mut().interact_size.y = size::SMALL;
        ui.spacing_mut().item_spacing = egui::vec2(space::M, 2.0);
        ui.horizontal_wrapped(add).inner
    };
    ui.scope(row).inner
}

/// The end of a path, after dots where the whole does not fit `width`: what tells paths apart stands at their ends.
pub fn tail(ui: &Ui, path: &str, font: &egui::FontId, width: f32) -> String {
    let fits = |text: String| {
        let galley = ui.painter().layout_no_wrap(text.clone(), font.clone(), Color32::PLACEHOLDER);
        (galley.size().x <= width).then_some(text)
    };
    if let Some(whole) = fits(path.to_owned()) {
        return whole;
    }
    let starts: Vec<usize> = path.char_indices().map(|(at, _)| at).collect();
    let cut = |at: &usize| format!("…{}", &path[*at..]);
    let first = starts.partition_point(|at| fits(cut(at)).is_none());
    starts.get(first).map_or_else(|| "…".to_owned(), cut)
}

/// A path in small grey letters on one line, its end always to be seen and the whole on hover.
pub fn path_line(ui: &mut Ui, path: &str) -> Response {
    let font = egui::FontId::proportional(size::SMALL);
    let text = RichText::new(tail(ui, path, &font, ui.available_width())).font(font).color(palette(ui).weak);
    ui.add(egui::Label::new(text).selectable(true)).on_hover_text(path)
}

/// A raised sheet with a hairline around it.
pub fn card<R>(ui: &mut Ui, add: impl FnOnce(&mut Ui) -> R) -> R {
    card_frame(ui).show(ui, add).inner
}

pub fn card_frame(ui: &Ui) -> Frame {
    let palette = palette(ui);
    Frame::NONE
        .fill(palette.surface)
        .stroke(egui::Stroke::new(1.0, palette.hairline))
        .corner_radius(theme::CARD_RADIUS)
        .inner_margin(Margin::same(space::L as i8))
}

/// A key as it stands at the right of a button.
pub fn key(ui: &Ui, key: &str) -> RichText {
    RichText::new(key).monospace().size(size::SMALL).color(palette(ui).weak)
}

/// The one filled button of a screen.
pub fn primary(ui: &mut Ui, text: &str) -> Response {
    let palette = palette(ui);
    ui.scope(|ui| {
        let widgets = &mut ui.visuals_mut().widgets;
        for (state, fill) in [
            (&mut widgets.inactive, palette.accent),
            (&mut widgets.hovered, theme::mix(palette.accent, palette.strong, 0.15)),
            (&mut widgets.active, theme::mix(palette.accent, palette.strong, 0.25)),
        ] {
            state.weak_bg_fill = fill;
            state.bg_stroke.color = fill;
            state.fg_stroke.color = palette.on_accent;
        }
        widgets.active.bg_stroke = egui::Stroke::new(2.0, palette.strong);
        ui.add(Button::new(text).min_size(egui::vec2(96.0, 30.0)))
    })
    .inner
}

/// Between the frame of a quiet button and its words.
const QUIET: egui::Vec2 = egui::vec2(6.0, 3.0);

/// A small button without a frame until it is pointed at: actions that should not shout.
pub fn quiet(ui: &mut Ui, enabled: bool, text: &str) -> Response {
    let text = RichText::new(text).size(size::SMALL).color(palette(ui).weak);
    let button = Button::new(text).frame_when_inactive(false).wrap_mode(egui::TextWrapMode::Extend);
    // Not in a scope: where a row has no room for it, it goes whole to the next one.
    let padding = std::mem::replace(&mut ui.spacing_mut().button_padding, QUIET);
    let response = ui.add_enabled(enabled, button);
    ui.spacing_mut().button_padding = padding;
    response
}

/// A row, or as many as are needed, that begins with a quiet button: its words, not the frame that nobody sees, stand
/// below what is above it.
pub fn quiet_row<R>(ui: &mut Ui, add: impl FnOnce(&mut Ui) -> R) -> R {
    let left = ui.cursor().left();
    let size = egui::vec2(ui.available_width() + QUIET.x, ui.spacing().interact_size.y);
    let place = egui::Rect::from_min_size(egui::pos2(left - QUIET.x, ui.cursor().top()), size);
    let layout = egui::Layout::left_to_right(egui::Align::Center).with_main_wrap(true);
    // A child of its own: a frame around the row must not grow by what stands out on the left.
    let mut child = ui.new_child(egui::UiBuilder::new().max_rect(place).layout(layout));
    let inner = add(&mut child);
    let used = child.min_rect();
    let used = egui::Rect::from_x_y_ranges(left..=used.right().max(left), used.y_range());
    ui.allocate_rect(used, egui::Sense::hover());
    inner
}

/// Small things of a wrapped row that belong together: the row ends before them where they do not all fit.
pub fn together<R>(ui: &mut Ui, salt: &str, add: impl FnOnce(&mut Ui) -> R) -> R {
    let id = ui.scope_id().with(("together", salt));
    let known: Option<f32> = ui.data(|data| data.get_temp(id));
    if known.is_some_and(|width| width > ui.available_size_before_wrap().x) {
        ui.end_row();
    }
    let row = ui.horizontal(add);
    let width = row.response.rect.width();
    if known.is_none_or(|known| (known - width).abs() > 0.5) {
        ui.data_mut(|data| data.insert_temp(id, width));
        ui.request_discard("the width of what stands together is known now");
    }
    row.inner
}

/// Controls at the right end of a row, laid out and visited by Tab in the order in which they are read.
pub fn at_right<R>(ui: &mut Ui, salt: &str, add: impl FnOnce(&mut Ui) -> R) -> R {
    let id = ui.scope_id().with(("at right", salt));
    let known: Option<f32> = ui.data(|data| data.get_temp(id));
    let row = ui.available_rect_before_wrap();
    let width = known.unwrap_or(0.0).min(row.width());
    // A child of its own: before its width is known it must not push the row wider than the window.
    let place = egui::Rect::from_x_y_ranges(row.right() - width..=row.right(), row.y_range());
    let layout = egui::Layout::left_to_right(egui::Align::Center);
    let mut child = ui.new_child(egui::UiBuilder::new().id_salt(salt).max_rect(place).layout(layout));
    let inner = add(&mut child);
    let used = child.min_rect();
    ui.allocate_rect(egui::Rect::from_x_y_ranges(row.x_range(), used.y_range()), egui::Sense::hover());
    if known.is_none_or(|known| (known - used.width()).abs() > 0.5) {
        ui.data_mut(|data| data.insert_temp(id, used.width()));
        ui.request_discard("the width of what stands at the right is known now");
    }
    inner
}

/// Two columns of equal width, each laid out from its left edge, at least `height` high.
pub fn two_columns(ui: &mut Ui, height: f32, mut add: impl FnMut(&mut Ui, usize)) {
    let gap = space::S;
    let width = (ui.available_width() - gap) / 2.0;
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = gap;
        for column in 0..2 {
            let layout = egui::Layout::top_down(egui::Align::Min);
            ui.allocate_ui_with_layout(egui::vec2(width, height), layout, |ui| {
                ui.set_width(width);
                add(ui, column);
            });
        }
    });
}

/// What a screen says when there is nothing to show yet, and what to do about it.
pub fn empty(ui: &mut Ui, what: &str, next: &str) {
    let palette = palette(ui);
    ui.vertical_centered(|ui| {
        ui.add_space((ui.available_height() * 0.3).min(160.0));
        ui.label(RichText::new(what).size(size::HEADING).color(palette.text));
        ui.label(RichText::new(next).color(palette.weak));
    });
}

/// Bars of a scroll area that is about to be laid out in another one. While it lies below what is seen it has none: it
/// would be drawn at the lower edge, over what is there.
pub fn bars(ui: &Ui) -> ScrollBarVisibility {
    if ui.cursor().top() < ui.clip_rect().bottom() {
        ScrollBarVisibility::VisibleWhenNeeded
    } else {
        ScrollBarVisibility::AlwaysHidden
    }
}

/// A coloured strip with a sentence: something deserves a look.
pub fn strip<R>(ui: &mut Ui, fill: Color32, add: impl FnOnce(&mut Ui) -> R) -> R {
    Frame::NONE
        .fill(fill)
        .corner_radius(theme::RADIUS)
        .inner_margin(Margin::symmetric(space::M as i8, space::S as i8))
        .show(ui, add)
        .inner
}

/// What comes and goes by itself, at the lower edge of a screen: it moves nothing that somebody is about to press.
pub fn below<R>(ui: &mut Ui, salt: &'static str, add: impl FnOnce(&mut Ui) -> R) -> R {
    /// Points that stay for what is above.
    const ABOVE: f32 = 140.0;
    let frame = Frame::NONE.inner_margin(Margin { top: space::S as i8, ..Margin::ZERO });
    let room = (ui.available_height() - ABOVE).max(60.0);
    let panel = Panel::bottom(salt).resizable(false).show_separator_line(false).frame(frame);
    // The panel is as high as it was: the least is what lets it grow.
    let scroll = ScrollArea::vertical().id_salt(salt).min_scrolled_height(room).max_height(room);
    let scroll = scroll.auto_shrink([false, true]);
    panel.show(ui, |ui| scroll.show(ui, add).inner).inner
}

/// A few choices that exclude each other, as one control. True when the choice changed.
pub fn segmented<T: PartialEq + Copy>(ui: &mut Ui, value: &mut T, choices: &[(T, &str, &str)]) -> bool {
    const MARGIN: f32 = 2.0;
    let palette = palette(ui);
    let mut changed = false;
    Frame::NONE
        .fill(theme::mix(palette.ground, palette.strong, 0.07))
        .corner_radius(theme::RADIUS + 2)
        .inner_margin(Margin::same(MARGIN as i8))
        .show(ui, |ui| {
            // As high as a button beside it.
            let inner = ui.spacing().interact_size.y - 2.0 * MARGIN;
            ui.spacing_mut().interact_size.y = inner;
            ui.spacing_mut().button_padding.y = 2.0;
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = MARGIN;
                for (choice, word, about) in choices {
                    let selected = value == choice;
                    let color = if selected { palette.strong } else { palette.text };
                    let fill = if selected { palette.surface } else { Color32::TRANSPARENT };
                    let line =
                        if selected { theme::mix(palette.hairline, palette.weak, 0.4) } else { Color32::TRANSPARENT };
                    ui.scope(|ui| {
                        ui.visuals_mut().widgets.inactive.bg_stroke.color = line;
                        ui.visuals_mut().selection.stroke.color = palette.strong;
                        let button = Button::selectable(selected, RichText::new(*word).color(color))
                            .frame_when_inactive(true)
                            .fill(fill)
                            .stroke(egui::Stroke::new(1.0, line))
                            .min_size(egui::vec2(56.0, inner));
                        let mut response = ui.add(button);
                        focus_ring(ui, &response);
                        if !about.is_empty() {
                            response = response.on_hover_text(*about);
                        }
                        if response.clicked() && !selected {
                            *value = *choice;
                            changed = true;
                        }
                    });
                }
            });
        });
    changed
}

/// Around what has the keyboard and draws no frame of its own by which that could be seen.
pub fn focus_ring(ui: &Ui, of: &Response) {
    if of.has_focus() {
        let stroke = egui::Stroke::new(2.0, palette(ui).accent);
        ui.painter().rect_stroke(of.rect, theme::RADIUS, stroke, egui::StrokeKind::Inside);
    }
}

/// A word on a soft ground: the status of a run.
pub fn chip(ui: &mut Ui, word: &str, color: Color32) {
    let ground = palette(ui).surface;
    Frame::NONE
        .fill(theme::mix(ground, color, 0.14))
        .corner_radius(theme::RADIUS)
        .inner_margin(Margin::symmetric(7, 2))
        .show(ui, |ui| {
            ui.label(RichText::new(word).size(size::SMALL).color(color));
        });
}

/// A thin bar that says how much is done, with its share as its name.
pub fn progress(ui: &mut Ui, fraction: f32, name: &str) {
    let palette = palette(ui);
    let (rect, response) = ui.allocate_exact_size(egui::vec2(ui.available_width(), 6.0), egui::Sense::hover());
    let fraction = fraction.clamp(0.0, 1.0);
    let painter = ui.painter();
    painter.rect_filled(rect, 3.0, theme::mix(palette.ground, palette.strong, 0.1));
    let mut done = rect;
    done.set_width(rect.width() * fraction);
    painter.rect_filled(done, 3.0, palette.accent);
    response.widget_info(|| {
        let mut info = egui::WidgetInfo::labeled(egui::Role::ProgressIndicator, true, name);
        info.value = Some(f64::from(fraction));
        info
    });
}
