//! Preference files as they are written, and that they come back the same.

use nudge::{
    data::{
        Answer, Choice, HoldOut, Origin, Pair, PairId, Prompt, PromptKey, Role, Source, Split, SplitRule, Strength,
        Turn, Verdict,
    },
    formats::{
        Format, FormatError, Options,
        write::{self, WritePlan},
    },
};
use proptest::prelude::*;

use crate::formats::{self, import_text};

/// A pair that has everything a file can carry.
fn any_pair(chat: bool) -> impl Strategy<Value = Pair> {
    let text = || "\\PC{0,12}|[ -~\\n\\t\\r\u{0}\u{2028}é🦀]{0,20}";
    let role = prop::sample::select(vec![Role::System, Role::User, Role::Assistant, Role::Tool]);
    let turns = prop::collection::vec((role, text()).prop_map(|(role, content)| Turn::new(role, content)), 1..4);
    let prompt =
        (turns, text()).prop_map(move |(turns, text)| if chat { Prompt::chat(turns) } else { Prompt::Text(text) });
    let choice = prop_oneof![
        4 => (prop::sample::select(vec![Strength::Slightly, Strength::Clearly, Strength::Strongly]), any::<bool>())
            .prop_map(|(strength, flip)| Some(Choice::Better {
                chosen: usize::from(flip),
                rejected: usize::from(!flip),
                strength,
            })),
        1 => prop::sample::select(vec![None, Some(Choice::Tie), Some(Choice::BothBad), Some(Choice::Skip)]),
    ];
    let weights = (-2.0_f32..2.0, 0.001_f32..=1.0, any::<bool>());
    let split = prop::sample::select(vec![Split::Auto, Split::Train, Split::Eval]);
    let tags = prop::collection::vec("[a-z ]{0,3}[a-z]", 0..3);
    let id = prop::option::of("[a-z0-9-]{1,8}");
    (prompt, text(), text(), choice, weights, split, tags, text(), id).prop_map(
        |(prompt, one, other, choice, (reward, behaviour, plain), split, tags, note, id)| Pair {
            id: PairId(7),
            prompt,
            answers: [one, other].map(|text| Answer::new(text, Origin::Human)).to_vec(),
            verdict: choice.map(|choice| Verdict { took_ms: Some(2), ..Verdict::local(choice, 1) }),
            tags,
            split,
            note,
            reward: if plain { 1.0 } else { reward },
            behaviour: if plain { 1.0 } else { behaviour },
            source: id.map(|id| Source { file: "before.jsonl".to_owned(), line: 1, id: Some(id) }),
        },
    )
}

/// Everything into one text, and how many of it were undecided.
fn written(pairs: &[Pair]) -> (String, write::Written) {
    let mut file = Vec::new();
    let mut each = |see: &mut dyn FnMut(&Pair) -> Result<(), FormatError>| pairs.iter().try_for_each(see);
    let written = write::to_stream(Format::AUTO, &mut file, &mut each).unwrap();
    (String::from_utf8(file).unwrap(), written)
}

/// Writes pairs as a plan says, the file's name having this ending, and reads all files again.
fn there_and_back(pairs: &[Pair], format: Format, ending: &str) -> (write::Written, Vec<Pair>) {
    let dir = tempfile::tempdir().unwrap();
    let plan = WritePlan { format, ..WritePlan::new(&dir.path().join(format!("pairs.{ending}"))) };
    let mut each = |see: &mut dyn FnMut(&Pair) -> Result<(), FormatError>| pairs.iter().try_for_each(see);
    let written = write::to_path(&plan, &mut each).unwrap();
    let mut all = Vec::new();
    for (path, _) in &written.files {
        let report = formats::read(path, &Options::default()).unwrap();
        assert_eq!(report.faults, [], "{} {ending}: {:?}", format.name, std::fs::read_to_string(path));
        all.extend(report.pairs);
    }
    (written, all)
}

