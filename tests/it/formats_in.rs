//! What preference files lie in and what shape they have: as the tools of others write them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use nudge::{
    data::{Choice, Origin, Pair, Prompt, Role, Strength, Turn},
    formats::{FieldMap, LineOrRow, Options, Scores, Several, Ties},
};
use serde_json::{Value as Json, json};

use crate::formats::{self, Import};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/preferences")
}

fn read(path: &Path, options: &Options) -> Import {
    formats::read(path, options).unwrap()
}

/// Reads records as a file of JSON lines.
fn records(records: &[Json], options: &Options) -> Import {
    let file = tempfile::NamedTempFile::new().unwrap();
    let lines: Vec<String> = records.iter().map(Json::to_string).collect();
    fs::write(file.path(), lines.join("\n")).unwrap();
    read(file.path(), options)
}

/// The only pair of a record, whose shape must be this one.
fn one(shape: &str, record: &Json) -> Pair {
    let report = records(std::slice::from_ref(record), &Options::default());
    assert_eq!(report.faults, [], "{record}");
    assert_eq!(report.format.name, shape, "{record}");
    assert_eq!(report.pairs.len(), 1, "{record}");
    // The same when it is said what it is.
    let options = Options { format: shape.parse().unwrap(), ..Options::default() };
    let named = records(std::slice::from_ref(record), &options);
    assert_eq!(named.pairs[0].prompt, report.pairs[0].prompt);
    report.pairs.into_iter().next().unwrap()
}

fn turns(turns: &[(Role, &str)]) -> Prompt {
    Prompt::chat(turns.iter().map(|(role, content)| Turn::new(*role, *content)).collect())
}

fn asked(text: &str) -> Prompt {
    turns(&[(Role::User, text)])
}

/// The better and the worse answer.
fn sides(pair: &Pair) -> [&str; 2] {
    let (chosen, rejected) = pair.sides().unwrap();
    [&chosen.text, &rejected.text]
}

#[test]
fn files_of_the_real_tools_come_in_as_those_tools_read_them() {
    let expected: BTreeMap<String, Vec<Json>> =
        serde_json::from_str(&fs::read_to_string(folder().join("expected.json")).unwrap()).unwrap();
    assert!(expected.len() >= 25);
    for (name, rows) in expected {
        let report = read(&folder().join(&name), &Options::default());
        assert_eq!(report.faults, [], "{name}");
        assert_eq!(report.pairs.len(), rows.len(), "{name}");
        for (place, (pair, row)) in (1..).zip(report.pairs.iter().zip(&rows)) {
            let last = |value: &Json| {
                value.as_str().or_else(|| value.as_array()?.last()?["content"].as_str()).unwrap().to_owned()
            };
            assert_eq!(sides(pair), [&last(&row["chosen"]), &last(&row["rejected"])], "{name}");
            match (&pair.prompt, &row["prompt"]) {
                (Prompt::Text(text), theirs) => assert_eq!(text, theirs, "{name}"),
                (Prompt::Chat(chat), theirs) => {
                    assert_eq!(&serde_json::to_value(&chat.turns).unwrap(), theirs, "{name}");
                }
            }
            let source = pair.source.as_ref().unwrap();
            assert_eq!(source.id.as_deref(), row["id"].as_str(), "{name}");
            if report.unit == LineOrRow::Row {
                assert_eq!(source.line, place, "{name}");
            }
        }
    }
}

#[test]
fn what_a_file_is_is_told() {
    for (name, container, unit) in [
        ("pandas.parquet", "Parquet", LineOrRow::Row),
        ("pandas.feather", "Arrow", LineOrRow::Row),
        ("datasets.arrow", "an Arrow stream", LineOrRow::Row),
        ("pyarrow_deltas.arrows.gz", "an Arrow stream, packed with gzip", LineOrRow::Row),
        ("pyarrow.jsonl.zst", "JSON lines, packed with zstd", LineOrRow::Line),
        ("pandas_utf16.csv", "CSV, in UTF-16", LineOrRow::Line),
        ("pandas.tsv", "TSV", LineOrRow::Line),
        ("pandas_semicolon.csv", "CSV with semicolons", LineOrRow::Line),
        ("pandas.jsonl.gz", "JSON lines, packed with gzip", LineOrRow::Line),
        ("pandas.json", "a JSON array", LineOrRow::Line),
    ] {
        let report = read(&folder().join(name), &Options::default());
        assert_eq!((report.container.as_str(), report.unit), (container, unit));
        assert_eq!(report.recognised(), "TRL, by chosen and rejected");
    }
}

