//! What else is known of a pair: tags, split, note, source, and what the newest run saw of it.

use data::{Pair, PairId, Split, Verdict, counted, metrics};
use egui::{ComboBox, Key, Role as WidgetRole, TextEdit, Ui};
use state::{
    Command, Commands, Workspace,
    not_trained::why_not,
    pairs::{Caret, PairsCommand, PairsView},
    runs::Loaded,
    train::{Preflight, RunCommand},
};

use crate::{
    chart::{Band, Chart, Line},
    lines::Lines,
    parts,
    prompt::{self, Edited},
    theme::space,
    writing::give_caret,
};

/// Height of the card with the pair's own curve.
const CURVE: f32 = 190.0;

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
            Verdict::LOCAL => "Labelled here".to_owned(),
            Verdict::IMPORTED => "Label imported".to_owned(),
            who => format!("Labelled by {who}"),
        };
        let took = verdict.took_ms.map_or_else(String::new, |ms| format!(" in {:.1} s", f64::from(ms) / 1000.0));
        let when = when(verdict.at_ms, workspace.now_ms);
        facts.push(format!("{who}{took}{when}"));
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

/// How long ago it was; the day, where that says more.
fn when(at_ms: i64, now_ms: i64) -> String {
    let minutes = now_ms.saturating_sub(at_ms).div_euclid(60_000);
    match minutes {
        ..0 => String::new(),
        0 => ", just now".to_owned(),
        1..60 => format!(", {minutes} min ago"),
        60..1440 => format!(", {} h ago", minutes / 60),
        1440..2880 => ", a day ago".to_owned(),
        2880..43_200 => format!(", {} days ago", minutes / 1440),
        _ => jiff::Timestamp::from_millisecond(at_ms)
            .map_or_else(|_| String::new(), |at| at.strftime(", on %-d %b %Y").to_string()),
    }
}

/// What the newest run that met this pair saw of it: its margin over the run, in the band of all pairs of each step.
pub fn history(ui: &mut Ui, pair: PairId, workspace: &Workspace, commands: &Commands) {
    let histories = &workspace.pairs.histories;
    if histories.is_missing(pair) {
        commands.push(Command::Pairs(PairsCommand::ReadHistory(pair)));
    }
    let Some(Some(history)) = histories.get(pair) else {
        return;
    };
    let (Some((first, start)), Some((last, end))) = (history.visits.first(), history.visits.last()) else {
        return;
    };
    let run = workspace.runs.history(history.run);
    if run.is_none_or(|run| run.loaded == Loaded::Absent) {
        commands.push(Command::Runs(RunCommand::Load(history.run)));
    }
    ui.add_space(space::XS);
    let edge = |name| run.and_then(|run| run.series(name));
    let place = history.place().map_or_else(String::new, |place| format!(", {place}"));
    let note = format!(
        "{:.2} at step {first}, {:.2} at step {last} ({}, push {:.3}){place}",
        start.margin,
        end.margin,
        counted(history.visits.len(), "visit", "visits"),
        end.push
    );
    let last_step = run.map_or(*last as f64, |run| run.last_step().max(*last as f64));
    Chart {
        id: "pair margin",
        title: format!("Margin in {}", history.name),
        lines: vec![Line::new(format!("pair {}", pair.0), &history.margin, 0).solid().with_points()],
        bands: Band::shaded(
            edge(metrics::MARGIN_LOW).zip(edge(metrics::MARGIN_HIGH)),
            "10 to 90 % of all pairs of a step",
        ),
        group: "pair",
        last_step,
        height: CURVE,
        metric: metrics::MARGIN_MIDDLE,
        note,
        ..Chart::default()
    }
    .show(ui);
    if parts::quiet_row(ui, |ui| parts::quiet(ui, true, "Show its steps"))
        .on_hover_text("In the charts of the run, with the pairs beside it (H)")
        .clicked()
    {
        commands.push(Command::Runs(RunCommand::ShowSteps(pair)));
    }
}

#[cfg(test)]
mod tests {
    use super::when;

    #[test]
    fn what_is_long_ago_has_its_day() {
        const DAY: i64 = 86_400_000;
        let at = 1_700_000_000_000; // 14 November 2023
        let after = [(-1, ""), (0, ", just now"), (59 * 60_000, ", 59 min ago"), (DAY - 1, ", 23 h ago")];
        let later = [(DAY, ", a day ago"), (29 * DAY, ", 29 days ago"), (30 * DAY, ", on 14 Nov 2023")];
        for (passed, said) in after.into_iter().chain(later) {
            assert_eq!(when(at, at + passed), said);
        }
        assert_eq!(when(i64::MIN, 0), "");
    }
}
