//! Scores: what is known under which weights, and what becomes of it when pairs change.

use super::*;
use crate::{ProjectSettings, Sort, SortKey};
use ::data::{Answer, Change, Edit, Origin, Prompt, Strength, Verdict};

fn verdict(chosen: usize, rejected: usize) -> Verdict {
    let choice = Choice::Better { chosen, rejected, strength: Strength::Clearly };
    Verdict::local(choice, 0)
}

fn pairs(count: usize) -> (tempfile::TempDir, Project, Vec<PairId>) {
    let dir = tempfile::tempdir().unwrap();
    let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
    let pair = |n: usize| Pair {
        verdict: Some(verdict(0, 1)),
        ..Pair::new(PairId::NEW, Prompt::Text(n.to_string()), &["yes", "no", "perhaps"])
    };
    let added = Change::new("Add", (0..count).map(pair).map(Edit::add).collect());
    let ids = project.apply(&added).unwrap().pairs;
    (dir, project, ids)
}

fn scoring(project: &mut Project, weights: &str, name: &str) -> ScoringId {
    project.record_scoring(NewScoring { weights, name, run: None, start: None }).unwrap()
}

/// Scores by the pair's number and the answer's place.
fn score_all(project: &mut Project, scoring: ScoringId, scale: f64) {
    let (ids, _) = project.unscored(scoring).unwrap();
    let asked = project.to_score(&ids).unwrap();
    let scored: Vec<Scored> = asked
        .iter()
        .map(|one| {
            let of =
                |place: usize| Score { log_prob: -scale * (one.pair.id.0 * place as i64) as f64, tokens: place + 1 };
            Scored::new(one, Some(one.answers().map(of)))
        })
        .collect();
    project.put_scores(scoring, &scored).unwrap();
}

fn change(project: &mut Project, id: PairId, with: impl FnOnce(&mut Pair)) {
    let before = project.pair(id).unwrap().unwrap();
    let mut after = before.clone();
    with(&mut after);
    project.apply(&Change::new("Change", vec![Edit::replace(before, after)])).unwrap();
}

#[test]
fn a_score_belongs_to_the_texts_and_follows_the_verdict() {
    let (_dir, mut project, ids) = pairs(3);
    let start = scoring(&mut project, "w", "start");
    assert_eq!(project.unscored(start).unwrap(), (ids.clone(), 3));
    score_all(&mut project, start, 1.0);
    assert_eq!(project.unscored(start).unwrap(), (vec![], 3));
    let known = project.scoring("start").unwrap().unwrap();
    assert_eq!(known, Scoring { id: start, run: None, start });
    let margin = |project: &Project, id| project.scores(known, &[id]).unwrap().first().map(PairScores::margin);
    assert_eq!(margin(&project, ids[1]), Some(ids[1].0 as f64));

    // Turned round: known already. Another answer: not known. A new text: not known, until that is undone.
    change(&mut project, ids[1], |pair| pair.verdict = Some(verdict(1, 0)));
    assert_eq!(margin(&project, ids[1]), Some(-ids[1].0 as f64));
    assert_eq!(project.scores(known, &[ids[1]]).unwrap()[0].certainty, Some(0.9));
    change(&mut project, ids[1], |pair| pair.verdict = Some(verdict(2, 0)));
    assert_eq!(margin(&project, ids[1]), None);
    assert_eq!(project.unscored(start).unwrap().0, [ids[1]]);
    score_all(&mut project, start, 1.0);
    assert_eq!(margin(&project, ids[1]), Some(-2.0 * ids[1].0 as f64));
    change(&mut project, ids[2], |pair| pair.answers[0] = Answer::new("other", Origin::Human));
    assert_eq!(margin(&project, ids[2]), None);
    project.undo().unwrap();
    assert_eq!(margin(&project, ids[2]), Some(ids[2].0 as f64));
}

