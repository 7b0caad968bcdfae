//! What the table of pairs asks for besides its rows: sources, filters by name, the same change to many pairs.

use data::{PairId, counted};
use state::{Notice, UndoOffer, filter::Filter, table::SavedFilters};
use store::{Bulk, Project};

use super::{
    App,
    jobs::{about, update},
    pairs::{Fresh, saved},
};

impl App {
    /// Goes through all pairs: on request only.
    pub(super) fn read_sources(&mut self) {
        let Some(dir) = self.workspace.project.as_ref().map(|project| project.dir.clone()) else { return };
        let data = &mut self.workspace.pairs;
        let known = data.table.sources.take().map_or_else(Vec::new, |(_, sources)| sources);
        data.table.sources = Some((data.revision, known));
        self.jobs.list(dir.clone(), "Could not read where the pairs came from", |project| {
            let (revision, sources) = (project.revision()?, project.sources()?);
            Ok(about(dir, move |workspace, _| workspace.pairs.table.sources = Some((revision, sources))))
        });
    }

    pub(super) fn read_filters(&mut self) {
        self.workspace.pairs.table.saved = Some(SavedFilters::default());
        self.jobs.document.read("Could not read the kept filters", |project| {
            let saved = saved_filters(project)?;
            Ok(update(move |workspace, _| workspace.pairs.table.saved = Some(saved)))
        });
    }

    pub(super) fn save_filter(&mut self, name: String, filter: Option<Box<Filter>>) {
        self.jobs.document.write("Could not keep the filter", move |project| {
            let mut saved = saved_filters(project)?;
            match filter {
                Some(filter) => saved.0.insert(name, *filter),
                None => saved.0.remove(&name),
            };
            project.set_setting(SavedFilters::SETTING, &saved.to_toml()?)?;
            Ok(update(move |workspace, _| {
                workspace.pairs.table.saved = Some(saved);
            }))
        });
    }

    pub(super) fn change_many(&mut self, pairs: Vec<PairId>, bulk: Bulk) {
        // What is typed in one of them must not be taken for a change from elsewhere.
        self.commit_drafts();
        let failure = format!("Could not change {}", counted(pairs.len(), "pair", "pairs"));
        self.jobs.document.write(failure.clone(), move |project| {
            let change = |project: &mut Project| -> anyhow::Result<Fresh> {
                let lost = project.can_redo()?;
                let applied = project.change_many(&pairs, &bulk)?;
                let nothing = applied.pairs.is_empty();
                let told = if nothing {
                    Notice::info("Nothing was changed: the pairs are so already")
                } else {
                    Notice::info(format!("{}: done", applied.label)).offering(UndoOffer::Undo(applied.label.clone()))
                };
                let mut fresh = Fresh::read(project, applied)?;
                fresh.lost = lost.filter(|_| !nothing);
                fresh.told = Some(told);
                Ok(fresh)
            };
            Ok(saved(failure, Vec::new(), change(project)))
        });
    }
}

fn saved_filters(project: &Project) -> anyhow::Result<SavedFilters> {
    let text = project.setting(SavedFilters::SETTING)?;
    Ok(SavedFilters::from_toml(&text.unwrap_or_default()))
}
