//! What a model is, whether it has room here, and what can be done with it.

use std::path::Path;

use data::size;
use data::{Fit, Machine, ModelCard, ModelKind, Needs};
use egui::{Grid, RichText, Ui};
use state::{
    Command, Commands, Screen, Views, Workspace,
    models::{ModelEntry, ModelsCommand, count},
};

use crate::{
    parts,
    theme::{self, space},
};

pub fn ui(ui: &mut Ui, workspace: &Workspace, views: &mut Views, entry: &ModelEntry, commands: &Commands) {
    parts::card(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = space::S;
        parts::heading(ui, &entry.name);
        place(ui, &entry.path, commands);
        let Some(card) = &entry.card else {
            parts::caption(ui, "Looking at it…");
            return;
        };
        if let Some(reason) = &card.reason {
            let palette = parts::palette(ui);
            parts::strip(ui, palette.error_soft, |ui| {
                ui.set_width(ui.available_width());
                ui.label(RichText::new(reason).color(palette.error));
            });
        }
        facts(ui, "model facts", &of_card(card));
        for remark in &card.remarks {
            parts::caption(ui, remark);
        }
        if let (Some(machine), Some(needs)) = (&workspace.models.machine, card.needs) {
            ui.add_space(space::XS);
            room(ui, machine, needs);
        }
        if card.is_supported() {
            ui.add_space(space::XS);
            actions(ui, workspace, views, card, commands);
        }
    });
}

/// The path, and what can be done with it.
pub fn place(ui: &mut Ui, path: &Path, commands: &Commands) {
    let text = path.display().to_string();
    parts::path_line(ui, &text);
    parts::quiet_row(ui, |ui| {
        ui.spacing_mut().item_spacing.x = space::XS;
        if parts::quiet(ui, true, "Copy path").clicked() {
            ui.copy_text(text);
        }
        if parts::quiet(ui, true, "Open folder").clicked() {
            let folder = match path.parent() {
                Some(parent) if is_file_name(path) => parent,
                _ => path,
            };
            let folder = folder.to_owned();
            commands.push(Command::Models(ModelsCommand::OpenFolder(folder)));
        }
    });
}

/// Whether a path is a file's, by its name alone.
fn is_file_name(path: &Path) -> bool {
    path.extension().is_some_and(|kind| ["gguf", "html", "md"].iter().any(|file| kind.eq_ignore_ascii_case(file)))
}

/// Names and values in two columns.
pub fn facts(ui: &mut Ui, id: &str, facts: &[(&str, String)]) {
    let palette = parts::palette(ui);
    Grid::new(id).num_columns(2).spacing([space::L, space::XS]).min_col_width(96.0).show(ui, |ui| {
        for (name, value) in facts {
            ui.label(RichText::new(*name).small().color(palette.weak));
            ui.add(egui::Label::new(value.as_str()).wrap());
            ui.end_row();
        }
    });
}

fn of_card(card: &ModelCard) -> Vec<(&'static str, String)> {
    let kind = match card.kind {
        ModelKind::Folder => "Hugging Face folder",
        ModelKind::Adapted => "Hugging Face folder with an adapter, which is applied",
        ModelKind::Gguf => "GGUF file",
        ModelKind::Adapter => "Adapter (PEFT, LoRA)",
    };
    let template = card
        .template
        .map(|has| if has { "yes".to_owned() } else { "no: plain text only, no conversations".to_owned() });
    let base = card.base.as_ref().map(|base| match &base.folder {
        Some(_) => base.name.clone(),
        None if base.name.is_empty() => "not named".to_owned(),
        None => format!("{}, which is not on this machine", base.name),
    });
    let facts = [
        ("Kind", Some(kind.to_owned())),
        ("Base model", base),
        ("Family", card.family.clone()),
        ("Parameters", card.parameters.map(count)),
        ("Rank", card.rank.map(|rank| rank.to_string())),
        ("Stored as", card.dtype.clone()),
        ("Size on disk", (card.bytes > 0).then(|| size(card.bytes))),
        ("Context", card.context.map(|context| format!("{context} tokens"))),
        ("Chat template", template),
    ];
    let known = facts.into_iter();
    known.filter_map(|(name, value)| Some((name, value?))).collect()
}

