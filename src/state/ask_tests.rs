//! The ask box: what is asked of whom, what comes back, what becomes of it.

use super::*;

fn asked() -> (Ask, Vec<ToAsk>) {
    let mut ask = Ask { prompt: Prompt::Text("when?".to_owned()), ..Ask::default() };
    ask.columns[1].source = AnswerSource::Run { run: RunId(3), step: Some(40) };
    let mut id = 10;
    let questions = ask.start(
        Path::new("/base"),
        || {
            id += 1;
            RequestId(id)
        },
        |run| format!("run {}", run.0),
        |_| None,
    );
    (ask, questions)
}

fn done(request: u64, text: &str) -> Event {
    Event::Generated {
        request: RequestId(request),
        answer: Generated {
            prompt_ids: vec![1],
            ids: vec![2, 3],
            text: text.to_owned(),
            stopped_by: StoppedBy::Eos,
            passed_over: Vec::new(),
            tokens_per_sec: 41.6,
            prompt_tokens_per_sec: 100.0,
        },
    }
}

#[test]
fn both_columns_are_asked_the_same() {
    let (mut ask, questions) = asked();
    assert_eq!(questions.len(), 2);
    assert_eq!(questions[0].prompt, questions[1].prompt);
    assert_eq!(questions[0].options, questions[1].options);
    assert_ne!(questions[0].request, questions[1].request);
    assert_eq!(ask.obstacle(), Some("An answer is being written"));
    let none = ask.start(Path::new("/base"), || RequestId(99), |_| String::new(), |_| None);
    assert!(none.is_empty(), "a second start waits for the first");
}

#[test]
fn g20_equal_weights_get_seeds_of_their_own() {
    let base = Path::new("/base");
    let newest = |run: RunId| (run == RunId(3)).then_some(40);
    let run = |step| AnswerSource::Run { run: RunId(3), step };
    let guest = |folder: &str| Guest { name: "guest".to_owned(), folder: folder.into(), adapter: None };
    for (left, right, folder, same) in [
        (AnswerSource::Base, AnswerSource::Base, "/other", true),
        (run(Some(40)), run(Some(40)), "/other", true),
        (run(None), run(Some(40)), "/other", true),
        (AnswerSource::Base, AnswerSource::Guest, "/base", true),
        (AnswerSource::Base, AnswerSource::Guest, "/other", false),
        (run(None), run(Some(20)), "/other", false),
        (AnswerSource::Base, run(None), "/other", false),
    ] {
        let mut ask = Ask { prompt: Prompt::Text("when?".to_owned()), ..Ask::default() };
        ask.guest = Some(guest(folder));
        ask.drawing.set.seed = 7;
        (ask.columns[0].source, ask.columns[1].source) = (left, right);
        assert_eq!(ask.same_weights(base, newest), same, "{left:?} {right:?}");
        let mut id = 0;
        let mut next = || {
            id += 1;
            RequestId(id)
        };
        let seeds = |questions: &[ToAsk]| questions.iter().map(|it| it.options.seed).collect::<Vec<u64>>();
        let asked = ask.start(base, &mut next, |_| String::new(), newest);
        assert_eq!(seeds(&asked), [7, 7 + u64::from(same)]);
        let mut alone = Ask { two: false, prompt: Prompt::Text("when?".to_owned()), ..Ask::default() };
        alone.drawing.set.seed = 7;
        assert!(!alone.same_weights(base, newest), "one answer has nothing to differ from");
        assert_eq!(seeds(&alone.start(base, &mut next, |_| String::new(), newest)), [7]);
    }
}

#[test]
fn tokens_go_where_they_belong() {
    let (mut ask, _) = asked();
    let token = |request, text: &str| Event::Token { request: RequestId(request), text: text.to_owned() };
    assert!(ask.receive(&token(12, "at "), 0));
    assert!(ask.receive(&token(12, "nine"), 250));
    assert!(!ask.receive(&token(7, "stale"), 0));
    assert_eq!(ask.columns[1].text, "at nine");
    assert_eq!(ask.columns[0].text, "");
    assert_eq!(ask.columns[0].status, Status::Waiting);
    assert_eq!(ask.columns[1].progress(1250).unwrap(), "2 tokens…");
    for _ in 0..8 {
        ask.receive(&token(12, "."), 1000);
    }
    let progress = ask.columns[1].progress(1000).unwrap();
    assert_eq!(progress, "10 tokens at 9 tokens/s…");
    ask.receive(&done(12, "at nine"), 0);
    assert_eq!(ask.columns[1].outcome().unwrap(), "2 tokens at 42 tokens/s, the model ended its turn");
    assert!(ask.busy());
}