#[test]
fn a_table_of_another_packing_is_told() {
    let read = formats::read(&folder().join("pyarrow_brotli.parquet"), &Options::default());
    let error = read.unwrap_err().to_string();
    assert!(
        error.contains("its columns are packed with BROTLI") && error.contains("compression=\"snappy\""),
        "{error}"
    );
}

#[test]
fn every_shape_of_one_question_is_recognised() {
    let user = |text: &str| json!({"role": "user", "content": text});
    let says = |text: &str| json!({"role": "assistant", "content": text});
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    for (shape, record) in [
        (
            "alpaca",
            json!({"instruction": "Name a prime", "input": "above 10.", "chosen": "11", "rejected": "12", "system": "", "history": []}),
        ),
        (
            "sharegpt",
            json!({"conversations": [{"from": "human", "value": "Name a prime\nabove 10."}], "chosen": {"from": "gpt", "value": "11"}, "rejected": {"from": "gpt", "value": "12"}}),
        ),
        ("orca", json!({"system": "", "question": "Name a prime\nabove 10.", "chosen": "11", "rejected": "12"})),
        (
            "argilla-legacy",
            json!({"instruction": "Name a prime\nabove 10.", "chosen_response": "11", "rejected_response": "12"}),
        ),
        (
            "axolotl",
            json!({"messages": [user("Name a prime\nabove 10.")], "chosen": says("11"), "rejected": says("12")}),
        ),
        ("swift", json!({"messages": [user("Name a prime\nabove 10."), says("11")], "rejected_response": "12"})),
        ("nemo-rl", json!({"prompt": "Name a prime\nabove 10.", "chosen_response": "11", "rejected_response": "12"})),
        (
            "h2o",
            json!({"id": 1, "parent_id": null, "instruction": "Name a prime\nabove 10.", "chosen_response": "11", "rejected_response": "12"}),
        ),
        (
            "torchtune",
            json!({"chosen_conversations": [user("Name a prime\nabove 10."), says("11")], "rejected_conversations": [user("Name a prime\nabove 10."), says("12")]}),
        ),
        (
            "openai",
            json!({"input": {"messages": [user("Name a prime\nabove 10.")], "tools": tools, "parallel_tool_calls": true}, "preferred_output": [says("11")], "non_preferred_output": [says("12")]}),
        ),
        (
            "ultrafeedback",
            json!({"prompt": "Name a prime\nabove 10.", "prompt_id": "0f", "chosen": [user("Name a prime\nabove 10."), says("11")], "rejected": [user("Name a prime\nabove 10."), says("12")], "messages": [], "score_chosen": 8.5, "score_rejected": 3.0}),
        ),
        (
            "argilla",
            json!({"id": "rec-7", "status": "completed", "prompt": "Name a prime\nabove 10.", "response_1": "11", "response_2": "12", "preference.responses": ["response_1"], "preference.responses.users": ["a1"], "preference.responses.status": ["submitted"]}),
        ),
        (
            "argilla",
            json!({"id": "rec-7", "fields": {"prompt": "Name a prime\nabove 10.", "response_1": "11", "response_2": "12"}, "responses": {"preference": [{"value": "response_1", "user_id": "a1"}]}}),
        ),
        (
            "label-studio",
            json!({"id": 12, "data": {"prompt": "Name a prime\nabove 10.", "left": "11", "right": "12"}, "annotations": [{"id": 3, "completed_by": 1, "was_cancelled": false, "result": [{"type": "pairwise", "value": {"selected": "left"}}]}]}),
        ),
        (
            "label-studio",
            json!({"id": 13, "data": {"prompt": "Name a prime\nabove 10.", "answer1": "12", "answer2": "11"}, "annotations": [{"result": [{"type": "pairwise", "value": {"selected": "right"}}]}]}),
        ),
        (
            "prodigy",
            json!({"input": {"text": "Name a prime\nabove 10."}, "accept": {"text": "12"}, "reject": {"text": "11"}, "mapping": {"A": "accept", "B": "reject"}, "answer": "reject"}),
        ),
        (
            "compared",
            json!({"prompt": "Name a prime\nabove 10.", "response_a": "12", "response_b": "11", "winner": "model_b"}),
        ),
    ] {
        let pair = one(shape, &record);
        let Prompt::Chat(chat) = &pair.prompt else { panic!("{record}") };
        assert_eq!(chat.turns, [Turn::new(Role::User, "Name a prime\nabove 10.")], "{record}");
        assert_eq!(sides(&pair), ["11", "12"], "{record}");
        assert_eq!(
            chat.given.as_ref().and_then(|given| given.tools.clone()),
            (shape == "openai").then(|| tools.as_array().unwrap().clone())
        );
    }
}

