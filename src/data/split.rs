//! The hold-out: which pairs are kept back to measure with.
//!
//! Decided by the prompt and a seed, never by position, so adding or deleting pairs moves no other pair, and variants
//! of one prompt (other answers, other spelling of blanks and case, another system turn) never sit on both sides.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{Pair, Prompt, Role, Split, mix};

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
        Self::place(self.seed, key) < self.eval_fraction
    }

    /// Where `seed` puts a prompt between 0 and 1: it is held out by every share above.
    pub fn place(seed: u64, key: PromptKey) -> f64 {
        (mix(key.0 ^ mix(seed)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// What all variants of one prompt share: a hash of the words of its turns, system turns left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PromptKey(pub u64);

impl PromptKey {
    pub fn of(prompt: &Prompt) -> Self {
        let mut words = String::new();
        for text in spoken(prompt) {
            for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
                if word.is_ascii() {
                    words.extend(word.chars().map(|letter| letter.to_ascii_lowercase()));
                } else {
                    words.push_str(&word.to_lowercase());
                }
                words.push(' ');
            }
        }
        if words.is_empty() {
            // Nothing but signs: they are all there is to tell such prompts apart.
            for text in spoken(prompt) {
                words.push_str(text.trim());
                words.push('\n');
            }
        }
        let bytes = *blake3::hash(words.as_bytes()).as_bytes();
        Self(u64::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]]))
    }
}

/// Which prompts are held out, from pairs that are told one at a time. A pinned pair ([`Split::Train`],
/// [`Split::Eval`]) takes all variants of its prompt along; where pins disagree, what one of them holds out stays held
/// out.
#[derive(Debug, Clone)]
pub struct HoldOut {
    rule: SplitRule,
    pins: HashMap<PromptKey, bool>,
    known: HashMap<PromptKey, bool>,
}

impl HoldOut {
    pub fn new(rule: SplitRule) -> Self {
        Self { rule, pins: HashMap::new(), known: HashMap::new() }
    }

    /// What is held out of these pairs.
    pub fn of<'a>(rule: SplitRule, pairs: impl IntoIterator<Item = &'a Pair>) -> Self {
        let mut hold_out = Self::new(rule);
        hold_out.tell_all(pairs);
        hold_out
    }

    /// Prompts that are known to stand on a side, `true` for held out, stay there whatever their pairs say.
    #[must_use]
    pub fn keeping(mut self, known: impl IntoIterator<Item = (PromptKey, bool)>) -> Self {
        self.known.extend(known);
        self
    }

    /// Hears of a pair. Only when all were told is it known what is held out.
    pub fn tell(&mut self, prompt: PromptKey, split: Split) {
        match split {
            Split::Auto => {}
            Split::Train => {
                self.pins.entry(prompt).or_insert(false);
            }
            Split::Eval => {
                self.pins.insert(prompt, true);
            }
        }
    }

    /// The same of several.
    pub fn tell_all<'a>(&mut self, pairs: impl IntoIterator<Item = &'a Pair>) {
        for pair in pairs {
            self.tell(PromptKey::of(&pair.prompt), pair.split);
        }
    }

    pub fn holds_out(&self, prompt: PromptKey) -> bool {
        let pinned = || self.pins.get(&prompt).copied();
        self.known.get(&prompt).copied().or_else(pinned).unwrap_or_else(|| self.rule.holds_out(prompt))
    }
}

/// The prompts themselves that are held out.
pub struct HeldOutPrompts {
    hold_out: HoldOut,
    /// Those that were held out when they were met.
    prompts: HashMap<PromptKey, Prompt>,
}

impl HeldOutPrompts {
    pub fn new(hold_out: HoldOut) -> Self {
        Self { hold_out, prompts: HashMap::new() }
    }

    pub fn take(&mut self, pair: Pair) {
        let key = PromptKey::of(&pair.prompt);
        self.hold_out.tell(key, pair.split);
        // What a later pair says counts when they are drawn.
        if self.hold_out.holds_out(key) {
            self.prompts.entry(key).or_insert(pair.prompt);
        }
    }

