//! Pairs that fought back: which, in which of the runs, and the way to them.

use std::sync::Arc;

use data::{PairId, counted};
use egui::{Button, Label, RichText, Role, Ui};
use state::{
    Command, Commands, Workspace,
    actions::{Action, key_of},
    compare::fought::{Fared, FoughtPairs, PairList},
    pairs::PairsCommand,
};

use super::tables;
use crate::{
    parts, prompt,
    theme::{size, space},
};

/// So many are shown here; the table of pairs has all.
const ROWS: usize = 8;
/// Of a prompt, before it is cut.
const PROMPT: f32 = 300.0;

pub fn ui(ui: &mut Ui, workspace: &Workspace, told: &FoughtPairs, commands: &Commands) {
    if told.ways.is_empty() {
        return;
    }
    parts::card(ui, |ui| {
        ui.set_width(ui.available_width());
        parts::heading(ui, "Pairs that fought back");
        let judged = counted(told.judged, "pair", "pairs");
        if told.rows.is_empty() {
            let text = "met more than once the chosen answer was ahead in the end";
            parts::caption(ui, format!("None: of {judged} {text}"));
            return;
        }
        let what = "were behind in the end: when they were met last, after they had been trained on, the rejected answer was ahead";
        parts::caption(ui, format!("{} of {judged} {what}", told.rows.len()));
        ui.horizontal_wrapped(|ui| {
            let lists = told.lists();
            let last = lists.len().saturating_sub(1);
            for (place, list) in lists.into_iter().enumerate() {
                let key = if place == last { format!(" ({})", key_of(Action::ShowFought)) } else { String::new() };
                show(ui, list, &key, commands);
            }
        });
        ui.add_space(space::XS);
        tables::table(ui, "fought back", |ui| {
            for caption in ["Pair", "Prompt"] {
                parts::caption(ui, caption);
            }
            for way in &told.ways {
                let name = Label::new(RichText::new(&way.name).size(size::SMALL).color(parts::palette(ui).weak));
                ui.scope(|ui| {
                    ui.set_max_width(tables::LONGEST_NAME);
                    ui.add(name.truncate());
                });
            }
            ui.end_row();
            rows(ui, workspace, told, commands);
        });
        let more = told.rows.len().saturating_sub(ROWS);
        if more > 0 {
            parts::caption(ui, format!("and {more} more"));
        }
    });
    ui.add_space(space::S);
}

/// A button that leads to them.
fn show(ui: &mut Ui, PairList { word, title, pairs }: PairList, key: &str, commands: &Commands) {
    let count = pairs.len();
    let text = if word.is_empty() { format!("Show all {count}") } else { format!("{count} {word}") };
    let button = ui.button(&text).on_hover_text(format!("Shows them among the pairs{key}"));
    prompt::name(&button, Role::Button, &title);
    if button.clicked() {
        commands.push(Command::ShowPairs(title, Arc::new(pairs)));
    }
}

fn rows(ui: &mut Ui, workspace: &Workspace, told: &FoughtPairs, commands: &Commands) {
    let palette = parts::palette(ui);
    let known = &workspace.pairs.rows;
    let missing: Vec<PairId> =
        told.rows.iter().take(ROWS).map(|row| row.pair).filter(|pair| known.is_missing(*pair)).collect();
    if !missing.is_empty() {
        commands.push(Command::Pairs(PairsCommand::ReadRows(missing)));
    }
    for row in told.rows.iter().take(ROWS) {
        let prompt = known.get(row.pair).map_or("…", |row| row.prompt.as_str());
        let open = ui.add(Button::new(row.pair.0.to_string()).small());
        prompt::name(&open, Role::Button, &format!("Open pair {}: {prompt}", row.pair.0));
        if open.on_hover_text("Opens the pair: its curve over the run, its tokens, its texts").clicked() {
            commands.push(Command::ShowPair(row.pair));
        }
        ui.scope(|ui| {
            ui.set_max_width(PROMPT);
            ui.add(Label::new(prompt).truncate());
        });
        for (fared, way) in row.fared.iter().zip(&told.ways) {
            let Some(fared) = fared else {
                ui.label(RichText::new("–").color(palette.weak)).on_hover_text("Not met more than once");
                continue;
            };
            let color = if fared.is_lost() { palette.error } else { palette.weak };
            ui.label(RichText::new(words(*fared, way.runs.len())).color(color)).on_hover_text(
                "The objective's margin when the pair was met last; below 0 the rejected answer was ahead",
            );
        }
        ui.end_row();
    }
}

/// The margin in a run, and of several in how many of them.
fn words(fared: Fared, runs: usize) -> String {
    let margin = data::number(f64::from(fared.margin));
    if runs == 1 { margin } else { format!("{} of {}, lowest {margin}", fared.fought, fared.met) }
}
