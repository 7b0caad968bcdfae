//! The strip that fetches a model from the hub: its name, what it would bring, how far it is.

use data::{
    counted,
    download::{Offer, Progress},
    size,
};
use egui::{Align, Button, Layout, RichText, ScrollArea, Ui};
use state::{
    Command, Commands, Workspace,
    download::{FetchCommand, Fetching, doing},
    models::{AddForm, ModelsCommand, ModelsView},
};

use super::line;
use crate::{parts, theme::space};

/// Shown while it is asked for, and as long as something is on its way.
pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut ModelsView, commands: &Commands) {
    let fetching = &workspace.models.fetching;
    if view.intake != AddForm::Download && !fetching.is_busy() {
        return;
    }
    let palette = parts::palette(ui);
    let fill = match fetching {
        Fetching::Failed { .. } => palette.error_soft,
        _ => palette.accent_soft,
    };
    parts::strip(ui, fill, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = space::XS;
        if let Fetching::UnderWay { name, progress } = fetching {
            under_way(ui, name, progress, commands);
            return;
        }
        name_row(ui, fetching, view, commands);
        match fetching {
            Fetching::Idle => {
                parts::caption(
                    ui,
                    "A name or the address of a page of huggingface.co. Nothing is asked or fetched before you say so",
                );
            }
            Fetching::Asking(name) => {
                parts::caption(ui, format!("Asking what {name} is…"));
            }
            Fetching::Offered(offer) => offered(ui, offer, commands),
            Fetching::WhichFile { name, files } => which(ui, name, files, commands),
            Fetching::Done { name, .. } => {
                ui.label(format!("{name} is in the cache, shown below"));
            }
            Fetching::Stopped(name) => {
                ui.label(format!("The download of {name} is stopped; what was fetched is kept"));
                if ui.button("Go on").clicked() {
                    send(commands, FetchCommand::Start(name.clone()));
                }
            }
            Fetching::Failed { name, error } => {
                ui.label(RichText::new(error).color(palette.error));
                if ui.button("Try again").clicked() {
                    send(commands, FetchCommand::Ask(name.clone()));
                }
            }
            Fetching::UnderWay { .. } => {}
        }
    });
}

fn send(commands: &Commands, command: FetchCommand) {
    commands.push(Command::Models(ModelsCommand::Fetch(command)));
}

fn name_row(ui: &mut Ui, fetching: &Fetching, view: &mut ModelsView, commands: &Commands) {
    ui.horizontal(|ui| {
        let hint = "org/name, or org/name/file.gguf";
        let enter = line(ui, "Download", &mut view.hub_name, hint, &mut view.intake_opens, 180.0);
        let typed = view.hub_name.trim();
        let can = !typed.is_empty() && !fetching.is_busy();
        let look = ui
            .add_enabled(can, Button::new("Look it up"))
            .on_hover_text("Asks the hub how large it is and under which licence");
        if look.clicked() || (enter && can) {
            send(commands, FetchCommand::Ask(typed.to_owned()));
        }
        if ui.button("Close").clicked() {
            send(commands, FetchCommand::Close);
        }
    });
}

/// What it is, and the question whether to fetch it.
fn offered(ui: &mut Ui, offer: &Offer, commands: &Commands) {
    let palette = parts::palette(ui);
    let files = counted(offer.files, "file", "files");
    let mut line = format!("{}: {files}, {}", offer.name, size(offer.bytes));
    if offer.there > 0 {
        line = format!("{line}, of which {} are there", size(offer.there));
    }
    ui.label(RichText::new(line).color(palette.strong));
    ui.label(offer.terms());
    if let Some(free) = offer.free {
        let line = format!("The disk of the cache has {} left", size(free));
        let color = if offer.has_room() { palette.weak } else { palette.error };
        ui.label(RichText::new(line).small().color(color));
    }
    ui.horizontal(|ui| {
        ui.add_enabled_ui(offer.has_room(), |ui| {
            let word = if offer.there > 0 {
                format!("Fetch the other {}", size(offer.missing()))
            } else {
                format!("Fetch {}", size(offer.bytes))
            };
            if parts::primary(ui, &word).clicked() {
                send(commands, FetchCommand::Start(offer.name.clone()));
            }
        });
        if ui.button("Open its page").on_hover_text(&offer.page).clicked() {
            send(commands, FetchCommand::OpenPage(offer.page.clone()));
        }
    });
}

/// A repository of several GGUF files: one is picked.
fn which(ui: &mut Ui, name: &str, files: &[(String, u64)], commands: &Commands) {
    ui.label(format!("{name} holds several GGUF files; which one?"));
    ScrollArea::vertical().id_salt("gguf files").max_height(140.0).auto_shrink([false, true]).show(ui, |ui| {
        for (file, bytes) in files {
            let word = format!("{file}, {}", size(*bytes));
            if parts::quiet_row(ui, |ui| parts::quiet(ui, true, &word)).clicked() {
                send(commands, FetchCommand::Ask(format!("{name}/{file}")));
            }
        }
    });
}

fn under_way(ui: &mut Ui, name: &str, progress: &Progress, commands: &Commands) {
    let palette = parts::palette(ui);
    ui.horizontal(|ui| {
        ui.label(RichText::new(name).color(palette.strong));
        parts::caption(ui, doing(progress));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let cancel = ui
                .button("Cancel download")
                .on_hover_text("What was fetched is kept; the same download goes on from there");
            if cancel.clicked() {
                send(commands, FetchCommand::Cancel);
            }
        });
    });
    parts::progress(ui, progress.share(), &format!("Download of {name}"));
    if progress.total_bytes > 0 {
        let mut line = format!(
            "{} of {}, file {} of {}",
            size(progress.bytes),
            size(progress.total_bytes),
            (progress.files_done + 1).min(progress.files),
            progress.files
        );
        if progress.bytes_per_sec > 0.0 {
            line = format!("{line}, {} a second", size(progress.bytes_per_sec as u64));
        }
        if let Some(secs) = progress.secs_left() {
            line = format!("{line}, {} left", data::duration(secs));
        }
        parts::caption(ui, line);
    }
    if let Some(note) = &progress.note {
        ui.label(RichText::new(note).color(palette.warning));
    }
}
