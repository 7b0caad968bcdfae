//! Data to token ids to documents: what a run trains on, what it is measured on, and what had to be set aside.

use data::{
    Choice, Pair, PairId, Prompt, PromptKey, ReferenceAnswer, SplitRule,
    config::{Negatives, RunConfig},
    counted,
};
use model::{Doc, Spec, Tokens};
use rayon::prelude::*;
use store::LogLevel;
use text::{AnswerStart, Codec, Limits, Unusable};

use super::{away::Away, inputs::Inputs, pairs::Held};
use crate::error::TrainError;

/// One pair as the policy sees it: its document holds the chosen answer, then the rejected one, then what else was said
/// to be worse, where the run takes several.
#[derive(Debug, Clone, PartialEq)]
pub struct PairDoc {
    pub id: PairId,
    pub doc: Doc,
    /// c.
    pub certainty: f64,
    /// r.
    pub reward: f64,
    /// μ.
    pub behaviour: f64,
    /// Answers that lost their end.
    pub cut: usize,
    /// Where the scored tokens begin.
    pub start: AnswerStart,
    /// What the prompt is about, for the reference coverage.
    pub prompt: PromptKey,
}

impl PairDoc {
    /// A pair of token ids as they are, its label beyond doubt.
    pub fn certain(id: PairId, doc: Doc) -> Self {
        let prompt = PromptKey::of(&Prompt::Text(String::new()));
        Self { id, doc, certainty: 1.0, reward: 1.0, behaviour: 1.0, cut: 0, start: AnswerStart::AtBorder, prompt }
    }

    /// Answers beside the chosen one.
    pub fn rejected(&self) -> usize {
        self.doc.continuations.len() - 1
    }
}

/// The document with the answers of these places.
pub fn with(doc: &Doc, places: &[usize]) -> Doc {
    let continuations = places.iter().map(|place| doc.continuations[*place].clone());
    Doc::new(doc.prefix.clone(), continuations)
}

/// A reference answer or a piece of retention text.
#[derive(Debug, Clone, PartialEq)]
pub struct TextDoc {
    pub doc: Doc,
    pub prompt: PromptKey,
}

/// Training and held-out part of one kind of data.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts<T> {
    pub train: Vec<T>,
    pub eval: Vec<T>,
}

/// Everything a run feeds to the policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    pub pairs: Parts<PairDoc>,
    pub references: Parts<TextDoc>,
    pub retention: Parts<TextDoc>,
    /// Labelled pairs that will not be trained on, each with its reason.
    pub set_aside: Vec<(PairId, String)>,
    /// Pairs without a label that can be trained on (none yet, both bad, skipped).
    pub unlabelled: usize,
    /// Whether some prompt is a conversation, labelled or not.
    pub chats: bool,
    /// Reasons why reference answers were set aside, one each.
    pub references_set_aside: Vec<String>,
    /// The same of retention texts.
    pub retention_set_aside: Vec<String>,
    /// Prompts of the held-out pairs and references as the model sees them, for freshly sampled answers.
    pub eval_prompts: Vec<Vec<u32>>,
}

/// Texts tokenised between two reports of progress, and pairs held at a time.
const CHUNK: usize = 512;

