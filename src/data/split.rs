//! The hold-out: which pairs are kept back to measure with.
//!
//! Decided by the prompt and a seed, never by position, so adding or deleting pairs moves no other pair, and variants of
//! one prompt (other answers, other spelling of blanks and case, another system turn) never sit on both sides.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::{Pair, Prompt, Role, Split};

/// Which prompts are held out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SplitRule {
    /// Share of prompts held out, 0..=1.
    pub eval_fraction: f64,
    pub seed: u64,
}

impl Default for SplitRule {
    fn default() -> Self {
        Self { eval_fraction: 0.1, seed: 0 }
    }
}

impl SplitRule {
    /// Whether prompts with this key are held out when no pair of theirs is pinned.
    pub fn holds_out(&self, key: PromptKey) -> bool {
        let point = (mix(key.0 ^ mix(self.seed)) >> 11) as f64 / (1u64 << 53) as f64;
        point < self.eval_fraction
    }
}

/// What all variants of one prompt share: a hash of the words of its turns, system turns left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PromptKey(pub u64);

impl PromptKey {
    pub fn of(prompt: &Prompt) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut words = 0;
        for text in spoken(prompt) {
            for word in text.split(|c: char| !c.is_alphanumeric()) {
                if !word.is_empty() {
                    words += 1;
                    hasher.update(word.to_lowercase().as_bytes());
                    hasher.update(b" ");
                }
            }
        }
        if words == 0 {
            // Nothing but signs: they are all there is to tell such prompts apart.
            for text in spoken(prompt) {
                hasher.update(text.trim().as_bytes());
                hasher.update(b"\n");
            }
        }
        let bytes = *hasher.finalize().as_bytes();
        Self(u64::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]]))
    }
}

/// The two sides of the hold-out, as indices into the pairs given, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sides {
    pub train: Vec<usize>,
    pub eval: Vec<usize>,
}

/// Splits by prompt. A pinned pair ([`Split::Train`], [`Split::Eval`]) takes all variants of its prompt along; where
/// pins disagree, what one of them holds out stays held out.
pub fn split(pairs: &[Pair], rule: SplitRule) -> Sides {
    let keys: Vec<PromptKey> = pairs.iter().map(|pair| PromptKey::of(&pair.prompt)).collect();
    let mut pins: HashMap<PromptKey, bool> = HashMap::new();
    for (pair, key) in pairs.iter().zip(&keys) {
        match pair.split {
            Split::Auto => {}
            Split::Train => {
                pins.entry(*key).or_insert(false);
            }
            Split::Eval => {
                pins.insert(*key, true);
            }
        }
    }
    let mut sides = Sides::default();
    for (index, key) in keys.iter().enumerate() {
        let held_out = pins.get(key).copied().unwrap_or_else(|| rule.holds_out(*key));
        if held_out {
            sides.eval.push(index);
        } else {
            sides.train.push(index);
        }
    }
    sides
}

/// Pins pairs whose prompt is known to stand on a side, `true` for held out, whatever they say themselves.
pub fn keep_sides(pairs: &mut [Pair], known: &BTreeMap<PromptKey, bool>) {
    if known.is_empty() {
        return;
    }
    for pair in pairs {
        match known.get(&PromptKey::of(&pair.prompt)) {
            Some(true) => pair.split = Split::Eval,
            Some(false) => pair.split = Split::Train,
            None => {}
        }
    }
}

/// Prompts that are held out, from pairs that are told one at a time; agrees with [`split`].
pub struct HeldOutPrompts {
    rule: SplitRule,
    /// By the rule or by a pin.
    prompts: HashMap<PromptKey, Prompt>,
    pins: HashMap<PromptKey, bool>,
}

impl HeldOutPrompts {
    pub fn new(rule: SplitRule) -> Self {
        Self { rule, prompts: HashMap::new(), pins: HashMap::new() }
    }

