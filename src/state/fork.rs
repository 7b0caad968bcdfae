//! A fork being set up on the launch sheet: which checkpoint it goes on from, which pairs it leaves out, what it
//! changes.

use std::sync::Arc;

use data::{
    PairId,
    alarms::{Alarm, AlarmKind, Cure},
    config::RunConfig,
    counted,
};
use store::{RunId, RunRecord};

use super::{launch::Launch, pairs::PairsData, runs::Runs, train::RunCommand};

/// The form above the settings.
#[derive(Debug, Clone)]
pub struct ForkForm {
    pub run: RunId,
    pub at: u64,
    pub without: Without,
    /// The settings of the run.
    pub config: RunConfig,
    /// The sheet as it was before, to be put back.
    pub(super) before: Launch,
}

/// Pairs that are not to be trained on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Without {
    #[default]
    Nothing,
    /// Those that have this tag when the fork is made.
    Tag(String),
    /// These, e.g. all that the table of pairs lists.
    Pairs(Arc<Vec<PairId>>),
}

impl Without {
    /// What the choices are called: "Nothing", "12 pairs tagged “blunt”", "the 40 pairs of the list".
    pub fn choices(pairs: &PairsData) -> Vec<(Self, String)> {
        let of_list = counted(pairs.ids.len(), "pair", "pairs");
        let tags = pairs.tags.iter().map(|(tag, count)| {
            (Self::Tag(tag.clone()), format!("{} tagged “{tag}”", counted(*count, "pair", "pairs")))
        });
        let nothing = std::iter::once((Self::Nothing, "nothing".to_owned()));
        // All pairs together leave nothing to train on.
        let narrows = !pairs.ids.is_empty() && pairs.ids.len() < pairs.counts.total();
        let list = narrows.then(|| (Self::Pairs(pairs.ids.clone()), format!("the {of_list} that Pairs lists now")));
        nothing.chain(tags).chain(list).collect()
    }

    /// In a sentence.
    pub fn words(&self) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Tag(tag) => Some(format!("without the pairs tagged “{tag}”")),
            Self::Pairs(pairs) => Some(format!("without {}", counted(pairs.len(), "pair", "pairs"))),
        }
    }
}

/// A fork that is to be made.
#[derive(Debug, Clone)]
pub struct ForkStart {
    pub run: RunId,
    pub at: u64,
    pub name: Option<String>,
    pub config: RunConfig,
    pub without: Without,
    /// The alarm that it is to mend: let be as soon as the fork is made.
    pub against: Option<AlarmKind>,
}

/// A fork that may help against an alarm.
#[derive(Debug, Clone)]
pub struct CureFork {
    pub cure: Cure,
    pub fork: ForkStart,
}

/// What can be done about an alarm by a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlarmAct {
    /// Fork with the first of its remedies.
    First,
    Second,
    Ignore,
}

impl AlarmAct {
    /// The key of a remedy, by its place.
    pub fn remedy(place: usize) -> Option<Self> {
        [Self::First, Self::Second].get(place).copied()
    }
}

impl ForkForm {
    /// "β 0.1 → 0.2; without the pairs tagged “blunt”", or what it means that nothing is changed.
    pub fn changes(&self, config: &RunConfig) -> String {
        let changed = self.config.changes_in(config).unwrap_or_default();
        let mut said: Vec<String> = changed.iter().map(ToString::to_string).collect();
        said.extend(self.without.words());
        if said.is_empty() {
            return "Nothing is changed: it will be the same run again, to the bit".to_owned();
        }
        said.join("; ")
    }
}

impl Runs {
    /// Where a fork usually leaves a run: at its newest checkpoint after which there is something to do, 0 where none
    /// is.
    pub fn fork_point(&self, record: &RunRecord) -> u64 {
        let before_end = |step: &&u64| record.total_steps == 0 || **step < record.total_steps;
        self.checkpoints(record.id).iter().rev().find(before_end).copied().unwrap_or(0)
    }

    /// What can be tried against an alarm, the likeliest first.
    pub fn remedies(&self, record: &RunRecord, alarm: &Alarm) -> Vec<CureFork> {
        let method = self.settings(record.id).map(|settings| settings.config.objective.kind);
        let cures = method.map_or_else(Vec::new, |method| alarm.kind.cures(method));
        cures.into_iter().filter_map(|cure| Some(CureFork { cure, fork: self.mending(record, alarm, cure)? })).collect()
    }

    /// What a key does about the first alarm of a run that nobody lets be.
    pub fn about_alarm(&self, run: RunId, act: AlarmAct) -> Option<RunCommand> {
        let (record, alarm) = (self.record(run)?, self.alarms(run).next()?);
        let remedy = |place: usize| {
            let remedy = self.remedies(record, alarm).into_iter().nth(place)?;
            Some(RunCommand::Mend(Box::new(remedy.fork)))
        };
        match act {
            AlarmAct::Ignore => Some(RunCommand::Ignore(run, alarm.kind)),
            AlarmAct::First => remedy(0),
            AlarmAct::Second => remedy(1),
        }
    }

    /// A fork that tries a cure, from the newest checkpoint before the steps that raised the alarm.
    fn mending(&self, record: &RunRecord, alarm: &Alarm, cure: Cure) -> Option<ForkStart> {
        let settings = self.settings(record.id)?;
        let before = |step: &&u64| **step < alarm.from && (record.total_steps == 0 || **step < record.total_steps);
        let at = self.checkpoints(record.id).iter().rev().find(before).copied().unwrap_or(0);
        let config = cure.applied(&settings.config);
        let name = Some(format!("{}, {}", record.name, cure.words()));
        Some(ForkStart { run: record.id, at, name, config, without: Without::Nothing, against: Some(alarm.kind) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_left_out_is_counted() {
        let mut pairs = PairsData::default();
        pairs.counts.better = 5;
        pairs.tags = vec![("blunt".to_owned(), 2)];
        pairs.ids = Arc::new((1..=5).map(PairId).collect());
        let words = |pairs: &PairsData| Without::choices(pairs).into_iter().map(|(_, words)| words).collect::<Vec<_>>();
        assert_eq!(words(&pairs), ["nothing", "2 pairs tagged “blunt”"]);
        pairs.ids = Arc::new(vec![PairId(3)]);
        assert_eq!(words(&pairs)[2], "the 1 pair that Pairs lists now");
    }
}
