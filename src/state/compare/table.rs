//! The table of all runs: which rows, in which order, and what stands in a cell.

use std::cmp::Ordering;

use data::{
    config::{Setting, plain_number},
    metrics::{self, Better, StoredMetric},
};
use store::{Pick, RunColumn, RunFilter, RunId, RunRecord, RunValue};

use super::board::{Board, SortRunsBy};
use crate::{
    launch,
    runs::{Loaded, Runs},
    series::Series,
};

/// What stands in a cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Value(RunValue),
    /// The run has not measured it.
    Nothing,
    /// To be read first.
    Unread,
}

/// A cell of a run.
pub fn cell(runs: &Runs, record: &RunRecord, column: &RunColumn) -> Cell {
    let value = match column {
        RunColumn::Setting(key) => {
            runs.settings(record.id).and_then(|settings| settings.table.get(key)).map(|text| RunValue::of_setting(text))
        }
        RunColumn::Metric(pick, name) => match runs.history(record.id).filter(|it| it.loaded == Loaded::Ready) {
            Some(history) => history.series(name).and_then(|series| of_series(series, *pick)).map(RunValue::Number),
            None => match runs.cells.get(record.id, column) {
                // A run that went on elsewhere has newer ones; until they are read the older ones stand.
                Some((_, value)) => value.map(RunValue::Number),
                None => return Cell::Unread,
            },
        },
    };
    value.map_or(Cell::Nothing, Cell::Value)
}

fn of_series(series: &Series, pick: Pick) -> Option<f64> {
    let point = match pick {
        Pick::Last => series.latest(),
        Pick::Highest => series.extremes().map(|(_, high)| high),
        Pick::Lowest => series.extremes().map(|(low, _)| low),
        Pick::At(step) => {
            let upto = series.points().partition_point(|point| point[0] <= step as f64);
            series.points()[..upto].iter().rev().find(|point| point[1].is_finite()).copied()
        }
    };
    point.map(|point| point[1])
}

/// The cells that have to be read from the project: of runs whose curves are not here.
pub fn unread(runs: &Runs, columns: &[RunColumn]) -> Vec<(RunId, RunColumn, u64)> {
    let metrics = columns.iter().filter(|column| matches!(column, RunColumn::Metric(..)));
    let of = |column: &RunColumn| {
        let column = column.clone();
        runs.records.iter().filter_map(move |record| {
            let is_here = runs.history(record.id).is_some_and(|history| history.loaded == Loaded::Ready);
            let known = runs.cells.get(record.id, &column).is_some_and(|(step, _)| step == record.step);
            let cell = (record.id, column.clone(), record.step);
            (!is_here && !known && !runs.cells.is_asked(&cell)).then_some(cell)
        })
    };
    metrics.flat_map(of).collect()
}

/// The columns of the board, and those that its filter asks about.
pub fn columns_needed(board: &Board, filter: &RunFilter) -> Vec<RunColumn> {
    let asked = filter.names().filter(|name| !is_setting(name));
    let asked = asked.map(|name| RunColumn::Metric(Pick::Last, name.to_owned()));
    let mut columns: Vec<RunColumn> = board.table.iter().cloned().chain(asked).collect();
    columns.sort();
    columns.dedup();
    columns
}

fn is_setting(name: &str) -> bool {
    Setting::of(name).is_some()
}

/// Whether a run is listed.
pub fn is_listed(runs: &Runs, record: &RunRecord, filter: &RunFilter, archived: bool) -> bool {
    let value = |name: &str| {
        let column = if is_setting(name) {
            RunColumn::Setting(name.to_owned())
        } else {
            RunColumn::Metric(Pick::Last, name.to_owned())
        };
        match cell(runs, record, &column) {
            Cell::Value(value) => Some(value),
            Cell::Nothing | Cell::Unread => None,
        }
    };
    (archived || !record.marks.archived) && filter.holds(record, value)
}

