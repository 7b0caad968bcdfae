//! Data health: what is suspicious about the pairs, and about the hand that labelled them.

use std::sync::Arc;

use data::{
    Cycle, PairId, counted,
    habits::{Habits, Part, Stretch},
    health::Health,
};
use egui::{Button, Ui};
use state::{
    Command, Commands, Workspace,
    pairs::{Only, PairsCommand, PairsView},
};

use crate::{parts, theme::space};

/// Circles with a button of their own.
const CIRCLES: usize = 3;

/// Fewer labels than these are no habit.
const ENOUGH: usize = 20;

/// One line, each part a button that shows its pairs.
pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut PairsView, commands: &Commands) {
    let data = &workspace.pairs;
    ui.horizontal_wrapped(|ui| {
        let title = if view.health_open { "Data health ⏷" } else { "Data health ⏵" };
        let toggle = parts::quiet(ui, true, title);
        crate::prompt::name(&toggle, egui::Role::Button, "Data health");
        if toggle.on_hover_text("Duplicates, contradictions, circles, length bias, habits of the hand").clicked() {
            view.health_open = !view.health_open;
        }
        references(ui, workspace, view);
        if let Some(only) = &view.only {
            ui.separator();
            ui.label(format!("Showing {}", only.title));
            if parts::quiet(ui, true, "Show all").clicked() {
                view.only = None;
            }
        }
        if !view.health_open {
            return;
        }
        let stale = data.health.as_ref().is_none_or(|(revision, _)| *revision != data.revision);
        if stale && !data.examining && !data.listing {
            commands.push(Command::Pairs(PairsCommand::Examine));
        }
        match &data.health {
            Some((_, health)) => findings(ui, health, view),
            None => {
                parts::caption(ui, "Looking…");
            }
        }
    });
}

/// The way to the reference answers, with how many there are.
fn references(ui: &mut Ui, workspace: &Workspace, view: &mut PairsView) {
    let word = match workspace.project.as_ref().map_or(0, |project| project.references) {
        0 => "No reference answers ⏵".to_owned(),
        some => format!("{} ⏵", counted(some, "reference answer", "reference answers")),
    };
    let open = parts::quiet(ui, true, &word);
    crate::prompt::name(&open, egui::Role::Button, "Reference answers");
    if open.on_hover_text("What the model shall go on saying where no pair asks for something else (R)").clicked() {
        view.references.open = true;
    }
}

fn findings(ui: &mut Ui, health: &Health, view: &mut PairsView) {
    if health.is_clean() {
        parts::caption(ui, "No duplicates, contradictions, empty or identical answers");
    }
    let flat = |groups: &[Vec<PairId>]| -> Vec<PairId> {
        let mut ids: Vec<PairId> = Vec::new();
        for id in groups.iter().flatten() {
            if !ids.contains(id) {
                ids.push(*id);
            }
        }
        ids
    };
    let found: [(&str, &str, Vec<PairId>); 4] = [
        ("contradict each other", "Same prompt, same answers, opposite verdicts", flat(&health.contradictions)),
        (
            "say the same",
            "Same prompt, same chosen, same rejected: counted more than once in training",
            flat(&health.duplicates),
        ),
        ("have identical answers", "Nothing can be learnt from these", health.identical_answers.clone()),
        ("have an empty answer", "An answer that is nothing but blanks", health.empty_answers.clone()),
    ];
    for (what, why, ids) in found {
        if ids.is_empty() {
            continue;
        }
        let title = format!("{} {what}", counted(ids.len(), "pair", "pairs"));
        if ui.button(&title).on_hover_text(why).clicked() {
            view.select(ids.first().copied());
            view.only = Some(Only { title, ids: Arc::new(ids) });
        }
    }
    for cycle in health.cycles.iter().take(CIRCLES) {
        let title = circle(cycle);
        let button = Button::new(format!("{} in a circle", counted(cycle.pairs.len(), "verdict", "verdicts")));
        if ui.add(button).on_hover_text(&title).clicked() {
            view.select(cycle.pairs.first().copied());
            view.only = Some(Only { title, ids: Arc::new(cycle.pairs.clone()) });
        }
    }
    if let more @ 1.. = health.cycles.len().saturating_sub(CIRCLES) {
        parts::caption(ui, format!("and {}", counted(more, "circle more", "circles more")));
    }
    let length = &health.length;
    if let Some(share) = length.longer_share() {
        ui.add_space(space::XS);
        parts::caption(
            ui,
            format!(
                "The longer answer is chosen in {:.0} % of {} (chosen {:.0}, rejected {:.0} characters on average)",
                100.0 * share,
                counted(length.compared, "pair", "pairs"),
                length.mean_chosen,
                length.mean_rejected
            ),
        )
        .on_hover_text("Far from 50 %, a model may learn length instead of what you meant");
    }
    for sentence in habits(&health.habits) {
        parts::caption(ui, sentence).on_hover_text(
            "Labels made here, whose side was noted. Sides are dealt at random, so that a careful hand is near 50 %",
        );
    }
}

