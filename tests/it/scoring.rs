//! What models think of a project's pairs: the same numbers as `nudge score`, kept as they come, beside a run too.

use std::sync::Arc;

use nudge::{
    data::{PairId, config::RunConfig},
    engine::{
        Engine, Speaker, pair_scores,
        protocol::{Event, Outcome, Request, RequestId, RunControl},
        score::{PairScore, score_pairs},
    },
    objective::{Number, Objective, Standing},
    state::{
        filter::{Filter, SortPairsBy},
        table::SavedFilters,
    },
    store::{PairScores, Project, RunId, Scoring},
    text::{Clock, Codec, Limits},
    train::measure::embedding::unpacked,
};
use serde_json::Value;

use crate::{
    terminal::{json_lines, out, path, sentence},
    toy::{self, Toy, finished, reached, start, wait_for},
};

const REQUEST: RequestId = RequestId(9);

/// Asks for scores under a checkpoint, or under what runs start from.
fn ask(engine: &Engine, toy: &Toy, run: Option<(RunId, Option<u64>)>) -> Arc<RunControl> {
    let control = Arc::new(RunControl::default());
    let (project, control_too) = (toy.project.clone(), Arc::clone(&control));
    engine.requests.send(Request::Score { request: REQUEST, project, run, control: control_too }).unwrap();
    control
}

/// Waits until all are there; what was told on the way.
fn all(engine: &Engine) -> Vec<(usize, usize)> {
    let mut told = Vec::new();
    wait_for(engine, |event| match event {
        Event::Scored { request, done, of, .. } if *request == REQUEST => {
            told.push((*done, *of));
            None
        }
        Event::AllScored { request, .. } if *request == REQUEST => Some(()),
        Event::Failed { error, .. } => panic!("{error}"),
        _ => None,
    });
    told
}

fn scores(project: &Project, scoring: Scoring) -> Vec<PairScores> {
    let mut scores = Vec::new();
    project.each_scores(scoring, &mut |one| scores.push(one)).unwrap();
    scores
}

/// What the pairs' texts are like to what the weights started from.
fn embeddings(project: &Project, scoring: Scoring) -> Vec<Vec<f32>> {
    let mut found = Vec::new();
    let mut each = |_, _, kept: &[u8]| found.push(unpacked(kept).unwrap());
    project.each_embedding(scoring.start, &mut each).unwrap();
    found
}

fn start_of(project: &Project, config: &RunConfig) -> Scoring {
    project.scoring(&pair_scores::start_name(project, config).unwrap()).unwrap().unwrap()
}

fn checkpoint(project: &Project, run: RunId, step: u64) -> Scoring {
    project.scoring(&pair_scores::checkpoint_name(run, step)).unwrap().unwrap()
}

/// What `nudge score` says of the project's pairs under these weights.
fn scored_apart(toy: &Toy, speaker: &Speaker) -> Vec<PairScore> {
    let project = toy.open();
    let pairs = project.pairs_at(project.revision().unwrap()).unwrap();
    let scores = score_pairs(&speaker.policy, &speaker.codec, &pairs, speaker.limits, &mut |_| {}).unwrap();
    scores.into_iter().map(Result::unwrap).collect()
}

fn assert_same(scores: &[PairScores], apart: &[PairScore]) {
    assert_eq!(scores.len(), apart.len());
    for (one, other) in scores.iter().zip(apart) {
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-4, "{one:?}: {a} and {b}");
        near(one.chosen.log_prob, other.chosen_logp);
        near(one.rejected.log_prob, other.rejected_logp);
        near(one.margin(), other.margin);
        assert_eq!(one.chosen.tokens, other.chosen_ids.len());
    }
}

