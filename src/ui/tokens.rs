//! The token inspector: an answer's tokens as chips, coloured by whose text they hold, with what is wrong about them.
//!
//! Only the rows on the screen are laid out: where rows break is worked out once for a text and a width.

use std::{ops::Range, sync::Arc};

use data::{Inspection, PairFit, PairInspection, TextPart, TokenView};
use egui::{
    Align, Align2, Color32, FontId, Id, Layout, Rect, RichText, Role as WidgetRole, ScrollArea, Sense, Stroke,
    StrokeKind, Ui, vec2,
};
use engine::protocol::TokenLogProbs;
use state::{
    Command, Commands, Workspace,
    ribbon::Tint,
    tokens::{Spot, TokensOf},
};

use super::{
    parts, prompt,
    ribbon::{self, Tinted},
    theme::{self, Palette, size, space},
};

const ROW: f32 = 22.0;
const CHIP: f32 = 18.0;
const GAP: f32 = 2.0;
const PADDING: f32 = 4.0;

/// More characters of one token are not drawn.
const LONGEST_CHIP: usize = 60;

/// Asks for the tokens of `subject` if that was not done, and draws what is known, one block an answer.
pub fn ui(ui: &mut Ui, workspace: &Workspace, spot: Spot, subject: TokensOf, names: &[String], commands: &Commands) {
    tinted(ui, workspace, spot, subject, names, (Tint::Part, None), commands);
}

/// The same, the scored tokens coloured by what a model makes of them.
pub fn tinted(
    ui: &mut Ui,
    workspace: &Workspace,
    spot: Spot,
    subject: TokensOf,
    names: &[String],
    (tint, log_probs): (Tint, Option<&TokenLogProbs>),
    commands: &Commands,
) {
    let tokens = &workspace.tokens;
    if !tokens.is_asked(spot, &subject) {
        commands.push(Command::Inspect(spot, subject));
    }
    match tokens.shown(spot) {
        Err(error) => {
            let palette = parts::palette(ui);
            parts::strip(ui, palette.error_soft, |ui| {
                let text = RichText::new(error).color(palette.error);
                ui.add(egui::Label::new(text).wrap());
            });
        }
        Ok(None) => {
            parts::caption(ui, "Reading the tokens…");
        }
        Ok(Some(inspection)) => pair(ui, inspection, names, (tint, log_probs)),
    }
}

fn pair(
    ui: &mut Ui,
    inspection: &Arc<PairInspection>,
    names: &[String],
    (tint, log_probs): (Tint, Option<&TokenLogProbs>),
) {
    let palette = parts::palette(ui);
    if let Some(reason) = &inspection.reason {
        let word = match inspection.fate {
            PairFit::PromptTooLong => "Prompt too long",
            _ => "Cannot be trained on",
        };
        strip(ui, palette.error_soft, palette.error, &format!("{word}: {reason}"));
    }
    for (index, answer) in inspection.answers.iter().enumerate() {
        let name = names.get(index).map_or("Answer", String::as_str);
        ui.push_id(("tokens", index), |ui| {
            // The address tells one inspection from the next: the old one lives as long as it is shown.
            let key = Arc::as_ptr(inspection) as usize;
            one(ui, name, answer, Tinted::of(tint, log_probs, index), key);
        });
    }
    match tint {
        Tint::Part => legend(ui),
        Tint::LogProb | Tint::Change | Tint::Weight => ribbon::legend(ui, tint),
    }
}

fn strip(ui: &mut Ui, ground: Color32, color: Color32, text: &str) {
    parts::strip(ui, ground, |ui| {
        ui.add(egui::Label::new(RichText::new(text).color(color)).wrap());
    });
}

fn one(ui: &mut Ui, name: &str, answer: &Inspection, tinted: Option<Tinted<'_>>, key: usize) {
    let palette = parts::palette(ui);
    let yes_no = |yes: bool| if yes { "yes" } else { "no" };
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new(name).strong().color(palette.strong));
        let cut = answer.tokens.len() - answer.cut_at;
        let cut = if cut > 0 { format!(", {cut} cut off") } else { String::new() };
        parts::caption(
            ui,
            format!(
                "{} prompt + {} answer tokens{cut}  ·  BOS {}, end of turn {}  ·  ends with EOS: {}, trained on: {}",
                answer.scored_from,
                answer.scored(),
                answer.bos,
                answer.ends,
                yes_no(answer.ended),
                yes_no(answer.end_trained()),
            ),
        );
    });
    if let Some(tinted) = tinted {
        parts::caption(ui, tinted.sums(name));
    }
    for finding in &answer.findings {
        if finding.flaw.is_grave() {
            strip(ui, palette.error_soft, palette.error, &finding.text);
        } else {
            strip(ui, palette.warning_soft, palette.warning, &finding.text);
        }
    }
    chips(ui, name, answer, tinted, key);
}

