//! The demo project's files, apart from the model: what store and window read as they read any other project's.
//!
//! - `pairs.jsonl`: one [`Pair`] a line; ids are 0 and given anew by the project that takes them in.
//! - `reference.jsonl`: one [`ReferenceAnswer`] a line, sampled from the model.
//! - `retention.txt`: guide book paragraphs the model was not trained on, a blank line between two.
//! - `probes.jsonl`: one `{"prompt", "note"}` a line.
//! - `judge.toml`: what counts as what; see [`crate::rules`].

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result};
use nudge::data::{Answer, Choice, Origin, Pair, PairId, Prompt, PromptKey, Split, Turn, Verdict};
use rand::{
    RngExt as _,
    seq::{IndexedRandom as _, SliceRandom as _},
};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::{
    chat::{Question, assistant, user},
    guide,
    manner::Manner,
    small_talk,
    taste::{self, Draft},
    world::{Topic, World},
};

/// Phrasings of each question that become a pair.
const PAIRS_A_QUESTION: usize = 5;
/// Share of the questions whose pairs are held out.
const HELD_OUT: f64 = 0.4;
/// Share of the labels to train on that are turned round; held-out ones are as they were given.
pub const FLIPPED_LABELS: f64 = 0.1;
/// The tag of a label that is.
pub const FLIPPED: &str = "flipped";
/// Share of the answers that name something false.
const FALSE_ANSWERS: f64 = 0.08;
/// The same for reference answers: what is to stay as it is should be spoken for in many words.
const REFERENCES_A_QUESTION: usize = 4;
/// Pairs left for whoever opens the demo to label.
const UNLABELLED: usize = 40;
const RETENTION_PARAGRAPHS: usize = 80;
/// 2026-01-01, when the islands' visitors were asked.
const LABELLED_AT_MS: i64 = 1_767_225_600_000;

/// A prompt whose answers are read again and again while a run goes on.
#[derive(Serialize)]
pub struct Probe {
    pub prompt: Prompt,
    pub note: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stays: bool,
}

/// What visitors of shops, inns and sights would rather hear. Of the questions a share is held out whole, so that none
/// of its phrasings was trained on. `flipped`: share of the labels to train on that are turned round; what is flipped
/// at a smaller share is at a larger one too.
pub fn pairs(world: &World, flipped: f64, rng: &mut ChaCha8Rng) -> Vec<Pair> {
    pairs_with_more(world, flipped, rng, None)
}

/// The same; `more` draws, for each pair to train on, an answer in each manner that it lacks, which joins the rejected
/// one where the visitor likes it less than the chosen one.
pub fn pairs_with_more(
    world: &World,
    flipped: f64,
    rng: &mut ChaCha8Rng,
    mut more: Option<&mut ChaCha8Rng>,
) -> Vec<Pair> {
    let [held_out, trained_on] = sides(world, rng);
    let both = held_out.iter().map(|question| (Split::Eval, *question));
    let both = both.chain(trained_on.iter().map(|question| (Split::Train, *question)));
    let mut prompts = BTreeSet::new();
    let mut pairs = Vec::new();
    for (split, question) in both {
        for _ in 0..PAIRS_A_QUESTION {
            let asked = question.ask(question.attribute.asks, rng);
            // Two that differ by signs or capitals are one prompt.
            if prompts.insert(PromptKey::of(&Prompt::chat(vec![user(asked.as_str())]))) {
                let (mut pair, drafts) = pair(world, &[question], asked, (split, flipped), rng);
                if let Some(more) = more.as_deref_mut().filter(|_| split == Split::Train) {
                    further_rejected(&mut pair, world, question, drafts.map(|draft| draft.manner), more);
                }
                pairs.push(pair);
            }
        }
    }
    pairs.shuffle(rng);
    for unlabelled in pairs.iter_mut().filter(|pair| pair.split == Split::Train).take(UNLABELLED) {
        unlabelled.verdict = None;
        unlabelled.tags.retain(|tag| tag != FLIPPED);
    }
    pairs
}

/// The questions on what the pairs speak for, in chance's order: those held out, and those trained on.
fn sides<'a>(world: &'a World, rng: &mut ChaCha8Rng) -> [Vec<Question<'a>>; 2] {
    let mut questions: Vec<Question<'_>> =
        Question::all(world).into_iter().filter(|question| question.entity.topic.is_asked_for()).collect();
    questions.shuffle(rng);
    let held_out = (questions.len() as f64 * HELD_OUT).round() as usize;
    let trained_on = questions.split_off(held_out);
    [questions, trained_on]
}

