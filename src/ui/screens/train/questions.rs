//! The sheet's first questions, the presets that answer them all, and the settings of an earlier run.

use data::{
    config::{Contender, Method, ObjectiveConfig, RewardConfig, RunConfig},
    counted,
};
use egui::{Align, Layout, Ui};
use state::{
    Command, Commands, Notice, Workspace,
    candidates::CandidatesCommand,
    launch::Checked,
    pairs::PairsCommand,
    simple::{Degree, Preset, Question, each_method},
    train::{LaunchButton, RunCommand, RunStart, TrainView},
};
use train::objective::{match_first_gradient, name};

use super::launch;

use crate::{field, parts, prompt, theme::space};

/// Runs of each method that can be asked for at once.
const SEEDS: [(u64, &str); 3] = [(1, "1 seed"), (3, "3 seeds"), (5, "5 seeds")];

/// Room for a question, before its answers.
const QUESTION: f32 = 216.0;

/// Reference answers with one click, or how far they are.
fn offer(ui: &mut Ui, workspace: &Workspace, commands: &Commands) {
    if let Some(drawing) = workspace.pairs.candidates.as_ref().filter(|drawing| drawing.is_busy()) {
        parts::caption(ui, drawing.summary());
        return;
    }
    let about = "The start model answers 40 everyday prompts, now; they can be read and edited in Pairs (R)";
    if ui.button("Have the model write them").on_hover_text(about).clicked() {
        commands.push(Command::Pairs(PairsCommand::Candidates(CandidatesCommand::Everyday)));
    }
}

/// What a person can answer without knowing the method: another way to write the same settings.
pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut TrainView, checked: &Checked, commands: &Commands) {
    let kind = checked.config.objective.kind;
    let label = |ui: &mut Ui, text: &str| {
        ui.allocate_ui_with_layout(egui::vec2(QUESTION, 24.0), Layout::left_to_right(Align::Center), |ui| {
            ui.set_width(QUESTION);
            parts::caption(ui, text);
        });
    };
    let words = ObjectiveConfig::KIND.words();
    let (from_pairs, with_scores) = words.split_at(Method::PREFERENCE.len());
    for (name, words) in [(ObjectiveConfig::KIND.label, from_pairs), ("or with scores (RLHF)", with_scores)] {
        ui.horizontal_wrapped(|ui| {
            label(ui, name);
            if let Some(word) = field::segmented(ui, words, kind.name()) {
                view.launch.set_method(Method::named(word).unwrap_or(kind));
            }
        });
    }
    if kind.samples() {
        ui.horizontal_wrapped(|ui| {
            label(ui, "Reward model");
            reward_model(ui, workspace, view, commands);
        });
    }
    let file = &checked.config.data.reference;
    let any_references = workspace.project.as_ref().is_some_and(|project| project.has_references(file));
    // A reward model speaks to nobody, so it cannot change what is said.
    let asked = Question::ALL.into_iter().filter(|question| *question != Question::Care || kind != Method::Reward);
    for question in asked {
        ui.horizontal_wrapped(|ui| {
            label(ui, question.label());
            let before = question.answer(&mut view.launch);
            let mut answer = before;
            let choices = Degree::ALL.map(|answer| {
                let (word, about) = question.words(answer);
                (Some(answer), word, about)
            });
            if parts::segmented(ui, &mut answer, &choices)
                && let Some(answer) = answer
            {
                question.give(&mut view.launch, answer);
            }
            if before.is_none() {
                parts::caption(ui, "as “All settings” has it");
            }
            if question == Question::Care && checked.config.objective.reference_weight() > 0.0 && !any_references {
                parts::caption(ui, "needs reference answers")
                    .on_hover_text("The model's own answers to other prompts: it can write them in Pairs, “Sample…”, or “All settings” names a file");
                offer(ui, workspace, commands);
            }
        });
    }
    let asked = Question::ALL.map(Question::setting);
    if let Some(reasons) = checked.reasons(|setting| asked.contains(setting)) {
        parts::caption(ui, reasons);
    }
    let pressed = view.pressed.take_if(|pressed| matches!(pressed, LaunchButton::Preset(_)));
    ui.horizontal_wrapped(|ui| {
        label(ui, "All three at once");
        for preset in Preset::ALL {
            let button = ui.button(preset.label()).on_hover_text(preset.about());
            if button.clicked() || pressed == Some(LaunchButton::Preset(preset)) {
                preset.give(&mut view.launch);
            }
        }
    });
}

