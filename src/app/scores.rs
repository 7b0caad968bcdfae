//! What models think of the pairs: read from the project, and asked of the engine.

use std::sync::Arc;

use data::{PairId, config::RunConfig};
use engine::{
    pair_scores,
    protocol::{Event, Request, RunControl},
};
use state::scores::{DOTS, Heard, Listing, ScoringUnderWay, ShownScores, Whose};
use store::{OnSearched, PairScores, Project, Scoring, StoreError, VerdictState};
use train::objective::Objective;

use super::{
    App,
    jobs::{Lane, update},
};

impl App {
    /// Reads what is known under these weights, through a connection of its own: it goes through all pairs.
    pub(super) fn read_scores(&mut self, whose: Whose) {
        let Some(dir) = self.workspace.project.as_ref().map(|project| project.dir.clone()) else { return };
        let scores = &mut self.workspace.pairs.scores;
        if scores.asked == Some(whose) {
            return;
        }
        scores.asked = Some(whose);
        if scores.of(whose).is_none() {
            scores.rows.clear();
        }
        let opened = self.workspace.opened;
        self.jobs.aside(Lane::Transfer, "Could not read what the model thinks of the pairs", move || {
            let shown = look(&Project::open(&dir)?, whose)?;
            Ok(update(move |workspace, _| {
                let scores = &mut workspace.pairs.scores;
                if workspace.opened == opened && scores.asked.is_none_or(|asked| asked == whose) {
                    scores.shown = Some(shown);
                    scores.rows.expire_all();
                }
            }))
        });
    }

    pub(super) fn read_score_rows(&mut self, ids: Vec<PairId>) {
        let scores = &mut self.workspace.pairs.scores;
        let Some(scoring) = scores.shown.as_ref().and_then(|shown| shown.scoring) else { return };
        let ids = scores.rows.ask(ids);
        if ids.is_empty() {
            return;
        }
        self.jobs.document.read("Could not read what the model thinks of the pairs", move |project| {
            let known = project.scores(scoring, &ids)?;
            Ok(update(move |workspace, _| {
                let scores = &mut workspace.pairs.scores;
                for one in known {
                    scores.rows.put(one.pair, one);
                }
                scores.rows.settle(&ids);
            }))
        });
    }

    /// Has the engine score what is missing.
    pub(super) fn score_pairs(&mut self, whose: Whose) {
        let Some(project) = self.workspace.project.as_ref().map(|project| project.dir.clone()) else { return };
        if self.workspace.pairs.scores.is_busy() {
            return;
        }
        let control = Arc::new(RunControl::default());
        let request = self.workspace.next_request();
        let under_way = ScoringUnderWay::new(request, Arc::clone(&control), whose);
        if self.ask_engine(Request::Score { request, project, run: whose.run(), control }) {
            self.workspace.pairs.scores.under_way = Some(under_way);
        }
    }

    /// Whether an event was about scores.
    pub(super) fn take_scores_event(&mut self, event: &Event) -> bool {
        let scores = &mut self.workspace.pairs.scores;
        let heard = scores.under_way.as_mut().and_then(|under_way| under_way.take(event));
        if heard == Some(Heard::LookAgain) {
            scores.look_again();
        }
        heard.is_some()
    }
}

/// The pairs that a table asks for.
pub(super) fn find(project: &Project, listing: &Listing, watch: OnSearched<'_>) -> Result<Vec<PairId>, StoreError> {
    let Listing { query, by } = listing;
    match by {
        None => project.query_watched(query, watch),
        Some(by) => project.query_scored_watched(query, by.scoring, by.narrows(), &|scores| by.place(scores), watch),
    }
}

/// What is known under these weights; absent while nothing was scored under them.
pub(super) fn scoring(project: &Project, whose: Whose) -> anyhow::Result<Option<Scoring>> {
    let name = match whose {
        Whose::Start => {
            let config = RunConfig::from_toml(&project.settings()?.run_toml)?;
            // No model is chosen yet, or none that is there: nothing was scored.
            let Ok(name) = pair_scores::start_name(project, &config) else { return Ok(None) };
            name
        }
        Whose::Checkpoint { run, step } => pair_scores::checkpoint_name(run, step),
    };
    Ok(project.scoring(&name)?)
}

fn look(project: &Project, whose: Whose) -> anyhow::Result<ShownScores> {
    let scoring = scoring(project, whose)?;
    let objective: Option<Objective> = match whose {
        Whose::Start => None,
        Whose::Checkpoint { run, step } => {
            let config = project.run(run)?.config()?;
            Some(pair_scores::objective_at(project, &config, Some((run, step)))?)
        }
    };
    let mut shown = ShownScores {
        whose,
        scoring,
        objective,
        scored: 0,
        of: project.counts()?.total(),
        sample: Arc::default(),
        sampled: 0,
    };
    if let Some(scoring) = scoring {
        shown.scored = shown.of - project.unscored(scoring.id)?.0.len().min(shown.of);
        (shown.sample, shown.sampled) = sample(project, scoring, shown.scored)?;
    }
    Ok(shown)
}

/// Some of the pairs with a better answer, evenly spread, and how many there are.
fn sample(project: &Project, scoring: Scoring, scored: usize) -> anyhow::Result<(Arc<Vec<PairScores>>, usize)> {
    let every = scored.div_ceil(DOTS).max(1);
    let (mut dots, mut decided) = (Vec::new(), 0);
    project.each_scores(scoring, &mut |scores| {
        if scores.state == VerdictState::Better {
            if decided % every == 0 {
                dots.push(scores);
            }
            decided += 1;
        }
    })?;
    Ok((Arc::new(dots), decided))
}
