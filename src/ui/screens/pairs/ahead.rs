//! What comes after the pair on the screen of a session: read, and laid out, before it is asked for.

use data::PairId;
use egui::Ui;
use state::{
    Command, Commands, Workspace,
    drafts::LONGEST_EDITABLE,
    pairs::{LabelView, PairsCommand},
};

use super::columns::READING;
use crate::{
    marked::{self, TextMark},
    parts,
    theme::space,
};

/// Pairs fetched ahead.
const AHEAD: usize = 4;

pub fn fetch(workspace: &Workspace, label: &LabelView, commands: &Commands) {
    let wanted: Vec<PairId> = label
        .session
        .current()
        .into_iter()
        .chain(label.session.upcoming(AHEAD).iter().copied())
        .filter(|id| workspace.pairs.pairs.is_missing(*id))
        .collect();
    if !wanted.is_empty() {
        commands.push(Command::Pairs(PairsCommand::ReadPairs(wanted)));
    }
}

/// Lays the next pair out at the width it will have, so that it is there in the frame it is asked for.
pub fn lay_out(ui: &Ui, workspace: &Workspace, label: &LabelView) {
    let Some(pair) = label.session.upcoming(1).first().and_then(|id| workspace.pairs.pairs.get(*id)) else {
        return;
    };
    let Some(shown) = label.session.shown(pair) else {
        return;
    };
    let palette = parts::palette(ui);
    let mark = TextMark { ground: palette.accent_soft, line: palette.accent };
    let font = egui::FontId::proportional(READING);
    let width = (ui.max_rect().width() - ui.spacing().item_spacing.x) / 2.0 - 2.0 * space::L - 2.0;
    for index in [shown.left, shown.right] {
        let text = &pair.answers[index].text;
        if text.len() <= LONGEST_EDITABLE {
            let job = marked::job(text, &[], &font, palette.text, mark, width);
            ui.fonts_mut(|fonts| fonts.layout_job(job));
        }
    }
}
