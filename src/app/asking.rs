//! The order in which a labelling session asks.

use std::collections::{BTreeMap, HashMap, HashSet};

use data::{PairId, counted};
use state::{
    asking::{AskFirst, agreement, by_number, shuffled},
    scores::Whose,
};
use store::{PairScores, Project, Scoring, VerdictState};
use train::measure::embedding;

use super::scores::scoring;

/// The pairs in the order in which they are asked about, and what there is to say where it is not the one that was
/// wished for. `whose`: of what model the margin is the closest.
pub(super) fn order(
    project: &Project,
    queue: Vec<PairId>,
    first: AskFirst,
    whose: Whose,
    seed: u64,
) -> anyhow::Result<(Vec<PairId>, Option<String>)> {
    let scored = match first {
        AskFirst::Listed => return Ok((queue, None)),
        AskFirst::Random => return Ok((shuffled(queue, seed), None)),
        AskFirst::Unlike => return unlike_the_labelled(project, queue, whose),
        AskFirst::Closest => scoring(project, whose)?.into_iter().collect(),
        AskFirst::Disputed => newest(project)?,
    };
    if first == AskFirst::Disputed && scored.len() < 2 {
        let had = match scored.len() {
            0 => "no run has".to_owned(),
            one => format!("only {}", counted(one, "run has", "runs have")),
        };
        let sentence = format!(
            "Runs disagree only where two have scored the pairs, and {had}: choose a checkpoint under “Scores” and press Shift G"
        );
        return Ok((queue, Some(sentence)));
    }
    let mut margins: HashMap<PairId, Vec<f64>> = HashMap::new();
    for scoring in scored {
        project
            .each_scores(scoring, &mut |scores| margins.entry(scores.pair).or_default().push(preference(&scores)))?;
    }
    let known = queue.iter().filter(|pair| margins.contains_key(pair)).count();
    let remark = missing(queue.len() - known, "no score yet", "scores them");
    let number = |pair: PairId| {
        let margins = margins.get(&pair)?;
        if first == AskFirst::Disputed { agreement(margins) } else { margins.first().map(|margin| margin.abs()) }
    };
    Ok((by_number(queue, number), remark))
}

fn missing(pairs: usize, lack: &str, remedy: &str) -> Option<String> {
    (pairs > 0).then(|| format!("{} {lack} and come last: Shift G {remedy}", counted(pairs, "pair has", "pairs have")))
}

/// First those whose texts are, to what runs start from, the least like those of any labelled pair.
fn unlike_the_labelled(
    project: &Project,
    queue: Vec<PairId>,
    whose: Whose,
) -> anyhow::Result<(Vec<PairId>, Option<String>)> {
    let queued: HashSet<PairId> = queue.iter().copied().collect();
    let (mut asked, mut labelled) = (HashMap::new(), Vec::new());
    // Under a checkpoint as well the start model's view is meant.
    let start = scoring(project, whose)?.map_or_else(|| scoring(project, Whose::Start), |scored| Ok(Some(scored)))?;
    if let Some(scoring) = start {
        project.each_embedding(scoring.start, &mut |pair, state, kept| {
            let Some(embedding) = embedding::unpacked(kept) else { return };
            if queued.contains(&pair) {
                asked.insert(pair, embedding);
            } else if state != VerdictState::Unlabelled {
                labelled.push(embedding);
            }
        })?;
    }
    let (known, unknown): (Vec<PairId>, Vec<PairId>) = queue.into_iter().partition(|pair| asked.contains_key(pair));
    let embeddings: Vec<Vec<f32>> = known.iter().filter_map(|pair| asked.remove(pair)).collect();
    let order = embedding::furthest_first(&embeddings, &labelled);
    let remark = missing(unknown.len(), "not been read by the model yet", "has it read them");
    Ok((order.into_iter().map(|at| known[at]).chain(unknown).collect(), remark))
}

/// How far the weights prefer the one answer: since their start where that is known, for what was so from the beginning
/// is no preference.
fn preference(scores: &PairScores) -> f64 {
    let at_start = scores.start.map_or(0.0, |[chosen, rejected]| chosen - rejected);
    // Of what runs start from only the margin itself says anything.
    let since = scores.margin() - at_start;
    if since == 0.0 { scores.margin() } else { since }
}

/// The newest checkpoint of each run under which pairs were scored.
fn newest(project: &Project) -> anyhow::Result<Vec<Scoring>> {
    // By run and step: of a run the last one stays.
    let newest: BTreeMap<_, _> = project.scored_checkpoints()?.into_iter().collect();
    newest.into_iter().filter_map(|(run, step)| scoring(project, Whose::Checkpoint { run, step }).transpose()).collect()
}
