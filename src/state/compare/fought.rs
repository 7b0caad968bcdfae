//! Pairs that fought back: trained on more than once, and the rejected answer was still ahead when a run met them last.

use std::{collections::BTreeMap, sync::Arc};

use data::{PairId, counted, suspects::MarginScore};
use store::{RunId, RunRecord, SeedGroup};

use crate::{runs::Runs, seeds::groups};

/// A run, or runs that differ in their seed only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOrSeeds {
    pub name: String,
    pub runs: Vec<RunId>,
}

/// How a pair fared in a way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fared {
    /// Runs that have met it more than once, and in how many of them it fought back.
    pub met: usize,
    pub fought: usize,
    /// The lowest margin at the last visit of a run, as the objective counts it.
    pub margin: f32,
}

impl Fared {
    /// In most of the runs.
    pub fn is_lost(self) -> bool {
        2 * self.fought > self.met
    }
}

/// A pair that fought back in one of the ways at least.
#[derive(Debug, Clone, PartialEq)]
pub struct FoughtPair {
    pub pair: PairId,
    /// One a way; absent where it was not met more than once.
    pub fared: Vec<Option<Fared>>,
}

impl FoughtPair {
    fn ways(&self) -> usize {
        self.fared.iter().flatten().filter(|fared| fared.is_lost()).count()
    }

    fn is_everywhere(&self) -> bool {
        self.ways() == self.fared.len()
    }

    /// In this one, and in none of the others though all of them have met it.
    fn is_only_in(&self, way: usize) -> bool {
        let is_lost = |fared: &Option<Fared>| fared.is_some_and(Fared::is_lost);
        self.ways() == 1 && self.fared.iter().all(Option::is_some) && self.fared.get(way).is_some_and(is_lost)
    }
}

/// So many ways are named in a sentence.
const MOST_NAMED: usize = 4;

/// What fought back in some runs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FoughtPairs {
    /// Those that have met pairs more than once.
    pub ways: Vec<RunOrSeeds>,
    /// In most ways first, then those that are farthest behind.
    pub rows: Vec<FoughtPair>,
    /// Pairs that any of the ways has met more than once.
    pub judged: usize,
}

/// Pairs that belong together, to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairList {
    /// On the button.
    pub word: String,
    /// Above the table of pairs.
    pub title: String,
    pub pairs: Vec<PairId>,
}

impl FoughtPairs {
    fn of(runs: &Runs, shown: &[&RunRecord]) -> Self {
        let known = |record: &RunRecord| runs.fought.of(record.id).filter(|standings| !standings.is_empty());
        let ways = groups(runs, shown).into_iter().filter_map(|SeedGroup { name, members }| {
            let members = members.into_iter().map(|place| shown[place]);
            let runs: Vec<RunId> = members.filter(|record| known(record).is_some()).map(|record| record.id).collect();
            (!runs.is_empty()).then_some(RunOrSeeds { name, runs })
        });
        let ways: Vec<RunOrSeeds> = ways.collect();
        let mut fared: BTreeMap<PairId, Vec<Option<Fared>>> = BTreeMap::new();
        // Margins of methods have units of their own: how far a pair is behind is told by its place among the others.
        let mut behind: BTreeMap<PairId, f64> = BTreeMap::new();
        for (place, way) in ways.iter().enumerate() {
            for standings in way.runs.iter().filter_map(|run| runs.fought.of(*run)) {
                let mut standings: Vec<&MarginScore> = standings.iter().filter(|it| it.visits > 1).collect();
                standings.sort_by(|one, other| one.margin.total_cmp(&other.margin));
                let count = standings.len() as f64;
                for (rank, it) in standings.into_iter().enumerate() {
                    let fought = usize::from(it.fought_back());
                    let of = &mut fared.entry(it.pair).or_insert_with(|| vec![None; ways.len()])[place];
                    let before = of.unwrap_or(Fared { met: 0, fought: 0, margin: f32::INFINITY });
                    let margin = before.margin.min(it.margin);
                    *of = Some(Fared { met: before.met + 1, fought: before.fought + fought, margin });
                    if it.fought_back() {
                        *behind.entry(it.pair).or_default() += 1.0 - rank as f64 / count;
                    }
                }
            }
        }
        let judged = fared.len();
        let rows = fared.into_iter().map(|(pair, fared)| FoughtPair { pair, fared });
        let mut rows: Vec<FoughtPair> = rows.filter(|row| row.ways() > 0).collect();
        let depth = |row: &FoughtPair| behind.get(&row.pair).copied().unwrap_or(0.0);
        rows.sort_by(|one, other| {
            other.ways().cmp(&one.ways()).then(depth(other).total_cmp(&depth(one))).then(one.pair.cmp(&other.pair))
        });
        Self { ways, rows, judged }
    }

