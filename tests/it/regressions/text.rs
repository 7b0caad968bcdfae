//! Tokenizers, chat templates, messages. What is right is what Transformers 5.23 makes of the same folder; its answers
//! are kept in `tests/fixtures/tokens.json` and `templates/idioms.json`.

use std::{fs, path::Path};

use nudge::{
    data::{Answer, Flaw, Origin, Prompt, Role, Turn},
    engine::protocol::{Event, Outcome, PreflightReport, Request, RequestId},
    formats::{Format, FormatError, write},
    text::{CHATML_TEMPLATE, Clock, Codec, Conversation, Limits, TextError},
};
use serde_json::{Value as Json, json};

use crate::{
    formats::{Import, import_text},
    text_folders::folder,
    toy::{self, Toy},
};

fn fixture(name: &str) -> Json {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The same, with whole numbers of any size.
fn fixture_of_integers(name: &str) -> Json {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    nudge::data::integers::read(&fs::read_to_string(path).unwrap()).unwrap()
}

fn ids(value: &Json) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn r1_r2_r8_every_place_and_class_gives_the_ids_of_transformers() {
    let mut wrong = Vec::new();
    for case in fixture("tokens.json").as_array().unwrap() {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in case["files"].as_object().unwrap() {
            fs::write(dir.path().join(name), content.to_string()).unwrap();
        }
        let codec = Codec::load(dir.path()).unwrap();
        for text in case["texts"].as_array().unwrap() {
            let said = text["text"].as_str().unwrap();
            let (plain, whole) = (ids(&text["ids"]), ids(&text["whole"]));
            if codec.encode(said) != plain {
                wrong.push(format!("{} {said:?}: {:?}, right {plain:?}", case["name"], codec.encode(said)));
            }
            // A BOS that the text spells out is not written twice here.
            let doubled = plain.first().is_some_and(|first| whole.starts_with(&[*first, *first]));
            if !doubled && codec.encode_text(said) != whole {
                wrong.push(format!("{} {said:?}: {:?}, right {whole:?}", case["name"], codec.encode_text(said)));
            }
        }
        for id in ids(&case["special"]) {
            if !codec.is_special(id) {
                wrong.push(format!("{}: {id} is special", case["name"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The words of large tokenizers that old Mistral folders have, split right where their settings ask for it.
#[test]
fn mistrals_flag_mends_its_splitter_as_in_transformers() {
    let merges = ["H i", "T h", "Th e", "Hi The", "1 2", "A B", "/ Ċ"];
    let letters = ["H", "i", "T", "h", "e", "A", "B", "C", "/", ".", "1", "2", "Ġ", "Ċ"];
    let mut words: Vec<String> = letters.map(str::to_owned).to_vec();
    words.extend(merges.map(|pair| pair.replace(' ', "")));
    words.extend((0..100_001).map(|n| format!("x{n}")));
    let vocab: serde_json::Map<String, Json> = words.into_iter().zip(0..).map(|(word, id)| (word, id.into())).collect();
    let bytes = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    let wrong = json!({
        "type": "Split", "pattern": {"Regex": r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+"},
        "behavior": "Isolated", "invert": false
    });
    let (mended, filed, pieces): (&[u32], &[u32], &[u32]) =
        (&[14, 16, 10, 11, 12, 19, 20], &[17, 18, 12, 19, 20], &[17, 18, 19, 8]);
    for (splitter, unmended) in [
        (json!({"type": "Sequence", "pretokenizers": [wrong, bytes]}), filed),
        (bytes, filed),
        (json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false}), pieces),
    ] {
        let model = json!({"type": "BPE", "vocab": vocab, "merges": merges});
        let tokenizer =
            json!({"version": "1.0", "added_tokens": [], "pre_tokenizer": splitter, "model": model}).to_string();
        let codec = |flag: bool, config: Json| {
            let settings = json!({"tokenizer_class": "PreTrainedTokenizerFast", "fix_mistral_regex": flag});
            let dir = folder(&settings, &[("config.json", &config.to_string())]);
            fs::write(dir.path().join("tokenizer.json"), &tokenizer).unwrap();
            Codec::load(dir.path()).unwrap()
        };
        for (flag, config, right) in [
            (true, json!({"model_type": "mistral", "transformers_version": "4.50.0"}), mended),
            (true, json!({"model_type": "mistral", "transformers_version": "5.1.0"}), unmended),
            (true, json!({"model_type": "llama"}), unmended),
            (false, json!({"model_type": "mistral"}), unmended),
        ] {
            assert_eq!(codec(flag, config.clone()).encode("HiThe12 AB/\n"), right, "{flag} {config}");
        }
        let mistral = json!({"model_type": "mistral"});
        assert_ne!(codec(true, mistral.clone()).identity(), codec(false, mistral).identity());
    }
}

#[test]
fn a_class_that_would_be_made_anew_in_an_unknown_way_is_refused_by_name() {
    for (class, other) in [("T5TokenizerFast", "T5Tokenizer"), ("BertTokenizer", "BertTokenizer")] {
        let dir = folder(&json!({"tokenizer_class": class}), &[("config.json", r#"{"model_type": "llama"}"#)]);
        let sentence = Codec::load(dir.path()).unwrap_err().to_string();
        assert!(sentence.contains(other) && sentence.contains("PreTrainedTokenizerFast"), "{sentence}");
    }
    // Transformers takes the file as it is whatever a Mistral folder calls it.
    let dir = folder(&json!({"tokenizer_class": "BertTokenizer"}), &[("config.json", r#"{"model_type": "mistral"}"#)]);
    Codec::load(dir.path()).unwrap();
    // Of words with scores a class of merges cannot be made.
    let dir = folder(&json!({"tokenizer_class": "LlamaTokenizer"}), &[]);
    let scored =
        json!({"version": "1.0", "model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["a", -1.0]]}});
    fs::write(dir.path().join("tokenizer.json"), scored.to_string()).unwrap();
    let sentence = Codec::load(dir.path()).unwrap_err().to_string();
    assert!(sentence.contains("PreTrainedTokenizerFast") && sentence.contains("no BPE"), "{sentence}");
}

#[test]
fn r5_idioms_of_jinja_are_rendered_as_by_transformers() {
    let file = fixture("templates/idioms.json");
    let mut wrong = Vec::new();
    for case in file["cases"].as_array().unwrap() {
        let mut given = case.clone();
        given["messages"] = file["messages"].clone();
        let conversation: Conversation = serde_json::from_value(given).unwrap();
        let source = case["source"].as_str().unwrap();
        let folder = folder(&json!({}), &[("chat_template.jinja", source)]);
        let rendered = Codec::load(folder.path()).and_then(|codec| codec.render_conversation(&conversation, false));
        match rendered {
            Ok(text) if text == case["text"] => {}
            Ok(text) => wrong.push(format!("{source}\n  {text:?}\n  {}", case["text"])),
            Err(error) => wrong.push(format!("{source}\n  {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every line comes out as Transformers renders it, or is refused in a sentence: never as another text. A line that
/// Transformers renders and that is refused here is exotic, and so is one that it refuses too.
#[test]
fn r5_expressions_come_out_as_by_transformers_or_are_refused() {
    let file = fixture_of_integers("templates/expressions.json");
    let given: Conversation = serde_json::from_value(file.clone()).unwrap();
    let settings = json!({"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"});
    let folder = folder(&settings, &[]);
    let mut wrong = Vec::new();
    let mut refused = 0;
    for case in file["cases"].as_array().unwrap() {
        let source = case[0].as_str().unwrap();
        fs::write(folder.path().join("chat_template.jinja"), source).unwrap();
        let rendered = Codec::load(folder.path()).and_then(|codec| codec.render_conversation(&given, true));
        match (rendered, case.get(1)) {
            (Ok(text), Some(right)) if text == *right => {}
            (Ok(text), right) => wrong.push(format!("{source}\n  {text:?}\n  {right:?}")),
            (Err(_), None) => refused += 1,
            (Err(error), Some(right)) => wrong.push(format!("{source}\n  {error}\n  {right}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(refused > 100);
}

#[test]
fn r5_what_is_refused_is_named() {
    let rendered = |source: &str| {
        let folder = folder(&json!({}), &[("chat_template.jinja", source)]);
        let turns = [Turn::new(Role::User, "Hi")];
        Codec::load(folder.path()).and_then(|codec| codec.render(&turns, true)).map_err(|error| error.to_string())
    };
    for (source, named) in [
        ("{% macro m() %}{{ varargs }}{% endmacro %}", "varargs"),
        ("{{ ('x' | e) + '<' }}", "escaped"),
        ("{% set x = 'a' | safe %}{{ x | trim }}", "escaped"),
        ("{{ messages | map(attribute='role') }}", "list"),
        ("{{ messages[0].content.strip }}", "not called"),
        (r"{{ '\N{BULLET}' }}", "by their name"),
        (r"{{ '\ud83d' }}", "no letter"),
        ("{{ 'x' | urlize }}", "urlize"),
        ("{% for x in none %}{% endfor %}", "not iterable"),
        ("{{ {'a': 1}.items() | tojson }}", "needs list"),
        ("{{ '{:9999999999}'.format(1) }}", "too wide"),
        ("{{ '{:{}}'.format(1, 99999) }}", "too wide"),
    ] {
        let sentence = rendered(source).unwrap_err();
        assert!(sentence.contains(named), "{source}: {sentence}");
    }
    // An array of a tool may not say what is in it: Jinja then finds the method `items` in its place.
    let shape =
        "{% set s = {'type': 'array'} %}{{ 'y' if s['items'] else 'n' }}{{ s['items'].type }}{{ s.items is defined }}";
    assert_eq!(rendered(shape).unwrap(), "yTrue");
    // A generator is true though nothing comes of it, and empty when it was gone through.
    let once =
        "{% set g = messages | selectattr('role', 'equalto', 'user') %}{{ g | list | length }}{{ g | list | length }}";
    assert_eq!(rendered(once).unwrap(), "10");
    assert_eq!(rendered("{{ 'y' if messages | selectattr('x') else 'n' }}").unwrap(), "y");
}

/// Prints tool calls and reasoning, tools and a variable.
const TELLING: &str = "{% if tools %}[{{ tools[0].name }}]{% endif %}{% if enable_thinking is defined %}<{{ enable_thinking }}>{% endif %}{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{{ m.content }}{% for c in m.tool_calls or [] %}[CALL {{ c.function.name }}]{% endfor %}{% if m.reasoning_content %}(R {{ m.reasoning_content }}){% endif %}{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

fn import(record: &Json) -> Import {
    import_text(record.to_string())
}

#[test]
fn r4_dm1_tool_calls_and_reasoning_reach_the_template_and_come_back_out() {
    let call = json!([{"type": "function", "function": {"name": "zeit", "arguments": {}}}]);
    let record = json!({
        "prompt": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "x", "tool_calls": call},
            {"role": "tool", "content": "c", "name": "zeit"},
        ],
        "chosen": [{"role": "assistant", "content": "a", "reasoning_content": "why"}],
        "rejected": [{"role": "assistant", "content": null, "tool_calls": call}],
        "tools": [{"name": "f"}],
        "chat_template_kwargs": {"enable_thinking": false},
    });
    let report = import(&record);
    assert_eq!((report.faults.len(), report.notes.len()), (0, 0));
    let pair = &report.pairs[0];
    let folder = folder(&json!({"eos_token": "<|im_end|>", "chat_template": TELLING}), &[]);
    let codec = Codec::load(folder.path()).unwrap();
    let encoded = codec.encode_answers(&pair.prompt, &pair.answers, Limits::NONE).unwrap();
    let prompt = codec.decode_all(&encoded.prefix);
    assert!(prompt.starts_with("[f]<False><|im_start|>user\nHi<|im_end|>"), "{prompt}");
    assert!(prompt.contains("x[CALL zeit]<|im_end|>"), "{prompt}");
    let answers: Vec<String> = encoded.answers.iter().map(|answer| codec.decode_all(&answer.ids)).collect();
    assert_eq!(answers, ["a(R why)<|im_end|>", "[CALL zeit]<|im_end|>"]);

    // What is stored and what is exported holds the same.
    let stored = serde_json::to_value(pair).unwrap();
    assert_eq!(serde_json::from_value::<nudge::data::Pair>(stored).unwrap(), *pair);
    let mut out = Vec::new();
    let mut each =
        |see: &mut dyn FnMut(&nudge::data::Pair) -> Result<(), FormatError>| report.pairs.iter().try_for_each(see);
    write::to_stream(Format::AUTO, &mut out, &mut each).unwrap();
    let mut written: Json = serde_json::from_slice(&out).unwrap();
    let content = &mut written["rejected"][0];
    assert!(content.get("content").is_none());
    content["content"] = Json::Null;
    for key in ["prompt", "chosen", "rejected", "tools", "chat_template_kwargs"] {
        assert_eq!(written[key], record[key], "{key}");
    }
}

#[test]
fn dl21_roles_are_the_templates_and_other_media_are_refused() {
    let yes = json!([{"role": "assistant", "content": "yes"}]);
    let no = json!([{"role": "assistant", "content": "no"}]);
    let developer = json!({"prompt": [{"role": "developer", "content": "Be brief."}], "chosen": yes, "rejected": no});
    let report = import(&developer);
    let Prompt::Chat(chat) = &report.pairs[0].prompt else { panic!("{report:?}") };
    assert_eq!(chat[0].role.name(), "developer");
    for column in ["videos", "audio"] {
        let mut record = developer.clone();
        record[column] = json!(["x"]);
        assert!(import(&record).faults[0].reason.contains("only text can be trained on"));
    }
    let text = json!({"prompt": "p", "chosen": "a", "rejected": "b", "tools": [{"name": "f"}]});
    assert!(import(&text).notes[0].reason.contains("\"tools\" is not used"));
}

#[test]
fn r7_the_end_of_a_turn_need_not_be_special_by_its_flag() {
    for extra in [json!(["<|im_start|>", "<|im_end|>"]), json!([])] {
        let settings = json!({"chat_template": CHATML_TEMPLATE, "extra_special_tokens": extra});
        let folder = folder(&settings, &[]);
        let path = folder.path().join("tokenizer.json");
        let mut tokenizer: Json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for token in tokenizer["added_tokens"].as_array_mut().unwrap() {
            token["special"] = json!(false);
        }
        fs::write(&path, tokenizer.to_string()).unwrap();
        let codec = Codec::load(folder.path()).unwrap();
        let prompt = Prompt::chat(vec![Turn::new(Role::User, "Hi")]);
        let encoded = codec.encode_answers(&prompt, &["yes"], Limits::NONE).unwrap();
        assert_eq!(codec.decode_all(&encoded.answers[0].ids), "yes<|im_end|>");
        assert!(encoded.answers[0].ended && codec.stop_ids().contains(&2));
    }
}

#[test]
fn r9_the_template_is_the_one_transformers_takes() {
    let render = |settings: &Json, others: &[(&str, &str)], tools: bool| -> Result<String, TextError> {
        let folder = folder(settings, &[]);
        for (name, content) in others {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let mut conversation: Conversation =
            serde_json::from_value(json!({"messages": [{"role": "user", "content": "x"}]})).unwrap();
        conversation.given.tools = tools.then(Vec::new);
        Codec::load(folder.path())?.render_conversation(&conversation, false)
    };
    let written = json!({"chat_template": "CFG:{{ messages[0].content }}"});
    let older = ("chat_template.json", r#"{"chat_template": "JSON:{{ messages[0].content }}"}"#);
    let tool = ("additional_chat_templates/tool_use.jinja", "TOOL:{{ messages[0].content }}");
    assert_eq!(render(&written, &[older], false).unwrap(), "CFG:x");
    assert_eq!(render(&json!({}), &[older], false).unwrap(), "JSON:x");
    assert_eq!(render(&written, &[tool], true).unwrap(), "TOOL:x");
    assert_eq!(render(&written, &[tool], false).unwrap(), "CFG:x");
    let single = json!({"chat_template": [{"name": "rag", "template": "RAG:x"}]});
    assert!(render(&single, &[], false).unwrap_err().to_string().contains("none is called default"));
    // A broken template for tools says so when there are tools, and not before.
    let broken = ("additional_chat_templates/tool_use.jinja", "{% if %}");
    assert_eq!(render(&written, &[broken], false).unwrap(), "CFG:x");
    assert!(render(&written, &[broken], true).unwrap_err().to_string().contains("tool_use.jinja"));
}

#[test]
fn dated_prompts_say_the_day_they_are_told() {
    let dated = json!({"chat_template": "{{ strftime_now('%d %b %Y %H') }}{% macro m() %}{{ strftime_now('%Y') }}{% endmacro %}{{ m() }}"});
    let folder = folder(&dated, &[]);
    let codec = Codec::load(folder.path()).unwrap().at(Clock::of_ms(1795910398000));
    assert_eq!(codec.render(&[Turn::new(Role::User, "x")], true).unwrap(), "28 Nov 2026 232026");
}

#[cfg(unix)]
#[test]
fn dangling_settings_cost_a_sentence() {
    for name in ["chat_template.jinja", "tokenizer_config.json"] {
        let folder = folder(&json!({}), &[]);
        let path = folder.path().join(name);
        fs::remove_file(&path).ok();
        std::os::unix::fs::symlink("nowhere", &path).unwrap();
        let error = Codec::load(folder.path()).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("not there"), "{error}");
    }
}

#[test]
fn dm8_a_format_as_wide_as_a_house_is_refused() {
    for source in [
        "{{ '{:>10000000000}'.format(1) }}",
        "{{ '{:.1000000000f}'.format(1) }}",
        "{{ '{:{}}'.format(1, 3000000000) }}",
        "{{ 'a'|indent(3000000000) }}",
        "{{ '%3000000000d' % 1 }}",
    ] {
        let folder = folder(&json!({}), &[("chat_template.jinja", source)]);
        let rendered = Codec::load(folder.path()).and_then(|codec| codec.render(&[Turn::new(Role::User, "x")], true));
        assert!(matches!(rendered, Err(TextError::Template(_))), "{source}: {rendered:?}");
    }
}

#[test]
fn answers_of_nothing_but_a_tool_call_are_no_empty_answers() {
    let extras = json!({"tool_calls": [{"function": {"name": "f"}}]}).as_object().unwrap().clone();
    let call = Answer { extras: extras.into(), ..Answer::new("", Origin::Human) };
    assert!(!call.is_empty());
    assert!(Answer::new(" ", Origin::Human).is_empty());
}

/// What the pre-flight of a toy says whose model folder holds these files too.
fn preflight(files: &[(&str, &str)], pairs: Vec<nudge::data::Pair>) -> PreflightReport {
    let toy = Toy::new();
    for (name, content) in files {
        fs::write(toy.model.join(name), content).unwrap();
    }
    toy::add(&mut toy.open(), pairs);
    let engine = toy::start();
    let request = Request::Preflight {
        request: RequestId(1),
        project: toy.project.clone(),
        config: Box::new(toy::config()),
        yields: false,
    };
    engine.requests.send(request).unwrap();
    let report = toy::wait_for(&engine, |event| match event {
        Event::Preflight { report, .. } => Some(report.clone()),
        Event::Failed { error, .. } => panic!("{error}"),
        _ => None,
    });
    engine.shut_down();
    *report
}

#[test]
fn a_token_that_the_model_has_no_row_for_sets_its_pair_aside() {
    let settings = json!({"bos_token": "<s>", "eos_token": "</s>", "extra_special_tokens": ["<|new|>"]}).to_string();
    let pair = toy::labelled("Is it new?", "<|new|> sir", "no way");
    let report = preflight(&[("tokenizer_config.json", &settings)], vec![pair]);
    assert_eq!(report.train_pairs + report.eval_pairs, 20);
    let [(_, reason)] = report.set_aside.as_slice() else { panic!("{:?}", report.set_aside) };
    assert!(reason.contains("<|new|>") && reason.contains("id 512"), "{reason}");
}

#[test]
fn border_not_told_a_prompt_that_is_rewritten_is_a_finding() {
    let template = "{{ bos_token }}{% for m in messages %}[{{ m.role }}{% if loop.last %}!{% endif %}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[assistant!]{% endif %}";
    let report = preflight(&[("chat_template.jinja", template)], Vec::new());
    let finding = report.findings.iter().find(|finding| finding.flaw == Flaw::PromptRewritten).unwrap();
    assert_eq!(finding.pairs.len(), 20);
}

#[test]
fn border_not_told_an_answer_that_begins_inside_a_token_is_a_finding() {
    // The prompt ends in a letter that the tokenizer joins with what follows.
    let template = "{% for m in messages %}{{ m.content }}{% if m.role == 'assistant' %}</s>{% endif %}{% endfor %}";
    let report = preflight(&[("chat_template.jinja", template)], vec![toy::labelled("Is it th", "e sea", "e land")]);
    let finding = report.findings.iter().find(|finding| finding.flaw == Flaw::BeginsInside).unwrap();
    assert!(finding.text.contains("in the middle of a token"), "{}", finding.text);
}

#[test]
fn a_token_that_the_model_has_no_row_for_sets_its_text_aside_and_no_other() {
    let toy = Toy::new();
    let settings = json!({"bos_token": "<s>", "eos_token": "</s>", "extra_special_tokens": ["<|new|>"]}).to_string();
    fs::write(toy.model.join("tokenizer_config.json"), settings).unwrap();
    let mut project = toy.open();
    let texts: Vec<String> = (0..6).map(|n| format!("In the year {n} a boat came home.")).collect();
    project.set_retention(&[texts.as_slice(), &["A <|new|> boat.".to_owned()]].concat()).unwrap();
    let mut config = toy::config();
    config.train.steps = Some(1);
    let (run, outcome) = toy.train(&config);
    assert_eq!(outcome, Outcome::Completed);
    let log = toy.open().log(run).unwrap();
    let told = log.iter().find(|line| line.text.contains("retention text set aside")).unwrap();
    assert!(told.text.starts_with("1 retention text ") && told.text.contains("<|new|>"), "{}", told.text);
}
