//! What a run measured: metrics by step, and every pair's own history.

use std::collections::HashMap;

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{
    Project, RunId,
    project::{Keep, Result},
    rows::rows,
};
use ::data::PairId;

/// One pair met in one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairVisit {
    pub pair: PairId,
    /// m_θ of the run's own margin kind, before the step.
    pub margin: f32,
    /// |∂loss/∂m|.
    pub push: f32,
}

/// A pair that a stretch of steps met.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairInSteps {
    pub pair: PairId,
    pub visits: usize,
    /// Where it was met first.
    pub step: u64,
    /// Its margin there, before that step.
    pub margin: f32,
    /// The mean of its visits.
    pub push: f32,
    /// Its margin when it was met next after the stretch, or last in it; absent where it was met once and never again.
    pub after: Option<f32>,
}

impl PairInSteps {
    /// What the margin moved by.
    pub fn change(&self) -> Option<f32> {
        self.after.map(|after| after - self.margin)
    }
}

impl Project {
    /// Adds to the step if it already has metrics; a name that is there is replaced. `wall_ms`: since the run began.
    pub fn append_step(&mut self, run: RunId, step: u64, wall_ms: u64, metrics: &[(String, f64)]) -> Result<()> {
        self.write(Keep::Kill, |tx| {
            tx.prepare_cached("INSERT OR IGNORE INTO steps (run, step, wall_ms) VALUES (?1, ?2, ?3)")?
                .execute(params![run.0, step as i64, wall_ms as i64])?;
            let mut insert =
                tx.prepare_cached("INSERT OR REPLACE INTO metrics (run, metric, step, value) VALUES (?1, ?2, ?3, ?4)")?;
            for (name, value) in metrics {
                insert.execute(params![run.0, metric_id(tx, name)?, step as i64, value])?;
            }
            Ok(())
        })
    }

    /// Names of all metrics of a run, in the order they first came.
    pub fn metrics(&self, run: RunId) -> Result<Vec<String>> {
        self.read_rows(
            "SELECT name FROM metric_names
                 WHERE EXISTS (SELECT 1 FROM metrics WHERE run = ?1 AND metric = metric_names.id) ORDER BY id",
            [run.0],
            |row| Ok(row.get(0)?),
        )
    }

    /// Points later than `after`, all when absent, by step. A value that was not a number is NaN.
    pub fn series(&self, run: RunId, name: &str, after: Option<u64>) -> Result<Vec<(u64, f64)>> {
        self.read_rows(
            "SELECT step, value FROM metrics
                 WHERE run = ?1 AND metric = (SELECT id FROM metric_names WHERE name = ?2) AND step > ?3 ORDER BY step",
            params![run.0, name, before(after)],
            |row| Ok((row.get::<_, i64>(0)? as u64, number(row.get(1)?))),
        )
    }

