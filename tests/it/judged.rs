//! Judged answers as a user meets them: rules in a file, shares among the metrics, the answers to be read.

use std::{fs, path::Path};

use egui::accesskit::Role;
use egui_kittest::{SnapshotResults, kittest::Queryable};
use nudge::{
    engine::protocol::{Event, HowFar, Outcome},
    state::{Screen, answers::Tab},
    store::{JudgedAnswer, Project, RunStatus},
};

use crate::{
    terminal::{SMALL, json_lines, out, project, sentence},
    toy::{self, Toy, ask, finished, start, value, wait_for},
    window::Window,
};

const RULES: &str = r#"
samples = 3

[[group]]
name = "even"
prompts = ["Is 3 even?", { ask = "Is 4 even?", right = "yes", wrong = "no" }]

[[rule]]
name = "has e"
on = "even"
better = "more"
when = { matches = "e" }

[[rule]]
name = "anything"
when = { not = { counts_as = "has e" } }

[[rule]]
name = "of stones"
on = "stones"
when = { max_words = 1000 }
"#;

/// A toy project with these rules; the second probe has the note "stones".
fn toy_with(rules: &str) -> Toy {
    let toy = Toy::new();
    fs::write(toy.project.join("judge.toml"), rules).unwrap();
    let mut project = toy.open();
    let mut probes = project.probes().unwrap();
    "stones".clone_into(&mut probes[1].note);
    project.set_probes(&probes).unwrap();
    toy
}

#[test]
fn every_evaluation_judges_and_the_answers_can_be_read() {
    let toy = toy_with(RULES);
    let (run, outcome) = toy.train(&toy::config());
    assert_eq!(outcome, Outcome::Completed);
    let project = toy.open();
    assert_eq!(project.judged_steps(run).unwrap(), [0, 6, 12]);
    for step in [0, 6, 12] {
        let answers = project.judged(run, step).unwrap();
        assert_eq!(answers.len(), 9, "three prompts, three times each");
        let metrics = &project.steps(run, None).unwrap().into_iter().find(|(at, _)| *at == step).unwrap().1;
        for (rule, asked) in [("has e", 6), ("anything", 6), ("of stones", 3)] {
            let said: Vec<bool> = answers
                .iter()
                .filter_map(|answer| answer.said.iter().find(|(name, _)| name == rule))
                .map(|(_, counts)| *counts)
                .collect();
            assert_eq!(said.len(), asked, "{rule}");
            let share = said.iter().filter(|counts| **counts).count() as f64 / asked as f64;
            assert_eq!(value(metrics, &format!("judged/{rule}")), share);
            let (low, high) =
                (value(metrics, &format!("judged/{rule}/low")), value(metrics, &format!("judged/{rule}/high")));
            assert!(0.0 <= low && low <= share && share <= high && high <= 1.0 && low < high, "{low} {share} {high}");
        }
        for answer in answers.iter().filter(|answer| answer.group == "even") {
            assert_eq!(answer.said[0].1, answer.answer.contains('e'), "{answer:?}");
        }
        assert_eq!(answers.last().unwrap().prompt, ask("Name stone 2"));
    }
    let draws: Vec<String> = project.judged(run, 0).unwrap().into_iter().take(3).map(|answer| answer.answer).collect();
    assert!(draws[0] != draws[1] || draws[1] != draws[2], "samples of one prompt are drawn apart: {draws:?}");
    // A probe that the rules judge is answered once, by the same seeds, in the grid of probes too.
    for sample in project.samples(run).unwrap() {
        let drawn: Vec<&str> = sample.sample.drawn.iter().map(|drawn| drawn.answer.as_str()).collect();
        assert_eq!(drawn.len(), toy::config().train.sample_seeds);
        if sample.sample.prompt == ask("Name stone 2") {
            let judged = project.judged(run, sample.step).unwrap();
            let judged: Vec<&str> =
                judged.iter().filter(|it| it.prompt == sample.sample.prompt).map(|it| it.answer.as_str()).collect();
            assert_eq!(drawn, judged[..drawn.len()], "step {}", sample.step);
        }
    }
}

