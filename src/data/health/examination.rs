//! Looking over pairs one by one: what is kept of each is hashes and counts, some 80 bytes, never its texts.

use std::collections::{BTreeMap, HashMap};

use super::{Finding, FindingKind, Health, Lengths, has_identical_answers, near, refusal};
use crate::{
    Pair, PairId, Prompt, PromptKey, Split,
    cycles::{Comparison, cycles_of},
    fingerprint::{fingerprint, prompt_fingerprint},
    habits::{Label, habits_of},
};

/// Pairs whose languages are guessed, spread over the data: a guess takes longer than all else together.
const GUESSED: usize = 20_000;
/// Characters that a language is guessed from.
const GUESSED_CHARS: usize = 300;
/// Sources with their own length bias.
const SOURCES: usize = 6;

/// An examination that is under way.
pub struct Examination {
    health: Health,
    language: fn(&str) -> Option<&'static str>,
    /// Of every so many pairs one has its languages guessed.
    stride: usize,
    comparisons: Vec<Comparison>,
    near: near::Sketches,
    single: BTreeMap<u8, Vec<PairId>>,
    pinned: HashMap<PromptKey, Vec<(PairId, Split)>>,
    lengths: Lengths,
    by_source: HashMap<String, Lengths>,
    /// When each verdict was given, and the characters of chosen and rejected.
    given: Vec<(i64, u32, u32)>,
    languages: BTreeMap<&'static str, usize>,
    labels: Vec<Label>,
}

impl Examination {
    /// `total`: how many pairs will be looked at, about. `language`: the language of a text, where it is beyond doubt.
    pub fn new(total: usize, language: fn(&str) -> Option<&'static str>) -> Self {
        Self {
            health: Health::default(),
            language,
            stride: total.div_ceil(GUESSED).max(1),
            comparisons: Vec::new(),
            near: near::Sketches::default(),
            single: BTreeMap::new(),
            pinned: HashMap::new(),
            lengths: Lengths::default(),
            by_source: HashMap::new(),
            given: Vec::new(),
            languages: BTreeMap::new(),
            labels: Vec::new(),
        }
    }

    /// One more pair; the order decides which of several is the first.
    pub fn add(&mut self, pair: &Pair) {
        let is_guessed = self.health.pairs.is_multiple_of(self.stride);
        self.health.pairs += 1;
        if pair.answers.iter().any(crate::Answer::is_empty) {
            self.note(FindingKind::EmptyAnswers, pair.id);
        } else if has_identical_answers(pair) {
            self.note(FindingKind::IdenticalAnswers, pair.id);
        }
        if pair.split != Split::Auto {
            self.pinned.entry(PromptKey::of(&pair.prompt)).or_default().push((pair.id, pair.split));
        }
        self.labels.extend(Label::of(pair));
        let prompt = prompt_fingerprint(pair);
        let answers = pair.answers.iter().map(fingerprint).fold(0_u64, u64::wrapping_add);
        self.near.add(pair, prompt ^ answers);
        let Some((chosen, rejected)) = pair.sides() else {
            return;
        };
        self.health.decided += 1;
        let (chosen_print, rejected_print) = (fingerprint(chosen), fingerprint(rejected));
        if chosen_print != rejected_print {
            let (chosen, rejected) = (chosen_print, rejected_print);
            self.comparisons.push(Comparison { prompt, chosen, rejected, pair: pair.id });
        }
        let (longs, shorts) = (chosen.text.chars().count(), rejected.text.chars().count());
        self.lengths.add(longs, shorts);
        if let Some(source) = &pair.source {
            match self.by_source.get_mut(&source.file) {
                Some(lengths) => lengths.add(longs, shorts),
                None => self.by_source.entry(source.file.clone()).or_default().add(longs, shorts),
            }
        }
        if let Some(verdict) = &pair.verdict {
            self.given.push((verdict.at_ms, longs as u32, shorts as u32));
        }
        let margin = pair.tags.iter().find_map(|tag| tag.strip_prefix("margin ")?.parse::<f64>().ok());
        if margin.is_some_and(|margin| margin < 0.0) || pair.reward < 0.0 {
            self.note(FindingKind::Scores, pair.id);
        }
        if refusal::declines(&chosen.text) && !refusal::declines(&rejected.text) {
            self.note(FindingKind::Refusals, pair.id);
        }
        if is_guessed && let Some(answered) = self.language_of(&chosen.text) {
            *self.languages.entry(answered).or_default() += 1;
            let asked = match &pair.prompt {
                Prompt::Text(text) => self.language_of(text),
                Prompt::Chat(_) => self.language_of(pair.prompt.last_text()),
            };
            if asked.is_some_and(|asked| asked != answered) {
                self.note(FindingKind::Languages, pair.id);
            }
        }
    }

