//! Data health: a line of findings, each a button that shows its pairs, with what can be done about all of them.

use std::{sync::Arc, time::Duration};

use data::{
    counted,
    habits::{CountOf, Habits, Stretch},
    health::{Finding, Health, LengthBias, Remedy},
};
use egui::{Role, Ui};
use state::{
    Command, Commands, Workspace,
    health::Due,
    pairs::{Only, PairsCommand, PairsView},
};

use super::{circle, narrow};
use crate::{parts, prompt, theme::space};

/// Circles that are told in words.
const CIRCLES: usize = 3;

/// Fewer labels than these are no habit.
const ENOUGH: usize = 20;

/// One line, each part a button that shows its pairs.
pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut PairsView, commands: &Commands) {
    let data = &workspace.pairs;
    let writable = workspace.project.as_ref().is_some_and(|project| !project.read_only);
    parts::quiet_row(ui, |ui| {
        let title = if view.health_open { "Data health ⏷" } else { "Data health ⏵" };
        let toggle = parts::quiet(ui, true, title);
        prompt::name(&toggle, Role::Button, "Data health");
        if toggle
            .on_hover_text("Duplicates, contradictions, circles, length bias, habits of the hand and more")
            .clicked()
        {
            view.health_open = !view.health_open;
        }
        references(ui, workspace, view);
        narrow::found(ui, data, view);
        shown(ui, view, writable, commands);
        if !view.health_open {
            return;
        }
        match data.health.due(workspace.now_ms) {
            Due::Now if !data.listing => commands.push(Command::Pairs(PairsCommand::Examine)),
            Due::In(ms) => ui.request_repaint_after(Duration::from_millis(ms.unsigned_abs())),
            Due::Now | Due::Never => {}
        }
        let far = || data.health.examinations.done().map_or_else(String::new, |done| format!(" {:.0} %", 100.0 * done));
        let Some(health) = data.health.found() else {
            parts::caption(ui, format!("Looking…{}", far()));
            return;
        };
        findings(ui, health, view);
        if data.health.is_under_way() {
            parts::caption(ui, format!("Looking again…{}", far()));
        } else if !data.health.is_of_now() {
            parts::caption(ui, "Before the newest changes")
                .on_hover_text("All pairs are looked through again when the changes pause");
        }
    });
    if let Some(health) = data.health.found().filter(|_| view.health_open) {
        readings(ui, health);
    }
    circle::all(ui, workspace, view, commands);
}

/// The way to the reference answers, with how many there are.
fn references(ui: &mut Ui, workspace: &Workspace, view: &mut PairsView) {
    let word = match workspace.project.as_ref().map_or(0, |project| project.references) {
        0 => "No reference answers ⏵".to_owned(),
        some => format!("{} ⏵", counted(some, "reference answer", "reference answers")),
    };
    let open = parts::quiet(ui, true, &word);
    prompt::name(&open, Role::Button, "Reference answers");
    if open.on_hover_text("What the model shall go on saying where no pair asks for something else (R)").clicked() {
        view.references.open = true;
    }
}

/// Whose pairs are shown, and what can be done about them.
fn shown(ui: &mut Ui, view: &mut PairsView, writable: bool, commands: &Commands) {
    let Some(only) = view.only.clone() else {
        return;
    };
    ui.separator();
    ui.label(format!("Showing {}", only.title));
    let back = parts::quiet(ui, true, "Show all").clicked();
    if let Some(finding) = &only.finding {
        for &remedy in finding.kind.remedies() {
            if parts::quiet(ui, writable, remedy.title()).on_hover_text(about(remedy)).clicked() {
                commands.push(Command::Pairs(PairsCommand::Mend { finding: Arc::clone(finding), remedy }));
                view.only = None;
                return;
            }
        }
    }
    if back {
        view.only = None;
    }
}

fn about(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::KeepFirst => {
            "The first labelled pair of each group stays, the others are deleted; groups whose labels disagree stay as they are. One undo brings them back"
        }
        Remedy::Delete => "All pairs shown are deleted. One undo brings them back",
        Remedy::TakeBack => "All pairs shown lose their verdict and can be labelled again. One undo gives it back",
        Remedy::HoldOut => "All pairs shown are pinned to the held-out side. One undo takes it back",
        Remedy::Unpin => "No pair shown is pinned to a side any more. One undo takes it back",
        Remedy::Tag => "All pairs shown get a tag, to be filtered by. One undo takes it back",
    }
}

