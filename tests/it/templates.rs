//! What a chat template makes of a conversation, and what the inspector shows of it.

use std::{fs, path::PathBuf};

use nudge::{
    data::{Flaw, PairFit, Prompt, Role, TextPart, Turn},
    text::{Codec, Conversation, Limits, TextError, train_bpe},
};
use serde_json::Value as Json;

use crate::{
    text::{chat, codec, models},
    text_folders::folder,
};

#[test]
fn the_inspector_shows_every_token_of_the_training_text() {
    for (name, codec, _) in models() {
        let prompt = chat(&[(Role::User, "Où est le café? 🙂")]);
        let answers = ["Là-bas.", "Je ne sais pas 🦀."];
        let encoded = codec.encode_answers(&prompt, &answers, Limits::NONE).unwrap();
        let inspections = codec.inspect(&prompt, &answers, Limits::NONE).answers;
        for (answer, inspection) in encoded.answers.iter().zip(&inspections) {
            let shown = inspection.tokens.iter().map(|token| token.id);
            assert!(shown.eq(encoded.prefix.iter().chain(&answer.ids).copied()), "{name}");
            assert!(inspection.tokens.iter().all(|token| !token.text.is_empty()), "{name}");
            assert_eq!(inspection.scored(), answer.ids.len());
            let last = inspection.tokens.last().unwrap();
            assert!(last.special && inspection.ended, "{name}");
            assert_eq!(inspection.findings, [], "{name}");
        }
    }
}

#[test]
fn parts_and_cuts_are_shown_for_what_they_are() {
    let codec = codec("qwen2_bias");
    let prompt = chat(&[(Role::User, "Where is the library?")]);
    let limits = Limits { max_prompt: 100, max_answer: 4 };
    let answers = ["On the left, behind the old bridge.", "No."];
    let seen = codec.inspect(&prompt, &answers, limits);
    assert_eq!(seen.fate, PairFit::AnswerCut);
    let [long, short] = &seen.answers[..] else {
        panic!("{seen:?}");
    };
    let text_of = |part| -> String {
        let own = long.tokens.iter().filter(|token| token.part == part);
        own.map(|token| token.text.as_str()).collect()
    };
    assert_eq!(text_of(TextPart::Prompt), "Where is the library?");
    assert_eq!(text_of(TextPart::Answer), answers[0]);
    assert!(text_of(TextPart::Template).contains("<|im_start|>user"));
    assert_eq!(long.cut_at, long.scored_from + 4);
    assert!(long.ended && !long.end_trained() && short.end_trained());
    assert_eq!(long.findings[0].flaw, Flaw::Cut);
    // What cannot be trained on is shown all the same.
    let short = Limits { max_prompt: 2, ..limits };
    let seen = codec.inspect(&prompt, &answers, short);
    assert_eq!((seen.fate, seen.answers.len()), (PairFit::PromptTooLong, 2));
    let seen = codec.inspect(&prompt, &["same", "same"], limits);
    assert_eq!((seen.fate, seen.answers.len()), (PairFit::Unusable, 2));
}

#[test]
fn a_doubled_bos_is_found() {
    let codec = codec("llama_mha");
    let bos = codec.decode_all(&[codec.bos().unwrap()]);
    let answers = [" a", " b"];
    let seen = |text: String| {
        let prompt = Prompt::Text(text);
        codec.inspect(&prompt, &answers, Limits::NONE).answers
    };
    assert_eq!(seen(format!("{bos}{bos}Hi"))[0].findings[0].flaw, Flaw::DoubledBos);
    assert_eq!(seen(format!("{bos}Hi"))[0].findings, []);
}

#[test]
fn a_system_turn_without_a_place_stands_in_front_of_the_first_question() {
    let template = |system: &str| {
        format!(
            "{{% for m in messages %}}{{% if m.role == 'system' %}}{system}{{% else %}}[{{{{ m.content }}}}]{{% endif %}}{{% endfor %}}"
        )
    };
    let turns = chat(&[(Role::System, "Be brief."), (Role::User, "Why?")]);
    for (system, expected) in [
        ("{{ raise_exception('No.') }}", "[Be brief.\n\nWhy?]"),
        ("", "[Be brief.\n\nWhy?]"),
        ("<{{ m.content }}>", "<Be brief.>[Why?]"),
    ] {
        let source = template(system);
        let folder = folder(&serde_json::json!({}), &[("chat_template.jinja", &source)]);
        let codec = Codec::load(folder.path()).unwrap();
        let ids = codec.prompt_ids(&turns).unwrap();
        assert_eq!(codec.decode_all(&ids), expected, "{system}");
        let folded = codec.notes(&turns).iter().any(|note| note.flaw == Flaw::SystemFolded);
        assert_eq!(folded, expected.contains("\n\n"), "{system}");
    }
}

