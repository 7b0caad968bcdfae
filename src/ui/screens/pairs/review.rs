//! Labels that a run argues against, one at a time: flip, keep or drop.

use data::{
    Pair, PairId,
    suspects::{MarginScore, VISITS},
};
use egui::{Button, RichText, ScrollArea, Ui};
use state::{
    Command, Commands, Workspace,
    actions::{Action, key_of},
    difference::Difference,
    drafts::LONGEST_EDITABLE,
    pairs::{PairsCommand, PairsView},
    review::{Decision, Review, ReviewAct},
};

use super::columns::READING;
use crate::{
    marked::{self, TextMark},
    parts, prompt,
    theme::{size, space},
};

/// Pairs read at a time: the one on the screen and those after it.
const READ: usize = 5;

/// Height of what stands under the answers.
const FOOTER: f32 = 84.0;

/// The whole screen while a review goes on. Leaves by taking itself out of the view.
pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut PairsView, commands: &Commands) {
    let Some(mut review) = view.review.take() else {
        return;
    };
    let missing: Vec<PairId> = review.ahead(READ).filter(|id| workspace.pairs.pairs.is_missing(*id)).collect();
    if !missing.is_empty() {
        commands.push(Command::Pairs(PairsCommand::ReadPairs(missing)));
    }
    let current = review.current();
    let pair = current.and_then(|standing| workspace.pairs.pairs.get(standing.pair));
    let can_be_decided = current.is_none() || pair.is_some();
    let mut act = review.presses.pop_front_if(|act| can_be_decided || !matches!(act, ReviewAct::Decide(_)));
    if !review.presses.is_empty() {
        ui.request_repaint();
    }
    act = act.or(header(ui, &review, workspace));
    ui.add_space(space::S);
    match (current, pair) {
        (None, _) => act = act.or(finished(ui, &review)),
        (Some(standing), None) if workspace.pairs.pairs.is_absent(standing.pair) => {
            // Deleted since the queue was made.
            review.pass();
            ui.request_repaint();
        }
        (Some(_), None) => parts::empty(ui, "Reading the pair…", ""),
        (Some(standing), Some(pair)) if review.asks_about(pair) => {
            act = act.or(question(ui, pair, standing, &review, view));
        }
        (Some(_), Some(_)) => ui.request_repaint(),
    }
    match act {
        Some(ReviewAct::Leave) => {
            view.select(current.map(|standing| standing.pair));
            return;
        }
        Some(ReviewAct::Difference) => review.difference = !review.difference,
        Some(ReviewAct::Undo) => {
            if let Some(label) = review.undo() {
                commands.push(Command::Pairs(PairsCommand::Undo { only: Some(label), sure: false }));
            }
        }
        Some(ReviewAct::Decide(decision)) => {
            let decided = pair.and_then(|pair| Some((pair.id, review.decide(pair, decision, workspace.now_ms)?)));
            if let Some((pair, (verdict, label))) = decided {
                commands.push(Command::Pairs(PairsCommand::Judge { pair, verdict: Some(verdict), label }));
            }
        }
        None => {}
    }
    view.review = Some(review);
}

fn header(ui: &mut Ui, review: &Review, workspace: &Workspace) -> Option<ReviewAct> {
    let palette = parts::palette(ui);
    let (done, all) = review.progress();
    let mut act = None;
    ui.horizontal(|ui| {
        ui.label(RichText::new("Suspect labels").size(size::TITLE).color(palette.strong));
        ui.label(format!("{done} of {all}  ·  {}", review.in_words()));
        let saving = &workspace.saving;
        let word = match (saving.failed, saving.under_way) {
            (true, _) => "Not saved",
            (false, 0) if done > 0 => "Saved",
            (false, 0) => "",
            (false, _) => "Saving…",
        };
        parts::caption(ui, word);
        parts::at_right(ui, "review actions", |ui| {
            for (text, press, on) in [
                ("Difference", ReviewAct::Difference, review.difference),
                ("Undo", ReviewAct::Undo, false),
                ("Leave", ReviewAct::Leave, false),
            ] {
                let hover = key_of(Action::Review(press));
                if ui.add(Button::new(text).selected(on)).on_hover_text(hover).clicked() {
                    act = Some(press);
                }
            }
        });
    });
    let judged = review.judged;
    parts::caption(
        ui,
        format!("{} met {judged} labels twice or more; the margin of these stayed low against the others", review.run),
    );
    act
}

