//! Preference files as people really have them.

use std::{fs, ops::ControlFlow, path::PathBuf};

use nudge::{
    data::{Choice, Origin, Pair, Prompt, Role, Split, Strength, Turn},
    formats::{self, FieldMap, Format, ImportReport, Progress},
};

fn import(path: &std::path::Path, fields: &FieldMap) -> ImportReport {
    formats::read(path, Format::Auto, fields, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// Imports a text as if it were a file.
pub fn import_text(text: impl AsRef<[u8]>) -> ImportReport {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    import(file.path(), &FieldMap::default())
}

/// The only pair of a record that comes in without a fault.
fn one(record: &serde_json::Value) -> Pair {
    let report = import_text(record.to_string());
    assert_eq!(report.faults, [], "{record}");
    assert_eq!(report.pairs.len(), 1, "{record}");
    report.pairs.into_iter().next().unwrap()
}

/// Why a record does not come in.
fn fault(record: &serde_json::Value) -> String {
    let report = import_text(record.to_string());
    assert!(report.pairs.is_empty(), "{record} came in");
    report.faults.into_iter().next().unwrap().reason
}

fn turn(role: Role, content: &str) -> Turn {
    Turn { role, content: content.to_owned() }
}

fn texts(pair: &Pair) -> Vec<&str> {
    pair.answers.iter().map(|answer| answer.text.as_str()).collect()
}

#[test]
fn a_nasty_file_comes_in_except_for_what_is_listed() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nasty.jsonl");
    let report = import(&path, &FieldMap::default());
    assert_eq!(report.format, Format::Trl);
    assert!(!report.cancelled);

    let came_in: Vec<u64> = report.pairs.iter().map(|pair| pair.source.as_ref().unwrap().line).collect();
    assert_eq!(came_in, [1, 2, 4, 5, 6, 18, 19, 20, 21, 22, 23]);

    let expected = [
        (7, "does not end on its line"),
        (8, "no field \"rejected\"; the record has prompt, chosen"),
        (9, "\"chosen\" must be a text or a list of messages, found a number"),
        (10, "unknown role \"robot\""),
        (11, "not UTF-8"),
        (12, "expected a record {..}, found a text"),
        (13, "not JSON"),
        (14, "the field \"chosen\" is null"),
        (15, "unpaired record"),
        (16, "\"behaviour\" must be a probability"),
        (17, "one answer is a text and the other a list"),
    ];
    let lines: Vec<u64> = report.faults.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, expected.map(|(line, _)| line));
    for (fault, (line, words)) in report.faults.iter().zip(expected) {
        assert!(fault.reason.contains(words), "line {line}: {}", fault.reason);
    }

    // What came in although it looks odd is told.
    let noted: Vec<u64> = report.notes.iter().map(|note| note.line).collect();
    assert_eq!(noted, [18, 19, 23]);
    assert!(report.notes[0].reason.contains("rejected answer is empty"));
    assert!(report.notes[1].reason.contains("both answers are the same"));
    assert!(report.notes[2].reason.contains("taken as a tie"));

    // Nothing is lost on the way: emoji with joiners, right-to-left text, a NUL, line separators.
    assert_eq!(texts(&report.pairs[1]), ["👩‍👩‍👧 שלום \u{0}\u{2028}ok", "日本語\t\\n"]);
    assert_eq!(report.pairs[5].answers[1].text, "");
    assert!(report.pairs[7].answers[0].text.chars().count() > 5000);
}

#[test]
fn all_four_shapes_of_trl_mean_the_same() {
    let standard = one(&serde_json::json!(
        {"prompt": "The moon is", "chosen": " a rocky satellite.", "rejected": " made of old cheese."}
    ));
    assert_eq!(standard.prompt, Prompt::Text("The moon is".to_owned()));
    assert_eq!(texts(&standard), [" a rocky satellite.", " made of old cheese."]);
    let implicit = one(&serde_json::json!(
        {"chosen": "The moon is a rocky satellite.", "rejected": "The moon is made of old cheese."}
    ));
    assert_eq!(implicit.prompt, standard.prompt);
    assert_eq!(texts(&implicit), texts(&standard));

    let user = serde_json::json!({"role": "user", "content": "Name a prime above 10."});
    let yes = serde_json::json!({"role": "assistant", "content": "11"});
    let no = serde_json::json!({"content": "12", "role": "assistant"});
    let explicit = one(&serde_json::json!({"prompt": [user], "chosen": [yes], "rejected": [no]}));
    assert_eq!(explicit.prompt, Prompt::Chat(vec![turn(Role::User, "Name a prime above 10.")]));
    assert_eq!(texts(&explicit), ["11", "12"]);
    let others = [
        serde_json::json!({"chosen": [user, yes], "rejected": [user, no]}),
        // UltraFeedback: the prompt is also the first turn of both conversations.
        serde_json::json!({"prompt": "Name a prime above 10.", "chosen": [user, yes], "rejected": [user, no]}),
        serde_json::json!({"prompt": [user], "chosen": [user, yes], "rejected": [user, no]}),
        serde_json::json!({"prompt": "Name a prime above 10.", "chosen": [yes], "rejected": [no]}),
        serde_json::json!({"prompt": [user], "chosen": "11", "rejected": "12"}),
        serde_json::json!({"prompt": [user], "chosen": yes, "rejected": no}),
        serde_json::json!({"prompt": [user], "chosen": [{"role": "assistant", "content": [{"type": "text", "text": "11"}]}], "rejected": [no]}),
    ];
    for record in others {
        let pair = one(&record);
        assert_eq!(pair.prompt, explicit.prompt, "{record}");
        assert_eq!(texts(&pair), ["11", "12"], "{record}");
    }
    let verdict = explicit.verdict.unwrap();
    assert_eq!(verdict.who, "import");
    assert_eq!(verdict.choice, Choice::Better { chosen: 0, rejected: 1, strength: Strength::Strongly });
    assert!(explicit.answers.iter().all(|answer| answer.origin == Origin::Imported));
}

