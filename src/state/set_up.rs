//! What the launch sheet sets up: a new run, a fork, or a run once more.

use data::config::{AtFork, RunConfig};
use store::RunId;

use super::{
    fork::{ForkForm, Without},
    launch::Launch,
    runs::Runs,
    train::{Sheet, TrainView},
};

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
        let texts = form.config.texts();
        for setting in RunConfig::settings().filter(|setting| matches!(setting.at_fork, AtFork::Stays(_))) {
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
            self.launch.take_over(&settings.config);
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
        // Settings of an earlier run do not make a new run of it.
        view.launch.take_over(&RunConfig::default());
        assert!(!view.launch.may_change(&LoraConfig::RANK));
        view.hold_what_stays();
        assert_eq!(view.launch.text(LoraConfig::RANK.key), "4");
        assert_eq!(view.launch.text(ObjectiveConfig::BETA.key), "0.1");
        view.set_up_fork(&runs, RunId(7), 20);
        view.leave_fork();
        assert_eq!(view.launch.text(ObjectiveConfig::BETA.key), "0.9");
        view.set_up_again(&runs, RunId(7));
        assert_eq!(view.launch.text(ObjectiveConfig::BETA.key), "0.3");
        assert!(view.fork.is_none());
    }
}