    fn language_of(&self, text: &str) -> Option<&'static str> {
        let end = text.char_indices().nth(GUESSED_CHARS).map_or(text.len(), |(at, _)| at);
        (self.language)(&text[..end])
    }

    /// Each of these stands for itself.
    fn note(&mut self, kind: FindingKind, id: PairId) {
        self.single.entry(kind as u8).or_default().push(id);
    }

    /// What came of it.
    pub fn finish(mut self) -> Health {
        let mut grouped = self.repeated();
        grouped
            .push((FindingKind::Cycles, cycles_of(&self.comparisons).into_iter().map(|cycle| cycle.pairs).collect()));
        grouped.push((FindingKind::NearDuplicates, self.near.groups()));
        grouped.push((FindingKind::BothSides, self.both_sides()));
        for kind in FindingKind::ALL {
            let single = self.single.remove(&(kind as u8)).into_iter();
            let groups: Vec<Vec<PairId>> = match grouped.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, groups)) => std::mem::take(groups),
                None => single.collect(),
            };
            if !groups.is_empty() {
                let count = groups.iter().map(Vec::len).sum();
                self.health.findings.push(Finding { kind, groups, count });
            }
        }
        self.health.length = self.lengths.bias();
        self.read_sources();
        self.read_time();
        self.health.habits = habits_of(self.labels);
        self.health.languages = self.languages.into_iter().collect();
        self.health.languages.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        self.health
    }

    /// The same prompt and answers more than once: with the same verdict, and with opposite ones.
    fn repeated(&self) -> Vec<(FindingKind, Vec<Vec<PairId>>)> {
        let key = |c: &Comparison| (c.prompt, c.chosen.min(c.rejected), c.chosen.max(c.rejected));
        let mut order: Vec<usize> = (0..self.comparisons.len()).collect();
        order.sort_unstable_by_key(|&index| (key(&self.comparisons[index]), index));
        let same = |a: &usize, b: &usize| key(&self.comparisons[*a]) == key(&self.comparisons[*b]);
        let mut groups: Vec<&[usize]> = order.chunk_by(same).filter(|group| group.len() > 1).collect();
        groups.sort_unstable_by_key(|group| group[0]);
        let (mut contradictions, mut duplicates) = (Vec::new(), Vec::new());
        for group in groups {
            let first_wins = |index: usize| self.comparisons[index].chosen < self.comparisons[index].rejected;
            let ids = |wins: Option<bool>| -> Vec<PairId> {
                let members = group.iter().filter(|index| wins.is_none_or(|wins| first_wins(**index) == wins));
                members.map(|index| self.comparisons[*index].pair).collect()
            };
            let sides = [ids(Some(true)), ids(Some(false))];
            if sides.iter().all(|side| !side.is_empty()) {
                contradictions.push(ids(None));
            }
            duplicates.extend(sides.into_iter().filter(|side| side.len() > 1));
        }
        duplicates.sort_unstable();
        vec![(FindingKind::Contradictions, contradictions), (FindingKind::Duplicates, duplicates)]
    }

    fn both_sides(&mut self) -> Vec<Vec<PairId>> {
        let pinned = std::mem::take(&mut self.pinned).into_values();
        let disagree = |pins: &Vec<(PairId, Split)>| pins.iter().any(|(_, split)| *split != pins[0].1);
        let mut groups: Vec<Vec<PairId>> =
            pinned.filter(disagree).map(|pins| pins.into_iter().map(|(id, _)| id).collect()).collect();
        groups.sort_unstable();
        groups
    }

    fn read_sources(&mut self) {
        let mut sources: Vec<(String, Lengths)> = std::mem::take(&mut self.by_source).into_iter().collect();
        if sources.len() < 2 {
            return;
        }
        sources.sort_by(|a, b| b.1.decided.cmp(&a.1.decided).then_with(|| a.0.cmp(&b.0)));
        sources.truncate(SOURCES);
        self.health.length_by_source = sources.into_iter().map(|(file, lengths)| (file, lengths.bias())).collect();
    }

    fn read_time(&mut self) {
        self.given.sort_unstable();
        let (Some(first), Some(last)) = (self.given.first(), self.given.last()) else {
            return;
        };
        // All of one import: there is no time to read.
        if first.0 == last.0 {
            return;
        }
        let (older, newer) = self.given.split_at(self.given.len() / 2);
        let halves = [older, newer].map(|half| {
            let mut lengths = Lengths::default();
            for &(_, chosen, rejected) in half {
                lengths.add(chosen as usize, rejected as usize);
            }
            lengths.bias()
        });
        self.health.over_time = Some((halves, [first.0, newer[0].0, last.0]));
    }
}