/// Prompt, chosen and rejected answer, and what the run saw of them.
fn question(
    ui: &mut Ui,
    pair: &Pair,
    standing: MarginScore,
    review: &Review,
    view: &mut PairsView,
) -> Option<ReviewAct> {
    let (chosen, rejected) = pair.sides()?;
    let white_space = view.white_space;
    let compared = review.difference.then(|| view.differences.soon(&chosen.text, &rejected.text));
    let mut act = None;
    ui.push_id(("review", pair.id.0), |ui| {
        let height = ui.available_height() - FOOTER;
        parts::card(ui, |ui| {
            ui.set_width(ui.available_width());
            let area = ScrollArea::vertical().id_salt("prompt").max_height(height * 0.34).auto_shrink([false, true]);
            area.show(ui, |ui| prompt::show(ui, &pair.prompt, READING, white_space));
        });
        let height = (ui.available_height() - FOOTER).max(120.0);
        parts::two_columns(ui, height, |ui, place| {
            let (name, text) = [("Chosen", &chosen.text), ("Rejected", &rejected.text)][place];
            answer(ui, (name, place), text, compared.as_deref(), (height, white_space));
        });
        parts::caption(ui, why(standing)).on_hover_text(
            "Early visits count: in a long run a wrong label is in the end learnt by heart like a right one. A spread is that of \
             the margins around it; of a label that was not sure less counts",
        );
        act = buttons(ui);
    });
    act
}

/// Why a label is asked about. Where it was low and what it came to may say the opposite.
fn why(MarginScore { margin, middle, visits, standing, .. }: MarginScore) -> String {
    let counted = match visits.min(VISITS + 1) {
        last @ ..=2 => format!("visit {last}"),
        last => format!("visits 2 to {last}"),
    };
    let [margin, middle] = [margin, middle].map(|value| data::number(f64::from(value)));
    format!(
        "In {counted} its margin was {:.1} spreads below the middle of the pairs around it; at the last of {visits} it was \
         {margin}, the middle {middle}",
        -standing
    )
}

fn answer(
    ui: &mut Ui,
    (name, place): (&str, usize),
    text: &str,
    compared: Option<&Difference>,
    (height, white_space): (f32, bool),
) {
    let palette = parts::palette(ui);
    let mark = TextMark { ground: palette.accent_soft, line: palette.accent };
    parts::card(ui, |ui| {
        ui.set_width(ui.available_width());
        parts::caption(ui, name);
        let inner = height - 2.0 * space::L - 34.0;
        ui.set_min_height(inner);
        let area = ScrollArea::vertical().id_salt(name).max_height(inner).auto_shrink([false, true]);
        if text.len() > LONGEST_EDITABLE {
            marked::long_rows(ui, area, text);
            return;
        }
        area.show(ui, |ui| {
            let spans = compared.map_or(&[][..], |difference| [&difference.left[..], &difference.right][place]);
            let font = egui::FontId::proportional(READING);
            let job = marked::job(text, spans, &font, palette.text, mark, ui.available_width());
            marked::label_with(ui, job, white_space);
        });
    });
}

fn buttons(ui: &mut Ui) -> Option<ReviewAct> {
    let palette = parts::palette(ui);
    let mut act = None;
    ui.horizontal(|ui| {
        let gap = ui.spacing().item_spacing.x;
        let width = (ui.available_width() - 2.0 * gap) / 3.0;
        for (decision, what) in [
            (Decision::Flip, "Flip: the other is better"),
            (Decision::Keep, "Keep: the label is right"),
            (Decision::Drop, "Drop: do not train on it"),
        ] {
            let press = ReviewAct::Decide(decision);
            let key = RichText::new(key_of(Action::Review(press))).monospace().color(palette.weak);
            let button =
                ui.add_sized([width, 32.0], Button::new(what).right_text(key).wrap_mode(egui::TextWrapMode::Truncate));
            prompt::name(&button, egui::Role::Button, decision.word());
            if button.on_hover_text(what).clicked() {
                act = Some(press);
            }
        }
    });
    act
}

fn finished(ui: &mut Ui, review: &Review) -> Option<ReviewAct> {
    parts::empty(
        ui,
        &format!("All done: {}", review.in_words()),
        "A run that is going takes the changes in when you ask for it on the Train screen; U takes the last one back",
    );
    let mut act = None;
    ui.vertical_centered(|ui| {
        ui.add_space(space::M);
        if parts::primary(ui, "Back to the table").clicked() {
            act = Some(ReviewAct::Leave);
        }
    });
    act
}