#[test]
fn conversations_bring_what_was_said_before() {
    let alpaca = json!({
        "instruction": "Translate", "input": "good night", "chosen": "bonne nuit", "rejected": "bon jour",
        "system": "You translate.", "history": [["hello", "bonjour"]],
    });
    let expected = [
        (Role::System, "You translate."),
        (Role::User, "hello"),
        (Role::Assistant, "bonjour"),
        (Role::User, "Translate\ngood night"),
    ];
    assert_eq!(one("alpaca", &alpaca).prompt, turns(&expected));
    let sharegpt = json!({
        "conversations": [
            {"from": "human", "value": "Weather?"},
            {"from": "function_call", "value": "{\"name\": \"weather\", \"arguments\": {}}"},
            {"from": "observation", "value": "rain"},
        ],
        "system": "Be brief.",
        "chosen": {"from": "gpt", "value": "Rain."}, "rejected": {"from": "gpt", "value": "Sun."},
    });
    let Prompt::Chat(chat) = one("sharegpt", &sharegpt).prompt else { panic!() };
    let roles: Vec<Role> = chat.iter().map(|turn| turn.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::Tool]);
    assert_eq!(chat[2].extras.get("tool_calls").unwrap()[0]["function"]["name"], "weather");
    // Rows of H2O go on with those that they name.
    let row = |id: u32, parent: Json, n: &str| json!({"id": id, "parent_id": parent, "prompt": format!("q{n}"), "chosen_response": format!("a{n}"), "rejected_response": "x"});
    let report =
        records(&[row(1, Json::Null, "1"), row(2, json!(1), "2"), row(3, json!("9"), "3")], &Options::default());
    let two = [(Role::User, "q1"), (Role::Assistant, "a1"), (Role::User, "q2")];
    assert_eq!((&report.pairs[0].prompt, &report.pairs[1].prompt), (&asked("q1"), &turns(&two)));
    assert!(report.faults[0].reason.contains("its parent \"9\" does not come before it"));
}

#[test]
fn answers_that_were_judged_alone_are_put_together() {
    let row = |prompt: &str, completion: &str, label: Json| json!({"prompt": prompt, "completion": completion, "label": label});
    let rows = [
        row("p", "good 1", json!(true)),
        row("q", "good 2", json!(1)),
        row("p", "good 3", json!("True")),
        row("q", "bad 2", json!(0)),
        row("p", "bad 1", json!(false)),
        row("r", "alone", json!(false)),
        row("p", "odd", json!("perhaps")),
    ];
    let report = records(&rows, &Options::default());
    assert_eq!(report.format.name, "unpaired");
    let found: Vec<[&str; 2]> = report.pairs.iter().map(sides).collect();
    assert_eq!(found, [["good 2", "bad 2"], ["good 1", "bad 1"]]);
    let told: Vec<(u64, &str)> = report.faults.iter().map(|fault| (fault.line, fault.reason.as_str())).collect();
    assert_eq!(told[0], (3, "an unpaired record: no bad answer to the same prompt was left for it"));
    assert_eq!(told[1], (6, "an unpaired record: no good answer to the same prompt was left for it"));
    assert_eq!(told[2], (7, "\"label\" must be true or false, found \"perhaps\""));
}

#[test]
fn several_answers_are_one_pair_or_the_best_against_each() {
    let record = json!({"prompt": "p", "answers": [
        {"answer": "second", "model": "m2", "rank": 2.0}, {"answer": "best", "model": "m1", "rank": 1.0},
        {"answer": "worst", "model": "m3", "rank": 3.0},
    ]});
    let pair = one("nectar", &record);
    assert_eq!((pair.answers.len(), sides(&pair)), (3, ["best", "worst"]));
    assert_eq!(
        pair.verdict.as_ref().unwrap().order.iter().map(|at| &*pair.answers[*at].text).collect::<Vec<_>>(),
        ["best", "second", "worst"]
    );
    assert_eq!(pair.answers[1].origin, Origin::Model("m1".to_owned()));
    let each = records(&[record], &Options { several: Several::Each, ..Options::default() });
    assert_eq!(each.pairs.iter().map(sides).collect::<Vec<_>>(), [["best", "second"], ["best", "worst"]]);
    let ranking = json!({
        "prompt": "p", "a": "x", "response_1": "one", "response_2": "two", "response_3": "three",
        "order.responses": [[{"rank": 2, "value": "response_1"}, {"rank": 1, "value": "response_3"}, {"rank": 3, "value": "response_2"}]],
        "order.responses.status": ["submitted"],
    });
    let ranked = one("argilla", &ranking);
    assert_eq!((sides(&ranked), ranked.worse()), (["three", "two"], vec![1, 0]));
}