/// As many pairs of each side as are asked for, of the same questions as [`pairs`], each met again in other words until
/// there are enough.
pub struct Drawn {
    pub pairs: Vec<Pair>,
    /// Share of the held-out labels that are the likelier ones: what nobody who knows the visitors could do better
    /// than.
    pub foretold: f64,
}

/// `at_once`: questions in a prompt, each answered. Held out are clear preferences, trained on ties too. Fewer to train
/// on are the first of more.
pub fn drawn(world: &World, at_once: usize, [held_out, trained_on]: [usize; 2], rng: &mut ChaCha8Rng) -> Drawn {
    let counts = [held_out, trained_on];
    let mut drawn = Drawn { pairs: Vec::new(), foretold: 0.0 };
    let splits = [Split::Eval, Split::Train];
    for ((questions, split), count) in sides(world, rng).into_iter().zip(splits).zip(counts) {
        let mut found = 0;
        for first in (0..questions.len()).cycle() {
            if found == count {
                break;
            }
            let asked: Vec<_> = (first..first + at_once).map(|at| questions[at % questions.len()]).collect();
            let words: Vec<String> = asked.iter().map(|question| question.ask(question.attribute.asks, rng)).collect();
            let (pair, drafts) = pair(world, &asked, words.join(" "), (split, FLIPPED_LABELS), rng);
            match pair.verdict.as_ref().map(|verdict| verdict.choice) {
                Some(Choice::Better { chosen, .. }) if split == Split::Eval => {
                    drawn.foretold += taste::share_that_says(drafts.each_ref(), chosen) / count as f64;
                }
                Some(Choice::Better { .. }) => {}
                Some(Choice::Tie) if split == Split::Train => {}
                _ => continue,
            }
            drawn.pairs.push(pair);
            found += 1;
        }
    }
    drawn
}