/// Several methods instead of one: which, of how many seeds, and the button that starts a run of each.
pub fn compare(ui: &mut Ui, workspace: &Workspace, view: &mut TrainView, checked: &Checked, commands: &Commands) {
    contenders(ui, workspace, view);
    let pressed = view.pressed.take_if(|pressed| *pressed == LaunchButton::CompareMethods).is_some();
    ui.horizontal_wrapped(|ui| {
        let obstacle = cannot_compare(workspace, view, checked);
        let may = obstacle.is_none();
        let compare = ui.add_enabled(may, egui::Button::new("Compare the methods"));
        let compare = compare.on_disabled_hover_text(obstacle.unwrap_or_default());
        if compare.clicked() || (may && pressed) {
            start_each(workspace, view, commands);
        }
        let mut seeds = view.seeds.max(1);
        let about = "Runs of each method that differ in their shuffle seed only: how far they lie apart is the noise";
        if parts::segmented(ui, &mut seeds, &SEEDS.map(|(count, word)| (count, word, about))) {
            view.seeds = seeds;
        }
        ui.checkbox(&mut view.matched, "Same first gradient").on_hover_text(
            "Gives DPO its β and IPO its τ so that the first gradient of each is as long as that of the first method; with the same β alone DPO begins with twice that of MPO",
        );
    });
    parts::caption(ui, each_in_turn(workspace, view, checked));
}

/// "3 runs with the settings of this sheet, one after the other, together 5 to 9 min".
fn each_in_turn(workspace: &Workspace, view: &TrainView, checked: &Checked) -> String {
    let contenders = view.contenders();
    let runs = contenders.len() * view.seeds.max(1) as usize;
    let words = format!("{} with the settings of this sheet, one after the other", counted(runs, "run", "runs"));
    // What samples its answers, or scores them, takes its own time.
    let is_alike = contenders.iter().all(|contender| Method::PREFERENCE.contains(&contender.method));
    let known = checked.steps().filter(|_| is_alike && Method::PREFERENCE.contains(&checked.config.objective.kind));
    match known.and_then(|steps| workspace.pace.estimate(&checked.config, steps, &workspace.runs)) {
        Some(known) => format!("{words}, together {}", known.times(runs).time()),
        None => words,
    }
}

/// Which methods are compared, each to be switched on and off.
fn contenders(ui: &mut Ui, workspace: &Workspace, view: &mut TrainView) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = space::XS;
        // All of them on one line of a window of the usual width.
        ui.spacing_mut().button_padding.x -= 2.0;
        for contender in Contender::all() {
            let chosen = view.contenders().contains(&contender);
            let button = egui::Button::selectable(chosen, contender.label()).frame_when_inactive(true);
            let response = ui.add(button).on_hover_text(contender.about());
            prompt::name(&response, egui::Role::CheckBox, &format!("Compare {}", contender.label()));
            if response.clicked() {
                view.compare_with(contender, !chosen);
            }
        }
    });
    if let Some(lacking) = lacks_scores(workspace, view) {
        parts::caption(ui, lacking);
    }
}

/// What the chosen methods lack: those that sample answers learn from the scores of a reward model.
fn lacks_scores(workspace: &Workspace, view: &TrainView) -> Option<String> {
    let runs = &workspace.runs;
    let sampler = Contender::lacks_scores(&view.contenders())?.label();
    let is_fitted = runs.reward_models().next().is_some();
    let reward = Contender::of(Method::Reward).label();
    let sentence = || {
        format!("{sampler} needs a reward model, and there is none yet; choose “{reward}” too, and it is fitted first")
    };
    (!is_fitted).then(sentence)
}

/// Why the methods cannot be compared now, as a sentence.
fn cannot_compare(workspace: &Workspace, view: &TrainView, checked: &Checked) -> Option<String> {
    if view.fork.is_some() {
        return Some("A fork is one run; set up a new run to compare methods".to_owned());
    }
    let faulty = || checked.problems.values().next().cloned();
    launch::nothing_to_learn(workspace).or_else(faulty).or_else(|| lacks_scores(workspace, view))
}