#[test]
fn labellers_decide_together_and_their_agreement_is_told() {
    let record = |votes: [&str; 3], states: [&str; 3]| {
        json!({
            "prompt": "p", "response_1": "one", "response_2": "two", "preference.responses": votes,
            "preference.responses.users": ["u1", "u2", "u3"], "preference.responses.status": states,
            "preference.suggestion": "response_1",
        })
    };
    let (one, two, yes) = ("response_1", "response_2", "submitted");
    let report = records(
        &[
            record([one, one, one], [yes; 3]),
            record([two, two, one], [yes; 3]),
            record([one, two, two], [yes, yes, "discarded"]),
            record([one, two, two], ["draft"; 3]),
        ],
        &Options::default(),
    );
    let choices: Vec<Option<Choice>> = report.pairs.iter().map(Pair::choice).collect();
    let better = |chosen, rejected, strength| Some(Choice::Better { chosen, rejected, strength });
    assert_eq!(choices, [better(0, 1, Strength::Strongly), better(1, 0, Strength::Slightly), Some(Choice::Tie), None]);
    let told: Vec<&str> = report.notes.iter().map(|note| note.reason.as_str()).collect();
    assert_eq!(told[0], "3 labellers do not agree: the verdict of most counts");
    assert!(told[2].contains("nobody has submitted a response") && told[2].contains("response_1"), "{told:?}");
    let agreement = report.agreement.unwrap();
    assert_eq!(agreement.records, 3);
    assert!((agreement.same - (1.0 + 1.0 / 3.0) / 3.0).abs() < 1e-9);
    assert!(agreement.sentence().starts_with("Of 3 records with several labels, two labels agree in 44 %"));
    // Skipped by its only labeller.
    let skipped = json!({"data": {"prompt": "p", "left": "a", "right": "b"}, "annotations": [{"was_cancelled": true, "result": []}]});
    assert_eq!(self::one("label-studio", &skipped).choice(), Some(Choice::Skip));
}

#[test]
fn columns_are_named_where_nobody_could_know_them() {
    let names =
        |words: &[&str]| Options { names: FieldMap::parse(words.iter().copied()).unwrap(), ..Options::default() };
    let record = json!({"frage": "1+1?", "eins": "2", "zwei": "3", "besser": "zwei"});
    let options = names(&["prompt=frage", "a=eins", "b=zwei", "verdict=besser"]);
    let options = Options { format: "compared".parse().unwrap(), ..options };
    assert_eq!(sides(&records(&[record], &options).pairs[0]), ["3", "2"]);
    let studio = json!({"data": {"q": "1+1?", "x": "2", "y": "3"}, "annotations": [{"result": [{"type": "pairwise", "value": {"selected": "right"}}]}]});
    let report = records(std::slice::from_ref(&studio), &Options::default());
    assert!(report.faults[0].reason.contains("--map a=FIELD --map b=FIELD; it has q, x, y"), "{:?}", report.faults);
    let options = Options { format: "label-studio".parse().unwrap(), ..names(&["prompt=q", "a=x", "b=y"]) };
    assert_eq!(sides(&records(&[studio], &options).pairs[0]), ["3", "2"]);
}

