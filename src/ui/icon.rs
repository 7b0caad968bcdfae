//! Our few icons, drawn: the bundled fonts lack some of them and disagree about the rest.

use egui::{Color32, Painter, Pos2, Rect, Stroke, pos2, vec2};
use state::Screen;

/// The picture of a place in the rail, inside `rect`.
pub fn screen(painter: &Painter, screen: Screen, rect: Rect, color: Color32) {
    let stroke = Stroke::new(1.5, color);
    let at = |x: f32, y: f32| -> Pos2 { pos2(rect.left() + x * rect.width(), rect.top() + y * rect.height()) };
    match screen {
        Screen::Pairs => {
            let size = vec2(rect.width() * 0.38, rect.height() * 0.72);
            painter.rect_stroke(Rect::from_min_size(at(0.06, 0.14), size), 2.0, stroke, egui::StrokeKind::Middle);
            painter.rect_filled(Rect::from_min_size(at(0.56, 0.14), size), 2.0, color);
        }
        Screen::Train => {
            painter.line(
                vec![at(0.06, 0.16), at(0.26, 0.58), at(0.44, 0.48), at(0.66, 0.78), at(0.94, 0.84)],
                Stroke::new(1.8, color),
            );
            painter.circle_filled(at(0.94, 0.84), 2.2, color);
        }
        Screen::Compare => {
            painter.line(vec![at(0.06, 0.8), at(0.4, 0.42), at(0.94, 0.2)], Stroke::new(1.8, color));
            painter.extend(egui::Shape::dashed_line(
                &[at(0.06, 0.36), at(0.46, 0.66), at(0.94, 0.76)],
                Stroke::new(1.6, color),
                3.0,
                2.0,
            ));
        }
        Screen::Models => {
            for top in [0.14, 0.42, 0.7] {
                let board = Rect::from_min_max(at(0.06, top), at(0.94, top + 0.2));
                painter.rect_stroke(board, 2.0, stroke, egui::StrokeKind::Middle);
            }
            painter.circle_filled(at(0.24, 0.24), 1.2, color);
            painter.circle_filled(at(0.24, 0.52), 1.2, color);
            painter.circle_filled(at(0.24, 0.8), 1.2, color);
        }
        Screen::Projects => {
            let folder = Rect::from_min_max(at(0.06, 0.3), at(0.94, 0.86));
            painter.rect_stroke(folder, 2.0, stroke, egui::StrokeKind::Middle);
            painter.line(vec![at(0.06, 0.36), at(0.06, 0.16), at(0.4, 0.16), at(0.5, 0.3)], stroke);
        }
        Screen::Answers => {
            let bubble = Rect::from_min_max(at(0.06, 0.14), at(0.94, 0.7));
            painter.rect_stroke(bubble, 3.0, stroke, egui::StrokeKind::Middle);
            painter.line(vec![at(0.28, 0.7), at(0.28, 0.92), at(0.5, 0.7)], stroke);
            painter.line_segment([at(0.26, 0.42), at(0.72, 0.42)], stroke);
        }
    }
}

/// ε of a triangle and two bars: what a media key shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Play,
    Pause,
    Stop,
}

pub fn transport(painter: &Painter, which: Transport, rect: Rect, color: Color32) {
    let rect = rect.shrink(rect.width() * 0.18);
    match which {
        Transport::Play => {
            painter.add(egui::Shape::convex_polygon(
                vec![rect.left_top(), rect.right_center(), rect.left_bottom()],
                color,
                Stroke::NONE,
            ));
        }
        Transport::Pause => {
            let bar = vec2(rect.width() * 0.32, rect.height());
            painter.rect_filled(Rect::from_min_size(rect.left_top(), bar), 1.0, color);
            painter.rect_filled(Rect::from_min_size(pos2(rect.right() - bar.x, rect.top()), bar), 1.0, color);
        }
        Transport::Stop => {
            painter.rect_filled(rect, 1.5, color);
        }
    }
}