    pub fn take(&mut self, pair: Pair) {
        let key = PromptKey::of(&pair.prompt);
        match pair.split {
            Split::Auto => {}
            Split::Train => {
                self.pins.entry(key).or_insert(false);
            }
            Split::Eval => {
                self.pins.insert(key, true);
            }
        }
        if pair.split == Split::Eval || self.rule.holds_out(key) {
            self.prompts.entry(key).or_insert(pair.prompt);
        }
    }

    /// Of these only what `other` holds out too.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.prompts.retain(|key, _| other.prompts.contains_key(key) && other.pins.get(key).copied().unwrap_or(true));
        self
    }

    /// At most `most` of them, drawn by `seed`; variants of one prompt count once.
    pub fn some(self, most: usize, seed: u64) -> Vec<Prompt> {
        let Self { prompts, pins, .. } = self;
        let held_out = prompts.into_iter().filter(|(key, _)| pins.get(key).copied().unwrap_or(true));
        let mut drawn: Vec<(u64, Prompt)> = held_out.map(|(key, prompt)| (mix(key.0 ^ mix(seed)), prompt)).collect();
        drawn.sort_by_key(|(place, _)| *place);
        drawn.into_iter().take(most).map(|(_, prompt)| prompt).collect()
    }
}

/// The texts that make a prompt what it is: all turns but the system's, or those if there are no others.
fn spoken(prompt: &Prompt) -> Vec<&str> {
    match prompt {
        Prompt::Text(text) => vec![text],
        Prompt::Chat(turns) => {
            let only_system = turns.iter().all(|turn| turn.role == Role::System);
            turns
                .iter()
                .filter(|turn| only_system || turn.role != Role::System)
                .map(|turn| turn.content.as_str())
                .collect()
        }
    }
}