#[test]
fn a_model_without_a_template_is_asked_in_plain_style() {
    let folder = folder(&serde_json::json!({"eos_token": "<|endoftext|>"}), &[]);
    let codec = Codec::load(folder.path()).unwrap();
    let prompt = chat(&[(Role::System, "Be brief."), (Role::User, "Why?")]);
    let ids = codec.prompt_ids(&prompt).unwrap();
    assert_eq!(codec.decode_all(&ids), "Be brief.\n\nUser: Why?\n\nAssistant:");
    let encoded = codec.encode_answers(&prompt, &["So."], Limits::NONE).unwrap();
    assert_eq!(codec.decode_all(&encoded.answers[0].ids), " So.<|endoftext|>");
    assert_eq!(codec.notes(&prompt)[0].flaw, Flaw::PlainStyle);

    // As a template it writes its tokens out, however they are spelled.
    let odd = train_bpe(&["the ferry".to_owned()], 300, &["<|endoftext|>", r"<'\n\'>"]).unwrap();
    let settings = serde_json::json!({"eos_token": r"<'\n\'>"});
    let odd_folder = |others: &[(&str, &str)]| {
        let folder = self::folder(&settings, others);
        fs::write(folder.path().join("tokenizer.json"), &odd).unwrap();
        Codec::load(folder.path()).unwrap()
    };
    let plain = odd_folder(&[]);
    let encoded = plain.encode_answers(&prompt, &["So."], Limits::NONE).unwrap();
    assert_eq!(encoded.answers[0].ids.last(), plain.eos().as_ref());
    let written = odd_folder(&[("chat_template.jinja", plain.plain_style().unwrap())]);
    assert_eq!(written.encode_answers(&prompt, &["So."], Limits::NONE).unwrap(), encoded);
}

/// Templates of the idioms that published models use, rendered by Transformers over a grid of conversations.
#[test]
fn templates_are_rendered_as_by_transformers() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/templates");
    let expected: Json = serde_json::from_slice(&fs::read(root.join("expected.json")).unwrap()).unwrap();
    let cases = expected["cases"].as_array().unwrap();
    let (mut name, mut codec) = (String::new(), None);
    let mut refused = 0;
    for case in cases {
        let template = case["template"].as_str().unwrap();
        if name != template {
            let source = fs::read_to_string(root.join(template)).unwrap();
            let folder = folder(&expected["special_tokens"], &[("chat_template.jinja", &source)]);
            codec = Some(Codec::load(folder.path()).unwrap());
            template.clone_into(&mut name);
        }
        let conversation = case["conversation"].as_str().unwrap();
        let given: Conversation = serde_json::from_value(expected["conversations"][conversation].clone()).unwrap();
        let ask = case["add_generation_prompt"].as_bool().unwrap();
        let rendered = codec.as_ref().unwrap().render_conversation(&given, ask);
        if let Some(error) = case.get("error") {
            let sentence = rendered.unwrap_err().to_string();
            assert!(sentence.contains(error.as_str().unwrap()), "{template}, {conversation}: {sentence}");
            refused += 1;
            continue;
        }
        assert_eq!(rendered.unwrap(), case["text"], "{template}, {conversation}, {ask}");
    }
    assert!(cases.len() > 200 && refused > 20 && refused < cases.len() / 3);
}

#[test]
fn templates_that_mean_harm_are_refused_at_once() {
    let set = |value: &str| {
        format!(
            "{{% set ns = namespace(l=[1], s='x') %}}{{% for i in range(90000) %}}{{% set {value} %}}{{% endfor %}}"
        )
    };
    for source in [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}".to_owned(),
        set("ns.s = ns.s ~ ns.s") + "{{ ns.s }}",
        set("ns.l = [ns.l]") + "{{ ns.l | tojson }}",
        set("ns.l = [ns.l]") + "{{ ns.l }}",
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}".to_owned(),
        "{{ 'x' * 100000000000 }}".to_owned(),
        format!("{{{{ {}1 }}}}", "-".repeat(100_000)),
        "x".repeat(2 << 20),
    ] {
        let folder = folder(&serde_json::json!({}), &[("chat_template.jinja", &source)]);
        let turns = [Turn::new(Role::User, "Hi")];
        let rendered = Codec::load(folder.path()).and_then(|codec| codec.render(&turns, true));
        assert!(matches!(rendered, Err(TextError::Template(_))), "{}", &source[..80.min(source.len())]);
    }
}
