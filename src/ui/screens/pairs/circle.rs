//! Verdicts on one prompt that go round in a circle, as a small graph: answers, and arrows from the better to the
//! worse.

use std::sync::Arc;

use data::{
    PairId, counted,
    health::{Finding, FindingKind, Health},
};
use egui::{
    Align, Align2, FontId, Label, Layout, Pos2, Rect, RichText, Role, ScrollArea, Sense, Shape, Stroke, Ui, Vec2,
    WidgetInfo,
};
use state::{
    Command, Commands, Workspace,
    pairs::{PairsCommand, PairsView},
};

use crate::{
    parts, prompt,
    theme::{size, space},
};

/// Graphs that stand beside each other.
const MOST: usize = 3;
/// Answers that a graph has room for; a longer circle is told in words.
const ANSWERS: usize = 10;
/// Width and height of a graph.
const SIDE: f32 = 104.0;
/// Of the circle that the answers stand on, and of one answer on it.
const RING: f32 = 38.0;
const DOT: f32 = 10.0;
/// Width of the lines that say what the letters stand for.
const LINES: f32 = 250.0;

/// The circles of the finding whose pairs are shown, beside each other.
pub fn all(ui: &mut Ui, workspace: &Workspace, view: &mut PairsView, commands: &Commands) {
    let Some(finding) = shown(view) else { return };
    ScrollArea::horizontal().id_salt("circles").auto_shrink([false, true]).show(ui, |ui| {
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = space::L;
            for pairs in finding.groups.iter().take(MOST) {
                one(ui, pairs, workspace, view, commands);
            }
            let more = finding.groups.len().saturating_sub(MOST);
            if more > 0 {
                parts::caption(ui, format!("and {} more", counted(more, "circle", "circles")));
            }
        });
    });
}

fn shown(view: &PairsView) -> Option<Arc<Finding>> {
    let finding = view.only.as_ref()?.finding.clone()?;
    is_circles(&finding).then_some(finding)
}

/// The circle that a pair is part of, if the pairs were looked through and it is.
pub fn of_pair(ui: &mut Ui, pair: PairId, workspace: &Workspace, view: &mut PairsView, commands: &Commands) {
    if shown(view).is_some() {
        return;
    }
    let found = workspace.pairs.health.found().and_then(|health| circle_of(health, pair));
    let Some(pairs) = found else { return };
    parts::caption(ui, "Its verdict is part of a circle: at least one of these is wrong");
    one(ui, pairs, workspace, view, commands);
}

fn circle_of(health: &Health, pair: PairId) -> Option<&[PairId]> {
    let circles = health.finding(FindingKind::Cycles)?;
    circles.groups.iter().map(Vec::as_slice).find(|pairs| pairs.contains(&pair))
}

pub fn is_circles(finding: &Finding) -> bool {
    finding.kind == FindingKind::Cycles
}

/// "A over B (pair 4), B over C (pair 9), C over A (pair 12)".
pub fn sentence(pairs: &[PairId]) -> String {
    let all = pairs.len();
    let steps = pairs.iter().enumerate();
    let steps: Vec<String> =
        steps.map(|(at, pair)| format!("{} over {} (pair {})", letter(at), letter((at + 1) % all), pair.0)).collect();
    steps.join(", ")
}

fn letter(place: usize) -> char {
    char::from(b'A' + (place % 26) as u8)
}

