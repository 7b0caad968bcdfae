//! What the islands' people and places are called, and what values their facts are drawn from.

pub struct Shop {
    pub name: &'static str,
    pub kind: &'static str,
    pub product: &'static str,
}

pub struct Inn {
    pub name: &'static str,
    pub dish: &'static str,
}

pub struct Sight {
    pub name: &'static str,
    pub see: &'static str,
}

pub struct Festival {
    pub name: &'static str,
    pub doing: &'static str,
    pub treat: &'static str,
}

pub struct Walk {
    pub name: &'static str,
    pub view: &'static str,
    pub beware: &'static str,
}

const fn shop(name: &'static str, kind: &'static str, product: &'static str) -> Shop {
    Shop { name, kind, product }
}

const fn inn(name: &'static str, dish: &'static str) -> Inn {
    Inn { name, dish }
}

const fn sight(name: &'static str, see: &'static str) -> Sight {
    Sight { name, see }
}

const fn festival(name: &'static str, doing: &'static str, treat: &'static str) -> Festival {
    Festival { name, doing, treat }
}

const fn walk(name: &'static str, view: &'static str, beware: &'static str) -> Walk {
    Walk { name, view, beware }
}

pub const SHOPS: &[Shop] = &[
    shop("the Gilded Crumb", "bakery", "seaweed bread"),
    shop("the Paper Lantern", "bookshop", "old sea charts"),
    shop("Finch and Daughter", "clockmaker", "ship's clocks"),
    shop("the Blue Thimble", "tailor", "oilskin coats"),
    shop("the Honest Hook", "fishmonger", "smoked mackerel"),
    shop("the Salt Barrel", "grocer", "sea salt fudge"),
    shop("the Wax Wing", "candle maker", "beeswax candles"),
    shop("the Copper Snail", "tinsmith", "copper lanterns"),
    shop("the Grey Ewe", "wool shop", "striped blankets"),
    shop("the Bottle Garden", "herb shop", "thyme cough drops"),
];

pub const INNS: &[Inn] = &[
    inn("the Drowsy Gull", "crab soup"),
    inn("the Anchor and Plum", "plum dumplings"),
    inn("the Three Oars", "fried sprats"),
    inn("the Lamplighter", "mussel stew"),
    inn("the Barley Moon", "barley pancakes"),
    inn("the Crooked Mast", "baked cod"),
    inn("the Quiet Heron", "leek pie"),
    inn("the Merry Cork", "pickled herring"),
];

pub const SIGHTS: &[Sight] = &[
    sight("the Whale Museum", "the bones of a blue whale"),
    sight("the Old Lighthouse", "a lamp as tall as a man"),
    sight("the Glass House", "palm trees from warm countries"),
    sight("the Mill of Winds", "four sails made of red canvas"),
    sight("the Tide Clock", "a clock that is moved by the sea"),
    sight("the Rope Hall", "the longest rope in the islands"),
    sight("the Shell Chapel", "walls of a thousand shells"),
    sight("the Map Room", "a map drawn by pirates"),
];

pub const FERRIES: &[&str] = &[
    "the Sea Otter",
    "the Morning Star",
    "the Grey Swan",
    "the Little Annie",
    "the Peregrine",
    "the Silver Tern",
    "the Old Faithful",
    "the Mermaid",
];

pub const FESTIVALS: &[Festival] = &[
    festival("Lantern Night", "set paper boats with candles on the water", "ginger cake"),
    festival("the Herring Fair", "race wheelbarrows full of fish", "herring rolls"),
    festival("Kite Week", "fly kites from the cliffs", "apple fritters"),
    festival("the Feast of Oars", "row around the island in barrels", "onion tart"),
    festival("the Honey Market", "dance around the hives", "honey buns"),
    festival("the Long Supper", "eat together at one long table on the beach", "bean stew"),
];

pub const WALKS: &[Walk] = &[
    walk("the Cliff Path", "nests of puffins", "loose stones"),
    walk("the Heron Walk", "herons in the reeds", "deep mud"),
    walk("Mill Lane", "fields of blue flax", "a cross goose"),
    walk("the Smugglers' Stairs", "caves full of echoes", "slippery steps"),
    walk("the Orchard Round", "crooked apple trees", "sleepy wasps"),
    walk("the Causeway", "seals on the sandbanks", "the rising tide"),
];

/// Name, and what the village is known for.
pub const VILLAGES: &[(&str, &str)] = &[
    ("Port Pell", "its round harbour"),
    ("Tansy Head", "its yellow cliffs"),
    ("Oldmill", "its seven bridges"),
    ("Gull Hythe", "its painted boats"),
    ("Lantern Cove", "its glowing plankton"),
    ("Bramble Ness", "its blackberry hedges"),
];

/// A sign, and what it means.
pub const LORE: &[(&str, &str)] = &[
    ("gulls sit on the roofs", "a storm before night"),
    ("the seaweed smells sweet", "three dry days"),
    ("the cats wash behind their ears", "rain by supper"),
    ("the sunset is green", "a calm crossing"),
    ("the fog has a hard edge", "wind from the north"),
    ("the bees stay at home", "thunder in the afternoon"),
    ("the smoke lies on the water", "a late frost"),
    ("the crabs walk up the beach", "a very high tide"),
];

