//! Judged answers on the screen: those of a run, and the rule set while it is being written.

use std::{collections::HashMap, sync::Arc};

use data::Prompt;
use engine::protocol::Event;
use judge::{RuleFault, RuleSet, Share};
use store::{JudgedAnswer, Probe, RunId};

use super::runs::Loaded;

/// Judged answers, as far as the screen has asked. Written only by `app`.
#[derive(Debug, Default)]
pub struct JudgedData {
    runs: HashMap<RunId, OfRun>,
}

/// What of a run was judged.
#[derive(Debug, Default)]
pub struct OfRun {
    pub loaded: Loaded,
    /// In order.
    pub steps: Vec<u64>,
    /// The step whose answers are here.
    pub step: Option<u64>,
    pub answers: Arc<Vec<JudgedAnswer>>,
}

impl JudgedData {
    pub fn of(&self, run: RunId) -> Option<&OfRun> {
        self.runs.get(&run)
    }

    /// The answers of this step, the newest where absent, are being read; false when they are here or on their way.
    pub fn ask(&mut self, run: RunId, step: Option<u64>) -> bool {
        let of_run = self.runs.entry(run).or_default();
        let wanted = of_run.loaded == Loaded::Absent || (of_run.loaded == Loaded::Ready && !of_run.shows(step));
        if wanted {
            of_run.loaded = Loaded::Asked;
        }
        wanted
    }

    pub fn fill(&mut self, run: RunId, steps: Vec<u64>, step: Option<u64>, answers: Vec<JudgedAnswer>) {
        self.runs.insert(run, OfRun { loaded: Loaded::Ready, steps, step, answers: Arc::new(answers) });
    }

    /// Where a run has judged anew, what is here is not all any more.
    pub fn take(&mut self, event: &Event) {
        if let Event::Evaluated { run, .. } | Event::Started { run, .. } = event
            && let Some(of_run) = self.runs.get_mut(run)
        {
            of_run.loaded = Loaded::Absent;
        }
    }
}

impl OfRun {
    /// Whether what is here is what such a step asks for.
    pub fn shows(&self, step: Option<u64>) -> bool {
        match step {
            Some(step) if self.steps.contains(&step) => self.step == Some(step),
            _ => self.step == self.steps.last().copied(),
        }
    }

    /// The rules that were asked about these answers, each with its share, in their order.
    pub fn shares(&self) -> Vec<(&str, Share)> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.answers.iter().flat_map(|answer| &answer.said) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names.into_iter().filter_map(|name| Some((name, self.share(name)?))).collect()
    }

    fn share(&self, rule: &str) -> Option<Share> {
        let mut prompts: Vec<(&Prompt, (usize, usize))> = Vec::new();
        for answer in self.answers.iter() {
            let Some(counts) = said(answer, rule) else {
                continue;
            };
            // Answers to one prompt stand together.
            if prompts.last().is_none_or(|(prompt, _)| *prompt != &answer.prompt) {
                prompts.push((&answer.prompt, (0, 0)));
            }
            if let Some((_, (counted, of))) = prompts.last_mut() {
                *counted += usize::from(counts);
                *of += 1;
            }
        }
        Share::of(&prompts.into_iter().map(|(_, counts)| counts).collect::<Vec<_>>())
    }
}

/// Whether a rule counts an answer; absent where it was not asked.
pub fn said(answer: &JudgedAnswer, rule: &str) -> Option<bool> {
    answer.said.iter().find(|(name, _)| name == rule).map(|(_, counts)| *counts)
}

/// Which answers are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Listed {
    #[default]
    All,
    Counted,
    NotCounted,
}

/// What the screen remembers.
#[derive(Debug, Default)]
pub struct JudgedView {
    /// Absent: the newest.
    pub step: Option<u64>,
    /// Only answers that this rule was asked about.
    pub rule: Option<String>,
    pub listed: Listed,
    /// Pages of the list that are unfolded beyond the first.
    pub pages: usize,
    /// The rule set while it is being written.
    pub writing: Option<RulesDraft>,
}

impl JudgedView {
    /// Whether an answer is listed.
    pub fn lists(&self, answer: &JudgedAnswer) -> bool {
        let mut said = answer.said.iter().filter(|(name, _)| self.rule.as_ref().is_none_or(|rule| rule == name));
        match self.listed {
            Listed::All => said.next().is_some(),
            Listed::Counted => said.any(|(_, counts)| *counts),
            Listed::NotCounted => said.any(|(_, counts)| !*counts),
        }
    }
}