/// The finaliser of SplitMix64: every input bit reaches every output bit.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{PairId, Turn};

    fn pair(prompt: &str) -> Pair {
        Pair::new(PairId::NEW, Prompt::Text(prompt.to_owned()), &["a", "b"])
    }

    #[test]
    fn the_key_sees_words_only() {
        let key = |text: &str| PromptKey::of(&Prompt::Text(text.to_owned()));
        assert_eq!(key("Where is the mill?"), key("  where IS\nthe mill "));
        assert_ne!(key("Where is the mill?"), key("Where is the hill?"));
        assert_ne!(key("ab c"), key("a bc"));
        assert_ne!(key("??"), key("!!"), "prompts without words still differ");
        assert_eq!(key("Wo ist die Mühle"), key("wo ist die MÜHLE?"));
    }

    #[test]
    fn another_system_turn_is_the_same_prompt() {
        let turn = Turn::new;
        let plain = Prompt::chat(vec![turn(Role::User, "Name a prime")]);
        let with_system = Prompt::chat(vec![turn(Role::System, "Be brief."), turn(Role::User, "name a prime!")]);
        assert_eq!(PromptKey::of(&plain), PromptKey::of(&with_system));
        let only_system = |text| Prompt::chat(vec![turn(Role::System, text)]);
        assert_ne!(PromptKey::of(&only_system("one")), PromptKey::of(&only_system("two")));
    }

    #[test]
    fn the_fraction_is_met_and_the_seed_matters() {
        let pairs: Vec<Pair> = (0..4000).map(|n| pair(&format!("question {n}"))).collect();
        let rule = SplitRule { eval_fraction: 0.25, seed: 1 };
        let sides = split(&pairs, rule);
        assert_eq!(sides.train.len() + sides.eval.len(), pairs.len());
        let share = sides.eval.len() as f64 / pairs.len() as f64;
        assert!((share - 0.25).abs() < 0.03, "held out {share}");
        assert_ne!(sides, split(&pairs, SplitRule { seed: 2, ..rule }));
        let none = SplitRule { eval_fraction: 0.0, ..rule };
        assert!(split(&pairs, none).eval.is_empty());
        let all = SplitRule { eval_fraction: 1.0, ..rule };
        assert!(split(&pairs, all).train.is_empty());
    }

    #[test]
    fn a_pin_takes_the_variants_along_and_held_out_wins() {
        let pinned = |split| Pair { split, ..pair("Same question") };
        let none = SplitRule { eval_fraction: 0.0, seed: 0 };
        let pairs = [pinned(Split::Auto), pinned(Split::Train), pair("other")];
        assert!(split(&pairs, none).eval.is_empty());
        let pairs = [pinned(Split::Train), pinned(Split::Eval), pair("other")];
        assert_eq!(split(&pairs, none).eval, [0, 1]);
        let pairs = [pinned(Split::Eval), pinned(Split::Train), pair("other")];
        assert_eq!(split(&pairs, none).eval, [0, 1]);
    }

    #[test]
    fn a_known_side_is_kept_against_pins_and_rule() {
        let mut pairs = [Pair { split: Split::Train, ..pair("Held out") }, pair("held out?"), pair("other")];
        let known = BTreeMap::from([(PromptKey::of(&pairs[0].prompt), true)]);
        keep_sides(&mut pairs, &known);
        let sides = split(&pairs, SplitRule { eval_fraction: 0.0, seed: 0 });
        assert_eq!((sides.eval, sides.train), (vec![0, 1], vec![2]));
    }

    #[test]
    fn prompts_told_one_at_a_time_are_held_out_as_pairs_are() {
        let pins = [Split::Auto, Split::Auto, Split::Train, Split::Auto, Split::Eval];
        let pairs: Vec<Pair> =
            (0..60).map(|n| Pair { split: pins[n % 5], ..pair(&format!("question {}", n % 40)) }).collect();
        let rule = SplitRule { eval_fraction: 0.4, seed: 3 };
        let mut held_out = HeldOutPrompts::new(rule);
        pairs.iter().cloned().for_each(|pair| held_out.take(pair));
        let key = |prompt: &Prompt| PromptKey::of(prompt);
        let mut expected: Vec<PromptKey> =
            split(&pairs, rule).eval.into_iter().map(|n| key(&pairs[n].prompt)).collect();
        expected.sort_unstable();
        expected.dedup();
        let mut all: Vec<PromptKey> = held_out.some(100, 1).iter().map(key).collect();
        all.sort_unstable();
        assert_eq!(all, expected);
    }

    #[test]
    fn the_side_of_a_prompt_never_changes() {
        // Recorded once: a change of the hash would move pairs of existing projects across the hold-out.
        let rule = SplitRule { eval_fraction: 0.5, seed: 7 };
        let held_out = |text: &str| rule.holds_out(PromptKey::of(&Prompt::Text(text.to_owned())));
        let sides: Vec<bool> = (0..12).map(|n| held_out(&format!("prompt {n}"))).collect();
        let recorded = [1, 1, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0].map(|side| side == 1);
        assert_eq!(sides, recorded);
    }

    proptest! {
        #[test]
        fn variants_never_sit_on_both_sides(
            prompts in prop::collection::vec(("[a-c]{1,2}", 0u8..3, any::<bool>()), 1..40),
            seed: u64,
        ) {
            let pairs: Vec<Pair> = prompts
                .iter()
                .map(|(text, pin, upper)| Pair {
                    split: [Split::Auto, Split::Train, Split::Eval][usize::from(*pin)],
                    ..pair(&if *upper { text.to_uppercase() } else { format!(" {text}?") })
                })
                .collect();
            let sides = split(&pairs, SplitRule { eval_fraction: 0.5, seed });
            for &train in &sides.train {
                for &eval in &sides.eval {
                    prop_assert_ne!(PromptKey::of(&pairs[train].prompt), PromptKey::of(&pairs[eval].prompt));
                }
            }
        }
    }
}