    /// All metrics of steps later than `after`, by step, each in the order the names first came.
    #[expect(clippy::type_complexity, reason = "a step and its named values; a type would only rename the pair")]
    pub fn steps(&self, run: RunId, after: Option<u64>) -> Result<Vec<(u64, Vec<(String, f64)>)>> {
        self.snapshot(|connection| {
            let names: HashMap<i64, String> =
                rows(connection, "SELECT id, name FROM metric_names", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let mut statement = connection.prepare_cached(
                "SELECT step, metric, value FROM metrics WHERE run = ?1 AND step > ?2 ORDER BY step, metric",
            )?;
            let mut rows = statement.query(params![run.0, before(after)])?;
            let mut steps: Vec<(u64, Vec<(String, f64)>)> = Vec::new();
            while let Some(row) = rows.next()? {
                let step = row.get::<_, i64>(0)? as u64;
                if steps.last().is_none_or(|(last, _)| *last != step) {
                    steps.push((step, Vec::new()));
                }
                if let (Some((_, metrics)), Some(name)) = (steps.last_mut(), names.get(&row.get(1)?)) {
                    metrics.push((name.clone(), number(row.get(2)?)));
                }
            }
            Ok(steps)
        })
    }

    /// Milliseconds of training since the run began, by step.
    pub fn step_times(&self, run: RunId) -> Result<Vec<(u64, u64)>> {
        self.step_times_after(run, None)
    }

    /// The same of steps later than `after`.
    pub fn step_times_after(&self, run: RunId, after: Option<u64>) -> Result<Vec<(u64, u64)>> {
        self.read_rows(
            "SELECT step, wall_ms FROM steps WHERE run = ?1 AND step > ?2 ORDER BY step",
            params![run.0, before(after)],
            |row| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64)),
        )
    }

    pub fn append_pair_visits(&mut self, run: RunId, step: u64, visits: &[PairVisit]) -> Result<()> {
        self.write(Keep::Kill, |tx| {
            let mut insert = tx.prepare_cached(
                "INSERT OR REPLACE INTO visits (run, pair, step, margin, push) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            for PairVisit { pair, margin, push } in visits {
                insert.execute(params![run.0, pair.0, step as i64, f64::from(*margin), f64::from(*push)])?;
            }
            Ok(())
        })
    }

    /// The steps at which a run met a pair, in order.
    pub fn pair_history(&self, run: RunId, pair: PairId) -> Result<Vec<(u64, PairVisit)>> {
        self.visits_where("pair = ?2 AND ?3 = ?3 ORDER BY step", run, [pair.0, 0])
    }

    /// All pairs met in steps `from..=to`, by step.
    pub fn visits(&self, run: RunId, from: u64, to: u64) -> Result<Vec<(u64, PairVisit)>> {
        self.visits_where(
            "step BETWEEN ?2 AND ?3 ORDER BY step, pair",
            run,
            [from as i64, to.min(i64::MAX as u64) as i64],
        )
    }

    /// The pairs met in steps `from..=to`, by id.
    pub fn pairs_in_steps(&self, run: RunId, from: u64, to: u64) -> Result<Vec<PairInSteps>> {
        self.read(|connection| {
            // The bare `margin` is that of the row with the lowest step.
            let mut statement = connection.prepare_cached(
                "SELECT pair, count(*), min(step), margin, avg(push),
                    (SELECT later.margin FROM visits AS later
                     WHERE later.run = ?1 AND later.pair = met.pair AND later.step > ?3 ORDER BY later.step LIMIT 1),
                    (SELECT later.margin FROM visits AS later
                     WHERE later.run = ?1 AND later.pair = met.pair AND later.step <= ?3 ORDER BY later.step DESC LIMIT 1)
                 FROM visits AS met WHERE run = ?1 AND step BETWEEN ?2 AND ?3 GROUP BY pair ORDER BY pair",
            )?;
            let to = to.min(i64::MAX as u64) as i64;
            let met = statement
                .query_map(params![run.0, from as i64, to], |row| {
                    let visits = row.get::<_, i64>(1)? as usize;
                    let (next, last): (Option<f64>, Option<f64>) = (row.get(5)?, row.get(6)?);
                    let after = next.or(last.filter(|_| visits > 1));
                    Ok(PairInSteps {
                        pair: PairId(row.get(0)?),
                        visits,
                        step: row.get::<_, i64>(2)? as u64,
                        margin: number(row.get(3)?) as f32,
                        push: number(row.get(4)?) as f32,
                        after: after.map(|margin| margin as f32),
                    })
                })?
                .collect::<rusqlite::Result<_>>()?;
            Ok(met)
        })
    }

    /// Where a pair stood among those of the same step, for each of its visits in order: how many had a lower margin,
    /// and how many others there were.
    pub fn pair_ranks(&self, run: RunId, pair: PairId) -> Result<Vec<(usize, usize)>> {
        self.read_rows(
            "SELECT
                    (SELECT count(*) FROM visits AS other
                     WHERE other.run = ?1 AND other.step = own.step AND other.margin < own.margin),
                    (SELECT count(*) FROM visits AS other WHERE other.run = ?1 AND other.step = own.step) - 1
                 FROM visits AS own WHERE run = ?1 AND pair = ?2 ORDER BY step",
            [run.0, pair.0],
            |row| Ok((row.get::<_, i64>(0)? as usize, row.get::<_, i64>(1)? as usize)),
        )
    }

    fn visits_where(&self, condition: &'static str, run: RunId, numbers: [i64; 2]) -> Result<Vec<(u64, PairVisit)>> {
        self.read_rows(
            &format!("SELECT step, pair, margin, push FROM visits WHERE run = ?1 AND {condition}"),
            params![run.0, numbers[0], numbers[1]],
            |row| {
                let visit = PairVisit {
                    pair: PairId(row.get(1)?),
                    margin: number(row.get(2)?) as f32,
                    push: number(row.get(3)?) as f32,
                };
                Ok((row.get::<_, i64>(0)? as u64, visit))
            },
        )
    }
}

fn metric_id(tx: &Transaction<'_>, name: &str) -> Result<i64> {
    let known = tx
        .prepare_cached("SELECT id FROM metric_names WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    tx.execute("INSERT INTO metric_names (name) VALUES (?1)", [name])?;
    Ok(tx.last_insert_rowid())
}

/// Steps count from 0, so nothing is later than absent and everything is later than -1.
fn before(after: Option<u64>) -> i64 {
    after.map_or(-1, |after| after.min(i64::MAX as u64) as i64)
}

/// SQLite keeps NaN as NULL.
fn number(value: Option<f64>) -> f64 {
    value.unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NewRun, ProjectSettings};

    #[test]
    fn a_stretch_of_steps_says_what_it_did_to_its_pairs() {
        let dir = tempfile::tempdir().unwrap();
        let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        let new = NewRun { name: "r".to_owned(), method: "MPO".to_owned(), ..NewRun::default() };
        let run = project.create_run(&new).unwrap();
        let visit = |pair, margin, push| PairVisit { pair: PairId(pair), margin, push };
        project.append_pair_visits(run, 1, &[visit(7, 0.0, 0.5), visit(8, 1.0, 0.25)]).unwrap();
        project.append_pair_visits(run, 2, &[visit(7, 2.0, 0.25), visit(9, -1.0, 0.5)]).unwrap();
        project.append_pair_visits(run, 3, &[visit(7, 5.0, 0.125)]).unwrap();
        let met = project.pairs_in_steps(run, 1, 2).unwrap();
        let told: Vec<_> = met.iter().map(|met| (met.pair.0, met.visits, met.step, met.push, met.change())).collect();
        assert_eq!(told, [(7, 2, 1, 0.375, Some(5.0)), (8, 1, 1, 0.25, None), (9, 1, 2, 0.5, None)]);
        let last = project.pairs_in_steps(run, 1, 3).unwrap()[0];
        assert_eq!((last.margin, last.change()), (0.0, Some(5.0)), "the last visit within, where none follows");
        assert_eq!(project.pair_ranks(run, PairId(7)).unwrap(), [(0, 1), (1, 1), (0, 0)]);
        assert_eq!(project.pairs_in_steps(run, 4, u64::MAX).unwrap(), []);
    }
}
