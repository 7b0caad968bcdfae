//! The list: models by the place they are at, and the runs of this project.

use data::size;
use data::{Fit, ModelKind, counted};
use egui::{Align, Color32, Id, Layout, Response, RichText, ScrollArea, Sense, Ui, WidgetInfo};
use state::{
    Command, Commands, Workspace,
    labelling::ScrollBy,
    models::{ModelEntry, ModelGroup, ModelsCommand, ModelsView, Selected, count},
};
use store::RunRecord;

use crate::{
    parts, prompt,
    screens::train,
    theme::{self, Palette, space},
};

const ROW: f32 = 46.0;

pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut ModelsView, commands: &Commands) {
    let chosen = selected(workspace, view);
    ScrollArea::vertical().id_salt("models").auto_shrink([false, false]).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        for group in &workspace.models.groups {
            group_head(ui, group, commands);
            if group.entries.is_empty() {
                nothing_there(ui, group);
            }
            for entry in &group.entries {
                let this = Selected::Model(entry.path.clone());
                let is_chosen = chosen.as_ref() == Some(&this);
                let row = model_row(ui, workspace, entry, is_chosen);
                follow(&row, is_chosen, view);
                if row.clicked() {
                    view.selected = Some(this);
                }
            }
            ui.add_space(space::M);
        }
        runs(ui, workspace, view, chosen.as_ref());
        ui.add_space(space::L);
    });
    view.reveal = false;
}

/// What is shown at the right: what was picked, while it is there, else the first.
pub fn selected(workspace: &Workspace, view: &ModelsView) -> Option<Selected> {
    let all = in_order(workspace);
    match &view.selected {
        Some(picked) if all.contains(picked) => Some(picked.clone()),
        _ => all.into_iter().next(),
    }
}

fn in_order(workspace: &Workspace) -> Vec<Selected> {
    let models = workspace.models.entries();
    let models = models.map(|entry| Selected::Model(entry.path.clone()));
    let runs = trained(workspace).map(|run| Selected::Run(run.id));
    models.chain(runs).collect()
}

/// Runs with something to export, the newest first.
fn trained(workspace: &Workspace) -> impl Iterator<Item = &RunRecord> {
    let runs = workspace.runs.records.iter().rev();
    runs.filter(|run| run.step > 0)
}

/// Chooses another row.
pub fn step(workspace: &Workspace, view: &mut ModelsView, way: ScrollBy) {
    let all = in_order(workspace);
    let Some(last) = all.len().checked_sub(1) else {
        return;
    };
    let now = selected(workspace, view);
    let at = all.iter().position(|it| Some(it) == now.as_ref()).unwrap_or(0);
    let to = match way {
        ScrollBy::Up | ScrollBy::PageUp => at.saturating_sub(1),
        ScrollBy::Down | ScrollBy::PageDown => (at + 1).min(last),
        ScrollBy::Start => 0,
        ScrollBy::End => last,
    };
    view.selected = Some(all[to].clone());
    view.reveal = true;
}

fn group_head(ui: &mut Ui, group: &ModelGroup, commands: &Commands) {
    let palette = parts::palette(ui);
    ui.horizontal(|ui| {
        ui.set_height(22.0);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if group.added {
                let forget = parts::quiet(ui, true, "Remove");
                let name = format!("Leave out {}", group.title);
                prompt::name(&forget, egui::Role::Button, &name);
                if forget.on_hover_text("Takes the place off this list; nothing on the disk changes").clicked() {
                    let place = group.place.clone();
                    commands.push(Command::Models(ModelsCommand::Forget(place)));
                }
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let title = RichText::new(&group.title).small().color(palette.weak);
                ui.add(egui::Label::new(title).truncate()).on_hover_text(group.place.display().to_string());
            });
        });
    });
}

fn nothing_there(ui: &mut Ui, group: &ModelGroup) {
    let line = if group.added {
        "Nothing is there now"
    } else {
        "Empty: models that are downloaded here or by other Hugging Face tools appear in it"
    };
    ui.label(line);
}

fn runs(ui: &mut Ui, workspace: &Workspace, view: &mut ModelsView, chosen: Option<&Selected>) {
    let Some(project) = &workspace.project else {
        return;
    };
    let palette = parts::palette(ui);
    ui.horizontal(|ui| {
        ui.set_height(22.0);
        let title = format!("Trained in {}", project.name);
        ui.label(RichText::new(title).small().color(palette.weak));
    });
    if trained(workspace).next().is_none() {
        ui.label("No run yet; what you train can be exported from here");
    }
    for run in trained(workspace) {
        let this = Selected::Run(run.id);
        let is_chosen = chosen == Some(&this);
        let (word, color) = train::status_word(run.status, palette);
        let facts = format!("{} · {}", run.method, counted(run.step as usize, "step", "steps"));
        let row =
            row(ui, Id::unique(("run", run.id.0)), is_chosen, &Line { name: &run.name, facts: &facts, word, color });
        follow(&row, is_chosen, view);
        if row.clicked() {
            view.selected = Some(this);
        }
    }
}

