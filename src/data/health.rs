//! What is suspicious about a data set. Pure, one pass, quick on 100 000 pairs.

use std::collections::HashMap;

use super::{
    Answer, Cycle, Pair, PairId, Prompt, cycles,
    habits::{self, Habits},
};

/// Findings, each with the pairs it is about. Lists are in the order of the pairs given.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Health {
    pub pairs: usize,
    /// Pairs with a better and a worse answer.
    pub decided: usize,
    /// Groups that say the same thing more than once: same prompt, same chosen, same rejected.
    pub duplicates: Vec<Vec<PairId>>,
    /// Groups with the same prompt and the same two answers, in which each answer is chosen at least once.
    pub contradictions: Vec<Vec<PairId>>,
    /// Pairs in which two answers are the same but for blanks at their ends.
    pub identical_answers: Vec<PairId>,
    /// Pairs with an answer that is nothing but blanks.
    pub empty_answers: Vec<PairId>,
    /// Verdicts on one prompt that go round in a circle.
    pub cycles: Vec<Cycle>,
    pub length: LengthBias,
    pub habits: Habits,
}

impl Health {
    /// Whether nothing deserves a look. Length bias and habits are readings, not findings.
    pub fn is_clean(&self) -> bool {
        self.duplicates.is_empty()
            && self.contradictions.is_empty()
            && self.identical_answers.is_empty()
            && self.empty_answers.is_empty()
            && self.cycles.is_empty()
    }
}

/// How often the longer answer won, by characters.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LengthBias {
    /// Decided pairs whose answers differ in length.
    pub compared: usize,
    pub longer_chosen: usize,
    /// Mean characters of chosen and of rejected answers, over all decided pairs.
    pub mean_chosen: f64,
    pub mean_rejected: f64,
}

impl LengthBias {
    /// Share of comparisons won by the longer answer; 0.5 = no bias. Absent when nothing could be compared.
    pub fn longer_share(&self) -> Option<f64> {
        (self.compared > 0).then(|| self.longer_chosen as f64 / self.compared as f64)
    }
}

/// Looks over all pairs.
pub fn examine(pairs: &[Pair]) -> Health {
    let mut health = Health {
        pairs: pairs.len(),
        length: length_bias(pairs),
        cycles: cycles(pairs),
        habits: habits::habits(pairs),
        ..Health::default()
    };
    // Keyed by prompt and the two answers in a fixed order; the flag says which of the two was chosen.
    let mut verdicts: HashMap<[u64; 3], Vec<(usize, bool)>> = HashMap::new();
    for (index, pair) in pairs.iter().enumerate() {
        if pair.answers.iter().any(is_empty) {
            health.empty_answers.push(pair.id);
        } else if has_identical_answers(pair) {
            health.identical_answers.push(pair.id);
        }
        if let Some((chosen, rejected)) = pair.sides() {
            health.decided += 1;
            let (chosen, rejected) = (fingerprint(chosen), fingerprint(rejected));
            if chosen != rejected {
                let key = [prompt_fingerprint(pair), chosen.min(rejected), chosen.max(rejected)];
                verdicts.entry(key).or_default().push((index, chosen < rejected));
            }
        }
    }
    let mut groups: Vec<_> = verdicts.into_values().filter(|group| group.len() > 1).collect();
    groups.sort_unstable_by_key(|group| group[0].0);
    let ids = |members: &mut dyn Iterator<Item = &(usize, bool)>| -> Vec<PairId> {
        members.map(|(index, _)| pairs[*index].id).collect()
    };
    for group in groups {
        if group.iter().any(|(_, first)| *first != group[0].1) {
            health.contradictions.push(ids(&mut group.iter()));
        }
        for side in [true, false] {
            let same = ids(&mut group.iter().filter(|(_, first)| *first == side));
            if same.len() > 1 {
                health.duplicates.push(same);
            }
        }
    }
    health.duplicates.sort_unstable();
    health
}

/// How often the longer answer was chosen. Part of [`examine`]; alone it is cheap enough to follow labelling live.
pub fn length_bias<'a>(pairs: impl IntoIterator<Item = &'a Pair>) -> LengthBias {
    let mut bias = LengthBias::default();
    let (mut decided, mut chosen_sum, mut rejected_sum) = (0usize, 0usize, 0usize);
    for (chosen, rejected) in pairs.into_iter().filter_map(Pair::sides) {
        let (chosen, rejected) = (chosen.text.chars().count(), rejected.text.chars().count());
        decided += 1;
        chosen_sum += chosen;
        rejected_sum += rejected;
        if chosen != rejected {
            bias.compared += 1;
            bias.longer_chosen += usize::from(chosen > rejected);
        }
    }
    if decided > 0 {
        bias.mean_chosen = chosen_sum as f64 / decided as f64;
        bias.mean_rejected = rejected_sum as f64 / decided as f64;
    }
    bias
}

fn is_empty(answer: &Answer) -> bool {
    answer.is_empty()
}

