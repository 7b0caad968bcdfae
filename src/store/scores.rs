//! What models think of the pairs: Σ log-probs of a pair's two answers, under what runs start from and under
//! checkpoints.
//!
//! A score belongs to the texts, not to the verdict: turning a verdict round costs nothing, an edited text is scored
//! anew, and undoing the edit finds what was known before.

use std::{collections::HashMap, ops::ControlFlow};

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Deserialize;

use super::{
    PairQuery, Project, RunId, StoreError, VerdictState,
    contents::Contents,
    error::unreadable,
    find::find,
    pairs::newest_pair,
    project::{Keep, Result},
    query::{self, NEWEST},
    search::OnSearched,
};
use ::data::{Choice, Pair, PairId};

/// Pairs between two looks at whether their list is still wanted.
const LOOKED_AT: usize = 4096;

/// Names weights that pairs were scored under, inside one project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScoringId(pub i64);

/// Weights under which pairs are to be scored.
#[derive(Debug, Clone, Copy)]
pub struct NewScoring<'a> {
    /// Of everything that scores depend on besides the texts.
    pub weights: &'a str,
    /// By which they are found again without loading a model.
    pub name: &'a str,
    /// A run's checkpoint; absent for what runs start from.
    pub run: Option<(RunId, u64)>,
    /// What that run started from.
    pub start: Option<ScoringId>,
}

/// Weights under which pairs were scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scoring {
    pub id: ScoringId,
    /// Absent for what runs start from.
    pub run: Option<(RunId, u64)>,
    /// What the run started from; the same as `id` where this is a start itself.
    pub start: ScoringId,
}

/// One answer under some weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Σ log π over its tokens.
    pub log_prob: f64,
    /// At least 1.
    pub tokens: usize,
}

/// Two answers of a pair that are to be scored, as they are now.
#[derive(Debug, Clone)]
pub struct ToScore {
    pub pair: Pair,
    content: i64,
    answers: [usize; 2],
}

impl ToScore {
    /// Their places in the pair; there may be no such answer.
    pub fn answers(&self) -> [usize; 2] {
        self.answers
    }
}

/// What came of a [`ToScore`]: its two scores in order, or nothing where it cannot be scored.
#[derive(Debug, Clone)]
pub struct Scored {
    content: i64,
    answers: [usize; 2],
    scores: Option<[Score; 2]>,
    embedding: Option<Vec<u8>>,
}

impl Scored {
    pub fn new(asked: &ToScore, scores: Option<[Score; 2]>) -> Self {
        Self { content: asked.content, answers: asked.answers, scores, embedding: None }
    }

    /// With what its texts are like to the model, in whatever form that is kept.
    #[must_use]
    pub fn embedded(self, embedding: Option<Vec<u8>>) -> Self {
        Self { embedding, ..self }
    }
}

/// What is known of a pair under some weights. Without a better answer the first stands for the chosen one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairScores {
    pub pair: PairId,
    pub state: VerdictState,
    /// c of the verdict; absent where it is not trained on.
    pub certainty: Option<f64>,
    /// r and μ.
    pub reward: f64,
    pub behaviour: f64,
    pub chosen: Score,
    pub rejected: Score,
    /// Σ log-probs of the two under what the run started from, where that was scored.
    pub start: Option<[f64; 2]>,
}

impl PairScores {
    /// log π(chosen) − log π(rejected), over whole answers.
    pub fn margin(&self) -> f64 {
        self.chosen.log_prob - self.rejected.log_prob
    }
}

/// Columns of newest pairs with their scores, `?1` being the scoring and `?2` its start.
const SCORED: &str = "SELECT versions.pair, versions.state, versions.verdict, versions.reward, versions.behaviour,
        now.a, now.b, now.log_prob_a, now.log_prob_b, now.tokens_a, now.tokens_b, first.log_prob_a, first.log_prob_b
    FROM versions
    JOIN scores AS now ON now.scoring = ?1 AND now.content = versions.content AND now.log_prob_a IS NOT NULL
    LEFT JOIN scores AS first
        ON first.scoring = ?2 AND first.content = now.content AND first.a = now.a AND first.b = now.b";

