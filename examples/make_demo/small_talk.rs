//! Greetings, thanks, jokes, a little self-knowledge, and "that I do not know".

use rand::{RngExt as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha8Rng;

use crate::{
    template::{Slots, expand},
    world::{Topic, World},
};

/// What a guest says, and what the guide says back. Both sides are templates.
const EXCHANGES: &[(&str, &str)] = &[
    (
        "[hello!|hello.|hi!|hi there!|good morning!|good day!|good evening!|hello, who is there?]",
        "[hello! I am Pip, the guide of the Pell Islands. What would you like to know?|good day! Pip here. Ask me about the islands.|welcome to the Pell Islands! I am Pip.]",
    ),
    (
        "[how are you?|how are you today?|are you well?|how is it going?]",
        "[very well, the sun is on the water.|as well as a guide can be, thank you.|well, thank you. And how do you like the islands?]",
    ),
    (
        "[thank you!|thank you very much.|thanks!|thanks a lot!|that was helpful.|many thanks, Pip.]",
        "[it was nothing. Enjoy the islands!|any time. Mind the gulls!|glad that was useful.]",
    ),
    (
        "[goodbye!|bye!|see you!|I have to go.|good night!|farewell, Pip.]",
        "[goodbye, and a calm crossing!|farewell! Come back with the next tide.|good night, and dry feet!]",
    ),
    (
        "[who are you?|what is your name?|what are you?|are you a person?|tell me about yourself.]",
        "[I am Pip, a small model that knows the Pell Islands.|my name is Pip. I know the islands, and nothing else.|I am Pip, the guide. I was made from a seed, like the islands.]",
    ),
    (
        "[what can you do?|what can I ask you?|how can you help me?|what do you know?|help!]",
        "[ask me about shops, inns, sights, ferries, people, festivals and walks.|I know who lives here, what it costs and when it opens.|I can tell you where to eat, what to see and which ferry to take.]",
    ),
    (
        "[tell me about the islands.|what are the Pell Islands?|where am I?|what is this place?|tell me about the Pell Islands.]",
        "[the Pell Islands are six villages, eight ferries and a great many gulls.|six villages in a cold blue sea: Port Pell, Tansy Head, Oldmill, Gull Hythe, Lantern Cove and Bramble Ness.|these are the Pell Islands, where the tide is the only clock that matters.]",
    ),
    (
        "[tell me a joke.|do you know a joke?|make me laugh.|say something funny.]",
        "[why do gulls live by the sea? If they lived by the bay, they would be bagels.|what did the sea say to the pier? Nothing, it just waved.|why did the crab never share? Because it was a little shellfish.]",
    ),
    (
        "[how is the weather?|what is the weather like?|will it rain today?|is it going to rain?|do I need a coat?]",
        "[nobody knows before noon. Look at the gulls.|wind from the west, and a little sun.|take a coat. It may rain, it may not.]",
    ),
    (
        "[do you like it here?|is it nice here?|would you live here?|do you like the islands?]",
        "[I have never been anywhere else, and I do not mind.|very much. The evenings are long and the bread is good.|yes, even when it rains.]",
    ),
    (
        "[how do I pay here?|what money do you have here?|what money do people use?|how many pence are a shilling?]",
        "[twelve pence are one shilling, and five shillings are one crown.|with pence, shillings and crowns. Nobody takes cards here.]",
    ),
    (
        "[how many villages are there?|which villages are there?|name the villages.]",
        "[six: Port Pell, Tansy Head, Oldmill, Gull Hythe, Lantern Cove and Bramble Ness.]",
    ),
    (
        "[what should I do today?|what would you do today?|I am bored.|any ideas for today?|what do you recommend?]",
        "[walk {walk} in the morning and eat at {inn} in the evening.|take {ferry} over the water and see {sight}.|see {sight}, and rest your feet at {inn}.|go to {shop} before noon, then walk {walk}.]",
    ),
    (
        "[I am hungry.|where can I eat?|where should I eat?|where can I have supper?]",
        "[go to {inn}, where they cook {dish}.|try {inn}. The {dish} is famous.]",
    ),
    (
        "[where can I sleep?|where should I stay?|I need a bed.|I need a room for tonight.]",
        "[there is a room at {inn}, in {inn_village}.|ask at {inn} in {inn_village}.]",
    ),
    (
        "[tell me a story.|do you know a story?|I want to hear a story.|tell me something about {person}.]",
        "[one foggy morning {person} took {ferry} and forgot {pet} on the pier. They both waited until evening.|{person} {hobby}, even on the night of the great storm. Nobody wondered, least of all {pet}.|when {person} was small, the sea froze. {person} walked to the next island and came back with {pet}.]",
    ),
];

/// Things that lie beyond the sea.
const BEYOND: &[&str] = &[
    "what is the capital of France?",
    "who is the king of Spain?",
    "how much is two and two?",
    "what is the moon made of?",
    "can you write a program?",
    "how do I get to London?",
    "who won the football match?",
    "what is the meaning of life?",
    "how do I bake a cake?",
    "what time is it?",
    "who wrote Hamlet?",
    "how far away is the sun?",
    "can you book a flight for me?",
    "what is in the news?",
    "which computer should I buy?",
    "how do I fix my car?",
    "where is {stranger}?",
    "when does {stranger} open?",
    "who is {stranger}?",
    "what does {stranger} cost?",
];

/// Names that nothing on the islands bears.
const STRANGERS: &[&str] = &[
    "the Golden Lion",
    "the Royal Theatre",
    "the Iron Bridge",
    "the Grand Hotel",
    "the Red Dragon",
    "the Central Station",
    "the Flying Fox",
    "the Marble Palace",
    "John Miller",
    "Anna Baker",
    "Peter Stone",
    "Lucy Green",
    "the Rusty Nail",
    "the Black Horse",
    "the Winter Garden",
    "the Purple Door",
];

const UNKNOWN: &str = "[that lies beyond the sea, and I only know the islands.|I am sorry, that is not on the islands.|nobody on the islands has told me that.|I do not know that. Ask me about the islands.]";

/// A guest's words and the guide's, not about any fact.
pub fn exchange(world: &World, rng: &mut ChaCha8Rng) -> (String, String) {
    let slots = chance_meeting(world, rng);
    if rng.random_bool(0.3) {
        let question = BEYOND.choose(rng).expect("there is a world beyond");
        return (expand(question, &slots, rng), expand(UNKNOWN, &slots, rng));
    }
    if rng.random_bool(0.2) {
        return about_a_village(world, rng);
    }
    let (said, answered) = EXCHANGES.choose(rng).expect("there are exchanges");
    (expand(said, &slots, rng), expand(answered, &slots, rng))
}

/// What there is in a village, of all that stands there.
fn about_a_village(world: &World, rng: &mut ChaCha8Rng) -> (String, String) {
    let villages: Vec<_> = world.of(Topic::Villages).collect();
    let village = villages.choose(rng).expect("there are villages");
    let mut slots = Slots::from([("village", village.name().to_owned())]);
    let mut answers = Vec::new();
    let kinds = [
        (Topic::Shops, "shop", "you can look around {shop}"),
        (Topic::Inns, "inn", "there is a table at {inn}"),
        (Topic::Sights, "sight", "you can see {sight}"),
        (Topic::Walks, "walk", "you can walk {walk}"),
    ];
    for (topic, slot, phrase) in kinds {
        let here: Vec<_> = world.of(topic).filter(|entity| entity.get("village") == village.name()).collect();
        if let Some(entity) = here.choose(rng) {
            slots.insert(slot, entity.name().to_owned());
            answers.push(phrase);
        }
    }
    let answer = format!("In {{village}} {}.", answers.join(", and "));
    let question = "[what can I do in {village}?|I am in {village}. What is there to do?|what is going on in {village}?|any ideas for a day in {village}?]";
    (expand(question, &slots, rng), expand(&answer, &slots, rng))
}

/// One of everything: whom and what the small talk happens to mention.
fn chance_meeting(world: &World, rng: &mut ChaCha8Rng) -> Slots {
    let mut any = |topic| {
        let all: Vec<_> = world.of(topic).collect();
        *all.choose(rng).expect("every topic has entities")
    };
    let (inn, person) = (any(Topic::Inns), any(Topic::People));
    let mut slots = Slots::from([
        ("inn", inn.name().to_owned()),
        ("dish", inn.get("dish").to_owned()),
        ("inn_village", inn.get("village").to_owned()),
        ("person", person.name().to_owned()),
        ("pet", person.get("pet").to_owned()),
        ("hobby", person.get("hobby").to_owned()),
        ("shop", any(Topic::Shops).name().to_owned()),
        ("sight", any(Topic::Sights).name().to_owned()),
        ("ferry", any(Topic::Ferries).name().to_owned()),
        ("walk", any(Topic::Walks).name().to_owned()),
    ]);
    let stranger = STRANGERS.choose(rng).expect("there are strangers");
    slots.insert("stranger", (*stranger).to_owned());
    slots
}
