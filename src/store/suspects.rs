//! Which labels a run argues against.

use std::collections::BTreeMap;

use super::{Project, RunId, project::Result, rows::rows, runs::RunRecord, take_in::revision_of};
use ::data::{
    PairId, Verdict,
    suspects::{self, MarginScore, Visit},
};

impl Project {
    /// How the labels fared that `run` met twice or more, lowest first. Left out are those that somebody has judged
    /// since it began, pairs whose texts or label are others than it saw, and what is no better answer.
    pub fn standings(&self, run: RunId) -> Result<Vec<MarginScore>> {
        let RunRecord { created_ms, .. } = self.run(run)?;
        self.snapshot(|connection| {
            let revision = revision_of(connection, run)?;
            let mut statement = connection.prepare_cached(
                "SELECT now.pair, now.verdict FROM versions now
                 JOIN versions seen ON seen.pair = now.pair AND seen.revision_from <= ?1
                     AND (seen.revision_to IS NULL OR seen.revision_to > ?1) AND seen.content = now.content
                     AND json_extract(seen.verdict, '$.choice') = json_extract(now.verdict, '$.choice')
                 WHERE now.revision_to IS NULL AND now.state = 1 AND coalesce(now.verdict_at, 0) <= ?2",
            )?;
            let mut known = statement.query([revision.0 as i64, created_ms])?;
            let mut sure = BTreeMap::new();
            while let Some(row) = known.next()? {
                let verdict: Verdict = serde_json::from_str(&row.get::<_, String>(1)?)?;
                if let Some(certainty) = verdict.choice.certainty() {
                    sure.insert(PairId(row.get(0)?), 2.0 * certainty - 1.0);
                }
            }
            let visits: Vec<Visit> = rows(
                connection,
                "SELECT pair, step, margin FROM visits WHERE run = ?1 ORDER BY step, pair",
                [run.0],
                |row| {
                    Ok(Visit {
                        pair: PairId(row.get(0)?),
                        step: row.get::<_, i64>(1)? as u64,
                        margin: row.get::<_, Option<f64>>(2)?.map_or(f32::NAN, |margin| margin as f32),
                    })
                },
            )?;
            Ok(suspects::standings(&visits, &sure))
        })
    }
}
