//! The settings in which runs differ.

use std::collections::{BTreeMap, BTreeSet};

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
