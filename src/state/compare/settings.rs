//! The settings in which runs differ.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use store::{RunId, RunRecord};

use crate::runs::Runs;

/// A setting whose value is not the same in all runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DifferentSetting {
    pub key: String,
    /// One value a run, in the order of the runs; "–" where it is not set.
    pub values: Vec<String>,
}

/// Only what differs between the settings of some runs, a table each ([`data::config::RunConfig::texts_in_full`]).
pub fn differences(tables: &[&BTreeMap<String, String>]) -> Vec<DifferentSetting> {
    let keys: BTreeSet<&String> = tables.iter().flat_map(|table| table.keys()).collect();
    keys.into_iter()
        .filter_map(|key| {
            let values: Vec<String> =
                tables.iter().map(|table| table.get(key).cloned().unwrap_or_else(|| "–".to_owned())).collect();
            let differ = values.windows(2).any(|pair| pair[0] != pair[1]);
            differ.then(|| DifferentSetting { key: key.clone(), values })
        })
        .collect()
}

/// What differs between the settings of the runs that are shown, worked out again only when they are others.
#[derive(Debug, Default)]
pub struct Differing {
    of: Option<(u64, Vec<RunId>)>,
    found: Arc<[DifferentSetting]>,
}

impl Differing {
    pub fn of(&mut self, runs: &Runs, shown: &[&RunRecord]) -> Arc<[DifferentSetting]> {
        let of = (runs.settings_read(), shown.iter().map(|record| record.id).collect());
        if self.of.as_ref() != Some(&of) {
            let tables: Vec<_> = shown.iter().filter_map(|record| Some(&runs.settings(record.id)?.table)).collect();
            (self.found, self.of) = (differences(&tables).into(), Some(of));
        }
        Arc::clone(&self.found)
    }
}

/// What differs between runs beside their settings: the data, and what was changed while they went.
pub fn otherwise(runs: &Runs, shown: &[&RunRecord]) -> Vec<DifferentSetting> {
    let none = || "–".to_owned();
    let course = |record: &RunRecord| {
        let changes: Vec<String> = runs.history(record.id).map_or_else(Vec::new, |history| {
            let own = history.changes().filter(|mark| record.parent_step.is_none_or(|at| mark.step > at));
            own.map(|mark| format!("step {}: {}", mark.step, mark.text)).collect()
        });
        if changes.is_empty() { none() } else { changes.join("\n") }
    };
    let left_out = |record: &RunRecord| record.left_out.as_ref().map_or_else(none, ToString::to_string);
    let rows: [(&str, Vec<String>); 3] = [
        ("Data revision", shown.iter().map(|record| record.revision.0.to_string()).collect()),
        ("Pairs left out", shown.iter().map(|record| left_out(record)).collect()),
        ("Changed on the way", shown.iter().map(|record| course(record)).collect()),
    ];
    let differs = |values: &[String]| values.windows(2).any(|two| two[0] != two[1]);
    let rows = rows.into_iter().filter(|(_, values)| differs(values));
    rows.map(|(key, values)| DifferentSetting { key: key.to_owned(), values }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::config::{Method, RunConfig};

    fn differences(configs: &[RunConfig; 2]) -> Vec<DifferentSetting> {
        let tables = configs.each_ref().map(RunConfig::texts_in_full);
        super::differences(&tables.each_ref())
    }

    #[test]
    fn only_changed_settings_are_listed() {
        let first = RunConfig::default();
        let mut second = first.clone();
        second.objective.beta = 0.5;
        second.train.steps = Some(40);
        let found = differences(&[first, second]);
        let keys: Vec<&str> = found.iter().map(|d| d.key.as_str()).collect();
        assert_eq!(keys, ["objective.beta", "train.steps"]);
        assert_eq!(found[0].values, ["0.1", "0.5"]);
        assert_eq!(found[1].values, ["–", "40"]);
    }

    #[test]
    fn what_differs_is_worked_out_again_when_runs_or_their_settings_are_others() {
        let mut runs = Runs::default();
        let toml = |beta: f64| format!("[objective]\nbeta = {beta:?}\n");
        let records =
            |beta: f64| [(1, 0.1), (2, beta)].map(|(id, beta)| crate::runs::tests::record_of(id, &toml(beta))).to_vec();
        runs.set_records(records(0.2));
        let mut differing = Differing::default();
        let mut found = |runs: &Runs, count| differing.of(runs, &runs.records.iter().take(count).collect::<Vec<_>>());
        let first = found(&runs, 2);
        assert_eq!(first[0].values, ["0.1", "0.2"]);
        runs.set_records(records(0.2));
        assert!(Arc::ptr_eq(&first, &found(&runs, 2)), "read again as they were");
        assert!(found(&runs, 1).is_empty());
        runs.set_records(records(0.3));
        assert_eq!(found(&runs, 2)[0].values, ["0.1", "0.3"]);
    }

    #[test]
    fn the_data_and_what_was_turned_on_the_way_are_differences() {
        let mut runs = Runs::default();
        let records = [1, 2].map(|id| crate::runs::tests::record_of(id, ""));
        runs.set_records(records.to_vec());
        let shown = |runs: &Runs| super::otherwise(runs, &runs.records.iter().collect::<Vec<_>>());
        assert_eq!(shown(&runs), []);
        runs.records[1].revision.0 += 3;
        let history = runs.history.entry(store::RunId(1)).or_default();
        history.marks.push(crate::runs::Mark { step: 40, text: "β 0.1 → 0.2".to_owned() });
        let found = shown(&runs);
        let keys: Vec<&str> = found.iter().map(|row| row.key.as_str()).collect();
        assert_eq!(keys, ["Data revision", "Changed on the way"]);
        assert_eq!(found[1].values, ["step 40: β 0.1 → 0.2", "–"]);
    }

    #[test]
    fn a_default_written_out_is_no_difference() {
        let first = RunConfig::default();
        let mut second = first.clone();
        second.objective.reference_weight = Some(first.objective.reference_weight());
        assert_eq!(differences(&[first, second]), []);
    }

    #[test]
    fn another_method_differs_in_what_it_implies_too() {
        let first = RunConfig::default();
        let mut second = first.clone();
        second.objective.kind = Method::Ipo;
        let keys: Vec<String> = differences(&[first, second]).into_iter().map(|d| d.key).collect();
        assert_eq!(keys, ["objective.kind", "objective.margin", "objective.reference_weight"]);
    }
}
