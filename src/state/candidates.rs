//! Answers that a model writes so that a person can choose between them: how they are asked for, and what is under way.

use std::{collections::HashSet, path::PathBuf, sync::Arc};

use data::{Answer, Change, Edit, Pair, Prompt, PromptKey, ReferenceAnswer, counted};
use engine::protocol::{AnswerOptions, Candidates, DrawnPair, Event, Pilaf, RequestId, RunControl, Sampling};
use serde::{Deserialize, Serialize};
use store::RunId;

pub use super::to_answer::{PromptsToAnswer, said, typed_prompts};
use super::{
    ask::AnswerSource,
    drafts::one_line,
    pairs::{PairsCommand, PairsData},
    runs::Runs,
};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CandidatesForm {
    /// For pairs, one a line; `{a|b}` in one stands for each of its choices.
    pub prompts: String,
    /// The same for reference answers: of what pairs are about there had better be none.
    pub reference_prompts: String,
    /// The prompts of the pairs that are there, instead.
    pub of_pairs: bool,
    pub source: AnswerSource,
    /// A prompt.
    pub answers: usize,
    pub temperature: f64,
    /// Of the likeliest tokens that have this share of the probability together.
    pub top_p: f64,
    pub longest_tokens: usize,
    /// Another one each time, so that asking again gives other answers.
    pub seed: u64,
    /// Some pairs with an optimistic and a pessimistic answer.
    pub pilaf: bool,
    /// Of the prompts, which get such a pair.
    pub share: f64,
    /// How far apart its two answers are.
    pub strength: f64,
    /// One answer of the start model to each prompt, for the KL term, instead of pairs.
    pub references: bool,
    /// Prompts of a file for reference answers. Those for pairs wait in the project; of these no pair is to come.
    #[serde(skip)]
    pub given: Arc<Vec<Prompt>>,
}

impl Default for CandidatesForm {
    fn default() -> Self {
        Self {
            prompts: String::new(),
            reference_prompts: String::new(),
            of_pairs: false,
            source: AnswerSource::Base,
            answers: 2,
            temperature: 1.0,
            top_p: 1.0,
            longest_tokens: 256,
            seed: 0,
            pilaf: false,
            share: Pilaf::default().share,
            strength: Pilaf::default().strength,
            references: false,
            given: Arc::default(),
        }
    }
}

impl CandidatesForm {
    /// The same for one more pair, whatever prompts the form has.
    #[must_use]
    pub fn for_next(&self) -> Self {
        let Self { source, answers, temperature, top_p, longest_tokens, seed, pilaf, share, strength, .. } = *self;
        let answers = answers.max(2);
        let asks = Self {
            source,
            answers,
            temperature,
            top_p,
            longest_tokens,
            seed,
            pilaf,
            share,
            strength,
            ..Self::default()
        };
        Self { of_pairs: true, ..asks }
    }

    /// What is typed.
    pub fn typed(&self) -> &str {
        if self.references { &self.reference_prompts } else { &self.prompts }
    }

    pub fn typed_mut(&mut self) -> &mut String {
        if self.references { &mut self.reference_prompts } else { &mut self.prompts }
    }

    /// What is asked besides what is typed: prompts of a file for reference answers, or those that wait for pairs.
    pub fn beside<'a>(&'a self, waiting: &'a Arc<Vec<Prompt>>) -> &'a Arc<Vec<Prompt>> {
        if self.references { &self.given } else { waiting }
    }

    /// All that is asked; `known`: as it was worked out last.
    pub fn prompts_to_answer(
        &self,
        known: &mut PromptsToAnswer,
        waiting: &Arc<Vec<Prompt>>,
        chat: bool,
    ) -> Arc<[Prompt]> {
        known.of(self.typed(), self.beside(waiting), chat)
    }

    /// Reference answers are the start model's own.
    pub fn whose(&self) -> AnswerSource {
        if self.references { AnswerSource::Base } else { self.source }
    }

    /// PILAF compares a trained policy with its start.
    pub fn may_pilaf(&self) -> bool {
        matches!(self.whose(), AnswerSource::Run { .. })
    }

    pub fn asked(&self) -> Candidates {
        let asked = Pilaf { strength: self.strength, share: self.share };
        let pilaf = (self.pilaf && self.may_pilaf()).then_some(asked);
        Candidates {
            options: AnswerOptions {
                sampling: Sampling { top_p: self.top_p, ..Sampling::at(self.temperature) },
                max_new_tokens: self.longest_tokens,
                seed: self.seed,
                ..AnswerOptions::default()
            },
            answers: match pilaf {
                _ if self.references => 1,
                Some(_) => 2,
                None => self.answers,
            },
            pilaf,
        }
    }

