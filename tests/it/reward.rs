//! A reward model: fitted, resumed to the bit, asked for scores, and exported as others read it.

use std::{fs, path::Path};

use nudge::{
    data::{
        self,
        config::{Method, RunConfig},
    },
    engine::{Speaker, protocol::Outcome},
    export::{
        AdapterFormat, AdapterPart, AdapterStrength, ExportError, ExportOrder, MergedOptions, What, WhichCheckpoint,
        export,
    },
    model::{Doc, GenerateOptions, LoadOptions, Policy, Reads, Row},
    store::RunId,
    train::run::{
        checkpoint::newest_state,
        fork::{Fork, fork},
    },
};
use serde_json::{Value, json};

use crate::{
    resume,
    terminal::{json_lines, out, path, sentence},
    toy::{self, Toy},
};

const MERGED: MergedOptions = MergedOptions { stored: None, max_shard_bytes: 1 << 30 };

pub fn config() -> RunConfig {
    let mut config = resume::config();
    config.objective.kind = Method::Reward;
    config.optimizer.learning_rate = 1e-2;
    config
}

fn newest(toy: &Toy, run: RunId, name: &str) -> f64 {
    toy.open().series(run, name, None).unwrap().last().map_or(f64::NAN, |(_, value)| *value)
}

#[test]
fn it_learns_which_answer_is_better_and_resumes_to_the_bit() {
    let toy = Toy::new();
    let (whole, outcome) = toy.train(&config());
    assert_eq!(outcome, Outcome::Completed);
    let first = toy.open().series(whole, "eval_loss", None).unwrap()[0];
    assert_eq!(first, (0, std::f64::consts::LN_2), "every score is 0 before the first update");
    assert!(newest(&toy, whole, "accuracy") > 0.9 && newest(&toy, whole, "eval_loss") < 0.5);
    assert!(newest(&toy, whole, "loss") < 0.5 && newest(&toy, whole, "margin") > 0.5);
    assert!(toy.open().samples(whole).unwrap().is_empty(), "a reward model answers no probe");
    let state = newest_state(&toy.open().run(whole).unwrap().checkpoints).unwrap();
    assert!(state.scale.unwrap().std > 0.0);

    let parts = toy.record(&config());
    toy.leave_at(parts, 12);
    resume::remove_after(&toy.open().run_dir(parts), 10);
    assert_eq!(toy.go_on(parts), Outcome::Completed);
    resume::assert_same(&toy, whole, parts);
}

#[test]
fn its_scores_stand_beside_the_pairs_and_it_gives_no_text() {
    let toy = Toy::new();
    let (run, _) = toy.train(&config());
    let (policy, _) = toy.train(&toy::config());
    let (home, project) = (toy.project.parent().unwrap(), path(&toy.project));
    let number = run.0.to_string();
    let said = out(home, &["score", &project, "--reward", &number, "--json"]);
    let lines = json_lines(&said);
    let (all, pairs) = lines.split_last().unwrap();
    assert_eq!(pairs.len(), 20);
    assert!(all["accuracy"].as_f64().unwrap() > 0.9, "{all}");
    let std = newest_state(&toy.open().run(run).unwrap().checkpoints).unwrap().scale.unwrap().std;
    let number_of = |line: &Value, key: &str| line[key].as_f64().unwrap();
    for line in pairs {
        let margin = number_of(line, "chosen_score") - number_of(line, "rejected_score");
        assert!((number_of(line, "margin") - margin).abs() < 1e-9);
        // In the head's own unit, which pushes are told in too.
        assert!((number_of(line, "rewards/chosen") - std * number_of(line, "chosen_score")).abs() < 1e-9, "{line}");
        assert!((number_of(line, "push") - std / (1.0 + (std * margin).exp())).abs() < 1e-6, "{line}");
        assert!((number_of(line, "objective_margin") - margin).abs() < 1e-9);
    }
    // The same again from what is kept.
    assert_eq!(out(home, &["score", &project, "--reward", &number, "--json"]), said);
    let refused = sentence(home, &["score", &project, "--reward", &policy.0.to_string()], 1);
    assert!(refused.contains("is no reward model"), "{refused}");
    let speaker = Speaker::of_run(&toy.project, run, None).unwrap();
    let error = speaker
        .policy
        .generate(&[vec![1, 2]], &GenerateOptions::default(), &mut |_, _| std::ops::ControlFlow::Continue(()));
    assert!(error.unwrap_err().to_string().contains("gives scores and no text"));
}