#[test]
fn ties_scores_and_texts_are_taken_as_it_was_chosen() {
    let record = json!({"prompt": "p", "chosen": "a", "rejected": "b", "score_chosen": 3.0, "score_rejected": 1.0});
    let with = |options: Options| records(std::slice::from_ref(&record), &options).pairs.remove(0);
    let plain = with(Options::default());
    assert_eq!((plain.choice().and_then(Choice::certainty), plain.reward, plain.tags.len()), (Some(1.0), 1.0, 0));
    // A margin of 2: the odds of the better one are e², so it is right in 88 %.
    assert_eq!(
        with(Options { scores: Scores::Strength, ..Options::default() }).choice().and_then(Choice::certainty),
        Some(0.9)
    );
    assert_eq!(with(Options { scores: Scores::Reward, ..Options::default() }).reward, 2.0);
    assert_eq!(with(Options { scores: Scores::Tag, ..Options::default() }).tags, ["margin 2"]);
    assert_eq!(with(Options { chat: true, ..Options::default() }).prompt, asked("p"));
    let texts = |chat| {
        let report = records(std::slice::from_ref(&record), &Options { chat, ..Options::default() });
        report.texts_to_be_continued()
    };
    assert!(texts(false).unwrap().starts_with("1 prompt came in as a text to be continued"));
    assert_eq!(texts(true), None);
    let tie = json!({"prompt": "p", "response_a": "1", "response_b": "2", "winner": "tie"});
    assert_eq!(one("compared", &tie).choice(), Some(Choice::Tie));
    let report = records(&[tie], &Options { ties: Ties::LeaveOut, ..Options::default() });
    assert_eq!(report.faults[0].reason, "a tie, which is to be left out");
}

#[test]
fn prompts_alone_wait_for_their_answers() {
    let pair = one("prompts", &json!({"prompt": [{"role": "user", "content": "How deep?"}]}));
    assert_eq!((pair.prompt, pair.verdict), (asked("How deep?"), None));
    assert!(pair.answers.len() == 2 && pair.answers.iter().all(|answer| answer.text.is_empty()));
    // Among pairs, a prompt alone lacks its answers.
    let rows = [json!({"prompt": "p", "chosen": "a", "rejected": "b"}), json!({"prompt": "q"})];
    assert!(records(&rows, &Options::default()).faults[0].reason.contains("no field \"chosen\""));
}

#[test]
fn a_dataset_info_says_which_answers_were_good_and_which_bad() {
    let dir = tempfile::tempdir().unwrap();
    let row = |input: &str, answer: &str, good: bool| json!({"instruction": "Add.", "input": input, "output": answer, "thumb": good, "system": "Be brief."});
    let rows = json!([row("1+1", "2", true), row("", "?", true), row("1+1", "3", false), row("", "!", false)]);
    fs::write(dir.path().join("kto.json"), rows.to_string()).unwrap();
    let columns = json!({"prompt": "instruction", "query": "input", "response": "output", "kto_tag": "thumb"});
    let info = json!({"set": {"file_name": "kto.json", "columns": columns}});
    fs::write(dir.path().join("dataset_info.json"), info.to_string()).unwrap();
    let report = read(&dir.path().join("kto.json"), &Options::default());
    assert_eq!((report.faults.len(), report.format.name), (0, "unpaired"), "{:?}", report.faults);
    let found: Vec<(Prompt, [&str; 2])> = report.pairs.iter().map(|pair| (pair.prompt.clone(), sides(pair))).collect();
    let asked = |text: &str| turns(&[(Role::System, "Be brief."), (Role::User, text)]);
    assert_eq!(found, [(asked("Add.\n1+1"), ["2", "3"]), (asked("Add."), ["?", "!"])]);
}

#[test]
fn a_dataset_info_beside_a_file_says_what_its_columns_are() {
    let dir = tempfile::tempdir().unwrap();
    let info = json!({
        "mine": {"file_name": "mine.json", "ranking": true,
                 "columns": {"prompt": "frage", "query": "zusatz", "chosen": "gut", "rejected": "schlecht"}},
        "talk": {"file_name": "talk.jsonl", "ranking": true, "formatting": "sharegpt",
                 "columns": {"messages": "messages", "chosen": "gut", "rejected": "schlecht"},
                 "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}},
    });
    fs::write(dir.path().join("dataset_info.json"), info.to_string()).unwrap();
    fs::write(
        dir.path().join("mine.json"),
        json!([{"frage": "p", "zusatz": "q", "gut": "a", "schlecht": "b"}]).to_string(),
    )
    .unwrap();
    let talk = json!({"messages": [{"role": "user", "content": "p\nq"}], "gut": {"role": "assistant", "content": "a"}, "schlecht": {"role": "assistant", "content": "b"}});
    fs::write(dir.path().join("talk.jsonl"), talk.to_string()).unwrap();
    let files = nudge::formats::files(&[dir.path().to_owned()]).unwrap();
    assert_eq!(files.len(), 2);
    for file in files {
        let report = read(&file, &Options::default());
        assert_eq!(report.faults, [], "{}", file.display());
        assert_eq!((&report.pairs[0].prompt, sides(&report.pairs[0])), (&asked("p\nq"), ["a", "b"]));
    }
}