    /// Why nothing can be asked now, as a sentence; `prompts`: those that were typed or wait, see [`PromptsToAnswer`].
    pub fn obstacle(&self, runs: &Runs, pairs: &PairsData, prompts: usize) -> Option<String> {
        if pairs.candidates.as_ref().is_some_and(CandidatesUnderWay::is_busy) {
            return Some("Answers are being written".to_owned());
        }
        if let AnswerSource::Run { run, .. } = self.whose()
            && let Some(reason) = no_weights(runs, run)
        {
            return Some(reason.to_owned());
        }
        if self.of_pairs {
            let none = pairs.counts.total() == 0 && pairs.waiting.is_empty();
            return none.then(|| "There are no prompts yet: no pair, and none that waits for answers".to_owned());
        }
        if prompts == 0 {
            return Some("Write a prompt first, one a line".to_owned());
        }
        self.asked().check().err()
    }
}

/// Prompts of which no pair came when they were asked, under the settings of then: whoever wants one more pair is not
/// given the same prompt for ever.
#[derive(Debug, Default)]
pub struct PassedOver {
    under: Option<(AnswerSource, Candidates)>,
    prompts: HashSet<PromptKey>,
}

impl PassedOver {
    /// Those of these settings, under another seed too: the others are forgotten.
    pub fn under(&mut self, form: &CandidatesForm) -> &HashSet<PromptKey> {
        let mut asked = form.asked();
        asked.options.seed = 0;
        let under = Some((form.whose(), asked));
        if self.under != under {
            *self = Self { under, prompts: HashSet::new() };
        }
        &self.prompts
    }

    fn add(&mut self, prompt: &Prompt) {
        self.prompts.insert(PromptKey::of(prompt));
    }
}

impl PairsData {
    /// Takes in what the engine tells about the answers that are being written; gives what is to be saved.
    pub fn take_drawn(&mut self, event: &Event) -> Option<PairsCommand> {
        let drawing = self.candidates.as_mut()?;
        let (at, refused) = (drawing.heard, drawing.refused.len());
        let save = drawing.take(event);
        if drawing.refused.len() > refused
            && !drawing.references
            && let Some(prompt) = drawing.prompts.get(at)
        {
            self.passed_over.add(prompt);
        }
        save
    }
}

/// Why a run's weights cannot be asked: those of one that is going are in memory.
pub fn no_weights(runs: &Runs, run: RunId) -> Option<&'static str> {
    if runs.is_going(run) { None } else { runs.no_weights(run) }
}

/// What the strip can ask for.
#[derive(Debug, Clone)]
pub enum CandidatesCommand {
    /// Have a model write answers, as the form says.
    Ask,
    /// The same for these prompts.
    AskFor(Vec<Prompt>),
    /// One more pair, of the prompt that fewest pairs have.
    Next,
    NextFor(Prompt),
    /// Reference answers of the start model to everyday prompts.
    Everyday,
    /// Prompts from a file, by its path or a dialog.
    Take(Option<PathBuf>),
    /// Keep these in the project, to be answered.
    TakeIn(Vec<Prompt>),
    /// Read which prompts wait for a model's answers.
    ReadWaiting,
    /// None waits any more.
    DropWaiting,
    /// Put these to the project's reference answers.
    Keep(Vec<ReferenceAnswer>),
    /// The report of it was read.
    Close,
}

/// Why a reference answer is left out.
const TOO_LONG: &str = "longer than the limit, so that its end is missing; “Longest” takes longer ones";

/// Pairs that are saved together.
const SAVED_TOGETHER: usize = 8;

/// One request, until the person closes its report.
#[derive(Debug, Clone)]
pub struct CandidatesUnderWay {
    pub request: RequestId,
    pub control: Arc<RunControl>,
    pub prompts: Arc<[Prompt]>,
    /// They are kept as reference answers.
    pub references: bool,
    /// Prompts of which something was heard.
    pub heard: usize,
    /// Pairs, or reference answers, that came of them.
    pub came: usize,
    /// Answers of them that were stopped at the limit.
    pub cut: usize,
    /// Drawn and not yet handed over to be saved.
    ready: Vec<Pair>,
    /// Prompt and reason of those without a pair.
    pub refused: Vec<(String, String)>,
    /// How it ended: well, or with a sentence.
    pub end: Option<Result<(), String>>,
}

impl CandidatesUnderWay {
    pub fn new(request: RequestId, control: Arc<RunControl>, prompts: Arc<[Prompt]>, references: bool) -> Self {
        let (ready, refused) = (Vec::new(), Vec::new());
        Self { request, control, prompts, references, heard: 0, came: 0, cut: 0, ready, refused, end: None }
    }

    pub fn is_busy(&self) -> bool {
        self.end.is_none()
    }