#[test]
fn its_export_is_a_sequence_classification_adapter_with_the_same_scores() {
    let toy = Toy::new();
    let (run, _) = toy.train(&config());
    let to = toy.project.join("out");
    let order = |what| ExportOrder {
        project: toy.project.clone(),
        run,
        which: WhichCheckpoint::Newest,
        what,
        strength: AdapterStrength::default(),
        to: to.clone(),
        overwrite: false,
    };
    let go_on = &mut |_: &str, _: Option<f32>| std::ops::ControlFlow::Continue(());
    let layouts =
        [AdapterFormat::Mlx, AdapterFormat::Gguf].map(|layout| What::Adapter { layout, part: AdapterPart::Sum });
    for what in [What::Merged(MERGED)].into_iter().chain(layouts) {
        let error = export(&order(what), go_on).unwrap_err();
        // No folder is named that is gone by then.
        assert!(matches!(error, ExportError::Reward), "{error}");
    }
    let exported =
        export(&order(What::Adapter { layout: AdapterFormat::Peft, part: AdapterPart::Sum }), go_on).unwrap();
    assert!(exported.proof.unwrap().difference < 1e-4);
    let written: Value = serde_json::from_str(&fs::read_to_string(to.join("adapter_config.json")).unwrap()).unwrap();
    assert_eq!((&written["task_type"], &written["modules_to_save"][0]), (&"SEQ_CLS".into(), &"score".into()));
    assert!(fs::read_to_string(to.join("README.md")).unwrap().contains("AutoModelForSequenceClassification"));

    // Neither a policy nor another reward model begins with it.
    for (frozen_adapters, continued) in [(vec![to.clone()], None), (Vec::new(), Some(to.clone()))] {
        let options = LoadOptions { full: continued.is_none(), frozen_adapters, continued, ..LoadOptions::default() };
        let error = Policy::load(&toy.model, &options).err().unwrap().to_string();
        assert!(error.contains("out") && error.contains("it is a reward model's"), "{error}");
    }
    score_by_file(&toy, run, &to);
    let read = Policy::load(&toy.model, &LoadOptions { frozen_adapters: vec![to], ..LoadOptions::default() }).unwrap();
    let trained = Speaker::of_run(&toy.project, run, None).unwrap();
    let docs = [Doc::new(vec![1, 2, 3], vec![vec![4, 5, 6], vec![7]])];
    let row = Row::pack_for(&docs, Reads::Ends).unwrap();
    let (read, trained) = (read.log_probs(&row).unwrap(), trained.policy.log_probs(&row).unwrap());
    for (read, trained) in read.iter().flatten().zip(trained.iter().flatten()) {
        assert!((read - trained).abs() < 1e-5, "{read} for {trained}");
    }
}

