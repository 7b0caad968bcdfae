//! What a model thinks of the pairs: whose opinion it is, how far the scoring has come, and the numbers of one pair.

use data::{PairId, counted};
use egui::{
    Align, Button, ComboBox, Layout, PopupCloseBehavior, RichText, Role, Ui,
    containers::menu::{MenuButton, MenuConfig},
};
use state::{
    Command, Commands, Workspace,
    pairs::{PairsCommand, PairsView},
    scores::{Fate, ScoresCommand, ShownScores, Whose},
};
use store::PairScores;
use train::objective::{Number, Objective, Standing};

use crate::{parts, prompt, theme::space};

/// Asks for what is shown and not here.
pub fn ask(workspace: &Workspace, view: &mut PairsView, commands: &Commands) {
    // The run may have been deleted since.
    let is_there = |whose: &Whose| match *whose {
        Whose::Start => true,
        Whose::Checkpoint { run, .. } => workspace.runs.record(run).is_some(),
    };
    view.scores = view.scores.filter(is_there);
    let Some(whose) = view.scores else {
        view.filter.without_scores();
        return;
    };
    if workspace.pairs.scores.asked != Some(whose) {
        push(ScoresCommand::Read(whose), commands);
    }
}

pub fn push(command: ScoresCommand, commands: &Commands) {
    commands.push(Command::Pairs(PairsCommand::Scores(command)));
}

/// Whose opinion, and which of the pairs: beside the other filters.
pub fn filters(ui: &mut Ui, workspace: &Workspace, view: &mut PairsView) {
    let word =
        |whose: Option<Whose>| whose.map_or_else(|| "No scores".to_owned(), |whose| whose.describe(&workspace.runs));
    let width = ui.spacing().combo_width + 34.0;
    let combo =
        ComboBox::from_id_salt("scores").selected_text(word(view.scores)).width(width).truncate().show_ui(ui, |ui| {
            ui.selectable_value(&mut view.scores, None, "No scores");
            for whose in Whose::all(&workspace.runs) {
                ui.selectable_value(&mut view.scores, Some(whose), word(Some(whose)));
            }
        });
    let about = "What a model thinks of each pair: margin, push and rewards as columns (G)";
    prompt::name(&combo.response.on_hover_text(about), Role::ComboBox, "Scores of");
    if view.scores.is_none() {
        return;
    }
    let mut fate = view.filter.fate;
    let selected = fate.map_or("Any margin", Fate::word);
    let combo = ComboBox::from_id_salt("fate").selected_text(selected).show_ui(ui, |ui| {
        ui.selectable_value(&mut fate, None, "Any margin");
        for one in Fate::ALL {
            ui.selectable_value(&mut fate, Some(one), one.word()).on_hover_text(one.about());
        }
    });
    prompt::name(&combo.response, Role::ComboBox, "Filter by margin");
    if fate != view.filter.fate {
        view.filter.show_fate(fate);
    }
}

/// Which of a pair's numbers are columns.
pub fn columns(ui: &mut Ui, view: &mut PairsView) {
    if view.scores.is_none() {
        return;
    }
    let config = MenuConfig::new().close_behavior(PopupCloseBehavior::CloseOnClickOutside);
    let (button, _) = MenuButton::new("Columns").config(config).ui(ui, |ui| {
        for number in Number::ALL {
            let mut shown = view.table.has_column(number);
            if ui.checkbox(&mut shown, number.title()).on_hover_text(number.about()).changed() {
                view.table.set_column(number, shown);
            }
        }
        parts::caption(ui, "Those without room are left out: drag the table's edge");
    });
    button.on_hover_text("Which of a pair's numbers are columns of the table");
}

