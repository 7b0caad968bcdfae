//! A project's pairs that are being scored, some at a time: a run that is going and other questions get their turn
//! between.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::Arc,
};

use data::{PairId, config::RunConfig};
use store::{NewScoring, Project, RunId, ScoringId};
use train::{
    Result,
    measure::{
        pair_scores::{self, Under},
        score::ROW_TOKENS,
    },
    run::rotation,
};

use crate::{
    answers::{Speaker, Speakers},
    protocol::{RequestId, RunControl, Weights},
};

/// Pairs at a time beside a run that trains, and while nothing else is done: what a killed process computes again.
pub const BESIDE_A_RUN: usize = 8;
pub const ALONE: usize = 64;

/// The pairs of one project under some weights, as far as they have no scores.
pub struct ScoringJob {
    project: Project,
    /// First what the run started from, where that is needed, then what was asked for.
    passes: Vec<Pass>,
    /// Of what was asked for; absent for what runs start from.
    pub step: Option<u64>,
    pub passed_over: Vec<String>,
    done: usize,
    of: usize,
}

/// All pairs under one set of weights.
struct Pass {
    scoring: ScoringId,
    weights: Weights,
    under: Under,
    /// What the texts are like to the model is kept too.
    embeds: bool,
    /// In the order of their turns.
    missing: Vec<PairId>,
    turned: usize,
}

/// What came of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turned {
    pub done: usize,
    pub of: usize,
}

impl ScoringJob {
    /// Loads the weights and looks what is missing. `run`: a checkpoint, its newest without a step; absent: what runs
    /// start from.
    pub fn begin(speakers: &mut Speakers, dir: &Path, run: Option<(RunId, Option<u64>)>) -> Result<Self> {
        let mut project = Project::open(dir)?;
        let at = dir.to_owned();
        let Some((run, step)) = run else {
            let config = RunConfig::from_toml(&project.settings()?.run_toml)?;
            let name = pair_scores::start_name(&project, &config)?;
            let weights = Weights::Start { project: at };
            let speaker = speakers.get(&weights)?;
            let scoring = record(&mut project, speaker, &name, None, None)?;
            return Self::of(project, vec![(scoring, weights, Under::Policy)], None, Vec::new());
        };
        let record_of_run = project.run(run)?;
        let step = step.map_or_else(|| rotation::newest_step(&record_of_run.checkpoints), Ok)?;
        let config = record_of_run.config()?;
        let start_name = pair_scores::start_name(&project, &config)?;
        let weights = Weights::Run { project: at.clone(), run, step: Some(step) };
        let beginning = Weights::Run { project: at, run, step: Some(0) };
        let speaker = speakers.get(&weights)?;
        if speaker.policy.has_scalar_head() {
            let (passed_over, scale) = (speaker.passed_over.clone(), speaker.scale);
            let zero = pair_scores::identity("no reward model", &speaker.codec, speaker.limits);
            let new = NewScoring { weights: &zero, name: "no reward model", run: None, start: None };
            let start = project.record_scoring(new)?;
            let mut passes = vec![(start, weights.clone(), Under::NoScores)];
            if let Some(scale) = scale {
                let name = pair_scores::checkpoint_name(run, step);
                let scoring = record(&mut project, speaker, &name, Some((run, step)), Some(start))?;
                passes.push((scoring, weights, Under::Scores(scale)));
            }
            return Self::of(project, passes, Some(step), passed_over);
        }
        let (passed_over, trains_all) = (speaker.passed_over.clone(), speaker.policy.trains_its_weights());
        // A run of all weights has only its own: what it started from is loaded for itself, before them.
        let first = if trains_all { (beginning, Under::Policy) } else { (weights.clone(), Under::Reference) };
        let speaker = speakers.get(&first.0)?;
        let start = pair_scores::identity(&speaker.policy.numbers(), &speaker.codec, speaker.limits);
        let new = NewScoring { weights: &start, name: &start_name, run: None, start: None };
        let start = project.record_scoring(new)?;
        let mut passes = vec![(start, first.0, first.1)];
        if step > 0 {
            let speaker = speakers.get(&weights)?;
            let name = pair_scores::checkpoint_name(run, step);
            let scoring = record(&mut project, speaker, &name, Some((run, step)), Some(start))?;
            passes.push((scoring, weights, Under::Policy));
        }
        Self::of(project, passes, Some(step), passed_over)
    }

