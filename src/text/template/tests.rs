//! What templates may ask of Jinja, one idiom at a time.

use super::*;
use ::data::{Chat, Role, Turn};

fn render(source: &str) -> Result<String, TextError> {
    let chat: Chat = vec![Turn::new(Role::User, "a < b & \"c\" é\n")].into();
    Template::compile(source)?.render(&Conversation::from(&chat), &Specials::default(), true, Clock::Now)
}

#[test]
fn white_space_is_jinjas_with_trimmed_blocks() {
    let source = "{% for m in messages %}\n    {{ m.role }}\n  {% endfor %}\nend\n";
    // trim_blocks eats the newline after a tag, lstrip_blocks the blanks before it, and the last newline goes.
    assert_eq!(render(source).unwrap(), "    user\nend");
}

#[test]
fn json_is_pythons() {
    let json = |expression: &str| render(&format!("{{{{ {expression} }}}}")).unwrap();
    assert_eq!(json("messages[0].content | tojson"), r#""a < b & \"c\" é\n""#);
    assert_eq!(json("{'b': [1, 2.5, none, true], 'a': {}} | tojson"), r#"{"b": [1, 2.5, null, true], "a": {}}"#);
    assert_eq!(
        json("{'b': [1], 'a': 'é🙂'} | tojson(indent=2, sort_keys=true, ensure_ascii=true)"),
        "{\n  \"a\": \"\\u00e9\\ud83d\\ude42\",\n  \"b\": [\n    1\n  ]\n}"
    );
    assert_eq!(json("[1, {'a': 2}] | tojson(separators=(',', ':'))"), r#"[1,{"a":2}]"#);
}

#[test]
fn python_words_and_methods_work() {
    assert_eq!(render("{{ none }} {{ true }} {{ 1 == 2 }} {{ missing }}.").unwrap(), "None True False .");
    assert_eq!(render("{{ ' a,b '.strip().split(',')[-1].upper() }}{{ 'ab'.startswith('a') }}").unwrap(), "BTrue");
    assert_eq!(
        render("{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i > 3 %}{% break %}{% endif %}{{ i }}{% endfor %}").unwrap(),
        "013"
    );
    let year = render("{{ strftime_now('%Y') }}").unwrap();
    assert!(year.len() == 4 && year.starts_with('2'), "{year}");
}

#[test]
fn idioms_of_published_templates_work() {
    for (source, expected) in [
        // Llama 3.1
        ("{% if strftime_now is defined %}{% set d = strftime_now('%d %b %Y') %}{% endif %}{{ d | length }}", "11"),
        ("{% if not tools is defined %}a{% endif %}{% if tools is not none %}b{% endif %}{{ bos_token }}c", "c"),
        // Qwen 2.5 and 3
        (
            "{% for m in messages %}{% if m.role == 'user' and not m.tool_calls %}{{ loop.previtem is defined }}{% endif %}{% endfor %}",
            "False",
        ),
        ("{{ messages[::-1][0].content is string }}{{ messages[0].get('name', '-') }}", "True-"),
        // Mistral
        ("{{ messages | selectattr('role', 'equalto', 'user') | list | length }}", "1"),
        ("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}", "1"),
        // Gemma 3
        ("{% if messages[0]['content'] is string %}s{% elif messages[0]['content'] is iterable %}i{% endif %}", "s"),
        ("{{ (messages[0]['content'] | trim)[:5] }}{{ '%s-%d' | format('x', 3) }}", "a < bx-3"),
        // DeepSeek
        (
            "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{{ add_generation_prompt }}",
            "True",
        ),
    ] {
        match render(source) {
            Ok(text) => assert_eq!(text, expected, "{source}"),
            Err(error) => panic!("{source}: {error}"),
        }
    }
}

#[test]
fn a_refusal_keeps_its_words_even_inside_a_macro() {
    let source = "{% macro turn() %}{{ raise_exception('No tools here.') }}{% endmacro %}{{ turn() }}";
    match render(source) {
        Err(TextError::Refused(reason)) => assert_eq!(reason, "No tools here."),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_template_without_end_runs_out_of_fuel() {
    let source = "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}";
    assert!(matches!(render(source), Err(TextError::Template(_))));
}

#[test]
fn a_broken_template_is_reported_with_its_line() {
    let Err(TextError::Template(reason)) = render("ok\n{% if %}") else {
        panic!("compiled");
    };
    assert!(reason.contains('2'), "{reason}");
}

#[test]
fn generation_marks_vanish_and_keep_their_white_space() {
    assert_eq!(render("a \n{%- generation -%}\n b{% endgeneration %}\nc").unwrap(), "abc");
}
