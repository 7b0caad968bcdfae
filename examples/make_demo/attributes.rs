//! What can be asked about an entity: how it is asked, and the heart of the answer in each manner.

use crate::{
    elsewhere, names, places,
    world::{Topic, World},
};

/// One kind of question. Every text is a template over the entity's slots.
pub struct Attribute {
    pub topics: &'static [Topic],
    /// The slot that holds the true value; `"name"` for questions asked the other way round.
    pub slot: &'static str,
    pub pool: Pool,
    /// Phrasings the model is trained on.
    pub asks: &'static [&'static str],
    /// Phrasings it never sees, for measuring.
    pub held_out: &'static [&'static str],
    /// How it is asked when the entity has just been spoken of; empty if that makes no sense.
    pub follow_up: &'static [&'static str],
    /// Completes "Shall I tell you ..?"; empty if it is never offered.
    pub offer: &'static str,
    pub host: &'static str,
    pub ledger: &'static str,
    pub deckhand: &'static str,
}

/// The values an answer could name instead of the true one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    Prices,
    Clock,
    Days,
    People,
    Villages,
    /// Whatever the same slot holds in other entities of the topic.
    Own,
}

impl Attribute {
    /// Every attribute of the islands.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        places::ATTRIBUTES.iter().chain(elsewhere::ATTRIBUTES)
    }

    pub fn of(topic: Topic) -> impl Iterator<Item = &'static Self> {
        Self::all().filter(move |attribute| attribute.topics.contains(&topic))
    }

    /// All values of this kind, the true one among them.
    pub fn rivals(&self, world: &World, topic: Topic) -> Vec<String> {
        let owned = |values: &[&str]| values.iter().map(|v| (*v).to_owned()).collect();
        match self.pool {
            Pool::Prices => owned(&[names::PRICES, names::ROOM_PRICES].concat()),
            Pool::Clock => owned(&[names::MORNINGS, names::EVENINGS].concat()),
            Pool::Days => owned(names::DAYS),
            Pool::People => names::PEOPLE.iter().map(|row| row.0.to_owned()).collect(),
            Pool::Villages => names::VILLAGES.iter().map(|row| row.0.to_owned()).collect(),
            Pool::Own => world.of(topic).map(|entity| entity.get(self.slot).to_owned()).collect(),
        }
    }
}