#[test]
fn in_a_talk_each_side_goes_on_with_its_own() {
    let mut ask = Ask { talk: true, ..Ask::default() };
    ask.columns[1].source = AnswerSource::Run { run: RunId(3), step: Some(40) };
    let mut id = 0;
    let mut say = |ask: &mut Ask, words: &str| {
        ask.prompt = Prompt::chat(vec![Turn::new(Role::User, words)]);
        let next = || {
            id += 1;
            RequestId(id)
        };
        ask.start(Path::new("/base"), next, |run| format!("run {}", run.0), |_| None)
    };
    let words = |question: &ToAsk| -> Vec<String> {
        let Prompt::Chat(chat) = &question.prompt else { panic!("a talk is a chat") };
        chat.turns.iter().map(|turn| turn.content.clone()).collect()
    };
    assert_eq!(say(&mut ask, "when?").len(), 2);
    assert!(is_blank(&ask.prompt), "there is room for what is said next");
    ask.receive(&done(1, "at nine"), 0);
    ask.receive(&done(2, "at ten"), 0);
    assert_eq!(ask.cannot_prefer(), None, "the first answers are to the same words");
    let second = say(&mut ask, "sure?");
    assert_eq!(words(&second[0]), ["when?", "at nine", "sure?"]);
    assert_eq!(words(&second[1]), ["when?", "at ten", "sure?"]);
    assert_eq!(second[0].options.seed, second[1].options.seed);
    ask.receive(&Event::Failed { request: RequestId(3), error: "gone".to_owned() }, 0);
    ask.receive(&done(4, "quite"), 0);
    let third = say(&mut ask, "thanks");
    assert_eq!(words(&third[0]), ["when?", "at nine", "thanks"], "what was not answered is not part of it");
    assert_eq!(words(&third[1]), ["when?", "at ten", "sure?", "quite", "thanks"]);
    ask.receive(&done(5, "a"), 0);
    ask.receive(&done(6, "b"), 0);
    assert!(ask.cannot_prefer().unwrap().contains("went different ways"));
    ask.begin_anew();
    assert!(!ask.is_talking());
    assert_eq!(words(&say(&mut ask, "again")[0]), ["again"]);
    ask.begin_anew();
    ask.prompt = Prompt::Text("once upon".to_owned());
    assert!(ask.obstacle().unwrap().contains("make the prompt a chat"));
}

#[test]
fn stop_reaches_only_what_is_still_written() {
    let (mut ask, questions) = asked();
    ask.receive(&done(11, "x"), 0);
    ask.stop();
    assert!(!questions[0].control.stopping());
    assert!(questions[1].control.stopping());
}

#[test]
fn a_preference_keeps_what_was_asked_not_what_the_box_says_now() {
    let (mut ask, _) = asked();
    assert_eq!(ask.cannot_prefer(), Some("Two finished answers are needed"));
    ask.receive(&done(11, "late"), 0);
    ask.receive(&done(12, "early"), 0);
    ask.prompt = Prompt::Text("another".to_owned());
    ask.columns[1].source = AnswerSource::Base;
    let pair = ask.prefer(Side::Right, 77).unwrap();
    assert_eq!(pair.prompt, Prompt::Text("when?".to_owned()));
    assert_eq!(crate::drafts::sides(&pair), Some([1, 0]));
    assert_eq!(pair.answers[0].origin, Origin::Model("base model".to_owned()));
    assert_eq!(pair.answers[1].origin, Origin::Model("run 3 at step 40".to_owned()));
    assert_eq!(pair.verdict.unwrap().at_ms, 77);
}

#[test]
fn equal_answers_make_no_pair() {
    let (mut ask, _) = asked();
    ask.receive(&done(11, "same"), 0);
    ask.receive(&done(12, "same"), 0);
    assert_eq!(ask.prefer(Side::Left, 0), None);
}

#[test]
fn a_failure_is_shown_where_it_happened() {
    let (mut ask, _) = asked();
    ask.receive(&Event::Failed { request: RequestId(11), error: "the model folder is gone".to_owned() }, 0);
    assert_eq!(ask.columns[0].status, Status::Failed("the model folder is gone".to_owned()));
    ask.refuse(RequestId(12), "the engine is busy");
    assert!(!ask.busy());
}

#[test]
fn a_side_may_have_less_or_more_of_what_was_trained() {
    let mut ask = Ask { prompt: Prompt::chat(vec![Turn::new(Role::User, "when?")]), ..Ask::default() };
    for column in &mut ask.columns {
        column.source = AnswerSource::Run { run: RunId(3), step: Some(40) };
    }
    assert!(ask.same_weights(Path::new("base"), |_| None));
    ask.columns[1].strength = 150;
    assert!(!ask.same_weights(Path::new("base"), |_| None), "other weights, one seed");
    let mut next = 0;
    let questions = ask.start(
        Path::new("base"),
        || {
            next += 1;
            RequestId(next)
        },
        |_| "MPO".to_owned(),
        |_| None,
    );
    assert_eq!(questions.iter().map(|question| question.scaled).collect::<Vec<_>>(), [None, Some(150)]);
    assert_eq!(questions[0].options.seed, questions[1].options.seed);
    let name = |side: usize| ask.columns[side].asked.as_ref().map(|(.., name)| name.clone()).unwrap();
    assert_eq!((name(0).as_str(), name(1).as_str()), ("MPO at step 40", "MPO at step 40, strength 150 %"));
    ask.columns[1].source = AnswerSource::Base;
    assert_eq!(ask.columns[1].scaled(), None, "a model as it is has no strength");
}
