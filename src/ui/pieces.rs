//! Long texts laid out piece by piece, so that a key costs what is near it and not the whole text.
//!
//! egui remembers the layout of a text as long as it does not change, and of a text in paragraphs that of each
//! paragraph. A paragraph of some thousand characters is still laid out whole with every key. Here it is cut where its
//! rows break: each piece is laid out by itself, and egui remembers the pieces. Where a piece ends depends on its own
//! words alone, so that behind a change the old pieces are met again as soon as the rows break where they did.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    ops::Range,
    sync::Arc,
};

use egui::{
    Galley, Ui,
    text::{ByteIndex, LayoutJob, LayoutSection},
};

/// Texts up to this length are laid out whole, in bytes.
const SHORT: usize = 6_000;
/// What is laid out to find where a piece ends, in bytes.
const WINDOW: usize = 3_000;
/// Characters of a row that decide whether a piece ends before it.
const TELLING: usize = 12;

/// Whether [`layout`] does more than egui itself.
pub fn is_long(text: &str) -> bool {
    text.len() > SHORT
}

/// The text laid out, in pieces where it is long.
pub fn layout(ui: &Ui, job: LayoutJob) -> Arc<Galley> {
    if !is_long(&job.text) {
        return ui.fonts_mut(|fonts| fonts.layout_job(job));
    }
    let mut pieces = Vec::new();
    // Whether a line feed stands at the end of each piece.
    let mut ends = Vec::new();
    let mut at = 0;
    while at < job.text.len() {
        let (piece, length) = piece(ui, &job, at);
        ends.push((piece.rows.len(), piece.rows.last().is_some_and(|row| row.ends_with_newline)));
        pieces.push(Arc::new(piece));
        at += length;
    }
    let mut whole = Galley::concat(Arc::new(job), &pieces, ui.pixels_per_point());
    // There it is taken for granted that each piece is a paragraph.
    let mut row = 0;
    for (rows, is_line_end) in ends {
        row += rows;
        if let Some(last) = whole.rows.get_mut(row.saturating_sub(1)) {
            last.ends_with_newline = is_line_end;
        }
    }
    Arc::new(whole)
}

/// The piece that begins at this byte, in whole rows, and its length in bytes.
fn piece(ui: &Ui, job: &LayoutJob, start: usize) -> (Galley, usize) {
    let rest = job.text.len() - start;
    let mut window = WINDOW;
    loop {
        let end = if rest <= window { job.text.len() } else { job.text.floor_char_boundary(start + window) };
        let laid = ui.fonts_mut(|fonts| fonts.layout_job(part(job, start..end)));
        if end == job.text.len() {
            return (Galley::clone(&laid), rest);
        }
        // The last row may go on behind the window.
        let Some(rows) = laid.rows.len().checked_sub(1).filter(|rows| *rows > 1) else {
            window *= 2;
            continue;
        };
        // Characters before each row.
        let mut chars = vec![0];
        for row in &laid.rows {
            chars.push(chars.last().unwrap_or(&0) + row.char_count_including_newline().0);
        }
        let telling = |row: &usize| {
            let mut hasher = DefaultHasher::new();
            for glyph in laid.rows[*row].row.glyphs.iter().take(TELLING) {
                glyph.chr.hash(&mut hasher);
            }
            hasher.finish()
        };
        let cut = (rows.div_ceil(2)..=rows).min_by_key(telling).unwrap_or(rows);
        let mut piece = Galley::clone(&laid);
        piece.rows.truncate(cut);
        let bytes = laid.job.text.char_indices().nth(chars[cut]).map_or(end - start, |(byte, _)| byte);
        return (piece, bytes);
    }
}

/// A stretch of a text with the formats it has there.
fn part(job: &LayoutJob, range: Range<usize>) -> LayoutJob {
    let sections = job.sections.iter().filter_map(|section| {
        let own = section.byte_range.start.0.max(range.start)..section.byte_range.end.0.min(range.end);
        let begins = section.byte_range.start.0 >= range.start;
        (own.start < own.end).then(|| LayoutSection {
            leading_space: if begins { section.leading_space } else { 0.0 },
            byte_range: ByteIndex(own.start - range.start)..ByteIndex(own.end - range.start),
            format: section.format.clone(),
        })
    });
    LayoutJob {
        text: job.text[range.clone()].to_owned(),
        sections: sections.collect(),
        wrap: job.wrap.clone(),
        first_row_min_height: if range.start == 0 { job.first_row_min_height } else { 0.0 },
        ..*job
    }
}

