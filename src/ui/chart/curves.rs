//! The lines of a chart as triangles that are kept: a frame in which nothing changed hands over those of the frame
//! before.
//!
//! Even that costs with every corner, so there are few. A calm line has no point that lies between its neighbours
//! anyway. One that goes up and down all the time has a hundred times the edge of a calm one: its edges are not
//! smoothed, since they lie so close together that nobody would see it, and where it has more than a point to a pixel
//! it is a band, as all of its points would be, with the spikes that stand out of it.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use egui::{
    Color32, Mesh, Pos2, Shape, Stroke, Ui,
    cache::{ComputerMut, FrameCache},
    epaint::{PathStroke, TessellationOptions, Tessellator},
};
use egui_plot::{LineStyle, PlotBounds, PlotGeometry, PlotItem, PlotItemBase, PlotPoint, PlotTransform};
use state::series::{Point, pieces};

use super::thinned::Thinned;

/// How a line looks.
#[derive(Clone, Copy)]
pub struct Look {
    pub color: Color32,
    pub width: f32,
    pub pattern: LineStyle,
    /// Each of its points is marked.
    pub marked: bool,
}

/// Radius of the mark of a point.
const MARK: f32 = 2.6;
/// A line that climbs so many times the width of its plot has no room for a pattern.
const LONG: f32 = 3.0;
/// A point so near to the line between its neighbours is on it, in points of the screen.
const NEAR: f32 = 0.1;
/// What rises so high above a band is a spike.
const SPIKE: f32 = 3.0;
/// So many points on either side have to lie below it.
const AROUND: usize = 3;

/// All lines of a plot, as one item of it.
pub struct PlottedLines {
    base: PlotItemBase,
    thinned: Arc<Thinned>,
    looks: Vec<Look>,
}

impl PlottedLines {
    /// `looks`: one a line.
    pub fn new(thinned: Arc<Thinned>, looks: Vec<Look>) -> Self {
        Self { base: PlotItemBase::new(String::new()), thinned, looks }
    }

    /// Of everything that [`paint`] looks at.
    fn key(&self, transform: &PlotTransform, pixels_per_point: f32) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.thinned.key.hash(&mut hasher);
        for Look { color, width, pattern, marked } in &self.looks {
            let (kind, length) = match *pattern {
                LineStyle::Solid => (0, 0.0),
                LineStyle::Dotted { spacing } => (1, spacing),
                LineStyle::Dashed { length } => (2, length),
            };
            (color, width.to_bits(), kind, length.to_bits(), marked).hash(&mut hasher);
        }
        let (frame, bounds) = (transform.frame(), transform.bounds());
        [frame.min.x, frame.min.y, frame.max.x, frame.max.y, pixels_per_point].map(f32::to_bits).hash(&mut hasher);
        [bounds.min(), bounds.max()].map(|corner| corner.map(f64::to_bits)).hash(&mut hasher);
        hasher.finish()
    }
}

impl PlotItem for PlottedLines {
    fn shapes(&self, ui: &Ui, transform: &PlotTransform, shapes: &mut Vec<Shape>) {
        type Cache = FrameCache<Arc<[Shape]>, Painter>;
        let pixels_per_point = ui.pixels_per_point();
        let key = self.key(transform, pixels_per_point);
        ui.memory_mut(|memory| {
            let options = memory.options.tessellation_options;
            let placed = Placed { key, curves: self, transform, pixels_per_point, options: &options };
            shapes.extend(memory.caches.cache::<Cache>().get(placed).iter().cloned());
        });
    }

    fn initialize(&mut self, _: std::ops::RangeInclusive<f64>) {}

    fn color(&self) -> Color32 {
        Color32::TRANSPARENT
    }

    fn allow_hover(&self) -> bool {
        false
    }

