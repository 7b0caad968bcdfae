//! Texts that are being written are kept with the project while they are.

use std::time::Duration;

use state::writing::{self, UnsavedTexts};
use store::Project;

use super::{App, jobs::update};

/// So long after a text was changed it is in the project, in milliseconds.
const SOON_MS: i64 = 1_000;

/// What of them the project has.
#[derive(Debug, Default)]
pub struct KeptTexts {
    known: UnsavedTexts,
    /// Since when there are others, as Unix time in milliseconds.
    since_ms: Option<i64>,
}

impl App {
    /// Another project is open, with its texts in place.
    pub(super) fn texts_opened(&mut self) {
        self.texts = KeptTexts { known: UnsavedTexts::of(&self.workspace, &self.views), since_ms: None };
    }

    /// A tag or a note of the pair that is being labelled is put to it.
    pub(super) fn end_label_field(&mut self) {
        if let Some(label) = &mut self.views.pairs.labelling
            && let Some(pair) = label.session.current().and_then(|id| self.workspace.pairs.pairs.get(id))
            && let Some((amendment, name)) = label.end_field(pair)
        {
            let pair = pair.id;
            self.amend_pair(pair, amendment, name);
        }
    }

    /// Keeps what was changed, a moment later or `at_once`.
    pub(super) fn keep_texts(&mut self, at_once: bool) {
        if self.workspace.project.as_ref().is_none_or(|project| project.read_only) {
            return;
        }
        let texts = UnsavedTexts::of(&self.workspace, &self.views);
        let is_kept = texts == self.texts.known;
        self.workspace.saving.writing = !is_kept;
        if is_kept {
            self.texts.since_ms = None;
            return;
        }
        let now_ms = self.workspace.now_ms;
        let since_ms = *self.texts.since_ms.get_or_insert(now_ms);
        let wait_ms = since_ms + SOON_MS - now_ms;
        if !at_once && wait_ms > 0 {
            self.ctx.request_repaint_after(Duration::from_millis(wait_ms as u64));
            return;
        }
        self.texts = KeptTexts { known: texts.clone(), since_ms: None };
        self.workspace.saving.writing = false;
        self.jobs.document.write("Could not keep what is being written", move |project| {
            project.set_setting(writing::KEY, &serde_json::to_string(&texts)?)?;
            Ok(update(|_, _| ()))
        });
        // Said in this frame, too.
        self.workspace.saving.under_way += 1;
    }
}

/// Those that a project keeps. What cannot be read is none: a later version may have others.
pub fn of(project: &Project) -> anyhow::Result<UnsavedTexts> {
    let kept = project.setting(writing::KEY)?;
    Ok(kept.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}
