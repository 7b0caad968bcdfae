//! The text of a rule set, and what can be wrong with it.

use std::{collections::BTreeMap, ops::Range};

use data::{Prompt, Role, Turn};
use regex::{Regex, RegexBuilder};
use toml::Spanned;

use super::{
    condition::{Condition, Part},
    language::Language,
    phrases::Words,
    rules::{PromptGroup, Rule, RulePrompt, RuleSet},
    written::{Many, PromptTable, WrittenCondition, WrittenGroup, WrittenPrompt, WrittenRule, WrittenSet},
};

/// A rule set to begin with, which explains itself.
pub const EXAMPLE: &str = include_str!("example.toml");

/// At most so many answers a round: more than that is no measurement on the way but a run of its own.
const MOST_ANSWERS: usize = 4096;
const MOST_SAMPLES: usize = 64;
const LONGEST_NAME: usize = 40;
/// Bytes that a compiled expression may take.
const REGEX_BYTES: usize = 1 << 20;

/// Something that makes no sense, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFault {
    /// Counted from 1.
    pub line: usize,
    pub sentence: String,
}

impl std::fmt::Display for RuleFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.sentence)
    }
}

impl std::error::Error for RuleFault {}

impl RuleSet {
    /// Reads a rule set. `probes`: the project's probe prompts with their notes; a rule may be `on` a note as on a
    /// group of the file's own.
    ///
    /// # Errors
    /// Everything that makes no sense, by line; never empty.
    pub fn parse(text: &str, probes: &[(&str, &Prompt)]) -> Result<Self, Vec<RuleFault>> {
        let written: WrittenSet = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            vec![RuleFault { line: line_of(text, at), sentence: error.message().to_owned() }]
        })?;
        let mut reader = Reader { text, faults: Vec::new(), lists: BTreeMap::new() };
        let set = reader.set(written, probes);
        if reader.faults.is_empty() { Ok(set) } else { Err(reader.faults) }
    }
}

struct Reader<'t> {
    text: &'t str,
    faults: Vec<RuleFault>,
    lists: BTreeMap<String, Vec<Words>>,
}

