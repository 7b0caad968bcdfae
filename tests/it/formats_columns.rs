//! Which column is the question and which are answers: what is recognised, what is not guessed, what was not used.

use std::fs;

use nudge::{
    data::{Prompt, Role},
    formats::{FieldMap, ImportReport},
};

use crate::formats::{fault, import, one, texts, turn};

/// The only record's reason under the names of `map`, or the report of what came in.
fn mapped(record: &serde_json::Value, map: &[&str]) -> Result<ImportReport, String> {
    all_mapped(std::slice::from_ref(record), map)
}

/// The last reason of several records, likewise.
fn all_mapped(records: &[serde_json::Value], map: &[&str]) -> Result<ImportReport, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let lines: Vec<String> = records.iter().map(ToString::to_string).collect();
    fs::write(file.path(), lines.join("\n")).unwrap();
    let mut report = import(file.path(), &FieldMap::parse(map.iter().copied()).unwrap());
    match report.faults.pop() {
        Some(fault) => Err(fault.reason),
        None => Ok(report),
    }
}

#[test]
fn dh2_no_prompt_is_invented_where_another_column_may_be_it() {
    let answers = || serde_json::json!({"chosen": "The capital is Paris.", "rejected": "The capital is Lyon."});
    let with = |columns: serde_json::Value| {
        let mut record = columns;
        record.as_object_mut().unwrap().extend(answers().as_object().unwrap().clone());
        record
    };
    for (columns, proposed) in [
        (serde_json::json!({"query": "Capital?", "source": "atlas"}), "--map prompt=query"),
        (serde_json::json!({"Frage": "Capital?", "id": 7}), "--map prompt=Frage"),
        (serde_json::json!({"dialogue": [{"role": "user", "content": "Capital?"}]}), "--map prompt=dialogue"),
        (serde_json::json!({"dialogue": [{"from": "human", "value": "Capital?"}]}), "messages with role and content"),
        (serde_json::json!({"prompt": null, "query": "Capital?"}), "--map prompt=query"),
        (serde_json::json!({"prompt": " ", "question": "Capital?"}), "--map prompt=question"),
        (serde_json::json!({"prompt": [], "instruction": "Capital?"}), "--map prompt=instruction"),
        (serde_json::json!({"prompt": [{"role": "user", "content": " "}], "input": "x"}), "--map prompt=input"),
        // A name that says where a record is from is no proof.
        (serde_json::json!({"source": "What is the capital of France?"}), "--map prompt=source"),
        (serde_json::json!({"model_input": "Name the capital of France."}), "--map prompt=model_input"),
        (serde_json::json!({"subject": "capitals"}), "--map prompt=subject"),
        (serde_json::json!({"question_source": "法国的首都是什么"}), "--map prompt=question_source"),
        (serde_json::json!({"metadata": {"q": "Capital of France"}}), "write it as \"prompt\""),
        (serde_json::json!({"prompt": null}), "the field \"prompt\" is null"),
    ] {
        let reason = mapped(&with(columns.clone()), &[]).unwrap_err();
        assert!(reason.contains(proposed), "{columns}: {reason}");
    }
    let reason = mapped(&with(serde_json::json!({"query": "Capital?"})), &["prompt=frage"]).unwrap_err();
    assert!(reason.contains("query"), "{reason}");
    // Where the question is known by the company it keeps, it is the prompt.
    for columns in [
        serde_json::json!({"system": "You help.", "question": "What is the capital of France?"}),
        serde_json::json!({"instruction": "Name the capital.", "input": "France"}),
        serde_json::json!({"messages": [{"role": "user", "content": "Capital?"}]}),
        serde_json::json!({"conversations": [{"from": "human", "value": "Capital?"}]}),
        serde_json::json!({"prompt": null, "question": "Capital?"}),
    ] {
        let report = mapped(&with(columns.clone()), &[]).unwrap_or_else(|reason| panic!("{columns}: {reason}"));
        assert_eq!(texts(&report.pairs[0]), ["The capital is Paris.", "The capital is Lyon."]);
    }
    let reason = mapped(&answers(), &["prompt=frage"]).unwrap_err();
    assert!(reason.contains("no field \"frage\""), "{reason}");
    // What the answers say about themselves is no question.
    for columns in [
        serde_json::json!({}),
        serde_json::json!({"source": "atlas_1", "chosen_model": "gpt-4", "score_chosen": 2, "url": "https://a.b/c"}),
        serde_json::json!({"metadata": {"rows": ["2024-01-02", 7]}, "rating": "7.5"}),
        serde_json::json!({"system": "Be brief."}),
        serde_json::json!({"question": ""}),
        serde_json::json!({"question": null, "tags": ["a"]}),
    ] {
        let report = mapped(&with(columns.clone()), &[]).unwrap_or_else(|reason| panic!("{columns}: {reason}"));
        assert_eq!(texts(&report.pairs[0]), [" Paris.", " Lyon."]);
    }
    // Words that come again label the records; words that do not may be asked.
    let labelled = |sources: &[&str]| {
        let label = |source| with(serde_json::json!({"source": source, "language": "English", "model": "claude"}));
        all_mapped(&sources.iter().map(label).collect::<Vec<_>>(), &[])
    };
    assert_eq!(labelled(&["atlas", "a book", "atlas", "a book"]).unwrap().pairs.len(), 4);
    assert!(labelled(&["atlas", "atlas", "Capital?"]).unwrap_err().contains("--map prompt=source"));
    assert!(labelled(&["France", "Spain", "Italy"]).unwrap_err().contains("--map prompt=source"));
    // Conversations that share no more than the system's turn.
    let turn = |role: &str, content: &str| serde_json::json!({"role": role, "content": content});
    let record = serde_json::json!({
        "question": "Capital?",
        "chosen": [turn("system", "s"), turn("assistant", "Paris")],
        "rejected": [turn("system", "s"), turn("assistant", "Lyon")],
    });
    assert!(mapped(&record, &[]).unwrap_err().contains("--map prompt=question"));
    let report = mapped(&record, &["prompt=question"]).unwrap();
    let turns = vec![self::turn(Role::System, "s"), self::turn(Role::User, "Capital?")];
    assert_eq!(report.pairs[0].prompt, Prompt::chat(turns));
}

