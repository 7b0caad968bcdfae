//! Preference files as they are written, and that they come back the same.

use nudge::{
    data::{Answer, Choice, Origin, Pair, PairId, Prompt, Role, Source, Split, Strength, Turn, Verdict},
    formats::{FormatError, write},
};
use proptest::prelude::*;

use crate::formats::import_text;

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
            verdict: choice.map(|choice| Verdict {
                choice,
                who: "local".to_owned(),
                at_ms: 1,
                took_ms: Some(2),
                shown_left: None,
            }),
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
    let written = write::to_stream(&mut file, &mut each).unwrap();
    (String::from_utf8(file).unwrap(), written)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

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
        write::to_path(&path, replace, &mut each)
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
    assert!(nothing.sentence().starts_with("Nothing was written"), "{}", nothing.sentence());
    write(&pairs, true).unwrap();
    // One kind takes the name as it is.
    let one = write(&pairs[..1], false).unwrap();
    assert_eq!(one.sentence(), format!("Wrote 1 pair to {}", path.display()));
    assert_eq!(file("pairs.jsonl").lines().count(), 1);
}