fn findings(ui: &mut Ui, health: &Arc<Health>, view: &mut PairsView) {
    if health.is_clean() {
        parts::caption(ui, "Nothing suspicious was found");
    }
    for finding in &health.findings {
        let count = finding.count;
        let title = format!("{} {}", counted(count, "pair", "pairs"), finding.kind.does(count));
        let button = ui.button(&title).on_hover_ui(|ui| {
            ui.label(finding.kind.about());
            for pairs in finding.groups.iter().take(CIRCLES).filter(|_| circle::is_circles(finding)) {
                ui.label(circle::sentence(pairs));
            }
        });
        if button.clicked() {
            show(finding, title, view);
        }
    }
}

fn show(finding: &Finding, title: String, view: &mut PairsView) {
    let ids = finding.pairs();
    view.select(ids.first().copied());
    view.only = Some(Only { title, ids: Arc::new(ids), finding: Some(Arc::new(finding.clone())) });
}

/// What is no fault by itself.
fn readings(ui: &mut Ui, health: &Health) {
    let share = |bias: &LengthBias| bias.longer_share().map(|share| format!("{:.0} %", 100.0 * share));
    let length = &health.length;
    if let Some(longer) = share(length) {
        ui.add_space(space::XS);
        let mut line = format!(
            "The longer answer is chosen in {longer} of {} (chosen {:.0}, rejected {:.0} characters on average)",
            counted(length.compared, "pair", "pairs"),
            length.mean_chosen,
            length.mean_rejected
        );
        if let Some(([older, newer], _)) = &health.over_time
            && let (Some(older), Some(newer)) = (share(older), share(newer))
        {
            line = format!("{line}; in the older half of the verdicts in {older}, in the newer in {newer}");
        }
        let sources = health.length_by_source.iter();
        let sources: Vec<String> = sources
            .filter_map(|(file, bias)| {
                let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
                Some(format!("{name}: {} of {}", share(bias)?, bias.compared))
            })
            .collect();
        let mut hover = "Far from 50 %, a model may learn length instead of what you meant".to_owned();
        if !sources.is_empty() {
            hover = format!("{hover}\n{}", sources.join("\n"));
        }
        parts::caption(ui, line).on_hover_text(hover);
    }
    if health.languages.len() > 1 {
        let total: usize = health.languages.iter().map(|(_, count)| count).sum();
        let named = health.languages.iter().take(4);
        let named: Vec<String> =
            named.map(|(name, count)| format!("{name} {:.0} %", 100.0 * *count as f64 / total.max(1) as f64)).collect();
        parts::caption(ui, format!("Languages of the chosen answers: {}", named.join(", ")))
            .on_hover_text(format!("Guessed from {}", counted(total, "answer", "answers")));
    }
    for sentence in habits(&health.habits) {
        parts::caption(ui, sentence).on_hover_text(
            "Labels made here, whose side was noted. Sides are dealt at random, so that a careful hand is near 50 %",
        );
    }
}

/// What the hand does, as far as there is enough to say it.
fn habits(habits: &Habits) -> Vec<String> {
    let Habits { all, thirds: [first, _, last], sittings } = habits;
    let mut sentences = Vec::new();
    let percent =
        |part: CountOf| part.share().filter(|_| part.of >= ENOUGH).map(|share| format!("{:.0} %", 100.0 * share));
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
    use data::{Choice, Pair, PairId, Prompt, Strength, Verdict, health::Examination};

    #[test]
    fn a_hand_that_tires_is_told() {
        assert!(habits(&Habits::default()).is_empty());
        let pairs: Vec<Pair> = (0..60)
            .map(|n| {
                let chosen = usize::from(n < 20 && n % 2 == 0);
                let choice = Choice::Better { chosen, rejected: 1 - chosen, strength: Strength::Clearly };
                let took_ms = Some(if n < 20 { 5200 } else { 1400 });
                let verdict = Verdict { took_ms, shown_left: Some(0), ..Verdict::local(choice, n * 5000) };
                let pair = Pair::new(PairId(n), Prompt::Text("p".to_owned()), &["short", "longer answer"]);
                Pair { verdict: Some(verdict), ..pair }
            })
            .collect();
        let mut examination = Examination::new(pairs.len(), |_| None);
        for pair in &pairs {
            examination.add(pair);
        }
        let sentences = habits(&examination.finish().habits);
        assert_eq!(sentences[0], "By hand: the left answer is chosen in 83 % of 60, the longer one in 17 % of 60");
        assert_eq!(
            sentences[1],
            "Over 1 sitting: the first third 5.2 s a label, 50 % left, 50 % longer, 0 % undecided; \
             the last third 1.4 s a label, 100 % left, 0 % longer, 0 % undecided"
        );
    }
}
