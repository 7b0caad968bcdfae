//! A drawing as shapes, whatever is made of it: SVG here, pixels in `raster`.

use std::fmt::Write as _;

/// The eight line colours of the window on a light ground, Okabe and Ito's first, and a pattern each.
pub const STYLES: [(u32, &str); 8] = [
    (0x00_72b2, ""),
    (0xd5_5e00, "7 3"),
    (0x00_9e73, "2 3"),
    (0xc0_5f95, "9 3 2 3"),
    (0xc8_8a00, "4 2"),
    (0x2f_93d0, "1 2"),
    (0x4a_4f55, "6 2 2 2"),
    (0x8a_7f00, "3 1"),
];

/// What a shape is drawn with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ink {
    /// 0xrrggbb; absent: that of the text around it.
    pub colour: Option<u32>,
    pub opacity: f64,
}

impl Ink {
    pub const TEXT: Self = Self { colour: None, opacity: 1.0 };

    pub fn of(colour: u32) -> Self {
        Self { colour: Some(colour), opacity: 1.0 }
    }

    pub fn faint(self, opacity: f64) -> Self {
        Self { opacity, ..self }
    }

    fn word(self) -> String {
        self.colour.map_or_else(|| "currentColor".to_owned(), |colour| format!("#{colour:06x}"))
    }
}

/// Which end of a text stands at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    Path {
        /// A true one begins a new piece.
        points: Vec<(bool, [f64; 2])>,
        ink: Ink,
        width: f64,
        /// As SVG has them; empty: one stroke.
        dashes: &'static str,
        /// What it is, for a reader who points at it.
        title: &'static str,
    },
    /// Filled, without an edge.
    Area {
        points: Vec<[f64; 2]>,
        ink: Ink,
    },
    Dot {
        at: [f64; 2],
        radius: f64,
        ink: Ink,
    },
    Text {
        /// On the line that letters stand on.
        at: [f64; 2],
        anchor: Anchor,
        size: f64,
        ink: Ink,
        text: String,
    },
}

impl Shape {
    pub fn line(from: [f64; 2], to: [f64; 2], ink: Ink, width: f64, dashes: &'static str) -> Self {
        Self::Path { points: vec![(true, from), (false, to)], ink, width, dashes, title: "" }
    }

    /// The same, farther to the right and down.
    fn moved(&mut self, by: [f64; 2]) {
        let shift = |at: &mut [f64; 2]| *at = [at[0] + by[0], at[1] + by[1]];
        match self {
            Self::Path { points, .. } => points.iter_mut().for_each(|(_, at)| shift(at)),
            Self::Area { points, .. } => points.iter_mut().for_each(shift),
            Self::Dot { at, .. } | Self::Text { at, .. } => shift(at),
        }
    }
}

/// Shapes on a sheet.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drawing {
    pub width: f64,
    pub height: f64,
    /// What a screen reader says.
    pub title: String,
    pub shapes: Vec<Shape>,
}

/// Size of letters, unless said otherwise.
pub const LETTERS: f64 = 11.0;

impl Drawing {
    /// Puts another one onto this one.
    pub fn place(&mut self, other: Self, at: [f64; 2]) {
        self.shapes.extend(other.shapes.into_iter().map(|mut shape| {
            shape.moved(at);
            shape
        }));
    }

    /// As SVG, to stand in a page: no script, no font, no style from elsewhere, and the text takes the page's colour.
    pub fn svg(&self) -> String {
        self.written("", "")
    }

    /// As an SVG file: dark on a white sheet.
    pub fn svg_file(&self) -> String {
        let sheet = format!("<rect width=\"{}\" height=\"{}\" fill=\"#ffffff\"/>", self.width, self.height);
        self.written(" color=\"#1d1f21\"", &sheet)
    }

    fn written(&self, attributes: &str, under: &str) -> String {
        let Self { width, height, title, shapes } = self;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"sans-serif\" \
             font-size=\"{LETTERS}\" fill=\"currentColor\"{attributes}><title>{}</title>{under}",
            escaped(title)
        );
        for shape in shapes {
            // Writing to a text cannot fail.
            write_shape(&mut out, shape).ok();
        }
        out.push_str("</svg>");
        out
    }
}

fn write_shape(out: &mut String, shape: &Shape) -> std::fmt::Result {
    match shape {
        Shape::Path { points, ink, width, dashes, title } => {
            write!(out, "<path d=\"")?;
            for (begins, [x, y]) in points {
                write!(out, "{}{x:.1} {y:.1}", if *begins { 'M' } else { 'L' })?;
            }
            write!(
                out,
                "\" fill=\"none\" stroke=\"{}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"",
                ink.word()
            )?;
            if ink.opacity < 1.0 {
                write!(out, " stroke-opacity=\"{}\"", ink.opacity)?;
            }
            if !dashes.is_empty() {
                write!(out, " stroke-dasharray=\"{dashes}\"")?;
            }
            if title.is_empty() { write!(out, "/>") } else { write!(out, "><title>{title}</title></path>") }
        }
        Shape::Area { points, ink } => {
            write!(out, "<path d=\"")?;
            for (index, [x, y]) in points.iter().enumerate() {
                write!(out, "{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' })?;
            }
            write!(out, "Z\" fill=\"{}\" fill-opacity=\"{}\"/>", ink.word(), ink.opacity)
        }
        Shape::Dot { at: [x, y], radius, ink } => {
            write!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{}\"/>", ink.word())
        }
        Shape::Text { at: [x, y], anchor, size, ink, text } => {
            write!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\"")?;
            match anchor {
                Anchor::Start => {}
                Anchor::Middle => write!(out, " text-anchor=\"middle\"")?,
                Anchor::End => write!(out, " text-anchor=\"end\"")?,
            }
            if *size != LETTERS {
                write!(out, " font-size=\"{size}\"")?;
            }
            if ink.opacity < 1.0 {
                write!(out, " opacity=\"{}\"", ink.opacity)?;
            }
            write!(out, ">{}</text>", escaped(text))
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_moved_with_their_drawing_and_text_is_escaped() {
        let text =
            |at| Shape::Text { at, anchor: Anchor::End, size: LETTERS, ink: Ink::TEXT, text: "a < b".to_owned() };
        let small = Drawing { shapes: vec![text([1.0, 2.0])], ..Drawing::default() };
        let mut sheet = Drawing { width: 40.0, height: 20.0, title: "t & u".to_owned(), shapes: Vec::new() };
        sheet.place(small, [10.0, 5.0]);
        assert_eq!(sheet.shapes, [text([11.0, 7.0])]);
        let svg = sheet.svg();
        assert!(svg.contains("t &amp; u") && svg.contains("a &lt; b") && svg.contains("text-anchor=\"end\""), "{svg}");
        assert!(!svg.contains("<rect") && sheet.svg_file().contains("fill=\"#ffffff\""));
    }
}