/// The graph, and a line a pair: a press opens it.
fn one(ui: &mut Ui, pairs: &[PairId], workspace: &Workspace, view: &mut PairsView, commands: &Commands) {
    if pairs.len() > ANSWERS {
        ui.add(Label::new(RichText::new(sentence(pairs)).size(size::SMALL)).wrap());
        return;
    }
    let rows = &workspace.pairs.rows;
    let missing: Vec<PairId> = pairs.iter().copied().filter(|pair| rows.is_missing(*pair)).collect();
    if !missing.is_empty() {
        commands.push(Command::Pairs(PairsCommand::ReadRows(missing)));
    }
    let mut opened = None;
    ui.push_id(("circle", pairs.first().map(|pair| pair.0)), |ui| {
        ui.horizontal_top(|ui| {
            graph(ui, pairs, view.selected);
            ui.vertical(|ui| {
                ui.set_width(LINES);
                ui.spacing_mut().item_spacing.y = 2.0;
                for (at, pair) in pairs.iter().enumerate() {
                    let [better, worse] = [at, (at + 1) % pairs.len()].map(letter);
                    ui.horizontal(|ui| {
                        let is_open = view.selected == Some(*pair);
                        let word = RichText::new(format!("Pair {}", pair.0)).size(size::SMALL);
                        let button = ui.add(egui::Button::selectable(is_open, word));
                        prompt::name(&button, Role::Button, &format!("Pair {}: {better} over {worse}", pair.0));
                        if button.clicked() {
                            opened = Some(*pair);
                        }
                        let text = rows.get(*pair).map_or("…", |row| row.chosen.as_str());
                        let text = RichText::new(format!("{better}  {text}")).size(size::SMALL);
                        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                            ui.add(Label::new(text).truncate())
                                .on_hover_text(rows.get(*pair).map_or("", |row| &row.chosen));
                        });
                    });
                }
            });
        });
    });
    if opened.is_some() {
        view.select(opened);
    }
}

/// The best answer of the first pair is at the top; arrows go clockwise.
fn graph(ui: &mut Ui, pairs: &[PairId], selected: Option<PairId>) {
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(SIDE), Sense::hover());
    let spoken = format!("A circle: {}", sentence(pairs));
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &spoken));
    let response = response
        .on_hover_text("An arrow goes from the better answer to the worse; round a circle at least one is wrong");
    if !ui.is_rect_visible(response.rect) {
        return;
    }
    let (palette, painter) = (parts::palette(ui), ui.painter());
    let count = pairs.len();
    let at = |place: usize| -> Pos2 {
        let angle = std::f32::consts::TAU * (place % count) as f32 / count as f32;
        rect.center() + RING * Vec2::new(angle.sin(), -angle.cos())
    };
    for (place, pair) in pairs.iter().enumerate() {
        let (from, to) = (at(place), at(place + 1));
        let is_open = selected == Some(*pair);
        let color = if is_open { palette.accent } else { palette.weak };
        let along = (to - from).normalized();
        let (from, to) = (from + along * (DOT + 1.0), to - along * (DOT + 2.0));
        let stroke = Stroke::new(if is_open { 2.5 } else { 1.2 }, color);
        let aside = 3.5 * along.rot90();
        let back = to - 8.0 * along;
        painter.line_segment([from, back], stroke);
        painter.add(Shape::convex_polygon(vec![to, back + aside, back - aside], color, Stroke::NONE));
    }
    for place in 0..count {
        let dot = Rect::from_center_size(at(place), Vec2::splat(2.0 * DOT));
        painter.circle(dot.center(), DOT, palette.surface, Stroke::new(1.2, palette.text));
        let font = FontId::proportional(size::SMALL);
        painter.text(dot.center(), Align2::CENTER_CENTER, letter(place), font, palette.strong);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_a_sentence() {
        assert_eq!(
            sentence(&[PairId(4), PairId(9), PairId(12)]),
            "A over B (pair 4), B over C (pair 9), C over A (pair 12)"
        );
    }

    #[test]
    fn a_pair_knows_its_circle() {
        let groups = vec![vec![PairId(1), PairId(2), PairId(3)], vec![PairId(5), PairId(4), PairId(8)]];
        let health =
            Health { findings: vec![Finding { kind: FindingKind::Cycles, groups, count: 6 }], ..Health::default() };
        assert_eq!(circle_of(&health, PairId(4)), Some(&[PairId(5), PairId(4), PairId(8)][..]));
        assert_eq!(circle_of(&health, PairId(6)), None);
    }
}