impl Reader<'_> {
    fn set(&mut self, written: WrittenSet, probes: &[(&str, &Prompt)]) -> RuleSet {
        let WrittenSet { samples, temperature, seed, lists, group, rule } = written;
        self.lists = lists.into_iter().map(|(name, Many(phrases))| (name, words(&phrases))).collect();
        if !(1..=MOST_SAMPLES).contains(samples.get_ref()) {
            self.fault(samples.span(), format!("samples is between 1 and {MOST_SAMPLES}"));
        }
        if !(0.0..=5.0).contains(temperature.get_ref()) {
            self.fault(temperature.span(), "temperature is between 0 and 5");
        }
        let mut set = RuleSet {
            samples: samples.into_inner().clamp(1, MOST_SAMPLES),
            temperature: temperature.into_inner(),
            seed,
            groups: Vec::new(),
            rules: Vec::new(),
            questions: Vec::new(),
        };
        for group in group {
            self.group(group, &mut set);
        }
        if rule.is_empty() {
            self.fault(0..0, "there is no rule; write [[rule]]");
        }
        for rule in rule {
            self.rule(rule, probes, &mut set);
        }
        let answers = set.answers();
        if answers > MOST_ANSWERS {
            let sentence = format!(
                "{answers} answers at every evaluation are more than {MOST_ANSWERS}; ask fewer prompts or samples"
            );
            self.fault(0..0, sentence);
        }
        set
    }

    fn group(&mut self, written: WrittenGroup, set: &mut RuleSet) {
        let WrittenGroup { name, prompts } = written;
        if set.groups.iter().any(|group| group.name == *name.get_ref()) {
            self.fault(name.span(), format!("there are two groups named {:?}", name.get_ref()));
        }
        if prompts.get_ref().is_empty() {
            self.fault(prompts.span(), format!("the group {:?} has no prompts", name.get_ref()));
        }
        let (group, span) = (set.groups.len(), prompts.span());
        let prompts = prompts.into_inner();
        set.groups.push(PromptGroup { name: name.into_inner(), prompts: prompts.len() });
        for prompt in prompts {
            let question = self.question(group, prompt, &span);
            set.questions.extend(question);
        }
    }

    /// `span`: of the group's prompts, for what does not know its own place.
    fn question(&mut self, group: usize, written: WrittenPrompt, span: &Range<usize>) -> Option<RulePrompt> {
        let (prompt, right, mut wrong, at) = match written {
            WrittenPrompt::Ask(ask) => (asked(ask), Vec::new(), Vec::new(), span.clone()),
            WrittenPrompt::Table(PromptTable { ask, turns, text, right, wrong, among }) => {
                let at = [
                    ask.as_ref().map(Spanned::span),
                    text.as_ref().map(Spanned::span),
                    turns.as_ref().map(Spanned::span),
                ];
                let at = at.into_iter().flatten().next().unwrap_or_else(|| span.clone());
                let prompt = match (ask, turns, text) {
                    (Some(ask), None, None) => asked(ask.into_inner()),
                    (None, Some(turns), None) => Prompt::chat(turns.into_inner()),
                    (None, None, Some(text)) => Prompt::Text(text.into_inner()),
                    _ => {
                        self.fault(at, "a prompt has one of ask, turns and text");
                        return None;
                    }
                };
                let mut wrong = words(&wrong.0);
                for list in among.0 {
                    match self.lists.get(list.get_ref()) {
                        Some(phrases) => wrong.extend(phrases.iter().cloned()),
                        None => self.fault(list.span(), format!("there is no list named {:?}", list.get_ref())),
                    }
                }
                let right = words(&right.0);
                if right.is_empty() && !wrong.is_empty() {
                    self.fault(at.clone(), "what is wrong counts only where something is right");
                }
                (prompt, right, wrong, at)
            }
        };
        if prompt.last_text().trim().is_empty() {
            self.fault(at, "a prompt is empty");
        }
        let said = Words::of(prompt.last_text());
        wrong.retain(|phrase| !right.contains(phrase));
        let named: Vec<Words> = said.mentioned(&wrong).into_iter().cloned().collect();
        wrong.retain(|phrase| !named.contains(phrase));
        Some(RulePrompt { group, prompt, right, wrong, neutral: named })
    }

    fn rule(&mut self, written: WrittenRule, probes: &[(&str, &Prompt)], set: &mut RuleSet) {
        let WrittenRule { name, on, better, when } = written;
        self.rule_name(&name, &set.rules);
        let mut groups = Vec::new();
        for group in &on.0 {
            match find_group(group.get_ref(), probes, set) {
                Some(found) => groups.push(found),
                None => self.fault(group.span(), no_such_group(group.get_ref(), probes, set)),
            }
        }
        if on.0.is_empty() {
            groups = (0..set.groups.len()).collect();
            if groups.is_empty() {
                self.fault(name.span(), format!("{:?} is on no group; write [[group]] with prompts", name.get_ref()));
            }
        }
        let span = when.span();
        let when = self.condition(when.into_inner(), &span, &set.rules);
        let mut needs: Vec<bool> = Vec::new();
        for rule in &set.rules {
            let needed = rule.when.needs_right(&needs);
            needs.push(needed);
        }
        if when.needs_right(&needs)
            && let Some(question) =
                set.questions.iter().find(|question| groups.contains(&question.group) && question.right.is_empty())
        {
            let prompt = question.prompt.last_text();
            self.fault(span, format!("what is right is not said of every prompt it is on, e.g. {prompt:?}"));
        }
        set.rules.push(Rule { name: name.into_inner(), on: groups, better, when });
    }

    fn rule_name(&mut self, name: &Spanned<String>, before: &[Rule]) {
        let text = name.get_ref();
        let fits = |letter: char| letter.is_alphanumeric() || matches!(letter, ' ' | '_' | '-');
        if text.trim() != text || text.is_empty() || text.chars().count() > LONGEST_NAME || !text.chars().all(fits) {
            let sentence =
                format!("{text:?} is no name for a rule: 1 to {LONGEST_NAME} letters, digits, blanks, - and _");
            self.fault(name.span(), sentence);
        }
        if before.iter().any(|rule| rule.name == *text) {
            self.fault(name.span(), format!("there are two rules named {text:?}"));
        }
    }

    fn condition(&mut self, written: WrittenCondition, span: &Range<usize>, rules: &[Rule]) -> Condition {
        let WrittenCondition {
            words: any,
            all_words,
            no_words,
            matches,
            matches_not,
            min_words,
            max_words,
            min_characters,
            max_characters,
            language,
            ends,
            right,
            counts_as,
            at_least,
            of,
            not,
        } = written;
        let mut parts = Vec::new();
        parts.extend(any.map(|phrases| Part::Words(self.phrases(phrases))));
        parts.extend(all_words.map(|phrases| Part::AllWords(self.phrases(phrases))));
        parts.extend(no_words.map(|phrases| Part::NoWords(self.phrases(phrases))));
        parts.extend(matches.and_then(|regex| self.regex(&regex)).map(Part::Matches));
        parts.extend(matches_not.and_then(|regex| self.regex(&regex)).map(Part::MatchesNot));
        parts.extend(min_words.map(Part::MinWords));
        parts.extend(max_words.map(Part::MaxWords));
        parts.extend(min_characters.map(Part::MinCharacters));
        parts.extend(max_characters.map(Part::MaxCharacters));
        parts.extend(language.map(|names| Part::Language(self.languages(names))));
        parts.extend(ends.map(Part::Ends));
        parts.extend(right.map(Part::Right));
        if let Some(name) = counts_as {
            match rules.iter().position(|rule| rule.name == *name.get_ref()) {
                Some(rule) => parts.push(Part::CountsAs(rule)),
                None => self.fault(name.span(), format!("no rule before this one is named {:?}", name.get_ref())),
            }
        }
        parts.extend(self.some_of(at_least, of, span, rules));
        parts.extend(not.map(|condition| Part::Not(self.condition(*condition, span, rules))));
        if parts.is_empty() && self.faults.is_empty() {
            self.fault(span.clone(), "this condition asks for nothing");
        }
        Condition { parts }
    }

    fn some_of(
        &mut self,
        at_least: Option<Spanned<usize>>,
        of: Option<Spanned<Vec<WrittenCondition>>>,
        span: &Range<usize>,
        rules: &[Rule],
    ) -> Option<Part> {
        let Some(of) = of else {
            if let Some(at_least) = at_least {
                self.fault(at_least.span(), "at_least needs `of`, a list of conditions");
            }
            return None;
        };
        let count = of.get_ref().len();
        let least = at_least.as_ref().map_or(1, |least| *least.get_ref());
        if !(1..=count).contains(&least) {
            let at = at_least.map_or_else(|| of.span(), |least| least.span());
            self.fault(at, format!("at_least is between 1 and the {count} conditions of `of`"));
        }
        let conditions = of.into_inner().into_iter().map(|condition| self.condition(condition, span, rules)).collect();
        Some(Part::AtLeast(least, conditions))
    }

    fn phrases(&mut self, written: Spanned<Many<String>>) -> Vec<Words> {
        let phrases = words(&written.get_ref().0);
        if phrases.is_empty() {
            self.fault(written.span(), "here are no words; signs alone are looked for with `matches`");
        }
        phrases
    }

    fn regex(&mut self, written: &Spanned<String>) -> Option<Regex> {
        match RegexBuilder::new(written.get_ref()).size_limit(REGEX_BYTES).build() {
            Ok(regex) => Some(regex),
            Err(error) => {
                let error = error.to_string();
                let last = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
                let shown = start_of(written.get_ref());
                self.fault(written.span(), format!("\"{shown}\" is no regular expression: {last}"));
                None
            }
        }
    }

    fn languages(&mut self, names: Many<Spanned<String>>) -> Vec<Language> {
        let mut languages = Vec::new();
        for name in names.0 {
            let Some(language) = Language::named(name.get_ref()) else {
                let sentence = format!(
                    "{:?} is no language that is known here; write its English name or its ISO 639-3 code, e.g. German or deu",
                    name.get_ref()
                );
                self.fault(name.span(), sentence);
                continue;
            };
            languages.push(language);
        }
        languages
    }

    fn fault(&mut self, at: Range<usize>, sentence: impl Into<String>) {
        self.faults.push(RuleFault { line: line_of(self.text, at.start), sentence: sentence.into() });
    }
}

