//! `nudge score`: log-probs of given pairs, token by token, or a reward model's scores of them; of a project's pairs in
//! `score_project`.

use anyhow::{Context as _, Result};
use data::{Pair, counted};
use engine::{
    Speaker, compute_pool,
    score::{PairScore, RewardScore, read_batch_file, reward_ids, reward_pairs, score_ids, score_pairs},
};
use formats::{Options, Reader};
use indicatif::ProgressBar;
use serde::Serialize;
use serde_json::json;
use text::Limits;

use super::{args::Score, drive, ending::Ending, output, score_project, score_weights};

/// Pairs of a file that are in memory at once.
const AT_ONCE: usize = 256;

pub fn run(args: &Score, threads: Option<u16>) -> Result<Ending> {
    if let (Some(project), Some(run), true) = (&args.project, &args.run, args.weights) {
        return score_weights::run(project, run, args.json, threads);
    }
    if let Some(project) = &args.project {
        return score_project::run(project, args.run.as_deref(), args.reward.as_deref(), args.json, threads);
    }
    let pool = compute_pool(drive::threads(threads)).context("The system refuses threads")?;
    let tally = pool.install(|| score(args))?;
    anyhow::ensure!(tally.scored > 0, "No pair could be scored.");
    let pairs = tally.scored as f64;
    let accuracy = tally.right as f64 / pairs;
    let mean_margin = tally.margins / pairs;
    let mean_token_margin = tally.token_margins.map(|margins| margins / pairs);
    if args.json {
        let mut all = json!({ "accuracy": accuracy, "pairs": tally.scored, "mean_margin": mean_margin });
        if let Some(margin) = mean_token_margin {
            all["mean_token_margin"] = margin.into();
        }
        output::json(&all)?;
    } else {
        let scored = counted(tally.scored, "pair has", "pairs have");
        output::line(format!("{} of {scored} the chosen answer ahead: accuracy {accuracy:.3}", tally.right))?;
        let a_token = mean_token_margin.map_or(String::new(), |margin| format!(", per token {margin:.4}"));
        output::line(format!("Mean margin {mean_margin:.4}{a_token}"))?;
    }
    Ok(Ending::Done)
}

/// What the model says of a pair.
#[derive(Serialize)]
#[serde(untagged)]
enum Said {
    LogProbs(PairScore),
    /// It is a reward model.
    Scores(RewardScore),
}

impl Said {
    fn margin(&self) -> f64 {
        match self {
            Self::LogProbs(score) => score.margin,
            Self::Scores(score) => score.margin,
        }
    }

    /// Margin of the mean log-probs a token; a score is of a whole answer.
    fn token_margin(&self) -> Option<f64> {
        match self {
            Self::LogProbs(score) => Some(
                score.chosen_logp / score.chosen_ids.len() as f64
                    - score.rejected_logp / score.rejected_ids.len() as f64,
            ),
            Self::Scores(_) => None,
        }
    }
}

/// What has been printed so far.
#[derive(Default)]
struct Tally {
    seen: usize,
    scored: usize,
    right: usize,
    margins: f64,
    token_margins: Option<f64>,
}

impl Tally {
    /// Prints what is known about the next pair, or why nothing is.
    fn next(&mut self, said: &Result<Said, String>, is_json: bool) -> Result<()> {
        let index = self.seen;
        self.seen += 1;
        match said {
            Ok(said) => {
                self.scored += 1;
                self.right += usize::from(said.margin() > 0.0);
                self.margins += said.margin();
                if let Some(margin) = said.token_margin() {
                    *self.token_margins.get_or_insert_default() += margin;
                }
                print(index, said, is_json)
            }
            Err(reason) if is_json => output::json(&json!({"index": index, "error": reason})),
            Err(reason) => output::line(format!("{index:>5}  cannot be scored: {reason}")),
        }
    }
}

fn score(args: &Score) -> Result<Tally> {
    let model = args.model.as_ref().context("Name --model")?;
    let speaker = args.loading.speaker(model)?;
    let mut tally = Tally::default();
    let scores_answers = speaker.policy.has_scalar_head();
    let bar = ProgressBar::new(0);
    if let Some(file) = &args.batch_file {
        let pairs = read_batch_file(file)?;
        bar.set_length(pairs.len() as u64);
        let said: Vec<Said> = if scores_answers {
            reward_ids(&speaker.policy, &pairs)?.into_iter().map(Said::Scores).collect()
        } else {
            let scores = score_ids(&speaker.policy, &pairs, &mut |done| bar.set_position(done as u64))?;
            scores.into_iter().map(Said::LogProbs).collect()
        };
        bar.finish_and_clear();
        said.into_iter().try_for_each(|said| tally.next(&Ok(said), args.json))?;
        return Ok(tally);
    }
    let file = args.pairs.as_ref().context("Name --pairs or --batch-file")?;
    let mut reader = Reader::open(file, &Options::default())?;
    let limits = Limits { max_prompt: args.max_prompt_tokens, max_answer: args.max_answer_tokens };
    loop {
        // A pipe may go on without end.
        let pairs: Vec<Pair> = reader.by_ref().take(AT_ONCE).collect::<Result<_, _>>()?;
        if pairs.is_empty() {
            break;
        }
        let at = reader.progress();
        bar.set_length(at.total_bytes);
        bar.set_position(at.bytes);
        let Speaker { policy, codec, .. } = &speaker;
        let said: Vec<Result<Said, String>> = if scores_answers {
            let scores = reward_pairs(policy, codec, &pairs, limits)?;
            scores.into_iter().map(|score| score.map(Said::Scores)).collect()
        } else {
            let scores = score_pairs(policy, codec, &pairs, limits, &mut |_| {})?;
            scores.into_iter().map(|score| score.map(Said::LogProbs)).collect()
        };
        bar.suspend(|| said.iter().try_for_each(|said| tally.next(said, args.json)))?;
    }
    bar.finish_and_clear();
    let report = reader.into_report();
    for fault in &report.faults {
        output::note(format!("{}, line {}: {}", file.display(), fault.line, fault.reason));
    }
    if report.more_faults > 0 {
        output::note(format!("{}: {} more left out", file.display(), report.more_faults));
    }
    Ok(tally)
}

fn print(index: usize, said: &Said, is_json: bool) -> Result<()> {
    if is_json {
        return output::json(said);
    }
    let tokens = |ids: &[u32]| counted(ids.len(), "token", "tokens");
    let (chosen, rejected, margin) = match said {
        Said::LogProbs(score) => {
            ((score.chosen_logp, &score.chosen_ids), (score.rejected_logp, &score.rejected_ids), score.margin)
        }
        Said::Scores(score) => {
            ((score.chosen_score, &score.chosen_ids), (score.rejected_score, &score.rejected_ids), score.margin)
        }
    };
    output::line(format!(
        "{index:>5}  chosen {:>10.4} ({})  rejected {:>10.4} ({})  margin {margin:>10.4}",
        chosen.0,
        tokens(chosen.1),
        rejected.0,
        tokens(rejected.1),
    ))?;
    let others = match said {
        Said::LogProbs(_) => &[][..],
        Said::Scores(score) => &score.others,
    };
    others.iter().try_for_each(|other| {
        output::line(format!("       answer {} {:>10.4} ({})", other.answer + 1, other.score, tokens(&other.ids)))
    })
}