    /// Of these only what `other` holds out too.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.prompts.retain(|key, _| other.prompts.contains_key(key) && other.hold_out.holds_out(*key));
        self
    }

    /// At most `most` of them, drawn by `seed`; variants of one prompt count once.
    pub fn some(self, most: usize, seed: u64) -> Vec<Prompt> {
        let Self { prompts, hold_out } = self;
        let held_out = prompts.into_iter().filter(|(key, _)| hold_out.holds_out(*key));
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

#[cfg(test)]
mod tests {
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

    /// Which of these are held out.
    fn held_out(pairs: &[Pair], rule: SplitRule) -> Vec<usize> {
        places(&HoldOut::of(rule, pairs), pairs)
    }

    fn places(hold_out: &HoldOut, pairs: &[Pair]) -> Vec<usize> {
        (0..pairs.len()).filter(|&n| hold_out.holds_out(PromptKey::of(&pairs[n].prompt))).collect()
    }

    #[test]
    fn the_fraction_is_met_and_the_seed_matters() {
        let pairs: Vec<Pair> = (0..4000).map(|n| pair(&format!("question {n}"))).collect();
        let rule = SplitRule { eval_fraction: 0.25, seed: 1 };
        let some = held_out(&pairs, rule);
        let share = some.len() as f64 / pairs.len() as f64;
        assert!((share - 0.25).abs() < 0.03, "held out {share}");
        assert_ne!(some, held_out(&pairs, SplitRule { seed: 2, ..rule }));
        assert!(held_out(&pairs, SplitRule { eval_fraction: 0.0, ..rule }).is_empty());
        assert_eq!(held_out(&pairs, SplitRule { eval_fraction: 1.0, ..rule }).len(), pairs.len());
    }

    #[test]
    fn a_pin_takes_the_variants_along_and_held_out_wins() {
        let pinned = |split| Pair { split, ..pair("Same question") };
        let none = SplitRule { eval_fraction: 0.0, seed: 0 };
        let pairs = [pinned(Split::Auto), pinned(Split::Train), pair("other")];
        assert!(held_out(&pairs, none).is_empty());
        let pairs = [pinned(Split::Train), pinned(Split::Eval), pair("other")];
        assert_eq!(held_out(&pairs, none), [0, 1]);
        let pairs = [pinned(Split::Eval), pinned(Split::Train), pair("other")];
        assert_eq!(held_out(&pairs, none), [0, 1]);
        let all = SplitRule { eval_fraction: 1.0, seed: 0 };
        assert_eq!(held_out(&[pinned(Split::Train), pair("same question?"), pair("other")], all), [2]);
    }

    #[test]
    fn a_known_side_is_kept_against_pins_and_rule() {
        let pairs = [Pair { split: Split::Train, ..pair("Held out") }, pair("held out?"), pair("other")];
        let known = [(PromptKey::of(&pairs[0].prompt), true)];
        let mut hold_out = HoldOut::new(SplitRule { eval_fraction: 0.0, seed: 0 }).keeping(known);
        hold_out.tell_all(&pairs);
        assert_eq!(places(&hold_out, &pairs), [0, 1]);
    }

    #[test]
    fn held_out_prompts_are_those_of_held_out_pairs() {
        let pins = [Split::Auto, Split::Auto, Split::Train, Split::Auto, Split::Eval];
        let pairs: Vec<Pair> =
            (0..60).map(|n| Pair { split: pins[n % 5], ..pair(&format!("question {}", n % 40)) }).collect();
        let rule = SplitRule { eval_fraction: 0.4, seed: 3 };
        let known = [(PromptKey::of(&pairs[7].prompt), true), (PromptKey::of(&pairs[9].prompt), false)];
        let mut prompts = HeldOutPrompts::new(HoldOut::new(rule).keeping(known));
        for pair in pairs.clone() {
            prompts.take(pair);
        }
        let mut hold_out = HoldOut::new(rule).keeping(known);
        hold_out.tell_all(&pairs);
        let key = |prompt: &Prompt| PromptKey::of(prompt);
        let mut expected: Vec<PromptKey> =
            places(&hold_out, &pairs).into_iter().map(|n| key(&pairs[n].prompt)).collect();
        expected.sort_unstable();
        expected.dedup();
        let mut all: Vec<PromptKey> = prompts.some(100, 1).iter().map(key).collect();
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
}
