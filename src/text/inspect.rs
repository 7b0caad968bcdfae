//! The token inspector: what the model really sees of a pair.

use std::ops::Range;

use super::{
    Codec, EncodedAnswer, EncodedAnswers, Limits, Reply, StreamDecoder, SystemTurns, Unusable,
    answers::{AnswerStart, Whole},
};
use ::data::{Chat, Flaw, FlawNote, Inspection, PairFit, PairInspection, Prompt, TextPart, TokenView, Turn};

impl Codec {
    /// Every answer of a pair token by token, exactly as it is trained on, and what becomes of the pair.
    ///
    /// A pair that cannot be used is shown as far as it can be rendered.
    pub fn inspect(&self, prompt: &Prompt, answers: &[impl Reply], limits: Limits) -> PairInspection {
        let judged = self.encode_answers(prompt, answers, limits);
        let (fate, reason) = match &judged {
            Ok(encoded) if encoded.answers.iter().any(|answer| answer.cut) => (PairFit::AnswerCut, None),
            Ok(_) => (PairFit::Fits, None),
            Err(reason @ Unusable::PromptTooLong { .. }) => (PairFit::PromptTooLong, Some(reason.to_string())),
            Err(reason) => (PairFit::Unusable, Some(reason.to_string())),
        };
        let together = self.encode_wholes(prompt, answers, Limits::NONE).ok();
        let answers = match together {
            Some((encoded, wholes)) => encoded
                .answers
                .iter()
                .zip(&wholes)
                .zip(answers)
                .map(|((own, whole), answer)| self.inspection(prompt, answer, &encoded, own, whole, limits))
                .collect(),
            // What is wrong is wrong with the pair, or with one of its answers: show what can be shown.
            None => answers.iter().map(|answer| self.inspect_alone(prompt, answer, limits)).collect(),
        };
        PairInspection { fate, reason, answers }
    }

    fn inspect_alone(&self, prompt: &Prompt, answer: &impl Reply, limits: Limits) -> Inspection {
        if let Ok((encoded, wholes)) = self.encode_wholes(prompt, &[answer], Limits::NONE)
            && let ([own], [whole]) = (&encoded.answers[..], &wholes[..])
        {
            return self.inspection(prompt, answer, &encoded, own, whole, limits);
        }
        let prefix = self.prompt_ids(prompt).unwrap_or_default();
        let tokens = self.view(&prefix, &[]);
        Inspection { scored_from: tokens.len(), cut_at: tokens.len(), tokens, ..Inspection::default() }
    }

    fn inspection(
        &self,
        prompt: &Prompt,
        answer: &impl Reply,
        encoded: &EncodedAnswers,
        own: &EncodedAnswer,
        whole: &Whole,
        limits: Limits,
    ) -> Inspection {
        let EncodedAnswers { prefix, start, .. } = encoded;
        let mut tokens = self.view(prefix, &own.ids);
        self.tell_parts(&mut tokens, prompt, answer, &whole.text);
        let scored_from = prefix.len();
        let cut_at = scored_from.saturating_add(limits.max_answer.max(1)).min(tokens.len());
        let mut inspection = Inspection { tokens, scored_from, cut_at, ended: own.ended, ..Inspection::default() };
        self.count_ends(&mut inspection);
        self.find_flaws(&mut inspection, prompt, *start, limits);
        inspection
    }

    /// What was generated, token by token: the prompt's ids and the answer's, as they were.
    pub fn inspect_generated(&self, prompt_ids: &[u32], ids: &[u32]) -> Inspection {
        let tokens = self.view(prompt_ids, ids);
        let mut inspection = Inspection {
            scored_from: prompt_ids.len(),
            cut_at: tokens.len(),
            ended: ids.last().is_some_and(|id| self.stop_ids().contains(id)),
            tokens,
            ..Inspection::default()
        };
        self.count_ends(&mut inspection);
        self.find_doubled_bos(&mut inspection);
        inspection
    }

    /// Tokens of `prefix` and then of `answer`, each with the text it stands for.
    pub fn view(&self, prefix: &[u32], answer: &[u32]) -> Vec<TokenView> {
        let mut decoder = StreamDecoder::with_specials();
        let ids = prefix.iter().chain(answer).copied().enumerate();
        ids.map(|(position, id)| {
            let text = decoder.push(self, id);
            TokenView {
                id,
                text: if text.is_empty() { self.piece(id).unwrap_or_default() } else { text },
                part: if position < prefix.len() { TextPart::Prompt } else { TextPart::Answer },
                special: self.is_special(id),
            }
        })
        .collect()
    }