    /// How many pairs fought back in several ways: "Of 390 pairs 29 fought back in every run; 56 did in MPO, 31 in
    /// DPO".
    pub fn in_words(&self) -> Option<String> {
        if self.ways.len() < 2 || self.rows.is_empty() {
            return None;
        }
        let everywhere = match self.rows.iter().filter(|row| row.is_everywhere()).count() {
            0 => "none".to_owned(),
            some => some.to_string(),
        };
        let lost = |way: usize| self.rows.iter().filter(|row| row.fared[way].is_some_and(Fared::is_lost)).count();
        let mut ways: Vec<(usize, &str)> =
            self.ways.iter().enumerate().map(|(place, way)| (lost(place), way.name.as_str())).collect();
        ways.sort_by_key(|(lost, _)| std::cmp::Reverse(*lost));
        let did = |(place, (lost, name)): (usize, &(usize, &str))| {
            if place == 0 { format!("{lost} did in {name}") } else { format!("{lost} in {name}") }
        };
        let each: Vec<String> = ways.iter().take(MOST_NAMED).enumerate().map(did).collect();
        let more = if ways.len() > MOST_NAMED { ", .." } else { "" };
        let judged = counted(self.judged, "pair", "pairs");
        Some(format!("Of {judged} {everywhere} fought back in every run; {}{more}", each.join(", ")))
    }

    /// All of them, those that fought back everywhere, and those of one way alone.
    pub fn lists(&self) -> Vec<PairList> {
        let list = |word: &str, is_in: &dyn Fn(&FoughtPair) -> bool| {
            let pairs: Vec<PairId> = self.rows.iter().filter(|row| is_in(row)).map(|row| row.pair).collect();
            let title = format!("{} that fought back{word}", counted(pairs.len(), "pair", "pairs"));
            PairList { word: word.trim_start().to_owned(), title, pairs }
        };
        let mut lists = Vec::new();
        if self.ways.len() > 1 {
            lists.push(list(" in every run", &FoughtPair::is_everywhere));
            let alone = self.ways.iter().enumerate();
            lists.extend(
                alone.map(|(place, way)| list(&format!(" only in {}", way.name), &|row| row.is_only_in(place))),
            );
        }
        lists.push(list("", &|_| true));
        lists.retain(|list| !list.pairs.is_empty());
        lists
    }
}

/// What is told of the runs that are shown, worked out again only when one of them was read anew.
#[derive(Debug, Default)]
pub struct Fought {
    of: Option<(u64, Vec<(RunId, String)>)>,
    told: Arc<FoughtPairs>,
}