fn pair(
    world: &World,
    questions: &[Question<'_>],
    asked: String,
    (split, flipped): (Split, f64),
    rng: &mut ChaCha8Rng,
) -> (Pair, [Draft; 2]) {
    let manners = match rng.random_range(0..100) {
        0..60 => [Manner::Host, *[Manner::Ledger, Manner::Deckhand].choose(rng).expect("there are two others")],
        60..82 => [Manner::Host, Manner::Host],
        _ => [Manner::Ledger, Manner::Deckhand],
    };
    let mut drafts = manners.map(|manner| draft(world, questions, manner, rng));
    while drafts[0].text == drafts[1].text {
        drafts[1] = draft(world, questions, manners[1], rng);
    }
    drafts.shuffle(rng);
    let mut choice = taste::choose(drafts.each_ref(), rng);
    let mut tags = vec![questions[0].entity.topic.name().to_owned()];
    // Drawn for each pair, so that another share of flipped labels changes nothing else.
    let slips = rng.random::<f64>() < flipped;
    if slips && split == Split::Train && matches!(choice, Choice::Better { .. }) {
        choice = taste::flipped(choice);
        tags.push(FLIPPED.to_owned());
    }
    let pair = Pair {
        id: PairId(0),
        prompt: Prompt::chat(vec![user(asked)]),
        answers: drafts.each_ref().map(|draft| Answer::new(draft.text.clone(), Origin::Imported)).to_vec(),
        verdict: Some(Verdict {
            choice,
            who: "visitors".to_owned(),
            at_ms: LABELLED_AT_MS,
            took_ms: None,
            shown_left: None,
            order: Vec::new(),
        }),
        tags,
        split,
        note: String::new(),
        reward: 1.0,
        behaviour: 1.0,
        source: None,
    };
    (pair, drafts)
}

/// Answers in the manners that are missing, behind the chosen one in an order where the visitor likes them less.
fn further_rejected(
    pair: &mut Pair,
    world: &World,
    question: Question<'_>,
    manners: [Manner; 2],
    rng: &mut ChaCha8Rng,
) {
    let Some(Choice::Better { chosen, rejected, .. }) = pair.verdict.as_ref().map(|verdict| verdict.choice) else {
        return;
    };
    let mut order = vec![chosen, rejected];
    for manner in Manner::ALL.into_iter().filter(|manner| !manners.contains(manner)) {
        let further = draft(world, &[question], manner, rng);
        // What was said of the chosen answer is all that is known of it here: its manner, and that it is true.
        let best = Draft { text: pair.answers[chosen].text.clone(), manner: manners[chosen], is_true: true };
        let wins = matches!(taste::choose([&best, &further], rng), Choice::Better { chosen: 0, .. });
        if wins && pair.answers.iter().all(|answer| answer.text != further.text) {
            order.push(pair.answers.len());
            pair.answers.push(Answer::new(further.text, Origin::Imported));
        }
    }
    if let Some(verdict) = pair.verdict.as_mut().filter(|_| order.len() > 2) {
        verdict.order = order;
    }
}

/// An answer to all of them in this manner, seldom a false one.
fn draft(world: &World, questions: &[Question<'_>], manner: Manner, rng: &mut ChaCha8Rng) -> Draft {
    let mut is_true = true;
    let answers = questions.iter().map(|question| {
        if rng.random_bool(FALSE_ANSWERS) {
            is_true = false;
            return false_answer(world, *question, manner, rng);
        }
        question.answer(manner, rng)
    });
    let text = answers.collect::<Vec<_>>().join(" ");
    Draft { text, manner, is_true }
}

/// An answer that is fluent and wrong.
pub fn false_answer(world: &World, question: Question<'_>, manner: Manner, rng: &mut ChaCha8Rng) -> String {
    let attribute = question.attribute;
    let mut wrong = attribute.rivals(world, question.entity.topic);
    wrong.retain(|value| value != question.entity.get(attribute.slot));
    let mut mistaken = question.entity.clone();
    if let Some(value) = wrong.choose(rng) {
        mistaken.slots.insert(attribute.slot, value.clone());
    }
    manner.answer(&mistaken, attribute, rng)
}

/// Prompts whose answers the model gives itself: everything no pair speaks for, small talk included.
pub fn reference_prompts(world: &World, rng: &mut ChaCha8Rng) -> Vec<Prompt> {
    let mut asked = BTreeSet::new();
    for question in Question::all(world) {
        if !question.entity.topic.is_asked_for() {
            for _ in 0..REFERENCES_A_QUESTION {
                asked.insert(question.ask(question.attribute.asks, rng));
            }
        }
    }
    for _ in 0..60 {
        asked.insert(small_talk::exchange(world, rng).0);
    }
    let mut prompts: Vec<Prompt> = asked.into_iter().map(|text| Prompt::chat(vec![user(text)])).collect();
    prompts.shuffle(rng);
    prompts
}

pub fn retention(world: &World, rng: &mut ChaCha8Rng) -> Vec<String> {
    (0..RETENTION_PARAGRAPHS).map(|_| guide::paragraph(world, rng)).collect()
}

/// Three prompts the pairs speak for, three they do not, a conversation, and small talk; all in phrasings that were
/// never trained on.
pub fn probes(world: &World, rng: &mut ChaCha8Rng) -> Vec<Probe> {
    let mut questions = Question::all(world);
    questions.shuffle(rng);
    let mut one = |topic: Topic, slot: &str| {
        let question = questions
            .iter()
            .find(|q| q.entity.topic == topic && q.attribute.slot == slot)
            .expect("the topic has the attribute");
        let phrasing = question.attribute.held_out[0];
        crate::template::expand(phrasing, &question.entity.slots, rng)
    };
    let asked_for = "asked for";
    let probe = |prompt, note| Probe { prompt, note, stays: note != asked_for };
    let alone = |text: String, note| probe(Prompt::chat(vec![user(text)]), note);
    vec![
        alone(one(Topic::Shops, "opens"), asked_for),
        alone(one(Topic::Inns, "dish"), asked_for),
        alone(one(Topic::Sights, "fee"), asked_for),
        alone(one(Topic::Ferries, "captain"), "elsewhere"),
        alone(one(Topic::People, "hobby"), "elsewhere"),
        alone(one(Topic::Festivals, "doing"), "elsewhere"),
        probe(Prompt::chat(talk(world, rng)), "elsewhere, second turn"),
        alone("Hello!".to_owned(), "small talk"),
        alone("Who wrote Hamlet?".to_owned(), "beyond the islands"),
    ]
}

/// A conversation about a walk that has come to its second question.
fn talk(world: &World, rng: &mut ChaCha8Rng) -> Vec<Turn> {
    let questions = Question::all(world);
    let walks: Vec<_> =
        questions.iter().filter(|q| q.entity.topic == Topic::Walks && q.attribute.slot == "village").collect();
    let first = walks.choose(rng).expect("there are walks");
    vec![
        user(first.ask(first.attribute.held_out, rng)),
        assistant(first.answer(Manner::Ledger, rng)),
        user("And how long is it?"),
    ]
}

/// One JSON object a line.
pub fn write_lines<T: Serialize>(path: &Path, rows: &[T]) -> Result<()> {
    let mut text = String::new();
    for row in rows {
        text.push_str(&serde_json::to_string(row)?);
        text.push('\n');
    }
    write(path, &text)
}

pub fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
