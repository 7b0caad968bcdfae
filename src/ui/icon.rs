//! Our few icons, drawn: the bundled fonts lack some of them and disagree about the rest.

use egui::{Color32, Painter, Pos2, Rect, Stroke, pos2, vec2};

/// What draws the picture of a place: where, and in which colour.
pub struct Pen<'a> {
    pub painter: &'a Painter,
    pub rect: Rect,
    pub color: Color32,
}

impl Pen<'_> {
    /// A point of the picture, whose corners are (0, 0) and (1, 1).
    pub fn at(&self, x: f32, y: f32) -> Pos2 {
        pos2(self.rect.left() + x * self.rect.width(), self.rect.top() + y * self.rect.height())
    }

    pub fn stroke(&self, width: f32) -> Stroke {
        Stroke::new(width, self.color)
    }

    /// A line through these points.
    pub fn line(&self, points: &[(f32, f32)], width: f32) {
        self.painter.line(points.iter().map(|&(x, y)| self.at(x, y)).collect(), self.stroke(width));
    }

    /// The outline of a box with round corners.
    pub fn outline(&self, from: (f32, f32), to: (f32, f32), radius: f32) {
        let rect = Rect::from_min_max(self.at(from.0, from.1), self.at(to.0, to.1));
        self.painter.rect_stroke(rect, radius, self.stroke(1.5), egui::StrokeKind::Middle);
    }

    pub fn dot(&self, (x, y): (f32, f32), radius: f32) {
        self.painter.circle_filled(self.at(x, y), radius, self.color);
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