    fn geometry(&self) -> PlotGeometry<'_> {
        PlotGeometry::None
    }

    fn bounds(&self) -> PlotBounds {
        let mut bounds = PlotBounds::NOTHING;
        for line in &self.thinned.lines {
            for place in line.places.first().into_iter().chain(line.places.last()) {
                bounds.extend_with_x(place[0]);
            }
        }
        bounds.extend_with_y(self.thinned.extent.low);
        bounds.extend_with_y(self.thinned.extent.high);
        bounds
    }

    fn base(&self) -> &PlotItemBase {
        &self.base
    }

    fn base_mut(&mut self) -> &mut PlotItemBase {
        &mut self.base
    }
}

#[derive(Clone, Copy)]
struct Placed<'a> {
    key: u64,
    curves: &'a PlottedLines,
    transform: &'a PlotTransform,
    pixels_per_point: f32,
    options: &'a TessellationOptions,
}

impl Hash for Placed<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

#[derive(Default)]
struct Painter;

impl<'a> ComputerMut<Placed<'a>, Arc<[Shape]>> for Painter {
    fn compute(&mut self, placed: Placed<'a>) -> Arc<[Shape]> {
        paint(placed).into()
    }
}

/// The lines in their order: triangles, and discs, which egui has in its font texture.
fn paint(Placed { curves, transform, pixels_per_point, options, .. }: Placed<'_>) -> Vec<Shape> {
    let tessellator = |feathering| {
        let options = TessellationOptions { feathering, coarse_tessellation_culling: false, ..*options };
        Tessellator::new(pixels_per_point, options, [1, 1], Vec::new())
    };
    let (mut smooth, mut plain) = (tessellator(options.feathering), tessellator(false));
    let (mut shapes, mut mesh) = (Vec::new(), Mesh::default());
    for (line, look) in curves.thinned.lines.iter().zip(&curves.looks) {
        let is_rough = is_rough(&line.places, transform);
        let mut drawn = Vec::new();
        for piece in pieces(&line.places) {
            let piece: Vec<Pos2> =
                piece.iter().map(|at| transform.position_from_point(&PlotPoint::new(at[0], at[1]))).collect();
            if look.marked {
                drawn.extend(piece.iter().map(|at| Shape::circle_filled(*at, MARK, look.color)));
            }
            if is_rough && line.is_dense && piece.len() > 2 {
                band(piece, look, &mut mesh);
            } else {
                styled(simpler(piece), look, is_rough, &mut drawn);
            }
        }
        for shape in drawn {
            if matches!(shape, Shape::Circle(_)) {
                flush(&mut mesh, &mut shapes);
                shapes.push(shape);
            } else if is_rough {
                plain.tessellate_shape(shape, &mut mesh);
            } else {
                smooth.tessellate_shape(shape, &mut mesh);
            }
        }
    }
    flush(&mut mesh, &mut shapes);
    shapes
}

fn flush(mesh: &mut Mesh, shapes: &mut Vec<Shape>) {
    if !mesh.is_empty() {
        shapes.push(Shape::mesh(std::mem::take(mesh)));
    }
}

/// A piece of a line in its pattern.
fn styled(piece: Vec<Pos2>, look: &Look, is_rough: bool, shapes: &mut Vec<Shape>) {
    let &Look { color, width, pattern, marked } = look;
    if let [alone] = piece[..] {
        // A line of one point is none.
        shapes.extend((!marked).then(|| Shape::circle_filled(alone, width, color)));
        return;
    }
    match pattern {
        LineStyle::Dashed { length } if !is_rough => {
            let gap = length * (std::f32::consts::GOLDEN_RATIO - 1.0);
            shapes.extend(Shape::dashed_line(&piece, Stroke::new(width, color), length, gap));
        }
        LineStyle::Dotted { spacing } if !is_rough => {
            shapes.extend(Shape::dotted_line(&piece, color, spacing, width));
        }
        _ => shapes.push(Shape::line(piece, PathStroke::new(width, color))),
    }
}