impl Project {
    /// Notes weights; those that are known keep their scores and get this name. A checkpoint that has the weights of
    /// another one, as a fork's first has its parent's, begins with the scores of that one and leaves it alone.
    pub fn record_scoring(&mut self, new: NewScoring<'_>) -> Result<ScoringId> {
        let NewScoring { weights: plain, name, run, start } = new;
        self.write(Keep::Kill, |tx| {
            let of_another = run.is_some()
                && tx
                    .prepare_cached("SELECT 1 FROM scorings WHERE weights = ?1 AND name NOT IN ('', ?2)")?
                    .exists([plain, name])?;
            let own = format!("{plain} of {name}");
            let weights = if of_another { own.as_str() } else { plain };
            // What had the name before is no longer found by it.
            tx.execute("UPDATE scorings SET name = '' WHERE name = ?1 AND weights <> ?2", [name, weights])?;
            let id = tx.query_row(
                "INSERT INTO scorings (weights, name, run, step, start) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (weights) DO UPDATE SET name = ?2, run = ?3, step = ?4, start = ?5 RETURNING id",
                params![
                    weights,
                    name,
                    run.map(|(run, _)| run.0),
                    run.map(|(_, step)| step as i64),
                    start.map(|start| start.0)
                ],
                |row| row.get(0),
            )?;
            if of_another {
                tx.execute(
                    "INSERT OR IGNORE INTO scores (scoring, content, a, b, log_prob_a, log_prob_b, tokens_a, tokens_b)
                     SELECT ?1, content, a, b, log_prob_a, log_prob_b, tokens_a, tokens_b FROM scores
                     WHERE scoring = (SELECT id FROM scorings WHERE weights = ?2)",
                    params![id, plain],
                )?;
            }
            Ok(ScoringId(id))
        })
    }

    /// The weights of this name, if anything was scored under them.
    pub fn scoring(&self, name: &str) -> Result<Option<Scoring>> {
        self.read(|connection| {
            let found = connection
                .prepare_cached("SELECT id, run, step, start FROM scorings WHERE name = ?1 ORDER BY id DESC LIMIT 1")?
                .query_row([name], scoring_of)
                .optional()?;
            Ok(found)
        })
    }

    /// Checkpoints that have scores, by run and step.
    pub fn scored_checkpoints(&self) -> Result<Vec<(RunId, u64)>> {
        self.read_rows(
            "SELECT run, step FROM scorings WHERE run IS NOT NULL AND name <> '' ORDER BY run, step",
            [],
            |row| Ok((RunId(row.get(0)?), row.get::<_, i64>(1)? as u64)),
        )
    }

    /// Pairs that have no score yet, by id, and how many pairs there are.
    pub fn unscored(&self, scoring: ScoringId) -> Result<(Vec<PairId>, usize)> {
        self.snapshot(|connection| {
            let mut known = connection.prepare_cached(
                "SELECT count(*) FROM scores WHERE scoring = ?1 AND content = ?2 AND a = ?3 AND b = ?4",
            )?;
            let mut statement = connection
                .prepare_cached(&format!("SELECT pair, content, verdict FROM versions WHERE {NEWEST} ORDER BY pair"))?;
            let mut rows = statement.query([])?;
            let (mut missing, mut all) = (Vec::new(), 0);
            while let Some(row) = rows.next()? {
                all += 1;
                let [a, b] = sorted(compared(row, 2)?);
                let place = params![scoring.0, row.get::<_, i64>(1)?, a as i64, b as i64];
                if known.query_row(place, |row| row.get::<_, i64>(0))? == 0 {
                    missing.push(PairId(row.get(0)?));
                }
            }
            Ok((missing, all))
        })
    }

    /// Pairs that have scores and no embedding under these weights, by id.
    pub fn unembedded(&self, scoring: ScoringId) -> Result<Vec<PairId>> {
        self.read_rows(
            &format!(
                "SELECT DISTINCT versions.pair FROM versions
                 JOIN scores ON scores.scoring = ?1 AND scores.content = versions.content AND log_prob_a IS NOT NULL
                 WHERE {NEWEST} AND NOT EXISTS
                    (SELECT 1 FROM embeddings WHERE scoring = ?1 AND content = versions.content)
                 ORDER BY versions.pair"
            ),
            [scoring.0],
            |row| Ok(PairId(row.get(0)?)),
        )
    }