    fn of(
        project: Project,
        passes: Vec<(ScoringId, Weights, Under)>,
        step: Option<u64>,
        passed_over: Vec<String>,
    ) -> Result<Self> {
        let (mut done, mut of) = (0, 0);
        let passes = passes
            .into_iter()
            .enumerate()
            .map(|(place, (scoring, weights, under))| {
                let (mut missing, all) = project.unscored(scoring)?;
                done += all - missing.len();
                of += all;
                // The first pass is of what runs start from; a reward model has no say about it.
                let embeds = place == 0 && matches!(under, Under::Policy | Under::Reference);
                if embeds {
                    let unembedded = project.unembedded(scoring)?;
                    done -= unembedded.len();
                    missing.extend(unembedded);
                }
                Ok(Pass { scoring, weights, under, embeds, missing, turned: 0 })
            })
            .collect::<Result<_>>()?;
        Ok(Self { project, passes, step, passed_over, done, of })
    }

    /// How far it is; pairs count once for each set of weights.
    pub fn turned(&self) -> Turned {
        Turned { done: self.done, of: self.of }
    }

    pub fn has_ended(&self) -> bool {
        self.passes.iter().all(|pass| pass.turned == pass.missing.len())
    }

    /// Scores at most so many pairs and keeps them; one that is no longer `wanted` keeps nothing of its turn.
    pub fn turn(&mut self, speakers: &mut Speakers, most: usize, wanted: &dyn Fn() -> bool) -> Result<()> {
        let Some(pass) = self.passes.iter_mut().find(|pass| pass.turned < pass.missing.len()) else { return Ok(()) };
        let ids = &pass.missing[pass.turned..];
        let ids = &ids[..ids.len().min(most)];
        // As they are now: a pair may have been edited or deleted since.
        let asked = self.project.to_score(ids)?;
        let Speaker { policy, codec, limits, .. } = speakers.get(&pass.weights)?;
        let scored = pair_scores::score((policy, pass.under, pass.embeds), codec, *limits, &asked, ROW_TOKENS, wanted)?;
        if let Some(scored) = scored {
            self.project.put_scores(pass.scoring, &scored)?;
            pass.turned += ids.len();
            self.done += ids.len();
        }
        Ok(())
    }
}

/// Notes what a speaker's pairs are scored under.
fn record(
    project: &mut Project,
    speaker: &Speaker,
    name: &str,
    run: Option<(RunId, u64)>,
    start: Option<ScoringId>,
) -> Result<ScoringId> {
    let weights = pair_scores::identity(&speaker.weights, &speaker.codec, speaker.limits);
    Ok(project.record_scoring(NewScoring { weights: &weights, name, run, start })?)
}

/// One request.
pub struct Asked {
    pub request: RequestId,
    pub project: PathBuf,
    pub run: Option<(RunId, Option<u64>)>,
    pub control: Arc<RunControl>,
    /// Once its turn has come.
    pub begun: Option<ScoringJob>,
}

/// Requests in the order they came.
#[derive(Default)]
pub struct Scorings(VecDeque<Asked>);

impl Scorings {
    pub fn push(
        &mut self,
        request: RequestId,
        project: PathBuf,
        run: Option<(RunId, Option<u64>)>,
        control: Arc<RunControl>,
    ) {
        self.0.push_back(Asked { request, project, run, control, begun: None });
    }

    /// The one whose turn it is; it goes back with [`Self::put_back`] while there is more of it.
    pub fn take(&mut self) -> Option<Asked> {
        self.0.pop_front()
    }

    pub fn put_back(&mut self, asked: Asked) {
        self.0.push_front(asked);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
