//! What a run measured: metrics by step, and every pair's own history.

use std::collections::HashMap;

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{
    Project, RunId,
    project::{Keep, Result},
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
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT name FROM metric_names
                 WHERE EXISTS (SELECT 1 FROM metrics WHERE run = ?1 AND metric = metric_names.id) ORDER BY id",
            )?;
            let names = statement.query_map([run.0], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            Ok(names)
        })
    }

    /// Points later than `after`, all when absent, by step. A value that was not a number is NaN.
    pub fn series(&self, run: RunId, name: &str, after: Option<u64>) -> Result<Vec<(u64, f64)>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT step, value FROM metrics
                 WHERE run = ?1 AND metric = (SELECT id FROM metric_names WHERE name = ?2) AND step > ?3 ORDER BY step",
            )?;
            let points = statement
                .query_map(params![run.0, name, before(after)], |row| {
                    Ok((row.get::<_, i64>(0)? as u64, number(row.get(1)?)))
                })?
                .collect::<rusqlite::Result<_>>()?;
            Ok(points)
        })
    }

    /// All metrics of steps later than `after`, by step, each in the order the names first came.
    #[expect(clippy::type_complexity, reason = "a step and its named values; a type would only rename the pair")]
    pub fn steps(&self, run: RunId, after: Option<u64>) -> Result<Vec<(u64, Vec<(String, f64)>)>> {
        self.snapshot(|connection| {
            let mut names: HashMap<i64, String> = HashMap::new();
            let mut statement = connection.prepare_cached("SELECT id, name FROM metric_names")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                names.insert(row.get(0)?, row.get(1)?);
            }
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

    /// Milliseconds since the run began, by step.
    pub fn step_times(&self, run: RunId) -> Result<Vec<(u64, u64)>> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT step, wall_ms FROM steps WHERE run = ?1 ORDER BY step")?;
            let times = statement
                .query_map([run.0], |row| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64)))?
                .collect::<rusqlite::Result<_>>()?;
            Ok(times)
        })
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

    fn visits_where(&self, condition: &'static str, run: RunId, numbers: [i64; 2]) -> Result<Vec<(u64, PairVisit)>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT step, pair, margin, push FROM visits WHERE run = ?1 AND {condition}"
            ))?;
            let visits = statement
                .query_map(params![run.0, numbers[0], numbers[1]], |row| {
                    let visit = PairVisit {
                        pair: PairId(row.get(1)?),
                        margin: number(row.get(2)?) as f32,
                        push: number(row.get(3)?) as f32,
                    };
                    Ok((row.get::<_, i64>(0)? as u64, visit))
                })?
                .collect::<rusqlite::Result<_>>()?;
            Ok(visits)
        })
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
