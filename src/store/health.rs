//! Data health: all pairs looked at one by one, and a finding mended as one change.

use std::ops::ControlFlow;

use super::{Applied, OnSearched, Project, Revision, StoreError, project::Result};
use ::data::{
    Change, Edit, Pair, PairId,
    health::{Examination, Finding, Health, Remedy},
};

/// Pairs that are looked at between two words about it.
const TOLD_EVERY: usize = 4096;

impl Project {
    /// Looks over all pairs as they are now; their texts are held one at a time. `language`: the language of a text,
    /// where it is beyond doubt. `watch` hears how many of them were looked at.
    pub fn examine(
        &self,
        language: fn(&str) -> Option<&'static str>,
        watch: OnSearched<'_>,
    ) -> Result<(Revision, Health)> {
        let (revision, total) = (self.revision()?, self.counts()?.total());
        let mut examination = Examination::new(total, language);
        let mut looked_at = 0;
        let mut flow = ControlFlow::Continue(());
        self.each_pair_at(revision, &mut |pair: Pair| {
            examination.add(&pair);
            looked_at += 1;
            if looked_at % TOLD_EVERY == 0 {
                flow = watch(looked_at as f32 / total as f32);
            }
            flow
        })?;
        if flow.is_break() {
            return Err(StoreError::CutShort);
        }
        Ok((revision, examination.finish()))
    }

    /// Does this about every pair of a finding, as one change that can be undone. Pairs that are gone by now, or need
    /// nothing, are left out.
    pub fn remedy(&mut self, finding: &Finding, remedy: Remedy) -> Result<Applied> {
        let mut edits: Vec<Edit> = Vec::new();
        let mut known = std::collections::HashSet::new();
        for group in &finding.groups {
            let new: Vec<PairId> = group.iter().copied().filter(|id| known.insert(*id)).collect();
            edits.extend(remedy.edits(finding.kind, self.pairs(&new)?));
        }
        self.apply(&Change::new(format!("{}: {}", remedy.title(), finding.kind.word()), edits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProjectSettings;
    use ::data::{Prompt, health::FindingKind};

    #[test]
    fn a_finding_is_mended_in_one_step_that_can_be_undone() {
        let dir = tempfile::tempdir().unwrap();
        let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        let pair = |answers: [&str; 2]| Edit::add(Pair::new(PairId::NEW, Prompt::Text("p".to_owned()), &answers));
        let pairs = vec![pair(["a", " "]), pair(["a", "b"]), pair(["", "c"])];
        project.apply(&Change::new("Add", pairs)).unwrap();
        let (_, health) = project.examine(|_| None, &mut |_| ControlFlow::Continue(())).unwrap();
        let finding = health.finding(FindingKind::EmptyAnswers).unwrap();
        assert_eq!(finding.pairs(), [PairId(1), PairId(3)]);
        let applied = project.remedy(finding, Remedy::Delete).unwrap();
        assert_eq!(applied.pairs.len(), 2);
        assert!(project.examine(|_| None, &mut |_| ControlFlow::Continue(())).unwrap().1.is_clean());
        project.undo().unwrap();
        assert_eq!(project.examine(|_| None, &mut |_| ControlFlow::Continue(())).unwrap().1.findings, health.findings);
    }
}