/// Whose scores the sampled answers are to have, or a way to such a model.
fn reward_model(ui: &mut Ui, workspace: &Workspace, view: &mut TrainView, commands: &Commands) {
    let runs = &workspace.runs;
    let fitted: Vec<_> = runs.reward_models().collect();
    if fitted.is_empty() {
        fit_one_first(ui, workspace, view, commands);
        return;
    }
    let key = RewardConfig::RUN.key;
    let chosen = view.launch.text(key).trim().to_owned();
    let newest = format!("the newest: {}", fitted[0].name);
    let selected = fitted.iter().find(|record| record.id.0.to_string() == chosen).map(|record| record.name.clone());
    let list = egui::ComboBox::from_id_salt("reward model").selected_text(selected.unwrap_or_else(|| newest.clone()));
    let combo = list.width(220.0).show_ui(ui, |ui| {
        if ui.selectable_label(chosen.is_empty(), newest).clicked() {
            view.launch.set(key, "");
        }
        for record in &fitted {
            let number = record.id.0.to_string();
            if ui.selectable_label(chosen == number, &record.name).clicked() {
                view.launch.set(key, &number);
            }
        }
    });
    prompt::name(&combo.response, egui::Role::ComboBox, "Reward model");
}

/// A run that fits the reward model which the method of the sheet lacks; the sheet stays as it is.
fn fit_one_first(ui: &mut Ui, workspace: &Workspace, view: &mut TrainView, commands: &Commands) {
    parts::caption(ui, "none yet");
    let mut launch = view.launch.clone();
    launch.set_method(Method::Reward);
    let checked = launch.checked();
    let faulty = || checked.problems.values().next().cloned();
    let obstacle = launch::nothing_to_learn(workspace).or_else(faulty);
    let may = obstacle.is_none();
    let about = "Starts a run that fits scores to your pairs, with the settings of this sheet; what is set here can wait its turn behind it";
    let button = ui.add_enabled(may, egui::Button::new("Fit one first")).on_hover_text(about);
    let button = button.on_disabled_hover_text(obstacle.unwrap_or_default());
    let pressed = view.pressed.take_if(|pressed| *pressed == LaunchButton::FitReward).is_some();
    if button.clicked() || (may && pressed) {
        begin(view, String::new(), checked.config.clone(), commands);
    }
}

/// Starts each method, seed by seed, so that a comparison that is cut short is still one.
fn start_each(workspace: &Workspace, view: &mut TrainView, commands: &Commands) {
    let (sheet, follows) = (view.launch.checked().config.clone(), view.launch.follows());
    let (contenders, mut configs): (Vec<Contender>, Vec<RunConfig>) =
        each_method(&view.launch, &view.contenders()).into_iter().unzip();
    if view.matched {
        for sentence in match_first_gradient(&mut configs) {
            commands.push(Command::Tell(Notice::info(sentence)));
        }
    }
    let seeds = view.seeds.max(1);
    let each = (0..seeds).flat_map(|seed| contenders.iter().zip(&configs).map(move |of| (seed, of)));
    let starts = (workspace.runs.next().0..).zip(each).map(|(number, (seed, (contender, config)))| {
        let mut config = config.clone();
        let method = if contender.several { contender.label().to_owned() } else { name(&config.objective) };
        let mut name = format!("{method} {number}");
        if seeds > 1 {
            config.train.shuffle_seed = seed;
            name = format!("{name} seed {seed}");
        }
        let (sheet, follows) = (sheet.clone(), follows.clone());
        RunStart { name, config, sheet, follows, one_of_several: false, then: Vec::new() }
    });
    if let Some(start) = RunStart::in_turn(starts) {
        commands.push(Command::Runs(RunCommand::Start(Box::new(start))));
    }
}

pub fn begin(view: &mut TrainView, name: String, config: RunConfig, commands: &Commands) {
    let (sheet, follows) = (view.launch.checked().config.clone(), view.launch.follows());
    let start = RunStart { name, config, sheet, follows, one_of_several: false, then: Vec::new() };
    commands.push(Command::Runs(RunCommand::Start(Box::new(start))));
}

/// The settings of an earlier run, all of them as they were.
pub fn take_over(ui: &mut Ui, workspace: &Workspace, view: &mut TrainView) {
    let mut taken = None;
    let list = egui::ComboBox::from_id_salt("take over").selected_text("Settings of an earlier run…").width(220.0);
    let response = ui.add_enabled_ui(!workspace.runs.records.is_empty(), |ui| {
        list.show_ui(ui, |ui| {
            for record in workspace.runs.records.iter().rev() {
                if ui.selectable_label(false, &record.name).clicked() {
                    taken = workspace.runs.settings(record.id).map(|settings| &settings.config);
                }
            }
        })
        .response
    });
    prompt::name(&response.inner, egui::Role::ComboBox, "Settings of an earlier run");
    if view.pressed.take_if(|pressed| *pressed == LaunchButton::EarlierSettings).is_some() {
        response.inner.request_focus();
        response.inner.scroll_to_me(None);
    }
    if let Some(config) = taken {
        view.launch.take_over(config);
    }
}
