//! The pairs that a command is about.

use anyhow::{Context as _, Result};
use data::{PairId, SplitRule, config::RunConfig};
use engine::pair_scores;
use store::{PairQuery, Project, Revision, RunId};
use train::objective::{Number, Range, Standing};

use super::{
    args::{Bounds, Which},
    place::find_at,
};

impl Which {
    fn query(&self, rule: SplitRule) -> PairQuery {
        PairQuery {
            search: self.search.clone().unwrap_or_default(),
            verdict: self.verdict,
            pinned: self.pinned,
            held_out: self.side.map(|held_out| (rule, held_out)),
            tag: self.tagged.clone(),
            strength: self.strength,
            source: self.source.clone(),
            length: self.length.map(|Bounds { least, most }| (least.unwrap_or(0), most.unwrap_or(usize::MAX))),
            changed_since: self.changed_since.map(Revision),
            ..PairQuery::default()
        }
    }

    fn ranges(&self) -> Vec<Range> {
        let all = [(Number::Margin, self.margin), (Number::Push, self.push), (Number::Reward, self.reward)];
        let range = |(number, bounds): (Number, Option<Bounds<f64>>)| {
            bounds.map(|Bounds { least, most }| Range { number, least, most })
        };
        all.into_iter().filter_map(range).collect()
    }

    /// Whether anything is said about them.
    pub fn narrows(&self) -> bool {
        !self.id.is_empty() || !self.ranges().is_empty() || self.query(SplitRule::default()) != PairQuery::default()
    }

    /// Their ids, in the order of the project.
    pub fn find(&self, project: &Project) -> Result<Vec<PairId>> {
        let config = RunConfig::from_toml(&project.settings()?.run_toml)?;
        let query = self.query(SplitRule { eval_fraction: config.data.eval_fraction, seed: config.data.seed });
        let ranges = self.ranges();
        let mut found = if ranges.is_empty() {
            project.query(&query)?
        } else {
            self.find_scored(project, config, &query, &ranges)?
        };
        if !self.id.is_empty() {
            found.retain(|pair| self.id.contains(&pair.0));
        }
        Ok(found)
    }

    fn find_scored(
        &self,
        project: &Project,
        config: RunConfig,
        query: &PairQuery,
        ranges: &[Range],
    ) -> Result<Vec<PairId>> {
        let run = self.scored_by.as_deref().map(|word| find_at(project, word)).transpose()?;
        let (config, at) = match run {
            None => (config, None),
            Some((record, step)) => {
                let scored = |step: &u64| *step > 0;
                let newest = || newest_scored(project, record.id);
                let step = step.map_or_else(newest, |step| Ok(Some(step)))?.filter(scored);
                (RunConfig::from_toml(&record.config_toml)?, step.map(|step| (record.id, step)))
            }
        };
        let name = match at {
            Some((run, step)) => pair_scores::checkpoint_name(run, step),
            None => pair_scores::start_name(project, &config)?,
        };
        let scoring = project.scoring(&name)?.with_context(|| {
            format!("No pairs were scored by these weights yet: `nudge score {}` does it.", project.dir().display())
        })?;
        let objective = pair_scores::objective_at(project, &config, at)?;
        Ok(project.query_scored(query, scoring, true, &|scores| {
            let standing = Standing::of(&objective, scores)?;
            ranges.iter().all(|range| range.holds(scores, &standing)).then_some(0.0)
        })?)
    }
}

/// The step of a run's newest checkpoint that has scores.
fn newest_scored(project: &Project, run: RunId) -> Result<Option<u64>> {
    let all = project.scored_checkpoints()?;
    Ok(all.into_iter().filter(|(of, _)| *of == run).map(|(_, step)| step).max())
}
