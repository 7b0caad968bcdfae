//! How the runs of a project are looked at: which of them, which charts in which order. Kept with the project.

use std::collections::BTreeSet;

use data::{
    Across, Scale,
    metrics::{
        HELD_OUT_ACCURACY, HELD_OUT_LOSS, HELD_OUT_MARGIN, HELD_OUT_SCORE_ACCURACY, KL_REF, SAMPLED_KL, SAMPLED_SCORE,
        judged,
    },
};
use serde::{Deserialize, Serialize};
use store::{Pick, RunColumn, RunId};

/// Under this the project has it among its settings.
pub const KEY: &str = "compare";
/// More charts side by side would be too narrow to read.
pub const MOST_COLUMNS: usize = 3;

/// Charted until somebody chooses, as far as the runs have measured them.
const USUAL: [&str; 7] =
    [HELD_OUT_ACCURACY, KL_REF, HELD_OUT_MARGIN, HELD_OUT_LOSS, HELD_OUT_SCORE_ACCURACY, SAMPLED_SCORE, SAMPLED_KL];

/// In the table of runs until somebody chooses.
const USUAL_COLUMNS: [(Pick, &str); 4] = [
    (Pick::Last, HELD_OUT_ACCURACY),
    (Pick::Highest, HELD_OUT_ACCURACY),
    (Pick::Last, KL_REF),
    (Pick::Last, HELD_OUT_MARGIN),
];

/// The two faces of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChartsOrTable {
    #[default]
    Charts,
    Table,
}

/// By what the table of runs is sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SortRunsBy {
    /// Newest first, forks under their runs.
    #[default]
    Made,
    Name,
    Method,
    Step,
    Column(RunColumn),
}

/// What the project remembers of its Compare screen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Board {
    /// Absent until the first tick: the newest runs.
    pub picked: Option<BTreeSet<RunId>>,
    /// What is charted, in reading order.
    pub metrics: Vec<String>,
    /// Shares that rules count and that came among the charts by themselves: once, so that they can be taken away.
    pub offered: BTreeSet<String>,
    /// Charts side by side, as far as there is room.
    pub columns: usize,
    /// Weight of the past in the moving average, 0 = raw.
    pub smoothing: f64,
    pub scale: Scale,
    /// Values far from the others do not stretch an axis.
    pub clip: bool,
    /// What the charts have across.
    pub x: Across,
    /// How charts are drawn can be set also where there is no room for it in one row.
    pub controls: bool,
    pub face: ChartsOrTable,
    pub table: Vec<RunColumn>,
    pub sort: SortRunsBy,
    /// Turned round.
    pub reversed: bool,
    /// Runs that were put away are listed too.
    pub archived: bool,
    /// The axes of the frontier.
    pub across: Across,
    pub up: String,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            picked: None,
            metrics: USUAL.map(str::to_owned).to_vec(),
            offered: BTreeSet::new(),
            columns: 2,
            smoothing: 0.0,
            scale: Scale::default(),
            clip: false,
            x: Across::default(),
            controls: false,
            face: ChartsOrTable::default(),
            table: USUAL_COLUMNS.map(|(pick, name)| RunColumn::Metric(pick, name.to_owned())).to_vec(),
            sort: SortRunsBy::default(),
            reversed: false,
            archived: false,
            across: Across::Drift,
            up: HELD_OUT_ACCURACY.to_owned(),
        }
    }
}

impl Board {
    /// What a project has kept. Text that cannot be read, e.g. of a later version, is none.
    pub fn from_text(text: &str) -> Self {
        let mut board: Self = toml::from_str(text).unwrap_or_default();
        board.columns = board.columns.clamp(1, MOST_COLUMNS);
        board.smoothing = if board.smoothing.is_finite() { board.smoothing.clamp(0.0, 0.98) } else { 0.0 };
        board
    }

