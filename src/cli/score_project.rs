//! `nudge score PROJECT`: what a model thinks of each pair of a project.

use std::{path::Path, sync::atomic::Ordering};

use anyhow::{Context as _, Result};
use data::{
    config::{Method, RunConfig},
    counted, metrics,
};
use engine::{ScoringJob, Speakers, compute_pool, pair_scores};
use indicatif::ProgressBar;
use serde_json::json;
use store::{PairScores, Project, VerdictState};
use train::objective::{Objective, Standing};

use super::{
    drive,
    ending::{Ending, on_interrupt},
    output,
    place::find_at,
};

const STOPPING: &str = "Stopping; the scores so far are kept. Ctrl-C again leaves at once.";

/// Pairs whose scores are in the project before the next are begun.
const KEPT_TOGETHER: usize = 64;

pub fn run(dir: &Path, run: Option<&str>, reward: Option<&str>, is_json: bool, threads: Option<u16>) -> Result<Ending> {
    let project = Project::open(dir)?;
    let wants_rewards = reward.is_some();
    let run = reward.or(run).map(|word| find_at(&project, word)).transpose()?;
    let settings = project.settings()?;
    let config = RunConfig::from_toml(run.as_ref().map_or(&settings.run_toml, |(record, _)| &record.config_toml))?;
    let is_reward = run.is_some() && config.objective.kind == Method::Reward;
    if wants_rewards && !is_reward {
        let name = run.as_ref().map_or("It", |(record, _)| record.name.as_str());
        anyhow::bail!(
            "{name} is no reward model; fit one with `nudge train --set objective.kind=reward`, or score its log-probs with `nudge score PROJECT RUN`"
        );
    }
    let interrupted = on_interrupt(STOPPING, || {})?;
    let pool = compute_pool(drive::threads(threads)).context("The system refuses threads")?;
    let step = pool.install(|| -> Result<Option<u64>> {
        let mut speakers = Speakers::default();
        let asked = run.as_ref().map(|(record, step)| (record.id, *step));
        let mut scoring = ScoringJob::begin(&mut speakers, dir, asked)?;
        scoring.passed_over.iter().for_each(output::note);
        let wanted = || !interrupted.load(Ordering::Acquire);
        let bar = bar(scoring.turned().of);
        while !scoring.has_ended() && wanted() {
            bar.set_position(scoring.turned().done as u64);
            scoring.turn(&mut speakers, KEPT_TOGETHER, &wanted)?;
        }
        bar.finish_and_clear();
        Ok(scoring.step)
    })?;
    if interrupted.load(Ordering::Acquire) {
        return Ok(Ending::Interrupted);
    }
    let at = run.map(|(record, _)| record.id).zip(step);
    tell(&project, &config, at, is_json)?;
    Ok(Ending::Done)
}

fn bar(len: usize) -> ProgressBar {
    output::bar(len, "{bar:24} {pos}/{len} pairs  {elapsed} of {duration}")
}

/// Prints what the project holds of them.
fn tell(project: &Project, config: &RunConfig, at: Option<(store::RunId, u64)>, is_json: bool) -> Result<()> {
    let name = match at {
        Some((run, step)) if step > 0 => pair_scores::checkpoint_name(run, step),
        _ => pair_scores::start_name(project, config)?,
    };
    let scoring = project.scoring(&name)?.context("Nothing was scored")?;
    let objective = pair_scores::objective_at(project, config, at)?;
    let is_reward = at.is_some() && config.objective.kind == Method::Reward;
    let names = if is_reward { ["chosen_score", "rejected_score"] } else { ["chosen_logp", "rejected_logp"] };
    let mut sums = Sums::default();
    let mut printed = Ok(());
    project.each_scores(scoring, &mut |scores| {
        if printed.is_ok() {
            let standing = Standing::of(&objective, &scores);
            sums.add(&scores, standing);
            printed = line(&scores, standing, is_json, names);
        }
    })?;
    printed?;
    let all = project.counts()?.total();
    sums.tell(&objective, all, is_json)
}