#[test]
fn the_scores_are_those_of_nudge_score_and_a_checkpoint_is_measured_against_its_start() {
    let toy = Toy::new();
    for full in [false, true] {
        let mut config = toy::config();
        config.lora.full = full;
        config.optimizer.learning_rate = if full { 1e-3 } else { 1e-2 };
        let (run, outcome) = toy.train(&config);
        assert_eq!(outcome, Outcome::Completed);
        let engine = start();
        ask(&engine, &toy, Some((run, None)));
        let told = all(&engine);
        assert_eq!(*told.last().unwrap(), (40, 40), "20 pairs under two sets of weights");
        engine.shut_down();

        let project = toy.open();
        let at_end = checkpoint(&project, run, 12);
        assert_eq!(at_end.run, Some((run, 12)));
        assert_eq!(project.scored_checkpoints().unwrap().last(), Some(&(run, 12)));
        let trained = scores(&project, at_end);
        assert_same(&trained, &scored_apart(&toy, &Speaker::of_run(&toy.project, run, Some(12)).unwrap()));
        let from = scores(&project, start_of(&project, &config));
        assert_same(&from, &scored_apart(&toy, &Speaker::of_start(&project).unwrap()));

        let objective = pair_scores::objective_at(&project, &config, at_end.run).unwrap();
        assert_eq!(objective, Objective::of(&config.objective));
        for (now, before) in trained.iter().zip(&from) {
            let standing = Standing::of(&objective, now).unwrap();
            let moved = now.margin() - before.margin();
            assert!((standing.margin - moved).abs() < 1e-9, "anchored at the start");
            assert!((standing.reward_margin() - 0.5 * moved).abs() < 1e-9);
            assert_eq!(Standing::of(&objective, before).unwrap().margin, 0.0);
        }
        let start = start_of(&project, &config);
        assert_eq!(embeddings(&project, start).len(), 20, "what the texts are like comes of the same pass");
        assert_eq!(project.unembedded(start.id).unwrap(), []);
        assert_eq!(embeddings(&project, at_end).len(), 20, "and is found from the checkpoint");

        let won = trained.iter().filter(|now| Standing::of(&objective, now).unwrap().margin > 0.0).count();
        assert!(won > 15, "it has learnt something: {won}");
    }
}

#[test]
fn a_run_is_the_same_to_the_bit_with_pairs_scored_beside_it() {
    let toy = Toy::new();
    let (alone, _) = toy.train(&toy::config());
    let run = toy.record(&toy::config());
    let engine = start();
    toy.queue(&engine, run);
    reached(&engine, run, 2);
    ask(&engine, &toy, Some((alone, Some(5))));
    all(&engine);
    assert_eq!(finished(&engine, run), Outcome::Completed);
    engine.shut_down();
    let project = toy.open();
    assert_eq!(scores(&project, checkpoint(&project, alone, 5)).len(), 20);
    assert_eq!(toy::numbers(&project, run), toy::numbers(&project, alone));
}

#[test]
fn what_is_there_is_not_computed_again_and_a_stop_keeps_what_came() {
    let toy = Toy::new();
    let mut project = toy.open();
    let more = (20..400).map(|n| toy::labelled(&format!("Is {n} even?"), "yes sir", "no way"));
    toy::add(&mut project, more.collect());
    let engine = start();
    let control = ask(&engine, &toy, None);
    let done = wait_for(&engine, |event| match event {
        Event::Scored { done, .. } if *done > 0 => Some(*done),
        _ => None,
    });
    control.stop();
    all(&engine);
    let config = RunConfig::default();
    let kept = scores(&project, start_of(&project, &config));
    assert!((done..400).contains(&kept.len()), "{} after {done}", kept.len());
    ask(&engine, &toy, None);
    assert!(all(&engine)[0].0 >= kept.len(), "goes on where it was");
    let whole = scores(&project, start_of(&project, &config));
    assert_eq!((whole.len(), &whole[..kept.len()]), (400, &kept[..]));
    ask(&engine, &toy, None);
    assert_eq!(all(&engine), [(400, 400)]);

    let run = toy.record(&toy::config());
    ask(&engine, &toy, Some((run, None)));
    let error = wait_for(&engine, |event| match event {
        Event::Failed { request, error } if *request == REQUEST => Some(error.clone()),
        _ => None,
    });
    assert!(error.contains("no checkpoint"), "{error}");
    engine.shut_down();
}

#[test]
fn the_terminal_says_the_same_of_a_file_and_of_the_project() {
    let toy = Toy::new();
    let (run, _) = toy.train(&toy::config());
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = path(&toy.project);
    let pairs = path(&home.join("pairs.jsonl"));
    out(home, &["pairs", &project, "--out", &pairs]);
    let of_file = json_lines(&out(home, &["score", "--model", &path(&toy.model), "--pairs", &pairs, "--json"]));
    let of_project = json_lines(&out(home, &["score", &project, "--json"]));
    assert_eq!((of_file.len(), of_project.len()), (21, 21));
    let near = |a: &Value, b: &Value| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-4;
    for (file, kept) in of_file.iter().zip(&of_project).take(20) {
        assert!(["chosen_logp", "rejected_logp", "margin"].iter().all(|key| near(&file[key], &kept[key])), "{kept}");
        assert_eq!(kept["rewards/chosen"], 0.0);
    }
    assert!(near(&of_file[20]["accuracy"], &of_project[20]["accuracy"]));
    let at = format!("{}@5", run.0);
    let trained = json_lines(&out(home, &["score", &project, &at, "--json"]));
    assert!(trained[..20].iter().any(|line| line["rewards/chosen"].as_f64().unwrap() > 0.0));
    let told = out(home, &["score", &project, "last"]);
    assert!(told.contains("by the objective's own (anchored-sum)"), "{told}");
}