    /// What the texts of the newest pairs are like to what runs start from, as far as it is known, by id; with their
    /// verdicts.
    pub fn each_embedding(&self, start: ScoringId, each: &mut dyn FnMut(PairId, VerdictState, &[u8])) -> Result<()> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT versions.pair, versions.verdict, embeddings.body FROM versions
                 JOIN embeddings ON embeddings.scoring = ?1 AND embeddings.content = versions.content
                 WHERE {NEWEST} ORDER BY versions.pair"
            ))?;
            let mut rows = statement.query([start.0])?;
            while let Some(row) = rows.next()? {
                let state = query::state_of_choice(choice_of(row, 1)?);
                each(PairId(row.get(0)?), state, row.get_ref(2)?.as_blob().map_err(unreadable("an embedding"))?);
            }
            Ok(())
        })
    }

    /// These pairs as they are now, for [`Self::put_scores`]; those that are gone are left out.
    pub fn to_score(&self, ids: &[PairId]) -> Result<Vec<ToScore>> {
        self.snapshot(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT content FROM versions WHERE pair = ?1 AND revision_to IS NULL")?;
            let mut contents = Contents::of(connection);
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                if let Some(pair) = newest_pair(&mut contents, *id)? {
                    let content = statement.query_row([id.0], |row| row.get(0))?;
                    let answers = sorted(sides(pair.choice()));
                    found.push(ToScore { pair, content, answers });
                }
            }
            Ok(found)
        })
    }

    /// Keeps what was computed, all or nothing.
    pub fn put_scores(&mut self, scoring: ScoringId, scored: &[Scored]) -> Result<()> {
        self.write(Keep::Kill, |tx| {
            let mut insert = tx.prepare_cached(
                "INSERT OR REPLACE INTO scores (scoring, content, a, b, log_prob_a, log_prob_b, tokens_a, tokens_b)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?;
            let mut embed =
                tx.prepare_cached("INSERT OR REPLACE INTO embeddings (scoring, content, body) VALUES (?1, ?2, ?3)")?;
            for Scored { content, answers: [a, b], scores, embedding } in scored {
                let log_probs = scores.map(|scores| scores.map(|score| score.log_prob));
                let tokens = scores.map_or([0; 2], |scores| scores.map(|score| score.tokens as i64));
                insert.execute(params![
                    scoring.0,
                    content,
                    *a as i64,
                    *b as i64,
                    log_probs.map(|values| values[0]),
                    log_probs.map(|values| values[1]),
                    tokens[0],
                    tokens[1]
                ])?;
                if let Some(embedding) = embedding {
                    embed.execute(params![scoring.0, content, embedding])?;
                }
            }
            Ok(())
        })
    }

    /// What is known of these pairs; those without scores are left out.
    pub fn scores(&self, scoring: Scoring, pairs: &[PairId]) -> Result<Vec<PairScores>> {
        self.snapshot(|connection| {
            let mut statement =
                connection.prepare_cached(&format!("{SCORED} WHERE {NEWEST} AND versions.pair = ?3"))?;
            let mut found = Vec::with_capacity(pairs.len());
            for pair in pairs {
                let mut rows = statement.query([scoring.id.0, scoring.start.0, pair.0])?;
                while let Some(row) = rows.next()? {
                    found.extend(scores_of(row)?);
                }
            }
            Ok(found)
        })
    }

    /// The same of all pairs, one by one by id.
    pub fn each_scores(&self, scoring: Scoring, each: &mut dyn FnMut(PairScores)) -> Result<()> {
        self.read(|connection| {
            each_scores(connection, scoring, &mut |scores| {
                each(scores);
                Ok(())
            })
        })
    }

    /// Like [`Self::query`], by what is known under some weights. `place`: by what a pair is sorted where the query
    /// sorts by [`super::SortKey::Scores`], or nothing for one that is left out. Pairs without scores come last, or not
    /// at all if `only_scored`.
    pub fn query_scored(
        &self,
        query: &PairQuery,
        scoring: Scoring,
        only_scored: bool,
        place: &dyn Fn(&PairScores) -> Option<f64>,
    ) -> Result<Vec<PairId>> {
        self.query_scored_watched(query, scoring, only_scored, place, &mut |_| ControlFlow::Continue(()))
    }

    /// The same, as [`Self::query_watched`].
    pub fn query_scored_watched(
        &self,
        query: &PairQuery,
        scoring: Scoring,
        only_scored: bool,
        place: &dyn Fn(&PairScores) -> Option<f64>,
        watch: OnSearched<'_>,
    ) -> Result<Vec<PairId>> {
        self.snapshot(|connection| {
            let last: Option<i64> = connection.query_row("SELECT max(pair) FROM versions", [], |row| row.get(0))?;
            let mut places: HashMap<i64, Option<f64>> = HashMap::new();
            each_scores(connection, scoring, &mut |scores| {
                if places.len().is_multiple_of(LOOKED_AT)
                    && watch(scores.pair.0 as f32 / last.unwrap_or(1) as f32).is_break()
                {
                    return Err(StoreError::CutShort);
                }
                places.insert(scores.pair.0, place(&scores));
                Ok(())
            })?;
            let place = |pair: i64| match places.get(&pair) {
                Some(Some(place)) => Some(Some(*place)),
                Some(None) => None,
                None => (!only_scored).then_some(None),
            };
            find(connection, query, &place, watch)
        })
    }
}