fn has_identical_answers(pair: &Pair) -> bool {
    let texts = || pair.answers.iter().map(|answer| (answer.text.trim(), &answer.extras));
    texts().enumerate().any(|(index, text)| texts().skip(index + 1).any(|other| other == text))
}

/// 64 bits of the answer's text, blanks at its ends left out.
pub(crate) fn fingerprint(answer: &Answer) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(answer.text.trim().as_bytes());
    for (name, value) in answer.extras.iter() {
        hasher.update(format!("{name}{value}").as_bytes());
    }
    first_bytes(hasher.finalize())
}

/// The exact prompt but for blanks: unlike the split's key, another system turn is another prompt here, because the same two
/// answers may well be judged differently under it.
pub(crate) fn prompt_fingerprint(pair: &Pair) -> u64 {
    let mut hasher = blake3::Hasher::new();
    match &pair.prompt {
        Prompt::Text(text) => {
            hasher.update(text.trim().as_bytes());
        }
        Prompt::Chat(turns) => {
            for turn in turns {
                hasher.update(turn.role.name().as_bytes());
                hasher.update(turn.content.trim().as_bytes());
                for (name, value) in turn.extras.iter() {
                    hasher.update(format!("{name}{value}").as_bytes());
                }
                hasher.update(&[0]);
            }
        }
    }
    first_bytes(hasher.finalize())
}

fn first_bytes(hash: blake3::Hash) -> u64 {
    let bytes = hash.as_bytes();
    u64::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Choice, Role, Strength, Turn, Verdict};

    fn pair(id: i64, prompt: &str, answers: [&str; 2], chosen: Option<usize>) -> Pair {
        let mut pair = Pair::new(PairId(id), Prompt::Text(prompt.to_owned()), &answers);
        pair.verdict = chosen.map(|chosen| Verdict {
            choice: Choice::Better { chosen, rejected: 1 - chosen, strength: Strength::Strongly },
            who: "local".to_owned(),
            at_ms: 0,
            took_ms: None,
            shown_left: None,
        });
        pair
    }

    fn ids(groups: &[Vec<PairId>]) -> Vec<Vec<i64>> {
        groups.iter().map(|group| group.iter().map(|id| id.0).collect()).collect()
    }

    #[test]
    fn duplicates_and_contradictions_are_told_apart() {
        let pairs = [
            pair(1, "p", ["long", "s"], Some(0)),
            pair(2, "p", ["s", "long "], Some(1)), // the same with the answers swapped
            pair(3, "p", ["long", "s"], Some(1)),  // the opposite
            pair(4, "q", ["long", "s"], Some(1)),  // another prompt
            pair(5, "p", ["long", "s"], None),     // says nothing
            pair(6, "q", ["s", "t"], Some(0)),
        ];
        let health = examine(&pairs);
        assert_eq!(ids(&health.duplicates), [[1, 2]]);
        assert_eq!(ids(&health.contradictions), [[1, 2, 3]]);
        assert_eq!(health.decided, 5);
        assert!(!health.is_clean());
        assert!(examine(&pairs[3..]).is_clean());
    }

    #[test]
    fn another_system_turn_is_no_contradiction() {
        let with_system = |id, system: &str, chosen| {
            let mut pair = pair(id, "", ["yes", "no"], Some(chosen));
            pair.prompt = Prompt::chat(vec![Turn::new(Role::System, system), Turn::new(Role::User, "Agree?")]);
            pair
        };
        let pairs = [with_system(1, "Be kind", 0), with_system(2, "Be stern", 1)];
        assert!(examine(&pairs).contradictions.is_empty());
    }

    #[test]
    fn empty_and_identical_answers_are_found_with_or_without_a_verdict() {
        let pairs = [
            pair(1, "p", ["same", " same\n"], Some(0)),
            pair(2, "p", ["a", "  "], None),
            pair(3, "p", ["", ""], None),
            pair(4, "p", ["a", "b"], None),
        ];
        let health = examine(&pairs);
        assert_eq!(health.identical_answers, [PairId(1)]);
        assert_eq!(health.empty_answers, [PairId(2), PairId(3)]);
        assert!(health.duplicates.is_empty() && health.contradictions.is_empty());
    }

    #[test]
    fn length_bias_counts_characters_not_bytes() {
        let pairs = [
            pair(1, "p", ["äöü", "abcd"], Some(1)), // 3 characters against 4, though 6 bytes against 4
            pair(2, "p", ["ab", "abcd"], Some(0)),
            pair(3, "p", ["ab", "cd"], Some(0)), // equal: not compared
            pair(4, "p", ["ab", "abcd"], None),
        ];
        let bias = examine(&pairs).length;
        assert_eq!((bias.compared, bias.longer_chosen), (2, 1));
        assert_eq!(bias.longer_share(), Some(0.5));
        assert_eq!(bias.mean_chosen, (4.0 + 2.0 + 2.0) / 3.0);
        assert_eq!(length_bias(&[]).longer_share(), None);
    }
}
