//! Preference files as they are written, and that they come back the same.

use nudge::{
    data::{Answer, Choice, Origin, Pair, PairId, Prompt, Role, Source, Split, Strength, Turn, Verdict},
    formats::trl,
};
use proptest::prelude::*;

use crate::formats::import_text;

/// A pair that has everything a file can carry.
fn any_pair(chat: bool) -> impl Strategy<Value = Pair> {
    let text = || "\\PC{0,12}|[ -~\\n\\t\\r\u{0}\u{2028}é🦀]{0,20}";
    let role = prop::sample::select(vec![Role::System, Role::User, Role::Assistant, Role::Tool]);
    let turns = prop::collection::vec((role, text()).prop_map(|(role, content)| Turn { role, content }), 1..4);
    let prompt =
        (turns, text()).prop_map(move |(turns, text)| if chat { Prompt::Chat(turns) } else { Prompt::Text(text) });
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
            answers: [one, other].map(|text| Answer { text, origin: Origin::Human }).to_vec(),
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_comes_back(
        pairs in any::<bool>().prop_flat_map(|chat| prop::collection::vec(any_pair(chat), 0..8))
    ) {
        let mut file = Vec::new();
        let written = trl::write(&mut file, &pairs).unwrap();
        let report = import_text(&file);
        prop_assert_eq!(&report.faults, &[]);

        let decided: Vec<&Pair> = pairs
            .iter()
            .filter(|pair| matches!(pair.verdict, Some(Verdict { choice: Choice::Better { .. }, .. })))
            .collect();
        prop_assert_eq!(written.written, decided.len());
        prop_assert_eq!(written.undecided, pairs.len() - decided.len());
        prop_assert_eq!(written.other_kind, 0);
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
            let id = |pair: &Pair| {
                let id = pair.source.as_ref().and_then(|source| source.id.clone());
                id.filter(|id| !id.is_empty())
            };
            prop_assert_eq!(id(after), id(before));
        }
    }
}

#[test]
fn a_written_file_has_the_same_columns_in_every_line() {
    let text = "{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"b\", \"tags\": [\"x\"], \"behaviour\": 0.8}\n{\"prompt\": \"q\", \"chosen\": \"a\", \"rejected\": \"b\"}\n";
    let pairs = import_text(text).pairs;
    let mut file = Vec::new();
    trl::write(&mut file, &pairs).unwrap();
    assert_eq!(
        String::from_utf8(file).unwrap(),
        "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\",\"behaviour\":0.8,\"tags\":[\"x\"]}\n\
         {\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\",\"behaviour\":1.0,\"tags\":[]}\n"
    );
}

#[test]
fn texts_and_conversations_are_never_mixed_in_one_file() {
    let chat = "{\"prompt\": [{\"role\": \"user\", \"content\": \"Hi\"}], \"chosen\": \"a\", \"rejected\": \"b\"}\n";
    let text = "{\"prompt\": \"Hi\", \"chosen\": \"a\", \"rejected\": \"b\"}\n";
    let pairs = import_text(format!("{chat}{text}{chat}")).pairs;
    let mut file = Vec::new();
    let written = trl::write(&mut file, &pairs).unwrap();
    assert_eq!((written.written, written.other_kind), (2, 1));
    let line: serde_json::Value = serde_json::from_slice(file.split(|b| *b == b'\n').next().unwrap()).unwrap();
    assert_eq!(
        line,
        serde_json::json!({
            "prompt": [{"role": "user", "content": "Hi"}],
            "chosen": [{"role": "assistant", "content": "a"}],
            "rejected": [{"role": "assistant", "content": "b"}],
        })
    );
    let mut rest = Vec::new();
    assert_eq!(trl::write_kind(&mut rest, &pairs, false).unwrap().written, 1);
}
