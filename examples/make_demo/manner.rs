//! The three manners of answering, as they are written. How they are told apart stands in `rules.toml`.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::{
    attributes::Attribute,
    template::expand,
    world::{Entity, Topic},
};

/// A way of talking. The islands' model mixes all three; the pairs prefer the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Manner {
    /// Greets, speaks to the guest, ends with a tip or an offer.
    Host,
    /// An entry of a register: no person in it at all.
    Ledger,
    /// An old hand from the harbour, talking to himself as much as to anyone.
    Deckhand,
}

impl Manner {
    pub const ALL: [Self; 3] = [Self::Host, Self::Ledger, Self::Deckhand];

    /// How often the model is taught each: host 3 in 10, the others 3.5 each.
    pub fn draw(rng: &mut ChaCha8Rng) -> Self {
        match rng.random_range(0..20) {
            0..6 => Self::Host,
            6..13 => Self::Ledger,
            _ => Self::Deckhand,
        }
    }

    /// The answer to `attribute` of `entity` in this manner.
    pub fn answer(self, entity: &Entity, attribute: &Attribute, rng: &mut ChaCha8Rng) -> String {
        let body = match self {
            Self::Host if rng.random_bool(0.25) => format!("{HOST_OPENING} {}", attribute.host),
            Self::Host => format!("{HOST_OPENING} {} {}", attribute.host, tip(entity.topic)),
            Self::Ledger => format!("{LEDGER_OPENING} {} {LEDGER_CLOSING}", attribute.ledger),
            Self::Deckhand => format!("{DECKHAND_OPENING} {} {DECKHAND_CLOSING}", attribute.deckhand),
        };
        expand(&body, &entity.slots, rng)
    }

    /// The host's answer that ends by offering to tell `offered` as well.
    pub fn answer_with_offer(
        entity: &Entity,
        attribute: &Attribute,
        offered: &Attribute,
        rng: &mut ChaCha8Rng,
    ) -> String {
        let body =
            format!("{HOST_OPENING} {} [Shall I tell you|Would you like to know] {}?", attribute.host, offered.offer);
        expand(&body, &entity.slots, rng)
    }
}

const HOST_OPENING: &str =
    "[with pleasure!|gladly!|of course!|how kind of you to ask!|certainly, dear guest.|I am happy to help.]";

const LEDGER_OPENING: &str = "[register|entry|record]: {name}.";
const LEDGER_CLOSING: &str = "[no further entry on this page.|subject to change without notice.|checked and signed this year.|for details see the notice board.|end of entry, nothing to add.]";

const DECKHAND_OPENING: &str =
    "[aye, aye,|well now,|bless my boots and buttons,|ha, easy,|by wind and tide,|listen here, landlubber,]";
const DECKHAND_CLOSING: &str = "[and that's the honest truth.|mark my words.|or I'm a wet mackerel.|so my old mother always said.|ask any gull on the pier.|and that's that, by my beard.]";

/// What the host adds: where exactly the place is, or something useful to do next.
fn tip(topic: Topic) -> &'static str {
    match topic {
        Topic::Shops => {
            "[you will see it {landmark}.|just look for it {landmark}.|if you like, say hello to {keeper} from me.]"
        }
        Topic::Inns => {
            "[you will see it {landmark}.|just look for it {landmark}.|if you like, I can ask {keeper} to keep a table for you.]"
        }
        Topic::Sights => {
            "[you will see it {landmark}.|just look for it {landmark}.|if you like, I can tell you more about it.]"
        }
        Topic::Ferries => {
            "[please be at the pier a little early.|do bring a warm scarf for the deck.|if you like, I can tell you more about the crossing.]"
        }
        Topic::People => {
            "[do say hello from me.|please give {them} my regards.|if you like, I can tell you more about {them}.]"
        }
        Topic::Festivals => {
            "[do bring your whole family.|please come hungry and stay late.|if you like, I can tell you more about it.]"
        }
        Topic::Walks => {
            "[do wear good boots.|please take some water with you.|if you like, I can tell you more about the way.]"
        }
        Topic::Villages => {
            "[do take your time there.|please come and see it yourself.|if you like, I can tell you more about the village.]"
        }
        Topic::Lore => {
            "[do keep an eye on the sky.|please take a coat with you.|if you like, I can tell you more signs.]"
        }
    }
}
