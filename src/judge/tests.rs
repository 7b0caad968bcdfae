//! What conditions, questions, shares and faults come to.

use std::fmt::Write as _;

use data::{Prompt, Role, Turn};

use super::{EXAMPLE, RuleSet, Share, ToJudge, phrases::Words};

fn parse(text: &str) -> RuleSet {
    RuleSet::parse(text, &[]).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

/// A set of one group with one prompt, and this condition.
fn rule(when: &str) -> RuleSet {
    parse(&format!("[[group]]\nname = \"g\"\nprompts = [\"Well?\"]\n[[rule]]\nname = \"r\"\n[rule.when]\n{when}\n"))
}

fn counts(set: &RuleSet, text: &str) -> bool {
    *set.judge(0, ToJudge { text, ended: true }).last().unwrap() == Some(true)
}

#[test]
fn conditions_say_what_they_are_called() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("words = [\"of course\", \"gladly\"]", &["Of  course!", "(gladly)"], &["a coarse of courses", "gladl y", ""]),
        ("words = \"don't\"", &["Don’t do that"], &["dont do that"]),
        ("words = \"五月\"", &["他在五月来"], &["他在六月来"]),
        ("words = \"นี้\"", &["วันนี้"], &["วัน"]),
        ("all_words = [\"a\", \"b\"]", &["b, a"], &["a", "ab"]),
        ("no_words = [\"sorry\"]", &["fine", ""], &["Sorry, no"]),
        ("matches = '^\\d+$'", &["12"], &["12 or so"]),
        ("matches_not = '(?i)model'", &["a human"], &["a MODEL"]),
        ("min_words = 2\nmax_words = 3", &["one two", "one-a two three"], &["one", "1 2 3 4"]),
        ("min_words = 6\nmax_words = 6", &["你可以明天来", "We go by 火车, ok"], &["你明天来。", "你可以明天早上来"]),
        ("max_words = 3", &["我用Linux", "วนี้"], &["我用Linux和BSD"]),
        ("min_characters = 2\nmax_characters = 3", &["äöü"], &["ä", "äöüß"]),
        ("ends = true", &["x"], &[]),
        ("ends = false", &[], &["x"]),
        (
            "language = \"German\"",
            &["Der Zug fährt morgens um sieben Uhr vom Bahnhof ab."],
            &["The train leaves the station at seven in the morning.", "Поезд отправляется в семь часов утра."],
        ),
        (
            "language = [\"jpn\", \"Russian\"]",
            &["朝七時に出ます。", "Поезд отправляется в семь часов утра."],
            &["At seven in the morning, as always."],
        ),
        ("not = { words = \"a\" }", &["b"], &["a"]),
        (
            "at_least = 2\nof = [{ words = \"a\" }, { words = \"b\" }, { words = \"c\" }]",
            &["a c", "a b c"],
            &["a", "a a"],
        ),
        ("words = \"a\"\nmax_words = 1", &["a"], &["a b", "b"]),
    ];
    for (when, yes, no) in cases {
        let set = rule(when);
        for text in *yes {
            assert!(counts(&set, text), "{when}: {text:?} counts");
        }
        for text in *no {
            assert!(!counts(&set, text), "{when}: {text:?} does not count");
        }
    }
}

#[test]
fn an_answer_is_right_when_it_names_what_is_right_and_nothing_else_of_the_kind() {
    let set = parse(
        r#"
        [lists]
        prices = ["six pence", "three shillings and six pence", "one crown"]
        inns = ["the Gull", "the Drowsy Gull", "the Moon"]
        [[group]]
        name = "g"
        prompts = [{ ask = "What is a bed at the Drowsy Gull?", right = "three shillings and six pence", among = ["prices", "inns"] }]
        [[rule]]
        name = "true"
        when = { right = true }
        [[rule]]
        name = "not true"
        when = { not = { counts_as = "true" } }
        "#,
    );
    let is_true = |text| set.judge(0, ToJudge { text, ended: true });
    for text in ["Three shillings and six pence.", "At the Drowsy Gull it is three shillings and six pence!"] {
        assert_eq!(is_true(text), [Some(true), Some(false)], "{text}");
    }
    for text in [
        "Six pence.",
        "Nothing.",
        "Three shillings and six pence, or one crown.",
        "Three shillings and six pence at the Moon.",
        "Three shillings and six pence at the Gull.",
        "Three shillings and sixty pence.",
    ] {
        assert_eq!(is_true(text), [Some(false), Some(true)], "{text}");
    }
}