#[test]
fn a_run_keeps_the_rules_that_it_began_with() {
    let toy = toy_with(RULES);
    let mut config = toy::config();
    config.train.steps = Some(6);
    let (run, _) = toy.train(&config);
    fs::write(toy.project.join("judge.toml"), "nonsense").unwrap();
    let first = toy.open().judged(run, 6).unwrap();
    config.train.steps = Some(12);
    toy.open().set_run_config(run, &config.to_toml().unwrap()).unwrap();
    assert_eq!(toy.go_on(run), Outcome::Completed);
    assert_eq!(toy.open().judged_steps(run).unwrap(), [0, 6, 12]);
    assert_eq!(toy.open().judged(run, 6).unwrap(), first);
}

#[test]
fn a_stop_cuts_judging_short_and_leaves_no_half_of_it() {
    let many = (0..200).map(|n| format!("\"Is {n} even?\"")).collect::<Vec<_>>().join(", ");
    let toy = toy_with(&format!(
        "samples = 16\n[[group]]\nname = \"g\"\nprompts = [{many}]\n[[rule]]\nname = \"r\"\nwhen = {{ ends = true }}\n"
    ));
    let run = toy.record(&toy::config());
    let engine = start();
    let control = toy.queue(&engine, run);
    wait_for(&engine, |event| match event {
        Event::Phase { what, done: Some(HowFar::Of([_, 3200])), .. } if what.contains("judged") => Some(()),
        _ => None,
    });
    control.stop();
    assert_eq!(finished(&engine, run), Outcome::Stopped { step: 0 });
    engine.shut_down();
    let project = toy.open();
    assert_eq!(project.run(run).unwrap().status, RunStatus::Stopped);
    assert!(project.judged_steps(run).unwrap().is_empty());
    assert!(!project.metrics(run).unwrap().iter().any(|name| name.starts_with("judged/")));
}

/// One more rule set, in a terminal, on a project of its own.
#[test]
fn rules_are_judged_from_a_terminal_and_faulty_ones_stop_a_start() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    let rules = Path::new(&project).join("judge.toml");
    fs::write(
        &rules,
        "[[group]]\nname = \"g\"\nprompts = [\"Well?\"]\n[[rule]]\nname = \"short\"\nwhen = { max_wrods = 2 }\n",
    )
    .unwrap();
    let mut args = vec!["train", &project, "--steps", "2", "--json"];
    args.extend(SMALL);
    let refused = sentence(home, &args, 1);
    assert!(refused.contains("judge.toml") && refused.contains("line 6") && refused.contains("max_wrods"), "{refused}");
    assert!(out(home, &["runs", &project, "--json"]).is_empty(), "it took no number");
    assert!(sentence(home, &["check", &project], 1).contains("max_wrods"), "the check says so before");

    let right = fs::read_to_string(&rules).unwrap().replace("wrods", "words");
    fs::write(&rules, right).unwrap();
    let lines = json_lines(&out(home, &args));
    let judged: Vec<f64> = lines.iter().filter_map(|line| line["metrics"]["judged/short"].as_f64()).collect();
    assert_eq!(judged.len(), 2, "before and after");
    let ending = &lines.last().unwrap()["held_out"]["judged/short"];
    assert_eq!(ending["after"], judged[1]);
    assert_eq!(ending["before"], judged[0]);
    let end =
        |which: &str| lines.last().unwrap()["held_out"][format!("judged/short/{which}")]["after"].as_f64().unwrap();
    assert!(end("low") <= judged[1] && judged[1] <= end("high") && end("low") < end("high"), "its 95 % interval");

    let page = home.join("run.html");
    out(home, &["export", &project, "last", "--report", &page.display().to_string()]);
    let told = fs::read_to_string(&page).unwrap().replace("&#x2f;", "/");
    let row = told.lines().find(|line| line.contains("<code>judged/short</code>")).unwrap();
    for share in &judged {
        assert!(row.contains(&format!(">{} (", nudge::data::percent(*share))), "{share} with its interval: {row}");
    }
    assert!(row.contains("step 0") && row.contains("step 2"), "before and after: {row}");

    let answers = json_lines(&out(home, &["answers", &project, "last", "--judged", "--json"]));
    assert_eq!((&answers[0]["step"], &answers[0]["group"]), (&2.into(), &"g".into()));
    assert_eq!(f64::from(u8::from(answers[0]["counts"]["short"] == true)), judged[1]);
    let shown = out(home, &["answers", &project, "1", "--judged", "--step", "0"]);
    assert!(shown.contains("Well?") && shown.contains("short"), "{shown}");
    let unknown = sentence(home, &["answers", &project, "1", "--judged", "--step", "1"], 2);
    assert!(unknown.contains("there are: 0, 2"), "{unknown}");
}

