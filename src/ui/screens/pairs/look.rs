//! A file before it is taken in: what it is, its first pairs as they will be trained, and the choices it leaves.

use std::path::PathBuf;

use egui::{ComboBox, RichText, Role, ScrollArea, TextEdit, Ui};
use state::{
    Command, Commands,
    intake::{Intake, Preview, PreviewRow},
    pairs::PairsCommand,
};

use crate::{parts, prompt, theme::space};

/// Points that the first pairs of a file have at least.
const ROOM: f32 = 96.0;

/// Letters of a text that are shown of it.
const SHOWN: usize = 160;

/// The choices of an import, and a look at the file that is named.
pub fn choices(ui: &mut Ui, intake: &mut Intake, look: Option<&Preview>, typed: &str, commands: &Commands) {
    let before = intake.clone();
    ui.horizontal_wrapped(|ui| {
        for row in intake.rows() {
            combo(ui, row.title, row.chosen, &row.words);
        }
        let chat = ui.checkbox(&mut intake.chat, "Text prompts are what a user says");
        chat.on_hover_text(
            "A prompt that is a text becomes a conversation; otherwise the answer goes on with the text",
        );
    });
    ui.horizontal(|ui| {
        let label = ui.label("Columns");
        let field = TextEdit::singleline(&mut intake.names).hint_text("prompt=question chosen=good rejected=bad");
        ui.add(field.id_salt("columns").desired_width(320.0)).labelled_by(label.id).on_hover_text(
            "What our fields are called in the file, where it cannot be known: prompt, chosen, rejected, a, b, verdict, ..",
        );
        let can_look = !typed.is_empty();
        let looked = look.filter(|look| look.file.as_os_str() == typed);
        let again = looked.is_some() && *intake != before && intake.options().is_ok();
        if ui.add_enabled(can_look, egui::Button::new("Look at it")).clicked() || again {
            commands.push(Command::Pairs(PairsCommand::Look(PathBuf::from(typed))));
        }
    });
    if let Some(look) = look.filter(|look| look.file.as_os_str() == typed) {
        show(ui, look);
    }
}

/// A word out of several, each with what it means.
pub fn combo(ui: &mut Ui, title: &'static str, chosen: &mut String, words: &[(&'static str, &'static str)]) {
    let combo = ComboBox::from_id_salt(title).selected_text(format!("{title}: {chosen}")).show_ui(ui, |ui| {
        for (word, meaning) in words {
            let response = ui.selectable_label(chosen == word, *word);
            if response.clicked() {
                (*word).clone_into(chosen);
            }
            if !meaning.is_empty() {
                response.on_hover_text(*meaning);
            }
        }
    });
    prompt::name(&combo.response, Role::ComboBox, title);
}

fn show(ui: &mut Ui, look: &Preview) {
    ui.add_space(space::XS);
    ui.label(RichText::new(&look.what).color(parts::palette(ui).strong));
    if !look.columns.is_empty() {
        parts::caption(ui, format!("Its columns: {}", look.columns));
    }
    // What lies under the window's lower edge could not be reached.
    let height = (ui.available_height() - space::XL).clamp(ROOM, 3.0 * ROOM);
    ScrollArea::vertical().id_salt("look").max_height(height).auto_shrink([false, true]).show(ui, |ui| {
        for row in &look.rows {
            ui.add_space(space::XS);
            pair(ui, row);
        }
        for remark in &look.remarks {
            parts::caption(ui, remark);
        }
    });
}

fn pair(ui: &mut Ui, row: &PreviewRow) {
    let palette = parts::palette(ui);
    for (speaker, text) in &row.prompt {
        let who = if speaker.is_empty() { "prompt" } else { speaker };
        line(ui, who, text, palette.text);
    }
    for (at, answer) in row.answers.iter().enumerate() {
        let (what, color) = match row.sides {
            Some([chosen, _]) if chosen == at => ("chosen", palette.chosen),
            Some([_, rejected]) if rejected == at => ("rejected", palette.rejected),
            _ => ("answer", palette.text),
        };
        line(ui, what, answer, color);
    }
}

fn line(ui: &mut Ui, what: &str, text: &str, color: egui::Color32) {
    ui.horizontal(|ui| {
        parts::caption(ui, what);
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let cut: String = flat.chars().take(SHOWN).collect();
        let shown = if cut.len() < flat.len() { format!("{cut}…") } else { cut };
        ui.add(egui::Label::new(RichText::new(shown).color(color)).truncate());
    });
}