#[test]
fn what_cannot_be_a_pair_says_why() {
    let user = serde_json::json!({"role": "user", "content": "Hi"});
    let yes = serde_json::json!({"role": "assistant", "content": "yes"});
    for (record, words) in [
        (serde_json::json!({"chosen": "Yes.", "rejected": "No."}), "share no beginning"),
        (serde_json::json!({"chosen": [yes], "rejected": [yes]}), "share no first turn"),
        (serde_json::json!({"prompt": [user], "chosen": [yes, user, yes], "rejected": [yes]}), "3 messages beyond"),
        (serde_json::json!({"prompt": [user], "chosen": [user], "rejected": [yes]}), "a message of the user"),
        (
            serde_json::json!({"prompt": "Other", "chosen": [user, yes], "rejected": [user, {"role": "assistant", "content": "no"}]}),
            "not among the turns",
        ),
        (serde_json::json!({"prompt": [{"role": "user"}], "chosen": [yes], "rejected": [yes]}), "no content"),
        (serde_json::json!({"prompt": [{"content": "Hi"}], "chosen": [yes], "rejected": [yes]}), "no role"),
        (serde_json::json!({"prompt": ["Hi"], "chosen": [yes], "rejected": [yes]}), "found a text"),
        (serde_json::json!({"prompt": "p", "chosen": "a", "rejected": "b", "split": "later"}), "\"split\" must be"),
        (
            serde_json::json!({"prompt": "p", "chosen": "a", "rejected": "b", "strength": "so so"}),
            "\"strength\" must be",
        ),
        (
            serde_json::json!({"prompt": "p", "chosen": "a", "rejected": "b", "reward": "much"}),
            "\"reward\" must be a number",
        ),
        (serde_json::json!({"prompt": "p", "chosen": "a", "rejected": "b", "behaviour": 0}), "above 0"),
        (serde_json::json!({"prompt": "p", "chosen": "a", "rejected": "b", "tags": [1]}), "texts only"),
        (serde_json::json!({"prompt": "p", "chosen": "a", "rejected": "b", "images": ["x.png"]}), "has images"),
    ] {
        let reason = fault(&record);
        assert!(reason.contains(words), "{record}: {reason}");
    }
}

#[test]
fn columns_of_ours_come_along() {
    let pair = one(&serde_json::json!({
        "prompt": "How deep?", "chosen": "Two.", "rejected": "Ten.", "system": "Be brief.", "tags": "sea, depth",
        "split": "test", "strength": "slightly", "weight": 0.5, "behaviour": 0.8, "note": "odd", "id": 17,
    }));
    assert_eq!(pair.prompt, Prompt::Chat(vec![turn(Role::System, "Be brief."), turn(Role::User, "How deep?")]));
    assert_eq!(pair.tags, ["sea", "depth"]);
    assert_eq!(pair.split, Split::Eval);
    assert_eq!(pair.reward, 0.5);
    assert_eq!(pair.behaviour, 0.8);
    assert_eq!(pair.note, "odd");
    assert_eq!(pair.source.unwrap().id.as_deref(), Some("17"));
    assert!(matches!(pair.verdict.unwrap().choice, Choice::Better { strength: Strength::Slightly, .. }));
}

#[test]
fn fields_may_go_by_other_names() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let record = serde_json::json!({"question": "1+1?", "chosen_response": "2", "rejected_response": "3"});
    fs::write(file.path(), record.to_string()).unwrap();
    let fields = FieldMap::parse(["prompt=question", "chosen=chosen_response", "rejected=rejected_response"]).unwrap();
    let report = import(file.path(), &fields);
    assert_eq!(texts(&report.pairs[0]), ["2", "3"]);
    assert!(import(file.path(), &FieldMap::default()).faults[0].reason.contains("question"));
    for wrong in ["prompt", "prompt=", "best=chosen"] {
        assert!(FieldMap::parse([wrong]).is_err(), "{wrong}");
    }
}