#[test]
fn one_command_trains_the_methods_and_lays_them_side_by_side() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    let group = "[[group]]\nname = \"g\"\nprompts = [\"Well?\"]\n";
    let rule = |name: &str| format!("[[rule]]\nname = \"{name}\"\nwhen = {{ max_words = 2 }}\n");
    let rules = |names: &[&str]| {
        let text = names.iter().fold(group.to_owned(), |text, name| text + &rule(name));
        fs::write(Path::new(&project).join("judge.toml"), text).unwrap();
    };
    rules(&["low", "short"]);
    let mut args = vec!["compare", &project, "--steps", "2"];
    args.extend(SMALL);
    let shown = out(home, &args);
    // They stand as the rules stand now, in every table, whichever was measured first.
    rules(&["short", "low"]);
    let again = out(home, &["compare", &project, "--runs", "1,2"]);
    let shares = |text: &str| -> Vec<String> {
        let words = text.lines().filter_map(|line| line.split_whitespace().next());
        words.filter(|word| word.starts_with("judged/")).map(str::to_owned).collect()
    };
    assert_eq!(shares(&shown), ["judged/low", "judged/short"]);
    assert_eq!(shares(&again), ["judged/short", "judged/low"]);
    let rows = |what: &str| shown.lines().filter(|line| line.starts_with(what)).count();
    assert_eq!((rows("held-out preference accuracy"), rows("judged/short")), (1, 1), "{shown}");
    let runs = json_lines(&out(home, &["runs", &project, "--json"]));
    let methods: Vec<&str> = runs.iter().map(|run| run["method"].as_str().unwrap()).collect();
    assert!(
        methods.len() == 3
            && methods[0].starts_with("MPO")
            && methods[1].starts_with("DPO")
            && methods[2].starts_with("IPO"),
        "{methods:?}"
    );

    let again = json_lines(&out(home, &["compare", &project, "--runs", "1,last", "--json"]));
    let compared = again[0]["compared"].as_array().unwrap();
    assert_eq!(compared.iter().map(|run| run["run"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 3]);
    assert!(compared[0]["after"]["judged/short/high"].is_number() && compared[0]["before"]["judged/short"].is_number());
    let page = home.join("comparison.html");
    let file = page.display().to_string();
    out(home, &["compare", &project, "--runs", "1,last", "--report", &file]);
    let told = fs::read_to_string(&page).unwrap().replace("&#x2f;", "/");
    for part in ["objective.kind", "short", "<svg", "What they answer", "nudge train"] {
        assert!(told.contains(part), "{part} is missing of {told}");
    }
    let row = told.lines().find(|line| line.contains("<code>judged/short</code>")).unwrap();
    let cells: Vec<&str> = row.split("<td>").skip(2).collect();
    let share = compared[0]["before"]["judged/short"].as_f64().unwrap();
    let before = format!("{} (", nudge::data::percent(share));
    assert!(cells.len() == 3 && cells[0].starts_with(&before), "{before} before the first step: {row}");
    assert!(cells[1].contains(" %) at step 2"), "with its interval: {row}");
    assert!(!told.contains("<script") && !told.contains("src="), "it stands alone");
    let there = sentence(home, &["compare", &project, "--runs", "1,last", "--report", &file], 1);
    assert!(there.contains("comparison.html"), "{there}");
    let own = Path::new(&project).join("runs/1/config.toml").display().to_string();
    let kept = fs::read_to_string(&own).unwrap();
    sentence(home, &["compare", &project, "--runs", "1,last", "--report", &own, "--overwrite"], 1);
    assert_eq!(fs::read_to_string(&own).unwrap(), kept);
    let same = sentence(home, &["compare", &project, "--methods", "mpo,mpo"], 2);
    assert!(same.contains("named twice"), "{same}");
    let twice = sentence(home, &["compare", &project, "--runs", "1,1"], 2);
    assert!(twice.contains("named twice"), "{twice}");
}