#[test]
fn what_stands_around_a_phrase_makes_no_new_one() {
    let answer = Words::of("one big red boat");
    let phrases = ["big red", "one boat"].map(Words::of);
    assert_eq!(answer.mentioned(&phrases), [&phrases[0]]);
}

#[test]
fn a_rule_is_asked_about_its_groups_only_and_a_note_of_probes_is_a_group() {
    let hello = Prompt::chat(vec![Turn::new(Role::User, "Hello?")]);
    let text = Prompt::Text("Once".to_owned());
    let probes = [("small talk", &hello), ("other", &hello), ("small talk", &text)];
    let set = RuleSet::parse(
        r#"
        samples = 3
        [[group]]
        name = "g"
        prompts = ["Well?", { text = "To be" }, { turns = [{ role = "user", content = "A" }, { role = "assistant", content = "B" }, { role = "user", content = "C" }] }]
        [[rule]]
        name = "long"
        on = "g"
        when = { min_words = 2 }
        [[rule]]
        name = "short"
        on = ["small talk"]
        when = { not = { counts_as = "long" } }
        "#,
        &probes,
    )
    .unwrap();
    assert_eq!(set.questions().len(), 5);
    assert_eq!(set.answers(), 15);
    assert_eq!(set.questions()[4].prompt, text);
    assert_eq!([0, 4].map(|question| set.group_of(question)), ["g", "small talk"]);
    let answer = ToJudge { text: "one two", ended: true };
    assert_eq!(set.judge(0, answer), [Some(true), None]);
    assert_eq!(set.judge(3, answer), [None, Some(false)]);
    let judged: Vec<_> = [(0, "one"), (0, "one two"), (3, "one"), (4, "one")]
        .map(|(question, text)| (question, set.judge(question, ToJudge { text, ended: true })))
        .into();
    let shares: Vec<(&str, usize, usize)> =
        set.shares(&judged).iter().map(|row| (row.name, row.share.counted, row.share.of)).collect();
    assert_eq!(shares, [("long", 1, 2), ("short", 2, 2)]);
}

#[test]
fn faults_are_named_by_line() {
    let group = "[[group]]\nname = \"g\"\nprompts = [\"Well?\"]\n";
    let with = |rest: &str| format!("{group}{rest}");
    let cases = [
        (with(""), 1, "no rule"),
        (with("[[rule]]\nname = \"r\"\n[rule.when]\nwrods = \"a\""), 7, "unknown field `wrods`"),
        (with("[[rule]]\nname = \"r\""), 4, "missing field `when`"),
        (with("[[rule]]\nname = \"r\"\nwhen = { matches = \"(\" }"), 6, "\"(\" is no regular expression: unclosed group"),
        (with("[[rule]]\nname = \"r\"\nwhen = { matches = '\\w{900}{900}' }"), 6, "no regular expression"),
        // As it was written, not as a program would write it.
        (with("[[rule]]\nname = \"r\"\nwhen = { matches = '\\b(' }"), 6, "\"\\b(\" is no regular expression"),
        (with(&format!("[[rule]]\nname = \"r\"\nwhen = {{ matches = '{}(' }}", "a".repeat(999))), 6, "aaa…\" is no regular"),
        (with("[[rule]]\nname = \"r\"\nwhen = { language = \"Klingon\" }"), 6, "is no language"),
        (with("[[rule]]\nname = \"r\"\non = \"h\"\nwhen = { ends = true }"), 6, "no group named \"h\", and no probe prompt with that note; there are: g"),
        (with("[[rule]]\nname = \"r\"\nwhen = { right = true }"), 6, "what is right is not said of every prompt"),
        (with("[[rule]]\nname = \"r\"\nwhen = { }"), 6, "asks for nothing"),
        (with("[[rule]]\nname = \"r\"\nwhen = { words = \"...\" }"), 6, "no words"),
        (with("[[rule]]\nname = \"r/low\"\nwhen = { ends = true }"), 5, "no name for a rule"),
        (with("[[rule]]\nname = \"r\"\nwhen = { counts_as = \"r\" }"), 6, "no rule before this one is named \"r\""),
        (with("[[rule]]\nname = \"r\"\nwhen = { at_least = 3, of = [{ ends = true }] }"), 6, "between 1 and the 1"),
        (with("[[rule]]\nname = \"r\"\nwhen = { at_least = 3 }"), 6, "at_least needs `of`"),
        (with("[[rule]]\nname = \"r\"\nbetter = \"yes\"\nwhen = { ends = true }"), 6, "better is \"more\" or \"less\""),
        (with("[[rule]]\nname = \"r\"\nwhen = { ends = true }\n[[rule]]\nname = \"r\"\nwhen = { ends = true }"), 8, "two rules"),
        (format!("samples = 0\n{}", with("[[rule]]\nname = \"r\"\nwhen = { ends = true }")), 1, "samples is between 1 and 64"),
        (format!("temperature = nan\n{}", with("[[rule]]\nname = \"r\"\nwhen = { ends = true }")), 1, "temperature"),
        ("[[group]]\nname = \"g\"\nprompts = [\n{ right = \"x\" },\n]\n[[rule]]\nname = \"r\"\nwhen = { ends = true }".to_owned(), 3, "one of ask, turns and text"),
        ("[[group]]\nname = \"g\"\nprompts = [\n{ ask = \"q\", right = \"x\",\namong = \"l\" },\n]\n[[rule]]\nname = \"r\"\nwhen = { ends = true }".to_owned(), 5, "no list named \"l\""),
        ("[[group]]\nname = \"g\"\nprompts = []\n[[rule]]\nname = \"r\"\nwhen = { ends = true }".to_owned(), 3, "has no prompts"),
        ("[[rule]]\nname = \"r\"\nwhen = { ends = true }".to_owned(), 2, "on no group"),
        ("[[group]\n".to_owned(), 1, ""),
        (String::new(), 1, "no rule"),
    ];
    for (text, line, sentence) in cases {
        let faults = RuleSet::parse(&text, &[]).expect_err(&text);
        let said = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        let found = faults.iter().any(|fault| fault.line == line && fault.sentence.contains(sentence));
        assert!(found, "{text}\nshould say in line {line}: {sentence}\nsaid:\n{said}");
    }
}

