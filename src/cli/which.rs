//! The pairs that a command is about.

use std::collections::HashSet;

use anyhow::{Context as _, Result};
use data::{PairId, SplitRule, config::RunConfig};
use engine::pair_scores;
use state::{filter::Filter, scores::ByScores, table::SavedFilters};
use store::{PairQuery, Project, Revision, RunId, Scoring};
use train::objective::{Number, NumberBounds, Objective, Standing};

use super::{
    args::{Bounds, Which},
    ending::usage,
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

    fn ranges(&self) -> Vec<NumberBounds> {
        let all = [
            (Number::Margin, self.margin),
            (Number::Push, self.push),
            (Number::Reward, self.reward),
            (Number::ChosenReward, self.chosen_reward),
            (Number::RejectedReward, self.rejected_reward),
        ];
        let range = |(number, bounds): (Number, Option<Bounds<f64>>)| {
            bounds.map(|Bounds { least, most }| NumberBounds { number, least, most })
        };
        all.into_iter().filter_map(range).collect()
    }

    /// Whether anything is said about them.
    pub fn narrows(&self) -> bool {
        self.filter.is_some() || self.says_more()
    }

    /// Beside the name of a filter.
    fn says_more(&self) -> bool {
        !self.id.is_empty() || !self.ranges().is_empty() || self.query(SplitRule::default()) != PairQuery::default()
    }

    /// Their ids, in the order of the project or of the filter.
    pub fn find(&self, project: &Project) -> Result<Vec<PairId>> {
        let config = RunConfig::from_toml(&project.settings()?.run_toml)?;
        let rule = SplitRule { eval_fraction: config.data.eval_fraction, seed: config.data.seed };
        let kept = self.filter.as_deref().map(|name| kept_filter(project, name)).transpose()?;
        let Some(kept) = kept else { return self.find_typed(project, &config, rule) };
        let query = kept.query(rule);
        let mut found = if kept.needs_scores() {
            let (scoring, objective) = self.scored_by(project, &config)?;
            let Filter { fate, range, .. } = kept;
            let by = ByScores { scoring, objective, fate, range, number: kept.number(), scored: 0 };
            project.query_scored(&query, scoring, by.narrows(), &|scores| by.place(scores))?
        } else {
            project.query(&query)?
        };
        if self.says_more() {
            let typed: HashSet<PairId> = self.find_typed(project, &config, rule)?.into_iter().collect();
            found.retain(|pair| typed.contains(pair));
        }
        Ok(found)
    }

    fn find_typed(&self, project: &Project, config: &RunConfig, rule: SplitRule) -> Result<Vec<PairId>> {
        let (query, ranges) = (self.query(rule), self.ranges());
        let mut found = if ranges.is_empty() {
            project.query(&query)?
        } else {
            let (scoring, objective) = self.scored_by(project, config)?;
            project.query_scored(&query, scoring, true, &|scores| {
                let standing = Standing::of(&objective, scores)?;
                ranges.iter().all(|range| range.holds(scores, &standing)).then_some(0.0)
            })?
        };
        if !self.id.is_empty() {
            found.retain(|pair| self.id.contains(&pair.0));
        }
        Ok(found)
    }

    /// Under which weights margins, pushes and rewards are, and by which objective.
    fn scored_by(&self, project: &Project, config: &RunConfig) -> Result<(Scoring, Objective)> {
        let run = self.scored_by.as_deref().map(|word| find_at(project, word)).transpose()?;
        let (config, at) = match run {
            None => (config.clone(), None),
            Some((record, step)) => {
                let scored = |step: &u64| *step > 0;
                let newest = || newest_scored(project, record.id);
                let step = step.map_or_else(newest, |step| Ok(Some(step)))?.filter(scored);
                (record.config()?, step.map(|step| (record.id, step)))
            }
        };
        let name = match at {
            Some((run, step)) => pair_scores::checkpoint_name(run, step),
            None => pair_scores::start_name(project, &config)?,
        };
        let scoring = project.scoring(&name)?.with_context(|| {
            format!("No pairs were scored by these weights yet: `nudge score {}` does it.", project.dir().display())
        })?;
        Ok((scoring, pair_scores::objective_at(project, &config, at)?))
    }
}

/// A filter that was kept in the window.
fn kept_filter(project: &Project, name: &str) -> Result<Filter> {
    let text = project.setting(SavedFilters::SETTING)?.unwrap_or_default();
    let SavedFilters(mut kept) = SavedFilters::from_toml(&text);
    kept.remove(name).ok_or_else(|| {
        let names: Vec<String> = kept.keys().map(|name| format!("\"{name}\"")).collect();
        usage(if names.is_empty() {
            format!("No filter \"{name}\" is kept: the project has none. The window keeps them, on Pairs.")
        } else {
            format!("No filter \"{name}\" is kept; there are {}.", names.join(", "))
        })
    })
}

/// The step of a run's newest checkpoint that has scores.
fn newest_scored(project: &Project, run: RunId) -> Result<Option<u64>> {
    let all = project.scored_checkpoints()?;
    Ok(all.into_iter().filter(|(of, _)| *of == run).map(|(_, step)| step).max())
}
