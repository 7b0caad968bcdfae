//! Parallel coordinates: an axis a setting that differs and a column of the table, a line a run.

use std::{collections::BTreeMap, ops::RangeInclusive};

use data::{Extent, Scale};
use store::{RunColumn, RunId, RunRecord, RunValue};

use super::{
    DifferentSetting,
    table::{self, Cell},
};
use crate::runs::Runs;

/// Fewer runs are told by a table.
pub const FEWEST: usize = 5;
/// Positive values that span more than this are laid by their power of ten.
const WIDE: f64 = 50.0;

/// An axis, and where each run stands on it: 0 at its foot, 1 at its head.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    pub column: RunColumn,
    pub title: String,
    /// In the order of the runs; absent where one has nothing there.
    pub places: Vec<Option<f64>>,
    /// The same in words.
    pub words: Vec<String>,
    /// What stands beside it: the ends, or every word there is.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Where runs stand on it, from its foot up.
    fn stops(&self) -> Vec<f64> {
        let mut stops: Vec<f64> = self.places.iter().flatten().copied().collect();
        stops.sort_by(f64::total_cmp);
        stops.dedup();
        stops
    }

    /// What is marked on it in words: "0.05 to 0.2"; absent where all runs pass.
    pub fn told(&self, marked: &Marked) -> Option<String> {
        let range = marked.range(&self.column)?;
        let mut kept: Vec<(f64, &str)> =
            self.places.iter().zip(&self.words).filter_map(|(place, word)| Some(((*place)?, &word[..]))).collect();
        kept.retain(|(place, _)| range.contains(place));
        kept.sort_by(|a, b| a.0.total_cmp(&b.0));
        Some(match (kept.first(), kept.last()) {
            (Some((_, low)), Some((_, high))) if low != high => format!("{low} to {high}"),
            (Some((_, only)), _) => (*only).to_owned(),
            _ => "no run".to_owned(),
        })
    }
}

/// The axes of some runs: what was set differently, then what came of it.
pub fn axes(runs: &Runs, shown: &[&RunRecord], differing: &[DifferentSetting], columns: &[RunColumn]) -> Vec<Axis> {
    let set = differing.iter().map(|difference| RunColumn::Setting(difference.key.clone()));
    let mut all: Vec<RunColumn> = Vec::new();
    for column in set.chain(columns.iter().cloned()) {
        if !all.contains(&column) {
            all.push(column);
        }
    }
    all.into_iter().filter_map(|column| axis(runs, shown, column)).collect()
}

/// Nothing where no two runs differ.
fn axis(runs: &Runs, shown: &[&RunRecord], column: RunColumn) -> Option<Axis> {
    let cells: Vec<Cell> = shown.iter().map(|record| table::cell(runs, record, &column)).collect();
    let words: Vec<String> = cells.iter().map(|cell| table::words(&column, cell)).collect();
    let numbers: Vec<Option<f64>> = cells
        .iter()
        .map(|cell| match cell {
            Cell::Value(RunValue::Number(value)) if value.is_finite() => Some(*value),
            _ => None,
        })
        .collect();
    let has_text = cells.iter().any(|cell| matches!(cell, Cell::Value(RunValue::Text(_))));
    let (places, ticks) = if has_text { by_word(&cells, &words)? } else { by_number(&column, &numbers)? };
    Some(Axis { title: table::title(&column), column, places, words, ticks })
}

type Laid = (Vec<Option<f64>>, Vec<(f64, String)>);

fn by_word(cells: &[Cell], words: &[String]) -> Option<Laid> {
    let there = || cells.iter().zip(words).filter(|(cell, _)| matches!(cell, Cell::Value(_))).map(|(_, word)| word);
    let mut known: Vec<&String> = there().collect();
    known.sort();
    known.dedup();
    if known.len() < 2 {
        return None;
    }
    let place = |index: usize| index as f64 / (known.len() - 1) as f64;
    let of = |(cell, word): (&Cell, &String)| {
        matches!(cell, Cell::Value(_)).then(|| known.binary_search(&word).ok().map(place)).flatten()
    };
    let places = cells.iter().zip(words).map(of).collect();
    Some((places, known.iter().enumerate().map(|(index, word)| (place(index), (*word).clone())).collect()))
}

fn by_number(column: &RunColumn, numbers: &[Option<f64>]) -> Option<Laid> {
    let values = || numbers.iter().flatten().copied();
    let (low, high) = (values().reduce(f64::min)?, values().reduce(f64::max)?);
    if low >= high {
        return None;
    }
    let scale = if low > 0.0 && high / low > WIDE { Scale::Log } else { Scale::Linear };
    let Extent { low, high } = Extent::around(values(), scale)?;
    let places = numbers.iter().map(|value| value.map(|value| (scale.place(value) - low) / (high - low))).collect();
    let word = |place: f64| table::words(column, &Cell::Value(RunValue::Number(scale.value(place))));
    Some((places, [(0.0, low), (1.0, high)].map(|(at, place)| (at, word(place))).to_vec()))
}

