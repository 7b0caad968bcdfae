//! Preference files as people really have them.

use std::{
    fs,
    ops::Deref,
    path::{Path, PathBuf},
};

use nudge::{
    data::{Choice, Origin, Pair, Prompt, Role, Split, Strength, Turn},
    formats::{self, FieldMap, FormatError, ImportReport, Options, Reader},
};

/// A file read to its end.
#[derive(Debug, PartialEq)]
pub struct Import {
    pub pairs: Vec<Pair>,
    pub report: ImportReport,
}

impl Deref for Import {
    type Target = ImportReport;

    fn deref(&self) -> &ImportReport {
        &self.report
    }
}

pub fn read(path: &Path, options: &Options) -> Result<Import, FormatError> {
    let mut reader = Reader::open(path, options)?;
    let pairs = reader.by_ref().collect::<Result<_, _>>()?;
    Ok(Import { pairs, report: reader.into_report() })
}

pub fn import(path: &Path, fields: &FieldMap) -> Import {
    read(path, &Options { names: fields.clone(), ..Options::default() }).unwrap()
}

/// Imports a text as if it were a file.
pub fn import_text(text: impl AsRef<[u8]>) -> Import {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    import(file.path(), &FieldMap::default())
}

/// The only pair of a record that comes in without a fault.
pub fn one(record: &serde_json::Value) -> Pair {
    let report = import_text(record.to_string());
    assert_eq!(report.faults, [], "{record}");
    assert_eq!(report.pairs.len(), 1, "{record}");
    report.pairs.into_iter().next().unwrap()
}

/// Why a record does not come in.
pub fn fault(record: &serde_json::Value) -> String {
    let report = import_text(record.to_string());
    assert!(report.pairs.is_empty(), "{record} came in");
    report.faults[0].reason.clone()
}

pub fn turn(role: Role, content: &str) -> Turn {
    Turn::new(role, content)
}

pub fn texts(pair: &Pair) -> Vec<&str> {
    pair.answers.iter().map(|answer| answer.text.as_str()).collect()
}

#[test]
fn a_nasty_file_comes_in_except_for_what_is_listed() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nasty.jsonl");
    let report = import(&path, &FieldMap::default());
    assert_eq!(report.format.name, "trl");

    let came_in: Vec<u64> = report.pairs.iter().map(|pair| pair.source.as_ref().unwrap().line).collect();
    assert_eq!(came_in, [1, 2, 4, 5, 6, 10, 18, 19, 20, 21, 22, 23]);

    let expected = [
        (7, "does not end on its line"),
        (8, "no field \"rejected\"; the record has prompt, chosen"),
        (9, "\"chosen\" must be a text or a list of messages, found a number"),
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
    assert_eq!(noted, [10, 18, 19, 23]);
    assert!(report.notes[0].reason.contains("the role \"robot\" is left to the chat template"));
    assert!(report.notes[1].reason.contains("rejected answer is empty"));
    assert!(report.notes[2].reason.contains("both answers are the same"));
    assert!(report.notes[3].reason.contains("taken as a tie"));

    // Nothing is lost on the way: emoji with joiners, right-to-left text, a NUL, line separators.
    assert_eq!(texts(&report.pairs[1]), ["👩‍👩‍👧 שלום \u{0}\u{2028}ok", "日本語\t\\n"]);
    assert_eq!(report.pairs[6].answers[1].text, "");
    assert!(report.pairs[8].answers[0].text.chars().count() > 5000);
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
    assert_eq!(explicit.prompt, Prompt::chat(vec![turn(Role::User, "Name a prime above 10.")]));
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
    assert_eq!(pair.prompt, Prompt::chat(vec![turn(Role::System, "Be brief."), turn(Role::User, "How deep?")]));
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
    assert_eq!(report.format.name, "hh");
    assert_eq!(report.pairs[0].prompt, Prompt::Text("\n\nHuman: Can tea be cold?\n\nAssistant:".to_owned()));
    assert_eq!(texts(&report.pairs[0]), [" Yes, iced tea is common.", " No."]);
}

#[test]
fn dm10_a_number_that_is_none_costs_no_row_where_nobody_asks_for_it() {
    let row = |rest: &str| format!("{{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\",{rest}}}");
    for rest in [
        "\"score\":NaN",
        "\"score\":-Infinity",
        "\"scores\":[1,Infinity,{\"x\":NaN}]",
        "\"score_chosen\":NaN,\"score_rejected\":NaN",
        // pandas writes it for what is missing.
        "\"system\":NaN,\"tags\":NaN,\"split\":NaN,\"strength\":NaN,\"note\":NaN,\"id\":NaN",
        "\"big\":1e999",
    ] {
        for text in [row(rest), format!("[{}]", row(rest))] {
            let report = import_text(&text);
            assert_eq!((report.pairs.len(), report.faults.len(), report.notes.len()), (1, 0, 0), "{text}");
            let pair = &report.pairs[0];
            assert_eq!((&*pair.note, pair.tags.len(), pair.reward), ("", 0, 1.0));
            assert_eq!(pair.source.as_ref().unwrap().id, None);
        }
    }
    for (rest, words) in [
        ("\"reward\":NaN", "\"reward\" must be a number, found NaN"),
        ("\"weight\":Infinity", "\"weight\" must be a number, found Infinity"),
        ("\"behaviour\":NaN", "\"behaviour\" must be a probability"),
        ("\"score\":nan", "not JSON"),
        ("\"chosen\":NaN", "the field \"chosen\" is NaN"),
        ("\"prompt\":NaN", "the field \"prompt\" is NaN"),
    ] {
        let report = import_text(row(rest));
        assert!(report.pairs.is_empty(), "{rest}");
        assert!(report.faults[0].reason.contains(words), "{}", report.faults[0].reason);
    }
}

