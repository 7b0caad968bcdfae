//! A fork being set up on the launch sheet: which checkpoint it goes on from, which pairs it leaves out, what it changes.

use std::sync::Arc;

use data::{
    PairId,
    alarms::{Alarm, Remedy},
    config::{AtFork, RunConfig},
    counted,
};
use store::{RunId, RunRecord};

use super::{
    launch::{self, Launch},
    pairs::PairsData,
    runs::Runs,
    train::{Sheet, TrainView},
};

/// The form above the settings.
#[derive(Debug, Clone)]
pub struct ForkForm {
    pub run: RunId,
    pub at: u64,
    pub without: Without,
    /// The settings of the run.
    pub config: RunConfig,
    /// The sheet as it was before, to be put back.
    before: Launch,
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
    /// Where a fork usually leaves a run: at its newest checkpoint after which there is something to do, 0 where none is.
    pub fn fork_point(&self, record: &RunRecord) -> u64 {
        let before_end = |step: &&u64| record.total_steps == 0 || **step < record.total_steps;
        self.checkpoints(record.id).iter().rev().find(before_end).copied().unwrap_or(0)
    }

    /// What a fork of this run may try.
    pub fn remedies(&self, run: RunId, alarm: &Alarm) -> Vec<Remedy> {
        self.settings(run).map_or_else(Vec::new, |settings| alarm.kind.remedies(settings.config.objective.kind))
    }

    /// A fork that tries a remedy, from the newest checkpoint before the steps that raised the alarm.
    pub fn mending(&self, record: &RunRecord, alarm: &Alarm, remedy: Remedy) -> Option<ForkStart> {
        let settings = self.settings(record.id)?;
        let before = |step: &&u64| **step < alarm.from && (record.total_steps == 0 || **step < record.total_steps);
        let at = self.checkpoints(record.id).iter().rev().find(before).copied().unwrap_or(0);
        let config = remedy.applied(&settings.config);
        let name = Some(format!("{}, {}", record.name, remedy.words()));
        Some(ForkStart { run: record.id, at, name, config, without: Without::Nothing })
    }
}

impl TrainView {
    /// The launch sheet sets up a fork of this run from now on.
    pub fn set_up_fork(&mut self, runs: &Runs, run: RunId, at: u64) {
        let Some(settings) = runs.settings(run) else {
            return;
        };
        let config = settings.config.clone();
        let sheet = std::mem::replace(&mut self.launch, Launch::of_fork(&config));
        // Another fork was being set up: what stood before that is what is put back.
        let before = self.fork.take().map_or(sheet, |form| form.before);
        self.fork = Some(ForkForm { run, at, without: Without::Nothing, config, before });
        self.sheet = Sheet::Launch;
        self.name.clear();
    }

    /// The sheet is for new runs again, as it was.
    pub fn leave_fork(&mut self) {
        if let Some(form) = self.fork.take() {
            self.launch = form.before;
        }
        self.name.clear();
    }

    /// Puts what a fork cannot change back to what it is in its run.
    pub fn hold_what_stays(&mut self) {
        let Some(form) = &self.fork else {
            return;
        };
        let texts = launch::settings(&form.config);
        for setting in RunConfig::settings().filter(|setting| matches!(setting.at_fork(), AtFork::Stays(_))) {
            let text = texts.get(setting.key).map_or("", String::as_str);
            if self.launch.text(setting.key) != text {
                self.launch.set(setting.key, text);
            }
        }
    }

    /// The launch sheet shows the settings of this run, for a new one.
    pub fn set_up_again(&mut self, runs: &Runs, run: RunId) {
        if let Some(settings) = runs.settings(run) {
            self.leave_fork();
            self.launch = Launch::from_config(&settings.config);
            self.sheet = Sheet::Launch;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::config::{LoraConfig, ObjectiveConfig};

    #[test]
    fn a_fork_takes_the_sheet_and_gives_it_back() {
        let mut runs = Runs::default();
        let config = "[objective]\nbeta = 0.3\n[lora]\nrank = 4\n";
        runs.set_records(vec![crate::runs::tests::record_of(7, config)]);
        let mut view = TrainView::default();
        view.launch.set(ObjectiveConfig::BETA.key, "0.9");
        view.set_up_fork(&runs, RunId(7), 40);
        assert_eq!(view.launch.text(ObjectiveConfig::BETA.key), "0.3");
        view.launch.set(ObjectiveConfig::BETA.key, "0.6");
        view.launch.set(LoraConfig::RANK.key, "64");
        view.hold_what_stays();
        assert_eq!(view.launch.text(LoraConfig::RANK.key), "4");
        let config = view.launch.checked().config.clone();
        let form = view.fork.as_mut().unwrap();
        assert_eq!(form.changes(&config), "β 0.3 → 0.6");
        form.without = Without::Tag("blunt".to_owned());
        assert_eq!(form.changes(&config), "β 0.3 → 0.6; without the pairs tagged “blunt”");
        form.without = Without::Nothing;
        assert!(form.changes(&form.config).contains("to the bit"));
        view.set_up_fork(&runs, RunId(7), 20);
        view.leave_fork();
        assert_eq!(view.launch.text(ObjectiveConfig::BETA.key), "0.9");
        view.set_up_again(&runs, RunId(7));
        assert_eq!(view.launch.text(ObjectiveConfig::BETA.key), "0.3");
        assert!(view.fork.is_none());
    }

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
