//! Leaving, because somebody or the system asks for it: what is typed and what is learnt is saved first.

use state::Closing;

use super::App;

impl App {
    /// Saves what is typed, stops the run, lets nothing new begin, and closes when that is done.
    pub(super) fn leave_if_asked(&mut self) {
        let is_ending = self.workspace.runs.live.as_ref().is_none_or(|live| live.stopping);
        if !self.leave.is_asked() || (is_ending && self.workspace.closing == Closing::AfterRun) {
            return;
        }
        self.commit_drafts();
        self.workspace.runs.waiting.clear();
        self.stop_live();
        self.workspace.closing = Closing::AfterRun;
    }

    /// The window was asked to close: asks back while a run is going.
    pub(super) fn guard_closing(&mut self) {
        let asked = self.ctx.input(|input| input.viewport().close_requested());
        if asked && self.workspace.runs.live.is_some() {
            self.ctx.send_viewport_cmd(egui::ViewportCommand::CancelClose);
            if self.workspace.closing == Closing::No {
                self.workspace.closing = Closing::Asked;
            }
        }
        self.close_when_done();
    }

    pub(super) fn close_when_done(&mut self) {
        if self.workspace.runs.live.is_some() {
            return;
        }
        let closes = match self.workspace.closing {
            Closing::No | Closing::Asked => return,
            Closing::AfterRun => true,
            Closing::ToBackground(run) => self.hand_over(run),
        };
        self.workspace.closing = Closing::No;
        if closes {
            self.ctx.send_viewport_cmd(egui::ViewportCommand::Close);
        }
    }
}