    /// # Errors
    /// Of the serialiser; none is known for these values.
    pub fn to_text(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// The charts there are: what was chosen, as far as any run has measured it, else what is there at all.
    pub fn charts(&self, present: &[String]) -> Vec<String> {
        let chosen = self.metrics.iter().filter(|name| present.contains(name));
        let charts: Vec<String> = chosen.cloned().collect();
        if charts.is_empty() { present.iter().take(1).cloned().collect() } else { charts }
    }

    /// What rules count comes behind accuracy and drift, until somebody has chosen charts.
    pub fn offer(&mut self, present: &[String]) {
        let is_own = |name: &&String| !self.offered.contains(*name);
        if !self.metrics.iter().filter(is_own).eq(&USUAL) {
            return;
        }
        let shares = present.iter().filter(|name| judged::rule(name).is_some());
        let new: Vec<String> = shares.filter(|name| !self.offered.contains(*name)).cloned().collect();
        let is_before =
            |name: &String| [HELD_OUT_ACCURACY, KL_REF].contains(&name.as_str()) || self.offered.contains(name);
        let place = self.metrics.iter().take_while(|name| is_before(name)).count();
        self.offered.extend(new.iter().cloned());
        self.metrics.splice(place..place, new);
    }

    /// One more chart, after the others.
    pub fn add(&mut self, metric: &str) {
        if !self.metrics.iter().any(|name| name == metric) {
            self.metrics.push(metric.to_owned());
        }
    }

    pub fn remove(&mut self, metric: &str) {
        self.metrics.retain(|name| name != metric);
    }

    /// Changes places with the next of the `charts` that are shown, or with the one before.
    pub fn shift(&mut self, metric: &str, later: bool, charts: &[String]) {
        let Some(at) = charts.iter().position(|name| name == metric) else { return };
        let other = if later { charts.get(at + 1) } else { at.checked_sub(1).and_then(|before| charts.get(before)) };
        if let Some(other) = other {
            self.move_to(metric, other);
        }
    }

    /// Takes the place of another chart; those between them move up.
    pub fn move_to(&mut self, metric: &str, place_of: &str) {
        let find = |wanted: &str| self.metrics.iter().position(|name| name == wanted);
        if let (Some(from), Some(to)) = (find(metric), find(place_of)) {
            let metric = self.metrics.remove(from);
            self.metrics.insert(to, metric);
        }
    }

    /// One chart more or fewer side by side.
    pub fn widen(&mut self, more: bool) {
        let columns = if more { self.columns + 1 } else { self.columns.saturating_sub(1) };
        self.columns = columns.clamp(1, MOST_COLUMNS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_is_kept_is_read_back_and_what_cannot_be_read_is_the_usual() {
        let board = Board {
            picked: Some([RunId(3), RunId(5)].into()),
            metrics: names(&["loss", "judged/short"]),
            offered: ["judged/short".to_owned()].into(),
            columns: 3,
            smoothing: 0.5,
            scale: Scale::SymLog,
            clip: true,
            x: Across::Tokens,
            controls: true,
            face: ChartsOrTable::Table,
            table: vec![
                RunColumn::Metric(Pick::At(40), "loss".to_owned()),
                RunColumn::Setting("objective.beta".to_owned()),
            ],
            sort: SortRunsBy::Column(RunColumn::Metric(Pick::At(40), "loss".to_owned())),
            reversed: true,
            archived: true,
            across: Across::Seconds,
            up: "judged/short".to_owned(),
        };
        assert_eq!(Board::from_text(&board.to_text().unwrap()), board);
        assert_eq!(Board::from_text("columns = ["), Board::default());
        let strange = Board::from_text("columns = 900\nsmoothing = nan\n");
        assert_eq!((strange.columns, strange.smoothing), (MOST_COLUMNS, 0.0));
    }

    #[test]
    fn only_what_was_measured_is_charted_and_something_always_is() {
        let board = Board { metrics: names(&["kl/ref", "loss"]), ..Board::default() };
        assert_eq!(board.charts(&names(&["grad_norm", "loss"])), ["loss"]);
        assert_eq!(board.charts(&names(&["grad_norm"])), ["grad_norm"]);
        assert_eq!(board.charts(&[]), Vec::<String>::new());
    }

    #[test]
    fn what_rules_count_is_charted_by_itself_until_somebody_chooses() {
        let present = names(&["judged/manner", "judged/spill", HELD_OUT_ACCURACY, HELD_OUT_LOSS, KL_REF]);
        let mut board = Board::default();
        board.offer(&present[2..]);
        assert_eq!(board, Board::default());
        board.offer(&present[..1]);
        board.offer(&present);
        let charts = names(&[HELD_OUT_ACCURACY, KL_REF, "judged/manner", "judged/spill", HELD_OUT_LOSS]);
        assert_eq!(board.charts(&present), charts);
        board.remove("judged/spill");
        board.offer(&present);
        assert!(!board.metrics.contains(&"judged/spill".to_owned()), "it was taken away");
        let mut own = Board { metrics: names(&[KL_REF]), ..Board::default() };
        own.offer(&present);
        assert_eq!(own.metrics, [KL_REF]);
    }

    #[test]
    fn charts_are_moved_among_those_that_are_shown() {
        let mut board = Board { metrics: names(&["a", "hidden", "b", "c"]), ..Board::default() };
        let present = names(&["a", "b", "c", "d"]);
        board.shift("a", true, &board.charts(&present));
        assert_eq!(board.charts(&present), ["b", "a", "c"]);
        board.shift("b", false, &board.charts(&present));
        assert_eq!(board.charts(&present), ["b", "a", "c"], "nothing stands before the first");
        board.move_to("c", "b");
        assert_eq!(board.charts(&present), ["c", "b", "a"]);
        board.add("d");
        board.add("d");
        board.remove("c");
        assert_eq!(board.charts(&present), ["b", "a", "d"]);
        assert!(board.metrics.contains(&"hidden".to_owned()), "it comes back with a run that has it");
    }

    #[test]
    fn columns_stay_within_what_can_be_read() {
        let mut board = Board::default();
        for _ in 0..5 {
            board.widen(true);
        }
        assert_eq!(board.columns, MOST_COLUMNS);
        for _ in 0..5 {
            board.widen(false);
        }
        assert_eq!(board.columns, 1);
    }
}
