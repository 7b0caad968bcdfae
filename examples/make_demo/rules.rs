//! The demo's rule set: `judge.toml`, questions of both halves of the islands and what counts as what.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use crate::{
    attributes::Pool,
    chat::Question,
    template::expand,
    world::{Topic, World},
};

/// Prompts of each group.
const PROMPTS: usize = 48;
/// The rules, as they stand in the file.
const RULES: &str = include_str!("rules.toml");

/// `each` questions on the pairs' topics and as many elsewhere, in phrasings that no training text used.
pub fn draw<'a>(world: &'a World, each: usize, rng: &mut ChaCha8Rng) -> Vec<Question<'a>> {
    let mut all = Question::all(world);
    all.shuffle(rng);
    let (asked_for, elsewhere): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|question| question.entity.topic.is_asked_for());
    asked_for.into_iter().take(each).chain(elsewhere.into_iter().take(each)).collect()
}

/// The demo's file.
pub fn demo(world: &World, rng: &mut ChaCha8Rng) -> String {
    let questions = draw(world, PROMPTS, rng);
    text(world, &questions, rng)
}

/// A rule set that asks these questions.
pub fn text(world: &World, questions: &[Question<'_>], rng: &mut ChaCha8Rng) -> String {
    let mut lists: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut groups = [String::new(), String::new()];
    for (index, question) in questions.iter().enumerate() {
        let Question { entity, attribute } = question;
        let among = [value_list(question), topic_list(entity.topic)];
        lists.entry(among[0].clone()).or_default().extend(attribute.rivals(world, entity.topic));
        lists.entry(among[1].clone()).or_default().extend(world.of(entity.topic).map(|e| e.name().to_owned()));
        let phrasing = attribute.held_out[index % attribute.held_out.len()];
        let asked = expand(phrasing, &entity.slots, rng);
        let mut among = among.to_vec();
        among.dedup();
        let group = &mut groups[usize::from(!entity.topic.is_asked_for())];
        writeln!(group, "  {{ ask = {asked:?}, right = {:?}, among = {among:?} }},", entity.get(attribute.slot))
            .expect("a text takes all");
    }
    let mut text = RULES.to_owned();
    for (name, prompts) in ["asked for", "elsewhere"].into_iter().zip(groups) {
        if !prompts.is_empty() {
            write!(text, "\n[[group]]\nname = {name:?}\nprompts = [\n{prompts}]\n").expect("a text takes all");
        }
    }
    text.push_str("\n# Where one of a kind is right, naming another is wrong.\n[lists]\n");
    for (name, values) in lists {
        let values: Vec<String> = values.into_iter().collect();
        writeln!(text, "{name} = {values:?}").expect("a text takes all");
    }
    text
}

/// The list that holds the true value and its rivals.
fn value_list(Question { entity, attribute }: &Question<'_>) -> String {
    match attribute.pool {
        Pool::Prices => "prices".to_owned(),
        Pool::Clock => "hours".to_owned(),
        Pool::Days => "days".to_owned(),
        Pool::People => topic_list(Topic::People),
        Pool::Villages => topic_list(Topic::Villages),
        Pool::Own if attribute.slot == "name" => topic_list(entity.topic),
        Pool::Own => format!("{}_{}", topic_list(entity.topic), attribute.slot),
    }
}

fn topic_list(topic: Topic) -> String {
    topic.name().replace(' ', "_")
}