/// Without the points that lie on the line between those around them.
fn simpler(piece: Vec<Pos2>) -> Vec<Pos2> {
    /// Left out one after the other.
    const MOST: usize = 16;
    let mut kept: Vec<Pos2> = Vec::with_capacity(piece.len());
    let mut last = 0;
    for (at, point) in piece.iter().enumerate() {
        let ends = piece.get(at + 1).map(|next| [piece[last], *next]);
        let is_on = ends.is_some_and(|[from, to]| {
            let along = (to - from).normalized();
            at > last
                && at - last < MOST
                && piece[last + 1..=at].iter().all(|left| along.rot90().dot(*left - from).abs() < NEAR)
        });
        if !is_on {
            kept.push(*point);
            last = at;
        }
    }
    kept
}

/// A line with more points than pixels: what lies between its lowest and its highest, and the spikes that stand out of
/// it.
fn band(mut piece: Vec<Pos2>, look: &Look, mesh: &mut Mesh) {
    let half = look.width / 2.0;
    let reach = |of: &[Pos2]| {
        of.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(top, bottom), at| (top.min(at.y), bottom.max(at.y)))
    };
    let whole = piece.clone();
    for (at, point) in piece.iter_mut().enumerate() {
        let before = reach(&whole[at.saturating_sub(AROUND)..at]);
        let behind = reach(&whole[at + 1..(at + 1 + AROUND).min(whole.len())]);
        let (top, bottom) = (before.0.min(behind.0), before.1.max(behind.1));
        let edge = if point.y < top - SPIKE {
            top
        } else if point.y > bottom + SPIKE {
            bottom
        } else {
            continue;
        };
        let spike = [point.y.min(edge) - half, point.y.max(edge) + half];
        let corners = [point.x - half, point.x + half].map(|x| spike.map(|y| egui::pos2(x, y)));
        let first = mesh.vertices.len() as u32;
        corners.as_flattened().iter().for_each(|corner| mesh.colored_vertex(*corner, look.color));
        mesh.add_triangle(first, first + 1, first + 2);
        mesh.add_triangle(first + 1, first + 2, first + 3);
        point.y = edge;
    }
    // The lowest and the highest of a bin stand beside each other: three in a row hold both of some bin.
    let last = piece.len() - 1;
    let stops = (0..last).step_by(2).chain([last]);
    for (count, at) in stops.enumerate() {
        let (top, bottom) = reach(&piece[at.saturating_sub(1)..(at + 2).min(piece.len())]);
        let corner = mesh.vertices.len() as u32;
        mesh.colored_vertex(egui::pos2(piece[at].x, top - half), look.color);
        mesh.colored_vertex(egui::pos2(piece[at].x, bottom + half), look.color);
        if count > 0 {
            mesh.add_triangle(corner - 2, corner - 1, corner);
            mesh.add_triangle(corner - 1, corner, corner + 1);
        }
    }
}

/// Whether a line goes up and down so much that a pattern of dashes along it could not be seen; it would be thousands
/// of them.
fn is_rough(places: &[Point], transform: &PlotTransform) -> bool {
    let climbs = places.windows(2).map(|two| (two[1][1] - two[0][1]).abs()).filter(|climb| climb.is_finite());
    let climb = climbs.sum::<f64>() * transform.dpos_dvalue_y().abs();
    climb > f64::from(LONG * transform.frame().width())
}

#[cfg(test)]
mod tests {
    use data::Extent;
    use egui::Rect;

    use super::{super::thinned::ThinnedLine, *};

    const BLACK: Look = Look { color: Color32::BLACK, width: 1.7, pattern: LineStyle::Solid, marked: false };