/// The runs that are listed, in their order: pinned ones first.
pub fn rows<'r>(runs: &'r Runs, board: &Board, filter: &RunFilter) -> Vec<(usize, &'r RunRecord)> {
    let mut rows: Vec<(usize, &RunRecord)> =
        runs.tree().into_iter().filter(|(_, record)| is_listed(runs, record, filter, board.archived)).collect();
    let as_tree = board.sort == SortRunsBy::Made && !board.reversed;
    if !as_tree {
        rows.sort_by(|(_, one), (_, other)| {
            let order = compare(runs, one, other, &board.sort);
            if board.reversed { order.reverse() } else { order }
        });
        // Where something is missing the run comes last, whichever way the others stand.
        if let SortRunsBy::Column(column) = &board.sort {
            rows.sort_by_key(|(_, record)| !matches!(cell(runs, record, column), Cell::Value(_)));
        }
        for (depth, _) in &mut rows {
            *depth = 0;
        }
    }
    let has_pins = rows.iter().any(|(_, record)| record.marks.pinned);
    rows.sort_by_key(|(_, record)| !record.marks.pinned);
    if has_pins {
        // A fork that stands away from its run is no branch under another one.
        for place in 0..rows.len() {
            let above = place.checked_sub(1).map_or(0, |above| rows[above].0 + 1);
            rows[place].0 = rows[place].0.min(above);
            if rows[place].1.marks.pinned {
                rows[place].0 = 0;
            }
        }
    }
    rows
}

fn compare(runs: &Runs, one: &RunRecord, other: &RunRecord, by: &SortRunsBy) -> Ordering {
    let newest_first = other.id.cmp(&one.id);
    let order = match by {
        SortRunsBy::Made => newest_first,
        SortRunsBy::Name => one.name.to_lowercase().cmp(&other.name.to_lowercase()),
        SortRunsBy::Method => one.method.cmp(&other.method),
        SortRunsBy::Step => other.step.cmp(&one.step),
        SortRunsBy::Column(column) => match (cell(runs, one, column), cell(runs, other, column)) {
            (Cell::Value(a), Cell::Value(b)) => RunColumn::order(better(runs, column), &a, &b),
            _ => Ordering::Equal,
        },
    };
    order.then(newest_first)
}

/// Which way is better in a column, where runs of any method may be compared by it. The best stands first, and where
/// nothing is better the largest.
pub fn better(runs: &Runs, column: &RunColumn) -> Better {
    match column {
        RunColumn::Setting(_) => Better::Neither,
        RunColumn::Metric(_, name) => runs.better(name),
    }
}

/// The head of a column.
pub fn title(column: &RunColumn) -> String {
    let short = |name: &str| StoredMetric::of(name).map_or_else(|| metrics::caption(name), StoredMetric::column);
    match column {
        RunColumn::Setting(key) => launch::label_of(key).to_owned(),
        RunColumn::Metric(Pick::Last, name) => short(name),
        RunColumn::Metric(Pick::Highest, name) => format!("{}, highest", short(name)),
        RunColumn::Metric(Pick::Lowest, name) => format!("{}, lowest", short(name)),
        RunColumn::Metric(Pick::At(step), name) => format!("{} at step {step}", short(name)),
    }
}