    /// Share of the prompts that had their turn.
    pub fn share(&self) -> f32 {
        self.heard as f32 / self.prompts.len().max(1) as f32
    }

    /// Takes in what the engine tells about it; gives what is to be saved.
    pub fn take(&mut self, event: &Event) -> Option<PairsCommand> {
        match event {
            Event::Drawn { request, drawn } if *request == self.request => {
                match drawn {
                    // The model would be taught to end there.
                    DrawnPair::Pair { pair, .. } if self.references && pair.answers.iter().any(Answer::is_cut) => {
                        self.refused.push((pair.prompt.last_text().to_owned(), TOO_LONG.to_owned()));
                    }
                    DrawnPair::Pair { pair, .. } => {
                        self.came += 1;
                        self.cut += pair.answers.iter().filter(|answer| answer.is_cut()).count();
                        self.ready.push(pair.as_ref().clone());
                    }
                    DrawnPair::None(reason) => {
                        let prompt = self.prompts.get(self.heard).map_or("", Prompt::last_text);
                        self.refused.push((prompt.to_owned(), reason.clone()));
                    }
                }
                self.heard += 1;
                (self.ready.len() >= SAVED_TOGETHER).then(|| self.save())?
            }
            Event::AllDrawn { request } if *request == self.request => {
                self.end = Some(Ok(()));
                self.save()
            }
            Event::Failed { request, error } if *request == self.request => {
                self.end = Some(Err(error.clone()));
                self.save()
            }
            _ => None,
        }
    }

    fn save(&mut self) -> Option<PairsCommand> {
        let ready = std::mem::take(&mut self.ready);
        if ready.is_empty() {
            return None;
        }
        if self.references {
            let answers = ready.into_iter().filter_map(|pair| {
                let answer = pair.answers.into_iter().next()?.text;
                Some(ReferenceAnswer::new(pair.prompt, answer))
            });
            return Some(PairsCommand::Candidates(CandidatesCommand::Keep(answers.collect())));
        }
        let label = format!("Sample {}", counted(ready.len(), "pair", "pairs"));
        let change = Change::new(label, ready.into_iter().map(Edit::add).collect());
        Some(PairsCommand::Change { change, open: false })
    }

    /// Why nothing came of it, the reason first; absent as long as something may.
    pub fn trouble(&self) -> Option<String> {
        match (&self.end, self.refused.last()) {
            (Some(Err(error)), _) => Some(format!("The answers could not be written: {error}")),
            (Some(Ok(())), Some((prompt, reason))) if self.came == 0 => {
                Some(format!("No new pair: {reason} (“{}”)", one_line(prompt, 60)))
            }
            _ => None,
        }
    }

