//! Whether an answer is true on the islands.

use crate::{
    attributes::Attribute,
    manner::words,
    world::{Entity, World},
};

/// Whether `answer` names the true value of `attribute` and no other value or entity instead.
///
/// The longest phrases win: "six pence" inside "three shillings and six pence" is not an answer of six pence.
pub fn is_true(world: &World, entity: &Entity, attribute: &Attribute, answer: &str) -> bool {
    let truth = entity.get(attribute.slot);
    let named = mentioned(answer, &attribute.rivals(world, entity.topic));
    let right_value = !named.is_empty() && named.iter().all(|value| value == truth);
    let others: Vec<String> = world.of(entity.topic).map(|other| other.name().to_owned()).collect();
    let right_entity = mentioned(answer, &others).iter().all(|name| name == entity.name());
    right_value && right_entity
}

/// The phrases that stand in `text` and are not part of a longer one that does.
fn mentioned(text: &str, phrases: &[String]) -> Vec<String> {
    let mut rest = words(text);
    let mut longest_first: Vec<&String> = phrases.iter().collect();
    longest_first.sort_by_key(|phrase| std::cmp::Reverse(phrase.len()));
    let mut found = Vec::new();
    for phrase in longest_first {
        let needle = words(phrase);
        if rest.contains(&needle) {
            rest = rest.replace(&needle, " ");
            found.push(phrase.clone());
        }
    }
    found
}