/// Where rows begin and end, for one width.
#[derive(Clone)]
struct Rows {
    key: (usize, u32),
    rows: Arc<Vec<Range<usize>>>,
}

fn chips(ui: &mut Ui, name: &str, answer: &Inspection, tinted: Option<Tinted<'_>>, key: usize) {
    let palette = parts::palette(ui);
    let font = FontId::monospace(size::MONO);
    let width = ui.available_width() - space::M;
    let id = ui.scope_id().with("rows");
    let rows = rows(ui, id, answer, &font, width, key);
    let frame = egui::Frame::NONE
        .fill(palette.field)
        .stroke(Stroke::new(1.0, palette.hairline))
        .corner_radius(theme::RADIUS)
        .inner_margin(egui::Margin::same(4));
    let shown = frame.show(ui, |ui| {
        ui.set_width(ui.available_width());
        ScrollArea::vertical().id_salt("chips").max_height(ROW * 9.0).auto_shrink([false, true]).show_rows(
            ui,
            ROW - ui.spacing().item_spacing.y,
            rows.len(),
            |ui, visible| {
                ui.spacing_mut().item_spacing.y = 0.0;
                for row in visible {
                    let tokens = rows[row].clone();
                    draw_row(ui, answer, tokens, tinted, &font, palette);
                }
            },
        );
    });
    let what = format!("Tokens of {name}: {}", answer.tokens.len());
    prompt::name(&shown.response, WidgetRole::Image, &what);
}

fn rows(ui: &Ui, id: Id, answer: &Inspection, font: &FontId, width: f32, key: usize) -> Arc<Vec<Range<usize>>> {
    let key = (key, width.to_bits());
    if let Some(known) = ui.data(|data| data.get_temp::<Rows>(id))
        && known.key == key
    {
        return known.rows;
    }
    let letter = ui.fonts_mut(|fonts| fonts.glyph_width(font, 'm'));
    let mut rows = Vec::new();
    let (mut start, mut x) = (0, 0.0);
    for (index, token) in answer.tokens.iter().enumerate() {
        let wide = chip_width(token, letter);
        if x + wide > width && index > start {
            rows.push(start..index);
            (start, x) = (index, 0.0);
        }
        x += wide + GAP;
        // A line of the text ends a line of chips.
        if token.text.ends_with('\n') {
            rows.push(start..index + 1);
            (start, x) = (index + 1, 0.0);
        }
    }
    if start < answer.tokens.len() {
        rows.push(start..answer.tokens.len());
    }
    let rows = Arc::new(rows);
    let kept = Rows { key, rows: Arc::clone(&rows) };
    ui.data_mut(|data| data.insert_temp(id, kept));
    rows
}

/// As if every letter were one cell wide; wide scripts get two.
fn chip_width(token: &TokenView, letter: f32) -> f32 {
    let cells: usize = visible(&token.text).chars().map(|c| if c as u32 >= 0x1100 { 2 } else { 1 }).sum();
    (cells as f32 * letter + 2.0 * PADDING).max(10.0)
}

