//! The reward model that a policy learns from, and the critic: adapters and scalar heads of their own on the policy's
//! base.

use data::{
    config::{Method, RunConfig},
    metrics::{HELD_OUT_LOSS, HELD_OUT_SCORE_ACCURACY},
    percent,
};
use model::{AdamW, AdapterShape, Policy, ScalarHead};
use store::{Project, RunId, RunRecord, RunStatus};

use crate::{
    dataset::inputs,
    error::{Result, TrainError},
    measure::reference::Reference,
    reward::ScoreScale,
    run::{
        checkpoint::{self, Checkpoint, Teacher},
        rotation,
    },
    step::Trainer,
};

/// What RLHF needs beside the policy.
pub struct Rlhf {
    pub reward: Policy,
    pub scale: ScoreScale,
    pub teacher: Teacher,
    /// Of PPO.
    pub critic: Option<Trainer>,
}

/// Where a reward model was opened.
pub struct TeacherCheckpoint {
    pub record: RunRecord,
    saved: Checkpoint,
    /// Which of its checkpoints that is, behind "step 40".
    pub which: String,
    /// Share of held-out pairs that its scores put in order, where it was evaluated.
    accuracy: Option<f64>,
}

impl TeacherCheckpoint {
    /// The checkpoint stays when older ones make room: whoever learns from it can be resumed as long as it is there.
    pub fn keep(&self) -> Result<()> {
        rotation::keep_for_good(&self.record.checkpoints, self.saved.state().step)
    }

    /// A sentence about a reward model that knows nothing of held-out pairs.
    pub fn no_better_than_a_coin(&self) -> Option<String> {
        let accuracy = self.accuracy.filter(|accuracy| *accuracy <= 0.5)?;
        Some(format!(
            "The scores of {} (run {}) put {} of the held-out pairs in order, no more than a coin would: what learns from them learns noise. Fit a reward model for longer or to more pairs, or name another with reward.run",
            self.record.name,
            self.record.id.0,
            percent(accuracy)
        ))
    }

    /// Why another checkpoint could not be used: sentences, none where it is the first choice.
    pub fn passed_over(&self) -> Vec<String> {
        self.saved.told_passed_over()
    }
}

/// Whether a run fits a reward model.
pub fn fits(record: &RunRecord) -> bool {
    record.config().is_ok_and(|config| config.objective.kind == Method::Reward)
}

/// Refuses to let go of a run whose reward model another one, which is not at its end, learns from.
pub fn refuse_to_delete(project: &Project, run: RunId) -> Result<()> {
    let learns = |record: &RunRecord| {
        let asked = record.config().ok().filter(|config| config.objective.kind.samples());
        // One that was begun before this was noted in its settings has it in its checkpoints only.
        let named = |config: RunConfig| config.reward.run.map(|number| RunId(number as i64));
        let noted = || Some(checkpoint::newest_state(&record.checkpoints)?.teacher?.run);
        asked.is_some_and(|config| named(config).or_else(noted) == Some(run))
    };
    let learner = project.runs()?.into_iter().find(|record| record.status != RunStatus::Completed && learns(record));
    learner.map_or(Ok(()), |learner| {
        Err(TrainError::Sentence(format!(
            "{} (run {}) is not at its end and learns from this reward model, so it could not go on. Let it end, or delete it first",
            learner.name, learner.id.0
        )))
    })
}

/// The run whose reward model a run of these settings learns from, or what to do. `may_wait`: one that is not fitted
/// yet will do, since a run may wait its turn behind it.
pub fn find(project: &Project, config: &RunConfig, may_wait: bool) -> Result<RunRecord> {
    let method = crate::objective::name(&config.objective);
    let has_checkpoint = |record: &RunRecord| may_wait || checkpoint::newest_state(&record.checkpoints).is_some();
    if let Some(number) = config.reward.run {
        let record = project.run(RunId(number as i64)).map_err(|_| {
            TrainError::Settings(format!("there is no run {number}, which reward.run names as the reward model"))
        })?;
        if !fits(&record) {
            return Err(TrainError::Settings(format!(
                "reward.run is {number}, and {} is no reward model; name a run with objective.kind = \"reward\"",
                record.name
            )));
        }
        if !has_checkpoint(&record) {
            return Err(TrainError::Settings(format!(
                "{} (run {number}) has no checkpoint yet, so there is no reward model to learn from; let it go on first",
                record.name
            )));
        }
        return Ok(record);
    }
    let newest = project.runs()?.into_iter().rev().find(|record| fits(record) && has_checkpoint(record));
    newest.ok_or_else(|| {
        TrainError::Settings(format!(
            "{method} needs a reward model, and this project has none yet; fit one first, with objective.kind = \"reward\""
        ))
    })
}