/// Stretches of axes that somebody has marked: lines that leave one of them are faded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Marked {
    pub stretches: BTreeMap<RunColumn, (f64, f64)>,
    /// The axes that there is room for; none while they are not drawn.
    pub drawn: Vec<RunColumn>,
    /// The axis that keys mark on.
    pub at: Option<RunColumn>,
    /// It was chosen since the last frame, and is to be seen.
    pub is_sought: bool,
}

/// An end of an axis, or of what is marked on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Lowest,
    Highest,
}

/// What a key does on the axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AxisMove {
    Next,
    Previous,
    /// The runs at this end of what is marked no longer pass.
    LeaveOut(End),
    /// The next runs beyond this end pass again.
    TakeIn(End),
    /// All runs pass there.
    PassAll,
    /// No axis is chosen any more.
    Leave,
}

impl Marked {
    /// Does what a key says. An end goes from where some run stands to where the next one does.
    pub fn press(&mut self, axes: &[Axis], to: AxisMove) {
        match to {
            AxisMove::Leave => self.at = None,
            AxisMove::Next | AxisMove::Previous => {
                let here = self.drawn.iter().position(|column| Some(column) == self.at.as_ref());
                let last = self.drawn.len().saturating_sub(1);
                let place = match (here, to) {
                    (None, AxisMove::Next) => 0,
                    (None, _) => last,
                    (Some(here), AxisMove::Next) => (here + 1).min(last),
                    (Some(here), _) => here.saturating_sub(1),
                };
                self.at = self.drawn.get(place).cloned();
                self.is_sought = self.at.is_some();
            }
            AxisMove::PassAll => {
                if let Some(column) = &self.at {
                    self.stretches.remove(column);
                }
            }
            AxisMove::LeaveOut(end) | AxisMove::TakeIn(end) => {
                let Some(axis) = axes.iter().find(|axis| Some(&axis.column) == self.at.as_ref()) else { return };
                let stops = axis.stops();
                let (Some(first), Some(last)) = (stops.first(), stops.last()) else { return };
                let (low, high) = self.stretches.get(&axis.column).copied().unwrap_or((*first, *last));
                let within: Vec<f64> = stops.iter().copied().filter(|stop| (low..=high).contains(stop)).collect();
                let moved = match (to, end) {
                    (AxisMove::LeaveOut(_), End::Lowest) => within.get(1).map(|next| (*next, high)),
                    (AxisMove::LeaveOut(_), End::Highest) => within.iter().nth_back(1).map(|next| (low, *next)),
                    (_, End::Lowest) => stops.iter().rfind(|stop| **stop < low).map(|next| (*next, high)),
                    (_, End::Highest) => stops.iter().find(|stop| **stop > high).map(|next| (low, *next)),
                };
                match moved {
                    Some((low, high)) if low <= *first && high >= *last => self.stretches.remove(&axis.column),
                    Some((low, high)) => self.stretches.insert(axis.column.clone(), (low, high)),
                    None => None,
                };
            }
        }
    }

    pub fn mark(&mut self, column: &RunColumn, from: f64, to: f64) {
        self.stretches.insert(column.clone(), (from.min(to), from.max(to)));
    }

    pub fn range(&self, column: &RunColumn) -> Option<RangeInclusive<f64>> {
        self.stretches.get(column).map(|(low, high)| *low..=*high)
    }

    /// Whether the run in this place runs through all marked stretches.
    pub fn holds(&self, axes: &[Axis], run: usize) -> bool {
        axes.iter().all(|axis| match self.range(&axis.column) {
            None => true,
            Some(range) => axis.places[run].is_some_and(|place| range.contains(&place)),
        })
    }
}

/// "Parallel coordinates of 6 runs; MPO: β 0.1, Held-out accuracy 77 %; ..".
pub fn spoken(axes: &[Axis], shown: &[&RunRecord]) -> String {
    let of = |(run, record): (usize, &&RunRecord)| {
        let places = axes.iter().map(|axis| format!("{} {}", axis.title, axis.words[run]));
        format!("{}: {}", record.name, places.collect::<Vec<_>>().join(", "))
    };
    let runs: Vec<String> = shown.iter().enumerate().map(of).collect();
    format!("Parallel coordinates chart of {} runs; {}", shown.len(), runs.join("; "))
}