impl Fought {
    pub fn of(&mut self, runs: &Runs, shown: &[&RunRecord]) -> Arc<FoughtPairs> {
        let of = (runs.fought.reads, shown.iter().map(|record| (record.id, record.name.clone())).collect());
        if self.of.as_ref() != Some(&of) {
            (self.told, self.of) = (Arc::new(FoughtPairs::of(runs, shown)), Some(of));
        }
        Arc::clone(&self.told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::tests::record_of;
    use store::{Revision, RunStatus};

    fn score(pair: i64, margin: f32) -> MarginScore {
        MarginScore { pair: PairId(pair), visits: 3, standing: 0.0, margin, middle: 1.0 }
    }

    /// Two seeds of one method and a run of another.
    fn runs() -> Runs {
        let mut runs = Runs::default();
        let toml = |beta: f64, seed: u64| format!("[objective]\nbeta = {beta:?}\n[train]\nshuffle_seed = {seed}\n");
        let mut records =
            [(1, 0.1, 0), (2, 0.1, 1), (3, 0.7, 0)].map(|(id, beta, seed)| record_of(id, &toml(beta, seed)));
        for record in &mut records {
            record.step = 300;
        }
        runs.set_records(records.to_vec());
        for (run, margins) in [(1, [-1.0, -3.0, 0.4, 2.0]), (2, [-2.0, 0.2, -0.1, 2.0]), (3, [-20.0, 5.0, 3.0, -9.0])] {
            let standings = margins.iter().zip(1..).map(|(margin, pair)| score(pair, *margin)).collect();
            runs.fought.put(RunId(run), standings);
        }
        runs
    }

    #[test]
    fn pairs_are_told_by_where_they_fought_back() {
        let runs = runs();
        let shown: Vec<&RunRecord> = runs.records.iter().collect();
        let mut view = Fought::default();
        let told = view.of(&runs, &shown);
        assert_eq!((told.ways.len(), told.judged), (2, 4), "seeds are one way");
        let pairs: Vec<i64> = told.rows.iter().map(|row| row.pair.0).collect();
        assert_eq!(pairs, [1, 4], "half of two seeds is not most of them");
        assert_eq!(told.rows[0].fared[0], Some(Fared { met: 2, fought: 2, margin: -2.0 }));
        let lists: Vec<(String, usize)> = told.lists().into_iter().map(|list| (list.title, list.pairs.len())).collect();
        let other = &told.ways[1].name;
        let titles =
            ["1 pair that fought back in every run".to_owned(), format!("1 pair that fought back only in {other}")];
        assert_eq!(lists[..2], titles.map(|title| (title, 1)));
        assert_eq!(lists[2], ("2 pairs that fought back".to_owned(), 2));
        assert!(Arc::ptr_eq(&told, &view.of(&runs, &shown)));
        let said = format!("Of 4 pairs 1 fought back in every run; 2 did in {other}, 1 in {}", told.ways[0].name);
        assert_eq!(told.in_words(), Some(said));
        let alone = view.of(&runs, &shown[2..]);
        assert_eq!(alone.in_words(), None);
        assert_eq!(alone.lists().len(), 1, "of one run nothing is everywhere");
    }

    #[test]
    fn a_pair_met_once_or_elsewhere_says_nothing_of_others() {
        let mut runs = runs();
        let mut once = score(1, -20.0);
        once.visits = 1;
        runs.fought.put(RunId(3), vec![once, score(4, -9.0)]);
        let shown: Vec<&RunRecord> = runs.records.iter().collect();
        let told = FoughtPairs::of(&runs, &shown);
        let row = told.rows.iter().find(|row| row.pair == PairId(1)).unwrap();
        assert_eq!(row.fared[1], None);
        assert!(!row.is_everywhere() && !row.is_only_in(0), "the other run has not met it twice");
    }

    #[test]
    fn what_has_changed_is_read_again_and_a_run_that_goes_seldom() {
        let mut runs = runs();
        let wanted = |runs: &Runs, revision| {
            runs.fought.wanted(&runs.records.iter().collect::<Vec<_>>(), Revision(revision)).len()
        };
        assert_eq!(wanted(&runs, 1), 3);
        let all = runs.fought.wanted(&runs.records.iter().collect::<Vec<_>>(), Revision(1));
        runs.fought.ask(&all);
        assert_eq!(wanted(&runs, 1), 0);
        assert_eq!(wanted(&runs, 2), 3, "pairs were changed");
        runs.records[0].step = 301;
        assert_eq!(wanted(&runs, 1), 1);
        runs.records[0].status = RunStatus::Running;
        assert_eq!(wanted(&runs, 1), 0);
        runs.records[0].step = 375;
        assert_eq!(wanted(&runs, 1), 1);
    }
}
