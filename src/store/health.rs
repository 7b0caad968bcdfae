//! Data health: all pairs looked at one by one, and a finding mended as one change.

use std::ops::ControlFlow;

use super::{Applied, Project, Revision, project::Result};
use ::data::{
    Change, Edit, Pair,
    health::{Examination, Finding, Health, Remedy},
};

impl Project {
    /// Looks over all pairs as they are now; their texts are held one at a time. `language`: the language of a text, where it is
    /// beyond doubt.
    pub fn examine(&self, language: fn(&str) -> Option<&'static str>) -> Result<(Revision, Health)> {
        let revision = self.revision()?;
        let mut examination = Examination::new(self.counts()?.total(), language);
        self.each_pair_at(revision, &mut |pair: Pair| {
            examination.add(&pair);
            ControlFlow::Continue(())
        })?;
        Ok((revision, examination.finish()))
    }

    /// Does this about every pair of a finding, as one change that can be undone. Pairs that are gone by now, or need nothing,
    /// are left out.
    pub fn remedy(&mut self, finding: &Finding, remedy: Remedy) -> Result<Applied> {
        let mut edits: Vec<Edit> = Vec::new();
        let mut known = std::collections::HashSet::new();
        for group in &finding.groups {
            let mut pairs = Vec::with_capacity(group.len());
            for &id in group.iter().filter(|id| known.insert(**id)) {
                pairs.extend(self.pair(id)?);
            }
            edits.extend(remedy.edits(finding.kind, pairs));
        }
        self.apply(&Change::new(format!("{}: {}", remedy.title(), finding.kind.word()), edits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProjectSettings;
    use ::data::{PairId, Prompt, health::Kind};

    #[test]
    fn a_finding_is_mended_in_one_step_that_can_be_undone() {
        let dir = tempfile::tempdir().unwrap();
        let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        let pair = |answers: [&str; 2]| Edit::add(Pair::new(PairId::NEW, Prompt::Text("p".to_owned()), &answers));
        let pairs = vec![pair(["a", " "]), pair(["a", "b"]), pair(["", "c"])];
        project.apply(&Change::new("Add", pairs)).unwrap();
        let (_, health) = project.examine(|_| None).unwrap();
        let finding = health.finding(Kind::EmptyAnswers).unwrap();
        assert_eq!(finding.pairs(), [PairId(1), PairId(3)]);
        let applied = project.remedy(finding, Remedy::Delete).unwrap();
        assert_eq!(applied.pairs.len(), 2);
        assert!(project.examine(|_| None).unwrap().1.is_clean());
        project.undo().unwrap();
        assert_eq!(project.examine(|_| None).unwrap().1.findings, health.findings);
    }
}
