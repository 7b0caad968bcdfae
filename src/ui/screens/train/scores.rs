//! How the scores of a reward model are spread over held-out answers: the chosen ones above a line, the rejected ones
//! below.

use data::metrics::histogram::ScoreHistogram;
use egui::Ui;
use state::{runs::History, series::Series};

use crate::{parts, prompt, theme::space};

const HEIGHT: f32 = 96.0;

/// Nothing before an evaluation whose scores differ.
pub fn ui(ui: &mut Ui, history: &History) {
    let newest = |name: &str| history.series(name).and_then(Series::latest);
    let Some(spread) = ScoreHistogram::of(newest) else { return };
    let [low, high] = spread.ends.map(data::number);
    let text = format!(
        "At step {:.0}: chosen answers above the line, rejected ones below it, scores from {low} at the left to {high} at the right; {} of them lie where the other side does too",
        spread.step,
        data::percent(spread.overlap())
    );
    parts::card(ui, |ui| {
        ui.set_width(ui.available_width());
        parts::heading(ui, "Scores of held-out answers");
        bars(ui, &spread, &text);
        parts::caption(ui, text);
    });
    ui.add_space(space::M);
}

fn bars(ui: &mut Ui, spread: &ScoreHistogram, text: &str) {
    let palette = parts::palette(ui);
    let (rect, response) = ui.allocate_exact_size(egui::vec2(ui.available_width(), HEIGHT), egui::Sense::hover());
    prompt::name(&response, egui::Role::Image, &format!("Scores of held-out answers: {text}"));
    let most = spread.chosen.iter().chain(&spread.rejected).copied().fold(f64::MIN_POSITIVE, f64::max);
    let (middle, half) = (rect.center().y, rect.height() / 2.0);
    let width = rect.width() / spread.chosen.len().max(1) as f32;
    let painter = ui.painter();
    for (shares, way, color) in [(&spread.chosen, -1.0, palette.chosen), (&spread.rejected, 1.0, palette.rejected)] {
        for (bin, share) in shares.iter().enumerate() {
            let left = rect.left() + width * bin as f32;
            let end = egui::pos2(left + width - 1.0, middle + way * half * (share / most) as f32);
            painter.rect_filled(egui::Rect::from_two_pos(egui::pos2(left, middle), end), 0.0, color);
        }
    }
    painter.hline(rect.x_range(), middle, egui::Stroke::new(1.0, palette.hairline));
}
