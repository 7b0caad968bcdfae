//! A run's documents, steps and measurements as lines of JSON: token ids, no texts.

use std::{collections::HashMap, io::Write};

use data::config::RunConfig;
use model::Doc;
use serde::Serialize;
use train::{
    dataset::documents::{Dataset, PairDoc, TextDoc, first},
    measure::log_probs::{Sums, all_log_probs, sums},
    objective::Objective,
    run::training::{StepAhead, Training},
};

use crate::error::{HandoverError, Result};

/// At most so many documents are scored at the end, pairs before reference answers.
const PROVEN: usize = 32;
const PROVEN_PAIRS: usize = 24;

/// A line of `docs.jsonl`, `eval.jsonl` or `proof.jsonl`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    d: usize,
    kind: &'static str,
    /// The pair's number in the project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pair: Option<i64>,
    prompt: &'a [u32],
    answers: Vec<&'a [u32]>,
    /// Σ log π_ref of each answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    anchor: Option<&'a [f64]>,
    /// Of a held-out pair: the certainty of its label and its weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    c: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    w: Option<f64>,
}

/// A line of `steps.jsonl`. Every denominator of the step's means is in it, so that it can be taken in parts.
#[derive(Debug, Serialize)]
struct Planned {
    step: u64,
    lr: f64,
    items: Vec<Item>,
    pairs: usize,
    ref_tokens: usize,
    pre_tokens: usize,
}

/// One pair with its share of what else the step takes: documents by their numbers.
#[derive(Debug, Default, Serialize)]
struct Item {
    pair: Option<usize>,
    c: f64,
    w: f64,
    r#ref: Option<usize>,
    pre: Option<usize>,
}

/// What a document is there for, and its place in the training data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Pair(usize),
    Reference(usize),
    Retention(usize),
}

/// The documents that a run's steps meet, each once.
pub struct Documents {
    numbers: HashMap<Part, usize>,
    order: Vec<Part>,
    steps: Vec<Planned>,
}

impl Documents {
    /// Goes through all steps that the trainer would take.
    pub fn of(training: &mut Training) -> Result<Self> {
        let mut documents = Self { numbers: HashMap::new(), order: Vec::new(), steps: Vec::new() };
        for _ in 0..training.length.steps {
            let ahead = training.pass_ahead();
            documents.add(&ahead, training)?;
        }
        Ok(documents)
    }

    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    fn add(&mut self, ahead: &StepAhead, training: &Training) -> Result<()> {
        let StepAhead { step, learning_rate, pairs, references, retention } = ahead;
        let (dataset, objective) = (&training.dataset, Objective::of(&training.config.objective));
        if pairs.is_empty() {
            return Err(HandoverError::Refused(format!(
                "all pairs of step {step} are too long for the memory of this machine and set aside; raise train.memory_mb or lower data.max_answer_tokens"
            )));
        }
        let most = pairs.len().max(references.len()).max(retention.len());
        let mut items = Vec::with_capacity(most);
        for place in 0..most {
            let mut item = Item::default();
            if let Some(&index) = pairs.get(place) {
                let pair = &dataset.pairs.train[index];
                let weight = objective.label_weight(pair.reward, pair.behaviour);
                (item.pair, item.c, item.w) = (Some(self.number(Part::Pair(index))), pair.certainty, weight);
            }
            item.r#ref = references.get(place).map(|index| self.number(Part::Reference(*index)));
            item.pre = retention.get(place).map(|index| self.number(Part::Retention(*index)));
            items.push(item);
        }
        let tokens = |texts: &[TextDoc], places: &[usize]| {
            places.iter().map(|place| texts[*place].doc.answer_tokens()).sum::<usize>()
        };
        self.steps.push(Planned {
            step: *step,
            lr: *learning_rate,
            items,
            pairs: pairs.len(),
            ref_tokens: tokens(&dataset.references.train, references),
            pre_tokens: tokens(&dataset.retention.train, retention),
        });
        Ok(())
    }

    fn number(&mut self, part: Part) -> usize {
        *self.numbers.entry(part).or_insert_with(|| {
            self.order.push(part);
            self.order.len() - 1
        })
    }