#[test]
fn a_checkpoint_is_measured_against_its_start() {
    let (_dir, mut project, ids) = pairs(4);
    let start = scoring(&mut project, "w", "start");
    let other = scoring(&mut project, "v", "other");
    score_all(&mut project, start, 1.0);
    score_all(&mut project, other, 3.0);
    let both = Scoring { id: other, run: None, start };
    let found = project.scores(both, &ids[..1]).unwrap()[0];
    assert_eq!((found.rejected, found.start), (Score { log_prob: -3.0, tokens: 2 }, Some([0.0, -1.0])));
    let mut all = Vec::new();
    project.each_scores(both, &mut |scores| all.push(scores.pair)).unwrap();
    assert_eq!(all, ids);
    // Other weights under a name that is known: the name is theirs now.
    let newer = scoring(&mut project, "u", "start");
    assert_eq!(project.scoring("start").unwrap().unwrap().id, newer);
    assert_eq!(scoring(&mut project, "w", "start"), start);
    assert_eq!(project.scoring("start").unwrap().unwrap().id, start);
}

#[test]
fn a_fork_and_its_parent_each_keep_the_scores_of_the_checkpoint_that_they_share() {
    let (_dir, mut project, ids) = pairs(3);
    let new = |parent| crate::NewRun {
        name: "run".to_owned(),
        config_toml: String::new(),
        method: "MPO".to_owned(),
        revision: crate::Revision(1),
        parent,
    };
    let parent = project.create_run(&new(None)).unwrap();
    let fork = project.fork_run(&new(Some(parent)), 0, None).unwrap();
    let start = scoring(&mut project, "start", "start");
    let record = |project: &mut Project, run, name| {
        let new = NewScoring { weights: "w", name, run: Some((run, 40)), start: Some(start) };
        project.record_scoring(new).unwrap()
    };
    let first = record(&mut project, parent, "run 1 step 40");
    score_all(&mut project, first, 1.0);
    let second = record(&mut project, fork, "run 2 step 40");
    assert_eq!(project.unscored(second).unwrap().0, [], "they are the same weights");
    let found = |project: &Project, name: &str| {
        let known = project.scoring(name).unwrap()?;
        Some((known.run, project.scores(known, &ids).unwrap().len()))
    };
    for again in [false, true] {
        assert_eq!(found(&project, "run 1 step 40"), Some((Some((parent, 40)), 3)), "{again}");
        assert_eq!(found(&project, "run 2 step 40"), Some((Some((fork, 40)), 3)), "{again}");
        assert_eq!(record(&mut project, fork, "run 2 step 40"), second);
        assert_eq!(record(&mut project, parent, "run 1 step 40"), first);
    }
    assert_eq!(project.scored_checkpoints().unwrap(), [(parent, 40), (fork, 40)]);
    project.set_run_status(parent, crate::RunStatus::Completed, None).unwrap();
    project.delete_run(parent).unwrap();
    assert_eq!(found(&project, "run 1 step 40"), None);
    assert_eq!(found(&project, "run 2 step 40"), Some((Some((fork, 40)), 3)));
}

#[test]
fn pairs_are_sorted_and_narrowed_by_their_scores() {
    let (_dir, mut project, ids) = pairs(4);
    let start = scoring(&mut project, "w", "start");
    let known = Scoring { id: start, run: None, start };
    let asked = project.to_score(&ids[..3]).unwrap();
    let put: Vec<Scored> = asked
        .iter()
        .zip([Some(2.0), Some(-1.0), None])
        .map(|(one, margin)| {
            let score = |log_prob| Score { log_prob, tokens: 1 };
            Scored::new(one, margin.map(|margin| [score(margin - 5.0), score(-5.0)]))
        })
        .collect();
    project.put_scores(start, &put).unwrap();
    assert_eq!(project.unscored(start).unwrap().0, [ids[3]], "one that cannot be scored is not asked for again");
    let sort = |descending| PairQuery { sort: Sort { key: SortKey::Scores, descending }, ..PairQuery::default() };
    let margin = |scores: &PairScores| Some(scores.margin());
    let found = |query: &PairQuery, only, place: &dyn Fn(&PairScores) -> Option<f64>| {
        project.query_scored(query, known, only, place).unwrap()
    };
    assert_eq!(found(&sort(false), false, &margin), [ids[1], ids[0], ids[2], ids[3]]);
    assert_eq!(found(&sort(true), true, &margin), [ids[0], ids[1]]);
    let won = |scores: &PairScores| (scores.margin() > 0.0).then_some(0.0);
    assert_eq!(found(&PairQuery::default(), true, &won), [ids[0]]);
}
