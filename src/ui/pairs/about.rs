//! What else is known of a pair: tags, split, note, source, and what the newest run saw of it.

use data::{Pair, PairId, Split};
use egui::{ComboBox, Key, Role as WidgetRole, TextEdit, Ui};
use state::{
    Command, Commands, Workspace,
    fate::why_not,
    pairs::{Caret, PairHistory, PairsCommand, PairsView},
    train::Preflight,
};

use crate::{
    lines::Lines,
    parts,
    prompt::{self, Edited},
    theme::space,
    writing::give_caret,
};

/// Tags, split, note, and where the pair came from.
pub fn ui(ui: &mut Ui, pair: &mut Pair, view: &mut PairsView, workspace: &Workspace) -> Edited {
    let mut edited = Edited::default();
    ui.horizontal_wrapped(|ui| {
        parts::caption(ui, "Tags");
        let mut remove = None;
        for (index, tag) in pair.tags.iter().enumerate() {
            let button = parts::quiet(ui, true, &format!("{tag} ×"));
            prompt::name(&button, WidgetRole::Button, &format!("Remove tag {tag}"));
            if button.clicked() {
                remove = Some(index);
            }
        }
        if let Some(index) = remove {
            pair.tags.remove(index);
            edited.join(Edited::AT_ONCE);
        }
        let field = ui
            .add(TextEdit::singleline(&mut view.new_tag).id_salt("new tag").hint_text("Add a tag").desired_width(90.0));
        let field = field.accessible_name("New tag");
        if view.caret == Some(Caret::Tag) && give_caret(ui, &field, true) {
            field.scroll_to_me(None);
            view.caret = None;
        }
        let left = field.lost_focus();
        // Several tags are written one after the other.
        if left && ui.input(|input| input.key_pressed(Key::Enter)) {
            field.request_focus();
        }
        let tag = view.new_tag.trim().to_owned();
        if left && !tag.is_empty() {
            view.new_tag.clear();
            if !pair.tags.contains(&tag) {
                pair.tags.push(tag);
                edited.join(Edited::AT_ONCE);
            }
        }
        ui.separator();
        let combo = ComboBox::from_id_salt("split").selected_text(split_word(pair.split)).show_ui(ui, |ui| {
            for split in [Split::Auto, Split::Train, Split::Eval] {
                if ui.selectable_value(&mut pair.split, split, split_word(split)).changed() {
                    edited.join(Edited::AT_ONCE);
                }
            }
        });
        prompt::name(&combo.response, WidgetRole::ComboBox, "Split");
    });
    let note = ui.add(
        TextEdit::multiline(&mut Lines(&mut pair.note))
            .id_salt("note")
            .hint_text("Note to yourself")
            .desired_rows(1)
            .desired_width(f32::INFINITY),
    );
    edited.join(Edited::of(&note));
    let mut facts: Vec<String> = Vec::new();
    if let Some(source) = &pair.source {
        facts.push(format!("From {}, line {}", source.file, source.line));
    }
    if let Some(verdict) = &pair.verdict {
        let who = match verdict.who.as_str() {
            "local" => "Labelled here".to_owned(),
            "import" => "Label imported".to_owned(),
            who => format!("Labelled by {who}"),
        };
        let took = verdict.took_ms.map_or_else(String::new, |ms| format!(" in {:.1} s", f64::from(ms) / 1000.0));
        let ago = ago(workspace.now_ms - verdict.at_ms);
        facts.push(format!("{who}{took}{ago}"));
    }
    if pair.reward != 1.0 {
        facts.push(format!("Reward {}", pair.reward));
    }
    if pair.behaviour != 1.0 {
        facts.push(format!("Labeller's probability {}", pair.behaviour));
    }
    if !facts.is_empty() {
        parts::caption(ui, facts.join("  ·  "));
    }
    fate(ui, pair, view, workspace);
    edited
}

/// Why it is not trained on, as far as the window knows.
fn fate(ui: &mut Ui, pair: &Pair, view: &PairsView, workspace: &Workspace) {
    let row = workspace.pairs.rows.get(pair.id);
    let mut reasons = why_not(pair, row.is_some_and(|row| row.is_held_out(view.table.rule())));
    if let Preflight::Ready { report, .. } = &workspace.preflight {
        let aside = report.set_aside.iter().filter(|(id, _)| *id == pair.id);
        reasons.extend(aside.map(|(_, reason)| format!("Set aside by the last check: {reason}")));
    }
    for reason in reasons {
        parts::caption(ui, reason);
    }
}

fn split_word(split: Split) -> &'static str {
    match split {
        Split::Auto => "Split by prompt",
        Split::Train => "Always training",
        Split::Eval => "Always held out",
    }
}

fn ago(ms: i64) -> String {
    let minutes = ms / 60_000;
    match minutes {
        ..0 => String::new(),
        0 => ", just now".to_owned(),
        1..60 => format!(", {minutes} min ago"),
        60..1440 => format!(", {} h ago", minutes / 60),
        _ => format!(", {} days ago", minutes / 1440),
    }
}

/// What the newest run that met this pair saw of it: margin by step, and how hard it still pushes.
pub fn history(ui: &mut Ui, pair: PairId, workspace: &Workspace, commands: &Commands) {
    let histories = &workspace.pairs.histories;
    if histories.is_missing(pair) {
        commands.push(Command::Pairs(PairsCommand::ReadHistory(pair)));
    }
    let Some(Some(PairHistory { run, visits })) = histories.get(pair) else {
        return;
    };
    let (Some((first, start)), Some((last, end))) = (visits.first(), visits.last()) else {
        return;
    };
    ui.add_space(space::XS);
    ui.horizontal_wrapped(|ui| {
        let text = format!(
            "Margin in {run}: {:.2} at step {first}, {:.2} at step {last} ({} visits, push {:.3})",
            start.margin,
            end.margin,
            visits.len(),
            end.push
        );
        sparkline(ui, visits.iter().map(|(_, visit)| visit.margin), &text);
        parts::caption(ui, text);
    });
}

/// A line through the values with zero as a hairline; a single value is a dot.
fn sparkline(ui: &mut Ui, values: impl Iterator<Item = f32>, name: &str) {
    let palette = parts::palette(ui);
    let values: Vec<f32> = values.filter(|value| value.is_finite()).collect();
    let (rect, response) = ui.allocate_exact_size(egui::vec2(140.0, 30.0), egui::Sense::hover());
    prompt::name(&response, WidgetRole::Image, name);
    let (low, high) = values.iter().fold((0.0f32, 0.0f32), |(low, high), value| (low.min(*value), high.max(*value)));
    let y = |value: f32| egui::remap(value, low..=high.max(low + 1e-6), rect.bottom()..=rect.top());
    let painter = ui.painter();
    painter.hline(rect.x_range(), y(0.0), egui::Stroke::new(1.0, palette.hairline));
    let count = values.len();
    let points: Vec<egui::Pos2> = values
        .iter()
        .enumerate()
        .map(|(index, value)| {
            let x = rect.left() + rect.width() * index as f32 / (count.max(2) - 1) as f32;
            egui::pos2(x, y(*value))
        })
        .collect();
    if let Some(end) = points.last() {
        painter.circle_filled(*end, 2.0, palette.accent);
    }
    painter.line(points, egui::Stroke::new(1.5, palette.accent));
}