#[test]
fn dl3_ids_are_kept_to_the_letter_and_doubled_names_are_told() {
    for id in ["123456789012345678901234567890", "1.50", "-0", "1e5", "18446744073709551616", "7"] {
        let report = import_text(format!("{{\"id\":{id},\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\"}}"));
        assert_eq!(report.pairs[0].source.as_ref().unwrap().id.as_deref(), Some(id));
        assert_eq!(report.notes, []);
    }
    for text in [
        "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\",\"chosen\":\"c\"}",
        "{\"prompt\":\"p\",\"chosen\":[{\"role\":\"assistant\",\"chosen\":1,\"chosen\":2,\"content\":\"c\"}],\"rejected\":[{\"role\":\"assistant\",\"content\":\"b\"}]}",
    ] {
        let report = import_text(text);
        assert_eq!(texts(&report.pairs[0]), ["c", "b"]);
        assert_eq!(report.notes.len(), 1, "{text}");
        assert_eq!(report.notes[0].reason, "\"chosen\" stands there more than once; the last one counts");
    }
}

#[test]
fn dm11_an_array_that_breaks_off_is_told() {
    let record = "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\"}";
    let report = import_text(format!("[{record},\n{record}"));
    assert_eq!((report.pairs.len(), report.faults.len()), (2, 0));
    assert_eq!(report.notes[0].line, 2);
    assert!(report.notes[0].reason.contains("breaks off"));
    let report = import_text(format!(
        "[\n{record},\n{{\"prompt\":\"p\",\"chosen\":\"open,\n\"rejected\":\"x\"}},\n{record},\n{record}\n]"
    ));
    let lines: Vec<u64> = report.pairs.iter().map(|pair| pair.source.as_ref().unwrap().line).collect();
    assert_eq!(lines, [2, 5, 6]);
    assert_eq!(report.faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), [3]);
}

#[test]
fn dl8_a_part_without_a_text_is_told_as_such() {
    let part = serde_json::json!([{"role": "user", "content": [{"type": "text"}]}]);
    let reason = fault(&serde_json::json!({"prompt": part, "chosen": "a", "rejected": "b"}));
    assert!(reason.contains("without a text"), "{reason}");
}

#[test]
fn dl9_what_holds_no_pairs_is_given_up_and_faults_are_counted() {
    let useless = "{\"text\": \"t\"}\n";
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), useless.repeat(2 * ImportReport::LISTED)).unwrap();
    let error = read(file.path(), &Options::default()).unwrap_err();
    assert!(
        error.to_string().contains("none of its first 10000 records can be used; line 1: there is no field"),
        "{error}"
    );
    let pair = "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\"}\n";
    let report = import_text(format!("{pair}{}", useless.repeat(ImportReport::LISTED + 5)));
    assert_eq!((report.pairs.len(), report.faults.len(), report.more_faults), (1, ImportReport::LISTED, 5));
}

#[cfg(target_os = "linux")]
#[test]
fn dl9_devices_and_pipes_are_read_with_an_end() {
    let read = |path: &Path| read(path, &Options::default());
    for device in ["/dev/zero", "/dev/urandom"] {
        let error = read(Path::new(device)).unwrap_err().to_string();
        // Random bytes may begin as an archive does, once in ten thousand times.
        assert!(device == "/dev/urandom" || error.contains("binary data"), "{error}");
        let error = formats::read_references(Path::new(device)).unwrap_err().to_string();
        assert!(error.contains("not a file"), "{error}");
        assert!(formats::read_texts(Path::new(device)).is_err());
    }
    assert_eq!(read(Path::new("/dev/null")).unwrap().records, 0);
    let error = read(Path::new("/tmp")).unwrap_err().to_string();
    assert!(error.contains("is a folder. Name a file in it"), "{error}");
    // A pipe is as good as a file.
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let record = "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\"}\n";
    std::thread::scope(|scope| {
        scope.spawn(|| fs::write(&pipe, record.repeat(3000)).unwrap());
        assert_eq!(read(&pipe).unwrap().pairs.len(), 3000);
    });
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
    for (start, words) in
        [(&b"PAR1...."[..], "it breaks off"), (b"\x1F\x8B\x08", "packed in it breaks off"), (b"BZh91AY&SY", "bzip2")]
    {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), start).unwrap();
        let refused = read(file.path(), &Options::default());
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
    let nowhere = PathBuf::from("there/is/no/such.jsonl");
    let refused = read(&nowhere, &Options::default());
    assert!(refused.unwrap_err().to_string().contains("such.jsonl"));
}

#[test]
fn a_long_import_reports_and_can_be_stopped() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let line = "{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"b\"}\n";
    fs::write(file.path(), line.repeat(2000)).unwrap();
    let mut reader = Reader::open(file.path(), &Options::default()).unwrap();
    let mut told = vec![reader.progress()];
    while let Some(pair) = reader.next() {
        pair.unwrap();
        told.push(reader.progress());
    }
    assert!(told.len() == 2001 && told.is_sorted_by_key(|at| at.bytes));
    assert!(
        (1..2000).contains(&told.iter().filter(|at| at.bytes == told[1000].bytes).count()),
        "it is told on the way"
    );
    let last = told.last().unwrap();
    assert_eq!((last.bytes, last.pairs), (last.total_bytes, 2000));

    let mut stopped = Reader::open(file.path(), &Options::default()).unwrap();
    assert_eq!(stopped.by_ref().take(500).count(), 500);
    assert!((500..1500).contains(&stopped.into_report().records));
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