/// `nudge score` with the exported adapter says what the run's own weights say, of third answers too; log-probs of a
/// language model that nobody trained to speak are no answer.
fn score_by_file(toy: &Toy, run: RunId, adapter: &Path) {
    let home = toy.project.parent().unwrap();
    let file = home.join("pairs.jsonl");
    let answers =
        json!([{"key": "a", "text": "no way"}, {"key": "b", "text": "yes sir"}, {"key": "c", "text": "maybe so"}]);
    let question = |n: usize| json!([{"role": "user", "content": format!("Is {n} even?")}]);
    let verdict = json!({"better": "b", "worse": "a"});
    let three = json!({"v": 1, "prompt": question(3), "answers": answers, "verdict": verdict});
    let two = json!({"v": 1, "prompt": question(4), "answers": answers.as_array().unwrap()[..2], "verdict": verdict});
    fs::write(&file, format!("{three}\n{two}\n")).unwrap();
    let [model, adapter, pairs] = [&toy.model, adapter, &file].map(path);
    let args = ["score", "--model", &model, "--adapter", &adapter, "--pairs", &pairs];
    let lines = json_lines(&out(home, &[&args[..], &["--json"]].concat()));
    let trained = Speaker::of_run(&toy.project, run, None).unwrap().policy;
    let ids = |value: &Value| -> Vec<u32> {
        value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
    };
    let number = |value: &Value| value.as_f64().unwrap();
    for (line, others) in [(&lines[0], 1), (&lines[1], 0)] {
        let mut told = vec![number(&line["chosen_score"]), number(&line["rejected_score"])];
        let mut continuations = vec![ids(&line["chosen_ids"]), ids(&line["rejected_ids"])];
        for other in line["others"].as_array().into_iter().flatten() {
            assert_eq!(other["answer"], 2);
            told.push(number(&other["score"]));
            continuations.push(ids(&other["ids"]));
        }
        assert_eq!(told.len(), 2 + others);
        assert!(line.get("chosen_logp").is_none() && told[0] > told[1], "{line}");
        assert!((number(&line["margin"]) - (told[0] - told[1])).abs() < 1e-9);
        let doc = Doc::new(ids(&line["prompt_ids"]), continuations);
        let scores = trained.log_probs(&Row::pack_for(&[doc], Reads::Ends).unwrap()).unwrap();
        for (score, told) in scores.iter().flatten().zip(told) {
            assert!((f64::from(*score) - told).abs() < 1e-5, "{score} for {told}");
        }
    }
    assert_eq!(lines[2]["accuracy"], 1.0);
    assert!(lines[2].get("mean_token_margin").is_none());
    let said = out(home, &args);
    assert!(said.contains("answer 3") && said.contains("accuracy 1.000"), "{said}");
    // Ids that somebody else made, likewise.
    let batch = home.join("ids.jsonl");
    fs::write(&batch, format!("{}\n", json!({"prompt": lines[1]["prompt_ids"], "chosen": lines[1]["chosen_ids"], "rejected": lines[1]["rejected_ids"]}))).unwrap();
    let by_ids = json_lines(&out(
        home,
        &["score", "--model", &model, "--adapter", &adapter, "--batch-file", &path(&batch), "--json"],
    ));
    assert!((number(&by_ids[0]["margin"]) - number(&lines[1]["margin"])).abs() < 1e-6);
}

/// A reward model beside a policy: each by what it measured, and both by the pairs that they met.
#[test]
fn a_reward_model_is_compared_by_its_own_numbers() {
    let toy = Toy::new();
    let (run, _) = toy.train(&config());
    toy.train(&toy::config());
    let (home, project) = (toy.project.parent().unwrap(), path(&toy.project));
    let shown = out(home, &["compare", &project, "--runs", "1,2"]);
    let row =
        |what: &str| shown.lines().find(|line| line.starts_with(what)).unwrap_or_else(|| panic!("{what}: {shown}"));
    assert!(row("held-out accuracy of the scores").contains('%'), "{shown}");
    assert!(!row("held-out margin of the scores").trim_end().ends_with("–  –"), "{shown}");
    let listed = out(home, &["runs", &project]);
    assert!(listed.lines().next().unwrap().contains("accuracy of scores"), "{listed}");
    let accuracy = data::fixed(newest(&toy, run, "eval_accuracy"), 3);
    assert!(listed.lines().any(|line| line.contains("toy run") && line.contains(&accuracy)), "{listed}");

    let csv = home.join("pairs.csv");
    out(
        home,
        &[
            "compare",
            &project,
            "--runs",
            "1,2",
            "--across",
            "pairs",
            "--metrics",
            "accuracy,loss",
            "--export",
            &path(&csv),
        ],
    );
    let numbers = fs::read_to_string(&csv).unwrap();
    let places: Vec<f64> = numbers
        .lines()
        .filter(|line| line.starts_with("1,") && line.contains(",accuracy,"))
        .map(|line| line.rsplit(',').next().unwrap().parse().unwrap())
        .collect();
    assert!(places.len() > 10 && places.windows(2).all(|two| two[0] < two[1]) && places[places.len() - 1] > 50.0);
    assert!(numbers.lines().all(|line| line.len() < 120), "{numbers}");
}

#[test]
fn a_reward_model_and_a_policy_do_not_go_on_as_each_other() {
    let toy = Toy::new();
    let (run, _) = toy.train(&config());
    let mut policy = config();
    policy.objective.kind = Method::Dpo;
    let asked = Fork { run, at: 10, config: policy, name: None, left_out: None };
    let error = fork(&mut toy.open(), &asked).unwrap_err().to_string();
    assert!(error.contains("a reward model gives scores"), "{error}");
    let mut full = config();
    full.lora.full = true;
    let run = toy.record(&full);
    let Outcome::Failed { error } = toy.go_on(run) else { panic!("all weights cannot share a base") };
    assert!(error.contains("needs a frozen base"), "{error}");
}