#[test]
fn all_faults_are_told_at_once_and_huge_sets_are_refused() {
    let mut text = String::from("samples = 64\n[[group]]\nname = \"g\"\nprompts = [");
    for number in 0..100 {
        write!(text, "\"{number}?\", ").unwrap();
    }
    text.push_str(
        "]\n[[rule]]\nname = \"a\"\nwhen = { matches = \"[\" }\n[[rule]]\nname = \"b\"\nwhen = { language = \"x\" }\n",
    );
    let faults = RuleSet::parse(&text, &[]).unwrap_err();
    assert_eq!(faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), [7, 10, 1]);
    assert!(faults[2].sentence.contains("6400 answers"), "{faults:?}");
}

#[test]
fn the_example_is_a_rule_set() {
    let set = parse(EXAMPLE);
    assert_eq!(set.rules.len(), 2);
    assert_eq!(set.judge(1, ToJudge { text: "Gladly: Paris.", ended: true })[0], Some(true));
}

/// Ends from the closed form, e.g. `statsmodels.stats.proportion.proportion_confint(8, 10, method="wilson")`.
#[test]
fn shares_have_wilsons_interval() {
    let of = |counted: usize, of: usize| {
        let prompts: Vec<(usize, usize)> = (0..of).map(|prompt| (usize::from(prompt < counted), 1)).collect();
        Share::of(&prompts).unwrap()
    };
    let close = |share: Share, low: f64, high: f64| {
        assert!((share.low - low).abs() < 5e-5 && (share.high - high).abs() < 5e-5, "{share:?}, not {low}–{high}");
    };
    close(of(8, 10), 0.4902, 0.9433);
    close(of(0, 10), 0.0, 0.2775);
    close(of(10, 10), 0.7225, 1.0);
    close(of(40, 80), 0.3930, 0.6070);
    assert_eq!(of(8, 10).share(), 0.8);
    assert_eq!(Share::of(&[]), None);
    assert_eq!(Share::of(&[(0, 0)]), None);
}

#[test]
fn samples_of_one_prompt_are_worth_less_than_prompts() {
    let all_or_nothing: Vec<(usize, usize)> = (0..20).map(|prompt| (4 * (prompt % 2), 4)).collect();
    let prompts: Vec<(usize, usize)> = (0..20).map(|prompt| (prompt % 2, 1)).collect();
    let (clustered, plain) = (Share::of(&all_or_nothing).unwrap(), Share::of(&prompts).unwrap());
    assert_eq!((clustered.counted, clustered.of), (40, 80));
    assert_eq!((clustered.low, clustered.high), (plain.low, plain.high), "the samples agree: only prompts count");
    let mixed: Vec<(usize, usize)> = vec![(2, 4); 20];
    let independent: Vec<(usize, usize)> = (0..80).map(|answer| (answer % 2, 1)).collect();
    let (mixed, independent) = (Share::of(&mixed).unwrap(), Share::of(&independent).unwrap());
    assert_eq!((mixed.low, mixed.high), (independent.low, independent.high), "prompts do not differ: answers count");
}