/// What is said of all pairs together.
#[derive(Default)]
struct Sums {
    scored: usize,
    /// One answer is better: that one ahead, and the whole of them.
    right: usize,
    decided: usize,
    margins: f64,
    won: usize,
    asleep: usize,
    push: f64,
    trained: usize,
}

impl Sums {
    fn add(&mut self, scores: &PairScores, standing: Option<Standing>) {
        self.scored += 1;
        if scores.state == VerdictState::Better {
            self.decided += 1;
            self.right += usize::from(scores.margin() > 0.0);
            self.margins += scores.margin();
            self.won += usize::from(standing.is_some_and(|standing| standing.margin > 0.0));
        }
        if let Some(standing) = standing.filter(|_| scores.certainty.is_some()) {
            self.trained += 1;
            self.push += standing.push;
            self.asleep += usize::from(standing.asleep);
        }
    }

    fn tell(&self, objective: &Objective, all: usize, is_json: bool) -> Result<()> {
        let of = |sum: f64, count: usize| sum / count.max(1) as f64;
        let (accuracy, mean_margin) = (of(self.right as f64, self.decided), of(self.margins, self.decided));
        let (push, without) = (of(self.push, self.trained), all.saturating_sub(self.scored));
        if is_json {
            return output::json(&json!({
                "accuracy": accuracy,
                "pairs": self.scored,
                "without": without,
                "mean_margin": mean_margin,
                "mean_push": push,
                "asleep": self.asleep,
                "won": self.won,
            }));
        }
        let decided = counted(self.decided, "pair has", "pairs have");
        output::line(format!("{} of {decided} the chosen answer ahead: accuracy {accuracy:.3}", self.right))?;
        let kind = objective.margin().name();
        output::line(format!(
            "Mean margin {mean_margin:.4}; by the objective's own ({kind}) {} won, {} asleep, mean push {push:.4}",
            self.won, self.asleep
        ))?;
        if without > 0 {
            let pairs = counted(without, "pair", "pairs");
            output::line(format!("{pairs} cannot be scored; `nudge check` says why of those with a label"))?;
        }
        Ok(())
    }
}

fn line(scores: &PairScores, standing: Option<Standing>, is_json: bool, names: [&str; 2]) -> Result<()> {
    let PairScores { pair, chosen, rejected, .. } = scores;
    if is_json {
        let [of_chosen, of_rejected] = names;
        let mut line = json!({
            "pair": pair.0,
            of_chosen: chosen.log_prob,
            of_rejected: rejected.log_prob,
            "chosen_tokens": chosen.tokens,
            "rejected_tokens": rejected.tokens,
            "margin": scores.margin(),
        });
        if let (Some(standing), Some(fields)) = (standing, line.as_object_mut()) {
            fields.insert(metrics::CHOSEN_REWARD.to_owned(), standing.chosen_reward.into());
            fields.insert(metrics::REJECTED_REWARD.to_owned(), standing.rejected_reward.into());
            fields.insert("objective_margin".to_owned(), standing.margin.into());
            fields.insert("push".to_owned(), standing.push.into());
            fields.insert("asleep".to_owned(), standing.asleep.into());
        }
        return output::json(&line);
    }
    let rest = standing.map_or_else(String::new, |standing| {
        let asleep = if standing.asleep { "  asleep" } else { "" };
        format!(
            "  rewards {:>8.4} {:>8.4}  push {:>7.4}{asleep}",
            standing.chosen_reward, standing.rejected_reward, standing.push
        )
    });
    output::line(format!(
        "{:>6}  chosen {:>10.4} ({} tokens)  rejected {:>10.4} ({} tokens)  margin {:>10.4}{rest}",
        pair.0,
        chosen.log_prob,
        chosen.tokens,
        rejected.log_prob,
        rejected.tokens,
        scores.margin()
    ))
}