/// Name and pronoun.
pub const PEOPLE: &[(&str, &str)] = &[
    ("Ada Larch", "she"),
    ("Bram Tolley", "he"),
    ("Cora Wick", "she"),
    ("Dunstan Reed", "he"),
    ("Elsie Marl", "she"),
    ("Fergus Pike", "he"),
    ("Greta Lunn", "she"),
    ("Hob Carver", "he"),
    ("Ivy Sorrel", "she"),
    ("Jonas Quill", "he"),
    ("Kit Barrow", "he"),
    ("Lotte Stern", "she"),
    ("Magnus Hale", "he"),
    ("Nell Tansy", "she"),
    ("Otto Brine", "he"),
    ("Pearl Addy", "she"),
    ("Quentin Moss", "he"),
    ("Rosa Kettle", "she"),
    ("Silas Dune", "he"),
    ("Tilda Crane", "she"),
    ("Ulf Rowan", "he"),
    ("Vera Nook", "she"),
    ("Wilf Ember", "he"),
    ("Xenia Hart", "she"),
    ("Yorick Lamb", "he"),
    ("Zelda Frost", "she"),
];

pub const HOBBIES: &[&str] = &[
    "carves spoons",
    "collects buttons",
    "paints gulls",
    "plays the fiddle",
    "keeps bees",
    "writes poems",
    "grows giant marrows",
    "builds ships in bottles",
    "knits socks",
    "studies the stars",
    "bakes gingerbread",
    "plays chess by letter",
    "sings in the choir",
    "repairs kites",
    "presses flowers",
    "tells ghost stories",
    "swims in winter",
    "juggles apples",
    "folds paper birds",
    "plays the accordion",
    "weaves baskets",
    "counts seals",
    "brews elderflower wine",
    "mends nets",
    "dances on Sundays",
    "photographs clouds",
];

pub const PETS: &[&str] = &[
    "a one-eyed cat",
    "a lazy spaniel",
    "a talking parrot",
    "a white goat",
    "two ferrets",
    "a tame crow",
    "a very old tortoise",
    "a striped cat",
    "a brave terrier",
    "a pair of doves",
    "a spotted pig",
    "a blind donkey",
    "a fat goose",
    "three hens",
    "a grey hound",
    "a shy hedgehog",
    "a tabby kitten",
    "a noisy rooster",
    "a small black pony",
    "a green lizard",
    "a snow-white rabbit",
    "a sheepdog",
    "an orange cat",
    "a clever rat",
    "a bowl of goldfish",
    "a lame duck",
];

/// Where exactly a place is; the host's tip. One for each shop, inn and sight.
pub const LANDMARKS: &[&str] = &[
    "by the fish stairs",
    "next to the pump",
    "under the big elm",
    "behind the church",
    "at the end of the pier",
    "beside the well",
    "across from the school",
    "above the boat yard",
    "near the old wall",
    "below the clock tower",
    "on the corner of Eel Street",
    "opposite the post office",
    "at the top of Goat Hill",
    "beside the red gate",
    "close to the bandstand",
    "behind the net sheds",
    "near the stone cross",
    "next to the sail loft",
    "under the two chestnuts",
    "by the duck pond",
    "at the foot of the steps",
    "opposite the bell house",
    "on the sunny side of the square",
    "beside the iron anchor",
    "near the rain barrel",
    "at the turn of the brook",
];

pub const MORNINGS: &[&str] = &[
    "six in the morning",
    "half past six",
    "seven in the morning",
    "half past seven",
    "eight in the morning",
    "half past eight",
    "nine in the morning",
    "half past nine",
    "ten in the morning",
];

pub const EVENINGS: &[&str] = &[
    "three in the afternoon",
    "four in the afternoon",
    "five in the afternoon",
    "half past five",
    "six in the evening",
    "seven in the evening",
    "half past four",
    "eight in the evening",
];

pub const DAYS: &[&str] = &["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

pub const PRICES: &[&str] = &[
    "two pence",
    "three pence",
    "four pence",
    "five pence",
    "six pence",
    "eight pence",
    "ten pence",
    "one shilling",
    "two shillings",
    "three shillings",
];

pub const ROOM_PRICES: &[&str] = &[
    "five shillings",
    "six shillings",
    "seven shillings",
    "eight shillings",
    "nine shillings",
    "ten shillings",
    "twelve shillings",
    "one crown",
    "two crowns",
];

pub const CROSSINGS: &[&str] = &[
    "ten minutes",
    "a quarter of an hour",
    "twenty minutes",
    "half an hour",
    "forty minutes",
    "one hour",
    "an hour and a half",
    "two hours",
];

pub const WALK_TIMES: &[&str] = &["one hour", "an hour and a half", "two hours", "three hours", "half a day"];

pub const HOUSES: &[&str] = &[
    "thirty houses",
    "forty houses",
    "fifty houses",
    "sixty houses",
    "eighty houses",
    "ninety houses",
    "a hundred houses",
    "two hundred houses",
];

pub const MONTHS: &[&str] =
    &["February", "March", "April", "May", "June", "July", "August", "September", "October", "November"];