/// A pair as a file knows it that has the chosen answer first, and none but texts beside it.
fn as_written(pair: &Pair, columns: bool) -> Pair {
    let (chosen, rejected) = pair.sides().unwrap();
    let Some(Choice::Better { strength, .. }) = pair.choice() else { unreachable!() };
    let plain = |answer: &Answer| Answer { origin: Origin::Imported, ..answer.clone() };
    let choice =
        Choice::Better { chosen: 0, rejected: 1, strength: if columns { strength } else { Strength::Strongly } };
    let bare = Pair {
        answers: vec![plain(chosen), plain(rejected)],
        verdict: Some(Verdict::imported(choice, 0)),
        ..Pair::new(PairId::NEW, pair.prompt.clone(), &[])
    };
    if columns { Pair { id: PairId::NEW, answers: bare.answers, verdict: bare.verdict, ..pair.clone() } } else { bare }
}

/// What of a pair does not depend on when and from which file it came.
fn timeless(mut pair: Pair) -> Pair {
    if let Some(verdict) = &mut pair.verdict {
        verdict.at_ms = 0;
    }
    pair.source =
        pair.source.and_then(|source| source.id).map(|id| Source { file: String::new(), line: 0, id: Some(id) });
    pair
}

#[test]
fn an_order_goes_out_in_our_own_shape_and_comes_back() {
    let choice = Choice::Better { chosen: 2, rejected: 1, strength: Strength::Clearly };
    let mut pair = Pair::new(PairId(3), Prompt::Text("p".to_owned()), &["a", "b", "c", "d"]);
    pair.verdict = Some(Verdict { order: vec![2, 0, 3, 1], ..Verdict::local(choice, 5) });
    let nudge = write::formats().find(|format| format.name == "nudge").unwrap();
    let (_, back) = there_and_back(std::slice::from_ref(&pair), nudge, "jsonl");
    assert_eq!((&back[0].verdict, back[0].worse()), (&pair.verdict, vec![1, 0, 3]));
}

#[test]
fn a_conversation_goes_out_in_every_shape_and_comes_back() {
    let turns = [(Role::System, "Be brief."), (Role::User, "1+1?"), (Role::Assistant, "2"), (Role::User, "And 2+2?")];
    let chat = Prompt::chat(turns.map(|(role, text)| Turn::new(role, text)).to_vec());
    let better = Choice::Better { chosen: 1, rejected: 0, strength: Strength::Clearly };
    let pair = |prompt: Prompt| Pair {
        verdict: Some(Verdict::local(better, 5)),
        tags: vec!["a, b".to_owned()],
        reward: 0.1,
        ..Pair::new(PairId(3), prompt, &["five", "four"])
    };
    let dialogue = "\n\nHuman: 2+2?\n\nAssistant:".to_owned();
    let pairs = [
        pair(chat),
        pair(Prompt::Text("2+2 is ".to_owned())),
        pair(Prompt::Text(dialogue)),
        pair(Prompt::chat(vec![Turn::new(Role::User, "2+2?")])),
    ];
    let fit = |name: &str| match name {
        "alpaca" | "sharegpt" | "axolotl" | "torchtune" | "openai" => vec![0, 3],
        "nemo-rl" => vec![3],
        "hh" => vec![2],
        _ => vec![0, 1, 2, 3],
    };
    for format in write::formats() {
        let name = format.name;
        for ending in ["jsonl", "json", "csv", "tsv", "jsonl.gz", "csv.gz"] {
            if name == "nudge" && !ending.starts_with("json") {
                continue;
            }
            // A cell of a table holds a text, or messages; OpenAI's input is neither.
            if name == "openai" && (ending.starts_with("csv") || ending == "tsv") {
                continue;
            }
            let (written, back) = there_and_back(&pairs, format, ending);
            let fit = fit(name);
            assert_eq!((written.pairs(), written.unfit), (fit.len(), 4 - fit.len()), "{name} {ending}");
            for at in fit {
                let before = match name {
                    "nudge" => Pair { id: PairId::NEW, ..pairs[at].clone() },
                    name => as_written(&pairs[at], name != "openai"),
                };
                let same = |after: &Pair| {
                    let after = timeless(after.clone());
                    let source = before.source.clone();
                    after
                        == Pair {
                            source: if name == "nudge" { after.source.clone() } else { source },
                            ..timeless(before.clone())
                        }
                };
                assert!(back.iter().any(same), "{name} {ending}: {before:#?}\n{back:#?}");
            }
        }
    }
}