    /// `docs.jsonl`, with what the start model makes of each answer.
    pub fn write_documents(&self, training: &Training, out: &mut dyn Write) -> Result<()> {
        let dataset = &training.dataset;
        let docs: Vec<&Doc> = self
            .order
            .iter()
            .map(|part| match *part {
                Part::Pair(index) => &dataset.pairs.train[index].doc,
                Part::Reference(index) => &dataset.references.train[index].doc,
                Part::Retention(index) => &dataset.retention.train[index].doc,
            })
            .collect();
        let anchors = scores(training, &docs)?;
        for (d, ((part, doc), anchor)) in self.order.iter().zip(docs).zip(&anchors).enumerate() {
            let (kind, pair) = match *part {
                Part::Pair(index) => ("pair", Some(dataset.pairs.train[index].id.0)),
                Part::Reference(_) => ("reference", None),
                Part::Retention(_) => ("retention", None),
            };
            line(out, &Document { kind, pair, anchor: Some(anchor), ..Document::of(d, doc) })?;
        }
        Ok(())
    }

    /// `steps.jsonl`.
    pub fn write_steps(&self, out: &mut dyn Write) -> Result<()> {
        self.steps.iter().try_for_each(|step| line(out, step))
    }
}

/// `eval.jsonl`: what an evaluation here measures too.
pub fn write_held_out(training: &Training, out: &mut dyn Write) -> Result<()> {
    let (dataset, objective) = (&training.dataset, Objective::of(&training.config.objective));
    let pairs = first(&dataset.pairs.eval);
    let (references, retention) = (first(dataset.references.measured()), first(dataset.retention.measured()));
    let texts =
        references.iter().map(|text| ("reference", text)).chain(retention.iter().map(|text| ("retention", text)));
    let docs: Vec<&Doc> = pairs.iter().map(|pair| &pair.doc).chain(texts.clone().map(|(_, text)| &text.doc)).collect();
    let anchors = scores(training, &docs)?;
    let labels = pairs.iter().map(|pair| ("pair", Some(pair))).chain(texts.map(|(kind, _)| (kind, None)));
    for (d, ((doc, anchor), (kind, pair))) in docs.into_iter().zip(&anchors).zip(labels).enumerate() {
        line(
            out,
            &Document {
                kind,
                pair: pair.map(|pair: &PairDoc| pair.id.0),
                anchor: Some(anchor),
                c: pair.map(|pair| pair.certainty),
                w: pair.map(|pair| objective.label_weight(pair.reward, pair.behaviour)),
                ..Document::of(d, doc)
            },
        )?;
    }
    Ok(())
}

/// `proof.jsonl`.
pub fn write_proof(dataset: &Dataset, out: &mut dyn Write) -> Result<()> {
    proof(dataset).into_iter().enumerate().try_for_each(|(d, doc)| line(out, &Document::of(d, doc)))
}

/// The documents by which an adapter that comes back is proven: the same at every call.
pub fn proof(dataset: &Dataset) -> Vec<&Doc> {
    let mut docs: Vec<&Doc> = dataset.pairs.measured().iter().take(PROVEN_PAIRS).map(|pair| &pair.doc).collect();
    docs.extend(dataset.references.measured().iter().take(PROVEN - docs.len()).map(|text| &text.doc));
    docs
}

/// Σ log π of each answer as the weights are.
pub fn scores(training: &Training, docs: &[&Doc]) -> Result<Sums> {
    Ok(sums(&all_log_probs(&training.trainer.policy, docs, training.state.budget)?))
}

/// The settings without where things lie on this machine.
pub fn without_paths(config: &RunConfig) -> RunConfig {
    let mut config = config.clone();
    let name = |path: &std::path::Path| path.file_name().unwrap_or_default().into();
    config.model.path = config.model.path.as_deref().map(name);
    config.data.retention = config.data.retention.as_deref().map(name);
    let reference: std::path::PathBuf = name(config.data.reference.as_ref());
    config.data.reference = reference.to_string_lossy().into_owned();
    config
}

impl<'a> Document<'a> {
    fn of(d: usize, doc: &'a Doc) -> Self {
        let answers = doc.continuations.iter().map(|answer| &answer[..]).collect();
        Self { d, kind: "proof", pair: None, prompt: &doc.prefix, answers, anchor: None, c: None, w: None }
    }
}

fn line(out: &mut dyn Write, value: &impl Serialize) -> Result<()> {
    let written = serde_json::to_writer(&mut *out, value).map_err(std::io::Error::from);
    written.and_then(|()| out.write_all(b"\n")).map_err(crate::error::io("write", "data"))
}