/// A token's text with what cannot be seen made visible.
fn visible(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(LONGEST_CHIP) {
        match c {
            ' ' => out.push('·'),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    if text.chars().nth(LONGEST_CHIP).is_some() {
        out.push('…');
    }
    out
}

struct Look {
    ground: Color32,
    line: Color32,
    text: Color32,
}

fn look(token: &TokenView, cut: bool, palette: &Palette) -> Look {
    let (ground, line) = match token.part {
        TextPart::Template => (theme::mix(palette.field, palette.weak, 0.14), palette.weak),
        TextPart::Prompt => (palette.accent_soft, palette.accent),
        TextPart::Answer => (theme::mix(palette.field, palette.good, 0.18), palette.good),
    };
    let line = if token.special { palette.warning } else { theme::mix(ground, line, 0.35) };
    let (ground, text) = if cut { (palette.error_soft, palette.error) } else { (ground, palette.strong) };
    Look { ground, line, text }
}

fn draw_row(
    ui: &mut Ui,
    answer: &Inspection,
    tokens: Range<usize>,
    tinted: Option<Tinted<'_>>,
    font: &FontId,
    palette: &Palette,
) {
    let letter = ui.fonts_mut(|fonts| fonts.glyph_width(font, 'm'));
    let (row, _) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    let mut x = row.left();
    for index in tokens {
        let token = &answer.tokens[index];
        let wide = chip_width(token, letter);
        let top = row.center().y - CHIP / 2.0;
        let rect = Rect::from_min_size(egui::pos2(x, top), vec2(wide, CHIP));
        x += wide + GAP;
        let mut look = look(token, index >= answer.cut_at, palette);
        let scored = index.checked_sub(answer.scored_from).filter(|_| index < answer.cut_at);
        let read = tinted.and_then(|tinted| tinted.read(scored?));
        if let Some(tinted) = tinted {
            look.ground = read.map_or(palette.field, |read| tinted.ground(read, palette));
        }
        let painter = ui.painter();
        let stroke = Stroke::new(1.0, look.line);
        painter.rect(rect, 3.0, look.ground, stroke, StrokeKind::Inside);
        painter.text(
            rect.left_center() + vec2(PADDING, 0.0),
            Align2::LEFT_CENTER,
            visible(&token.text),
            font.clone(),
            look.text,
        );
        if let Some((tinted, read)) = tinted.zip(read) {
            tinted.bar(painter, rect, read, palette);
        } else if scored.is_some() {
            // Scored tokens stand on a line, so that the mask can be seen without colours.
            let y = rect.bottom() + 1.0;
            painter.hline(rect.x_range(), y, Stroke::new(2.0, palette.good));
        }
        if index == answer.cut_at {
            let line = Stroke::new(2.0, palette.error);
            painter.vline(rect.left() - 1.0, row.y_range(), line);
        }
        let chip = ui.interact(rect, ui.scope_id().with(index), Sense::hover());
        chip.on_hover_ui(|ui| {
            ui.label(RichText::new(format!("{:?}", token.text)).font(font.clone()));
            ui.label(about(answer, index));
            if let Some(read) = read {
                ui.label(read.words());
            }
        });
    }
}

/// One token in words.
fn about(answer: &Inspection, index: usize) -> String {
    let token = &answer.tokens[index];
    let part = match token.part {
        TextPart::Template => "written by the template",
        TextPart::Prompt => "of the prompt",
        TextPart::Answer => "of the answer",
    };
    let special = if token.special { ", special" } else { "" };
    let scored = if index >= answer.cut_at {
        "cut off"
    } else if index >= answer.scored_from {
        "scored"
    } else {
        "not scored"
    };
    format!("id {}, place {}: {part}{special}, {scored}", token.id, index + 1)
}

fn legend(ui: &mut Ui) {
    let palette = parts::palette(ui);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = space::XS;
        let token = |part, special| TokenView { id: 0, text: String::new(), part, special };
        let looks = [
            ("template", look(&token(TextPart::Template, false), false, palette)),
            ("prompt", look(&token(TextPart::Prompt, false), false, palette)),
            ("answer", look(&token(TextPart::Answer, false), false, palette)),
            ("special", look(&token(TextPart::Template, true), false, palette)),
            ("cut off", look(&token(TextPart::Answer, false), true, palette)),
        ];
        for (word, look) in looks {
            let (rect, _) = ui.allocate_exact_size(vec2(14.0, 12.0), Sense::hover());
            let stroke = Stroke::new(1.0, look.line);
            ui.painter().rect(rect, 3.0, look.ground, stroke, StrokeKind::Inside);
            parts::caption(ui, word);
            ui.add_space(space::XS);
        }
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            parts::caption(ui, "underlined: scored");
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_made_visible() {
        assert_eq!(visible(" a\n\t"), "·a\\n\\t");
        assert_eq!(visible("\u{0}"), "\\u{0}");
        assert_eq!(visible(&"x".repeat(100)).chars().count(), LONGEST_CHIP + 1);
    }
}