#[test]
fn dh2_columns_that_were_not_used_are_told() {
    let record = serde_json::json!({
        "instruction": "Translate.", "input": "Haus", "history": [], "kind": 3, "empty": "",
        "chosen": "house", "rejected": "mouse", "extra": {"a": ["deep"]},
    });
    let report = mapped(&record, &["prompt=instruction"]).unwrap();
    let unused: Vec<&str> = report.unused.keys().map(String::as_str).collect();
    assert_eq!(unused, ["extra", "input"]);
    let told = report.unused_columns().unwrap();
    assert_eq!(told, "the columns \"extra\" (1 record), \"input\" (1 record) were not used");
    let report = mapped(&record, &["prompt=instruction+input"]).unwrap();
    assert_eq!(report.pairs[0].prompt, Prompt::Text("Translate.\nHaus".to_owned()));
    assert_eq!(report.unused.len(), 1);
    let reason = mapped(&record, &["prompt=instruction+kind"]).unwrap_err();
    assert!(reason.contains("\"kind\" must be a text"), "{reason}");
}

#[test]
fn a_blank_prompt_is_none_where_conversations_hold_it() {
    let said =
        |text: &str| serde_json::json!([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": text}]);
    for prompt in [serde_json::json!([]), serde_json::json!(" "), serde_json::Value::Null] {
        let pair = one(&serde_json::json!({"prompt": prompt, "chosen": said("a"), "rejected": said("b")}));
        assert_eq!(pair.prompt, Prompt::chat(vec![turn(Role::User, "Hi")]), "{prompt}");
    }
}

#[test]
fn a_table_of_many_columns_tells_what_it_did_not_use() {
    let mut record = serde_json::Map::new();
    for column in 0..70 {
        record.insert(format!("column {column}"), 1.into());
    }
    for (name, text) in [("prompt", "p"), ("chosen", "a"), ("rejected", "b"), ("extra", "x")] {
        record.insert(name.to_owned(), text.into());
    }
    let report = mapped(&record.clone().into(), &[]).unwrap();
    assert_eq!(report.unused.keys().collect::<Vec<_>>(), ["extra"]);
    record.remove("prompt");
    record.remove("extra");
    record.insert("question".to_owned(), "Capital?".into());
    let report = mapped(&record.into(), &["prompt=question"]).unwrap();
    assert!(report.unused.is_empty());
}

#[test]
fn dh2_answers_under_other_names_are_named() {
    let record = serde_json::json!({"prompt": "1+1?", "chosen_answer": "2", "rejected_answer": "3"});
    assert!(fault(&record).contains("--map chosen=chosen_answer"));
    let record = serde_json::json!({"instruction": "1+1?", "input": "", "output": ["2", "3"]});
    assert!(fault(&record).contains("\"output\" holds a list of answers"));
}
