//! Text with marked words, and text too long for a field.

use std::hash::Hash;

use egui::{
    Color32, FontId, Label, Response, ScrollArea, Stroke, TextFormat, TextStyle, Ui,
    text::{LayoutJob, TextWrapping},
};

use super::theme::size;
use crate::state::difference::Span;

/// How the words that only one side has are marked: a ground and a line under them, so that colour is not alone.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    pub ground: Color32,
    pub line: Color32,
}

/// `text` ready to be laid out at `width`, the spans `only_here` marked. Spans that do not fit the text are ignored.
pub fn job(text: &str, spans: &[Span], font: &FontId, color: Color32, mark: Mark, width: f32) -> LayoutJob {
    let plain = TextFormat {
        font_id: font.clone(),
        color,
        line_height: Some((font.size * 1.45).round()),
        ..TextFormat::default()
    };
    let marked = TextFormat {
        background: mark.ground,
        // The ground of the next line must not cover the line under this one.
        expand_bg: -1.0,
        underline: Stroke::new(1.5, mark.line),
        ..plain.clone()
    };
    let mut job =
        LayoutJob { wrap: TextWrapping { max_width: width, ..TextWrapping::default() }, ..LayoutJob::default() };
    let covered = spans.last().map_or(0, |span| span.range.end) == text.len();
    if !covered {
        job.append(text, 0.0, plain);
        return job;
    }
    for span in spans {
        let format = if span.only_here { &marked } else { &plain };
        match text.get(span.range.clone()) {
            Some(piece) => job.append(piece, 0.0, format.clone()),
            None => return self::job(text, &[], font, color, mark, width),
        }
    }
    job
}

/// Shows a laid-out text as it is, whatever the layout around it would like to justify.
pub fn label(ui: &mut Ui, job: LayoutJob) -> Response {
    let galley = ui.fonts_mut(|fonts| fonts.layout_job(job));
    ui.add(Label::new(galley).selectable(true))
}

/// Characters on one line of a long text.
const LINE: usize = 240;

/// A text of any length, read-only: only the lines on the screen are laid out.
pub fn long_text(ui: &mut Ui, salt: impl Hash + std::fmt::Debug, text: &str, height: f32) {
    let lines = lines(text);
    let row = ui.text_style_height(&TextStyle::Monospace);
    ScrollArea::both().id_salt(salt).max_height(height).auto_shrink([false, true]).show_rows(
        ui,
        row,
        lines.len(),
        |ui, range| {
            for line in &lines[range] {
                let text = egui::RichText::new(*line).monospace().size(size::MONO);
                ui.add(Label::new(text).extend().selectable(true));
            }
        },
    );
}

/// Lines of at most [`LINE`] characters.
fn lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    for mut line in text.split('\n') {
        while let Some((cut, _)) = line.char_indices().nth(LINE) {
            lines.push(&line[..cut]);
            line = &line[cut..];
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::difference::Difference;

    fn laid(text: &str, spans: &[Span]) -> LayoutJob {
        let mark = Mark { ground: Color32::BLACK, line: Color32::WHITE };
        job(text, spans, &FontId::default(), Color32::GRAY, mark, 100.0)
    }

    #[test]
    fn marked_text_is_the_whole_text() {
        let difference = Difference::between("it is red", "it is blue");
        let job = laid("it is red", &difference.left);
        assert_eq!(job.text, "it is red");
        assert_eq!(job.sections.len(), 2);
        assert_eq!(job.sections[1].format.background, Color32::BLACK);
    }

    #[test]
    fn spans_of_another_text_are_ignored() {
        let difference = Difference::between("ä is red", "it is blue");
        for text in ["", "a", "äää", "now something longer"] {
            assert_eq!(laid(text, &difference.left).text, text);
        }
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let text = format!("{}\nend", "ä".repeat(LINE + 3));
        let lines = lines(&text);
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1], "äää");
        assert_eq!(lines[2], "end");
    }
}