/// Tokenises on the current rayon pool. `progress` hears the share done.
///
/// `bounds` are the model's: a pair that does not fit in them is set aside. Fails where the pairs cannot be read.
pub fn prepare(
    inputs: &Inputs,
    codec: &Codec,
    RunConfig { data: config, objective, .. }: &RunConfig,
    bounds: Bounds,
    progress: &mut dyn FnMut(f32),
) -> Result<Dataset, TrainError> {
    let several = objective.negatives != Negatives::First;
    let rule = SplitRule { eval_fraction: config.eval_fraction, seed: config.seed };
    let limits = Limits { max_prompt: config.max_prompt_tokens, max_answer: config.max_answer_tokens };
    let Held { hold_out, pairs: count } = inputs.pairs.held_out(rule)?;
    let total = count + inputs.references.len() + inputs.retention.len();
    let mut done = 0;
    let mut tick = |more: usize| {
        done += more;
        progress(done as f32 / total.max(1) as f32);
    };

    let mut pairs = Parts { train: Vec::new(), eval: Vec::new() };
    let mut aside = Parts { train: Vec::new(), eval: Vec::new() };
    let (mut unlabelled, mut chats) = (0, false);
    let mut away = Away::new(inputs.pairs.folder());
    inputs.pairs.each_chunk(CHUNK, &mut |chunk| {
        let encode = |pair: &Pair| encode_pair(pair, codec, (limits, several), bounds);
        let encoded: Vec<Encoded> = chunk.par_iter().map(encode).collect();
        for (pair, encoded) in chunk.iter().zip(encoded) {
            chats |= matches!(pair.prompt, Prompt::Chat(_));
            let is_held_out = || hold_out.holds_out(PromptKey::of(&pair.prompt));
            match encoded {
                Encoded::Usable(doc) if hold_out.holds_out(doc.prompt) => pairs.eval.push(doc),
                Encoded::Usable(doc) => pairs.train.push(doc),
                Encoded::Unlabelled => unlabelled += 1,
                Encoded::Unusable(reason) if is_held_out() => aside.eval.push((pair.id, reason)),
                Encoded::Unusable(reason) => aside.train.push((pair.id, reason)),
            }
        }
        away.take(&mut pairs);
        tick(chunk.len());
    })?;
    let set_aside = [aside.train, aside.eval].concat();

    let mut references_set_aside = Vec::new();
    let mut references = Vec::new();
    for chunk in inputs.references.chunks(CHUNK) {
        let encoded: Vec<Result<TextDoc, String>> =
            chunk.par_iter().map(|reference| encode_reference(reference, codec, limits, bounds)).collect();
        for encoded in encoded {
            match encoded {
                Ok(doc) => references.push(doc),
                Err(reason) => references_set_aside.push(reason),
            }
        }
        tick(chunk.len());
    }

    let longest = bounds.context.min(config.max_prompt_tokens.saturating_add(config.max_answer_tokens));
    let encode = |text: &String| encode_text(text, codec, longest, bounds.vocab_size);
    let encoded: Vec<Result<Vec<TextDoc>, String>> = inputs.retention.par_iter().map(encode).collect();
    let (mut retention, mut retention_set_aside) = (Vec::new(), Vec::new());
    for encoded in encoded {
        match encoded {
            Ok(pieces) => retention.extend(pieces),
            Err(reason) => retention_set_aside.push(reason),
        }
    }
    tick(inputs.retention.len());

    let references = sides_of(references, rule);
    Ok(Dataset {
        eval_prompts: eval_prompts(&pairs.eval, &references.eval),
        pairs,
        references,
        retention: sides_of(retention, rule),
        set_aside,
        unlabelled,
        chats,
        references_set_aside,
        retention_set_aside,
    })
}

/// Alternately from where the pairs push and from where the reference answers speak.
fn eval_prompts(pairs: &[PairDoc], references: &[TextDoc]) -> Vec<Vec<u32>> {
    let mut prompts: Vec<Vec<u32>> = Vec::new();
    let of_pairs = pairs.iter().map(|pair| &pair.doc.prefix);
    let of_references = references.iter().map(|text| &text.doc.prefix);
    let (mut of_pairs, mut of_references) = (of_pairs.fuse(), of_references.fuse());
    loop {
        let next = [of_pairs.next(), of_references.next()];
        if next.iter().all(Option::is_none) {
            return prompts;
        }
        for prompt in next.into_iter().flatten() {
            if prompts.len() < MOST_EVAL_PROMPTS && !prompts.iter().any(|known| *prompt == *known) {
                prompts.push(prompt.to_vec());
            }
        }
    }
}

/// Prompts kept for freshly sampled answers.
const MOST_EVAL_PROMPTS: usize = 64;

enum Encoded {
    Usable(PairDoc),
    Unlabelled,
    Unusable(String),
}

fn encode_pair(pair: &Pair, codec: &Codec, (limits, several): (Limits, bool), bounds: Bounds) -> Encoded {
    let (chosen, rejected, certainty) = match pair.verdict.as_ref().map(|verdict| verdict.choice) {
        Some(Choice::Better { chosen, rejected, strength }) => (chosen, rejected, strength.certainty()),
        Some(Choice::Tie) => (0, 1, 0.5),
        Some(Choice::BothBad | Choice::Skip) | None => return Encoded::Unlabelled,
    };
    let unusable = Encoded::Unusable;
    let (Some(chosen), Some(rejected)) = (pair.answers.get(chosen), pair.answers.get(rejected)) else {
        return unusable("its verdict names an answer that it does not have".to_owned());
    };
    let behaviour = f64::from(pair.behaviour);
    let reward = f64::from(pair.reward);
    if !(behaviour > 0.0 && behaviour <= 1.0) {
        return unusable(format!("its labeller's probability is {behaviour}, which is not above 0 and at most 1"));
    }
    if !reward.is_finite() {
        return unusable(format!("its reward is {reward}, which is not a number"));
    }
    let mut answers = vec![chosen, rejected];
    if several {
        answers.extend(pair.worse().into_iter().skip(1).filter_map(|place| pair.answers.get(place)));
    }
    let (doc, cut, start) = loop {
        let reason = match codec.encode_answers(&pair.prompt, &answers, limits) {
            Ok(encoded) => {
                let cut = encoded.answers.iter().filter(|answer| answer.cut).count();
                let continuations = encoded.answers.into_iter().map(|answer| answer.ids);
                let doc = Doc::new(encoded.prefix, continuations);
                let Err(reason) = fits(&doc, codec, bounds) else {
                    break (doc, cut, encoded.start);
                };
                // A further answer that does not fit costs the pair that answer.
                let further = 2..answers.len();
                match further.rev().find(|at| fits(&with(&doc, &[*at]), codec, bounds).is_err()) {
                    Some(at) => answers.remove(at),
                    None => return unusable(reason),
                };
                continue;
            }
            Err(reason) => reason,
        };
        // A third answer that says nothing, or nothing new, is left out; the pair is one without it.
        match at_fault(&reason).filter(|at| *at > 1) {
            Some(at) => answers.remove(at),
            None => return unusable(reason.to_string()),
        };
    };
    Encoded::Usable(PairDoc {
        id: pair.id,
        doc,
        certainty,
        reward,
        behaviour,
        cut,
        start,
        prompt: PromptKey::of(&pair.prompt),
    })
}

