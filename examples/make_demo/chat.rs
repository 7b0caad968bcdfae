//! Conversations on the islands: what the model is taught, and what it is asked.

use nudge::data::{Role, Turn};
use rand::{RngExt as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha8Rng;

use crate::{
    attributes::Attribute,
    manner::Manner,
    small_talk,
    template::expand,
    world::{Entity, World},
};

/// Something that can be asked and checked.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    pub entity: &'a Entity,
    pub attribute: &'static Attribute,
}

impl<'a> Question<'a> {
    /// Every question the islands can answer.
    pub fn all(world: &'a World) -> Vec<Self> {
        world
            .entities
            .iter()
            .flat_map(|entity| Attribute::of(entity.topic).map(move |attribute| Self { entity, attribute }))
            .collect()
    }

    /// One of `phrasings`, as a guest would type it.
    pub fn ask(&self, phrasings: &[&'static str], rng: &mut ChaCha8Rng) -> String {
        let phrasing = phrasings.choose(rng).expect("every attribute has phrasings");
        politely(&expand(phrasing, &self.entity.slots, rng), rng)
    }

    pub fn answer(&self, manner: Manner, rng: &mut ChaCha8Rng) -> String {
        manner.answer(self.entity, self.attribute, rng)
    }
}

/// Guests greet, thank, and forget their capitals and question marks.
fn politely(question: &str, rng: &mut ChaCha8Rng) -> String {
    match rng.random_range(0..24) {
        0 => format!("Hello! {question}"),
        1 => format!("Hi, {}", decapitalise(question)),
        2 => format!("Excuse me, {}", decapitalise(question)),
        3 => format!("Please tell me: {}", decapitalise(question)),
        4 => format!("{question} Thank you!"),
        5 => format!("I would like to know: {}", decapitalise(question)),
        6 => question.to_lowercase().trim_end_matches(['?', '.']).to_owned(),
        _ => question.to_owned(),
    }
}

/// Every question begins with an ordinary word, never with a name.
fn decapitalise(question: &str) -> String {
    let mut letters = question.chars();
    match letters.next() {
        Some('I') | None => question.to_owned(),
        Some(first) => first.to_lowercase().chain(letters).collect(),
    }
}

pub fn user(content: impl Into<String>) -> Turn {
    Turn::new(Role::User, content)
}

pub fn assistant(content: impl Into<String>) -> Turn {
    Turn::new(Role::Assistant, content)
}

/// One conversation to learn from; its last turn is the answer that is learnt.
pub fn conversation(world: &World, questions: &[Question<'_>], rng: &mut ChaCha8Rng) -> Vec<Turn> {
    let question = *questions.choose(rng).expect("the islands can be asked about");
    let manner = Manner::draw(rng);
    match rng.random_range(0..100) {
        0..12 => {
            let (said, answered) = small_talk::exchange(world, rng);
            vec![user(said), assistant(answered)]
        }
        12..20 => follow_up(question, manner, rng),
        20..24 => accepted_offer(question, rng),
        _ => vec![user(question.ask(question.attribute.asks, rng)), assistant(question.answer(manner, rng))],
    }
}

/// A second question about the same entity, without its name.
fn follow_up(first: Question<'_>, manner: Manner, rng: &mut ChaCha8Rng) -> Vec<Turn> {
    let mut turns = vec![user(first.ask(first.attribute.asks, rng)), assistant(first.answer(manner, rng))];
    let others: Vec<_> = Attribute::of(first.entity.topic)
        .filter(|other| other.slot != first.attribute.slot && !other.follow_up.is_empty())
        .collect();
    if let Some(attribute) = others.choose(rng) {
        let second = Question { attribute, ..first };
        let phrasing = attribute.follow_up.choose(rng).expect("not empty");
        turns.push(user(expand(phrasing, &first.entity.slots, rng)));
        turns.push(assistant(second.answer(manner, rng)));
    }
    turns
}

/// The host offers to tell something more, and the guest says yes.
fn accepted_offer(first: Question<'_>, rng: &mut ChaCha8Rng) -> Vec<Turn> {
    let offers: Vec<_> = Attribute::of(first.entity.topic)
        .filter(|other| other.slot != first.attribute.slot && !other.offer.is_empty())
        .collect();
    let asked = user(first.ask(first.attribute.asks, rng));
    let Some(attribute) = offers.choose(rng) else {
        return vec![asked, assistant(first.answer(Manner::Host, rng))];
    };
    let offer = Manner::answer_with_offer(first.entity, first.attribute, attribute, rng);
    if rng.random_bool(0.4) {
        return vec![asked, assistant(offer)];
    }
    let yes = ["Yes, please.", "Yes!", "Please do.", "Oh yes.", "I would like that."];
    let second = Question { attribute, ..first };
    vec![
        asked,
        assistant(offer),
        user(*yes.choose(rng).expect("not empty")),
        assistant(second.answer(Manner::Host, rng)),
    ]
}