fn judged_project(dir: &Path) {
    let toy = Toy::new();
    let run = toy.record(&toy::config());
    let mut project = toy.open();
    for (step, answer) in [(0, "no way"), (12, "yes sir")] {
        let judged: Vec<JudgedAnswer> = (0..4)
            .map(|n| JudgedAnswer {
                group: "even".to_owned(),
                prompt: ask(&format!("Is {n} even?")),
                answer: format!("{answer} {n}"),
                ended: n != 2,
                said: vec![("polite".to_owned(), step == 12 && n > 0), ("short".to_owned(), true)],
            })
            .collect();
        project.set_judged(run, step, &judged).unwrap();
    }
    project.set_run_status(run, RunStatus::Completed, None).unwrap();
    drop(project);
    copy(&toy.project, dir);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn the_window_lists_what_was_counted_and_takes_rules() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("project");
    judged_project(&dir);
    let mut window = Window::open(&dir, Screen::Answers);
    window.harness.state_mut().views_mut().answers.tab = Tab::Judged;
    window.until("the answers are read", |app| {
        app.workspace().judged.of(nudge::store::RunId(1)).is_some_and(|run| !run.answers.is_empty())
    });
    window.harness.step();
    window.assert_shows("polite 75 %");
    window.assert_shows("yes sir 3");
    let mut results = SnapshotResults::new();
    window.picture("answers_judged", &mut results);

    window.click_button("Not counted");
    window.assert_shows("yes sir 0");
    assert!(!window.shows("yes sir 3"));

    window.harness.set_size([900.0, 600.0].into());
    window.settle();
    for button in ["Not counted", "Edit rules…"] {
        let right = window.harness.get_by_label(button).rect().right();
        assert!(right <= 900.0, "{button} ends at {right}");
    }
    window.harness.set_size([1280.0, 800.0].into());
    window.settle();

    window.click_button("Edit rules…");
    window.until("the rules are there", |app| app.views().answers.judged.writing.is_some());
    window.harness.step();
    window.assert_shows("2 rules");
    let write = |window: &mut Window, text: &str| {
        window.harness.state_mut().views_mut().answers.judged.writing.as_mut().unwrap().text = text.to_owned();
        window.harness.step();
        window.harness.step();
    };
    write(
        &mut window,
        "samples = 2\n[[group]]\nname = \"g\"\nprompts = [\"Well?\"]\n[[rule]]\nname = \"r\"\non = \"h\"\nwhen = { matches = \"(\" }\n",
    );
    window.assert_shows("2 faults");
    window.assert_shows("Line 7");
    window.assert_shows("no group named");
    window.picture("answers_rules_faults", &mut results);
    write(&mut window, RULES.replace("stones", "g").replace("\"g\"\nwhen", "\"even\"\nwhen").as_str());
    window.assert_shows("3 rules");
    // The cursor went into the text when it was opened.
    window.type_text("# mine\n");
    window.click_button("Save rules");
    window.until("they are saved", |app| app.workspace().saving.under_way == 0);
    assert!(fs::read_to_string(dir.join("judge.toml")).unwrap().contains("# mine"));

    // Somebody else writes the file meanwhile: it is not replaced.
    fs::write(dir.join("judge.toml"), "# theirs").unwrap();
    window.focus(Role::MultilineTextInput, "Rules");
    window.type_text("# more\n");
    window.click_button("Save rules");
    window.assert_shows("changed by another program");
    assert_eq!(fs::read_to_string(dir.join("judge.toml")).unwrap(), "# theirs");
    drop(window);
    Project::open(&dir).unwrap();
}