/// "A over B (pair 4), B over C (pair 9), C over A (pair 12)".
fn circle(cycle: &Cycle) -> String {
    let letter = |place: usize| char::from(b'A' + (place % 26) as u8);
    let all = cycle.pairs.len();
    let steps = cycle.pairs.iter().enumerate();
    let steps: Vec<String> =
        steps.map(|(at, pair)| format!("{} over {} (pair {})", letter(at), letter((at + 1) % all), pair.0)).collect();
    steps.join(", ")
}

/// What the hand does, as far as there is enough to say it.
fn habits(habits: &Habits) -> Vec<String> {
    let Habits { all, thirds: [first, _, last], sittings } = habits;
    let mut sentences = Vec::new();
    let percent =
        |part: Part| part.share().filter(|_| part.of >= ENOUGH).map(|share| format!("{:.0} %", 100.0 * share));
    if let Some(left) = percent(all.left) {
        let longer = percent(all.longer)
            .map_or_else(String::new, |longer| format!(", the longer one in {longer} of {}", all.longer.of));
        sentences.push(format!("By hand: the left answer is chosen in {left} of {}{longer}", all.left.of));
    }
    if *sittings > 0 {
        let told = |stretch: &Stretch| {
            let look = stretch.usual_look_ms().map(|ms| format!("{:.1} s a label", f64::from(ms) / 1000.0));
            let left = percent(stretch.left).map(|left| format!("{left} left"));
            let longer = percent(stretch.longer).map(|longer| format!("{longer} longer"));
            let undecided = percent(stretch.undecided).map(|undecided| format!("{undecided} undecided"));
            let all: Vec<String> = [look, left, longer, undecided].into_iter().flatten().collect();
            all.join(", ")
        };
        let over = counted(*sittings, "sitting", "sittings");
        sentences.push(format!("Over {over}: the first third {}; the last third {}", told(first), told(last)));
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::{Choice, Pair, Prompt, Strength, Verdict};

    #[test]
    fn a_circle_is_a_sentence() {
        let cycle = Cycle { pairs: vec![PairId(4), PairId(9), PairId(12)] };
        assert_eq!(circle(&cycle), "A over B (pair 4), B over C (pair 9), C over A (pair 12)");
    }

    #[test]
    fn a_hand_that_tires_is_told() {
        assert!(habits(&Habits::default()).is_empty());
        let pairs: Vec<Pair> = (0..60)
            .map(|n| {
                let chosen = usize::from(n < 20 && n % 2 == 0);
                let choice = Choice::Better { chosen, rejected: 1 - chosen, strength: Strength::Clearly };
                let took_ms = Some(if n < 20 { 5200 } else { 1400 });
                let verdict =
                    Verdict { choice, who: "local".to_owned(), at_ms: n * 5000, took_ms, shown_left: Some(0) };
                let pair = Pair::new(PairId(n), Prompt::Text("p".to_owned()), &["short", "longer answer"]);
                Pair { verdict: Some(verdict), ..pair }
            })
            .collect();
        let sentences = habits(&data::habits::habits(&pairs));
        assert_eq!(sentences[0], "By hand: the left answer is chosen in 83 % of 60, the longer one in 17 % of 60");
        assert_eq!(
            sentences[1],
            "Over 1 sitting: the first third 5.2 s a label, 50 % left, 50 % longer, 0 % undecided; \
             the last third 1.4 s a label, 100 % left, 0 % longer, 0 % undecided"
        );
    }
}