#[test]
fn parquet_has_types_and_groups_of_rows() {
    let chat = |n: usize| {
        format!(
            "{{\"prompt\": [{{\"role\": \"user\", \"content\": \"{n} {}\"}}], \"chosen\": \"a\", \"rejected\": \"b\", \
             \"tags\": [\"x\"], \"reward\": {}}}\n",
            "é".repeat(40_000),
            n % 2
        )
    };
    let pairs = import_text((0..500).map(chat).collect::<String>()).pairs;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pairs.parquet");
    let plan = WritePlan::new(&path);
    let mut passes = 0;
    let mut each = |see: &mut dyn FnMut(&Pair) -> Result<(), FormatError>| {
        passes += 1;
        pairs.iter().try_for_each(see)
    };
    assert_eq!(write::to_path(&plan, &mut each).unwrap().pairs(), 500);
    assert_eq!(passes, plan.passes());
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.len() < 8 << 20, "packed, {} bytes", bytes.len());
    let back = formats::read(&path, &Options::default()).unwrap();
    assert_eq!((back.faults.len(), back.container.as_str()), (0, "Parquet"));
    for (before, after) in pairs.iter().zip(back.pairs) {
        assert_eq!(timeless(after), timeless(as_written(before, true)));
    }
    let gzip = WritePlan::new(&dir.path().join("pairs.parquet.gz"));
    let refused = write::to_path(&gzip, &mut |_: &mut dyn FnMut(&Pair) -> Result<(), FormatError>| Ok(())).unwrap_err();
    assert!(refused.to_string().contains("is not written under that name"), "{refused}");
}

#[test]
fn llama_factory_is_told_what_the_columns_are() {
    let dir = tempfile::tempdir().unwrap();
    let info = dir.path().join("dataset_info.json");
    std::fs::write(&info, "{\"theirs\": {\"file_name\": \"x.json\"}}").unwrap();
    let chat = "{\"prompt\": [{\"role\": \"user\", \"content\": \"Hi\"}], \"chosen\": \"a\", \"rejected\": \"b\"}\n";
    let pairs = import_text(chat).pairs;
    let mut each = |see: &mut dyn FnMut(&Pair) -> Result<(), FormatError>| pairs.iter().try_for_each(see);
    for format in ["sharegpt", "alpaca"] {
        let plan =
            WritePlan { format: format.parse().unwrap(), ..WritePlan::new(&dir.path().join(format!("{format}.json"))) };
        let written = write::to_path(&plan, &mut each).unwrap();
        assert!(written.sentence().contains("; described in "), "{}", written.sentence());
    }
    let all: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&info).unwrap()).unwrap();
    assert_eq!(all["theirs"]["file_name"], "x.json");
    assert_eq!(all["alpaca"]["columns"]["prompt"], "instruction");
    assert_eq!((&all["sharegpt"]["formatting"], &all["sharegpt"]["ranking"]), (&"sharegpt".into(), &true.into()));
    std::fs::write(&info, "broken").unwrap();
    let plan = WritePlan { format: "alpaca".parse().unwrap(), ..WritePlan::new(&dir.path().join("more.json")) };
    assert!(write::to_path(&plan, &mut each).unwrap_err().to_string().contains("it is not JSON"));
}

#[test]
fn an_answer_that_says_the_prompt_again_is_an_answer() {
    let chat = "{\"prompt\": [{\"role\": \"assistant\", \"content\": \"ha\"}], \"chosen\": [{\"role\": \"assistant\", \"content\": \"ha\"}], \"rejected\": [{\"role\": \"assistant\", \"content\": \"ha\"}]}\n";
    let report = import_text(chat);
    assert_eq!(report.faults, []);
    assert_eq!(report.pairs[0].answers[0].text, "ha");
    let (file, _) = written(&report.pairs);
    assert_eq!(import_text(&file).pairs[0].prompt, report.pairs[0].prompt);
}