    /// Tells the template's own tokens from those of the turns and of the answer.
    fn tell_parts(&self, tokens: &mut [TokenView], prompt: &Prompt, answer: &impl Reply, text: &str) {
        let stretches = match prompt {
            Prompt::Text(prompt) => {
                vec![(0..prompt.len(), TextPart::Prompt), (prompt.len()..text.len(), TextPart::Answer)]
            }
            Prompt::Chat(chat) => stretches(&self.fold(chat), answer.turn(), text),
        };
        let spans = self.spans(text);
        // A BOS that the text does not spell out stands before the first span; an EOS behind the last has none.
        let added = match prompt {
            Prompt::Text(_) => self.encode_text(text).len() - self.encode(text).len(),
            Prompt::Chat(_) => 0,
        };
        for (index, token) in tokens.iter_mut().enumerate() {
            let span = index.checked_sub(added).and_then(|index| spans.get(index));
            token.part = span
                .and_then(|(start, end)| {
                    let overlaps = |stretch: &Range<usize>| stretch.start < *end && *start < stretch.end;
                    stretches.iter().rev().find(|(stretch, _)| overlaps(stretch))
                })
                .map_or(TextPart::Template, |(_, part)| *part);
        }
    }

    fn count_ends(&self, inspection: &mut Inspection) {
        let kept = &inspection.tokens[..inspection.cut_at];
        let count = |is: &dyn Fn(u32) -> bool| kept.iter().filter(|token| is(token.id)).count();
        inspection.bos = count(&|id| Some(id) == self.bos());
        inspection.ends = count(&|id| self.stop_ids().contains(&id));
    }

    fn find_doubled_bos(&self, inspection: &mut Inspection) {
        let ids: Vec<u32> = inspection.tokens.iter().map(|token| token.id).collect();
        if self.doubles_bos(&ids) {
            inspection.findings.push(FlawNote {
                flaw: Flaw::DoubledBos,
                text: "BOS stands twice in a row: the prompt spells it out once more than the template. Remove it from the prompt."
                    .to_owned(),
            });
        }
    }

    /// Two BOS tokens side by side. Where BOS also ends texts, that is no fault.
    pub fn doubles_bos(&self, ids: &[u32]) -> bool {
        self.bos()
            .filter(|bos| !self.stop_ids().contains(bos))
            .is_some_and(|bos| ids.windows(2).any(|two| two == [bos, bos]))
    }

    fn find_flaws(&self, inspection: &mut Inspection, prompt: &Prompt, start: AnswerStart, limits: Limits) {
        self.find_doubled_bos(inspection);
        let mut find = |flaw, text: String| inspection.findings.push(FlawNote { flaw, text });
        let cut = inspection.cut_at < inspection.tokens.len();
        if cut {
            find(
                Flaw::Cut,
                format!(
                    "The answer is longer than {} tokens and is cut, so its end is not trained.",
                    limits.max_answer
                ),
            );
        } else if !inspection.ended {
            find(
                Flaw::NoEnd,
                "The answer has no end-of-turn token, so the model does not learn to stop after it.".to_owned(),
            );
        }
        let end = inspection.tokens.len() - usize::from(inspection.ended);
        let inner = inspection.scored_from..end.min(inspection.cut_at).max(inspection.scored_from);
        if inspection.tokens[inner].iter().any(|token| token.special && token.part == TextPart::Answer) {
            find(
                Flaw::SpecialInside,
                "A special token stands inside the answer, because its text spells one out.".to_owned(),
            );
        }
        if let Some((flaw, text)) = start.flaw() {
            find(flaw, format!("{text}."));
        }
        inspection.findings.extend(self.notes(prompt));
    }

    /// What is done to a prompt before the template sees it, in sentences.
    pub fn notes(&self, prompt: &Prompt) -> Vec<FlawNote> {
        let Prompt::Chat(chat) = prompt else {
            return Vec::new();
        };
        let mut notes = Vec::new();
        if self.system_turns() == SystemTurns::Folded && self.fold(chat) != *chat {
            notes.push(FlawNote {
                flaw: Flaw::SystemFolded,
                text:
                    "The chat template has no place for a system turn: its text stands in front of the first user turn."
                        .to_owned(),
            });
        }
        if !self.has_template() {
            notes.push(FlawNote {
                flaw: Flaw::PlainStyle,
                text:
                    "This model has no chat template: turns are written in plain style, “User: …” and “Assistant: …”."
                        .to_owned(),
            });
        }
        notes
    }
}

/// Where in a rendered text the turns' own words and the answer stand. Templates may trim what they are given.
fn stretches(chat: &Chat, answer: Turn, text: &str) -> Vec<(Range<usize>, TextPart)> {
    let mut from = 0;
    let mut found = Vec::new();
    let turns = chat.iter().map(|turn| (turn, TextPart::Prompt));
    for (turn, part) in turns.chain([(&answer, TextPart::Answer)]) {
        // Templates write what was thought before what was said.
        let thought = turn.extras.get("reasoning_content").and_then(|value| value.as_str());
        for words in thought.into_iter().chain([turn.content.as_str()]) {
            let hit = [words, words.trim()].into_iter().find_map(|words| {
                let at = text[from..].find(words).filter(|_| !words.is_empty())?;
                Some(from + at..from + at + words.len())
            });
            if let Some(range) = hit {
                from = range.end;
                found.push((range, part));
            }
        }
    }
    found
}