#[test]
fn the_terminal_changes_the_pairs_whose_numbers_lie_within_bounds() {
    let toy = Toy::new();
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = path(&toy.project);
    let refused = sentence(home, &["change", &project, "--tag", "low", "--margin", "..0"], 1);
    assert!(refused.contains("nudge score"), "{refused}");
    let scored = json_lines(&out(home, &["score", &project, "--json"]));
    let mut margins: Vec<f64> = scored[..20].iter().map(|line| line["margin"].as_f64().unwrap()).collect();
    margins.sort_by(f64::total_cmp);
    let below = format!("..{}", f64::midpoint(margins[6], margins[7]));
    let change = |more: &[&str]| {
        let said = out(home, &[&["change", &project, "--margin", &below, "--json"], more].concat());
        json_lines(&said)[0]["pairs"].as_array().unwrap().len()
    };
    assert_eq!(change(&["--tag", "low"]), 7);
    assert_eq!(change(&["--tag", "low"]), 0, "they have it");
    assert_eq!(change(&["--split", "eval", "--tagged", "low"]), 7);
    assert_eq!(change(&["--flip", "--push", "9.."]), 0, "no push is that hard");
    let pairs = path(&home.join("low.jsonl"));
    out(home, &["pairs", &project, "--out", &pairs, "--tagged", "low", "--pinned", "eval"]);
    assert_eq!(std::fs::read_to_string(&pairs).unwrap().lines().count(), 7);
    // The same by a name that the window keeps.
    let low = Filter { tag: Some("low".to_owned()), sort: SortPairsBy::Scores(Number::Margin), ..Filter::default() };
    let kept = SavedFilters([("wobbly".to_owned(), low)].into());
    toy.open().set_setting(SavedFilters::SETTING, &kept.to_toml().unwrap()).unwrap();
    let sorted = path(&home.join("sorted.jsonl"));
    out(home, &["pairs", &project, "--out", &sorted, "--filter", "wobbly"]);
    let written = json_lines(&std::fs::read_to_string(&sorted).unwrap());
    let prompt = |pair: &Value| pair["prompt"][0]["content"].as_str().map(str::to_owned);
    let prompts: Vec<String> = written.iter().map(|pair| prompt(pair).unwrap()).collect();
    let mut by_margin: Vec<&Value> = scored[..20].iter().collect();
    by_margin.sort_by(|a, b| a["margin"].as_f64().unwrap().total_cmp(&b["margin"].as_f64().unwrap()));
    let lowest: Vec<PairId> = by_margin[..7].iter().map(|line| PairId(line["pair"].as_i64().unwrap())).collect();
    let lowest = toy.open().pairs(&lowest).unwrap();
    assert_eq!(prompts, lowest.iter().map(|pair| pair.prompt.last_text()).collect::<Vec<_>>(), "in its order");
    assert_eq!(change(&["--flip", "--filter", "wobbly", "--push", "9.."]), 0, "narrowed further");
    let unknown = sentence(home, &["change", &project, "--delete", "--filter", "shaky"], 2);
    assert!(unknown.contains("\"wobbly\""), "{unknown}");
    assert_eq!(change(&["--delete", "--tagged", "low"]), 7);
    let none = sentence(home, &["pairs", &project, "--out", &pairs, "--tagged", "low", "--overwrite"], 1);
    assert!(none.contains("Nothing was written, because there is no such pair"), "{none}");
    let which = sentence(home, &["change", &project, "--delete"], 2);
    assert!(which.contains("--all"), "{which}");
}

/// Where the date is part of the prompt, what was scored on one day is not taken for the scores of another.
#[test]
fn scores_under_a_template_that_prints_the_date_are_those_of_a_day() {
    let home = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(crate::terminal::model()).unwrap() {
        let from = entry.unwrap().path();
        std::fs::copy(&from, home.path().join(from.file_name().unwrap())).unwrap();
    }
    let identity = |hours: i64| {
        let codec = Codec::load(home.path()).unwrap().at(Clock::of_ms(hours * 3_600_000));
        pair_scores::identity("weights", &codec, Limits::NONE)
    };
    assert_eq!(identity(0), identity(48), "no template asks for the date");
    let template = "{{ strftime_now('%d %b') }}{% for m in messages %}{{ m.content }}{% endfor %}";
    std::fs::write(home.path().join("chat_template.jinja"), template).unwrap();
    assert_eq!(identity(0), identity(23));
    assert_ne!(identity(0), identity(48));
}
