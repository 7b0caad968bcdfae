//! Text with marked words or white space, text that no font can show, and text too long for a field.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{DefaultHasher, Hash, Hasher as _},
    ops::Range,
    sync::Arc,
};

use egui::{
    Align2, Color32, FontId, Galley, Id, Label, Pos2, Rect, Response, ScrollArea, Stroke, TextFormat, TextStyle, Ui,
    containers::scroll_area::ScrollAreaOutput,
    text::{ByteIndex, LayoutJob, LayoutSection, TextWrapping},
};
use state::{difference::Span, hits::hits};

use super::{parts, theme::size};

/// How the words that only one side has are marked: a ground and a line under them, so that colour is not alone.
#[derive(Debug, Clone, Copy)]
pub struct TextMark {
    pub ground: Color32,
    pub line: Color32,
}

/// `text` ready to be laid out at `width`, the spans `only_here` marked. Spans that do not fit the text are ignored.
pub fn job(text: &str, spans: &[Span], font: &FontId, color: Color32, mark: TextMark, width: f32) -> LayoutJob {
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

/// The same text with the words of a search on a ground of their own.
pub fn searched(ui: &Ui, mut job: LayoutJob, search: &str) -> LayoutJob {
    let hits = hits(&job.text, search);
    if hits.is_empty() {
        return job;
    }
    let palette = parts::palette(ui);
    let sections = std::mem::take(&mut job.sections);
    for section in sections {
        let (start, end) = (section.byte_range.start.0, section.byte_range.end.0);
        let mut at = start;
        let mut leading_space = section.leading_space;
        let mut push = |range: Range<usize>, is_hit: bool| {
            if range.is_empty() {
                return;
            }
            let mut format = section.format.clone();
            if is_hit {
                format.background = palette.warning_soft;
                format.color = palette.strong;
            }
            let byte_range = ByteIndex(range.start)..ByteIndex(range.end);
            job.sections.push(LayoutSection { leading_space: std::mem::take(&mut leading_space), byte_range, format });
        };
        for hit in hits.iter().filter(|hit| hit.start < end && hit.end > start) {
            let hit = hit.start.max(at)..hit.end.min(end);
            push(at..hit.start, false);
            at = hit.end;
            push(hit, true);
        }
        push(at..end, false);
    }
    job
}

/// Shows a laid-out text as it is, whatever the layout around it would like to justify.
pub fn label(ui: &mut Ui, job: LayoutJob) -> Response {
    let galley = ui.fonts_mut(|fonts| fonts.layout_job(job));
    ui.add(Label::new(galley).selectable(true))
}

/// The same with its white space marked, when that is asked for.
pub fn label_with(ui: &mut Ui, job: LayoutJob, marks: bool) -> Response {
    let galley = ui.fonts_mut(|fonts| fonts.layout_job(job));
    let response = ui.add(Label::new(Arc::clone(&galley)).selectable(true));
    if marks {
        white_space(ui, &galley, response.rect.min, ui.clip_rect());
    }
    response
}

/// Marks spaces, tabs, line ends and characters without a width in a text that stands at `at`, where it can be seen.
pub fn white_space(ui: &Ui, galley: &Galley, at: Pos2, clip: Rect) {
    let palette = parts::palette(ui);
    let painter = ui.painter_at(clip.expand(24.0));
    let stroke = Stroke::new(1.0, palette.accent);
    let small = FontId::monospace(size::SMALL - 2.0);
    for row in &galley.rows {
        let rect = row.rect().translate(at.to_vec2());
        if !rect.expand(8.0).intersects(ui.clip_rect()) {
            continue;
        }
        for glyph in &row.row.glyphs {
            let left = rect.left() + glyph.pos.x;
            let middle = Pos2::new(left + glyph.advance_width / 2.0, rect.center().y);
            match glyph.chr {
                ' ' => {
                    painter.circle_filled(middle, 1.1, palette.accent);
                }
                '\t' => {
                    let (from, to) = (left + 1.5, left + glyph.advance_width - 1.5);
                    painter.hline(from..=to, middle.y, stroke);
                    painter.line_segment([Pos2::new(to, middle.y), Pos2::new(to - 3.0, middle.y - 3.0)], stroke);
                    painter.line_segment([Pos2::new(to, middle.y), Pos2::new(to - 3.0, middle.y + 3.0)], stroke);
                }
                '\r' => {}
                other if other.is_whitespace() => {
                    painter.circle_stroke(middle, 1.8, stroke);
                }
                other if is_invisible(other) => {
                    painter.vline(left, rect.y_range(), stroke);
                }
                _ => {}
            }
        }
        let carriage = row.row.glyphs.last().is_some_and(|glyph| glyph.chr == '\r');
        let end = match (carriage, row.ends_with_newline) {
            (true, true) => "\\r\\n",
            (true, false) => "\\r",
            (false, true) => "\\n",
            (false, false) => continue,
        };
        painter.text(
            rect.right_center() + egui::vec2(3.0, 0.0),
            Align2::LEFT_CENTER,
            end,
            small.clone(),
            palette.accent,
        );
    }
}

/// Characters that are meant to have no picture: marks of direction, joiners, choices of a variant.
fn is_invisible(chr: char) -> bool {
    matches!(chr, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// How many characters of a text no font can show, and which.
#[derive(Debug, Clone, Default)]
struct Unseen {
    count: usize,
    which: BTreeSet<char>,
}

/// What was found out about the texts that were shown last, so that a frame does not look at every character again.
#[derive(Clone, Default)]
struct UnseenTexts(HashMap<u64, Arc<Unseen>>);

/// Texts of which it is remembered.
const REMEMBERED: usize = 64;

/// Says how many characters of a text can be shown only as boxes. Nothing when all can be read.
pub fn unseen(ui: &mut Ui, text: &str, font: &FontId) {
    if text.is_ascii() {
        return;
    }
    let unseen = look_for_unseen(ui, text, font);
    if unseen.count == 0 {
        return;
    }
    let sentence = match unseen.count {
        1 => "1 character cannot be shown: no font on this machine has it".to_owned(),
        count => format!("{count} characters cannot be shown: no font on this machine has them"),
    };
    let which: Vec<String> = unseen.which.iter().take(12).map(|chr| format!("U+{:04X}", u32::from(*chr))).collect();
    let more = if unseen.which.len() > which.len() { " …" } else { "" };
    let warning = parts::palette(ui).warning;
    let text = egui::RichText::new(sentence).size(size::SMALL).color(warning);
    ui.add(Label::new(text).wrap()).on_hover_text(format!(
        "{}{more}. They stay in the text and are trained on as they are; a font for this script makes them readable",
        which.join(" ")
    ));
}

fn look_for_unseen(ui: &Ui, text: &str, font: &FontId) -> Arc<Unseen> {
    // A font that is found while the program runs changes the answer.
    let fonts = ui.fonts_mut(|fonts| fonts.discovered_fonts().len());
    let mut hasher = DefaultHasher::new();
    (text, fonts, format!("{:?}", font.family)).hash(&mut hasher);
    let key = hasher.finish();
    let id = Id::unique("texts with unseen characters");
    let known = ui.data(|data| data.get_temp::<Arc<UnseenTexts>>(id)).unwrap_or_default();
    if let Some(known) = known.0.get(&key) {
        return Arc::clone(known);
    }
    let mut found = Unseen::default();
    let mut looked_at: HashMap<char, bool> = HashMap::new();
    for chr in text.chars().filter(|chr| !chr.is_ascii() && !chr.is_control() && !chr.is_whitespace()) {
        let shown = *looked_at
            .entry(chr)
            .or_insert_with(|| is_invisible(chr) || ui.fonts_mut(|fonts| fonts.has_glyph(font, chr)));
        if !shown {
            found.count += 1;
            found.which.insert(chr);
        }
    }
    let found = Arc::new(found);
    let mut texts = UnseenTexts::clone(&known);
    if texts.0.len() >= REMEMBERED {
        texts.0.clear();
    }
    texts.0.insert(key, Arc::clone(&found));
    ui.data_mut(|data| data.insert_temp(id, Arc::new(texts)));
    found
}

/// Characters on one line of a long text.
const LINE: usize = 240;

/// A text of any length, read-only: only the lines on the screen are laid out.
pub fn long_text(ui: &mut Ui, salt: impl Hash + std::fmt::Debug, text: &str, height: f32) {
    long_rows(ui, ScrollArea::both().id_salt(salt).max_height(height), text);
}

/// The same in a scroll area of the caller's.
pub fn long_rows(ui: &mut Ui, area: ScrollArea, text: &str) -> ScrollAreaOutput<()> {
    let lines = lines(text);
    let row = ui.text_style_height(&TextStyle::Monospace);
    area.auto_shrink([false, true]).show_rows(ui, row, lines.len(), |ui, range| {
        for line in &lines[range] {
            let text = egui::RichText::new(*line).monospace().size(size::MONO);
            ui.add(Label::new(text).extend().selectable(true));
        }
    })
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
    use state::difference::Difference;

    fn laid(text: &str, spans: &[Span]) -> LayoutJob {
        let mark = TextMark { ground: Color32::BLACK, line: Color32::WHITE };
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
    fn the_words_of_a_search_are_marked_within_what_is_marked_already() {
        let difference = Difference::between("it is red", "it is blue");
        let mut marked = laid("it is red", &difference.left);
        let mut output = egui::Context::default().run_ui(egui::RawInput::default(), |ui| {
            marked = searched(ui, laid("it is red", &difference.left), "S RE");
        });
        output.textures_delta.clear();
        let pieces: Vec<&str> = marked
            .sections
            .iter()
            .map(|section| &marked.text[section.byte_range.start.0..section.byte_range.end.0])
            .collect();
        assert_eq!((pieces.concat(), pieces), ("it is red".to_owned(), vec!["it i", "s", " ", "re", "d"]));
        assert_eq!(marked.sections[4].format.background, Color32::BLACK, "the rest stays as it was");
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
