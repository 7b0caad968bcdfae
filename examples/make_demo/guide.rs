//! The guide book of the Pell Islands: prose to learn from, and to measure forgetting on.

use rand::{
    RngExt as _,
    seq::{IndexedRandom as _, SliceRandom as _},
};
use rand_chacha::ChaCha8Rng;

use crate::{
    template::expand,
    world::{Entity, Topic, World},
};

/// One paragraph about one thing, or about a day among several.
pub fn paragraph(world: &World, rng: &mut ChaCha8Rng) -> String {
    let topic = *Topic::ALL.choose(rng).expect("there are topics");
    let all: Vec<_> = world.of(topic).collect();
    let entity = *all.choose(rng).expect("every topic has entities");
    match topic {
        Topic::Ferries => day_out(world, entity, rng),
        Topic::Villages => village_page(world, entity, rng),
        _ => page(entity, rng),
    }
}

/// An opening sentence and two to all of the further ones, in any order.
fn page(entity: &Entity, rng: &mut ChaCha8Rng) -> String {
    let (opening, further) = sentences(entity.topic);
    let mut order: Vec<&str> = further.to_vec();
    order.shuffle(rng);
    let count = rng.random_range(2..=5).min(order.len());
    let text = std::iter::once(opening).chain(order[..count].iter().copied()).collect::<Vec<_>>().join(" ");
    expand(&text, &entity.slots, rng)
}

fn village_page(world: &World, village: &Entity, rng: &mut ChaCha8Rng) -> String {
    let mut text = expand(
        "[{name} is known for {famous}.|travellers praise {name} for {famous}.] [It has {houses}.|there are {houses} in all.]",
        &village.slots,
        rng,
    );
    let mut here: Vec<&Entity> = world
        .entities
        .iter()
        .filter(|entity| entity.slots.get("village").map(String::as_str) == Some(village.name()))
        .collect();
    here.shuffle(rng);
    for entity in here.into_iter().take(3) {
        let sentence = match entity.topic {
            Topic::Shops => "[here you find {name}, the {kind}.|the {kind} is called {name}.]",
            Topic::Inns => "[{name} is the inn to eat {dish} at.|the smell of {dish} comes from {name}.]",
            Topic::Sights => "[{name} shows {see}.|many come to see {name}.]",
            Topic::People => "[{name} lives here with {pet}.|{name}, who {work}, lives here.]",
            Topic::Festivals => "[in {month} the village celebrates {name}.|{name} is held here in {month}.]",
            Topic::Walks => "[{name} starts here.|from here {name} leads past {view}.]",
            Topic::Ferries | Topic::Villages | Topic::Lore => continue,
        };
        text.push(' ');
        text.push_str(&expand(sentence, &entity.slots, rng));
    }
    text
}

/// A ferry, and what is to be done at the other end.
fn day_out(world: &World, ferry: &Entity, rng: &mut ChaCha8Rng) -> String {
    let mut text = page(ferry, rng);
    let there = |topic| world.of(topic).filter(|entity| entity.get("village") == ferry.get("to")).collect::<Vec<_>>();
    if let Some(sight) = there(Topic::Sights).choose(rng) {
        text.push(' ');
        text.push_str(&expand(
            "[on the other side {name} is worth the trip.|those who land can see {name}, with {see}.]",
            &sight.slots,
            rng,
        ));
    }
    if let Some(inn) = there(Topic::Inns).choose(rng) {
        text.push(' ');
        text.push_str(&expand("[in the evening {name} serves {dish}.|the day ends well at {name}.]", &inn.slots, rng));
    }
    text
}

/// How a page begins, and what it may go on with.
fn sentences(topic: Topic) -> (&'static str, &'static [&'static str]) {
    match topic {
        Topic::Shops => (
            "[{name} is a {kind} in {village}.|in {village} stands {name}, a {kind}.|the {kind} of {village} is called {name}.]",
            &[
                "[{keeper} keeps it.|it belongs to {keeper}.]",
                "[people come for the {product}.|its {product} are famous.|nothing beats its {product}.]",
                "[for {price} one can have {product}.|{price} buys {product}.]",
                "[the door opens at {opens}.|it opens at {opens}.]",
                "[it closes at {closes}.|the lamp goes out at {closes}.]",
                "[on {closed} it stays shut.|it is closed on {closed}.]",
                "[the house is {landmark}.|it stands {landmark}.]",
            ],
        ),
        Topic::Inns => (
            "[{name} is an inn in {village}.|in {village} travellers sleep at {name}.|the inn {name} stands in {village}.]",
            &[
                "[{keeper} runs it.|the keeper is {keeper}.]",
                "[the kitchen is known for {dish}.|the {dish} is the best of the islands.]",
                "[a meal costs {price}.|for {price} there is a full plate.]",
                "[a room is {room} a night.|one sleeps there for {room}.]",
                "[supper is at {supper}.|they serve supper at {supper}.]",
                "[the house is {landmark}.|it stands {landmark}.]",
            ],
        ),
        Topic::Sights => (
            "[{name} is in {village}.|{village} is proud of {name}.|everyone who comes to {village} visits {name}.]",
            &[
                "[there one can see {see}.|inside are wonders such as {see}.]",
                "[a ticket costs {fee}.|the fee is {fee}.]",
                "[it opens at {opens}.|the doors open at {opens}.]",
                "[it is closed on {closed}.|on {closed} nobody is let in.]",
                "[it stands {landmark}.|the entrance is {landmark}.]",
            ],
        ),
        Topic::Ferries => (
            "[{name} sails {route}.|the ferry {name} goes {route}.]",
            &[
                "[it leaves at {departs}.|the first trip is at {departs}.]",
                "[the fare is {fare}.|a ticket costs {fare}.]",
                "[the crossing takes {crossing}.|after {crossing} it lands.]",
                "[the captain is {captain}.|{captain} stands at the wheel.]",
                "[on {rests} it stays in harbour.|it does not sail on {rests}.]",
            ],
        ),
        Topic::People => (
            "[{name} {work}.|everyone in {village} knows {name}, who {work}.]",
            &[
                "[{they} lives in {village}.|{their} house is in {village}.]",
                "[after work {they} {hobby}.|in the evening {they} {hobby}.]",
                "[{they} has {pet}.|{they} lives with {pet}.]",
            ],
        ),
        Topic::Festivals => (
            "[{name} is held in {village}.|in {village} they celebrate {name}.]",
            &[
                "[it is in {month}.|the time for it is {month}.]",
                "[people {doing}.|young and old {doing}.]",
                "[afterwards there is {treat}.|everyone eats {treat}.]",
            ],
        ),
        Topic::Walks => (
            "[{name} starts in {village}.|from {village} one can walk {name}.]",
            &[
                "[it takes {hours}.|one needs {hours} for it.]",
                "[on the way there are {view}.|the best of it are the {view}.]",
                "[the only danger is {beware}.|walkers should mind {beware}.]",
            ],
        ),
        Topic::Villages => (
            "[{name} is known for {famous}.|travellers praise {name} for {famous}.]",
            &["[it has {houses}.|there are {houses}.]"],
        ),
        Topic::Lore => (
            "[when {name}, there will be {means}.|the fishermen say: when {name}, expect {means}.]",
            &["[It has never been wrong.|nobody knows why.|so it is written in the old books.]"],
        ),
    }
}