    /// In a plot of 200 × 100 points, over x from 0 to 200 and y from 0 to 100.
    fn painted(values: impl IntoIterator<Item = f64>, look: Look, is_dense: bool) -> Vec<Shape> {
        let places = values.into_iter().enumerate().map(|(step, value)| [step as f64, value]).collect();
        let line = ThinnedLine { places, is_dense, faults: Vec::new(), beyond: [Vec::new(), Vec::new()] };
        let extent = Extent { low: 0.0, high: 100.0 };
        let thinned = Thinned { key: 0, lines: vec![line], bands: Vec::new(), extent };
        let curves = PlottedLines::new(Arc::new(thinned), vec![look]);
        let frame = Rect::from_min_size(Pos2::ZERO, egui::vec2(200.0, 100.0));
        let transform = PlotTransform::new(frame, PlotBounds::from_min_max([0.0, 0.0], [200.0, 100.0]), false);
        let options = TessellationOptions::default();
        paint(Placed { key: 0, curves: &curves, transform: &transform, pixels_per_point: 1.0, options: &options })
    }

    fn meshes(shapes: &[Shape]) -> Vec<&Mesh> {
        shapes.iter().filter_map(|shape| if let Shape::Mesh(mesh) = shape { Some(&**mesh) } else { None }).collect()
    }

    #[test]
    fn a_spike_is_seen_in_a_calm_line_and_in_a_rough_one() {
        let noise = |step: usize| if step.is_multiple_of(2) { 30.0 } else { 10.0 };
        let spike = |step: usize, else_: f64| if step == 77 { 95.0 } else { else_ };
        let calm = painted((0..200).map(|step| spike(step, 20.0)), BLACK, false);
        let rough = painted((0..200).map(|step| spike(step, noise(step))), BLACK, false);
        let dense = painted((0..200).map(|step| spike(step, noise(step))), BLACK, true);
        for shapes in [&calm, &rough, &dense] {
            let [mesh] = meshes(shapes)[..] else { panic!("one mesh") };
            let top = mesh.vertices.iter().min_by(|a, b| a.pos.y.total_cmp(&b.pos.y)).unwrap().pos;
            assert!((top.y - 5.0).abs() < 2.0 && (top.x - 77.0).abs() < 2.0, "{top:?}");
            assert!(mesh.is_valid());
        }
        let [calm, rough, dense] = [&calm, &rough, &dense].map(|shapes| meshes(shapes)[0].vertices.len());
        assert!(calm < 120 && dense < rough / 3, "{calm}, {rough} and {dense} corners");
        // The band is as high as its noise, and a spike as wide as a line.
        let band = painted((0..200).map(noise), BLACK, true);
        let corners = &meshes(&band)[0].vertices;
        assert!(
            corners.iter().all(|corner| (68.0..72.0).contains(&corner.pos.y) || (88.0..92.0).contains(&corner.pos.y))
        );
    }

    #[test]
    fn nothing_is_drawn_across_a_gap_and_a_point_alone_is_a_disc() {
        let values = |step: usize| if (50..60).contains(&step) || (61..70).contains(&step) { f64::NAN } else { 40.0 };
        let dashed = Look { pattern: LineStyle::dashed_dense(), ..BLACK };
        for look in [BLACK, dashed] {
            let shapes = painted((0..120).map(values), look, false);
            let discs: Vec<Pos2> = shapes
                .iter()
                .filter_map(|shape| if let Shape::Circle(disc) = shape { Some(disc.center) } else { None })
                .collect();
            assert_eq!(discs, [egui::pos2(60.0, 60.0)]);
            let all = meshes(&shapes).into_iter().flat_map(|mesh| &mesh.vertices);
            assert!(all.clone().count() >= 8);
            for corner in all {
                assert!(!(51.5..68.0).contains(&corner.pos.x), "{corner:?} in the gap");
            }
        }
    }

    #[test]
    fn a_line_with_many_ups_and_downs_has_no_pattern() {
        let dotted = Look { pattern: LineStyle::dotted_dense(), ..BLACK };
        let noise = (0..200).map(|step| f64::from(step % 2) * 90.0);
        assert_eq!(painted(noise, dotted, false).len(), 1);
        assert!(painted((0..200).map(|_| 50.0), dotted, false).len() > 20, "discs");
    }
}
