//! A drawing as pixels, for whoever takes no SVG. By the rasteriser and the font that the window's letters come from,
//! so that nothing is linked for it that was not there.

use std::sync::OnceLock;

use skrifa::{
    FontRef, MetadataProvider as _,
    instance::{LocationRef, Size},
    outline::{DrawSettings, OutlinePen},
};
use vello_cpu::{
    Pixmap, RenderContext, Resources,
    color::AlphaColor,
    kurbo::{Affine, BezPath, Circle, Rect, Shape as _, Stroke},
};

use super::drawing::{Anchor, Drawing, Ink, Shape};

/// Pixels a unit of the drawing: sharp on a dense screen and on paper.
const DENSITY: f64 = 2.0;
/// Of text and axes, on white.
const TEXT: u32 = 0x1d_1f21;
/// More pixels a side than this are more than one asked for.
const LARGEST: f64 = 16_000.0;
const TOLERANCE: f64 = 0.05;

/// A drawing that cannot be made into pixels.
#[derive(Debug, thiserror::Error)]
pub enum RasterError {
    #[error("The picture would be {0:.0} by {1:.0} pixels, which is too large; show fewer charts, or take SVG")]
    TooLarge(f64, f64),
    #[error("Could not pack the picture: {0}")]
    Png(#[from] png::EncodingError),
}

impl Drawing {
    /// As PNG, dark on white.
    ///
    /// # Errors
    /// It is too large for a picture, or the packing fails.
    pub fn png(&self) -> Result<Vec<u8>, RasterError> {
        let (width, height) = ((self.width * DENSITY).ceil(), (self.height * DENSITY).ceil());
        if !(1.0..=LARGEST).contains(&width) || !(1.0..=LARGEST).contains(&height) {
            return Err(RasterError::TooLarge(width, height));
        }
        let (width, height) = (width as u16, height as u16);
        let mut context = RenderContext::new(width, height);
        context.set_paint(paint(Ink::of(0xff_ffff)));
        context.fill_rect(&Rect::new(0.0, 0.0, f64::from(width), f64::from(height)));
        context.set_transform(Affine::scale(DENSITY));
        for shape in &self.shapes {
            draw(&mut context, shape);
        }
        context.flush();
        let mut target = Pixmap::new(width, height);
        context.render(&mut target, &mut Resources::new());
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, u32::from(width), u32::from(height));
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        // Nothing shows through: the ground is white.
        let pixels: Vec<u8> = target.data().iter().flat_map(|pixel| [pixel.r, pixel.g, pixel.b]).collect();
        writer.write_image_data(&pixels)?;
        writer.finish()?;
        Ok(out)
    }
}

fn paint(ink: Ink) -> AlphaColor<vello_cpu::color::Srgb> {
    let [_, r, g, b] = ink.colour.unwrap_or(TEXT).to_be_bytes();
    AlphaColor::from_rgba8(r, g, b, (ink.opacity.clamp(0.0, 1.0) * 255.0).round() as u8)
}

fn draw(context: &mut RenderContext, shape: &Shape) {
    match shape {
        Shape::Path { points, ink, width, dashes, .. } => {
            let mut path = BezPath::new();
            for (index, (begins, at)) in points.iter().enumerate() {
                let at = (at[0], at[1]);
                if *begins || index == 0 { path.move_to(at) } else { path.line_to(at) }
            }
            let lengths = dashes.split_whitespace().filter_map(|length| length.parse::<f64>().ok());
            context.set_stroke(Stroke::new(*width).with_dashes(0.0, lengths));
            context.set_paint(paint(*ink));
            context.stroke_path(&path);
        }
        Shape::Area { points, ink } => {
            let mut path = BezPath::new();
            for (index, [x, y]) in points.iter().enumerate() {
                if index == 0 { path.move_to((*x, *y)) } else { path.line_to((*x, *y)) }
            }
            path.close_path();
            context.set_paint(paint(*ink));
            context.fill_path(&path);
        }
        Shape::Dot { at, radius, ink } => {
            context.set_paint(paint(*ink));
            context.fill_path(&Circle::new((at[0], at[1]), *radius).to_path(TOLERANCE));
        }
        Shape::Text { at, anchor, size, ink, text } => {
            let Some(font) = font() else { return };
            context.set_paint(paint(*ink));
            context.fill_path(&letters(font, text, *size, *anchor, *at));
        }
    }
}