/// A group of the file, or the probe prompts with that note, which become a group at first mention.
fn find_group(name: &str, probes: &[(&str, &Prompt)], set: &mut RuleSet) -> Option<usize> {
    if let Some(found) = set.groups.iter().position(|group| group.name == name) {
        return Some(found);
    }
    let of_note: Vec<&Prompt> = probes.iter().filter(|(note, _)| *note == name).map(|(_, prompt)| *prompt).collect();
    if of_note.is_empty() {
        return None;
    }
    let group = set.groups.len();
    set.groups.push(PromptGroup { name: name.to_owned(), prompts: of_note.len() });
    set.questions.extend(of_note.into_iter().map(|prompt| RulePrompt {
        group,
        prompt: prompt.clone(),
        right: Vec::new(),
        wrong: Vec::new(),
        neutral: Vec::new(),
    }));
    Some(group)
}

fn no_such_group(name: &str, probes: &[(&str, &Prompt)], set: &RuleSet) -> String {
    let mut known: Vec<&str> = set.groups.iter().map(|group| group.name.as_str()).collect();
    known.extend(probes.iter().map(|(note, _)| *note).filter(|note| !note.is_empty()));
    known.sort_unstable();
    known.dedup();
    if known.is_empty() {
        return format!("there is no group named {name:?}, and no probe prompt with that note");
    }
    format!("there is no group named {name:?}, and no probe prompt with that note; there are: {}", known.join(", "))
}

fn asked(question: String) -> Prompt {
    Prompt::chat(vec![Turn::new(Role::User, question)])
}

fn words(phrases: &[String]) -> Vec<Words> {
    phrases.iter().map(|phrase| Words::of(phrase)).filter(|words| !words.is_empty()).collect()
}

/// As much of a text as a sentence can hold.
fn start_of(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut letters = text.chars();
    let mut start: String = letters.by_ref().take(LONGEST).collect();
    if letters.next().is_some() {
        start.push('…');
    }
    start
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].split(|byte| *byte == b'\n').count()
}