/// What it would take, beside what is there.
fn room(ui: &mut Ui, machine: &Machine, needs: Needs) {
    let palette = parts::palette(ui);
    ui.label(RichText::new("Memory it takes").color(palette.strong));
    let held = machine.held;
    let with_program = format!("with the {} that this program holds already", size(held));
    let answering = format!("With {} tokens of conversation, {with_program}", Needs::ANSWER_TOKENS);
    let trained = machine.training(needs);
    let rows = if trained == needs.training {
        format!("rows of up to {} tokens", needs.row_tokens)
    } else {
        format!(
            "rows of {} tokens and as much computed twice as can be: the least it can do with",
            Needs::LEAST_ROW_TOKENS
        )
    };
    let training = format!(
        "Rank {} on all linear layers, {rows}, {with_program}. “Check first” on the Train screen measures it with your pairs",
        Needs::RANK
    );
    for (what, bytes, about) in [("Answers", needs.answering, answering), ("Training an adapter", trained, training)] {
        let (word, color) = match machine.fit(bytes) {
            Fit::Fits => ("fits", palette.good),
            Fit::NotNow => ("not while other programs hold so much", palette.warning),
            Fit::TooLarge => ("too large for this machine", palette.error),
        };
        ui.horizontal(|ui| {
            ui.label(what);
            ui.label(RichText::new(format!("about {}", size(held + bytes))).color(palette.strong));
            ui.label(RichText::new(word).small().color(color));
        })
        .response
        .on_hover_text(about);
        bar(ui, machine, held + bytes, color, what);
    }
    let line = format!(
        "The mark is what there is for it now: {} free and {} of this program, of {}",
        size(machine.free),
        size(held),
        size(machine.total)
    );
    parts::caption(ui, line);
}

/// What is needed, with what the program holds, as a share of all there is; a mark at what there is for it.
fn bar(ui: &mut Ui, machine: &Machine, bytes: u64, color: egui::Color32, what: &str) {
    let palette = parts::palette(ui);
    let (rect, response) = ui.allocate_exact_size(egui::vec2(ui.available_width(), 8.0), egui::Sense::hover());
    let share = |bytes: u64| (bytes as f64 / machine.total.max(1) as f64).clamp(0.0, 1.0) as f32;
    let painter = ui.painter();
    painter.rect_filled(rect, 3.0, theme::mix(palette.surface, palette.strong, 0.1));
    let mut taken = rect;
    taken.set_width((rect.width() * share(bytes)).max(3.0));
    painter.rect_filled(taken, 3.0, color);
    let mark = rect.left() + rect.width() * share(machine.free + machine.held);
    painter.vline(mark, rect.top() - 2.0..=rect.bottom() + 2.0, egui::Stroke::new(1.5, palette.text));
    response.widget_info(|| {
        let name = format!("{what}: {} of {}", size(bytes), size(machine.total));
        egui::WidgetInfo::labeled(egui::Role::Image, true, name)
    });
}

fn actions(ui: &mut Ui, workspace: &Workspace, views: &mut Views, card: &ModelCard, commands: &Commands) {
    let weights = card.weights();
    let project = workspace.project.as_ref();
    let is_own = card.kind != ModelKind::Adapter && project.is_some_and(|project| project.model == card.folder);
    let send = |command| commands.push(Command::Models(command));
    let boxed = || Box::new(card.clone());
    ui.horizontal_wrapped(|ui| {
        let (word, about) = if card.kind == ModelKind::Adapter {
            ("Start the next run from it", "The adapter is frozen into the reference, and a new one goes on top")
        } else if workspace.runs.records.is_empty() {
            ("Use for this project", "The project tunes this model from now on")
        } else {
            ("Use for the next run", "Runs that are there keep the model they were trained from")
        };
        if project.is_some() && !is_own {
            ui.add_enabled_ui(weights.is_some(), |ui| {
                let button = parts::primary(ui, word)
                    .on_hover_text(about)
                    .on_disabled_hover_text("Its base model is not on this machine");
                if button.clicked() {
                    send(ModelsCommand::Use(boxed()));
                }
            });
        }
        if project.is_some() && card.kind == ModelKind::Adapter {
            let further = ui
                .add_enabled(weights.is_some(), egui::Button::new("Train it further"))
                .on_hover_text("The next run goes on from its values, with its rank and layers")
                .on_disabled_hover_text("Its base model is not on this machine");
            if further.clicked() {
                send(ModelsCommand::Continue(boxed()));
            }
        }
        if card.kind != ModelKind::Adapter && ui.button("New project with it").clicked() {
            views.projects.form.model = card.folder.display().to_string();
            views.projects.form_opens = true;
            views.screen = Screen::Projects;
        }
        let can_try = weights.is_some() && project.is_some();
        let why_not = if project.is_none() {
            "Open a project first: answers can become its pairs"
        } else {
            "Its base model is not on this machine"
        };
        let button = ui
            .add_enabled(can_try, egui::Button::new("Try it"))
            .on_hover_text("Asks it something, beside the project's own model")
            .on_disabled_hover_text(why_not);
        if button.clicked() {
            send(ModelsCommand::Try(boxed()));
        }
    });
    if is_own {
        parts::caption(ui, "This project tunes it");
    }
}