fn each_scores(
    connection: &Connection,
    scoring: Scoring,
    each: &mut dyn FnMut(PairScores) -> Result<()>,
) -> Result<()> {
    let mut statement = connection.prepare_cached(&format!("{SCORED} WHERE {NEWEST} ORDER BY versions.pair"))?;
    let mut rows = statement.query([scoring.id.0, scoring.start.0])?;
    while let Some(row) = rows.next()? {
        if let Some(scores) = scores_of(row)? {
            each(scores)?;
        }
    }
    Ok(())
}

/// Which two answers a verdict compares: chosen and rejected, or the first two.
fn sides(choice: Option<Choice>) -> [usize; 2] {
    match choice {
        Some(Choice::Better { chosen, rejected, .. }) if chosen != rejected => [chosen, rejected],
        _ => [0, 1],
    }
}

fn sorted([a, b]: [usize; 2]) -> [usize; 2] {
    [a.min(b), a.max(b)]
}

/// A verdict without its circumstances.
#[derive(Deserialize)]
struct Judged {
    choice: Choice,
}

fn choice_of(row: &Row<'_>, verdict: usize) -> Result<Option<Choice>> {
    let json = row.get_ref(verdict)?.as_str_or_null().map_err(rusqlite::Error::from)?;
    Ok(json.map(serde_json::from_str::<Judged>).transpose()?.map(|judged| judged.choice))
}

fn compared(row: &Row<'_>, verdict: usize) -> Result<[usize; 2]> {
    Ok(sides(choice_of(row, verdict)?))
}

/// Absent for scores of other answers of the pair than those that its verdict compares.
fn scores_of(row: &Row<'_>) -> Result<Option<PairScores>> {
    let choice = choice_of(row, 2)?;
    let [chosen, rejected] = sides(choice);
    let places: [i64; 2] = [row.get(5)?, row.get(6)?];
    if sorted([chosen, rejected]).map(|place| place as i64) != places {
        return Ok(None);
    }
    let score = |log_prob, tokens| -> Result<Score> {
        Ok(Score { log_prob: row.get(log_prob)?, tokens: row.get::<_, i64>(tokens)? as usize })
    };
    let (mut ab, mut start) = ([score(7, 9)?, score(8, 10)?], [row.get(11)?, row.get(12)?]);
    if chosen > rejected {
        ab.reverse();
        start.reverse();
    }
    let [first, second]: [Option<f64>; 2] = start;
    let [chosen, rejected] = ab;
    Ok(Some(PairScores {
        pair: PairId(row.get(0)?),
        state: query::state_of_choice(choice),
        certainty: match choice {
            Some(Choice::Better { strength, .. }) => Some(strength.certainty()),
            Some(Choice::Tie) => Some(0.5),
            Some(Choice::BothBad | Choice::Skip) | None => None,
        },
        reward: row.get(3)?,
        behaviour: row.get(4)?,
        chosen,
        rejected,
        start: first.zip(second).map(|(first, second)| [first, second]),
    }))
}

fn scoring_of(row: &Row<'_>) -> rusqlite::Result<Scoring> {
    let id = ScoringId(row.get(0)?);
    let run: Option<i64> = row.get(1)?;
    let step: Option<i64> = row.get(2)?;
    let start: Option<i64> = row.get(3)?;
    Ok(Scoring {
        id,
        run: run.zip(step).map(|(run, step)| (RunId(run), step as u64)),
        start: start.map_or(id, ScoringId),
    })
}

#[cfg(test)]
#[path = "scores_tests.rs"]
mod tests;