/// A rule set as it is being written, with what is wrong with it.
#[derive(Debug)]
pub struct RulesDraft {
    pub text: String,
    /// As it is on the disk; absent where there is no file yet.
    pub saved: Option<String>,
    /// It was just opened: the cursor belongs into it.
    pub opened: bool,
    /// What was checked last, and with what result.
    checked: Option<(String, Result<Meaning, Vec<RuleFault>>)>,
}

/// What a rule set asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meaning {
    pub rules: Vec<String>,
    pub prompts: usize,
    pub answers: usize,
}

impl RulesDraft {
    /// Begins with what is on the disk, or with an example that explains itself.
    pub fn new(saved: Option<String>) -> Self {
        let text = saved.clone().unwrap_or_else(|| judge::EXAMPLE.to_owned());
        Self { opened: true, ..Self::go_on(text, saved) }
    }

    /// Goes on with a text that was written before.
    pub fn go_on(text: String, saved: Option<String>) -> Self {
        Self { text, saved, opened: false, checked: None }
    }

    /// What the text means, or what is wrong with it. Worked out again only when it changed.
    pub fn check(&mut self, probes: &[Probe]) -> &Result<Meaning, Vec<RuleFault>> {
        let fresh = self.checked.take().filter(|(text, _)| *text == self.text);
        let (_, outcome) = self.checked.insert(fresh.unwrap_or_else(|| {
            let outcome = RuleSet::parse(&self.text, &notes(probes)).map(|set| Meaning {
                rules: set.rules.iter().map(|rule| rule.name.clone()).collect(),
                prompts: set.questions().len(),
                answers: set.answers(),
            });
            (self.text.clone(), outcome)
        }));
        outcome
    }

    /// Somebody has written in it.
    pub fn is_written(&self) -> bool {
        self.text != self.saved.as_deref().unwrap_or(judge::EXAMPLE)
    }

    pub fn is_changed(&self) -> bool {
        self.saved.as_ref() != Some(&self.text)
    }
}

/// Probe prompts as a rule set names them.
fn notes(probes: &[Probe]) -> Vec<(&str, &Prompt)> {
    probes.iter().map(|probe| (probe.note.as_str(), &probe.prompt)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(prompt: &str, said: &[(&str, bool)]) -> JudgedAnswer {
        JudgedAnswer {
            group: "g".to_owned(),
            prompt: Prompt::Text(prompt.to_owned()),
            answer: "a".to_owned(),
            ended: true,
            said: said.iter().map(|(name, counts)| ((*name).to_owned(), *counts)).collect(),
        }
    }

    #[test]
    fn a_rule_is_counted_over_the_answers_it_was_asked_about() {
        let mut data = JudgedData::default();
        let run = RunId(1);
        assert!(data.ask(run, None));
        assert!(!data.ask(run, None), "on its way");
        let answers = vec![
            answer("p", &[("polite", true)]),
            answer("p", &[("polite", false)]),
            answer("q", &[("polite", true), ("short", false)]),
        ];
        data.fill(run, vec![0, 5], Some(5), answers);
        let of_run = data.of(run).unwrap();
        let shares: Vec<(&str, usize, usize)> =
            of_run.shares().into_iter().map(|(name, share)| (name, share.counted, share.of)).collect();
        assert_eq!(shares, [("polite", 2, 3), ("short", 0, 1)]);
        assert!(!data.ask(run, None) && !data.ask(run, Some(5)) && data.ask(run, Some(0)));
    }

    #[test]
    fn the_list_can_be_narrowed_to_a_rule_and_to_what_it_counts() {
        let mut view = JudgedView::default();
        let both = answer("p", &[("polite", true), ("short", false)]);
        assert!(view.lists(&both) && !view.lists(&answer("p", &[])));
        view.rule = Some("short".to_owned());
        assert!(view.lists(&both));
        view.listed = Listed::Counted;
        assert!(!view.lists(&both));
        view.listed = Listed::NotCounted;
        assert!(view.lists(&both));
        view.rule = Some("other".to_owned());
        assert!(!view.lists(&both));
    }

    #[test]
    fn a_draft_is_checked_again_when_it_changes() {
        let mut draft = RulesDraft::new(None);
        assert!(draft.check(&[]).is_ok());
        draft.text.push_str("\n[[rule]]\nname = \"x\"\non = \"mine\"\nwhen = { ends = true }\n");
        assert!(draft.check(&[]).is_err());
        let probe = Probe { prompt: Prompt::Text("p".to_owned()), note: "mine".to_owned(), stays: false };
        draft.text.push('\n');
        assert_eq!(draft.check(&[probe]).as_ref().unwrap().rules, ["polite", "whole", "x"]);
    }
}