/// The run whose line passes nearest to a place: between which axes, how far along, how high. At most `reach` away.
pub fn nearest(
    axes: &[Axis],
    shown: &[&RunRecord],
    (between, along, height): (usize, f64, f64),
    reach: f64,
) -> Option<RunId> {
    let (left, right) = (axes.get(between)?, axes.get(between + 1)?);
    let away = |run: usize| {
        let (from, to) = (left.places[run]?, right.places[run]?);
        Some((from + (to - from) * along - height).abs())
    };
    let all = shown.iter().enumerate().filter_map(|(run, record)| Some((away(run)?, record.id)));
    all.filter(|(away, _)| *away <= reach).min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, run)| run)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        runs::tests::record_of,
        runs::{History, Loaded},
        series::Series,
    };
    use store::Pick;

    #[test]
    fn only_what_differs_is_an_axis_and_lines_are_found_and_faded() {
        let mut runs = Runs::default();
        let toml = |beta: f64, kind: &str| format!("[objective]\nkind = \"{kind}\"\nbeta = {beta:?}\n");
        runs.set_records(
            [(1, 0.01, "mpo"), (2, 0.1, "dpo"), (3, 1.0, "dpo")]
                .map(|(id, beta, kind)| record_of(id, &toml(beta, kind)))
                .to_vec(),
        );
        for (run, value) in [(1, 0.6), (2, 0.8)] {
            let mut history = History { loaded: Loaded::Ready, ..History::default() };
            history.series.insert("loss".to_owned(), Series::from_points([[1.0, value]]));
            runs.history.insert(RunId(run), history);
        }
        runs.history.insert(RunId(3), History { loaded: Loaded::Ready, ..History::default() });
        let shown: Vec<&RunRecord> = runs.records.iter().collect();
        let differing = crate::compare::Differing::default().of(&runs, &shown);
        let axes = axes(&runs, &shown, &differing, &[RunColumn::Metric(Pick::Last, "loss".to_owned())]);
        let axis = |title: &str| axes.iter().find(|axis| axis.title == title).unwrap();
        // Two powers of ten: laid by them.
        assert_eq!(axis("β").places, [Some(0.0), Some(0.5), Some(1.0)]);
        assert_eq!(axis("Method").places, [Some(1.0), Some(0.0), Some(0.0)]);
        assert_eq!(axis("Method").ticks[0].1, "DPO");
        assert_eq!(axis("Loss").places, [Some(0.0), Some(1.0), None]);
        assert!(axes.iter().all(|axis| axis.title != "Shuffle seed"));

        let mut marked = Marked::default();
        marked.mark(&axis("β").column, 0.9, 0.2);
        assert_eq!([0, 1, 2].map(|run| marked.holds(&axes, run)), [false, true, false]);
        let beta = axes.iter().position(|axis| axis.title == "β").unwrap();
        assert_eq!(nearest(&axes, &shown, (beta, 0.0, 0.45), 0.1), Some(RunId(2)));
        assert_eq!(nearest(&axes, &shown, (beta, 0.0, 0.3), 0.1), None);
        assert!(spoken(&axes, &shown).contains("3 runs"));
    }

    #[test]
    fn keys_choose_an_axis_and_move_the_ends_of_what_is_marked_from_run_to_run() {
        use AxisMove::{LeaveOut, Next, PassAll, Previous, TakeIn};
        use End::{Highest, Lowest};

        let axis = |name: &str, places: [Option<f64>; 4]| Axis {
            column: RunColumn::Setting(name.to_owned()),
            title: name.to_owned(),
            places: places.to_vec(),
            words: places.iter().map(|place| place.map_or("–".to_owned(), |place| place.to_string())).collect(),
            ticks: Vec::new(),
        };
        let axes = [
            axis("a", [Some(0.0), Some(0.4), Some(0.4), Some(1.0)]),
            axis("b", [Some(1.0), None, Some(0.0), Some(0.5)]),
        ];
        let mut marked = Marked { drawn: axes.iter().map(|axis| axis.column.clone()).collect(), ..Marked::default() };
        let mut press = |all: &[AxisMove]| {
            for to in all {
                marked.press(&axes, *to);
            }
            let holds = (0..4).filter(|run| marked.holds(&axes, *run)).collect::<Vec<_>>();
            (holds, axes[1].told(&marked))
        };
        assert_eq!(press(&[LeaveOut(Lowest)]), (vec![0, 1, 2, 3], None), "no axis is chosen");
        assert_eq!(press(&[Next, LeaveOut(Lowest)]).0, [1, 2, 3]);
        assert_eq!(press(&[LeaveOut(Highest)]).0, [1, 2]);
        assert_eq!(press(&[LeaveOut(Highest), LeaveOut(Lowest)]).0, [1, 2], "one place always stays");
        assert_eq!(press(&[TakeIn(Highest)]).0, [1, 2, 3]);
        assert_eq!(press(&[Next, Next, LeaveOut(Highest)]), (vec![2, 3], Some("0 to 0.5".to_owned())));
        assert_eq!(press(&[LeaveOut(Lowest)]), (vec![3], Some("0.5".to_owned())));
        assert_eq!(press(&[Previous, PassAll]).0, [3]);
        assert_eq!(press(&[Next, TakeIn(Lowest), TakeIn(Highest)]), (vec![0, 1, 2, 3], None), "all that have a place");
        marked.press(&axes, AxisMove::Leave);
        assert_eq!(marked.at, None);
    }
}