#[test]
fn anthropic_dialogues_are_recognised() {
    let report = import_text(
        serde_json::json!({
            "chosen": "\n\nHuman: Can tea be cold?\n\nAssistant: Yes, iced tea is common.",
            "rejected": "\n\nHuman: Can tea be cold?\n\nAssistant: No.",
        })
        .to_string(),
    );
    assert_eq!(report.format, Format::Hh);
    assert_eq!(report.pairs[0].prompt, Prompt::Text("\n\nHuman: Can tea be cold?\n\nAssistant:".to_owned()));
    assert_eq!(texts(&report.pairs[0]), [" Yes, iced tea is common.", " No."]);
}

#[test]
fn a_json_array_is_as_good_as_lines() {
    let report = import_text(
        "[\n  {\"prompt\": \"p\",\n   \"chosen\": \"a ] }\", \"rejected\": \"b\"},\n  {\"prompt\": },\n  {\"prompt\": \"q\", \"chosen\": \"a\", \"rejected\": \"b\"}\n]",
    );
    let lines: Vec<u64> = report.pairs.iter().map(|pair| pair.source.as_ref().unwrap().line).collect();
    assert_eq!(lines, [2, 5]);
    assert_eq!(report.faults.len(), 1);
    assert_eq!(report.faults[0].line, 4);
}

#[test]
fn files_that_are_no_text_are_refused_as_a_whole() {
    for (start, word) in [(&b"PAR1...."[..], "Parquet"), (b"\x1F\x8B\x08", "gzip"), (b"\xFF\xFE{\0", "UTF-16")] {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), start).unwrap();
        let refused =
            formats::read(file.path(), Format::Auto, &FieldMap::default(), &mut |_| ControlFlow::Continue(()));
        assert!(refused.unwrap_err().to_string().contains(word));
    }
    let nowhere = PathBuf::from("there/is/no/such.jsonl");
    let refused = formats::read(&nowhere, Format::Auto, &FieldMap::default(), &mut |_| ControlFlow::Continue(()));
    assert!(refused.unwrap_err().to_string().contains("such.jsonl"));
}

#[test]
fn a_long_import_reports_and_can_be_stopped() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let line = "{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"b\"}\n";
    fs::write(file.path(), line.repeat(2000)).unwrap();
    let mut calls: Vec<Progress> = Vec::new();
    let report = formats::read(file.path(), Format::Auto, &FieldMap::default(), &mut |at| {
        calls.push(at);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(report.pairs.len(), 2000);
    assert!(calls.len() >= 4 && calls.is_sorted_by_key(|at| at.bytes));
    let last = calls.last().unwrap();
    assert_eq!((last.bytes, last.pairs), (last.total_bytes, 2000));

    let stopped = formats::read(file.path(), Format::Auto, &FieldMap::default(), &mut |at| {
        if at.pairs >= 500 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    assert!(stopped.cancelled);
    assert!((500..1500).contains(&stopped.pairs.len()));
}

#[test]
fn reference_answers_and_retention_text_come_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let path = write(
        "references.jsonl",
        concat!(
            "{\"prompt\": \"Hi\", \"completion\": \" there\"}\n",
            "{\"prompt\": [{\"role\": \"user\", \"content\": \"Hi\"}], \"completion\": [{\"role\": \"assistant\", \"content\": \"Hello\"}]}\n",
            "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}, {\"role\": \"assistant\", \"content\": \"Hey\"}]}\n",
            "{\"prompt\": \"Hi\", \"completion\": \" \"}\n",
            "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]}\n",
            "{\"completion\": \"alone\"}\n",
        ),
    );
    let (answers, faults) = formats::read_references(&path).unwrap();
    let said: Vec<&str> = answers.iter().map(|answer| answer.answer.as_str()).collect();
    assert_eq!(said, [" there", "Hello", "Hey"]);
    assert_eq!(answers[0].prompt, Prompt::Text("Hi".to_owned()));
    assert_eq!(answers[1].prompt, answers[2].prompt);
    let lines: Vec<u64> = faults.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [4, 5, 6]);

    let plain = write("guide.txt", "One\nparagraph.\n\nAnother.\n");
    assert_eq!(formats::read_texts(&plain).unwrap().0, ["One\nparagraph.", "Another."]);
    let lines = write("guide.jsonl", "{\"text\": \"One\"}\n\"Two\"\n{\"body\": 3}\n");
    let (all, faults) = formats::read_texts(&lines).unwrap();
    assert_eq!(all, ["One", "Two"]);
    assert_eq!(faults[0].line, 3);
}
