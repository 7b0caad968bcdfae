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

/// What jinja2 3.1.6 gives, with MarkupSafe 3.0.4.
#[test]
fn filters_and_loops_are_jinjas() {
    for (source, expected) in [
        ("{% for c in 'ab' %}{{ loop.last }}{{ loop.length }}{{ loop.revindex }}{% endfor %}", "False22True21"),
        ("{% for c in 'ab'|reverse if c != 'x' %}{{ c }}{{ loop.last }}{% endfor %}", "bFalseaTrue"),
        ("{{ '<a/b>&\"' | escape | e }}", "&lt;a/b&gt;&amp;&#34;"),
        ("{{ [1, '<'] | e }}", "[1, &#39;&lt;&#39;]"),
        ("{{ '0x1f' | int(base=16) }} {{ '0b11' | int(0, 2) }} {{ '0o17' | int(base=0) }}", "31 3 15"),
        ("{{ '1e400' | int }} {{ 'inf' | int(7) }} {{ '_1' | int(9) }} {{ '-42.9' | int }}", "0 7 9 -42"),
        (
            "{{ '123456789012345678901234567890' | int }} {{ 1e20 | int }}",
            "123456789012345678901234567890 100000000000000000000",
        ),
        ("{{ [1, 'a'] | pprint }} {{ {'b': 1, 'a': (2,)} | pprint }}", "[1, 'a'] {'a': (2,), 'b': 1}"),
        (
            "{{ ('word ' * 17) | pprint }}",
            "('word word word word word word word word word word word word word word word '\n 'word word ')",
        ),
        (
            "{{ {'key': ['x' * 40, 'y' * 40]} | pprint }}",
            "{'key': ['xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',\n         'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy']}",
        ),
        ("{{ '<p>a &amp; <b>b</b>\n c</p><!-- <i> -->&#x41;' | striptags }}", "a & b cA"),
        ("{{ 'a b/ü?' | urlencode }} {{ {'a': 1, 'b c': 'd&'} | urlencode }}", "a%20b/%C3%BC%3F a=1&b+c=d%26"),
        ("{{ 999.5 | filesizeformat }} {{ 123456789 | filesizeformat(true) }}", "999 Bytes 117.7 MiB"),
        (
            "{{ '%r|%s|%d%%' % ([1, 'a'], [1, 'b'], 3.9) }} {{ '%r' | format('x') }} {{ '%c' % 65 }}",
            "[1, 'a']|[1, 'b']|3% 'x' A",
        ),
        (
            "{{ cycler('a', 'b').next() }} {{ [[1, 'a'], [0, 'b']] | sort(attribute=0) }} {{ [missing] }}",
            "a [[0, 'b'], [1, 'a']] [Undefined]",
        ),
    ] {
        match render(source) {
            Ok(text) => assert_eq!(text, expected, "{source}"),
            Err(error) => panic!("{source}: {error}"),
        }
    }
    assert!(render("{{ 'caf&eacute;' | striptags }}").is_err(), "better than a letter that is another");
}

#[test]
fn whole_numbers_keep_their_digits() {
    let message = r#"{"role": "user", "content": "", "id": 123456789012345678901234567890, "n": -18446744073709551616,
        "huge": 1234567890123456789012345678901234567890123}"#;
    let conversation = Conversation { messages: vec![integers::read(message).unwrap()], ..Conversation::default() };
    for (source, expected) in [
        (
            "{{ m.id }} {{ m.id + 1 }} {{ m.id % 7 }} {{ '%d' % m.id }}",
            "123456789012345678901234567890 123456789012345678901234567891 0 123456789012345678901234567890",
        ),
        (
            "{{ [m.n, m.huge] }} {{ m.huge }}",
            "[-18446744073709551616, 1234567890123456789012345678901234567890123] 1234567890123456789012345678901234567890123",
        ),
        (
            "{{ [m.id, m.huge] | tojson }}",
            "[123456789012345678901234567890, 1234567890123456789012345678901234567890123]",
        ),
        (
            "{{ m.id is integer }}{{ m.huge is number }}{{ m.huge | int == m.huge }}{{ m.id is float }}{{ true is integer }}",
            "TrueTrueTrueFalseFalse",
        ),
    ] {
        let template = Template::compile(&format!("{{% set m = messages[0] %}}{source}")).unwrap();
        let text = template.render(&conversation, &Specials::default(), false, Clock::Now).unwrap();
        assert_eq!(text, expected, "{source}");
    }
}
