//! What goes wrong with RLHF: a sentence that says what, where and what to do, and nothing lost.

use nudge::{
    data::{
        Prompt,
        config::{Method, RunConfig, validate},
    },
    engine::protocol::Outcome,
    store::{LogLevel, Project, ProjectSettings, RunId, RunStatus},
    train::run::rotation,
};

use crate::{
    reward, rlhf,
    terminal::{json_lines, out, path, sentence},
    toy::{self, Toy, labelled},
};

fn error_of(outcome: Outcome) -> String {
    match outcome {
        Outcome::Failed { error } => error,
        other => panic!("{other:?}"),
    }
}

fn warnings(toy: &Toy, run: RunId, what: &str) -> Vec<String> {
    let lines = toy.open().log(run).unwrap().into_iter();
    lines.filter(|line| line.level == LogLevel::Warning && line.text.contains(what)).map(|line| line.text).collect()
}

#[test]
fn a_reward_model_without_pairs_says_that_there_is_nothing_to_learn_from() {
    let toy = Toy::new();
    let empty = toy.project.parent().unwrap().join("empty");
    let settings = ProjectSettings { name: "empty".to_owned(), model: toy.model.clone(), run_toml: String::new() };
    Project::create(&empty, &settings).unwrap();
    let toy = toy.with(empty);
    let (run, outcome) = toy.train(&reward::config());
    let error = error_of(outcome);
    assert!(error.contains("no pairs yet; import some or label some"), "{error}");
    assert_eq!(toy.open().run(run).unwrap().status, RunStatus::Failed);
}

/// Prompts as long as the context leave no room for an answer; where some leave little it is told.
#[test]
fn prompts_that_fill_the_context_are_told_of() {
    let toy = Toy::new();
    assert_eq!(toy.train(&reward::config()).1, Outcome::Completed);
    let reward_run = 1;
    // 128 tokens are the toy's context, and each word here is a token or more.
    let long = |words: usize| Prompt::Text("stone ".repeat(words));
    let only = |words: usize| {
        let dir = toy.project.parent().unwrap().join(format!("long {words}"));
        let settings = ProjectSettings { name: "long".to_owned(), model: toy.model.clone(), run_toml: String::new() };
        let mut project = Project::create(&dir, &settings).unwrap();
        let pairs = (0..8).map(|n| {
            let mut pair = labelled("", "yes sir", "no way");
            pair.prompt = Prompt::Text(format!("{} {n}", long(words).last_text()));
            pair
        });
        toy::add(&mut project, pairs.collect());
        dir
    };
    let config = |reward_run: Option<u64>| {
        let mut config = rlhf::config(Method::Rloo);
        (config.reward.run, config.train.steps, config.data.eval_fraction) = (reward_run, Some(2), 0.0);
        config
    };
    // All of them: the pairs themselves do not fit.
    let full = Toy::new().with(only(400));
    let error = error_of(full.train(&config(None)).1);
    let why = "There is nothing to train on: 0 pairs have no label to train on, 8 cannot be used (e.g. the prompt has 1604 tokens, \
               more than the limit of 1024) and 0 held out";
    assert_eq!(error, why);

    // Some of them.
    let mut project = toy.open();
    let mut pair = labelled("", "yes sir", "no way");
    pair.prompt = Prompt::Text("is it so ".repeat(12));
    toy::add(&mut project, vec![pair]);
    drop(project);
    let mut tight = config(Some(reward_run));
    tight.rlhf.max_tokens = 120;
    let (run, outcome) = toy.train(&tight);
    assert_eq!(outcome, Outcome::Completed);
    assert_eq!(warnings(&toy, run, "leave less room in the model's context of 128 tokens").len(), 1);
}

#[test]
fn a_reward_model_that_knows_no_more_than_a_coin_is_told_of() {
    let (toy, fitted) = rlhf::fitted();
    let mut config = rlhf::config(Method::Rloo);
    config.train.steps = Some(1);
    let what = "no more than a coin would";
    for (accuracy, times) in [(0.75, 0), (0.5, 1)] {
        for step in rotation::steps(&toy.open().run(fitted).unwrap().checkpoints) {
            let metrics = [("eval_accuracy".to_owned(), accuracy), ("eval_loss".to_owned(), 0.5)];
            toy.open().append_step(fitted, step, 0, &metrics).unwrap();
        }
        let (run, outcome) = toy.train(&config);
        assert_eq!(outcome, Outcome::Completed);
        let said = warnings(&toy, run, what);
        assert_eq!(said.len(), times, "{said:?}");
        assert!(said.iter().all(|said| said.contains("put 50 % of the held-out pairs") && said.contains("reward.run")));
    }
}

