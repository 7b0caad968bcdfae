//! Which column is the question and which are answers: what is recognised, what is not guessed, what was not used.

use std::fs;

use nudge::{
    data::{Prompt, Role, Split},
    formats::FieldMap,
};

use crate::formats::{Import, fault, import, one, texts, turn};

/// The only record's reason under the names of `map`, or the report of what came in.
fn mapped(record: &serde_json::Value, map: &[&str]) -> Result<Import, String> {
    all_mapped(std::slice::from_ref(record), map)
}

/// The last reason of several records, likewise.
fn all_mapped(records: &[serde_json::Value], map: &[&str]) -> Result<Import, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let lines: Vec<String> = records.iter().map(ToString::to_string).collect();
    fs::write(file.path(), lines.join("\n")).unwrap();
    let mut report = import(file.path(), &FieldMap::parse(map.iter().copied()).unwrap());
    match report.report.faults.pop() {
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

/// Reads a file of this name.
fn file(name: &str, bytes: impl AsRef<[u8]>) -> Import {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    import(&path, &FieldMap::default())
}

#[test]
fn columns_may_be_spelled_in_any_case() {
    let report = file("table.csv", "Prompt, Chosen ,REJECTED,Split,Chosen Model\n1+1?,2,3,Test,m\n");
    assert_eq!((report.faults.len(), report.pairs.len()), (0, 1), "{:?}", report.faults);
    let pair = &report.pairs[0];
    assert_eq!(pair.prompt, Prompt::Text("1+1?".to_owned()));
    assert_eq!(texts(pair), ["2", "3"]);
    assert_eq!(pair.split, Split::Eval);
    assert_eq!(report.unused.keys().collect::<Vec<_>>(), ["Chosen Model"]);
    // The exact name goes first.
    let record = serde_json::json!({"Prompt": "no", "prompt": "yes", "Chosen": "a", "rejected": "b"});
    let report = mapped(&record, &[]).unwrap();
    assert_eq!(report.pairs[0].prompt, Prompt::Text("yes".to_owned()));
    assert_eq!(report.unused.keys().collect::<Vec<_>>(), ["Prompt"]);
}

#[test]
fn a_row_of_empty_cells_is_no_pair() {
    let report = file("table.csv", "prompt,chosen,rejected\na,b,c\n,,\n\" \",\t,\n");
    assert_eq!(report.pairs.len(), 1);
    let faults: Vec<(u64, &str)> = report.faults.iter().map(|fault| (fault.line, fault.reason.as_str())).collect();
    assert_eq!(faults, [(3, "all cells of the row are empty"), (4, "all cells of the row are empty")]);
}

#[test]
fn bytes_are_taken_for_text_where_they_are_one() {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/preferences/pyarrow_bytes.parquet");
    let report = import(&path, &FieldMap::default());
    assert_eq!((report.faults.len(), report.unused.keys().collect::<Vec<_>>()), (0, vec![&"picture".to_owned()]));
    let report = import(&path, &FieldMap::parse(["chosen=picture"]).unwrap());
    assert_eq!(report.pairs.len(), 0);
    assert_eq!(report.faults[0].reason, "\"picture\" holds bytes that are no text in UTF-8");
}

#[test]
fn a_file_of_columns_is_told_from_one_of_records() {
    // As pandas' to_json writes without orient.
    let text = r#"{"prompt":{"0":"p","1":"q"},"chosen":{"0":"a","1":"b"},"rejected":{"0":"c","1":"d"}}"#;
    let report = file("columns.json", text);
    let reason = &report.faults[0].reason;
    assert!(reason.contains("columns where records should be") && reason.contains("orient=\"records\""), "{reason}");
}

#[test]
fn the_verdict_of_label_studios_tables_is_found() {
    let rest = "annotator,annotation_id,created_at,lead_time";
    let table = format!(
        "id,prompt,left,right,pw,{rest}\n1,p,a,b,left,1,1,2024,3.2\n2,q,a,b,\"[{{\"\"selected\"\": \"\"right\"\"}}]\",1,2,2024,3.2\n3,r,a,b,,1,3,2024,1\n"
    );
    let report = file("studio.csv", table);
    let chosen: Vec<Option<&str>> =
        report.pairs.iter().map(|pair| pair.chosen().map(|answer| answer.text.as_str())).collect();
    assert_eq!(chosen, [Some("a"), Some("b"), None]);
    let row = serde_json::json!({"id": 1, "prompt": "p", "response_a": "a", "response_b": "b", "better one": "response_b",
        "annotator": 1, "annotation_id": 1});
    assert_eq!(one(&row).chosen().unwrap().text, "b");
    // Elsewhere a column that holds such a word may be anything.
    let row = serde_json::json!({"prompt": "p", "response_a": "a", "response_b": "b", "longer": "response_b"});
    assert_eq!(one(&row).verdict, None);
    let conversation = serde_json::json!({"data": {"messages": [{"role": "user", "content": "p"}], "left": "a", "right": "b"},
        "annotations": [{"result": [{"type": "pairwise", "value": {"selected": "right"}}]}]});
    assert_eq!(one(&conversation).prompt, Prompt::chat(vec![turn(Role::User, "p")]));
}

#[test]
fn a_table_called_txt_is_one_and_prompts_may_be_in_utf_16() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("from_excel.txt");
    let utf_16 =
        |text: &str| -> Vec<u8> { format!("\u{FEFF}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let table = "prompt\tchosen\trejected\r\np\ta\tb\r\n";
    for bytes in [utf_16(table), table.into(), br#"{"prompt": "p", "chosen": "a", "rejected": "b"}"#.to_vec()] {
        fs::write(&path, bytes).unwrap();
        assert!(!nudge::formats::is_plain_text(&path));
        assert_eq!(texts(&import(&path, &FieldMap::default()).pairs[0]), ["a", "b"]);
    }
    for bytes in [utf_16("One, two?\r\nGrüße\r\n"), "\u{FEFF}One, two?\nGrüße\n".into()] {
        fs::write(&path, bytes).unwrap();
        assert!(nudge::formats::is_plain_text(&path));
        let prompts = nudge::formats::read_prompts(&path, false).unwrap();
        assert_eq!(prompts, ["One, two?", "Grüße"].map(|text| Prompt::Text(text.to_owned())));
    }
}
