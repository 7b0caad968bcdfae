//! What the table of runs shows of runs whose curves are not here.

use std::collections::{BTreeMap, BTreeSet};

use store::{RunColumn, RunId};

/// Values as the project has them. Written only by `app`.
#[derive(Debug, Default)]
pub struct RunCells {
    /// With the step that the run stood at when they were read.
    cells: BTreeMap<(RunId, RunColumn), (u64, Option<f64>)>,
    asked: BTreeSet<(RunId, RunColumn, u64)>,
}

impl RunCells {
    pub fn fill(&mut self, run: RunId, column: RunColumn, step: u64, value: Option<f64>) {
        self.cells.insert((run, column), (step, value));
    }

    /// What was read last, with the step that the run stood at then.
    pub fn get(&self, run: RunId, column: &RunColumn) -> Option<(u64, Option<f64>)> {
        self.cells.get(&(run, column.clone())).copied()
    }

    /// Those of these cells that nobody has asked for yet; they count as asked from now on.
    pub fn ask(&mut self, wanted: Vec<(RunId, RunColumn, u64)>) -> Vec<(RunId, RunColumn, u64)> {
        wanted.into_iter().filter(|cell| self.asked.insert(cell.clone())).collect()
    }

    pub fn is_asked(&self, cell: &(RunId, RunColumn, u64)) -> bool {
        self.asked.contains(cell)
    }
}