#[cfg(test)]
mod tests {
    use egui::{Color32, FontId};
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;

    /// What `look` sees in a frame.
    fn in_frame<T>(ctx: &egui::Context, mut look: impl FnMut(&Ui) -> T) -> T {
        let mut seen = None;
        let mut output = ctx.run_ui(egui::RawInput::default(), |ui| seen = Some(look(ui)));
        output.textures_delta.clear();
        seen.unwrap()
    }

    fn words(seed: u64, bytes: usize) -> String {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut text = String::new();
        while text.len() < bytes {
            let letters = rng.random_range(1..9);
            text.extend((0..letters).map(|_| rng.random_range('a'..='z')));
            text.push_str(match rng.random_range(0..60) {
                0 => "\n",
                1 => "\r\n\n",
                2 => " ü日",
                _ => " ",
            });
        }
        text
    }

    fn job(text: &str) -> LayoutJob {
        LayoutJob::simple(text.to_owned(), FontId::monospace(13.0), Color32::BLACK, 400.0)
    }

    /// Text and line end of each row.
    fn rows(galley: &Galley) -> Vec<(String, bool)> {
        galley.rows.iter().map(|row| (row.row.text(), row.ends_with_newline)).collect()
    }

    #[test]
    fn g26_a_text_in_pieces_has_the_rows_of_the_whole() {
        let ctx = egui::Context::default();
        for (seed, end) in [(1, ""), (2, "\n"), (3, "\n\n")] {
            let text = words(seed, 20_000) + end;
            let (pieces, whole) =
                in_frame(&ctx, |ui| (layout(ui, job(&text)), ui.fonts_mut(|fonts| fonts.layout_job(job(&text)))));
            assert_eq!(rows(&pieces), rows(&whole), "seed {seed}");
            let chars: usize = pieces.rows.iter().map(|row| row.char_count_including_newline().0).sum();
            assert_eq!(chars, text.chars().count());
            assert!((pieces.rect.height() - whole.rect.height()).abs() < 2.0, "{} {}", pieces.rect, whole.rect);
        }
        // One word without end, which breaks anywhere.
        let text = "x".repeat(9_000);
        let (pieces, whole) =
            in_frame(&ctx, |ui| (layout(ui, job(&text)), ui.fonts_mut(|fonts| fonts.layout_job(job(&text)))));
        assert_eq!(rows(&pieces), rows(&whole));
    }

    /// Counted, not timed: of the pieces of a paragraph a key lays out the few near it anew.
    #[test]
    fn g26_a_key_in_a_long_paragraph_lays_out_what_is_near_it() {
        let ctx = egui::Context::default();
        let text = words(4, 40_000).replace(['\n', '\r'], " ");
        let laid_out = |text: &str| {
            let fresh = in_frame(&ctx, |ui| {
                let before = ui.fonts_mut(|fonts| fonts.num_galleys_in_cache());
                layout(ui, job(text));
                ui.fonts_mut(|fonts| fonts.num_galleys_in_cache()) - before
            });
            // Those that the frame did not ask for are forgotten with the next.
            in_frame(&ctx, |ui| layout(ui, job(text)));
            fresh
        };
        let all = laid_out(&text);
        assert!(all > 12, "{all} pieces");
        assert_eq!(laid_out(&text), 0);
        for place in [10, text.len() / 3, text.len() / 2, text.len() - 5] {
            let place = text.floor_char_boundary(place);
            let typed = format!("{}q{}", &text[..place], &text[place..]);
            let fresh = laid_out(&typed);
            assert!((1..=all / 2).contains(&fresh), "{fresh} of {all} pieces after a key at {place}");
            laid_out(&text);
        }
    }
}
