//! The order in which a labelling session asks.

use std::collections::{BTreeMap, HashMap};

use data::{PairId, counted};
use state::{
    asking::{AskFirst, agreement, by_number, shuffled},
    scores::Whose,
};
use store::{PairScores, Project, Scoring};

use super::scores::scoring;

/// The pairs in the order in which they are asked about, and what there is to say where it is not the one that was wished for.
/// `whose`: of what model the margin is the closest.
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
    let remark = (known < queue.len()).then(|| {
        let missing = counted(queue.len() - known, "pair has", "pairs have");
        format!("{missing} no score yet and come last: Shift G scores them")
    });
    let number = |pair: PairId| {
        let margins = margins.get(&pair)?;
        if first == AskFirst::Disputed { agreement(margins) } else { margins.first().map(|margin| margin.abs()) }
    };
    Ok((by_number(queue, number), remark))
}

/// How far the weights prefer the one answer: since their start where that is known, for what was so from the beginning is no
/// preference.
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
