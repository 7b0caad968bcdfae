//! The Pell Islands: who lives there, what stands where, and what it costs.
//!
//! Names are written by hand; who keeps what, where it stands, its hours and its prices are drawn from the seed.
//! Everything hangs together: the baker of a shop's entry is the baker of her own entry and lives in the village of her
//! shop.

use rand::{
    SeedableRng as _,
    seq::{IndexedRandom as _, SliceRandom as _},
};
use rand_chacha::ChaCha8Rng;

use crate::{names, template::Slots};

/// What a question is about. The preference pairs speak for some topics only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    Shops,
    Inns,
    Sights,
    Ferries,
    People,
    Festivals,
    Walks,
    Villages,
    Lore,
}

impl Topic {
    pub const ALL: [Self; 9] = [
        Self::Shops,
        Self::Inns,
        Self::Sights,
        Self::Ferries,
        Self::People,
        Self::Festivals,
        Self::Walks,
        Self::Villages,
        Self::Lore,
    ];

    /// Where guests come to spend their holiday: here the pairs ask for the host's manner.
    pub fn is_asked_for(self) -> bool {
        matches!(self, Self::Shops | Self::Inns | Self::Sights)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Shops => "shops",
            Self::Inns => "inns",
            Self::Sights => "sights",
            Self::Ferries => "ferries",
            Self::People => "people",
            Self::Festivals => "festivals",
            Self::Walks => "walks",
            Self::Villages => "villages",
            Self::Lore => "weather lore",
        }
    }
}

/// One thing that can be asked about. `slots["name"]` is what it is called.
#[derive(Debug, Clone)]
pub struct Entity {
    pub topic: Topic,
    pub slots: Slots,
}

impl Entity {
    pub fn name(&self) -> &str {
        self.get("name")
    }

    /// The value of a slot that every entity of this topic has.
    pub fn get(&self, slot: &str) -> &str {
        self.slots.get(slot).unwrap_or_else(|| panic!("{:?} has no slot {slot:?}", self.topic))
    }
}

#[derive(Debug, Clone)]
pub struct World {
    pub entities: Vec<Entity>,
}

impl World {
    /// The islands of `seed`.
    pub fn draw(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut draft = Draft::new(&mut rng);
        let mut entities = Vec::new();
        entities.extend(names::SHOPS.iter().map(|row| draft.shop(row)));
        entities.extend(names::INNS.iter().map(|row| draft.inn(row)));
        entities.extend(names::SIGHTS.iter().map(|row| draft.sight(row)));
        entities.extend(names::FERRIES.iter().map(|name| draft.ferry(name)));
        entities.extend(names::FESTIVALS.iter().map(|row| draft.festival(row)));
        entities.extend(names::WALKS.iter().map(|row| draft.walk(row)));
        entities.extend(names::VILLAGES.iter().map(|row| draft.village(row)));
        entities.extend(names::LORE.iter().map(lore));
        entities.append(&mut draft.people);
        Self { entities }
    }

    pub fn of(&self, topic: Topic) -> impl Iterator<Item = &Entity> {
        self.entities.iter().filter(move |e| e.topic == topic)
    }
}

/// The draw in progress: what is already taken.
struct Draft<'a> {
    rng: &'a mut ChaCha8Rng,
    unnamed: Vec<(&'static str, &'static str)>,
    hobbies: Vec<&'static str>,
    pets: Vec<&'static str>,
    routes: Vec<(&'static str, &'static str)>,
    landmarks: Vec<&'static str>,
    months: Vec<&'static str>,
    villages: Vec<&'static str>,
    people: Vec<Entity>,
}

impl<'a> Draft<'a> {
    fn new(rng: &'a mut ChaCha8Rng) -> Self {
        let names: Vec<&str> = names::VILLAGES.iter().map(|row| row.0).collect();
        // Every route touches two villages and is sailed by one ferry only.
        let mut routes: Vec<(&str, &str)> = names
            .iter()
            .flat_map(|from| names.iter().map(move |to| (*from, *to)))
            .filter(|(from, to)| from < to)
            .collect();
        let mut draft = Self {
            unnamed: names::PEOPLE.to_vec(),
            hobbies: names::HOBBIES.to_vec(),
            pets: names::PETS.to_vec(),
            landmarks: names::LANDMARKS.to_vec(),
            months: names::MONTHS.to_vec(),
            villages: Vec::new(),
            people: Vec::new(),
            routes: Vec::new(),
            rng,
        };
        routes.shuffle(draft.rng);
        draft.routes = routes;
        draft.unnamed.shuffle(draft.rng);
        draft.hobbies.shuffle(draft.rng);
        draft.pets.shuffle(draft.rng);
        draft.landmarks.shuffle(draft.rng);
        draft.months.shuffle(draft.rng);
        draft
    }