/// A cell for a reader.
pub fn words(column: &RunColumn, cell: &Cell) -> String {
    match (column, cell) {
        (_, Cell::Unread) => "…".to_owned(),
        (_, Cell::Nothing) => "–".to_owned(),
        (RunColumn::Metric(_, name), Cell::Value(RunValue::Number(value))) => metrics::value(name, *value),
        (RunColumn::Setting(_), Cell::Value(RunValue::Number(value))) => plain_number(*value),
        (RunColumn::Setting(key), Cell::Value(RunValue::Text(text))) => {
            Setting::of(key).map_or(text.as_str(), |setting| setting.shown(text)).to_owned()
        }
        (_, Cell::Value(RunValue::Text(text))) => text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{runs::History, runs::tests::record_of};

    fn runs() -> Runs {
        let mut runs = Runs::default();
        let toml = |beta: f64| format!("[objective]\nbeta = {beta:?}\n");
        let mut records: Vec<RunRecord> =
            [(1, 0.1), (2, 0.3), (3, 0.2)].map(|(id, beta)| record_of(id, &toml(beta))).to_vec();
        for (record, name) in records.iter_mut().zip(["a", "b", "c"]) {
            record.name = name.to_owned();
        }
        runs.set_records(records);
        for (run, values) in [(1, [0.2, 0.9, 0.6]), (2, [0.1, 0.3, 0.7])] {
            let mut history = History { loaded: Loaded::Ready, ..History::default() };
            let points = values.iter().enumerate().map(|(step, value)| [step as f64 * 10.0, *value]);
            history.series.insert(metrics::HELD_OUT_ACCURACY.to_owned(), Series::from_points(points));
            runs.history.insert(RunId(run), history);
        }
        runs
    }

    fn accuracy(pick: Pick) -> RunColumn {
        RunColumn::Metric(pick, metrics::HELD_OUT_ACCURACY.to_owned())
    }

    fn names(runs: &Runs, board: &Board, filter: &str) -> String {
        rows(runs, board, &RunFilter::of(filter)).iter().map(|(_, record)| record.name.as_str()).collect()
    }

    #[test]
    fn cells_are_picked_from_curves_that_are_here_and_read_where_they_are_not() {
        let mut runs = runs();
        let value =
            |runs: &Runs, run: usize, pick| words(&accuracy(pick), &cell(runs, &runs.records[run], &accuracy(pick)));
        assert_eq!(
            [Pick::Last, Pick::Highest, Pick::Lowest, Pick::At(15)].map(|pick| value(&runs, 0, pick)),
            ["60 %", "90 %", "20 %", "90 %"]
        );
        assert_eq!(value(&runs, 2, Pick::Last), "…");
        let wanted = unread(&runs, &[accuracy(Pick::Last), RunColumn::Setting("objective.beta".to_owned())]);
        assert_eq!(wanted, [(RunId(3), accuracy(Pick::Last), 0)]);
        assert_eq!(runs.cells.ask(wanted.clone()).len(), 1);
        assert!(runs.cells.ask(wanted).is_empty(), "a frame asks once");
        runs.cells.fill(RunId(3), accuracy(Pick::Last), 0, Some(0.5));
        assert_eq!(value(&runs, 2, Pick::Last), "50 %");
        assert!(unread(&runs, &[accuracy(Pick::Last)]).is_empty());
        runs.records[2].step = 7;
        assert_eq!(unread(&runs, &[accuracy(Pick::Last)]).len(), 1, "it went on elsewhere");
    }

    #[test]
    fn the_best_stands_first_and_what_is_missing_last_whichever_way() {
        let runs = runs();
        let mut board = Board { sort: SortRunsBy::Column(accuracy(Pick::Last)), ..Board::default() };
        assert_eq!(names(&runs, &board, ""), "bac");
        board.reversed = true;
        assert_eq!(names(&runs, &board, ""), "abc");
        board = Board { sort: SortRunsBy::Column(RunColumn::Setting("objective.beta".to_owned())), ..Board::default() };
        assert_eq!(names(&runs, &board, ""), "bca");
        board.sort = SortRunsBy::Name;
        assert_eq!(names(&runs, &board, ""), "abc");
        board.sort = SortRunsBy::Made;
        assert_eq!(names(&runs, &board, ""), "cba");
    }

    #[test]
    fn a_rule_says_which_way_its_share_is_better() {
        let mut runs = runs();
        for (run, share) in [(1, 0.2), (2, 0.9)] {
            let history = runs.history.get_mut(&RunId(run)).unwrap();
            history.series.insert("judged/spill".to_owned(), Series::from_points([[10.0, share]]));
        }
        let column = RunColumn::Metric(Pick::Last, "judged/spill".to_owned());
        let board = Board { sort: SortRunsBy::Column(column.clone()), ..Board::default() };
        assert_eq!((better(&runs, &column), names(&runs, &board, "").as_str()), (Better::Neither, "bac"));
        runs.rules = judge::heads(["[[rule]]\nname = \"spill\"\nbetter = \"less\"\n"]);
        assert_eq!((better(&runs, &column), names(&runs, &board, "").as_str()), (Better::Less, "abc"));
    }

    #[test]
    fn runs_are_filtered_pinned_and_put_away() {
        let mut runs = runs();
        let mut board = Board::default();
        assert_eq!(names(&runs, &board, "objective.beta>0.15"), "cb");
        assert_eq!(names(&runs, &board, "eval_rewards/accuracies>=0.7"), "b");
        runs.records[0].marks.pinned = true;
        runs.records[1].marks.archived = true;
        assert_eq!(names(&runs, &board, ""), "ac");
        board.archived = true;
        assert_eq!(names(&runs, &board, ""), "acb");
        let needed = columns_needed(&board, &RunFilter::of("loss<1 objective.beta>0"));
        assert!(
            needed.contains(&RunColumn::Metric(Pick::Last, "loss".to_owned())) && needed.len() == board.table.len() + 1
        );
    }
}