/// The checkpoint that a run learns from: the one that is named, else of those that were evaluated the one whose scores
/// put most held-out pairs in order, of equal ones that with the lowest loss and then the newest; where none was, the
/// newest. One that cannot be read is passed over.
fn choose(project: &Project, record: RunRecord, named: Option<u64>) -> Result<TeacherCheckpoint> {
    let folders = &record.checkpoints;
    let measured = |name: &str| project.series(record.id, name, None);
    let (accuracies, losses) = (measured(HELD_OUT_SCORE_ACCURACY)?, measured(HELD_OUT_LOSS)?);
    let at = |series: &[(u64, f64)], step: u64| {
        let place = series.binary_search_by_key(&step, |(step, _)| *step).ok()?;
        Some(series[place].1).filter(|value| value.is_finite())
    };
    if let Some(step) = named {
        let saved = checkpoint::open_weights(folders, Some(step)).map_err(|error| match error {
            TrainError::NoSuchCheckpoint { there, .. } => TrainError::Settings(format!(
                "reward.step is {step}, and {} (run {}) has no checkpoint of that step; {there}",
                record.name, record.id.0
            )),
            error => error,
        })?;
        return Ok(TeacherCheckpoint {
            accuracy: at(&accuracies, step),
            record,
            saved,
            which: ", as reward.step names it".to_owned(),
        });
    }
    let evaluated = |step: u64| Some((step, at(&accuracies, step)?, at(&losses, step).unwrap_or(f64::INFINITY)));
    let steps = rotation::steps(folders);
    let mut ranked: Vec<(u64, f64, f64)> = steps.iter().filter_map(|&step| evaluated(step)).collect();
    ranked.sort_by(|(step, accuracy, loss), (other, others, other_loss)| {
        others.total_cmp(accuracy).then(loss.total_cmp(other_loss)).then(other.cmp(step))
    });
    let mut passed_over = Vec::new();
    let evaluated = ranked.len();
    for (step, accuracy, _) in ranked {
        match checkpoint::open_weights(folders, Some(step)) {
            Ok(mut saved) => {
                saved.passed_over = passed_over;
                let which = if evaluated > 1 {
                    format!(
                        ", of {evaluated} checkpoints that were evaluated the best on held-out pairs ({})",
                        percent(accuracy)
                    )
                } else {
                    String::new()
                };
                return Ok(TeacherCheckpoint { record, saved, which, accuracy: Some(accuracy) });
            }
            Err(error) => passed_over.push(error.to_string()),
        }
    }
    let saved = checkpoint::open_weights(folders, None)?;
    Ok(TeacherCheckpoint { record, saved, which: String::new(), accuracy: None })
}

impl Rlhf {
    /// Loads reward model and critic onto the base of `policy`. `before`: the reward model that the run learnt from so
    /// far. The critic's memory is without a limit as yet.
    pub fn open(
        project: &Project,
        config: &RunConfig,
        policy: &Policy,
        reference: &Reference,
        before: Option<&Teacher>,
    ) -> Result<(Self, TeacherCheckpoint)> {
        let first = || {
            let record = find(project, config, false)?;
            choose(project, record, config.reward.step)
        };
        let opened = before.map_or_else(first, |teacher| Self::again(project, teacher))?;
        let TeacherCheckpoint { record, saved, .. } = &opened;
        let number = record.id.0;
        let own = &saved.state().reference;
        if *own != *reference {
            let what = if own.policy == reference.policy { "tokenizer or chat template" } else { "base model" };
            return Err(TrainError::Settings(format!(
                "the reward model of {} (run {number}) was fitted on another {what} than this run starts from; fit one on this model, or name another with reward.run",
                record.name
            )));
        }
        let of_reward = record.config()?;
        let shape: AdapterShape = inputs::adapter_shape(&of_reward.lora, of_reward.train.shuffle_seed);
        let shape = AdapterShape { dropout: 0.0, ..shape };
        let mut reward = policy.beside(&shape, Some(ScalarHead::Plain))?;
        saved.restore(&mut reward)?;
        let scale = saved.state().scale.ok_or_else(|| {
            TrainError::Settings(format!("the reward model of run {number} has no scale noted with it; fit it again"))
        })?;
        let scale = if config.reward.normalize { scale } else { ScoreScale::RAW };
        let critic = (config.objective.kind == Method::Ppo).then(|| -> Result<Trainer> {
            let mut critic = policy.beside(&shape, Some(ScalarHead::WithBias))?;
            critic.start_from(&reward, scale.mean, scale.std)?;
            let optimizer = AdamW::new(critic.parameters(), inputs::adamw(config))?;
            Ok(Trainer { policy: critic, optimizer, memory: None })
        });
        let teacher = Teacher { run: record.id, step: saved.state().step, trained: saved.trained().to_owned() };
        Ok((Self { reward, scale, teacher, critic: critic.transpose()? }, opened))
    }

    /// Bytes that it will hold and does not yet: the critic's gradients and moments, and what a step goes back to where
    /// it is stopped between two updates, values and moments of whatever it trains.
    pub fn later_bytes(&self, policy: &Policy) -> u64 {
        const FLOAT: u64 = 4;
        let numbers = |policy: &Policy| policy.trainable_parameters() as u64;
        let critic = self.critic.as_ref().map_or(0, |critic| numbers(&critic.policy));
        FLOAT * (3 * critic + 3 * (critic + numbers(policy)))
    }

    fn again(project: &Project, teacher: &Teacher) -> Result<TeacherCheckpoint> {
        let Teacher { run, step, trained } = teacher;
        let gone = |why: String| {
            TrainError::Resume(format!(
                "the reward model that it learns from, run {} at step {step}, {why}. Put it back, or start a new run",
                run.0
            ))
        };
        let record = project.run(*run).map_err(|error| gone(format!("is gone ({error})")))?;
        let saved = checkpoint::open_weights(&record.checkpoints, Some(*step))
            .map_err(|error| gone(format!("cannot be read ({error})")))?;
        if saved.trained() != trained {
            return Err(gone("is not what it was".to_owned()));
        }
        Ok(TeacherCheckpoint { record, saved, which: String::new(), accuracy: None })
    }
}