/// The font that comes with the window's toolkit; absent only if that were damaged.
fn font() -> Option<&'static FontRef<'static>> {
    static FONT: OnceLock<Option<FontRef<'static>>> = OnceLock::new();
    FONT.get_or_init(|| FontRef::new(epaint_default_fonts::UBUNTU_LIGHT).ok()).as_ref()
}

/// A line of text as outlines. What the font has no letter for is its empty box.
fn letters(font: &FontRef<'_>, text: &str, size: f64, anchor: Anchor, at: [f64; 2]) -> BezPath {
    let (map, outlines) = (font.charmap(), font.outline_glyphs());
    let metrics = font.glyph_metrics(Size::new(size as f32), LocationRef::default());
    // The one sign of our captions that this font lacks.
    let text = text.replace('‖', "||");
    let glyphs: Vec<_> = text.chars().map(|letter| map.map(letter).unwrap_or_default()).collect();
    let advances: Vec<f64> =
        glyphs.iter().map(|glyph| f64::from(metrics.advance_width(*glyph).unwrap_or_default())).collect();
    let whole: f64 = advances.iter().sum();
    let mut x = at[0]
        - match anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => whole / 2.0,
            Anchor::End => whole,
        };
    let mut pen = Pen { path: BezPath::new(), origin: [x, at[1]] };
    for (glyph, advance) in glyphs.iter().zip(advances) {
        pen.origin[0] = x;
        if let Some(outline) = outlines.get(*glyph) {
            let settings = DrawSettings::unhinted(Size::new(size as f32), LocationRef::default());
            // A letter that cannot be drawn leaves its room empty.
            outline.draw(settings, &mut pen).ok();
        }
        x += advance;
    }
    pen.path
}

/// Fonts have y upwards.
struct Pen {
    path: BezPath,
    origin: [f64; 2],
}

impl Pen {
    fn at(&self, x: f32, y: f32) -> (f64, f64) {
        (self.origin[0] + f64::from(x), self.origin[1] - f64::from(y))
    }
}

impl OutlinePen for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.path.move_to(self.at(x, y));
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.path.line_to(self.at(x, y));
    }

    fn quad_to(&mut self, cx: f32, cy: f32, x: f32, y: f32) {
        self.path.quad_to(self.at(cx, cy), self.at(x, y));
    }

    fn curve_to(&mut self, ax: f32, ay: f32, bx: f32, by: f32, x: f32, y: f32) {
        self.path.curve_to(self.at(ax, ay), self.at(bx, by), self.at(x, y));
    }

    fn close(&mut self) {
        self.path.close_path();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(drawing: &Drawing) -> (u32, Vec<u8>) {
        let png = drawing.png().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (info.width, pixels)
    }

    #[test]
    fn lines_and_letters_become_pixels_on_white() {
        let line = Shape::line([5.0, 10.0], [35.0, 10.0], Ink::of(0xd5_5e00), 2.0, "");
        let text =
            Shape::Text { at: [20.0, 25.0], anchor: Anchor::Middle, size: 12.0, ink: Ink::TEXT, text: "M".to_owned() };
        let (width, pixels) =
            pixels(&Drawing { width: 40.0, height: 30.0, shapes: vec![line, text], ..Drawing::default() });
        assert_eq!(width, 80);
        let at = |x: f64, y: f64| {
            let place = ((y * DENSITY) as usize * width as usize + (x * DENSITY) as usize) * 3;
            [pixels[place], pixels[place + 1], pixels[place + 2]]
        };
        assert_eq!(at(1.0, 1.0), [255, 255, 255]);
        assert_eq!(at(20.0, 10.0), [0xd5, 0x5e, 0x00]);
        let dark = (0..60).flat_map(|y| (0..80).map(move |x| (f64::from(x) / 2.0, f64::from(y) / 2.0)));
        let inked: Vec<(f64, f64)> = dark.filter(|(x, y)| at(*x, *y)[0] < 100).collect();
        assert!(inked.len() > 20, "a letter is there");
        assert!(inked.iter().all(|(x, y)| (12.0..=28.0).contains(x) && (14.0..=26.0).contains(y)), "{inked:?}");
    }

    #[test]
    fn a_picture_without_end_is_refused_with_a_sentence() {
        let error = Drawing { width: 40.0, height: 1e6, ..Drawing::default() }.png().unwrap_err();
        assert!(error.to_string().contains("too large"), "{error}");
    }
}