#[test]
fn both_sides_of_the_hold_out_are_files_of_their_own() {
    let record = |n: usize, split: &str| {
        format!(
            "{{\"prompt\": \"question {}\", \"chosen\": \"a{n}\", \"rejected\": \"b\", \"split\": \"{split}\"}}\n",
            n / 2
        )
    };
    let text: String = (0..40).map(|n| record(n, if n == 4 { "eval" } else { "auto" })).collect();
    let pairs = import_text(text).pairs;
    let dir = tempfile::tempdir().unwrap();
    let rule = SplitRule { eval_fraction: 0.3, seed: 1 };
    let plan = WritePlan { splits: Some(rule), ..WritePlan::new(&dir.path().join("p.jsonl.gz")) };
    let mut each = |see: &mut dyn FnMut(&Pair) -> Result<(), FormatError>| pairs.iter().try_for_each(see);
    let written = write::to_path(&plan, &mut each).unwrap();
    let names: Vec<_> = written.files.iter().map(|(path, _)| path.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, ["p.train.jsonl.gz", "p.eval.jsonl.gz"]);
    let hold_out = HoldOut::of(rule, &pairs);
    for ((path, _), side) in written.files.iter().zip([false, true]) {
        let expected = pairs.iter().filter(|pair| hold_out.holds_out(PromptKey::of(&pair.prompt)) == side).collect();
        let back = formats::read(path, &Options::default()).unwrap().pairs;
        let texts = |pairs: Vec<&Pair>| pairs.iter().map(|pair| pair.answers[0].text.clone()).collect::<Vec<_>>();
        assert_eq!(texts(back.iter().collect()), texts(expected));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Our own record loses nothing, whatever was said of a pair.
    #[test]
    fn everything_of_a_pair_comes_back_from_our_own_record(
        pairs in prop::collection::vec(any::<bool>().prop_flat_map(any_pair), 1..8)
    ) {
        let (written, back) = there_and_back(&pairs, "nudge".parse().unwrap(), "jsonl");
        prop_assert_eq!((written.pairs(), back.len()), (pairs.len(), pairs.len()));
        for (before, mut after) in pairs.into_iter().zip(back) {
            after.id = before.id;
            if before.source.is_none() {
                after.source = None;
            }
            prop_assert_eq!(after, before);
        }
    }

    /// Tables hold what lines hold.
    #[test]
    fn tables_lose_nothing_either(
        pairs in prop::collection::vec(any::<bool>().prop_flat_map(any_pair), 1..8),
        ending in prop::sample::select(vec!["csv", "tsv", "json", "jsonl.gz", "parquet"]),
    ) {
        // A file of few letters, some of which are none, is no text to anybody.
        let no_text = |pair: &Pair| serde_json::to_string(pair).unwrap().contains("\\u0000");
        let decided: Vec<Pair> = pairs.into_iter().filter(|pair| pair.is_decided() && !no_text(pair)).collect();
        let (_, back) = there_and_back(&decided, Format::AUTO, ending);
        prop_assert_eq!(back.len(), decided.len());
        let (texts, chats): (Vec<Pair>, Vec<Pair>) =
            decided.into_iter().partition(|pair| matches!(pair.prompt, Prompt::Text(_)));
        for (before, after) in texts.into_iter().chain(chats).zip(back) {
            prop_assert_eq!(timeless(after), timeless(as_written(&before, true)));
        }
    }

    #[test]
    fn what_is_written_comes_back(
        pairs in prop::collection::vec(any::<bool>().prop_flat_map(any_pair), 0..8)
    ) {
        let (file, written) = written(&pairs);
        let report = import_text(&file);
        prop_assert_eq!(&report.faults, &[]);

        let decided: Vec<&Pair> = pairs
            .iter()
            .filter(|pair| matches!(pair.verdict, Some(Verdict { choice: Choice::Better { .. }, .. })))
            .collect();
        prop_assert_eq!(written.pairs(), decided.len());
        prop_assert_eq!(written.undecided, pairs.len() - decided.len());
        prop_assert_eq!(report.pairs.len(), decided.len());
        for (before, after) in decided.iter().zip(&report.pairs) {
            let Choice::Better { chosen, rejected, strength } = before.verdict.as_ref().unwrap().choice else {
                unreachable!()
            };
            prop_assert_eq!(&after.prompt, &before.prompt);
            prop_assert_eq!(&after.answers[0].text, &before.answers[chosen].text);
            prop_assert_eq!(&after.answers[1].text, &before.answers[rejected].text);
            prop_assert_eq!(
                after.verdict.as_ref().unwrap().choice,
                Choice::Better { chosen: 0, rejected: 1, strength }
            );
            prop_assert_eq!(&after.tags, &before.tags);
            prop_assert_eq!(after.split, before.split);
            prop_assert_eq!(&after.note, &before.note);
            prop_assert_eq!(after.reward, before.reward);
            prop_assert_eq!(after.behaviour, before.behaviour);
            let id = |pair: &Pair| pair.source.as_ref().and_then(|source| source.id.clone());
            prop_assert_eq!(id(after), id(before));
        }
    }
}

#[test]
fn a_written_file_has_the_same_columns_in_every_line() {
    let text = "{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"b\", \"tags\": [\"x\"], \"behaviour\": 0.8}\n{\"prompt\": \"q\", \"chosen\": \"a\", \"rejected\": \"b\"}\n";
    assert_eq!(
        written(&import_text(text).pairs).0,
        "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\",\"behaviour\":0.8,\"tags\":[\"x\"]}\n\
         {\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\",\"behaviour\":1.0,\"tags\":[]}\n"
    );
}

#[test]
fn dl3_a_pair_without_an_id_gets_none() {
    let text = "{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"b\", \"id\": 123456789012345678901234567890}\n{\"prompt\": \"q\", \"chosen\": \"a\", \"rejected\": \"b\"}\n";
    let (file, _) = written(&import_text(text).pairs);
    let mut lines = file.lines();
    assert!(lines.next().unwrap().ends_with("\"id\":\"123456789012345678901234567890\"}"), "{file}");
    assert!(lines.next().unwrap().ends_with("\"id\":null}"), "{file}");
}

#[test]
fn dm7_texts_and_conversations_go_to_a_file_each() {
    let chat = "{\"prompt\": [{\"role\": \"user\", \"content\": \"Hi\"}], \"chosen\": \"a\", \"rejected\": \"b\"}\n";
    let text = "{\"prompt\": \"Hi\", \"chosen\": \"a\", \"rejected\": \"b\", \"tags\": \"x\"}\n";
    let tie =
        "{\"prompt\": \"Hi\", \"chosen\": \"a\", \"rejected\": \"b\", \"score_chosen\": 1, \"score_rejected\": 1}\n";
    let pairs = import_text(format!("{chat}{text}{chat}{tie}")).pairs;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pairs.jsonl");
    let write = |pairs: &[Pair], replace| {
        let mut each = |see: &mut dyn FnMut(&Pair) -> Result<(), FormatError>| pairs.iter().try_for_each(see);
        write::to_path(&WritePlan { replace, ..WritePlan::new(&path) }, &mut each)
    };
    let written = write(&pairs, false).unwrap();
    assert_eq!((written.pairs(), written.undecided), (3, 1));
    let sentence = written.sentence();
    for part in
        ["1 pair with a text prompt to ", "pairs.text.jsonl and 2 conversations to ", "pairs.chat.jsonl", "left out 1"]
    {
        assert!(sentence.contains(part), "{sentence}");
    }
    let file = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert!(!path.exists());
    let line: serde_json::Value = serde_json::from_str(file("pairs.chat.jsonl").lines().next().unwrap()).unwrap();
    assert_eq!(
        line,
        serde_json::json!({
            "prompt": [{"role": "user", "content": "Hi"}],
            "chosen": [{"role": "assistant", "content": "a"}],
            "rejected": [{"role": "assistant", "content": "b"}],
        })
    );
    assert_eq!(file("pairs.text.jsonl"), "{\"prompt\":\"Hi\",\"chosen\":\"a\",\"rejected\":\"b\",\"tags\":[\"x\"]}\n");
    // Neither is replaced unasked; nothing to write replaces nothing.
    assert!(write(&pairs, false).unwrap_err().to_string().contains("text.jsonl is there already"));
    let nothing = write(&pairs[3..], true).unwrap();
    assert_eq!(nothing.sentence(), "Nothing was written, because no pair has a better and a worse answer");
    assert_eq!(write(&[], true).unwrap().sentence(), "Nothing was written, because there is no such pair");
    write(&pairs, true).unwrap();
    // One kind takes the name as it is.
    let one = write(&pairs[..1], false).unwrap();
    assert_eq!(one.sentence(), format!("Wrote 1 pair to {}", path.display()));
    assert_eq!(file("pairs.jsonl").lines().count(), 1);
}