/// A selection that a key moved is scrolled to.
fn follow(row: &Response, is_chosen: bool, view: &ModelsView) {
    if is_chosen && view.reveal {
        row.scroll_to_me(None);
    }
}

fn model_row(ui: &mut Ui, workspace: &Workspace, entry: &ModelEntry, is_chosen: bool) -> Response {
    let palette = parts::palette(ui);
    let (word, color) = verdict(workspace, entry, palette);
    let facts = facts(entry);
    let id = Id::unique(("model", &entry.path));
    row(ui, id, is_chosen, &Line { name: &entry.name, facts: &facts, word, color })
}

/// "Qwen2 · 494 M · BF16 · 988 MB", as far as it is known.
fn facts(entry: &ModelEntry) -> String {
    let Some(card) = &entry.card else {
        return "Not looked at yet".to_owned();
    };
    let adapter = match (card.kind, card.rank) {
        (ModelKind::Adapter, Some(rank)) => Some(format!("Adapter, rank {rank}")),
        (ModelKind::Adapter, None) => Some("Adapter".to_owned()),
        (ModelKind::Adapted, _) => Some("With an adapter".to_owned()),
        (ModelKind::Folder | ModelKind::Gguf, _) => None,
    };
    let parts = [
        adapter,
        card.family.clone(),
        card.parameters.map(count),
        card.dtype.clone(),
        (card.bytes > 0).then(|| size(card.bytes)),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// The one word about a model.
fn verdict(workspace: &Workspace, entry: &ModelEntry, palette: &Palette) -> (&'static str, Color32) {
    let Some(card) = &entry.card else {
        return ("", palette.weak);
    };
    if !card.is_supported() {
        return ("Not supported", palette.error);
    }
    if card.kind == ModelKind::Adapter && card.weights().is_none() {
        return ("No base model", palette.warning);
    }
    match workspace.models.fit(card) {
        None => ("", palette.weak),
        Some(Fit::Fits) => ("Fits", palette.good),
        Some(Fit::NotNow) => ("Not now", palette.warning),
        Some(Fit::TooLarge) => ("Too large", palette.error),
    }
}

/// What a row says.
struct Line<'a> {
    name: &'a str,
    facts: &'a str,
    word: &'a str,
    color: Color32,
}

fn row(ui: &mut Ui, id: Id, is_chosen: bool, line: &Line<'_>) -> Response {
    let palette = parts::palette(ui);
    let (_, rect) = ui.allocate_space(egui::vec2(ui.available_width(), ROW));
    let response = ui.interact(rect, id, Sense::click());
    let name = format!("{}, {}, {}", line.name, line.facts, line.word);
    response.widget_info(|| WidgetInfo::selected(egui::Role::ListItem, true, is_chosen, &name));
    let fill = if is_chosen {
        palette.accent_soft
    } else if response.hovered() || response.has_focus() {
        theme::mix(palette.ground, palette.strong, 0.05)
    } else {
        palette.surface
    };
    let painter = ui.painter();
    painter.rect_filled(rect, theme::RADIUS, fill);
    let (width, ring) = if response.has_focus() { (1.5, palette.accent) } else { (1.0, palette.hairline) };
    painter.rect_stroke(rect, theme::RADIUS, egui::Stroke::new(width, ring), egui::StrokeKind::Inside);
    let inner = rect.shrink2(egui::vec2(space::M, 0.0));
    let small = egui::TextStyle::Small.resolve(ui.style());
    let word = painter.text(inner.right_center(), egui::Align2::RIGHT_CENTER, line.word, small.clone(), line.color);
    let room = inner.width() - word.width() - space::M;
    let body = egui::TextStyle::Body.resolve(ui.style());
    let left = inner.left();
    one_line(ui, room, egui::pos2(left, rect.top() + 6.0), line.name, body, palette.strong);
    one_line(ui, room, egui::pos2(left, rect.top() + 25.0), line.facts, small, palette.weak);
    response
}

/// A text in one line, cut with dots where it does not fit.
fn one_line(ui: &Ui, room: f32, at: egui::Pos2, text: &str, font: egui::FontId, color: Color32) {
    let mut job = egui::text::LayoutJob::simple_singleline(text.to_owned(), font, color);
    job.wrap = egui::text::TextWrapping::truncate_at_width(room.max(20.0));
    let galley = ui.fonts_mut(|fonts| fonts.layout_job(job));
    ui.painter().galley(at, galley, color);
}