    /// In words: how it stands, or what came of it.
    pub fn summary(&self) -> String {
        let (came, then) = if self.references {
            (counted(self.came, "reference answer", "reference answers"), "for the KL term of the next run")
        } else {
            (counted(self.came, "new pair", "new pairs"), "to label")
        };
        match &self.end {
            None => format!("Writing answers: {} of {} prompts, {came}", self.heard, self.prompts.len()),
            Some(Ok(())) if self.heard < self.prompts.len() => {
                format!("Stopped after {} of {} prompts; {came} {then}", self.heard, self.prompts.len())
            }
            Some(Ok(())) if self.cut > 0 => {
                format!(
                    "{came} {then}; {} at the limit of its length",
                    counted(self.cut, "answer was cut", "answers were cut")
                )
            }
            Some(Ok(())) => format!("{came} {then}"),
            Some(Err(error)) => format!("The answers could not be written: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::{Origin, PairId};

    fn under_way(prompts: usize) -> CandidatesUnderWay {
        let prompts: Vec<Prompt> = (0..prompts).map(|n| Prompt::Text(format!("p{n}"))).collect();
        CandidatesUnderWay::new(RequestId(3), Arc::default(), prompts.into(), false)
    }

    fn pair() -> Event {
        let pair = Pair::new(PairId::NEW, Prompt::Text("p".to_owned()), &["a", "b"]);
        Event::Drawn {
            request: RequestId(3),
            drawn: DrawnPair::Pair { pair: Box::new(pair), pilaf: false, again: false },
        }
    }

    fn change(command: PairsCommand) -> Change {
        match command {
            PairsCommand::Change { change, .. } => change,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn prompts_are_lines_each_once_and_worked_out_once() {
        let mut prompts = PromptsToAnswer::default();
        let mut form = CandidatesForm { prompts: " Who?\n\nWhere?\nWho?\n".to_owned(), ..CandidatesForm::default() };
        let waiting = Arc::default();
        let typed = form.prompts_to_answer(&mut prompts, &waiting, true);
        let texts: Vec<&str> = typed.iter().map(Prompt::last_text).collect();
        assert_eq!(texts, ["Who?", "Where?"]);
        assert!(
            matches!(typed[0], Prompt::Chat(_))
                && Arc::ptr_eq(&typed, &form.prompts_to_answer(&mut prompts, &waiting, true))
        );
        assert!(
            matches!(form.prompts_to_answer(&mut prompts, &waiting, false)[0], Prompt::Text(_)),
            "the model has no chat template"
        );
        form.prompts = "{Who|Where} is it?\nWho is it?".to_owned();
        let waiting = Arc::new(typed.to_vec());
        assert_eq!(form.prompts_to_answer(&mut prompts, &waiting, true).len(), 4, "choices, and those that wait");
    }

    #[test]
    fn a_prompt_that_gave_no_pair_is_passed_over_until_it_is_asked_in_another_way() {
        let mut data = PairsData { candidates: Some(under_way(1)), ..PairsData::default() };
        let mut form = CandidatesForm::default();
        assert!(data.passed_over.under(&form).is_empty());
        data.take_drawn(&Event::Drawn { request: RequestId(3), drawn: DrawnPair::None("no room".to_owned()) });
        data.take_drawn(&Event::AllDrawn { request: RequestId(3) });
        let trouble = data.candidates.as_ref().unwrap().trouble().unwrap();
        assert_eq!(trouble, "No new pair: no room (“p0”)", "the reason first");
        form.seed = 9;
        assert!(data.passed_over.under(&form).contains(&PromptKey::of(&Prompt::Text("p0".to_owned()))));
        form.temperature = 1.3;
        assert!(data.passed_over.under(&form).is_empty());
    }

    #[test]
    fn answers_that_were_cut_are_counted_and_make_no_reference_answer() {
        let cut = |text: &str| Answer::new(text, Origin::Model("start model".to_owned()).cut());
        let drawn = |answers: Vec<Answer>| {
            let pair = Pair { answers, ..Pair::new(PairId::NEW, Prompt::Text("p".to_owned()), &[]) };
            Event::Drawn {
                request: RequestId(3),
                drawn: DrawnPair::Pair { pair: Box::new(pair), pilaf: false, again: false },
            }
        };
        let mut drawing = under_way(1);
        drawing.take(&drawn(vec![cut("a"), Answer::new("b", Origin::Human)]));
        drawing.take(&Event::AllDrawn { request: RequestId(3) });
        assert_eq!(drawing.summary(), "1 new pair to label; 1 answer was cut at the limit of its length");
        let mut drawing = CandidatesUnderWay { references: true, ..under_way(1) };
        assert!(drawing.take(&drawn(vec![cut("a")])).is_none());
        assert!(drawing.take(&Event::AllDrawn { request: RequestId(3) }).is_none());
        assert_eq!((drawing.came, drawing.refused.len()), (0, 1));
    }

    #[test]
    fn only_a_run_can_be_asked_for_both_sides_of_it() {
        let mut form = CandidatesForm { pilaf: true, answers: 3, ..CandidatesForm::default() };
        assert_eq!((form.asked().pilaf, form.asked().answers), (None, 3));
        form.source = AnswerSource::Run { run: RunId(1), step: None };
        assert_eq!((form.asked().pilaf, form.asked().answers), (Some(Pilaf::default()), 2));
        assert_eq!(form.asked().check(), Ok(()));
    }

    #[test]
    fn pairs_are_saved_a_few_at_a_time_and_the_rest_at_the_end() {
        let mut drawing = under_way(11);
        let mut saved = 0;
        for _ in 0..9 {
            saved += drawing.take(&pair()).map_or(0, |command| change(command).edits.len());
        }
        assert_eq!(saved, SAVED_TOGETHER);
        let none = Event::Drawn { request: RequestId(3), drawn: DrawnPair::None("no room".to_owned()) };
        assert!(drawing.take(&none).is_none());
        assert_eq!(drawing.refused, [("p9".to_owned(), "no room".to_owned())]);
        assert!(drawing.take(&Event::AllDrawn { request: RequestId(4) }).is_none(), "another one's");
        assert!(drawing.is_busy());
        let rest = change(drawing.take(&Event::AllDrawn { request: RequestId(3) }).unwrap());
        assert_eq!((rest.edits.len(), rest.label.as_str()), (1, "Sample 1 pair"));
        assert_eq!(drawing.summary(), "Stopped after 10 of 11 prompts; 9 new pairs to label");
    }

    #[test]
    fn what_was_drawn_before_it_failed_is_kept() {
        let mut drawing = under_way(2);
        drawing.take(&pair());
        let failed = Event::Failed { request: RequestId(3), error: "no such model".to_owned() };
        assert_eq!(change(drawing.take(&failed).unwrap()).edits.len(), 1);
        assert!(drawing.summary().ends_with("no such model"));
    }
}