/// What there is to say about the scores as a whole: how to get them, how that goes.
pub fn strip(ui: &mut Ui, workspace: &Workspace, view: &PairsView, commands: &Commands) {
    let scores = &workspace.pairs.scores;
    let palette = parts::palette(ui);
    if let Some(under_way) = &scores.under_way {
        let failed = matches!(under_way.end, Some(Err(_)));
        parts::strip(ui, if failed { palette.warning_soft } else { palette.accent_soft }, |ui| {
            ui.horizontal(|ui| {
                let text = RichText::new(under_way.summary(&workspace.runs)).color(palette.strong);
                let is_busy = under_way.end.is_none();
                let room = ui.available_width() - if is_busy { 300.0 } else { 80.0 };
                ui.scope(|ui| {
                    ui.set_max_width(room.max(120.0));
                    ui.add(egui::Label::new(text).truncate());
                });
                if is_busy {
                    ui.scope(|ui| {
                        ui.set_width(160.0);
                        parts::progress(ui, under_way.share(), "Pairs scored");
                    });
                }
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    if !is_busy {
                        if ui.button("Close").clicked() {
                            push(ScoresCommand::Close, commands);
                        }
                    } else if ui.add_enabled(!under_way.control.stopping(), Button::new("Stop scoring")).clicked() {
                        under_way.control.stop();
                    }
                });
            });
        });
        ui.add_space(space::XS);
        return;
    }
    let Some(shown) = view.scores.and_then(|whose| scores.of(whose)) else { return };
    let missing = shown.of - shown.scored.min(shown.of);
    if missing == 0 {
        return;
    }
    parts::strip(ui, palette.accent_soft, |ui| {
        ui.horizontal_wrapped(|ui| {
            let whose = shown.whose.describe(&workspace.runs);
            let what = if shown.scored == 0 {
                format!("No pair has been scored under {whose}")
            } else {
                format!("{} not scored under {whose}", counted(missing, "pair is", "pairs are"))
            };
            ui.label(RichText::new(what).color(palette.strong));
            let word = format!("Score {}", counted(missing, "pair", "pairs"));
            let about = "Reads every answer once with these weights, in the background (Shift G)";
            if ui.button(word).on_hover_text(about).clicked() {
                push(ScoresCommand::Score(shown.whose), commands);
            }
        });
    });
    ui.add_space(space::XS);
}

/// A score as a cell of the table.
pub fn cell(ui: &mut Ui, standing: Option<f64>) {
    let text = standing.map_or_else(|| "–".to_owned(), data::number);
    let color = if standing.is_some() { parts::palette(ui).text } else { parts::palette(ui).weak };
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        ui.add_space(space::XS);
        ui.add(egui::Label::new(RichText::new(text).small().monospace().color(color)).selectable(false));
    });
}

/// What the shown model thinks of a pair, if it is known.
pub fn standing(
    workspace: &Workspace,
    view: &PairsView,
    objective: &Objective,
    pair: PairId,
) -> Option<(PairScores, Standing)> {
    let scores = &workspace.pairs.scores;
    let shown: &ShownScores = scores.of(view.scores?)?;
    let known = scores.rows.get(pair)?;
    Some((*known, Standing::of(&shown.objective(objective), known)?))
}

/// The numbers of the pair that is open, in a sentence.
pub fn detail(
    ui: &mut Ui,
    workspace: &Workspace,
    view: &PairsView,
    objective: &Objective,
    pair: PairId,
    commands: &Commands,
) {
    let Some(whose) = view.scores else { return };
    let scores = &workspace.pairs.scores;
    if scores.of(whose).is_some_and(|shown| shown.scoring.is_some()) && scores.rows.is_missing(pair) {
        push(ScoresCommand::ReadRows(vec![pair]), commands);
    }
    let name = whose.describe(&workspace.runs);
    let Some((scores, standing)) = standing(workspace, view, objective, pair) else {
        parts::caption(ui, format!("{name}: not scored yet"));
        return;
    };
    let number = data::number;
    let side =
        |log_prob: f64, tokens: usize| format!("{} over {}", number(log_prob), counted(tokens, "token", "tokens"));
    let (first, second) = if scores.certainty.is_some_and(|certainty| certainty > 0.5) {
        ("chosen", "rejected")
    } else {
        ("first", "second")
    };
    let push = match scores.certainty {
        None => "not trained on".to_owned(),
        Some(_) if standing.asleep => format!("push {}, asleep", number(standing.push)),
        Some(_) => format!("push {}", number(standing.push)),
    };
    let is_reward = matches!(whose, Whose::Checkpoint { run, .. } if workspace.runs.fits_rewards(run));
    let what = if is_reward { "score" } else { "log-prob" };
    let text = format!(
        "{name}: {what} of {first} {}, of {second} {}, {} apart  ·  margin {}, {push}  ·  rewards {} and {}",
        side(scores.chosen.log_prob, scores.chosen.tokens),
        side(scores.rejected.log_prob, scores.rejected.tokens),
        number(scores.margin()),
        number(standing.margin),
        number(standing.chosen_reward),
        number(standing.rejected_reward),
    );
    ui.add(egui::Label::new(RichText::new(text).small().color(parts::palette(ui).weak)).wrap());
}
