//! What is said of labels made while a run goes: how many wait, when they join it, and what has joined.

use data::metrics::EPOCH;
use store::RunRecord;

use super::{
    runs::{Runs, can_continue},
    series::Series,
};

/// What is said of the labels that a run has not seen, and what can be done about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinOffer {
    /// A sentence.
    pub text: String,
    /// What a press asks for: that they join, or that they do not yet. Absent where there is nothing to ask for.
    pub press: Option<bool>,
}

impl Runs {
    /// What is offered about the labels that wait for a run; nothing where none does, or the run has ended for good.
    pub fn join_offer(&self, record: &RunRecord) -> Option<JoinOffer> {
        let labels = self.joining.of(record.id).filter(|labels| !labels.waiting.is_none())?;
        let always = self.settings(record.id).is_some_and(|settings| settings.config.data.live_labels);
        let (waiting, is_live) = (labels.waiting, record.status.is_live());
        if !is_live && !labels.asked && !can_continue(record.status) {
            return None;
        }
        let border = self.history(record.id).and_then(|history| border_after(history.series(EPOCH)?));
        let is_last = border.is_some_and(|border| border >= record.total_steps);
        let press = (!always).then_some(!labels.asked);
        if is_live && is_last {
            let text = format!(
                "Not in this run: {waiting}. It is in its last epoch; the next run has them, or this one if it is made longer"
            );
            return Some(JoinOffer { text, press: press.filter(|asks| !asks) });
        }
        let text = match (labels.asked || always, is_live, border) {
            (true, true, Some(border)) => format!("Taken in after step {border}, where this epoch ends: {waiting}"),
            (true, true, None) => format!("Taken in where the first epoch ends: {waiting}"),
            (true, false, _) => format!("Taken in at an end of an epoch when it goes on: {waiting}"),
            (false, ..) => format!("Not in this run yet: {waiting}"),
        };
        Some(JoinOffer { text, press })
    }

    /// "Data revision 4; 9 from step 41 on".
    pub fn revisions_in_words(&self, record: &RunRecord) -> String {
        let mut text = format!("Data revision {}", record.revision.0);
        for taken in self.joining.of(record.id).iter().flat_map(|labels| &labels.joined) {
            text = format!("{text}; {} from step {} on", taken.revision.0, taken.step + 1);
        }
        text
    }
}

/// The step that ends the present epoch, by how far the last steps went through it.
fn border_after(epochs: &Series) -> Option<u64> {
    let [.., before, last] = epochs.points() else { return None };
    let [step, epoch] = *last;
    let pace = (epoch - before[1]) / (step - before[0]);
    let left = epoch.floor() + 1.0 - epoch;
    // What a sum such as 0.1 + 0.2 may be too large by.
    (pace > 0.0).then(|| (step + (left / pace - 1e-6).ceil()) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{LabelChanges, Revision, RunId, RunLabels, RunStatus, TakeIn};

    fn record(status: RunStatus, toml: &str) -> RunRecord {
        RunRecord {
            id: RunId(1),
            name: "Run 1".to_owned(),
            method: "MPO".to_owned(),
            status,
            config_toml: toml.to_owned(),
            revision: Revision(4),
            step: 5,
            total_steps: 12,
            ..RunRecord::default()
        }
    }

    fn runs(record: &RunRecord, step: u64, asked: bool) -> Runs {
        let mut runs = Runs::default();
        runs.set_records(vec![record.clone()]);
        let waiting = LabelChanges { added: 3, changed: 0, removed: 0 };
        runs.joining.put(RunId(1), RunLabels { revision: Revision(4), waiting, asked, joined: Vec::new() });
        let history = runs.history.entry(RunId(1)).or_default();
        // Fifteen pairs, four a step.
        let points = (1..=step).map(|step| [step as f64, step as f64 * 4.0 / 15.0]);
        history.series.insert(EPOCH.to_owned(), Series::from_points(points));
        runs
    }

    #[test]
    fn what_waits_says_when_it_joins() {
        let live = record(RunStatus::Running, "");
        let offer = |asked, step| runs(&live, step, asked).join_offer(&live).unwrap();
        assert_eq!(
            offer(false, 2),
            JoinOffer { text: "Not in this run yet: 3 new labels".to_owned(), press: Some(true) }
        );
        let joins = offer(true, 2);
        assert_eq!(joins.text, "Taken in after step 4, where this epoch ends: 3 new labels");
        assert_eq!(joins.press, Some(false), "another press takes it back");
        let last = offer(false, 11);
        assert!(last.text.contains("It is in its last epoch; the next run has them"), "{}", last.text);
        assert_eq!(last.press, None);

        let always = record(RunStatus::Running, "[data]\nlive_labels = true\n");
        assert_eq!(runs(&always, 2, false).join_offer(&always).unwrap().press, None);
        let completed = record(RunStatus::Completed, "");
        assert_eq!(runs(&completed, 12, false).join_offer(&completed), None, "other labels are no news to it");
        assert!(runs(&completed, 12, true).join_offer(&completed).unwrap().text.contains("when it goes on"));
    }

    #[test]
    fn the_head_of_a_run_names_all_its_data() {
        let record = record(RunStatus::Running, "");
        let mut runs = runs(&record, 2, false);
        assert_eq!(runs.revisions_in_words(&record), "Data revision 4");
        let joined = vec![TakeIn { step: 4, revision: Revision(9), labels: LabelChanges::default() }];
        let labels = RunLabels { revision: Revision(9), waiting: LabelChanges::default(), asked: false, joined };
        runs.joining.put(RunId(1), labels);
        assert_eq!(runs.revisions_in_words(&record), "Data revision 4; 9 from step 5 on");
        assert_eq!(runs.join_offer(&record), None);
    }
}