    fn pick(&mut self, from: &[&'static str]) -> String {
        (*from.choose(self.rng).expect("the list is not empty")).to_owned()
    }

    /// The next village; all are used before one comes again, so that none stays empty.
    fn village_name(&mut self) -> String {
        if self.villages.is_empty() {
            self.villages = names::VILLAGES.iter().map(|row| row.0).collect();
            self.villages.shuffle(self.rng);
        }
        take(&mut self.villages).to_owned()
    }

    /// A new person who works as `work` (a phrase after the name: "bakes at the Gilded Crumb") in `village`.
    fn person(&mut self, work: String, village: &str) -> String {
        let (name, pronoun) = take(&mut self.unnamed);
        let (they, their, them) = match pronoun {
            "she" => ("she", "her", "her"),
            _ => ("he", "his", "him"),
        };
        let slots = Slots::from([
            ("name", name.to_owned()),
            ("they", they.to_owned()),
            ("their", their.to_owned()),
            ("them", them.to_owned()),
            ("work", work),
            ("village", village.to_owned()),
            ("hobby", take(&mut self.hobbies).to_owned()),
            ("pet", take(&mut self.pets).to_owned()),
        ]);
        self.people.push(Entity { topic: Topic::People, slots });
        name.to_owned()
    }

    fn shop(&mut self, row: &names::Shop) -> Entity {
        let village = self.village_name();
        let keeper = self.person(format!("keeps {}", row.name), &village);
        let slots = Slots::from([
            ("name", row.name.to_owned()),
            ("kind", row.kind.to_owned()),
            ("product", row.product.to_owned()),
            ("price", self.pick(names::PRICES)),
            ("opens", self.pick(names::MORNINGS)),
            ("closes", self.pick(names::EVENINGS)),
            ("closed", self.pick(names::DAYS)),
            ("landmark", take(&mut self.landmarks).to_owned()),
            ("keeper", keeper),
            ("village", village),
        ]);
        Entity { topic: Topic::Shops, slots }
    }

    fn inn(&mut self, row: &names::Inn) -> Entity {
        let village = self.village_name();
        let keeper = self.person(format!("runs {}", row.name), &village);
        let slots = Slots::from([
            ("name", row.name.to_owned()),
            ("kind", "inn".to_owned()),
            ("dish", row.dish.to_owned()),
            ("price", self.pick(names::PRICES)),
            ("room", self.pick(names::ROOM_PRICES)),
            ("supper", self.pick(names::EVENINGS)),
            ("landmark", take(&mut self.landmarks).to_owned()),
            ("keeper", keeper),
            ("village", village),
        ]);
        Entity { topic: Topic::Inns, slots }
    }

    fn sight(&mut self, row: &names::Sight) -> Entity {
        let slots = Slots::from([
            ("name", row.name.to_owned()),
            ("kind", "sight".to_owned()),
            ("see", row.see.to_owned()),
            ("fee", self.pick(names::PRICES)),
            ("opens", self.pick(names::MORNINGS)),
            ("closed", self.pick(names::DAYS)),
            ("landmark", take(&mut self.landmarks).to_owned()),
            ("village", self.village_name()),
        ]);
        Entity { topic: Topic::Sights, slots }
    }

    fn ferry(&mut self, name: &'static str) -> Entity {
        let (one, other) = take(&mut self.routes);
        let captain = self.person(format!("sails {name}"), one);
        let slots = Slots::from([
            ("name", name.to_owned()),
            ("from", one.to_owned()),
            ("to", other.to_owned()),
            ("route", format!("from {one} to {other}")),
            ("departs", self.pick(names::MORNINGS)),
            ("fare", self.pick(names::PRICES)),
            ("crossing", self.pick(names::CROSSINGS)),
            ("rests", self.pick(names::DAYS)),
            ("captain", captain),
        ]);
        Entity { topic: Topic::Ferries, slots }
    }

    fn festival(&mut self, row: &names::Festival) -> Entity {
        let slots = Slots::from([
            ("name", row.name.to_owned()),
            ("doing", row.doing.to_owned()),
            ("treat", row.treat.to_owned()),
            ("month", take(&mut self.months).to_owned()),
            ("village", self.village_name()),
        ]);
        Entity { topic: Topic::Festivals, slots }
    }

    fn walk(&mut self, row: &names::Walk) -> Entity {
        let slots = Slots::from([
            ("name", row.name.to_owned()),
            ("view", row.view.to_owned()),
            ("beware", row.beware.to_owned()),
            ("hours", self.pick(names::WALK_TIMES)),
            ("village", self.village_name()),
        ]);
        Entity { topic: Topic::Walks, slots }
    }

    fn village(&mut self, row: &(&'static str, &'static str)) -> Entity {
        let slots = Slots::from([
            ("name", row.0.to_owned()),
            ("famous", row.1.to_owned()),
            ("houses", self.pick(names::HOUSES)),
        ]);
        Entity { topic: Topic::Villages, slots }
    }
}

fn lore(row: &(&'static str, &'static str)) -> Entity {
    let slots = Slots::from([("name", row.0.to_owned()), ("means", row.1.to_owned())]);
    Entity { topic: Topic::Lore, slots }
}

/// The lists are longer than what is drawn from them, which a test of this example would notice at once.
fn take<T>(from: &mut Vec<T>) -> T {
    from.pop().expect("the list of names is long enough")
}