/// The answer without which there would not be this reason.
fn at_fault(reason: &Unusable) -> Option<usize> {
    match reason {
        Unusable::EmptyAnswer { answer } => Some(*answer),
        Unusable::IdenticalAnswers { second, .. } | Unusable::IdenticalAfterCut { second, .. } => Some(*second),
        Unusable::EmptyPrompt | Unusable::PromptTooLong { .. } | Unusable::Text(_) => None,
    }
}

fn encode_reference(
    reference: &ReferenceAnswer,
    codec: &Codec,
    limits: Limits,
    bounds: Bounds,
) -> Result<TextDoc, String> {
    let encoded =
        codec.encode_answers(&reference.prompt, &[reference], limits).map_err(|reason: Unusable| reason.to_string())?;
    let doc = Doc::new(encoded.prefix, encoded.answers.into_iter().map(|answer| answer.ids));
    fits(&doc, codec, bounds)?;
    Ok(TextDoc { doc, prompt: PromptKey::of(&reference.prompt) })
}

/// A text in pieces of at most `longest` tokens.
fn encode_text(text: &str, codec: &Codec, longest: usize, vocab_size: usize) -> Result<Vec<TextDoc>, String> {
    let prompt = PromptKey::of(&Prompt::Text(text.to_owned()));
    let ids = codec.encode_text(text);
    let docs = ids.chunks(longest.max(2)).filter_map(Doc::text);
    docs.map(|doc| known(&doc, codec, vocab_size).map(|()| TextDoc { doc, prompt })).collect()
}

/// What a model can take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Tokens of a sequence.
    pub context: usize,
    /// Ids below this one have a row in its table.
    pub vocab_size: usize,
}

impl Bounds {
    pub fn of(spec: &Spec) -> Self {
        Self { context: spec.max_positions, vocab_size: spec.vocab_size }
    }
}

/// A sequence may not be longer than the context the model was made for, nor hold a token that it has no row for.
fn fits(doc: &Doc, codec: &Codec, bounds: Bounds) -> Result<(), String> {
    let Bounds { context, vocab_size } = bounds;
    let longest = doc.continuations.iter().map(Tokens::len).max().unwrap_or(0);
    let tokens = doc.prefix.len() + longest;
    if tokens > context {
        return Err(format!("prompt and answer have {tokens} tokens, more than the model's context of {context}"));
    }
    known(doc, codec, vocab_size)
}

/// The tokenizer may know tokens that the model has no row for.
pub fn known(doc: &Doc, codec: &Codec, vocab_size: usize) -> Result<(), String> {
    let mut ids = doc.prefix.iter().chain(doc.continuations.iter().flatten());
    if let Some(&id) = ids.find(|&&id| id as usize >= vocab_size) {
        let token = codec.token(id);
        return Err(format!(
            "it holds the token {token:?} (id {id}), which the tokenizer knows and the model does not: its vocabulary has {vocab_size} entries"
        ));
    }
    Ok(())
}

/// Splits by prompt, as pairs are.
fn sides_of(docs: Vec<TextDoc>, rule: SplitRule) -> Parts<TextDoc> {
    let (eval, train) = docs.into_iter().partition(|doc| rule.holds_out(doc.prompt));
    Parts { train, eval }
}

impl<T> Parts<T> {
    /// What to measure on: the held-out part, or the training part when nothing is held out.
    pub fn measured(&self) -> &[T] {
        if self.eval.is_empty() { &self.train } else { &self.eval }
    }