#[test]
fn a_critic_that_diverges_is_told_of_once_with_a_way_on() {
    let (toy, _) = rlhf::fitted();
    let mut wild = rlhf::config(Method::Ppo);
    (wild.ppo.critic_learning_rate, wild.ppo.value_clip) = (Some(30.0), 1e6);
    (wild.ppo.critic_warmup, wild.optimizer.max_grad_norm) = (0, 0.0);
    wild.train.steps = Some(12);
    let run = toy.record(&wild);
    let outcome = toy.go_on(run);
    let said = warnings(&toy, run, "the critic does worse than a constant");
    assert_eq!(said.len(), 1, "{outcome:?} {:?}", toy.open().series(run, "value/explained_variance", None).unwrap());
    assert!(said[0].contains("ppo.critic_learning_rate") && said[0].contains("RLOO needs no critic"));
}

/// Values that are no numbers end the run; what was saved before is there, and the sentence names it.
#[test]
fn a_critic_without_numbers_ends_the_run_with_what_was_saved() {
    let (toy, _) = rlhf::fitted();
    let mut wild = rlhf::config(Method::Ppo);
    (wild.ppo.critic_learning_rate, wild.ppo.critic_warmup) = (Some(1e36), 0);
    wild.train.checkpoint_every = 1;
    let run = toy.record(&wild);
    let error = error_of(toy.go_on(run));
    assert!(error.contains("not a number"), "{error}");
    let record = toy.open().run(run).unwrap();
    assert_eq!((record.status, record.message.as_deref()), (RunStatus::Failed, Some(error.as_str())));
    assert!(warnings(&toy, run, "was not applied").len() >= 3);
    assert!(rotation::steps(&record.checkpoints).iter().all(|step| *step < 3));
}

#[test]
fn a_refused_run_says_where_and_why_in_the_list() {
    let toy = Toy::new();
    let (home, project) = (toy.project.parent().unwrap(), path(&toy.project));
    let (run, _) = toy.train(&rlhf::config(Method::Ppo));
    let listed = out(home, &["runs", &project]);
    assert!(!listed.contains("0/0"), "{listed}");
    let why = format!("Run {} failed before its first step: ", run.0);
    assert!(listed.contains(&why) && listed.contains("PPO needs a reward model"), "{listed}");
    let json = json_lines(&out(home, &["runs", &project, "--json"]));
    assert!(json[0]["message"].as_str().unwrap().contains("fit one first"));
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let toy = Toy::new();
    let (home, project) = (toy.project.parent().unwrap(), path(&toy.project));
    for (set, part) in [
        ("rlhf.epochs=0", "rlhf.epochs is 0; it must be 1 to 64"),
        ("rlhf.minibatches=0", "rlhf.minibatches is 0; it must be 1 to 1024"),
        ("rlhf.answers_per_prompt=9223372036854775807", "rlhf.answers_per_prompt is"),
        ("rlhf.max_tokens=0", "rlhf.max_tokens is 0; it must be 1 to 1000000"),
        ("rlhf.clip=0", "rlhf.clip is 0; it must be a number above 0"),
        ("rlhf.kl_coef=-1", "rlhf.kl_coef is -1; it must be 0 or more"),
        ("rlhf.missing_eos_penalty=nan", "rlhf.missing_eos_penalty is “nan”; it must be a number"),
        ("ppo.gamma=1.5", "ppo.gamma is 1.5; it must be 0 to 1"),
        ("ppo.lambda=-0.1", "ppo.lambda is -0.1; it must be 0 to 1"),
        ("ppo.value_coef=0", "ppo.value_coef is 0"),
        ("reward.run=0", "reward.run is 0; it must be 1 or more"),
    ] {
        let said = sentence(home, &["train", &project, "--set", "objective.kind=ppo", "--set", set], 2);
        assert!(said.contains(part), "{set}: {said}");
    }
    assert!(toy.open().runs().unwrap().is_empty(), "none of them was recorded");
    assert!(validate(&RunConfig::default()).is_empty());
}
