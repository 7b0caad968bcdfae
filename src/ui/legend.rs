//! Legends: a piece of a line with its name and value.

use egui::{Stroke, Ui, emath::GuiRounding as _};
use egui_plot::LineStyle;

use super::{
    parts,
    theme::{size, space},
};

/// One entry of a legend, laid out as a whole so that a value is never parted from its name.
pub fn entry(ui: &mut Ui, look: Option<(egui::Color32, LineStyle)>, name: &str, value: &str) {
    let palette = parts::palette(ui);
    let font = egui::FontId::proportional(size::SMALL);
    let value = ui.painter().layout_no_wrap(value.to_owned(), font.clone(), palette.strong);
    let mut beside = 0.0;
    if look.is_some() {
        beside += SAMPLE + space::XS;
    }
    if value.size().x > 0.0 {
        beside += value.size().x + space::XS;
    }
    // A name that is longer than the legend is cut; its value and its line are not.
    let mut job = egui::text::LayoutJob::simple_singleline(name.to_owned(), font, palette.weak);
    job.wrap = egui::text::TextWrapping::truncate_at_width((ui.max_rect().width() - beside).max(20.0));
    let name = ui.fonts_mut(|fonts| fonts.layout_job(job));
    let width = name.size().x + beside;
    let height = name.size().y;
    let (rect, _) = ui.allocate_exact_size(egui::vec2(width, height), egui::Sense::hover());
    // Between two pixels the dots of an umlaut run together.
    let mut at = rect.min.round_to_pixels(ui.pixels_per_point());
    if let Some((color, pattern)) = look {
        let place = egui::Rect::from_min_size(at, egui::vec2(SAMPLE, height));
        paint_sample(ui.painter(), place, color, pattern);
        at.x += SAMPLE + space::XS;
    }
    ui.painter().galley(at, name.clone(), palette.weak);
    at.x += name.size().x + space::XS;
    ui.painter().galley(at, value, palette.strong);
}

/// Width of a piece of a line.
pub const SAMPLE: f32 = 20.0;

/// A short piece of a line: colour and pattern as in the charts.
pub fn sample(ui: &mut Ui, color: egui::Color32, pattern: LineStyle) {
    let (rect, _) = ui.allocate_exact_size(egui::vec2(SAMPLE, 10.0), egui::Sense::hover());
    paint_sample(ui.painter(), rect, color, pattern);
}

fn paint_sample(painter: &egui::Painter, rect: egui::Rect, color: egui::Color32, pattern: LineStyle) {
    let ends = [rect.left_center(), rect.right_center()];
    let stroke = Stroke::new(2.0, color);
    match pattern {
        LineStyle::Solid => {
            painter.line_segment(ends, stroke);
        }
        LineStyle::Dashed { length } => {
            let length = length.min(6.0);
            painter.extend(egui::Shape::dashed_line(&ends, stroke, length, length * 0.6));
        }
        LineStyle::Dotted { .. } => {
            painter.extend(egui::Shape::dotted_line(&ends, color, 4.0, 1.3));
        }
    }
}