    pub fn len(&self) -> usize {
        self.train.len() + self.eval.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// At most so many held-out pairs, reference answers and retention texts are measured each time: the first ones.
pub const MOST_MEASURED: usize = 512;

/// What of a list is measured.
pub fn first<T>(items: &[T]) -> &[T] {
    &items[..items.len().min(MOST_MEASURED)]
}

impl Dataset {
    /// Takes over the pairs of `other`; reference answers and texts stay.
    pub fn set_pairs(&mut self, other: Self) {
        self.eval_prompts = eval_prompts(&other.pairs.eval, &self.references.eval);
        (self.pairs, self.set_aside, self.unlabelled) = (other.pairs, other.set_aside, other.unlabelled);
        self.chats = other.chats;
    }

    /// A hash of every token id and label in its order: two runs with the same hash met the same data.
    pub fn identity(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut docs = |docs: &mut dyn Iterator<Item = &Doc>| {
            hasher.update(b"part");
            for doc in docs {
                for ids in std::iter::once(&doc.prefix).chain(&doc.continuations) {
                    hasher.update(&(ids.len() as u64).to_le_bytes());
                    for id in ids {
                        hasher.update(&id.to_le_bytes());
                    }
                }
            }
        };
        docs(&mut self.pairs.train.iter().map(|pair| &pair.doc));
        docs(&mut self.pairs.eval.iter().map(|pair| &pair.doc));
        for part in [&self.references, &self.retention] {
            docs(&mut part.train.iter().map(|text| &text.doc));
            docs(&mut part.eval.iter().map(|text| &text.doc));
        }
        for pair in self.pairs.train.iter().chain(&self.pairs.eval) {
            for number in [pair.certainty, pair.reward, pair.behaviour] {
                hasher.update(&number.to_le_bytes());
            }
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Why there is nothing to train on.
    pub fn why_empty(&self) -> String {
        let aside = self.set_aside.len();
        let held_out = self.pairs.eval.len();
        if aside + held_out + self.unlabelled == 0 {
            return "the project has no pairs yet; import some or label some".to_owned();
        }
        let reason = match self.reasons()[..] {
            [] => String::new(),
            [(_, only)] => format!(" ({only})"),
            [(_, first), ..] => format!(" (e.g. {first})"),
        };
        let why = format!(
            "{} no label to train on, {aside} cannot be used{reason} and {held_out} held out",
            counted(self.unlabelled, "pair has", "pairs have")
        );
        // A prompt is held out with all its pairs.
        if held_out == 0 {
            return why;
        }
        format!(
            "{why}; with data.eval_fraction=0 those are trained on too, but for pairs whose side was set by hand (`nudge change --split auto` lets their prompts decide again)"
        )
    }

    /// What a person should know about the data before the first step.
    pub fn remarks(&self) -> Vec<(LogLevel, String)> {
        let mut remarks = vec![(
            LogLevel::Info,
            format!(
                "{} to train on, {} held out; {}, {} held out; {}, {} held out",
                counted(self.pairs.train.len(), "pair", "pairs"),
                self.pairs.eval.len(),
                counted(self.references.train.len(), "reference answer", "reference answers"),
                self.references.eval.len(),
                counted(self.retention.train.len(), "piece of retention text", "pieces of retention text"),
                self.retention.eval.len(),
            ),
        )];
        for (count, reason) in self.reasons() {
            remarks.push((
                LogLevel::Warning,
                format!("{} set aside: {reason}", counted(count, "labelled pair", "labelled pairs")),
            ));
        }
        if let Some(reason) = self.references_set_aside.first() {
            let answers = counted(self.references_set_aside.len(), "reference answer", "reference answers");
            remarks.push((LogLevel::Warning, format!("{answers} set aside; the first because {reason}")));
        }
        if let Some(reason) = self.retention_set_aside.first() {
            let texts = counted(self.retention_set_aside.len(), "retention text", "retention texts");
            remarks.push((LogLevel::Warning, format!("{texts} set aside; the first because {reason}")));
        }
        for (what, parts) in [("reference answers", &self.references), ("retention text", &self.retention)] {
            if parts.eval.is_empty() && !parts.train.is_empty() {
                remarks.push((
                    LogLevel::Warning,
                    format!("No {what} held out, so what is measured on it is measured on what is trained on"),
                ));
            }
        }
        remarks
    }

    /// The reasons of what was set aside with their counts, most frequent first.
    pub fn reasons(&self) -> Vec<(usize, &str)> {
        let mut reasons: Vec<&str> = self.set_aside.iter().map(|(_, r)| r.as_str()).collect();
        reasons.sort_unstable();
        let mut counted: Vec<(usize, &str)> =
            reasons.chunk_by(|a, b| a == b).map(|same| (same.len(), same[0])).collect();
        counted.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        counted
    }
}
